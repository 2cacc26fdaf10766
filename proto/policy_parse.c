/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy file: from text to the parsed form.
 */

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hujson.h"
#include "policy_int.h"

static void	 parse_groups(struct pctx *, uint32_t);
static void	 parse_hosts(struct pctx *, uint32_t);
static void	 parse_tag_owners(struct pctx *, uint32_t);
static void	 parse_approvers(struct pctx *, uint32_t);
static void	 parse_approver_routes(struct pctx *, uint32_t);
static void	 parse_attrs(struct pctx *, uint32_t);
static void	 parse_random_port(struct pctx *, uint32_t);
static void	 parse_not_built(struct pctx *, uint32_t);

static const struct {
	const char	*name;
	void		(*fn)(struct pctx *, uint32_t);
} sections[] = {
	{ "acls",		parse_acls },
	{ "attrConfig",		parse_not_built },
	{ "autoApprovers",	parse_approvers },
	{ "defaultSrcPosture",	parse_not_built },
	{ "derpMap",		parse_not_built },
	{ "disableIPv4",	parse_not_built },
	{ "grants",		parse_grants },
	{ "groups",		parse_groups },
	{ "hosts",		parse_hosts },
	{ "ipsets",		parse_not_built },
	{ "nodeAttrs",		parse_attrs },
	{ "oneCGNATRoute",	parse_not_built },
	{ "postures",		parse_not_built },
	{ "randomizeClientPort", parse_random_port },
	{ "ssh",		parse_ssh },
	{ "sshTests",		parse_not_built },
	{ "tagOwners",		parse_tag_owners },
	{ "tests",		parse_tests }
};

static int	 name_cmp(const void *, const void *);
static int	 group_cmp(const void *, const void *);
static int	 host_cmp(const void *, const void *);
static int	 tag_cmp(const void *, const void *);
static struct pnode
		*section_open(struct pctx *, uint32_t, enum pn_type);
static void	 parse_group(struct pctx *, uint32_t, struct pgroup *);
static void	 parse_attr(struct pctx *, uint32_t, struct pattr *);
static void	 parse_section(struct pctx *, uint32_t);
static void	 check_sections(struct pctx *);
static int	 parse_text(struct pctx *);
static int	 parse_open(struct pctx *, const char *, size_t);

void
pc_error(struct pctx *c, size_t line, const char *fmt, ...)
{
	va_list	 ap;

	c->c_errors++;
	fprintf(c->c_msgs, "%s:%zu: ", c->c_p->p_file, line);
	va_start(ap, fmt);
	vfprintf(c->c_msgs, fmt, ap);
	va_end(ap);
	fputc('\n', c->c_msgs);
}

void
pc_warn(struct pctx *c, size_t line, const char *fmt, ...)
{
	va_list	 ap;

	fprintf(c->c_msgs, "%s:%zu: warning: ", c->c_p->p_file, line);
	va_start(ap, fmt);
	vfprintf(c->c_msgs, fmt, ap);
	va_end(ap);
	fputc('\n', c->c_msgs);
}

void *
pc_calloc(struct pctx *c, size_t n, size_t size)
{
	void	*p;

	if ((p = calloc(n, size)) == NULL)
		pc_error(c, 1, "out of memory");
	return p;
}

struct pnode *
pc_node(struct pctx *c, uint32_t i)
{
	return &c->c_p->p_tree.pt_node[i];
}

/* Values are looked at mostly in the order of the text. */
size_t
pc_line(struct pctx *c, uint32_t i)
{
	size_t	 off = pc_node(c, i)->pn_off;

	if (off < c->c_lastoff) {
		c->c_lastoff = 0;
		c->c_lastline = 1;
	}
	for (; c->c_lastoff < off; c->c_lastoff++)
		if (c->c_text[c->c_lastoff] == '\n')
			c->c_lastline++;
	return c->c_lastline;
}

int
pc_want(struct pctx *c, uint32_t i, enum pn_type type, const char *what)
{
	static const char	*names[] = {
		"null", "false", "true", "a number", "a string", "an array",
		"an object"
	};

	if (pc_node(c, i)->pn_type == type)
		return 0;
	pc_error(c, pc_line(c, i), "%s: must be %s", what, names[type]);
	return -1;
}

