/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Key types against vectors: keys.json, every kind in it.
 */

/* link: vec.c */

#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "vec.h"

static void
expect_str(json_t *c, const char *key, const char *got)
{
	if (!vec_is(c, key, got))
		vec_fail("%s: got %s", key, got);
}

static void
expect_text(json_t *c, const char *key, enum key_type type,
    const uint8_t *raw)
{
	char	 buf[KEY_TEXT_MAX];

	if (key_print(type, raw, buf, sizeof(buf)) == -1)
		vec_fail("%s: print", key);
	expect_str(c, key, buf);
}

static enum key_type
type_of(json_t *c)
{
	static const struct {
		const char	*name;
		enum key_type	 type;
	} types[] = {
		{ "machine_public", KEY_MACHINE },
		{ "machine_private", KEY_PRIVATE },
		{ "node_public", KEY_NODE },
		{ "node_private", KEY_PRIVATE },
		{ "disco_public", KEY_DISCO },
		{ "challenge_public", KEY_CHALLENGE },
		{ "nl_public", KEY_NL },
		{ "nl_private", KEY_NL_PRIVATE },
		{ "derp_mesh", KEY_DERP_MESH },
		{ "machine", KEY_MACHINE },	/* those of "generate" */
		{ "node", KEY_NODE },
		{ "disco", KEY_DISCO },
		{ "challenge", KEY_CHALLENGE },
	};
	size_t	 i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (vec_is(c, "type", types[i].name))
			return types[i].type;
	vec_fail("unknown type");
}

static void
curve_short(json_t *c, const uint8_t *public)
{
	uint8_t	 bin[KEY_NODE_BINARY_LEN], expired[KEY_LEN];
	char	 buf[KEY_SHORT_MAX];

	key_short(public, buf);
	expect_str(c, "machine_public_short", buf);
	expect_str(c, "node_public_short", buf);
	key_short_disco(public, buf);
	expect_str(c, "disco_public_short", buf);
	key_short_peer(public, buf);
	expect_str(c, "node_public_wireguard_string", buf);
	key_node_print_binary(public, bin);
	vec_expect(c, "node_public_binary", bin, sizeof(bin));
	if (key_node_shard(public) != vec_num(c, "node_public_shard"))
		vec_fail("shard");
	key_node_expired(public, expired);
	expect_text(c, "expired_replacement_text", KEY_NODE, expired);
	key_short(expired, buf);
	expect_str(c, "expired_replacement_short", buf);
}

static void
curve(json_t *c)
{
	const uint8_t	*private;
	uint8_t		 public[KEY_LEN];

	private = vec_fix(c, "private", KEY_LEN);
	key_public(private, public);
	vec_expect(c, "public", public, sizeof(public));
	expect_text(c, "machine_private_text", KEY_PRIVATE, private);
	expect_text(c, "node_private_text", KEY_PRIVATE, private);
	expect_text(c, "machine_public_text", KEY_MACHINE, public);
	expect_text(c, "node_public_text", KEY_NODE, public);
	expect_text(c, "disco_public_text", KEY_DISCO, public);
	expect_text(c, "challenge_public_text", KEY_CHALLENGE, public);
	curve_short(c, public);
}

static void
generate(json_t *c)
{
	uint8_t	 private[KEY_LEN], public[KEY_LEN];

	memcpy(private, vec_fix(c, "random", KEY_LEN), KEY_LEN);
	key_clamp(private);
	vec_expect(c, "private", private, sizeof(private));
	key_public(private, public);
	expect_text(c, "public_text", type_of(c), public);
}

static void
network_lock(json_t *c)
{
	const uint8_t	*hash;
	uint8_t		 private[KEY_NL_PRIVATE_LEN], sig[KEY_SIGNATURE_LEN];
	char		 buf[KEY_TEXT_MAX];

	key_nl_generate(vec_fix(c, "seed", KEY_LEN), private);
	expect_text(c, "private_text", KEY_NL_PRIVATE, private);
	expect_text(c, "public_text", KEY_NL, private + KEY_LEN);
	if (key_print_cli(private + KEY_LEN, buf, sizeof(buf)) == -1)
		vec_fail("print_cli");
	expect_str(c, "public_cli_text", buf);
	vec_expect(c, "key_id", private + KEY_LEN, KEY_LEN);

	hash = vec_fix(c, "sign_hash", 32);
	key_nl_sign(private, hash, 32, sig);
	vec_expect(c, "signature", sig, sizeof(sig));
	if (key_nl_verify(private + KEY_LEN, hash, 32, sig) == -1)
		vec_fail("own signature refused");
	sig[7] ^= 1;
	if (key_nl_verify(private + KEY_LEN, hash, 32, sig) == 0)
		vec_fail("changed signature accepted");
}

