/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Payloads of a node's messages: between shoald, its children and shoalctl.
 * Who may send which is said in messages.h.
 */

#ifndef SHOAL_MSGNODE_H
#define SHOAL_MSGNODE_H

#include "msgdefs.h"

/* --- configuration ------------------------------------------------------ */

struct msg_conf_netd {
	uint16_t	 port;		/* UDP, 0: any */
	uint8_t		 shields_up;
	uint8_t		 relay;		/* be a peer relay */
	uint8_t		 hardnat;	/* probe through hard NATs */
	uint8_t		 pad[3];
	uint32_t	 mtu;
	uint32_t	 force_path;	/* FORCE_* below, for tests */
};
#define FORCE_NO_VNET	0x01
#define FORCE_NO_GSO	0x02
#define FORCE_NO_GRO	0x04
#define FORCE_NO_USO	0x08
#define FORCE_NO_MULTI	0x10

struct msg_conf_ctrld {
	char		 url[MSG_NAME_LEN];
	char		 proxy[MSG_NAME_LEN];	/* URL, or "" */
	char		 proxy_auth[MSG_PROXY_AUTH_LEN]; /* "user:password" */
	char		 hostname[64];
	char		 os[32];	/* Hostinfo.OS: "linux" */
	char		 os_version[64];
	char		 distro[64];
	char		 distro_version[64];
	char		 distro_code[32];
	char		 uname[32];	/* uname -m */
	char		 machine[32];	/* the same, as Go names it */
	uint8_t		 ephemeral;
	uint8_t		 accept_routes;
	uint8_t		 accept_dns;
	uint8_t		 shields_up;
	uint8_t		 want_running;	/* `down` clears it */
	uint8_t		 exit_node;	/* advertise exit-node */
	uint8_t		 peer_relay;	/* relays for peers */
	int8_t		 container;	/* runs in one; -1: unknown */
	uint32_t	 ntags;		/* so many CONF_TAG follow */
	uint32_t	 nroutes;	/* so many CONF_ROUTE follow */
};

struct msg_conf_dnsd {
	uint32_t	 flags;
};

struct msg_conf_portmapd {
	uint32_t	 enabled;	/* 0: nothing is asked */
	uint32_t	 lease;		/* s, to ask for; 0: the usual */
};

struct msg_str64 {
	char		 s[64];
};

/* --- state file --------------------------------------------------------- */

struct msg_state_result {
	uint32_t	 error;		/* enum msg_error */
	uint32_t	 line;
	char		 text[MSG_NAME_LEN];	/* what is wrong */
};

struct msg_pref {
	char		 name[64];
	char		 value[MSG_TEXT_LEN];	/* empty: not set */
};

/* --- keys and Noise of the control session ------------------------------- */

struct msg_keys {
	uint8_t		 machine[MSG_KEY_LEN];
	uint8_t		 node[MSG_KEY_LEN];	/* zero: none yet */
	uint8_t		 pending[MSG_KEY_LEN];	/* zero: none */
	uint8_t		 disco[MSG_KEY_LEN];
	uint8_t		 nl[MSG_KEY_LEN];	/* tailnet lock, Ed25519 */
};

struct msg_key {
	uint8_t		 key[MSG_KEY_LEN];
};

struct msg_noise_start {
	char		 url[MSG_NAME_LEN];	/* control URL: names the pin */
	uint8_t		 server[MSG_KEY_LEN];	/* zero: the pinned one */
	uint16_t	 version;		/* capability version */
	uint8_t		 pad[6];
};

struct msg_noise_msg1 {
	uint32_t	 error;
	uint8_t		 msg[101];
	uint8_t		 pad[3];
};

struct msg_noise_msg2 {
	uint8_t		 msg[51];
	uint8_t		 pad[1];
};

struct msg_noise_keys {
	uint32_t	 error;
	uint8_t		 tx[MSG_KEY_LEN];
	uint8_t		 rx[MSG_KEY_LEN];
	uint8_t		 hash[MSG_KEY_LEN];
};

/* --- WireGuard and disco operations of cryptod --------------------------- */

struct msg_wg_peer {
	uint64_t	 peer;			/* Node.ID */
	uint8_t		 key[MSG_KEY_LEN];
	uint8_t		 stamp[12];		/* last accepted, or zero */
	uint8_t		 remove;
	uint8_t		 pad[3];
};

