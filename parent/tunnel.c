/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The tunnel device and the sockets: the parent opens and keeps them, so
 * that they outlive the children who use them.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoald.h"

#define QUEUES		1
#define ANY_TRIES	16	/* to find one port free in both families */
#define DNS_PORT	53
#define DNS_BACKLOG	32
#define REBIND_BURST	5
#define REBIND_NS	(10 * 1000000000LL)
#define PROBE_BURST	8			/* requests: two bundles */
#define PROBE_NS	(15 * 1000000000LL)	/* then one a minute */
#define NARROW_BURST	64
#define NARROW_NS	(1 * 1000000000LL)

struct udp_sock {
	int		 fd;
	uint16_t	 port;
};

struct dns_sock {
	int		 fd;
	struct msg_ip	 ip;
	int		 tcp;
};

static struct os_tun	 tun;
static int		 tun_up;
static int		 rules_up;
static struct udp_sock	 udp4 = { -1, 0 };
static struct udp_sock	 udp6 = { -1, 0 };
static struct udp_sock	 relay4 = { -1, 0 };
static struct udp_sock	 relay6 = { -1, 0 };
static uint16_t		 relay_port;		/* wanted; 0: any */
static uint16_t		 want_port;
static struct bucket	 rebinds;
static struct bucket	 probes;
static struct bucket	 narrows;
static struct log_limit	 dns_limit;
static struct log_limit	 narrow_limit;

static struct dns_sock	 dns[] = {
	{ -1, { AF_WIRE_INET, { 0 }, { 100, 100, 100, 100 } }, 0 },
	{ -1, { AF_WIRE_INET, { 0 }, { 100, 100, 100, 100 } }, 1 },
	{ -1, { AF_WIRE_INET6, { 0 }, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0,
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53 } }, 0 },
	{ -1, { AF_WIRE_INET6, { 0 }, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0,
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53 } }, 1 }
};

const struct os_tun *
tunnel_dev(void)
{
	return &tun;
}

static socklen_t
sockaddr_fill(struct sockaddr_storage *ss, const struct msg_ip *ip,
    uint16_t port)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	memset(ss, 0, sizeof(*ss));
	if (ip->af == AF_WIRE_INET) {
		memset(&sin, 0, sizeof(sin));
		sin.sin_family = AF_INET;
		sin.sin_port = htons(port);
		memcpy(&sin.sin_addr, ip->addr, 4);
		memcpy(ss, &sin, sizeof(sin));
		return sizeof(sin);
	}
	memset(&sin6, 0, sizeof(sin6));
	sin6.sin6_family = AF_INET6;
	sin6.sin6_port = htons(port);
	memcpy(&sin6.sin6_addr, ip->addr, 16);
	memcpy(ss, &sin6, sizeof(sin6));
	return sizeof(sin6);
}

/* A socket bound to ip and port, or -1 with errno. */
static int
sock_bind(const struct msg_ip *ip, uint16_t port, int type)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd, on = 1, save;

	fd = socket(ip->af == AF_WIRE_INET ? AF_INET : AF_INET6,
	    type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	len = sockaddr_fill(&ss, ip, port);
	if (ip->af == AF_WIRE_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &on, sizeof(on)) == -1)
		goto bad;
	if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR,
	    &on, sizeof(on)) == -1)
		goto bad;
	if (bind(fd, (struct sockaddr *)&ss, len) == 0)
		return fd;
bad:
	save = errno;
	close(fd);
	errno = save;
	return -1;
}

static uint16_t
sock_port(int fd)
{
	struct sockaddr_storage	 ss;
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;
	socklen_t		 len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		return 0;
	if (ss.ss_family == AF_INET) {
		memcpy(&sin, &ss, sizeof(sin));
		return ntohs(sin.sin_port);
	}
	memcpy(&sin6, &ss, sizeof(sin6));
	return ntohs(sin6.sin6_port);
}

/* netd's kind of socket: marked, with large buffers. 0, or -1 errno. */
static int
udp_open(struct udp_sock *us, uint8_t af, uint16_t port)
{
	struct msg_ip	 any;

	memset(&any, 0, sizeof(any));
	any.af = af;
	if ((us->fd = sock_bind(&any, port, SOCK_DGRAM)) == -1)
		return -1;
	if (os_sock_escape(us->fd) == -1)
		log_warn("UDP socket cannot be marked: it may loop through "
		    "the tunnel");
	os_sock_buffers(us->fd);
	if (os_sock_frag(us->fd, af, OS_FRAG_ON_WAY) == -1)
		log_warn("UDP socket: fragments");
	if (os_has_ecn(af) && os_sock_recvtos(us->fd, af) == -1)
		log_warn("UDP socket: congestion marks");
	us->port = sock_port(us->fd);
	return 0;
}

