/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Disco against vectors: disco.json, every kind in it.
 */

/* link: vec.c */

#include <sys/types.h>

#include <arpa/inet.h>

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disco.h"
#include "keys.h"
#include "vec.h"

static const char *const types[] = {
	[DISCO_PING] =			"ping",
	[DISCO_PONG] =			"pong",
	[DISCO_CALL_ME_MAYBE] =		"call_me_maybe",
	[DISCO_BIND_ENDPOINT] =		"bind_udp_relay_endpoint",
	[DISCO_BIND_CHALLENGE] =	"bind_udp_relay_endpoint_challenge",
	[DISCO_BIND_ANSWER] =		"bind_udp_relay_endpoint_answer",
	[DISCO_CALL_ME_MAYBE_VIA] =	"call_me_maybe_via",
	[DISCO_ALLOC_REQUEST] =		"allocate_udp_relay_endpoint_request",
	[DISCO_ALLOC_RESPONSE] =	"allocate_udp_relay_endpoint_response",
};

static uint8_t	 buf[65536];

static void
addr_text(const struct disco_addr *da, char *out, size_t size)
{
	char	 ip[INET6_ADDRSTRLEN];

	if (inet_ntop(da->da_v4 ? AF_INET : AF_INET6, da->da_addr, ip,
	    sizeof(ip)) == NULL)
		vec_fail("inet_ntop");
	(void)snprintf(out, size, da->da_v4 ? "%s:%u" : "[%s]:%u", ip,
	    da->da_port);
}

static void
addr_read(const char *text, struct disco_addr *da)
{
	const char	*colon;
	char		 ip[64];

	memset(da, 0, sizeof(*da));
	if ((colon = strrchr(text, ':')) == NULL)
		vec_fail("address %s", text);
	da->da_v4 = text[0] != '[';
	(void)snprintf(ip, sizeof(ip), "%.*s", da->da_v4 ?
	    (int)(colon - text) : (int)(colon - text) - 2,
	    da->da_v4 ? text : text + 1);
	if (inet_pton(da->da_v4 ? AF_INET : AF_INET6, ip, da->da_addr) != 1)
		vec_fail("address %s", text);
	da->da_port = strtoul(colon + 1, NULL, 10);
}

static void
expect_addrs(json_t *list, const struct disco_msg *m)
{
	struct disco_addr	 da;
	json_t			*v;
	size_t			 i;
	char			 text[80];

	if (json_array_size(list) != m->dm_naddrs)
		vec_fail("%zu addresses", m->dm_naddrs);
	json_array_foreach(list, i, v) {
		disco_addr_get(m->dm_addrs + i * DISCO_ADDR_LEN, &da);
		addr_text(&da, text, sizeof(text));
		if (strcmp(text, json_string_value(v)) != 0)
			vec_fail("address %zu: got %s", i, text);
	}
}

static void
expect_num(json_t *f, const char *key, uint64_t got)
{
	if (vec_num(f, key) != got)
		vec_fail("%s: got %" PRIu64, key, got);
}

/* Durations are signed, in decimal. */
static void
expect_ns(json_t *f, const char *key, int64_t got)
{
	if (strtoll(vec_str(f, key), NULL, 10) != got)
		vec_fail("%s: got %" PRId64, key, got);
}

static void
expect_clients(json_t *f, const struct disco_msg *m)
{
	json_t		*list;
	const uint8_t	*key;
	size_t		 i, len;

	list = vec_get(f, "ClientDisco");
	for (i = 0; i < 2; i++) {
		key = vec_unhex(json_string_value(json_array_get(list, i)),
		    &len);
		if (len != DISCO_KEY_LEN ||
		    memcmp(key, m->dm_relay.dr_client[i], len) != 0)
			vec_fail("ClientDisco %zu", i);
	}
}

