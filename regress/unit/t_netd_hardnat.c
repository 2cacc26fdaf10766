/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Probing through hard NATs: who does what, which addresses and ports, and
 * what a peer that is not honest can have of us.
 */
/* link: ../../netd/hnrule.c ../../netd/addr.c */

#include <sys/types.h>

#include <arpa/inet.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/hardnat.h"

#define T0	(1000 * NSEC)

static struct hn_limits	 limits;

static void
want(int good, const char *what)
{
	if (!good)
		errx(1, "%s", what);
}

static void
test_role(void)
{
	want(hn_role(1, 0) == HN_OPENS, "hard meets one that is not");
	want(hn_role(0, 1) == HN_SPRAYS_PORTS, "and the other side");
	want(hn_role(1, 1) == HN_NONE, "two hard ones");
	want(hn_role(0, 0) == HN_NONE, "two that are not");
	want(hn_role(-1, 1) == HN_NONE, "nothing is known");
}

static const struct {
	const char	*ip;
	uint16_t	 port;
	int		 ok;
} addrs[] = {
	{ "11.1.2.1", 41641, 1 },
	{ "8.8.8.8", 1024, 1 },
	{ "100.128.0.1", 5000, 1 },
	{ "172.32.0.1", 5000, 1 },
	{ "8.8.8.8", 1023, 0 },
	{ "8.8.8.8", 0, 0 },
	{ "0.1.2.3", 5000, 0 },
	{ "10.1.2.3", 5000, 0 },
	{ "100.64.0.1", 5000, 0 },
	{ "100.127.255.1", 5000, 0 },
	{ "127.0.0.1", 5000, 0 },
	{ "169.254.1.1", 5000, 0 },
	{ "172.16.0.1", 5000, 0 },
	{ "192.0.2.1", 5000, 0 },
	{ "192.88.99.1", 5000, 0 },
	{ "192.168.1.1", 5000, 0 },
	{ "198.19.0.1", 5000, 0 },
	{ "198.51.100.1", 5000, 0 },
	{ "203.0.113.1", 5000, 0 },
	{ "224.0.0.1", 5000, 0 },
	{ "240.0.0.1", 5000, 0 },
	{ "255.255.255.255", 5000, 0 }
};

static void
addr_make(struct addr *a, const char *ip, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	a->a_af = AF_WIRE_INET;
	a->a_port = port;
	want(inet_pton(AF_INET, ip, a->a_ip) == 1, ip);
}

static void
test_addr(void)
{
	struct addr	 a;
	size_t		 i;

	for (i = 0; i < nitems(addrs); i++) {
		addr_make(&a, addrs[i].ip, addrs[i].port);
		want(hn_addr_ok(&a) == addrs[i].ok, addrs[i].ip);
	}
	addr_make(&a, "8.8.8.8", 5000);
	a.a_vni = 1;
	want(!hn_addr_ok(&a), "a peer relay's place");
	memset(&a, 0x20, sizeof(a));
	a.a_vni = a.a_sock = 0;
	a.a_af = AF_WIRE_INET6;
	want(!hn_addr_ok(&a), "IPv6 has no such NAT");
}

/*
 * All ports once before one comes again, whatever the start; and a NAT that
 * gives out neighbouring ports is met by a fraction of the probes.
 */
static void
test_ports(void)
{
	static uint8_t	 seen[65536];
	unsigned int	 i, hit, first = arc4random_uniform(HN_PORTS - 256);
	uint32_t	 start = arc4random();

	for (i = 0; i < HN_PORTS; i++) {
		want(hn_port(start, i) >= HN_PORT_MIN, "below 1024");
		want(!seen[hn_port(start, i)]++, "a port comes twice");
	}
	want(hn_port(start, HN_PORTS) == hn_port(start, 0), "the circle");
	for (hit = 0; hit < HN_PROBES; hit++)
		if (hn_port(start, hit) - HN_PORT_MIN - first < 256)
			break;
	want(hit < 700, "256 ports in a row are met soon");
}

