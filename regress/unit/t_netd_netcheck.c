/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Netcheck without a network: plans, reports, and the choice of home.
 * Rules of dataplane.md 4.2 and 4.4.
 */

/* link: ../../netd/ncplan.c ../../netd/ncreport.c ../../netd/nchome.c */
/* link: ../../netd/addr.c ../../netd/epset.c ../../netd/nchttp.c */

#include <sys/types.h>

#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/netcheck.h"

#define T0	(1000 * NSEC)
#define BOTH	(NC_NODE_V4 | NC_NODE_V6)
#define HAVE	(NC_HAVE4 | NC_HAVE6)

static struct nc_map	 map;
static struct nc_probe	 plan[NC_PROBES_MAX];
static size_t		 nplan;
static int64_t		 frames[8];

static void
want(int good, const char *what)
{
	if (!good)
		errx(1, "%s", what);
}

static void
region(uint16_t id, unsigned int nodes, uint8_t node)
{
	struct nc_region	*r = &map.m_region[map.m_n++];

	memset(r, 0, sizeof(*r));
	r->r_id = id;
	r->r_nnodes = nodes;
	memset(r->r_node, node, nodes);
}

static void
regions(unsigned int n)
{
	unsigned int	 i;

	map.m_n = 0;
	for (i = 1; i <= n; i++)
		region(i, 1, BOTH);
}

/* The k-th probe of a region and family, or NULL. */
static const struct nc_probe *
probe(uint16_t id, uint8_t af, unsigned int k)
{
	size_t	 i;

	for (i = 0; i < nplan; i++)
		if (map.m_region[plan[i].p_region].r_id == id &&
		    plan[i].p_af == af && k-- == 0)
			return &plan[i];
	return NULL;
}

static unsigned int
probes(uint16_t id, uint8_t af)
{
	unsigned int	 n = 0;

	while (probe(id, af, n) != NULL)
		n++;
	return n;
}

static struct addr
ip4(uint8_t last, uint16_t port)
{
	struct addr	 a;

	memset(&a, 0, sizeof(a));
	a.a_af = AF_WIRE_INET;
	a.a_ip[0] = 198;
	a.a_ip[1] = 51;
	a.a_ip[2] = 100;
	a.a_ip[3] = last;
	a.a_port = port;
	return a;
}

static struct addr
ip6(uint8_t last, uint16_t port)
{
	struct addr	 a;

	memset(&a, 0, sizeof(a));
	a.a_af = AF_WIRE_INET6;
	a.a_ip[0] = 0x20;
	a.a_ip[1] = 0x01;
	a.a_ip[15] = last;
	a.a_port = port;
	return a;
}

static void
heard(struct nc_report *r, uint16_t id, uint8_t af, unsigned int ms)
{
	struct addr	 a;

	a = af == AF_WIRE_INET ? ip4(1, 1) : ip6(1, 1);
	(void)nc_report_stun(r, id, &a, ms * MSEC);
}

static void
make_plan(const struct nc_report *last, uint16_t home, unsigned int have)
{
	nplan = nc_plan(&map, last, home, have, plan, NC_PROBES_MAX);
}

/* --- plans --- */

static void
test_full(void)
{
	struct nc_report	 empty;

	map.m_n = 0;
	region(1, 2, BOTH);
	region(3, 1, NC_NODE_V4);
	region(4, 0, 0);
	make_plan(NULL, 0, HAVE);
	want(probes(1, 4) == 3 && probes(1, 6) == 3, "full: three tries");
	want(probe(1, 4, 0)->p_delay == 0 && probe(1, 4, 2)->p_delay ==
	    200 * MSEC, "full: 100 ms between tries");
	want(probe(1, 4, 0)->p_node == 0 && probe(1, 4, 1)->p_node == 1 &&
	    probe(1, 4, 2)->p_node == 0, "full: nodes take turns");
	want(probes(3, 4) == 3 && probes(3, 6) == 0, "full: no IPv6 there");
	want(probes(4, 4) == 0, "full: a region without nodes");
	make_plan(NULL, 0, NC_HAVE4);
	want(probes(1, 6) == 0 && probes(1, 4) == 3, "full: IPv4 alone");
	nc_report_init(&empty);
	make_plan(&empty, 0, HAVE);
	want(probes(1, 4) == 3, "a report of nothing: full");
}

