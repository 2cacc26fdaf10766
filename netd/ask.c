/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What netd may not do itself: names are asked of dnsd, connected sockets
 * of the parent.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netd.h"

struct ask {
	TAILQ_ENTRY(ask) a_entry;
	ask_resolved	 a_resolved;	/* one of the two */
	ask_connected	 a_connected;
	void		*a_arg;
	uint32_t	 a_id;
};

static TAILQ_HEAD(asks, ask)	 asks = TAILQ_HEAD_INITIALIZER(asks);
static uint32_t			 last_id;

static struct ask	*ask_new(void *);
static struct ask	*ask_take(uint32_t, int);
static int		 ask_got_ips(struct imsg *);
static int		 ask_got_socket(struct imsg *);

static struct ask *
ask_new(void *arg)
{
	struct ask	*a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal(NULL);
	if (++last_id == 0)
		last_id = 1;
	a->a_id = last_id;
	a->a_arg = arg;
	TAILQ_INSERT_TAIL(&asks, a, a_entry);
	return a;
}

uint32_t
ask_resolve(const char *name, ask_resolved cb, void *arg)
{
	struct msg_resolve	 m;
	struct ask		*a;

	memset(&m, 0, sizeof(m));
	if (strlcpy(m.name, name, sizeof(m.name)) >= sizeof(m.name))
		return 0;
	a = ask_new(arg);
	a->a_resolved = cb;
	if (chan_compose(&nd.n_dnsd, IMSG_RESOLVE, a->a_id, -1, &m,
	    sizeof(m)) == 0)
		return a->a_id;
	ask_cancel(a->a_id);
	return 0;
}

uint32_t
ask_connect(const struct msg_endpoint *ep, uint32_t purpose,
    ask_connected cb, void *arg)
{
	struct msg_connect	 m;
	struct ask		*a;

	memset(&m, 0, sizeof(m));
	m.ep = *ep;
	m.purpose = purpose;
	a = ask_new(arg);
	a->a_connected = cb;
	(void)chan_compose(proc_parent(), IMSG_CONNECT, a->a_id, -1, &m,
	    sizeof(m));
	return a->a_id;
}

/* Of that id and kind, out of the list: the caller frees it. */
static struct ask *
ask_take(uint32_t id, int connect)
{
	struct ask	*a;

	TAILQ_FOREACH(a, &asks, a_entry)
		if (a->a_id == id && connect == (a->a_connected != NULL)) {
			TAILQ_REMOVE(&asks, a, a_entry);
			return a;
		}
	return NULL;
}

void
ask_cancel(uint32_t id)
{
	struct ask	*a;

	if ((a = ask_take(id, 0)) == NULL)
		a = ask_take(id, 1);
	free(a);
}

void
ask_dnsd_new(void)
{
	struct asks	 old = TAILQ_HEAD_INITIALIZER(old);
	struct ask	*a, *next;

	TAILQ_FOREACH_SAFE(a, &asks, a_entry, next)
		if (a->a_resolved != NULL) {
			TAILQ_REMOVE(&asks, a, a_entry);
			TAILQ_INSERT_TAIL(&old, a, a_entry);
		}
	while ((a = TAILQ_FIRST(&old)) != NULL) {
		TAILQ_REMOVE(&old, a, a_entry);
		a->a_resolved(a->a_arg, MSG_E_IO, NULL, 0);
		free(a);
	}
}

static int
ask_got_ips(struct imsg *imsg)
{
	struct msg_resolved	 m;
	struct ask		*a;
	uint32_t		 i;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.n > RESOLVED_MAX)
		return -1;
	for (i = 0; i < m.n; i++)
		if (m.ip[i].af != AF_WIRE_INET && m.ip[i].af != AF_WIRE_INET6)
			return -1;
	if (m.error == MSG_OK && m.n == 0)
		m.error = MSG_E_NAME;
	if ((a = ask_take(imsg_get_id(imsg), 0)) == NULL)
		return 0;
	a->a_resolved(a->a_arg, m.error, m.ip, m.error == MSG_OK ? m.n : 0);
	free(a);
	return 0;
}

static int
ask_got_socket(struct imsg *imsg)
{
	struct msg_connected	 m;
	struct ask		*a;
	int			 fd;

	fd = imsg_get_fd(imsg);
	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    (m.error == MSG_OK) != (fd != -1)) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if ((a = ask_take(imsg_get_id(imsg), 1)) == NULL) {
		if (fd != -1)
			close(fd);
		return 0;
	}
	a->a_connected(a->a_arg, m.error, m.sys_errno, fd);
	free(a);
	return 0;
}

int
ask_message(struct imsg *imsg)
{
	return imsg_get_type(imsg) == IMSG_RESOLVED ? ask_got_ips(imsg) :
	    ask_got_socket(imsg);
}
