/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * HTTP/1.1 response heads and chunked bodies, read strictly.
 */

#include <sys/types.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pure.h"

#define NOISE_PROTOCOL	"tailscale-control-protocol"

/* Index behind the blank line; 0 if there is none yet; -1 if too long. */
static ssize_t
head_end(const uint8_t *p, size_t len)
{
	size_t	 i, max;

	max = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
	for (i = 0; i < max; i++) {
		if (p[i] == '\0')
			return -1;
		if (p[i] != '\n')
			continue;
		if (i + 1 < max && p[i + 1] == '\n')
			return i + 2;
		if (i + 2 < max && p[i + 1] == '\r' && p[i + 2] == '\n')
			return i + 3;
	}
	return len >= HTTP_HEAD_MAX ? -1 : 0;
}

/* Digits only; -1 for anything else or more than max. */
static int64_t
number(const char *s, size_t len, int64_t max)
{
	int64_t	 v;
	size_t	 i;

	if (len == 0)
		return -1;
	for (i = 0, v = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
		if (v > max)
			return -1;
	}
	return v;
}

/* Does a comma-separated value hold this word, in any case? */
static int
has_token(const char *s, size_t len, const char *word)
{
	size_t	 n, wlen;

	wlen = strlen(word);
	while (len > 0) {
		while (len > 0 && (*s == ' ' || *s == '\t' || *s == ',')) {
			s++;
			len--;
		}
		for (n = 0; n < len && s[n] != ','; n++)
			continue;
		if (n >= wlen && strncasecmp(s, word, wlen) == 0 &&
		    (n == wlen || s[wlen] == ' ' || s[wlen] == '\t'))
			return 1;
		s += n;
		len -= n;
	}
	return 0;
}

static int
name_is(const char *s, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(s, name, len) == 0;
}

static int
field_value(const char *name, size_t nlen, const char *v, size_t vlen,
    struct http_head *h)
{
	int64_t	 n;

	if (name_is(name, nlen, "content-length")) {
		n = number(v, vlen, INT64_MAX / 16);
		/* Two lengths are how requests are smuggled. */
		if (n == -1 || h->h_length == HTTP_LEN_CHUNK ||
		    (h->h_length >= 0 && h->h_length != n))
			return -1;
		h->h_length = n;
	} else if (name_is(name, nlen, "transfer-encoding")) {
		if (!has_token(v, vlen, "chunked") || h->h_length >= 0)
			return -1;
		h->h_length = HTTP_LEN_CHUNK;
	} else if (name_is(name, nlen, "retry-after")) {
		h->h_retry = v;
		h->h_retrylen = vlen;
	} else if (name_is(name, nlen, "location")) {
		h->h_location = v;
		h->h_locationlen = vlen;
	} else if (name_is(name, nlen, "content-type")) {
		h->h_page = vlen >= 9 && strncasecmp(v, "text/html", 9) == 0;
	} else if (name_is(name, nlen, "upgrade")) {
		h->h_noise = vlen == strlen(NOISE_PROTOCOL) &&
		    strncasecmp(v, NOISE_PROTOCOL, vlen) == 0;
	} else if (name_is(name, nlen, "connection"))
		h->h_upgrade |= has_token(v, vlen, "upgrade");
	return 0;
}

/* One line "Name: value" without its end. */
static int
field_parse(const char *s, size_t len, struct http_head *h)
{
	const char	*colon, *v;
	size_t		 nlen, vlen;

	if ((colon = memchr(s, ':', len)) == NULL)
		return -1;
	nlen = colon - s;
	if (nlen == 0 || memchr(s, ' ', nlen) != NULL ||
	    memchr(s, '\t', nlen) != NULL)
		return -1;
	v = colon + 1;
	vlen = len - nlen - 1;
	while (vlen > 0 && (*v == ' ' || *v == '\t')) {
		v++;
		vlen--;
	}
	while (vlen > 0 && (v[vlen - 1] == ' ' || v[vlen - 1] == '\t'))
		vlen--;
	return field_value(s, nlen, v, vlen, h);
}

static int
status_parse(const char *s, size_t len, struct http_head *h)
{
	const char	 proto[] = "HTTP/1.";

	if (len < sizeof(proto) - 1 + 5 ||
	    memcmp(s, proto, sizeof(proto) - 1) != 0 ||
	    (s[7] != '0' && s[7] != '1') || s[8] != ' ' ||
	    (len > 12 && s[12] != ' '))
		return -1;
	h->h_status = number(s + 9, 3, 999);
	return h->h_status < 100 ? -1 : 0;
}

ssize_t
http_head_parse(const uint8_t *p, size_t len, struct http_head *h)
{
	const char	*nl, *s;
	ssize_t		 end;
	size_t		 left, n;
	int		 first;

	memset(h, 0, sizeof(*h));
	h->h_length = HTTP_LEN_NONE;
	if ((end = head_end(p, len)) <= 0)
		return end;
	s = (const char *)p;
	left = end;
	for (first = 1; (nl = memchr(s, '\n', left)) != NULL; first = 0) {
		n = nl - s;
		left -= n + 1;
		if (n > 0 && s[n - 1] == '\r')
			n--;
		if (n == 0)
			break;
		if ((first ? status_parse(s, n, h) :
		    field_parse(s, n, h)) == -1)
			return -1;
		s = nl + 1;
	}
	return h->h_status == 0 ? -1 : end;
}

