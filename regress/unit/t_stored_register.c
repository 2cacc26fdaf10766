/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Registration: each branch of control.md 3.4 and the incidents of others.
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

#include "stored_lab.h"

static const char	 host_a[] = "{\"Hostname\":\"alpha\"}";

static struct lab	 lab;

/* Register and want this Error text ("": none). */
static json_t *
want(const struct reg_req *q, const char *error)
{
	json_t	*j;

	j = lab_register(&lab, q);
	if (j == NULL)
		errx(1, "no answer, want '%s'", error);
	if (strcmp(lab_str(j, "Error"), error) != 0)
		errx(1, "error '%s', want '%s'", lab_str(j, "Error"), error);
	return j;
}

static void
refused(unsigned int m, unsigned int k, const char *key, const char *error)
{
	struct reg_req	 q;

	lab_register_req(&q, m, k, 1, key, host_a);
	json_decref(want(&q, error));
}

static void
test_authkeys(void)
{
	struct reg_req	 q;
	struct node	*n;
	char		 once[AUTHKEY_TEXT], old[AUTHKEY_TEXT];
	char		 many[AUTHKEY_TEXT], bad[AUTHKEY_TEXT];
	json_t		*j;

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab_authkey(&lab, "alice", NULL, 0, 0, 0, once);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, many);
	lab_authkey(&lab, "alice", NULL, 1, 0, (LAB_DATE + 10) * SEC, old);

	lab_register_req(&q, 1, 1, 1, once, host_a);
	j = want(&q, "");
	CHECK(strcmp(lab_str(j, "Login/LoginName"), "alice") == 0);
	CHECK(lab_int(j, "User/ID") > 0);
	CHECK(json_is_true(lab_at(j, "MachineAuthorized")));
	CHECK(strcmp(lab_str(j, "AuthURL"), "") == 0);
	json_decref(j);

	refused(2, 2, once, "authkey already used");
	/* A container comes again with its key: same machine, same node. */
	lab_register_req(&q, 1, 1, 1, once, host_a);
	json_decref(want(&q, ""));
	/* A new node key has to prove itself again. */
	refused(1, 3, once, "authkey already used");

	lab_join(&lab, 2, 2, old, "beta");
	lab_pass(&lab, 11000);
	refused(3, 4, old, "authkey expired");
	/* The key's end is not the end of its nodes. */
	lab_register_req(&q, 2, 2, 1, old, host_a);
	json_decref(want(&q, ""));

	CHECK(authkey_revoke(&lab.l_b, authkey_find(&lab.l_b, many)) == 0);
	refused(3, 4, many, "authkey revoked");
	refused(3, 4, "shoal-auth-nonsense", "invalid authkey");
	(void)strlcpy(bad, once, sizeof(bad));
	bad[strlen(bad) - 1] = bad[strlen(bad) - 1] == '0' ? '1' : '0';
	refused(3, 4, bad, "invalid authkey");
	n = node_find(&lab.l_b, 1);
	CHECK(n != NULL && lab.l_b.b_nnodes == 2);
	lab_close(&lab);
}

/* Many come with one one-shot key: exactly one gets in. */
static void
test_race(void)
{
	struct reg_req	 q;
	char		 once[AUTHKEY_TEXT];
	unsigned int	 i, in = 0;
	json_t		*j;

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab_authkey(&lab, "alice", NULL, 0, 0, 0, once);
	for (i = 0; i < 1000; i++) {
		lab_register_req(&q, i + 1, i + 1, 1, once, host_a);
		j = lab_register(&lab, &q);
		if (strcmp(lab_str(j, "Error"), "") == 0)
			in++;
		else if (strcmp(lab_str(j, "Error"),
		    "authkey already used") != 0)
			errx(1, "%s", lab_str(j, "Error"));
		json_decref(j);
	}
	CHECK(in == 1 && lab.l_b.b_nnodes == 1);
	/* The store alone would also have said no. */
	CHECK(store_authkey_use(lab.l_b.b_store, 1, lab.l_b.b_date) == 0);
	lab_close(&lab);
}

