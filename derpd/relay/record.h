/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Records of TLS 1.3 after the handshake, which is the library's. A session
 * of the library holds 14 KB for good; this is some hundred bytes while
 * nothing happens.
 * Source: RFC 8446, sections 5, 4.6.3, 7.1 to 7.3.
 */

#ifndef RELAY_RECORD_H
#define RELAY_RECORD_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define RECORD_HDR_LEN	5
#define RECORD_PLAIN	16384		/* bytes of a record */
#define RECORD_WIRE	(RECORD_HDR_LEN + RECORD_PLAIN + 256)
#define RECORD_ALERT	21
#define RECORD_HANDSHAKE 22
#define RECORD_DATA	23

/* Bytes on the wire for so many of the stream, at most. */
#define RECORD_SEALED(n) ((n) + ((n) / RECORD_PLAIN + 1) * 22 + 32)

struct record;

/* Never NULL. record_free(NULL) is fine; keys are wiped. */
struct record *record_new(void);
void	 record_free(struct record *);

/* A line of the library's key log: two of them hold the secrets. */
void	 record_keylog(struct record *, const char *);
/*
 * The handshake is done, with the cipher suite of that number: 0; -1: the
 * suite or a secret is not known.
 */
int	 record_start(struct record *, uint32_t);

/*
 * Seal bytes of the stream into a buffer of RECORD_SEALED() of their number;
 * returns the bytes written there. record_close: the alert that ends it, at
 * most 32 bytes.
 */
size_t	 record_seal(struct record *, const uint8_t *, size_t, uint8_t *);
size_t	 record_close(struct record *, uint8_t [32]);

/*
 * Open the record that begins these bytes into a buffer of RECORD_PLAIN + 1
 * bytes; what it holds of the stream, maybe nothing, is told by the last
 * argument. Returns its whole length; 0: more is needed; -1: close, it is
 * forged, malformed, or the end.
 */
ssize_t	 record_open(struct record *, const uint8_t *, size_t, uint8_t *,
	    size_t *);

/* Now and then: what is not used gives its memory back. */
void	 record_rest(struct record *);

#endif
