/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy file: the sections acls and grants.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy_int.h"

/* Members of an entry, PN_NONE where absent or null. */
struct acl_fields {
	uint32_t	 af_action;
	uint32_t	 af_src;
	uint32_t	 af_dst;
	uint32_t	 af_proto;
};

struct grant_fields {
	uint32_t	 gf_src;
	uint32_t	 gf_dst;
	uint32_t	 gf_ip;
	uint32_t	 gf_app;
	uint32_t	 gf_via;
};

static struct alist
		*srclist_new(struct pctx *, uint32_t);
static struct grant
		*grant_new(struct pctx *, uint32_t, const struct alist *);
static int	 field_set(struct pctx *, uint32_t, uint32_t *);
static int	 acl_fields(struct pctx *, uint32_t, struct acl_fields *);
static size_t	 count_commas(const char *);
static int	 acl_ports(struct pctx *, size_t, const char *, int,
		    struct grant *);
static int	 acl_dst(struct pctx *, uint32_t, int, struct grant *);
static int	 acl_all_auto(struct pctx *, uint32_t);
static int	 acl_is_self(const char *);
static void	 acl_dsts(struct pctx *, uint32_t, const struct alist *, int);
static int	 acl_proto(struct pctx *, uint32_t);
static void	 parse_acl(struct pctx *, uint32_t);
static int	 grant_fields(struct pctx *, uint32_t, struct grant_fields *);
static void	 grant_ip(struct pctx *, uint32_t, struct gip *);
static void	 grant_app(struct pctx *, uint32_t, struct grant *);
static void	 parse_grant(struct pctx *, uint32_t);

static struct alist *
srclist_new(struct pctx *c, uint32_t node)
{
	struct policy	*p = c->c_p;
	struct alist	*l, **v;

	if ((l = pc_calloc(c, 1, sizeof(*l))) == NULL)
		return NULL;
	v = reallocarray(p->p_srclists, p->p_nsrclists + 1, sizeof(*v));
	if (v == NULL) {
		free(l);
		pc_error(c, 1, "out of memory");
		return NULL;
	}
	p->p_srclists = v;
	p->p_srclists[p->p_nsrclists++] = l;
	(void)alias_parse_list(c, node, l, "src");
	return l;
}

static struct grant *
grant_new(struct pctx *c, uint32_t node, const struct alist *srcs)
{
	struct policy	*p = c->c_p;
	struct grant	*g;

	/* Grows by powers of two. */
	if ((p->p_ngrants & (p->p_ngrants - 1)) == 0) {
		g = reallocarray(p->p_grants, p->p_ngrants == 0 ? 1 :
		    p->p_ngrants * 2, sizeof(*g));
		if (g == NULL) {
			pc_error(c, 1, "out of memory");
			return NULL;
		}
		p->p_grants = g;
	}
	g = &p->p_grants[p->p_ngrants++];
	memset(g, 0, sizeof(*g));
	g->gr_srcs = srcs;
	g->gr_line = pc_line(c, node);
	return g;
}

static int
field_set(struct pctx *c, uint32_t i, uint32_t *field)
{
	if (*field != PN_NONE) {
		pc_error(c, pc_line(c, i), "\"%s\" stands there twice",
		    pc_node(c, i)->pn_name);
		return -1;
	}
	if (pc_node(c, i)->pn_type != PN_NULL)
		*field = i;
	return 0;
}

static int
acl_fields(struct pctx *c, uint32_t node, struct acl_fields *f)
{
	const char	*name;
	uint32_t	 i;
	int		 r = 0;

	memset(f, 0xff, sizeof(*f));
	if (pc_want(c, node, PN_OBJECT, "acls") == -1)
		return -1;
	for (i = pc_node(c, node)->pn_child; i != PN_NONE;
	    i = pc_node(c, i)->pn_next) {
		name = pc_node(c, i)->pn_name;
		if (strcasecmp(name, "action") == 0)
			r |= field_set(c, i, &f->af_action);
		else if (strcasecmp(name, "src") == 0 ||
		    strcasecmp(name, "users") == 0)
			r |= field_set(c, i, &f->af_src);
		else if (strcasecmp(name, "dst") == 0 ||
		    strcasecmp(name, "ports") == 0)
			r |= field_set(c, i, &f->af_dst);
		else if (strcasecmp(name, "proto") == 0)
			r |= field_set(c, i, &f->af_proto);
		else if (strcasecmp(name, "srcPosture") == 0) {
			pc_error(c, pc_line(c, i),
			    "\"srcPosture\" is not supported yet");
			r = -1;
		} else if (*name != '#') {	/* # is for editors */
			pc_error(c, pc_line(c, i), "unknown field: \"%s\"",
			    name);
			r = -1;
		}
	}
	return r;
}

