/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * seccomp: the one table of system calls that each child may make, by stage,
 * each row with its reason; and the list of a parent. What stands in no row
 * kills the process.
 */

#include <sys/types.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "os_linux_box.h"

/* Who, and when: 1 before IMSG_STARTUP is dealt with, 2 after. */
#define ALL		(~0U)
#define NETD		P_NETD
#define KEYS		P_KEYS
#define CTRLD		P_CTRLD
#define DNSD		P_DNSD
#define STORED		P_STORED
#define FRONTD		(P_FRONTD | RELAY)	/* they accept */
#define RELAY		P_RELAY
#define WIRE		(NETD | CTRLD | DNSD | FRONTD)
#define FILES		(KEYS | CTRLD | STORED)
#define NOFILES		(ALL & ~STORED)
#define ST1		1
#define ST2		2
#define ST12		(ST1 | ST2)

#define YES		0		/* else: the errno it answers */

#define THREAD_FLAGS	(CLONE_VM | CLONE_FS | CLONE_FILES | \
			    CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

#define ARG_EQ(n, v)	{ n, SCMP_CMP_EQ, v, 0 }
#define ARG_NE(n, v)	{ n, SCMP_CMP_NE, v, 0 }
#define ARG_MASK(n, m, v) { n, SCMP_CMP_MASKED_EQ, m, v }
#define OPT(l, o)	2, { ARG_EQ(1, l), ARG_EQ(2, o) }

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103
#define UDP_GRO		104
#endif
#ifndef MADV_FREE
#define MADV_FREE	8
#endif
#ifndef MADV_DONTDUMP
#define MADV_DONTDUMP	16
#endif

struct call {
	int			 nr;
	uint32_t		 who;
	int			 stages;
	int			 action;
	unsigned int		 nargs;
	struct scmp_arg_cmp	 arg[2];
};

#define CALL(name, who, stages, action) \
	{ SCMP_SYS(name), who, stages, action, 0, { { 0, 0, 0, 0 } } }
#define CALLARG(name, who, stages, action, ...) \
	{ SCMP_SYS(name), who, stages, action, __VA_ARGS__ }

