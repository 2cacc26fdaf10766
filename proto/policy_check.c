/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy file: are all names defined, do sources and destinations fit.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy_int.h"

static void	 check_src(struct pctx *, const struct alias *);
static void	 check_dst(struct pctx *, const struct grant *,
		    const struct alias *);
static void	 check_self(struct pctx *, const struct grant *);
static void	 check_via(struct pctx *, const struct grant *);
static void	 check_grants(struct pctx *);
static void	 check_approver(struct pctx *, const struct alias *,
		    const char *);
static void	 push_owner_tags(struct policy *, const struct ptag *,
		    size_t *, size_t *);
static int	 tag_owns_itself(struct policy *, size_t, size_t *);
static void	 check_tags(struct pctx *);
static void	 check_attrs(struct pctx *);
static void	 check_tests(struct pctx *);

/* Is what the selector names defined? */
void
check_alias(struct pctx *c, const struct alias *a, const char *what)
{
	switch (a->al_type) {
	case AL_GROUP:
		if (policy_group(c->c_p, a->al_text) == NULL)
			pc_error(c, a->al_line, "%s: group not defined: "
			    "\"%s\"", what, a->al_text);
		break;
	case AL_TAG:
		if (policy_tag(c->c_p, a->al_text) == NULL)
			pc_error(c, a->al_line, "%s: tag not found in "
			    "tagOwners: \"%s\"", what, a->al_text);
		break;
	case AL_HOST:
		if (policy_host(c->c_p, a->al_text) == NULL)
			pc_error(c, a->al_line, "%s: host not defined: "
			    "\"%s\"", what, a->al_text);
		break;
	case AL_AUTO:
		if (a->al_auto == AG_UNKNOWN)
			pc_error(c, a->al_line, "%s: unknown or unsupported "
			    "autogroup: \"%s\"", what, a->al_text);
		break;
	default:
		break;
	}
}

static void
check_src(struct pctx *c, const struct alias *a)
{
	check_alias(c, a, "src");
	if (a->al_type == AL_AUTO && (a->al_auto == AG_SELF ||
	    a->al_auto == AG_INTERNET || a->al_auto == AG_NONROOT))
		pc_error(c, a->al_line, "src: \"%s\" can't be a source",
		    a->al_text);
	if (a->al_type == AL_USER && strncmp(a->al_text, "user:*@", 7) == 0)
		pc_error(c, a->al_line, "src: \"%s\" is not supported yet",
		    a->al_text);
}

static void
check_dst(struct pctx *c, const struct grant *g, const struct alias *a)
{
	check_alias(c, a, "dst");
	if (a->al_type == AL_AUTO &&
	    (a->al_auto == AG_DANGER || a->al_auto == AG_NONROOT))
		pc_error(c, a->al_line, "dst: \"%s\" can't be a destination",
		    a->al_text);
	if (a->al_type == AL_AUTO && a->al_auto == AG_INTERNET &&
	    g->gr_app != NULL)
		pc_error(c, a->al_line,
		    "dst: autogroup:internet can't be used with app");
	if (!g->gr_acl && a->al_type == AL_PREFIX &&
	    a->al_prefix.pp_plen == 0)
		pc_error(c, a->al_line, "dst: \"%s\": to allow all addresses "
		    "use \"*\" or \"autogroup:internet\"", a->al_text);
	if (a->al_type == AL_USER && strncmp(a->al_text, "user:*@", 7) == 0)
		pc_error(c, a->al_line, "dst: \"%s\" is not supported yet",
		    a->al_text);
}

/* "Own devices" has a meaning only where the source is somebody. */
static void
check_self(struct pctx *c, const struct grant *g)
{
	const struct alias	*a;
	size_t			 i;

	for (i = 0; i < g->gr_srcs->al_n; i++) {
		a = &g->gr_srcs->al_v[i];
		if (a->al_type == AL_USER || a->al_type == AL_GROUP ||
		    (a->al_type == AL_STAR && g->gr_acl) ||
		    (a->al_type == AL_AUTO && a->al_auto == AG_MEMBER))
			continue;
		pc_error(c, a->al_line, "src: \"%s\": autogroup:self goes "
		    "with users, groups and autogroup:member", a->al_text);
	}
}

static void
check_via(struct pctx *c, const struct grant *g)
{
	const struct alias	*a;
	size_t			 i;

	for (i = 0; i < g->gr_via.al_n; i++) {
		a = &g->gr_via.al_v[i];
		if (a->al_type != AL_TAG)
			pc_error(c, a->al_line, "via: \"%s\": can only be a "
			    "tag", a->al_text);
		else
			check_alias(c, a, "via");
	}
}

