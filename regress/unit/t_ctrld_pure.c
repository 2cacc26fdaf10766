/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ctrld's pure parts: URLs, HTTP heads and chunks, back-off, c2n, log text.
 */
/* link: ../../ctrld/url.c ../../ctrld/http1.c ../../ctrld/backoff.c */
/* link: ../../ctrld/text.c ../../ctrld/c2n.c */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctrld/c2n.h"
#include "../../ctrld/pure.h"


#define nitems(a)	(sizeof((a)) / sizeof((a)[0]))

static const struct {
	const char	*text, *host, *path, *authority;
	int		 port, tls, af;
} urls[] = {
	{ "https://h", "h", "/", "h:443", 443, 1, 0 },
	{ "http://h", "h", "/", "h:80", 80, 0, 0 },
	{ "HTTPS://h.example:8443/", "h.example", "/", "h.example:8443",
	    8443, 1, 0 },
	{ "http://10.0.0.1:8080", "10.0.0.1", "/", "10.0.0.1:8080", 8080, 0,
	    AF_WIRE_INET },
	{ "http://[2001:db8::1]", "2001:db8::1", "/", "[2001:db8::1]:80",
	    80, 0, AF_WIRE_INET6 },
	{ "https://[::1]:99/a/b?c=d", "::1", "/a/b?c=d", "[::1]:99", 99, 1,
	    AF_WIRE_INET6 },
	{ "https://h?q", "h", "/?q", "h:443", 443, 1, 0 },
	{ "", NULL, NULL, NULL, 0, 0, 0 },
	{ "h", NULL, NULL, NULL, 0, 0, 0 },
	{ "ftp://h", NULL, NULL, NULL, 0, 0, 0 },
	{ "http://", NULL, NULL, NULL, 0, 0, 0 },
	{ "http://h:0", NULL, NULL, NULL, 0, 0, 0 },
	{ "http://h:65536", NULL, NULL, NULL, 0, 0, 0 },
	{ "http://h:", NULL, NULL, NULL, 0, 0, 0 },
	{ "http://u@h", NULL, NULL, NULL, 0, 0, 0 },
	{ "http://[::1", NULL, NULL, NULL, 0, 0, 0 },
	{ "http://[1.2.3.4]", NULL, NULL, NULL, 0, 0, 0 },
	{ "http://h/a b", NULL, NULL, NULL, 0, 0, 0 },
	{ "http://h\r\nX: y", NULL, NULL, NULL, 0, 0, 0 }
};

static void
test_urls(void)
{
	struct url	 u;
	char		 buf[300];
	size_t		 i;
	int		 r;

	for (i = 0; i < nitems(urls); i++) {
		r = url_parse(urls[i].text, &u);
		if ((r == 0) != (urls[i].host != NULL))
			errx(1, "url %s: %d", urls[i].text, r);
		if (r == -1)
			continue;
		if (strcmp(u.u_host, urls[i].host) != 0 ||
		    strcmp(u.u_path, urls[i].path) != 0 ||
		    u.u_port != urls[i].port || u.u_tls != urls[i].tls ||
		    u.u_ip.af != urls[i].af ||
		    strcmp(url_authority(&u, buf, sizeof(buf)),
		    urls[i].authority) != 0)
			errx(1, "url %s: %s %s %u %s", urls[i].text, u.u_host,
			    u.u_path, u.u_port, buf);
	}
}

#define UP	"HTTP/1.1 101 Switching Protocols\r\n"

