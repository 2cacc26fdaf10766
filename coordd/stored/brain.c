/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The brain: start, clock, timers, and the end of requests.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stored.h"

#define AUDIT_BURST	100	/* entries of nodes; then one a second */

void
sconf_free(struct sconf *c)
{
	free(c->c_dns);
	free(c->c_derpmap);
	free(c->c_derpmap_old);
	explicit_bzero(c, sizeof(*c));
}

static void
brain_take_conf(struct brain *b, struct sconf *c)
{
	sconf_free(&b->b_conf);
	b->b_conf = *c;
	memset(c, 0, sizeof(*c));
	if (b->b_conf.c_ephemeral == 0)
		b->b_conf.c_ephemeral = EPHEMERAL_DEFAULT * SEC;
}

int
brain_init(struct brain *b, struct store *st, struct sconf *c,
    const struct sink *sink, void *arg, int64_t now, int64_t date)
{
	struct node	*n;

	memset(b, 0, sizeof(*b));
	b->b_store = st;
	b->b_sink = sink;
	b->b_sinkarg = arg;
	b->b_flush_gap = 10 * MSEC;
	TAILQ_INIT(&b->b_pendings);
	TAILQ_INIT(&b->b_calls);
	TAILQ_INIT(&b->b_pings);
	TAILQ_INIT(&b->b_followers);
	b->b_audit_rate.r_gap = SEC;
	b->b_audit_rate.r_burst = AUDIT_BURST;
	TAILQ_INIT(&b->b_work);
	TAILQ_INIT(&b->b_changed);
	TAILQ_INIT(&b->b_unsaved);
	TAILQ_INIT(&b->b_grace);
	TAILQ_INIT(&b->b_gone);
	brain_clock(b, now, date);
	brain_take_conf(b, c);
	b->b_pstale = 1;
	if (store_user_each(st, user_load, b) == -1 ||
	    store_authkey_each(st, authkey_load, b) == -1 ||
	    store_node_each(st, node_load, b) == -1)
		return -1;
	alloc_backfill(b);
	/* Nobody is there yet to hear of them. */
	while ((n = TAILQ_FIRST(&b->b_changed)) != NULL) {
		TAILQ_REMOVE(&b->b_changed, n, n_change);
		n->n_changes = 0;
	}
	return 0;
}

void
brain_free(struct brain *b)
{
	struct pending	*p;

	brain_drop_rpcs(b);
	node_save_all(b);
	while ((p = TAILQ_FIRST(&b->b_pendings)) != NULL)
		pending_free(b, p);
	ping_end(b);
	policy_state_free(b->b_pstate);
	policy_free(b->b_policy);
	free(b->b_ptext);
	node_free_all(b);
	user_free_all(b);
	authkey_free_all(b);
	sconf_free(&b->b_conf);
	store_close(b->b_store);
	memset(b, 0, sizeof(*b));
}

/* A date that was wrong may have ended keys whose time is still to come. */
void
brain_clock(struct brain *b, int64_t now, int64_t date)
{
	if (date < b->b_date)
		b->b_stepped = 1;
	b->b_now = now;
	b->b_date = date;
}

static int
dns_differs(const struct sconf *a, const struct sconf *c)
{
	return strcmp(a->c_domain, c->c_domain) != 0 ||
	    a->c_dns_update != c->c_dns_update ||
	    a->c_ndns != c->c_ndns || (a->c_ndns > 0 && memcmp(a->c_dns,
	    c->c_dns, a->c_ndns * sizeof(*a->c_dns)) != 0);
}

void
brain_configure(struct brain *b, struct sconf *c)
{
	const char	*oldmap, *newmap;
	struct node	*n;
	int		 domain;

	domain = strcmp(b->b_conf.c_domain, c->c_domain) != 0;
	oldmap = b->b_conf.c_derpmap != NULL ? b->b_conf.c_derpmap : "";
	newmap = c->c_derpmap != NULL ? c->c_derpmap : "";
	if (dns_differs(&b->b_conf, c))
		viewer_queue_all(b, V_DNS);
	if (strcmp(oldmap, newmap) != 0)
		viewer_queue_all(b, V_DERP);
	if (b->b_conf.c_has_follow != c->c_has_follow ||
	    memcmp(b->b_conf.c_follow, c->c_follow, MSG_KEY_LEN) != 0)
		follow_end(b);
	brain_take_conf(b, c);
	alloc_backfill(b);
	if (domain)
		RB_FOREACH(n, nodes_id, &b->b_nodes)
			node_changed(b, n, CH_FULL | CH_SELF);
}

void
brain_run(struct brain *b)
{
	online_run(b);
	pending_run(b);
	ping_run(b);
	follow_run(b);
	if (b->b_flush_at == 0 || b->b_now < b->b_flush_at)
		return;
	b->b_flush_at = 0;
	b->b_flushed = b->b_now;
	map_flush(b);
	node_save_all(b);
	/* The sink is full, or the store: once more in a moment. */
	if (!TAILQ_EMPTY(&b->b_work))
		b->b_flush_at = b->b_now + 5 * MSEC;
	else if (!TAILQ_EMPTY(&b->b_unsaved))
		b->b_flush_at = b->b_now + SEC;
}

int64_t
brain_next(const struct brain *b)
{
	const struct pending	*p;
	int64_t			 next, t;

	next = online_next(b);
	if (b->b_flush_at != 0) {
		t = b->b_flush_at - b->b_now;
		if (next == -1 || t < next)
			next = t;
	}
	if ((t = ping_next(b)) != -1 && (next == -1 || t < next))
		next = t;
	if ((t = follow_next(b)) != -1 && (next == -1 || t < next))
		next = t;
	if ((p = TAILQ_FIRST(&b->b_pendings)) != NULL) {
		t = p->p_born + PENDING_LIFE - b->b_now;
		if (next == -1 || t < next)
			next = t;
	}
	return next == -1 ? -1 : next < 0 ? 0 : next;
}

void
brain_answer(struct brain *b, const struct msg_rpc *rpc, unsigned int status,
    unsigned int type, const char *text)
{
	b->b_sink->s_answer(b->b_sinkarg, rpc, status, type, text,
	    strlen(text), RPC_F_END);
}

void
brain_drop_rpcs(struct brain *b)
{
	static const struct msg_rpc	 all;
	struct viewer			*v, *next;
	struct pending			*p;

	call_drop_rpc(b, &all);
	follow_drop(b, 0);
	RB_FOREACH_SAFE(v, viewers, &b->b_viewers, next)
		viewer_close(b, v, 0);
	TAILQ_FOREACH(p, &b->b_pendings, p_entry)
		p->p_waits = 0;
}

/* Streams of a connection stand together in the tree. */
void
brain_drop_rpc(struct brain *b, const struct msg_rpc *rpc)
{
	struct viewer	*v, key;

	pending_drop_rpc(b, rpc);
	call_drop_rpc(b, rpc);
	if (rpc->stream != 0) {
		if ((v = viewer_find(b, rpc)) != NULL)
			viewer_close(b, v, 0);
		return;
	}
	follow_drop(b, rpc->conn);
	key.v_rpc = *rpc;
	while ((v = RB_NFIND(viewers, &b->b_viewers, &key)) != NULL &&
	    v->v_rpc.conn == rpc->conn)
		viewer_close(b, v, 0);
}
