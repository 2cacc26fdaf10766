/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The names that a node knows by itself, and what it answers from them
 * (features.md 4.2).
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dns_int.h"

/* Addresses of a host stand in the reverse tree as well. */
struct dns_host;
struct dns_rev {
	RB_ENTRY(dns_rev)	 v_entry;
	struct dns_ip		 v_ip;
	uint64_t		 v_seq;		/* the oldest name answers */
	const struct dns_host	*v_host;
};

struct dns_host {
	RB_ENTRY(dns_host)	 h_entry;
	char			*h_name;	/* lower case, with its dot */
	size_t			 h_len;
	int			 h_subdomains;
	size_t			 h_nrev;
	struct dns_rev		 h_rev[];
};

struct dns_local {
	TAILQ_ENTRY(dns_local)	 l_entry;
	struct dns_name		 l_name;
};

struct dns_route {
	TAILQ_ENTRY(dns_route)	 r_entry;
	struct dns_name		 r_name;
	void			*r_data;
};

RB_HEAD(dns_hosts, dns_host);
RB_HEAD(dns_revs, dns_rev);

struct dns_db {
	struct dns_hosts	 hosts;
	struct dns_revs		 revs;
	TAILQ_HEAD(, dns_local)	 locals;
	TAILQ_HEAD(, dns_route)	 routes;
	uint64_t		 seq;
	size_t			 nhosts;
};

static int	host_cmp(const struct dns_host *, const struct dns_host *);
static int	rev_cmp(const struct dns_rev *, const struct dns_rev *);

RB_PROTOTYPE(dns_hosts, dns_host, h_entry, host_cmp)
RB_PROTOTYPE(dns_revs, dns_rev, v_entry, rev_cmp)

/* What is said to the asker. */
struct dns_verdict {
	int			 rcode;
	const struct dns_ip	*ip;
	const struct dns_host	*ptr;
	const char		*ptr_text;
	const struct dns_local	*soa;
};

static const char		 service_name[] =
				    "magicdns.localhost-tailscale-daemon.";
static const struct dns_ip	 service4 = { 4, { 100, 100, 100, 100 } };
static const struct dns_ip	 service6 = { 6, {
	0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53
} };

static int
host_cmp(const struct dns_host *a, const struct dns_host *b)
{
	if (a->h_len != b->h_len)
		return a->h_len < b->h_len ? -1 : 1;
	return memcmp(a->h_name, b->h_name, a->h_len);
}

static int
rev_cmp(const struct dns_rev *a, const struct dns_rev *b)
{
	int	 n;

	if (a->v_ip.af != b->v_ip.af)
		return a->v_ip.af < b->v_ip.af ? -1 : 1;
	if ((n = memcmp(a->v_ip.addr, b->v_ip.addr,
	    sizeof(a->v_ip.addr))) != 0)
		return n;
	return a->v_seq < b->v_seq ? -1 : a->v_seq > b->v_seq;
}

RB_GENERATE(dns_hosts, dns_host, h_entry, host_cmp)
RB_GENERATE(dns_revs, dns_rev, v_entry, rev_cmp)

struct dns_db *
dns_db_new(void)
{
	struct dns_db	*db;

	if ((db = calloc(1, sizeof(*db))) == NULL)
		return NULL;
	RB_INIT(&db->hosts);
	RB_INIT(&db->revs);
	TAILQ_INIT(&db->locals);
	TAILQ_INIT(&db->routes);
	return db;
}

static void
host_remove(struct dns_db *db, struct dns_host *h)
{
	size_t	 i;

	for (i = 0; i < h->h_nrev; i++)
		RB_REMOVE(dns_revs, &db->revs, &h->h_rev[i]);
	RB_REMOVE(dns_hosts, &db->hosts, h);
	db->nhosts--;
	free(h->h_name);
	free(h);
}

