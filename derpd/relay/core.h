/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The relay itself: who is here, who sends to whom, what waits for whom.
 * No I/O and no clock: frames go in, frames come out.
 * Source: dataplane.md section 3.5.
 */

#ifndef RELAY_CORE_H
#define RELAY_CORE_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <stddef.h>
#include <stdint.h>

#include "derp.h"
#include "rate.h"

#define CORE_QUEUE_MAX		32	/* packets of each of two queues */
#define CORE_SMALL_MAX		1024	/* other frames; mesh: no bound */
#define CORE_LINKS_MAX		4096	/* receivers noted for one key */
#define CORE_PULL_MIN		(DERP_RECV_HDR_LEN + DERP_PACKET_MAX)

struct packet;
struct peer;
struct link;
struct fwd;
STAILQ_HEAD(packets, packet);

struct queue {
	struct packets	 q_packets;
	unsigned int	 q_len;
};

/* A connection that has logged in; part of its owner's struct. */
struct client {
	TAILQ_ENTRY(client) cl_same;	/* of the same key, speaker first */
	TAILQ_ENTRY(client) cl_watch;
	LIST_HEAD(, link) cl_links;	/* whose packets it has got */
	LIST_HEAD(, fwd) cl_fwds;	/* whom it forwards to */
	struct peer	*cl_peer;
	struct queue	 cl_small;	/* frames without a packet */
	struct queue	 cl_disco;
	struct queue	 cl_data;
	struct rate	 cl_gone_rate;	/* "not here", told to it */
	uint64_t	 cl_dropped;	/* packets for it */
	uint8_t		 cl_addr[16];	/* IPv4: mapped */
	uint16_t	 cl_port;
	uint8_t		 cl_mesh;
	uint8_t		 cl_flags;	/* DERP_PRESENT_* */
	uint8_t		 cl_watches;
	uint8_t		 cl_preferred;	/* this is its home */
	uint8_t		 cl_turn;	/* which queue is next */
};

/*
 * wake: something waits for that client, which had nothing.  full: a queue
 * of it is full: write what it takes now, or packets will be dropped.
 * close: to be closed, by word of a mesh peer; not from within the call.
 */
struct core_cb {
	void	(*cb_wake)(struct client *);
	void	(*cb_full)(struct client *);
	void	(*cb_close)(struct client *);
};

struct core_stats {
	uint64_t	 cs_clients;
	uint64_t	 cs_keys;
	uint64_t	 cs_packets;	/* that came in */
	uint64_t	 cs_bytes;
	uint64_t	 cs_sent;	/* that were queued for somebody */
	uint64_t	 cs_sent_bytes;
	uint64_t	 cs_forwarded;	/* to other relays */
	uint64_t	 cs_forwards;	/* from other relays */
	uint64_t	 cs_unknown;	/* for nobody here */
	uint64_t	 cs_gone;	/* of those, told to the sender */
	uint64_t	 cs_home;	/* clients that are at home here */
	uint64_t	 cs_home_moves;
	uint64_t	 cs_watchers;
	uint64_t	 cs_remote;	/* keys at other relays */
	uint64_t	 cs_pings;
	uint64_t	 cs_dropped;	/* from full queues */
};

/* Call first. */
void	 core_init(const struct core_cb *);
const struct core_stats *core_stats(void);

/*
 * A client is in: its struct, zeroed but for address, port, mesh and flags;
 * its key.  It gets what others send from here on.
 */
void	 core_add(struct client *, const uint8_t [DERP_KEY_LEN]);
/* It is gone: whoever needs to hear of it does. */
void	 core_remove(struct client *);
const uint8_t *core_key(const struct client *);

/*
 * A whole frame came of it; os_now() for limits.  0, or -1: close it.
 */
int	 core_input(struct client *, const struct derp_frame *, int64_t);

/*
 * A connection of ours to another relay of the mesh: its struct, zeroed.
 * What it says is there, and is not here, gets its packets by that relay;
 * of several the one that said so first.
 */
#define CORE_FWDS_MAX	1000000		/* keys by one relay */
void	 core_fwd_open(struct client *);
void	 core_fwd_close(struct client *);
void	 core_fwd_present(struct client *, const uint8_t [DERP_KEY_LEN]);
void	 core_fwd_absent(struct client *, const uint8_t [DERP_KEY_LEN]);

/* Close every client for which that says 0, but none of the mesh. */
void	 core_review(int (*)(const uint8_t [DERP_KEY_LEN]));

/* Put a frame that keeps the connection alive in its queue. */
void	 core_keepalive(struct client *);
/* Tell all clients that this relay is going: wait, try for so many ms. */
void	 core_restarting(uint32_t, uint32_t);

/* Does anything wait for it? */
int	 core_waiting(const struct client *);
/*
 * Take whole frames that wait for it into a buffer of at least CORE_PULL_MIN
 * bytes.  Returns the bytes taken, 0: nothing waits.
 */
size_t	 core_pull(struct client *, uint8_t *, size_t);

#endif
