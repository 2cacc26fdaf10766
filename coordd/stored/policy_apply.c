/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The policy in force, and what it says of the nodes of this moment.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stored.h"

#define POLICY_DENY	"{\"acls\":[]}"
#define POLICY_ANY	"{}"

/* What policy_compile() is given; pointers go into nodes and users. */
struct tailnet {
	struct policy_user	*t_users;
	struct policy_node	*t_nodes;
	struct policy_prefix	*t_routes;
	size_t			 t_nusers;
	size_t			 t_nnodes;
};

static void
tailnet_users(struct brain *b, struct tailnet *t)
{
	struct policy_user	*pu;
	struct user		*u;

	t->t_users = xcalloc(b->b_nusers + 1, sizeof(*t->t_users));
	RB_FOREACH(u, users_id, &b->b_users) {
		pu = &t->t_users[t->t_nusers++];
		pu->pu_id = u->u_id;
		pu->pu_name = u->u_name;
		if (strchr(u->u_name, '@') != NULL)
			pu->pu_email = u->u_name;
	}
}

/*
 * The index of a node in the policy is its slot. A hole, and a node that is
 * not approved, has no address and no owner: no rule finds it.
 */
static void
tailnet_node(struct node *n, struct policy_node *pn,
    struct policy_prefix *routes)
{
	const struct noderec	*r = &n->n_rec;

	pn->pn_id = r->r_id;
	if (!r->r_approved)
		return;
	pn->pn_user = r->r_user;
	pn->pn_tags = (const char *const *)r->r_tags;
	pn->pn_ntags = r->r_ntags;
	pn->pn_routes = routes;
	pn->pn_nroutes = node_routes(n, routes, NODE_MAX_ROUTES);
	pn->pn_has4 = r->r_has4;
	pn->pn_has6 = r->r_has6;
	memcpy(pn->pn_addr4, r->r_addr4, 4);
	memcpy(pn->pn_addr6, r->r_addr6, 16);
}

static void
tailnet_nodes(struct brain *b, struct tailnet *t)
{
	struct node	*n;
	size_t		 i, k = 0, nroutes = 0;

	for (i = 0; i < b->b_nslots; i++)
		if (b->b_slots[i] != NULL)
			nroutes += b->b_slots[i]->n_rec.r_napproved;
	/* Room for the bound of the last one: node_routes() stops there. */
	t->t_routes = xcalloc(nroutes + NODE_MAX_ROUTES,
	    sizeof(*t->t_routes));
	t->t_nnodes = b->b_nslots;
	t->t_nodes = xcalloc(t->t_nnodes + 1, sizeof(*t->t_nodes));
	for (i = 0; i < b->b_nslots; i++) {
		t->t_nodes[i].pn_id = UINT64_MAX - i;
		if ((n = b->b_slots[i]) == NULL)
			continue;
		tailnet_node(n, &t->t_nodes[i], t->t_routes + k);
		k += t->t_nodes[i].pn_nroutes;
	}
}

static struct policy_state *
compile(struct brain *b, const struct policy *p, char **msgs)
{
	struct policy_state	*s;
	struct tailnet		 t;

	memset(&t, 0, sizeof(t));
	*msgs = NULL;
	tailnet_users(b, &t);
	tailnet_nodes(b, &t);
	errno = 0;
	s = policy_compile(p, t.t_users, t.t_nusers, t.t_nodes, t.t_nnodes,
	    msgs);
	if (s == NULL && *msgs == NULL)
		fatal(NULL);
	free(t.t_users);
	free(t.t_nodes);
	free(t.t_routes);
	return s;
}

static struct policy *
parse_builtin(const char *text)
{
	struct policy	*p;
	char		*msgs;

	p = policy_parse("built-in", text, strlen(text), &msgs);
	if (p == NULL)
		fatalx("built-in policy: %s", msgs == NULL ? "" : msgs);
	free(msgs);
	return p;
}

/* Warnings of the parser first, then what came after it. */
static void
join_msgs(char **msgs, char *more)
{
	struct buf	 b = { NULL, 0, 0 };

	if (more == NULL)
		return;
	if (*msgs != NULL)
		buf_str(&b, *msgs);
	buf_str(&b, more);
	free(*msgs);
	free(more);
	*msgs = b.b_text;
}

