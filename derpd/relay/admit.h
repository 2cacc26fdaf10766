/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The admission call as text, and lists of keys that are let in.
 * Source: dataplane.md section 3.5.
 */

#ifndef RELAY_ADMIT_H
#define RELAY_ADMIT_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "keys.h"

#define ADMIT_MAX	8192		/* bytes of a response */
#define ADMIT_LIST_MAX	1000000		/* keys */

/*
 * The request for a node at this address: host, port, path of the server,
 * key, address as text, buffer and its size.  Its length, or -1.
 */
ssize_t	 admit_request(const char *, uint16_t, const char *,
	    const uint8_t [KEY_LEN], const char *, char *, size_t);

/*
 * The response as far as it has come; 1: there is no more.  1: let it in; 0:
 * wait for more; -1: do not, for whatever reason.
 */
int	 admit_response(const char *, size_t, int);

struct admit_list {
	uint8_t		*al_keys;	/* sorted, KEY_LEN each */
	size_t		 al_n;
};

/*
 * A text of a "nodekey:..." a line; # begins a comment.  0, or -1 and the
 * line that is none; then the list is empty.
 */
int	 admit_list(struct admit_list *, const char *, size_t,
	    unsigned int *);
void	 admit_list_free(struct admit_list *);
int	 admit_list_has(const struct admit_list *, const uint8_t [KEY_LEN]);

#endif
