/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Control packets of peer relays: the box keys for them, which are of nodes
 * that need not be peers, and their sealing (dataplane.md 2.14).
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "disco.h"
#include "netd.h"

#define KEYS_MAX	1024
#define ASK_AGAIN	(2 * NSEC)

struct rkey {
	RB_ENTRY(rkey)	 rk_entry;
	TAILQ_ENTRY(rkey) rk_used;
	uint8_t		 rk_pub[MSG_KEY_LEN];
	uint8_t		 rk_shared[MSG_KEY_LEN];
	int64_t		 rk_asked;
	int		 rk_ready;
};
RB_HEAD(rkeys, rkey);

static struct rkeys	 keys = RB_INITIALIZER(&keys);
static TAILQ_HEAD(, rkey) used = TAILQ_HEAD_INITIALIZER(used);
static unsigned int	 nkeys;

static int	 rkey_cmp(struct rkey *, struct rkey *);
static void	 rkey_delete(struct rkey *);

RB_PROTOTYPE(rkeys, rkey, rk_entry, rkey_cmp);
RB_GENERATE(rkeys, rkey, rk_entry, rkey_cmp);

static int
rkey_cmp(struct rkey *a, struct rkey *b)
{
	return memcmp(a->rk_pub, b->rk_pub, sizeof(a->rk_pub));
}

static void
rkey_delete(struct rkey *rk)
{
	RB_REMOVE(rkeys, &keys, rk);
	TAILQ_REMOVE(&used, rk, rk_used);
	nkeys--;
	freezero(rk, sizeof(*rk));
}

static struct rkey *
rkey_find(const uint8_t *pub)
{
	struct rkey	 key;

	memcpy(key.rk_pub, pub, sizeof(key.rk_pub));
	return RB_FIND(rkeys, &keys, &key);
}

/* The one that was not wanted for longest makes room. */
int
relay_key_want(const uint8_t *pub, int64_t now)
{
	struct msg_key	 m;
	struct rkey	*rk;

	if ((rk = rkey_find(pub)) == NULL) {
		if (nkeys == KEYS_MAX)
			rkey_delete(TAILQ_FIRST(&used));
		if ((rk = calloc(1, sizeof(*rk))) == NULL)
			fatal(NULL);
		memcpy(rk->rk_pub, pub, sizeof(rk->rk_pub));
		RB_INSERT(rkeys, &keys, rk);
		nkeys++;
	} else
		TAILQ_REMOVE(&used, rk, rk_used);
	TAILQ_INSERT_TAIL(&used, rk, rk_used);
	if (rk->rk_ready)
		return 1;
	if (rk->rk_asked == 0 || now - rk->rk_asked >= ASK_AGAIN) {
		rk->rk_asked = now;
		memcpy(m.key, pub, sizeof(m.key));
		(void)chan_compose(&nd.n_cryptod, IMSG_DISCO_KEY_REQ, 0, -1,
		    &m, sizeof(m));
	}
	return 0;
}

int
relay_key_answer(const struct msg_disco_key *m)
{
	struct rkey	*rk;

	if ((rk = rkey_find(m->pub)) == NULL)
		return 0;
	if (m->error != MSG_OK) {
		rkey_delete(rk);
		return 0;
	}
	memcpy(rk->rk_shared, m->shared, sizeof(rk->rk_shared));
	rk->rk_ready = 1;
	return 1;
}

void
relay_key_forget(void)
{
	struct rkey	*rk;

	while ((rk = TAILQ_FIRST(&used)) != NULL)
		rkey_delete(rk);
}

ssize_t
relay_seal(uint8_t *buf, size_t room, const uint8_t *pub,
    const struct disco_msg *dm)
{
	struct geneve	 g = { dm->dm_vni, GENEVE_PROTO_DISCO, 1 };
	struct rkey	*rk;
	uint8_t		 plain[256], nonce[DISCO_NONCE_LEN];
	ssize_t		 n;

	if ((rk = rkey_find(pub)) == NULL || !rk->rk_ready ||
	    room < GENEVE_HDR_LEN || geneve_build(buf, &g) == -1 ||
	    (n = disco_build(dm, plain, sizeof(plain))) == -1)
		return -1;
	arc4random_buf(nonce, sizeof(nonce));
	n = disco_seal(rk->rk_shared, nd.n_disco, nonce, plain, n,
	    buf + GENEVE_HDR_LEN, room - GENEVE_HDR_LEN);
	return n == -1 ? -1 : n + GENEVE_HDR_LEN;
}

int
relay_open(const uint8_t *b, size_t len, struct disco_msg *dm)
{
	struct rkey	*rk;
	uint8_t		 plain[512];
	ssize_t		 n;

	if (!disco_looks_like(b, len) ||
	    (rk = rkey_find(disco_sender(b))) == NULL || !rk->rk_ready ||
	    (n = disco_open(rk->rk_shared, b, len, plain,
	    sizeof(plain))) == -1 || disco_parse(plain, n, dm) == -1)
		return -1;
	/* These have nothing that points into the plaintext. */
	return dm->dm_type == DISCO_BIND_ENDPOINT ||
	    dm->dm_type == DISCO_BIND_CHALLENGE ||
	    dm->dm_type == DISCO_BIND_ANSWER ? 0 : -1;
}
