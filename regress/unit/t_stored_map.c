/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Map streams: the first message, deltas, who sees what and when.
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

static const char	 own_devices[] = "{\"acls\":[{\"action\":\"accept\","
    "\"src\":[\"autogroup:member\"],\"dst\":[\"autogroup:self:*\"]}]}";
static const char	 ab_only[] = "{\"acls\":[{\"action\":\"accept\","
    "\"src\":[\"alice@\"],\"dst\":[\"bob@:22\"]}]}";

static const char	 undefined[] = "{\n \"acls\": [\n  {\"action\":"
    "\"accept\",\"src\":[\"group:no\"],\"dst\":[\"*:*\"]}\n ]\n}";

static struct lab	 lab;
static char		 alice[AUTHKEY_TEXT], bob[AUTHKEY_TEXT];

static void
start(uint8_t mode, const char *text)
{
	lab_open(&lab, NULL, mode, NULL);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, alice);
	lab_authkey(&lab, "bob", NULL, 1, 0, 0, bob);
	if (text != NULL)
		lab_policy(&lab, text);
}

/* Forget what was sent so far. */
static void
quiet(void)
{
	unsigned int	 s;
	json_t		*j;

	lab_pass(&lab, 2000);
	for (s = 0; s < 128; s++)
		while ((j = lab_next(&lab, s)) != NULL)
			json_decref(j);
}

/* Nodes 1 (alice), 2 (bob), 3 (alice), with polls on streams 11, 12, 13. */
static void
three(void)
{
	lab_join(&lab, 1, 1, alice, "one");
	lab_join(&lab, 2, 2, bob, "two");
	lab_join(&lab, 3, 3, alice, "three");
	lab_poll(&lab, 1, 1, 11);
	lab_poll(&lab, 2, 2, 12);
	lab_poll(&lab, 3, 3, 13);
}

static json_t *
next(unsigned int s)
{
	json_t	*j;

	lab_pass(&lab, 200);
	if ((j = lab_next(&lab, s)) == NULL)
		errx(1, "stream %u: no message", s);
	return j;
}

static void
quiet_since(unsigned int s, int line)
{
	char	*text;

	lab_pass(&lab, 200);
	if (lab_raw(&lab, s, &text, NULL) != 0)
		errx(1, "line %d: stream %u: nobody needs %.2000s", line, s,
		    text);
}
#define silent(s)	quiet_since((s), __LINE__)

/* Fields that clients cannot do without. control.md 4.4, 4.5, 4.14. */
static void
check_node(json_t *n)
{
	const char	*name = lab_str(n, "Name");

	CHECK(lab_int(n, "ID") > 0);
	CHECK(lab_str(n, "StableID")[0] != '\0');
	CHECK(name[0] != '\0' && name[strlen(name) - 1] == '.');
	CHECK(lab_int(n, "User") > 0);
	CHECK(strncmp(lab_str(n, "Key"), "nodekey:", 8) == 0);
	CHECK(json_array_size(lab_at(n, "Addresses")) == 2);
	CHECK(json_array_size(lab_at(n, "AllowedIPs")) >= 2);
	CHECK(json_is_object(lab_at(n, "Hostinfo")));
	CHECK(json_is_boolean(lab_at(n, "Online")));
	CHECK(json_is_true(lab_at(n, "MachineAuthorized")));
	CHECK(lab_at(n, "LastSeen") == NULL ||
	    json_is_false(lab_at(n, "Online")));
}

