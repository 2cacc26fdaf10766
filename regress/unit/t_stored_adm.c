/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Administrators' verbs: rows, refusals, and what they bring about.
 */

/* link: stored_lab.c */
/* link: ../../coordd/stored/addr.c ../../coordd/stored/alloc.c */
/* link: ../../coordd/stored/authkey.c ../../coordd/stored/brain.c */
/* link: ../../coordd/stored/buf.c ../../coordd/stored/hostinfo.c */
/* link: ../../coordd/stored/call.c ../../coordd/stored/ping.c */
/* link: ../../coordd/stored/adm_ping.c ../../coordd/stored/adm_derp.c */
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
/* link: ../../coordd/stored/adm.c ../../coordd/stored/adm_user.c */
/* link: ../../coordd/stored/adm_key.c ../../coordd/stored/adm_node.c */
/* link: ../../coordd/stored/adm_policy.c */

#include "stored_lab.h"
#include "../../coordd/adm.h"

static const char	 policy[] = "{\n\t\"tagOwners\": {\"tag:web\": []},\n"
    "\t\"acls\": [\n"
    "\t\t{\"action\":\"accept\",\"src\":[\"alice@\"],"
    "\"dst\":[\"tag:web:443\"]}\n\t]\n}\n";

static const struct {
	const char	*object;
	const char	*verb;
} verbs[] = {
#define VERB(o, v, f)	{ o, v },
	ADM_VERBS(VERB)
#undef VERB
};

static struct lab	 lab;
static json_t		*rows;
static char		 error[MSG_TEXT_LEN];

static void
row(void *arg, const char *text)
{
	json_t	*j;

	if ((j = json_loads(text, JSON_REJECT_DUPLICATES, NULL)) == NULL)
		errx(1, "row is not JSON: %s", text);
	if (strlen(text) + 1 > MSG_CHUNK_MAX)
		errx(1, "row of %zu bytes", strlen(text));
	(void)json_array_append_new(rows, j);
}

/* Words by blanks: 0, or the code of the failure. */
static unsigned int
adm(const char *line, const char *file)
{
	struct adm	 a;
	char		*copy, *rest, *words[64];
	size_t		 n = 0;
	int		 rc;

	json_decref(rows);
	rows = json_array();
	memset(&a, 0, sizeof(a));
	copy = rest = xstrdup(line);
	while (n < 64 && (words[n] = strsep(&rest, " ")) != NULL)
		n++;
	a.a_brain = &lab.l_b;
	a.a_obj = words[0];
	a.a_verb = n > 1 ? words[1] : "";
	a.a_args = words + 2;
	a.a_nargs = n > 1 ? n - 2 : 0;
	a.a_file = file == NULL ? NULL : xstrdup(file);
	a.a_filelen = file == NULL ? 0 : strlen(file);
	a.a_row = row;
	(void)strlcpy(a.a_actor, "uid 0", sizeof(a.a_actor));
	rc = adm_run(&a);
	if (rc == -1 && (a.a_err[0] == '\0' || a.a_code < 1 || a.a_code > 2))
		errx(1, "%s: failed without a word", line);
	(void)strlcpy(error, a.a_err, sizeof(error));
	free(a.a_file);
	free(copy);
	return rc == 0 ? 0 : a.a_code;
}

static void
good(const char *line)
{
	if (adm(line, NULL) != 0)
		errx(1, "%s: %s", line, error);
}

static void
bad(const char *line, unsigned int code, const char *text)
{
	if (adm(line, NULL) != code)
		errx(1, "%s: not code %u: %s", line, code, error);
	if (strstr(error, text) == NULL)
		errx(1, "%s: '%s', want '%s'", line, error, text);
}

static void
test_users(void)
{
	good("user create name=alice");
	CHECK(lab_int(rows, "0/id") == 1);
	bad("user create name=ALICE", 1, "already");
	bad("user create name=group:x", 1, "letters");
	bad("user create name=tag:x", 1, "letters");
	bad("user create name=10.0.0.1", 1, "letters");
	bad("user create name=@x", 1, "letters");
	bad("user create", 2, "name");
	bad("user create nam=x", 2, "unknown argument");
	good("user create name=bob@example.com");
	good("user role user=alice role=admin");
	bad("user role user=alice role=god", 1, "role");
	good("user rename user=bob@example.com name=bob");
	good("user create name=carol");
	good("user delete user=carol");
	bad("user delete user=carol", 1, "no user");
	good("user list");
	CHECK(json_array_size(rows) == 2);
	CHECK(strcmp(lab_str(rows, "0/role"), "admin") == 0);
	CHECK(strcmp(lab_str(rows, "1/name"), "bob") == 0);
}

