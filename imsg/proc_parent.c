/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Starting, watching and replacing children.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "os.h"
#include "proc.h"

#define NSEC_PER_SEC	1000000000LL
#define READY_TIMEOUT	60			/* seconds to become READY */
#define DEATHS_MAX	5			/* of one child ... */
#define DEATHS_PERIOD	(600 * NSEC_PER_SEC)	/* ... in this time */
#define BACKOFF_MAX	8			/* seconds */
#define BACKOFF_RESET	(60 * NSEC_PER_SEC)	/* lived so long: healthy */
#define SHUTDOWN_MS	5000
#define LOG_BURST	200			/* lines of a child ... */
#define LOG_PERIOD	10			/* ... in so many seconds */
#define LOG_DGRAM	8192
#define MAXARGS		8

static const struct proc_parent		*parent;
static TAILQ_HEAD(, proc_child)		 children =
					    TAILQ_HEAD_INITIALIZER(children);
static struct event			 ev_sigchld, ev_settled;
static struct msg_hello			 hello;
static char				 self_dir[1024];
static int				 devnull = -1;
static int				 stopping;

static int	child_msg(struct chan *, struct imsg *);
static void	child_lost(struct chan *, enum chan_end);
static void	child_timer_cb(int, short, void *);

static const struct chan_cb	 child_cb = { child_msg, child_lost };

static const struct {
	int		 sig;
	const char	*name;
} signames[] = {
	{ SIGHUP, "SIGHUP" }, { SIGINT, "SIGINT" }, { SIGQUIT, "SIGQUIT" },
	{ SIGILL, "SIGILL" }, { SIGTRAP, "SIGTRAP" }, { SIGABRT, "SIGABRT" },
	{ SIGBUS, "SIGBUS" }, { SIGFPE, "SIGFPE" }, { SIGKILL, "SIGKILL" },
	{ SIGSEGV, "SIGSEGV" }, { SIGPIPE, "SIGPIPE" },
	{ SIGALRM, "SIGALRM" }, { SIGTERM, "SIGTERM" }, { SIGSYS, "SIGSYS" },
	{ SIGXCPU, "SIGXCPU" }, { SIGXFSZ, "SIGXFSZ" },
	{ SIGUSR1, "SIGUSR1" }, { SIGUSR2, "SIGUSR2" }
};

static const char *
signal_name(int sig)
{
	static char	 buf[32];
	size_t		 i;

	for (i = 0; i < sizeof(signames) / sizeof(signames[0]); i++)
		if (signames[i].sig == sig)
			return signames[i].name;
	(void)snprintf(buf, sizeof(buf), "signal %d", sig);
	return buf;
}

/* --- what a child says on fd 2 --- */

/* Returns 0 when there is nothing (more), else relays one datagram. */
static int
child_log(struct proc_child *pc)
{
	char	 buf[LOG_DGRAM];
	ssize_t	 n;

	n = recv(pc->pc_fd_log, buf, sizeof(buf), MSG_DONTWAIT);
	if (n <= 0)
		return 0;
	/* Last words are never held back. */
	if (buf[0] == '0' + LOG_CRIT ||
	    log_limit(&pc->pc_limit, os_now(), LOG_BURST, LOG_PERIOD))
		log_relay(pc->pc_name, buf, n);
	return 1;
}

static void
child_log_cb(int fd, short events, void *arg)
{
	struct proc_child	*pc = arg;
	int			 i;

	for (i = 0; i < 32; i++)
		if (!child_log(pc))
			break;
}

static void
child_log_close(struct proc_child *pc)
{
	int	 i;

	if (pc->pc_fd_log == -1)
		return;
	for (i = 0; i < 1000; i++)
		if (!child_log(pc))
			break;
	(void)event_del(&pc->pc_ev_log);
	(void)close(pc->pc_fd_log);
	pc->pc_fd_log = -1;
}

/* --- start --- */

