/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Questions of the relay to the shoald of this machine: is that key its own,
 * or one of its peers'? The relay gets a yes or a no, and never the socket:
 * what root may ask there is not for a process that faces the network.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ctlsock.h"
#include "derpd.h"
#include "keys.h"

#define ASKS_MAX	16		/* what the relay asks at once */

static struct local {
	uint32_t	 l_id;		/* the relay's; 0: free */
	int		 l_found;
	uint8_t		 l_key[MSG_KEY_LEN];
} asks[ASKS_MAX];

static struct chan	 ctl;
static struct log_limit	 limit;

static int	 local_row(struct chan *, struct imsg *);
static void	 local_lost(struct chan *, enum chan_end);

static const struct chan_cb	 ctl_cb = { local_row, local_lost };

static void
local_answer(uint32_t id, int yes)
{
	struct msg_u32	 m;

	memset(&m, 0, sizeof(m));
	m.v = yes;
	(void)chan_compose(&child_get(PROC_RELAY)->pc_chan, IMSG_ADMITTED,
	    id, -1, &m, sizeof(m));
}

static void
local_done(struct local *l, int yes)
{
	local_answer(l->l_id, yes);
	memset(l, 0, sizeof(*l));
}

static struct local *
local_find(uint32_t id)
{
	size_t	 i;

	for (i = 0; i < nitems(asks); i++)
		if (asks[i].l_id == id)
			return &asks[i];
	return NULL;
}

static void
local_lost(struct chan *c, enum chan_end end)
{
	size_t	 i;

	for (i = 0; i < nitems(asks); i++)
		if (asks[i].l_id != 0)
			local_done(&asks[i], 0);
}

/* A row of an answer: the node itself, and that it has not expired. */
static int
local_row(struct chan *c, struct imsg *imsg)
{
	struct msg_ctl_node	 n;
	struct local		*l;

	if (imsg_get_id(imsg) == 0 ||
	    (l = local_find(imsg_get_id(imsg))) == NULL)
		return 0;
	switch (imsg_get_type(imsg)) {
	case IMSG_CTL_NODE:
		if (msg_get(imsg, &n, sizeof(n)) == -1)
			return -1;
		if (memcmp(n.key, l->l_key, sizeof(n.key)) == 0 &&
		    (n.flags & (NODE_EXPIRED | NODE_WGONLY)) == 0)
			l->l_found = 1;
		return 0;
	case IMSG_CTL_USER:
		return 0;
	case IMSG_CTL_END:
		local_done(l, l->l_found);
		return 0;
	case IMSG_CTL_FAIL:
		local_done(l, 0);
		return 0;
	default:
		return -1;
	}
}

static int
local_connect(void)
{
	int	 fd;

	if (ctl.c_open)
		return 0;
	fd = ctlsock_connect(derpd_conf()->c_shoald, SOCK_NONBLOCK);
	if (fd == -1)
		return -1;
	chan_open(&ctl, fd, PROC_CTL, PROC_PARENT, &ctl_cb, NULL);
	return 0;
}

int
local_msg(struct imsg *imsg)
{
	struct msg_resolve	 q;
	struct msg_key		 m;
	struct local		*l;
	uint32_t		 id = imsg_get_id(imsg);

	if (msg_get(imsg, &m, sizeof(m)) == -1 || id == 0 ||
	    local_find(id) != NULL ||
	    derpd_conf()->c_verify != RELAY_VERIFY_SHOALD)
		return -1;
	if ((l = local_find(0)) == NULL || local_connect() == -1) {
		if (l != NULL && log_limit(&limit, os_now(), 3, 60))
			log_warnx("verify clients shoald: %s: %s",
			    derpd_conf()->c_shoald, ctlsock_why(errno,
			    "shoald", "verify clients shoald"));
		local_answer(id, 0);
		return 0;
	}
	l->l_id = id;
	l->l_found = 0;
	memcpy(l->l_key, m.key, sizeof(l->l_key));
	memset(&q, 0, sizeof(q));
	(void)key_print(KEY_NODE, m.key, q.name, sizeof(q.name));
	(void)chan_compose(&ctl, IMSG_CTL_WHOIS, id, -1, &q, sizeof(q));
	return 0;
}

void
local_drop(void)
{
	memset(asks, 0, sizeof(asks));
	chan_close(&ctl);
}
