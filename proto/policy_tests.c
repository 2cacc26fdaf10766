/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy file: the tests it contains, and explaining a verdict.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy_int.h"

/* What is asked: may this source reach this destination? */
struct query {
	const struct policy_prefix	*q_src;
	const struct policy_prefix	*q_dst;
	uint16_t			 q_port;
	uint8_t				 q_proto;	/* 0: TCP or UDP */
};

static void	 parse_targets(struct pctx *, uint32_t, struct ptarget **,
		    size_t *);
static void	 parse_target(struct pctx *, uint32_t, struct ptarget *);
static void	 parse_test(struct pctx *, uint32_t, struct ptest *);
static int	 parse_src(struct pctx *, uint32_t, struct ptest *);
static int	 find_node(const struct policy_state *,
		    const struct policy_prefix *, size_t *);
static int	 ports_fit(const struct query *, uint8_t, uint16_t, uint16_t);
static int	 rule_allows(const struct crule *, const struct query *,
		    size_t *);
static int	 grant_meets(const struct policy_state *,
		    const struct crule *, const struct alias *,
		    const struct query *);
static int	 grant_allows(const struct policy_state *,
		    const struct crule *, const struct query *, size_t *);
static int	 count_pairs(const struct policy_state *,
		    const struct ptest *, const struct ptarget *, size_t *,
		    size_t *);
static int	 test_target(const struct policy_state *,
		    const struct ptest *, const struct ptarget *, int,
		    FILE *);

/* "host:port" with exactly one port, and no net. */
static void
parse_target(struct pctx *c, uint32_t node, struct ptarget *t)
{
	const char	*bad;
	char		*text, *ports;
	uint16_t	 last;

	t->tg_line = pc_line(c, node);
	text = pc_node(c, node)->pn_str;
	if ((bad = alias_split_ports(text, &ports)) == NULL)
		bad = port_range_parse(ports, strlen(ports), &t->tg_port,
		    &last);
	if (bad == NULL && t->tg_port != last)
		bad = "needs exactly one port";
	if (bad == NULL && alias_parse(text, &t->tg_alias) == -1)
		bad = "no selector";
	t->tg_alias.al_line = t->tg_line;
	if (bad == NULL && t->tg_alias.al_type == AL_PREFIX &&
	    t->tg_alias.al_prefix.pp_plen !=
	    (t->tg_alias.al_prefix.pp_version == 4 ? 32 : 128))
		bad = "must be one host, not a net";
	if (bad == NULL && t->tg_alias.al_type == AL_AUTO &&
	    t->tg_alias.al_auto != AG_MEMBER &&
	    t->tg_alias.al_auto != AG_TAGGED)
		bad = "can't be tested";
	if (bad != NULL)
		pc_error(c, t->tg_line, "tests: \"%s\": %s", text, bad);
}

static void
parse_targets(struct pctx *c, uint32_t node, struct ptarget **v, size_t *n)
{
	uint32_t	 i;

	if (pc_want(c, node, PN_ARRAY, "tests") == -1 || *v != NULL ||
	    pc_node(c, node)->pn_nchild == 0)
		return;
	*v = pc_calloc(c, pc_node(c, node)->pn_nchild, sizeof(**v));
	if (*v == NULL)
		return;
	for (i = pc_node(c, node)->pn_child; i != PN_NONE;
	    i = pc_node(c, i)->pn_next)
		if (pc_want(c, i, PN_STRING, "tests") == 0)
			parse_target(c, i, &(*v)[(*n)++]);
}

static int
parse_src(struct pctx *c, uint32_t i, struct ptest *t)
{
	if (pc_want(c, i, PN_STRING, "src") == -1)
		return -1;
	if (alias_parse(pc_node(c, i)->pn_str, &t->te_src) == -1) {
		pc_error(c, pc_line(c, i), "tests: src: \"%s\" is no "
		    "selector", pc_node(c, i)->pn_str);
		return -1;
	}
	t->te_src.al_line = pc_line(c, i);
	return 0;
}

