/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Heads of HTTP/1.1 requests: what is read, what is refused, and how.
 */
/* link: ../../coordd/frontd/http.c */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../coordd/frontd/http.h"

#define G	"GET / HTTP/1.1\r\n"

static const struct {
	const char	*head;
	int		 status;
} heads[] = {
	{ "", 0 },
	{ "GET", 0 },
	{ G, 0 },
	{ G "Host: h\r\n", 0 },
	{ G "\r\n", 200 },
	{ G "Host: h\r\n\r\n", 200 },
	{ "GET / HTTP/1.1\n\n", 200 },
	{ "GET / HTTP/1.0\r\n\r\n", 200 },
	{ "GET http://h/x HTTP/1.1\r\n\r\n", 200 },
	{ "\r\n", 400 },
	{ "GET\r\n", 400 },
	{ "GET /\r\n", 400 },
	{ " GET / HTTP/1.1\r\n", 400 },
	{ "GET  / HTTP/1.1\r\n", 400 },
	{ "GET / x HTTP/1.1\r\n", 400 },
	{ "GET x HTTP/1.1\r\n", 400 },
	{ "GET http://h HTTP/1.1\r\n", 400 },
	{ "G\tT / HTTP/1.1\r\n", 400 },
	{ "GET /\x01 HTTP/1.1\r\n", 400 },
	{ "GET / HTTP/2.0\r\n", 505 },
	{ "GET / HTTX/1.1\r\n", 400 },
	{ "AVERYLONGMETHODNAME / HTTP/1.1\r\n", 501 },
	{ G "no colon\r\n", 400 },
	{ G ": v\r\n", 400 },
	{ G "a b: v\r\n", 400 },
	{ G "a : v\r\n", 400 },
	{ G " folded: v\r\n", 400 },
	{ G "a: v\x01\r\n", 400 },
	{ G "Content-Length: 5\r\n\r\n", 200 },
	{ G "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 200 },
	{ G "Content-Length: 5\r\nContent-Length: 6\r\n", 400 },
	{ G "Content-Length: -5\r\n", 400 },
	{ G "Content-Length: +5\r\n", 400 },
	{ G "Content-Length: 5, 5\r\n", 400 },
	{ G "Content-Length: \r\n", 400 },
	{ G "Content-Length: 99999999999999999999\r\n", 400 },
	{ G "Transfer-Encoding: chunked\r\n\r\n", 200 },
	{ G "Transfer-Encoding: gzip\r\n", 501 },
	{ G "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400 },
};

static void
fields(void)
{
	static const char	 head[] = "POST /ts2021?a=b HTTP/1.1\r\n"
	    "cOnTent-length:0\r\nConnection: keep-alive , UPGRADE\r\n"
	    "Upgrade: Tailscale-Control-Protocol\r\n"
	    "X-Tailscale-Handshake:\t abc= \r\n\r\nNOISE";
	struct http_req		 hr;
	size_t			 used;

	if (http_head_parse(head, sizeof(head) - 1, &hr, &used) != 200)
		errx(1, "fields: refused");
	if (strcmp(hr.hr_method, "POST") != 0 ||
	    strcmp(hr.hr_path, "/ts2021") != 0 ||
	    strcmp(hr.hr_query, "a=b") != 0 ||
	    strcmp(hr.hr_upgrade, "tailscale-control-protocol") != 0 ||
	    strcmp(hr.hr_handshake, "abc=") != 0 || hr.hr_length != 0 ||
	    hr.hr_conn_upgrade != 1 || strcmp(head + used, "NOISE") != 0)
		errx(1, "fields: wrong");
}

static void
bounds(void)
{
	struct http_req	 hr;
	char		*big;
	size_t		 i, used;

	if ((big = malloc(2 * HTTP_HEAD_MAX)) == NULL)
		err(1, NULL);
	memset(big, 'a', 2 * HTTP_HEAD_MAX);
	memcpy(big, G "x: ", strlen(G) + 3);
	if (http_head_parse(big, HTTP_HEAD_MAX - 1, &hr, &used) != 0)
		errx(1, "bounds: refused too early");
	if (http_head_parse(big, HTTP_HEAD_MAX, &hr, &used) != 431)
		errx(1, "bounds: line without end");
	memcpy(big + HTTP_HEAD_MAX - 1, "\r\n\r\n", 4);
	if (http_head_parse(big, 2 * HTTP_HEAD_MAX, &hr, &used) != 431)
		errx(1, "bounds: long line");
	for (i = strlen(G); i + 4 < HTTP_HEAD_MAX; i += 4)
		memcpy(big + i, "a:b\n", 4);
	if (http_head_parse(big, HTTP_HEAD_MAX, &hr, &used) != 431)
		errx(1, "bounds: many lines");
	memset(big, 'a', HTTP_HEAD_MAX);
	memcpy(big, "GET /", 5);
	memcpy(big + 2000, " HTTP/1.1\r\n\r\n", 13);
	if (http_head_parse(big, 2013, &hr, &used) != 414)
		errx(1, "bounds: long target");
	free(big);
}

static void
texts(void)
{
	char	 buf[64];

	if (http_query_get("a=1&v=1%34%35", "v", buf, sizeof(buf)) == -1 ||
	    strcmp(buf, "145") != 0)
		errx(1, "query: %s", buf);
	if (http_query_get("v=%00", "v", buf, sizeof(buf)) != -1 ||
	    http_query_get("v=%4", "v", buf, sizeof(buf)) != -1 ||
	    http_query_get("vv=1", "v", buf, sizeof(buf)) != -1 ||
	    http_query_get("", "v", buf, sizeof(buf)) != -1 ||
	    http_query_get("v=12345", "v", buf, 5) != -1)
		errx(1, "query: was read");
	if (http_escape("<a href='\"&'>", buf, sizeof(buf)) == -1 ||
	    strcmp(buf, "&lt;a href=&#39;&quot;&amp;&#39;&gt;") != 0)
		errx(1, "escape: %s", buf);
	if (http_escape("<<<<", buf, 16) != -1 || buf[0] != '\0')
		errx(1, "escape: was cut");
}

int
main(void)
{
	struct http_req	 hr;
	size_t		 i, used;
	int		 got;

	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		got = http_head_parse(heads[i].head, strlen(heads[i].head),
		    &hr, &used);
		if (got != heads[i].status)
			errx(1, "head %zu: %d instead of %d: %s", i, got,
			    heads[i].status, heads[i].head);
	}
	fields();
	bounds();
	texts();
	return 0;
}
