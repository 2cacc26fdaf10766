/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packet filter: random rules and packets against a plain filter, the
 * flow table against a plain list, and the cost of many rules.
 */
/* link: filter_ref.c */

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "filter_ref.h"

#define ROUNDS	400
#define PACKETS	200

static uint64_t	 seed = 1;

static uint32_t	 rnd(uint32_t);
static void	 rnd_range(struct filter_range *);
static void	 rnd_filter(struct ref_filter *);
static size_t	 rnd_packet(uint8_t *);
static int	 has_cap(void *, const struct pkt *, unsigned int);
static void	 round_random(void);
static void	 udp_packet(struct pkt *, uint8_t[28], uint32_t);
static void	 check_lru(void);
static struct filter
		*many_rules(uint32_t);
static void	 check_many(void);
static void	 check_limits(void);

static const struct filter	*current;

/* The same numbers in each run, so that a failure can be repeated. */
static uint32_t
rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % below;
}

/* From a space so small that ranges overlap and packets hit. */
static void
rnd_range(struct filter_range *r)
{
	uint32_t	 lo = rnd(24), hi = lo + rnd(8);

	memset(r, 0, sizeof(*r));
	r->fr_version = rnd(2) ? 4 : 6;
	if (rnd(12) == 0) {			/* everything */
		memset(r->fr_hi, 0xff, r->fr_version == 4 ? 4 : 16);
		return;
	}
	r->fr_lo[0] = r->fr_hi[0] = 0x20;
	r->fr_lo[r->fr_version == 4 ? 3 : 15] = (uint8_t)lo;
	r->fr_hi[r->fr_version == 4 ? 3 : 15] = (uint8_t)hi;
}

static void
rnd_filter(struct ref_filter *rf)
{
	static const uint8_t	 protos[] = { 6, 17, 1, 58, 132, 47, 50 };
	struct ref_rule		*r;
	size_t			 i, j;

	memset(rf, 0, sizeof(*rf));
	rf->nlocal = rnd(4) + 1;
	for (i = 0; i < rf->nlocal; i++)
		rnd_range(&rf->local[i]);
	rf->nrule = rnd(REF_MAXRULES);
	for (i = 0; i < rf->nrule; i++) {
		r = &rf->rules[i];
		r->nsrc = rnd(4);
		r->ndst = rnd(REF_MAXLIST);
		r->nproto = rnd(5);
		r->cap = rnd(4) ? -1 : (int)rnd(3);
		for (j = 0; j < r->nsrc; j++)
			rnd_range(&r->srcs[j]);
		for (j = 0; j < r->nproto; j++)
			r->protos[j] = protos[rnd(sizeof(protos))];
		for (j = 0; j < r->ndst; j++) {
			rnd_range(&r->dsts[j].fd_range);
			r->dsts[j].fd_first = (uint16_t)rnd(10);
			r->dsts[j].fd_last = (uint16_t)rnd(10);
			if (rnd(3) == 0) {
				r->dsts[j].fd_first = 0;
				r->dsts[j].fd_last = 65535;
			}
		}
	}
}

static size_t
rnd_packet(uint8_t *b)
{
	static const uint8_t	 protos[] = {
		6, 17, 1, 58, 132, 47, 50, 99, 2, 44, 0, 255
	};
	size_t			 hl, i, len;
	uint8_t			 proto = protos[rnd(sizeof(protos))];

	hl = rnd(2) ? 20 : 40;
	len = hl + rnd(30);
	for (i = 0; i < len; i++)
		b[i] = rnd(3) ? 0 : (uint8_t)rnd(256);
	memset(b, 0, hl);
	if (hl == 20) {
		b[0] = 0x45;
		b[3] = (uint8_t)len;
		b[9] = proto;
		if (rnd(8) == 0)
			b[6] = (uint8_t)(rnd(2) << 5), b[7] = rnd(20);
		b[12] = b[16] = 0x20;
		b[15] = (uint8_t)rnd(32);
		b[19] = (uint8_t)rnd(32);
	} else {
		b[0] = 0x60;
		b[5] = (uint8_t)(len - hl);
		b[6] = proto;
		b[8] = b[24] = 0x20;
		b[23] = (uint8_t)rnd(32);
		b[39] = (uint8_t)rnd(32);
	}
	if (len >= hl + 4) {
		b[hl] = b[hl + 2] = 0;
		b[hl + 1] = (uint8_t)rnd(12);
		b[hl + 3] = (uint8_t)rnd(12);
	}
	if (proto == 6 && len > hl + 13 && rnd(2))
		b[hl + 13] = 2;
	if (rnd(16) == 0)
		b[rnd((uint32_t)len)] = (uint8_t)rnd(256);
	return len;
}

