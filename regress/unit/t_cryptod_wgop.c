/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The rules of cryptod's WireGuard operations.
 */

/* link: ../../cryptod/wgop.c */

#include <sys/types.h>

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "../../cryptod/cryptod.h"
#include "dh.h"
#include "keys.h"
#include "wg.h"

#define MSEC	1000000LL
#define SEC	1000000000LL
#define DATE	(1700000000LL * SEC)

/* A node: its keys, its handshakes. */
struct node {
	struct wgop	*n_wg;
	void		*n_mem;
	uint64_t	 n_id;
	uint8_t		 n_private[KEY_LEN];
	uint8_t		 n_public[KEY_LEN];
};

static struct node	 a, b, c;
static int64_t		 now = 1000 * SEC;
static int64_t		 date_step;	/* how far the date is off */
static uint32_t		 next_index = 100;
static uint8_t		 last_random;

static const uint8_t *
randomly(void)
{
	static uint8_t	 r[KEY_LEN];

	memset(r, ++last_random, sizeof(r));
	r[0] = last_random + 7;
	return r;
}

static void
node_init_at(struct node *n, uint64_t id, int64_t offset)
{
	n->n_id = id;
	memset(n->n_private, (int)id, KEY_LEN);
	key_clamp(n->n_private);
	key_public(n->n_private, n->n_public);
	free(n->n_mem);
	if ((n->n_mem = malloc(wgop_secret_size())) == NULL ||
	    (n->n_wg = wgop_new(n->n_mem, offset)) == NULL)
		err(1, NULL);
	wgop_set_key(n->n_wg, n->n_private, n->n_public);
}

static void
node_init(struct node *n, uint64_t id)
{
	node_init_at(n, id, DATE);
}

static uint32_t
peer_set(struct node *n, const struct node *p, const uint8_t *stamp,
    int remove)
{
	struct msg_wg_peer	 mp;

	memset(&mp, 0, sizeof(mp));
	mp.peer = p->n_id;
	mp.remove = remove;
	memcpy(mp.key, p->n_public, KEY_LEN);
	if (stamp != NULL)
		memcpy(mp.stamp, stamp, sizeof(mp.stamp));
	return wgop_peer(n->n_wg, &mp);
}

/* Three nodes that know one another, fresh. */
static void
setup(void)
{
	struct node	*all[] = { &a, &b, &c };
	size_t		 i, k;

	for (i = 0; i < 3; i++) {
		wgop_free(all[i]->n_wg);
		node_init(all[i], i + 1);
	}
	for (i = 0; i < 3; i++)
		for (k = 0; k < 3; k++)
			if (i != k && peer_set(all[i], all[k], NULL, 0) !=
			    MSG_OK)
				errx(1, "peer");
	now += 1000 * SEC;
	date_step = 0;
}

static uint32_t
initiate(struct node *n, const struct node *p, struct msg_wg_init *mi)
{
	struct msg_wg_init_req	 req;

	memset(&req, 0, sizeof(req));
	req.peer = p->n_id;
	req.index = next_index++;
	wgop_initiate(n->n_wg, now, now + DATE + date_step, randomly(), &req,
	    mi);
	return mi->error;
}

static uint32_t
answer(struct node *n, const struct msg_wg_init *mi, struct msg_wg_resp *mr)
{
	struct msg_wg_init_in	 in;

	memset(&in, 0, sizeof(in));
	in.index = next_index++;
	memcpy(in.msg, mi->msg, sizeof(in.msg));
	wgop_initiation(n->n_wg, now, randomly(), &in, mr);
	return mr->error;
}

static uint32_t
complete(struct node *n, const struct msg_wg_init *mi,
    const struct msg_wg_resp *mr, struct msg_wg_keys *mk)
{
	struct msg_wg_resp_in	 in;

	memset(&in, 0, sizeof(in));
	in.index = mi->index;
	memcpy(in.msg, mr->msg, sizeof(in.msg));
	wgop_response(n->n_wg, now, &in, mk);
	return mk->error;
}

