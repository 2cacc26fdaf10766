/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Where a peer is: each rule of dataplane.md 2.4 to 2.7, with the test's clock.
 */

/* link: ../../netd/path.c ../../netd/addr.c */
/* link: ../../netd/pathmtu.c */

#include <sys/types.h>

#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/netd.h"
#include "../../netd/pathmtu.h"

#define T0		(1000 * NSEC)
#define HOME		900

static struct path	*pa;
static const uint8_t	 server_a[MSG_KEY_LEN] = { 1 };
static const uint8_t	 server_b[MSG_KEY_LEN] = { 2 };

static void
want(int good, const char *what)
{
	if (!good)
		errx(1, "%s", what);
}

static void
fresh(void)
{
	path_free(pa);
	if ((pa = calloc(1, sizeof(*pa))) == NULL)
		err(1, NULL);
}

/* 192.0.2.n, port 41641 */
static struct addr
at(uint8_t n)
{
	struct addr	 a;

	memset(&a, 0, sizeof(a));
	a.a_af = AF_WIRE_INET;
	a.a_port = 41641;
	a.a_ip[0] = 192;
	a.a_ip[2] = 2;
	a.a_ip[3] = n;
	return a;
}

static struct addr
at6(uint8_t n)
{
	struct addr	 a = at(n);

	a.a_af = AF_WIRE_INET6;
	memset(a.a_ip, 0, sizeof(a.a_ip));
	a.a_ip[0] = 0x20;
	a.a_ip[15] = n;
	return a;
}

static struct addr
relayed(uint8_t n, uint32_t vni)
{
	struct addr	 a = at(n);

	a.a_vni = vni;
	return a;
}

static void
ping_how(const struct addr *a, uint8_t tx, uint32_t how, int64_t now)
{
	uint8_t	 txid[12] = { tx };

	path_ping_sent(pa, a, txid, PING_HEARTBEAT, how, now);
}

/* A ping to there with that number, as long as a full packet. */
static void
ping(const struct addr *a, uint8_t tx, int64_t now)
{
	ping_how(a, tx, PATH_FULL, now);
}

static int
pong(uint8_t tx, int64_t now)
{
	struct path_ping	 pp;
	uint8_t			 txid[12] = { tx };
	int64_t			 latency;

	return path_pong(pa, txid, now, &pp, &latency);
}

static int
is_best(const struct addr *a)
{
	return addr_eq(&pa->pa_best, a);
}

static void
netmap(uint8_t n)
{
	struct addr	 a[8];
	uint8_t		 i;

	for (i = 0; i < n; i++)
		a[i] = at(i + 1);
	path_netmap(pa, a, n);
}

/* Best is 192.0.2.1, answered at that time after so long. */
static void
direct(int64_t latency, int64_t now)
{
	struct addr	 a = at(1);

	fresh();
	netmap(2);
	ping(&a, 1, now - latency);
	want(pong(1, now) == 0 && is_best(&a), "direct");
}

