/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * OpenBSD and FreeBSD: fragments and traffic classes of UDP datagrams.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <string.h>

#include "messages.h"
#include "os.h"

/* OpenBSD cannot set DF for IPv4, and never does; for IPv6 pledge forbids. */
int
os_sock_frag(int fd, int af, enum os_frag how)
{
#ifdef IP_DONTFRAG
	int	 v = how == OS_FRAG_NEVER;

	if (af == AF_WIRE_INET6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &v,
		    sizeof(v));
	return setsockopt(fd, IPPROTO_IP, IP_DONTFRAG, &v, sizeof(v));
#else
	if (how != OS_FRAG_NEVER)
		return 0;
	errno = ENOPROTOOPT;
	return -1;
#endif
}

/* OpenBSD tells and takes no class of IPv4 datagrams. */
int
os_sock_recvtos(int fd, int af)
{
	int	 on = 1;

	if (af == AF_WIRE_INET6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on,
		    sizeof(on));
#ifdef IP_RECVTOS
	return setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
#else
	errno = ENOPROTOOPT;
	return -1;
#endif
}

int
os_has_ecn(int af)
{
#ifdef IP_RECVTOS
	return 1;
#else
	return af == AF_WIRE_INET6;
#endif
}

/* FreeBSD wants one byte for IPv4. */
void
os_cmsg_tos(struct cmsghdr *cmsg, int af, int tos)
{
	if (af == AF_WIRE_INET6) {
		cmsg->cmsg_level = IPPROTO_IPV6;
		cmsg->cmsg_type = IPV6_TCLASS;
		memcpy(CMSG_DATA(cmsg), &tos, sizeof(tos));
		return;
	}
	cmsg->cmsg_level = IPPROTO_IP;
	cmsg->cmsg_type = IP_TOS;
	cmsg->cmsg_len = CMSG_LEN(1);
	CMSG_DATA(cmsg)[0] = tos;
}

int
os_cmsg_get_tos(struct cmsghdr *cmsg)
{
	int	 v;

#ifdef IP_RECVTOS
	if (cmsg->cmsg_level == IPPROTO_IP &&
	    cmsg->cmsg_type == IP_RECVTOS && cmsg->cmsg_len >= CMSG_LEN(1))
		return CMSG_DATA(cmsg)[0];
#endif
	if (cmsg->cmsg_level != IPPROTO_IPV6 ||
	    cmsg->cmsg_type != IPV6_TCLASS ||
	    cmsg->cmsg_len < CMSG_LEN(sizeof(v)))
		return -1;
	memcpy(&v, CMSG_DATA(cmsg), sizeof(v));
	return v;
}
