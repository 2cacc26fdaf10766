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
#define LANES		256		/* collected before they are run */

/* Blocks that wait for enough others. */
struct lanes {
	struct chapoly_lane	 ls_lane[LANES];
	size_t			 ls_n;
};

static const struct chapoly_kernel *const kernels[] = {
	&chapoly_avx512
};
static const struct chapoly_kernel	*kernel;

static int	 self_test(const struct chapoly_kernel *);
static int	 self_test_len(size_t, uint8_t);
static void	 lane_add(struct lanes *, const struct chapoly_job *,
		    uint8_t *, size_t, uint32_t);
static void	 lanes_flush(struct lanes *);
static void	 add_data(struct lanes *, const struct chapoly_job *);
static void	 add_keys(struct lanes *, const struct chapoly_job *,
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

static void
lanes_flush(struct lanes *ls)
{
	kernel->ck_chacha(ls->ls_lane, ls->ls_n);
	ls->ls_n = 0;
}

static void
lane_add(struct lanes *ls, const struct chapoly_job *j, uint8_t *data,
    size_t len, uint32_t block)
{
	struct chapoly_lane	*l;

	if (ls->ls_n == LANES)
		lanes_flush(ls);
	l = &ls->ls_lane[ls->ls_n++];
	l->cl_key = j->cj_key;
	l->cl_data = data;
	l->cl_counter = j->cj_counter;
	l->cl_block = block;
	l->cl_len = (uint32_t)(len < BLOCK ? len : BLOCK);
}

static void
add_data(struct lanes *ls, const struct chapoly_job *j)
{
	uint32_t	 block = 1;
	size_t		 off;

	for (off = 0; off < j->cj_len; off += BLOCK)
		lane_add(ls, j, j->cj_data + off, j->cj_len - off, block++);
}

/* Block 0 of each packet is the key of its tag. */
static void
add_keys(struct lanes *ls, const struct chapoly_job *j,
    uint8_t (*key)[BLOCK], size_t n)
{
	size_t	 i;

	memset(key, 0, n * sizeof(*key));
	for (i = 0; i < n; i++)
		lane_add(ls, &j[i], key[i], BLOCK, 0);
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
	struct lanes		 ls;
	uint8_t			 key[JOBS][BLOCK];
	size_t			 i;

	ls.ls_n = 0;
	add_keys(&ls, j, key, n);
	for (i = 0; i < n; i++)
		add_data(&ls, &j[i]);
	lanes_flush(&ls);
	macs(m, j, key, n);
	for (i = 0; i < n; i++)
		memcpy(j[i].cj_tag, m[i].cm_tag, CHAPOLY_TAG_LEN);
	explicit_bzero(key, n * sizeof(key[0]));
}

static void
open_round(struct chapoly_job *j, size_t n)
{
	struct chapoly_mac	 m[JOBS];
	struct lanes		 ls;
	uint8_t			 key[JOBS][BLOCK];
	size_t			 i;

	ls.ls_n = 0;
	add_keys(&ls, j, key, n);
	lanes_flush(&ls);
	macs(m, j, key, n);
	for (i = 0; i < n; i++) {
		j[i].cj_good = CRYPTO_memcmp(j[i].cj_tag, m[i].cm_tag,
		    CHAPOLY_TAG_LEN) == 0;
		if (j[i].cj_good)
			add_data(&ls, &j[i]);
	}
	if (ls.ls_n > 0)
		lanes_flush(&ls);
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
