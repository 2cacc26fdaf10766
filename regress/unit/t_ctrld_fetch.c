/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * One request of ctrld by HTTP/1.1: what is sent, answers in pieces of every
 * size, how long a busy server is left alone, and answers that are none.
 */
/* link: ../../ctrld/fetch.c ../../ctrld/http1.c ../../ctrld/url.c */
/* link: ../../ctrld/backoff.c ../../ctrld/text.c */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctrld/ctrld.h"

#define MUCH	(100 * 1024)	/* more than any answer may have */
#define HEAD200	"HTTP/1.1 200 OK\r\n"

/* --- a connection that the test is the other end of --- */

struct conn {
	const struct conn_cb	*c_cb;
	void			*c_arg;
};

static struct conn	 line;
static char		 sent[4096];
static int		 open_now;

struct conn *
conn_open(const struct url *u, const struct conn_opt *opt,
    const struct conn_cb *cb, void *arg)
{
	line.c_cb = cb;
	line.c_arg = arg;
	open_now = 1;
	sent[0] = '\0';
	return &line;
}

void
conn_close(struct conn *c)
{
	open_now = 0;
}

void
conn_write(struct conn *c, const void *p, size_t len)
{
	size_t	 n = strlen(sent);

	if (len == 0)
		return;
	if (len > sizeof(sent) - 1 - n)
		errx(1, "request is too long");
	memcpy(sent + n, p, len);
	sent[n + len] = '\0';
}

void
fatal(const char *fmt, ...)
{
	err(1, "fatal");
}

/* --- answers --- */

static const struct {
	const char	*method;
	const char	*answer;
	int		 hangup;	/* then the connection is closed */
	int		 status;	/* -1: failed; 0: it goes on to wait */
	const char	*body;		/* its begin, or of the reason */
	uint32_t	 min, max;	/* milliseconds to wait */
} tests[] = {
	{ "GET", HEAD200 "Content-Length: 2\r\n\r\nok", 0, 200, "ok", 0, 0 },
	{ "GET", HEAD200 "Content-Length: 2\r\n\r\no", 0, 0, "", 0, 0 },
	{ "GET", HEAD200 "Content-Length: 2\r\n\r\no", 1, -1,
	    "connection closed within", 0, 0 },
	{ "GET", HEAD200 "\r\nto the end", 1, 200, "to the end", 0, 0 },
	{ "GET", HEAD200 "\r\nto the end", 0, 0, "", 0, 0 },
	{ "GET", HEAD200 "Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\n"
	    "k\r\n0\r\n\r\n", 0, 200, "ok", 0, 0 },
	{ "GET", HEAD200 "Content-Length: 65537\r\n\r\n", 0, -1,
	    "answer is broken or too long", 0, 0 },
	{ "GET", "HTTP/1.1 204 No Content\r\n\r\n", 0, 204, "", 0, 0 },
	{ "HEAD", HEAD200 "Content-Length: 9\r\n\r\n", 0, 200, "", 0, 0 },
	{ "GET", "SSH-2.0-x\r\n\r\n", 0, -1, "answer is not HTTP", 0, 0 },
	{ "GET", "", 1, -1, "gone", 0, 0 },
	{ "GET", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\n"
	    "Content-Length: 0\r\n\r\n", 0, 429, "", 17000, 17000 },
	{ "GET", "HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\n"
	    "Content-Length: 0\r\n\r\n", 0, 503, "", 3600000, 3600000 },
	{ "GET", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3601\r\n"
	    "Content-Length: 0\r\n\r\n", 0, 503, "", 0, 0 },
	{ "GET", "HTTP/1.1 503 Service Unavailable\r\n"
	    "Content-Length: 0\r\n\r\n", 0, 503, "", 0, 0 },
	{ "GET", "HTTP/1.1 429 Too Many Requests\r\n"
	    "Content-Length: 0\r\n\r\n", 0, 429, "", 5000, 9999 },
	{ "GET", "HTTP/1.1 429 x\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 "
	    "GMT\r\nContent-Length: 0\r\n\r\n", 0, 429, "", 5000, 9999 },
	{ "GET", "HTTP/1.1 500 x\r\nRetry-After: 17\r\n"
	    "Content-Length: 0\r\n\r\n", 0, 500, "", 0, 0 }
};

static struct fetch	*fetch;
static int		 got_status;
static char		 got_body[256];
static uint32_t		 got_wait;

static void
done(int status, const char *body, size_t len, void *arg)
{
	if (arg != &line || got_status != 0)
		errx(1, "called back wrongly");
	got_status = status;
	got_wait = fetch_retry_ms(fetch);
	(void)snprintf(got_body, sizeof(got_body), "%.*s", (int)len, body);
	fetch = NULL;
}

static void
start(const char *method)
{
	struct url	 u;
	char		 want[256];

	got_status = 0;
	got_body[0] = '\0';
	got_wait = 0;
	if (url_parse("https://c.test/key?v=1", &u) == -1)
		err(1, "url_parse");
	fetch = fetch_start(method, &u, NULL, done, &line);
	line.c_cb->cc_up(&line, line.c_arg);
	(void)snprintf(want, sizeof(want), "%s /key?v=1 HTTP/1.1\r\n"
	    "Host: c.test:443\r\nUser-Agent: shoal\r\nConnection: close\r\n"
	    "\r\n", method);
	if (strcmp(sent, want) != 0)
		errx(1, "request: %s", sent);
}

static void
give(const char *p, size_t len)
{
	uint8_t	*copy;

	if ((copy = malloc(len)) == NULL)
		err(1, NULL);
	memcpy(copy, p, len);
	line.c_cb->cc_data(&line, line.c_arg, copy, len);
	free(copy);
}

static void
hang_up(void)
{
	open_now = 0;
	line.c_cb->cc_lost(&line, line.c_arg, "gone");
}

static void
run(size_t t, size_t step)
{
	const char	*p = tests[t].answer;
	size_t		 left, n;

	start(tests[t].method);
	for (left = strlen(p); left > 0 && fetch != NULL; left -= n, p += n) {
		n = left < step ? left : step;
		give(p, n);
	}
	if (tests[t].hangup && fetch != NULL)
		hang_up();
	if (got_status != tests[t].status ||
	    strncmp(got_body, tests[t].body, strlen(tests[t].body)) != 0 ||
	    got_wait < tests[t].min || got_wait > tests[t].max)
		errx(1, "answer %zu by %zu: %d \"%s\", wait %u", t, step,
		    got_status, got_body, got_wait);
	if ((fetch != NULL) != open_now)
		errx(1, "answer %zu by %zu: connection", t, step);
	fetch_cancel(fetch);
}

/* An endless answer is not read to its end. */
static void
test_endless(const char *head)
{
	size_t	 n;

	start("GET");
	give(head, strlen(head));
	for (n = 0; n < MUCH && fetch != NULL; n += 10)
		give("XXXXXXXXX\n", 10);
	if (got_status != -1 || open_now)
		errx(1, "endless: %d \"%s\"", got_status, got_body);
}

int
main(void)
{
	size_t	 i, step;

	event_init();
	for (i = 0; i < nitems(tests); i++)
		for (step = 1; step < 400; step += step < 10 ? 1 : 50)
			run(i, step);
	test_endless("HTTP/1.1 200 OK\r\n\r\n");
	test_endless("HTTP/1.1 200 OK\r\nX: ");
	test_endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "fffff\r\n");
	return 0;
}
