/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Who is online, whose time is up: the timers of nodes.
 */

#include <sys/types.h>

#include <string.h>

#include "log.h"
#include "stored.h"

/*
 * A node is online while it has a poll, and for a grace after that: polls
 * end and begin again for many reasons. Both queues have one constant delay,
 * so that their order is that of their times.
 */

static void
online_out(struct brain *b, struct node *n)
{
	if (n->n_in_grace)
		TAILQ_REMOVE(&b->b_grace, n, n_grace);
	if (n->n_in_gone)
		TAILQ_REMOVE(&b->b_gone, n, n_gone);
	n->n_in_grace = n->n_in_gone = 0;
}

static void
online_gone(struct brain *b, struct node *n)
{
	n->n_gone_at = b->b_now;
	if (!n->n_rec.r_ephemeral || n->n_in_gone)
		return;
	TAILQ_INSERT_TAIL(&b->b_gone, n, n_gone);
	n->n_in_gone = 1;
}

void
online_up(struct brain *b, struct node *n)
{
	online_out(b, n);
	if (n->n_rec.r_online)
		return;
	n->n_rec.r_online = 1;
	node_changed(b, n, CH_ONLINE);
	node_unsaved(b, n);
}

/* Its poll ended. */
void
online_left(struct brain *b, struct node *n)
{
	online_out(b, n);
	n->n_left = b->b_date;
	n->n_gone_at = b->b_now;
	TAILQ_INSERT_TAIL(&b->b_grace, n, n_grace);
	n->n_in_grace = 1;
	n->n_rec.r_last_seen = b->b_date;
	node_unsaved(b, n);
}

void
online_forget(struct brain *b, struct node *n)
{
	online_out(b, n);
}

/*
 * After a restart those that were online have some time to come back before
 * anybody hears that they were away.
 */
void
online_loaded(struct brain *b, struct node *n)
{
	if (n->n_rec.r_wgonly)
		return;
	if (!n->n_rec.r_online) {
		online_gone(b, n);
		return;
	}
	n->n_left = n->n_rec.r_last_seen != 0 ? n->n_rec.r_last_seen :
	    b->b_date;
	n->n_gone_at = b->b_now + RESTART_GRACE - ONLINE_GRACE;
	TAILQ_INSERT_TAIL(&b->b_grace, n, n_grace);
	n->n_in_grace = 1;
}

static void
online_down(struct brain *b, struct node *n)
{
	online_out(b, n);
	n->n_rec.r_online = 0;
	n->n_rec.r_last_seen = n->n_left;
	node_changed(b, n, CH_ONLINE);
	node_unsaved(b, n);
	online_gone(b, n);
}

void
expiry_watch(struct brain *b, struct node *n)
{
	if (n->n_in_expiry)
		RB_REMOVE(nodes_expiry, &b->b_byexpiry, n);
	n->n_in_expiry = 0;
	if (n->n_rec.r_expiry == 0 || n->n_expired)
		return;
	RB_INSERT(nodes_expiry, &b->b_byexpiry, n);
	n->n_in_expiry = 1;
}

/* Those that had expired by a date that is no longer: they have not. */
static void
expiry_undo(struct brain *b)
{
	struct node	*n;

	b->b_stepped = 0;
	RB_FOREACH(n, nodes_id, &b->b_nodes) {
		if (!n->n_expired || node_is_expired(b, n))
			continue;
		n->n_expired = 0;
		expiry_watch(b, n);
		node_changed(b, n, CH_FULL | CH_SELF);
	}
}

static void
expiry_run(struct brain *b)
{
	struct node	*n;

	if (b->b_stepped)
		expiry_undo(b);

	while ((n = RB_MIN(nodes_expiry, &b->b_byexpiry)) != NULL &&
	    node_is_expired(b, n)) {
		n->n_expired = 1;
		expiry_watch(b, n);
		log_info("node %llu: its key has expired",
		    (unsigned long long)n->n_rec.r_id);
		node_changed(b, n, CH_FULL | CH_SELF);
	}
}

void
online_run(struct brain *b)
{
	struct node	*n;

	while ((n = TAILQ_FIRST(&b->b_grace)) != NULL &&
	    b->b_now - n->n_gone_at >= ONLINE_GRACE)
		online_down(b, n);
	while ((n = TAILQ_FIRST(&b->b_gone)) != NULL &&
	    b->b_now - n->n_gone_at >= b->b_conf.c_ephemeral) {
		log_info("node %llu: ephemeral and gone, deleted",
		    (unsigned long long)n->n_rec.r_id);
		if (node_delete(b, n, "coordd", "ephemeral delete") == -1) {
			/* The store is in trouble: try again later. */
			online_out(b, n);
			online_gone(b, n);
			break;
		}
	}
	expiry_run(b);
}

int64_t
online_next(const struct brain *b)
{
	struct nodes_expiry	 tree = b->b_byexpiry;
	const struct node	*n;
	int64_t			 next = -1, t;

	if (b->b_stepped)
		return 0;
	if ((n = TAILQ_FIRST(&b->b_grace)) != NULL)
		next = n->n_gone_at + ONLINE_GRACE - b->b_now;
	if ((n = TAILQ_FIRST(&b->b_gone)) != NULL) {
		t = n->n_gone_at + b->b_conf.c_ephemeral - b->b_now;
		if (next == -1 || t < next)
			next = t;
	}
	if ((n = RB_MIN(nodes_expiry, &tree)) != NULL) {
		t = n->n_rec.r_expiry - b->b_date;
		/* The date may be set while we wait. */
		if (t > 60 * SEC)
			t = 60 * SEC;
		if (next == -1 || t < next)
			next = t;
	}
	return next == -1 ? -1 : next < 0 ? 0 : next;
}
