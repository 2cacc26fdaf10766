/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Connections to the control server: names are asked of dnsd, sockets of
 * the parent; TLS runs over memory.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "ctrld.h"
#include "proc.h"

#define MAX_TRIES	4	/* addresses of one name */
#define READ_MAX	16384	/* bytes a read */
#define READ_TURNS	16	/* reads a turn of the loop */

enum conn_state {
	CONN_RESOLVING,
	CONN_CONNECTING,
	CONN_HANDSHAKE,
	CONN_UP,
	CONN_FAILED,	/* lost_cb is to be called from the loop */
	CONN_CLOSED	/* to be freed from the loop */
};

struct conn {
	TAILQ_ENTRY(conn)	 c_entry;
	struct event		 c_evr;
	struct event		 c_evw;
	struct event		 c_evt;		/* time limit until up */
	struct event		 c_evlater;	/* end from the loop */
	struct url		 c_url;
	struct msg_ip		 c_ip[MAX_TRIES];
	const struct conn_cb	*c_cb;
	void			*c_arg;
	SSL			*c_ssl;
	uint8_t			*c_out;
	size_t			 c_outlen;
	size_t			 c_outcap;
	enum conn_state		 c_state;
	uint32_t		 c_id;		/* of the question asked */
	uint32_t		 c_nip;
	uint32_t		 c_tried;
	int			 c_fd;
	char			 c_why[MSG_TEXT_LEN];
};

static TAILQ_HEAD(, conn)	 conns = TAILQ_HEAD_INITIALIZER(conns);

static void	 conn_read_cb(int, short, void *);
static void	 conn_write_cb(int, short, void *);

static void
conn_teardown(struct conn *c)
{
	(void)evtimer_del(&c->c_evt);
	if (c->c_fd != -1) {
		(void)event_del(&c->c_evr);
		(void)event_del(&c->c_evw);
		close(c->c_fd);
		c->c_fd = -1;
	}
	SSL_free(c->c_ssl);
	c->c_ssl = NULL;
	c->c_outlen = 0;
	c->c_id = 0;
}

static void
conn_later_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;

	if (c->c_state == CONN_FAILED) {
		c->c_state = CONN_CLOSED;
		c->c_cb->cc_lost(c, c->c_arg, c->c_why);
	}
	TAILQ_REMOVE(&conns, c, c_entry);
	free(c->c_out);
	free(c);
}

/*
 * End it. The object goes from the loop, so that whoever works on it up
 * the stack still finds it, in a state that says so.
 */
static void
conn_fail(struct conn *c, const char *why)
{
	if (c->c_state >= CONN_FAILED)
		return;
	(void)strlcpy(c->c_why, why, sizeof(c->c_why));
	conn_teardown(c);
	c->c_state = CONN_FAILED;
	timer_ms(&c->c_evlater, 0);
}

void
conn_abort(struct conn *c, const char *why)
{
	conn_fail(c, why);
}

void
conn_close(struct conn *c)
{
	if (c == NULL || c->c_state == CONN_CLOSED)
		return;
	conn_teardown(c);
	c->c_state = CONN_CLOSED;
	timer_ms(&c->c_evlater, 0);
}

static void
conn_timeout_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;

	conn_fail(c, c->c_state == CONN_RESOLVING ?
	    "name look-up timed out" : c->c_state == CONN_CONNECTING ?
	    "connecting timed out" : "TLS handshake timed out");
}

/* --- look up and connect --- */

static void
conn_resolve(struct conn *c)
{
	struct msg_resolve	 m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.name, c->c_url.u_host, sizeof(m.name));
	c->c_state = CONN_RESOLVING;
	c->c_id = ctrld_id();
	/* If dnsd is being replaced, conn_dnsd_new() asks again. */
	(void)chan_compose(ctrld_dnsd(), IMSG_RESOLVE, c->c_id, -1, &m,
	    sizeof(m));
}

static void
conn_connect(struct conn *c)
{
	struct msg_connect	 m;

	memset(&m, 0, sizeof(m));
	m.ep.af = c->c_ip[c->c_tried].af;
	m.ep.port = c->c_url.u_port;
	memcpy(m.ep.addr, c->c_ip[c->c_tried].addr, sizeof(m.ep.addr));
	m.purpose = CONN_CONTROL;
	c->c_tried++;
	c->c_state = CONN_CONNECTING;
	c->c_id = ctrld_id();
	(void)chan_compose(proc_parent(), IMSG_CONNECT, c->c_id, -1, &m,
	    sizeof(m));
}

