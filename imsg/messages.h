/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The message table: the only place where a message between processes exists.
 *
 * Rules for payloads: fixed-width integers and byte arrays only, memset to 0
 * before filling, strings NUL-terminated inside their array (the receiver
 * checks with msg_str_ok), lists as a header with a count and then so many
 * elements (the receiver checks with msg_list). Integers are in host order:
 * both ends run on one machine. Times are int64_t nanoseconds. Keys are raw.
 */

#ifndef SHOAL_MESSAGES_H
#define SHOAL_MESSAGES_H

#include <stdint.h>

enum proc {
	PROC_PARENT,		/* shoald */
	PROC_CRYPTOD,
	PROC_NETD,
	PROC_CTRLD,
	PROC_DNSD,
	PROC_CTL,		/* shoalctl, over the control socket */
	PROC_COORDD,		/* coordd's parent */
	PROC_FRONTD,
	PROC_STORED,
	PROC_COORDCRYPT,
	PROC_COORDCTL,		/* coordctl, over the control socket */
	PROC_DERPD,		/* derpd's parent */
	PROC_RELAY,
	PROC_DERPCRYPT,
	PROC_PORTMAPD,		/* a node's: asks the gateway for a port */
	PROC_MAX
};

#define P_PARENT	(1U << PROC_PARENT)
#define P_CRYPTOD	(1U << PROC_CRYPTOD)
#define P_NETD		(1U << PROC_NETD)
#define P_CTRLD		(1U << PROC_CTRLD)
#define P_DNSD		(1U << PROC_DNSD)
#define P_CTL		(1U << PROC_CTL)
#define P_COORDD	(1U << PROC_COORDD)
#define P_FRONTD	(1U << PROC_FRONTD)
#define P_STORED	(1U << PROC_STORED)
#define P_COORDCRYPT	(1U << PROC_COORDCRYPT)
#define P_COORDCTL	(1U << PROC_COORDCTL)
#define P_DERPD		(1U << PROC_DERPD)
#define P_RELAY		(1U << PROC_RELAY)
#define P_DERPCRYPT	(1U << PROC_DERPCRYPT)
#define P_PORTMAPD	(1U << PROC_PORTMAPD)
#define P_PARENTS	(P_PARENT | P_COORDD | P_DERPD)
#define P_KEYS		(P_CRYPTOD | P_COORDCRYPT | P_DERPCRYPT)
#define P_NODEKIDS	(P_CRYPTOD | P_NETD | P_CTRLD | P_DNSD | P_PORTMAPD)
#define P_DERPKIDS	(P_RELAY | P_DERPCRYPT)
#define P_KIDS		(P_NODEKIDS | P_FRONTD | P_STORED | P_COORDCRYPT | \
			    P_DERPKIDS)

/* Sizes. */
#define MSG_KEY_LEN	32
#define MSG_NAME_LEN	256	/* a DNS name or a URL, NUL included */
#define MSG_TEXT_LEN	512
#define MSG_LIST_MAX	256	/* elements of one list message */
#define MSG_CHUNK_MAX	15360	/* bytes of one chunk of a long thing */
#define MSG_PROXY_AUTH_LEN	256
#define MSG_AUTHKEY_LEN	512

/* Address families as messages carry them. */
#define AF_WIRE_INET	4
#define AF_WIRE_INET6	6

/* Outcome of an operation asked of a sibling; 0 is good. */
enum msg_error {
	MSG_OK,
	MSG_E_NOKEY,		/* there is no such key yet */
	MSG_E_PEER,		/* not a peer of ours */
	MSG_E_CRYPTO,		/* did not authenticate */
	MSG_E_REPLAY,		/* timestamp not greater than the last one */
	MSG_E_RATE,		/* too many, try again later */
	MSG_E_STALE,		/* a newer handshake took its place */
	MSG_E_PIN,		/* the server's key is not the pinned one */
	MSG_E_NAME,		/* name does not exist */
	MSG_E_TIMEOUT,
	MSG_E_REFUSED,		/* the parent's policy forbids it */
	MSG_E_CONN,		/* could not connect */
	MSG_E_IO,
	MSG_E_BAD		/* malformed or impossible */
};

struct msg_ip {
	uint8_t		 af;		/* AF_WIRE_*, 0: none */
	uint8_t		 pad[3];
	uint8_t		 addr[16];	/* IPv4 in the first 4 */
};

struct msg_prefix {
	uint8_t		 af;
	uint8_t		 plen;
	uint8_t		 pad[2];
	uint8_t		 addr[16];	/* host bits zero unless said */
};

struct msg_endpoint {
	uint8_t		 af;
	uint8_t		 type;		/* control.md 4.1 EndpointTypes */
	uint16_t	 port;
	uint32_t	 scope;		/* interface index, or 0 */
	uint8_t		 addr[16];
};

struct msg_range {
	uint8_t		 af;		/* 0: any address of both families */
	uint8_t		 pad[3];
	uint8_t		 lo[16];
	uint8_t		 hi[16];
};

struct msg_portrange {
	struct msg_range r;
	uint16_t	 lo;
	uint16_t	 hi;
};

/* --- life of a child ---------------------------------------------------- */

struct msg_hello {
	char		 build[64];	/* build id: all must be of one build */
	uint64_t	 run;		/* random number of this run */
	int64_t		 start_date;	/* the date when the suite started, or
					 * later: see STAMP_DATE */
	int64_t		 start_time;	/* os_now() at that moment */
	int64_t		 clock_offset;	/* REGRESS builds; else 0: os_now */
	int64_t		 date_offset;	/* the same for os_date */
	uint32_t	 proc;		/* who the receiver is */
	uint32_t	 verbose;
};

struct msg_channel {
	uint32_t	 proc;		/* who is at the other end */
	uint32_t	 fresh;		/* 1: that process was replaced */
};

struct msg_clock {
	int64_t		 clock_offset;	/* for os_clock_step, in all */
	int64_t		 date_offset;
};

struct msg_u32 {
	uint32_t	 v;
};

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

/* --- coordd --------------------------------------------------------------- */

struct msg_srv_noise_in {
	uint8_t		 msg[101];
	uint8_t		 pad[3];
};

struct msg_srv_noise_out {
	uint32_t	 error;
	uint16_t	 version;		/* the client's */
	uint8_t		 msg[51];
	uint8_t		 pad[3];
	uint8_t		 machine[MSG_KEY_LEN];	/* who it is */
	uint8_t		 tx[MSG_KEY_LEN];
	uint8_t		 rx[MSG_KEY_LEN];
};

