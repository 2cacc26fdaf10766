/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Sets of addresses, prefixes, and their texts.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_int.h"

static int	 range_cmp(const void *, const void *);
static int	 addr_next(uint8_t *, size_t);
static int	 addr_prev(uint8_t *, size_t);
static const struct arange
		*range_find(const struct aset *, int, const uint8_t *);
static unsigned int
		 block_len(const uint8_t *, const uint8_t *, unsigned int);
static int	 range_prefixes(int, const struct arange *,
		    struct policy_prefix **, size_t *, size_t *);
static int	 range_text(int, const struct arange *, char *, size_t);

void
prefix_mask(struct policy_prefix *p)
{
	unsigned int	 i;

	for (i = p->pp_plen; i < 128; i++)
		p->pp_addr[i / 8] &= (uint8_t)~(0x80 >> (i % 8));
}

int
policy_prefix_parse(const char *s, struct policy_prefix *p)
{
	const char	*slash, *c;
	char		 addr[INET6_ADDRSTRLEN];
	size_t		 n;
	unsigned int	 plen = 0, bits;

	slash = strchr(s, '/');
	n = slash == NULL ? strlen(s) : (size_t)(slash - s);
	if (n >= sizeof(addr))
		return -1;
	memcpy(addr, s, n);
	addr[n] = '\0';
	memset(p, 0, sizeof(*p));
	if (inet_pton(AF_INET, addr, p->pp_addr) == 1)
		p->pp_version = 4;
	else if (inet_pton(AF_INET6, addr, p->pp_addr) == 1)
		p->pp_version = 6;
	else
		return -1;
	bits = p->pp_version == 4 ? 32 : 128;
	if (slash == NULL) {
		p->pp_plen = (uint8_t)bits;
		return 0;
	}
	if (slash[1] == '\0' || (slash[1] == '0' && slash[2] != '\0'))
		return -1;
	for (c = slash + 1; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return -1;
		if ((plen = plen * 10 + (unsigned int)(*c - '0')) > bits)
			return -1;
	}
	p->pp_plen = (uint8_t)plen;
	return 0;
}