static void
udp_close(struct udp_sock *us)
{
	if (us->fd != -1)
		close(us->fd);
	us->fd = -1;
	us->port = 0;
}

static int
no_ipv6(int error)
{
	return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

/* Both families on one port. 0, or -1 errno. */
static int
udp_pair(struct udp_sock *a, struct udp_sock *b, uint16_t port)
{
	int	 save, tries;

	for (tries = 0; tries < ANY_TRIES; tries++) {
		if (udp_open(a, AF_WIRE_INET, port) == -1)
			return -1;
		if (udp_open(b, AF_WIRE_INET6, a->port) == 0)
			return 0;
		if (no_ipv6(errno)) {
			log_info("no IPv6 on this host");
			return 0;
		}
		save = errno;
		udp_close(a);
		errno = save;
		if (port != 0 || errno != EADDRINUSE)
			return -1;
	}
	return -1;
}

static void
udp_explain(uint16_t port, char *why, size_t len)
{
	if (errno == EADDRINUSE)
		(void)snprintf(why, len, "UDP port %u is in use by another "
		    "program: end it, or set another with `listen on port'",
		    port);
	else
		(void)snprintf(why, len, "UDP port %u: %s", port,
		    strerror(errno));
}

static void
tun_explain(const char *name, char *why, size_t len)
{
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		(void)snprintf(why, len, "/dev/net/tun is missing: load the "
		    "tun module (modprobe tun), or give it to the container");
		break;
	case EBUSY:
		(void)snprintf(why, len, "interface %s is in use by another "
		    "program: end it, or set another with `interface'", name);
		break;
	case EPERM:
	case EACCES:
		(void)snprintf(why, len, "/dev/net/tun: %s: shoald must be "
		    "started by root with CAP_NET_ADMIN", strerror(errno));
		break;
	case EINVAL:
		(void)snprintf(why, len, "interface %s exists and is no "
		    "tunnel: remove it, or set another with `interface'",
		    name);
		break;
	default:
		(void)snprintf(why, len, "interface %s: %s", name,
		    strerror(errno));
		break;
	}
}

static uint32_t
tun_caps(void)
{
	return reconf_force_path() & FORCE_NO_VNET ? 0 :
	    reconf_force_path() & FORCE_NO_USO ? TUN_VNET | TUN_TSO :
	    TUN_VNET | TUN_TSO | TUN_USO;
}

int
tunnel_open(const struct shoal_conf *c, char *why, size_t len)
{
	if (os_tun_open(&tun, c->c_ifname, c->c_mtu, QUEUES,
	    tun_caps()) == -1) {
		tun_explain(c->c_ifname, why, len);
		return -1;
	}
	tun_up = 1;
	if (udp_pair(&udp4, &udp6, c->c_port) == -1) {
		udp_explain(c->c_port, why, len);
		return -1;
	}
	want_port = c->c_port;
	if (tunnel_set_relay(c->c_relay, c->c_relay_port, why, len) == -1)
		return -1;
	/*
	 * A run that was killed leaves its rules (device and routes went with
	 * it): they are the same, and serve.
	 */
	rules_up = 1;
	if (os_rules_set(1) == -1) {
		(void)snprintf(why, len, "policy rules: %s", strerror(errno));
		return -1;
	}
	log_info("interface %s, mtu %u%s%s, UDP port %u", tun.t_name,
	    tun.t_mtu, tun.t_caps & TUN_TSO ? ", TSO" : "",
	    tun.t_caps & TUN_USO ? ", USO" : "", udp4.port);
	return 0;
}

void
tunnel_close(void)
{
	if (!tun_up)
		return;
	tun_up = 0;
	tunnel_dns(0, 0);
	udp_close(&udp4);
	udp_close(&udp6);
	udp_close(&relay4);
	udp_close(&relay6);
	if (rules_up)
		(void)os_rules_set(0);
	rules_up = 0;
	os_tun_close(&tun);
}

void
tunnel_check_rules(void)
{
	if (rules_up && os_rules_set(1) == -1)
		log_warn("policy rules");
}

/* --- handing over --- */