int
pc_strings(struct pctx *c, uint32_t node, struct strlist *l,
    const char *what)
{
	struct pnode	*n;
	uint32_t	 i;

	l->sl_v = NULL;
	l->sl_n = 0;
	if (pc_want(c, node, PN_ARRAY, what) == -1)
		return -1;
	n = pc_node(c, node);
	if (n->pn_nchild == 0)
		return 0;
	l->sl_v = pc_calloc(c, n->pn_nchild, sizeof(*l->sl_v));
	if (l->sl_v == NULL)
		return -1;
	for (i = n->pn_child; i != PN_NONE; i = pc_node(c, i)->pn_next)
		if (pc_want(c, i, PN_STRING, what) == 0)
			l->sl_v[l->sl_n++] = pc_node(c, i)->pn_str;
	return 0;
}

static int
name_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No member of an object may stand there twice. */
int
pc_unique(struct pctx *c, uint32_t node)
{
	struct pnode	*n = pc_node(c, node);
	const char	**names;
	uint32_t	 i, k = 0;
	int		 r = 0;

	if (n->pn_nchild < 2)
		return 0;
	if ((names = pc_calloc(c, n->pn_nchild, sizeof(*names))) == NULL)
		return -1;
	for (i = n->pn_child; i != PN_NONE; i = pc_node(c, i)->pn_next)
		names[k++] = pc_node(c, i)->pn_name;
	qsort(names, k, sizeof(*names), name_cmp);
	for (i = 1; i < k; i++)
		if (strcmp(names[i - 1], names[i]) == 0) {
			pc_error(c, pc_line(c, node),
			    "\"%s\" stands there twice", names[i]);
			r = -1;
		}
	free(names);
	return r;
}

/* A section of the right type, or NULL; null is as if it were not there. */
static struct pnode *
section_open(struct pctx *c, uint32_t i, enum pn_type type)
{
	if (pc_node(c, i)->pn_type == PN_NULL)
		return NULL;
	if (pc_want(c, i, type, pc_node(c, i)->pn_name) == -1)
		return NULL;
	if (type == PN_OBJECT && pc_unique(c, i) == -1)
		return NULL;
	return pc_node(c, i);
}

static void
parse_not_built(struct pctx *c, uint32_t i)
{
	if (pc_node(c, i)->pn_type == PN_NULL)
		return;
	pc_error(c, pc_line(c, i), "\"%s\" is not supported yet",
	    pc_node(c, i)->pn_name);
}

static void
parse_random_port(struct pctx *c, uint32_t i)
{
	if (pc_node(c, i)->pn_type == PN_TRUE)
		c->c_p->p_randomport = 1;
	else if (pc_node(c, i)->pn_type != PN_FALSE &&
	    pc_node(c, i)->pn_type != PN_NULL)
		pc_error(c, pc_line(c, i),
		    "randomizeClientPort: must be true or false");
}

static int
group_cmp(const void *a, const void *b)
{
	const struct pgroup	*x = a, *y = b;

	return strcmp(x->pg_name, y->pg_name);
}

static int
host_cmp(const void *a, const void *b)
{
	const struct phost	*x = a, *y = b;

	return strcmp(x->ph_name, y->ph_name);
}

static int
tag_cmp(const void *a, const void *b)
{
	const struct ptag	*x = a, *y = b;

	return strcmp(x->pt_name, y->pt_name);
}

const struct pgroup *
policy_group(const struct policy *p, const char *name)
{
	struct pgroup	 key = { .pg_name = name };

	return p->p_ngroups == 0 ? NULL : bsearch(&key, p->p_groups,
	    p->p_ngroups, sizeof(key), group_cmp);
}

const struct phost *
policy_host(const struct policy *p, const char *name)
{
	struct phost	 key = { .ph_name = name };

	return p->p_nhosts == 0 ? NULL : bsearch(&key, p->p_hosts,
	    p->p_nhosts, sizeof(key), host_cmp);
}

const struct ptag *
policy_tag(const struct policy *p, const char *name)
{
	struct ptag	 key = { .pt_name = name };

	return p->p_ntags == 0 ? NULL : bsearch(&key, p->p_tags,
	    p->p_ntags, sizeof(key), tag_cmp);
}

