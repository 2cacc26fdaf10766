/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A connection to a relay: TLS, HTTP upgrade, login, and its life in the
 * event loop. Frames are derpframe.c's.
 */

#include <sys/types.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "derpconn.h"

#define STAGE_LEN	16384		/* a TLS record */
#define RX_LEN		(128 * 1024)	/* one frame fits at least */
#define READ_BYTES	(128 * 1024)	/* of one wake-up */
#define WRITE_BYTES	(512 * 1024)
#define GONE_MS		8000		/* nobody takes what we send */
#define RATE_MAX	100000000000ULL	/* bytes a second: no limit */
#define FLUSH_AT	(64 * 1024)	/* bytes queued: do not wait */
#define UNSENT_MAX	(128 * 1024)	/* of the kernel's; then we queue */

static const char *const state_names[] = {
	[DC_TLS] = "TLS handshake",
	[DC_UPGRADE] = "HTTP upgrade",
	[DC_SERVERKEY] = "greeting",
	[DC_SEALING] = "sealing the login",
	[DC_SERVERINFO] = "login",
	[DC_OPENING] = "opening the answer",
	[DC_UP] = "up",
	[DC_FAILED] = "failed"
};

/* One thread, and nothing stays in it between wake-ups. */
static uint8_t	 rx[RX_LEN];

static void	 conn_read_cb(int, short, void *);
static void	 conn_write_cb(int, short, void *);
static void	 conn_again_cb(int, short, void *);
static void	 conn_options(int);
static void	 conn_soon(struct derpconn *);
static void	 conn_handshake(struct derpconn *);
static void	 conn_greet(struct derpconn *);
static void	 conn_request(struct derpconn *);
static void	 conn_read(struct derpconn *);
static int	 conn_fill(struct derpconn *, size_t *);
static void	 conn_flush(struct derpconn *);
static int	 stage_fill(struct derpconn *);
static size_t	 stage_take(struct derpconn *, struct derp_queue *, size_t,
		    int);

LOCKED_CB(conn_read_cb)
LOCKED_CB(conn_write_cb)
LOCKED_CB(conn_again_cb)

const char *
derpconn_state_name(enum derpconn_state s)
{
	return state_names[s];
}

/*
 * What waits shall wait here, where disco may overtake it; and a relay that
 * takes nothing any more is given up before its keepalives are missed.
 */
static void
conn_options(int fd)
{
#ifdef TCP_NOTSENT_LOWAT
	int	 unsent = UNSENT_MAX;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
	    sizeof(unsent));
#endif
#ifdef TCP_USER_TIMEOUT
	int	 gone = GONE_MS;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone,
	    sizeof(gone));
#endif
}

struct derpconn *
derpconn_new(int fd, const struct tlsclient *tc,
    const struct derpconn_peer *peer, const struct derpconn_cb *cb, void *arg,
    struct derp_queue *disco, struct derp_queue *data)
{
	struct derpconn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal(NULL);
	c->c_fd = fd;
	c->c_tls = *tc;
	c->c_peer = *peer;
	c->c_cb = cb;
	c->c_arg = arg;
	c->c_disco = disco;
	c->c_data = data;
	derpq_init(&c->c_ctl, DERP_QUEUE_CTL);
	event_set(&c->c_evr, fd, EV_READ | EV_PERSIST, conn_read_cb_locked, c);
	event_set(&c->c_evw, fd, EV_WRITE, conn_write_cb_locked, c);
	evtimer_set(&c->c_again, conn_again_cb_locked, c);
	conn_options(fd);
	(void)event_add(&c->c_evr, NULL);
	if ((c->c_ssl = tlsclient_new(fd, &c->c_tls)) == NULL)
		derpconn_fail(c, "%s", c->c_tls.tc_why);
	else
		conn_soon(c);
	return c;
}

void
derpconn_free(struct derpconn *c)
{
	if (c == NULL)
		return;
	(void)event_del(&c->c_evr);
	(void)event_del(&c->c_evw);
	(void)evtimer_del(&c->c_again);
	if (c->c_ssl != NULL && c->c_state == DC_UP)
		(void)SSL_shutdown(c->c_ssl);
	SSL_free(c->c_ssl);
	ERR_clear_error();
	if (c->c_fd != -1)
		close(c->c_fd);
	derpq_clear(&c->c_ctl);
	free(c->c_part);
	free(c->c_stage);
	free(c);
}