#define IP(...)		{ __VA_ARGS__ }
static const struct {
	const char	*what;
	uint8_t		 aip[16];
	int64_t		 alat;
	uint8_t		 bip[16];
	int64_t		 blat;
	uint16_t	 aaf, baf;
	uint32_t	 avni, bvni;
	int		 better;
} betters[] = {
	{ "b invalid", IP(1), 9, IP(0), 0, 4, 0, 0, 0, 1 },
	{ "a invalid", IP(0), 0, IP(1), 9, 0, 4, 0, 0, 0 },
	{ "same", IP(1), 1, IP(1), 9, 4, 4, 0, 0, 0 },
	{ "direct beats relayed", IP(1), 900, IP(2), 1, 4, 4, 0, 5, 1 },
	{ "relayed against direct", IP(2), 1, IP(1), 900, 4, 4, 5, 0, 0 },
	{ "two relayed", IP(2), 10, IP(1), 100, 4, 4, 5, 6, 1 },
	{ "faster", IP(1), 10, IP(2), 20, 4, 4, 0, 0, 1 },
	{ "slower", IP(1), 20, IP(2), 10, 4, 4, 0, 0, 0 },
	{ "one per cent", IP(1), 99, IP(2), 100, 4, 4, 0, 0, 0 },
	{ "two per cent", IP(1), 98, IP(2), 100, 4, 4, 0, 0, 1 },
	{ "IPv6 is worth 10", IP(0x20, 1), 105, IP(2), 100, 6, 4, 0, 0, 1 },
	{ "and not more", IP(0x20, 1), 115, IP(2), 100, 6, 4, 0, 0, 0 },
	{ "private 20", IP(10, 1), 120, IP(2), 100, 4, 4, 0, 0, 1 },
	{ "not 25", IP(10, 1), 134, IP(2), 100, 4, 4, 0, 0, 0 },
	{ "ULA 30", IP(0xfd, 1), 135, IP(2), 100, 6, 4, 0, 0, 1 },
	{ "link-local 30", IP(169, 254), 135, IP(2), 100, 4, 4, 0, 0, 1 },
	{ "loopback 50", IP(127, 1), 190, IP(2), 100, 4, 4, 0, 0, 1 },
	{ "loopback, but slow", IP(127, 1), 210, IP(2), 100, 4, 4, 0, 0, 0 },
};

static void
test_better(void)
{
	struct addr	 a, b;
	size_t		 i;

	for (i = 0; i < nitems(betters); i++) {
		memset(&a, 0, sizeof(a));
		memset(&b, 0, sizeof(b));
		memcpy(a.a_ip, betters[i].aip, 16);
		memcpy(b.a_ip, betters[i].bip, 16);
		a.a_af = betters[i].aaf;
		b.a_af = betters[i].baf;
		a.a_vni = betters[i].avni;
		b.a_vni = betters[i].bvni;
		if (path_better(&a, betters[i].alat, &b,
		    betters[i].blat) != betters[i].better)
			errx(1, "better: %s", betters[i].what);
	}
}

/* 2.6: what a packet is sent to. */
static void
test_dest(void)
{
	struct path_to	 to;
	struct addr	 a = at(1), b = at(9);

	fresh();
	want(!path_dest(pa, T0, 0, 0, &to), "nowhere");
	want(path_dest(pa, T0, HOME, 1, &to) && to.pt_addr.a_af == 0 &&
	    to.pt_relay == HOME, "the relay alone");
	path_heard(pa, &b, T0);
	want(path_dest(pa, T0, 0, 0, &to) && addr_eq(&to.pt_addr, &b),
	    "no relay: where it was heard");
	want(path_dest(pa, T0, HOME, 0, &to) && addr_eq(&to.pt_addr, &b) &&
	    to.pt_relay == HOME, "both while the relay is not there");
	want(path_dest(pa, T0, HOME, 1, &to) && to.pt_addr.a_af == 0,
	    "with a relay only what has answered");
	want(!path_dest(pa, T0 + PATH_FALLBACK, 0, 0, &to), "long ago");

	direct(MSEC, T0);
	want(path_dest(pa, T0, HOME, 1, &to) && addr_eq(&to.pt_addr, &a) &&
	    to.pt_relay == 0, "trusted: no copy");
	want(path_dest(pa, T0 + PATH_TRUST, HOME, 1, &to) &&
	    to.pt_relay == 0, "to the end of 6.5 s");
	want(path_dest(pa, T0 + PATH_TRUST + 1, HOME, 1, &to) &&
	    addr_eq(&to.pt_addr, &a) && to.pt_relay == HOME, "then both");
	want(path_dest(pa, T0 + PATH_TRUST + 1, 0, 0, &to) &&
	    to.pt_relay == 0, "if there is a relay");
}

