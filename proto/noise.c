/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The control session's Noise IK handshake, both roles; for key processes.
 * Source: control.md section 2.3; Noise specification, pattern IK.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "blake2s.h"
#include "keys.h"
#include "noise.h"

#define NOISE_NAME	"Noise_IK_25519_ChaChaPoly_BLAKE2s"
#define NOISE_PROLOGUE	"Tailscale Control Protocol v%u"

#define INIT_EPHEMERAL	5	/* offsets in the initiation */
#define INIT_STATIC	37
#define INIT_TAG	85
#define RESP_EPHEMERAL	3	/* and in the response */
#define RESP_TAG	35

/* Hash, chaining key, and the key that the last mixing gave. */
struct noise_state {
	uint8_t	 h[NOISE_KEY_LEN];
	uint8_t	 ck[2 * NOISE_KEY_LEN];	/* its second half is the key */
};

static int
mix_hash(struct noise_state *s, const void *data, size_t len)
{
	return b2s_hash(s->h, s->h, sizeof(s->h), data, len);
}

static int
mix_key(struct noise_state *s, const uint8_t private[NOISE_KEY_LEN],
    const uint8_t public[NOISE_KEY_LEN])
{
	uint8_t	 shared[NOISE_KEY_LEN];
	int	 ret;

	if (key_dh(private, public, shared) == -1)
		return -1;
	ret = b2s_kdf(s->ck, shared, sizeof(shared), s->ck, 2);
	explicit_bzero(shared, sizeof(shared));
	return ret;
}

/* Every key is used once: the nonce is zero.  Writes len + tag bytes. */
static int
enc_hash(struct noise_state *s, const uint8_t *plain, size_t len,
    uint8_t *out)
{
	static const uint8_t	 nonce[12];

	(void)crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain,
	    len, s->h, sizeof(s->h), NULL, nonce, s->ck + NOISE_KEY_LEN);
	return mix_hash(s, out, len + NOISE_TAG_LEN);
}

/* len is that of the ciphertext with its tag. */
static int
dec_hash(struct noise_state *s, const uint8_t *in, size_t len, uint8_t *plain)
{
	static const uint8_t	 nonce[12];

	if (crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL, in,
	    len, s->h, sizeof(s->h), nonce, s->ck + NOISE_KEY_LEN) == -1) {
		errno = EBADMSG;
		return -1;
	}
	return mix_hash(s, in, len);
}

/* State before the first message. */
static int
noise_start(struct noise_state *s, uint16_t version,
    const uint8_t server[NOISE_KEY_LEN])
{
	char	 prologue[64];
	int	 n;

	n = snprintf(prologue, sizeof(prologue), NOISE_PROLOGUE, version);
	if (b2s_hash(s->h, NOISE_NAME, strlen(NOISE_NAME), NULL, 0) == -1)
		return -1;
	memcpy(s->ck, s->h, sizeof(s->h));
	if (mix_hash(s, prologue, n) == -1)
		return -1;
	return mix_hash(s, server, NOISE_KEY_LEN);
}

static int
noise_split(struct noise_state *s, struct noise_session *ns)
{
	uint8_t	 keys[2 * NOISE_KEY_LEN];

	memcpy(ns->ns_hash, s->h, sizeof(ns->ns_hash));
	memcpy(ns->ns_chain, s->ck, sizeof(ns->ns_chain));
	if (b2s_kdf(s->ck, NULL, 0, keys, 2) == -1)
		return -1;
	memcpy(ns->ns_c2s, keys, NOISE_KEY_LEN);
	memcpy(ns->ns_s2c, keys + NOISE_KEY_LEN, NOISE_KEY_LEN);
	explicit_bzero(keys, sizeof(keys));
	return 0;
}

int
noise_initiate(struct noise_handshake *nh, uint16_t version,
    const uint8_t private[NOISE_KEY_LEN], const uint8_t public[NOISE_KEY_LEN],
    const uint8_t server[NOISE_KEY_LEN], const uint8_t random[NOISE_KEY_LEN],
    uint8_t msg[NOISE_INITIATION_LEN])
{
	struct noise_state	 s;
	int			 ret = -1;

	memcpy(nh->nh_ephemeral, random, NOISE_KEY_LEN);
	key_clamp(nh->nh_ephemeral);
	msg[0] = version >> 8;
	msg[1] = version & 0xff;
	msg[2] = NOISE_MSG_INITIATION;
	msg[3] = 0;
	msg[4] = NOISE_INITIATION_LEN - 5;
	key_public(nh->nh_ephemeral, msg + INIT_EPHEMERAL);

	if (noise_start(&s, version, server) == -1 ||
	    mix_hash(&s, msg + INIT_EPHEMERAL, NOISE_KEY_LEN) == -1 ||
	    mix_key(&s, nh->nh_ephemeral, server) == -1 ||
	    enc_hash(&s, public, NOISE_KEY_LEN, msg + INIT_STATIC) == -1 ||
	    mix_key(&s, private, server) == -1 ||
	    enc_hash(&s, NULL, 0, msg + INIT_TAG) == -1)
		goto done;
	memcpy(nh->nh_hash, s.h, sizeof(nh->nh_hash));
	memcpy(nh->nh_chain, s.ck, sizeof(nh->nh_chain));
	ret = 0;
done:
	if (ret == -1)
		explicit_bzero(nh, sizeof(*nh));
	explicit_bzero(&s, sizeof(s));
	return ret;
}

