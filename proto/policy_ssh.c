/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy file: the section ssh, and what a node gets of it.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy_int.h"

#define SSH_MAXPERIOD	(168ULL * 3600)		/* seconds */

static int	 duration_parse(const char *, uint64_t *);
static void	 parse_period(struct pctx *, uint32_t, struct psshrule *);
static void	 parse_action(struct pctx *, uint32_t, struct psshrule *);
static void	 parse_field(struct pctx *, uint32_t, struct psshrule *);
static void	 parse_rule(struct pctx *, uint32_t, struct psshrule *);
static void	 check_src(struct pctx *, const struct alias *);
static void	 check_dst(struct pctx *, const struct alias *);
static void	 check_pair(struct pctx *, const struct psshrule *,
		    const struct alias *, const struct alias *);
static void	 check_rule(struct pctx *, const struct psshrule *);
static int	 is_localpart(const char *);
static json_t	*users_map(const struct psshrule *);
static json_t	*action_json(const struct psshrule *, const char *);
static int	 principals_add(json_t *, const struct pnodeinfo *);
static json_t	*rule_json(const struct psshrule *, const char *, json_t *,
		    json_t *);
static int	 local_login(const struct psshrule *, const struct puser *,
		    char *, size_t);
static int	 dst_is_self(const struct alias *);
static int	 node_is_dst(const struct policy_state *,
		    const struct psshrule *, size_t, int *);
static json_t	*src_principals(const struct policy_state *,
		    const struct aset *, size_t, int, uint64_t, int);
static int	 rule_append(const struct psshrule *, const char *, json_t *,
		    json_t *, json_t *);
static int	 append_by_user(const struct policy_state *,
		    const struct psshrule *, const struct aset *, size_t,
		    int, const char *, json_t *);
static int	 append_rule(const struct policy_state *,
		    const struct psshrule *, size_t, const char *, json_t *);

/* "12h", "1h30m", "90s": seconds; 0 or -1. */
static int
duration_parse(const char *s, uint64_t *secs)
{
	uint64_t	 v, unit;
	int		 digits;

	*secs = 0;
	if (strcmp(s, "0") == 0)
		return 0;
	if (*s == '\0')
		return -1;
	while (*s != '\0') {
		for (v = 0, digits = 0; *s >= '0' && *s <= '9'; s++) {
			if (++digits > 9)
				return -1;
			v = v * 10 + (uint64_t)(*s - '0');
		}
		unit = *s == 'h' ? 3600 : *s == 'm' ? 60 : *s == 's' ? 1 : 0;
		if (digits == 0 || unit == 0)
			return -1;
		*secs += v * unit;
		s++;
	}
	return 0;
}

static void
parse_period(struct pctx *c, uint32_t i, struct psshrule *r)
{
	const char	*s;
	uint64_t	 secs;

	if (pc_want(c, i, PN_STRING, "checkPeriod") == -1)
		return;
	s = pc_node(c, i)->pn_str;
	r->ps_hasperiod = 1;
	if (strcmp(s, "always") == 0)
		return;
	if (duration_parse(s, &secs) == -1)
		pc_error(c, pc_line(c, i), "checkPeriod: \"%s\": must be "
		    "like 12h or \"always\"", s);
	else if (secs > SSH_MAXPERIOD)
		pc_error(c, pc_line(c, i), "checkPeriod: \"%s\": the most "
		    "is 168h", s);
}

static void
parse_action(struct pctx *c, uint32_t i, struct psshrule *r)
{
	const char	*s;

	if (pc_want(c, i, PN_STRING, "action") == -1)
		return;
	s = pc_node(c, i)->pn_str;
	if (strcmp(s, "check") == 0)
		r->ps_check = 1;
	else if (strcmp(s, "accept") != 0)
		pc_error(c, pc_line(c, i), "action: \"%s\": must be "
		    "\"accept\" or \"check\"", s);
}

static void
parse_field(struct pctx *c, uint32_t i, struct psshrule *r)
{
	const char	*name = pc_node(c, i)->pn_name;

	if (strcasecmp(name, "action") == 0)
		parse_action(c, i, r);
	else if (strcasecmp(name, "src") == 0 && r->ps_srcs.al_v == NULL)
		(void)alias_parse_list(c, i, &r->ps_srcs, "src");
	else if (strcasecmp(name, "dst") == 0 && r->ps_dsts.al_v == NULL)
		(void)alias_parse_list(c, i, &r->ps_dsts, "dst");
	else if (strcasecmp(name, "users") == 0 && r->ps_users.sl_v == NULL)
		(void)pc_strings(c, i, &r->ps_users, "users");
	else if (strcasecmp(name, "acceptEnv") == 0 &&
	    r->ps_env.sl_v == NULL)
		(void)pc_strings(c, i, &r->ps_env, "acceptEnv");
	else if (strcasecmp(name, "checkPeriod") == 0)
		parse_period(c, i, r);
	else if (strcasecmp(name, "recorder") == 0 ||
	    strcasecmp(name, "enforceRecorder") == 0 ||
	    strcasecmp(name, "srcPosture") == 0)
		pc_error(c, pc_line(c, i), "\"%s\" is not supported yet",
		    name);
	else
		pc_error(c, pc_line(c, i), "unknown field: \"%s\"", name);
}

