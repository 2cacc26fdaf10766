/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * X25519 of several pairs at once: each has a lane of vector registers.
 * Source: RFC 7748, section 5.
 */

#ifndef PROTO_DH_H
#define PROTO_DH_H

#include <stddef.h>
#include <stdint.h>

#define DH_LEN	32

struct dh_job {
	const uint8_t	*dj_private;	/* clamped or not */
	const uint8_t	*dj_public;	/* NULL: the base point */
	uint8_t		*dj_shared;	/* DH_LEN bytes, apart from those */
	int		 dj_good;	/* 0: of low order, and wiped */
};

/*
 * Choose what this machine runs best, after it has been checked against the
 * portable way.  avoid: names of implementations not to take, separated by
 * commas, or NULL.  Returns the name of what is used; "none": one by one,
 * as it is without this call.  Call it before threads are started.
 */
const char *dh_init(const char *);

/* Any number of jobs. All of them bad is not an error: see dj_good. */
void	 dh_many(struct dh_job *, size_t);

#endif /* PROTO_DH_H */
