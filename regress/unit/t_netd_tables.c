/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * netd's tables: slots of keys, indices, deadlines, routes, load.
 */

/* link: ../../netd/session.c ../../netd/index.c ../../netd/heap.c */
/* link: ../../netd/routes.c ../../netd/cookie.c ../../netd/addr.c */

#include <sys/types.h>
#include <sys/endian.h>

#include <arpa/inet.h>

#include <err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/netd.h"

static struct idx_table	 it;
static const uint8_t	 key[32];

static void
want(int good, const char *what)
{
	if (!good)
		errx(1, "%s", what);
}

static struct keypair *
pair(int initiator)
{
	struct keypair	*k;
	uint32_t	 index;

	index = idx_new(&it, IDX_KEYPAIR, NULL);
	k = keypair_new(key, key, index, 1, initiator, NSEC);
	idx_find(&it, index)->ie_ptr = k;
	return k;
}

static int
live(uint32_t index)
{
	return idx_find(&it, index) != NULL;
}

/* dataplane.md 1.5, row by row. */
static void
test_slots(void)
{
	struct slots	 sl;
	struct keypair	*a, *b, *c;
	uint32_t	 ia, ib, ic;

	memset(&sl, 0, sizeof(sl));
	a = pair(1);
	b = pair(1);
	ia = a->k_local;
	slots_initiator(&sl, &it, a);
	want(sl.sl_cur == a && sl.sl_prev == NULL, "first of initiator");
	slots_initiator(&sl, &it, b);
	want(sl.sl_cur == b && sl.sl_prev == a, "second of initiator");
	c = pair(0);
	ic = c->k_local;
	slots_responder(&sl, &it, c);
	want(sl.sl_next == c && sl.sl_cur == b && sl.sl_prev == NULL &&
	    !live(ia), "responder takes next, previous goes");
	want(!slots_received(&sl, &it, b), "packet under current");
	ib = b->k_local;
	a = pair(1);
	slots_initiator(&sl, &it, a);
	want(sl.sl_prev == c && sl.sl_next == NULL && sl.sl_cur == a &&
	    !live(ib) && live(ic), "initiator with a next");
	b = pair(0);
	slots_responder(&sl, &it, b);
	c = pair(0);
	ib = b->k_local;
	slots_responder(&sl, &it, c);
	want(sl.sl_next == c && !live(ib), "newer next");
	want(slots_received(&sl, &it, c), "packet under next");
	want(sl.sl_cur == c && sl.sl_prev == a && sl.sl_next == NULL,
	    "next becomes current");
	want(!slots_received(&sl, &it, c), "only once");
	slots_wipe(&sl, &it);
	want(it.it_n == 0, "wiped indices");
}

static void
test_usable(void)
{
	struct keypair	*k = pair(1);

	want(!keypair_usable(NULL, 0), "no key");
	want(keypair_usable(k, 180 * NSEC), "179 s old");
	want(!keypair_usable(k, 181 * NSEC), "180 s old");
	k->k_counter = WG_REJECT_AFTER_MESSAGES - 1;
	want(keypair_usable(k, NSEC), "last counter");
	k->k_counter++;
	want(!keypair_usable(k, NSEC), "counter used up");
	keypair_delete(&it, k);
}

static void
test_index(void)
{
	static uint32_t	 have[3000];
	size_t		 i, j;

	for (i = 0; i < nitems(have); i++)
		have[i] = idx_new(&it, IDX_PENDING, &have[i]);
	for (i = 0; i < nitems(have); i += 3)
		idx_delete(&it, have[i]);
	for (i = 0; i < nitems(have); i++) {
		if (i % 3 == 0)
			want(idx_find(&it, have[i]) == NULL, "deleted");
		else
			want(idx_find(&it, have[i])->ie_ptr == &have[i],
			    "found");
	}
	for (i = 0; i < nitems(have); i++)
		idx_delete(&it, have[i]);
	want(it.it_n == 0, "empty table");
	/* Indices tell nothing of one another. */
	for (i = 0, j = 0; i + 1 < nitems(have); i++)
		if (have[i + 1] - have[i] < 4096)
			j++;
	want(j < 10, "random indices");
}