static void
want(const char *what, uint32_t got, uint32_t error)
{
	if (got != error)
		errx(1, "%s: error %u, not %u", what, got, error);
}

static int
keyless(const uint8_t *key)
{
	return key_is_zero(key, KEY_LEN);
}

static void
test_handshake(void)
{
	struct msg_wg_init	 mi;
	struct msg_wg_resp	 mr;
	struct msg_wg_keys	 mk;

	setup();
	want("initiate", initiate(&a, &b, &mi), MSG_OK);
	want("answer", answer(&b, &mi, &mr), MSG_OK);
	want("complete", complete(&a, &mi, &mr, &mk), MSG_OK);
	if (memcmp(mk.send, mr.recv, KEY_LEN) != 0 ||
	    memcmp(mk.recv, mr.send, KEY_LEN) != 0 || keyless(mk.send) ||
	    keyless(mk.recv))
		errx(1, "keys of the sides differ");
	if (mk.peer != 2 || mr.peer != 1 || mk.remote != mr.index ||
	    mr.remote != mi.index || mk.index != mi.index)
		errx(1, "peers or indexes");
	want("twice", complete(&a, &mi, &mr, &mk), MSG_E_STALE);
	if (!keyless(mk.send) || !keyless(mk.recv))
		errx(1, "keys with an error");
}

/* The same again, and older ones; and what a new netd may not undo. */
static void
test_replay(void)
{
	struct msg_wg_init	 old, mi;
	struct msg_wg_resp	 mr, again;

	setup();
	want("first", initiate(&a, &b, &old), MSG_OK);
	now += SEC;
	want("second", initiate(&a, &b, &mi), MSG_OK);
	want("answer", answer(&b, &mi, &mr), MSG_OK);
	now += SEC;
	want("same", answer(&b, &mi, &again), MSG_E_REPLAY);
	want("older", answer(&b, &old, &again), MSG_E_REPLAY);
	if (!keyless(again.send) || !keyless(again.recv))
		errx(1, "keys with an error");
	want("removed", peer_set(&b, &a, NULL, 1), MSG_OK);
	want("unknown", answer(&b, &mi, &again), MSG_E_PEER);
	want("added", peer_set(&b, &a, NULL, 0), MSG_OK);
	want("after removal", answer(&b, &mi, &again), MSG_E_REPLAY);
	wgop_reset(b.n_wg);
	want("added", peer_set(&b, &a, NULL, 0), MSG_OK);
	want("after reset", answer(&b, &mi, &again), MSG_E_REPLAY);

	/* A replaced cryptod knows it from netd. */
	wgop_free(b.n_wg);
	node_init(&b, 2);
	want("added", peer_set(&b, &a, mr.stamp, 0), MSG_OK);
	want("after a new start", answer(&b, &mi, &again), MSG_E_REPLAY);
	want("a lower stamp", peer_set(&b, &a, NULL, 0), MSG_OK);
	want("after a lower stamp", answer(&b, &mi, &again), MSG_E_REPLAY);
	want("newer", initiate(&a, &b, &mi), MSG_OK);
	want("newer", answer(&b, &mi, &again), MSG_OK);
}

/* 20 ms between accepted ones; what is refused changes nothing. */
static void
test_flood(void)
{
	struct msg_wg_init	 one, two;
	struct msg_wg_resp	 mr;

	setup();
	want("one", initiate(&a, &b, &one), MSG_OK);
	now += 10 * MSEC;
	want("two", initiate(&a, &b, &two), MSG_OK);
	want("one", answer(&b, &one, &mr), MSG_OK);
	now += 19 * MSEC;
	want("too soon", answer(&b, &two, &mr), MSG_E_RATE);
	now += MSEC;
	want("later", answer(&b, &two, &mr), MSG_OK);
}

