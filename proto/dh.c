/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * X25519 of several pairs at once: which implementation, and the portable
 * one.
 */

#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "dh_int.h"
#include "keys.h"
#include "simd.h"

static const struct dh_kernel	*kernel;

static const uint8_t	 base_point[DH_LEN] = { 9 };

static void
one(struct dh_job *j)
{
	int	 ret;

	if (j->dj_public == NULL)
		ret = crypto_scalarmult_base(j->dj_shared, j->dj_private);
	else
		ret = crypto_scalarmult(j->dj_shared, j->dj_private,
		    j->dj_public);
	j->dj_good = ret == 0;
}

static void
round_of(const struct dh_kernel *k, struct dh_job *j, size_t n)
{
	struct dh_job	 full[DH_LANES];
	size_t		 i;

	memcpy(full, j, n * sizeof(*j));
	for (i = 0; i < n; i++) {
		if (full[i].dj_public == NULL)
			full[i].dj_public = base_point;
		j[i].dj_good = 1;
	}
	k->dk_ladder(full, n);
}

/* A result of zero says that the point was of low order. */
static void
check_order(struct dh_job *j)
{
	if (j->dj_good && !key_is_zero(j->dj_shared, DH_LEN))
		return;
	j->dj_good = 0;
	explicit_bzero(j->dj_shared, DH_LEN);
}

/* Random keys, and the base point among them. */
static int
agrees(const struct dh_kernel *k)
{
	struct dh_job	 a[DH_LANES], b;
	uint8_t		 private[DH_LANES][DH_LEN];
	uint8_t		 public[DH_LANES][DH_LEN];
	uint8_t		 out[DH_LANES][DH_LEN], want[DH_LEN];
	size_t		 i;
	int		 good = 1;

	randombytes_buf(private, sizeof(private));
	randombytes_buf(public, sizeof(public));
	for (i = 0; i < DH_LANES; i++) {
		a[i].dj_private = private[i];
		a[i].dj_public = i == 3 ? NULL : public[i];
		a[i].dj_shared = out[i];
	}
	round_of(k, a, DH_LANES);
	for (i = 0; i < DH_LANES; i++) {
		b = a[i];
		b.dj_shared = want;
		one(&b);
		good &= memcmp(want, out[i], DH_LEN) == 0;
	}
	return good;
}

const char *
dh_init(const char *avoid)
{
	const struct dh_kernel	*k = &dh_avx512;

	kernel = NULL;
	if (!simd_named(avoid, k->dk_name) && k->dk_usable() && agrees(k))
		kernel = k;
	return kernel == NULL ? "none" : kernel->dk_name;
}

void
dh_many(struct dh_job *j, size_t n)
{
	size_t	 i, m;

	for (; n > 0; j += m, n -= m) {
		m = n < DH_LANES ? n : DH_LANES;
		if (kernel != NULL && m > 1)
			round_of(kernel, j, m);
		else
			for (i = 0; i < m; i++)
				one(&j[i]);
		for (i = 0; i < m; i++)
			check_order(&j[i]);
	}
}
