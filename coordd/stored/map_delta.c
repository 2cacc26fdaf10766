/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Changes on their way to those who may see them.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stored.h"

/*
 * A change marks its node. A few milliseconds later all that changed is
 * spread: each viewer that knows the node notes its slot. Then the viewers
 * are served one after the other, while the sink takes it; what piles up for
 * one of them in the meantime becomes one message.
 */

#define FLUSH_DELAY	(5 * MSEC)
#define PEND_FLAGS	(CH_FULL | CH_PATCH)

struct delta {
	uint64_t	*d_row;		/* who is visible now */
	uint64_t	*d_full;	/* slots to send whole */
	uint64_t	*d_gone;	/* slots to take back */
	size_t		 d_words;
};

void
map_wake(struct brain *b)
{
	int64_t	 at;

	if (b->b_flush_at != 0)
		return;
	at = b->b_now + FLUSH_DELAY;
	if (b->b_flushed != 0 && at < b->b_flushed + b->b_flush_gap)
		at = b->b_flushed + b->b_flush_gap;
	b->b_flush_at = at;
}

static int
bit_get(const uint64_t *row, size_t words, size_t slot)
{
	return slot / 64 < words && (row[slot / 64] >> (slot % 64) & 1);
}

static int
pend_cmp(const void *va, const void *vb)
{
	uint32_t	 a, b;

	memcpy(&a, va, sizeof(a));
	memcpy(&b, vb, sizeof(b));
	return a < b ? -1 : a > b;
}

/* Sort by slot and make one of what is about the same node. */
static void
pend_merge(struct viewer *v)
{
	size_t	 i, k = 0;

	if (v->v_npend == 0)
		return;
	qsort(v->v_pend, v->v_npend, sizeof(*v->v_pend), pend_cmp);
	for (i = 1; i < v->v_npend; i++) {
		if (v->v_pend[i] >> 8 == v->v_pend[k] >> 8)
			v->v_pend[k] |= v->v_pend[i];
		else
			v->v_pend[++k] = v->v_pend[i];
	}
	v->v_npend = k + 1;
}

static void
pend_add(struct brain *b, struct viewer *v, size_t slot, unsigned int ch)
{
	if (v->v_flags & V_FULL)
		return;		/* it will see it as it is then */
	if (v->v_npend == v->v_pendcap && v->v_npend > b->b_nslots)
		pend_merge(v);
	if (v->v_npend == v->v_pendcap) {
		v->v_pendcap = v->v_pendcap == 0 ? 8 : v->v_pendcap * 2;
		v->v_pend = reallocarray(v->v_pend, v->v_pendcap,
		    sizeof(*v->v_pend));
		if (v->v_pend == NULL)
			fatal(NULL);
	}
	v->v_pend[v->v_npend++] = (uint32_t)(slot << 8) | ch;
	viewer_queue(b, v, 0);
}

/* Those who saw the node, see it now, or are it: look again. */
static void
spread_policy(struct brain *b, struct node *n)
{
	struct viewer	*v;

	policy_row(b, n, b->b_row);
	RB_FOREACH(v, viewers, &b->b_viewers) {
		if (v->v_node == n)
			viewer_queue(b, v, V_RESYNC | V_ROUTES);
		else if (bit_get(v->v_sent, v->v_words, n->n_slot) ||
		    bit_get(b->b_row, b->b_words, v->v_node->n_slot))
			viewer_queue(b, v, V_RESYNC);
	}
}

/*
 * To those who see it; and to those who knew it and have not been told yet
 * that they see it no more: it may come back before they are.
 */
static void
spread_node(struct brain *b, struct node *n, unsigned int ch)
{
	struct viewer	*v;
	uint64_t	 w;
	size_t		 i, slot;

	policy_row(b, n, b->b_row);
	for (i = 0; i < b->b_words; i++)
		for (w = b->b_row[i]; w != 0; w &= w - 1) {
			slot = i * 64 + (size_t)__builtin_ctzll(w);
			if ((v = b->b_slots[slot]->n_viewer) != NULL)
				pend_add(b, v, n->n_slot, ch);
		}
	TAILQ_FOREACH(v, &b->b_work, v_work)
		if ((v->v_flags & V_RESYNC) &&
		    bit_get(v->v_sent, v->v_words, n->n_slot) &&
		    !bit_get(b->b_row, b->b_words, v->v_node->n_slot))
			pend_add(b, v, n->n_slot, ch);
}

