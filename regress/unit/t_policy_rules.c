/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy: messages and their lines, who may talk, explained verdicts, and
 * a large tailnet.
 */

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

#define BIG	3000

static const char *const	 web[] = { "tag:web" };
static const struct policy_prefix	 lan[] = {
	{ 4, 16, { 10, 33 } },
	{ 4, 0, { 0 } }
};
static const struct policy_user	 users[] = {
	{ 1, "alice", "alice@example.com", NULL },
	{ 2, "bob", "bob@example.com", NULL },
	{ 3, "twin", "bob@example.com", NULL }
};
static const struct policy_node	 nodes[] = {
	{ 1, 1, NULL, 0, NULL, 0, 1, 1, { 100, 64, 0, 1 }, { 0xfd, 1 } },
	{ 2, 2, NULL, 0, NULL, 0, 1, 0, { 100, 64, 0, 2 }, { 0 } },
	{ 3, 0, web, 1, lan, 1, 1, 1, { 100, 64, 0, 3 }, { 0xfd, 3 } },
	{ 4, 2, NULL, 0, lan, 2, 1, 1, { 100, 64, 0, 4 }, { 0xfd, 4 } },
	{ 0, 0, NULL, 0, NULL, 0, 0, 0, { 0 }, { 0 } }	/* not approved */
};

/* Texts that must be refused, and what the first line must begin with. */
static const struct {
	const char	*text;
	const char	*want;
} bad[] = {
	{ "",				"f:1: the policy is empty" },
	{ "[]",				"f:1: policy: must be an object" },
	{ "{\n\"acls\": [\n",		"f:3: column 1: unexpected end" },
	{ "{\n// c\n\"aclz\": []}",	"f:3: unknown field" },
	{ "{\"acls\":[],\n\"ACLs\":[]}", "f:2: \"ACLs\" stands there twice" },
	{ "{\"groups\":{\"group:a\":[],\n\"group:a\":[]}}",
	    "f:1: \"group:a\" stands there twice" },
	{ "{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\n"
	    "\"dst\":[\"*:80\",\n\"tag:x:22\"]}]}",
	    "f:3: dst: tag not found in tagOwners: \"tag:x\"" },
	{ "{\"tagOwners\":{\"tag:a\":[\"tag:b\"],\n\"tag:b\":[\"tag:a\"]}}",
	    "f:1: tagOwners: \"tag:a\" owns itself" },
	{ "{\"ipsets\":{}}",		"f:1: \"ipsets\" is not supported" },
	{ "{\"acls\":[{\"action\":\"accept\",\"src\":[\"a\\u0000b\"],"
	    "\"dst\":[]}]}",		"f:1: column 36: string is not" },
	{ "{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],"
	    "\"dst\":[\"[10.0.0.1]:80\"]}]}", "f:1: dst: \"[10.0.0.1]\"" },
	{ "{\"grants\":[{\"src\":[\"*\"],\"dst\":[\"autogroup:self\"],"
	    "\"ip\":[\"*\"]}]}",	"f:1: src: \"*\": autogroup:self" },
	{ "{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],"
	    "\"srcPosture\":[\"posture:x\"],\"dst\":[\"*:*\"]}]}",
	    "f:1: \"srcPosture\" is not supported yet" }
};

static struct policy
		*parse(const char *);
static struct policy_state
		*compile(const struct policy *, const struct policy_user *,
		    size_t);
static void	 check_bad(void);
static void	 check_all_errors(void);
static void	 check_default(const char *, int);
static int	 allowed(const struct policy_state *, const char *,
		    const char *, uint16_t, uint8_t);
static void	 check_explain(void);
static void	 check_routes(void);
static void	 check_twins(void);
static void	 check_big(void);
static void	 check_example(void);

static struct policy *
parse(const char *text)
{
	struct policy	*p;
	char		*msgs;

	if ((p = policy_parse("f", text, strlen(text), &msgs)) == NULL)
		errx(1, "%s: %s", text, msgs);
	free(msgs);
	return p;
}

static struct policy_state *
compile(const struct policy *p, const struct policy_user *u, size_t nu)
{
	struct policy_state	*s;
	char			*msgs;

	s = policy_compile(p, u, nu, nodes, sizeof(nodes) / sizeof(*nodes),
	    &msgs);
	if (s == NULL)
		errx(1, "compile: %s", msgs);
	return s;
}