static const struct call calls[] = {
	/* the event loop and imsg */
	CALL(read, ALL, ST12, YES),
	CALL(write, ALL, ST12, YES),
	CALL(readv, ALL, ST12, YES),
	CALL(writev, ALL, ST12, YES),
	CALL(close, ALL, ST12, YES),
	CALL(recvmsg, ALL, ST12, YES),		/* a new channel may come */
	CALL(sendmsg, ALL, ST12, YES),
	CALL(epoll_wait, ALL, ST12, YES),
	CALL(epoll_pwait, ALL, ST12, YES),	/* arm64 has only this */
	CALL(epoll_pwait2, ALL, ST12, YES),	/* newer libevent */
	CALL(epoll_ctl, ALL, ST12, YES),
	CALL(poll, ALL, ST12, YES),
	CALL(ppoll, ALL, ST12, YES),
	CALLARG(fcntl, ALL, ST12, YES, 1, { ARG_EQ(1, F_GETFL) }),
	CALLARG(fcntl, ALL, ST12, YES, 1, { ARG_EQ(1, F_SETFL) }),
	CALLARG(fcntl, ALL, ST12, YES, 1, { ARG_EQ(1, F_GETFD) }),
	CALLARG(fcntl, ALL, ST12, YES, 1, { ARG_EQ(1, F_SETFD) }),
	/* event_init, signal_add */
	CALL(epoll_create1, ALL, ST1, YES),
	CALL(pipe2, ALL, ST1, YES),
	CALL(eventfd2, ALL, ST1, YES),
	CALL(rt_sigaction, ALL, ST1, YES),

	/* malloc; nothing becomes executable */
	CALL(brk, ALL, ST12, YES),
	CALLARG(mmap, ALL, ST12, YES, 1, { ARG_MASK(2, PROT_EXEC, 0) }),
	CALLARG(mmap2, ALL, ST12, YES, 1, { ARG_MASK(2, PROT_EXEC, 0) }),
	CALLARG(mprotect, ALL, ST12, YES, 1, { ARG_MASK(2, PROT_EXEC, 0) }),
	CALL(munmap, ALL, ST12, YES),
	CALL(mremap, ALL, ST12, YES),
	CALLARG(madvise, ALL, ST12, YES, 1, { ARG_EQ(2, MADV_DONTNEED) }),
	CALLARG(madvise, ALL, ST12, YES, 1, { ARG_EQ(2, MADV_FREE) }),
	CALLARG(madvise, ALL, ST12, YES, 1, { ARG_EQ(2, MADV_DONTDUMP) }),
	CALLARG(madvise, ALL, ST12, YES, 1, { ARG_EQ(2, MADV_WIPEONFORK) }),
	CALL(mlock, ALL, ST12, YES),		/* os_secret_alloc */
	CALL(munlock, ALL, ST12, YES),
	CALL(memfd_secret, KEYS, ST12, YES),
	CALL(memfd_secret, ALL & ~KEYS, ST12, ENOSYS),

	/* threads and signals of libc, abort(3) */
	CALL(futex, ALL, ST12, YES),
	CALL(rseq, ALL, ST12, YES),
	CALL(set_robust_list, ALL, ST12, YES),
	CALL(rt_sigreturn, ALL, ST12, YES),
	CALL(rt_sigprocmask, ALL, ST12, YES),
	CALL(getpid, ALL, ST12, YES),
	CALL(gettid, ALL, ST12, YES),
	CALL(exit, ALL, ST12, YES),
	CALL(exit_group, ALL, ST12, YES),
	CALL(restart_syscall, ALL, ST12, YES),
	CALL(sched_yield, NETD, ST12, YES),
	CALL(sched_getaffinity, ALL, ST12, YES),
	CALLARG(clone, NETD, ST1, YES, 1,
	    { ARG_MASK(0, THREAD_FLAGS, THREAD_FLAGS) }),
	CALL(clone3, NETD, ST1, ENOSYS),	/* then libc calls clone */
	CALLARG(prctl, ALL, ST12, YES, 1, { ARG_EQ(0, PR_SET_NAME) }),

	/* time, identity, random numbers */
	CALL(clock_gettime, ALL, ST12, YES),
	CALL(gettimeofday, ALL, ST12, YES),
	CALL(time, ALL, ST12, YES),
	CALL(clock_nanosleep, ALL, ST12, YES),
	CALL(getrandom, ALL, ST12, YES),
	CALL(getuid, ALL, ST12, YES),
	CALL(geteuid, ALL, ST12, YES),
	CALL(getgid, ALL, ST12, YES),
	CALL(getegid, ALL, ST12, YES),

	/* the second stage itself */
	CALL(seccomp, ALL, ST1, YES),
	CALL(prctl, ALL, ST1, YES),
	CALL(prlimit64, ALL, ST1, YES),
	CALLARG(prlimit64, ALL, ST2, YES, 1, { ARG_EQ(2, 0) }),

	/* libraries that look for files cope with a refusal */
	CALL(open, NOFILES, ST12, EACCES),
	CALL(openat, NOFILES, ST12, EACCES),
	CALL(access, NOFILES, ST12, EACCES),
	CALL(faccessat, NOFILES, ST12, EACCES),
	CALL(faccessat2, NOFILES, ST12, EACCES),
	CALL(stat, NOFILES, ST12, EACCES),
	CALL(lstat, NOFILES, ST12, EACCES),
	CALL(statx, NOFILES, ST12, EACCES),
	CALL(readlink, ALL, ST12, EACCES),
	CALL(readlinkat, ALL, ST12, EACCES),
	CALL(sysinfo, ALL, ST12, EPERM),	/* qsort of a big array */
	CALL(ioctl, ALL, ST12, ENOTTY),		/* stdio: a terminal? */

	/* fstat of what is open; the path is empty then */
	CALL(fstat, ALL, ST12, YES),
	CALLARG(newfstatat, NOFILES, ST12, YES, 1,
	    { ARG_MASK(3, AT_EMPTY_PATH, AT_EMPTY_PATH) }),
	CALLARG(newfstatat, NOFILES, ST12, EACCES, 1,
	    { ARG_MASK(3, AT_EMPTY_PATH, 0) }),

	/* files that came as descriptors */
	CALL(pread64, FILES, ST12, YES),
	CALL(pwrite64, FILES, ST12, YES),
	CALL(fsync, FILES, ST12, YES),
	CALL(fdatasync, FILES, ST12, YES),
	CALL(ftruncate, FILES, ST12, YES),
	CALL(lseek, ALL, ST12, YES),		/* CA file, resolv.conf */

	/* SQLite within its own root */
	CALL(open, STORED, ST12, YES),
	CALL(openat, STORED, ST12, YES),
	CALL(access, STORED, ST12, YES),
	CALL(faccessat, STORED, ST12, YES),
	CALL(faccessat2, STORED, ST12, YES),
	CALL(stat, STORED, ST12, YES),
	CALL(lstat, STORED, ST12, YES),
	CALL(newfstatat, STORED, ST12, YES),
	CALL(getcwd, STORED, ST12, YES),
	CALL(unlink, STORED, ST12, YES),
	CALL(unlinkat, STORED, ST12, YES),
	CALL(fchmod, STORED, ST12, YES),
	CALL(fallocate, STORED, ST12, YES),
	CALL(fchown, STORED, ST12, EPERM),	/* only as root */
	CALL(utimensat, STORED, ST12, EPERM),
	CALLARG(fcntl, STORED, ST12, YES, 1, { ARG_EQ(1, F_GETLK) }),
	CALLARG(fcntl, STORED, ST12, YES, 1, { ARG_EQ(1, F_SETLK) }),
	CALLARG(fcntl, STORED, ST12, YES, 1, { ARG_EQ(1, F_SETLKW) }),

	/* sockets that came as descriptors */
	CALL(recvmmsg, NETD | DNSD | RELAY, ST12, YES),
	CALL(sendmmsg, NETD | DNSD | RELAY, ST12, YES),
	CALL(recvfrom, WIRE, ST12, YES),
	CALL(sendto, NETD | DNSD | RELAY, ST12, YES),
	CALLARG(sendto, CTRLD | FRONTD, ST12, YES, 1, { ARG_EQ(4, 0) }),
	CALL(getsockopt, WIRE, ST12, YES),	/* SO_ERROR */
	CALL(getsockname, WIRE, ST12, YES),
	CALL(getpeername, WIRE, ST12, YES),
	CALL(shutdown, WIRE, ST12, YES),
	CALL(accept4, DNSD | FRONTD, ST12, YES),
	CALLARG(setsockopt, WIRE, ST12, YES, OPT(SOL_SOCKET, SO_RCVBUF)),
	CALLARG(setsockopt, WIRE, ST12, YES, OPT(SOL_SOCKET, SO_SNDBUF)),
	CALLARG(setsockopt, WIRE, ST12, YES, OPT(SOL_SOCKET, SO_KEEPALIVE)),
	CALLARG(setsockopt, FRONTD, ST12, YES, OPT(SOL_SOCKET, SO_LINGER)),
	CALLARG(setsockopt, WIRE, ST12, YES, OPT(IPPROTO_TCP, TCP_NODELAY)),
	CALLARG(setsockopt, WIRE, ST12, YES, OPT(IPPROTO_TCP, TCP_KEEPIDLE)),
	CALLARG(setsockopt, WIRE, ST12, YES, OPT(IPPROTO_TCP, TCP_KEEPINTVL)),
	CALLARG(setsockopt, WIRE, ST12, YES, OPT(IPPROTO_TCP, TCP_KEEPCNT)),
	CALLARG(setsockopt, WIRE, ST12, YES,
	    OPT(IPPROTO_TCP, TCP_USER_TIMEOUT)),
	CALLARG(setsockopt, WIRE, ST12, YES,
	    OPT(IPPROTO_TCP, TCP_NOTSENT_LOWAT)),
	CALLARG(setsockopt, NETD, ST12, YES, OPT(IPPROTO_IP, IP_TOS)),
	CALLARG(setsockopt, NETD, ST12, YES, OPT(IPPROTO_IP,
	    IP_MTU_DISCOVER)),
	CALLARG(setsockopt, NETD, ST12, YES, OPT(IPPROTO_IPV6, IPV6_TCLASS)),
	CALLARG(setsockopt, NETD, ST12, YES, OPT(IPPROTO_IPV6,
	    IPV6_MTU_DISCOVER)),
	CALLARG(setsockopt, NETD, ST12, YES, OPT(IPPROTO_UDP, UDP_SEGMENT)),
	CALLARG(setsockopt, NETD, ST12, YES, OPT(IPPROTO_UDP, UDP_GRO)),

#ifdef SANITIZED
	CALL(sigaltstack, ALL, ST12, YES),	/* their own signal stack */
	CALL(madvise, ALL, ST12, YES),
	CALL(rt_sigaction, ALL, ST12, YES),
#endif
};

