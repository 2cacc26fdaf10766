/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packet parser and filter: rules and packets from the input, each verdict
 * held against a second, plain filter with a parser of its own.
 */
/* link: ../unit/filter_ref.c */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/filter_ref.h"

struct input {
	const uint8_t	*p;
	size_t		 len;
};

int		 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct filter	*current;

static uint8_t
take(struct input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->p++;
}

/* Addresses 32.0.0.n and 2000::n, or all. */
static void
take_range(struct input *in, struct filter_range *r)
{
	uint8_t	 a = take(in), b = take(in);

	memset(r, 0, sizeof(*r));
	r->fr_version = a & 1 ? 4 : 6;
	if (a & 2) {
		memset(r->fr_hi, 0xff, r->fr_version == 4 ? 4 : 16);
		return;
	}
	r->fr_lo[0] = r->fr_hi[0] = 0x20;
	r->fr_lo[r->fr_version == 4 ? 3 : 15] = a >> 4;
	r->fr_hi[r->fr_version == 4 ? 3 : 15] = (a >> 4) + (b >> 4);
}

static void
take_rule(struct input *in, struct ref_rule *r)
{
	uint8_t	 n = take(in);
	size_t	 i;

	r->cap = (int)(take(in) % 8) - 4;
	r->nsrc = n & 3;
	r->ndst = n >> 2 & 3;
	r->nproto = n >> 4 & 3;
	for (i = 0; i < r->nsrc; i++)
		take_range(in, &r->srcs[i]);
	for (i = 0; i < r->nproto; i++)
		r->protos[i] = take(in);
	for (i = 0; i < r->ndst; i++) {
		take_range(in, &r->dsts[i].fd_range);
		r->dsts[i].fd_first = take(in);
		r->dsts[i].fd_last = take(in);
		if (r->dsts[i].fd_last == 255)
			r->dsts[i].fd_last = 65535;
	}
}

static int
has_cap(void *arg, const struct pkt *p, unsigned int cap)
{
	return *(unsigned int *)arg >>
	    (filter_cap_name(current, cap)[0] - '0') & 1;
}

static void
take_packet(struct input *in, struct ref_filter *rf,
    struct filter_flows *fl)
{
	struct pkt	 p;
	unsigned int	 caps;
	uint8_t		 how, *copy;
	size_t		 len;
	int		 got, want;

	how = take(in);
	caps = how >> 4;
	if ((len = take(in)) > in->len)
		len = in->len;
	if ((copy = malloc(len + (len == 0))) == NULL)
		abort();
	memcpy(copy, in->p, len);
	in->p += len;
	in->len -= len;
	pkt_parse(&p, copy, len);
	if (how & 1) {
		got = filter_out(current, fl, &p);
		want = ref_out(rf, copy, len);
	} else {
		got = filter_in(current, fl, &p, has_cap, &caps);
		want = ref_in(rf, copy, len, caps);
	}
	if ((got == FILTER_ACCEPT) != want)
		abort();
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct ref_filter	 rf;
	struct input			 in = { data, len };
	struct filter_flows		*fl;
	struct filter			*f;
	size_t				 i;
	uint8_t				 n;

	memset(&rf, 0, sizeof(rf));
	n = take(&in);
	rf.nlocal = n & 3;
	rf.nrule = n >> 4;
	for (i = 0; i < rf.nlocal; i++)
		take_range(&in, &rf.local[i]);
	for (i = 0; i < rf.nrule; i++)
		take_rule(&in, &rf.rules[i]);
	if ((f = ref_build(&rf)) == NULL ||
	    (fl = filter_flows_new(REF_MAXFLOWS)) == NULL)
		abort();
	current = f;
	for (i = 0; i < REF_MAXFLOWS && in.len > 0; i++)
		take_packet(&in, &rf, fl);
	filter_flows_free(fl);
	filter_free(f);
	return 0;
}
