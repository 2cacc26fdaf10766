/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The netmap as ctrld tells it: gathered whole, then swapped in.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "netd.h"

#define ALLOWED_MAX	65536		/* prefixes of one peer */
#define EPS_MAX		256
#define CAPS_MAX	256

/* A peer that is new, or replaced, or gone. */
struct item {
	struct msg_nm_peer i_peer;
	struct msg_prefix *i_allowed;
	struct addr	*i_eps;
	char		(*i_caps)[FILTER_CAP_MAX];
	uint32_t	 i_nallowed;
	uint32_t	 i_neps;
	uint32_t	 i_ncaps;
	uint8_t		 i_gone;
	uint8_t		 i_new;		/* cryptod does not know it yet */
};

/*
 * What has come since NM_BEGIN. The items are one block: ten thousand small
 * ones would leave holes between the lists that stay.
 */
struct change {
	struct item	*c_items;
	size_t		 c_nitems;
	size_t		 c_room;
	struct msg_nm_begin c_begin;
	struct msg_nm_self c_self;
	struct msg_prefix *c_routes;
	struct rules	*c_rules;
	struct derp_map	*c_derp;
	int64_t		 c_begun;
	uint32_t	 c_nroutes;
	int		 c_has_self;
	int		 c_open;
};

static struct change	 change;
static struct rules	*rules;		/* in force */
static struct msg_prefix *self_routes;
static uint32_t		 nself_routes;
static struct netmap_last last;

/*
 * Of two peers with the same prefix the first one has it. While there are
 * none such, a peer's routes come and go alone; else, or where there is no
 * room, the table is made anew with the commit.
 */
static int		 routes_shared;
static int		 routes_stale = 1;

static struct item *item_new(void);
static struct item *item_last(uint64_t);
static int	 nm_begin(struct imsg *);
static int	 nm_self(struct imsg *);
static int	 nm_self_routes(struct imsg *);
static int	 nm_peer(struct imsg *);
static int	 nm_peer_del(struct imsg *);
static int	 nm_allowed(struct imsg *);
static int	 nm_endpoints(struct imsg *);
static int	 nm_cap(struct imsg *);
static int	 nm_commit(struct imsg *);
static struct msg_prefix *prefixes_add(struct msg_prefix *, uint32_t *,
		    const uint8_t *, uint32_t);
static void	 apply_peer(struct item *, int64_t);
static void	 apply_disco(struct peer *, const struct item *, int64_t);
static void	 apply_masq(struct peer *, const struct msg_nm_peer *);
static void	 apply_gone(struct peer *);
static int	 same_routes(const struct peer *, const struct item *);
static void	 routes_in(struct peer *);
static void	 routes_out(const struct peer *);
static void	 routes_rebuild(void);
static void	 remove_unnamed(void);
static void	 apply_peers(int64_t);

const struct msg_ip *
self_addr(uint8_t af)
{
	unsigned int	 i;

	for (i = 0; i < nd.n_self.naddrs; i++)
		if (nd.n_self.addr[i].af == af)
			return &nd.n_self.addr[i];
	return NULL;
}

static struct item *
item_new(void)
{
	struct item	*it;

	if (change.c_nitems == change.c_room) {
		change.c_room = change.c_room == 0 ? 16 : change.c_room * 2;
		change.c_items = reallocarray(change.c_items, change.c_room,
		    sizeof(*change.c_items));
		if (change.c_items == NULL)
			fatal(NULL);
	}
	it = &change.c_items[change.c_nitems++];
	memset(it, 0, sizeof(*it));
	return it;
}

void
netmap_abort(void)
{
	size_t	 i;

	for (i = 0; i < change.c_nitems; i++) {
		free(change.c_items[i].i_allowed);
		free(change.c_items[i].i_eps);
		free(change.c_items[i].i_caps);
	}
	free(change.c_items);
	free(change.c_routes);
	rules_free(change.c_rules);
	derpmap_free(change.c_derp);
	memset(&change, 0, sizeof(change));
}

/* Lists follow the peer that they belong to. */
static struct item *
item_last(uint64_t id)
{
	struct item	*it;

	if (change.c_nitems == 0)
		return NULL;
	it = &change.c_items[change.c_nitems - 1];
	return it->i_gone || it->i_peer.id != id ? NULL : it;
}