/*
 * A parent, and all that a child calls between exec and its own filter.
 * Missing on purpose: ptrace, bpf, modules, mounts, namespaces, kexec, keys,
 * io_uring, userfaultfd, and whatever the kernel gets next.
 */
static const int parent_calls[] = {
	/* processes */
	SCMP_SYS(arch_prctl), SCMP_SYS(capget), SCMP_SYS(capset),
	SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(execve),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(fork), SCMP_SYS(futex),
	SCMP_SYS(get_robust_list), SCMP_SYS(getegid), SCMP_SYS(geteuid),
	SCMP_SYS(getgid), SCMP_SYS(getgroups), SCMP_SYS(getpgrp),
	SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getresgid),
	SCMP_SYS(getresuid), SCMP_SYS(getrlimit), SCMP_SYS(getrusage),
	SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(kill),
	SCMP_SYS(landlock_add_rule), SCMP_SYS(landlock_create_ruleset),
	SCMP_SYS(landlock_restrict_self), SCMP_SYS(membarrier),
	SCMP_SYS(prctl), SCMP_SYS(prlimit64), SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigsuspend),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getattr),
	SCMP_SYS(sched_setattr), SCMP_SYS(sched_yield),
	SCMP_SYS(seccomp), SCMP_SYS(set_robust_list),
	SCMP_SYS(set_tid_address), SCMP_SYS(setgid), SCMP_SYS(setgroups),
	SCMP_SYS(setresgid), SCMP_SYS(setresuid), SCMP_SYS(setrlimit),
	SCMP_SYS(setsid), SCMP_SYS(setpgid), SCMP_SYS(setuid),
	SCMP_SYS(sigaltstack), SCMP_SYS(sysinfo), SCMP_SYS(tgkill),
	SCMP_SYS(umask), SCMP_SYS(uname), SCMP_SYS(vfork), SCMP_SYS(wait4),
	SCMP_SYS(waitid),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(memfd_secret),
	SCMP_SYS(mlock), SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect),
	SCMP_SYS(mremap), SCMP_SYS(munlock), SCMP_SYS(munmap),
	/* time, random numbers */
	SCMP_SYS(clock_getres), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(getrandom),
	SCMP_SYS(gettimeofday), SCMP_SYS(nanosleep), SCMP_SYS(time),
	/* files */
	SCMP_SYS(access), SCMP_SYS(chdir), SCMP_SYS(chmod), SCMP_SYS(chown),
	SCMP_SYS(chroot), SCMP_SYS(close), SCMP_SYS(close_range),
	SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(fadvise64), SCMP_SYS(fallocate),
	SCMP_SYS(fchdir), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
	SCMP_SYS(fchown), SCMP_SYS(fchownat), SCMP_SYS(fcntl),
	SCMP_SYS(fdatasync), SCMP_SYS(flock), SCMP_SYS(fstat),
	SCMP_SYS(fstatfs), SCMP_SYS(fsync), SCMP_SYS(ftruncate),
	SCMP_SYS(getcwd), SCMP_SYS(getdents), SCMP_SYS(getdents64),
	SCMP_SYS(ioctl), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(lseek),
	SCMP_SYS(lstat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat),
	SCMP_SYS(newfstatat), SCMP_SYS(open), SCMP_SYS(openat),
	SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64), SCMP_SYS(read), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(readv), SCMP_SYS(rename),
	SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(rmdir),
	SCMP_SYS(stat), SCMP_SYS(statfs), SCMP_SYS(statx), SCMP_SYS(symlink),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(utimensat),
	SCMP_SYS(write), SCMP_SYS(writev),
	/* sockets, the event loop */
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(bind),
	SCMP_SYS(connect), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd2), SCMP_SYS(getpeername), SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt), SCMP_SYS(listen), SCMP_SYS(poll),
	SCMP_SYS(ppoll), SCMP_SYS(pselect6), SCMP_SYS(recvfrom),
	SCMP_SYS(recvmmsg), SCMP_SYS(recvmsg), SCMP_SYS(select),
	SCMP_SYS(sendmmsg), SCMP_SYS(sendmsg), SCMP_SYS(sendto),
	SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(socket),
	SCMP_SYS(socketpair)
};

