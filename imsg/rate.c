/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * How often something may be done.
 */

#include "rate.h"

int
rate_take(struct rate *r, int64_t now)
{
	int64_t	 full;

	full = r->r_full < now ? now : r->r_full;
	if (full - now > (r->r_burst - 1) * r->r_gap)
		return 0;
	r->r_full = full + r->r_gap;
	return 1;
}