static void
expect_relay(json_t *f, const struct disco_msg *m)
{
	const struct disco_relay	*dr = &m->dm_relay;

	vec_expect(f, "ServerDisco", dr->dr_server, DISCO_KEY_LEN);
	expect_clients(f, m);
	expect_num(f, "LamportID", dr->dr_lamport);
	expect_num(f, "VNI", dr->dr_vni);
	expect_ns(f, "BindLifetime_ns", dr->dr_bind_ns);
	expect_ns(f, "SteadyStateLifetime_ns", dr->dr_steady_ns);
	expect_addrs(vec_get(f, "AddrPorts"), m);
}

static void
expect_fields(json_t *f, const struct disco_msg *m)
{
	char	 text[80];

	switch (m->dm_type) {
	case DISCO_PING:
		vec_expect(f, "TxID", m->dm_txid, DISCO_TXID_LEN);
		vec_expect(f, "NodeKey", m->dm_nodekey,
		    m->dm_has_nodekey ? DISCO_KEY_LEN : 0);
		expect_num(f, "Padding", m->dm_padding);
		break;
	case DISCO_PONG:
		vec_expect(f, "TxID", m->dm_txid, DISCO_TXID_LEN);
		addr_text(&m->dm_src, text, sizeof(text));
		if (!vec_is(f, "Src", text))
			vec_fail("Src: got %s", text);
		break;
	case DISCO_CALL_ME_MAYBE:
		expect_addrs(vec_get(f, "MyNumber"), m);
		break;
	case DISCO_CALL_ME_MAYBE_VIA:
		expect_relay(f, m);
		break;
	case DISCO_ALLOC_REQUEST:
		expect_clients(f, m);
		expect_num(f, "Generation", m->dm_generation);
		break;
	case DISCO_ALLOC_RESPONSE:
		expect_num(f, "Generation", m->dm_generation);
		expect_relay(f, m);
		break;
	default:
		expect_num(f, "VNI", m->dm_vni);
		expect_num(f, "Generation", m->dm_generation);
		vec_expect(f, "RemoteKey", m->dm_remote, DISCO_KEY_LEN);
		vec_expect(f, "Challenge", m->dm_challenge,
		    DISCO_CHALLENGE_LEN);
		break;
	}
}

/* Read a plaintext and compare with what the case says of it. */
static void
parse(json_t *c)
{
	struct disco_msg	 m;
	const uint8_t		*plain;
	size_t			 len;
	int			 good;

	plain = vec_hex(c, "marshalled", &len);
	good = disco_parse(plain, len, &m) == 0;
	if (good != vec_bool(c, "parse_ok"))
		vec_fail("parse: %d", good);
	if (!good)
		return;
	if (!vec_is(c, "type", types[m.dm_type]))
		vec_fail("type %u", m.dm_type);
	expect_fields(vec_get(c, "parsed_fields"), &m);
}

static uint8_t
type_of(json_t *c)
{
	uint8_t	 i;

	for (i = 1; i < sizeof(types) / sizeof(types[0]); i++)
		if (vec_is(c, "type", types[i]))
			return i;
	vec_fail("unknown type");
}

static void
read_addrs(json_t *list, struct disco_msg *m)
{
	static uint8_t		 addrs[64 * DISCO_ADDR_LEN];
	struct disco_addr	 da;
	json_t			*v;
	size_t			 i;

	if (json_array_size(list) > 64)
		vec_fail("too many addresses for this test");
	json_array_foreach(list, i, v) {
		addr_read(json_string_value(v), &da);
		disco_addr_put(&da, addrs + i * DISCO_ADDR_LEN);
	}
	m->dm_addrs = addrs;
	m->dm_naddrs = json_array_size(list);
}

