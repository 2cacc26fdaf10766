/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The list of clients that coordd tells: asked for once, then it says what
 * changes. Without one nobody is let in; when its server is not heard any
 * more, the last one stays in force for a while, and then nobody is.
 */

#include <sys/types.h>

#include <errno.h>
#include <event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hexkey.h"
#include "keylist.h"
#include "os.h"
#include "relay.h"

#define T_START		10		/* seconds: connected, and shaken */
#define T_QUIET		30		/* it says something every 10 */
#define T_RETRY		1		/* and twice as long each time */
#define T_RETRY_MAX	30
#define LIST_VALID	(600 * 1000000000LL)	/* after its last word */
#define IN_MAX		65536
#define READS		16		/* in a row */

static struct {
	struct event	 f_ev;
	struct event	 f_timer;
	struct tlsclient f_tls;
	struct keylist	 f_list;
	SSL		*f_ssl;
	int64_t		 f_heard;	/* os_now() of its last word */
	int		 f_on;		/* it is configured */
	int		 f_fd;		/* -1: not connected */
	int		 f_dial;	/* -1: not under way */
	int		 f_shaken;
	int		 f_wait;	/* seconds, before the next try */
	size_t		 f_outlen, f_outoff, f_inlen;
	char		 f_out[1024];
	char		*f_in;		/* NULL: not connected */
	uint8_t		 f_key[HEXKEY_LEN];
	uint8_t		 f_next_key[HEXKEY_LEN];
} fo = { .f_fd = -1, .f_dial = -1 };

static struct log_limit	 limit;

static void	 follow_go(void);
static void	 follow_cb(int, short, void *);
static void	 follow_timer_cb(int, short, void *);

static void
follow_timer(int seconds)
{
	struct timeval	 tv = { seconds, 0 };

	tv.tv_usec = arc4random_uniform(500000);
	evtimer_add(&fo.f_timer, &tv);
}

static void
follow_close(void)
{
	dial_cancel(fo.f_dial);
	fo.f_dial = -1;
	if (fo.f_fd != -1) {
		event_del(&fo.f_ev);
		tlsserver_free(fo.f_ssl);
		fo.f_ssl = NULL;
		close(fo.f_fd);
		fo.f_fd = -1;
	}
	free(fo.f_in);
	fo.f_in = NULL;
	explicit_bzero(fo.f_out, sizeof(fo.f_out));
	keylist_begin(&fo.f_list);
}

static void
follow_failed(const char *why)
{
	if (log_limit(&limit, os_now(), 3, 300))
		log_warnx("verify clients coordd: %s", why);
	follow_close();
	if (fo.f_wait == 0)
		fo.f_wait = T_RETRY;
	follow_timer(fo.f_wait);
	fo.f_wait = fo.f_wait * 2 < T_RETRY_MAX ? fo.f_wait * 2 : T_RETRY_MAX;
}

/* --- a connection --- */

static int
follow_request(const struct msg_conf_server *m)
{
	const char	*open = "", *close = "";
	char		 key[HEXKEY_TEXT + 1];
	int		 n;

	if (strchr(m->host, ':') != NULL) {
		open = "[";
		close = "]";
	}
	hexkey_print(fo.f_key, key);
	/* HTTP/1.0: what follows the head is the text and nothing else. */
	n = snprintf(fo.f_out, sizeof(fo.f_out), "GET %s HTTP/1.0\r\n"
	    "Host: %s%s%s:%u\r\nUser-Agent: derpd\r\n"
	    "Authorization: Bearer %s\r\n\r\n", m->path, open, m->host,
	    close, m->port, key);
	explicit_bzero(key, sizeof(key));
	fo.f_outoff = 0;
	fo.f_outlen = n;
	return n > 0 && (size_t)n < sizeof(fo.f_out) ? 0 : -1;
}

static void
follow_connected(int fd, void *arg)
{
	const struct msg_conf_server	*m;
	size_t				 n = 0;

	fo.f_dial = -1;
	if (fd == -1) {
		follow_failed(strerror(errno));
		return;
	}
	fo.f_fd = fd;
	event_set(&fo.f_ev, fd, EV_WRITE, follow_cb, NULL);
	if ((fo.f_in = malloc(IN_MAX)) == NULL)
		fatal(NULL);
	fo.f_inlen = fo.f_shaken = 0;
	if ((m = servers_next(SERVER_COORDD, &n)) == NULL ||
	    follow_request(m) == -1) {
		follow_failed("it cannot be asked");
		return;
	}
	servers_prove(m, &fo.f_tls);
	if (m->tls && (fo.f_ssl = tlsclient_new(fd, &fo.f_tls)) == NULL)
		follow_failed(fo.f_tls.tc_why);
	else
		follow_go();
}

static void
follow_connect(void)
{
	size_t	 n = 0;

	if (servers_next(SERVER_COORDD, &n) == NULL ||
	    (fo.f_dial = dial(n - 1, follow_connected, NULL)) == -1)
		follow_failed("it cannot be asked");
	else
		follow_timer(T_START);
}