static void
test_machine_keys(void)
{
	struct reg_req	 q;
	struct map_req	 m;
	char		 many[AUTHKEY_TEXT];

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, many);
	lab_join(&lab, 1, 1, many, "alpha");
	/* Node keys are public: with another machine key they are worth
	 * nothing, whatever is asked. */
	refused(2, 1, many, "node exists with a different machine key");
	refused(2, 1, NULL, "node exists with a different machine key");
	lab_register_req(&q, 2, 1, 1, NULL, NULL);
	q.q_expiry = 123 * SEC;
	json_decref(want(&q, "node exists with a different machine key"));
	CHECK(!node_is_expired(&lab.l_b, node_find(&lab.l_b, 1)));
	memset(&m, 0, sizeof(m));
	m.m_rpc.conn = m.m_rpc.stream = 1;
	m.m_stream = 1;
	lab_map(&lab, &m, 2, 1);
	CHECK(lab_raw(&lab, 1, NULL, NULL) == 404);
	m.m_stream = 0;
	m.m_omit_peers = 1;
	lab_map(&lab, &m, 2, 1);
	CHECK(lab_raw(&lab, 1, NULL, NULL) == 404);
	lab_map(&lab, &m, 1, 77);
	CHECK(lab_raw(&lab, 1, NULL, NULL) == 404);

	lab_register_req(&q, 1, 1, 1, NULL, NULL);
	q.q_version = 59;
	register_request(&lab.l_b, &q);
	CHECK(lab_raw(&lab, 1, NULL, NULL) == 400);
	q.q_version = 130;
	memset(q.q_node, 0, sizeof(q.q_node));
	register_request(&lab.l_b, &q);
	CHECK(lab_raw(&lab, 1, NULL, NULL) == 400);
	m.m_version = 59;
	lab_map(&lab, &m, 1, 1);
	CHECK(lab_raw(&lab, 1, NULL, NULL) == 400);
	lab_close(&lab);
}

static void
test_refresh_and_logout(void)
{
	struct reg_req	 q;
	struct node	*n;
	char		 many[AUTHKEY_TEXT], eph[AUTHKEY_TEXT];
	int64_t		 expiry;
	json_t		*j;

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, many);
	lab_authkey(&lab, "alice", NULL, 1, 1, 0, eph);
	n = lab_join(&lab, 1, 1, many, "alpha");
	expiry = n->n_rec.r_expiry;
	CHECK(expiry == lab.l_b.b_date + lab.l_b.b_conf.c_key_expiry);

	/* A restart changes nothing. */
	lab_pass(&lab, 60000);
	lab_register_req(&q, 1, 1, 1, NULL, host_a);
	json_decref(want(&q, ""));
	CHECK(n->n_rec.r_expiry == expiry);
	/* Sooner is granted, later is not. */
	q.q_expiry = expiry + SEC;
	json_decref(want(&q, "extending key is not allowed"));
	q.q_expiry = expiry - SEC;
	json_decref(want(&q, ""));
	CHECK(n->n_rec.r_expiry == expiry - SEC);

	/* Log out, with an auth key beside it: nothing is created. */
	lab_register_req(&q, 1, 1, 1, many, NULL);
	q.q_expiry = 123 * SEC;
	j = want(&q, "");
	CHECK(json_is_true(lab_at(j, "NodeKeyExpired")));
	json_decref(j);
	CHECK(n->n_rec.r_expiry == lab.l_b.b_date);
	lab_register_req(&q, 9, 9, 1, many, NULL);
	q.q_expiry = 123 * SEC;
	json_decref(want(&q, ""));
	CHECK(lab.l_b.b_nnodes == 1);

	/* Expired: the same key alone is not enough... */
	lab_register_req(&q, 1, 1, 1, NULL, NULL);
	j = want(&q, "");
	CHECK(json_is_true(lab_at(j, "NodeKeyExpired")));
	json_decref(j);
	/* ... and with an auth key the node is itself again. */
	lab_join(&lab, 1, 2, many, "alpha");
	CHECK(lab.l_b.b_nnodes == 1 && !node_is_expired(&lab.l_b, n));
	CHECK(n->n_rec.r_id == 1);

	n = lab_join(&lab, 2, 3, eph, "tmp");
	CHECK(n->n_rec.r_ephemeral && lab.l_b.b_nnodes == 2);
	lab_register_req(&q, 2, 3, 1, NULL, NULL);
	q.q_expiry = 123 * SEC;
	json_decref(want(&q, ""));
	CHECK(lab.l_b.b_nnodes == 1);
	lab_close(&lab);
}

