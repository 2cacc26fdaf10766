/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A server's configuration to its children, as a transaction: all can use the
 * new one, or nothing changes.
 */

#ifndef SHOAL_TRANSACT_H
#define SHOAL_TRANSACT_H

#include <sys/types.h>

#include <stddef.h>

#include "imsg.h"
#include "messages.h"
#include "proc.h"

struct transact {
	const enum proc	*ta_procs;
	size_t		 ta_nprocs;
	/* Has the suite started? */
	int		(*ta_up)(void);
	/* All have answered: the new configuration is good, or refused. */
	void		(*ta_end)(int);
	/* A child has taken what it was sent at its start. 0, or -1 if bad. */
	int		(*ta_started)(struct proc_child *);
	/* Clean up and exit 1 with that line. */
	void		(*ta_stop)(const char *, ...)
			    __attribute__((__noreturn__,
			    __format__ (printf, 1, 2)));
};

/* Before the children start; the struct must stay. */
void	 transact_init(const struct transact *);

/* Can a reload begin? 0, or -1 (logged). */
int	 transact_may_begin(void);
/* It begins: call that for each child, then wait for their answers. */
void	 transact_begin(void (*)(struct proc_child *));
/* RECONF_READY of a child. 0, or -1 if bad. */
int	 transact_ready(struct proc_child *, struct imsg *);
/* A child is gone: what is under way is refused. */
void	 transact_child_lost(void);

/* A message without content, such as RECONF_START. */
void	 transact_word(struct proc_child *, enum msg_type);
/* A file, which is the channel's then; -1: errno is logged. Its name, NULL. */
void	 transact_fd(struct proc_child *, enum msg_type, int, const char *);

#endif /* SHOAL_TRANSACT_H */
