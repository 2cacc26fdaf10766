/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What every child does before its first byte of input, and the messages
 * that all of them understand.
 */

#include <sys/types.h>
#include <sys/resource.h>

#include <err.h>
#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os.h"
#include "proc.h"

static const struct proc_self	*self;
static struct msg_hello		 hello;
static struct chan		 chan_parent;
static struct event		 ev_settled;
static int			 greeted;

static int	parent_msg(struct chan *, struct imsg *);
static void	parent_lost(struct chan *, enum chan_end);

static const struct chan_cb	 parent_cb = { parent_msg, parent_lost };

struct proc_opts {
	const char	*po_root;
	const char	*po_try;	/* REGRESS: forbidden thing to try */
	int		 po_verbose;
};

static int	with_threads;		/* -t */

static void
proc_getopt(struct proc_opts *po, int argc, char *argv[])
{
	int	 ch;

	memset(po, 0, sizeof(*po));
	while ((ch = getopt(argc, argv, "dr:T:tv")) != -1) {
		switch (ch) {
		case 'd':
			break;		/* the parent sorts its lines */
		case 'v':
			po->po_verbose++;
			break;
		case 'r':
			if (!self->ps_root_arg)
				errx(1, "-r is not for %s", self->ps_name);
			po->po_root = optarg;
			break;
		case 't':
			if (self->ps_threads == NULL)
				errx(1, "-t is not for %s", self->ps_name);
			with_threads = 1;
			break;
#ifdef REGRESS
		case 'T':
			po->po_try = optarg;
			break;
#endif
		default:
			errx(1, "only the suite's parent starts this program");
		}
	}
	if (po->po_root == NULL)
		po->po_root = EMPTY_DIR;
}

/* Ends come by EOF of the parent's channel, never by a stray signal. */
static void
proc_signals(void)
{
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
}

#ifdef REGRESS
/* One forbidden thing in the closed sandbox, then exit. */
static void
proc_try(const char *name)
{
	if (strncmp(name, "1:", 2) == 0)
		name += 2;
	else
		os_sandbox(self->ps_proc, SANDBOX_RUN);
	os_sandbox_try(name);
	exit(0);
}
#endif

/* Starting up took memory that going on does not need. */
static void
proc_settled_cb(int fd, short events, void *arg)
{
	os_mem_release();
}

static int
proc_got_startup(void)
{
	struct timeval	 tv = { PROC_SETTLED, 0 };

	if (with_threads)
		self->ps_threads();
	if (self->ps_startup != NULL)
		self->ps_startup();
	os_sandbox(self->ps_proc, SANDBOX_RUN);
	evtimer_set(&ev_settled, proc_settled_cb, NULL);
	return evtimer_add(&ev_settled, &tv);
}

void
proc_child_init(const struct proc_self *ps, void (*warmup)(void), int argc,
    char *argv[])
{
	struct proc_opts	 po;
	struct passwd		*pw;

	self = ps;
	proc_getopt(&po, argc, argv);
	if (fcntl(PARENT_FD, F_SETFD, FD_CLOEXEC) == -1)
		errx(1, "only the suite's parent starts this program");
	closefrom(PARENT_FD + 1);
	log_init_child(ps->ps_name);
	log_setverbose(po.po_verbose);
	proc_signals();

	errno = 0;
	if ((pw = getpwnam(ps->ps_user)) == NULL)
		fatalx("unknown user %s", ps->ps_user);
	os_warmup();
	if (ps->ps_parent == PROC_PARENT)	/* a node is to be small */
		os_mem_thrifty();
	if (warmup != NULL)
		warmup();
	os_privdrop(pw, po.po_root);
	os_sandbox(ps->ps_proc, SANDBOX_STARTUP);

	if (event_init() == NULL)
		fatalx("event_init");
#ifdef REGRESS
	if (po.po_try != NULL)
		proc_try(po.po_try);
#endif
	chan_open(&chan_parent, PARENT_FD, ps->ps_proc, ps->ps_parent,
	    &parent_cb, NULL);
}

void
proc_child_run(void)
{
	event_dispatch();
	fatalx("event loop ended");
}

struct chan *
proc_parent(void)
{
	return &chan_parent;
}

const struct msg_hello *
proc_hello(void)
{
	return &hello;
}

static int
proc_got_hello(struct imsg *imsg)
{
	if (greeted || msg_get(imsg, &hello, sizeof(hello)) == -1 ||
	    !msg_str_ok(hello.build, sizeof(hello.build)))
		return -1;
	if (strcmp(hello.build, proc_build_id()) != 0)
		fatalx("installed binaries are of different versions: "
		    "%s and %s", hello.build, proc_build_id());
	if (hello.proc != (uint32_t)self->ps_proc)
		return -1;
	greeted = 1;
	log_setverbose(hello.verbose);
	os_clock_step(hello.clock_offset, hello.date_offset);
	return chan_compose(&chan_parent, IMSG_READY, 0, -1, NULL, 0);
}

static int
proc_got_channel(struct imsg *imsg)
{
	struct msg_channel	 mc;

	if (msg_get(imsg, &mc, sizeof(mc)) == -1 || mc.proc >= PROC_MAX ||
	    self->ps_channel == NULL)
		return -1;
	return self->ps_channel(mc.proc, imsg_get_fd(imsg), mc.fresh != 0);
}

static int
proc_got_verbose(struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	log_setverbose(m.v);
	return 0;
}

static int
proc_got_clock(struct imsg *imsg)
{
	struct msg_clock	 mc;

	if (msg_get(imsg, &mc, sizeof(mc)) == -1)
		return -1;
	os_clock_step(mc.clock_offset, mc.date_offset);
	return 0;
}

static int
parent_msg(struct chan *c, struct imsg *imsg)
{
	if (!greeted && imsg_get_type(imsg) != IMSG_HELLO)
		return -1;
	switch (imsg_get_type(imsg)) {
	case IMSG_HELLO:
		return proc_got_hello(imsg);
	case IMSG_CHANNEL:
		return proc_got_channel(imsg);
	case IMSG_VERBOSE:
		return proc_got_verbose(imsg);
	case IMSG_CLOCK:
		return proc_got_clock(imsg);
	case IMSG_STARTUP:
		return proc_got_startup();
	default:
		return self->ps_msg(imsg);
	}
}

static void
parent_lost(struct chan *c, enum chan_end end)
{
	if (end != CHAN_EOF)
		fatalx("channel to the parent broke");
	if (self->ps_exit != NULL)
		self->ps_exit();
	exit(0);
}

void
proc_sibling_lost(struct chan *c, enum chan_end end)
{
	struct msg_u32	 m;

	if (end == CHAN_EOF) {
		log_debug("channel to %s closed", proc_name(c->c_peer));
		return;
	}
	log_warnx("channel to %s broke: asking for a new one",
	    proc_name(c->c_peer));
	m.v = c->c_peer;
	(void)chan_compose(&chan_parent, IMSG_BAD_SIBLING, 0, -1, &m,
	    sizeof(m));
}
