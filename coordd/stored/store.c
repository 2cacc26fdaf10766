/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The SQLite store: opening, migrations, transactions, statements.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "log.h"
#include "stored.h"

struct store {
	sqlite3		*st_db;
	sqlite3_stmt	*st_stmt[SQL_MAX];
	int		 st_depth;	/* in a transaction */
};

/*
 * What brings a store from version i to i + 1. A step that was released is
 * never changed: another is added.
 */
static const char *const migrations[STORE_VERSION] = {
	/* 0 to 1 */
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE user ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" name TEXT NOT NULL UNIQUE COLLATE NOCASE,"
	" display TEXT NOT NULL, role INTEGER NOT NULL,"
	" created INTEGER NOT NULL);"
	"CREATE TABLE authkey ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" prefix TEXT NOT NULL UNIQUE, hash BLOB NOT NULL,"
	" user INTEGER REFERENCES user(id) ON DELETE CASCADE,"
	" reusable INTEGER NOT NULL, ephemeral INTEGER NOT NULL,"
	" used INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL,"
	" expiry INTEGER, revoked INTEGER);"
	"CREATE TABLE authkey_tag ("
	" authkey INTEGER NOT NULL REFERENCES authkey(id) ON DELETE CASCADE,"
	" tag TEXT NOT NULL, PRIMARY KEY (authkey, tag)) WITHOUT ROWID;"
	"CREATE TABLE node ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" user INTEGER REFERENCES user(id) ON DELETE RESTRICT,"
	" authkey INTEGER REFERENCES authkey(id) ON DELETE SET NULL,"
	" machine BLOB, key BLOB NOT NULL UNIQUE, nl BLOB, disco BLOB,"
	" label TEXT NOT NULL UNIQUE, given INTEGER NOT NULL,"
	" hostname TEXT, addr4 BLOB UNIQUE, addr6 BLOB UNIQUE,"
	" masq4 BLOB, masq6 BLOB, ephemeral INTEGER NOT NULL,"
	" approved INTEGER NOT NULL, wgonly INTEGER NOT NULL,"
	" online INTEGER NOT NULL, cap INTEGER NOT NULL,"
	" derp INTEGER NOT NULL, created INTEGER NOT NULL,"
	" expiry INTEGER, last_seen INTEGER,"
	" hostinfo TEXT, netinfo TEXT, endpoints TEXT);"
	"CREATE INDEX node_machine ON node (machine);"
	"CREATE TABLE node_tag ("
	" node INTEGER NOT NULL REFERENCES node(id) ON DELETE CASCADE,"
	" tag TEXT NOT NULL, PRIMARY KEY (node, tag)) WITHOUT ROWID;"
	"CREATE TABLE node_route ("
	" node INTEGER NOT NULL REFERENCES node(id) ON DELETE CASCADE,"
	" prefix TEXT NOT NULL, PRIMARY KEY (node, prefix))"
	" WITHOUT ROWID;",
	/* 1 to 2: who did what, written with what it tells of */
	"CREATE TABLE audit ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, date INTEGER NOT NULL,"
	" actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,"
	" detail TEXT);",
	/* 2 to 3: what nodes say of themselves; values are JSON */
	"CREATE TABLE node_attr ("
	" node INTEGER NOT NULL REFERENCES node(id) ON DELETE CASCADE,"
	" name TEXT NOT NULL, value TEXT NOT NULL,"
	" PRIMARY KEY (node, name)) WITHOUT ROWID;"
};

#define NODE_COLS \
	"user=?2, authkey=?3, machine=?4, key=?5, nl=?6, disco=?7," \
	" label=?8, given=?9, hostname=?10, addr4=?11, addr6=?12," \
	" masq4=?13, masq6=?14, ephemeral=?15, approved=?16, wgonly=?17," \
	" online=?18, cap=?19, derp=?20, created=?21, expiry=?22," \
	" last_seen=?23, hostinfo=?24, netinfo=?25, endpoints=?26"

