/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The Internet checksum.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <stdint.h>
#include <string.h>

#include "netd.h"

#define BLOCK	64			/* of a csum_blocks */

static csum_blocks	 blocks;

void
csum_init(void)
{
	blocks = csum_avx2();
}

/* With the carry that falls out added again: the sum of ones' complement. */
static inline uint64_t
add_around(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* The sum with 8 more bytes, wherever they lie. */
static inline uint64_t
add_word(uint64_t sum, const uint8_t *p)
{
	uint64_t	 w;

	memcpy(&w, p, sizeof(w));
	return add_around(sum, w);
}

/*
 * Four sums side by side, of 64-bit words: the order of 16-bit words in a
 * sum does not matter. What is returned leaves room to add more to it.
 */
uint64_t
csum_add(uint64_t sum, const void *buf, size_t len)
{
	const uint8_t	*p = buf;
	uint8_t		 last[8] = { 0 };
	uint64_t	 s0 = sum, s1 = 0, s2 = 0, s3 = 0;
	size_t		 n;

	if (blocks != NULL && len >= 2 * BLOCK) {
		n = len - len % BLOCK;
		s1 = blocks(p, n);
		p += n;
		len -= n;
	}
	for (; len >= 32; len -= 32, p += 32) {
		s0 = add_word(s0, p);
		s1 = add_word(s1, p + 8);
		s2 = add_word(s2, p + 16);
		s3 = add_word(s3, p + 24);
	}
	for (; len >= 8; len -= 8, p += 8)
		s0 = add_word(s0, p);
	if (len > 0) {
		memcpy(last, p, len);
		s1 = add_word(s1, last);
	}
	s0 = add_around(add_around(s0, s1), add_around(s2, s3));
	return (s0 >> 32) + (s0 & 0xffffffffU);
}

uint16_t
csum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffffU);
	sum = (sum >> 32) + (sum & 0xffffffffU);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

uint64_t
csum_pseudo(const uint8_t *ip, uint8_t proto, uint32_t len)
{
	uint64_t	 sum;

	if (ip[0] >> 4 == 4)
		sum = csum_add(0, ip + 12, 8);
	else
		sum = csum_add(0, ip + 8, 32);
	return sum + htobe16(proto) + htobe32(len);
}

/*
 * The field is left out rather than set to zero first: a wide load of bytes
 * that were just stored in small pieces stalls.
 */
void
csum_ip4(uint8_t *ip, size_t hlen)
{
	uint64_t	 sum = 0;
	uint16_t	 v;
	size_t		 i;

	for (i = 0; i < hlen; i += sizeof(v)) {
		memcpy(&v, ip + i, sizeof(v));
		if (i != 10)
			sum += v;
	}
	v = ~csum_fold(sum);
	memcpy(ip + 10, &v, sizeof(v));
}

uint16_t
csum_transport(const uint8_t *ip, size_t l4, uint8_t proto, size_t len,
    size_t field)
{
	const uint8_t	*p = ip + l4;
	uint64_t	 sum;

	sum = csum_add(csum_pseudo(ip, proto, len), p, field);
	return ~csum_fold(csum_add(sum, p + field + 2, len - field - 2));
}

int
csum_verify(const uint8_t *ip, size_t l4, uint8_t proto, size_t len)
{
	uint64_t	 sum;

	sum = csum_pseudo(ip, proto, len);
	return csum_fold(csum_add(sum, ip + l4, len)) == 0xffff;
}
