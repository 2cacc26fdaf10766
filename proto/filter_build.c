/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packet filter: rules in, compiled form out.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "filter_int.h"

/* A growing array; the element size is that of *v. */
#define VEC_ADD(v, n, cap)	vec_grow((void **)&(v), &(n), &(cap), \
				    sizeof(*(v)))

/* Something that covers a range of addresses or ports. */
struct span {
	struct fkey	 s_lo;
	struct fkey	 s_hi;
	uint32_t	 s_item;
	uint32_t	 s_dst;		/* in b_dst; destinations only */
};

struct span_event {
	struct fkey	 e_at;
	uint32_t	 e_item;
	int		 e_add;		/* 1 starts, -1 ended before e_at */
};

struct port_event {
	uint32_t	 e_port;
	uint16_t	 e_mask;
	int		 e_add;		/* 1 opens, -1 closed before e_port */
};

struct bsrc {
	struct frange	 s_range;
	uint32_t	 s_rule;
	uint32_t	 s_fam;
};

/* A source as 32-bit numbers: family and range. */
#define BSRC_WORDS	(1 + sizeof(struct frange) / sizeof(uint32_t))

struct bdst {
	struct frange	 d_range;
	uint32_t	 d_rule;
	uint32_t	 d_fam;
	uint16_t	 d_first;
	uint16_t	 d_last;
};

struct bcap {
	uint32_t	 c_cap;
	uint32_t	 c_rule;
};

struct brule {
	struct fprotos	 r_protos;
	uint32_t	 r_dst;		/* first and number in b_dst */
	uint32_t	 r_ndst;
	uint32_t	 r_fams;	/* bits: destinations in a family */
	uint32_t	 r_allfams;	/* leader: those of all its rules */
	uint32_t	 r_src;		/* first and number in b_src */
	uint32_t	 r_nsrc;
	uint32_t	 r_same;	/* next rule with the same sources */
	uint32_t	 r_leader;	/* first of these */
	int		 r_protoset;
};

/* Lists already compiled, so that equal ones are kept once. */
struct memo {
	uint32_t	*m_items;	/* all lists, one after another */
	struct mentry {
		uint64_t	 hash;
		uint32_t	 first;
		uint32_t	 n;
		uint32_t	 value;
	}		*m_entry;
	uint32_t	*m_bucket;
	uint32_t	 m_nitem, m_itemcap;
	uint32_t	 m_nentry, m_entrycap;
	uint32_t	 m_nbucket;
};

struct filter_builder {
	struct filter	*b_f;
	struct brule	*b_rule;
	struct bsrc	*b_src;
	struct bdst	*b_dst;
	struct bcap	*b_cap;
	struct frange	*b_local;
	uint8_t		*b_localfam;
	uint32_t	 b_nrule, b_rulecap;
	uint32_t	 b_nsrc, b_srccap;
	uint32_t	 b_ndst, b_dstcap;
	uint32_t	 b_ncap, b_capcap;
	uint32_t	 b_nlocal, b_localcap, b_localfamcap;
	uint32_t	 b_namecap;
	/* While compiling: */
	struct ffamily	*b_ff;
	struct memo	 b_classes;	/* list of rules to class */
	struct memo	 b_cells;	/* protocols, ports to cell */
	struct span	*b_span;	/* destinations of one class */
	uint32_t	 b_nspan, b_spancap;
	uint32_t	 b_cellcap, b_portcap, b_protocap;
	uint32_t	 b_dlocap, b_dcellcap, b_slocap, b_sclasscap;
	uint32_t	 b_classcap;
	uint64_t	 b_work;
};

typedef int (*sweep_fn)(struct filter_builder *, const struct fkey *,
    uint32_t *, uint32_t);

static int	 vec_grow(void **, uint32_t *, uint32_t *, size_t);
static int	 range_get(const struct filter_range *, struct frange *,
		    uint32_t *);
static int	 event_cmp(const void *, const void *);
static int	 port_event_cmp(const void *, const void *);
static int	 u32_cmp(const void *, const void *);
static int	 frange_cmp(const void *, const void *);
static int	 span_add(struct filter_builder *, const struct frange *,
		    uint32_t);
static void	 active_change(uint32_t *, uint32_t *, uint32_t *, uint32_t *,
		    uint32_t, int);
static uint32_t	 events_make(const struct span *, uint32_t,
		    struct span_event *);
static int	 sweep(struct filter_builder *, const struct span *, uint32_t,
		    uint32_t, sweep_fn);