static int
nm_begin(struct imsg *imsg)
{
	netmap_abort();
	if (msg_get(imsg, &change.c_begin, sizeof(change.c_begin)) == -1)
		return -1;
	change.c_open = 1;
	change.c_begun = os_now();
	return 0;
}

static int
nm_self(struct imsg *imsg)
{
	struct msg_nm_self	*m = &change.c_self;
	unsigned int		 i;

	if (msg_get(imsg, m, sizeof(*m)) == -1 ||
	    m->naddrs > nitems(m->addr))
		return -1;
	for (i = 0; i < m->naddrs; i++)
		if (m->addr[i].af != AF_WIRE_INET &&
		    m->addr[i].af != AF_WIRE_INET6)
			return -1;
	change.c_has_self = 1;
	return 0;
}

/* Append prefixes; NULL: a bad one, or too many. */
static struct msg_prefix *
prefixes_add(struct msg_prefix *list, uint32_t *have, const uint8_t *elems,
    uint32_t n)
{
	struct msg_prefix	*p;
	uint32_t		 i;

	if (n > ALLOWED_MAX - *have)
		return NULL;
	p = reallocarray(list, (size_t)*have + n + 1, sizeof(*p));
	if (p == NULL)
		fatal(NULL);
	memcpy(p + *have, elems, n * sizeof(*p));
	for (i = *have; i < *have + n; i++) {
		memset(p[i].pad, 0, sizeof(p[i].pad));
		if (!prefix_ok(&p[i])) {
			free(p);
			return NULL;
		}
	}
	*have += n;
	return p;
}

static int
nm_self_routes(struct imsg *imsg)
{
	struct msg_nm_list	 ml;
	const uint8_t		*elems;

	if (msg_list(imsg, &ml, sizeof(ml), &elems) == -1 ||
	    msg_list_ok(imsg, sizeof(ml), ml.n,
	    sizeof(struct msg_prefix)) == -1)
		return -1;
	change.c_routes = prefixes_add(change.c_routes, &change.c_nroutes,
	    elems, ml.n);
	return change.c_routes == NULL ? -1 : 0;
}

static int
nm_peer(struct imsg *imsg)
{
	struct msg_nm_peer	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	item_new()->i_peer = m;
	return 0;
}

static int
nm_peer_del(struct imsg *imsg)
{
	struct msg_nm_id	 m;
	struct item		*it;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	it = item_new();
	it->i_peer.id = m.id;
	it->i_gone = 1;
	return 0;
}

static int
nm_allowed(struct imsg *imsg)
{
	struct msg_nm_list	 ml;
	struct item		*it;
	const uint8_t		*elems;

	if (msg_list(imsg, &ml, sizeof(ml), &elems) == -1 ||
	    msg_list_ok(imsg, sizeof(ml), ml.n,
	    sizeof(struct msg_prefix)) == -1 ||
	    (it = item_last(ml.id)) == NULL)
		return -1;
	it->i_allowed = prefixes_add(it->i_allowed, &it->i_nallowed, elems,
	    ml.n);
	return it->i_allowed == NULL ? -1 : 0;
}

/* What no peer can be at is left out: control forwards what nodes say. */
static int
nm_endpoints(struct imsg *imsg)
{
	struct msg_nm_list	 ml;
	struct msg_endpoint	 ep;
	struct item		*it;
	struct addr		 a;
	const uint8_t		*elems;
	uint32_t		 i;

	if (msg_list(imsg, &ml, sizeof(ml), &elems) == -1 ||
	    msg_list_ok(imsg, sizeof(ml), ml.n, sizeof(ep)) == -1 ||
	    (it = item_last(ml.id)) == NULL)
		return -1;
	it->i_eps = reallocarray(it->i_eps, (size_t)it->i_neps + ml.n + 1,
	    sizeof(*it->i_eps));
	if (it->i_eps == NULL)
		fatal(NULL);
	for (i = 0; i < ml.n && it->i_neps < EPS_MAX; i++) {
		memcpy(&ep, elems + i * sizeof(ep), sizeof(ep));
		if (ep.af != AF_WIRE_INET && ep.af != AF_WIRE_INET6)
			return -1;
		addr_from_ep(&a, &ep);
		if (addr_usable(&a))
			it->i_eps[it->i_neps++] = a;
	}
	return 0;
}

