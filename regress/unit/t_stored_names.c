/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses and names: what is given, what never, what when all is gone.
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

static const struct {
	const char	*host;
	const char	*label;
} labels[] = {
	{ "Joe's Mac mini",		"joes-mac-mini" },
	{ "mail.server",		"mail-server" },
	{ "My-PC!",			"my-pc" },
	{ "box.local",			"box" },
	{ "box.localdomain",		"box" },
	{ "BOX.LAN",			"box" },
	{ "--x--",			"x" },
	{ "\xc3\xa9t\xc3\xa9",		"t" },
	{ "\xe6\x97\xa5\xe6\x9c\xac",	"node" },
	{ "",				"node" },
	{ "...",			"node" },
	{ "a_b@c d",			"a-b-c-d" },
	{ "x123456789012345678901234567890123456789012345678901234567890"
	  "123456789",
	  "x12345678901234567890123456789012345678901234567890123456789012" }
};

static struct lab	 lab;
static char		 key[AUTHKEY_TEXT];

static void
test_labels(void)
{
	char	 label[NODE_LABEL_MAX];
	size_t	 i;

	for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		name_label(labels[i].host, label);
		if (strcmp(label, labels[i].label) != 0)
			errx(1, "'%s': '%s', want '%s'", labels[i].host,
			    label, labels[i].label);
	}
	name_label(NULL, label);
	CHECK(strcmp(label, "node") == 0);
	CHECK(name_valid("a-1") && !name_valid("A") && !name_valid("-a"));
	CHECK(!name_valid("") && !name_valid("a.b") && !name_valid("17"));
}

static void
test_collisions(void)
{
	struct noderec	 r;
	struct node	*n[4];
	char		 name[NODE_LABEL_MAX], longest[80];
	unsigned int	 i;

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, key);
	for (i = 0; i < 4; i++) {
		n[i] = lab_join(&lab, i + 1, i + 1, key, "www");
		(void)snprintf(name, sizeof(name), i == 0 ? "www" : "www-%u",
		    i);
		CHECK(strcmp(n[i]->n_rec.r_label, name) == 0);
	}
	/* The lowest that is free. */
	CHECK(node_delete(&lab.l_b, n[1], "t", "d") == 0);
	CHECK(strcmp(lab_join(&lab, 9, 9, key, "www")->n_rec.r_label,
	    "www-1") == 0);
	/* Who has a number keeps it; who was named by an admin keeps that. */
	lab_lite(&lab, 3, 3, NULL, "{\"Hostname\":\"WWW\"}");
	CHECK(strcmp(n[2]->n_rec.r_label, "www-2") == 0);
	lab_lite(&lab, 3, 3, NULL, "{\"Hostname\":\"other\"}");
	CHECK(strcmp(n[2]->n_rec.r_label, "other") == 0);
	noderec_copy(&r, &n[2]->n_rec);
	(void)strlcpy(r.r_label, "given", sizeof(r.r_label));
	r.r_given = 1;
	CHECK(node_put(&lab.l_b, n[2], &r, "t", "rename") == 0);
	lab_lite(&lab, 3, 3, NULL, "{\"Hostname\":\"www\"}");
	CHECK(strcmp(n[2]->n_rec.r_label, "given") == 0);
	/* 63 bytes are the most, number included. */
	memset(longest, 'l', 70);
	longest[70] = '\0';
	lab_join(&lab, 20, 20, key, longest);
	n[0] = lab_join(&lab, 21, 21, key, longest);
	CHECK(strlen(n[0]->n_rec.r_label) == 63);
	CHECK(strcmp(n[0]->n_rec.r_label + 61, "-1") == 0);
	lab_close(&lab);
}

