/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The queue before a link, simulated: a flood that does not listen, a flow
 * that does, one that hardly sends, and a link that takes everything.
 */

/* link: ../../netd/sendq.c */

#include <sys/types.h>

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/netd.h"
#include "../../netd/sendq.h"

#define PKT	1360
#define MEM	(PKT + 832)		/* as the kernel counts it */
#define TICK	(200 * 1000LL)		/* of the simulation */

/* A link: a queue without end, emptied at a rate of packets. */
struct link {
	struct sendq	 l_q;
	double		 l_rate;	/* packets a second */
	double		 l_credit;
	uint64_t	 l_queued;	/* packets */
	uint64_t	 l_out;
	int64_t		 l_now;
	int		 l_far;		/* known by its time, not its bytes */
};

/* They share one of the places where flows are counted, not both. */
#define BULK		7
#define SPARSE		(BULK | 9 << 16)

struct result {
	double		 r_delay;	/* mean, in ms, of the second half */
	double		 r_worst;	/* of the second half */
	double		 r_used;	/* part of the link */
	unsigned int	 r_lost;	/* packets of the sparse flow */
	unsigned int	 r_marked;
};

static void
link_tick(struct link *l)
{
	uint64_t	 n;

	l->l_now += TICK;
	l->l_credit += l->l_rate * TICK / NSEC;
	n = (uint64_t)l->l_credit;
	l->l_credit -= n;
	if (n > l->l_queued)
		n = l->l_queued;
	l->l_queued -= n;
	l->l_out += n;
	if (!sendq_due(&l->l_q, l->l_now))
		return;
	if (l->l_far)
		sendq_sample_far(&l->l_q, l->l_queued / l->l_rate * NSEC,
		    l->l_now);
	else
		sendq_sample(&l->l_q, l->l_queued * MEM, l->l_now);
}

static enum sendq_verdict
link_send(struct link *l, uint32_t flow, size_t len, int ect)
{
	enum sendq_verdict	 v = SENDQ_PASS;

	if (sendq_busy(&l->l_q))
		v = sendq_check(&l->l_q, flow, len, ect, l->l_now);
	if (v != SENDQ_DROP)
		l->l_queued++;
	if (v != SENDQ_DROP && sendq_busy(&l->l_q))
		sendq_sent(&l->l_q, (l->l_queued - 1) * MEM,
		    l->l_queued * MEM);
	return v;
}

/*
 * A sender of window packets a round trip that halves it once a round trip;
 * one that does not listen sends window packets a second.
 */
struct aimd {
	double		 a_window;
	double		 a_credit;
	int64_t		 a_cut;
	int		 a_listens;
	int		 a_ect;
};

static void
aimd_tick(struct aimd *a, struct link *l, struct result *r)
{
	int64_t			 rtt;
	enum sendq_verdict	 v;

	rtt = 20 * MSEC + (int64_t)(l->l_queued / l->l_rate * NSEC);
	a->a_credit += a->a_window * TICK / (a->a_listens ? rtt : NSEC);
	for (; a->a_credit >= 1; a->a_credit--) {
		v = link_send(l, BULK, PKT, a->a_ect);
		r->r_marked += v == SENDQ_MARK;
		if (!a->a_listens)
			continue;
		if (v == SENDQ_PASS)
			a->a_window += 1 / a->a_window;
		else if (l->l_now - a->a_cut > rtt) {
			a->a_window = a->a_window / 2 < 2 ? 2 :
			    a->a_window / 2;
			a->a_cut = l->l_now;
		}
	}
}

static void
simulate(double rate, int far, struct aimd *a, struct result *r)
{
	static struct link	 l;
	const int		 ticks = 20 * (NSEC / TICK);
	double			 ms, sum = 0;
	int			 i;

	memset(&l, 0, sizeof(l));
	memset(r, 0, sizeof(*r));
	l.l_rate = rate;
	l.l_far = far;
	l.l_now = 1000 * NSEC;
	for (i = 0; i < ticks; i++) {
		link_tick(&l);
		aimd_tick(a, &l, r);
		/* Twenty a second, as a shell or a lookup would send. */
		if (i % (int)(NSEC / TICK / 20) == 0 &&
		    link_send(&l, SPARSE, 200, 0) == SENDQ_DROP)
			r->r_lost++;
		if (i < ticks / 2)
			continue;
		ms = l.l_queued / rate * 1000;
		sum += ms;
		if (ms > r->r_worst)
			r->r_worst = ms;
	}
	r->r_delay = sum / (ticks - ticks / 2);
	r->r_used = l.l_out / (rate * 20);
}

static void
check(const char *what, const struct result *r, double delay, double used)
{
	if (r->r_delay > delay || r->r_worst > 160 || r->r_used < used ||
	    r->r_lost != 0)
		errx(1, "%s: delay %.1f ms, worst %.1f, used %.2f, lost %u",
		    what, r->r_delay, r->r_worst, r->r_used, r->r_lost);
}

int
main(void)
{
	static const double	 rates[] = { 400, 2000, 10000, 80000 };
	struct aimd		 a;
	struct result		 r;
	size_t			 i;

	for (i = 0; i < nitems(rates); i++) {
		a = (struct aimd){ .a_window = rates[i] / 40,
		    .a_listens = 1 };
		simulate(rates[i], 0, &a, &r);
		check("a flow that listens", &r, 30, 0.8);
		a = (struct aimd){ .a_window = rates[i] / 40,
		    .a_listens = 1, .a_ect = 1 };
		simulate(rates[i], 0, &a, &r);
		check("a flow with marks", &r, 30, 0.8);
		/* On the fastest, 20 s are too short to fill the queue. */
		if (r.r_marked == 0 && rates[i] < 20000)
			errx(1, "no marks");
		/* Ten times the link's rate, at an empty queue. */
		a = (struct aimd){ .a_window = rates[i] * 10 };
		simulate(rates[i], 0, &a, &r);
		check("a flood", &r, 60, 0.97);
		a = (struct aimd){ .a_window = rates[i] / 40,
		    .a_listens = 1 };
		simulate(rates[i], 1, &a, &r);
		check("a flow by a relay", &r, 30, 0.8);
		a = (struct aimd){ .a_window = rates[i] * 10 };
		simulate(rates[i], 1, &a, &r);
		check("a flood by a relay", &r, 60, 0.97);
	}
	return 0;
}