static void
test_pong(void)
{
	struct path_ping	 pp;
	struct addr		 a = at(1), b = at(2), c = at(77), derp;
	uint8_t			 txid[12] = { 9 };
	int64_t			 lat;

	fresh();
	netmap(2);
	want(pong(1, T0) == -1, "of nothing");
	ping(&a, 1, T0);
	want(pong(2, T0) == -1, "of another");
	want(pong(1, T0 + PATH_PING_TIMEOUT + 1) == -1 &&
	    pa->pa_best.a_af == 0, "too late");
	ping(&c, 1, T0);
	want(pong(1, T0 + 1) == -1 && pa->pa_best.a_af == 0,
	    "no candidate");
	memset(&derp, 0, sizeof(derp));
	derp.a_af = ADDR_DERP;
	derp.a_port = HOME;
	path_ping_sent(pa, &derp, txid, PING_CLI, 0, T0);
	want(path_pong(pa, txid, T0 + 7, &pp, &lat) == 0 && lat == 7 &&
	    pp.pp_addr.a_af == ADDR_DERP && pa->pa_best.a_af == 0,
	    "by the relay: tells its latency, makes no path");
	ping(&a, 1, T0);
	want(pong(1, T0 + 10 * MSEC) == 0 && is_best(&a), "the first");
	want(pong(1, T0 + 10 * MSEC) == -1, "once only");
	want(pa->pa_latency == 10 * MSEC &&
	    pa->pa_trusted == T0 + 10 * MSEC + PATH_TRUST, "trust");
	ping(&b, 2, T0 + NSEC);
	want(pong(2, T0 + NSEC + 20 * MSEC) == 0 && is_best(&a),
	    "a slower one");
	ping(&b, 3, T0 + 2 * NSEC);
	want(pong(3, T0 + 2 * NSEC + 5 * MSEC) == 0 && is_best(&b),
	    "a faster one");
	ping(&a, 4, T0 + 9 * NSEC);
	want(pong(4, T0 + 9 * NSEC + 50 * MSEC) == 0 && is_best(&a),
	    "a slower one when the trust is over");
}

/* The best path owes a pong. */
static void
test_doubt(void)
{
	struct path_to	 to;
	struct addr	 a = at(1), b = at(2);
	int64_t		 t = T0 + PATH_HEARTBEAT;

	direct(10 * MSEC, T0);
	ping(&a, 2, t);
	want(path_next(pa) == t + 500 * MSEC, "deadline of the pong");
	want(!path_expire(pa, t + 499 * MSEC) &&
	    path_trusted(pa, t + 499 * MSEC), "not yet");
	want(path_expire(pa, t + 500 * MSEC), "doubt");
	want(!path_trusted(pa, t + 500 * MSEC) && is_best(&a) &&
	    path_dest(pa, t + 500 * MSEC, HOME, 1, &to) &&
	    to.pt_relay == HOME, "both ways now");
	want(pa->pa_early == 0, "quick tries again");
	want(!path_expire(pa, t + 501 * MSEC), "doubted once");
	want(path_next(pa) == t + PATH_PING_TIMEOUT, "next is the time-out");
	want(pong(2, t + 600 * MSEC) == 0 && path_trusted(pa, t + NSEC),
	    "a late pong restores it");
	want(!path_expire(pa, t + NSEC), "and no doubt is left");

	direct(200 * MSEC, T0);
	ping(&a, 2, t);
	want(!path_expire(pa, t + 799 * MSEC) &&
	    path_expire(pa, t + 800 * MSEC), "a slow path has longer");
	direct(900 * MSEC, T0);
	ping(&a, 2, t);
	want(!path_expire(pa, t + 1999 * MSEC) &&
	    path_expire(pa, t + 2 * NSEC), "2 s at most");

	/* A lost ping does not matter if a later one was answered. */
	direct(10 * MSEC, T0);
	ping(&a, 2, t);
	ping(&a, 3, t + 100 * MSEC);
	want(pong(3, t + 110 * MSEC) == 0 && !path_expire(pa, t + NSEC) &&
	    path_trusted(pa, t + NSEC), "a later one counts");
	ping(&b, 4, t);
	want(!path_expire(pa, t + 4 * NSEC), "of others nothing is due");

	/* 3 s to the next heartbeat and half a second: under 4 s in all. */
	want(PATH_HEARTBEAT + 500 * MSEC < 4 * NSEC, "falls back in time");
}