struct msg_listen {
	struct msg_endpoint ep;
	uint32_t	 flags;			/* LISTEN_* */
	uint32_t	 cert;			/* which CERT_FD, from 0 */
};
#define LISTEN_TLS	0x01
#define LISTEN_STUN	0x02			/* UDP */
#define LISTEN_METRICS	0x04
#define LISTEN_REDIRECT	0x08			/* to https */

struct msg_conf_frontd {
	char		 url[MSG_NAME_LEN];
	uint32_t	 max_conns;
	uint32_t	 keepalive_s;		/* of maps, before jitter */
};

struct msg_conf_stored {
	char		 url[MSG_NAME_LEN];
	char		 db[64];		/* file name inside the root */
	char		 domain[MSG_NAME_LEN];	/* MagicDNS suffix */
	struct msg_prefix addr4;
	struct msg_prefix addr6;
	int64_t		 key_expiry;		/* ns, 0: never */
	uint8_t		 policy;		/* POLICY_* */
	uint8_t		 approve_manually;
	uint8_t		 dns_update;		/* there is a script */
	uint8_t		 pad[5];
	uint32_t	 ndns;			/* so many CONF_DNS follow */
	uint32_t	 ephemeral_s;		/* offline: delete after */
};
#define POLICY_NONE	0			/* nobody may talk */
#define POLICY_FILE	1			/* a POLICY_FD follows */
#define POLICY_STORE	2
#define POLICY_ALLOW	3			/* `policy allow all` */

#define CONF_DNS_SERVER	1			/* value: address */
#define CONF_DNS_SPLIT	2			/* suffix, address */
#define CONF_DNS_RECORD	3			/* name, value: address */
struct msg_conf_dns {
	uint32_t	 kind;
	char		 name[MSG_NAME_LEN];
	char		 value[64];
};

/* One HTTP/2 stream of one client connection. */
struct msg_rpc {
	uint64_t	 conn;			/* frontd's, never reused */
	uint32_t	 stream;
	uint32_t	 flags;
};

struct msg_rpc_register {
	struct msg_rpc	 rpc;
	uint8_t		 machine[MSG_KEY_LEN];	/* of the Noise session */
	uint8_t		 node[MSG_KEY_LEN];
	uint8_t		 old_node[MSG_KEY_LEN];
	uint8_t		 nl[MSG_KEY_LEN];
	int64_t		 expiry;		/* ns since 1970; 0: no wish */
	uint16_t	 version;
	uint8_t		 ephemeral;
	uint8_t		 pad[5];
	char		 auth_key[MSG_AUTHKEY_LEN];
	char		 followup[MSG_TEXT_LEN];
	uint32_t	 hostinfo_len;		/* RPC_DATA follow with it */
	uint32_t	 pad2;
};

struct msg_rpc_map {
	struct msg_rpc	 rpc;
	uint8_t		 machine[MSG_KEY_LEN];
	uint8_t		 node[MSG_KEY_LEN];
	uint8_t		 disco[MSG_KEY_LEN];
	uint16_t	 version;
	uint8_t		 stream;
	uint8_t		 omit_peers;
	uint8_t		 read_only;
	uint8_t		 pad[3];
	uint32_t	 nendpoints;		/* RPC_ENDPOINTS follow */
	uint32_t	 has_endpoints;		/* field was there */
	uint32_t	 hostinfo_len;		/* RPC_DATA follow with it */
	uint32_t	 pad2;
};

struct msg_rpc_list {			/* then n elements */
	struct msg_rpc	 rpc;
	uint32_t	 n;
	uint32_t	 pad;
};

/*
 * An answer. Of a map stream each message ends with RPC_F_MSGEND; frontd
 * adds the length word and compresses. RPC_F_END ends the HTTP response.
 */
struct msg_rpc_answer {			/* then up to MSG_CHUNK_MAX bytes */
	struct msg_rpc	 rpc;
	uint16_t	 status;		/* HTTP, with the first chunk */
	uint16_t	 type;			/* RPC_T_* */
	uint32_t	 len;
};
#define RPC_F_END	0x01
#define RPC_F_MSGEND	0x02
#define RPC_T_JSON	0
#define RPC_T_TEXT	1
#define RPC_T_MAP	2

/* Any other /machine/ call of a node. */
struct msg_rpc_call {
	struct msg_rpc	 rpc;
	uint8_t		 machine[MSG_KEY_LEN];
	uint8_t		 node[MSG_KEY_LEN];	/* zero: it did not say */
	uint32_t	 call;			/* RPC_CALL_* */
	uint32_t	 version;
	uint32_t	 data_len;		/* RPC_DATA follow with it */
	uint32_t	 pad;
};
#define RPC_CALL_WHOAMI		1
#define RPC_CALL_ATTR		2
#define RPC_CALL_HEALTH		3
#define RPC_CALL_AUDIT		4
#define RPC_CALL_FEATURE	5
#define RPC_CALL_DNS		6
#define RPC_CALL_IDTOKEN	7
#define RPC_CALL_PONG		8	/* data: an ID, its words */
#define PING_ID_LEN		32		/* hexadecimal digits */

/* What a request of plain HTTP wants to know. */
struct msg_web_ask {
	uint64_t	 conn;			/* frontd's, never reused */
	uint32_t	 kind;			/* WEB_* */
	uint32_t	 pad;
	uint8_t		 key[MSG_KEY_LEN];	/* WEB_VERIFY: a node's */
	char		 id[64];		/* WEB_LOGIN, WEB_PONG */
};
#define WEB_LOGIN	1
#define WEB_VERIFY	2
#define WEB_PONG	3			/* a node answers a ping */
#define WEB_CLIENTS	4			/* a relay's: key is its word */

/* Of the list of clients that a relay is told; 0 bytes: no more of it. */
struct msg_web_lines {
	uint64_t	 conn;
	uint32_t	 len;			/* bytes that follow */
	uint32_t	 pad;
};

/* A part of the DERP map as everybody may read it; none: there is none. */
struct msg_web_map {
	uint32_t	 len;			/* bytes that follow */
	uint32_t	 last;			/* that was all */
};
#define WEB_MAP_MAX	32768

struct msg_web_answer {
	uint64_t	 conn;
	uint32_t	 yes;			/* it waits; it may */
	uint32_t	 minutes;		/* that a login still has */
	char		 name[64];
	char		 os[64];
	char		 version[64];
	char		 key[80];
};

struct msg_jwt_key {
	uint8_t		 point[65];		/* P-256, uncompressed */
	uint8_t		 pad[3];
};
#define JWT_CLAIMS_MAX	8192