/* "1a;extension" at s; -1 if it is no size. */
static int64_t
chunk_size(const uint8_t *s, size_t len)
{
	int64_t	 v;
	size_t	 i;
	int	 d;

	for (i = 0, v = 0; i < len && s[i] != ';' && s[i] != ' '; i++) {
		if (s[i] >= '0' && s[i] <= '9')
			d = s[i] - '0';
		else if ((s[i] | 32) >= 'a' && (s[i] | 32) <= 'f')
			d = (s[i] | 32) - 'a' + 10;
		else
			return -1;
		v = v * 16 + d;
		if (v > INT32_MAX)
			return -1;
	}
	return i == 0 ? -1 : v;
}

/*
 * Walk the chunks; move: copy them together. Returns 1, 0, -1 as above.
 * Trailers are skipped up to the blank line.
 */
static int
chunks_walk(uint8_t *buf, size_t len, size_t *outlen, int move)
{
	const uint8_t	*nl;
	int64_t		 size;
	size_t		 n, off;

	off = *outlen = 0;
	for (;;) {
		nl = memchr(buf + off, '\n', len - off);
		if (nl == NULL)
			return len - off > 256 ? -1 : 0;
		n = nl - (buf + off);
		if (n > 0 && buf[off + n - 1] == '\r')
			n--;
		if ((size = chunk_size(buf + off, n)) == -1)
			return -1;
		off = nl - buf + 1;
		if (size == 0)
			break;
		if ((uint64_t)size > len - off)
			return 0;
		if (move)
			memmove(buf + *outlen, buf + off, size);
		*outlen += size;
		off += size;
		if (off < len && buf[off] == '\r')
			off++;
		if (off == len)
			return 0;
		if (buf[off++] != '\n')
			return -1;
	}
	while ((nl = memchr(buf + off, '\n', len - off)) != NULL) {
		n = nl - (buf + off);
		if (n == 0 || (n == 1 && buf[off] == '\r'))
			return 1;
		off += n + 1;
	}
	return 0;
}

int
http_chunks(uint8_t *buf, size_t len, size_t *outlen)
{
	int	 r;

	if ((r = chunks_walk(buf, len, outlen, 0)) != 1)
		return r;
	return chunks_walk(buf, len, outlen, 1);
}

/*
 * The host that a Location names: 1; 0: none, so it stays where it is; -1:
 * what cannot be one.
 */
static int
location_host(const char *s, size_t len, char *host, size_t size)
{
	size_t	 i, n;
	int	 six;

	if (len >= 7 && strncasecmp(s, "http://", 7) == 0)
		n = 7;
	else if (len >= 8 && strncasecmp(s, "https://", 8) == 0)
		n = 8;
	else if (len >= 2 && s[0] == '/' && s[1] == '/')
		n = 2;
	else
		return 0;
	s += n;
	len -= n;
	for (n = 0; n < len && strchr("/?#", s[n]) == NULL; n++)
		continue;
	for (i = n; i > 0 && s[i - 1] != '@'; i--)
		continue;
	s += i;				/* without user and password */
	n -= i;
	six = n > 0 && s[0] == '[';
	s += six;
	n -= six;
	for (i = 0; i < n && s[i] != (six ? ']' : ':'); i++)
		if (!isalnum((unsigned char)s[i]) &&
		    strchr(six ? ":" : "-._", s[i]) == NULL)
			return -1;
	if (i == 0 || i >= size)
		return -1;
	memcpy(host, s, i);
	host[i] = '\0';
	return 1;
}

int
http_portal(const struct http_head *h, const char *asked, char *buf,
    size_t len)
{
	char	 host[256];
	int	 r;

	if (h->h_status == 511)		/* Network Authentication Required */
		(void)snprintf(buf, len, "a captive portal is in the way to "
		    "the control server: log in to this network with a "
		    "browser");
	else if (h->h_status / 100 == 3 && h->h_location != NULL) {
		r = location_host(h->h_location, h->h_locationlen, host,
		    sizeof(host));
		if (r == 0 || (r == 1 && strcasecmp(host, asked) == 0))
			return 0;
		(void)snprintf(buf, len, "a captive portal is likely in the "
		    "way to the control server%s%s: log in to this network "
		    "with a browser", r == 1 ? ", one that leads to " : "",
		    r == 1 ? host : "");
	} else if (h->h_status == 200 && h->h_page)
		(void)snprintf(buf, len, "a page for people answers in the "
		    "place of the control server: a captive portal is likely "
		    "(log in to this network with a browser), or the URL is "
		    "wrong");
	else
		return 0;
	return 1;
}
