/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The control session's Noise against vectors: noise_ts2021.json, every
 * kind in it.
 */

/* link: vec.c */

#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "noise.h"
#include "vec.h"

static uint8_t	 wire[1 << 20];		/* what goes over the connection */
static uint8_t	 stream[1 << 20];	/* plaintext that came out of it */

static void
public_of(json_t *c, const char *private, const char *public, uint8_t *out)
{
	key_public(vec_fix(c, private, KEY_LEN), out);
	vec_expect(c, public, out, KEY_LEN);
}

/* The client's half: the initiation that the case shows comes out. */
static void
initiate(json_t *c, struct noise_handshake *nh)
{
	uint8_t	 machine[KEY_LEN], server[KEY_LEN];
	uint8_t	 msg[NOISE_INITIATION_LEN];

	public_of(c, "machine_private", "machine_public", machine);
	public_of(c, "control_private", "control_public", server);
	if (noise_initiate(nh, vec_num(c, "protocol_version"),
	    vec_fix(c, "machine_private", KEY_LEN), machine, server,
	    vec_fix(c, "machine_ephemeral_random", KEY_LEN), msg) == -1)
		vec_fail("initiate");
	vec_expect(c, "machine_ephemeral_private", nh->nh_ephemeral, KEY_LEN);
	vec_expect(c, "machine_ephemeral_public", msg + 5, KEY_LEN);
	if (!vec_is(c, "kind", "server_reads_initiation"))
		vec_expect(c, "initiation", msg, sizeof(msg));
}

static int
respond(json_t *c, const uint8_t *msg, size_t len,
    uint8_t resp[NOISE_RESPONSE_LEN], struct noise_session *ns,
    uint8_t peer[KEY_LEN], uint16_t *version)
{
	uint8_t	 server[KEY_LEN];

	public_of(c, "control_private", "control_public", server);
	return noise_respond(vec_fix(c, "control_private", KEY_LEN), server,
	    vec_fix(c, "control_ephemeral_random", KEY_LEN), msg, len, resp,
	    ns, peer, version);
}

static void
expect_session(json_t *c, const struct noise_session *ns)
{
	vec_expect(c, "handshake_hash", ns->ns_hash, NOISE_KEY_LEN);
	vec_expect(c, "chaining_key_final", ns->ns_chain, NOISE_KEY_LEN);
	vec_expect(c, "key_client_to_server", ns->ns_c2s, NOISE_KEY_LEN);
	vec_expect(c, "key_server_to_client", ns->ns_s2c, NOISE_KEY_LEN);
}

/* The whole of it, both sides; the session as both see it. */
static void
shake_hands(json_t *c, struct noise_session *ns)
{
	struct noise_handshake	 nh;
	struct noise_session	 server;
	const uint8_t		*msg;
	uint8_t			 resp[NOISE_RESPONSE_LEN], peer[KEY_LEN];
	size_t			 len;
	uint16_t		 version;

	initiate(c, &nh);
	msg = vec_hex(c, "initiation", &len);
	if (respond(c, msg, len, resp, &server, peer, &version) == -1)
		vec_fail("respond");
	vec_expect(c, "response", resp, sizeof(resp));
	vec_expect(c, "machine_public", peer, sizeof(peer));
	if (version != vec_num(c, "protocol_version"))
		vec_fail("version");
	if (noise_finish(&nh, vec_fix(c, "machine_private", KEY_LEN), resp,
	    sizeof(resp), ns) == -1)
		vec_fail("finish");
	if (memcmp(ns, &server, sizeof(server)) != 0)
		vec_fail("the sides differ");
	if (vec_has(c, "key_client_to_server"))
		expect_session(c, ns);
}

static const uint8_t *
key_of(json_t *c, const struct noise_session *ns)
{
	return vec_is(c, "direction", "client_to_server") ? ns->ns_c2s :
	    ns->ns_s2c;
}

/* One write of any length, split into the records that it becomes. */
static void
write_records(json_t *t, const struct noise_session *ns)
{
	struct noise_record	*nr;
	json_t			*records, *r;
	const uint8_t		*plain, *want;
	size_t			 i, len, n, wantlen;
	ssize_t			 got;

	plain = vec_hex(t, "plaintext", &len);
	records = vec_get(t, "records");
	nr = noise_record_new(key_of(t, ns), vec_num(t, "first_nonce"), 1);
	json_array_foreach(records, i, r) {
		n = len > NOISE_PLAIN_MAX ? NOISE_PLAIN_MAX : len;
		got = noise_seal(nr, plain, n, wire);
		want = vec_unhex(json_string_value(r), &wantlen);
		if (got == -1 || (size_t)got != wantlen ||
		    memcmp(want, wire, wantlen) != 0)
			vec_fail("record %zu", i);
		plain += n;
		len -= n;
	}
	if (len != 0)
		vec_fail("%zu bytes left to write", len);
	noise_record_free(nr);
}