static void
test_incremental(void)
{
	struct nc_report	 r;

	regions(6);
	nc_report_init(&r);
	heard(&r, 1, 4, 50);
	heard(&r, 2, 4, 10);
	heard(&r, 3, 4, 30);
	heard(&r, 4, 4, 20);
	heard(&r, 2, 6, 10);
	make_plan(&r, 0, HAVE);
	want(probes(2, 4) == 2 && probes(2, 6) == 2, "fastest: two tries");
	want(probes(4, 4) == 2 && probes(4, 6) == 2, "second: two tries");
	want(probes(3, 4) == 1 && probes(3, 6) == 0, "third: even, IPv4");
	want(probes(1, 4) + probes(5, 4) + probes(6, 4) == 0, "three only");
	want(probe(4, 4, 1)->p_delay == 24 * MSEC, "1.2 x the last latency");

	make_plan(&r, 1, HAVE);
	want(probes(1, 4) == 4 && probes(1, 6) == 4, "home: four tries");
	want(probe(1, 4, 1)->p_delay == 60 * MSEC, "home: second try");
	want(probe(1, 4, 2)->p_delay == 220 * MSEC, "home: third try");
	want(probe(1, 4, 3)->p_delay == 330 * MSEC, "home: fourth try");
	want(probes(3, 4) == 1, "home is one more");
	make_plan(&r, 5, HAVE);
	want(probes(5, 4) == 4, "home without latency");
	want(probe(5, 4, 1)->p_delay == 200 * MSEC, "unknown: 200 ms");

	make_plan(&r, 3, NC_HAVE4);
	want(probes(3, 4) == 4 && probes(3, 6) == 0, "IPv4 alone");
}

/* IPv6 did not work: first tries of the fastest and home ask again. */
static void
test_no_ipv6(void)
{
	struct nc_report	 r;

	regions(4);
	nc_report_init(&r);
	heard(&r, 1, 4, 10);
	heard(&r, 2, 4, 20);
	heard(&r, 3, 4, 30);
	make_plan(&r, 1, HAVE);
	want(probes(1, 6) == 1 && probes(2, 6) == 1, "IPv6: one try");
	want(probes(3, 6) == 0 && probes(3, 4) == 1, "IPv6: not the third");
}

static void
test_bounds(void)
{
	size_t	 i;

	regions(NC_REGIONS_MAX);
	make_plan(NULL, 0, HAVE);
	want(nplan == NC_REGIONS_MAX * 6, "all fit");
	want(nc_plan(&map, NULL, 0, HAVE, plan, 10) == 10, "room is kept");
	for (i = 0; i < map.m_n; i++)
		memset(map.m_region[i].r_node, 0, NC_NODES_MAX);
	make_plan(NULL, 0, HAVE);
	want(nplan == 0, "nobody answers STUN");
}

/* --- reports --- */

static void
test_mapping(void)
{
	struct nc_report	 r;
	struct addr		 a = ip4(1, 1), b = ip4(1, 2);

	nc_report_init(&r);
	want(r.nr_varies == NC_UNKNOWN && r.nr_captive == NC_UNKNOWN,
	    "unknown");
	want(nc_report_stun(&r, 1, &a, MSEC) == 1, "a new region");
	want(r.nr_udp && r.nr_ipv4 && !r.nr_ipv6, "flags");
	want(r.nr_varies == NC_UNKNOWN, "one answer tells nothing");
	want(nc_report_stun(&r, 1, &a, MSEC) == 0, "a known region");
	want(r.nr_varies == 0, "equal");
	(void)nc_report_stun(&r, 2, &b, MSEC);
	want(r.nr_varies == 1, "different");
	(void)nc_report_stun(&r, 3, &a, MSEC);
	want(r.nr_varies == 1, "stays so");
	want(addr_eq(&r.nr_global4, &a), "the first one");
	a = ip6(1, 1);
	b = ip6(2, 1);
	(void)nc_report_stun(&r, 1, &a, MSEC);
	(void)nc_report_stun(&r, 2, &b, MSEC);
	want(r.nr_ipv6 && addr_eq(&r.nr_global6, &b), "IPv6: the latest");
}

