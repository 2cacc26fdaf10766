/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What sizes a path carries; pure. Comes after netd.h.
 */

#ifndef NETD_PATHMTU_H
#define NETD_PATHMTU_H

struct size_ping {
	struct addr	 sp_addr;
	uint32_t	 sp_how;	/* PING_*, or one of these */
};
/* No ping: datagrams to there shall be cut by this host, or not any more. */
#define SIZE_CUT	0x1000000
#define SIZE_WHOLE	0x2000000

/* What is known of an address of the peer; NULL: it is none. */
struct path_mtu *pathmtu_of(struct path *, const struct addr *);
/* Does it carry full packets? NULL does not. */
int	 pathmtu_fits(const struct path_mtu *, int64_t);
/* Has it been found not to? */
int	 pathmtu_unfit(const struct path_mtu *);
/* Are datagrams to there cut, for its sake? */
int	 pathmtu_cut(const struct path_mtu *);
/* A short ping was answered: (its latency, now). Tests start if needed. */
void	 pathmtu_alive(struct path_mtu *, int64_t, int64_t);
/* A full or larger one was: (its length and flags, when it was sent). */
void	 pathmtu_proved(struct path_mtu *, uint32_t, int64_t);
/*
 * The same of larger ones, up to what packets of that MTU need: what the best
 * path carries beyond full packets is found out once it is trusted.
 */
size_t	 pathmtu_grow(struct path *, uint32_t, int64_t, struct size_ping *,
	    size_t);
/* Longest packet that the best path carries; is it sure that none is? */
uint32_t pathmtu_limit(struct path *, int *);
void	 pathmtu_doubt(struct path_mtu *);
/* What tests ask for now, up to so many. How many. */
size_t	 pathmtu_due(struct path *, int64_t, struct size_ping *, size_t);
/* When the next one is due, 0: none. */
int64_t	 pathmtu_next(const struct path *);
/* How the next heartbeat is sent: (path, bytes sent to the peer, now). */
uint32_t pathmtu_heartbeat(struct path *, uint64_t, int64_t);

#endif