static const struct {
	const char	*text;
	int		 len;	/* -2: all of it */
	int		 status, noise, upgrade;
	const char	*retry;
	int64_t		 length;
} heads[] = {
	{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 38, 200, 0, 0,
	    NULL, 5 },
	{ UP "Upgrade: Tailscale-Control-Protocol\r\nConnection: Upgrade\r\n"
	    "\r\n", -2, 101, 1, 1, NULL, HTTP_LEN_NONE },
	{ UP "upgrade:websocket\r\nconnection: keep-alive ,upgrade\r\n\r\n",
	    -2, 101, 0, 1, NULL, HTTP_LEN_NONE },
	{ "HTTP/1.0 204\n\n", -2, 204, 0, 0, NULL, HTTP_LEN_NONE },
	{ "HTTP/1.1 429 x\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n"
	    "\r\n", -2, 429, 0, 0, "7", HTTP_LEN_CHUNK },
	{ "HTTP/1.1 200 OK\r\n", 0, 0, 0, 0, NULL, 0 },
	{ "H", 0, 0, 0, 0, NULL, 0 },
	{ "", 0, 0, 0, 0, NULL, 0 },
	{ "HTTP/2 200 OK\r\n\r\n", -1, 0, 0, 0, NULL, 0 },
	{ "HTTP/1.1 20x OK\r\n\r\n", -1, 0, 0, 0, NULL, 0 },
	{ "HTTP/1.1 099 OK\r\n\r\n", -1, 0, 0, 0, NULL, 0 },
	{ "HTTP/1.1 2000\r\n\r\n", -1, 0, 0, 0, NULL, 0 },
	{ "\r\n\r\n", -1, 0, 0, 0, NULL, 0 },
	{ "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", -1, 0, 0, 0, NULL, 0 },
	{ "HTTP/1.1 200 OK\r\n: x\r\n\r\n", -1, 0, 0, 0, NULL, 0 },
	{ "HTTP/1.1 200 OK\r\nA b: x\r\n\r\n", -1, 0, 0, 0, NULL, 0 },
	{ "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -1, 0, 0, 0, NULL,
	    0 },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n"
	    "\r\n", -1, 0, 0, 0, NULL, 0 },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: "
	    "chunked\r\n\r\n", -1, 0, 0, 0, NULL, 0 },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
	    -1, 0, 0, 0, NULL, 0 }
};

static int
value_is(const struct http_head *h, const char *want)
{
	if (want == NULL)
		return h->h_retry == NULL;
	return h->h_retry != NULL && h->h_retrylen == strlen(want) &&
	    memcmp(h->h_retry, want, h->h_retrylen) == 0;
}

/* What a captive portal answers in the place of c.test, and what it is not. */
static const struct {
	const char	*head;
	const char	*want;		/* NULL: none; "": no host in it */
} portals[] = {
	{ "302 Found\r\nLocation: https://login.hotel.test/?u=c", "to "
	    "login.hotel.test: " },
	{ "302 x\r\nlocation: http://u:p@10.0.0.1:8080/a@b", "to 10.0.0.1: " },
	{ "307 x\r\nLocation: //hotel.test?a", "to hotel.test: " },
	{ "303 x\r\nLocation: HTTP://[fd00::1]:80", "to fd00::1: " },
	{ "302 x\r\nLocation: http://a\033[2Jb/", "" },
	{ "302 x\r\nLocation: http://a b/", "" },
	{ "302 x\r\nLocation: http://", "" },
	{ "302 x\r\nLocation: http://[::1", "to ::1: " },
	{ "511 Network Authentication Required", "" },
	{ "200 OK\r\nContent-Type: text/html; charset=utf-8", "" },
	{ "200 OK\r\nContent-Type: application/json", NULL },
	{ "200 OK", NULL },
	{ "204 No Content", NULL },
	{ "301 x\r\nLocation: https://C.test/key", NULL },
	{ "301 x\r\nLocation: https://c.test:8443/key", NULL },
	{ "302 x\r\nLocation: /login", NULL },
	{ "302 x", NULL },
	{ "404 x\r\nContent-Type: text/html", NULL },
	{ "502 x\r\nContent-Type: text/html", NULL },
	{ "101 x\r\nLocation: https://hotel.test/", NULL }
};

static void
test_portals(void)
{
	struct http_head	 h;
	char			 head[256], text[512];
	size_t			 i;
	int			 r;

	for (i = 0; i < nitems(portals); i++) {
		(void)snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n\r\n",
		    portals[i].head);
		if (http_head_parse((uint8_t *)head, strlen(head), &h) <= 0)
			errx(1, "portal %zu: head", i);
		r = http_portal(&h, "c.test", text, sizeof(text));
		if (r != (portals[i].want != NULL) ||
		    (r && strstr(text, portals[i].want) == NULL) ||
		    (r && *portals[i].want == '\0' &&
		    strstr(text, "leads to") != NULL))
			errx(1, "portal %zu: %d: %s", i, r, r ? text : "");
	}
}

/* Sun, 06 Nov 1994 08:49:37 GMT, as RFC 9110 has it, is this date. */
#define SUNDAY	784111777

