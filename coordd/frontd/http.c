/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Heads of HTTP/1.1 requests, and answers to them: pure functions.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "http.h"

#ifndef nitems
#define nitems(a)	(sizeof((a)) / sizeof((a)[0]))
#endif

static const struct {
	int		 status;
	const char	*reason;
} reasons[] = {
	{ 101, "Switching Protocols" },
	{ 200, "OK" },
	{ 400, "Bad Request" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" }
};

const char *
http_reason(int status)
{
	size_t	 i;

	for (i = 0; i < nitems(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

/* Is this a character of a method or a field name? RFC 9110, 5.6.2. */
static int
http_is_token(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9'))
		return 1;
	return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

/*
 * The next line: *line and its length without the end. Returns the bytes
 * used, or 0 if there is no end yet.
 */
static size_t
http_line(const char *p, size_t len, const char **line, size_t *linelen)
{
	const char	*nl;

	if ((nl = memchr(p, '\n', len)) == NULL)
		return 0;
	*line = p;
	*linelen = nl - p;
	if (*linelen > 0 && nl[-1] == '\r')
		(*linelen)--;
	return nl - p + 1;
}

static int
http_copy(char *dst, size_t size, const char *src, size_t len)
{
	if (len >= size)
		return -1;
	memcpy(dst, src, len);
	dst[len] = '\0';
	return 0;
}

/* Origin form, or absolute form whose host is of no interest. */
static int
http_target(const char *p, size_t len, struct http_req *hr)
{
	const char	*q, *s;
	size_t		 i;

	for (i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] == 0x7f)
			return 400;
	if (len > 7 && strncasecmp(p, "http://", 7) == 0) {
		if ((s = memchr(p + 7, '/', len - 7)) == NULL)
			return 400;
		len -= s - p;
		p = s;
	}
	if (len == 0 || p[0] != '/')
		return 400;
	if ((q = memchr(p, '?', len)) != NULL) {
		if (http_copy(hr->hr_query, sizeof(hr->hr_query), q + 1,
		    len - (q - p) - 1) == -1)
			return 414;
		len = q - p;
	}
	if (http_copy(hr->hr_path, sizeof(hr->hr_path), p, len) == -1)
		return 414;
	return 200;
}

static int
http_request_line(const char *p, size_t len, struct http_req *hr)
{
	const char	*sp, *version;
	size_t		 i, mlen;

	if ((sp = memchr(p, ' ', len)) == NULL || sp == p)
		return 400;
	mlen = sp - p;
	for (i = 0; i < mlen; i++)
		if (!http_is_token(p[i]))
			return 400;
	if (http_copy(hr->hr_method, sizeof(hr->hr_method), p, mlen) == -1)
		return 501;
	p += mlen + 1;
	len -= mlen + 1;
	if (len < 10 || p[len - 9] != ' ')
		return 400;
	version = p + len - 8;
	if (strncmp(version, "HTTP/", 5) != 0)
		return 400;
	if (strncmp(version, "HTTP/1.0", 8) != 0 &&
	    strncmp(version, "HTTP/1.1", 8) != 0)
		return 505;
	return http_target(p, len - 9, hr);
}

/* Is the word among the comma-separated ones? No regard to case. */
static int
http_has_word(const char *v, size_t len, const char *word)
{
	size_t	 n, wlen;

	wlen = strlen(word);
	while (len > 0) {
		if (*v == ' ' || *v == '\t' || *v == ',') {
			v++;
			len--;
			continue;
		}
		for (n = 0; n < len && v[n] != ','; n++)
			;
		while (n > 0 && (v[n - 1] == ' ' || v[n - 1] == '\t'))
			n--;
		if (n == wlen && strncasecmp(v, word, wlen) == 0)
			return 1;
		v += n;
		len -= n;
	}
	return 0;
}

static int
http_length(const char *v, size_t len, struct http_req *hr)
{
	char		 buf[20];
	const char	*errstr;
	int64_t		 n;

	if (len == 0 || v[0] < '0' || v[0] > '9' ||
	    http_copy(buf, sizeof(buf), v, len) == -1)
		return 400;
	n = strtonum(buf, 0, INT64_MAX, &errstr);
	if (errstr != NULL || (hr->hr_has_length && n != hr->hr_length))
		return 400;
	hr->hr_length = n;
	hr->hr_has_length = 1;
	return 200;
}

static int
http_upgrade(const char *v, size_t len, struct http_req *hr)
{
	char	*p;

	if (http_copy(hr->hr_upgrade, sizeof(hr->hr_upgrade), v, len) == -1)
		return 400;
	for (p = hr->hr_upgrade; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	return 200;
}

static int
http_is(const char *name, size_t len, const char *want)
{
	return len == strlen(want) && strncasecmp(name, want, len) == 0;
}

static int
http_field_ws(const char *name, size_t nlen, const char *v, size_t vlen,
    struct http_req *hr)
{
	if (http_is(name, nlen, "sec-websocket-version"))
		hr->hr_ws_version = http_is(v, vlen, "13");
	else if (http_is(name, nlen, "sec-websocket-protocol")) {
		if (http_has_word(v, vlen, "tailscale-control-protocol"))
			hr->hr_ws_protocol = 1;
	} else if (http_is(name, nlen, "sec-websocket-key") &&
	    http_copy(hr->hr_ws_key, sizeof(hr->hr_ws_key), v, vlen) == -1)
		return 400;
	return 200;
}

/* Other schemes than this are nobody's here, and ignored. */
static int
http_authorization(const char *v, size_t len, struct http_req *hr)
{
	if (len < 7 || strncasecmp(v, "bearer ", 7) != 0)
		return 200;
	return http_copy(hr->hr_bearer, sizeof(hr->hr_bearer), v + 7,
	    len - 7) == -1 ? 400 : 200;
}

static int
http_field_known(const char *name, size_t nlen, const char *v, size_t vlen,
    struct http_req *hr)
{
	if (http_is(name, nlen, "content-length"))
		return http_length(v, vlen, hr);
	if (http_is(name, nlen, "transfer-encoding")) {
		if (!http_is(v, vlen, "chunked"))
			return 501;
		hr->hr_chunked = 1;
	} else if (http_is(name, nlen, "connection")) {
		if (http_has_word(v, vlen, "upgrade"))
			hr->hr_conn_upgrade = 1;
	} else if (http_is(name, nlen, "upgrade"))
		return http_upgrade(v, vlen, hr);
	else if (http_is(name, nlen, "authorization"))
		return http_authorization(v, vlen, hr);
	else if (http_is(name, nlen, "x-tailscale-handshake")) {
		if (http_copy(hr->hr_handshake, sizeof(hr->hr_handshake), v,
		    vlen) == -1)
			return 400;
	} else
		return http_field_ws(name, nlen, v, vlen, hr);
	return 200;
}

static int
http_field(const char *p, size_t len, struct http_req *hr)
{
	const char	*colon;
	size_t		 i, nlen, vlen;

	if ((colon = memchr(p, ':', len)) == NULL || colon == p)
		return 400;
	nlen = colon - p;
	for (i = 0; i < nlen; i++)
		if (!http_is_token(p[i]))
			return 400;
	colon++;
	vlen = len - nlen - 1;
	while (vlen > 0 && (*colon == ' ' || *colon == '\t')) {
		colon++;
		vlen--;
	}
	while (vlen > 0 && (colon[vlen - 1] == ' ' ||
	    colon[vlen - 1] == '\t'))
		vlen--;
	for (i = 0; i < vlen; i++)
		if (((unsigned char)colon[i] < ' ' && colon[i] != '\t') ||
		    colon[i] == 0x7f)
			return 400;
	return http_field_known(p, nlen, colon, vlen, hr);
}

int
http_head_parse(const char *buf, size_t len, struct http_req *hr,
    size_t *used)
{
	const char	*line;
	size_t		 linelen, n, off;
	int		 lines, status;

	memset(hr, 0, sizeof(*hr));
	for (off = 0, lines = 0; ; off += n) {
		if ((n = http_line(buf + off, len - off, &line,
		    &linelen)) == 0)
			return len >= HTTP_HEAD_MAX ? 431 : 0;
		if (off + n > HTTP_HEAD_MAX)
			return 431;
		if (linelen == 0) {
			if (lines == 0)
				return 400;
			*used = off + n;
			return hr->hr_chunked && hr->hr_has_length ? 400 : 200;
		}
		if (lines > HTTP_FIELDS_MAX)
			return 431;
		status = lines++ == 0 ? http_request_line(line, linelen, hr) :
		    http_field(line, linelen, hr);
		if (status != 200)
			return status;
	}
}

static int
http_percent_decode(const char *p, size_t len, char *buf, size_t size)
{
	size_t	 i, n;
	int	 hi, lo;

	for (i = n = 0; i < len; i++) {
		if (n + 1 >= size)
			return -1;
		buf[n] = p[i];
		if (p[i] == '%') {
			if (len - i < 3)
				return -1;
			hi = hex_digit(p[i + 1]);
			lo = hex_digit(p[i + 2]);
			if (hi == -1 || lo == -1 || (hi | lo) == 0)
				return -1;
			buf[n] = hi << 4 | lo;
			i += 2;
		}
		n++;
	}
	if (size == 0)
		return -1;
	buf[n] = '\0';
	return 0;
}

int
http_query_get(const char *query, const char *name, char *buf, size_t size)
{
	const char	*eq;
	size_t		 len, nlen;

	nlen = strlen(name);
	for (;;) {
		len = strcspn(query, "&");
		eq = memchr(query, '=', len);
		if (eq != NULL && (size_t)(eq - query) == nlen &&
		    strncmp(query, name, nlen) == 0)
			return http_percent_decode(eq + 1, len - nlen - 1,
			    buf, size);
		if (query[len] == '\0')
			return -1;
		query += len + 1;
	}
}

int
http_answer_head(char *buf, size_t size, int status, const char *type,
    const char *fields, size_t bodylen)
{
	int	 n;

	n = snprintf(buf, size,
	    "HTTP/1.1 %d %s\r\n"
	    "Content-Type: %s\r\n"
	    "Content-Length: %zu\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "%s"
	    "Connection: close\r\n\r\n",
	    status, http_reason(status), type, bodylen, fields);
	return n < 0 || (size_t)n >= size ? -1 : n;
}

static const char *
http_entity(char c)
{
	switch (c) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

int
http_escape(const char *s, char *buf, size_t size)
{
	const char	*e;
	char		 one[2] = "";

	if (size == 0)
		return -1;
	buf[0] = '\0';
	for (; *s != '\0'; s++) {
		if ((e = http_entity(*s)) == NULL) {
			one[0] = *s;
			e = one;
		}
		if (strlcat(buf, e, size) >= size) {
			buf[0] = '\0';
			return -1;
		}
	}
	return 0;
}