static void
test_latency(void)
{
	const struct nc_lat	*l;
	struct nc_report	 r;
	struct addr		 a = ip4(1, 1), b = ip6(1, 1);

	nc_report_init(&r);
	(void)nc_report_stun(&r, 7, &a, 20 * MSEC);
	(void)nc_report_stun(&r, 7, &a, 30 * MSEC);
	(void)nc_report_stun(&r, 7, &b, 10 * MSEC);
	(void)nc_report_stun(&r, 8, &a, 0);
	l = nc_report_lat(&r, 7);
	want(l->l_any == 10 * MSEC && l->l_v4 == 20 * MSEC &&
	    l->l_v6 == 10 * MSEC, "least of each family");
	want(nc_report_lat(&r, 8)->l_any == 1, "never 0");
	want(nc_report_lat(&r, 9) == NULL, "none");
	want(nc_report_slowest(&r) == 10 * MSEC, "slowest");
	nc_report_init(&r);
	nc_report_https(&r, 7, AF_WIRE_INET6, 40 * MSEC);
	want(!r.nr_udp && r.nr_ipv6 && !r.nr_ipv4 &&
	    nc_report_lat(&r, 7)->l_any == 40 * MSEC &&
	    nc_report_lat(&r, 7)->l_v6 == 0, "https");
}

static void
test_would_help(void)
{
	struct nc_report	 r;
	struct addr		 a = ip4(1, 1), b = ip6(1, 1);

	nc_report_init(&r);
	want(nc_would_help(&r, 1, 4) && nc_would_help(&r, 1, 6), "no region");
	(void)nc_report_stun(&r, 1, &a, MSEC);
	want(nc_would_help(&r, 1, 4), "mapping is undecided");
	want(nc_would_help(&r, 1, 6), "no IPv6 yet");
	(void)nc_report_stun(&r, 1, &a, MSEC);
	want(!nc_would_help(&r, 1, 4), "mapping is decided");
	(void)nc_report_stun(&r, 1, &b, MSEC);
	want(!nc_would_help(&r, 1, 6), "IPv6 is known");
	want(nc_would_help(&r, 2, 6), "another region");
}

static void
test_globals(void)
{
	struct nc_report	 r;
	struct addr		 a[8], got[8];
	size_t			 i;

	nc_report_init(&r);
	for (i = 0; i < 8; i++)
		a[i] = ip4(1, i + 1);
	(void)nc_report_stun(&r, 1, &a[0], MSEC);
	(void)nc_report_stun(&r, 2, &a[1], MSEC);
	(void)nc_report_stun(&r, 3, &a[2], MSEC);
	(void)nc_report_stun(&r, 4, &a[2], MSEC);
	a[3] = ip6(1, 1);
	(void)nc_report_stun(&r, 4, &a[3], MSEC);
	want(nc_report_globals(&r, got, 8) == 3, "best, twice, IPv6");
	want(addr_eq(&got[0], &a[0]) && addr_eq(&got[1], &a[2]) &&
	    addr_eq(&got[2], &a[3]), "in this order");
	want(nc_report_globals(&r, got, 1) == 1, "room is kept");
	for (i = 0; i < 1000; i++) {
		a[0] = ip4(2, i + 1);
		(void)nc_report_stun(&r, i + 1, &a[0], MSEC);
	}
	want(r.nr_nseen4 == NC_SEEN_MAX && r.nr_nlat == NC_REGIONS_MAX,
	    "bounded");
}

static void
test_order(void)
{
	struct nc_report	 r;
	size_t			 o[NC_REGIONS_MAX];

	map.m_n = 0;
	region(5, 1, BOTH);
	region(4, 1, BOTH);
	region(3, 1, BOTH);
	region(2, 1, BOTH);
	nc_report_init(&r);
	heard(&r, 3, 4, 20);
	heard(&r, 5, 4, 30);
	nc_report_order(&map, &r, o);
	want(o[0] == 2 && o[1] == 0 && o[2] == 3 && o[3] == 1, "order");
}