static const char *const sql[SQL_MAX] = {
	[SQL_META_GET] = "SELECT value FROM meta WHERE name=?1",
	[SQL_META_SET] = "INSERT INTO meta (name, value) VALUES (?1, ?2)"
	    " ON CONFLICT (name) DO UPDATE SET value=?2",
	[SQL_ATTR_SET] = "INSERT INTO node_attr (node, name, value)"
	    " VALUES (?1, ?2, ?3)"
	    " ON CONFLICT (node, name) DO UPDATE SET value=?3",
	[SQL_ATTR_DELETE] =
	    "DELETE FROM node_attr WHERE node=?1 AND name=?2",
	[SQL_ATTR_COUNT] = "SELECT count(*) FROM node_attr WHERE node=?1",
	[SQL_ATTR_ALL] = "SELECT name, value FROM node_attr WHERE node=?1",
	[SQL_AUDIT] = "INSERT INTO audit (date, actor, action, target,"
	    " detail) VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_NODE_INSERT] = "INSERT INTO node (id, user, authkey, machine,"
	    " key, nl, disco, label, given, hostname, addr4, addr6, masq4,"
	    " masq6, ephemeral, approved, wgonly, online, cap, derp,"
	    " created, expiry, last_seen, hostinfo, netinfo, endpoints)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
	    " ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,"
	    " ?25, ?26)",
	[SQL_NODE_UPDATE] = "UPDATE node SET " NODE_COLS " WHERE id=?1",
	[SQL_NODE_TOUCH] = "UPDATE node SET disco=?2, online=?3, cap=?4,"
	    " derp=?5, last_seen=?6, hostinfo=?7, netinfo=?8, endpoints=?9,"
	    " hostname=?10 WHERE id=?1",
	[SQL_NODE_DELETE] = "DELETE FROM node WHERE id=?1",
	[SQL_NODE_ALL] = "SELECT id, user, authkey, machine, key, nl, disco,"
	    " label, given, hostname, addr4, addr6, masq4, masq6, ephemeral,"
	    " approved, wgonly, online, cap, derp, created, expiry,"
	    " last_seen, hostinfo, netinfo, endpoints FROM node"
	    " ORDER BY id",
	[SQL_TAG_CLEAR] = "DELETE FROM node_tag WHERE node=?1",
	[SQL_TAG_ADD] = "INSERT INTO node_tag (node, tag) VALUES (?1, ?2)",
	[SQL_TAG_ALL] = "SELECT tag FROM node_tag WHERE node=?1",
	[SQL_ROUTE_CLEAR] = "DELETE FROM node_route WHERE node=?1",
	[SQL_ROUTE_ADD] =
	    "INSERT INTO node_route (node, prefix) VALUES (?1, ?2)",
	[SQL_ROUTE_ALL] = "SELECT prefix FROM node_route WHERE node=?1",
	[SQL_USER_INSERT] = "INSERT INTO user (id, name, display, role,"
	    " created) VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_USER_UPDATE] = "UPDATE user SET name=?2, display=?3, role=?4,"
	    " created=?5 WHERE id=?1",
	[SQL_USER_DELETE] = "DELETE FROM user WHERE id=?1",
	[SQL_USER_ALL] = "SELECT id, name, display, role, created FROM user",
	[SQL_KEY_INSERT] = "INSERT INTO authkey (prefix, hash, user,"
	    " reusable, ephemeral, created, expiry) VALUES (?1, ?2, ?3, ?4,"
	    " ?5, ?6, ?7)",
	[SQL_KEY_REVOKE] = "UPDATE authkey SET revoked=?2 WHERE id=?1",
	/* The test and the count are one step: a key is never used twice. */
	[SQL_KEY_USE] = "UPDATE authkey SET used=used+1 WHERE id=?1"
	    " AND (reusable=1 OR used=0) AND revoked IS NULL"
	    " AND (expiry IS NULL OR expiry>?2)",
	[SQL_KEY_ALL] = "SELECT id, prefix, hash, user, reusable, ephemeral,"
	    " used, created, expiry, revoked FROM authkey",
	[SQL_KEYTAG_ADD] =
	    "INSERT INTO authkey_tag (authkey, tag) VALUES (?1, ?2)",
	[SQL_KEYTAG_ALL] = "SELECT tag FROM authkey_tag WHERE authkey=?1"
};

const char *
store_error(const struct store *st)
{
	return sqlite3_errmsg(st->st_db);
}

int
store_exec(struct store *st, const char *text)
{
	if (sqlite3_exec(st->st_db, text, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	log_warnx("store: %s", store_error(st));
	return -1;
}

int64_t
store_version(struct store *st)
{
	sqlite3_stmt	*stmt;
	int64_t		 v = -1;

	if (sqlite3_prepare_v2(st->st_db, "PRAGMA user_version", -1, &stmt,
	    NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		v = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return v;
}

static int
store_migrate_step(struct store *st, int64_t from)
{
	char	 pragma[64];

	(void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%lld",
	    (long long)from + 1);
	if (store_begin(st, 1) == -1)
		return -1;
	if (store_exec(st, migrations[from]) == -1 ||
	    store_exec(st, pragma) == -1 || store_commit(st) == -1) {
		store_rollback(st);
		return -1;
	}
	return 0;
}

static int
store_migrate(struct store *st, int to, char *err, size_t errlen)
{
	int64_t	 v;

	if ((v = store_version(st)) == -1) {
		(void)snprintf(err, errlen, "not a store: %s",
		    store_error(st));
		return -1;
	}
	if (v > STORE_VERSION) {
		(void)snprintf(err, errlen, "the store is of version %lld,"
		    " this program knows %d: install the newer one",
		    (long long)v, STORE_VERSION);
		return -1;
	}
	for (; v < to; v++)
		if (store_migrate_step(st, v) == -1) {
			(void)snprintf(err, errlen,
			    "migration to version %lld: %s",
			    (long long)v + 1, store_error(st));
			return -1;
		}
	return 0;
}

static int
store_damaged(char *err, size_t errlen, const char *why)
{
	(void)snprintf(err, errlen, "damaged, put a backup in its place: %s",
	    why == NULL ? "no word why" : why);
	err[strcspn(err, "\n")] = '\0';
	return -1;
}

/* Better a word at the start than half of the nodes. */
static int
store_check(struct store *st, char *err, size_t errlen)
{
	const char	*text = NULL;
	sqlite3_stmt	*stmt;
	int		 rc = 0;

	if (sqlite3_prepare_v2(st->st_db, "PRAGMA quick_check(1)", -1, &stmt,
	    NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(stmt, 0);
	if (text == NULL || strcmp(text, "ok") != 0)
		rc = store_damaged(err, errlen, text != NULL ? text :
		    store_error(st));
	sqlite3_finalize(stmt);
	return rc;
}

static int
store_setup(struct store *st, int to, char *err, size_t errlen)
{
	/* Nothing of SQLite's own goes elsewhere: the root has no /tmp. */
	static const char	 pragmas[] = "PRAGMA temp_store=MEMORY;"
	    "PRAGMA journal_mode=WAL;PRAGMA foreign_keys=ON;"
	    "PRAGMA secure_delete=ON";

	sqlite3_extended_result_codes(st->st_db, 1);
	(void)sqlite3_busy_timeout(st->st_db, 2000);
	if (sqlite3_exec(st->st_db, pragmas, NULL, NULL,
	    NULL) != SQLITE_OK) {
		switch (sqlite3_errcode(st->st_db) & 0xff) {
		case SQLITE_CORRUPT:
			return store_damaged(err, errlen, store_error(st));
		case SQLITE_NOTADB:
			(void)snprintf(err, errlen, "not a store: %s",
			    store_error(st));
			return -1;
		default:
			(void)snprintf(err, errlen, "%s", store_error(st));
			return -1;
		}
	}
	if (store_check(st, err, errlen) == -1)
		return -1;
	return store_migrate(st, to, err, errlen);
}

struct store *
store_open(const char *path, int to, char *err, size_t errlen)
{
	struct store	*st;

	st = xcalloc(1, sizeof(*st));
	if (sqlite3_open_v2(path, &st->st_db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		(void)snprintf(err, errlen, "%s: %s", path,
		    st->st_db == NULL ? "out of memory" : store_error(st));
		store_close(st);
		return NULL;
	}
	if (store_setup(st, to, err, errlen) == -1) {
		store_close(st);
		return NULL;
	}
	return st;
}

void
store_close(struct store *st)
{
	size_t	 i;

	if (st == NULL)
		return;
	for (i = 0; i < SQL_MAX; i++)
		(void)sqlite3_finalize(st->st_stmt[i]);
	(void)sqlite3_close(st->st_db);
	free(st);
}

/*
 * WAL with synchronous=NORMAL loses the last commits with the power, never
 * the store. That is right for endpoints, and wrong for keys and nodes.
 */
int
store_begin(struct store *st, int durable)
{
	if (st->st_depth != 0)
		fatalx("store: transaction in a transaction");
	if (store_exec(st, durable ? "PRAGMA synchronous=FULL" :
	    "PRAGMA synchronous=NORMAL") == -1 ||
	    store_exec(st, "BEGIN IMMEDIATE") == -1)
		return -1;
	st->st_depth = 1;
	return 0;
}

int
store_commit(struct store *st)
{
	if (store_exec(st, "COMMIT") == -1)
		return -1;
	st->st_depth = 0;
	return 0;
}

void
store_rollback(struct store *st)
{
	size_t	 i;

	if (st->st_depth == 0)
		return;
	for (i = 0; i < SQL_MAX; i++)
		if (st->st_stmt[i] != NULL)
			(void)sqlite3_reset(st->st_stmt[i]);
	/* SQLite may have rolled back by itself: a full disk. */
	if (sqlite3_get_autocommit(st->st_db) == 0)
		(void)store_exec(st, "ROLLBACK");
	st->st_depth = 0;
}

struct sqlite3_stmt *
store_stmt(struct store *st, enum store_sql n)
{
	sqlite3_stmt	**s = &st->st_stmt[n];

	if (*s == NULL && sqlite3_prepare_v3(st->st_db, sql[n], -1,
	    SQLITE_PREPARE_PERSISTENT, s, NULL) != SQLITE_OK)
		fatalx("store: %s", store_error(st));
	(void)sqlite3_reset(*s);
	(void)sqlite3_clear_bindings(*s);
	return *s;
}

int
store_step(struct store *st, struct sqlite3_stmt *stmt)
{
	int	 rc;

	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE) {
		(void)sqlite3_reset(stmt);
		return 0;
	}
	log_warnx("store: %s", store_error(st));
	(void)sqlite3_reset(stmt);
	errno = rc == SQLITE_CONSTRAINT_UNIQUE ? EEXIST : EIO;
	return -1;
}

int64_t
store_rowid(struct store *st)
{
	return sqlite3_last_insert_rowid(st->st_db);
}

int
store_changes(struct store *st)
{
	return sqlite3_changes(st->st_db);
}

int
store_meta_get(struct store *st, const char *name, char **value,
    size_t *len)
{
	sqlite3_stmt	*s;
	int		 n;

	*value = NULL;
	*len = 0;
	s = store_stmt(st, SQL_META_GET);
	(void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	if ((n = store_step(st, s)) != 1)
		return n;
	*len = (size_t)sqlite3_column_bytes(s, 0);
	*value = xcalloc(1, *len + 1);
	if (*len > 0)
		memcpy(*value, sqlite3_column_blob(s, 0), *len);
	(void)sqlite3_reset(s);
	return 1;
}

int
store_meta_set(struct store *st, const char *name, const char *value,
    size_t len)
{
	sqlite3_stmt	*s;

	s = store_stmt(st, SQL_META_SET);
	(void)sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob64(s, 2, value, len, SQLITE_STATIC);
	return store_step(st, s);
}

int
store_audit(struct store *st, int64_t date, const char *actor,
    const char *action, const char *target, const char *detail)
{
	sqlite3_stmt	*s;

	s = store_stmt(st, SQL_AUDIT);
	(void)sqlite3_bind_int64(s, 1, date);
	(void)sqlite3_bind_text(s, 2, actor, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 3, action, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(s, 4, target, -1, SQLITE_STATIC);
	if (detail != NULL)
		(void)sqlite3_bind_text(s, 5, detail, -1, SQLITE_STATIC);
	return store_step(st, s);
}
