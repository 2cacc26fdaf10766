/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * When much comes in small pieces, a short rest makes them larger: a system
 * call and a record for many packets, where there was one for each. It costs
 * less time than the packets wait anyway at such rates.
 */

#include "pace.h"

int
pace_round(struct pace *p, uint64_t packets, int64_t now)
{
	uint64_t	 got = packets - p->p_last;
	int64_t		 past = now - p->p_start;

	p->p_last = packets;
	if (past >= PACE_WINDOW) {
		p->p_many = past < 2 * PACE_WINDOW &&
		    packets - p->p_counted >= PACE_MANY;
		p->p_counted = packets;
		p->p_start = now;
	}
	return p->p_many && got < PACE_ENOUGH;
}
