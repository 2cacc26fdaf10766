/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Timers of WireGuard and path choice, with a clock of the test.
 */

/* link: ../../netd/timers.c ../../netd/path.c ../../netd/wgonly.c */
/* link: ../../netd/addr.c */

#include <sys/types.h>

#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/netd.h"

#define T0	(1000 * NSEC)

static void
want(int good, const char *what)
{
	if (!good)
		errx(1, "%s", what);
}

/* Run to the next deadline: what it asks for; the clock moves there. */
static unsigned int
step(struct wg_timers *t, int64_t *now)
{
	int64_t	 next;

	if ((next = timers_next(t)) == 0)
		return 0;
	if (next > *now)
		*now = next;
	return timers_run(t, *now);
}

/* No answer: 20 initiations, then silence, and the keys go at last. */
static void
test_give_up(void)
{
	struct wg_timers	 t;
	int64_t			 now = T0;
	unsigned int		 todo, sent = 1;

	timers_init(&t);
	want(timers_next(&t) == 0, "nothing armed");
	want(timers_may_initiate(&t, now), "first initiation");
	timers_initiation_sent(&t, now, 0, 0);
	want(!timers_may_initiate(&t, now + 5 * NSEC - 1), "gap of 5 s");
	want(timers_may_initiate(&t, now + 5 * NSEC), "after the gap");
	while ((todo = step(&t, &now)) == TIMER_RETRY) {
		timers_initiation_sent(&t, now, 333 * MSEC, 1);
		sent++;
		want(sent < 100, "endless retries");
	}
	want(todo == TIMER_GIVE_UP, "gives up");
	want(sent == 20, "20 initiations");
	want(step(&t, &now) == TIMER_WIPE, "wipe");
	want(now > T0 + 540 * NSEC, "wipe after 540 s");
	want(timers_next(&t) == 0, "silence");
}

/* An endpoint that only sends starts a handshake after 15 s of silence. */
static void
test_new_handshake(void)
{
	struct wg_timers	 t;
	int64_t			 now = T0;

	timers_init(&t);
	timers_data_sent(&t, now, MSEC);
	timers_data_sent(&t, now + NSEC, MSEC);
	want(t.t_newhs == now + 15 * NSEC + MSEC, "armed by the first");
	want(timers_run(&t, now + 15 * NSEC) == 0, "not yet");
	timers_auth_received(&t);
	want(timers_next(&t) == 0, "cancelled by an answer");
	timers_data_sent(&t, now, 0);
	want(step(&t, &now) == TIMER_INITIATE && now == T0 + 15 * NSEC,
	    "fires");
}

/* Passive keepalive: 10 s after data that was not answered. */
static void
test_keepalive(void)
{
	struct wg_timers	 t;
	int64_t			 now = T0;

	timers_init(&t);
	timers_data_received(&t, now);
	want(timers_next(&t) == now + 10 * NSEC, "armed");
	timers_auth_sent(&t);
	want(timers_next(&t) == 0, "any send cancels");
	timers_data_received(&t, now);
	want(step(&t, &now) == TIMER_KEEPALIVE, "fires");
	want(timers_next(&t) == 0, "once: no storm between idle peers");
	timers_data_received(&t, now);
	timers_data_received(&t, now + NSEC);
	want(step(&t, &now) == TIMER_KEEPALIVE, "fires with more data");
	want(timers_next(&t) == now + 10 * NSEC, "and is armed again");
	want(step(&t, &now) == TIMER_KEEPALIVE, "second");
	want(timers_next(&t) == 0, "then rest");
}

static void
test_derived(void)
{
	struct wg_timers	 t;
	int64_t			 now = T0;

	timers_init(&t);
	timers_initiation_sent(&t, now, 0, 0);
	t.t_attempts = 7;
	t.t_late_rekey = 1;
	timers_derived(&t, now);
	timers_complete(&t);
	want(t.t_attempts == 0 && t.t_late_rekey == 0, "complete resets");
	want(timers_next(&t) == now + 540 * NSEC, "only the wipe is left");
	timers_response_sent(&t, now);
	want(!timers_may_initiate(&t, now + NSEC), "response counts too");
}