static uint64_t	 list_hash(const uint32_t *, uint32_t);
static struct mentry
		*memo_find(struct memo *, uint64_t, const uint32_t *,
		    uint32_t);
static int	 memo_grow(struct memo *);
static int	 memo_add(struct memo *, uint64_t, const uint32_t *, uint32_t,
		    uint32_t);
static void	 memo_free(struct memo *);
static uint16_t	 protos_mask(const struct fprotos *);
static uint32_t	 ports_events(const struct filter_builder *,
		    const uint32_t *, uint32_t, struct port_event *);
static uint32_t	 ports_merge(struct port_event *, uint32_t, uint32_t *);
static int	 protos_index(struct filter_builder *, const uint32_t *,
		    uint32_t, uint32_t *);
static int	 cell_store(struct filter_builder *, const uint32_t *,
		    uint32_t, uint32_t *);
static int	 cell_make(struct filter_builder *, const uint32_t *,
		    uint32_t, uint32_t *);
static int	 dst_emit(struct filter_builder *, const struct fkey *,
		    uint32_t *, uint32_t);
static int	 class_spans(struct filter_builder *, uint32_t);
static int	 class_make(struct filter_builder *, const uint32_t *,
		    uint32_t, int, uint32_t *);
static int	 src_emit(struct filter_builder *, const struct fkey *,
		    uint32_t *, uint32_t);
static uint32_t	 sources_describe(const struct filter_builder *,
		    const struct brule *, uint32_t *);
static int	 group_rules(struct filter_builder *);
static int	 rule_in_family(const struct filter_builder *, uint32_t);
static int	 compile_sources(struct filter_builder *, uint32_t);
static int	 compile_caps(struct filter_builder *);
static int	 compile_local(struct filter_builder *, uint32_t);
static int	 compile_family(struct filter_builder *, uint32_t);

static int
vec_grow(void **v, uint32_t *n, uint32_t *cap, size_t size)
{
	uint32_t	 ncap;
	void		*nv;

	if (*n == *cap) {
		ncap = *cap == 0 ? 16 : *cap * 2;
		if ((nv = reallocarray(*v, ncap, size)) == NULL)
			return -1;
		*v = nv;
		*cap = ncap;
	}
	memset((char *)*v + (size_t)*n * size, 0, size);
	(*n)++;
	return 0;
}

static int
range_get(const struct filter_range *r, struct frange *fr, uint32_t *fam)
{
	if (r->fr_version != 4 && r->fr_version != 6)
		goto bad;
	fr->lo = fkey_get(r->fr_version, r->fr_lo);
	fr->hi = fkey_get(r->fr_version, r->fr_hi);
	if (fkey_cmp(&fr->lo, &fr->hi) > 0)
		goto bad;
	*fam = r->fr_version == 6;
	return 0;
bad:
	errno = EINVAL;
	return -1;
}

struct filter_builder *
filter_build_start(void)
{
	struct filter_builder	*b;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	if ((b->b_f = calloc(1, sizeof(*b->b_f))) == NULL) {
		free(b);
		return NULL;
	}
	return b;
}

void
filter_build_shields(struct filter_builder *b)
{
	b->b_f->f_shields = 1;
}

int
filter_build_local(struct filter_builder *b, const struct filter_range *r)
{
	struct frange	 fr;
	uint32_t	 fam, n;

	if (range_get(r, &fr, &fam) == -1)
		return -1;
	n = b->b_nlocal;
	if (VEC_ADD(b->b_local, n, b->b_localcap) == -1)
		return -1;
	n = b->b_nlocal;
	if (VEC_ADD(b->b_localfam, n, b->b_localfamcap) == -1)
		return -1;
	b->b_local[b->b_nlocal] = fr;
	b->b_localfam[b->b_nlocal] = (uint8_t)fam;
	b->b_nlocal = n;
	return 0;
}

int
filter_build_rule(struct filter_builder *b)
{
	struct brule	*r;

	if (b->b_nrule == FILTER_MAX_RULES) {
		errno = E2BIG;
		return -1;
	}
	if (VEC_ADD(b->b_rule, b->b_nrule, b->b_rulecap) == -1)
		return -1;
	r = &b->b_rule[b->b_nrule - 1];
	r->r_protos.b[0] = 1ULL << PKT_TCP | 1ULL << PKT_UDP |
	    1ULL << PKT_ICMP | 1ULL << PKT_ICMP6;
	return 0;
}

