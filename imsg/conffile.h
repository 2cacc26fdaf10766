/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Files that a configuration names: their paths, their contents, and their
 * directories, to which a parent confines itself: a reload can read what is
 * there, and nothing else.
 */

#ifndef SHOAL_CONFFILE_H
#define SHOAL_CONFFILE_H

#include <sys/queue.h>

#include <limits.h>
#include <stddef.h>

struct conf_dir {
	TAILQ_ENTRY(conf_dir)	 d_entry;
	char			 d_path[PATH_MAX];
};
TAILQ_HEAD(conf_dirs, conf_dir);

/*
 * Add the directory of this file (of a link: of what it leads to), unless it
 * is there. Fatal if out of memory.
 */
void	 conf_dirs_add(struct conf_dirs *, const char *);
void	 conf_dirs_free(struct conf_dirs *);
/* Are all directories of the second in the first? 1 or 0. */
int	 conf_dirs_have(const struct conf_dirs *, const struct conf_dirs *);

/*
 * Is this the absolute path of a file, short enough for a buffer of that
 * size? NULL if good, else what is wrong (static text).
 */
const char *conf_check_path(const char *, size_t);

/*
 * Read a whole file of less than so many bytes, once: a child that is
 * replaced gets what was accepted, not what the file has become meanwhile.
 * NULL if good: then the caller frees the text, which ends with a NUL that
 * the length does not count. Else what is wrong (static text).
 */
const char *conf_read_file(const char *, size_t, char **, size_t *);

/* Can it be opened to be read? It is not. NULL, or why not. */
const char *conf_may_read(const char *);

/* The directory that a file is in, into a buffer of that size. */
void	 path_dirname(const char *, char *, size_t);

#endif /* SHOAL_CONFFILE_H */
