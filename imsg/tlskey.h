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

#include "channel.h"
#include "imsg.h"
#include "rate.h"

/*
 * CERT_FD, then TLSKEY_FD of the key that belongs to it, PEM both; any number
 * of such pairs. They are not in use before tlskey_commit, which retires
 * those before them: what they began is still signed. 0, or -1 if bad; what
 * is wrong with a file is logged.
 */
int	 tlskey_msg(struct imsg *);
/* The configuration is complete: each file good, each certificate a key? */
int	 tlskey_complete(void);
void	 tlskey_commit(void);
void	 tlskey_abort(void);

/* Use this key (DER) for this certificate (DER), and no other. 0, or -1. */
int	 tlskey_set(const uint8_t *, size_t, const uint8_t *, size_t);

/*
 * TLS_SIGN: sign with the certificate's key, if not too often, and answer on
 * that channel. 0, or -1 if bad.
 */
int	 tlskey_sign(struct chan *, struct imsg *, struct rate *);

/* What the library does at first use. */
void	 tlskey_warmup(void);
/* Forget all keys. */
void	 tlskey_end(void);

#endif