static void
read_relay(json_t *f, struct disco_relay *dr)
{
	json_t	*list;
	size_t	 i, len;

	list = vec_get(f, "ClientDisco");
	for (i = 0; i < 2; i++)
		memcpy(dr->dr_client[i], vec_unhex(json_string_value(
		    json_array_get(list, i)), &len), DISCO_KEY_LEN);
	if (!vec_has(f, "ServerDisco"))
		return;
	memcpy(dr->dr_server, vec_fix(f, "ServerDisco", DISCO_KEY_LEN),
	    DISCO_KEY_LEN);
	dr->dr_lamport = vec_num(f, "LamportID");
	dr->dr_vni = vec_num(f, "VNI");
	dr->dr_bind_ns = strtoll(vec_str(f, "BindLifetime_ns"), NULL, 10);
	dr->dr_steady_ns = strtoll(vec_str(f, "SteadyStateLifetime_ns"),
	    NULL, 10);
}

static void
read_fields(json_t *f, struct disco_msg *m)
{
	size_t	 len;

	if (vec_has(f, "TxID"))
		memcpy(m->dm_txid, vec_fix(f, "TxID", DISCO_TXID_LEN),
		    DISCO_TXID_LEN);
	if (vec_has(f, "NodeKey")) {
		(void)vec_hex(f, "NodeKey", &len);
		if ((m->dm_has_nodekey = len != 0))
			memcpy(m->dm_nodekey, vec_fix(f, "NodeKey",
			    DISCO_KEY_LEN), DISCO_KEY_LEN);
		m->dm_padding = vec_num(f, "Padding");
	}
	if (vec_has(f, "Src"))
		addr_read(vec_str(f, "Src"), &m->dm_src);
	if (vec_has(f, "Generation"))
		m->dm_generation = vec_num(f, "Generation");
	if (vec_has(f, "Challenge")) {
		m->dm_vni = vec_num(f, "VNI");
		memcpy(m->dm_remote, vec_fix(f, "RemoteKey", DISCO_KEY_LEN),
		    DISCO_KEY_LEN);
		memcpy(m->dm_challenge, vec_fix(f, "Challenge",
		    DISCO_CHALLENGE_LEN), DISCO_CHALLENGE_LEN);
	}
	if (vec_has(f, "MyNumber"))
		read_addrs(vec_get(f, "MyNumber"), m);
	if (vec_has(f, "AddrPorts"))
		read_addrs(vec_get(f, "AddrPorts"), m);
	if (vec_has(f, "ClientDisco"))
		read_relay(f, &m->dm_relay);
}

static void
box_key(json_t *c, const char *private, const char *public, uint8_t *key)
{
	if (key_box_precompute(vec_fix(c, private, DISCO_KEY_LEN),
	    vec_fix(c, public, DISCO_KEY_LEN), key) == -1)
		vec_fail("precompute");
}

static void
geneve(json_t *c, const struct disco_msg *m)
{
	struct geneve	 g, back;
	uint8_t		 hdr[GENEVE_HDR_LEN];

	memset(&g, 0, sizeof(g));
	g.g_vni = m->dm_vni;
	g.g_proto = GENEVE_PROTO_DISCO;
	g.g_control = 1;
	if (geneve_build(hdr, &g) == -1)
		vec_fail("geneve");
	vec_expect(c, "geneve_control_header", hdr, sizeof(hdr));
	if (geneve_parse(hdr, sizeof(hdr), &back) == -1 ||
	    memcmp(&g, &back, sizeof(g)) != 0)
		vec_fail("geneve does not parse back");
}

static void
message(json_t *c)
{
	struct disco_msg	 m;
	uint8_t			 key[DISCO_KEY_LEN];
	static uint8_t		 out[sizeof(buf)];
	ssize_t			 n, len;

	memset(&m, 0, sizeof(m));
	m.dm_type = type_of(c);
	read_fields(vec_get(c, "fields"), &m);
	if ((len = disco_build(&m, buf, sizeof(buf))) == -1)
		vec_fail("build");
	vec_expect(c, "marshalled", buf, len);
	if (disco_build(&m, out, len - 1) != -1)
		vec_fail("built into too little room");

	box_key(c, "sender_private", "receiver_public", key);
	n = disco_seal(key, vec_fix(c, "sender_public", DISCO_KEY_LEN),
	    vec_fix(c, "nonce", DISCO_NONCE_LEN), buf, len, out, sizeof(out));
	if (n == -1)
		vec_fail("seal");
	vec_expect(c, "packet", out, n);
	box_key(c, "receiver_private", "sender_public", key);
	if (disco_open(key, out, n, buf, sizeof(buf)) != len)
		vec_fail("open");
	vec_expect(c, "marshalled", buf, len);
	if (vec_has(c, "geneve_control_header"))
		geneve(c, &m);
	parse(c);
}

