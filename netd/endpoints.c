/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Where we can be reached: the mapped port, the host's addresses and ports.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "hardnat.h"
#include "netcheck.h"

#define ADDRS_MAX	1024
#define HOLD_SEC	1
#define PER_SUBNET	2		/* IPv6 addresses of one subnet */
#define FRESH		(27 * NSEC)	/* dataplane.md 2.5 */
#define DOUBT_GAP	(5 * NSEC)	/* or many peers would ask too often */

enum ep_class {
	EP_SKIP,
	EP_LOOPBACK,
	EP_SPARE,			/* only if there is nothing better */
	EP_GOOD
};

static struct msg_localaddr	*addrs;		/* in force */
static size_t			 naddrs;
static struct msg_localaddr	*pending;	/* since LOCALADDR_BEGIN */
static size_t			 npending;
static struct ep_set		 last;		/* as told */
static struct ep_cache		 cache;
static struct event		 ev_hold;
static int			 told;
static int			 starting;	/* something may be held back */
static int			 holding;
static int			 have_netmap;
static void			(*refresher)(int64_t);
static int64_t			 measured;	/* 0: never */

static enum ep_class classify(const struct msg_localaddr *);
static size_t	 choose(const struct msg_localaddr *, size_t, uint16_t,
		    uint16_t, enum ep_class, struct msg_endpoint *, size_t);
static int	 crowded(const struct msg_endpoint *, size_t,
		    const struct msg_localaddr *);
static int	 addr_add(struct imsg *);
static void	 hold_cb(int, short, void *);
static int	 hold(const struct ep_set *);
static void	 add_stun(struct ep_set *);
static void	 add_local(struct ep_set *);
static void	 links_changed(void);
static int	 ports_changed(void);

LOCKED_CB(hold_cb)

static enum ep_class
classify(const struct msg_localaddr *la)
{
	struct addr	 a;

	memset(&a, 0, sizeof(a));
	a.a_af = la->p.af;
	a.a_port = 1;
	memcpy(a.a_ip, la->p.addr, la->p.af == AF_WIRE_INET ? 4 : 16);
	if (!addr_usable(&a))
		return EP_SKIP;
	if (addr_is_loopback(&a))
		return EP_LOOPBACK;
	if (addr_is_linklocal(&a))
		return a.a_af == AF_WIRE_INET ? EP_SPARE : EP_SKIP;
	if (a.a_af == AF_WIRE_INET6 && addr_is_private(&a))
		return EP_SPARE;
	return EP_GOOD;
}

/* Are there enough IPv6 addresses of that subnet already? */
static int
crowded(const struct msg_endpoint *ep, size_t n,
    const struct msg_localaddr *la)
{
	size_t	 i, same = 0;

	if (la->p.af != AF_WIRE_INET6)
		return 0;
	for (i = 0; i < n; i++)
		if (ep[i].af == AF_WIRE_INET6 &&
		    memcmp(ep[i].addr, la->p.addr, 8) == 0)
			same++;
	return same >= PER_SUBNET;
}

static size_t
choose(const struct msg_localaddr *la, size_t nla, uint16_t port4,
    uint16_t port6, enum ep_class class, struct msg_endpoint *out, size_t max)
{
	size_t		 i, n = 0;
	uint16_t	 port;

	for (i = 0; i < nla && n < max; i++) {
		port = la[i].p.af == AF_WIRE_INET ? port4 : port6;
		if (port == 0 || classify(&la[i]) != class ||
		    crowded(out, n, &la[i]))
			continue;
		memset(&out[n], 0, sizeof(out[n]));
		out[n].af = la[i].p.af;
		out[n].type = EP_LOCAL;
		out[n].port = port;
		memcpy(out[n].addr, la[i].p.addr,
		    la[i].p.af == AF_WIRE_INET ? 4 : 16);
		n++;
	}
	return n;
}

