/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The store's table of nodes, with their tags and routes.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "keys.h"
#include "log.h"
#include "stored.h"

static void
bind_text(sqlite3_stmt *s, int i, const char *text)
{
	if (text != NULL)
		(void)sqlite3_bind_text(s, i, text, -1, SQLITE_TRANSIENT);
}

/* NULL where it is not set: "none" never travels as a value. */
static void
bind_blob(sqlite3_stmt *s, int i, const void *data, size_t len, int set)
{
	if (set)
		(void)sqlite3_bind_blob(s, i, data, (int)len,
		    SQLITE_TRANSIENT);
}

static void
bind_key(sqlite3_stmt *s, int i, const uint8_t *key)
{
	bind_blob(s, i, key, MSG_KEY_LEN, !key_is_zero(key, MSG_KEY_LEN));
}

static void
bind_date(sqlite3_stmt *s, int i, int64_t date)
{
	if (date != 0)
		(void)sqlite3_bind_int64(s, i, date);
}

static void
bind_id(sqlite3_stmt *s, int i, uint64_t id)
{
	if (id != 0)
		(void)sqlite3_bind_int64(s, i, (int64_t)id);
}

/* One line for each endpoint: its type, then addr:port. */
static void
bind_endpoints(sqlite3_stmt *s, int i, const struct noderec *r)
{
	struct buf	 b = { NULL, 0, 0 };
	char		 text[ADDR_TEXT];
	size_t		 k;

	for (k = 0; k < r->r_nendpoints; k++) {
		endpoint_print(&r->r_endpoints[k], text, sizeof(text));
		buf_fmt(&b, "%u %s\n", r->r_endpoints[k].type, text);
	}
	bind_text(s, i, b.b_text);
	buf_free(&b);
}

static void
node_bind(sqlite3_stmt *s, const struct noderec *r)
{
	bind_id(s, 1, r->r_id);
	bind_id(s, 2, r->r_user);
	bind_id(s, 3, r->r_authkey);
	bind_key(s, 4, r->r_machine);
	bind_blob(s, 5, r->r_key, MSG_KEY_LEN, 1);
	bind_key(s, 6, r->r_nl);
	bind_key(s, 7, r->r_disco);
	bind_text(s, 8, r->r_label);
	(void)sqlite3_bind_int(s, 9, r->r_given);
	bind_text(s, 10, r->r_hostname);
	bind_blob(s, 11, r->r_addr4, 4, r->r_has4);
	bind_blob(s, 12, r->r_addr6, 16, r->r_has6);
	bind_blob(s, 13, r->r_masq4, 4, r->r_hasmasq4);
	bind_blob(s, 14, r->r_masq6, 16, r->r_hasmasq6);
	(void)sqlite3_bind_int(s, 15, r->r_ephemeral);
	(void)sqlite3_bind_int(s, 16, r->r_approved);
	(void)sqlite3_bind_int(s, 17, r->r_wgonly);
	(void)sqlite3_bind_int(s, 18, r->r_online);
	(void)sqlite3_bind_int(s, 19, r->r_cap);
	(void)sqlite3_bind_int(s, 20, r->r_derp);
	(void)sqlite3_bind_int64(s, 21, r->r_created);
	bind_date(s, 22, r->r_expiry);
	bind_date(s, 23, r->r_last_seen);
	bind_text(s, 24, r->r_hostinfo);
	bind_text(s, 25, r->r_netinfo);
	bind_endpoints(s, 26, r);
}

static int
node_put_lists(struct store *st, const struct noderec *r)
{
	sqlite3_stmt	*s;
	char		 text[ADDR_TEXT];
	size_t		 i;

	s = store_stmt(st, SQL_TAG_CLEAR);
	bind_id(s, 1, r->r_id);
	if (store_step(st, s) == -1)
		return -1;
	s = store_stmt(st, SQL_ROUTE_CLEAR);
	bind_id(s, 1, r->r_id);
	if (store_step(st, s) == -1)
		return -1;
	for (i = 0; i < r->r_ntags; i++) {
		s = store_stmt(st, SQL_TAG_ADD);
		bind_id(s, 1, r->r_id);
		bind_text(s, 2, r->r_tags[i]);
		if (store_step(st, s) == -1)
			return -1;
	}
	for (i = 0; i < r->r_napproved; i++) {
		route_print(&r->r_approved_routes[i], text, sizeof(text));
		s = store_stmt(st, SQL_ROUTE_ADD);
		bind_id(s, 1, r->r_id);
		bind_text(s, 2, text);
		if (store_step(st, s) == -1)
			return -1;
	}
	return 0;
}

int
store_node_put(struct store *st, struct noderec *r)
{
	sqlite3_stmt	*s;

	s = store_stmt(st, r->r_id == 0 ? SQL_NODE_INSERT : SQL_NODE_UPDATE);
	node_bind(s, r);
	if (store_step(st, s) == -1)
		return -1;
	if (r->r_id == 0)
		r->r_id = (uint64_t)store_rowid(st);
	return node_put_lists(st, r);
}

int
store_node_touch(struct store *st, const struct noderec *r)
{
	sqlite3_stmt	*s;

	s = store_stmt(st, SQL_NODE_TOUCH);
	bind_id(s, 1, r->r_id);
	bind_key(s, 2, r->r_disco);
	(void)sqlite3_bind_int(s, 3, r->r_online);
	(void)sqlite3_bind_int(s, 4, r->r_cap);
	(void)sqlite3_bind_int(s, 5, r->r_derp);
	bind_date(s, 6, r->r_last_seen);
	bind_text(s, 7, r->r_hostinfo);
	bind_text(s, 8, r->r_netinfo);
	bind_endpoints(s, 9, r);
	bind_text(s, 10, r->r_hostname);
	return store_step(st, s);
}

