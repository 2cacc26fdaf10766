/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The tunnel device: reading and writing, with offloads where it has them.
 */

#include <sys/types.h>
#include <sys/uio.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "netd.h"
#include "tx.h"

#define FAULT_PAUSE	1		/* seconds */

static struct event	 ev_fault;
static struct log_limit	 fault_limit;

static void	 tun_cb(int, short, void *);
static void	 tun_fault_cb(int, short, void *);

LOCKED_CB(tun_cb)
LOCKED_CB(tun_fault_cb)

void
tun_init(void)
{
	nd.n_tun.t_fd = -1;
	nd.n_tun.t_mtu = 1280;
	evtimer_set(&ev_fault, tun_fault_cb_locked, NULL);
}

/* A device that is gone is readable for ever: look at it now and then. */
void
tun_fault(int64_t now)
{
	struct timeval	 tv = { FAULT_PAUSE, 0 };

	if (log_limit(&fault_limit, now, 3, 60))
		log_warn("%s: read", nd.n_tun.t_name);
	tun_pause(1);
	evtimer_add(&ev_fault, &tv);
}

static void
tun_fault_cb(int fd, short events, void *arg)
{
	if (!nd.n_tx->t_blocked)
		tun_pause(0);
}

static void
tun_cb(int fd, short events, void *arg)
{
	tx_wakeup(arg);
}

void
tun_set(int fd, const struct msg_tun *m)
{
	struct tun	*t = &nd.n_tun;

	sender_park();
	if (t->t_fd != -1) {
		event_del(&t->t_ev);
		close(t->t_fd);
	}
	t->t_fd = fd;
	t->t_caps = m->caps;
	t->t_mtu = m->mtu;
	memcpy(t->t_name, m->name, sizeof(t->t_name));
	rx_init(nd.n_rx, tun_coal_caps());
	event_set(&t->t_ev, fd, EV_READ | EV_PERSIST, tun_cb_locked, nd.n_tx);
	if (!lock_threads() && !nd.n_tx->t_blocked &&
	    event_add(&t->t_ev, NULL) == -1)
		fatal("event_add");
	sender_pause(0);
	sender_go();
	log_info("%s: mtu %u%s%s%s", t->t_name, t->t_mtu,
	    t->t_caps & TUN_VNET ? " vnet" : "",
	    t->t_caps & TUN_TSO ? " tso" : "",
	    t->t_caps & TUN_USO ? " uso" : "");
}

/* What may be joined for the kernel to take apart. */
unsigned int
tun_coal_caps(void)
{
	uint32_t	 caps = nd.n_tun.t_caps;
	unsigned int	 coal = 0;

	if ((caps & TUN_VNET) == 0)
		return 0;
	coal = COAL_VNET;
	if (caps & TUN_TSO && (nd.n_self.flags & SELF_NO_TUN_TCP_GRO) == 0)
		coal |= COAL_TCP;
	if (caps & TUN_USO && (nd.n_self.flags & SELF_NO_TUN_UDP_GRO) == 0 &&
	    (nd.n_conf.force_path & FORCE_NO_USO) == 0)
		coal |= COAL_UDP;
	return coal;
}

void
tun_pause(int on)
{
	struct tun	*t = &nd.n_tun;

	if (t->t_fd == -1)
		return;
	if (lock_threads())
		sender_pause(on);
	else if (on)
		event_del(&t->t_ev);
	else
		event_add(&t->t_ev, NULL);
}

/* In one piece: two cost the kernel more than the copy of a header. */
ssize_t
tun_read(struct vnet_hdr *vh, uint8_t *pkt, size_t room)
{
	ssize_t	 n;

	if ((nd.n_tun.t_caps & TUN_VNET) == 0) {
		memset(vh, 0, sizeof(*vh));
		return read(nd.n_tun.t_fd, pkt, room);
	}
	n = read(nd.n_tun.t_fd, pkt - VNET_HDR_LEN, VNET_HDR_LEN + room);
	if (n == -1)
		return -1;
	if (n < VNET_HDR_LEN) {
		errno = EIO;
		return -1;
	}
	memcpy(vh, pkt - VNET_HDR_LEN, VNET_HDR_LEN);
	return n - VNET_HDR_LEN;
}

int
tun_write(const struct iovec *iov, int n)
{
	if (nd.n_tun.t_fd == -1) {
		errno = EBADF;
		return -1;
	}
	return writev(nd.n_tun.t_fd, iov, n) == -1 ? -1 : 0;
}