static void
test_keys(void)
{
	char	 key[AUTHKEY_TEXT], id[160];

	bad("key create", 1, "user");
	bad("key create user=nobody", 1, "no user");
	bad("key create user=alice tag=tag:web", 1, "one user, or");
	bad("key create tag=web", 1, "begins with");
	bad("key create tag=tag:db", 1, "tagOwners");
	bad("key create user=alice expiry=0", 2, "expiry");
	good("key create user=alice reusable=1 expiry=3600");
	(void)strlcpy(key, lab_str(rows, "0/key"), sizeof(key));
	CHECK(authkey_find(&lab.l_b, key) != NULL);
	good("key create tag=tag:web ephemeral=1");
	CHECK(json_is_true(lab_at(rows, "0/ephemeral")));
	good("key list");
	CHECK(json_array_size(rows) == 2 && lab_at(rows, "0/key") == NULL);
	CHECK(lab_int(rows, "0/id") == 1 && lab_int(rows, "1/id") == 2);
	key[11 + 12] = '\0';
	(void)snprintf(id, sizeof(id), "key revoke key=%s", key + 11);
	good(id);
	CHECK(authkey_find_id(&lab.l_b, key + 11)->k_revoked != 0);
	bad("key revoke key=77", 1, "no such key");
}

static void
test_nodes(void)
{
	char		 key[AUTHKEY_TEXT], line[256];
	struct reg_req	 q;
	json_t		*j;

	lab_authkey(&lab, "alice", NULL, 1, 0, 0, key);
	lab_join(&lab, 1, 1, key, "one");
	lab_join(&lab, 2, 2, key, "two");
	good("node list");
	CHECK(json_array_size(rows) == 2);
	good("node show node=one");
	CHECK(strcmp(lab_str(rows, "0/user"), "alice") == 0);
	CHECK(strncmp(lab_str(rows, "0/key"), "nodekey:", 8) == 0);
	good("node show node=100.64.0.2");
	CHECK(lab_int(rows, "0/id") == 2);
	good("node show node=fd7a:115c:a1e0::2");
	good("node show node=two.tail.example");
	bad("node show node=three", 1, "no node");
	bad("node show", 2, "which node");
	good("node rename node=2 name=zwei");
	bad("node rename node=1 name=zwei", 1, "node 2");
	bad("node rename node=1 name=Eins", 2, "a-z");
	bad("node tag node=1", 2, "tags");
	bad("node tag node=1 tag=tag:db", 1, "tagOwners");
	good("node tag node=1 tag=tag:web");
	CHECK(json_is_null(lab_at(rows, "0/user")));
	CHECK(json_is_null(lab_at(rows, "0/expiry")));
	good("node expire node=2");
	CHECK(json_is_true(lab_at(rows, "0/expired")));

	lab_lite(&lab, 1, 1, NULL, "{\"Hostname\":\"one\",\"RoutableIPs\":"
	    "[\"10.1.0.0/16\",\"10.2.0.0/16\"]}");
	good("node routes node=1 verb=approve route=10.1.0.0/16");
	CHECK(json_array_size(lab_at(rows, "0/approved_routes")) == 1);
	CHECK(json_array_size(lab_at(rows, "0/routes")) == 2);
	good("node routes node=1 verb=revoke route=10.1.0.0/16");
	CHECK(json_array_size(lab_at(rows, "0/approved_routes")) == 0);
	bad("node routes node=1 verb=approve route=x", 2, "not a prefix");
	bad("node routes node=1 route=10.1.0.0/16", 2, "approve or");

	lab_register_req(&q, 9, 9, 1, NULL, "{\"Hostname\":\"nine\"}");
	j = lab_register(&lab, &q);
	(void)snprintf(line, sizeof(line), "node approve node=%s",
	    lab_str(j, "AuthURL"));
	bad(line, 2, "which user");
	(void)strlcat(line, " user=nobody", sizeof(line));
	bad(line, 1, "no user");
	(void)snprintf(line, sizeof(line), "node approve node=%s user=alice",
	    strrchr(lab_str(j, "AuthURL"), '/') + 1);
	json_decref(j);
	good(line);
	CHECK(strcmp(lab_str(rows, "0/name"), "nine") == 0);
	bad(line, 1, "15 minutes");
	good("node delete node=nine");
	bad("node delete node=nine", 1, "no node");
}

