/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What a node tells of itself: all that is known, nothing that is not.
 */

#include <sys/types.h>

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "maprequest.h"

static void
is_json(const char *what, json_t *j, const char *want)
{
	char	*text;

	text = j == NULL ? NULL : json_dumps(j, JSON_COMPACT);
	if (text == NULL || strcmp(text, want) != 0)
		errx(1, "%s:\n%s, not\n%s", what, text, want);
	free(text);
	json_decref(j);
}

static void
test_hostinfo(void)
{
	static const char	*const routes[] = { "10.0.0.0/8", "::/0" };
	static const char	*const tags[] = { "tag:a" };
	static const struct netinfo_lat	 lat[] = {
		{ 1, 4, 20000000 }, { 900, 6, 1500000 }
	};
	struct netinfo	 ni;
	struct hostinfo	 hi;

	memset(&hi, 0, sizeof(hi));
	hi.hi_container = -1;
	is_json("nothing known", hostinfo_json(&hi),
	    "{\"NoLogsNoSupport\":true,\"Userspace\":false,"
	    "\"UserspaceRouter\":false,\"StateEncrypted\":false}");
	memset(&ni, 0, sizeof(ni));
	ni.ni_varies = ni.ni_icmp4 = ni.ni_upnp = ni.ni_pcp = -1;
	ni.ni_ipv6 = ni.ni_udp = ni.ni_portmap = 1;
	ni.ni_derp = 900;
	ni.ni_link = "wired";
	ni.ni_firewall = "nft-default";
	ni.ni_lat = lat;
	ni.ni_nlat = 2;
	hi.hi_version = "1";
	hi.hi_logid = "f0";
	hi.hi_os = "linux";
	hi.hi_osversion = "6.1";
	hi.hi_distro = "debian";
	hi.hi_distrover = "12";
	hi.hi_distrocode = "bookworm";
	hi.hi_machine = "x86_64";
	hi.hi_arch = "amd64";
	hi.hi_hostname = "h";
	hi.hi_routes = routes;
	hi.hi_nroutes = 2;
	hi.hi_tags = tags;
	hi.hi_ntags = 1;
	hi.hi_shields = hi.hi_container = hi.hi_relay = 1;
	hi.hi_net = &ni;
	is_json("all known", hostinfo_json(&hi), "{\"IPNVersion\":\"1\","
	    "\"BackendLogID\":\"f0\",\"OS\":\"linux\",\"OSVersion\":\"6.1\","
	    "\"Container\":true,\"Distro\":\"debian\",\"DistroVersion\":"
	    "\"12\",\"DistroCodeName\":\"bookworm\",\"Hostname\":\"h\","
	    "\"ShieldsUp\":true,\"NoLogsNoSupport\":true,\"Machine\":"
	    "\"x86_64\",\"GoArch\":\"amd64\",\"RoutableIPs\":"
	    "[\"10.0.0.0/8\",\"::/0\"],\"RequestTags\":[\"tag:a\"],"
	    "\"NetInfo\":{\"WorkingIPv6\":true,\"OSHasIPv6\":false,"
	    "\"WorkingUDP\":true,\"HavePortMap\":true,\"PMP\":false,"
	    "\"PreferredDERP\":900,\"LinkType\":\"wired\",\"DERPLatency\":"
	    "{\"1-v4\":0.02,\"900-v6\":0.0015},\"FirewallMode\":"
	    "\"nft-default\"},\"Userspace\":false,\"UserspaceRouter\":false,"
	    "\"PeerRelay\":true,\"StateEncrypted\":false}");
}

/* The three kinds of control.md 4.1. */
static void
test_requests(void)
{
	static const char	*const eps[] = { "192.0.2.1:41641" };
	static const int	 types[] = { MAPREQ_EP_STUN };
	struct maprequest	 mr;
	char			*text;

	memset(&mr, 0, sizeof(mr));
	mr.mr_version = 117;
	mr.mr_stream = mr.mr_keepalive = mr.mr_zstd = 1;
	if ((text = maprequest_build(&mr)) == NULL ||
	    strstr(text, "\"Compress\":\"zstd\",\"KeepAlive\":true") ==
	    NULL || strstr(text, "\"Stream\":true,\"Hostinfo\":null") ==
	    NULL || strstr(text, "OmitPeers") != NULL ||
	    strstr(text, "Endpoint") != NULL)
		errx(1, "poll: %s", text);
	free(text);
	memset(&mr, 0, sizeof(mr));
	mr.mr_omitpeers = 1;
	mr.mr_endpoints = eps;
	mr.mr_eptypes = types;
	mr.mr_nendpoints = 1;
	if ((text = maprequest_build(&mr)) == NULL ||
	    strstr(text, "\"Endpoints\":[\"192.0.2.1:41641\"],"
	    "\"EndpointTypes\":[2],\"OmitPeers\":true") == NULL ||
	    strstr(text, "Stream") != NULL || strstr(text, "zstd") != NULL)
		errx(1, "lite update: %s", text);
	free(text);
}

int
main(void)
{
	test_hostinfo();
	test_requests();
	return 0;
}
