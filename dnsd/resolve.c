/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Look-ups for siblings: the hosts file, what is remembered, then both
 * address families from the system's resolvers. When they are silent, the
 * last good addresses are better than none.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "dnsd.h"
#include "log.h"
#include "os.h"

#define LOOKUPS_MAX	32
#define CACHE_MAX	128
#define TTL_LEAST	5		/* seconds */
#define TTL_MOST	3600
#define CHAIN_QUERIES	4		/* follow a CNAME so often */
#define TIMEOUT_SEC	10
#define OTHER_FAMILY_MS	500		/* grace for the slower of the two */

struct half {
	struct lookup		*h_lookup;
	struct up_query		*h_query;
	uint16_t		 h_type;
	unsigned int		 h_depth;
	char			 h_name[DNS_NAME_LEN];
	int			 h_done;
	int			 h_error;	/* MSG_OK, MSG_E_* */
	struct dns_lookup	 h_result;
};

struct lookup {
	TAILQ_ENTRY(lookup)	 l_entry;
	struct chan		*l_chan;	/* who asked */
	uint32_t		 l_id;
	char			 l_name[DNS_NAME_LEN];
	size_t			 l_search;	/* search domain in turn */
	struct half		 l_half[2];
	struct event		 l_timer;
};

struct cached {
	TAILQ_ENTRY(cached)	 c_entry;
	char			*c_name;
	int64_t			 c_expire;	/* os_now() */
	size_t			 c_n;
	struct dns_ip		 c_ip[RESOLVED_MAX];
};

static TAILQ_HEAD(, lookup)	 lookups = TAILQ_HEAD_INITIALIZER(lookups);
static TAILQ_HEAD(cachehead, cached) cache = TAILQ_HEAD_INITIALIZER(cache);
static size_t			 nlookups, ncached;
static int			 started;

static void		lookup_ask(struct lookup *);
static enum up_verdict	half_judge(void *, uint16_t, const uint8_t *, size_t);
static void		half_done(void *, uint8_t *, size_t);

static const struct up_cb	 half_cb = { half_judge, half_done };

/* --- memory of answers --- */

static struct cached *
cache_find(const char *name)
{
	struct cached	*c;

	TAILQ_FOREACH(c, &cache, c_entry)
		if (strcmp(c->c_name, name) == 0)
			return c;
	return NULL;
}

static void
cache_put(const char *name, const struct dns_ip *ip, size_t n, uint32_t ttl)
{
	struct cached	*c;

	if ((c = cache_find(name)) == NULL) {
		if (ncached == CACHE_MAX) {
			c = TAILQ_LAST(&cache, cachehead);
			TAILQ_REMOVE(&cache, c, c_entry);
			free(c->c_name);
			free(c);
			ncached--;
		}
		if ((c = calloc(1, sizeof(*c))) == NULL ||
		    (c->c_name = strdup(name)) == NULL)
			fatal(NULL);
		ncached++;
	} else
		TAILQ_REMOVE(&cache, c, c_entry);
	TAILQ_INSERT_HEAD(&cache, c, c_entry);
	ttl = ttl < TTL_LEAST ? TTL_LEAST : ttl > TTL_MOST ? TTL_MOST : ttl;
	c->c_expire = os_now() + ttl * NSEC_PER_SEC;
	c->c_n = n;
	memcpy(c->c_ip, ip, n * sizeof(*ip));
}

/* --- answers --- */

static void
reply(struct chan *chan, uint32_t id, int error, const struct dns_ip *ip,
    size_t n)
{
	struct msg_resolved	 m;
	size_t			 i;

	memset(&m, 0, sizeof(m));
	m.error = error;
	m.n = n;
	for (i = 0; i < n; i++) {
		m.ip[i].af = ip[i].af;
		memcpy(m.ip[i].addr, ip[i].addr, sizeof(m.ip[i].addr));
	}
	(void)chan_compose(chan, IMSG_RESOLVED, id, -1, &m, sizeof(m));
}

static void
lookup_free(struct lookup *l)
{
	up_cancel(l->l_half[0].h_query);
	up_cancel(l->l_half[1].h_query);
	(void)evtimer_del(&l->l_timer);
	TAILQ_REMOVE(&lookups, l, l_entry);
	nlookups--;
	free(l);
}