static void
test_first(void)
{
	json_t	*j;

	start(POLICY_ALLOW, NULL);
	three();
	lab_lite(&lab, 2, 2, "192.0.2.7:41641", "{\"Hostname\":\"two\","
	    "\"OS\":\"linux\",\"BackendLogID\":\"secret\",\"Services\":["
	    "{\"Proto\":\"peerapi4\",\"Port\":1},{\"Proto\":\"tcp\","
	    "\"Port\":22}],\"NetInfo\":{\"PreferredDERP\":3}}");
	quiet();
	lab_poll(&lab, 1, 1, 21);
	j = next(21);
	check_node(lab_at(j, "Node"));
	CHECK(strcmp(lab_str(j, "Node/Name"), "one.tail.example.") == 0);
	CHECK(strcmp(lab_str(j, "Domain"), "tail.example") == 0);
	CHECK(json_is_object(lab_at(j, "DERPMap/Regions")));
	CHECK(json_is_object(lab_at(j, "DNSConfig")));
	CHECK(json_is_true(lab_at(j, "DNSConfig/Proxied")));
	CHECK(json_is_array(lab_at(j, "PacketFilters/base")));
	CHECK(json_is_true(lab_at(j, "Debug/DisableLogTail")));
	CHECK(json_is_false(lab_at(j, "CollectServices")));
	CHECK(lab_str(j, "ControlTime")[0] != '\0');
	CHECK(json_array_size(lab_at(j, "UserProfiles")) == 2);
	CHECK(json_array_size(lab_at(j, "Peers")) == 2);
	CHECK(lab_int(j, "Peers/0/ID") == 2 && lab_int(j, "Peers/1/ID") == 3);
	check_node(lab_at(j, "Peers/0"));
	CHECK(lab_int(j, "Peers/0/HomeDERP") == 3);
	CHECK(strcmp(lab_str(j, "Peers/0/Endpoints/0"),
	    "192.0.2.7:41641") == 0);
	CHECK(strcmp(lab_str(j, "Peers/0/Hostinfo/OS"), "linux") == 0);
	CHECK(lab_at(j, "Peers/0/Hostinfo/BackendLogID") == NULL);
	CHECK(json_array_size(lab_at(j, "Peers/0/Hostinfo/Services")) == 1);
	CHECK(json_is_true(lab_at(j, "Peers/0/Online")));
	json_decref(j);
	lab_close(&lab);
}

static void
test_deny_by_default(void)
{
	json_t	*j;

	start(POLICY_NONE, NULL);
	three();
	j = next(11);
	CHECK(lab_at(j, "Peers") == NULL);
	CHECK(json_is_array(lab_at(j, "PacketFilters/base")));
	CHECK(json_array_size(lab_at(j, "PacketFilters/base")) == 0);
	CHECK(json_array_size(lab_at(j, "UserProfiles")) == 1);
	json_decref(j);
	quiet();
	/* Nobody hears of anybody. */
	lab_lite(&lab, 2, 2, "192.0.2.7:1", NULL);
	silent(11);
	silent(13);
	lab_close(&lab);
}

/* What lets nobody talk and what lets everybody: no policy is not "all". */
static void
test_default(void)
{
	static const struct {
		const char	*text;
		size_t		 peers;
	} t[] = {
		{ "{\"acls\":[]}",				0 },
		{ "{\"grants\":[]}",				0 },
		{ "{\"acls\":[],\"grants\":[]}",		0 },
		{ "{}",						2 }
	};
	json_t	*j;
	size_t	 i;

	start(POLICY_NONE, NULL);
	three();
	lab_hangup(&lab, 11);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		lab_policy(&lab, t[i].text);
		quiet();
		lab_poll(&lab, 1, 1, 60 + (unsigned int)i);
		j = next(60 + (unsigned int)i);
		if (json_array_size(lab_at(j, "Peers")) != t[i].peers)
			errx(1, "%s: %zu peers", t[i].text,
			    json_array_size(lab_at(j, "Peers")));
		CHECK((json_array_size(lab_at(j, "PacketFilters/base")) > 0)
		    == (t[i].peers > 0));
		json_decref(j);
		lab_hangup(&lab, 60 + (unsigned int)i);
	}
	lab_close(&lab);
}

/* Nothing goes out before the first, whole message. */
static void
test_no_delta_before_full(void)
{
	json_t	*j;

	start(POLICY_ALLOW, NULL);
	lab_join(&lab, 1, 1, alice, "one");
	lab.l_full = 1;
	lab_poll(&lab, 1, 1, 11);
	lab_join(&lab, 2, 2, bob, "two");
	lab_poll(&lab, 2, 2, 12);
	lab_lite(&lab, 2, 2, "192.0.2.7:1", NULL);
	silent(11);
	lab.l_full = 0;
	j = next(11);
	CHECK(lab_at(j, "Node") != NULL);
	/* It shows what came meanwhile, and no delta repeats it. */
	CHECK(strcmp(lab_str(j, "Peers/0/Endpoints/0"), "192.0.2.7:1") == 0);
	json_decref(j);
	silent(11);
	lab_close(&lab);
}

