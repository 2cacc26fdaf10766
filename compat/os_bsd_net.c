/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses by ioctl, routes and changes by the routing socket: what OpenBSD
 * and FreeBSD have in common for the parents.
 */

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/utsname.h>

#include <net/if.h>
#include <net/if_dl.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netinet/in_systm.h>
#include <netinet/ip.h>
#include <netinet6/in6_var.h>
#include <netinet6/nd6.h>

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os_bsd_net.h"

#define RT_PRIO		8		/* OpenBSD: as a static route */
#define UDP_BUFFER	(4 * 1024 * 1024)

/* --- interface --- */

int
bsd_if_up(const char *name, uint32_t mtu)
{
	struct ifreq	 ifr;
	int		 s, ret = -1;

	if ((s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	memset(&ifr, 0, sizeof(ifr));
	(void)strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
	ifr.ifr_mtu = mtu;
	if (ioctl(s, SIOCSIFMTU, &ifr) == -1)
		goto done;
	if (ioctl(s, SIOCGIFFLAGS, &ifr) == -1)
		goto done;
	ifr.ifr_flags |= IFF_UP;
	ret = ioctl(s, SIOCSIFFLAGS, &ifr);
done:
	(void)close(s);
	return ret;
}

void
os_tun_close(struct os_tun *tun)
{
	int	 i;

	for (i = 0; i < tun->t_nfd; i++)
		(void)close(tun->t_fd[i]);
	tun->t_nfd = 0;
}

/* --- addresses --- */

static void
sin_set(struct sockaddr_in *sin, const uint8_t *addr)
{
	memset(sin, 0, sizeof(*sin));
	sin->sin_len = sizeof(*sin);
	sin->sin_family = AF_INET;
	memcpy(&sin->sin_addr, addr, sizeof(sin->sin_addr));
}

static void
sin6_set(struct sockaddr_in6 *sin6, const uint8_t *addr)
{
	memset(sin6, 0, sizeof(*sin6));
	sin6->sin6_len = sizeof(*sin6);
	sin6->sin6_family = AF_INET6;
	memcpy(&sin6->sin6_addr, addr, sizeof(sin6->sin6_addr));
}

static void
mask_set(uint8_t *mask, unsigned int plen)
{
	unsigned int	 i;

	memset(mask, 0, 16);
	for (i = 0; i < plen; i++)
		mask[i / 8] |= 0x80 >> (i % 8);
}

static int
addr_set4(const struct os_tun *tun, const struct msg_prefix *p, int on)
{
	struct ifaliasreq	 req;
	struct sockaddr_in	 sin;
	uint8_t			 mask[16];
	int			 s, ret;

	memset(&req, 0, sizeof(req));
	(void)strlcpy(req.ifra_name, tun->t_name, sizeof(req.ifra_name));
	sin_set(&sin, p->addr);
	memcpy(&req.ifra_addr, &sin, sizeof(sin));
	memcpy(&req.ifra_broadaddr, &sin, sizeof(sin));	/* the far end */
	mask_set(mask, p->plen);
	sin_set(&sin, mask);
	memcpy(&req.ifra_mask, &sin, sizeof(sin));
	if ((s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	ret = ioctl(s, on ? SIOCAIFADDR : SIOCDIFADDR, &req);
	(void)close(s);
	return ret;
}

static int
addr_set6(const struct os_tun *tun, const struct msg_prefix *p, int on)
{
	struct in6_aliasreq	 req;
	struct in6_ifreq	 del;
	uint8_t			 mask[16];
	int			 s, ret;

	if ((s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	if (!on) {
		memset(&del, 0, sizeof(del));
		(void)strlcpy(del.ifr_name, tun->t_name,
		    sizeof(del.ifr_name));
		sin6_set(&del.ifr_addr, p->addr);
		ret = ioctl(s, SIOCDIFADDR_IN6, &del);
		(void)close(s);
		return ret;
	}
	memset(&req, 0, sizeof(req));
	(void)strlcpy(req.ifra_name, tun->t_name, sizeof(req.ifra_name));
	sin6_set(&req.ifra_addr, p->addr);
	mask_set(mask, p->plen);
	sin6_set(&req.ifra_prefixmask, mask);
	req.ifra_lifetime.ia6t_vltime = ND6_INFINITE_LIFETIME;
	/* Not as a source: it is preferred for no time at all. */
	req.ifra_lifetime.ia6t_pltime = on == OS_ADDR_DEPRECATED ? 0 :
	    ND6_INFINITE_LIFETIME;
	ret = ioctl(s, SIOCAIFADDR_IN6, &req);
	(void)close(s);
	return ret;
}

int
os_addr_set(const struct os_tun *tun, const struct msg_prefix *p, int on)
{
	switch (p->af) {
	case AF_WIRE_INET:
		return addr_set4(tun, p, on);
	case AF_WIRE_INET6:
		return addr_set6(tun, p, on);
	default:
		errno = EAFNOSUPPORT;
		return -1;
	}
}

static unsigned int
mask_len(const struct sockaddr *sa)
{
	const uint8_t	*p = (const uint8_t *)sa;
	unsigned int	 i, off, bits;

	if (sa == NULL)
		return 0;
	off = sa->sa_family == AF_INET ?
	    offsetof(struct sockaddr_in, sin_addr) :
	    offsetof(struct sockaddr_in6, sin6_addr);
	bits = sa->sa_family == AF_INET ? 32 : 128;
	for (i = 0; i < bits && off + i / 8 < sa->sa_len; i++)
		if ((p[off + i / 8] & (0x80 >> (i % 8))) == 0)
			break;
	return i;
}

static int
localaddr_fill(struct msg_localaddr *la, const struct ifaddrs *ifa)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	memset(la, 0, sizeof(*la));
	if (ifa->ifa_addr->sa_family == AF_INET) {
		memcpy(&sin, ifa->ifa_addr, sizeof(sin));
		la->p.af = AF_WIRE_INET;
		memcpy(la->p.addr, &sin.sin_addr, 4);
	} else if (ifa->ifa_addr->sa_family == AF_INET6) {
		memcpy(&sin6, ifa->ifa_addr, sizeof(sin6));
		la->p.af = AF_WIRE_INET6;
		memcpy(la->p.addr, &sin6.sin6_addr, 16);
		if (IN6_IS_ADDR_LINKLOCAL(&sin6.sin6_addr)) {
			la->flags |= LOCALADDR_LINKLOCAL;
			la->p.addr[2] = la->p.addr[3] = 0;  /* the scope */
		}
	} else
		return -1;
	la->p.plen = mask_len(ifa->ifa_netmask);
	la->ifindex = if_nametoindex(ifa->ifa_name);
	if (ifa->ifa_flags & IFF_LOOPBACK)
		la->flags |= LOCALADDR_LOOPBACK;
	(void)strlcpy(la->ifname, ifa->ifa_name, sizeof(la->ifname));
	return 0;
}

int
os_addrs_get(const struct os_tun *tun, struct msg_localaddr **list, size_t *n)
{
	struct ifaddrs		*all, *ifa;
	struct msg_localaddr	*new, la;

	*list = NULL;
	*n = 0;
	if (getifaddrs(&all) == -1)
		return -1;
	for (ifa = all; ifa != NULL; ifa = ifa->ifa_next) {
		if (ifa->ifa_addr == NULL || (ifa->ifa_flags & IFF_UP) == 0 ||
		    strcmp(ifa->ifa_name, tun->t_name) == 0 ||
		    localaddr_fill(&la, ifa) == -1)
			continue;
		new = reallocarray(*list, *n + 1, sizeof(**list));
		if (new == NULL) {
			free(*list);
			*list = NULL;
			freeifaddrs(all);
			return -1;
		}
		*list = new;
		(*list)[(*n)++] = la;
	}
	freeifaddrs(all);
	return 0;
}

/* --- routes --- */

/* Addresses in a routing message are padded to longs. */
static void
rt_put(uint8_t *buf, size_t *len, const void *sa, size_t salen)
{
	memcpy(buf + *len, sa, salen);
	*len += (salen + sizeof(long) - 1) / sizeof(long) * sizeof(long);
}

static void
rt_put_ip(uint8_t *buf, size_t *len, uint8_t af, const uint8_t *addr)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	if (af == AF_WIRE_INET) {
		sin_set(&sin, addr);
		rt_put(buf, len, &sin, sizeof(sin));
	} else {
		sin6_set(&sin6, addr);
		rt_put(buf, len, &sin6, sizeof(sin6));
	}
}

int
bsd_route_send(const struct os_tun *tun, const struct msg_prefix *p,
    const struct msg_ip *src, int on)
{
	struct rt_msghdr	 rtm;
	struct sockaddr_dl	 sdl;
	uint8_t			 buf[1024], mask[16];
	size_t			 len = sizeof(rtm);
	ssize_t			 n;
	int			 s;

	memset(buf, 0, sizeof(buf));
	memset(&rtm, 0, sizeof(rtm));
	memset(&sdl, 0, sizeof(sdl));
	rtm.rtm_version = RTM_VERSION;
	rtm.rtm_type = on ? RTM_ADD : RTM_DELETE;
	rtm.rtm_flags = RTF_UP | RTF_STATIC;
	rtm.rtm_addrs = RTA_DST | RTA_GATEWAY | RTA_NETMASK;
#ifdef __OpenBSD__
	rtm.rtm_hdrlen = sizeof(rtm);
	rtm.rtm_priority = RT_PRIO;
#endif
	rt_put_ip(buf, &len, p->af, p->addr);
	sdl.sdl_len = sizeof(sdl);
	sdl.sdl_family = AF_LINK;
	sdl.sdl_index = tun->t_ifindex;
	rt_put(buf, &len, &sdl, sizeof(sdl));
	mask_set(mask, p->plen);
	rt_put_ip(buf, &len, p->af, mask);
	if (src != NULL && src->af == p->af) {
		rtm.rtm_addrs |= RTA_IFA;	/* the preferred source */
		rt_put_ip(buf, &len, src->af, src->addr);
	}
	rtm.rtm_msglen = len;
	memcpy(buf, &rtm, sizeof(rtm));
	if ((s = socket(AF_ROUTE, SOCK_RAW | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	n = write(s, buf, len);
	(void)close(s);
	return n == (ssize_t)len ? 0 : -1;
}

int
os_route_set(const struct os_tun *tun, const struct msg_prefix *p,
    const struct msg_ip *src, int on)
{
	if (p->af != AF_WIRE_INET && p->af != AF_WIRE_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	if (bsd_route_send(tun, p, src, on) == 0)
		return 0;
	/* Done before is done. */
	return (on && errno == EEXIST) || (!on && errno == ESRCH) ? 0 : -1;
}

/* An address of a routing message, and the bytes to the next one. */
static size_t
rt_addr(const uint8_t *p, const uint8_t *end, struct sockaddr *sa)
{
	memset(sa, 0, sizeof(*sa));
	if ((size_t)(end - p) < sizeof(*sa))
		return 0;
	memcpy(sa, p, sizeof(*sa));
	if (sa->sa_len == 0)
		return sizeof(long);
	return (sa->sa_len + sizeof(long) - 1) / sizeof(long) * sizeof(long);
}

/* Is it the default route? Its gateway: 0, or -1. */
static int
rt_gateway(const uint8_t *p, const uint8_t *end, int addrs,
    struct msg_ip *ip)
{
	struct sockaddr_in	 dst, gw;
	struct sockaddr		 sa;
	size_t			 n;

	if ((addrs & (RTA_DST | RTA_GATEWAY)) != (RTA_DST | RTA_GATEWAY) ||
	    (n = rt_addr(p, end, &sa)) == 0)
		return -1;
	memcpy(&dst, &sa, sizeof(dst));
	p += n;
	if (p >= end || rt_addr(p, end, &sa) == 0 ||
	    sa.sa_family != AF_INET || dst.sin_addr.s_addr != 0)
		return -1;
	memcpy(&gw, &sa, sizeof(gw));
	memset(ip, 0, sizeof(*ip));
	ip->af = AF_WIRE_INET;
	memcpy(ip->addr, &gw.sin_addr, 4);
	return 0;
}

/* The first one of the table is the one that counts. */
int
os_gateway_get(struct msg_ip *ip, uint32_t *ifindex)
{
	int			 mib[6] = { CTL_NET, PF_ROUTE, 0, AF_INET,
				    NET_RT_FLAGS, RTF_GATEWAY };
	struct rt_msghdr	 rtm;
	uint8_t			*buf, *p, *end;
	size_t			 len, head;

	if (sysctl(mib, 6, NULL, &len, NULL, 0) == -1 ||
	    (buf = malloc(len + 1)) == NULL)
		return -1;
	if (sysctl(mib, 6, buf, &len, NULL, 0) == -1) {
		free(buf);
		return -1;
	}
	end = buf + len;
	for (p = buf; (size_t)(end - p) >= sizeof(rtm);
	    p += rtm.rtm_msglen) {
		memcpy(&rtm, p, sizeof(rtm));
		head = sizeof(rtm);
#ifdef __OpenBSD__
		head = rtm.rtm_hdrlen;
#endif
		if (rtm.rtm_msglen < head ||
		    rtm.rtm_msglen > (size_t)(end - p))
			break;
		if ((rtm.rtm_flags & RTF_UP) == 0 || rt_gateway(p + head,
		    p + rtm.rtm_msglen, rtm.rtm_addrs, ip) == -1)
			continue;
		*ifindex = rtm.rtm_index;
		free(buf);
		return 0;
	}
	free(buf);
	errno = ENOENT;
	return -1;
}

/* --- changes --- */

int
os_link_read(int fd)
{
	struct rt_msghdr	 rtm;
	uint8_t			 buf[4096];
	ssize_t			 n;
	int			 changed = 0;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		/* The head of all messages: length, version, type. */
		if ((size_t)n < offsetof(struct rt_msghdr, rtm_type) + 1)
			continue;
		memset(&rtm, 0, sizeof(rtm));
		memcpy(&rtm, buf, (size_t)n < sizeof(rtm) ? (size_t)n :
		    sizeof(rtm));
		switch (rtm.rtm_type) {
		case RTM_IFINFO:
		case RTM_NEWADDR:
		case RTM_DELADDR:
		case RTM_ADD:
		case RTM_DELETE:
		case RTM_CHANGE:
			changed = 1;
			break;
		default:
			break;
		}
	}
	if (n == -1 && errno != EAGAIN && errno != ENOBUFS)
		return -1;
	return changed || (n == -1 && errno == ENOBUFS);
}

/* --- sockets --- */

void
os_sock_buffers(int fd)
{
	int	 n;

	/* The limit is the system's: half as much until it fits. */
	for (n = UDP_BUFFER; n > 65536; n /= 2)
		if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n,
		    sizeof(n)) == 0)
			break;
	for (n = UDP_BUFFER; n > 65536; n /= 2)
		if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n,
		    sizeof(n)) == 0)
			break;
}

int
os_sock_pktinfo(int fd, int af)
{
	int	 on = 1;

	if (af == AF_WIRE_INET6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on,
		    sizeof(on));
	if (setsockopt(fd, IPPROTO_IP, IP_RECVDSTADDR, &on, sizeof(on)) == -1)
		return -1;
	return setsockopt(fd, IPPROTO_IP, IP_RECVIF, &on, sizeof(on));
}

/* For all that the socket sends: the systems have it so. */
int
os_path_narrow(int fd, const struct msg_endpoint *to, int on)
{
	if (!on)
		return 0;	/* others may need it still */
	return setsockopt(fd, IPPROTO_IPV6, IPV6_USE_MIN_MTU, &on,
	    sizeof(on));
}

/* --- what the host is --- */

void
os_describe(struct os_host *h)
{
	struct utsname	 u;
	size_t		 i;

	memset(h, 0, sizeof(*h));
	if (uname(&u) == -1)
		memset(&u, 0, sizeof(u));
	for (i = 0; u.sysname[i] != '\0'; i++)
		if (u.sysname[i] >= 'A' && u.sysname[i] <= 'Z')
			u.sysname[i] += 'a' - 'A';
	(void)strlcpy(h->oh_os, u.sysname, sizeof(h->oh_os));
	(void)strlcpy(h->oh_version, u.release, sizeof(h->oh_version));
	(void)strlcpy(h->oh_machine, u.machine, sizeof(h->oh_machine));
	(void)strlcpy(h->oh_arch, u.machine, sizeof(h->oh_arch));
	h->oh_container = -1;
}
