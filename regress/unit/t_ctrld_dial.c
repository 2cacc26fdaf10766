/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Where the control server is dialled: ports, plans, relays that are asked
 * for names.
 */
/* link: ../../ctrld/dialplan.c ../../ctrld/bootstrap.c ../../ctrld/url.c */

#include <sys/types.h>

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctrld/bootstrap.h"
#include "../../ctrld/dial.h"
#include "jsonutil.h"
#include "netmap.h"

#ifndef nitems
#define nitems(a)	(sizeof((a)) / sizeof((a)[0]))
#endif

/* control.md 2.2, the table. */
static const struct {
	const char	*url;
	uint16_t	 plain, tls;
} ports[] = {
	{ "https://h",			80,	443 },
	{ "https://h:8443",		80,	8443 },
	{ "http://h",			80,	443 },
	{ "http://h:8080",		8080,	443 },
	{ "http://127.0.0.1",		80,	0 },
	{ "http://10.1.2.3:8080",	8080,	0 },
	{ "http://172.31.0.1",		80,	0 },
	{ "http://172.32.0.1",		80,	443 },
	{ "http://192.168.1.1",		80,	0 },
	{ "http://localhost:8080",	8080,	0 },
	{ "http://[::1]",		80,	0 },
	{ "http://[fd00::1]:81",	81,	0 },
	{ "http://[2001:db8::1]",	80,	443 },
	{ "https://10.1.2.3",		80,	443 }
};

static json_t *
load(const char *text)
{
	json_t	*j;

	if ((j = ju_load(text, strlen(text))) == NULL)
		errx(1, "test: %s", text);
	return j;
}

static void
test_ports(void)
{
	struct dial_plan	 none = { .dp_n = 0 };
	struct dial_try		 t[DIAL_TRIES];
	struct url		 u;
	uint16_t		 plain, tls;
	size_t			 i, n;

	for (i = 0; i < nitems(ports); i++) {
		if (url_parse(ports[i].url, &u) == -1)
			errx(1, "%s", ports[i].url);
		dial_ports(&u, &plain, &tls);
		if (plain != ports[i].plain || tls != ports[i].tls)
			errx(1, "%s: ports %u and %u", ports[i].url, plain,
			    tls);
		n = dial_tries(&u, NULL, 0, dial_limit(&none), t);
		if (n != (tls == 0 ? 1 : 2) || t[0].dt_url.u_port != plain ||
		    t[0].dt_url.u_tls || t[0].dt_delay != 0 ||
		    t[0].dt_limit != 10000)
			errx(1, "%s: first try", ports[i].url);
		if (n == 2 && (t[1].dt_url.u_port != tls ||
		    !t[1].dt_url.u_tls || t[1].dt_delay != 500 ||
		    t[1].dt_after != 0))
			errx(1, "%s: second try", ports[i].url);
		/* Soon after another dial TLS goes first, if meant at all. */
		n = dial_tries(&u, NULL, 1, 1000, t);
		if (t[0].dt_url.u_tls != u.u_tls || t[0].dt_delay != 0)
			errx(1, "%s: order", ports[i].url);
	}
}

static void
plan_is(const char *text, int want, size_t n)
{
	struct dial_plan	 p;
	json_t			*j;

	j = load(text);
	if (dial_plan_parse(j, &p) != want || p.dp_n != n)
		errx(1, "%s: %zu candidates", text, p.dp_n);
	json_decref(j);
}

static void
test_plan(void)
{
	struct dial_plan	 p, q;
	struct dial_try		 t[DIAL_TRIES];
	struct url		 u;
	json_t			*j;
	size_t			 n;

	plan_is("{}", 0, 0);
	plan_is("{\"Candidates\":null}", 0, 0);
	plan_is("{\"Candidates\":[]}", 0, 0);
	plan_is("{\"Candidates\":5}", -1, 0);
	plan_is("{\"Candidates\":[5]}", -1, 0);
	plan_is("{\"Candidates\":[{\"IP\":\"x\",\"DialTimeoutSec\":1}]}",
	    -1, 0);
	/* A limit of 0 fails at once; no address and no host lead nowhere. */
	plan_is("{\"Candidates\":[{\"IP\":\"192.0.2.1\"}]}", 0, 0);
	plan_is("{\"Candidates\":[{\"DialTimeoutSec\":5}]}", 0, 0);
	plan_is("{\"Candidates\":[{\"IP\":\"192.0.2.1\","
	    "\"DialTimeoutSec\":-1}]}", 0, 0);
	j = load("{\"Candidates\":["
	    "{\"IP\":\"192.0.2.1\",\"DialStartDelaySec\":1.5,"
	    "\"DialTimeoutSec\":20,\"Priority\":1},"
	    "{\"IP\":\"2001:db8::1\",\"DialTimeoutSec\":5,\"Priority\":9},"
	    "{\"ACEHost\":\"ace.example\",\"DialTimeoutSec\":1e9}]}");
	if (dial_plan_parse(j, &p) == -1 || p.dp_n != 3)
		errx(1, "plan: %zu", p.dp_n);
	json_decref(j);
	if (p.dp_cand[0].dc_ip.af != 6 || p.dp_cand[1].dc_delay != 1500 ||
	    p.dp_cand[1].dc_limit != 20000 ||
	    strcmp(p.dp_cand[2].dc_ace, "ace.example") != 0 ||
	    p.dp_cand[2].dc_limit != 600000)
		errx(1, "plan: order or times");
	if (dial_limit(&p) != DIAL_MAX_S * 1000)
		errx(1, "limit: %u", dial_limit(&p));
	j = dial_plan_json(&p);
	if (dial_plan_parse(j, &q) == -1 || memcmp(&p, &q, sizeof(p)) != 0)
		errx(1, "plan does not survive its JSON");
	json_decref(j);
	(void)url_parse("https://c.example", &u);
	n = dial_tries(&u, &p, 0, 0, t);
	/* Both ports of each, but one through the tunnel. */
	if (n != 5 || t[0].dt_ip.af != 6 || t[1].dt_after != 0 ||
	    t[2].dt_delay != 1500 || t[3].dt_delay != 2000 ||
	    t[3].dt_after != 2 || t[4].dt_url.u_tls || t[4].dt_ace[0] == 0)
		errx(1, "tries of the plan: %zu", n);
	p.dp_n = 1;
	if (dial_limit(&p) != 10000)
		errx(1, "limit: %u", dial_limit(&p));
}

