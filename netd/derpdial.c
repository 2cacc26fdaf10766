/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The way to a relay: its addresses, tried side by side, by the parent.
 * Source: dataplane.md 3.1.
 */

#include <sys/types.h>

#include <errno.h>
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
	int		 d_more;		/* enum more */
	int		 d_noroute;		/* to one of the addresses */
	int64_t		 d_until;
	char		 d_why[128];
};

/* What may still tell addresses when those that are known fail. */
enum more {
	MORE_NAME = 0x01,		/* its name: other families */
	MORE_NAT64 = 0x02		/* the network's translator */
};

static const char	 nat64_name[] = "ipv4only.arpa";	/* RFC 7050 */

static void	 dial_timer(struct derpdial *, int64_t);
static void	 dial_cb(int, short, void *);
static void	 dial_end(struct derpdial *, int);
static void	 dial_start(struct derpdial *);
static int	 dial_resolve(struct derpdial *, const char *, ask_resolved);
static int	 dial_more(struct derpdial *);
static void	 dial_resolved(void *, uint32_t, const struct msg_ip *,
		    uint32_t);
static void	 nat64_resolved(void *, uint32_t, const struct msg_ip *,
		    uint32_t);
static void	 dial_next(struct derpdial *);
static void	 dial_connected(void *, uint32_t, int, int);
static int	 wanted(const struct msg_nm_derp_node *, const struct msg_ip *);
static void	 addr_add(struct derpdial *, const struct msg_ip *);

LOCKED_CB(dial_cb)

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
	evtimer_set(&d->d_ev, dial_cb_locked, d);
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

/*
 * Addresses that the map tells come first. Where none of them can be reached
 * the name may lead further: in a network of IPv6 alone, its DNS64 has an
 * address of the translator for it, and so has what RFC 7050 makes of an
 * IPv4 address.
 */
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
	} else if (ask4 || ask6)
		d->d_more |= MORE_NAME;
	if (ask6)
		d->d_more |= MORE_NAT64;
	d->d_until = os_now() + LIMIT;
	dial_next(d);
}

/* 0, or -1 with the reason. */
static int
dial_resolve(struct derpdial *d, const char *name, ask_resolved cb)
{
	d->d_until = os_now() + RESOLVE_LIMIT;
	if ((d->d_resolve = ask_resolve(name, cb, d)) == 0) {
		strlcpy(d->d_why, "its name: nobody to ask",
		    sizeof(d->d_why));
		return -1;
	}
	dial_timer(d, RESOLVE_LIMIT);
	return 0;
}

/* All that is known has failed, not for want of a relay: is there more? */
static int
dial_more(struct derpdial *d)
{
	unsigned int	 i;
	int		 had4 = 0;

	if (d->d_nips > 0 && !d->d_noroute)
		return 0;
	if (d->d_more & MORE_NAME) {
		d->d_more &= ~MORE_NAME;
		return dial_resolve(d, d->d_node.host, dial_resolved) == 0;
	}
	for (i = 0; i < d->d_nips; i++)
		if (d->d_ip[i].af == AF_WIRE_INET)
			had4 = 1;
		else
			return 0;
	if (!had4 || (d->d_more & MORE_NAT64) == 0)
		return 0;
	d->d_more &= ~MORE_NAT64;
	return dial_resolve(d, nat64_name, nat64_resolved) == 0;
}

/* Any address of it shows the prefix that is before IPv4 addresses here. */
static void
nat64_resolved(void *arg, uint32_t error, const struct msg_ip *ip, uint32_t n)
{
	static const uint8_t	 known[3] = { 192, 0, 0 };
	struct derpdial		*d = arg;
	struct msg_ip		 to;
	uint32_t		 i;
	unsigned int		 k, had = d->d_nips;

	d->d_resolve = 0;
	for (i = 0; error == MSG_OK && i < n; i++)
		if (ip[i].af == AF_WIRE_INET6 && memcmp(ip[i].addr + 12,
		    known, sizeof(known)) == 0 &&
		    (ip[i].addr[15] == 170 || ip[i].addr[15] == 171))
			break;
	if (error != MSG_OK || i == n) {
		dial_end(d, -1);
		return;
	}
	to = ip[i];
	for (k = 0; k < had; k++) {
		memcpy(to.addr + 12, d->d_ip[k].addr, 4);
		addr_add(d, &to);
	}
	d->d_until = os_now() + LIMIT;
	dial_next(d);
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
		if (d->d_nips == 0)
			snprintf(d->d_why, sizeof(d->d_why), "its name: %s",
			    msg_strerror(error));
		n = 0;
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
		if ((f ? d->d_node.ip4.af : d->d_node.ip6.af) == 0)
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
		if (dial_more(d))
			return;
		if (d->d_nips == 0 && d->d_why[0] == '\0')
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
	if (sys == ENETUNREACH || sys == EHOSTUNREACH || sys == EAFNOSUPPORT)
		d->d_noroute = 1;
	snprintf(d->d_why, sizeof(d->d_why), "connecting to port %u: %s",
	    d->d_node.port, sys != 0 ? strerror(sys) : msg_strerror(error));
	dial_next(d);
}
