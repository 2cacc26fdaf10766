/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The packet filter as ctrld tells it, and its compilation.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "netd.h"

#define RULE_ITEMS_MAX	(1U << 20)	/* of one kind, of one rule */

static void	*grow(void *, uint32_t *, const uint8_t *, uint32_t, size_t);
static struct rule *rule_last(struct rules *, uint64_t);
static int	 rule_new(struct rules *, struct imsg *);
static int	 rule_sources(struct rules *, struct imsg *);
static int	 rule_dests(struct rules *, struct imsg *);
static int	 rule_relay(struct rules *, struct imsg *);
static int	 rule_cap(struct rules *, struct imsg *);
static int	 compile_rule(struct filter_builder *, const struct rule *);
static int	 compile_local(struct filter_builder *,
		    const struct msg_nm_self *, const struct msg_prefix *,
		    size_t);
static void	 range_of(struct filter_range *, const struct msg_range *,
		    uint8_t);
static void	 range_prefix(struct filter_range *, uint8_t,
		    const uint8_t *, unsigned int);

struct rules *
rules_new(void)
{
	struct rules	*rs;

	if ((rs = calloc(1, sizeof(*rs))) == NULL)
		fatal(NULL);
	return rs;
}

void
rules_free(struct rules *rs)
{
	uint32_t	 i;

	if (rs == NULL)
		return;
	for (i = 0; i < rs->rs_n; i++) {
		free(rs->rs_rule[i].r_src);
		free(rs->rs_rule[i].r_dst);
		free(rs->rs_rule[i].r_cap);
	}
	free(rs->rs_relay[0]);
	free(rs->rs_relay[1]);
	free(rs->rs_rule);
	free(rs);
}

/* Append elements to a list; NULL: too many. */
static void *
grow(void *list, uint32_t *have, const uint8_t *elems, uint32_t n,
    size_t size)
{
	uint8_t	*p;

	if (n > RULE_ITEMS_MAX - *have)
		return NULL;
	if ((p = reallocarray(list, (size_t)*have + n + 1, size)) == NULL)
		fatal(NULL);
	memcpy(p + *have * size, elems, n * size);
	*have += n;
	return p;
}

static struct rule *
rule_last(struct rules *rs, uint64_t id)
{
	if (rs->rs_n == 0 || rs->rs_rule[rs->rs_n - 1].r_rule.id != id)
		return NULL;
	return &rs->rs_rule[rs->rs_n - 1];
}

static int
rule_new(struct rules *rs, struct imsg *imsg)
{
	struct rule	 r;

	memset(&r, 0, sizeof(r));
	if (msg_get(imsg, &r.r_rule, sizeof(r.r_rule)) == -1 ||
	    r.r_rule.nprotos > sizeof(r.r_rule.proto) ||
	    rs->rs_n >= FILTER_MAX_RULES)
		return -1;
	if (rs->rs_n == rs->rs_size) {
		rs->rs_size = rs->rs_size == 0 ? 16 : rs->rs_size * 2;
		rs->rs_rule = reallocarray(rs->rs_rule, rs->rs_size,
		    sizeof(*rs->rs_rule));
		if (rs->rs_rule == NULL)
			fatal(NULL);
	}
	rs->rs_rule[rs->rs_n++] = r;
	return 0;
}

static int
rule_sources(struct rules *rs, struct imsg *imsg)
{
	struct msg_nm_list	 ml;
	struct rule		*r;
	const uint8_t		*elems;
	void			*p;

	if (msg_list(imsg, &ml, sizeof(ml), &elems) == -1 ||
	    msg_list_ok(imsg, sizeof(ml), ml.n, sizeof(*r->r_src)) == -1 ||
	    (r = rule_last(rs, ml.id)) == NULL ||
	    (p = grow(r->r_src, &r->r_nsrc, elems, ml.n,
	    sizeof(*r->r_src))) == NULL)
		return -1;
	r->r_src = p;
	return 0;
}

static int
rule_dests(struct rules *rs, struct imsg *imsg)
{
	struct msg_nm_list	 ml;
	struct rule		*r;
	const uint8_t		*elems;
	void			*p;

	if (msg_list(imsg, &ml, sizeof(ml), &elems) == -1 ||
	    msg_list_ok(imsg, sizeof(ml), ml.n, sizeof(*r->r_dst)) == -1 ||
	    (r = rule_last(rs, ml.id)) == NULL ||
	    (p = grow(r->r_dst, &r->r_ndst, elems, ml.n,
	    sizeof(*r->r_dst))) == NULL)
		return -1;
	r->r_dst = p;
	return 0;
}

static int
rule_cap(struct rules *rs, struct imsg *imsg)
{
	struct msg_nm_cap	 m;
	struct rule		*r;
	void			*p;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.cap, sizeof(m.cap)) ||
	    (r = rule_last(rs, m.id)) == NULL ||
	    (p = grow(r->r_cap, &r->r_ncap, (const uint8_t *)&m, 1,
	    sizeof(m))) == NULL)
		return -1;
	r->r_cap = p;
	return 0;
}

static int
rule_relay(struct rules *rs, struct imsg *imsg)
{
	struct msg_nm_list	 ml;
	const uint8_t		*elems;
	void			*p;
	unsigned int		 i;

	if (msg_list(imsg, &ml, sizeof(ml), &elems) == -1 ||
	    msg_list_ok(imsg, sizeof(ml), ml.n,
	    sizeof(struct msg_range)) == -1 ||
	    (ml.id != RELAY_CLIENTS && ml.id != RELAY_SERVERS))
		return -1;
	i = ml.id - 1;
	if ((p = grow(rs->rs_relay[i], &rs->rs_nrelay[i], elems, ml.n,
	    sizeof(struct msg_range))) == NULL)
		return -1;
	rs->rs_relay[i] = p;
	return 0;
}