struct msg_dns_update {
	char		 name[MSG_NAME_LEN];
	char		 value[MSG_NAME_LEN];	/* of the TXT record */
};

struct msg_adm_list {			/* then n NUL-terminated words */
	uint32_t	 n;
	uint32_t	 uid;			/* who asks: the parent's */
};

/* --- derpd ---------------------------------------------------------------- */

struct msg_conf_relay {
	char		 hostname[MSG_NAME_LEN];
	uint32_t	 max_conns;
	uint32_t	 tls;			/* RELAY_TLS_* */
	uint64_t	 rate;			/* bytes/s, 0: no limit */
	uint64_t	 burst;
	uint64_t	 all_rate;		/* of all clients together */
	uint64_t	 all_burst;
	uint32_t	 verify;		/* RELAY_VERIFY_* */
	uint32_t	 serial;		/* of its servers */
};
#define RELAY_TLS_NONE	0
#define RELAY_TLS_SELF	1			/* a certificate of our own */
#define RELAY_TLS_FILE	2			/* CERT_FD, TLSKEY_FD come */

#define RELAY_VERIFY_NONE	0
#define RELAY_VERIFY_URL	1
#define RELAY_VERIFY_FILE	2
#define RELAY_VERIFY_COORDD	3
#define RELAY_VERIFY_SHOALD	4

/* Whom the relay may be connected to; numbered as they come. */
struct msg_conf_server {
	uint32_t	 kind;			/* SERVER_* */
	uint16_t	 port;
	uint8_t		 tls;
	uint8_t		 has_pin;		/* else verify as usual */
	uint8_t		 pin[MSG_KEY_LEN];	/* SHA-256 of its certificate */
	char		 host[MSG_NAME_LEN];
	char		 path[MSG_NAME_LEN];	/* of the URL */
};
#define SERVER_VERIFY	1
#define SERVER_MESH	2
#define SERVER_COORDD	3

struct msg_dial {
	uint32_t	 serial;		/* of the configuration */
	uint32_t	 server;		/* which one of it */
};

struct msg_bootstrap {				/* an answer to bootstrap-dns */
	char		 name[MSG_NAME_LEN];
	struct msg_ip	 ip;
};

struct msg_mesh_login {
	uint32_t	 error;
	uint32_t	 len;
	uint8_t		 frame[512];		/* ClientInfo, whole */
};

#define DERP_BOX_MAX	4096			/* of a login that we take */
struct msg_derp_login {
	uint8_t		 key[MSG_KEY_LEN];	/* the client says that it is */
	uint32_t	 len;
	uint32_t	 pad;
	uint8_t		 box[DERP_BOX_MAX];	/* nonce in front */
};

struct msg_derp_login_ok {
	uint32_t	 error;
	uint32_t	 len;			/* of what the client said */
	uint32_t	 boxlen;
	uint32_t	 mesh;			/* it has the key of the mesh */
	uint8_t		 box[256];		/* the answer, nonce in front */
	uint8_t		 info[DERP_BOX_MAX];
};

/* What a private key does in a TLS handshake. */
#define TLS_OP_ECDSA	1			/* sign a digest */
#define TLS_OP_RSA_PKCS1 2			/* pad like that, then sign */
#define TLS_OP_RSA_RAW	3			/* PSS, padded already */
#define TLS_SIG_MAX	1024
struct msg_tls_sign {
	uint8_t		 cert[MSG_KEY_LEN];	/* whose key: SHA-256 */
	uint32_t	 op;			/* TLS_OP_* */
	uint32_t	 len;
	uint8_t		 data[TLS_SIG_MAX];
};

struct msg_tls_signed {
	uint32_t	 error;
	uint32_t	 len;
	uint8_t		 sig[TLS_SIG_MAX];
};

#define DERP_CERT_TLS	1			/* of our own, for TLS */
#define DERP_CERT_META	2			/* tells the DERP key */
struct msg_derp_cert {				/* then the certificate, DER */
	uint32_t	 kind;
};

/* Number of bytes, least and most. */
#define LEN_NONE	0, 0
#define LEN_FIX(t)	sizeof(struct t), sizeof(struct t)
#define LEN_LIST(t, e, n) \
			sizeof(struct t), \
			    sizeof(struct t) + (n) * sizeof(struct e)
#define LEN_CHUNK(t)	sizeof(struct t), sizeof(struct t) + MSG_CHUNK_MAX
#define LEN_STR(n)	1, (n)
#define LEN_BYTES(n)	0, (n)

/* Descriptor: none, one, or one where the payload says that all is well. */
enum msg_fd {
	FD_NO,
	FD_YES,
	FD_MAYBE
};

/*
 * M(name, senders, receivers, length, descriptor, meaning)
 * A type may pass from any of the senders to any of the receivers that it
 * has a channel with.
 */
#define MESSAGES(M) \
M(HELLO, P_PARENTS, P_KIDS, LEN_FIX(msg_hello), FD_NO, \
    "first message: who you are, of which build") \
M(READY, P_KIDS, P_PARENTS, LEN_NONE, FD_NO, \
    "sandbox is closed, waiting for work") \
M(CHANNEL, P_PARENTS, P_KIDS, LEN_FIX(msg_channel), FD_YES, \
    "socketpair to a sibling; replaces an older one") \
M(STARTUP, P_PARENTS, P_KIDS, LEN_NONE, FD_NO, \
    "all first messages are sent: close the sandbox further, work") \
M(VERBOSE, P_PARENTS, P_KIDS, LEN_FIX(msg_u32), FD_NO, \
    "log verbosity") \
M(CLOCK, P_PARENTS, P_KIDS, LEN_FIX(msg_clock), FD_NO, \
    "REGRESS builds: pretend that the clocks stepped") \
M(BAD_SIBLING, P_KIDS, P_PARENTS, LEN_FIX(msg_u32), FD_NO, \
    "a sibling broke the table: replace it") \
M(RECONF_START, P_PARENTS, P_KIDS, LEN_NONE, FD_NO, \
    "a configuration follows") \
M(RECONF_END, P_PARENTS, P_KIDS, LEN_NONE, FD_NO, \
    "the configuration is complete") \
M(RECONF_READY, P_KIDS, P_PARENTS, LEN_FIX(msg_u32), FD_NO, \
    "read it; 0: can use it") \
M(RECONF_COMMIT, P_PARENTS, P_KIDS, LEN_NONE, FD_NO, \
    "swap it in") \
M(RECONF_ABORT, P_PARENTS, P_KIDS, LEN_NONE, FD_NO, \
    "forget the new one") \