static void
check_bad(void)
{
	char	*msgs;
	size_t	 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (policy_parse("f", bad[i].text, strlen(bad[i].text),
		    &msgs) != NULL)
			errx(1, "accepted: %s", bad[i].text);
		if (msgs == NULL || strncmp(msgs, bad[i].want,
		    strlen(bad[i].want)) != 0)
			errx(1, "%s: %s", bad[i].text, msgs);
		free(msgs);
	}
}

/* One run shows everything that is wrong. */
static void
check_all_errors(void)
{
	const char	*text = "{\"groups\":{\"ops\":[]},\n"
	    "\"hosts\":{\"h\":\"300.1.1.1\"},\n"
	    "\"acls\":[{\"action\":\"drop\",\"src\":[\"*\"],"
	    "\"dst\":[\"*:0\"]}]}";
	char		*msgs, *p;
	int		 n = 0;

	if (policy_parse("f", text, strlen(text), &msgs) != NULL)
		errx(1, "accepted: %s", text);
	for (p = msgs; *p != '\0'; p++)
		n += *p == '\n';
	if (n != 4)
		errx(1, "%d errors: %s", n, msgs);
	free(msgs);
}

/* Missing rules allow, as elsewhere; an empty list denies. */
static void
check_default(const char *text, int want)
{
	struct policy		*p;
	struct policy_state	*s;
	struct policy_prefix	 a, b;
	uint64_t		 row[1];
	size_t			 line;

	p = parse(text);
	s = compile(p, users, 2);
	if (policy_prefix_parse("100.64.0.1", &a) == -1 ||
	    policy_prefix_parse("100.64.0.2", &b) == -1)
		errx(1, "prefix");
	if (policy_explain(s, &a, &b, 22, 6, &line) != want ||
	    policy_peers_visible(s, 0, 1) != want)
		errx(1, "%s: should %s", text, want ? "allow" : "deny");
	policy_node_peers(s, 0, row);
	if (policy_peers_visible(s, 0, 4) || (row[0] >> 4) != 0 ||
	    (row[0] & 1) != 0)
		errx(1, "%s: a node without address is a peer", text);
	policy_state_free(s);
	policy_free(p);
}

/* The line of the rule, or 0. */
static int
allowed(const struct policy_state *s, const char *src, const char *dst,
    uint16_t port, uint8_t proto)
{
	struct policy_prefix	 a, b;
	size_t			 line;

	if (policy_prefix_parse(src, &a) == -1 ||
	    policy_prefix_parse(dst, &b) == -1)
		errx(1, "prefix");
	return policy_explain(s, &a, &b, port, proto, &line) ?
	    (int)line : 0;
}

static void
check_explain(void)
{
	struct policy		*p;
	struct policy_state	*s;

	p = parse("{\"tagOwners\":{\"tag:web\":[\"alice@\"]},\"acls\":[\n"
	    "{\"action\":\"accept\",\"src\":[\"alice@\"],\"dst\":[\n"
	    "\"tag:web:80,443\",\n"
	    "\"bob@:22\"]},\n"
	    "{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
	    "\"proto\":\"udp\",\n\"dst\":[\"autogroup:self:53\"]}]}");
	s = compile(p, users, 2);
	if (allowed(s, "100.64.0.1", "100.64.0.3", 80, 6) != 3 ||
	    allowed(s, "100.64.0.1", "100.64.0.3", 81, 6) != 0 ||
	    allowed(s, "100.64.0.1", "100.64.0.2", 22, 0) != 4 ||
	    allowed(s, "fd01::", "fd03::", 443, 6) != 3 ||
	    allowed(s, "fd01::", "100.64.0.3", 443, 6) != 0 ||
	    allowed(s, "100.64.0.2", "100.64.0.1", 22, 6) != 0)
		errx(1, "explain");
	if (allowed(s, "100.64.0.2", "100.64.0.4", 53, 17) != 6 ||
	    allowed(s, "100.64.0.2", "100.64.0.4", 53, 6) != 0 ||
	    allowed(s, "100.64.0.1", "100.64.0.4", 53, 17) != 0 ||
	    allowed(s, "100.64.0.1", "100.64.0.2", 0, 1) != 4)
		errx(1, "explain: self, ICMP");
	if (!policy_tag_allowed(s, "tag:web", 1) ||
	    policy_tag_allowed(s, "tag:web", 2) ||
	    policy_tag_allowed(s, "tag:none", 1))
		errx(1, "tags");
	policy_state_free(s);
	policy_free(p);
}

