/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Which peer has an address: a hash per prefix length, longest first.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netd.h"

struct route {
	struct msg_prefix rt_prefix;
	void		*rt_to;
};

struct routes {
	struct route	*rs_hash;
	size_t		 rs_size;	/* power of 2 */
	size_t		 rs_n;
	uint64_t	 rs_seed;
	uint32_t	 rs_count[2][129];	/* prefixes of each length */
	uint8_t		 rs_plen[2][129];	/* in use, longest first */
	unsigned int	 rs_nplen[2];
};

static uint64_t	 route_hash(const struct routes *, const struct msg_prefix *);
static struct route *route_slot(const struct routes *,
		    const struct msg_prefix *);
static void	 route_mask(struct msg_prefix *, uint8_t, unsigned int,
		    const uint8_t *);
static void	 plen_add(struct routes *, int, uint8_t);
static void	 plen_del(struct routes *, int, uint8_t);
static void	 slot_close(struct routes *, size_t);

struct routes *
routes_new(size_t n)
{
	struct routes	*rs;

	if ((rs = calloc(1, sizeof(*rs))) == NULL)
		fatal(NULL);
	for (rs->rs_size = 16; rs->rs_size < n * 2; rs->rs_size *= 2)
		;
	rs->rs_hash = calloc(rs->rs_size, sizeof(*rs->rs_hash));
	if (rs->rs_hash == NULL)
		fatal(NULL);
	/* Control chooses the prefixes: it must not choose the buckets. */
	arc4random_buf(&rs->rs_seed, sizeof(rs->rs_seed));
	return rs;
}

static uint64_t
route_hash(const struct routes *rs, const struct msg_prefix *p)
{
	uint64_t	 a, b, h;

	memcpy(&a, p->addr, 8);
	memcpy(&b, p->addr + 8, 8);
	h = (a ^ rs->rs_seed) * 0x9e3779b97f4a7c15ULL;
	h ^= h >> 32;
	h = (h + b + p->plen + (uint64_t)p->af * 257) * 0xd6e8feb86659fd93ULL;
	h ^= h >> 29;
	return h * 0x9e3779b97f4a7c15ULL >> 20;
}

/* The slot of this prefix, or the free one where it would go. */
static struct route *
route_slot(const struct routes *rs, const struct msg_prefix *p)
{
	struct route	*rt;
	size_t		 i;

	for (i = route_hash(rs, p);; i++) {
		rt = &rs->rs_hash[i & (rs->rs_size - 1)];
		if (rt->rt_to == NULL ||
		    memcmp(&rt->rt_prefix, p, sizeof(*p)) == 0)
			return rt;
	}
}

static void
plen_add(struct routes *rs, int fam, uint8_t plen)
{
	uint8_t		*list = rs->rs_plen[fam];
	unsigned int	 i, n = rs->rs_nplen[fam];

	for (i = 0; i < n && list[i] > plen; i++)
		;
	if (i < n && list[i] == plen)
		return;
	memmove(list + i + 1, list + i, n - i);
	list[i] = plen;
	rs->rs_nplen[fam]++;
}

static void
route_mask(struct msg_prefix *p, uint8_t af, unsigned int plen,
    const uint8_t *ip)
{
	memset(p, 0, sizeof(*p));
	p->af = af;
	p->plen = plen;
	memcpy(p->addr, ip, plen / 8);
	if (plen % 8 != 0)
		p->addr[plen / 8] = ip[plen / 8] & (0xff00 >> (plen % 8));
}

static void
plen_del(struct routes *rs, int fam, uint8_t plen)
{
	uint8_t		*list = rs->rs_plen[fam], *at;
	unsigned int	 n = rs->rs_nplen[fam];

	if ((at = memchr(list, plen, n)) == NULL)
		return;
	memmove(at, at + 1, list + n - (at + 1));
	rs->rs_nplen[fam]--;
}

int
routes_add(struct routes *rs, const struct msg_prefix *p, void *to)
{
	struct msg_prefix	 key;
	struct route		*rt;
	int			 fam = p->af == AF_WIRE_INET6;

	route_mask(&key, p->af, p->plen, p->addr);
	rt = route_slot(rs, &key);
	if (rt->rt_to != NULL)
		return rt->rt_to == to ? 0 : -1;
	rt->rt_prefix = key;
	rt->rt_to = to;
	rs->rs_n++;
	if (rs->rs_count[fam][p->plen]++ == 0)
		plen_add(rs, fam, p->plen);
	return 0;
}

/*
 * A slot has become free: what stands behind it, up to the next free one,
 * and would be looked for from it or from before it, moves up.
 */
static void
slot_close(struct routes *rs, size_t hole)
{
	size_t	 mask = rs->rs_size - 1, home, i;

	for (i = (hole + 1) & mask; rs->rs_hash[i].rt_to != NULL;
	    i = (i + 1) & mask) {
		home = route_hash(rs, &rs->rs_hash[i].rt_prefix) & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		rs->rs_hash[hole] = rs->rs_hash[i];
		hole = i;
	}
	memset(&rs->rs_hash[hole], 0, sizeof(rs->rs_hash[hole]));
}

void
routes_del(struct routes *rs, const struct msg_prefix *p, const void *to)
{
	struct msg_prefix	 key;
	struct route		*rt;
	int			 fam = p->af == AF_WIRE_INET6;

	route_mask(&key, p->af, p->plen, p->addr);
	rt = route_slot(rs, &key);
	if (rt->rt_to == NULL || rt->rt_to != to)
		return;
	slot_close(rs, rt - rs->rs_hash);
	rs->rs_n--;
	if (--rs->rs_count[fam][p->plen] == 0)
		plen_del(rs, fam, p->plen);
}

int
routes_room(const struct routes *rs, size_t n)
{
	return (rs->rs_n + n) * 2 <= rs->rs_size;
}

void *
routes_find(const struct routes *rs, uint8_t af, const uint8_t *ip)
{
	struct msg_prefix	 key;
	struct route		*rt;
	unsigned int		 i;
	int			 fam = af == AF_WIRE_INET6;

	if (rs == NULL)
		return NULL;
	for (i = 0; i < rs->rs_nplen[fam]; i++) {
		route_mask(&key, af, rs->rs_plen[fam][i], ip);
		rt = route_slot(rs, &key);
		if (rt->rt_to != NULL)
			return rt->rt_to;
	}
	return NULL;
}

void *
routes_find_host(const struct routes *rs, uint8_t af, const uint8_t *ip)
{
	struct msg_prefix	 key;

	if (rs == NULL)
		return NULL;
	route_mask(&key, af, af == AF_WIRE_INET ? 32 : 128, ip);
	return route_slot(rs, &key)->rt_to;
}

void
routes_free(struct routes *rs)
{
	if (rs == NULL)
		return;
	free(rs->rs_hash);
	free(rs);
}
