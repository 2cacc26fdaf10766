/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A map response: read and checked as a whole before anything is applied.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netmap.h"
#include "netmap_int.h"

enum msg_field {
	MF_HANDLE, MF_SEQ, MF_KEEPALIVE, MF_PING, MF_URL, MF_NODE, MF_DERP,
	MF_PEERS, MF_CHANGED, MF_REMOVED, MF_PATCH, MF_SEEN, MF_ONLINE,
	MF_DNS, MF_DOMAIN, MF_COLLECT, MF_FILTER, MF_FILTERS, MF_PROFILES,
	MF_HEALTH, MF_MESSAGES, MF_SSH, MF_TIME, MF_TKA, MF_AUDIT, MF_DEBUG,
	MF_DIAL, MF_VERSION, MF_UPDATE, MF_MAX
};
static const char *const	 msg_fields[MF_MAX] = {
	"MapSessionHandle", "Seq", "KeepAlive", "PingRequest",
	"PopBrowserURL", "Node", "DERPMap", "Peers", "PeersChanged",
	"PeersRemoved", "PeersChangedPatch", "PeerSeenChange",
	"OnlineChange", "DNSConfig", "Domain", "CollectServices",
	"PacketFilter", "PacketFilters", "UserProfiles", "Health",
	"DisplayMessages", "SSHPolicy", "ControlTime", "TKAInfo",
	"DomainDataPlaneAuditLogID", "Debug", "ControlDialPlan",
	"ClientVersion", "DefaultAutoUpdate"
};

enum debug_field { BF_SLEEP, BF_NOLOG, BF_EXIT, BF_MAX };
static const char *const	 debug_fields[BF_MAX] = {
	"SleepSeconds", "DisableLogTail", "Exit"
};

enum profile_field { UF_ID, UF_LOGIN, UF_DISPLAY, UF_PICTURE, UF_MAX };
static const char *const	 profile_fields[UF_MAX] = {
	"ID", "LoginName", "DisplayName", "ProfilePicURL"
};

void
nm_profile_free(struct nm_profile *p)
{
	if (p == NULL)
		return;
	free(p->p_login);
	free(p->p_display);
	free(p->p_picture);
	free(p);
}

void
nm_chunk_free(struct nm_chunk *c)
{
	if (c == NULL)
		return;
	free(c->c_name);
	json_decref(c->c_json);
	nm_rules_free(c->c_rules, c->c_nrules);
	free(c);
}

static void
nodes_free(struct nm_node **v, uint32_t n)
{
	uint32_t	 i;

	for (i = 0; v != NULL && i < n; i++)
		nm_node_free(v[i]);
	free(v);
}

void
nm_msg_free(struct nm_msg *m)
{
	uint32_t	 i;

	nm_node_free(m->m_self);
	nodes_free(m->m_peers, m->m_npeers);
	nodes_free(m->m_changed, m->m_nchanged);
	for (i = 0; m->m_patches != NULL && i < m->m_npatches; i++)
		nm_patch_clear(&m->m_patches[i]);
	for (i = 0; m->m_profiles != NULL && i < m->m_nprofiles; i++)
		nm_profile_free(m->m_profiles[i]);
	for (i = 0; m->m_chunks != NULL && i < m->m_nchunks; i++) {
		free(m->m_chunks[i].nc_name);
		nm_chunk_free(m->m_chunks[i].nc_chunk);
	}
	free(m->m_patches);
	free(m->m_profiles);
	free(m->m_chunks);
	free(m->m_seen);
	free(m->m_online);
	free(m->m_removed);
	free(m->m_domain);
	free(m->m_auditid);
	json_decref(m->m_derp);
	json_decref(m->m_dns);
	json_decref(m->m_ssh);
	json_decref(m->m_health);
	json_decref(m->m_messages);
	json_decref(m->m_tka);
	memset(m, 0, sizeof(*m));
}

