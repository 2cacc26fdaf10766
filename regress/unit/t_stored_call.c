/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What nodes ask besides registration and maps: who may, what is refused,
 * what is kept, and what is promised and comes later.
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

#define S	20		/* the stream that asks */

static struct lab	 lab;
static struct sink	 sink;
static char		 claims[JWT_CLAIMS_MAX], record[512];
static uint32_t		 number;	/* of what was promised last */
static int		 refuse;	/* the sink cannot now */

static int
sign(void *arg, uint32_t id, const char *text)
{
	number = id;
	(void)strlcpy(claims, text, sizeof(claims));
	return refuse ? -1 : 0;
}

static int
dns(void *arg, uint32_t id, const char *name, const char *value)
{
	number = id;
	(void)snprintf(record, sizeof(record), "%s %s", name, value);
	return refuse ? -1 : 0;
}

static void
ask(uint32_t call, unsigned int m, unsigned int k, const char *json)
{
	struct call_req	 q;

	memset(&q, 0, sizeof(q));
	q.q_rpc.conn = q.q_rpc.stream = S;
	lab_key(q.q_machine, 1, m);
	lab_key(q.q_node, 2, k);
	q.q_call = call;
	q.q_json = json;
	q.q_jsonlen = strlen(json);
	call_request(&lab.l_b, &q);
}

/* The answer that is there: its status and a part of its text. */
static int
says(unsigned int status, const char *part)
{
	char		*text = NULL;
	unsigned int	 got;
	int		 good;

	got = lab_raw(&lab, S, &text, NULL);
	good = got == status && strstr(text, part) != NULL;
	if (!good)
		warnx("%u: %s", got, text == NULL ? "nothing" : text);
	free(text);
	return good && lab_raw(&lab, S, NULL, NULL) == 0;
}

static const struct {
	uint32_t	 call;
	const char	*json;
	unsigned int	 status;
	const char	*part;
} calls[] = {
	{ RPC_CALL_ATTR, "{\"Update\":{\"custom:a\":1}}", 200, "{}" },
	{ RPC_CALL_ATTR, "{\"Update\":{\"custom:a\":\"x\",\"custom:b\":true}}",
	    200, "{}" },
	{ RPC_CALL_ATTR, "{\"Update\":{\"custom:a\":null}}", 200, "{}" },
	{ RPC_CALL_ATTR, "{\"Update\":{\"custom:\":1}}", 400, "custom" },
	{ RPC_CALL_ATTR, "{\"Update\":{\"custom:a-b\":1}}", 400, "custom" },
	{ RPC_CALL_ATTR, "{\"Update\":{\"node:os\":1}}", 400, "custom" },
	{ RPC_CALL_ATTR, "{\"Update\":{\"custom:a\":[]}}", 400, "custom" },
	{ RPC_CALL_ATTR, "{\"Update\":[]}", 400, "Update" },
	{ RPC_CALL_ATTR, "{}", 400, "Update" },
	{ RPC_CALL_ATTR, "[]", 400, "malformed" },
	{ RPC_CALL_ATTR, "", 400, "malformed" },
	{ RPC_CALL_ATTR, "{", 400, "malformed" },
	{ RPC_CALL_HEALTH, "{\"Subsys\":\"x\",\"Error\":\"y\"}", 204, "" },
	{ RPC_CALL_HEALTH, "{\"Subsys\":7}", 204, "" },
	{ RPC_CALL_AUDIT, "{\"Action\":\"DISCONNECT_NODE\"}", 200, "{}" },
	{ RPC_CALL_AUDIT, "{\"Action\":\"x y\"}", 400, "Action" },
	{ RPC_CALL_AUDIT, "{\"Action\":\"A\\u0000B\"}", 400, "Action" },
	{ RPC_CALL_AUDIT, "{}", 400, "Action" },
	{ RPC_CALL_FEATURE, "{\"Feature\":\"serve\"}", 200, "dns update" },
	{ RPC_CALL_FEATURE, "{\"Feature\":\"funnel\"}", 200, "not offer" },
	{ RPC_CALL_FEATURE, "{}", 200, "not offer" },
	{ RPC_CALL_DNS, "{}", 501, "no DNS" },
	{ RPC_CALL_IDTOKEN, "{}", 403, "Audience" },
	{ RPC_CALL_WHOAMI, "", 200, "a.tail.example u\n" },
	{ RPC_CALL_PONG, "", 404, "" },
	{ RPC_CALL_PONG, "0123456789abcdef0123456789abcdef", 404, "" },
	{ 99, "{}", 501, "" }
};

