/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Congestion marks of IP packets: RFC 6040.
 */

#ifndef NETD_ECN_H
#define NETD_ECN_H

#include <stdint.h>

#define ECN_NOT		0
#define ECN_ECT1	1
#define ECN_ECT0	2
#define ECN_CE		3
#define ECN_MASK	3

/* The mark of an IP packet; out of the tunnel it is copied. */
static inline uint8_t
ecn_of(const uint8_t *ip)
{
	return (ip[0] >> 4 == 6 ? ip[1] >> 4 : ip[1]) & ECN_MASK;
}

/*
 * Into the tunnel's packet (at least a whole header) goes the mark of the
 * outer one, of which only that is looked at. 0, or -1: drop it.
 */
int	 ecn_in(uint8_t *, uint8_t);
/* This packet, which is ECT, has met a queue. */
void	 ecn_ce(uint8_t *);

#endif
