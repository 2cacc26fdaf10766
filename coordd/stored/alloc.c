/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses for nodes: stable, unique, never a reserved one.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "stored.h"

/*
 * The n-th address of a range is its first one plus n. A node gets the same
 * n in both families where it can, so that people recognise the pair. n goes
 * on from the last one given and wraps: an address that was freed is not
 * given out again at once. Source: features.md 3.
 */
#define INDEX_MAX	(1ULL << 32)

/* IPv4 that must stay free, and how many bits of it count. */
static const struct {
	uint8_t	 addr[4];
	uint8_t	 bits;
} reserved4[] = {
	{ { 100, 100, 0, 0 }, 24 },
	{ { 100, 100, 100, 0 }, 24 },	/* holds the service address */
	{ { 100, 115, 92, 0 }, 23 }	/* virtual machines of ChromeOS */
};

static const struct {
	uint8_t	 addr[16];
	uint8_t	 bits;
} reserved6[] = {
	{ { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0x53 }, 128 },		/* the service address */
	{ { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0x0b, 0x1a }, 64 },
	{ { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0xef, 0xe3 }, 64 }
};

static int
covers(const uint8_t *net, unsigned int bits, const uint8_t *addr)
{
	unsigned int	 n = bits / 8, rest = bits % 8;

	if (memcmp(net, addr, n) != 0)
		return 0;
	return rest == 0 || (net[n] ^ addr[n]) >> (8 - rest) == 0;
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static void
put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* Number of addresses that the index can reach in a range. */
static uint64_t
range_size(const struct msg_prefix *p)
{
	unsigned int	 bits;

	bits = (p->af == AF_WIRE_INET ? 32 : 128) - p->plen;
	return bits >= 32 ? INDEX_MAX : 1ULL << bits;
}

int
alloc_free4(struct brain *b, const uint8_t addr[4])
{
	const struct msg_prefix	*p = &b->b_conf.c_addr4;
	struct policy_prefix	 q;
	uint64_t		 n, size = range_size(p);
	size_t			 i;

	if (p->af == 0 || !covers(p->addr, p->plen, addr))
		return 0;
	n = get32(addr) - get32(p->addr);
	if (size > 2 && (n == 0 || n == size - 1))
		return 0;
	for (i = 0; i < sizeof(reserved4) / sizeof(reserved4[0]); i++)
		if (covers(reserved4[i].addr, reserved4[i].bits, addr))
			return 0;
	memset(&q, 0, sizeof(q));
	q.pp_version = 4;
	memcpy(q.pp_addr, addr, 4);
	return node_find_addr(b, &q) == NULL;
}

int
alloc_free6(struct brain *b, const uint8_t addr[16])
{
	const struct msg_prefix	*p = &b->b_conf.c_addr6;
	struct policy_prefix	 q;
	size_t			 i;

	if (p->af == 0 || !covers(p->addr, p->plen, addr))
		return 0;
	if (p->plen < 127 && memcmp(p->addr, addr, 16) == 0)
		return 0;		/* anycast of the routers */
	for (i = 0; i < sizeof(reserved6) / sizeof(reserved6[0]); i++)
		if (covers(reserved6[i].addr, reserved6[i].bits, addr))
			return 0;
	memset(&q, 0, sizeof(q));
	q.pp_version = 6;
	memcpy(q.pp_addr, addr, 16);
	return node_find_addr(b, &q) == NULL;
}

static void
index4(struct brain *b, uint64_t n, uint8_t addr[4])
{
	put32(addr, get32(b->b_conf.c_addr4.addr) + (uint32_t)n);
}

static void
index6(struct brain *b, uint64_t n, uint8_t addr[16])
{
	memcpy(addr, b->b_conf.c_addr6.addr, 16);
	put32(addr + 12, get32(addr + 12) + (uint32_t)n);
}

static int
try_index(struct brain *b, struct noderec *r, uint64_t n, int want4,
    int want6)
{
	uint8_t	 addr4[4], addr6[16];

	if (want4) {
		index4(b, n, addr4);
		if (!alloc_free4(b, addr4))
			return 0;
	}
	if (want6) {
		index6(b, n, addr6);
		if (!alloc_free6(b, addr6))
			return 0;
	}
	if (want4) {
		memcpy(r->r_addr4, addr4, 4);
		r->r_has4 = 1;
	}
	if (want6) {
		memcpy(r->r_addr6, addr6, 16);
		r->r_has6 = 1;
	}
	if (want4 || b->b_conf.c_addr4.af == 0)
		b->b_addr_last = n;
	return 1;
}

/* It has an IPv4 address already: the IPv6 one of the same number? */
static int
try_same(struct brain *b, struct noderec *r)
{
	const struct msg_prefix	*p = &b->b_conf.c_addr4;

	if (p->af == 0 || !r->r_has4 ||
	    !covers(p->addr, p->plen, r->r_addr4))
		return 0;
	return try_index(b, r, get32(r->r_addr4) - get32(p->addr), 0, 1);
}

static int
find_index(struct brain *b, struct noderec *r, uint64_t size, int want4,
    int want6)
{
	uint64_t	 i, n;

	for (i = 0; i < size; i++) {
		n = (b->b_addr_last + 1 + i) % size;
		if (try_index(b, r, n, want4, want6))
			return 0;
	}
	return -1;
}

int
alloc_addrs(struct brain *b, struct noderec *r, char *err, size_t errlen)
{
	const struct sconf	*c = &b->b_conf;
	char			 text[ADDR_TEXT];
	uint64_t		 size;
	int			 want4, want6;

	want4 = c->c_addr4.af != 0 && !r->r_has4;
	want6 = c->c_addr6.af != 0 && !r->r_has6;
	if ((!want4 && !want6) || (!want4 && try_same(b, r)))
		return 0;
	size = range_size(want4 ? &c->c_addr4 : &c->c_addr6);
	if (find_index(b, r, size, want4, want6) == 0)
		return 0;
	/* The same number may be gone in one family only. */
	if (want4 && want6 && find_index(b, r, size, 1, 0) == 0 &&
	    find_index(b, r, range_size(&c->c_addr6), 0, 1) == 0)
		return 0;
	if (want4)
		addr_print4(c->c_addr4.addr, text, sizeof(text));
	else
		addr_print6(c->c_addr6.addr, text, sizeof(text));
	(void)snprintf(err, errlen, "no free address in %s/%u", text,
	    want4 ? c->c_addr4.plen : c->c_addr6.plen);
	return -1;
}

/* A family that came with a new configuration: who lacks it gets it. */
void
alloc_backfill(struct brain *b)
{
	struct noderec	 r;
	struct node	*n;
	char		 msg[MSG_TEXT_LEN];

	RB_FOREACH(n, nodes_id, &b->b_nodes) {
		if ((b->b_conf.c_addr4.af == 0 || n->n_rec.r_has4) &&
		    (b->b_conf.c_addr6.af == 0 || n->n_rec.r_has6))
			continue;
		noderec_copy(&r, &n->n_rec);
		if (alloc_addrs(b, &r, msg, sizeof(msg)) == -1) {
			log_warnx("node %llu: %s",
			    (unsigned long long)n->n_rec.r_id, msg);
			noderec_free(&r);
			return;
		}
		if (node_put(b, n, &r, "coordd", "address") == -1) {
			noderec_free(&r);
			return;
		}
	}
}

void
alloc_learn(struct brain *b, const struct noderec *r)
{
	const struct msg_prefix	*p = &b->b_conf.c_addr4;
	uint64_t		 n;

	if (!r->r_has4 || r->r_wgonly || p->af == 0 ||
	    !covers(p->addr, p->plen, r->r_addr4))
		return;
	n = get32(r->r_addr4) - get32(p->addr);
	if (n > b->b_addr_last)
		b->b_addr_last = n;
}
