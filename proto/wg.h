/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * WireGuard messages, handshake, cookies, replay window, transport.
 * Source: dataplane.md section 1; WireGuard white paper, 5.4.
 *
 * wg.c and wg_transport.c need public and session keys only (netd);
 * wg_handshake.c has the private keys (cryptod and tests).
 * All integers on the wire are little-endian.
 */

#ifndef PROTO_WG_H
#define PROTO_WG_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define WG_KEY_LEN		32
#define WG_TAG_LEN		16
#define WG_MAC_LEN		16
#define WG_COOKIE_LEN		16
#define WG_COOKIE_NONCE_LEN	24
#define WG_TIMESTAMP_LEN	12

#define WG_MSG_INITIATION	1
#define WG_MSG_RESPONSE		2
#define WG_MSG_COOKIE		3
#define WG_MSG_TRANSPORT	4

#define WG_INITIATION_LEN	148
#define WG_RESPONSE_LEN		92
#define WG_COOKIE_REPLY_LEN	64
#define WG_TRANSPORT_HDR_LEN	16
#define WG_TRANSPORT_OVERHEAD	32	/* header and tag; a keepalive */
#define WG_MAX_PLAIN		65495

#define WG_REKEY_AFTER_MESSAGES		(1ULL << 60)
#define WG_REJECT_AFTER_MESSAGES	(UINT64_MAX - (1ULL << 13))
#ifndef WG_REKEY_AFTER_TIME			/* tests have a shorter one */
#define WG_REKEY_AFTER_TIME		120	/* seconds, as all below */
#endif
#define WG_REJECT_AFTER_TIME		180
#define WG_REKEY_ATTEMPT_TIME		90
#define WG_REKEY_TIMEOUT		5
#define WG_KEEPALIVE_TIMEOUT		10
#define WG_COOKIE_SECRET_TIME		120
#define WG_JITTER_MS			333
#define WG_INITIATION_GAP_MS		20	/* accepted, of one peer */

/* wg.c: messages */

/*
 * Type of a datagram by its first 4 bytes and its length: WG_MSG_*, or 0
 * for what is no WireGuard message (short, unknown type, reserved bytes
 * set, wrong length).  The accessors below need this to have said so.
 */
int	 wg_classify(const uint8_t *, size_t);
uint32_t wg_sender(const uint8_t *);	/* initiation, response */
uint32_t wg_receiver(const uint8_t *);	/* response, cookie, transport */
uint64_t wg_counter(const uint8_t *);	/* transport */
const uint8_t *wg_mac1(const uint8_t *);	/* initiation, response */

/* wg.c: mac1, mac2, cookies; only public keys.  -1 with errno ENOMEM. */

/* Key of mac1 of messages to the owner of a public key: (public, key). */
int	 wg_mac1_key(const uint8_t [WG_KEY_LEN], uint8_t [WG_KEY_LEN]);
/* Key of cookie replies issued by its owner: (public, key). */
int	 wg_cookie_key(const uint8_t [WG_KEY_LEN], uint8_t [WG_KEY_LEN]);

/*
 * Write both macs of an initiation or response: (message, its length, mac1
 * key of the receiver, cookie from the receiver that is younger than 120 s,
 * or NULL: mac2 is zero).  0, or -1 and errno.
 */
int	 wg_mac_append(uint8_t *, size_t, const uint8_t [WG_KEY_LEN],
	    const uint8_t *);
/* (message, length, own mac1 key): 0, or -1 with errno EBADMSG. */
int	 wg_mac1_check(const uint8_t *, size_t, const uint8_t [WG_KEY_LEN]);
/* (message, length, the cookie its sender should hold): 0, or -1, EBADMSG. */
int	 wg_mac2_check(const uint8_t *, size_t,
	    const uint8_t [WG_COOKIE_LEN]);

/*
 * The cookie of a source: (secret of 32 random bytes no older than 120 s,
 * source bytes, their length, cookie).  The source bytes are the issuer's
 * own affair; they must hold address and port.
 */
int	 wg_cookie_make(const uint8_t [WG_KEY_LEN], const uint8_t *, size_t,
	    uint8_t [WG_COOKIE_LEN]);
/*
 * Make a cookie reply: (message it answers, own cookie key, 24 fresh random
 * bytes, cookie, reply).
 */
int	 wg_cookie_reply(const uint8_t *, const uint8_t [WG_KEY_LEN],
	    const uint8_t [WG_COOKIE_NONCE_LEN],
	    const uint8_t [WG_COOKIE_LEN], uint8_t [WG_COOKIE_REPLY_LEN]);
/*
 * Open one: (reply of WG_COOKIE_REPLY_LEN bytes, cookie key of the peer,
 * mac1 of the last message sent to it, cookie).  0, or -1 with EBADMSG.
 */