#ifdef REGRESS
#define NAMES_MAX	512

static char	*call_names[NAMES_MAX];	/* not resolved within a handler */

static void
say(const char *s)
{
	(void)!write(STDERR_FILENO, s, strlen(s));
}

/* Name the call, then die of the signal like a release build would. */
static void
sigsys_handler(int sig, siginfo_t *si, void *ctx)
{
	char	 buf[128];
	int	 nr = si->si_syscall;

	(void)strlcpy(buf, "2fatal: sandbox violation: ", sizeof(buf));
	if (nr >= 0 && nr < NAMES_MAX && call_names[nr] != NULL)
		(void)strlcat(buf, call_names[nr], sizeof(buf));
	else
		(void)strlcat(buf, "unknown call", sizeof(buf));
	(void)strlcat(buf, "\n", sizeof(buf));
	say(buf);
	(void)kill(getpid(), SIGSYS);
}

static void
sigsys_install(void)
{
	struct sigaction	 sa;
	int			 nr;

	for (nr = 0; nr < NAMES_MAX; nr++)
		if (call_names[nr] == NULL)
			call_names[nr] = seccomp_syscall_resolve_num_arch(
			    SCMP_ARCH_NATIVE, nr);
	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = sigsys_handler;
	sa.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER;
	if (sigaction(SIGSYS, &sa, NULL) == -1)
		fatal("sigaction");
}
#define KILL_ACTION	SCMP_ACT_TRAP
#else
#define KILL_ACTION	SCMP_ACT_KILL_PROCESS
#endif

