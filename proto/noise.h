/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The control session's Noise IK handshake, records and early payload.
 * Source: control.md sections 2.3 to 2.5.
 *
 * noise.c is the handshake (private keys: key processes and tests only);
 * noise_frame.c is frames and early payload, without any key; and
 * noise_record.c seals and opens records with transport keys that the network
 * side was given: it needs libcrypto, which key processes do without.
 */

#ifndef PROTO_NOISE_H
#define PROTO_NOISE_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define NOISE_KEY_LEN		32
#define NOISE_TAG_LEN		16
#define NOISE_INITIATION_LEN	101
#define NOISE_RESPONSE_LEN	51
#define NOISE_HDR_LEN		3	/* type, length BE16 */
#define NOISE_FRAME_MAX		4096	/* header and all */
#define NOISE_PLAIN_MAX		4077	/* plaintext of one record */
#define NOISE_ERROR_MAX		256	/* our error frames */

#define NOISE_MSG_INITIATION	1
#define NOISE_MSG_RESPONSE	2
#define NOISE_MSG_ERROR		3
#define NOISE_MSG_RECORD	4

/* What a handshake comes to.  Wipe with explicit_bzero(3) after use. */
struct noise_session {
	uint8_t		 ns_c2s[NOISE_KEY_LEN];	/* client to server key */
	uint8_t		 ns_s2c[NOISE_KEY_LEN];	/* server to client key */
	uint8_t		 ns_hash[NOISE_KEY_LEN]; /* handshake hash */
	uint8_t		 ns_chain[NOISE_KEY_LEN]; /* chaining key at split */
};

/* Client, between initiation and response.  Holds secrets; wipe. */
struct noise_handshake {
	uint8_t		 nh_hash[NOISE_KEY_LEN];
	uint8_t		 nh_chain[NOISE_KEY_LEN];
	uint8_t		 nh_ephemeral[NOISE_KEY_LEN];	/* private */
};

/* noise.c */

/*
 * Client: begin.  Takes the state to fill, the protocol version (our
 * capability version), machine private and public key, the server's public
 * key, 32 fresh random bytes for the ephemeral key; writes the initiation.
 * 0, or -1 with errno EINVAL (server key of low order) or ENOMEM.
 */
int	 noise_initiate(struct noise_handshake *, uint16_t,
	    const uint8_t [NOISE_KEY_LEN], const uint8_t [NOISE_KEY_LEN],
	    const uint8_t [NOISE_KEY_LEN], const uint8_t [NOISE_KEY_LEN],
	    uint8_t [NOISE_INITIATION_LEN]);

/*
 * Client: end.  Takes the state, machine private key, the message that came
 * and its length (as noise_response_len() said).  0 and the session, or -1
 * with errno EPROTO (type or length) or EBADMSG (does not verify).  The
 * state is untouched on error and must be wiped by the caller either way.
 */
int	 noise_finish(const struct noise_handshake *,
	    const uint8_t [NOISE_KEY_LEN], const uint8_t *, size_t,
	    struct noise_session *);

/*
 * Server: the whole of it.  Takes server private and public key, 32 fresh
 * random bytes, the initiation (checked by noise_initiation_check() first,
 * and here again) and its length.  Gives the response, the session, the
 * client's machine key and its protocol version.  0, or -1 with errno EPROTO
 * or EBADMSG; then nothing is to be answered.
 */
int	 noise_respond(const uint8_t [NOISE_KEY_LEN],
	    const uint8_t [NOISE_KEY_LEN], const uint8_t [NOISE_KEY_LEN],
	    const uint8_t *, size_t, uint8_t [NOISE_RESPONSE_LEN],
	    struct noise_session *, uint8_t [NOISE_KEY_LEN], uint16_t *);

/* noise_frame.c */

/*
 * Server: is this an initiation by type and length?  NULL if so; else the
 * text for the error frame that upstream's server sends.  The last argument
 * is 1 if the message came whole in the upgrade header (then its size is
 * checked first), 0 if it is the head of a stream; a stream may hold more
 * than the initiation, and needs NOISE_INITIATION_LEN bytes before this.
 */
const char *noise_initiation_check(const uint8_t *, size_t, int);

/* Protocol version in the clear header of an initiation (5 bytes needed). */
uint16_t noise_initiation_version(const uint8_t *);

