/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Linux, linked by the parents alone: tunnel device, addresses, routes,
 * policy rules and link events by rtnetlink, socket marks, what the host is.
 */

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip6.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>

#include "os.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

#define PATH_TUN	"/dev/net/tun"
#define NL_BUFSIZE	32768
#define PATH_OSRELEASE	"/etc/os-release"

/* Newer than the headers of Debian 12. */
#ifndef TUN_F_USO4
#define TUN_F_USO4	0x20
#define TUN_F_USO6	0x40
#endif
#define VNET_HDR_LEN	10
#define TUN_BUSY_TRIES	50		/* of 50 ms: an old netd still ends */

/*
 * dataplane.md 7.1. Rules and routes carry a protocol number of ours, so
 * that those of other programs with the same numbers are left alone.
 */
#define SHOAL_TABLE	52
#define SHOAL_RTPROT	84
#define MARK_BYPASS	0x80000
#define MARK_MASK	0xff0000
#define RULE_FIRST	5210
#define RULE_LAST	5270

#define UDP_BUFFER	(7 << 20)
#define IPV6_MIN_MTU	1280
/* One read of a full super-packet is one GSO send: perf-notes.md 8. */
#define TUN_GSO_SEGS	48

static struct mnl_socket	*nl_sock;
static uint32_t			 nl_seq;

static const struct {
	uint32_t	 pref;
	uint32_t	 table;		/* 0: unreachable */
	int		 marked;
} rules[] = {
	{ RULE_FIRST,	RT_TABLE_MAIN,		1 },
	{ 5230,		RT_TABLE_DEFAULT,	1 },
	{ 5250,		0,			1 },
	{ RULE_LAST,	SHOAL_TABLE,		0 }
};

/* --- rtnetlink --- */

static int
nl_open(void)
{
	int	 on = 1;

	if (nl_sock != NULL)
		return 0;
	if ((nl_sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)) == NULL)
		return -1;
	if (mnl_socket_bind(nl_sock, 0, MNL_SOCKET_AUTOPID) == -1) {
		mnl_socket_close(nl_sock);
		nl_sock = NULL;
		return -1;
	}
	/* Lets the kernel filter dumps; old ones send all, which is fine. */
	(void)mnl_socket_setsockopt(nl_sock, NETLINK_GET_STRICT_CHK, &on,
	    sizeof(on));
	return 0;
}

/* Send one request and read its answer: rows go to cb. 0, or -1 errno. */
static int
nl_request(struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	static char	 buf[NL_BUFSIZE];
	ssize_t		 n;
	int		 ret, save;

	if (nl_open() == -1)
		return -1;
	nlh->nlmsg_seq = ++nl_seq;
	if (mnl_socket_sendto(nl_sock, nlh, nlh->nlmsg_len) == -1)
		return -1;
	do {
		n = mnl_socket_recvfrom(nl_sock, buf, sizeof(buf));
		if (n == -1) {
			ret = -1;
			break;
		}
		ret = mnl_cb_run(buf, n, nlh->nlmsg_seq,
		    mnl_socket_get_portid(nl_sock), cb, arg);
	} while (ret > MNL_CB_STOP);
	if (ret == -1 && (errno == ESRCH || errno == EPROTO ||
	    errno == EINTR || errno == ENOBUFS || errno == ENOSPC)) {
		/* Out of step: what is left in this socket is not ours. */
		save = errno;
		mnl_socket_close(nl_sock);
		nl_sock = NULL;
		errno = save;
	}
	return ret == -1 ? -1 : 0;
}

static struct nlmsghdr *
nl_head(char *buf, int type, int flags)
{
	struct nlmsghdr	*nlh;

	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	return nlh;
}

static int
wire_af(uint8_t af)
{
	return af == AF_WIRE_INET6 ? AF_INET6 : AF_INET;
}

static size_t
wire_alen(uint8_t af)
{
	return af == AF_WIRE_INET6 ? 16 : 4;
}

/* --- the tunnel device --- */