/* First who has to look again, for what follows asks for that. */
static void
spread(struct brain *b)
{
	struct node	*n;
	unsigned int	 ch;

	policy_refresh(b);
	if (b->b_pall)
		viewer_queue_all(b, V_RESYNC | V_ROUTES |
		    (b->b_pself ? V_SELF : 0));
	b->b_pall = b->b_pself = 0;
	TAILQ_FOREACH(n, &b->b_changed, n_change)
		if (n->n_changes & CH_POLICY)
			spread_policy(b, n);
	while ((n = TAILQ_FIRST(&b->b_changed)) != NULL) {
		ch = n->n_changes;
		n->n_changes = 0;
		TAILQ_REMOVE(&b->b_changed, n, n_change);
		if ((ch & CH_SELF) && n->n_viewer != NULL)
			viewer_queue(b, n->n_viewer, V_SELF);
		if (ch & PEND_FLAGS)
			spread_node(b, n, ch & PEND_FLAGS);
	}
}

static void
send_full(struct brain *b, struct viewer *v)
{
	struct buf	 t = { NULL, 0, 0 };

	viewer_grow(v, b->b_words);
	policy_row(b, v->v_node, v->v_sent);
	map_full(b, &t, v->v_node, v->v_version, v->v_sent, b->b_words,
	    v->v_filter);
	v->v_npend = v->v_nremoved = 0;
	b->b_nsent++;
	b->b_sink->s_answer(b->b_sinkarg, &v->v_rpc, 200, RPC_T_MAP,
	    t.b_text, t.b_len, RPC_F_MSGEND);
	buf_free(&t);
}

/* Compare who is visible with who was sent. */
static void
delta_resync(struct brain *b, struct viewer *v, struct delta *d, int routes)
{
	const struct node	*n;
	uint64_t		 both, w;
	size_t			 i, slot;

	policy_row(b, v->v_node, d->d_row);
	for (i = 0; i < d->d_words; i++) {
		both = d->d_row[i] & v->v_sent[i];
		d->d_full[i] |= d->d_row[i] & ~v->v_sent[i];
		d->d_gone[i] |= v->v_sent[i] & ~d->d_row[i];
		v->v_sent[i] = d->d_row[i];
		if (!routes)
			continue;
		for (w = both; w != 0; w &= w - 1) {
			slot = i * 64 + (size_t)__builtin_ctzll(w);
			n = b->b_slots[slot];
			if (n->n_rec.r_napproved > 0)
				d->d_full[i] |= 1ULL << (slot % 64);
		}
	}
}

static void
delta_removed(struct brain *b, struct viewer *v, struct delta *d,
    struct buf *t)
{
	uint64_t	 w;
	size_t		 i;
	int		 n = 0;

	for (i = 0; i < v->v_nremoved; i++)
		buf_fmt(t, "%s%llu", n++ == 0 ? ",\"PeersRemoved\":[" : ",",
		    (unsigned long long)v->v_removed[i]);
	v->v_nremoved = 0;
	for (i = 0; i < d->d_words; i++)
		for (w = d->d_gone[i]; w != 0; w &= w - 1)
			buf_fmt(t, "%s%llu",
			    n++ == 0 ? ",\"PeersRemoved\":[" : ",",
			    (unsigned long long)b->b_slots[i * 64 +
			    (size_t)__builtin_ctzll(w)]->n_rec.r_id);
	if (n > 0)
		buf_str(t, "]");
}

static void
delta_changed(struct brain *b, struct viewer *v, struct delta *d,
    struct buf *t)
{
	uint64_t	 w;
	size_t		 i, slot;
	int		 n = 0;

	for (i = 0; i < d->d_words; i++)
		for (w = d->d_full[i]; w != 0; w &= w - 1) {
			slot = i * 64 + (size_t)__builtin_ctzll(w);
			buf_str(t, n++ == 0 ? ",\"PeersChanged\":[" : ",");
			map_node_peer(b, t, b->b_slots[slot], v->v_node,
			    v->v_version);
		}
	if (n > 0)
		buf_str(t, "]");
	if (n == 0 && !(v->v_flags & V_SELF))
		return;
	buf_str(t, ",\"UserProfiles\":");
	map_profiles(b, t, v->v_flags & V_SELF ? v->v_node : NULL,
	    d->d_full, d->d_words);
}

/* Patches for who is known already and does not come whole. */
static void
delta_patches(struct brain *b, struct viewer *v, struct delta *d,
    struct buf *t)
{
	struct node	*n;
	size_t		 i, slot;
	int		 k = 0;