void
derpconn_fail(struct derpconn *c, const char *fmt, ...)
{
	struct derp_pkt	*p;
	va_list		 ap;

	if (c->c_state == DC_FAILED)
		return;
	va_start(ap, fmt);
	vsnprintf(c->c_why, sizeof(c->c_why), fmt, ap);
	va_end(ap);
	c->c_state = DC_FAILED;
	(void)event_del(&c->c_evr);
	(void)event_del(&c->c_evw);
	/* The next connection cannot go on in the middle of a frame. */
	if ((p = TAILQ_FIRST(&c->c_disco->dq_pkts)) != NULL)
		p->dp_off = 0;
	if ((p = TAILQ_FIRST(&c->c_data->dq_pkts)) != NULL)
		p->dp_off = 0;
	conn_soon(c);
}

static void
conn_soon(struct derpconn *c)
{
	struct timeval	 tv = { 0, 0 };

	if (!evtimer_pending(&c->c_again, NULL))
		(void)evtimer_add(&c->c_again, &tv);
}

static void
conn_again_cb(int fd, short events, void *arg)
{
	struct derpconn	*c = arg;

	if (c->c_state == DC_FAILED) {
		c->c_cb->cb_lost(c->c_arg);
		return;
	}
	if (c->c_state == DC_TLS) {
		conn_handshake(c);
		return;
	}
	if (c->c_more && !c->c_paused)
		conn_read(c);
	if (!c->c_blocked)
		conn_flush(c);
}

static void
conn_read_cb(int fd, short events, void *arg)
{
	struct derpconn	*c = arg;

	if (c->c_state == DC_TLS)
		conn_handshake(c);
	else
		conn_read(c);
}

static void
conn_write_cb(int fd, short events, void *arg)
{
	struct derpconn	*c = arg;

	c->c_blocked = 0;
	if (c->c_state == DC_TLS)
		conn_handshake(c);
	else
		conn_flush(c);
}

int
derpconn_local_ok(const struct derpconn *c)
{
	struct sockaddr_storage	 ss;
	struct addr		 a;
	socklen_t		 len = sizeof(ss);

	memset(&ss, 0, sizeof(ss));
	if (getsockname(c->c_fd, (struct sockaddr *)&ss, &len) == -1 ||
	    addr_from_ss(&a, &ss) == -1)
		return 1;
	return endpoints_local(&a);
}

/* --- TLS, HTTP and login --- */

static void
conn_handshake(struct derpconn *c)
{
	int	 r;

	errno = 0;
	r = SSL_connect(c->c_ssl);
	if (r == 1) {
		conn_greet(c);
		return;
	}
	switch (SSL_get_error(c->c_ssl, r)) {
	case SSL_ERROR_WANT_READ:
		break;
	case SSL_ERROR_WANT_WRITE:
		c->c_blocked = 1;
		(void)event_add(&c->c_evw, NULL);
		break;
	default:
		derpconn_fail(c, "%s", tlsclient_error(c->c_ssl, r,
		    &c->c_tls));
		break;
	}
}

/*
 * A relay whose certificates tell its key gets request and login in one go;
 * under TLS 1.2 they are not protected enough to be believed.
 */
static void
conn_greet(struct derpconn *c)
{
	c->c_fast = c->c_tls.tc_derpversion >= DERP_VERSION &&
	    SSL_version(c->c_ssl) >= TLS1_3_VERSION;
	if (!c->c_fast) {
		c->c_state = DC_UPGRADE;
		conn_request(c);
		conn_soon(c);
		return;
	}
	memcpy(c->c_server, c->c_tls.tc_derpkey, sizeof(c->c_server));
	c->c_state = DC_SEALING;
	c->c_cb->cb_seal(c->c_arg, c->c_server);
}

