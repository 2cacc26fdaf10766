/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The private keys of TLS, as a cryptod keeps them.
 */

#ifndef SHOAL_TLSKEY_H
#define SHOAL_TLSKEY_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "messages.h"

/*
 * CERT_FD, then TLSKEY_FD of the key that belongs to it, PEM both; any number
 * of such pairs. They are not in use before tlskey_commit, which retires
 * those before them: what they began is still signed. The descriptor is
 * closed; the name is for messages. 0, or -1 (logged).
 */
int	 tlskey_cert(int, const char *);
int	 tlskey_file(int, const char *);
/* The configuration is complete: has each certificate its key? */
int	 tlskey_complete(void);
void	 tlskey_commit(void);
void	 tlskey_abort(void);

/* Use this key (DER) for this certificate (DER), and no other. 0, or -1. */
int	 tlskey_set(const uint8_t *, size_t, const uint8_t *, size_t);

/* Sign with the certificate's key; the answer is filled, its error too. */
void	 tlskey_sign(const struct msg_tls_sign *, struct msg_tls_signed *);
/* Could that come from a server process that keeps the rules? */
int	 tlskey_sign_ok(const struct msg_tls_sign *);

/* What the library does at first use. */
void	 tlskey_warmup(void);
/* Forget all keys. */
void	 tlskey_end(void);

#endif