static void
parse_rule(struct pctx *c, uint32_t node, struct psshrule *r)
{
	uint32_t	 i;
	int		 action = 0;

	r->ps_line = pc_line(c, node);
	if (pc_want(c, node, PN_OBJECT, "ssh") == -1 ||
	    pc_unique(c, node) == -1)
		return;
	for (i = pc_node(c, node)->pn_child; i != PN_NONE;
	    i = pc_node(c, i)->pn_next) {
		if (strcasecmp(pc_node(c, i)->pn_name, "action") == 0)
			action = 1;
		if (pc_node(c, i)->pn_type != PN_NULL)
			parse_field(c, i, r);
	}
	if (!action)
		pc_error(c, r->ps_line, "ssh: action is missing");
	if (r->ps_users.sl_n == 0)
		pc_error(c, r->ps_line, "ssh: users must be specified");
	if (r->ps_hasperiod && !r->ps_check)
		pc_error(c, r->ps_line,
		    "ssh: checkPeriod goes with action \"check\"");
}

void
parse_ssh(struct pctx *c, uint32_t node)
{
	struct policy	*p = c->c_p;
	struct pnode	*n = pc_node(c, node);
	uint32_t	 i;

	if (n->pn_type == PN_NULL || pc_want(c, node, PN_ARRAY, "ssh") == -1)
		return;
	p->p_hasssh = 1;
	if (n->pn_nchild == 0)
		return;
	p->p_ssh = pc_calloc(c, n->pn_nchild, sizeof(*p->p_ssh));
	if (p->p_ssh == NULL)
		return;
	for (i = n->pn_child; i != PN_NONE; i = pc_node(c, i)->pn_next)
		parse_rule(c, i, &p->p_ssh[p->p_nssh++]);
}

static void
check_src(struct pctx *c, const struct alias *a)
{
	check_alias(c, a, "ssh: src");
	if (a->al_type == AL_USER || a->al_type == AL_GROUP ||
	    a->al_type == AL_TAG || (a->al_type == AL_AUTO &&
	    (a->al_auto == AG_MEMBER || a->al_auto == AG_TAGGED)))
		return;
	pc_error(c, a->al_line, "ssh: src: \"%s\": must be a user, group, "
	    "tag, autogroup:member or autogroup:tagged", a->al_text);
}

static void
check_dst(struct pctx *c, const struct alias *a)
{
	check_alias(c, a, "ssh: dst");
	if (a->al_type == AL_USER || a->al_type == AL_TAG ||
	    (a->al_type == AL_AUTO && (a->al_auto == AG_MEMBER ||
	    a->al_auto == AG_TAGGED || a->al_auto == AG_SELF)))
		return;
	pc_error(c, a->al_line, "ssh: dst: \"%s\": must be a user, a tag, "
	    "autogroup:self, autogroup:member or autogroup:tagged",
	    a->al_text);
}

/* A tag must not reach devices of users; a user only what is his own. */
static void
check_pair(struct pctx *c, const struct psshrule *r, const struct alias *s,
    const struct alias *d)
{
	int	 tagged, owned;

	tagged = s->al_type == AL_TAG ||
	    (s->al_type == AL_AUTO && s->al_auto == AG_TAGGED);
	owned = d->al_type == AL_USER || (d->al_type == AL_AUTO &&
	    (d->al_auto == AG_MEMBER || d->al_auto == AG_SELF));
	if (tagged && owned)
		pc_error(c, d->al_line, "ssh: the tagged source \"%s\" can't "
		    "reach devices of users (\"%s\")", s->al_text,
		    d->al_text);
	else if (d->al_type == AL_USER && (s->al_type != AL_USER ||
	    r->ps_srcs.al_n != 1 || strcmp(s->al_text, d->al_text) != 0))
		pc_error(c, d->al_line, "ssh: dst \"%s\": only the same user "
		    "can be the source", d->al_text);
}

