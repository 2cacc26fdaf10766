/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * OpenBSD and FreeBSD: fragments of UDP datagrams.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>

#include "messages.h"
#include "os.h"

/* OpenBSD has no way to set DF, which it never does by itself. */
static int
frag4(int fd, enum os_frag how)
{
#ifdef IP_DONTFRAG
	int	 v = how == OS_FRAG_NEVER;

	return setsockopt(fd, IPPROTO_IP, IP_DONTFRAG, &v, sizeof(v));
#else
	if (how != OS_FRAG_NEVER)
		return 0;
	errno = ENOPROTOOPT;
	return -1;
#endif
}

int
os_sock_frag(int fd, int af, enum os_frag how)
{
	int	 v;

	if (af != AF_WIRE_INET6)
		return frag4(fd, how);
	v = how == OS_FRAG_NEVER;
	return setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &v, sizeof(v));
}
