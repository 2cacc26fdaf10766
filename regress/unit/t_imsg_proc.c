/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A parent and two children that are this program itself: start in a closed
 * sandbox, HELLO and READY, a channel between siblings with a descriptor on
 * it, log lines, replacement of a dead child, stop for a sandbox violation.
 * Needs root and the suite's users.
 */

#include <sys/types.h>
#include <sys/ptrace.h>

#include <err.h>
#include <event.h>
#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os.h"
#include "proc.h"

/* --- child: cryptod and netd, one program --- */

static struct chan	 sibling;

static int
sibling_msg(struct chan *c, struct imsg *imsg)
{
	struct msg_disco_key	 dk;
	struct msg_key		 mk;
	struct msg_u32		 m = { AF_WIRE_INET };

	switch (imsg_get_type(imsg)) {
	case IMSG_DISCO_KEY_REQ:	/* in cryptod */
		if (msg_get(imsg, &mk, sizeof(mk)) == -1)
			return -1;
		memset(&dk, 0, sizeof(dk));
		memcpy(dk.pub, mk.key, sizeof(dk.pub));
		return chan_compose(c, IMSG_DISCO_KEY, imsg_get_id(imsg), -1,
		    &dk, sizeof(dk));
	case IMSG_DISCO_KEY:		/* in netd: tell the parent */
		if (imsg_get_id(imsg) != 77)
			return -1;
		return chan_compose(proc_parent(), IMSG_UDP_REBIND, 0, -1,
		    &m, sizeof(m));
	default:
		return -1;
	}
}

static const struct chan_cb	 sibling_cb = {
	sibling_msg, proc_sibling_lost
};

static enum proc	 child_is;

static int
child_channel(enum proc peer, int fd, int fresh)
{
	struct msg_key	 mk;

	chan_open(&sibling, fd, child_is, peer, &sibling_cb, NULL);
	if (child_is == PROC_NETD) {
		memset(&mk, 7, sizeof(mk));
		(void)chan_compose(&sibling, IMSG_DISCO_KEY_REQ, 77, -1, &mk,
		    sizeof(mk));
	}
	return 0;
}

static int
child_msg(struct imsg *imsg)
{
	char	 buf[16];
	int	 fd;

	switch (imsg_get_type(imsg)) {
	case IMSG_CA_FILE:
		fd = imsg_get_fd(imsg);
		if (read(fd, buf, sizeof(buf)) != 5 ||
		    memcmp(buf, "hello", 5) != 0)
			fatalx("descriptor");
		(void)close(fd);
		return 0;
	case IMSG_CTL_DEBUG:
		log_warnx("about to break out");
		(void)open("/etc/passwd", O_RDONLY);	/* EACCES */
		return chdir("/");			/* not allowed */
	default:
		return -1;
	}
}

static void
child_startup(void)
{
	log_warnx("started up");
}

static void
child_main(int argc, char *argv[])
{
	static struct proc_self	 self;

	child_is = strcmp(argv[0], "t_imsg_proc") == 0 ? PROC_NETD :
	    PROC_CRYPTOD;
	self.ps_proc = child_is;
	self.ps_parent = PROC_PARENT;
	self.ps_name = proc_name(child_is);
	self.ps_user = child_is == PROC_NETD ? "_shoalnet" : "_shoalcrypt";
	self.ps_msg = child_msg;
	self.ps_channel = child_channel;
	self.ps_startup = child_startup;
	proc_child_init(&self, NULL, argc, argv);
	proc_child_run();
}

/* --- parent --- */

static struct proc_child	 netd, cryptod;
static int			 answers, lost;

static void
ready(struct proc_child *pc)
{
	int	 fd[2];

	if (pc == &netd) {
		if (pipe(fd) == -1 || write(fd[1], "hello", 5) != 5)
			err(1, "pipe");
		(void)close(fd[1]);
		(void)chan_compose(&pc->pc_chan, IMSG_CA_FILE, 0, fd[0], NULL,
		    0);
	}
	proc_startup(pc);
	(void)proc_connect(pc, pc == &netd ? &cryptod : &netd);
}

