/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Nodes of the netmap: JSON to struct.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netmap.h"
#include "netmap_int.h"

enum node_field {
	NF_ID, NF_STABLEID, NF_NAME, NF_USER, NF_SHARER, NF_KEY, NF_KEYEXPIRY,
	NF_KEYSIG, NF_MACHINE, NF_DISCO, NF_ADDRS, NF_ALLOWED, NF_ENDPOINTS,
	NF_DERP, NF_HOMEDERP, NF_HOSTINFO, NF_CREATED, NF_CAP, NF_TAGS,
	NF_PRIMARY, NF_LASTSEEN, NF_ONLINE, NF_AUTHORIZED, NF_CAPS, NF_CAPMAP,
	NF_UNSIGNED, NF_COMPUTED, NF_COMPUTEDHOST, NF_AUDITID, NF_EXPIRED,
	NF_MASQ4, NF_MASQ6, NF_WGONLY, NF_JAILED, NF_RESOLVERS, NF_MAX
};

static const char *const	 node_fields[NF_MAX] = {
	"ID", "StableID", "Name", "User", "Sharer", "Key", "KeyExpiry",
	"KeySignature", "Machine", "DiscoKey", "Addresses", "AllowedIPs",
	"Endpoints", "DERP", "HomeDERP", "Hostinfo", "Created", "Cap", "Tags",
	"PrimaryRoutes", "LastSeen", "Online", "MachineAuthorized",
	"Capabilities", "CapMap", "UnsignedPeerAPIOnly", "ComputedName",
	"ComputedNameWithHost", "DataPlaneAuditLogID", "Expired",
	"SelfNodeV4MasqAddrForThisPeer", "SelfNodeV6MasqAddrForThisPeer",
	"IsWireGuardOnly", "IsJailed", "ExitNodeDNSResolvers"
};

void
nm_strs_free(char **s, uint32_t n)
{
	uint32_t	 i;

	for (i = 0; s != NULL && i < n; i++)
		free(s[i]);
	free(s);
}

void
nm_node_free(struct nm_node *n)
{
	if (n == NULL)
		return;
	free(n->n_stableid);
	free(n->n_name);
	free(n->n_computed);
	free(n->n_computed_host);
	free(n->n_hostinfo);
	free(n->n_capmap);
	free(n->n_resolvers);
	free(n->n_auditid);
	nm_strs_free(n->n_tags, n->n_ntags);
	free(n->n_addrs);
	free(n->n_allowed);
	free(n->n_primary);
	free(n->n_endpoints);
	free(n->n_keysig);
	free(n);
}

/* A list of strings of at most max elements; empty is NULL. */
int
nm_strs_parse(json_t *j, size_t max, size_t maxlen, char ***out, uint32_t *n)
{
	char	**v;
	json_t	 *e;
	size_t	  i, len;

	*out = NULL;
	*n = 0;
	if (j == NULL)
		return 0;
	if (!json_is_array(j) || (len = json_array_size(j)) > max)
		return -1;
	if (len == 0)
		return 0;
	if ((v = calloc(len, sizeof(*v))) == NULL)
		return -1;
	json_array_foreach(j, i, e) {
		if (ju_str(e, maxlen, &v[i]) == -1 ||
		    (v[i] == NULL && (v[i] = strdup("")) == NULL)) {
			nm_strs_free(v, len);
			return -1;
		}
	}
	*out = v;
	*n = len;
	return 0;
}

/* One text of a list; NULL where it is none, or not fit for an address. */
static const char *
nm_elem_text(json_t *e)
{
	if (!json_is_string(e) || json_string_length(e) > NM_ADDRTEXT ||
	    strlen(json_string_value(e)) != json_string_length(e))
		return NULL;
	return json_string_value(e);
}

