/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Relays that are told who may use them: who may ask, the whole list, what
 * changes, a sign of life, bounds, and the end when the secret is another.
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

static struct lab	 lab;
static struct sink	 sink;
static char		 said[2][4096];		/* to relay 1 and 2 */
static int		 ended[2];

static void
lines(void *arg, uint64_t conn, const char *text, size_t len)
{
	char	*p;
	size_t	 have;

	CHECK(conn == 1 || conn == 2);
	p = said[conn - 1];
	have = strlen(p);
	CHECK(len < sizeof(said[0]) - have);
	if (len == 0)
		ended[conn - 1] = 1;
	else
		memcpy(p + have, text, len);
	p[have + len] = '\0';
}

/* What was said to a relay, once. */
static int
heard(int relay, const char *want)
{
	int	 same = strcmp(said[relay - 1], want) == 0;

	if (!same)
		warnx("relay %d: <%s>, not <%s>", relay, said[relay - 1],
		    want);
	said[relay - 1][0] = '\0';
	return same;
}

static const char *
line(const char *sign, unsigned int k)
{
	static char	 out[2][128];
	static int	 i;
	uint8_t		 key[32];
	size_t		 j;
	int		 n;

	lab_key(key, 2, k);
	i = !i;
	n = snprintf(out[i], sizeof(out[i]), "%snodekey:", sign);
	for (j = 0; j < 32; j++)
		n += snprintf(out[i] + n, sizeof(out[i]) - n, "%02x", key[j]);
	(void)snprintf(out[i] + n, sizeof(out[i]) - n, "\n");
	return out[i];
}

static const char *
text(const char *a, const char *b, const char *c)
{
	static char	 out[512];

	(void)snprintf(out, sizeof(out), "%s%s%s", a, b, c);
	return out;
}

/* A configuration with that key of relays; 0: none. */
static void
configure(int byte)
{
	struct sconf	 c;

	lab_conf(&c, POLICY_ALLOW);
	c.c_has_follow = byte != 0;
	memset(c.c_follow, byte, sizeof(c.c_follow));
	brain_configure(&lab.l_b, &c);
}

static int
allowed(int byte)
{
	uint8_t	 key[32];

	memset(key, byte, sizeof(key));
	return follow_allowed(&lab.l_b, key);
}

static void
test_changes(struct node *a, const char *key)
{
	struct node	*b;

	follow_start(&lab.l_b, 1);
	CHECK(heard(1, text(line("+", 1), ".\n", "")));
	lab_pass(&lab, 5000);
	CHECK(heard(1, ""));
	b = lab_join(&lab, 2, 2, key, "b");
	lab_pass(&lab, 300);
	CHECK(heard(1, text(line("+", 2), ".\n", "")));
	follow_start(&lab.l_b, 2);
	CHECK(heard(2, text(line("+", 1), line("+", 2), ".\n")));
	CHECK(heard(1, ""));
	a->n_rec.r_approved = 0;		/* nobody has said so */
	lab_pass(&lab, 2100);
	CHECK(heard(1, text(line("-", 1), ".\n", "")));
	CHECK(heard(2, text(line("-", 1), ".\n", "")));
	a->n_rec.r_approved = 1;
	CHECK(node_delete(&lab.l_b, b, "test", "test") == 0);
	lab_pass(&lab, 2100);
	CHECK(heard(1, text(line("+", 1), line("-", 2), ".\n")));
	said[1][0] = '\0';
	lab_pass(&lab, 12000);
	CHECK(heard(1, ".\n"));
}

static void
test_end(void)
{
	struct msg_rpc	 rpc;

	memset(&rpc, 0, sizeof(rpc));
	rpc.conn = 2;
	brain_drop_rpc(&lab.l_b, &rpc);
	said[0][0] = said[1][0] = '\0';
	lab_pass(&lab, 12000);
	CHECK(heard(1, ".\n") && heard(2, ""));
	configure(5);				/* nothing new */
	CHECK(!ended[0]);
	configure(6);
	CHECK(ended[0] && !ended[1] && !allowed(5) && allowed(6));
	CHECK(follow_next(&lab.l_b) == -1);
}

static void
test_bounds(void)
{
	uint64_t	 i;

	for (i = 0; i < FOLLOWERS_MAX; i++) {
		CHECK(allowed(6));
		follow_start(&lab.l_b, 1);
		said[0][0] = '\0';
	}
	CHECK(!allowed(6));
	brain_drop_rpcs(&lab.l_b);
	CHECK(allowed(6) && follow_next(&lab.l_b) == -1);
	configure(0);
	CHECK(!allowed(0) && !allowed(6));
}

int
main(void)
{
	struct node	*a;
	char		 key[AUTHKEY_TEXT];

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	sink = *lab.l_b.b_sink;
	sink.s_lines = lines;
	lab.l_b.b_sink = &sink;
	CHECK(!allowed(0) && !allowed(5));
	configure(5);
	CHECK(!allowed(0) && !allowed(6) && allowed(5));
	lab_authkey(&lab, "u", NULL, 1, 0, 0, key);
	a = lab_join(&lab, 1, 1, key, "a");
	test_changes(a, key);
	test_end();
	test_bounds();
	lab_close(&lab);
	return 0;
}