/* A plain WireGuard machine: seen by those who may, with what it may. */
/* Refusals; what nodes answer is t_stored_ping's. */
static void
test_pings(void)
{
	bad("node ping node=1 type=x", 2, "no type x");
	bad("node ping node=1 type=disco", 2, "ping whom");
	bad("node ping node=1 target=1 type=c2n", 2, "a target can be");
	bad("node ping node=1 target=1 target=1", 2, "one target");
	bad("node ping node=1 target=nobody", 1, "no node nobody");
	bad("node ping node=1 target=100.64.0.9", 1, "not connected");
	bad("node ping node=1 target=1", 1, "not connected");
	bad("node ping node=1", 1, "not connected");
	bad("node ping target=1", 2, "which node");
	bad("derp probe x=1", 2, "unknown argument");
	good("derp probe");
	CHECK(json_array_size(rows) == 0);
}

static void
test_wireguard(void)
{
	static const char	 add[] = "node add-wireguard name=wg "
	    "key=AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA= "
	    "endpoint=192.0.2.9:51820 allow=100.64.3.3/32 "
	    "allow=10.9.0.0/16 masquerade=10.66.0.2";
	char			 key[AUTHKEY_TEXT];
	json_t			*j, *p;

	lab_policy(&lab, "{\"acls\":[{\"action\":\"accept\",\"src\":"
	    "[\"alice@\"],\"dst\":[\"100.64.3.3:*\",\"10.9.0.0/16:*\"]}]}");
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, key);
	lab_join(&lab, 31, 31, key, "a");
	lab_authkey(&lab, "bob", NULL, 1, 0, 0, key);
	lab_join(&lab, 32, 32, key, "b");
	lab_poll(&lab, 31, 31, 31);
	lab_poll(&lab, 32, 32, 32);
	lab_pass(&lab, 1000);
	json_decref(lab_next(&lab, 31));
	json_decref(lab_next(&lab, 32));
	good(add);
	CHECK(json_is_true(lab_at(rows, "0/wireguard")));
	lab_pass(&lab, 1000);
	CHECK((j = lab_next(&lab, 31)) != NULL);
	p = lab_at(j, "PeersChanged/0");
	CHECK(json_is_true(lab_at(p, "IsWireGuardOnly")));
	CHECK(json_is_true(lab_at(p, "Online")));
	CHECK(lab_at(p, "DiscoKey") == NULL && lab_at(p, "Machine") == NULL);
	CHECK(strcmp(lab_str(p, "Key"), "nodekey:0102030405060708090a0b0c"
	    "0d0e0f101112131415161718191a1b1c1d1e1f20") == 0);
	CHECK(strcmp(lab_str(p, "Endpoints/0"), "192.0.2.9:51820") == 0);
	CHECK(strcmp(lab_str(p, "Addresses/0"), "100.64.3.3/32") == 0);
	CHECK(json_array_size(lab_at(p, "Addresses")) == 2);
	CHECK(json_array_size(lab_at(p, "AllowedIPs")) == 3);
	CHECK(strcmp(lab_str(p, "AllowedIPs/0"), "10.9.0.0/16") == 0);
	CHECK(strcmp(lab_str(p, "PrimaryRoutes/0"), "10.9.0.0/16") == 0);
	CHECK(json_is_object(lab_at(p, "Hostinfo")));
	CHECK(strcmp(lab_str(p, "SelfNodeV4MasqAddrForThisPeer"),
	    "10.66.0.2") == 0);
	json_decref(j);
	/* Bob may not, and hears nothing. */
	CHECK(lab_next(&lab, 32) == NULL);
	bad(add, 1, "already");
	bad("node add-wireguard name=w2 key=zz endpoint=192.0.2.9:1 "
	    "allow=10.0.0.0/8", 2, "public key");
	bad("node add-wireguard name=w2 key=AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY"
	    "GRobHB0eHyA= endpoint=192.0.2.9:1 allow=10.0.0.0/8", 1,
	    "a node's already");
	bad("node add-wireguard name=w2 key=BQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY"
	    "GRobHB0eHyA= endpoint=host:1 allow=10.0.0.0/8", 2, "endpoint");
	bad("node add-wireguard name=w2 key=BQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY"
	    "GRobHB0eHyA= endpoint=192.0.2.9:1 allow=100.64.3.3/32", 1,
	    "another node's");
	bad("node add-wireguard name=w2 key=BQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY"
	    "GRobHB0eHyA= endpoint=192.0.2.9:1 allow=10.0.0.0/8 "
	    "masquerade=10.0.0.1 masquerade=10.0.0.2", 2, "each family");
	good("node delete node=wg");
	lab_pass(&lab, 1000);
	CHECK((j = lab_next(&lab, 31)) != NULL);
	CHECK(json_array_size(lab_at(j, "PeersRemoved")) == 1);
	json_decref(j);
}