M(CONF_NETD, P_PARENT, P_NETD, LEN_FIX(msg_conf_netd), FD_NO, \
    "netd's part") \
M(CONF_CTRLD, P_PARENT, P_CTRLD, LEN_FIX(msg_conf_ctrld), FD_NO, \
    "ctrld's part") \
M(CONF_DNSD, P_PARENT, P_DNSD, LEN_FIX(msg_conf_dnsd), FD_NO, \
    "dnsd's part") \
M(CONF_PORTMAPD, P_PARENT, P_PORTMAPD, LEN_FIX(msg_conf_portmapd), FD_NO, \
    "portmapd's part") \
M(CONF_TAG, P_PARENT, P_CTRLD, LEN_FIX(msg_str64), FD_NO, \
    "a tag to ask for") \
M(CONF_ROUTE, P_PARENT, P_CTRLD, LEN_FIX(msg_prefix), FD_NO, \
    "a route to advertise") \
M(CONF_AUTHKEY, P_PARENT, P_CTRLD, LEN_STR(MSG_AUTHKEY_LEN), FD_NO, \
    "the auth key; a secret, wiped after use") \
M(CA_FILE, P_PARENT | P_DERPD, P_CTRLD | P_NETD | P_RELAY, LEN_NONE, \
    FD_YES, "CA certificates, PEM") \
M(STATE_FD, P_PARENTS, P_KEYS, LEN_FIX(msg_u32), FD_MAYBE, \
    "the state file to read; 0 and no descriptor: there is none") \
M(STATE_LOADED, P_KEYS, P_PARENTS, LEN_FIX(msg_state_result), FD_NO, \
    "state is read, or what is wrong with it") \
M(STATE_PREF, P_CRYPTOD, P_PARENT, LEN_FIX(msg_pref), FD_NO, \
    "a preference that stands in the state") \
M(STATE_SET, P_PARENT, P_CRYPTOD, LEN_FIX(msg_pref), FD_NO, \
    "change a preference in the state") \
M(STATE_WRITE, P_KEYS, P_PARENTS, LEN_NONE, FD_NO, \
    "open a new state file for me") \
M(STATE_NEWFD, P_PARENTS, P_KEYS, LEN_FIX(msg_u32), FD_MAYBE, \
    "the new file; or an errno and none") \
M(STATE_WRITTEN, P_KEYS, P_PARENTS, LEN_FIX(msg_u32), FD_NO, \
    "written and synced: rename it; or an errno: drop it") \
M(STATE_SAVED, P_PARENTS, P_KEYS, LEN_FIX(msg_u32), FD_NO, \
    "renamed; or the errno why not") \
M(PIN_CLEAR, P_PARENT, P_CRYPTOD, LEN_NONE, FD_NO, \
    "the operator accepts a new server key") \
M(KEYS, P_CRYPTOD, P_PARENT | P_NETD | P_CTRLD, LEN_FIX(msg_keys), FD_NO, \
    "public keys, after each change and as answer") \
M(NODEKEY_NEW, P_CTRLD, P_CRYPTOD, LEN_NONE, FD_NO, \
    "make a pending node key; KEYS answers") \
M(NODEKEY_ACCEPT, P_CTRLD, P_CRYPTOD, LEN_FIX(msg_key), FD_NO, \
    "the server took this key: make it current; KEYS answers") \
M(NODEKEY_FORGET, P_CTRLD, P_CRYPTOD, LEN_NONE, FD_NO, \
    "logged out: forget the node keys; KEYS answers") \
M(NOISE_START, P_CTRLD, P_CRYPTOD, LEN_FIX(msg_noise_start), FD_NO, \
    "begin a control session with this server key") \
M(NOISE_MSG1, P_CRYPTOD, P_CTRLD, LEN_FIX(msg_noise_msg1), FD_NO, \
    "the initiation, or the error") \
M(NOISE_MSG2, P_CTRLD, P_CRYPTOD, LEN_FIX(msg_noise_msg2), FD_NO, \
    "the server's response") \
M(NOISE_KEYS, P_CRYPTOD, P_CTRLD, LEN_FIX(msg_noise_keys), FD_NO, \
    "keys of the session, or the error") \
M(NOISE_CANCEL, P_CTRLD, P_CRYPTOD, LEN_NONE, FD_NO, \
    "forget the handshake of this id") \
M(WG_PEER, P_NETD, P_CRYPTOD, LEN_FIX(msg_wg_peer), FD_NO, \
    "a peer to shake hands with, or no longer") \
M(WG_INIT_REQ, P_NETD, P_CRYPTOD, LEN_FIX(msg_wg_init_req), FD_NO, \
    "make an initiation") \
M(WG_INIT, P_CRYPTOD, P_NETD, LEN_FIX(msg_wg_init), FD_NO, \
    "the initiation, or the error") \
M(WG_INIT_IN, P_NETD, P_CRYPTOD, LEN_FIX(msg_wg_init_in), FD_NO, \
    "an initiation came in") \
M(WG_RESP, P_CRYPTOD, P_NETD, LEN_FIX(msg_wg_resp), FD_NO, \
    "response and session keys, or the error") \
M(WG_RESP_IN, P_NETD, P_CRYPTOD, LEN_FIX(msg_wg_resp_in), FD_NO, \
    "a response came in") \
M(WG_KEYS, P_CRYPTOD, P_NETD, LEN_FIX(msg_wg_keys), FD_NO, \
    "session keys, or the error") \
M(WG_CANCEL, P_NETD, P_CRYPTOD, LEN_FIX(msg_u32), FD_NO, \
    "forget the handshake of this index") \
M(WG_ACTIVE, P_NETD | P_PARENT, P_PARENT | P_NETD, \
    LEN_LIST(msg_nm_list, msg_nm_id, MSG_LIST_MAX), FD_NO, \
    "peers with sessions, at each change; given back to a replaced netd") \
M(STAMP_DATE, P_CRYPTOD, P_PARENT, LEN_FIX(msg_stamp_date), FD_NO, \
    "timestamps were made of this date: a successor starts from it") \
M(DISCO_KEY_REQ, P_NETD, P_CRYPTOD, LEN_FIX(msg_key), FD_NO, \
    "precompute the box key for this disco key") \
M(DISCO_KEY, P_CRYPTOD, P_NETD, LEN_FIX(msg_disco_key), FD_NO, \
    "the box key, or the error") \
M(TUN, P_PARENT, P_NETD, LEN_FIX(msg_tun), FD_YES, \
    "a queue of the tunnel device") \
