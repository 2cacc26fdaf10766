/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ChaCha20-Poly1305 of many packets at once: blocks of all of them share
 * the lanes of vector registers.  No associated data, nonces as WireGuard
 * makes them: 4 zero bytes and a counter, little-endian.
 * Source: RFC 8439; perf-notes.md section 2.
 */

#ifndef PROTO_CHAPOLY_H
#define PROTO_CHAPOLY_H

#include <stddef.h>
#include <stdint.h>

#define CHAPOLY_KEY_LEN	32
#define CHAPOLY_TAG_LEN	16

struct chapoly_job {
	const uint8_t	*cj_key;	/* CHAPOLY_KEY_LEN bytes */
	uint8_t		*cj_data;	/* sealed or opened in place */
	size_t		 cj_len;	/* up to 2^38 - 64 bytes */
	uint8_t		*cj_tag;	/* written by seal, checked by open */
	uint64_t	 cj_counter;	/* never the same twice for a key */
	int		 cj_good;	/* open: 1 if the tag verified */
};

/*
 * Choose what this machine runs best, after it has been checked against
 * the portable way.  avoid: names of implementations not to take, separated
 * by commas, or NULL.  Returns the name of what is used; "none": there is no
 * multi-packet way here, and the two functions below must not be called.
 * Call it before threads are started; may be called again.
 */
const char *chapoly_init(const char *);

/* From so many packets of a batch on it is worth it; SIZE_MAX: never. */
size_t	 chapoly_min(void);

/* Any number of jobs, with keys and lengths as they come. */
void	 chapoly_seal(struct chapoly_job *, size_t);
/* What does not verify keeps its content. */
void	 chapoly_open(struct chapoly_job *, size_t);

#endif /* PROTO_CHAPOLY_H */
