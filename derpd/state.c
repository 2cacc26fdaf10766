/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The directory of the state, the lock, the state file that cryptod reads
 * and writes by descriptor.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "atomic.h"
#include "derpd.h"
#include "statedir.h"

static struct atomic	 file_state;
static char		 dir_state[PATH_MAX];

static void
state_dir(void)
{
	struct stat	 st;

	(void)dir_make("state", dir_state, 0711);
	dir_stat("state", dir_state, &st);
	dir_check_state(dir_state, &st, "711");
}

void
state_init(const struct derp_conf *c)
{
	if (atomic_init(&file_state, c->c_state) == -1)
		fatalx("state %s: name is too long", c->c_state);
	path_dirname(c->c_state, dir_state, sizeof(dir_state));
	state_dir();
	state_lock(c->c_state);
}

int
state_anon(const void *data, size_t len)
{
	return dir_anon(dir_state, data, len);
}

void
state_send(struct proc_child *pc)
{
	struct msg_u32	 m = { 1 };
	int		 fd;

	fd = atomic_read(&file_state);
	if (fd == -1 && errno == EINVAL)
		derpd_stop("%s: is not a file", file_state.a_path);
	if (fd == -1 && errno != ENOENT)
		/* To begin with no state would be a new relay. */
		derpd_stop("%s: cannot be read: %s", file_state.a_path,
		    strerror(errno));
	if (fd == -1)
		m.v = 0;
	(void)chan_compose(&pc->pc_chan, IMSG_STATE_FD, 0, fd, &m, sizeof(m));
}

static void
state_write(struct proc_child *pc, uint32_t id)
{
	struct msg_u32	 m = { 0 };
	int		 fd;

	if ((fd = atomic_begin(&file_state)) == -1) {
		m.v = errno;
		log_warn("%s", file_state.a_new);
	}
	(void)chan_compose(&pc->pc_chan, IMSG_STATE_NEWFD, id, fd, &m,
	    sizeof(m));
}

static int
state_written(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.v > INT32_MAX ||
	    !file_state.a_open)
		return -1;
	if (m.v != 0) {
		state_child_lost();
		log_warnx("%s: %s; the old one stays", file_state.a_path,
		    strerror(m.v));
	} else if (atomic_commit(&file_state) == -1) {
		m.v = errno;
		log_warn("%s", file_state.a_path);
	}
	(void)chan_compose(&pc->pc_chan, IMSG_STATE_SAVED, imsg_get_id(imsg),
	    -1, &m, sizeof(m));
	return 0;
}

static int
state_result(struct imsg *imsg)
{
	struct msg_state_result	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.text, sizeof(m.text)))
		return -1;
	if (m.error == MSG_OK)
		return 0;
	if (m.error == MSG_E_IO)	/* the disk's fault, not the text's */
		derpd_stop("%s: %s", file_state.a_path, m.text);
	derpd_stop("%s:%u: %s: bring back a copy; without it a pin in "
	    "a DERP map fits no more", file_state.a_path, m.line, m.text);
}

int
state_msg(struct proc_child *pc, struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_STATE_LOADED:
		return state_result(imsg);
	case IMSG_STATE_WRITE:
		state_write(pc, imsg_get_id(imsg));
		return 0;
	case IMSG_STATE_WRITTEN:
		return state_written(pc, imsg);
	default:
		return -1;
	}
}

void
state_child_lost(void)
{
	atomic_abort(&file_state);
}