static int
msg_nodes(json_t *j, struct nm_node ***out, uint32_t *n)
{
	json_t	*e;
	size_t	 i, len;

	if (j == NULL)
		return 0;
	if (!json_is_array(j) || (len = json_array_size(j)) > NM_MAX_PEERS)
		return -1;
	if ((*out = calloc(len + 1, sizeof(**out))) == NULL)
		return -1;
	*n = len;
	json_array_foreach(j, i, e)
		if (((*out)[i] = nm_node_parse(e, 0)) == NULL)
			return -1;
	return 0;
}

static int
msg_patches(struct nm_msg *m, json_t *j)
{
	json_t	*e;
	size_t	 i, len;

	len = 0;
	if (j != NULL && (!json_is_array(j) ||
	    (len = json_array_size(j)) > NM_MAX_PEERS))
		return -1;
	/* Room also for the changed peers that turn out to be patches. */
	m->m_patches = calloc(len + m->m_nchanged + 1,
	    sizeof(*m->m_patches));
	if (m->m_patches == NULL)
		return -1;
	if (j == NULL)
		return 0;
	json_array_foreach(j, i, e) {
		if (nm_patch_parse(e, &m->m_patches[i]) == -1)
			return -1;
		m->m_npatches++;
	}
	return 0;
}

static int
msg_removed(struct nm_msg *m, json_t *j)
{
	json_t	*e;
	size_t	 i, len;

	if (j == NULL)
		return 0;
	if (!json_is_array(j) || (len = json_array_size(j)) > NM_MAX_PEERS ||
	    (m->m_removed = calloc(len + 1, sizeof(*m->m_removed))) == NULL)
		return -1;
	json_array_foreach(j, i, e)
		if (ju_int(e, INT64_MIN, INT64_MAX, &m->m_removed[i]) == -1)
			return -1;
	m->m_nremoved = len;
	return 0;
}

/* {"id": bool} */
static int
msg_seen(json_t *j, struct nm_seen **out, uint32_t *n)
{
	const char	*errstr, *key;
	json_t		*v;
	size_t		 i;

	if (j == NULL)
		return 0;
	if (!json_is_object(j) || json_object_size(j) > NM_MAX_PEERS ||
	    (*out = calloc(json_object_size(j) + 1, sizeof(**out))) == NULL)
		return -1;
	i = 0;
	json_object_foreach(j, key, v) {
		(*out)[i].s_id = strtonum(key, INT64_MIN, INT64_MAX, &errstr);
		if (errstr != NULL || ju_bool(v, &(*out)[i].s_value) == -1)
			return -1;
		i++;
	}
	*n = i;
	return 0;
}

static struct nm_profile *
profile_parse(json_t *j)
{
	struct nm_profile	*p;
	json_t			*v[UF_MAX];

	if (!json_is_object(j) || (p = calloc(1, sizeof(*p))) == NULL)
		return NULL;
	if (ju_fields(j, profile_fields, UF_MAX, v) == -1 ||
	    ju_int(v[UF_ID], INT64_MIN, INT64_MAX, &p->p_id) == -1 ||
	    ju_str(v[UF_LOGIN], NM_MAX_TEXT, &p->p_login) == -1 ||
	    ju_str(v[UF_DISPLAY], NM_MAX_TEXT, &p->p_display) == -1 ||
	    ju_str(v[UF_PICTURE], NM_MAX_TEXT, &p->p_picture) == -1) {
		nm_profile_free(p);
		return NULL;
	}
	return p;
}

static int
msg_profiles(struct nm_msg *m, json_t *j)
{
	json_t	*e;
	size_t	 i, len;

	if (j == NULL)
		return 0;
	if (!json_is_array(j) || (len = json_array_size(j)) > NM_MAX_PROFILES ||
	    (m->m_profiles = calloc(len + 1, sizeof(*m->m_profiles))) == NULL)
		return -1;
	m->m_nprofiles = len;
	json_array_foreach(j, i, e)
		if ((m->m_profiles[i] = profile_parse(e)) == NULL)
			return -1;
	return 0;
}