static void
test_patches(void)
{
	json_t	*j, *p;

	start(POLICY_ALLOW, NULL);
	three();
	quiet();
	lab_lite(&lab, 2, 2, "192.0.2.7:1", NULL);
	j = next(11);
	CHECK((p = lab_peer(j, "PeersChangedPatch", 2)) != NULL);
	CHECK(strcmp(lab_str(p, "Endpoints/0"), "192.0.2.7:1") == 0);
	CHECK(strncmp(lab_str(p, "DiscoKey"), "discokey:", 9) == 0);
	/* A delta has what changed and nothing else. */
	CHECK(json_object_size(j) == 1);
	json_decref(j);
	silent(12);

	/* The same again, an empty request: no news. */
	json_decref(next(13));
	lab_lite(&lab, 2, 2, "192.0.2.7:1", NULL);
	lab_lite(&lab, 2, 2, NULL, NULL);
	silent(13);
	CHECK(node_find(&lab.l_b, 2)->n_rec.r_nendpoints == 1);

	lab_lite(&lab, 2, 2, NULL, "{\"Hostname\":\"two\","
	    "\"OS\":\"linux\",\"NetInfo\":{\"PreferredDERP\":4}}");
	j = next(13);
	CHECK((p = lab_peer(j, "PeersChangedPatch", 2)) != NULL);
	CHECK(lab_int(p, "DERPRegion") == 4);
	json_decref(j);
	/* Hostinfo without NetInfo takes nothing away. */
	lab_lite(&lab, 2, 2, NULL, "{\"Hostname\":\"two\","
	    "\"OS\":\"linux\"}");
	silent(13);
	CHECK(node_find(&lab.l_b, 2)->n_rec.r_derp == 4);
	CHECK(node_find(&lab.l_b, 2)->n_rec.r_netinfo != NULL);

	/* Another host name is another node to look at. */
	lab_lite(&lab, 2, 2, NULL, "{\"Hostname\":\"TWO b.lan\"}");
	j = next(13);
	CHECK((p = lab_peer(j, "PeersChanged", 2)) != NULL);
	check_node(p);
	CHECK(strcmp(lab_str(p, "Name"), "two-b.tail.example.") == 0);
	CHECK(lab_at(j, "PeersChangedPatch") == NULL);
	json_decref(j);
	j = next(12);
	CHECK(strcmp(lab_str(j, "Node/Name"), "two-b.tail.example.") == 0);
	json_decref(j);
	lab_close(&lab);
}

static void
test_online(void)
{
	char	*text;
	json_t	*j, *p;
	uint32_t flags;

	start(POLICY_ALLOW, NULL);
	three();
	quiet();
	/* A new poll takes the place of the old one; nobody notices. */
	lab_poll(&lab, 2, 2, 22);
	lab_pass(&lab, 100);
	CHECK(lab_raw(&lab, 12, &text, &flags) == 200);
	CHECK(text[0] == '\0' && (flags & RPC_F_END));
	free(text);
	json_decref(next(22));
	lab_hangup(&lab, 12);		/* late word of the old one */
	lab_pass(&lab, 20000);
	silent(11);
	CHECK(node_find(&lab.l_b, 2)->n_rec.r_online);

	/* Gone for a moment is not gone. */
	lab_hangup(&lab, 22);
	lab_pass(&lab, 5000);
	lab_poll(&lab, 2, 2, 23);
	lab_pass(&lab, 20000);
	silent(11);
	json_decref(next(23));

	lab_hangup(&lab, 23);
	lab_pass(&lab, 9000);
	silent(11);
	lab_pass(&lab, 2000);
	j = next(11);
	CHECK((p = lab_peer(j, "PeersChangedPatch", 2)) != NULL);
	CHECK(json_is_false(lab_at(p, "Online")));
	CHECK(lab_str(p, "LastSeen")[0] != '\0');
	json_decref(j);
	quiet();
	lab_poll(&lab, 2, 2, 24);
	j = next(11);
	CHECK((p = lab_peer(j, "PeersChangedPatch", 2)) != NULL);
	CHECK(json_is_true(lab_at(p, "Online")));
	CHECK(lab_at(p, "LastSeen") == NULL);
	json_decref(j);
	lab_close(&lab);
}

