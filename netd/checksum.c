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

/*
 * Plain sum of 32-bit words in a 64-bit accumulator: the compiler makes
 * vector code of it, and nothing can overflow below 16 GiB.
 */
uint64_t
csum_add(uint64_t sum, const void *buf, size_t len)
{
	const uint8_t	*p = buf;
	uint32_t	 w;
	uint16_t	 h;
	size_t		 i, n;

	n = len / 4;
	for (i = 0; i < n; i++) {
		memcpy(&w, p + i * 4, sizeof(w));
		sum += w;
	}
	p += n * 4;
	len -= n * 4;
	if (len >= 2) {
		memcpy(&h, p, sizeof(h));
		sum += h;
		p += 2;
		len -= 2;
	}
	if (len > 0) {
		h = 0;
		memcpy(&h, p, 1);
		sum += h;
	}
	return sum;
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