int	 wg_cookie_open(const uint8_t *, const uint8_t [WG_KEY_LEN],
	    const uint8_t [WG_MAC_LEN], uint8_t [WG_COOKIE_LEN]);

/* wg.c: timestamps */

/* TAI64N of a Unix time in nanoseconds, low 24 bits of them cleared. */
void	 wg_tai64n(uint64_t, uint8_t [WG_TIMESTAMP_LEN]);
/* If ts is not above last, make it last + 2^24 ns: (last, ts). */
void	 wg_tai64n_after(const uint8_t [WG_TIMESTAMP_LEN],
	    uint8_t [WG_TIMESTAMP_LEN]);

/* wg.c: replay window of 127 * 64 counters, section 1.6 */

#define WG_REPLAY_WINDOW	8128
#define WG_REPLAY_BLOCKS	128

struct wg_replay {
	uint64_t	 wr_last;
	uint64_t	 wr_ring[WG_REPLAY_BLOCKS];
};

void	 wg_replay_init(struct wg_replay *);
/*
 * After the packet has authenticated, and not before: test and set.  0 if
 * the counter is new, or -1 with errno EALREADY (seen), ERANGE (behind the
 * window) or EOVERFLOW (at or above WG_REJECT_AFTER_MESSAGES).
 */
int	 wg_replay_check(struct wg_replay *, uint64_t);

/* wg.c: padding and inner packets, section 1.7 */

/*
 * Length to which a plaintext of len bytes is padded with zeros: a multiple
 * of 16, but not beyond the MTU: (len, mtu); mtu 0 means none.
 */
size_t	 wg_pad(size_t, size_t);
/*
 * Length of the IP packet inside a decrypted plaintext, padding taken off:
 * (plaintext, its length).  0 for a keepalive, -1 with errno EINVAL for
 * what is to be dropped.  The version nibble of byte 0 tells the family.
 * The source address is the caller's to check against the peer's prefixes.
 */
ssize_t	 wg_inner_len(const uint8_t *, size_t);

/* wg_transport.c: one direction of a session, key set once */

struct wg_key;

/*
 * (key, 1 to seal or 0 to open); NULL with errno ENOMEM.  Caller frees with
 * wg_key_free(), which wipes; NULL is fine there.  Not to be used by two
 * threads at once; objects are independent of one another.
 */
struct wg_key *wg_key_new(const uint8_t [WG_KEY_LEN], int);
void	 wg_key_free(struct wg_key *);

/*
 * Seal one transport message: (key, packet, plaintext, its length,
 * receiver index, counter).
 * packet	room for length + WG_TRANSPORT_OVERHEAD bytes; header and
 *		tag are written here.
 * plaintext	padded already (wg_pad()); may be packet + 16 (in place), or
 *		elsewhere without overlap; length 0 is a keepalive.
 * counter	never the same twice for a key.
 * Returns the length on the wire, or -1 with errno EMSGSIZE (above
 * WG_MAX_PLAIN), ESTALE (counter at WG_REJECT_AFTER_MESSAGES or above) or
 * EIO (the library failed).  Ages of keys are the caller's to watch.
 */
ssize_t	 wg_seal(struct wg_key *, uint8_t *, const uint8_t *, size_t,
	    uint32_t, uint64_t);

/*
 * Open one transport message: (key, packet, its length, where the plaintext
 * goes: packet + 16 for in place, or elsewhere without overlap, length - 32
 * bytes).  Returns the length of the plaintext (0 is a keepalive), or -1
 * with errno EBADMSG; the target's content is then undefined.  Replay is
 * the caller's to check afterwards.
 */
ssize_t	 wg_open(struct wg_key *, const uint8_t *, size_t, uint8_t *);

/* A transport message of a batch; packet and plaintext + 16 in place. */
struct wg_item {
	struct wg_key	*wi_key;
	uint8_t		*wi_pkt;
	size_t		 wi_len;	/* of the plaintext; open: of all */
	uint64_t	 wi_counter;	/* seal only */
	uint32_t	 wi_receiver;	/* seal only */
	ssize_t		 wi_out;	/* as wg_seal() or wg_open() answers */
};

/* Most items of one call. */
#define WG_BATCH	64

/*
 * The same for several messages, of any mix of keys: by the multi-packet
 * way where chapoly_init() found one and it pays, else one by one.
 */
void	 wg_seal_many(struct wg_item *, size_t);
void	 wg_open_many(struct wg_item *, size_t);

/* wg_handshake.c: what needs private keys; all structs are to be wiped */