static void
test_rates(void)
{
	struct msg_wg_init	 mi, bad;
	struct msg_wg_resp	 mr;
	unsigned int		 good = 0, i;

	setup();
	for (i = 0; i < 20; i++)
		good += initiate(&a, &b, &mi) == MSG_OK;
	if (good != 5)
		errx(1, "%u initiations to one peer at once", good);
	want("one peer's excess is not another's", initiate(&a, &c, &mi),
	    MSG_OK);
	now += SEC;
	want("after a second", initiate(&a, &b, &bad), MSG_OK);
	want("no more", initiate(&a, &b, &mi), MSG_E_RATE);

	/* All together, refused ones included. */
	bad.msg[20] ^= 1;
	for (i = 0; i < 6000; i++)
		if (answer(&b, &bad, &mr) == MSG_E_RATE)
			break;
	if (i != 4000)
		errx(1, "%u initiations of strangers at once", i);
	now += 2 * SEC;
	for (i = 0; i < 6000; i++)
		(void)answer(&b, &bad, &mr);
	want("strangers do not hold up our own", initiate(&b, &c, &mi),
	    MSG_OK);
}

/* One under way for each peer: the latest counts. */
static void
test_superseded(void)
{
	struct msg_wg_init	 one, two;
	struct msg_wg_resp	 r1, r2;
	struct msg_wg_keys	 mk;

	setup();
	want("one", initiate(&a, &b, &one), MSG_OK);
	want("one", answer(&b, &one, &r1), MSG_OK);
	now += 5 * SEC;
	want("two", initiate(&a, &b, &two), MSG_OK);
	want("superseded", complete(&a, &one, &r1, &mk), MSG_E_STALE);
	want("two", answer(&b, &two, &r2), MSG_OK);
	want("two", complete(&a, &two, &r2, &mk), MSG_OK);
}

/* An accepted initiation of the peer ends our own. */
static void
test_crossing(void)
{
	struct msg_wg_init	 mine, theirs, again;
	struct msg_wg_resp	 r1, r2;
	struct msg_wg_keys	 mk;

	setup();
	want("mine", initiate(&a, &b, &mine), MSG_OK);
	want("theirs", initiate(&b, &a, &theirs), MSG_OK);
	want("they answer", answer(&b, &mine, &r1), MSG_OK);
	want("I answer", answer(&a, &theirs, &r2), MSG_OK);
	want("mine", complete(&a, &mine, &r1, &mk), MSG_E_STALE);
	want("theirs", complete(&b, &theirs, &r2, &mk), MSG_E_STALE);

	/* A refused one ends nothing. */
	now += 5 * SEC;
	want("again", initiate(&a, &b, &again), MSG_OK);
	want("replayed", answer(&a, &theirs, &r2), MSG_E_REPLAY);
	want("again", answer(&b, &again, &r1), MSG_OK);
	want("again", complete(&a, &again, &r1, &mk), MSG_OK);
}

static void
test_forged(void)
{
	struct msg_wg_init	 mi;
	struct msg_wg_resp	 mr, bad;
	struct msg_wg_keys	 mk;
	size_t			 i;

	setup();
	want("initiate", initiate(&a, &b, &mi), MSG_OK);
	want("answer", answer(&b, &mi, &mr), MSG_OK);
	for (i = 12; i < 60; i++) {	/* ephemeral key and tag */
		bad = mr;
		bad.msg[i] ^= 0x40;
		want("forged", complete(&a, &mi, &bad, &mk), MSG_E_CRYPTO);
	}
	for (i = 0, bad.msg[20] ^= 1; i < 100; i++)
		if (complete(&a, &mi, &bad, &mk) == MSG_E_RATE)
			break;
	if (i == 100)
		errx(1, "forged answers without end");
	now += SEC;
	bad = mr;
	bad.msg[8] ^= 1;
	want("for another index", complete(&a, &mi, &bad, &mk), MSG_E_STALE);
	bad = mr;
	bad.msg[0] = 1;
	want("of another type", complete(&a, &mi, &bad, &mk), MSG_E_BAD);
	want("the true one", complete(&a, &mi, &mr, &mk), MSG_OK);
	wgop_cancel(a.n_wg, mi.index);

	now += SEC;
	want("initiate", initiate(&a, &b, &mi), MSG_OK);
	wgop_cancel(a.n_wg, mi.index);
	want("answer", answer(&b, &mi, &mr), MSG_OK);
	want("cancelled", complete(&a, &mi, &mr, &mk), MSG_E_STALE);
}

