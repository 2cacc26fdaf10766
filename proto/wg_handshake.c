/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * WireGuard handshake, both roles: what needs private keys.
 * Source: dataplane.md section 1.2; WireGuard white paper, 5.4.2, 5.4.3.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "blake2s.h"
#include "keys.h"
#include "wg.h"

#define WG_CONSTRUCTION	"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
#define WG_IDENTIFIER	"WireGuard v1 zx2c4 Jason@zx2c4.com"

#define INIT_EPHEMERAL	8	/* offsets in the initiation */
#define INIT_STATIC	40
#define INIT_TIMESTAMP	88
#define RESP_EPHEMERAL	12	/* and in the response */
#define RESP_EMPTY	44

/* Hash, and the outputs of the last KDF: chaining key, (tau,) key. */
struct wg_state {
	uint8_t	 h[WG_KEY_LEN];
	uint8_t	 c[3 * WG_KEY_LEN];
};

static int
mix_hash(struct wg_state *s, const void *data, size_t len)
{
	return b2s_hash(s->h, s->h, sizeof(s->h), data, len);
}

/* n outputs of the KDF; the first is the new chaining key. */
static int
mix_key(struct wg_state *s, const uint8_t in[WG_KEY_LEN], unsigned int n)
{
	return b2s_kdf(s->c, in, WG_KEY_LEN, s->c, n);
}

static int
mix_dh(struct wg_state *s, const uint8_t private[WG_KEY_LEN],
    const uint8_t public[WG_KEY_LEN], unsigned int n)
{
	uint8_t	 shared[WG_KEY_LEN];
	int	 ret;

	if (key_dh(private, public, shared) == -1)
		return -1;
	ret = mix_key(s, shared, n);
	explicit_bzero(shared, sizeof(shared));
	return ret;
}

/* Every key seals once: the nonce is zero.  key is an output of the KDF. */
static int
enc_hash(struct wg_state *s, unsigned int key, const uint8_t *plain,
    size_t len, uint8_t *out)
{
	static const uint8_t	 nonce[12];

	(void)crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain,
	    len, s->h, sizeof(s->h), NULL, nonce, s->c + key * WG_KEY_LEN);
	return mix_hash(s, out, len + WG_TAG_LEN);
}

/* len is that of the ciphertext with its tag. */
static int
dec_hash(struct wg_state *s, unsigned int key, const uint8_t *in, size_t len,
    uint8_t *plain)
{
	static const uint8_t	 nonce[12];

	if (crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL, in,
	    len, s->h, sizeof(s->h), nonce, s->c + key * WG_KEY_LEN) == -1) {
		errno = EBADMSG;
		return -1;
	}
	return mix_hash(s, in, len);
}

/* Up to the initiator's ephemeral key, alike for both roles. */
static int
wg_start(struct wg_state *s, const uint8_t responder[WG_KEY_LEN],
    const uint8_t ephemeral[WG_KEY_LEN])
{
	if (b2s_hash(s->c, WG_CONSTRUCTION, strlen(WG_CONSTRUCTION), NULL,
	    0) == -1 ||
	    b2s_hash(s->h, s->c, WG_KEY_LEN, WG_IDENTIFIER,
	    strlen(WG_IDENTIFIER)) == -1 ||
	    mix_hash(s, responder, WG_KEY_LEN) == -1 ||
	    mix_key(s, ephemeral, 1) == -1)
		return -1;
	return mix_hash(s, ephemeral, WG_KEY_LEN);
}

static void
wg_save(const struct wg_state *s, struct wg_handshake *wh)
{
	memcpy(wh->wh_hash, s->h, sizeof(wh->wh_hash));
	memcpy(wh->wh_chain, s->c, sizeof(wh->wh_chain));
}

static void
wg_load(struct wg_state *s, const struct wg_handshake *wh)
{
	memcpy(s->h, wh->wh_hash, sizeof(wh->wh_hash));
	memcpy(s->c, wh->wh_chain, sizeof(wh->wh_chain));
}

/* A remote point of low order is a bad message, not a bad argument. */
static int
wg_badmsg(void)
{
	if (errno == EINVAL)
		errno = EBADMSG;
	return -1;
}

int
wg_initiation_create(struct wg_handshake *wh,
    const uint8_t private[WG_KEY_LEN], const uint8_t public[WG_KEY_LEN],
    const uint8_t peer[WG_KEY_LEN], const uint8_t random[WG_KEY_LEN],
    const uint8_t ts[WG_TIMESTAMP_LEN], uint32_t local,
    uint8_t msg[WG_INITIATION_LEN])
{
	struct wg_state	 s;
	int		 ret = -1;

	memset(wh, 0, sizeof(*wh));
	memset(msg, 0, WG_INITIATION_LEN);
	memcpy(wh->wh_ephemeral, random, WG_KEY_LEN);
	key_clamp(wh->wh_ephemeral);
	memcpy(wh->wh_remote_s, peer, WG_KEY_LEN);
	wh->wh_local = local;
	le32enc(msg, WG_MSG_INITIATION);
	le32enc(msg + 4, local);
	key_public(wh->wh_ephemeral, msg + INIT_EPHEMERAL);

	if (wg_start(&s, peer, msg + INIT_EPHEMERAL) == 0 &&
	    mix_dh(&s, wh->wh_ephemeral, peer, 2) == 0 &&
	    enc_hash(&s, 1, public, WG_KEY_LEN, msg + INIT_STATIC) == 0 &&
	    mix_dh(&s, private, peer, 2) == 0)
		ret = enc_hash(&s, 1, ts, WG_TIMESTAMP_LEN,
		    msg + INIT_TIMESTAMP);
	if (ret == 0)
		wg_save(&s, wh);
	else
		explicit_bzero(wh, sizeof(*wh));
	explicit_bzero(&s, sizeof(s));
	return ret;
}

