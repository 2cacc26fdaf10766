/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * RFC 6040: every pair of inner and outer mark, and the header's checksum.
 */

/* link: ../../netd/ecn.c ../../netd/checksum.c */
/* link: ../../netd/checksum_avx2.c */

#include <sys/types.h>

#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/ecn.h"
#include "../../netd/netd.h"

#define DROP	-1

/* Inner, outer, what leaves the tunnel: figure 4. */
static const struct {
	uint8_t	 inner;
	uint8_t	 outer;
	int	 leaves;
} table[] = {
	{ ECN_NOT,	ECN_NOT,	ECN_NOT },
	{ ECN_NOT,	ECN_ECT0,	ECN_NOT },
	{ ECN_NOT,	ECN_ECT1,	ECN_NOT },
	{ ECN_NOT,	ECN_CE,		DROP },
	{ ECN_ECT0,	ECN_NOT,	ECN_ECT0 },
	{ ECN_ECT0,	ECN_ECT0,	ECN_ECT0 },
	{ ECN_ECT0,	ECN_ECT1,	ECN_ECT1 },
	{ ECN_ECT0,	ECN_CE,		ECN_CE },
	{ ECN_ECT1,	ECN_NOT,	ECN_ECT1 },
	{ ECN_ECT1,	ECN_ECT0,	ECN_ECT1 },
	{ ECN_ECT1,	ECN_ECT1,	ECN_ECT1 },
	{ ECN_ECT1,	ECN_CE,		ECN_CE },
	{ ECN_CE,	ECN_NOT,	ECN_CE },
	{ ECN_CE,	ECN_ECT0,	ECN_CE },
	{ ECN_CE,	ECN_ECT1,	ECN_CE },
	{ ECN_CE,	ECN_CE,		ECN_CE },
};

static void
want(int good, const char *what, size_t i)
{
	if (!good)
		errx(1, "%s, row %zu", what, i);
}

/* A header with any contents but that mark. */
static void
header(uint8_t *ip, int version, uint8_t ecn)
{
	arc4random_buf(ip, 40);
	if (version == 4) {
		ip[0] = 0x45;
		ip[1] = (ip[1] & ~3) | ecn;
		csum_ip4(ip, 20);
	} else {
		ip[0] = 0x60 | (ip[0] & 0x0f);
		ip[1] = (ip[1] & 0xcf) | ecn << 4;
	}
}

static void
try(int version, size_t i)
{
	uint8_t	 ip[40], was[40], sum[2];
	int	 ret;

	header(ip, version, table[i].inner);
	memcpy(was, ip, sizeof(was));
	want(ecn_of(ip) == table[i].inner, "inner", i);
	/* The DSCP of the outer header is nobody's business. */
	ret = ecn_in(ip, table[i].outer | (arc4random() & 0xfc));
	if (table[i].leaves == DROP) {
		want(ret == -1, "to be dropped", i);
		return;
	}
	want(ret == 0 && ecn_of(ip) == table[i].leaves, "leaves", i);
	if (version == 4) {
		memcpy(sum, ip + 10, sizeof(sum));
		csum_ip4(ip, 20);
		want(memcmp(sum, ip + 10, sizeof(sum)) == 0, "checksum", i);
		memcpy(ip + 10, was + 10, sizeof(sum));
		ip[1] = (ip[1] & ~3) | (was[1] & 3);
	} else
		ip[1] = (ip[1] & 0xcf) | (was[1] & 0x30);
	want(memcmp(ip, was, sizeof(ip)) == 0, "nothing else changes", i);
}

int
main(void)
{
	size_t	 i;
	int	 n;

	for (i = 0; i < nitems(table); i++)
		for (n = 0; n < 2000; n++) {
			try(4, i);
			try(6, i);
		}
	return 0;
}