static void
parse_test(struct pctx *c, uint32_t node, struct ptest *t)
{
	const char	*name;
	uint32_t	 i;
	int		 proto = 0;

	t->te_line = pc_line(c, node);
	if (pc_want(c, node, PN_OBJECT, "tests") == -1 ||
	    pc_unique(c, node) == -1)
		return;
	for (i = pc_node(c, node)->pn_child; i != PN_NONE;
	    i = pc_node(c, i)->pn_next) {
		name = pc_node(c, i)->pn_name;
		if (strcasecmp(name, "src") == 0 ||
		    strcasecmp(name, "user") == 0)
			(void)parse_src(c, i, t);
		else if (strcasecmp(name, "accept") == 0 ||
		    strcasecmp(name, "allow") == 0)
			parse_targets(c, i, &t->te_accept, &t->te_naccept);
		else if (strcasecmp(name, "deny") == 0)
			parse_targets(c, i, &t->te_deny, &t->te_ndeny);
		else if (strcasecmp(name, "proto") == 0) {
			if (pc_want(c, i, PN_STRING, "proto") == 0)
				proto = proto_parse(pc_node(c, i)->pn_str);
			if (!proto_has_ports(proto))
				pc_error(c, pc_line(c, i), "tests: proto: "
				    "must be tcp, udp or sctp");
			t->te_proto = (uint8_t)proto;
		} else
			pc_error(c, pc_line(c, i), strcasecmp(name,
			    "srcPostureAttrs") == 0 ?
			    "\"%s\" is not supported yet" :
			    "unknown field: \"%s\"", name);
	}
	if (t->te_src.al_text == NULL)
		pc_error(c, t->te_line, "tests: src is missing");
	if (t->te_naccept + t->te_ndeny == 0)
		pc_error(c, t->te_line, "tests: needs accept or deny");
}

void
parse_tests(struct pctx *c, uint32_t node)
{
	struct policy	*p = c->c_p;
	struct pnode	*n = pc_node(c, node);
	uint32_t	 i;

	if (n->pn_type == PN_NULL ||
	    pc_want(c, node, PN_ARRAY, "tests") == -1 || n->pn_nchild == 0)
		return;
	p->p_tests = pc_calloc(c, n->pn_nchild, sizeof(*p->p_tests));
	if (p->p_tests == NULL)
		return;
	for (i = n->pn_child; i != PN_NONE; i = pc_node(c, i)->pn_next)
		parse_test(c, i, &p->p_tests[p->p_ntests++]);
}

/* Index of the node with an address: 1, or 0. */
static int
find_node(const struct policy_state *s, const struct policy_prefix *p,
    size_t *node)
{
	const struct pnodeinfo	*n;
	int			 fam = p->pp_version == 6;
	size_t			 i;

	for (i = 0; i < s->s_nnodes; i++) {
		n = &s->s_nodes[i];
		if (!n->pn_has[fam] || memcmp(n->pn_addr[fam], p->pp_addr,
		    fam ? 16 : 4) != 0)
			continue;
		*node = i;
		return 1;
	}
	return 0;
}

/* Do ports and protocol of a rule fit what is asked? */
static int
ports_fit(const struct query *q, uint8_t proto, uint16_t first,
    uint16_t last)
{
	/* The filter lets ICMP in wherever anything is allowed. */
	if (q->q_proto == 1 || q->q_proto == 58)
		return 1;
	if (proto == 0 ? q->q_proto != 0 && q->q_proto != 6 &&
	    q->q_proto != 17 : q->q_proto == 0 ? proto != 6 && proto != 17 :
	    q->q_proto != proto)
		return 0;
	if (!proto_has_ports(q->q_proto))
		return first == 0 && last == 65535;
	return q->q_port >= first && q->q_port <= last;
}

/* Rules that are the same for all nodes. */
static int
rule_allows(const struct crule *r, const struct query *q, size_t *line)
{
	const struct cdst	*d;
	size_t			 i;

	for (i = 0; i < r->cr_ndsts; i++) {
		d = &r->cr_dsts[i];
		if (!ports_fit(q, r->cr_proto, d->cd_first, d->cd_last) ||
		    (!d->cd_star &&
		    !prefix_overlaps(&d->cd_prefix, q->q_dst)))
			continue;
		/* They are not in the order of the text. */
		if (*line == 0 || d->cd_line < *line)
			*line = d->cd_line;
	}
	return *line != 0;
}

/* Is the destination of a grant the source's own, or behind its "via"? */
static int
grant_meets(const struct policy_state *s, const struct crule *r,
    const struct alias *a, const struct query *q)
{
	struct policy_prefix	 p;
	struct aset		 set;
	size_t			 from, to;
	int			 hit;

	if (r->cr_kind == CR_SELF)
		return a->al_type == AL_AUTO && a->al_auto == AG_SELF &&
		    find_node(s, q->q_src, &from) &&
		    find_node(s, q->q_dst, &to) && same_owner(s, from, to);
	for (to = 0; to < s->s_nnodes; to++)
		if (bit_get(r->cr_dstnodes, to) && via_meets(s, to, a))
			break;
	if (to == s->s_nnodes)
		return 0;
	memset(&set, 0, sizeof(set));
	p = *q->q_dst;
	hit = resolve_alias(s, a, &set) == 0;
	aset_settle(&set);
	hit = hit && aset_overlaps(&set, &p);
	aset_free(&set);
	return hit;
}