/*
 * Make an error frame of a text.  Returns its length (at most
 * NOISE_ERROR_MAX; longer texts are cut).
 */
size_t	 noise_error_frame(const char *, uint8_t [NOISE_ERROR_MAX]);

/*
 * Client: how many bytes of the stream are the server's first message.
 * Takes what has come and its length.  Returns the length of the whole
 * message, 0 if more bytes are needed to tell or to complete it, -1 with
 * errno EPROTO if it can be no response; -1 with errno ECONNREFUSED for a
 * whole error frame (bytes 3 and on are its text, unauthenticated).
 */
ssize_t	 noise_response_len(const uint8_t *, size_t);

/*
 * Frame splitter: how long the frame is that begins the stream.  Returns
 * its length, 0 if more bytes are needed, -1 with errno EPROTO for any type
 * but a record, EMSGSIZE for one beyond NOISE_FRAME_MAX; both end the
 * connection.
 */
ssize_t	 noise_frame_len(const uint8_t *, size_t);

/* Reader of the early payload: the first bytes of the plaintext stream. */
#define NOISE_EARLY_HDR_LEN	9
#define NOISE_EARLY_MAX		(10U << 20)

struct noise_early {
	uint8_t		 ne_hdr[NOISE_EARLY_HDR_LEN];
	size_t		 ne_hdrlen;
	uint8_t		*ne_json;	/* grows as bytes come, no sooner */
	size_t		 ne_len;	/* of ne_json so far */
	size_t		 ne_want;	/* as announced */
};

enum noise_early_result {
	NOISE_EARLY_ERROR = -1,	/* errno: EMSGSIZE, ENOMEM */
	NOISE_EARLY_MORE,	/* all bytes used, more needed */
	NOISE_EARLY_NONE,	/* no payload: ne_hdr belongs to HTTP/2 */
	NOISE_EARLY_DONE	/* ne_json, ne_len hold the JSON text */
};

/*
 * Begin (zeroes), feed, free.  feed takes plaintext and its length, tells
 * how many bytes it used; the rest, after NONE or DONE, is HTTP/2's (after
 * NONE: ne_hdr first, then the rest).  Do not feed after a result other
 * than MORE.  A stream that ends while MORE is an error of the caller's.
 */
void	 noise_early_init(struct noise_early *);
enum noise_early_result noise_early_feed(struct noise_early *,
	    const uint8_t *, size_t, size_t *);
void	 noise_early_free(struct noise_early *);

/*
 * Server: make the header of an early payload of that many bytes of JSON.
 * -1 with errno EMSGSIZE above NOISE_EARLY_MAX.
 */
int	 noise_early_header(size_t, uint8_t [NOISE_EARLY_HDR_LEN]);

/* noise_record.c */

/* One direction of a session. */
struct noise_record;

/*
 * Make one: (transport key, counter to begin with: 0 for a new session,
 * 1 to seal or 0 to open).  NULL with errno ENOMEM.  Caller frees with
 * noise_record_free(), which wipes; NULL is fine there.
 */
struct noise_record *noise_record_new(const uint8_t [NOISE_KEY_LEN],
	    uint64_t, int);
void	 noise_record_free(struct noise_record *);

/*
 * Seal one record: (object, plaintext, its length up to NOISE_PLAIN_MAX,
 * frame).  frame takes length + NOISE_HDR_LEN + NOISE_TAG_LEN bytes; the
 * plaintext may stand at frame + NOISE_HDR_LEN already (in place).
 * Returns the length of the frame, or -1 with errno EMSGSIZE, EOVERFLOW (the
 * counter has run out) or ENOMEM; after the latter two the object is dead.
 */
ssize_t	 noise_seal(struct noise_record *, const uint8_t *, size_t,
	    uint8_t *);

/*
 * Open one whole frame in place: (object, frame, its length).  The plaintext
 * then stands at frame + NOISE_HDR_LEN; returns its length (0 is legal), or
 * -1 with errno EPROTO, EMSGSIZE, EBADMSG or EOVERFLOW.  After an error the
 * object is dead: every further call fails with EPIPE.
 */
ssize_t	 noise_open(struct noise_record *, uint8_t *, size_t);

#endif
