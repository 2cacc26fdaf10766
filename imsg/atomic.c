/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Files that are replaced, never rewritten: a crash at any moment leaves
 * the old one or the new one.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "atomic.h"
#include "conffile.h"

int
atomic_init(struct atomic *a, const char *path)
{
	int	 n;

	memset(a, 0, sizeof(*a));
	n = snprintf(a->a_new, sizeof(a->a_new), "%s.new", path);
	if (strlcpy(a->a_path, path, sizeof(a->a_path)) >=
	    sizeof(a->a_path) || n < 0 || (size_t)n >= sizeof(a->a_new)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

int
atomic_read(const struct atomic *a)
{
	struct stat	 st;
	int		 fd;

	fd = open(a->a_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY |
	    O_NONBLOCK);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

int
atomic_begin(struct atomic *a)
{
	int	 fd;

	/* One that an earlier run left behind. */
	if (unlink(a->a_new) == -1 && errno != ENOENT)
		return -1;
	fd = open(a->a_new, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC |
	    O_NOFOLLOW, S_IRUSR | S_IWUSR);
	if (fd != -1)
		a->a_open = 1;
	return fd;
}

/* A rename lasts when its directory is on disk. */
static int
dir_sync(const char *path)
{
	char	 dir[PATH_MAX];
	int	 fd, ret;

	path_dirname(path, dir, sizeof(dir));
	if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	ret = fsync(fd);
	close(fd);
	return ret;
}

int
atomic_commit(struct atomic *a)
{
	struct stat	 st;
	int		 save;

	if (!a->a_open) {
		errno = EINVAL;
		return -1;
	}
	/* An empty file is what a full disk leaves. */
	if (lstat(a->a_new, &st) == -1 || st.st_size == 0) {
		atomic_abort(a);
		errno = EIO;
		return -1;
	}
	if (rename(a->a_new, a->a_path) == -1) {
		save = errno;
		atomic_abort(a);
		errno = save;
		return -1;
	}
	a->a_open = 0;
	return dir_sync(a->a_path);
}

void
atomic_abort(struct atomic *a)
{
	if (a->a_open)
		(void)unlink(a->a_new);
	a->a_open = 0;
}

void
atomic_remove(struct atomic *a)
{
	atomic_abort(a);
	(void)unlink(a->a_path);
}
