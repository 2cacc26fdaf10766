/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Queries and answers of a stub resolver. A message that does not answer the
 * question asked is nobody's answer: the caller waits for another.
 */

#include <sys/types.h>

#include <string.h>

#include "dns_int.h"

#define RR_HEAD		10		/* type, class, TTL, length */
#define TTL_MAX		86400
#define RECORDS_MAX	256

size_t
dns_lookup_build(uint16_t id, const char *text, uint16_t type, uint8_t *out)
{
	struct dns_writer	 w = { out, 0, 512, 0 };
	struct dns_name		 name;

	if (dns_name_from_text(&name, text) == -1)
		return 0;
	dns_put16(&w, id);
	dns_put16(&w, DNS_F_RD);
	dns_put16(&w, 1);
	dns_put16(&w, 0);
	dns_put32(&w, 0);
	dns_put_name(&w, &name);
	dns_put16(&w, type);
	dns_put16(&w, DNS_C_IN);
	return w.w_bad ? 0 : w.w_len;
}

/* One record; *off behind it. 0 or -1. */
struct dns_rr {
	struct dns_name	 name;
	uint16_t	 type;
	uint16_t	 class;
	uint32_t	 ttl;
	size_t		 data;		/* where it is */
	size_t		 len;
};

static int
rr_get(const uint8_t *msg, size_t len, size_t *off, struct dns_rr *rr)
{
	struct dns_name	 name;

	if (dns_get_name(msg, len, off, &name) == -1 || *off > len ||
	    len - *off < RR_HEAD)
		return -1;
	dns_name_lower(&rr->name, &name);
	rr->type = dns_get16(msg + *off);
	rr->class = dns_get16(msg + *off + 2);
	rr->ttl = dns_get32(msg + *off + 4);
	rr->len = dns_get16(msg + *off + 8);
	*off += RR_HEAD;
	if (rr->len > len - *off)
		return -1;
	rr->data = *off;
	*off += rr->len;
	return 0;
}

static void
lookup_ttl(struct dns_lookup *l, uint32_t ttl)
{
	if (ttl > TTL_MAX)
		ttl = TTL_MAX;
	if (ttl < l->ttl)
		l->ttl = ttl;
}

static void
lookup_add(struct dns_lookup *l, const uint8_t *msg, const struct dns_rr *rr)
{
	struct dns_ip	*ip;

	if (l->n == DNS_LOOKUP_MAX ||
	    rr->len != (rr->type == DNS_T_A ? 4U : 16U))
		return;
	ip = &l->ip[l->n++];
	memset(ip, 0, sizeof(*ip));
	ip->af = rr->type == DNS_T_A ? 4 : 6;
	memcpy(ip->addr, msg + rr->data, rr->len);
	lookup_ttl(l, rr->ttl);
}

/* One pass over the answers: addresses of the name, or where it leads. */
static int
lookup_pass(const uint8_t *msg, size_t len, size_t off, uint16_t type,
    struct dns_name *name, struct dns_lookup *l, int *moved)
{
	struct dns_rr	 rr;
	struct dns_name	 target;
	size_t		 pos;
	unsigned int	 i, n = dns_get16(msg + 6);

	*moved = 0;
	for (i = 0; i < n && i < RECORDS_MAX; i++) {
		if (rr_get(msg, len, &off, &rr) == -1)
			return -1;
		if (rr.class != DNS_C_IN || !dns_name_equal(&rr.name, name))
			continue;
		if (rr.type == type)
			lookup_add(l, msg, &rr);
		else if (rr.type == DNS_T_CNAME && !*moved) {
			pos = rr.data;
			if (dns_get_name(msg, len, &pos, &target) == -1 ||
			    pos != rr.data + rr.len)
				return -1;
			lookup_ttl(l, rr.ttl);
			*moved = 1;
		}
	}
	if (*moved)
		dns_name_lower(name, &target);
	return 0;
}

/* The question must be the one that was asked. */
static int
lookup_question(uint16_t id, const struct dns_name *want, uint16_t type,
    const uint8_t *msg, size_t len, size_t *off)
{
	struct dns_name	 name, lower;

	*off = DNS_HDR_LEN;
	if (len < DNS_HDR_LEN || dns_get16(msg) != id ||
	    (dns_get16(msg + 2) & DNS_F_QR) == 0 || dns_get16(msg + 4) != 1 ||
	    dns_get_name(msg, len, off, &name) == -1 || *off > len ||
	    len - *off < 4)
		return -1;
	dns_name_lower(&lower, &name);
	if (!dns_name_equal(&lower, want) || dns_get16(msg + *off) != type ||
	    dns_get16(msg + *off + 2) != DNS_C_IN)
		return -1;
	*off += 4;
	return 0;
}

int
dns_lookup_parse(uint16_t id, const char *text, uint16_t type,
    const uint8_t *msg, size_t len, struct dns_lookup *l)
{
	struct dns_name	 name;
	size_t		 off;
	int		 i, moved = 0;

	memset(l, 0, sizeof(*l));
	l->ttl = TTL_MAX;
	if (dns_name_from_text(&name, text) == -1 ||
	    lookup_question(id, &name, type, msg, len, &off) == -1)
		return -1;
	l->rcode = dns_get16(msg + 2) & 0x000f;
	l->truncated = (dns_get16(msg + 2) & DNS_F_TC) != 0;
	if (l->truncated)
		return 0;
	for (i = 0; i < DNS_CHAIN_MAX; i++) {
		if (lookup_pass(msg, len, off, type, &name, l, &moved) == -1)
			return -1;
		if (l->n > 0 || !moved)
			break;
	}
	/* A chain that leads out of the message: ask for its end. */
	if (l->n == 0 && i > 0 && i < DNS_CHAIN_MAX)
		l->cname = name;
	return 0;
}
