/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The store on disk: what a restart finds, migrations, full disk, damage.
 */

/* link: stored_lab.c */
/* link: ../../coordd/stored/addr.c ../../coordd/stored/alloc.c */
/* link: ../../coordd/stored/authkey.c ../../coordd/stored/brain.c */
/* link: ../../coordd/stored/buf.c ../../coordd/stored/hostinfo.c */
/* link: ../../coordd/stored/call.c ../../coordd/stored/ping.c */
/* link: ../../coordd/stored/map.c ../../coordd/stored/map_delta.c */
/* link: ../../coordd/stored/map_full.c ../../coordd/stored/map_node.c */
/* link: ../../coordd/stored/name.c ../../coordd/stored/node.c */
/* link: ../../coordd/stored/noderec.c ../../coordd/stored/online.c */
/* link: ../../coordd/stored/pending.c ../../coordd/stored/register.c */
/* link: ../../coordd/stored/policy_apply.c ../../coordd/stored/store.c */
/* link: ../../coordd/stored/store_node.c ../../coordd/stored/user.c */
/* link: ../../coordd/stored/store_user.c */
/* link: ../../coordd/stored/follow.c */
/* libs: -lsqlite3 */

#include <sys/stat.h>

#include <unistd.h>

#include "stored_lab.h"

static struct lab	 lab;
static char		 dir[32];
static char		 path[64], wal[64], shm[64];
static char		 key[AUTHKEY_TEXT], once[AUTHKEY_TEXT];

static void
forget(void)
{
	(void)unlink(path);
	(void)unlink(wal);
	(void)unlink(shm);
}

/* Does a file hold this text? */
static int
holds(const char *file, const char *text)
{
	FILE	*f;
	char	*data;
	size_t	 len;
	int	 found;

	if ((f = fopen(file, "r")) == NULL)
		return 0;
	data = xcalloc(1, 8 * 1024 * 1024);
	len = fread(data, 1, 8 * 1024 * 1024, f);
	fclose(f);
	found = memmem(data, len, text, strlen(text)) != NULL;
	free(data);
	return found;
}

static void
fill(void)
{
	struct noderec	 r;
	struct node	*n;

	lab_open(&lab, path, POLICY_ALLOW, NULL);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, key);
	lab_authkey(&lab, "bob", NULL, 0, 0, 0, once);
	n = lab_join(&lab, 1, 1, key, "one");
	lab_lite(&lab, 1, 1, "192.0.2.1:41641", "{\"Hostname\":\"one\","
	    "\"RoutableIPs\":[\"10.1.0.0/16\"],"
	    "\"NetInfo\":{\"PreferredDERP\":9}}");
	lab_join(&lab, 2, 2, once, "two");
	noderec_copy(&r, &n->n_rec);
	r.r_expiry = 0;
	CHECK(policy_prefix_parse("10.1.0.0/16", r.r_approved_routes =
	    xcalloc(1, sizeof(*r.r_approved_routes))) == 0);
	r.r_napproved = 1;
	CHECK(node_put(&lab.l_b, n, &r, "test", "routes") == 0);
	lab_poll(&lab, 1, 1, 11);
	lab_poll(&lab, 2, 2, 12);
	lab_pass(&lab, 1000);
}

static void
test_restart(void)
{
	struct reg_req	 q;
	struct node	*n;
	json_t		*j, *p;

	fill();
	lab_close(&lab);
	CHECK(!holds(path, once) && !holds(path, strrchr(once, '-') + 1));

	lab_open(&lab, path, POLICY_ALLOW, NULL);
	CHECK(lab.l_b.b_nnodes == 2 && lab.l_b.b_nusers == 2);
	n = node_find(&lab.l_b, 1);
	CHECK(n->n_rec.r_derp == 9 && n->n_rec.r_nendpoints == 1);
	CHECK(n->n_rec.r_disco[0] == 3 && n->n_rec.r_expiry == 0);
	CHECK(n->n_nannounced == 1 && n->n_rec.r_napproved == 1);
	CHECK(node_find(&lab.l_b, 2)->n_rec.r_expiry > lab.l_b.b_date);
	/* The used key stays used, its node comes back with it. */
	lab_register_req(&q, 3, 3, 1, once, NULL);
	j = lab_register(&lab, &q);
	CHECK(strcmp(lab_str(j, "Error"), "authkey already used") == 0);
	json_decref(j);
	lab_register_req(&q, 2, 2, 1, once, NULL);
	j = lab_register(&lab, &q);
	CHECK(strcmp(lab_str(j, "Error"), "") == 0);
	json_decref(j);

	/* Who was there before has time to come back unnoticed. */
	lab_poll(&lab, 1, 1, 11);
	lab_pass(&lab, 500);
	j = lab_next(&lab, 11);
	CHECK((p = lab_peer(j, "Peers", 2)) != NULL);
	CHECK(json_is_true(lab_at(p, "Online")));
	CHECK(json_array_size(lab_at(j, "Node/AllowedIPs")) == 3);
	CHECK(strcmp(lab_str(j, "Node/PrimaryRoutes/0"), "10.1.0.0/16") ==
	    0);
	json_decref(j);
	lab_pass(&lab, 25000);
	CHECK(lab_next(&lab, 11) == NULL);
	lab_pass(&lab, 10000);
	CHECK((j = lab_next(&lab, 11)) != NULL);
	CHECK((p = lab_peer(j, "PeersChangedPatch", 2)) != NULL);
	CHECK(json_is_false(lab_at(p, "Online")));
	json_decref(j);
	/* Numbers go on where they were, also after a deletion. */
	CHECK(node_delete(&lab.l_b, node_find(&lab.l_b, 2), "t", "d") == 0);
	lab_close(&lab);
	lab_open(&lab, path, POLICY_ALLOW, NULL);
	CHECK(lab_join(&lab, 5, 5, key, "five")->n_rec.r_id == 3);
	lab_close(&lab);
	forget();
}