/* --- home --- */

static int64_t
last_frame(uint16_t id)
{
	return frames[id];
}

/* One more report: latencies in ms of regions 1.., 0: no answer. */
static uint16_t
report(struct nc_history *h, int64_t now, unsigned int a, unsigned int b)
{
	struct nc_home		 ho = { &map, h->h_last.nr_preferred,
	    last_frame, now - NSEC, now };
	struct nc_report	 r;

	nc_report_init(&r);
	if (a != 0)
		heard(&r, 1, 4, a);
	if (b != 0)
		heard(&r, 2, 4, b);
	nc_history_add(h, &r, &ho);
	return r.nr_preferred;
}

static struct nc_history *
fresh(void)
{
	static struct nc_history	 h;

	nc_history_reset(&h);
	memset(&h, 0, sizeof(h));
	memset(frames, 0, sizeof(frames));
	regions(4);
	return &h;
}

static void
test_home(void)
{
	struct nc_history	*h = fresh();

	want(report(h, T0, 0, 0) == 0, "nothing answers");
	want(report(h, T0, 30, 20) == 2, "the nearest");
	want(report(h, T0, 15, 20) == 2, "not for 5 ms");
	want(report(h, T0, 5, 18) == 1, "13 ms and less than two thirds");
	h = fresh();
	want(report(h, T0, 200, 100) == 2, "far away");
	want(report(h, T0, 80, 100) == 2, "20 ms, but over two thirds");
	want(report(h, T0, 60, 100) == 1, "less than two thirds");
	want(report(h, T0, 0, 100) == 2, "old one is gone: move");
}

static void
test_memory(void)
{
	struct nc_history	*h = fresh();

	want(report(h, T0, 10, 40) == 1, "near");
	want(report(h, T0 + NC_MEMORY, 100, 40) == 1, "still remembered");
	want(report(h, T0 + NC_MEMORY + NSEC, 100, 40) == 2, "forgotten");
	want(nc_history_best(h, 2) == 40 * MSEC, "least");
	want(nc_history_best(h, 3) == 0, "never seen");
	nc_history_reset(h);
	want(nc_history_best(h, 2) == 0 && h->h_npast == 0, "another net");
}

static void
test_frames(void)
{
	struct nc_history	*h = fresh();

	want(report(h, T0, 0, 20) == 2, "home");
	frames[2] = T0 + 10 * NSEC - NSEC / 2;
	want(report(h, T0 + 10 * NSEC, 10, 0) == 2,
	    "a frame since the run began");
	frames[2] = T0 + 13 * NSEC;
	want(report(h, T0 + 20 * NSEC, 10, 0) == 2, "in the last 8 s");
	frames[2] = T0 + 11 * NSEC;
	want(report(h, T0 + 20 * NSEC, 10, 0) == 1, "9 s: it is gone");
	frames[1] = T0 + 20 * NSEC;
	want(report(h, T0 + 130 * NSEC, 0, 0) == 1, "nothing: 110 s ago");
	want(report(h, T0 + 141 * NSEC, 0, 0) == 0, "nothing: 121 s ago");
}

static void
test_score(void)
{
	struct nc_history	*h = fresh();

	map.m_region[0].r_score = 3000;
	want(report(h, T0, 20, 50) == 2, "score makes it worse");
	h = fresh();
	map.m_region[1].r_score = 500;
	want(report(h, T0, 30, 50) == 2, "score makes it better");
	map.m_region[0].r_id = 200;		/* a map without region 1 */
	want(report(h, T0, 10, 60) == 1, "not in the map: as measured");
}

