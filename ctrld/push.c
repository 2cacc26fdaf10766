/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Peers to netd: all of them, or what a delta changed.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "ctrld.h"
#include "proc.h"

/* What of a change is netd's business. */
#define NETD_CHANGES	(NM_PC_NEW | NM_PC_KEY | NM_PC_PATHS | \
			NM_PC_ROUTES | NM_PC_FLAGS | NM_PC_ONLINE)

static uint32_t	 seq;

void
ip_wire(uint8_t version, const uint8_t *addr, struct msg_ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	ip->af = version;
	if (version != 0)
		memcpy(ip->addr, addr, version == 4 ? 4 : 16);
}

/* Host bits are tolerated in the netmap; in messages they are zero. */
void
prefix_wire(const struct nm_prefix *p, struct msg_prefix *out)
{
	unsigned int	 i;

	memset(out, 0, sizeof(*out));
	out->af = p->np_version;
	out->plen = p->np_plen;
	for (i = 0; i < p->np_plen; i++)
		out->addr[i / 8] |= p->np_addr[i / 8] & (0x80 >> (i % 8));
}

int
prefix_is_tailnet(const struct nm_prefix *p)
{
	static const uint8_t	 ula[6] = {
		0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0
	};

	if (p->np_version == 4)
		return p->np_addr[0] == 100 && (p->np_addr[1] & 0xc0) == 64;
	return memcmp(p->np_addr, ula, sizeof(ula)) == 0;
}

static int
is_own(const struct nm_node *n, const struct nm_prefix *p)
{
	uint32_t	 i;

	for (i = 0; i < n->n_naddrs; i++)
		if (memcmp(&n->n_addrs[i], p, sizeof(*p)) == 0)
			return 1;
	return 0;
}

/*
 * A peer may always have its own addresses. A subnet route needs the
 * configuration's consent; a default route is an exit node's, which the
 * configuration does not choose yet.
 */
int
push_wants_prefix(const struct nm_node *n, const struct nm_prefix *p,
    int routes)
{
	if (p->np_plen == 0)
		return 0;
	if (p->np_plen == (p->np_version == 4 ? 32 : 128) &&
	    (prefix_is_tailnet(p) || is_own(n, p)))
		return 1;
	return routes;
}

/* Without a disco key there is no way to a peer but a fixed endpoint. */
int
push_wants_peer(const struct nm_node *n)
{
	static const uint8_t	 zero[32];

	return memcmp(n->n_key, zero, 32) != 0 &&
	    (n->n_wgonly || memcmp(n->n_disco, zero, 32) != 0);
}

/* --- lists --- */

struct list {
	struct msg_nm_list	 l_hdr;
	enum msg_type		 l_type;
	uint8_t			 l_elems[MSG_LIST_MAX *
				    sizeof(struct msg_endpoint)];
};

static void
list_send(struct list *l, size_t elen)
{
	if (l->l_hdr.n == 0)
		return;
	(void)chan_compose2(ctrld_netd(), l->l_type, 0, -1, &l->l_hdr,
	    sizeof(l->l_hdr), l->l_elems, l->l_hdr.n * elen);
	l->l_hdr.n = 0;
}

static void
list_add(struct list *l, const void *elem, size_t elen)
{
	memcpy(l->l_elems + l->l_hdr.n * elen, elem, elen);
	if (++l->l_hdr.n == MSG_LIST_MAX)
		list_send(l, elen);
}

static void
list_start(struct list *l, enum msg_type type, uint64_t id)
{
	memset(&l->l_hdr, 0, sizeof(l->l_hdr));
	l->l_hdr.id = id;
	l->l_type = type;
}

static void
send_allowed(const struct nm_node *n)
{
	struct list		 l;
	struct msg_prefix	 p;
	uint32_t		 i;
	int			 routes;

	routes = ctrld_conf()->c_msg.accept_routes;
	list_start(&l, IMSG_NM_PEER_ALLOWED, n->n_id);
	for (i = 0; i < n->n_nallowed; i++) {
		if (!push_wants_prefix(n, &n->n_allowed[i], routes))
			continue;
		prefix_wire(&n->n_allowed[i], &p);
		list_add(&l, &p, sizeof(p));
	}
	list_send(&l, sizeof(p));
}

static void
send_endpoints(const struct nm_node *n)
{
	struct list		 l;
	struct msg_endpoint	 ep;
	uint32_t		 i;

	list_start(&l, IMSG_NM_PEER_ENDPOINTS, n->n_id);
	for (i = 0; i < n->n_nendpoints; i++) {
		memset(&ep, 0, sizeof(ep));
		ep.af = n->n_endpoints[i].ne_version;
		ep.port = n->n_endpoints[i].ne_port;
		memcpy(ep.addr, n->n_endpoints[i].ne_addr,
		    ep.af == AF_WIRE_INET ? 4 : 16);
		list_add(&l, &ep, sizeof(ep));
	}
	list_send(&l, sizeof(ep));
}