static int
fd_dup(int fd)
{
	int	 copy;

	if ((copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1)
		shoald_stop("descriptor: %s", strerror(errno));
	return copy;
}

static void
udp_send(struct proc_child *pc, enum msg_type type, const struct udp_sock *us,
    uint8_t af)
{
	struct msg_udp	 mu;

	if (us->fd == -1)
		return;
	memset(&mu, 0, sizeof(mu));
	mu.af = af;
	mu.port = us->port;
	(void)chan_compose(&pc->pc_chan, type, 0, fd_dup(us->fd), &mu,
	    sizeof(mu));
}

void
tunnel_send_netd(struct proc_child *pc)
{
	struct msg_tun	 mt;
	int		 i;

	for (i = 0; i < tun.t_nfd; i++) {
		memset(&mt, 0, sizeof(mt));
		(void)strlcpy(mt.name, tun.t_name, sizeof(mt.name));
		mt.mtu = tun.t_mtu;
		mt.caps = tun.t_caps;
		mt.queue = i;
		mt.nqueues = tun.t_nfd;
		(void)chan_compose(&pc->pc_chan, IMSG_TUN, 0,
		    fd_dup(tun.t_fd[i]), &mt, sizeof(mt));
	}
	udp_send(pc, IMSG_UDP, &udp4, AF_WIRE_INET);
	udp_send(pc, IMSG_UDP, &udp6, AF_WIRE_INET6);
	udp_send(pc, IMSG_UDP_RELAY, &relay4, AF_WIRE_INET);
	udp_send(pc, IMSG_UDP_RELAY, &relay6, AF_WIRE_INET6);
}

/* dataplane.md 2.7: the configured port, else the current one, else any. */
int
tunnel_rebind(struct proc_child *pc, uint32_t af)
{
	struct udp_sock	*us;
	uint16_t	 port;

	if (af != AF_WIRE_INET && af != AF_WIRE_INET6)
		return -1;
	us = af == AF_WIRE_INET ? &udp4 : &udp6;
	if (!bucket_take(&rebinds, os_now(), REBIND_BURST, REBIND_NS)) {
		udp_send(pc, IMSG_UDP, us, af);	/* the one there is */
		return 0;
	}
	port = want_port != 0 ? want_port : us->port;
	udp_close(us);
	if (udp_open(us, af, port) == -1 && udp_open(us, af, 0) == -1) {
		if (!no_ipv6(errno))
			log_warn("UDP socket");
		return 0;
	}
	udp_send(pc, IMSG_UDP, us, af);
	gateway_update();
	return 0;
}

/*
 * They are opened only while netd probes, and no copy stays here: a netd
 * that is replaced begins anew. A few at a time, so that few descriptors
 * are under way.
 */
int
tunnel_probe_socks(struct proc_child *pc, uint32_t n)
{
	struct udp_sock	 us;
	struct msg_udp	 mu;
	struct msg_u32	 end = { 0 };

	if (n == 0 || n > PROBE_SOCKS_MAX)
		return -1;
	if (!shoald_conf()->c_hardnat ||
	    !bucket_take(&probes, os_now(), PROBE_BURST, PROBE_NS))
		n = 0;
	for (; end.v < n; end.v++) {
		if (udp_open(&us, AF_WIRE_INET, 0) == -1) {
			log_warn("socket to probe with");
			break;
		}
		memset(&mu, 0, sizeof(mu));
		mu.af = AF_WIRE_INET;
		mu.port = us.port;
		(void)chan_compose(&pc->pc_chan, IMSG_PROBE_SOCK, 0, us.fd,
		    &mu, sizeof(mu));
	}
	(void)chan_compose(&pc->pc_chan, IMSG_PROBE_SOCKS_END, 0, -1, &end,
	    sizeof(end));
	return 0;
}

/*
 * The least size that IPv6 has, for one address: a netd that lies makes some
 * packets small. Not of the host itself, nor of a link.
 */
int
tunnel_narrow(const struct msg_endpoint *ep, uint32_t on)
{
	static const uint8_t	 zero[15];
	const uint8_t		*a = ep->addr;

	if (ep->af != AF_WIRE_INET6 || ep->port == 0 || on > 1 ||
	    a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) ||
	    memcmp(a, zero, sizeof(zero)) == 0)
		return -1;
	if (udp6.fd == -1 ||
	    !bucket_take(&narrows, os_now(), NARROW_BURST, NARROW_NS))
		return 0;
	if (os_path_narrow(udp6.fd, ep, on) == -1 &&
	    log_limit(&narrow_limit, os_now(), 5, 60))
		log_warn("a path of 1280 bytes");
	return 0;
}