static void
test_full_when(void)
{
	struct nc_history	*h = fresh();

	want(nc_want_full(h, T0), "the first");
	nc_run_begins(h, T0, 1);
	(void)report(h, T0, 10, 20);
	want(!nc_want_full(h, T0 + NC_FULL_EVERY), "5 min");
	want(nc_want_full(h, T0 + NC_FULL_EVERY + 1), "over 5 min");
	h->h_next_full = 1;
	want(nc_want_full(h, T0 + NSEC), "asked for");
	nc_run_begins(h, T0 + NSEC, 0);
	want(nc_want_full(h, T0 + NSEC), "still, after a small one");
	nc_run_begins(h, T0 + NSEC, 1);
	want(!nc_want_full(h, T0 + 2 * NSEC), "done");
	h->h_last.nr_captive = 1;
	want(!nc_want_full(h, T0 + 2 * NSEC), "a portal, but UDP passes");
	h->h_last.nr_udp = 0;
	want(nc_want_full(h, T0 + 2 * NSEC), "portal and no UDP");
}

static void
test_bounded(void)
{
	struct nc_history	*h = fresh();
	unsigned int		 i;

	for (i = 0; i < 2 * NC_PAST_MAX; i++)
		(void)report(h, T0 + i, 10, 20);
	want(h->h_npast == NC_PAST_MAX, "history is bounded");
}

static void
test_fallback(void)
{
	unsigned int	 i, seen = 0;

	regions(3);
	for (i = 0; i < 16; i++) {
		want(nc_fallback(&map, i) == nc_fallback(&map, i), "same");
		seen |= 1U << nc_fallback(&map, i);
	}
	want(seen == 0x0e, "fallback: each has its chance");
	map.m_n = 0;
	want(nc_fallback(&map, 1) == 0, "fallback: no regions");
}

/* --- endpoints --- */

static struct ep_set *
set(size_t n, const uint16_t *port)
{
	static struct ep_set	 s;
	struct addr		 a;
	size_t			 i;

	memset(&s, 0, sizeof(s));
	for (i = 0; i < n; i++) {
		a = ip4(1, port[i]);
		ep_add_addr(&s, &a, EP_STUN);
	}
	return &s;
}

static void
test_ep_set(void)
{
	static const uint16_t	 p[] = { 1, 2, 1 }, q[] = { 2, 1 };
	struct ep_set		 s = *set(3, p), t = *set(2, q);
	struct addr		 a = ip4(1, 1);

	want(s.s_n == 2, "no duplicates");
	ep_add_addr(&s, &a, EP_LOCAL);
	want(s.s_n == 2 && !ep_has_type(&s, EP_LOCAL), "first type wins");
	want(ep_has_type(&s, EP_STUN), "has the type");
	want(ep_same(&s, &t), "order does not matter");
	t.s_ep[0].type = EP_LOCAL;
	want(!ep_same(&s, &t), "types do");
	t.s_n = 1;
	want(!ep_same(&s, &t), "less");
}

static void
test_ep_cache(void)
{
	static const uint16_t	 a[] = { 1 }, b[] = { 2 };
	struct ep_cache		 c;
	struct ep_set		*s;
	uint16_t		 port;

	memset(&c, 0, sizeof(c));
	ep_cache_update(&c, set(1, a), T0);
	s = set(1, b);
	ep_cache_update(&c, s, T0 + NSEC);
	want(s->s_n == 2 && s->s_ep[0].port == 2, "the old one too");
	s = set(1, b);
	ep_cache_update(&c, s, T0 + EP_CACHE_TIME + 1);
	want(s->s_n == 1, "not for ever");
	s = set(0, b);
	ep_cache_update(&c, s, T0 + 2 * EP_CACHE_TIME + 1);
	want(s->s_n == 1, "seen again: kept longer");
	for (port = 10; port < 30; port++) {
		s = set(1, &port);
		ep_cache_update(&c, s, T0 + 3 * EP_CACHE_TIME + port);
	}
	want(s->s_n == EP_CACHE_PER_IP && c.c_n == EP_CACHE_PER_IP &&
	    s->s_ep[1].port == 24, "six of an address, the latest");
}

/* --- HTTP --- */