int
filter_build_proto(struct filter_builder *b, int proto)
{
	struct brule	*r;

	if (b->b_nrule == 0) {
		errno = EINVAL;
		return -1;
	}
	r = &b->b_rule[b->b_nrule - 1];
	if (!r->r_protoset) {
		memset(&r->r_protos, 0, sizeof(r->r_protos));
		r->r_protoset = 1;
	}
	if (proto >= 0 && proto <= 255)
		r->r_protos.b[proto / 64] |= 1ULL << (proto % 64);
	return 0;
}

int
filter_build_src(struct filter_builder *b, const struct filter_range *r)
{
	struct bsrc	*s;
	struct frange	 fr;
	uint32_t	 fam;

	if (b->b_nrule == 0) {
		errno = EINVAL;
		return -1;
	}
	if (range_get(r, &fr, &fam) == -1)
		return -1;
	if (b->b_nsrc >= FILTER_MAX_WORK) {
		errno = E2BIG;
		return -1;
	}
	if (VEC_ADD(b->b_src, b->b_nsrc, b->b_srccap) == -1)
		return -1;
	s = &b->b_src[b->b_nsrc - 1];
	s->s_range = fr;
	s->s_fam = fam;
	s->s_rule = b->b_nrule - 1;
	return 0;
}

int
filter_build_cap(struct filter_builder *b, const char *name)
{
	struct filter	*f = b->b_f;
	uint32_t	 i;

	if (b->b_nrule == 0 || strlen(name) >= FILTER_CAP_MAX) {
		errno = EINVAL;
		return -1;
	}
	for (i = 0; i < f->f_ncap; i++)
		if (strcmp(f->f_capname[i], name) == 0)
			break;
	if (i == FILTER_MAX_CAPS || b->b_ncap >= FILTER_MAX_WORK) {
		errno = E2BIG;
		return -1;
	}
	if (i == f->f_ncap) {
		if (VEC_ADD(f->f_capname, f->f_ncap, b->b_namecap) == -1)
			return -1;
		memcpy(f->f_capname[i], name, strlen(name));
	}
	if (VEC_ADD(b->b_cap, b->b_ncap, b->b_capcap) == -1)
		return -1;
	b->b_cap[b->b_ncap - 1].c_cap = i;
	b->b_cap[b->b_ncap - 1].c_rule = b->b_nrule - 1;
	return 0;
}

int
filter_build_dst(struct filter_builder *b, const struct filter_dst *dst)
{
	struct bdst	*d;
	struct frange	 fr;
	uint32_t	 fam;

	if (b->b_nrule == 0) {
		errno = EINVAL;
		return -1;
	}
	if (range_get(&dst->fd_range, &fr, &fam) == -1)
		return -1;
	if (b->b_ndst >= FILTER_MAX_WORK) {
		errno = E2BIG;
		return -1;
	}
	if (VEC_ADD(b->b_dst, b->b_ndst, b->b_dstcap) == -1)
		return -1;
	d = &b->b_dst[b->b_ndst - 1];
	d->d_range = fr;
	d->d_fam = fam;
	d->d_rule = b->b_nrule - 1;
	d->d_first = dst->fd_first;
	d->d_last = dst->fd_last;
	return 0;
}

static int
event_cmp(const void *a, const void *b)
{
	const struct span_event	*x = a, *y = b;

	return fkey_cmp(&x->e_at, &y->e_at);
}

