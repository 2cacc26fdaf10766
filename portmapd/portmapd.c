/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * portmapd: asks the gateway to map a port, on sockets that it was given.
 * All that the local network says about that is read here and nowhere else.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mapper.h"
#include "os.h"
#include "portmapd.h"
#include "proc.h"

#define RECV_MAX	32		/* datagrams a turn */
/* Timers stand still while the machine sleeps, leases do not. */
#define TICK_MAX	(60 * 1000000000LL)
#define DEBUG_TOPICS	"portmapd knows: portmap, sandbox"

static int	map_parent_msg(struct imsg *);
static void	map_exit(void);
static void	op_send(void *, const uint8_t *, uint16_t, const void *,
		    size_t);
static void	op_request(void *, uint16_t, const char *, size_t);
static void	op_cancel(void *);
static void	op_changed(void *);
static void	op_released(void *);
static void	map_tick_cb(int, short, void *);

static const struct proc_self	 self = {
	.ps_proc = PROC_PORTMAPD,
	.ps_parent = PROC_PARENT,
	.ps_name = "portmapd",
	.ps_user = PORTMAPD_USER,
	.ps_msg = map_parent_msg,
	.ps_exit = map_exit
};
static const struct mapper_ops	 ops = {
	op_send, op_request, op_cancel, op_changed, op_released
};

static struct mapper			 mapper;
static struct msg_conf_portmapd		 conf, conf_new;
static struct event			 ev_udp, ev_hear, ev_tick;
static int				 udp = -1;
static int				 hear = -1;	/* announcements */

/* --- time --- */

/* After each event: when is the next thing to do? */
static void
map_arm(void)
{
	struct timeval	 tv;
	int64_t		 t, now = os_now();

	if ((t = mapper_next(&mapper)) == 0) {
		(void)evtimer_del(&ev_tick);
		return;
	}
	t = t > now ? t - now : 0;
	if (t > TICK_MAX)
		t = TICK_MAX;
	tv.tv_sec = t / 1000000000LL;
	tv.tv_usec = t % 1000000000LL / 1000 + 1;
	(void)evtimer_add(&ev_tick, &tv);
}

static void
map_tick_cb(int fd, short events, void *arg)
{
	mapper_tick(&mapper, os_now());
	map_arm();
}

/* --- what the mapper does --- */

static void
op_send(void *arg, const uint8_t *ip, uint16_t port, const void *p,
    size_t len)
{
	struct sockaddr_in	 sin;
	struct msghdr		 msg;
	struct iovec		 iov;
	union {
		const void	*in;
		void		*out;
	} base = { p };

	if (udp == -1)
		return;
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons(port);
	memcpy(&sin.sin_addr, ip, sizeof(sin.sin_addr));
	memset(&msg, 0, sizeof(msg));
	iov.iov_base = base.out;
	iov.iov_len = len;
	msg.msg_name = &sin;
	msg.msg_namelen = sizeof(sin);
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	(void)sendmsg(udp, &msg, 0);	/* an answer shows that it went */
}

static void
http_answer_cb(int status, const char *body, size_t len)
{
	mapper_http(&mapper, status, body, len, os_now());
	map_arm();
}

static void
op_request(void *arg, uint16_t port, const char *text, size_t len)
{
	http_start(&mapper.m_g.gw, port, text, len, http_answer_cb);
}

static void
op_cancel(void *arg)
{
	http_cancel();
}

static void
op_changed(void *arg)
{
	const struct msg_portmap	*s = mapper_state(&mapper);
	static struct msg_endpoint	 last;
	const uint8_t			*a = s->ep.addr;

	if (memcmp(&s->ep, &last, sizeof(last)) != 0) {
		last = s->ep;
		if (s->ep.af == 0)
			log_info("no port is mapped");
		else
			log_info("%u.%u.%u.%u port %u is mapped to us by %s",
			    a[0], a[1], a[2], a[3], s->ep.port,
			    mapper_kind_name(s->kind));
	}
	(void)chan_compose(proc_parent(), IMSG_PORTMAP, 0, -1, s,
	    sizeof(*s));
}

