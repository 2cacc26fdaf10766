/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy: compile for the users and nodes of a tailnet.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy_int.h"

#define SRC_BUCKETS	4096

static int	 user_cmp(const void *, const void *);
static int	 route_cmp(const void *, const void *);
static int	 addr_cmp(const void *, const void *);
static char	*dup_or_empty(const char *);
static int	 copy_users(struct policy_state *, const struct policy_user *,
		    size_t);
static int	 copy_node(struct pnodeinfo *, const struct policy_node *);
static int	 copy_nodes(struct policy_state *, const struct policy_node *,
		    size_t);
static int	 index_addrs(struct policy_state *);
static int	 owned_cmp(const void *, const void *);
static int	 index_owned(struct policy_state *);
static void	 check_token(struct policy_state *, const char *, size_t);
static void	 check_alist(struct policy_state *, const struct alist *);
static void	 check_users(struct policy_state *);
static uint32_t	 key_hash(const char *);
static void	 csrc_free(struct csrc *);
static int	 routes_json(const struct policy_state *, json_t *);
static int	 src_build(const struct policy_state *, const struct alist *,
		    struct aset *, json_t *);
static const struct csrc
		*src_make(struct policy_state *, const struct alist *);
static struct crule
		*rule_new(struct policy_state *, enum crule_kind,
		    const struct csrc *, const struct grant *, int);
static struct crule
		*rule_ports(struct policy_state *, const struct csrc *,
		    const struct grant *, int);
static int	 rule_add_dst(struct crule *, const struct policy_prefix *,
		    const struct gip *, const struct alias *);
static int	 rule_add_alias(struct policy_state *, struct crule *,
		    const struct alias *, const struct gip *);
static int	 rule_add_set(struct crule *, const struct aset *);
static int	 is_auto(const struct alias *, enum autogroup);
static int	 compile_ports(struct policy_state *, const struct grant *,
		    const struct csrc *);
static int	 compile_companion(struct policy_state *,
		    const struct grant *, const struct csrc *, const char *,
		    const char *);
static int	 compile_caps(struct policy_state *, const struct grant *,
		    const struct csrc *);
static int	 compile_grant(struct policy_state *, const struct grant *);
static int	 dst_cmp(const void *, const void *);
static int	 rule_index(struct crule *);
static int	 rule_nodes(const struct policy_state *, struct crule *);
static void	 via_nodes(const struct policy_state *, struct crule *);
static int	 compile_all(struct policy_state *);

static int
user_cmp(const void *a, const void *b)
{
	const struct puser	*x = a, *y = b;

	return x->pu_id < y->pu_id ? -1 : x->pu_id > y->pu_id;
}

static int
addr_cmp(const void *a, const void *b)
{
	const struct paddr	*x = a, *y = b;

	return memcmp(x->pa_addr, y->pa_addr, sizeof(x->pa_addr));
}

static char *
dup_or_empty(const char *s)
{
	return strdup(s == NULL ? "" : s);
}

static int
copy_users(struct policy_state *s, const struct policy_user *u, size_t n)
{
	size_t	 i;

	if ((s->s_users = calloc(n + 1, sizeof(*s->s_users))) == NULL)
		return -1;
	s->s_nusers = n;
	for (i = 0; i < n; i++) {
		s->s_users[i].pu_id = u[i].pu_id;
		s->s_users[i].pu_name = dup_or_empty(u[i].pu_name);
		s->s_users[i].pu_email = dup_or_empty(u[i].pu_email);
		s->s_users[i].pu_provider = dup_or_empty(u[i].pu_provider);
		if (s->s_users[i].pu_name == NULL ||
		    s->s_users[i].pu_email == NULL ||
		    s->s_users[i].pu_provider == NULL)
			return -1;
	}
	qsort(s->s_users, n, sizeof(*s->s_users), user_cmp);
	return 0;
}