static void
lost_cb(struct proc_child *pc)
{
	lost++;
}

static int
sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__)
	return 1;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	return 1;
#endif
#endif
	return 0;
}

/* netd has had its answer from cryptod: kill, kill, then a violation. */
static int
parent_msg(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_str64	 s;

	if (imsg_get_type(imsg) != IMSG_UDP_REBIND)
		return -1;
	switch (++answers) {
	case 1:
		(void)kill(cryptod.pc_pid, SIGKILL);
		return 0;
	case 2:
		(void)kill(netd.pc_pid, SIGKILL);
		return 0;
	default:
		if (sanitized()) {	/* calls are refused, nobody dies */
			proc_shutdown();
			exit(answers != 3 || lost != 2);
		}
		memset(&s, 0, sizeof(s));
		return chan_compose(&netd.pc_chan, IMSG_CTL_DEBUG, 0, -1, &s,
		    sizeof(s));
	}
}

static void
stop(const char *why)
{
	proc_shutdown();
	if (answers != 3 || lost != 3)
		errx(1, "%d answers, %d losses", answers, lost);
	if (strstr(why, "netd died of SIGSYS (sandbox violation)") == NULL &&
	    strstr(why, "t_imsg_proc died of SIGSYS") == NULL)
		errx(1, "stopped: %s", why);
	exit(0);
}

/* What a confined parent may and may not do. */
static void
check_parent(void)
{
	int	 fd;

	if ((fd = open("/etc/passwd", O_RDONLY)) == -1)
		err(1, "/etc/passwd");
	(void)close(fd);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != -1)
		errx(1, "ptrace works");
	if (unshare(CLONE_NEWNS) != -1)
		errx(1, "unshare works");
	if ((os_sandbox_status() & OS_SANDBOX_LANDLOCK) == 0)
		return;
	if (open("/var", O_RDONLY | O_DIRECTORY) != -1)
		errx(1, "/var may be read");
	if (open("/etc/intruder", O_RDWR | O_CREAT, 0600) != -1)
		errx(1, "/etc may be written");
}

static const struct proc_parent	 parent = {
	PROC_PARENT, "no/such/place", ".", ready, parent_msg, lost_cb, stop
};

static void
too_long(int fd, short events, void *arg)
{
	errx(1, "timeout: %d answers", answers);
}

int
main(int argc, char *argv[])
{
	const char	*x[] = { NULL, NULL }, *none[] = { NULL };
	struct os_confine oc = { none, none, x, 0 };
	struct event	 ev;
	struct timeval	 tv = { 60, 0 };
	char		 dir[1024], link[1100];

	if (strchr(argv[0], '/') == NULL)
		child_main(argc, argv);
	if (geteuid() != 0 || getpwnam("_shoalnet") == NULL ||
	    access(EMPTY_DIR, X_OK) == -1) {
		printf("t_imsg_proc: left out: needs root and the users\n");
		return 0;
	}
	if (getenv("T_VERBOSE") == NULL &&
	    freopen("/dev/null", "w", stderr) == NULL)
		err(1, "/dev/null");
	(void)strlcpy(dir, argv[0], sizeof(dir));
	(void)snprintf(link, sizeof(link), "%s-cryptod", argv[0]);
	(void)unlink(link);
	if (symlink("t_imsg_proc", link) == -1)
		err(1, "%s", link);
	log_init(1, "parent");
	(void)event_init();
	netd.pc_proc = PROC_NETD;
	netd.pc_name = "t_imsg_proc";
	netd.pc_dir = ".";
	cryptod.pc_proc = PROC_CRYPTOD;
	cryptod.pc_name = "t_imsg_proc-cryptod";
	cryptod.pc_dir = ".";
	proc_parent_init(&parent);
	x[0] = dirname(dir);
	os_confine_parent(&oc);
	check_parent();
	if (proc_start(&netd) == -1 || proc_start(&cryptod) == -1)
		errx(1, "proc_start");
	evtimer_set(&ev, too_long, NULL);
	(void)evtimer_add(&ev, &tv);
	event_dispatch();
	return 1;
}
