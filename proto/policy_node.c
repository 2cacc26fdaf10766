/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy: what single nodes get: rules, peers, routes.
 */

#include <stdlib.h>
#include <string.h>

#include "policy_int.h"

/* Rules of one node as they are put together. */
struct outrule {
	char		*o_key;		/* sources as text */
	json_t		*o_dsts;	/* DstPorts, belongs to the rule */
	uint8_t		 o_proto;
};

struct out {
	json_t		*o_list;
	struct outrule	*o_v;
	size_t		 o_n;
	size_t		 o_cap;
};

static json_t	*allow_all(void);
static json_t	*out_done(struct out *, int);
static json_t	*out_rule(struct out *, json_t *, const char *, int);
static json_t	*dst_json(const struct policy_prefix *, uint16_t, uint16_t);
static int	 node_gets(const struct policy_state *, size_t,
		    const struct cdst *);
static int	 prefix_has_node(const struct pnodeinfo *,
		    const struct policy_prefix *, int);
static int	 prefix_meets_routes(const struct pnodeinfo *,
		    const struct policy_prefix *);
static int	 out_dst(struct out *, const struct crule *,
		    const struct cdst *, json_t **);
static size_t	 group_lower(const struct crule *, const struct cgroup *,
		    const struct policy_prefix *);
static int	 out_group(struct out *, const struct crule *,
		    const struct cgroup *, const struct pnodeinfo *,
		    json_t **);
static int	 out_ports(const struct policy_state *, struct out *,
		    const struct crule *, size_t);
static int	 out_all_ports(struct out *, const struct crule *);
static int	 caps_prefix(json_t *, const struct policy_prefix *);
static int	 caps_add(json_t *, const struct pnodeinfo *,
		    const struct policy_prefix *);
static int	 out_capgrant(struct out *, json_t *, json_t *, json_t *);
static int	 out_caps(const struct policy_state *, struct out *,
		    const struct crule *, size_t, int);
static json_t	*self_sources(const struct policy_state *,
		    const struct crule *, size_t);
static int	 self_dsts(const struct pnodeinfo *, json_t *,
		    const struct gip *);
static int	 out_self(const struct policy_state *, struct out *,
		    const struct crule *, size_t);
static int	 via_dsts(const struct policy_state *, json_t *,
		    const struct alias *, const struct gip *, size_t);
static int	 out_via(const struct policy_state *, struct out *,
		    const struct crule *, size_t);
static int	 has_self(const struct grant *);
static int	 self_reaches(const struct policy_state *,
		    const struct crule *, size_t, size_t);
static int	 via_prefix(const struct policy_state *, const struct alias *,
		    struct policy_prefix *);
static int	 via_peer(const struct policy_state *, const struct crule *,
		    size_t, json_t *, json_t *);
static int	 via_viewer(const struct policy_state *, size_t, size_t,
		    json_t *, json_t *);
static int	 list_has(const json_t *, const struct policy_prefix *);
static int	 via_says(const struct policy_state *, size_t, size_t,
		    const struct policy_prefix *);
static int	 dst_meets(const struct cdst *, const struct policy_prefix *);
static int	 via_exit(size_t, size_t, const struct crule *);

static json_t *
allow_all(void)
{
	return json_pack("[{s:[s], s:[{s:s, s:{s:i, s:i}}]}]", "SrcIPs", "*",
	    "DstPorts", "IP", "*", "Ports", "First", 0, "Last", 65535);
}

/* The list, or NULL if its making failed; what else there is is freed. */
static json_t *
out_done(struct out *o, int failed)
{
	size_t	 i;

	for (i = 0; i < o->o_n; i++)
		free(o->o_v[i].o_key);
	free(o->o_v);
	if (!failed)
		return o->o_list;
	json_decref(o->o_list);
	return NULL;
}

/*
 * The list of destinations of the rule with these sources and protocol,
 * which is made if there is none.
 */
