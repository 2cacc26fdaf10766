/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Connections: accepting, reading and writing, time limits, the handshake.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/tree.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontd.h"
#include "http.h"
#include "os.h"

#define READ_MAX	16384		/* bytes of one read */
#define READS		8		/* reads in a row */
#define WRITE_MAX	(1024 * 1024)	/* bytes written in a row */
#define ACCEPTS		32		/* connections accepted in a row */
#define LINGER_MAX	(1024 * 1024)	/* bytes ignored after our answer */

static int	 conn_cmp(struct conn *, struct conn *);
static void	 conn_read_cb(int, short, void *);
static void	 conn_write_cb(int, short, void *);
static void	 conn_timer_cb(int, short, void *);
static void	 conn_shake(struct conn *);

static RB_HEAD(conns, conn)	 conns = RB_INITIALIZER(&conns);
static TAILQ_HEAD(, conn)	 raw = TAILQ_HEAD_INITIALIZER(raw);
static struct conn		*noise_slots[MAX_NOISE];
static struct log_limit		 refuse_limit, why_limit;
static uint64_t			 conn_next;
static size_t			 nconns, nraw;
static uint32_t			 noise_next;

RB_PROTOTYPE(conns, conn, c_entry, conn_cmp);
RB_GENERATE(conns, conn, c_entry, conn_cmp)

static int
conn_cmp(struct conn *a, struct conn *b)
{
	return a->c_id < b->c_id ? -1 : a->c_id > b->c_id;
}

/* Numbers begin at first and are never used again. */
void
conn_init(uint64_t first)
{
	conn_next = first;
}

struct conn *
conn_find(uint64_t id)
{
	struct conn	 key;

	key.c_id = id;
	return RB_FIND(conns, &conns, &key);
}

size_t
conn_count(void)
{
	return nconns;
}

const char *
conn_name(const struct conn *c)
{
	return source_name(c->c_source);
}

void
conn_timer(struct conn *c, int seconds)
{
	struct timeval	 tv;

	tv.tv_sec = seconds;
	tv.tv_usec = 0;
	evtimer_add(&c->c_ev_timer, &tv);
}

static void
conn_noise_forget(struct conn *c)
{
	uint32_t	 slot;

	slot = c->c_noise_id % MAX_NOISE;
	if (noise_slots[slot] == c)
		noise_slots[slot] = NULL;
}

static int
conn_is_raw(const struct conn *c)
{
	return c->c_state != CONN_OPEN && c->c_state != CONN_FOLLOW;
}

/* No longer a stranger, or no longer there. */
static void
conn_leave_raw(struct conn *c)
{
	TAILQ_REMOVE(&raw, c, c_raw);
	nraw--;
}

/*
 * End a connection; why: for the log, or NULL. Inside a callback of nghttp2
 * it is only marked.
 */
void
conn_close(struct conn *c, const char *why)
{
	if (why != NULL && log_limit(&why_limit, os_now(), 20, 60))
		log_warnx("%s: %s", conn_name(c), why);
	if (c->c_busy) {
		c->c_dead = 1;
		return;
	}
	if (c->c_known)
		rpc_close(c, 0);
	c->c_dead = 1;
	h2_close(c);
	conn_noise_forget(c);
	if (conn_is_raw(c))
		conn_leave_raw(c);
	event_del(&c->c_ev_read);
	event_del(&c->c_ev_write);
	evtimer_del(&c->c_ev_timer);
	tlsserver_free(c->c_ssl);
	close(c->c_fd);
	source_closed(c->c_source, conn_is_raw(c));
	free(c->c_ask_id);
	buf_free(&c->c_wire);
	buf_free(&c->c_in);
	buf_free(&c->c_out);
	RB_REMOVE(conns, &conns, c);
	nconns--;
	explicit_bzero(c, sizeof(*c));
	free(c);
}

