/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The one log of all processes.
 */

#ifndef SHOAL_LOG_H
#define SHOAL_LOG_H

#include <stdarg.h>
#include <stdint.h>

/*
 * Open the log. debug: 1, lines go to stderr; 0, the parents use syslog(3)
 * and a child writes to its fd 2, a datagram socket that its parent reads
 * (linux-sandbox.md section 5). name goes in front of each line: a static
 * string. Lines hold no secrets and, if from the network, pass strvis(3).
 */
void	 log_init(int, const char *);
/*
 * The same for a child: lines go to its fd 2 as datagrams, each with its
 * level in front. The parent hands what it reads there to log_relay: one
 * datagram, maybe of several lines; control characters become '?'.
 */
void	 log_init_child(const char *);
void	 log_relay(const char *, char *, size_t);
void	 log_setverbose(int);
int	 log_getverbose(void);

void	 log_warn(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));
void	 log_warnx(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));
void	 log_info(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));
void	 log_debug(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));

/*
 * True at most n times per period of seconds for this state: for lines that
 * strangers can cause. Counts what it held back and says so in the next line
 * that passes. now: os_now().
 */
struct log_limit {
	int64_t		 ll_start;
	unsigned int	 ll_count;
	unsigned int	 ll_held;
};
int	 log_limit(struct log_limit *, int64_t, unsigned int, unsigned int);

/* Log and exit 1. The first appends strerror(errno); NULL: out of memory. */
__attribute__((noreturn)) void
	 fatal(const char *, ...) __attribute__((__format__ (printf, 1, 2)));
__attribute__((noreturn)) void
	 fatalx(const char *, ...) __attribute__((__format__ (printf, 1, 2)));

#endif /* SHOAL_LOG_H */