static json_t *
out_rule(struct out *o, json_t *srcs, const char *key, int proto)
{
	struct outrule	*r;
	json_t		*rule, *dsts;
	size_t		 i, cap;

	for (i = 0; i < o->o_n; i++)
		if (o->o_v[i].o_proto == proto &&
		    strcmp(o->o_v[i].o_key, key) == 0)
			return o->o_v[i].o_dsts;
	if (o->o_n == o->o_cap) {
		cap = o->o_cap == 0 ? 8 : o->o_cap * 2;
		if ((r = reallocarray(o->o_v, cap, sizeof(*r))) == NULL)
			return NULL;
		o->o_v = r;
		o->o_cap = cap;
	}
	dsts = json_array();
	rule = json_pack("{s:O, s:o}", "SrcIPs", srcs, "DstPorts", dsts);
	if (rule != NULL && proto != 0 && json_object_set_new(rule,
	    "IPProto", json_pack("[i]", proto)) == -1) {
		json_decref(rule);
		rule = NULL;
	}
	if (rule == NULL || json_array_append_new(o->o_list, rule) == -1)
		return NULL;
	r = &o->o_v[o->o_n];
	if ((r->o_key = strdup(key)) == NULL)
		return NULL;
	r->o_dsts = dsts;
	r->o_proto = (uint8_t)proto;
	o->o_n++;
	return dsts;
}

/* p NULL: "*". */
static json_t *
dst_json(const struct policy_prefix *p, uint16_t first, uint16_t last)
{
	char	 text[PREFIX_TEXT] = "*";

	if (p != NULL)
		(void)prefix_text(p, 1, text, sizeof(text));
	return json_pack("{s:s, s:{s:i, s:i}}", "IP", text, "Ports",
	    "First", (int)first, "Last", (int)last);
}

static int
prefix_has_node(const struct pnodeinfo *n, const struct policy_prefix *p,
    int fam)
{
	struct policy_prefix	 a;

	if (!n->pn_has[fam])
		return 0;
	memset(&a, 0, sizeof(a));
	a.pp_version = fam ? 6 : 4;
	a.pp_plen = fam ? 128 : 32;
	memcpy(a.pp_addr, n->pn_addr[fam], sizeof(a.pp_addr));
	return prefix_overlaps(p, &a);
}

static int
prefix_meets_routes(const struct pnodeinfo *n, const struct policy_prefix *p)
{
	size_t	 i;

	for (i = 0; i < n->pn_nroutes; i++)
		if (prefix_overlaps(p, &n->pn_routes[i]))
			return 1;
	return 0;
}

/* Does a node need this destination in its filter? */
static int
node_gets(const struct policy_state *s, size_t node, const struct cdst *d)
{
	const struct pnodeinfo	*n = &s->s_nodes[node];

	if (d->cd_star)
		return 1;
	return prefix_has_node(n, &d->cd_prefix, 0) ||
	    prefix_has_node(n, &d->cd_prefix, 1) ||
	    prefix_meets_routes(n, &d->cd_prefix) ||
	    (n->pn_exit && aset_covers(&s->s_internet, &d->cd_prefix));
}

/* Append one destination to the rule that has these sources. */
static int
out_dst(struct out *o, const struct crule *r, const struct cdst *d,
    json_t **dsts)
{
	if (*dsts == NULL)
		*dsts = out_rule(o, r->cr_src->cs_json, r->cr_src->cs_key,
		    r->cr_proto);
	if (*dsts == NULL)
		return -1;
	return json_array_append_new(*dsts, dst_json(d->cd_star ? NULL :
	    &d->cd_prefix, d->cd_first, d->cd_last));
}

