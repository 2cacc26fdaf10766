/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A parent's start in the background.
 */

#ifndef SHOAL_DAEMON_H
#define SHOAL_DAEMON_H

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
