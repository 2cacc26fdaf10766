/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy: what selectors stand for in a tailnet.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy_int.h"

static int	 add_node(const struct policy_state *, size_t, struct aset *);
static int	 resolve_auto(const struct policy_state *, enum autogroup,
		    struct aset *);
static int	 resolve_user(const struct policy_state *, const char *,
		    struct aset *);
static int	 resolve_star(const struct policy_state *, struct aset *);
static int	 user_in(const struct policy_state *, const struct alias *,
		    uint64_t);
static const struct puser
		*user_by_id(const struct policy_state *, uint64_t);
static size_t	 addr_lower(const struct policy_state *, int,
		    const uint8_t *);

/* "alice@" by name, "alice@example.com" by e-mail or name. */
int
user_matches(const struct puser *u, const char *token)
{
	size_t	 n = strlen(token);

	if (strcmp(u->pu_provider, token) == 0 ||
	    strcmp(u->pu_email, token) == 0 || strcmp(u->pu_name, token) == 0)
		return 1;
	return n > 1 && token[n - 1] == '@' &&
	    strlen(u->pu_name) == n - 1 &&
	    memcmp(u->pu_name, token, n - 1) == 0;
}

int
node_has_tag(const struct pnodeinfo *n, const char *tag)
{
	size_t	 i;

	for (i = 0; i < n->pn_ntags; i++)
		if (strcmp(n->pn_tags[i], tag) == 0)
			return 1;
	return 0;
}

/* Two nodes of one person; tagged nodes belong to nobody. */
int
same_owner(const struct policy_state *s, size_t a, size_t b)
{
	return s->s_nodes[a].pn_ntags == 0 && s->s_nodes[b].pn_ntags == 0 &&
	    s->s_nodes[a].pn_user == s->s_nodes[b].pn_user &&
	    s->s_nodes[a].pn_user != 0;
}

const struct powned *
owned_nodes(const struct policy_state *s, uint64_t user, size_t *n)
{
	size_t	 lo = 0, hi = s->s_nowned, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (s->s_owned[mid].po_user < user)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (*n = 0; lo + *n < s->s_nowned &&
	    s->s_owned[lo + *n].po_user == user; (*n)++)
		;
	return &s->s_owned[lo];
}

