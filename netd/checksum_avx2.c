/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The Internet checksum of long packets, 64 bytes at a time.
 */

#include <sys/types.h>

#include <stdint.h>

#include "netd.h"

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2	__attribute__((target("avx2")))

/* Both 32-bit halves of each word, added to sums that have room for them. */
AVX2 static inline void
add_halves(__m256i sum[2], const uint8_t *p)
{
	__m256i	 w = _mm256_loadu_si256((const __m256i *)(const void *)p);

	sum[0] = _mm256_add_epi64(sum[0],
	    _mm256_and_si256(w, _mm256_set1_epi64x(0xffffffff)));
	sum[1] = _mm256_add_epi64(sum[1], _mm256_srli_epi64(w, 32));
}

AVX2 static uint64_t
sum_avx2(const uint8_t *p, size_t len)
{
	__m256i		 a[2], b[2];
	uint64_t	 s[4];

	a[0] = a[1] = b[0] = b[1] = _mm256_setzero_si256();
	for (; len >= 64; len -= 64, p += 64) {
		add_halves(a, p);
		add_halves(b, p + 32);
	}
	a[0] = _mm256_add_epi64(_mm256_add_epi64(a[0], a[1]),
	    _mm256_add_epi64(b[0], b[1]));
	_mm256_storeu_si256((__m256i *)(void *)s, a[0]);
	return s[0] + s[1] + s[2] + s[3];
}

csum_blocks
csum_avx2(void)
{
	return __builtin_cpu_supports("avx2") ? sum_avx2 : NULL;
}

#else

csum_blocks
csum_avx2(void)
{
	return NULL;
}

#endif /* __x86_64__ */
