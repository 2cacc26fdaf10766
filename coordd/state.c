/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Directories of state and store, the lock, the state file that cryptod
 * reads and writes by descriptor.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordd.h"
#include "keyfile.h"
#include "statedir.h"

static struct keyfile	 file_state = {
	.kf_loss = "nodes refuse the server's new key",
	.kf_stop = coordd_stop
};
static char		 dir_state[PATH_MAX];
static char		 dir_store[PATH_MAX];

const char *
state_store_dir(void)
{
	return dir_store;
}

static void
state_dir(void)
{
	struct stat	 st;

	(void)dir_make("state", dir_state, 0711);
	dir_stat("state", dir_state, &st);
	dir_check_state(dir_state, &st, "711");
}

/* It belongs to stored, whose root it is. */
static void
store_dir(void)
{
	struct passwd	*pw;
	struct stat	 st;
	uid_t		 uid;
	char		 owner[64];

	errno = 0;
	if ((pw = getpwnam(STORE_USER)) == NULL)
		fatalx("unknown user %s", STORE_USER);
	uid = pw->pw_uid;
	if (dir_make("store", dir_store, S_IRWXU) &&
	    chown(dir_store, uid, pw->pw_gid) == -1 && geteuid() == 0)
		fatal("store directory %s: chown to %s", dir_store,
		    STORE_USER);
	dir_stat("store", dir_store, &st);
	if (st.st_uid == uid || geteuid() != 0)
		return;
	pw = getpwuid(st.st_uid);
	if (pw != NULL)
		(void)strlcpy(owner, pw->pw_name, sizeof(owner));
	else
		(void)snprintf(owner, sizeof(owner), "uid %u",
		    (unsigned int)st.st_uid);
	fatalx("store directory %s belongs to %s, not to %s: name one that "
	    "does not exist yet, or chown it", dir_store, owner, STORE_USER);
}

void
state_init(const struct coord_conf *c)
{
	if (atomic_init(&file_state.kf_file, c->c_state) == -1)
		fatalx("state %s: name is too long", c->c_state);
	path_dirname(c->c_state, dir_state, sizeof(dir_state));
	path_dirname(c->c_store, dir_store, sizeof(dir_store));
	state_dir();
	state_lock(c->c_state);
	store_dir();
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
