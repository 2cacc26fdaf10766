/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The network map: map responses in, state and what changed out.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netmap.h"
#include "netmap_int.h"

static int
nm_node_cmp(struct nm_node *a, struct nm_node *b)
{
	return (a->n_id > b->n_id) - (a->n_id < b->n_id);
}

static int
nm_profile_cmp(struct nm_profile *a, struct nm_profile *b)
{
	return (a->p_id > b->p_id) - (a->p_id < b->p_id);
}

static int
nm_chunk_cmp(struct nm_chunk *a, struct nm_chunk *b)
{
	return strcmp(a->c_name, b->c_name);
}

RB_GENERATE(nm_tree, nm_node, n_entry, nm_node_cmp)
RB_GENERATE(nm_profiles, nm_profile, p_entry, nm_profile_cmp)
RB_GENERATE(nm_chunks, nm_chunk, c_entry, nm_chunk_cmp)

struct netmap *
netmap_new(void)
{
	struct netmap	*nm;

	if ((nm = calloc(1, sizeof(*nm))) == NULL)
		return NULL;
	RB_INIT(&nm->nm_peers);
	RB_INIT(&nm->nm_profiles);
	RB_INIT(&nm->nm_chunks);
	return nm;
}

static void
chunks_clear(struct netmap *nm)
{
	struct nm_chunk	*c, *next;

	RB_FOREACH_SAFE(c, nm_chunks, &nm->nm_chunks, next) {
		RB_REMOVE(nm_chunks, &nm->nm_chunks, c);
		nm_chunk_free(c);
	}
}

void
netmap_free(struct netmap *nm)
{
	struct nm_profile	*p, *pnext;
	struct nm_node		*n, *next;

	if (nm == NULL)
		return;
	RB_FOREACH_SAFE(n, nm_tree, &nm->nm_peers, next) {
		RB_REMOVE(nm_tree, &nm->nm_peers, n);
		nm_node_free(n);
	}
	RB_FOREACH_SAFE(p, nm_profiles, &nm->nm_profiles, pnext) {
		RB_REMOVE(nm_profiles, &nm->nm_profiles, p);
		nm_profile_free(p);
	}
	chunks_clear(nm);
	nm_node_free(nm->nm_self);
	free(nm->nm_domain);
	free(nm->nm_auditid);
	json_decref(nm->nm_dns);
	json_decref(nm->nm_derp);
	json_decref(nm->nm_ssh);
	json_decref(nm->nm_health);
	json_decref(nm->nm_messages);
	json_decref(nm->nm_tka);
	free(nm);
}

struct nm_node *
netmap_peer(struct netmap *nm, int64_t id)
{
	struct nm_node	 key;

	key.n_id = id;
	return RB_FIND(nm_tree, &nm->nm_peers, &key);
}

struct nm_profile *
netmap_profile(struct netmap *nm, int64_t id)
{
	struct nm_profile	 key;

	key.p_id = id;
	return RB_FIND(nm_profiles, &nm->nm_profiles, &key);
}

void
nm_delta_free(struct nm_delta *d)
{
	free(d->nd_changed);
	free(d->nd_removed);
	memset(d, 0, sizeof(*d));
}

void
nm_effects_free(struct nm_effects *fx)
{
	json_decref(fx->ms_ping);
	json_decref(fx->ms_dial);
	json_decref(fx->ms_version);
	free(fx->ms_url);
	memset(fx, 0, sizeof(*fx));
}

/*
 * The delta is sized for the worst case before anything is changed, so
 * that noting a change cannot fail.
 */
static int
delta_alloc(struct nm_delta *d, size_t changed, size_t removed)
{
	d->nd_changed = calloc(changed + 1, sizeof(*d->nd_changed));
	d->nd_removed = calloc(removed + 1, sizeof(*d->nd_removed));
	return d->nd_changed == NULL || d->nd_removed == NULL ? -1 : 0;
}

static void
delta_changed(struct nm_delta *d, int64_t id, uint32_t what)
{
	if (what == 0)
		return;
	d->nd_changed[d->nd_nchanged].dc_id = id;
	d->nd_changed[d->nd_nchanged++].dc_what = what;
	d->nd_flags |= NM_CH_PEERS;
}

