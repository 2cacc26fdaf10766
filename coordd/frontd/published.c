/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What everybody may know of the relays: the DERP map, for tools that probe
 * it, and the addresses that it names, for who has no DNS yet. stored tells
 * them once; who asks costs it nothing.
 * Source: control.md 5.4.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "frontd.h"
#include "jsonutil.h"

static struct buf	 coming;		/* not all of it is here */
static char		*map, *names;		/* NULL: there are no relays */

static void
names_add(json_t *all, json_t *node, const char *family)
{
	const char	*host, *ip;
	json_t		*list;

	host = json_string_value(json_object_get(node, "HostName"));
	ip = json_string_value(json_object_get(node, family));
	if (host == NULL || ip == NULL || strcmp(ip, "none") == 0)
		return;
	if ((list = json_object_get(all, host)) == NULL) {
		list = json_array();
		if (json_object_set_new(all, host, list) == -1)
			fatal(NULL);
	}
	if (json_array_append_new(list, json_string(ip)) == -1)
		fatal(NULL);
}

static char *
names_of(json_t *m)
{
	const char	*key;
	json_t		*all, *n, *r;
	char		*text;
	size_t		 i;

	if ((all = json_object()) == NULL)
		fatal(NULL);
	json_object_foreach(json_object_get(m, "Regions"), key, r)
		json_array_foreach(json_object_get(r, "Nodes"), i, n) {
			names_add(all, n, "IPv4");
			names_add(all, n, "IPv6");
		}
	if ((text = ju_dump(all)) == NULL)
		fatal(NULL);
	json_decref(all);
	return text;
}

static void
published_set(void)
{
	json_t	*m;

	free(map);
	free(names);
	map = names = NULL;
	if ((m = ju_load(buf_data(&coming), coming.b_len)) == NULL)
		return;
	if ((map = ju_dump(m)) == NULL)
		fatal(NULL);
	names = names_of(m);
	json_decref(m);
}

int
published_take(struct imsg *imsg)
{
	struct msg_web_map	 m;
	const uint8_t		*data;

	if (msg_list(imsg, &m, sizeof(m), &data) == -1 ||
	    msg_list_ok(imsg, sizeof(m), m.len, 1) == -1 ||
	    m.len > WEB_MAP_MAX - coming.b_len)
		return -1;
	buf_add(&coming, data, m.len);
	if (m.last) {
		published_set();
		buf_free(&coming);
	}
	return 0;
}

void
published_forget(void)
{
	buf_free(&coming);
}

static void
answer(struct conn *c, const char *text)
{
	static const char	 fields[] = "Cache-Control: max-age=60\r\n"
				    "Access-Control-Allow-Origin: *\r\n";

	conn_answer(c, 200, "application/json", fields, text, strlen(text));
}

void
published_map(struct conn *c)
{
	answer(c, map == NULL ? "{\"Regions\":{}}" : map);
}

void
published_names(struct conn *c)
{
	answer(c, names == NULL ? "{}" : names);
}
