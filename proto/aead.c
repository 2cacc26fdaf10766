/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ChaCha20-Poly1305 with the key set once.
 */

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "aead.h"

/* Handle of the library's algorithm: constant once fetched. */
static CRYPTO_ONCE	 aead_once = CRYPTO_ONCE_STATIC_INIT;
static EVP_CIPHER	*aead_cipher;

static void
aead_fetch(void)
{
	aead_cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
}

EVP_CIPHER_CTX *
aead_new(const uint8_t key[AEAD_KEY_LEN], int seal)
{
	EVP_CIPHER_CTX	*ctx = NULL;

	if (CRYPTO_THREAD_run_once(&aead_once, aead_fetch) != 1 ||
	    aead_cipher == NULL || (ctx = EVP_CIPHER_CTX_new()) == NULL ||
	    EVP_CipherInit_ex(ctx, aead_cipher, NULL, key, NULL, seal) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		errno = ENOMEM;
		return NULL;
	}
	return ctx;
}

void
aead_free(EVP_CIPHER_CTX *ctx)
{
	EVP_CIPHER_CTX_free(ctx);	/* wipes; takes NULL */
}

int
aead_seal(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN],
    const uint8_t *in, size_t len, uint8_t *out, uint8_t tag[AEAD_TAG_LEN])
{
	int	 n;

	if (len > INT_MAX ||
	    EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce) != 1)
		goto bad;
	if (len > 0 && EVP_EncryptUpdate(ctx, out, &n, in, (int)len) != 1)
		goto bad;
	if (EVP_EncryptFinal_ex(ctx, tag, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN,
	    tag) != 1)
		goto bad;
	return 0;
bad:
	errno = EIO;
	return -1;
}

int
aead_open(EVP_CIPHER_CTX *ctx, const uint8_t nonce[AEAD_NONCE_LEN],
    const uint8_t *in, size_t len, const uint8_t tag[AEAD_TAG_LEN],
    uint8_t *out)
{
	uint8_t	 want[AEAD_TAG_LEN];
	int	 n;

	/* The library takes the tag by a pointer that is not const. */
	memcpy(want, tag, sizeof(want));
	if (len > INT_MAX ||
	    EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, nonce) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN,
	    want) != 1)
		goto bad;
	if (len > 0 && EVP_DecryptUpdate(ctx, out, &n, in, (int)len) != 1)
		goto bad;
	if (EVP_DecryptFinal_ex(ctx, want, &n) != 1)
		goto bad;
	return 0;
bad:
	errno = EBADMSG;
	return -1;
}