struct conn *
conn_open(const struct url *u, const struct conn_cb *cb, void *arg)
{
	struct timeval	 tv = { CONN_TIMEOUT, 0 };
	struct conn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal(NULL);
	c->c_url = *u;
	c->c_cb = cb;
	c->c_arg = arg;
	c->c_fd = -1;
	evtimer_set(&c->c_evt, conn_timeout_cb, c);
	evtimer_set(&c->c_evlater, conn_later_cb, c);
	(void)evtimer_add(&c->c_evt, &tv);
	TAILQ_INSERT_TAIL(&conns, c, c_entry);
	if (u->u_ip.af != 0) {
		c->c_ip[0] = u->u_ip;
		c->c_nip = 1;
		conn_connect(c);
	} else
		conn_resolve(c);
	return c;
}

static struct conn *
conn_find(uint32_t id, enum conn_state state)
{
	struct conn	*c;

	TAILQ_FOREACH(c, &conns, c_entry)
		if (id != 0 && c->c_id == id && c->c_state == state)
			return c;
	return NULL;
}

void
conn_dnsd_new(void)
{
	struct conn	*c;

	TAILQ_FOREACH(c, &conns, c_entry)
		if (c->c_state == CONN_RESOLVING)
			conn_resolve(c);
}

int
conn_resolved(struct imsg *imsg)
{
	struct msg_resolved	 m;
	struct conn		*c;
	char			 why[MSG_TEXT_LEN];
	uint32_t		 i;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.n > RESOLVED_MAX)
		return -1;
	for (i = 0; i < m.n; i++)
		if (m.ip[i].af != AF_WIRE_INET && m.ip[i].af != AF_WIRE_INET6)
			return -1;
	if ((c = conn_find(imsg_get_id(imsg), CONN_RESOLVING)) == NULL)
		return 0;		/* given up meanwhile */
	if (m.error != MSG_OK || m.n == 0) {
		(void)snprintf(why, sizeof(why), "look-up of %s: %s",
		    c->c_url.u_host, m.error == MSG_OK ? "no addresses" :
		    msg_strerror(m.error));
		conn_fail(c, why);
		return 0;
	}
	c->c_nip = m.n < MAX_TRIES ? m.n : MAX_TRIES;
	memcpy(c->c_ip, m.ip, c->c_nip * sizeof(c->c_ip[0]));
	conn_connect(c);
	return 0;
}

/* --- reading and writing --- */

static void
conn_want_write(struct conn *c)
{
	if (c->c_outlen > 0)
		(void)event_add(&c->c_evw, NULL);
}

static void
out_add(struct conn *c, const void *p, size_t len)
{
	uint8_t	*q;
	size_t	 cap;

	if (len > CONN_QUEUE_MAX - c->c_outlen) {
		conn_fail(c, "the server does not read");
		return;
	}
	if (c->c_outlen + len > c->c_outcap) {
		cap = c->c_outcap == 0 ? 4096 : c->c_outcap;
		while (cap < c->c_outlen + len)
			cap *= 2;
		/* What is queued may be plaintext of a request. */
		if ((q = recallocarray(c->c_out, c->c_outcap, cap, 1)) ==
		    NULL)
			fatal(NULL);
		c->c_out = q;
		c->c_outcap = cap;
	}
	memcpy(c->c_out + c->c_outlen, p, len);
	c->c_outlen += len;
	conn_want_write(c);
}

/* What TLS wants on the wire. */
static void
tls_drain(struct conn *c)
{
	uint8_t	 buf[4096];
	int	 n;

	while (c->c_state < CONN_FAILED &&
	    (n = BIO_read(SSL_get_wbio(c->c_ssl), buf, sizeof(buf))) > 0)
		out_add(c, buf, n);
}

void
conn_write(struct conn *c, const void *p, size_t len)
{
	if (c->c_state != CONN_UP || len == 0)
		return;
	if (c->c_ssl == NULL) {
		out_add(c, p, len);
		return;
	}
	/* A memory BIO takes everything, so there is no partial write. */
	if (SSL_write(c->c_ssl, p, len) <= 0) {
		conn_fail(c, "TLS write");
		return;
	}
	tls_drain(c);
}

static void
conn_up(struct conn *c)
{
	(void)evtimer_del(&c->c_evt);
	c->c_state = CONN_UP;
	c->c_cb->cc_up(c, c->c_arg);
}