static struct addr
addr4(uint8_t a, uint8_t d)
{
	struct addr	 x;

	memset(&x, 0, sizeof(x));
	x.a_af = AF_WIRE_INET;
	x.a_ip[0] = a;
	x.a_ip[3] = d;
	x.a_port = 41641;
	return x;
}

/* Ping an address and get the pong after so long. */
static void
pingpong(struct path *pa, const struct addr *a, int64_t now, int64_t latency)
{
	static uint8_t		 txid[12];
	struct path_ping	 pp;
	int64_t			 got;

	txid[0]++;
	path_ping_sent(pa, a, txid, PING_DISCOVER, now);
	want(path_pong(pa, txid, now + latency, &pp, &got) == 0, "pong");
	want(got == latency && addr_eq(&pp.pp_addr, a), "its latency");
	want(path_pong(pa, txid, now + latency, &pp, &got) == -1,
	    "pong only once");
}

static void
test_path(void)
{
	struct path	*pa = calloc(1, sizeof(*pa));
	struct addr	 a = addr4(10, 1), b = addr4(198, 2), c = addr4(10, 3);
	struct addr	 list[2], out[8];
	uint8_t		 txid[12] = { 99 };
	int64_t		 now = T0;

	list[0] = a;
	list[1] = b;
	path_netmap(pa, list, 2);
	want(path_dest(pa, now) == NULL, "no path before a pong");
	want(path_want_full(pa, now), "wants pings");
	want(path_pick(pa, now, PATH_PING_GAP, out, 8) == 2, "both");
	pingpong(pa, &b, now, 20 * MSEC);
	want(addr_eq(path_dest(pa, now), &b), "first pong");
	want(path_pick(pa, now + NSEC, PATH_PING_GAP, out, 8) == 1,
	    "pinged one waits 5 s");
	pingpong(pa, &a, now, 10 * MSEC);
	want(addr_eq(path_dest(pa, now), &a), "faster one");
	pingpong(pa, &b, now, 9 * MSEC);
	want(addr_eq(path_dest(pa, now), &a), "private beats a bit faster");
	pingpong(pa, &b, now, 2 * MSEC);
	want(addr_eq(path_dest(pa, now), &b), "much faster wins");
	want(path_trusted(pa, now + 6 * NSEC), "trusted for 6.5 s");
	want(!path_trusted(pa, now + 7 * NSEC), "not longer");

	/* A ping brings a candidate, once, and it ages. */
	want(path_pinged(pa, &c, txid, now) == 0, "new ping");
	want(path_pinged(pa, &c, txid, now) == 1, "the same again");
	want(pa->pa_ncand == 3, "candidate of a ping");
	path_expire(pa, now + 44 * NSEC);
	want(pa->pa_ncand == 3, "44 s");
	path_expire(pa, now + 45 * NSEC);
	want(pa->pa_ncand == 2, "45 s");

	/* A lost ping to the best one, no trust left: no path. */
	now += 10 * NSEC;
	path_ping_sent(pa, &b, txid, PING_HEARTBEAT, now);
	path_expire(pa, now + 4 * NSEC);
	want(path_dest(pa, now) != NULL, "ping still out");
	path_expire(pa, now + 5 * NSEC);
	want(path_dest(pa, now) == NULL, "ping lost");

	/* Data on it keeps it, where pings are lost. */
	pingpong(pa, &b, now, MSEC);
	now += 10 * NSEC;
	path_ping_sent(pa, &b, txid, PING_HEARTBEAT, now);
	path_data(pa, &a, now + 4 * NSEC);
	path_data(pa, &b, now + 3 * NSEC);
	path_expire(pa, now + 5 * NSEC);
	want(path_dest(pa, now) != NULL, "data on the path");
	path_ping_sent(pa, &b, txid, PING_HEARTBEAT, now + 5 * NSEC);
	path_expire(pa, now + 10 * NSEC);
	want(path_dest(pa, now) == NULL, "no more data");

	pingpong(pa, &b, now, MSEC);
	path_netmap(pa, list, 1);
	want(path_dest(pa, now) == NULL, "best left the netmap");
	pingpong(pa, &a, now, MSEC);
	path_failed(pa, &a);
	want(path_dest(pa, now) == NULL, "unreachable");
	path_heard(pa, &c, now);
	want(addr_eq(path_dest(pa, now), &c), "answer where it was heard");
	want(path_dest(pa, now + 5 * NSEC) == NULL, "but not for long");
	path_free(pa);
}