/*
 * Read what is in wire: plaintext to stream.  Returns its length, or -1 at
 * an error after *done bytes; *rest is what a cut frame leaves.
 */
static int
read_records(struct noise_record *nr, size_t len, size_t *done, size_t *rest)
{
	size_t	 off = 0;
	ssize_t	 n, plain;

	*done = 0;
	for (;;) {
		if ((n = noise_frame_len(wire + off, len - off)) == -1) {
			/* What the splitter refuses, the opener must too. */
			if (noise_open(nr, wire + off, len - off) != -1)
				vec_fail("opened a bad frame");
			return -1;
		}
		if (n == 0)
			break;
		if ((plain = noise_open(nr, wire + off, n)) == -1)
			return -1;
		memcpy(stream + *done, wire + off + NOISE_HDR_LEN, plain);
		*done += plain;
		off += n;
	}
	*rest = len - off;
	return 0;
}

/* All records of a list into wire, one after the other. */
static size_t
wire_records(json_t *records)
{
	json_t		*r;
	const uint8_t	*frame;
	size_t		 i, len, off = 0;

	json_array_foreach(records, i, r) {
		frame = vec_unhex(json_string_value(r), &len);
		if (len > sizeof(wire) - off)
			vec_fail("too long for this test");
		memcpy(wire + off, frame, len);
		off += len;
	}
	return off;
}

static void
read_back(json_t *t, const struct noise_session *ns)
{
	struct noise_record	*nr;
	size_t			 done, off, rest;

	off = wire_records(vec_get(t, "records"));
	nr = noise_record_new(key_of(t, ns), vec_num(t, "first_nonce"), 0);
	if (read_records(nr, off, &done, &rest) == -1 || rest != 0)
		vec_fail("own records do not open");
	vec_expect(t, "plaintext", stream, done);
	noise_record_free(nr);
}

static void
handshake(json_t *c)
{
	struct noise_session	 ns;
	json_t			*t;
	size_t			 i;

	shake_hands(c, &ns);
	json_array_foreach(vec_get(c, "transport"), i, t) {
		write_records(t, &ns);
		read_back(t, &ns);
	}
}

/* An end inside a frame may count as good or bad; nothing is delivered. */
static void
receive(json_t *c)
{
	struct noise_session	 ns;
	struct noise_record	*nr;
	const uint8_t		*bytes;
	size_t			 done, len, rest;
	uint64_t		 counter = 0;
	int			 good;

	shake_hands(c, &ns);
	bytes = vec_hex(c, "wire", &len);
	if (len > sizeof(wire))
		vec_fail("too long for this test");
	memcpy(wire, bytes, len);
	if (vec_has(c, "receiver_nonce_preset"))
		counter = vec_num(c, "receiver_nonce_preset");
	nr = noise_record_new(key_of(c, &ns), counter, 0);
	good = read_records(nr, len, &done, &rest) == 0;
	if (good != vec_bool(c, "ok"))
		vec_fail("read: %d", good);
	vec_expect(c, "delivered", stream, done);
	if (!good && (noise_open(nr, wire, len) != -1 || errno != EPIPE))
		vec_fail("read goes on after an error");
	noise_record_free(nr);
}

/* What a server does with the bytes, in a stream or whole. */
static int
serve(json_t *c, uint8_t *out, size_t *outlen, uint8_t *peer,
    uint16_t *version)
{
	struct noise_session	 ns;
	const uint8_t		*msg;
	const char		*why;
	size_t			 len;
	int			 whole;

	*outlen = 0;
	msg = vec_hex(c, "initiation", &len);
	whole = vec_is(c, "initiation_delivered", "out_of_band");
	if (!whole && len < 5)
		return -1;
	if ((why = noise_initiation_check(msg, len, whole)) != NULL) {
		*outlen = noise_error_frame(why, out);
		return -1;
	}
	if (len < NOISE_INITIATION_LEN)
		return -1;		/* the stream ended */
	if (respond(c, msg, NOISE_INITIATION_LEN, out, &ns, peer,
	    version) == -1)
		return -1;
	*outlen = NOISE_RESPONSE_LEN;
	if (vec_has(c, "key_client_to_server"))
		expect_session(c, &ns);
	return 0;
}

static void
server_reads_initiation(json_t *c)
{
	uint8_t		 out[NOISE_ERROR_MAX], peer[KEY_LEN];
	size_t		 outlen;
	uint16_t	 version;
	int		 good;

	good = serve(c, out, &outlen, peer, &version) == 0;
	if (good != vec_bool(c, "ok"))
		vec_fail("respond: %d", good);
	vec_expect(c, "server_writes", out, outlen);
	if (!good)
		return;
	vec_expect(c, "peer_seen_by_server", peer, sizeof(peer));
	if (version != vec_num(c, "version_seen_by_server"))
		vec_fail("version");
}