static void
parse_group(struct pctx *c, uint32_t i, struct pgroup *g)
{
	const char	*m;
	size_t		 k;

	g->pg_name = pc_node(c, i)->pn_name;
	g->pg_line = pc_line(c, i);
	if (strncmp(g->pg_name, "group:", 6) != 0 || g->pg_name[6] == '\0')
		pc_error(c, g->pg_line, "groups: \"%s\" must begin with "
		    "\"group:\"", g->pg_name);
	if (pc_node(c, i)->pn_type == PN_NULL ||
	    pc_strings(c, i, &g->pg_members, g->pg_name) == -1)
		return;
	for (k = 0; k < g->pg_members.sl_n; k++) {
		m = g->pg_members.sl_v[k];
		if (strncmp(m, "group:", 6) == 0)
			pc_error(c, g->pg_line, "groups: \"%s\" has the group "
			    "\"%s\" as member; only users can be members",
			    g->pg_name, m);
		else if (strchr(m, '@') == NULL)
			pc_error(c, g->pg_line, "groups: \"%s\": \"%s\" is no "
			    "user, it has no @", g->pg_name, m);
	}
}

static void
parse_groups(struct pctx *c, uint32_t node)
{
	struct policy	*p = c->c_p;
	struct pnode	*n;
	uint32_t	 i;

	if ((n = section_open(c, node, PN_OBJECT)) == NULL ||
	    n->pn_nchild == 0)
		return;
	p->p_groups = pc_calloc(c, n->pn_nchild, sizeof(*p->p_groups));
	if (p->p_groups == NULL)
		return;
	for (i = n->pn_child; i != PN_NONE; i = pc_node(c, i)->pn_next)
		parse_group(c, i, &p->p_groups[p->p_ngroups++]);
	qsort(p->p_groups, p->p_ngroups, sizeof(*p->p_groups), group_cmp);
}

static void
parse_hosts(struct pctx *c, uint32_t node)
{
	struct policy	*p = c->c_p;
	struct pnode	*n, *v;
	struct phost	*h;
	uint32_t	 i;

	if ((n = section_open(c, node, PN_OBJECT)) == NULL ||
	    n->pn_nchild == 0)
		return;
	p->p_hosts = pc_calloc(c, n->pn_nchild, sizeof(*p->p_hosts));
	if (p->p_hosts == NULL)
		return;
	for (i = n->pn_child; i != PN_NONE; i = v->pn_next) {
		v = pc_node(c, i);
		if (strpbrk(v->pn_name, "@:") != NULL || *v->pn_name == '\0')
			pc_error(c, pc_line(c, i), "hosts: \"%s\": a name has "
			    "no @ and no colon", v->pn_name);
		if (pc_want(c, i, PN_STRING, "hosts") == -1)
			continue;
		h = &p->p_hosts[p->p_nhosts++];
		h->ph_name = v->pn_name;
		h->ph_line = pc_line(c, i);
		if (policy_prefix_parse(v->pn_str, &h->ph_prefix) == -1)
			pc_error(c, h->ph_line, "hosts: \"%s\": \"%s\" is "
			    "neither an address nor a prefix", h->ph_name,
			    v->pn_str);
		prefix_mask(&h->ph_prefix);
	}
	qsort(p->p_hosts, p->p_nhosts, sizeof(*p->p_hosts), host_cmp);
}

static void
parse_tag_owners(struct pctx *c, uint32_t node)
{
	struct policy	*p = c->c_p;
	struct pnode	*n, *v;
	struct ptag	*t;
	struct alias	 a;
	uint32_t	 i;

	if ((n = section_open(c, node, PN_OBJECT)) == NULL ||
	    n->pn_nchild == 0)
		return;
	p->p_tags = pc_calloc(c, n->pn_nchild, sizeof(*p->p_tags));
	if (p->p_tags == NULL)
		return;
	for (i = n->pn_child; i != PN_NONE; i = v->pn_next) {
		v = pc_node(c, i);
		t = &p->p_tags[p->p_ntags++];
		t->pt_name = v->pn_name;
		t->pt_line = pc_line(c, i);
		if (strncmp(v->pn_name, "tag:", 4) != 0 ||
		    alias_parse(v->pn_name, &a) == -1)
			pc_error(c, t->pt_line, "tagOwners: \"%s\" is no tag "
			    "(tag: and a name of letters, digits and dashes)",
			    v->pn_name);
		if (v->pn_type != PN_NULL)
			(void)alias_parse_list(c, i, &t->pt_owners,
			    t->pt_name);
	}
	qsort(p->p_tags, p->p_ntags, sizeof(*p->p_tags), tag_cmp);
}

