/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Timers of WireGuard and peers without disco, with a clock of the test.
 */

/* link: ../../netd/timers.c ../../netd/path.c ../../netd/wgonly.c */
/* link: ../../netd/pathmtu.c */
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

static void
test_wgonly(void)
{
	struct path		*pa = calloc(1, sizeof(*pa));
	struct path_to		 to;
	struct addr		 list[2] = { addr4(198, 1), addr4(198, 2) };
	struct addr		 roam = addr4(203, 9);
	int64_t			 now = T0;
	int			 i, other = 0;

	want(!wgonly_dest(pa, now, &to), "nowhere");
	path_netmap(pa, list, 2);
	want(wgonly_dest(pa, now, &to) && to.pt_relay == 0 &&
	    (addr_eq(&to.pt_addr, &list[0]) ||
	    addr_eq(&to.pt_addr, &list[1])), "one of the netmap");
	wgonly_heard(pa, &roam, now);
	want(wgonly_dest(pa, now + 5 * NSEC, &to) &&
	    addr_eq(&to.pt_addr, &roam), "roams");
	want(wgonly_dest(pa, now + 50 * NSEC, &to) &&
	    addr_eq(&to.pt_addr, &roam), "remembered while it is silent");
	for (i = 61; i < 200; i += 2) {
		want(wgonly_dest(pa, now + i * NSEC, &to), "somewhere");
		other += !addr_eq(&to.pt_addr, &roam);
	}
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
	test_wgonly();
	return 0;
}
