/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packet filter: the flows that this host started, least recently used
 * out first.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "filter_int.h"

/* A flow as its answers look: their source and destination. */
struct flow_key {
	uint64_t	 fk_src[2];
	uint64_t	 fk_dst[2];
	uint64_t	 fk_rest;	/* version, protocol, ports */
};

struct flow {
	struct flow_key	 fl_key;
	uint32_t	 fl_next;	/* in its hash chain */
	uint32_t	 fl_newer;
	uint32_t	 fl_older;
	uint32_t	 fl_bucket;
	uint32_t	 fl_touched;	/* ft_clock when moved to the front */
};

struct filter_flows {
	struct flow	*ft_flow;
	uint32_t	*ft_bucket;
	uint32_t	 ft_mask;
	uint32_t	 ft_max;
	uint32_t	 ft_n;
	uint32_t	 ft_newest;
	uint32_t	 ft_oldest;
	uint32_t	 ft_clock;	/* flows ever noted */
};

static void	 key_fill(struct flow_key *, const struct pkt *, int);
static uint32_t	 key_hash(const struct flow_key *);
static uint32_t	 flow_lookup(const struct filter_flows *,
		    const struct flow_key *, uint32_t);
static void	 flow_unlink(struct filter_flows *, uint32_t);
static void	 flow_front(struct filter_flows *, uint32_t);
static void	 flow_touch(struct filter_flows *, uint32_t);
static uint32_t	 flow_evict(struct filter_flows *);


struct filter_flows *
filter_flows_new(unsigned int max)
{
	struct filter_flows	*t;
	uint32_t		 nb;

	if (max == 0 || max > FILTER_FLOWS_MAX) {
		errno = EINVAL;
		return NULL;
	}
	for (nb = 16; nb < max; nb *= 2)
		;
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->ft_flow = calloc(max, sizeof(*t->ft_flow));
	t->ft_bucket = calloc(nb, sizeof(*t->ft_bucket));
	if (t->ft_flow == NULL || t->ft_bucket == NULL) {
		filter_flows_free(t);
		return NULL;
	}
	t->ft_max = max;
	t->ft_mask = nb - 1;
	filter_flows_clear(t);
	return t;
}

void
filter_flows_clear(struct filter_flows *t)
{
	memset(t->ft_bucket, 0xff,
	    ((size_t)t->ft_mask + 1) * sizeof(*t->ft_bucket));
	t->ft_n = 0;
	t->ft_newest = t->ft_oldest = F_NONE;
}

void
filter_flows_free(struct filter_flows *t)
{
	if (t == NULL)
		return;
	free(t->ft_flow);
	free(t->ft_bucket);
	free(t);
}

unsigned int
filter_flows_count(const struct filter_flows *t)
{
	return t->ft_n;
}

/* reversed: turn an outgoing packet into the answer that is waited for. */
static void
key_fill(struct flow_key *k, const struct pkt *p, int reversed)
{
	const uint8_t	*src, *dst;
	size_t		 len;
	uint32_t	 ports;

	src = reversed ? p->p_dst : p->p_src;
	dst = reversed ? p->p_src : p->p_dst;
	ports = reversed ? (uint32_t)p->p_dport << 16 | p->p_sport :
	    (uint32_t)p->p_sport << 16 | p->p_dport;
	len = p->p_version == 4 ? 4 : 16;
	memset(k, 0, sizeof(*k));
	memcpy(k->fk_src, src, len);
	memcpy(k->fk_dst, dst, len);
	k->fk_rest = (uint64_t)p->p_version << 40 |
	    (uint64_t)p->p_proto << 32 | ports;
}

static uint32_t
key_hash(const struct flow_key *k)
{
	uint64_t	 h;

	h = k->fk_rest * 0x9e3779b97f4a7c15ULL;
	h = (h ^ h >> 32 ^ k->fk_src[0]) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ h >> 32 ^ k->fk_src[1]) * 0x94d049bb133111ebULL;
	h = (h ^ h >> 32 ^ k->fk_dst[0]) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ h >> 32 ^ k->fk_dst[1]) * 0x94d049bb133111ebULL;
	return (uint32_t)(h >> 32);
}

