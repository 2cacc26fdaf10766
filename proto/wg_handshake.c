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
#include "dh.h"
#include "keys.h"
#include "wg.h"

#define WG_CONSTRUCTION	"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
#define WG_IDENTIFIER	"WireGuard v1 zx2c4 Jason@zx2c4.com"

#define INIT_EPHEMERAL	8	/* offsets in the initiation */
#define INIT_STATIC	40
#define INIT_TIMESTAMP	88
#define RESP_EPHEMERAL	12	/* and in the response */
#define RESP_EMPTY	44

#define INIT_DH		3	/* multiplications: of who makes it */
#define RESP_DH		2	/* of who gets it */

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

static void
dh_set(struct dh_job *j, const uint8_t *private, const uint8_t *public,
    uint8_t *shared)
{
	j->dj_private = private;
	j->dj_public = public;
	j->dj_shared = shared;
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
	struct dh_job	 dh[INIT_DH];
	uint8_t		 es[WG_KEY_LEN], ss[WG_KEY_LEN];
	int		 ret = -1;

	memset(wh, 0, sizeof(*wh));
	memset(msg, 0, WG_INITIATION_LEN);
	memcpy(wh->wh_ephemeral, random, WG_KEY_LEN);
	key_clamp(wh->wh_ephemeral);
	memcpy(wh->wh_remote_s, peer, WG_KEY_LEN);
	wh->wh_local = local;
	le32enc(msg, WG_MSG_INITIATION);
	le32enc(msg + 4, local);
	dh_set(&dh[0], wh->wh_ephemeral, NULL, msg + INIT_EPHEMERAL);
	dh_set(&dh[1], wh->wh_ephemeral, peer, es);
	dh_set(&dh[2], private, peer, ss);
	dh_many(dh, INIT_DH);

	if (!dh[1].dj_good || !dh[2].dj_good)
		errno = EINVAL;
	else if (wg_start(&s, peer, msg + INIT_EPHEMERAL) == 0 &&
	    mix_key(&s, es, 2) == 0 &&
	    enc_hash(&s, 1, public, WG_KEY_LEN, msg + INIT_STATIC) == 0 &&
	    mix_key(&s, ss, 2) == 0)
		ret = enc_hash(&s, 1, ts, WG_TIMESTAMP_LEN,
		    msg + INIT_TIMESTAMP);
	if (ret == 0)
		wg_save(&s, wh);
	else
		explicit_bzero(wh, sizeof(*wh));
	explicit_bzero(es, sizeof(es));
	explicit_bzero(ss, sizeof(ss));
	explicit_bzero(&s, sizeof(s));
	return ret;
}

