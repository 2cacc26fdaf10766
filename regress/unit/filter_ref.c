/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A second packet filter, slow and plain, to hold the real one against:
 * for tests alone. It parses packets on its own.
 */

#include <stdio.h>
#include <string.h>

#include "filter_ref.h"

struct view {
	int		 v6;
	int		 proto;		/* -1 drop, 256 later fragment */
	uint8_t		 src[16], dst[16];
	unsigned int	 sport, dport;
	const uint8_t	*l4;
	size_t		 l4len;
};

static void	 view_make(struct view *, const uint8_t *, size_t);
static void	 view_ports(struct view *);
static int	 in_range(const struct view *, const uint8_t *,
		    const struct filter_range *);
static int	 dst_bad(const struct view *);
static int	 has_proto(const struct ref_rule *, int);
static int	 is_answer(const struct view *);
static int	 rule_allows(const struct ref_rule *, const struct view *,
		    unsigned int);
static void	 flow_key(const struct view *, int, uint8_t[37]);
static int	 flow_find(const struct ref_filter *, const uint8_t[37]);

struct filter *
ref_build(const struct ref_filter *rf)
{
	struct filter_builder	*b;
	const struct ref_rule	*r;
	char			 name[16];
	size_t			 i, j;
	int			 bad = 0;

	if ((b = filter_build_start()) == NULL)
		return NULL;
	for (i = 0; i < rf->nlocal; i++)
		bad |= filter_build_local(b, &rf->local[i]);
	for (i = 0; i < rf->nrule; i++) {
		r = &rf->rules[i];
		bad |= filter_build_rule(b);
		bad |= filter_build_proto(b, -1);
		for (j = 0; j < r->nproto; j++)
			bad |= filter_build_proto(b, r->protos[j]);
		for (j = 0; j < r->nsrc; j++)
			bad |= filter_build_src(b, &r->srcs[j]);
		for (j = 0; j < r->ndst; j++)
			bad |= filter_build_dst(b, &r->dsts[j]);
		(void)snprintf(name, sizeof(name), "%d", r->cap);
		if (r->cap >= 0)
			bad |= filter_build_cap(b, name);
	}
	if (bad != 0) {
		filter_build_abort(b);
		return NULL;
	}
	return filter_build_end(b);
}

static void
view_make(struct view *v, const uint8_t *b, size_t len)
{
	size_t	 hl, off = 0;
	int	 more = 0;

	memset(v, 0, sizeof(*v));
	v->proto = -1;
	if (len < 20 || (b[0] >> 4 != 4 && b[0] >> 4 != 6))
		return;
	v->v6 = b[0] >> 4 == 6;
	if (!v->v6) {
		hl = (b[0] & 15) * 4;
		if (len < (size_t)(b[2] * 256 + b[3]) ||
		    hl > (size_t)(b[2] * 256 + b[3]))
			return;
		memcpy(v->src, b + 12, 4);
		memcpy(v->dst, b + 16, 4);
		v->proto = b[9];
		off = (b[6] & 31) * 256 + b[7];
		more = (b[6] & 32) != 0;
	} else {
		hl = 40;
		if (len < 40 || len < (size_t)(b[4] * 256 + b[5]) + 40)
			return;
		memcpy(v->src, b + 8, 16);
		memcpy(v->dst, b + 24, 16);
		v->proto = b[6];
		if (v->proto == 44) {
			hl = 48;
			if (len < 48) {
				v->proto = -1;
				return;
			}
			v->proto = b[40];
			off = (b[42] * 256 + b[43]) / 8;
		}
	}
	v->l4 = b + hl;
	v->l4len = len - hl;
	if (v->proto == 0 || v->proto == 255)
		v->proto = off == 0 ? -1 : v->proto;
	if (off != 0)
		v->proto = off < 10 ? -1 : 256;
	else if (more && v->proto == 99)
		v->proto = -1;
	view_ports(v);
}

static void
view_ports(struct view *v)
{
	size_t	 min = 0;

	if (v->proto == 6)
		min = 20;
	else if (v->proto == 17)
		min = 8;
	else if (v->proto == 132)
		min = 12;
	else if (v->proto == 99)
		min = 7;
	else if (v->proto == (v->v6 ? 58 : 1))
		min = 4;
	else if (v->proto == 2 && !v->v6)
		min = 8;
	if (v->l4len < min)
		v->proto = -1;
	if (v->proto == 6 || v->proto == 17 || v->proto == 132) {
		v->sport = v->l4[0] * 256 + v->l4[1];
		v->dport = v->l4[2] * 256 + v->l4[3];
	}
}

static int
in_range(const struct view *v, const uint8_t *a, const struct filter_range *r)
{
	size_t	 n = v->v6 ? 16 : 4;

	return r->fr_version == (v->v6 ? 6 : 4) &&
	    memcmp(a, r->fr_lo, n) >= 0 && memcmp(a, r->fr_hi, n) <= 0;
}

