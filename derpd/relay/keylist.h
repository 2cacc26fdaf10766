/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The keys that a coordination server lets in, as it tells them. A text from
 * the network: pure functions, no I/O.
 */

#ifndef RELAY_KEYLIST_H
#define RELAY_KEYLIST_H

#include <sys/types.h>
#include <sys/tree.h>

#include <stddef.h>
#include <stdint.h>

#include "keys.h"

#define KEYLIST_MAX	1000000		/* keys */
#define KEYLIST_LINE	80		/* the longest one, its end included */
#define KEYLIST_HEAD	4096		/* the head of the answer */

struct listed;
RB_HEAD(listedkeys, listed);

struct keylist {
	struct listedkeys	 kl_keys;	/* in force */
	struct listedkeys	 kl_next;	/* of a list that is coming */
	size_t			 kl_n;
	size_t			 kl_nnext;
	int			 kl_head;	/* past the answer's head */
	int			 kl_whole;	/* the list has come */
	int			 kl_ever;	/* there is one in force */
};

/* What has happened. */
#define KEYLIST_SAID	0x1		/* all that was to be said: "." */
#define KEYLIST_FEWER	0x2		/* some key may be gone */

void	 keylist_init(struct keylist *);
/* Forget all of it. */
void	 keylist_free(struct keylist *);
/* A new connection: the list comes anew, the one in force stays till then. */
void	 keylist_begin(struct keylist *);
/*
 * Bytes of the answer: an HTTP head with status 200, then lines: "+nodekey:"
 * and 64 hex digits, "-nodekey:...", or ".". Returns how many were used
 * (0: more are needed) with KEYLIST_* in the last argument; -1: it is none
 * of that, or too much: close.
 */
ssize_t	 keylist_input(struct keylist *, const char *, size_t, int *);
int	 keylist_has(const struct keylist *, const uint8_t [KEY_LEN]);

#endif
