/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The DERP map: which relays there are.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netd.h"

#define REGIONS_MAX	1024
#define NODES_MAX	64

static struct derp_map	 none;
static struct derp_map	*map = &none;

static struct derp_map	*map_new(struct imsg *);
static int		 region_add(struct derp_map *, struct imsg *);
static int		 node_add(struct derp_map *, struct imsg *);
static int		 text_ok(const char *, size_t);
static int		 family_ok(const struct msg_ip *, uint8_t);
static int		 region_cmp(const void *, const void *);

void
derpmap_free(struct derp_map *m)
{
	uint32_t	 i;

	if (m == NULL || m == &none)
		return;
	for (i = 0; i < m->dm_nregions; i++)
		free(m->dm_region[i].dr_node);
	free(m->dm_region);
	free(m);
}

static struct derp_map *
map_new(struct imsg *imsg)
{
	struct derp_map	*m;
	struct msg_u32	 n;

	if (msg_get(imsg, &n, sizeof(n)) == -1 || n.v > REGIONS_MAX)
		return NULL;
	if ((m = calloc(1, sizeof(*m))) == NULL)
		fatal(NULL);
	return m;
}

static int
region_add(struct derp_map *m, struct imsg *imsg)
{
	struct derp_region	*r;

	if (m->dm_nregions == REGIONS_MAX)
		return -1;
	r = reallocarray(m->dm_region, m->dm_nregions + 1, sizeof(*r));
	if (r == NULL)
		fatal(NULL);
	m->dm_region = r;
	r += m->dm_nregions;
	memset(r, 0, sizeof(*r));
	if (msg_get(imsg, &r->dr, sizeof(r->dr)) == -1 || r->dr.id == 0 ||
	    !msg_str_ok(r->dr.code, sizeof(r->dr.code)) ||
	    !msg_str_ok(r->dr.name, sizeof(r->dr.name)))
		return -1;
	m->dm_nregions++;
	return 0;
}

/* Fit to stand in a request: no space, nothing that ends a line. */
static int
text_ok(const char *s, size_t size)
{
	if (!msg_str_ok(s, size))
		return 0;
	while (*s > ' ' && *s < 0x7f)
		s++;
	return *s == '\0';
}

static int
family_ok(const struct msg_ip *ip, uint8_t af)
{
	return ip->af == 0 || ip->af == af;
}

static int
node_add(struct derp_map *m, struct imsg *imsg)
{
	struct msg_nm_derp_node	*n;
	struct derp_region	*r;

	if (m->dm_nregions == 0)
		return -1;
	r = &m->dm_region[m->dm_nregions - 1];
	if (r->dr_nnodes == NODES_MAX)
		return -1;
	n = reallocarray(r->dr_node, r->dr_nnodes + 1, sizeof(*n));
	if (n == NULL)
		fatal(NULL);
	r->dr_node = n;
	n += r->dr_nnodes;
	if (msg_get(imsg, n, sizeof(*n)) == -1 || n->region != r->dr.id ||
	    n->port == 0 || n->stun_port == 0 || n->stun_port < -1 ||
	    n->stun_port > UINT16_MAX ||
	    !text_ok(n->name, sizeof(n->name)) ||
	    !text_ok(n->host, sizeof(n->host)) || *n->host == '\0' ||
	    !text_ok(n->cert, sizeof(n->cert)) ||
	    !family_ok(&n->ip4, AF_WIRE_INET) ||
	    !family_ok(&n->ip6, AF_WIRE_INET6) ||
	    (!family_ok(&n->stun_test, AF_WIRE_INET) &&
	    !family_ok(&n->stun_test, AF_WIRE_INET6)))
		return -1;
	r->dr_nnodes++;
	return 0;
}

int
derpmap_message(struct derp_map **mp, struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_NM_DERP_BEGIN:
		derpmap_free(*mp);
		return (*mp = map_new(imsg)) == NULL ? -1 : 0;
	case IMSG_NM_DERP_REGION:
		return *mp == NULL ? -1 : region_add(*mp, imsg);
	default:
		return *mp == NULL ? -1 : node_add(*mp, imsg);
	}
}

static int
region_cmp(const void *a, const void *b)
{
	const struct derp_region	*x = a, *y = b;

	return x->dr.id < y->dr.id ? -1 : x->dr.id > y->dr.id;
}

void
derpmap_commit(struct derp_map *m)
{
	struct derp_map	*old = map;

	if (m->dm_nregions > 1)
		qsort(m->dm_region, m->dm_nregions, sizeof(*m->dm_region),
		    region_cmp);
	map = m;
	derp_map_changed(old);
	derpmap_free(old);
}

const struct derp_map *
derpmap_now(void)
{
	return map;
}

const struct derp_region *
derpmap_lookup(const struct derp_map *m, uint16_t id)
{
	struct derp_region	 key;

	if (m->dm_nregions == 0)
		return NULL;
	key.dr.id = id;
	return bsearch(&key, m->dm_region, m->dm_nregions,
	    sizeof(*m->dm_region), region_cmp);
}

const struct derp_region *
derpmap_region(uint16_t id)
{
	return derpmap_lookup(map, id);
}

const char *
derpmap_name(uint16_t id)
{
	static char			 buf[40];
	const struct derp_region	*r;

	if ((r = derpmap_region(id)) != NULL && *r->dr.code != '\0')
		strlcpy(buf, r->dr.code, sizeof(buf));
	else
		snprintf(buf, sizeof(buf), "derp-%u", id);
	return buf;
}

int
derpmap_same(const struct derp_region *a, const struct derp_region *b)
{
	if (a == NULL || b == NULL || a->dr_nnodes != b->dr_nnodes)
		return a == b;
	return a->dr_nnodes == 0 || memcmp(a->dr_node, b->dr_node,
	    a->dr_nnodes * sizeof(*a->dr_node)) == 0;
}

int
derpmap_may_home(const struct derp_region *r)
{
	uint32_t	 i;

	if (r->dr.flags & DERP_REGION_NOHOME)
		return 0;
	for (i = 0; i < r->dr_nnodes; i++)
		if ((r->dr_node[i].flags & DERP_NODE_STUNONLY) == 0)
			return 1;
	return 0;
}
