/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Directories of state and store, the lock, the state file that cryptod
 * reads and writes by descriptor.
 */

#include <sys/types.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordd.h"

static char	 path_state[PATH_MAX];
static char	 path_new[PATH_MAX + 8];
static char	 dir_state[PATH_MAX];
static char	 dir_store[PATH_MAX];
static int	 lock_fd = -1;
static int	 writing;

const char *
state_store_dir(void)
{
	return dir_store;
}

static void
state_dirname(const char *path, char *dir)
{
	char	 copy[PATH_MAX];

	(void)strlcpy(copy, path, sizeof(copy));
	(void)strlcpy(dir, dirname(copy), PATH_MAX);
}

/* A directory and those above it. 1 if it was made, 0 if it was there. */
static int
dir_make(const char *what, const char *dir, mode_t mode)
{
	char	 copy[PATH_MAX], *p;

	if (mkdir(dir, mode) == 0)
		return 1;
	if (errno == EEXIST)
		return 0;
	(void)strlcpy(copy, dir, sizeof(copy));
	for (p = copy + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		if (mkdir(copy, 0755) == -1 && errno != EEXIST)
			fatal("%s directory %s", what, copy);
	}
	if (mkdir(dir, mode) == -1)
		fatal("%s directory %s", what, dir);
	return 1;
}

static void
dir_stat(const char *what, const char *dir, struct stat *st)
{
	if (lstat(dir, st) == -1)
		fatal("%s directory %s", what, dir);
	if (!S_ISDIR(st->st_mode))
		fatalx("%s directory %s is no directory", what, dir);
}

static void
state_dir(void)
{
	struct stat	 st;

	(void)dir_make("state", dir_state, 0711);
	dir_stat("state", dir_state, &st);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		fatalx("state directory %s may be changed by others: "
		    "chown root, chmod 711", dir_state);
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

/* Who holds the lock, for him who finds it taken. */
static void
state_lock_pid(void)
{
	char	 pid[32];
	int	 n;

	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(lock_fd, 0) == -1 || pwrite(lock_fd, pid, n, 0) != n)
		log_warn("%s.lock", path_state);
}

/* On a file of its own: the state is renamed over. */
static void
state_lock(void)
{
	char	 path[PATH_MAX + 8], pid[32];
	ssize_t	 n;

	(void)snprintf(path, sizeof(path), "%s.lock", path_state);
	lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    S_IRUSR | S_IWUSR);
	if (lock_fd == -1)
		fatal("%s", path);
	if (flock(lock_fd, LOCK_EX | LOCK_NB) == 0) {
		state_lock_pid();
		return;
	}
	if (errno != EWOULDBLOCK)
		fatal("%s: lock", path);
	n = pread(lock_fd, pid, sizeof(pid) - 1, 0);
	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	fatalx("already running%s%s: it uses the state %s",
	    pid[0] == '\0' ? "" : ", pid ", pid, path_state);
}

void
state_init(const struct coord_conf *c)
{
	(void)strlcpy(path_state, c->c_state, sizeof(path_state));
	(void)snprintf(path_new, sizeof(path_new), "%s.new", path_state);
	state_dirname(c->c_state, dir_state);
	state_dirname(c->c_store, dir_store);
	state_dir();
	state_lock();
	store_dir();
}

int
state_anon(const void *data, size_t len)
{
	const char	*p = data;
	char		 path[PATH_MAX + 16];
	ssize_t		 n;
	int		 fd, save;

	(void)snprintf(path, sizeof(path), "%s/pass.XXXXXXXXXX", dir_state);
	if ((fd = mkostemp(path, O_CLOEXEC)) == -1)
		return -1;
	(void)unlink(path);
	for (; len > 0; len -= n, p += n)
		if ((n = write(fd, p, len)) == -1)
			break;
	if (len == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	save = errno;
	close(fd);
	errno = save;
	return -1;
}

void
state_send(struct proc_child *pc)
{
	struct msg_u32	 m = { 1 };
	struct stat	 st;
	int		 fd;

	fd = open(path_state, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY |
	    O_NONBLOCK);
	if (fd == -1 && errno != ENOENT)
		/* To begin with no state would be a new server. */
		coordd_stop("%s: cannot be read: %s", path_state,
		    strerror(errno));
	if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)))
		coordd_stop("%s: is not a file", path_state);
	if (fd == -1)
		m.v = 0;
	(void)chan_compose(&pc->pc_chan, IMSG_STATE_FD, 0, fd, &m, sizeof(m));
}

static int
state_begin(void)
{
	int	 fd;

	/* One that an earlier run left behind. */
	if (unlink(path_new) == -1 && errno != ENOENT)
		return -1;
	fd = open(path_new, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC |
	    O_NOFOLLOW, S_IRUSR | S_IWUSR);
	writing = fd != -1;
	return fd;
}

/* The new file takes the place of the old, on disk. 0, or -1. */
static int
state_commit(void)
{
	struct stat	 st;
	int		 fd, ret;

	writing = 0;
	/* An empty file is what a full disk leaves. */
	if (lstat(path_new, &st) == -1 || st.st_size == 0) {
		(void)unlink(path_new);
		errno = EIO;
		return -1;
	}
	if (rename(path_new, path_state) == -1)
		return -1;
	/* A rename lasts when its directory is on disk. */
	fd = open(dir_state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	ret = fsync(fd);
	close(fd);
	return ret;
}

static void
state_write(struct proc_child *pc, uint32_t id)
{
	struct msg_u32	 m = { 0 };
	int		 fd;

	if ((fd = state_begin()) == -1) {
		m.v = errno;
		log_warn("%s", path_new);
	}
	(void)chan_compose(&pc->pc_chan, IMSG_STATE_NEWFD, id, fd, &m,
	    sizeof(m));
}

static int
state_written(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.v > INT32_MAX || !writing)
		return -1;
	if (m.v != 0) {
		state_child_lost();
		log_warnx("%s: %s; the old one stays", path_state,
		    strerror(m.v));
	} else if (state_commit() == -1) {
		m.v = errno;
		log_warn("%s", path_state);
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
		coordd_stop("%s: %s", path_state, m.text);
	coordd_stop("%s:%u: %s: bring back a copy; without it nodes refuse "
	    "the server's new key", path_state, m.line, m.text);
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
	if (writing)
		(void)unlink(path_new);
	writing = 0;
}
