/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Privilege drop and sandbox on OpenBSD: chroot, ids, limits, pledge and,
 * for the one process with files of its own, unveil.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "os.h"

/* The system does not tell a process where its executable is. */
#ifndef SBIN_DIR
#define SBIN_DIR	"/usr/local/sbin"
#endif

/* recvfd stays: a replaced neighbour brings a new channel. */
static const struct {
	enum proc	 proc;
	const char	*promises;
} pledges[] = {
	{ PROC_CRYPTOD,		"stdio recvfd" },
	{ PROC_COORDCRYPT,	"stdio recvfd" },
	{ PROC_NETD,		"stdio recvfd inet" },	/* sendto */
	{ PROC_CTRLD,		"stdio recvfd" },
	{ PROC_DNSD,		"stdio recvfd inet" },	/* sendto, accept */
	{ PROC_PORTMAPD,	"stdio recvfd inet" },	/* sendmsg to */
	{ PROC_FRONTD,		"stdio recvfd inet" },	/* accept */
	{ PROC_DERPCRYPT,	"stdio recvfd" },
	{ PROC_RELAY,		"stdio recvfd inet" },	/* accept */
	{ PROC_STORED,		"stdio recvfd rpath wpath cpath flock fattr" }
};

static uint32_t	 status;

int
os_exe_path(char *path, size_t len)
{
	if (strlcpy(path, SBIN_DIR "/shoald", len) >= len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

void
os_privdrop(const struct passwd *pw, const char *root)
{
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		fatalx("user %s is root", pw->pw_name);
	if (chroot(root) == -1 || chdir("/") == -1)
		fatal("chroot %s", root);
	status |= OS_SANDBOX_CHROOT;
	os_ids_drop(pw);
}

static void
limit_zero(int what)
{
	struct rlimit	 rl = { 0, 0 };

	if (setrlimit(what, &rl) == -1)
		fatal("setrlimit");
}

void
os_sandbox(enum proc proc, int stage)
{
	size_t	 i;

	if (stage == SANDBOX_STARTUP) {
		limit_zero(RLIMIT_CORE);
		if (proc != PROC_NETD)
			limit_zero(RLIMIT_NPROC);
		if (proc == PROC_STORED && (unveil("/", "rwc") == -1 ||
		    unveil(NULL, NULL) == -1))
			fatal("unveil");
	} else
		limit_zero(RLIMIT_NPROC);
	for (i = 0; i < sizeof(pledges) / sizeof(pledges[0]); i++)
		if (pledges[i].proc == proc) {
			if (pledge(pledges[i].promises, NULL) == -1)
				fatal("pledge");
			status |= OS_SANDBOX_PLEDGE;
			return;
		}
	fatalx("process %d has no pledge", (int)proc);
}

uint32_t
os_sandbox_status(void)
{
	return status;
}

void
os_sandbox_require(int abi)
{
	if (abi > 0)
		fatalx("the configuration requires Landlock: this system has "
		    "pledge(2) and unveil(2), always on; remove the line");
}

static void
unveil_list(const char **list, const char *what)
{
	if (list == NULL)
		return;
	for (; *list != NULL; list++)
		if (unveil(*list, what) == -1 && errno != ENOENT)
			fatal("unveil %s", *list);
}

/*
 * No pledge: its tun and interface ioctls go on as long as it runs (as in
 * bgpd and iked).
 */
void
os_confine_parent(const struct os_confine *oc)
{
	limit_zero(RLIMIT_CORE);
	unveil_list(oc->oc_read, "r");
	unveil_list(oc->oc_write, "rwc");
	unveil_list(oc->oc_exec, "rx");
	if (unveil("/etc", "r") == -1 || unveil("/dev", "rw") == -1 ||
	    unveil("/usr/lib", "r") == -1 ||
	    unveil("/usr/libexec", "rx") == -1 ||
	    unveil("/usr/local/lib", "r") == -1 ||
	    unveil("/var/empty", "r") == -1 || unveil(NULL, NULL) == -1)
		fatal("unveil");
}
