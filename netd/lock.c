/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The one lock of netd's state, and how the main thread and the sender
 * wait for each other. Without a sender all of this does nothing.
 */

#include <sys/types.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "netd.h"

static pthread_mutex_t	 mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t	 go = PTHREAD_COND_INITIALIZER;
static pthread_cond_t	 settled = PTHREAD_COND_INITIALIZER;
static int		 threads;	/* there is a sender */

/* All below is guarded by the lock. */
static uint64_t		 takes;
static enum sender_state {
	SENDER_READS,			/* or sleeps: uses the TUN device */
	SENDER_SENDS,			/* and keys, and sockets */
	SENDER_STUCK,			/* the same, waits for a socket */
	SENDER_BLOCKED,			/* and all is sealed: no keys */
	SENDER_RESTS			/* uses nothing */
}			 state = SENDER_RESTS;
static int		 stop;		/* no batch may begin */
static int		 hurry;		/* main waits for the keys */
static int		 park;		/* rest as soon as you can */
static int		 paused = 1;	/* there is nothing to read from */
static int		 drop;		/* do not wait for sockets */
static int		 told;		/* main knows that there is work */
static int		 kick_fd[2] = { -1, -1 };	/* for the sender */
static int		 tell_fd[2] = { -1, -1 };	/* for main */

static void	 poke(int);
static void	 drain(int);

void
state_lock(void)
{
	if (!threads)
		return;
	(void)pthread_mutex_lock(&mutex);
	takes++;
}

void
state_unlock(void)
{
	if (threads)
		(void)pthread_mutex_unlock(&mutex);
}

static void
poke(int fd)
{
	(void)!write(fd, "", 1);	/* full: it will wake anyway */
}

static void
drain(int fd)
{
	char	 buf[64];

	while (read(fd, buf, sizeof(buf)) == sizeof(buf))
		continue;
}

/* --- the main thread --- */

int
lock_start(void)
{
	if (pipe2(kick_fd, O_NONBLOCK | O_CLOEXEC) == -1 ||
	    pipe2(tell_fd, O_NONBLOCK | O_CLOEXEC) == -1)
		return -1;
	threads = 1;
	state_lock();			/* the handler that we are in has it */
	return tell_fd[0];
}

int
lock_threads(void)
{
	return threads;
}

uint64_t
lock_takes(void)
{
	return takes;
}

void
lock_told(void)
{
	drain(tell_fd[0]);
	told = 0;
}

static int
uses_keys(void)
{
	return state == SENDER_SENDS || state == SENDER_STUCK;
}

/* One that waits for a socket may do so for long: wake it. */
static void
wait_for_sender(void)
{
	if (state == SENDER_STUCK || (drop && state == SENDER_BLOCKED))
		poke(kick_fd[1]);
	(void)pthread_cond_wait(&settled, &mutex);
}

void
sender_settle(void)
{
	if (!threads || !uses_keys())
		return;
	stop++;
	hurry = 1;
	while (uses_keys())
		wait_for_sender();
	hurry = 0;
	stop--;
	(void)pthread_cond_signal(&go);
}

void
sender_leave_sockets(void)
{
	if (!threads)
		return;
	sender_settle();
	if (state != SENDER_BLOCKED)
		return;
	drop = 1;
	stop++;
	while (state == SENDER_BLOCKED || uses_keys())
		wait_for_sender();
	stop--;
	drop = 0;
	(void)pthread_cond_signal(&go);
}

void
sender_park(void)
{
	if (!threads)
		return;
	park++;
	drop = 1;
	poke(kick_fd[1]);
	while (state != SENDER_RESTS)
		wait_for_sender();
	drop = 0;
}

void
sender_go(void)
{
	if (!threads)
		return;
	park--;
	(void)pthread_cond_signal(&go);
}

void
sender_pause(int on)
{
	paused = on;
	if (!on)
		(void)pthread_cond_signal(&go);
}

/* --- the sender --- */

static void
enter(enum sender_state s)
{
	state = s;
	(void)pthread_cond_signal(&settled);
}

void
sender_rest(void)
{
	while (park || paused) {
		if (state != SENDER_RESTS)
			enter(SENDER_RESTS);
		(void)pthread_cond_wait(&go, &mutex);
	}
	state = SENDER_READS;
}

void
sender_begin(void)
{
	while (stop)
		(void)pthread_cond_wait(&go, &mutex);
	state = SENDER_SENDS;
}

void
sender_end(void)
{
	enter(SENDER_READS);
}

int
sender_blocked(int fd, int sealed, int full)
{
	struct pollfd	 pfd[2] = {
		{ kick_fd[0], POLLIN, 0 }, { fd, POLLOUT, 0 }
	};
	int		 again;

	state_lock();
	enter(sealed ? SENDER_BLOCKED : SENDER_STUCK);
	state_unlock();
	/* A full queue below the socket does not tell when it is not. */
	(void)poll(pfd, full ? 2 : 1, full ? -1 : 1);
	state_lock();
	if (pfd[0].revents != 0)
		drain(kick_fd[0]);
	state = SENDER_SENDS;
	if (drop)
		return -1;		/* with the lock */
	again = hurry && !sealed;
	state_unlock();
	return again;
}

void
sender_sleep(int fd)
{
	struct pollfd	 pfd[2] = {
		{ kick_fd[0], POLLIN, 0 }, { fd, POLLIN, 0 }
	};

	(void)poll(pfd, 2, -1);
	if (pfd[0].revents != 0)
		drain(kick_fd[0]);
}

void
sender_tell(void)
{
	if (told)
		return;
	told = 1;
	poke(tell_fd[1]);
}
