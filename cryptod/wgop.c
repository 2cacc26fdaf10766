/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * WireGuard handshakes: the node key's part, and the rules that bound what a
 * netd in wrong hands could make of it.  Source: dataplane.md 1.2 and 1.9.
 *
 * A peer has one handshake under way at most: a new initiation of ours, or
 * one of the peer's that is accepted, ends the one before, and a response to
 * that one is stale from then on.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cryptod.h"
#include "dh.h"
#include "keys.h"
#include "rate.h"
#include "wg.h"

#define NSEC_PER_MSEC	1000000LL
#define NSEC_PER_SEC	1000000000LL
#define SLOT_AGE	(180 * NSEC_PER_SEC)

/*
 * Initiations of all peers, and our own to all: apart, so that a flood of
 * strangers cannot keep us from reaching anybody. Then our own to one peer,
 * and responses to one of them. Initiations of peers are as many as a relay
 * of a whole tailnet may see when it comes back.
 */
#define IN_GAP		(NSEC_PER_SEC / 20000)
#define OUT_GAP		(NSEC_PER_SEC / 1000)
#define OPS_BURST	4000
#define PEER_GAP	NSEC_PER_SEC
#define PEER_BURST	5
#define RESP_GAP	(NSEC_PER_SEC / 20)
#define RESP_BURST	64

struct peer;

/* In secret memory. */
struct slot {
	struct wg_handshake	 s_hs;
	RB_ENTRY(slot)		 s_entry;	/* while in use */
	TAILQ_ENTRY(slot)	 s_list;	/* by age, or free */
	struct peer		*s_peer;
	struct rate		 s_rate;	/* of responses */
	int64_t			 s_made;
	uint32_t		 s_index;
};
RB_HEAD(slots, slot);
TAILQ_HEAD(slot_list, slot);

struct peer {
	RB_ENTRY(peer)		 p_bykey;
	RB_ENTRY(peer)		 p_byid;	/* unless gone */
	TAILQ_ENTRY(peer)	 p_list;	/* if gone */
	struct slot		*p_slot;	/* own initiation under way */
	struct shared		*p_shared;	/* kept, or NULL */
	struct rate		 p_rate;
	int64_t			 p_accepted;	/* when, 0: never */
	uint64_t		 p_id;
	uint8_t			 p_key[WG_KEY_LEN];
	uint8_t			 p_stamp[WG_TIMESTAMP_LEN]; /* accepted */
	uint8_t			 p_sent[WG_TIMESTAMP_LEN];
	uint8_t			 p_gone;	/* kept for p_stamp alone */
};
RB_HEAD(peers_bykey, peer);
RB_HEAD(peers_byid, peer);
TAILQ_HEAD(peer_list, peer);

/*
 * What the node key and that of a peer make, of peers that have proven
 * theirs: the next initiation of one of them is a multiplication cheaper.
 */
struct shared {
	struct peer		*sh_peer;	/* NULL: free */
	uint8_t			 sh_key[WG_KEY_LEN];
};

/* An initiation of a batch that is being answered. */
struct answer {
	struct wg_handshake	 an_hs;
	struct wg_answer	 an_wa;
	struct wg_session	 an_ws;
	struct peer		*an_peer;
	uint8_t			 an_es[WG_KEY_LEN];
	uint8_t			 an_stamp[WG_TIMESTAMP_LEN];
};

/* The private key, where the slots are too. */
struct secret {
	uint8_t		 se_private[WG_KEY_LEN];
	struct slot	 se_slot[WGOP_SLOTS];
	struct shared	 se_shared[WGOP_SHARED];
	struct answer	 se_answer[WGOP_BATCH];
};
struct wgop {
	struct secret		*w_secret;
	struct slots		 w_slots;
	struct slot_list	 w_used;	/* oldest first */
	struct slot_list	 w_free;
	struct peers_bykey	 w_bykey;
	struct peers_byid	 w_byid;
	struct peer_list	 w_gone;	/* oldest first */
	struct rate		 w_in;
	struct rate		 w_out;
	struct wgop_stats	 w_stats;
	size_t			 w_hand;	/* the next shared key to go */
	int64_t			 w_offset;	/* os_now() to the date */
	uint8_t			 w_public[WG_KEY_LEN];
	int			 w_haskey;
};

