/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Relays that are told who may use them: all keys at first, then what has
 * changed. Found by comparing, every other second while a relay follows:
 * whatever lets a node in or keeps it out, none is forgotten.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include "jsonutil.h"
#include "os.h"
#include "stored.h"

#define LOOK_GAP	(2 * SEC)
#define SOON_GAP	(200 * MSEC)
#define BEAT_GAP	(10 * SEC)

struct follower {
	TAILQ_ENTRY(follower)	 f_entry;
	uint64_t		 f_conn;
};

struct followed_key {
	RB_ENTRY(followed_key)	 k_entry;
	uint64_t		 k_mark;
	uint8_t			 k_key[MSG_KEY_LEN];
};

static int	key_cmp(struct followed_key *, struct followed_key *);

RB_PROTOTYPE(followed, followed_key, k_entry, key_cmp);
RB_GENERATE(followed, followed_key, k_entry, key_cmp)

static int
key_cmp(struct followed_key *a, struct followed_key *b)
{
	return memcmp(a->k_key, b->k_key, sizeof(a->k_key));
}

static void
follow_line(struct buf *t, const char *sign, const uint8_t *key)
{
	char	 text[80];

	buf_str(t, sign);
	buf_str(t, ju_key_text("nodekey:", key, text, sizeof(text)));
	buf_str(t, "\n");
}

static void
follow_forget(struct brain *b)
{
	struct followed_key	*k, *next;

	RB_FOREACH_SAFE(k, followed, &b->b_followed, next) {
		RB_REMOVE(followed, &b->b_followed, k);
		free(k);
	}
}

static void
follow_add(struct brain *b, struct buf *t, const uint8_t *key)
{
	struct followed_key	*k, want;

	memcpy(want.k_key, key, sizeof(want.k_key));
	if ((k = RB_FIND(followed, &b->b_followed, &want)) == NULL) {
		k = xcalloc(1, sizeof(*k));
		memcpy(k->k_key, key, sizeof(k->k_key));
		RB_INSERT(followed, &b->b_followed, k);
		follow_line(t, "+", key);
	}
	k->k_mark = b->b_mark;
}

/* What has changed since the last look, as lines. */
static void
follow_look(struct brain *b, struct buf *t)
{
	struct followed_key	*k, *next;
	struct node		*n;

	b->b_mark++;
	RB_FOREACH(n, nodes_id, &b->b_nodes)
		if (node_may_relay(b, n->n_rec.r_key))
			follow_add(b, t, n->n_rec.r_key);
	RB_FOREACH_SAFE(k, followed, &b->b_followed, next)
		if (k->k_mark != b->b_mark) {
			follow_line(t, "-", k->k_key);
			RB_REMOVE(followed, &b->b_followed, k);
			free(k);
		}
	b->b_follow_at = b->b_now + LOOK_GAP;
}

static void
follow_tell(struct brain *b, struct buf *t)
{
	struct follower	*f;

	buf_str(t, ".\n");
	TAILQ_FOREACH(f, &b->b_followers, f_entry)
		b->b_sink->s_lines(b->b_sinkarg, f->f_conn, t->b_text,
		    t->b_len);
	b->b_follow_beat = b->b_now + BEAT_GAP;
}

int
follow_allowed(const struct brain *b, const uint8_t key[MSG_KEY_LEN])
{
	return b->b_conf.c_has_follow && b->b_nfollowers < FOLLOWERS_MAX &&
	    os_timingsafe_bcmp(key, b->b_conf.c_follow, MSG_KEY_LEN) == 0;
}

void
follow_start(struct brain *b, uint64_t conn)
{
	struct followed_key	*k;
	struct follower		*f;
	struct buf		 t = { NULL, 0, 0 };

	/* Those who follow already have what changed meanwhile first. */
	follow_run(b);
	if (b->b_nfollowers == 0)
		follow_look(b, &t);
	buf_free(&t);
	f = xcalloc(1, sizeof(*f));
	f->f_conn = conn;
	TAILQ_INSERT_TAIL(&b->b_followers, f, f_entry);
	if (b->b_nfollowers++ == 0)
		b->b_follow_beat = b->b_now + BEAT_GAP;
	memset(&t, 0, sizeof(t));
	RB_FOREACH(k, followed, &b->b_followed)
		follow_line(&t, "+", k->k_key);
	buf_str(&t, ".\n");
	b->b_sink->s_lines(b->b_sinkarg, conn, t.b_text, t.b_len);
	buf_free(&t);
}

void
follow_drop(struct brain *b, uint64_t conn)
{
	struct follower	*f, *next;

	TAILQ_FOREACH_SAFE(f, &b->b_followers, f_entry, next)
		if (conn == 0 || f->f_conn == conn) {
			TAILQ_REMOVE(&b->b_followers, f, f_entry);
			b->b_nfollowers--;
			free(f);
		}
	if (b->b_nfollowers == 0)
		follow_forget(b);
}

void
follow_end(struct brain *b)
{
	struct follower	*f;

	TAILQ_FOREACH(f, &b->b_followers, f_entry)
		b->b_sink->s_lines(b->b_sinkarg, f->f_conn, NULL, 0);
	follow_drop(b, 0);
}

void
follow_soon(struct brain *b)
{
	if (b->b_follow_at > b->b_now + SOON_GAP)
		b->b_follow_at = b->b_now + SOON_GAP;
}

void
follow_run(struct brain *b)
{
	struct buf	 t = { NULL, 0, 0 };

	if (b->b_nfollowers == 0 || b->b_now < b->b_follow_at)
		return;
	follow_look(b, &t);
	if (t.b_len > 0 || b->b_now >= b->b_follow_beat)
		follow_tell(b, &t);
	buf_free(&t);
}

int64_t
follow_next(const struct brain *b)
{
	return b->b_nfollowers == 0 ? -1 : b->b_follow_at - b->b_now;
}
