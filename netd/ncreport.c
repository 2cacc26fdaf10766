/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Reports of netcheck: answers of relays put together (dataplane.md 4.2).
 */

#include <sys/types.h>

#include <string.h>

#include "netcheck.h"

static struct nc_lat	*lat_get(struct nc_report *, uint16_t);
static void	 lat_min(int64_t *, int64_t);
static void	 seen_add(struct nc_seen *, size_t *, const struct addr *);
static void	 mapped4(struct nc_report *, const struct addr *);
static size_t	 twice(const struct nc_seen *, size_t, const struct addr *,
		    struct addr *, size_t);
static int64_t	 any_of(const struct nc_report *, uint16_t);

const struct nc_region *
nc_region_find(const struct nc_map *m, uint16_t id)
{
	size_t	 i;

	for (i = 0; i < m->m_n; i++)
		if (m->m_region[i].r_id == id)
			return &m->m_region[i];
	return NULL;
}

void
nc_report_init(struct nc_report *r)
{
	memset(r, 0, sizeof(*r));
	r->nr_varies = r->nr_icmp4 = r->nr_upnp = r->nr_pmp = r->nr_pcp =
	    r->nr_captive = NC_UNKNOWN;
}

const struct nc_lat *
nc_report_lat(const struct nc_report *r, uint16_t region)
{
	size_t	 i;

	for (i = 0; i < r->nr_nlat; i++)
		if (r->nr_lat[i].l_region == region)
			return &r->nr_lat[i];
	return NULL;
}

/* The entry of a region, a new one if need be; NULL: no room. */
static struct nc_lat *
lat_get(struct nc_report *r, uint16_t region)
{
	size_t	 i;

	for (i = 0; i < r->nr_nlat; i++)
		if (r->nr_lat[i].l_region == region)
			return &r->nr_lat[i];
	if (r->nr_nlat == NC_REGIONS_MAX)
		return NULL;
	r->nr_lat[r->nr_nlat].l_region = region;
	return &r->nr_lat[r->nr_nlat++];
}

/* 0 means none, so what is measured is at least a nanosecond. */
static void
lat_min(int64_t *lat, int64_t v)
{
	if (v < 1)
		v = 1;
	if (*lat == 0 || v < *lat)
		*lat = v;
}

static void
seen_add(struct nc_seen *seen, size_t *n, const struct addr *a)
{
	size_t	 i;

	for (i = 0; i < *n; i++)
		if (addr_eq(&seen[i].s_addr, a)) {
			seen[i].s_count++;
			return;
		}
	if (*n == NC_SEEN_MAX)
		return;
	seen[*n].s_addr = *a;
	seen[(*n)++].s_count = 1;
}

/* The first mapping counts; a later one tells whether all are the same. */
static void
mapped4(struct nc_report *r, const struct addr *a)
{
	if (r->nr_global4.a_af == 0)
		r->nr_global4 = *a;
	else if (!addr_eq(&r->nr_global4, a))
		r->nr_varies = 1;
	else if (r->nr_varies == NC_UNKNOWN)
		r->nr_varies = 0;
}

int
nc_report_stun(struct nc_report *r, uint16_t region, const struct addr *a,
    int64_t latency)
{
	struct nc_lat	*l;
	size_t		 n = r->nr_nlat;

	if ((l = lat_get(r, region)) == NULL)
		return 0;
	r->nr_udp = 1;
	lat_min(&l->l_any, latency);
	if (a->a_af == AF_WIRE_INET) {
		r->nr_ipv4 = 1;
		lat_min(&l->l_v4, latency);
		seen_add(r->nr_seen4, &r->nr_nseen4, a);
		mapped4(r, a);
	} else {
		r->nr_ipv6 = 1;
		lat_min(&l->l_v6, latency);
		seen_add(r->nr_seen6, &r->nr_nseen6, a);
		r->nr_global6 = *a;
	}
	return r->nr_nlat > n;
}

void
nc_report_icmp(struct nc_report *r, uint16_t region, int64_t latency)
{
	struct nc_lat	*l;

	if (r->nr_icmp4 == NC_UNKNOWN)
		r->nr_icmp4 = 0;
	if (region == 0 || (l = lat_get(r, region)) == NULL)
		return;
	lat_min(&l->l_any, latency);
	r->nr_icmp4 = r->nr_ipv4 = 1;
}

void
nc_report_https(struct nc_report *r, uint16_t region, uint8_t af,
    int64_t latency)
{
	struct nc_lat	*l;

	if ((l = lat_get(r, region)) == NULL)
		return;
	lat_min(&l->l_any, latency);
	if (af == AF_WIRE_INET)
		r->nr_ipv4 = 1;
	else
		r->nr_ipv6 = 1;
}

int
nc_would_help(const struct nc_report *r, uint16_t region, uint8_t af)
{
	size_t	 i;

	if (nc_report_lat(r, region) == NULL)
		return 1;
	if (af == AF_WIRE_INET)
		return r->nr_varies == NC_UNKNOWN;
	for (i = 0; i < r->nr_nlat; i++)
		if (r->nr_lat[i].l_v6 != 0)
			return 0;
	return 1;
}

int64_t
nc_report_slowest(const struct nc_report *r)
{
	int64_t	 v = 0;
	size_t	 i;

	for (i = 0; i < r->nr_nlat; i++)
		if (r->nr_lat[i].l_any > v)
			v = r->nr_lat[i].l_any;
	return v;
}

static size_t
twice(const struct nc_seen *seen, size_t n, const struct addr *best,
    struct addr *out, size_t max)
{
	size_t	 i, k = 0;

	if (best->a_af != 0 && k < max)
		out[k++] = *best;
	for (i = 0; i < n && k < max && k <= NC_SEEN_TWICE; i++)
		if (seen[i].s_count > 1 && !addr_eq(&seen[i].s_addr, best))
			out[k++] = seen[i].s_addr;
	return k;
}

size_t
nc_report_globals(const struct nc_report *r, struct addr *out, size_t max)
{
	size_t	 n;

	n = twice(r->nr_seen4, r->nr_nseen4, &r->nr_global4, out, max);
	return n + twice(r->nr_seen6, r->nr_nseen6, &r->nr_global6, out + n,
	    max - n);
}

static int64_t
any_of(const struct nc_report *r, uint16_t region)
{
	const struct nc_lat	*l = nc_report_lat(r, region);

	return l == NULL || l->l_any == 0 ? INT64_MAX : l->l_any;
}

void
nc_report_order(const struct nc_map *m, const struct nc_report *r,
    size_t *order)
{
	int64_t	 lat[NC_REGIONS_MAX], v;
	size_t	 i, j;

	for (i = 0; i < m->m_n; i++) {
		v = any_of(r, m->m_region[i].r_id);
		for (j = i; j > 0 && (lat[j - 1] > v || (lat[j - 1] == v &&
		    m->m_region[order[j - 1]].r_id > m->m_region[i].r_id));
		    j--) {
			lat[j] = lat[j - 1];
			order[j] = order[j - 1];
		}
		lat[j] = v;
		order[j] = i;
	}
}
