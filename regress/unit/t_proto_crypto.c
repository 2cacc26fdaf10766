/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Crypto that vectors of the protocols reach only in part: BLAKE2s, the AEAD
 * at each length, limits of transport keys, timestamps, padding.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "aead.h"
#include "blake2s.h"
#include "noise.h"
#include "wg.h"

#define LEN_MAX	1600

static void
want(const char *what, const uint8_t *got, const char *hex)
{
	uint8_t	 bin[128];
	size_t	 len;

	if (sodium_hex2bin(bin, sizeof(bin), hex, strlen(hex), NULL, &len,
	    NULL) == -1)
		errx(1, "%s: bad hex in the test", what);
	if (memcmp(got, bin, len) != 0)
		errx(1, "%s differs", what);
}

/* RFC 7693, appendix B. */
static void
test_blake2s(void)
{
	uint8_t	 out[3 * B2S_LEN], key[B2S_LEN], split[B2S_LEN];
	size_t	 i;

	if (b2s_hash(out, "abc", 3, NULL, 0) == -1)
		err(1, "b2s_hash");
	want("abc", out, "508c5e8c327c14e2e1a72ba34eeb452f"
	    "37458b209ed63a294d999b4c86675982");
	if (b2s_hash(split, "a", 1, "bc", 2) == -1 ||
	    memcmp(out, split, B2S_LEN) != 0)
		errx(1, "hash of two parts");
	if (b2s_hash(out, "", 0, NULL, 0) == -1)
		err(1, "b2s_hash");
	want("empty", out, "69217a3079908094e11121d042354a7c"
	    "1f55b6482ca1a51e1b250dfd1ed0eef9");

	/* Construction and identifier of WireGuard: dataplane.md, 10. */
	if (b2s_hash(out, "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", 37, NULL,
	    0) == -1)
		err(1, "b2s_hash");
	want("C0", out, "60e26daef327efc02ec335e2a025d2d0"
	    "16eb4206f87277f52d38d1988b78cd36");
	if (b2s_hash(out, out, B2S_LEN, "WireGuard v1 zx2c4 Jason@zx2c4.com",
	    34) == -1)
		err(1, "b2s_hash");
	want("H0", out, "2211b361081ac566691243db458ad532"
	    "2d9c6c662293e8b70ee19c65ba079ef3");

	/* A KDF of n outputs begins with those of one of fewer. */
	for (i = 0; i < sizeof(key); i++)
		key[i] = i;
	if (b2s_kdf(key, "x", 1, out, 3) == -1 ||
	    b2s_kdf(key, "x", 1, split, 1) == -1)
		err(1, "b2s_kdf");
	if (memcmp(out, split, B2S_LEN) != 0 ||
	    memcmp(out, out + B2S_LEN, B2S_LEN) == 0)
		errx(1, "KDF outputs");
	memcpy(split, key, sizeof(key));
	if (b2s_kdf(split, "x", 1, split, 1) == -1 ||
	    memcmp(out, split, B2S_LEN) != 0)
		errx(1, "KDF in place");
}

static void
ossl_mac(uint8_t *out, const uint8_t *key, size_t keylen, const uint8_t *data,
    size_t len)
{
	OSSL_PARAM	 params[2];
	EVP_MAC		*mac;
	EVP_MAC_CTX	*ctx;
	size_t		 size = B2S_MAC_LEN, outlen;

	params[0] = OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size);
	params[1] = OSSL_PARAM_construct_end();
	if ((mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL)) == NULL ||
	    (ctx = EVP_MAC_CTX_new(mac)) == NULL ||
	    EVP_MAC_init(ctx, key, keylen, params) != 1 ||
	    EVP_MAC_update(ctx, data, len) != 1 ||
	    EVP_MAC_final(ctx, out, &outlen, B2S_MAC_LEN) != 1)
		errx(1, "EVP_MAC");
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
}

/* Against an independent implementation, at each length and split. */
static void
test_blake2s_lengths(void)
{
	uint8_t	 data[400], key[B2S_LEN], want[B2S_LEN], got[B2S_LEN];
	size_t	 i, keylen, split;

	arc4random_buf(data, sizeof(data));
	arc4random_buf(key, sizeof(key));
	for (i = 0; i <= sizeof(data); i++) {
		if (EVP_Digest(data, i, want, NULL, EVP_blake2s256(),
		    NULL) != 1)
			errx(1, "EVP_Digest");
		split = i == 0 ? 0 : arc4random_uniform(i);
		(void)b2s_hash(got, data, split, data + split, i - split);
		if (memcmp(got, want, B2S_LEN) != 0)
			errx(1, "BLAKE2s of %zu bytes differs", i);
		keylen = 1 + i % B2S_LEN;
		ossl_mac(want, key, keylen, data, i);
		(void)b2s_mac(got, key, keylen, data, i);
		if (memcmp(got, want, B2S_MAC_LEN) != 0)
			errx(1, "MAC of %zu bytes, key of %zu", i, keylen);
	}
}