/* A subnet goes to those who may reach it, the internet likewise. */
static void
check_routes(void)
{
	struct policy		*p;
	struct policy_state	*s;

	p = parse("{\"acls\":[{\"action\":\"accept\",\"src\":[\"alice@\"],"
	    "\"dst\":[\"10.33.1.0/24:80\"]}, {\"action\":\"accept\","
	    "\"src\":[\"bob@\"],\"dst\":[\"autogroup:internet:*\"]}]}");
	s = compile(p, users, 2);
	if (!policy_route_visible(s, 0, 2, &lan[0]) ||
	    policy_route_visible(s, 1, 2, &lan[0]) ||
	    policy_route_visible(s, 0, 3, &lan[1]) ||
	    !policy_route_visible(s, 1, 3, &lan[1]))
		errx(1, "routes");
	if (policy_peers_visible(s, 0, 1) || !policy_peers_visible(s, 0, 2) ||
	    !policy_peers_visible(s, 1, 3))
		errx(1, "peers of routes");
	policy_state_free(s);
	policy_free(p);
}

static void
check_twins(void)
{
	struct policy	*p;
	char		*msgs;

	p = parse("{\"acls\":[{\"action\":\"accept\",\n"
	    "\"src\":[\"bob@example.com\"],\"dst\":[\"*:*\"]}]}");
	if (policy_compile(p, users, 3, nodes, 4, &msgs) != NULL)
		errx(1, "two users fit, and nobody says so");
	if (strncmp(msgs, "f:2: \"bob@example.com\" fits two users", 36) != 0)
		errx(1, "%s", msgs);
	free(msgs);
	policy_free(p);
}

/* Nobody makes lists of pairs: thousands of nodes take moments. */
static void
check_big(void)
{
	struct policy_node	*n;
	struct policy		*p;
	struct policy_state	*s;
	json_t			*j;
	char			*msgs;
	size_t			 i;

	if ((n = calloc(BIG, sizeof(*n))) == NULL)
		err(1, NULL);
	for (i = 0; i < BIG; i++) {
		n[i].pn_id = i + 1;
		n[i].pn_user = i % 2 + 1;
		n[i].pn_has4 = 1;
		n[i].pn_addr4[0] = 100;
		n[i].pn_addr4[1] = 64;
		n[i].pn_addr4[2] = (uint8_t)(i >> 8);
		n[i].pn_addr4[3] = (uint8_t)i;
	}
	p = parse("{\"acls\":[{\"action\":\"accept\",\"src\":[\"alice@\"],"
	    "\"dst\":[\"bob@:22\"]}]}");
	s = policy_compile(p, users, 2, n, BIG, &msgs);
	if (s == NULL)
		errx(1, "%s", msgs);
	for (i = 0; i < BIG; i++) {
		j = policy_node_filter(s, i);
		if (json_array_size(j) != i % 2)
			errx(1, "node %zu: %zu rules", i, json_array_size(j));
		json_decref(j);
	}
	policy_state_free(s);
	policy_free(p);
	free(n);
}

/* The policy that is shipped: own devices, and servers for everybody. */
static void
check_example(void)
{
	static char		 text[8192];
	struct policy		*p;
	struct policy_state	*s;
	FILE			*f;
	char			*msgs;
	size_t			 n;

	if ((f = fopen("../../etc/examples/policy.hujson", "r")) == NULL)
		err(1, "policy.hujson");
	n = fread(text, 1, sizeof(text), f);
	(void)fclose(f);
	if ((p = policy_parse("f", text, n, &msgs)) == NULL || msgs != NULL)
		errx(1, "policy.hujson: %s", msgs);
	s = compile(p, users, 2);
	if (allowed(s, "100.64.0.2", "100.64.0.4", 22, 6) == 0 ||
	    allowed(s, "100.64.0.1", "100.64.0.2", 22, 6) != 0 ||
	    policy_peers_visible(s, 0, 1) || !policy_peers_visible(s, 1, 3))
		errx(1, "policy.hujson: not the own-devices policy");
	policy_state_free(s);
	policy_free(p);
}

int
main(void)
{
	check_bad();
	check_all_errors();
	check_default("{}", 1);
	check_default("{\"hosts\":{}}", 1);
	check_default("{\"acls\":null}", 1);
	check_default("{\"acls\":[]}", 0);
	check_default("{\"grants\":[]}", 0);
	check_default("{\"acls\":null,\"grants\":[]}", 0);
	check_default("{\"acls\":[{\"action\":\"accept\",\"src\":[],"
	    "\"dst\":[\"*:*\"]}]}", 0);
	check_default("{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],"
	    "\"dst\":[\"*:*\"]}]}", 1);
	check_explain();
	check_routes();
	check_twins();
	check_big();
	check_example();
	return 0;
}
