/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Linux: fragments and traffic classes of UDP datagrams.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <string.h>

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

int
os_sock_recvtos(int fd, int af)
{
	int	 on = 1;

	if (af == AF_WIRE_INET6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on,
		    sizeof(on));
	return setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
}

int
os_has_ecn(int af)
{
	return 1;
}

void
os_cmsg_tos(struct cmsghdr *cmsg, int af, int tos)
{
	if (af == AF_WIRE_INET6) {
		cmsg->cmsg_level = IPPROTO_IPV6;
		cmsg->cmsg_type = IPV6_TCLASS;
	} else {
		cmsg->cmsg_level = IPPROTO_IP;
		cmsg->cmsg_type = IP_TOS;
	}
	memcpy(CMSG_DATA(cmsg), &tos, sizeof(tos));
}

int
os_cmsg_get_tos(struct cmsghdr *cmsg)
{
	int	 v;

	if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_TOS &&
	    cmsg->cmsg_len >= CMSG_LEN(1))
		return CMSG_DATA(cmsg)[0];
	if (cmsg->cmsg_level != IPPROTO_IPV6 ||
	    cmsg->cmsg_type != IPV6_TCLASS ||
	    cmsg->cmsg_len < CMSG_LEN(sizeof(v)))
		return -1;
	memcpy(&v, CMSG_DATA(cmsg), sizeof(v));
	return v;
}
