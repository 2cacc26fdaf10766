/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The tailnet's names, as ctrld tells them: a change takes effect when it is
 * complete, never by halves.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "dnsd.h"
#include "log.h"
#include "os.h"

#define CHANGES_MAX	200000		/* names of one change */

/* Of a partial change: kept until it is complete. */
struct change {
	TAILQ_ENTRY(change)	 c_entry;
	uint32_t		 c_type;	/* IMSG_DNS_* */
	char			*c_name;
	struct servers		*c_servers;	/* of a route, or NULL */
	size_t			 c_n;
	struct dns_ip		 c_ip[];
};

static struct dns_db		*db;		/* answers */
static struct dns_db		*next;		/* being built, or NULL */
static TAILQ_HEAD(, change)	 changes = TAILQ_HEAD_INITIALIZER(changes);
static size_t			 nchanges;
static int			 changing;

static struct dns_db *
db_new(void)
{
	struct dns_db	*d;
	struct servers	*sys;
	char		 zone[64];
	int		 i;

	/* No servers: the system's. */
	if ((d = dns_db_new()) == NULL ||
	    (sys = calloc(1, sizeof(*sys))) == NULL ||
	    dns_db_route_set(d, "", sys) == -1)
		fatal(NULL);
	/* Reverse zones of 100.64.0.0/10 and fd7a:115c:a1e0::/48. */
	for (i = 64; i < 128; i++) {
		(void)snprintf(zone, sizeof(zone), "%d.100.in-addr.arpa", i);
		if (dns_db_local_add(d, zone) == -1)
			fatal("zone %s", zone);
	}
	if (dns_db_local_add(d, "0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa") == -1)
		fatal("reverse zone");
	return d;
}

void
names_init(void)
{
	db = db_new();
}

static void
change_free(struct change *c)
{
	free(c->c_name);
	free(c->c_servers);
	free(c);
}

void
names_abort(void)
{
	struct change	*c;

	dns_db_free(next);
	next = NULL;
	while ((c = TAILQ_FIRST(&changes)) != NULL) {
		TAILQ_REMOVE(&changes, c, c_entry);
		change_free(c);
	}
	nchanges = 0;
	changing = 0;
}

static int
names_begin(struct imsg *imsg)
{
	struct msg_nm_begin	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	names_abort();
	changing = 1;
	if (m.full)
		next = db_new();
	return 0;
}

/* One bad name must not keep the others out. */
static void
change_apply(struct dns_db *d, struct change *c)
{
	int	 ret;

	if (c->c_type == IMSG_DNS_HOST && c->c_n == 0) {
		dns_db_host_del(d, c->c_name);
		return;
	}
	if (c->c_type == IMSG_DNS_HOST)
		ret = dns_db_host_set(d, c->c_name, c->c_ip, c->c_n, 0);
	else if (c->c_servers == NULL)
		ret = dns_db_local_add(d, c->c_name);
	else if ((ret = dns_db_route_set(d, c->c_name, c->c_servers)) == 0)
		c->c_servers = NULL;		/* the db's now */
	if (ret == -1)
		log_warn("DNS name or zone left out");
}

/* Build it aside at once, or keep it for the end of the change. */
static int
change_add(struct change *c)
{
	if (!changing || nchanges == CHANGES_MAX) {
		change_free(c);
		return -1;
	}
	if (next != NULL) {
		change_apply(next, c);
		change_free(c);
		return 0;
	}
	TAILQ_INSERT_TAIL(&changes, c, c_entry);
	nchanges++;
	return 0;
}

static struct change *
change_new(uint32_t type, const char *name, size_t nips)
{
	struct change	*c;

	if ((c = calloc(1, sizeof(*c) + nips * sizeof(c->c_ip[0]))) == NULL ||
	    (c->c_name = strdup(name)) == NULL)
		fatal(NULL);
	c->c_type = type;
	c->c_n = nips;
	return c;
}