void
dns_db_free(struct dns_db *db)
{
	struct dns_host		*h;
	struct dns_local	*l;
	struct dns_route	*r;

	if (db == NULL)
		return;
	while ((h = RB_ROOT(&db->hosts)) != NULL)
		host_remove(db, h);
	while ((l = TAILQ_FIRST(&db->locals)) != NULL) {
		TAILQ_REMOVE(&db->locals, l, l_entry);
		free(l);
	}
	while ((r = TAILQ_FIRST(&db->routes)) != NULL) {
		TAILQ_REMOVE(&db->routes, r, r_entry);
		free(r->r_data);
		free(r);
	}
	free(db);
}

static struct dns_host *
host_find(const struct dns_db *db, char *name, size_t len)
{
	struct dns_host	 key;

	memset(&key, 0, sizeof(key));
	key.h_name = name;
	key.h_len = len;
	/* RB_FIND takes no const head, and changes none. */
	return RB_FIND(dns_hosts, (struct dns_hosts *)(uintptr_t)&db->hosts,
	    &key);
}

int
dns_db_host_set(struct dns_db *db, const char *text, const struct dns_ip *ip,
    size_t n, int subdomains)
{
	struct dns_host	*h, *old;
	struct dns_name	 name;
	size_t		 i;

	if (dns_name_from_text(&name, text) == -1) {
		errno = EINVAL;
		return -1;
	}
	if ((h = calloc(1, sizeof(*h) + n * sizeof(h->h_rev[0]))) == NULL)
		return -1;
	if ((h->h_name = strdup(name.text)) == NULL) {
		free(h);
		return -1;
	}
	h->h_len = name.len;
	h->h_subdomains = subdomains;
	if ((old = host_find(db, name.text, name.len)) != NULL)
		host_remove(db, old);
	RB_INSERT(dns_hosts, &db->hosts, h);
	db->nhosts++;
	for (i = 0; i < n; i++) {
		h->h_rev[i].v_ip = ip[i];
		h->h_rev[i].v_host = h;
		h->h_rev[i].v_seq = db->seq++;
		RB_INSERT(dns_revs, &db->revs, &h->h_rev[i]);
	}
	h->h_nrev = n;
	return 0;
}

void
dns_db_host_del(struct dns_db *db, const char *text)
{
	struct dns_host	*h;
	struct dns_name	 name;

	if (dns_name_from_text(&name, text) == 0 &&
	    (h = host_find(db, name.text, name.len)) != NULL)
		host_remove(db, h);
}

size_t
dns_db_count(const struct dns_db *db)
{
	return db->nhosts;
}

int
dns_db_local_add(struct dns_db *db, const char *text)
{
	struct dns_local	*l;
	struct dns_name		 name;

	if (dns_name_from_text(&name, text) == -1 || name.len <= 1) {
		errno = EINVAL;
		return -1;
	}
	TAILQ_FOREACH(l, &db->locals, l_entry)
		if (dns_name_equal(&l->l_name, &name))
			return 0;
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return -1;
	l->l_name = name;
	TAILQ_INSERT_TAIL(&db->locals, l, l_entry);
	return 0;
}

int
dns_db_route_set(struct dns_db *db, const char *text, void *data)
{
	struct dns_route	*r;
	struct dns_name		 name;

	if (dns_name_from_text(&name, text) == -1) {
		errno = EINVAL;
		return -1;
	}
	TAILQ_FOREACH(r, &db->routes, r_entry)
		if (dns_name_equal(&r->r_name, &name))
			break;
	if (r == NULL) {
		if ((r = calloc(1, sizeof(*r))) == NULL)
			return -1;
		r->r_name = name;
		TAILQ_INSERT_TAIL(&db->routes, r, r_entry);
	}
	free(r->r_data);
	r->r_data = data;
	return 0;
}

void *
dns_db_route(const struct dns_db *db, const struct dns_name *name)
{
	const struct dns_route	*r, *best = NULL;

	TAILQ_FOREACH(r, &db->routes, r_entry)
		if (dns_name_within(name, &r->r_name) &&
		    (best == NULL || r->r_name.len > best->r_name.len))
			best = r;
	return best != NULL ? best->r_data : NULL;
}

static const struct dns_local *
local_find(const struct dns_db *db, const struct dns_name *name)
{
	const struct dns_local	*l;

	TAILQ_FOREACH(l, &db->locals, l_entry)
		if (dns_name_within(name, &l->l_name))
			return l;
	return NULL;
}