/* Multicast or link-local, also in their IPv4-mapped forms. */
static int
dst_bad(const struct view *v)
{
	const uint8_t	*d = v->dst;
	int		 i;

	if (v->v6) {
		for (i = 0; i < 10 && d[i] == 0; i++)
			;
		if (i < 10 || d[10] != 255 || d[11] != 255)
			return d[0] == 255 || (d[0] == 0xfe &&
			    d[1] >= 0x80 && d[1] <= 0xbf);
		d += 12;
	} else if (memcmp(d, "\251\376\251\376", 4) == 0)
		return 0;
	return (d[0] >= 224 && d[0] <= 239) || (d[0] == 169 && d[1] == 254);
}

static int
has_proto(const struct ref_rule *r, int proto)
{
	size_t	 i;

	for (i = 0; i < r->nproto; i++)
		if (r->protos[i] == proto)
			return 1;
	return 0;
}

static int
is_answer(const struct view *v)
{
	int	 type, code;

	if (v->l4len < 8)
		return 0;
	type = v->l4[0];
	code = v->l4[1];
	if (v->v6)
		return (type == 129 && code == 0) || (type > 0 && type < 5);
	return (type == 0 && code == 0) || type == 3 || type == 11 ||
	    type == 18;
}

static int
rule_allows(const struct ref_rule *r, const struct view *v, unsigned int caps)
{
	const struct filter_dst	*d;
	size_t			 i;
	int			 icmp, src = 0, cap, ported, family = 0;

	icmp = v->proto == (v->v6 ? 58 : 1);
	ported = v->proto == 6 || v->proto == 17 || v->proto == 132;
	cap = r->cap >= 0 && (caps >> r->cap & 1);
	for (i = 0; i < r->nsrc; i++)
		src |= in_range(v, v->src, &r->srcs[i]);
	for (i = 0; i < r->ndst; i++) {
		d = &r->dsts[i];
		if (d->fd_range.fr_version == (v->v6 ? 6 : 4))
			family = 1;
		if (!in_range(v, v->dst, &d->fd_range))
			continue;
		if (icmp && src)
			return 1;
		if (ported && (src || cap) && has_proto(r, v->proto) &&
		    v->dport >= d->fd_first && v->dport <= d->fd_last)
			return 1;
		if (!icmp && !ported && src && has_proto(r, v->proto) &&
		    d->fd_first == 0 && d->fd_last == 65535)
			return 1;
	}
	return icmp && cap && family;
}

static void
flow_key(const struct view *v, int reversed, uint8_t key[37])
{
	unsigned int	 sp, dp;

	sp = reversed ? v->dport : v->sport;
	dp = reversed ? v->sport : v->dport;
	memcpy(key, reversed ? v->dst : v->src, 16);
	memcpy(key + 16, reversed ? v->src : v->dst, 16);
	key[32] = (uint8_t)(v->proto ^ v->v6 << 7);
	key[33] = (uint8_t)(sp >> 8);
	key[34] = (uint8_t)sp;
	key[35] = (uint8_t)(dp >> 8);
	key[36] = (uint8_t)dp;
}

static int
flow_find(const struct ref_filter *rf, const uint8_t key[37])
{
	size_t	 i;

	for (i = 0; i < rf->nflow; i++)
		if (memcmp(rf->flows[i], key, 37) == 0)
			return 1;
	return 0;
}

int
ref_in(struct ref_filter *rf, const uint8_t *b, size_t len,
    unsigned int caps)
{
	struct view	 v;
	uint8_t		 key[37];
	size_t		 i;
	int		 local = 0;

	if (len == 0)
		return 1;
	view_make(&v, b, len);
	if (v.proto == -1 || dst_bad(&v))
		return 0;
	if (v.proto == 256)
		return 1;
	for (i = 0; i < rf->nlocal; i++)
		local |= in_range(&v, v.dst, &rf->local[i]);
	if (!local)
		return 0;
	if (v.proto == 99 || (v.proto == (v.v6 ? 58 : 1) && is_answer(&v)) ||
	    (v.proto == 6 && (v.l4[13] & 18) != 2))
		return 1;
	flow_key(&v, 0, key);
	if ((v.proto == 17 || v.proto == 132) && flow_find(rf, key))
		return 1;
	for (i = 0; i < rf->nrule; i++)
		if (rule_allows(&rf->rules[i], &v, caps))
			return 1;
	return 0;
}

int
ref_out(struct ref_filter *rf, const uint8_t *b, size_t len)
{
	struct view	 v;

	if (len == 0)
		return 1;
	view_make(&v, b, len);
	if (v.proto == -1 || dst_bad(&v))
		return 0;
	if ((v.proto == 17 || v.proto == 132) && rf->nflow < REF_MAXFLOWS)
		flow_key(&v, 1, rf->flows[rf->nflow++]);
	return 1;
}