static int
nm_cap(struct imsg *imsg)
{
	struct msg_nm_cap	 m;
	struct item		*it;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.cap, sizeof(m.cap)) ||
	    (it = item_last(m.id)) == NULL)
		return -1;
	if (it->i_ncaps == CAPS_MAX || strlen(m.cap) >= FILTER_CAP_MAX)
		return 0;
	it->i_caps = reallocarray(it->i_caps, it->i_ncaps + 1,
	    sizeof(*it->i_caps));
	if (it->i_caps == NULL)
		fatal(NULL);
	strlcpy(it->i_caps[it->i_ncaps++], m.cap, FILTER_CAP_MAX);
	return 0;
}

int
netmap_message(struct imsg *imsg)
{
	uint32_t	 type = imsg_get_type(imsg);

	if (type == IMSG_NM_BEGIN)
		return nm_begin(imsg);
	if (!change.c_open)
		return -1;
	switch (type) {
	case IMSG_NM_SELF:
		return nm_self(imsg);
	case IMSG_NM_SELF_ROUTES:
		return nm_self_routes(imsg);
	case IMSG_NM_PEER:
		return nm_peer(imsg);
	case IMSG_NM_PEER_ALLOWED:
		return nm_allowed(imsg);
	case IMSG_NM_PEER_ENDPOINTS:
		return nm_endpoints(imsg);
	case IMSG_NM_PEER_CAP:
		return nm_cap(imsg);
	case IMSG_NM_PEER_DEL:
		return nm_peer_del(imsg);
	case IMSG_NM_FILTER_BEGIN:
		rules_free(change.c_rules);
		change.c_rules = rules_new();
		return 0;
	case IMSG_NM_DERP_BEGIN:
	case IMSG_NM_DERP_REGION:
	case IMSG_NM_DERP_NODE:
		return derpmap_message(&change.c_derp, imsg);
	case IMSG_NM_COMMIT:
		return nm_commit(imsg);
	default:
		return change.c_rules == NULL ? -1 :
		    rules_message(change.c_rules, imsg);
	}
}

static void
apply_masq(struct peer *p, const struct msg_nm_peer *m)
{
	if (m->masq4.af == 0 && m->masq6.af == 0) {
		free(p->p_masq);
		p->p_masq = NULL;
		return;
	}
	if (p->p_masq == NULL &&
	    (p->p_masq = calloc(2, sizeof(*p->p_masq))) == NULL)
		fatal(NULL);
	p->p_masq[0] = m->masq4;
	p->p_masq[1] = m->masq6;
}

/*
 * A new disco key by control means that the peer has restarted: its session
 * keys are gone. Unless it told us so itself before (dataplane.md 6.6).
 */
static void
apply_disco(struct peer *p, const struct item *it, int64_t now)
{
	const struct msg_nm_peer	*m = &it->i_peer;
	int				 restart;

	if (memcmp(p->p_disco, m->disco, MSG_KEY_LEN) == 0) {
		p->p_band_disco = 0;
		return;
	}
	if (p->p_band_disco && (m->flags & PEER_ONLINE) == 0)
		return;			/* control knows less than we do */
	restart = !key_is_zero(p->p_disco, MSG_KEY_LEN) &&
	    !key_is_zero(m->disco, MSG_KEY_LEN);
	peer_set_disco(p, m->disco);
	p->p_band_disco = 0;
	if (p->p_path != NULL)
		path_reset(p->p_path);
	if (restart)
		hs_reset(p, now);
}

void
netmap_band_disco(struct peer *p, const uint8_t *key)
{
	if (key_is_zero(key, MSG_KEY_LEN) ||
	    memcmp(p->p_disco, key, MSG_KEY_LEN) == 0)
		return;
	log_info("peer %llu has a new disco key",
	    (unsigned long long)p->p_id);
	peer_set_disco(p, key);
	p->p_band_disco = 1;
}

