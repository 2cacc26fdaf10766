/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Text and binary forms of keys.  No crypto in here.
 */

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hex.h"
#include "keys.h"

static const struct {
	const char	*prefix;
	size_t		 size;
} key_types[KEY_TYPE_MAX] = {
	[KEY_MACHINE] =		{ "mkey:", KEY_LEN },
	[KEY_PRIVATE] =		{ "privkey:", KEY_LEN },
	[KEY_NODE] =		{ "nodekey:", KEY_LEN },
	[KEY_DISCO] =		{ "discokey:", KEY_LEN },
	[KEY_CHALLENGE] =	{ "chalpub:", KEY_LEN },
	[KEY_NL] =		{ "nlpub:", KEY_LEN },
	[KEY_NL_PRIVATE] =	{ "nlpriv:", KEY_NL_PRIVATE_LEN },
	[KEY_HWATTEST] =	{ "hwattestpub:", KEY_HWATTEST_LEN },
	[KEY_DERP_MESH] =	{ "", KEY_LEN },
};

static const char	 key_nl_cli[] = "tlpub:";
static const char	 hexdigits[] = "0123456789abcdef";

/* "bad01dd0" in base64, what upstream puts in front of an expired key. */
static const uint8_t	 key_expired[] = {
	0x6d, 0xa7, 0x74, 0xd5, 0xd7, 0x74
};

size_t
key_size(enum key_type type)
{
	if ((unsigned int)type >= KEY_TYPE_MAX)
		return 0;
	return key_types[type].size;
}

/* Exactly 2 * size digits; -1 leaves out untouched. */
static int
hex_parse(const char *text, size_t len, uint8_t *out, size_t size)
{
	uint8_t	 raw[KEY_RAW_MAX];
	int	 r;

	if (size > sizeof(raw) || len != 2 * size)
		return -1;
	if ((r = hex_decode(text, raw, size)) == 0)
		memcpy(out, raw, size);
	explicit_bzero(raw, sizeof(raw));
	return r;
}

static void
hex_print(const uint8_t *raw, size_t size, char *out)
{
	size_t	 i;

	for (i = 0; i < size; i++) {
		*out++ = hexdigits[raw[i] >> 4];
		*out++ = hexdigits[raw[i] & 15];
	}
	*out = '\0';
}

/* Step over a prefix; -1 if the text has another. */
static int
key_skip(const char **text, size_t *len, const char *prefix)
{
	size_t	 n;

	n = strlen(prefix);
	if (*len < n || memcmp(*text, prefix, n) != 0)
		return -1;
	*text += n;
	*len -= n;
	return 0;
}

static void
key_trim(const char **text, size_t *len)
{
	while (*len > 0 && isspace((unsigned char)**text)) {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && isspace((unsigned char)(*text)[*len - 1]))
		(*len)--;
}

int
key_parse(enum key_type type, const char *text, size_t len, uint8_t *out)
{
	if (key_size(type) == 0)
		goto bad;
	if (type == KEY_HWATTEST && len == 0) {
		memset(out, 0, KEY_HWATTEST_LEN);
		return 0;
	}
	if (type == KEY_DERP_MESH)
		key_trim(&text, &len);
	if (key_skip(&text, &len, key_types[type].prefix) == -1 &&
	    (type != KEY_NL || key_skip(&text, &len, key_nl_cli) == -1))
		goto bad;
	if (hex_parse(text, len, out, key_types[type].size) == -1)
		goto bad;
	return 0;
bad:
	errno = EINVAL;
	return -1;
}

static int
key_print_prefix(const char *prefix, const uint8_t *raw, size_t size,
    char *buf, size_t bufsize)
{
	size_t	 n;

	n = strlen(prefix);
	if (bufsize < n + 2 * size + 1) {
		errno = ENOSPC;
		return -1;
	}
	memcpy(buf, prefix, n);
	hex_print(raw, size, buf + n);
	return 0;
}

int
key_print(enum key_type type, const uint8_t *raw, char *buf, size_t bufsize)
{
	if (key_size(type) == 0) {
		errno = EINVAL;
		return -1;
	}
	if (type == KEY_HWATTEST && bufsize > 0 &&
	    key_is_zero(raw, KEY_HWATTEST_LEN)) {
		buf[0] = '\0';
		return 0;
	}
	return key_print_prefix(key_types[type].prefix, raw,
	    key_types[type].size, buf, bufsize);
}

int
key_print_cli(const uint8_t raw[KEY_LEN], char *buf, size_t bufsize)
{
	return key_print_prefix(key_nl_cli, raw, KEY_LEN, buf, bufsize);
}

int
key_is_zero(const uint8_t *raw, size_t len)
{
	uint8_t	 any = 0;
	size_t	 i;

	for (i = 0; i < len; i++)
		any |= raw[i];
	return any == 0;
}

/* Standard base64 of a key: 43 characters and '='. */
static void
key_base64(const uint8_t raw[KEY_LEN], char out[45])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t	 v;
	size_t		 i;

	for (i = 0; i < KEY_LEN; i += 3) {
		v = (uint32_t)raw[i] << 16 | (uint32_t)raw[i + 1] << 8;
		if (i + 2 < KEY_LEN)
			v |= raw[i + 2];
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = digits[v >> 6 & 63];
		*out++ = i + 2 < KEY_LEN ? digits[v & 63] : '=';
	}
	*out = '\0';
}

void
key_short(const uint8_t raw[KEY_LEN], char out[KEY_SHORT_MAX])
{
	char	 b64[45];

	key_base64(raw, b64);
	(void)snprintf(out, KEY_SHORT_MAX, "[%.5s]", b64);
}

void
key_short_disco(const uint8_t raw[KEY_LEN], char out[KEY_SHORT_MAX])
{
	out[0] = 'd';
	out[1] = ':';
	hex_print(raw, 8, out + 2);
}

void
key_short_peer(const uint8_t raw[KEY_LEN], char out[KEY_SHORT_MAX])
{
	char	 b64[45];

	key_base64(raw, b64);
	(void)snprintf(out, KEY_SHORT_MAX, "peer(%.4s\xe2\x80\xa6%.4s)",
	    b64, b64 + 39);
}

int
key_node_parse_binary(const uint8_t *buf, size_t len, uint8_t out[KEY_LEN])
{
	if (len != KEY_NODE_BINARY_LEN || buf[0] != 'n' || buf[1] != 'p') {
		errno = EINVAL;
		return -1;
	}
	memcpy(out, buf + 2, KEY_LEN);
	return 0;
}

void
key_node_print_binary(const uint8_t raw[KEY_LEN],
    uint8_t out[KEY_NODE_BINARY_LEN])
{
	out[0] = 'n';
	out[1] = 'p';
	memcpy(out + 2, raw, KEY_LEN);
}

uint8_t
key_node_shard(const uint8_t raw[KEY_LEN])
{
	return (uint8_t)(raw[31] + raw[30] + raw[20]) ^
	    (uint8_t)(raw[2] + raw[12]);
}

void
key_node_expired(const uint8_t raw[KEY_LEN], uint8_t out[KEY_LEN])
{
	memmove(out, raw, KEY_LEN);
	memcpy(out, key_expired, sizeof(key_expired));
}
