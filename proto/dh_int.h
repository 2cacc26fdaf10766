/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * X25519 of several pairs: what dh.c and its kernels share.
 */

#ifndef PROTO_DH_INT_H
#define PROTO_DH_INT_H

#include "dh.h"

#define DH_LANES	8

struct dh_kernel {
	const char	*dk_name;
	int		(*dk_usable)(void);
	/* Up to DH_LANES jobs; does not look for low order. */
	void		(*dk_ladder)(const struct dh_job *, size_t);
};

extern const struct dh_kernel	 dh_avx512;

#endif /* PROTO_DH_INT_H */
