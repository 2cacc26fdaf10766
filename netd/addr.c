/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses of UDP endpoints, and prefixes.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <stdio.h>
#include <string.h>

#include "netd.h"

void
addr_from_derp(struct addr *a, uint16_t region)
{
	memset(a, 0, sizeof(*a));
	a->a_af = ADDR_DERP;
	a->a_port = region;
}

int
addr_eq(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int
addr_from_ss(struct addr *a, const struct sockaddr_storage *ss)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	memset(a, 0, sizeof(*a));
	if (ss->ss_family == AF_INET) {
		memcpy(&sin, ss, sizeof(sin));
		a->a_af = AF_WIRE_INET;
		memcpy(a->a_ip, &sin.sin_addr, 4);
		a->a_port = ntohs(sin.sin_port);
		return 0;
	}
	if (ss->ss_family != AF_INET6)
		return -1;
	memcpy(&sin6, ss, sizeof(sin6));
	a->a_port = ntohs(sin6.sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&sin6.sin6_addr)) {
		a->a_af = AF_WIRE_INET;
		memcpy(a->a_ip, sin6.sin6_addr.s6_addr + 12, 4);
		return 0;
	}
	a->a_af = AF_WIRE_INET6;
	memcpy(a->a_ip, &sin6.sin6_addr, 16);
	a->a_scope = sin6.sin6_scope_id;
	return 0;
}

socklen_t
addr_to_ss(const struct addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	if (a->a_af == AF_WIRE_INET) {
		memset(&sin, 0, sizeof(sin));
		sin.sin_family = AF_INET;
		sin.sin_port = htons(a->a_port);
		memcpy(&sin.sin_addr, a->a_ip, 4);
		memcpy(ss, &sin, sizeof(sin));
		return sizeof(sin);
	}
	memset(&sin6, 0, sizeof(sin6));
	sin6.sin6_family = AF_INET6;
	sin6.sin6_port = htons(a->a_port);
	sin6.sin6_scope_id = a->a_scope;
	memcpy(&sin6.sin6_addr, a->a_ip, 16);
	memcpy(ss, &sin6, sizeof(sin6));
	return sizeof(sin6);
}

void
addr_from_ep(struct addr *a, const struct msg_endpoint *ep)
{
	memset(a, 0, sizeof(*a));
	a->a_af = ep->af;
	a->a_port = ep->port;
	a->a_scope = ep->scope;
	memcpy(a->a_ip, ep->addr, ep->af == AF_WIRE_INET ? 4 : 16);
}

void
addr_to_ep(const struct addr *a, struct msg_endpoint *ep)
{
	memset(ep, 0, sizeof(*ep));
	ep->af = a->a_af;
	ep->port = a->a_port;
	ep->scope = a->a_scope;
	memcpy(ep->addr, a->a_ip, sizeof(ep->addr));
}

const char *
addr_print(const struct addr *a, char *buf)
{
	char	 ip[INET6_ADDRSTRLEN];
	size_t	 n;

	if (a->a_af == ADDR_DERP) {
		snprintf(buf, ADDR_TEXT, "derp-%u", a->a_port);
		return buf;
	}
	if (a->a_af == 0 || inet_ntop(a->a_af == AF_WIRE_INET ? AF_INET :
	    AF_INET6, a->a_ip, ip, sizeof(ip)) == NULL)
		strlcpy(ip, "none", sizeof(ip));
	snprintf(buf, ADDR_TEXT, a->a_af == AF_WIRE_INET6 ? "[%s]:%u" :
	    "%s:%u", ip, a->a_port);
	if (a->a_vni != 0) {
		n = strlen(buf);
		snprintf(buf + n, ADDR_TEXT - n, ":vni:%u", a->a_vni);
	}
	if (a->a_sock != 0) {
		n = strlen(buf);
		snprintf(buf + n, ADDR_TEXT - n, ":sock:%u", a->a_sock);
	}
	return buf;
}

int
addr_is_loopback(const struct addr *a)
{
	struct in6_addr	 in6;

	if (a->a_af == AF_WIRE_INET)
		return a->a_ip[0] == 127;
	memcpy(&in6, a->a_ip, sizeof(in6));
	return IN6_IS_ADDR_LOOPBACK(&in6);
}

int
addr_is_linklocal(const struct addr *a)
{
	if (a->a_af == AF_WIRE_INET)
		return a->a_ip[0] == 169 && a->a_ip[1] == 254;
	return a->a_ip[0] == 0xfe && (a->a_ip[1] & 0xc0) == 0x80;
}

int
addr_is_private(const struct addr *a)
{
	const uint8_t	*p = a->a_ip;

	if (a->a_af == AF_WIRE_INET6)
		return (p[0] & 0xfe) == 0xfc;
	return p[0] == 10 || (p[0] == 172 && (p[1] & 0xf0) == 16) ||
	    (p[0] == 192 && p[1] == 168);
}

int
addr_usable(const struct addr *a)
{
	static const uint8_t	 zero[16];

	if (a->a_port == 0)
		return 0;
	if (a->a_af == AF_WIRE_INET)
		return a->a_ip[0] != 0 && a->a_ip[0] < 224;
	return a->a_af == AF_WIRE_INET6 && a->a_ip[0] != 0xff &&
	    memcmp(a->a_ip, zero, 16) != 0;
}

int
prefix_has(const struct msg_prefix *p, uint8_t af, const uint8_t *ip)
{
	unsigned int	 n = p->plen / 8, rest = p->plen % 8;

	if (p->af != af || memcmp(p->addr, ip, n) != 0)
		return 0;
	return rest == 0 ||
	    ((p->addr[n] ^ ip[n]) & (0xff00 >> rest) & 0xff) == 0;
}

int
prefix_ok(const struct msg_prefix *p)
{
	unsigned int	 bits, i;

	bits = p->af == AF_WIRE_INET ? 32 : p->af == AF_WIRE_INET6 ? 128 : 0;
	if (bits == 0 || p->plen > bits)
		return 0;
	for (i = p->plen; i < 128; i++)
		if (p->addr[i / 8] & (0x80 >> (i % 8)))
			return 0;
	return 1;
}
