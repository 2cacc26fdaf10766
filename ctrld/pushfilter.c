/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The packet filter to netd: rules in binary form.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "ctrld.h"

struct cap {
	RB_ENTRY(cap)	 c_entry;
	char		*c_name;
};
RB_HEAD(captree, cap);

static int
cap_cmp(struct cap *a, struct cap *b)
{
	return strcmp(a->c_name, b->c_name);
}

RB_PROTOTYPE(captree, cap, c_entry, cap_cmp)
RB_GENERATE(captree, cap, c_entry, cap_cmp)

/* Capabilities that the filter in force has as sources. */
static struct captree	 caps = RB_INITIALIZER(&caps);

static void
caps_free(struct captree *t)
{
	struct cap	*c, *next;

	RB_FOREACH_SAFE(c, captree, t, next) {
		RB_REMOVE(captree, t, c);
		free(c->c_name);
		free(c);
	}
}

int
filter_names_cap(const char *name)
{
	struct cap	 key;
	union {
		const char	*in;
		char		*out;
	} u;

	u.in = name;
	key.c_name = u.out;
	return RB_FIND(captree, &caps, &key) != NULL;
}

static void
caps_add(struct captree *t, const char *name)
{
	struct cap	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    (c->c_name = strdup(name)) == NULL)
		fatal(NULL);
	if (RB_INSERT(captree, t, c) != NULL) {
		free(c->c_name);
		free(c);
	}
}

static int
caps_same(struct captree *a, struct captree *b)
{
	struct cap	*x, *y;

	x = RB_MIN(captree, a);
	y = RB_MIN(captree, b);
	while (x != NULL && y != NULL && strcmp(x->c_name, y->c_name) == 0) {
		x = RB_NEXT(captree, a, x);
		y = RB_NEXT(captree, b, y);
	}
	return x == NULL && y == NULL;
}

int
filter_caps_update(struct netmap *nm)
{
	struct captree	 now = RB_INITIALIZER(&now);
	struct nm_chunk	*c;
	uint32_t	 i, k;

	RB_FOREACH(c, nm_chunks, &nm->nm_chunks)
		for (i = 0; i < c->c_nrules; i++)
			for (k = 0; k < c->c_rules[i].r_nsrccaps; k++)
				caps_add(&now, c->c_rules[i].r_srccaps[k]);
	if (caps_same(&now, &caps)) {
		caps_free(&now);
		return 0;
	}
	caps_free(&caps);
	caps = now;
	return 1;
}

/* --- what must not be --- */

static int
range_has(const struct filter_range *r, uint8_t version, const uint8_t *addr)
{
	size_t	 len;

	len = version == 4 ? 4 : 16;
	return r->fr_version == version &&
	    memcmp(r->fr_lo, addr, len) <= 0 &&
	    memcmp(addr, r->fr_hi, len) <= 0;
}

static int
rules_let_in(struct netmap *nm, const struct nm_node *n)
{
	const struct nm_rule	*r;
	struct nm_chunk		*c;
	uint32_t		 a, i, k;

	RB_FOREACH(c, nm_chunks, &nm->nm_chunks)
		for (i = 0; i < c->c_nrules; i++)
			for (k = 0, r = &c->c_rules[i]; k < r->r_nsrcs; k++)
				for (a = 0; a < n->n_naddrs; a++)
					if (range_has(&r->r_srcs[k],
					    n->n_addrs[a].np_version,
					    n->n_addrs[a].np_addr))
						return 1;
	return 0;
}

/*
 * A peer that tailnet lock does not cover must not be let in by any rule;
 * a filter that does is refused as a whole, as is one in a form that no
 * server sends to clients of today. Source: control.md 4.5, 4.8.
 */
static int
filter_refused(struct netmap *nm)
{
	struct nm_chunk	*c;
	struct nm_node	*n;

	RB_FOREACH(c, nm_chunks, &nm->nm_chunks)
		if (c->c_refused) {
			log_warnx("packet filter has SrcBits or Bits: "
			    "refused, nothing comes in");
			return 1;
		}
	RB_FOREACH(n, nm_tree, &nm->nm_peers)
		if (n->n_unsigned && rules_let_in(nm, n)) {
			log_warnx("packet filter lets in an unsigned peer: "
			    "refused, nothing comes in");
			return 1;
		}
	return 0;
}