/* Those of its capabilities that the filter has as sources. */
static void
send_caps(const struct nm_node *n)
{
	struct msg_nm_cap	 m;
	const char		*key;
	json_t			*caps, *v;

	if (n->n_capmap == NULL || *n->n_capmap == '\0' ||
	    (caps = ju_load(n->n_capmap, strlen(n->n_capmap))) == NULL)
		return;
	json_object_foreach(caps, key, v) {
		if (!filter_names_cap(key))
			continue;
		memset(&m, 0, sizeof(m));
		m.id = n->n_id;
		if (strlcpy(m.cap, key, sizeof(m.cap)) < sizeof(m.cap))
			(void)chan_compose(ctrld_netd(), IMSG_NM_PEER_CAP, 0,
			    -1, &m, sizeof(m));
	}
	json_decref(caps);
}

static void
send_peer(struct nm_node *n)
{
	struct msg_nm_peer	 m;

	memset(&m, 0, sizeof(m));
	m.id = n->n_id;
	memcpy(m.key, n->n_key, sizeof(m.key));
	memcpy(m.disco, n->n_disco, sizeof(m.disco));
	m.derp = n->n_homederp;
	m.cap = n->n_cap < UINT16_MAX ? n->n_cap : UINT16_MAX;
	m.flags = (n->n_wgonly ? PEER_WGONLY : 0) |
	    (n->n_jailed ? PEER_JAILED : 0) |
	    (node_expired(n) ? PEER_EXPIRED : 0) |
	    (n->n_online == 1 ? PEER_ONLINE : 0);
	ip_wire(n->n_masq4.na_version, n->n_masq4.na_addr, &m.masq4);
	ip_wire(n->n_masq6.na_version, n->n_masq6.na_addr, &m.masq6);
	(void)chan_compose(ctrld_netd(), IMSG_NM_PEER, 0, -1, &m, sizeof(m));
	send_allowed(n);
	send_endpoints(n);
	send_caps(n);
	n->n_mark |= MARK_NETD;
}

static void
send_del(int64_t id)
{
	struct msg_nm_id	 m;

	memset(&m, 0, sizeof(m));
	m.id = id;
	(void)chan_compose(ctrld_netd(), IMSG_NM_PEER_DEL, 0, -1, &m,
	    sizeof(m));
}

/* What the server wants of us, as far as it is netd's or the parent's. */
static uint32_t
self_flags(const struct nm_node *n)
{
	static const struct {
		const char	*name;
		uint32_t	 flags;
	}		 attrs[] = {
		{ "silent-disco", SELF_SILENT_DISCO },
		{ "disable-relay-client", SELF_NO_RELAY_CLIENT },
		{ "disable-relay-server", SELF_NO_RELAY_SERVER },
		{ "disable-captive-portal-detection", SELF_NO_CAPTIVE },
		{ "randomize-client-port", SELF_RANDOM_PORT },
		{ "debug-disable-upnp", SELF_NO_UPNP },
		{ "only-tcp-443", SELF_ONLY_443 | SELF_NO_RELAY_CLIENT |
		    SELF_NO_RELAY_SERVER | SELF_NO_CAPTIVE },
		{ "debug-always-stun", SELF_ALWAYS_STUN },
		{ "disable-udp-gso", SELF_NO_UDP_GSO },
		{ "disable-udp-gro", SELF_NO_UDP_GRO },
		{ "disable-tun-udp-gro", SELF_NO_TUN_UDP_GRO },
		{ "disable-tun-tcp-gro", SELF_NO_TUN_TCP_GRO }
	};
	uint32_t	 f = 0;
	size_t		 i;

	for (i = 0; i < nitems(attrs); i++)
		if (nm_node_hascap(n, attrs[i].name))
			f |= attrs[i].flags;
	return f;
}

/* The parent binds the port and knows the gateway. */
static void
send_attrs(uint32_t flags)
{
	static uint32_t	 last;
	static int	 told;
	struct msg_u32	 m;

	if (told && flags == last)
		return;
	told = 1;
	m.v = last = flags;
	(void)chan_compose(proc_parent(), IMSG_SELF_ATTRS, 0, -1, &m,
	    sizeof(m));
}

