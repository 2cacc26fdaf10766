/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * STUN as relays speak it: binding requests and their answers.
 */

#include <sys/types.h>

#include <errno.h>
#include <string.h>

#include "stun.h"

#define TYPE_REQUEST		0x0001
#define TYPE_RESPONSE		0x0101
#define COOKIE			0x2112a442U
#define ATTR_MAPPED		0x0001
#define ATTR_XOR_MAPPED		0x0020
#define ATTR_XOR_MAPPED_ALT	0x8020
#define ATTR_SOFTWARE		0x8022
#define ATTR_FINGERPRINT	0x8028
#define FINGERPRINT_XOR		0x5354554eU
#define FINGERPRINT_LEN		8	/* with its header */
#define FAMILY_V4		1
#define FAMILY_V6		2

static const uint8_t	 software[] = {
	't', 'a', 'i', 'l', 'n', 'o', 'd', 'e'
};

static uint16_t
get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v & 0xff;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* CRC-32 of IEEE 802.3, bit by bit: 32 bytes a request do not need more. */
static uint32_t
fingerprint(const uint8_t *p, size_t len)
{
	uint32_t	 crc = 0xffffffffU;
	size_t		 i;
	int		 bit;

	for (i = 0; i < len; i++) {
		crc ^= p[i];
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) ? 0xedb88320U : 0);
	}
	return ~crc ^ FINGERPRINT_XOR;
}

static void
header(uint8_t *p, uint16_t type, size_t len, const uint8_t *txid)
{
	put16(p, type);
	put16(p + 2, len);
	put32(p + 4, COOKIE);
	memcpy(p + 8, txid, STUN_TXID_LEN);
}

/*
 * The attribute that begins the bytes: its type, value and length; they are
 * moved behind it.  1, 0 at the end, or -1 if malformed.
 */
static int
attr_next(const uint8_t **p, size_t *len, uint16_t *type,
    const uint8_t **value, size_t *vlen)
{
	size_t	 padded;

	if (*len == 0)
		return 0;
	if (*len < 4)
		return -1;
	*type = get16(*p);
	*vlen = get16(*p + 2);
	padded = (*vlen + 3) & ~(size_t)3;
	if (padded > *len - 4)
		return -1;
	*value = *p + 4;
	*p += 4 + padded;
	*len -= 4 + padded;
	return 1;
}

int
stun_looks_like(const uint8_t *p, size_t len)
{
	return len >= STUN_HDR_LEN && (p[0] & 0xc0) == 0 &&
	    get32(p + 4) == COOKIE;
}

void
stun_request_build(const uint8_t txid[STUN_TXID_LEN],
    uint8_t out[STUN_REQUEST_LEN])
{
	uint8_t	*p = out + STUN_HDR_LEN;

	header(out, TYPE_REQUEST, STUN_REQUEST_LEN - STUN_HDR_LEN, txid);
	put16(p, ATTR_SOFTWARE);
	put16(p + 2, sizeof(software));
	memcpy(p + 4, software, sizeof(software));
	p += 4 + sizeof(software);
	put16(p, ATTR_FINGERPRINT);
	put16(p + 2, 4);
	put32(p + 4, fingerprint(out, p - out));
}

int
stun_request_parse(const uint8_t *pkt, size_t pktlen,
    uint8_t txid[STUN_TXID_LEN])
{
	const uint8_t	*p, *value;
	size_t		 len, vlen;
	uint32_t	 print = 0;
	uint16_t	 type, last = 0;
	int		 known = 0, ret;

	errno = EPROTO;
	if (!stun_looks_like(pkt, pktlen) || get16(pkt) != TYPE_REQUEST)
		return -1;
	p = pkt + STUN_HDR_LEN;
	len = pktlen - STUN_HDR_LEN;
	while ((ret = attr_next(&p, &len, &type, &value, &vlen)) == 1) {
		last = type;
		if (type == ATTR_SOFTWARE && vlen == sizeof(software) &&
		    memcmp(value, software, vlen) == 0)
			known = 1;
		if (type == ATTR_FINGERPRINT && vlen == 4)
			print = get32(value);
	}
	if (ret == -1 || !known || last != ATTR_FINGERPRINT ||
	    print != fingerprint(pkt, pktlen - FINGERPRINT_LEN))
		return -1;
	memcpy(txid, pkt + 8, STUN_TXID_LEN);
	return 0;
}

