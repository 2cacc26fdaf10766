/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * dnsd: answers on descriptors that it was given, asks on sockets that the
 * parent connects.
 */

#include <sys/types.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dnsd.h"
#include "os.h"
#include "proc.h"

static struct chan	 chan_ctrld, chan_netd;

static int	dnsd_parent_msg(struct imsg *);
static int	dnsd_channel(enum proc, int, int);
static int	sibling_msg(struct chan *, struct imsg *);
static void	sibling_lost(struct chan *, enum chan_end);

static const struct proc_self	 self = {
	.ps_proc = PROC_DNSD,
	.ps_parent = PROC_PARENT,
	.ps_name = "dnsd",
	.ps_user = DNSD_USER,
	.ps_msg = dnsd_parent_msg,
	.ps_channel = dnsd_channel,
	.ps_startup = resolve_start
};
static const struct chan_cb	 sibling_cb = { sibling_msg, sibling_lost };

static int
sibling_msg(struct chan *c, struct imsg *imsg)
{
	if (imsg_get_type(imsg) == IMSG_RESOLVE)
		return resolve_msg(c, imsg);
	return c == &chan_ctrld ? names_msg(imsg) : -1;
}

/* Names stay: a replaced ctrld tells all of them again. */
static void
sibling_lost(struct chan *c, enum chan_end end)
{
	if (c == &chan_ctrld)
		names_abort();
	resolve_drop(c);
	proc_sibling_lost(c, end);
}

static int
dnsd_channel(enum proc peer, int fd, int fresh)
{
	struct chan	*c;

	if (peer != PROC_CTRLD && peer != PROC_NETD) {
		(void)close(fd);
		return -1;
	}
	c = peer == PROC_CTRLD ? &chan_ctrld : &chan_netd;
	if (peer == PROC_CTRLD)
		names_abort();
	resolve_drop(c);
	chan_close(c);
	chan_open(c, fd, PROC_DNSD, peer, &sibling_cb, NULL);
	return 0;
}

/* --- shoalctl debug --- */

__attribute__((__format__ (printf, 2, 3)))
static void
debug_line(uint32_t id, const char *fmt, ...)
{
	va_list	 ap;
	char	 line[MSG_TEXT_LEN];

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)chan_compose(proc_parent(), IMSG_CTL_TEXT, id, -1, line,
	    strlen(line) + 1);
}

static int
dnsd_debug(struct imsg *imsg)
{
	struct msg_str64	 m;
	uint32_t		 id = imsg_get_id(imsg), s;
	size_t			 kept, waiting;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.s, sizeof(m.s)))
		return -1;
	if (strcmp(m.s, "sandbox") == 0) {
		s = os_sandbox_status();
		debug_line(id, "dnsd: chroot %s, seccomp %s, landlock %s",
		    s & OS_SANDBOX_CHROOT ? "yes" : "no",
		    s & OS_SANDBOX_SECCOMP ? "yes" : "no",
		    s & OS_SANDBOX_LANDLOCK ? "yes" : "no");
	} else {
		resolve_count(&kept, &waiting);
		debug_line(id, "dnsd: %zu names, %zu resolvers, "
		    "%zu look-ups kept, %zu waiting", names_count(),
		    files_servers()->n, kept, waiting);
	}
	return chan_compose(proc_parent(), IMSG_CTL_END, id, -1, NULL, 0);
}

/* --- the parent --- */

static int
dnsd_reconf_end(struct imsg *imsg)
{
	struct msg_u32	 m = { 0 };

	return chan_compose(proc_parent(), IMSG_RECONF_READY,
	    imsg_get_id(imsg), -1, &m, sizeof(m));
}

static int
dnsd_conf(struct imsg *imsg)
{
	struct msg_conf_dnsd	 m;

	/* It has no settings yet. */
	return msg_get(imsg, &m, sizeof(m));
}

static int
dnsd_parent_msg(struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_START:
	case IMSG_RECONF_COMMIT:
	case IMSG_RECONF_ABORT:
		return 0;
	case IMSG_CONF_DNSD:
		return dnsd_conf(imsg);
	case IMSG_RECONF_END:
		return dnsd_reconf_end(imsg);
	case IMSG_RESOLV_CONF:
		files_read_resolv(imsg_get_fd(imsg));
		return 0;
	case IMSG_HOSTS:
		files_read_hosts(imsg_get_fd(imsg));
		return 0;
	case IMSG_DNS_SOCK:
		return serve_sock(imsg);
	case IMSG_DNS_SOCK_RESET:
		serve_reset();
		return 0;
	case IMSG_UPSTREAM_SOCK:
		return up_msg(imsg);
	case IMSG_CTL_DEBUG:
		return dnsd_debug(imsg);
	default:
		return -1;
	}
}

int
main(int argc, char *argv[])
{
	proc_child_init(&self, serve_init, argc, argv);
	names_init();
	proc_child_run();
}