static void
test_heap(void)
{
	static struct heap_node	 node[500];
	struct heap		 h = { NULL, 0, 0 };
	struct heap_node	*hn;
	int64_t			 last;
	size_t			 i;

	for (i = 0; i < nitems(node); i++)
		heap_set(&h, &node[i], arc4random_uniform(1000));
	for (i = 0; i < nitems(node); i += 2)
		heap_set(&h, &node[i], arc4random_uniform(1000));
	for (i = 0; i < nitems(node); i += 5)
		heap_remove(&h, &node[i]);
	for (i = 0, last = -1; (hn = heap_first(&h)) != NULL; i++) {
		want(hn->hn_when >= last, "order of deadlines");
		last = hn->hn_when;
		heap_remove(&h, hn);
		heap_remove(&h, hn);
	}
	want(i == nitems(node) - nitems(node) / 5, "all deadlines");
	heap_free(&h);
}

static struct msg_prefix
prefix(const char *ip, uint8_t plen)
{
	struct msg_prefix	 p;

	memset(&p, 0, sizeof(p));
	p.plen = plen;
	p.af = strchr(ip, ':') ? AF_WIRE_INET6 : AF_WIRE_INET;
	if (inet_pton(p.af == AF_WIRE_INET ? AF_INET : AF_INET6, ip,
	    p.addr) != 1)
		errx(1, "%s", ip);
	return p;
}

static const struct {
	const char	*ip;
	uint8_t		 plen;
	long		 to;
} routes[] = {
	{ "0.0.0.0", 0, 1 }, { "10.0.0.0", 8, 2 }, { "10.1.0.0", 16, 3 },
	{ "10.1.2.128", 25, 4 }, { "100.64.0.1", 32, 5 },
	{ "100.64.0.2", 32, 6 }, { "fd7a:115c:a1e0::1", 128, 7 },
	{ "fd7a::", 16, 8 }, { "10.0.0.0", 8, 9 }
};
static const struct {
	const char	*ip;
	long		 to;
} lookups[] = {
	{ "10.2.0.1", 2 }, { "10.1.0.1", 3 }, { "10.1.2.127", 3 },
	{ "10.1.2.129", 4 }, { "100.64.0.1", 5 }, { "100.64.0.2", 6 },
	{ "100.64.0.3", 1 }, { "255.255.255.255", 1 },
	{ "fd7a:115c:a1e0::1", 7 }, { "fd7a::2", 8 }, { "fd7b::2", 0 }
};

static void
test_routes(void)
{
	struct msg_prefix	 p;
	struct routes		*rs = routes_new(nitems(routes));
	size_t			 i;
	int			 ret;

	want(routes_find(NULL, AF_WIRE_INET, key) == NULL, "no table");
	for (i = 0; i < nitems(routes); i++) {
		p = prefix(routes[i].ip, routes[i].plen);
		ret = routes_add(rs, &p, (void *)(intptr_t)routes[i].to);
		want(ret == (i == nitems(routes) - 1 ? -1 : 0), "add");
	}
	for (i = 0; i < nitems(lookups); i++) {
		p = prefix(lookups[i].ip, 0);
		if ((intptr_t)routes_find(rs, p.af, p.addr) !=
		    lookups[i].to)
			errx(1, "route of %s", lookups[i].ip);
	}
	routes_free(rs);
	p = prefix("10.1.2.0", 23);
	want(prefix_ok(&p), "good prefix");
	want(prefix_has(&p, AF_WIRE_INET, (const uint8_t *)"\12\1\3\377"),
	    "inside");
	want(!prefix_has(&p, AF_WIRE_INET, (const uint8_t *)"\12\1\4\0"),
	    "outside");
	want(!prefix_has(&p, AF_WIRE_INET6, (const uint8_t *)
	    "\12\1\3\0\0\0\0\0\0\0\0\0\0\0\0\0"), "other family");
	p = prefix("10.1.3.0", 23);
	want(!prefix_ok(&p), "host bits");
	p = prefix("10.0.0.0", 33);
	want(!prefix_ok(&p), "length");
}

/*
 * Prefixes come and go: the table says the same as a list of them does, and
 * what is gone leaves no hole that others cannot be found behind.
 */