static void
test_pairs(void)
{
	struct noderec	 r;
	struct node	*n;
	char		 text[ADDR_TEXT], msg[256];
	unsigned int	 i;
	static const uint8_t	 bad4[][4] = {
		{ 100, 64, 0, 0 }, { 100, 127, 255, 255 },
		{ 100, 100, 100, 100 }, { 100, 100, 0, 7 },
		{ 100, 115, 93, 1 }, { 10, 0, 0, 1 }, { 100, 128, 0, 1 }
	};
	static const uint8_t	 service6[16] = { 0xfd, 0x7a, 0x11, 0x5c,
		0xa1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53 };
	static const uint8_t	 via6[16] = { 0xfd, 0x7a, 0x11, 0x5c,
		0xa1, 0xe0, 0x0b, 0x1a, 0, 0, 0, 7, 10, 0, 0, 1 };

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, key);
	n = lab_join(&lab, 1, 1, key, "x");
	addr_print4(n->n_rec.r_addr4, text, sizeof(text));
	CHECK(strcmp(text, "100.64.0.1") == 0);
	addr_print6(n->n_rec.r_addr6, text, sizeof(text));
	CHECK(strcmp(text, "fd7a:115c:a1e0::1") == 0);
	for (i = 0; i < sizeof(bad4) / sizeof(bad4[0]); i++)
		CHECK(!alloc_free4(&lab.l_b, bad4[i]));
	CHECK(!alloc_free6(&lab.l_b, service6));
	CHECK(!alloc_free6(&lab.l_b, via6));
	for (i = 2; i < 120; i++) {
		n = lab_join(&lab, i, i, key, "x");
		CHECK(memcmp(n->n_rec.r_addr6, service6, 16) != 0);
		CHECK(n->n_rec.r_addr4[3] == n->n_rec.r_addr6[15]);
	}
	/* Past the reserved ones, not through them. */
	lab.l_b.b_addr_last = (36ULL << 16) + 254 - 256;
	memset(&r, 0, sizeof(r));
	CHECK(alloc_addrs(&lab.l_b, &r, msg, sizeof(msg)) == 0);
	addr_print4(r.r_addr4, text, sizeof(text));
	CHECK(strcmp(text, "100.99.255.255") == 0);
	memset(&r, 0, sizeof(r));
	CHECK(alloc_addrs(&lab.l_b, &r, msg, sizeof(msg)) == 0);
	addr_print4(r.r_addr4, text, sizeof(text));
	CHECK(strcmp(text, "100.100.1.0") == 0);
	lab_close(&lab);
}

static void
test_exhaustion(void)
{
	struct reg_req	 q;
	struct sconf	 c;
	unsigned int	 i;
	json_t		*j;

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab_conf(&c, POLICY_ALLOW);
	c.c_addr4.plen = 29;
	brain_configure(&lab.l_b, &c);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, key);
	for (i = 1; i <= 6; i++)
		lab_join(&lab, i, i, key, "x");
	lab_register_req(&q, 7, 7, 1, key, NULL);
	j = lab_register(&lab, &q);
	CHECK(strcmp(lab_str(j, "Error"),
	    "no free address in 100.64.0.0/29") == 0);
	json_decref(j);
	CHECK(lab.l_b.b_nnodes == 6);
	/* One goes: its address is what is left, also after the wrap. */
	CHECK(node_delete(&lab.l_b, node_find(&lab.l_b, 3), "t", "d") == 0);
	CHECK(lab_join(&lab, 8, 8, key, "x")->n_rec.r_addr4[3] == 3);
	lab_close(&lab);
}

/* One family alone works as well. */
static void
test_one_family(void)
{
	struct sconf	 c;
	struct node	*n;
	json_t		*j;

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	lab_conf(&c, POLICY_ALLOW);
	memset(&c.c_addr4, 0, sizeof(c.c_addr4));
	brain_configure(&lab.l_b, &c);
	lab_authkey(&lab, "alice", NULL, 1, 0, 0, key);
	n = lab_join(&lab, 1, 1, key, "x");
	CHECK(!n->n_rec.r_has4 && n->n_rec.r_has6);
	n = lab_join(&lab, 2, 2, key, "x");
	CHECK(n->n_rec.r_addr6[15] == 2);
	lab_poll(&lab, 1, 1, 11);
	lab_pass(&lab, 100);
	j = lab_next(&lab, 11);
	CHECK(json_array_size(lab_at(j, "Node/Addresses")) == 1);
	CHECK(strcmp(lab_str(j, "Peers/0/Addresses/0"),
	    "fd7a:115c:a1e0::2/128") == 0);
	json_decref(j);
	/* The other family comes: everybody gets it. */
	lab_conf(&c, POLICY_ALLOW);
	brain_configure(&lab.l_b, &c);
	lab_pass(&lab, 100);
	j = lab_next(&lab, 11);
	CHECK(json_array_size(lab_at(j, "Node/Addresses")) == 2);
	CHECK(json_array_size(lab_at(j, "PeersChanged/0/Addresses")) == 2);
	json_decref(j);
	lab_close(&lab);
}

int
main(void)
{
	test_labels();
	test_collisions();
	test_pairs();
	test_exhaustion();
	test_one_family();
	return 0;
}
