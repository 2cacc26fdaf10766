/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Where a peer without disco is: it is told by the netmap, and roams.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netd.h"

/*
 * While it answers, the address it answers from. Then for a while the one
 * it was heard from last; then, each second, any that is known: the peer may
 * have gone back to where the netmap says it is.
 */
int
wgonly_dest(struct path *pa, int64_t now, struct path_to *to)
{
	unsigned int	 i, n;

	to->pt_relay = 0;
	to->pt_ecn = 0;
	if (!path_trusted(pa, now)) {
		n = pa->pa_ncand;
		if (pa->pa_fallback.a_af != 0)
			n++;
		if (n == 0)
			return 0;
		i = arc4random_uniform(n);
		if (i == pa->pa_ncand || now < pa->pa_fallback_until)
			pa->pa_best = pa->pa_fallback;
		else
			pa->pa_best = pa->pa_cand[i].pc_addr;
		pa->pa_trusted = now + PATH_WGONLY_GUESS;
	}
	to->pt_addr = pa->pa_best;
	return 1;
}

void
wgonly_heard(struct path *pa, const struct addr *from, int64_t now)
{
	pa->pa_best = *from;
	pa->pa_trusted = now + PATH_WGONLY_TRUST;
	pa->pa_fallback = *from;
	pa->pa_fallback_until = now + PATH_WGONLY_MEMORY;
}