static void
test_many(void)
{
	struct dial_plan	 p;
	struct dial_try		 t[DIAL_TRIES];
	struct url		 u;
	json_t			*a, *j;
	int			 i;

	a = json_array();
	for (i = 0; i < 100; i++)
		(void)json_array_append_new(a, json_pack("{s:s,s:i,s:i}",
		    "IP", "192.0.2.9", "DialTimeoutSec", 1, "Priority", i));
	j = json_pack("{s:o}", "Candidates", a);
	if (dial_plan_parse(j, &p) == -1 || p.dp_n != DIAL_CANDS ||
	    p.dp_cand[0].dc_priority != 99 ||
	    p.dp_cand[DIAL_CANDS - 1].dc_priority != 100 - DIAL_CANDS)
		errx(1, "many candidates");
	json_decref(j);
	(void)url_parse("http://c.example", &u);
	if (dial_tries(&u, &p, 0, 0, t) != DIAL_TRIES)
		errx(1, "many tries");
}

static void
test_bootstrap(void)
{
	struct bootstrap	 b[BOOTSTRAP_MAX];
	struct msg_ip		 ip[4], out[4];
	json_t			*j;
	uint32_t		 seed;
	size_t			 i, n;

	j = load("{\"Regions\":{\"1\":{\"Nodes\":["
	    "{\"HostName\":\"a\",\"IPv4\":\"192.0.2.1\",\"IPv6\":\"none\"},"
	    "{\"HostName\":\"b\",\"IPv4\":\"192.0.2.2\",\"IPv6\":\"::2\"},"
	    "{\"HostName\":\"c\",\"IPv4\":\"192.0.2.3\",\"DERPPort\":8443},"
	    "{\"HostName\":\"d\",\"IPv4\":\"192.0.2.4\",\"STUNOnly\":true},"
	    "{\"HostName\":\"e\"},7,null]},\"2\":{},\"3\":null,\"4\":["
	    "]}}");
	for (seed = 0; seed < 20; seed++) {
		n = bootstrap_relays(j, seed, b);
		if (n != 3 || b[1].b_ip.af != 6)
			errx(1, "relays: %zu", n);
	}
	json_decref(j);
	if (bootstrap_relays(NULL, 1, b) != 0)
		errx(1, "relays of no map");
#define ANSWER	"{\"x\":[\"192.0.2.7\"],\"c\":[\"192.0.2.8\",\"bad\"," \
		"\"2001:db8::8\",9]}"
	if (bootstrap_parse(ANSWER, strlen(ANSWER), "c", ip, 4) != 2 ||
	    bootstrap_parse(ANSWER, strlen(ANSWER), "c", ip, 1) != 1 ||
	    bootstrap_parse(ANSWER, strlen(ANSWER), "C", ip, 4) != 0 ||
	    bootstrap_parse("[", 1, "c", ip, 4) != 0)
		errx(1, "answer of a relay");
	memset(ip, 0, sizeof(ip));
	for (i = 0; i < 4; i++) {
		ip[i].af = i < 3 ? AF_WIRE_INET : AF_WIRE_INET6;
		ip[i].addr[0] = i + 1;
	}
	bootstrap_order(ip, 4, out);
	if (out[0].addr[0] != 4 || out[1].addr[0] != 1 ||
	    out[2].addr[0] != 2 || out[3].addr[0] != 3)
		errx(1, "families by turns");
}

int
main(void)
{
	test_ports();
	test_plan();
	test_many();
	test_bootstrap();
	return 0;
}
