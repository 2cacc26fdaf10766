/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The Internet checksum of each length and alignment, beside the text of
 * RFC 1071 taken literally; without and with vector instructions.
 */

/* link: ../../netd/checksum.c ../../netd/checksum_avx2.c */

#include <sys/types.h>
#include <sys/endian.h>

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/netd.h"

#define LONGEST	65536

static uint16_t
plain(uint32_t sum, const uint8_t *p, size_t len)
{
	for (; len > 1; len -= 2, p += 2) {
		sum += be16dec(p);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (len > 0)
		sum += p[0] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void
compare(const uint8_t *p, size_t len, uint16_t start)
{
	uint16_t	 got, want;

	got = be16toh(csum_fold(csum_add(htobe16(start), p, len)));
	want = plain(start, p, len);
	/* 0 and 0xffff are the same number. */
	if (got % 0xffff != want % 0xffff || (got == 0) != (want == 0))
		errx(1, "length %zu at %zu: %04x, not %04x", len,
		    (size_t)((uintptr_t)p % 64), got, want);
}

static void
all(uint8_t *b)
{
	static const size_t	 lengths[] = { 4096, 40000, 65528, LONGEST };
	size_t			 i, off;

	for (off = 0; off < 9; off++)
		for (i = 0; i <= 1600; i++)
			compare(b + off, i, 0xfffe);
	for (i = 0; i < nitems(lengths); i++)
		compare(b, lengths[i], 1);
}

int
main(void)
{
	static uint8_t	 b[LONGEST + 64];
	int		 pass;

	for (pass = 0; pass < 2; pass++) {
		memset(b, 0xff, sizeof(b));
		all(b);
		memset(b, 0, sizeof(b));
		all(b);
		arc4random_buf(b, sizeof(b));
		all(b);
		if (csum_avx2() == NULL) {
			puts("t_netd_checksum: no vector instructions here");
			break;
		}
		csum_init();
	}
	return 0;
}
