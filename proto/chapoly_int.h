/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Between chapoly.c and the kernels for one kind of processor.
 */

#ifndef PROTO_CHAPOLY_INT_H
#define PROTO_CHAPOLY_INT_H

#include <stddef.h>
#include <stdint.h>

/* Blocks of one packet's key stream, to be XORed into their place. */
struct chapoly_run {
	const uint8_t	*cr_key;
	uint8_t		*cr_data;
	size_t		 cr_len;	/* bytes, at least 1 */
	uint64_t	 cr_counter;	/* of the nonce */
	uint32_t	 cr_block;	/* the first */
};

/* One message to authenticate: padded and with its length behind it. */
struct chapoly_mac {
	const uint8_t	*cm_key;	/* r and s, 32 bytes */
	const uint8_t	*cm_data;
	size_t		 cm_len;
	uint8_t		 cm_tag[16];
};

struct chapoly_kernel {
	const char	*ck_name;
	size_t		 ck_min;	/* packets that make it worth while */
	int		(*ck_usable)(void);
	void		(*ck_chacha)(const struct chapoly_run *, size_t);
	void		(*ck_poly)(struct chapoly_mac *, size_t);
};

extern const struct chapoly_kernel chapoly_avx512;

#endif /* PROTO_CHAPOLY_INT_H */