static void
box(json_t *c)
{
	const uint8_t	*sealed, *plain;
	uint8_t		 out[4096], key[KEY_LEN], public[KEY_LEN];
	size_t		 len, plainlen;
	int		 good;

	sealed = vec_hex(c, "sealed", &len);
	if (len > sizeof(out))
		vec_fail("too long for this test");
	good = key_box_precompute(vec_fix(c, "receiver_private", KEY_LEN),
	    vec_fix(c, "sender_public", KEY_LEN), key) == 0 &&
	    key_box_open(key, sealed, len, out) == 0;
	if (good != vec_bool(c, "ok"))
		vec_fail("open: %d", good);
	if (!good)
		return;
	vec_expect(c, "plaintext", out, len - KEY_BOX_OVERHEAD);
	key_public(vec_fix(c, "sender_private", KEY_LEN), public);
	vec_expect(c, "sender_public", public, sizeof(public));
	if (key_box_precompute(vec_fix(c, "sender_private", KEY_LEN),
	    vec_fix(c, "receiver_public", KEY_LEN), key) == -1)
		vec_fail("precompute");
	plain = vec_hex(c, "plaintext", &plainlen);
	key_box_seal(key, vec_fix(c, "nonce", KEY_BOX_NONCE_LEN), plain,
	    plainlen, out);
	vec_expect(c, "sealed", out, plainlen + KEY_BOX_OVERHEAD);
}

/* DERP's mesh key has no prefix, in its canonical form too. */
static void
parse_text(json_t *c, const char *text, size_t len)
{
	uint8_t	 raw[KEY_RAW_MAX], was[KEY_RAW_MAX];
	int	 good;

	memset(raw, 0xa5, sizeof(raw));
	memset(was, 0xa5, sizeof(was));
	good = key_parse(type_of(c), text, len, raw) == 0;
	if (good != vec_bool(c, "ok"))
		vec_fail("parse \"%s\": %d", text, good);
	if (good)
		expect_text(c, "canonical", type_of(c), raw);
	else if (memcmp(raw, was, sizeof(raw)) != 0)
		vec_fail("refused, but written");
}

static void
parse(json_t *c)
{
	json_t	*text;

	text = vec_get(c, "text");
	parse_text(c, json_string_value(text), json_string_length(text));
}

/* The reader of JSON is the caller's; null is the zero key. */
static void
parse_json(json_t *c)
{
	static const uint8_t	 zero[KEY_RAW_MAX];
	json_t			*v;

	v = json_loads(vec_str(c, "json"), JSON_DECODE_ANY, NULL);
	if (json_is_string(v))
		parse_text(c, json_string_value(v), json_string_length(v));
	else if (json_is_null(v))
		expect_text(c, "canonical", type_of(c), zero);
	else if (vec_bool(c, "ok"))
		vec_fail("neither string nor null");
	json_decref(v);
}

static void
parse_binary(json_t *c)
{
	const uint8_t	*bytes;
	uint8_t		 raw[KEY_LEN];
	size_t		 len;
	int		 good;

	bytes = vec_hex(c, "bytes", &len);
	good = key_node_parse_binary(bytes, len, raw) == 0;
	if (good != vec_bool(c, "ok"))
		vec_fail("parse_binary: %d", good);
	if (good)
		expect_text(c, "canonical", KEY_NODE, raw);
}

static const struct vec_kind kinds[] = {
	{ "curve25519",		curve },
	{ "generate",		generate },
	{ "network_lock",	network_lock },
	{ "box",		box },
	{ "parse",		parse },
	{ "parse_json",		parse_json },
	{ "parse_binary",	parse_binary },
};

int
main(void)
{
	vec_run(getenv("VECTORS"), "keys", kinds,
	    sizeof(kinds) / sizeof(kinds[0]));
	return 0;
}