static void
test_policy(void)
{
	char	*text;
	size_t	 i;

	lab_policy(&lab, policy);
	good("policy explain source=alice@ destination=tag:web port=443 "
	    "proto=tcp");
	CHECK(json_is_true(lab_at(rows, "0/allowed")));
	CHECK(lab_int(rows, "0/line") == 4);
	CHECK(strncmp(lab_str(rows, "0/rule"), "{\"action\"", 9) == 0);
	good("policy explain source=alice@ destination=tag:web port=22");
	CHECK(json_is_false(lab_at(rows, "0/allowed")));
	CHECK(lab_int(rows, "0/line") == 0);
	good("policy explain source=one destination=zwei port=22");
	CHECK(json_is_false(lab_at(rows, "0/allowed")));
	bad("policy explain source=nobody@ destination=one", 1, "called");
	bad("policy explain source=one", 2, "destination");
	good("policy get");
	CHECK(strcmp(lab_str(rows, "0/text"), policy) == 0);

	CHECK(adm("policy check", policy) == 0);
	CHECK(adm("policy check", "{\"acls\":[") == 1);
	CHECK(json_is_false(lab_at(rows, "0/ok")));
	CHECK(strncmp(lab_str(rows, "0/text"), "policy:1", 8) == 0);
	CHECK(adm("policy test", "{\"acls\":[],\"tests\":[{\"src\":"
	    "\"alice@\",\"accept\":[\"100.64.0.1:22\"]}]}") == 1);
	CHECK(json_array_size(rows) > 0);
	CHECK(adm("policy set", policy) == 1);
	CHECK(strstr(error, "policy store") != NULL);

	lab.l_b.b_conf.c_policy = POLICY_STORE;
	CHECK(adm("policy set", "") == 1);
	/* A long one travels in pieces. */
	text = xcalloc(1, 40000);
	(void)strlcpy(text, "{\"acls\":[]}\n//", 40000);
	for (i = strlen(text); i < 20000; i++)
		text[i] = i % 7 == 0 ? '\t' : '"';
	text[i - 1] = '\n';
	CHECK(adm("policy set", text) == 0);
	free(text);
	good("policy get");
	CHECK(json_array_size(rows) > 5);
	CHECK(store_meta_get(lab.l_b.b_store, "policy", &text, &i) == 1);
	CHECK(i == 20000);
	free(text);
}

/* Whatever is asked without arguments gets an answer or a reason. */
static void
test_all_verbs(void)
{
	char	 line[64];
	size_t	 i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		(void)snprintf(line, sizeof(line), "%s %s x=y",
		    verbs[i].object, verbs[i].verb);
		if (verbs[i].verb[0] == '\0')
			continue;
		if (adm(line, NULL) == 0 ||
		    strcmp(error, "unknown command") == 0)
			errx(1, "%s: %s", line, error);
	}
	bad("user steal", 2, "unknown command");
	good("status");
	CHECK(lab_int(rows, "0/nodes") == (json_int_t)lab.l_b.b_nnodes);
}

int
main(void)
{
	lab_open(&lab, NULL, POLICY_FILE, policy);
	test_users();
	test_keys();
	test_nodes();
	test_pings();
	test_wireguard();
	test_policy();
	test_all_verbs();
	json_decref(rows);
	lab_close(&lab);
	return 0;
}