M(UDP, P_PARENT, P_NETD, LEN_FIX(msg_udp), FD_YES, \
    "a bound and marked UDP socket; replaces the one of its family") \
M(UDP_RELAY, P_PARENT, P_NETD, LEN_FIX(msg_udp), FD_YES, \
    "the same for the peer relay that this node is") \
M(UDP_REBIND, P_NETD, P_PARENT, LEN_FIX(msg_u32), FD_NO, \
    "bind a new UDP socket of this family") \
M(PROBE_SOCKS_REQ, P_NETD, P_PARENT, LEN_FIX(msg_u32), FD_NO, \
    "so many more IPv4 sockets, for probing through a hard NAT") \
M(PROBE_SOCK, P_PARENT, P_NETD, LEN_FIX(msg_udp), FD_YES, \
    "one of them; it is netd's alone") \
M(PROBE_SOCKS_END, P_PARENT, P_NETD, LEN_FIX(msg_u32), FD_NO, \
    "that was all: so many") \
M(PATH_NARROW, P_NETD, P_PARENT, LEN_FIX(msg_endpoint), FD_NO, \
    "of id 1: an IPv6 path that carries 1280 bytes only; of id 0: more") \
M(LOCALADDR_BEGIN, P_PARENT, P_NETD | P_CTRLD, LEN_NONE, FD_NO, \
    "the host's addresses follow") \
M(LOCALADDR, P_PARENT, P_NETD | P_CTRLD, LEN_FIX(msg_localaddr), FD_NO, \
    "one of them") \
M(LOCALADDR_END, P_PARENT, P_NETD | P_CTRLD, LEN_FIX(msg_u32), FD_NO, \
    "that was all; 1: a major change (dataplane.md 2.7)") \
M(CONNECT, P_CTRLD | P_NETD | P_PORTMAPD, P_PARENT, \
    LEN_FIX(msg_connect), FD_NO, \
    "connect a TCP socket for me") \
M(CONNECTED, P_PARENT, P_CTRLD | P_NETD | P_PORTMAPD, \
    LEN_FIX(msg_connected), FD_MAYBE, \
    "the socket, or the error") \
M(GATEWAY, P_PARENT, P_PORTMAPD, LEN_FIX(msg_gateway), FD_MAYBE, \
    "the gateway and a UDP socket towards it; none: forget the old one") \
M(GATEWAY_HEAR, P_PARENT, P_PORTMAPD, LEN_NONE, FD_YES, \
    "a socket that hears what gateways announce to all hosts") \
M(PORTMAP, P_PORTMAPD | P_PARENT, P_PARENT | P_NETD | P_PORTMAPD, \
    LEN_FIX(msg_portmap), FD_NO, \
    "the mapped port, at each change; given back to a replaced portmapd") \
M(PORTMAP_PROBE, P_NETD | P_PARENT, P_PARENT | P_PORTMAPD, \
    LEN_NONE, FD_NO, \
    "look again what the gateway can do, unless that was a moment ago") \
M(PORTMAP_RELEASE, P_PARENT, P_PORTMAPD, LEN_NONE, FD_NO, \
    "the suite ends: give the mapping back") \
M(PORTMAP_RELEASED, P_PORTMAPD, P_PARENT, LEN_NONE, FD_NO, \
    "done, or as far as it goes") \
M(RESOLVE, P_CTRLD | P_NETD, P_DNSD, LEN_FIX(msg_resolve), FD_NO, \
    "look up the addresses of a host") \
M(RESOLVED, P_DNSD, P_CTRLD | P_NETD, LEN_FIX(msg_resolved), FD_NO, \
    "the addresses, or the error") \
M(DNS_SOCK, P_PARENT, P_DNSD, LEN_FIX(msg_dns_sock), FD_YES, \
    "a bound socket to answer on") \
M(DNS_SOCK_RESET, P_PARENT, P_DNSD, LEN_NONE, FD_NO, \
    "close the sockets: new ones follow") \
M(RESOLV_CONF, P_PARENT, P_DNSD, LEN_NONE, FD_YES, \
    "the system's resolver file") \
M(HOSTS, P_PARENT, P_DNSD, LEN_NONE, FD_YES, \
    "the system's hosts file") \
M(UPSTREAM, P_DNSD, P_PARENT, LEN_FIX(msg_upstream), FD_NO, \
    "a connected socket to a resolver, please") \
M(UPSTREAM_SOCK, P_PARENT, P_DNSD, LEN_FIX(msg_connected), FD_MAYBE, \
    "the socket, or the error") \
M(CACHE_FD, P_PARENT, P_CTRLD, LEN_FIX(msg_u32), FD_MAYBE, \
    "the netmap cache to read; 0: there is none") \
M(CACHE_WRITE, P_CTRLD, P_PARENT, LEN_NONE, FD_NO, \
    "open a new cache file for me") \
M(CACHE_NEWFD, P_PARENT, P_CTRLD, LEN_FIX(msg_u32), FD_MAYBE, \
    "the new file, asked for or because all ends; or an errno and none") \
M(CACHE_WRITTEN, P_CTRLD, P_PARENT, LEN_FIX(msg_u32), FD_NO, \
    "written, synced: rename it; or an errno (ECANCELED: no news): drop") \
M(CACHE_FORGET, P_CTRLD, P_PARENT, LEN_NONE, FD_NO, \
    "logged out: remove the cache") \
M(WANT, P_PARENT, P_CTRLD, LEN_FIX(msg_u32), FD_NO, \
    "1: up, 0: down") \
M(LOGIN, P_PARENT, P_CTRLD, LEN_FIX(msg_u32), FD_NO, \
    "log in; LOGIN_* flags") \
M(LOGOUT, P_PARENT, P_CTRLD, LEN_NONE, FD_NO, \
    "log out and forget the node key") \
M(CTRL_STATE, P_CTRLD, P_PARENT, LEN_FIX(msg_ctrl_state), FD_NO, \
    "state of the control session, at each change") \
M(CTRL_ONLINE, P_CTRLD, P_NETD, LEN_FIX(msg_u32), FD_NO, \
    "1: the map stream is up, the server hears of changes") \
M(IFCONF_BEGIN, P_CTRLD, P_PARENT, LEN_NONE, FD_NO, \
    "addresses and routes of the tunnel follow") \
M(IFCONF_ADDR, P_CTRLD, P_PARENT, LEN_FIX(msg_prefix), FD_NO, \
    "an address") \
M(IFCONF_ROUTE, P_CTRLD, P_PARENT, LEN_FIX(msg_prefix), FD_NO, \
    "a route") \
