/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the kernels for vector registers share, and whether to take them.
 */

#ifndef PROTO_SIMD_H
#define PROTO_SIMD_H

/* Of a function that uses AVX-512; simd_avx512() looks for the same. */
#define AVX512	__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,"\
			"avx512ifma")))
#define INLINE	AVX512 __attribute__((always_inline)) static inline

/* Registers cannot be indexed: every loop over them must be unrolled. */
#ifdef __clang__
#define UNROLL	_Pragma("unroll")
#else
#define UNROLL	_Pragma("GCC unroll 16")
#endif

/* Can this machine run what is marked AVX512? */
int	 simd_avx512(void);
/* Is the name one of the list, separated by commas, or NULL: (list, name)? */
int	 simd_named(const char *, const char *);

#endif /* PROTO_SIMD_H */
