/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * NAT-PMP (RFC 6886) and PCP (RFC 6887): what is asked of a gateway, and how
 * its answers read; dataplane.md 5. Addresses in network byte order, ports
 * and the rest in host order.
 */

#ifndef SHOAL_PORTMAP_H
#define SHOAL_PORTMAP_H

#include <stddef.h>
#include <stdint.h>

#define PMP_PORT	5351		/* of both protocols */
#define PMP_REPLY	0x80		/* bit in an answer's op */
#define PMP_OP_ADDRESS	0
#define PMP_OP_MAP_UDP	1
#define PMP_OK		0

#define PCP_OP_ANNOUNCE	0
#define PCP_OP_MAP	1
#define PCP_OK		0
#define PCP_NONCE_LEN	12
#define PCP_ANNOUNCE_LEN 24
#define PCP_MAP_LEN	60
#define PCP_MAX_LEN	1100		/* RFC 6887, 7 */
#define PCP_PROTO_UDP	17

struct pmp_reply {
	uint8_t		 op;		/* with PMP_REPLY */
	uint16_t	 result;
	uint32_t	 epoch;
	uint8_t		 addr[4];	/* of an address answer; zero: none */
	uint16_t	 internal;	/* of a map answer */
	uint16_t	 external;
	uint32_t	 lifetime;	/* seconds */
};

struct pcp_reply {
	uint8_t		 op;		/* with PMP_REPLY */
	uint8_t		 result;
	uint32_t	 lifetime;	/* seconds */
	uint32_t	 epoch;
};

struct pcp_map {
	uint8_t		 nonce[PCP_NONCE_LEN];
	uint8_t		 proto;
	uint16_t	 internal;
	uint16_t	 external;
	uint8_t		 addr[16];	/* IPv4 mapped into IPv6 */
};

/* Each writes to a buffer of PCP_MAP_LEN at least; the length. */
size_t	 pmp_build_address(uint8_t *);
/* (buffer, local port, wanted external port or 0, seconds; 0: delete) */
size_t	 pmp_build_map(uint8_t *, uint16_t, uint16_t, uint32_t);
/* (buffer, own address as IPv6 or mapped into it) */
size_t	 pcp_build_announce(uint8_t *, const uint8_t *);
/*
 * (buffer, own address, what to map, seconds; 0: delete). The map's address
 * is the wanted external one; ::ffff:0.0.0.0 for any.
 */
size_t	 pcp_build_map(uint8_t *, const uint8_t *, const struct pcp_map *,
	    uint32_t);

/* ::ffff:a.b.c.d; and back: 0, or -1 if it is none. */
void	 ip4_to_mapped(uint8_t *, const uint8_t *);
int	 ip4_from_mapped(uint8_t *, const uint8_t *);

/*
 * 0, or -1 if the bytes are no such answer. The result is for the caller to
 * look at. An op that is none of ours is no error: only the head is set.
 */
int	 pmp_parse(struct pmp_reply *, const uint8_t *, size_t);
int	 pcp_parse(struct pcp_reply *, const uint8_t *, size_t);
/*
 * The head again, and what a successful answer to a map request says:
 * nonce, ports and protocol must be compared with what was asked, and the
 * op is the caller's to check. -1 also if the result is not PCP_OK: then
 * the map says which request was refused, or is all zero.
 */
int	 pcp_parse_map(struct pcp_reply *, struct pcp_map *, const uint8_t *,
	    size_t);

#endif /* SHOAL_PORTMAP_H */
