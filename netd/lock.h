/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * How netd's threads share its state: the lock, and who waits for whom.
 */

#ifndef NETD_LOCK_H
#define NETD_LOCK_H

#include <sys/types.h>

#include <stdint.h>

/* --- lock.c: one lock for all state; main and the sender ----------------- */

/*
 * Two threads: the sender carries packets from the TUN device to UDP, main
 * those from UDP to the TUN device, and runs the event loop: timers, disco,
 * relays, channels, configuration. Flows do not get reordered, since each
 * direction has one thread.
 *
 * All state of netd is guarded by one lock. Main holds it in all handlers of
 * events (LOCKED_CB, chan_guard), but for windows where only system calls and
 * ciphers run on what is its own: struct rx. The sender has it while it plans
 * a batch and while it books one, not while it reads, seals and sends: all
 * that it needs then is in its struct tx. Neither takes it for one packet.
 * What is written for each packet is written by one thread: struct tx,
 * struct rx, and the counter and the replay window of a session, which are on
 * cache lines of their own.
 *
 * The sender touches no event, channel or relay, and frees nothing but
 * packets. It leaves chores (tx.h) and lists of peers and of datagrams for
 * relays, and wakes main. Outside the lock it uses keys, sockets and the TUN
 * device; main, with the lock, waits for it before one of them goes, or is
 * used otherwise: sender_settle(), sender_leave_sockets(), sender_park().
 */
void	 state_lock(void);
void	 state_unlock(void);

/* name_locked() for event_set(): name() with the lock. */
#define LOCKED_CB(name)						\
static void							\
name##_locked(int fd, short events, void *arg)			\
{								\
	state_lock();						\
	name(fd, events, arg);					\
	state_unlock();						\
}

/*
 * There will be a sender; the caller has the lock from now on. Returns the
 * descriptor that is readable when the sender tells of work, or -1.
 */
int	 lock_start(void);
int	 lock_threads(void);		/* is there one? */
uint64_t lock_takes(void);		/* so often, with the lock */
void	 lock_told(void);		/* main looks at the lists now */
/*
 * For main, with the lock: it may be given up meanwhile, so nothing that the
 * sender changes (packets that wait, lists) may be half done. From here on
 * and until the lock is given up the next time the sender ...
 */
void	 sender_settle(void);		/* ... uses no key */
void	 sender_leave_sockets(void);	/* ... and no UDP socket */
void	 sender_park(void);		/* ... nothing at all until */
void	 sender_go(void);		/* ... this */
void	 sender_pause(int);		/* 1: do not read; at first so */
/* For the sender: with the lock, which sleep gives up; but for the last. */
void	 sender_rest(void);		/* while it is paused or parked */
void	 sender_begin(void);		/* a batch: keys and sockets */
void	 sender_end(void);
void	 sender_tell(void);		/* main has work */
/*
 * A socket is full: (descriptor, is all sealed, 1: it tells when it is not;
 * 0: it does not). 0: try again; 1: the same, but somebody waits for the keys:
 * what is not sealed is lost; -1: give up, with the lock.
 */
int	 sender_blocked(int, int, int);
void	 sender_sleep(int);		/* the TUN device has nothing */

/* --- sender.c: the thread from the TUN device to UDP --------------------- */

void	 sender_start(void);

#endif /* NETD_LOCK_H */