static int
has_cap(void *arg, const struct pkt *p, unsigned int cap)
{
	return *(unsigned int *)arg >>
	    (filter_cap_name(current, cap)[0] - '0') & 1;
}

static void
round_random(void)
{
	static struct ref_filter	 rf;
	struct filter_flows		*fl;
	struct filter			*f;
	struct pkt			 p;
	uint8_t				 b[128], *copy;
	size_t				 i, len;
	unsigned int			 caps;
	int				 got, want;

	rnd_filter(&rf);
	if ((f = ref_build(&rf)) == NULL ||
	    (fl = filter_flows_new(REF_MAXFLOWS)) == NULL)
		err(1, "build");
	current = f;
	for (i = 0; i < PACKETS; i++) {
		len = rnd_packet(b);
		if ((copy = malloc(len)) == NULL)
			err(1, NULL);
		memcpy(copy, b, len);
		pkt_parse(&p, copy, len);
		caps = rnd(8);
		if (rnd(4)) {
			got = filter_in(f, fl, &p, has_cap, &caps);
			want = ref_in(&rf, copy, len, caps);
		} else {
			got = filter_out(f, fl, &p);
			want = ref_out(&rf, copy, len);
		}
		if ((got == FILTER_ACCEPT) != want)
			errx(1, "packet %zu: %s, want %d", i,
			    filter_verdict_name(got), want);
		free(copy);
	}
	filter_flows_free(fl);
	filter_free(f);
}

/* From 32.0.0.1 port n to 32.0.0.2 port 7. */
static void
udp_packet(struct pkt *p, uint8_t b[28], uint32_t n)
{
	memset(b, 0, 28);
	b[0] = 0x45;
	b[3] = 28;
	b[9] = 17;
	b[12] = b[16] = 32;
	b[15] = 1;
	b[19] = 2;
	b[20] = (uint8_t)(n >> 8);
	b[21] = (uint8_t)n;
	b[23] = 7;
	pkt_parse(p, b, 28);
}

static void
check_lru(void)
{
	static struct ref_filter	 rf;
	struct filter_flows		*fl;
	struct filter			*f;
	struct pkt			 out, in;
	uint8_t				 bo[28], bi[28], t[4];
	uint32_t			 i, n = 0;

	memset(&rf, 0, sizeof(rf));
	rf.nlocal = 1;
	rf.local[0].fr_version = 4;
	memset(rf.local[0].fr_hi, 0xff, 4);
	if ((f = ref_build(&rf)) == NULL ||
	    (fl = filter_flows_new(10)) == NULL)
		err(1, "build");
	for (i = 0; i < 15; i++) {
		udp_packet(&out, bo, i);
		if (filter_out(f, fl, &out) != FILTER_ACCEPT)
			errx(1, "out");
		/* Flow 2 stays in use. */
		udp_packet(&out, bo, 2);
		if (i >= 2)
			(void)filter_out(f, fl, &out);
	}
	for (i = 0; i < 15; i++) {
		udp_packet(&in, bi, i);
		memcpy(t, bi + 12, 4);
		memcpy(bi + 12, bi + 16, 4);
		memcpy(bi + 16, t, 4);
		memcpy(t, bi + 20, 2);
		memcpy(bi + 20, bi + 22, 2);
		memcpy(bi + 22, t, 2);
		pkt_parse(&in, bi, 28);
		if (filter_in(f, fl, &in, NULL, NULL) == FILTER_ACCEPT) {
			if (i != 2 && i < 6)
				errx(1, "flow %u is still known", i);
			n++;
		}
	}
	if (n != 10 || filter_flows_count(fl) != 10)
		errx(1, "%u flows known", n);
	filter_flows_clear(fl);
	if (filter_flows_count(fl) != 0 ||
	    filter_in(f, fl, &in, NULL, NULL) == FILTER_ACCEPT)
		errx(1, "flows survive");
	filter_flows_free(fl);
	filter_free(f);
}