uint16_t
tunnel_port4(void)
{
	return udp4.port;
}

int
tunnel_set_port(uint16_t port, char *why, size_t len)
{
	struct udp_sock	 a = { -1, 0 }, b = { -1, 0 };

	if (attrs_get() & SELF_RANDOM_PORT)
		port = 0;
	if (port == want_port)
		return 0;
	if (udp_pair(&a, &b, port) == -1) {
		udp_explain(port, why, len);
		return -1;
	}
	udp_close(&udp4);
	udp_close(&udp6);
	udp4 = a;
	udp6 = b;
	want_port = port;
	if (child_running(PROC_NETD)) {
		udp_send(child_get(PROC_NETD), IMSG_UDP, &udp4, AF_WIRE_INET);
		udp_send(child_get(PROC_NETD), IMSG_UDP, &udp6,
		    AF_WIRE_INET6);
	}
	gateway_update();
	return 0;
}

/* netd closes its own when the configuration says that there is no relay. */
int
tunnel_set_relay(int on, uint16_t port, char *why, size_t len)
{
	struct udp_sock	 a = { -1, 0 }, b = { -1, 0 };

	if (on == (relay4.fd != -1) && (!on || port == relay_port))
		return 0;
	if (on && udp_pair(&a, &b, port) == -1) {
		(void)snprintf(why, len, "relay server: UDP port %u: %s",
		    port, strerror(errno));
		return -1;
	}
	udp_close(&relay4);
	udp_close(&relay6);
	relay4 = a;
	relay6 = b;
	relay_port = port;
	if (on && child_running(PROC_NETD)) {
		udp_send(child_get(PROC_NETD), IMSG_UDP_RELAY, &relay4,
		    AF_WIRE_INET);
		udp_send(child_get(PROC_NETD), IMSG_UDP_RELAY, &relay6,
		    AF_WIRE_INET6);
	}
	if (on)
		log_info("peer relay on UDP port %u", relay4.port);
	return 0;
}

/* --- DNS --- */

/* dnsd tells by the local address what came in by which interface. */
static int
dns_open(struct dns_sock *ds)
{
	ds->fd = sock_bind(&ds->ip, DNS_PORT,
	    ds->tcp ? SOCK_STREAM : SOCK_DGRAM);
	if (ds->fd == -1)
		return -1;
	if (ds->tcp ? listen(ds->fd, DNS_BACKLOG) == 0 :
	    os_sock_pktinfo(ds->fd, ds->ip.af) == 0)
		return 0;
	close(ds->fd);
	ds->fd = -1;
	return -1;
}

void
tunnel_send_dnsd(struct proc_child *pc)
{
	struct msg_dns_sock	 m;
	size_t			 i;

	for (i = 0; i < nitems(dns); i++) {
		if (dns[i].fd == -1)
			continue;
		memset(&m, 0, sizeof(m));
		m.ip = dns[i].ip;
		m.tcp = dns[i].tcp;
		m.ifindex = tun.t_ifindex;
		m.ifindex = tun.t_ifindex;
		(void)chan_compose(&pc->pc_chan, IMSG_DNS_SOCK, 0,
		    fd_dup(dns[i].fd), &m, sizeof(m));
	}
}

void
tunnel_dns(int v4, int v6)
{
	size_t	 i;
	int	 want, changed = 0;

	for (i = 0; i < nitems(dns); i++) {
		want = dns[i].ip.af == AF_WIRE_INET ? v4 : v6;
		if (want == (dns[i].fd != -1))
			continue;
		changed = 1;
		if (!want) {
			close(dns[i].fd);
			dns[i].fd = -1;
		} else if (dns_open(&dns[i]) == -1 &&
		    log_limit(&dns_limit, os_now(), nitems(dns), 600))
			log_warn("DNS on %s port %d (%s)",
			    ip_print(dns[i].ip.af,
			    dns[i].ip.addr), DNS_PORT,
			    dns[i].tcp ? "TCP" : "UDP");
	}
	if (changed && child_running(PROC_DNSD)) {
		child_send(PROC_DNSD, IMSG_DNS_SOCK_RESET, NULL, 0);
		tunnel_send_dnsd(child_get(PROC_DNSD));
	}
}
