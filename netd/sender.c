/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The thread that carries packets from the TUN device to UDP. It takes the
 * lock twice for each batch: to plan it, and to book what was sent; reading,
 * sealing and sending are done without. It never touches the event loop,
 * channels or relays, and frees nothing: what it wants of the main thread
 * is on lists.
 */

#include <sys/types.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "netd.h"
#include "tx.h"

#define STACK		(256 * 1024)

static struct event	 ev_tell;

static void	 chores_cb(int, short, void *);
static void	 sender_fault(struct tx *);
static void	 sender_send(struct tx *);
static void	*sender_main(void *);

LOCKED_CB(chores_cb)

/* The sender has put something on a list. */
static void
chores_cb(int fd, short events, void *arg)
{
	lock_told();
	tx_chores(os_now());
}

/* Main looks at the device again after a while. */
static void
sender_fault(struct tx *tx)
{
	nd.n_fault = tx->t_dry;
	nd.n_chores |= CHORE_FAULT;
	sender_pause(1);
	tx->t_dry = 1;
}

/* With the lock at the end, not before. */
static void
sender_send(struct tx *tx)
{
	int	 fd, full, r;

	while (batch_run(tx) == -1) {
		full = errno == EAGAIN;
		fd = udp_out_of(tx, &tx->t_group[tx->t_gone])->uo_fd;
		r = sender_blocked(fd, batch_sealed(tx), full);
		if (r != 0)
			batch_cancel(tx);
		if (r == -1) {
			batch_drop(tx);
			return;
		}
	}
	state_lock();
}

static void *
sender_main(void *arg)
{
	struct tx	*tx = arg;

	state_lock();
	for (;;) {
		if (tx_has_chores())
			sender_tell();
		sender_rest();
		state_unlock();
		if (tx->t_dry)
			sender_sleep(nd.n_tun.t_fd);
		tx_read(tx);
		state_lock();
		if (tx->t_dry > 1)
			sender_fault(tx);
		if (tx->t_npkt == 0)
			continue;
		sender_begin();
		tx_plan(tx);
		if (tx_has_chores())
			sender_tell();
		state_unlock();
		sender_send(tx);
		tx_finish(tx);
		sender_end();
	}
	return NULL;
}

/*
 * After Landlock and the first filter, which it inherits, and before the
 * second one, which is loaded for all threads: os_sandbox().
 */
void
sender_start(void)
{
	pthread_attr_t	 attr;
	pthread_t	 thread;
	sigset_t	 all, old;
	int		 error, fd;

	tun_pause(1);			/* from here on it is the sender's */
	if ((fd = lock_start()) == -1)
		fatal("sender");
	keypair_guard(sender_settle);
	event_set(&ev_tell, fd, EV_READ | EV_PERSIST, chores_cb_locked, NULL);
	if (event_add(&ev_tell, NULL) == -1)
		fatal("event_add");
	/* Signals are the main thread's, but for faults of our own. */
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGSEGV);
	(void)sigdelset(&all, SIGBUS);
	(void)sigdelset(&all, SIGFPE);
	(void)sigdelset(&all, SIGILL);
	(void)sigdelset(&all, SIGABRT);
	(void)sigdelset(&all, SIGSYS);
	(void)pthread_sigmask(SIG_BLOCK, &all, &old);
	if ((error = pthread_attr_init(&attr)) != 0 ||
	    (error = pthread_attr_setstacksize(&attr, STACK)) != 0 ||
	    (error = pthread_create(&thread, &attr, sender_main,
	    nd.n_tx)) != 0)
		fatalx("sender: %s", strerror(error));
	(void)pthread_attr_destroy(&attr);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}