static uint32_t
flow_lookup(const struct filter_flows *t, const struct flow_key *k,
    uint32_t bucket)
{
	uint32_t	 i;

	for (i = t->ft_bucket[bucket]; i != F_NONE; i = t->ft_flow[i].fl_next)
		if (memcmp(&t->ft_flow[i].fl_key, k, sizeof(*k)) == 0)
			return i;
	return F_NONE;
}

/* Out of the list by age; it stays in its hash chain. */
static void
flow_unlink(struct filter_flows *t, uint32_t i)
{
	struct flow	*f = &t->ft_flow[i];

	if (f->fl_newer == F_NONE)
		t->ft_newest = f->fl_older;
	else
		t->ft_flow[f->fl_newer].fl_older = f->fl_older;
	if (f->fl_older == F_NONE)
		t->ft_oldest = f->fl_newer;
	else
		t->ft_flow[f->fl_older].fl_newer = f->fl_newer;
}

static void
flow_front(struct filter_flows *t, uint32_t i)
{
	t->ft_flow[i].fl_newer = F_NONE;
	t->ft_flow[i].fl_older = t->ft_newest;
	if (t->ft_newest == F_NONE)
		t->ft_oldest = i;
	else
		t->ft_flow[t->ft_newest].fl_newer = i;
	t->ft_newest = i;
	t->ft_flow[i].fl_touched = t->ft_clock;
}

/*
 * One that is new enough stays where it is: with many flows at a time the
 * table would be written for each packet, and by two threads.
 */
static void
flow_touch(struct filter_flows *t, uint32_t i)
{
	if (t->ft_newest == i ||
	    t->ft_clock - t->ft_flow[i].fl_touched < t->ft_max / 64)
		return;
	flow_unlink(t, i);
	flow_front(t, i);
}

/* Take the oldest flow out altogether; returns its place. */
static uint32_t
flow_evict(struct filter_flows *t)
{
	uint32_t	*pp, i;

	i = t->ft_oldest;
	flow_unlink(t, i);
	pp = &t->ft_bucket[t->ft_flow[i].fl_bucket];
	while (*pp != i)
		pp = &t->ft_flow[*pp].fl_next;
	*pp = t->ft_flow[i].fl_next;
	return i;
}

/* Is this packet the answer to a flow that was noted? */
int
flows_find(struct filter_flows *t, const struct pkt *p)
{
	struct flow_key	 k;
	uint32_t	 i;

	if (t->ft_n == 0)
		return 0;
	key_fill(&k, p, 0);
	i = flow_lookup(t, &k, key_hash(&k) & t->ft_mask);
	if (i == F_NONE)
		return 0;
	flow_touch(t, i);
	return 1;
}

/* Note the flow of an outgoing packet. */
void
flows_note(struct filter_flows *t, const struct pkt *p)
{
	struct flow_key	 k;
	uint32_t	 bucket, i;

	key_fill(&k, p, 1);
	/* Most packets of a batch belong to the flow of the one before. */
	if (t->ft_newest != F_NONE &&
	    memcmp(&t->ft_flow[t->ft_newest].fl_key, &k, sizeof(k)) == 0)
		return;
	bucket = key_hash(&k) & t->ft_mask;
	if ((i = flow_lookup(t, &k, bucket)) != F_NONE) {
		flow_touch(t, i);
		return;
	}
	i = t->ft_n < t->ft_max ? t->ft_n++ : flow_evict(t);
	t->ft_clock++;
	t->ft_flow[i].fl_key = k;
	t->ft_flow[i].fl_bucket = bucket;
	t->ft_flow[i].fl_next = t->ft_bucket[bucket];
	t->ft_bucket[bucket] = i;
	flow_front(t, i);
}
