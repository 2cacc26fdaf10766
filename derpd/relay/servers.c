/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Servers that the relay is a client of: which ones there are, sockets to
 * them from the parent, what they must prove.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"
#include "relay.h"

#define SERVERS_MAX	16

struct set {
	struct msg_conf_server	 s_server[SERVERS_MAX];
	size_t			 s_n;
};

struct wait {
	void	(*w_cb)(int, void *);	/* NULL: nobody waits any more */
	void	*w_arg;
	int	 w_used;
};

static struct set	 set, next_set;
static struct wait	 waits[MAX_DIALS];

/* --- which ones --- */

int
servers_add(const struct msg_conf_server *m)
{
	if (next_set.s_n == SERVERS_MAX ||
	    !msg_str_ok(m->host, sizeof(m->host)) ||
	    !msg_str_ok(m->path, sizeof(m->path)))
		return -1;
	next_set.s_server[next_set.s_n++] = *m;
	return 0;
}

void
servers_abort(void)
{
	memset(&next_set, 0, sizeof(next_set));
}

void
servers_commit(void)
{
	tlsclient_ca_commit();
	set = next_set;
	memset(&next_set, 0, sizeof(next_set));
}

const struct msg_conf_server *
servers_next(uint32_t kind, size_t *n)
{
	for (; *n < set.s_n; (*n)++)
		if (set.s_server[*n].kind == kind)
			return &set.s_server[(*n)++];
	return NULL;
}

/* --- sockets --- */

int
dial(size_t server, void (*cb)(int, void *), void *arg)
{
	struct msg_dial	 m;
	int		 i;

	for (i = 0; i < MAX_DIALS && waits[i].w_used; i++)
		;
	if (i == MAX_DIALS)
		return -1;
	memset(&m, 0, sizeof(m));
	m.serial = relay_conf()->serial;
	m.server = server;
	if (chan_compose(proc_parent(), IMSG_DIAL, i, -1, &m,
	    sizeof(m)) == -1)
		return -1;
	waits[i].w_cb = cb;
	waits[i].w_arg = arg;
	waits[i].w_used = 1;
	return i;
}

void
dial_cancel(int id)
{
	if (id != -1)
		waits[id].w_cb = NULL;	/* the answer is still to come */
}

int
dial_done(uint32_t id, const struct msg_connected *m, int fd)
{
	struct wait	 w;

	if (id >= MAX_DIALS || !waits[id].w_used) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	w = waits[id];
	memset(&waits[id], 0, sizeof(waits[id]));
	if (w.w_cb == NULL) {
		if (fd != -1)
			(void)close(fd);
		return 0;
	}
	errno = m->sys_errno;
	w.w_cb(fd, w.w_arg);
	return 0;
}

/* --- TLS --- */

void
servers_prove(const struct msg_conf_server *m, struct tlsclient *tc)
{
	size_t	 i, n;

	memset(tc, 0, sizeof(*tc));
	(void)strlcpy(tc->tc_host, m->host, sizeof(tc->tc_host));
	if (!m->has_pin)
		return;
	n = strlcpy(tc->tc_cert, TLSCLIENT_PIN, sizeof(tc->tc_cert));
	for (i = 0; i < sizeof(m->pin); i++, n += 2)
		(void)snprintf(tc->tc_cert + n, 3, "%02x", m->pin[i]);
}
