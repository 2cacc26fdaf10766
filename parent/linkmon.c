/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The host's addresses and their changes, for netd and ctrld.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoald.h"

#define DEBOUNCE_US	100000
#define ADDRS_MAX	512		/* more are not told */

static struct event		 ev_link, ev_debounce;
static struct msg_localaddr	*addrs;
static size_t			 naddrs;
static int			 link_fd = -1;

static void
linkmon_tell(enum proc proc, uint32_t major)
{
	struct msg_u32	 m = { major };
	size_t		 i;

	child_send(proc, IMSG_LOCALADDR_BEGIN, NULL, 0);
	for (i = 0; i < naddrs && i < ADDRS_MAX; i++)
		child_send(proc, IMSG_LOCALADDR, &addrs[i], sizeof(addrs[i]));
	child_send(proc, IMSG_LOCALADDR_END, &m, sizeof(m));
}

void
linkmon_send(struct proc_child *pc)
{
	linkmon_tell(pc->pc_proc, 0);
}

/* Loopback and link-local addresses come and go without meaning. */
static int
counts(const struct msg_localaddr *la)
{
	return (la->flags & (LOCALADDR_LOOPBACK | LOCALADDR_LINKLOCAL)) == 0;
}

/* Does each address of a that counts stand in b, on its interface? */
static int
all_in(const struct msg_localaddr *a, size_t na,
    const struct msg_localaddr *b, size_t nb)
{
	size_t	 i, k;

	for (i = 0; i < na; i++) {
		if (!counts(&a[i]))
			continue;
		for (k = 0; k < nb; k++)
			if (memcmp(&a[i], &b[k], sizeof(a[i])) == 0)
				break;
		if (k == nb)
			return 0;
	}
	return 1;
}

static int
same_net(const struct msg_prefix *p, const uint8_t *ip)
{
	unsigned int	 i;

	for (i = 0; i < p->plen; i++)
		if ((p->addr[i / 8] ^ ip[i / 8]) & (0x80 >> (i % 8)))
			return 0;
	return 1;
}

int
linkmon_own(uint32_t ifindex, const struct msg_ip *gw, struct msg_ip *own)
{
	const struct msg_localaddr	*la, *best = NULL;
	size_t				 i;

	for (i = 0; i < naddrs; i++) {
		la = &addrs[i];
		if (la->ifindex != ifindex || la->p.af != AF_WIRE_INET ||
		    gw->af != AF_WIRE_INET)
			continue;
		if (best == NULL)
			best = la;
		if (same_net(&la->p, gw->addr)) {
			best = la;
			break;
		}
	}
	if (best == NULL)
		return -1;
	memset(own, 0, sizeof(*own));
	own->af = AF_WIRE_INET;
	memcpy(own->addr, best->p.addr, 4);
	return 0;
}

/* Read anew: 1 if it differs, *major by dataplane.md 2.7. */
static int
linkmon_update(uint32_t *major)
{
	struct msg_localaddr	*new;
	size_t			 n;

	if (os_addrs_get(tunnel_dev(), &new, &n) == -1) {
		log_warn("addresses of the host");
		return 0;
	}
	if (n == naddrs && (n == 0 ||
	    memcmp(new, addrs, n * sizeof(*new)) == 0)) {
		free(new);
		return 0;
	}
	*major = !all_in(addrs, naddrs, new, n) ||
	    !all_in(new, n, addrs, naddrs);
	free(addrs);
	addrs = new;
	naddrs = n;
	return 1;
}

static void
linkmon_debounce_cb(int fd, short events, void *arg)
{
	uint32_t	 major;

	tunnel_check_rules();
	resolver_check();
	if (!linkmon_update(&major)) {
		gateway_update();	/* another route may do */
		return;
	}
	log_debug("addresses of the host changed%s", major ?
	    "" : " (minor)");
	if (child_running(PROC_NETD))
		linkmon_tell(PROC_NETD, major);
	if (child_running(PROC_CTRLD))
		linkmon_tell(PROC_CTRLD, major);
	gateway_update();
}

/* Events come in bursts. */
static void
linkmon_cb(int fd, short events, void *arg)
{
	struct timeval	 tv = { 0, DEBOUNCE_US };
	int		 n;

	if ((n = os_link_read(fd)) == -1) {
		log_warn("link events");
		linkmon_close();
	} else if (n == 1 && !evtimer_pending(&ev_debounce, NULL))
		(void)evtimer_add(&ev_debounce, &tv);
}

void
linkmon_init(void)
{
	uint32_t	 major;

	evtimer_set(&ev_debounce, linkmon_debounce_cb, NULL);
	if ((link_fd = os_link_open()) == -1) {
		log_warn("link events: changes of addresses go unnoticed");
	} else {
		event_set(&ev_link, link_fd, EV_READ | EV_PERSIST, linkmon_cb,
		    NULL);
		(void)event_add(&ev_link, NULL);
	}
	(void)linkmon_update(&major);
	gateway_update();
}

void
linkmon_close(void)
{
	if (link_fd == -1)
		return;
	(void)event_del(&ev_link);
	(void)evtimer_del(&ev_debounce);
	close(link_fd);
	link_fd = -1;
}
