/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Registration of a node: request, response, and the server key answer.
 */

#ifndef PROTO_REGISTER_H
#define PROTO_REGISTER_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "jsonutil.h"

#define REGISTER_MAX_BODY	(1024 * 1024)	/* of a response */
#define REGISTER_MAX_TEXT	4096		/* URL, error text */

/*
 * A request. Pointers are borrowed; NULL strings count as empty, keys of
 * zeros as none.
 */
struct register_request {
	int		 rq_version;	/* capability version */
	int		 rq_ephemeral;
	uint8_t		 rq_nodekey[32];
	uint8_t		 rq_oldkey[32];
	uint8_t		 rq_nlkey[32];	/* tailnet-lock public key */
	struct ju_time	 rq_expiry;	/* unset: no wish */
	const char	*rq_authkey;	/* NULL or empty: no Auth object */
	const char	*rq_followup;	/* URL being waited for */
	const char	*rq_tailnet;
	json_t		*rq_hostinfo;	/* NULL: null */
	const uint8_t	*rq_keysig;	/* NodeKeySignature */
	size_t		 rq_keysiglen;
	const char	*rq_sigtype;	/* "signature-v2": device cert */
	struct ju_time	 rq_timestamp;
	const uint8_t	*rq_devcert;
	size_t		 rq_devcertlen;
	const uint8_t	*rq_signature;
	size_t		 rq_signaturelen;
};

/* A response; strings are never NULL and belong to the struct. */
struct register_response {
	char		*rr_error;
	char		*rr_authurl;
	char		*rr_login;	/* Login.LoginName */
	char		*rr_logindisplay;
	char		*rr_userdisplay;
	uint8_t		*rr_keysig;
	size_t		 rr_keysiglen;
	int64_t		 rr_userid;
	int64_t		 rr_loginid;
	uint8_t		 rr_expired;	/* NodeKeyExpired */
	uint8_t		 rr_authorized;	/* MachineAuthorized */
};

/*
 * The request body as text; the caller wipes (it may hold the auth key)
 * and frees it. NULL: no memory. Source: control.md 3.1.
 */
char	*register_build(const struct register_request *);

/*
 * Read a response body of len bytes. Returns 0, or -1 with errno EINVAL
 * (not an object, field of a wrong type), E2BIG or ENOMEM; the struct is
 * then empty. register_response_free() it. Source: control.md 3.2.
 */
int	 register_parse(const void *, size_t, struct register_response *);
void	 register_response_free(struct register_response *);

/*
 * Read the answer of /key: publicKey into key. Returns 0, or -1 with errno
 * EINVAL, or ENOTSUP where the answer has no public key or a zero one (a
 * server that does not speak ts2021). Source: control.md 1.3.
 */
int	 serverkey_parse(const void *, size_t, uint8_t[32]);

#endif /* PROTO_REGISTER_H */
