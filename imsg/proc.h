/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Start, life and death of processes: what each child does before its first
 * byte of input, and how a parent starts, watches and replaces its children.
 */

#ifndef SHOAL_PROC_H
#define SHOAL_PROC_H

#include <sys/types.h>
#include <sys/queue.h>

#include <event.h>
#include <stdint.h>

#include "channel.h"
#include "log.h"
#include "messages.h"

#define SHOAL_VERSION	"0.1"
#define PROC_SETTLED	5	/* seconds; then freed memory is given back */

/*
 * "0.1+0123456789abcdef": version and a hash over the message table. Two
 * binaries with the same build id understand each other. Static.
 */
const char	*proc_build_id(void);

/* --- a child -------------------------------------------------------------- */

/*
 * What proc.c needs to know of a child. HELLO, VERBOSE, CLOCK, CHANNEL and
 * STARTUP are dealt with here; the callbacks get the rest.
 */
struct proc_self {
	enum proc	 ps_proc;
	enum proc	 ps_parent;	/* PROC_PARENT or PROC_COORDD */
	const char	*ps_name;	/* of log lines: "netd" */
	const char	*ps_user;	/* "_shoalnet" */
	int		 ps_root_arg;	/* 1: takes `-r dir` for its root */

	/*
	 * A message from the parent: 0, or -1 if bad (then fatal). Not for
	 * the generic ones.
	 */
	int		(*ps_msg)(struct imsg *);

	/*
	 * A socketpair to a sibling, which takes the place of an older one
	 * (chan_open on the same struct chan after chan_close). fresh: that
	 * process is a new one: forget what the old one was told. fd is the
	 * callback's. -1: no such sibling wanted (fatal). May be NULL.
	 */
	int		(*ps_channel)(enum proc, int, int);

	/*
	 * With -t, before ps_startup: start other threads. NULL: there is no
	 * such option.
	 */
	void		(*ps_threads)(void);

	/*
	 * STARTUP came: send first requests. After it returns the sandbox
	 * closes to SANDBOX_RUN. May be NULL.
	 */
	void		(*ps_startup)(void);

	/* Before exit: wipe secrets, flush. May be NULL. Must not block. */
	void		(*ps_exit)(void);
};

/*
 * Call first in main: log, options (-d, -v, -r dir; -T name in REGRESS
 * builds), user, os_warmup, chroot and privileges, sandbox, event_init,
 * signals, channel to the parent on PARENT_FD. Fatal on any error. SIGHUP,
 * SIGINT, SIGTERM and SIGPIPE are ignored: a child ends when its parent goes.
 * READY is sent when the HELLO of the same build has come. The struct must
 * stay. The libraries that the child uses are warmed up by its own function
 * (NULL: none), called as root before the chroot.
 */
void	 proc_child_init(const struct proc_self *, void (*)(void), int,
	    char *[]);

/* The loop. Ends with exit(0) at EOF of the parent's channel. */
__attribute__((noreturn)) void
	 proc_child_run(void);

/* The channel to the parent, and what HELLO said. */
struct chan		*proc_parent(void);
const struct msg_hello	*proc_hello(void);

/*
 * A ready cc_lost for channels to siblings: logs, and tells the parent if the
 * sibling broke the table. The new channel comes by ps_channel.
 */
void	 proc_sibling_lost(struct chan *, enum chan_end);

/* --- a parent ------------------------------------------------------------- */

enum proc_state {
	PROC_DOWN,			/* not started, or waiting to be */
	PROC_STARTING,			/* started, no READY yet */
	PROC_READY,			/* hand it its state */
	PROC_DYING			/* killed or lost, not reaped yet */
};

/* Filled by the parent: the first part. The rest is proc.c's. */
struct proc_child {
	enum proc	 pc_proc;
	const char	*pc_name;	/* its executable and log name */
	const char	*pc_dir;	/* its build directory; NULL: pc_name */
	const char	*pc_root;	/* passed as -r, or NULL */
	int		 pc_threads;	/* 1: passed as -t */

	struct chan	 pc_chan;	/* open in STARTING and READY */
	enum proc_state	 pc_state;
	unsigned int	 pc_starts;	/* how often it was started */

	TAILQ_ENTRY(proc_child) pc_entry;
	struct event	 pc_ev_log;
	struct event	 pc_ev_timer;	/* READY overdue, or next start */
	struct log_limit pc_limit;
	pid_t		 pc_pid;
	int		 pc_fd_log;
	int64_t		 pc_deaths[5];	/* os_now() of the last ones */
	unsigned int	 pc_ndeaths;
	unsigned int	 pc_backoff;	/* seconds */
};

struct proc_parent {
	enum proc	 pp_proc;	/* PROC_PARENT or PROC_COORDD */
	/*
	 * Where the executables are, relative to the directory of our own:
	 * installed ("../libexec/shoal"), or else in the build tree (".." for
	 * shoald, whose children are ../netd/netd; "." for coordd).
	 */
	const char	*pp_libexec;
	const char	*pp_build;

	/* Reported READY: send its state, connect it, then proc_startup. */
	void		(*pp_ready)(struct proc_child *);
	/* A message: 0, or -1 if bad: then the child is killed, replaced. */
	int		(*pp_msg)(struct proc_child *, struct imsg *);
	/* It is gone or being killed; a new one will be started. */
	void		(*pp_lost)(struct proc_child *);
	/*
	 * The suite must stop: clean up, log this line last, exit 1. Called
	 * once, from the loop.
	 */
	void		(*pp_stop)(const char *);
};

/*
 * After event_init, before os_confine_parent. Finds the executables, raises
 * no process yet; takes over SIGCHLD. Fatal on error. The struct must stay.
 * os_confine_parent must allow to execute what proc_path names.
 */
void	 proc_parent_init(const struct proc_parent *);

/*
 * Register and start a child. It is restarted when it dies, after a pause
 * that grows from 0 to 8 s. 0, or -1 (logged) if its executable is missing.
 */
int	 proc_start(struct proc_child *);

/* "/usr/local/libexec/shoal/netd": where it would be started from. */
int	 proc_path(const struct proc_child *, char *, size_t);

/*
 * Socketpair between two children that are READY: CHANNEL goes to both.
 * `fresh` of the message for one tells whether the other is a replacement.
 * Call from pp_ready for each sibling: 0, or -1 if one is not READY (then its
 * own pp_ready will do it).
 */
int	 proc_connect(struct proc_child *, struct proc_child *);

/* All first messages are queued: tell it. */
void	 proc_startup(struct proc_child *);

/* Broke the rules: log what, kill; it counts as a death. */
void	 proc_kill(struct proc_child *, const char *);

/* The child by its role, or NULL. */
struct proc_child *proc_find(enum proc);

/*
 * Log verbosity of all children. Offsets of os_now and os_date, in all, for
 * this process and all children, running and to come (REGRESS builds).
 */
void	 proc_verbose(int);
/*
 * Look at the date: should it be ahead of the one that HELLO tells, HELLO
 * tells that one from here on. Handshakes of a replaced cryptod must not be
 * older than those before it, even if the date was set back meanwhile.
 */
void	 proc_note_date(void);
void	 proc_clock_step(int64_t, int64_t);

/*
 * End all children: channels are flushed and closed, then they have some
 * seconds, then SIGKILL. Blocks at most that long. Relays their last lines.
 */
void	 proc_shutdown(void);

#endif /* SHOAL_PROC_H */