struct msg_wg_init_req {
	uint64_t	 peer;
	uint32_t	 index;			/* ours, chosen by netd */
	uint32_t	 pad;
};

struct msg_wg_init {
	uint64_t	 peer;
	uint32_t	 index;
	uint32_t	 error;
	uint8_t		 msg[148];		/* macs zero: netd fills them */
	uint8_t		 pad[4];
};

struct msg_wg_init_in {
	uint32_t	 index;			/* ours, for the response */
	uint8_t		 msg[148];
};

struct msg_wg_resp {
	uint64_t	 peer;
	uint32_t	 index;			/* ours */
	uint32_t	 remote;		/* the peer's */
	uint32_t	 error;
	uint8_t		 stamp[12];		/* accepted: keep it */
	uint8_t		 msg[92];		/* macs zero */
	uint8_t		 send[MSG_KEY_LEN];
	uint8_t		 recv[MSG_KEY_LEN];
	uint8_t		 pad[4];
};

struct msg_wg_resp_in {
	uint32_t	 index;			/* ours, of the initiation */
	uint8_t		 msg[92];
};

struct msg_wg_keys {
	uint64_t	 peer;
	uint32_t	 index;
	uint32_t	 remote;
	uint32_t	 error;
	uint8_t		 send[MSG_KEY_LEN];
	uint8_t		 recv[MSG_KEY_LEN];
	uint8_t		 pad[4];
};

struct msg_disco_key {
	uint32_t	 error;
	uint8_t		 pub[MSG_KEY_LEN];
	uint8_t		 shared[MSG_KEY_LEN];	/* precomputed box key */
};

struct msg_stamp_date {
	int64_t		 ahead;			/* from os_now() to the date */
};

/* --- descriptors and host facts from the parent --------------------------- */

struct msg_tun {
	char		 name[16];
	uint32_t	 mtu;
	uint32_t	 caps;			/* TUN_* of os.h */
	uint16_t	 queue;
	uint16_t	 nqueues;
};

struct msg_udp {
	uint8_t		 af;
	uint8_t		 pad;
	uint16_t	 port;			/* as bound */
};

#define PROBE_SOCKS_MAX	64		/* of one request */

struct msg_localaddr {
	struct msg_prefix p;			/* host bits kept */
	uint32_t	 ifindex;
	uint32_t	 flags;
	char		 ifname[16];
};
#define LOCALADDR_DEFROUTE	0x01		/* has the default route */
#define LOCALADDR_LOOPBACK	0x02
#define LOCALADDR_LINKLOCAL	0x04

#define CONN_CONTROL	1			/* the control server */
#define CONN_DERP	2
#define CONN_PROBE	3
#define CONN_UPNP	4			/* the gateway alone */
#define CONN_ICMP	5			/* echo of IPv4; port 0 */
struct msg_connect {
	struct msg_endpoint ep;
	uint32_t	 purpose;
};

struct msg_connected {
	uint32_t	 error;			/* enum msg_error */
	int32_t		 sys_errno;
};

/*
 * The default route's gateway, if its address is a private one, and our own
 * address towards it; af 0: there is none, or nothing is wanted of it.
 */
struct msg_gateway {
	struct msg_ip	 gw;
	struct msg_ip	 own;
	uint16_t	 port;			/* our UDP port, to be mapped */
	uint8_t		 no_upnp;		/* the server forbids it */
	uint8_t		 pad[5];
};

/*
 * What portmapd found: for netd, and to be given back to a portmapd that
 * takes the place of a dead one. Does the gateway speak that protocol?
 */
#define PORTMAP_UNKNOWN	0
#define PORTMAP_NO	1
#define PORTMAP_YES	2
/* By which one the mapping was made. */
#define PORTMAP_PMP	1
#define PORTMAP_PCP	2
#define PORTMAP_UPNP	3
struct msg_portmap {
	struct msg_endpoint ep;			/* mapped; af 0: none is */
	struct msg_gateway g;			/* as it was then */
	uint8_t		 pmp;			/* PORTMAP_UNKNOWN, ... */
	uint8_t		 pcp;
	uint8_t		 upnp;
	uint8_t		 kind;			/* PORTMAP_PMP, ... */
	uint8_t		 nonce[12];		/* of PCP; zero for netd */
	int64_t		 good_until;		/* os_now() */
};

struct msg_resolve {
	char		 name[MSG_NAME_LEN];
};

#define RESOLVED_MAX	16
struct msg_resolved {
	uint32_t	 error;
	uint32_t	 n;
	struct msg_ip	 ip[RESOLVED_MAX];
};

