/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Filter rules of the netmap: from JSON into address ranges.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netmap.h"
#include "netmap_int.h"

enum rule_field {
	RF_SRCS, RF_SRCBITS, RF_DSTS, RF_PROTOS, RF_CAPGRANT, RF_MAX
};
static const char *const	 rule_fields[RF_MAX] = {
	"SrcIPs", "SrcBits", "DstPorts", "IPProto", "CapGrant"
};

enum dst_field { DF_IP, DF_BITS, DF_PORTS, DF_MAX };
static const char *const	 dst_fields[DF_MAX] = {
	"IP", "Bits", "Ports"
};

enum port_field { OF_FIRST, OF_LAST, OF_MAX };
static const char *const	 port_fields[OF_MAX] = { "First", "Last" };

#define CAP_PREFIX	"cap:"

void
nm_rules_free(struct nm_rule *rules, uint32_t n)
{
	uint32_t	 i;

	if (rules == NULL)
		return;
	for (i = 0; i < n; i++) {
		free(rules[i].r_srcs);
		free(rules[i].r_dsts);
		nm_strs_free(rules[i].r_srccaps, rules[i].r_nsrccaps);
		free(rules[i].r_protos);
	}
	free(rules);
}

/* First and last address of a prefix; -1 if host bits are set. */
static int
range_from_prefix(const struct nm_prefix *p, struct filter_range *r)
{
	unsigned int	 i, width;
	uint8_t		 bit;

	memset(r, 0, sizeof(*r));
	r->fr_version = p->np_version;
	memcpy(r->fr_lo, p->np_addr, 16);
	memcpy(r->fr_hi, p->np_addr, 16);
	width = p->np_version == 4 ? 32 : 128;
	for (i = p->np_plen; i < width; i++) {
		bit = 0x80 >> (i % 8);
		if (p->np_addr[i / 8] & bit)
			return -1;
		r->fr_hi[i / 8] |= bit;
	}
	return 0;
}

static int
range_from_pair(const char *s, const char *dash, struct filter_range *r)
{
	struct nm_addr	 lo, hi;
	char		 buf[NM_ADDRTEXT];
	size_t		 len;

	len = dash - s;
	if (len >= sizeof(buf))
		return -1;
	memcpy(buf, s, len);
	buf[len] = '\0';
	if (nm_addr_parse(buf, &lo) == -1 ||
	    nm_addr_parse(dash + 1, &hi) == -1 ||
	    lo.na_version != hi.na_version ||
	    memcmp(lo.na_addr, hi.na_addr, 16) > 0)
		return -1;
	memset(r, 0, sizeof(*r));
	r->fr_version = lo.na_version;
	memcpy(r->fr_lo, lo.na_addr, 16);
	memcpy(r->fr_hi, hi.na_addr, 16);
	return 0;
}

/*
 * "*", an address, a prefix or a range; out holds two. Returns how many
 * were written, -1 if it is none of these.
 */
static int
ranges_parse(const char *s, struct filter_range *out)
{
	struct nm_prefix	 p;
	struct nm_addr		 a;
	const char		*dash;

	if (strcmp(s, "*") == 0) {
		memset(out, 0, 2 * sizeof(*out));
		out[0].fr_version = 4;
		memset(out[0].fr_hi, 0xff, 4);
		out[1].fr_version = 6;
		memset(out[1].fr_hi, 0xff, 16);
		return 2;
	}
	if (strchr(s, '/') != NULL) {
		if (nm_prefix_parse(s, &p) == -1 ||
		    range_from_prefix(&p, out) == -1)
			return -1;
		return 1;
	}
	if ((dash = strchr(s, '-')) != NULL)
		return range_from_pair(s, dash, out) == -1 ? -1 : 1;
	if (nm_addr_parse(s, &a) == -1)
		return -1;
	memset(out, 0, sizeof(*out));
	out->fr_version = a.na_version;
	memcpy(out->fr_lo, a.na_addr, 16);
	memcpy(out->fr_hi, a.na_addr, 16);
	return 1;
}

