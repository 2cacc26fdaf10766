/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Changes to one peer: patches, and the differences of two nodes.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "netmap.h"
#include "netmap_int.h"

enum patch_field {
	PF_NODEID, PF_DERP, PF_CAP, PF_CAPMAP, PF_ENDPOINTS, PF_KEY,
	PF_KEYSIG, PF_DISCO, PF_ONLINE, PF_LASTSEEN, PF_KEYEXPIRY, PF_MAX
};

static const char *const	 patch_fields[PF_MAX] = {
	"NodeID", "DERPRegion", "Cap", "CapMap", "Endpoints", "Key",
	"KeySignature", "DiscoKey", "Online", "LastSeen", "KeyExpiry"
};

void
nm_patch_clear(struct nm_patch *p)
{
	free(p->pp_endpoints);
	free(p->pp_capmap);
	free(p->pp_keysig);
	memset(p, 0, sizeof(*p));
}

int
nm_patch_parse(json_t *j, struct nm_patch *p)
{
	json_t		*v[PF_MAX];
	int64_t		 cap, derp;
	size_t		 i;
	/* A field that is there; 0 and null are not for the first two. */
	static const struct {
		enum patch_field	 f;
		uint32_t		 bit;
	} bits[] = {
		{ PF_CAPMAP, PP_CAPMAP }, { PF_ENDPOINTS, PP_ENDPOINTS },
		{ PF_KEY, PP_KEY }, { PF_KEYSIG, PP_KEYSIG },
		{ PF_DISCO, PP_DISCO }, { PF_ONLINE, PP_ONLINE },
		{ PF_LASTSEEN, PP_LASTSEEN }, { PF_KEYEXPIRY, PP_KEYEXPIRY }
	};

	memset(p, 0, sizeof(*p));
	cap = derp = 0;
	if (!json_is_object(j) || ju_fields(j, patch_fields, PF_MAX, v) == -1 ||
	    ju_int(v[PF_NODEID], -NM_MAX_ID, NM_MAX_ID, &p->pp_id) == -1 ||
	    ju_int(v[PF_DERP], 0, 65535, &derp) == -1 ||
	    ju_int(v[PF_CAP], 0, INT32_MAX, &cap) == -1 ||
	    nm_capmap_parse(v[PF_CAPMAP], &p->pp_capmap) == -1 ||
	    nm_endpoints_parse(v[PF_ENDPOINTS], &p->pp_endpoints,
	    &p->pp_nendpoints) == -1 ||
	    ju_key(v[PF_KEY], "nodekey:", p->pp_key) == -1 ||
	    ju_bytes(v[PF_KEYSIG], 65536, &p->pp_keysig,
	    &p->pp_keysiglen) == -1 ||
	    ju_key(v[PF_DISCO], "discokey:", p->pp_disco) == -1 ||
	    ju_bool(v[PF_ONLINE], &p->pp_online) == -1 ||
	    ju_time(v[PF_LASTSEEN], &p->pp_lastseen) == -1 ||
	    ju_time(v[PF_KEYEXPIRY], &p->pp_keyexpiry) == -1) {
		nm_patch_clear(p);
		return -1;
	}
	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (v[bits[i].f] != NULL)
			p->pp_what |= bits[i].bit;
	p->pp_derp = derp;
	p->pp_cap = cap;
	if (derp != 0)
		p->pp_what |= PP_DERP;
	if (cap != 0)
		p->pp_what |= PP_CAP;
	return 0;
}

/*
 * A peer also learns disco keys from packets. Then what the server says of
 * an offline node must be newer than what is known.
 */
int
nm_patch_stale(const struct nm_patch *p, const struct nm_node *n)
{
	const uint32_t	 need = PP_DISCO | PP_ONLINE | PP_LASTSEEN;

	if ((p->pp_what & need) != need || p->pp_online == 1 ||
	    !n->n_lastseen.jt_set)
		return 0;
	return ju_time_cmp(&p->pp_lastseen, &n->n_lastseen) <= 0;
}

