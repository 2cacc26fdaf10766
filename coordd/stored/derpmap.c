/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The map of relays: checked, since clients fail on a bad one as a whole.
 * Source: control.md 4.9.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "jsonutil.h"
#include "log.h"
#include "stored.h"

#define REGION_MAX	65535		/* what home regions are kept in */

__attribute__((__format__ (printf, 3, 4))) static int
wrong(char **why, const char *name, const char *fmt, ...)
{
	char	 text[256];
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (asprintf(why, "%s%s", name, text) == -1)
		fatal(NULL);
	return -1;
}

static int
is_text(json_t *obj, const char *name)
{
	json_t	*v = json_object_get(obj, name);

	return json_is_string(v) && json_string_length(v) > 0;
}

/* Absent is fine. */
static int
is_port(json_t *obj, const char *name, int least)
{
	json_t	*v = json_object_get(obj, name);

	return v == NULL || (json_is_integer(v) &&
	    json_integer_value(v) >= least &&
	    json_integer_value(v) <= UINT16_MAX);
}

static int
node_check(json_t *n, json_int_t id, size_t i, const char *name, char **why)
{
	if (!json_is_object(n))
		return wrong(why, name, ": region %lld: node %zu is no object",
		    (long long)id, i + 1);
	if (!is_text(n, "Name") || !is_text(n, "HostName"))
		return wrong(why, name, ": region %lld: node %zu has no Name "
		    "or no HostName", (long long)id, i + 1);
	if (json_integer_value(json_object_get(n, "RegionID")) != id)
		return wrong(why, name, ": region %lld: node %zu has another "
		    "RegionID", (long long)id, i + 1);
	if (!is_port(n, "DERPPort", 0) || !is_port(n, "STUNPort", -1))
		return wrong(why, name, ": region %lld: node %zu has a bad "
		    "port", (long long)id, i + 1);
	return 0;
}

static int
region_check(const char *key, json_t *r, const char *name, char **why)
{
	json_t		*nodes, *n;
	json_int_t	 id;
	size_t		 i;
	char		 text[24];

	id = json_integer_value(json_object_get(r, "RegionID"));
	(void)snprintf(text, sizeof(text), "%lld", (long long)id);
	if (!json_is_object(r) || strcmp(text, key) != 0)
		return wrong(why, name, ": region \"%.32s\": its RegionID is "
		    "not the same", key);
	if (id < 1 || id > REGION_MAX)
		return wrong(why, name, ": region %lld: not between 1 and %d",
		    (long long)id, REGION_MAX);
	if (!is_text(r, "RegionCode"))
		return wrong(why, name, ": region %lld has no RegionCode",
		    (long long)id);
	nodes = json_object_get(r, "Nodes");
	if (!json_is_array(nodes))
		return wrong(why, name, ": region %lld has no Nodes",
		    (long long)id);
	json_array_foreach(nodes, i, n)
		if (node_check(n, id, i, name, why) == -1)
			return -1;
	return 0;
}

static json_t *
map_read(const char *name, const char *text, size_t len, char **why)
{
	json_error_t	 error;
	const char	*key;
	json_t		*map, *r, *regions;

	if ((map = ju_load(text, len)) == NULL) {
		map = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
		json_decref(map);
		(void)wrong(why, name, ":%d: %s", map == NULL ? error.line : 1,
		    map == NULL ? error.text : "too long or too deep");
		return NULL;
	}
	regions = json_object_get(map, "Regions");
	if (!json_is_object(regions)) {
		(void)wrong(why, name, ": not a JSON object with Regions");
		goto bad;
	}
	json_object_foreach(regions, key, r)
		if (region_check(key, r, name, why) == -1)
			goto bad;
	return map;
bad:
	json_decref(map);
	return NULL;
}

/* Before 115 a region that is no home was one to avoid. 1: there are some. */
static int
map_age(json_t *map)
{
	const char	*key;
	json_t		*r;
	int		 n = 0;

	json_object_foreach(json_object_get(map, "Regions"), key, r)
		if (json_is_true(json_object_get(r, "NoMeasureNoHome"))) {
			if (json_object_set_new(r, "Avoid", json_true()) == -1)
				fatal(NULL);
			n = 1;
		}
	return n;
}

static char *
dump(json_t *map)
{
	char	*text;

	if ((text = ju_dump(map)) == NULL)
		fatal(NULL);
	return text;
}

int
derpmap_add(struct sconf *c, const char *name, const char *text, size_t len,
    char **why)
{
	json_t	*base, *map;

	if ((map = map_read(name, text, len, why)) == NULL)
		return -1;
	if (c->c_derpmap != NULL) {
		base = ju_load(c->c_derpmap, strlen(c->c_derpmap));
		if (base == NULL || json_object_update(json_object_get(base,
		    "Regions"), json_object_get(map, "Regions")) == -1)
			fatal(NULL);
		json_decref(map);
		map = base;
	}
	/* Ours is all there is, unless the file wants the others too. */
	if (json_object_get(map, "omitDefaultRegions") == NULL &&
	    json_object_set_new(map, "omitDefaultRegions", json_true()) == -1)
		fatal(NULL);
	free(c->c_derpmap);
	free(c->c_derpmap_old);
	c->c_derpmap = dump(map);
	c->c_derpmap_old = map_age(map) ? dump(map) : NULL;
	json_decref(map);
	return 0;
}
