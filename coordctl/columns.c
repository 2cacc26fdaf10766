/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What stands in which column of a table.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "coordctl.h"

static char	 colbuf[1024];

/* A string for the terminal: hosts name themselves as they like. */
static void
value_string(const char *s, char *buf, size_t len)
{
	(void)strlcpy(buf, s, len);
	for (; *buf != '\0'; buf++)
		if ((unsigned char)*buf < ' ' || *buf == 0x7f)
			*buf = '?';
}

/* A list, comma between. */
static void
value_list(json_t *j, char *buf, size_t len)
{
	char	 one[256];
	json_t	*e;
	size_t	 i;

	buf[0] = '\0';
	json_array_foreach(j, i, e) {
		(void)strlcat(buf, i == 0 ? "" : ",", len);
		if (json_is_string(e)) {
			value_string(json_string_value(e), one, sizeof(one));
			(void)strlcat(buf, one, len);
		}
	}
}

/* Any value as text for a person. */
const char *
column_value(json_t *j, char *buf, size_t len)
{
	switch (j == NULL ? JSON_NULL : json_typeof(j)) {
	case JSON_STRING:
		value_string(json_string_value(j), buf, len);
		break;
	case JSON_INTEGER:
		snprintf(buf, len, "%lld", (long long)json_integer_value(j));
		break;
	case JSON_REAL:
		snprintf(buf, len, "%g", json_real_value(j));
		break;
	case JSON_TRUE:
		(void)strlcpy(buf, "yes", len);
		break;
	case JSON_FALSE:
		(void)strlcpy(buf, "no", len);
		break;
	case JSON_ARRAY:
		value_list(j, buf, len);
		break;
	default:
		(void)strlcpy(buf, "", len);
		break;
	}
	return buf;
}

static const char *
col(json_t *row, const char *key)
{
	column_value(json_object_get(row, key), colbuf, sizeof(colbuf));
	return colbuf[0] == '\0' ? "-" : colbuf;
}

/* "2026-11-22T17:24:05Z" to the minute. */
static const char *
col_time(json_t *row, const char *key, const char *never)
{
	const char	*s;

	if ((s = json_string_value(json_object_get(row, key))) == NULL ||
	    strlen(s) < 16)
		return never;
	snprintf(colbuf, sizeof(colbuf), "%.10s %.5s", s, s + 11);
	return colbuf;
}

static const char *
col_id(json_t *row)
{
	return col(row, "id");
}

static const char *
col_name(json_t *row)
{
	return col(row, "name");
}

static const char *
col_code(json_t *row)
{
	return col(row, "code");
}

static const char *
col_role(json_t *row)
{
	return col(row, "role");
}

static const char *
col_nodes(json_t *row)
{
	return col(row, "nodes");
}

static const char *
col_homes(json_t *row)
{
	return col(row, "homes");
}

static const char *
col_created(json_t *row)
{
	return col_time(row, "created", "-");
}

static const char *
col_prefix(json_t *row)
{
	return col(row, "prefix");
}

static const char *
col_expiry(json_t *row)
{
	return col_time(row, "expiry", "never");
}

/* Whose it is: tags come before a user. */
static const char *
col_owner(json_t *row)
{
	if (json_array_size(json_object_get(row, "tags")) > 0)
		return col(row, "tags");
	return col(row, "user");
}

static const char *
col_address(json_t *row)
{
	column_value(json_array_get(json_object_get(row, "addresses"), 0),
	    colbuf, sizeof(colbuf));
	return colbuf[0] == '\0' ? "-" : colbuf;
}

static const char *
col_state(json_t *row)
{
	json_t	*approved;

	approved = json_object_get(row, "approved");
	if (approved != NULL && json_is_false(approved))
		return "waits";
	if (json_is_true(json_object_get(row, "expired")))
		return "expired";
	if (json_is_true(json_object_get(row, "wireguard")))
		return "static";
	return json_is_true(json_object_get(row, "online")) ? "online" :
	    "offline";
}

static const char *
col_seen(json_t *row)
{
	return json_is_true(json_object_get(row, "online")) ? "now" :
	    col_time(row, "last_seen", "-");
}

static const char *
col_flags(json_t *row)
{
	static const char *const names[] = {
		"revoked", "reusable", "ephemeral"
	};
	size_t	 i;

	/* How often it was used; once is enough for most. */
	colbuf[0] = '\0';
	if (json_integer_value(json_object_get(row, "used")) > 0 &&
	    !json_is_true(json_object_get(row, "reusable")))
		(void)strlcpy(colbuf, "used", sizeof(colbuf));
	for (i = 0; i < nitems(names); i++)
		if (json_is_true(json_object_get(row, names[i]))) {
			(void)strlcat(colbuf, colbuf[0] == '\0' ? "" : ",",
			    sizeof(colbuf));
			(void)strlcat(colbuf, names[i], sizeof(colbuf));
		}
	return colbuf[0] == '\0' ? "-" : colbuf;
}

static const char *
col_routes(json_t *row)
{
	return col(row, "routes");
}

static const char *
col_approved_routes(json_t *row)
{
	return col(row, "approved_routes");
}

static const char *
col_region(json_t *row)
{
	return col(row, "code");
}

static const char *
col_relay(json_t *row)
{
	return col(row, "name");
}

static const char *
col_ms(json_t *row, const char *key)
{
	json_t	*v = json_object_get(row, key);

	if (!json_is_real(v))
		return "-";
	snprintf(colbuf, sizeof(colbuf), "%.*f ms",
	    json_real_value(v) < 10 ? 2 : 1, json_real_value(v));
	return colbuf;
}

static const char *
col_derp_ms(json_t *row)
{
	return col_ms(row, "derp_ms");
}

static const char *
col_stun4_ms(json_t *row)
{
	return col_ms(row, "stun4_ms");
}

static const char *
col_stun6_ms(json_t *row)
{
	return col_ms(row, "stun6_ms");
}

static const char *
col_trouble(json_t *row)
{
	const char	*s = col(row, "trouble");

	return s[0] == '-' && s[1] == '\0' ? "good" : s;
}

const struct column	 columns_user[] = {
	{ "ID", col_id },
	{ "NAME", col_name },
	{ "ROLE", col_role },
	{ "NODES", col_nodes },
	{ "CREATED", col_created },
	{ NULL, NULL }
};

const struct column	 columns_key[] = {
	{ "ID", col_id },
	{ "PREFIX", col_prefix },
	{ "OWNER", col_owner },
	{ "EXPIRY", col_expiry },
	{ "STATE", col_flags },
	{ NULL, NULL }
};

const struct column	 columns_node[] = {
	{ "ID", col_id },
	{ "NAME", col_name },
	{ "OWNER", col_owner },
	{ "ADDRESS", col_address },
	{ "STATE", col_state },
	{ "SEEN", col_seen },
	{ NULL, NULL }
};

const struct column	 columns_routes[] = {
	{ "ID", col_id },
	{ "NAME", col_name },
	{ "ADVERTISED", col_routes },
	{ "APPROVED", col_approved_routes },
	{ NULL, NULL }
};

const struct column	 columns_derp[] = {
	{ "ID", col_id },
	{ "CODE", col_code },
	{ "NAME", col_name },
	{ "HOMES", col_homes },
	{ "NODES", col_nodes },
	{ NULL, NULL }
};

const struct column	 columns_probe[] = {
	{ "REGION", col_region },
	{ "RELAY", col_relay },
	{ "DERP", col_derp_ms },
	{ "STUN", col_stun4_ms },
	{ "STUN IPv6", col_stun6_ms },
	{ "RESULT", col_trouble },
	{ NULL, NULL }
};