static size_t
count_commas(const char *s)
{
	size_t	 n = 0;

	for (; *s != '\0'; s++)
		n += *s == ',';
	return n;
}

/* "80,443,8000-8010" of one destination. */
static int
acl_ports(struct pctx *c, size_t line, const char *s, int proto,
    struct grant *g)
{
	const char	*bad;
	size_t		 n;

	g->gr_ips = pc_calloc(c, count_commas(s) + 1, sizeof(*g->gr_ips));
	if (g->gr_ips == NULL)
		return -1;
	for (;; s += n + 1) {
		n = strcspn(s, ",");
		bad = port_range_parse(s, n, &g->gr_ips[g->gr_nips].gi_first,
		    &g->gr_ips[g->gr_nips].gi_last);
		if (bad != NULL) {
			pc_error(c, line, "dst: \"%.*s\": %s", (int)n, s,
			    bad);
			return -1;
		}
		g->gr_ips[g->gr_nips++].gi_proto = (uint8_t)proto;
		if (!proto_has_ports(proto) && !(n == 1 && *s == '*')) {
			pc_error(c, line, "protocol %d has no ports: only "
			    "\"*\" is allowed", proto);
			return -1;
		}
		if (s[n] == '\0')
			return 0;
	}
}

static int
acl_dst(struct pctx *c, uint32_t node, int proto, struct grant *g)
{
	const char	*bad;
	char		*text = pc_node(c, node)->pn_str, *ports;
	size_t		 line = pc_line(c, node);

	if ((bad = alias_split_ports(text, &ports)) != NULL) {
		pc_error(c, line, "dst: \"%s\": %s", text, bad);
		return -1;
	}
	if (acl_ports(c, line, ports, proto, g) == -1)
		return -1;
	g->gr_dsts.al_v = pc_calloc(c, 1, sizeof(*g->gr_dsts.al_v));
	if (g->gr_dsts.al_v == NULL)
		return -1;
	if (alias_parse(text, g->gr_dsts.al_v) == -1) {
		pc_error(c, line, "dst: \"%s\" is no selector", text);
		return -1;
	}
	g->gr_dsts.al_v->al_line = line;
	g->gr_dsts.al_n = 1;
	g->gr_line = line;
	g->gr_acl = 1;
	return 0;
}

static int
acl_is_self(const char *s)
{
	return strncmp(s, "autogroup:self:", 15) == 0;
}

static int
acl_all_auto(struct pctx *c, uint32_t node)
{
	uint32_t	 i;

	for (i = pc_node(c, node)->pn_child; i != PN_NONE;
	    i = pc_node(c, i)->pn_next)
		if (pc_node(c, i)->pn_type == PN_STRING &&
		    strncmp(pc_node(c, i)->pn_str, "autogroup:", 10) != 0)
			return 0;
	return 1;
}

/*
 * A grant for each destination. Those to autogroup:self come last, unless
 * all are autogroups: the order of the reference.
 */
static void
acl_dsts(struct pctx *c, uint32_t node, const struct alist *srcs, int proto)
{
	struct grant	*g;
	uint32_t	 i;
	int		 pass, self, all;

	if (pc_want(c, node, PN_ARRAY, "dst") == -1)
		return;
	all = acl_all_auto(c, node);
	for (pass = 0; pass < 2; pass++) {
		for (i = pc_node(c, node)->pn_child; i != PN_NONE;
		    i = pc_node(c, i)->pn_next) {
			if (pc_node(c, i)->pn_type != PN_STRING) {
				if (pass == 0)
					(void)pc_want(c, i, PN_STRING, "dst");
				continue;
			}
			/* Cut in two by the first pass, it is no "self". */
			self = !all && acl_is_self(pc_node(c, i)->pn_str);
			if (self != pass)
				continue;
			if ((g = grant_new(c, i, srcs)) == NULL)
				return;
			(void)acl_dst(c, i, proto, g);
		}
		if (all)
			return;
	}
}