static void
test_rotation(void)
{
	struct node	*n;
	char		 many[AUTHKEY_TEXT], other[AUTHKEY_TEXT];
	uint8_t		 addr[4];
	json_t		*j;

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, many);
	lab_authkey(&lab, "bob", NULL, 1, 0, 0, other);
	n = lab_join(&lab, 1, 1, many, "alpha");
	memcpy(addr, n->n_rec.r_addr4, 4);
	lab_lite(&lab, 1, 1, "192.0.2.1:41641", "{\"Hostname\":\"alpha\","
	    "\"NetInfo\":{\"PreferredDERP\":7}}");
	lab_poll(&lab, 1, 1, 10);
	lab_pass(&lab, 100);
	json_decref(lab_next(&lab, 10));

	CHECK(lab_join(&lab, 1, 2, many, "alpha") == n);
	CHECK(n->n_rec.r_id == 1 && lab.l_b.b_nnodes == 1);
	CHECK(memcmp(n->n_rec.r_addr4, addr, 4) == 0);
	CHECK(strcmp(n->n_rec.r_label, "alpha") == 0);
	CHECK(n->n_rec.r_derp == 7 && n->n_rec.r_nendpoints == 1);
	/* The poll of the old key goes on until the new one has its own. */
	CHECK(n->n_viewer != NULL && n->n_rec.r_online);
	while ((j = lab_next(&lab, 10)) != NULL)
		json_decref(j);

	/* Another owner on the same machine is another node. */
	n = lab_join(&lab, 1, 3, other, "alpha");
	CHECK(n->n_rec.r_id == 2 && lab.l_b.b_nnodes == 2);
	CHECK(strcmp(n->n_rec.r_label, "alpha-1") == 0);
	lab_close(&lab);
}

static void
test_interactive(void)
{
	struct reg_req	 q, f;
	struct pending	*p;
	struct node	*n;
	char		 msg[256], *url;
	json_t		*j;

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab_register_req(&q, 1, 1, 1, NULL, host_a);
	j = want(&q, "");
	url = xstrdup(lab_str(j, "AuthURL"));
	CHECK(strncmp(url, "http://coord.example:8080/register/", 35) == 0);
	json_decref(j);

	/* Asked again, the URL that somebody may be looking at stays. */
	j = want(&q, "");
	CHECK(strcmp(lab_str(j, "AuthURL"), url) == 0);
	json_decref(j);

	/* The follow-up waits... */
	f = q;
	f.q_followup = url;
	f.q_rpc.conn = f.q_rpc.stream = 5;
	CHECK(lab_register(&lab, &f) == NULL);
	lab_pass(&lab, 1000);
	CHECK(lab_next(&lab, 5) == NULL);
	/* ... another machine cannot wait for it ... */
	f.q_rpc.conn = f.q_rpc.stream = 6;
	lab_key(f.q_machine, 1, 66);
	j = lab_register(&lab, &f);
	CHECK(strcmp(lab_str(j, "AuthURL"), "") != 0);
	CHECK(strcmp(lab_str(j, "AuthURL"), url) != 0);
	json_decref(j);
	/* ... and it is answered when a person vouches. */
	p = pending_find(&lab.l_b, url);
	CHECK(p != NULL);
	n = register_approve(&lab.l_b, p, lab_user(&lab, "alice"), msg,
	    sizeof(msg));
	CHECK(n != NULL && n->n_rec.r_approved);
	j = lab_next(&lab, 5);
	CHECK(strcmp(lab_str(j, "Login/LoginName"), "alice") == 0);
	CHECK(strcmp(lab_str(j, "AuthURL"), "") == 0);
	json_decref(j);
	/* A follow-up that comes late finds the node. */
	f = q;
	f.q_followup = url;
	j = want(&f, "");
	CHECK(strcmp(lab_str(j, "Login/LoginName"), "alice") == 0);
	json_decref(j);
	free(url);

	/* An unknown URL gets a new one, not an error. */
	lab_register_req(&q, 2, 2, 1, NULL, host_a);
	q.q_followup = "http://coord.example:8080/register/gone";
	j = want(&q, "");
	url = xstrdup(lab_str(j, "AuthURL"));
	CHECK(url[0] != '\0');
	json_decref(j);
	/* Whoever waits too long gets one too. */
	q.q_followup = url;
	q.q_rpc.conn = q.q_rpc.stream = 7;
	CHECK(lab_register(&lab, &q) == NULL);
	lab_pass(&lab, 16 * 60 * 1000);
	j = lab_next(&lab, 7);
	CHECK(strcmp(lab_str(j, "AuthURL"), url) != 0);
	CHECK(lab_str(j, "AuthURL")[0] != '\0');
	json_decref(j);
	free(url);
	lab_close(&lab);
}