int
nm_prefixes_parse(json_t *j, struct nm_prefix **out, uint32_t *n)
{
	struct nm_prefix	*v;
	const char		*s;
	json_t			*e;
	size_t			 i, len;
	uint32_t		 k;

	if (j == NULL)
		return 0;
	if (!json_is_array(j) || (len = json_array_size(j)) > NM_MAX_PREFIXES)
		return -1;
	if ((v = calloc(len + 1, sizeof(*v))) == NULL)
		return -1;
	k = 0;
	json_array_foreach(j, i, e) {
		/* Null and "" are no prefix to Go, and no error. */
		if (json_is_null(e))
			continue;
		if ((s = nm_elem_text(e)) == NULL)
			goto bad;
		if (*s == '\0')
			continue;
		if (nm_prefix_parse(s, &v[k++]) == -1)
			goto bad;
	}
	free(*out);
	*out = v;
	*n = k;
	return 0;
bad:
	free(v);
	return -1;
}

int
nm_endpoints_parse(json_t *j, struct nm_endpoint **out, uint32_t *n)
{
	struct nm_endpoint	*v;
	const char		*s;
	json_t			*e;
	size_t			 i, len;
	uint32_t		 k;

	if (j == NULL)
		return 0;
	if (!json_is_array(j) ||
	    (len = json_array_size(j)) > NM_MAX_ENDPOINTS)
		return -1;
	if ((v = calloc(len + 1, sizeof(*v))) == NULL)
		return -1;
	k = 0;
	json_array_foreach(j, i, e) {
		if (json_is_null(e))
			continue;
		if ((s = nm_elem_text(e)) == NULL)
			goto bad;
		/* A zone means nothing on another host: left out. */
		if (*s == '\0' || strchr(s, '%') != NULL)
			continue;
		if (nm_endpoint_parse(s, &v[k++]) == -1)
			goto bad;
	}
	free(*out);
	*out = v;
	*n = k;
	return 0;
bad:
	free(v);
	return -1;
}

static int
nm_addr_json(json_t *j, struct nm_addr *a)
{
	const char	*s;

	if (j == NULL)
		return 0;
	if ((s = nm_elem_text(j)) == NULL)
		return -1;
	if (*s == '\0')
		return 0;
	return nm_addr_parse(s, a);
}

/* Object with capabilities as keys, values null or any array. */
int
nm_capmap_parse(json_t *j, char **out)
{
	const char	*key;
	char		*text;
	json_t		*copy, *v;

	if (j == NULL)
		return 0;
	if (!json_is_object(j) || (copy = json_object()) == NULL)
		return -1;
	json_object_foreach(j, key, v) {
		if (!json_is_null(v) && !json_is_array(v))
			goto bad;
		/* No value and an empty list of them mean the same. */
		if (json_array_size(v) == 0)
			v = json_null();
		if (json_object_set(copy, key, v) == -1)
			goto bad;
	}
	text = json_object_size(copy) == 0 ? strdup("") : ju_dump(copy);
	json_decref(copy);
	if (text == NULL)
		return -1;
	free(*out);
	*out = text;
	return 0;
bad:
	json_decref(copy);
	return -1;
}

/* Capabilities is the older form: names that CapMap lacks are added. */
static int
nm_caps_parse(json_t *caps, json_t **capmap)
{
	json_t	*e, *map;
	size_t	 i;

	if (!ju_is_strs(caps))
		return -1;
	if (caps == NULL || json_array_size(caps) == 0)
		return 0;
	map = *capmap == NULL ? json_object() : json_copy(*capmap);
	if (map == NULL || !json_is_object(map))
		goto bad;
	json_array_foreach(caps, i, e)
		if (json_is_string(e) && json_object_get(map,
		    json_string_value(e)) == NULL &&
		    json_object_set_new(map, json_string_value(e),
		    json_null()) == -1)
			goto bad;
	*capmap = map;
	return 1;
bad:
	json_decref(map);
	return -1;
}

static int
nm_hostinfo_parse(json_t *j, char **out)
{
	char	*text;
	json_t	*known;

	if (j == NULL)
		return 0;
	if (!json_is_object(j) || !nm_schema_ok(NM_SCHEMA_HOSTINFO, j) ||
	    (known = nm_schema_copy(NM_SCHEMA_HOSTINFO, j)) == NULL)
		return -1;
	text = ju_dump(known);
	json_decref(known);
	if (text == NULL)
		return -1;
	free(*out);
	*out = text;
	return 0;
}

