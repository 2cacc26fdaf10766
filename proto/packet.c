/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * IP packet headers, as the packet filter sees them.
 */

#include <string.h>

#include "packet.h"

#define IP4_HDRLEN	20
#define IP4_MORE	0x2000	/* more fragments follow */
#define IP4_OFFMASK	0x1fff
#define IP6_HDRLEN	40
#define IP6_FRAGMENT	44
#define IP6_FRAGLEN	8
/* Below this offset (8-byte units) a fragment could overlap headers. */
#define FRAG_MINOFF	10
#define TSMP_MINLEN	7
#define ICMP_MINLEN	8	/* for type and code to mean anything */
#define ICMP_NOTYPE	255

static uint16_t	 get16(const uint8_t *);
static size_t	 transport_minlen(const struct pkt *);
static void	 parse_transport(struct pkt *, const uint8_t *, size_t);
static int	 parse_fragment(struct pkt *, unsigned int);
static void	 parse_ip4(struct pkt *, const uint8_t *, size_t);
static void	 parse_ip6(struct pkt *, const uint8_t *, size_t);

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* How much of its header a protocol must show to be taken for itself. */
static size_t
transport_minlen(const struct pkt *p)
{
	switch (p->p_proto) {
	case PKT_TCP:
		return 20;
	case PKT_UDP:
		return 8;
	case PKT_SCTP:
		return 12;
	case PKT_TSMP:
		return TSMP_MINLEN;
	case PKT_ICMP:
		return p->p_version == 4 ? 4 : 0;
	case PKT_IGMP:
		return p->p_version == 4 ? 8 : 0;
	case PKT_ICMP6:
		return p->p_version == 6 ? 4 : 0;
	default:
		return 0;
	}
}

static void
parse_transport(struct pkt *p, const uint8_t *b, size_t len)
{
	/* 255 is reserved: on the wire it must not pass for a fragment. */
	if (p->p_proto == PKT_FRAGMENT || len < transport_minlen(p)) {
		p->p_proto = PKT_UNKNOWN;
		return;
	}
	switch (p->p_proto) {
	case PKT_TCP:
		p->p_tcp_flags = b[13];
		/* FALLTHROUGH */
	case PKT_UDP:
	case PKT_SCTP:
		p->p_sport = get16(b);
		p->p_dport = get16(b + 2);
		break;
	case PKT_ICMP:
	case PKT_ICMP6:
		p->p_icmp_type = ICMP_NOTYPE;
		if (len >= ICMP_MINLEN) {
			p->p_icmp_type = b[0];
			p->p_icmp_code = b[1];
		}
		break;
	default:
		break;
	}
}

/* Returns 1 if the packet is a later fragment, whose class is then set. */
static int
parse_fragment(struct pkt *p, unsigned int off)
{
	if (off == 0)
		return 0;
	p->p_proto = off < FRAG_MINOFF ? PKT_UNKNOWN : PKT_FRAGMENT;
	return 1;
}

static void
parse_ip4(struct pkt *p, const uint8_t *b, size_t len)
{
	size_t		 total, hlen;
	unsigned int	 frag;

	if (len < IP4_HDRLEN)
		return;
	p->p_version = 4;
	total = get16(b + 2);
	if (total > len)
		return;
	p->p_src = b + 12;
	p->p_dst = b + 16;
	/* Lengths as the reference takes them: IHL below 5 is let pass. */
	hlen = (size_t)(b[0] & 0x0f) << 2;
	if (hlen > total)
		return;
	p->p_l4off = (uint16_t)hlen;
	p->p_proto = b[9];
	frag = get16(b + 6);
	if (parse_fragment(p, frag & IP4_OFFMASK))
		return;
	if (p->p_proto == PKT_TSMP && (frag & IP4_MORE)) {
		p->p_proto = PKT_UNKNOWN;
		return;
	}
	parse_transport(p, b + hlen, len - hlen);
}

static void
parse_ip6(struct pkt *p, const uint8_t *b, size_t len)
{
	size_t	 off;

	if (len < IP6_HDRLEN)
		return;
	p->p_version = 6;
	if ((size_t)get16(b + 4) > len - IP6_HDRLEN)
		return;
	p->p_src = b + 8;
	p->p_dst = b + 24;
	p->p_proto = b[6];
	off = IP6_HDRLEN;
	if (p->p_proto == IP6_FRAGMENT) {
		p->p_proto = PKT_UNKNOWN;
		if (len - off < IP6_FRAGLEN)
			return;
		p->p_proto = b[off];
		p->p_l4off = (uint16_t)(off + IP6_FRAGLEN);
		if (parse_fragment(p, get16(b + off + 2) >> 3))
			return;
		off += IP6_FRAGLEN;
	}
	p->p_l4off = (uint16_t)off;
	parse_transport(p, b + off, len - off);
}

void
pkt_parse(struct pkt *p, const uint8_t *b, size_t len)
{
	memset(p, 0, sizeof(*p));
	p->p_len = len;
	if (len == 0)
		return;
	switch (b[0] >> 4) {
	case 4:
		parse_ip4(p, b, len);
		break;
	case 6:
		parse_ip6(p, b, len);
		break;
	default:
		break;
	}
}

uint32_t
pkt_flow(const struct pkt *p, uint32_t salt)
{
	uint32_t	 h = 2166136261U ^ salt;	/* FNV-1a */
	size_t		 i, n;

	if (p->p_src == NULL)
		return 0;
	n = p->p_version == 4 ? 8 : 32;	/* source and destination */
	for (i = 0; i < n; i++)
		h = (h ^ p->p_src[i]) * 16777619U;
	h = (h ^ p->p_proto) * 16777619U;
	h = (h ^ p->p_sport) * 16777619U;
	return (h ^ p->p_dport) * 16777619U;
}
