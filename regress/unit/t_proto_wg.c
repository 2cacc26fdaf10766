/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * WireGuard against vectors: wireguard.json, every kind in it.
 */

/* link: vec.c */

#include <sys/types.h>

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "vec.h"
#include "wg.h"

/* One side of an exchange: "initiator" or "responder". */
struct side {
	const char	*s_name;
	const uint8_t	*s_private;
	uint8_t		 s_public[WG_KEY_LEN];
	uint8_t		 s_mac1[WG_KEY_LEN];	/* of messages to it */
	uint8_t		 s_cookie[WG_KEY_LEN];	/* of cookies from it */
	uint8_t		 s_last_ts[WG_TIMESTAMP_LEN];
};

static uint8_t	 pkt[65536];

static const char *
member(const struct side *s, const char *suffix)
{
	static char	 buf[64];

	(void)snprintf(buf, sizeof(buf), "%s_%s", s->s_name, suffix);
	return buf;
}

static void
side_init(json_t *c, struct side *s, const char *name)
{
	int	 initiator;

	memset(s, 0, sizeof(*s));
	s->s_name = name;
	s->s_private = vec_fix(c, member(s, "private"), WG_KEY_LEN);
	key_public(s->s_private, s->s_public);
	vec_expect(c, member(s, "public"), s->s_public, WG_KEY_LEN);
	if (wg_mac1_key(s->s_public, s->s_mac1) == -1 ||
	    wg_cookie_key(s->s_public, s->s_cookie) == -1)
		vec_fail("mac keys");
	initiator = strcmp(name, "initiator") == 0;
	vec_expect(c, initiator ? "mac1_key_response" :
	    "mac1_key_initiation", s->s_mac1, WG_KEY_LEN);
	vec_expect(c, initiator ? "cookie_key_initiator" :
	    "cookie_key_responder", s->s_cookie, WG_KEY_LEN);
}

static const uint8_t *
psk_of(json_t *c)
{
	size_t	 len;

	if (!vec_has(c, "preshared_key"))
		return NULL;
	(void)vec_hex(c, "preshared_key", &len);
	return len == 0 ? NULL : vec_fix(c, "preshared_key", WG_KEY_LEN);
}

/* The initiation that the case shows comes out. */
static void
initiate(json_t *c, const struct side *i, const struct side *r,
    struct wg_handshake *wh)
{
	uint8_t	 msg[WG_INITIATION_LEN];

	if (wg_initiation_create(wh, i->s_private, i->s_public, r->s_public,
	    vec_fix(c, "initiator_ephemeral_random", WG_KEY_LEN),
	    vec_fix(c, "timestamp_tai64n", WG_TIMESTAMP_LEN),
	    vec_num(c, "initiator_index"), msg) == -1 ||
	    wg_mac_append(msg, sizeof(msg), r->s_mac1, NULL) == -1)
		vec_fail("create initiation");
	vec_expect(c, "initiation", msg, sizeof(msg));
	vec_expect(c, "initiator_ephemeral_public", msg + 8, WG_KEY_LEN);
}

/* What the responder does with a datagram up to the timestamp; 0 or -1. */
static int
read_initiation(struct side *i, struct side *r, const uint8_t *msg,
    size_t len, struct wg_handshake *wh)
{
	uint8_t	 ts[WG_TIMESTAMP_LEN];

	if (wg_classify(msg, len) != WG_MSG_INITIATION ||
	    wg_mac1_check(msg, len, r->s_mac1) == -1 ||
	    wg_initiation_open(wh, r->s_private, r->s_public, msg) == -1)
		return -1;
	if (memcmp(wh->wh_remote_s, i->s_public, WG_KEY_LEN) != 0)
		return -1;
	if (wg_initiation_verify(wh, r->s_private, msg, ts) == -1 ||
	    memcmp(ts, i->s_last_ts, sizeof(ts)) <= 0)
		return -1;
	memcpy(i->s_last_ts, ts, sizeof(ts));
	return 0;
}

/* Both halves; the two sessions are the same one. */
static void
shake_hands(json_t *c, struct side *i, struct side *r,
    struct wg_session *wi, struct wg_session *wr)
{
	struct wg_handshake	 hi, hr;
	const uint8_t		*msg;
	uint8_t			 resp[WG_RESPONSE_LEN];
	size_t			 len;

