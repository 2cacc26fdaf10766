/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The network map: map responses in, state and what changed out.
 */

#ifndef PROTO_NETMAP_H
#define PROTO_NETMAP_H

#include <sys/types.h>
#include <sys/tree.h>

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "filter.h"
#include "jsonutil.h"

/* Bounds: what passes them fails the message. */
#define NM_MAX_PEERS		65536
#define NM_MAX_PREFIXES		8192	/* addresses or routes of a node */
#define NM_MAX_ENDPOINTS	256	/* of a node */
#define NM_MAX_NAME		256	/* names, identifiers */
#define NM_MAX_TEXT		8192	/* messages, URLs */
#define NM_MAX_TAGS		256
#define NM_MAX_PROFILES		65536
#define NM_MAX_CHUNKS		1024	/* named packet filters */
#define NM_MAX_ID		(1LL << 53)

/* Addresses in network byte order; IPv4 in the first four bytes. */
struct nm_addr {
	uint8_t		 na_version;	/* 4, 6; 0: none */
	uint8_t		 na_addr[16];
};

struct nm_prefix {
	uint8_t		 np_version;	/* 4 or 6 */
	uint8_t		 np_plen;
	uint8_t		 np_addr[16];
};

struct nm_endpoint {
	uint8_t		 ne_version;	/* 4 or 6 */
	uint8_t		 ne_addr[16];
	uint16_t	 ne_port;	/* host order */
};

/* What is not known: Online absent. */
#define NM_UNKNOWN	2

/*
 * A node: self or peer. Strings are NULL where the field was empty or
 * absent. Keys of 32 zero bytes are unset. Everything is owned by the
 * node; n_hostinfo, n_capmap and n_resolvers are JSON texts with sorted
 * keys, passed through.
 */
struct nm_node {
	RB_ENTRY(nm_node)	 n_entry;
	int64_t			 n_id;
	int64_t			 n_user;
	int64_t			 n_sharer;
	char			*n_stableid;
	char			*n_name;	/* FQDN with final dot */
	char			*n_computed;	/* short name to show */
	char			*n_computed_host; /* host if it differs */
	char			*n_hostinfo;
	char			*n_capmap;
	char			*n_resolvers;	/* ExitNodeDNSResolvers */
	char			*n_auditid;
	char			**n_tags;
	struct nm_prefix	*n_addrs;
	struct nm_prefix	*n_allowed;
	struct nm_prefix	*n_primary;	/* PrimaryRoutes */
	struct nm_endpoint	*n_endpoints;
	uint8_t			*n_keysig;
	size_t			 n_keysiglen;
	struct ju_time		 n_created;
	struct ju_time		 n_keyexpiry;
	struct ju_time		 n_lastseen;
	struct nm_addr		 n_masq4;	/* SelfNodeV4MasqAddr... */
	struct nm_addr		 n_masq6;
	uint32_t		 n_ntags;
	uint32_t		 n_naddrs;
	uint32_t		 n_nallowed;
	uint32_t		 n_nprimary;
	uint32_t		 n_nendpoints;
	int32_t			 n_homederp;
	int32_t			 n_cap;
	uint8_t			 n_key[32];
	uint8_t			 n_machine[32];
	uint8_t			 n_disco[32];
	uint8_t			 n_online;	/* 0, 1, NM_UNKNOWN */
	uint8_t			 n_authorized;
	uint8_t			 n_unsigned;	/* UnsignedPeerAPIOnly */
	uint8_t			 n_expired;
	uint8_t			 n_wgonly;
	uint8_t			 n_jailed;
	uint8_t			 n_mark;	/* the owner's; is kept */
};
RB_HEAD(nm_tree, nm_node);
RB_PROTOTYPE(nm_tree, nm_node, n_entry, nm_node_cmp);

struct nm_profile {
	RB_ENTRY(nm_profile)	 p_entry;
	int64_t			 p_id;
	char			*p_login;
	char			*p_display;
	char			*p_picture;
};
RB_HEAD(nm_profiles, nm_profile);
RB_PROTOTYPE(nm_profiles, nm_profile, p_entry, nm_profile_cmp);

/*
 * A filter rule in parsed form. Sources are address ranges and names of
 * node capabilities; r_protos[n] are the numbers given, the default
 * {6, 17, 1, 58} being written out. CapGrant stays in the JSON form.
 */