static const struct puser *
user_by_id(const struct policy_state *s, uint64_t id)
{
	size_t	 lo = 0, hi = s->s_nusers, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (s->s_users[mid].pu_id == id)
			return &s->s_users[mid];
		if (s->s_users[mid].pu_id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* Is this user named by a user or group selector, or a member at all? */
static int
user_in(const struct policy_state *s, const struct alias *a, uint64_t id)
{
	const struct pgroup	*g;
	const struct puser	*u;
	size_t			 i;

	if ((u = user_by_id(s, id)) == NULL)
		return 0;
	switch (a->al_type) {
	case AL_USER:
		return user_matches(u, a->al_text);
	case AL_GROUP:
		if ((g = policy_group(s->s_p, a->al_text)) == NULL)
			return 0;
		for (i = 0; i < g->pg_members.sl_n; i++)
			if (user_matches(u, g->pg_members.sl_v[i]))
				return 1;
		return 0;
	case AL_AUTO:
		return a->al_auto == AG_MEMBER;
	default:
		return 0;
	}
}

/* Does the selector name this node by owner or tag? */
int
alias_has_node(const struct policy_state *s, const struct alias *a,
    size_t node)
{
	const struct pnodeinfo	*n = &s->s_nodes[node];

	if (a->al_type == AL_STAR)
		return 1;
	if (a->al_type == AL_TAG)
		return node_has_tag(n, a->al_text);
	if (a->al_type == AL_AUTO && a->al_auto == AG_TAGGED)
		return n->pn_ntags > 0;
	return n->pn_ntags == 0 && user_in(s, a, n->pn_user);
}

static int
add_node(const struct policy_state *s, size_t node, struct aset *set)
{
	const struct pnodeinfo	*n = &s->s_nodes[node];
	int			 fam;

	for (fam = 0; fam < 2; fam++)
		if (n->pn_has[fam] &&
		    aset_add_addr(set, fam, n->pn_addr[fam]) == -1)
			return -1;
	return 0;
}

static int
resolve_user(const struct policy_state *s, const char *token,
    struct aset *set)
{
	const struct powned	*o;
	size_t			 i, n, u;

	for (u = 0; u < s->s_nusers; u++) {
		if (!user_matches(&s->s_users[u], token))
			continue;
		o = owned_nodes(s, s->s_users[u].pu_id, &n);
		for (i = 0; i < n; i++)
			if (add_node(s, o[i].po_node, set) == -1)
				return -1;
	}
	return 0;
}

static int
resolve_auto(const struct policy_state *s, enum autogroup ag,
    struct aset *set)
{
	struct policy_prefix	 p;
	size_t			 i;
	int			 tagged;

	if (ag == AG_INTERNET)
		return aset_add_set(set, &s->s_internet);
	if (ag == AG_DANGER) {
		memset(&p, 0, sizeof(p));
		p.pp_version = 4;
		if (aset_add_prefix(set, &p) == -1)
			return -1;
		p.pp_version = 6;
		return aset_add_prefix(set, &p);
	}
	if (ag != AG_MEMBER && ag != AG_TAGGED)
		return 0;
	for (i = 0; i < s->s_nnodes; i++) {
		tagged = s->s_nodes[i].pn_ntags > 0;
		if (tagged == (ag == AG_TAGGED) &&
		    (tagged || s->s_nodes[i].pn_user != 0) &&
		    add_node(s, i, set) == -1)
			return -1;
	}
	return 0;
}

/* The ranges of a tailnet; the hole is ChromeOS's. */
int
aset_add_tailnet(struct aset *set)
{
	struct policy_prefix	 p;
	struct aset		 net;
	int			 r = -1;

	memset(&net, 0, sizeof(net));
	if (policy_prefix_parse("100.64.0.0/10", &p) == -1 ||
	    aset_add_prefix(&net, &p) == -1 ||
	    policy_prefix_parse("100.115.92.0/23", &p) == -1 ||
	    aset_remove(&net, &p) == -1 ||
	    policy_prefix_parse("fd7a:115c:a1e0::/48", &p) == -1 ||
	    aset_add_prefix(&net, &p) == -1)
		goto done;
	r = aset_add_set(set, &net);
done:
	aset_free(&net);
	return r;
}

/* Everybody: the tailnet, and the subnets that are approved. */
static int
resolve_star(const struct policy_state *s, struct aset *set)
{
	size_t	 i, k;

	if (aset_add_tailnet(set) == -1)
		return -1;
	for (i = 0; i < s->s_nnodes; i++)
		for (k = 0; k < s->s_nodes[i].pn_nroutes; k++)
			if (aset_add_prefix(set,
			    &s->s_nodes[i].pn_routes[k]) == -1)
				return -1;
	return 0;
}

int
resolve_alias(const struct policy_state *s, const struct alias *a,
    struct aset *set)
{
	const struct pgroup	*g;
	const struct phost	*h;
	size_t			 i;

	switch (a->al_type) {
	case AL_STAR:
		return resolve_star(s, set);
	case AL_PREFIX:
		return aset_add_prefix(set, &a->al_prefix);
	case AL_HOST:
		if ((h = policy_host(s->s_p, a->al_text)) == NULL)
			return 0;
		return aset_add_prefix(set, &h->ph_prefix);
	case AL_USER:
		return resolve_user(s, a->al_text, set);
	case AL_GROUP:
		if ((g = policy_group(s->s_p, a->al_text)) == NULL)
			return 0;
		for (i = 0; i < g->pg_members.sl_n; i++)
			if (resolve_user(s, g->pg_members.sl_v[i],
			    set) == -1)
				return -1;
		return 0;
	case AL_TAG:
		for (i = 0; i < s->s_nnodes; i++)
			if (node_has_tag(&s->s_nodes[i], a->al_text) &&
			    add_node(s, i, set) == -1)
				return -1;
		return 0;
	case AL_AUTO:
		return resolve_auto(s, a->al_auto, set);
	default:
		return 0;
	}
}

/* The set is settled afterwards. */
int
resolve_list(const struct policy_state *s, const struct alist *l,
    struct aset *set)
{
	size_t	 i;

	for (i = 0; i < l->al_n; i++)
		if (resolve_alias(s, &l->al_v[i], set) == -1)
			return -1;
	aset_settle(set);
	return 0;
}

int
node_in_set(const struct policy_state *s, size_t node,
    const struct aset *set)
{
	const struct pnodeinfo	*n = &s->s_nodes[node];
	int			 fam;

	for (fam = 0; fam < 2; fam++)
		if (n->pn_has[fam] &&
		    aset_contains(set, fam, n->pn_addr[fam]))
			return 1;
	return 0;
}

/* First of the sorted addresses of nodes that is not below this one. */
static size_t
addr_lower(const struct policy_state *s, int fam, const uint8_t *addr)
{
	size_t	 lo = 0, hi = s->s_naddrs[fam], mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (memcmp(s->s_addrs[fam][mid].pa_addr, addr, 16) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void
nodes_in_set(const struct policy_state *s, const struct aset *set,
    int routes, uint64_t *row)
{
	const struct paddr	*a;
	size_t			 i, k;
	int			 fam;

	for (fam = 0; fam < 2; fam++)
		for (i = 0; i < set->as_n[fam]; i++)
			for (k = addr_lower(s, fam, set->as_r[fam][i].ar_lo);
			    k < s->s_naddrs[fam]; k++) {
				a = &s->s_addrs[fam][k];
				if (memcmp(a->pa_addr,
				    set->as_r[fam][i].ar_hi, 16) > 0)
					break;
				bit_set(row, a->pa_node);
			}
	if (!routes)
		return;
	for (i = 0; i < s->s_nnodes; i++)
		for (k = 0; k < s->s_nodes[i].pn_nroutes; k++)
			if (aset_overlaps(set, &s->s_nodes[i].pn_routes[k]))
				bit_set(row, i);
}

int
policy_resolve(const struct policy_state *s, const char *text,
    struct policy_prefix *v, size_t max)
{
	struct policy_prefix	*all = NULL;
	struct alias		 a;
	struct aset		 set;
	size_t			 n = 0;
	int			 r = -1;

	memset(&set, 0, sizeof(set));
	if (alias_parse(text, &a) == -1 ||
	    (a.al_type == AL_GROUP &&
	    policy_group(s->s_p, text) == NULL) ||
	    (a.al_type == AL_HOST && policy_host(s->s_p, text) == NULL) ||
	    (a.al_type == AL_TAG && policy_tag(s->s_p, text) == NULL) ||
	    (a.al_type == AL_AUTO && a.al_auto == AG_UNKNOWN)) {
		errno = EINVAL;
		return -1;
	}
	if (resolve_alias(s, &a, &set) == -1)
		goto done;
	aset_settle(&set);
	if (aset_prefixes(&set, &all, &n) == -1)
		goto done;
	if (n > 0)
		memcpy(v, all, (n < max ? n : max) * sizeof(*v));
	r = (int)n;
done:
	free(all);
	aset_free(&set);
	return r;
}

int
policy_tag_exists(const struct policy *p, const char *tag)
{
	return policy_tag(p, tag) != NULL;
}

/* Owners that are tags lead to the owners of these; cycles are refused. */
int
policy_tag_allowed(const struct policy_state *s, const char *tag,
    uint64_t user)
{
	const struct ptag	*t, *o, **todo;
	uint8_t			*met;
	size_t			 i, n = 0;
	int			 found = 0;

	if ((t = policy_tag(s->s_p, tag)) == NULL)
		return 0;
	todo = calloc(s->s_p->p_ntags, sizeof(*todo));
	met = calloc(s->s_p->p_ntags, 1);
	if (todo == NULL || met == NULL)
		goto done;
	todo[n++] = t;
	while (n > 0 && !found) {
		t = todo[--n];
		for (i = 0; i < t->pt_owners.al_n && !found; i++) {
			found = user_in(s, &t->pt_owners.al_v[i], user);
			if (t->pt_owners.al_v[i].al_type != AL_TAG)
				continue;
			o = policy_tag(s->s_p, t->pt_owners.al_v[i].al_text);
			if (o == NULL || met[o - s->s_p->p_tags])
				continue;
			met[o - s->s_p->p_tags] = 1;
			todo[n++] = o;
		}
	}
done:
	free(todo);
	free(met);
	return found;
}

int
policy_route_auto(const struct policy_state *s, size_t node,
    const struct policy_prefix *route)
{
	const struct papprover	*a;
	const struct alist	*who;
	size_t			 i, k;

	for (i = 0; i < s->s_p->p_nroutes + 1; i++) {
		if (i == s->s_p->p_nroutes) {
			if (!prefix_is_exit(route))
				return 0;
			who = &s->s_p->p_exit;
		} else {
			a = &s->s_p->p_routes[i];
			if (prefix_is_exit(route) ||
			    a->pa_prefix.pp_plen > route->pp_plen ||
			    !prefix_overlaps(&a->pa_prefix, route))
				continue;
			who = &a->pa_who;
		}
		for (k = 0; k < who->al_n; k++)
			if (alias_has_node(s, &who->al_v[k], node))
				return 1;
	}
	return 0;
}

int
policy_has_attrs(const struct policy *p)
{
	return p->p_nattrs > 0 || p->p_randomport;
}

json_t *
policy_node_caps(const struct policy_state *s, size_t node)
{
	const struct pattr	*at;
	const struct alias	*a;
	struct aset		 set;
	json_t			*caps;
	size_t			 i, k;
	int			 bad = 0, hit;

	if ((caps = json_object()) == NULL)
		return NULL;
	if (s->s_p->p_randomport)
		bad |= json_object_set_new(caps, "randomize-client-port",
		    json_null());
	for (i = 0; i < s->s_p->p_nattrs; i++) {
		at = &s->s_p->p_attrs[i];
		for (hit = 0, k = 0; k < at->at_targets.al_n && !hit; k++) {
			a = &at->at_targets.al_v[k];
			hit = alias_has_node(s, a, node);
			if (a->al_type != AL_HOST && a->al_type != AL_PREFIX)
				continue;
			memset(&set, 0, sizeof(set));
			bad |= resolve_alias(s, a, &set);
			hit = node_in_set(s, node, &set);
			aset_free(&set);
		}
		for (k = 0; k < at->at_attrs.sl_n && hit; k++)
			bad |= json_object_set_new(caps,
			    at->at_attrs.sl_v[k], json_null());
	}
	if (bad == 0)
		return caps;
	json_decref(caps);
	return NULL;
}