static void
test_answers(void)
{
	size_t	 i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		ask(calls[i].call, 1, 1, calls[i].json);
		if (!says(calls[i].status, calls[i].part))
			errx(1, "call %u: %s", calls[i].call, calls[i].json);
	}
}

/* A node key is public: it counts with its own machine alone. */
static void
test_owner(void)
{
	static const uint32_t	 of_nodes[] = { RPC_CALL_ATTR,
				     RPC_CALL_HEALTH, RPC_CALL_AUDIT,
				     RPC_CALL_DNS, RPC_CALL_IDTOKEN, 99 };
	size_t			 i;

	for (i = 0; i < sizeof(of_nodes) / sizeof(of_nodes[0]); i++) {
		ask(of_nodes[i], 2, 1, "{}");
		CHECK(says(404, "node not found"));
		ask(of_nodes[i], 1, 9, "{}");
		CHECK(says(404, "node not found"));
	}
	ask(RPC_CALL_FEATURE, 9, 9, "{}");
	CHECK(says(404, "node not found"));
	ask(RPC_CALL_WHOAMI, 9, 9, "");
	CHECK(says(200, "no node"));
}

/* All of an update or nothing, and not without bounds. */
static void
test_attributes(struct node *n)
{
	struct buf	 t = { NULL, 0, 0 };
	char		 json[8192];
	int		 i, k, len;

	len = snprintf(json, sizeof(json), "{\"Update\":{\"custom:b\":false");
	for (i = 0; i < 64; i++)
		len += snprintf(json + len, sizeof(json) - (size_t)len,
		    ",\"custom:x%d\":%d", i, i);
	(void)snprintf(json + len, sizeof(json) - (size_t)len, "}}");
	ask(RPC_CALL_ATTR, 1, 1, json);
	CHECK(says(400, "too much"));
	for (i = 0; i < 2; i++) {
		len = snprintf(json, sizeof(json), "{\"Update\":{"
		    "\"custom:z\":%d", i);
		for (k = 0; k < 40; k++)
			len += snprintf(json + len, sizeof(json) - (size_t)len,
			    ",\"custom:y%d\":%d", i * 100 + k, k);
		(void)snprintf(json + len, sizeof(json) - (size_t)len, "}}");
		ask(RPC_CALL_ATTR, 1, 1, json);
		CHECK(i == 0 ? says(200, "{}") : says(500, "kept"));
	}
	call_attributes(&lab.l_b, &t, n->n_rec.r_id);
	CHECK(strstr(t.b_text, "\"custom:z=0\"") != NULL);
	CHECK(strstr(t.b_text, "custom:y100") == NULL);
	CHECK(strstr(t.b_text, "\"custom:b=true\"") != NULL);
	buf_free(&t);
}

static void
test_dns(void)
{
	static const char	 good[] = "{\"Type\":\"TXT\",\"Name\":"
				    "\"_acme-challenge.A.tail.example.\","
				    "\"Value\":\"v-1_=\"}";
	static const char *const bad[] = {
		"{\"Type\":\"A\",\"Name\":\"_acme-challenge.a.tail.example\","
		    "\"Value\":\"v\"}",
		"{\"Type\":\"TXT\",\"Name\":\"_acme-challenge.b.tail.example\""
		    ",\"Value\":\"v\"}",
		"{\"Type\":\"TXT\",\"Name\":\"a.tail.example\",\"Value\":\"v\""
		    "}",
		"{\"Type\":\"TXT\",\"Name\":\"_acme-challenge.a.tail.example\""
		    ",\"Value\":\"-v\"}",
		"{\"Type\":\"TXT\",\"Name\":\"_acme-challenge.a.tail.example\""
		    ",\"Value\":\"a b\"}",
		"{\"Type\":\"TXT\",\"Name\":\"\",\"Value\":\"\"}"
	};
	size_t			 i;

	lab.l_b.b_conf.c_dns_update = 1;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask(RPC_CALL_DNS, 1, 1, bad[i]);
		CHECK(says(403, "node itself"));
	}
	CHECK(record[0] == '\0');
	ask(RPC_CALL_DNS, 1, 1, good);
	CHECK(lab_raw(&lab, S, NULL, NULL) == 0);	/* not yet */
	CHECK(strcmp(record, "_acme-challenge.a.tail.example v-1_=") == 0);
	call_done(&lab.l_b, number, "");
	CHECK(says(200, "{}"));
	call_done(&lab.l_b, number, "");		/* once */
	CHECK(lab_raw(&lab, S, NULL, NULL) == 0);
	ask(RPC_CALL_DNS, 1, 1, good);
	call_done(&lab.l_b, number, NULL);
	CHECK(says(500, "could not be made"));
	refuse = 1;
	ask(RPC_CALL_DNS, 1, 1, good);
	CHECK(says(500, "could not be made"));
	refuse = 0;
	ask(RPC_CALL_FEATURE, 1, 1, "{\"Feature\":\"serve\"}");
	CHECK(says(200, "\"Complete\":true"));
}

