/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Files that are replaced: the old one stays until the new one is whole.
 */

#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "atomic.h"

static struct atomic	 a;

static void
contents(const char *want)
{
	char	 buf[64];
	ssize_t	 n;
	int	 fd;

	if ((fd = atomic_read(&a)) == -1)
		err(1, "read");
	if ((n = read(fd, buf, sizeof(buf))) == -1)
		err(1, "read");
	close(fd);
	if ((size_t)n != strlen(want) || memcmp(buf, want, n) != 0)
		errx(1, "not \"%s\"", want);
}

static void
write_new(const char *text)
{
	struct stat	 st;
	int		 fd;

	if ((fd = atomic_begin(&a)) == -1)
		err(1, "begin");
	if (fstat(fd, &st) == -1 || (st.st_mode & 07777) != 0600)
		errx(1, "mode of a new file");
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err(1, "write");
	close(fd);
}

static void
gone(const char *path)
{
	if (access(path, F_OK) == 0)
		errx(1, "%s is still there", path);
}

int
main(void)
{
	char	 dir[] = "/tmp/t_parent_atomic.XX" "XX" "XX";
	char	 path[256], big[5000];

	if (mkdtemp(dir) == NULL)
		err(1, "mkdtemp");
	(void)snprintf(path, sizeof(path), "%s/state", dir);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	if (atomic_init(&a, big) == 0 || errno != ENAMETOOLONG)
		errx(1, "a name that is too long");
	if (atomic_init(&a, path) == -1)
		err(1, "init");

	if (atomic_read(&a) != -1 || errno != ENOENT)
		errx(1, "a file that is not there");
	if (atomic_commit(&a) == 0)
		errx(1, "commit of nothing");
	write_new("one");
	if (atomic_commit(&a) == -1)
		err(1, "commit");
	contents("one");

	write_new("two");
	contents("one");
	atomic_abort(&a);
	contents("one");
	gone(a.a_new);

	/* A full disk leaves an empty file. */
	write_new("");
	if (atomic_commit(&a) == 0)
		errx(1, "an empty file took the place");
	contents("one");
	gone(a.a_new);

	/* One that a crash left behind, or somebody's link, is not used. */
	if (symlink("/etc/passwd", a.a_new) == -1)
		err(1, "symlink");
	write_new("three");
	if (atomic_commit(&a) == -1)
		err(1, "commit");
	contents("three");

	atomic_remove(&a);
	gone(path);
	if (symlink("/etc/passwd", path) == -1)
		err(1, "symlink");
	if (atomic_read(&a) != -1)
		errx(1, "a link is followed");
	(void)unlink(path);
	(void)rmdir(dir);
	return 0;
}