static void
conn_new(int fd, struct source *so, SSL_CTX *ctx)
{
	struct conn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal(NULL);
	c->c_state = CONN_HEAD;
	if (ctx != NULL) {
		c->c_state = CONN_TLS;
		if ((c->c_ssl = tlsserver_new(ctx, fd, c)) == NULL)
			fatal(NULL);
	}
	c->c_fd = fd;
	c->c_id = conn_next++;
	c->c_source = so;
	c->c_progress = os_now();
	c->c_noise_id = UINT32_MAX;
	TAILQ_INIT(&c->c_streams);
	event_set(&c->c_ev_read, fd, EV_READ | EV_PERSIST, conn_read_cb, c);
	event_set(&c->c_ev_write, fd, EV_WRITE, conn_write_cb, c);
	evtimer_set(&c->c_ev_timer, conn_timer_cb, c);
	RB_INSERT(conns, &conns, c);
	TAILQ_INSERT_TAIL(&raw, c, c_raw);
	nconns++;
	nraw++;
	source_opened(so);
	event_add(&c->c_ev_read, NULL);
	conn_timer(c, T_HEAD);
}

/*
 * Room for one more? Where all is taken, the stranger who has waited longest
 * goes: an attacker's half-open connections must not keep nodes out.
 */
static int
conn_make_room(void)
{
	size_t	 max;

	max = frontd_conf()->max_conns;
	if (nconns < max && nraw < max / 4 + 1)
		return 1;
	if (log_limit(&refuse_limit, os_now(), 1, 60))
		log_warnx("%zu connections, %zu without a key: full", nconns,
		    nraw);
	if (TAILQ_EMPTY(&raw))
		return 0;
	conn_close(TAILQ_FIRST(&raw), NULL);
	return 1;
}

static void
conn_accepted(int fd, const struct sockaddr_storage *ss, SSL_CTX *ctx)
{
	struct source	*so;

	if (!conn_make_room()) {
		close(fd);
		return;
	}
	so = source_get(ss);
	if (!source_allows(so, MAX_SRC_RAW, MAX_SRC_ALL)) {
		if (log_limit(&refuse_limit, os_now(), 10, 60))
			log_warnx("%s: too many connections",
			    source_name(so));
		close(fd);
		return;
	}
	conn_new(fd, so, ctx);
}

void
conn_accept(int lfd, SSL_CTX *ctx)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd, i;

	for (i = 0; i < ACCEPTS; i++) {
		memset(&ss, 0, sizeof(ss));
		len = sizeof(ss);
		fd = accept4(lfd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			conn_accepted(fd, &ss, ctx);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE ||
		    errno == ENOBUFS || errno == ENOMEM) {
			if (log_limit(&refuse_limit, os_now(), 1, 60))
				log_warn("accept");
			if (!TAILQ_EMPTY(&raw))
				conn_close(TAILQ_FIRST(&raw), NULL);
			frontd_accept_pause();
		}
		return;
	}
}

