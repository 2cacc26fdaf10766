/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the children may be connected to. A child is taken for taken over:
 * it gets what the configuration names, and nothing near the host itself.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shoald.h"

#define DNS_PORT	53
#define PROBE_PORT	80	/* captive portals */

static int
ip_mapped(const struct msg_ip *ip)
{
	static const uint8_t	 head[12] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
	};

	return ip->af == AF_WIRE_INET6 &&
	    memcmp(ip->addr, head, sizeof(head)) == 0;
}

static int
ip_loopback(const struct msg_ip *ip)
{
	static const uint8_t	 one[16] = { [15] = 1 };

	if (ip->af == AF_WIRE_INET)
		return ip->addr[0] == 127;
	return memcmp(ip->addr, one, sizeof(one)) == 0;
}

/* Never a server's: unspecified, link-local, multicast, reserved. */
static int
ip_never(const struct msg_ip *ip)
{
	static const uint8_t	 zero[16];

	if (ip->af == AF_WIRE_INET)
		return ip->addr[0] == 0 || ip->addr[0] >= 224 ||
		    (ip->addr[0] == 169 && ip->addr[1] == 254);
	return memcmp(ip->addr, zero, sizeof(zero)) == 0 ||
	    ip->addr[0] == 0xff || ip_mapped(ip) ||
	    (ip->addr[0] == 0xfe && (ip->addr[1] & 0xc0) == 0x80);
}

static int
ep_ip(const struct msg_endpoint *ep, struct msg_ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	if (ep->af != AF_WIRE_INET && ep->af != AF_WIRE_INET6)
		return -1;
	ip->af = ep->af;
	memcpy(ip->addr, ep->addr, ep->af == AF_WIRE_INET ? 4 : 16);
	return 0;
}

/*
 * The control server is dialled over TLS and over plain HTTP, on the ports
 * of the URL or the usual ones. Source: control.md 2.2.
 */
static int
control_port(const struct url *u, uint16_t port)
{
	return port == u->u_port || port == (u->u_tls ? 80 : 443);
}

int
broker_check_control(const struct url *u, const struct msg_endpoint *ep)
{
	struct msg_ip	 ip;

	if (ep_ip(ep, &ip) == -1 || ep->port == 0)
		return MSG_E_BAD;
	if (!control_port(u, ep->port) || ip_never(&ip))
		return MSG_E_REFUSED;
	if (u->u_ip.af != 0)
		return memcmp(&u->u_ip, &ip, sizeof(ip)) == 0 ?
		    MSG_OK : MSG_E_REFUSED;
	if (ip_is_tailnet(&ip))
		return MSG_E_REFUSED;
	if (ip_loopback(&ip) && strcasecmp(u->u_host, "localhost") != 0)
		return MSG_E_REFUSED;
	return MSG_OK;
}

/* Where there is a proxy, nothing but it. */
int
broker_check_proxy(const struct url *u, const struct msg_endpoint *ep)
{
	if (ep->port != 0 && ep->port != u->u_port)
		return MSG_E_REFUSED;
	return broker_check_control(u, ep);
}

/*
 * The DERP map says nothing of addresses that hold: names are looked up when
 * they are needed. So: its ports, on hosts that may be a relay's.
 */
int
broker_check_derp(const uint16_t *ports, size_t n, uint32_t purpose,
    const struct msg_endpoint *ep)
{
	struct msg_ip	 ip;
	size_t		 i;

	if (ep_ip(ep, &ip) == -1 ||
	    (ep->port == 0) != (purpose == CONN_ICMP))
		return MSG_E_BAD;
	if (ip_never(&ip) || ip_loopback(&ip) || ip_is_tailnet(&ip))
		return MSG_E_REFUSED;
	if (purpose == CONN_ICMP)
		return ip.af == AF_WIRE_INET ? MSG_OK : MSG_E_REFUSED;
	if (purpose == CONN_PROBE && ep->port == PROBE_PORT)
		return MSG_OK;
	for (i = 0; i < n; i++)
		if (ports[i] == ep->port)
			return MSG_OK;
	return MSG_E_REFUSED;
}

/* Any port: the gateway says which one its UPnP has. */
int
broker_check_gateway(const struct msg_ip *gw, const struct msg_endpoint *ep)
{
	struct msg_ip	 ip;

	if (ep_ip(ep, &ip) == -1 || ep->port == 0)
		return MSG_E_BAD;
	return gw->af != 0 && memcmp(gw, &ip, sizeof(ip)) == 0 ?
	    MSG_OK : MSG_E_REFUSED;
}

int
broker_check_upstream(const struct msg_ip *list, size_t n,
    const struct msg_endpoint *ep)
{
	struct msg_ip	 ip;
	size_t		 i;

	if (ep_ip(ep, &ip) == -1)
		return MSG_E_BAD;
	/* Our own service address would ask ourselves, for ever. */
	if (ep->port != DNS_PORT || ip_is_service(&ip))
		return MSG_E_REFUSED;
	for (i = 0; i < n; i++)
		if (memcmp(&list[i], &ip, sizeof(ip)) == 0)
			return MSG_OK;
	return MSG_E_REFUSED;
}

int
bucket_take(struct bucket *b, int64_t now, unsigned int burst, int64_t ns)
{
	/* A clock of a REGRESS build may step back. */
	if (b->b_full < now || b->b_full - now > (int64_t)burst * ns)
		b->b_full = now;
	if (b->b_full - now > (int64_t)(burst - 1) * ns)
		return 0;
	b->b_full += ns;
	return 1;
}

size_t
resolver_parse(FILE *fp, struct msg_ip *ips, size_t max)
{
	char	*line = NULL, *p;
	size_t	 size = 0, n = 0;

	while (n < max && getline(&line, &size, fp) != -1) {
		if (strncmp(line, "nameserver", 10) != 0)
			continue;
		p = line + 10;
		if (*p != ' ' && *p != '\t')
			continue;
		p += strspn(p, " \t");
		p[strcspn(p, " \t\r\n%#;")] = '\0';
		if (ip_parse(&ips[n], p) == 0)
			n++;
	}
	free(line);
	if (n == 0 && max > 0) {	/* resolv.conf(5): the local host */
		memset(&ips[0], 0, sizeof(ips[0]));
		(void)ip_parse(&ips[n++], "127.0.0.1");
	}
	return n;
}
