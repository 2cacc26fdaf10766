/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The tunnel device and routing tables of OpenBSD, for the parents. Packets
 * of tun(4) have 4 bytes of address family in front: TUN_AFHDR.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <net/if.h>
#include <net/route.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os_bsd_net.h"

#define TUN_UNITS	256
#define ESCAPE_TABLE	1	/* a routing table without our routes */

/* The number is the name, and opening the device makes the interface. */
static int
tun_try(struct os_tun *tun, int unit)
{
	char	 path[32];
	int	 fd;

	(void)snprintf(path, sizeof(path), "/dev/tun%d", unit);
	if ((fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) == -1)
		return -1;
	(void)snprintf(tun->t_name, sizeof(tun->t_name), "tun%d", unit);
	tun->t_fd[0] = fd;
	tun->t_nfd = 1;
	return 0;
}

int
os_tun_open(struct os_tun *tun, const char *name, uint32_t mtu, int queues,
    uint32_t caps)
{
	const char	*errstr = "";
	int		 unit = 0, ret = -1;

	memset(tun, 0, sizeof(*tun));
	if (strncmp(name, "tun", 3) == 0)
		unit = strtonum(name + 3, 0, TUN_UNITS - 1, &errstr);
	if (errstr == NULL)
		ret = tun_try(tun, unit);
	else			/* any other name: the first that is free */
		for (unit = 0; unit < TUN_UNITS && ret == -1; unit++)
			ret = tun_try(tun, unit);
	if (ret == -1)
		return -1;
	tun->t_mtu = mtu;
	tun->t_caps = TUN_AFHDR;
	tun->t_ifindex = if_nametoindex(tun->t_name);
	if (tun->t_ifindex == 0 || bsd_if_up(tun->t_name, mtu) == -1) {
		os_tun_close(tun);
		return -1;
	}
	return 0;
}

/*
 * Our own sockets use another routing table, which the administrator fills
 * (route -T 1 add default ...); without one there is nothing to escape to.
 */
int
os_sock_escape(int fd)
{
	int	 table = ESCAPE_TABLE;

	if (setsockopt(fd, SOL_SOCKET, SO_RTABLE, &table, sizeof(table)) ==
	    0 || errno == EINVAL || errno == EAFNOSUPPORT)
		return 0;
	return -1;
}

int
os_rules_set(int on)
{
	return 0;
}

int
os_link_open(void)
{
	unsigned int	 filter;
	int		 fd;

	fd = socket(AF_ROUTE, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	filter = ROUTE_FILTER(RTM_IFINFO) | ROUTE_FILTER(RTM_NEWADDR) |
	    ROUTE_FILTER(RTM_DELADDR) | ROUTE_FILTER(RTM_ADD) |
	    ROUTE_FILTER(RTM_DELETE) | ROUTE_FILTER(RTM_CHANGE);
	if (setsockopt(fd, AF_ROUTE, ROUTE_MSGFILTER, &filter,
	    sizeof(filter)) == -1) {
		(void)close(fd);
		return -1;
	}
	return fd;
}
