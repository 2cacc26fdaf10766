/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The way to a relay: its addresses, tried side by side, by the parent.
 * Source: dataplane.md 3.1.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "derpdial.h"
#include "endpoint.h"

#define LIMIT		(1500 * MSEC)	/* for all addresses of one node */
#define STAGGER		(200 * MSEC)	/* before the next one is tried too */
#define RESOLVE_LIMIT	(5 * NSEC)
#define ADDRS_MAX	8

struct derpdial {
	struct event	 d_ev;
	struct msg_nm_derp_node d_node;
	derpdial_done	 d_done;
	void		*d_arg;
	struct msg_ip	 d_ip[ADDRS_MAX];
	uint32_t	 d_ask[ADDRS_MAX];	/* connections under way */
	uint32_t	 d_resolve;		/* look-up under way */
	unsigned int	 d_nips;
	unsigned int	 d_next;		/* address to be tried */
	unsigned int	 d_pending;
	int64_t		 d_until;
	char		 d_why[128];
};

static void	 dial_timer(struct derpdial *, int64_t);
static void	 dial_cb(int, short, void *);
static void	 dial_end(struct derpdial *, int);
static void	 dial_start(struct derpdial *);
static void	 dial_resolved(void *, uint32_t, const struct msg_ip *,
		    uint32_t);
static void	 dial_next(struct derpdial *);
static void	 dial_connected(void *, uint32_t, int, int);
static int	 wanted(const struct msg_nm_derp_node *, const struct msg_ip *);
static void	 addr_add(struct derpdial *, const struct msg_ip *);

static void
dial_timer(struct derpdial *d, int64_t ns)
{
	struct timeval	 tv;

	tv.tv_sec = ns / NSEC;
	tv.tv_usec = ns % NSEC / 1000;
	(void)evtimer_add(&d->d_ev, &tv);
}

struct derpdial *
derpdial_new(const struct msg_nm_derp_node *node, derpdial_done done,
    void *arg)
{
	struct derpdial	*d;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		fatal(NULL);
	d->d_node = *node;
	d->d_done = done;
	d->d_arg = arg;
	evtimer_set(&d->d_ev, dial_cb, d);
	dial_timer(d, 0);		/* not before the caller has it */
	return d;
}

void
derpdial_free(struct derpdial *d)
{
	unsigned int	 i;

	if (d == NULL)
		return;
	(void)evtimer_del(&d->d_ev);
	if (d->d_resolve != 0)
		ask_cancel(d->d_resolve);
	for (i = 0; i < d->d_nips; i++)
		if (d->d_ask[i] != 0)
			ask_cancel(d->d_ask[i]);
	free(d);
}

/* The callee frees it. */
static void
dial_end(struct derpdial *d, int fd)
{
	(void)evtimer_del(&d->d_ev);
	d->d_done(d->d_arg, fd, d->d_why);
}

static void
dial_cb(int fd, short events, void *arg)
{
	struct derpdial	*d = arg;

	if (d->d_until == 0) {
		dial_start(d);
		return;
	}
	if (os_now() >= d->d_until) {
		if (d->d_resolve != 0)
			strlcpy(d->d_why, "its name: look-up timed out",
			    sizeof(d->d_why));
		else if (d->d_pending > 0)
			strlcpy(d->d_why, "connecting timed out",
			    sizeof(d->d_why));
		dial_end(d, -1);
		return;
	}
	dial_next(d);
}

static int
wanted(const struct msg_nm_derp_node *n, const struct msg_ip *ip)
{
	return (n->flags & (ip->af == AF_WIRE_INET ? DERP_NODE_NO4 :
	    DERP_NODE_NO6)) == 0;
}

static void
addr_add(struct derpdial *d, const struct msg_ip *ip)
{
	if (d->d_nips < ADDRS_MAX && wanted(&d->d_node, ip))
		d->d_ip[d->d_nips++] = *ip;
}

/* Addresses that the map tells are taken as they are, and no other. */
static void
dial_start(struct derpdial *d)
{
	const struct msg_nm_derp_node	*n = &d->d_node;
	struct msg_ip			 ip;
	int				 ask4, ask6;

	ask4 = n->ip4.af == 0 && (n->flags & DERP_NODE_NO4) == 0;
	ask6 = n->ip6.af == 0 && (n->flags & DERP_NODE_NO6) == 0;
	if (n->ip6.af != 0)
		addr_add(d, &n->ip6);
	if (n->ip4.af != 0)
		addr_add(d, &n->ip4);
	if (ip_parse(&ip, n->host) == 0) {
		if (ip.af == AF_WIRE_INET ? ask4 : ask6)
			addr_add(d, &ip);
		ask4 = ask6 = 0;
	}
	if (d->d_nips > 0 || (!ask4 && !ask6)) {
		d->d_until = os_now() + LIMIT;
		dial_next(d);
		return;
	}
	d->d_until = os_now() + RESOLVE_LIMIT;
	d->d_resolve = ask_resolve(n->host, dial_resolved, d);
	if (d->d_resolve == 0) {
		strlcpy(d->d_why, "its name: nobody to ask",
		    sizeof(d->d_why));
		dial_end(d, -1);
		return;
	}
	dial_timer(d, RESOLVE_LIMIT);
}

/* Families take turns, IPv6 first. */
static void
dial_resolved(void *arg, uint32_t error, const struct msg_ip *ip, uint32_t n)
{
	struct derpdial	*d = arg;
	uint32_t	 i, pos[2] = { 0, 0 };
	int		 f = 0, none = 0;

	d->d_resolve = 0;
	if (error != MSG_OK) {
		snprintf(d->d_why, sizeof(d->d_why), "its name: %s",
		    msg_strerror(error));
		dial_end(d, -1);
		return;
	}
	for (; none < 2; f = !f) {
		for (i = pos[f]; i < n; i++)
			if (ip[i].af == (f ? AF_WIRE_INET : AF_WIRE_INET6))
				break;
		pos[f] = i + 1;
		if (i >= n) {
			pos[f] = n;
			none++;
			continue;
		}
		none = 0;
		addr_add(d, &ip[i]);
	}
	d->d_until = os_now() + LIMIT;
	dial_next(d);
}

static void
dial_next(struct derpdial *d)
{
	struct msg_endpoint	 ep;
	int64_t			 left;
	unsigned int		 i = d->d_next;

	if (i < d->d_nips) {
		memset(&ep, 0, sizeof(ep));
		ep.af = d->d_ip[i].af;
		ep.port = d->d_node.port;
		memcpy(ep.addr, d->d_ip[i].addr, sizeof(ep.addr));
		d->d_next++;
		d->d_pending++;
		d->d_ask[i] = ask_connect(&ep, CONN_DERP, dial_connected, d);
	} else if (d->d_pending == 0) {
		if (d->d_nips == 0)
			strlcpy(d->d_why, "it has no address of a family "
			    "that is switched on", sizeof(d->d_why));
		dial_end(d, -1);
		return;
	}
	left = d->d_until - os_now();
	if (d->d_next < d->d_nips && left > STAGGER)
		left = STAGGER;
	dial_timer(d, left > 0 ? left : 0);
}

/* Which one it was does not matter when it failed: the next is due. */
static void
dial_connected(void *arg, uint32_t error, int sys, int fd)
{
	struct derpdial	*d = arg;

	d->d_pending--;
	if (fd != -1) {
		dial_end(d, fd);
		return;
	}
	snprintf(d->d_why, sizeof(d->d_why), "connecting to port %u: %s",
	    d->d_node.port, sys != 0 ? strerror(sys) : msg_strerror(error));
	dial_next(d);
}
