/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A channel: one end of a socketpair between two processes, in the event
 * loop, with every message checked against the table of messages.h before
 * its handler sees it.
 */

#ifndef SHOAL_CHANNEL_H
#define SHOAL_CHANNEL_H

#include <sys/types.h>

#include <event.h>
#include <stddef.h>
#include <stdint.h>

#include "imsg.h"
#include "messages.h"

#define PARENT_FD	3		/* a child's channel to its parent */

/* Queued for sending: past the first, droppable messages are refused. */
#define CHAN_QUEUE_DROP	512		/* messages */
#define CHAN_QUEUE_MAX	262144		/* then the other end counts as lost */

struct chan;

enum chan_end {
	CHAN_EOF,			/* the other end is gone */
	CHAN_BROKEN,			/* it broke the table, or errno */
	CHAN_STUCK			/* it does not read any more */
};

/*
 * msg: a message that passed the table. Returns 0, or -1 if its contents are
 * bad (then cl_lost is called with CHAN_BROKEN). It may close the channel;
 * chan_open on it again is fine from either callback.
 * lost: called once, when the channel is closed already.
 */
struct chan_cb {
	int		(*cc_msg)(struct chan *, struct imsg *);
	void		(*cc_lost)(struct chan *, enum chan_end);
};

struct chan {
	struct imsgbuf		 c_imsgbuf;
	struct event		 c_ev;
	const struct chan_cb	*c_cb;
	void			*c_arg;		/* the owner's */
	enum proc		 c_self;
	enum proc		 c_peer;
	int			 c_open;
	int			 c_writing;	/* waits to write */
	int			 c_stuck;	/* to be closed for it */
	uint64_t		 c_dropped;	/* droppable ones refused */
	uint64_t		 c_generation;	/* tells a reopened channel */
};

/*
 * Take over fd (non-blocking is set here) as the channel between self and
 * peer, and wait for messages. A descriptor may come along only if a row of
 * the table says so. Fatal on lack of memory.
 */
void	 chan_open(struct chan *, int, enum proc, enum proc,
	    const struct chan_cb *, void *);

/*
 * Called before and after each event of a channel is dealt with, for a
 * process with threads: what its handlers touch is locked.
 */
void	 chan_guard(void (*)(void), void (*)(void));

/* Close; unsent messages are dropped. No-op if not open. */
void	 chan_close(struct chan *);

/*
 * Queue a message: type, id, descriptor (or -1; the channel owns it from
 * here, also on error), data, length. Type, length and descriptor are
 * checked against the table: a mismatch is our own bug, and fatal.
 * Returns 0, or -1 with ENOTCONN if the channel is not open (the caller
 * goes on: it hears of it by cc_lost).
 */
int	 chan_compose(struct chan *, enum msg_type, uint32_t, int,
	    const void *, size_t);

/* The same from two pieces: a list's header and its elements. */
int	 chan_compose2(struct chan *, enum msg_type, uint32_t, int,
	    const void *, size_t, const void *, size_t);

/* The same, but -1 with ENOBUFS when more than CHAN_QUEUE_DROP wait. */
int	 chan_compose_drop(struct chan *, enum msg_type, uint32_t,
	    const void *, size_t);

/* Messages waiting to be sent. */
size_t	 chan_queued(const struct chan *);

/* Send all that is queued, blocking; for the last words before exit. */
void	 chan_flush(struct chan *);

/* Write what is queued now if the socket takes it, without the loop. */
void	 chan_push(struct chan *);

/*
 * Does this message stand in the table, from this sender to this receiver,
 * with this length and descriptor? 0, or -1 (logged). Used by chan; public
 * for tests and fuzzers.
 */
int	 msg_check(struct imsg *, enum proc, enum proc);

/* Copy a fixed payload out; 0, or -1 if the length differs. */
int	 msg_get(struct imsg *, void *, size_t);

/*
 * A list message: copies the header (hlen bytes) to hdr and points *elems at
 * the elements inside the message, which are not aligned: memcpy each. n is
 * the header's count as the caller reads it from hdr afterwards: call
 * msg_list_ok(imsg, hlen, n, elen) then. 0, or -1.
 */
int	 msg_list(struct imsg *, void *, size_t, const uint8_t **);
int	 msg_list_ok(struct imsg *, size_t, uint32_t, size_t);

/* A LEN_STR message into buf: 0, or -1 if no string, or too long. */
int	 msg_get_str(struct imsg *, char *, size_t);

/* Is there a NUL within the array? */
int	 msg_str_ok(const char *, size_t);

/* Names for log lines: "netd", "TUN", "not a peer of ours". Static. */
const char	*proc_name(enum proc);
const char	*msg_name(uint32_t);
const char	*msg_strerror(uint32_t);

#endif /* SHOAL_CHANNEL_H */
