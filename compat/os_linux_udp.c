/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Linux: fragments of UDP datagrams.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include "messages.h"
#include "os.h"

int
os_sock_frag(int fd, int af, enum os_frag how)
{
	int	 v;

	/* Both families have the same values. */
	v = how == OS_FRAG_NEVER ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT;
	if (af != AF_WIRE_INET6)
		return setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v,
		    sizeof(v));
	return setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v,
	    sizeof(v));
}
