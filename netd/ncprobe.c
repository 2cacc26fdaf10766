/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Where UDP is blocked: how far relays are by HTTPS, and whether a captive
 * portal answers in their place (dataplane.md 4.2). Sockets come connected
 * from the parent.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "derpdial.h"
#include "endpoint.h"
#include "netcheck.h"
#include "tlsclient.h"

#define PARALLEL	6		/* regions asked at a time */
#define REGIONS		12		/* of one run */
#define NODES		2		/* tried of a region */
#define PORTALS		5		/* nodes asked for a portal */
#define PORTAL_PORT	80
#define TIMEOUT_SEC	3
#define HEAD_MAX	4096

/* One question, over TLS or not. */
struct talk {
	TAILQ_ENTRY(talk) t_entry;
	struct event	 t_ev;
	struct derpdial	*t_dial;
	uint32_t	 t_ask;		/* or this way to a socket */
	int		 t_fd;
	SSL		*t_ssl;		/* NULL: no TLS */
	struct tlsclient t_tls;
	int64_t		 t_asked;	/* the request went */
	uint16_t	 t_region;	/* 0: looks for a portal */
	unsigned int	 t_node;
	uint8_t		 t_af;
	char		 t_host[MSG_NAME_LEN];
	char		 t_challenge[64];
	char		 t_head[HEAD_MAX];
	size_t		 t_len;
};

static TAILQ_HEAD(, talk)	 talks = TAILQ_HEAD_INITIALIZER(talks);
static unsigned int		 nhttps, nportals;
static uint16_t			 todo[REGIONS];
static size_t			 ntodo;
static size_t			 turn;		/* of far regions */

static struct talk *talk_new(uint16_t);
static void	 talk_close(struct talk *);
static void	 talk_free(struct talk *);
static void	 talk_wait(struct talk *, short);
static void	 talk_cb(int, short, void *);
static void	 talk_open(struct talk *, int);
static int	 talk_tls(struct talk *, int);
static int	 talk_ask(struct talk *);
static ssize_t	 talk_read(struct talk *, char *, size_t, short *);
static void	 talk_hear(struct talk *);
static void	 talk_end(struct talk *, const char *);
static void	 region_next(void);
static int	 region_dial(struct talk *);
static void	 dial_cb(void *, int, const char *);
static void	 portal_ask(const struct msg_nm_derp_node *);
static void	 portal_connected(void *, uint32_t, int, int);
static unsigned int portal_region(const struct derp_region *, unsigned int);
static void	 todo_fill(const struct nc_map *);

LOCKED_CB(talk_cb)

static struct talk *
talk_new(uint16_t region)
{
	struct talk	*t;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		fatal(NULL);
	t->t_fd = -1;
	t->t_region = region;
	if (region != 0)
		nhttps++;
	else
		nportals++;
	TAILQ_INSERT_TAIL(&talks, t, t_entry);
	return t;
}

static void
talk_close(struct talk *t)
{
	derpdial_free(t->t_dial);
	t->t_dial = NULL;
	if (t->t_ask != 0)
		ask_cancel(t->t_ask);
	t->t_ask = 0;
	if (t->t_fd == -1)
		return;
	(void)event_del(&t->t_ev);
	SSL_free(t->t_ssl);
	t->t_ssl = NULL;
	close(t->t_fd);
	t->t_fd = -1;
}

static void
talk_free(struct talk *t)
{
	talk_close(t);
	if (t->t_region != 0)
		nhttps--;
	else
		nportals--;
	TAILQ_REMOVE(&talks, t, t_entry);
	free(t);
}

static void
talk_wait(struct talk *t, short what)
{
	struct timeval	 tv = { TIMEOUT_SEC, 0 };

	(void)event_del(&t->t_ev);
	event_set(&t->t_ev, t->t_fd, what, talk_cb_locked, t);
	if (event_add(&t->t_ev, &tv) == -1)
		fatal("event_add");
}

/* The socket is there. */
static void
talk_open(struct talk *t, int fd)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof(ss);

	t->t_fd = fd;
	t->t_len = 0;
	t->t_asked = 0;
	event_set(&t->t_ev, fd, EV_WRITE, talk_cb_locked, t);
	memset(&ss, 0, sizeof(ss));
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		t->t_af = ss.ss_family == AF_INET ? AF_WIRE_INET :
		    AF_WIRE_INET6;
	if (t->t_region != 0 &&
	    (t->t_ssl = tlsclient_new(fd, &t->t_tls)) == NULL) {
		talk_end(t, t->t_tls.tc_why);
		return;
	}
	talk_wait(t, EV_WRITE);
}

