/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Functions of OpenBSD that another system's libc lacks, one file each in
 * this directory. Linux has them in libbsd.
 */

#ifndef SHOAL_MISSING_H
#define SHOAL_MISSING_H

#include <stddef.h>

#ifdef __FreeBSD__
/* Free what holds secrets; NULL is fine. */
void	 freezero(void *, size_t);
/* reallocarray that zeroes what is new and wipes what is left. */
void	*recallocarray(void *, size_t, size_t, size_t);
#endif

#ifdef __OpenBSD__
#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Integers of wire formats at any address, as FreeBSD and libbsd have them. */
#define MISSING_CODEC(bits, order)					\
static inline uint##bits##_t						\
order##bits##dec(const void *p)						\
{									\
	uint##bits##_t	 v;						\
									\
	memcpy(&v, p, sizeof(v));					\
	return order##bits##toh(v);					\
}									\
									\
static inline void							\
order##bits##enc(void *p, uint##bits##_t v)				\
{									\
	v = hto##order##bits(v);					\
	memcpy(p, &v, sizeof(v));					\
}

MISSING_CODEC(16, be)
MISSING_CODEC(32, be)
MISSING_CODEC(64, be)
MISSING_CODEC(16, le)
MISSING_CODEC(32, le)
MISSING_CODEC(64, le)
#endif

#endif /* SHOAL_MISSING_H */
