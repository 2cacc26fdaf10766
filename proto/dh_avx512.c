/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * X25519 in 8 lanes, with AVX-512 and its multiply-add of 52-bit integers.
 * A field element is five limbs of 51 bits; what follows says for each
 * function how large they may be.  Neither branches nor addresses depend
 * on a key.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <stdint.h>
#include <string.h>

#include "dh_int.h"
#include "simd.h"

#ifdef __x86_64__

#include <immintrin.h>

#define M51	((1ULL << 51) - 1)
#define A24	121665		/* (486662 - 2) / 4 */
#define LIMBS	5

/*
 * As mul() and sqr() leave it, a limb is below 2^51 + 2^14; as add(), sub()
 * leave it, below 2^51 + 2^6. All take either; 52 bits are what the
 * multiplication reads.
 */
struct fe {
	__m512i	 l[LIMBS];
};

/* All that a ladder keeps, in one place to be wiped. */
struct ladder {
	struct fe	 x1, x2, z2, x3, z3;
	struct fe	 a, b, c, d, e, aa, bb;
	uint64_t	 bits[4][DH_LANES];
	uint64_t	 limbs[LIMBS][DH_LANES];
};

/* --- the field ----------------------------------------------------------- */

INLINE __m512i
times19(__m512i x)
{
	return _mm512_add_epi64(x, _mm512_add_epi64(_mm512_slli_epi64(x, 1),
	    _mm512_slli_epi64(x, 4)));
}

/* Any 64-bit limbs: each gives what is above 51 bits to the next. */
INLINE void
carry(struct fe *r, const __m512i *t)
{
	const __m512i	 mask = _mm512_set1_epi64(M51);
	__m512i		 c[LIMBS];
	int		 i;

	UNROLL
	for (i = 0; i < LIMBS; i++)
		c[i] = _mm512_srli_epi64(t[i], 51);
	r->l[0] = _mm512_add_epi64(_mm512_and_si512(t[0], mask),
	    times19(c[4]));
	UNROLL
	for (i = 1; i < LIMBS; i++)
		r->l[i] = _mm512_add_epi64(_mm512_and_si512(t[i], mask),
		    c[i - 1]);
}

INLINE void
add(struct fe *r, const struct fe *a, const struct fe *b)
{
	__m512i	 t[LIMBS];
	int	 i;

	UNROLL
	for (i = 0; i < LIMBS; i++)
		t[i] = _mm512_add_epi64(a->l[i], b->l[i]);
	carry(r, t);
}

/* Twice the modulus is added: no limb goes below zero. */
INLINE void
sub(struct fe *r, const struct fe *a, const struct fe *b)
{
	__m512i	 t[LIMBS];
	int	 i;

	UNROLL
	for (i = 0; i < LIMBS; i++)
		t[i] = _mm512_sub_epi64(_mm512_add_epi64(a->l[i],
		    _mm512_set1_epi64((1LL << 52) - (i == 0 ? 38 : 2))),
		    b->l[i]);
	carry(r, t);
}

/*
 * From the lower and upper halves of the products of limbs i and j, summed
 * at i + j: an upper half counts twice one place up, since places are 51
 * bits apart and halves 52. Sums of up to 5 are below 2^56, times 19 below
 * 2^61.
 */
INLINE void
reduce(struct fe *r, const __m512i *lo, const __m512i *hi)
{
	__m512i	 t[2 * LIMBS], s[LIMBS];
	int	 i;

	t[0] = lo[0];
	UNROLL
	for (i = 1; i < 2 * LIMBS - 1; i++)
		t[i] = _mm512_add_epi64(lo[i],
		    _mm512_slli_epi64(hi[i - 1], 1));
	t[2 * LIMBS - 1] = _mm512_slli_epi64(hi[2 * LIMBS - 2], 1);
	UNROLL
	for (i = 0; i < LIMBS; i++)
		s[i] = _mm512_add_epi64(t[i], times19(t[i + LIMBS]));
	carry(r, s);
}

AVX512 __attribute__((noinline)) static void
mul(struct fe *r, const struct fe *a, const struct fe *b)
{
	__m512i	 lo[2 * LIMBS - 1], hi[2 * LIMBS - 1];
	int	 i, j;

	UNROLL
	for (i = 0; i < 2 * LIMBS - 1; i++)
		lo[i] = hi[i] = _mm512_setzero_si512();
	UNROLL
	for (i = 0; i < LIMBS; i++) {
		UNROLL
		for (j = 0; j < LIMBS; j++) {
			lo[i + j] = _mm512_madd52lo_epu64(lo[i + j],
			    a->l[i], b->l[j]);
			hi[i + j] = _mm512_madd52hi_epu64(hi[i + j],
			    a->l[i], b->l[j]);
		}
	}
	reduce(r, lo, hi);
}