size_t
endpoints_choose(const struct msg_localaddr *la, size_t nla, uint16_t port4,
    uint16_t port6, struct msg_endpoint *out, size_t max)
{
	static const enum ep_class	 order[] = {
		EP_GOOD, EP_SPARE, EP_LOOPBACK
	};
	size_t				 i, n = 0;

	for (i = 0; i < nitems(order) && n == 0; i++)
		n = choose(la, nla, port4, port6, order[i], out, max);
	return n;
}

static int
addr_add(struct imsg *imsg)
{
	struct msg_localaddr	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    (m.p.af != AF_WIRE_INET && m.p.af != AF_WIRE_INET6))
		return -1;
	if (npending >= ADDRS_MAX)
		return 0;
	pending = reallocarray(pending, npending + 1, sizeof(*pending));
	if (pending == NULL)
		fatal(NULL);
	pending[npending++] = m;
	return 0;
}

/* What was measured before belongs to another network. */
static void
links_changed(void)
{
	struct peer	*p;
	int64_t		 now = os_now();

	derp_link_changed();
	hardnat_reset();
	for (p = peer_first(); p != NULL; p = peer_next(p)) {
		if (p->p_path == NULL || p->p_flags & PEER_WGONLY)
			continue;
		path_reset(p->p_path);
		if (p->p_path->pa_external != 0 &&
		    now - p->p_path->pa_external < PATH_ACTIVE)
			disco_discover(p, now);
	}
}

int
endpoints_message(struct imsg *imsg)
{
	struct msg_u32	 m;

	switch (imsg_get_type(imsg)) {
	case IMSG_LOCALADDR_BEGIN:
		free(pending);
		pending = NULL;
		npending = 0;
		return 0;
	case IMSG_LOCALADDR:
		return addr_add(imsg);
	default:
		break;
	}
	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	free(addrs);
	addrs = pending;
	naddrs = npending;
	pending = NULL;
	npending = 0;
	if (m.v) {
		memset(&cache, 0, sizeof(cache));
		links_changed();
	}
	netcheck_link_changed(m.v);
	endpoints_update(0);
	return 0;
}

unsigned int
endpoints_families(void)
{
	enum ep_class	 class;
	unsigned int	 have = 0;
	size_t		 i;

	for (i = 0; i < naddrs; i++) {
		class = classify(&addrs[i]);
		if (addrs[i].p.af == AF_WIRE_INET && class == EP_GOOD)
			have |= NC_HAVE4;
		if (addrs[i].p.af == AF_WIRE_INET6 && (class == EP_GOOD ||
		    class == EP_SPARE))
			have |= NC_HAVE6;
	}
	return have;
}

int
endpoints_local(const struct addr *a)
{
	size_t	 i, len = a->a_af == AF_WIRE_INET ? 4 : 16;

	for (i = 0; i < naddrs; i++)
		if (addrs[i].p.af == a->a_af &&
		    memcmp(addrs[i].p.addr, a->a_ip, len) == 0)
			return 1;
	return 0;
}

size_t
endpoints_get(struct msg_endpoint *out, size_t max)
{
	size_t	 n = last.s_n < max ? last.s_n : max;

	memcpy(out, last.s_ep, n * sizeof(*out));
	return n;
}

void
endpoints_refresher(void (*ask)(int64_t))
{
	refresher = ask;
}

void
endpoints_measured(int64_t now)
{
	measured = now;
	disco_endpoints(now);
}

int
endpoints_fresh(int64_t now)
{
	return refresher == NULL || (measured != 0 &&
	    now - measured <= FRESH);
}

void
endpoints_doubt(int64_t now)
{
	if (measured != 0 && now - measured > DOUBT_GAP)
		measured = now - FRESH - 1;
}

void
endpoints_refresh(int64_t now)
{
	if (refresher != NULL)
		refresher(now);
}

static void
hold_cb(int fd, short events, void *arg)
{
	endpoints_update(0);
}