static void
test_timeout(void)
{
	struct addr	 a = at(1);
	int64_t		 t = T0 + PATH_HEARTBEAT;

	direct(MSEC, T0);
	ping_how(&a, 2, 0, t);
	(void)path_expire(pa, t + PATH_PING_TIMEOUT - 1);
	want(is_best(&a), "kept for 5 s");
	(void)path_expire(pa, t + PATH_PING_TIMEOUT);
	want(pa->pa_best.a_af == 0, "then it is none");
	want(pong(2, t + PATH_PING_TIMEOUT + 1) == -1, "the ping is gone");

	direct(MSEC, T0);
	ping_how(&a, 2, 0, t);
	path_data(pa, &a, 0, t + 4 * NSEC);
	(void)path_expire(pa, t + PATH_PING_TIMEOUT);
	want(is_best(&a) && !path_trusted(pa, t + PATH_PING_TIMEOUT),
	    "data keeps it, but does not make it sure");
	path_data(pa, &a, 1, t + 4 * NSEC);
	want(path_trusted(pa, t + 10 * NSEC), "silent disco: it does");
	a = at(2);
	pa->pa_trusted = 0;
	path_data(pa, &a, 1, t);
	want(!path_trusted(pa, t), "data from elsewhere does not");
}

static void
test_candidates(void)
{
	struct addr	 a = at(1), c = at(50), to[PATH_MAXCAND];
	uint8_t		 tx[12] = { 1 }, tx2[12] = { 2 };
	unsigned int	 i;

	direct(MSEC, T0);
	netmap(1);
	want(pa->pa_ncand == 1 && is_best(&a), "one has left the netmap");
	netmap(0);
	want(pa->pa_ncand == 0 && pa->pa_best.a_af == 0,
	    "with the best path it goes, too");
	want(!path_pinged(pa, &c, tx, T0) && pa->pa_ncand == 1, "pinged");
	want(path_pinged(pa, &c, tx, T0), "the same ping again");
	want(!path_pinged(pa, &c, tx2, T0 + NSEC), "another one");
	(void)path_expire(pa, T0 + PATH_ACTIVE);
	want(pa->pa_ncand == 1, "45 s from the last one");
	(void)path_expire(pa, T0 + NSEC + PATH_ACTIVE);
	want(pa->pa_ncand == 0, "forgotten");
	for (i = 0; i < 200; i++) {
		c.a_port = i + 1;
		(void)path_pinged(pa, &c, tx, T0);
	}
	want(pa->pa_ncand == PATH_MAXCAND, "never more than 100");
	(void)path_pinged(pa, &a, tx, T0 + PATH_ACTIVE);
	want(pa->pa_ncand == 1, "the old make room");

	fresh();
	netmap(3);
	want(path_pick(pa, T0, PATH_PING_GAP, to, 8) == 3, "all are due");
	ping_how(&a, 1, 0, T0);
	want(path_pick(pa, T0 + NSEC, PATH_PING_GAP, to, 8) == 2, "not it");
	want(path_pick(pa, T0 + 5 * NSEC, PATH_PING_GAP, to, 8) == 3,
	    "after 5 s again");
	want(path_pick(pa, T0 + 5 * NSEC, PATH_PING_GAP, to, 2) == 2,
	    "no more than asked");
}

