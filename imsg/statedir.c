/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The directory of a parent's state, and its lock.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "statedir.h"

int
dir_make(const char *what, const char *dir, mode_t mode)
{
	char	 copy[PATH_MAX], *p;

	if (mkdir(dir, mode) == 0)
		return 1;
	if (errno == EEXIST)
		return 0;
	(void)strlcpy(copy, dir, sizeof(copy));
	for (p = copy + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		if (mkdir(copy, 0755) == -1 && errno != EEXIST)
			fatal("%s directory %s", what, copy);
	}
	if (mkdir(dir, mode) == -1)
		fatal("%s directory %s", what, dir);
	return 1;
}

void
dir_stat(const char *what, const char *dir, struct stat *st)
{
	if (lstat(dir, st) == -1)
		fatal("%s directory %s", what, dir);
	if (!S_ISDIR(st->st_mode))
		fatalx("%s directory %s is no directory", what, dir);
}

void
dir_check_state(const char *dir, const struct stat *st, const char *mode)
{
	if ((st->st_uid != 0 && st->st_uid != geteuid()) ||
	    (st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		fatalx("state directory %s may be changed by others: "
		    "chown root, chmod %s", dir, mode);
}

int
dir_anon(const char *dir, const void *data, size_t len)
{
	const char	*p = data;
	char		 path[PATH_MAX + 16];
	ssize_t		 n;
	int		 fd, save;

	(void)snprintf(path, sizeof(path), "%s/pass.XXXXXXXXXX", dir);
	if ((fd = mkostemp(path, O_CLOEXEC)) == -1)
		return -1;
	(void)unlink(path);
	for (; len > 0; len -= n, p += n)
		if ((n = write(fd, p, len)) == -1)
			break;
	if (len == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	save = errno;
	close(fd);
	errno = save;
	return -1;
}

/* Not on the state itself, which is renamed over. It stays open. */
void
state_lock(const char *state)
{
	struct flock	 fl;
	char		 path[PATH_MAX + 8];
	int		 fd;

	(void)snprintf(path, sizeof(path), "%s.lock", state);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    S_IRUSR | S_IWUSR);
	if (fd == -1)
		fatal("%s", path);
	memset(&fl, 0, sizeof(fl));
	fl.l_type = F_WRLCK;
	fl.l_whence = SEEK_SET;
	if (fcntl(fd, F_SETLK, &fl) == 0)
		return;
	if (errno != EACCES && errno != EAGAIN)
		fatal("%s: lock", path);
	if (fcntl(fd, F_GETLK, &fl) == 0 && fl.l_type != F_UNLCK)
		fatalx("already running, pid %d: it uses the state %s",
		    (int)fl.l_pid, state);
	fatalx("already running: another process uses the state %s", state);
}