	for (i = 0; i < v->v_npend; i++) {
		slot = v->v_pend[i] >> 8;
		n = b->b_slots[slot];
		if (n == NULL || bit_get(d->d_full, d->d_words, slot) ||
		    !bit_get(v->v_sent, v->v_words, slot))
			continue;
		buf_str(t, k++ == 0 ? ",\"PeersChangedPatch\":[" : ",");
		map_node_patch(t, n, v->v_pend[i] & 0xff);
	}
	if (k > 0)
		buf_str(t, "]");
}

static void
delta_peers(struct brain *b, struct viewer *v, struct buf *t)
{
	struct delta	 d;
	size_t		 i, slot;

	viewer_grow(v, b->b_words);
	d.d_words = b->b_words;
	d.d_row = xcalloc(d.d_words + 1, 3 * sizeof(*d.d_row));
	d.d_full = d.d_row + d.d_words;
	d.d_gone = d.d_full + d.d_words;
	if (v->v_flags & V_RESYNC)
		delta_resync(b, v, &d, v->v_flags & V_ROUTES);
	pend_merge(v);
	for (i = 0; i < v->v_npend; i++) {
		slot = v->v_pend[i] >> 8;
		if ((v->v_pend[i] & CH_FULL) && b->b_slots[slot] != NULL &&
		    bit_get(v->v_sent, v->v_words, slot))
			d.d_full[slot / 64] |= 1ULL << (slot % 64);
	}
	delta_removed(b, v, &d, t);
	delta_changed(b, v, &d, t);
	delta_patches(b, v, &d, t);
	v->v_npend = 0;
	free(d.d_row);
}

static void
delta_filter(struct brain *b, struct viewer *v, struct buf *t)
{
	uint8_t	 hash[16];
	char	*text;

	text = map_filter(b, v->v_node, hash);
	if (memcmp(hash, v->v_filter, sizeof(hash)) != 0) {
		memcpy(v->v_filter, hash, sizeof(hash));
		map_add_filter(t, v->v_version, text);
	}
	free(text);
}

/*
 * Only what changed: fields that are merely repeated make clients rebuild
 * all they have. Source: control.md 4.4.
 */
static void
send_delta(struct brain *b, struct viewer *v)
{
	struct buf	 t = { NULL, 0, 0 };

	/* A comma in front of each member; the first becomes the brace. */
	if (v->v_flags & V_SELF) {
		buf_str(&t, ",\"Node\":");
		map_node_self(b, &t, v->v_node, v->v_version);
	}
	if (v->v_flags & V_DERP) {
		buf_str(&t, ",\"DERPMap\":");
		map_derp(b, &t, v->v_version);
	}
	if (v->v_flags & V_DNS) {
		buf_str(&t, ",\"Domain\":");
		buf_json(&t, b->b_conf.c_domain);
		buf_str(&t, ",\"DNSConfig\":");
		map_dns(b, &t, v->v_node);
	}
	delta_peers(b, v, &t);
	if (v->v_flags & V_RESYNC)
		delta_filter(b, v, &t);
	if (t.b_len > 0) {
		t.b_text[0] = '{';
		buf_str(&t, "}");
		b->b_nsent++;
		b->b_sink->s_answer(b->b_sinkarg, &v->v_rpc, 200, RPC_T_MAP,
		    t.b_text, t.b_len, RPC_F_MSGEND);
	}
	buf_free(&t);
}

void
map_flush(struct brain *b)
{
	struct viewer	*v;

	spread(b);
	while ((v = TAILQ_FIRST(&b->b_work)) != NULL &&
	    b->b_sink->s_ready(b->b_sinkarg)) {
		TAILQ_REMOVE(&b->b_work, v, v_work);
		if (v->v_flags & V_FULL)
			send_full(b, v);
		else
			send_delta(b, v);
		v->v_flags = 0;
	}
	node_compact(b);
}

static void
viewer_removed(struct viewer *v, uint64_t id)
{
	v->v_removed = reallocarray(v->v_removed, v->v_nremoved + 1,
	    sizeof(*v->v_removed));
	if (v->v_removed == NULL)
		fatal(NULL);
	v->v_removed[v->v_nremoved++] = id;
}

void
map_forget(struct brain *b, struct node *n)
{
	struct viewer	*v;
	size_t		 w = n->n_slot / 64;

	if ((v = n->n_viewer) != NULL) {
		brain_answer(b, &v->v_rpc, 200, RPC_T_MAP, "");
		viewer_close(b, v, 1);
	}
	RB_FOREACH(v, viewers, &b->b_viewers) {
		if (!bit_get(v->v_sent, v->v_words, n->n_slot))
			continue;
		v->v_sent[w] &= ~(1ULL << (n->n_slot % 64));
		viewer_removed(v, n->n_rec.r_id);
		viewer_queue(b, v, V_RESYNC);
	}
}