/* One named set of rules; null as rules deletes the name. */
static int
msg_chunk(struct nm_msg *m, const char *name, json_t *rules)
{
	struct nm_newchunk	*nc;
	struct nm_chunk		*c;

	nc = &m->m_chunks[m->m_nchunks];
	if ((nc->nc_name = strdup(name)) == NULL)
		return -1;
	m->m_nchunks++;
	if (rules == NULL)
		return 0;
	if ((c = nc->nc_chunk = calloc(1, sizeof(*c))) == NULL ||
	    (c->c_name = strdup(name)) == NULL)
		return -1;
	if (nm_rules_parse(rules, &c->c_rules, &c->c_nrules,
	    &c->c_refused) == -1)
		return -1;
	c->c_json = nm_schema_copies(NM_SCHEMA_RULE, rules);
	return c->c_json == NULL ? -1 : 0;
}

/* The older single filter is the one named "base"; it comes first. */
static int
msg_filters(struct nm_msg *m, json_t *base, json_t *named)
{
	const char	*key;
	json_t		*v;

	if (named != NULL && (!json_is_object(named) ||
	    json_object_size(named) > NM_MAX_CHUNKS))
		return -1;
	m->m_filter = base != NULL || named != NULL;
	m->m_chunks = calloc(json_object_size(named) + 2,
	    sizeof(*m->m_chunks));
	if (m->m_chunks == NULL)
		return -1;
	if (base != NULL) {
		if (msg_chunk(m, "base", base) == -1)
			return -1;
		m->m_chunks[0].nc_old = 1;
	}
	if (named == NULL)
		return 0;
	json_object_foreach(named, key, v) {
		if (strcmp(key, "*") == 0) {
			if (json_is_null(v))
				m->m_clearfilter = 1;
			else if (!json_is_array(v))
				return -1;
		} else if (msg_chunk(m, key,
		    json_is_null(v) ? NULL : v) == -1)
			return -1;
	}
	return 0;
}

static int
msg_debug(json_t *j, struct nm_effects *fx)
{
	json_t	*v[BF_MAX];
	double	 sleep;
	int64_t	 code;

	if (j == NULL)
		return 0;
	sleep = 0;
	code = 0;
	if (ju_fields(j, debug_fields, BF_MAX, v) == -1 ||
	    ju_real(v[BF_SLEEP], &sleep) == -1 || !ju_is_bool(v[BF_NOLOG]) ||
	    ju_int(v[BF_EXIT], INT64_MIN, INT64_MAX, &code) == -1)
		return -1;
	if (sleep > 0) {
		fx->ms_sleep = sleep;
		fx->ms_what |= NM_SE_SLEEP;
	}
	if (v[BF_EXIT] != NULL)
		fx->ms_what |= NM_SE_EXIT;
	return 0;
}

/* Keep a passed-through object whose types are right. */
static int
msg_keep(json_t *j, enum nm_schema schema, json_t **out)
{
	if (j == NULL)
		return 0;
	if (!json_is_object(j) || !nm_schema_ok(schema, j))
		return -1;
	*out = nm_schema_copy(schema, j);
	return *out == NULL ? -1 : 0;
}

static int
msg_messages(struct nm_msg *m, json_t *j)
{
	const char	*key;
	json_t		*v;

	if (j == NULL)
		return 0;
	if (!json_is_object(j) || (m->m_messages = json_object()) == NULL)
		return -1;
	json_object_foreach(j, key, v)
		if (!nm_schema_ok(NM_SCHEMA_MESSAGE, v) ||
		    json_object_set_new(m->m_messages, key,
		    nm_schema_copy(NM_SCHEMA_MESSAGE, v)) == -1)
			return -1;
	return 0;
}

static int
msg_effects(json_t **v, struct nm_effects *fx)
{
	if (ju_bool(v[MF_KEEPALIVE], &fx->ms_keepalive) == -1 ||
	    msg_keep(v[MF_PING], NM_SCHEMA_PING, &fx->ms_ping) == -1 ||
	    msg_keep(v[MF_DIAL], NM_SCHEMA_DIAL, &fx->ms_dial) == -1 ||
	    msg_keep(v[MF_VERSION], NM_SCHEMA_VERSION,
	    &fx->ms_version) == -1 ||
	    ju_str(v[MF_URL], NM_MAX_TEXT, &fx->ms_url) == -1 ||
	    ju_time(v[MF_TIME], &fx->ms_time) == -1)
		return -1;
	if (fx->ms_ping != NULL)
		fx->ms_what |= NM_SE_PING;
	if (fx->ms_dial != NULL)
		fx->ms_what |= NM_SE_DIAL;
	if (fx->ms_version != NULL)
		fx->ms_what |= NM_SE_VERSION;
	if (fx->ms_url != NULL && *fx->ms_url != '\0')
		fx->ms_what |= NM_SE_URL;
	if (fx->ms_time.jt_set)
		fx->ms_what |= NM_SE_TIME;
	return 0;
}

