/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Connections to the control server: names are asked of dnsd, sockets of
 * the parent; TLS runs over memory; a tunnel may lead there.
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
#include "tlsclient.h"
#include "proc.h"

#define MAX_TRIES	6	/* addresses of one name */
#define NEXT_MS		250	/* between them: RFC 8305, 5 */
#define TUNNEL_PORT	443
#define TUNNEL_HEAD	4096
#define READ_MAX	16384	/* bytes a read */
#define READ_TURNS	16	/* reads a turn of the loop */

enum conn_state {
	CONN_RESOLVING,
	CONN_CONNECTING,
	CONN_HANDSHAKE,
	CONN_TUNNEL,	/* the answer to CONNECT is awaited */
	CONN_UP,
	CONN_FAILED,	/* lost_cb is to be called from the loop */
	CONN_CLOSED	/* to be freed from the loop */
};

struct conn {
	TAILQ_ENTRY(conn)	 c_entry;
	struct event		 c_evr;
	struct event		 c_evw;
	struct event		 c_evt;		/* time limit until up */
	struct event		 c_evnext;	/* try one more address */
	struct event		 c_evlater;	/* end from the loop */
	struct url		 c_url;
	struct url		 c_via;		/* u_port 0: no tunnel */
	struct url		 c_target;	/* the tunnel's other end */
	struct tlsclient	 c_tls;
	struct lookup		*c_lookup;
	struct msg_ip		 c_ip[MAX_TRIES];
	uint32_t		 c_id[MAX_TRIES]; /* of the questions asked */
	const struct conn_cb	*c_cb;
	void			*c_arg;
	SSL			*c_ssl;
	uint8_t			*c_out;
	size_t			 c_outlen;
	size_t			 c_outcap;
	enum conn_state		 c_state;
	uint32_t		 c_purpose;
	int			 c_proxied;
	uint32_t		 c_nip;
	uint32_t		 c_tried;
	uint32_t		 c_failed;
	uint8_t			*c_head;	/* of the tunnel's answer */
	size_t			 c_headlen;
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
	(void)evtimer_del(&c->c_evnext);
	lookup_cancel(c->c_lookup);
	c->c_lookup = NULL;
	if (c->c_fd != -1) {
		(void)event_del(&c->c_evr);
		(void)event_del(&c->c_evw);
		close(c->c_fd);
		c->c_fd = -1;
	}
	SSL_free(c->c_ssl);
	c->c_ssl = NULL;
	free(c->c_head);
	c->c_head = NULL;
	c->c_outlen = 0;
	memset(c->c_id, 0, sizeof(c->c_id));
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
	    "connecting timed out" : c->c_state == CONN_TUNNEL ?
	    "proxy does not answer" : "TLS handshake timed out");
}

/* --- look up and connect --- */

static const struct url *
conn_where(const struct conn *c)
{
	return c->c_via.u_port != 0 ? &c->c_via : &c->c_url;
}

static void
conn_connect(struct conn *c)
{
	struct msg_connect	 m;

	memset(&m, 0, sizeof(m));
	m.ep.af = c->c_ip[c->c_tried].af;
	m.ep.port = conn_where(c)->u_port;
	memcpy(m.ep.addr, c->c_ip[c->c_tried].addr, sizeof(m.ep.addr));
	m.purpose = c->c_purpose;
	c->c_state = CONN_CONNECTING;
	c->c_id[c->c_tried] = ctrld_id();
	(void)chan_compose(proc_parent(), IMSG_CONNECT, c->c_id[c->c_tried],
	    -1, &m, sizeof(m));
	if (++c->c_tried < c->c_nip)
		timer_ms(&c->c_evnext, NEXT_MS);
	else
		(void)evtimer_del(&c->c_evnext);
}

static void
conn_next_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;

	if (c->c_state == CONN_CONNECTING && c->c_tried < c->c_nip)
		conn_connect(c);
}