/* As write(2), but 0: later. */
static ssize_t
conn_write(struct conn *c, const void *buf, size_t len)
{
	ssize_t	 n;

	if (c->c_ssl != NULL)
		return tlsserver_write(c->c_ssl, buf, len);
	n = write(c->c_fd, buf, len);
	return n == -1 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

/* 0: later; -1: closed or failed. */
static ssize_t
conn_read(struct conn *c, void *buf, size_t len)
{
	ssize_t	 n;

	if (c->c_ssl != NULL)
		return tlsserver_read(c->c_ssl, buf, len);
	n = read(c->c_fd, buf, len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

/* Nothing follows from us. */
static void
conn_finish(struct conn *c)
{
	if (c->c_ssl != NULL)
		(void)SSL_shutdown(c->c_ssl);
	(void)shutdown(c->c_fd, SHUT_WR);
}

/* Write what there is; the connection may be gone afterwards. */
void
conn_flush(struct conn *c)
{
	ssize_t	 n;
	size_t	 done;

	if (c->c_busy)		/* whoever set it flushes afterwards */
		return;
	for (done = 0; done < WRITE_MAX; done += n) {
		if (c->c_state == CONN_OPEN && c->c_out.b_len < MAX_OUT / 2 &&
		    h2_fill(c) == -1) {
			conn_close(c, NULL);
			return;
		}
		if (c->c_out.b_len == 0)
			break;
		n = conn_write(c, buf_data(&c->c_out), c->c_out.b_len);
		if (n == 0)
			break;
		if (n == -1) {
			conn_close(c, NULL);
			return;
		}
		c->c_progress = os_now();
		buf_drain(&c->c_out, n);
	}
	if (c->c_out.b_len > 0)
		event_add(&c->c_ev_write, NULL);
	else if (c->c_state == CONN_LINGER)
		conn_finish(c);
}

static void
conn_write_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;

	if (c->c_state == CONN_TLS)
		conn_shake(c);
	else
		conn_flush(c);
}

/*
 * Last answer to a plain request. What the client still sends is read and
 * ignored for a moment, or a reset would take our answer away from it.
 */
void
conn_answer(struct conn *c, int status, const char *type,
    const char *fields, const void *body, size_t len)
{
	char	 head[1024];
	int	 n;

	n = http_answer_head(head, sizeof(head), status, type, fields, len);
	if (n == -1) {
		conn_close(c, "answer too long");
		return;
	}
	buf_add(&c->c_out, head, n);
	if (!c->c_headonly)
		buf_add(&c->c_out, body, len);
	buf_free(&c->c_in);
	c->c_state = CONN_LINGER;
	conn_timer(c, T_LINGER);
	event_add(&c->c_ev_read, NULL);
	conn_flush(c);
}

/* An answer that says why not, and a line of the log, at a limited rate. */
void
conn_refuse(struct conn *c, int status, const char *why)
{
	char	 text[256];

	if (log_limit(&why_limit, os_now(), 20, 60))
		log_warnx("%s: %d, %s", conn_name(c), status, why);
	snprintf(text, sizeof(text), "%s\n", why);
	conn_answer(c, status, "text/plain; charset=utf-8", "", text,
	    strlen(text));
}

void
conn_follow(struct conn *c, const char *head)
{
	conn_leave_raw(c);
	source_keyed(c->c_source);
	c->c_state = CONN_FOLLOW;
	c->c_known = 1;
	buf_free(&c->c_in);
	buf_add(&c->c_out, head, strlen(head));
	event_add(&c->c_ev_read, NULL);
	conn_timer(c, T_TICK);
	conn_flush(c);
}

void
conn_lines(struct conn *c, const uint8_t *data, size_t len)
{
	if (len == 0)
		conn_close(c, NULL);
	else if (len > MAX_FOLLOW_OUT - c->c_out.b_len)
		conn_close(c, "too slow for the list of clients");
	else {
		buf_add(&c->c_out, data, len);
		conn_flush(c);
	}
}

/* coordcrypt shall answer this initiation. */
void
conn_noise(struct conn *c, const uint8_t *init)
{
	struct msg_srv_noise_in	 m;
	uint32_t		 slot;
	int			 i;

	for (i = 0; i < MAX_NOISE; i++) {
		slot = ++noise_next % MAX_NOISE;
		if (noise_slots[slot] == NULL)
			break;
	}
	memset(&m, 0, sizeof(m));
	memcpy(m.msg, init, sizeof(m.msg));
	if (i == MAX_NOISE || chan_compose(frontd_crypt(), IMSG_SRV_NOISE_IN,
	    noise_next, -1, &m, sizeof(m)) == -1) {
		conn_refuse(c, 503, "busy, try again");
		return;
	}
	noise_slots[slot] = c;
	c->c_noise_id = noise_next;
	c->c_version = noise_initiation_version(init);
	c->c_state = CONN_NOISE;
	event_del(&c->c_ev_read);
	conn_timer(c, T_NOISE);
}

/* So many bytes follow: in a frame of their own where the wire wants it. */
void
conn_put_header(struct conn *c, uint8_t opcode, size_t len)
{
	uint8_t	 hdr[WS_HDR_MAX];

	if (c->c_ws)
		buf_add(&c->c_out, hdr, ws_header(opcode, len, hdr));
}

static void
conn_put_switch(struct conn *c)
{
	static const char	 head[] =
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Connection: upgrade\r\n";
	static const char	 plain[] =
	    "Upgrade: tailscale-control-protocol\r\n\r\n";
	static const char	 ws[] =
	    "Upgrade: websocket\r\n"
	    "Sec-WebSocket-Protocol: tailscale-control-protocol\r\n"
	    "Sec-WebSocket-Accept: ";

	buf_add(&c->c_out, head, sizeof(head) - 1);
	if (!c->c_ws) {
		buf_add(&c->c_out, plain, sizeof(plain) - 1);
		return;
	}
	buf_add(&c->c_out, ws, sizeof(ws) - 1);
	buf_add(&c->c_out, c->c_ws_accept, strlen(c->c_ws_accept));
	buf_add(&c->c_out, "\r\n\r\n", 4);
}

/* The answer came: 101, the response and what follows go in one write. */
void
conn_noise_done(uint32_t id, const struct msg_srv_noise_out *m)
{
	struct conn	*c;

	c = noise_slots[id % MAX_NOISE];
	if (c == NULL || c->c_noise_id != id || c->c_state != CONN_NOISE)
		return;
	conn_noise_forget(c);
	if (m->error != MSG_OK) {
		conn_refuse(c, 400, m->error == MSG_E_REPLAY ?
		    "handshake was used before" :
		    "handshake failed: wrong server key?");
		return;
	}
	conn_leave_raw(c);
	source_keyed(c->c_source);
	c->c_state = CONN_OPEN;
	memcpy(c->c_machine, m->machine, sizeof(c->c_machine));
	if (c->c_ws) {		/* what came behind the head is frames */
		c->c_wire = c->c_in;
		memset(&c->c_in, 0, sizeof(c->c_in));
	}
	conn_put_switch(c);
	conn_put_header(c, WS_BINARY, sizeof(m->msg));
	buf_add(&c->c_out, m->msg, sizeof(m->msg));
	if (h2_open(c, m) == -1) {
		conn_close(c, "no session");
		return;
	}
	conn_timer(c, T_PREFACE);
	event_add(&c->c_ev_read, NULL);
	if (c->c_ssl != NULL)	/* what the library read meanwhile */
		event_active(&c->c_ev_read, EV_READ, 1);
	conn_flush(c);
}

/* coordcrypt was replaced: nobody answers these. */
void
conn_noise_reset(void)
{
	struct conn	*c;
	size_t		 i;

	for (i = 0; i < nitems(noise_slots); i++) {
		if ((c = noise_slots[i]) == NULL)
			continue;
		noise_slots[i] = NULL;
		conn_refuse(c, 503, "busy, try again");
	}
}

/* stored was replaced: every node shall ask anew. */
void
conn_end_streams(void)
{
	struct conn	*c, *next;
	struct stream	*s, *snext;

	RB_FOREACH_SAFE(c, conns, &conns, next) {
		c->c_known = 0;
		if (c->c_state == CONN_FOLLOW) {
			conn_close(c, NULL);
			continue;
		}
		if (c->c_state != CONN_OPEN)
			continue;
		TAILQ_FOREACH_SAFE(s, &c->c_streams, s_entry, snext)
			stream_abandon(s);
		conn_flush(c);
	}
}

static void
conn_head(struct conn *c)
{
	struct http_req	 hr;
	size_t		 used;
	int		 status;

	status = http_head_parse((char *)buf_data(&c->c_in), c->c_in.b_len,
	    &hr, &used);
	if (status == 0)
		return;
	if (status != 200) {
		conn_refuse(c, status, http_reason(status));
		return;
	}
	buf_drain(&c->c_in, used);
	web_request(c, &hr);
}

/* Unpack what came into c_in. -1: close. */
static int
conn_unwrap(struct conn *c)
{
	struct ws_frame	 wf;
	uint8_t		*payload;
	ssize_t		 n;

	while ((n = ws_parse(buf_data(&c->c_wire), c->c_wire.b_len,
	    &wf)) > 0) {
		payload = buf_data(&c->c_wire) + wf.wf_hdrlen;
		ws_unmask(&wf, payload);
		if (wf.wf_opcode == WS_CLOSE)
			return -1;
		if (wf.wf_opcode == WS_PING) {
			conn_put_header(c, WS_PONG, wf.wf_len);
			buf_add(&c->c_out, payload, wf.wf_len);
		} else if (wf.wf_opcode != WS_PONG)
			buf_add(&c->c_in, payload, wf.wf_len);
		buf_drain(&c->c_wire, n);
		if (c->c_out.b_len > MAX_OUT)	/* pings, and no reading */
			return -1;
	}
	return n == -1 ? -1 : 0;
}

/* What came is in c_in; the connection may be gone afterwards. */
static void
conn_input(struct conn *c)
{
	switch (c->c_state) {
	case CONN_HEAD:
		conn_head(c);
		break;
	case CONN_BODY:
		web_body(c);
		break;
	case CONN_OPEN:
		if ((c->c_ws && conn_unwrap(c) == -1) || h2_input(c) == -1)
			conn_close(c, NULL);
		else
			conn_flush(c);
		break;
	case CONN_FOLLOW:
	case CONN_LINGER:
		c->c_lingered += c->c_in.b_len;
		buf_drain(&c->c_in, c->c_in.b_len);
		if (c->c_lingered > LINGER_MAX)
			conn_close(c, NULL);
		break;
	case CONN_TLS:
	case CONN_ASK:
	case CONN_NOISE:
		break;
	}
}

/* Read what there is; the connection may be gone afterwards. */
static void
conn_more(struct conn *c)
{
	struct buf	*b;
	uint64_t	 id = c->c_id;
	ssize_t		 n;
	int		 i;

	for (i = 0; i < READS; i++) {
		b = c->c_ws && c->c_state == CONN_OPEN ? &c->c_wire :
		    &c->c_in;
		n = conn_read(c, buf_space(b, READ_MAX), READ_MAX);
		if (n == 0)
			return;
		if (n == -1) {
			conn_close(c, NULL);
			return;
		}
		buf_added(b, n);
		conn_input(c);
		if (conn_find(id) == NULL || c->c_state == CONN_NOISE ||
		    c->c_state == CONN_ASK)
			return;
		/* The library may hold more, of which the socket is silent. */
		if (c->c_ssl == NULL && n < READ_MAX)
			return;
	}
	if (c->c_ssl != NULL)
		event_active(&c->c_ev_read, EV_READ, 1);
}

static void
conn_shake(struct conn *c)
{
	switch (tlsserver_handshake(c->c_ssl)) {
	case TLSSERVER_DONE:
		c->c_state = CONN_HEAD;
		conn_more(c);
		break;
	case TLSSERVER_WRITE:
		event_add(&c->c_ev_write, NULL);
		break;
	case TLSSERVER_LATER:
		break;
	default:
		conn_close(c, NULL);
		break;
	}
}

/* The signature that a handshake waits for has come. */
void
conn_signed(void *arg)
{
	conn_shake(arg);
}

static void
conn_read_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;

	if (c->c_state == CONN_TLS)
		conn_shake(c);
	else
		conn_more(c);
}

static void
conn_timer_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;

	switch (c->c_state) {
	case CONN_TLS:
		conn_close(c, "too slow with TLS");
		break;
	case CONN_HEAD:
	case CONN_BODY:
		conn_refuse(c, 408, "too slow");
		break;
	case CONN_ASK:
		conn_refuse(c, 503, "busy, try again");
		break;
	case CONN_NOISE:
		conn_noise_forget(c);
		conn_refuse(c, 503, "busy, try again");
		break;
	case CONN_LINGER:
		conn_close(c, NULL);
		break;
	case CONN_FOLLOW:
		if (c->c_out.b_len > 0 && os_now() - c->c_progress >
		    T_STALL * 1000000000LL)
			conn_close(c, "too slow for the list of clients");
		else
			conn_timer(c, T_TICK);
		break;
	case CONN_OPEN:
		if (h2_tick(c) == -1) {
			conn_close(c, NULL);
			break;
		}
		conn_timer(c, T_TICK);
		conn_flush(c);
		break;
	}
}
