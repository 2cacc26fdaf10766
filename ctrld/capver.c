/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What a capability version promises, and how it is kept.
 * Source: control.md 7.
 */

#include "capver.h"

#ifndef nitems
#define nitems(a)	(sizeof((a)) / sizeof((a)[0]))
#endif

static const struct capver	 table[] = {
	{ 68, CAPVER_KEPT, "lite updates apart from the stream" },
	{ 69, CAPVER_KEPT, "c2n /debug/logheap: answered, not Go" },
	{ 70, CAPVER_KEPT, "settings come as node attributes, not Debug" },
	{ 71, CAPVER_CONF, "one-cgnat: always a route for each peer" },
	{ 72, CAPVER_KEPT, "UPnP: only the gateway's answers count" },
	{ 73, CAPVER_KEPT, "ClientVersion" },
	{ 74, CAPVER_KEPT, "Node.CapMap" },
	{ 75, CAPVER_CONF, "DNS over TCP after truncation" },
	{ 76, CAPVER_MOOT, "ExitNodeDNSResolvers" },
	{ 77, CAPVER_KEPT, "SelfNodeV6MasqAddrForThisPeer" },
	{ 78, CAPVER_KEPT, "c2n /wol: answered, wakes nobody" },
	{ 79, CAPVER_KEPT, "UrgentSecurityUpdate" },
	{ 80, CAPVER_KEPT, "c2n /tls-cert-status" },
	{ 81, CAPVER_KEPT, "named packet filters" },
	{ 82, CAPVER_KEPT, "c2n /netfilter-kind: answered, nftables only" },
	{ 83, CAPVER_MOOT, "DefaultAutoUpdate" },
	{ 84, CAPVER_KEPT, "seamless key renewal" },
	{ 85, CAPVER_MOOT, "MaxKeyDuration, for people" },
	{ 86, CAPVER_CONF, "probe-udp-lifetime" },
	{ 87, CAPVER_KEPT, "UserProfile without Groups" },
	{ 88, CAPVER_MOOT, "suggest-exit-node" },
	{ 89, CAPVER_KEPT, "PeerChange.CapMap alone" },
	{ 90, CAPVER_MOOT, "Taildrive" },
	{ 91, CAPVER_MOOT, "Taildrive" },
	{ 92, CAPVER_MOOT, "user-dial-routes" },
	{ 93, CAPVER_KEPT, "stateful filter" },
	{ 94, CAPVER_KEPT, "Node.IsJailed" },
	{ 95, CAPVER_MOOT, "user-dial-routes" },
	{ 96, CAPVER_MOOT, "SSH" },
	{ 97, CAPVER_CONF, "split DNS without resolvers" },
	{ 98, CAPVER_MOOT, "serial numbers of iOS" },
	{ 99, CAPVER_MOOT, "NRPT of Windows" },
	{ 100, CAPVER_KEPT, "see 109" },
	{ 101, CAPVER_MOOT, "SSH" },
	{ 102, CAPVER_KEPT, "see 124" },
	{ 103, CAPVER_KEPT, "disable-captive-portal-detection" },
	{ 104, CAPVER_KEPT, "see 77" },
	{ 105, CAPVER_MOOT, "SSH" },
	{ 106, CAPVER_KEPT, "a defect of others" },
	{ 107, CAPVER_MOOT, "a configuration file of others" },
	{ 108, CAPVER_KEPT, "no services, and c2n /vip-services says so" },
	{ 109, CAPVER_KEPT, "filter sources by capability" },
	{ 110, CAPVER_MOOT, "SSH" },
	{ 111, CAPVER_KEPT, "Node.HomeDERP" },
	{ 112, CAPVER_KEPT, "absent AllowedIPs are the addresses" },
	{ 113, CAPVER_KEPT, "IngressEnabled: never" },
	{ 114, CAPVER_MOOT, "MaxKeyDuration, for people" },
	{ 115, CAPVER_KEPT, "DERPRegion.NoMeasureNoHome" },
	{ 116, CAPVER_KEPT, "AAAA for peers: always" },
	{ 117, CAPVER_KEPT, "DisplayMessages" },
	{ 118, CAPVER_KEPT, "Hostinfo.StateEncrypted" },
	{ 119, CAPVER_MOOT, "Location.Priority" },
	{ 120, CAPVER_KEPT, "peer relays, as client and as server" },
	{ 121, CAPVER_KEPT, "allocation at a peer relay" },
	{ 122, CAPVER_MOOT, "Hostinfo.ExitNodeID" },
	{ 123, CAPVER_KEPT, "a defect of others" },
	{ 124, CAPVER_KEPT, "routing by key, always" },
	{ 125, CAPVER_MOOT, "Resolver.UseWithExitNode" },
	{ 126, CAPVER_KEPT, "see 84" },
	{ 127, CAPVER_KEPT, "c2n /debug/netmap" },
	{ 128, CAPVER_KEPT, "c2n /debug/health" },
	{ 129, CAPVER_KEPT, "a defect of others" },
	{ 130, CAPVER_MOOT, "attestation by hardware: none is offered" },
	{ 131, CAPVER_MOOT, "default-auto-update" },
	{ 132, CAPVER_MOOT, "the hosts file of Windows" },
	{ 133, CAPVER_CONF, "MagicDNS over IPv4 alone" },
	{ 134, CAPVER_MOOT, "Android" },
	{ 135, CAPVER_KEPT, "the map on disk, unless it is forbidden" },
	{ 136, CAPVER_MOOT, "no rule drops 100.64.0.0/10" },
	{ 137, CAPVER_KEPT, "429 and Retry-After at register" },
	{ 138, CAPVER_NOT, "c2n /debug/tka: there is no tailnet lock" }
};

const struct capver *
capver_table(size_t *n)
{
	*n = nitems(table);
	return table;
}
