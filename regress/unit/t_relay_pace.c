/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The relay rests between rounds where it pays, and nowhere else.
 */
/* link: ../../derpd/relay/pace.c */

#include <err.h>
#include <string.h>

#include "../../derpd/relay/pace.h"

#define SECOND	1000000000LL

/* How many of the rounds of a second end with a rest? */
static int
rests(int64_t gap, uint64_t each)
{
	struct pace	 p;
	uint64_t	 packets = 0;
	int64_t		 now = 5 * SECOND, end = 6 * SECOND;
	int		 n = 0;

	memset(&p, 0, sizeof(p));
	for (; now < end; now += gap) {
		packets += each;
		n += pace_round(&p, packets, now);
	}
	return n;
}

int
main(void)
{
	if (rests(SECOND / 1000, 1) != 0 || rests(SECOND / 50000, 1) != 0)
		errx(1, "a rest at low load");
	if (rests(SECOND / 1000, 1000) != 0 || rests(SECOND / 100, 80) != 0)
		errx(1, "a rest where rounds are large, or rare");
	if (rests(SECOND / 200000, 1) < 199000)
		errx(1, "no rest at high load");
	/* What stops and starts again is not busy at once. */
	if (rests(3 * PACE_WINDOW, 50) != 0)
		errx(1, "a rest between bursts");
	return 0;
}