static void
conn_found(const struct msg_ip *ip, size_t n, const char *why, void *arg)
{
	struct conn	*c = arg;

	c->c_lookup = NULL;
	if (n == 0) {
		conn_fail(c, why);
		return;
	}
	c->c_nip = n < MAX_TRIES ? n : MAX_TRIES;
	memcpy(c->c_ip, ip, c->c_nip * sizeof(c->c_ip[0]));
	conn_connect(c);
}

static void
conn_start(struct conn *c, const struct conn_opt *opt)
{
	const struct url	*u = conn_where(c);

	c->c_ip[0] = u->u_ip;
	if (opt != NULL && opt->co_ip.af != 0 && !c->c_proxied)
		c->c_ip[0] = opt->co_ip;
	if (c->c_ip[0].af != 0) {
		c->c_nip = 1;
		conn_connect(c);
	} else
		c->c_lookup = lookup_start(u->u_host, conn_found, c);
}

/* All that goes to the control server goes through the operator's proxy. */
static void
conn_proxy(struct conn *c, const struct conn_opt *opt)
{
	const char	*proxy = ctrld_conf()->c_msg.proxy;

	if (*proxy == '\0' || c->c_purpose != CONN_CONTROL)
		return;
	if (url_parse(proxy, &c->c_via) == -1)
		conn_fail(c, "proxy: not a URL of http");
	else if (opt != NULL && opt->co_ace != NULL && *opt->co_ace != '\0')
		conn_fail(c, "a tunnel of the dial plan: not through a proxy");
	if (opt != NULL && opt->co_ip.af != 0)
		c->c_target.u_ip = opt->co_ip;
	c->c_proxied = 1;
}

/* A tunnel: what the server's plan names. */
static void
conn_via(struct conn *c, const char *ace)
{
	char	 text[MSG_NAME_LEN + 16];

	(void)snprintf(text, sizeof(text), "https://%s:%u", ace,
	    TUNNEL_PORT);
	if (url_parse(text, &c->c_via) == -1 || c->c_url.u_tls)
		conn_fail(c, "dial plan names no host to tunnel through");
}

struct conn *
conn_open(const struct url *u, const struct conn_opt *opt,
    const struct conn_cb *cb, void *arg)
{
	struct conn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal(NULL);
	c->c_url = *u;
	c->c_cb = cb;
	c->c_arg = arg;
	c->c_fd = -1;
	c->c_purpose = opt != NULL && opt->co_purpose != 0 ?
	    opt->co_purpose : CONN_CONTROL;
	c->c_tls.tc_lax = opt != NULL && opt->co_lax;
	evtimer_set(&c->c_evt, conn_timeout_cb, c);
	evtimer_set(&c->c_evnext, conn_next_cb, c);
	evtimer_set(&c->c_evlater, conn_later_cb, c);
	timer_ms(&c->c_evt, opt != NULL && opt->co_limit != 0 ?
	    opt->co_limit : CONN_TIMEOUT * 1000);
	TAILQ_INSERT_TAIL(&conns, c, c_entry);
	c->c_target = *u;
	conn_proxy(c, opt);
	if (!c->c_proxied && opt != NULL && opt->co_ace != NULL &&
	    *opt->co_ace != '\0')
		conn_via(c, opt->co_ace);
	if (c->c_state < CONN_FAILED)
		conn_start(c, opt);
	return c;
}