/* A store as version 1 made it, opened by this version. */
static void
test_migration(void)
{
	struct store	*st;
	struct user	 u;
	char		 msg[256];

	st = store_open(path, 1, msg, sizeof(msg));
	CHECK(st != NULL && store_version(st) == 1);
	memset(&u, 0, sizeof(u));
	u.u_name = u.u_display = msg;
	(void)strlcpy(msg, "carol", sizeof(msg));
	CHECK(store_begin(st, 1) == 0 && store_user_put(st, &u) == 0 &&
	    store_commit(st) == 0);
	store_close(st);
	lab_open(&lab, path, POLICY_ALLOW, NULL);
	CHECK(store_version(lab.l_b.b_store) == STORE_VERSION);
	CHECK(user_find_name(&lab.l_b, "Carol") != NULL);
	lab_authkey(&lab, "carol", NULL, 1, 0, 0, key);
	CHECK(lab_join(&lab, 1, 1, key, "one") != NULL);
	lab_close(&lab);

	/* One of a newer program is left alone. */
	st = store_open(path, STORE_VERSION, msg, sizeof(msg));
	CHECK(st != NULL && store_exec(st, "PRAGMA user_version=99") == 0);
	store_close(st);
	CHECK(store_open(path, STORE_VERSION, msg, sizeof(msg)) == NULL);
	CHECK(strstr(msg, "version 99") != NULL);
	forget();
}

static void
test_damage(void)
{
	struct store	*st;
	FILE		*f;
	char		 msg[256];

	if ((f = fopen(path, "w")) == NULL)
		err(1, "%s", path);
	fprintf(f, "this is not a store, but it is long enough to be read"
	    " as the first bytes of one, which it is not at all\n");
	fclose(f);
	st = store_open(path, STORE_VERSION, msg, sizeof(msg));
	CHECK(st == NULL && strncmp(msg, "not a store: ", 13) == 0);
	CHECK(holds(path, "this is not a store"));
	forget();

	/* One that was cut short is not half a tailnet. */
	fill();
	lab_close(&lab);
	CHECK(truncate(path, 40000) == 0);
	st = store_open(path, STORE_VERSION, msg, sizeof(msg));
	CHECK(st == NULL && strstr(msg, "backup") != NULL);
	CHECK(strchr(msg, '\n') == NULL);
	forget();
	CHECK(store_open("/nonexistent/x.db", STORE_VERSION, msg,
	    sizeof(msg)) == NULL);
}

/* A full disk refuses what is new and keeps what is there. */
static void
test_full_disk(void)
{
	struct reg_req	 q;
	unsigned int	 i;
	size_t		 before;
	json_t		*j = NULL;

	fill();
	lab.l_drop = 0;
	CHECK(store_exec(lab.l_b.b_store, "PRAGMA max_page_count=40") == 0);
	for (i = 10; i < 2000; i++) {
		before = lab.l_b.b_nnodes;
		lab_register_req(&q, i, i, 1, key, "{\"Hostname\":\"x\"}");
		j = lab_register(&lab, &q);
		if (lab_str(j, "Error")[0] != '\0')
			break;
		json_decref(j);
	}
	CHECK(i < 2000 && lab.l_b.b_nnodes == before);
	CHECK(strstr(lab_str(j, "Error"), "store") != NULL);
	json_decref(j);
	/* There is room again: it goes on. */
	CHECK(store_exec(lab.l_b.b_store, "PRAGMA max_page_count=4000") ==
	    0);
	json_decref(lab_register(&lab, &q));
	CHECK(lab.l_b.b_nnodes == before + 1);
	lab_close(&lab);
	lab_open(&lab, path, POLICY_ALLOW, NULL);
	CHECK(lab.l_b.b_nnodes == before + 1);
	lab_close(&lab);
	forget();
}

/* Deleting a user takes that user's keys along and nobody else's. */
static void
test_user_delete(void)
{
	char	 a[AUTHKEY_TEXT], b[AUTHKEY_TEXT], msg[256];

	lab_open(&lab, path, POLICY_ALLOW, NULL);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, a);
	lab_authkey(&lab, "bob", NULL, 1, 0, 0, b);
	lab_join(&lab, 1, 1, b, "one");
	CHECK(user_delete(&lab.l_b, lab_user(&lab, "bob"), msg,
	    sizeof(msg)) == -1);
	CHECK(user_delete(&lab.l_b, lab_user(&lab, "alice"), msg,
	    sizeof(msg)) == 0);
	CHECK(authkey_find(&lab.l_b, a) == NULL);
	CHECK(authkey_find(&lab.l_b, b) != NULL);
	lab_close(&lab);
	lab_open(&lab, path, POLICY_ALLOW, NULL);
	CHECK(authkey_find(&lab.l_b, a) == NULL);
	CHECK(authkey_find(&lab.l_b, b) != NULL);
	CHECK(lab.l_b.b_nusers == 1);
	lab_close(&lab);
	forget();
}

int
main(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/stored.%d", (int)getpid());
	if (mkdir(dir, 0700) == -1)
		err(1, "%s", dir);
	(void)snprintf(path, sizeof(path), "%s/s.db", dir);
	(void)snprintf(wal, sizeof(wal), "%s/s.db-wal", dir);
	(void)snprintf(shm, sizeof(shm), "%s/s.db-shm", dir);
	test_restart();
	test_migration();
	test_damage();
	test_full_disk();
	test_user_delete();
	forget();
	(void)rmdir(dir);
	return 0;
}
