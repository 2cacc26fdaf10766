/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A path between a hard NAT and one that lets in only answers: one node
 * opens many sockets, the other probes ports until one meets them. Who and
 * how often is hnrule.c's.
 *
 * The two agree by their relay: whoever sees traffic stay there offers, with
 * what its NAT is like and its outside address. A hard one that meets one
 * that is not opens sockets, pings the other's address by each of them, and
 * says that they are ready; the other then pings ports of the first's
 * address. What arrives is an ordinary ping with its sender's box around it:
 * all the rest is the usual search for a path, in which an address may be
 * one that only a certain socket reaches.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disco.h"
#include "hardnat.h"

#define TICK		(20 * MSEC)
#define TICK_SLOW	(10 * NSEC)	/* while sockets are kept */
#define ASK_TIME	(5 * NSEC)	/* for the parent to answer */
#define OPEN_TIME	(14 * NSEC)	/* longer than all probes take */
#define HIT_TIME	(2 * NSEC)	/* for a better one to show up */
#define LAST_TIME	(2 * NSEC)	/* for the last probe's answer */
#define PINGS_TICK	2		/* of a bundle, to keep it open */
#define PROBES_TICK	8		/* at most: no bursts after a delay */
#define SOCKS_MIN	16		/* fewer are not worth it */

enum bundle_state {
	BUNDLE_NONE,
	BUNDLE_ASKED,			/* the parent makes sockets */
	BUNDLE_OPEN,
	BUNDLE_HIT			/* one of them has met a probe */
};

/* Sockets that are open towards a peer; there is one such try at a time. */
static struct {
	enum bundle_state b_state;
	uint64_t	 b_peer;
	struct addr	 b_to;
	int64_t		 b_begun;
	int64_t		 b_until;
	unsigned int	 b_n;		/* sockets */
	unsigned int	 b_next;	/* to ping again */
} bundle;

/* Ports of a peer that are being probed. */
static struct spray {
	uint64_t	 s_peer;	/* 0: free */
	struct addr	 s_to;
	int64_t		 s_begun;
	int64_t		 s_last;
	uint32_t	 s_start;
	unsigned int	 s_sent;
} sprays[HN_SPRAYS];

static struct {
	unsigned int	 offers, opened, sprayed, worked;
	uint64_t	 probes;
} stats;

static struct hn_limits	 limits;
static uint64_t		 owner[HN_SOCKS + 1];	/* peer; 0: not open */
static unsigned int	 nowned;
static struct event	 ev_tick;
static int		 ticking;	/* 0: no; 1: slowly; 2: it does */

static void	 tick_set(void);
static void	 tick_cb(int, short, void *);
static int	 outside(struct addr *, int *);
static int	 lacks(const struct peer *, int64_t);
static int	 found(const struct peer *, int64_t);
static void	 tell(struct peer *, enum disco_stage, unsigned int);
static int	 heard_addr(const struct disco_msg *, struct addr *);
static void	 sock_close(unsigned int);
static void	 socks_ask(void);
static void	 bundle_start(struct peer *, const struct addr *, int64_t);
static void	 bundle_ready(struct peer *, int64_t);
static void	 bundle_end(void);
static void	 bundle_tick(int64_t);
static void	 spray_start(struct peer *, const struct addr *, int64_t);
static void	 spray_tick(struct spray *, int64_t);
static void	 kept_check(void);

LOCKED_CB(tick_cb)

/* --- the clock ----------------------------------------------------------- */

/* Quick while something is under way, slow while sockets are kept. */
static void
tick_set(void)
{
	static int	 ready;
	struct timeval	 tv = { TICK_SLOW / NSEC, 0 };
	int		 want = nowned > 0;
	unsigned int	 i;

	if (bundle.b_state != BUNDLE_NONE)
		want = 2;
	for (i = 0; i < HN_SPRAYS; i++)
		if (sprays[i].s_peer != 0)
			want = 2;
	if (!ready) {
		evtimer_set(&ev_tick, tick_cb_locked, NULL);
		ready = 1;
	}
	if (want == ticking && want != 2)
		return;
	ticking = want;
	if (want == 2) {
		tv.tv_sec = 0;
		tv.tv_usec = TICK / 1000;
	}
	if (want == 0)
		evtimer_del(&ev_tick);
	else
		evtimer_add(&ev_tick, &tv);
}

