/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Queries by TCP (RFC 7766): one after the other on a connection, few
 * connections, none for long.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dnsd.h"
#include "log.h"

#define CONNS_MAX	64
#define IDLE_SEC	10		/* between two steps forward */
#define QUERIES_MAX	100		/* on one connection */
#define QUERY_MAX	4096

struct tcp_conn {
	TAILQ_ENTRY(tcp_conn)	 t_entry;
	int			 t_fd;
	struct event		 t_ev;
	uint8_t			 t_in[2 + QUERY_MAX];
	size_t			 t_got;
	uint8_t			*t_out;		/* answer being written */
	size_t			 t_outlen;
	size_t			 t_sent;
	struct serve_job	*t_job;		/* asked of others */
	unsigned int		 t_queries;
	int			 t_busy;	/* no answer yet */
};

static TAILQ_HEAD(, tcp_conn)	 conns = TAILQ_HEAD_INITIALIZER(conns);
static unsigned int		 nconns;

static void	conn_event_cb(int, short, void *);
static void	conn_process(struct tcp_conn *);

static void
conn_free(struct tcp_conn *t)
{
	serve_cancel(t->t_job);
	(void)event_del(&t->t_ev);
	(void)close(t->t_fd);
	TAILQ_REMOVE(&conns, t, t_entry);
	nconns--;
	free(t->t_out);
	free(t);
}

void
tcp_reset(void)
{
	while (!TAILQ_EMPTY(&conns))
		conn_free(TAILQ_FIRST(&conns));
}

/* Waits for that, but not long; no events: for an answer of others. */
static void
conn_watch(struct tcp_conn *t, short events)
{
	struct timeval	 tv = { IDLE_SEC + 1, 0 };

	(void)event_del(&t->t_ev);
	event_set(&t->t_ev, t->t_fd, events, conn_event_cb, t);
	if (event_add(&t->t_ev, &tv) == -1)
		fatal("event_add");
}

static void
conn_answer(void *arg, const uint8_t *msg, size_t len)
{
	struct tcp_conn	*t = arg;

	t->t_job = NULL;
	t->t_busy = 0;
	if (len == 0) {
		shutdown(t->t_fd, SHUT_RDWR);	/* the event frees it */
		conn_watch(t, EV_READ);
		return;
	}
	if ((t->t_out = malloc(2 + len)) == NULL)
		fatal(NULL);
	t->t_out[0] = len >> 8;
	t->t_out[1] = len & 0xff;
	memcpy(t->t_out + 2, msg, len);
	t->t_outlen = 2 + len;
	t->t_sent = 0;
	conn_watch(t, EV_WRITE);
}

/* Is a whole query there? */
static void
conn_process(struct tcp_conn *t)
{
	uint8_t	 query[QUERY_MAX];
	size_t	 len;

	len = t->t_got >= 2 ? (size_t)(t->t_in[0] << 8 | t->t_in[1]) : 0;
	if (len > QUERY_MAX || t->t_queries == QUERIES_MAX) {
		conn_free(t);
		return;
	}
	if (t->t_got < 2 || t->t_got < 2 + len) {
		conn_watch(t, EV_READ);
		return;
	}
	memcpy(query, t->t_in + 2, len);
	t->t_got -= 2 + len;
	memmove(t->t_in, t->t_in + 2 + len, t->t_got);
	t->t_queries++;
	t->t_busy = 1;
	conn_watch(t, 0);
	t->t_job = serve_query(query, len, 0, conn_answer, t);
}

static void
conn_write(struct tcp_conn *t)
{
	ssize_t	 n;

	n = send(t->t_fd, t->t_out + t->t_sent, t->t_outlen - t->t_sent,
	    MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		conn_free(t);
		return;
	}
	if (n > 0)
		t->t_sent += n;
	if (t->t_sent < t->t_outlen) {
		conn_watch(t, EV_WRITE);
		return;
	}
	free(t->t_out);
	t->t_out = NULL;
	conn_process(t);
}

static void
conn_event_cb(int fd, short events, void *arg)
{
	struct tcp_conn	*t = arg;
	ssize_t		 n;

	if (events & EV_TIMEOUT) {
		conn_free(t);
		return;
	}
	if (t->t_out != NULL) {
		conn_write(t);
		return;
	}
	n = recv(fd, t->t_in + t->t_got, sizeof(t->t_in) - t->t_got, 0);
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR)) {
		conn_free(t);
		return;
	}
	if (n > 0)
		t->t_got += n;
	conn_process(t);
}

static int
conn_allowed(const struct sockaddr_storage *ss)
{
	union {
		struct sockaddr_in	 in;
		struct sockaddr_in6	 in6;
	} sa;

	memcpy(&sa, ss, sizeof(sa));
	switch (ss->ss_family) {
	case AF_INET:
		return serve_allowed_peer(
		    (const uint8_t *)&sa.in.sin_addr, AF_WIRE_INET);
	case AF_INET6:
		return serve_allowed_peer(
		    (const uint8_t *)&sa.in6.sin6_addr, AF_WIRE_INET6);
	default:
		return 0;
	}
}

void
tcp_accept(int listener)
{
	struct sockaddr_storage	 ss;
	struct tcp_conn		*t;
	socklen_t		 len = sizeof(ss);
	int			 fd;

	memset(&ss, 0, sizeof(ss));
	fd = accept4(listener, (struct sockaddr *)&ss, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return;
	if (!conn_allowed(&ss)) {
		(void)close(fd);
		return;
	}
	/* The oldest has had its chance. */
	if (nconns == CONNS_MAX)
		conn_free(TAILQ_FIRST(&conns));
	if ((t = calloc(1, sizeof(*t))) == NULL)
		fatal(NULL);
	t->t_fd = fd;
	event_set(&t->t_ev, fd, EV_READ, conn_event_cb, t);
	TAILQ_INSERT_TAIL(&conns, t, t_entry);
	nconns++;
	conn_watch(t, EV_READ);
}
