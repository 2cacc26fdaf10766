/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * BLAKE2s hash, MAC, HMAC and HKDF. Our own: libsodium has no BLAKE2s, and
 * for its sake alone the key processes would map all of libcrypto, the most
 * of their memory, and run it beside the keys.
 * Source: RFC 7693.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <stdint.h>
#include <string.h>

#include "blake2s.h"

#define B2S_BLOCK	64
#define B2S_ROUNDS	10

struct b2s {
	uint32_t	 b_h[8];
	uint64_t	 b_count;	/* bytes compressed */
	size_t		 b_fill;
	uint8_t		 b_buf[B2S_BLOCK];
};

static const uint32_t	 iv[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
};

static const uint8_t	 sigma[B2S_ROUNDS][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
	{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
	{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
	{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
	{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 }
};

static inline uint32_t
ror(uint32_t x, unsigned int n)
{
	return x >> n | x << (32 - n);
}

/* RFC 7693, 3.1: the mixing function. */
static inline void
mix(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d, uint32_t x, uint32_t y)
{
	*a += *b + x;
	*d = ror(*d ^ *a, 16);
	*c += *d;
	*b = ror(*b ^ *c, 12);
	*a += *b + y;
	*d = ror(*d ^ *a, 8);
	*c += *d;
	*b = ror(*b ^ *c, 7);
}

/* 3.2: the compression function, of a block whose count is in. */
static void
compress(struct b2s *b, const uint8_t *block, int last)
{
	uint32_t	 m[16], v[16];
	const uint8_t	*s;
	unsigned int	 i;

	for (i = 0; i < 16; i++)
		m[i] = le32dec(block + 4 * i);
	memcpy(v, b->b_h, sizeof(b->b_h));
	memcpy(v + 8, iv, sizeof(iv));
	v[12] ^= (uint32_t)b->b_count;
	v[13] ^= (uint32_t)(b->b_count >> 32);
	if (last)
		v[14] = ~v[14];
	for (i = 0; i < B2S_ROUNDS; i++) {
		s = sigma[i];
		mix(&v[0], &v[4], &v[8], &v[12], m[s[0]], m[s[1]]);
		mix(&v[1], &v[5], &v[9], &v[13], m[s[2]], m[s[3]]);
		mix(&v[2], &v[6], &v[10], &v[14], m[s[4]], m[s[5]]);
		mix(&v[3], &v[7], &v[11], &v[15], m[s[6]], m[s[7]]);
		mix(&v[0], &v[5], &v[10], &v[15], m[s[8]], m[s[9]]);
		mix(&v[1], &v[6], &v[11], &v[12], m[s[10]], m[s[11]]);
		mix(&v[2], &v[7], &v[8], &v[13], m[s[12]], m[s[13]]);
		mix(&v[3], &v[4], &v[9], &v[14], m[s[14]], m[s[15]]);
	}
	for (i = 0; i < 8; i++)
		b->b_h[i] ^= v[i] ^ v[8 + i];
	explicit_bzero(m, sizeof(m));
	explicit_bzero(v, sizeof(v));
}

/* The last block is kept back: only it is marked as last. */
static void
update(struct b2s *b, const void *data, size_t len)
{
	const uint8_t	*p = data;
	size_t		 n;

	while (len > 0) {
		if (b->b_fill == B2S_BLOCK) {
			b->b_count += B2S_BLOCK;
			compress(b, b->b_buf, 0);
			b->b_fill = 0;
		}
		n = B2S_BLOCK - b->b_fill;
		if (n > len)
			n = len;
		memcpy(b->b_buf + b->b_fill, p, n);
		b->b_fill += n;
		p += n;
		len -= n;
	}
}

/* (state, length of the hash, key or NULL, its length of at most 32) */
static void
start(struct b2s *b, size_t outlen, const uint8_t *key, size_t keylen)
{
	memset(b, 0, sizeof(*b));
	memcpy(b->b_h, iv, sizeof(iv));
	b->b_h[0] ^= 0x01010000 | (uint32_t)keylen << 8 | (uint32_t)outlen;
	if (keylen > 0) {
		memcpy(b->b_buf, key, keylen);
		b->b_fill = B2S_BLOCK;
	}
}

/* The hash, all of it or its first outlen bytes; wipes the state. */
static void
finish(struct b2s *b, uint8_t *out, size_t outlen)
{
	uint8_t		 hash[B2S_LEN];
	unsigned int	 i;

	memset(b->b_buf + b->b_fill, 0, B2S_BLOCK - b->b_fill);
	b->b_count += b->b_fill;
	compress(b, b->b_buf, 1);
	for (i = 0; i < 8; i++)
		le32enc(hash + 4 * i, b->b_h[i]);
	memcpy(out, hash, outlen);
	explicit_bzero(hash, sizeof(hash));
	explicit_bzero(b, sizeof(*b));
}

int
b2s_hash(uint8_t out[B2S_LEN], const void *a, size_t alen, const void *b,
    size_t blen)
{
	struct b2s	 s;

	start(&s, B2S_LEN, NULL, 0);
	update(&s, a, alen);
	update(&s, b, blen);
	finish(&s, out, B2S_LEN);
	return 0;
}

int
b2s_mac(uint8_t out[B2S_MAC_LEN], const uint8_t *key, size_t keylen,
    const void *data, size_t len)
{
	struct b2s	 s;

	start(&s, B2S_MAC_LEN, key, keylen);
	update(&s, data, len);
	finish(&s, out, B2S_MAC_LEN);
	return 0;
}

/* HMAC over a || b with a key of 32 bytes. */
static void
b2s_hmac(uint8_t out[B2S_LEN], const uint8_t key[B2S_LEN], const void *a,
    size_t alen, const void *b, size_t blen)
{
	struct b2s	 s;
	uint8_t		 pad[B2S_BLOCK], inner[B2S_LEN];
	size_t		 i;

	memset(pad, 0x36, sizeof(pad));
	for (i = 0; i < B2S_LEN; i++)
		pad[i] ^= key[i];
	start(&s, B2S_LEN, NULL, 0);
	update(&s, pad, sizeof(pad));
	update(&s, a, alen);
	update(&s, b, blen);
	finish(&s, inner, sizeof(inner));
	for (i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	start(&s, B2S_LEN, NULL, 0);
	update(&s, pad, sizeof(pad));
	update(&s, inner, sizeof(inner));
	finish(&s, out, B2S_LEN);
	explicit_bzero(pad, sizeof(pad));
	explicit_bzero(inner, sizeof(inner));
}

int
b2s_kdf(const uint8_t salt[B2S_LEN], const void *in, size_t inlen,
    uint8_t *out, unsigned int n)
{
	uint8_t		 prk[B2S_LEN], num;
	unsigned int	 i;

	b2s_hmac(prk, salt, in, inlen, NULL, 0);
	for (i = 0; i < n; i++) {
		num = i + 1;
		if (i == 0)
			b2s_hmac(out, prk, &num, 1, NULL, 0);
		else
			b2s_hmac(out + i * B2S_LEN, prk,
			    out + (i - 1) * B2S_LEN, B2S_LEN, &num, 1);
	}
	explicit_bzero(prk, sizeof(prk));
	return 0;
}