static void
test_routes_change(void)
{
	static const uint8_t	 plens[] = { 8, 16, 24, 31, 32 };
	static struct {
		struct msg_prefix p;
		intptr_t	 to;	/* 0: not in the table */
	} all[600];
	struct routes		*rs = routes_new(nitems(all));
	uint8_t			 ip[16];
	intptr_t		 best;
	uint32_t		 r = 12345, op, i, k;
	int			 plen;

	memset(ip, 0, sizeof(ip));
	for (i = 0; i < nitems(all); i++) {
		r = r * 1103515245 + 12345;
		all[i].p.af = AF_WIRE_INET;
		all[i].p.plen = plens[i % nitems(plens)];
		be32enc(all[i].p.addr, (0x0a000000 + (i / 5) * 0x10101) &
		    ~(uint32_t)((1ULL << (32 - all[i].p.plen)) - 1));
	}
	for (op = 0; op < 40000; op++) {
		r = r * 1103515245 + 12345;
		i = (r >> 8) % nitems(all);
		want(routes_room(rs, 1), "room");
		if (all[i].to != 0) {
			routes_del(rs, &all[i].p, &all[0]);
			routes_del(rs, &all[i].p, (void *)all[i].to);
			all[i].to = 0;
		} else if (routes_add(rs, &all[i].p,
		    (void *)(intptr_t)(i + 1)) == 0)
			all[i].to = i + 1;
		k = (r >> 4) % nitems(all);
		memcpy(ip, all[k].p.addr, 4);
		for (best = 0, plen = -1, i = 0; i < nitems(all); i++)
			if (all[i].to != 0 && all[i].p.plen > plen &&
			    (be32dec(ip) ^ be32dec(all[i].p.addr)) >>
			    (32 - all[i].p.plen) == 0) {
				plen = all[i].p.plen;
				best = all[i].to;
			}
		want((intptr_t)routes_find(rs, AF_WIRE_INET, ip) == best,
		    "after a change");
	}
	for (i = 0; i < nitems(all); i++)
		routes_del(rs, &all[i].p, (void *)all[i].to);
	for (i = 0; i < nitems(all); i++)
		want(routes_find(rs, AF_WIRE_INET, all[i].p.addr) == NULL,
		    "nothing is left");
	routes_free(rs);
}

/* Under load a cookie is asked for; a source has its own allowance. */
static void
test_load(void)
{
	static struct load	 l;
	struct addr		 src, other;
	uint8_t			 msg[WG_INITIATION_LEN] = { 1 };
	uint8_t			 cookie[WG_COOKIE_LEN], pub[32] = { 9 };
	int64_t			 now = 1000 * NSEC;
	int			 i, n;

	memset(&src, 0, sizeof(src));
	src.a_af = AF_WIRE_INET;
	src.a_ip[0] = 192;
	src.a_port = 1;
	other = src;
	other.a_port = 2;
	want(load_check(&l, msg, sizeof(msg), &src, now, cookie) ==
	    LOAD_PASS, "idle");
	l.l_pending = LOAD_QUEUE;
	want(load_check(&l, msg, sizeof(msg), &src, now, cookie) ==
	    LOAD_COOKIE, "loaded, no cookie");
	if (wg_mac_append(msg, sizeof(msg), pub, cookie) == -1)
		err(1, "mac");
	want(load_check(&l, msg, sizeof(msg), &other, now, cookie) ==
	    LOAD_COOKIE, "cookie of another port");
	for (n = i = 0; i < 20; i++)
		n += load_check(&l, msg, sizeof(msg), &src, now, cookie) ==
		    LOAD_PASS;
	want(n == RATE_BURST, "burst of a source");
	want(load_check(&l, msg, sizeof(msg), &src, now + NSEC / 20,
	    cookie) == LOAD_PASS, "20 a second");
	l.l_pending = 0;
	want(load_check(&l, msg, sizeof(msg), &other, now + NSEC, cookie) ==
	    LOAD_COOKIE, "a second after the load");
	want(load_check(&l, msg, sizeof(msg), &other, now + 3 * NSEC,
	    cookie) == LOAD_PASS, "load is over");
	l.l_pending = LOAD_QUEUE;
	want(load_check(&l, msg, sizeof(msg), &src, now + 121 * NSEC,
	    cookie) == LOAD_COOKIE, "secret is replaced after 120 s");
	l.l_pending = LOAD_QUEUE_MAX;
	want(load_check(&l, msg, sizeof(msg), &src, now, cookie) ==
	    LOAD_DROP, "queue is full");
}

int
main(void)
{
	test_slots();
	test_usable();
	test_index();
	test_heap();
	test_routes();
	test_routes_change();
	test_load();
	return 0;
}