/* Addresses go masked with what stands at the head of the message. */
static void
addr_xor(const uint8_t *pkt, struct stun_addr *sa)
{
	size_t	 i, n = sa->sa_v4 ? 4 : 16;

	sa->sa_port ^= COOKIE >> 16;
	for (i = 0; i < n; i++)
		sa->sa_addr[i] ^= pkt[4 + i];
}

size_t
stun_response_build(const uint8_t txid[STUN_TXID_LEN],
    const struct stun_addr *sa, uint8_t out[STUN_RESPONSE_MAX])
{
	struct stun_addr	 masked = *sa;
	uint8_t			*p = out + STUN_HDR_LEN;
	size_t			 n = sa->sa_v4 ? 4 : 16;

	header(out, TYPE_RESPONSE, 8 + n, txid);
	addr_xor(out, &masked);
	put16(p, ATTR_XOR_MAPPED);
	put16(p + 2, 4 + n);
	p[4] = 0;
	p[5] = sa->sa_v4 ? FAMILY_V4 : FAMILY_V6;
	put16(p + 6, masked.sa_port);
	memcpy(p + 8, masked.sa_addr, n);
	return STUN_HDR_LEN + 8 + n;
}

/* The value of an address attribute, as it stands there.  0, or -1. */
static int
addr_get(const uint8_t *value, size_t len, struct stun_addr *sa)
{
	size_t	 n;

	if (len < 4 || (value[1] != FAMILY_V4 && value[1] != FAMILY_V6))
		return -1;
	n = value[1] == FAMILY_V4 ? 4 : 16;
	if (len - 4 < n)
		return -1;
	memset(sa, 0, sizeof(*sa));
	sa->sa_v4 = n == 4;
	sa->sa_port = get16(value + 2);
	memcpy(sa->sa_addr, value + 4, n);
	return 0;
}

static void
addr_unmap(struct stun_addr *sa)
{
	static const uint8_t	 mapped[12] = {
		[10] = 0xff, [11] = 0xff
	};

	if (sa->sa_v4 || memcmp(sa->sa_addr, mapped, sizeof(mapped)) != 0)
		return;
	memmove(sa->sa_addr, sa->sa_addr + 12, 4);
	memset(sa->sa_addr + 4, 0, 12);
	sa->sa_v4 = 1;
}

int
stun_response_parse(const uint8_t *pkt, size_t pktlen,
    uint8_t txid[STUN_TXID_LEN], struct stun_addr *sa)
{
	struct stun_addr	 one;
	const uint8_t		*p, *value;
	size_t			 len, vlen;
	uint16_t		 type;
	int			 plain = 0, masked = 0, ret;

	errno = EPROTO;
	if (!stun_looks_like(pkt, pktlen) || get16(pkt) != TYPE_RESPONSE)
		return -1;
	errno = EBADMSG;
	p = pkt + STUN_HDR_LEN;
	len = get16(pkt + 2);
	if (len > pktlen - STUN_HDR_LEN)
		return -1;
	while ((ret = attr_next(&p, &len, &type, &value, &vlen)) == 1) {
		if (type != ATTR_MAPPED && type != ATTR_XOR_MAPPED &&
		    type != ATTR_XOR_MAPPED_ALT)
			continue;
		if (addr_get(value, vlen, &one) == -1)
			return -1;
		if (type == ATTR_MAPPED && masked)
			continue;	/* the masked one is the true one */
		if (type == ATTR_MAPPED)
			plain = 1;
		else {
			addr_xor(pkt, &one);
			masked = 1;
		}
		*sa = one;
	}
	if (ret == -1 || (!plain && !masked))
		return -1;
	addr_unmap(sa);
	memcpy(txid, pkt + 8, STUN_TXID_LEN);
	return 0;
}
