/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packets larger than the path carries: ICMP "fragmentation needed" and
 * ICMPv6 "packet too big" (RFC 1191, RFC 4443).
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netd.h"
#include "packet.h"
#include "ptb.h"
#include "rate.h"

#define HOPS		64
#define QUOTE4		548		/* 576 bytes in all */
#define QUOTE6		(PTB_MAX - 48)

/*
 * Errors of one flow, at once and per second, and how many flows are told
 * apart: 2560 errors a second at most for all of them.
 */
#define BURST		10
#define PER_SECOND	10
#define FLOWS		256

static struct rate	 rates[FLOWS];
static uint32_t		 salt;		/* nobody chooses whose he shares */

size_t
ptb_largest(const struct vnet_hdr *vh, const uint8_t *pkt, size_t len)
{
	size_t	 hlen = vh->v_csum_start;
	uint8_t	 type = vh->v_gso_type & ~VNET_GSO_ECN;

	if (type == VNET_GSO_NONE)
		return len;
	if (type == VNET_GSO_UDP_L4)
		hlen += 8;
	else if (hlen + 13 <= len)
		hlen += (size_t)(pkt[hlen + 12] >> 4) * 4;
	hlen += vh->v_gso_size;
	return hlen < len ? hlen : len;
}

int
ptb_wanted(const uint8_t *pkt)
{
	return pkt[0] >> 4 == 6 || pkt[6] & 0x40;
}

static uint32_t
flow_of(const uint8_t *p, size_t len)
{
	struct pkt	 pkt;
	uint32_t	 h;

	while (salt == 0)
		salt = arc4random();
	pkt_parse(&pkt, p, len);
	h = pkt_flow(&pkt, salt);
	return h ^ h >> 16;
}

int
ptb_allowed(const uint8_t *pkt, size_t len, int64_t now)
{
	struct rate	*r = &rates[flow_of(pkt, len) % FLOWS];

	r->r_burst = BURST;
	r->r_gap = NSEC / PER_SECOND;
	return rate_take(r, now);
}

size_t
ptb_build(uint8_t *b, const uint8_t *pkt, size_t len, uint32_t mtu)
{
	uint16_t	 sum;

	if (pkt[0] >> 4 == 4) {
		len = len > QUOTE4 ? QUOTE4 : len;
		memset(b, 0, 28);
		b[0] = 0x45;
		be16enc(b + 2, 28 + len);
		b[8] = HOPS;
		b[9] = PKT_ICMP;
		memcpy(b + 12, pkt + 16, 4);
		memcpy(b + 16, pkt + 12, 4);
		csum_ip4(b, 20);
		b[20] = 3;
		b[21] = 4;
		be16enc(b + 26, mtu);
		memcpy(b + 28, pkt, len);
		sum = ~csum_fold(csum_add(0, b + 20, 8 + len));
		memcpy(b + 22, &sum, sizeof(sum));
		return 28 + len;
	}
	len = len > QUOTE6 ? QUOTE6 : len;
	memset(b, 0, 48);
	b[0] = 0x60;
	be16enc(b + 4, 8 + len);
	b[6] = PKT_ICMP6;
	b[7] = HOPS;
	memcpy(b + 8, pkt + 24, 16);
	memcpy(b + 24, pkt + 8, 16);
	b[40] = 2;
	be32enc(b + 44, mtu);
	memcpy(b + 48, pkt, len);
	sum = csum_transport(b, 40, PKT_ICMP6, 8 + len, 2);
	memcpy(b + 42, &sum, sizeof(sum));
	return 48 + len;
}
