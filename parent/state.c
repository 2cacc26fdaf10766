/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The state directory: its lock, the state file that cryptod reads and
 * writes, the netmap cache that ctrld does. They see descriptors only.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "atomic.h"
#include "shoald.h"
#include "statedir.h"

#define WAITERS_MAX	64
#define CACHE_BURST	30
#define CACHE_NS	(2000 * 1000000LL)

static struct atomic	 file_state;
static struct atomic	 file_cache;
static struct bucket	 cache_rate;

/*
 * Changes that cryptod was told to write: how many there were, how many the
 * file being written holds, how many are on disk. Operators hear that theirs
 * is done when it is.
 */
static struct {
	uint64_t	 told;
	uint64_t	 writing;
	uint64_t	 saved;
} gen;
static struct waiter {
	uint64_t	 w_gen;		/* 0: free */
	uint32_t	 w_client;
	uint32_t	 w_id;
} waiters[WAITERS_MAX];
static int		 loaded;

/* Make what is missing: the last one is for root alone. */
static void
state_mkdir(const char *dir)
{
	char	 part[PATH_MAX];
	size_t	 i;

	(void)strlcpy(part, dir, sizeof(part));
	for (i = 1; part[i] != '\0'; i++) {
		if (part[i] != '/')
			continue;
		part[i] = '\0';
		(void)mkdir(part, S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH |
		    S_IXOTH);
		part[i] = '/';
	}
	if (mkdir(dir, S_IRWXU) == -1 && errno != EEXIST)
		fatal("state directory %s", dir);
}

static void
state_dir(const char *path)
{
	char		 dir[PATH_MAX];
	struct stat	 st;

	path_dirname(path, dir, sizeof(dir));
	state_mkdir(dir);
	if (stat(dir, &st) == -1)
		fatal("state directory %s", dir);
	if (!S_ISDIR(st.st_mode))
		fatalx("state directory %s is no directory", dir);
	dir_check_state(dir, &st, "700");
}

void
state_init(const struct shoal_conf *c)
{
	char	 path[PATH_MAX];

	if (strlcpy(path, c->c_state, sizeof(path)) >= sizeof(path) ||
	    strlcat(path, ".netmap", sizeof(path)) >= sizeof(path) ||
	    atomic_init(&file_state, c->c_state) == -1 ||
	    atomic_init(&file_cache, path) == -1)
		fatalx("state %s: name is too long", c->c_state);
	state_dir(c->c_state);
	state_lock(c->c_state);
}

void
state_close(void)
{
	atomic_abort(&file_state);
	atomic_abort(&file_cache);
}

int
state_busy(void)
{
	return file_state.a_open || file_cache.a_open ||
	    gen.saved != gen.told;
}

void
state_changed(void)
{
	gen.told++;
}

static void
waiter_tell(const struct waiter *w, int error)
{
	if (error == 0)
		client_send(w->w_client, IMSG_CTL_END, w->w_id, NULL, 0);
	else
		client_fail(w->w_client, w->w_id, 1, "done, but not saved "
		    "yet: %s: %s", file_state.a_path, strerror(error));
}

void
state_end(uint32_t client, uint32_t id)
{
	struct waiter	 w = { gen.told, client, id };
	size_t		 i;

	for (i = 0; i < nitems(waiters) && gen.saved != gen.told; i++)
		if (waiters[i].w_gen == 0) {
			waiters[i] = w;
			return;
		}
	waiter_tell(&w, gen.saved == gen.told ? 0 : EBUSY);
}

/* A write is over: who waited for what is in it hears how it went. */
static void
waiters_done(int error)
{
	size_t	 i;

	if (error == 0)
		gen.saved = gen.writing;
	for (i = 0; i < nitems(waiters); i++)
		if (waiters[i].w_gen != 0 &&
		    waiters[i].w_gen <= gen.writing) {
			waiter_tell(&waiters[i], error);
			waiters[i].w_gen = 0;
		}
}

int
state_loaded(void)
{
	return loaded;
}

/* fd for reading, 0 and none if there is no such file. */
static int
file_send(struct proc_child *pc, const struct atomic *a, enum msg_type type)
{
	struct msg_u32	 m = { 1 };
	struct stat	 st;
	int		 fd;

	if ((fd = atomic_read(a)) == -1) {
		m.v = 0;
		if (errno != ENOENT)
			return -1;
	} else if (fstat(fd, &st) == 0 && st.st_mode & (S_IRWXG | S_IRWXO))
		log_warnx("%s may be read by others: chmod 600", a->a_path);
	(void)chan_compose(&pc->pc_chan, type, 0, fd, &m, sizeof(m));
	return 0;
}

