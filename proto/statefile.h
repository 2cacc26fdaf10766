/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The form of state files: lines of "name value", the version first, a hash
 * over all of it last, so that a cut or changed file is told from a good one.
 *
 *	version 1
 *	machine privkey:...
 *	end 0123...
 */

#ifndef PROTO_STATEFILE_H
#define PROTO_STATEFILE_H

#include <sys/types.h>

#include <stddef.h>

#define STATEFILE_VERSION	1
#define STATEFILE_NAME_MAX	64	/* NUL included, as the next */
#define STATEFILE_VALUE_MAX	1024
#define STATEFILE_WHY_MAX	160

struct statefile_error {
	unsigned int	 se_line;
	char		 se_why[STATEFILE_WHY_MAX];
};

/*
 * Read a file's text, which may be written to: lines are cut apart in place.
 * Calls the function for each line between version and end, with name and
 * value as strings and its argument; it answers NULL or what is wrong with
 * the line (static text; STATEFILE_UNKNOWN for a name it does not know).
 * Returns 0, or -1 with the error filled.  What the function did before an
 * error is the caller's to forget.
 */
extern const char	 STATEFILE_UNKNOWN[];
extern const char	 STATEFILE_TWICE[];
int	 statefile_read(char *, size_t, const char *(*)(void *, const char *,
	    const char *), void *, struct statefile_error *);

/* Is that a name, a value, as lines can hold them?  1 or 0. */
int	 statefile_name_ok(const char *);
int	 statefile_value_ok(const char *);

/* Write: begin with a buffer of that size, add lines, end. */
struct statefile_out {
	char		*so_buf;
	size_t		 so_size;
	size_t		 so_len;
	int		 so_error;	/* errno, kept until the end */
};

void	 statefile_begin(struct statefile_out *, char *, size_t);
void	 statefile_add(struct statefile_out *, const char *, const char *);
/* Length of the text, or -1 with errno ENOSPC, EINVAL or ENOMEM. */
ssize_t	 statefile_end(struct statefile_out *);

#endif
