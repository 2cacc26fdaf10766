/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Host information and map requests, as the client sends them.
 */

#ifndef PROTO_MAPREQUEST_H
#define PROTO_MAPREQUEST_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* Latency of a relay region. */
struct netinfo_lat {
	uint16_t	 nl_region;
	uint8_t		 nl_version;	/* 4 or 6 */
	int64_t		 nl_latency;	/* nanoseconds */
};

/*
 * What a node found out about its network; the tri-states are -1 where it
 * does not know. Source: dataplane.md 4.3.
 */
struct netinfo {
	int		 ni_varies;	/* MappingVariesByDestIP */
	int		 ni_ipv6;	/* WorkingIPv6 */
	int		 ni_osipv6;	/* OSHasIPv6 */
	int		 ni_udp;	/* WorkingUDP */
	int		 ni_icmp4;	/* WorkingICMPv4 */
	int		 ni_upnp;
	int		 ni_pmp;
	int		 ni_pcp;
	int		 ni_portmap;	/* HavePortMap: 0 or 1 */
	int		 ni_derp;	/* PreferredDERP, 0: none */
	const char	*ni_link;	/* LinkType; NULL or "": unknown */
	const char	*ni_firewall;	/* FirewallMode, likewise */
	const struct netinfo_lat *ni_lat;
	size_t		 ni_nlat;
};

/*
 * What a node tells about itself. Strings may be NULL (left out); lists
 * end with their counts. Nothing is owned by this struct. What holds of
 * every node of this suite is not in it: no logs are uploaded, packets and
 * routes are the kernel's, the state is not sealed. Source: control.md 4.7.
 */
struct hostinfo {
	const char	*hi_version;	/* IPNVersion */
	const char	*hi_logid;	/* BackendLogID, 64 hex */
	const char	*hi_os;		/* "linux", "openbsd" */
	const char	*hi_osversion;
	const char	*hi_distro;
	const char	*hi_distrover;	/* DistroVersion */
	const char	*hi_distrocode;	/* DistroCodeName */
	const char	*hi_machine;	/* Machine: "x86_64" */
	const char	*hi_hostname;
	const char	*hi_arch;	/* GoArch: "amd64" */
	const char	*const *hi_routes;	/* RoutableIPs, with slash */
	const char	*const *hi_tags;	/* RequestTags */
	size_t		 hi_nroutes;
	size_t		 hi_ntags;
	int		 hi_shields;	/* ShieldsUp */
	int		 hi_container;	/* -1: unknown */
	int		 hi_relay;	/* PeerRelay */
	const struct netinfo *hi_net;	/* NetInfo; NULL: none yet */
};

/* New reference to the Hostinfo object; NULL: no memory. */
json_t	*hostinfo_json(const struct hostinfo *);

/* Endpoint types. Source: control.md 4.1. */
#define MAPREQ_EP_UNKNOWN	0
#define MAPREQ_EP_LOCAL		1
#define MAPREQ_EP_STUN		2
#define MAPREQ_EP_PORTMAP	3
#define MAPREQ_EP_STUN4LOCAL	4
#define MAPREQ_EP_EXPLICIT	5

struct maprequest {
	int		 mr_version;	/* capability version */
	uint8_t		 mr_nodekey[32];
	uint8_t		 mr_discokey[32];	/* zero: leave unchanged */
	int		 mr_stream;	/* long poll */
	int		 mr_omitpeers;	/* with mr_stream 0: lite update */
	int		 mr_keepalive;
	int		 mr_zstd;	/* Compress */
	json_t		*mr_hostinfo;	/* borrowed; NULL: null */
	const char	*const *mr_endpoints;	/* "ip:port" */
	const int	*mr_eptypes;	/* parallel to them */
	size_t		 mr_nendpoints;
};

/*
 * The request body as text; the caller frees. NULL: no memory.
 * Source: control.md 4.1.
 */
char	*maprequest_build(const struct maprequest *);

#endif /* PROTO_MAPREQUEST_H */
