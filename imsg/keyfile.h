/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A server's parent's side of the state file that its key process reads and
 * writes by descriptor; keeper.h is the other side.
 */

#ifndef SHOAL_KEYFILE_H
#define SHOAL_KEYFILE_H

#include "atomic.h"
#include "imsg.h"
#include "proc.h"

struct keyfile {
	struct atomic	 kf_file;
	const char	*kf_loss;	/* what happens without the old one */
	/* Clean up and exit 1 with that line. */
	void		 (*kf_stop)(const char *, ...)
			    __attribute__((__noreturn__,
			    __format__ (printf, 1, 2)));
};

/* To a key process that was started: what there is to read. */
void	 keyfile_send(const struct keyfile *, struct proc_child *);
/* STATE_* of the key process: 0, or -1 if bad. */
int	 keyfile_msg(struct keyfile *, struct proc_child *, struct imsg *);
/* It is gone: what it was writing is worth nothing. */
void	 keyfile_child_lost(struct keyfile *);

#endif /* SHOAL_KEYFILE_H */
