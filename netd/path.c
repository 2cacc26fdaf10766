/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Where a peer is: candidates, pings, the best path; without I/O.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hardnat.h"
#include "netd.h"
#include "pathmtu.h"

#define BLIND_AFTER	3		/* quick tries without a pong */
#define EARLY_FIRST	(100 * MSEC)	/* then twice that, and so on */
#define GRACE_MIN	(500 * MSEC)	/* a pong may take that long */
#define GRACE_MAX	(2 * NSEC)
#define CMM_EVERY	NSEC		/* CallMeMaybe that a peer may send */
#define CMM_BURST	4
#define CMM_GAP		(5 * NSEC)	/* between ours */
#define CMM_GAP_EARLY	(250 * MSEC)

static struct path_cand	*cand_find(const struct path *,
			    const struct addr *);
static struct path_cand	*cand_add(struct path *, const struct addr *);
static void		 cand_delete(struct path *, struct path_cand *);
static void		 cand_clean(struct path *);
static void		 path_take(struct path *, const struct addr *);
static int		 worth(struct path *, const struct path_cand *,
			    int64_t, int64_t);
static void		 path_answered(struct path *,
			    const struct path_ping *, int64_t, int64_t);
static void		 min_deadline(int64_t *, int64_t);
static int64_t		 grace(const struct path *);
static int		 doubtful(const struct path *,
			    const struct path_ping *);
static int		 bonus(const struct addr *);

void
path_free(struct path *pa)
{
	if (pa == NULL)
		return;
	free(pa->pa_cand);
	free(pa->pa_ping);
	free(pa);
}

static struct path_cand *
cand_find(const struct path *pa, const struct addr *a)
{
	unsigned int	 i;

	for (i = 0; i < pa->pa_ncand; i++)
		if (addr_eq(&pa->pa_cand[i].pc_addr, a))
			return &pa->pa_cand[i];
	return NULL;
}

/* NULL: there are too many. */
static struct path_cand *
cand_add(struct path *pa, const struct addr *a)
{
	struct path_cand	*pc;

	if (pa->pa_ncand >= PATH_MAXCAND)
		return NULL;
	if (pa->pa_ncand % 4 == 0) {
		pa->pa_cand = reallocarray(pa->pa_cand, pa->pa_ncand + 4,
		    sizeof(*pa->pa_cand));
		if (pa->pa_cand == NULL)
			fatal(NULL);
	}
	pc = &pa->pa_cand[pa->pa_ncand++];
	memset(pc, 0, sizeof(*pc));
	pc->pc_addr = *a;
	return pc;
}

static void
cand_delete(struct path *pa, struct path_cand *pc)
{
	if (addr_eq(&pc->pc_addr, &pa->pa_best))
		memset(&pa->pa_best, 0, sizeof(pa->pa_best));
	*pc = pa->pa_cand[--pa->pa_ncand];
}

/* Those that nothing speaks for any more go. */
static void
cand_clean(struct path *pa)
{
	unsigned int	 i;

	for (i = 0; i < pa->pa_ncand; ) {
		if (pa->pa_cand[i].pc_flags == 0)
			cand_delete(pa, &pa->pa_cand[i]);
		else
			i++;
	}
}

void
path_netmap(struct path *pa, const struct addr *eps, size_t n)
{
	struct path_cand	*pc;
	unsigned int		 i;
	size_t			 j;

	for (i = 0; i < pa->pa_ncand; i++)
		pa->pa_cand[i].pc_flags &= ~CAND_NETMAP;
	for (j = 0; j < n; j++) {
		if ((pc = cand_find(pa, &eps[j])) == NULL) {
			if ((pc = cand_add(pa, &eps[j])) == NULL)
				continue;
			pa->pa_early = 0;	/* worth quick tries */
		}
		pc->pc_flags |= CAND_NETMAP;
	}
	cand_clean(pa);
}

