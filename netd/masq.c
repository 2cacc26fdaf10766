/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A peer may know us by another address: rewrite it, checksums too.
 */

#include <sys/types.h>

#include <stdint.h>
#include <string.h>

#include "netd.h"

static void	 fix_field(uint8_t *, const uint8_t *, const uint8_t *, size_t,
		    int);
static void	 rewrite(uint8_t *, const struct pkt *, size_t,
		    const uint8_t *);

/* RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). */
static void
fix_field(uint8_t *field, const uint8_t *old, const uint8_t *new, size_t n,
    int udp)
{
	uint8_t		 inverted[16];
	uint64_t	 sum;
	uint16_t	 v;
	size_t		 i;

	memcpy(&v, field, sizeof(v));
	if (udp && v == 0)
		return;
	for (i = 0; i < n; i++)
		inverted[i] = ~old[i];
	sum = (uint16_t)~v;
	sum = csum_add(csum_add(sum, inverted, n), new, n);
	v = ~csum_fold(sum);
	if (udp && v == 0)
		v = 0xffff;
	memcpy(field, &v, sizeof(v));
}

/* Replace the address at that offset of the IP header. */
static void
rewrite(uint8_t *p, const struct pkt *pkt, size_t off, const uint8_t *new)
{
	size_t	 n = pkt->p_version == 4 ? 4 : 16, field = 0;

	if (pkt->p_version == 4)
		fix_field(p + 10, p + off, new, n, 0);
	if (pkt->p_proto == PKT_TCP)
		field = 16;
	else if (pkt->p_proto == PKT_UDP)
		field = 6;
	else if (pkt->p_proto == PKT_ICMP6)
		field = 2;
	if (field != 0 && pkt->p_l4off + field + 2 <= pkt->p_len)
		fix_field(p + pkt->p_l4off + field, p + off, new, n,
		    pkt->p_proto == PKT_UDP);
	memcpy(p + off, new, n);
}

void
masq_out(const struct peer *p, uint8_t *b, const struct pkt *pkt)
{
	const struct msg_ip	*to, *own;
	size_t			 n = pkt->p_version == 4 ? 4 : 16;

	to = &p->p_masq[pkt->p_version == 6];
	own = self_addr(pkt->p_version == 4 ? AF_WIRE_INET : AF_WIRE_INET6);
	if (to->af == 0 || own == NULL ||
	    memcmp(pkt->p_src, own->addr, n) != 0)
		return;
	rewrite(b, pkt, pkt->p_version == 4 ? 12 : 8, to->addr);
}

void
masq_in(const struct peer *p, uint8_t *b, const struct pkt *pkt)
{
	const struct msg_ip	*from, *own;
	size_t			 n = pkt->p_version == 4 ? 4 : 16;

	if (pkt->p_src == NULL)
		return;
	from = &p->p_masq[pkt->p_version == 6];
	own = self_addr(pkt->p_version == 4 ? AF_WIRE_INET : AF_WIRE_INET6);
	if (from->af == 0 || own == NULL ||
	    memcmp(pkt->p_dst, from->addr, n) != 0)
		return;
	rewrite(b, pkt, pkt->p_version == 4 ? 16 : 24, own->addr);
}
