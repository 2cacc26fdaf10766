/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * How main waits for a sender whose socket is full: it gets the keys, the
 * sockets and the TUN device without waiting for that socket. A thread of
 * this test is the sender, a full pipe its socket.
 */
/* link: ../../netd/lock.c */

#include <sys/types.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../netd/lock.h"

#define ROUNDS		300

static int	 sock[2];

/* With the lock. */
static int	 sealed, holds_keys, holds_sock, in_batch;
static unsigned int	 batches, cancelled, dropped;

static void	*sender(void *);
static void	 batch(void);
static void	 wait_stuck(void);

/* Every other batch has more than is sealed at a time. */
static void
batch(void)
{
	int	 r;

	for (;;) {
		r = sender_blocked(sock[1], sealed, 1);
		if (r == -1)
			break;
		if (r == 0)
			continue;
		state_lock();
		cancelled++;
		sealed = 1;
		holds_keys = 0;
		state_unlock();
	}
	dropped++;
}

static void *
sender(void *arg)
{
	state_lock();
	for (;;) {
		sender_rest();
		sender_begin();
		batches++;
		sealed = batches % 2;
		holds_keys = !sealed;
		holds_sock = in_batch = 1;
		state_unlock();
		batch();
		holds_keys = holds_sock = in_batch = 0;
		sender_end();
	}
	return NULL;
}

static void
wait_stuck(void)
{
	for (;;) {
		state_lock();
		if (in_batch)
			return;
		state_unlock();
		usleep(100);
	}
}

int
main(void)
{
	pthread_t	 thread;
	uint8_t		 b[4096];
	unsigned int	 i;

	alarm(60);			/* to hang is to fail */
	memset(b, 0, sizeof(b));
	if (pipe(sock) == -1 || fcntl(sock[1], F_SETFL, O_NONBLOCK) == -1)
		err(1, "pipe");
	while (write(sock[1], b, sizeof(b)) != -1)
		continue;
	if (errno != EAGAIN)
		err(1, "write");
	if (lock_start() == -1)
		err(1, "lock_start");
	sender_pause(0);
	if ((errno = pthread_create(&thread, NULL, sender, NULL)) != 0)
		err(1, "pthread_create");
	state_unlock();
	for (i = 0; i < ROUNDS; i++) {
		wait_stuck();
		sender_settle();
		if (holds_keys)
			errx(1, "round %u: keys", i);
		if (i % 3 == 1) {
			sender_leave_sockets();
			if (holds_sock)
				errx(1, "round %u: sockets", i);
		} else if (i % 3 == 2) {
			sender_park();
			if (in_batch)
				errx(1, "round %u: TUN device", i);
			sender_go();
		}
		state_unlock();
	}
	state_lock();
	if (batches < ROUNDS / 2 || cancelled == 0 || dropped == 0 ||
	    lock_takes() == 0)
		errx(1, "%u batches, %u cancelled, %u dropped", batches,
		    cancelled, dropped);
	return 0;
}