static void
check_rule(struct pctx *c, const struct psshrule *r)
{
	const char	*u;
	size_t		 i, k;

	for (i = 0; i < r->ps_srcs.al_n; i++)
		check_src(c, &r->ps_srcs.al_v[i]);
	for (k = 0; k < r->ps_dsts.al_n; k++) {
		check_dst(c, &r->ps_dsts.al_v[k]);
		for (i = 0; i < r->ps_srcs.al_n; i++)
			check_pair(c, r, &r->ps_srcs.al_v[i],
			    &r->ps_dsts.al_v[k]);
	}
	for (i = 0; i < r->ps_users.sl_n; i++) {
		u = r->ps_users.sl_v[i];
		if (*u == '\0' || strcmp(u, "*") == 0 ||
		    (strncmp(u, "autogroup:", 10) == 0 &&
		    strcmp(u, "autogroup:nonroot") != 0) ||
		    (strncmp(u, "localpart:", 10) == 0 && !is_localpart(u)))
			pc_error(c, r->ps_line, "ssh: users: \"%s\" is not "
			    "allowed", u);
	}
}

void
check_ssh(struct pctx *c)
{
	size_t	 i;

	for (i = 0; i < c->c_p->p_nssh; i++)
		check_rule(c, &c->c_p->p_ssh[i]);
}

static int
is_localpart(const char *u)
{
	return strncmp(u, "localpart:*@", 12) == 0 && u[12] != '\0' &&
	    strchr(u + 12, '@') == NULL && strchr(u + 12, '*') == NULL;
}

/* Login names that hold for everybody: asked for, and got. */
static json_t *
users_map(const struct psshrule *r)
{
	json_t		*m;
	const char	*u;
	size_t		 i;
	int		 bad = 0, root = 0;

	if ((m = json_object()) == NULL)
		return NULL;
	for (i = 0; i < r->ps_users.sl_n; i++) {
		u = r->ps_users.sl_v[i];
		if (strcmp(u, "root") == 0)
			root = 1;
		else if (strcmp(u, "autogroup:nonroot") == 0)
			bad |= json_object_set_new(m, "*", json_string("="));
		else if (!is_localpart(u))
			bad |= json_object_set_new(m, u, json_string(u));
	}
	bad |= json_object_set_new(m, "root", json_string(root ? "root" : ""));
	if (bad == 0)
		return m;
	json_decref(m);
	return NULL;
}

static json_t *
action_json(const struct psshrule *r, const char *url)
{
	if (r->ps_check)
		return json_pack("{s:s++}", "holdAndDelegate", url,
		    "/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID",
		    "?local_user=$LOCAL_USER");
	return json_pack("{s:b, s:b, s:b, s:b}", "accept", 1,
	    "allowAgentForwarding", 1, "allowLocalPortForwarding", 1,
	    "allowRemotePortForwarding", 1);
}

static int
principals_add(json_t *list, const struct pnodeinfo *n)
{
	char	 addr[INET6_ADDRSTRLEN];
	int	 fam;

	for (fam = 0; fam < 2; fam++) {
		if (!n->pn_has[fam])
			continue;
		if (inet_ntop(fam ? AF_INET6 : AF_INET, n->pn_addr[fam],
		    addr, sizeof(addr)) == NULL)
			return -1;
		if (json_array_append_new(list,
		    json_pack("{s:s}", "nodeIP", addr)) == -1)
			return -1;
	}
	return 0;
}

/* Takes the references of principals and users. */
static json_t *
rule_json(const struct psshrule *r, const char *url, json_t *principals,
    json_t *users)
{
	json_t	*rule, *env;
	size_t	 i;

	rule = json_pack("{s:o, s:o, s:o}", "principals", principals,
	    "sshUsers", users, "action", action_json(r, url));
	if (rule == NULL || r->ps_env.sl_n == 0)
		return rule;
	env = json_array();
	for (i = 0; i < r->ps_env.sl_n; i++)
		(void)json_array_append_new(env,
		    json_string(r->ps_env.sl_v[i]));
	if (json_array_size(env) != r->ps_env.sl_n ||
	    json_object_set(rule, "acceptEnv", env) == -1) {
		json_decref(rule);
		rule = NULL;
	}
	json_decref(env);
	return rule;
}

/* The login that "localpart:*@domain" gives a user: 1 if it gives one. */
static int
local_login(const struct psshrule *r, const struct puser *u, char *login,
    size_t len)
{
	const char	*at;
	size_t		 i;

	if ((at = strrchr(u->pu_email, '@')) == NULL ||
	    (size_t)(at - u->pu_email) >= len || at == u->pu_email)
		return 0;
	for (i = 0; i < r->ps_users.sl_n; i++)
		if (is_localpart(r->ps_users.sl_v[i]) &&
		    strcasecmp(r->ps_users.sl_v[i] + 12, at + 1) == 0) {
			memcpy(login, u->pu_email, (size_t)(at - u->pu_email));
			login[at - u->pu_email] = '\0';
			return 1;
		}
	return 0;
}