static int
slot_cmp(struct slot *a, struct slot *b)
{
	return a->s_index < b->s_index ? -1 : a->s_index > b->s_index;
}

static int
peer_cmp_key(struct peer *a, struct peer *b)
{
	return memcmp(a->p_key, b->p_key, WG_KEY_LEN);
}

static int
peer_cmp_id(struct peer *a, struct peer *b)
{
	return a->p_id < b->p_id ? -1 : a->p_id > b->p_id;
}

RB_PROTOTYPE(slots, slot, s_entry, slot_cmp)
RB_PROTOTYPE(peers_bykey, peer, p_bykey, peer_cmp_key)
RB_PROTOTYPE(peers_byid, peer, p_byid, peer_cmp_id)
RB_GENERATE(slots, slot, s_entry, slot_cmp)
RB_GENERATE(peers_bykey, peer, p_bykey, peer_cmp_key)
RB_GENERATE(peers_byid, peer, p_byid, peer_cmp_id)

size_t
wgop_secret_size(void)
{
	return sizeof(struct secret);
}

struct wgop *
wgop_new(void *mem, int64_t offset)
{
	struct wgop	*w;
	unsigned int	 i;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		return NULL;
	w->w_secret = mem;
	memset(w->w_secret, 0, sizeof(*w->w_secret));
	RB_INIT(&w->w_slots);
	RB_INIT(&w->w_bykey);
	RB_INIT(&w->w_byid);
	TAILQ_INIT(&w->w_used);
	TAILQ_INIT(&w->w_free);
	TAILQ_INIT(&w->w_gone);
	for (i = 0; i < WGOP_SLOTS; i++)
		TAILQ_INSERT_TAIL(&w->w_free, &w->w_secret->se_slot[i],
		    s_list);
	w->w_in.r_gap = IN_GAP;
	w->w_out.r_gap = OUT_GAP;
	w->w_in.r_burst = w->w_out.r_burst = OPS_BURST;
	w->w_offset = offset;
	return w;
}

/* --- slots --- */

static void
slot_free(struct wgop *w, struct slot *s)
{
	RB_REMOVE(slots, &w->w_slots, s);
	TAILQ_REMOVE(&w->w_used, s, s_list);
	s->s_peer->p_slot = NULL;
	explicit_bzero(s, sizeof(*s));
	TAILQ_INSERT_TAIL(&w->w_free, s, s_list);
	w->w_stats.ws_slots--;
}

static struct slot *
slot_find(struct wgop *w, uint32_t index)
{
	struct slot	 key;

	key.s_index = index;
	return RB_FIND(slots, &w->w_slots, &key);
}

/* The oldest gives way where all are in use. */
static struct slot *
slot_take(struct wgop *w, struct peer *p, uint32_t index, int64_t now)
{
	struct slot	*s;

	if (p->p_slot != NULL)
		slot_free(w, p->p_slot);
	if (TAILQ_EMPTY(&w->w_free))
		slot_free(w, TAILQ_FIRST(&w->w_used));
	s = TAILQ_FIRST(&w->w_free);
	TAILQ_REMOVE(&w->w_free, s, s_list);
	s->s_index = index;
	s->s_peer = p;
	s->s_made = now;
	s->s_rate.r_gap = RESP_GAP;
	s->s_rate.r_burst = RESP_BURST;
	p->p_slot = s;
	RB_INSERT(slots, &w->w_slots, s);
	TAILQ_INSERT_TAIL(&w->w_used, s, s_list);
	w->w_stats.ws_slots++;
	return s;
}

static void
slot_free_all(struct wgop *w)
{
	while (!TAILQ_EMPTY(&w->w_used))
		slot_free(w, TAILQ_FIRST(&w->w_used));
}

