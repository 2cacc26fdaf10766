/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * When much comes in small pieces, a short rest makes them larger.
 */

#ifndef RELAY_PACE_H
#define RELAY_PACE_H

#include <stdint.h>

#define PACE_NAP	25000		/* ns; the kernel adds some 50000 */
#define PACE_WINDOW	1000000		/* ns over which packets are counted */
#define PACE_MANY	80		/* packets in it: it pays */
#define PACE_ENOUGH	64		/* in one round: no need to wait */

struct pace {
	int64_t		 p_start;	/* of the window */
	uint64_t	 p_counted;	/* packets, at its start */
	uint64_t	 p_last;	/* packets, after the last round */
	int		 p_many;	/* the window before was busy */
};

/*
 * After each round of the event loop: the packets that have come since the
 * start of the process, and os_now(). 1: rest before the next one.
 */
int	 pace_round(struct pace *, uint64_t, int64_t);

#endif