int
store_node_delete(struct store *st, uint64_t id)
{
	sqlite3_stmt	*s;

	s = store_stmt(st, SQL_NODE_DELETE);
	bind_id(s, 1, id);
	return store_step(st, s);
}

static int
get_blob(sqlite3_stmt *s, int i, uint8_t *out, size_t len)
{
	if (sqlite3_column_type(s, i) != SQLITE_BLOB ||
	    sqlite3_column_bytes(s, i) != (int)len)
		return 0;
	memcpy(out, sqlite3_column_blob(s, i), len);
	return 1;
}

static char *
get_text(sqlite3_stmt *s, int i)
{
	return xstrdup((const char *)sqlite3_column_text(s, i));
}

static void
get_endpoints(sqlite3_stmt *s, int i, struct noderec *r)
{
	struct msg_endpoint	 eps[NODE_MAX_ENDPOINTS];
	char			*text, *line, *next;
	size_t			 n = 0;

	if ((text = get_text(s, i)) == NULL)
		return;
	for (next = text; n < NODE_MAX_ENDPOINTS &&
	    (line = strsep(&next, "\n")) != NULL;) {
		if (line[0] < '0' || line[0] > '5' || line[1] != ' ' ||
		    endpoint_parse(line + 2, &eps[n]) == -1)
			continue;
		eps[n++].type = (uint8_t)(line[0] - '0');
	}
	r->r_endpoints = xmemdup(eps, n * sizeof(eps[0]));
	r->r_nendpoints = n;
	free(text);
}

static int
node_row(sqlite3_stmt *s, struct noderec *r)
{
	const char	*label;

	memset(r, 0, sizeof(*r));
	r->r_id = (uint64_t)sqlite3_column_int64(s, 0);
	r->r_user = (uint64_t)sqlite3_column_int64(s, 1);
	r->r_authkey = (uint64_t)sqlite3_column_int64(s, 2);
	(void)get_blob(s, 3, r->r_machine, MSG_KEY_LEN);
	if (!get_blob(s, 4, r->r_key, MSG_KEY_LEN))
		return -1;
	(void)get_blob(s, 5, r->r_nl, MSG_KEY_LEN);
	(void)get_blob(s, 6, r->r_disco, MSG_KEY_LEN);
	label = (const char *)sqlite3_column_text(s, 7);
	if (label == NULL || strlcpy(r->r_label, label,
	    sizeof(r->r_label)) >= sizeof(r->r_label))
		return -1;
	r->r_given = sqlite3_column_int(s, 8) != 0;
	r->r_hostname = get_text(s, 9);
	r->r_has4 = (uint8_t)get_blob(s, 10, r->r_addr4, 4);
	r->r_has6 = (uint8_t)get_blob(s, 11, r->r_addr6, 16);
	r->r_hasmasq4 = (uint8_t)get_blob(s, 12, r->r_masq4, 4);
	r->r_hasmasq6 = (uint8_t)get_blob(s, 13, r->r_masq6, 16);
	r->r_ephemeral = sqlite3_column_int(s, 14) != 0;
	r->r_approved = sqlite3_column_int(s, 15) != 0;
	r->r_wgonly = sqlite3_column_int(s, 16) != 0;
	r->r_online = sqlite3_column_int(s, 17) != 0;
	r->r_cap = (uint16_t)sqlite3_column_int(s, 18);
	r->r_derp = (uint16_t)sqlite3_column_int(s, 19);
	r->r_created = sqlite3_column_int64(s, 20);
	r->r_expiry = sqlite3_column_int64(s, 21);
	r->r_last_seen = sqlite3_column_int64(s, 22);
	r->r_hostinfo = get_text(s, 23);
	r->r_netinfo = get_text(s, 24);
	get_endpoints(s, 25, r);
	return 0;
}

static int
node_row_lists(struct store *st, struct noderec *r)
{
	struct policy_prefix	 routes[NODE_MAX_ROUTES];
	sqlite3_stmt		*s;
	char			*tags[NODE_MAX_TAGS];
	size_t			 i, n = 0;
	int			 rc;

	s = store_stmt(st, SQL_TAG_ALL);
	bind_id(s, 1, r->r_id);
	while ((rc = store_step(st, s)) == 1)
		if (n < NODE_MAX_TAGS)
			tags[n++] = get_text(s, 0);
	noderec_set_tags(r, tags, n);
	for (i = 0; i < n; i++)
		free(tags[i]);
	if (rc == -1)
		return -1;
	n = 0;
	s = store_stmt(st, SQL_ROUTE_ALL);
	bind_id(s, 1, r->r_id);
	while ((rc = store_step(st, s)) == 1)
		if (n < NODE_MAX_ROUTES && policy_prefix_parse((const char *)
		    sqlite3_column_text(s, 0), &routes[n]) == 0)
			n++;
	noderec_set_routes(r, routes, n);
	return rc;
}

int
store_node_each(struct store *st, int (*fn)(void *, struct noderec *),
    void *arg)
{
	struct noderec	 r;
	sqlite3_stmt	*s;
	int		 rc;

	s = store_stmt(st, SQL_NODE_ALL);
	while ((rc = store_step(st, s)) == 1) {
		if (node_row(s, &r) == -1) {
			log_warnx("store: node %llu is damaged, left out",
			    (unsigned long long)r.r_id);
			noderec_free(&r);
			continue;
		}
		if (node_row_lists(st, &r) == -1 || fn(arg, &r) == -1) {
			noderec_free(&r);
			return -1;
		}
	}
	return rc;
}
