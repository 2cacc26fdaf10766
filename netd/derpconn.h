/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * One connection to a relay, on a socket that is connected already: TLS,
 * HTTP upgrade, login, frames. It knows no clock but what it is handed, and
 * of the world what its owner tells. Source: dataplane.md 3.1 to 3.4.
 */

#ifndef NETD_DERPCONN_H
#define NETD_DERPCONN_H

#include "derp.h"
#include "netd.h"
#include "tlsclient.h"

/* Bytes that may wait, and how long while there is no connection. */
#define DERP_QUEUE_DATA		(256 * 1024)
#define DERP_QUEUE_DISCO	(32 * 1024)
#define DERP_QUEUE_CTL		(8 * 1024)
#define DERP_QUEUE_AGE		(5 * NSEC)

/* A frame, or raw bytes, on its way out. */
struct derp_pkt {
	TAILQ_ENTRY(derp_pkt) dp_entry;
	int64_t		 dp_time;	/* queued at */
	uint32_t	 dp_len;
	uint32_t	 dp_off;	/* of it gone */
	uint8_t		 dp_data[];
};

struct derp_queue {
	TAILQ_HEAD(, derp_pkt) dq_pkts;
	size_t		 dq_bytes;
	size_t		 dq_max;
	uint64_t	 dq_dropped;	/* packets, ever */
};

void	 derpq_init(struct derp_queue *, size_t);
/*
 * Append a copy of two pieces; the oldest that have not begun to go give way
 * where they are too much. 0, or -1: it does not fit at all.
 */
int	 derpq_add(struct derp_queue *, const void *, size_t, const void *,
	    size_t, int64_t);
/* Drop what is older than DERP_QUEUE_AGE; or all. */
void	 derpq_expire(struct derp_queue *, int64_t);
void	 derpq_clear(struct derp_queue *);

enum derpconn_state {
	DC_TLS,
	DC_UPGRADE,		/* HTTP answer awaited */
	DC_SERVERKEY,
	DC_SEALING,		/* at cryptod */
	DC_SERVERINFO,
	DC_OPENING,		/* at cryptod */
	DC_UP,
	DC_FAILED
};

/* What happens; the first argument is the owner's. */
struct derpconn_cb {
	/* cryptod is wanted: the relay's key; its answer's box. */
	void		(*cb_seal)(void *, const uint8_t *);
	void		(*cb_open)(void *, const struct msg_derp_open *);
	void		(*cb_up)(void *);
	/* It is of no use any more; it may be freed from here. */
	void		(*cb_lost)(void *);
	void		(*cb_packet)(void *, const uint8_t *, uint8_t *, size_t,
			    int64_t);
	void		(*cb_batch)(void *);	/* end of a run of packets */
	void		(*cb_gone)(void *, const uint8_t *, uint8_t);
	void		(*cb_restart)(void *, uint32_t);	/* in ms */
};

/* Whom to talk to, besides what c_tls says. */
struct derpconn_peer {
	uint16_t	 dn_port;
	char		 dn_ideal[64];	/* name of the node it is not; or "" */
};

struct derpconn {
	struct event	 c_evr;
	struct event	 c_evw;
	struct event	 c_again;	/* soon, from the loop */
	struct tlsclient c_tls;
	struct derpconn_peer c_peer;
	const struct derpconn_cb *c_cb;
	void		*c_arg;
	SSL		*c_ssl;
	enum derpconn_state c_state;
	int		 c_fd;
	int		 c_fast;	/* fast start: no HTTP answer */
	int		 c_blocked;	/* the socket takes no more */
	int		 c_paused;	/* reading waits for cryptod */
	int		 c_more;	/* TLS may hold more to read */
	uint8_t		 c_server[MSG_KEY_LEN];
	uint8_t		 c_ping[DERP_PING_LEN];
	int64_t		 c_pinged;	/* 0: no pong is awaited */
	int64_t		 c_last_frame;
	int64_t		 c_token_time;
	uint64_t	 c_tokens;	/* bytes that may go */
	uint64_t	 c_rate;	/* bytes/s, 0: as many as you like */
	uint64_t	 c_burst;
	uint32_t	 c_skip;	/* bytes of a frame left to skip */
	struct derp_queue c_ctl;	/* before all others */
	struct derp_queue *c_disco;	/* the owner's */
	struct derp_queue *c_data;
	uint8_t		*c_part;	/* the beginning of a frame */
	size_t		 c_partlen;
	uint8_t		*c_stage;	/* to be written, DERP_STAGE bytes */
	size_t		 c_stagelen;
	size_t		 c_stageoff;
	uint64_t	 c_frames_in;
	uint64_t	 c_frames_out;
	uint64_t	 c_bytes_in;
	uint64_t	 c_bytes_out;
	char		 c_health[128];	/* what the relay complains of */
	char		 c_why[MSG_TEXT_LEN];	/* DC_FAILED: why */
};

/*
 * Begin on a connected socket, which is its own from here. The queues are
 * the owner's: (fd, callbacks, their argument, disco, data). tc: host,
 * certificate and flag; copied. Never NULL; what fails at once is told from
 * the loop.
 */
struct derpconn *derpconn_new(int, const struct tlsclient *,
	    const struct derpconn_peer *, const struct derpconn_cb *, void *,
	    struct derp_queue *, struct derp_queue *);
/* Close and free. NULL is fine; not from within a callback of it. */
void	 derpconn_free(struct derpconn *);
/* Answers of cryptod to cb_seal, cb_open. */
void	 derpconn_sealed(struct derpconn *, const struct msg_derp_sealed *);
void	 derpconn_opened(struct derpconn *, const struct msg_derp_opened *);
/* Give it up: cb_lost will be called from the loop. */
void	 derpconn_fail(struct derpconn *, const char *, ...)
	    __attribute__((__format__ (printf, 2, 3)));
/* There is something in the queues. */
void	 derpconn_kick(struct derpconn *);
/* Is the address of our end still one of this host's? */
int	 derpconn_local_ok(const struct derpconn *);
/* This is our home region, or not. */
void	 derpconn_prefer(struct derpconn *, int);
void	 derpconn_ping(struct derpconn *, int64_t);
/* May so many bytes go, by what the relay said? Counts them. */
int	 derpconn_allowed(struct derpconn *, size_t, int64_t);
/*
 * Bytes came: HTTP answer or frames, as the state says. Returns how many are
 * dealt with; the rest is to be handed in again with what follows. Packets
 * are given out in place.
 */
size_t	 derpconn_consume(struct derpconn *, uint8_t *, size_t, int64_t);
const char *derpconn_state_name(enum derpconn_state);

#endif /* NETD_DERPCONN_H */