static void
tick_cb(int fd, short events, void *arg)
{
	int64_t		 now = os_now();
	unsigned int	 i;

	if (ticking == 1)
		kept_check();
	ticking = 0;
	if (bundle.b_state != BUNDLE_NONE)
		bundle_tick(now);
	for (i = 0; i < HN_SPRAYS; i++)
		if (sprays[i].s_peer != 0)
			spray_tick(&sprays[i], now);
	tick_set();
}

/* --- what is so ---------------------------------------------------------- */

/* Our own outside address, and whether its NAT is hard; -1: not known. */
static int
outside(struct addr *a, int *hard)
{
	const struct nc_facts	*f = netcheck_facts();
	size_t			 i;

	*hard = f->f_varies;
	for (i = 0; i < f->f_n; i++)
		if (f->f_addr[i].a_af == AF_WIRE_INET) {
			*a = f->f_addr[i];
			return *hard != -1 && hn_addr_ok(a) ? 0 : -1;
		}
	return -1;
}

/* Do we talk to it, and is there no direct path? */
static int
lacks(const struct peer *p, int64_t now)
{
	const struct path	*pa = p->p_path;
	int			 up;

	return nd.n_conf.hardnat && (nd.n_self.flags & SELF_ONLY_443) == 0 &&
	    pa != NULL && pa->pa_external != 0 &&
	    now - pa->pa_external < PATH_ACTIVE && !found(p, now) &&
	    (p->p_flags & PEER_WGONLY) == 0 && peer_relay(p, &up) != 0 && up;
}

static int
found(const struct peer *p, int64_t now)
{
	return p->p_path != NULL && path_trusted(p->p_path, now) &&
	    p->p_path->pa_best.a_vni == 0;
}

/* --- messages ------------------------------------------------------------ */

static void
tell(struct peer *p, enum disco_stage stage, unsigned int socks)
{
	struct disco_msg	 dm;
	struct addr		 a;
	int			 hard;

	if (outside(&a, &hard) == -1)
		return;
	memset(&dm, 0, sizeof(dm));
	dm.dm_type = DISCO_HARD_NAT;
	dm.dm_stage = stage;
	dm.dm_hard = hard;
	dm.dm_count = socks;
	dm.dm_src.da_v4 = 1;
	dm.dm_src.da_port = a.a_port;
	memcpy(dm.dm_src.da_addr, a.a_ip, 4);
	(void)disco_by_relay(p, &dm);
}

/* Where the peer is, as it says; -1: nowhere that we would send to. */
static int
heard_addr(const struct disco_msg *dm, struct addr *a)
{
	struct addr	 own;
	int		 hard;

	memset(a, 0, sizeof(*a));
	if (!dm->dm_src.da_v4)
		return -1;
	a->a_af = AF_WIRE_INET;
	a->a_port = dm->dm_src.da_port;
	memcpy(a->a_ip, dm->dm_src.da_addr, 4);
	if (!hn_addr_ok(a) || endpoints_local(a) ||
	    outside(&own, &hard) == -1 || memcmp(own.a_ip, a->a_ip, 4) == 0)
		return -1;
	return 0;
}

/*
 * At a heartbeat, so the quick tries are over. One packet is no traffic: it
 * must still go on at the second heartbeat.
 */
void
hardnat_consider(struct peer *p, int64_t now)
{
	struct addr	 a;
	int		 hard;

	if (!lacks(p, now) || now - p->p_path->pa_external >= PATH_HEARTBEAT ||
	    outside(&a, &hard) == -1 ||
	    (hard && bundle.b_state != BUNDLE_NONE) ||
	    !hn_begin(&limits, p->p_id, now))
		return;
	stats.offers++;
	tell(p, DISCO_HN_OFFER, 0);
}

void
hardnat_in(struct peer *p, const struct disco_msg *dm, int64_t now)
{
	struct addr	 a, own;
	enum hn_role	 role;
	int		 hard;

	if (!lacks(p, now) || outside(&own, &hard) == -1 ||
	    heard_addr(dm, &a) == -1)
		return;
	role = hn_role(hard, dm->dm_hard);
	if (role == HN_NONE)
		return;
	if (dm->dm_stage == DISCO_HN_OFFER &&
	    !hn_agreed(&limits, p->p_id, now, 0) &&
	    !hn_begin(&limits, p->p_id, now))
		return;
	if (role == HN_OPENS && dm->dm_stage != DISCO_HN_READY)
		bundle_start(p, &a, now);
	else if (role == HN_SPRAYS_PORTS && dm->dm_stage == DISCO_HN_OFFER)
		tell(p, DISCO_HN_ACCEPT, 0);
	else if (role == HN_SPRAYS_PORTS && dm->dm_stage == DISCO_HN_READY)
		spray_start(p, &a, now);
}