int
netmap_any_relay(void)
{
	return rules != NULL && rules->rs_nrelay[RELAY_SERVERS - 1] > 0;
}

/* By its first own address, as other programs look at it. */
int
netmap_relay(const struct peer *p, unsigned int part)
{
	const struct msg_prefix	*pfx;
	uint32_t		 i;

	for (i = 0; i < p->p_nallowed; i++) {
		pfx = &p->p_allowed[i];
		if (pfx->plen == (pfx->af == AF_WIRE_INET ? 32 : 128))
			return rules_relay(rules, part, pfx->af, pfx->addr);
	}
	return 0;
}

static void
apply_gone(struct peer *p)
{
	routes_out(p);
	hs_tell_peer(p, 1);
	peer_delete(p);
}

static int
same_routes(const struct peer *p, const struct item *it)
{
	return ((p->p_flags ^ it->i_peer.flags) & PEER_EXPIRED) == 0 &&
	    p->p_nallowed == it->i_nallowed && (p->p_nallowed == 0 ||
	    memcmp(p->p_allowed, it->i_allowed,
	    p->p_nallowed * sizeof(*p->p_allowed)) == 0);
}

/* The lists move from the item to the peer. */
static void
apply_peer(struct item *it, int64_t now)
{
	const struct msg_nm_peer	*m = &it->i_peer;
	struct peer			*p;
	int				 same;

	if ((p = peer_find(m->id)) != NULL &&
	    memcmp(p->p_key, m->key, MSG_KEY_LEN) != 0) {
		apply_gone(p);		/* a new key: another peer */
		p = NULL;
	}
	same = p != NULL && same_routes(p, it);
	if (p != NULL && !same)
		routes_out(p);
	if (p == NULL) {
		p = peer_new(m->id, m->key);
		it->i_new = 1;
	}
	if ((p->p_flags ^ m->flags) & PEER_WGONLY) {
		path_free(p->p_path);	/* found by other means */
		p->p_path = NULL;
	}
	p->p_mark = 1;
	p->p_derp = m->derp;
	p->p_cap = m->cap;
	p->p_flags = m->flags;
	free(p->p_allowed);
	free(p->p_eps);
	free(p->p_caps);
	p->p_allowed = it->i_allowed;
	p->p_nallowed = it->i_nallowed;
	p->p_eps = it->i_eps;
	p->p_neps = it->i_neps;
	p->p_caps = it->i_caps;
	p->p_ncaps = it->i_ncaps;
	it->i_allowed = NULL;
	it->i_eps = NULL;
	it->i_caps = NULL;
	if (!same)
		routes_in(p);
	apply_masq(p, m);
	apply_disco(p, it, now);
	if (m->flags & PEER_EXPIRED)
		peer_wipe(p);
	if (p->p_path != NULL) {
		path_netmap(p->p_path, p->p_eps, p->p_neps);
		if (p->p_path->pa_external != 0 &&
		    now - p->p_path->pa_external < PATH_ACTIVE)
			disco_discover(p, now);
	}
}

/* Packets for its addresses go to that peer from now on. */
static void
routes_in(struct peer *p)
{
	uint32_t	 i;

	if (p->p_flags & PEER_EXPIRED)
		return;
	if (!routes_stale && !routes_room(nd.n_routes, p->p_nallowed))
		routes_stale = 1;
	for (i = 0; i < p->p_nallowed && !routes_stale; i++)
		if (routes_add(nd.n_routes, &p->p_allowed[i], p) == -1)
			routes_stale = 1;
}

static void
routes_out(const struct peer *p)
{
	uint32_t	 i;

	if (routes_shared)
		routes_stale = 1;	/* who has it next? */
	for (i = 0; i < p->p_nallowed && !routes_stale; i++)
		routes_del(nd.n_routes, &p->p_allowed[i], p);
}