/* CallMeMaybe: replaces those of the last, and is bounded. */
static void
test_call(void)
{
	struct addr	 a[200], to[PATH_MAXCAND];
	unsigned int	 i;

	direct(MSEC, T0);
	ping(&pa->pa_cand[1].pc_addr, 7, T0);
	for (i = 0; i < nitems(a); i++)
		a[i] = at(i + 1);
	want(path_call(pa, a + 10, 2, T0) == 0 && pa->pa_ncand == 4, "two");
	want(path_pick(pa, T0, PATH_PING_GAP, to, 8) == 4,
	    "all are pinged at once");
	want(path_call(pa, a + 11, 1, T0) == 0 && pa->pa_ncand == 3,
	    "one of them is gone");
	want(path_call(pa, a, 1, T0) == 0 && pa->pa_ncand == 2,
	    "those of the netmap stay");
	want(path_call(pa, a + 2, 198, T0) == 0 &&
	    pa->pa_ncand == 2 + PATH_MAXCALL, "not all of 198");
	want(path_call(pa, a, 1, T0) == -1 &&
	    pa->pa_ncand == 2 + PATH_MAXCALL, "the fifth at once");
	want(path_call(pa, a, 1, T0 + NSEC) == 0, "one a second");
	want(path_call(pa, a, 1, T0 + NSEC) == -1, "not two");
	want(path_call(pa, a, 0, T0 + 100 * NSEC) == 0 && pa->pa_ncand == 2,
	    "an empty one");
	for (i = 0; i < 3; i++)
		want(path_call(pa, a, 1, T0 + 100 * NSEC) == 0, "a burst");
	want(path_call(pa, a, 1, T0 + 100 * NSEC) == -1, "bounded, too");

	fresh();
	want(path_may_call(pa, T0), "our first");
	want(!path_may_call(pa, T0 + 4999 * MSEC), "not so soon");
	want(path_may_call(pa, T0 + 5 * NSEC), "after 5 s");
	pa->pa_early_next = 1;
	want(!path_may_call(pa, T0 + 5100 * MSEC) &&
	    path_may_call(pa, T0 + 5250 * MSEC), "quick tries");
}

static void
test_want_full(void)
{
	struct addr	 r = relayed(1, 5);

	fresh();
	want(path_want_full(pa, T0), "never done");
	direct(6 * MSEC, T0);
	want(path_want_full(pa, T0), "never done, but trusted");
	pa->pa_full_ping = T0;
	want(!path_want_full(pa, T0 + NSEC), "done");
	pa->pa_trusted = T0 + 100 * NSEC;
	want(!path_want_full(pa, T0 + 59 * NSEC) &&
	    path_want_full(pa, T0 + 60 * NSEC), "each minute");
	pa->pa_latency = PATH_GOOD_ENOUGH;
	want(!path_want_full(pa, T0 + 60 * NSEC), "good enough");
	want(path_want_full(pa, T0 + 101 * NSEC), "trust is over");
	pa->pa_best = r;
	want(path_want_full(pa, T0 + NSEC), "over a relay it always is");
}

/* Paths over peer relays: 2.14, point 4. */
static void
test_install(void)
{
	struct addr	 r = relayed(7, 5), r2 = relayed(8, 6), a = at(1);

	fresh();
	want(path_install(pa, &r, server_a, 9 * MSEC, T0, T0) &&
	    is_best(&r) && !path_trusted(pa, T0), "there was none");
	ping(&r, 1, T0 - 9 * MSEC);
	want(pong(1, T0) == 0 && path_trusted(pa, T0), "full packets, too");
	want(!path_install(pa, &r2, server_b, 10 * MSEC, T0, T0),
	    "a slower relay");
	want(path_install(pa, &r2, server_a, 10 * MSEC, T0, T0),
	    "the same one may move");
	want(path_install(pa, &r, server_b, MSEC, T0, T0), "a faster one");
	want(path_install(pa, &r2, server_a, NSEC, T0, T0 + 7 * NSEC),
	    "any, when the trust is over");
	ping(&r2, 1, T0 + 8 * NSEC);
	want(pong(1, T0 + 8 * NSEC + MSEC) == 0 &&
	    pa->pa_latency == MSEC, "its heartbeat");
	netmap(1);
	ping(&a, 1, T0 + 9 * NSEC);
	want(pong(1, T0 + 10 * NSEC) == 0 && is_best(&a), "direct is better");
	want(!path_install(pa, &r, server_a, 1, T0, T0 + 10 * NSEC),
	    "whatever the relay's latency");
}

/* Pings that are due: how many, and the first is to that address. */
static void
due(unsigned int n, const struct addr *a, int64_t now, const char *what)
{
	struct size_ping	 sp[8];

	want(pathmtu_due(pa, now, sp, nitems(sp)) == n, what);
	if (n > 0)
		want(addr_eq(&sp[0].sp_addr, a) &&
		    sp[0].sp_how == (PATH_FULL | PING_TEST), what);
}