/* Why there is no address: a silent server says less than a firm no. */
static int
lookup_error(const struct lookup *l)
{
	const struct half	*a = &l->l_half[0], *b = &l->l_half[1];

	if (!a->h_done || !b->h_done)
		return MSG_E_TIMEOUT;
	if (a->h_error == MSG_E_NAME || b->h_error == MSG_E_NAME)
		return MSG_E_NAME;
	if (a->h_error == MSG_E_TIMEOUT || b->h_error == MSG_E_TIMEOUT)
		return MSG_E_TIMEOUT;
	return a->h_error == MSG_OK ? MSG_E_NAME : MSG_E_IO;
}

/* A name without a dot: is there another domain to look in? */
static int
lookup_next(struct lookup *l)
{
	if (strchr(l->l_name, '.') != NULL ||
	    l->l_search >= files_search()->n)
		return 0;
	l->l_search++;
	lookup_ask(l);
	return 1;
}

static void
lookup_finish(struct lookup *l)
{
	struct dns_ip		 ip[RESOLVED_MAX];
	const struct cached	*c;
	const struct half	*h;
	uint32_t		 ttl = TTL_MOST;
	size_t			 i, j, n = 0;
	int			 error;

	/* Of each family at most one half of the room. */
	for (i = 0; i < 2; i++) {
		h = &l->l_half[i];
		for (j = 0; h->h_done && j < h->h_result.n &&
		    j < RESOLVED_MAX / 2; j++)
			ip[n++] = h->h_result.ip[j];
		if (h->h_done && h->h_result.n > 0 && h->h_result.ttl < ttl)
			ttl = h->h_result.ttl;
	}
	if (n > 0) {
		cache_put(l->l_name, ip, n, ttl);
		reply(l->l_chan, l->l_id, MSG_OK, ip, n);
	} else {
		error = lookup_error(l);
		if (error == MSG_E_NAME && lookup_next(l))
			return;
		c = error != MSG_E_NAME ? cache_find(l->l_name) : NULL;
		if (c != NULL) {
			log_info("%s: resolvers do not answer, taking the "
			    "last known addresses", l->l_name);
			reply(l->l_chan, l->l_id, MSG_OK, c->c_ip, c->c_n);
		} else
			reply(l->l_chan, l->l_id, error, NULL, 0);
	}
	lookup_free(l);
}

static void
lookup_timer_cb(int fd, short events, void *arg)
{
	lookup_finish(arg);
}

static void
lookup_timer(struct lookup *l, int ms)
{
	struct timeval	 tv = { ms / 1000, ms % 1000 * 1000 };

	(void)evtimer_del(&l->l_timer);
	if (evtimer_add(&l->l_timer, &tv) == -1)
		fatal("evtimer_add");
}

/* --- one family --- */

static void
half_end(struct half *h, int error)
{
	struct lookup	*l = h->h_lookup;

	h->h_done = 1;
	h->h_error = error;
	h->h_query = NULL;
	if (l->l_half[0].h_done && l->l_half[1].h_done)
		lookup_timer(l, 0);		/* not from within a query */
	else if (h->h_result.n > 0)
		lookup_timer(l, OTHER_FAMILY_MS);
}

static void
half_ask(struct half *h)
{
	uint8_t	 query[512];
	size_t	 len;

	h->h_query = NULL;
	if ((len = dns_lookup_build(0, h->h_name, h->h_type, query)) > 0)
		h->h_query = up_ask(query, len, files_servers(), &half_cb, h);
	if (h->h_query == NULL)
		half_end(h, len > 0 ? MSG_E_RATE : MSG_E_NAME);
}

static enum up_verdict
half_judge(void *arg, uint16_t id, const uint8_t *msg, size_t len)
{
	struct half	*h = arg;

	if (dns_lookup_parse(id, h->h_name, h->h_type, msg, len,
	    &h->h_result) == -1)
		return UP_IGNORE;
	if (h->h_result.truncated)
		return UP_TRUNCATED;
	if (h->h_result.rcode != DNS_R_OK &&
	    h->h_result.rcode != DNS_R_NXDOMAIN)
		return UP_NEXT;
	return UP_FINAL;
}

