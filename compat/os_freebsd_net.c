/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The tunnel device and routing tables of FreeBSD, for the parents. With
 * TUNSIFHEAD packets of tun(4) have 4 bytes of address family in front, as
 * without it only IPv4 could be written: TUN_AFHDR.
 */

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <net/if.h>
#include <net/if_tun.h>
#include <net/route.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "os_bsd_net.h"

#define ESCAPE_FIB	1	/* a routing table without our routes */

static int
tun_rename(struct os_tun *tun, const char *name)
{
	struct ifreq	 ifr;
	char		 new[IFNAMSIZ];
	int		 s, ret;

	if ((s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	memset(&ifr, 0, sizeof(ifr));
	(void)strlcpy(ifr.ifr_name, tun->t_name, sizeof(ifr.ifr_name));
	(void)strlcpy(new, name, sizeof(new));
	ifr.ifr_data = new;
	if ((ret = ioctl(s, SIOCSIFNAME, &ifr)) == 0)
		(void)strlcpy(tun->t_name, name, sizeof(tun->t_name));
	(void)close(s);
	return ret;
}

int
os_tun_open(struct os_tun *tun, const char *name, uint32_t mtu, int queues,
    uint32_t caps)
{
	struct ifreq	 ifr;
	int		 fd, mode = IFF_POINTOPOINT, on = 1;

	memset(tun, 0, sizeof(*tun));
	memset(&ifr, 0, sizeof(ifr));
	if ((fd = open("/dev/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)) == -1)
		return -1;
	tun->t_fd[0] = fd;
	tun->t_nfd = 1;
	/* TUNSTRANSIENT: it goes with its last descriptor. */
	if (ioctl(fd, TUNGIFNAME, &ifr) == -1 ||
	    ioctl(fd, TUNSIFMODE, &mode) == -1 ||
	    ioctl(fd, TUNSIFHEAD, &on) == -1 ||
	    ioctl(fd, TUNSTRANSIENT, &on) == -1)
		goto bad;
	(void)strlcpy(tun->t_name, ifr.ifr_name, sizeof(tun->t_name));
	if (strcmp(tun->t_name, name) != 0 && tun_rename(tun, name) == -1)
		goto bad;
	tun->t_mtu = mtu;
	tun->t_caps = TUN_AFHDR;
	tun->t_ifindex = if_nametoindex(tun->t_name);
	if (tun->t_ifindex == 0 || bsd_if_up(tun->t_name, mtu) == -1)
		goto bad;
	return 0;
bad:
	os_tun_close(tun);
	return -1;
}

/* Needs net.fibs of 2 or more; else there is nothing to escape to. */
int
os_sock_escape(int fd)
{
	int	 fib = ESCAPE_FIB;

	if (setsockopt(fd, SOL_SOCKET, SO_SETFIB, &fib, sizeof(fib)) == 0 ||
	    errno == EINVAL)
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
	return socket(AF_ROUTE, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