/* The best path has answered short pings, and not one that was long. */
static void
unfit(int64_t now)
{
	struct addr	 a = at(1);
	int		 i;

	fresh();
	netmap(2);
	ping_how(&a, 1, 0, now - MSEC);
	want(pong(1, now) == 0 && is_best(&a), "answers");
	for (i = 0; i < 5; i++) {
		want(pathmtu_next(pa) >= now && path_next(pa) != 0, "next");
		now = pathmtu_next(pa);
		due(1, &a, now, "a try");
		ping_how(&a, 50 + i, PATH_FULL | PING_TEST, now);
		want(!pathmtu_unfit(pathmtu_of(pa, &a)), "not yet");
	}
	due(0, &a, pathmtu_next(pa), "no more tries");
}

/* A path is trusted if it carries full packets. */
static void
test_sizes(void)
{
	struct path_to	 to;
	struct addr	 a = at(1), b = at(2);

	fresh();
	netmap(2);
	ping_how(&a, 1, 0, T0 - MSEC);
	want(pong(1, T0) == 0 && is_best(&a) && !path_trusted(pa, T0) &&
	    path_dest(pa, T0, HOME, 1, &to) && to.pt_relay == HOME &&
	    addr_eq(&to.pt_addr, &a), "a short pong: both ways");
	due(1, &a, T0, "asked at once");
	due(0, &a, T0, "once");
	ping_how(&a, 2, PATH_FULL | PING_TEST, T0);
	ping_how(&b, 3, 0, T0);
	want(pong(3, T0 + MSEC / 2) == 0 && is_best(&b), "a faster one");
	want(pong(2, T0 + MSEC) == 0 && is_best(&a) &&
	    path_trusted(pa, T0 + MSEC), "one that carries more");
	ping_how(&b, 4, 0, T0 + 2 * MSEC);
	want(pong(4, T0 + 2 * MSEC) == 0 && is_best(&a), "stays");

	unfit(T0);
	want(path_dest(pa, T0 + 6 * NSEC, HOME, 1, &to) &&
	    to.pt_addr.a_af == 0 && to.pt_relay == HOME, "by the relay");
	want(path_dest(pa, T0 + 6 * NSEC, HOME, 0, &to) &&
	    addr_eq(&to.pt_addr, &a), "as long as there is one");
	ping_how(&a, 6, 0, T0 + 6 * NSEC);
	want(pong(6, T0 + 6 * NSEC) == 0 && is_best(&a) &&
	    pathmtu_next(pa) == 0, "it is not asked again");
	ping_how(&b, 7, 0, T0 + 6 * NSEC);
	want(pong(7, T0 + 7 * NSEC) == 0 && is_best(&b),
	    "one of which less is known");
	ping_how(&a, 8, 0, T0 + 66 * NSEC);
	want(pong(8, T0 + 66 * NSEC) == 0 &&
	    pathmtu_next(pa) <= T0 + 66 * NSEC, "but after a minute");

	unfit(T0);
	(void)path_expire(pa, T0 + 60 * NSEC);
	want(is_best(&a), "long pings that are lost leave it");
}

/* A long ping was lost: a short one that was answered later is no excuse. */
static void
test_long_lost(void)
{
	struct addr	 a = at(1);

	fresh();
	netmap(1);
	ping_how(&a, 1, PATH_FULL, T0);
	want(pong(1, T0 + MSEC) == 0 && path_trusted(pa, T0 + MSEC), "good");
	ping_how(&a, 2, PATH_FULL, T0 + 3 * NSEC);
	ping_how(&a, 3, 0, T0 + 3 * NSEC + MSEC);
	want(pong(3, T0 + 3 * NSEC + 2 * MSEC) == 0, "the short one");
	want(path_expire(pa, T0 + 3 * NSEC + 3 * MSEC) == 0, "not yet");
	want(path_expire(pa, T0 + 6 * NSEC) == 1 &&
	    !path_trusted(pa, T0 + 6 * NSEC), "doubt");
}