/* Each rule lets one address of 32.1/16 and all of 33/8 to one port. */
static struct filter *
many_rules(uint32_t n)
{
	struct filter_builder	*b;
	struct filter_range	 r, any;
	struct filter_dst	 d;
	struct filter		*f;
	uint32_t		 i;

	memset(&any, 0, sizeof(any));
	any.fr_version = 4;
	memset(any.fr_hi, 0xff, 4);
	memset(&d, 0, sizeof(d));
	d.fd_range = any;
	if ((b = filter_build_start()) == NULL ||
	    filter_build_local(b, &any) == -1)
		err(1, "build");
	for (i = 0; i < n; i++) {
		r = any;
		r.fr_lo[0] = r.fr_hi[0] = 32;
		r.fr_lo[1] = r.fr_hi[1] = 1;
		r.fr_lo[2] = r.fr_hi[2] = (uint8_t)(i >> 8);
		r.fr_lo[3] = r.fr_hi[3] = (uint8_t)i;
		d.fd_first = d.fd_last = (uint16_t)(i + 1);
		if (filter_build_rule(b) == -1 ||
		    filter_build_src(b, &r) == -1 ||
		    filter_build_dst(b, &d) == -1)
			err(1, "build");
		r = any;
		r.fr_lo[0] = r.fr_hi[0] = 33;
		if (filter_build_src(b, &r) == -1)
			err(1, "build");
	}
	if ((f = filter_build_end(b)) == NULL)
		err(1, "build of %u rules", n);
	return f;
}

static void
check_many(void)
{
	struct filter_flows	*fl;
	struct filter		*f;
	struct pkt		 p;
	uint8_t			 b[28];
	uint32_t		 i;

	f = many_rules(5000);
	if ((fl = filter_flows_new(4)) == NULL)
		err(1, NULL);
	for (i = 0; i < 5000; i++) {
		udp_packet(&p, b, 1);
		b[13] = 1;
		b[14] = (uint8_t)(i >> 8);
		b[15] = (uint8_t)i;
		b[22] = (uint8_t)((i + 1) >> 8);
		b[23] = (uint8_t)(i + 1);
		pkt_parse(&p, b, 28);
		if (filter_in(f, fl, &p, NULL, NULL) != FILTER_ACCEPT)
			errx(1, "rule %u does not match", i);
		b[15] ^= 1;
		if (filter_in(f, fl, &p, NULL, NULL) == FILTER_ACCEPT)
			errx(1, "rule %u matches its neighbour", i);
		b[12] = 33;
		if (filter_in(f, fl, &p, NULL, NULL) != FILTER_ACCEPT)
			errx(1, "rule %u does not match from 33/8", i);
	}
	filter_flows_free(fl);
	filter_free(f);
}

static void
check_limits(void)
{
	struct filter_builder	*b;
	struct filter_range	 r;
	char			 name[FILTER_CAP_MAX + 1];

	memset(&r, 0, sizeof(r));
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	if ((b = filter_build_start()) == NULL)
		err(1, NULL);
	if (filter_build_src(b, &r) == 0 || filter_build_proto(b, 1) == 0)
		errx(1, "no rule, but a source");
	if (filter_build_rule(b) == -1)
		err(1, NULL);
	if (filter_build_src(b, &r) == 0)
		errx(1, "version 0");
	r.fr_version = 4;
	r.fr_lo[0] = 1;
	if (filter_build_src(b, &r) == 0)
		errx(1, "range reversed");
	if (filter_build_cap(b, name) == 0)
		errx(1, "name too long");
	filter_build_abort(b);
	if (filter_flows_new(0) != NULL)
		errx(1, "table of no flows");
	filter_free(NULL);
	filter_flows_free(NULL);
	filter_build_abort(NULL);
}

int
main(void)
{
	int	 i;

	for (i = 0; i < ROUNDS; i++)
		round_random();
	check_lru();
	check_many();
	check_limits();
	return 0;
}
