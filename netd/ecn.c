/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Congestion marks of the path, in and out of the tunnel: RFC 6040.
 */

#include <sys/types.h>

#include <stdint.h>
#include <string.h>

#include "ecn.h"
#include "netd.h"

#define DROP	0xff

/* Section 4.2, figure 4: by what arrives inside and outside. */
static const uint8_t merged[4][4] = {
	[ECN_NOT] = {
		[ECN_NOT] = ECN_NOT, [ECN_ECT1] = ECN_NOT,
		[ECN_ECT0] = ECN_NOT, [ECN_CE] = DROP
	},
	[ECN_ECT1] = {
		[ECN_NOT] = ECN_ECT1, [ECN_ECT1] = ECN_ECT1,
		[ECN_ECT0] = ECN_ECT1, [ECN_CE] = ECN_CE
	},
	[ECN_ECT0] = {
		[ECN_NOT] = ECN_ECT0, [ECN_ECT1] = ECN_ECT1,
		[ECN_ECT0] = ECN_ECT0, [ECN_CE] = ECN_CE
	},
	[ECN_CE] = {
		[ECN_NOT] = ECN_CE, [ECN_ECT1] = ECN_CE,
		[ECN_ECT0] = ECN_CE, [ECN_CE] = ECN_CE
	}
};

static void	 ecn_set(uint8_t *, uint8_t);

/* RFC 1624: the sum changes by as much as the word did. */
static void
ecn_set(uint8_t *ip, uint8_t ecn)
{
	uint16_t	 was, is, sum;

	if (ip[0] >> 4 == 6) {
		ip[1] = (ip[1] & ~0x30) | ecn << 4;
		return;
	}
	memcpy(&was, ip, sizeof(was));
	ip[1] = (ip[1] & ~ECN_MASK) | ecn;
	memcpy(&is, ip, sizeof(is));
	memcpy(&sum, ip + 10, sizeof(sum));
	sum = ~csum_fold((uint64_t)(uint16_t)~sum + (uint16_t)~was + is);
	memcpy(ip + 10, &sum, sizeof(sum));
}

int
ecn_in(uint8_t *ip, uint8_t outer)
{
	uint8_t	 inner = ecn_of(ip), ecn;

	ecn = merged[inner][outer & ECN_MASK];
	if (ecn == DROP)
		return -1;
	if (ecn != inner)
		ecn_set(ip, ecn);
	return 0;
}

void
ecn_ce(uint8_t *ip)
{
	ecn_set(ip, ECN_CE);
}
