/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The netmap as JSON, and the merging of what is kept as JSON.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netmap.h"
#include "netmap_int.h"

enum derp_field { ZF_HOME, ZF_REGIONS, ZF_OMIT, ZF_MAX };
static const char *const	 derp_fields[ZF_MAX] = {
	"HomeParams", "Regions", "omitDefaultRegions"
};
static const char *const	 score_field[1] = { "RegionScore" };

/* A copy of the regions without those that are null. */
static json_t *
derp_regions(json_t *from)
{
	const char	*key;
	json_t		*r, *to;

	if ((to = json_object()) == NULL)
		return NULL;
	json_object_foreach(from, key, r) {
		if (json_is_null(r))
			continue;
		if (json_object_set(to, key, r) == -1) {
			json_decref(to);
			return NULL;
		}
	}
	return to;
}

/* HomeParams with the old score where the new one has none. */
static json_t *
derp_home(json_t *old, json_t *new)
{
	json_t	*nscore, *oscore, *to;

	if (new == NULL)
		return json_incref(old);
	nscore = oscore = NULL;
	(void)ju_fields(new, score_field, 1, &nscore);
	(void)ju_fields(old, score_field, 1, &oscore);
	if (nscore == NULL)
		nscore = oscore;
	if ((to = json_object()) == NULL)
		return NULL;
	if (nscore != NULL && json_object_set(to, "RegionScore",
	    nscore) == -1) {
		json_decref(to);
		return NULL;
	}
	return to;
}

/*
 * What a DERP map leaves out stays as it was: *new becomes the whole.
 * Returns 0, or -1 without memory.
 */
int
nm_merge_derp(json_t *old, json_t **new)
{
	json_t	*home, *o[ZF_MAX], *regions, *to, *v[ZF_MAX];

	if (*new == NULL)
		return 0;
	(void)ju_fields(old, derp_fields, ZF_MAX, o);
	(void)ju_fields(*new, derp_fields, ZF_MAX, v);
	if (v[ZF_REGIONS] == NULL)
		v[ZF_OMIT] = old == NULL ? v[ZF_OMIT] : o[ZF_OMIT];
	to = json_object();
	regions = v[ZF_REGIONS] == NULL ? json_incref(o[ZF_REGIONS]) :
	    derp_regions(v[ZF_REGIONS]);
	home = derp_home(o[ZF_HOME], v[ZF_HOME]);
	if (to == NULL || (regions == NULL && v[ZF_REGIONS] != NULL) ||
	    (home == NULL && v[ZF_HOME] != NULL) ||
	    (home != NULL && json_object_set(to, "HomeParams", home) == -1) ||
	    (regions != NULL &&
	    json_object_set(to, "Regions", regions) == -1) ||
	    (json_is_true(v[ZF_OMIT]) &&
	    json_object_set(to, "omitDefaultRegions", v[ZF_OMIT]) == -1)) {
		json_decref(to);
		to = NULL;
	}
	json_decref(home);
	json_decref(regions);
	if (to == NULL)
		return -1;
	json_decref(*new);
	*new = to;
	return 0;
}

/* Apply a patch of display messages: null deletes, "*": null clears. */
int
nm_merge_messages(json_t *old, json_t **new)
{
	const char	*key;
	json_t		*to, *v;
	int		 ret;

	if (*new == NULL)
		return 0;
	v = json_object_get(*new, "*");
	to = old == NULL || json_is_null(v) ? json_object() : json_copy(old);
	if (to == NULL)
		return -1;
	ret = 0;
	json_object_foreach(*new, key, v) {
		if (strcmp(key, "*") == 0)
			continue;
		if (json_is_null(v))
			(void)json_object_del(to, key);
		else if (json_object_set(to, key, v) == -1)
			ret = -1;
	}
	if (ret == -1) {
		json_decref(to);
		return -1;
	}
	json_decref(*new);
	*new = to;
	return 0;
}