static void
talk_cb(int fd, short events, void *arg)
{
	struct talk	*t = arg;

	if (events & EV_TIMEOUT)
		talk_end(t, "no answer in time");
	else if (t->t_asked == 0) {
		if (talk_ask(t) == 1)
			talk_wait(t, EV_READ);
	} else
		talk_hear(t);
}

/* What TLS waits for: 0; -1 if the talk is over, and freed. */
static int
talk_tls(struct talk *t, int ret)
{
	switch (SSL_get_error(t->t_ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		talk_wait(t, EV_READ);
		return 0;
	case SSL_ERROR_WANT_WRITE:
		talk_wait(t, EV_WRITE);
		return 0;
	default:
		talk_end(t, tlsclient_error(t->t_ssl, ret, &t->t_tls));
		return -1;
	}
}

/* Ask once the handshake is done: 1; 0 it is not, -1 it failed. */
static int
talk_ask(struct talk *t)
{
	char	 buf[1024];
	int	 len, n;

	if (t->t_ssl != NULL && !SSL_is_init_finished(t->t_ssl) &&
	    (n = SSL_connect(t->t_ssl)) != 1)
		return talk_tls(t, n);
	len = nc_http_request(buf, sizeof(buf), t->t_host, t->t_region != 0 ?
	    "/derp/latency-check" : "/generate_204", t->t_challenge);
	t->t_asked = os_now();
	if (len == -1)
		n = -1;
	else if (t->t_ssl != NULL)
		n = SSL_write(t->t_ssl, buf, len);
	else
		n = write(t->t_fd, buf, len);
	if (n == len)
		return 1;
	/* A fresh socket takes that much, or is no good. */
	talk_end(t, "cannot send the request");
	return -1;
}

/* More bytes; 0 at the end, -1 and what to wait for (0: an error). */
static ssize_t
talk_read(struct talk *t, char *buf, size_t len, short *what)
{
	ssize_t	 n;

	*what = 0;
	if (t->t_ssl == NULL) {
		n = read(t->t_fd, buf, len);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			*what = EV_READ;
		return n;
	}
	if ((n = SSL_read(t->t_ssl, buf, len)) > 0)
		return n;
	switch (SSL_get_error(t->t_ssl, n)) {
	case SSL_ERROR_WANT_READ:
		*what = EV_READ;
		return -1;
	case SSL_ERROR_WANT_WRITE:
		*what = EV_WRITE;
		return -1;
	default:
		return 0;
	}
}

static void
talk_hear(struct talk *t)
{
	int64_t	 now = os_now();
	ssize_t	 n;
	short	 what;
	int	 status;

	n = talk_read(t, t->t_head + t->t_len, HEAD_MAX - 1 - t->t_len,
	    &what);
	if (n == -1 && what != 0) {
		talk_wait(t, what);
		return;
	}
	if (n <= 0) {
		talk_end(t, "closed without an answer");
		return;
	}
	t->t_len += n;
	t->t_head[t->t_len] = '\0';
	if (strstr(t->t_head, "\r\n\r\n") == NULL) {
		if (t->t_len == HEAD_MAX - 1)
			talk_end(t, "the answer is too long");
		else
			talk_wait(t, EV_READ);
		return;
	}
	status = nc_http_status(t->t_head);
	if (t->t_region == 0) {
		if (nc_http_captive(t->t_head, t->t_challenge)) {
			log_info("netcheck: a captive portal answers for "
			    "%s", t->t_host);
			netcheck_captive(1);
		}
		talk_end(t, NULL);
	} else if (status == -1 || status > 299)
		talk_end(t, "it does not let us in");
	else {
		netcheck_https(t->t_region, t->t_af, now - t->t_asked);
		talk_end(t, NULL);
	}
}

/* Over; with a reason: another node of the region may do better. */
static void
talk_end(struct talk *t, const char *why)
{
	if (why != NULL)
		log_debug("netcheck: %s: %s", t->t_host, why);
	talk_close(t);
	if (t->t_region != 0 && why != NULL && ++t->t_node < NODES &&
	    region_dial(t) == 0)
		return;
	talk_free(t);
	region_next();
	if (!ncprobe_busy())
		netcheck_host_known();
}

/* --- latency of regions --- */

/* Dial the node whose turn it is: 0, or -1 if there is none. */
static int
region_dial(struct talk *t)
{
	const struct derp_region	*r = derpmap_region(t->t_region);
	const struct msg_nm_derp_node	*n;

	while (r != NULL && t->t_node < r->dr_nnodes && t->t_node < NODES &&
	    r->dr_node[t->t_node].flags & DERP_NODE_STUNONLY)
		t->t_node++;
	if (r == NULL || t->t_node >= r->dr_nnodes || t->t_node >= NODES)
		return -1;
	n = &r->dr_node[t->t_node];
	memset(&t->t_tls, 0, sizeof(t->t_tls));
	(void)strlcpy(t->t_host, n->host, sizeof(t->t_host));
	(void)strlcpy(t->t_tls.tc_host, n->host, sizeof(t->t_tls.tc_host));
	(void)strlcpy(t->t_tls.tc_cert, n->cert, sizeof(t->t_tls.tc_cert));
	t->t_tls.tc_insecure = (n->flags & DERP_NODE_INSECURE) != 0;
	t->t_dial = derpdial_new(n, dial_cb, t);
	return 0;
}

static void
dial_cb(void *arg, int fd, const char *why)
{
	struct talk	*t = arg;

	derpdial_free(t->t_dial);
	t->t_dial = NULL;
	if (fd == -1)
		talk_end(t, why);
	else
		talk_open(t, fd);
}

static void
region_next(void)
{
	struct talk	*t;

	while (nhttps < PARALLEL && ntodo > 0) {
		t = talk_new(todo[--ntodo]);
		if (region_dial(t) == -1)
			talk_free(t);
	}
}

/*
 * Home, then the nearest that are known, then of all others a few, other
 * ones each time: the parent connects so many sockets and no more. The list
 * is worked off from its end.
 */
static void
todo_fill(const struct nc_map *m)
{
	size_t	 order[NC_REGIONS_MAX], i, k, n;
	uint16_t home = derp_home();

	nc_report_order(m, netcheck_report(), order);
	n = m->m_n < REGIONS ? m->m_n : REGIONS;
	ntodo = n;
	for (i = 0; i < n; i++) {
		k = i < n / 2 || m->m_n <= REGIONS ? i :
		    n / 2 + (turn + i) % (m->m_n - n / 2);
		todo[n - 1 - i] = m->m_region[order[k]].r_id;
	}
	turn += n - n / 2;
	for (i = 0; i < n; i++)
		if (todo[i] == home)
			break;
	if (home == 0 || n == 0 || nc_region_find(m, home) == NULL)
		return;
	if (i == n)
		i = 0;			/* the farthest gives way */
	todo[i] = todo[n - 1];
	todo[n - 1] = home;
}

void
ncprobe_https(const struct nc_map *m)
{
	todo_fill(m);
	if (ntodo > 0)
		log_debug("netcheck: UDP is blocked, trying HTTPS");
	region_next();
}

/* --- portals --- */

static void
portal_connected(void *arg, uint32_t error, int sys, int fd)
{
	struct talk	*t = arg;

	t->t_ask = 0;
	if (fd == -1)
		talk_end(t, sys != 0 ? strerror(sys) : msg_strerror(error));
	else
		talk_open(t, fd);
}

static void
portal_ask(const struct msg_nm_derp_node *n)
{
	struct msg_endpoint	 ep;
	struct talk		*t;

	t = talk_new(0);
	(void)strlcpy(t->t_host, ip_print(n->ip4.af, n->ip4.addr),
	    sizeof(t->t_host));
	(void)snprintf(t->t_challenge, sizeof(t->t_challenge), "ts_%.50s",
	    t->t_host);
	memset(&ep, 0, sizeof(ep));
	ep.af = n->ip4.af;
	ep.port = PORTAL_PORT;
	memcpy(ep.addr, n->ip4.addr, sizeof(ep.addr));
	t->t_ask = ask_connect(&ep, CONN_PROBE, portal_connected, t);
}

/* How many more may be asked after these nodes. */
static unsigned int
portal_region(const struct derp_region *r, unsigned int left)
{
	uint32_t	 i;

	for (i = 0; i < r->dr_nnodes && left > 0; i++) {
		if ((r->dr_node[i].flags & DERP_NODE_PORT80) == 0 ||
		    r->dr_node[i].ip4.af == 0)
			continue;
		portal_ask(&r->dr_node[i]);
		left--;
	}
	return left;
}

void
ncprobe_captive(uint16_t home)
{
	const struct derp_map		*dm = derpmap_now();
	const struct derp_region	*r;
	unsigned int			 left = PORTALS;
	uint32_t			 i;

	if (home != 0 && (r = derpmap_region(home)) != NULL)
		left = portal_region(r, left);
	for (i = 0; i < dm->dm_nregions && left > 0; i++)
		if (dm->dm_region[i].dr.id != home &&
		    derpmap_may_home(&dm->dm_region[i]))
			left = portal_region(&dm->dm_region[i], left);
	if (left < PORTALS)
		netcheck_captive(0);
}

int
ncprobe_busy(void)
{
	return nhttps + nportals + ntodo > 0;
}

void
ncprobe_stop(void)
{
	ntodo = 0;
	while (!TAILQ_EMPTY(&talks))
		talk_free(TAILQ_FIRST(&talks));
}