/* Strangers cannot fill the table, or push each other's waiting out free. */
static void
test_pending_bounds(void)
{
	struct reg_req	 q;
	unsigned int	 i;

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	for (i = 1; i <= 50; i++) {
		lab_register_req(&q, 1, i, 1, NULL, host_a);
		json_decref(want(&q, ""));
	}
	CHECK(lab.l_b.b_npending == PENDING_PER_MACHINE);
	for (i = 1; i <= 2 * PENDING_MAX; i++) {
		lab_register_req(&q, 100 + i, i, 1, NULL, host_a);
		json_decref(want(&q, ""));
	}
	CHECK(lab.l_b.b_npending == PENDING_MAX);
	lab_pass(&lab, 16 * 60 * 1000);
	CHECK(lab.l_b.b_npending == 0);
	lab_close(&lab);
}

static void
test_approval(void)
{
	struct noderec	 r;
	struct node	*n, *o;
	char		 many[AUTHKEY_TEXT];
	json_t		*j;

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab.l_b.b_conf.c_approve = 1;
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, many);
	n = lab_join(&lab, 1, 1, many, "alpha");
	CHECK(!n->n_rec.r_approved);
	lab.l_b.b_conf.c_approve = 0;
	o = lab_join(&lab, 2, 2, many, "beta");
	lab_poll(&lab, 1, 1, 10);
	lab_poll(&lab, 2, 2, 11);
	lab_pass(&lab, 100);
	j = lab_next(&lab, 10);
	CHECK(json_is_false(lab_at(j, "Node/MachineAuthorized")));
	CHECK(lab_at(j, "Peers") == NULL);
	CHECK(json_array_size(lab_at(j, "PacketFilters/base")) == 0);
	json_decref(j);
	j = lab_next(&lab, 11);
	CHECK(lab_at(j, "Peers") == NULL);
	json_decref(j);
	noderec_copy(&r, &n->n_rec);
	r.r_approved = 1;
	CHECK(node_put(&lab.l_b, n, &r, "test", "approve") == 0);
	lab_pass(&lab, 100);
	j = lab_next(&lab, 10);
	CHECK(json_is_true(lab_at(j, "Node/MachineAuthorized")));
	CHECK(lab_peer(j, "PeersChanged", o->n_rec.r_id) != NULL);
	CHECK(json_array_size(lab_at(j, "PacketFilters/base")) > 0);
	json_decref(j);
	j = lab_next(&lab, 11);
	CHECK(lab_peer(j, "PeersChanged", n->n_rec.r_id) != NULL);
	json_decref(j);
	lab_close(&lab);
}

static void
test_tags(void)
{
	static const char	 policy[] = "{\"tagOwners\":{"
	    "\"tag:web\":[\"alice@\"]},\"acls\":[]}";
	static const char	 wants[] = "{\"Hostname\":\"w\","
	    "\"RequestTags\":[\"tag:web\"]}";
	struct reg_req		 q;
	struct node		*n;
	char			 tagged[AUTHKEY_TEXT], alice[AUTHKEY_TEXT];
	char			 bob[AUTHKEY_TEXT];
	json_t			*j;

	lab_open(&lab, NULL, POLICY_FILE, policy);
	lab_authkey(&lab, NULL, "tag:web", 1, 0, 0, tagged);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, alice);
	lab_authkey(&lab, "bob", NULL, 1, 0, 0, bob);
	n = lab_join(&lab, 1, 1, tagged, "web");
	CHECK(n->n_rec.r_ntags == 1 && n->n_rec.r_user == 0);
	CHECK(n->n_rec.r_expiry == 0);
	lab_register_req(&q, 1, 1, 1, NULL, NULL);
	j = want(&q, "");
	CHECK(strcmp(lab_str(j, "Login/LoginName"), "tagged-devices") == 0);
	json_decref(j);

	lab_register_req(&q, 2, 2, 1, alice, wants);
	json_decref(want(&q, ""));
	n = node_find(&lab.l_b, 2);
	CHECK(n->n_rec.r_ntags == 1 && n->n_rec.r_user == 0 &&
	    n->n_rec.r_expiry == 0);
	lab_register_req(&q, 3, 3, 1, bob, wants);
	json_decref(want(&q, "requested tags [tag:web] are invalid or not "
	    "permitted"));
	CHECK(lab.l_b.b_nnodes == 2);
	lab_close(&lab);
}

int
main(void)
{
	test_authkeys();
	test_race();
	test_machine_keys();
	test_refresh_and_logout();
	test_rotation();
	test_interactive();
	test_pending_bounds();
	test_approval();
	test_tags();
	return 0;
}
