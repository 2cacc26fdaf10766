/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Privilege drop and sandbox on FreeBSD: chroot, ids, limits, and Capsicum
 * where a process lives on its descriptors alone.
 */

#include <sys/types.h>
#include <sys/capsicum.h>
#include <sys/procctl.h>
#include <sys/resource.h>
#include <sys/sysctl.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "log.h"
#include "os.h"

static uint32_t	 status;

int
os_exe_path(char *path, size_t len)
{
	int	 mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_PATHNAME, -1 };

	return sysctl(mib, 4, path, &len, NULL, 0);
}

/* No dumps, no tracing. */
void
os_privdrop(const struct passwd *pw, const char *root)
{
	int	 off = PROC_TRACE_CTL_DISABLE;

	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		fatalx("user %s is root", pw->pw_name);
	if (procctl(P_PID, 0, PROC_TRACE_CTL, &off) == -1)
		fatal("PROC_TRACE_CTL");
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

/* The channel and the log: what they are for, and no more. */
static void
rights_limit(void)
{
	cap_rights_t	 rights;

	(void)cap_rights_init(&rights, CAP_READ, CAP_WRITE, CAP_EVENT,
	    CAP_FCNTL, CAP_SHUTDOWN, CAP_GETSOCKOPT);
	if (cap_rights_limit(PARENT_FD, &rights) == -1)
		fatal("cap_rights_limit");
	(void)cap_rights_init(&rights, CAP_WRITE, CAP_FSTAT);
	if (cap_rights_limit(STDERR_FILENO, &rights) == -1)
		fatal("cap_rights_limit");
}

/*
 * netd and dnsd send to addresses on unconnected sockets, frontd accepts,
 * stored opens files in its root: capability mode would refuse all that.
 */
static int
fds_only(enum proc proc)
{
	return proc == PROC_CRYPTOD || proc == PROC_COORDCRYPT ||
	    proc == PROC_DERPCRYPT ||
	    proc == PROC_CTRLD;
}

void
os_sandbox(enum proc proc, int stage)
{
	if (stage == SANDBOX_STARTUP) {
		limit_zero(RLIMIT_CORE);
		if (proc != PROC_NETD)
			limit_zero(RLIMIT_NPROC);
		rights_limit();
	} else
		limit_zero(RLIMIT_NPROC);
	if (!fds_only(proc))
		return;
	if (cap_enter() == -1)
		fatal("cap_enter");
	status |= OS_SANDBOX_CAPSICUM;
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
		    "Capsicum, always on; remove the line");
}

/* The parent opens paths and makes sockets: nothing of Capsicum fits. */
void
os_confine_parent(const struct os_confine *oc)
{
	limit_zero(RLIMIT_CORE);
}