static void
send_self(const struct nm_node *n)
{
	struct msg_nm_self	 m;
	struct msg_prefix	 p;
	struct list		 l;
	uint32_t		 i;

	memset(&m, 0, sizeof(m));
	m.id = n->n_id;
	memcpy(m.key, n->n_key, sizeof(m.key));
	m.derp = n->n_homederp;
	m.flags = self_flags(n);
	send_attrs(m.flags);
	for (i = 0; i < n->n_naddrs && m.naddrs < nitems(m.addr); i++)
		ip_wire(n->n_addrs[i].np_version, n->n_addrs[i].np_addr,
		    &m.addr[m.naddrs++]);
	(void)chan_compose(ctrld_netd(), IMSG_NM_SELF, 0, -1, &m, sizeof(m));
	/* What the server approved beyond the own addresses. */
	list_start(&l, IMSG_NM_SELF_ROUTES, n->n_id);
	for (i = 0; i < n->n_nallowed; i++) {
		if (is_own(n, &n->n_allowed[i]))
			continue;
		prefix_wire(&n->n_allowed[i], &p);
		list_add(&l, &p, sizeof(p));
	}
	list_send(&l, sizeof(p));
}

static void
send_begin(enum msg_type type, int full)
{
	struct msg_nm_begin	 m;

	memset(&m, 0, sizeof(m));
	m.full = full;
	m.seq = type == IMSG_NM_BEGIN ? ++seq : seq;
	(void)chan_compose(ctrld_netd(), type, 0, -1, &m, sizeof(m));
}

void
push_netd_full(struct netmap *nm)
{
	struct nm_node	*n;

	send_begin(IMSG_NM_BEGIN, 1);
	if (nm != NULL) {
		(void)filter_caps_update(nm);
		send_self(nm->nm_self);
		RB_FOREACH(n, nm_tree, &nm->nm_peers) {
			n->n_mark &= ~MARK_NETD;
			if (push_wants_peer(n))
				send_peer(n);
		}
		push_filter(ctrld_netd(), nm);
	} else
		send_attrs(0);
	push_derp(nm);
	send_begin(IMSG_NM_COMMIT, 1);
}

/* Returns whether the filter must be looked at anew. */
static int
delta_peers(struct netmap *nm, const struct nm_delta *d)
{
	struct nm_node	*n;
	uint32_t	 i;
	int		 judge;

	judge = 0;

	for (i = 0; i < d->nd_nremoved; i++)
		if (d->nd_removed[i].dr_mark & MARK_NETD)
			send_del(d->nd_removed[i].dr_id);
	for (i = 0; i < d->nd_nchanged; i++) {
		if ((d->nd_changed[i].dc_what & NETD_CHANGES) == 0 ||
		    (n = netmap_peer(nm, d->nd_changed[i].dc_id)) == NULL)
			continue;
		/* No rule may let it in. */
		judge |= n->n_unsigned;
		if (push_wants_peer(n))
			send_peer(n);
		else if (n->n_mark & MARK_NETD) {
			n->n_mark &= ~MARK_NETD;
			send_del(n->n_id);
		}
	}
	return judge;
}

/* Does a delta hold anything that netd must know? */
static int
delta_matters(const struct nm_delta *d)
{
	uint32_t	 i;

	if (d->nd_nremoved > 0 ||
	    d->nd_flags & (NM_CH_SELF | NM_CH_FILTER | NM_CH_DERP))
		return 1;
	for (i = 0; i < d->nd_nchanged; i++)
		if (d->nd_changed[i].dc_what & NETD_CHANGES)
			return 1;
	return 0;
}

void
push_netd_delta(struct netmap *nm, const struct nm_delta *d)
{
	if (!delta_matters(d))
		return;
	/* Other capabilities matter now: they must be sent of all peers. */
	if (d->nd_flags & NM_CH_FILTER && filter_caps_update(nm)) {
		push_netd_full(nm);
		return;
	}
	send_begin(IMSG_NM_BEGIN, 0);
	if (d->nd_flags & NM_CH_SELF)
		send_self(nm->nm_self);
	if (delta_peers(nm, d) || d->nd_flags & NM_CH_FILTER)
		push_filter(ctrld_netd(), nm);
	if (d->nd_flags & NM_CH_DERP)
		push_derp(nm);
	send_begin(IMSG_NM_COMMIT, 0);
}

void
push_netd_expired(struct netmap *nm, int64_t from)
{
	struct nm_node	*n;

	send_begin(IMSG_NM_BEGIN, 0);
	RB_FOREACH(n, nm_tree, &nm->nm_peers)
		if (n->n_keyexpiry.jt_set && node_expired(n) &&
		    n->n_keyexpiry.jt_sec >= from / NS_PER_S &&
		    push_wants_peer(n))
			send_peer(n);
	send_begin(IMSG_NM_COMMIT, 0);
}
