/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Heads of HTTP requests and the answers of a relay: pure functions.
 */

#include <sys/types.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "relay.h"

#define CHALLENGE_MAX	64

/* A word of the request line, to its end: the rest, or NULL. */
static const char *
take_word(const char *p, const char *end, char *dst, size_t size)
{
	size_t	 n;

	for (n = 0; p + n < end && p[n] != ' '; n++)
		if (n + 1 >= size || p[n] < '!' || p[n] > '~')
			return NULL;
		else
			dst[n] = p[n];
	dst[n] = '\0';
	return p + n < end && n > 0 ? p + n + 1 : NULL;
}

static int
request_line(const char *p, const char *end, struct http_req *hr)
{
	char	 target[384], *query;

	if ((p = take_word(p, end, hr->hr_method,
	    sizeof(hr->hr_method))) == NULL ||
	    (p = take_word(p, end, target, sizeof(target))) == NULL)
		return -1;
	if ((query = strchr(target, '?')) != NULL)
		*query++ = '\0';
	if (query != NULL && strlcpy(hr->hr_query, query,
	    sizeof(hr->hr_query)) >= sizeof(hr->hr_query))
		return -1;
	if (target[0] != '/' || strlcpy(hr->hr_path, target,
	    sizeof(hr->hr_path)) >= sizeof(hr->hr_path))
		return -1;
	return end - p == 8 && strncmp(p, "HTTP/1.1", 8) == 0 ? 0 : -1;
}

static int
challenge_ok(const char *s)
{
	size_t	 n;

	n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789._:-");
	return s[n] == '\0' && n > 0 && n <= CHALLENGE_MAX;
}

static void
field(const char *name, const char *value, struct http_req *hr)
{
	size_t	 i;

	if (strcasecmp(name, "Upgrade") == 0) {
		(void)strlcpy(hr->hr_upgrade, value, sizeof(hr->hr_upgrade));
		for (i = 0; hr->hr_upgrade[i] != '\0'; i++)
			hr->hr_upgrade[i] = tolower(
			    (unsigned char)hr->hr_upgrade[i]);
	} else if (strcasecmp(name, "Derp-Fast-Start") == 0)
		hr->hr_fast = strcmp(value, "1") == 0;
	else if (strcasecmp(name, "Ideal-Node") == 0)
		hr->hr_not_ideal = value[0] != '\0';
	else if (strcasecmp(name, "Sec-WebSocket-Protocol") == 0)
		hr->hr_ws_derp = strstr(value, "derp") != NULL;
	else if (strcasecmp(name, "Sec-WebSocket-Key") == 0)
		(void)strlcpy(hr->hr_ws_key, value, sizeof(hr->hr_ws_key));
	else if (strcasecmp(name, "X-Tailscale-Challenge") == 0 &&
	    challenge_ok(value))
		(void)strlcpy(hr->hr_challenge, value,
		    sizeof(hr->hr_challenge));
}

static int
field_line(const char *p, const char *end, struct http_req *hr)
{
	const char	*colon;
	char		 name[64], value[256];
	size_t		 n;

	if ((colon = memchr(p, ':', end - p)) == NULL || colon == p)
		return -1;
	n = colon - p;
	if (n >= sizeof(name))
		return 0;		/* none of those we know */
	memcpy(name, p, n);
	name[n] = '\0';
	for (p = colon + 1; p < end && (*p == ' ' || *p == '\t'); p++)
		;
	for (; end > p && (end[-1] == ' ' || end[-1] == '\t'); end--)
		;
	if ((n = end - p) >= sizeof(value))
		return 0;
	memcpy(value, p, n);
	value[n] = '\0';
	field(name, value, hr);
	return 0;
}

ssize_t
http_parse(const char *buf, size_t len, struct http_req *hr)
{
	const char	*end, *p = buf, *line;
	int		 first = 1;

	memset(hr, 0, sizeof(*hr));
	while ((end = memchr(p, '\n', len - (p - buf))) != NULL) {
		line = p;
		p = end + 1;
		if (end > line && end[-1] == '\r')
			end--;
		if (end == line)
			return first ? -1 : p - buf;
		if ((first ? request_line(line, end, hr) :
		    field_line(line, end, hr)) == -1)
			return -1;
		first = 0;
	}
	return len >= HEAD_MAX ? -1 : 0;
}

