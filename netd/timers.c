/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The timers of one WireGuard peer as a state machine without a clock.
 */

#include <sys/types.h>

#include <stdint.h>
#include <string.h>

#include "netd.h"

#define RETRY_MAX	(WG_REKEY_ATTEMPT_TIME / WG_REKEY_TIMEOUT)
#define REKEY_TIMEOUT	(WG_REKEY_TIMEOUT * NSEC)
#define KEEPALIVE	(WG_KEEPALIVE_TIMEOUT * NSEC)
#define WIPE		(3 * WG_REJECT_AFTER_TIME * NSEC)

static void	 min_deadline(int64_t *, int64_t);
static int	 due(int64_t *, int64_t);
static unsigned int run_retransmit(struct wg_timers *, int64_t);

void
timers_init(struct wg_timers *t)
{
	memset(t, 0, sizeof(*t));
	/* Nothing was sent yet, whatever the clock says. */
	t->t_hs_sent = INT64_MIN / 2;
}

int
timers_may_initiate(const struct wg_timers *t, int64_t now)
{
	return now - t->t_hs_sent >= REKEY_TIMEOUT;
}

void
timers_initiation_sent(struct wg_timers *t, int64_t now, int64_t jitter,
    int retry)
{
	if (!retry)
		t->t_attempts = 0;
	t->t_hs_sent = now;
	t->t_retransmit = now + REKEY_TIMEOUT + jitter;
}

void
timers_response_sent(struct wg_timers *t, int64_t now)
{
	t->t_hs_sent = now;
}

void
timers_data_sent(struct wg_timers *t, int64_t now, int64_t jitter)
{
	if (t->t_newhs == 0)
		t->t_newhs = now + KEEPALIVE + REKEY_TIMEOUT + jitter;
}

void
timers_data_received(struct wg_timers *t, int64_t now)
{
	if (t->t_keepalive == 0)
		t->t_keepalive = now + KEEPALIVE;
	else
		t->t_more_keepalive = 1;
}

void
timers_auth_sent(struct wg_timers *t)
{
	t->t_keepalive = 0;
}

void
timers_auth_received(struct wg_timers *t)
{
	t->t_newhs = 0;
}

void
timers_derived(struct wg_timers *t, int64_t now)
{
	t->t_wipe = now + WIPE;
}

void
timers_complete(struct wg_timers *t)
{
	t->t_retransmit = 0;
	t->t_attempts = 0;
	t->t_late_rekey = 0;
}

static void
min_deadline(int64_t *best, int64_t when)
{
	if (when != 0 && (*best == 0 || when < *best))
		*best = when;
}

int64_t
timers_next(const struct wg_timers *t)
{
	int64_t	 best = 0;

	min_deadline(&best, t->t_retransmit);
	min_deadline(&best, t->t_newhs);
	min_deadline(&best, t->t_keepalive);
	min_deadline(&best, t->t_wipe);
	return best;
}

static int
due(int64_t *deadline, int64_t now)
{
	if (*deadline == 0 || *deadline > now)
		return 0;
	*deadline = 0;
	return 1;
}

static unsigned int
run_retransmit(struct wg_timers *t, int64_t now)
{
	if (t->t_attempts > RETRY_MAX) {
		t->t_keepalive = 0;
		if (t->t_wipe == 0)
			t->t_wipe = now + WIPE;
		return TIMER_GIVE_UP;
	}
	t->t_attempts++;
	return TIMER_RETRY;
}

unsigned int
timers_run(struct wg_timers *t, int64_t now)
{
	unsigned int	 todo = 0;

	if (due(&t->t_retransmit, now))
		todo |= run_retransmit(t, now);
	if (due(&t->t_newhs, now))
		todo |= TIMER_INITIATE;
	if (due(&t->t_keepalive, now)) {
		todo |= TIMER_KEEPALIVE;
		if (t->t_more_keepalive) {
			t->t_more_keepalive = 0;
			t->t_keepalive = now + KEEPALIVE;
		}
	}
	if (due(&t->t_wipe, now))
		todo |= TIMER_WIPE;
	return todo;
}