static void
conn_request(struct derpconn *c)
{
	char	 req[1024], port[8] = "";
	int	 n, v6;

	v6 = strchr(c->c_tls.tc_host, ':') != NULL;
	if (c->c_peer.dn_port != 443)
		snprintf(port, sizeof(port), ":%u", c->c_peer.dn_port);
	n = snprintf(req, sizeof(req), "GET /derp HTTP/1.1\r\n"
	    "Host: %s%s%s%s\r\n"
	    "Connection: Upgrade\r\n"
	    "Upgrade: DERP\r\n"
	    "User-Agent: shoal\r\n"
	    "%s%s%s%s\r\n",
	    v6 ? "[" : "", c->c_tls.tc_host, v6 ? "]" : "", port,
	    *c->c_peer.dn_ideal != '\0' ? "Ideal-Node: " : "",
	    c->c_peer.dn_ideal, *c->c_peer.dn_ideal != '\0' ? "\r\n" : "",
	    c->c_fast ? "Derp-Fast-Start: 1\r\n" : "");
	if (n < 0 || (size_t)n >= sizeof(req))
		derpconn_fail(c, "its name is too long");
	else
		(void)derpq_add(&c->c_ctl, req, n, NULL, 0, 0);
}

void
derpconn_sealed(struct derpconn *c, const struct msg_derp_sealed *m)
{
	uint8_t	 head[DERP_HDR_LEN + MSG_KEY_LEN];

	if (c->c_state != DC_SEALING ||
	    memcmp(m->server, c->c_server, sizeof(m->server)) != 0)
		return;
	if (m->error != MSG_OK || m->len > sizeof(m->box)) {
		derpconn_fail(c, "login: %s", msg_strerror(m->error));
		return;
	}
	if (c->c_fast)
		conn_request(c);
	derp_header(head, DERP_CLIENT_INFO, MSG_KEY_LEN + m->len);
	memcpy(head + DERP_HDR_LEN, m->node, MSG_KEY_LEN);
	(void)derpq_add(&c->c_ctl, head, sizeof(head), m->box, m->len, 0);
	c->c_state = DC_SERVERINFO;
	c->c_paused = 0;
	c->c_more = 1;
	(void)event_add(&c->c_evr, NULL);
	conn_soon(c);
}

void
derpconn_opened(struct derpconn *c, const struct msg_derp_opened *m)
{
	if (c->c_state != DC_OPENING)
		return;
	if (m->error != MSG_OK) {
		derpconn_fail(c, "answer to the login: %s",
		    msg_strerror(m->error));
		return;
	}
	c->c_rate = m->rate < RATE_MAX ? m->rate : RATE_MAX;
	c->c_tokens = c->c_burst = m->burst < RATE_MAX ? m->burst : RATE_MAX;
	c->c_state = DC_UP;
	c->c_paused = 0;
	c->c_more = 1;
	(void)event_add(&c->c_evr, NULL);
	c->c_cb->cb_up(c->c_arg);
	conn_soon(c);
}

/* --- reading --- */

/* As much as there is and fits: 1: the socket is empty; 0: not; -1. */
static int
conn_fill(struct derpconn *c, size_t *have)
{
	int	 n;

	while (*have < sizeof(rx)) {
		errno = 0;
		n = SSL_read(c->c_ssl, rx + *have, sizeof(rx) - *have);
		if (n > 0) {
			*have += n;
			continue;
		}
		switch (SSL_get_error(c->c_ssl, n)) {
		case SSL_ERROR_WANT_READ:
			return 1;
		case SSL_ERROR_WANT_WRITE:
			(void)event_add(&c->c_evw, NULL);
			return 1;
		case SSL_ERROR_ZERO_RETURN:
			strlcpy(c->c_tls.tc_why, "closed by the relay",
			    sizeof(c->c_tls.tc_why));
			return -1;
		default:
			(void)tlsclient_error(c->c_ssl, n, &c->c_tls);
			return -1;
		}
	}
	return 0;
}

