/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The server's end of TLS without its private key: cryptod signs. Who uses
 * this links libssl; nobody else does.
 */

#ifndef SHOAL_TLSSERVER_H
#define SHOAL_TLSSERVER_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "channel.h"

#define TLSSERVER_SIGNS		512	/* handshakes that wait for cryptod */
#define TLSCHAIN_MAX		16

/* A certificate and those that lead to its issuer. */
struct tlschain {
	X509	*tc_cert[TLSCHAIN_MAX];
};

/* What the library does at first use; before the sandbox closes. */
void	 tlsserver_warmup(void);
/*
 * The channel that leads to cryptod, and what to call with a session's owner
 * when its signature has come: it goes on with the handshake.
 */
void	 tlsserver_init(struct chan *, void (*)(void *));

/*
 * Read a chain, PEM, from the descriptor, which is closed. The name is for
 * messages. 0, or -1 (logged). tlschain_set: one certificate, DER; 0 or -1.
 */
int	 tlschain_read(struct tlschain *, int, const char *);
int	 tlschain_set(struct tlschain *, const uint8_t *, size_t);
void	 tlschain_free(struct tlschain *);

/*
 * A context for the chain, and a certificate behind it (NULL: none); sessions
 * read up to that many bytes at once. NULL: it cannot be used (logged). The
 * caller frees with SSL_CTX_free; sessions keep what they began with.
 */
SSL_CTX	*tlsserver_ctx(const struct tlschain *, X509 *, size_t);

/* A session on the socket for this owner; NULL: the library refuses. */
SSL	*tlsserver_new(SSL_CTX *, int, void *);
/* Also in the middle of a handshake. NULL is fine. Does not close. */
void	 tlsserver_free(SSL *);

/* Shake hands. */
#define TLSSERVER_FAILED	(-1)
#define TLSSERVER_LATER		0	/* at the next read, or signature */
#define TLSSERVER_DONE		1
#define TLSSERVER_WRITE		2	/* when the socket can be written */
int	 tlsserver_handshake(SSL *);
/* Bytes; 0: later, -1: closed or failed. */
ssize_t	 tlsserver_read(SSL *, void *, size_t);
ssize_t	 tlsserver_write(SSL *, const void *, size_t);

/* cryptod's answer, by its id; cryptod was replaced. */
void	 tlsserver_signed(uint32_t, const struct msg_tls_signed *);
void	 tlsserver_crypt_lost(void);

#endif
