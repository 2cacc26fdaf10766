/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packets larger than the path carries: the stack is told.
 */

#ifndef NETD_PTB_H
#define NETD_PTB_H

#include <stddef.h>
#include <stdint.h>

#define PTB_MAX		1280

struct vnet_hdr;

/* Length of the largest segment that will be made of this packet. */
size_t	 ptb_largest(const struct vnet_hdr *, const uint8_t *, size_t);
/* May it not be cut on its way: IPv6, or DF? */
int	 ptb_wanted(const uint8_t *);
/*
 * (packet, its length, os_now()): may it be answered now? RFC 4443, 2.4 (f)
 * wants a limit. It is one for each flow: who does not listen is answered no
 * more for a while, and others find out what the path carries nevertheless.
 */
int	 ptb_allowed(const uint8_t *, size_t, int64_t);
/*
 * The ICMP error for a packet (of at least its header) that is too big:
 * (buffer of PTB_MAX, packet, its length, what the path carries). Its length.
 * It comes from where the packet went: an address of this host's own would
 * not be taken from the tunnel.
 */
size_t	 ptb_build(uint8_t *, const uint8_t *, size_t, uint32_t);

#endif
