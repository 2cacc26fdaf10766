/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * How many connections one address (IPv6: one /64) has, and may have.
 */

#ifndef SHOAL_SOURCE_H
#define SHOAL_SOURCE_H

#include <sys/types.h>
#include <sys/socket.h>

struct source;

/* The record of a peer's address; made if there is none. */
struct source	*source_get(const struct sockaddr_storage *);

/*
 * May it have one more, if so many may be strangers still, and so many there
 * may be in all? A proxy on this machine brings all nodes from one address,
 * so loopback has no limit but that of all.
 */
int		 source_allows(const struct source *, unsigned int,
		    unsigned int);
void		 source_opened(struct source *);
/* It has shown a key: no longer a stranger to count. */
void		 source_keyed(struct source *);
/* 1: it was a stranger still. Freed with its last connection. */
void		 source_closed(struct source *, int);
/* It was not opened: freed, if it has no connection. */
void		 source_unused(struct source *);
/* Its address as text; static. */
const char	*source_name(const struct source *);

#endif