static void
delta_removed(struct nm_delta *d, const struct nm_node *n)
{
	d->nd_removed[d->nd_nremoved].dr_id = n->n_id;
	d->nd_removed[d->nd_nremoved].dr_mark = n->n_mark;
	memcpy(d->nd_removed[d->nd_nremoved++].dr_key, n->n_key, 32);
	d->nd_flags |= NM_CH_PEERS;
}

static int
change_cmp(const void *a, const void *b)
{
	const struct nm_change	*x = a, *y = b;

	return (x->dc_id > y->dc_id) - (x->dc_id < y->dc_id);
}

/* One entry a peer; one that is gone in the end is no change. */
static void
delta_finish(struct netmap *nm, struct nm_delta *d)
{
	struct nm_change	*c;
	uint32_t		 i, n;

	if (d->nd_nchanged == 0)
		return;
	qsort(d->nd_changed, d->nd_nchanged, sizeof(*d->nd_changed),
	    change_cmp);
	n = 0;
	for (i = 0; i < d->nd_nchanged; i++) {
		c = &d->nd_changed[i];
		if (n > 0 && d->nd_changed[n - 1].dc_id == c->dc_id)
			d->nd_changed[n - 1].dc_what |= c->dc_what;
		else if (netmap_peer(nm, c->dc_id) != NULL)
			d->nd_changed[n++] = *c;
	}
	d->nd_nchanged = n;
}

/* Put a node in the place of the one with its id; takes it over. */
static void
peer_put(struct netmap *nm, struct nm_node *n, struct nm_delta *d)
{
	struct nm_node	*old;
	uint32_t	 what;

	what = NM_PC_NEW;
	if ((old = netmap_peer(nm, n->n_id)) != NULL) {
		what = nm_node_diff(old, n);
		n->n_mark = old->n_mark;
		RB_REMOVE(nm_tree, &nm->nm_peers, old);
		nm_node_free(old);
		nm->nm_npeers--;
	}
	RB_INSERT(nm_tree, &nm->nm_peers, n);
	nm->nm_npeers++;
	delta_changed(d, n->n_id, what);
}

static void
peer_remove(struct netmap *nm, struct nm_node *n, struct nm_delta *d)
{
	delta_removed(d, n);
	RB_REMOVE(nm_tree, &nm->nm_peers, n);
	nm->nm_npeers--;
	nm_node_free(n);
}

