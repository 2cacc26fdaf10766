/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Connections: from accept to login, frames in and out, time limits.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keys.h"
#include "os.h"
#include "pace.h"
#include "relay.h"
#include "ws.h"

#define NSEC_PER_SEC	1000000000LL
#define IN_SIZE		(256 * 1024)	/* bytes worked on at once */
#define OUT_SIZE	(128 * 1024)
#define READS		64		/* reads in a row */
#define RAW_READ	(2 * RECORD_WIRE)	/* of who has not logged in */
#define ACCEPTS		64		/* connections accepted in a row */

static void	 conn_read_cb(int, short, void *);
static void	 conn_write_cb(int, short, void *);
static void	 conn_timer_cb(int, short, void *);
static void	 conn_round_cb(int, short, void *);
static void	 conn_shake(struct conn *);
static void	 conn_read(struct conn *);
static void	 conn_wake(struct client *);
static void	 conn_full(struct client *);
static void	 conn_cut(struct client *);

static TAILQ_HEAD(, conn)	 raw = TAILQ_HEAD_INITIALIZER(raw);
static TAILQ_HEAD(, conn)	 dirty = TAILQ_HEAD_INITIALIZER(dirty);
static TAILQ_HEAD(, conn)	 dead = TAILQ_HEAD_INITIALIZER(dead);
static struct conn		*logins[MAX_LOGINS];
static struct log_limit		 refuse_limit;
static struct event		 ev_round;
static uint8_t			*in_buf, *out_buf;
static uint32_t			 login_next;
static size_t			 nconns, nraw;

/* Of a login, until the client is let in. */
struct held {
	uint32_t	 h_boxlen;
	uint8_t		 h_prober;
	uint8_t		 h_mesh;
	uint8_t		 h_box[256];
};

static const struct core_cb	 core_cb = { conn_wake, conn_full, conn_cut };

void
conn_init(void)
{
	if ((in_buf = malloc(IN_SIZE)) == NULL ||
	    (out_buf = malloc(OUT_SIZE)) == NULL)
		fatal(NULL);
	evtimer_set(&ev_round, conn_round_cb, NULL);
	core_init(&core_cb);
}

static struct conn *
conn_of(struct client *cl)
{
	return (struct conn *)cl;	/* its first member */
}

void
conn_timer(struct conn *c, int64_t ms)
{
	struct timeval	 tv;

	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	evtimer_add(&c->c_ev_timer, &tv);
}

void
conn_kill(struct conn *c)
{
	if (c->c_is_dead)
		return;
	c->c_is_dead = 1;
	TAILQ_INSERT_TAIL(&dead, c, c_dead);
	event_del(&c->c_ev_read);
	event_del(&c->c_ev_write);
	evtimer_del(&c->c_ev_timer);
}

static void
conn_cut(struct client *cl)
{
	conn_kill(conn_of(cl));
}

static int
conn_is_raw(const struct conn *c)
{
	return c->c_state != CONN_OPEN;
}

static void
conn_free(struct conn *c)
{
	TAILQ_REMOVE(&dead, c, c_dead);
	if (c->c_is_dirty)
		TAILQ_REMOVE(&dirty, c, c_dirty);
	if (logins[c->c_login % MAX_LOGINS] == c)
		logins[c->c_login % MAX_LOGINS] = NULL;
	if (c->c_state == CONN_ADMIT)
		verify_cancel(c);
	if (c->c_mesh != NULL) {
		mesh_lost(c->c_mesh, c);
		if (c->c_state == CONN_OPEN)
			core_fwd_close(&c->c_client);
	} else {
		if (conn_is_raw(c)) {
			TAILQ_REMOVE(&raw, c, c_raw);
			nraw--;
		} else
			core_remove(&c->c_client);
		source_closed(c->c_source, conn_is_raw(c));
	}
	tls_free(c);
	close(c->c_fd);
	free(c->c_cipher);
	free(c->c_part);
	free(c->c_out);
	free(c->c_held);
	free(c->c_web);
	free(c);
	nconns--;
}