static int
tun_offloads(int fd, uint32_t want)
{
	unsigned int	 f = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	int		 caps = TUN_VNET;

	if ((want & TUN_TSO) == 0)
		f = 0;
	if (f != 0 && (want & TUN_USO) != 0 && ioctl(fd, TUNSETOFFLOAD,
	    (unsigned long)(f | TUN_F_USO4 | TUN_F_USO6)) == 0)
		return caps | TUN_TSO | TUN_USO;
	if (f != 0 && ioctl(fd, TUNSETOFFLOAD, (unsigned long)f) == 0)
		return caps | TUN_TSO;
	(void)ioctl(fd, TUNSETOFFLOAD, 0UL);
	return caps;
}

static int
tun_setiff(int fd, const char *name, short flags, char *got, size_t len)
{
	struct ifreq	 ifr;
	struct timespec	 ts = { 0, 50 * 1000 * 1000 };
	int		 tries;

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = flags;
	if (strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name)) >=
	    sizeof(ifr.ifr_name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (tries = 0; ioctl(fd, TUNSETIFF, &ifr) == -1; tries++) {
		if (errno != EBUSY || tries == TUN_BUSY_TRIES)
			return -1;
		nanosleep(&ts, NULL);
	}
	(void)strlcpy(got, ifr.ifr_name, len);
	return 0;
}

/* One queue; *caps becomes what it can do. */
static int
tun_queue(const char *name, int multi, uint32_t *caps, char *got, size_t len)
{
	short	 flags = IFF_TUN | IFF_NO_PI;
	int	 fd, hdr = VNET_HDR_LEN, save;

	if ((fd = open(PATH_TUN, O_RDWR | O_CLOEXEC | O_NONBLOCK)) == -1)
		return -1;
	if (multi)
		flags |= IFF_MULTI_QUEUE;
	if ((*caps & TUN_VNET) != 0)
		flags |= IFF_VNET_HDR;
	if (tun_setiff(fd, name, flags, got, len) == -1)
		goto bad;
	if ((*caps & TUN_VNET) == 0) {
		*caps = 0;
		return fd;
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr) == -1)
		goto bad;
	*caps = tun_offloads(fd, *caps);
	return fd;
bad:
	save = errno;
	close(fd);
	errno = save;
	return -1;
}

static int
link_request(int ifindex, uint32_t mtu, uint32_t segs, int nolladdr)
{
	char			 buf[512];
	struct nlmsghdr		*nlh;
	struct ifinfomsg	*ifi;
	struct nlattr		*spec, *in6;

	nlh = nl_head(buf, RTM_NEWLINK, NLM_F_ACK);
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = ifindex;
	if (mtu != 0) {
		mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
		ifi->ifi_change = IFF_UP;
		ifi->ifi_flags = IFF_UP;
	}
	if (segs != 0)
		mnl_attr_put_u32(nlh, IFLA_GSO_MAX_SEGS, segs);
	if (nolladdr) {
		spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
		in6 = mnl_attr_nest_start(nlh, AF_INET6);
		mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE,
		    IN6_ADDR_GEN_MODE_NONE);
		mnl_attr_nest_end(nlh, in6);
		mnl_attr_nest_end(nlh, spec);
	}
	return nl_request(nlh, NULL, NULL);
}

static int
tun_setup(struct os_tun *tun, uint32_t mtu)
{
	if ((tun->t_ifindex = if_nametoindex(tun->t_name)) == 0)
		return -1;
	/*
	 * Without a link-local address the kernel sends no router
	 * solicitations and no group reports into an idle tunnel. Neither
	 * this nor the segment limit is vital.
	 */
	(void)link_request(tun->t_ifindex, 0, 0, 1);
	(void)link_request(tun->t_ifindex, 0, TUN_GSO_SEGS, 0);
	tun->t_mtu = mtu;
	return link_request(tun->t_ifindex, mtu, 0, 0);
}

int
os_tun_open(struct os_tun *tun, const char *name, uint32_t mtu, int queues,
    uint32_t caps)
{
	int	 fd, save;

	memset(tun, 0, sizeof(*tun));
	if (queues < 1 || queues > TUN_MAXQUEUE) {
		errno = EINVAL;
		return -1;
	}
	while (tun->t_nfd < queues) {
		fd = tun_queue(name, queues > 1, &caps, tun->t_name,
		    sizeof(tun->t_name));
		if (fd == -1)
			goto bad;
		tun->t_fd[tun->t_nfd++] = fd;
	}
	tun->t_caps = caps;
	if (tun_setup(tun, mtu) == 0)
		return 0;
bad:
	save = errno;
	os_tun_close(tun);
	errno = save;
	return -1;
}

