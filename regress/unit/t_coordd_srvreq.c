/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Requests of nodes: vectors of the reference, and what must be refused.
 */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "srvreq.h"

static const struct {
	const char	*body;
	int		 ok;
} maps[] = {
	{ "", 0 },
	{ "[]", 0 },
	{ "null", 0 },
	{ "{}", 1 },
	{ "{\"Version\":145,\"Unknown\":[1]}", 1 },
	{ "{\"Version\":-1}", 0 },
	{ "{\"Version\":70000}", 0 },
	{ "{\"Version\":\"145\"}", 0 },
	{ "{\"NodeKey\":\"nodekey:00\"}", 0 },
	{ "{\"NodeKey\":null}", 1 },
	{ "{\"Endpoints\":[\"192.0.2.1:1\",\"[2001:db8::1]:2\"]}", 1 },
	{ "{\"Endpoints\":[\"192.0.2.1:1\"],\"EndpointTypes\":[1]}", 1 },
	{ "{\"Endpoints\":[\"192.0.2.1\"]}", 0 },
	{ "{\"Endpoints\":[\"192.0.2.1:\"]}", 0 },
	{ "{\"Endpoints\":[\"192.0.2.1:65536\"]}", 0 },
	{ "{\"Endpoints\":[\"192.0.2.1:-1\"]}", 0 },
	{ "{\"Endpoints\":[\"[]:1\"]}", 0 },
	{ "{\"Endpoints\":[\"[2001:db8::1:1\"]}", 0 },
	{ "{\"Endpoints\":[\"host.example.org:1\"]}", 0 },
	{ "{\"Endpoints\":[7]}", 0 },
	{ "{\"Endpoints\":[null]}", 0 },
	{ "{\"Endpoints\":{}}", 0 },
	{ "{\"Endpoints\":[\"192.0.2.1:1\"],\"EndpointTypes\":7}", 0 },
	{ "{\"Endpoints\":[\"192.0.2.1:1\"],\"EndpointTypes\":[\"a\"]}", 0 },
	{ "{\"Hostinfo\":null}", 1 },
	{ "{\"Hostinfo\":[]}", 0 },
	{ "{\"Hostinfo\":{\"OS\":1}}", 1 },
	{ "{\"Stream\":\"true\"}", 0 },
	{ "{\"Stream\":true,\"stream\":false}", 1 },
	{ "{\"Version\":145", 0 },
	{ "{\"Version\":145}}", 0 },
};

static const char *
str(json_t *fields, const char *name)
{
	const char	*s;

	if ((s = json_string_value(json_object_get(fields, name))) == NULL)
		errx(1, "vector without %s", name);
	return s;
}

static void
check_key(const char *name, const uint8_t key[32], const char *want)
{
	char	 buf[JU_KEYTEXT];

	ju_key_text("nodekey:", key, buf, sizeof(buf));
	if (strcmp(buf, want) != 0)
		errx(1, "%s: key %s", name, buf);
}

static void
check_register(const char *name, const char *body, json_t *f)
{
	struct srvreq_register	 sr;
	char			 t[JU_TIMETEXT];
	json_t			*hi;

	if (srvreq_register_parse(body, strlen(body), &sr) == -1)
		err(1, "%s", name);
	check_key(name, sr.sr_node, str(f, "node_key"));
	check_key(name, sr.sr_oldnode, str(f, "old_node_key"));
	if (strcmp(sr.sr_authkey, str(f, "auth_key")) != 0 ||
	    strcmp(sr.sr_followup, str(f, "followup")) != 0 ||
	    sr.sr_version !=
	    json_integer_value(json_object_get(f, "version")) ||
	    sr.sr_ephemeral != json_is_true(json_object_get(f, "ephemeral")))
		errx(1, "%s: a field differs", name);
	ju_time_format(&sr.sr_expiry, t, sizeof(t));
	if (strcmp(t, str(f, "expiry")) != 0)
		errx(1, "%s: expiry %s", name, t);
	if (sr.sr_hostinfo != NULL) {
		hi = json_loads(sr.sr_hostinfo, 0, NULL);
		if (hi == NULL || json_object_get(hi, "BackendLogID") != NULL ||
		    strcmp(str(hi, "Hostname"), str(f, "hostname")) != 0)
			errx(1, "%s: hostinfo %s", name, sr.sr_hostinfo);
		json_decref(hi);
	}
	srvreq_register_free(&sr);
}

static void
vectors(void)
{
	const char	*dir;
	char		 path[1024];
	json_t		*doc, *c;
	size_t		 i, n, left;

	if ((dir = getenv("VECTORS")) == NULL)
		dir = "../vectors";
	snprintf(path, sizeof(path), "%s/register.json", dir);
	if ((doc = json_load_file(path, 0, NULL)) == NULL)
		errx(1, "%s: cannot read", path);
	n = left = 0;
	json_array_foreach(json_object_get(doc, "cases"), i, c) {
		if (strcmp(str(c, "kind"), "request") != 0) {
			left++;
			continue;
		}
		check_register(str(c, "name"), str(c, "json"),
		    json_object_get(c, "fields"));
		n++;
	}
	json_decref(doc);
	if (n == 0)
		errx(1, "%s: no request", path);
	printf("coordd_srvreq: %zu cases (%zu answers left to the client's "
	    "test)\n", n, left);
}

static void
bounds(void)
{
	struct srvreq_map	 sm;
	struct srvreq_register	 sr;
	char			*big;
	size_t			 len;

	len = SRVREQ_MAX_BODY + 1;
	if ((big = malloc(len)) == NULL)
		err(1, NULL);
	memset(big, ' ', len);
	memcpy(big, "{}", 2);
	if (srvreq_map_parse(big, len, &sm) != -1)
		errx(1, "too long a body was read");
	if (srvreq_map_parse(big, len - 1, &sm) == -1)
		errx(1, "the longest body was refused");
	srvreq_map_free(&sm);
	memset(big, '[', len);
	memcpy(big, "{\"Hostinfo\":", 12);
	if (srvreq_register_parse(big, len - 1, &sr) != -1)
		errx(1, "too deep a body was read");
	free(big);
}

static void
endpoints(void)
{
	static const char	 body[] = "{\"Endpoints\":[\"192.0.2.1:1\","
	    "\"[2001:db8::1]:65535\"],\"EndpointTypes\":[2],"
	    "\"Compress\":\"zstd\",\"Stream\":true}";
	struct srvreq_map	 sm;

	if (srvreq_map_parse(body, strlen(body), &sm) == -1)
		err(1, "endpoints");
	if (sm.sm_nendpoints != 2 || sm.sm_has_endpoints != 1 ||
	    sm.sm_endpoints[0].se_af != 4 || sm.sm_endpoints[0].se_type != 2 ||
	    sm.sm_endpoints[0].se_addr[0] != 192 ||
	    sm.sm_endpoints[1].se_af != 6 || sm.sm_endpoints[1].se_type != 0 ||
	    sm.sm_endpoints[1].se_port != 65535 ||
	    sm.sm_zstd != 1 || sm.sm_stream != 1)
		errx(1, "endpoints: wrong");
	srvreq_map_free(&sm);
}

int
main(void)
{
	struct srvreq_map	 sm;
	size_t			 i;
	int			 ok;

	for (i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		ok = srvreq_map_parse(maps[i].body, strlen(maps[i].body),
		    &sm) == 0;
		if (ok != maps[i].ok)
			errx(1, "%s: %s", maps[i].body,
			    ok ? "was read" : "was refused");
		srvreq_map_free(&sm);
	}
	bounds();
	endpoints();
	vectors();
	return 0;
}