/* HKDF, RFC 5869, over the library's HMAC: outputs and inputs of all kinds. */
static void
test_blake2s_kdf(void)
{
	uint8_t		 salt[B2S_LEN], in[100], prk[B2S_LEN], t[B2S_LEN + 1];
	uint8_t		 got[3 * B2S_LEN];
	unsigned int	 i, len, tlen;

	arc4random_buf(salt, sizeof(salt));
	arc4random_buf(in, sizeof(in));
	for (len = 0; len <= sizeof(in); len++) {
		(void)b2s_kdf(salt, in, len, got, 3);
		if (HMAC(EVP_blake2s256(), salt, sizeof(salt), in, len, prk,
		    NULL) == NULL)
			errx(1, "HMAC");
		for (i = 0, tlen = 0; i < 3; i++, tlen = B2S_LEN) {
			t[tlen] = i + 1;
			if (HMAC(EVP_blake2s256(), prk, sizeof(prk), t,
			    tlen + 1, t, NULL) == NULL)
				errx(1, "HMAC");
			if (memcmp(t, got + i * B2S_LEN, B2S_LEN) != 0)
				errx(1, "KDF of %u bytes, output %u", len, i);
		}
	}
}

/* Against an independent implementation, at each length, both ways. */
static void
test_aead(void)
{
	struct aead	*seal, *open;
	uint8_t		 key[AEAD_KEY_LEN], tag[AEAD_TAG_LEN];
	uint8_t		 nonce[AEAD_NONCE_LEN];
	uint8_t		 plain[LEN_MAX], back[LEN_MAX];
	uint8_t		 mine[LEN_MAX];
	uint8_t		 other[LEN_MAX + AEAD_TAG_LEN];
	size_t		 len;

	randombytes_buf(key, sizeof(key));
	randombytes_buf(plain, sizeof(plain));
	seal = aead_new(key, 1);
	open = aead_new(key, 0);
	if (seal == NULL || open == NULL)
		err(1, "aead_new");
	for (len = 0; len <= LEN_MAX; len++) {
		randombytes_buf(nonce, sizeof(nonce));
		(void)crypto_aead_chacha20poly1305_ietf_encrypt(other, NULL,
		    plain, len, NULL, 0, NULL, nonce, key);
		if (aead_seal(seal, nonce, plain, len, mine, tag) == -1 ||
		    memcmp(mine, other, len) != 0 ||
		    memcmp(tag, other + len, sizeof(tag)) != 0)
			errx(1, "sealed %zu bytes", len);
		memcpy(back, mine, len);
		tag[len % sizeof(tag)] ^= 0x80;
		if (aead_open(open, nonce, back, len, tag, back) == 0)
			errx(1, "changed tag, %zu bytes", len);
		tag[len % sizeof(tag)] ^= 0x80;
		memcpy(back, mine, len);
		if (aead_open(open, nonce, back, len, tag, back) == -1 ||
		    memcmp(back, plain, len) != 0)
			errx(1, "opened %zu bytes in place", len);
	}
	aead_free(seal);
	aead_free(open);
}

static void
test_transport(void)
{
	static uint8_t	 pkt[70000], plain[70000];
	struct wg_key	*seal, *open;
	uint8_t		 key[WG_KEY_LEN] = { 1 };
	ssize_t		 n;

	seal = wg_key_new(key, 1);
	open = wg_key_new(key, 0);
	if (seal == NULL || open == NULL)
		err(1, "wg_key_new");
	if (wg_seal(seal, pkt, plain, WG_MAX_PLAIN + 1, 1, 0) != -1 ||
	    errno != EMSGSIZE)
		errx(1, "too long to seal");
	if (wg_seal(seal, pkt, plain, 16, 1, WG_REJECT_AFTER_MESSAGES) != -1 ||
	    errno != ESTALE)
		errx(1, "counter at its limit");
	n = wg_seal(seal, pkt, plain, WG_MAX_PLAIN, 0xa1b2c3d4,
	    WG_REJECT_AFTER_MESSAGES - 1);
	if (n != WG_MAX_PLAIN + WG_TRANSPORT_OVERHEAD ||
	    wg_classify(pkt, n) != WG_MSG_TRANSPORT ||
	    wg_receiver(pkt) != 0xa1b2c3d4 ||
	    wg_counter(pkt) != WG_REJECT_AFTER_MESSAGES - 1)
		errx(1, "longest packet");
	pkt[n - 1] ^= 1;
	if (wg_open(open, pkt, n, pkt + WG_TRANSPORT_HDR_LEN) != -1)
		errx(1, "changed packet opened");
	/* The key is still good after what did not open. */
	n = wg_seal(seal, pkt, plain, 32, 5, 0);
	if (wg_open(open, pkt, n, plain + 100) != 32)
		errx(1, "open elsewhere");
	if (wg_open(open, pkt, WG_TRANSPORT_OVERHEAD - 1, plain) != -1)
		errx(1, "short packet opened");
	wg_key_free(seal);
	wg_key_free(open);
	wg_key_free(NULL);
}

