/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy: parse, compile for a small tailnet, ask everything. Whatever the
 * text: peers are symmetric, and without a rule nobody is let in.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

#define NNODES	6

static const char *const	 tags_web[] = { "tag:web" };
static const struct policy_prefix	 routes[] = {
	{ 4, 16, { 10, 33 } },
	{ 4, 0, { 0 } },
	{ 6, 0, { 0 } }
};
static const struct policy_user	 users[] = {
	{ 1, "alice", "alice@example.com", NULL },
	{ 2, "bob", "bob@example.com", "issuer/2" },
	{ 3, "carol", NULL, NULL }
};
static const struct policy_node	 nodes[NNODES] = {
	{ 1, 1, NULL, 0, NULL, 0, 1, 1, { 100, 64, 0, 1 }, { 0xfd, 1 } },
	{ 2, 1, NULL, 0, NULL, 0, 1, 0, { 100, 64, 0, 2 }, { 0 } },
	{ 3, 2, NULL, 0, routes, 3, 1, 1, { 100, 64, 0, 3 }, { 0xfd, 3 } },
	{ 4, 0, tags_web, 1, routes, 1, 1, 1, { 100, 64, 0, 4 }, { 0xfd } },
	{ 5, 3, NULL, 0, NULL, 0, 0, 1, { 0 }, { 0xfd, 5 } },
	{ 6, 3, NULL, 0, NULL, 0, 0, 0, { 0 }, { 0 } }
};

int		 LLVMFuzzerTestOneInput(const uint8_t *, size_t);
static void	 ask_node(const struct policy_state *, size_t);
static void	 ask(const struct policy_state *);

static void
ask_node(const struct policy_state *s, size_t i)
{
	uint64_t	 row[POLICY_ROW(NNODES)];
	json_t		*j;
	size_t		 k;

	policy_node_peers(s, i, row);
	for (k = 0; k < NNODES; k++) {
		if ((int)(row[0] >> k & 1) != policy_peers_visible(s, i, k) ||
		    policy_peers_visible(s, i, k) !=
		    policy_peers_visible(s, k, i))
			abort();
		(void)policy_route_visible(s, i, k, &routes[k % 3]);
	}
	if ((j = policy_node_filter(s, i)) == NULL)
		abort();
	json_decref(j);
	if ((j = policy_node_ssh(s, i, "https://c.example")) == NULL)
		abort();
	json_decref(j);
	if ((j = policy_node_caps(s, i)) == NULL)
		abort();
	json_decref(j);
	if ((j = policy_node_via(s, i)) == NULL)
		abort();
	json_decref(j);
	(void)policy_route_auto(s, i, &routes[i % 3]);
}

static void
ask(const struct policy_state *s)
{
	struct policy_prefix	 src = { 4, 32, { 100, 64, 0, 1 } };
	struct policy_prefix	 dst = { 4, 32, { 100, 64, 0, 4 } };
	json_t			*j;
	char			*msgs;
	size_t			 i, line;

	for (i = 0; i < NNODES; i++)
		ask_node(s, i);
	if ((j = policy_filter(s)) == NULL)
		abort();
	/* A rule of the whole filter is needed for strangers to talk. */
	if (json_array_size(j) == 0 && policy_explain(s, &src, &dst, 22, 6,
	    &line) && line == 0)
		abort();
	json_decref(j);
	(void)policy_tag_allowed(s, "tag:web", 1);
	(void)policy_resolve(s, "alice@", &src, 1);
	if (policy_test(s, &msgs) == -1 && msgs == NULL)
		abort();
	free(msgs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct policy		*p;
	struct policy_state	*s;
	char			*msgs;

	p = policy_parse("policy", (const char *)data, len, &msgs);
	if (p == NULL && msgs == NULL)
		abort();
	free(msgs);
	if (p == NULL)
		return 0;
	s = policy_compile(p, users, 3, nodes, NNODES, &msgs);
	if (s == NULL && msgs == NULL)
		abort();
	free(msgs);
	if (s != NULL)
		ask(s);
	policy_state_free(s);
	policy_free(p);
	return 0;
}