/* The conn that asked for this connection, and which of its addresses. */
static struct conn *
conn_find(uint32_t id, uint32_t *which)
{
	struct conn	*c;
	uint32_t	 i;

	TAILQ_FOREACH(c, &conns, c_entry)
		for (i = 0; i < c->c_tried; i++)
			if (id != 0 && c->c_id[i] == id &&
			    c->c_state == CONN_CONNECTING) {
				*which = i;
				return c;
			}
	return NULL;
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

static void
conn_up(struct conn *c)
{
	(void)evtimer_del(&c->c_evt);
	c->c_state = CONN_UP;
	c->c_cb->cc_up(c, c->c_arg);
}

/* Bytes in the clear, or into TLS. */
static void
conn_put(struct conn *c, const void *data, size_t len)
{
	const uint8_t	*p = data;
	int		 n;

	if (c->c_ssl == NULL) {
		out_add(c, p, len);
		return;
	}
	/* A memory BIO takes everything; a write is of one record. */
	for (; len > 0; p += n, len -= n) {
		if ((n = SSL_write(c->c_ssl, p, len)) <= 0) {
			conn_fail(c, "TLS write");
			return;
		}
	}
	tls_drain(c);
}

void
conn_write(struct conn *c, const void *p, size_t len)
{
	if (c->c_state == CONN_UP && len > 0)
		conn_put(c, p, len);
}

/* RFC 7617: the line for the operator's proxy, freed by freezero(). */
static char *
proxy_line(const struct conn *c)
{
	const char	*user = ctrld_conf()->c_msg.proxy_auth;
	char		*b64, *line;
	int		 n;

	if (!c->c_proxied || *user == '\0')
		return strdup("");
	if ((b64 = ju_base64((const uint8_t *)user, strlen(user))) == NULL)
		return NULL;
	n = asprintf(&line, "Proxy-Authorization: Basic %s\r\n", b64);
	freezero(b64, strlen(b64));
	return n == -1 ? NULL : line;
}

/* The way to the other end, or to the tunnel, is there. */
static void
conn_carried(struct conn *c)
{
	char	*line, *req, auth[MSG_NAME_LEN + 16];
	int	 n;

	if (c->c_via.u_port == 0) {
		conn_up(c);
		return;
	}
	/* The plan may have said where to: the address then, not the name. */
	if (c->c_target.u_ip.af != 0)
		nm_addr_text(c->c_target.u_ip.af, c->c_target.u_ip.addr,
		    c->c_target.u_host, sizeof(c->c_target.u_host));
	url_authority(&c->c_target, auth, sizeof(auth));
	if ((line = proxy_line(c)) == NULL ||
	    (n = asprintf(&req, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n"
	    "User-Agent: shoal\r\n%s\r\n", auth, auth, line)) == -1)
		fatal(NULL);
	c->c_state = CONN_TUNNEL;
	conn_put(c, req, n);
	freezero(line, strlen(line));
	freezero(req, n);
}

/* A bad certificate is worth a line even where it does not matter. */
static void
tls_judge(struct conn *c)
{
	char	 why[MSG_TEXT_LEN];

	if (c->c_purpose != CONN_CONTROL || c->c_via.u_port != 0)
		return;
	health_set(HEALTH_TLS, tls_complaint(&c->c_tls, why, sizeof(why)) ?
	    why : NULL);
}

static void
tls_handshake(struct conn *c)
{
	char	 why[MSG_TEXT_LEN];
	int	 r;

	r = SSL_do_handshake(c->c_ssl);
	if (r == 1) {
		tls_drain(c);
		tls_judge(c);
		if (c->c_state < CONN_FAILED)
			conn_carried(c);
		return;
	}
	if (SSL_get_error(c->c_ssl, r) == SSL_ERROR_WANT_READ) {
		tls_drain(c);
		return;
	}
	if (c->c_tls.tc_error != X509_V_OK)
		tls_judge(c);
	tls_error(c->c_ssl, r, &c->c_tls, why, sizeof(why));
	conn_fail(c, why);
}

static void
conn_tls(struct conn *c)
{
	c->c_state = CONN_HANDSHAKE;
	(void)strlcpy(c->c_tls.tc_host, conn_where(c)->u_host,
	    sizeof(c->c_tls.tc_host));
	if ((c->c_ssl = tlsclient_new(-1, &c->c_tls)) == NULL)
		conn_fail(c, c->c_tls.tc_why);
	else
		tls_handshake(c);
}

/* The tunnel's answer; bytes behind its head come from the other end. */
static void
tunnel_input(struct conn *c, uint8_t *buf, size_t len)
{
	struct http_head	 h;
	char			 why[MSG_TEXT_LEN];
	ssize_t			 n;

	if (c->c_head == NULL && (c->c_head = malloc(TUNNEL_HEAD)) == NULL)
		fatal(NULL);
	if (len > TUNNEL_HEAD - c->c_headlen) {
		conn_fail(c, "proxy: answer is too long");
		return;
	}
	memcpy(c->c_head + c->c_headlen, buf, len);
	c->c_headlen += len;
	if ((n = http_head_parse(c->c_head, c->c_headlen, &h)) == 0)
		return;
	if (n == -1 || h.h_status / 100 != 2) {
		if (n == -1)
			(void)snprintf(why, sizeof(why), "proxy %s: its answer "
			    "is not HTTP", c->c_via.u_host);
		else
			(void)snprintf(why, sizeof(why), "proxy %s: refuses "
			    "CONNECT: HTTP status %d%s", c->c_via.u_host,
			    h.h_status, h.h_status == 407 ? ": it wants a "
			    "user and a password in `proxy'" : "");
		conn_fail(c, why);
		return;
	}
	/* A server speaks only when it has been spoken to. */
	if ((size_t)n != c->c_headlen) {
		conn_fail(c, "proxy: bytes behind the answer");
		return;
	}
	c->c_via.u_port = 0;
	if (c->c_url.u_tls)
		conn_tls(c);
	else
		conn_up(c);
}

/* What came, out of TLS if there is any. */
static void
conn_deliver(struct conn *c, uint8_t *buf, size_t len)
{
	if (c->c_state == CONN_TUNNEL)
		tunnel_input(c, buf, len);
	else
		c->c_cb->cc_data(c, c->c_arg, buf, len);
}

/* Plaintext that has become readable. */
static void
tls_read(struct conn *c)
{
	uint8_t	 buf[READ_MAX];
	int	 n;

	while (c->c_state == CONN_UP || c->c_state == CONN_TUNNEL) {
		n = SSL_read(c->c_ssl, buf, sizeof(buf));
		if (n > 0) {
			conn_deliver(c, buf, n);
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
		conn_deliver(c, buf, len);
		return;
	}
	if (BIO_write(SSL_get_rbio(c->c_ssl), buf, len) != (int)len)
		fatal(NULL);
	if (c->c_state == CONN_HANDSHAKE)
		tls_handshake(c);
	if (c->c_state == CONN_UP || c->c_state == CONN_TUNNEL)
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
	memset(c->c_id, 0, sizeof(c->c_id));
	(void)evtimer_del(&c->c_evnext);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
		close(fd);
		conn_fail(c, "fcntl");
		return;
	}
	c->c_fd = fd;
	event_set(&c->c_evr, fd, EV_READ | EV_PERSIST, conn_read_cb, c);
	event_set(&c->c_evw, fd, EV_WRITE, conn_write_cb, c);
	(void)event_add(&c->c_evr, NULL);
	if (conn_where(c)->u_tls)
		conn_tls(c);
	else
		conn_carried(c);
}

/* One address did not work: the next, or the end if that was the last. */
static void
conn_refused(struct conn *c, uint32_t which, const struct msg_connected *m)
{
	char	 why[MSG_TEXT_LEN], ip[NM_ADDRTEXT];

	c->c_id[which] = 0;
	c->c_failed++;
	if (c->c_tried < c->c_nip) {
		conn_connect(c);
		return;
	}
	if (c->c_failed < c->c_nip)
		return;
	nm_addr_text(c->c_ip[which].af, c->c_ip[which].addr, ip, sizeof(ip));
	(void)snprintf(why, sizeof(why), "connect to %s port %u: %s", ip,
	    conn_where(c)->u_port, m->sys_errno != 0 ?
	    strerror(m->sys_errno) : msg_strerror(m->error));
	conn_fail(c, why);
}

int
conn_connected(struct imsg *imsg)
{
	struct msg_connected	 m;
	struct conn		*c;
	uint32_t		 which;
	int			 fd;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	fd = imsg_get_fd(imsg);
	if ((m.error == MSG_OK) != (fd != -1)) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	c = conn_find(imsg_get_id(imsg), &which);
	if (c == NULL) {		/* given up meanwhile */
		if (fd != -1)
			close(fd);
	} else if (fd == -1)
		conn_refused(c, which, &m);
	else {
		if (conn_where(c)->u_ip.af == 0)
			lookup_good(conn_where(c)->u_host, &c->c_ip[which]);
		conn_take(c, fd);
	}
	return 0;
}