int
proc_path(const struct proc_child *pc, char *path, size_t len)
{
	int	 n;

	n = snprintf(path, len, "%s/%s/%s", self_dir, parent->pp_libexec,
	    pc->pc_name);
	if (n > 0 && (size_t)n < len && access(path, X_OK) == 0)
		return 0;
	n = snprintf(path, len, "%s/%s/%s/%s", self_dir, parent->pp_build,
	    pc->pc_dir != NULL ? pc->pc_dir : pc->pc_name, pc->pc_name);
	if (n > 0 && (size_t)n < len && access(path, X_OK) == 0)
		return 0;
	(void)snprintf(path, len, "%s/%s/%s", self_dir, parent->pp_libexec,
	    pc->pc_name);
	errno = ENOENT;
	return -1;
}

/* In the fork: fds 0 to 3 and nothing else, no environment. */
__attribute__((noreturn)) static void
child_exec(const struct proc_child *pc, const char *path, int fd, int logfd)
{
	union {
		const char	*in[MAXARGS];
		char		*out[MAXARGS];
	} args;
	char		*env[1] = { NULL };
	sigset_t	 none;
	int		 i, n = 0;

	args.in[n++] = pc->pc_name;
	for (i = 0; i < log_getverbose() && i < 3; i++)
		args.in[n++] = "-v";
	if (pc->pc_root != NULL) {
		args.in[n++] = "-r";
		args.in[n++] = pc->pc_root;
	}
	if (pc->pc_threads)
		args.in[n++] = "-t";
	args.in[n] = NULL;

	/* Out of the way first: the targets may be in use by the sources. */
	if ((fd = fcntl(fd, F_DUPFD_CLOEXEC, 10)) == -1 ||
	    (logfd = fcntl(logfd, F_DUPFD_CLOEXEC, 10)) == -1 ||
	    dup2(devnull, STDIN_FILENO) == -1 ||
	    dup2(devnull, STDOUT_FILENO) == -1 ||
	    dup2(logfd, STDERR_FILENO) == -1 ||
	    dup2(fd, PARENT_FD) == -1)
		_exit(127);
	closefrom(PARENT_FD + 1);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(path, args.out, env);
	dprintf(STDERR_FILENO, "%s: %s", path, strerror(errno));
	_exit(127);
}

static void
child_timer(struct proc_child *pc, unsigned int seconds)
{
	struct timeval	 tv = { seconds, 0 };

	evtimer_set(&pc->pc_ev_timer, child_timer_cb, pc);
	if (evtimer_add(&pc->pc_ev_timer, &tv) == -1)
		fatal("evtimer_add");
}

/* The parent's side of a new child. */
static void
child_attach(struct proc_child *pc, int fd, int logfd)
{
	pc->pc_state = PROC_STARTING;
	pc->pc_starts++;
	memset(&pc->pc_limit, 0, sizeof(pc->pc_limit));
	pc->pc_fd_log = logfd;
	event_set(&pc->pc_ev_log, logfd, EV_READ | EV_PERSIST, child_log_cb,
	    pc);
	if (event_add(&pc->pc_ev_log, NULL) == -1)
		fatal("event_add");
	chan_open(&pc->pc_chan, fd, parent->pp_proc, pc->pc_proc, &child_cb,
	    pc);
	hello.proc = pc->pc_proc;
	hello.verbose = log_getverbose();
	(void)chan_compose(&pc->pc_chan, IMSG_HELLO, 0, -1, &hello,
	    sizeof(hello));
	child_timer(pc, READY_TIMEOUT);
}

static int
child_spawn(struct proc_child *pc)
{
	char	 path[1024];
	int	 sp[2] = { -1, -1 }, lp[2] = { -1, -1 };

	if (proc_path(pc, path, sizeof(path)) == -1) {
		log_warn("%s", path);
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) == -1 ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, lp) == -1 ||
	    (pc->pc_pid = fork()) == -1) {
		log_warn("%s: start", pc->pc_name);
		(void)close(sp[0]);
		(void)close(sp[1]);
		(void)close(lp[0]);
		(void)close(lp[1]);
		pc->pc_pid = 0;
		return -1;
	}
	if (pc->pc_pid == 0)
		child_exec(pc, path, sp[1], lp[1]);
	(void)close(sp[1]);
	(void)close(lp[1]);
	child_attach(pc, sp[0], lp[0]);
	log_debug("%s: started, pid %d", pc->pc_name, (int)pc->pc_pid);
	return 0;
}

