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

#include "msgdefs.h"
#include "msgnode.h"
#include "msgserver.h"

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