/*
 * Just started: what STUN will say is worth a moment's wait, or the server
 * would hear of us twice. Not where there are no relays to ask.
 */
static int
hold(const struct ep_set *s)
{
	struct timeval	 tv = { HOLD_SEC, 0 };

	if (!starting || told || ep_has_type(s, EP_STUN))
		return 0;
	if (have_netmap && (derpmap_now()->dm_nregions == 0 ||
	    !netcheck_running()))
		return 0;
	if (!holding) {
		holding = 1;
		if (evtimer_add(&ev_hold, &tv) == -1)
			fatal("evtimer_add");
		return 1;
	}
	return evtimer_pending(&ev_hold, NULL);
}

/* STUN, as far as it has been asked; and the port of a hard NAT's owner. */
static void
add_stun(struct ep_set *s)
{
	const struct nc_facts	*f = netcheck_facts();
	struct addr		 a;
	size_t			 i;

	for (i = 0; i < f->f_n; i++)
		ep_add_addr(s, &f->f_addr[i], EP_STUN);
	if (f->f_varies != 1 || nd.n_conf.port == 0 || f->f_n == 0 ||
	    f->f_addr[0].a_af != AF_WIRE_INET ||
	    nd.n_self.flags & SELF_RANDOM_PORT)
		return;
	a = f->f_addr[0];
	a.a_port = nd.n_conf.port;
	ep_add_addr(s, &a, EP_STUN4LOCAL);
}

static void
add_local(struct ep_set *s)
{
	struct msg_endpoint	 ep[MSG_LIST_MAX];
	size_t			 i, n;

	n = endpoints_choose(addrs, naddrs, udp_sock(AF_WIRE_INET)->u_port,
	    udp_sock(AF_WIRE_INET6)->u_port, ep, nitems(ep));
	for (i = 0; i < n; i++)
		ep_add(s, &ep[i]);
}

/* Whatever was mapped for the old ones leads nowhere. */
static int
ports_changed(void)
{
	static uint16_t	 ports[2];
	uint16_t	 port;
	int		 i, changed = 0;

	for (i = 0; i < 2; i++) {
		port = nd.n_udp[i].u_port;
		if (port == ports[i])
			continue;
		changed |= ports[i] != 0;
		ports[i] = port;
	}
	return changed;
}

void
endpoints_update(int force)
{
	struct msg_nm_list	 ml;
	struct msg_endpoint	 mapped;
	struct ep_set		 s;

	if (ports_changed()) {
		memset(&cache, 0, sizeof(cache));
		links_changed();
		netcheck_link_changed(1);
	}
	memset(&s, 0, sizeof(s));
	if ((nd.n_self.flags & SELF_ONLY_443) == 0) {
		if (portmap_endpoint(&mapped, 1) == 1)
			ep_add(&s, &mapped);
		add_stun(&s);
		ep_cache_update(&cache, &s, os_now());
		add_local(&s);
	}
	if (!force && told && ep_same(&s, &last))
		return;
	last = s;
	if (hold(&s))
		return;
	memset(&ml, 0, sizeof(ml));
	ml.n = s.s_n;
	told = chan_compose2(&nd.n_ctrld, IMSG_ENDPOINTS, 0, -1, &ml,
	    sizeof(ml), s.s_ep, s.s_n * sizeof(s.s_ep[0])) == 0;
	disco_endpoints_changed(os_now());
}

void
endpoints_attrs(uint32_t diff)
{
	if (diff & SELF_ONLY_443) {	/* as if the network were another */
		memset(&cache, 0, sizeof(cache));
		links_changed();
	}
	netcheck_link_changed((diff & SELF_ONLY_443) != 0);
	endpoints_update(0);
}

void
endpoints_netmap(void)
{
	have_netmap = 1;
	endpoints_update(0);
}

void
endpoints_init(void)
{
	evtimer_set(&ev_hold, hold_cb_locked, NULL);
	starting = 1;
}