/* --- death --- */

/* No longer to be talked to; its replacement comes when it is reaped. */
static void
child_detach(struct proc_child *pc)
{
	if (pc->pc_state == PROC_DYING || pc->pc_state == PROC_DOWN)
		return;
	pc->pc_state = PROC_DYING;
	chan_close(&pc->pc_chan);
	(void)evtimer_del(&pc->pc_ev_timer);
	if (!stopping && parent->pp_lost != NULL)
		parent->pp_lost(pc);
}

void
proc_kill(struct proc_child *pc, const char *why)
{
	if (pc->pc_pid == 0)
		return;
	log_warnx("%s: %s: killed", pc->pc_name, why);
	(void)kill(pc->pc_pid, SIGKILL);
	child_detach(pc);
}

static void
child_stop_suite(const char *why)
{
	if (stopping)
		return;
	stopping = 1;
	parent->pp_stop(why);
}

/* Too many deaths in too short a time? */
static int
child_count_death(struct proc_child *pc, int64_t now)
{
	unsigned int	 n = pc->pc_ndeaths;

	if (n > 0 && now - pc->pc_deaths[(n - 1) % DEATHS_MAX] > BACKOFF_RESET)
		pc->pc_backoff = 0;
	pc->pc_deaths[n++ % DEATHS_MAX] = now;
	pc->pc_ndeaths = n;
	/* The next slot to be written holds the oldest of DEATHS_MAX. */
	return n >= DEATHS_MAX &&
	    now - pc->pc_deaths[n % DEATHS_MAX] <= DEATHS_PERIOD;
}

static void
child_died(struct proc_child *pc, int status)
{
	char	 why[256], last[512];

	child_log_close(pc);
	pc->pc_pid = 0;
	child_detach(pc);
	pc->pc_state = PROC_DOWN;
	if (WIFSIGNALED(status))
		(void)snprintf(why, sizeof(why), "%s died of %s", pc->pc_name,
		    signal_name(WTERMSIG(status)));
	else
		(void)snprintf(why, sizeof(why), "%s exited with status %d",
		    pc->pc_name, WEXITSTATUS(status));
	if (stopping)
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
		(void)snprintf(last, sizeof(last), "%s (sandbox violation): "
		    "stopping; the kernel's audit record names the call "
		    "(dmesg, or ausearch -m SECCOMP)", why);
		child_stop_suite(last);
		return;
	}
	if (child_count_death(pc, os_now())) {
		(void)snprintf(last, sizeof(last), "%s, the %uth time within "
		    "ten minutes: stopping", why, DEATHS_MAX);
		child_stop_suite(last);
		return;
	}
	log_warnx("%s: starting it again in %u s", why, pc->pc_backoff);
	child_timer(pc, pc->pc_backoff);
	pc->pc_backoff = pc->pc_backoff == 0 ? 1 : pc->pc_backoff * 2;
	if (pc->pc_backoff > BACKOFF_MAX)
		pc->pc_backoff = BACKOFF_MAX;
}

static void
sigchld_cb(int sig, short events, void *arg)
{
	struct proc_child	*pc;
	int			 status;

	TAILQ_FOREACH(pc, &children, pc_entry)
		if (pc->pc_pid != 0 &&
		    waitpid(pc->pc_pid, &status, WNOHANG) == pc->pc_pid)
			child_died(pc, status);
}

