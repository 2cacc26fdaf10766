/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The file of node keys that are let in: handed to the relay when it starts,
 * and whenever it has changed. Only the relay reads what it says.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <event.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "derpd.h"

#define WATCH_TIME	2		/* seconds */

static struct event	 ev_watch;
static struct stat	 last;

/* Has it changed since it was sent? */
static int
allow_changed(const struct stat *st)
{
	return st->st_ino != last.st_ino || st->st_dev != last.st_dev ||
	    st->st_size != last.st_size ||
	    memcmp(&st->st_mtim, &last.st_mtim, sizeof(st->st_mtim)) != 0;
}

void
allow_send(struct proc_child *pc, const struct derp_conf *c)
{
	int	 fd;

	if (c->c_verify != RELAY_VERIFY_FILE)
		return;
	if ((fd = open(c->c_allow, O_RDONLY | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK)) == -1) {
		log_warn("%s", c->c_allow);
		return;
	}
	if (fstat(fd, &last) == -1 || !S_ISREG(last.st_mode)) {
		log_warnx("%s: is not a file", c->c_allow);
		close(fd);
		return;
	}
	(void)chan_compose(&pc->pc_chan, IMSG_ALLOW_FD, 0, fd, NULL, 0);
}

static void
allow_cb(int fd, short events, void *arg)
{
	const struct derp_conf	*c = derpd_conf();
	struct stat		 st;

	if (c->c_verify == RELAY_VERIFY_FILE && stat(c->c_allow, &st) == 0 &&
	    allow_changed(&st) &&
	    child_get(PROC_RELAY)->pc_state == PROC_READY)
		allow_send(child_get(PROC_RELAY), c);
	allow_watch();
}

void
allow_init(void)
{
	evtimer_set(&ev_watch, allow_cb, NULL);
}

void
allow_watch(void)
{
	struct timeval	 tv = { WATCH_TIME, 0 };

	(void)evtimer_del(&ev_watch);
	if (derpd_conf()->c_verify == RELAY_VERIFY_FILE)
		(void)evtimer_add(&ev_watch, &tv);
}
