/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Paths through hard NATs, by probing ports.
 */

#ifndef NETD_HARDNAT_H
#define NETD_HARDNAT_H

#include "netd.h"

/* --- udp.c, path.c: further sockets -------------------------------------- */

/* By which an address is reached; u_fd -1: it has been closed since. */
struct udp_sock *udp_sock_for(const struct addr *);
/* A further socket with a number that is free; and its end, if it is open. */
#define UDP_MORE	255
void	 udp_more_set(unsigned int, int, const struct msg_udp *);
void	 udp_more_close(unsigned int);
/* Is an address of it reached by that socket? Forget all that are. */
int	 path_has_sock(const struct path *, unsigned int);
void	 path_drop_sock(struct path *, unsigned int);

/* --- hnrule.c: who probes whom, how often; pure -------------------------- */

/*
 * One node is behind a hard NAT (another outside port for each destination),
 * the other behind one whose ports stay, but which lets in only answers.
 * The first opens many sockets towards the second's address, the second
 * sends to random ports of the first's: soon one meets an open one.
 */
#define HN_SOCKS	UDP_MORE	/* and the usual one: 256 */
#define HN_KEPT		64		/* of them, for paths */
#define HN_PORT_MIN	1024
#define HN_PORTS	(65536 - HN_PORT_MIN)
#define HN_PROBES	2000		/* of one try: 99.96 % */
#define HN_RATE		200		/* a second, of one try */
#define HN_SPRAYS	2		/* tries at a time */
#define HN_GAP		(120 * NSEC)	/* between tries; doubled by failure */
#define HN_GAP_MAX	5		/* so often */
#define HN_CONSENT	(15 * NSEC)	/* an offer or its answer is good for */
#define HN_PEERS	256		/* that are remembered */
#define HN_DESTS	8		/* addresses probed in HN_GAP */

enum hn_role {
	HN_NONE,
	HN_OPENS,			/* the sockets */
	HN_SPRAYS_PORTS
};

struct hn_entry {
	uint64_t	 he_peer;	/* 0: free */
	int64_t		 he_next;	/* no other try before */
	int64_t		 he_open;	/* agreed to one, until then; or 0 */
	unsigned int	 he_fails;
};

struct hn_limits {
	struct hn_entry	 hl_entry[HN_PEERS];
	struct {
		uint8_t	 d_ip[4];
		int64_t	 d_until;
	}		 hl_dest[HN_DESTS];
};

/* Own NAT (nc_facts.f_varies) and the peer's: 1 hard, 0 not, -1 unknown. */
enum hn_role hn_role(int, int);
/* May strangers be probed there: a public IPv4 address, a high port? */
int	 hn_addr_ok(const struct addr *);
/* The n-th port to probe, of a random start: all before one comes twice. */
uint16_t hn_port(uint32_t, unsigned int);
/*
 * May a try with this peer begin? If so it counts as one that has failed
 * until hn_worked(), and is agreed to for HN_CONSENT.
 */
int	 hn_begin(struct hn_limits *, uint64_t, int64_t);
/* Is one agreed to? use: 1: it is used up by this. */
int	 hn_agreed(struct hn_limits *, uint64_t, int64_t, int);
void	 hn_worked(struct hn_limits *, uint64_t);
/* May this address be probed now, whoever named it? If so it counts. */
int	 hn_dest_take(struct hn_limits *, const struct addr *, int64_t);

/* --- hardnat.c: and how it is done --------------------------------------- */

struct disco_msg;
/* netd_disco.c: a ping of which nothing is kept: (peer, to where). */
void	 disco_probe(struct peer *, const struct addr *);
/* The relay carries traffic of this peer: try, if it is time. */
void	 hardnat_consider(struct peer *, int64_t);
/* DISCO_HARD_NAT came by the relay. */
void	 hardnat_in(struct peer *, const struct disco_msg *, int64_t);
/* It pinged us by one of the sockets: (peer, from where, now). */
void	 hardnat_pinged(struct peer *, const struct addr *, int64_t);
/* PROBE_SOCK with its descriptor; PROBE_SOCKS_END. -1: not asked for. */
int	 hardnat_sock(int, const struct msg_udp *);
int	 hardnat_socks_end(uint32_t);
/* The peer goes away; the network, or the configuration, changed. */
void	 hardnat_forget(const struct peer *);
void	 hardnat_reset(void);
void	 hardnat_debug(void (*)(uint32_t, const char *, ...), uint32_t);

#endif /* NETD_HARDNAT_H */