static void
test_http(void)
{
	static const struct {
		const char	*head;
		int		 status, captive;
	} tests[] = {
		{ "HTTP/1.1 204 No Content\r\n"
		    "X-Tailscale-Response: response ts_1.2.3.4\r\n\r\n",
		    204, 0 },
		{ "HTTP/1.0 204\r\nA: b\r\n"
		    "x-tailscale-response:  response ts_1.2.3.4 \r\n\r\n",
		    204, 0 },
		{ "HTTP/1.1 204 No Content\r\n\r\n", 204, 1 },
		{ "HTTP/1.1 204 No Content\r\n"
		    "X-Tailscale-Response: response ts_1.2.3.45\r\n\r\n",
		    204, 1 },
		{ "HTTP/1.1 200 OK\r\n"
		    "X-Tailscale-Response: response ts_1.2.3.4\r\n\r\n",
		    200, 1 },
		{ "HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n", 302, 1 },
		{ "SSH-2.0-x\r\n\r\n", -1, 1 },
		{ "HTTP/1.1", -1, 1 },
		{ "HTTP/1.1 2x4 No\r\n\r\n", -1, 1 },
		{ "", -1, 1 }
	};
	char	 buf[512];
	size_t	 i;
	int	 n;

	for (i = 0; i < nitems(tests); i++) {
		want(nc_http_status(tests[i].head) == tests[i].status,
		    tests[i].head);
		want(nc_http_captive(tests[i].head, "ts_1.2.3.4") ==
		    tests[i].captive, tests[i].head);
	}
	n = nc_http_request(buf, sizeof(buf), "h", "/p", "ts_h");
	want(n > 0 && (size_t)n == strlen(buf) && strncmp(buf,
	    "GET /p HTTP/1.1\r\nHost: h\r\n", 26) == 0 && strstr(buf,
	    "\r\nX-Tailscale-Challenge: ts_h\r\n") != NULL &&
	    strcmp(buf + n - 4, "\r\n\r\n") == 0, "request");
	n = nc_http_request(buf, sizeof(buf), "h", "/p", "");
	want(n > 0 && strstr(buf, "Challenge") == NULL, "no challenge");
	want(nc_http_request(buf, 20, "h", "/p", "") == -1, "no room");
}

static void
test_echo(void)
{
	static struct nc_report	 r;
	const struct nc_lat	*l;
	uint8_t			 req[64], ans[64];
	size_t			 n;

	n = nc_echo_build(req, "901a");
	want(n == NC_ECHO_HEAD + 4 && req[0] == 8, "an echo request");
	memcpy(ans, req, n);
	want(!nc_echo_answers(ans, n, req, n), "the request is no answer");
	ans[0] = 0;
	ans[4] = 77;			/* the socket's, as it pleases */
	want(nc_echo_answers(ans, n, req, n), "the answer");
	want(!nc_echo_answers(ans, n - 1, req, n), "a shorter answer");
	want(!nc_echo_answers(ans, 3, req, 3), "no header");
	ans[n - 1] ^= 1;
	want(!nc_echo_answers(ans, n, req, n), "another node's answer");

	nc_report_init(&r);
	want(r.nr_icmp4 == NC_UNKNOWN, "ICMP was not tried");
	nc_report_icmp(&r, 0, 0);
	want(r.nr_icmp4 == 0 && r.nr_nlat == 0, "ICMP was tried");
	nc_report_https(&r, 7, AF_WIRE_INET, 40 * MSEC);
	nc_report_icmp(&r, 7, 20 * MSEC);
	l = nc_report_lat(&r, 7);
	want(r.nr_icmp4 == 1 && r.nr_ipv4 == 1 && l != NULL &&
	    l->l_any == 20 * MSEC && l->l_v4 == 0, "latency by ICMP");
}

int
main(void)
{
	test_full();
	test_incremental();
	test_no_ipv6();
	test_bounds();
	test_mapping();
	test_latency();
	test_would_help();
	test_globals();
	test_order();
	test_home();
	test_memory();
	test_frames();
	test_score();
	test_full_when();
	test_bounded();
	test_fallback();
	test_ep_set();
	test_ep_cache();
	test_http();
	test_echo();
	return 0;
}