static int
copy_node(struct pnodeinfo *d, const struct policy_node *n)
{
	size_t	 i;

	d->pn_id = n->pn_id;
	d->pn_user = n->pn_user;
	d->pn_has[0] = n->pn_has4 != 0;
	d->pn_has[1] = n->pn_has6 != 0;
	memcpy(d->pn_addr[0], n->pn_addr4, 4);
	memcpy(d->pn_addr[1], n->pn_addr6, 16);
	d->pn_tags = calloc(n->pn_ntags + 1, sizeof(*d->pn_tags));
	d->pn_routes = calloc(n->pn_nroutes + 1, sizeof(*d->pn_routes));
	if (d->pn_tags == NULL || d->pn_routes == NULL)
		return -1;
	for (i = 0; i < n->pn_ntags; i++) {
		if ((d->pn_tags[i] = strdup(n->pn_tags[i])) == NULL)
			return -1;
		d->pn_ntags++;
	}
	for (i = 0; i < n->pn_nroutes; i++) {
		if (prefix_is_exit(&n->pn_routes[i])) {
			d->pn_exit = 1;
			continue;
		}
		d->pn_routes[d->pn_nroutes] = n->pn_routes[i];
		prefix_mask(&d->pn_routes[d->pn_nroutes++]);
	}
	return 0;
}

static int
copy_nodes(struct policy_state *s, const struct policy_node *v, size_t n)
{
	size_t	 i;

	if ((s->s_nodes = calloc(n + 1, sizeof(*s->s_nodes))) == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		s->s_nnodes++;
		if (copy_node(&s->s_nodes[i], &v[i]) == -1)
			return -1;
	}
	return 0;
}

static int
index_addrs(struct policy_state *s)
{
	struct paddr	*a;
	size_t		 i;
	int		 fam;

	s->s_live = calloc(POLICY_ROW(s->s_nnodes) + 1, sizeof(*s->s_live));
	if (s->s_live == NULL)
		return -1;
	for (fam = 0; fam < 2; fam++) {
		a = calloc(s->s_nnodes + 1, sizeof(*a));
		if ((s->s_addrs[fam] = a) == NULL)
			return -1;
		for (i = 0; i < s->s_nnodes; i++) {
			if (!s->s_nodes[i].pn_has[fam])
				continue;
			a = &s->s_addrs[fam][s->s_naddrs[fam]++];
			memcpy(a->pa_addr, s->s_nodes[i].pn_addr[fam], 16);
			a->pa_node = (uint32_t)i;
			bit_set(s->s_live, i);
		}
		qsort(s->s_addrs[fam], s->s_naddrs[fam],
		    sizeof(*s->s_addrs[fam]), addr_cmp);
	}
	return 0;
}

static int
owned_cmp(const void *a, const void *b)
{
	const struct powned	*x = a, *y = b;

	if (x->po_user != y->po_user)
		return x->po_user < y->po_user ? -1 : 1;
	return x->po_node < y->po_node ? -1 : x->po_node > y->po_node;
}

static int
index_owned(struct policy_state *s)
{
	struct powned	*o;
	size_t		 i;

	s->s_owned = calloc(s->s_nnodes + 1, sizeof(*s->s_owned));
	if (s->s_owned == NULL)
		return -1;
	for (i = 0; i < s->s_nnodes; i++) {
		if (s->s_nodes[i].pn_ntags > 0 || s->s_nodes[i].pn_user == 0)
			continue;
		o = &s->s_owned[s->s_nowned++];
		o->po_user = s->s_nodes[i].pn_user;
		o->po_node = (uint32_t)i;
	}
	qsort(s->s_owned, s->s_nowned, sizeof(*s->s_owned), owned_cmp);
	return 0;
}

/* A name that fits two people must not be guessed at. */
static void
check_token(struct policy_state *s, const char *token, size_t line)
{
	const struct puser	*first = NULL;
	size_t			 i;

	for (i = 0; i < s->s_nusers; i++) {
		if (!user_matches(&s->s_users[i], token))
			continue;
		if (first == NULL) {
			first = &s->s_users[i];
			continue;
		}
		fprintf(s->s_msgs, "%s:%zu: \"%s\" fits two users: %s (%llu) "
		    "and %s (%llu)\n", s->s_p->p_file, line, token,
		    first->pu_name, (unsigned long long)first->pu_id,
		    s->s_users[i].pu_name,
		    (unsigned long long)s->s_users[i].pu_id);
		s->s_errors++;
		return;
	}
}

static void
check_alist(struct policy_state *s, const struct alist *l)
{
	size_t	 i;

	for (i = 0; i < l->al_n; i++)
		if (l->al_v[i].al_type == AL_USER)
			check_token(s, l->al_v[i].al_text,
			    l->al_v[i].al_line);
}