static void
op_released(void *arg)
{
	(void)chan_compose(proc_parent(), IMSG_PORTMAP_RELEASED, 0, -1, NULL,
	    0);
}

/* --- the socket --- */

static int
map_recv(int fd)
{
	struct sockaddr_in	 sin;
	struct msghdr		 msg;
	struct iovec		 iov;
	uint8_t			 buf[SSDP_MAX + 1];
	ssize_t			 n;

	memset(&msg, 0, sizeof(msg));
	iov.iov_base = buf;
	iov.iov_len = sizeof(buf);
	msg.msg_name = &sin;
	msg.msg_namelen = sizeof(sin);
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if ((n = recvmsg(fd, &msg, 0)) == -1)
		return 0;
	if (msg.msg_namelen != sizeof(sin) || sin.sin_family != AF_INET ||
	    msg.msg_flags & MSG_TRUNC)
		return 1;
	mapper_udp(&mapper, (const uint8_t *)&sin.sin_addr,
	    ntohs(sin.sin_port), buf, n, os_now());
	return 1;
}

static void
map_udp_cb(int fd, short events, void *arg)
{
	int	 i;

	for (i = 0; i < RECV_MAX && (fd == udp || fd == hear); i++)
		if (!map_recv(fd))
			break;
	map_arm();
}

static void
map_socket(int fd)
{
	if (udp != -1) {
		(void)event_del(&ev_udp);
		close(udp);
	}
	if ((udp = fd) == -1)
		return;
	event_set(&ev_udp, fd, EV_READ | EV_PERSIST, map_udp_cb, NULL);
	(void)event_add(&ev_udp, NULL);
}

/*
 * What comes here is looked at like an answer: from the gateway alone. If
 * that has lost its memory, the mapping is asked for at once.
 */
static int
map_hear(struct imsg *imsg)
{
	int	 fd;

	if ((fd = imsg_get_fd(imsg)) == -1)
		return -1;
	if (hear != -1) {
		(void)event_del(&ev_hear);
		close(hear);
	}
	hear = fd;
	event_set(&ev_hear, fd, EV_READ | EV_PERSIST, map_udp_cb, NULL);
	(void)event_add(&ev_hear, NULL);
	return 0;
}

static int
map_gateway(struct imsg *imsg)
{
	struct msg_gateway	 g;
	int			 fd = imsg_get_fd(imsg), differs;

	if (msg_get(imsg, &g, sizeof(g)) == -1 ||
	    (g.gw.af != 0) != (fd != -1)) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	/* What the old one holds is given back by the old socket. */
	if ((differs = mapper_differs(&mapper, &g)) != 0)
		mapper_forget(&mapper, &g, os_now());
	map_socket(fd);
	if (differs)
		mapper_gateway(&mapper, &g, os_now());
	map_arm();
	return 0;
}