static void
slot_expire(struct wgop *w, int64_t now)
{
	struct slot	*s;

	while ((s = TAILQ_FIRST(&w->w_used)) != NULL &&
	    now - s->s_made > SLOT_AGE)
		slot_free(w, s);
}

/* --- shared keys --- */

static void
shared_free(struct shared *sh)
{
	if (sh == NULL || sh->sh_peer == NULL)
		return;
	sh->sh_peer->p_shared = NULL;
	explicit_bzero(sh, sizeof(*sh));
}

static void
shared_free_all(struct wgop *w)
{
	size_t	 i;

	for (i = 0; i < WGOP_SHARED; i++)
		shared_free(&w->w_secret->se_shared[i]);
}

/* The peer has proven itself: one of those kept longest gives way. */
static void
shared_keep(struct wgop *w, struct peer *p, const uint8_t *key)
{
	struct shared	*sh;

	if (p->p_shared != NULL)
		return;
	sh = &w->w_secret->se_shared[w->w_hand];
	w->w_hand = (w->w_hand + 1) % WGOP_SHARED;
	shared_free(sh);
	memcpy(sh->sh_key, key, sizeof(sh->sh_key));
	sh->sh_peer = p;
	p->p_shared = sh;
}

/* --- peers --- */

static struct peer *
peer_find(struct wgop *w, uint64_t id)
{
	struct peer	 key;

	key.p_id = id;
	return RB_FIND(peers_byid, &w->w_byid, &key);
}

static struct peer *
peer_find_key(struct wgop *w, const uint8_t *k)
{
	struct peer	 key;

	memcpy(key.p_key, k, WG_KEY_LEN);
	return RB_FIND(peers_bykey, &w->w_bykey, &key);
}

static void
peer_free(struct wgop *w, struct peer *p)
{
	TAILQ_REMOVE(&w->w_gone, p, p_list);
	RB_REMOVE(peers_bykey, &w->w_bykey, p);
	w->w_stats.ws_gone--;
	free(p);
}

/*
 * Forget a peer, but not the greatest timestamp that it sent: who removes
 * and adds it must not open the way for an old initiation.
 */
static void
peer_remove(struct wgop *w, struct peer *p)
{
	if (p->p_slot != NULL)
		slot_free(w, p->p_slot);
	shared_free(p->p_shared);
	RB_REMOVE(peers_byid, &w->w_byid, p);
	p->p_gone = 1;
	TAILQ_INSERT_TAIL(&w->w_gone, p, p_list);
	w->w_stats.ws_peers--;
	if (++w->w_stats.ws_gone > WGOP_GONE)
		peer_free(w, TAILQ_FIRST(&w->w_gone));
}

static struct peer *
peer_new(struct wgop *w, const uint8_t *key)
{
	struct peer	*p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	memcpy(p->p_key, key, WG_KEY_LEN);
	p->p_rate.r_gap = PEER_GAP;
	p->p_rate.r_burst = PEER_BURST;
	p->p_gone = 1;
	RB_INSERT(peers_bykey, &w->w_bykey, p);
	TAILQ_INSERT_TAIL(&w->w_gone, p, p_list);
	w->w_stats.ws_gone++;
	return p;
}

/* Make a known key a peer of that id. */
static void
peer_add(struct wgop *w, struct peer *p, uint64_t id)
{
	TAILQ_REMOVE(&w->w_gone, p, p_list);
	p->p_gone = 0;
	p->p_id = id;
	RB_INSERT(peers_byid, &w->w_byid, p);
	w->w_stats.ws_gone--;
	w->w_stats.ws_peers++;
}

