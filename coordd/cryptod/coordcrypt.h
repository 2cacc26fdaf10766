/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The coordination server's key process: what its files share.
 */

#ifndef COORDCRYPT_H
#define COORDCRYPT_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "messages.h"

#define COORDCRYPT_USER	"_coordcrypt"

/* --- srvstate.c: what the state file holds --- */

#define SRVSTATE_TEXT_MAX	4096

/* In secret memory. */
struct srvstate {
	uint8_t		 ss_server[MSG_KEY_LEN];	/* private */
	uint8_t		 ss_jwt[MSG_KEY_LEN];	/* of ID tokens, or zero */
};

/*
 * Read a state file's text of that length (it is written to).  0, or -1 and
 * the line and what is wrong with it; the state is then zero.
 */
struct statefile_error;
int	 srvstate_parse(struct srvstate *, char *, size_t,
	    struct statefile_error *);
/* The reverse: length of the text, or -1 with errno. */
ssize_t	 srvstate_render(const struct srvstate *, char *, size_t);

/* --- jwt.c: ID tokens --- */

#define JWT_POINT_LEN	65	/* P-256, uncompressed */

/* A new private key, a number of 32 bytes, big endian. */
void	 jwt_make_key(uint8_t [MSG_KEY_LEN]);
/* Its public key; -1: it is no key. */
int	 jwt_public(const uint8_t [MSG_KEY_LEN], uint8_t [JWT_POINT_LEN]);
/* The token of these claims into the buffer; 0, or -1. */
int	 jwt_sign(const uint8_t [MSG_KEY_LEN], const char *, char *, size_t);

/* --- srvnoise.c: the server's side of the handshake --- */

/*
 * Ephemeral keys of initiations that were answered: the same one again is a
 * replay.  Who replays cannot go on from the answer, but is not to have one.
 */
#define SRVSEEN_SETS	1024
#define SRVSEEN_WAYS	4
struct srvseen {
	uint8_t		 sv_key[SRVSEEN_SETS][SRVSEEN_WAYS][MSG_KEY_LEN];
	uint8_t		 sv_next[SRVSEEN_SETS];
	uint8_t		 sv_salt[MSG_KEY_LEN];	/* random: which set */
};

/*
 * Answer an initiation: state, what was seen, 32 fresh random bytes, what
 * came; the answer is filled, its error included.
 */
void	 srvnoise_answer(const struct srvstate *, struct srvseen *,
	    const uint8_t *, const struct msg_srv_noise_in *,
	    struct msg_srv_noise_out *);

#endif