static int
acl_proto(struct pctx *c, uint32_t node)
{
	int	 proto;

	if (node == PN_NONE)
		return 0;
	if (pc_want(c, node, PN_STRING, "proto") == -1)
		return -1;
	if ((proto = proto_parse(pc_node(c, node)->pn_str)) == -1)
		pc_error(c, pc_line(c, node), "proto: \"%s\" is neither a "
		    "known protocol nor a number from 1 to 255",
		    pc_node(c, node)->pn_str);
	return proto;
}

static void
parse_acl(struct pctx *c, uint32_t node)
{
	struct acl_fields	 f;
	struct alist		*srcs;
	int			 proto;

	if (acl_fields(c, node, &f) == -1)
		return;
	if (f.af_action == PN_NONE ||
	    pc_node(c, f.af_action)->pn_type != PN_STRING ||
	    strcmp(pc_node(c, f.af_action)->pn_str, "accept") != 0)
		pc_error(c, pc_line(c, node),
		    "action: must be \"accept\"");
	if ((proto = acl_proto(c, f.af_proto)) == -1)
		return;
	if (f.af_src == PN_NONE || f.af_dst == PN_NONE)
		return;		/* from or to nobody */
	if ((srcs = srclist_new(c, f.af_src)) == NULL)
		return;
	acl_dsts(c, f.af_dst, srcs, proto);
}

void
parse_acls(struct pctx *c, uint32_t node)
{
	uint32_t	 i;

	if (pc_node(c, node)->pn_type == PN_NULL)
		return;
	if (pc_want(c, node, PN_ARRAY, "acls") == -1)
		return;
	c->c_p->p_hasacls = 1;
	for (i = pc_node(c, node)->pn_child; i != PN_NONE;
	    i = pc_node(c, i)->pn_next)
		parse_acl(c, i);
}

static int
grant_fields(struct pctx *c, uint32_t node, struct grant_fields *f)
{
	const char	*name;
	uint32_t	 i;
	int		 r = 0;

	memset(f, 0xff, sizeof(*f));
	if (pc_want(c, node, PN_OBJECT, "grants") == -1)
		return -1;
	for (i = pc_node(c, node)->pn_child; i != PN_NONE;
	    i = pc_node(c, i)->pn_next) {
		name = pc_node(c, i)->pn_name;
		if (strcasecmp(name, "src") == 0)
			r |= field_set(c, i, &f->gf_src);
		else if (strcasecmp(name, "dst") == 0)
			r |= field_set(c, i, &f->gf_dst);
		else if (strcasecmp(name, "ip") == 0)
			r |= field_set(c, i, &f->gf_ip);
		else if (strcasecmp(name, "app") == 0)
			r |= field_set(c, i, &f->gf_app);
		else if (strcasecmp(name, "via") == 0)
			r |= field_set(c, i, &f->gf_via);
		else if (strcasecmp(name, "srcPosture") == 0) {
			pc_error(c, pc_line(c, i),
			    "\"srcPosture\" is not supported yet");
			r = -1;
		} else {
			pc_error(c, pc_line(c, i), "unknown field: \"%s\"",
			    name);
			r = -1;
		}
	}
	return r;
}

/* "*", "443", "tcp:8000-8010", "icmp:*". */
static void
grant_ip(struct pctx *c, uint32_t node, struct gip *ip)
{
	const char	*bad;
	char		*s, *colon;
	int		 proto = 0;

	if (pc_want(c, node, PN_STRING, "ip") == -1)
		return;
	s = pc_node(c, node)->pn_str;
	if ((colon = strchr(s, ':')) != NULL) {
		*colon = '\0';
		if (*s == '\0' || (proto = proto_parse(s)) == -1) {
			pc_error(c, pc_line(c, node),
			    "ip: \"%s\" is no protocol", s);
			return;
		}
		s = colon + 1;
	}
	bad = port_range_parse(s, strlen(s), &ip->gi_first, &ip->gi_last);
	if (bad != NULL)
		pc_error(c, pc_line(c, node), "ip: \"%s\": %s", s, bad);
	else if (!proto_has_ports(proto) && strcmp(s, "*") != 0)
		pc_error(c, pc_line(c, node), "protocol %d has no ports: "
		    "only \"*\" is allowed", proto);
	ip->gi_proto = (uint8_t)proto;
}

