/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Connections for the relay, which cannot make any. It names a server of the
 * configuration by its number, so whatever it has become, it gets to nobody
 * else.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "derpd.h"

#define DIAL_TIME	5		/* seconds, for one address */
#define DIAL_MAX	64		/* under way */
#define FRESH		(60 * 1000000000LL)	/* a name's addresses */

/* What is known of a server's addresses. */
struct target {
	struct msg_ip	 t_ips[RESOLVE_MAX];
	size_t		 t_nips;
	size_t		 t_next;	/* which one to try */
	uint32_t	 t_serial;	/* of the configuration */
	int64_t		 t_when;	/* os_now() when it was looked up */
};

struct dial {
	TAILQ_ENTRY(dial) d_entry;
	struct event	 d_ev;
	struct resolve	*d_resolve;
	uint32_t	 d_id;
	uint32_t	 d_server;
	uint16_t	 d_port;
	int		 d_fd;		/* -1: looking up */
};

static TAILQ_HEAD(, dial)	 dials = TAILQ_HEAD_INITIALIZER(dials);
static struct target		 targets[SERVERS_MAX];
static unsigned int		 ndials;

static void
dial_answer(uint32_t id, int error, int sys, int fd)
{
	struct msg_connected	 m;

	memset(&m, 0, sizeof(m));
	m.error = error;
	m.sys_errno = sys;
	(void)chan_compose(&child_get(PROC_RELAY)->pc_chan, IMSG_DIALED, id,
	    fd, &m, sizeof(m));
}

static void
dial_free(struct dial *d)
{
	if (d->d_fd != -1) {
		(void)event_del(&d->d_ev);
		close(d->d_fd);
	}
	resolve_cancel(d->d_resolve);
	TAILQ_REMOVE(&dials, d, d_entry);
	ndials--;
	free(d);
}

static void
dial_failed(struct dial *d, int error)
{
	/* Another address the next time. */
	targets[d->d_server].t_next++;
	dial_answer(d->d_id, error == ETIMEDOUT ? MSG_E_TIMEOUT : MSG_E_CONN,
	    error, -1);
	dial_free(d);
}

static void
dial_cb(int fd, short events, void *arg)
{
	struct dial	*d = arg;
	socklen_t	 len;
	int		 error = 0;

	len = sizeof(error);
	if (events & EV_TIMEOUT)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		dial_failed(d, error);
		return;
	}
	(void)event_del(&d->d_ev);
	d->d_fd = -1;			/* the channel's now */
	dial_answer(d->d_id, MSG_OK, 0, fd);
	dial_free(d);
}

static void
dial_connect(struct dial *d)
{
	struct timeval		 tv = { DIAL_TIME, 0 };
	struct target		*t = &targets[d->d_server];
	struct msg_endpoint	 ep;
	struct msg_ip		*ip;
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 on = 1;

	ip = &t->t_ips[t->t_next % t->t_nips];
	memset(&ep, 0, sizeof(ep));
	ep.af = ip->af;
	ep.port = d->d_port;
	memcpy(ep.addr, ip->addr, sizeof(ep.addr));
	len = endpoint_ss(&ep, &ss);
	d->d_fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (d->d_fd == -1) {
		dial_failed(d, errno);
		return;
	}
	event_set(&d->d_ev, d->d_fd, EV_WRITE, dial_cb, d);
	(void)setsockopt(d->d_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(d->d_fd, (struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS)
		dial_failed(d, errno);
	else
		(void)event_add(&d->d_ev, &tv);
}

static void
dial_resolved(const struct msg_ip *ips, size_t n, void *arg)
{
	struct dial	*d = arg;
	struct target	*t = &targets[d->d_server];

	d->d_resolve = NULL;		/* ends after this call */
	if (n > 0) {
		memcpy(t->t_ips, ips, n * sizeof(*ips));
		t->t_nips = n;
		t->t_when = os_now();
	}
	if (t->t_nips > 0)
		dial_connect(d);
	else
		dial_failed(d, EHOSTUNREACH);
}

static void
dial_start(struct dial *d, const struct msg_conf_server *m)
{
	struct target	*t = &targets[d->d_server];
	struct msg_ip	 ip;

	if (t->t_serial != derpd_conf()->c_serial) {
		memset(t, 0, sizeof(*t));
		t->t_serial = derpd_conf()->c_serial;
	}
	if (ip_parse(&ip, m->host) == 0) {
		t->t_ips[0] = ip;
		t->t_nips = 1;
	} else if (t->t_nips == 0 || os_now() - t->t_when > FRESH) {
		d->d_resolve = resolve_start(m->host, dial_resolved, d);
		if (d->d_resolve == NULL)
			dial_failed(d, errno);
		return;
	}
	dial_connect(d);
}

int
dial_msg(struct proc_child *pc, struct imsg *imsg)
{
	const struct derp_conf	*c = derpd_conf();
	struct msg_dial		 m;
	struct dial		*d;
	uint32_t		 id = imsg_get_id(imsg);

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	if (m.serial != c->c_serial || m.server >= c->c_nserver) {
		dial_answer(id, MSG_E_REFUSED, 0, -1);
		return 0;
	}
	if (ndials >= DIAL_MAX) {
		dial_answer(id, MSG_E_RATE, 0, -1);
		return 0;
	}
	if ((d = calloc(1, sizeof(*d))) == NULL)
		fatal(NULL);
	d->d_id = id;
	d->d_server = m.server;
	d->d_port = c->c_server[m.server].port;
	d->d_fd = -1;
	TAILQ_INSERT_TAIL(&dials, d, d_entry);
	ndials++;
	dial_start(d, &c->c_server[m.server]);
	return 0;
}

void
dial_child_lost(void)
{
	struct dial	*d;

	while ((d = TAILQ_FIRST(&dials)) != NULL)
		dial_free(d);
}
