/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Names looked up at relays, the pure part. Source: dataplane.md 3.8.
 */

#include <sys/types.h>

#include <string.h>

#include "bootstrap.h"
#include "jsonutil.h"
#include "netmap.h"

#define RELAYS_MAX	256	/* of the map that are looked at */
#define DERP_PORT	443

enum node_field { NF_HOST, NF_IPV4, NF_IPV6, NF_PORT, NF_STUNONLY, NF_MAX };
static const char *const	 node_fields[NF_MAX] = {
	"HostName", "IPv4", "IPv6", "DERPPort", "STUNOnly"
};

struct relays {
	struct bootstrap r_relay[RELAYS_MAX];
	size_t		 r_n;
};

static int
ip_read(json_t *v, int af, struct msg_ip *ip)
{
	struct nm_addr	 a;

	memset(ip, 0, sizeof(*ip));
	if (!json_is_string(v) ||
	    nm_addr_parse(json_string_value(v), &a) == -1 ||
	    (af != 0 && a.na_version != af))
		return -1;
	ip->af = a.na_version;
	memcpy(ip->addr, a.na_addr, ip->af == AF_WIRE_INET ? 4 : 16);
	return 0;
}

static void
relay_add(struct relays *r, json_t *host, json_t *v, int af)
{
	struct bootstrap	*b;

	if (r->r_n == RELAYS_MAX || !json_is_string(host))
		return;
	b = &r->r_relay[r->r_n];
	memset(b, 0, sizeof(*b));
	if (ip_read(v, af, &b->b_ip) == 0 &&
	    strlcpy(b->b_host, json_string_value(host),
	    sizeof(b->b_host)) < sizeof(b->b_host))
		r->r_n++;
}

static void
relay_node(struct relays *r, json_t *node)
{
	json_t	*v[NF_MAX];

	if (!json_is_object(node) ||
	    ju_fields(node, node_fields, NF_MAX, v) == -1 ||
	    json_is_true(v[NF_STUNONLY]) ||
	    (v[NF_PORT] != NULL && json_integer_value(v[NF_PORT]) != 0 &&
	    json_integer_value(v[NF_PORT]) != DERP_PORT))
		return;
	relay_add(r, v[NF_HOST], v[NF_IPV4], AF_WIRE_INET);
	relay_add(r, v[NF_HOST], v[NF_IPV6], AF_WIRE_INET6);
}

static uint32_t
next_random(uint32_t *x)
{
	*x = *x * 1664525 + 1013904223;
	return *x >> 8;
}

/* In disorder: no relay is to be everybody's first. */
static void
shuffle(struct relays *r, uint32_t seed)
{
	struct bootstrap	 tmp;
	size_t			 i, j;

	for (i = r->r_n; i > 1; i--) {
		j = next_random(&seed) % i;
		tmp = r->r_relay[j];
		r->r_relay[j] = r->r_relay[i - 1];
		r->r_relay[i - 1] = tmp;
	}
}

size_t
bootstrap_relays(json_t *derp, uint32_t seed, struct bootstrap *out)
{
	static const char	*const regions = "Regions",
				*const nodes = "Nodes";
	static struct relays	 r;
	const char		*key;
	json_t			*e, *region, *v, *w;
	size_t			 i, n, next[2];
	int			 six;

	r.r_n = 0;
	if (ju_fields(derp, &regions, 1, &v) == -1)
		return 0;
	json_object_foreach(v, key, region)
		if (json_is_object(region) &&
		    ju_fields(region, &nodes, 1, &w) == 0)
			json_array_foreach(w, i, e)
				relay_node(&r, e);
	shuffle(&r, seed);
	next[0] = next[1] = 0;
	six = 0;
	for (n = 0; n < BOOTSTRAP_MAX; six = !six) {
		for (i = next[six]; i < r.r_n; i++)
			if ((r.r_relay[i].b_ip.af == AF_WIRE_INET6) == six)
				break;
		next[six] = i == r.r_n ? i : i + 1;
		if (i < r.r_n)
			out[n++] = r.r_relay[i];
		else if (next[!six] == r.r_n)
			break;
	}
	return n;
}

size_t
bootstrap_parse(const char *text, size_t len, const char *name,
    struct msg_ip *ip, size_t max)
{
	json_t	*e, *j, *v;
	size_t	 i, n;

	if ((j = ju_load(text, len)) == NULL)
		return 0;
	v = json_object_get(j, name);
	n = 0;
	json_array_foreach(v, i, e)
		if (n < max && ip_read(e, 0, &ip[n]) == 0)
			n++;
	json_decref(j);
	return n;
}

void
bootstrap_order(const struct msg_ip *in, size_t n, struct msg_ip *out)
{
	size_t	 i, next[2], o;
	int	 six;

	next[0] = next[1] = 0;
	six = 1;
	for (o = 0; o < n; six = !six) {
		for (i = next[six]; i < n; i++)
			if ((in[i].af == AF_WIRE_INET6) == six)
				break;
		next[six] = i == n ? n : i + 1;
		if (i < n)
			out[o++] = in[i];
	}
}
