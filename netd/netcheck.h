/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Netcheck: what the network around us is like, and which relay is near.
 * Source: dataplane.md 2.8, 2.9, 3.7, 4. Times are os_now(), nanoseconds.
 */

#ifndef NETD_NETCHECK_H
#define NETD_NETCHECK_H

#include "netd.h"

#define NC_REPORT_TIME		(5 * NSEC)	/* one run at most */
#define NC_STUN_TIME		(3 * NSEC)	/* of it, for STUN */
#define NC_FULL_EVERY		(300 * NSEC)
#define NC_MEMORY		(305 * NSEC)	/* of reports */
#define NC_ENOUGH		3	/* regions; no wait for the rest */
#define NC_REGIONS_MAX		128
#define NC_NODES_MAX		32	/* of one region */
#define NC_PROBES_MAX		1024
#define NC_SEEN_MAX		16	/* different mappings of one family */
#define NC_SEEN_TWICE		6	/* of them told as endpoints */

#define NC_UNKNOWN	-1		/* tri-states: else 0 or 1 */

/* --- the DERP map, as far as it matters here ----------------------------- */

#define NC_NODE_V4	0x01		/* may answer STUN over IPv4 */
#define NC_NODE_V6	0x02

struct nc_region {
	uint16_t	 r_id;
	uint16_t	 r_nnodes;
	uint32_t	 r_score;	/* RegionScore in 1/1000; 0: none */
	uint8_t		 r_node[NC_NODES_MAX];	/* NC_NODE_* */
};

/* Regions that may be measured and be home; no others. */
struct nc_map {
	size_t		 m_n;
	struct nc_region m_region[NC_REGIONS_MAX];
};

const struct nc_region *nc_region_find(const struct nc_map *, uint16_t);

/* --- ncreport.c: what a run has found ------------------------------------ */

struct nc_lat {
	int64_t		 l_any;		/* least; 0: none */
	int64_t		 l_v4;
	int64_t		 l_v6;
	uint16_t	 l_region;
};

struct nc_seen {
	struct addr	 s_addr;
	unsigned int	 s_count;
};

struct nc_report {
	int64_t		 nr_now;	/* end of the run; 0: none yet */
	int64_t		 nr_date;
	int64_t		 nr_took;
	struct addr	 nr_global4;	/* a_af 0: none */
	struct addr	 nr_global6;
	size_t		 nr_nlat;
	size_t		 nr_nseen4;
	size_t		 nr_nseen6;
	uint16_t	 nr_preferred;	/* 0: none */
	uint8_t		 nr_udp;
	uint8_t		 nr_ipv4;
	uint8_t		 nr_ipv6;
	uint8_t		 nr_cansend4;
	uint8_t		 nr_cansend6;
	uint8_t		 nr_os6;
	int8_t		 nr_varies;	/* tri-states from here */
	int8_t		 nr_icmp4;
	int8_t		 nr_upnp;
	int8_t		 nr_pmp;
	int8_t		 nr_pcp;
	int8_t		 nr_captive;
	struct nc_lat	 nr_lat[NC_REGIONS_MAX];
	struct nc_seen	 nr_seen4[NC_SEEN_MAX];
	struct nc_seen	 nr_seen6[NC_SEEN_MAX];
};

void	 nc_report_init(struct nc_report *);
/* What was measured of that region, or NULL. */
const struct nc_lat *nc_report_lat(const struct nc_report *, uint16_t);
/*
 * A STUN answer: (report, region, the address that it tells, latency).
 * Returns 1 if the region is new to the report.
 */
int	 nc_report_stun(struct nc_report *, uint16_t, const struct addr *,
	    int64_t);
/* ICMP echo: (report, region or 0: asked so far, latency). */
void	 nc_report_icmp(struct nc_report *, uint16_t, int64_t);
/* HTTPS: (report, region, family, latency). */
void	 nc_report_https(struct nc_report *, uint16_t, uint8_t, int64_t);
/* Would a probe of this region and family tell anything new? */
int	 nc_would_help(const struct nc_report *, uint16_t, uint8_t);
/* The greatest of the latencies. */
int64_t	 nc_report_slowest(const struct nc_report *);
/*
 * Addresses that others see: the best first, then those seen twice, IPv4
 * before IPv6. Up to so many written; returns how many.
 */
size_t	 nc_report_globals(const struct nc_report *, struct addr *, size_t);
/*
 * Region indices of the map in the order of their latency here; those
 * without come last, ties go by number. (map, report, room for m_n indices)
 */
void	 nc_report_order(const struct nc_map *, const struct nc_report *,
	    size_t *);

/* --- ncplan.c: whom to ask, when ----------------------------------------- */

struct nc_probe {
	int64_t		 p_delay;	/* from the start of the run */
	uint16_t	 p_region;	/* index into the map */
	uint8_t		 p_node;	/* index into the region */
	uint8_t		 p_af;		/* AF_WIRE_*; with the region: set */
};

/*
 * (map, last report or NULL for a full plan, home region or 0, NC_HAVE_*,
 * room). Returns how many probes were written; those of one set stand in
 * the order of their delays.
 */
size_t	 nc_plan(const struct nc_map *, const struct nc_report *, uint16_t,
	    unsigned int, struct nc_probe *, size_t);

/* --- nchome.c: which region is home -------------------------------------- */

#define NC_PAST_MAX	128		/* reports that are remembered */

struct nc_past;