void
state_send(struct proc_child *pc)
{
	if (file_send(pc, &file_state, IMSG_STATE_FD) == -1)
		/* To begin with no state would be a new node. */
		shoald_stop("%s: cannot be read: %s", file_state.a_path,
		    strerror(errno));
}

void
state_send_cache(struct proc_child *pc)
{
	struct msg_u32	 m = { 0 };

	if (file_send(pc, &file_cache, IMSG_CACHE_FD) == -1) {
		log_warn("%s", file_cache.a_path);
		(void)chan_compose(&pc->pc_chan, IMSG_CACHE_FD, 0, -1, &m,
		    sizeof(m));
	}
}

static void
file_begin(struct proc_child *pc, struct atomic *a, enum msg_type type,
    uint32_t id)
{
	struct msg_u32	 m = { 0 };
	int		 fd;

	if (a == &file_cache && !bucket_take(&cache_rate, os_now(),
	    CACHE_BURST, CACHE_NS)) {
		m.v = EAGAIN;
		fd = -1;
	} else if ((fd = atomic_begin(a)) == -1) {
		m.v = errno;
		log_warn("%s", a->a_new);
		if (a == &file_state)
			waiters_done(m.v);
	}
	(void)chan_compose(&pc->pc_chan, type, id, fd, &m, sizeof(m));
}

/* What the child says of its writing; then the errno of the whole. */
static uint32_t
file_done(struct atomic *a, uint32_t error)
{
	if (error != 0) {
		atomic_abort(a);
		log_warnx("%s: %s; the old one stays", a->a_path,
		    strerror(error));
		return error;
	}
	if (atomic_commit(a) == 0)
		return 0;
	error = errno;
	log_warn("%s", a->a_path);
	return error;
}

static int
state_written(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.v > INT32_MAX ||
	    !file_state.a_open)
		return -1;
	m.v = file_done(&file_state, m.v);
	waiters_done(m.v);
	(void)chan_compose(&pc->pc_chan, IMSG_STATE_SAVED, imsg_get_id(imsg),
	    -1, &m, sizeof(m));
	return 0;
}

static int
cache_written(struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.v > INT32_MAX ||
	    !file_cache.a_open)
		return -1;
	if (m.v == ECANCELED)		/* nothing new to write */
		atomic_abort(&file_cache);
	else
		(void)file_done(&file_cache, m.v);
	return 0;
}

static int
state_result(struct imsg *imsg)
{
	struct msg_state_result	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.text, sizeof(m.text)))
		return -1;
	if (m.error == MSG_OK) {
		loaded = 1;
		return 0;
	}
	if (m.error == MSG_E_IO)	/* the disk's fault, not the text's */
		shoald_stop("%s: %s", file_state.a_path, m.text);
	shoald_stop("%s:%u: %s: bring back a copy, or move the file away to "
	    "begin as a new node", file_state.a_path, m.line, m.text);
}

static int
state_pref(struct imsg *imsg)
{
	struct msg_pref	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.name, sizeof(m.name)) ||
	    !msg_str_ok(m.value, sizeof(m.value)))
		return -1;
	if (prefs_load(m.name, m.value) == -1)
		log_warnx("%s: preference %s is not known", file_state.a_path,
		    m.name);
	return 0;
}

int
state_msg(struct proc_child *pc, struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_STATE_LOADED:
		return state_result(imsg);
	case IMSG_STATE_PREF:
		return state_pref(imsg);
	case IMSG_STATE_WRITE:
		gen.writing = gen.told;
		file_begin(pc, &file_state, IMSG_STATE_NEWFD,
		    imsg_get_id(imsg));
		return 0;
	case IMSG_STATE_WRITTEN:
		return state_written(pc, imsg);
	case IMSG_CACHE_WRITE:
		if (file_cache.a_open)	/* it has one by state_flush() */
			return 0;
		file_begin(pc, &file_cache, IMSG_CACHE_NEWFD,
		    imsg_get_id(imsg));
		return 0;
	case IMSG_CACHE_WRITTEN:
		return cache_written(imsg);
	case IMSG_CACHE_FORGET:
		atomic_remove(&file_cache);
		return 0;
	default:
		return -1;
	}
}

void
state_flush(void)
{
	if (!file_cache.a_open && child_running(PROC_CTRLD))
		file_begin(proc_find(PROC_CTRLD), &file_cache,
		    IMSG_CACHE_NEWFD, 0);
}

void
state_child_lost(enum proc proc)
{
	if (proc == PROC_CRYPTOD) {
		atomic_abort(&file_state);
		gen.writing = gen.told;	/* what was not written is lost */
		waiters_done(ECANCELED);
		gen.saved = gen.told;
	} else if (proc == PROC_CTRLD)
		atomic_abort(&file_cache);
}