/* --- many sockets -------------------------------------------------------- */

static void
sock_close(unsigned int n)
{
	struct peer	*p = peer_find(owner[n]);

	if (p != NULL && p->p_path != NULL)
		path_drop_sock(p->p_path, n);
	udp_more_close(n);
	owner[n] = 0;
	nowned--;
}

static void
socks_ask(void)
{
	struct msg_u32	 m;

	m.v = HN_SOCKS - nowned;
	if (m.v > PROBE_SOCKS_MAX)
		m.v = PROBE_SOCKS_MAX;
	(void)chan_compose(proc_parent(), IMSG_PROBE_SOCKS_REQ, 0, -1, &m,
	    sizeof(m));
}

/* What was kept for this peer has been of no use. */
static void
bundle_start(struct peer *p, const struct addr *to, int64_t now)
{
	unsigned int	 i;

	if (bundle.b_state != BUNDLE_NONE ||
	    !hn_agreed(&limits, p->p_id, now, 1))
		return;
	for (i = 1; i <= HN_SOCKS; i++)
		if (owner[i] == p->p_id)
			sock_close(i);
	if (nowned >= HN_KEPT)
		return;
	memset(&bundle, 0, sizeof(bundle));
	bundle.b_state = BUNDLE_ASKED;
	bundle.b_peer = p->p_id;
	bundle.b_to = *to;
	bundle.b_begun = now;
	bundle.b_until = now + ASK_TIME;
	stats.opened++;
	socks_ask();
	tick_set();
}

/* One that nobody waits for any more may still come. */
int
hardnat_sock(int fd, const struct msg_udp *m)
{
	struct peer	*p = peer_find(bundle.b_peer);
	struct addr	 to = bundle.b_to;
	unsigned int	 i;

	if (m->af != AF_WIRE_INET) {
		close(fd);
		return -1;
	}
	for (i = 1; i <= HN_SOCKS && owner[i] != 0; i++)
		;
	if (bundle.b_state != BUNDLE_ASKED || p == NULL || i > HN_SOCKS) {
		close(fd);
		return 0;
	}
	udp_more_set(i, fd, m);
	owner[i] = p->p_id;
	nowned++;
	bundle.b_n++;
	to.a_sock = i;
	disco_probe(p, &to);
	return 0;
}

int
hardnat_socks_end(uint32_t given)
{
	struct peer	*p = peer_find(bundle.b_peer);

	if (bundle.b_state != BUNDLE_ASKED)
		return 0;
	if (p != NULL && given > 0 && nowned < HN_SOCKS)
		socks_ask();
	else if (p != NULL && bundle.b_n >= SOCKS_MIN)
		bundle_ready(p, os_now());
	else
		bundle_end();
	return 0;
}

static void
bundle_ready(struct peer *p, int64_t now)
{
	char	 text[ADDR_TEXT];

	bundle.b_state = BUNDLE_OPEN;
	bundle.b_until = now + OPEN_TIME;
	log_info("hard NAT: %u sockets open towards %s", bundle.b_n,
	    addr_print(&bundle.b_to, text));
	tell(p, DISCO_HN_READY, bundle.b_n);
}

/* All but the one that is in use, if any. */
static void
bundle_end(void)
{
	struct peer	*p = peer_find(bundle.b_peer);
	unsigned int	 i, keep = 0;

	if (p != NULL && p->p_path != NULL && bundle.b_state == BUNDLE_HIT)
		keep = p->p_path->pa_best.a_sock;
	for (i = 1; i <= HN_SOCKS; i++)
		if (owner[i] != 0 && owner[i] == bundle.b_peer && i != keep)
			sock_close(i);
	memset(&bundle, 0, sizeof(bundle));
	tick_set();
}

/*
 * The pings keep the NAT's ports open; and they pass where a probe was sent
 * before its port had been opened.
 */
static void
bundle_tick(int64_t now)
{
	struct peer	*p = peer_find(bundle.b_peer);
	struct addr	 to = bundle.b_to;
	unsigned int	 i;

	if (p == NULL || now >= bundle.b_until) {
		bundle_end();
		return;
	}
	if (bundle.b_state == BUNDLE_OPEN && found(p, now)) {
		to = p->p_path->pa_best;
		bundle.b_state = BUNDLE_HIT;
		bundle.b_until = now + HIT_TIME;
		hn_worked(&limits, p->p_id);
		stats.worked++;
		log_info("hard NAT: direct by socket %u, %lld ms after it "
		    "was agreed", to.a_sock,
		    (long long)((now - bundle.b_begun) / MSEC));
		if (to.a_sock != 0)
			udp_offloads(udp_sock_for(&to));
	}
	for (i = 0; i < PINGS_TICK && bundle.b_state == BUNDLE_OPEN; i++) {
		bundle.b_next = bundle.b_next % HN_SOCKS + 1;
		to.a_sock = bundle.b_next;
		if (owner[to.a_sock] == bundle.b_peer)
			disco_probe(p, &to);
	}
}

