/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The relay's HTTP: upgrades, queries, redirects; calls of an admission
 * server and its answers; the list of keys that are let in.
 */
/* link: ../../derpd/relay/http.c ../../derpd/relay/admit.c */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../derpd/relay/admit.h"
#include "../../derpd/relay/relay.h"

#define OK1	"HTTP/1.1 200 OK\r\n"
#define OK0	"HTTP/1.0 200 OK\r\n"
#define YES	"{\"Allow\":true}"

static const struct {
	const char	*text;
	int		 end;
	int		 want;
} answers[] = {
	{ OK1 "Content-Length: 14\r\n\r\n" YES, 0, 1 },
	{ OK0 "\r\n" YES, 1, 1 },
	{ "HTTP/1.0 200 OK\n\n{\"Allow\":true,\"Other\":1}\n", 1, 1 },
	{ OK0 "\r\n" YES, 0, 0 },
	{ OK1 "Content-Length: 15\r\n\r\n" YES, 0, 0 },
	{ OK1 "Content-Length: 15\r\n\r\n" YES, 1, -1 },
	{ OK1 "Content-Length: 13\r\n\r\n" YES, 0, -1 },
	{ OK1 "Content-Length: 9999999\r\n\r\n", 0, -1 },
	{ OK1 "Content-Length: -1\r\n\r\n", 0, -1 },
	{ OK1 "Content-Length: 15\r\n\r\n{\"Allow\":false}", 0, -1 },
	{ OK0 "\r\n{\"Allow\":\"true\"}", 1, -1 },
	{ OK0 "\r\n{\"Allow\":1}", 1, -1 },
	{ OK0 "\r\n{}", 1, -1 },
	{ OK0 "\r\ntrue", 1, -1 },
	{ OK0 "\r\n", 1, -1 },
	{ OK0, 1, -1 },
	{ "HTTP/1.0 2000 OK\r\n\r\n" YES, 1, -1 },
	{ "HTTP/1.0 403 No\r\n\r\n" YES, 1, -1 },
	{ "HTTP/2 200\r\n\r\n" YES, 1, -1 },
	{ OK1 "Transfer-Encoding: chunked\r\n\r\ne\r\n"
	    "{\"Allow\":true}\r\n0\r\n\r\n", 1, -1 },
	{ "", 0, 0 },
	{ "", 1, -1 }
};

static void
test_answers(void)
{
	char	 big[ADMIT_MAX + 1];
	size_t	 i;
	int	 got;

	for (i = 0; i < nitems(answers); i++) {
		got = admit_response(answers[i].text, strlen(answers[i].text),
		    answers[i].end);
		if (got != answers[i].want)
			errx(1, "answer %zu: %d", i, got);
	}
	memset(big, 'x', sizeof(big));
	if (admit_response(big, ADMIT_MAX, 0) != -1 ||
	    admit_response(big, ADMIT_MAX + 1, 0) != -1)
		errx(1, "an answer without an end");
}

static void
test_request(void)
{
	static const char	 want[] = "POST /v HTTP/1.0\r\n"
	    "Host: [2001:db8::1]:81\r\nUser-Agent: derpd\r\n"
	    "Content-Type: application/json\r\nContent-Length: 115\r\n\r\n"
	    "{\"NodePublic\":\"nodekey:0101010101010101010101010101010101"
	    "010101010101010101010101010101\",\"Source\":\"198.51.100.200\"}";
	uint8_t			 key[KEY_LEN];
	char			 buf[1024];
	ssize_t			 n;

	memset(key, 1, sizeof(key));
	n = admit_request("2001:db8::1", 81, "/v", key, "198.51.100.200", buf,
	    sizeof(buf));
	if (n != sizeof(want) - 1 || memcmp(buf, want, n) != 0)
		errx(1, "the call: %.*s", (int)n, buf);
	if (admit_request("x", 81, "/v", key, "y", buf, 100) != -1)
		errx(1, "a call that does not fit");
}

static void
test_list(void)
{
	static const char	 bad[] = "# one\n\nnodekey:12\n";
	struct admit_list	 al;
	uint8_t			 key[KEY_LEN];
	unsigned int		 line;
	char			 text[32 * 80] = "# those\r\n\n \t# more\n";
	char			 hex[KEY_TEXT_MAX];
	int			 i;

	for (i = 20; i > 0; i--) {
		memset(key, i, sizeof(key));
		(void)key_print(KEY_NODE, key, hex, sizeof(hex));
		(void)snprintf(text + strlen(text), sizeof(text) -
		    strlen(text), "%s%s%s", i % 2 ? " " : "", hex,
		    i % 3 ? "\n" : " # name\r\n");
	}
	if (admit_list(&al, text, strlen(text), &line) == -1)
		errx(1, "line %u of a good list", line);
	if (al.al_n != 20)
		errx(1, "%zu keys", al.al_n);
	for (i = 0; i < 25; i++) {
		memset(key, i, sizeof(key));
		if (admit_list_has(&al, key) != (i > 0 && i <= 20))
			errx(1, "key %d", i);
	}
	admit_list_free(&al);
	if (admit_list(&al, bad, sizeof(bad) - 1, &line) != -1 || line != 3 ||
	    al.al_n != 0)
		errx(1, "a bad list, line %u", line);
	if (admit_list(&al, "", 0, &line) != 0 || admit_list_has(&al, key))
		errx(1, "an empty list");
}

static void
parse(const char *text, struct http_req *hr)
{
	if (http_parse(text, strlen(text), hr) != (ssize_t)strlen(text))
		errx(1, "refused: %s", text);
}

static void
test_head(void)
{
	struct http_req	 hr;
	char		 buf[512];

	parse("GET /derp HTTP/1.1\r\nUpgrade: WebSocket\r\n"
	    "Sec-WebSocket-Protocol: chat, derp\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", &hr);
	if (strcmp(hr.hr_upgrade, "websocket") != 0 || !hr.hr_ws_derp ||
	    strcmp(hr.hr_ws_key, "dGhlIHNhbXBsZSBub25jZQ==") != 0)
		errx(1, "an upgrade to WebSocket");
	parse("GET /b?a=1&q=x.y&qq=z&q=2 HTTP/1.1\r\n\r\n", &hr);
	if (http_query(&hr, "q", buf, sizeof(buf)) == -1 ||
	    strcmp(buf, "x.y") != 0 || http_query(&hr, "a", buf, 1) != -1 ||
	    http_query(&hr, "z", buf, sizeof(buf)) != -1)
		errx(1, "a query");
	if (http_redirect(&hr, "h", buf, sizeof(buf)) == 0 ||
	    strstr(buf, "Location: https://h/b?a=1&q=x.y&qq=z&q=2\r\n") ==
	    NULL || http_redirect(&hr, "h", buf, 40) != 0)
		errx(1, "a redirect");
	if (http_body(&hr, "t/t", "abc", 3, buf, sizeof(buf)) == 0 ||
	    http_body(&hr, "t/t", "abc", 3, buf, 70) != 0)
		errx(1, "a body");
}

int
main(void)
{
	test_answers();
	test_request();
	test_list();
	test_head();
	return 0;
}