static int
rule_srcs(struct nm_rule *r, json_t *j)
{
	struct filter_range	 range[2];
	const char		*s;
	json_t			*e;
	size_t			 i, len;
	int			 n;

	if ((len = json_array_size(j)) == 0)
		return 0;
	if ((r->r_srcs = calloc(len, 2 * sizeof(*r->r_srcs))) == NULL ||
	    (r->r_srccaps = calloc(len, sizeof(*r->r_srccaps))) == NULL)
		return -1;
	json_array_foreach(j, i, e) {
		s = json_is_string(e) ? json_string_value(e) : "";
		if (strncmp(s, CAP_PREFIX, sizeof(CAP_PREFIX) - 1) == 0) {
			s += sizeof(CAP_PREFIX) - 1;
			if (*s != '\0' && (r->r_srccaps[r->r_nsrccaps++] =
			    strdup(s)) == NULL)
				return -1;
			continue;
		}
		if ((n = ranges_parse(s, range)) == -1)
			continue;	/* only this entry is void */
		memcpy(r->r_srcs + r->r_nsrcs, range, n * sizeof(range[0]));
		r->r_nsrcs += n;
	}
	return 0;
}

static int
dst_ports(json_t *j, struct filter_dst *d)
{
	json_t	*v[OF_MAX];
	int64_t	 first, last;

	first = last = 0;
	if (ju_fields(j, port_fields, OF_MAX, v) == -1 ||
	    ju_int(v[OF_FIRST], 0, 65535, &first) == -1 ||
	    ju_int(v[OF_LAST], 0, 65535, &last) == -1)
		return -1;
	d->fd_first = first;
	d->fd_last = last;
	return 0;
}

static int
rule_dsts(struct nm_rule *r, json_t *j, uint8_t *refused)
{
	struct filter_range	 range[2];
	struct filter_dst	 d;
	json_t			*e, *v[DF_MAX];
	size_t			 i, len;
	int			 k, n;

	if ((len = json_array_size(j)) == 0)
		return 0;
	if ((r->r_dsts = calloc(len, 2 * sizeof(*r->r_dsts))) == NULL)
		return -1;
	json_array_foreach(j, i, e) {
		memset(&d, 0, sizeof(d));
		if (ju_fields(e, dst_fields, DF_MAX, v) == -1 ||
		    dst_ports(v[DF_PORTS], &d) == -1)
			return -1;
		if (v[DF_BITS] != NULL)
			*refused = 1;
		n = v[DF_IP] == NULL ? -1 :
		    ranges_parse(json_string_value(v[DF_IP]), range);
		for (k = 0; k < n; k++) {
			d.fd_range = range[k];
			r->r_dsts[r->r_ndsts++] = d;
		}
	}
	return 0;
}

static int
rule_protos(struct nm_rule *r, json_t *j)
{
	static const uint8_t	 usual[] = { 6, 17, 1, 58 };
	json_t			*e;
	int64_t			 v;
	size_t			 i, len;

	len = json_array_size(j);
	r->r_protos = malloc(len > sizeof(usual) ? len : sizeof(usual));
	if (r->r_protos == NULL)
		return -1;
	if (len == 0) {
		memcpy(r->r_protos, usual, sizeof(usual));
		r->r_nprotos = sizeof(usual);
		return 0;
	}
	json_array_foreach(j, i, e) {
		v = json_integer_value(e);
		if (v >= 0 && v <= 255)
			r->r_protos[r->r_nprotos++] = v;
	}
	return 0;
}

int
nm_rules_parse(json_t *j, struct nm_rule **out, uint32_t *nout,
    uint8_t *refused)
{
	struct nm_rule	*rules;
	json_t		*e, *v[RF_MAX];
	size_t		 i, len;

	*refused = 0;
	if (!json_is_array(j) || (len = json_array_size(j)) >
	    FILTER_MAX_RULES) {
		errno = EINVAL;
		return -1;
	}
	if ((rules = calloc(len + 1, sizeof(*rules))) == NULL)
		return -1;
	json_array_foreach(j, i, e) {
		if (!nm_schema_ok(NM_SCHEMA_RULE, e)) {
			errno = EINVAL;
			goto bad;
		}
		(void)ju_fields(e, rule_fields, RF_MAX, v);
		if (json_array_size(v[RF_SRCBITS]) > 0)
			*refused = 1;
		if (rule_srcs(&rules[i], v[RF_SRCS]) == -1 ||
		    rule_dsts(&rules[i], v[RF_DSTS], refused) == -1 ||
		    rule_protos(&rules[i], v[RF_PROTOS]) == -1)
			goto bad;
	}
	*out = rules;
	*nout = len;
	return 0;
bad:
	nm_rules_free(rules, len);
	return -1;
}
