/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packet filter: verdicts, per packet.
 */

#include <string.h>

#include "filter.h"
#include "filter_int.h"

#define PKT_MINLEN	20

static uint32_t	 key_search(const struct fkey *, uint32_t,
		    const struct fkey *);
static const struct fcell *
		 cell_find(const struct filter *, const struct ffamily *,
		    uint32_t, const struct fkey *);
static int	 cell_port(const struct filter *, const struct fcell *,
		    uint16_t, uint16_t);
static int	 cell_proto(const struct filter *, const struct fcell *,
		    uint8_t);
static int	 is_mapped4(const uint8_t *);
static int	 dst_multicast(const struct pkt *);
static int	 dst_linklocal(const struct pkt *);
static enum filter_verdict
		 check_shape(const struct filter *, const struct pkt *,
		    int *);
static int	 icmp_is_answer(const struct pkt *);
static int	 fam_local(const struct ffamily *, const struct fkey *);
static int	 rules_allow(const struct filter *, const struct ffamily *,
		    const struct pkt *, const struct fkey *, filter_cap_cb,
		    void *);
static int	 caps_allow(const struct filter *, const struct ffamily *,
		    const struct pkt *, uint16_t, filter_cap_cb, void *);


/* Index of the last key that is not above k, or F_NONE. */
static uint32_t
key_search(const struct fkey *keys, uint32_t n, const struct fkey *k)
{
	const struct fkey	*base = keys;
	uint32_t		 half;

	if (n == 0 || !fkey_le(keys, k))
		return F_NONE;
	for (; n > 1; n -= half) {
		half = n / 2;
		if (fkey_le(&base[half], k))
			base += half;
	}
	return base - keys;
}

static const struct fcell *
cell_find(const struct filter *f, const struct ffamily *ff, uint32_t class,
    const struct fkey *dst)
{
	const struct fclass	*c;
	uint32_t		 i;

	if (class == F_NONE)
		return NULL;
	c = &ff->ff_class[class];
	if (c->c_n == 0)
		return NULL;
	i = key_search(ff->ff_dlo + c->c_first, c->c_n, dst);
	if (i == F_NONE)
		return NULL;
	i = ff->ff_dcell[c->c_first + i];
	return i == F_NONE ? NULL : &f->f_cells[i];
}

static int
cell_port(const struct filter *f, const struct fcell *c, uint16_t port,
    uint16_t mask)
{
	const struct fport	*p;
	uint32_t		 lo, hi, mid;

	if (c->c_nport == 0)
		return 0;
	p = f->f_ports + c->c_port;
	lo = 0;
	hi = c->c_nport;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (p[mid].p_first <= port)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo != 0 && (p[lo - 1].p_mask & mask) != 0;
}

static int
cell_proto(const struct filter *f, const struct fcell *c, uint8_t proto)
{
	if (c->c_protos == F_NONE)
		return 0;
	return f->f_protos[c->c_protos].b[proto / 64] >> (proto % 64) & 1;
}

static int
is_mapped4(const uint8_t *a)
{
	static const uint8_t	 mapped[12] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
	};

	return a[0] == 0 && memcmp(a, mapped, sizeof(mapped)) == 0;
}

static int
dst_multicast(const struct pkt *p)
{
	const uint8_t	*d = p->p_dst;

	if (p->p_version == 6) {
		if (!is_mapped4(d))
			return d[0] == 0xff;
		d += 12;
	}
	return (d[0] & 0xf0) == 0xe0;
}

/* The metadata address of clouds is the exception: a route may lead there. */
static int
dst_linklocal(const struct pkt *p)
{
	const uint8_t	*d = p->p_dst;

	if (p->p_version == 6) {
		if (!is_mapped4(d))
			return d[0] == 0xfe && (d[1] & 0xc0) == 0x80;
		d += 12;
	}
	if (d[0] != 169 || d[1] != 254)
		return 0;
	return !(p->p_version == 4 && d[2] == 169 && d[3] == 254);
}

/* What holds in both directions; *done: the verdict is final. */
static enum filter_verdict
check_shape(const struct filter *f, const struct pkt *p, int *done)
{
	*done = 1;
	if (f == NULL)
		return FILTER_DROP_NONE;
	if (p->p_len == 0)
		return FILTER_ACCEPT;		/* keepalive */
	if (p->p_len < PKT_MINLEN || p->p_version == 0)
		return FILTER_DROP_SHORT;
	if (p->p_proto == PKT_UNKNOWN || p->p_dst == NULL)
		return FILTER_DROP_UNKNOWN;
	if (dst_multicast(p))
		return FILTER_DROP_MULTICAST;
	if (dst_linklocal(p))
		return FILTER_DROP_LINKLOCAL;
	/* The first fragment decided; without it this one is useless. */
	if (p->p_proto == PKT_FRAGMENT)
		return FILTER_ACCEPT;
	*done = 0;
	return FILTER_ACCEPT;
}

/*
 * Echo replies and errors come in answer to something that was sent. 18 is
 * what the reference takes for parameter problem; the real type 12 needs
 * a rule.
 */
static int
icmp_is_answer(const struct pkt *p)
{
	if (p->p_version == 4)
		return (p->p_icmp_type == 0 && p->p_icmp_code == 0) ||
		    p->p_icmp_type == 3 || p->p_icmp_type == 11 ||
		    p->p_icmp_type == 18;
	return (p->p_icmp_type == 129 && p->p_icmp_code == 0) ||
	    (p->p_icmp_type >= 1 && p->p_icmp_type <= 4);
}