/* Products of two different limbs are there twice. */
AVX512 __attribute__((noinline)) static void
sqr(struct fe *r, const struct fe *a)
{
	__m512i	 lo[2 * LIMBS - 1], hi[2 * LIMBS - 1];
	int	 i, j;

	UNROLL
	for (i = 0; i < 2 * LIMBS - 1; i++)
		lo[i] = hi[i] = _mm512_setzero_si512();
	UNROLL
	for (i = 0; i < LIMBS; i++) {
		UNROLL
		for (j = i + 1; j < LIMBS; j++) {
			lo[i + j] = _mm512_madd52lo_epu64(lo[i + j],
			    a->l[i], a->l[j]);
			hi[i + j] = _mm512_madd52hi_epu64(hi[i + j],
			    a->l[i], a->l[j]);
		}
	}
	UNROLL
	for (i = 1; i < 2 * LIMBS - 2; i++) {
		lo[i] = _mm512_slli_epi64(lo[i], 1);
		hi[i] = _mm512_slli_epi64(hi[i], 1);
	}
	UNROLL
	for (i = 0; i < LIMBS; i++) {
		lo[2 * i] = _mm512_madd52lo_epu64(lo[2 * i], a->l[i],
		    a->l[i]);
		hi[2 * i] = _mm512_madd52hi_epu64(hi[2 * i], a->l[i],
		    a->l[i]);
	}
	reduce(r, lo, hi);
}

/* a + A24 * b */
INLINE void
add_a24(struct fe *r, const struct fe *a, const struct fe *b)
{
	const __m512i	 k = _mm512_set1_epi64(A24);
	__m512i		 t[LIMBS], hi[LIMBS];
	int		 i;

	UNROLL
	for (i = 0; i < LIMBS; i++) {
		t[i] = _mm512_madd52lo_epu64(a->l[i], b->l[i], k);
		hi[i] = _mm512_slli_epi64(_mm512_madd52hi_epu64(
		    _mm512_setzero_si512(), b->l[i], k), 1);
	}
	t[0] = _mm512_add_epi64(t[0], times19(hi[LIMBS - 1]));
	UNROLL
	for (i = 1; i < LIMBS; i++)
		t[i] = _mm512_add_epi64(t[i], hi[i - 1]);
	carry(r, t);
}

AVX512 static void
sqr_times(struct fe *r, const struct fe *a, int n)
{
	sqr(r, a);
	while (--n > 0)
		sqr(r, r);
}

/* To the power of 2^255 - 21, the usual chain; c, d, e and aa are used up. */
AVX512 static void
invert(struct ladder *l, struct fe *r, const struct fe *z)
{
	struct fe	*t0 = &l->c, *t1 = &l->d, *t2 = &l->e, *t3 = &l->aa;

	sqr(t0, z);
	sqr_times(t1, t0, 2);
	mul(t1, z, t1);			/* 9 */
	mul(t0, t0, t1);		/* 11 */
	sqr(t2, t0);
	mul(t1, t1, t2);		/* 2^5 - 1 */
	sqr_times(t2, t1, 5);
	mul(t1, t2, t1);		/* 2^10 - 1 */
	sqr_times(t2, t1, 10);
	mul(t2, t2, t1);		/* 2^20 - 1 */
	sqr_times(t3, t2, 20);
	mul(t2, t3, t2);		/* 2^40 - 1 */
	sqr_times(t2, t2, 10);
	mul(t1, t2, t1);		/* 2^50 - 1 */
	sqr_times(t2, t1, 50);
	mul(t2, t2, t1);		/* 2^100 - 1 */
	sqr_times(t3, t2, 100);
	mul(t2, t3, t2);		/* 2^200 - 1 */
	sqr_times(t2, t2, 50);
	mul(t1, t2, t1);		/* 2^250 - 1 */
	sqr_times(t1, t1, 5);
	mul(r, t1, t0);
}

/* --- the ladder ---------------------------------------------------------- */

INLINE void
swap_if(__mmask8 m, struct fe *a, struct fe *b)
{
	__m512i	 t;
	int	 i;

	UNROLL
	for (i = 0; i < LIMBS; i++) {
		t = _mm512_mask_blend_epi64(m, a->l[i], b->l[i]);
		b->l[i] = _mm512_mask_blend_epi64(m, b->l[i], a->l[i]);
		a->l[i] = t;
	}
}