int
rules_relay(const struct rules *rs, unsigned int part, uint8_t af,
    const uint8_t *ip)
{
	const struct msg_range	*r;
	size_t			 len = af == AF_WIRE_INET ? 4 : 16;
	uint32_t		 i;

	for (i = 0; rs != NULL && i < rs->rs_nrelay[part - 1]; i++) {
		r = &rs->rs_relay[part - 1][i];
		if (r->af == 0 || (r->af == af &&
		    memcmp(r->lo, ip, len) <= 0 &&
		    memcmp(ip, r->hi, len) <= 0))
			return 1;
	}
	return 0;
}

int
rules_message(struct rules *rs, struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_NM_FILTER_RULE:
		return rule_new(rs, imsg);
	case IMSG_NM_FILTER_SRC:
		return rule_sources(rs, imsg);
	case IMSG_NM_FILTER_SRCCAP:
		return rule_cap(rs, imsg);
	case IMSG_NM_FILTER_DST:
		return rule_dests(rs, imsg);
	case IMSG_NM_FILTER_RELAY:
		return rule_relay(rs, imsg);
	default:
		return -1;
	}
}

static void
range_of(struct filter_range *fr, const struct msg_range *r, uint8_t version)
{
	memset(fr, 0, sizeof(*fr));
	fr->fr_version = version;
	if (r->af == 0) {		/* any */
		memset(fr->fr_hi, 0xff, version == 4 ? 4 : 16);
		return;
	}
	memcpy(fr->fr_lo, r->lo, version == 4 ? 4 : 16);
	memcpy(fr->fr_hi, r->hi, version == 4 ? 4 : 16);
}

static void
range_prefix(struct filter_range *fr, uint8_t af, const uint8_t *ip,
    unsigned int plen)
{
	unsigned int	 i, bits = af == AF_WIRE_INET ? 32 : 128;

	memset(fr, 0, sizeof(*fr));
	fr->fr_version = af == AF_WIRE_INET ? 4 : 6;
	memcpy(fr->fr_lo, ip, bits / 8);
	memcpy(fr->fr_hi, ip, bits / 8);
	for (i = plen; i < bits; i++) {
		fr->fr_lo[i / 8] &= ~(0x80 >> (i % 8));
		fr->fr_hi[i / 8] |= 0x80 >> (i % 8);
	}
}

static int
compile_rule(struct filter_builder *fb, const struct rule *r)
{
	struct filter_range	 fr;
	struct filter_dst	 fd;
	uint32_t		 i;
	uint8_t			 v;

	if (filter_build_rule(fb) == -1)
		return -1;
	for (i = 0; i < r->r_rule.nprotos; i++)
		if (filter_build_proto(fb, r->r_rule.proto[i]) == -1)
			return -1;
	for (i = 0; i < r->r_ncap; i++)
		if (filter_build_cap(fb, r->r_cap[i].cap) == -1)
			return -1;
	for (v = 4; v <= 6; v += 2) {
		for (i = 0; i < r->r_nsrc; i++) {
			if (r->r_src[i].af != 0 && r->r_src[i].af != v)
				continue;
			range_of(&fr, &r->r_src[i], v);
			if (filter_build_src(fb, &fr) == -1)
				return -1;
		}
		for (i = 0; i < r->r_ndst; i++) {
			if (r->r_dst[i].r.af != 0 && r->r_dst[i].r.af != v)
				continue;
			memset(&fd, 0, sizeof(fd));
			range_of(&fd.fd_range, &r->r_dst[i].r, v);
			fd.fd_first = r->r_dst[i].lo;
			fd.fd_last = r->r_dst[i].hi;
			if (filter_build_dst(fb, &fd) == -1)
				return -1;
		}
	}
	return 0;
}

static int
compile_local(struct filter_builder *fb, const struct msg_nm_self *self,
    const struct msg_prefix *routes, size_t nroutes)
{
	struct filter_range	 fr;
	size_t			 i;

	for (i = 0; i < self->naddrs; i++) {
		range_prefix(&fr, self->addr[i].af, self->addr[i].addr, 128);
		if (filter_build_local(fb, &fr) == -1)
			return -1;
	}
	for (i = 0; i < nroutes; i++) {
		range_prefix(&fr, routes[i].af, routes[i].addr,
		    routes[i].plen);
		if (filter_build_local(fb, &fr) == -1)
			return -1;
	}
	return 0;
}

struct filter *
rules_filter(const struct rules *rs, int shields,
    const struct msg_nm_self *self, const struct msg_prefix *routes,
    size_t nroutes)
{
	struct filter_builder	*fb;
	struct filter		*f;
	uint32_t		 i;

	if ((fb = filter_build_start()) == NULL)
		fatal(NULL);
	if (shields)
		filter_build_shields(fb);
	if (compile_local(fb, self, routes, nroutes) == -1)
		goto bad;
	for (i = 0; rs != NULL && !shields && i < rs->rs_n; i++)
		if (compile_rule(fb, &rs->rs_rule[i]) == -1)
			goto bad;
	if ((f = filter_build_end(fb)) != NULL)
		return f;
	fb = NULL;
bad:
	log_warn("packet filter, nothing is let in");
	if (fb != NULL)
		filter_build_abort(fb);
	if ((fb = filter_build_start()) == NULL ||
	    (f = filter_build_end(fb)) == NULL)
		fatal(NULL);
	return f;
}