struct nm_rule {
	struct filter_range	*r_srcs;
	struct filter_dst	*r_dsts;
	char			**r_srccaps;
	uint8_t			*r_protos;
	uint32_t		 r_nsrcs;
	uint32_t		 r_ndsts;
	uint32_t		 r_nsrccaps;
	uint32_t		 r_nprotos;
};

/* A named set of rules ("base"); the filter is all, sorted by name. */
struct nm_chunk {
	RB_ENTRY(nm_chunk)	 c_entry;
	char			*c_name;
	json_t			*c_json;	/* array, as received */
	struct nm_rule		*c_rules;
	uint32_t		 c_nrules;
	uint8_t			 c_refused;	/* SrcBits or Bits present */
};
RB_HEAD(nm_chunks, nm_chunk);
RB_PROTOTYPE(nm_chunks, nm_chunk, c_entry, nm_chunk_cmp);

/* The state of one map session. Read freely; written by netmap_apply(). */
struct netmap {
	struct nm_tree		 nm_peers;
	struct nm_profiles	 nm_profiles;
	struct nm_chunks	 nm_chunks;
	struct nm_node		*nm_self;	/* NULL before the first */
	char			*nm_domain;
	char			*nm_auditid;
	json_t			*nm_dns;	/* object or NULL */
	json_t			*nm_derp;	/* object or NULL */
	json_t			*nm_ssh;	/* object or NULL */
	json_t			*nm_health;	/* array or NULL */
	json_t			*nm_messages;	/* object or NULL */
	json_t			*nm_tka;	/* object or NULL */
	uint32_t		 nm_npeers;
	uint32_t		 nm_nprofiles;
	uint8_t			 nm_collect;	/* CollectServices */
};

/* What a message changed. */
#define NM_CH_SELF	0x0001
#define NM_CH_PROFILES	0x0002
#define NM_CH_DERP	0x0004
#define NM_CH_FILTER	0x0008
#define NM_CH_DNS	0x0010
#define NM_CH_SSH	0x0020
#define NM_CH_MISC	0x0040	/* domain, health, TKA, audit, services */
#define NM_CH_PEERS	0x0080	/* nd_changed or nd_removed not empty */

/*
 * Peers by id, at most once each, in no order. A peer that was removed and
 * came back within the message is among the changed. Bits of dc_what:
 */
#define NM_PC_NEW	0x01	/* was not there before */
#define NM_PC_KEY	0x02	/* node key or disco key */
#define NM_PC_PATHS	0x04	/* endpoints, home region */
#define NM_PC_ROUTES	0x08	/* addresses, allowed IPs, masquerading */
#define NM_PC_NAME	0x10	/* name, addresses */
#define NM_PC_OTHER	0x20	/* all else that is shown to people only */
#define NM_PC_FLAGS	0x40	/* expiry, jailed, unsigned, caps */
#define NM_PC_ONLINE	0x80

struct nm_change {
	int64_t		 dc_id;
	uint32_t	 dc_what;
};

struct nm_removed {
	int64_t		 dr_id;
	uint8_t		 dr_key[32];	/* node key it had */
	uint8_t		 dr_mark;	/* n_mark it had */
};

struct nm_delta {
	struct nm_change	*nd_changed;
	struct nm_removed	*nd_removed;
	uint32_t		 nd_nchanged;
	uint32_t		 nd_nremoved;
	uint32_t		 nd_flags;	/* NM_CH_* */
};

/*
 * What a message asks for outside of the map. ms_what says which members
 * are filled; strings and JSON belong to the struct.
 */
#define NM_SE_PING	0x01
#define NM_SE_URL	0x02	/* PopBrowserURL */
#define NM_SE_TIME	0x04	/* ControlTime */
#define NM_SE_DIAL	0x08	/* ControlDialPlan */
#define NM_SE_VERSION	0x10	/* ClientVersion */
#define NM_SE_SLEEP	0x20	/* Debug.SleepSeconds */
#define NM_SE_EXIT	0x40	/* Debug.Exit */

