/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Between the files of Linux's sandbox.
 */

#ifndef SHOAL_OS_LINUX_BOX_H
#define SHOAL_OS_LINUX_BOX_H

#include "os.h"

/* Sanitizers make calls of their own: such builds refuse, do not kill. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED	1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || \
    __has_feature(thread_sanitizer)
#define SANITIZED	1
#endif
#endif

/* Allow-list of a child for a stage, of a parent; fatal on error. */
void	 box_seccomp_child(enum proc, int);
void	 box_seccomp_parent(void);

/*
 * Landlock: nothing at all (keep: a directory below which files stay open to
 * this process, or NULL), or what a parent needs. The ABI, or -1 with errno
 * ENOSYS or EOPNOTSUPP where the kernel has none.
 */
int	 box_landlock_child(const char *);
int	 box_landlock_parent(const struct os_confine *);

#endif /* SHOAL_OS_LINUX_BOX_H */