static int
msg_scalars(struct nm_msg *m, json_t **v)
{
	int64_t	 seq;

	m->m_collect = NM_UNKNOWN;
	if (!ju_is_str(v[MF_HANDLE]) || !ju_is_bool(v[MF_UPDATE]) ||
	    ju_int(v[MF_SEQ], INT64_MIN, INT64_MAX, &seq) == -1 ||
	    ju_bool(v[MF_COLLECT], &m->m_collect) == -1 ||
	    ju_str(v[MF_DOMAIN], NM_MAX_NAME - 1, &m->m_domain) == -1 ||
	    ju_str(v[MF_AUDIT], NM_MAX_NAME - 1, &m->m_auditid) == -1)
		return -1;
	if (v[MF_HEALTH] != NULL) {
		if (!ju_is_strs(v[MF_HEALTH]))
			return -1;
		m->m_health = json_incref(v[MF_HEALTH]);
	}
	return 0;
}

/* Every part in turn; the name of the first bad one is the error. */
int
nm_msg_parse(json_t *j, struct nm_msg *m, struct nm_effects *fx)
{
	json_t	*v[MF_MAX];

	memset(m, 0, sizeof(*m));
	m->m_error = "not an object";
	if (!json_is_object(j) || ju_fields(j, msg_fields, MF_MAX, v) == -1)
		return -1;
	m->m_error = "side effect";
	if (msg_effects(v, fx) == -1 || msg_debug(v[MF_DEBUG], fx) == -1)
		return -1;
	m->m_error = "Domain, Health or another simple field";
	if (msg_scalars(m, v) == -1)
		return -1;
	m->m_error = "Node";
	if (v[MF_NODE] != NULL &&
	    (m->m_self = nm_node_parse(v[MF_NODE], 1)) == NULL)
		return -1;
	m->m_error = "Peers";
	if (msg_nodes(v[MF_PEERS], &m->m_peers, &m->m_npeers) == -1)
		return -1;
	m->m_error = "PeersChanged";
	if (msg_nodes(v[MF_CHANGED], &m->m_changed, &m->m_nchanged) == -1)
		return -1;
	m->m_error = "PeersChangedPatch";
	if (msg_patches(m, v[MF_PATCH]) == -1)
		return -1;
	m->m_error = "PeersRemoved, PeerSeenChange or OnlineChange";
	if (msg_removed(m, v[MF_REMOVED]) == -1 ||
	    msg_seen(v[MF_SEEN], &m->m_seen, &m->m_nseen) == -1 ||
	    msg_seen(v[MF_ONLINE], &m->m_online, &m->m_nonline) == -1)
		return -1;
	m->m_error = "UserProfiles";
	if (msg_profiles(m, v[MF_PROFILES]) == -1)
		return -1;
	m->m_error = "PacketFilter";
	if (msg_filters(m, v[MF_FILTER], v[MF_FILTERS]) == -1)
		return -1;
	m->m_error = "DERPMap, DNSConfig, SSHPolicy or TKAInfo";
	if (msg_keep(v[MF_DERP], NM_SCHEMA_DERPMAP, &m->m_derp) == -1 ||
	    msg_keep(v[MF_DNS], NM_SCHEMA_DNS, &m->m_dns) == -1 ||
	    msg_keep(v[MF_SSH], NM_SCHEMA_SSH, &m->m_ssh) == -1 ||
	    msg_keep(v[MF_TKA], NM_SCHEMA_TKA, &m->m_tka) == -1)
		return -1;
	m->m_error = "DisplayMessages";
	if (msg_messages(m, v[MF_MESSAGES]) == -1)
		return -1;
	m->m_error = NULL;
	return 0;
}