struct page {
	const char	*p_path;
	const char	*p_status;
	const char	*p_fields;
	const char	*p_body;
	int		 p_read_only;	/* GET and HEAD alone */
};

static const struct page	 pages[] = {
	{ "/derp", "426 Upgrade Required",
	    "Upgrade: DERP\r\nContent-Type: text/plain\r\n",
	    "DERP requires connection upgrade\n", 0 },
	{ "/derp/probe", "200 OK", "Access-Control-Allow-Origin: *\r\n", "",
	    1 },
	{ "/derp/latency-check", "200 OK",
	    "Access-Control-Allow-Origin: *\r\n", "", 1 },
	{ "/generate_204", "204 No Content", "Cache-Control: no-cache, "
	    "no-store, must-revalidate, no-transform, max-age=0\r\n", "",
	    0 },
	{ "/robots.txt", "200 OK", "Content-Type: text/plain\r\n",
	    "User-agent: *\nDisallow: /\n", 0 },
	{ "/", "200 OK", "Content-Type: text/plain; charset=utf-8\r\n",
	    "This is a DERP relay of a mesh VPN. See derpd(8).\n", 0 }
};

static const struct page	 page_404 = {
	NULL, "404 Not Found", "Content-Type: text/plain\r\n",
	"404 page not found\n", 0
};
static const struct page	 page_405 = {
	NULL, "405 Method Not Allowed", "Content-Type: text/plain\r\n",
	"bogus probe method\n", 0
};

size_t
http_answer(const struct http_req *hr, char *buf, size_t size)
{
	const struct page	*p = &page_404;
	char			 challenge[128] = "";
	size_t			 i;
	int			 n, head;

	head = strcmp(hr->hr_method, "HEAD") == 0;
	for (i = 0; i < nitems(pages); i++)
		if (strcmp(hr->hr_path, pages[i].p_path) == 0)
			p = &pages[i];
	if (p->p_read_only && !head && strcmp(hr->hr_method, "GET") != 0)
		p = &page_405;
	if (hr->hr_challenge[0] != '\0' && p->p_path != NULL &&
	    strcmp(p->p_path, "/generate_204") == 0)
		(void)snprintf(challenge, sizeof(challenge),
		    "X-Tailscale-Response: response %s\r\n",
		    hr->hr_challenge);
	n = snprintf(buf, size, "HTTP/1.1 %s\r\n%s%sContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n%s", p->p_status, p->p_fields,
	    challenge, strlen(p->p_body), head ? "" : p->p_body);
	return n < 0 || (size_t)n >= size ? 0 : n;
}

size_t
http_body(const struct http_req *hr, const char *type, const char *body,
    size_t len, char *buf, size_t size)
{
	int	 n;

	n = snprintf(buf, size, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"
	    "Content-Length: %zu\r\nConnection: close\r\n\r\n", type, len);
	if (n < 0 || (size_t)n >= size)
		return 0;
	if (strcmp(hr->hr_method, "HEAD") == 0)
		return n;
	if (len > size - n)
		return 0;
	memcpy(buf + n, body, len);
	return n + len;
}

size_t
http_redirect(const struct http_req *hr, const char *host, char *buf,
    size_t size)
{
	int	 n;

	n = snprintf(buf, size, "HTTP/1.1 302 Found\r\n"
	    "Location: https://%s%s%s%s\r\nContent-Length: 0\r\n"
	    "Connection: close\r\n\r\n", host, hr->hr_path,
	    hr->hr_query[0] != '\0' ? "?" : "", hr->hr_query);
	return n < 0 || (size_t)n >= size ? 0 : n;
}

int
http_query(const struct http_req *hr, const char *name, char *buf, size_t size)
{
	const char	*p = hr->hr_query;
	size_t		 n, len = strlen(name);

	for (; *p != '\0'; p += n + (p[n] == '&')) {
		n = strcspn(p, "&");
		if (n <= len || p[len] != '=' || strncmp(p, name, len) != 0)
			continue;
		if (n - len - 1 >= size)
			return -1;
		memcpy(buf, p + len + 1, n - len - 1);
		buf[n - len - 1] = '\0';
		return 0;
	}
	return -1;
}
