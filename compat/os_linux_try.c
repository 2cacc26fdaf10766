/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * REGRESS builds: forbidden things to try inside a child's own sandbox, and
 * a few that must work. Nothing of it is in a release.
 */

#ifdef REGRESS

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <linux/if_tun.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "os.h"

#define REFUSED		77
#define X32_BIT		0x40000000

struct try {
	const char	*name;
	int		(*func)(void);	/* 0 worked, -1 refused */
	int		 good;		/* 1: must work */
};

static int
try_open(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static int
try_open_root(void)
{
	return open("/", O_RDONLY | O_DIRECTORY);
}

static int
try_create(void)
{
	return open("/intruder", O_RDWR | O_CREAT, 0600);
}

static int
try_socket_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int
try_socket_udp(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0);
}

static int
try_socket_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int
try_socket_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}

static int
try_socket_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static int
try_socketpair(void)
{
	int	 sp[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, sp);
}

/* On the channel's descriptor: connect(2) itself is what counts. */
static int
try_connect(void)
{
	struct sockaddr_in	 sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons(22);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(3, (struct sockaddr *)&sin, sizeof(sin));
}

static int
try_connect_path(void)
{
	struct sockaddr_un	 sun;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)strlcpy(sun.sun_path, "/dev/log", sizeof(sun.sun_path));
	return connect(3, (struct sockaddr *)&sun, sizeof(sun));
}

static int
try_bind(void)
{
	struct sockaddr_in	 sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	return bind(3, (struct sockaddr *)&sin, sizeof(sin));
}

static int
try_kill_parent(void)
{
	return kill(getppid(), 0);
}

static int
try_kill_all(void)
{
	return kill(-1, 0);
}

static int
try_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int
try_fork(void)
{
	pid_t	 pid;

	if ((pid = fork()) == 0)
		_exit(0);
	return pid == -1 ? -1 : 0;
}

static int
try_execve(void)
{
	char	*args[2], *env[1] = { NULL };

	args[0] = strdup("/bin/sh");
	args[1] = NULL;
	return execve("/bin/sh", args, env);
}

static int
try_mmap_exec(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE |
	    MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int
try_mprotect_exec(void)
{
	void	*p;

	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE |
	    MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		err(1, "mmap");
	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int
try_tunsetiff(void)
{
	char	 ifr[64] = "intruder0";

	return ioctl(3, TUNSETIFF, ifr);
}

static int
try_io_uring(void)
{
	char	 params[256] = { 0 };

	return syscall(SYS_io_uring_setup, 8, params);
}

static int
try_bpf(void)
{
	char	 attr[128] = { 0 };

	return syscall(SYS_bpf, 0, attr, sizeof(attr));
}

static int
try_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, 1);
}

static int
try_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static int
try_keyctl(void)
{
	return syscall(SYS_keyctl, 0, -3, 0);
}

static int
try_setresuid(void)
{
	return setresuid(0, 0, 0);
}

static int
try_chroot(void)
{
	return chroot("..");
}

static int
try_chmod(void)
{
	return chmod("/", 0777);
}