static void
parse_approver_routes(struct pctx *c, uint32_t node)
{
	struct policy		*p = c->c_p;
	struct pnode		*n, *v;
	struct papprover	*a;
	uint32_t		 i;

	if ((n = section_open(c, node, PN_OBJECT)) == NULL ||
	    n->pn_nchild == 0 || p->p_routes != NULL)
		return;
	p->p_routes = pc_calloc(c, n->pn_nchild, sizeof(*p->p_routes));
	if (p->p_routes == NULL)
		return;
	for (i = n->pn_child; i != PN_NONE; i = v->pn_next) {
		v = pc_node(c, i);
		a = &p->p_routes[p->p_nroutes++];
		if (policy_prefix_parse(v->pn_name, &a->pa_prefix) == -1)
			pc_error(c, pc_line(c, i), "autoApprovers: \"%s\" is "
			    "no prefix", v->pn_name);
		prefix_mask(&a->pa_prefix);
		(void)alias_parse_list(c, i, &a->pa_who, v->pn_name);
	}
}

static void
parse_approvers(struct pctx *c, uint32_t node)
{
	struct pnode	*n, *v;
	uint32_t	 i;

	if ((n = section_open(c, node, PN_OBJECT)) == NULL)
		return;
	for (i = n->pn_child; i != PN_NONE; i = v->pn_next) {
		v = pc_node(c, i);
		if (strcasecmp(v->pn_name, "routes") == 0)
			parse_approver_routes(c, i);
		else if (strcasecmp(v->pn_name, "exitNode") == 0) {
			if (v->pn_type != PN_NULL &&
			    c->c_p->p_exit.al_v == NULL)
				(void)alias_parse_list(c, i,
				    &c->c_p->p_exit, v->pn_name);
		} else if (strcasecmp(v->pn_name, "services") == 0)
			parse_not_built(c, i);
		else
			pc_error(c, pc_line(c, i), "unknown field: \"%s\"",
			    v->pn_name);
	}
}

static void
parse_attr(struct pctx *c, uint32_t node, struct pattr *a)
{
	struct pnode	*v;
	uint32_t	 i;
	size_t		 k;

	if (pc_want(c, node, PN_OBJECT, "nodeAttrs") == -1 ||
	    pc_unique(c, node) == -1)
		return;
	for (i = pc_node(c, node)->pn_child; i != PN_NONE; i = v->pn_next) {
		v = pc_node(c, i);
		if (strcasecmp(v->pn_name, "target") == 0 &&
		    a->at_targets.al_v == NULL)
			(void)alias_parse_list(c, i, &a->at_targets,
			    "target");
		else if (strcasecmp(v->pn_name, "attr") == 0 &&
		    a->at_attrs.sl_v == NULL)
			(void)pc_strings(c, i, &a->at_attrs, "attr");
		else if (strcasecmp(v->pn_name, "app") == 0 ||
		    strcasecmp(v->pn_name, "ipPool") == 0)
			parse_not_built(c, i);
		else
			pc_error(c, pc_line(c, i), "unknown field: \"%s\"",
			    v->pn_name);
	}
	for (k = 0; k < a->at_attrs.sl_n; k++)
		if (strcmp(a->at_attrs.sl_v[k], "funnel") == 0)
			pc_error(c, pc_line(c, node),
			    "nodeAttrs: \"funnel\" is not supported yet");
}

static void
parse_attrs(struct pctx *c, uint32_t node)
{
	struct policy	*p = c->c_p;
	struct pnode	*n;
	uint32_t	 i;

	if ((n = section_open(c, node, PN_ARRAY)) == NULL ||
	    n->pn_nchild == 0)
		return;
	p->p_attrs = pc_calloc(c, n->pn_nchild, sizeof(*p->p_attrs));
	if (p->p_attrs == NULL)
		return;
	for (i = n->pn_child; i != PN_NONE; i = pc_node(c, i)->pn_next)
		parse_attr(c, i, &p->p_attrs[p->p_nattrs++]);
}

