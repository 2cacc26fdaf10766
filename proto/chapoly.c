/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ChaCha20-Poly1305 of many packets at once: which kernel, and what it gets.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <stdint.h>
#include <string.h>

#include <openssl/crypto.h>

#include "aead.h"
#include "chapoly.h"
#include "chapoly_int.h"
#include "simd.h"

#define BLOCK		64
#define JOBS		64		/* of one round */

static const struct chapoly_kernel *const kernels[] = {
	&chapoly_avx512
};
static const struct chapoly_kernel	*kernel;

static int	 self_test(const struct chapoly_kernel *);
static int	 self_test_len(size_t, uint8_t);
static size_t	 add_data(struct chapoly_run *, const struct chapoly_job *);
static size_t	 add_keys(struct chapoly_run *, const struct chapoly_job *,
		    uint8_t (*)[BLOCK], size_t);
static void	 macs(struct chapoly_mac *, const struct chapoly_job *,
		    uint8_t (*)[BLOCK], size_t);
static void	 seal_round(struct chapoly_job *, size_t);
static void	 open_round(struct chapoly_job *, size_t);

const char *
chapoly_init(const char *avoid)
{
	size_t	 i;

	kernel = NULL;
	for (i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		if (!simd_named(avoid, kernels[i]->ck_name) &&
		    kernels[i]->ck_usable() && self_test(kernels[i]) == 0)
			break;
	if (i < sizeof(kernels) / sizeof(kernels[0]))
		kernel = kernels[i];
	return kernel == NULL ? "none" : kernel->ck_name;
}

size_t
chapoly_min(void)
{
	return kernel == NULL ? SIZE_MAX : kernel->ck_min;
}

/* Seal packets around this length, and compare with the portable way. */
static int
self_test_len(size_t len, uint8_t seed)
{
	struct chapoly_job	 job[5];
	struct aead		*a;
	uint8_t			 key[32], nonce[12] = { 0 };
	uint8_t			 got[5][320], want[320], tag[5][16];
	uint8_t			 wanted[16];
	size_t			 i;
	int			 bad = 0;

	memset(key, seed, sizeof(key));
	if ((a = aead_new(key, 1)) == NULL)
		return -1;
	for (i = 0; i < 5; i++) {
		memset(got[i], (int)(seed + i), sizeof(got[i]));
		job[i] = (struct chapoly_job){ .cj_key = key,
		    .cj_data = got[i], .cj_len = len + i, .cj_tag = tag[i],
		    .cj_counter = ((uint64_t)seed << 32) + i };
	}
	chapoly_seal(job, 5);
	for (i = 0; i < 5 && !bad; i++) {
		memset(want, (int)(seed + i), sizeof(want));
		le64enc(nonce + 4, job[i].cj_counter);
		bad = aead_seal(a, nonce, want, len + i, want, wanted) ==
		    -1 || memcmp(want, got[i], sizeof(want)) != 0 ||
		    memcmp(wanted, tag[i], sizeof(wanted)) != 0;
	}
	if (!bad)
		chapoly_open(job, 5);
	for (i = 0; i < 5 && !bad; i++)
		bad = !job[i].cj_good || got[i][0] != (uint8_t)(seed + i);
	aead_free(a);
	return bad ? -1 : 0;
}

/* A processor or compiler that gets it wrong must not be used. */
static int
self_test(const struct chapoly_kernel *k)
{
	size_t	 len;

	kernel = k;
	for (len = 1; len < 300; len += 37)
		if (self_test_len(len, (uint8_t)len) == -1)
			return -1;
	return 0;
}

/* How many runs that makes. */
static size_t
add_data(struct chapoly_run *r, const struct chapoly_job *j)
{
	*r = (struct chapoly_run){ .cr_key = j->cj_key,
	    .cr_data = j->cj_data, .cr_len = j->cj_len,
	    .cr_counter = j->cj_counter, .cr_block = 1 };
	return j->cj_len != 0;
}

/* Block 0 of each packet is the key of its tag. */
static size_t
add_keys(struct chapoly_run *r, const struct chapoly_job *j,
    uint8_t (*key)[BLOCK], size_t n)
{
	size_t	 i;

	memset(key, 0, n * sizeof(*key));
	for (i = 0; i < n; i++)
		r[i] = (struct chapoly_run){ .cr_key = j[i].cj_key,
		    .cr_data = key[i], .cr_len = BLOCK,
		    .cr_counter = j[i].cj_counter };
	return n;
}

static void
macs(struct chapoly_mac *m, const struct chapoly_job *j,
    uint8_t (*key)[BLOCK], size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++) {
		m[i].cm_key = key[i];
		m[i].cm_data = j[i].cj_data;
		m[i].cm_len = j[i].cj_len;
	}
	kernel->ck_poly(m, n);
}

static void
seal_round(struct chapoly_job *j, size_t n)
{
	struct chapoly_mac	 m[JOBS];
	struct chapoly_run	 r[2 * JOBS];
	uint8_t			 key[JOBS][BLOCK];
	size_t			 i, k;

	k = add_keys(r, j, key, n);
	for (i = 0; i < n; i++)
		k += add_data(&r[k], &j[i]);
	kernel->ck_chacha(r, k);
	macs(m, j, key, n);
	for (i = 0; i < n; i++)
		memcpy(j[i].cj_tag, m[i].cm_tag, CHAPOLY_TAG_LEN);
	explicit_bzero(key, n * sizeof(key[0]));
}

static void
open_round(struct chapoly_job *j, size_t n)
{
	struct chapoly_mac	 m[JOBS];
	struct chapoly_run	 r[JOBS];
	uint8_t			 key[JOBS][BLOCK];
	size_t			 i, k = 0;

	kernel->ck_chacha(r, add_keys(r, j, key, n));
	macs(m, j, key, n);
	for (i = 0; i < n; i++) {
		j[i].cj_good = CRYPTO_memcmp(j[i].cj_tag, m[i].cm_tag,
		    CHAPOLY_TAG_LEN) == 0;
		if (j[i].cj_good)
			k += add_data(&r[k], &j[i]);
	}
	kernel->ck_chacha(r, k);
	explicit_bzero(key, n * sizeof(key[0]));
	explicit_bzero(m, n * sizeof(m[0]));
}

void
chapoly_seal(struct chapoly_job *j, size_t n)
{
	for (; n > JOBS; j += JOBS, n -= JOBS)
		seal_round(j, JOBS);
	if (n > 0)
		seal_round(j, n);
}

void
chapoly_open(struct chapoly_job *j, size_t n)
{
	for (; n > JOBS; j += JOBS, n -= JOBS)
		open_round(j, JOBS);
	if (n > 0)
		open_round(j, n);
}
