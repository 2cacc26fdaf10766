/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The client's end of TLS in a process without files: certificates of
 * authorities come as text, and take memory only while a server's chain is
 * verified. Who uses this links libssl; nobody else does.
 */

#ifndef SHOAL_TLSCLIENT_H
#define SHOAL_TLSCLIENT_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "messages.h"

#define TLSCLIENT_PIN		"sha256-raw:"
#define TLSCLIENT_NAME_LEN	96

/* What a server must prove; it must stay as long as the session. */
struct tlsclient {
	char		 tc_host[MSG_NAME_LEN];	/* name or address, for SNI */
	/* "": a certificate for the host; a name: for that name; a pin. */
	char		 tc_cert[MSG_NAME_LEN];
	int		 tc_insecure;		/* verify nothing */
	int		 tc_lax;		/* note what is wrong, go on */

	/* Found out during the handshake. */
	char		 tc_why[MSG_TEXT_LEN];	/* why it was refused */
	int		 tc_error;		/* X509_V_*; then: */
	char		 tc_subject[TLSCLIENT_NAME_LEN];
	char		 tc_issuer[TLSCLIENT_NAME_LEN];
	uint8_t		 tc_derpkey[MSG_KEY_LEN];
	uint32_t	 tc_derpversion;	/* 0: no key was told */
};

/* What the library does at first use; before the sandbox closes. */
void	 tlsclient_warmup(void);
/*
 * Certificates of authorities, PEM: (text, its length). It is the callee's
 * from here, to be freed. They are not in use before tlsclient_ca_commit(),
 * which drops those before them, if any have come.
 */
void	 tlsclient_ca(char *, size_t);
void	 tlsclient_ca_commit(void);
/*
 * Take that text from a descriptor, at most 4 MB: 0, or -1 (logged).
 * The descriptor is closed.
 */
int	 tlsclient_ca_fd(int);
/* Is there any text of that kind in use? */
int	 tlsclient_ca_here(void);
/*
 * A session on a connected, non-blocking socket (the caller's; -1: over a
 * pair of memory BIOs): SSL_connect is next. Fatal on lack of memory. NULL
 * with tc_why: what must be proven makes no sense.
 */
SSL	*tlsclient_new(int, struct tlsclient *);
/* The text of a failure of that session: tc_why, filled if it was empty. */
const char *tlsclient_error(SSL *, int, struct tlsclient *);

#endif
