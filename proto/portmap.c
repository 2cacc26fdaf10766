/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * NAT-PMP and PCP packets.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <string.h>

#include "portmap.h"

#define PMP_VERSION	0
#define PCP_VERSION	2
#define PMP_MIN_LEN	12
#define PMP_MAP_LEN	16

void
ip4_to_mapped(uint8_t *ip16, const uint8_t *ip4)
{
	memset(ip16, 0, 10);
	memset(ip16 + 10, 0xff, 2);
	memcpy(ip16 + 12, ip4, 4);
}

int
ip4_from_mapped(uint8_t *ip4, const uint8_t *ip16)
{
	static const uint8_t	 prefix[12] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
	};

	if (memcmp(ip16, prefix, sizeof(prefix)) != 0)
		return -1;
	memcpy(ip4, ip16 + 12, 4);
	return 0;
}

size_t
pmp_build_address(uint8_t *p)
{
	p[0] = PMP_VERSION;
	p[1] = PMP_OP_ADDRESS;
	return 2;
}

size_t
pmp_build_map(uint8_t *p, uint16_t local, uint16_t external,
    uint32_t lifetime)
{
	p[0] = PMP_VERSION;
	p[1] = PMP_OP_MAP_UDP;
	be16enc(p + 2, 0);
	be16enc(p + 4, local);
	be16enc(p + 6, external);
	be32enc(p + 8, lifetime);
	return 12;
}

size_t
pcp_build_announce(uint8_t *p, const uint8_t *own)
{
	memset(p, 0, PCP_ANNOUNCE_LEN);
	p[0] = PCP_VERSION;
	p[1] = PCP_OP_ANNOUNCE;
	memcpy(p + 8, own, 16);
	return PCP_ANNOUNCE_LEN;
}

size_t
pcp_build_map(uint8_t *p, const uint8_t *own, const struct pcp_map *m,
    uint32_t lifetime)
{
	memset(p, 0, PCP_MAP_LEN);
	p[0] = PCP_VERSION;
	p[1] = PCP_OP_MAP;
	be32enc(p + 4, lifetime);
	memcpy(p + 8, own, 16);
	memcpy(p + 24, m->nonce, PCP_NONCE_LEN);
	p[36] = PCP_PROTO_UDP;
	be16enc(p + 40, m->internal);
	be16enc(p + 42, m->external);
	memcpy(p + 44, m->addr, 16);
	return PCP_MAP_LEN;
}

int
pmp_parse(struct pmp_reply *r, const uint8_t *p, size_t len)
{
	memset(r, 0, sizeof(*r));
	if (len < PMP_MIN_LEN || p[0] != PMP_VERSION)
		return -1;
	r->op = p[1];
	r->result = be16dec(p + 2);
	r->epoch = be32dec(p + 4);
	switch (r->op) {
	case PMP_REPLY | PMP_OP_ADDRESS:
		if (len != PMP_MIN_LEN)
			return -1;
		memcpy(r->addr, p + 8, 4);
		return 0;
	case PMP_REPLY | PMP_OP_MAP_UDP:
		if (len != PMP_MAP_LEN)
			return -1;
		r->internal = be16dec(p + 8);
		r->external = be16dec(p + 10);
		r->lifetime = be32dec(p + 12);
		return 0;
	default:
		return 0;
	}
}

int
pcp_parse(struct pcp_reply *r, const uint8_t *p, size_t len)
{
	memset(r, 0, sizeof(*r));
	if (len < PCP_ANNOUNCE_LEN || len > PCP_MAX_LEN ||
	    p[0] != PCP_VERSION)
		return -1;
	r->op = p[1];
	r->result = p[3];
	r->lifetime = be32dec(p + 4);
	r->epoch = be32dec(p + 8);
	return 0;
}

int
pcp_parse_map(struct pcp_reply *r, struct pcp_map *m, const uint8_t *p,
    size_t len)
{
	memset(m, 0, sizeof(*m));
	if (pcp_parse(r, p, len) == -1 || len < PCP_MAP_LEN)
		return -1;
	memcpy(m->nonce, p + 24, PCP_NONCE_LEN);
	m->proto = p[36];
	m->internal = be16dec(p + 40);
	m->external = be16dec(p + 42);
	memcpy(m->addr, p + 44, 16);
	return r->result == PCP_OK ? 0 : -1;
}
