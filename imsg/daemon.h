/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A parent's start: options, signals, confinement, in the background.
 */

#ifndef SHOAL_DAEMON_H
#define SHOAL_DAEMON_H

#include <stddef.h>

#define DAEMON_PATHS	64

/* The options that the servers share. */
struct daemon_options {
	const char	*do_file;
	int		 do_check;
	int		 do_debug;
	int		 do_verbose;
};

/* Directories for the parent's confinement; NULL is the last one. */
struct daemon_paths {
	const char	*dp_dir[DAEMON_PATHS];
	size_t		 dp_n;
};

/* -d -D -f -n -v into the options: 0, or -1: wrong usage. */
int	 daemon_options(int, char *[], struct daemon_options *);

/* SIGHUP, SIGINT and SIGTERM call that, in the event loop. Fatal on error. */
void	 daemon_signals(void (*)(int, short, void *));

/*
 * Add a directory, or the one of a file: copies that live as long as the
 * process. What is beyond the room for them is left out.
 */
void	 daemon_path(struct daemon_paths *, const char *);
void	 daemon_path_of(struct daemon_paths *, const char *);

/*
 * Go on in a process of our own, in a session of its own, at /. Whoever
 * started us waits until daemon_done, and gets the errors of the start on
 * its terminal and in its exit status. Fatal on error.
 */
void	 daemon_begin(void);

/*
 * It runs: whoever started us ends with 0; the log of that name (static) goes
 * to syslog, and the terminal is let go. No-op without daemon_begin.
 */
void	 daemon_done(const char *);

#endif /* SHOAL_DAEMON_H */
