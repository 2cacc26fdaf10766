/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A coordination server's brain on a bench: a store in memory, a clock that
 * the test turns, and all answers kept.
 */

#ifndef STORED_LAB_H
#define STORED_LAB_H

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "../../coordd/stored/stored.h"

#define LAB_STREAMS	8192
#define LAB_DATE	1767225600LL		/* 2026-01-01 */

struct lab_msg {
	struct lab_msg	*m_next;
	char		*m_text;
	size_t		 m_len;
	unsigned int	 m_status;
	uint32_t	 m_flags;
};

/* Messages of stream i of connection i, in order. */
struct lab {
	struct brain	 l_b;
	struct lab_msg	*l_msgs[LAB_STREAMS];
	int		 l_drop;	/* count, do not keep */
	int		 l_full;	/* the sink takes no more */
	uint64_t	 l_nmsgs;
	uint64_t	 l_bytes;
};

/* mode POLICY_*; text for POLICY_FILE. path NULL: in memory. */
void	 lab_open(struct lab *, const char *, uint8_t, const char *);
void	 lab_close(struct lab *);
/* A configuration as the laboratory uses it. */
void	 lab_conf(struct sconf *, uint8_t);
/* Let time pass, and what is due happen. Milliseconds. */
void	 lab_pass(struct lab *, int64_t);
/* A policy into force; errx if it is bad. */
void	 lab_policy(struct lab *, const char *);

/* Keys that are easy to tell apart. */
void	 lab_key(uint8_t [32], unsigned int, unsigned int);

/* The next message of a stream as JSON (NULL: none); errx if not JSON. */
json_t	*lab_next(struct lab *, unsigned int);
/* Its status and text; 0 if there is none. Caller frees the text. */
unsigned int
	 lab_raw(struct lab *, unsigned int, char **, uint32_t *);

struct user
	*lab_user(struct lab *, const char *);
/* A pre-auth key: user or tag; text is the caller's of AUTHKEY_TEXT. */
void	 lab_authkey(struct lab *, const char *, const char *, int, int,
	    int64_t, char *);

/* A request with machine key m, node key k; NULL or "" for the rest. */
void	 lab_register_req(struct reg_req *, unsigned int, unsigned int,
	    unsigned int, const char *, const char *);
json_t	*lab_register(struct lab *, const struct reg_req *);
/* Join with a key and find the node; errx if it was refused. */
struct node
	*lab_join(struct lab *, unsigned int, unsigned int, const char *,
	    const char *);
/* Open the poll of (machine m, key k) on stream s. */
void	 lab_poll(struct lab *, unsigned int, unsigned int, unsigned int);
/* A lite update with an endpoint "addr:port" or NULL, Hostinfo or NULL. */
void	 lab_lite(struct lab *, unsigned int, unsigned int, const char *,
	    const char *);
/* Any map request. */
void	 lab_map(struct lab *, struct map_req *, unsigned int, unsigned int);
void	 lab_hangup(struct lab *, unsigned int);

/* "a.b.0": the value there, or NULL. */
json_t	*lab_at(json_t *, const char *);
const char
	*lab_str(json_t *, const char *);	/* "" if none */
json_int_t lab_int(json_t *, const char *);	/* -1 if none */
/* How many peers with this ID a list of a message has. */
json_t	*lab_peer(json_t *, const char *, uint64_t);
/* Is this ID in PeersRemoved? */
int	 lab_removed(json_t *, uint64_t);

#define CHECK(x)	do {						\
	if (!(x))							\
		errx(1, "%s:%d: %s", __FILE__, __LINE__, #x);		\
} while (0)

#endif /* STORED_LAB_H */
