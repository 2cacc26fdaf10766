/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Compiled form of the packet filter, private to filter*.c.
 */

#ifndef PROTO_FILTER_INT_H
#define PROTO_FILTER_INT_H

#include <stddef.h>
#include <stdint.h>

#include "filter.h"

/*
 * A packet is judged by three binary searches, whatever the number of
 * rules: its source gives a class (the sources that the same rules name
 * form one), its destination a cell in the class, its port an entry in
 * the cell.
 */

#define F_NONE		UINT32_MAX

/* Protocols with ports, as bits of f_port.mask. */
#define F_TCP		0x01
#define F_UDP		0x02
#define F_SCTP		0x04

/* An address of either family as a number; IPv4 is in k_lo. */
struct fkey {
	uint64_t	 k_hi;
	uint64_t	 k_lo;
};

/* From this port to that of the next entry; mask: who may. */
struct fport {
	uint16_t	 p_first;
	uint16_t	 p_mask;
};

/* A set of protocols. */
struct fprotos {
	uint64_t	 b[4];
};

/* What one class of sources may do with one range of destinations. */
struct fcell {
	uint32_t	 c_port;	/* first entry in f_ports */
	uint32_t	 c_nport;
	uint32_t	 c_protos;	/* all ports allowed, in f_protos */
};

/* Destinations of a class: entries in ff_dlo and ff_dcell. */
struct fclass {
	uint32_t	 c_first;
	uint32_t	 c_n;
};

struct frange {
	struct fkey	 lo;
	struct fkey	 hi;
};

struct ffamily {
	struct frange	*ff_local;	/* sorted, merged */
	struct fkey	*ff_slo;	/* where a range of sources starts */
	uint32_t	*ff_sclass;	/* its class or F_NONE */
	struct fclass	*ff_class;
	struct fkey	*ff_dlo;
	uint32_t	*ff_dcell;	/* cell or F_NONE */
	uint32_t	*ff_cap;	/* class of each capability */
	uint32_t	 ff_nlocal;
	uint32_t	 ff_nsrc;
	uint32_t	 ff_nclass;
	uint32_t	 ff_ndst;
};

struct filter {
	struct ffamily	 f_fam[2];	/* IPv4, IPv6 */
	struct fcell	*f_cells;
	struct fport	*f_ports;
	struct fprotos	*f_protos;
	char		(*f_capname)[FILTER_CAP_MAX];
	uint32_t	 f_ncell;
	uint32_t	 f_nport;
	uint32_t	 f_nprotos;
	uint32_t	 f_ncap;
	int		 f_shields;
};

/* filter_flows.c: is this the answer to a noted flow; note an outgoing. */
int	 flows_find(struct filter_flows *, const struct pkt *);
void	 flows_note(struct filter_flows *, const struct pkt *);

/* -1, 0, 1 as the first key is below, equal, above the second. */
static inline int
fkey_cmp(const struct fkey *a, const struct fkey *b)
{
	if (a->k_hi != b->k_hi)
		return a->k_hi < b->k_hi ? -1 : 1;
	if (a->k_lo != b->k_lo)
		return a->k_lo < b->k_lo ? -1 : 1;
	return 0;
}

/* Is the first not above the second? */
static inline int
fkey_le(const struct fkey *a, const struct fkey *b)
{
	return a->k_hi < b->k_hi || (a->k_hi == b->k_hi && a->k_lo <= b->k_lo);
}

static inline uint64_t
fkey_get64(const uint8_t *p)
{
	uint64_t	 v;
	int		 i;

	for (v = 0, i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static inline struct fkey
fkey_get(uint8_t version, const uint8_t *addr)
{
	struct fkey	 k;

	if (version == 4) {
		k.k_hi = 0;
		k.k_lo = (uint64_t)addr[0] << 24 | addr[1] << 16 |
		    addr[2] << 8 | addr[3];
	} else {
		k.k_hi = fkey_get64(addr);
		k.k_lo = fkey_get64(addr + 8);
	}
	return k;
}

#endif /* PROTO_FILTER_INT_H */
