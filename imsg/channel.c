/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Channels in the event loop: every message in and out stands in the table
 * of messages.h, or goes nowhere.
 */

#include <sys/types.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "log.h"
#include "msgtab.h"

#define FLUSH_MS	1000	/* last words wait no longer for the reader */

static void	(*guard_enter)(void);
static void	(*guard_leave)(void);

static void	chan_event_cb(int, short, void *);

/* Wait for what there is to do now; timeout: call back at once. */
static void
chan_arm(struct chan *c, const struct timeval *timeout)
{
	short	 events = EV_READ | EV_PERSIST;

	c->c_writing = imsgbuf_queuelen(&c->c_imsgbuf) > 0;
	if (c->c_writing)
		events |= EV_WRITE;
	(void)event_del(&c->c_ev);
	event_set(&c->c_ev, c->c_imsgbuf.fd, events, chan_event_cb, c);
	if (event_add(&c->c_ev, timeout) == -1)
		fatal("event_add");
}

void
chan_open(struct chan *c, int fd, enum proc self, enum proc peer,
    const struct chan_cb *cb, void *arg)
{
	int	 flags;

	if (c->c_open)
		chan_close(c);
	if ((flags = fcntl(fd, F_GETFL)) == -1 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		fatal("channel to %s", proc_name(peer));
	if (imsgbuf_init(&c->c_imsgbuf, fd) == -1)
		fatal("channel to %s", proc_name(peer));
	if (msgtab_fdpass(self, peer))
		imsgbuf_allow_fdpass(&c->c_imsgbuf);
	c->c_cb = cb;
	c->c_arg = arg;
	c->c_self = self;
	c->c_peer = peer;
	c->c_open = 1;
	c->c_stuck = 0;
	c->c_generation++;
	event_set(&c->c_ev, fd, EV_READ | EV_PERSIST, chan_event_cb, c);
	if (event_add(&c->c_ev, NULL) == -1)
		fatal("event_add");
	c->c_writing = 0;
}

void
chan_close(struct chan *c)
{
	int	 fd;

	if (!c->c_open)
		return;
	c->c_open = 0;
	c->c_generation++;
	fd = c->c_imsgbuf.fd;
	(void)event_del(&c->c_ev);
	imsgbuf_clear(&c->c_imsgbuf);
	(void)close(fd);
}

static void
chan_lost(struct chan *c, enum chan_end end)
{
	chan_close(c);
	if (c->c_cb->cc_lost != NULL)
		c->c_cb->cc_lost(c, end);
}

/* Hand over what has come. Returns 0 if the channel is still the same. */
static int
chan_deliver(struct chan *c)
{
	struct imsg	 imsg;
	uint64_t	 generation = c->c_generation;
	int		 n, bad;

	while ((n = imsgbuf_get(&c->c_imsgbuf, &imsg)) == 1) {
		bad = msg_check(&imsg, c->c_peer, c->c_self) == -1;
		if (!bad && c->c_cb->cc_msg(c, &imsg) == -1) {
			bad = 1;
			log_warnx("bad message %s from %s",
			    msg_name(imsg_get_type(&imsg)),
			    proc_name(c->c_peer));
		}
		imsg_free(&imsg);
		if (c->c_generation != generation)
			return -1;
		if (bad) {
			errno = EBADMSG;
			chan_lost(c, CHAN_BROKEN);
			return -1;
		}
	}
	if (n == -1) {
		chan_lost(c, CHAN_BROKEN);
		return -1;
	}
	return 0;
}

static void
chan_event(struct chan *c, short events)
{
	int	 n = 1;

	if (c->c_stuck) {
		chan_lost(c, CHAN_STUCK);
		return;
	}
	/* What a dying neighbour said last is read before its end is seen. */
	if (events & EV_READ) {
		if ((n = imsgbuf_read(&c->c_imsgbuf)) == -1) {
			chan_lost(c, errno == ECONNRESET ? CHAN_EOF :
			    CHAN_BROKEN);
			return;
		}
		if (chan_deliver(c) == -1)
			return;
		if (n == 0) {
			chan_lost(c, CHAN_EOF);
			return;
		}
	}
	if (events & EV_WRITE &&
	    imsgbuf_write(&c->c_imsgbuf) == -1) {
		chan_lost(c, errno == EPIPE || errno == ECONNRESET ?
		    CHAN_EOF : CHAN_BROKEN);
		return;
	}
	if (c->c_writing != (imsgbuf_queuelen(&c->c_imsgbuf) > 0))
		chan_arm(c, NULL);
}

void
chan_guard(void (*enter)(void), void (*leave)(void))
{
	guard_enter = enter;
	guard_leave = leave;
}

static void
chan_event_cb(int fd, short events, void *arg)
{
	if (guard_enter != NULL)
		guard_enter();
	chan_event(arg, events);
	if (guard_leave != NULL)
		guard_leave();
}

/* Nobody reads there any more: say so from the loop. */
static int
chan_overflow(struct chan *c, int fd)
{
	struct timeval	 now = { 0, 0 };

	if (fd != -1)
		(void)close(fd);
	if (!c->c_stuck) {
		log_warnx("%s does not read its messages",
		    proc_name(c->c_peer));
		c->c_stuck = 1;
		chan_arm(c, &now);
	}
	errno = ENOBUFS;
	return -1;
}

static int
chan_composev(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const struct iovec *iov, int iovcnt)
{
	size_t	 len = 0;
	int	 i;

	for (i = 0; i < iovcnt; i++)
		len += iov[i].iov_len;
	if (!c->c_open) {
		if (fd != -1)
			(void)close(fd);
		errno = ENOTCONN;
		return -1;
	}
	if (msgtab_check(type, c->c_self, c->c_peer, len, fd != -1) != NULL)
		fatalx("message %s of %zu bytes to %s: %s", msg_name(type),
		    len, proc_name(c->c_peer),
		    msgtab_check(type, c->c_self, c->c_peer, len, fd != -1));
	if (c->c_stuck ||
	    imsgbuf_queuelen(&c->c_imsgbuf) >= CHAN_QUEUE_MAX)
		return chan_overflow(c, fd);
	if (imsg_composev(&c->c_imsgbuf, type, id, 0, fd, iov, iovcnt) == -1)
		fatal("message to %s", proc_name(c->c_peer));
	if (!c->c_writing)
		chan_arm(c, NULL);
	return 0;
}

int
chan_compose2(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const void *hdr, size_t hlen, const void *data, size_t len)
{
	union {
		const void	*in;
		void		*out;
	} u[2];
	struct iovec	 iov[2];

	u[0].in = hdr;			/* iov_base is never const */
	u[1].in = data;
	iov[0].iov_base = u[0].out;
	iov[0].iov_len = hlen;
	iov[1].iov_base = u[1].out;
	iov[1].iov_len = len;
	return chan_composev(c, type, id, fd, iov, 2);
}

int
chan_compose(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const void *data, size_t len)
{
	return chan_compose2(c, type, id, fd, data, len, NULL, 0);
}

int
chan_compose_drop(struct chan *c, enum msg_type type, uint32_t id,
    const void *data, size_t len)
{
	if (c->c_open && imsgbuf_queuelen(&c->c_imsgbuf) > CHAN_QUEUE_DROP) {
		c->c_dropped++;
		errno = ENOBUFS;
		return -1;
	}
	return chan_compose(c, type, id, -1, data, len);
}

size_t
chan_queued(const struct chan *c)
{
	return c->c_open ? msgbuf_queuelen(c->c_imsgbuf.w) : 0;
}

void
chan_flush(struct chan *c)
{
	struct pollfd	 pfd;

	while (chan_queued(c) > 0) {
		if (imsgbuf_write(&c->c_imsgbuf) == -1)
			return;
		pfd.fd = c->c_imsgbuf.fd;
		pfd.events = POLLOUT;
		if (chan_queued(c) > 0 && poll(&pfd, 1, FLUSH_MS) != 1)
			return;
	}
}

void
chan_push(struct chan *c)
{
	/* An error shows up in the loop as well. */
	if (c->c_open && !c->c_stuck)
		(void)imsgbuf_write(&c->c_imsgbuf);
}
