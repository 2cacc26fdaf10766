/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * BLAKE2s as both Noise protocols use it.
 * Source: RFC 7693; WireGuard white paper, 5.4; Noise specification, 4.3 and
 * 12.8.
 *
 * All return 0, to stand in a chain with what can fail.
 */

#ifndef PROTO_BLAKE2S_H
#define PROTO_BLAKE2S_H

#include <stddef.h>
#include <stdint.h>

#define B2S_LEN		32
#define B2S_MAC_LEN	16

/* HASH(a || b): (out, a, its length, b, its length); b may be NULL. */
int	 b2s_hash(uint8_t [B2S_LEN], const void *, size_t, const void *,
	    size_t);

/* Keyed BLAKE2s of 16 bytes: (out, key of 1 to 32 bytes, length, data, len). */
int	 b2s_mac(uint8_t [B2S_MAC_LEN], const uint8_t *, size_t, const void *,
	    size_t);

/*
 * HKDF with HMAC-BLAKE2s, empty info: (salt, input, its length, out, number
 * of outputs of 32 bytes: 1 to 3).  out may be the salt's own buffer.
 */
int	 b2s_kdf(const uint8_t [B2S_LEN], const void *, size_t, uint8_t *,
	    unsigned int);

#endif