static void
check_users(struct policy_state *s)
{
	const struct policy	*p = s->s_p;
	size_t			 i, k;

	for (i = 0; i < p->p_ngroups; i++)
		for (k = 0; k < p->p_groups[i].pg_members.sl_n; k++)
			check_token(s, p->p_groups[i].pg_members.sl_v[k],
			    p->p_groups[i].pg_line);
	for (i = 0; i < p->p_ntags; i++)
		check_alist(s, &p->p_tags[i].pt_owners);
	for (i = 0; i < p->p_nroutes; i++)
		check_alist(s, &p->p_routes[i].pa_who);
	check_alist(s, &p->p_exit);
	for (i = 0; i < p->p_nsrclists; i++)
		check_alist(s, p->p_srclists[i]);
	for (i = 0; i < p->p_ngrants; i++)
		check_alist(s, &p->p_grants[i].gr_dsts);
	for (i = 0; i < p->p_nssh; i++) {
		check_alist(s, &p->p_ssh[i].ps_srcs);
		check_alist(s, &p->p_ssh[i].ps_dsts);
	}
	for (i = 0; i < p->p_nattrs; i++)
		check_alist(s, &p->p_attrs[i].at_targets);
}

static uint32_t
key_hash(const char *s)
{
	uint32_t	 h = 2166136261U;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 16777619U;
	return (h ^ h >> 16) % SRC_BUCKETS;
}

static void
csrc_free(struct csrc *c)
{
	if (c == NULL)
		return;
	aset_free(&c->cs_set);
	json_decref(c->cs_json);
	free(c->cs_key);
	free(c->cs_nodes);
	free(c);
}

/*
 * The one copy of a set of sources. Takes set and json in all cases; NULL
 * is out of memory.
 */
const struct csrc *
csrc_intern(struct policy_state *s, struct aset *set, json_t *json)
{
	struct csrc	*c, **bucket;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		aset_free(set);
		json_decref(json);
		return NULL;
	}
	c->cs_set = *set;
	memset(set, 0, sizeof(*set));
	c->cs_json = json;
	c->cs_nodes = calloc(POLICY_ROW(s->s_nnodes) + 1, sizeof(uint64_t));
	if ((c->cs_key = json_dumps(json, JSON_COMPACT)) == NULL ||
	    c->cs_nodes == NULL) {
		csrc_free(c);
		return NULL;
	}
	bucket = &s->s_srchash[key_hash(c->cs_key)];
	for (; *bucket != NULL; bucket = &(*bucket)->cs_next)
		if (strcmp((*bucket)->cs_key, c->cs_key) == 0) {
			csrc_free(c);
			return *bucket;
		}
	nodes_in_set(s, &c->cs_set, 1, c->cs_nodes);
	return *bucket = c;
}