/* --- accepting --- */

static struct conn *
conn_alloc(int fd, SSL *ssl)
{
	struct conn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal(NULL);
	c->c_fd = fd;
	c->c_ssl = ssl;
	c->c_state = ssl != NULL ? CONN_TLS : CONN_HEAD;
	c->c_login = UINT32_MAX;
	event_set(&c->c_ev_read, fd, EV_READ | EV_PERSIST, conn_read_cb, c);
	event_set(&c->c_ev_write, fd, EV_WRITE, conn_write_cb, c);
	evtimer_set(&c->c_ev_timer, conn_timer_cb, c);
	event_add(&c->c_ev_read, NULL);
	conn_timer(c, T_HEAD * 1000);
	nconns++;
	return c;
}

static void
conn_new(int fd, struct source *so, const struct sockaddr_storage *ss,
    SSL *ssl, uint32_t flags)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;
	struct conn		*c;

	c = conn_alloc(fd, ssl);
	c->c_source = so;
	c->c_listen = flags;
	relay_stats()->rs_accepts++;
	if (ss->ss_family == AF_INET) {
		memcpy(&sin, ss, sizeof(sin));
		c->c_client.cl_port = ntohs(sin.sin_port);
		c->c_client.cl_addr[10] = c->c_client.cl_addr[11] = 0xff;
		memcpy(c->c_client.cl_addr + 12, &sin.sin_addr, 4);
	} else {
		memcpy(&sin6, ss, sizeof(sin6));
		c->c_client.cl_port = ntohs(sin6.sin6_port);
		memcpy(c->c_client.cl_addr, &sin6.sin6_addr, 16);
	}
	TAILQ_INSERT_TAIL(&raw, c, c_raw);
	nraw++;
	source_opened(so);
}

struct conn *
conn_dialed(int fd, SSL *ssl, struct mesh *m)
{
	struct conn	*c;

	c = conn_alloc(fd, ssl);
	c->c_mesh = m;
	c->c_client.cl_mesh = 1;
	conn_shake(c);
	return c;
}

/*
 * Room for one more? Where all is taken, the stranger who has waited longest
 * goes: half-open connections must not keep clients out.
 */
static int
conn_make_room(void)
{
	struct conn	*c;
	size_t		 max;

	max = relay_conf()->max_conns;
	if (nconns < max && nraw < max / 4 + 1)
		return 1;
	if (log_limit(&refuse_limit, os_now(), 1, 60))
		log_warnx("%zu connections, %zu without a key: full", nconns,
		    nraw);
	if ((c = TAILQ_FIRST(&raw)) == NULL)
		return 0;
	conn_kill(c);
	conn_sweep();
	return 1;
}

/* Without TIME_WAIT: whoever floods us gets no room here. */
static void
conn_reset(int fd)
{
	struct linger	 l = { 1, 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

static void
conn_accepted(int fd, const struct sockaddr_storage *ss, uint32_t flags)
{
	struct source	*so;
	SSL		*ssl = NULL;

	so = source_get(ss);
	if (!source_allows(so, MAX_SRC_RAW, MAX_SRC_ALL)) {
		relay_stats()->rs_full++;
		if (log_limit(&refuse_limit, os_now(), 10, 60))
			log_warnx("%s: too many connections",
			    source_name(so));
		conn_reset(fd);
		return;
	}
	if (!conn_make_room() ||
	    ((flags & LISTEN_TLS) && (ssl = tls_new(fd)) == NULL)) {
		relay_stats()->rs_full++;
		source_unused(source_get(ss));
		conn_reset(fd);
		return;
	}
	/* Making room may have closed the last one of this source. */
	conn_new(fd, source_get(ss), ss, ssl, flags);
}

void
conn_accept(int lfd, uint32_t flags)
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
			conn_accepted(fd, &ss, flags);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE ||
		    errno == ENOBUFS || errno == ENOMEM) {
			if (log_limit(&refuse_limit, os_now(), 1, 60))
				log_warn("accept");
			relay_accept_pause();
		}
		return;
	}
}