struct msg_upstream {
	struct msg_endpoint ep;
	uint32_t	 tcp;
};

struct msg_dns_sock {
	struct msg_ip	 ip;			/* bound to */
	uint32_t	 tcp;			/* 1: listening TCP socket */
	uint32_t	 ifindex;		/* of the tunnel */
};

/* --- netmap: ctrld to netd, dnsd, parent ---------------------------------- */

struct msg_nm_begin {
	uint32_t	 full;			/* 1: drop what is not named */
	uint32_t	 seq;
};

struct msg_nm_self {
	uint64_t	 id;
	uint8_t		 key[MSG_KEY_LEN];
	uint32_t	 flags;
	uint16_t	 derp;
	uint16_t	 naddrs;
	struct msg_ip	 addr[16];		/* own tailnet addresses */
};
#define SELF_SILENT_DISCO	0x01		/* node attributes */
#define SELF_NO_RELAY_CLIENT	0x02
#define SELF_NO_RELAY_SERVER	0x04
#define SELF_NO_CAPTIVE		0x08
#define SELF_RANDOM_PORT	0x10
#define SELF_NO_UPNP		0x20
#define SELF_ONLY_443		0x40		/* nothing but TCP to relays */
#define SELF_ALWAYS_STUN	0x80
#define SELF_NO_UDP_GSO		0x100
#define SELF_NO_UDP_GRO		0x200
#define SELF_NO_TUN_UDP_GRO	0x400
#define SELF_NO_TUN_TCP_GRO	0x800

struct msg_nm_peer {
	uint64_t	 id;
	uint8_t		 key[MSG_KEY_LEN];
	uint8_t		 disco[MSG_KEY_LEN];	/* zero: none */
	uint16_t	 derp;			/* home region, 0: none */
	uint16_t	 cap;			/* its capability version */
	uint32_t	 flags;			/* PEER_* */
	struct msg_ip	 masq4;
	struct msg_ip	 masq6;
};
#define PEER_WGONLY	0x01
#define PEER_JAILED	0x02
#define PEER_EXPIRED	0x04
#define PEER_ONLINE	0x08

/* Parts in peer relaying. */
#define RELAY_CLIENTS	1			/* they may use us */
#define RELAY_SERVERS	2			/* we may use them */

struct msg_nm_list {			/* then n elements */
	uint64_t	 id;			/* peer, or rule number */
	uint32_t	 n;
	uint32_t	 pad;
};

struct msg_nm_id {
	uint64_t	 id;
};

struct msg_nm_cap {
	uint64_t	 id;			/* peer, or rule number */
	char		 cap[MSG_NAME_LEN];
};

struct msg_nm_rule {
	uint64_t	 id;			/* number of the rule, from 0 */
	uint32_t	 nprotos;		/* 0: the usual four */
	uint8_t		 proto[60];
};

/*
 * What netcheck found: dataplane.md 4.3. Then nlat of msg_netinfo_lat. The
 * tri-states are -1 unknown, 0 no, 1 yes.
 */
struct msg_netinfo {
	int8_t		 varies;		/* MappingVariesByDestIP */
	int8_t		 ipv6;			/* WorkingIPv6 */
	int8_t		 os_ipv6;		/* OSHasIPv6 */
	int8_t		 udp;			/* WorkingUDP */
	int8_t		 icmp4;			/* WorkingICMPv4 */
	int8_t		 upnp;
	int8_t		 pmp;
	int8_t		 pcp;
	uint8_t		 portmap;		/* HavePortMap */
	uint8_t		 pad;
	uint16_t	 preferred_derp;	/* home region, 0: none */
	char		 link_type[16];		/* "", "wired", "wifi" */
	char		 firewall_mode[32];	/* "nft-default" or the like */
	uint32_t	 nlat;
};

struct msg_netinfo_lat {
	uint16_t	 region;
	uint8_t		 family;		/* AF_WIRE_* */
	uint8_t		 pad[5];
	int64_t		 latency;		/* ns */
};

/*
 * A region of the DERP map. score: a factor of its latency when the home
 * region is chosen, in thousandths.
 */
struct msg_nm_derp_region {
	uint16_t	 id;			/* not 0 */
	uint16_t	 flags;			/* DERP_REGION_* */
	uint32_t	 score;			/* 1000: as measured */
	char		 code[32];
	char		 name[64];
};
#define DERP_REGION_NOHOME	0x01		/* never measure, never home */

