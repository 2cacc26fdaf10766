/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Listening sockets of a server: its parent binds them as the configuration
 * names them, and hands them to the child that accepts.
 */

#ifndef SHOAL_LSOCK_H
#define SHOAL_LSOCK_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "messages.h"

#define LSOCK_MAX	16

/* What a configuration names. */
struct lsocks {
	struct msg_listen	 ls_sock[LSOCK_MAX];
	size_t			 ls_n;
};

/*
 * Add one: address, port, LISTEN_*, number of the certificate. NULL if good,
 * else what is wrong (static).
 */
const char *lsock_add(struct lsocks *, const char *, int64_t, uint32_t,
	    uint32_t);

/*
 * Before the rest: how many connections may wait to be accepted, and what
 * else to set on a new socket (descriptor, LISTEN_*; 0, or -1 with errno) or
 * NULL. Accepted sockets inherit it.
 */
void	 lsock_init(int, int (*)(int, uint32_t));
/*
 * Bind what the configuration names; sockets of the same address are kept.
 * 0, or -1: nothing has changed, the text says why.
 */
int	 lsock_open(const struct lsocks *, char *, size_t);
/* The new ones are in use: close those that are not named any more. */
void	 lsock_commit(void);
/* Or not: close the new ones. */
void	 lsock_abort(void);
/* Hand them to a child: LISTEN for each. */
void	 lsock_send(struct chan *, const struct lsocks *);

#endif /* SHOAL_LSOCK_H */