static void
wrapper(json_t *c)
{
	const uint8_t	*pkt;
	uint8_t		 key[DISCO_KEY_LEN];
	size_t		 len;
	int		 good;

	pkt = vec_hex(c, "packet", &len);
	good = disco_looks_like(pkt, len);
	if (good != vec_bool(c, "looks_like_disco"))
		vec_fail("looks like disco: %d", good);
	if (good && vec_has(c, "source"))
		vec_expect(c, "source", disco_sender(pkt), DISCO_KEY_LEN);
	if (!good) {
		memset(key, 0, sizeof(key));
		if (disco_open(key, pkt, len, buf, sizeof(buf)) != -1)
			vec_fail("opened what is no disco");
		return;
	}
	good = key_box_precompute(vec_fix(c, "receiver_private",
	    DISCO_KEY_LEN), disco_sender(pkt), key) == 0 &&
	    disco_open(key, pkt, len, buf, sizeof(buf)) != -1;
	if (good != vec_bool(c, "opens"))
		vec_fail("opens: %d", good);
}

/* Both sides compute the same key, and public keys sort as bytes. */
static void
pair(json_t *c)
{
	const uint8_t	*a, *b;
	uint8_t		 ka[DISCO_KEY_LEN], kb[DISCO_KEY_LEN];
	json_t		*sorted;

	box_key(c, "a_private", "b_public", ka);
	box_key(c, "b_private", "a_public", kb);
	if (memcmp(ka, kb, sizeof(ka)) != 0)
		vec_fail("keys differ");
	a = vec_fix(c, "a_public", DISCO_KEY_LEN);
	b = vec_fix(c, "b_public", DISCO_KEY_LEN);
	sorted = vec_get(c, "sorted");
	if (strcmp(json_string_value(json_array_get(sorted, 0)), vec_str(c,
	    memcmp(a, b, DISCO_KEY_LEN) < 0 ? "a_public" : "b_public")) != 0)
		vec_fail("order");
}

/* What a pong of our own says at its end; others say nothing there. */
static void
pong_caps(void)
{
	struct disco_msg	 dm, in;
	uint8_t			 b[64];
	ssize_t			 n, plain;

	memset(&dm, 0, sizeof(dm));
	dm.dm_type = DISCO_PONG;
	plain = disco_build(&dm, b, sizeof(b));
	if (plain == -1 || disco_parse(b, plain, &in) == -1 ||
	    in.dm_caps != 0)
		errx(1, "a pong that says nothing");
	memset(b + plain, 1, DISCO_CAPS_LEN);
	if (disco_parse(b, plain + DISCO_CAPS_LEN, &in) == -1 ||
	    in.dm_caps != 0)
		errx(1, "a pong with something else at its end");
	dm.dm_caps = DISCO_CAP_ECN;
	n = disco_build(&dm, b, sizeof(b));
	if (n != plain + DISCO_CAPS_LEN || disco_parse(b, n, &in) == -1 ||
	    in.dm_caps != DISCO_CAP_ECN)
		errx(1, "a pong that says what it can do");
	if (disco_parse(b, n - 1, &in) == -1 || in.dm_caps != 0)
		errx(1, "a pong that is cut short");
}

static const struct vec_kind kinds[] = {
	{ "message",	message },
	{ "parse",	parse },
	{ "wrapper",	wrapper },
	{ "pair",	pair },
};

int
main(void)
{
	pong_caps();
	vec_run(getenv("VECTORS"), "disco", kinds,
	    sizeof(kinds) / sizeof(kinds[0]));
	return 0;
}