static void
test_policy_change(void)
{
	struct node	*n;
	json_t		*j;

	start(POLICY_NONE, NULL);
	three();
	quiet();
	lab_policy(&lab, own_devices);
	j = next(11);
	CHECK(lab_peer(j, "PeersChanged", 3) != NULL);
	CHECK(lab_peer(j, "PeersChanged", 2) == NULL);
	CHECK(json_array_size(lab_at(j, "PacketFilters/base")) == 1);
	CHECK(lab_at(j, "Node") == NULL && lab_at(j, "DNSConfig") == NULL);
	CHECK(json_array_size(lab_at(j, "UserProfiles")) == 1);
	json_decref(j);
	j = next(12);
	CHECK(lab_at(j, "PeersChanged") == NULL && json_object_size(j) == 1);
	json_decref(j);
	json_decref(next(13));

	/* One sees another as soon as either may talk. */
	lab_policy(&lab, ab_only);
	j = next(11);
	CHECK(lab_removed(j, 3) && lab_peer(j, "PeersChanged", 2) != NULL);
	CHECK(json_array_size(lab_at(j, "PacketFilters/base")) == 0);
	json_decref(j);
	j = next(12);
	CHECK(lab_peer(j, "PeersChanged", 1) != NULL);
	CHECK(lab_peer(j, "PeersChanged", 3) != NULL);
	CHECK(lab_int(j, "PacketFilters/base/0/DstPorts/0/Ports/First") ==
	    22);
	json_decref(j);
	quiet();

	/* Who comes after the change is seen, and in the filter. */
	n = lab_join(&lab, 4, 4, alice, "four");
	j = next(12);
	CHECK(lab_peer(j, "PeersChanged", n->n_rec.r_id) != NULL);
	CHECK(lab_at(j, "PacketFilters") != NULL);
	json_decref(j);
	silent(11);

	/* The same policy again is no news. */
	lab_policy(&lab, ab_only);
	silent(11);
	silent(12);

	/* Alone: all are taken back. */
	CHECK(policy_apply(&lab.l_b, POLICY_NONE, NULL, NULL, 0, 0,
	    &(char *){ NULL }) == 0);
	j = next(12);
	CHECK(lab_removed(j, 1) && lab_removed(j, 3) && lab_removed(j, 4));
	CHECK(json_is_array(lab_at(j, "PacketFilters/base")));
	CHECK(json_array_size(lab_at(j, "PacketFilters/base")) == 0);
	json_decref(j);
	/* Then nothing of them reaches it any more. */
	lab_lite(&lab, 1, 1, "192.0.2.1:1", NULL);
	silent(12);
	lab_close(&lab);
}

static void
test_bad_policy(void)
{
	char	*msgs;

	start(POLICY_NONE, own_devices);
	three();
	quiet();
	CHECK(policy_apply(&lab.l_b, POLICY_FILE, "p.hujson", undefined,
	    strlen(undefined), 0, &msgs) == -1);
	CHECK(strncmp(msgs, "p.hujson:3: ", 12) == 0);
	free(msgs);
	CHECK(policy_apply(&lab.l_b, POLICY_FILE, "p.hujson", "", 0, 0,
	    &msgs) == -1);
	free(msgs);
	silent(11);
	silent(12);
	lab_poll(&lab, 1, 1, 31);
	json_decref(next(31));
	lab_close(&lab);
}

