/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The queue between us and the wire, held short in time: PIE.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netd.h"
#include "sendq.h"

/* RFC 8033, sections 4 and 5. */
#define TARGET		(15 * MSEC)
#define UPDATE		(15 * MSEC)
#define GRACE		(150 * MSEC)
#define ALPHA		0.125
#define BETA		1.25
#define MARK_MAX	0.1		/* beyond, marks do not help */
#define ACCU_MIN	0.85
#define ACCU_MAX	8.5

/*
 * A flow that doubles its window each round trip overruns the controller: one
 * early loss stops it. And what comes however much is dropped is limited.
 */
#define FIRST		(30 * MSEC)
#define LIMIT		(150 * MSEC)
#define EPOCH		(100 * MSEC)
#define SPARSE_BYTES	4096		/* of a flow in two epochs */
#define SPARSE_PART	50		/* or this part of all */
#define RATE_WINDOW	(10 * MSEC)
#define RATE_QUEUE	16384		/* less may run empty in between */
#define DELAY_MAX	(10 * NSEC)

static double	 scale(double, double);
static void	 mark(struct sendq *, int64_t);
static void	 update(struct sendq *, int64_t);
static void	 sample(struct sendq *, int64_t, int64_t);
static void	 forget(struct sendq *, int64_t);
static void	 rate(struct sendq *, uint64_t, int64_t);
static int64_t	 delay(struct sendq *, size_t, int64_t);
static int64_t	 oldest(const struct sendq *, size_t, int64_t);
static void	 epoch(struct sendq *, int64_t);
static int	 sparse(struct sendq *, uint32_t, size_t, int64_t);
static int	 unlucky(struct sendq *);

int
sendq_due(const struct sendq *sq, int64_t now)
{
	return now - sq->sq_sampled >= SENDQ_SAMPLE;
}

int
sendq_busy(const struct sendq *sq)
{
	return sq->sq_active || sq->sq_queued > 0;
}

/* How long what is at the head of the queue has been in it. */
static int64_t
oldest(const struct sendq *sq, size_t queued, int64_t now)
{
	uint64_t	 head;
	unsigned int	 i, n, slot = 0;

	if (queued == 0 || sq->sq_nmarks == 0)
		return 0;
	head = queued < sq->sq_in ? sq->sq_in - queued : 0;
	n = sq->sq_nmarks < SENDQ_MARKS ? sq->sq_nmarks : SENDQ_MARKS;
	for (i = 1; i <= n; i++) {
		slot = (sq->sq_nmarks - i) % SENDQ_MARKS;
		if (sq->sq_mark[slot].m_in <= head)
			break;
	}
	return now - sq->sq_mark[slot].m_time;
}

/* The rate of a queue that has not run empty (RFC 8033, 4.3). */
static void
rate(struct sendq *sq, uint64_t left, int64_t now)
{
	double	 r;

	if (sq->sq_since != 0) {
		if (now - sq->sq_since < RATE_WINDOW)
			return;
		r = left > sq->sq_left ? (double)(left - sq->sq_left) /
		    (now - sq->sq_since) : 0;
		sq->sq_rate = sq->sq_rate == 0 ? r : (sq->sq_rate + r) / 2;
	}
	sq->sq_since = now;
	sq->sq_left = left;
}

/* What a packet that goes in now will wait. */
static int64_t
delay(struct sendq *sq, size_t queued, int64_t now)
{
	int64_t	 age = oldest(sq, queued, now);
	double	 d;

	if (queued < RATE_QUEUE) {
		sq->sq_since = 0;
		return age;
	}
	rate(sq, queued < sq->sq_in ? sq->sq_in - queued : 0, now);
	if (sq->sq_rate == 0)
		return age;
	d = queued / sq->sq_rate;
	return d > DELAY_MAX ? DELAY_MAX : (int64_t)d > age ? (int64_t)d : age;
}

/* Small probabilities move in small steps (RFC 8033, 4.2). */
static double
scale(double prob, double p)
{
	static const struct {
		double	 below, by;
	}		 steps[] = {
		{ 0.000001, 2048 }, { 0.00001, 512 }, { 0.0001, 128 },
		{ 0.001, 32 }, { 0.01, 8 }, { 0.1, 2 }
	};
	size_t		 i;

	for (i = 0; i < nitems(steps); i++)
		if (prob < steps[i].below)
			return p / steps[i].by;
	return p;
}

static void
update(struct sendq *sq, int64_t now)
{
	double	 p;

	p = ALPHA * (double)(sq->sq_delay - TARGET) / NSEC +
	    BETA * (double)(sq->sq_delay - sq->sq_old) / NSEC;
	p = scale(sq->sq_prob, p);
	if (sq->sq_prob >= 0.1 && p > 0.02)
		p = 0.02;
	/* The limit hides from the controller how far off it is. */
	if (sq->sq_delay >= LIMIT)
		p += 0.02;
	sq->sq_prob += p;
	if (sq->sq_delay == 0 && sq->sq_old == 0)
		sq->sq_prob *= 0.98;
	if (sq->sq_prob < 0)
		sq->sq_prob = 0;
	if (sq->sq_prob > 1)
		sq->sq_prob = 1;
	sq->sq_burst -= now - sq->sq_updated;
	if (sq->sq_prob == 0 && sq->sq_delay < TARGET / 2 &&
	    sq->sq_old < TARGET / 2)
		sq->sq_active = 0;
	sq->sq_old = sq->sq_delay;
	sq->sq_updated = now;
}

