/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Files that are replaced, never rewritten: a crash at any moment leaves
 * the old one or the new one. Others may write the new one by its descriptor.
 */

#ifndef SHOAL_ATOMIC_H
#define SHOAL_ATOMIC_H

#include <limits.h>

struct atomic {
	char		 a_path[PATH_MAX];
	char		 a_new[PATH_MAX + 8];	/* beside it, being written */
	int		 a_open;		/* a new one is being written */
};

/* 0, or -1 with ENAMETOOLONG. */
int	 atomic_init(struct atomic *, const char *);
/* The file to read; -1 with errno (ENOENT: none, EINVAL: not a file). */
int	 atomic_read(const struct atomic *);
/* A new empty file, mode 0600; -1 with errno. */
int	 atomic_begin(struct atomic *);
/*
 * The new one, synced by who wrote it, takes the place of the old, on disk.
 * 0, or -1 with errno: EIO if it is empty, as a full disk leaves it.
 */
int	 atomic_commit(struct atomic *);
/* The new one was not to be. */
void	 atomic_abort(struct atomic *);
/* Remove the file. */
void	 atomic_remove(struct atomic *);

#endif /* SHOAL_ATOMIC_H */
