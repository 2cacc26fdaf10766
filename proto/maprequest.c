/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Host information and map requests, as the client sends them.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonutil.h"
#include "maprequest.h"

static void
set(json_t *o, const char *name, json_t *v, int *bad)
{
	if (json_object_set_new(o, name, v) == -1)
		*bad = 1;
}

static void
set_str(json_t *o, const char *name, const char *s, int *bad)
{
	if (s != NULL && *s != '\0')
		set(o, name, json_string(s), bad);
}

static void
set_strs(json_t *o, const char *name, const char *const *s, size_t n,
    int *bad)
{
	json_t	*a;
	size_t	 i;

	if (n == 0)
		return;
	a = json_array();
	for (i = 0; i < n; i++)
		if (json_array_append_new(a, json_string(s[i])) == -1)
			*bad = 1;
	set(o, name, a, bad);
}

/* -1 is not known: left out. */
static void
set_tri(json_t *o, const char *name, int v, int *bad)
{
	if (v != -1)
		set(o, name, json_boolean(v), bad);
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
		set(lat, name, json_real(ni->ni_lat[i].nl_latency / 1e9),
		    bad);
	}
	set(o, "DERPLatency", lat, bad);
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
		set(j, "HavePortMap", json_true(), bad);
	set_tri(j, "UPnP", ni->ni_upnp, bad);
	set_tri(j, "PMP", ni->ni_pmp, bad);
	set_tri(j, "PCP", ni->ni_pcp, bad);
	if (ni->ni_derp != 0)
		set(j, "PreferredDERP", json_integer(ni->ni_derp), bad);
	set_str(j, "LinkType", ni->ni_link, bad);
	set_latency(j, ni, bad);
	set_str(j, "FirewallMode", ni->ni_firewall, bad);
	set(o, "NetInfo", j, bad);
}

json_t *
hostinfo_json(const struct hostinfo *hi)
{
	json_t	*o;
	int	 bad;

	if ((o = json_object()) == NULL)
		return NULL;
	bad = 0;
	set_str(o, "IPNVersion", hi->hi_version, &bad);
	set_str(o, "BackendLogID", hi->hi_logid, &bad);
	set_str(o, "OS", hi->hi_os, &bad);
	set_str(o, "OSVersion", hi->hi_osversion, &bad);
	set_tri(o, "Container", hi->hi_container, &bad);
	set_str(o, "Distro", hi->hi_distro, &bad);
	set_str(o, "DistroVersion", hi->hi_distrover, &bad);
	set_str(o, "DistroCodeName", hi->hi_distrocode, &bad);
	set_str(o, "Hostname", hi->hi_hostname, &bad);
	if (hi->hi_shields)
		set(o, "ShieldsUp", json_true(), &bad);
	set(o, "NoLogsNoSupport", json_true(), &bad);
	set_str(o, "Machine", hi->hi_machine, &bad);
	set_str(o, "GoArch", hi->hi_arch, &bad);
	set_strs(o, "RoutableIPs", hi->hi_routes, hi->hi_nroutes, &bad);
	set_strs(o, "RequestTags", hi->hi_tags, hi->hi_ntags, &bad);
	set_netinfo(o, hi->hi_net, &bad);
	set_tri(o, "Userspace", 0, &bad);
	set_tri(o, "UserspaceRouter", 0, &bad);
	if (hi->hi_relay)
		set(o, "PeerRelay", json_true(), &bad);
	set_tri(o, "StateEncrypted", 0, &bad);
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
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
	set(o, "EndpointTypes", a, bad);
}

char *
maprequest_build(const struct maprequest *mr)
{
	char	 key[JU_KEYTEXT];
	char	*text;
	json_t	*o;
	int	 bad;

	if ((o = json_object()) == NULL)
		return NULL;
	bad = 0;
	set(o, "Version", json_integer(mr->mr_version), &bad);
	if (mr->mr_zstd)
		set(o, "Compress", json_string("zstd"), &bad);
	if (mr->mr_keepalive)
		set(o, "KeepAlive", json_true(), &bad);
	set(o, "NodeKey", json_string(ju_key_text("nodekey:",
	    mr->mr_nodekey, key, sizeof(key))), &bad);
	set(o, "DiscoKey", json_string(ju_key_text("discokey:",
	    mr->mr_discokey, key, sizeof(key))), &bad);
	if (mr->mr_stream)
		set(o, "Stream", json_true(), &bad);
	set(o, "Hostinfo", mr->mr_hostinfo == NULL ? json_null() :
	    json_incref(mr->mr_hostinfo), &bad);
	set_strs(o, "Endpoints", mr->mr_endpoints, mr->mr_nendpoints, &bad);
	set_eptypes(o, mr, &bad);
	if (mr->mr_omitpeers)
		set(o, "OmitPeers", json_true(), &bad);
	text = bad ? NULL : json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}