/* dataplane.md 2.6: points, bonuses, hysteresis. */
static void
test_better(void)
{
	struct addr	 none, pub = addr4(198, 1), pub2 = addr4(198, 2);
	struct addr	 priv = addr4(10, 1), lo = addr4(127, 1), v6;

	memset(&none, 0, sizeof(none));
	v6 = none;
	v6.a_af = AF_WIRE_INET6;
	v6.a_ip[0] = 0x20;
	v6.a_port = 1;
	want(path_better(&pub, MSEC, &none, 0), "anything beats nothing");
	want(!path_better(&none, 0, &pub, MSEC), "nothing beats nothing");
	want(!path_better(&pub, MSEC, &pub, 2 * MSEC), "itself");
	want(path_better(&pub2, MSEC, &pub, 2 * MSEC), "half the time");
	want(!path_better(&pub2, 995, &pub, 1000), "hysteresis");
	want(path_better(&pub2, 970, &pub, 1000), "3 %");
	want(path_better(&priv, 1000, &pub, 900), "private");
	want(!path_better(&priv, 1000, &pub, 700), "private, slow");
	want(path_better(&lo, 1000, &priv, 900), "loopback");
	want(path_better(&v6, 1000, &pub, 950), "IPv6");
}

static void
test_heartbeat(void)
{
	struct path	*pa = calloc(1, sizeof(*pa));
	struct addr	 a = addr4(10, 1);

	path_netmap(pa, &a, 1);
	want(path_next(pa) == 0, "idle: no timer");
	path_external(pa, T0);
	want(path_next(pa) == T0 + 3 * NSEC, "heartbeat");
	pa->pa_early = PATH_EARLY;
	path_external(pa, T0 + NSEC);
	want(pa->pa_early == PATH_EARLY && path_next(pa) == T0 + 3 * NSEC,
	    "goes on");
	path_external(pa, T0 + 60 * NSEC);
	want(pa->pa_early == 0, "quick tries after a rest");
	path_free(pa);
}

static void
test_wgonly(void)
{
	struct path		*pa = calloc(1, sizeof(*pa));
	const struct addr	*d;
	struct addr		 list[2] = { addr4(198, 1), addr4(198, 2) };
	struct addr		 roam = addr4(203, 9);
	int64_t			 now = T0;
	int			 i, other = 0;

	want(wgonly_dest(pa, now) == NULL, "nowhere");
	path_netmap(pa, list, 2);
	d = wgonly_dest(pa, now);
	want(d != NULL && (addr_eq(d, &list[0]) || addr_eq(d, &list[1])),
	    "one of the netmap");
	wgonly_heard(pa, &roam, now);
	want(addr_eq(wgonly_dest(pa, now + 5 * NSEC), &roam), "roams");
	want(addr_eq(wgonly_dest(pa, now + 50 * NSEC), &roam),
	    "remembered while it is silent");
	for (i = 61; i < 200; i += 2)
		other += !addr_eq(wgonly_dest(pa, now + i * NSEC), &roam);
	want(other > 10, "then the netmap is tried, too");
	want(other < 70, "and the old one");
	path_free(pa);
}

int
main(void)
{
	test_give_up();
	test_new_handshake();
	test_keepalive();
	test_derived();
	test_path();
	test_better();
	test_heartbeat();
	test_wgonly();
	return 0;
}