/*
 * The bound is one a second, with some at once for the quick tries of the
 * peer: each makes us send pings to addresses of its choice.
 */
int
path_call(struct path *pa, const struct addr *eps, size_t n, int64_t now)
{
	struct path_cand	*pc;
	unsigned int		 i;
	size_t			 j;

	if (pa->pa_cmm_in < now)
		pa->pa_cmm_in = now;
	if (pa->pa_cmm_in - now >= CMM_BURST * CMM_EVERY)
		return -1;
	pa->pa_cmm_in += CMM_EVERY;
	for (i = 0; i < pa->pa_ncand; i++)
		pa->pa_cand[i].pc_flags &= ~CAND_CALL;
	for (j = 0; j < n && j < PATH_MAXCALL; j++) {
		if ((pc = cand_find(pa, &eps[j])) == NULL &&
		    (pc = cand_add(pa, &eps[j])) == NULL)
			continue;
		pc->pc_flags |= CAND_CALL;
	}
	cand_clean(pa);
	for (i = 0; i < pa->pa_ncand; i++)
		pa->pa_cand[i].pc_last_ping = 0;
	return 0;
}

int
path_may_call(struct path *pa, int64_t now)
{
	int64_t	 gap;

	gap = pa->pa_early_next != 0 ? CMM_GAP_EARLY : CMM_GAP;
	if (pa->pa_cmm_out != 0 && now - pa->pa_cmm_out < gap)
		return 0;
	pa->pa_cmm_out = now;
	return 1;
}

int
path_pinged(struct path *pa, const struct addr *from, const uint8_t *txid,
    int64_t now)
{
	struct path_cand	*pc;

	if ((pc = cand_find(pa, from)) == NULL) {
		if (pa->pa_ncand >= PATH_MAXCAND)
			path_expire(pa, now);
		if ((pc = cand_add(pa, from)) == NULL)
			return 0;
		pa->pa_early = 0;
	} else if (pc->pc_flags & CAND_PING &&
	    memcmp(pc->pc_txid, txid, sizeof(pc->pc_txid)) == 0)
		return 1;
	pc->pc_flags |= CAND_PING;
	pc->pc_seen = now;
	memcpy(pc->pc_txid, txid, sizeof(pc->pc_txid));
	return 0;
}

size_t
path_pick(struct path *pa, int64_t now, int64_t gap, struct addr *out,
    size_t max)
{
	struct path_cand	*pc;
	unsigned int		 i;
	size_t			 n = 0;

	for (i = 0; i < pa->pa_ncand && n < max; i++) {
		pc = &pa->pa_cand[i];
		if (pc->pc_last_ping == 0 || now - pc->pc_last_ping >= gap)
			out[n++] = pc->pc_addr;
	}
	return n;
}

void
path_ping_sent(struct path *pa, const struct addr *to, const uint8_t *txid,
    enum ping_why why, uint32_t how, int64_t now)
{
	struct path_cand	*pc;
	struct path_ping	*pp, *old;
	unsigned int		 i;

	if (pa->pa_ping == NULL) {
		pa->pa_ping = calloc(PATH_MAXPINGS, sizeof(*pa->pa_ping));
		if (pa->pa_ping == NULL)
			fatal(NULL);
	}
	old = pa->pa_ping;
	for (i = 0; i < PATH_MAXPINGS; i++) {
		pp = &pa->pa_ping[i];
		if (!pp->pp_used) {
			old = pp;
			break;
		}
		if (pp->pp_sent < old->pp_sent)
			old = pp;
	}
	old->pp_addr = *to;
	old->pp_sent = now;
	old->pp_why = why;
	old->pp_how = how;
	old->pp_used = 1;
	memcpy(old->pp_txid, txid, sizeof(old->pp_txid));
	if ((pc = cand_find(pa, to)) != NULL && PING_LEN(how) == 0)
		pc->pc_last_ping = now;
}