/* The host itself, or the nearest above it that answers for all below. */
static const struct dns_host *
host_covering(const struct dns_db *db, const struct dns_name *name)
{
	struct dns_host	*h;
	struct dns_name	 n = *name;
	char		*p = n.text, *dot;
	size_t		 len = n.len;

	if ((h = host_find(db, p, len)) != NULL)
		return h;
	while ((dot = memchr(p, '.', len)) != NULL && (size_t)(dot - p) + 1 <
	    len) {
		len -= dot + 1 - p;
		p = dot + 1;
		if ((h = host_find(db, p, len)) != NULL && h->h_subdomains)
			return h;
	}
	return NULL;
}

/* First address of the family; 0: of any. */
static const struct dns_ip *
host_ip(const struct dns_host *h, int af)
{
	size_t	 i;

	for (i = 0; i < h->h_nrev; i++)
		if (af == 0 || h->h_rev[i].v_ip.af == af)
			return &h->h_rev[i].v_ip;
	return NULL;
}

static void
decide_host(const struct dns_db *db, const struct dns_query *q,
    const struct dns_host *h, struct dns_verdict *v)
{
	v->rcode = DNS_R_OK;
	switch (q->type) {
	case DNS_T_A:
		v->ip = host_ip(h, 4);
		break;
	case DNS_T_AAAA:
		v->ip = host_ip(h, 6);
		break;
	case DNS_T_ANY:
		v->ip = host_ip(h, 0);
		break;
	case DNS_T_NS:
	case DNS_T_SOA:
	case DNS_T_AXFR:
	case DNS_T_HINFO:
		v->rcode = DNS_R_NOTIMP;
		return;
	default:			/* exists, but has nothing of it */
		return;
	}
	if (v->ip == NULL)
		v->soa = local_find(db, &q->lower);
}

/* PTR: 0 decided, -1 not ours. */
static int
decide_reverse(const struct dns_db *db, const struct dns_query *q,
    struct dns_verdict *v)
{
	struct dns_rev	 key, *r;

	memset(&key, 0, sizeof(key));
	if (dns_bonjour(&q->lower) ||
	    dns_reverse_parse(&q->lower, &key.v_ip) == -1)
		return -1;
	v->rcode = DNS_R_OK;
	if (memcmp(&key.v_ip, &service4, sizeof(key.v_ip)) == 0 ||
	    memcmp(&key.v_ip, &service6, sizeof(key.v_ip)) == 0) {
		v->ptr_text = service_name;
		return 0;
	}
	r = RB_NFIND(dns_revs, (struct dns_revs *)(uintptr_t)&db->revs, &key);
	if (r != NULL && r->v_ip.af == key.v_ip.af &&
	    memcmp(r->v_ip.addr, key.v_ip.addr, sizeof(key.v_ip.addr)) == 0) {
		v->ptr = r->v_host;
		return 0;
	}
	if ((v->soa = local_find(db, &q->lower)) == NULL)
		return -1;
	v->rcode = DNS_R_NXDOMAIN;
	return 0;
}

static int
is_service(const struct dns_name *name)
{
	return name->len == sizeof(service_name) - 1 &&
	    memcmp(name->text, service_name, name->len) == 0;
}

/* Strictly below onion, RFC 7686. */
static int
is_onion(const struct dns_name *name)
{
	static const char	 onion[] = ".onion.";
	size_t			 n = sizeof(onion) - 1;

	return name->len > n &&
	    memcmp(name->text + name->len - n, onion, n) == 0;
}

/* All but PTR: 0 decided, -1 not ours. via: room for a 4via6 address. */
static int
decide(const struct dns_db *db, const struct dns_query *q,
    struct dns_verdict *v, struct dns_ip *via)
{
	const struct dns_host	*h;