/* --- rules --- */

static void
range_wire(const struct filter_range *r, struct msg_range *out)
{
	memset(out, 0, sizeof(*out));
	out->af = r->fr_version;
	memcpy(out->lo, r->fr_lo, sizeof(out->lo));
	memcpy(out->hi, r->fr_hi, sizeof(out->hi));
}

static void
send_srcs(struct chan *c, uint64_t id, const struct nm_rule *r)
{
	struct msg_nm_list	 hdr;
	struct msg_range	 v[MSG_LIST_MAX];
	uint32_t		 i;

	memset(&hdr, 0, sizeof(hdr));
	hdr.id = id;
	for (i = 0; i < r->r_nsrcs; i++) {
		range_wire(&r->r_srcs[i], &v[hdr.n++]);
		if (hdr.n < MSG_LIST_MAX && i + 1 < r->r_nsrcs)
			continue;
		(void)chan_compose2(c, IMSG_NM_FILTER_SRC, 0, -1, &hdr,
		    sizeof(hdr), v, hdr.n * sizeof(v[0]));
		hdr.n = 0;
	}
}

static void
send_dsts(struct chan *c, uint64_t id, const struct nm_rule *r)
{
	struct msg_nm_list	 hdr;
	struct msg_portrange	 v[MSG_LIST_MAX];
	uint32_t		 i;

	memset(&hdr, 0, sizeof(hdr));
	memset(v, 0, sizeof(v));
	hdr.id = id;
	for (i = 0; i < r->r_ndsts; i++) {
		range_wire(&r->r_dsts[i].fd_range, &v[hdr.n].r);
		v[hdr.n].lo = r->r_dsts[i].fd_first;
		v[hdr.n++].hi = r->r_dsts[i].fd_last;
		if (hdr.n < MSG_LIST_MAX && i + 1 < r->r_ndsts)
			continue;
		(void)chan_compose2(c, IMSG_NM_FILTER_DST, 0, -1, &hdr,
		    sizeof(hdr), v, hdr.n * sizeof(v[0]));
		hdr.n = 0;
	}
}

static void
send_srccaps(struct chan *c, uint64_t id, const struct nm_rule *r)
{
	struct msg_nm_cap	 m;
	uint32_t		 i;

	for (i = 0; i < r->r_nsrccaps; i++) {
		memset(&m, 0, sizeof(m));
		m.id = id;
		if (strlcpy(m.cap, r->r_srccaps[i], sizeof(m.cap)) <
		    sizeof(m.cap))
			(void)chan_compose(c, IMSG_NM_FILTER_SRCCAP, 0, -1,
			    &m, sizeof(m));
	}
}

/* A message holds so many protocols: a rule with more becomes several. */
static uint32_t
rule_parts(const struct nm_rule *r)
{
	const size_t	 max = sizeof(((struct msg_nm_rule *)0)->proto);

	/* Nothing that it could match, or nobody: a rule of capabilities. */
	if (r->r_ndsts == 0 || r->r_nprotos == 0 ||
	    r->r_nsrcs + r->r_nsrccaps == 0)
		return 0;
	return (r->r_nprotos + max - 1) / max;
}

static void
send_rule(struct chan *c, uint64_t id, const struct nm_rule *r, uint32_t part)
{
	struct msg_nm_rule	 m;
	uint32_t		 from;

	memset(&m, 0, sizeof(m));
	m.id = id;
	from = part * sizeof(m.proto);
	m.nprotos = r->r_nprotos - from;
	if (m.nprotos > sizeof(m.proto))
		m.nprotos = sizeof(m.proto);
	memcpy(m.proto, r->r_protos + from, m.nprotos);
	(void)chan_compose(c, IMSG_NM_FILTER_RULE, 0, -1, &m, sizeof(m));
	send_srcs(c, id, r);
	send_srccaps(c, id, r);
	send_dsts(c, id, r);
}

/* --- peer relays --- */

