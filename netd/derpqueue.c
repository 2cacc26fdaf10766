/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packets that wait for a relay, bounded in bytes and in time.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "derpconn.h"

static void	 drop(struct derp_queue *, struct derp_pkt *);

void
derpq_init(struct derp_queue *q, size_t max)
{
	memset(q, 0, sizeof(*q));
	TAILQ_INIT(&q->dq_pkts);
	q->dq_max = max;
}

static void
drop(struct derp_queue *q, struct derp_pkt *p)
{
	TAILQ_REMOVE(&q->dq_pkts, p, dp_entry);
	q->dq_bytes -= p->dp_len;
	q->dq_dropped++;
	free(p);
}

int
derpq_add(struct derp_queue *q, const void *head, size_t hlen,
    const void *data, size_t len, int64_t now)
{
	struct derp_pkt	*p;

	if (hlen + len > q->dq_max)
		return -1;
	while (q->dq_bytes > q->dq_max - hlen - len) {
		p = TAILQ_FIRST(&q->dq_pkts);
		/* Half of a frame must not stay alone. */
		if (p->dp_off > 0)
			p = TAILQ_NEXT(p, dp_entry);
		if (p == NULL)
			return -1;
		drop(q, p);
	}
	if ((p = malloc(sizeof(*p) + hlen + len)) == NULL)
		return -1;
	p->dp_time = now;
	p->dp_len = hlen + len;
	p->dp_off = 0;
	memcpy(p->dp_data, head, hlen);
	if (len > 0)
		memcpy(p->dp_data + hlen, data, len);
	q->dq_bytes += p->dp_len;
	TAILQ_INSERT_TAIL(&q->dq_pkts, p, dp_entry);
	return 0;
}

void
derpq_expire(struct derp_queue *q, int64_t now)
{
	struct derp_pkt	*p;

	while ((p = TAILQ_FIRST(&q->dq_pkts)) != NULL && p->dp_off == 0 &&
	    now - p->dp_time >= DERP_QUEUE_AGE)
		drop(q, p);
}

void
derpq_clear(struct derp_queue *q)
{
	struct derp_pkt	*p;

	while ((p = TAILQ_FIRST(&q->dq_pkts)) != NULL)
		drop(q, p);
}
