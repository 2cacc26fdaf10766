/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Listening sockets: what those of a relay need.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "derpd.h"

#define BACKLOG		4096
#define STUN_RCVBUF	(1024 * 1024)
#define USER_TIMEOUT	15000		/* ms; dataplane.md 3.5 */
#define KEEPIDLE	600		/* s */

static int
listen_tcp(int fd)
{
#ifdef TCP_USER_TIMEOUT
	int	 ms = USER_TIMEOUT;

	if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms,
	    sizeof(ms)) == -1)
		return -1;
#endif
#ifdef TCP_KEEPIDLE
	int	 idle = KEEPIDLE;

	if (setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle,
	    sizeof(idle)) == -1)
		return -1;
#endif
	return 0;
}

static int
listen_udp(int fd)
{
	int	 size = STUN_RCVBUF;

	return setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static int
listen_options(int fd, uint32_t flags)
{
	return flags & LISTEN_STUN ? listen_udp(fd) : listen_tcp(fd);
}

void
listen_init(void)
{
	lsock_init(BACKLOG, listen_options);
}