static void
half_done(void *arg, uint8_t *msg, size_t len)
{
	struct half	*h = arg;

	h->h_query = NULL;
	if (len == 0) {
		memset(&h->h_result, 0, sizeof(h->h_result));
		half_end(h, MSG_E_TIMEOUT);
	} else if (h->h_result.n > 0)
		half_end(h, MSG_OK);
	else if (h->h_result.rcode == DNS_R_NXDOMAIN)
		half_end(h, MSG_E_NAME);
	else if (h->h_result.rcode != DNS_R_OK)
		half_end(h, MSG_E_IO);
	else if (h->h_result.cname.len > 0 && h->h_depth++ < CHAIN_QUERIES) {
		(void)strlcpy(h->h_name, h->h_result.cname.text,
		    sizeof(h->h_name));
		half_ask(h);
	} else
		half_end(h, MSG_OK);		/* none of this family */
}

/* --- requests --- */

/* Ask for both families; names without a dot first in the search domains. */
static void
lookup_ask(struct lookup *l)
{
	const struct search	*search = files_search();
	char			 name[DNS_NAME_LEN];
	size_t			 i;
	int			 n;

	(void)strlcpy(name, l->l_name, sizeof(name));
	if (strchr(l->l_name, '.') == NULL && l->l_search < search->n) {
		n = snprintf(name, sizeof(name), "%s.%s", l->l_name,
		    search->domain[l->l_search]);
		if (n < 0 || (size_t)n >= sizeof(name))
			(void)strlcpy(name, l->l_name, sizeof(name));
	}
	lookup_timer(l, TIMEOUT_SEC * 1000);
	for (i = 0; i < 2; i++) {
		memset(&l->l_half[i], 0, sizeof(l->l_half[i]));
		l->l_half[i].h_lookup = l;
		l->l_half[i].h_type = i == 0 ? DNS_T_A : DNS_T_AAAA;
		(void)strlcpy(l->l_half[i].h_name, name,
		    sizeof(l->l_half[i].h_name));
	}
	half_ask(&l->l_half[0]);
	half_ask(&l->l_half[1]);
}

/* From what is known already: 1 answered. */
static int
answer_known(struct chan *chan, uint32_t id, const char *name)
{
	struct dns_ip		 ip[RESOLVED_MAX];
	const struct cached	*c;
	size_t			 n;

	if ((n = files_hosts_find(name, ip, RESOLVED_MAX)) > 0)
		reply(chan, id, MSG_OK, ip, n);
	else if ((c = cache_find(name)) != NULL && c->c_expire > os_now())
		reply(chan, id, MSG_OK, c->c_ip, c->c_n);
	else
		return 0;
	return 1;
}

static void
lookup_start(struct chan *chan, uint32_t id, const char *name)
{
	struct lookup	*l;

	if (nlookups == LOOKUPS_MAX) {
		reply(chan, id, MSG_E_RATE, NULL, 0);
		return;
	}
	if ((l = calloc(1, sizeof(*l))) == NULL)
		fatal(NULL);
	l->l_chan = chan;
	l->l_id = id;
	(void)strlcpy(l->l_name, name, sizeof(l->l_name));
	TAILQ_INSERT_TAIL(&lookups, l, l_entry);
	nlookups++;
	evtimer_set(&l->l_timer, lookup_timer_cb, l);
	if (started)
		lookup_ask(l);
}

void
resolve_start(void)
{
	struct lookup	*l, *tmp;

	started = 1;
	TAILQ_FOREACH_SAFE(l, &lookups, l_entry, tmp) {
		if (answer_known(l->l_chan, l->l_id, l->l_name))
			lookup_free(l);
		else
			lookup_ask(l);
	}
}

int
resolve_msg(struct chan *chan, struct imsg *imsg)
{
	struct msg_resolve	 m;
	struct dns_ip		 ip;
	struct dns_name		 name;
	uint32_t		 id = imsg_get_id(imsg);

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.name, sizeof(m.name)))
		return -1;
	if (dns_ip_parse(m.name, &ip) == 0) {
		reply(chan, id, MSG_OK, &ip, 1);
		return 0;
	}
	if (dns_name_from_text(&name, m.name) == -1 || name.len <= 1) {
		reply(chan, id, MSG_E_NAME, NULL, 0);
		return 0;
	}
	name.text[name.len - 1] = '\0';		/* the dot */
	if (!started || !answer_known(chan, id, name.text))
		lookup_start(chan, id, name.text);
	return 0;
}

void
resolve_drop(const struct chan *chan)
{
	struct lookup	*l, *tmp;

	TAILQ_FOREACH_SAFE(l, &lookups, l_entry, tmp)
		if (l->l_chan == chan)
			lookup_free(l);
}

void
resolve_count(size_t *kept, size_t *waiting)
{
	*kept = ncached;
	*waiting = nlookups;
}
