/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Administrators' verbs: the relays.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "jsonutil.h"
#include "log.h"
#include "stored.h"

static unsigned int
homes(struct brain *b, json_int_t id)
{
	struct node	*n;
	unsigned int	 k = 0;

	RB_FOREACH(n, nodes_id, &b->b_nodes)
		k += n->n_rec.r_derp == id;
	return k;
}

static void
region_row(struct adm *a, json_t *r)
{
	struct buf	 t = { NULL, 0, 0 };
	json_t		*n;
	json_int_t	 port, id;
	size_t		 i;
	char		 text[512];

	id = json_integer_value(json_object_get(r, "RegionID"));
	buf_fmt(&t, "{\"id\":%lld,\"code\":", (long long)id);
	buf_json(&t, json_string_value(json_object_get(r, "RegionCode")));
	buf_str(&t, ",\"name\":");
	buf_json(&t, hostinfo_string(r, "RegionName"));
	buf_str(&t, ",\"nodes\":[");
	json_array_foreach(json_object_get(r, "Nodes"), i, n) {
		port = json_integer_value(json_object_get(n, "DERPPort"));
		(void)snprintf(text, sizeof(text), "%.200s %.200s:%lld",
		    hostinfo_string(n, "Name"), hostinfo_string(n,
		    "HostName"), port == 0 ? 443LL : (long long)port);
		if (i > 0)
			buf_str(&t, ",");
		buf_json(&t, text);
	}
	buf_fmt(&t, "],\"homes\":%u}", homes(a->a_brain, id));
	adm_row(a, &t);
}

static void
relay_text(struct buf *t, const char *key, json_t *n, const char *name)
{
	buf_name(t, key);
	buf_json(t, hostinfo_string(n, name));
}

/* A port: 0 is the usual one, less than that is none. */
static long long
relay_port(json_t *n, const char *name, long long usual)
{
	long long	 v = json_integer_value(json_object_get(n, name));

	return v == 0 ? usual : v < 0 ? 0 : v;
}

static const char *
relay_flag(json_t *n, const char *name)
{
	return json_is_true(json_object_get(n, name)) ? "true" : "false";
}

static void
relay_rows(struct adm *a, json_t *r)
{
	struct buf	 t = { NULL, 0, 0 };
	json_t		*n;
	size_t		 i;

	json_array_foreach(json_object_get(r, "Nodes"), i, n) {
		buf_fmt(&t, "{\"region\":%lld", (long long)
		    json_integer_value(json_object_get(r, "RegionID")));
		relay_text(&t, "code", r, "RegionCode");
		relay_text(&t, "name", n, "Name");
		relay_text(&t, "host", n, "HostName");
		relay_text(&t, "ipv4", n, "IPv4");
		relay_text(&t, "ipv6", n, "IPv6");
		relay_text(&t, "cert", n, "CertName");
		buf_fmt(&t, ",\"port\":%lld,\"stun\":%lld,\"stun_only\":%s,"
		    "\"insecure\":%s}", relay_port(n, "DERPPort", 443),
		    relay_port(n, "STUNPort", 3478),
		    relay_flag(n, "STUNOnly"),
		    relay_flag(n, "InsecureForTests"));
		adm_row(a, &t);
	}
}

/* All regions of the DERP map, by one of the above. */
static int
derp_rows(struct adm *a, void (*show)(struct adm *, json_t *))
{
	static const char *const none[] = { NULL };
	const struct sconf	*c = &a->a_brain->b_conf;
	const char		*key;
	json_t			*map, *r;

	if (adm_only(a, none) == -1)
		return -1;
	if (c->c_derpmap == NULL)
		return 0;
	if ((map = ju_load(c->c_derpmap, strlen(c->c_derpmap))) == NULL)
		return adm_fail(a, 1, "the DERP map cannot be read");
	json_object_foreach(json_object_get(map, "Regions"), key, r)
		show(a, r);
	json_decref(map);
	return 0;
}

int
adm_derp_list(struct adm *a)
{
	return derp_rows(a, region_row);
}

int
adm_derp_probe(struct adm *a)
{
	return derp_rows(a, relay_rows);
}
