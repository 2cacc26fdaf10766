/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The plan of a netcheck: which relays are asked, how often and when
 * (dataplane.md 4.2).
 */

#include <sys/types.h>

#include "netcheck.h"

#define FASTEST		3		/* regions of an incremental plan */
#define TRIES_FULL	3
#define TRIES_HOME	4
#define TRIES_FASTEST	2
#define DELAY_FULL	(100 * MSEC)
#define DELAY_UNKNOWN	(200 * MSEC)	/* of a region without latency */
#define DELAY_MORE	(50 * MSEC)	/* for each try after the second */

struct plan {
	const struct nc_map	*pl_map;
	struct nc_probe		*pl_out;
	size_t			 pl_n;
	size_t			 pl_max;
	unsigned int		 pl_have;
};

/* What the last report says of the families, and whom it makes home. */
struct before {
	const struct nc_report	*b_last;
	uint16_t		 b_home;
	int			 b_had6;
	int			 b_both;
};

static void	 add(struct plan *, size_t, unsigned int, int64_t, uint8_t);
static void	 plan_full(struct plan *);
static void	 families(const struct plan *, const struct before *, size_t,
		    int, int *, int *);
static void	 plan_region(struct plan *, const struct before *, size_t,
		    size_t);
static void	 plan_incremental(struct plan *, const struct before *);

/* One probe, if the node that has this turn may answer it. */
static void
add(struct plan *pl, size_t region, unsigned int try, int64_t delay,
    uint8_t af)
{
	const struct nc_region	*r = &pl->pl_map->m_region[region];
	struct nc_probe		*p;
	unsigned int		 node = try % r->r_nnodes;

	if ((r->r_node[node] & (af == AF_WIRE_INET ? NC_NODE_V4 :
	    NC_NODE_V6)) == 0 || pl->pl_n == pl->pl_max)
		return;
	p = &pl->pl_out[pl->pl_n++];
	p->p_delay = delay;
	p->p_region = region;
	p->p_node = node;
	p->p_af = af;
}

static void
plan_full(struct plan *pl)
{
	const struct nc_region	*r;
	size_t			 i;
	unsigned int		 try;

	for (i = 0; i < pl->pl_map->m_n; i++) {
		r = &pl->pl_map->m_region[i];
		if (r->r_nnodes == 0)
			continue;
		for (try = 0; try < TRIES_FULL; try++) {
			if (pl->pl_have & NC_HAVE4)
				add(pl, i, try, try * DELAY_FULL,
				    AF_WIRE_INET);
			if (pl->pl_have & NC_HAVE6)
				add(pl, i, try, try * DELAY_FULL,
				    AF_WIRE_INET6);
		}
	}
}

/*
 * Beyond the fastest two and home, ranks take turns between the families
 * where both worked, and IPv6 is left alone where it did not.
 */
static void
families(const struct plan *pl, const struct before *b, size_t rank,
    int often, int *do4, int *do6)
{
	*do4 = (pl->pl_have & NC_HAVE4) != 0;
	*do6 = (pl->pl_have & NC_HAVE6) != 0;
	if (often)
		return;
	if (b->b_both) {
		*do4 = rank % 2 == 0;
		*do6 = !*do4;
	}
	if (!b->b_had6)
		*do6 = 0;
}

static void
plan_region(struct plan *pl, const struct before *b, size_t region,
    size_t rank)
{
	const struct nc_region	*r = &pl->pl_map->m_region[region];
	const struct nc_lat	*l;
	int64_t			 delay = DELAY_UNKNOWN, when;
	unsigned int		 tries = 1, try;
	int			 do4, do6, home = r->r_id == b->b_home;

	if (home)
		tries = TRIES_HOME;
	else if (rank < 2)
		tries = TRIES_FASTEST;
	families(pl, b, rank, home || rank < 2, &do4, &do6);
	l = nc_report_lat(b->b_last, r->r_id);
	if (l != NULL && l->l_any != 0)
		delay = l->l_any + l->l_any / 5;
	for (try = 0; try < tries; try++) {
		if (try > 0 && !b->b_had6)
			do6 = 0;
		when = try * delay;
		if (try > 1)
			when += try * DELAY_MORE;
		if (do4)
			add(pl, region, try, when, AF_WIRE_INET);
		if (do6)
			add(pl, region, try, when, AF_WIRE_INET6);
	}
}

static void
plan_incremental(struct plan *pl, const struct before *b)
{
	const struct nc_region	*r;
	size_t			 order[NC_REGIONS_MAX], i, rank = 0;
	int			 have_home = b->b_home == 0;

	nc_report_order(pl->pl_map, b->b_last, order);
	for (i = 0; i < pl->pl_map->m_n; i++) {
		r = &pl->pl_map->m_region[order[i]];
		if (r->r_nnodes == 0)
			continue;
		if (rank >= FASTEST && have_home)
			return;
		if (rank < FASTEST || r->r_id == b->b_home)
			plan_region(pl, b, order[i], rank);
		if (r->r_id == b->b_home)
			have_home = 1;
		rank++;
	}
}

size_t
nc_plan(const struct nc_map *map, const struct nc_report *last,
    uint16_t home, unsigned int have, struct nc_probe *out, size_t max)
{
	struct before	 b;
	struct plan	 pl;
	size_t		 i;
	int		 had4 = 0;

	pl.pl_map = map;
	pl.pl_out = out;
	pl.pl_n = 0;
	pl.pl_max = max;
	pl.pl_have = have;
	if (last == NULL || last->nr_nlat == 0) {
		plan_full(&pl);
		return pl.pl_n;
	}
	b.b_last = last;
	b.b_home = home;
	b.b_had6 = 0;
	for (i = 0; i < last->nr_nlat; i++) {
		had4 |= last->nr_lat[i].l_v4 != 0;
		b.b_had6 |= last->nr_lat[i].l_v6 != 0;
	}
	b.b_both = (have & NC_HAVE6) != 0 && had4 && b.b_had6;
	plan_incremental(&pl, &b);
	return pl.pl_n;
}
