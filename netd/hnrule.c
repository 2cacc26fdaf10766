/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Probing through hard NATs: who does what, and the bounds of it; pure.
 *
 * A peer that is not honest must not be able to turn us against somebody
 * else. What it can have of us: HN_PROBES datagrams of a ping's size at
 * HN_RATE a second, to high ports of one public address; and that only while
 * we send to it ourselves by a relay, once in HN_GAP and then more and more
 * seldom, since a try counts as failed until there is a path. Peers that
 * join forces gain little: an address is probed once in HN_GAP whoever names
 * it, HN_DESTS of them in that time, HN_SPRAYS at once. Tables that are full
 * refuse; nothing is evicted that still binds.
 */

#include <sys/types.h>

#include <stdint.h>
#include <string.h>

#include "hardnat.h"

#define STRIDE	39871			/* golden section of HN_PORTS */

static struct hn_entry	*entry_find(struct hn_limits *, uint64_t);
static struct hn_entry	*entry_new(struct hn_limits *, int64_t);

enum hn_role
hn_role(int own, int peer)
{
	if (own == 1 && peer == 0)
		return HN_OPENS;
	if (own == 0 && peer == 1)
		return HN_SPRAYS_PORTS;
	return HN_NONE;
}

/*
 * Nothing that is near us, or belongs to nobody: RFC 6890. Where a node has
 * such an address as its outside one, there is no NAT worth the trouble.
 */
int
hn_addr_ok(const struct addr *a)
{
	const uint8_t	*ip = a->a_ip;

	if (a->a_af != AF_WIRE_INET || a->a_vni != 0 || a->a_sock != 0 ||
	    a->a_port < HN_PORT_MIN || !addr_usable(a) ||
	    addr_is_loopback(a) || addr_is_linklocal(a) || addr_is_private(a))
		return 0;
	if (ip[0] == 0 || ip[0] >= 224 ||
	    (ip[0] == 100 && (ip[1] & 0xc0) == 64) ||
	    (ip[0] == 192 && ip[1] == 0 && (ip[2] == 0 || ip[2] == 2)) ||
	    (ip[0] == 192 && ip[1] == 88 && ip[2] == 99) ||
	    (ip[0] == 198 && (ip[1] & 0xfe) == 18) ||
	    (ip[0] == 198 && ip[1] == 51 && ip[2] == 100) ||
	    (ip[0] == 203 && ip[1] == 0 && ip[2] == 113))
		return 0;
	return 1;
}

/*
 * The stride has no divisor in common with the number of ports, and spreads
 * the probes evenly at any time: a NAT that gives out neighbouring ports is
 * met the sooner, one that gives out random ones no later.
 */
uint16_t
hn_port(uint32_t start, unsigned int n)
{
	return HN_PORT_MIN + (start % HN_PORTS + (uint64_t)n * STRIDE) %
	    HN_PORTS;
}

static struct hn_entry *
entry_find(struct hn_limits *l, uint64_t peer)
{
	unsigned int	 i;

	for (i = 0; i < HN_PEERS; i++)
		if (l->hl_entry[i].he_peer == peer)
			return &l->hl_entry[i];
	return NULL;
}

/* One that is free, or the oldest that binds no more. */
static struct hn_entry *
entry_new(struct hn_limits *l, int64_t now)
{
	struct hn_entry	*he, *best = NULL;
	unsigned int	 i;

	for (i = 0; i < HN_PEERS; i++) {
		he = &l->hl_entry[i];
		if (he->he_peer == 0)
			return he;
		if (he->he_next <= now &&
		    (best == NULL || he->he_next < best->he_next))
			best = he;
	}
	if (best != NULL)
		memset(best, 0, sizeof(*best));
	return best;
}

int
hn_begin(struct hn_limits *l, uint64_t peer, int64_t now)
{
	struct hn_entry	*he;

	if ((he = entry_find(l, peer)) == NULL) {
		if ((he = entry_new(l, now)) == NULL)
			return 0;
		he->he_peer = peer;
	} else if (now < he->he_next)
		return 0;
	he->he_next = now + (HN_GAP << he->he_fails);
	he->he_open = now + HN_CONSENT;
	if (he->he_fails < HN_GAP_MAX)
		he->he_fails++;
	return 1;
}

int
hn_agreed(struct hn_limits *l, uint64_t peer, int64_t now, int use)
{
	struct hn_entry	*he;

	if ((he = entry_find(l, peer)) == NULL || now >= he->he_open)
		return 0;
	if (use)
		he->he_open = 0;
	return 1;
}

void
hn_worked(struct hn_limits *l, uint64_t peer)
{
	struct hn_entry	*he;

	if ((he = entry_find(l, peer)) != NULL)
		he->he_fails = 0;
}

int
hn_dest_take(struct hn_limits *l, const struct addr *a, int64_t now)
{
	unsigned int	 i, slot = HN_DESTS;

	for (i = 0; i < HN_DESTS; i++) {
		if (l->hl_dest[i].d_until <= now)
			slot = i;
		else if (memcmp(l->hl_dest[i].d_ip, a->a_ip, 4) == 0)
			return 0;
	}
	if (slot == HN_DESTS)
		return 0;
	memcpy(l->hl_dest[slot].d_ip, a->a_ip, 4);
	l->hl_dest[slot].d_until = now + HN_GAP;
	return 1;
}
