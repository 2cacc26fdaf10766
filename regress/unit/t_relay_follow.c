/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * For how long derpd believes coordd's list of clients: nobody is let in
 * before there is one, the last one holds for ten minutes after its last
 * whole word, and then nobody is let in until there is another.
 */
/* link: ../../derpd/relay/follow.c ../../derpd/relay/keylist.c */

#include <sys/types.h>
#include <sys/socket.h>

#include <err.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../derpd/relay/relay.h"
#include "os.h"

#define SECOND	1000000000LL
#define LIMIT	10		/* seconds that are waited for anything */
#define D62	"00000000000000000000000000000000000000000000000000000000000000"
#define K(x)	"nodekey:" D62 x "\n"
#define HEAD	"HTTP/1.1 200 OK\r\n\r\n"

/* --- the relay around it --- */

static struct msg_conf_relay	 conf;
static struct msg_conf_server	 server;
static void			(*connected)(int, void *);
static int64_t			 now = 1000 * SECOND;
static unsigned int		 reviews;
static int			 peer = -1;	/* the server's end */

int64_t
os_now(void)
{
	return now;
}

const struct msg_conf_relay *
relay_conf(void)
{
	return &conf;
}

const struct msg_conf_server *
servers_next(uint32_t kind, size_t *n)
{
	*n = 1;
	return kind == SERVER_COORDD ? &server : NULL;
}

int
dial(size_t n, void (*cb)(int, void *), void *arg)
{
	connected = cb;
	return 7;
}

void
dial_cancel(int d)
{
}

void
servers_prove(const struct msg_conf_server *s, struct tlsclient *t)
{
}

SSL *
tlsclient_new(int fd, struct tlsclient *t)
{
	return NULL;
}

const char *
tlsclient_error(SSL *ssl, int r, struct tlsclient *t)
{
	return "";
}

int
tlsserver_handshake(SSL *ssl)
{
	return -1;
}

ssize_t
tlsserver_read(SSL *ssl, void *p, size_t len)
{
	return -1;
}

ssize_t
tlsserver_write(SSL *ssl, const void *p, size_t len)
{
	return -1;
}

void
tlsserver_free(SSL *ssl)
{
}

void
core_review(int (*stays)(const uint8_t [DERP_KEY_LEN]))
{
	reviews++;
}

int
verify_stays(const uint8_t key[DERP_KEY_LEN])
{
	return 1;
}

void
conn_sweep(void)
{
}

void
log_info(const char *fmt, ...)
{
}

void
log_warn(const char *fmt, ...)
{
}

void
log_warnx(const char *fmt, ...)
{
}

int
log_limit(struct log_limit *l, int64_t when, unsigned int n, unsigned int s)
{
	return 0;
}

void
fatal(const char *fmt, ...)
{
	err(1, "fatal");
}

/* --- the server --- */

static void
tick_cb(int fd, short events, void *arg)
{
	*(int *)arg += 1;
}

/* So many rounds of the loop, 10 ms each, or until it dials. */
static void
rounds(int n, int dialled)
{
	struct timeval	 tv = { 0, 10000 };
	struct event	 ev;
	int		 i = 0;

	evtimer_set(&ev, tick_cb, &i);
	while (i < n && (!dialled || connected == NULL)) {
		if (!evtimer_pending(&ev, NULL))
			(void)evtimer_add(&ev, &tv);
		(void)event_loop(EVLOOP_ONCE);
	}
	(void)evtimer_del(&ev);
}

static void
say(const char *text)
{
	if (write(peer, text, strlen(text)) != (ssize_t)strlen(text))
		err(1, "write");
	rounds(2, 0);
}

/* Its next connection, and the request. */
static void
connection(void)
{
	void	(*cb)(int, void *);
	char	 buf[1024];
	ssize_t	 n;
	int	 sv[2];

	rounds(LIMIT * 100, 1);
	if ((cb = connected) == NULL)
		errx(1, "it does not dial");
	connected = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == -1)
		err(1, "socketpair");
	peer = sv[1];
	cb(sv[0], NULL);
	rounds(2, 0);
	if ((n = read(peer, buf, sizeof(buf) - 1)) <= 0)
		err(1, "no request");
	buf[n] = '\0';
	if (strncmp(buf, "GET /derp/clients HTTP/1.0\r\n", 28) != 0 ||
	    strstr(buf, "\r\nAuthorization: Bearer 0101") == NULL)
		errx(1, "request: %s", buf);
}

static void
hang_up(void)
{
	(void)close(peer);
	peer = -1;
	rounds(2, 0);
}

static int
has(unsigned int n)
{
	uint8_t	 key[DERP_KEY_LEN] = { 0 };

	key[DERP_KEY_LEN - 1] = n;
	return follow_has(key);
}

static void
want(const char *when, int one, int two)
{
	if (has(1) != one || has(2) != two)
		errx(1, "%s: %d %d", when, has(1), has(2));
}

static void
configure(void)
{
	char	 text[] = "0101010101010101010101010101010101010101010101010101"
		    "010101010101\n";
	int	 p[2];

	server.kind = SERVER_COORDD;
	(void)strlcpy(server.host, "c.test", sizeof(server.host));
	(void)strlcpy(server.path, "/derp/clients", sizeof(server.path));
	conf.verify = RELAY_VERIFY_COORDD;
	if (pipe(p) == -1 || write(p[1], text, sizeof(text) - 1) == -1)
		err(1, "pipe");
	(void)close(p[1]);
	if (follow_file(p[0]) == -1)
		errx(1, "key file");
	follow_commit();
}

/* Ten minutes to the nanosecond after the word at that time. */
static void
want_until(const char *when, int64_t said, int one, int two)
{
	now = said + 600 * SECOND - 1;
	want(when, one, two);
	now++;
	want(when, 0, 0);
}

int
main(void)
{
	uint8_t	 gone[DERP_KEY_LEN] = { 0 };
	int64_t	 said;

	event_init();
	configure();
	want("at first", 0, 0);
	connection();
	say(HEAD "+" K("01"));
	want("half a list", 0, 0);
	said = now;
	say(".\n");
	want("a list", 1, 0);
	hang_up();
	want_until("the server is gone", said, 1, 0);
	gone[DERP_KEY_LEN - 1] = 9;
	if (follow_stays(gone))
		errx(1, "who was never in it stays");

	/* Another list: half of it is no word. */
	connection();
	say(HEAD "+" K("02"));
	want("half of another list", 0, 0);
	said = now;
	say(".\n");
	want("another list", 0, 1);

	/* What changes counts at once, but only "." is a whole word. */
	now = said + 500 * SECOND;
	reviews = 0;
	say("+" K("01") "-" K("02"));
	want("a change", 1, 0);
	if (reviews == 0)
		errx(1, "those who are here are not looked at");
	want_until("a change is no word", said, 1, 0);
	now = said += 5000 * SECOND;
	say(".\n");
	want_until("a word after a long time", said, 1, 0);

	/* A server that refuses has said nothing. */
	now = said + 300 * SECOND;
	hang_up();
	connection();
	say("HTTP/1.1 403 Forbidden\r\n\r\n");
	want_until("refused", said, 1, 0);

	/* Without it, nothing is kept. */
	now = said;
	conf.verify = RELAY_VERIFY_NONE;
	follow_commit();
	want("not configured", 0, 0);
	return 0;
}
