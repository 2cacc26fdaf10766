/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * X25519 of several pairs at once against libsodium's: the vectors of RFC
 * 7748, random keys, points at the edges of the field, of low order, every
 * number of jobs.
 */

#include <sys/types.h>

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "dh.h"
#include "keys.h"

#define MANY	20
#define ROUNDS	40

static const char	*name;
static uint64_t		 state = 88172645463325252ULL;

static uint64_t
rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void
hex(const char *text, uint8_t *out)
{
	if (sodium_hex2bin(out, DH_LEN, text, strlen(text), NULL, NULL,
	    NULL) == -1)
		errx(1, "hex");
}

/* RFC 7748, 5.2: two single ones; 6.1: both public keys and the secret. */
static const struct {
	const char	*k, *u, *out;
} rfc[] = {
	{ "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
	  "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
	  "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552" },
	{ "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
	  "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
	  "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957" },
	{ "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
	  NULL,
	  "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a" },
	{ "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
	  "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
	  "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742" }
};
#define NRFC	(sizeof(rfc) / sizeof(rfc[0]))

static void
rfc_vectors(void)
{
	struct dh_job	 j[NRFC];
	uint8_t		 k[NRFC][DH_LEN], u[NRFC][DH_LEN];
	uint8_t		 out[NRFC][DH_LEN], want[DH_LEN];
	size_t		 i;

	for (i = 0; i < NRFC; i++) {
		hex(rfc[i].k, k[i]);
		if (rfc[i].u != NULL)
			hex(rfc[i].u, u[i]);
		j[i].dj_private = k[i];
		j[i].dj_public = rfc[i].u == NULL ? NULL : u[i];
		j[i].dj_shared = out[i];
	}
	dh_many(j, NRFC);
	for (i = 0; i < NRFC; i++) {
		hex(rfc[i].out, want);
		if (!j[i].dj_good || memcmp(out[i], want, DH_LEN) != 0)
			errx(1, "%s: vector %zu of RFC 7748", name, i);
	}
}

/* RFC 7748, 5.2: a thousand times its own input, in every lane. */
static void
rfc_iterated(void)
{
	struct dh_job	 j[8];
	uint8_t		 k[8][DH_LEN], u[8][DH_LEN], out[8][DH_LEN];
	uint8_t		 want[DH_LEN];
	int		 i, n;

	memset(k, 0, sizeof(k));
	for (i = 0; i < 8; i++) {
		k[i][0] = 9;
		memcpy(u[i], k[i], DH_LEN);
		j[i].dj_private = k[i];
		j[i].dj_public = u[i];
		j[i].dj_shared = out[i];
	}
	for (n = 0; n < 1000; n++) {
		dh_many(j, 8);
		memcpy(u, k, sizeof(u));
		memcpy(k, out, sizeof(k));
	}
	hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
	    want);
	for (i = 0; i < 8; i++)
		if (memcmp(k[i], want, DH_LEN) != 0)
			errx(1, "%s: lane %d after a thousand rounds", name, i);
}

/* Random, all ones, near the modulus with and without bit 255, small. */
static void
point(uint8_t *u)
{
	size_t	 i;

	for (i = 0; i < DH_LEN; i++)
		u[i] = (uint8_t)rnd();
	switch (rnd() % 5) {
	case 0:
		memset(u, 0xff, DH_LEN);
		u[0] = (uint8_t)(0xff - rnd() % 32);
		u[31] = rnd() % 2 ? 0xff : 0x7f;
		break;
	case 1:
		memset(u, 0, DH_LEN);
		u[0] = (uint8_t)(rnd() % 4);	/* 0, 1: of low order */
		break;
	case 2:
		for (i = 0; i < DH_LEN; i++)
			u[i] = rnd() % 4 == 0 ? u[i] : 0xff;
		break;
	default:
		break;
	}
}

static void
against_sodium(size_t n)
{
	struct dh_job	 j[MANY];
	uint8_t		 k[MANY][DH_LEN], u[MANY][DH_LEN], out[MANY][DH_LEN];
	uint8_t		 want[DH_LEN];
	size_t		 i, b;
	int		 good;

	for (i = 0; i < n; i++) {
		for (b = 0; b < DH_LEN; b++)
			k[i][b] = rnd() % 8 == 0 ? 0xff : (uint8_t)rnd();
		point(u[i]);
		j[i].dj_private = k[i];
		j[i].dj_public = rnd() % 6 == 0 ? NULL : u[i];
		j[i].dj_shared = out[i];
	}
	dh_many(j, n);
	for (i = 0; i < n; i++) {
		good = 1;
		if (j[i].dj_public == NULL)
			key_public(k[i], want);
		else
			good = key_dh(k[i], u[i], want) == 0;
		if (good != j[i].dj_good ||
		    memcmp(out[i], want, DH_LEN) != 0)
			errx(1, "%s: job %zu of %zu", name, i, n);
	}
}

static void
all(void)
{
	size_t	 i, n;

	rfc_vectors();
	rfc_iterated();
	for (i = 0; i < ROUNDS; i++)
		for (n = 0; n <= MANY; n++)
			against_sodium(n);
}

int
main(void)
{
	if (sodium_init() == -1)
		errx(1, "sodium_init");
	name = dh_init("avx512");
	if (strcmp(name, "none") != 0)
		errx(1, "what was to be avoided is used");
	all();
	name = dh_init(NULL);
	if (strcmp(name, "none") == 0)
		printf("no kernel runs on this processor\n");
	else
		all();
	return 0;
}
