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
	SENDER_BLOCKED,			/* waits for a socket, all is sealed */
	SENDER_RESTS			/* uses nothing */
}			 state = SENDER_RESTS;
static int		 stop;		/* no batch may begin */
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

static void
wait_for_keys(void)
{
	stop++;
	while (state == SENDER_SENDS)
		(void)pthread_cond_wait(&settled, &mutex);
	stop--;
	(void)pthread_cond_signal(&go);
}

void
sender_settle(void)
{
	if (threads && state == SENDER_SENDS)
		wait_for_keys();
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
	poke(kick_fd[1]);
	while (state == SENDER_BLOCKED || state == SENDER_SENDS)
		(void)pthread_cond_wait(&settled, &mutex);
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
	poke(kick_fd[1]);
	while (state != SENDER_RESTS)
		(void)pthread_cond_wait(&settled, &mutex);
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

	state_lock();
	if (sealed)
		enter(SENDER_BLOCKED);
	state_unlock();
	/* A full queue below the socket does not tell when it is not. */
	(void)poll(pfd, full ? 2 : 1, full ? -1 : 1);
	state_lock();
	if (pfd[0].revents != 0)
		drain(kick_fd[0]);
	state = SENDER_SENDS;
	if (drop && sealed)
		return -1;		/* with the lock */
	state_unlock();
	return 0;
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