static int
u32_cmp(const void *a, const void *b)
{
	uint32_t	 x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int
frange_cmp(const void *a, const void *b)
{
	const struct frange	*x = a, *y = b;

	return fkey_cmp(&x->lo, &y->lo);
}

static int
span_add(struct filter_builder *b, const struct frange *r, uint32_t dst)
{
	struct span	*s;

	if (VEC_ADD(b->b_span, b->b_nspan, b->b_spancap) == -1)
		return -1;
	s = &b->b_span[b->b_nspan - 1];
	s->s_lo = r->lo;
	s->s_hi = r->hi;
	s->s_item = b->b_nspan - 1;
	s->s_dst = dst;
	return 0;
}

/*
 * Keep the list of items that cover the current place; an item may cover
 * it more than once.
 */
static void
active_change(uint32_t *list, uint32_t *n, uint32_t *pos, uint32_t *count,
    uint32_t item, int add)
{
	uint32_t	 last;

	if (add > 0) {
		if (count[item]++ == 0) {
			pos[item] = *n;
			list[(*n)++] = item;
		}
		return;
	}
	if (--count[item] != 0)
		return;
	last = list[--(*n)];
	list[pos[item]] = last;
	pos[last] = pos[item];
}

static uint32_t
events_make(const struct span *s, uint32_t n, struct span_event *ev)
{
	struct fkey	 end;
	uint32_t	 i, nev;

	for (nev = 0, i = 0; i < n; i++) {
		ev[nev].e_at = s[i].s_lo;
		ev[nev].e_item = s[i].s_item;
		ev[nev++].e_add = 1;
		end = s[i].s_hi;
		if (++end.k_lo == 0 && ++end.k_hi == 0)
			continue;	/* reaches the last address */
		ev[nev].e_at = end;
		ev[nev].e_item = s[i].s_item;
		ev[nev++].e_add = -1;
	}
	qsort(ev, nev, sizeof(*ev), event_cmp);
	return nev;
}

/*
 * Cut overlapping spans into ranges with the same items everywhere and
 * hand them out in ascending order: where each starts, and its items
 * sorted. Items are below nitem.
 */
static int
sweep(struct filter_builder *b, const struct span *s, uint32_t n,
    uint32_t nitem, sweep_fn fn)
{
	struct span_event	*ev;
	uint32_t		*list, *pos, *count, *copy;
	uint32_t		 i, j, nev, nlist = 0;
	int			 r = -1;

	ev = reallocarray(NULL, (size_t)n * 2 + 1, sizeof(*ev));
	list = calloc((size_t)nitem * 4 + 4, sizeof(*list));
	if (ev == NULL || list == NULL)
		goto done;
	pos = list + nitem;
	count = pos + nitem;
	copy = count + nitem;
	nev = events_make(s, n, ev);
	for (i = 0; i < nev; i = j) {
		for (j = i; j < nev &&
		    fkey_cmp(&ev[j].e_at, &ev[i].e_at) == 0; j++)
			if (ev[j].e_add > 0)
				active_change(list, &nlist, pos, count,
				    ev[j].e_item, 1);
		for (j = i; j < nev &&
		    fkey_cmp(&ev[j].e_at, &ev[i].e_at) == 0; j++)
			if (ev[j].e_add < 0)
				active_change(list, &nlist, pos, count,
				    ev[j].e_item, -1);
		if ((b->b_work += nlist + 1) > FILTER_MAX_WORK) {
			errno = E2BIG;
			goto done;
		}
		memcpy(copy, list, nlist * sizeof(*copy));
		qsort(copy, nlist, sizeof(*copy), u32_cmp);
		if (fn(b, &ev[i].e_at, copy, nlist) == -1)
			goto done;
	}
	r = 0;
done:
	free(ev);
	free(list);
	return r;
}

static uint64_t
list_hash(const uint32_t *items, uint32_t n)
{
	uint64_t	 h = 0xcbf29ce484222325ULL;
	uint32_t	 i;

	for (i = 0; i < n; i++)
		h = (h ^ items[i]) * 0x100000001b3ULL;
	return h ^ h >> 29;
}

static struct mentry *
memo_find(struct memo *m, uint64_t hash, const uint32_t *items, uint32_t n)
{
	struct mentry	*e;
	uint32_t	 i;

	if (m->m_nbucket == 0)
		return NULL;
	for (i = (uint32_t)hash & (m->m_nbucket - 1);
	    m->m_bucket[i] != F_NONE; i = (i + 1) & (m->m_nbucket - 1)) {
		e = &m->m_entry[m->m_bucket[i]];
		if (e->hash != hash || e->n != n)
			continue;
		if (n == 0 || memcmp(m->m_items + e->first, items,
		    n * sizeof(*items)) == 0)
			return e;
	}
	return NULL;
}

/* Keep the table at most half full; it is rebuilt from the entries. */
static int
memo_grow(struct memo *m)
{
	uint32_t	*nb, size, i, j;

	if (m->m_nbucket > m->m_nentry * 2 + 2)
		return 0;
	size = m->m_nbucket == 0 ? 64 : m->m_nbucket * 2;
	if ((nb = reallocarray(NULL, size, sizeof(*nb))) == NULL)
		return -1;
	memset(nb, 0xff, size * sizeof(*nb));
	for (i = 0; i < m->m_nentry; i++) {
		j = (uint32_t)m->m_entry[i].hash & (size - 1);
		while (nb[j] != F_NONE)
			j = (j + 1) & (size - 1);
		nb[j] = i;
	}
	free(m->m_bucket);
	m->m_bucket = nb;
	m->m_nbucket = size;
	return 0;
}

static int
memo_add(struct memo *m, uint64_t hash, const uint32_t *items, uint32_t n,
    uint32_t value)
{
	struct mentry	*e;
	uint32_t	 i, j, first;

	first = m->m_nitem;
	for (i = 0; i < n; i++) {
		if (VEC_ADD(m->m_items, m->m_nitem, m->m_itemcap) == -1)
			return -1;
		m->m_items[m->m_nitem - 1] = items[i];
	}
	if (memo_grow(m) == -1 ||
	    VEC_ADD(m->m_entry, m->m_nentry, m->m_entrycap) == -1)
		return -1;
	e = &m->m_entry[m->m_nentry - 1];
	e->hash = hash;
	e->first = first;
	e->n = n;
	e->value = value;
	j = (uint32_t)hash & (m->m_nbucket - 1);
	while (m->m_bucket[j] != F_NONE)
		j = (j + 1) & (m->m_nbucket - 1);
	m->m_bucket[j] = m->m_nentry - 1;
	return 0;
}

static void
memo_free(struct memo *m)
{
	free(m->m_items);
	free(m->m_entry);
	free(m->m_bucket);
	memset(m, 0, sizeof(*m));
}

static uint16_t
protos_mask(const struct fprotos *p)
{
	uint16_t	 mask = 0;

	if (p->b[0] >> PKT_TCP & 1)
		mask |= F_TCP;
	if (p->b[0] >> PKT_UDP & 1)
		mask |= F_UDP;
	if (p->b[PKT_SCTP / 64] >> (PKT_SCTP % 64) & 1)
		mask |= F_SCTP;
	return mask;
}

static int
port_event_cmp(const void *a, const void *b)
{
	const struct port_event	*x = a, *y = b;

	return x->e_port < y->e_port ? -1 : x->e_port > y->e_port;
}

static uint32_t
ports_events(const struct filter_builder *b, const uint32_t *dsts,
    uint32_t n, struct port_event *ev)
{
	const struct bdst	*d;
	uint32_t		 i, nev = 0;
	uint16_t		 mask;

	for (i = 0; i < n; i++) {
		d = &b->b_dst[dsts[i]];
		mask = protos_mask(&b->b_rule[d->d_rule].r_protos);
		if (d->d_first > d->d_last || mask == 0)
			continue;
		ev[nev].e_port = d->d_first;
		ev[nev].e_mask = mask;
		ev[nev++].e_add = 1;
		ev[nev].e_port = (uint32_t)d->d_last + 1;
		ev[nev].e_mask = mask;
		ev[nev++].e_add = -1;
	}
	qsort(ev, nev, sizeof(*ev), port_event_cmp);
	return nev;
}

/* Events to entries "from this port on these protocols", as numbers. */
static uint32_t
ports_merge(struct port_event *ev, uint32_t nev, uint32_t *out)
{
	int32_t		 open[3] = { 0, 0, 0 };
	uint32_t	 i, j, n = 0;
	uint16_t	 mask, last = 0;

	for (i = 0; i < nev; i++) {
		for (j = 0; j < 3; j++)
			if (ev[i].e_mask >> j & 1)
				open[j] += ev[i].e_add;
		if (i + 1 < nev && ev[i + 1].e_port == ev[i].e_port)
			continue;
		for (mask = 0, j = 0; j < 3; j++)
			if (open[j] > 0)
				mask |= (uint16_t)(1 << j);
		if (mask == last || ev[i].e_port > 65535)
			continue;
		out[n++] = ev[i].e_port << 16 | mask;
		last = mask;
	}
	return n;
}

/* Protocols for which some destination opens all ports. */
static int
protos_index(struct filter_builder *b, const uint32_t *dsts, uint32_t n,
    uint32_t *idx)
{
	const struct bdst	*d;
	struct filter		*f = b->b_f;
	struct fprotos		 p;
	uint32_t		 i, j;

	memset(&p, 0, sizeof(p));
	for (i = 0; i < n; i++) {
		d = &b->b_dst[dsts[i]];
		if (d->d_first != 0 || d->d_last != 65535)
			continue;
		for (j = 0; j < 4; j++)
			p.b[j] |= b->b_rule[d->d_rule].r_protos.b[j];
	}
	*idx = F_NONE;
	if ((p.b[0] | p.b[1] | p.b[2] | p.b[3]) == 0)
		return 0;
	for (i = 0; i < f->f_nprotos; i++)
		if (memcmp(&f->f_protos[i], &p, sizeof(p)) == 0)
			break;
	if (i == f->f_nprotos) {
		if (VEC_ADD(f->f_protos, f->f_nprotos, b->b_protocap) == -1)
			return -1;
		f->f_protos[i] = p;
	}
	*idx = i;
	return 0;
}

/* desc: index of the protocols, then entries of ports_merge(). */
static int
cell_store(struct filter_builder *b, const uint32_t *desc, uint32_t n,
    uint32_t *cell)
{
	struct filter	*f = b->b_f;
	struct mentry	*e;
	struct fcell	*c;
	uint64_t	 hash;
	uint32_t	 i;

	hash = list_hash(desc, n);
	if ((e = memo_find(&b->b_cells, hash, desc, n)) != NULL) {
		*cell = e->value;
		return 0;
	}
	if (VEC_ADD(f->f_cells, f->f_ncell, b->b_cellcap) == -1)
		return -1;
	c = &f->f_cells[f->f_ncell - 1];
	c->c_protos = desc[0];
	c->c_port = f->f_nport;
	c->c_nport = n - 1;
	for (i = 1; i < n; i++) {
		if (VEC_ADD(f->f_ports, f->f_nport, b->b_portcap) == -1)
			return -1;
		f->f_ports[f->f_nport - 1].p_first =
		    (uint16_t)(desc[i] >> 16);
		f->f_ports[f->f_nport - 1].p_mask = (uint16_t)desc[i];
	}
	*cell = f->f_ncell - 1;
	return memo_add(&b->b_cells, hash, desc, n, *cell);
}

/* What this list of destinations allows together. */
static int
cell_make(struct filter_builder *b, const uint32_t *dsts, uint32_t n,
    uint32_t *cell)
{
	struct port_event	*ev;
	uint32_t		*desc;
	uint32_t		 nev, ndesc;
	int			 r = -1;

	ev = reallocarray(NULL, (size_t)n * 2, sizeof(*ev));
	desc = reallocarray(NULL, (size_t)n * 2 + 1, sizeof(*desc));
	if (ev == NULL || desc == NULL ||
	    protos_index(b, dsts, n, &desc[0]) == -1)
		goto done;
	nev = ports_events(b, dsts, n, ev);
	ndesc = ports_merge(ev, nev, desc + 1) + 1;
	r = cell_store(b, desc, ndesc, cell);
done:
	free(ev);
	free(desc);
	return r;
}

/* One range of destinations of the class that is being made. */
static int
dst_emit(struct filter_builder *b, const struct fkey *at, uint32_t *spans,
    uint32_t n)
{
	struct ffamily	*ff = b->b_ff;
	struct fclass	*c = &ff->ff_class[ff->ff_nclass - 1];
	uint32_t	 cell = F_NONE, i, k;

	for (i = 0; i < n; i++)
		spans[i] = b->b_span[spans[i]].s_dst;
	if (n > 0 && cell_make(b, spans, n, &cell) == -1)
		return -1;
	if (c->c_n == 0 ? cell == F_NONE :
	    ff->ff_dcell[ff->ff_ndst - 1] == cell)
		return 0;
	k = ff->ff_ndst;
	if (VEC_ADD(ff->ff_dlo, k, b->b_dlocap) == -1)
		return -1;
	k = ff->ff_ndst;
	if (VEC_ADD(ff->ff_dcell, k, b->b_dcellcap) == -1)
		return -1;
	ff->ff_dlo[ff->ff_ndst] = *at;
	ff->ff_dcell[ff->ff_ndst] = cell;
	ff->ff_ndst = k;
	c->c_n++;
	return 0;
}

static int
class_spans(struct filter_builder *b, uint32_t rule)
{
	const struct brule	*r = &b->b_rule[rule];
	uint32_t		 i;

	for (i = r->r_dst; i < r->r_dst + r->r_ndst; i++)
		if (&b->b_f->f_fam[b->b_dst[i].d_fam] == b->b_ff &&
		    span_add(b, &b->b_dst[i].d_range, i) == -1)
			return -1;
	return 0;
}

/*
 * The class of sources that all these rules name, and no others. grouped:
 * each rule stands for all that have its sources.
 */
static int
class_make(struct filter_builder *b, const uint32_t *rules, uint32_t n,
    int grouped, uint32_t *class)
{
	struct ffamily		*ff = b->b_ff;
	struct mentry		*e;
	uint64_t		 hash;
	uint32_t		 i, rule;

	hash = list_hash(rules, n);
	e = memo_find(&b->b_classes, hash, rules, n);
	if (grouped && e != NULL) {
		*class = e->value;
		return 0;
	}
	*class = ff->ff_nclass;
	if (VEC_ADD(ff->ff_class, ff->ff_nclass, b->b_classcap) == -1)
		return -1;
	ff->ff_class[*class].c_first = ff->ff_ndst;
	b->b_nspan = 0;
	for (i = 0; i < n; i++) {
		rule = rules[i];
		do {
			if (class_spans(b, rule) == -1)
				return -1;
			rule = b->b_rule[rule].r_same;
		} while (grouped && rule != F_NONE);
	}
	if (sweep(b, b->b_span, b->b_nspan, b->b_nspan, dst_emit) == -1)
		return -1;
	if (!grouped)
		return 0;
	return memo_add(&b->b_classes, hash, rules, n, *class);
}

/* One range of sources. */
static int
src_emit(struct filter_builder *b, const struct fkey *at, uint32_t *rules,
    uint32_t n)
{
	struct ffamily	*ff = b->b_ff;
	uint32_t	 class = F_NONE, k;

	if (n > 0 && class_make(b, rules, n, 1, &class) == -1)
		return -1;
	if (ff->ff_nsrc > 0 && ff->ff_sclass[ff->ff_nsrc - 1] == class)
		return 0;
	k = ff->ff_nsrc;
	if (VEC_ADD(ff->ff_slo, k, b->b_slocap) == -1)
		return -1;
	k = ff->ff_nsrc;
	if (VEC_ADD(ff->ff_sclass, k, b->b_sclasscap) == -1)
		return -1;
	ff->ff_slo[ff->ff_nsrc] = *at;
	ff->ff_sclass[ff->ff_nsrc] = class;
	ff->ff_nsrc = k;
	return 0;
}

/*
 * Find the rules with the same sources, in the same order, so that these
 * are swept once: many rules for "everyone" must not cost more than one.
 */
static int
group_rules(struct filter_builder *b)
{
	struct memo	 m;
	struct mentry	*e;
	struct brule	*r, *l;
	uint32_t	*items, i, n;
	int		 ret = -1;

	memset(&m, 0, sizeof(m));
	items = reallocarray(NULL, (size_t)b->b_nsrc * BSRC_WORDS + 1,
	    sizeof(*items));
	if (items == NULL)
		return -1;
	for (i = 0; i < b->b_nrule; i++) {
		r = &b->b_rule[i];
		r->r_same = F_NONE;
		r->r_leader = i;
		r->r_allfams = r->r_fams;
		n = sources_describe(b, r, items);
		e = memo_find(&m, list_hash(items, n), items, n);
		if (e == NULL) {
			if (memo_add(&m, list_hash(items, n), items, n,
			    i) == -1)
				goto done;
			continue;
		}
		l = &b->b_rule[e->value];
		r->r_leader = e->value;
		r->r_same = l->r_same;
		l->r_same = i;
		l->r_allfams |= r->r_fams;
	}
	ret = 0;
done:
	memo_free(&m);
	free(items);
	return ret;
}

/* The sources of a rule as a list of numbers; returns how many. */
static uint32_t
sources_describe(const struct filter_builder *b, const struct brule *r,
    uint32_t *items)
{
	const struct bsrc	*s;
	uint32_t		 i, n = 0;

	for (i = r->r_src; i < r->r_src + r->r_nsrc; i++) {
		s = &b->b_src[i];
		items[n++] = s->s_fam;
		memcpy(&items[n], &s->s_range, sizeof(s->s_range));
		n += sizeof(s->s_range) / sizeof(*items);
	}
	return n;
}

/* A rule without destinations in a family says nothing about it. */
static int
rule_in_family(const struct filter_builder *b, uint32_t rule)
{
	return b->b_rule[rule].r_fams >> (b->b_ff - b->b_f->f_fam) & 1;
}

static int
compile_sources(struct filter_builder *b, uint32_t fam)
{
	struct span	*spans;
	uint32_t	 i, n, rule;
	int		 r;

	spans = reallocarray(NULL, (size_t)b->b_nsrc + 1, sizeof(*spans));
	if (spans == NULL)
		return -1;
	for (n = 0, i = 0; i < b->b_nsrc; i++) {
		rule = b->b_src[i].s_rule;
		if (b->b_src[i].s_fam != fam ||
		    b->b_rule[rule].r_leader != rule ||
		    (b->b_rule[rule].r_allfams >> fam & 1) == 0)
			continue;
		spans[n].s_lo = b->b_src[i].s_range.lo;
		spans[n].s_hi = b->b_src[i].s_range.hi;
		spans[n++].s_item = rule;
	}
	r = sweep(b, spans, n, b->b_nrule, src_emit);
	free(spans);
	return r;
}

/* Each capability is a class of its own. */
static int
compile_caps(struct filter_builder *b)
{
	struct ffamily	*ff = b->b_ff;
	uint32_t	*rules, cap, i, n;
	int		 r = -1;

	n = b->b_f->f_ncap;
	ff->ff_cap = reallocarray(NULL, (size_t)n + 1, sizeof(*ff->ff_cap));
	rules = reallocarray(NULL, (size_t)b->b_ncap + 1, sizeof(*rules));
	if (ff->ff_cap == NULL || rules == NULL)
		goto done;
	for (cap = 0; cap < b->b_f->f_ncap; cap++) {
		for (n = 0, i = 0; i < b->b_ncap; i++)
			if (b->b_cap[i].c_cap == cap &&
			    rule_in_family(b, b->b_cap[i].c_rule))
				rules[n++] = b->b_cap[i].c_rule;
		ff->ff_cap[cap] = F_NONE;
		if (n > 0 &&
		    class_make(b, rules, n, 0, &ff->ff_cap[cap]) == -1)
			goto done;
	}
	r = 0;
done:
	free(rules);
	return r;
}

static int
compile_local(struct filter_builder *b, uint32_t fam)
{
	struct ffamily	*ff = b->b_ff;
	struct frange	*l;
	uint32_t	 i, n;

	l = reallocarray(NULL, (size_t)b->b_nlocal + 1, sizeof(*l));
	if (l == NULL)
		return -1;
	ff->ff_local = l;
	for (n = 0, i = 0; i < b->b_nlocal; i++)
		if (b->b_localfam[i] == fam)
			l[n++] = b->b_local[i];
	qsort(l, n, sizeof(*l), frange_cmp);
	for (i = 0; i < n; i++) {
		if (ff->ff_nlocal > 0 &&
		    fkey_cmp(&l[i].lo, &l[ff->ff_nlocal - 1].hi) <= 0) {
			if (fkey_cmp(&l[i].hi, &l[ff->ff_nlocal - 1].hi) > 0)
				l[ff->ff_nlocal - 1].hi = l[i].hi;
			continue;
		}
		l[ff->ff_nlocal++] = l[i];
	}
	return 0;
}

static int
compile_family(struct filter_builder *b, uint32_t fam)
{
	int	 r;

	b->b_ff = &b->b_f->f_fam[fam];
	b->b_dlocap = b->b_dcellcap = b->b_slocap = b->b_sclasscap = 0;
	b->b_classcap = 0;
	r = compile_local(b, fam);
	if (r == 0 && !b->b_f->f_shields)
		r = compile_sources(b, fam);
	if (r == 0)
		r = compile_caps(b);
	memo_free(&b->b_classes);
	return r;
}

struct filter *
filter_build_end(struct filter_builder *b)
{
	struct filter	*f;
	uint32_t	 i, rule;

	for (i = 0; i < b->b_ndst; i++) {
		rule = b->b_dst[i].d_rule;
		if (b->b_rule[rule].r_ndst++ == 0)
			b->b_rule[rule].r_dst = i;
		b->b_rule[rule].r_fams |= 1U << b->b_dst[i].d_fam;
	}
	for (i = 0; i < b->b_nsrc; i++) {
		rule = b->b_src[i].s_rule;
		if (b->b_rule[rule].r_nsrc++ == 0)
			b->b_rule[rule].r_src = i;
	}
	if (group_rules(b) == -1 || compile_family(b, 0) == -1 ||
	    compile_family(b, 1) == -1) {
		filter_build_abort(b);
		return NULL;
	}
	f = b->b_f;
	b->b_f = NULL;
	filter_build_abort(b);
	return f;
}

void
filter_build_abort(struct filter_builder *b)
{
	int	 saved = errno;

	if (b == NULL)
		return;
	filter_free(b->b_f);
	memo_free(&b->b_classes);
	memo_free(&b->b_cells);
	free(b->b_rule);
	free(b->b_src);
	free(b->b_dst);
	free(b->b_cap);
	free(b->b_local);
	free(b->b_localfam);
	free(b->b_span);
	free(b);
	errno = saved;
}

void
filter_free(struct filter *f)
{
	struct ffamily	*ff;
	int		 i;

	if (f == NULL)
		return;
	for (i = 0; i < 2; i++) {
		ff = &f->f_fam[i];
		free(ff->ff_local);
		free(ff->ff_slo);
		free(ff->ff_sclass);
		free(ff->ff_class);
		free(ff->ff_dlo);
		free(ff->ff_dcell);
		free(ff->ff_cap);
	}
	free(f->f_cells);
	free(f->f_ports);
	free(f->f_protos);
	free(f->f_capname);
	free(f);
}