static void
test_strangers(void)
{
	struct msg_wg_init	 mi;
	struct msg_wg_resp	 mr;

	setup();
	want("remove", peer_set(&b, &a, NULL, 1), MSG_OK);
	want("initiate", initiate(&a, &b, &mi), MSG_OK);
	want("of no peer", answer(&b, &mi, &mr), MSG_E_PEER);
	want("for another", answer(&c, &mi, &mr), MSG_E_CRYPTO);
	want("to no peer", initiate(&b, &a, &mi), MSG_E_PEER);
	memset(&mi, 0, sizeof(mi));
	want("zeros", answer(&b, &mi, &mr), MSG_E_BAD);
	mi.msg[0] = 1;
	want("zero ephemeral key", answer(&b, &mi, &mr), MSG_E_CRYPTO);
}

/* Another node key: what was under way is over; another key of a peer. */
static void
test_keys(void)
{
	struct msg_wg_init	 mi;
	struct msg_wg_resp	 mr;
	struct msg_wg_keys	 mk;
	struct node		 d;

	setup();
	want("initiate", initiate(&a, &b, &mi), MSG_OK);
	want("answer", answer(&b, &mi, &mr), MSG_OK);
	wgop_set_key(a.n_wg, a.n_private, a.n_public);
	want("new node key", complete(&a, &mi, &mr, &mk), MSG_E_STALE);
	wgop_set_key(a.n_wg, NULL, NULL);
	want("no node key", initiate(&a, &b, &mi), MSG_E_NOKEY);
	want("no node key", answer(&a, &mi, &mr), MSG_E_NOKEY);

	setup();
	memset(&d, 0, sizeof(d));
	node_init(&d, 9);
	want("initiate", initiate(&a, &b, &mi), MSG_OK);
	want("answer", answer(&b, &mi, &mr), MSG_OK);
	d.n_id = 2;		/* b has another key now */
	want("peer", peer_set(&a, &d, NULL, 0), MSG_OK);
	want("old key", complete(&a, &mi, &mr, &mk), MSG_E_STALE);
	want("old key", initiate(&b, &a, &mi), MSG_OK);
	want("old key", answer(&a, &mi, &mr), MSG_E_PEER);
	want("peer", peer_set(&d, &a, NULL, 0), MSG_OK);
	want("new key", initiate(&a, &d, &mi), MSG_OK);
	want("new key", answer(&d, &mi, &mr), MSG_OK);
	want("new key", complete(&a, &mi, &mr, &mk), MSG_OK);
	wgop_free(d.n_wg);
	free(d.n_mem);
}

/* The same key under two identities: the later one has it. */
static void
test_moved_key(void)
{
	struct wgop_stats	 ws;
	struct msg_wg_init	 mi;
	struct msg_wg_resp	 mr;

	setup();
	b.n_id = 77;
	want("moved", peer_set(&a, &b, NULL, 0), MSG_OK);
	want("moved", initiate(&b, &a, &mi), MSG_OK);
	want("moved", answer(&a, &mi, &mr), MSG_OK);
	if (mr.peer != 77)
		errx(1, "peer %llu", (unsigned long long)mr.peer);
	wgop_stats(a.n_wg, &ws);
	if (ws.ws_peers != 2)
		errx(1, "%zu peers", ws.ws_peers);
}