/* Time to be READY is over, or the pause before the next start. */
static void
child_timer_cb(int fd, short events, void *arg)
{
	struct proc_child	*pc = arg;

	if (stopping)
		return;
	if (pc->pc_state == PROC_STARTING)
		proc_kill(pc, "did not get ready in time");
	else if (pc->pc_state == PROC_DOWN && child_spawn(pc) == -1) {
		if (child_count_death(pc, os_now()))
			child_stop_suite("a child cannot be started: "
			    "stopping");
		else
			child_timer(pc, BACKOFF_MAX);
	}
}

/* --- messages --- */

static int
child_bad_sibling(struct proc_child *pc, struct imsg *imsg)
{
	struct proc_child	*bad;
	struct msg_u32		 m;
	char			 why[128];

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.v == pc->pc_proc ||
	    m.v >= PROC_MAX || (bad = proc_find(m.v)) == NULL)
		return -1;
	(void)snprintf(why, sizeof(why), "accused by %s of a bad message",
	    pc->pc_name);
	if (bad->pc_state == PROC_READY)
		proc_kill(bad, why);
	return 0;
}

/*
 * The date that cryptod's timestamps have reached: if it is replaced after
 * the date was put back, peers must not see them fall. It cannot have seen a
 * later date than there was.
 */
static int
child_stamp_date(struct imsg *imsg)
{
	struct msg_stamp_date	 m;
	int64_t			 ahead;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	ahead = os_date() - os_now() + NSEC_PER_SEC;
	if (m.ahead < ahead)
		ahead = m.ahead;
	if (ahead > hello.start_date - hello.start_time)
		hello.start_date = hello.start_time + ahead;
	return 0;
}

static int
child_msg(struct chan *c, struct imsg *imsg)
{
	struct proc_child	*pc = c->c_arg;

	switch (imsg_get_type(imsg)) {
	case IMSG_READY:
		if (pc->pc_state != PROC_STARTING)
			return -1;
		(void)evtimer_del(&pc->pc_ev_timer);
		pc->pc_state = PROC_READY;
		log_debug("%s: ready", pc->pc_name);
		parent->pp_ready(pc);
		return 0;
	case IMSG_BAD_SIBLING:
		return child_bad_sibling(pc, imsg);
	case IMSG_STAMP_DATE:
		return child_stamp_date(imsg);
	default:
		if (pc->pc_state != PROC_READY)
			return -1;
		return parent->pp_msg(pc, imsg);
	}
}

static void
child_lost(struct chan *c, enum chan_end end)
{
	struct proc_child	*pc = c->c_arg;

	/* The reaper tells why, and sees no SIGKILL if it is dead already. */
	if (end != CHAN_EOF)
		log_warnx("%s: %s: killed", pc->pc_name, end == CHAN_STUCK ?
		    "does not answer" : "broke the message table");
	if (pc->pc_pid != 0)
		(void)kill(pc->pc_pid, SIGKILL);
	child_detach(pc);
}

/* --- the parents' calls --- */

static void
settled_cb(int fd, short events, void *arg)
{
	os_mem_release();
}

