/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What nodes are asked: the request that they see, whose answer counts and
 * how often, and what an administrator gets to read of it.
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

#define POLL	10		/* the stream of the node that is asked */
#define ADM	77

static struct lab	 lab;
static struct sink	 sink;
static struct node	*node;
static json_t		*rows;
static char		 url[512];	/* of the last request */
static char		 why[256];	/* "": it ended well */
static int		 ended;

static void
adm(void *arg, uint32_t id, const char *row, const char *error)
{
	json_t	*j;

	CHECK(id == ADM);
	if (row != NULL) {
		if ((j = json_loads(row, JSON_REJECT_DUPLICATES, NULL)) ==
		    NULL)
			errx(1, "row is not JSON: %s", row);
		(void)json_array_append_new(rows, j);
		return;
	}
	CHECK(!ended);
	ended = 1;
	(void)strlcpy(why, error == NULL ? "" : error, sizeof(why));
}

/* Ask; the request as the node sees it. */
static json_t *
ask(enum ask_kind kind, const char *what)
{
	const char	*error;
	json_t		*j, *r;

	json_decref(rows);
	rows = json_array();
	ended = 0;
	if ((error = ping_start(&lab.l_b, node, ADM, kind, what)) != NULL)
		errx(1, "refused: %s", error);
	if ((j = lab_next(&lab, POLL)) == NULL ||
	    (r = json_object_get(j, "PingRequest")) == NULL)
		errx(1, "no request");
	json_incref(r);
	json_decref(j);
	(void)strlcpy(url, lab_str(r, "URL"), sizeof(url));
	return r;
}

/* An answer to the last request: 0, or -1 if nobody asked. */
static int
answer(unsigned int machine, const char *text)
{
	uint8_t	 key[32];
	char	 buf[16384];
	int	 n;

	lab_key(key, 1, machine);
	CHECK(strlen(url) > PING_ID_LEN);
	n = snprintf(buf, sizeof(buf), "%s%s",
	    url + strlen(url) - PING_ID_LEN, text);
	CHECK(n > 0 && (size_t)n < sizeof(buf));
	return ping_answer(&lab.l_b, key, buf, (size_t)n);
}

static void
test_sign(void)
{
	char	 first[sizeof(url)];
	json_t	*r;

	r = ask(ASK_NOISE, NULL);
	CHECK(strncmp(url, "https://coord.example:8080/machine/"
	    "ping-response/", 49) == 0);
	CHECK(json_is_true(json_object_get(r, "URLIsNoise")));
	CHECK(json_object_get(r, "Types") == NULL);
	json_decref(r);
	CHECK(answer(2, "") == -1 && !ended);	/* another machine */
	CHECK(ping_web(&lab.l_b, url + strlen(url) - PING_ID_LEN) == -1);
	lab_pass(&lab, 30);
	CHECK(answer(1, "") == 0 && ended && why[0] == '\0');
	CHECK(json_real_value(lab_at(rows, "0/milliseconds")) == 30.0);
	CHECK(strcmp(lab_str(rows, "0/name"), "a") == 0);
	CHECK(answer(1, "") == -1);		/* good for one answer */
	(void)strlcpy(first, url, sizeof(first));
	json_decref(ask(ASK_NOISE, NULL));
	CHECK(strcmp(first, url) != 0);
	CHECK(answer(1, "") == 0);
}

/* Without Noise who has the ID may answer, and nobody else. */
static void
test_web(void)
{
	char	 id[PING_ID_LEN + 1];
	json_t	*r;

	r = ask(ASK_WEB, NULL);
	CHECK(strncmp(url, "http://coord.example:8080/machine/"
	    "ping-response/", 48) == 0);
	CHECK(json_object_get(r, "URLIsNoise") == NULL);
	json_decref(r);
	CHECK(answer(1, "") == -1);
	(void)strlcpy(id, url + strlen(url) - PING_ID_LEN, sizeof(id));
	id[3] ^= 1;
	CHECK(ping_web(&lab.l_b, id) == -1);
	CHECK(ping_web(&lab.l_b, "") == -1);
	id[3] ^= 1;
	CHECK(ping_web(&lab.l_b, id) == 0 && ended && why[0] == '\0');
	CHECK(ping_web(&lab.l_b, id) == -1);
}

static void
test_echo(void)
{
	json_t	*r;

	r = ask(ASK_C2N, "UE9TVA==");
	CHECK(strcmp(lab_str(r, "Types"), "c2n") == 0);
	CHECK(strcmp(lab_str(r, "Payload"), "UE9TVA==") == 0);
	json_decref(r);
	CHECK(answer(1, "HTTP/1.1 200 OK\r\n\r\n" PING_ECHO) == 0);
	CHECK(ended && why[0] == '\0' && json_array_size(rows) == 1);
	json_decref(ask(ASK_C2N, "UE9TVA=="));
	CHECK(answer(1, "HTTP/1.1 200 OK\r\n\r\nno") == 0);
	CHECK(strstr(why, "something else") != NULL);
	json_decref(ask(ASK_C2N, "UE9TVA=="));
	CHECK(answer(1, "HTTP/1.1 400 Bad\r\n\r\n" PING_ECHO) == 0);
	CHECK(strstr(why, "something else") != NULL);
}