/* The IPv6 path to there answers short pings, not long ones: when, next. */
static int64_t
lost(struct addr *a, int n, int64_t now)
{
	int	 i;

	for (i = 0; i < n; i++) {
		now = pathmtu_next(pa);
		due(1, a, now, "an IPv6 try");
		ping_how(a, 50 + i, PATH_FULL | PING_TEST, now);
	}
	return pathmtu_next(pa);
}

/* What the system is told, if anything: (what, address, now). */
static void
told(uint32_t how, const struct addr *a, int64_t now, const char *what)
{
	struct size_ping	 sp[8];
	size_t			 i, n;

	n = pathmtu_due(pa, now, sp, nitems(sp));
	for (i = 0; i < n; i++)
		if (sp[i].sp_how == how && addr_eq(&sp[i].sp_addr, a))
			return;
	errx(1, "%s", what);
}

/* A path of 1280 bytes, found out and cut from then on. Until when. */
static int64_t
narrow(struct addr *a)
{
	int64_t	 now;

	fresh();
	*a = at6(1);
	path_netmap(pa, a, 1);
	ping_how(a, 1, 0, T0 - MSEC);
	want(pong(1, T0) == 0 && is_best(a), "answers");
	now = lost(a, 3, T0);
	told(SIZE_CUT, a, now, "three lost: the system is told");
	want(pathmtu_cut(pathmtu_of(pa, a)) && pa->pa_nogso == NOGSO_CUT,
	    "and no large sends");
	return now;
}

/* And not even fragments pass. */
static int64_t
lost_all(struct addr *a)
{
	int64_t	 now;

	(void)narrow(a);
	now = lost(a, 3, T0);
	due(0, a, now, "no more tries");
	return now;
}

/* Pings that are not to be cut, in vain. When it is clear. */
static int64_t
checks(const struct addr *a, int64_t now)
{
	int	 i;

	for (i = 0; i < 3; i++) {
		told(PATH_FULL | PING_TEST | PING_DF, a, now, "not cut");
		now = pathmtu_next(pa);
	}
	return now;
}

/* Datagrams over IPv6 are cut where only small ones pass. */
static void
test_cut(void)
{
	struct addr	 a, b = at(1);
	int64_t		 now;

	now = lost_all(&a);
	want(pathmtu_unfit(pathmtu_of(pa, &a)) && now - T0 < 8 * NSEC,
	    "fragments do not pass either");

	(void)narrow(&a);
	now = lost(&a, 1, T0);
	want(now - T0 < 2 * NSEC, "soon asked again");
	want(pong(50, now) == 0 && path_trusted(pa, now) &&
	    pa->pa_nogso == NOGSO_CUT, "in fragments");
	want(pathmtu_heartbeat(pa, 100000, now) == PATH_FULL &&
	    pa->pa_nogso == NOGSO_CUT, "they stay");

	now += 300 * NSEC;
	ping_how(&a, 2, PATH_FULL, now);
	want(pong(2, now + MSEC) == 0 && pathmtu_next(pa) <= now + MSEC,
	    "must they?");
	now = checks(&a, now);
	told(SIZE_CUT, &a, now, "they must");
	want(pathmtu_next(pa) == 0 && pathmtu_cut(pathmtu_of(pa, &a)),
	    "for some minutes");

	now += 300 * NSEC;
	ping_how(&a, 3, 0, now);
	want(pong(3, now) == 0, "again");
	told(PATH_FULL | PING_TEST | PING_DF, &a, now, "asked");
	ping_how(&a, 4, PATH_FULL | PING_TEST | PING_DF, now);
	want(pong(4, now + MSEC) == 0, "one whole");
	told(SIZE_WHOLE, &a, now + MSEC, "the system is told");
	want(!pathmtu_cut(pathmtu_of(pa, &a)) &&
	    pathmtu_heartbeat(pa, 200000, now) == PATH_FULL &&
	    pa->pa_nogso == 0, "large sends, too");

	now = narrow(&a);
	path_netmap(pa, (struct addr[]){ a, b }, 2);
	ping_how(&a, 1, PATH_FULL, now);
	want(pong(1, now) == 0 && path_trusted(pa, now), "fragments");
	ping_how(&b, 2, PATH_FULL, now);
	want(pong(2, now + 9 * MSEC) == 0 && is_best(&b) &&
	    pa->pa_nogso == 0, "whole packets are better, if slower");
	ping_how(&a, 3, PATH_FULL, now + 9 * MSEC);
	want(pong(3, now + 9 * MSEC + 1) == 0 && is_best(&b), "and stay");
}