/* Until all is read, or enough for one turn. What is not whole is kept. */
static void
conn_read(struct derpconn *c)
{
	size_t	 done, have, total = 0;
	int64_t	 now = os_now();
	int	 empty = 0;

	have = c->c_partlen;
	if (have > 0)
		memcpy(rx, c->c_part, have);
	free(c->c_part);
	c->c_part = NULL;
	c->c_partlen = 0;
	while (!empty && total < READ_BYTES && !c->c_paused &&
	    c->c_state != DC_FAILED) {
		done = have;
		empty = conn_fill(c, &have);
		total += have - done;
		c->c_bytes_in += have - done;
		done = derpconn_consume(c, rx, have, now);
		c->c_cb->cb_batch(c->c_arg);
		have -= done;
		memmove(rx, rx + done, have);
		if (empty == -1)
			derpconn_fail(c, "%s", c->c_tls.tc_why);
	}
	if (c->c_state == DC_FAILED)
		return;
	if (have > 0) {
		if ((c->c_part = malloc(have)) == NULL)
			fatal(NULL);
		memcpy(c->c_part, rx, have);
		c->c_partlen = have;
	}
	if (c->c_paused)
		(void)event_del(&c->c_evr);
	c->c_more = !empty;
	if (c->c_more && !c->c_paused)
		conn_soon(c);
}

/* --- writing --- */

/* A long run of packets goes while it comes, or it would not find room. */
void
derpconn_kick(struct derpconn *c)
{
	if (c->c_state != DC_UP || c->c_blocked)
		return;
	if (c->c_data->dq_bytes >= FLUSH_AT)
		conn_flush(c);
	else
		conn_soon(c);
}

/*
 * Move frames, or the first one alone, from a queue to the stage; returns
 * how many bytes fit yet.
 */
static size_t
stage_take(struct derpconn *c, struct derp_queue *q, size_t room, int one)
{
	struct derp_pkt	*p;
	size_t		 n;

	while (room > 0 && (p = TAILQ_FIRST(&q->dq_pkts)) != NULL) {
		n = p->dp_len - p->dp_off;
		if (n > room)
			n = room;
		memcpy(c->c_stage + c->c_stagelen, p->dp_data + p->dp_off, n);
		c->c_stagelen += n;
		p->dp_off += n;
		room -= n;
		if (p->dp_off < p->dp_len)
			break;
		TAILQ_REMOVE(&q->dq_pkts, p, dp_entry);
		q->dq_bytes -= p->dp_len;
		c->c_frames_out++;
		free(p);
		if (one)
			break;
	}
	return room;
}

static int
begun(const struct derp_queue *q)
{
	struct derp_pkt	*p = TAILQ_FIRST(&q->dq_pkts);

	return p != NULL && p->dp_off > 0;
}

/*
 * 1: there is something to write. Nothing may come between the parts of a
 * frame: one that has begun goes first.
 */
static int
stage_fill(struct derpconn *c)
{
	struct derp_queue	*q[4];
	size_t			 room = STAGE_LEN;
	int			 i, one;

	c->c_stagelen = c->c_stageoff = 0;
	if (c->c_stage == NULL && (c->c_stage = malloc(STAGE_LEN)) == NULL)
		fatal(NULL);
	q[0] = begun(c->c_data) ? c->c_data : begun(c->c_disco) ?
	    c->c_disco : &c->c_ctl;
	q[1] = &c->c_ctl;
	q[2] = c->c_disco;
	q[3] = c->c_data;
	for (i = 0, one = 1; i < 4 && room > 0; i++, one = 0)
		if (q[i] == &c->c_ctl || c->c_state == DC_UP)
			room = stage_take(c, q[i], room, one);
	if (c->c_stagelen > 0)
		return 1;
	free(c->c_stage);
	c->c_stage = NULL;
	return 0;
}

static void
conn_flush(struct derpconn *c)
{
	size_t	 total = 0;
	int	 n;

	while (c->c_state != DC_FAILED && c->c_state != DC_TLS) {
		if (c->c_stageoff == c->c_stagelen && !stage_fill(c))
			return;
		if (total >= WRITE_BYTES) {
			conn_soon(c);
			return;
		}
		errno = 0;
		n = SSL_write(c->c_ssl, c->c_stage + c->c_stageoff,
		    c->c_stagelen - c->c_stageoff);
		if (n > 0) {
			c->c_stageoff += n;
			c->c_bytes_out += n;
			total += n;
			continue;
		}
		switch (SSL_get_error(c->c_ssl, n)) {
		case SSL_ERROR_WANT_WRITE:
			c->c_blocked = 1;
			(void)event_add(&c->c_evw, NULL);
			return;
		case SSL_ERROR_WANT_READ:
			return;
		default:
			derpconn_fail(c, "%s", tlsclient_error(c->c_ssl, n,
			    &c->c_tls));
			return;
		}
	}
}