M(IFCONF_COMMIT, P_CTRLD, P_PARENT, LEN_NONE, FD_NO, \
    "make it so; what is not named goes") \
M(SELF_ATTRS, P_CTRLD, P_PARENT, LEN_FIX(msg_u32), FD_NO, \
    "attributes of this node, SELF_*, at each change") \
M(NM_BEGIN, P_CTRLD, P_NETD, LEN_FIX(msg_nm_begin), FD_NO, \
    "a change of the netmap follows") \
M(NM_SELF, P_CTRLD, P_NETD, LEN_FIX(msg_nm_self), FD_NO, \
    "the node itself") \
M(NM_SELF_ROUTES, P_CTRLD, P_NETD, \
    LEN_LIST(msg_nm_list, msg_prefix, MSG_LIST_MAX), FD_NO, \
    "routes that it serves (replaces; further ones add)") \
M(NM_PEER, P_CTRLD, P_NETD, LEN_FIX(msg_nm_peer), FD_NO, \
    "a peer, new or replaced; its lists follow") \
M(NM_PEER_ALLOWED, P_CTRLD, P_NETD, \
    LEN_LIST(msg_nm_list, msg_prefix, MSG_LIST_MAX), FD_NO, \
    "prefixes of that peer (further ones add)") \
M(NM_PEER_ENDPOINTS, P_CTRLD, P_NETD, \
    LEN_LIST(msg_nm_list, msg_endpoint, MSG_LIST_MAX), FD_NO, \
    "endpoints of that peer (further ones add)") \
M(NM_PEER_CAP, P_CTRLD, P_NETD, LEN_FIX(msg_nm_cap), FD_NO, \
    "a capability of that peer that a filter rule names") \
M(NM_PEER_DEL, P_CTRLD, P_NETD, LEN_FIX(msg_nm_id), FD_NO, \
    "a peer is gone") \
M(NM_FILTER_BEGIN, P_CTRLD, P_NETD, LEN_FIX(msg_u32), FD_NO, \
    "a whole new packet filter of so many rules") \
M(NM_FILTER_RULE, P_CTRLD, P_NETD, LEN_FIX(msg_nm_rule), FD_NO, \
    "a rule; its lists follow") \
M(NM_FILTER_SRC, P_CTRLD, P_NETD, \
    LEN_LIST(msg_nm_list, msg_range, MSG_LIST_MAX), FD_NO, \
    "sources of that rule (further ones add)") \
M(NM_FILTER_RELAY, P_CTRLD, P_NETD, \
    LEN_LIST(msg_nm_list, msg_range, MSG_LIST_MAX), FD_NO, \
    "who has that part in peer relaying, id: RELAY_* (further ones add)") \
M(NM_FILTER_SRCCAP, P_CTRLD, P_NETD, LEN_FIX(msg_nm_cap), FD_NO, \
    "a capability as source of that rule") \
M(NM_FILTER_DST, P_CTRLD, P_NETD, \
    LEN_LIST(msg_nm_list, msg_portrange, MSG_LIST_MAX), FD_NO, \
    "destinations of that rule (further ones add)") \
M(NM_DERP_BEGIN, P_CTRLD, P_NETD, LEN_FIX(msg_u32), FD_NO, \
    "a whole new DERP map of so many regions") \
M(NM_DERP_REGION, P_CTRLD, P_NETD, LEN_FIX(msg_nm_derp_region), FD_NO, \
    "a region; its nodes follow, in order of priority") \
M(NM_DERP_NODE, P_CTRLD, P_NETD, LEN_FIX(msg_nm_derp_node), FD_NO, \
    "a node of that region") \
M(NM_COMMIT, P_CTRLD, P_NETD, LEN_FIX(msg_nm_begin), FD_NO, \
    "the change is complete: swap it in") \
M(DERP_PORTS, P_CTRLD, P_PARENT, \
    LEN_LIST(msg_nm_list, msg_u32, MSG_LIST_MAX), FD_NO, \
    "TCP ports that the DERP map names: all of them") \
M(DERP_SEAL, P_NETD, P_CRYPTOD, LEN_FIX(msg_key), FD_NO, \
    "make a login to the relay with this key") \
M(DERP_SEALED, P_CRYPTOD, P_NETD, LEN_FIX(msg_derp_sealed), FD_NO, \
    "the login's box, or the error") \
M(DERP_OPEN, P_NETD, P_CRYPTOD, LEN_FIX(msg_derp_open), FD_NO, \
    "the relay's answer to the login of this id") \
M(DERP_OPENED, P_CRYPTOD, P_NETD, LEN_FIX(msg_derp_opened), FD_NO, \
    "what it says, or the error") \
M(PEER_PING, P_CTRLD, P_NETD, LEN_FIX(msg_ctl_ping), FD_NO, \
    "the server wants a peer pinged") \
M(PEER_PONG, P_NETD, P_CTRLD, LEN_FIX(msg_ctl_pong), FD_NO, \
    "its answer, or the error") \
M(ENDPOINTS, P_NETD, P_CTRLD, \
    LEN_LIST(msg_nm_list, msg_endpoint, MSG_LIST_MAX), FD_NO, \
    "own endpoints, at each change") \
M(NETINFO, P_NETD, P_CTRLD, \
    LEN_LIST(msg_netinfo, msg_netinfo_lat, MSG_LIST_MAX), FD_NO, \
    "what the last netcheck found") \
M(DNS_BEGIN, P_CTRLD, P_DNSD, LEN_FIX(msg_nm_begin), FD_NO, \
    "a change of names follows") \
M(DNS_SUFFIX, P_CTRLD, P_DNSD, LEN_FIX(msg_resolve), FD_NO, \
    "the tailnet's domain") \
M(DNS_HOST, P_CTRLD, P_DNSD, LEN_FIX(msg_dns_host), FD_NO, \
    "a name and its addresses") \
M(DNS_ROUTE, P_CTRLD, P_DNSD, LEN_FIX(msg_dns_route), FD_NO, \
    "resolvers for a suffix") \
M(DNS_COMMIT, P_CTRLD, P_DNSD, LEN_NONE, FD_NO, \
    "swap it in") \
M(CTL_STATE, P_CTL | P_PARENT, P_CTL | P_PARENT, \
    LEN_BYTES(sizeof(struct msg_ctl_state)), FD_NO, \
    "asked: empty; answered: the state of the suite") \
M(CTL_WATCH, P_CTL, P_PARENT, LEN_NONE, FD_NO, \
    "CTL_STATE now and at each change, until I hang up") \
