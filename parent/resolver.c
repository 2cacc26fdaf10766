/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The system's resolver and hosts files: handed to dnsd as descriptors, and
 * the list of resolvers that dnsd may be connected to.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoald.h"

#define PATH_RESOLV	"/etc/resolv.conf"
#define PATH_HOSTS	"/etc/hosts"

struct watched {
	const char	*path;
	enum msg_type	 type;
	struct timespec	 mtime;
	ino_t		 ino;
	off_t		 size;
};

static struct watched	 watched[] = {
	{ PATH_RESOLV, IMSG_RESOLV_CONF, { 0, 0 }, 0, 0 },
	{ PATH_HOSTS, IMSG_HOSTS, { 0, 0 }, 0, 0 }
};
static struct msg_ip	 list[RESOLVERS_MAX];
static size_t		 nlist;

static void
resolver_read(void)
{
	FILE	*fp;

	nlist = 0;
	if ((fp = fopen(PATH_RESOLV, "re")) == NULL) {
		(void)ip_parse(&list[nlist++], "127.0.0.1");
		return;
	}
	nlist = resolver_parse(fp, list, nitems(list));
	fclose(fp);
}

size_t
resolver_list(const struct msg_ip **ips)
{
	*ips = list;
	return nlist;
}

static void
watched_send(struct proc_child *pc, const struct watched *w)
{
	int	 fd;

	if ((fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK |
	    O_NOCTTY)) == -1) {
		if (errno != ENOENT)
			log_warn("%s", w->path);
		return;
	}
	(void)chan_compose(&pc->pc_chan, w->type, 0, fd, NULL, 0);
}

/* 1 if the file is another than at the last look. */
static int
watched_changed(struct watched *w)
{
	struct stat	 st;

	if (stat(w->path, &st) == -1)
		memset(&st, 0, sizeof(st));
	if (st.st_ino == w->ino && st.st_size == w->size &&
	    st.st_mtim.tv_sec == w->mtime.tv_sec &&
	    st.st_mtim.tv_nsec == w->mtime.tv_nsec)
		return 0;
	w->ino = st.st_ino;
	w->size = st.st_size;
	w->mtime = st.st_mtim;
	return 1;
}

void
resolver_check(void)
{
	size_t	 i;

	for (i = 0; i < nitems(watched); i++) {
		if (!watched_changed(&watched[i]))
			continue;
		if (watched[i].type == IMSG_RESOLV_CONF)
			resolver_read();
		if (child_running(PROC_DNSD))
			watched_send(child_get(PROC_DNSD), &watched[i]);
	}
}

void
resolver_send(struct proc_child *pc)
{
	size_t	 i;

	for (i = 0; i < nitems(watched); i++) {
		(void)watched_changed(&watched[i]);
		if (watched[i].type == IMSG_RESOLV_CONF)
			resolver_read();
		watched_send(pc, &watched[i]);
	}
}
