/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Getting a connected socket to one node of a relay's region.
 */

#ifndef NETD_DERPDIAL_H
#define NETD_DERPDIAL_H

#include "netd.h"

struct derpdial;

/*
 * (argument, connected socket, which is the callee's, or -1; then why). It
 * frees the dial, and may do so from here.
 */
typedef void (*derpdial_done)(void *, int, const char *);

/* Look up, connect, families raced; done is called from the loop. */
struct derpdial *derpdial_new(const struct msg_nm_derp_node *, derpdial_done,
	    void *);
/* Give up without a word. NULL is fine. */
void	 derpdial_free(struct derpdial *);

#endif /* NETD_DERPDIAL_H */
