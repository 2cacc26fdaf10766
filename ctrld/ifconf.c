/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses and routes of the tunnel, to the parent.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "ctrld.h"
#include "proc.h"

#define OWN_ROUTES_MAX	10000		/* peers */

/*
 * One route for each range of tailnet addresses serves all peers: routes do
 * not come and go with them. Only what lies outside has routes of its own;
 * and all have, where the server says so (one-cgnat, control.md 4.10):
 * somebody else on the host's networks may have addresses of the range.
 */
struct prefixes {
	struct msg_prefix	*p_list;
	size_t			 p_n;
	size_t			 p_cap;
};

static struct prefixes	 last_addrs, last_routes;
static int		 own_routes;	/* each peer has one */

static void
prefixes_add(struct prefixes *ps, const struct msg_prefix *p)
{
	size_t	 cap;

	if (ps->p_n == ps->p_cap) {
		cap = ps->p_cap == 0 ? 16 : ps->p_cap * 2;
		ps->p_list = reallocarray(ps->p_list, cap, sizeof(*p));
		if (ps->p_list == NULL)
			fatal(NULL);
		ps->p_cap = cap;
	}
	ps->p_list[ps->p_n++] = *p;
}

static int
prefix_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct msg_prefix));
}

static void
prefixes_sort(struct prefixes *ps)
{
	size_t	 i, o;

	if (ps->p_n == 0)
		return;
	qsort(ps->p_list, ps->p_n, sizeof(*ps->p_list), prefix_cmp);
	for (i = 1, o = 0; i < ps->p_n; i++)
		if (prefix_cmp(&ps->p_list[i], &ps->p_list[o]) != 0)
			ps->p_list[++o] = ps->p_list[i];
	ps->p_n = o + 1;
}

static int
prefixes_same(const struct prefixes *a, const struct prefixes *b)
{
	return a->p_n == b->p_n && (a->p_n == 0 ||
	    memcmp(a->p_list, b->p_list, a->p_n * sizeof(*a->p_list)) == 0);
}

static void
self_addrs(const struct nm_node *self, struct prefixes *addrs,
    struct prefixes *routes)
{
	static const struct msg_prefix	 range4 = {
		AF_WIRE_INET, 10, { 0, 0 }, { 100, 64 }
	};
	static const struct msg_prefix	 range6 = {
		AF_WIRE_INET6, 48, { 0, 0 },
		{ 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 }
	};
	struct msg_prefix		 p;
	uint32_t			 i;

	for (i = 0; i < self->n_naddrs; i++) {
		prefix_wire(&self->n_addrs[i], &p);
		prefixes_add(addrs, &p);
		if (!own_routes)
			prefixes_add(routes, p.af == AF_WIRE_INET ?
			    &range4 : &range6);
	}
}

/* Routes that no range covers; marks a peer that has any. */
static void
peer_routes(struct nm_node *n, struct prefixes *routes)
{
	struct msg_prefix	 p;
	uint32_t		 i;

	n->n_mark &= ~MARK_ROUTES;
	if (!push_wants_peer(n))
		return;
	for (i = 0; i < n->n_nallowed; i++) {
		if ((!own_routes && prefix_is_tailnet(&n->n_allowed[i])) ||
		    !push_wants_prefix(n, &n->n_allowed[i],
		    ctrld_conf()->c_msg.accept_routes))
			continue;
		n->n_mark |= MARK_ROUTES;
		prefix_wire(&n->n_allowed[i], &p);
		prefixes_add(routes, &p);
	}
}

static void
send_all(enum msg_type type, const struct prefixes *ps)
{
	size_t	 i;

	for (i = 0; i < ps->p_n; i++)
		(void)chan_compose(proc_parent(), type, 0, -1,
		    &ps->p_list[i], sizeof(ps->p_list[i]));
}

void
ifconf_push(struct netmap *nm, int force)
{
	struct prefixes	 addrs, routes;
	struct nm_node	*n;

	memset(&addrs, 0, sizeof(addrs));
	memset(&routes, 0, sizeof(routes));
	if (nm != NULL) {
		own_routes = nm->nm_npeers < OWN_ROUTES_MAX &&
		    nm_node_hascap(nm->nm_self, "one-cgnat?v=false");
		self_addrs(nm->nm_self, &addrs, &routes);
		RB_FOREACH(n, nm_tree, &nm->nm_peers)
			peer_routes(n, &routes);
	}
	prefixes_sort(&addrs);
	prefixes_sort(&routes);
	if (!force && prefixes_same(&addrs, &last_addrs) &&
	    prefixes_same(&routes, &last_routes)) {
		free(addrs.p_list);
		free(routes.p_list);
		return;
	}
	(void)chan_compose(proc_parent(), IMSG_IFCONF_BEGIN, 0, -1, NULL, 0);
	send_all(IMSG_IFCONF_ADDR, &addrs);
	send_all(IMSG_IFCONF_ROUTE, &routes);
	(void)chan_compose(proc_parent(), IMSG_IFCONF_COMMIT, 0, -1, NULL,
	    0);
	free(last_addrs.p_list);
	free(last_routes.p_list);
	last_addrs = addrs;
	last_routes = routes;
}

/* Had a changed peer routes of its own, or has it now? */
static int
delta_matters(struct netmap *nm, const struct nm_delta *d)
{
	struct nm_node	*n;
	struct prefixes	 ps;
	uint32_t	 i;
	int		 had, has;

	if (d->nd_flags & NM_CH_SELF)
		return 1;
	for (i = 0; i < d->nd_nremoved; i++)
		if (d->nd_removed[i].dr_mark & MARK_ROUTES)
			return 1;
	memset(&ps, 0, sizeof(ps));
	for (i = 0, has = 0; i < d->nd_nchanged && !has; i++) {
		n = netmap_peer(nm, d->nd_changed[i].dc_id);
		if (n == NULL || (d->nd_changed[i].dc_what & (NM_PC_NEW |
		    NM_PC_ROUTES | NM_PC_KEY)) == 0)
			continue;
		had = n->n_mark & MARK_ROUTES;
		peer_routes(n, &ps);
		has = had || ps.p_n > 0;
	}
	free(ps.p_list);
	return has;
}

void
ifconf_delta(struct netmap *nm, const struct nm_delta *d)
{
	if (delta_matters(nm, d))
		ifconf_push(nm, 0);
}