static int
fam_local(const struct ffamily *ff, const struct fkey *k)
{
	uint32_t	 lo, hi, mid;

	lo = 0;
	hi = ff->ff_nlocal;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (fkey_le(&ff->ff_local[mid].lo, k))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo != 0 && fkey_le(k, &ff->ff_local[lo - 1].hi);
}

int
filter_is_local(const struct filter *f, uint8_t version,
    const uint8_t *addr)
{
	struct fkey	 k;

	k = fkey_get(version, addr);
	return fam_local(&f->f_fam[version == 6], &k);
}

/*
 * Sources by capability. mask 0: ICMP, for which any rule with the
 * capability opens all destinations, as in the reference.
 */
static int
caps_allow(const struct filter *f, const struct ffamily *ff,
    const struct pkt *p, uint16_t mask, filter_cap_cb cb, void *arg)
{
	const struct fcell	*c;
	struct fkey		 dst;
	uint32_t		 i;

	if (cb == NULL || f->f_ncap == 0)
		return 0;
	dst = fkey_get(p->p_version, p->p_dst);
	for (i = 0; i < f->f_ncap; i++) {
		if (ff->ff_cap[i] == F_NONE || !cb(arg, p, i))
			continue;
		if (mask == 0)
			return 1;
		c = cell_find(f, ff, ff->ff_cap[i], &dst);
		if (c != NULL && cell_port(f, c, p->p_dport, mask))
			return 1;
	}
	return 0;
}

static int
rules_allow(const struct filter *f, const struct ffamily *ff,
    const struct pkt *p, const struct fkey *dst, filter_cap_cb cb, void *arg)
{
	const struct fcell	*c = NULL;
	struct fkey		 src;
	uint32_t		 i;
	uint16_t		 mask;

	src = fkey_get(p->p_version, p->p_src);
	if ((i = key_search(ff->ff_slo, ff->ff_nsrc, &src)) != F_NONE)
		c = cell_find(f, ff, ff->ff_sclass[i], dst);
	switch (p->p_proto) {
	case PKT_TCP:
		mask = F_TCP;
		break;
	case PKT_UDP:
		mask = F_UDP;
		break;
	case PKT_SCTP:
		mask = F_SCTP;
		break;
	case PKT_ICMP:
	case PKT_ICMP6:
		if (p->p_proto == (p->p_version == 4 ? PKT_ICMP : PKT_ICMP6))
			return c != NULL ||
			    caps_allow(f, ff, p, 0, cb, arg);
		/* FALLTHROUGH */
	default:
		return c != NULL && cell_proto(f, c, p->p_proto);
	}
	return (c != NULL && cell_port(f, c, p->p_dport, mask)) ||
	    caps_allow(f, ff, p, mask, cb, arg);
}

enum filter_verdict
filter_in(const struct filter *f, struct filter_flows *fl,
    const struct pkt *p, filter_cap_cb cb, void *arg)
{
	const struct ffamily	*ff;
	struct fkey		 dst;
	enum filter_verdict	 v;
	int			 done;

	v = check_shape(f, p, &done);
	if (done)
		return v;
	ff = &f->f_fam[p->p_version == 6];
	dst = fkey_get(p->p_version, p->p_dst);
	if (!fam_local(ff, &dst))
		return FILTER_DROP_NOT_LOCAL;

	switch (p->p_proto) {
	case PKT_TCP:
		if ((p->p_tcp_flags & (PKT_TCP_SYN | PKT_TCP_ACK)) !=
		    PKT_TCP_SYN)
			return FILTER_ACCEPT;
		break;
	case PKT_UDP:
	case PKT_SCTP:
		if (flows_find(fl, p))
			return FILTER_ACCEPT;
		break;
	case PKT_TSMP:
		return FILTER_ACCEPT;
	case PKT_ICMP:
		if (p->p_version == 4 && icmp_is_answer(p))
			return FILTER_ACCEPT;
		break;
	case PKT_ICMP6:
		if (p->p_version == 6 && icmp_is_answer(p))
			return FILTER_ACCEPT;
		break;
	default:
		break;
	}
	if (f->f_shields)
		return FILTER_DROP_SHIELDS;
	if (rules_allow(f, ff, p, &dst, cb, arg))
		return FILTER_ACCEPT;
	return FILTER_DROP_RULES;
}

enum filter_verdict
filter_out(const struct filter *f, struct filter_flows *fl,
    const struct pkt *p)
{
	enum filter_verdict	 v;
	int			 done;

	v = check_shape(f, p, &done);
	if (done)
		return v;
	if (p->p_proto == PKT_UDP || p->p_proto == PKT_SCTP)
		flows_note(fl, p);
	return FILTER_ACCEPT;
}

unsigned int
filter_ncaps(const struct filter *f)
{
	return f->f_ncap;
}

const char *
filter_cap_name(const struct filter *f, unsigned int i)
{
	return i < f->f_ncap ? f->f_capname[i] : NULL;
}

const char *
filter_verdict_name(enum filter_verdict v)
{
	static const char	*names[FILTER_VERDICTS] = {
		"accept", "too_short", "unknown_protocol",
		"multicast", "link_local_unicast", "not_local", "acl",
		"shields_up", "no_filter"
	};

	return (unsigned int)v < FILTER_VERDICTS ? names[v] : "unknown";
}
