/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * One query to a list of servers, one after the other, over sockets that the
 * parent connects: each try has a fresh socket, so a fresh port, and a fresh
 * random id, and takes answers from that server's address alone.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "dnsd.h"
#include "log.h"
#include "proc.h"

#define UP_MAX		96		/* at once; each has a descriptor */
#define ROUNDS		2		/* through the list */
#define TRY_SEC		2		/* for an answer by UDP */
#define TRY_TCP_SEC	5
#define QUERY_MAX	4096

struct up_query {
	TAILQ_ENTRY(up_query)	 u_entry;
	uint32_t		 u_id;		/* of the UPSTREAM message */
	uint8_t			 u_query[2 + QUERY_MAX];  /* TCP's length */
	size_t			 u_len;
	struct servers		 u_servers;
	size_t			 u_try;
	int			 u_tcp;
	int			 u_fd;
	struct event		 u_ev;
	struct event		 u_timer;
	uint8_t			*u_buf;		/* TCP: what came */
	size_t			 u_got;
	size_t			 u_sent;
	uint8_t			*u_kept;	/* a refusal, if all refuse */
	size_t			 u_keptlen;
	const struct up_cb	*u_cb;
	void			*u_arg;
};

static TAILQ_HEAD(, up_query)	 queries = TAILQ_HEAD_INITIALIZER(queries);
static unsigned int		 nqueries;
static uint32_t			 next_id;

static void	up_try(struct up_query *);
static void	up_event_cb(int, short, void *);
static void	up_timer_cb(int, short, void *);

static void
up_close(struct up_query *u)
{
	(void)evtimer_del(&u->u_timer);
	if (u->u_fd != -1) {
		(void)event_del(&u->u_ev);
		(void)close(u->u_fd);
		u->u_fd = -1;
	}
	free(u->u_buf);
	u->u_buf = NULL;
	u->u_got = u->u_sent = 0;
	u->u_id = 0;
}

static void
up_free(struct up_query *u)
{
	up_close(u);
	TAILQ_REMOVE(&queries, u, u_entry);
	nqueries--;
	free(u->u_kept);
	free(u);
}

void
up_cancel(struct up_query *u)
{
	if (u != NULL)
		up_free(u);
}

static void
up_done(struct up_query *u, uint8_t *msg, size_t len)
{
	u->u_cb->uc_done(u->u_arg, msg, len);
	up_free(u);
}

static void
up_timer(struct up_query *u, int seconds)
{
	struct timeval	 tv = { seconds, 0 };

	evtimer_set(&u->u_timer, up_timer_cb, u);
	if (evtimer_add(&u->u_timer, &tv) == -1)
		fatal("evtimer_add");
}

static void
up_next(struct up_query *u)
{
	up_close(u);
	u->u_tcp = 0;
	u->u_try++;
	up_try(u);
}

/* Ask the parent for a socket to the server whose turn it is. */
static void
up_try(struct up_query *u)
{
	struct msg_upstream	 m;

	if (u->u_try >= u->u_servers.n * ROUNDS) {
		up_done(u, u->u_kept, u->u_keptlen);
		return;
	}
	if (++next_id == 0)
		next_id++;
	u->u_id = next_id;
	memset(&m, 0, sizeof(m));
	m.ep = u->u_servers.ep[u->u_try % u->u_servers.n];
	m.tcp = u->u_tcp;
	(void)chan_compose(proc_parent(), IMSG_UPSTREAM, u->u_id, -1, &m,
	    sizeof(m));
	up_timer(u, u->u_tcp ? TRY_TCP_SEC : TRY_SEC);
}

static void
up_timer_cb(int fd, short events, void *arg)
{
	up_next(arg);
}

struct up_query *
up_ask(const uint8_t *query, size_t len, const struct servers *servers,
    const struct up_cb *cb, void *arg)
{
	struct up_query	*u;

	if (nqueries >= UP_MAX || servers->n == 0 || len < DNS_HDR_LEN ||
	    len > QUERY_MAX)
		return NULL;
	if ((u = calloc(1, sizeof(*u))) == NULL)
		fatal(NULL);
	u->u_query[0] = len >> 8;
	u->u_query[1] = len & 0xff;
	memcpy(u->u_query + 2, query, len);
	u->u_len = len;
	u->u_servers = *servers;
	u->u_fd = -1;
	u->u_cb = cb;
	u->u_arg = arg;
	evtimer_set(&u->u_timer, up_timer_cb, u);
	TAILQ_INSERT_TAIL(&queries, u, u_entry);
	nqueries++;
	up_try(u);
	return u;
}