static void
path_take(struct path *pa, const struct addr *a)
{
	if (!addr_eq(&pa->pa_best, a)) {
		pa->pa_nogso = 0;
		memset(&pa->pa_via, 0, sizeof(pa->pa_via));
	}
	pa->pa_best = *a;
	if (pa->pa_nogso == 0 && pathmtu_cut(pathmtu_of(pa, a)))
		pa->pa_nogso = NOGSO_CUT;
}

/*
 * A candidate has answered: is it to be the best? One that carries full
 * packets goes before one of which that is not known, and that before one
 * that does not; whole ones before fragments.
 */
static int
worth(struct path *pa, const struct path_cand *pc, int64_t latency,
    int64_t now)
{
	const struct path_mtu	*best;
	int			 better, a, b;

	if (pa->pa_best.a_af == 0)
		return 1;
	best = pathmtu_of(pa, &pa->pa_best);
	better = path_better(&pc->pc_addr, latency, &pa->pa_best,
	    pa->pa_latency);
	a = pathmtu_cut(&pc->pc_mtu);
	b = pathmtu_cut(best);
	if (pathmtu_fits(&pc->pc_mtu, now))
		return now > pa->pa_trusted || (a == b ? better : b);
	if (pathmtu_fits(best, now))
		return 0;
	if (now - pa->pa_answered >= PATH_PING_TIMEOUT)
		return 1;
	a = pathmtu_unfit(&pc->pc_mtu);
	b = pathmtu_unfit(best);
	return a == b ? better : b;
}

/* The best path has answered: that may be enough to trust it. */
static void
path_answered(struct path *pa, const struct path_ping *pp, int64_t latency,
    int64_t now)
{
	struct path_mtu	*m = pathmtu_of(pa, &pa->pa_best);

	if (pathmtu_fits(m, now)) {
		path_trust(pa, latency, pp->pp_sent, now);
		return;
	}
	pa->pa_latency = latency;
	if (pa->pa_answered < pp->pp_sent)
		pa->pa_answered = pp->pp_sent;
}

/*
 * A pong over a relay tells of no direct path. One over a peer relay is for
 * the caller to judge, unless that path is in use.
 */
int
path_pong(struct path *pa, const uint8_t *txid, int64_t now,
    struct path_ping *ping, int64_t *latency)
{
	struct path_cand	*pc = NULL;
	struct path_ping	*pp = NULL;
	struct path_mtu		*m;
	unsigned int		 i;

	for (i = 0; pa->pa_ping != NULL && i < PATH_MAXPINGS; i++) {
		pp = &pa->pa_ping[i];
		if (pp->pp_used && memcmp(pp->pp_txid, txid,
		    sizeof(pp->pp_txid)) == 0)
			break;
	}
	if (pa->pa_ping == NULL || i == PATH_MAXPINGS)
		return -1;
	*ping = *pp;
	*latency = now - pp->pp_sent;
	pp->pp_used = 0;
	if (*latency > PATH_PING_TIMEOUT)
		return -1;
	if (*latency <= 0)
		*latency = 1;
	if (ping->pp_addr.a_af == ADDR_DERP)
		return 0;
	if (ping->pp_addr.a_vni == 0) {
		if ((pc = cand_find(pa, &ping->pp_addr)) == NULL)
			return -1;
		pc->pc_latency = *latency;
		pc->pc_seen = now;	/* the peer need not ask, too */
	}
	if ((m = pathmtu_of(pa, &ping->pp_addr)) == NULL)
		return 0;
	if (PING_LEN(ping->pp_how) >= PATH_FULL)
		pathmtu_proved(m, ping->pp_how, ping->pp_sent);
	else
		pathmtu_alive(m, *latency, now);
	if (pc != NULL && worth(pa, pc, *latency, now))
		path_take(pa, &ping->pp_addr);
	if (addr_eq(&pa->pa_best, &ping->pp_addr))
		path_answered(pa, ping, *latency, now);
	return 0;
}