static void
heartbeat(uint64_t tx, int64_t now, uint32_t how, const char *what)
{
	want(pathmtu_heartbeat(pa, tx, now) == how, what);
}

static void
test_long_heartbeats(void)
{
	struct addr	 a = at(1);

	direct(MSEC, T0);
	heartbeat(1000, T0 + 3 * NSEC, 0, "short");
	heartbeat(100000, T0 + 6 * NSEC, PATH_FULL, "much is sent");
	heartbeat(100001, T0 + 9 * NSEC, 0, "little");
	heartbeat(100002, T0 + 15 * NSEC, PATH_FULL, "it is time");
	ping(&a, 9, T0 + 3 * NSEC);
	want(path_expire(pa, T0 + 4 * NSEC) && !path_trusted(pa, T0 +
	    4 * NSEC), "a long one is lost");
	ping_how(&a, 10, 0, T0 + 4 * NSEC);
	want(pong(10, T0 + 4 * NSEC + MSEC) == 0 &&
	    !path_trusted(pa, T0 + 4 * NSEC + MSEC),
	    "a short one does not mend that");
	due(1, &a, T0 + 4 * NSEC + MSEC, "another long one does");
}

static void
test_error(void)
{
	struct path_to	 to;
	struct addr	 a = at(1), b = at(2);

	direct(MSEC, T0);
	path_error(pa, &b, EHOSTUNREACH);
	want(path_trusted(pa, T0), "of another one");
	path_error(pa, &a, EPERM);
	want(is_best(&a) && path_dest(pa, T0, HOME, 1, &to) &&
	    to.pt_relay == HOME, "forbidden: the relay as well");
	path_error(pa, &a, EHOSTUNREACH);
	want(pa->pa_best.a_af == 0 && pa->pa_cand[0].pc_latency == 0,
	    "unreachable: no path");
	path_heard(pa, &b, T0);
	path_error(pa, &b, EPERM);
	want(!path_dest(pa, T0, 0, 0, &to), "nor a guess");
}

static void
test_reset(void)
{
	struct addr	 to[8];

	direct(MSEC, T0);
	path_external(pa, T0);
	path_reset(pa);
	want(pa->pa_best.a_af == 0 && pa->pa_ncand == 2 &&
	    pa->pa_cand[0].pc_latency == 0, "measured things are void");
	want(path_pick(pa, T0, PATH_PING_GAP, to, 8) == 2 &&
	    path_may_call(pa, T0), "all is tried at once");
	want(pa->pa_external == T0 && pa->pa_heartbeat != 0,
	    "the peer is still wanted");
}

static void
test_heartbeat(void)
{
	fresh();
	want(path_next(pa) == 0, "idle is idle");
	pa->pa_early = PATH_EARLY;
	path_external(pa, T0);
	want(path_next(pa) == T0 + PATH_HEARTBEAT && pa->pa_early == 0,
	    "starts with the first packet");
	pa->pa_early = PATH_EARLY;
	path_external(pa, T0 + NSEC);
	want(pa->pa_heartbeat == T0 + PATH_HEARTBEAT &&
	    pa->pa_early == PATH_EARLY, "and is not put off by others");
	path_external(pa, T0 + NSEC + PATH_ACTIVE);
	want(pa->pa_early == 0, "quick tries after a pause, or sleep");
}

int
main(void)
{
	test_better();
	test_dest();
	test_pong();
	test_doubt();
	test_timeout();
	test_candidates();
	test_call();
	test_want_full();
	test_install();
	test_sizes();
	test_long_lost();
	test_cut();
	test_long_heartbeats();
	test_error();
	test_reset();
	test_heartbeat();
	path_free(pa);
	return 0;
}
