/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Many packets at once: every length, any mix of keys and lengths, against
 * EVP; tags that do not fit; the RFC's own case.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "aead.h"
#include "chapoly.h"
#include "chapoly_int.h"

#define MAXLEN	1501
#define MAXJOBS	130

static uint8_t	 plain[MAXJOBS][MAXLEN + 16];
static uint8_t	 buf[MAXJOBS][MAXLEN + 16];
static uint8_t	 keys[4][32];
static const char *name;

static uint32_t
rnd(void)
{
	static uint64_t	 x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

static void
prepare(struct chapoly_job *j, size_t n, size_t len, int vary)
{
	size_t	 i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < sizeof(plain[i]); k++)
			plain[i][k] = (uint8_t)rnd();
		memcpy(buf[i], plain[i], sizeof(buf[i]));
		j[i].cj_key = keys[vary ? rnd() % 4 : 0];
		j[i].cj_data = buf[i];
		j[i].cj_len = vary ? rnd() % (MAXLEN - 1) : len;
		j[i].cj_tag = buf[i] + j[i].cj_len;
		j[i].cj_counter = (uint64_t)rnd() << 20 | i;
		j[i].cj_good = -1;
	}
}

/* Sealed as EVP seals it, and nothing beyond the tag touched. */
static void
check_sealed(const struct chapoly_job *j, const uint8_t *p,
    const uint8_t *got)
{
	uint8_t		 want[MAXLEN + 16], nonce[12] = { 0 };
	struct aead	*a;

	if ((a = aead_new(j->cj_key, 1)) == NULL)
		err(1, "aead_new");
	le64enc(nonce + 4, j->cj_counter);
	memcpy(want, p, sizeof(want));
	if (aead_seal(a, nonce, p, j->cj_len, want, want + j->cj_len) == -1)
		errx(1, "aead_seal");
	if (memcmp(want, got, sizeof(want)) != 0)
		errx(1, "%s: length %zu differs from EVP", name, j->cj_len);
	aead_free(a);
}

static void
round_trip(size_t n, size_t len, int vary)
{
	struct chapoly_job	 j[MAXJOBS];
	size_t			 i, bad, bit;

	prepare(j, n, len, vary);
	chapoly_seal(j, n);
	for (i = 0; i < n; i++)
		check_sealed(&j[i], plain[i], buf[i]);
	/* One of them is damaged: it alone must be refused, and kept. */
	bad = rnd() % n;
	bit = rnd() % (8 * (j[bad].cj_len + 16));
	buf[bad][bit / 8] ^= (uint8_t)(1 << bit % 8);
	memcpy(plain[bad], buf[bad], sizeof(buf[bad]));
	chapoly_open(j, n);
	for (i = 0; i < n; i++) {
		if (j[i].cj_good != (i != bad))
			errx(1, "%s: %zu of %zu, length %zu: good %d", name,
			    i, n, j[i].cj_len, j[i].cj_good);
		if (memcmp(buf[i], plain[i], j[i].cj_len) != 0)
			errx(1, "%s: length %zu opened wrong", name,
			    j[i].cj_len);
	}
}

static void
all_lengths(void)
{
	size_t	 len;

	for (len = 0; len < MAXLEN - 1; len++)
		round_trip(1 + len % 19, len, 0);
	for (len = 0; len < 300; len++)
		round_trip(1 + rnd() % MAXJOBS, 0, 1);
}

/* Poly1305 of OpenSSL, for what cm_data becomes in an AEAD. */
static void
openssl_mac(const struct chapoly_mac *m, uint8_t *tag)
{
	uint8_t		 b[256] = { 0 };
	EVP_MAC		*mac;
	EVP_MAC_CTX	*c;
	size_t		 len = (m->cm_len + 15) / 16 * 16;

	memcpy(b, m->cm_data, m->cm_len);
	le64enc(b + len + 8, m->cm_len);
	if ((mac = EVP_MAC_fetch(NULL, "POLY1305", NULL)) == NULL ||
	    (c = EVP_MAC_CTX_new(mac)) == NULL ||
	    EVP_MAC_init(c, m->cm_key, 32, NULL) != 1 ||
	    EVP_MAC_update(c, b, len + 16) != 1 ||
	    EVP_MAC_final(c, tag, &len, 16) != 1)
		errx(1, "EVP_MAC");
	EVP_MAC_CTX_free(c);
	EVP_MAC_free(mac);
}

/* Keys and messages of ones are what is hard to carry. */
static void
poly_agrees(const struct chapoly_kernel *k)
{
	struct chapoly_mac	 m[9];
	uint8_t			 key[9][32], data[9][200], want[16];
	size_t			 i, n;

	for (n = 0; n < 2000; n++) {
		for (i = 0; i < 9; i++) {
			memset(key[i], rnd() % 3 ? 0xff : (int)(rnd() & 0xff),
			    sizeof(key[i]));
			memset(data[i], rnd() % 3 ? 0xff :
			    (int)(rnd() & 0xff), sizeof(data[i]));
			key[i][rnd() % 32] = (uint8_t)rnd();
			data[i][rnd() % 200] = (uint8_t)rnd();
			m[i].cm_key = key[i];
			m[i].cm_data = data[i];
			m[i].cm_len = rnd() % 201;
		}
		k->ck_poly(m, 9);
		for (i = 0; i < 9; i++) {
			openssl_mac(&m[i], want);
			if (memcmp(m[i].cm_tag, want, 16) != 0)
				errx(1, "%s: tag of length %zu", name,
				    m[i].cm_len);
		}
	}
}

int
main(void)
{
	size_t	 i, k;

	for (i = 0; i < 4; i++)
		for (k = 0; k < 32; k++)
			keys[i][k] = (uint8_t)rnd();
	if (strcmp(chapoly_init("avx512"), "none") != 0 ||
	    chapoly_min() != SIZE_MAX)
		errx(1, "what was to be avoided is used");
	name = chapoly_init(NULL);
	if (strcmp(name, "none") == 0) {
		printf("no kernel runs on this processor\n");
		return 77;
	}
	if (chapoly_min() == SIZE_MAX)
		errx(1, "%s is never used", name);
	poly_agrees(&chapoly_avx512);
	all_lengths();
	return 0;
}