static void
test_token(struct node *n)
{
	json_t	*j;

	ask(RPC_CALL_IDTOKEN, 1, 1, "{\"Audience\":\"sts \\\"x\\\"\"}");
	CHECK(lab_raw(&lab, S, NULL, NULL) == 0);
	j = json_loads(claims, JSON_REJECT_DUPLICATES, NULL);
	CHECK(strcmp(lab_str(j, "aud"), "sts \"x\"") == 0);
	CHECK(strcmp(lab_str(j, "iss"), lab.l_b.b_conf.c_url) == 0);
	CHECK(strcmp(lab_str(j, "sub"), "a.tail.example") == 0);
	CHECK(strcmp(lab_str(j, "user"), "u") == 0);
	CHECK(lab_int(j, "exp") - lab_int(j, "iat") == 300);
	CHECK(lab_int(j, "nid") == (json_int_t)n->n_rec.r_id);
	CHECK(strncmp(lab_str(j, "addresses/0"), "100.64.", 7) == 0);
	CHECK(strlen(lab_str(j, "jti")) == 32);
	json_decref(j);
	call_done(&lab.l_b, number, "x.y.z");
	CHECK(says(200, "{\"id_token\":\"x.y.z\"}"));
	ask(RPC_CALL_IDTOKEN, 1, 1, "{\"Audience\":\"x\"}");
	call_done(&lab.l_b, number, NULL);
	CHECK(says(500, "no token"));
}

/* The client goes first, or more come than can wait. */
static void
test_waiting(void)
{
	struct msg_rpc	 rpc;
	int		 i;

	ask(RPC_CALL_IDTOKEN, 1, 1, "{\"Audience\":\"x\"}");
	memset(&rpc, 0, sizeof(rpc));
	rpc.conn = rpc.stream = S;
	call_drop_rpc(&lab.l_b, &rpc);
	call_done(&lab.l_b, number, "late");
	CHECK(lab_raw(&lab, S, NULL, NULL) == 0);
	for (i = 0; i < 256; i++)
		ask(RPC_CALL_IDTOKEN, 1, 1, "{\"Audience\":\"x\"}");
	CHECK(lab_raw(&lab, S, NULL, NULL) == 0);
	ask(RPC_CALL_IDTOKEN, 1, 1, "{\"Audience\":\"x\"}");
	CHECK(says(503, "busy"));
	rpc.conn = 0;
	call_drop_rpc(&lab.l_b, &rpc);
	ask(RPC_CALL_IDTOKEN, 1, 1, "{\"Audience\":\"x\"}");
	call_done(&lab.l_b, number, "t");
	CHECK(says(200, "id_token"));
}

/* What nodes may fill, they may not fill at any rate. */
static void
test_rate(void)
{
	char		*text;
	unsigned int	 status;
	int		 i;

	for (i = 0; i < 10000; i++) {
		ask(RPC_CALL_AUDIT, 1, 1, "{\"Action\":\"X\"}");
		status = lab_raw(&lab, S, &text, NULL);
		free(text);
		CHECK(status == 200 || status == 429);
		if (status == 429)
			break;
	}
	CHECK(i < 10000);
	lab_pass(&lab, 3600 * 1000);
	ask(RPC_CALL_AUDIT, 1, 1, "{\"Action\":\"X\"}");
	CHECK(says(200, "{}"));
}

int
main(void)
{
	struct node	*n;
	char		 key[AUTHKEY_TEXT];

	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	sink = *lab.l_b.b_sink;
	sink.s_sign = sign;
	sink.s_dns = dns;
	lab.l_b.b_sink = &sink;
	lab_authkey(&lab, "u", NULL, 1, 0, 0, key);
	n = lab_join(&lab, 1, 1, key, "a");
	(void)lab_join(&lab, 2, 2, key, "b");
	test_answers();
	test_owner();
	test_attributes(n);
	test_dns();
	test_token(n);
	test_waiting();
	test_rate();
	lab_close(&lab);
	return 0;
}
