/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packet parser and packet filter against the vectors.
 */
/* link: vec.c */

#include <sys/socket.h>

#include <arpa/inet.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "netmap.h"
#include "vec.h"

static void	 add_local(struct filter_builder *, json_t *);
static void	 add_rule(struct filter_builder *, const struct nm_rule *);
static struct filter
		*build(json_t *);
static int	 has_cap(void *, const struct pkt *, unsigned int);
static void	 check_addr(json_t *, const char *, const struct pkt *,
		    const uint8_t *, uint16_t);
static void	 check_parsed(json_t *, const struct pkt *);
static size_t	 run_case(json_t *);

static struct filter	*filter;

static void
add_local(struct filter_builder *b, json_t *nets)
{
	struct filter_range	 r;
	struct nm_prefix	 p;
	json_t			*net;
	size_t			 i;
	int			 bit;

	json_array_foreach(nets, i, net) {
		if (nm_prefix_parse(json_string_value(net), &p) == -1)
			vec_fail("local net");
		memset(&r, 0, sizeof(r));
		r.fr_version = p.np_version;
		memcpy(r.fr_lo, p.np_addr, 16);
		memcpy(r.fr_hi, p.np_addr, 16);
		for (bit = p.np_plen; bit < (p.np_version == 4 ? 32 : 128);
		    bit++)
			r.fr_hi[bit / 8] |= 0x80 >> (bit % 8);
		if (filter_build_local(b, &r) == -1)
			vec_fail("local net");
	}
}

static void
add_rule(struct filter_builder *b, const struct nm_rule *r)
{
	uint32_t	 i;

	/* The parsed form has the default written out. */
	if (filter_build_rule(b) == -1 || filter_build_proto(b, -1) == -1)
		vec_fail("rule");
	for (i = 0; i < r->r_nprotos; i++)
		if (filter_build_proto(b, r->r_protos[i]) == -1)
			vec_fail("protocol");
	for (i = 0; i < r->r_nsrcs; i++)
		if (filter_build_src(b, &r->r_srcs[i]) == -1)
			vec_fail("source");
	for (i = 0; i < r->r_nsrccaps; i++)
		if (filter_build_cap(b, r->r_srccaps[i]) == -1)
			vec_fail("capability");
	for (i = 0; i < r->r_ndsts; i++)
		if (filter_build_dst(b, &r->r_dsts[i]) == -1)
			vec_fail("destination");
}

static struct filter *
build(json_t *c)
{
	struct filter_builder	*b;
	struct filter		*f;
	struct nm_rule		*rules = NULL;
	json_t			*jrules;
	uint32_t		 i, n = 0;
	uint8_t			 refused = 0;

	if ((b = filter_build_start()) == NULL)
		err(1, NULL);
	add_local(b, json_object_get(c, "local_nets"));
	if (vec_bool(c, "shields_up"))
		filter_build_shields(b);
	jrules = json_object_get(c, "rules");
	if (json_is_array(jrules) &&
	    nm_rules_parse(jrules, &rules, &n, &refused) == -1)
		vec_fail("rules");
	for (i = 0; i < n; i++)
		add_rule(b, &rules[i]);
	nm_rules_free(rules, n);
	if ((f = filter_build_end(b)) == NULL)
		err(1, "filter_build_end");
	return f;
}

static int
has_cap(void *arg, const struct pkt *p, unsigned int cap)
{
	json_t		*caps, *name;
	char		 addr[64];
	size_t		 i;

	if (inet_ntop(p->p_version == 4 ? AF_INET : AF_INET6, p->p_src, addr,
	    sizeof(addr)) == NULL)
		err(1, "inet_ntop");
	caps = json_object_get(arg, addr);
	json_array_foreach(caps, i, name)
		if (strcmp(json_string_value(name),
		    filter_cap_name(filter, cap)) == 0)
			return 1;
	return 0;
}

static void
check_addr(json_t *parsed, const char *key, const struct pkt *p,
    const uint8_t *addr, uint16_t port)
{
	char	 a[64], text[128];

	if (addr == NULL)
		(void)snprintf(text, sizeof(text), "invalid AddrPort");
	else {
		if (inet_ntop(p->p_version == 4 ? AF_INET : AF_INET6, addr,
		    a, sizeof(a)) == NULL)
			err(1, "inet_ntop");
		(void)snprintf(text, sizeof(text), p->p_version == 4 ?
		    "%s:%u" : "[%s]:%u", a, port);
	}
	if (!vec_is(parsed, key, text))
		vec_fail("%s parsed as %s", key, text);
}

static void
check_parsed(json_t *parsed, const struct pkt *p)
{
	if (vec_num(parsed, "ip_version") != p->p_version)
		vec_fail("parsed as IP version %u", p->p_version);
	if (vec_num(parsed, "proto") != p->p_proto)
		vec_fail("parsed as protocol %u", p->p_proto);
	if (vec_num(parsed, "tcp_flags") != p->p_tcp_flags)
		vec_fail("parsed with flags %u", p->p_tcp_flags);
	/* Addresses of what is dropped unseen need not be looked at. */
	if (p->p_proto == PKT_UNKNOWN)
		return;
	check_addr(parsed, "src", p, p->p_src, p->p_sport);
	check_addr(parsed, "dst", p, p->p_dst, p->p_dport);
}

static size_t
run_case(json_t *c)
{
	struct filter_flows	*fl;
	struct pkt		 p;
	json_t			*step, *caps;
	enum filter_verdict	 v;
	uint8_t			*raw;
	size_t			 i, len;

	filter = build(c);
	caps = json_object_get(c, "peer_caps");
	if ((fl = filter_flows_new(FILTER_FLOWS_DEFAULT)) == NULL)
		err(1, NULL);
	json_array_foreach(vec_get(c, "steps"), i, step) {
		raw = vec_hex(step, "packet", &len);
		pkt_parse(&p, raw, len);
		check_parsed(vec_get(step, "parsed"), &p);
		if (vec_is(step, "direction", "in"))
			v = filter_in(filter, fl, &p, has_cap, caps);
		else
			v = filter_out(filter, fl, &p);
		if ((v == FILTER_ACCEPT) != vec_is(step, "verdict", "accept"))
			vec_fail("%s: %s", vec_str(step, "name"),
			    filter_verdict_name(v));
	}
	filter_flows_free(fl);
	filter_free(filter);
	return i;
}

int
main(void)
{
	json_t	*cases, *c;
	size_t	 i, steps = 0;

	cases = vec_cases(getenv("VECTORS"), "packetfilter.json");
	json_array_foreach(cases, i, c) {
		vec_at(c, i);
		steps += run_case(c);
	}
	if (steps == 0)
		errx(1, "no packets");
	printf("packetfilter: %zu cases, %zu packets\n", i, steps);
	return 0;
}
