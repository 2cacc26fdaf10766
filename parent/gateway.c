/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The gateway of the host's network, for portmapd: who it is, a socket
 * towards it, and what portmapd may say about it.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shoald.h"

#define ANNOUNCE_PORT	5350

/* What a child in its right mind says, and a good deal more. */
#define TELL_BURST	32
#define TELL_NS		(1000 * 1000000LL)

static struct msg_gateway	 cur;		/* af 0: none */
static struct msg_portmap	 kept;		/* as portmapd told last */
static struct bucket		 tells, probes;
static int			 releasing;

/* RFC 1918: others do not map ports for us. */
static int
ip_private(const struct msg_ip *ip)
{
	const uint8_t	*a = ip->addr;

	return ip->af == AF_WIRE_INET && (a[0] == 10 ||
	    (a[0] == 172 && (a[1] & 0xf0) == 16) ||
	    (a[0] == 192 && a[1] == 168));
}

static void
gateway_find(struct msg_gateway *g)
{
	uint32_t	 ifindex;

	memset(g, 0, sizeof(*g));
	if (!shoald_conf()->c_portmap || !prefs_want_running() ||
	    attrs_get() & SELF_ONLY_443 || (g->port = tunnel_port4()) == 0)
		return;
	g->no_upnp = (attrs_get() & SELF_NO_UPNP) != 0;
	if (os_gateway_get(&g->gw, &ifindex) == -1) {
		if (errno != ENOENT)
			log_warn("default route");
		memset(g, 0, sizeof(*g));
	} else if (!ip_private(&g->gw) ||
	    linkmon_own(ifindex, &g->gw, &g->own) == -1)
		memset(g, 0, sizeof(*g));
}

/* A marked UDP socket of that address. -1 errno. */
static int
gateway_sock(const struct msg_ip *own)
{
	struct sockaddr_in	 sin;
	int			 fd, save;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	memcpy(&sin.sin_addr, own->addr, sizeof(sin.sin_addr));
	if (os_sock_escape(fd) == -1)
		log_warn("socket cannot be marked");
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 &&
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &sin.sin_addr,
	    sizeof(sin.sin_addr)) == 0)
		return fd;
	save = errno;
	close(fd);
	errno = save;
	return -1;
}

/*
 * What gateways announce to all hosts: RFC 6886, 3.2.1; RFC 6887, 14.1.1.
 * Others on this host may listen as well. -1 errno.
 */
static int
hear_sock(void)
{
	struct sockaddr_in	 sin;
	int			 fd, save, on = 1;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons(ANNOUNCE_PORT);
	sin.sin_addr.s_addr = htonl(INADDR_ALLHOSTS_GROUP);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on)) == 0 &&
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	save = errno;
	close(fd);
	errno = save;
	return -1;
}

/* Without it a restarted gateway is found out at the next renewal. */
static void
gateway_hear(struct proc_child *pc)
{
	int	 fd;

	if ((fd = hear_sock()) == -1)
		log_warn("announcements of gateways");
	else
		(void)chan_compose(&pc->pc_chan, IMSG_GATEWAY_HEAR, 0, fd,
		    NULL, 0);
}

static void
gateway_tell(struct proc_child *pc)
{
	struct msg_gateway	 none;
	int			 fd = -1;

	memset(&none, 0, sizeof(none));
	if (cur.gw.af != 0 && (fd = gateway_sock(&cur.own)) == -1)
		log_warn("socket to the gateway");
	(void)chan_compose(&pc->pc_chan, IMSG_GATEWAY, 0, fd,
	    fd != -1 ? &cur : &none, sizeof(cur));
}

void
gateway_send_netd(struct proc_child *pc)
{
	struct msg_portmap	 m = kept;

	memset(m.nonce, 0, sizeof(m.nonce));
	(void)chan_compose(&pc->pc_chan, IMSG_PORTMAP, 0, -1, &m, sizeof(m));
}

static void
gateway_keep(const struct msg_portmap *m)
{
	kept = *m;
	if (child_running(PROC_NETD))
		gateway_send_netd(child_get(PROC_NETD));
}

void
gateway_send(struct proc_child *pc)
{
	if (kept.ep.af != 0)
		(void)chan_compose(&pc->pc_chan, IMSG_PORTMAP, 0, -1, &kept,
		    sizeof(kept));
	if (shoald_conf()->c_portmap)
		gateway_hear(pc);
	gateway_tell(pc);
}

void
gateway_update(void)
{
	struct msg_portmap	 none;
	struct msg_gateway	 g;

	if (!shoald_up() || releasing)
		return;
	gateway_find(&g);
	if (memcmp(&g, &cur, sizeof(g)) == 0)
		return;
	cur = g;
	if (g.gw.af != 0)
		log_debug("gateway %s", ip_print(g.gw.af, g.gw.addr));
	else
		log_debug("no gateway to map a port");
	/* What was mapped leads nowhere any more. */
	memset(&none, 0, sizeof(none));
	gateway_keep(&none);
	if (child_running(PROC_PORTMAPD))
		gateway_tell(child_get(PROC_PORTMAPD));
}

const struct msg_ip *
gateway_ip(void)
{
	return &cur.gw;
}

/* --- portmapd --- */

/* Could that be an address of the gateway's other side? */
static int
ep_ok(const struct msg_endpoint *ep)
{
	struct msg_ip	 ip;

	if (ep->af == 0)
		return 1;
	if (ep->af != AF_WIRE_INET || ep->port == 0)
		return 0;
	memset(&ip, 0, sizeof(ip));
	ip.af = ep->af;
	memcpy(ip.addr, ep->addr, 4);
	return ip.addr[0] != 0 && ip.addr[0] != 127 && ip.addr[0] < 224;
}

int
gateway_portmap(struct imsg *imsg)
{
	struct msg_portmap	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.pmp > PORTMAP_YES ||
	    m.pcp > PORTMAP_YES || m.upnp > PORTMAP_YES ||
	    m.kind > PORTMAP_UPNP || !ep_ok(&m.ep) ||
	    !bucket_take(&tells, os_now(), TELL_BURST, TELL_NS))
		return -1;
	if (memcmp(&m.g, &cur, sizeof(cur)) == 0)	/* else: of before */
		gateway_keep(&m);
	return 0;
}

void
gateway_probe(void)
{
	if (child_running(PROC_PORTMAPD) &&
	    bucket_take(&probes, os_now(), TELL_BURST, TELL_NS))
		child_send(PROC_PORTMAPD, IMSG_PORTMAP_PROBE, NULL, 0);
}

void
gateway_release(void)
{
	if (releasing || kept.ep.af == 0 || !child_running(PROC_PORTMAPD))
		return;
	releasing = 1;
	child_send(PROC_PORTMAPD, IMSG_PORTMAP_RELEASE, NULL, 0);
}

int
gateway_busy(void)
{
	return releasing == 1 && child_running(PROC_PORTMAPD);
}

void
gateway_released(void)
{
	if (releasing)
		releasing = 2;
}