int
wg_initiation_open(struct wg_handshake *wh, const uint8_t private[WG_KEY_LEN],
    const uint8_t public[WG_KEY_LEN], const uint8_t *msg)
{
	struct wg_state	 s;
	const uint8_t	*re = msg + INIT_EPHEMERAL;
	int		 ret;

	memset(wh, 0, sizeof(*wh));
	memcpy(wh->wh_remote_e, re, WG_KEY_LEN);
	wh->wh_remote = wg_sender(msg);
	if (wg_start(&s, public, re) == -1 ||
	    mix_dh(&s, private, re, 2) == -1 ||
	    dec_hash(&s, 1, msg + INIT_STATIC, WG_KEY_LEN + WG_TAG_LEN,
	    wh->wh_remote_s) == -1) {
		ret = wg_badmsg();
		explicit_bzero(wh, sizeof(*wh));
	} else {
		wg_save(&s, wh);
		ret = 0;
	}
	explicit_bzero(&s, sizeof(s));
	return ret;
}

int
wg_initiation_verify(struct wg_handshake *wh,
    const uint8_t private[WG_KEY_LEN], const uint8_t *msg,
    uint8_t ts[WG_TIMESTAMP_LEN])
{
	struct wg_state	 s;
	int		 ret;

	wg_load(&s, wh);
	if (mix_dh(&s, private, wh->wh_remote_s, 2) == -1 ||
	    dec_hash(&s, 1, msg + INIT_TIMESTAMP,
	    WG_TIMESTAMP_LEN + WG_TAG_LEN, ts) == -1) {
		ret = wg_badmsg();
		explicit_bzero(wh, sizeof(*wh));
	} else {
		wg_save(&s, wh);
		ret = 0;
	}
	explicit_bzero(&s, sizeof(s));
	return ret;
}

/* The preshared key and the empty payload, alike for both roles. */
static int
wg_mix_psk(struct wg_state *s, const uint8_t *psk)
{
	static const uint8_t	 zero[WG_KEY_LEN];

	if (mix_key(s, psk == NULL ? zero : psk, 3) == -1)
		return -1;
	return mix_hash(s, s->c + WG_KEY_LEN, WG_KEY_LEN);
}

/* The initiator sends with the first key, the responder with the second. */
static int
wg_split(struct wg_state *s, int initiator, struct wg_session *ws)
{
	uint8_t	 keys[2 * WG_KEY_LEN];

	memcpy(ws->ws_hash, s->h, sizeof(ws->ws_hash));
	memcpy(ws->ws_chain, s->c, sizeof(ws->ws_chain));
	if (b2s_kdf(s->c, NULL, 0, keys, 2) == -1)
		return -1;
	memcpy(initiator ? ws->ws_send : ws->ws_recv, keys, WG_KEY_LEN);
	memcpy(initiator ? ws->ws_recv : ws->ws_send, keys + WG_KEY_LEN,
	    WG_KEY_LEN);
	explicit_bzero(keys, sizeof(keys));
	return 0;
}

int
wg_response_create(struct wg_handshake *wh, const uint8_t *psk,
    const uint8_t random[WG_KEY_LEN], uint32_t local,
    uint8_t msg[WG_RESPONSE_LEN], struct wg_session *ws)
{
	struct wg_state	 s;
	uint8_t		 f[WG_KEY_LEN];
	int		 ret = -1;

	memcpy(f, random, sizeof(f));
	key_clamp(f);
	wg_load(&s, wh);
	memset(msg, 0, WG_RESPONSE_LEN);
	le32enc(msg, WG_MSG_RESPONSE);
	le32enc(msg + 4, local);
	le32enc(msg + 8, wh->wh_remote);
	key_public(f, msg + RESP_EPHEMERAL);

	if (mix_hash(&s, msg + RESP_EPHEMERAL, WG_KEY_LEN) == -1 ||
	    mix_key(&s, msg + RESP_EPHEMERAL, 1) == -1 ||
	    mix_dh(&s, f, wh->wh_remote_e, 1) == -1 ||
	    mix_dh(&s, f, wh->wh_remote_s, 1) == -1 ||
	    wg_mix_psk(&s, psk) == -1 ||
	    enc_hash(&s, 2, NULL, 0, msg + RESP_EMPTY) == -1 ||
	    wg_split(&s, 0, ws) == -1)
		ret = wg_badmsg();
	else {
		ws->ws_remote = wh->wh_remote;
		ret = 0;
	}
	explicit_bzero(f, sizeof(f));
	explicit_bzero(&s, sizeof(s));
	explicit_bzero(wh, sizeof(*wh));
	return ret;
}

int
wg_response_consume(const struct wg_handshake *wh,
    const uint8_t private[WG_KEY_LEN], const uint8_t *psk, const uint8_t *msg,
    struct wg_session *ws)
{
	struct wg_state	 s;
	const uint8_t	*rf = msg + RESP_EPHEMERAL;
	int		 ret;

	wg_load(&s, wh);
	if (mix_hash(&s, rf, WG_KEY_LEN) == -1 ||
	    mix_key(&s, rf, 1) == -1 ||
	    mix_dh(&s, wh->wh_ephemeral, rf, 1) == -1 ||
	    mix_dh(&s, private, rf, 1) == -1 ||
	    wg_mix_psk(&s, psk) == -1 ||
	    dec_hash(&s, 2, msg + RESP_EMPTY, WG_TAG_LEN, NULL) == -1 ||
	    wg_split(&s, 1, ws) == -1)
		ret = wg_badmsg();
	else {
		ws->ws_remote = wg_sender(msg);
		ret = 0;
	}
	explicit_bzero(&s, sizeof(s));
	return ret;
}
