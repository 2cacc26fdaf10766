/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What sizes a path carries: found out by pings of those sizes; without I/O.
 *
 * A path that answers small pings may lose all that is larger: a link of few
 * bytes in the middle, and nobody hears what its routers say. So a path is
 * trusted only when a ping as long as a full packet has been answered by it.
 * IPv4 is sent without DF, and routers cut what does not fit. In IPv6 this
 * host does so, once it knows: if several long pings are lost that is tried.
 * Where fragments do not pass either, the path is not for data.
 */

#include <sys/types.h>

#include <stdint.h>
#include <string.h>

#include "netd.h"
#include "pathmtu.h"

#define TRIES		5
#define TRY_FIRST	(150 * MSEC)	/* then twice that, and so on */
#define PROOF_LASTS	(40 * NSEC)
#define PROOF_OLD	(14 * NSEC)	/* the next heartbeat renews it */
#define ASK_AGAIN	(60 * NSEC)	/* for what it did not carry */
#define VOLLEYS		3
#define GROW_AGAIN	(600 * NSEC)
#define CUT_AFTER	3		/* tries in vain */
#define CUT_TRIES	1		/* of them forgotten then */
#define CUT_WAIT	(50 * MSEC)	/* until the system does so */
#define CUT_CHECK	(300 * NSEC)	/* it does for 600 s */
#define CHECKS		3
#define BULK		8192		/* bytes between two heartbeats */

/* Packets on the wire, as dataplane.md 2.10 has them. */
static const uint16_t	 wire_sizes[] = { 1400, 1500, 8000, 9000 };

static int64_t	 try_gap(const struct path_mtu *, int64_t);
static void	 check_begin(struct path_mtu *, int64_t);
static int	 can_cut(const struct addr *);
static void	 cut(struct path *, struct path_mtu *, const struct addr *,
		    int64_t, struct size_ping *);
static size_t	 check(struct path *, struct path_mtu *, const struct addr *,
		    int64_t, struct size_ping *);
static size_t	 test(struct path *, struct path_mtu *, const struct addr *,
		    int64_t, struct size_ping *);
static size_t	 due(struct path *, struct path_mtu *, const struct addr *,
		    int64_t, struct size_ping *);

/* What is known of that address; NULL: it is no way to the peer. */
struct path_mtu *
pathmtu_of(struct path *pa, const struct addr *a)
{
	unsigned int	 i;

	if (a->a_vni != 0)
		return addr_eq(a, &pa->pa_best) ? &pa->pa_via : NULL;
	for (i = 0; i < pa->pa_ncand; i++)
		if (addr_eq(&pa->pa_cand[i].pc_addr, a))
			return &pa->pa_cand[i].pc_mtu;
	return NULL;
}

int
pathmtu_fits(const struct path_mtu *m, int64_t now)
{
	return m != NULL && m->m_proven != 0 &&
	    now - m->m_proven < PROOF_LASTS;
}

int
pathmtu_unfit(const struct path_mtu *m)
{
	return m != NULL && m->m_proven == 0 && m->m_again != 0;
}

int
pathmtu_cut(const struct path_mtu *m)
{
	return m != NULL && m->m_cut != 0;
}

static int64_t
try_gap(const struct path_mtu *m, int64_t latency)
{
	return (TRY_FIRST << m->m_tries) + latency;
}

/* Now and then it is asked whether datagrams must be cut still. */
static void
check_begin(struct path_mtu *m, int64_t now)
{
	if (m->m_cut == 0 || m->m_check != 0 || now - m->m_cut < CUT_CHECK)
		return;
	m->m_checks = 0;
	m->m_check = now;
}

void
pathmtu_alive(struct path_mtu *m, int64_t latency, int64_t now)
{
	m->m_latency = latency;
	check_begin(m, now);
	if (pathmtu_fits(m, now) || m->m_next != 0 ||
	    (m->m_proven == 0 && now < m->m_again))
		return;
	m->m_tries = 0;
	m->m_told = 0;
	m->m_next = now;
}

void
pathmtu_proved(struct path_mtu *m, uint32_t how, int64_t sent)
{
	uint32_t	 len = PING_LEN(how);

	if (m->m_cut != 0 && (how & PING_DF) != 0) {
		m->m_whole = 1;
		m->m_check = sent;
	} else
		check_begin(m, sent);
	if (len > PATH_FULL && len > m->m_size)
		m->m_size = len;
	if (m->m_proven < sent)
		m->m_proven = sent;
	m->m_next = 0;
	m->m_again = 0;
	m->m_tries = 0;
}

/* It may have lost what it could; the system may still cut. */
void
pathmtu_doubt(struct path_mtu *m)
{
	int	 cut = pathmtu_cut(m);

	if (m == NULL)
		return;
	memset(m, 0, sizeof(*m));
	m->m_cut = cut;			/* long ago */
}

/* May this host cut what goes to there? */
static int
can_cut(const struct addr *a)
{
	return a->a_af == AF_WIRE_INET6 && !addr_is_linklocal(a) &&
	    !addr_is_loopback(a);
}

static void
cut(struct path *pa, struct path_mtu *m, const struct addr *a, int64_t now,
    struct size_ping *sp)
{
	m->m_cut = now;
	m->m_told = 1;
	m->m_check = 0;
	if (addr_eq(a, &pa->pa_best))
		pa->pa_nogso = NOGSO_CUT;
	sp->sp_addr = *a;
	sp->sp_how = SIZE_CUT;
}

