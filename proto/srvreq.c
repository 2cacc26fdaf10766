/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Requests of nodes as the server reads them, and the server key answer.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "srvreq.h"

#ifndef nitems
#define nitems(a)	(sizeof((a)) / sizeof((a)[0]))
#endif

/* What nobody but the client's vendor needs, and what tracks a device. */
static const char *const hostinfo_drop[] = {
	"FrontendLogID", "BackendLogID", "PushDeviceToken", "Env"
};

static int
srvreq_hostinfo(json_t *j, char **out, size_t *len)
{
	const char	*key;
	json_t		*val;
	void		*tmp;
	size_t		 i;

	if (j == NULL)
		return 0;
	if (!json_is_object(j)) {
		errno = EINVAL;
		return -1;
	}
	json_object_foreach_safe(j, tmp, key, val) {
		for (i = 0; i < nitems(hostinfo_drop); i++)
			if (strcasecmp(key, hostinfo_drop[i]) == 0) {
				json_object_del(j, key);
				break;
			}
	}
	if ((*out = json_dumps(j, JSON_COMPACT)) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	if ((*len = strlen(*out)) > SRVREQ_MAX_HOSTINFO) {
		errno = E2BIG;
		return -1;
	}
	return 0;
}

static json_t *
srvreq_load(const void *buf, size_t len)
{
	json_t	*j;

	if (len > SRVREQ_MAX_BODY) {
		errno = E2BIG;
		return NULL;
	}
	if ((j = ju_load(buf, len)) == NULL)
		return NULL;
	if (!json_is_object(j)) {
		json_decref(j);
		errno = EINVAL;
		return NULL;
	}
	return j;
}

/* Both forms of the same key are read. */
static int
srvreq_nlkey(json_t *j, uint8_t key[32])
{
	if (ju_key(j, "nlpub:", key) == 0)
		return 0;
	return ju_key(j, "tlpub:", key);
}

static int
srvreq_auth(json_t *j, char **authkey)
{
	static const char *const names[] = { "AuthKey" };
	json_t		*v[nitems(names)];

	if (ju_fields(j, names, nitems(names), v) == -1)
		return -1;
	return ju_str(v[0], SRVREQ_MAX_AUTHKEY, authkey);
}

static int
srvreq_register_fields(json_t *j, struct srvreq_register *sr)
{
	static const char *const names[] = {
		"Version", "NodeKey", "OldNodeKey", "NLKey", "Auth",
		"Expiry", "Followup", "Hostinfo", "Ephemeral"
	};
	json_t	*v[nitems(names)];

	errno = EINVAL;
	if ((sr->sr_authkey = strdup("")) == NULL ||
	    (sr->sr_followup = strdup("")) == NULL)
		return -1;
	if (ju_fields(j, names, nitems(names), v) == -1 ||
	    ju_int(v[0], 0, UINT16_MAX, &sr->sr_version) == -1 ||
	    ju_key(v[1], "nodekey:", sr->sr_node) == -1 ||
	    ju_key(v[2], "nodekey:", sr->sr_oldnode) == -1 ||
	    srvreq_nlkey(v[3], sr->sr_nl) == -1 ||
	    srvreq_auth(v[4], &sr->sr_authkey) == -1 ||
	    ju_time(v[5], &sr->sr_expiry) == -1 ||
	    ju_str(v[6], SRVREQ_MAX_FOLLOWUP, &sr->sr_followup) == -1 ||
	    ju_bool(v[8], &sr->sr_ephemeral) == -1)
		return -1;
	return srvreq_hostinfo(v[7], &sr->sr_hostinfo, &sr->sr_hostinfolen);
}

int
srvreq_register_parse(const void *buf, size_t len, struct srvreq_register *sr)
{
	json_t	*j;
	int	 ret, saved;

	memset(sr, 0, sizeof(*sr));
	if ((j = srvreq_load(buf, len)) == NULL)
		return -1;
	ret = srvreq_register_fields(j, sr);
	saved = errno;
	json_decref(j);
	if (ret == -1)
		srvreq_register_free(sr);
	errno = saved;
	return ret;
}

void
srvreq_register_free(struct srvreq_register *sr)
{
	if (sr->sr_authkey != NULL)
		freezero(sr->sr_authkey, strlen(sr->sr_authkey));
	free(sr->sr_followup);
	free(sr->sr_hostinfo);
	explicit_bzero(sr, sizeof(*sr));
}

/* "192.0.2.1:41641" or "[2001:db8::1]:41641", literal addresses only. */
static int
srvreq_endpoint_parse(const char *s, struct srvreq_endpoint *se)
{
	char		 host[INET6_ADDRSTRLEN];
	const char	*colon, *errstr;
	size_t		 len;

	if ((colon = strrchr(s, ':')) == NULL)
		return -1;
	len = colon - s;
	if (s[0] == '[') {
		if (len < 3 || s[len - 1] != ']')
			return -1;
		s++;
		len -= 2;
		se->se_af = 6;
	} else
		se->se_af = 4;
	if (len >= sizeof(host))
		return -1;
	memcpy(host, s, len);
	host[len] = '\0';
	if (inet_pton(se->se_af == 4 ? AF_INET : AF_INET6, host,
	    se->se_addr) != 1)
		return -1;
	if (colon[1] < '0' || colon[1] > '9')
		return -1;
	se->se_port = strtonum(colon + 1, 0, UINT16_MAX, &errstr);
	return errstr == NULL ? 0 : -1;
}

/* Types are parallel to the endpoints; a missing one is unknown. */
static int
srvreq_endpoint_type(json_t *types, size_t i, uint8_t *type)
{
	int64_t	 v;

	v = 0;
	if (ju_int(json_array_get(types, i), 0, 255, &v) == -1)
		return -1;
	*type = v > 5 ? 0 : v;
	return 0;
}

static int
srvreq_endpoints(json_t *eps, json_t *types, struct srvreq_map *sm)
{
	struct srvreq_endpoint	*se;
	json_t			*e;
	size_t			 i, n;

	errno = EINVAL;
	if (eps == NULL)
		return 0;
	if (!json_is_array(eps) || (types != NULL && !json_is_array(types)))
		return -1;
	sm->sm_has_endpoints = 1;
	if ((n = json_array_size(eps)) > SRVREQ_MAX_ENDPOINTS)
		n = SRVREQ_MAX_ENDPOINTS;
	if (n == 0)
		return 0;
	if ((sm->sm_endpoints = calloc(n, sizeof(*se))) == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		se = &sm->sm_endpoints[i];
		e = json_array_get(eps, i);
		errno = EINVAL;
		if (!json_is_string(e) ||
		    json_string_length(e) != strlen(json_string_value(e)) ||
		    srvreq_endpoint_parse(json_string_value(e), se) == -1 ||
		    srvreq_endpoint_type(types, i, &se->se_type) == -1)
			return -1;
	}
	sm->sm_nendpoints = n;
	return 0;
}

static int
srvreq_compress(json_t *j, uint8_t *zstd)
{
	if (j == NULL)
		return 0;
	if (!json_is_string(j))
		return -1;
	*zstd = strcmp(json_string_value(j), "zstd") == 0;
	return 0;
}

static int
srvreq_map_fields(json_t *j, struct srvreq_map *sm)
{
	static const char *const names[] = {
		"Version", "Compress", "KeepAlive", "NodeKey", "DiscoKey",
		"Stream", "Hostinfo", "Endpoints", "EndpointTypes",
		"ReadOnly", "OmitPeers"
	};
	json_t	*v[nitems(names)];

	errno = EINVAL;
	if (ju_fields(j, names, nitems(names), v) == -1 ||
	    ju_int(v[0], 0, UINT16_MAX, &sm->sm_version) == -1 ||
	    srvreq_compress(v[1], &sm->sm_zstd) == -1 ||
	    ju_bool(v[2], &sm->sm_keepalive) == -1 ||
	    ju_key(v[3], "nodekey:", sm->sm_node) == -1 ||
	    ju_key(v[4], "discokey:", sm->sm_disco) == -1 ||
	    ju_bool(v[5], &sm->sm_stream) == -1 ||
	    ju_bool(v[9], &sm->sm_readonly) == -1 ||
	    ju_bool(v[10], &sm->sm_omitpeers) == -1 ||
	    srvreq_endpoints(v[7], v[8], sm) == -1)
		return -1;
	return srvreq_hostinfo(v[6], &sm->sm_hostinfo, &sm->sm_hostinfolen);
}

int
srvreq_map_parse(const void *buf, size_t len, struct srvreq_map *sm)
{
	json_t	*j;
	int	 ret, saved;

	memset(sm, 0, sizeof(*sm));
	if ((j = srvreq_load(buf, len)) == NULL)
		return -1;
	ret = srvreq_map_fields(j, sm);
	saved = errno;
	json_decref(j);
	if (ret == -1)
		srvreq_map_free(sm);
	errno = saved;
	return ret;
}

void
srvreq_map_free(struct srvreq_map *sm)
{
	free(sm->sm_hostinfo);
	free(sm->sm_endpoints);
	memset(sm, 0, sizeof(*sm));
}

static int
srvreq_call_fields(json_t *j, struct srvreq_call *sc)
{
	static const char *const names[] = {
		"NodeKey", "Version", "CapVersion"
	};
	json_t	*v[nitems(names)];

	errno = EINVAL;
	if (ju_fields(j, names, nitems(names), v) == -1 ||
	    ju_key(v[0], "nodekey:", sc->sc_node) == -1 ||
	    ju_int(v[1], 0, UINT16_MAX, &sc->sc_version) == -1 ||
	    ju_int(v[2], 0, UINT16_MAX, &sc->sc_version) == -1)
		return -1;
	if ((sc->sc_json = json_dumps(j, JSON_COMPACT)) == NULL) {
		errno = ENOMEM;
		return -1;
	}
	sc->sc_len = strlen(sc->sc_json);
	errno = E2BIG;
	return sc->sc_len > SRVREQ_MAX_CALL ? -1 : 0;
}

int
srvreq_call_parse(const void *buf, size_t len, struct srvreq_call *sc)
{
	json_t	*j;
	int	 ret, saved;

	memset(sc, 0, sizeof(*sc));
	if ((j = len == 0 ? srvreq_load("{}", 2) :
	    srvreq_load(buf, len)) == NULL)
		return -1;
	ret = srvreq_call_fields(j, sc);
	saved = errno;
	json_decref(j);
	if (ret == -1)
		srvreq_call_free(sc);
	errno = saved;
	return ret;
}

void
srvreq_call_free(struct srvreq_call *sc)
{
	free(sc->sc_json);
	memset(sc, 0, sizeof(*sc));
}

int
srvreq_key_build(const uint8_t key[32], char *buf, size_t len)
{
	static const uint8_t	 zero[32];
	char			 legacy[JU_KEYTEXT], pub[JU_KEYTEXT];
	int			 n;

	ju_key_text("mkey:", zero, legacy, sizeof(legacy));
	ju_key_text("mkey:", key, pub, sizeof(pub));
	n = snprintf(buf, len,
	    "{\"legacyPublicKey\":\"%s\",\"publicKey\":\"%s\"}\n", legacy, pub);
	return n < 0 || (size_t)n >= len ? -1 : 0;
}

int
srvreq_early_build(const uint8_t key[32], char *buf, size_t len)
{
	char	 pub[JU_KEYTEXT];
	int	 n;

	ju_key_text("chalpub:", key, pub, sizeof(pub));
	n = snprintf(buf, len, "{\"nodeKeyChallenge\":\"%s\"}", pub);
	return n < 0 || (size_t)n >= len ? -1 : 0;
}