static int
route_cmp(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

/* Approved subnets, each on its own, in order and once. */
static int
routes_json(const struct policy_state *s, json_t *list)
{
	struct policy_prefix	*all, *p;
	char			 text[PREFIX_TEXT];
	size_t			 i, k, n = 0;
	int			 r = 0;

	for (i = 0; i < s->s_nnodes; i++)
		n += s->s_nodes[i].pn_nroutes;
	if ((all = calloc(n + 1, sizeof(*all))) == NULL)
		return -1;
	for (n = 0, i = 0; i < s->s_nnodes; i++)
		for (k = 0; k < s->s_nodes[i].pn_nroutes; k++)
			all[n++] = s->s_nodes[i].pn_routes[k];
	qsort(all, n, sizeof(*all), route_cmp);
	for (i = 0; i < n && r == 0; i++) {
		p = &all[i];
		if (i > 0 && prefix_cmp(&all[i - 1], p) == 0)
			continue;
		r = json_array_append_new(list, json_string(prefix_text(p, 0,
		    text, sizeof(text))));
	}
	free(all);
	return r;
}

/*
 * Sources as set and as the protocol has them: "*" is written out as the
 * ranges of the tailnet and the subnets; what is named beside it stays.
 */
static int
src_build(const struct policy_state *s, const struct alist *l,
    struct aset *set, json_t *json)
{
	static const struct alias	 everybody = { .al_type = AL_STAR };
	struct aset	 named, star;
	size_t		 i;
	int		 all = 0, danger = 0, r = -1;

	memset(&named, 0, sizeof(named));
	memset(&star, 0, sizeof(star));
	for (i = 0; i < l->al_n; i++) {
		if (l->al_v[i].al_type == AL_STAR)
			all = 1;
		else if (resolve_alias(s, &l->al_v[i], &named) == -1)
			goto done;
		if (l->al_v[i].al_type == AL_AUTO &&
		    l->al_v[i].al_auto == AG_DANGER)
			danger = 1;
	}
	aset_settle(&named);
	if (all) {
		if (resolve_alias(s, &everybody, set) == -1 ||
		    aset_add_tailnet(&star) == -1 ||
		    aset_json(&star, json) == -1 ||
		    routes_json(s, json) == -1)
			goto done;
	}
	if (danger)
		r = json_array_append_new(json, json_string("*"));
	else
		r = aset_json(&named, json);
	if (r == 0)
		r = aset_add_set(set, &named);
	aset_settle(set);
done:
	aset_free(&named);
	aset_free(&star);
	return r;
}

/* Entries of one source list come one after another. */
static const struct csrc *
src_make(struct policy_state *s, const struct alist *l)
{
	struct aset	 set;
	json_t		*json;

	if (s->s_lastlist == l)
		return s->s_lastsrc;
	memset(&set, 0, sizeof(set));
	if ((json = json_array()) == NULL)
		return NULL;
	if (src_build(s, l, &set, json) == -1) {
		aset_free(&set);
		json_decref(json);
		return NULL;
	}
	s->s_lastlist = l;
	s->s_lastsrc = csrc_intern(s, &set, json);
	return s->s_lastsrc;
}

static struct crule *
rule_new(struct policy_state *s, enum crule_kind kind,
    const struct csrc *src, const struct grant *g, int proto)
{
	struct crule	*r;
	size_t		 cap;

	if (s->s_nrules == s->s_rulecap) {
		cap = s->s_rulecap == 0 ? 16 : s->s_rulecap * 2;
		if ((r = reallocarray(s->s_rules, cap, sizeof(*r))) == NULL)
			return NULL;
		s->s_rules = r;
		s->s_rulecap = cap;
	}
	r = &s->s_rules[s->s_nrules++];
	memset(r, 0, sizeof(*r));
	r->cr_kind = kind;
	r->cr_src = src;
	r->cr_grant = g;
	r->cr_proto = (uint8_t)proto;
	return r;
}

/* Rules with the same sources and protocol are one. */
static struct crule *
rule_ports(struct policy_state *s, const struct csrc *src,
    const struct grant *g, int proto)
{
	size_t	 i;

	for (i = 0; i < s->s_nrules; i++)
		if (s->s_rules[i].cr_kind == CR_PORTS &&
		    s->s_rules[i].cr_src == src &&
		    s->s_rules[i].cr_proto == proto)
			return &s->s_rules[i];
	return rule_new(s, CR_PORTS, src, g, proto);
}

/* p NULL: "*". a NULL: no line of its own. */
static int
rule_add_dst(struct crule *r, const struct policy_prefix *p,
    const struct gip *ip, const struct alias *a)
{
	struct cdst	*d;
	size_t		 cap;

	if (r->cr_ndsts == r->cr_dstcap) {
		cap = r->cr_dstcap == 0 ? 4 : r->cr_dstcap * 2;
		if ((d = reallocarray(r->cr_dsts, cap, sizeof(*d))) == NULL)
			return -1;
		r->cr_dsts = d;
		r->cr_dstcap = cap;
	}
	d = &r->cr_dsts[r->cr_ndsts++];
	memset(d, 0, sizeof(*d));
	if (p == NULL)
		d->cd_star = 1;
	else
		d->cd_prefix = *p;
	if (ip != NULL) {
		d->cd_first = ip->gi_first;
		d->cd_last = ip->gi_last;
	}
	if (a != NULL) {
		d->cd_line = (uint32_t)a->al_line;
		d->cd_internet = is_auto(a, AG_INTERNET);
	}
	return 0;
}

static int
is_auto(const struct alias *a, enum autogroup ag)
{
	return a->al_type == AL_AUTO && a->al_auto == ag;
}

/* ip NULL: for capabilities, where "*" is written as two prefixes. */
static int
rule_add_alias(struct policy_state *s, struct crule *r,
    const struct alias *a, const struct gip *ip)
{
	struct policy_prefix	*v = NULL;
	struct aset		 set;
	size_t			 i, n = 0;
	int			 ret = -1;

	if (is_auto(a, AG_SELF))
		return 0;
	if (a->al_type == AL_STAR && ip != NULL)
		return rule_add_dst(r, NULL, ip, a);
	memset(&set, 0, sizeof(set));
	if (a->al_type == AL_STAR) {
		const struct alias	 all = {
			.al_type = AL_AUTO, .al_auto = AG_DANGER
		};

		ret = resolve_alias(s, &all, &set);
	} else
		ret = resolve_alias(s, a, &set);
	aset_settle(&set);
	if (ret == 0)
		ret = aset_prefixes(&set, &v, &n);
	for (i = 0; i < n && ret == 0; i++)
		ret = rule_add_dst(r, &v[i], ip, a);
	free(v);
	aset_free(&set);
	return ret;
}

static int
rule_add_set(struct crule *r, const struct aset *set)
{
	struct policy_prefix	*v;
	size_t			 i, n;
	int			 ret = 0;

	if (aset_prefixes(set, &v, &n) == -1)
		return -1;
	for (i = 0; i < n && ret == 0; i++)
		ret = rule_add_dst(r, &v[i], NULL, NULL);
	free(v);
	return ret;
}

static int
compile_ports(struct policy_state *s, const struct grant *g,
    const struct csrc *src)
{
	const struct alias	*a;
	struct crule		*r;
	size_t			 i, k;

	for (i = 0; i < g->gr_nips; i++)
		for (k = 0; k < g->gr_dsts.al_n; k++) {
			a = &g->gr_dsts.al_v[k];
			if (is_auto(a, AG_SELF))
				continue;
			r = rule_ports(s, src, g, g->gr_ips[i].gi_proto);
			if (r == NULL ||
			    rule_add_alias(s, r, a, &g->gr_ips[i]) == -1)
				return -1;
		}
	return 0;
}

/*
 * Some capabilities need one in the other direction: the nodes that are
 * reached get it on those that may reach.
 */
static int
compile_companion(struct policy_state *s, const struct grant *g,
    const struct csrc *src, const char *cap, const char *back)
{
	const struct csrc	*dst;
	struct crule		*r;
	struct aset		 set;
	json_t			*json;

	if (json_object_get(g->gr_app, cap) == NULL)
		return 0;
	memset(&set, 0, sizeof(set));
	if ((json = json_array()) == NULL)
		return -1;
	if (src_build(s, &g->gr_dsts, &set, json) == -1) {
		json_decref(json);
		aset_free(&set);
		return -1;
	}
	if ((dst = csrc_intern(s, &set, json)) == NULL ||
	    (r = rule_new(s, CR_CAPS, dst, g, 0)) == NULL)
		return -1;
	if ((r->cr_capmap = json_pack("{s:n}", back)) == NULL)
		return -1;
	return rule_add_set(r, &src->cs_set);
}

static int
compile_caps(struct policy_state *s, const struct grant *g,
    const struct csrc *src)
{
	struct crule	*r;
	size_t		 k;

	if ((r = rule_new(s, CR_CAPS, src, g, 0)) == NULL)
		return -1;
	r->cr_capmap = json_incref(g->gr_app);
	for (k = 0; k < g->gr_dsts.al_n; k++)
		if (rule_add_alias(s, r, &g->gr_dsts.al_v[k], NULL) == -1)
			return -1;
	if (compile_companion(s, g, src, "tailscale.com/cap/drive",
	    "tailscale.com/cap/drive-sharer") == -1)
		return -1;
	return compile_companion(s, g, src, "tailscale.com/cap/relay",
	    "tailscale.com/cap/relay-target");
}

static int
compile_grant(struct policy_state *s, const struct grant *g)
{
	const struct csrc	*src;
	size_t			 k, self = 0;

	if ((src = src_make(s, g->gr_srcs)) == NULL)
		return -1;
	if (g->gr_via.al_n > 0)
		return aset_empty(&src->cs_set) ||
		    rule_new(s, CR_VIA, src, g, 0) != NULL ? 0 : -1;
	for (k = 0; k < g->gr_dsts.al_n; k++)
		self += is_auto(&g->gr_dsts.al_v[k], AG_SELF);
	if (!aset_empty(&src->cs_set)) {
		if (self > 0 && rule_new(s, CR_SELF, src, g, 0) == NULL)
			return -1;
		if (compile_ports(s, g, src) == -1)
			return -1;
	}
	if (g->gr_app != NULL && self < g->gr_dsts.al_n)
		return compile_caps(s, g, src);
	return 0;
}

/* Who has a via tag, and a route that a destination meets. */
static void
via_nodes(const struct policy_state *s, struct crule *r)
{
	const struct grant	*g = r->cr_grant;
	size_t			 i, k;
	int			 tag;

	for (i = 0; i < s->s_nnodes; i++) {
		for (tag = 0, k = 0; k < g->gr_via.al_n; k++)
			tag |= node_has_tag(&s->s_nodes[i],
			    g->gr_via.al_v[k].al_text);
		for (k = 0; tag && k < g->gr_dsts.al_n; k++)
			if (via_meets(s, i, &g->gr_dsts.al_v[k]))
				bit_set(r->cr_dstnodes, i);
	}
}

static int
dst_cmp(const void *a, const void *b)
{
	const struct cdst	*x = a, *y = b;
	int			 c;

	if (x->cd_star != y->cd_star)
		return x->cd_star ? -1 : 1;
	if (x->cd_prefix.pp_version != y->cd_prefix.pp_version)
		return x->cd_prefix.pp_version < y->cd_prefix.pp_version ?
		    -1 : 1;
	if (x->cd_prefix.pp_plen != y->cd_prefix.pp_plen)
		return x->cd_prefix.pp_plen < y->cd_prefix.pp_plen ? -1 : 1;
	if ((c = prefix_cmp(&x->cd_prefix, &y->cd_prefix)) != 0)
		return c;
	if (x->cd_first != y->cd_first)
		return x->cd_first < y->cd_first ? -1 : 1;
	if (x->cd_last != y->cd_last)
		return x->cd_last < y->cd_last ? -1 : 1;
	return x->cd_line < y->cd_line ? -1 : x->cd_line > y->cd_line;
}

/*
 * Sort the destinations, so that those which hold an address are found by
 * one search for each length of prefix.
 */
static int
rule_index(struct crule *r)
{
	const struct cdst	*d;
	struct cgroup		*g = NULL;
	size_t			 i;

	if (r->cr_ndsts == 0)
		return 0;
	qsort(r->cr_dsts, r->cr_ndsts, sizeof(*r->cr_dsts), dst_cmp);
	/* "*", and each length of both families. */
	r->cr_groups = calloc(1 + 33 + 129, sizeof(*r->cr_groups));
	if (r->cr_groups == NULL)
		return -1;
	for (i = 0; i < r->cr_ndsts; i++) {
		d = &r->cr_dsts[i];
		if (g == NULL || (!d->cd_star &&
		    (g->cg_version != d->cd_prefix.pp_version ||
		    g->cg_plen != d->cd_prefix.pp_plen))) {
			g = &r->cr_groups[r->cr_ngroups++];
			g->cg_first = i;
			g->cg_version = d->cd_star ? 0 :
			    d->cd_prefix.pp_version;
			g->cg_plen = d->cd_prefix.pp_plen;
		}
		g->cg_n++;
	}
	g = reallocarray(r->cr_groups, r->cr_ngroups, sizeof(*g));
	if (g != NULL)
		r->cr_groups = g;
	return 0;
}

/* Which nodes are destinations of a rule: themselves or their routes. */
static int
rule_nodes(const struct policy_state *s, struct crule *r)
{
	struct aset	 set;
	size_t		 i, k;
	int		 ret = -1;

	r->cr_dstnodes = calloc(POLICY_ROW(s->s_nnodes) + 1,
	    sizeof(*r->cr_dstnodes));
	if (r->cr_dstnodes == NULL)
		return -1;
	if (r->cr_kind == CR_SELF)
		return 0;
	if (r->cr_kind == CR_VIA) {
		via_nodes(s, r);
		return 0;
	}
	memset(&set, 0, sizeof(set));
	for (k = 0; k < r->cr_ndsts; k++) {
		if (r->cr_dsts[k].cd_star) {
			memcpy(r->cr_dstnodes, s->s_live,
			    POLICY_ROW(s->s_nnodes) *
			    sizeof(*r->cr_dstnodes));
		} else if (aset_add_prefix(&set,
		    &r->cr_dsts[k].cd_prefix) == -1)
			goto done;
		for (i = 0; r->cr_dsts[k].cd_internet && i < s->s_nnodes; i++)
			if (s->s_nodes[i].pn_exit)
				bit_set(r->cr_dstnodes, i);
	}
	aset_settle(&set);
	nodes_in_set(s, &set, 1, r->cr_dstnodes);
	ret = 0;
done:
	aset_free(&set);
	return ret;
}

static int
compile_all(struct policy_state *s)
{
	const struct policy	*p = s->s_p;
	size_t			 i;

	if (aset_add_internet(&s->s_internet) == -1)
		return -1;
	aset_settle(&s->s_internet);
	s->s_allowall = !p->p_hasacls && !p->p_hasgrants;
	/* Grants come before what acls were turned into. */
	for (i = 0; i < p->p_ngrants; i++)
		if (!p->p_grants[i].gr_acl &&
		    compile_grant(s, &p->p_grants[i]) == -1)
			return -1;
	for (i = 0; i < p->p_ngrants; i++)
		if (p->p_grants[i].gr_acl &&
		    compile_grant(s, &p->p_grants[i]) == -1)
			return -1;
	for (i = 0; i < s->s_nrules; i++)
		if (rule_index(&s->s_rules[i]) == -1 ||
		    rule_nodes(s, &s->s_rules[i]) == -1)
			return -1;
	return 0;
}

struct policy_state *
policy_compile(const struct policy *p, const struct policy_user *users,
    size_t nusers, const struct policy_node *nodes, size_t nnodes,
    char **msgs)
{
	struct policy_state	*s;
	size_t			 len;
	int			 bad;

	*msgs = NULL;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->s_p = p;
	s->s_srchash = calloc(SRC_BUCKETS, sizeof(*s->s_srchash));
	s->s_msgs = open_memstream(msgs, &len);
	bad = s->s_srchash == NULL || s->s_msgs == NULL ||
	    copy_users(s, users, nusers) == -1 ||
	    copy_nodes(s, nodes, nnodes) == -1 || index_addrs(s) == -1 ||
	    index_owned(s) == -1;
	if (!bad)
		check_users(s);
	if (!bad && s->s_errors == 0)
		bad = compile_all(s) == -1;
	if (s->s_msgs != NULL && fclose(s->s_msgs) != 0)
		bad = 1;
	s->s_msgs = NULL;
	if (s->s_errors == 0 || bad) {
		free(*msgs);
		*msgs = NULL;
	}
	if (bad || s->s_errors > 0) {
		policy_state_free(s);
		errno = bad ? ENOMEM : EINVAL;
		return NULL;
	}
	return s;
}

void
policy_state_free(struct policy_state *s)
{
	struct csrc	*c, *next;
	size_t		 i, k;

	if (s == NULL)
		return;
	for (i = 0; i < s->s_nusers; i++) {
		free(s->s_users[i].pu_name);
		free(s->s_users[i].pu_email);
		free(s->s_users[i].pu_provider);
	}
	for (i = 0; i < s->s_nnodes; i++) {
		for (k = 0; k < s->s_nodes[i].pn_ntags; k++)
			free(s->s_nodes[i].pn_tags[k]);
		free(s->s_nodes[i].pn_tags);
		free(s->s_nodes[i].pn_routes);
	}
	for (i = 0; i < s->s_nrules; i++) {
		free(s->s_rules[i].cr_dsts);
		free(s->s_rules[i].cr_dstnodes);
		free(s->s_rules[i].cr_groups);
		json_decref(s->s_rules[i].cr_capmap);
	}
	for (i = 0; s->s_srchash != NULL && i < SRC_BUCKETS; i++)
		for (c = s->s_srchash[i]; c != NULL; c = next) {
			next = c->cs_next;
			csrc_free(c);
		}
	aset_free(&s->s_internet);
	free(s->s_srchash);
	free(s->s_rules);
	free(s->s_addrs[0]);
	free(s->s_addrs[1]);
	free(s->s_owned);
	free(s->s_live);
	free(s->s_users);
	free(s->s_nodes);
	free(s);
}