/* Our own side may have no traffic, and so no search under way. */
void
hardnat_pinged(struct peer *p, const struct addr *src, int64_t now)
{
	if (!found(p, now))
		disco_ping_at(p, src, now);
}

/* Those that no path uses any more. */
static void
kept_check(void)
{
	struct peer	*p;
	unsigned int	 i;

	for (i = 1; i <= HN_SOCKS && nowned > 0; i++) {
		if (owner[i] == 0)
			continue;
		p = peer_find(owner[i]);
		if (p == NULL || p->p_path == NULL ||
		    !path_has_sock(p->p_path, i))
			sock_close(i);
	}
}

/* --- many ports ---------------------------------------------------------- */

static void
spray_start(struct peer *p, const struct addr *to, int64_t now)
{
	struct spray	*s = NULL;
	unsigned int	 i;

	for (i = 0; i < HN_SPRAYS; i++)
		if (sprays[i].s_peer == 0)
			s = &sprays[i];
	if (s == NULL || !hn_agreed(&limits, p->p_id, now, 1) ||
	    !hn_dest_take(&limits, to, now))
		return;
	memset(s, 0, sizeof(*s));
	s->s_peer = p->p_id;
	s->s_to = *to;
	s->s_begun = s->s_last = now;
	s->s_start = arc4random();
	stats.sprayed++;
	tick_set();
}

static void
spray_tick(struct spray *s, int64_t now)
{
	struct peer	*p = peer_find(s->s_peer);
	struct addr	 to = s->s_to;
	int64_t		 due = (now - s->s_begun) * HN_RATE / NSEC;
	unsigned int	 i;

	if (p == NULL || !nd.n_conf.hardnat) {
		s->s_peer = 0;
		return;
	}
	if (found(p, now) || (s->s_sent == HN_PROBES &&
	    now - s->s_last >= LAST_TIME)) {
		if (found(p, now)) {
			hn_worked(&limits, s->s_peer);
			stats.worked++;
		}
		log_info("hard NAT: %s after %u probes in %lld ms",
		    found(p, now) ? "direct" : "no path", s->s_sent,
		    (long long)((now - s->s_begun) / MSEC));
		s->s_peer = 0;
		return;
	}
	for (i = 0; i < PROBES_TICK && s->s_sent < due &&
	    s->s_sent < HN_PROBES; i++) {
		to.a_port = hn_port(s->s_start, s->s_sent++);
		s->s_last = now;
		stats.probes++;
		disco_probe(p, &to);
	}
}

/* --- ends ---------------------------------------------------------------- */

void
hardnat_forget(const struct peer *p)
{
	unsigned int	 i;

	if (bundle.b_state != BUNDLE_NONE && bundle.b_peer == p->p_id)
		bundle_end();
	for (i = 0; i < HN_SPRAYS; i++)
		if (sprays[i].s_peer == p->p_id)
			sprays[i].s_peer = 0;
	for (i = 1; i <= HN_SOCKS && nowned > 0; i++)
		if (owner[i] == p->p_id)
			sock_close(i);
}

/*
 * In another network there are other NATs; but what was probed stays probed,
 * or an interface that comes and goes would undo the bounds.
 */
void
hardnat_reset(void)
{
	unsigned int	 i;

	memset(&bundle, 0, sizeof(bundle));
	memset(sprays, 0, sizeof(sprays));
	memset(limits.hl_entry, 0, sizeof(limits.hl_entry));
	for (i = 1; i <= HN_SOCKS && nowned > 0; i++)
		if (owner[i] != 0)
			sock_close(i);
	tick_set();
}

void
hardnat_debug(void (*say)(uint32_t, const char *, ...), uint32_t id)
{
	say(id, "hard nat probing: %s; %u offers, %u times opened, %u times "
	    "probed with %llu probes, worked %u times; %u sockets",
	    nd.n_conf.hardnat ? "yes" : "no", stats.offers, stats.opened,
	    stats.sprayed, (unsigned long long)stats.probes, stats.worked,
	    nowned);
}
