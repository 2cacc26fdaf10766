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
 * The main thread holds the lock in all handlers of events, but for windows
 * where only system calls and ciphers run; the sender while it plans and
 * books a batch. Neither takes it per packet.
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
 * 0: it does not). 0: try again; -1: give up, with the lock.
 */
int	 sender_blocked(int, int, int);
void	 sender_sleep(int);		/* the TUN device has nothing */

/* --- sender.c: the thread from the TUN device to UDP --------------------- */

void	 sender_start(void);

#endif /* NETD_LOCK_H */
