/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ID tokens: claims signed with ES256.
 * Source: RFC 7515, RFC 7518 3.4.
 */

#define OPENSSL_SUPPRESS_DEPRECATED	/* keys of a curve, from their number */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#include <sodium.h>

#include "coordcrypt.h"
#include "log.h"

#define B64	sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define SIG_LEN	64
#define NUMBER	32

/* The key of a private number; NULL: it is none of this curve. */
static EC_KEY *
key_of(const uint8_t scalar[MSG_KEY_LEN])
{
	const EC_GROUP	*group;
	EC_POINT	*point = NULL;
	EC_KEY		*key;
	BIGNUM		*d;
	int		 ok;

	if ((key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1)) == NULL ||
	    (d = BN_secure_new()) == NULL)
		fatal(NULL);
	group = EC_KEY_get0_group(key);
	ok = BN_bin2bn(scalar, MSG_KEY_LEN, d) != NULL &&
	    (point = EC_POINT_new(group)) != NULL &&
	    EC_POINT_mul(group, point, d, NULL, NULL, NULL) == 1 &&
	    EC_KEY_set_private_key(key, d) == 1 &&
	    EC_KEY_set_public_key(key, point) == 1 &&
	    EC_KEY_check_key(key) == 1;
	BN_clear_free(d);
	EC_POINT_free(point);
	if (ok)
		return key;
	EC_KEY_free(key);
	return NULL;
}

int
jwt_public(const uint8_t scalar[MSG_KEY_LEN], uint8_t point[JWT_POINT_LEN])
{
	EC_KEY	*key;
	size_t	 n;

	if ((key = key_of(scalar)) == NULL)
		return -1;
	n = EC_POINT_point2oct(EC_KEY_get0_group(key),
	    EC_KEY_get0_public_key(key), POINT_CONVERSION_UNCOMPRESSED, point,
	    JWT_POINT_LEN, NULL);
	EC_KEY_free(key);
	return n == JWT_POINT_LEN ? 0 : -1;
}

void
jwt_make_key(uint8_t scalar[MSG_KEY_LEN])
{
	uint8_t	 point[JWT_POINT_LEN];

	do
		arc4random_buf(scalar, MSG_KEY_LEN);
	while (jwt_public(scalar, point) == -1);
}

/* Which key: what JWKS names too. */
static int
key_id(const uint8_t scalar[MSG_KEY_LEN], char *id, size_t size)
{
	uint8_t	 point[JWT_POINT_LEN], hash[NUMBER];

	if (jwt_public(scalar, point) == -1 ||
	    EVP_Digest(point, sizeof(point), hash, NULL, EVP_sha256(),
	    NULL) != 1)
		return -1;
	(void)sodium_bin2hex(id, size, hash, 8);
	return 0;
}

static int
sign(const uint8_t scalar[MSG_KEY_LEN], const char *text, size_t len,
    uint8_t sig[SIG_LEN])
{
	ECDSA_SIG	*s = NULL;
	EC_KEY		*key;
	uint8_t		 hash[NUMBER];
	int		 ok;

	if ((key = key_of(scalar)) == NULL)
		return -1;
	ok = EVP_Digest(text, len, hash, NULL, EVP_sha256(), NULL) == 1 &&
	    (s = ECDSA_do_sign(hash, sizeof(hash), key)) != NULL &&
	    BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, NUMBER) == NUMBER &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + NUMBER, NUMBER) == NUMBER;
	ECDSA_SIG_free(s);
	EC_KEY_free(key);
	return ok ? 0 : -1;
}

int
jwt_sign(const uint8_t scalar[MSG_KEY_LEN], const char *claims, char *token,
    size_t size)
{
	char	 header[96], id[2 * 8 + 1];
	uint8_t	 sig[SIG_LEN];
	size_t	 hlen, clen = strlen(claims), off;

	if (key_id(scalar, id, sizeof(id)) == -1)
		return -1;
	(void)snprintf(header, sizeof(header),
	    "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", id);
	hlen = strlen(header);
	if (size < sodium_base64_encoded_len(hlen, B64) +
	    sodium_base64_encoded_len(clen, B64) +
	    sodium_base64_encoded_len(SIG_LEN, B64))
		return -1;
	(void)sodium_bin2base64(token, size, (const uint8_t *)header, hlen,
	    B64);
	off = strlen(token);
	token[off++] = '.';
	(void)sodium_bin2base64(token + off, size - off,
	    (const uint8_t *)claims, clen, B64);
	off += strlen(token + off);
	if (sign(scalar, token, off, sig) == -1)
		return -1;
	token[off++] = '.';
	(void)sodium_bin2base64(token + off, size - off, sig, sizeof(sig),
	    B64);
	return 0;
}