int
netmap_tka(const struct netmap *nm)
{
	static const char *const	 names[] = { "Head", "Disabled" };
	const char			*head;
	json_t				*v[2];

	if (nm->nm_tka == NULL || ju_fields(nm->nm_tka, names, 2, v) == -1 ||
	    json_is_true(v[1]))
		return 0;
	if (v[0] == NULL || json_string_length(v[0]) == 0)
		return 1;
	/* The head is a hash of 32 bytes in base32 without padding. */
	head = json_string_value(v[0]);
	return strlen(head) == 52 && strspn(head,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == 52;
}

static void
set_int(json_t *o, const char *name, int64_t v, int *bad)
{
	if (v != 0)
		ju_set(o, name, json_integer(v), bad);
}

static void
set_true(json_t *o, const char *name, int v, int *bad)
{
	if (v)
		ju_set(o, name, json_true(), bad);
}

static void
set_time(json_t *o, const char *name, const struct ju_time *t, int *bad)
{
	if (t->jt_set)
		ju_set_time(o, name, t, bad);
}

static void
set_key(json_t *o, const char *name, const char *prefix, const uint8_t *key,
    int *bad)
{
	static const uint8_t	 zero[32];

	if (memcmp(key, zero, 32) != 0)
		ju_set_key(o, name, prefix, key, bad);
}

static void
set_prefixes(json_t *o, const char *name, const struct nm_prefix *p,
    uint32_t n, int *bad)
{
	char		 buf[NM_ADDRTEXT];
	json_t		*a;
	uint32_t	 i;

	a = json_array();
	for (i = 0; i < n; i++)
		if (json_array_append_new(a, json_string(nm_prefix_text(&p[i],
		    buf, sizeof(buf)))) == -1)
			*bad = 1;
	ju_set(o, name, a, bad);
}

static void
set_endpoints(json_t *o, const struct nm_node *n, int *bad)
{
	char		 buf[NM_ADDRTEXT];
	json_t		*a;
	uint32_t	 i;

	if (n->n_nendpoints == 0)
		return;
	a = json_array();
	for (i = 0; i < n->n_nendpoints; i++)
		if (json_array_append_new(a, json_string(nm_endpoint_text(
		    &n->n_endpoints[i], buf, sizeof(buf)))) == -1)
			*bad = 1;
	ju_set(o, "Endpoints", a, bad);
}

static void
set_text(json_t *o, const char *name, const char *text, int *bad)
{
	if (text != NULL && *text != '\0')
		ju_set(o, name, ju_load(text, strlen(text)), bad);
}

static void
set_addr(json_t *o, const char *name, const struct nm_addr *a, int *bad)
{
	char	 buf[NM_ADDRTEXT];

	if (a->na_version != 0)
		ju_set(o, name, json_string(nm_addr_text(a->na_version,
		    a->na_addr, buf, sizeof(buf))), bad);
}

static void
set_names(json_t *o, const struct nm_node *n, int *bad)
{
	char	 buf[2 * NM_MAX_NAME];

	ju_opt_str(o, "ComputedName", n->n_computed, bad);
	if (n->n_computed_host == NULL)
		ju_opt_str(o, "ComputedNameWithHost", n->n_computed, bad);
	else {
		(void)snprintf(buf, sizeof(buf), "%s (%s)", n->n_computed,
		    n->n_computed_host);
		ju_opt_str(o, "ComputedNameWithHost", buf, bad);
	}
}

static void
set_node_facts(json_t *o, const struct nm_node *n, int *bad)
{
	ju_set(o, "ID", json_integer(n->n_id), bad);
	ju_set(o, "StableID", json_string(n->n_stableid == NULL ? "" :
	    n->n_stableid), bad);
	ju_set(o, "Name", json_string(n->n_name == NULL ? "" : n->n_name), bad);
	ju_set(o, "User", json_integer(n->n_user), bad);
	set_int(o, "Sharer", n->n_sharer, bad);
	set_key(o, "Key", "nodekey:", n->n_key, bad);
	set_key(o, "Machine", "mkey:", n->n_machine, bad);
	set_key(o, "DiscoKey", "discokey:", n->n_disco, bad);
	set_time(o, "KeyExpiry", &n->n_keyexpiry, bad);
	set_time(o, "Created", &n->n_created, bad);
	set_time(o, "LastSeen", &n->n_lastseen, bad);
	set_int(o, "HomeDERP", n->n_homederp, bad);
	set_int(o, "Cap", n->n_cap, bad);
	ju_opt_str(o, "DataPlaneAuditLogID", n->n_auditid, bad);
	if (n->n_online != NM_UNKNOWN)
		ju_set(o, "Online", json_boolean(n->n_online), bad);
	set_true(o, "MachineAuthorized", n->n_authorized, bad);
	set_true(o, "UnsignedPeerAPIOnly", n->n_unsigned, bad);
	set_true(o, "Expired", n->n_expired, bad);
	set_true(o, "IsWireGuardOnly", n->n_wgonly, bad);
	set_true(o, "IsJailed", n->n_jailed, bad);
}

json_t *
nm_node_json(const struct nm_node *n)
{
	json_t	*o;
	int	 bad;

	if ((o = json_object()) == NULL)
		return NULL;
	bad = 0;
	set_node_facts(o, n, &bad);
	set_names(o, n, &bad);
	ju_opt_strs(o, "Tags", (const char *const *)n->n_tags, n->n_ntags,
	    &bad);
	set_prefixes(o, "Addresses", n->n_addrs, n->n_naddrs, &bad);
	set_prefixes(o, "AllowedIPs", n->n_allowed, n->n_nallowed, &bad);
	if (n->n_nprimary > 0)
		set_prefixes(o, "PrimaryRoutes", n->n_primary, n->n_nprimary,
		    &bad);
	set_endpoints(o, n, &bad);
	set_text(o, "Hostinfo", n->n_hostinfo, &bad);
	set_text(o, "CapMap", n->n_capmap, &bad);
	set_text(o, "ExitNodeDNSResolvers", n->n_resolvers, &bad);
	set_addr(o, "SelfNodeV4MasqAddrForThisPeer", &n->n_masq4, &bad);
	set_addr(o, "SelfNodeV6MasqAddrForThisPeer", &n->n_masq6, &bad);
	if (n->n_keysiglen > 0)
		ju_set_bytes(o, "KeySignature", n->n_keysig, n->n_keysiglen,
		    &bad);
	return ju_set_done(o, bad);
}

static json_t *
profile_json(const struct nm_profile *p)
{
	json_t	*o;
	int	 bad;

	if ((o = json_object()) == NULL)
		return NULL;
	bad = 0;
	ju_set(o, "ID", json_integer(p->p_id), &bad);
	ju_set(o, "LoginName", json_string(p->p_login == NULL ? "" :
	    p->p_login), &bad);
	ju_set(o, "DisplayName", json_string(p->p_display == NULL ? "" :
	    p->p_display), &bad);
	ju_opt_str(o, "ProfilePicURL", p->p_picture, &bad);
	return ju_set_done(o, bad);
}

static void
set_profiles(json_t *o, struct netmap *nm, int *bad)
{
	struct nm_profile	*p;
	json_t			*a;

	a = json_array();
	RB_FOREACH(p, nm_profiles, &nm->nm_profiles)
		if (json_array_append_new(a, profile_json(p)) == -1)
			*bad = 1;
	ju_set(o, "UserProfiles", a, bad);
}

static void
set_ref(json_t *o, const char *name, json_t *v, int *bad)
{
	if (v != NULL)
		ju_set(o, name, json_incref(v), bad);
}

json_t *
netmap_json(struct netmap *nm)
{
	struct nm_chunk	*c;
	json_t		*filters, *o;
	int		 bad;

	if ((o = json_object()) == NULL)
		return NULL;
	bad = 0;
	if (nm->nm_self != NULL)
		ju_set(o, "Node", nm_node_json(nm->nm_self), &bad);
	set_profiles(o, nm, &bad);
	filters = json_object();
	RB_FOREACH(c, nm_chunks, &nm->nm_chunks)
		set_ref(filters, c->c_name, c->c_json, &bad);
	ju_set(o, "PacketFilters", filters, &bad);
	ju_opt_str(o, "Domain", nm->nm_domain, &bad);
	ju_opt_str(o, "DomainDataPlaneAuditLogID", nm->nm_auditid, &bad);
	set_ref(o, "DERPMap", nm->nm_derp, &bad);
	set_ref(o, "DNSConfig", nm->nm_dns, &bad);
	set_ref(o, "SSHPolicy", nm->nm_ssh, &bad);
	set_ref(o, "Health", nm->nm_health, &bad);
	set_ref(o, "DisplayMessages", nm->nm_messages, &bad);
	set_ref(o, "TKAInfo", nm->nm_tka, &bad);
	ju_set(o, "CollectServices", json_boolean(nm->nm_collect), &bad);
	return ju_set_done(o, bad);
}
