/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * IP packet headers, as the packet filter sees them.
 */

#ifndef PROTO_PACKET_H
#define PROTO_PACKET_H

#include <stddef.h>
#include <stdint.h>

/* Protocol numbers the filter gives a meaning to. */
#define PKT_ICMP	1
#define PKT_IGMP	2
#define PKT_TCP		6
#define PKT_UDP		17
#define PKT_ICMP6	58
#define PKT_TSMP	99
#define PKT_SCTP	132
/* Classes outside of the protocol space; both numbers are reserved. */
#define PKT_UNKNOWN	0	/* cut short, not understood, not IP */
#define PKT_FRAGMENT	255	/* a later fragment, no ports */

#define PKT_TCP_SYN	0x02
#define PKT_TCP_ACK	0x10

/*
 * One parsed packet. It points into the packet's bytes and lives no
 * longer than these. Ports are in host byte order, 0 where the protocol
 * has none.
 */
struct pkt {
	const uint8_t	*p_src;		/* 4 or 16 bytes, NULL: not IP */
	const uint8_t	*p_dst;
	size_t		 p_len;		/* of the buffer */
	uint16_t	 p_l4off;	/* where the transport header is */
	uint16_t	 p_sport;
	uint16_t	 p_dport;
	uint8_t		 p_version;	/* 4, 6, or 0: not IP */
	uint8_t		 p_proto;
	uint8_t		 p_tcp_flags;
	uint8_t		 p_icmp_type;	/* ICMP and ICMPv6 only */
	uint8_t		 p_icmp_code;
};

/*
 * Parse the headers of a packet.
 * Source: dataplane.md 6.1; RFC 791, RFC 8200.
 *
 * buf, len	the packet from its IP header on, of any length.
 *
 * Always fills the struct: what can't be understood has p_version 0 or
 * p_proto PKT_UNKNOWN. Checksums are not verified. Never fails.
 */
void	 pkt_parse(struct pkt *, const uint8_t *, size_t);

/*
 * A hash of a parsed packet's flow: addresses, protocol and ports, the same
 * for all of its packets; of no flow 0. With a salt of one's own nobody can
 * choose who shares a place; a table of few places folds the high bits in.
 */
uint32_t pkt_flow(const struct pkt *, uint32_t);

#endif /* PROTO_PACKET_H */