static scmp_filter_ctx
filter_new(uint32_t action)
{
	scmp_filter_ctx	 ctx;

	if ((ctx = seccomp_init(action)) == NULL)
		fatalx("seccomp_init");
	/* os_sandbox has set no_new_privs; threads get the filter too. */
	if (seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0) != 0 ||
	    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) != 0 ||
	    seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS) != 0 ||
	    seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0)
		fatalx("seccomp_attr_set");
	return ctx;
}

static void
filter_add(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned int nargs,
    const struct scmp_arg_cmp *arg)
{
	int	 error;

	/* This architecture, or this kernel's header, does not have it. */
	if (nr < 0)
		return;
	error = seccomp_rule_add_array(ctx, action, nr, nargs, arg);
	if (error != 0 && error != -EACCES)
		fatalx("seccomp rule for call %d: %s", nr, strerror(-error));
}

static void
filter_load(scmp_filter_ctx ctx)
{
	int	 error;

	if ((error = seccomp_load(ctx)) != 0) {
		errno = -error;
		fatal("seccomp");
	}
	seccomp_release(ctx);
}

void
box_seccomp_child(enum proc proc, int stage)
{
	struct scmp_arg_cmp	 own[1];
	scmp_filter_ctx		 ctx;
	const struct call	*c;
	size_t			 i;

#ifdef SANITIZED
	ctx = filter_new(SCMP_ACT_ERRNO(EPERM));
#else
	ctx = filter_new(KILL_ACTION);
#endif
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		c = &calls[i];
		if ((c->who & (1U << proc)) == 0 || (c->stages & stage) == 0)
			continue;
		filter_add(ctx, c->action == YES ? SCMP_ACT_ALLOW :
		    SCMP_ACT_ERRNO(c->action), c->nr, c->nargs, c->arg);
	}
	/* abort(3) signals itself, nobody else */
	own[0].arg = 0;
	own[0].op = SCMP_CMP_EQ;
	own[0].datum_a = getpid();
	own[0].datum_b = 0;
	filter_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, own);
	filter_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, own);
#ifdef REGRESS
	if (stage == SANDBOX_STARTUP)
		sigsys_install();
#endif
	filter_load(ctx);
}

void
box_seccomp_parent(void)
{
	scmp_filter_ctx	 ctx;
	size_t		 i;

	/* libc falls back from calls that a kernel does not have. */
	ctx = filter_new(SCMP_ACT_ERRNO(ENOSYS));
	for (i = 0; i < sizeof(parent_calls) / sizeof(parent_calls[0]); i++)
		filter_add(ctx, SCMP_ACT_ALLOW, parent_calls[i], 0, NULL);
	filter_load(ctx);
}
