/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A second packet filter, slow and plain, to hold the real one against:
 * for tests alone.
 */

#ifndef REGRESS_FILTER_REF_H
#define REGRESS_FILTER_REF_H

#include <stddef.h>
#include <stdint.h>

#include "filter.h"

#define REF_MAXLIST	8
#define REF_MAXRULES	16
#define REF_MAXFLOWS	256

struct ref_rule {
	struct filter_range	 srcs[REF_MAXLIST];
	struct filter_dst	 dsts[REF_MAXLIST];
	uint8_t			 protos[REF_MAXLIST];
	size_t			 nsrc, ndst, nproto;
	int			 cap;		/* -1: none */
};

struct ref_filter {
	struct ref_rule		 rules[REF_MAXRULES];
	struct filter_range	 local[REF_MAXLIST];
	uint8_t			 flows[REF_MAXFLOWS][37];
	size_t			 nrule, nlocal, nflow;
};

/* Build the real filter from the plain one; NULL on error. */
struct filter	*ref_build(const struct ref_filter *);

/*
 * 1: accept, 0: drop. The sender holds the capabilities whose bits are
 * set in caps. At most REF_MAXFLOWS packets may go out.
 */
int	 ref_in(struct ref_filter *, const uint8_t *, size_t, unsigned int);
int	 ref_out(struct ref_filter *, const uint8_t *, size_t);

#endif
