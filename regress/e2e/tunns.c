/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * TUN devices in other network namespaces, for the test laboratories.
 */

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tunns.h"

int
tun_attach(const char *spec)
{
	struct ifreq	 ifr;
	char		 path[128];
	const char	*ifname;
	int		 fd, home, ns, len;

	if ((ifname = strchr(spec, ':')) == NULL || ifname[1] == '\0' ||
	    strlen(ifname + 1) >= sizeof(ifr.ifr_name))
		errx(1, "%s: not namespace:interface", spec);
	len = snprintf(path, sizeof(path), "/run/netns/%.*s",
	    (int)(ifname - spec), spec);
	if (len < 0 || (size_t)len >= sizeof(path))
		errx(1, "%s: too long", spec);
	if ((home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) == -1 ||
	    (ns = open(path, O_RDONLY | O_CLOEXEC)) == -1 ||
	    setns(ns, CLONE_NEWNET) == -1)
		err(1, "%s", path);
	if ((fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)) == -1)
		err(1, "/dev/net/tun");
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = IFF_TUN | IFF_NO_PI;
	memcpy(ifr.ifr_name, ifname + 1, strlen(ifname + 1));
	if (ioctl(fd, TUNSETIFF, &ifr) == -1)
		err(1, "%s: TUNSETIFF", spec);
	if (setns(home, CLONE_NEWNET) == -1)
		err(1, "setns");
	close(ns);
	close(home);
	return fd;
}

int
ctl_open(const char *path)
{
	int	 fd;

	(void)unlink(path);
	if (mkfifo(path, 0600) == -1 ||
	    (fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) == -1)
		err(1, "%s", path);
	return fd;
}

void
ctl_read(int fd, void (*line)(char *))
{
	static char	 buf[1024];
	static size_t	 used;
	char		*nl;
	ssize_t		 n;

	while ((n = read(fd, buf + used, sizeof(buf) - used)) > 0) {
		used += n;
		while ((nl = memchr(buf, '\n', used)) != NULL) {
			*nl++ = '\0';
			line(buf);
			used -= nl - buf;
			memmove(buf, nl, used);
		}
		if (used == sizeof(buf))
			errx(1, "control line too long");
	}
}

uint64_t
now_us(void)
{
	struct timespec	 ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		err(1, "clock_gettime");
	return (uint64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