char *
prefix_text(const struct policy_prefix *p, int bare, char *buf, size_t len)
{
	char	 addr[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(p->pp_version == 4 ? AF_INET : AF_INET6, p->pp_addr,
	    addr, sizeof(addr));
	if (bare && p->pp_plen == (p->pp_version == 4 ? 32 : 128))
		(void)snprintf(buf, len, "%s", addr);
	else
		(void)snprintf(buf, len, "%s/%u", addr, p->pp_plen);
	return buf;
}

void
prefix_range(const struct policy_prefix *p, struct arange *r)
{
	unsigned int	 i, bits = p->pp_version == 4 ? 32 : 128;

	memset(r, 0, sizeof(*r));
	memcpy(r->ar_lo, p->pp_addr, bits / 8);
	memcpy(r->ar_hi, p->pp_addr, bits / 8);
	for (i = p->pp_plen; i < bits; i++) {
		r->ar_lo[i / 8] &= (uint8_t)~(0x80 >> (i % 8));
		r->ar_hi[i / 8] |= (uint8_t)(0x80 >> (i % 8));
	}
}

int
prefix_overlaps(const struct policy_prefix *a, const struct policy_prefix *b)
{
	unsigned int	 n;

	if (a->pp_version != b->pp_version)
		return 0;
	n = a->pp_plen < b->pp_plen ? a->pp_plen : b->pp_plen;
	if (memcmp(a->pp_addr, b->pp_addr, n / 8) != 0)
		return 0;
	return n % 8 == 0 ||
	    ((a->pp_addr[n / 8] ^ b->pp_addr[n / 8]) >> (8 - n % 8)) == 0;
}

int
prefix_is_exit(const struct policy_prefix *p)
{
	return p->pp_plen == 0;
}

int
prefix_cmp(const struct policy_prefix *a, const struct policy_prefix *b)
{
	int	 c;

	if (a->pp_version != b->pp_version)
		return a->pp_version < b->pp_version ? -1 : 1;
	if ((c = memcmp(a->pp_addr, b->pp_addr, sizeof(a->pp_addr))) != 0)
		return c;
	return a->pp_plen < b->pp_plen ? -1 : a->pp_plen > b->pp_plen;
}

void
aset_free(struct aset *s)
{
	free(s->as_r[0]);
	free(s->as_r[1]);
	memset(s, 0, sizeof(*s));
}

int
aset_add(struct aset *s, int fam, const struct arange *r)
{
	struct arange	*n;
	size_t		 cap;

	if (s->as_n[fam] == s->as_cap[fam]) {
		cap = s->as_cap[fam] == 0 ? 8 : s->as_cap[fam] * 2;
		n = reallocarray(s->as_r[fam], cap, sizeof(*n));
		if (n == NULL)
			return -1;
		s->as_r[fam] = n;
		s->as_cap[fam] = cap;
	}
	s->as_r[fam][s->as_n[fam]++] = *r;
	return 0;
}

int
aset_add_prefix(struct aset *s, const struct policy_prefix *p)
{
	struct arange	 r;

	prefix_range(p, &r);
	return aset_add(s, p->pp_version == 6, &r);
}

int
aset_add_addr(struct aset *s, int fam, const uint8_t *addr)
{
	struct arange	 r;

	memset(&r, 0, sizeof(r));
	memcpy(r.ar_lo, addr, fam ? 16 : 4);
	memcpy(r.ar_hi, addr, fam ? 16 : 4);
	return aset_add(s, fam, &r);
}

int
aset_add_set(struct aset *s, const struct aset *o)
{
	size_t	 i;
	int	 fam;

	for (fam = 0; fam < 2; fam++)
		for (i = 0; i < o->as_n[fam]; i++)
			if (aset_add(s, fam, &o->as_r[fam][i]) == -1)
				return -1;
	return 0;
}

static int
range_cmp(const void *a, const void *b)
{
	const struct arange	*x = a, *y = b;

	return memcmp(x->ar_lo, y->ar_lo, sizeof(x->ar_lo));
}

/* The address after this one; 0 if there is none. */
static int
addr_next(uint8_t *a, size_t len)
{
	size_t	 i;

	for (i = len; i > 0; i--)
		if (++a[i - 1] != 0)
			return 1;
	return 0;
}

static int
addr_prev(uint8_t *a, size_t len)
{
	size_t	 i;

	for (i = len; i > 0; i--)
		if (a[i - 1]-- != 0)
			return 1;
	return 0;
}

void
aset_settle(struct aset *s)
{
	struct arange	*r, *last;
	uint8_t		 after[16];
	size_t		 i, n;
	int		 fam, more;

	for (fam = 0; fam < 2; fam++) {
		r = s->as_r[fam];
		if (s->as_n[fam] < 2)
			continue;
		qsort(r, s->as_n[fam], sizeof(*r), range_cmp);
		for (n = 1, i = 1; i < s->as_n[fam]; i++) {
			last = &r[n - 1];
			memcpy(after, last->ar_hi, sizeof(after));
			more = addr_next(after, fam ? 16 : 4);
			if (more && memcmp(r[i].ar_lo, after, 16) > 0) {
				r[n++] = r[i];
				continue;
			}
			if (memcmp(r[i].ar_hi, last->ar_hi, 16) > 0)
				memcpy(last->ar_hi, r[i].ar_hi, 16);
		}
		s->as_n[fam] = n;
	}
}

int
aset_remove(struct aset *s, const struct policy_prefix *p)
{
	struct arange	 cut, left, right;
	size_t		 i, len;
	int		 fam = p->pp_version == 6;

	prefix_range(p, &cut);
	len = fam ? 16 : 4;
	for (i = s->as_n[fam]; i > 0; i--) {
		left = right = s->as_r[fam][i - 1];
		if (memcmp(left.ar_hi, cut.ar_lo, 16) < 0 ||
		    memcmp(left.ar_lo, cut.ar_hi, 16) > 0)
			continue;
		s->as_r[fam][i - 1] = s->as_r[fam][--s->as_n[fam]];
		memcpy(left.ar_hi, cut.ar_lo, 16);
		memcpy(right.ar_lo, cut.ar_hi, 16);
		if (memcmp(left.ar_lo, cut.ar_lo, 16) < 0 &&
		    addr_prev(left.ar_hi, len) &&
		    aset_add(s, fam, &left) == -1)
			return -1;
		if (memcmp(right.ar_hi, cut.ar_hi, 16) > 0 &&
		    addr_next(right.ar_lo, len) &&
		    aset_add(s, fam, &right) == -1)
			return -1;
	}
	aset_settle(s);
	return 0;
}

/* The last range of a settled set that starts at or before an address. */
static const struct arange *
range_find(const struct aset *s, int fam, const uint8_t *addr)
{
	size_t	 lo = 0, hi = s->as_n[fam], mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (memcmp(s->as_r[fam][mid].ar_lo, addr, 16) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == 0 ? NULL : &s->as_r[fam][lo - 1];
}

int
aset_contains(const struct aset *s, int fam, const uint8_t *addr)
{
	const struct arange	*found;
	uint8_t			 a[16] = { 0 };

	memcpy(a, addr, fam ? 16 : 4);
	found = range_find(s, fam, a);
	return found != NULL && memcmp(found->ar_hi, a, 16) >= 0;
}

int
aset_overlaps(const struct aset *s, const struct policy_prefix *p)
{
	const struct arange	*found;
	struct arange		 r;

	prefix_range(p, &r);
	found = range_find(s, p->pp_version == 6, r.ar_hi);
	return found != NULL && memcmp(found->ar_hi, r.ar_lo, 16) >= 0;
}

int
aset_covers(const struct aset *s, const struct policy_prefix *p)
{
	const struct arange	*found;
	struct arange		 r;

	prefix_range(p, &r);
	found = range_find(s, p->pp_version == 6, r.ar_lo);
	return found != NULL && memcmp(found->ar_hi, r.ar_hi, 16) >= 0;
}

int
aset_empty(const struct aset *s)
{
	return s->as_n[0] == 0 && s->as_n[1] == 0;
}

/* Length of the largest prefix that starts at lo and ends by hi. */
static unsigned int
block_len(const uint8_t *lo, const uint8_t *hi, unsigned int bits)
{
	uint8_t		 end[16];
	unsigned int	 plen;

	memcpy(end, lo, sizeof(end));
	for (plen = bits; plen > 0; plen--) {
		if (lo[(plen - 1) / 8] & (0x80 >> ((plen - 1) % 8)))
			break;
		end[(plen - 1) / 8] |= (uint8_t)(0x80 >> ((plen - 1) % 8));
		if (memcmp(end, hi, sizeof(end)) > 0)
			break;
	}
	return plen;
}

static int
range_prefixes(int fam, const struct arange *r, struct policy_prefix **v,
    size_t *n, size_t *cap)
{
	struct policy_prefix	*nv, *p;
	struct arange		 block;
	uint8_t			 lo[16];

	memcpy(lo, r->ar_lo, sizeof(lo));
	do {
		if (*n == *cap) {
			*cap = *cap == 0 ? 8 : *cap * 2;
			nv = reallocarray(*v, *cap, sizeof(*nv));
			if (nv == NULL)
				return -1;
			*v = nv;
		}
		p = &(*v)[(*n)++];
		p->pp_version = fam ? 6 : 4;
		memcpy(p->pp_addr, lo, sizeof(lo));
		p->pp_plen = (uint8_t)block_len(lo, r->ar_hi, fam ? 128 : 32);
		prefix_range(p, &block);
		memcpy(lo, block.ar_hi, sizeof(lo));
	} while (addr_next(lo, fam ? 16 : 4) &&
	    memcmp(lo, r->ar_hi, sizeof(lo)) <= 0);
	return 0;
}

int
aset_prefixes(const struct aset *s, struct policy_prefix **v, size_t *n)
{
	size_t	 cap = 0, i;
	int	 fam;

	*v = NULL;
	*n = 0;
	for (fam = 0; fam < 2; fam++)
		for (i = 0; i < s->as_n[fam]; i++)
			if (range_prefixes(fam, &s->as_r[fam][i], v, n,
			    &cap) == -1) {
				free(*v);
				*v = NULL;
				return -1;
			}
	return 0;
}

/* One address, a prefix, or first-last: the shortest that is exact. */
static int
range_text(int fam, const struct arange *r, char *buf, size_t len)
{
	struct policy_prefix	 p;
	struct arange		 back;
	char			 hi[INET6_ADDRSTRLEN], lo[PREFIX_TEXT];
	int			 af = fam ? AF_INET6 : AF_INET;

	memset(&p, 0, sizeof(p));
	p.pp_version = fam ? 6 : 4;
	memcpy(p.pp_addr, r->ar_lo, sizeof(p.pp_addr));
	p.pp_plen = (uint8_t)block_len(r->ar_lo, r->ar_hi, fam ? 128 : 32);
	prefix_range(&p, &back);
	if (memcmp(back.ar_hi, r->ar_hi, sizeof(back.ar_hi)) == 0) {
		(void)prefix_text(&p, 1, buf, len);
		return 0;
	}
	if (inet_ntop(af, r->ar_lo, lo, sizeof(lo)) == NULL ||
	    inet_ntop(af, r->ar_hi, hi, sizeof(hi)) == NULL)
		return -1;
	(void)snprintf(buf, len, "%s-%s", lo, hi);
	return 0;
}

int
aset_json(const struct aset *s, json_t *list)
{
	char	 text[2 * PREFIX_TEXT];
	size_t	 i;
	int	 fam;

	for (fam = 0; fam < 2; fam++)
		for (i = 0; i < s->as_n[fam]; i++)
			if (range_text(fam, &s->as_r[fam][i], text,
			    sizeof(text)) == -1 ||
			    json_array_append_new(list,
			    json_string(text)) == -1)
				return -1;
	return 0;
}

/*
 * What "the internet" is: features.md 1.5, point 9. All of unicast IPv6
 * lies in 2000::/3.
 */
int
aset_add_internet(struct aset *s)
{
	static const char	*not[] = {
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
		"100.64.0.0/10", "169.254.0.0/16"
	};
	struct policy_prefix	 p;
	struct aset		 net;
	size_t			 i;
	int			 r = -1;

	memset(&net, 0, sizeof(net));
	if (policy_prefix_parse("0.0.0.0/0", &p) == -1 ||
	    aset_add_prefix(&net, &p) == -1)
		goto done;
	for (i = 0; i < sizeof(not) / sizeof(not[0]); i++)
		if (policy_prefix_parse(not[i], &p) == -1 ||
		    aset_remove(&net, &p) == -1)
			goto done;
	if (policy_prefix_parse("2000::/3", &p) == -1 ||
	    aset_add_prefix(&net, &p) == -1)
		goto done;
	r = aset_add_set(s, &net);
done:
	aset_free(&net);
	return r;
}
