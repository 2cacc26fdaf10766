/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The directory of a parent's state, and its lock. What returns no error is
 * fatal, with what is wrong and what to do.
 */

#ifndef SHOAL_STATEDIR_H
#define SHOAL_STATEDIR_H

#include <sys/types.h>
#include <sys/stat.h>

#include <stddef.h>

/*
 * Make a directory with that mode, and those above it, unless it is there;
 * the first argument is what messages call it. 1: it was made; 0.
 */
int	 dir_make(const char *, const char *, mode_t);

/* The status of what must be a directory, and no link to one. */
void	 dir_stat(const char *, const char *, struct stat *);

/*
 * Nobody but root may change this state directory: its path, its status,
 * what chmod(1) should be given.
 */
void	 dir_check_state(const char *, const struct stat *, const char *);

/*
 * Lock the state file of this path until this process ends, on a file of its
 * own beside it.
 */
void	 state_lock(const char *);

/*
 * A file without a name in this directory that holds these bytes, to be read
 * from its begin; -1 with errno.
 */
int	 dir_anon(const char *, const void *, size_t);

#endif /* SHOAL_STATEDIR_H */
