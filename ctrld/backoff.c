/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * How long to wait before trying again.
 */

#include <sys/types.h>

#include "pure.h"

uint32_t
backoff_ms(uint32_t n, uint32_t random)
{
	uint64_t	 ms;

	if (n == 0)
		return 0;
	if (n > 1000)
		n = 1000;
	ms = 10ULL * n * n;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	return ms / 2 + (ms * random >> 32);
}