static void
parse_section(struct pctx *c, uint32_t i)
{
	struct pnode	*v = pc_node(c, i);
	size_t		 k;

	for (k = 0; k < sizeof(sections) / sizeof(sections[0]); k++)
		if (strcasecmp(v->pn_name, sections[k].name) == 0) {
			sections[k].fn(c, i);
			return;
		}
	pc_error(c, pc_line(c, i), "unknown field: \"%s\"", v->pn_name);
}

/* The same section in another case of letters is the same section. */
static void
check_sections(struct pctx *c)
{
	struct pnode	*v, *w;
	uint32_t	 i, j;

	for (i = pc_node(c, 0)->pn_child; i != PN_NONE; i = v->pn_next) {
		v = pc_node(c, i);
		for (j = v->pn_next; j != PN_NONE; j = w->pn_next) {
			w = pc_node(c, j);
			if (strcasecmp(v->pn_name, w->pn_name) == 0)
				pc_error(c, pc_line(c, j),
				    "\"%s\" stands there twice", w->pn_name);
		}
	}
}

static int
parse_text(struct pctx *c)
{
	uint32_t	 i;

	if (pc_want(c, 0, PN_OBJECT, "policy") == -1)
		return -1;
	if (pc_node(c, 0)->pn_nchild > 256) {
		pc_error(c, 1, "too many sections");
		return -1;
	}
	check_sections(c);
	if (c->c_errors > 0)
		return -1;
	for (i = pc_node(c, 0)->pn_child; i != PN_NONE;
	    i = pc_node(c, i)->pn_next)
		parse_section(c, i);
	check_policy(c);
	return c->c_errors > 0 ? -1 : 0;
}

/* Comments out, tree in. The copy of the text is c_text. */
static int
parse_open(struct pctx *c, const char *text, size_t len)
{
	struct hujson_error	 he;
	struct ptree		*t = &c->c_p->p_tree;
	size_t			 line, col;
	char			*copy;

	if (len == 0 || len > POLICY_MAX_LEN) {
		pc_error(c, 1, "the policy is %s",
		    len == 0 ? "empty" : "too long");
		return -1;
	}
	if ((copy = pc_calloc(c, len + 1, 1)) == NULL)
		return -1;
	memcpy(copy, text, len);
	c->c_text = copy;
	c->c_len = len;
	if (hujson_standardize(copy, len, &he) == -1) {
		pc_error(c, he.he_line, "column %zu: %s", he.he_col,
		    he.he_text);
		return -1;
	}
	if (ptree_parse(t, copy, len) == -1) {
		if (t->pt_erroff == SIZE_MAX) {
			pc_error(c, 1, "out of memory");
			return -1;
		}
		hujson_position(copy, len, t->pt_erroff, &line, &col);
		pc_error(c, line, "column %zu: string is not UTF-8, or has "
		    "a zero byte", col);
		return -1;
	}
	return 0;
}

struct policy *
policy_parse(const char *file, const char *text, size_t len, char **msgs)
{
	struct pctx	 c;
	size_t		 msgslen;
	int		 bad = -1;

	*msgs = NULL;
	memset(&c, 0, sizeof(c));
	c.c_lastline = 1;
	if ((c.c_p = calloc(1, sizeof(*c.c_p))) == NULL)
		return NULL;
	if ((c.c_p->p_file = strdup(file)) == NULL ||
	    (c.c_msgs = open_memstream(msgs, &msgslen)) == NULL) {
		policy_free(c.c_p);
		return NULL;
	}
	if (parse_open(&c, text, len) == 0)
		bad = parse_text(&c);
	free(c.c_text);
	if (fclose(c.c_msgs) != 0 || *msgs == NULL || **msgs == '\0') {
		free(*msgs);
		*msgs = NULL;
	}
	if (bad == -1) {
		policy_free(c.c_p);
		return NULL;
	}
	return c.c_p;
}
