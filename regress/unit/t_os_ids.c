/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Root's ids are gone, all of them, and do not come back; who would keep one
 * is refused.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "os.h"

#define ID	54321

static struct passwd	 user;
static char		 path[] = "/tmp/shoal-ids.XXXXXX";	/* mode 0 */

static void
want(int good, const char *what)
{
	if (!good)
		errx(2, "%s", what);
}

static void
gone(void)
{
	gid_t	 groups[8], r, e, s;
	uid_t	 ru, eu, su;

	want(getresuid(&ru, &eu, &su) == 0 && ru == ID && eu == ID &&
	    su == ID, "real, effective, saved user");
	want(getresgid(&r, &e, &s) == 0 && r == ID + 1 && e == ID + 1 &&
	    s == ID + 1, "real, effective, saved group");
	want(getgroups(8, groups) == 1 && groups[0] == ID + 1,
	    "other groups");
}

static void
refused(int rv, const char *what)
{
	want(rv == -1 && errno == EPERM, what);
	gone();
}

/* By each call there is. */
static void
no_way_back(void)
{
	gid_t	 root = 0;

	refused(setuid(0), "setuid");
	refused(seteuid(0), "seteuid");
	refused(setreuid(0, 0), "setreuid");
	refused(setresuid(0, 0, 0), "setresuid");
	refused(setresuid(-1, -1, 0), "saved user");
	refused(setgid(0), "setgid");
	refused(setegid(0), "setegid");
	refused(setregid(0, 0), "setregid");
	refused(setresgid(0, 0, 0), "setresgid");
	refused(setresgid(-1, -1, 0), "saved group");
	refused(setgroups(1, &root), "setgroups");
	refused(setgroups(0, NULL), "no groups");
	refused(chroot("/"), "chroot");
	want(open(path, O_RDONLY) == -1 && errno == EACCES, "root's file");
}

static void
drop(void)
{
	const gid_t	 groups[] = { 0, 1, ID + 2 };

	if (setgroups(3, groups) == -1)
		err(2, "setgroups");
	os_ids_drop(&user);
	gone();
	no_way_back();
}

/* The status of a process that does this. */
static int
child(void (*what)(void))
{
	pid_t	 pid;
	int	 status;

	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		what();
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* This says why not, and ends with 1. */
static void
drop_silently(void)
{
	if (freopen("/dev/null", "w", stderr) == NULL)
		_exit(2);
	os_ids_drop(&user);
}

/* Whoever is no root has not the right to drop its groups. */
static void
drop_unprivileged(void)
{
	if (setresuid(ID, ID, ID) == -1)
		err(2, "setresuid");
	drop_silently();
}

int
main(void)
{
	char	 name[] = "somebody";
	int	 fd, st;

	if (geteuid() != 0) {
		puts("needs root");
		return 77;
	}
	if ((fd = mkstemp(path)) == -1 || fchmod(fd, 0) == -1)
		err(1, "%s", path);
	log_init(1, "t_os_ids");
	user.pw_name = name;
	user.pw_uid = ID;
	user.pw_gid = ID + 1;
	st = child(drop);
	(void)unlink(path);
	want(st == 0, "it does not drop what it should");

	want(child(drop_unprivileged) == 1, "unprivileged");
	user.pw_gid = 0;
	want(child(drop_silently) == 1, "root's group");
	user.pw_gid = ID + 1;
	user.pw_uid = 0;
	want(child(drop_silently) == 1, "root");
	return 0;
}