int
wg_initiation_open_es(struct wg_handshake *wh, const uint8_t es[WG_KEY_LEN],
    const uint8_t public[WG_KEY_LEN], const uint8_t *msg)
{
	struct wg_state	 s;
	const uint8_t	*re = msg + INIT_EPHEMERAL;
	int		 ret;

	memset(wh, 0, sizeof(*wh));
	memcpy(wh->wh_remote_e, re, WG_KEY_LEN);
	wh->wh_remote = wg_sender(msg);
	if (wg_start(&s, public, re) == -1 ||
	    mix_key(&s, es, 2) == -1 ||
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
wg_initiation_verify_ss(struct wg_handshake *wh, const uint8_t ss[WG_KEY_LEN],
    const uint8_t *msg, uint8_t ts[WG_TIMESTAMP_LEN])
{
	struct wg_state	 s;
	int		 ret;

	wg_load(&s, wh);
	if (mix_key(&s, ss, 2) == -1 ||
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

const uint8_t *
wg_ephemeral(const uint8_t *msg)
{
	return msg + INIT_EPHEMERAL;
}

int
wg_initiation_open(struct wg_handshake *wh, const uint8_t private[WG_KEY_LEN],
    const uint8_t public[WG_KEY_LEN], const uint8_t *msg)
{
	uint8_t	 es[WG_KEY_LEN];
	int	 ret;

	if (key_dh(private, wg_ephemeral(msg), es) == -1) {
		explicit_bzero(wh, sizeof(*wh));
		return wg_badmsg();
	}
	ret = wg_initiation_open_es(wh, es, public, msg);
	explicit_bzero(es, sizeof(es));
	return ret;
}

int
wg_initiation_verify(struct wg_handshake *wh,
    const uint8_t private[WG_KEY_LEN], const uint8_t *msg,
    uint8_t ts[WG_TIMESTAMP_LEN])
{
	uint8_t	 ss[WG_KEY_LEN];
	int	 ret;

	if (key_dh(private, wh->wh_remote_s, ss) == -1) {
		explicit_bzero(wh, sizeof(*wh));
		return wg_badmsg();
	}
	ret = wg_initiation_verify_ss(wh, ss, msg, ts);
	explicit_bzero(ss, sizeof(ss));
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

void
wg_answer_dh(struct wg_answer *wa, const struct wg_handshake *wh,
    const uint8_t random[WG_KEY_LEN], struct dh_job *dh)
{
	memcpy(wa->wa_private, random, sizeof(wa->wa_private));
	key_clamp(wa->wa_private);
	dh_set(&dh[0], wa->wa_private, NULL, wa->wa_public);
	dh_set(&dh[1], wa->wa_private, wh->wh_remote_e, wa->wa_ee);
	dh_set(&dh[2], wa->wa_private, wh->wh_remote_s, wa->wa_se);
}

int
wg_response_create_dh(struct wg_handshake *wh, const struct wg_answer *wa,
    const uint8_t *psk, uint32_t local, uint8_t msg[WG_RESPONSE_LEN],
    struct wg_session *ws)
{
	struct wg_state	 s;
	int		 ret = -1;

	wg_load(&s, wh);
	memset(msg, 0, WG_RESPONSE_LEN);
	le32enc(msg, WG_MSG_RESPONSE);
	le32enc(msg + 4, local);
	le32enc(msg + 8, wh->wh_remote);
	memcpy(msg + RESP_EPHEMERAL, wa->wa_public, WG_KEY_LEN);

	if (key_is_zero(wa->wa_ee, WG_KEY_LEN) ||
	    key_is_zero(wa->wa_se, WG_KEY_LEN))
		errno = EBADMSG;	/* of low order */
	else if (mix_hash(&s, wa->wa_public, WG_KEY_LEN) == 0 &&
	    mix_key(&s, wa->wa_public, 1) == 0 &&
	    mix_key(&s, wa->wa_ee, 1) == 0 &&
	    mix_key(&s, wa->wa_se, 1) == 0 &&
	    wg_mix_psk(&s, psk) == 0 &&
	    enc_hash(&s, 2, NULL, 0, msg + RESP_EMPTY) == 0 &&
	    wg_split(&s, 0, ws) == 0) {
		ws->ws_remote = wh->wh_remote;
		ret = 0;
	}
	explicit_bzero(&s, sizeof(s));
	explicit_bzero(wh, sizeof(*wh));
	return ret;
}

int
wg_response_create(struct wg_handshake *wh, const uint8_t *psk,
    const uint8_t random[WG_KEY_LEN], uint32_t local,
    uint8_t msg[WG_RESPONSE_LEN], struct wg_session *ws)
{
	struct wg_answer	 wa;
	struct dh_job		 dh[WG_ANSWER_DH];
	int			 ret;

	wg_answer_dh(&wa, wh, random, dh);
	dh_many(dh, WG_ANSWER_DH);
	ret = wg_response_create_dh(wh, &wa, psk, local, msg, ws);
	explicit_bzero(&wa, sizeof(wa));
	return ret;
}

int
wg_response_consume(const struct wg_handshake *wh,
    const uint8_t private[WG_KEY_LEN], const uint8_t *psk, const uint8_t *msg,
    struct wg_session *ws)
{
	struct wg_state	 s;
	struct dh_job	 dh[RESP_DH];
	const uint8_t	*rf = msg + RESP_EPHEMERAL;
	uint8_t		 ee[WG_KEY_LEN], se[WG_KEY_LEN];
	int		 ret;

	dh_set(&dh[0], wh->wh_ephemeral, rf, ee);
	dh_set(&dh[1], private, rf, se);
	dh_many(dh, RESP_DH);
	wg_load(&s, wh);
	errno = EBADMSG;
	if (!dh[0].dj_good || !dh[1].dj_good ||
	    mix_hash(&s, rf, WG_KEY_LEN) == -1 ||
	    mix_key(&s, rf, 1) == -1 ||
	    mix_key(&s, ee, 1) == -1 ||
	    mix_key(&s, se, 1) == -1 ||
	    wg_mix_psk(&s, psk) == -1 ||
	    dec_hash(&s, 2, msg + RESP_EMPTY, WG_TAG_LEN, NULL) == -1 ||
	    wg_split(&s, 1, ws) == -1)
		ret = wg_badmsg();
	else {
		ws->ws_remote = wg_sender(msg);
		ret = 0;
	}
	explicit_bzero(ee, sizeof(ee));
	explicit_bzero(se, sizeof(se));
	explicit_bzero(&s, sizeof(s));
	return ret;
}