/* --- writing --- */

static void
conn_keep_out(struct conn *c, const uint8_t *data, size_t len)
{
	if ((c->c_out = malloc(len)) == NULL)
		fatal(NULL);
	memcpy(c->c_out, data, len);
	c->c_outlen = len;
	c->c_outoff = 0;
}

/* The socket takes no more: it has so long to take some. */
static void
conn_blocked(struct conn *c)
{
	struct timeval	 tv = { T_WRITE, 0 };

	if (c->c_client.cl_mesh)
		tv.tv_sec = T_WRITE_MESH;
	event_add(&c->c_ev_write, &tv);
}

/* What the socket did not take before. 1: all gone; 0, or -1. */
static int
conn_write_rest(struct conn *c)
{
	ssize_t	 n;

	while (c->c_outoff < c->c_outlen) {
		n = tls_write(c, c->c_out + c->c_outoff,
		    c->c_outlen - c->c_outoff);
		if (n == 0)
			conn_blocked(c);
		if (n <= 0)
			return n;
		c->c_outoff += n;
	}
	free(c->c_out);
	c->c_out = NULL;
	c->c_outlen = c->c_outoff = 0;
	return 1;
}

void
conn_write(struct conn *c, const uint8_t *data, size_t len)
{
	ssize_t	 n = 0;
	size_t	 done;

	if (c->c_out != NULL) {
		conn_kill(c);		/* a talk of few words: never full */
		return;
	}
	data = tls_seal(c, data, &len);
	for (done = 0; done < len; done += n)
		if ((n = tls_write(c, data + done, len - done)) <= 0)
			break;
	if (n == -1)
		conn_kill(c);
	else if (done < len) {
		conn_keep_out(c, data + done, len - done);
		conn_blocked(c);
	}
}

/* Bytes of the stream of frames. */
static void
conn_send(struct conn *c, const uint8_t *data, size_t len)
{
	if (c->c_web != NULL)
		webstream_send(c, data, len);
	else
		conn_write(c, data, len);
}

/* All that waits for it, as far as the socket takes it. */
static void
conn_flush(struct conn *c)
{
	size_t	 len;

	while (!c->c_is_dead && c->c_state == CONN_OPEN && c->c_out == NULL &&
	    (len = core_pull(&c->c_client, out_buf, OUT_SIZE)) > 0)
		conn_send(c, out_buf, len);
}

static void
conn_wake(struct client *cl)
{
	struct conn	*c = conn_of(cl);

	if (c->c_is_dirty || c->c_is_dead)
		return;
	c->c_is_dirty = 1;
	TAILQ_INSERT_TAIL(&dirty, c, c_dirty);
}

static void
conn_full(struct client *cl)
{
	conn_flush(conn_of(cl));
}

void
conn_sweep(void)
{
	struct conn	*c;

	for (;;) {
		if ((c = TAILQ_FIRST(&dirty)) != NULL) {
			TAILQ_REMOVE(&dirty, c, c_dirty);
			c->c_is_dirty = 0;
			conn_flush(c);
		} else if ((c = TAILQ_FIRST(&dead)) != NULL)
			conn_free(c);
		else
			return;
	}
}

/*
 * The end of a round: all that was readable has been read. What is for one
 * client then goes out in one piece, whoever sent it.
 */
static void
conn_round_cb(int fd, short events, void *arg)
{
	static struct pace	 pace;

	conn_sweep();
	if (pace_round(&pace, core_stats()->cs_packets, os_now()))
		os_nap(PACE_NAP);
}

static void
conn_write_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;
	int		 ret;

	if (c->c_state == CONN_TLS)
		conn_signed(c);
	else if (events & EV_TIMEOUT)
		conn_kill(c);
	else {
		if ((ret = conn_write_rest(c)) == -1)
			conn_kill(c);
		else if (ret == 1)
			conn_flush(c);
		conn_sweep();
	}
}

/* --- HTTP and login --- */

static void
conn_linger(struct conn *c)
{
	c->c_state = CONN_LINGER;
	conn_timer(c, T_LINGER * 1000);
	tls_close(c);
}