/* The best path has answered a ping of that time. */
void
path_trust(struct path *pa, int64_t latency, int64_t sent, int64_t now)
{
	pa->pa_latency = latency;
	pa->pa_trusted = now + PATH_TRUST;
	if (pa->pa_answered < sent)
		pa->pa_answered = sent;
	pa->pa_early_next = 0;
}

/* A path over a peer relay has answered: take it if it is worth that. */
int
path_install(struct path *pa, const struct addr *a, const uint8_t *server,
    int64_t latency, int64_t sent, int64_t now)
{
	if (path_trusted(pa, now) && !addr_eq(&pa->pa_best, a) &&
	    (pa->pa_best.a_vni == 0 ||
	    memcmp(pa->pa_server, server, sizeof(pa->pa_server)) != 0) &&
	    !path_better(a, latency, &pa->pa_best, pa->pa_latency))
		return 0;
	path_take(pa, a);
	memcpy(pa->pa_server, server, sizeof(pa->pa_server));
	pathmtu_alive(&pa->pa_via, latency, now);
	if (pathmtu_fits(&pa->pa_via, now))
		path_trust(pa, latency, sent, now);
	else {
		pa->pa_latency = latency;
		pa->pa_trusted = 0;
		pa->pa_answered = sent;
	}
	return 1;
}

/* How long a pong of the best path may be missing before it is doubted. */
static int64_t
grace(const struct path *pa)
{
	int64_t	 g = 4 * pa->pa_latency;

	return g < GRACE_MIN ? GRACE_MIN : g > GRACE_MAX ? GRACE_MAX : g;
}

/* When the latest full-size ping that the best path answered was sent. */
static int64_t
best_proven(const struct path *pa)
{
	unsigned int	 i;

	if (pa->pa_best.a_vni != 0)
		return pa->pa_via.m_proven;
	for (i = 0; i < pa->pa_ncand; i++)
		if (addr_eq(&pa->pa_cand[i].pc_addr, &pa->pa_best))
			return pa->pa_cand[i].pc_mtu.m_proven;
	return 0;
}

/*
 * Does this ping decide whether the best path is still there? A short one
 * that was answered later says nothing of what a long one asked.
 */
static int
doubtful(const struct path *pa, const struct path_ping *pp)
{
	if (!pp->pp_used || (pp->pp_how & PING_TEST) != 0 ||
	    pp->pp_sent > pa->pa_trusted ||
	    !addr_eq(&pp->pp_addr, &pa->pa_best))
		return 0;
	if (PING_LEN(pp->pp_how) != 0 && best_proven(pa) != 0)
		return pp->pp_sent > best_proven(pa);
	return pp->pp_sent > pa->pa_answered;
}

int
path_expire(struct path *pa, int64_t now)
{
	struct path_cand	*pc;
	struct path_ping	*pp;
	unsigned int		 i;
	int			 doubt = 0;

	for (i = 0; pa->pa_ping != NULL && i < PATH_MAXPINGS; i++) {
		pp = &pa->pa_ping[i];
		if (doubtful(pa, pp) && now - pp->pp_sent >= grace(pa)) {
			if (PING_LEN(pp->pp_how) != 0)
				pathmtu_doubt(pathmtu_of(pa, &pa->pa_best));
			pa->pa_trusted = pp->pp_sent - 1;
			pa->pa_early = 0;
			pa->pa_early_next = 0;
			doubt = 1;
		}
		if (!pp->pp_used || now - pp->pp_sent < PATH_PING_TIMEOUT)
			continue;
		pp->pp_used = 0;
		if (PING_LEN(pp->pp_how) != 0)
			continue;
		/* On a bad link pings may be lost while data arrives. */
		if (now > pa->pa_trusted && now > pa->pa_data_until &&
		    addr_eq(&pp->pp_addr, &pa->pa_best))
			memset(&pa->pa_best, 0, sizeof(pa->pa_best));
	}
	for (i = 0; i < pa->pa_ncand; i++) {
		pc = &pa->pa_cand[i];
		if (pc->pc_flags & CAND_PING &&
		    now - pc->pc_seen >= PATH_ACTIVE)
			pc->pc_flags &= ~CAND_PING;
	}
	cand_clean(pa);
	return doubt;
}