/* A long answer comes in rows that fit; what is no text is made so. */
static void
test_request(void)
{
	char	 text[10001];
	json_t	*row;
	size_t	 i, len = 0;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	text[1] = '\033';
	text[2] = '\r';
	json_decref(ask(ASK_REQUEST, "R0VU"));
	CHECK(answer(1, text) == 0 && why[0] == '\0');
	json_array_foreach(rows, i, row)
		len += strlen(lab_str(row, "text"));
	CHECK(len == sizeof(text) - 1 && json_array_size(rows) == 2);
	CHECK(strncmp(lab_str(rows, "0/text"), "x? x", 4) == 0);
}

static const struct {
	const char	*text;
	const char	*why;		/* "": good */
} pongs[] = {
	{ "{\"Type\":\"disco\",\"LatencySeconds\":0.0125,\"Endpoint\":"
	    "\"192.0.2.1:41641\",\"NodeName\":\"b\"}", "" },
	{ "{\"LatencySeconds\":1}", "" },
	{ "{\"LatencySeconds\":null,\"Err\":\"\"}", "" },
	{ "{\"Err\":\"no matching peer\",\"LatencySeconds\":0}",
	    "the node says: no matching peer" },
	{ "{\"LatencySeconds\":-1}", "something else" },
	{ "{\"LatencySeconds\":1e300}", "something else" },
	{ "{\"LatencySeconds\":\"fast\"}", "something else" },
	{ "[]", "something else" },
	{ "", "something else" },
	{ "{", "something else" },
	{ "{\"LatencySeconds\":1}{}", "something else" }
};

static void
test_peer(void)
{
	char	 big[8192];
	json_t	*r;
	size_t	 i;

	r = ask(ASK_TSMP, "100.64.0.2");
	CHECK(strcmp(lab_str(r, "Types"), "TSMP") == 0);
	CHECK(strcmp(lab_str(r, "IP"), "100.64.0.2") == 0);
	CHECK(json_is_true(json_object_get(r, "URLIsNoise")));
	CHECK(json_object_get(r, "Payload") == NULL);
	json_decref(r);
	CHECK(answer(1, "{\"LatencySeconds\":0.5,\"DERPRegionCode\":\"x\\n\","
	    "\"PeerRelay\":7}") == 0);
	CHECK(strcmp(lab_str(rows, "0/target"), "100.64.0.2") == 0);
	CHECK(strcmp(lab_str(rows, "0/derp"), "x\n") == 0);
	CHECK(lab_at(rows, "0/relay") == NULL);
	CHECK(json_real_value(lab_at(rows, "0/milliseconds")) == 500.0);
	for (i = 0; i < sizeof(pongs) / sizeof(pongs[0]); i++) {
		json_decref(ask(ASK_DISCO, "100.64.0.2"));
		CHECK(answer(1, pongs[i].text) == 0 && ended);
		if ((pongs[i].why[0] == '\0') != (why[0] == '\0') ||
		    strstr(why, pongs[i].why) == NULL ||
		    json_array_size(rows) != (why[0] == '\0'))
			errx(1, "%s: '%s'", pongs[i].text, why);
	}
	memset(big, ' ', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	memcpy(big, "{\"LatencySeconds\":1}", 20);
	json_decref(ask(ASK_ICMP, "fd7a:115c:a1e0::2"));
	CHECK(answer(1, big) == 0 && strstr(why, "something else") != NULL);
}

/* Nobody answers, too many ask, the node is gone. */
static void
test_bounds(void)
{
	unsigned int	 i;

	json_decref(ask(ASK_NOISE, NULL));
	lab_pass(&lab, 14000);
	CHECK(!ended);
	lab_pass(&lab, 1100);
	CHECK(ended && strcmp(why, "no answer of the node") == 0);
	CHECK(answer(1, "") == -1);
	json_decref(ask(ASK_ICMP, "100.64.0.2"));
	lab_pass(&lab, 15100);
	CHECK(strstr(why, "of the target") != NULL);
	for (i = 0; i < 64; i++)
		json_decref(ask(ASK_NOISE, NULL));
	CHECK(strstr(ping_start(&lab.l_b, node, ADM, ASK_NOISE, NULL),
	    "too many") != NULL);
	ended = 0;
	CHECK(answer(1, "") == 0);
	json_decref(ask(ASK_NOISE, NULL));
	lab_hangup(&lab, POLL);
	CHECK(strstr(ping_start(&lab.l_b, node, ADM, ASK_NOISE, NULL),
	    "not connected") != NULL);
}

int
main(void)
{
	enum ask_kind	 kind;
	char		 key[AUTHKEY_TEXT];

	CHECK(ask_kind("icmp", &kind) == 0 && kind == ASK_ICMP);
	CHECK(ask_kind("ICMP", &kind) == -1 && ask_kind("", &kind) == -1);
	lab_open(&lab, NULL, POLICY_ALLOW, NULL);
	sink = *lab.l_b.b_sink;
	sink.s_adm = adm;
	lab.l_b.b_sink = &sink;
	lab_authkey(&lab, "u", NULL, 1, 0, 0, key);
	node = lab_join(&lab, 1, 1, key, "a");
	(void)lab_join(&lab, 2, 2, key, "b");
	lab_poll(&lab, 1, 1, POLL);
	lab_pass(&lab, 2000);
	while (lab_raw(&lab, POLL, NULL, NULL) != 0)
		;
	test_sign();
	test_web();
	test_echo();
	test_request();
	test_peer();
	test_bounds();
	json_decref(rows);
	lab_close(&lab);
	return 0;
}