uint32_t
wgop_peer(struct wgop *w, const struct msg_wg_peer *mp)
{
	struct peer	*old, *p;

	old = peer_find(w, mp->peer);
	if (mp->remove) {
		if (old != NULL)
			peer_remove(w, old);
		return MSG_OK;
	}
	if (key_is_zero(mp->key, WG_KEY_LEN))
		return MSG_E_BAD;
	p = peer_find_key(w, mp->key);
	if (old != NULL && old != p)
		peer_remove(w, old);
	if (p != NULL && !p->p_gone && p->p_id != mp->peer)
		peer_remove(w, p);	/* the key has another owner now */
	if (w->w_stats.ws_peers >= WGOP_PEERS)
		return MSG_E_RATE;
	/* What was removed above may have been the last one remembered. */
	if ((p = peer_find_key(w, mp->key)) == NULL &&
	    (p = peer_new(w, mp->key)) == NULL)
		return MSG_E_RATE;
	if (p->p_gone)
		peer_add(w, p, mp->peer);
	if (memcmp(mp->stamp, p->p_stamp, WG_TIMESTAMP_LEN) > 0)
		memcpy(p->p_stamp, mp->stamp, WG_TIMESTAMP_LEN);
	return MSG_OK;
}

void
wgop_reset(struct wgop *w)
{
	struct peer	*p;

	while ((p = RB_MIN(peers_byid, &w->w_byid)) != NULL)
		peer_remove(w, p);
}

void
wgop_free(struct wgop *w)
{
	if (w == NULL)
		return;
	wgop_reset(w);
	while (!TAILQ_EMPTY(&w->w_gone))
		peer_free(w, TAILQ_FIRST(&w->w_gone));
	explicit_bzero(w->w_secret, sizeof(*w->w_secret));
	free(w);
}

void
wgop_set_key(struct wgop *w, const uint8_t *private, const uint8_t *public)
{
	slot_free_all(w);
	shared_free_all(w);
	w->w_haskey = private != NULL;
	if (private == NULL) {
		explicit_bzero(w->w_secret->se_private, WG_KEY_LEN);
		return;
	}
	memcpy(w->w_secret->se_private, private, WG_KEY_LEN);
	memcpy(w->w_public, public, WG_KEY_LEN);
}

/* --- initiator --- */

/*
 * The time for timestamps: the date, but never behind an earlier one, nor
 * behind where the clock that does not step puts it.
 */
static void
stamp_make(struct wgop *w, struct peer *p, int64_t now, int64_t date)
{
	uint8_t	 ts[WG_TIMESTAMP_LEN];

	if (date - now > w->w_offset)
		w->w_offset = date - now;
	wg_tai64n(now + w->w_offset, ts);
	wg_tai64n_after(p->p_sent, ts);
	memcpy(p->p_sent, ts, sizeof(ts));
}

static uint32_t
initiate(struct wgop *w, int64_t now, int64_t date, const uint8_t *random,
    const struct msg_wg_init_req *req, uint8_t *msg)
{
	struct peer	*p;
	struct slot	*s;

	if (!w->w_haskey)
		return MSG_E_NOKEY;
	if ((p = peer_find(w, req->peer)) == NULL)
		return MSG_E_PEER;
	slot_expire(w, now);
	if ((s = slot_find(w, req->index)) != NULL && s->s_peer != p)
		return MSG_E_BAD;
	if (!rate_take(&p->p_rate, now) || !rate_take(&w->w_out, now))
		return MSG_E_RATE;
	stamp_make(w, p, now, date);
	s = slot_take(w, p, req->index, now);
	if (wg_initiation_create(&s->s_hs, w->w_secret->se_private,
	    w->w_public, p->p_key, random, p->p_sent, req->index, msg) == -1) {
		slot_free(w, s);
		return MSG_E_CRYPTO;
	}
	w->w_stats.ws_initiated++;
	return MSG_OK;
}

void
wgop_initiate(struct wgop *w, int64_t now, int64_t date,
    const uint8_t *random, const struct msg_wg_init_req *req,
    struct msg_wg_init *mi)
{
	memset(mi, 0, sizeof(*mi));
	mi->peer = req->peer;
	mi->index = req->index;
	mi->error = initiate(w, now, date, random, req, mi->msg);
	if (mi->error != MSG_OK)
		w->w_stats.ws_refused++;
}

static uint32_t
respond(struct wgop *w, int64_t now, const struct msg_wg_resp_in *in,
    struct msg_wg_keys *mk)
{
	struct wg_session	 ws;
	struct slot		*s;
	int			 ret;