static void
client_reads_response(json_t *c)
{
	struct noise_handshake	 nh;
	struct noise_session	 ns;
	const uint8_t		*msg;
	size_t			 len;
	ssize_t			 n;
	int			 good;

	initiate(c, &nh);
	msg = vec_hex(c, "response", &len);
	n = noise_response_len(msg, len);
	good = n > 0 && noise_finish(&nh,
	    vec_fix(c, "machine_private", KEY_LEN), msg, n, &ns) == 0;
	if (good != vec_bool(c, "ok"))
		vec_fail("finish: %d", good);
	if (n <= 0 && noise_finish(&nh, vec_fix(c, "machine_private",
	    KEY_LEN), msg, len, &ns) == 0)
		vec_fail("finish takes what the reader refuses");
	if (good && vec_has(c, "key_client_to_server"))
		expect_session(c, &ns);
}

/* Fed byte by byte or all at once, it comes to the same. */
static enum noise_early_result
early_feed(struct noise_early *ne, size_t len, size_t step, size_t *used)
{
	enum noise_early_result	 res = NOISE_EARLY_MORE;
	size_t			 n, off = 0;

	noise_early_init(ne);
	while (off < len && res == NOISE_EARLY_MORE) {
		n = len - off < step ? len - off : step;
		res = noise_early_feed(ne, stream + off, n, &n);
		off += n;
	}
	*used = off;
	return res;
}

/* The challenge in the JSON text; -1 if that is broken. 0: null, 1: found. */
static int
early_json(json_t *c, struct noise_early *ne)
{
	json_t		*root, *v;
	const char	*text;
	uint8_t		 key[KEY_LEN] = { 0 };
	char		 buf[KEY_TEXT_MAX];
	int		 found;

	root = json_loadb((const char *)ne->ne_json, ne->ne_len,
	    JSON_DECODE_ANY, NULL);
	if (root == NULL)
		return -1;
	v = json_object_get(root, "nodeKeyChallenge");
	if ((text = json_string_value(v)) != NULL && key_parse(KEY_CHALLENGE,
	    text, json_string_length(v), key) == -1)
		vec_fail("challenge");
	if ((found = json_is_object(root))) {
		(void)key_print(KEY_CHALLENGE, key, buf, sizeof(buf));
		if (!vec_is(c, "node_key_challenge", buf))
			vec_fail("challenge: got %s", buf);
	}
	json_decref(root);
	return found;
}

static void
early_rest(json_t *c, struct noise_early *ne, enum noise_early_result res,
    size_t used, size_t len)
{
	uint8_t	 hdr[NOISE_EARLY_HDR_LEN];
	int	 found = 0, good;

	good = res == NOISE_EARLY_NONE || res == NOISE_EARLY_DONE;
	if (res == NOISE_EARLY_DONE) {
		if ((found = early_json(c, ne)) == -1)
			good = 0;
		if (noise_early_header(ne->ne_len, hdr) == -1 ||
		    memcmp(hdr, ne->ne_hdr, sizeof(hdr)) != 0)
			vec_fail("own header differs");
	}
	if (good != vec_bool(c, "ok"))
		vec_fail("early payload: %d", good);
	if ((found == 1) != vec_bool(c, "has_early_payload"))
		vec_fail("early payload found: %d", found);
	if (!good)
		return;
	if (res == NOISE_EARLY_NONE) {
		memcpy(wire, ne->ne_hdr, NOISE_EARLY_HDR_LEN);
		memcpy(wire + NOISE_EARLY_HDR_LEN, stream + used, len - used);
		vec_expect(c, "rest_of_stream", wire,
		    NOISE_EARLY_HDR_LEN + len - used);
	} else
		vec_expect(c, "rest_of_stream", stream + used, len - used);
}

static void
early_payload(json_t *c)
{
	static const size_t	 steps[] = { 1, 7, sizeof(stream) };
	struct noise_session	 ns;
	struct noise_record	*nr;
	struct noise_early	 ne;
	enum noise_early_result	 res;
	size_t			 done, i, off, rest, used;

	shake_hands(c, &ns);
	off = wire_records(vec_get(c, "records"));
	nr = noise_record_new(ns.ns_s2c, 0, 0);
	if (read_records(nr, off, &done, &rest) == -1 || rest != 0)
		vec_fail("records do not open");
	noise_record_free(nr);
	vec_expect(c, "stream", stream, done);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		res = early_feed(&ne, done, steps[i], &used);
		early_rest(c, &ne, res, used, done);
		noise_early_free(&ne);
	}
}

static const struct vec_kind kinds[] = {
	{ "handshake",			handshake },
	{ "receive",			receive },
	{ "server_reads_initiation",	server_reads_initiation },
	{ "client_reads_response",	client_reads_response },
	{ "early_payload",		early_payload },
};

int
main(void)
{
	vec_run(getenv("VECTORS"), "noise_ts2021", kinds,
	    sizeof(kinds) / sizeof(kinds[0]));
	return 0;
}
