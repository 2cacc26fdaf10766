/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Check what ctrld asks for on the tunnel: it is taken for taken over.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shoald.h"

/* The tailnet ranges, features.md 4.1, and the service addresses in them. */
static const struct msg_prefix	 range4 = {
	AF_WIRE_INET, 10, { 0, 0 }, { 100, 64 }
};
static const struct msg_prefix	 range6 = {
	AF_WIRE_INET6, 48, { 0, 0 }, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 }
};
static const uint8_t	 service4[4] = { 100, 100, 100, 100 };
static const uint8_t	 service6[16] = {
	0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53
};

static unsigned int
af_bits(uint8_t af)
{
	return af == AF_WIRE_INET ? 32 : af == AF_WIRE_INET6 ? 128 : 0;
}

/* Is addr inside the prefix? */
static int
prefix_has(const struct msg_prefix *p, uint8_t af, const uint8_t *addr)
{
	unsigned int	 i;

	if (p->af != af)
		return 0;
	for (i = 0; i < p->plen; i++)
		if ((p->addr[i / 8] ^ addr[i / 8]) & (0x80 >> (i % 8)))
			return 0;
	return 1;
}

int
ip_is_tailnet(const struct msg_ip *ip)
{
	return prefix_has(&range4, ip->af, ip->addr) ||
	    prefix_has(&range6, ip->af, ip->addr);
}

int
ip_is_service(const struct msg_ip *ip)
{
	return (ip->af == AF_WIRE_INET &&
	    memcmp(ip->addr, service4, sizeof(service4)) == 0) ||
	    (ip->af == AF_WIRE_INET6 &&
	    memcmp(ip->addr, service6, sizeof(service6)) == 0);
}

/* Family, length, and nothing set beyond the length. */
static int
prefix_ok(const struct msg_prefix *p)
{
	unsigned int	 bits = af_bits(p->af), i;

	if (bits == 0 || p->plen > bits)
		return 0;
	for (i = p->plen; i < 128; i++)
		if (p->addr[i / 8] & (0x80 >> (i % 8)))
			return 0;
	return 1;
}

int
ifconf_check_route(const struct msg_prefix *p)
{
	if (!prefix_ok(p)) {
		errno = EINVAL;
		return -1;
	}
	if ((prefix_has(&range4, p->af, p->addr) && p->plen >= range4.plen) ||
	    (prefix_has(&range6, p->af, p->addr) && p->plen >= range6.plen))
		return 0;
	errno = EPERM;
	return -1;
}

int
ifconf_check_addr(const struct msg_prefix *p)
{
	struct msg_ip	 ip;

	if (!prefix_ok(p)) {
		errno = EINVAL;
		return -1;
	}
	memset(&ip, 0, sizeof(ip));
	ip.af = p->af;
	memcpy(ip.addr, p->addr, sizeof(ip.addr));
	if (p->plen == af_bits(p->af) && ip_is_tailnet(&ip) &&
	    !ip_is_service(&ip))
		return 0;
	errno = EPERM;
	return -1;
}

int
ifconf_add_addr(struct ifconf *ic, const struct msg_prefix *p)
{
	if (ifconf_check_addr(p) == -1)
		return -1;
	if (ic->ic_naddrs == IFCONF_ADDRS) {
		errno = E2BIG;
		return -1;
	}
	ic->ic_addr[ic->ic_naddrs] = *p;
	memset(ic->ic_addr[ic->ic_naddrs++].pad, 0, sizeof(p->pad));
	return 0;
}

int
ifconf_add_route(struct ifconf *ic, const struct msg_prefix *p)
{
	struct msg_prefix	*r;
	size_t			 size;

	if (ifconf_check_route(p) == -1)
		return -1;
	if (ic->ic_nroutes == IFCONF_ROUTES) {
		errno = E2BIG;
		return -1;
	}
	if (ic->ic_nroutes == ic->ic_size) {
		size = ic->ic_size == 0 ? 64 : ic->ic_size * 2;
		if ((r = reallocarray(ic->ic_route, size, sizeof(*r))) == NULL)
			return -1;
		ic->ic_route = r;
		ic->ic_size = size;
	}
	ic->ic_route[ic->ic_nroutes] = *p;
	memset(ic->ic_route[ic->ic_nroutes++].pad, 0, sizeof(p->pad));
	return 0;
}

int
prefix_cmp(const void *va, const void *vb)
{
	return memcmp(va, vb, sizeof(struct msg_prefix));
}

static size_t
prefix_unique(struct msg_prefix *p, size_t n)
{
	size_t	 i, k = 0;

	if (n == 0)
		return 0;
	qsort(p, n, sizeof(*p), prefix_cmp);
	for (i = 1; i < n; i++)
		if (prefix_cmp(&p[k], &p[i]) != 0)
			p[++k] = p[i];
	return k + 1;
}

void
ifconf_sort(struct ifconf *ic)
{
	ic->ic_naddrs = prefix_unique(ic->ic_addr, ic->ic_naddrs);
	ic->ic_nroutes = prefix_unique(ic->ic_route, ic->ic_nroutes);
}

void
ifconf_clear(struct ifconf *ic)
{
	free(ic->ic_route);
	memset(ic, 0, sizeof(*ic));
}