static void
test_timestamps(void)
{
	uint8_t		 ts[WG_TIMESTAMP_LEN], last[WG_TIMESTAMP_LEN];
	unsigned int	 i;

	wg_tai64n(1700000000ULL * 1000000000ULL, ts);
	want("TAI64N", ts, "400000006553f10a00000000");
	wg_tai64n(1700000000ULL * 1000000000ULL + 999999999, ts);
	want("low bits cleared", ts, "400000006553f10a3b000000");

	/* From one on, a clock that stands still: it must always grow. */
	for (i = 0; i < 200; i++) {
		memcpy(last, ts, sizeof(last));
		wg_tai64n(1700000000ULL * 1000000000ULL, ts);
		wg_tai64n_after(last, ts);
		if (memcmp(ts, last, sizeof(ts)) <= 0 ||
		    be32dec(ts + 8) >= 1000000000 ||
		    (be32dec(ts + 8) & 0xffffff) != 0)
			errx(1, "timestamp %u does not grow well", i);
	}
	wg_tai64n(1800000000ULL * 1000000000ULL, ts);
	memcpy(last, ts, sizeof(last));
	wg_tai64n(1900000000ULL * 1000000000ULL, ts);
	wg_tai64n_after(last, ts);
	want("later already", ts, "40000000713fb30a00000000");
}

static void
test_padding(void)
{
	static const struct {
		size_t	 len, mtu, padded;
	} t[] = {
		{ 0, 1280, 0 },		{ 1, 1280, 16 },
		{ 16, 1280, 16 },	{ 17, 1280, 32 },
		{ 1279, 1280, 1280 },	{ 1280, 1280, 1280 },
		{ 1419, 1420, 1420 },	{ 1420, 1420, 1420 },
		{ 1281, 1280, 1296 },	{ 2559, 1280, 2560 },
		{ 2560, 1280, 2560 },	{ 33, 0, 48 },
		{ 20, 20, 20 },		{ 1500, 1420, 1500 }
	};
	size_t	 i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (wg_pad(t[i].len, t[i].mtu) != t[i].padded)
			errx(1, "%zu bytes at MTU %zu: padded to %zu",
			    t[i].len, t[i].mtu, wg_pad(t[i].len, t[i].mtu));
}

/* The handshake and records of control.md, 2.8. */
static void
test_noise(void)
{
	static const char	*init = "0091010060"
	    "493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d";
	struct noise_record	*nr;
	uint8_t			 c2s[NOISE_KEY_LEN], frame[64];

	(void)sodium_hex2bin(frame, sizeof(frame), init, strlen(init), NULL,
	    NULL, NULL);
	if (noise_initiation_check(frame, 37, 0) != NULL ||
	    noise_initiation_version(frame) != 145)
		errx(1, "head of an initiation");
	(void)sodium_hex2bin(c2s, sizeof(c2s), "374bb00e9e537fb1a986d085669f"
	    "6777d08d732fedec398d35c1138312211e85", 64, NULL, NULL, NULL);
	if ((nr = noise_record_new(c2s, 0, 1)) == NULL ||
	    noise_seal(nr, (const uint8_t *)"hello", 5, frame) != 24)
		errx(1, "record");
	want("record 0", frame,
	    "04001542aa68a7e2aad16e1bdbaef49320d33e5885697650");
	noise_record_free(nr);
	if ((nr = noise_record_new(c2s, 256, 1)) == NULL ||
	    noise_seal(nr, NULL, 0, frame) != 19)
		errx(1, "record");
	want("record 256", frame, "040010077f1cd5aa10ccd2dae1254a3a11f4bf");
	if (noise_seal(nr, frame, NOISE_PLAIN_MAX + 1, frame) != -1 ||
	    errno != EMSGSIZE)
		errx(1, "record too long");
	noise_record_free(nr);
	noise_record_free(NULL);
}

int
main(void)
{
	if (sodium_init() == -1)
		errx(1, "sodium_init");
	test_blake2s();
	test_blake2s_lengths();
	test_blake2s_kdf();
	test_aead();
	test_transport();
	test_timestamps();
	test_padding();
	test_noise();
	return 0;
}