M(CTL_STATUS, P_CTL | P_PARENT, P_PARENT | P_CTRLD | P_NETD, LEN_NONE, FD_NO, \
    "CTL_STATE, CTL_TAILNET, rows of CTL_NODE, CTL_USER, CTL_HEALTH, ...") \
M(CTL_TAILNET, P_CTRLD | P_PARENT, P_PARENT | P_CTL, \
    LEN_FIX(msg_ctl_tailnet), FD_NO, "the tailnet") \
M(CTL_NODE, P_CTRLD | P_PARENT, P_PARENT | P_CTL, LEN_FIX(msg_ctl_node), \
    FD_NO, "a node") \
M(CTL_USER, P_CTRLD | P_PARENT, P_PARENT | P_CTL, LEN_FIX(msg_ctl_user), \
    FD_NO, "a user") \
M(CTL_HEALTH, P_CTRLD | P_NETD | P_PARENT, P_PARENT | P_CTL, \
    LEN_FIX(msg_ctl_health), FD_NO, "something is not well") \
M(CTL_PEERSTAT, P_NETD | P_PARENT, P_PARENT | P_CTL, \
    LEN_FIX(msg_ctl_peerstat), FD_NO, "traffic and path of a peer") \
M(CTL_UP, P_CTL, P_PARENT, LEN_NONE, FD_NO, "connect") \
M(CTL_DOWN, P_CTL, P_PARENT, LEN_NONE, FD_NO, "disconnect") \
M(CTL_LOGIN, P_CTL, P_PARENT, LEN_FIX(msg_u32), FD_NO, \
    "log in; LOGIN_* flags") \
M(CTL_LOGOUT, P_CTL, P_PARENT, LEN_NONE, FD_NO, "log out") \
M(CTL_SET, P_CTL, P_PARENT, LEN_FIX(msg_pref), FD_NO, \
    "change a preference that the file leaves open") \
M(CTL_WHOIS, P_CTL | P_PARENT, P_PARENT | P_CTRLD, LEN_FIX(msg_resolve), \
    FD_NO, "whose address, name or key is this; CTL_NODE, CTL_USER answer") \
M(CTL_PING, P_CTL | P_PARENT, P_PARENT | P_NETD, LEN_FIX(msg_ctl_ping), FD_NO, \
    "ping a peer") \
M(CTL_PONG, P_NETD | P_PARENT, P_PARENT | P_CTL, LEN_FIX(msg_ctl_pong), FD_NO, \
    "its answer, or the error") \
M(CTL_NETCHECK, P_CTL | P_PARENT, P_PARENT | P_NETD, \
    LEN_FIX(msg_ctl_netcheck), FD_NO, \
    "run a netcheck; CTL_NETREPORT, CTL_NETREGION, CTL_NETSEEN answer") \
M(CTL_NETREPORT, P_NETD | P_PARENT, P_PARENT | P_CTL, \
    LEN_FIX(msg_ctl_netreport), FD_NO, "what it found") \
M(CTL_NETREGION, P_NETD | P_PARENT, P_PARENT | P_CTL, \
    LEN_FIX(msg_ctl_netregion), FD_NO, "latency of a region") \
M(CTL_NETSEEN, P_NETD | P_PARENT, P_PARENT | P_CTL, \
    LEN_FIX(msg_ctl_netseen), FD_NO, "an address that relays saw us at") \
M(CTL_DEBUG, P_CTL | P_PARENT, P_PARENT | P_NODEKIDS, \
    LEN_FIX(msg_str64), FD_NO, "tell of this; CTL_TEXT answers") \
M(CTL_TEXT, P_NODEKIDS | P_PARENT, P_PARENT | P_CTL, \
    LEN_STR(MSG_TEXT_LEN), FD_NO, "a line for a person") \
M(CTL_END, P_NODEKIDS | P_PARENT, P_PARENT | P_CTL, \
    LEN_NONE, FD_NO, "that was the answer") \
M(CTL_FAIL, P_NODEKIDS | P_PARENTS | P_STORED, \
    P_PARENT | P_CTL | P_COORDD | P_COORDCTL, LEN_FIX(msg_ctl_fail), FD_NO, \
    "it did not work, and why") \
M(SRV_KEY, P_COORDCRYPT | P_DERPCRYPT, P_COORDD | P_FRONTD | P_DERPD | \
    P_RELAY, LEN_FIX(msg_key), FD_NO, \
    "the server's public key: Noise, or DERP") \
M(SRV_NOISE_IN, P_FRONTD, P_COORDCRYPT, LEN_FIX(msg_srv_noise_in), FD_NO, \
    "a client's initiation") \
M(SRV_NOISE_OUT, P_COORDCRYPT, P_FRONTD, LEN_FIX(msg_srv_noise_out), FD_NO, \
    "response, keys and who it is; or the error") \
M(LISTEN, P_COORDD | P_DERPD, P_FRONTD | P_RELAY, LEN_FIX(msg_listen), FD_YES, \
    "a listening socket") \
M(LISTEN_RESET, P_COORDD, P_FRONTD, LEN_NONE, FD_NO, \
    "close the listening sockets: new ones follow") \
M(CONF_FRONTD, P_COORDD, P_FRONTD, LEN_FIX(msg_conf_frontd), FD_NO, \
    "frontd's part") \
M(CONF_STORED, P_COORDD, P_STORED, LEN_FIX(msg_conf_stored), FD_NO, \
    "stored's part") \
M(CONF_DNS, P_COORDD, P_STORED, LEN_FIX(msg_conf_dns), FD_NO, \
    "a DNS setting of the tailnet") \
M(POLICY_FD, P_COORDD, P_STORED, LEN_STR(MSG_NAME_LEN), FD_YES, \
    "the policy file, and its name for messages") \
M(DERPMAP_FD, P_COORDD, P_STORED, LEN_STR(MSG_NAME_LEN), FD_YES, \
    "the DERP map, JSON, and its name; a further one is laid over it") \
M(STORE_OPEN, P_STORED, P_COORDD, LEN_FIX(msg_state_result), FD_NO, \
    "the store is open, or why not") \
M(RPC_REGISTER, P_FRONTD, P_STORED, LEN_FIX(msg_rpc_register), FD_NO, \
    "POST /machine/register") \
M(RPC_MAP, P_FRONTD, P_STORED, LEN_FIX(msg_rpc_map), FD_NO, \
    "POST /machine/map") \
M(RPC_ENDPOINTS, P_FRONTD, P_STORED, \
    LEN_LIST(msg_rpc_list, msg_endpoint, MSG_LIST_MAX), FD_NO, \
    "endpoints of that request") \
