/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Which relay's region is home: the nearest of the last minutes, and not
 * another one for small reasons (dataplane.md 4.4).
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "netcheck.h"

#define FRAME_RECENT	(8 * NSEC)	/* the region is there */
#define FRAME_ALIVE	(120 * NSEC)	/* two keepalives */
#define DIFF_LEAST	(10 * MSEC)	/* worth a move */

/* One report, as far as it is remembered. */
struct nc_past {
	int64_t		 pa_time;
	size_t		 pa_n;
	struct {
		int64_t		 latency;
		uint16_t	 region;
	}		 pa_lat[];
};

/* What the choice is made of. */
struct choice {
	int64_t		 c_best;	/* of the best region, remembered */
	int64_t		 c_old;		/* of the old one, now; 0: none */
	uint16_t	 c_region;
};

static void	 past_drop(struct nc_history *);
static void	 past_add(struct nc_history *, const struct nc_report *,
		    int64_t);
static int64_t	 scored(const struct nc_map *, uint16_t, int64_t);
static void	 choose(const struct nc_history *, const struct nc_report *,
		    const struct nc_map *, uint16_t, struct choice *);
static int	 keep_old(const struct choice *, const struct nc_home *,
		    uint16_t, int64_t);

int
nc_want_full(const struct nc_history *h, int64_t now)
{
	if (!h->h_had_full || h->h_next_full ||
	    now - h->h_full > NC_FULL_EVERY)
		return 1;
	return h->h_last.nr_now != 0 && !h->h_last.nr_udp &&
	    h->h_last.nr_captive == 1;
}

void
nc_run_begins(struct nc_history *h, int64_t now, int full)
{
	if (!full)
		return;
	h->h_full = now;
	h->h_had_full = 1;
	h->h_next_full = 0;
}

static void
past_drop(struct nc_history *h)
{
	free(h->h_past[0]);
	h->h_npast--;
	memmove(&h->h_past[0], &h->h_past[1],
	    h->h_npast * sizeof(h->h_past[0]));
}

static void
past_add(struct nc_history *h, const struct nc_report *r, int64_t now)
{
	struct nc_past	*p;
	size_t		 i;

	while (h->h_npast > 0 && (h->h_npast == NC_PAST_MAX ||
	    now - h->h_past[0]->pa_time > NC_MEMORY))
		past_drop(h);
	p = calloc(1, sizeof(*p) + r->nr_nlat * sizeof(p->pa_lat[0]));
	if (p == NULL)
		fatal(NULL);
	p->pa_time = now;
	p->pa_n = r->nr_nlat;
	for (i = 0; i < r->nr_nlat; i++) {
		p->pa_lat[i].region = r->nr_lat[i].l_region;
		p->pa_lat[i].latency = r->nr_lat[i].l_any;
	}
	h->h_past[h->h_npast++] = p;
}

int64_t
nc_history_best(const struct nc_history *h, uint16_t region)
{
	const struct nc_past	*p;
	int64_t			 best = 0;
	size_t			 i, j;

	for (i = 0; i < h->h_npast; i++) {
		p = h->h_past[i];
		for (j = 0; j < p->pa_n; j++)
			if (p->pa_lat[j].region == region &&
			    (best == 0 || p->pa_lat[j].latency < best))
				best = p->pa_lat[j].latency;
	}
	return best;
}

void
nc_history_reset(struct nc_history *h)
{
	while (h->h_npast > 0)
		past_drop(h);
	h->h_next_full = 1;
}

static int64_t
scored(const struct nc_map *m, uint16_t region, int64_t latency)
{
	const struct nc_region	*r = nc_region_find(m, region);

	if (r == NULL || r->r_score == 0)
		return latency;
	return latency * r->r_score / 1000;
}

/* The best of the regions that answered now, by all that is remembered. */
static void
choose(const struct nc_history *h, const struct nc_report *r,
    const struct nc_map *m, uint16_t old, struct choice *c)
{
	int64_t		 best;
	size_t		 i;
	uint16_t	 id;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < r->nr_nlat; i++) {
		id = r->nr_lat[i].l_region;
		if (id == old)
			c->c_old = scored(m, id, r->nr_lat[i].l_any);
		best = scored(m, id, nc_history_best(h, id));
		if (c->c_region != 0 && (best > c->c_best ||
		    (best == c->c_best && id > c->c_region)))
			continue;
		c->c_best = best;
		c->c_region = id;
	}
}

/* Is the old region still there, and the gain of a move too small? */
static int
keep_old(const struct choice *c, const struct nc_home *ho, uint16_t old,
    int64_t frame)
{
	int	 heard;

	if (old == 0 || c->c_region == old || c->c_region == 0)
		return 0;
	heard = frame != 0 && (frame > ho->ho_started ||
	    ho->ho_now - frame < FRAME_RECENT);
	if (c->c_old == 0 && !heard)
		return 0;
	return c->c_old - c->c_best < DIFF_LEAST ||
	    c->c_best > c->c_old / 3 * 2;
}

void
nc_history_add(struct nc_history *h, struct nc_report *r,
    const struct nc_home *ho)
{
	struct choice	 c;
	int64_t		 frame = 0;
	uint16_t	 old = ho->ho_home;

	if (old != 0 && ho->ho_last_frame != NULL)
		frame = ho->ho_last_frame(old);
	past_add(h, r, ho->ho_now);
	choose(h, r, ho->ho_map, old, &c);
	r->nr_now = ho->ho_now;
	r->nr_preferred = c.c_region;
	if (keep_old(&c, ho, old, frame) || (c.c_region == 0 && frame != 0 &&
	    ho->ho_now - frame < FRAME_ALIVE))
		r->nr_preferred = old;
	h->h_last = *r;
}

uint16_t
nc_best(const struct nc_map *m, const struct nc_report *r)
{
	int64_t		 best = 0, v;
	size_t		 i;
	uint16_t	 id = 0;

	for (i = 0; i < r->nr_nlat; i++) {
		v = scored(m, r->nr_lat[i].l_region, r->nr_lat[i].l_any);
		if (id != 0 && v >= best)
			continue;
		best = v;
		id = r->nr_lat[i].l_region;
	}
	return id;
}

uint16_t
nc_fallback(const struct nc_map *m, uint32_t seed)
{
	return m->m_n == 0 ? 0 : m->m_region[seed % m->m_n].r_id;
}