/* A remote point of low order is a bad message, not a bad argument. */
static int
noise_badmsg(void)
{
	if (errno == EINVAL)
		errno = EBADMSG;
	return -1;
}

int
noise_finish(const struct noise_handshake *nh,
    const uint8_t private[NOISE_KEY_LEN], const uint8_t *msg, size_t len,
    struct noise_session *ns)
{
	struct noise_state	 s;
	const uint8_t		*re = msg + RESP_EPHEMERAL;
	int			 ret = -1;

	if (len != NOISE_RESPONSE_LEN ||
	    noise_response_len(msg, len) != NOISE_RESPONSE_LEN) {
		errno = EPROTO;
		return -1;
	}
	memcpy(s.h, nh->nh_hash, sizeof(s.h));
	memcpy(s.ck, nh->nh_chain, sizeof(nh->nh_chain));
	if (mix_hash(&s, re, NOISE_KEY_LEN) == -1 ||
	    mix_key(&s, nh->nh_ephemeral, re) == -1 ||
	    mix_key(&s, private, re) == -1 ||
	    dec_hash(&s, msg + RESP_TAG, NOISE_TAG_LEN, NULL) == -1 ||
	    noise_split(&s, ns) == -1)
		ret = noise_badmsg();
	else
		ret = 0;
	explicit_bzero(&s, sizeof(s));
	return ret;
}

/* Server, first half: read the initiation. */
static int
noise_read_initiation(struct noise_state *s, const uint8_t *msg,
    const uint8_t private[NOISE_KEY_LEN], const uint8_t public[NOISE_KEY_LEN],
    uint8_t machine[NOISE_KEY_LEN])
{
	const uint8_t	*re = msg + INIT_EPHEMERAL;

	if (noise_start(s, noise_initiation_version(msg), public) == -1 ||
	    mix_hash(s, re, NOISE_KEY_LEN) == -1 ||
	    mix_key(s, private, re) == -1 ||
	    dec_hash(s, msg + INIT_STATIC, NOISE_KEY_LEN + NOISE_TAG_LEN,
	    machine) == -1 ||
	    mix_key(s, private, machine) == -1)
		return -1;
	return dec_hash(s, msg + INIT_TAG, NOISE_TAG_LEN, NULL);
}

/* Server, second half: write the response. */
static int
noise_write_response(struct noise_state *s, const uint8_t *re,
    const uint8_t machine[NOISE_KEY_LEN], const uint8_t random[NOISE_KEY_LEN],
    uint8_t resp[NOISE_RESPONSE_LEN])
{
	uint8_t	 e[NOISE_KEY_LEN];
	int	 ret = -1;

	memcpy(e, random, sizeof(e));
	key_clamp(e);
	resp[0] = NOISE_MSG_RESPONSE;
	resp[1] = 0;
	resp[2] = NOISE_RESPONSE_LEN - NOISE_HDR_LEN;
	key_public(e, resp + RESP_EPHEMERAL);
	if (mix_hash(s, resp + RESP_EPHEMERAL, NOISE_KEY_LEN) == 0 &&
	    mix_key(s, e, re) == 0 &&
	    mix_key(s, e, machine) == 0)
		ret = enc_hash(s, NULL, 0, resp + RESP_TAG);
	explicit_bzero(e, sizeof(e));
	return ret;
}

int
noise_respond(const uint8_t private[NOISE_KEY_LEN],
    const uint8_t public[NOISE_KEY_LEN], const uint8_t random[NOISE_KEY_LEN],
    const uint8_t *msg, size_t len, uint8_t resp[NOISE_RESPONSE_LEN],
    struct noise_session *ns, uint8_t machine[NOISE_KEY_LEN],
    uint16_t *version)
{
	struct noise_state	 s;
	int			 ret = -1;

	if (len != NOISE_INITIATION_LEN ||
	    noise_initiation_check(msg, len, 1) != NULL) {
		errno = EPROTO;
		return -1;
	}
	if (noise_read_initiation(&s, msg, private, public, machine) == -1 ||
	    noise_write_response(&s, msg + INIT_EPHEMERAL, machine, random,
	    resp) == -1 || noise_split(&s, ns) == -1)
		ret = noise_badmsg();
	else {
		*version = noise_initiation_version(msg);
		ret = 0;
	}
	explicit_bzero(&s, sizeof(s));
	return ret;
}