static int
dst_is_self(const struct alias *a)
{
	return a->al_type == AL_AUTO && a->al_auto == AG_SELF;
}

/* Is the node a destination: by name (1), or as one's own (*self)? */
static int
node_is_dst(const struct policy_state *s, const struct psshrule *r,
    size_t node, int *self)
{
	size_t	 i;
	int	 named = 0;

	*self = 0;
	for (i = 0; i < r->ps_dsts.al_n; i++) {
		if (!dst_is_self(&r->ps_dsts.al_v[i]))
			named |= alias_has_node(s, &r->ps_dsts.al_v[i], node);
		else if (s->s_nodes[node].pn_ntags == 0)
			*self = 1;
	}
	return named;
}

/*
 * The nodes of the sources, as principals. self: only those with the
 * owner of node; byuser: only those of that user (0: tagged ones).
 */
static json_t *
src_principals(const struct policy_state *s, const struct aset *srcs,
    size_t node, int self, uint64_t user, int byuser)
{
	const struct pnodeinfo	*n;
	json_t			*list;
	size_t			 i;

	if ((list = json_array()) == NULL)
		return NULL;
	for (i = 0; i < s->s_nnodes; i++) {
		n = &s->s_nodes[i];
		if ((self && !same_owner(s, i, node)) ||
		    (byuser && (n->pn_ntags > 0 ? 0 : n->pn_user) != user) ||
		    !node_in_set(s, i, srcs))
			continue;
		if (principals_add(list, n) == -1) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* Takes the references; a rule for nobody is left out. */
static int
rule_append(const struct psshrule *r, const char *url, json_t *principals,
    json_t *users, json_t *out)
{
	if (principals == NULL || users == NULL) {
		json_decref(principals);
		json_decref(users);
		return -1;
	}
	if (json_array_size(principals) == 0) {
		json_decref(principals);
		json_decref(users);
		return 0;
	}
	return json_array_append_new(out, rule_json(r, url, principals,
	    users));
}

/* With local parts each user gets rules of his own. */
static int
append_by_user(const struct policy_state *s, const struct psshrule *r,
    const struct aset *srcs, size_t node, int self, const char *url,
    json_t *out)
{
	json_t	*p;
	char	 login[256];
	size_t	 i;

	for (i = 0; i < s->s_nusers; i++) {
		p = src_principals(s, srcs, node, self, s->s_users[i].pu_id,
		    1);
		if (rule_append(r, url, json_incref(p), users_map(r),
		    out) == -1) {
			json_decref(p);
			return -1;
		}
		if (!local_login(r, &s->s_users[i], login, sizeof(login))) {
			json_decref(p);
			continue;
		}
		if (rule_append(r, url, p, json_pack("{s:s}", login, login),
		    out) == -1)
			return -1;
	}
	return rule_append(r, url, src_principals(s, srcs, node, self, 0, 1),
	    users_map(r), out);
}

static int
append_rule(const struct policy_state *s, const struct psshrule *r,
    size_t node, const char *url, json_t *out)
{
	struct aset	 srcs;
	size_t		 i;
	int		 pass, ret = -1, self, named, local = 0;

	named = node_is_dst(s, r, node, &self);
	for (i = 0; i < r->ps_users.sl_n; i++)
		local |= is_localpart(r->ps_users.sl_v[i]);
	if (!named && !self && !local)
		return 0;
	memset(&srcs, 0, sizeof(srcs));
	if (resolve_list(s, &r->ps_srcs, &srcs) == -1)
		goto done;
	/* As the reference has it: sources also reach what is their own. */
	if (local && !named && s->s_nodes[node].pn_ntags == 0 &&
	    node_in_set(s, node, &srcs))
		self = 1;
	for (pass = 0; pass < 2; pass++) {
		if (pass == 0 ? !self : !named)
			continue;
		if (local ? append_by_user(s, r, &srcs, node, pass == 0, url,
		    out) == -1 : rule_append(r, url, src_principals(s, &srcs,
		    node, pass == 0, 0, 0), users_map(r), out) == -1)
			goto done;
	}
	ret = 0;
done:
	aset_free(&srcs);
	return ret;
}

json_t *
policy_node_ssh(const struct policy_state *s, size_t node, const char *url)
{
	json_t	*rules;
	size_t	 i;

	if (!s->s_p->p_hasssh)
		return json_null();
	if ((rules = json_array()) == NULL)
		return NULL;
	for (i = 0; i < s->s_p->p_nssh; i++)
		if (append_rule(s, &s->s_p->p_ssh[i], node, url,
		    rules) == -1) {
			json_decref(rules);
			return NULL;
		}
	if (json_array_size(rules) == 0) {
		json_decref(rules);
		rules = json_null();
	}
	return json_pack("{s:o}", "rules", rules);
}