M(RPC_DATA, P_FRONTD, P_STORED, LEN_CHUNK(msg_rpc_list), FD_NO, \
    "Hostinfo of that request, JSON as frontd wrote it anew") \
M(RPC_CALL, P_FRONTD, P_STORED, LEN_FIX(msg_rpc_call), FD_NO, \
    "another call of a node; its JSON comes as RPC_DATA") \
M(WEB_ASK, P_FRONTD, P_STORED, LEN_FIX(msg_web_ask), FD_NO, \
    "what a page or a relay wants to know") \
M(WEB_ANSWER, P_STORED, P_FRONTD, LEN_FIX(msg_web_answer), FD_NO, \
    "the answer") \
M(WEB_MAP, P_STORED, P_FRONTD, LEN_CHUNK(msg_web_map), FD_NO, \
    "the DERP map, to be read by everybody") \
M(WEB_LINES, P_STORED, P_FRONTD, LEN_CHUNK(msg_web_lines), FD_NO, \
    "who may use a relay, for one that follows it") \
M(CLIENTSKEY_FD, P_COORDD | P_DERPD, P_STORED | P_RELAY, LEN_NONE, FD_YES, \
    "what relays show to be told that, 64 hex digits") \
M(JWT_KEY, P_COORDCRYPT, P_FRONTD, LEN_FIX(msg_jwt_key), FD_NO, \
    "the public key of ID tokens") \
M(JWT_SIGN, P_STORED, P_COORDCRYPT, LEN_STR(JWT_CLAIMS_MAX), FD_NO, \
    "make an ID token of these claims") \
M(JWT_SIGNED, P_COORDCRYPT, P_STORED, LEN_STR(MSG_CHUNK_MAX), FD_NO, \
    "the token; empty: it failed") \
M(DNS_UPDATE, P_STORED, P_COORDD, LEN_FIX(msg_dns_update), FD_NO, \
    "a node wants this TXT record") \
M(DNS_UPDATED, P_COORDD, P_STORED, LEN_FIX(msg_u32), FD_NO, \
    "it is live, or the error") \
M(RPC_CLOSE, P_FRONTD, P_STORED, LEN_FIX(msg_rpc), FD_NO, \
    "stream gone; stream 0: the whole connection") \
M(RPC_ANSWER, P_STORED, P_FRONTD, LEN_CHUNK(msg_rpc_answer), FD_NO, \
    "answer, or a part of it") \
M(ADM_REQ, P_COORDCTL | P_COORDD, P_COORDD | P_STORED, \
    LEN_CHUNK(msg_adm_list), FD_MAYBE, \
    "an administrator's words; a policy file rides along") \
M(ADM_ROW, P_STORED | P_COORDD, P_COORDD | P_COORDCTL, \
    LEN_STR(MSG_CHUNK_MAX), FD_NO, "a row of the answer, a JSON object") \
M(ADM_END, P_STORED | P_COORDD, P_COORDD | P_COORDCTL, LEN_NONE, FD_NO, \
    "that was the answer") \
M(CONF_RELAY, P_DERPD, P_DERPKIDS, LEN_FIX(msg_conf_relay), FD_NO, \
    "the relay's part") \
M(CERT_FD, P_DERPD | P_COORDD, P_RELAY | P_FRONTD | P_DERPCRYPT | \
    P_COORDCRYPT, LEN_STR(MSG_NAME_LEN), FD_YES, \
    "certificates for TLS, PEM, and their name for messages") \
M(TLSKEY_FD, P_DERPD | P_COORDD, P_DERPCRYPT | P_COORDCRYPT, \
    LEN_STR(MSG_NAME_LEN), FD_YES, "their private key, PEM") \
M(DERP_CERT, P_DERPCRYPT, P_RELAY, LEN_CHUNK(msg_derp_cert), FD_NO, \
    "a certificate that was made here") \
M(DERP_PIN, P_DERPCRYPT, P_DERPD, LEN_FIX(msg_key), FD_NO, \
    "SHA-256 of our own certificate for TLS") \
M(DERP_LOGIN, P_RELAY, P_DERPCRYPT, LEN_FIX(msg_derp_login), FD_NO, \
    "open this login") \
M(DERP_LOGIN_OK, P_DERPCRYPT, P_RELAY, LEN_FIX(msg_derp_login_ok), FD_NO, \
    "what it says, and the answer; or the error") \
M(TLS_SIGN, P_RELAY | P_FRONTD, P_DERPCRYPT | P_COORDCRYPT, \
    LEN_FIX(msg_tls_sign), FD_NO, "sign for a TLS handshake") \
M(TLS_SIGNED, P_DERPCRYPT | P_COORDCRYPT, P_RELAY | P_FRONTD, \
    LEN_FIX(msg_tls_signed), FD_NO, "the signature, or the error") \
M(CONF_SERVER, P_DERPD, P_RELAY, LEN_FIX(msg_conf_server), FD_NO, \
    "a server that it may be connected to") \
M(CONF_BOOTSTRAP, P_DERPD, P_RELAY, LEN_FIX(msg_bootstrap), FD_NO, \
    "a name and an address of it, to be told") \
M(ALLOW_FD, P_DERPD, P_RELAY, LEN_NONE, FD_YES, \
    "the nodes that are let in, a key a line") \
M(ADMIT, P_RELAY, P_DERPD, LEN_FIX(msg_key), FD_NO, \
    "ask shoald: is that one of its nodes?") \
M(ADMITTED, P_DERPD, P_RELAY, LEN_FIX(msg_u32), FD_NO, \
    "1: it is") \
M(MESHKEY_FD, P_DERPD, P_DERPCRYPT, LEN_NONE, FD_YES, \
    "the key of the mesh, 64 hex digits") \
M(DIAL, P_RELAY, P_DERPD, LEN_FIX(msg_dial), FD_NO, \
    "connect me to that server") \
M(DIALED, P_DERPD, P_RELAY, LEN_FIX(msg_connected), FD_MAYBE, \
    "the socket, or the error") \
M(MESH_LOGIN, P_RELAY, P_DERPCRYPT, LEN_FIX(msg_key), FD_NO, \
    "log me in at the relay with that key") \
M(MESH_LOGIN_OK, P_DERPCRYPT, P_RELAY, LEN_FIX(msg_mesh_login), FD_NO, \
    "the frame to send, or the error")

#define MSG_ENUM(n, f, t, l, fd, m)	IMSG_##n,
enum msg_type {
	IMSG_NONE,
	MESSAGES(MSG_ENUM)
	IMSG_MAX
};
#undef MSG_ENUM

#endif /* SHOAL_MESSAGES_H */