/* Parse, compile, test; NULL with the errors in *msgs. */
static struct policy *
load(struct brain *b, const char *file, const char *text, size_t len,
    int tests, struct policy_state **state, char **msgs)
{
	struct policy	*p;
	char		*more = NULL;

	*msgs = NULL;
	if ((p = policy_parse(file, text, len, msgs)) == NULL) {
		if (*msgs == NULL)
			fatal(NULL);
		return NULL;
	}
	if ((*state = compile(b, p, &more)) == NULL) {
		join_msgs(msgs, more);
		policy_free(p);
		return NULL;
	}
	join_msgs(msgs, more);
	more = NULL;
	if (tests && policy_test(*state, &more) == -1) {
		join_msgs(msgs, more);
		policy_state_free(*state);
		policy_free(p);
		return NULL;
	}
	return p;
}

static void
install(struct brain *b, struct policy *p, struct policy_state *s)
{
	b->b_pself |= policy_has_attrs(p) || (b->b_policy != NULL &&
	    policy_has_attrs(b->b_policy));
	policy_state_free(b->b_pstate);
	policy_free(b->b_policy);
	b->b_policy = p;
	b->b_pstate = s;
	b->b_pstale = 1;		/* b_live with it */
	b->b_pall = 1;
	map_wake(b);
}

int
policy_apply(struct brain *b, uint8_t mode, const char *file,
    const char *text, size_t len, int tests, char **msgs)
{
	struct policy_state	*s;
	struct policy		*p;

	*msgs = NULL;
	if (mode == POLICY_FILE || mode == POLICY_STORE)
		p = load(b, file, text, len, tests, &s, msgs);
	else {
		p = parse_builtin(mode == POLICY_ALLOW ? POLICY_ANY :
		    POLICY_DENY);
		s = compile(b, p, msgs);
		text = NULL;
		len = 0;
	}
	if (p == NULL)
		return -1;
	install(b, p, s);
	free(b->b_ptext);
	b->b_ptext = xmemdup(text, text == NULL ? 0 : len);
	b->b_ptextlen = text == NULL ? 0 : len;
	return 0;
}

int
policy_try(struct brain *b, const char *file, const char *text, size_t len,
    int tests, char **msgs)
{
	struct policy_state	*s;
	struct policy		*p;

	if ((p = load(b, file, text, len, tests, &s, msgs)) == NULL)
		return -1;
	policy_state_free(s);
	policy_free(p);
	return 0;
}

void
policy_stale(struct brain *b)
{
	b->b_pstale = 1;
	map_wake(b);
}

/*
 * A policy that was good may not fit new users (a name that fits two). Then
 * nobody may talk until that is put right: who may is not known.
 */
void
policy_refresh(struct brain *b)
{
	struct policy_state	*s;
	struct policy		*p;
	char			*msgs;
	size_t			 i;

	if (!b->b_pstale)
		return;
	p = b->b_policy != NULL ? b->b_policy : parse_builtin(POLICY_DENY);
	if ((s = compile(b, p, &msgs)) == NULL) {
		log_warnx("policy out of force, nobody may talk: %s", msgs);
		free(msgs);
		policy_state_free(b->b_pstate);
		b->b_pstate = NULL;
		b->b_pall = 1;
	} else {
		free(msgs);
		policy_state_free(b->b_pstate);
		b->b_pstate = s;
	}
	b->b_policy = p;
	if (b->b_words > 0)
		memset(b->b_live, 0, b->b_words * sizeof(*b->b_live));
	for (i = 0; i < b->b_nslots; i++)
		if (b->b_slots[i] != NULL && b->b_slots[i]->n_rec.r_approved)
			b->b_live[i / 64] |= 1ULL << (i % 64);
	b->b_pstale = 0;
}

void
policy_row(struct brain *b, const struct node *n, uint64_t *row)
{
	size_t	 i;

	memset(row, 0, b->b_words * sizeof(*row));
	if (b->b_pstate == NULL || !n->n_rec.r_approved)
		return;
	policy_node_peers(b->b_pstate, n->n_slot, row);
	for (i = 0; i < b->b_words; i++)
		row[i] &= b->b_live[i];
	row[n->n_slot / 64] &= ~(1ULL << (n->n_slot % 64));
}
