/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What netd found out about the network, on its way to the server.
 * Source: dataplane.md 4.3.
 */

#include <sys/types.h>

#include <string.h>

#include "ctrld.h"
#include "maprequest.h"

static struct msg_netinfo	 now;
static struct netinfo_lat	 lat[MSG_LIST_MAX];
static struct netinfo		 info;
static int			 have;

static int
is_tri(int8_t v)
{
	return v >= -1 && v <= 1;
}

static int
netinfo_ok(const struct msg_netinfo *m)
{
	return is_tri(m->varies) && is_tri(m->ipv6) && is_tri(m->os_ipv6) &&
	    is_tri(m->udp) && is_tri(m->icmp4) && is_tri(m->upnp) &&
	    is_tri(m->pmp) && is_tri(m->pcp) &&
	    msg_str_ok(m->link_type, sizeof(m->link_type)) &&
	    msg_str_ok(m->firewall_mode, sizeof(m->firewall_mode));
}

static void
netinfo_set(void)
{
	memset(&info, 0, sizeof(info));
	info.ni_varies = now.varies;
	info.ni_ipv6 = now.ipv6;
	info.ni_osipv6 = now.os_ipv6;
	info.ni_udp = now.udp;
	info.ni_icmp4 = now.icmp4;
	info.ni_upnp = now.upnp;
	info.ni_pmp = now.pmp;
	info.ni_pcp = now.pcp;
	info.ni_portmap = now.portmap != 0;
	info.ni_derp = now.preferred_derp;
	info.ni_link = now.link_type;
	info.ni_firewall = now.firewall_mode;
	info.ni_lat = lat;
	info.ni_nlat = now.nlat;
}

/* Latencies alone are no news: they go along with the next that are. */
int
netinfo_msg(struct imsg *imsg)
{
	struct msg_netinfo	 m, was;
	struct msg_netinfo_lat	 l;
	const uint8_t		*p;
	uint32_t		 i;

	if (msg_list(imsg, &m, sizeof(m), &p) == -1 ||
	    msg_list_ok(imsg, sizeof(m), m.nlat, sizeof(l)) == -1 ||
	    !netinfo_ok(&m))
		return -1;
	for (i = 0; i < m.nlat; i++) {
		memcpy(&l, p + i * sizeof(l), sizeof(l));
		if ((l.family != AF_WIRE_INET && l.family != AF_WIRE_INET6) ||
		    l.latency < 0)
			return -1;
		lat[i].nl_region = l.region;
		lat[i].nl_version = l.family;
		lat[i].nl_latency = l.latency;
	}
	was = now;
	was.nlat = m.nlat;
	now = m;
	netinfo_set();
	if (have && memcmp(&was, &now, sizeof(was)) == 0)
		return 0;
	have = 1;
	control_update();
	return 0;
}

const struct netinfo *
netinfo_now(void)
{
	return have ? &info : NULL;
}
