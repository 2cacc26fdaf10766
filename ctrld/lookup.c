/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses of the control server's name: from dnsd, from relays where the
 * resolver fails, and as a last resort from memory.
 * Source: control.md 2.2; dataplane.md 3.8.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bootstrap.h"
#include "ctrld.h"

struct lookup {
	TAILQ_ENTRY(lookup)	 l_entry;
	struct event		 l_ev;
	struct fetch		*l_fetch;	/* asking a relay */
	void			(*l_cb)(const struct msg_ip *, size_t,
				    const char *, void *);
	void			*l_arg;
	struct bootstrap	 l_relay[BOOTSTRAP_MAX];
	size_t			 l_nrelays;
	size_t			 l_next;
	uint32_t		 l_id;		/* asked of dnsd; 0: not now */
	char			 l_name[MSG_NAME_LEN];
	char			 l_why[MSG_NAME_LEN + 64];
};

static TAILQ_HEAD(, lookup)	 lookups = TAILQ_HEAD_INITIALIZER(lookups);
static char			 good_name[MSG_NAME_LEN];
static struct msg_ip		 good_ip;

static void	 lookup_relay(struct lookup *);

void
lookup_cancel(struct lookup *l)
{
	if (l == NULL)
		return;
	(void)evtimer_del(&l->l_ev);
	fetch_cancel(l->l_fetch);
	TAILQ_REMOVE(&lookups, l, l_entry);
	free(l);
}

static void
lookup_end(struct lookup *l, const struct msg_ip *ip, size_t n)
{
	char	 why[MSG_TEXT_LEN];
	void	(*cb)(const struct msg_ip *, size_t, const char *, void *);
	void	*arg;

	cb = l->l_cb;
	arg = l->l_arg;
	(void)strlcpy(why, l->l_why, sizeof(why));
	l->l_fetch = NULL;
	lookup_cancel(l);
	cb(ip, n, why, arg);
}

static void
lookup_ask(struct lookup *l)
{
	struct msg_resolve	 m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.name, l->l_name, sizeof(m.name));
	l->l_id = ctrld_id();
	/* If dnsd is being replaced, lookup_dnsd_new() asks again. */
	(void)chan_compose(ctrld_dnsd(), IMSG_RESOLVE, l->l_id, -1, &m,
	    sizeof(m));
}

/* dnsd is as slow as its resolvers: the relays are asked meanwhile. */
static void
lookup_slow_cb(int fd, short events, void *arg)
{
	struct lookup	*l = arg;

	if (l->l_fetch == NULL && l->l_nrelays == 0)
		lookup_relay(l);
}

struct lookup *
lookup_start(const char *name, void (*cb)(const struct msg_ip *, size_t,
    const char *, void *), void *arg)
{
	struct lookup	*l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		fatal(NULL);
	(void)strlcpy(l->l_name, name, sizeof(l->l_name));
	(void)snprintf(l->l_why, sizeof(l->l_why), "look-up of %s: no answer",
	    name);
	l->l_cb = cb;
	l->l_arg = arg;
	evtimer_set(&l->l_ev, lookup_slow_cb, l);
	timer_ms(&l->l_ev, BOOTSTRAP_AFTER);
	TAILQ_INSERT_TAIL(&lookups, l, l_entry);
	lookup_ask(l);
	return l;
}

void
lookup_dnsd_new(void)
{
	struct lookup	*l;

	TAILQ_FOREACH(l, &lookups, l_entry)
		if (l->l_id != 0)
			lookup_ask(l);
}

void
lookup_good(const char *name, const struct msg_ip *ip)
{
	(void)strlcpy(good_name, name, sizeof(good_name));
	good_ip = *ip;
}

static void
lookup_note(const struct lookup *l, const char *what)
{
	char	 text[MSG_TEXT_LEN];

	(void)snprintf(text, sizeof(text), "%s: %s", l->l_why, what);
	health_set(HEALTH_LOOKUP, text);
}

/* All have been asked, and nobody knows. */
static void
lookup_fail(struct lookup *l)
{
	if (l->l_id != 0 || l->l_fetch != NULL)
		return;			/* somebody may still answer */
	if (strcmp(good_name, l->l_name) == 0) {
		lookup_note(l, "the address that was good last is used");
		lookup_end(l, &good_ip, 1);
	} else
		lookup_end(l, NULL, 0);
}

/* --- dnsd --- */

int
lookup_resolved(struct imsg *imsg)
{
	struct msg_resolved	 m;
	struct msg_ip		 ip[RESOLVED_MAX];
	struct lookup		*l;
	uint32_t		 i;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.n > RESOLVED_MAX)
		return -1;
	for (i = 0; i < m.n; i++)
		if (m.ip[i].af != AF_WIRE_INET && m.ip[i].af != AF_WIRE_INET6)
			return -1;
	TAILQ_FOREACH(l, &lookups, l_entry)
		if (l->l_id != 0 && l->l_id == imsg_get_id(imsg))
			break;
	if (l == NULL)
		return 0;		/* given up meanwhile */
	l->l_id = 0;
	if (m.error == MSG_OK && m.n > 0) {
		health_set(HEALTH_LOOKUP, NULL);
		bootstrap_order(m.ip, m.n, ip);
		fetch_cancel(l->l_fetch);
		lookup_end(l, ip, m.n);
		return 0;
	}
	(void)snprintf(l->l_why, sizeof(l->l_why), "look-up of %s: %s",
	    l->l_name, m.error == MSG_OK ? "no addresses" :
	    msg_strerror(m.error));
	if (l->l_fetch == NULL)
		lookup_relay(l);
	return 0;
}

/* --- relays --- */

static void
relay_cb(int status, const char *body, size_t len, void *arg)
{
	struct msg_ip	 got[LOOKUP_MAX], ip[LOOKUP_MAX];
	struct lookup	*l = arg;
	size_t		 n;

	l->l_fetch = NULL;
	n = status == 200 ? bootstrap_parse(body, len, l->l_name, got,
	    nitems(got)) : 0;
	if (n == 0) {
		lookup_relay(l);
		return;
	}
	lookup_note(l, "a relay told the address");
	bootstrap_order(got, n, ip);
	lookup_end(l, ip, n);
}

/* Ask the next relay, or give up. */
static void
lookup_relay(struct lookup *l)
{
	const struct bootstrap	*b;
	struct conn_opt		 opt;
	struct url		 u;
	char			 text[2 * MSG_NAME_LEN + 64];

	if (l->l_nrelays == 0 && map_now() != NULL)
		l->l_nrelays = bootstrap_relays(map_now()->nm_derp,
		    arc4random(), l->l_relay);
	if (l->l_next == l->l_nrelays) {
		lookup_fail(l);
		return;
	}
	b = &l->l_relay[l->l_next++];
	(void)snprintf(text, sizeof(text), "https://%s/bootstrap-dns?q=%s",
	    b->b_host, l->l_name);
	if (url_parse(text, &u) == -1) {
		lookup_relay(l);
		return;
	}
	memset(&opt, 0, sizeof(opt));
	opt.co_ip = b->b_ip;
	opt.co_limit = BOOTSTRAP_LIMIT;
	opt.co_purpose = CONN_DERP;
	l->l_fetch = fetch_start("GET", &u, &opt, relay_cb, l);
}