	initiate(c, i, r, &hi);
	msg = vec_hex(c, "initiation", &len);
	if (read_initiation(i, r, msg, len, &hr) == -1)
		vec_fail("read initiation");
	vec_expect(c, "timestamp_tai64n", i->s_last_ts, WG_TIMESTAMP_LEN);
	if (wg_response_create(&hr, psk_of(c),
	    vec_fix(c, "responder_ephemeral_random", WG_KEY_LEN),
	    vec_num(c, "responder_index"), resp, wr) == -1 ||
	    wg_mac_append(resp, sizeof(resp), i->s_mac1, NULL) == -1)
		vec_fail("create response");
	vec_expect(c, "response", resp, sizeof(resp));
	if (wg_classify(resp, sizeof(resp)) != WG_MSG_RESPONSE ||
	    wg_receiver(resp) != hi.wh_local ||
	    wg_mac1_check(resp, sizeof(resp), i->s_mac1) == -1 ||
	    wg_response_consume(&hi, i->s_private, psk_of(c), resp, wi) == -1)
		vec_fail("read response");
	if (memcmp(wi->ws_send, wr->ws_recv, WG_KEY_LEN) != 0 ||
	    memcmp(wi->ws_recv, wr->ws_send, WG_KEY_LEN) != 0 ||
	    wi->ws_remote != vec_num(c, "responder_index") ||
	    wr->ws_remote != vec_num(c, "initiator_index"))
		vec_fail("the sides differ");
	vec_expect(c, "key_initiator_to_responder", wi->ws_send, WG_KEY_LEN);
	vec_expect(c, "key_responder_to_initiator", wi->ws_recv, WG_KEY_LEN);
	vec_expect(c, "handshake_hash", wi->ws_hash, WG_KEY_LEN);
	vec_expect(c, "chaining_key_final", wr->ws_chain, WG_KEY_LEN);
}

/* Is the packet's source inside the prefixes that the case gives? */
static int
source_allowed(json_t *list, const uint8_t *p)
{
	json_t		*v;
	const char	*slash;
	uint8_t		 addr[16];
	char		 text[64];
	size_t		 i;
	int		 af, bit, bits, off;

	af = p[0] >> 4 == 4 ? AF_INET : AF_INET6;
	off = af == AF_INET ? 12 : 8;
	json_array_foreach(list, i, v) {
		slash = strchr(json_string_value(v), '/');
		(void)snprintf(text, sizeof(text), "%.*s",
		    (int)(slash - json_string_value(v)),
		    json_string_value(v));
		if (inet_pton(af, text, addr) != 1)
			continue;
		bits = (int)strtol(slash + 1, NULL, 10);
		for (bit = 0; bit < bits; bit++)
			if ((addr[bit / 8] ^ p[off + bit / 8]) &
			    (0x80 >> bit % 8))
				break;
		if (bit == bits)
			return 1;
	}
	return 0;
}

/* Plain, padded, sealed: in place and from elsewhere. */
static void
send_one(json_t *t, struct wg_key *wk, uint32_t index, size_t mtu)
{
	static uint8_t	 plain[65536];
	const uint8_t	*inner;
	size_t		 len, padded;
	ssize_t		 n;

	inner = vec_hex(t, "inner", &len);
	padded = wg_pad(len, mtu);
	memset(plain, 0, sizeof(plain));
	memcpy(plain, inner, len);
	vec_expect(t, "padded_plaintext", plain, padded);
	n = wg_seal(wk, pkt, plain, padded, index, vec_num(t, "counter"));
	if (n == -1)
		vec_fail("seal");
	vec_expect(t, "packet", pkt, n);
	memcpy(pkt + WG_TRANSPORT_HDR_LEN, plain, padded);
	n = wg_seal(wk, pkt, pkt + WG_TRANSPORT_HDR_LEN, padded, index,
	    vec_num(t, "counter"));
	if (n == -1)
		vec_fail("seal in place");
	vec_expect(t, "packet", pkt, n);
	if ((n == WG_TRANSPORT_OVERHEAD) != vec_bool(t, "keepalive"))
		vec_fail("keepalive");
}

static void
full_exchange(json_t *c)
{
	struct side		 i, r;
	struct wg_session	 wi, wr;
	struct wg_key		*ki, *kr;
	json_t			*t;
	size_t			 n;
	int			 forth;

	side_init(c, &i, "initiator");
	side_init(c, &r, "responder");
	shake_hands(c, &i, &r, &wi, &wr);
	ki = wg_key_new(wi.ws_send, 1);
	kr = wg_key_new(wr.ws_send, 1);
	json_array_foreach(vec_get(c, "transport"), n, t) {
		forth = vec_is(t, "direction", "initiator_to_responder");
		send_one(t, forth ? ki : kr,
		    forth ? wi.ws_remote : wr.ws_remote, vec_num(c, "mtu"));
	}
	wg_key_free(ki);
	wg_key_free(kr);
}

