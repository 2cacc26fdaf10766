/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ChaCha20 in 16 lanes and Poly1305 in 8, with AVX-512 and its multiply-add
 * of 52-bit integers.  A lane of ChaCha20 is a block of any packet; a lane
 * of Poly1305 is a packet.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <stdint.h>
#include <string.h>

#include "chapoly_int.h"
#include "simd.h"

#ifdef __x86_64__

#include <immintrin.h>

#define LANES	16
#define MACS	8

#define M44	0xfffffffffffULL
#define M42	0x3ffffffffffULL

/* --- ChaCha20 ------------------------------------------------------------ */

#define QR(a, b, c, d) do {						\
	a = _mm512_add_epi32(a, b);					\
	d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 16);		\
	c = _mm512_add_epi32(c, d);					\
	b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 12);		\
	a = _mm512_add_epi32(a, b);					\
	d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 8);		\
	c = _mm512_add_epi32(c, d);					\
	b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 7);		\
} while (0)

/* What the lanes of one pass differ in, and where their stream goes. */
struct pass {
	__m512i	 p_key[8];
	__m512i	 p_block;
	__m512i	 p_lo;			/* counter of the nonce */
	__m512i	 p_hi;
	uint8_t	*p_data[LANES];
	uint8_t	 p_len[LANES];		/* read only if not all are whole */
	size_t	 p_n;
	int	 p_whole;		/* all lanes, with 64 bytes each */
};

/* What is left to do: the first run may be done in part. */
struct work {
	const struct chapoly_run *w_run;
	size_t	 w_n;
	size_t	 w_off;			/* bytes */
};

INLINE __m512i
key_word(const struct chapoly_run *r, size_t i)
{
	return _mm512_set1_epi32((int)le32dec(r->cr_key + 4 * i));
}

/* Where each lane's stream goes: so many, from that byte of the run on. */
INLINE void
pass_places(struct pass *p, const struct chapoly_run *r, size_t off, size_t k)
{
	size_t	 i, left = r->cr_len - off;

	for (i = 0; i < k; i++)
		p->p_data[p->p_n + i] = r->cr_data + off + 64 * i;
	if (left < 64 * k) {
		p->p_whole = 0;
		p->p_len[p->p_n + k - 1] = (uint8_t)(left - 64 * (k - 1));
	}
}

/* As many lanes as there are left of one run, or room for. */
INLINE void
pass_add(struct pass *p, struct work *w, const uint8_t *first)
{
	const __m512i	 iota = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8,
			    9, 10, 11, 12, 13, 14, 15);
	const struct chapoly_run *r = w->w_run;
	size_t		 i, k = (r->cr_len - w->w_off + 63) / 64;
	uint32_t	 block = r->cr_block + (uint32_t)(w->w_off / 64);
	__mmask16	 m;

	if (k > LANES - p->p_n)
		k = LANES - p->p_n;
	m = (__mmask16)(((1U << k) - 1) << p->p_n);
	p->p_block = _mm512_mask_add_epi32(p->p_block, m, iota,
	    _mm512_set1_epi32((int)(block - (uint32_t)p->p_n)));
	p->p_lo = _mm512_mask_set1_epi32(p->p_lo, m, (int)r->cr_counter);
	p->p_hi = _mm512_mask_set1_epi32(p->p_hi, m,
	    (int)(r->cr_counter >> 32));
	if (r->cr_key != first) {
		UNROLL
		for (i = 0; i < 8; i++)
			p->p_key[i] = _mm512_mask_mov_epi32(p->p_key[i], m,
			    key_word(r, i));
	}
	pass_places(p, r, w->w_off, k);
	p->p_n += k;
	w->w_off += 64 * k;
	if (w->w_off >= r->cr_len) {
		w->w_run++;
		w->w_n--;
		w->w_off = 0;
	}
}

