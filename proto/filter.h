/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packet filter with connection tracking.
 */

#ifndef PROTO_FILTER_H
#define PROTO_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "packet.h"

#define FILTER_CAP_MAX		128	/* name of a capability with NUL */
#define FILTER_FLOWS_DEFAULT	512	/* what the reference keeps */

/*
 * Inclusive range of addresses of one family, network byte order; IPv4
 * uses the first four bytes and leaves the others zero. Bytes only, so
 * that it travels in a message as it is.
 */
struct filter_range {
	uint8_t		 fr_version;	/* 4 or 6 */
	uint8_t		 fr_pad[7];	/* zero */
	uint8_t		 fr_lo[16];
	uint8_t		 fr_hi[16];
};

/* A destination: addresses and ports, both ends included; host order. */
struct filter_dst {
	struct filter_range	 fd_range;
	uint16_t		 fd_first;
	uint16_t		 fd_last;
	uint32_t		 fd_pad;	/* zero */
};

/* Verdicts; everything but FILTER_ACCEPT is a drop and its reason. */
enum filter_verdict {
	FILTER_ACCEPT,
	FILTER_DROP_SHORT,	/* below 20 bytes or not IP */
	FILTER_DROP_UNKNOWN,	/* protocol or header not understood */
	FILTER_DROP_MULTICAST,	/* multicast destination */
	FILTER_DROP_LINKLOCAL,	/* link-local destination */
	FILTER_DROP_NOT_LOCAL,	/* destination is neither us nor a route */
	FILTER_DROP_RULES,	/* no rule allows it */
	FILTER_DROP_SHIELDS,	/* shields are up */
	FILTER_DROP_NONE,	/* there is no filter */
	FILTER_VERDICTS
};

struct filter;			/* compiled rules: immutable */
struct filter_builder;
struct filter_flows;		/* flows seen going out */

/*
 * Does the node that sent a packet hold a capability?
 * arg		as handed to filter_in(), for instance the peer.
 * pkt		the packet.
 * cap		index of the capability, see filter_cap_name().
 * Returns 1 or 0. Called only for packets that no address rule allowed.
 */
typedef int (*filter_cap_cb)(void *, const struct pkt *, unsigned int);

/*
 * Build a filter. filter_build_start() gives an empty builder (NULL:
 * errno), that is a filter which allows nothing and has no local
 * addresses. Then in any order:
 *
 * _shields()	refuse all new flows; rules are then not used.
 * _local()	add to the set of local destinations: own addresses and
 *		advertised routes. Outside of it nothing comes in.
 * _rule()	start a rule; the next three add to this one. A rule
 *		without protocols gets {TCP, UDP, ICMP, ICMPv6} unless
 *		_proto() was called at all (a number outside 0-255
 *		counts as a call and adds nothing).
 * _src()	add an address range as source.
 * _cap()	add a node capability as source.
 * _dst()	add a destination. A range of ports whose first is above
 *		its last matches no port, but still its addresses.
 *
 * All return 0, or -1 with errno EINVAL (bad range, no rule started,
 * name too long), ENOMEM, or E2BIG (limits below).
 *
 * filter_build_end() compiles and frees the builder in all cases.
 * Returns the filter, to be freed with filter_free(), or NULL with errno
 * ENOMEM or E2BIG: the rules overlap so much that the compiled form would
 * pass FILTER_MAX_WORK entries; treat this as a filter that drops all.
 *
 * Source: dataplane.md 6.2.
 */
#define FILTER_MAX_RULES	65536
#define FILTER_MAX_CAPS		1024
#define FILTER_MAX_WORK		(8 * 1024 * 1024)

struct filter_builder
	*filter_build_start(void);
void	 filter_build_shields(struct filter_builder *);
int	 filter_build_local(struct filter_builder *,
	    const struct filter_range *);
int	 filter_build_rule(struct filter_builder *);
int	 filter_build_proto(struct filter_builder *, int);
int	 filter_build_src(struct filter_builder *,
	    const struct filter_range *);
int	 filter_build_cap(struct filter_builder *, const char *);
int	 filter_build_dst(struct filter_builder *,
	    const struct filter_dst *);
struct filter
	*filter_build_end(struct filter_builder *);
void	 filter_build_abort(struct filter_builder *);
void	 filter_free(struct filter *);

/*
 * Names of the capabilities that rules have as sources, 0 to
 * filter_ncaps() - 1; whoever keeps peers can turn the capabilities of
 * each into a set of such indices when filter or peer changes. The string
 * belongs to the filter.
 */
unsigned int	 filter_ncaps(const struct filter *);
const char	*filter_cap_name(const struct filter *, unsigned int);

/*
 * Is this address one of the local destinations?
 * version 4 or 6, addr of 4 or 16 bytes. Returns 1 or 0.
 */
int	 filter_is_local(const struct filter *, uint8_t, const uint8_t *);

/*
 * Flow table: the max flows last used, least recently used out first (of a
 * table of 64 or more, but for a 64th of it).
 * filter_flows_new() allocates all memory there will ever be (about 100
 * bytes a flow); NULL with errno ENOMEM or EINVAL (max 0 or above
 * FILTER_FLOWS_MAX). Threads share a table by a lock: both functions below
 * write to it. It outlives the filter, but a filter with shields up must
 * get a table of its own or an emptied one.
 */
#define FILTER_FLOWS_MAX	(1U << 20)

struct filter_flows
	*filter_flows_new(unsigned int);
void	 filter_flows_clear(struct filter_flows *);
void	 filter_flows_free(struct filter_flows *);
unsigned int
	 filter_flows_count(const struct filter_flows *);

/*
 * Judge a packet from a peer, after its source address was checked
 * against the peer. filter NULL: FILTER_DROP_NONE. An empty packet (a
 * keepalive) is accepted. cb may be NULL if no rule has capabilities.
 * Neither allocates, locks, nor depends on the number of rules, except
 * where many rules name the packet's own source.
 * Source: dataplane.md 6.3 (steps 1 to 7; the PeerAPI exception of step 8
 * is the caller's, who may accept a TCP SYN in spite of
 * FILTER_DROP_RULES or FILTER_DROP_SHIELDS).
 */
enum filter_verdict
	 filter_in(const struct filter *, struct filter_flows *,
	    const struct pkt *, filter_cap_cb, void *);

/*
 * Judge a packet that this host sends into the tunnel, and note its flow
 * so that answers may come in. The caller drops TSMP and its own disco
 * traffic itself. Source: dataplane.md 6.3, "Outbound".
 */
enum filter_verdict
	 filter_out(const struct filter *, struct filter_flows *,
	    const struct pkt *);

/* Word for a verdict, for counters and debug logs: "acl", "multicast". */
const char
	*filter_verdict_name(enum filter_verdict);

#endif /* PROTO_FILTER_H */