/* Our timestamps grow, whatever the date does. */
static void
test_clock(void)
{
	struct msg_wg_init	 mi;
	struct msg_wg_resp	 mr;
	static const int64_t	 steps[] = { 0, 0, 3600 * SEC, 0,
	    -86400 * SEC, -86400 * SEC, 7200 * SEC, -1000000 * SEC };
	int64_t			 ahead;
	size_t			 i;

	setup();
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		date_step = steps[i];
		now += 2 * SEC;
		want("initiate", initiate(&a, &b, &mi), MSG_OK);
		want("answer", answer(&b, &mi, &mr), MSG_OK);
	}
	/*
	 * A replaced cryptod is told how far its predecessor was; without
	 * that, peers would find its timestamps old.
	 */
	ahead = wgop_ahead(a.n_wg);
	if (ahead != DATE + 7200 * SEC)
		errx(1, "%lld s ahead", (long long)((ahead - DATE) / SEC));
	wgop_free(a.n_wg);
	node_init(&a, 1);
	(void)peer_set(&a, &b, NULL, 0);
	want("not told", initiate(&a, &b, &mi), MSG_OK);
	want("not told", answer(&b, &mi, &mr), MSG_E_REPLAY);
	wgop_free(a.n_wg);
	node_init_at(&a, 1, ahead);
	now += SEC;
	(void)peer_set(&a, &b, NULL, 0);
	want("told", initiate(&a, &b, &mi), MSG_OK);
	want("told", answer(&b, &mi, &mr), MSG_OK);

	/* And of the suite's start, where nothing else was. */
	wgop_free(a.n_wg);
	node_init(&a, 1);
	wgop_free(b.n_wg);
	node_init(&b, 2);
	(void)peer_set(&a, &b, NULL, 0);
	(void)peer_set(&b, &a, NULL, 0);
	date_step = 0;
	want("initiate", initiate(&a, &b, &mi), MSG_OK);
	want("answer", answer(&b, &mi, &mr), MSG_OK);
	wgop_free(a.n_wg);
	node_init(&a, 1);
	(void)peer_set(&a, &b, NULL, 0);
	date_step = -5000 * SEC;
	now += SEC;
	want("date back, new process", initiate(&a, &b, &mi), MSG_OK);
	want("date back, new process", answer(&b, &mi, &mr), MSG_OK);
}

/* Memory is bounded: many peers, many handshakes, many removed. */
static void
test_many(void)
{
	struct wgop_stats	 ws;
	struct msg_wg_init	 first, mi;
	struct msg_wg_resp	 mr;
	struct msg_wg_keys	 mk;
	struct node		 p;
	uint32_t		 i;

	setup();
	memset(&p, 0, sizeof(p));
	want("first", initiate(&a, &b, &first), MSG_OK);
	for (i = 0; i < WGOP_SLOTS; i++) {
		p.n_id = 1000 + i;
		memset(p.n_public, 0x11, KEY_LEN);
		memcpy(p.n_public, &i, sizeof(i));
		want("peer", peer_set(&a, &p, NULL, 0), MSG_OK);
		now += MSEC;
		want("initiate", initiate(&a, &p, &mi), MSG_OK);
	}
	wgop_stats(a.n_wg, &ws);
	if (ws.ws_slots != WGOP_SLOTS)
		errx(1, "%zu handshakes", ws.ws_slots);
	want("answer", answer(&b, &first, &mr), MSG_OK);
	want("gave way", complete(&a, &first, &mr, &mk), MSG_E_STALE);
	for (i = 0; i < WGOP_GONE + 100; i++) {
		p.n_id = 1000000;
		memcpy(p.n_public, &i, sizeof(i));
		p.n_public[20] = 9;
		want("peer", peer_set(&a, &p, NULL, 0), MSG_OK);
	}
	wgop_stats(a.n_wg, &ws);
	if (ws.ws_gone != WGOP_GONE || ws.ws_peers != WGOP_SLOTS + 3)
		errx(1, "%zu gone, %zu peers", ws.ws_gone, ws.ws_peers);
	now += 200 * SEC;
	want("initiate", initiate(&a, &b, &mi), MSG_OK);
	wgop_stats(a.n_wg, &ws);
	if (ws.ws_slots != 1)
		errx(1, "%zu handshakes after their time", ws.ws_slots);
}

/*
 * A batch is answered as its initiations would be one after the other: good
 * ones of two peers, one of them twice, one of a stranger, a forged one. And
 * again, when the shared keys are known.
 */