void
os_tun_close(struct os_tun *tun)
{
	while (tun->t_nfd > 0)
		close(tun->t_fd[--tun->t_nfd]);
	tun->t_ifindex = 0;
}

/* --- addresses, routes, rules --- */

int
os_addr_set(const struct os_tun *tun, const struct msg_prefix *p, int on)
{
	char			 buf[256];
	struct ifa_cacheinfo	 ci;
	struct nlmsghdr		*nlh;
	struct ifaddrmsg	*ifa;

	nlh = nl_head(buf, on ? RTM_NEWADDR : RTM_DELADDR, NLM_F_ACK |
	    (on ? NLM_F_CREATE | NLM_F_REPLACE : 0));
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = wire_af(p->af);
	ifa->ifa_prefixlen = p->plen;
	ifa->ifa_index = tun->t_ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, wire_alen(p->af), p->addr);
	mnl_attr_put(nlh, IFA_ADDRESS, wire_alen(p->af), p->addr);
	if (on)
		mnl_attr_put_u32(nlh, IFA_FLAGS,
		    IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
	if (on == OS_ADDR_DEPRECATED && p->af == AF_WIRE_INET6) {
		memset(&ci, 0, sizeof(ci));
		ci.ifa_valid = UINT32_MAX;	/* preferred stays 0 */
		mnl_attr_put(nlh, IFA_CACHEINFO, sizeof(ci), &ci);
	}
	if (nl_request(nlh, NULL, NULL) == 0)
		return 0;
	return !on && errno == EADDRNOTAVAIL ? 0 : -1;
}

int
os_route_set(const struct os_tun *tun, const struct msg_prefix *p,
    const struct msg_ip *src, int on)
{
	char		 buf[256];
	struct nlmsghdr	*nlh;
	struct rtmsg	*rtm;

	nlh = nl_head(buf, on ? RTM_NEWROUTE : RTM_DELROUTE, NLM_F_ACK |
	    (on ? NLM_F_CREATE | NLM_F_REPLACE : 0));
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = wire_af(p->af);
	rtm->rtm_dst_len = p->plen;
	rtm->rtm_table = SHOAL_TABLE;
	rtm->rtm_protocol = SHOAL_RTPROT;
	rtm->rtm_type = RTN_UNICAST;
	rtm->rtm_scope = p->af == AF_WIRE_INET ? RT_SCOPE_LINK :
	    RT_SCOPE_UNIVERSE;
	mnl_attr_put(nlh, RTA_DST, wire_alen(p->af), p->addr);
	mnl_attr_put_u32(nlh, RTA_OIF, tun->t_ifindex);
	if (on && src != NULL && src->af == p->af)
		mnl_attr_put(nlh, RTA_PREFSRC, wire_alen(src->af), src->addr);
	if (nl_request(nlh, NULL, NULL) == 0)
		return 0;
	return !on && errno == ESRCH ? 0 : -1;
}

static int
rule_request(int af, size_t i, int on)
{
	char			 buf[256];
	struct nlmsghdr		*nlh;
	struct fib_rule_hdr	*frh;

	nlh = nl_head(buf, on ? RTM_NEWRULE : RTM_DELRULE, NLM_F_ACK |
	    (on ? NLM_F_CREATE | NLM_F_EXCL : 0));
	frh = mnl_nlmsg_put_extra_header(nlh, sizeof(*frh));
	frh->family = af;
	frh->table = rules[i].table;
	frh->action = rules[i].table != 0 ? FR_ACT_TO_TBL :
	    FR_ACT_UNREACHABLE;
	mnl_attr_put_u32(nlh, FRA_PRIORITY, rules[i].pref);
	mnl_attr_put_u8(nlh, FRA_PROTOCOL, SHOAL_RTPROT);
	if (rules[i].marked) {
		mnl_attr_put_u32(nlh, FRA_FWMARK, MARK_BYPASS);
		mnl_attr_put_u32(nlh, FRA_FWMASK, MARK_MASK);
	}
	return nl_request(nlh, NULL, NULL);
}

