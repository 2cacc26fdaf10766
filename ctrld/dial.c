/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Dialling the control server: several ways at once, the first one that
 * leads to a session wins. What the way looked like does not matter: Noise
 * tells whether it is the server.
 * Source: control.md 2.2.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"

#define RECENT		(120 * NS_PER_S)

enum att_state { ATT_WAITS, ATT_RUNS, ATT_FAILED };

struct attempt {
	struct event	 a_ev;
	struct dial	*a_dial;
	struct session	*a_sess;
	enum att_state	 a_state;
};

struct dial {
	struct event		 d_ev;		/* limit of it all */
	struct url		 d_url;
	struct dial_try		 d_try[DIAL_TRIES];
	struct attempt		 d_att[DIAL_TRIES];
	const struct dial_cb	*d_cb;
	size_t			 d_n;
	uint32_t		 d_code;
	int			 d_planned;	/* the plan is being tried */
	int			 d_own;		/* d_why is of the URL's port */
	int			 d_tlsfirst;
	uint8_t			 d_server[MSG_KEY_LEN];
	char			 d_text[MSG_NAME_LEN];
	char			 d_why[MSG_TEXT_LEN];
};

static struct dial_plan	 plan;
static int64_t		 last;		/* os_now() of the last dial */

static void	 att_up(struct session *, void *);
static void	 att_lost(void *, const char *, uint32_t);

static const struct session_cb	 att_cb = { att_up, att_lost };

const struct dial_plan *
dial_plan_now(void)
{
	return &plan;
}

void
dial_plan_set(const struct dial_plan *p)
{
	if (p == NULL)
		memset(&plan, 0, sizeof(plan));
	else
		plan = *p;
}

static void
dial_stop(struct dial *d)
{
	size_t	 i;

	(void)evtimer_del(&d->d_ev);
	for (i = 0; i < d->d_n; i++) {
		(void)evtimer_del(&d->d_att[i].a_ev);
		session_close(d->d_att[i].a_sess);
		d->d_att[i].a_sess = NULL;
	}
	d->d_n = 0;
}

void
dial_close(struct dial *d)
{
	if (d == NULL)
		return;
	dial_stop(d);
	free(d);
}

static void
dial_fail(struct dial *d, const char *why, uint32_t code)
{
	const struct dial_cb	*cb = d->d_cb;
	char			 text[MSG_TEXT_LEN];

	(void)strlcpy(text, why, sizeof(text));
	dial_close(d);
	cb->dc_failed(text, code);
}

static void
dial_limit_cb(int fd, short events, void *arg)
{
	struct dial	*d = arg;

	dial_fail(d, d->d_why[0] != '\0' ? d->d_why :
	    "no control session in time", d->d_code);
}

static void
att_start(struct attempt *a)
{
	struct dial	*d = a->a_dial;

	if (a->a_state != ATT_WAITS)
		return;
	a->a_state = ATT_RUNS;
	(void)evtimer_del(&a->a_ev);
	a->a_sess = session_open(&d->d_try[a - d->d_att], d->d_text,
	    d->d_server, &att_cb, a);
}

static void
att_start_cb(int fd, short events, void *arg)
{
	att_start(arg);
}

static void
dial_begin(struct dial *d)
{
	struct attempt	*a;
	size_t		 i;

	d->d_n = dial_tries(&d->d_url, d->d_planned ? &plan : NULL,
	    d->d_tlsfirst, dial_limit(&plan), d->d_try);
	for (i = 0; i < d->d_n; i++) {
		a = &d->d_att[i];
		memset(a, 0, sizeof(*a));
		a->a_dial = d;
		evtimer_set(&a->a_ev, att_start_cb, a);
		timer_ms(&a->a_ev, d->d_try[i].dt_delay);
	}
}

struct dial *
dial_open(const struct url *u, const char *text,
    const uint8_t server[MSG_KEY_LEN], const struct dial_cb *cb)
{
	struct dial	*d;
	int64_t		 now;

	if ((d = calloc(1, sizeof(*d))) == NULL)
		fatal(NULL);
	now = os_now();
	/*
	 * Some boxes let the plain port work for a while, then cut it. The
	 * other order is enough: TLS need not exist at all.
	 */
	d->d_tlsfirst = last != 0 && now - last < RECENT;
	last = now;
	d->d_url = *u;
	d->d_cb = cb;
	d->d_code = MSG_E_CONN;
	(void)strlcpy(d->d_text, text, sizeof(d->d_text));
	memcpy(d->d_server, server, sizeof(d->d_server));
	d->d_planned = plan.dp_n > 0;
	evtimer_set(&d->d_ev, dial_limit_cb, d);
	timer_ms(&d->d_ev, dial_limit(&plan));
	dial_begin(d);
	return d;
}

static void
att_up(struct session *s, void *arg)
{
	struct attempt		*a = arg;
	struct dial		*d = a->a_dial;
	const struct dial_cb	*cb = d->d_cb;

	a->a_sess = NULL;
	dial_close(d);
	cb->dc_up(s);
}

/* Keep what says most: the word about the port that the URL names. */
static void
dial_note(struct dial *d, const struct dial_try *t, const char *why,
    uint32_t code)
{
	int	 own;

	own = t->dt_url.u_tls == d->d_url.u_tls && !d->d_planned;
	if (d->d_own && !own)
		return;
	d->d_own = own;
	d->d_code = code;
	(void)strlcpy(d->d_why, why, sizeof(d->d_why));
	log_debug("port %u%s: %s", t->dt_url.u_port,
	    d->d_planned ? " of the dial plan" : "", why);
}

static void
att_lost(void *arg, const char *why, uint32_t code)
{
	struct attempt	*a = arg;
	struct dial	*d = a->a_dial;
	size_t		 i, me;
	int		 left;

	me = a - d->d_att;
	a->a_sess = NULL;
	a->a_state = ATT_FAILED;
	/* cryptod would say the same to each of them. */
	if (code == MSG_E_PIN || code == MSG_E_NOKEY) {
		dial_fail(d, why, code);
		return;
	}
	dial_note(d, &d->d_try[me], why, code);
	left = 0;
	for (i = 0; i < d->d_n; i++) {
		if (d->d_try[i].dt_after == (int)me)
			att_start(&d->d_att[i]);
		left += d->d_att[i].a_state != ATT_FAILED;
	}
	if (left > 0)
		return;
	if (!d->d_planned) {
		dial_fail(d, d->d_why, d->d_code);
		return;
	}
	d->d_planned = 0;
	for (i = 0; i < d->d_n; i++)
		(void)evtimer_del(&d->d_att[i].a_ev);
	dial_begin(d);
}
