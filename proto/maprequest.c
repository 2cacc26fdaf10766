/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Host information and map requests, as the client sends them.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "jsonutil.h"
#include "maprequest.h"

/* -1 is not known: left out. */
static void
set_tri(json_t *o, const char *name, int v, int *bad)
{
	if (v != -1)
		ju_set(o, name, json_boolean(v), bad);
}

static void
set_latency(json_t *o, const struct netinfo *ni, int *bad)
{
	json_t	*lat;
	char	 name[16];
	size_t	 i;

	if (ni->ni_nlat == 0)
		return;
	lat = json_object();
	for (i = 0; i < ni->ni_nlat; i++) {
		(void)snprintf(name, sizeof(name), "%u-v%u",
		    ni->ni_lat[i].nl_region, ni->ni_lat[i].nl_version);
		ju_set(lat, name, json_real(ni->ni_lat[i].nl_latency / 1e9),
		    bad);
	}
	ju_set(o, "DERPLatency", lat, bad);
}

static void
set_netinfo(json_t *o, const struct netinfo *ni, int *bad)
{
	json_t	*j;

	if (ni == NULL)
		return;
	if ((j = json_object()) == NULL) {
		*bad = 1;
		return;
	}
	set_tri(j, "MappingVariesByDestIP", ni->ni_varies, bad);
	set_tri(j, "WorkingIPv6", ni->ni_ipv6, bad);
	set_tri(j, "OSHasIPv6", ni->ni_osipv6, bad);
	set_tri(j, "WorkingUDP", ni->ni_udp, bad);
	set_tri(j, "WorkingICMPv4", ni->ni_icmp4, bad);
	if (ni->ni_portmap)
		ju_set(j, "HavePortMap", json_true(), bad);
	set_tri(j, "UPnP", ni->ni_upnp, bad);
	set_tri(j, "PMP", ni->ni_pmp, bad);
	set_tri(j, "PCP", ni->ni_pcp, bad);
	if (ni->ni_derp != 0)
		ju_set(j, "PreferredDERP", json_integer(ni->ni_derp), bad);
	ju_opt_str(j, "LinkType", ni->ni_link, bad);
	set_latency(j, ni, bad);
	ju_opt_str(j, "FirewallMode", ni->ni_firewall, bad);
	ju_set(o, "NetInfo", j, bad);
}

json_t *
hostinfo_json(const struct hostinfo *hi)
{
	json_t	*o;
	int	 bad;

	if ((o = json_object()) == NULL)
		return NULL;
	bad = 0;
	ju_opt_str(o, "IPNVersion", hi->hi_version, &bad);
	ju_opt_str(o, "BackendLogID", hi->hi_logid, &bad);
	ju_opt_str(o, "OS", hi->hi_os, &bad);
	ju_opt_str(o, "OSVersion", hi->hi_osversion, &bad);
	set_tri(o, "Container", hi->hi_container, &bad);
	ju_opt_str(o, "Distro", hi->hi_distro, &bad);
	ju_opt_str(o, "DistroVersion", hi->hi_distrover, &bad);
	ju_opt_str(o, "DistroCodeName", hi->hi_distrocode, &bad);
	ju_opt_str(o, "Hostname", hi->hi_hostname, &bad);
	if (hi->hi_shields)
		ju_set(o, "ShieldsUp", json_true(), &bad);
	ju_set(o, "NoLogsNoSupport", json_true(), &bad);
	ju_opt_str(o, "Machine", hi->hi_machine, &bad);
	ju_opt_str(o, "GoArch", hi->hi_arch, &bad);
	ju_opt_strs(o, "RoutableIPs", hi->hi_routes, hi->hi_nroutes, &bad);
	ju_opt_strs(o, "RequestTags", hi->hi_tags, hi->hi_ntags, &bad);
	set_netinfo(o, hi->hi_net, &bad);
	set_tri(o, "Userspace", 0, &bad);
	set_tri(o, "UserspaceRouter", 0, &bad);
	if (hi->hi_relay)
		ju_set(o, "PeerRelay", json_true(), &bad);
	set_tri(o, "StateEncrypted", 0, &bad);
	return ju_set_done(o, bad);
}

static void
set_eptypes(json_t *o, const struct maprequest *mr, int *bad)
{
	json_t	*a;
	size_t	 i;

	if (mr->mr_nendpoints == 0)
		return;
	a = json_array();
	for (i = 0; i < mr->mr_nendpoints; i++)
		if (json_array_append_new(a,
		    json_integer(mr->mr_eptypes[i])) == -1)
			*bad = 1;
	ju_set(o, "EndpointTypes", a, bad);
}

char *
maprequest_build(const struct maprequest *mr)
{
	char	*text;
	json_t	*o;
	int	 bad;

	if ((o = json_object()) == NULL)
		return NULL;
	bad = 0;
	ju_set(o, "Version", json_integer(mr->mr_version), &bad);
	if (mr->mr_zstd)
		ju_set(o, "Compress", json_string("zstd"), &bad);
	if (mr->mr_keepalive)
		ju_set(o, "KeepAlive", json_true(), &bad);
	ju_set_key(o, "NodeKey", "nodekey:", mr->mr_nodekey, &bad);
	ju_set_key(o, "DiscoKey", "discokey:", mr->mr_discokey, &bad);
	if (mr->mr_stream)
		ju_set(o, "Stream", json_true(), &bad);
	ju_set(o, "Hostinfo", mr->mr_hostinfo == NULL ? json_null() :
	    json_incref(mr->mr_hostinfo), &bad);
	ju_opt_strs(o, "Endpoints", mr->mr_endpoints, mr->mr_nendpoints, &bad);
	set_eptypes(o, mr, &bad);
	if (mr->mr_omitpeers)
		ju_set(o, "OmitPeers", json_true(), &bad);
	text = bad ? NULL : json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}