/* First destination of a group that is not below a prefix. */
static size_t
group_lower(const struct crule *r, const struct cgroup *g,
    const struct policy_prefix *p)
{
	size_t	 lo = g->cg_first, hi = g->cg_first + g->cg_n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (prefix_cmp(&r->cr_dsts[mid].cd_prefix, p) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The destinations of one group that hold an address of the node. */
static int
out_group(struct out *o, const struct crule *r, const struct cgroup *g,
    const struct pnodeinfo *n, json_t **dsts)
{
	struct policy_prefix	 p;
	size_t			 i, end = g->cg_first + g->cg_n;
	int			 fam = g->cg_version == 6;

	if (g->cg_version != 0 && !n->pn_has[fam])
		return 0;
	i = g->cg_first;
	memset(&p, 0, sizeof(p));
	if (g->cg_version != 0) {
		p.pp_version = g->cg_version;
		p.pp_plen = g->cg_plen;
		memcpy(p.pp_addr, n->pn_addr[fam], sizeof(p.pp_addr));
		prefix_mask(&p);
		i = group_lower(r, g, &p);
	}
	for (; i < end && (g->cg_version == 0 ||
	    prefix_cmp(&r->cr_dsts[i].cd_prefix, &p) == 0); i++)
		if (out_dst(o, r, &r->cr_dsts[i], dsts) == -1)
			return -1;
	return 0;
}

/* What a rule has for one node; routers are looked at one by one. */
static int
out_ports(const struct policy_state *s, struct out *o,
    const struct crule *r, size_t node)
{
	const struct pnodeinfo	*n = &s->s_nodes[node];
	json_t			*dsts = NULL;
	size_t			 i;

	if (n->pn_nroutes == 0 && !n->pn_exit) {
		for (i = 0; i < r->cr_ngroups; i++)
			if (out_group(o, r, &r->cr_groups[i], n,
			    &dsts) == -1)
				return -1;
		return 0;
	}
	for (i = 0; i < r->cr_ndsts; i++)
		if (node_gets(s, node, &r->cr_dsts[i]) &&
		    out_dst(o, r, &r->cr_dsts[i], &dsts) == -1)
			return -1;
	return 0;
}

/* All of a rule, whoever the node is. */
static int
out_all_ports(struct out *o, const struct crule *r)
{
	json_t	*dsts = NULL;
	size_t	 i;

	for (i = 0; i < r->cr_ndsts; i++)
		if (out_dst(o, r, &r->cr_dsts[i], &dsts) == -1)
			return -1;
	return 0;
}

static int
caps_prefix(json_t *list, const struct policy_prefix *p)
{
	char	 text[PREFIX_TEXT];
	json_t	*v;
	size_t	 i;

	(void)prefix_text(p, 0, text, sizeof(text));
	json_array_foreach(list, i, v)
		if (strcmp(json_string_value(v), text) == 0)
			return 0;
	return json_array_append_new(list, json_string(text));
}

/* A broad prefix becomes the node's own addresses. */
static int
caps_add(json_t *list, const struct pnodeinfo *n,
    const struct policy_prefix *p)
{
	struct policy_prefix	 own;
	int			 fam;

	for (fam = 0; fam < 2; fam++) {
		if (!prefix_has_node(n, p, fam))
			continue;
		memset(&own, 0, sizeof(own));
		own.pp_version = fam ? 6 : 4;
		own.pp_plen = fam ? 128 : 32;
		memcpy(own.pp_addr, n->pn_addr[fam], sizeof(own.pp_addr));
		if (caps_prefix(list, &own) == -1)
			return -1;
	}
	if (!prefix_is_exit(p) && prefix_meets_routes(n, p))
		return caps_prefix(list, p);
	return 0;
}

/* Takes the reference of dsts; without destinations there is no rule. */
static int
out_capgrant(struct out *o, json_t *srcs, json_t *dsts, json_t *capmap)
{
	if (json_array_size(dsts) == 0) {
		json_decref(dsts);
		return 0;
	}
	return json_array_append_new(o->o_list, json_pack(
	    "{s:O, s:[{s:o, s:O}]}", "SrcIPs", srcs, "CapGrant", "Dsts",
	    dsts, "CapMap", capmap));
}

static int
out_caps(const struct policy_state *s, struct out *o, const struct crule *r,
    size_t node, int reduce)
{
	json_t	*dsts;
	size_t	 i;
	int	 bad = 0;

	if ((dsts = json_array()) == NULL)
		return -1;
	for (i = 0; i < r->cr_ndsts; i++)
		bad |= reduce ? caps_add(dsts, &s->s_nodes[node],
		    &r->cr_dsts[i].cd_prefix) :
		    caps_prefix(dsts, &r->cr_dsts[i].cd_prefix);
	if (bad != 0) {
		json_decref(dsts);
		return -1;
	}
	return out_capgrant(o, r->cr_src->cs_json, dsts, r->cr_capmap);
}

static int
has_self(const struct grant *g)
{
	size_t	 i;

	for (i = 0; i < g->gr_dsts.al_n; i++)
		if (g->gr_dsts.al_v[i].al_type == AL_AUTO &&
		    g->gr_dsts.al_v[i].al_auto == AG_SELF)
			return 1;
	return 0;
}

/* The nodes of the same person that are among the sources. */
static json_t *
self_sources(const struct policy_state *s, const struct crule *r,
    size_t node)
{
	const struct powned	*own;
	const struct pnodeinfo	*n;
	struct aset		 set;
	json_t			*list;
	size_t			 i, nown;
	int			 bad = 0, fam;

	if ((list = json_array()) == NULL)
		return NULL;
	memset(&set, 0, sizeof(set));
	own = owned_nodes(s, s->s_nodes[node].pn_user, &nown);
	for (i = 0; i < nown; i++) {
		n = &s->s_nodes[own[i].po_node];
		if (!node_in_set(s, own[i].po_node, &r->cr_src->cs_set))
			continue;
		for (fam = 0; fam < 2; fam++)
			if (n->pn_has[fam])
				bad |= aset_add_addr(&set, fam,
				    n->pn_addr[fam]);
	}
	aset_settle(&set);
	bad |= aset_json(&set, list);
	aset_free(&set);
	if (bad == 0)
		return list;
	json_decref(list);
	return NULL;
}

/* ip NULL: prefixes for a capability. */
static int
self_dsts(const struct pnodeinfo *n, json_t *dsts, const struct gip *ip)
{
	struct policy_prefix	 p;
	int			 fam, r = 0;

	for (fam = 0; fam < 2 && r == 0; fam++) {
		if (!n->pn_has[fam])
			continue;
		memset(&p, 0, sizeof(p));
		p.pp_version = fam ? 6 : 4;
		p.pp_plen = fam ? 128 : 32;
		memcpy(p.pp_addr, n->pn_addr[fam], sizeof(p.pp_addr));
		if (ip == NULL)
			r = caps_prefix(dsts, &p);
		else
			r = json_array_append_new(dsts, dst_json(&p,
			    ip->gi_first, ip->gi_last));
	}
	return r;
}

static int
out_self(const struct policy_state *s, struct out *o, const struct crule *r,
    size_t node)
{
	const struct pnodeinfo	*n = &s->s_nodes[node];
	const struct grant	*g = r->cr_grant;
	json_t			*srcs, *dsts;
	char			*key = NULL;
	size_t			 i;
	int			 ret = -1;

	if (n->pn_ntags > 0 || n->pn_user == 0)
		return 0;
	if ((srcs = self_sources(s, r, node)) == NULL)
		return -1;
	if (json_array_size(srcs) == 0) {
		ret = 0;
		goto done;
	}
	if ((key = json_dumps(srcs, JSON_COMPACT)) == NULL)
		goto done;
	for (i = 0; i < g->gr_nips; i++) {
		dsts = out_rule(o, srcs, key, g->gr_ips[i].gi_proto);
		if (dsts == NULL || self_dsts(n, dsts, &g->gr_ips[i]) == -1)
			goto done;
	}
	ret = 0;
	if (g->gr_app != NULL) {
		dsts = json_array();
		ret = self_dsts(n, dsts, NULL);
		if (out_capgrant(o, srcs, dsts, g->gr_app) == -1)
			ret = -1;
	}
done:
	json_decref(srcs);
	free(key);
	return ret;
}

/* The prefix that a destination of a "via" grant is: 0 or -1. */
static int
via_prefix(const struct policy_state *s, const struct alias *a,
    struct policy_prefix *p)
{
	const struct phost	*h;

	if (a->al_type == AL_PREFIX) {
		*p = a->al_prefix;
		return 0;
	}
	if (a->al_type != AL_HOST ||
	    (h = policy_host(s->s_p, a->al_text)) == NULL)
		return -1;
	*p = h->ph_prefix;
	return 0;
}

/* Does a router carry what this destination of a "via" grant names? */
int
via_meets(const struct policy_state *s, size_t node, const struct alias *a)
{
	struct policy_prefix	 p;

	if (a->al_type == AL_AUTO && a->al_auto == AG_INTERNET)
		return s->s_nodes[node].pn_exit;
	return via_prefix(s, a, &p) == 0 &&
	    prefix_meets_routes(&s->s_nodes[node], &p);
}

static int
via_dsts(const struct policy_state *s, json_t *dsts, const struct alias *a,
    const struct gip *ip, size_t node)
{
	struct policy_prefix	*v, p;
	size_t			 i, n;
	int			 r = 0;

	if (!via_meets(s, node, a))
		return 0;
	if (via_prefix(s, a, &p) == 0)
		return json_array_append_new(dsts, dst_json(&p, ip->gi_first,
		    ip->gi_last));
	if (aset_prefixes(&s->s_internet, &v, &n) == -1)
		return -1;
	for (i = 0; i < n && r == 0; i++)
		r = json_array_append_new(dsts, dst_json(&v[i], ip->gi_first,
		    ip->gi_last));
	free(v);
	return r;
}

static int
out_via(const struct policy_state *s, struct out *o, const struct crule *r,
    size_t node)
{
	const struct grant	*g = r->cr_grant;
	json_t			*dsts;
	size_t			 i, k;

	for (i = 0; i < g->gr_nips; i++) {
		dsts = out_rule(o, r->cr_src->cs_json, r->cr_src->cs_key,
		    g->gr_ips[i].gi_proto);
		if (dsts == NULL)
			return -1;
		for (k = 0; k < g->gr_dsts.al_n; k++)
			if (via_dsts(s, dsts, &g->gr_dsts.al_v[k],
			    &g->gr_ips[i], node) == -1)
				return -1;
	}
	return 0;
}

json_t *
policy_filter(const struct policy_state *s)
{
	struct out	 o;
	size_t		 i;
	int		 r = 0;

	if (s->s_allowall)
		return allow_all();
	memset(&o, 0, sizeof(o));
	if ((o.o_list = json_array()) == NULL)
		return NULL;
	for (i = 0; i < s->s_nrules && r == 0; i++) {
		if (s->s_rules[i].cr_kind == CR_PORTS)
			r = out_all_ports(&o, &s->s_rules[i]);
		else if (s->s_rules[i].cr_kind == CR_CAPS)
			r = out_caps(s, &o, &s->s_rules[i], 0, 0);
	}
	return out_done(&o, r);
}

json_t *
policy_node_filter(const struct policy_state *s, size_t node)
{
	const struct crule	*c;
	struct out		 o;
	size_t			 i;
	int			 r = 0;

	if (s->s_allowall)
		return allow_all();
	memset(&o, 0, sizeof(o));
	if ((o.o_list = json_array()) == NULL)
		return NULL;
	for (i = 0; i < s->s_nrules && r == 0; i++) {
		c = &s->s_rules[i];
		if (c->cr_kind == CR_SELF)
			r = out_self(s, &o, c, node);
		else if (c->cr_kind == CR_VIA && bit_get(c->cr_dstnodes,
		    node))
			r = out_via(s, &o, c, node);
		else if (c->cr_kind == CR_CAPS)
			r = out_caps(s, &o, c, node, 1);
		else if (c->cr_kind == CR_PORTS &&
		    (s->s_nodes[node].pn_exit ||
		    bit_get(c->cr_dstnodes, node)))
			r = out_ports(s, &o, c, node);
	}
	return out_done(&o, r);
}

/* May a reach its owner's node b by this rule? */
static int
self_reaches(const struct policy_state *s, const struct crule *r, size_t a,
    size_t b)
{
	return same_owner(s, a, b) && has_self(r->cr_grant) &&
	    node_in_set(s, a, &r->cr_src->cs_set);
}

int
policy_peers_visible(const struct policy_state *s, size_t a, size_t b)
{
	const struct crule	*r;
	const uint64_t		*src, *dst;
	size_t			 i;

	if (a == b || !bit_get(s->s_live, a) || !bit_get(s->s_live, b))
		return 0;
	if (s->s_allowall)
		return 1;
	for (i = 0; i < s->s_nrules; i++) {
		r = &s->s_rules[i];
		src = r->cr_src->cs_nodes;
		dst = r->cr_dstnodes;
		if (r->cr_kind == CR_SELF) {
			if (self_reaches(s, r, a, b) ||
			    self_reaches(s, r, b, a))
				return 1;
		} else if ((bit_get(src, a) && bit_get(dst, b)) ||
		    (bit_get(src, b) && bit_get(dst, a)))
			return 1;
	}
	return 0;
}

void
policy_node_peers(const struct policy_state *s, size_t node, uint64_t *row)
{
	const struct powned	*own;
	const struct crule	*r;
	size_t			 i, k, nown, words = POLICY_ROW(s->s_nnodes);
	int			 self = 0;

	memset(row, 0, words * sizeof(*row));
	if (!bit_get(s->s_live, node))
		return;
	if (s->s_allowall)
		memcpy(row, s->s_live, words * sizeof(*row));
	for (i = 0; i < s->s_nrules; i++) {
		r = &s->s_rules[i];
		if (r->cr_kind == CR_SELF) {
			self = 1;
			continue;
		}
		if (bit_get(r->cr_src->cs_nodes, node))
			for (k = 0; k < words; k++)
				row[k] |= r->cr_dstnodes[k];
		if (bit_get(r->cr_dstnodes, node))
			for (k = 0; k < words; k++)
				row[k] |= r->cr_src->cs_nodes[k];
	}
	own = owned_nodes(s, s->s_nodes[node].pn_user, &nown);
	for (i = 0; self && i < nown; i++)
		if (policy_peers_visible(s, own[i].po_node, node))
			bit_set(row, own[i].po_node);
	for (k = 0; k < words; k++)
		row[k] &= s->s_live[k];
	row[node / 64] &= ~(1ULL << (node % 64));
}

/* Add the routes of a peer that a "via" grant speaks of to a list. */
static int
via_peer(const struct policy_state *s, const struct crule *r, size_t peer,
    json_t *include, json_t *exclude)
{
	const struct pnodeinfo	*n = &s->s_nodes[peer];
	const struct grant	*g = r->cr_grant;
	struct policy_prefix	 p;
	json_t			*list;
	size_t			 i, k;
	int			 tag = 0;

	for (i = 0; i < g->gr_via.al_n; i++)
		tag |= node_has_tag(n, g->gr_via.al_v[i].al_text);
	list = tag ? include : exclude;
	for (i = 0; i < g->gr_dsts.al_n; i++) {
		if (via_prefix(s, &g->gr_dsts.al_v[i], &p) == -1)
			continue;
		for (k = 0; k < n->pn_nroutes; k++)
			if (prefix_overlaps(&p, &n->pn_routes[k]) &&
			    caps_prefix(list, &n->pn_routes[k]) == -1)
				return -1;
	}
	return 0;
}

static int
via_viewer(const struct policy_state *s, size_t viewer, size_t peer,
    json_t *include, json_t *exclude)
{
	const struct crule	*r;
	size_t			 i;

	for (i = 0; i < s->s_nrules; i++) {
		r = &s->s_rules[i];
		if (r->cr_kind == CR_VIA &&
		    node_in_set(s, viewer, &r->cr_src->cs_set) &&
		    via_peer(s, r, peer, include, exclude) == -1)
			return -1;
	}
	return 0;
}

json_t *
policy_node_via(const struct policy_state *s, size_t viewer)
{
	json_t	*all, *in, *ex;
	char	 id[24];
	size_t	 i;
	int	 bad = 0;

	if ((all = json_object()) == NULL)
		return NULL;
	for (i = 0; i < s->s_nnodes && bad == 0; i++) {
		if (i == viewer || s->s_nodes[i].pn_nroutes == 0)
			continue;
		in = json_array();
		ex = json_array();
		bad = in == NULL || ex == NULL ||
		    via_viewer(s, viewer, i, in, ex) == -1;
		if (!bad && json_array_size(in) + json_array_size(ex) > 0) {
			(void)snprintf(id, sizeof(id), "%llu",
			    (unsigned long long)s->s_nodes[i].pn_id);
			bad = json_object_set_new(all, id,
			    json_pack("{s:O?, s:O?, s:n}", "Include",
			    json_array_size(in) > 0 ? in : NULL, "Exclude",
			    json_array_size(ex) > 0 ? ex : NULL,
			    "UsePrimary"));
		}
		json_decref(in);
		json_decref(ex);
	}
	if (bad == 0)
		return all;
	json_decref(all);
	return NULL;
}

/* Is a prefix in one of these lists of texts? */
static int
list_has(const json_t *list, const struct policy_prefix *p)
{
	struct policy_prefix	 q;
	json_t			*v;
	size_t			 i;

	json_array_foreach(list, i, v)
		if (policy_prefix_parse(json_string_value(v), &q) == 0 &&
		    prefix_cmp(&q, p) == 0)
			return 1;
	return 0;
}

/* What "via" says of a route: 1 take it in, -1 leave it out, 0 nothing. */
static int
via_says(const struct policy_state *s, size_t viewer, size_t router,
    const struct policy_prefix *route)
{
	json_t	*in, *ex;
	int	 says = 0;

	in = json_array();
	ex = json_array();
	if (in == NULL || ex == NULL ||
	    via_viewer(s, viewer, router, in, ex) == -1)
		says = -1;
	else if (list_has(in, route))
		says = 1;
	else if (list_has(ex, route))
		says = -1;
	json_decref(in);
	json_decref(ex);
	return says;
}

/* Is all of the internet meant, or this route among others? */
static int
dst_meets(const struct cdst *d, const struct policy_prefix *route)
{
	if (d->cd_star)
		return 1;
	if (prefix_is_exit(route))
		return d->cd_internet || prefix_is_exit(&d->cd_prefix);
	return prefix_overlaps(&d->cd_prefix, route);
}

static int
via_exit(size_t viewer, size_t router, const struct crule *r)
{
	const struct grant	*g = r->cr_grant;
	size_t			 i;

	if (!bit_get(r->cr_src->cs_nodes, viewer) ||
	    !bit_get(r->cr_dstnodes, router))
		return 0;
	for (i = 0; i < g->gr_dsts.al_n; i++)
		if (g->gr_dsts.al_v[i].al_type == AL_AUTO &&
		    g->gr_dsts.al_v[i].al_auto == AG_INTERNET)
			return 1;
	return 0;
}

int
policy_route_visible(const struct policy_state *s, size_t viewer,
    size_t router, const struct policy_prefix *route)
{
	const struct crule	*r;
	size_t			 i, k;
	int			 says;

	if (s->s_allowall)
		return 1;
	if (!prefix_is_exit(route) &&
	    (says = via_says(s, viewer, router, route)) != 0)
		return says == 1;
	for (i = 0; i < s->s_nrules; i++) {
		r = &s->s_rules[i];
		if (r->cr_kind == CR_VIA && prefix_is_exit(route) &&
		    via_exit(viewer, router, r))
			return 1;
		if (r->cr_kind != CR_PORTS)
			continue;
		if (!prefix_is_exit(route) &&
		    bit_get(r->cr_dstnodes, viewer) &&
		    aset_overlaps(&r->cr_src->cs_set, route))
			return 1;
		if (!bit_get(r->cr_src->cs_nodes, viewer))
			continue;
		for (k = 0; k < r->cr_ndsts; k++)
			if (dst_meets(&r->cr_dsts[k], route))
				return 1;
	}
	return 0;
}