static int
names_host(struct imsg *imsg)
{
	struct msg_dns_host	 m;
	struct change		*c;
	size_t			 i;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.name, sizeof(m.name)) || m.n > RESOLVED_MAX)
		return -1;
	c = change_new(IMSG_DNS_HOST, m.name, m.n);
	for (i = 0; i < m.n; i++) {
		if (m.ip[i].af != AF_WIRE_INET && m.ip[i].af != AF_WIRE_INET6) {
			change_free(c);
			return -1;
		}
		c->c_ip[i].af = m.ip[i].af;
		memcpy(c->c_ip[i].addr, m.ip[i].addr,
		    m.ip[i].af == AF_WIRE_INET ? 4 : 16);
	}
	return change_add(c);
}

/* A zone that is answered here alone; ctrld has none: the empty name. */
static int
names_suffix(struct imsg *imsg)
{
	struct msg_resolve	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.name, sizeof(m.name)))
		return -1;
	if (m.name[0] == '\0')
		return 0;
	return change_add(change_new(IMSG_DNS_SUFFIX, m.name, 0));
}

static int
names_route(struct imsg *imsg)
{
	struct msg_dns_route	 m;
	struct change		*c;
	size_t			 i;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.suffix, sizeof(m.suffix)) || m.n > SERVERS_MAX)
		return -1;
	c = change_new(IMSG_DNS_ROUTE, m.suffix, 0);
	if (m.n > 0 && (c->c_servers = calloc(1, sizeof(*c->c_servers))) ==
	    NULL)
		fatal(NULL);
	for (i = 0; i < m.n; i++) {
		if (m.ep[i].af != AF_WIRE_INET && m.ep[i].af != AF_WIRE_INET6) {
			change_free(c);
			return -1;
		}
		c->c_servers->ep[c->c_servers->n++] = m.ep[i];
	}
	return change_add(c);
}

static int
names_commit(void)
{
	struct change	*c;

	if (!changing)
		return -1;
	if (next != NULL) {
		dns_db_free(db);
		db = next;
		next = NULL;
	}
	TAILQ_FOREACH(c, &changes, c_entry)
		change_apply(db, c);
	names_abort();
	log_debug("%zu names", dns_db_count(db));
	return 0;
}

int
names_msg(struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_DNS_BEGIN:
		return names_begin(imsg);
	case IMSG_DNS_SUFFIX:
		return names_suffix(imsg);
	case IMSG_DNS_HOST:
		return names_host(imsg);
	case IMSG_DNS_ROUTE:
		return names_route(imsg);
	case IMSG_DNS_COMMIT:
		return names_commit();
	default:
		return -1;
	}
}

/*
 * Of a route's resolvers only those that the system uses itself: the parent
 * connects to no other.
 */
static const struct servers *
names_servers(const struct servers *route)
{
	static struct servers	 usable;
	const struct servers	*sys = files_servers();
	size_t			 i, j;

	if (route->n == 0)
		return sys;
	usable.n = 0;
	for (i = 0; i < route->n; i++)
		for (j = 0; j < sys->n; j++)
			if (route->ep[i].af == sys->ep[j].af &&
			    route->ep[i].port == sys->ep[j].port &&
			    memcmp(route->ep[i].addr, sys->ep[j].addr,
			    sizeof(sys->ep[j].addr)) == 0) {
				usable.ep[usable.n++] = sys->ep[j];
				break;
			}
	return &usable;
}

size_t
names_answer(const struct dns_query *q, uint8_t *out,
    const struct servers **servers)
{
	void	*route = NULL;
	size_t	 n;

	n = dns_db_answer(db, q, os_date() / NSEC_PER_SEC, out, &route);
	if (n > 0)
		return n;
	*servers = names_servers(route);
	if ((*servers)->n > 0)
		return 0;
	return dns_reply_servfail(q, out, DNS_UDP_MAX);
}

size_t
names_count(void)
{
	return dns_db_count(db);
}
