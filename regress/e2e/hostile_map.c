/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A portmapd that was taken over: asks its parent for connections to others
 * than the gateway, then tells a mapped port that can be none.
 */

#include <sys/types.h>

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"

#define GATEWAY		"10.77.0.1"

static int	 hostile_msg(struct imsg *);

static const struct proc_self	 self = {
	.ps_proc = PROC_PORTMAPD,
	.ps_parent = PROC_PARENT,
	.ps_name = "portmapd",
	.ps_user = "_shoalmap",
	.ps_msg = hostile_msg
};

/* Only the first one is the gateway, and for the right purpose. */
static const struct {
	const char	*addr;
	uint16_t	 port;
	uint32_t	 purpose;
} wishes[] = {
	{ GATEWAY, 8080, CONN_UPNP },
	{ "10.77.0.2", 22, CONN_UPNP },
	{ "127.0.0.1", 22, CONN_UPNP },
	{ "169.254.169.254", 80, CONN_UPNP },
	{ "100.64.0.1", 80, CONN_UPNP },
	{ "192.0.2.1", 80, CONN_UPNP },
	{ GATEWAY, 8080, CONN_CONTROL },
	{ GATEWAY, 8080, CONN_DERP },
	{ GATEWAY, 8080, CONN_PROBE }
};
#define NWISHES	(sizeof(wishes) / sizeof(wishes[0]))

static struct msg_gateway	 gw;
static unsigned int		 answers, sockets;

static void
say(enum msg_type type, uint32_t id, const void *data, size_t len)
{
	(void)chan_compose(proc_parent(), type, id, -1, data, len);
}

static void
wish(void)
{
	struct msg_connect	 m;
	size_t			 i;

	for (i = 0; i < NWISHES; i++) {
		memset(&m, 0, sizeof(m));
		m.ep.af = AF_WIRE_INET;
		(void)inet_pton(AF_INET, wishes[i].addr, m.ep.addr);
		m.ep.port = wishes[i].port;
		m.purpose = wishes[i].purpose;
		say(IMSG_CONNECT, i, &m, sizeof(m));
	}
}

static void
lie(void)
{
	struct msg_portmap	 m;

	memset(&m, 0, sizeof(m));
	m.g = gw;
	m.ep.af = AF_WIRE_INET;
	m.ep.addr[0] = 127;
	m.ep.addr[3] = 1;
	m.ep.port = 22;
	m.kind = PORTMAP_PMP;
	say(IMSG_PORTMAP, 0, &m, sizeof(m));
}

static void
connected(struct imsg *imsg)
{
	int	 fd;

	if ((fd = imsg_get_fd(imsg)) != -1) {
		close(fd);
		sockets++;
		if (imsg_get_id(imsg) != 0)
			log_warnx("GOT A SOCKET to %s",
			    wishes[imsg_get_id(imsg)].addr);
	}
	if (++answers < NWISHES)
		return;
	log_warnx("%u of %zu connected", sockets, NWISHES);
	lie();
}

static int
hostile_msg(struct imsg *imsg)
{
	struct msg_u32	 ready = { 0 };
	int		 fd;

	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_END:
		say(IMSG_RECONF_READY, 0, &ready, sizeof(ready));
		break;
	case IMSG_GATEWAY:
		if ((fd = imsg_get_fd(imsg)) != -1)
			close(fd);
		if (msg_get(imsg, &gw, sizeof(gw)) == 0 && gw.gw.af != 0)
			wish();
		break;
	case IMSG_CONNECTED:
		connected(imsg);
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
