/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The store's tables of users and pre-auth keys.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "log.h"
#include "stored.h"

int
store_user_put(struct store *st, struct user *u)
{
	sqlite3_stmt	*s;

	s = store_stmt(st, u->u_id == 0 ? SQL_USER_INSERT : SQL_USER_UPDATE);
	if (u->u_id != 0)
		(void)sqlite3_bind_int64(s, 1, (int64_t)u->u_id);
	(void)sqlite3_bind_text(s, 2, u->u_name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 3, u->u_display, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 4, u->u_role);
	(void)sqlite3_bind_int64(s, 5, u->u_created);
	if (store_step(st, s) == -1)
		return -1;
	if (u->u_id == 0)
		u->u_id = (uint64_t)store_rowid(st);
	return 0;
}

int
store_user_delete(struct store *st, uint64_t id)
{
	sqlite3_stmt	*s;

	s = store_stmt(st, SQL_USER_DELETE);
	(void)sqlite3_bind_int64(s, 1, (int64_t)id);
	return store_step(st, s);
}

int
store_user_each(struct store *st, int (*fn)(void *, struct user *),
    void *arg)
{
	struct user	*u;
	sqlite3_stmt	*s;
	int		 rc;

	s = store_stmt(st, SQL_USER_ALL);
	while ((rc = store_step(st, s)) == 1) {
		u = xcalloc(1, sizeof(*u));
		u->u_id = (uint64_t)sqlite3_column_int64(s, 0);
		u->u_name = xstrdup((const char *)sqlite3_column_text(s, 1));
		u->u_display =
		    xstrdup((const char *)sqlite3_column_text(s, 2));
		u->u_role = (uint32_t)sqlite3_column_int64(s, 3);
		u->u_created = sqlite3_column_int64(s, 4);
		if (fn(arg, u) == -1)
			return -1;
	}
	return rc;
}

int
store_authkey_put(struct store *st, struct authkey *k)
{
	sqlite3_stmt	*s;
	size_t		 i;

	s = store_stmt(st, SQL_KEY_INSERT);
	(void)sqlite3_bind_text(s, 1, k->k_prefix, -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(s, 2, k->k_hash, sizeof(k->k_hash),
	    SQLITE_STATIC);
	if (k->k_user != 0)
		(void)sqlite3_bind_int64(s, 3, (int64_t)k->k_user);
	(void)sqlite3_bind_int(s, 4, k->k_reusable);
	(void)sqlite3_bind_int(s, 5, k->k_ephemeral);
	(void)sqlite3_bind_int64(s, 6, k->k_created);
	if (k->k_expiry != 0)
		(void)sqlite3_bind_int64(s, 7, k->k_expiry);
	if (store_step(st, s) == -1)
		return -1;
	k->k_id = (uint64_t)store_rowid(st);
	for (i = 0; i < k->k_ntags; i++) {
		s = store_stmt(st, SQL_KEYTAG_ADD);
		(void)sqlite3_bind_int64(s, 1, (int64_t)k->k_id);
		(void)sqlite3_bind_text(s, 2, k->k_tags[i], -1,
		    SQLITE_STATIC);
		if (store_step(st, s) == -1)
			return -1;
	}
	return 0;
}

int
store_authkey_revoke(struct store *st, uint64_t id, int64_t date)
{
	sqlite3_stmt	*s;

	s = store_stmt(st, SQL_KEY_REVOKE);
	(void)sqlite3_bind_int64(s, 1, (int64_t)id);
	(void)sqlite3_bind_int64(s, 2, date);
	return store_step(st, s);
}

int
store_authkey_use(struct store *st, uint64_t id, int64_t date)
{
	sqlite3_stmt	*s;

	s = store_stmt(st, SQL_KEY_USE);
	(void)sqlite3_bind_int64(s, 1, (int64_t)id);
	(void)sqlite3_bind_int64(s, 2, date);
	if (store_step(st, s) == -1)
		return -1;
	return store_changes(st) == 1;
}

static int
authkey_tags(struct store *st, struct authkey *k)
{
	sqlite3_stmt	*s;
	int		 rc;

	k->k_tags = xcalloc(NODE_MAX_TAGS, sizeof(*k->k_tags));
	s = store_stmt(st, SQL_KEYTAG_ALL);
	(void)sqlite3_bind_int64(s, 1, (int64_t)k->k_id);
	while ((rc = store_step(st, s)) == 1)
		if (k->k_ntags < NODE_MAX_TAGS)
			k->k_tags[k->k_ntags++] = xstrdup((const char *)
			    sqlite3_column_text(s, 0));
	return rc;
}

int
store_authkey_each(struct store *st, int (*fn)(void *, struct authkey *),
    void *arg)
{
	const char	*prefix;
	struct authkey	*k;
	sqlite3_stmt	*s;
	int		 rc;

	s = store_stmt(st, SQL_KEY_ALL);
	while ((rc = store_step(st, s)) == 1) {
		prefix = (const char *)sqlite3_column_text(s, 1);
		if (sqlite3_column_bytes(s, 2) != sizeof(k->k_hash))
			continue;
		k = xcalloc(1, sizeof(*k));
		k->k_id = (uint64_t)sqlite3_column_int64(s, 0);
		(void)strlcpy(k->k_prefix, prefix, sizeof(k->k_prefix));
		memcpy(k->k_hash, sqlite3_column_blob(s, 2),
		    sizeof(k->k_hash));
		k->k_user = (uint64_t)sqlite3_column_int64(s, 3);
		k->k_reusable = sqlite3_column_int(s, 4) != 0;
		k->k_ephemeral = sqlite3_column_int(s, 5) != 0;
		k->k_used = (uint64_t)sqlite3_column_int64(s, 6);
		k->k_created = sqlite3_column_int64(s, 7);
		k->k_expiry = sqlite3_column_int64(s, 8);
		k->k_revoked = sqlite3_column_int64(s, 9);
		if (authkey_tags(st, k) == -1 || fn(arg, k) == -1)
			return -1;
	}
	return rc;
}