/* Moves what the patch owns into the node; returns NM_PC_* bits. */
uint32_t
nm_patch_apply(struct nm_patch *p, struct nm_node *n)
{
	uint32_t	 ch;

	ch = 0;
	if (p->pp_what & PP_ENDPOINTS) {
		free(n->n_endpoints);
		n->n_endpoints = p->pp_endpoints;
		n->n_nendpoints = p->pp_nendpoints;
		p->pp_endpoints = NULL;
		ch |= NM_PC_PATHS;
	}
	if (p->pp_what & PP_CAPMAP) {
		free(n->n_capmap);
		n->n_capmap = p->pp_capmap;
		p->pp_capmap = NULL;
		ch |= NM_PC_FLAGS;
	}
	if (p->pp_what & PP_KEYSIG) {
		free(n->n_keysig);
		n->n_keysig = p->pp_keysig;
		n->n_keysiglen = p->pp_keysiglen;
		p->pp_keysig = NULL;
		ch |= NM_PC_OTHER;
	}
	if (p->pp_what & PP_KEY) {
		memcpy(n->n_key, p->pp_key, sizeof(n->n_key));
		ch |= NM_PC_KEY;
	}
	if (p->pp_what & PP_DISCO) {
		memcpy(n->n_disco, p->pp_disco, sizeof(n->n_disco));
		ch |= NM_PC_KEY;
	}
	if (p->pp_what & PP_DERP) {
		n->n_homederp = p->pp_derp;
		ch |= NM_PC_PATHS;
	}
	if (p->pp_what & PP_CAP) {
		n->n_cap = p->pp_cap;
		ch |= NM_PC_FLAGS;
	}
	if (p->pp_what & PP_ONLINE) {
		n->n_online = p->pp_online;
		ch |= NM_PC_ONLINE;
	}
	if (p->pp_what & PP_LASTSEEN) {
		n->n_lastseen = p->pp_lastseen;
		ch |= NM_PC_OTHER;
	}
	if (p->pp_what & PP_KEYEXPIRY) {
		n->n_keyexpiry = p->pp_keyexpiry;
		ch |= NM_PC_FLAGS;
	}
	return ch;
}

