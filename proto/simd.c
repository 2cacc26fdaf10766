/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Which kernels for vector registers this machine can run, and may.
 */

#include <string.h>

#include "simd.h"

int
simd_avx512(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512ifma");
#else
	return 0;
#endif
}

int
simd_named(const char *list, const char *name)
{
	size_t	 n, len = strlen(name);

	for (; list != NULL && *list != '\0'; list += n) {
		n = strcspn(list, ",");
		if (n == len && strncmp(list, name, n) == 0)
			return 1;
		n += list[n] == ',';
	}
	return 0;
}