void
proc_parent_init(const struct proc_parent *pp)
{
	char	*slash;

	parent = pp;
	if (os_exe_path(self_dir, sizeof(self_dir)) == -1)
		fatal("own executable");
	if ((slash = strrchr(self_dir, '/')) == NULL)
		fatalx("own executable: no directory");
	*slash = '\0';
	if ((devnull = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		fatal("/dev/null");
	memset(&hello, 0, sizeof(hello));
	(void)strlcpy(hello.build, proc_build_id(), sizeof(hello.build));
	arc4random_buf(&hello.run, sizeof(hello.run));
	hello.start_date = os_date();
	hello.start_time = os_now();
	(void)signal(SIGPIPE, SIG_IGN);
	signal_set(&ev_sigchld, SIGCHLD, sigchld_cb, NULL);
	if (signal_add(&ev_sigchld, NULL) == -1)
		fatal("signal_add");
	evtimer_set(&ev_settled, settled_cb, NULL);
}

int
proc_start(struct proc_child *pc)
{
	memset(&pc->pc_chan, 0, sizeof(pc->pc_chan));
	pc->pc_state = PROC_DOWN;
	pc->pc_fd_log = -1;
	evtimer_set(&pc->pc_ev_timer, child_timer_cb, pc);
	TAILQ_INSERT_TAIL(&children, pc, pc_entry);
	return child_spawn(pc);
}

struct proc_child *
proc_find(enum proc proc)
{
	struct proc_child	*pc;

	TAILQ_FOREACH(pc, &children, pc_entry)
		if (pc->pc_proc == proc)
			return pc;
	return NULL;
}

int
proc_connect(struct proc_child *a, struct proc_child *b)
{
	struct msg_channel	 ma, mb;
	int			 sp[2];

	if (a->pc_state != PROC_READY || b->pc_state != PROC_READY)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) == -1) {
		log_warn("socketpair");
		return -1;
	}
	memset(&ma, 0, sizeof(ma));
	memset(&mb, 0, sizeof(mb));
	ma.proc = b->pc_proc;
	ma.fresh = b->pc_starts > 1;
	mb.proc = a->pc_proc;
	mb.fresh = a->pc_starts > 1;
	(void)chan_compose(&a->pc_chan, IMSG_CHANNEL, 0, sp[0], &ma,
	    sizeof(ma));
	(void)chan_compose(&b->pc_chan, IMSG_CHANNEL, 0, sp[1], &mb,
	    sizeof(mb));
	return 0;
}

void
proc_startup(struct proc_child *pc)
{
	struct timeval	 tv = { PROC_SETTLED, 0 };

	(void)evtimer_del(&ev_settled);
	(void)evtimer_add(&ev_settled, &tv);
	(void)chan_compose(&pc->pc_chan, IMSG_STARTUP, 0, -1, NULL, 0);
}

void
proc_note_date(void)
{
	int64_t	 start = os_date() - os_now() + hello.start_time;

	if (start > hello.start_date)
		hello.start_date = start;
}

void
proc_verbose(int verbose)
{
	struct proc_child	*pc;
	struct msg_u32		 m = { verbose };

	TAILQ_FOREACH(pc, &children, pc_entry)
		(void)chan_compose(&pc->pc_chan, IMSG_VERBOSE, 0, -1, &m,
		    sizeof(m));
}

void
proc_clock_step(int64_t clock_offset, int64_t date_offset)
{
	struct proc_child	*pc;
	struct msg_clock	 m = { clock_offset, date_offset };

	os_clock_step(clock_offset, date_offset);
	hello.clock_offset = clock_offset;
	hello.date_offset = date_offset;
	TAILQ_FOREACH(pc, &children, pc_entry)
		(void)chan_compose(&pc->pc_chan, IMSG_CLOCK, 0, -1, &m,
		    sizeof(m));
}

/* Relay last words and reap; returns how many still live. */
static int
shutdown_reap(int ms)
{
	struct proc_child	*pc;
	int			 left = 0, status;

	TAILQ_FOREACH(pc, &children, pc_entry) {
		if (pc->pc_pid == 0)
			continue;
		while (child_log(pc))
			continue;
		if (waitpid(pc->pc_pid, &status, WNOHANG) == 0)
			left++;
		else
			child_died(pc, status);
	}
	if (left > 0)
		(void)poll(NULL, 0, ms);
	return left;
}

void
proc_shutdown(void)
{
	struct proc_child	*pc;
	int64_t			 end;

	stopping = 1;
	TAILQ_FOREACH(pc, &children, pc_entry) {
		(void)evtimer_del(&pc->pc_ev_timer);
		chan_flush(&pc->pc_chan);
		child_detach(pc);
	}
	end = os_now() + SHUTDOWN_MS * 1000000LL;
	while (shutdown_reap(10) > 0 && os_now() < end)
		continue;
	TAILQ_FOREACH(pc, &children, pc_entry)
		if (pc->pc_pid != 0) {
			log_warnx("%s does not end: killed", pc->pc_name);
			(void)kill(pc->pc_pid, SIGKILL);
		}
	while (shutdown_reap(10) > 0)
		continue;
}