static int
rules_family(int af, int on)
{
	size_t	 i;
	int	 left;

	for (i = 0; i < nitems(rules); i++) {
		if (on) {
			if (rule_request(af, i, 1) == -1 && errno != EEXIST)
				return -1;
			continue;
		}
		/* An earlier run that was killed may have left its own. */
		for (left = 16; left > 0; left--)
			if (rule_request(af, i, 0) == -1)
				break;
	}
	return 0;
}

int
os_rules_set(int on)
{
	if (rules_family(AF_INET, on) == -1)
		return -1;
	if (rules_family(AF_INET6, on) == -1 && errno != EAFNOSUPPORT)
		return -1;
	return 0;
}

/* --- the host's links and addresses --- */

int
os_link_open(void)
{
	struct sockaddr_nl	 snl;
	int			 fd, save;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    NETLINK_ROUTE);
	if (fd == -1)
		return -1;
	memset(&snl, 0, sizeof(snl));
	snl.nl_family = AF_NETLINK;
	snl.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
	    RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |
	    RTMGRP_IPV4_RULE | (1U << (RTNLGRP_IPV6_RULE - 1));
	if (bind(fd, (struct sockaddr *)&snl, sizeof(snl)) == 0)
		return fd;
	save = errno;
	close(fd);
	errno = save;
	return -1;
}

/* Is this rule one that stands in our range? */
static int
rule_event(const struct nlmsghdr *nlh)
{
	struct nlattr		*a;
	uint32_t		 pref;

	mnl_attr_for_each(a, nlh, sizeof(struct fib_rule_hdr)) {
		if (mnl_attr_get_type(a) != FRA_PRIORITY ||
		    mnl_attr_get_payload_len(a) != sizeof(pref))
			continue;
		pref = mnl_attr_get_u32(a);
		return pref >= RULE_FIRST && pref <= RULE_LAST;
	}
	return 0;
}

static int
link_event(const struct nlmsghdr *nlh)
{
	const struct rtmsg	*rtm;

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return 1;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm))
			return 0;
		rtm = mnl_nlmsg_get_payload(nlh);
		return rtm->rtm_dst_len == 0 &&
		    rtm->rtm_table == RT_TABLE_MAIN;
	case RTM_DELRULE:
		return mnl_nlmsg_get_payload_len(nlh) >=
		    sizeof(struct fib_rule_hdr) && rule_event(nlh);
	default:
		return 0;
	}
}

int
os_link_read(int fd)
{
	static char	 buf[NL_BUFSIZE];
	struct nlmsghdr	*nlh;
	ssize_t		 n;
	int		 left, tries, ret = 0;

	for (tries = 0; tries < 64; tries++) {
		if ((n = recv(fd, buf, sizeof(buf), 0)) == -1) {
			if (errno == ENOBUFS)	/* some were lost */
				ret = 1;
			else if (errno == EAGAIN || errno == EINTR)
				return ret;
			else
				return -1;
			continue;
		}
		left = n;
		for (nlh = (struct nlmsghdr *)buf; mnl_nlmsg_ok(nlh, left);
		    nlh = mnl_nlmsg_next(nlh, &left))
			ret |= link_event(nlh);
	}
	return ret;
}

struct link {
	int		 l_index;
	int		 l_loopback;
	int		 l_default;
	char		 l_name[16];
};

struct addrs {
	struct link		*as_links;
	size_t			 as_nlinks;
	struct msg_localaddr	*as_list;
	size_t			 as_n;
	int			 as_skip;	/* our tunnel */
};

static struct link *
link_find(struct addrs *as, int ifindex)
{
	size_t	 i;

	for (i = 0; i < as->as_nlinks; i++)
		if (as->as_links[i].l_index == ifindex)
			return &as->as_links[i];
	return NULL;
}

