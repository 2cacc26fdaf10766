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
#include <stdlib.h>
#include <string.h>

#include "derpd.h"
#include "keyfile.h"
#include "statedir.h"

static struct keyfile	 file_state = {
	.kf_loss = "a pin in a DERP map fits no more",
	.kf_stop = derpd_stop
};
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
	if (atomic_init(&file_state.kf_file, c->c_state) == -1)
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
	keyfile_send(&file_state, pc);
}

int
state_msg(struct proc_child *pc, struct imsg *imsg)
{
	return keyfile_msg(&file_state, pc, imsg);
}

void
state_child_lost(void)
{
	keyfile_child_lost(&file_state);
}
