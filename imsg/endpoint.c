/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses of messages as text, and as the system wants them.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <stdio.h>
#include <string.h>

#include "endpoint.h"

int
ip_parse(struct msg_ip *ip, const char *s)
{
	memset(ip, 0, sizeof(*ip));
	if (inet_pton(AF_INET, s, ip->addr) == 1)
		ip->af = AF_WIRE_INET;
	else if (inet_pton(AF_INET6, s, ip->addr) == 1)
		ip->af = AF_WIRE_INET6;
	else
		return -1;
	return 0;
}

const char *
ip_print(uint8_t af, const uint8_t *addr)
{
	static char	 buf[INET6_ADDRSTRLEN];

	if (inet_ntop(af == AF_WIRE_INET6 ? AF_INET6 : AF_INET, addr, buf,
	    sizeof(buf)) == NULL)
		return "?";
	return buf;
}

const char *
prefix_print(const struct msg_prefix *p)
{
	static char	 buf[INET6_ADDRSTRLEN + 5];

	(void)snprintf(buf, sizeof(buf), "%s/%u", ip_print(p->af, p->addr),
	    p->plen);
	return buf;
}

socklen_t
endpoint_ss(const struct msg_endpoint *ep, struct sockaddr_storage *ss)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	memset(ss, 0, sizeof(*ss));
	if (ep->af == AF_WIRE_INET) {
		memset(&sin, 0, sizeof(sin));
		sin.sin_family = AF_INET;
		sin.sin_port = htons(ep->port);
		memcpy(&sin.sin_addr, ep->addr, 4);
		memcpy(ss, &sin, sizeof(sin));
		return sizeof(sin);
	}
	memset(&sin6, 0, sizeof(sin6));
	sin6.sin6_family = AF_INET6;
	sin6.sin6_port = htons(ep->port);
	sin6.sin6_scope_id = ep->scope;
	memcpy(&sin6.sin6_addr, ep->addr, 16);
	memcpy(ss, &sin6, sizeof(sin6));
	return sizeof(sin6);
}