static int
addrs_link_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg	*ifi = mnl_nlmsg_get_payload(nlh);
	struct nlattr		*a;
	struct addrs		*as = arg;
	struct link		*l;

	if ((ifi->ifi_flags & (IFF_UP | IFF_RUNNING)) !=
	    (IFF_UP | IFF_RUNNING) || ifi->ifi_index == as->as_skip)
		return MNL_CB_OK;
	l = reallocarray(as->as_links, as->as_nlinks + 1, sizeof(*l));
	if (l == NULL)
		return MNL_CB_ERROR;
	as->as_links = l;
	l += as->as_nlinks++;
	memset(l, 0, sizeof(*l));
	l->l_index = ifi->ifi_index;
	l->l_loopback = (ifi->ifi_flags & IFF_LOOPBACK) != 0;
	mnl_attr_for_each(a, nlh, sizeof(*ifi))
		if (mnl_attr_get_type(a) == IFLA_IFNAME &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) != -1)
			(void)strlcpy(l->l_name, mnl_attr_get_str(a),
			    sizeof(l->l_name));
	return MNL_CB_OK;
}

static void
link_mark_default(struct addrs *as, int ifindex)
{
	struct link	*l;

	if ((l = link_find(as, ifindex)) != NULL)
		l->l_default = 1;
}

static int
addrs_route_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg	*rtm = mnl_nlmsg_get_payload(nlh);
	struct rtnexthop	*nh;
	struct nlattr		*a;
	struct addrs		*as = arg;
	int			 left;

	if (rtm->rtm_dst_len != 0 || rtm->rtm_table != RT_TABLE_MAIN ||
	    rtm->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_for_each(a, nlh, sizeof(*rtm)) {
		left = mnl_attr_get_payload_len(a);
		if (mnl_attr_get_type(a) == RTA_OIF &&
		    left == (int)sizeof(uint32_t))
			link_mark_default(as, mnl_attr_get_u32(a));
		if (mnl_attr_get_type(a) != RTA_MULTIPATH)
			continue;
		nh = mnl_attr_get_payload(a);
		while (left >= (int)sizeof(*nh) && RTNH_OK(nh, left)) {
			link_mark_default(as, nh->rtnh_ifindex);
			left -= RTNH_ALIGN(nh->rtnh_len);
			nh = RTNH_NEXT(nh);
		}
	}
	return MNL_CB_OK;
}

/* The attributes that count: local address and flags. */
static const void *
ifa_parse(const struct nlmsghdr *nlh, size_t alen, uint32_t *flags)
{
	const struct ifaddrmsg	*ifa = mnl_nlmsg_get_payload(nlh);
	struct nlattr		*a;
	const void		*local = NULL, *addr = NULL;

	*flags = ifa->ifa_flags;
	mnl_attr_for_each(a, nlh, sizeof(*ifa)) {
		size_t	 len = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) == IFA_LOCAL && len == alen)
			local = mnl_attr_get_payload(a);
		if (mnl_attr_get_type(a) == IFA_ADDRESS && len == alen)
			addr = mnl_attr_get_payload(a);
		if (mnl_attr_get_type(a) == IFA_FLAGS && len == sizeof(*flags))
			*flags = mnl_attr_get_u32(a);
	}
	return local != NULL ? local : addr;
}

static int
addrs_addr_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg	*ifa = mnl_nlmsg_get_payload(nlh);
	struct addrs		*as = arg;
	struct msg_localaddr	*la;
	struct link		*l;
	const void		*addr;
	size_t			 alen;
	uint32_t		 flags;

	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return MNL_CB_OK;
	alen = ifa->ifa_family == AF_INET ? 4 : 16;
	if ((l = link_find(as, ifa->ifa_index)) == NULL ||
	    (addr = ifa_parse(nlh, alen, &flags)) == NULL)
		return MNL_CB_OK;
	if (flags & (IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED))
		return MNL_CB_OK;
	la = reallocarray(as->as_list, as->as_n + 1, sizeof(*la));
	if (la == NULL)
		return MNL_CB_ERROR;
	as->as_list = la;
	la += as->as_n++;
	memset(la, 0, sizeof(*la));
	la->p.af = alen == 4 ? AF_WIRE_INET : AF_WIRE_INET6;
	la->p.plen = ifa->ifa_prefixlen;
	memcpy(la->p.addr, addr, alen);
	la->ifindex = ifa->ifa_index;
	memcpy(la->ifname, l->l_name, sizeof(la->ifname));
	la->flags = (l->l_default ? LOCALADDR_DEFROUTE : 0) |
	    (l->l_loopback ? LOCALADDR_LOOPBACK : 0);
	if (alen == 4 ? la->p.addr[0] == 169 && la->p.addr[1] == 254 :
	    la->p.addr[0] == 0xfe && (la->p.addr[1] & 0xc0) == 0x80)
		la->flags |= LOCALADDR_LINKLOCAL;
	return MNL_CB_OK;
}

