/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * How often something may be done.
 */

#ifndef SHOAL_RATE_H
#define SHOAL_RATE_H

#include <stdint.h>

/* At most r_burst at once, one more every r_gap ns; r_full begins as 0. */
struct rate {
	int64_t		 r_gap;
	int64_t		 r_burst;
	int64_t		 r_full;	/* os_now() when it will be full */
};

/* (rate, os_now()): 1: go ahead, it is counted; 0: too often. */
int	 rate_take(struct rate *, int64_t);

#endif
