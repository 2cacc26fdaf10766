/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The relay's key process: what its files share.
 */

#ifndef DERPCRYPT_H
#define DERPCRYPT_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "messages.h"

#define DERPCRYPT_USER	"_derpcrypt"

/* --- mesh.c: the key of the mesh --- */

/* In secret memory. */
struct meshkeys {
	char		 mk_key[2 * MSG_KEY_LEN];	/* hex, no NUL */
	char		 mk_next[2 * MSG_KEY_LEN];
	int		 mk_have;
	int		 mk_have_next;
};

void	 mesh_init(struct meshkeys *);
/* The key's file: not in use yet.  0, or -1 (logged); closes it. */
int	 mesh_file(int);
/* Now it is (or there is none any more); or it is forgotten. */
void	 mesh_commit(void);
void	 mesh_abort(void);
/*
 * Does what a client says show the key?  1 or 0.  What it shows is
 * overwritten with zeros, which is how a client says that it has none.
 */
int	 mesh_check(uint8_t *, size_t);
/* Our login at the relay with that key, with our own private one. */
void	 mesh_login(const uint8_t [MSG_KEY_LEN], const uint8_t [MSG_KEY_LEN],
	    struct msg_mesh_login *);

/* --- derpstate.c: what the state file holds --- */

#define DERPSTATE_TEXT_MAX	4096
#define DERPSTATE_KEY_MAX	256	/* DER */
#define DERPSTATE_CERT_MAX	760

/* In secret memory. */
struct derpstate {
	uint8_t		 ds_derp[MSG_KEY_LEN];	/* private */
	size_t		 ds_keylen;		/* 0: no certificate of ours */
	size_t		 ds_certlen;
	uint8_t		 ds_key[DERPSTATE_KEY_MAX];
	uint8_t		 ds_cert[DERPSTATE_CERT_MAX];
};

/*
 * Read a state file's text of that length (it is written to).  0, or -1 and
 * the line and what is wrong with it; the state is then zero.
 */
struct statefile_error;
int	 derpstate_parse(struct derpstate *, char *, size_t,
	    struct statefile_error *);
/* The reverse: length of the text, or -1 with errno. */
ssize_t	 derpstate_render(const struct derpstate *, char *, size_t);

/* --- derpcert.c: certificates of our own --- */

/*
 * Use the key in the state, for a certificate that names this host and date
 * (seconds); both are made anew where they do not fit.  1: the state has
 * changed; 0, or -1 (logged).
 */
int	 derpcert_self(struct derpstate *, const char *, int64_t);

/*
 * The certificate that tells the public DERP key, good from 30 days before
 * the date (seconds) to 30 days after.  Its length, or -1 (logged).
 */
ssize_t	 derpcert_meta(const uint8_t [MSG_KEY_LEN], int64_t, uint8_t *,
	    size_t);

/* SHA-256. */
void	 derpcert_hash(const uint8_t *, size_t, uint8_t [MSG_KEY_LEN]);
/* What the library does at first use. */
void	 derpcert_warmup(void);

#endif
