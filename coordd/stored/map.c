/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Map requests: polls, lite updates, one-shot fetches.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "log.h"
#include "srvreq.h"
#include "stored.h"

static int
viewer_cmp(const struct viewer *a, const struct viewer *v)
{
	if (a->v_rpc.conn != v->v_rpc.conn)
		return a->v_rpc.conn < v->v_rpc.conn ? -1 : 1;
	return a->v_rpc.stream < v->v_rpc.stream ? -1 :
	    a->v_rpc.stream > v->v_rpc.stream;
}

RB_GENERATE(viewers, viewer, v_entry, viewer_cmp)

struct viewer *
viewer_find(struct brain *b, const struct msg_rpc *rpc)
{
	struct viewer	 key;

	key.v_rpc = *rpc;
	return RB_FIND(viewers, &b->b_viewers, &key);
}

void
viewer_grow(struct viewer *v, size_t words)
{
	if (v->v_words >= words)
		return;
	v->v_sent = recallocarray(v->v_sent, v->v_words, words,
	    sizeof(*v->v_sent));
	if (v->v_sent == NULL)
		fatal(NULL);
	v->v_words = words;
}

void
viewer_queue(struct brain *b, struct viewer *v, unsigned int flags)
{
	if (!(v->v_flags & V_QUEUED))
		TAILQ_INSERT_TAIL(&b->b_work, v, v_work);
	v->v_flags |= (uint8_t)(V_QUEUED | flags);
	map_wake(b);
}

void
viewer_queue_all(struct brain *b, unsigned int flags)
{
	struct viewer	*v;

	RB_FOREACH(v, viewers, &b->b_viewers)
		viewer_queue(b, v, flags);
}

void
viewer_close(struct brain *b, struct viewer *v, int replaced)
{
	RB_REMOVE(viewers, &b->b_viewers, v);
	if (v->v_flags & V_QUEUED)
		TAILQ_REMOVE(&b->b_work, v, v_work);
	v->v_node->n_viewer = NULL;
	if (!replaced)
		online_left(b, v->v_node);
	free(v->v_sent);
	free(v->v_removed);
	free(v->v_pend);
	free(v);
}

static void
viewer_open(struct brain *b, struct node *n, const struct msg_rpc *rpc,
    unsigned int version)
{
	struct viewer	*v;

	/* A node has one poll: the new one counts. */
	if ((v = n->n_viewer) != NULL) {
		brain_answer(b, &v->v_rpc, 200, RPC_T_MAP, "");
		viewer_close(b, v, 1);
	}
	v = xcalloc(1, sizeof(*v));
	v->v_rpc = *rpc;
	v->v_node = n;
	v->v_version = version;
	if (RB_INSERT(viewers, &b->b_viewers, v) != NULL)
		fatalx("two polls on one stream");
	n->n_viewer = v;
	online_up(b, n);
	viewer_queue(b, v, V_FULL);
}

/* Clients back off by themselves where an answer is not 200. */
static int
polls_too_often(struct brain *b, struct node *n)
{
	if (n->n_polls == 0 || b->b_now - n->n_polls_at >= POLLS_PERIOD) {
		n->n_polls_at = b->b_now;
		n->n_polls = 0;
	}
	return ++n->n_polls > POLLS_MAX;
}

static void
set_endpoints(struct noderec *r, const struct map_req *q)
{
	size_t	 n = q->m_nendpoints;

	if (n > NODE_MAX_ENDPOINTS)
		n = NODE_MAX_ENDPOINTS;
	free(r->r_endpoints);
	r->r_endpoints = xmemdup(q->m_endpoints,
	    n * sizeof(*q->m_endpoints));
	r->r_nendpoints = n;
}

/*
 * What is absent or zero changes nothing: requests at the start of a session
 * know less than the store does. 0, or -1: answered.
 */
static int
update_node(struct brain *b, struct node *n, const struct map_req *q)
{
	struct noderec	 r;

	noderec_copy(&r, &n->n_rec);
	r.r_cap = (uint16_t)q->m_version;
	if (!key_is_zero(q->m_disco, MSG_KEY_LEN))
		memcpy(r.r_disco, q->m_disco, MSG_KEY_LEN);
	if (q->m_has_endpoints)
		set_endpoints(&r, q);
	if (q->m_hostinfo != NULL && noderec_set_hostinfo(&r, q->m_hostinfo,
	    q->m_hostinfolen) == -1) {
		noderec_free(&r);
		brain_answer(b, &q->m_rpc, 400, RPC_T_TEXT, "bad Hostinfo");
		return -1;
	}
	name_follow(b, n, &r);
	if (strcmp(r.r_label, n->n_rec.r_label) == 0) {
		node_set(b, n, &r);
		node_unsaved(b, n);
	} else if (node_put(b, n, &r, "node", "host name") == -1) {
		noderec_free(&r);
		brain_answer(b, &q->m_rpc, 500, RPC_T_TEXT, "store");
		return -1;
	}
	return 0;
}

static void
answer_once(struct brain *b, struct node *n, const struct msg_rpc *rpc,
    unsigned int version)
{
	struct buf	 t = { NULL, 0, 0 };
	uint64_t	*row;
	uint8_t		 hash[16];

	policy_refresh(b);
	row = xcalloc(b->b_words, sizeof(*row));
	policy_row(b, n, row);
	map_full(b, &t, n, version, row, b->b_words, hash);
	b->b_nsent++;
	b->b_sink->s_answer(b->b_sinkarg, rpc, 200, RPC_T_MAP, t.b_text,
	    t.b_len, RPC_F_MSGEND | RPC_F_END);
	free(row);
	buf_free(&t);
}

/*
 * A node key is public: it counts only together with the machine key of the
 * session that it was registered with. Source: control.md 4.1, 8.2 (30).
 */
static struct node *
request_node(struct brain *b, const struct map_req *q)
{
	struct node	*n;
	char		 text[80];

	if (q->m_version < SRVREQ_MIN_VERSION) {
		(void)snprintf(text, sizeof(text),
		    "unsupported client version: (%u)", q->m_version);
		brain_answer(b, &q->m_rpc, 400, RPC_T_TEXT, text);
		return NULL;
	}
	n = node_find_key(b, q->m_node);
	if (n != NULL && !n->n_rec.r_wgonly && memcmp(n->n_rec.r_machine,
	    q->m_machine, MSG_KEY_LEN) == 0)
		return n;
	if (log_limit(&b->b_refused, b->b_now, 10, 60))
		log_warnx("map: refused: %s", n == NULL ?
		    "unknown node key" : "node key of another machine");
	brain_answer(b, &q->m_rpc, 404, RPC_T_TEXT, "node not found");
	return NULL;
}

void
map_request(struct brain *b, const struct map_req *q)
{
	struct node	*n;

	if ((n = request_node(b, q)) == NULL)
		return;
	if (q->m_stream || !q->m_omit_peers) {
		if (polls_too_often(b, n)) {
			brain_answer(b, &q->m_rpc, 429, RPC_T_TEXT,
			    "too many polls");
			return;
		}
	}
	/* A poll tells nothing that a lite update does not, if new enough. */
	if (!q->m_read_only && (!q->m_stream ||
	    q->m_version < SRVREQ_V_LITE) && update_node(b, n, q) == -1)
		return;
	if (q->m_stream) {
		viewer_open(b, n, &q->m_rpc, q->m_version);
		return;
	}
	if (q->m_omit_peers)
		brain_answer(b, &q->m_rpc, 200, RPC_T_JSON, "");
	else
		answer_once(b, n, &q->m_rpc, q->m_version);
}