static void
check_grants(struct pctx *c)
{
	const struct policy	*p = c->c_p;
	const struct grant	*g;
	size_t			 i, k;

	for (i = 0; i < p->p_nsrclists; i++)
		for (k = 0; k < p->p_srclists[i]->al_n; k++)
			check_src(c, &p->p_srclists[i]->al_v[k]);
	for (i = 0; i < p->p_ngrants; i++) {
		g = &p->p_grants[i];
		check_via(c, g);
		if (g->gr_via.al_n > 0 && g->gr_app != NULL)
			pc_error(c, g->gr_line, "grants: via together with "
			    "app is not supported yet");
		for (k = 0; k < g->gr_dsts.al_n; k++) {
			check_dst(c, g, &g->gr_dsts.al_v[k]);
			if (g->gr_dsts.al_v[k].al_type == AL_AUTO &&
			    g->gr_dsts.al_v[k].al_auto == AG_SELF)
				check_self(c, g);
		}
	}
}

static void
check_approver(struct pctx *c, const struct alias *a, const char *what)
{
	check_alias(c, a, what);
	if (a->al_type == AL_USER || a->al_type == AL_GROUP ||
	    a->al_type == AL_TAG ||
	    (a->al_type == AL_AUTO && a->al_auto != AG_SELF &&
	    a->al_auto != AG_INTERNET && a->al_auto != AG_NONROOT &&
	    a->al_auto != AG_DANGER))
		return;
	pc_error(c, a->al_line, "%s: \"%s\": must be a user, group or tag",
	    what, a->al_text);
}

/* Push the tags that own this one and were not met before. */
static void
push_owner_tags(struct policy *p, const struct ptag *t, size_t *todo,
    size_t *n)
{
	const struct ptag	*o;
	size_t			 i, k;

	for (i = 0; i < t->pt_owners.al_n; i++) {
		if (t->pt_owners.al_v[i].al_type != AL_TAG)
			continue;
		o = policy_tag(p, t->pt_owners.al_v[i].al_text);
		if (o == NULL)
			continue;
		k = (size_t)(o - p->p_tags);
		if (p->p_tags[k].pt_mark)
			continue;
		p->p_tags[k].pt_mark = 1;
		todo[(*n)++] = k;
	}
}

/* Does a tag own itself by way of others? todo: room for all tags. */
static int
tag_owns_itself(struct policy *p, size_t tag, size_t *todo)
{
	size_t	 i, n = 0;

	for (i = 0; i < p->p_ntags; i++)
		p->p_tags[i].pt_mark = 0;
	push_owner_tags(p, &p->p_tags[tag], todo, &n);
	while (n > 0)
		push_owner_tags(p, &p->p_tags[todo[--n]], todo, &n);
	return p->p_tags[tag].pt_mark;
}

static void
check_tags(struct pctx *c)
{
	struct policy	*p = c->c_p;
	struct ptag	*t;
	size_t		*todo;
	size_t		 i, k;

	if ((todo = pc_calloc(c, p->p_ntags + 1, sizeof(*todo))) == NULL)
		return;
	for (i = 0; i < p->p_ntags; i++) {
		t = &p->p_tags[i];
		for (k = 0; k < t->pt_owners.al_n; k++)
			check_approver(c, &t->pt_owners.al_v[k], t->pt_name);
		if (tag_owns_itself(p, i, todo))
			pc_error(c, t->pt_line, "tagOwners: \"%s\" owns "
			    "itself by way of other tags", t->pt_name);
	}
	free(todo);
}

static void
check_attrs(struct pctx *c)
{
	const struct pattr	*at;
	const struct alias	*a;
	size_t			 i, k;

	for (i = 0; i < c->c_p->p_nattrs; i++) {
		at = &c->c_p->p_attrs[i];
		for (k = 0; k < at->at_targets.al_n; k++) {
			a = &at->at_targets.al_v[k];
			check_alias(c, a, "target");
			if (a->al_type == AL_AUTO && a->al_auto != AG_MEMBER &&
			    a->al_auto != AG_TAGGED)
				pc_error(c, a->al_line, "target: \"%s\" can't "
				    "be a target", a->al_text);
		}
	}
}

static void
check_tests(struct pctx *c)
{
	const struct ptest	*t;
	size_t			 i, k;

	for (i = 0; i < c->c_p->p_ntests; i++) {
		t = &c->c_p->p_tests[i];
		check_alias(c, &t->te_src, "tests: src");
		for (k = 0; k < t->te_naccept; k++)
			check_alias(c, &t->te_accept[k].tg_alias,
			    "tests: accept");
		for (k = 0; k < t->te_ndeny; k++)
			check_alias(c, &t->te_deny[k].tg_alias,
			    "tests: deny");
	}
}

void
check_policy(struct pctx *c)
{
	const struct policy	*p = c->c_p;
	size_t			 i, k;

	check_grants(c);
	check_tags(c);
	for (i = 0; i < p->p_nroutes; i++)
		for (k = 0; k < p->p_routes[i].pa_who.al_n; k++)
			check_approver(c, &p->p_routes[i].pa_who.al_v[k],
			    "autoApprovers");
	for (k = 0; k < p->p_exit.al_n; k++)
		check_approver(c, &p->p_exit.al_v[k], "autoApprovers");
	check_attrs(c);
	check_ssh(c);
	check_tests(c);
	if (!p->p_hasacls && !p->p_hasgrants)
		pc_warn(c, 1, "neither \"acls\" nor \"grants\": everything "
		    "is allowed");
}