static void
tls_handshake(struct conn *c)
{
	char	 why[MSG_TEXT_LEN];
	int	 r;

	r = SSL_do_handshake(c->c_ssl);
	if (r == 1) {
		tls_drain(c);
		if (c->c_state < CONN_FAILED)
			conn_up(c);
		return;
	}
	if (SSL_get_error(c->c_ssl, r) == SSL_ERROR_WANT_READ) {
		tls_drain(c);
		return;
	}
	tls_error(c->c_ssl, why, sizeof(why));
	conn_fail(c, why);
}

/* Plaintext that has become readable. */
static void
tls_read(struct conn *c)
{
	uint8_t	 buf[READ_MAX];
	int	 n;

	while (c->c_state == CONN_UP) {
		n = SSL_read(c->c_ssl, buf, sizeof(buf));
		if (n > 0) {
			c->c_cb->cc_data(c, c->c_arg, buf, n);
			continue;
		}
		switch (SSL_get_error(c->c_ssl, n)) {
		case SSL_ERROR_WANT_READ:
			tls_drain(c);
			return;
		case SSL_ERROR_ZERO_RETURN:
			conn_fail(c, "connection closed by the server");
			return;
		default:
			ERR_clear_error();
			conn_fail(c, "TLS: broken record");
			return;
		}
	}
}

static void
conn_input(struct conn *c, uint8_t *buf, size_t len)
{
	if (c->c_ssl == NULL) {
		c->c_cb->cc_data(c, c->c_arg, buf, len);
		return;
	}
	if (BIO_write(SSL_get_rbio(c->c_ssl), buf, len) != (int)len)
		fatal(NULL);
	if (c->c_state == CONN_HANDSHAKE)
		tls_handshake(c);
	if (c->c_state == CONN_UP)
		tls_read(c);
}

static void
conn_read_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;
	uint8_t		 buf[READ_MAX];
	ssize_t		 n;
	int		 i;

	for (i = 0; i < READ_TURNS && c->c_state < CONN_FAILED; i++) {
		n = read(c->c_fd, buf, sizeof(buf));
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			conn_fail(c, n == 0 ?
			    "connection closed by the server" :
			    strerror(errno));
			return;
		}
		conn_input(c, buf, n);
	}
}

static void
conn_write_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;
	ssize_t		 n;

	n = write(c->c_fd, c->c_out, c->c_outlen);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			conn_fail(c, strerror(errno));
		else
			conn_want_write(c);
		return;
	}
	memmove(c->c_out, c->c_out + n, c->c_outlen - n);
	c->c_outlen -= n;
	/* Nothing waits: do not keep what was sent. */
	if (c->c_outlen == 0) {
		freezero(c->c_out, c->c_outcap);
		c->c_out = NULL;
		c->c_outcap = 0;
	}
	conn_want_write(c);
}

static void
conn_take(struct conn *c, int fd)
{
	char	 why[MSG_TEXT_LEN];

	c->c_id = 0;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
		close(fd);
		conn_fail(c, "fcntl");
		return;
	}
	c->c_fd = fd;
	event_set(&c->c_evr, fd, EV_READ | EV_PERSIST, conn_read_cb, c);
	event_set(&c->c_evw, fd, EV_WRITE, conn_write_cb, c);
	(void)event_add(&c->c_evr, NULL);
	if (!c->c_url.u_tls) {
		conn_up(c);
		return;
	}
	c->c_state = CONN_HANDSHAKE;
	if ((c->c_ssl = tls_new(&c->c_url, why, sizeof(why))) == NULL)
		conn_fail(c, why);
	else
		tls_handshake(c);
}

int
conn_connected(struct imsg *imsg)
{
	struct msg_connected	 m;
	struct conn		*c;
	char			 why[MSG_TEXT_LEN], ip[NM_ADDRTEXT];
	int			 fd;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	fd = imsg_get_fd(imsg);
	if ((m.error == MSG_OK) != (fd != -1)) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	c = conn_find(imsg_get_id(imsg), CONN_CONNECTING);
	if (c == NULL) {		/* given up meanwhile */
		if (fd != -1)
			close(fd);
		return 0;
	}
	if (fd != -1) {
		conn_take(c, fd);
		return 0;
	}
	if (c->c_tried < c->c_nip) {
		conn_connect(c);
		return 0;
	}
	nm_addr_text(c->c_ip[c->c_tried - 1].af, c->c_ip[c->c_tried - 1].addr,
	    ip, sizeof(ip));
	(void)snprintf(why, sizeof(why), "connect to %s port %u: %s", ip,
	    c->c_url.u_port, m.sys_errno != 0 ? strerror(m.sys_errno) :
	    msg_strerror(m.error));
	conn_fail(c, why);
	return 0;
}
