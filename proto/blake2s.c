/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * BLAKE2s hash, MAC, HMAC and HKDF over OpenSSL.
 */

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "blake2s.h"

#define B2S_BLOCK	64

/* Handles of the library's algorithms: constant once fetched. */
static CRYPTO_ONCE	 b2s_once = CRYPTO_ONCE_STATIC_INIT;
static EVP_MD		*b2s_md;
static EVP_MAC		*b2s_macalg;

static void
b2s_fetch(void)
{
	b2s_md = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
	b2s_macalg = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
}

int
b2s_init(void)
{
	if (CRYPTO_THREAD_run_once(&b2s_once, b2s_fetch) != 1 ||
	    b2s_md == NULL || b2s_macalg == NULL) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

/* One digest with a context that the caller keeps; NULL parts are empty. */
static int
b2s_digest(EVP_MD_CTX *ctx, uint8_t *out, const void *pad, const void *a,
    size_t alen, const void *b, size_t blen)
{
	if (EVP_DigestInit_ex(ctx, b2s_md, NULL) != 1)
		return -1;
	if (pad != NULL && EVP_DigestUpdate(ctx, pad, B2S_BLOCK) != 1)
		return -1;
	if (alen > 0 && EVP_DigestUpdate(ctx, a, alen) != 1)
		return -1;
	if (blen > 0 && EVP_DigestUpdate(ctx, b, blen) != 1)
		return -1;
	return EVP_DigestFinal_ex(ctx, out, NULL) == 1 ? 0 : -1;
}

int
b2s_hash(uint8_t out[B2S_LEN], const void *a, size_t alen, const void *b,
    size_t blen)
{
	EVP_MD_CTX	*ctx;
	int		 ret;

	if (b2s_init() == -1)
		return -1;
	if ((ctx = EVP_MD_CTX_new()) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	if ((ret = b2s_digest(ctx, out, NULL, a, alen, b, blen)) == -1)
		errno = ENOMEM;
	EVP_MD_CTX_free(ctx);
	return ret;
}

int
b2s_mac(uint8_t out[B2S_MAC_LEN], const uint8_t *key, size_t keylen,
    const void *data, size_t len)
{
	OSSL_PARAM	 params[2];
	EVP_MAC_CTX	*ctx;
	size_t		 size, outlen;
	int		 ret;

	if (b2s_init() == -1)
		return -1;
	if ((ctx = EVP_MAC_CTX_new(b2s_macalg)) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	size = B2S_MAC_LEN;
	params[0] = OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size);
	params[1] = OSSL_PARAM_construct_end();
	ret = -1;
	if (EVP_MAC_init(ctx, key, keylen, params) == 1 &&
	    EVP_MAC_update(ctx, data, len) == 1 &&
	    EVP_MAC_final(ctx, out, &outlen, B2S_MAC_LEN) == 1)
		ret = 0;
	else
		errno = ENOMEM;
	EVP_MAC_CTX_free(ctx);
	return ret;
}

/* HMAC over a || b with a key of 32 bytes. */
static int
b2s_hmac(EVP_MD_CTX *ctx, uint8_t out[B2S_LEN], const uint8_t key[B2S_LEN],
    const void *a, size_t alen, const void *b, size_t blen)
{
	uint8_t	 pad[B2S_BLOCK], inner[B2S_LEN];
	size_t	 i;
	int	 ret;

	memset(pad, 0x36, sizeof(pad));
	for (i = 0; i < B2S_LEN; i++)
		pad[i] ^= key[i];
	ret = b2s_digest(ctx, inner, pad, a, alen, b, blen);
	for (i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	if (ret == 0)
		ret = b2s_digest(ctx, out, pad, inner, sizeof(inner), NULL, 0);
	explicit_bzero(pad, sizeof(pad));
	explicit_bzero(inner, sizeof(inner));
	return ret;
}

int
b2s_kdf(const uint8_t salt[B2S_LEN], const void *in, size_t inlen,
    uint8_t *out, unsigned int n)
{
	EVP_MD_CTX	*ctx;
	uint8_t		 prk[B2S_LEN], num;
	unsigned int	 i;
	int		 ret;

	if (b2s_init() == -1)
		return -1;
	if ((ctx = EVP_MD_CTX_new()) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	ret = b2s_hmac(ctx, prk, salt, in, inlen, NULL, 0);
	for (i = 0; ret == 0 && i < n; i++) {
		num = i + 1;
		ret = i == 0 ?
		    b2s_hmac(ctx, out, prk, &num, 1, NULL, 0) :
		    b2s_hmac(ctx, out + i * B2S_LEN, prk,
		    out + (i - 1) * B2S_LEN, B2S_LEN, &num, 1);
	}
	if (ret == -1)
		errno = ENOMEM;
	explicit_bzero(prk, sizeof(prk));
	EVP_MD_CTX_free(ctx);
	return ret;
}