/* A node of the region told last. Names are checked, ports filled in. */
struct msg_nm_derp_node {
	uint16_t	 region;
	uint16_t	 port;			/* of DERP, TCP */
	int32_t		 stun_port;		/* -1: none */
	uint32_t	 flags;			/* DERP_NODE_* */
	struct msg_ip	 ip4;			/* af 0: ask the DNS */
	struct msg_ip	 ip6;
	struct msg_ip	 stun_test;		/* af 0: none */
	char		 name[64];
	char		 host[MSG_NAME_LEN];
	char		 cert[MSG_NAME_LEN];	/* CertName, or "" */
};
#define DERP_NODE_NO4		0x01		/* family is switched off */
#define DERP_NODE_NO6		0x02
#define DERP_NODE_STUNONLY	0x04
#define DERP_NODE_PORT80	0x08
#define DERP_NODE_INSECURE	0x10		/* no verification of TLS */

/* Logins to relays: the key names the relay. */
#define DERP_ANSWER_MAX	1024			/* of a box that we open */
struct msg_derp_sealed {
	uint32_t	 error;
	uint32_t	 len;
	uint8_t		 server[MSG_KEY_LEN];
	uint8_t		 node[MSG_KEY_LEN];	/* whose login it is */
	uint8_t		 box[256];		/* nonce in front */
};

struct msg_derp_open {
	uint8_t		 server[MSG_KEY_LEN];
	uint32_t	 len;
	uint8_t		 box[DERP_ANSWER_MAX];	/* nonce in front */
};

struct msg_derp_opened {
	uint32_t	 error;
	uint32_t	 version;
	uint64_t	 rate;			/* bytes/s, 0: no limit */
	uint64_t	 burst;
};

struct msg_dns_host {
	char		 name[MSG_NAME_LEN];	/* full, no trailing dot */
	uint32_t	 n;			/* 0: remove it */
	struct msg_ip	 ip[RESOLVED_MAX];
};

struct msg_dns_route {
	char		 suffix[MSG_NAME_LEN];	/* "": the default resolvers */
	uint32_t	 n;			/* 0: answered here alone */
	struct msg_endpoint ep[8];
};

/* --- state of the control session, and what operators ask ----------------- */

enum ctrl_state {
	CTRL_NOSTATE,
	CTRL_NEEDSLOGIN,
	CTRL_NEEDSAPPROVAL,
	CTRL_STOPPED,
	CTRL_STARTING,
	CTRL_RUNNING
};
enum refusal { REFUSED_NODE = 1, REFUSED_AUTHKEY, REFUSED_LOCK,
    REFUSED_EXPIRED, REFUSED_PIN };

struct msg_ctrl_state {
	uint32_t	 state;			/* enum ctrl_state */
	uint32_t	 online;		/* map stream is up */
	uint32_t	 refused;		/* by enum refusal; 0: not */
	uint32_t	 version;		/* VERSION_*; 0: not told */
	char		 latest[64];		/* version, or "" */
	char		 url[MSG_TEXT_LEN];	/* log in here, or "" */
	char		 error[MSG_TEXT_LEN];	/* last trouble, or "" */
};

/* What the server says of the version that runs here. */
#define VERSION_TOLD	0x01
#define VERSION_LATEST	0x02
#define VERSION_URGENT	0x04			/* a security update */
#define VERSION_NOTIFY	0x08

#define LOGIN_NEW_SERVER_KEY	0x01		/* forget the server's pin */
#define LOGIN_FORCE_REAUTH	0x02		/* a new node key */

struct msg_ctl_state {
	struct msg_ctrl_state c;
	char		 version[64];
	char		 tun[16];
	uint32_t	 want_running;
	uint32_t	 sandbox;		/* OS_SANDBOX_* of os.h */
};