static void
responder_reads_initiation(json_t *c)
{
	struct wg_handshake	 wh;
	struct wg_session	 ws;
	struct side		 i, r;
	const uint8_t		*msg;
	uint8_t			 resp[WG_RESPONSE_LEN];
	static const uint8_t	 random[WG_KEY_LEN] = { 1, 2, 3 };
	size_t			 len;
	int			 good;

	side_init(c, &i, "initiator");
	side_init(c, &r, "responder");
	/* That the responder has no such peer, only the label tells. */
	if (strstr(vec_str(c, "name"), "unknown-peer") != NULL)
		memset(i.s_public, 0, sizeof(i.s_public));
	msg = vec_hex(c, "initiation", &len);
	good = read_initiation(&i, &r, msg, len, &wh) == 0 &&
	    wg_response_create(&wh, psk_of(c), random, 7, resp, &ws) == 0;
	if (good != vec_bool(c, "accepted"))
		vec_fail("accepted: %d", good);
	if (good && (wg_receiver(resp) != wg_sender(msg) ||
	    wg_sender(resp) != 7))
		vec_fail("indexes of the response");
}

static void
responder_reads_initiations(json_t *c)
{
	struct wg_handshake	 wh;
	struct side		 i, r;
	json_t			*step;
	const uint8_t		*msg;
	size_t			 len, n;
	int			 good;

	side_init(c, &i, "initiator");
	side_init(c, &r, "responder");
	json_array_foreach(vec_get(c, "steps"), n, step) {
		msg = vec_hex(step, "initiation", &len);
		good = read_initiation(&i, &r, msg, len, &wh) == 0;
		if (good != vec_bool(step, "accepted"))
			vec_fail("step %zu accepted: %d", n, good);
		if (good && vec_has(step, "timestamp_tai64n"))
			vec_expect(step, "timestamp_tai64n", i.s_last_ts,
			    WG_TIMESTAMP_LEN);
	}
}

static void
initiator_reads_response(json_t *c)
{
	struct wg_handshake	 wh, was;
	struct wg_session	 ws;
	struct wg_key		*wk;
	struct side		 i, r;
	const uint8_t		*msg;
	size_t			 len;
	ssize_t			 n = 0;
	int			 good;

	side_init(c, &i, "initiator");
	side_init(c, &r, "responder");
	initiate(c, &i, &r, &wh);
	was = wh;
	msg = vec_hex(c, "response", &len);
	good = wg_classify(msg, len) == WG_MSG_RESPONSE &&
	    wg_receiver(msg) == wh.wh_local &&
	    wg_mac1_check(msg, len, i.s_mac1) == 0 &&
	    wg_response_consume(&wh, i.s_private, psk_of(c), msg, &ws) == 0;
	if (good != vec_bool(c, "accepted"))
		vec_fail("accepted: %d", good);
	if (memcmp(&wh, &was, sizeof(wh)) != 0)
		vec_fail("state changed");
	if (good) {
		wk = wg_key_new(ws.ws_send, 1);
		n = wg_seal(wk, pkt, NULL, 0, ws.ws_remote, 0);
		wg_key_free(wk);
	}
	vec_expect(c, "first_packet", pkt, n);
}

/* The second initiation, with the cookie if there is one. */
static void
second_initiation(json_t *c, const struct side *i, const struct side *r,
    const uint8_t *cookie)
{
	struct wg_handshake	 wh;
	uint8_t			 msg[WG_INITIATION_LEN];

	if (wg_initiation_create(&wh, i->s_private, i->s_public, r->s_public,
	    vec_fix(c, "second_initiator_ephemeral_random", WG_KEY_LEN),
	    vec_fix(c, "second_timestamp_tai64n", WG_TIMESTAMP_LEN),
	    vec_num(c, "second_initiator_index"), msg) == -1 ||
	    wg_mac_append(msg, sizeof(msg), r->s_mac1, cookie) == -1)
		vec_fail("create second initiation");
	vec_expect(c, "second_initiation", msg, sizeof(msg));
}

/* The responder's own reply, as far as the case does not spoil it. */
static void
own_reply(json_t *c, const struct side *r, const uint8_t *msg,
    const uint8_t *cookie)
{
	uint8_t	 reply[WG_COOKIE_REPLY_LEN], got[WG_COOKIE_LEN];

	if (wg_cookie_reply(msg, r->s_cookie,
	    vec_fix(c, "cookie_nonce", WG_COOKIE_NONCE_LEN), cookie,
	    reply) == -1)
		vec_fail("make reply");
	if (vec_bool(c, "cookie_reply_accepted"))
		vec_expect(c, "cookie_reply", reply, sizeof(reply));
	if (wg_cookie_open(reply, r->s_cookie, wg_mac1(msg), got) == -1 ||
	    memcmp(got, cookie, sizeof(got)) != 0)
		vec_fail("own reply does not open");
}