static int
addrs_dump(int type, int af, size_t hlen, mnl_cb_t cb, struct addrs *as)
{
	char		 buf[256];
	struct nlmsghdr	*nlh;
	struct rtmsg	*rtm;
	uint8_t		*extra;

	nlh = nl_head(buf, type, NLM_F_DUMP);
	extra = mnl_nlmsg_put_extra_header(nlh, hlen);	/* zeroed */
	*extra = af;		/* the family is the first byte of each */
	if (type == RTM_GETROUTE) {
		rtm = mnl_nlmsg_get_payload(nlh);
		rtm->rtm_table = RT_TABLE_MAIN;
	}
	return nl_request(nlh, cb, as);
}

int
os_addrs_get(const struct os_tun *tun, struct msg_localaddr **list, size_t *n)
{
	struct addrs	 as;
	int		 ret = -1, save;

	memset(&as, 0, sizeof(as));
	as.as_skip = tun != NULL ? tun->t_ifindex : 0;
	if (addrs_dump(RTM_GETLINK, AF_UNSPEC, sizeof(struct ifinfomsg),
	    addrs_link_cb, &as) == -1 ||
	    addrs_dump(RTM_GETROUTE, AF_INET, sizeof(struct rtmsg),
	    addrs_route_cb, &as) == -1)
		goto done;
	/* A kernel without IPv6 refuses this one. */
	(void)addrs_dump(RTM_GETROUTE, AF_INET6, sizeof(struct rtmsg),
	    addrs_route_cb, &as);
	ret = addrs_dump(RTM_GETADDR, AF_UNSPEC, sizeof(struct ifaddrmsg),
	    addrs_addr_cb, &as);
done:
	save = errno;
	free(as.as_links);
	if (ret == -1) {
		free(as.as_list);
		errno = save;
		return -1;
	}
	*list = as.as_list;
	*n = as.as_n;
	return 0;
}

struct gateway {
	struct msg_ip	 g_ip;
	uint32_t	 g_ifindex;
	uint32_t	 g_metric;
};

static void
gateway_set(struct gateway *g, const struct nlattr *a)
{
	g->g_ip.af = AF_WIRE_INET;
	memcpy(g->g_ip.addr, mnl_attr_get_payload(a), 4);
}

/* Of several next hops the first. */
static void
gateway_multipath(struct gateway *g, const struct nlattr *mp)
{
	const struct rtnexthop	*nh = mnl_attr_get_payload(mp);
	const struct nlattr	*a;
	size_t			 len = mnl_attr_get_payload_len(mp);
	int			 left;

	if (len < sizeof(*nh) || nh->rtnh_len < sizeof(*nh) ||
	    nh->rtnh_len > len)
		return;
	g->g_ifindex = nh->rtnh_ifindex;
	a = (const struct nlattr *)(nh + 1);
	for (left = nh->rtnh_len - sizeof(*nh); mnl_attr_ok(a, left);
	    left -= MNL_ALIGN(a->nla_len), a = mnl_attr_next(a))
		if (mnl_attr_get_type(a) == RTA_GATEWAY &&
		    mnl_attr_get_payload_len(a) == sizeof(uint32_t))
			gateway_set(g, a);
}

static int
gateway_cb(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg	*rtm = mnl_nlmsg_get_payload(nlh);
	struct nlattr		*a;
	struct gateway		*best = arg, g;

	if (rtm->rtm_dst_len != 0 || rtm->rtm_table != RT_TABLE_MAIN ||
	    rtm->rtm_type != RTN_UNICAST || rtm->rtm_flags &
	    (RTNH_F_DEAD | RTNH_F_LINKDOWN))
		return MNL_CB_OK;
	memset(&g, 0, sizeof(g));
	mnl_attr_for_each(a, nlh, sizeof(*rtm)) {
		if (mnl_attr_get_type(a) == RTA_MULTIPATH)
			gateway_multipath(&g, a);
		if (mnl_attr_get_payload_len(a) != sizeof(uint32_t))
			continue;
		if (mnl_attr_get_type(a) == RTA_GATEWAY)
			gateway_set(&g, a);
		else if (mnl_attr_get_type(a) == RTA_OIF)
			g.g_ifindex = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == RTA_PRIORITY)
			g.g_metric = mnl_attr_get_u32(a);
	}
	if (best->g_ifindex == 0 || g.g_metric < best->g_metric)
		*best = g;
	return MNL_CB_OK;
}

