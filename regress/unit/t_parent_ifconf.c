/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Which addresses and routes the parent takes from ctrld.
 */

/* link: ../../parent/ifconf.c ../../parent/url.c */

#include <err.h>
#include <errno.h>
#include <string.h>

#include "../../parent/shoald.h"

static const struct {
	const char	*addr;
	uint8_t		 plen;
	int		 as_addr;	/* errno wanted, 0: taken */
	int		 as_route;
} tests[] = {
	{ "100.64.0.1",		32,	0,	0 },
	{ "100.127.255.254",	32,	0,	0 },
	{ "100.128.0.1",	32,	EPERM,	EPERM },
	{ "100.63.255.255",	32,	EPERM,	EPERM },
	{ "10.0.0.1",		32,	EPERM,	EPERM },
	{ "127.0.0.1",		32,	EPERM,	EPERM },
	{ "100.100.100.100",	32,	EPERM,	0 },
	{ "100.64.0.0",		10,	EPERM,	0 },
	{ "100.64.0.0",		9,	EINVAL,	EINVAL },
	{ "100.0.0.0",		9,	EPERM,	EPERM },
	{ "100.64.1.0",		24,	EPERM,	0 },
	{ "100.64.1.1",		24,	EINVAL,	EINVAL },
	{ "0.0.0.0",		0,	EPERM,	EPERM },
	{ "100.64.0.1",		33,	EINVAL,	EINVAL },
	{ "fd7a:115c:a1e0::1",	128,	0,	0 },
	{ "fd7a:115c:a1e0::53",	128,	EPERM,	0 },
	{ "fd7a:115c:a1e0::",	48,	EPERM,	0 },
	{ "fd7a:115c:a1e0::",	47,	EPERM,	EPERM },
	{ "fd7a:115c:a1e1::1",	128,	EPERM,	EPERM },
	{ "::",			0,	EPERM,	EPERM },
	{ "2001:db8::1",	128,	EPERM,	EPERM },
	{ "fd7a:115c:a1e0::1",	129,	EINVAL,	EINVAL },
	{ "fd7a:115c:a1e0::1",	64,	EINVAL,	EINVAL }
};

static void
prefix(struct msg_prefix *p, const char *addr, uint8_t plen)
{
	struct msg_ip	 ip;

	memset(p, 0, sizeof(*p));
	if (ip_parse(&ip, addr) == -1)
		errx(1, "%s: no address", addr);
	p->af = ip.af;
	p->plen = plen;
	memcpy(p->addr, ip.addr, sizeof(p->addr));
}

static void
test_lists(void)
{
	struct msg_prefix	 p;
	struct ifconf		 ic;
	unsigned int		 i;

	memset(&ic, 0, sizeof(ic));
	prefix(&p, "100.64.0.1", 32);
	for (i = 0; i < IFCONF_ADDRS; i++) {
		p.addr[3] = i;
		if (ifconf_add_addr(&ic, &p) == -1)
			err(1, "address %u", i);
	}
	if (ifconf_add_addr(&ic, &p) == 0 || errno != E2BIG)
		errx(1, "addresses have no end");
	for (i = 0; i < IFCONF_ROUTES; i++) {
		p.addr[2] = 200 - (i / 2 >> 8);
		p.addr[3] = i / 2;
		if (ifconf_add_route(&ic, &p) == -1)
			err(1, "route %u", i);
	}
	if (ifconf_add_route(&ic, &p) == 0 || errno != E2BIG)
		errx(1, "routes have no end");
	ifconf_sort(&ic);
	if (ic.ic_naddrs != IFCONF_ADDRS ||
	    ic.ic_nroutes != IFCONF_ROUTES / 2)
		errx(1, "%zu addresses, %zu routes", ic.ic_naddrs,
		    ic.ic_nroutes);
	for (i = 1; i < ic.ic_nroutes; i++)
		if (prefix_cmp(&ic.ic_route[i - 1], &ic.ic_route[i]) >= 0)
			errx(1, "routes are not sorted");
	ifconf_clear(&ic);
	ifconf_sort(&ic);
}

int
main(void)
{
	struct msg_prefix	 p;
	size_t			 i;
	int			 a, r;

	for (i = 0; i < nitems(tests); i++) {
		prefix(&p, tests[i].addr, tests[i].plen);
		a = ifconf_check_addr(&p) == -1 ? errno : 0;
		r = ifconf_check_route(&p) == -1 ? errno : 0;
		if (a != tests[i].as_addr || r != tests[i].as_route)
			errx(1, "%s: address %d, route %d", prefix_print(&p),
			    a, r);
	}
	memset(&p, 0, sizeof(p));
	if (ifconf_check_addr(&p) == 0 || errno != EINVAL)
		errx(1, "no family");
	/* What stands behind four bytes of IPv4 is no address. */
	prefix(&p, "100.64.0.1", 32);
	p.addr[9] = 1;
	if (ifconf_check_addr(&p) == 0 || errno != EINVAL)
		errx(1, "bytes behind an IPv4 address");
	test_lists();
	return 0;
}