static int
id_cmp(const void *a, const void *b)
{
	const int64_t	*x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * A disco key that a peer announced itself is newer than what the server
 * knows of a node that is offline.
 */
static void
keep_disco(struct netmap *nm, struct nm_node *n)
{
	static const uint8_t	 zero[32];
	const struct nm_node	*old;

	if (memcmp(n->n_disco, zero, 32) == 0 || n->n_online == 1 ||
	    (old = netmap_peer(nm, n->n_id)) == NULL ||
	    memcmp(old->n_disco, n->n_disco, 32) == 0 ||
	    !old->n_lastseen.jt_set)
		return;
	if (n->n_lastseen.jt_set &&
	    ju_time_cmp(&n->n_lastseen, &old->n_lastseen) > 0)
		return;
	memcpy(n->n_disco, old->n_disco, 32);
	n->n_lastseen = old->n_lastseen;
}

/* A whole list: what it does not name is gone. keep: sorted ids. */
static void
apply_peers(struct netmap *nm, struct nm_msg *m, int64_t *keep,
    struct nm_delta *d)
{
	struct nm_node	*n, *next;
	uint32_t	 i;

	for (i = 0; i < m->m_npeers; i++)
		keep[i] = m->m_peers[i]->n_id;
	qsort(keep, m->m_npeers, sizeof(*keep), id_cmp);
	for (i = 0; i < m->m_npeers; i++) {
		keep_disco(nm, m->m_peers[i]);
		peer_put(nm, m->m_peers[i], d);
		m->m_peers[i] = NULL;
	}
	RB_FOREACH_SAFE(n, nm_tree, &nm->nm_peers, next)
		if (bsearch(&n->n_id, keep, m->m_npeers, sizeof(*keep),
		    id_cmp) == NULL)
			peer_remove(nm, n, d);
}

/*
 * Turn changed peers into patches where that is possible, and drop patches
 * that are older than what is known; both against the map as it was.
 */
static void
prepare_patches(struct netmap *nm, struct nm_msg *m)
{
	struct nm_node	*was;
	struct nm_patch	*p;
	uint32_t	 i;

	for (i = 0; i < m->m_nchanged; i++) {
		was = netmap_peer(nm, m->m_changed[i]->n_id);
		p = &m->m_patches[m->m_npatches];
		if (was == NULL ||
		    nm_patch_diff(was, m->m_changed[i], p) == -1)
			continue;
		m->m_npatches++;
		nm_node_free(m->m_changed[i]);
		m->m_changed[i] = NULL;
	}
	for (i = 0; i < m->m_npatches; i++) {
		p = &m->m_patches[i];
		was = netmap_peer(nm, p->pp_id);
		if (was != NULL && nm_patch_stale(p, was))
			p->pp_what = 0;
	}
}

static void
apply_deltas(struct netmap *nm, struct nm_msg *m, const struct ju_time *now,
    struct nm_delta *d)
{
	struct nm_node	*n;
	uint32_t	 i;

	for (i = 0; i < m->m_nremoved; i++)
		if ((n = netmap_peer(nm, m->m_removed[i])) != NULL)
			peer_remove(nm, n, d);
	for (i = 0; i < m->m_nchanged; i++) {
		if (m->m_changed[i] == NULL)
			continue;
		peer_put(nm, m->m_changed[i], d);
		m->m_changed[i] = NULL;
	}
	for (i = 0; i < m->m_nseen; i++) {
		if ((n = netmap_peer(nm, m->m_seen[i].s_id)) == NULL)
			continue;
		if (m->m_seen[i].s_value)
			n->n_lastseen = *now;
		else
			memset(&n->n_lastseen, 0, sizeof(n->n_lastseen));
		delta_changed(d, n->n_id, NM_PC_OTHER);
	}
	for (i = 0; i < m->m_nonline; i++) {
		if ((n = netmap_peer(nm, m->m_online[i].s_id)) == NULL)
			continue;
		n->n_online = m->m_online[i].s_value;
		delta_changed(d, n->n_id, NM_PC_ONLINE);
	}
	for (i = 0; i < m->m_npatches; i++)
		if ((n = netmap_peer(nm, m->m_patches[i].pp_id)) != NULL)
			delta_changed(d, n->n_id,
			    nm_patch_apply(&m->m_patches[i], n));
}

static void
apply_profiles(struct netmap *nm, struct nm_msg *m, struct nm_delta *d)
{
	struct nm_profile	*old;
	uint32_t		 i;

	for (i = 0; i < m->m_nprofiles; i++) {
		old = netmap_profile(nm, m->m_profiles[i]->p_id);
		if (old != NULL) {
			RB_REMOVE(nm_profiles, &nm->nm_profiles, old);
			nm_profile_free(old);
			nm->nm_nprofiles--;
		}
		RB_INSERT(nm_profiles, &nm->nm_profiles, m->m_profiles[i]);
		nm->nm_nprofiles++;
		m->m_profiles[i] = NULL;
		d->nd_flags |= NM_CH_PROFILES;
	}
}

static void
apply_chunk(struct netmap *nm, struct nm_newchunk *nc)
{
	struct nm_chunk	 key, *old;

	key.c_name = nc->nc_name;
	if ((old = RB_FIND(nm_chunks, &nm->nm_chunks, &key)) != NULL) {
		RB_REMOVE(nm_chunks, &nm->nm_chunks, old);
		nm_chunk_free(old);
	}
	if (nc->nc_chunk != NULL)
		RB_INSERT(nm_chunks, &nm->nm_chunks, nc->nc_chunk);
	nc->nc_chunk = NULL;
}

/* "base" of the older field is set before "*" clears, as upstream does. */
static void
apply_filters(struct netmap *nm, struct nm_msg *m, struct nm_delta *d)
{
	uint32_t	 i;

	if (!m->m_filter)
		return;
	if (m->m_clearfilter)
		chunks_clear(nm);
	for (i = 0; i < m->m_nchunks; i++)
		if (!m->m_chunks[i].nc_old || !m->m_clearfilter)
			apply_chunk(nm, &m->m_chunks[i]);
	d->nd_flags |= NM_CH_FILTER;
}

static void
replace_json(json_t **to, json_t **from, struct nm_delta *d, uint32_t flag)
{
	if (*from == NULL)
		return;
	if (*to == NULL || !json_equal(*to, *from))
		d->nd_flags |= flag;
	json_decref(*to);
	*to = *from;
	*from = NULL;
}

static void
replace_str(char **to, char **from, struct nm_delta *d)
{
	if (*from == NULL || **from == '\0')
		return;
	if (*to == NULL || strcmp(*to, *from) != 0)
		d->nd_flags |= NM_CH_MISC;
	free(*to);
	*to = *from;
	*from = NULL;
}

static void
apply_rest(struct netmap *nm, struct nm_msg *m, struct nm_delta *d)
{
	if (m->m_self != NULL) {
		if (nm->nm_self == NULL ||
		    nm_node_diff(nm->nm_self, m->m_self) != 0)
			d->nd_flags |= NM_CH_SELF;
		nm_node_free(nm->nm_self);
		nm->nm_self = m->m_self;
		m->m_self = NULL;
	}
	apply_profiles(nm, m, d);
	apply_filters(nm, m, d);
	replace_json(&nm->nm_derp, &m->m_derp, d, NM_CH_DERP);
	replace_json(&nm->nm_dns, &m->m_dns, d, NM_CH_DNS);
	replace_json(&nm->nm_ssh, &m->m_ssh, d, NM_CH_SSH);
	replace_json(&nm->nm_health, &m->m_health, d, NM_CH_MISC);
	replace_json(&nm->nm_messages, &m->m_messages, d, NM_CH_MISC);
	replace_json(&nm->nm_tka, &m->m_tka, d, NM_CH_MISC);
	replace_str(&nm->nm_domain, &m->m_domain, d);
	replace_str(&nm->nm_auditid, &m->m_auditid, d);
	if (m->m_collect != NM_UNKNOWN && m->m_collect != nm->nm_collect) {
		nm->nm_collect = m->m_collect;
		d->nd_flags |= NM_CH_MISC;
	}
}

/* Display names depend on self's name, that of this message if it has one. */
static int
name_nodes(struct netmap *nm, struct nm_msg *m)
{
	struct netmap	 with;
	char		 suffix[NM_MAX_NAME];
	uint32_t	 i;

	with.nm_self = m->m_self != NULL ? m->m_self : nm->nm_self;
	netmap_suffix(&with, suffix, sizeof(suffix));
	if (m->m_self != NULL && nm_node_names(m->m_self, suffix) == -1)
		return -1;
	for (i = 0; i < m->m_npeers; i++)
		if (nm_node_names(m->m_peers[i], suffix) == -1)
			return -1;
	for (i = 0; i < m->m_nchanged; i++)
		if (nm_node_names(m->m_changed[i], suffix) == -1)
			return -1;
	return 0;
}

/* All that can fail, before anything changes; *keep is the caller's. */
static int
prepare(struct netmap *nm, struct nm_msg *m, struct nm_delta *d,
    int64_t **keep)
{
	size_t	 changed, removed;

	if (m->m_npeers > 0) {
		changed = m->m_npeers;
		removed = nm->nm_npeers;
	} else {
		changed = (size_t)m->m_nchanged + m->m_nseen + m->m_nonline +
		    m->m_npatches;
		removed = m->m_nremoved;
		if (nm->nm_npeers + m->m_nchanged > NM_MAX_PEERS) {
			m->m_error = "too many peers";
			errno = E2BIG;
			return -1;
		}
	}
	if (nm->nm_nprofiles + m->m_nprofiles > 2 * NM_MAX_PROFILES) {
		m->m_error = "too many user profiles";
		errno = E2BIG;
		return -1;
	}
	*keep = calloc((size_t)m->m_npeers + 1, sizeof(**keep));
	if (*keep == NULL || delta_alloc(d, changed, removed) == -1 ||
	    name_nodes(nm, m) == -1 ||
	    nm_merge_derp(nm->nm_derp, &m->m_derp) == -1 ||
	    nm_merge_messages(nm->nm_messages, &m->m_messages) == -1) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

static int
apply(struct netmap *nm, struct nm_msg *m, const struct ju_time *now,
    struct nm_delta *d)
{
	int64_t	*keep;

	keep = NULL;
	if (nm->nm_self == NULL && m->m_self == NULL) {
		m->m_error = "first map response lacks Node";
		errno = EINVAL;
		return -1;
	}
	if (prepare(nm, m, d, &keep) == -1) {
		free(keep);
		return -1;
	}
	if (m->m_npeers > 0)
		apply_peers(nm, m, keep, d);
	else {
		prepare_patches(nm, m);
		apply_deltas(nm, m, now, d);
	}
	apply_rest(nm, m, d);
	delta_finish(nm, d);
	free(keep);
	return 0;
}

int
netmap_apply(struct netmap *nm, const void *text, size_t len,
    const struct ju_time *now, struct nm_delta *d, struct nm_effects *fx)
{
	struct nm_msg	 m;
	json_t		*j;
	int		 ret, save;

	memset(d, 0, sizeof(*d));
	memset(fx, 0, sizeof(*fx));
	memset(&m, 0, sizeof(m));
	if ((j = ju_load(text, len)) == NULL) {
		fx->ms_error = errno == E2BIG ? "nested too deep, "
		    "or too long" : "not JSON";
		return -1;
	}
	errno = 0;
	if ((ret = nm_msg_parse(j, &m, fx)) == -1 && errno != ENOMEM)
		errno = EINVAL;
	json_decref(j);
	if (ret == 0 && !fx->ms_keepalive)
		ret = apply(nm, &m, now, d);
	save = errno;
	fx->ms_error = m.m_error;
	nm_msg_free(&m);
	errno = save;
	return ret;
}

/* Flags for what two maps differ in besides the peers. */
static uint32_t
diff_rest(struct netmap *a, struct netmap *b)
{
	struct nm_chunk	*x, *y;
	uint32_t	 flags;

	flags = NM_CH_PROFILES | NM_CH_MISC;
	if (a->nm_self == NULL || b->nm_self == NULL ||
	    nm_node_diff(a->nm_self, b->nm_self) != 0)
		flags |= NM_CH_SELF;
	if (a->nm_derp == NULL || !json_equal(a->nm_derp, b->nm_derp))
		flags |= NM_CH_DERP;
	if (a->nm_dns == NULL || !json_equal(a->nm_dns, b->nm_dns))
		flags |= NM_CH_DNS;
	if (a->nm_ssh == NULL || !json_equal(a->nm_ssh, b->nm_ssh))
		flags |= NM_CH_SSH;
	x = RB_MIN(nm_chunks, &a->nm_chunks);
	y = RB_MIN(nm_chunks, &b->nm_chunks);
	while (x != NULL && y != NULL && strcmp(x->c_name, y->c_name) == 0 &&
	    json_equal(x->c_json, y->c_json)) {
		x = RB_NEXT(nm_chunks, &a->nm_chunks, x);
		y = RB_NEXT(nm_chunks, &b->nm_chunks, y);
	}
	if (x != NULL || y != NULL)
		flags |= NM_CH_FILTER;
	return flags;
}

int
netmap_diff(struct netmap *from, struct netmap *to, struct nm_delta *d)
{
	struct nm_node	*a, *b;

	memset(d, 0, sizeof(*d));
	if (delta_alloc(d, to->nm_npeers, from->nm_npeers) == -1)
		return -1;
	d->nd_flags = diff_rest(from, to);
	a = RB_MIN(nm_tree, &from->nm_peers);
	b = RB_MIN(nm_tree, &to->nm_peers);
	while (a != NULL || b != NULL) {
		if (b == NULL || (a != NULL && a->n_id < b->n_id)) {
			delta_removed(d, a);
			a = RB_NEXT(nm_tree, &from->nm_peers, a);
		} else if (a == NULL || b->n_id < a->n_id) {
			delta_changed(d, b->n_id, NM_PC_NEW);
			b = RB_NEXT(nm_tree, &to->nm_peers, b);
		} else {
			delta_changed(d, b->n_id, nm_node_diff(a, b));
			b->n_mark = a->n_mark;
			a = RB_NEXT(nm_tree, &from->nm_peers, a);
			b = RB_NEXT(nm_tree, &to->nm_peers, b);
		}
	}
	return 0;
}