/* A handshake under way, either role. */
struct wg_handshake {
	uint8_t		 wh_hash[WG_KEY_LEN];
	uint8_t		 wh_chain[WG_KEY_LEN];
	uint8_t		 wh_ephemeral[WG_KEY_LEN];	/* own, private */
	uint8_t		 wh_remote_e[WG_KEY_LEN];	/* responder only */
	uint8_t		 wh_remote_s[WG_KEY_LEN];	/* peer's node key */
	uint32_t	 wh_local;	/* own index */
	uint32_t	 wh_remote;	/* peer's index */
};

/* What it comes to. */
struct wg_session {
	uint8_t		 ws_send[WG_KEY_LEN];
	uint8_t		 ws_recv[WG_KEY_LEN];
	uint8_t		 ws_hash[WG_KEY_LEN];	/* for tests */
	uint8_t		 ws_chain[WG_KEY_LEN];	/* for tests */
	uint32_t	 ws_remote;	/* index to send to */
};

/*
 * Initiator: (state, own private, own public, peer's public, 32 fresh
 * random bytes, timestamp, own index, message).  The macs of the message
 * are zero: wg_mac_append().  0, or -1 with errno EINVAL (peer's key of low
 * order) or ENOMEM.
 */
int	 wg_initiation_create(struct wg_handshake *,
	    const uint8_t [WG_KEY_LEN], const uint8_t [WG_KEY_LEN],
	    const uint8_t [WG_KEY_LEN], const uint8_t [WG_KEY_LEN],
	    const uint8_t [WG_TIMESTAMP_LEN], uint32_t,
	    uint8_t [WG_INITIATION_LEN]);

/*
 * Responder, first half: (state, own private, own public, message of
 * WG_INITIATION_LEN bytes).  wh_remote_s then holds the sender's key, not
 * yet proven: look it up, and go on only if it is a peer.  0, or -1, EBADMSG.
 */
int	 wg_initiation_open(struct wg_handshake *,
	    const uint8_t [WG_KEY_LEN], const uint8_t [WG_KEY_LEN],
	    const uint8_t *);
/*
 * Responder, second half: (state, own private, message, timestamp).  The
 * sender is proven after this; the timestamp must be above the greatest one
 * accepted of this peer.  0, or -1, EBADMSG.
 */
int	 wg_initiation_verify(struct wg_handshake *,
	    const uint8_t [WG_KEY_LEN], const uint8_t *,
	    uint8_t [WG_TIMESTAMP_LEN]);
/*
 * Responder, the answer: (state, preshared key or NULL, 32 fresh random
 * bytes, own index, message, session).  Wipes the state.
 */
int	 wg_response_create(struct wg_handshake *, const uint8_t *,
	    const uint8_t [WG_KEY_LEN], uint32_t, uint8_t [WG_RESPONSE_LEN],
	    struct wg_session *);

/*
 * The responder's three steps with the multiplications apart, so that those
 * of several handshakes can be done at once (dh.h):
 *	es	own private key, wg_ephemeral() of the message
 *	ss	own private key, wh_remote_s; may be kept for the peer
 *	wg_answer_dh() sets up WG_ANSWER_DH jobs: dh_many() fills *wa.
 * wa is to be wiped. Else they are as the functions above.
 */
#define WG_ANSWER_DH	3

struct dh_job;
struct wg_answer {
	uint8_t		 wa_private[WG_KEY_LEN];
	uint8_t		 wa_public[WG_KEY_LEN];
	uint8_t		 wa_ee[WG_KEY_LEN];
	uint8_t		 wa_se[WG_KEY_LEN];
};

const uint8_t *wg_ephemeral(const uint8_t *);
int	 wg_initiation_open_es(struct wg_handshake *,
	    const uint8_t [WG_KEY_LEN], const uint8_t [WG_KEY_LEN],
	    const uint8_t *);
int	 wg_initiation_verify_ss(struct wg_handshake *,
	    const uint8_t [WG_KEY_LEN], const uint8_t *,
	    uint8_t [WG_TIMESTAMP_LEN]);
void	 wg_answer_dh(struct wg_answer *, const struct wg_handshake *,
	    const uint8_t [WG_KEY_LEN], struct dh_job *);
int	 wg_response_create_dh(struct wg_handshake *,
	    const struct wg_answer *, const uint8_t *, uint32_t,
	    uint8_t [WG_RESPONSE_LEN], struct wg_session *);

/*
 * Initiator, the answer: (state, own private, preshared key or NULL,
 * message of WG_RESPONSE_LEN bytes, session).  0, or -1 with errno EBADMSG;
 * the state is untouched, so that a forged response ends nothing; wipe it
 * after success.  The caller has matched wg_receiver() with wh_local.
 */
int	 wg_response_consume(const struct wg_handshake *,
	    const uint8_t [WG_KEY_LEN], const uint8_t *, const uint8_t *,
	    struct wg_session *);

#endif