/* What does not carry full packets serves only if there is nothing else. */
int
path_dest(struct path *pa, int64_t now, uint16_t relay, int up,
    struct path_to *to)
{
	memset(to, 0, sizeof(*to));
	if (pa->pa_best.a_af != 0) {
		to->pt_relay = now <= pa->pa_trusted ? 0 : relay;
		if (to->pt_relay == 0 || !up ||
		    !pathmtu_unfit(pathmtu_of(pa, &pa->pa_best)))
			to->pt_addr = pa->pa_best;
		return 1;
	}
	to->pt_relay = relay;
	if (!up && now < pa->pa_fallback_until)
		to->pt_addr = pa->pa_fallback;
	return relay != 0 || to->pt_addr.a_af != 0;
}

int
path_trusted(const struct path *pa, int64_t now)
{
	return pa->pa_best.a_af != 0 && now <= pa->pa_trusted;
}

int
path_want_full(const struct path *pa, int64_t now)
{
	if (pa->pa_full_ping == 0 || !path_trusted(pa, now) ||
	    pa->pa_best.a_vni != 0)
		return 1;
	if (pa->pa_latency <= PATH_GOOD_ENOUGH)
		return 0;
	return now - pa->pa_full_ping >= PATH_UPGRADE;
}

void
path_external(struct path *pa, int64_t now)
{
	if (pa->pa_external == 0 || now - pa->pa_external >= PATH_ACTIVE)
		pa->pa_early = 0;
	pa->pa_external = now;
	if (pa->pa_heartbeat == 0)
		pa->pa_heartbeat = now + PATH_HEARTBEAT;
}

/*
 * An address that cannot be reached is none; of others, such as one that a
 * firewall forbids, only the trust is gone.
 */
void
path_error(struct path *pa, const struct addr *a, int error)
{
	struct path_cand	*pc;

	if (addr_eq(&pa->pa_fallback, a))
		pa->pa_fallback_until = 0;
	if (addr_eq(&pa->pa_best, a))
		pa->pa_trusted = 0;
	if (error != EHOSTUNREACH && error != ENETUNREACH)
		return;
	if ((pc = cand_find(pa, a)) != NULL)
		pc->pc_latency = 0;
	if (addr_eq(&pa->pa_best, a))
		memset(&pa->pa_best, 0, sizeof(pa->pa_best));
}

void
path_heard(struct path *pa, const struct addr *from, int64_t now)
{
	pa->pa_fallback = *from;
	pa->pa_fallback_until = now + PATH_FALLBACK;
}

size_t
path_blind(const struct path *pa, int64_t now, struct addr *out, size_t max)
{
	unsigned int	 i;
	size_t		 n = 0;

	if (pa->pa_early < BLIND_AFTER || pa->pa_best.a_af != 0 ||
	    now < pa->pa_fallback_until)
		return 0;
	for (i = 0; i < pa->pa_ncand && n < max; i++)
		if (pa->pa_cand[i].pc_flags & CAND_NETMAP)
			out[n++] = pa->pa_cand[i].pc_addr;
	return n;
}

void
path_data(struct path *pa, const struct addr *from, int silent, int64_t now)
{
	const struct path_mtu	*m;

	if (!addr_eq(from, &pa->pa_best))
		return;
	pa->pa_data_until = now + PATH_TRUST;
	m = silent ? pathmtu_of(pa, from) : NULL;
	if (m != NULL && m->m_proven != 0)
		pa->pa_trusted = now + PATH_TRUST;
}