static const struct {
	const char	*text;
	int64_t		 now;
	int		 want;
} afters[] = {
	{ "0", 0, 0 }, { "120", 0, 120 }, { "3600", 0, 3600 },
	{ "3601", 0, -1 }, { "99999999999999999999", 0, -1 },
	{ "-1", 0, -1 }, { "+1", 0, -1 }, { "1.5", 0, -1 }, { " 1", 0, -1 },
	{ "", 0, -1 }, { "soon", 0, -1 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT", SUNDAY - 60, 60 },
	{ "Sunday, 06-Nov-94 08:49:37 GMT", SUNDAY - 61, 61 },
	{ "Sun Nov  6 08:49:37 1994", SUNDAY - 62, 62 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT", SUNDAY, 0 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT", SUNDAY + 1000, 0 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT", SUNDAY - 3600, 3600 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT", SUNDAY - 3601, -1 },
	{ "Sun, 06 Nov 1994 08:49:37 CET", SUNDAY - 60, -1 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT and then some more of it",
	    SUNDAY - 60, -1 }
};

static void
test_retry_after(void)
{
	uint32_t	 ms;
	size_t		 i;
	int		 got;

	for (i = 0; i < nitems(afters); i++) {
		got = retry_after(afters[i].text, strlen(afters[i].text),
		    afters[i].now);
		if (got != afters[i].want)
			errx(1, "Retry-After: %s: %d", afters[i].text, got);
	}
	if (retry_asked_ms(200, 5, 0) != 0 || retry_asked_ms(500, 5, 0) != 0 ||
	    retry_asked_ms(429, 5, 0) != 5000 ||
	    retry_asked_ms(503, 5, 0) != 5000 ||
	    retry_asked_ms(503, -1, 0) != 0 || retry_asked_ms(503, 0, 0) != 0)
		errx(1, "what a busy server asks");
	ms = retry_asked_ms(429, -1, UINT32_MAX);
	if (ms < 5000 || ms >= 10000 || retry_asked_ms(429, 0, 0) != 5000)
		errx(1, "429 without a time");
}

static void
test_heads(void)
{
	struct http_head	 h;
	const char		*t;
	char			*big;
	size_t			 i;
	ssize_t			 r, want;

	for (i = 0; i < nitems(heads); i++) {
		t = heads[i].text;
		want = heads[i].len == -2 ? (int)strlen(t) : heads[i].len;
		r = http_head_parse((const uint8_t *)t, strlen(t), &h);
		if (r != want)
			errx(1, "head %zu: %zd", i, r);
		if (r > 0 && (h.h_status != heads[i].status ||
		    h.h_noise != heads[i].noise ||
		    h.h_upgrade != heads[i].upgrade ||
		    !value_is(&h, heads[i].retry) ||
		    h.h_length != heads[i].length))
			errx(1, "head %zu: %d %d %d %.*s %lld", i,
			    h.h_status, h.h_noise, h.h_upgrade,
			    (int)h.h_retrylen, h.h_retry == NULL ? "" :
			    h.h_retry, (long long)h.h_length);
	}
	if ((big = malloc(HTTP_HEAD_MAX)) == NULL)
		err(1, NULL);
	memset(big, 'a', HTTP_HEAD_MAX);
	if (http_head_parse((uint8_t *)big, HTTP_HEAD_MAX - 1, &h) != 0 ||
	    http_head_parse((uint8_t *)big, HTTP_HEAD_MAX, &h) != -1)
		errx(1, "endless head");
	free(big);
}

static const struct {
	const char	*in, *out;
	int		 r;
} chunks[] = {
	{ "5\r\nhello\r\n0\r\n\r\n", "hello", 1 },
	{ "2;x=y\r\nhe\r\n3\nllo\n0\r\nTrailer: x\r\n\r\n", "hello", 1 },
	{ "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", 1 },
	{ "0\r\n\r\n", "", 1 },
	{ "5\r\nhel", NULL, 0 },
	{ "5\r\nhello\r\n0\r\n", NULL, 0 },
	{ "", NULL, 0 },
	{ "x\r\n", NULL, -1 },
	{ "\r\n", NULL, -1 },
	{ "2\r\nhello\r\n", NULL, -1 },
	{ "fffffffff\r\n", NULL, -1 }
};

static void
test_chunks(void)
{
	uint8_t	 buf[256];
	size_t	 i, len;
	int	 r;

	for (i = 0; i < nitems(chunks); i++) {
		memcpy(buf, chunks[i].in, strlen(chunks[i].in));
		r = http_chunks(buf, strlen(chunks[i].in), &len);
		if (r != chunks[i].r)
			errx(1, "chunks %zu: %d", i, r);
		if (r == 1 && (len != strlen(chunks[i].out) ||
		    memcmp(buf, chunks[i].out, len) != 0))
			errx(1, "chunks %zu: %.*s", i, (int)len, buf);
	}
}

static void
test_backoff(void)
{
	static const struct {
		uint32_t	 n, random, ms;
	} t[] = {
		{ 0, UINT32_MAX, 0 }, { 1, 0, 5 }, { 1, UINT32_MAX, 14 },
		{ 2, 1U << 31, 40 }, { 10, 1U << 31, 1000 },
		{ 54, 0, 14580 }, { 55, 0, 15000 },
		{ 1000000, UINT32_MAX, 44999 }
	};
	size_t	 i;

	for (i = 0; i < nitems(t); i++)
		if (backoff_ms(t[i].n, t[i].random) != t[i].ms)
			errx(1, "back-off %u: %u", t[i].n,
			    backoff_ms(t[i].n, t[i].random));
}

static char *
doc(enum c2n_doc what)
{
	char	*text;

	if (what == C2N_METRICS)
		return NULL;
	if (asprintf(&text, "{\"d\":%d}", what) == -1)
		err(1, NULL);
	return text;
}

static void
test_c2n(void)
{
	static const struct {
		const char	*in, *status, *body;
	} t[] = {
		{ "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200", "" },
		{ "POST /echo?a=b HTTP/1.0\r\n\r\nhi", "200", "hi" },
		{ "GET /echo\n\nx", "200", "x" },
		{ "GET /echoes HTTP/1.1\r\n\r\n", "400",
		    "unknown c2n path\n" },
		{ "GET /debug/prefs HTTP/1.1\r\n\r\n", "200", "{\"d\":0}" },
		{ "GET /debug/health HTTP/1.1\r\n\r\n", "200", "{\"d\":1}" },
		{ "POST /debug/netmap HTTP/1.1\r\n\r\n{}", "200",
		    "{\"d\":2}" },
		{ "PUT /debug/netmap HTTP/1.1\r\n\r\n", "405",
		    "bad method\n" },
		{ "GET /debug/metrics HTTP/1.1\r\n\r\n", "503",
		    "not now, or too long\n" },
		{ "GET /update HTTP/1.1\r\n\r\n", "200", "\"Supported\":false,"
		    "\"Started\":false}\n" },
		{ "GET /posture/identity HTTP/1.1\r\n\r\n", "200",
		    "{\"PostureDisabled\":true}\n" },
		{ "GET /tls-cert-status?domain=x HTTP/1.1\r\n\r\n", "200",
		    "\"Missing\":true}\n" },
		{ "POST /logtail/flush HTTP/1.1\r\n\r\n", "500",
		    "uploads no logs\n" },
		{ "GET /logtail/flush HTTP/1.1\r\n\r\n", "405",
		    "bad method\n" },
		{ "GET /debug/goroutines HTTP/1.1\r\n\r\n", "501", "Go\n" },
		{ "GET /remoteapi/localapi/v0/status HTTP/1.1\r\n\r\n", "403",
		    "not offered\n" },
		{ "GET /remoteapi HTTP/1.1\r\n\r\n", "400",
		    "unknown c2n path\n" },
		{ "GET /echo HTTP/1.1\r\n", "400", "unknown c2n path\n" },
		{ "", "400", "unknown c2n path\n" }
	};
	char	*out, want[64];
	size_t	 i, len, n;

	for (i = 0; i < nitems(t); i++) {
		out = c2n_answer(t[i].in, strlen(t[i].in), doc, &len);
		if (out == NULL)
			err(1, NULL);
		n = strlen(t[i].body);
		(void)snprintf(want, sizeof(want), "HTTP/1.1 %s ",
		    t[i].status);
		if (len < n || memcmp(out, want, strlen(want)) != 0 ||
		    memcmp(out + len - n, t[i].body, n) != 0 ||
		    strstr(out, "\r\n\r\n") == NULL)
			errx(1, "c2n %zu: %.*s", i, (int)len, out);
		free(out);
	}
}

static void
test_text(void)
{
	char	 buf[16];

	text_vis(buf, sizeof(buf), "a\nb\\\xff");
	if (strcmp(buf, "a\\012b\\134\\377") != 0)
		errx(1, "text_vis: %s", buf);
	text_vis(buf, sizeof(buf), "\n\n\n\n\n\n");
	if (strcmp(buf, "\\012\\012\\012") != 0)
		errx(1, "text_vis: %s", buf);
	(void)strlcpy(buf, "J\xc3\xb6\033[m\xc2\x9bx", sizeof(buf));
	text_plain(buf);
	if (strcmp(buf, "J\xc3\xb6?[m??x") != 0)
		errx(1, "text_plain: %s", buf);
	text_vis(buf, 1, "abc");
	if (buf[0] != '\0')
		errx(1, "text_vis of nothing");
}

int
main(void)
{
	test_urls();
	test_heads();
	test_retry_after();
	test_portals();
	test_chunks();
	test_backoff();
	test_c2n();
	test_text();
	return 0;
}