static void
conn_greet(struct conn *c, const struct http_req *hr)
{
	uint8_t	 greeting[DERP_SERVERKEY_LEN];

	derp_server_key_build(relay_key(), greeting);
	c->c_client.cl_flags = hr->hr_not_ideal ? DERP_PRESENT_NOT_IDEAL : 0;
	c->c_state = CONN_LOGIN;
	conn_timer(c, T_LOGIN * 1000);
	conn_send(c, greeting, sizeof(greeting));
}

static void
conn_upgrade(struct conn *c, const struct http_req *hr)
{
	char	 out[512];
	char	 hex[2 * DERP_KEY_LEN + 1];
	size_t	 i;
	int	 n;

	for (i = 0; i < DERP_KEY_LEN; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", relay_key()[i]);
	n = snprintf(out, sizeof(out),
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: DERP\r\nConnection: Upgrade\r\n"
	    "Derp-Version: %d\r\nDerp-Public-Key: %s\r\n\r\n",
	    DERP_VERSION, hex);
	if (!hr->hr_fast)
		conn_write(c, (uint8_t *)out, n);
	conn_greet(c, hr);
}

static int
conn_upgrade_web(struct conn *c, const struct http_req *hr)
{
	char	 out[256], accept[WS_ACCEPT_LEN];
	int	 n;

	if (ws_accept(hr->hr_ws_key, accept) == -1)
		return -1;
	n = snprintf(out, sizeof(out),
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n"
	    "Sec-WebSocket-Protocol: derp\r\n\r\n", accept);
	conn_write(c, (uint8_t *)out, n);
	c->c_web = webstream_new();
	conn_greet(c, hr);
	return 0;
}

/* Bytes used, 0: more needed, -1: close. */
static ssize_t
conn_head(struct conn *c, const uint8_t *data, size_t len)
{
	struct http_req	 hr;
	const char	*text;
	ssize_t		 used;
	size_t		 n;
	int		 web;

	if ((used = http_parse((const char *)data, len, &hr)) <= 0)
		return used;
	web = strcmp(hr.hr_upgrade, "websocket") == 0;
	if (strcmp(hr.hr_path, "/derp") == 0 && relay_key() != NULL &&
	    (c->c_listen & (LISTEN_METRICS | LISTEN_REDIRECT)) == 0 &&
	    (web || strcmp(hr.hr_upgrade, "derp") == 0)) {
		if (!web || !hr.hr_ws_derp)
			conn_upgrade(c, &hr);
		else if (conn_upgrade_web(c, &hr) == -1)
			return -1;
		return used;
	}
	text = page_answer(&hr, c->c_listen, &n);
	conn_write(c, (const uint8_t *)text, n);
	conn_linger(c);
	return len;
}

static int
conn_ask_login(struct conn *c, const struct derp_frame *f)
{
	struct msg_derp_login	 m;
	int			 i;

	for (i = 0; i < MAX_LOGINS; i++)
		if (logins[++login_next % MAX_LOGINS] == NULL)
			break;
	memset(&m, 0, sizeof(m));
	memcpy(m.key, f->df_data, sizeof(m.key));
	m.len = f->df_len - DERP_KEY_LEN;
	memcpy(m.box, f->df_data + DERP_KEY_LEN, m.len);
	if (i == MAX_LOGINS || chan_compose(relay_crypt(), IMSG_DERP_LOGIN,
	    login_next, -1, &m, sizeof(m)) == -1)
		return -1;
	logins[login_next % MAX_LOGINS] = c;
	memcpy(c->c_key, m.key, sizeof(c->c_key));
	c->c_login = login_next;
	c->c_state = CONN_CRYPT;
	event_del(&c->c_ev_read);
	conn_timer(c, T_CRYPT * 1000);
	return 0;
}

static ssize_t
conn_login(struct conn *c, const uint8_t *data, size_t len)
{
	struct derp_frame	 f;
	uint64_t		 n;

	if ((n = derp_frame_parse(data, len, &f)) == 0)
		return 0;
	if (f.df_type != DERP_CLIENT_INFO || f.df_len < DERP_CLIENTINFO_MIN ||
	    f.df_len > DERP_KEY_LEN + DERP_BOX_MAX)
		return -1;
	if (n > len)
		return 0;
	return conn_ask_login(c, &f) == -1 ? -1 : (ssize_t)n;
}

static void
conn_open(struct conn *c, const struct held *h)
{
	uint8_t	 frame[DERP_HDR_LEN + sizeof(h->h_box)];

	TAILQ_REMOVE(&raw, c, c_raw);
	nraw--;
	source_keyed(c->c_source);
	c->c_state = CONN_OPEN;
	c->c_client.cl_mesh = h->h_mesh;
	if (h->h_mesh)
		c->c_client.cl_flags |= DERP_PRESENT_MESH;
	if (h->h_prober)
		c->c_client.cl_flags |= DERP_PRESENT_PROBER;
	if (c->c_client.cl_flags == 0)
		c->c_client.cl_flags = DERP_PRESENT_REGULAR;
	c->c_tokens = relay_conf()->burst;
	c->c_filled = c->c_alive = os_now();
	core_add(&c->c_client, c->c_key);
	derp_header(frame, DERP_SERVER_INFO, h->h_boxlen);
	memcpy(frame + DERP_HDR_LEN, h->h_box, h->h_boxlen);
	conn_send(c, frame, DERP_HDR_LEN + h->h_boxlen);
	conn_timer(c, T_KEEPALIVE * 1000 + arc4random_uniform(5000));
	if (c->c_is_dead)
		return;
	event_add(&c->c_ev_read, NULL);
	if (c->c_web != NULL && webstream_go(c) == -1)
		conn_kill(c);
	else
		conn_read(c);
}

static void
conn_refused(struct conn *c, const char *why)
{
	if (log_limit(&refuse_limit, os_now(), 10, 60))
		log_warnx("%s: login refused: %s", source_name(c->c_source),
		    why);
	conn_kill(c);
}

static void
conn_barred(struct conn *c)
{
	relay_stats()->rs_refused++;
	conn_refused(c, "not a client of this relay");
}

void
conn_admitted(struct conn *c, int yes)
{
	struct held	*h = c->c_held;

	c->c_held = NULL;
	c->c_state = CONN_CRYPT;	/* nothing is asked any more */
	if (!c->c_is_dead && yes)
		conn_open(c, h);
	else if (!c->c_is_dead)
		conn_barred(c);
	free(h);
}

/* It is who it says: may it come in? */
static void
conn_login_ok(struct conn *c, struct held *h)
{
	switch (h->h_mesh ? VERIFY_YES : verify_ask(c)) {
	case VERIFY_YES:
		conn_open(c, h);
		break;
	case VERIFY_LATER:
		if ((c->c_held = malloc(sizeof(*h))) == NULL)
			fatal(NULL);
		*c->c_held = *h;
		c->c_state = CONN_ADMIT;
		conn_timer(c, T_ADMIT * 1000);
		break;
	default:
		conn_barred(c);
		break;
	}
}

void
conn_login_done(uint32_t id, const struct msg_derp_login_ok *m)
{
	struct derp_client_info	 ci;
	struct held		 h;
	struct conn		*c = logins[id % MAX_LOGINS];

	if (c == NULL || c->c_login != id || c->c_state != CONN_CRYPT)
		return;
	logins[id % MAX_LOGINS] = NULL;
	if (c->c_is_dead)
		return;
	if (m->error != MSG_OK || m->len > sizeof(m->info) ||
	    m->boxlen > sizeof(m->box) ||
	    derp_client_info_parse(m->info, m->len, &ci) == -1)
		conn_refused(c, m->error != MSG_OK ?
		    msg_strerror(m->error) : "malformed");
	else {
		memset(&h, 0, sizeof(h));
		h.h_boxlen = m->boxlen;
		h.h_prober = ci.ci_prober;
		h.h_mesh = m->mesh == 1;
		memcpy(h.h_box, m->box, m->boxlen);
		conn_login_ok(c, &h);
	}
	conn_sweep();
}

size_t
conn_count_all(void)
{
	return nconns;
}

void
conn_crypt_lost(void)
{
	size_t	 i;

	for (i = 0; i < MAX_LOGINS; i++)
		if (logins[i] != NULL)
			conn_kill(logins[i]);
	conn_sweep();
}

/* --- reading --- */

/*
 * Take bytes from a bucket that fills at so many a second up to its burst:
 * 0, or the ms until it has them.
 */
static int64_t
bucket_take(int64_t *tokens, int64_t *filled, uint64_t rate, uint64_t burst,
    size_t bytes)
{
	int64_t	 now, past, gained;

	if (rate == 0)
		return 0;
	now = os_now();
	past = now - *filled;
	if (past > NSEC_PER_SEC * 3600)		/* no product overflows */
		past = NSEC_PER_SEC * 3600;
	gained = past / NSEC_PER_SEC * (int64_t)rate +
	    past % NSEC_PER_SEC / 1000 * (int64_t)rate / 1000000;
	if (gained > 0) {
		*tokens += gained;
		*filled = now;
	}
	if (*tokens > (int64_t)burst)
		*tokens = burst;
	*tokens -= bytes;
	return *tokens >= 0 ? 0 : -*tokens * 1000 / (int64_t)rate + 1;
}

/* Count what it sends; past its rate, or that of all, it waits for a while. */
static void
conn_count(struct conn *c, size_t bytes)
{
	static int64_t			 all_tokens, all_filled;
	const struct msg_conf_relay	*conf = relay_conf();
	int64_t				 wait, all;

	if (c->c_client.cl_mesh)
		return;
	wait = bucket_take(&c->c_tokens, &c->c_filled, conf->rate,
	    conf->burst, bytes);
	all = bucket_take(&all_tokens, &all_filled, conf->all_rate,
	    conf->all_burst, bytes);
	if (all > wait)
		wait = all;
	if (wait == 0)
		return;
	c->c_paused = 1;
	event_del(&c->c_ev_read);
	conn_timer(c, wait);
}

/* Whole frames of a client: bytes used, or -1: close. */
static ssize_t
conn_frames(struct conn *c, const uint8_t *data, size_t len)
{
	struct derp_frame	 f;
	uint64_t		 n;
	size_t			 off = 0;
	int64_t			 now = os_now();
	int			 ret;

	while ((n = derp_frame_parse(data + off, len - off, &f)) != 0) {
		if ((ret = derp_server_len(&f, c->c_client.cl_mesh)) == -1)
			return -1;
		if (n > len - off) {
			if (ret == 0) {
				c->c_skip = n - (len - off);
				off = len;
			}
			break;
		}
		if (core_input(&c->c_client, &f, now) == -1)
			return -1;
		off += n;
	}
	return off;
}

ssize_t
conn_stream(struct conn *c, const uint8_t *data, size_t len)
{
	size_t	 n;

	switch (c->c_state) {
	case CONN_HEAD:
		return conn_head(c, data, len);
	case CONN_LOGIN:
		return conn_login(c, data, len);
	case CONN_OPEN:
		if (c->c_skip > 0) {
			n = c->c_skip < len ? c->c_skip : len;
			c->c_skip -= n;
			return n;
		}
		return conn_frames(c, data, len);
	case CONN_LINGER:
		return len;
	default:
		return 0;
	}
}

static ssize_t
conn_input(struct conn *c, uint8_t *data, size_t len)
{
	if (c->c_mesh != NULL)
		return mesh_input(c, data, len);
	if (c->c_web != NULL)
		return webstream_input(c, data, len);
	return conn_stream(c, data, len);
}

/* Work on what is in in_buf, as long as something is used of it. */
static int
conn_work(struct conn *c, size_t *have)
{
	ssize_t	 n;
	size_t	 off = 0;

	while (off < *have && !c->c_is_dead && (n = conn_input(c,
	    in_buf + off, *have - off)) != 0) {
		if (n == -1)
			return -1;
		off += n;
	}
	*have -= off;
	memmove(in_buf, in_buf + off, *have);
	return *have > RAW_MAX && conn_is_raw(c) && c->c_web == NULL ? -1 : 0;
}

static void
conn_keep_part(struct conn *c, size_t have)
{
	c->c_partlen = have;
	if (have == 0)
		return;
	if ((c->c_part = malloc(have)) == NULL)
		fatal(NULL);
	memcpy(c->c_part, in_buf, have);
}

static size_t
conn_take_part(struct conn *c)
{
	size_t	 have = c->c_partlen;

	if (have > 0)
		memcpy(in_buf, c->c_part, have);
	free(c->c_part);
	c->c_part = NULL;
	c->c_partlen = 0;
	return have;
}

int
conn_reads(const struct conn *c)
{
	return !c->c_is_dead && c->c_state != CONN_CRYPT &&
	    c->c_state != CONN_ADMIT;
}

/* So much may be read at once: a limit must not be passed by much. */
static size_t
conn_room(const struct conn *c, size_t have)
{
	const struct msg_conf_relay	*conf = relay_conf();
	size_t				 room = IN_SIZE - have;

	if ((c->c_state != CONN_OPEN || conf->rate != 0 ||
	    conf->all_rate != 0) && room > RAW_READ)
		room = RAW_READ;
	return room;
}

static void
conn_read(struct conn *c)
{
	ssize_t	 n = 1;
	size_t	 have, got = 0;
	int	 i;

	tls_begin(c);
	have = conn_take_part(c);
	if (have > 0 && conn_work(c, &have) == -1)
		n = -1;
	for (i = 0; n > 0 && i < READS && got < IN_SIZE && conn_reads(c) &&
	    !c->c_paused; i++) {
		if ((n = tls_read(c, in_buf + have, conn_room(c, have))) <= 0)
			break;
		have += n;
		got += n;
		if (c->c_state == CONN_OPEN)
			conn_count(c, n);
		if (conn_work(c, &have) == -1)
			n = -1;
	}
	tls_end(c);
	if (n == -1) {
		conn_kill(c);
		return;
	}
	conn_keep_part(c, have);
	/* The library may hold more, of which the socket does not tell. */
	if (n > 0 && conn_reads(c) && !c->c_paused)
		event_active(&c->c_ev_read, EV_READ, 1);
}

static void
conn_shake(struct conn *c)
{
	switch (tls_handshake(c)) {
	case -1:
		if (c->c_mesh != NULL)
			mesh_failed(c);
		conn_kill(c);
		break;
	case 1:
		c->c_state = CONN_HEAD;
		if (c->c_mesh != NULL)
			mesh_shaken(c);
		conn_read(c);
		break;
	default:
		break;
	}
}

void
conn_signed(struct conn *c)
{
	if (!c->c_is_dead)
		conn_shake(c);
	conn_sweep();
}

static void
conn_read_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;

	if (c->c_state == CONN_TLS)
		conn_shake(c);
	else
		conn_read(c);
	/* The last of this round, however many are readable. */
	event_active(&ev_round, EV_TIMEOUT, 1);
}

/* A client that is slowed down has its keepalives all the same. */
static void
conn_tick(struct conn *c)
{
	int64_t	 now = os_now();
	int	 paused = c->c_paused;

	if (!paused || now - c->c_alive >= T_KEEPALIVE * NSEC_PER_SEC) {
		c->c_alive = now;
		core_keepalive(&c->c_client);
	}
	conn_timer(c, T_KEEPALIVE * 1000 + arc4random_uniform(5000));
	if (c->c_rec != NULL)
		record_rest(c->c_rec);
	if (!paused)
		return;
	c->c_paused = 0;
	event_add(&c->c_ev_read, NULL);
	conn_read(c);
}

static void
conn_timer_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;

	if (c->c_state == CONN_OPEN && c->c_mesh == NULL)
		conn_tick(c);
	else
		conn_kill(c);
	conn_sweep();
}