static int
try_process_vm(void)
{
	return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static int
try_setsockopt(void)
{
	int	 mark = 1;

	return setsockopt(3, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

static int
try_prlimit(void)
{
	uint64_t	 rl[2] = { 1 << 20, 1 << 20 };

	return syscall(SYS_prlimit64, 0, 7, rl, NULL);
}

#ifdef __x86_64__
static int
try_int80(void)
{
	long	 ret;

	/* getpid of the 32 bit table */
	__asm__ volatile ("int $0x80" : "=a" (ret) : "a" (20) :
	    "memory", "r8", "r9", "r10", "r11");
	return ret < 0 ? -1 : 0;
}

static int
try_x32(void)
{
	return syscall(SYS_getpid | X32_BIT);
}
#endif

static void *
thread_open(void *arg)
{
	*(int *)arg = open("/etc/passwd", O_RDONLY);
	return NULL;
}

/* Refused the thread, or the thread refused: both are fine. */
static int
try_thread(void)
{
	pthread_t	 t;
	int		 ret = -1;

	if (pthread_create(&t, NULL, thread_open, &ret) != 0)
		return -1;
	(void)pthread_join(t, NULL);
	return ret;
}

static int
good_malloc(void)
{
	char	*p;

	if ((p = malloc(64 * 1024 * 1024)) == NULL)
		return -1;
	memset(p, 1, 64 * 1024 * 1024);
	free(p);
	return 0;
}

static int
good_clock(void)
{
	struct timespec	 ts = { 0, 1000 };

	return os_now() > 0 && os_date() > 0 && nanosleep(&ts, NULL) == 0 ?
	    0 : -1;
}

static int
good_random(void)
{
	unsigned char	 buf[4096];

	arc4random_buf(buf, sizeof(buf));
	return 0;
}

static int
good_log(void)
{
	log_warnx("a line");
	return 0;
}

static int
good_secret(void)
{
	unsigned char	*p;

	if ((p = os_secret_alloc(32)) == NULL)
		return -1;
	memset(p, 1, 32);
	os_secret_free(p, 32);
	return 0;
}

/* Its end must be SIGABRT, not SIGSYS. */
static int
good_abort(void)
{
	abort();
}

static const struct try tries[] = {
	{ "open", try_open, 0 },
	{ "open-root", try_open_root, 0 },
	{ "create", try_create, 0 },
	{ "socket-inet", try_socket_inet, 0 },
	{ "socket-udp", try_socket_udp, 0 },
	{ "socket-unix", try_socket_unix, 0 },
	{ "socket-netlink", try_socket_netlink, 0 },
	{ "socket-packet", try_socket_packet, 0 },
	{ "socketpair", try_socketpair, 0 },
	{ "connect", try_connect, 0 },
	{ "connect-path", try_connect_path, 0 },
	{ "bind", try_bind, 0 },
	{ "kill-parent", try_kill_parent, 0 },
	{ "kill-all", try_kill_all, 0 },
	{ "ptrace", try_ptrace, 0 },
	{ "process-vm", try_process_vm, 0 },
	{ "fork", try_fork, 0 },
	{ "execve", try_execve, 0 },
	{ "mmap-exec", try_mmap_exec, 0 },
	{ "mprotect-exec", try_mprotect_exec, 0 },
	{ "tunsetiff", try_tunsetiff, 0 },
	{ "setsockopt", try_setsockopt, 0 },
	{ "io-uring", try_io_uring, 0 },
	{ "bpf", try_bpf, 0 },
	{ "userfaultfd", try_userfaultfd, 0 },
	{ "unshare", try_unshare, 0 },
	{ "keyctl", try_keyctl, 0 },
	{ "setresuid", try_setresuid, 0 },
	{ "prlimit", try_prlimit, 0 },
	{ "chroot", try_chroot, 0 },
	{ "chmod", try_chmod, 0 },
	{ "thread", try_thread, 0 },
#ifdef __x86_64__
	{ "int80", try_int80, 0 },
	{ "x32", try_x32, 0 },
#endif
	{ "malloc", good_malloc, 1 },
	{ "clock", good_clock, 1 },
	{ "random", good_random, 1 },
	{ "log", good_log, 1 },
	{ "secret", good_secret, 1 },
	{ "abort", good_abort, 1 }
};

void
os_sandbox_try(const char *name)
{
	char	 line[64];
	size_t	 i;

	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		if (strcmp(name, "list") == 0) {
			(void)snprintf(line, sizeof(line), "%s %s\n",
			    tries[i].good ? "+" : "-", tries[i].name);
			(void)!write(STDOUT_FILENO, line, strlen(line));
		} else if (strcmp(name, tries[i].name) == 0)
			_exit(tries[i].func() == -1 ? REFUSED : 0);
	}
	_exit(strcmp(name, "list") == 0 ? 0 : 2);
}

#endif /* REGRESS */