struct nc_history {
	struct nc_past	*h_past[NC_PAST_MAX];	/* oldest first */
	size_t		 h_npast;
	struct nc_report h_last;	/* nr_now 0: none */
	int64_t		 h_full;	/* when the last full run began */
	uint8_t		 h_had_full;
	uint8_t		 h_next_full;	/* asked for */
};

/* Must the next run be full? And: a run begins, full or not. */
int	 nc_want_full(const struct nc_history *, int64_t);
void	 nc_run_begins(struct nc_history *, int64_t, int);

struct nc_home {
	const struct nc_map *ho_map;
	uint16_t	 ho_home;	/* now; 0: none */
	int64_t		 (*ho_last_frame)(uint16_t);	/* 0: never */
	int64_t		 ho_started;	/* when the run began */
	int64_t		 ho_now;
};

/*
 * Take a report into the history and fill in its nr_now and nr_preferred.
 * Fatal on lack of memory.
 */
void	 nc_history_add(struct nc_history *, struct nc_report *,
	    const struct nc_home *);
/* Least latency of a region in all that is remembered; 0: none. */
int64_t	 nc_history_best(const struct nc_history *, uint16_t);
/* Another network: what was measured says nothing of it. */
void	 nc_history_reset(struct nc_history *);
/* The nearest region of a report alone; 0: none answered. */
uint16_t nc_best(const struct nc_map *, const struct nc_report *);
/* No region answered: one by chance, but the same for the same seed; or 0. */
uint16_t nc_fallback(const struct nc_map *, uint32_t);

/* --- epset.c: own endpoints put together (2.8) --------------------------- */

#define EP_LOCAL	1		/* EndpointTypes of control.md 4.1 */
#define EP_STUN		2
#define EP_STUN4LOCAL	4		/* that address, and our own port */
#define EP_CACHE_MAX	64
#define EP_CACHE_PER_IP	6
#define EP_CACHE_TIME	(310 * NSEC)

struct ep_set {
	struct msg_endpoint s_ep[MSG_LIST_MAX];
	size_t		 s_n;
};

/* What was told lately, oldest first. */
struct ep_cache {
	struct {
		struct msg_endpoint o_ep;
		int64_t		 o_until;
	}		 c_old[EP_CACHE_MAX];
	size_t		 c_n;
};

/* Unless the same address and port are there: the first one wins. */
void	 ep_add(struct ep_set *, const struct msg_endpoint *);
void	 ep_add_addr(struct ep_set *, const struct addr *, uint8_t);
int	 ep_has_type(const struct ep_set *, uint8_t);
/* The same endpoints and types, in any order? */
int	 ep_same(const struct ep_set *, const struct ep_set *);
/* Remember these, and add to them those of the last minutes. */
void	 ep_cache_update(struct ep_cache *, struct ep_set *, int64_t);

/* --- nchost.c: addresses of relays by name ------------------------------- */

/*
 * (host or literal address, family, the address): 1 known; 0 asked for,
 * netcheck_host_known() follows; -1 there is none.
 */
int	 nc_host(const char *, uint8_t, struct msg_ip *);

/* --- nchttp.c: the small HTTP questions of netcheck, and echo ------------ */

#define NC_ECHO_HEAD	8
/* An ICMP echo request with that payload, to be written. Its length. */
size_t	 nc_echo_build(uint8_t *, const char *);
/* Is that the answer to this request? (answer, length, request, length) */
int	 nc_echo_answers(const uint8_t *, size_t, const uint8_t *, size_t);

/*
 * A GET: (buffer, its size, host, path, challenge or ""). Its length, or -1.
 */
int	 nc_http_request(char *, size_t, const char *, const char *,
	    const char *);
/* Status of a response's head, a string; -1: it is none. */
int	 nc_http_status(const char *);
/* Is that not what the relay answers to /generate_204 and the challenge? */
int	 nc_http_captive(const char *, const char *);

/* --- ncping.c: latency by ICMP ------------------------------------------- */

/* Begin; netcheck_icmp() tells, netcheck_host_known() when it is done. */
void	 ncping_start(const struct nc_map *);
void	 ncping_names(void);
int	 ncping_busy(void);
void	 ncping_stop(void);

/* --- ncprobe.c: latency by HTTPS, captive portals ------------------------ */

/*
 * Begin; netcheck_https() and netcheck_captive() tell what is found, and
 * netcheck_host_known() that all is done. Home, or 0: whose nodes come first.
 */
void	 ncprobe_https(const struct nc_map *);
void	 ncprobe_captive(uint16_t);
int	 ncprobe_busy(void);
void	 ncprobe_stop(void);

/* --- nctell.c: who hears of a report ------------------------------------- */

/* A run is over: home, control, disco, and operators that asked. */
void	 nctell_report(const struct nc_map *, const struct nc_report *);
/* A run goes on: a node without a home needs one now. */
void	 nctell_early(const struct nc_map *, const struct nc_report *);
/* Does somebody want the latency of all regions? */
int	 nctell_verbose(void);

/* --- netcheck.c: for the others of these files --------------------------- */

void	 netcheck_host_known(void);
void	 netcheck_https(uint16_t, uint8_t, int64_t);
void	 netcheck_captive(int);
void	 netcheck_icmp(uint16_t, int64_t);
/* The last report; nr_now 0: none yet. */
const struct nc_report *netcheck_report(void);

#endif /* NETD_NETCHECK_H */
