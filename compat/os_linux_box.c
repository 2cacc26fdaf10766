/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Privilege drop and sandbox on Linux, layer by layer, each of which stands
 * if the others fall: chroot, capabilities, ids, limits, no_new_privs,
 * Landlock, seccomp.
 */

#include <sys/types.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/capability.h>
#include <linux/securebits.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "os_linux_box.h"

#define CAP_MAX		63
#define MIB		(1024 * 1024ULL)

/* What a process needs, at most; the rest of the hard limit goes. */
static const struct {
	enum proc	 proc;
	rlim_t		 nofile;
	rlim_t		 fsize;		/* bytes of its files */
	rlim_t		 memlock;
} limits[] = {
	{ PROC_CRYPTOD,		32,	MIB,		16 * MIB },
	{ PROC_COORDCRYPT,	32,	MIB,		16 * MIB },
	{ PROC_NETD,		512,	0,		8 * MIB },
	{ PROC_CTRLD,		64,	256 * MIB,	8 * MIB },
	{ PROC_DNSD,		256,	0,		8 * MIB },
	{ PROC_STORED,		64,	RLIM_INFINITY,	8 * MIB },
	{ PROC_FRONTD,		65536,	0,		8 * MIB },
	{ PROC_DERPCRYPT,	32,	MIB,		16 * MIB },
	{ PROC_RELAY,		65536,	0,		8 * MIB },
	{ PROC_PORTMAPD,	32,	0,		8 * MIB }
};

#ifdef SANITIZED
/* The search for leaks at exit needs ptrace; the environment is empty. */
const char	*__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static uint32_t	 status;
static int	 landlock_abi, landlock_required;

/* --- privileges --- */

static void
caps_drop_bounding(uint64_t keep)
{
	int	 cap;

	for (cap = 0; cap <= CAP_MAX; cap++) {
		if (keep & (1ULL << cap))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1 &&
		    errno != EINVAL)
			fatal("PR_CAPBSET_DROP %d", cap);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1)
		fatal("PR_CAP_AMBIENT");
}

/* Effective and permitted become these; 0, or -1. */
static int
caps_set(uint64_t caps)
{
	struct __user_cap_header_struct	 hdr;
	struct __user_cap_data_struct	 data[2];

	memset(&hdr, 0, sizeof(hdr));
	memset(data, 0, sizeof(data));
	hdr.version = _LINUX_CAPABILITY_VERSION_3;
	data[0].effective = data[0].permitted = caps & UINT32_MAX;
	data[1].effective = data[1].permitted = caps >> 32;
	return syscall(SYS_capset, &hdr, data);
}

static uint64_t
caps_get(void)
{
	struct __user_cap_header_struct	 hdr;
	struct __user_cap_data_struct	 data[2];

	memset(&hdr, 0, sizeof(hdr));
	memset(data, 0, sizeof(data));
	hdr.version = _LINUX_CAPABILITY_VERSION_3;
	if (syscall(SYS_capget, &hdr, data) == -1)
		fatal("capget");
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

/* The directory must be root's and closed to others, unless it is a store. */
static void
check_root(const struct passwd *pw, const char *root)
{
	struct stat	 st;

	if (stat(root, &st) == -1)
		fatal("%s", root);
	if (!S_ISDIR(st.st_mode))
		fatalx("%s: not a directory", root);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		fatalx("%s: writable by others", root);
	if (strcmp(root, EMPTY_DIR) == 0 && st.st_uid != 0)
		fatalx("%s: does not belong to root", root);
	if (st.st_uid != 0 && st.st_uid != pw->pw_uid)
		fatalx("%s: belongs to somebody else", root);
}

void
os_privdrop(const struct passwd *pw, const char *root)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal("PR_SET_DUMPABLE");
#ifdef REGRESS
	if (geteuid() != 0) {
		log_warnx("not started as root: privileges not dropped");
		return;
	}
#endif
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		fatalx("user %s is root", pw->pw_name);
	check_root(pw, root);
	if (chroot(root) == -1 || chdir("/") == -1)
		fatal("chroot %s", root);
	status |= OS_SANDBOX_CHROOT;
	caps_drop_bounding(0);
	if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
	    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
	    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
	    0, 0, 0) == -1)
		fatal("PR_SET_SECUREBITS");
	os_ids_drop(pw);
	if (caps_set(0) == -1)
		fatal("capset");
	if (caps_get() != 0)
		fatalx("capabilities are left");
	/* Changing ids may have made it dumpable again. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal("PR_SET_DUMPABLE");
}

/* --- limits --- */