	if (!w->w_haskey)
		return MSG_E_NOKEY;
	if (wg_classify(in->msg, sizeof(in->msg)) != WG_MSG_RESPONSE)
		return MSG_E_BAD;
	slot_expire(w, now);
	if (wg_receiver(in->msg) != in->index ||
	    (s = slot_find(w, in->index)) == NULL)
		return MSG_E_STALE;
	if (!rate_take(&s->s_rate, now))
		return MSG_E_RATE;
	ret = wg_response_consume(&s->s_hs, w->w_secret->se_private, NULL,
	    in->msg, &ws);
	if (ret == -1)
		return MSG_E_CRYPTO;	/* forged: the true one may come */
	mk->peer = s->s_peer->p_id;
	mk->remote = ws.ws_remote;
	memcpy(mk->send, ws.ws_send, sizeof(mk->send));
	memcpy(mk->recv, ws.ws_recv, sizeof(mk->recv));
	explicit_bzero(&ws, sizeof(ws));
	slot_free(w, s);
	w->w_stats.ws_completed++;
	return MSG_OK;
}

void
wgop_response(struct wgop *w, int64_t now, const struct msg_wg_resp_in *in,
    struct msg_wg_keys *mk)
{
	memset(mk, 0, sizeof(*mk));
	mk->index = in->index;
	mk->error = respond(w, now, in, mk);
	if (mk->error != MSG_OK)
		w->w_stats.ws_refused++;
}

void
wgop_cancel(struct wgop *w, uint32_t index)
{
	struct slot	*s;

	if ((s = slot_find(w, index)) != NULL)
		slot_free(w, s);
}

/* --- responder --- */

/* With the key that is kept, or the one it takes a multiplication to make. */
static uint32_t
sender_verify(struct wgop *w, struct peer *p, const uint8_t *msg,
    struct answer *an)
{
	uint8_t	 ss[WG_KEY_LEN];
	int	 ret;

	if (p->p_shared != NULL)
		memcpy(ss, p->p_shared->sh_key, sizeof(ss));
	else if (key_dh(w->w_secret->se_private, an->an_hs.wh_remote_s,
	    ss) == -1)
		return MSG_E_CRYPTO;
	ret = wg_initiation_verify_ss(&an->an_hs, ss, msg, an->an_stamp);
	if (ret == 0)
		shared_keep(w, p, ss);
	explicit_bzero(ss, sizeof(ss));
	return ret == -1 ? MSG_E_CRYPTO : MSG_OK;
}

/* Up to the point where the initiation is accepted. */
static uint32_t
initiation_check(struct wgop *w, int64_t now, const uint8_t *msg,
    struct answer *an)
{
	struct peer	*p;
	uint32_t	 error;

	if (key_is_zero(an->an_es, sizeof(an->an_es)) ||
	    wg_initiation_open_es(&an->an_hs, an->an_es, w->w_public,
	    msg) == -1)
		return MSG_E_CRYPTO;
	p = peer_find_key(w, an->an_hs.wh_remote_s);
	if (p == NULL || p->p_gone)
		return MSG_E_PEER;
	if ((error = sender_verify(w, p, msg, an)) != MSG_OK)
		return error;
	if (memcmp(an->an_stamp, p->p_stamp, WG_TIMESTAMP_LEN) <= 0)
		return MSG_E_REPLAY;
	if (p->p_accepted != 0 &&
	    now - p->p_accepted < WG_INITIATION_GAP_MS * NSEC_PER_MSEC)
		return MSG_E_RATE;
	memcpy(p->p_stamp, an->an_stamp, sizeof(p->p_stamp));
	p->p_accepted = now;
	if (p->p_slot != NULL)
		slot_free(w, p->p_slot);
	an->an_peer = p;
	return MSG_OK;
}

