/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A key process's side of its state file: what changed is rendered into a
 * new file that the parent opens, synced, and the parent renames it
 * (STATE_WRITE, STATE_NEWFD, STATE_WRITTEN, STATE_SAVED).  One file at a
 * time; what changes meanwhile makes another.  After an error it is tried
 * again after a pause that grows from 1 to KEEPER_RETRY seconds, and not
 * sooner for what changes then: a full disk is to cause no storm.
 */

#ifndef SHOAL_KEEPER_H
#define SHOAL_KEEPER_H

#include <sys/types.h>

#include <event.h>
#include <stddef.h>
#include <stdint.h>

#include "imsg.h"

#define KEEPER_RETRY	64

struct keeper {
	/* Filled by the owner. */
	struct chan	*k_parent;
	char		*k_buf;		/* secret memory for the text */
	size_t		 k_size;
	/* Write the whole state to k_buf: its length, or -1 with errno. */
	ssize_t		(*k_render)(char *, size_t);
	/* An attempt ended: 0, or the errno.  k_saved tells what is safe. */
	void		(*k_ended)(int);

	uint64_t	 k_gen;		/* the last change */
	uint64_t	 k_writing;	/* the one that the attempt holds */
	uint64_t	 k_saved;	/* the one on disk */
	int		 k_busy;	/* an attempt is under way */
	unsigned int	 k_pause;	/* seconds, 0: the last one was good */
	struct event	 k_retry;
};

/* After event_init.  The struct must stay. */
void	 keeper_init(struct keeper *);

/* Something changed: write it.  Returns the number of the change. */
uint64_t keeper_change(struct keeper *);

/* STATE_NEWFD, STATE_SAVED of the parent: 0, or -1 if bad. */
int	 keeper_msg(struct keeper *, struct imsg *);

/*
 * Read a state file: all of it into k_buf, from a descriptor that is closed.
 * Its length, or -1 with errno (EFBIG: longer than any of ours).
 */
ssize_t	 keeper_read(struct keeper *, int);

#endif