static void
limit_set(int what, rlim_t want)
{
	struct rlimit	 rl;

	if (getrlimit(what, &rl) == -1)
		fatal("getrlimit");
	if (rl.rlim_max != RLIM_INFINITY && (want == RLIM_INFINITY ||
	    want > rl.rlim_max))
		want = rl.rlim_max;
	rl.rlim_cur = rl.rlim_max = want;
	if (setrlimit(what, &rl) == -1)
		fatal("setrlimit");
}

static void
limits_set(enum proc proc)
{
	size_t	 i;

	limit_set(RLIMIT_CORE, 0);
	/* Counted by user: nobody else runs as this one. */
	if (proc != PROC_NETD)
		limit_set(RLIMIT_NPROC, 0);
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (limits[i].proc != proc)
			continue;
		limit_set(RLIMIT_NOFILE, limits[i].nofile);
		limit_set(RLIMIT_FSIZE, limits[i].fsize);
		limit_set(RLIMIT_MEMLOCK, limits[i].memlock);
		return;
	}
	fatalx("process %d has no limits", (int)proc);
}

/* --- the sandbox --- */

static void
landlock_check(void)
{
	if (landlock_abi < landlock_required)
		fatalx("the configuration requires Landlock of ABI %d: this "
		    "kernel has %d (0: none; see the lsm= boot option)",
		    landlock_required, landlock_abi);
}

void
os_sandbox_require(int abi)
{
	landlock_required = abi;
	if (status & OS_SANDBOX_SECCOMP)	/* closed already */
		landlock_check();
}

uint32_t
os_sandbox_status(void)
{
	return status;
}

static void
landlock_result(int abi)
{
	if (abi != -1) {
		landlock_abi = abi;
		status |= OS_SANDBOX_LANDLOCK;
	} else if (errno != ENOSYS && errno != EOPNOTSUPP)
		fatal("landlock");
	else
		log_info("no Landlock in this kernel: %s", strerror(errno));
	landlock_check();
}

void
os_sandbox(enum proc proc, int stage)
{
	if (stage == SANDBOX_STARTUP) {
		limits_set(proc);
		(void)signal(SIGXFSZ, SIG_IGN);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
			fatal("PR_SET_NO_NEW_PRIVS");
		landlock_result(box_landlock_child(proc == PROC_STORED ?
		    "/" : NULL));
	} else
		limit_set(RLIMIT_NPROC, 0);
	box_seccomp_child(proc, stage);
	status |= OS_SANDBOX_SECCOMP;
}

/*
 * The tunnel, ports under 1024, own files' owners, replacing a child and
 * ending one; with a store, reading into a directory that is a child's.
 */
void
os_confine_parent(const struct os_confine *oc)
{
	uint64_t	 keep;

	limit_set(RLIMIT_CORE, 0);
	keep = 1ULL << CAP_NET_ADMIN | 1ULL << CAP_NET_RAW |
	    1ULL << CAP_NET_BIND_SERVICE | 1ULL << CAP_KILL |
	    1ULL << CAP_CHOWN | 1ULL << CAP_SETUID | 1ULL << CAP_SETGID |
	    1ULL << CAP_SYS_CHROOT | 1ULL << CAP_SETPCAP;
	if (oc->oc_flags & OS_CONFINE_STORE)
		keep |= 1ULL << CAP_DAC_READ_SEARCH;
	if (geteuid() == 0) {
		caps_drop_bounding(keep);
		if (caps_set(caps_get() & keep) == -1)
			fatal("capset");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("PR_SET_NO_NEW_PRIVS");
	landlock_result(box_landlock_parent(oc));
	box_seccomp_parent();
	status |= OS_SANDBOX_SECCOMP;
}