/* What it takes to look at it at all. */
static uint32_t
initiation_admit(struct wgop *w, int64_t now, const uint8_t *msg)
{
	if (!w->w_haskey)
		return MSG_E_NOKEY;
	if (wg_classify(msg, WG_INITIATION_LEN) != WG_MSG_INITIATION)
		return MSG_E_BAD;
	return rate_take(&w->w_in, now) ? MSG_OK : MSG_E_RATE;
}

static uint32_t
respond_to(struct wgop *w, const struct msg_wg_init_in *in,
    struct answer *an, struct msg_wg_resp *mr)
{
	mr->peer = an->an_peer->p_id;
	mr->remote = an->an_hs.wh_remote;
	memcpy(mr->stamp, an->an_stamp, sizeof(mr->stamp));
	if (wg_response_create_dh(&an->an_hs, &an->an_wa, NULL, in->index,
	    mr->msg, &an->an_ws) == -1)
		return MSG_E_CRYPTO;
	memcpy(mr->send, an->an_ws.ws_send, sizeof(mr->send));
	memcpy(mr->recv, an->an_ws.ws_recv, sizeof(mr->recv));
	w->w_stats.ws_answered++;
	return MSG_OK;
}

/* The first multiplication of all those that are admitted. */
static void
batch_es(struct wgop *w, int64_t now, const struct msg_wg_init_in *in,
    struct msg_wg_resp *mr, struct answer *an, size_t n)
{
	struct dh_job	 dh[WGOP_BATCH];
	size_t		 i, k = 0;

	for (i = 0; i < n; i++) {
		mr[i].error = initiation_admit(w, now, in[i].msg);
		if (mr[i].error != MSG_OK)
			continue;
		dh[k].dj_private = w->w_secret->se_private;
		dh[k].dj_public = wg_ephemeral(in[i].msg);
		dh[k++].dj_shared = an[i].an_es;
	}
	dh_many(dh, k);
}

/* Those are accepted one after the other; what they still need, at once. */
static void
batch_accept(struct wgop *w, int64_t now, const uint8_t (*random)[32],
    const struct msg_wg_init_in *in, struct msg_wg_resp *mr,
    struct answer *an, size_t n)
{
	struct dh_job	 dh[WGOP_BATCH * WG_ANSWER_DH];
	size_t		 i, k = 0;

	for (i = 0; i < n; i++) {
		if (mr[i].error != MSG_OK)
			continue;
		mr[i].error = initiation_check(w, now, in[i].msg, &an[i]);
		if (mr[i].error != MSG_OK)
			continue;
		wg_answer_dh(&an[i].an_wa, &an[i].an_hs, random[i], &dh[k]);
		k += WG_ANSWER_DH;
	}
	dh_many(dh, k);
}

void
wgop_initiations(struct wgop *w, int64_t now, const uint8_t (*random)[32],
    const struct msg_wg_init_in *in, struct msg_wg_resp *mr, size_t n)
{
	struct answer	*an = w->w_secret->se_answer;
	size_t		 i;

	memset(mr, 0, n * sizeof(*mr));
	batch_es(w, now, in, mr, an, n);
	batch_accept(w, now, random, in, mr, an, n);
	for (i = 0; i < n; i++) {
		mr[i].index = in[i].index;
		if (mr[i].error == MSG_OK)
			mr[i].error = respond_to(w, &in[i], &an[i], &mr[i]);
		if (mr[i].error == MSG_OK)
			continue;
		memset(mr[i].msg, 0, sizeof(mr[i].msg));
		w->w_stats.ws_refused++;
	}
	explicit_bzero(an, n * sizeof(*an));
}

void
wgop_initiation(struct wgop *w, int64_t now, const uint8_t *random,
    const struct msg_wg_init_in *in, struct msg_wg_resp *mr)
{
	uint8_t	 r[1][WG_KEY_LEN];

	memcpy(r[0], random, sizeof(r[0]));
	wgop_initiations(w, now, r, in, mr, 1);
	explicit_bzero(r, sizeof(r));
}

int64_t
wgop_ahead(const struct wgop *w)
{
	return w->w_offset;
}

void
wgop_stats(const struct wgop *w, struct wgop_stats *ws)
{
	*ws = w->w_stats;
}
