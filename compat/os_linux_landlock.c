/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Landlock rule sets. Debian 12's header knows ABI 2 only, and libc has no
 * wrappers: later bits and the structs are defined here.
 */

#include <sys/types.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "os_linux_box.h"

#define LL_VERSION		(1U << 0)
#define LL_PATH_BENEATH		1

#define LL_EXECUTE		(1ULL << 0)
#define LL_WRITE_FILE		(1ULL << 1)
#define LL_READ_FILE		(1ULL << 2)
#define LL_READ_DIR		(1ULL << 3)
#define LL_REMOVE_FILE		(1ULL << 5)
#define LL_MAKE_DIR		(1ULL << 7)
#define LL_MAKE_REG		(1ULL << 8)
#define LL_MAKE_SOCK		(1ULL << 9)
#define LL_REFER		(1ULL << 13)
#define LL_TRUNCATE		(1ULL << 14)
#define LL_IOCTL_DEV		(1ULL << 15)

#define LL_FS_V1		((1ULL << 13) - 1)
#define LL_FS_V2		(LL_FS_V1 | LL_REFER)
#define LL_FS_V3		(LL_FS_V2 | LL_TRUNCATE)
#define LL_FS_V5		(LL_FS_V3 | LL_IOCTL_DEV)
#define LL_NET_TCP		3ULL	/* bind and connect */
#define LL_SCOPE_ALL		3ULL	/* abstract sockets, signals */

/* What makes sense for a file; the rest is for directories. */
#define LL_OF_FILE		(LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | \
				    LL_TRUNCATE | LL_IOCTL_DEV)

#define LL_READ			(LL_READ_FILE | LL_READ_DIR)
#define LL_WRITE		(LL_READ | LL_WRITE_FILE | LL_REMOVE_FILE | \
				    LL_MAKE_REG | LL_MAKE_SOCK | \
				    LL_MAKE_DIR | LL_TRUNCATE | LL_REFER)

struct ll_ruleset {
	uint64_t	 fs, net, scoped;
};

struct ll_path {
	uint64_t	 access;
	int32_t		 fd;
} __attribute__((packed));

/* Needed by every parent and by the start of every child. */
static const struct {
	const char	*path;
	uint64_t	 access;
} common[] = {
	{ "/etc", LL_READ },		/* passwd, ld.so.cache, openssl.cnf */
	{ "/lib", LL_READ | LL_EXECUTE },
	{ "/lib64", LL_READ | LL_EXECUTE },
	{ "/usr/lib", LL_READ | LL_EXECUTE },
	{ "/usr/lib64", LL_READ | LL_EXECUTE },
	{ "/usr/local/lib", LL_READ | LL_EXECUTE },
	{ "/usr/share/zoneinfo", LL_READ },
	{ "/usr/share/ca-certificates", LL_READ },
	{ "/run/systemd/resolve", LL_READ },	/* behind resolv.conf */
	{ "/run/resolvconf", LL_READ },
	{ "/dev/null", LL_READ_FILE | LL_WRITE_FILE },
	{ "/dev/urandom", LL_READ_FILE },
	{ "/dev/net/tun", LL_READ_FILE | LL_WRITE_FILE | LL_IOCTL_DEV },
	{ "/proc/sys", LL_READ },
	{ "/sys/class/net", LL_READ },
	{ "/sys/devices/virtual/net", LL_READ },
#ifdef SANITIZED
	{ "/proc", LL_READ },		/* where is my stack? */
#endif
};

/* An empty rule set that handles all that the kernel knows. */
static int
ll_create(int net, int scope, int *abip, uint64_t *fs)
{
	struct ll_ruleset	 rs;
	size_t			 len;
	int			 abi;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION);
	if (abi == -1)
		return -1;
	memset(&rs, 0, sizeof(rs));
	rs.fs = abi >= 5 ? LL_FS_V5 : abi >= 3 ? LL_FS_V3 :
	    abi == 2 ? LL_FS_V2 : LL_FS_V1;
	rs.net = abi >= 4 && net ? LL_NET_TCP : 0;
	rs.scoped = abi >= 6 && scope ? LL_SCOPE_ALL : 0;
	len = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
	*abip = abi;
	*fs = rs.fs;
	return syscall(SYS_landlock_create_ruleset, &rs, len, 0);
}

/* What does not exist cannot be allowed, and need not be. */
static void
ll_allow(int rsfd, const char *path, uint64_t access)
{
	struct ll_path	 lp;
	struct stat	 st;
	int		 fd;

	if ((fd = open(path, O_PATH | O_CLOEXEC)) == -1)
		return;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		access &= LL_OF_FILE;
	lp.access = access;
	lp.fd = fd;
	if (syscall(SYS_landlock_add_rule, rsfd, LL_PATH_BENEATH, &lp, 0) ==
	    -1)
		fatal("landlock_add_rule: %s", path);
	(void)close(fd);
}

static int
ll_enforce(int rsfd, int abi)
{
	if (syscall(SYS_landlock_restrict_self, rsfd, 0) == -1)
		fatal("landlock_restrict_self");
	(void)close(rsfd);
	return abi;
}

int
box_landlock_child(const char *keep)
{
	uint64_t	 fs;
	int		 abi, fd;

	if ((fd = ll_create(1, 1, &abi, &fs)) == -1)
		return -1;
	if (keep != NULL)
		ll_allow(fd, keep, LL_WRITE & fs);
	return ll_enforce(fd, abi);
}

static void
ll_allow_list(int fd, const char **list, uint64_t access)
{
	if (list == NULL)
		return;
	for (; *list != NULL; list++)
		ll_allow(fd, *list, access);
}

int
box_landlock_parent(const struct os_confine *oc)
{
	uint64_t	 fs;
	size_t		 i;
	int		 abi, fd;

	/* No limit on TCP: the parents bind and connect for their children. */
	if ((fd = ll_create(0, 0, &abi, &fs)) == -1)
		return -1;
	for (i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		ll_allow(fd, common[i].path, common[i].access & fs);
	ll_allow_list(fd, oc->oc_read, LL_READ & fs);
	ll_allow_list(fd, oc->oc_write, LL_WRITE & fs);
	ll_allow_list(fd, oc->oc_exec, (LL_READ | LL_EXECUTE) & fs);
	return ll_enforce(fd, abi);
}