/* Read a short field of Hostinfo; the caller frees; NULL if empty. */
char *
nm_hostinfo_str(const char *hostinfo, const char *name)
{
	char	*out;
	json_t	*j, *v;

	if (hostinfo == NULL ||
	    (j = ju_load(hostinfo, strlen(hostinfo))) == NULL)
		return NULL;
	out = NULL;
	if (ju_fields(j, &name, 1, &v) == 0)
		(void)ju_str(v, NM_MAX_NAME - 1, &out);
	json_decref(j);
	if (out != NULL && *out == '\0') {
		free(out);
		out = NULL;
	}
	return out;
}

/* "127.3.3.40:17" is how older servers write a home region. */
static int
nm_legacy_derp(json_t *j, int32_t *derp)
{
	const char	 magic[] = "127.3.3.40:";
	const char	*errstr, *s;
	int		 v;

	if (j == NULL)
		return 0;
	if (!json_is_string(j))
		return -1;
	s = json_string_value(j);
	if (*derp != 0 || strncmp(s, magic, sizeof(magic) - 1) != 0)
		return 0;
	v = strtonum(s + sizeof(magic) - 1, 0, 65535, &errstr);
	if (errstr == NULL)
		*derp = v;
	return 0;
}

static int
nm_node_scalars(struct nm_node *n, json_t **v)
{
	int64_t	 cap, derp, id;
	uint8_t	 online;

	id = cap = derp = 0;
	online = NM_UNKNOWN;
	if (ju_int(v[NF_ID], -NM_MAX_ID, NM_MAX_ID, &id) == -1 ||
	    ju_int(v[NF_USER], INT64_MIN, INT64_MAX, &n->n_user) == -1 ||
	    ju_int(v[NF_SHARER], INT64_MIN, INT64_MAX, &n->n_sharer) == -1 ||
	    ju_int(v[NF_HOMEDERP], 0, 65535, &derp) == -1 ||
	    ju_int(v[NF_CAP], 0, INT32_MAX, &cap) == -1 ||
	    ju_bool(v[NF_ONLINE], &online) == -1 ||
	    ju_bool(v[NF_AUTHORIZED], &n->n_authorized) == -1 ||
	    ju_bool(v[NF_UNSIGNED], &n->n_unsigned) == -1 ||
	    ju_bool(v[NF_EXPIRED], &n->n_expired) == -1 ||
	    ju_bool(v[NF_WGONLY], &n->n_wgonly) == -1 ||
	    ju_bool(v[NF_JAILED], &n->n_jailed) == -1 ||
	    ju_time(v[NF_KEYEXPIRY], &n->n_keyexpiry) == -1 ||
	    ju_time(v[NF_CREATED], &n->n_created) == -1 ||
	    ju_time(v[NF_LASTSEEN], &n->n_lastseen) == -1)
		return -1;
	n->n_id = id;
	n->n_cap = cap;
	n->n_homederp = derp;
	n->n_online = online;
	return nm_legacy_derp(v[NF_DERP], &n->n_homederp);
}

/* An array of objects of one schema? */
static int
nm_list_ok(enum nm_schema schema, json_t *j)
{
	json_t	*e;
	size_t	 i;

	if (!json_is_array(j))
		return 0;
	json_array_foreach(j, i, e)
		if (!nm_schema_ok(schema, e))
			return 0;
	return 1;
}

static int
nm_resolvers_parse(json_t *j, char **out)
{
	json_t	*known;

	if (j == NULL)
		return 0;
	if (!nm_list_ok(NM_SCHEMA_RESOLVER, j))
		return -1;
	if (json_array_size(j) == 0)
		return 0;
	if ((known = nm_schema_copies(NM_SCHEMA_RESOLVER, j)) == NULL)
		return -1;
	*out = ju_dump(known);
	json_decref(known);
	return *out == NULL ? -1 : 0;
}

