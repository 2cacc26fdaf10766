/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The JSON inside the boxes of a DERP login.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "derp.h"
#include "jsonutil.h"
#include "keys.h"

#define APP_MAX		4096

enum { CI_MESH, CI_VERSION, CI_ACK, CI_PROBER, CI_APP, CI_N };
static const char *const client_names[CI_N] = {
	"meshKey", "version", "CanAckPings", "IsProber", "AppName"
};

enum { SI_VERSION, SI_RATE, SI_BURST, SI_N };
static const char *const server_names[SI_N] = {
	"version", "TokenBucketBytesPerSecond", "TokenBucketBytesBurst"
};

static int
client_mesh(json_t *v, struct derp_client_info *ci)
{
	if (v == NULL)
		return 0;
	return json_is_string(v) ? key_parse(KEY_DERP_MESH,
	    json_string_value(v), json_string_length(v), ci->ci_mesh_key) :
	    -1;
}

static int
client_fields(json_t *doc, struct derp_client_info *ci)
{
	json_t	*v[CI_N];
	char	*app = NULL;
	int	 ret;

	if (ju_fields(doc, client_names, CI_N, v) == -1 ||
	    ju_int(v[CI_VERSION], INT64_MIN, INT64_MAX,
	    &ci->ci_version) == -1 ||
	    ju_bool(v[CI_ACK], &ci->ci_can_ack_pings) == -1 ||
	    ju_bool(v[CI_PROBER], &ci->ci_prober) == -1 ||
	    client_mesh(v[CI_MESH], ci) == -1)
		return -1;
	ret = ju_str(v[CI_APP], APP_MAX, &app);
	if (app != NULL)
		(void)strlcpy(ci->ci_app, app, sizeof(ci->ci_app));
	free(app);
	return ret;
}

static int
server_fields(json_t *doc, struct derp_server_info *si)
{
	json_t	*v[SI_N];

	if (ju_fields(doc, server_names, SI_N, v) == -1 ||
	    ju_int(v[SI_VERSION], INT64_MIN, INT64_MAX,
	    &si->si_version) == -1 ||
	    ju_int(v[SI_RATE], INT64_MIN, INT64_MAX, &si->si_rate) == -1 ||
	    ju_int(v[SI_BURST], INT64_MIN, INT64_MAX, &si->si_burst) == -1)
		return -1;
	return 0;
}

/* An object, or null. */
static json_t *
load(const void *text, size_t len)
{
	json_t	*doc;

	if ((doc = ju_load(text, len)) == NULL)
		return NULL;
	if (json_is_object(doc) || json_is_null(doc))
		return doc;
	json_decref(doc);
	return NULL;
}

int
derp_client_info_parse(const void *text, size_t len,
    struct derp_client_info *ci)
{
	json_t	*doc;
	int	 ret = 0;

	memset(ci, 0, sizeof(*ci));
	if ((doc = load(text, len)) == NULL ||
	    (json_is_object(doc) && client_fields(doc, ci) == -1))
		ret = -1;
	json_decref(doc);
	if (ret == -1) {
		explicit_bzero(ci, sizeof(*ci));
		errno = EINVAL;
	}
	return ret;
}

int
derp_server_info_parse(const void *text, size_t len,
    struct derp_server_info *si)
{
	json_t	*doc;
	int	 ret = 0;

	memset(si, 0, sizeof(*si));
	if ((doc = load(text, len)) == NULL ||
	    (json_is_object(doc) && server_fields(doc, si) == -1))
		ret = -1;
	json_decref(doc);
	if (ret == -1)
		errno = EINVAL;
	return ret;
}

static ssize_t
printed(int n, size_t size)
{
	if (n >= 0 && (size_t)n < size)
		return n;
	errno = ENOSPC;
	return -1;
}

/* Names of programs are written as they are: none needs an escape. */
static int
app_ok(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~' || strchr("\"\\<>&", *s) != NULL)
			return 0;
	return 1;
}

ssize_t
derp_client_info_print(const struct derp_client_info *ci, char *buf,
    size_t size)
{
	char	 mesh[192] = "", key[KEY_TEXT_MAX];
	int	 app, n;

	if (!app_ok(ci->ci_app)) {
		errno = EINVAL;
		return -1;
	}
	if (!key_is_zero(ci->ci_mesh_key, DERP_KEY_LEN)) {
		(void)key_print(KEY_DERP_MESH, ci->ci_mesh_key, key,
		    sizeof(key));
		(void)snprintf(mesh, sizeof(mesh), "\"meshKey\":\"%s\",",
		    key);
		explicit_bzero(key, sizeof(key));
	}
	app = ci->ci_app[0] != '\0';
	n = snprintf(buf, size, "{%s\"version\":%lld,\"CanAckPings\":%s"
	    "%s%s%s%s}", mesh, (long long)ci->ci_version,
	    ci->ci_can_ack_pings ? "true" : "false",
	    ci->ci_prober ? ",\"IsProber\":true" : "",
	    app ? ",\"AppName\":\"" : "", ci->ci_app, app ? "\"" : "");
	explicit_bzero(mesh, sizeof(mesh));
	return printed(n, size);
}

ssize_t
derp_server_info_print(const struct derp_server_info *si, char *buf,
    size_t size)
{
	char	 rate[64] = "", burst[64] = "";

	if (si->si_rate != 0)
		(void)snprintf(rate, sizeof(rate),
		    ",\"TokenBucketBytesPerSecond\":%lld",
		    (long long)si->si_rate);
	if (si->si_burst != 0)
		(void)snprintf(burst, sizeof(burst),
		    ",\"TokenBucketBytesBurst\":%lld",
		    (long long)si->si_burst);
	return printed(snprintf(buf, size, "{\"version\":%lld%s%s}",
	    (long long)si->si_version, rate, burst), size);
}