static void
cookie(json_t *c)
{
	struct wg_handshake	 wh;
	struct side		 i, r;
	const uint8_t		*msg, *reply, *source, *second;
	uint8_t			 baked[WG_COOKIE_LEN], got[WG_COOKIE_LEN];
	size_t			 len, n;
	int			 good;

	side_init(c, &i, "initiator");
	side_init(c, &r, "responder");
	initiate(c, &i, &r, &wh);
	source = vec_hex(c, "source_bytes", &n);
	if (wg_cookie_make(vec_fix(c, "cookie_secret", WG_KEY_LEN), source,
	    n, baked) == -1)
		vec_fail("make cookie");
	vec_expect(c, "cookie", baked, sizeof(baked));
	msg = vec_fix(c, "initiation", WG_INITIATION_LEN);
	if (wg_mac2_check(msg, WG_INITIATION_LEN, baked) == 0)
		vec_fail("zero mac2 accepted");
	own_reply(c, &r, msg, baked);

	reply = vec_hex(c, "cookie_reply", &len);
	good = wg_classify(reply, len) == WG_MSG_COOKIE &&
	    wg_receiver(reply) == wh.wh_local &&
	    wg_cookie_open(reply, r.s_cookie, wg_mac1(msg), got) == 0;
	if (good != vec_bool(c, "cookie_reply_accepted"))
		vec_fail("reply accepted: %d", good);
	second_initiation(c, &i, &r, good ? got : NULL);
	second = vec_fix(c, "second_initiation", WG_INITIATION_LEN);
	good = wg_mac2_check(second, WG_INITIATION_LEN, baked) == 0;
	if ((good ? WG_MSG_RESPONSE : WG_MSG_COOKIE) !=
	    (int)vec_num(c, "second_answer_type"))
		vec_fail("mac2 of the second: %d", good);
}

/* What netd does with a datagram; length of the inner packet, 0 if none. */
static size_t
receive_one(json_t *allowed, struct wg_key *wk, uint32_t index,
    struct wg_replay *wr, const uint8_t *msg, size_t len)
{
	ssize_t	 n;

	if (wg_classify(msg, len) != WG_MSG_TRANSPORT ||
	    wg_receiver(msg) != index || len > sizeof(pkt))
		return 0;
	memcpy(pkt, msg, len);
	n = wg_open(wk, pkt, len, pkt + WG_TRANSPORT_HDR_LEN);
	if (n == -1 || wg_replay_check(wr, wg_counter(msg)) == -1)
		return 0;
	n = wg_inner_len(pkt + WG_TRANSPORT_HDR_LEN, n);
	if (n <= 0 || !source_allowed(allowed, pkt + WG_TRANSPORT_HDR_LEN))
		return 0;
	return n;
}

static void
transport_reads(json_t *c)
{
	struct side		 i, r;
	struct wg_session	 wi, wr;
	struct wg_replay	 replay;
	struct wg_key		*wk;
	json_t			*allowed, *step;
	const uint8_t		*msg;
	size_t			 len, n;
	int			 responder;

	side_init(c, &i, "initiator");
	side_init(c, &r, "responder");
	shake_hands(c, &i, &r, &wi, &wr);
	responder = vec_is(c, "receiver", "responder");
	allowed = vec_get(c, responder ? "responder_allowed_ips_of_peer" :
	    "initiator_allowed_ips_of_peer");
	wk = wg_key_new(responder ? wr.ws_recv : wi.ws_recv, 0);
	wg_replay_init(&replay);
	json_array_foreach(vec_get(c, "steps"), n, step) {
		msg = vec_hex(step, "packet", &len);
		len = receive_one(allowed, wk, vec_num(c, responder ?
		    "responder_index" : "initiator_index"), &replay, msg,
		    len);
		if ((len != 0) != vec_bool(step, "is_delivered"))
			vec_fail("step %zu delivered: %zu bytes", n, len);
		vec_expect(step, "delivered", pkt + WG_TRANSPORT_HDR_LEN,
		    len);
	}
	wg_key_free(wk);
}

static const struct vec_kind kinds[] = {
	{ "full_exchange",			full_exchange },
	{ "responder_reads_initiation",		responder_reads_initiation },
	{ "responder_reads_initiations",	responder_reads_initiations },
	{ "initiator_reads_response",		initiator_reads_response },
	{ "cookie",				cookie },
	{ "transport_reads",			transport_reads },
};

int
main(void)
{
	vec_run(getenv("VECTORS"), "wireguard", kinds,
	    sizeof(kinds) / sizeof(kinds[0]));
	return 0;
}
