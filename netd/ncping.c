/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Where UDP is blocked: how far relays are by ICMP echo (dataplane.md 4.2).
 * Sockets that can do nothing else come from the parent, where the kernel
 * lets it have them (ping_group_range).
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netcheck.h"

#define REGIONS		32		/* of one run */
#define ECHO_MAX	(NC_ECHO_HEAD + MSG_NAME_LEN)

struct ping {
	TAILQ_ENTRY(ping) p_entry;
	struct event	 p_ev;
	int64_t		 p_sent;
	uint32_t	 p_ask;		/* for a socket, 0: not */
	int		 p_fd;
	uint16_t	 p_region;
	uint8_t		 p_waits;	/* for an address */
	size_t		 p_len;
	uint8_t		 p_pkt[ECHO_MAX];
};

static TAILQ_HEAD(, ping)	 pings = TAILQ_HEAD_INITIALIZER(pings);

static void	 ping_free(struct ping *);
static void	 ping_new(const struct derp_region *);
static void	 ping_ask(struct ping *);
static void	 ping_socket(void *, uint32_t, int, int);
static void	 ping_cb(int, short, void *);

LOCKED_CB(ping_cb)

static void
ping_free(struct ping *p)
{
	if (p->p_ask != 0)
		ask_cancel(p->p_ask);
	if (p->p_fd != -1) {
		(void)event_del(&p->p_ev);
		close(p->p_fd);
	}
	TAILQ_REMOVE(&pings, p, p_entry);
	free(p);
	if (TAILQ_EMPTY(&pings))
		netcheck_host_known();
}

/* The payload names the node: another one's answer does not fit. */
static void
ping_new(const struct derp_region *r)
{
	struct ping	*p;

	if (r->dr_nnodes == 0 || r->dr_node[0].stun_port < 0)
		return;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		fatal(NULL);
	p->p_fd = -1;
	p->p_region = r->dr.id;
	p->p_len = nc_echo_build(p->p_pkt, r->dr_node[0].name);
	TAILQ_INSERT_TAIL(&pings, p, p_entry);
	ping_ask(p);
}

static void
ping_ask(struct ping *p)
{
	const struct derp_region	*r = derpmap_region(p->p_region);
	const struct msg_nm_derp_node	*n;
	struct msg_endpoint		 ep;
	struct msg_ip			 ip;
	int				 ret = -1;

	if (r != NULL && r->dr_nnodes > 0) {
		n = &r->dr_node[0];
		ip = n->stun_test.af != 0 ? n->stun_test : n->ip4;
		ret = ip.af != 0 ? 1 : n->flags & DERP_NODE_NO4 ? -1 :
		    nc_host(n->host, AF_WIRE_INET, &ip);
	}
	p->p_waits = ret == 0;
	if (ret == 0)
		return;
	if (ret == -1 || ip.af != AF_WIRE_INET) {
		ping_free(p);
		return;
	}
	memset(&ep, 0, sizeof(ep));
	ep.af = ip.af;
	memcpy(ep.addr, ip.addr, 4);
	p->p_ask = ask_connect(&ep, CONN_ICMP, ping_socket, p);
}

static void
ping_socket(void *arg, uint32_t error, int sys, int fd)
{
	struct ping	*p = arg;
	struct timeval	 tv = { 1, 0 };

	p->p_ask = 0;
	if ((p->p_fd = fd) == -1) {
		log_debug("netcheck: no ICMP: %s", sys != 0 ? strerror(sys) :
		    msg_strerror(error));
		ping_free(p);
		return;
	}
	netcheck_icmp(0, 0);
	event_set(&p->p_ev, fd, EV_READ, ping_cb_locked, p);
	p->p_sent = os_now();
	if (write(fd, p->p_pkt, p->p_len) != (ssize_t)p->p_len)
		ping_free(p);
	else if (event_add(&p->p_ev, &tv) == -1)
		fatal("event_add");
}

static void
ping_cb(int fd, short events, void *arg)
{
	struct ping	*p = arg;
	uint8_t		 buf[ECHO_MAX];
	int64_t		 now = os_now();
	ssize_t		 n;

	if (events & EV_READ && (n = read(fd, buf, sizeof(buf))) > 0 &&
	    nc_echo_answers(buf, n, p->p_pkt, p->p_len))
		netcheck_icmp(p->p_region, now - p->p_sent);
	ping_free(p);
}

void
ncping_start(const struct nc_map *m)
{
	const struct derp_region	*r;
	size_t				 order[NC_REGIONS_MAX], i;

	nc_report_order(m, netcheck_report(), order);
	for (i = 0; i < m->m_n && i < REGIONS; i++)
		if ((r = derpmap_region(m->m_region[order[i]].r_id)) != NULL)
			ping_new(r);
}

/* A name is known, perhaps one of ours. */
void
ncping_names(void)
{
	struct ping	*p, *next;

	TAILQ_FOREACH_SAFE(p, &pings, p_entry, next)
		if (p->p_waits)
			ping_ask(p);
}

int
ncping_busy(void)
{
	return !TAILQ_EMPTY(&pings);
}

void
ncping_stop(void)
{
	while (!TAILQ_EMPTY(&pings))
		ping_free(TAILQ_FIRST(&pings));
}
