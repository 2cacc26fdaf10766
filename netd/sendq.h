/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The queue between us and the wire, held short in time.
 *
 * What a UDP socket has taken waits in the queue of its interface, which
 * the kernel bounds in packets or in megabytes: seconds, on a slow link. Its
 * length in time is watched here, and packets are dropped, or marked with
 * congestion experienced, before they go in: PIE (RFC 8033). Flows that
 * hardly send, such as a lookup or an echo, are let through: what is dropped
 * is of those that fill the queue.
 */

#ifndef NETD_SENDQ_H
#define NETD_SENDQ_H

#include <stddef.h>
#include <stdint.h>

#define SENDQ_MARKS	256
#define SENDQ_FLOWS	256
#define SENDQ_WAYS	2		/* a flow has a place in each */
#define SENDQ_SAMPLE	(1000 * 1000LL)		/* ns between two looks */

enum sendq_verdict {
	SENDQ_PASS,
	SENDQ_MARK,
	SENDQ_DROP
};

struct sendq {
	struct {
		int64_t	 m_time;
		uint64_t m_in;		/* what had gone in before */
	}		 sq_mark[SENDQ_MARKS];
	unsigned int	 sq_nmarks;	/* ever made */
	uint64_t	 sq_in;		/* memory of all that has gone in */
	size_t		 sq_queued;	/* at the last look */
	int64_t		 sq_sampled;	/* last look, 0: never */
	int64_t		 sq_updated;	/* last change of sq_prob */
	int64_t		 sq_delay;	/* ns that the next one will wait */
	double		 sq_rate;	/* bytes a ns that leave, 0: unknown */
	uint64_t	 sq_left;	/* bytes that had left at */
	int64_t		 sq_since;	/* this time; 0: the queue was empty */
	int64_t		 sq_old;	/* the same at the last change */
	int64_t		 sq_burst;	/* ns of grace left */
	double		 sq_prob;
	double		 sq_accu;
	int		 sq_active;
	int		 sq_told;	/* one was dropped since it is */
	/* Bytes by flow: of this epoch and the last. */
	uint32_t	 sq_flow[2][SENDQ_WAYS][SENDQ_FLOWS];
	uint32_t	 sq_total[2];
	int64_t		 sq_epoch;	/* when this one began */
	unsigned int	 sq_cur;
};

/* Is it time for sendq_sample()? (queue, now) */
int	 sendq_due(const struct sendq *, int64_t);
/*
 * Look at the queue: (queue, bytes of memory that the kernel holds for what
 * the socket has sent and the wire has not taken, now). Times are in ns of
 * a steady clock.
 */
void	 sendq_sample(struct sendq *, size_t, int64_t);
/* The same of a queue that is known by its ns; it needs no sendq_sent(). */
void	 sendq_sample_far(struct sendq *, int64_t, int64_t);
/* Is there a queue at all? If not, the two below need not be called. */
int	 sendq_busy(const struct sendq *);
/*
 * Something was sent: (queue, that memory before, and after). What the wire
 * took at once has not been in the queue.
 */
void	 sendq_sent(struct sendq *, size_t, size_t);
/*
 * May one more packet go in: (queue, hash of its flow, its length, can it be
 * marked, now).
 */
enum sendq_verdict sendq_check(struct sendq *, uint32_t, size_t, int, int64_t);

#endif /* NETD_SENDQ_H */