static int
nm_str_eq(const char *a, const char *b)
{
	return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

static int
nm_prefixes_eq(const struct nm_prefix *a, uint32_t na,
    const struct nm_prefix *b, uint32_t nb)
{
	return na == nb && (na == 0 || memcmp(a, b, na * sizeof(*a)) == 0);
}

static int
nm_endpoints_eq(const struct nm_node *a, const struct nm_node *b)
{
	uint32_t	 i;

	if (a->n_nendpoints != b->n_nendpoints)
		return 0;
	for (i = 0; i < a->n_nendpoints; i++)
		if (a->n_endpoints[i].ne_version !=
		    b->n_endpoints[i].ne_version ||
		    a->n_endpoints[i].ne_port != b->n_endpoints[i].ne_port ||
		    memcmp(a->n_endpoints[i].ne_addr,
		    b->n_endpoints[i].ne_addr, 16) != 0)
			return 0;
	return 1;
}

static int
nm_tags_eq(const struct nm_node *a, const struct nm_node *b)
{
	uint32_t	 i;

	if (a->n_ntags != b->n_ntags)
		return 0;
	for (i = 0; i < a->n_ntags; i++)
		if (strcmp(a->n_tags[i], b->n_tags[i]) != 0)
			return 0;
	return 1;
}

static int
nm_keysig_eq(const struct nm_node *a, const struct nm_node *b)
{
	return a->n_keysiglen == b->n_keysiglen && (a->n_keysiglen == 0 ||
	    memcmp(a->n_keysig, b->n_keysig, a->n_keysiglen) == 0);
}

/* Equal in all that a patch cannot express? */
static int
nm_fixed_eq(const struct nm_node *a, const struct nm_node *b)
{
	return nm_str_eq(a->n_stableid, b->n_stableid) &&
	    nm_str_eq(a->n_name, b->n_name) && a->n_user == b->n_user &&
	    a->n_sharer == b->n_sharer &&
	    memcmp(a->n_machine, b->n_machine, 32) == 0 &&
	    nm_prefixes_eq(a->n_addrs, a->n_naddrs, b->n_addrs,
	    b->n_naddrs) &&
	    nm_prefixes_eq(a->n_allowed, a->n_nallowed, b->n_allowed,
	    b->n_nallowed) &&
	    nm_prefixes_eq(a->n_primary, a->n_nprimary, b->n_primary,
	    b->n_nprimary) &&
	    (a->n_hostinfo == NULL) == (b->n_hostinfo == NULL) &&
	    nm_str_eq(a->n_hostinfo, b->n_hostinfo) &&
	    ju_time_cmp(&a->n_created, &b->n_created) == 0 &&
	    nm_tags_eq(a, b) && a->n_authorized == b->n_authorized &&
	    a->n_unsigned == b->n_unsigned && a->n_wgonly == b->n_wgonly &&
	    a->n_jailed == b->n_jailed && a->n_expired == b->n_expired &&
	    memcmp(&a->n_masq4, &b->n_masq4, sizeof(a->n_masq4)) == 0 &&
	    memcmp(&a->n_masq6, &b->n_masq6, sizeof(a->n_masq6)) == 0 &&
	    nm_str_eq(a->n_resolvers, b->n_resolvers);
}

/*
 * Express a full peer object as a patch of the known one, as the reference
 * does: thus Online and LastSeen, where the new object lacks them or the
 * old one did, stay as they are. Takes what it needs out of now.
 * Returns 0, or -1 if that is not possible.
 */
int
nm_patch_diff(const struct nm_node *was, struct nm_node *now,
    struct nm_patch *p)
{
	memset(p, 0, sizeof(*p));
	p->pp_id = now->n_id;
	if (!nm_fixed_eq(was, now))
		return -1;
	if (memcmp(was->n_key, now->n_key, 32) != 0) {
		p->pp_what |= PP_KEY;
		memcpy(p->pp_key, now->n_key, 32);
	}
	if (memcmp(was->n_disco, now->n_disco, 32) != 0) {
		p->pp_what |= PP_DISCO;
		memcpy(p->pp_disco, now->n_disco, 32);
	}
	if (ju_time_cmp(&was->n_keyexpiry, &now->n_keyexpiry) != 0) {
		p->pp_what |= PP_KEYEXPIRY;
		p->pp_keyexpiry = now->n_keyexpiry;
	}
	/* Nothing in the place of something cannot be said by a patch. */
	if (!nm_keysig_eq(was, now) && now->n_keysiglen > 0) {
		p->pp_what |= PP_KEYSIG;
		p->pp_keysig = now->n_keysig;
		p->pp_keysiglen = now->n_keysiglen;
		now->n_keysig = NULL;
		now->n_keysiglen = 0;
	}
	if (!nm_endpoints_eq(was, now) && now->n_endpoints != NULL) {
		p->pp_what |= PP_ENDPOINTS;
		p->pp_endpoints = now->n_endpoints;
		p->pp_nendpoints = now->n_nendpoints;
		now->n_endpoints = NULL;
		now->n_nendpoints = 0;
	}
	if (!nm_str_eq(was->n_capmap, now->n_capmap)) {
		p->pp_what |= PP_CAPMAP;
		p->pp_capmap = now->n_capmap;
		now->n_capmap = NULL;
	}
	if (was->n_homederp != now->n_homederp && now->n_homederp != 0) {
		p->pp_what |= PP_DERP;
		p->pp_derp = now->n_homederp;
	}
	if (was->n_cap != now->n_cap && now->n_cap != 0) {
		p->pp_what |= PP_CAP;
		p->pp_cap = now->n_cap;
	}
	if (was->n_online != NM_UNKNOWN && now->n_online != NM_UNKNOWN &&
	    was->n_online != now->n_online) {
		p->pp_what |= PP_ONLINE;
		p->pp_online = now->n_online;
	}
	if (was->n_lastseen.jt_set && now->n_lastseen.jt_set &&
	    ju_time_cmp(&was->n_lastseen, &now->n_lastseen) != 0) {
		p->pp_what |= PP_LASTSEEN;
		p->pp_lastseen = now->n_lastseen;
	}
	return 0;
}

/* What differs, in NM_PC_* bits. */
uint32_t
nm_node_diff(const struct nm_node *a, const struct nm_node *b)
{
	uint32_t	 ch;

	ch = 0;
	if (memcmp(a->n_key, b->n_key, 32) != 0 ||
	    memcmp(a->n_disco, b->n_disco, 32) != 0)
		ch |= NM_PC_KEY;
	if (!nm_endpoints_eq(a, b) || a->n_homederp != b->n_homederp)
		ch |= NM_PC_PATHS;
	if (!nm_prefixes_eq(a->n_allowed, a->n_nallowed, b->n_allowed,
	    b->n_nallowed) ||
	    memcmp(&a->n_masq4, &b->n_masq4, sizeof(a->n_masq4)) != 0 ||
	    memcmp(&a->n_masq6, &b->n_masq6, sizeof(a->n_masq6)) != 0)
		ch |= NM_PC_ROUTES;
	if (!nm_prefixes_eq(a->n_addrs, a->n_naddrs, b->n_addrs,
	    b->n_naddrs))
		ch |= NM_PC_ROUTES | NM_PC_NAME;
	if (!nm_str_eq(a->n_name, b->n_name))
		ch |= NM_PC_NAME;
	if (a->n_expired != b->n_expired || a->n_jailed != b->n_jailed ||
	    a->n_unsigned != b->n_unsigned || a->n_wgonly != b->n_wgonly ||
	    a->n_cap != b->n_cap || !nm_str_eq(a->n_capmap, b->n_capmap) ||
	    ju_time_cmp(&a->n_keyexpiry, &b->n_keyexpiry) != 0)
		ch |= NM_PC_FLAGS;
	if (a->n_online != b->n_online)
		ch |= NM_PC_ONLINE;
	if (!nm_fixed_eq(a, b) || !nm_keysig_eq(a, b) ||
	    ju_time_cmp(&a->n_lastseen, &b->n_lastseen) != 0)
		ch |= NM_PC_OTHER;
	return ch;
}
