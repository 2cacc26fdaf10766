/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Operations on private keys, over libsodium; for key processes.
 */

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "keys.h"

void
key_clamp(uint8_t k[KEY_LEN])
{
	k[0] &= 248;
	k[31] = (k[31] & 127) | 64;
}

void
key_public(const uint8_t private[KEY_LEN], uint8_t public[KEY_LEN])
{
	(void)crypto_scalarmult_base(public, private);
}

int
key_dh(const uint8_t private[KEY_LEN], const uint8_t remote[KEY_LEN],
    uint8_t shared[KEY_LEN])
{
	if (crypto_scalarmult(shared, private, remote) == -1 ||
	    key_is_zero(shared, KEY_LEN)) {
		explicit_bzero(shared, KEY_LEN);
		errno = EINVAL;
		return -1;
	}
	return 0;
}

int
key_box_precompute(const uint8_t private[KEY_LEN],
    const uint8_t remote[KEY_LEN], uint8_t box[KEY_LEN])
{
	static const uint8_t	 zero[crypto_core_hsalsa20_INPUTBYTES];
	uint8_t			 shared[KEY_LEN];

	if (key_dh(private, remote, shared) == -1)
		return -1;
	(void)crypto_core_hsalsa20(box, zero, shared, NULL);
	explicit_bzero(shared, sizeof(shared));
	return 0;
}

void
key_box_seal(const uint8_t box[KEY_LEN],
    const uint8_t nonce[KEY_BOX_NONCE_LEN], const uint8_t *plain, size_t len,
    uint8_t *out)
{
	memcpy(out, nonce, KEY_BOX_NONCE_LEN);
	(void)crypto_box_easy_afternm(out + KEY_BOX_NONCE_LEN, plain, len,
	    nonce, box);
}

int
key_box_open(const uint8_t box[KEY_LEN], const uint8_t *sealed, size_t len,
    uint8_t *out)
{
	if (len < KEY_BOX_OVERHEAD) {
		errno = EINVAL;
		return -1;
	}
	if (crypto_box_open_easy_afternm(out, sealed + KEY_BOX_NONCE_LEN,
	    len - KEY_BOX_NONCE_LEN, sealed, box) == -1) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

void
key_nl_generate(const uint8_t seed[KEY_LEN],
    uint8_t private[KEY_NL_PRIVATE_LEN])
{
	uint8_t	 public[KEY_LEN];

	(void)crypto_sign_seed_keypair(public, private, seed);
}

void
key_nl_sign(const uint8_t private[KEY_NL_PRIVATE_LEN], const uint8_t *msg,
    size_t len, uint8_t sig[KEY_SIGNATURE_LEN])
{
	(void)crypto_sign_detached(sig, NULL, msg, len, private);
}

int
key_nl_verify(const uint8_t public[KEY_LEN], const uint8_t *msg, size_t len,
    const uint8_t sig[KEY_SIGNATURE_LEN])
{
	if (crypto_sign_verify_detached(sig, msg, len, public) == -1) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}