/* One step of finding out whether datagrams must be cut still. */
static size_t
check(struct path *pa, struct path_mtu *m, const struct addr *a, int64_t now,
    struct size_ping *sp)
{
	if (m->m_check == 0 || m->m_check > now)
		return 0;
	sp->sp_addr = *a;
	if (m->m_whole) {
		m->m_cut = m->m_check = 0;
		m->m_whole = 0;
		sp->sp_how = SIZE_WHOLE;
	} else if (m->m_checks == CHECKS)
		cut(pa, m, a, now, sp);
	else {
		sp->sp_how = PATH_FULL | PING_TEST | PING_DF;
		m->m_check = now + (TRY_FIRST << m->m_checks++) +
		    m->m_latency;
	}
	return 1;
}

/* What has been tried in vain so often is not carried. */
static size_t
test(struct path *pa, struct path_mtu *m, const struct addr *a, int64_t now,
    struct size_ping *sp)
{
	if (m->m_next == 0 || m->m_next > now)
		return 0;
	if (m->m_tries == CUT_AFTER && !m->m_told && can_cut(a)) {
		cut(pa, m, a, now, sp);
		m->m_tries -= CUT_TRIES;
		m->m_next = now + CUT_WAIT;
		return 1;
	}
	if (m->m_tries == TRIES) {
		m->m_next = 0;
		m->m_proven = 0;
		m->m_again = now + ASK_AGAIN;
		return 0;
	}
	sp->sp_addr = *a;
	sp->sp_how = PATH_FULL | PING_TEST;
	m->m_next = now + try_gap(m, m->m_latency);
	m->m_tries++;
	return 1;
}

static size_t
due(struct path *pa, struct path_mtu *m, const struct addr *a, int64_t now,
    struct size_ping *sp)
{
	size_t	 n;

	n = check(pa, m, a, now, sp);
	return n + test(pa, m, a, now, sp + n);
}

size_t
pathmtu_due(struct path *pa, int64_t now, struct size_ping *sp, size_t max)
{
	unsigned int	 i;
	size_t		 n = 0;

	if (pa->pa_best.a_vni != 0 && max > 1)
		n += due(pa, &pa->pa_via, &pa->pa_best, now, sp);
	for (i = 0; i < pa->pa_ncand && max - n > 1; i++)
		n += due(pa, &pa->pa_cand[i].pc_mtu,
		    &pa->pa_cand[i].pc_addr, now, sp + n);
	return n;
}

static void
grow_ping(struct path *pa, uint32_t len, struct size_ping *sp)
{
	sp->sp_addr = pa->pa_best;
	sp->sp_how = len | PING_TEST | PING_DF;
}

size_t
pathmtu_grow(struct path *pa, uint32_t mtu, int64_t now, struct size_ping *sp,
    size_t max)
{
	struct path_mtu	*m = pathmtu_of(pa, &pa->pa_best);
	uint32_t	 hdr, len, want = mtu + WG_TRANSPORT_OVERHEAD;
	size_t		 i, n = 0;

	if (!path_trusted(pa, now) || !pathmtu_fits(m, now) ||
	    m->m_grow > now || max < nitems(wire_sizes) + 1)
		return 0;
	hdr = (pa->pa_best.a_af == AF_WIRE_INET6 ? 48 : 28) +
	    (pa->pa_best.a_vni != 0 ? 8 : 0);
	for (i = 0; i < nitems(wire_sizes) && m->m_volleys < VOLLEYS; i++) {
		len = wire_sizes[i] - hdr;
		if (len > PATH_FULL && len > m->m_size && len < want)
			grow_ping(pa, len, &sp[n++]);
	}
	if (want > PATH_FULL && want > m->m_size && m->m_volleys < VOLLEYS)
		grow_ping(pa, want, &sp[n++]);
	m->m_grow = now + (TRY_FIRST << m->m_volleys++) + m->m_latency;
	if (n == 0) {
		m->m_grown = 1;
		m->m_volleys = 0;
		m->m_grow = now + GROW_AGAIN;
	}
	return n;
}

uint32_t
pathmtu_limit(struct path *pa, int *sure)
{
	struct path_mtu	*m = pathmtu_of(pa, &pa->pa_best);

	*sure = m != NULL && m->m_grown;
	if (m == NULL || m->m_size == 0)
		return PATH_FULL - WG_TRANSPORT_OVERHEAD;
	return m->m_size - WG_TRANSPORT_OVERHEAD;
}

static int64_t
next_of(const struct path_mtu *m)
{
	int64_t	 when = m->m_next;

	if (when == 0 && m->m_volleys != 0)
		when = m->m_grow;
	if (m->m_check != 0 && (when == 0 || m->m_check < when))
		when = m->m_check;
	return when;
}

int64_t
pathmtu_next(const struct path *pa)
{
	int64_t		 next, when;
	unsigned int	 i;

	next = pa->pa_best.a_vni != 0 ? next_of(&pa->pa_via) : 0;
	for (i = 0; i < pa->pa_ncand; i++) {
		when = next_of(&pa->pa_cand[i].pc_mtu);
		if (when != 0 && (next == 0 || when < next))
			next = when;
	}
	return next;
}

/*
 * A long heartbeat proves both that the path lives and what it carries: now
 * and then, and always while much is being sent.
 */
uint32_t
pathmtu_heartbeat(struct path *pa, uint64_t tx, int64_t now)
{
	struct path_mtu	*m = pathmtu_of(pa, &pa->pa_best);
	int		 bulk = tx - pa->pa_tx >= BULK;

	pa->pa_tx = tx;
	if (pa->pa_nogso == NOGSO_CUT && !pathmtu_cut(m))
		pa->pa_nogso = 0;
	if (m == NULL || m->m_proven == 0 ||
	    (!bulk && now - m->m_proven < PROOF_OLD))
		return 0;
	return m->m_size == 0 ? PATH_FULL : m->m_size | PING_DF;
}