/* Those who are not expired get their packets; the first one wins. */
static void
routes_rebuild(void)
{
	struct routes	*rs;
	struct peer	*p;
	size_t		 n = 0;
	uint32_t	 i;

	for (p = peer_first(); p != NULL; p = peer_next(p))
		n += p->p_nallowed;
	rs = routes_new(n + n / 4);
	routes_shared = 0;
	for (p = peer_first(); p != NULL; p = peer_next(p)) {
		if (p->p_flags & PEER_EXPIRED)
			continue;
		for (i = 0; i < p->p_nallowed; i++)
			if (routes_add(rs, &p->p_allowed[i], p) == -1)
				routes_shared = 1;
	}
	routes_free(nd.n_routes);
	nd.n_routes = rs;
	routes_stale = 0;
}

static void
remove_unnamed(void)
{
	struct peer	*p, *next;

	for (p = peer_first(); p != NULL; p = next) {
		next = peer_next(p);
		if (!p->p_mark)
			apply_gone(p);
	}
}

void
netmap_filter(void)
{
	static int	 shields = -1;
	int		 up = nd.n_conf.shields_up;

	filter_free(nd.n_filter);
	filter_free(nd.n_jail);
	nd.n_filter = rules_filter(rules, up, &nd.n_self, self_routes,
	    nself_routes);
	nd.n_jail = rules_filter(NULL, 1, &nd.n_self, self_routes,
	    nself_routes);
	if (shields != up && up)
		filter_flows_clear(nd.n_flows);
	shields = up;
}

/* Afterwards: what is queued for cryptod is gone again, the peers stay. */
static void
tell_new(void)
{
	struct peer	*p;
	size_t		 i;

	for (i = 0; i < change.c_nitems; i++)
		if (change.c_items[i].i_new &&
		    (p = peer_find(change.c_items[i].i_peer.id)) != NULL)
			hs_tell_peer(p, 0);
}

static void
apply_peers(int64_t now)
{
	struct item	*it;
	struct peer	*p;
	size_t		 i;

	last.nl_peers = 0;
	last.nl_full = change.c_begin.full;
	if (last.nl_full) {
		routes_stale = 1;
		for (p = peer_first(); p != NULL; p = peer_next(p))
			p->p_mark = 0;
	}
	for (i = 0; i < change.c_nitems; i++) {
		it = &change.c_items[i];
		last.nl_peers++;
		if (!it->i_gone)
			apply_peer(it, now);
		else if ((p = peer_find(it->i_peer.id)) != NULL)
			apply_gone(p);
	}
	if (last.nl_full)
		remove_unnamed();
	tell_new();
	if (routes_stale)
		routes_rebuild();
}

/* The server wants it another way: node attributes, control.md 4.10. */
static void
self_attrs(uint32_t diff)
{
	if (diff & (SELF_NO_UDP_GSO | SELF_NO_UDP_GRO)) {
		udp_offloads(udp_sock(AF_WIRE_INET));
		udp_offloads(udp_sock(AF_WIRE_INET6));
	}
	if (diff & (SELF_NO_TUN_UDP_GRO | SELF_NO_TUN_TCP_GRO))
		rx_init(nd.n_rx, tun_coal_caps());
	if (diff & (SELF_ONLY_443 | SELF_ALWAYS_STUN | SELF_RANDOM_PORT))
		endpoints_attrs(diff);
}

static int
nm_commit(struct imsg *imsg)
{
	struct msg_nm_begin	 m;
	uint32_t		 diff;
	int			 filter = 0;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.seq != change.c_begin.seq)
		return -1;
	if (change.c_has_self) {
		diff = nd.n_self.flags ^ change.c_self.flags;
		nd.n_self = change.c_self;
		self_attrs(diff);
		free(self_routes);
		self_routes = change.c_routes;
		nself_routes = change.c_nroutes;
		change.c_routes = NULL;
		filter = 1;
	}
	apply_peers(os_now());
	if (change.c_rules != NULL) {
		rules_free(rules);
		rules = change.c_rules;
		change.c_rules = NULL;
		filter = 1;
	}
	if (filter)
		netmap_filter();
	if (change.c_derp != NULL) {
		derpmap_commit(change.c_derp);
		change.c_derp = NULL;
	}
	netcheck_netmap();
	endpoints_netmap();
	last.nl_took = os_now() - change.c_begun;
	netmap_abort();
	hs_active_start();
	return 0;
}

const struct netmap_last *
netmap_last(void)
{
	return &last;
}