static void
test_deletion(void)
{
	struct node	*n;
	char		 eph[AUTHKEY_TEXT];
	json_t		*j;
	uint32_t	 flags;
	uint8_t		 addr[4];

	start(POLICY_ALLOW, NULL);
	three();
	quiet();
	n = node_find(&lab.l_b, 2);
	memcpy(addr, n->n_rec.r_addr4, 4);
	CHECK(node_delete(&lab.l_b, n, "test", "delete") == 0);
	j = next(11);
	CHECK(lab_removed(j, 2));
	json_decref(j);
	CHECK(lab_raw(&lab, 12, NULL, &flags) == 200 && (flags & RPC_F_END));
	/* Neither its number nor (yet) its address comes back. */
	n = lab_join(&lab, 2, 2, bob, "two");
	CHECK(n->n_rec.r_id == 4);
	CHECK(memcmp(n->n_rec.r_addr4, addr, 4) != 0);
	CHECK(strcmp(n->n_rec.r_label, "two") == 0);
	quiet();

	lab_authkey(&lab, "alice", NULL, 1, 1, 0, eph);
	n = lab_join(&lab, 5, 5, eph, "tmp");
	lab_poll(&lab, 5, 5, 15);
	quiet();
	lab_pass(&lab, 600000);		/* while it is there it stays */
	CHECK(lab.l_b.b_nnodes == 4);
	lab_hangup(&lab, 15);
	lab_pass(&lab, 60000);
	CHECK(lab.l_b.b_nnodes == 4);
	quiet();
	lab_pass(&lab, 90000);
	CHECK(lab.l_b.b_nnodes == 3);
	j = next(11);
	CHECK(lab_removed(j, 5));
	json_decref(j);
	/* One that never came does not stay either. */
	lab_join(&lab, 6, 6, eph, "tmp");
	lab_pass(&lab, 130000);
	CHECK(lab.l_b.b_nnodes == 3);
	lab_close(&lab);
}

/* Never, not yet, past: none of them turns into another. */
static void
test_expiry(void)
{
	struct noderec	 r;
	struct node	*n;
	json_t		*j, *p;
	int		 i;

	start(POLICY_ALLOW, NULL);
	three();
	quiet();
	n = node_find(&lab.l_b, 2);
	for (i = 0; i < 2; i++) {
		noderec_copy(&r, &n->n_rec);
		r.r_expiry = lab.l_b.b_date + 3600 * SEC;
		CHECK(node_put(&lab.l_b, n, &r, "test", "expiry") == 0);
		j = next(11);
		CHECK((p = lab_peer(j, "PeersChanged", 2)) != NULL);
		CHECK(lab_at(p, "Expired") == NULL);
		CHECK(lab_str(p, "KeyExpiry")[0] == '2');
		json_decref(j);
		quiet();
		lab_pass(&lab, 3590000);
		silent(11);
		lab_pass(&lab, 20000);
		j = next(11);
		CHECK((p = lab_peer(j, "PeersChanged", 2)) != NULL);
		CHECK(json_is_true(lab_at(p, "Expired")));
		json_decref(j);
		j = next(12);
		CHECK(lab_str(j, "Node/KeyExpiry")[0] == '2');
		json_decref(j);
		quiet();
	}
	noderec_copy(&r, &n->n_rec);
	r.r_expiry = 0;
	CHECK(node_put(&lab.l_b, n, &r, "test", "never") == 0);
	j = next(11);
	CHECK((p = lab_peer(j, "PeersChanged", 2)) != NULL);
	CHECK(lab_at(p, "KeyExpiry") == NULL && lab_at(p, "Expired") == NULL);
	json_decref(j);
	lab_pass(&lab, 365LL * 86400 * 1000);
	CHECK(!node_is_expired(&lab.l_b, n));
	lab_close(&lab);
}

/* A date far ahead ends keys; set right, they have not ended. */
static void
test_clock_step(void)
{
	struct brain	*b = &lab.l_b;
	json_t		*j;

	start(POLICY_ALLOW, NULL);
	three();
	quiet();
	brain_clock(b, b->b_now, b->b_date + 400LL * 86400 * SEC);
	lab_pass(&lab, 61000);
	j = next(11);
	CHECK(json_is_true(lab_at(j, "PeersChanged/0/Expired")));
	json_decref(j);
	quiet();
	brain_clock(b, b->b_now, b->b_date - 400LL * 86400 * SEC);
	j = next(11);
	CHECK(lab_at(j, "PeersChanged/0/ID") != NULL);
	CHECK(lab_at(j, "PeersChanged/0/Expired") == NULL);
	json_decref(j);
	lab_close(&lab);
}

