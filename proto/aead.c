/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ChaCha20-Poly1305 with the key set once.
 */

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "aead.h"

/*
 * The request for the tag is made once, and per packet only its pointer is
 * set.  EVP_CIPHER_CTX_ctrl() would make one each time, and so would a local
 * variable: the vector instructions that fill it wait for those of the
 * cipher, which costs a tenth of a packet.
 */
struct aead {
	EVP_CIPHER_CTX	*a_ctx;
	OSSL_PARAM	 a_tag[2];
};

/* Handle of the library's algorithm: constant once fetched. */
static CRYPTO_ONCE	 aead_once = CRYPTO_ONCE_STATIC_INIT;
static EVP_CIPHER	*aead_cipher;

static void
aead_fetch(void)
{
	aead_cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
}

struct aead *
aead_new(const uint8_t key[AEAD_KEY_LEN], int seal)
{
	struct aead	*a;

	if ((a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	if (CRYPTO_THREAD_run_once(&aead_once, aead_fetch) != 1 ||
	    aead_cipher == NULL || (a->a_ctx = EVP_CIPHER_CTX_new()) == NULL ||
	    EVP_CipherInit_ex(a->a_ctx, aead_cipher, NULL, key, NULL,
	    seal) != 1) {
		aead_free(a);
		errno = ENOMEM;
		return NULL;
	}
	a->a_tag[0] = OSSL_PARAM_construct_octet_string(
	    OSSL_CIPHER_PARAM_AEAD_TAG, NULL, AEAD_TAG_LEN);
	a->a_tag[1] = OSSL_PARAM_construct_end();
	return a;
}

void
aead_free(struct aead *a)
{
	if (a == NULL)
		return;
	EVP_CIPHER_CTX_free(a->a_ctx);	/* wipes; takes NULL */
	free(a);
}

int
aead_seal(struct aead *a, const uint8_t nonce[AEAD_NONCE_LEN],
    const uint8_t *in, size_t len, uint8_t *out, uint8_t tag[AEAD_TAG_LEN])
{
	int	 n;

	if (len > INT_MAX ||
	    EVP_EncryptInit_ex(a->a_ctx, NULL, NULL, NULL, nonce) != 1)
		goto bad;
	if (len > 0 &&
	    EVP_EncryptUpdate(a->a_ctx, out, &n, in, (int)len) != 1)
		goto bad;
	a->a_tag[0].data = tag;
	if (EVP_EncryptFinal_ex(a->a_ctx, tag, &n) != 1 ||
	    EVP_CIPHER_CTX_get_params(a->a_ctx, a->a_tag) != 1)
		goto bad;
	return 0;
bad:
	errno = EIO;
	return -1;
}

int
aead_open(struct aead *a, const uint8_t nonce[AEAD_NONCE_LEN],
    const uint8_t *in, size_t len, const uint8_t tag[AEAD_TAG_LEN],
    uint8_t *out)
{
	union {
		const uint8_t	*in;
		void		*data;	/* not const, but only read */
	} want;
	uint8_t	 none[1];
	int	 n;

	want.in = tag;
	a->a_tag[0].data = want.data;
	if (len > INT_MAX ||
	    EVP_DecryptInit_ex(a->a_ctx, NULL, NULL, NULL, nonce) != 1 ||
	    EVP_CIPHER_CTX_set_params(a->a_ctx, a->a_tag) != 1)
		goto bad;
	if (len > 0 &&
	    EVP_DecryptUpdate(a->a_ctx, out, &n, in, (int)len) != 1)
		goto bad;
	if (EVP_DecryptFinal_ex(a->a_ctx, none, &n) != 1)
		goto bad;
	return 0;
bad:
	errno = EBADMSG;
	return -1;
}