INLINE void
pass_fill(struct pass *p, struct work *w)
{
	const uint8_t	*first = w->w_run->cr_key;
	size_t		 i;

	UNROLL
	for (i = 0; i < 8; i++)
		p->p_key[i] = key_word(w->w_run, i);
	p->p_block = p->p_lo = p->p_hi = _mm512_setzero_si512();
	memset(p->p_len, 64, sizeof(p->p_len));
	p->p_n = 0;
	p->p_whole = 1;
	while (w->w_n > 0 && p->p_n < LANES)
		pass_add(p, w, first);
	p->p_whole &= p->p_n == LANES;
}

/* The initial state of each lane, word by word. */
INLINE void
load_state(__m512i *s, const struct pass *p)
{
	static const uint32_t	 sigma[4] = {
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574
	};
	size_t			 i;

	UNROLL
	for (i = 0; i < 4; i++)
		s[i] = _mm512_set1_epi32((int)sigma[i]);
	UNROLL
	for (i = 0; i < 8; i++)
		s[4 + i] = p->p_key[i];
	s[12] = p->p_block;
	s[13] = _mm512_setzero_si512();
	s[14] = p->p_lo;
	s[15] = p->p_hi;
}

/* From 16 words of 16 lanes to 16 lanes of 64 bytes. */
INLINE void
transpose(__m512i *x)
{
	__m512i	 t[16];
	int	 i;

	UNROLL
	for (i = 0; i < 16; i += 2) {
		t[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
	}
	UNROLL
	for (i = 0; i < 16; i += 4) {
		x[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
		x[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
		x[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
		x[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
	}
	UNROLL
	for (i = 0; i < 4; i++) {
		t[i] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0x88);
		t[i + 4] = _mm512_shuffle_i32x4(x[i], x[i + 4], 0xdd);
		t[i + 8] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0x88);
		t[i + 12] = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0xdd);
	}
	UNROLL
	for (i = 0; i < 4; i++) {
		x[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
		x[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
		x[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
		x[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
	}
}

INLINE void
xor_whole(uint8_t *data, __m512i stream)
{
	__m512i	 v = _mm512_loadu_si512(data);

	_mm512_storeu_si512(data, _mm512_xor_si512(v, stream));
}

INLINE void
xor_part(uint8_t *data, size_t len, __m512i stream)
{
	__mmask64	 m = ~(__mmask64)0 >> (64 - len);
	__m512i		 v = _mm512_maskz_loadu_epi8(m, data);

	_mm512_mask_storeu_epi8(data, m, _mm512_xor_si512(v, stream));
}

INLINE void
pass_xor(const struct pass *p, const __m512i *x)
{
	size_t	 i;

	if (p->p_whole) {
		UNROLL
		for (i = 0; i < LANES; i++)
			xor_whole(p->p_data[i], x[i]);
		return;
	}
	UNROLL
	for (i = 0; i < LANES; i++)
		if (i < p->p_n)
			xor_part(p->p_data[i], p->p_len[i], x[i]);
}

INLINE void
chacha16(const struct pass *p)
{
	__m512i	 s[16], x[16];
	size_t	 i;

	load_state(s, p);
	UNROLL
	for (i = 0; i < 16; i++)
		x[i] = s[i];
	for (i = 0; i < 10; i++) {
		QR(x[0], x[4], x[8], x[12]);
		QR(x[1], x[5], x[9], x[13]);
		QR(x[2], x[6], x[10], x[14]);
		QR(x[3], x[7], x[11], x[15]);
		QR(x[0], x[5], x[10], x[15]);
		QR(x[1], x[6], x[11], x[12]);
		QR(x[2], x[7], x[8], x[13]);
		QR(x[3], x[4], x[9], x[14]);
	}
	UNROLL
	for (i = 0; i < 16; i++)
		x[i] = _mm512_add_epi32(x[i], s[i]);
	transpose(x);
	pass_xor(p, x);
}

AVX512 static void
avx512_chacha(const struct chapoly_run *r, size_t n)
{
	struct work	 w = { r, n, 0 };
	struct pass	 p;

	while (w.w_n > 0) {
		pass_fill(&p, &w);
		chacha16(&p);
	}
}

/* --- Poly1305 ------------------------------------------------------------ */

/* 130-bit numbers of 8 lanes, as limbs of 44, 44 and 42 bits. */
struct limbs {
	__m512i	 l0, l1, l2;
};

/* A multiplier, with what wraps around times 20 (2^132 = 4 * 5). */
struct mult {
	struct limbs	 r;
	__m512i		 s1, s2;
};

/* Sums of products: low 52 bits, and what is above. */
struct sums {
	__m512i	 lo0, lo1, lo2;
	__m512i	 hi0, hi1, hi2;
};

#define MADD(d, n, a, b) do {						\
	d->lo##n = _mm512_madd52lo_epu64(d->lo##n, a, b);		\
	d->hi##n = _mm512_madd52hi_epu64(d->hi##n, a, b);		\
} while (0)

INLINE void
mul_add(struct sums *d, const struct limbs *a, const struct mult *m)
{
	MADD(d, 0, a->l0, m->r.l0);
	MADD(d, 1, a->l0, m->r.l1);
	MADD(d, 2, a->l0, m->r.l2);
	MADD(d, 0, a->l1, m->s2);
	MADD(d, 1, a->l1, m->r.l0);
	MADD(d, 2, a->l1, m->r.l1);
	MADD(d, 0, a->l2, m->s1);
	MADD(d, 1, a->l2, m->s2);
	MADD(d, 2, a->l2, m->r.l0);
}

INLINE __m512i
times5(__m512i v)
{
	return _mm512_add_epi64(v, _mm512_slli_epi64(v, 2));
}

/* Carry the sums into limbs: below 2^45, 2^45 and 2^42. */
INLINE struct limbs
carry(const struct sums *d)
{
	const __m512i	 m44 = _mm512_set1_epi64(M44);
	const __m512i	 m42 = _mm512_set1_epi64(M42);
	struct limbs	 h;
	__m512i		 c, t;

	c = _mm512_add_epi64(_mm512_srli_epi64(d->lo0, 44),
	    _mm512_slli_epi64(d->hi0, 8));
	h.l0 = _mm512_and_si512(d->lo0, m44);
	t = _mm512_add_epi64(d->lo1, c);
	c = _mm512_add_epi64(_mm512_srli_epi64(t, 44),
	    _mm512_slli_epi64(d->hi1, 8));
	h.l1 = _mm512_and_si512(t, m44);
	t = _mm512_add_epi64(d->lo2, c);
	c = _mm512_add_epi64(_mm512_srli_epi64(t, 42),
	    _mm512_slli_epi64(d->hi2, 10));
	h.l2 = _mm512_and_si512(t, m42);
	t = _mm512_add_epi64(h.l0, times5(c));
	h.l0 = _mm512_and_si512(t, m44);
	h.l1 = _mm512_add_epi64(h.l1, _mm512_srli_epi64(t, 44));
	return h;
}

INLINE struct limbs
mul(const struct limbs *a, const struct mult *m)
{
	struct sums	 d;

	memset(&d, 0, sizeof(d));
	mul_add(&d, a, m);
	return carry(&d);
}

INLINE struct mult
multiplier(struct limbs r)
{
	const __m512i	 twenty = _mm512_set1_epi64(20);
	struct mult	 m;

	m.r = r;
	m.s1 = _mm512_mullo_epi64(r.l1, twenty);
	m.s2 = _mm512_mullo_epi64(r.l2, twenty);
	return m;
}

/* 8 rows of 8 words to 8 columns. */
INLINE void
transpose8(__m512i *x)
{
	__m512i	 t[8];
	int	 i;

	UNROLL
	for (i = 0; i < 8; i += 2) {
		t[i] = _mm512_unpacklo_epi64(x[i], x[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi64(x[i], x[i + 1]);
	}
	UNROLL
	for (i = 0; i < 2; i++) {
		x[i] = _mm512_shuffle_i64x2(t[i], t[i + 2], 0x88);
		x[i + 2] = _mm512_shuffle_i64x2(t[i], t[i + 2], 0xdd);
		x[i + 4] = _mm512_shuffle_i64x2(t[i + 4], t[i + 6], 0x88);
		x[i + 6] = _mm512_shuffle_i64x2(t[i + 4], t[i + 6], 0xdd);
	}
	UNROLL
	for (i = 0; i < 4; i++) {
		t[i] = _mm512_shuffle_i64x2(x[i], x[i + 4], 0x88);
		t[i + 4] = _mm512_shuffle_i64x2(x[i], x[i + 4], 0xdd);
	}
	UNROLL
	for (i = 0; i < 8; i++)
		x[i] = t[i];
}

/* Two words of a block to limbs, with the bit above it where it counts. */
INLINE struct limbs
split(__m512i w0, __m512i w1, __m512i above)
{
	const __m512i	 m44 = _mm512_set1_epi64(M44);
	struct limbs	 m;

	m.l0 = _mm512_and_si512(w0, m44);
	m.l1 = _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w0, 44),
	    _mm512_slli_epi64(w1, 20)), m44);
	m.l2 = _mm512_or_si512(_mm512_srli_epi64(w1, 24), above);
	return m;
}

/* State of 8 messages that are run together. */
struct group {
	const uint8_t	*g_data[MACS];
	int64_t		 g_len[MACS];
	int64_t		 g_off[MACS];	/* of the first step; 0 or below */
	int64_t		 g_steps;	/* of 64 bytes */
	int64_t		 g_from;	/* steps that are whole in all lanes */
	int64_t		 g_to;
	struct mult	 g_r[4];	/* powers 1 to 4 */
	struct limbs	 g_h;
	__m512i		 g_s0, g_s1;
};

/*
 * A message and its length block end together with the last step, so short
 * ones begin later: zero blocks before the first one change nothing.
 */
INLINE void
group_lengths(struct group *g, const struct chapoly_mac *m, size_t n)
{
	int64_t	 blocks[MACS], end, begin;
	size_t	 i;

	g->g_steps = 0;
	UNROLL
	for (i = 0; i < MACS; i++) {
		const struct chapoly_mac	*c = &m[i < n ? i : 0];

		g->g_data[i] = c->cm_data;
		g->g_len[i] = (int64_t)c->cm_len;
		blocks[i] = (g->g_len[i] + 15) / 16 + 1;
		if ((blocks[i] + 3) / 4 > g->g_steps)
			g->g_steps = (blocks[i] + 3) / 4;
	}
	g->g_from = 0;
	g->g_to = g->g_steps - 1;	/* the last one has the lengths */
	UNROLL
	for (i = 0; i < MACS; i++) {
		g->g_off[i] = (blocks[i] - 4 * g->g_steps) * 16;
		begin = (-g->g_off[i] + 63) / 64;
		end = g->g_len[i] < g->g_off[i] ? 0 :
		    (g->g_len[i] - g->g_off[i]) / 64;
		if (begin > g->g_from)
			g->g_from = begin;
		if (end < g->g_to)
			g->g_to = end;
	}
}

INLINE void
group_keys(struct group *g, const struct chapoly_mac *m, size_t n)
{
	uint64_t	 k[4][MACS] __attribute__((aligned(64)));
	__m512i		 t0, t1;
	struct limbs	 r;
	size_t		 i, j;

	UNROLL
	for (i = 0; i < MACS; i++)
		for (j = 0; j < 4; j++)
			k[j][i] = le64dec(m[i < n ? i : 0].cm_key + 8 * j);
	t0 = _mm512_load_si512(k[0]);
	t1 = _mm512_load_si512(k[1]);
	r.l0 = _mm512_and_si512(t0, _mm512_set1_epi64(0xffc0fffffffULL));
	r.l1 = _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(t0, 44),
	    _mm512_slli_epi64(t1, 20)), _mm512_set1_epi64(0xfffffc0ffffULL));
	r.l2 = _mm512_and_si512(_mm512_srli_epi64(t1, 24),
	    _mm512_set1_epi64(0x00ffffffc0fULL));
	g->g_r[0] = multiplier(r);
	g->g_r[1] = multiplier(mul(&r, &g->g_r[0]));
	g->g_r[2] = multiplier(mul(&r, &g->g_r[1]));
	g->g_r[3] = multiplier(mul(&g->g_r[1].r, &g->g_r[1]));
	g->g_s0 = _mm512_load_si512(k[2]);
	g->g_s1 = _mm512_load_si512(k[3]);
	memset(&g->g_h, 0, sizeof(g->g_h));
	explicit_bzero(k, sizeof(k));
}

/* Four blocks of each lane; above: the bit over each of them. */
INLINE void
step(struct group *g, __m512i *x, const __m512i *above)
{
	struct limbs	 m;
	struct sums	 d;
	int		 i;

	memset(&d, 0, sizeof(d));
	UNROLL
	for (i = 1; i < 4; i++) {
		m = split(x[2 * i], x[2 * i + 1], above[i]);
		mul_add(&d, &m, &g->g_r[3 - i]);
	}
	m = split(x[0], x[1], above[0]);
	m.l0 = _mm512_add_epi64(m.l0, g->g_h.l0);
	m.l1 = _mm512_add_epi64(m.l1, g->g_h.l1);
	m.l2 = _mm512_add_epi64(m.l2, g->g_h.l2);
	mul_add(&d, &m, &g->g_r[3]);
	g->g_h = carry(&d);
}

INLINE void
step_whole(struct group *g, int64_t t)
{
	const __m512i	 one = _mm512_set1_epi64(1ULL << 40);
	const __m512i	 above[4] = { one, one, one, one };
	__m512i		 x[MACS];
	int		 i;

	UNROLL
	for (i = 0; i < MACS; i++)
		x[i] = _mm512_loadu_si512(g->g_data[i] + g->g_off[i] +
		    64 * t);
	transpose8(x);
	step(g, x, above);
}

/* A step where a lane begins or ends; last: lengths stand at its end. */
INLINE void
step_edge(struct group *g, int64_t t, int last)
{
	const __m512i	 one = _mm512_set1_epi64(1ULL << 40);
	__m512i		 x[MACS], above[4];
	__mmask8	 there[4] = { 0, 0, 0, 0 };
	__mmask64	 m;
	int64_t		 off, lo, hi;
	int		 i, b;

	UNROLL
	for (i = 0; i < MACS; i++) {
		off = g->g_off[i] + 64 * t;
		lo = off < 0 ? -off : 0;
		hi = g->g_len[i] - off;
		m = hi >= 64 ? ~(__mmask64)0 :
		    hi <= 0 ? 0 : ((__mmask64)1 << hi) - 1;
		m = lo >= 64 ? 0 : m & (~(__mmask64)0 << lo);
		x[i] = m == 0 ? _mm512_setzero_si512() :
		    _mm512_maskz_loadu_epi8(m, g->g_data[i] + off);
		for (b = 0; b < 4; b++)
			if (off + 16 * b >= 0)
				there[b] |= (__mmask8)(1U << i);
	}
	transpose8(x);
	if (last) {
		x[6] = _mm512_setzero_si512();
		x[7] = _mm512_loadu_si512(g->g_len);
	}
	UNROLL
	for (b = 0; b < 4; b++)
		above[b] = _mm512_maskz_mov_epi64(there[b], one);
	step(g, x, above);
}

/* Reduce to below the prime: subtract it where that can be done. */
INLINE struct limbs
reduce(struct limbs h)
{
	const __m512i	 m44 = _mm512_set1_epi64(M44);
	const __m512i	 m42 = _mm512_set1_epi64(M42);
	struct limbs	 g;
	__m512i		 c;
	__mmask8	 ge;
	int		 i;

	UNROLL
	for (i = 0; i < 2; i++) {
		c = _mm512_srli_epi64(h.l1, 44);
		h.l1 = _mm512_and_si512(h.l1, m44);
		h.l2 = _mm512_add_epi64(h.l2, c);
		c = _mm512_srli_epi64(h.l2, 42);
		h.l2 = _mm512_and_si512(h.l2, m42);
		h.l0 = _mm512_add_epi64(h.l0, times5(c));
		c = _mm512_srli_epi64(h.l0, 44);
		h.l0 = _mm512_and_si512(h.l0, m44);
		h.l1 = _mm512_add_epi64(h.l1, c);
	}
	c = _mm512_add_epi64(h.l0, _mm512_set1_epi64(5));
	g.l0 = _mm512_and_si512(c, m44);
	c = _mm512_add_epi64(h.l1, _mm512_srli_epi64(c, 44));
	g.l1 = _mm512_and_si512(c, m44);
	g.l2 = _mm512_add_epi64(h.l2, _mm512_srli_epi64(c, 44));
	ge = _mm512_cmpgt_epu64_mask(g.l2, m42);
	h.l0 = _mm512_mask_mov_epi64(h.l0, ge, g.l0);
	h.l1 = _mm512_mask_mov_epi64(h.l1, ge, g.l1);
	h.l2 = _mm512_mask_mov_epi64(h.l2, ge, g.l2);
	return h;
}

INLINE void
group_tags(const struct group *g, struct chapoly_mac *m, size_t n)
{
	uint64_t	 w[2][MACS] __attribute__((aligned(64)));
	struct limbs	 h;
	__m512i		 lo, hi;
	__mmask8	 c;
	size_t		 i;

	h = reduce(g->g_h);
	lo = _mm512_or_si512(h.l0, _mm512_slli_epi64(h.l1, 44));
	hi = _mm512_or_si512(_mm512_srli_epi64(h.l1, 20),
	    _mm512_slli_epi64(h.l2, 24));
	lo = _mm512_add_epi64(lo, g->g_s0);
	c = _mm512_cmplt_epu64_mask(lo, g->g_s0);
	hi = _mm512_add_epi64(hi, g->g_s1);
	hi = _mm512_mask_add_epi64(hi, c, hi, _mm512_set1_epi64(1));
	_mm512_store_si512(w[0], lo);
	_mm512_store_si512(w[1], hi);
	for (i = 0; i < n; i++) {
		le64enc(m[i].cm_tag, w[0][i]);
		le64enc(m[i].cm_tag + 8, w[1][i]);
	}
}

AVX512 static void
poly8(struct chapoly_mac *m, size_t n)
{
	struct group	 g;
	int64_t		 t;

	group_lengths(&g, m, n);
	group_keys(&g, m, n);
	for (t = 0; t < g.g_steps - 1; t++) {
		if (t >= g.g_from && t < g.g_to)
			step_whole(&g, t);
		else
			step_edge(&g, t, 0);
	}
	step_edge(&g, t, 1);
	group_tags(&g, m, n);
	explicit_bzero(&g, sizeof(g));
}

static void
avx512_poly(struct chapoly_mac *m, size_t n)
{
	for (; n > MACS; m += MACS, n -= MACS)
		poly8(m, MACS);
	if (n > 0)
		poly8(m, n);
}

const struct chapoly_kernel	 chapoly_avx512 = {
	.ck_name = "avx512",
	.ck_min = 3,
	.ck_usable = simd_avx512,
	.ck_chacha = avx512_chacha,
	.ck_poly = avx512_poly
};

#else

const struct chapoly_kernel	 chapoly_avx512 = {
	.ck_name = "avx512",
	.ck_usable = simd_avx512
};

#endif /* __x86_64__ */