static void
follow_wait(short events)
{
	event_del(&fo.f_ev);
	event_set(&fo.f_ev, fo.f_fd, events, follow_cb, NULL);
	event_add(&fo.f_ev, NULL);
}

/* 1: go on; 0: it waits, or has failed. */
static int
follow_shake(void)
{
	if (fo.f_ssl == NULL || fo.f_shaken)
		return 1;
	switch (tlsserver_handshake(fo.f_ssl)) {
	case TLSSERVER_LATER:
		follow_wait(EV_READ);
		return 0;
	case TLSSERVER_WRITE:
		follow_wait(EV_WRITE);
		return 0;
	case TLSSERVER_DONE:
		fo.f_shaken = 1;
		return 1;
	default:
		follow_failed(tlsclient_error(fo.f_ssl, -1, &fo.f_tls));
		return 0;
	}
}

static ssize_t
follow_io(char *p, size_t len, int writing)
{
	ssize_t	 n;

	if (fo.f_ssl != NULL)
		return writing ? tlsserver_write(fo.f_ssl, p, len) :
		    tlsserver_read(fo.f_ssl, p, len);
	n = writing ? write(fo.f_fd, p, len) : read(fo.f_fd, p, len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

/* What it said counts from here on: who is not let in any more goes. */
static void
follow_heard(int what)
{
	int	 fresh;

	if (what & KEYLIST_SAID) {
		fresh = fo.f_wait != 0;
		fo.f_heard = os_now();
		fo.f_wait = 0;
		if (fresh) {
			log_info("verify clients coordd: %zu keys",
			    fo.f_list.kl_n);
			/* The next trouble is another one. */
			memset(&limit, 0, sizeof(limit));
		}
	}
	if (what & KEYLIST_FEWER)
		core_review(verify_stays);
}

static void
follow_read(void)
{
	ssize_t	 n = 1, used;
	int	 i, what;

	for (i = 0; i < READS && (n = follow_io(fo.f_in + fo.f_inlen,
	    IN_MAX - fo.f_inlen, 0)) > 0; i++) {
		fo.f_inlen += n;
		if ((used = keylist_input(&fo.f_list, fo.f_in, fo.f_inlen,
		    &what)) == -1) {
			follow_failed(fo.f_list.kl_head ? "not a list of keys,"
			    " or too long a one" : "refused: is it the same "
			    "key file, and the URL of coordd?");
			return;
		}
		fo.f_inlen -= used;
		memmove(fo.f_in, fo.f_in + used, fo.f_inlen);
		follow_heard(what);
		follow_timer(T_QUIET);
	}
	if (n == -1)
		follow_failed("connection lost");
	else
		follow_wait(EV_READ);
	/* There is more, and others have their turn first. */
	if (n > 0)
		event_active(&fo.f_ev, EV_READ, 1);
}

static void
follow_go(void)
{
	ssize_t	 n;

	if (!follow_shake())
		return;
	while (fo.f_outoff < fo.f_outlen) {
		if ((n = follow_io(fo.f_out + fo.f_outoff,
		    fo.f_outlen - fo.f_outoff, 1)) == -1) {
			follow_failed("connection lost");
			return;
		}
		if (n == 0) {
			follow_wait(EV_WRITE);
			return;
		}
		fo.f_outoff += n;
	}
	follow_read();
}

static void
follow_cb(int fd, short events, void *arg)
{
	follow_go();
	conn_sweep();
}

static void
follow_timer_cb(int fd, short events, void *arg)
{
	if (fo.f_fd == -1 && fo.f_dial == -1) {
		follow_connect();
		return;
	}
	follow_failed("no word from it for too long");
}

/* --- configuration --- */

int
follow_file(int fd)
{
	if (hexkey_read(fd, fo.f_next_key) == 0)
		return 0;
	log_warnx("verify clients coordd: the key file must hold 64 hex "
	    "digits, lower case, and nothing else");
	return -1;
}

void
follow_abort(void)
{
	explicit_bzero(fo.f_next_key, sizeof(fo.f_next_key));
}

void
follow_commit(void)
{
	if (fo.f_on) {
		follow_close();
		evtimer_del(&fo.f_timer);
	}
	memcpy(fo.f_key, fo.f_next_key, sizeof(fo.f_key));
	follow_abort();
	fo.f_on = relay_conf()->verify == RELAY_VERIFY_COORDD;
	if (!fo.f_on) {
		keylist_free(&fo.f_list);
		return;
	}
	evtimer_set(&fo.f_timer, follow_timer_cb, NULL);
	fo.f_wait = T_RETRY;
	follow_connect();
}

int
follow_has(const uint8_t key[DERP_KEY_LEN])
{
	return fo.f_list.kl_ever && os_now() - fo.f_heard < LIST_VALID &&
	    keylist_has(&fo.f_list, key);
}

int
follow_stays(const uint8_t key[DERP_KEY_LEN])
{
	return !fo.f_list.kl_ever || keylist_has(&fo.f_list, key);
}