/* Fetches without a stream do not disturb the poll. */
static void
test_once(void)
{
	struct map_req	 q;
	uint32_t	 flags;
	char		*text;

	start(POLICY_ALLOW, NULL);
	three();
	quiet();
	memset(&q, 0, sizeof(q));
	q.m_rpc.conn = q.m_rpc.stream = 40;
	q.m_read_only = 1;
	lab_map(&lab, &q, 1, 1);
	CHECK(lab_raw(&lab, 40, &text, &flags) == 200);
	CHECK((flags & RPC_F_END) && (flags & RPC_F_MSGEND));
	CHECK(strstr(text, "\"Peers\":[") != NULL);
	free(text);
	CHECK(node_find(&lab.l_b, 1)->n_viewer != NULL);
	/* Hostinfo that is none is an error, and harmless. */
	q.m_read_only = 0;
	q.m_omit_peers = 1;
	q.m_hostinfo = "[1]";
	q.m_hostinfolen = 3;
	lab_map(&lab, &q, 1, 1);
	CHECK(lab_raw(&lab, 40, NULL, NULL) == 400);
	lab_close(&lab);
}

/* A client in a loop is told to wait, and gets its map later. */
static void
test_poll_rate(void)
{
	unsigned int	 i, status;

	start(POLICY_ALLOW, NULL);
	three();
	quiet();
	lab_pass(&lab, 10000);
	for (i = 0; i < 100; i++) {
		lab_poll(&lab, 1, 1, 50);
		lab_pass(&lab, 10);
		while ((status = lab_raw(&lab, 50, NULL, NULL)) == 200)
			;
		if (status == 429)
			break;
		lab_hangup(&lab, 50);
	}
	CHECK(i == POLLS_MAX);
	/* Others are not concerned. */
	lab_poll(&lab, 3, 3, 33);
	json_decref(next(33));
	lab_pass(&lab, 11000);
	lab_poll(&lab, 1, 1, 51);
	json_decref(next(51));
	lab_close(&lab);
}

/* Slots of deleted nodes are taken together; viewers stay right. */
static void
test_compact(void)
{
	struct node	*n;
	unsigned int	 i;
	json_t		*j;

	start(POLICY_ALLOW, NULL);
	for (i = 0; i < 200; i++)
		lab_join(&lab, 100 + i, 100 + i, alice, "x");
	three();
	quiet();
	for (i = 1; i <= 200; i++)
		CHECK(node_delete(&lab.l_b, node_find(&lab.l_b, i), "test",
		    "delete") == 0);
	quiet();
	CHECK(lab.l_b.b_nslots == 3 && lab.l_b.b_nholes == 0);
	lab_lite(&lab, 2, 2, "192.0.2.7:1", NULL);
	j = next(11);
	CHECK(lab_peer(j, "PeersChangedPatch", 202) != NULL);
	json_decref(j);
	silent(12);
	n = lab_join(&lab, 4, 4, bob, "four");
	j = next(13);
	CHECK(lab_peer(j, "PeersChangedPatch", 202) != NULL);
	json_decref(j);
	j = next(13);
	CHECK(lab_peer(j, "PeersChanged", n->n_rec.r_id) != NULL);
	CHECK(json_array_size(lab_at(j, "PeersChanged")) == 1);
	json_decref(j);
	lab_close(&lab);
}

/* A slow frontd: what piles up for a viewer becomes one message. */
static void
test_coalescing(void)
{
	json_t	*j, *p;

	start(POLICY_ALLOW, NULL);
	three();
	quiet();
	lab.l_full = 1;
	lab_lite(&lab, 2, 2, "192.0.2.7:1", NULL);
	lab_pass(&lab, 100);
	lab_lite(&lab, 2, 2, "192.0.2.7:2", NULL);
	lab_lite(&lab, 3, 3, "192.0.2.8:2", NULL);
	lab_pass(&lab, 100);
	CHECK(node_delete(&lab.l_b, node_find(&lab.l_b, 3), "test",
	    "delete") == 0);
	lab_pass(&lab, 100);
	lab.l_full = 0;
	j = next(11);
	CHECK(lab_removed(j, 3));
	CHECK((p = lab_peer(j, "PeersChangedPatch", 2)) != NULL);
	CHECK(json_array_size(lab_at(j, "PeersChangedPatch")) == 1);
	CHECK(strcmp(lab_str(p, "Endpoints/0"), "192.0.2.7:2") == 0);
	json_decref(j);
	silent(11);
	lab_close(&lab);
}