/* The end comes at once: what can be given back without waiting, is. */
static void
map_exit(void)
{
	if (!mapper.m_ending)
		mapper_release(&mapper, os_now());
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

static const char *
tri(uint8_t v)
{
	return v == PORTMAP_YES ? "yes" : v == PORTMAP_NO ? "no" : "unknown";
}

static void
debug_portmap(uint32_t id)
{
	const struct mapper	*m = &mapper;
	const uint8_t		*gw = m->m_g.gw.addr, *own = m->m_g.own.addr;
	int64_t			 now = os_now(), next = mapper_next(m);

	if (!conf.enabled)
		debug_line(id, "portmap: off (port mapping no)");
	else if (m->m_step == MAPPER_OFF)
		debug_line(id, "portmap: no private IPv4 gateway");
	else
		debug_line(id, "portmap: gateway %u.%u.%u.%u, own address "
		    "%u.%u.%u.%u, port %u", gw[0], gw[1], gw[2], gw[3],
		    own[0], own[1], own[2], own[3], m->m_g.port);
	debug_line(id, "portmap: NAT-PMP %s, PCP %s, UPnP %s",
	    tri(m->m_can[PORTMAP_PMP]), tri(m->m_can[PORTMAP_PCP]),
	    tri(m->m_can[PORTMAP_UPNP]));
	if (m->m_mapped != 0)
		debug_line(id, "portmap: %u.%u.%u.%u port %u is mapped by "
		    "%s, for %lld s more", m->m_ip[0], m->m_ip[1],
		    m->m_ip[2], m->m_ip[3], m->m_port,
		    mapper_kind_name(m->m_mapped),
		    (long long)((m->m_good_until - now) / 1000000000LL));
	else
		debug_line(id, "portmap: nothing is mapped");
	if (next > now)
		debug_line(id, "portmap: next thing to do in %lld s",
		    (long long)((next - now) / 1000000000LL));
	if (m->m_ignored != 0)
		debug_line(id, "portmap: %llu answers of others ignored",
		    (unsigned long long)m->m_ignored);
}

static void
debug_sandbox(uint32_t id)
{
	uint32_t	 s = os_sandbox_status();

	debug_line(id, "portmapd: chroot %s, seccomp %s, landlock %s",
	    s & OS_SANDBOX_CHROOT ? "yes" : "no",
	    s & OS_SANDBOX_SECCOMP ? "yes" : "no",
	    s & OS_SANDBOX_LANDLOCK ? "yes" : "no");
}

static int
map_debug(struct imsg *imsg)
{
	struct msg_ctl_fail	 fail;
	struct msg_str64	 m;
	uint32_t		 id = imsg_get_id(imsg);

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.s, sizeof(m.s)))
		return -1;
	if (strcmp(m.s, "sandbox") == 0)
		debug_sandbox(id);
	else if (m.s[0] == '\0' || strcmp(m.s, "portmap") == 0)
		debug_portmap(id);
	else {
		memset(&fail, 0, sizeof(fail));
		fail.code = 2;
		(void)strlcpy(fail.text, DEBUG_TOPICS, sizeof(fail.text));
		return chan_compose(proc_parent(), IMSG_CTL_FAIL, id, -1,
		    &fail, sizeof(fail));
	}
	return chan_compose(proc_parent(), IMSG_CTL_END, id, -1, NULL, 0);
}

/* --- the parent --- */

static int
map_conf(struct imsg *imsg)
{
	struct msg_u32	 m = { 0 };

	switch (imsg_get_type(imsg)) {
	case IMSG_CONF_PORTMAPD:
		return msg_get(imsg, &conf_new, sizeof(conf_new));
	case IMSG_RECONF_END:
		return chan_compose(proc_parent(), IMSG_RECONF_READY,
		    imsg_get_id(imsg), -1, &m, sizeof(m));
	case IMSG_RECONF_COMMIT:
		conf = conf_new;
		mapper_set_lease(&mapper, conf.lease);
		return 0;
	default:
		conf_new = conf;
		return 0;
	}
}

static int
map_restore(struct imsg *imsg)
{
	struct msg_portmap	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	mapper_restore(&mapper, &m);
	return 0;
}

static int
map_parent_msg(struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_START:
	case IMSG_CONF_PORTMAPD:
	case IMSG_RECONF_END:
	case IMSG_RECONF_COMMIT:
	case IMSG_RECONF_ABORT:
		return map_conf(imsg);
	case IMSG_PORTMAP:
		return map_restore(imsg);
	case IMSG_GATEWAY:
		return map_gateway(imsg);
	case IMSG_GATEWAY_HEAR:
		return map_hear(imsg);
	case IMSG_CONNECTED:
		return http_connected(imsg);
	case IMSG_PORTMAP_PROBE:
		mapper_probe(&mapper, os_now());
		map_arm();
		return 0;
	case IMSG_PORTMAP_RELEASE:
		mapper_release(&mapper, os_now());
		map_arm();
		return 0;
	case IMSG_CTL_DEBUG:
		return map_debug(imsg);
	default:
		return -1;
	}
}

int
main(int argc, char *argv[])
{
	proc_child_init(&self, NULL, argc, argv);
	mapper_init(&mapper, &ops, NULL);
	evtimer_set(&ev_tick, map_tick_cb, NULL);
	proc_child_run();
}
