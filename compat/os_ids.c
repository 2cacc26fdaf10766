/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Root's ids go for good. Every system has these calls and their meaning.
 */

#include <sys/types.h>

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "log.h"
#include "os.h"

/*
 * Read back what was set, and try the way back. Where the effective group is
 * groups[0], forgetting it left a daemon's group to others once
 * (CVE-2023-28436).
 */
static void
ids_check(const struct passwd *pw)
{
	gid_t	 groups[8], r, e, s;
	uid_t	 ru, eu, su;
	int	 n;

	if (getresuid(&ru, &eu, &su) == -1 || getresgid(&r, &e, &s) == -1)
		fatal("getresuid");
	if (ru != pw->pw_uid || eu != pw->pw_uid || su != pw->pw_uid ||
	    r != pw->pw_gid || e != pw->pw_gid || s != pw->pw_gid)
		fatalx("ids are not those of %s", pw->pw_name);
	n = getgroups(sizeof(groups) / sizeof(groups[0]), groups);
	if (n != 1 || groups[0] != pw->pw_gid)
		fatalx("groups are not those of %s", pw->pw_name);
	if (setresuid(-1, 0, -1) != -1 || setresgid(-1, 0, -1) != -1)
		fatalx("privileges can be regained");
}

void
os_ids_drop(const struct passwd *pw)
{
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		fatalx("user %s is root", pw->pw_name);
	if (setgroups(1, &pw->pw_gid) == -1 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1)
		fatal("dropping privileges to %s", pw->pw_name);
	ids_check(pw);
}