/* What goes in from here on did so at that time. */
static void
mark(struct sendq *sq, int64_t when)
{
	unsigned int	 slot = (sq->sq_nmarks - 1) % SENDQ_MARKS;

	if (sq->sq_nmarks != 0 &&
	    when - sq->sq_mark[slot].m_time < SENDQ_SAMPLE)
		return;
	slot = sq->sq_nmarks++ % SENDQ_MARKS;
	sq->sq_mark[slot].m_time = when;
	sq->sq_mark[slot].m_in = sq->sq_in;
}

/* What is known of the queue now: how long what goes in will wait. */
static void
sample(struct sendq *sq, int64_t wait, int64_t now)
{
	sq->sq_delay = wait;
	if (!sq->sq_active && sq->sq_delay > TARGET) {
		sq->sq_active = 1;
		sq->sq_told = 0;
		sq->sq_prob = sq->sq_accu = 0;
		sq->sq_burst = GRACE;
		sq->sq_old = sq->sq_delay;
		sq->sq_updated = now;
	}
	if (sq->sq_active && now - sq->sq_updated >= UPDATE)
		update(sq, now);
}

/* Nobody sent for a while: what was learnt is of another time. */
static void
forget(struct sendq *sq, int64_t now)
{
	if (now - sq->sq_sampled > NSEC) {
		sq->sq_active = 0;
		sq->sq_since = 0;
		sq->sq_rate = 0;
	}
	sq->sq_sampled = now;
}

void
sendq_sample(struct sendq *sq, size_t queued, int64_t now)
{
	forget(sq, now);
	/* A queue begins: nobody has looked at what is in it. */
	if (sq->sq_queued == 0 && queued > 0) {
		mark(sq, now - SENDQ_SAMPLE);
		sq->sq_in += queued;
	}
	sq->sq_queued = queued;
	sample(sq, delay(sq, queued, now), now);
}

void
sendq_sample_far(struct sendq *sq, int64_t wait, int64_t now)
{
	forget(sq, now);
	sample(sq, wait, now);
}

void
sendq_sent(struct sendq *sq, size_t before, size_t after)
{
	if (after <= before)
		return;
	mark(sq, sq->sq_sampled);
	sq->sq_in += after - before;
}

/* Begin one; what is two of them old is forgotten. */
static void
epoch(struct sendq *sq, int64_t now)
{
	unsigned int	 i;

	sq->sq_cur ^= 1;
	for (i = 0; i < 2; i++) {
		if (i != sq->sq_cur && now - sq->sq_epoch < 2 * EPOCH)
			continue;
		memset(sq->sq_flow[i], 0, sizeof(sq->sq_flow[i]));
		sq->sq_total[i] = 0;
	}
	sq->sq_epoch = now;
}

/*
 * Book a packet, and tell whether its flow hardly sends. It may share one of
 * its places with another, hardly both.
 */
static int
sparse(struct sendq *sq, uint32_t flow, size_t len, int64_t now)
{
	unsigned int	 cur, slot, way;
	uint32_t	 both, bytes = UINT32_MAX;

	if (now - sq->sq_epoch >= EPOCH)
		epoch(sq, now);
	cur = sq->sq_cur;
	for (way = 0; way < SENDQ_WAYS; way++) {
		slot = (flow >> (16 * way)) % SENDQ_FLOWS;
		sq->sq_flow[cur][way][slot] += len;
		both = sq->sq_flow[0][way][slot] + sq->sq_flow[1][way][slot];
		if (both < bytes)
			bytes = both;
	}
	sq->sq_total[cur] += len;
	return bytes <= SPARSE_BYTES ||
	    bytes < (sq->sq_total[0] + sq->sq_total[1]) / SPARSE_PART;
}

/* By the probability, but evenly (RFC 8033, 5.4). */
static int
unlucky(struct sendq *sq)
{
	sq->sq_accu += sq->sq_prob;
	if (sq->sq_accu < ACCU_MIN)
		return 0;
	if (sq->sq_accu < ACCU_MAX &&
	    arc4random() >= sq->sq_prob * (double)UINT32_MAX)
		return 0;
	sq->sq_accu = 0;
	return 1;
}

enum sendq_verdict
sendq_check(struct sendq *sq, uint32_t flow, size_t len, int ect, int64_t now)
{
	int	 few = sparse(sq, flow, len, now);

	if (few && sq->sq_delay < 2 * LIMIT)
		return SENDQ_PASS;
	if (sq->sq_delay >= LIMIT)
		return SENDQ_DROP;
	if (!sq->sq_told && sq->sq_delay >= FIRST)
		sq->sq_told = 1;
	else if (sq->sq_burst > 0 || sq->sq_prob == 0 ||
	    (sq->sq_delay < TARGET / 2 && sq->sq_prob < 0.2) || !unlucky(sq))
		return SENDQ_PASS;
	return ect && sq->sq_prob < MARK_MAX ? SENDQ_MARK : SENDQ_DROP;
}