static void
up_watch(struct up_query *u, short events)
{
	event_set(&u->u_ev, u->u_fd, events | EV_PERSIST, up_event_cb, u);
	if (event_add(&u->u_ev, NULL) == -1)
		fatal("event_add");
}

/* A connected socket has come: send the query. */
static void
up_start(struct up_query *u, int fd)
{
	u->u_fd = fd;
	arc4random_buf(u->u_query + 2, 2);
	if (!u->u_tcp) {
		up_watch(u, EV_READ);
		if (send(fd, u->u_query + 2, u->u_len, 0) == -1)
			up_next(u);
		return;
	}
	if ((u->u_buf = malloc(2 + UINT16_MAX)) == NULL)
		fatal(NULL);
	up_watch(u, EV_WRITE);
}

int
up_msg(struct imsg *imsg)
{
	struct msg_connected	 m;
	struct up_query		*u;
	uint32_t		 id = imsg_get_id(imsg);
	int			 fd;

	fd = imsg_get_fd(imsg);
	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    (m.error == MSG_OK) != (fd != -1)) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	TAILQ_FOREACH(u, &queries, u_entry)
		if (u->u_id == id && u->u_fd == -1)
			break;
	if (u == NULL) {			/* not waited for any more */
		if (fd != -1)
			(void)close(fd);
		return 0;
	}
	if (m.error != MSG_OK)
		up_next(u);
	else
		up_start(u, fd);
	return 0;
}

/* Returns 0 if the query waits on. */
static int
up_judge(struct up_query *u, uint8_t *msg, size_t len)
{
	uint16_t	 id = u->u_query[2] << 8 | u->u_query[3];

	switch (u->u_cb->uc_judge(u->u_arg, id, msg, len)) {
	case UP_FINAL:
		up_done(u, msg, len);
		return 1;
	case UP_TRUNCATED:
		if (u->u_tcp) {
			up_next(u);
			return 1;
		}
		up_close(u);
		u->u_tcp = 1;
		up_try(u);
		return 1;
	case UP_NEXT:
		if (u->u_kept == NULL && (u->u_kept = malloc(len)) != NULL) {
			memcpy(u->u_kept, msg, len);
			u->u_keptlen = len;
		}
		up_next(u);
		return 1;
	default:
		return 0;
	}
}

static void
up_read_udp(struct up_query *u)
{
	uint8_t	 msg[DNS_UDP_MAX + 1];
	ssize_t	 n;
	int	 i;

	for (i = 0; i < 8; i++) {
		if ((n = recv(u->u_fd, msg, sizeof(msg), 0)) == -1) {
			/* ECONNREFUSED and the like: nobody is there. */
			if (errno != EAGAIN && errno != EINTR)
				up_next(u);
			return;
		}
		if (n <= DNS_UDP_MAX && up_judge(u, msg, n))
			return;
	}
}

static void
up_write_tcp(struct up_query *u)
{
	ssize_t	 n;

	n = send(u->u_fd, u->u_query + u->u_sent, 2 + u->u_len - u->u_sent,
	    MSG_NOSIGNAL);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			up_next(u);
		return;
	}
	u->u_sent += n;
	if (u->u_sent == 2 + u->u_len) {
		(void)event_del(&u->u_ev);
		up_watch(u, EV_READ);
	}
}

static void
up_read_tcp(struct up_query *u)
{
	uint8_t	*msg;
	ssize_t	 n;
	size_t	 len;

	n = recv(u->u_fd, u->u_buf + u->u_got, 2 + UINT16_MAX - u->u_got, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		up_next(u);
		return;
	}
	u->u_got += n;
	if (u->u_got < 2)
		return;
	len = u->u_buf[0] << 8 | u->u_buf[1];
	if (u->u_got < 2 + len)
		return;
	msg = u->u_buf;			/* up_close would free it */
	u->u_buf = NULL;
	if (!up_judge(u, msg + 2, len))
		up_next(u);
	free(msg);
}

static void
up_event_cb(int fd, short events, void *arg)
{
	struct up_query	*u = arg;

	if (!u->u_tcp)
		up_read_udp(u);
	else if (events & EV_WRITE)
		up_write_tcp(u);
	else
		up_read_tcp(u);
}