static void
test_batch(void)
{
	struct msg_wg_init_in	 in[6];
	struct msg_wg_init	 mi[6];
	struct msg_wg_resp	 mr[6];
	struct msg_wg_keys	 mk;
	const uint32_t		 errors[6] = { MSG_OK, MSG_E_REPLAY, MSG_OK,
				    MSG_E_PEER, MSG_E_CRYPTO, MSG_E_BAD };
	uint8_t			 random[6][32];
	struct node		 x;
	size_t			 i;
	int			 again;

	setup();
	memset(&x, 0, sizeof(x));
	node_init(&x, 9);
	want("peer", peer_set(&x, &b, NULL, 0), MSG_OK);
	for (again = 0; again < 2; again++) {
		now += 10 * SEC;
		want("a", initiate(&a, &b, &mi[0]), MSG_OK);
		mi[1] = mi[0];
		want("c", initiate(&c, &b, &mi[2]), MSG_OK);
		want("x", initiate(&x, &b, &mi[3]), MSG_OK);
		mi[4] = mi[2];
		mi[4].msg[100] ^= 1;
		mi[5] = mi[2];
		mi[5].msg[0] = 2;
		memset(in, 0, sizeof(in));
		for (i = 0; i < 6; i++) {
			in[i].index = next_index++;
			memcpy(in[i].msg, mi[i].msg, sizeof(in[i].msg));
			memcpy(random[i], randomly(), sizeof(random[i]));
		}
		wgop_initiations(b.n_wg, now, random, in, mr, 6);
		for (i = 0; i < 6; i++) {
			want("batch", mr[i].error, errors[i]);
			if (mr[i].index != in[i].index ||
			    (errors[i] != MSG_OK) != keyless(mr[i].send))
				errx(1, "answer %zu of a batch", i);
		}
		want("a", complete(&a, &mi[0], &mr[0], &mk), MSG_OK);
		want("c", complete(&c, &mi[2], &mr[2], &mk), MSG_OK);
		if (memcmp(mk.send, mr[2].recv, KEY_LEN) != 0 ||
		    mr[0].peer != 1 || mr[2].peer != 3)
			errx(1, "keys of a batch");
	}
	wgop_free(x.n_wg);
	free(x.n_mem);
}

/* More peers than keys shared with them are kept. */
static void
test_shared(void)
{
	struct msg_wg_init	 mi;
	struct msg_wg_resp	 mr;
	struct node		 p;
	uint32_t		 i, round;

	setup();
	for (round = 0; round < 2; round++) {
		for (i = 0; i < WGOP_SHARED + 10; i++) {
			memset(&p, 0, sizeof(p));
			node_init(&p, 100 + i);
			memset(p.n_private, 0x40, KEY_LEN);
			memcpy(p.n_private + 8, &i, sizeof(i));
			key_public(p.n_private, p.n_public);
			wgop_set_key(p.n_wg, p.n_private, p.n_public);
			want("peer", peer_set(&p, &b, NULL, 0), MSG_OK);
			want("peer", peer_set(&b, &p, NULL, 0), MSG_OK);
			now += SEC;
			want("initiate", initiate(&p, &b, &mi), MSG_OK);
			want("answer", answer(&b, &mi, &mr), MSG_OK);
			wgop_free(p.n_wg);
			free(p.n_mem);
			if (i % 3 == 0)
				want("removed", peer_set(&b, &p, NULL, 1),
				    MSG_OK);
		}
	}
}

int
main(void)
{
	(void)dh_init(NULL);
	test_batch();
	test_shared();
	test_handshake();
	test_replay();
	test_flood();
	test_rates();
	test_superseded();
	test_crossing();
	test_forged();
	test_strangers();
	test_keys();
	test_moved_key();
	test_clock();
	test_many();
	wgop_free(a.n_wg);
	wgop_free(b.n_wg);
	wgop_free(c.n_wg);
	free(a.n_mem);
	free(b.n_mem);
	free(c.n_mem);
	return 0;
}