/* The first message of node one's poll with that version, and a delta. */
static void
band(unsigned int version, unsigned int s)
{
	struct map_req	 q;
	json_t		*j, *p;

	memset(&q, 0, sizeof(q));
	q.m_rpc.conn = q.m_rpc.stream = s;
	q.m_stream = 1;
	q.m_version = version;
	lab_map(&lab, &q, 1, 1);
	j = next(s);
	check_node(lab_at(j, "Node"));
	p = lab_at(j, "Peers/0");
	check_node(p);
	CHECK((lab_at(j, "PacketFilter") != NULL) == (version < 81));
	CHECK((lab_at(j, "PacketFilters/base") != NULL) == (version >= 81));
	CHECK(json_is_array(lab_at(j, "Node/Capabilities")) == (version < 74));
	CHECK(json_is_object(lab_at(j, "Node/CapMap")) == (version >= 74));
	CHECK(strcmp(lab_str(p, "DERP"),
	    version < 111 ? "127.3.3.40:3" : "") == 0);
	CHECK(lab_int(p, "HomeDERP") == 3);
	CHECK(json_array_size(lab_at(p, "AllowedIPs")) == 2);
	CHECK(lab_at(j, "Health") == NULL && lab_at(j, "TKAInfo") == NULL);
	json_decref(j);
	lab_policy(&lab, "{\"acls\":[{\"action\":\"accept\",\"src\":"
	    "[\"*\"],\"dst\":[\"*:22\"]}]}");
	j = next(s);
	CHECK((lab_at(j, "PacketFilter") != NULL) == (version < 81));
	CHECK((lab_at(j, "PacketFilters/base") != NULL) == (version >= 81));
	json_decref(j);
	lab_policy(&lab, "{\"acls\":[{\"action\":\"accept\",\"src\":"
	    "[\"*\"],\"dst\":[\"*:*\"]}]}");
	quiet();
	lab_hangup(&lab, s);
}

/* Each client gets what its version can read. control.md 7. */
static void
test_versions(void)
{
	static const unsigned int	 versions[] = {
		60, 67, 68, 73, 74, 80, 81, 89, 90, 110, 111, 113, 145, 65535
	};
	struct map_req			 q;
	size_t				 i;

	start(POLICY_ALLOW, NULL);
	lab_policy(&lab, "{\"acls\":[{\"action\":\"accept\",\"src\":"
	    "[\"*\"],\"dst\":[\"*:*\"]}]}");
	lab_join(&lab, 1, 1, alice, "one");
	lab_join(&lab, 2, 2, bob, "two");
	lab_lite(&lab, 2, 2, "192.0.2.7:41641",
	    "{\"Hostname\":\"two\",\"NetInfo\":{\"PreferredDERP\":3}}");
	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		band(versions[i], 30 + i);
	memset(&q, 0, sizeof(q));
	q.m_rpc.conn = q.m_rpc.stream = 3;
	q.m_version = 59;
	lab_map(&lab, &q, 1, 1);
	CHECK(lab_raw(&lab, 3, NULL, NULL) == 400);
	lab_close(&lab);
}

/* Before 68 a poll tells what later clients say in lite updates. */
static void
test_old_poll(void)
{
	static const char	 host[] = "{\"Hostname\":\"renamed\"}";
	struct map_req		 q;
	unsigned int		 version;

	start(POLICY_ALLOW, NULL);
	lab_join(&lab, 1, 1, alice, "one");
	for (version = 68; version >= 67; version--) {
		memset(&q, 0, sizeof(q));
		q.m_rpc.conn = q.m_rpc.stream = 40 + version;
		q.m_stream = 1;
		q.m_version = version;
		q.m_hostinfo = host;
		q.m_hostinfolen = strlen(host);
		lab_map(&lab, &q, 1, 1);
		quiet();
		lab_hangup(&lab, 40 + version);
		CHECK((node_find_label(&lab.l_b, "renamed") != NULL) ==
		    (version < 68));
	}
	lab_close(&lab);
}

int
main(void)
{
	test_first();
	test_versions();
	test_old_poll();
	test_deny_by_default();
	test_default();
	test_no_delta_before_full();
	test_patches();
	test_online();
	test_policy_change();
	test_bad_policy();
	test_deletion();
	test_expiry();
	test_clock_step();
	test_once();
	test_poll_rate();
	test_compact();
	test_coalescing();
	return 0;
}
