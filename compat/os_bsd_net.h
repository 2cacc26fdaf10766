/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Between the files of the BSDs' network part.
 */

#ifndef SHOAL_OS_BSD_NET_H
#define SHOAL_OS_BSD_NET_H

#include "os.h"

/* Interface up with that MTU. 0, or -1 with errno. */
int	 bsd_if_up(const char *, uint32_t);

/* A routing socket's message for the tunnel: add (1) or remove. 0 or -1. */
int	 bsd_route_send(const struct os_tun *, const struct msg_prefix *,
	    const struct msg_ip *, int);

#endif /* SHOAL_OS_BSD_NET_H */
