/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Batches of packets on their way from the TUN device to UDP.
 */

#ifndef NETD_TX_H
#define NETD_TX_H

#include "netd.h"
#include "sendq.h"

#define TX_READS	64		/* packets of one batch */
#define TX_BYTES	65536		/* no more are read after so many */
#define TX_HEAD		16		/* before a packet, for its header */
#define TX_IN		(TX_BYTES + TX_HEAD + 65536)
#define TX_OUT		(192 * 1024)
#define TX_OUT_OWN	(72 * 1024)
#define TX_ITEMS	256		/* segments sealed at a time */
#define TX_GROUPS	96
#define TX_HASH		128		/* power of 2 */
#define TX_HANDED_MAX	(1024 * 1024)	/* bytes that wait for relays */

#define GSO_MAX_SEGS	64
#define GSO_MAX_BYTES	65507

/* What sends need to know of a socket; taken once per batch. */
struct udp_out {
	int		 uo_fd;		/* -1: none */
	uint8_t		 uo_gso;
	uint8_t		 uo_failed;	/* large sends do not work */
};

/*
 * A packet that goes to a peer: where its data is, and the first of the
 * counters that are its own.
 */
struct tx_pkt {
	struct segmenter tp_seg;
	struct vnet_hdr	 tp_vnet;
	uint8_t		*tp_data;
	size_t		 tp_len;
	uint64_t	 tp_counter;
	int		 tp_next;	/* of the same destination, -1: none */
};

/* Where packets of a batch go, with which key. */
struct tx_dest {
	struct path_to	 d_to;
	struct wg_key	*d_key;
	uint64_t	 d_peer;	/* its id */
	uint32_t	 d_remote;
	struct peer	*d_who;		/* these while it is planned */
	struct keypair	*d_pair;
	size_t		 d_bytes;	/* on the wire */
	int		 d_first;	/* packets, in order */
	int		 d_last;
	int		 d_error;	/* errno of a send, 0: none */
	struct udp_out	 d_udp;		/* of an address with a_sock */
	uint8_t		 d_nogso;	/* large sends failed on this path */
	uint8_t		 d_newly;	/* in this batch */
};

/* Datagrams to one destination that go out in one send. */
struct tx_group {
	struct addr	 g_addr;	/* a_af 0: by the relay alone */
	struct tx_dest	*g_dest;
	uint8_t		*g_buf;
	size_t		 g_len;
	size_t		 g_sent;	/* of them gone already */
	size_t		 g_size;	/* of each datagram but the last */
	unsigned int	 g_n;
	int		 g_closed;	/* has a shorter one */
	int		 g_error;	/* some could not be sent */
};

/*
 * A batch of packets on its way out, in three steps: planned with the state
 * of netd at hand (tx.c), then segmented, sealed and sent without it
 * (txbatch.c), then what that showed is booked (tx.c).
 */
struct tx {
	uint8_t		*t_in;		/* TX_IN bytes, or NULL */
	uint8_t		*t_out;
	size_t		 t_outmax;
	size_t		 t_outlen;
	struct tx_pkt	 t_pkt[TX_READS];
	struct tx_dest	 t_dest[TX_READS];
	uint8_t		 t_hash[TX_HASH];	/* index of a dest, plus 1 */
	struct wg_item	 t_item[TX_ITEMS];
	struct tx_group	 t_group[TX_GROUPS];
	struct udp_out	 t_udp[2];
	struct sendq	 t_queue[2];	/* of these sockets */
	struct handed_head t_handed;
	struct tx_stats	 t_stats;
	struct tx_stats	 t_new;		/* of this batch */
	int64_t		 t_now;		/* of this batch */
	size_t		 t_mtu;
	unsigned int	 t_npkt;
	unsigned int	 t_ndest;
	unsigned int	 t_cur;		/* destination being segmented */
	int		 t_curpkt;	/* and packet, -1: its first */
	unsigned int	 t_nitem;
	unsigned int	 t_nsealed;
	unsigned int	 t_ngroup;
	unsigned int	 t_gone;	/* of the groups */
	int		 t_sending;	/* groups are sealed */
	int		 t_blocked;	/* they wait for the socket */
	int		 t_dry;		/* nothing more to read for now */
};

/* --- tx.c: plan a batch, and book what was sent -------------------------- */

/* Room for input, or 0; for output. Fatal on lack of memory. */
struct tx *tx_new(size_t, size_t);
/* The steps of a batch; all but the first with the lock. */
void	 tx_read(struct tx *);
void	 tx_plan(struct tx *);
void	 tx_finish(struct tx *);

/* What batches leave for the main thread to do. */
#define CHORE_FAULT	0x01		/* the TUN device cannot be read */
#define CHORE_REBIND4	0x02		/* sockets do not work */
#define CHORE_REBIND6	0x04
#define CHORE_TIMERS	0x08		/* they are late: we have slept */
#define CHORE_ACTIVE	0x10		/* netcheck is to know */
int	 tx_has_chores(void);
void	 tx_chores(int64_t);

/* --- txbatch.c: segment, seal and send what is planned ------------------- */

void	 batch_reset(struct tx *);
/*
 * A packet (its place and length in t_pkt[t_npkt], which it becomes) to a
 * peer by this key, to there: counters and destination. 0, or -1 if it is
 * malformed.
 */
int	 batch_add(struct tx *, struct peer *, struct keypair *,
	    const struct path_to *);
/* 0: all is gone; -1: a socket is full, call again when it is not. */
int	 batch_run(struct tx *);
/* Are keys of no more use to it? */
int	 batch_sealed(const struct tx *);
/* What has not gone is lost. */
void	 batch_drop(struct tx *);
/* What is not segmented yet is not sent any more. */
void	 batch_cancel(struct tx *);
/* The address whose socket it waits for. */
const struct addr *batch_waits(const struct tx *);
/* The header in front of a packet for a peer relay: (place, VNI); length. */
size_t	 geneve_wg(uint8_t *, uint32_t);

/* --- udp.c: and out with it ---------------------------------------------- */

/*
 * What sends need, into the batch, and for one more destination of it; what
 * they found out, back.
 */
void	 udp_out_get(struct tx *);
void	 udp_out_dest(struct tx_dest *);
void	 udp_out_put(const struct tx *);
struct udp_out *udp_out_of(struct tx *, struct tx_group *);
/*
 * Send from the first of these groups on, as much as one system call takes;
 * bytes gone are moved on. Returns how many messages that was: look at the
 * groups and go on; -1 with errno: EAGAIN or ENOBUFS, nothing was taken;
 * else a datagram of the first group was skipped, it cannot be sent.
 */
int	 udp_send_groups(struct udp_out *, struct tx_group *, size_t);

#endif /* NETD_TX_H */
