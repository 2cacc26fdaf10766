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

struct statefile_error;

/* What STATE_FD was. */
enum keeper_fd {
	KEEPER_BAD,		/* against the rules */
	KEEPER_FAILED,		/* not to be used: the parent has been told */
	KEEPER_NONE,		/* the first start: there is no file yet */
	KEEPER_READ
};

struct keeper {
	/* Filled by the owner. */
	struct chan	*k_parent;
	char		*k_buf;		/* secret memory for the text */
	size_t		 k_size;
	/* Read the state from a text (it is written to).  0, or -1. */
	int		(*k_parse)(char *, size_t, struct statefile_error *);
	/* Write the whole state to k_buf: its length, or -1 with errno. */
	ssize_t		(*k_render)(char *, size_t);
	/* It is on disk, and the parent told: others may hear of the keys. */
	void		(*k_publish)(void);
	/*
	 * An attempt ended: 0, or the errno.  k_saved tells what is safe.
	 * Not called before k_publish; may be NULL.
	 */
	void		(*k_ended)(int);

	uint64_t	 k_gen;		/* the last change */
	uint64_t	 k_writing;	/* the one that the attempt holds */
	uint64_t	 k_saved;	/* the one on disk */
	int		 k_busy;	/* an attempt is under way */
	int		 k_loaded;	/* STATE_FD has come */
	int		 k_published;
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
 * STATE_FD of the parent: read the state, if there is one.  After KEEPER_NONE
 * new keys and keeper_change: they are published when they are on disk.
 */
enum keeper_fd keeper_load(struct keeper *, struct imsg *);

/* The state can be used: tell the parent, and publish. */
void	 keeper_publish(struct keeper *);
/* It cannot: tell the parent with which error, MSG_E_*, and line (or 0). */
void	 keeper_answer(struct keeper *, uint32_t, unsigned int, const char *);

#endif