struct msg_ctl_node {			/* status, whois */
	uint64_t	 id;
	uint64_t	 user;
	uint8_t		 key[MSG_KEY_LEN];
	uint8_t		 disco[MSG_KEY_LEN];
	char		 stable[64];
	char		 name[MSG_NAME_LEN];	/* with the trailing dot */
	char		 hostname[MSG_NAME_LEN];
	char		 os[32];
	char		 tags[MSG_TEXT_LEN];	/* comma between */
	int64_t		 created;
	int64_t		 last_seen;
	int64_t		 expiry;		/* 0: never */
	uint32_t	 flags;			/* NODE_* */
	uint16_t	 derp;
	uint16_t	 cap;
	char		 region[32];		/* code of derp, or "" */
	uint32_t	 naddrs;
	struct msg_ip	 addr[8];
	uint32_t	 nroutes;		/* primary; more not told */
	struct msg_prefix route[16];
	uint32_t	 nallowed;
	struct msg_prefix allowed[16];
};
#define NODE_SELF	0x01
#define NODE_ONLINE	0x02
#define NODE_EXPIRED	0x04
#define NODE_EXITNODE	0x08			/* offers to be one */
#define NODE_WGONLY	0x10
#define NODE_SHARED	0x20

struct msg_ctl_user {
	uint64_t	 id;
	char		 login[MSG_NAME_LEN];
	char		 display[MSG_NAME_LEN];
	char		 picture[MSG_NAME_LEN];
};

struct msg_ctl_tailnet {
	char		 domain[MSG_NAME_LEN];
	char		 suffix[MSG_NAME_LEN];
	uint32_t	 magicdns;
};

struct msg_ctl_health {			/* something is not well */
	char		 id[64];
	char		 title[128];
	char		 text[MSG_TEXT_LEN];
	char		 severity[16];		/* "high", "medium", "low" */
	char		 url[MSG_TEXT_LEN];	/* to do about it, or "" */
	char		 label[64];		/* of that */
	uint32_t	 connectivity;		/* 1: this is why it fails */
};

struct msg_ctl_peerstat {		/* from netd */
	uint64_t	 id;
	uint64_t	 rx;
	uint64_t	 tx;
	int64_t		 handshake;		/* date of the last, 0: none */
	int64_t		 last_write;		/* date, 0: none */
	struct msg_endpoint ep;			/* best path now, af 0: none */
	uint16_t	 derp;			/* relay in use, 0: none */
	uint8_t		 active;
	uint8_t		 pad;
	uint32_t	 vni;			/* ep is a peer relay; or 0 */
	char		 relay[32];		/* code of that region, or "" */
};

#define PING_DISCO	1
#define PING_TSMP	2
#define PING_ICMP	3
struct msg_ctl_ping {
	struct msg_ip	 ip;
	uint32_t	 type;
	uint32_t	 size;
	uint32_t	 timeout_ms;
};

struct msg_ctl_pong {
	uint32_t	 error;
	uint16_t	 derp;			/* by this relay, or 0 */
	uint16_t	 pad;
	int64_t		 latency;		/* ns */
	uint64_t	 peer;
	struct msg_endpoint ep;			/* direct path, or af 0 */
	uint32_t	 vni;			/* ep is a peer relay; or 0 */
	uint32_t	 pad2;
	char		 relay[32];		/* code of that region, or "" */
};

#define NETCHECK_FULL	0x01			/* measure all regions */
#define NETCHECK_VERBOSE 0x02			/* and wait for all */
struct msg_ctl_netcheck {
	uint32_t	 flags;
};

/* A report of netcheck. Tri-states: -1 unknown, 0 no, 1 yes. */
struct msg_ctl_netreport {
	int64_t		 date;			/* ns since 1970 */
	int64_t		 took;			/* ns */
	uint8_t		 udp;
	uint8_t		 ipv4;
	uint8_t		 ipv6;
	uint8_t		 cansend4;
	uint8_t		 cansend6;
	uint8_t		 os6;
	int8_t		 icmp4;			/* tri-states */
	int8_t		 varies;
	int8_t		 upnp;
	int8_t		 pmp;
	int8_t		 pcp;
	int8_t		 captive;
	uint16_t	 preferred;		/* region, 0: none measured */
	uint16_t	 home;			/* region, 0: none */
	struct msg_endpoint global4;		/* af 0: none */
	struct msg_endpoint global6;
};

struct msg_ctl_netregion {			/* all of the DERP map */
	uint16_t	 id;
	uint8_t		 pad[6];
	char		 code[32];
	char		 name[64];
	int64_t		 latency;		/* ns, 0: none */
	int64_t		 latency4;
	int64_t		 latency6;
};

struct msg_ctl_netseen {			/* our address, as seen */
	struct msg_endpoint ep;
	uint32_t	 count;
};

struct msg_ctl_fail {
	uint32_t	 code;			/* exit status wanted: 1 or 2 */
	char		 text[MSG_TEXT_LEN];
};

#endif /* SHOAL_MSGNODE_H */