	v->rcode = DNS_R_OK;
	if (is_onion(&q->lower)) {
		v->rcode = DNS_R_NXDOMAIN;
		v->soa = local_find(db, &q->lower);
		return 0;
	}
	if (is_service(&q->lower) &&
	    (q->type == DNS_T_A || q->type == DNS_T_AAAA)) {
		v->ip = q->type == DNS_T_A ? &service4 : &service6;
		return 0;
	}
	if ((q->type == DNS_T_A || q->type == DNS_T_AAAA ||
	    q->type == DNS_T_ANY) && dns_via_parse(&q->lower, via) == 0) {
		if (q->type == DNS_T_A)
			v->soa = local_find(db, &q->lower);
		else
			v->ip = via;
		return 0;
	}
	if ((h = host_covering(db, &q->lower)) != NULL) {
		decide_host(db, q, h, v);
		return 0;
	}
	if ((v->soa = local_find(db, &q->lower)) == NULL)
		return -1;
	v->rcode = DNS_R_NXDOMAIN;
	return 0;
}

static void
put_ip(struct dns_writer *w, const struct dns_query *q,
    const struct dns_ip *ip)
{
	dns_put_name(w, &q->name);
	dns_put16(w, ip->af == 4 ? DNS_T_A : DNS_T_AAAA);
	dns_put16(w, DNS_C_IN);
	dns_put32(w, DNS_TTL);
	dns_put16(w, ip->af == 4 ? 4 : 16);
	dns_put_bytes(w, ip->addr, ip->af == 4 ? 4 : 16);
}

static void
put_ptr(struct dns_writer *w, const struct dns_query *q, const char *text)
{
	struct dns_name	 name;

	if (dns_name_from_text(&name, text) == -1) {
		w->w_bad = 1;
		return;
	}
	dns_put_name(w, &q->name);
	dns_put16(w, DNS_T_PTR);
	dns_put16(w, DNS_C_IN);
	dns_put32(w, DNS_TTL);
	dns_put16(w, dns_name_wire_len(&name));
	dns_put_name(w, &name);
}

/* RFC 2308: how long to believe that there is nothing. */
static void
put_soa(struct dns_writer *w, const struct dns_name *zone, uint32_t serial)
{
	int	 i;

	dns_put_name(w, zone);
	dns_put16(w, DNS_T_SOA);
	dns_put16(w, DNS_C_IN);
	dns_put32(w, DNS_NEG_TTL);
	dns_put16(w, 2 * dns_name_wire_len(zone) + 20);
	dns_put_name(w, zone);
	dns_put_name(w, zone);
	dns_put32(w, serial);
	for (i = 0; i < 4; i++)		/* refresh, retry, expire, minimum */
		dns_put32(w, DNS_NEG_TTL);
}

size_t
dns_db_answer(const struct dns_db *db, const struct dns_query *q,
    uint32_t serial, uint8_t *out, void **data)
{
	struct dns_writer	 w = { out, 0, DNS_UDP_MAX, 0 };
	struct dns_verdict	 v;
	struct dns_ip		 via;
	int			 answers, ours;

	memset(&v, 0, sizeof(v));
	ours = q->type == DNS_T_PTR ? decide_reverse(db, q, &v) :
	    decide(db, q, &v, &via);
	if (ours == -1) {
		if (dns_bonjour(&q->lower))
			return dns_reply_empty(q, DNS_R_NXDOMAIN, 0, out,
			    DNS_UDP_MAX);
		if ((*data = dns_db_route(db, &q->lower)) != NULL)
			return 0;
		return dns_reply_servfail(q, out, DNS_UDP_MAX);
	}
	answers = v.ip != NULL || v.ptr != NULL || v.ptr_text != NULL;
	dns_put_reply(&w, q, DNS_F_AA | v.rcode |
	    (q->flags & DNS_F_RD ? DNS_F_RA : 0), answers, v.soa != NULL);
	if (v.ip != NULL)
		put_ip(&w, q, v.ip);
	else if (answers)
		put_ptr(&w, q, v.ptr != NULL ? v.ptr->h_name : v.ptr_text);
	if (v.soa != NULL)
		put_soa(&w, &v.soa->l_name, serial);
	if (w.w_bad)
		return dns_reply_servfail(q, out, DNS_UDP_MAX);
	return w.w_len;
}