/* Is an address of our own inside? */
static int
covers_self(struct netmap *nm, const struct nm_prefix *p)
{
	const struct nm_prefix	*own;
	uint32_t		 i, bit;

	for (i = 0; i < nm->nm_self->n_naddrs; i++) {
		own = &nm->nm_self->n_addrs[i];
		if (own->np_version != p->np_version)
			continue;
		for (bit = 0; bit < p->np_plen; bit++)
			if ((own->np_addr[bit / 8] ^ p->np_addr[bit / 8]) &
			    (0x80 >> (bit % 8)))
				break;
		if (bit == p->np_plen)
			return 1;
	}
	return 0;
}

/* Does a rule of capabilities give this one for an address of our own? */
static int
grants(struct netmap *nm, json_t *rule, const char *cap)
{
	static const char *const	 fields[] = {
		"Dsts", "Caps", "CapMap"
	};
	struct nm_prefix	 pfx;
	json_t			*g, *e, *v[nitems(fields)];
	size_t			 i, k;
	int			 has, ours;

	json_array_foreach(json_object_get(rule, "CapGrant"), i, g) {
		if (ju_fields(g, fields, nitems(fields), v) == -1)
			continue;
		has = json_object_get(v[2], cap) != NULL;
		json_array_foreach(v[1], k, e)
			if (json_is_string(e) &&
			    strcmp(json_string_value(e), cap) == 0)
				has = 1;
		ours = 0;
		json_array_foreach(v[0], k, e)
			if (json_is_string(e) && nm_prefix_parse(
			    json_string_value(e), &pfx) == 0 &&
			    covers_self(nm, &pfx))
				ours = 1;
		if (has && ours)
			return 1;
	}
	return 0;
}

static void
send_relay(struct chan *c, struct netmap *nm, uint64_t part, const char *cap)
{
	struct msg_nm_list	 hdr;
	struct msg_range	 v[MSG_LIST_MAX];
	const struct nm_rule	*r;
	struct nm_chunk		*ch;
	uint32_t		 i, k;

	memset(&hdr, 0, sizeof(hdr));
	hdr.id = part;
	RB_FOREACH(ch, nm_chunks, &nm->nm_chunks)
		for (i = 0; i < ch->c_nrules; i++) {
			r = &ch->c_rules[i];
			if (!grants(nm, json_array_get(ch->c_json, i), cap))
				continue;
			for (k = 0; k < r->r_nsrcs; k++) {
				range_wire(&r->r_srcs[k], &v[hdr.n++]);
				if (hdr.n < MSG_LIST_MAX)
					continue;
				(void)chan_compose2(c, IMSG_NM_FILTER_RELAY,
				    0, -1, &hdr, sizeof(hdr), v,
				    hdr.n * sizeof(v[0]));
				hdr.n = 0;
			}
		}
	if (hdr.n > 0)
		(void)chan_compose2(c, IMSG_NM_FILTER_RELAY, 0, -1, &hdr,
		    sizeof(hdr), v, hdr.n * sizeof(v[0]));
}

void
push_filter(struct chan *chan, struct netmap *nm)
{
	struct msg_u32	 m;
	struct nm_chunk	*c;
	uint64_t	 id;
	uint32_t	 i, part;
	int		 refused;

	memset(&m, 0, sizeof(m));
	refused = filter_refused(nm);
	RB_FOREACH(c, nm_chunks, &nm->nm_chunks)
		for (i = 0; !refused && i < c->c_nrules; i++)
			m.v += rule_parts(&c->c_rules[i]);
	(void)chan_compose(chan, IMSG_NM_FILTER_BEGIN, 0, -1, &m, sizeof(m));
	id = 0;
	RB_FOREACH(c, nm_chunks, &nm->nm_chunks)
		for (i = 0; !refused && i < c->c_nrules; i++)
			for (part = 0; part < rule_parts(&c->c_rules[i]);
			    part++)
				send_rule(chan, id++, &c->c_rules[i], part);
	if (refused)
		return;
	send_relay(chan, nm, RELAY_CLIENTS, "tailscale.com/cap/relay");
	send_relay(chan, nm, RELAY_SERVERS, "tailscale.com/cap/relay-target");
}