static void
grant_app(struct pctx *c, uint32_t node, struct grant *g)
{
	static const char	*allowed[] = {
		"drive", "relay", "webui", "kubernetes", "tsidp", "secrets"
	};
	struct pnode		*n = pc_node(c, node), *v;
	const char		*cap;
	uint32_t		 i;
	size_t			 k;

	if (pc_want(c, node, PN_OBJECT, "app") == -1 ||
	    pc_unique(c, node) == -1)
		return;
	for (i = n->pn_child; i != PN_NONE; i = v->pn_next) {
		v = pc_node(c, i);
		cap = v->pn_name;
		if (strstr(cap, "://") != NULL || strchr(cap, '/') == NULL ||
		    *cap == '/')
			pc_error(c, pc_line(c, i), "app: \"%s\": must be "
			    "domain/path without a scheme", cap);
		if (v->pn_type != PN_NULL)
			(void)pc_want(c, i, PN_ARRAY, cap);
		if (strncmp(cap, "tailscale.com/", 14) != 0)
			continue;
		for (k = 0; k < sizeof(allowed) / sizeof(*allowed); k++)
			if (strncmp(cap + 14, "cap/", 4) == 0 &&
			    strcmp(cap + 18, allowed[k]) == 0)
				break;
		if (k == sizeof(allowed) / sizeof(*allowed))
			pc_error(c, pc_line(c, i), "app: \"%s\" can't be "
			    "granted", cap);
	}
	if (n->pn_nchild == 0)
		return;
	g->gr_app = json_loadb(c->c_text + n->pn_off, n->pn_end - n->pn_off,
	    0, NULL);
	if (g->gr_app == NULL)
		pc_error(c, pc_line(c, node), "app: a value is out of range");
}

static void
parse_grant(struct pctx *c, uint32_t node)
{
	struct grant_fields	 f;
	struct pnode		*n;
	struct alist		*srcs;
	struct grant		*g;
	uint32_t		 i;

	if (grant_fields(c, node, &f) == -1)
		return;
	if (f.gf_src == PN_NONE || f.gf_dst == PN_NONE) {
		pc_error(c, pc_line(c, node), "grants: needs src and dst");
		return;
	}
	if ((srcs = srclist_new(c, f.gf_src)) == NULL ||
	    (g = grant_new(c, node, srcs)) == NULL)
		return;
	(void)alias_parse_list(c, f.gf_dst, &g->gr_dsts, "dst");
	if (f.gf_via != PN_NONE)
		(void)alias_parse_list(c, f.gf_via, &g->gr_via, "via");
	if (f.gf_app != PN_NONE)
		grant_app(c, f.gf_app, g);
	if (f.gf_ip != PN_NONE && pc_want(c, f.gf_ip, PN_ARRAY, "ip") == 0) {
		n = pc_node(c, f.gf_ip);
		g->gr_ips = pc_calloc(c, n->pn_nchild + 1,
		    sizeof(*g->gr_ips));
		if (g->gr_ips == NULL)
			return;
		for (i = n->pn_child; i != PN_NONE;
		    i = pc_node(c, i)->pn_next)
			grant_ip(c, i, &g->gr_ips[g->gr_nips++]);
	}
	if (g->gr_nips == 0 && g->gr_app == NULL)
		pc_error(c, pc_line(c, node),
		    "grants: ip and app can't both be empty");
}

void
parse_grants(struct pctx *c, uint32_t node)
{
	uint32_t	 i;

	if (pc_node(c, node)->pn_type == PN_NULL)
		return;
	if (pc_want(c, node, PN_ARRAY, "grants") == -1)
		return;
	c->c_p->p_hasgrants = 1;
	for (i = pc_node(c, node)->pn_child; i != PN_NONE;
	    i = pc_node(c, i)->pn_next)
		parse_grant(c, i);
}