int
os_gateway_get(struct msg_ip *ip, uint32_t *ifindex)
{
	struct gateway	 g;
	struct nlmsghdr	*nlh;
	struct rtmsg	*rtm;
	char		 buf[256];

	memset(&g, 0, sizeof(g));
	nlh = nl_head(buf, RTM_GETROUTE, NLM_F_DUMP);
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = AF_INET;
	rtm->rtm_table = RT_TABLE_MAIN;
	if (nl_request(nlh, gateway_cb, &g) == -1)
		return -1;
	if (g.g_ip.af == 0 || g.g_ifindex == 0) {
		errno = ENOENT;
		return -1;
	}
	*ip = g.g_ip;
	*ifindex = g.g_ifindex;
	return 0;
}

/* --- sockets --- */

int
os_sock_escape(int fd)
{
	int	 mark = MARK_BYPASS;

	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

void
os_sock_buffers(int fd)
{
	int	 n = UDP_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &n, sizeof(n)) == -1)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &n, sizeof(n)) == -1)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
}

int
os_sock_pktinfo(int fd, int af)
{
	int	 on = 1;

	if (af == AF_WIRE_INET6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on,
		    sizeof(on));
	return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
}

/*
 * IPV6_MTU of a socket does not cut what its route takes whole. What does is
 * the size that the kernel keeps for a destination, and that comes from
 * Packet Too Big alone: if routers' are lost, ours says it. Such an entry
 * ends after 600 s, or here.
 */
struct too_big {
	struct icmp6_hdr	 icmp;
	struct ip6_hdr		 ip;
	uint8_t			 udp[8];	/* ports, length, checksum */
} __attribute__((__packed__));

static int
narrow_forget(const struct msg_endpoint *to)
{
	char		 buf[256];
	struct nlmsghdr	*nlh;
	struct rtmsg	*rtm;

	nlh = nl_head(buf, RTM_DELROUTE, NLM_F_ACK);
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = AF_INET6;
	rtm->rtm_dst_len = 128;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_flags = RTM_F_CLONED;
	mnl_attr_put(nlh, RTA_DST, sizeof(to->addr), to->addr);
	if (nl_request(nlh, NULL, NULL) == 0 || errno == ESRCH)
		return 0;
	return -1;
}

