/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses and routes of the tunnel: what ctrld asked for and was allowed,
 * applied as the difference to what is there.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shoald.h"

#define CHANGE_BURST	20
#define CHANGE_NS	(1000 * 1000000LL)

static struct ifconf	 current;	/* sorted */
static struct ifconf	 pending;
static struct ifconf	 held;		/* committed, too soon to apply */
static struct event	 ev_held;
static struct bucket	 changes;
static int		 collecting;	/* between BEGIN and COMMIT */
static int		 have4, have6;	/* service addresses are on */
static int		 v6_off;	/* the kernel refused one of IPv6 */
static struct log_limit	 limit;

static const struct msg_prefix	 service4 = {
	AF_WIRE_INET, 32, { 0, 0 }, { 100, 100, 100, 100 }
};
static const struct msg_prefix	 service6 = {
	AF_WIRE_INET6, 128, { 0, 0 }, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0,
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53 }
};

static int
has_family(const struct ifconf *ic, uint8_t af)
{
	size_t	 i;

	for (i = 0; i < ic->ic_naddrs; i++)
		if (ic->ic_addr[i].af == af)
			return 1;
	return 0;
}

/* The first address of that family: routes name it as their source. */
static void
own_source(const struct ifconf *ic, uint8_t af, struct msg_ip *ip)
{
	size_t	 i;

	memset(ip, 0, sizeof(*ip));
	for (i = 0; i < ic->ic_naddrs; i++)
		if (ic->ic_addr[i].af == af) {
			ip->af = af;
			memcpy(ip->addr, ic->ic_addr[i].addr,
			    sizeof(ip->addr));
			return;
		}
}

static void
addr_set(const struct msg_prefix *p, int on)
{
	if (p->af == AF_WIRE_INET6 && v6_off)
		return;
	if (os_addr_set(tunnel_dev(), p, on) == -1) {
		if (p->af == AF_WIRE_INET6 && on && (errno == EACCES ||
		    errno == EAFNOSUPPORT || errno == EOPNOTSUPP)) {
			v6_off = 1;
			log_warnx("IPv6 is switched off on this host: the "
			    "tunnel goes without");
			return;
		}
		log_warn("address %s", prefix_print(p));
		return;
	}
	log_debug("address %s %s", prefix_print(p), on ? "added" : "removed");
}

static void
route_set(const struct ifconf *ic, const struct msg_prefix *p, int on)
{
	struct msg_ip	 src;

	if (p->af == AF_WIRE_INET6 && v6_off)
		return;
	own_source(ic, p->af, &src);
	if (os_route_set(tunnel_dev(), p, &src, on) == -1 &&
	    log_limit(&limit, os_now(), 10, 60))
		log_warn("route %s", prefix_print(p));
}

static int
listed(const struct msg_prefix *list, size_t n, const struct msg_prefix *p)
{
	return n > 0 && bsearch(p, list, n, sizeof(*p), prefix_cmp) != NULL;
}

/* What stands in a and not in b is set to on. */
static void
addrs_apply(const struct ifconf *a, const struct ifconf *b, int on)
{
	size_t	 i;

	for (i = 0; i < a->ic_naddrs; i++)
		if (!listed(b->ic_addr, b->ic_naddrs, &a->ic_addr[i]))
			addr_set(&a->ic_addr[i], on);
}

/* Routes of a family whose source changed are all set anew. */
static void
routes_apply(const struct ifconf *a, const struct ifconf *b, int on)
{
	struct msg_ip	 a4, a6, b4, b6;
	size_t		 i;
	int		 moved;

	own_source(a, AF_WIRE_INET, &a4);
	own_source(a, AF_WIRE_INET6, &a6);
	own_source(b, AF_WIRE_INET, &b4);
	own_source(b, AF_WIRE_INET6, &b6);
	for (i = 0; i < a->ic_nroutes; i++) {
		moved = a->ic_route[i].af == AF_WIRE_INET ?
		    memcmp(&a4, &b4, sizeof(a4)) != 0 :
		    memcmp(&a6, &b6, sizeof(a6)) != 0;
		if ((on && moved) || !listed(b->ic_route, b->ic_nroutes,
		    &a->ic_route[i]))
			route_set(a, &a->ic_route[i], on);
	}
}

static void
service_apply(int want4, int want6)
{
	if (want4 != have4)
		addr_set(&service4, want4);
	if (want6 != have6)
		addr_set(&service6, want6 ? OS_ADDR_DEPRECATED : 0);
	have4 = want4;
	have6 = want6;
}

/* From current to new: additions before removals, so that flows live on. */
static void
kroute_apply(struct ifconf *new)
{
	int	 want4 = has_family(new, AF_WIRE_INET);
	int	 want6 = has_family(new, AF_WIRE_INET6);

	if ((have4 && !want4) || (have6 && !want6))
		tunnel_dns(have4 && want4, have6 && want6);
	addrs_apply(new, &current, 1);
	if (v6_off)			/* as that has shown */
		want6 = 0;
	service_apply(want4, want6);
	routes_apply(new, &current, 1);
	routes_apply(&current, new, 0);
	addrs_apply(&current, new, 0);
	tunnel_dns(want4, want6);
	ifconf_clear(&current);
	current = *new;
	memset(new, 0, sizeof(*new));
}

static void
held_cb(int fd, short events, void *arg)
{
	kroute_apply(&held);
}

/* The kernel is spared a child that never stops: the last one counts. */
static void
kroute_commit(void)
{
	struct timeval	 tv = { 1, 0 };

	if (evtimer_initialized(&ev_held))
		(void)evtimer_del(&ev_held);
	evtimer_set(&ev_held, held_cb, NULL);
	ifconf_clear(&held);
	if (bucket_take(&changes, os_now(), CHANGE_BURST, CHANGE_NS)) {
		kroute_apply(&pending);
		return;
	}
	held = pending;
	memset(&pending, 0, sizeof(pending));
	(void)evtimer_add(&ev_held, &tv);
}

static int
kroute_add(struct imsg *imsg, const char *what,
    int (*add)(struct ifconf *, const struct msg_prefix *))
{
	struct msg_prefix	 p;

	if (!collecting || msg_get(imsg, &p, sizeof(p)) == -1)
		return -1;
	if (add(&pending, &p) == 0)
		return 0;
	if (errno == EINVAL)
		return -1;
	if (log_limit(&limit, os_now(), 10, 60))
		log_warnx("ctrld: %s %s refused: %s", what, prefix_print(&p),
		    errno == EPERM ? "not of the tailnet's ranges" :
		    strerror(errno));
	return 0;
}

int
kroute_msg(struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_IFCONF_BEGIN:
		ifconf_clear(&pending);
		collecting = 1;
		return 0;
	case IMSG_IFCONF_ADDR:
		return kroute_add(imsg, "address", ifconf_add_addr);
	case IMSG_IFCONF_ROUTE:
		return kroute_add(imsg, "route", ifconf_add_route);
	case IMSG_IFCONF_COMMIT:
		if (!collecting)
			return -1;
		collecting = 0;
		ifconf_sort(&pending);
		kroute_commit();
		return 0;
	default:
		return -1;
	}
}

void
kroute_child_lost(void)
{
	collecting = 0;
	ifconf_clear(&pending);
}