static int
nm_node_strings(struct nm_node *n, json_t **v)
{
	if (ju_str(v[NF_STABLEID], NM_MAX_NAME - 1, &n->n_stableid) == -1 ||
	    ju_str(v[NF_NAME], NM_MAX_NAME - 1, &n->n_name) == -1 ||
	    ju_str(v[NF_AUDITID], NM_MAX_NAME - 1, &n->n_auditid) == -1 ||
	    ju_key(v[NF_KEY], "nodekey:", n->n_key) == -1 ||
	    ju_key(v[NF_MACHINE], "mkey:", n->n_machine) == -1 ||
	    ju_key(v[NF_DISCO], "discokey:", n->n_disco) == -1 ||
	    ju_bytes(v[NF_KEYSIG], 65536, &n->n_keysig,
	    &n->n_keysiglen) == -1 ||
	    nm_strs_parse(v[NF_TAGS], NM_MAX_TAGS, NM_MAX_NAME - 1,
	    &n->n_tags, &n->n_ntags) == -1 ||
	    !ju_is_str(v[NF_COMPUTED]) || !ju_is_str(v[NF_COMPUTEDHOST]))
		return -1;
	return nm_resolvers_parse(v[NF_RESOLVERS], &n->n_resolvers);
}

static int
nm_node_lists(struct nm_node *n, json_t **v)
{
	if (nm_prefixes_parse(v[NF_ADDRS], &n->n_addrs, &n->n_naddrs) == -1 ||
	    nm_prefixes_parse(v[NF_ALLOWED], &n->n_allowed,
	    &n->n_nallowed) == -1 ||
	    nm_prefixes_parse(v[NF_PRIMARY], &n->n_primary,
	    &n->n_nprimary) == -1 ||
	    nm_endpoints_parse(v[NF_ENDPOINTS], &n->n_endpoints,
	    &n->n_nendpoints) == -1 ||
	    nm_addr_json(v[NF_MASQ4], &n->n_masq4) == -1 ||
	    nm_addr_json(v[NF_MASQ6], &n->n_masq6) == -1)
		return -1;
	/*
	 * Absent: the same as the addresses; an empty list really is none.
	 * Tailnet lock does not cover an unsigned peer, so the server must
	 * not give it routes either.
	 */
	if (v[NF_ALLOWED] != NULL && !n->n_unsigned)
		return 0;
	free(n->n_allowed);
	n->n_nallowed = n->n_naddrs;
	n->n_allowed = calloc(n->n_naddrs + 1, sizeof(*n->n_allowed));
	if (n->n_allowed == NULL)
		return -1;
	if (n->n_naddrs > 0)
		memcpy(n->n_allowed, n->n_addrs,
		    n->n_naddrs * sizeof(*n->n_allowed));
	return 0;
}

struct nm_node *
nm_node_parse(json_t *j, int self)
{
	struct nm_node	*n;
	json_t		*v[NF_MAX];
	json_t		*capmap;
	int		 ok, own;

	if (!json_is_object(j) || (n = calloc(1, sizeof(*n))) == NULL)
		return NULL;
	if (ju_fields(j, node_fields, NF_MAX, v) == -1 ||
	    nm_node_scalars(n, v) == -1 || nm_node_strings(n, v) == -1 ||
	    nm_node_lists(n, v) == -1)
		goto bad;
	/* ju_fields() takes null for absent: here it is an empty object. */
	if (v[NF_HOSTINFO] == NULL && json_is_null(json_object_get(j,
	    "Hostinfo")))
		n->n_hostinfo = strdup("{}");
	else if (nm_hostinfo_parse(v[NF_HOSTINFO], &n->n_hostinfo) == -1)
		goto bad;
	capmap = v[NF_CAPMAP];
	own = nm_caps_parse(v[NF_CAPS], &capmap);
	if (own == -1)
		goto bad;
	if (own == 1 && !self) {	/* never sent for peers: checked only */
		json_decref(capmap);
		capmap = v[NF_CAPMAP];
		own = 0;
	}
	ok = nm_capmap_parse(capmap, &n->n_capmap);
	if (own == 1)
		json_decref(capmap);
	if (ok == -1)
		goto bad;
	return n;
bad:
	nm_node_free(n);
	return NULL;
}

int
nm_node_hascap(const struct nm_node *n, const char *cap)
{
	json_t	*j;
	int	 has;

	if (n->n_capmap == NULL || *n->n_capmap == '\0' ||
	    (j = ju_load(n->n_capmap, strlen(n->n_capmap))) == NULL)
		return 0;
	has = json_object_get(j, cap) != NULL;
	json_decref(j);
	return has;
}