struct nm_effects {
	json_t		*ms_ping;
	json_t		*ms_dial;
	json_t		*ms_version;
	char		*ms_url;
	const char	*ms_error;	/* what was wrong, static */
	double		 ms_sleep;	/* seconds, not negative */
	struct ju_time	 ms_time;
	uint32_t	 ms_what;
	uint8_t		 ms_keepalive;	/* message was a keep-alive */
};

/*
 * An empty map (NULL: no memory), and its end (NULL is fine).
 */
struct netmap
	*netmap_new(void);
void	 netmap_free(struct netmap *);

/*
 * Apply one map response.
 *
 * text, len	one JSON object, as cut from the stream by mapframe.h.
 * now		the node's clock, for "seen now".
 * delta	filled with what changed; nm_delta_free() it in any case.
 * effects	filled likewise; nm_effects_free() it in any case.
 *
 * All or nothing: on error the map is as it was. Cost is in proportion to
 * the message, not to the map, except for a full list of peers.
 *
 * Returns 0, or -1 with errno
 *	EINVAL	not JSON, a known field of the wrong type, or the first
 *		message of a session without Node;
 *	E2BIG	nesting or a bound above passed;
 *	ENOMEM.
 * and effects->ms_error names the field (static text).
 * Source: control.md 4.3 to 4.9, 8.1.
 */
int	 netmap_apply(struct netmap *, const void *, size_t,
	    const struct ju_time *, struct nm_delta *, struct nm_effects *);
void	 nm_delta_free(struct nm_delta *);
void	 nm_effects_free(struct nm_effects *);

/*
 * Differences from one map to another, as if a message had brought them:
 * used when a new session replaces the map of the last one. Marks of peers
 * that are in both go over to the new one. Returns 0 or -1 (no memory).
 * delta is to be freed with nm_delta_free().
 */
int	 netmap_diff(struct netmap *, struct netmap *, struct nm_delta *);

/* Peer by id; profile by user id; NULL: there is none. */
struct nm_node
	*netmap_peer(struct netmap *, int64_t);
struct nm_profile
	*netmap_profile(struct netmap *, int64_t);

/*
 * MagicDNS suffix: what follows the first label of self's name, without
 * dots at the ends; the name itself if it has one label. Empty string if
 * there is no self. buf of NM_MAX_NAME bytes is filled and returned.
 */
char	*netmap_suffix(const struct netmap *, char *, size_t);

/* Is tailnet lock on, as the server says? 1 or 0. */
int	 netmap_tka(const struct netmap *);

/* Does a node have a capability (a key of its CapMap)? 1 or 0. */
int	 nm_node_hascap(const struct nm_node *, const char *);

/*
 * A node as JSON object in the form of the protocol, with ComputedName
 * and ComputedNameWithHost; new reference, NULL: no memory.
 */
json_t	*nm_node_json(const struct nm_node *);

/*
 * The whole map as one full MapResponse that netmap_apply() reads again:
 * the form of the cache. New reference, NULL: no memory. The peers are
 * not in it; whoever writes adds them one by one with nm_node_json(), so
 * that 10,000 of them never stand in memory as JSON at once.
 */
json_t	*netmap_json( struct netmap *);

/* Text of an address, prefix or endpoint; buf is returned. */
#define NM_ADDRTEXT	64
char	*nm_addr_text(uint8_t, const uint8_t *, char *, size_t);
char	*nm_prefix_text(const struct nm_prefix *, char *, size_t);
char	*nm_endpoint_text(const struct nm_endpoint *, char *, size_t);

/* The opposite; 0 or -1. No zones, no names, no leading zeros. */
int	 nm_addr_parse(const char *, struct nm_addr *);
int	 nm_prefix_parse(const char *, struct nm_prefix *);
int	 nm_endpoint_parse(const char *, struct nm_endpoint *);

/*
 * Filter rules from JSON (an array of FilterRule) into the parsed form.
 * Entries that are no address are dropped, as the reference does; a wrong
 * type is an error. refused: set to 1 where SrcBits or Bits are present,
 * which makes the whole filter void. Returns 0 or -1 (EINVAL, ENOMEM).
 * Source: control.md 4.8.
 */
int	 nm_rules_parse(json_t *, struct nm_rule **, uint32_t *, uint8_t *);
void	 nm_rules_free(struct nm_rule *, uint32_t);

#endif /* PROTO_NETMAP_H */
