/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A ctrld that was taken over: takes the real one's place and asks its
 * parent for what it must not get. The hostname in the configuration says
 * what it does.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>

#include "os.h"
#include "proc.h"

#define CONNECTS	20000
#define CHANGES		2000

static int	 hostile_msg(struct imsg *);
static int	 hostile_channel(enum proc, int, int);
static void	 hostile_startup(void);
static int	 sibling_msg(struct chan *, struct imsg *);

static const struct proc_self	 self = {
	.ps_proc = PROC_CTRLD,
	.ps_parent = PROC_PARENT,
	.ps_name = "ctrld",
	.ps_user = "_shoalctl",
	.ps_msg = hostile_msg,
	.ps_channel = hostile_channel,
	.ps_startup = hostile_startup
};
static const struct chan_cb	 sibling_cb = {
	sibling_msg, proc_sibling_lost
};
static struct chan		 siblings[PROC_MAX];
static char			 act[64];

/* What the broker must refuse; the control server is 10.77.0.1:8080. */
static const struct {
	const char	*addr;
	uint16_t	 port;
	uint32_t	 purpose;
} forbidden[] = {
	{ "127.0.0.1", 8080, CONN_CONTROL },
	{ "::1", 8080, CONN_CONTROL },
	{ "10.77.0.1", 22, CONN_CONTROL },
	{ "10.77.0.2", 8080, CONN_CONTROL },
	{ "169.254.169.254", 8080, CONN_CONTROL },
	{ "100.64.0.1", 8080, CONN_CONTROL },
	{ "10.77.0.1", 8080, CONN_DERP },
	{ "10.77.0.1", 8080, CONN_PROBE },
	{ "10.77.0.1", 8080, CONN_UPNP }
};

static const struct {
	const char	*addr;
	int		 plen;
	int		 route;
} wishes[] = {
	{ "100.64.7.7", 32, 0 },
	{ "100.64.0.0", 10, 1 },
	{ "10.77.0.1", 32, 0 },
	{ "127.0.0.1", 32, 0 },
	{ "100.100.100.100", 32, 0 },
	{ "0.0.0.0", 0, 1 },
	{ "10.77.0.0", 24, 1 },
	{ "::", 0, 1 }
};

static int
sibling_msg(struct chan *c, struct imsg *imsg)
{
	return 0;
}

static int
hostile_channel(enum proc proc, int fd, int fresh)
{
	chan_open(&siblings[proc], fd, PROC_CTRLD, proc, &sibling_cb, NULL);
	return 0;
}

static void
say(enum msg_type type, const void *data, size_t len)
{
	(void)chan_compose(proc_parent(), type, 0, -1, data, len);
}

static uint8_t
address(const char *text, uint8_t *addr)
{
	if (inet_pton(AF_INET, text, addr) == 1)
		return AF_WIRE_INET;
	(void)inet_pton(AF_INET6, text, addr);
	return AF_WIRE_INET6;
}

static void
wish(const char *addr, int plen, int route)
{
	struct msg_prefix	 p;

	memset(&p, 0, sizeof(p));
	p.af = address(addr, p.addr);
	p.plen = plen;
	say(route ? IMSG_IFCONF_ROUTE : IMSG_IFCONF_ADDR, &p, sizeof(p));
}

static void
connect_to(const char *addr, uint16_t port, uint32_t purpose)
{
	struct msg_connect	 m;

	memset(&m, 0, sizeof(m));
	m.ep.af = address(addr, m.ep.addr);
	m.ep.port = port;
	m.purpose = purpose;
	say(IMSG_CONNECT, &m, sizeof(m));
}

static void
act_policy(void)
{
	size_t	 i;

	say(IMSG_IFCONF_BEGIN, NULL, 0);
	for (i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++)
		wish(wishes[i].addr, wishes[i].plen, wishes[i].route);
	say(IMSG_IFCONF_COMMIT, NULL, 0);
	for (i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		connect_to(forbidden[i].addr, forbidden[i].port,
		    forbidden[i].purpose);
}

static void
act_flood(void)
{
	int	 i;

	for (i = 0; i < CONNECTS; i++)
		connect_to("10.77.0.1", 8080, CONN_CONTROL);
	for (i = 0; i < CHANGES; i++) {
		say(IMSG_IFCONF_BEGIN, NULL, 0);
		wish("100.64.7.7", 32, 0);
		if (i & 1)
			wish("100.64.0.0", 10, 1);
		say(IMSG_IFCONF_COMMIT, NULL, 0);
		say(IMSG_CACHE_WRITE, NULL, 0);
	}
}

/* netd's word, not ours: past our own side's check. */
static void
act_foreign(void)
{
	struct msg_u32	 m = { AF_WIRE_INET };

	(void)imsg_compose(&proc_parent()->c_imsgbuf, IMSG_UDP_REBIND, 0, 0,
	    -1, &m, sizeof(m));
	chan_push(proc_parent());
}

static void
hostile_startup(void)
{
	if (strcmp(act, "policy") == 0)
		act_policy();
	else if (strcmp(act, "flood") == 0)
		act_flood();
	else if (strcmp(act, "order") == 0)
		wish("100.64.7.7", 32, 0);	/* with no IFCONF_BEGIN */
	else if (strcmp(act, "foreign") == 0)
		act_foreign();
	else if (strcmp(act, "silent") == 0)
		(void)poll(NULL, 0, -1);
}

static int
hostile_msg(struct imsg *imsg)
{
	struct msg_conf_ctrld	 conf;
	struct msg_u32		 ready = { 0 };
	int			 fd;

	switch (imsg_get_type(imsg)) {
	case IMSG_CONF_CTRLD:
		if (msg_get(imsg, &conf, sizeof(conf)) == -1)
			return -1;
		(void)strlcpy(act, conf.hostname, sizeof(act));
		break;
	case IMSG_RECONF_END:
		say(IMSG_RECONF_READY, &ready, sizeof(ready));
		break;
	case IMSG_CONNECTED:
		if ((fd = imsg_get_fd(imsg)) != -1)
			log_warnx("GOT A SOCKET");
		break;
	default:
		break;
	}
	return 0;
}

int
main(int argc, char *argv[])
{
	proc_child_init(&self, NULL, argc, argv);
	proc_child_run();
}
