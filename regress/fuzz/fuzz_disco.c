/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: disco packets and messages; what parses builds to the same again.
 */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "disco.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/*
 * Trailing bytes, later versions and padding that is not zero are not kept,
 * so it is the second build that must equal the first.
 */
static void
message(const uint8_t *data, size_t len)
{
	struct disco_msg	 m, again;
	struct disco_addr	 da;
	uint8_t			 one[65536], two[65536];
	uint8_t			 wire[DISCO_ADDR_LEN];
	ssize_t			 n;
	size_t			 i;

	if (disco_parse(data, len, &m) == -1)
		return;
	for (i = 0; i < m.dm_naddrs; i++) {
		disco_addr_get(m.dm_addrs + i * DISCO_ADDR_LEN, &da);
		disco_addr_put(&da, wire);
		if (memcmp(wire, m.dm_addrs + i * DISCO_ADDR_LEN,
		    sizeof(wire)) != 0)
			abort();
	}
	if ((n = disco_build(&m, one, sizeof(one))) == -1)
		return;
	if (disco_parse(one, n, &again) == -1 ||
	    disco_build(&again, two, sizeof(two)) != n ||
	    memcmp(one, two, n) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t	 key[DISCO_KEY_LEN] = { 7 };
	struct geneve		 g;
	uint8_t			 plain[2048], hdr[GENEVE_HDR_LEN];

	if (len == 0)
		return 0;
	if (data[0] & 1) {
		message(data + 1, len - 1);
		return 0;
	}
	data++;
	len--;
	(void)disco_open(key, data, len, plain, sizeof(plain));
	if (geneve_parse(data, len, &g) == 0 && geneve_build(hdr, &g) == -1)
		abort();
	return 0;
}