static int
grant_allows(const struct policy_state *s, const struct crule *r,
    const struct query *q, size_t *line)
{
	const struct grant	*g = r->cr_grant;
	size_t			 i, k;

	for (i = 0; i < g->gr_nips; i++) {
		if (!ports_fit(q, g->gr_ips[i].gi_proto,
		    g->gr_ips[i].gi_first, g->gr_ips[i].gi_last))
			continue;
		for (k = 0; k < g->gr_dsts.al_n; k++)
			if (grant_meets(s, r, &g->gr_dsts.al_v[k], q)) {
				*line = g->gr_dsts.al_v[k].al_line;
				return 1;
			}
	}
	return 0;
}

int
policy_explain(const struct policy_state *s,
    const struct policy_prefix *src, const struct policy_prefix *dst,
    uint16_t port, uint8_t proto, size_t *line)
{
	const struct crule	*r;
	struct query		 q = { src, dst, port, proto };
	size_t			 i;

	*line = 0;
	if (src->pp_version != dst->pp_version)
		return 0;
	if (s->s_allowall)
		return 1;
	for (i = 0; i < s->s_nrules; i++) {
		r = &s->s_rules[i];
		if (r->cr_kind == CR_CAPS ||
		    !aset_contains(&r->cr_src->cs_set, src->pp_version == 6,
		    src->pp_addr))
			continue;
		if (r->cr_kind == CR_PORTS ? rule_allows(r, &q, line) :
		    grant_allows(s, r, &q, line))
			return 1;
	}
	return 0;
}

/*
 * Of all pairs of a source and a destination address of one family, how
 * many are there, and how many are allowed? -1: out of memory.
 */
static int
count_pairs(const struct policy_state *s, const struct ptest *t,
    const struct ptarget *to, size_t *pairs, size_t *allowed)
{
	struct policy_prefix	*src = NULL, *dst = NULL;
	struct aset		 from, dest;
	size_t			 i, k, nsrc, ndst, line;
	int			 r = -1;

	*pairs = *allowed = 0;
	memset(&from, 0, sizeof(from));
	memset(&dest, 0, sizeof(dest));
	if (resolve_alias(s, &t->te_src, &from) == -1 ||
	    resolve_alias(s, &to->tg_alias, &dest) == -1)
		goto done;
	aset_settle(&from);
	aset_settle(&dest);
	if (aset_prefixes(&from, &src, &nsrc) == -1 ||
	    aset_prefixes(&dest, &dst, &ndst) == -1)
		goto done;
	for (i = 0; i < nsrc; i++)
		for (k = 0; k < ndst; k++) {
			if (src[i].pp_version != dst[k].pp_version)
				continue;
			(*pairs)++;
			*allowed += (size_t)policy_explain(s, &src[i],
			    &dst[k], to->tg_port, t->te_proto, &line);
		}
	r = 0;
done:
	free(src);
	free(dst);
	aset_free(&from);
	aset_free(&dest);
	return r;
}

/* Everything is tested before the verdict, so that all failures show. */
static int
test_target(const struct policy_state *s, const struct ptest *t,
    const struct ptarget *to, int want, FILE *msgs)
{
	size_t	 pairs, allowed;

	if (count_pairs(s, t, to, &pairs, &allowed) == -1) {
		fprintf(msgs, "%s:%zu: out of memory\n", s->s_p->p_file,
		    to->tg_line);
		return -1;
	}
	if (pairs > 0 && allowed == (want ? pairs : 0))
		return 0;
	fprintf(msgs, "%s:%zu: test failed: %s -> %s:%u: expected %s, ",
	    s->s_p->p_file, to->tg_line, t->te_src.al_text,
	    to->tg_alias.al_text, to->tg_port, want ? "accept" : "deny");
	if (pairs == 0)
		fprintf(msgs, "but source or destination is nobody\n");
	else
		fprintf(msgs, "%zu of %zu pairs of addresses allowed\n",
		    allowed, pairs);
	return -1;
}

int
policy_test(const struct policy_state *s, char **msgs)
{
	const struct ptest	*t;
	FILE			*f;
	size_t			 i, k, len;
	int			 r = 0;

	*msgs = NULL;
	if ((f = open_memstream(msgs, &len)) == NULL)
		return -1;
	for (i = 0; i < s->s_p->p_ntests; i++) {
		t = &s->s_p->p_tests[i];
		for (k = 0; k < t->te_naccept; k++)
			r |= test_target(s, t, &t->te_accept[k], 1, f);
		for (k = 0; k < t->te_ndeny; k++)
			r |= test_target(s, t, &t->te_deny[k], 0, f);
	}
	if (fclose(f) != 0)
		r = -1;
	if (r == 0) {
		free(*msgs);
		*msgs = NULL;
	}
	return r;
}
