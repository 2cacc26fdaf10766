/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The nodes in memory: indexes, slots, and what a change means to others.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stored.h"

static int
id_cmp(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
node_cmp_id(const struct node *a, const struct node *b)
{
	return id_cmp(a->n_rec.r_id, b->n_rec.r_id);
}

static int
node_cmp_key(const struct node *a, const struct node *b)
{
	return memcmp(a->n_rec.r_key, b->n_rec.r_key, MSG_KEY_LEN);
}

static int
node_cmp_machine(const struct node *a, const struct node *b)
{
	int	 c;

	c = memcmp(a->n_rec.r_machine, b->n_rec.r_machine, MSG_KEY_LEN);
	return c != 0 ? c : node_cmp_id(a, b);
}

static int
node_cmp_label(const struct node *a, const struct node *b)
{
	return strcmp(a->n_rec.r_label, b->n_rec.r_label);
}

static int
node_cmp_addr4(const struct node *a, const struct node *b)
{
	return memcmp(a->n_rec.r_addr4, b->n_rec.r_addr4, 4);
}

static int
node_cmp_addr6(const struct node *a, const struct node *b)
{
	return memcmp(a->n_rec.r_addr6, b->n_rec.r_addr6, 16);
}

static int
node_cmp_expiry(const struct node *a, const struct node *b)
{
	if (a->n_rec.r_expiry != b->n_rec.r_expiry)
		return a->n_rec.r_expiry < b->n_rec.r_expiry ? -1 : 1;
	return node_cmp_id(a, b);
}

RB_GENERATE(nodes_id, node, n_byid, node_cmp_id)
RB_GENERATE(nodes_key, node, n_bykey, node_cmp_key)
RB_GENERATE(nodes_machine, node, n_bymachine, node_cmp_machine)
RB_GENERATE(nodes_label, node, n_bylabel, node_cmp_label)
RB_GENERATE(nodes_addr4, node, n_byaddr4, node_cmp_addr4)
RB_GENERATE(nodes_addr6, node, n_byaddr6, node_cmp_addr6)
RB_GENERATE(nodes_expiry, node, n_byexpiry, node_cmp_expiry)

struct node *
node_find(struct brain *b, uint64_t id)
{
	struct node	 key;

	key.n_rec.r_id = id;
	return RB_FIND(nodes_id, &b->b_nodes, &key);
}

struct node *
node_find_key(struct brain *b, const uint8_t k[MSG_KEY_LEN])
{
	struct node	 key;

	memcpy(key.n_rec.r_key, k, MSG_KEY_LEN);
	return RB_FIND(nodes_key, &b->b_bykey, &key);
}

struct node *
node_find_label(struct brain *b, const char *label)
{
	struct node	 key;

	if (strlcpy(key.n_rec.r_label, label, sizeof(key.n_rec.r_label)) >=
	    sizeof(key.n_rec.r_label))
		return NULL;
	return RB_FIND(nodes_label, &b->b_bylabel, &key);
}

struct node *
node_find_addr(struct brain *b, const struct policy_prefix *p)
{
	struct node	 key;

	if (p->pp_version == 4) {
		memcpy(key.n_rec.r_addr4, p->pp_addr, 4);
		return RB_FIND(nodes_addr4, &b->b_byaddr4, &key);
	}
	memcpy(key.n_rec.r_addr6, p->pp_addr, 16);
	return RB_FIND(nodes_addr6, &b->b_byaddr6, &key);
}

struct node *
node_first_machine(struct brain *b, const uint8_t machine[MSG_KEY_LEN])
{
	struct node	*n, key;

	memcpy(key.n_rec.r_machine, machine, MSG_KEY_LEN);
	key.n_rec.r_id = 0;
	n = RB_NFIND(nodes_machine, &b->b_bymachine, &key);
	if (n != NULL && memcmp(n->n_rec.r_machine, machine,
	    MSG_KEY_LEN) != 0)
		return NULL;
	return n;
}

struct node *
node_next_machine(struct brain *b, struct node *n)
{
	struct node	*next;

	next = RB_NEXT(nodes_machine, &b->b_bymachine, n);
	if (next != NULL && memcmp(next->n_rec.r_machine,
	    n->n_rec.r_machine, MSG_KEY_LEN) != 0)
		return NULL;
	return next;
}

/* The store keeps these unique; a clash here is a bug. */
static void
node_index(struct brain *b, struct node *n)
{
	const struct noderec	*r = &n->n_rec;

	if (RB_INSERT(nodes_id, &b->b_nodes, n) != NULL ||
	    RB_INSERT(nodes_key, &b->b_bykey, n) != NULL ||
	    RB_INSERT(nodes_label, &b->b_bylabel, n) != NULL)
		fatalx("node %llu: not unique",
		    (unsigned long long)r->r_id);
	if (r->r_has4 && RB_INSERT(nodes_addr4, &b->b_byaddr4, n) != NULL)
		fatalx("node %llu: IPv4 address not unique",
		    (unsigned long long)r->r_id);
	if (r->r_has6 && RB_INSERT(nodes_addr6, &b->b_byaddr6, n) != NULL)
		fatalx("node %llu: IPv6 address not unique",
		    (unsigned long long)r->r_id);
	if (!r->r_wgonly)
		RB_INSERT(nodes_machine, &b->b_bymachine, n);
	expiry_watch(b, n);
}

static void
node_unindex(struct brain *b, struct node *n)
{
	RB_REMOVE(nodes_id, &b->b_nodes, n);
	RB_REMOVE(nodes_key, &b->b_bykey, n);
	RB_REMOVE(nodes_label, &b->b_bylabel, n);
	if (n->n_rec.r_has4)
		RB_REMOVE(nodes_addr4, &b->b_byaddr4, n);
	if (n->n_rec.r_has6)
		RB_REMOVE(nodes_addr6, &b->b_byaddr6, n);
	if (!n->n_rec.r_wgonly)
		RB_REMOVE(nodes_machine, &b->b_bymachine, n);
	if (n->n_in_expiry)
		RB_REMOVE(nodes_expiry, &b->b_byexpiry, n);
	n->n_in_expiry = 0;
}

static void
node_owner(struct brain *b, const struct node *n, int add)
{
	struct user	*u;

	if (n->n_rec.r_user == 0 ||
	    (u = user_find(b, n->n_rec.r_user)) == NULL)
		return;
	if (add)
		u->u_nnodes++;
	else
		u->u_nnodes--;
}

/* Slots follow the order of IDs: the next is always behind the last. */
static void
node_slot(struct brain *b, struct node *n)
{
	size_t	 cap, words;

	if (b->b_nslots == b->b_slotcap) {
		cap = b->b_slotcap == 0 ? 64 : b->b_slotcap * 2;
		b->b_slots = recallocarray(b->b_slots, b->b_slotcap, cap,
		    sizeof(*b->b_slots));
		words = POLICY_ROW(cap);
		b->b_live = recallocarray(b->b_live, b->b_words, words,
		    sizeof(*b->b_live));
		b->b_row = recallocarray(b->b_row, b->b_words, words,
		    sizeof(*b->b_row));
		if (b->b_slots == NULL || b->b_live == NULL ||
		    b->b_row == NULL)
			fatal(NULL);
		b->b_slotcap = cap;
		b->b_words = words;
	}
	n->n_slot = b->b_nslots;
	b->b_slots[b->b_nslots++] = n;
}

struct node *
node_add(struct brain *b, struct noderec *r)
{
	struct node	*n;

	n = xcalloc(1, sizeof(*n));
	n->n_rec = *r;
	memset(r, 0, sizeof(*r));
	hostinfo_read(n);
	alloc_learn(b, &n->n_rec);
	n->n_expired = (uint8_t)node_is_expired(b, n);
	node_index(b, n);
	node_slot(b, n);
	node_owner(b, n, 1);
	b->b_nnodes++;
	node_changed(b, n, CH_FULL | CH_POLICY);
	online_loaded(b, n);
	return n;
}

int
node_load(void *arg, struct noderec *r)
{
	(void)node_add(arg, r);
	return 0;
}

static int
lists_differ(const struct noderec *a, const struct noderec *r)
{
	size_t	 i;

	if (a->r_ntags != r->r_ntags || a->r_napproved != r->r_napproved)
		return 1;
	for (i = 0; i < a->r_ntags; i++)
		if (strcmp(a->r_tags[i], r->r_tags[i]) != 0)
			return 1;
	for (i = 0; i < a->r_napproved; i++)
		if (route_cmp(&a->r_approved_routes[i],
		    &r->r_approved_routes[i]) != 0)
			return 1;
	return 0;
}

/* With any port, too? */
static int
has_endpoint(const struct noderec *r, const struct msg_endpoint *ep, int any)
{
	size_t	 i;

	for (i = 0; i < r->r_nendpoints; i++)
		if (r->r_endpoints[i].af == ep->af &&
		    (any || r->r_endpoints[i].port == ep->port) &&
		    memcmp(r->r_endpoints[i].addr, ep->addr, 16) == 0)
			return 1;
	return 0;
}

/*
 * Peers are told of endpoints only if there is a new one: old ones cost them
 * a probe at most. The port that STUN found changes often, and travels by the
 * relay when it is needed, if there is a relay; a new address is worth
 * telling, or nodes in the open would not meet where no relay answers.
 */
static int
endpoints_differ(const struct noderec *a, const struct noderec *r)
{
	const struct msg_endpoint	*ep;
	size_t				 i;
	int				 stun;

	for (i = 0; i < r->r_nendpoints; i++) {
		ep = &r->r_endpoints[i];
		stun = ep->type == 2 || ep->type == 4;
		if (!has_endpoint(a, ep, stun && r->r_derp != 0))
			return 1;
	}
	return 0;
}

static unsigned int
noderec_diff(const struct noderec *a, const struct noderec *r)
{
	unsigned int	 ch = 0;

	if (a->r_user != r->r_user || a->r_approved != r->r_approved ||
	    a->r_has4 != r->r_has4 || a->r_has6 != r->r_has6 ||
	    memcmp(a->r_addr4, r->r_addr4, 4) != 0 ||
	    memcmp(a->r_addr6, r->r_addr6, 16) != 0 || lists_differ(a, r))
		ch |= CH_FULL | CH_SELF | CH_POLICY;
	if (strcmp(a->r_label, r->r_label) != 0 ||
	    a->r_expiry != r->r_expiry)
		ch |= CH_FULL | CH_SELF;
	if (memcmp(a->r_key, r->r_key, MSG_KEY_LEN) != 0 ||
	    a->r_cap != r->r_cap)
		ch |= CH_FULL;
	if (memcmp(a->r_disco, r->r_disco, MSG_KEY_LEN) != 0)
		ch |= CH_DISCO;
	if (a->r_derp != r->r_derp)
		ch |= CH_DERP;
	if (endpoints_differ(a, r))
		ch |= CH_ENDPOINTS;
	return ch;
}

/* Hostinfo as peers see it, and the announced routes. */
static unsigned int
node_set_hostinfo(struct node *n)
{
	struct policy_prefix	*routes = n->n_announced;
	size_t			 nroutes = n->n_nannounced;
	unsigned int		 ch = 0;
	char			*public = n->n_public;

	n->n_announced = NULL;
	n->n_public = NULL;
	hostinfo_read(n);
	if (strcmp(public, n->n_public) != 0)
		ch |= CH_FULL;
	if (nroutes != n->n_nannounced || (nroutes > 0 && memcmp(routes,
	    n->n_announced, nroutes * sizeof(*routes)) != 0))
		ch |= CH_FULL | CH_SELF | CH_POLICY;
	free(routes);
	free(public);
	return ch;
}

void
node_set(struct brain *b, struct node *n, struct noderec *r)
{
	struct noderec	 old;
	unsigned int	 ch;
	int		 hostinfo;

	old = n->n_rec;
	ch = noderec_diff(&old, r);
	hostinfo = r->r_hostinfo != NULL && (old.r_hostinfo == NULL ||
	    strcmp(old.r_hostinfo, r->r_hostinfo) != 0);
	node_unindex(b, n);
	node_owner(b, n, 0);
	n->n_rec = *r;
	memset(r, 0, sizeof(*r));
	if (hostinfo)
		ch |= node_set_hostinfo(n);
	n->n_expired = (uint8_t)node_is_expired(b, n);
	map_node_stale(n);
	node_index(b, n);
	node_owner(b, n, 1);
	noderec_free(&old);
	if (ch != 0)
		node_changed(b, n, ch);
}

int
node_put(struct brain *b, struct node *n, struct noderec *r,
    const char *actor, const char *action)
{
	char	 target[32];

	(void)snprintf(target, sizeof(target), "node %llu",
	    (unsigned long long)r->r_id);
	if (store_begin(b->b_store, 1) == -1)
		return -1;
	if (store_node_put(b->b_store, r) == -1 ||
	    store_audit(b->b_store, b->b_date, actor, action, target,
	    r->r_label) == -1 || store_commit(b->b_store) == -1) {
		store_rollback(b->b_store);
		return -1;
	}
	node_set(b, n, r);
	return 0;
}

static void
node_free(struct node *n)
{
	noderec_free(&n->n_rec);
	free(n->n_announced);
	free(n->n_public);
	free(n->n_head);
	free(n->n_tail);
	free(n);
}

int
node_delete(struct brain *b, struct node *n, const char *actor,
    const char *action)
{
	char	 target[32];

	(void)snprintf(target, sizeof(target), "node %llu",
	    (unsigned long long)n->n_rec.r_id);
	if (store_begin(b->b_store, 1) == -1)
		return -1;
	if (store_node_delete(b->b_store, n->n_rec.r_id) == -1 ||
	    store_audit(b->b_store, b->b_date, actor, action, target,
	    n->n_rec.r_label) == -1 || store_commit(b->b_store) == -1) {
		store_rollback(b->b_store);
		return -1;
	}
	map_forget(b, n);
	online_forget(b, n);
	if (n->n_changes != 0)
		TAILQ_REMOVE(&b->b_changed, n, n_change);
	if (n->n_is_unsaved)
		TAILQ_REMOVE(&b->b_unsaved, n, n_unsaved);
	node_owner(b, n, 0);
	node_unindex(b, n);
	b->b_slots[n->n_slot] = NULL;
	b->b_nholes++;
	b->b_nnodes--;
	policy_stale(b);
	node_free(n);
	return 0;
}

void
node_changed(struct brain *b, struct node *n, unsigned int ch)
{
	if (ch & (CH_FULL | CH_PATCH))
		map_node_stale(n);
	if (ch & CH_POLICY)
		policy_stale(b);
	if (ch & CH_FULL)
		follow_soon(b);
	if (n->n_changes == 0)
		TAILQ_INSERT_TAIL(&b->b_changed, n, n_change);
	n->n_changes |= (uint8_t)ch;
	map_wake(b);
}

void
node_unsaved(struct brain *b, struct node *n)
{
	if (!n->n_is_unsaved)
		TAILQ_INSERT_TAIL(&b->b_unsaved, n, n_unsaved);
	n->n_is_unsaved = 1;
	map_wake(b);
}

/* What was put off, in one transaction; on failure it is tried again. */
void
node_save_all(struct brain *b)
{
	struct node	*n;

	if (TAILQ_EMPTY(&b->b_unsaved))
		return;
	if (store_begin(b->b_store, 0) == -1)
		return;
	TAILQ_FOREACH(n, &b->b_unsaved, n_unsaved)
		if (store_node_touch(b->b_store, &n->n_rec) == -1)
			break;
	if (n != NULL || store_commit(b->b_store) == -1) {
		store_rollback(b->b_store);
		return;
	}
	while ((n = TAILQ_FIRST(&b->b_unsaved)) != NULL) {
		TAILQ_REMOVE(&b->b_unsaved, n, n_unsaved);
		n->n_is_unsaved = 0;
	}
}

int
node_is_expired(const struct brain *b, const struct node *n)
{
	return n->n_rec.r_expiry != 0 && n->n_rec.r_expiry <= b->b_date;
}

int
node_may_relay(struct brain *b, const uint8_t key[MSG_KEY_LEN])
{
	const struct node	*n = node_find_key(b, key);

	return n != NULL && n->n_rec.r_approved && !n->n_rec.r_wgonly &&
	    !node_is_expired(b, n);
}

/* A plain WireGuard machine announces nothing: what was allowed holds. */
size_t
node_routes(const struct node *n, struct policy_prefix *out, size_t max)
{
	const struct noderec	*r = &n->n_rec;
	size_t			 i, j, k = 0;

	for (i = 0; i < r->r_napproved && k < max; i++) {
		for (j = 0; j < n->n_nannounced; j++)
			if (route_cmp(&r->r_approved_routes[i],
			    &n->n_announced[j]) == 0)
				break;
		if (r->r_wgonly || j < n->n_nannounced)
			out[k++] = r->r_approved_routes[i];
	}
	return k;
}

/* Move the nodes together; only while no viewer waits for anything. */
void
node_compact(struct brain *b)
{
	struct viewer	*v;
	uint64_t	*sent;
	size_t		 i, k;

	if (b->b_nholes < 64 || b->b_nholes < b->b_nslots / 4 ||
	    !TAILQ_EMPTY(&b->b_work))
		return;
	RB_FOREACH(v, viewers, &b->b_viewers) {
		sent = xcalloc(b->b_words, sizeof(*sent));
		for (i = k = 0; i < b->b_nslots; i++) {
			if (b->b_slots[i] == NULL)
				continue;
			if (i / 64 < v->v_words &&
			    v->v_sent[i / 64] >> (i % 64) & 1)
				sent[k / 64] |= 1ULL << (k % 64);
			k++;
		}
		free(v->v_sent);
		v->v_sent = sent;
		v->v_words = b->b_words;
	}
	for (i = k = 0; i < b->b_nslots; i++)
		if (b->b_slots[i] != NULL) {
			b->b_slots[i]->n_slot = k;
			b->b_slots[k++] = b->b_slots[i];
		}
	b->b_nslots = k;
	b->b_nholes = 0;
	policy_stale(b);
}

void
node_free_all(struct brain *b)
{
	struct node	*n, *next;

	RB_FOREACH_SAFE(n, nodes_id, &b->b_nodes, next) {
		RB_REMOVE(nodes_id, &b->b_nodes, n);
		node_free(n);
	}
	free(b->b_slots);
	free(b->b_live);
	free(b->b_row);
}
