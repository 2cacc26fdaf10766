/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Operators' questions that children answer: numbers of our own go with
 * them, so that no child can answer what it was not asked.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "shoald.h"

#define REQ_MAX		64		/* open at once */
#define REQ_CLIENT_MAX	8		/* of one client */

struct req {
	TAILQ_ENTRY(req)	 r_entry;
	struct event		 r_ev;
	uint32_t		 r_number;	/* what children see */
	uint32_t		 r_client;
	uint32_t		 r_id;		/* what the client sees */
	unsigned int		 r_waiting;	/* bit per enum proc */
	enum msg_type		 r_type;
	int			 r_many;	/* more than one was asked */
};

static TAILQ_HEAD(, req)	 reqs = TAILQ_HEAD_INITIALIZER(reqs);
static uint32_t			 last_number;

static void
req_free(struct req *r)
{
	(void)event_del(&r->r_ev);
	TAILQ_REMOVE(&reqs, r, r_entry);
	free(r);
}

static void
req_end(struct req *r)
{
	client_send(r->r_client, IMSG_CTL_END, r->r_id, NULL, 0);
	req_free(r);
}

static void
req_timeout_cb(int fd, short events, void *arg)
{
	struct req	*r = arg;

	client_fail(r->r_client, r->r_id, 1, "no answer in time");
	req_free(r);
}

/* One of those asked has said all, or is gone. */
static void
req_child_done(struct req *r, enum proc proc, int lost)
{
	r->r_waiting &= ~(1U << proc);
	if (lost && r->r_type != IMSG_CTL_STATUS &&
	    r->r_type != IMSG_CTL_DEBUG) {
		client_fail(r->r_client, r->r_id, 1,
		    "%s is being replaced: try again", proc_name(proc));
		req_free(r);
	} else if (r->r_waiting == 0)
		req_end(r);
}

static int
req_room(uint32_t client)
{
	struct req	*r;
	unsigned int	 all = 0, own = 0;

	TAILQ_FOREACH(r, &reqs, r_entry) {
		all++;
		if (r->r_client == client)
			own++;
	}
	return all < REQ_MAX && own < REQ_CLIENT_MAX;
}

static struct req *
req_new(uint32_t client, uint32_t id, enum msg_type type, unsigned int ms)
{
	struct timeval	 tv;
	struct req	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		shoald_stop("out of memory");
	if (++last_number == 0)
		++last_number;
	r->r_number = last_number;
	r->r_client = client;
	r->r_id = id;
	r->r_type = type;
	TAILQ_INSERT_TAIL(&reqs, r, r_entry);
	evtimer_set(&r->r_ev, req_timeout_cb, r);
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	(void)evtimer_add(&r->r_ev, &tv);
	return r;
}

/* Those who are there; -1 if one is not whose answer is the whole answer. */
static int
req_targets(const enum proc *procs, size_t n, enum msg_type type,
    unsigned int *mask)
{
	size_t	 i;

	*mask = 0;
	for (i = 0; i < n; i++)
		if (child_running(procs[i]))
			*mask |= 1U << procs[i];
		else if (type != IMSG_CTL_STATUS && type != IMSG_CTL_DEBUG)
			return -1;
	return 0;
}

int
ctlreq_ask(uint32_t client, uint32_t id, const enum proc *procs, size_t n,
    enum msg_type type, const void *data, size_t len, unsigned int ms)
{
	struct req	*r;
	unsigned int	 mask;
	size_t		 i;

	if (!req_room(client))
		return -1;
	if (req_targets(procs, n, type, &mask) == -1) {
		client_fail(client, id, 1, "a process is being replaced: "
		    "try again");
		return 0;
	}
	r = req_new(client, id, type, ms);
	r->r_waiting = mask;
	r->r_many = n > 1;
	for (i = 0; i < n; i++)
		if (mask & (1U << procs[i]))
			(void)chan_compose(&child_get(procs[i])->pc_chan,
			    type, r->r_number, -1, data, len);
	if (mask == 0)
		req_end(r);
	return 0;
}

static struct req *
req_find(uint32_t number, enum proc proc)
{
	struct req	*r;

	TAILQ_FOREACH(r, &reqs, r_entry)
		if (r->r_number == number && r->r_waiting & (1U << proc))
			return r;
	return NULL;
}

static int
req_failed(struct req *r, enum proc proc, struct imsg *imsg)
{
	struct msg_ctl_fail	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.text, sizeof(m.text)))
		return -1;
	/* All were asked: others may know. */
	if (r->r_type == IMSG_CTL_DEBUG && r->r_many) {
		req_child_done(r, proc, 0);
		return 0;
	}
	client_fail(r->r_client, r->r_id, m.code, "%s", m.text);
	req_free(r);
	return 0;
}

int
ctlreq_answer(struct proc_child *pc, struct imsg *imsg)
{
	static uint8_t	 buf[MAX_IMSGSIZE];
	struct req	*r;
	enum msg_type	 type = imsg_get_type(imsg);
	size_t		 len = imsg_get_len(imsg);

	/* The asker may be gone, or the time over. */
	if ((r = req_find(imsg_get_id(imsg), pc->pc_proc)) == NULL)
		return 0;
	if (type == IMSG_CTL_END) {
		req_child_done(r, pc->pc_proc, 0);
		return 0;
	}
	if (type == IMSG_CTL_FAIL)
		return req_failed(r, pc->pc_proc, imsg);
	if (len > sizeof(buf) || imsg_get_buf(imsg, buf, len) == -1)
		return -1;
	client_send(r->r_client, type, r->r_id, buf, len);
	if (type == IMSG_CTL_PONG)	/* there is but one */
		req_end(r);
	return 0;
}

void
ctlreq_child_lost(enum proc proc)
{
	struct req	*r, *tmp;

	TAILQ_FOREACH_SAFE(r, &reqs, r_entry, tmp)
		if (r->r_waiting & (1U << proc))
			req_child_done(r, proc, 1);
}

void
ctlreq_client_gone(uint32_t client)
{
	struct req	*r, *tmp;

	TAILQ_FOREACH_SAFE(r, &reqs, r_entry, tmp)
		if (r->r_client == client)
			req_free(r);
}
