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
#include "keys.h"
#include "rate.h"
#include "wg.h"

#define NSEC_PER_MSEC	1000000LL
#define NSEC_PER_SEC	1000000000LL
#define SLOT_AGE	(180 * NSEC_PER_SEC)

/*
 * Initiations of all peers, and our own to all: apart, so that a flood of
 * strangers cannot keep us from reaching anybody. Then our own to one peer,
 * and responses to one of them.
 */
#define OPS_GAP		(NSEC_PER_SEC / 1000)
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

/* The private key, where the slots are too. */
struct secret {
	uint8_t		 se_private[WG_KEY_LEN];
	struct slot	 se_slot[WGOP_SLOTS];
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
	w->w_in.r_gap = w->w_out.r_gap = OPS_GAP;
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

/* Up to the point where the initiation is accepted; changes nothing. */
static uint32_t
initiation_check(struct wgop *w, int64_t now, const uint8_t *msg,
    struct wg_handshake *wh, uint8_t *ts, struct peer **pp)
{
	struct peer	*p;

	if (wg_initiation_open(wh, w->w_secret->se_private, w->w_public,
	    msg) == -1)
		return MSG_E_CRYPTO;
	p = peer_find_key(w, wh->wh_remote_s);
	if (p == NULL || p->p_gone)
		return MSG_E_PEER;
	if (wg_initiation_verify(wh, w->w_secret->se_private, msg, ts) == -1)
		return MSG_E_CRYPTO;
	if (memcmp(ts, p->p_stamp, WG_TIMESTAMP_LEN) <= 0)
		return MSG_E_REPLAY;
	if (p->p_accepted != 0 &&
	    now - p->p_accepted < WG_INITIATION_GAP_MS * NSEC_PER_MSEC)
		return MSG_E_RATE;
	*pp = p;
	return MSG_OK;
}

static uint32_t
answer(struct wgop *w, int64_t now, const uint8_t *random,
    const struct msg_wg_init_in *in, struct msg_wg_resp *mr)
{
	struct wg_handshake	 wh;
	struct wg_session	 ws;
	struct peer		*p = NULL;
	uint8_t			 ts[WG_TIMESTAMP_LEN];
	uint32_t		 error;

	if (!w->w_haskey)
		return MSG_E_NOKEY;
	if (wg_classify(in->msg, sizeof(in->msg)) != WG_MSG_INITIATION)
		return MSG_E_BAD;
	if (!rate_take(&w->w_in, now))
		return MSG_E_RATE;
	error = initiation_check(w, now, in->msg, &wh, ts, &p);
	if (error != MSG_OK)
		goto done;
	memcpy(p->p_stamp, ts, sizeof(p->p_stamp));
	p->p_accepted = now;
	if (p->p_slot != NULL)
		slot_free(w, p->p_slot);
	mr->peer = p->p_id;
	mr->remote = wh.wh_remote;
	memcpy(mr->stamp, ts, sizeof(mr->stamp));
	if (wg_response_create(&wh, NULL, random, in->index, mr->msg,
	    &ws) == -1) {
		error = MSG_E_CRYPTO;
		goto done;
	}
	memcpy(mr->send, ws.ws_send, sizeof(mr->send));
	memcpy(mr->recv, ws.ws_recv, sizeof(mr->recv));
	explicit_bzero(&ws, sizeof(ws));
	w->w_stats.ws_answered++;
done:
	explicit_bzero(&wh, sizeof(wh));
	return error;
}

void
wgop_initiation(struct wgop *w, int64_t now, const uint8_t *random,
    const struct msg_wg_init_in *in, struct msg_wg_resp *mr)
{
	memset(mr, 0, sizeof(*mr));
	mr->index = in->index;
	mr->error = answer(w, now, random, in, mr);
	if (mr->error == MSG_OK)
		return;
	memset(mr->msg, 0, sizeof(mr->msg));
	w->w_stats.ws_refused++;
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