/* 256 random ports, as a symmetric NAT gives them out: how often, how soon. */
static void
test_chance(void)
{
	static uint8_t	 open[65536];
	static unsigned int hist[HN_PROBES + 1];
	unsigned int	 i, try, sum, half = 0, bad;
	uint32_t	 start;

	for (try = 0; try < 2000; try++) {
		memset(open, 0, sizeof(open));
		for (i = 0; i < HN_SOCKS + 1; i++)
			open[HN_PORT_MIN + arc4random_uniform(HN_PORTS)] = 1;
		start = arc4random();
		for (i = 0; i < HN_PROBES; i++)
			if (open[hn_port(start, i)])
				break;
		hist[i]++;
	}
	for (i = sum = 0; i < HN_PROBES && half == 0; i++)
		if ((sum += hist[i]) >= 1000)
			half = i + 1;
	bad = hist[HN_PROBES];
	want(half > 100 && half < 260, "half of them by some 175 probes");
	want(bad <= 8, "four of 10,000 fail");
}

/* One peer: once in 2 minutes, each failure doubles that, up to an hour. */
static void
test_peer(void)
{
	int64_t		 now = T0, gap = HN_GAP;
	unsigned int	 i, n;

	memset(&limits, 0, sizeof(limits));
	want(!hn_agreed(&limits, 7, now, 0), "never asked");
	for (i = 0; i < 10; i++) {
		want(hn_begin(&limits, 7, now), "a try");
		want(!hn_begin(&limits, 7, now + gap - 1), "too soon");
		now += gap;
		if (i < HN_GAP_MAX)
			gap *= 2;
	}
	want(gap <= 64 * 60 * NSEC, "no more than about an hour");
	hn_worked(&limits, 7);
	want(hn_begin(&limits, 7, now), "in time");
	want(hn_begin(&limits, 7, now + HN_GAP), "what worked may come again");

	/* A peer that asks for it all the time, for a day. */
	memset(&limits, 0, sizeof(limits));
	for (now = T0, n = 0; now < T0 + 86400 * NSEC; now += NSEC)
		n += hn_begin(&limits, 7, now);
	want(n < 30, "some 27 a day");
}

static void
test_agreed(void)
{
	memset(&limits, 0, sizeof(limits));
	want(hn_begin(&limits, 7, T0), "a try");
	want(hn_agreed(&limits, 7, T0, 0), "agreed");
	want(!hn_agreed(&limits, 8, T0, 0), "not with that one");
	want(hn_agreed(&limits, 7, T0 + HN_CONSENT - 1, 1), "and used");
	want(!hn_agreed(&limits, 7, T0 + 1, 1), "once");
	want(hn_begin(&limits, 8, T0), "another");
	want(!hn_agreed(&limits, 8, T0 + HN_CONSENT, 0), "not for ever");
}

/* A table that is full of what still binds refuses. */
static void
test_full(void)
{
	unsigned int	 i;

	memset(&limits, 0, sizeof(limits));
	for (i = 1; i <= HN_PEERS; i++)
		want(hn_begin(&limits, i, T0 + i), "a try");
	want(!hn_begin(&limits, i, T0 + i), "one too many");
	want(!hn_begin(&limits, 1, T0 + i), "nothing was forgotten");
	want(hn_begin(&limits, i, T0 + HN_GAP + 1), "the oldest goes");
	want(!hn_begin(&limits, i + 1, T0 + HN_GAP + 1), "and no other");
}

/* Peers that name one address, or many: it is the address that counts. */
static void
test_dest(void)
{
	struct addr	 a;
	unsigned int	 i, n = 0;
	char		 ip[32];

	memset(&limits, 0, sizeof(limits));
	addr_make(&a, "11.1.2.1", 5000);
	want(hn_dest_take(&limits, &a, T0), "an address");
	a.a_port++;
	want(!hn_dest_take(&limits, &a, T0 + HN_GAP - 1), "too soon");
	want(hn_dest_take(&limits, &a, T0 + HN_GAP), "in time");
	memset(&limits, 0, sizeof(limits));
	for (i = 1; i < 100; i++) {
		(void)snprintf(ip, sizeof(ip), "11.1.3.%u", i);
		addr_make(&a, ip, 5000);
		n += hn_dest_take(&limits, &a, T0 + i);
	}
	want(n == HN_DESTS, "so many addresses and no more");
}

int
main(void)
{
	test_role();
	test_addr();
	test_ports();
	test_chance();
	test_peer();
	test_agreed();
	test_full();
	test_dest();
	return 0;
}