/* The address that datagrams to there come from. */
static int
narrow_source(const struct msg_endpoint *to, struct sockaddr_in6 *src)
{
	struct sockaddr_in6	 dst;
	socklen_t		 len = sizeof(*src);
	int			 fd, ret, save;

	memset(&dst, 0, sizeof(dst));
	dst.sin6_family = AF_INET6;
	dst.sin6_port = htons(to->port);
	memcpy(&dst.sin6_addr, to->addr, sizeof(dst.sin6_addr));
	if ((fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	ret = os_sock_escape(fd);
	if (ret == 0)
		ret = connect(fd, (struct sockaddr *)&dst, sizeof(dst));
	if (ret == 0)
		ret = getsockname(fd, (struct sockaddr *)src, &len);
	save = errno;
	close(fd);
	errno = save;
	return ret;
}

int
os_path_narrow(int fd, const struct msg_endpoint *to, int on)
{
	struct sockaddr_in6	 src, self;
	struct too_big		 tb;
	socklen_t		 len = sizeof(self);
	ssize_t			 n;
	int			 icmp, save;

	if (!on)
		return narrow_forget(to);
	(void)narrow_forget(to);	/* an old one, or it would not renew */
	if (getsockname(fd, (struct sockaddr *)&self, &len) == -1 ||
	    narrow_source(to, &src) == -1)
		return -1;
	memset(&tb, 0, sizeof(tb));
	tb.icmp.icmp6_type = ICMP6_PACKET_TOO_BIG;
	tb.icmp.icmp6_mtu = htonl(IPV6_MIN_MTU);
	tb.ip.ip6_flow = htonl(6U << 28);
	tb.ip.ip6_plen = htons(IPV6_MIN_MTU);
	tb.ip.ip6_nxt = IPPROTO_UDP;
	tb.ip.ip6_hlim = 64;
	tb.ip.ip6_src = src.sin6_addr;
	memcpy(&tb.ip.ip6_dst, to->addr, sizeof(tb.ip.ip6_dst));
	memcpy(tb.udp, &self.sin6_port, 2);
	tb.udp[2] = to->port >> 8;
	tb.udp[3] = to->port & 0xff;
	tb.udp[4] = IPV6_MIN_MTU >> 8;
	src.sin6_port = 0;
	if ((icmp = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC,
	    IPPROTO_ICMPV6)) == -1)
		return -1;
	/* From and to this host; the kernel adds the checksum. */
	n = sendto(icmp, &tb, sizeof(tb), MSG_DONTWAIT,
	    (struct sockaddr *)&src, sizeof(src));
	save = errno;
	close(icmp);
	errno = save;
	return n == -1 ? -1 : 0;
}

/* --- what the host is --- */

/* Go's names for what uname calls otherwise. */
static const struct {
	const char	*uname;
	const char	*go;
} machines[] = {
	{ "x86_64",	"amd64" },
	{ "aarch64",	"arm64" },
	{ "i386",	"386" },
	{ "i686",	"386" },
	{ "armv6l",	"arm" },
	{ "armv7l",	"arm" },
	{ "loongarch64", "loong64" }
};

static const char *
machine_name(const char *s)
{
	size_t	 i;

	for (i = 0; i < nitems(machines); i++)
		if (strcmp(s, machines[i].uname) == 0)
			return machines[i].go;
	return s;
}

/* The value of a line of os-release(5), which may stand in quotes. */
static void
release_value(char *p, char *buf, size_t len)
{
	p[strcspn(p, "\n")] = '\0';
	if (*p == '"' || *p == '\'') {
		p++;
		p[strcspn(p, "\"'")] = '\0';
	}
	(void)strlcpy(buf, p, len);
}

static void
release_read(struct os_host *h)
{
	FILE	*fp;
	char	*line = NULL;
	size_t	 size = 0;

	if ((fp = fopen(PATH_OSRELEASE, "re")) == NULL)
		return;
	while (getline(&line, &size, fp) != -1) {
		if (strncmp(line, "ID=", 3) == 0)
			release_value(line + 3, h->oh_distro,
			    sizeof(h->oh_distro));
		else if (strncmp(line, "VERSION_ID=", 11) == 0)
			release_value(line + 11, h->oh_distrover,
			    sizeof(h->oh_distrover));
		else if (strncmp(line, "VERSION_CODENAME=", 17) == 0)
			release_value(line + 17, h->oh_codename,
			    sizeof(h->oh_codename));
	}
	free(line);
	fclose(fp);
}

/* Container engines leave marks; none of them is no proof, but usual. */
static int
in_container(void)
{
	static const char	*const marks[] = {
		"/.dockerenv", "/run/.containerenv"
	};
	char			*line = NULL;
	FILE			*fp;
	size_t			 i, size = 0;
	int			 fd, found = 0;

	for (i = 0; i < nitems(marks); i++)
		if ((fd = open(marks[i], O_RDONLY | O_CLOEXEC)) != -1) {
			close(fd);
			return 1;
		}
	if ((fp = fopen("/proc/1/cgroup", "re")) == NULL)
		return -1;
	while (!found && getline(&line, &size, fp) != -1)
		found = strstr(line, "/docker/") != NULL ||
		    strstr(line, "/lxc/") != NULL;
	free(line);
	fclose(fp);
	return found;
}

void
os_describe(struct os_host *h)
{
	struct utsname	 u;

	memset(h, 0, sizeof(*h));
	memset(&u, 0, sizeof(u));
	(void)uname(&u);
	(void)strlcpy(h->oh_os, "linux", sizeof(h->oh_os));
	(void)strlcpy(h->oh_version, u.release, sizeof(h->oh_version));
	(void)strlcpy(h->oh_machine, u.machine, sizeof(h->oh_machine));
	(void)strlcpy(h->oh_arch, machine_name(u.machine),
	    sizeof(h->oh_arch));
	release_read(h);
	h->oh_container = in_container();
}