void
path_reset(struct path *pa)
{
	unsigned int	 i;

	memset(&pa->pa_best, 0, sizeof(pa->pa_best));
	pa->pa_trusted = pa->pa_fallback_until = pa->pa_full_ping = 0;
	pa->pa_data_until = pa->pa_cmm_out = 0;
	pa->pa_early = 0;
	pa->pa_early_next = 0;
	pa->pa_nogso = 0;
	for (i = 0; i < pa->pa_ncand; i++) {
		pa->pa_cand[i].pc_last_ping = pa->pa_cand[i].pc_latency = 0;
		pathmtu_doubt(&pa->pa_cand[i].pc_mtu);
	}
}

int
path_has_sock(const struct path *pa, unsigned int sock)
{
	unsigned int	 i;

	if (pa->pa_best.a_sock == sock)
		return 1;
	for (i = 0; i < pa->pa_ncand; i++)
		if (pa->pa_cand[i].pc_addr.a_sock == sock)
			return 1;
	return 0;
}

void
path_drop_sock(struct path *pa, unsigned int sock)
{
	unsigned int	 i;

	for (i = 0; i < pa->pa_ncand; i++)
		if (pa->pa_cand[i].pc_addr.a_sock == sock)
			pa->pa_cand[i].pc_flags = 0;
	cand_clean(pa);
	if (pa->pa_best.a_sock == sock)
		memset(&pa->pa_best, 0, sizeof(pa->pa_best));
	if (pa->pa_fallback.a_sock == sock)
		pa->pa_fallback_until = 0;
}

static void
min_deadline(int64_t *best, int64_t when)
{
	if (when != 0 && (*best == 0 || when < *best))
		*best = when;
}

int64_t
path_next(const struct path *pa)
{
	const struct path_ping	*pp;
	int64_t			 next = 0;
	unsigned int		 i;

	min_deadline(&next, pa->pa_heartbeat);
	min_deadline(&next, pa->pa_early_next);
	min_deadline(&next, pathmtu_next(pa));
	for (i = 0; pa->pa_ping != NULL && i < PATH_MAXPINGS; i++) {
		pp = &pa->pa_ping[i];
		if (pp->pp_used)
			min_deadline(&next, pp->pp_sent + PATH_PING_TIMEOUT);
		if (doubtful(pa, pp))
			min_deadline(&next, pp->pp_sent + grace(pa));
	}
	for (i = 0; i < pa->pa_ncand; i++)
		if (pa->pa_cand[i].pc_flags & CAND_PING)
			min_deadline(&next,
			    pa->pa_cand[i].pc_seen + PATH_ACTIVE);
	return next;
}

/* What speaks for an address besides its latency, in points of 100. */
static int
bonus(const struct addr *a)
{
	int	 n = 0;

	if (addr_is_loopback(a))
		n = 50;
	else if (addr_is_linklocal(a))
		n = 30;
	else if (addr_is_private(a))
		n = 20;
	return a->a_af == AF_WIRE_INET6 ? n + 10 : n;
}

int
path_better(const struct addr *a, int64_t alat, const struct addr *b,
    int64_t blat)
{
	int	 ap = 0, bp = 0;

	if (b->a_af == 0)
		return 1;
	if (a->a_af == 0 || addr_eq(a, b))
		return 0;
	if ((a->a_vni == 0) != (b->a_vni == 0))
		return a->a_vni == 0;
	if (alat > blat && alat > 0)
		bp = 100 - (int)(blat * 100 / alat);
	else if (blat > 0)
		ap = 100 - (int)(alat * 100 / blat);
	ap += bonus(a);
	bp += bonus(b);
	if (ap <= 1 && bp == 0)
		return 0;
	return ap > bp;
}

int64_t
path_early_delay(const struct path *pa)
{
	return EARLY_FIRST << pa->pa_early;
}
