/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Files that a configuration names.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conffile.h"
#include "log.h"

void
conf_dirs_add(struct conf_dirs *dirs, const char *path)
{
	char		 copy[PATH_MAX], real[PATH_MAX];
	struct conf_dir	*d, *x;

	if (strlcpy(copy, path, sizeof(copy)) >= sizeof(copy))
		return;
	if ((d = calloc(1, sizeof(*d))) == NULL)
		fatal(NULL);
	/* A link's target is what will be opened. */
	if (realpath(path, real) != NULL)
		(void)strlcpy(copy, real, sizeof(copy));
	(void)strlcpy(d->d_path, dirname(copy), sizeof(d->d_path));
	TAILQ_FOREACH(x, dirs, d_entry)
		if (strcmp(x->d_path, d->d_path) == 0) {
			free(d);
			return;
		}
	TAILQ_INSERT_TAIL(dirs, d, d_entry);
}

void
conf_dirs_free(struct conf_dirs *dirs)
{
	struct conf_dir	*d;

	while ((d = TAILQ_FIRST(dirs)) != NULL) {
		TAILQ_REMOVE(dirs, d, d_entry);
		free(d);
	}
}

int
conf_dirs_have(const struct conf_dirs *all, const struct conf_dirs *some)
{
	const struct conf_dir	*d, *x;

	TAILQ_FOREACH(x, some, d_entry) {
		TAILQ_FOREACH(d, all, d_entry)
			if (strcmp(d->d_path, x->d_path) == 0)
				break;
		if (d == NULL)
			return 0;
	}
	return 1;
}

const char *
conf_check_path(const char *s, size_t len)
{
	if (s[0] != '/')
		return "must be an absolute path";
	if (strlen(s) >= len)
		return "path is too long";
	return s[strlen(s) - 1] != '/' ? NULL : "must be a file";
}

const char *
conf_may_read(const char *path)
{
	int	 fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK)) == -1)
		return strerror(errno);
	close(fd);
	return NULL;
}

const char *
conf_read_file(const char *path, size_t max, char **text, size_t *len)
{
	struct stat	 st;
	char		*buf;
	ssize_t		 n;
	int		 fd, save;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK)) == -1)
		return strerror(errno);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return "is not a file";
	}
	if ((buf = malloc(max)) == NULL)
		fatal(NULL);
	*len = 0;
	while ((n = read(fd, buf + *len, max - *len)) > 0)
		*len += n;
	save = errno;
	close(fd);
	if (n == 0 && *len < max) {
		if ((*text = realloc(buf, *len + 1)) == NULL)
			fatal(NULL);
		(*text)[*len] = '\0';
		return NULL;
	}
	free(buf);
	return n == -1 ? strerror(save) : "is too long";
}

void
path_dirname(const char *path, char *dir, size_t len)
{
	char	 copy[PATH_MAX];

	(void)strlcpy(copy, path, sizeof(copy));
	(void)strlcpy(dir, dirname(copy), len);
}