AVX512 static void
step(struct ladder *l)
{
	add(&l->a, &l->x2, &l->z2);
	sub(&l->b, &l->x2, &l->z2);
	add(&l->c, &l->x3, &l->z3);
	sub(&l->d, &l->x3, &l->z3);
	mul(&l->c, &l->c, &l->b);		/* CB */
	mul(&l->d, &l->d, &l->a);		/* DA */
	sqr(&l->aa, &l->a);
	sqr(&l->bb, &l->b);
	add(&l->x3, &l->d, &l->c);
	sub(&l->z3, &l->d, &l->c);
	sub(&l->e, &l->aa, &l->bb);
	sqr(&l->x3, &l->x3);
	sqr(&l->z3, &l->z3);
	add_a24(&l->a, &l->aa, &l->e);
	mul(&l->x2, &l->aa, &l->bb);
	mul(&l->z3, &l->z3, &l->x1);
	mul(&l->z2, &l->e, &l->a);
}

AVX512 static void
climb(struct ladder *l)
{
	__m512i		 word;
	__mmask8	 bit, last = 0;
	int		 i, w;

	for (w = 3; w >= 0; w--) {
		word = _mm512_loadu_si512(l->bits[w]);
		for (i = w == 3 ? 62 : 63; i >= 0; i--) {
			bit = _mm512_test_epi64_mask(word,
			    _mm512_set1_epi64((int64_t)(1ULL << i)));
			swap_if(bit ^ last, &l->x2, &l->x3);
			swap_if(bit ^ last, &l->z2, &l->z3);
			last = bit;
			step(l);
		}
	}
	swap_if(last, &l->x2, &l->x3);
	swap_if(last, &l->z2, &l->z3);
}

/* --- bytes --------------------------------------------------------------- */

static void
load_lane(struct ladder *l, int lane, const struct dh_job *j)
{
	const uint8_t	*u = j->dj_public, *k = j->dj_private;
	int		 i;

	l->limbs[0][lane] = le64dec(u) & M51;
	l->limbs[1][lane] = le64dec(u + 6) >> 3 & M51;
	l->limbs[2][lane] = le64dec(u + 12) >> 6 & M51;
	l->limbs[3][lane] = le64dec(u + 19) >> 1 & M51;
	l->limbs[4][lane] = le64dec(u + 24) >> 12 & M51;
	for (i = 0; i < 4; i++)
		l->bits[i][lane] = le64dec(k + 8 * i);
	l->bits[0][lane] &= ~7ULL;
	l->bits[3][lane] &= ~(1ULL << 63);
	l->bits[3][lane] |= 1ULL << 62;
}

/* One after the other, and what is left above into the lowest. */
static void
carry_lane(uint64_t *h)
{
	int	 i;

	for (i = 0; i < LIMBS - 1; i++) {
		h[i + 1] += h[i] >> 51;
		h[i] &= M51;
	}
	h[0] += 19 * (h[4] >> 51);
	h[4] &= M51;
}

/* Below the modulus: the only form that goes out. */
static void
store_lane(const struct ladder *l, int lane, uint8_t *out)
{
	uint64_t	 h[LIMBS], q = 19;
	int		 i;

	for (i = 0; i < LIMBS; i++)
		h[i] = l->limbs[i][lane];
	carry_lane(h);
	carry_lane(h);
	for (i = 0; i < LIMBS; i++)
		q = (h[i] + q) >> 51;	/* 1: at or above it */
	h[0] += 19 * q;
	for (i = 0; i < LIMBS - 1; i++) {
		h[i + 1] += h[i] >> 51;
		h[i] &= M51;
	}
	h[4] &= M51;
	le64enc(out, h[0] | h[1] << 51);
	le64enc(out + 8, h[1] >> 13 | h[2] << 38);
	le64enc(out + 16, h[2] >> 26 | h[3] << 25);
	le64enc(out + 24, h[3] >> 39 | h[4] << 12);
	explicit_bzero(h, sizeof(h));
}

AVX512 static void
ladder(const struct dh_job *j, size_t n)
{
	struct ladder	 l;
	size_t		 i;

	memset(&l, 0, sizeof(l));
	for (i = 0; i < n; i++)
		load_lane(&l, (int)i, &j[i]);
	for (i = 0; i < LIMBS; i++)
		l.x1.l[i] = _mm512_loadu_si512(l.limbs[i]);
	l.x3 = l.x1;
	l.x2.l[0] = l.z3.l[0] = _mm512_set1_epi64(1);
	climb(&l);
	invert(&l, &l.b, &l.z2);
	mul(&l.a, &l.x2, &l.b);
	for (i = 0; i < LIMBS; i++)
		_mm512_storeu_si512(l.limbs[i], l.a.l[i]);
	for (i = 0; i < n; i++)
		store_lane(&l, (int)i, j[i].dj_shared);
	explicit_bzero(&l, sizeof(l));
}

const struct dh_kernel	 dh_avx512 = { "avx512", simd_avx512, ladder };

#else

const struct dh_kernel	 dh_avx512 = { "avx512", simd_avx512, NULL };

#endif /* __x86_64__ */
