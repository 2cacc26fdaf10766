/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ctrld against a scripted control server in one process: registration in
 * all its turns, the map stream, pings, and a server that misbehaves.
 */
/* link: stub_ctrld.c */
/* link: ../../ctrld/backoff.c ../../ctrld/c2n.c ../../ctrld/cache.c */
/* link: ../../ctrld/c2ndoc.c */
/* link: ../../ctrld/control.c ../../ctrld/dial.c ../../ctrld/dialplan.c */
/* link: ../../ctrld/health.c ../../ctrld/hostinfo.c ../../ctrld/http1.c */
/* link: ../../ctrld/ifconf.c ../../ctrld/login.c ../../ctrld/map.c */
/* link: ../../ctrld/names.c ../../ctrld/netinfo.c ../../ctrld/ping.c */
/* link: ../../ctrld/peerping.c ../../ctrld/poll.c ../../ctrld/portal.c */
/* link: ../../ctrld/push.c ../../ctrld/pushderp.c */
/* link: ../../ctrld/pushfilter.c ../../ctrld/rpc.c */
/* link: ../../ctrld/session.c ../../ctrld/text.c ../../ctrld/url.c */
/* libs: -lnghttp2 */

#include <sys/types.h>

#include <err.h>
#include <nghttp2/nghttp2.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctrld/ctrld.h"
#include "keys.h"
#include "mapframe.h"
#include "proc.h"
#include "stub_ctrld.h"

#define URL	"http://192.0.2.1:8080"
#define LIMIT	20		/* seconds for the whole of one script */
#define WAIT	17000		/* milliseconds that a server asks for */

/* --- ctrld's surroundings --- */

static struct msg_keys		 keys;
static struct msg_ctrl_state	 state;
static struct noise_handshake	 hs;
static struct msg_hello		 hello;
static uint8_t			 machine_priv[32], server_priv[32],
				 server_pub[32];
static unsigned int		 new_keys, accepted, forgotten, noise_starts;
static int			 other_pin;	/* of cryptod */

const struct msg_hello *
proc_hello(void)
{
	return &hello;
}

static unsigned int	 waited;	/* timers of WAIT */

uint32_t
ctrld_id(void)
{
	static uint32_t	 id;

	return ++id;
}

void
timer_ms(struct event *ev, uint32_t ms)
{
	struct timeval	 tv;

	waited += ms == WAIT;
	/* Time limits are not what is tested: waits are made short. */
	if (ms > 1000)
		ms = 1000;
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	(void)evtimer_del(ev);
	(void)evtimer_add(ev, &tv);
}

/* The log is not what is tested, and a test is silent when all is well. */
void
log_warn(const char *fmt, ...)
{
}

void
log_warnx(const char *fmt, ...)
{
}

void
log_info(const char *fmt, ...)
{
}

void
log_debug(const char *fmt, ...)
{
}

int
log_limit(struct log_limit *l, int64_t now, unsigned int n, unsigned int s)
{
	return 0;
}

void
fatal(const char *fmt, ...)
{
	err(1, "fatal: %s", fmt == NULL ? "out of memory" : fmt);
}

void
fatalx(const char *fmt, ...)
{
	errx(1, "fatalx: %s", fmt);
}

static unsigned int		 forgets;
static struct msg_ctl_health	 rows[8];
static size_t			 nrows;
static struct msg_ctl_ping	 asked;	/* of netd */
static uint32_t			 asked_id;
static unsigned int		 nasked;

/* What cryptod is asked is done from the loop, as if it were a process. */
static struct event	 ev_crypt;
static struct {
	enum msg_type	 type;
	uint32_t	 id;
	uint8_t		 data[512];
	size_t		 len;
} todo[16];
static unsigned int	 ntodo;

static void
crypt_start(unsigned int i)
{
	struct msg_noise_start	 in;
	struct msg_noise_msg1	 out;
	uint8_t			 rnd[32];

	memcpy(&in, todo[i].data, sizeof(in));
	memset(&out, 0, sizeof(out));
	arc4random_buf(rnd, sizeof(rnd));
	noise_starts++;
	if (other_pin)
		out.error = MSG_E_PIN;
	else if (sodium_is_zero(in.server, sizeof(in.server)))
		out.error = MSG_E_NOKEY;	/* none is pinned */
	else if (noise_initiate(&hs, in.version, machine_priv, keys.machine,
	    in.server, rnd, out.msg) == -1)
		out.error = MSG_E_CRYPTO;
	stub_deliver(session_noise_msg1, todo[i].id, -1, &out, sizeof(out));
}

static void
crypt_msg2(unsigned int i)
{
	struct noise_session	 ns;
	struct msg_noise_msg2	 in;
	struct msg_noise_keys	 out;

	memcpy(&in, todo[i].data, sizeof(in));
	memset(&out, 0, sizeof(out));
	if (noise_finish(&hs, machine_priv, in.msg, sizeof(in.msg),
	    &ns) == -1)
		out.error = MSG_E_CRYPTO;
	else {
		memcpy(out.tx, ns.ns_c2s, sizeof(out.tx));
		memcpy(out.rx, ns.ns_s2c, sizeof(out.rx));
	}
	stub_deliver(session_noise_keys, todo[i].id, -1, &out, sizeof(out));
}

static void
crypt_cb(int fd, short events, void *arg)
{
	unsigned int	 i, n;

	n = ntodo;
	for (i = 0; i < n; i++) {
		switch (todo[i].type) {
		case IMSG_NOISE_START:
			crypt_start(i);
			break;
		case IMSG_NOISE_MSG2:
			crypt_msg2(i);
			break;
		case IMSG_NODEKEY_NEW:
			new_keys++;
			arc4random_buf(keys.pending, sizeof(keys.pending));
			control_keys(&keys);
			break;
		case IMSG_NODEKEY_ACCEPT:
			accepted++;
			memcpy(keys.node, todo[i].data, sizeof(keys.node));
			memset(keys.pending, 0, sizeof(keys.pending));
			control_keys(&keys);
			break;
		case IMSG_NODEKEY_FORGET:
			forgotten++;
			memset(keys.node, 0, sizeof(keys.node));
			control_keys(&keys);
			break;
		default:
			break;
		}
	}
	memmove(todo, todo + n, (ntodo - n) * sizeof(todo[0]));
	ntodo -= n;
	if (ntodo > 0)
		timer_ms(&ev_crypt, 0);
}

int
chan_compose(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const void *data, size_t len)
{
	if (c == proc_parent() && type == IMSG_CTRL_STATE)
		memcpy(&state, data, sizeof(state));
	forgets += type == IMSG_CACHE_FORGET;
	if (type == IMSG_CTL_HEALTH && nrows < nitems(rows))
		memcpy(&rows[nrows++], data, sizeof(rows[0]));
	if (c == ctrld_netd() && type == IMSG_PEER_PING) {
		memcpy(&asked, data, sizeof(asked));
		asked_id = id;
		nasked++;
	}
	if (c != ctrld_cryptod())
		return 0;
	if (ntodo == nitems(todo) || len > sizeof(todo[0].data))
		errx(1, "too much for cryptod");
	todo[ntodo].type = type;
	todo[ntodo].id = id;
	todo[ntodo].len = len;
	if (len > 0)
		memcpy(todo[ntodo].data, data, len);
	ntodo++;
	timer_ms(&ev_crypt, 0);
	return 0;
}

int
chan_compose2(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const void *h, size_t hlen, const void *e, size_t elen)
{
	return 0;
}

/* --- a connection that leads to the server below --- */

struct conn {
	struct event		 c_ev;
	const struct conn_cb	*c_cb;
	void			*c_arg;
	uint8_t			*c_in;		/* on its way to ctrld */
	size_t			 c_inlen;
	char			 c_why[128];
	int			 c_up, c_closed;
};

static struct conn	*line;		/* the one that is open */

static void	 server_open(void);
static void	 server_input(const uint8_t *, size_t);
static void	 server_closed(void);

static void
conn_cb(int fd, short events, void *arg)
{
	struct conn	*c = arg;
	uint8_t		*p;
	size_t		 len, n;

	if (!c->c_up && !c->c_closed) {
		c->c_up = 1;
		c->c_cb->cc_up(c, c->c_arg);
	}
	/* In small pieces: how the stream is cut must not matter. */
	p = c->c_in;
	len = c->c_inlen;
	c->c_in = NULL;
	c->c_inlen = 0;
	for (n = 0; n < len && !c->c_closed; n += 1000)
		c->c_cb->cc_data(c, c->c_arg, p + n,
		    len - n < 1000 ? len - n : 1000);
	free(p);
	if (c->c_why[0] != '\0' && c->c_inlen == 0) {
		c->c_closed = 1;
		c->c_cb->cc_lost(c, c->c_arg, c->c_why);
		c->c_why[0] = '\0';
	}
	if (!c->c_closed)
		return;
	if (line == c) {
		line = NULL;
		server_closed();
	}
	(void)evtimer_del(&c->c_ev);
	free(c->c_in);
	free(c);
}

#define DEAD	66			/* 192.0.2.66 */
static struct msg_ip	 dialled;	/* the last */
static unsigned int	 deads;

struct conn *
conn_open(const struct url *u, const struct conn_opt *opt,
    const struct conn_cb *cb, void *arg)
{
	struct conn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		err(1, NULL);
	c->c_cb = cb;
	c->c_arg = arg;
	evtimer_set(&c->c_ev, conn_cb, c);
	timer_ms(&c->c_ev, 0);
	memset(&dialled, 0, sizeof(dialled));
	if (opt != NULL)
		dialled = opt->co_ip;
	/* Nobody is at home there, or there. */
	if (u->u_tls || dialled.addr[3] == DEAD) {
		deads++;
		c->c_up = 1;
		conn_abort(c, "connection refused");
		return c;
	}
	line = c;
	server_open();
	return c;
}

void
conn_close(struct conn *c)
{
	if (c == NULL || c->c_closed)
		return;
	c->c_closed = 1;
	c->c_why[0] = '\0';
	timer_ms(&c->c_ev, 0);
}

void
conn_abort(struct conn *c, const char *why)
{
	if (c->c_closed || c->c_why[0] != '\0')
		return;
	(void)strlcpy(c->c_why, why, sizeof(c->c_why));
	timer_ms(&c->c_ev, 0);
}

void
conn_write(struct conn *c, const void *p, size_t len)
{
	if (!c->c_closed && c == line)
		server_input(p, len);
}

static void
to_client(const void *p, size_t len)
{
	uint8_t	*q;

	if (line == NULL)
		return;
	if ((q = realloc(line->c_in, line->c_inlen + len)) == NULL)
		err(1, NULL);
	memcpy(q + line->c_inlen, p, len);
	line->c_in = q;
	line->c_inlen += len;
	timer_ms(&line->c_ev, 0);
}

static void
hang_up(void)
{
	if (line != NULL)
		conn_abort(line, "connection closed by the server");
}

/* /key is answered without HTTP: fetch.c has a test of its own. */
struct fetch {
	struct event	 f_ev;
	void		(*f_done)(int, const char *, size_t, void *);
	void		*f_arg;
	int		 f_key;
};

static unsigned int	 fetches, heads;
static uint32_t		 key_wait;	/* asked for, by 429, once */

static void
fetch_cb(int fd, short events, void *arg)
{
	struct fetch	*f = arg;
	char		 body[256], text[KEY_TEXT_MAX];

	if (f->f_key && key_wait != 0) {
		f->f_done(429, "", 0, f->f_arg);
		key_wait = 0;
	} else if (f->f_key) {
		(void)key_print(KEY_MACHINE, server_pub, text, sizeof(text));
		(void)snprintf(body, sizeof(body), "{\"publicKey\":\"%s\"}",
		    text);
		f->f_done(200, body, strlen(body), f->f_arg);
	} else
		f->f_done(200, "", 0, f->f_arg);
	free(f);
}

struct fetch *
fetch_start(const char *method, const struct url *u,
    const struct conn_opt *opt, void (*done)(int, const char *, size_t,
    void *), void *arg)
{
	struct fetch	*f;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		err(1, NULL);
	f->f_done = done;
	f->f_arg = arg;
	f->f_key = strncmp(u->u_path, "/key?v=", 7) == 0;
	fetches += f->f_key;
	heads += !f->f_key && strcmp(method, "HEAD") == 0;
	evtimer_set(&f->f_ev, fetch_cb, f);
	timer_ms(&f->f_ev, 0);
	return f;
}

uint32_t
fetch_retry_ms(const struct fetch *f)
{
	return key_wait;
}

const struct http_head *
fetch_head(const struct fetch *f)
{
	return NULL;
}

const char *
fetch_host(const struct fetch *f)
{
	return "";
}

static char	*posted;		/* outside of the session */

void
fetch_put(struct fetch *f, char *body, size_t len)
{
	free(posted);
	if ((posted = strndup(body, len)) == NULL)
		err(1, NULL);
	free(body);
}

void
fetch_cancel(struct fetch *f)
{
	if (f == NULL)
		return;
	(void)evtimer_del(&f->f_ev);
	free(f);
}

/* --- the server --- */

struct stream {
	TAILQ_ENTRY(stream)	 s_entry;
	char	 s_path[128];
	char	 s_method[16];
	char	*s_body;
	size_t	 s_len;
	uint8_t	*s_out;
	size_t	 s_outlen;
	size_t	 s_outoff;
	int32_t	 s_id;
	int	 s_open;	/* more may follow */
};

/* What the server does; changed by each script. */
static struct {
	void	(*request)(struct stream *, json_t *);
	int	 garbage;	/* instead of the answer to the upgrade */
	const char *refusal;	/* this, once, and the line is cut */
	int	 early;		/* send an early payload */
	const char *busy;	/* refuses this once, for WAIT */
	const char *status;	/* ... with that */
	int64_t	 since;		/* when it did */
	int64_t	 again;		/* when it was asked again */
} script;

static TAILQ_HEAD(, stream)	 streams = TAILQ_HEAD_INITIALIZER(streams);
static nghttp2_session		*h2;
static struct noise_record	*tx, *rx;
static uint8_t			*in;
static size_t			 inlen;
static struct stream		*poll_stream;
static int			 upgraded;

static void
stream_free(struct stream *s)
{
	if (s == poll_stream)
		poll_stream = NULL;
	TAILQ_REMOVE(&streams, s, s_entry);
	free(s->s_body);
	free(s->s_out);
	free(s);
}

static void
server_closed(void)
{
	struct stream	*s;

	while ((s = TAILQ_FIRST(&streams)) != NULL)
		stream_free(s);
	nghttp2_session_del(h2);
	h2 = NULL;
	noise_record_free(tx);
	noise_record_free(rx);
	tx = rx = NULL;
	free(in);
	in = NULL;
	inlen = 0;
	upgraded = 0;
}

static void
server_open(void)
{
	server_closed();
}

static void
server_seal(const uint8_t *p, size_t len)
{
	uint8_t	 frame[NOISE_FRAME_MAX];
	size_t	 n;
	ssize_t	 r;

	for (; len > 0; len -= n, p += n) {
		n = len < NOISE_PLAIN_MAX ? len : NOISE_PLAIN_MAX;
		if ((r = noise_seal(tx, p, n, frame)) == -1)
			err(1, "noise_seal");
		to_client(frame, r);
	}
}

static void
server_flush(void)
{
	const uint8_t	*p;
	ssize_t		 n;

	while (h2 != NULL && (n = nghttp2_session_mem_send(h2, &p)) > 0)
		server_seal(p, n);
}

static ssize_t
out_cb(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct stream	*s = source->ptr;
	size_t		 n;

	n = s->s_outlen - s->s_outoff;
	if (n == 0 && s->s_open)
		return NGHTTP2_ERR_DEFERRED;
	if (n > len)
		n = len;
	memcpy(buf, s->s_out + s->s_outoff, n);
	s->s_outoff += n;
	if (s->s_outoff == s->s_outlen && !s->s_open)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return n;
}

static void
more(struct stream *s, const void *p, size_t len)
{
	if ((s->s_out = realloc(s->s_out, s->s_outlen + len)) == NULL)
		err(1, NULL);
	memcpy(s->s_out + s->s_outlen, p, len);
	s->s_outlen += len;
	(void)nghttp2_session_resume_data(h2, s->s_id);
	server_flush();
}

static void
respond_after(struct stream *s, const char *status, int after,
    const char *body, int keep)
{
	static uint8_t		 name[] = ":status", retry[] = "retry-after";
	nghttp2_data_provider	 dp;
	nghttp2_nv		 nv[2];
	char			 value[2][8];

	memset(nv, 0, sizeof(nv));
	(void)strlcpy(value[0], status, sizeof(value[0]));
	(void)snprintf(value[1], sizeof(value[1]), "%d", after);
	nv[0].name = name;
	nv[0].namelen = sizeof(name) - 1;
	nv[0].value = (uint8_t *)value[0];
	nv[0].valuelen = strlen(value[0]);
	nv[1].name = retry;
	nv[1].namelen = sizeof(retry) - 1;
	nv[1].value = (uint8_t *)value[1];
	nv[1].valuelen = strlen(value[1]);
	memset(&dp, 0, sizeof(dp));
	dp.source.ptr = s;
	dp.read_callback = out_cb;
	s->s_open = keep;
	if (nghttp2_submit_response(h2, s->s_id, nv, after > 0 ? 2 : 1,
	    &dp) != 0)
		errx(1, "nghttp2_submit_response");
	if (body != NULL)
		more(s, body, strlen(body));
}

static void
respond(struct stream *s, const char *status, const char *body, int keep)
{
	respond_after(s, status, 0, body, keep);
}

static void
send_map(struct stream *s, const char *text)
{
	uint8_t	*frame;
	size_t	 len;

	if (mapframe_encode(1, text, strlen(text), &frame, &len) == -1)
		err(1, "mapframe_encode");
	more(s, frame, len);
	free(frame);
}

static int
begin_cb(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	struct stream	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		err(1, NULL);
	s->s_id = f->hd.stream_id;
	TAILQ_INSERT_TAIL(&streams, s, s_entry);
	return nghttp2_session_set_stream_user_data(session, s->s_id, s);
}

static int
header_cb(nghttp2_session *session, const nghttp2_frame *f,
    const uint8_t *name, size_t nlen, const uint8_t *value, size_t vlen,
    uint8_t flags, void *arg)
{
	struct stream	*s;

	s = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
	if (nlen == 5 && memcmp(name, ":path", 5) == 0)
		(void)snprintf(s->s_path, sizeof(s->s_path), "%.*s",
		    (int)vlen, value);
	if (nlen == 7 && memcmp(name, ":method", 7) == 0)
		(void)snprintf(s->s_method, sizeof(s->s_method), "%.*s",
		    (int)vlen, value);
	return 0;
}

static int
body_cb(nghttp2_session *session, uint8_t flags, int32_t id,
    const uint8_t *data, size_t len, void *arg)
{
	struct stream	*s;

	s = nghttp2_session_get_stream_user_data(session, id);
	if ((s->s_body = realloc(s->s_body, s->s_len + len)) == NULL)
		err(1, NULL);
	memcpy(s->s_body + s->s_len, data, len);
	s->s_len += len;
	return 0;
}

static int
frame_cb(nghttp2_session *session, const nghttp2_frame *f, void *arg)
{
	struct stream	*s;
	json_t		*j;

	if ((f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) ||
	    (f->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	s = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
	j = s->s_len == 0 ? NULL : ju_load(s->s_body, s->s_len);
	script.request(s, j);
	json_decref(j);
	return 0;
}

static int
close_cb(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct stream	*s;

	s = nghttp2_session_get_stream_user_data(session, id);
	if (s != NULL)
		stream_free(s);
	return 0;
}

static void
server_h2(void)
{
	nghttp2_session_callbacks	*cbs;

	if (nghttp2_session_callbacks_new(&cbs) != 0)
		errx(1, "nghttp2");
	nghttp2_session_callbacks_set_on_begin_headers_callback(cbs,
	    begin_cb);
	nghttp2_session_callbacks_set_on_header_callback(cbs, header_cb);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs,
	    body_cb);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, frame_cb);
	nghttp2_session_callbacks_set_on_stream_close_callback(cbs,
	    close_cb);
	if (nghttp2_session_server_new(&h2, cbs, NULL) != 0 ||
	    nghttp2_submit_settings(h2, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
		errx(1, "nghttp2");
	nghttp2_session_callbacks_del(cbs);
}

/* The upgrade request is complete: answer with 101 and Noise in one. */
static void
server_upgrade(const char *head)
{
	static const char	 ok[] = "HTTP/1.1 101 Switching Protocols\r\n"
				     "Upgrade: tailscale-control-protocol\r\n"
				     "Connection: upgrade\r\n\r\n";
	static const char	 early[] = "{\"nodeKeyChallenge\":\"x\"}";
	struct noise_session	 ns;
	const char		*b64, *end;
	uint8_t			 client[32], eh[NOISE_EARLY_HDR_LEN], rnd[32];
	uint8_t			 msg[256], resp[NOISE_RESPONSE_LEN];
	size_t			 len;
	uint16_t		 version;

	if (script.garbage) {
		to_client("garbage\r\n\r\n", 11);
		return;
	}
	if (script.refusal != NULL) {
		to_client(script.refusal, strlen(script.refusal));
		script.refusal = NULL;
		hang_up();
		return;
	}
	b64 = strstr(head, "X-Tailscale-Handshake: ");
	if (strncmp(head, "POST /ts2021 HTTP/1.1\r\n", 23) != 0 ||
	    strstr(head, "\r\nHost: 192.0.2.1:8080\r\n") == NULL ||
	    b64 == NULL)
		errx(1, "upgrade request: %s", head);
	b64 += 23;
	end = strstr(b64, "\r\n");
	if (sodium_base642bin(msg, sizeof(msg), b64, end - b64, NULL, &len,
	    NULL, sodium_base64_VARIANT_ORIGINAL) == -1)
		errx(1, "handshake header");
	arc4random_buf(rnd, sizeof(rnd));
	if (noise_respond(server_priv, server_pub, rnd, msg, len, resp, &ns,
	    client, &version) == -1)
		err(1, "noise_respond");
	if (version != CTRLD_CAPVER || memcmp(client, keys.machine, 32) != 0)
		errx(1, "version or machine key");
	tx = noise_record_new(ns.ns_s2c, 0, 1);
	rx = noise_record_new(ns.ns_c2s, 0, 0);
	to_client(ok, sizeof(ok) - 1);
	to_client(resp, sizeof(resp));
	if (script.early) {
		(void)noise_early_header(sizeof(early) - 1, eh);
		server_seal(eh, sizeof(eh));
		server_seal((const uint8_t *)early, sizeof(early) - 1);
	}
	server_h2();
	server_flush();
	upgraded = 1;
}

static void
server_input(const uint8_t *p, size_t len)
{
	char	*end;
	ssize_t	 flen, n;

	if ((in = realloc(in, inlen + len + 1)) == NULL)
		err(1, NULL);
	memcpy(in + inlen, p, len);
	inlen += len;
	in[inlen] = '\0';
	if (!upgraded) {
		end = strstr((char *)in, "\r\n\r\n");
		if (end == NULL)
			return;
		inlen = 0;
		server_upgrade((char *)in);
		return;
	}
	while (h2 != NULL && (flen = noise_frame_len(in, inlen)) > 0 &&
	    (size_t)flen <= inlen) {
		if ((n = noise_open(rx, in, flen)) == -1)
			err(1, "noise_open");
		if (nghttp2_session_mem_recv(h2, in + NOISE_HDR_LEN, n) < 0)
			errx(1, "client's HTTP/2");
		inlen -= flen;
		memmove(in, in + flen, inlen);
	}
	server_flush();
}

/* --- scripts --- */

static unsigned int	 registers, polls, updates, echoes, pings;
static const char	*last_node;	/* of the last register */

#define NODE(more) \
	"\"Node\":{\"ID\":1,\"Name\":\"a.t.example.\",\"Key\":\"%s\"," \
	"\"MachineAuthorized\":true,\"Addresses\":[\"100.64.0.1/32\"]" more "}"
#define PEER \
	"{\"ID\":2,\"Name\":\"b.t.example.\",\"Key\":\"nodekey:00000000000000" \
	"00000000000000000000000000000000000000000000000002\",\"DiscoKey\":" \
	"\"discokey:00000000000000000000000000000000000000000000000000000000" \
	"00000002\",\"Addresses\":[\"100.64.0.2/32\"]}"

static const char *
str(json_t *j, const char *name)
{
	const char	*s;

	s = json_string_value(json_object_get(j, name));
	return s == NULL ? "" : s;
}

static void
first_map(struct stream *s, json_t *j, const char *fmt)
{
	char	*text;

	if (strcmp(str(j, "Compress"), "zstd") != 0 ||
	    !json_is_true(json_object_get(j, "KeepAlive")))
		errx(1, "map request");
	if (asprintf(&text, fmt, str(j, "NodeKey")) == -1)
		err(1, NULL);
	respond(s, "200", NULL, 1);
	send_map(s, text);
	free(text);
	poll_stream = s;
}

static char	*netinfo;	/* of the last lite update */

/* What all servers do; 1 if it was that. */
static int
usual(struct stream *s, json_t *j)
{
	if (strcmp(s->s_path, "/machine/register") == 0) {
		registers++;
		last_node = str(j, "NodeKey");
		return 0;
	}
	if (strcmp(s->s_path, "/machine/map") != 0)
		return 0;
	if (json_is_true(json_object_get(j, "Stream"))) {
		polls++;
		return 0;
	}
	updates++;
	free(netinfo);
	netinfo = json_dumps(json_object_get(json_object_get(j, "Hostinfo"),
	    "NetInfo"), JSON_COMPACT);
	if (!json_is_true(json_object_get(j, "OmitPeers")) ||
	    strcmp(str(json_object_get(j, "Hostinfo"), "Hostname"),
	    "here") != 0)
		errx(1, "lite update");
	respond(s, "200", "", 0);
	return 1;
}

static void
serve_key(struct stream *s, json_t *j)
{
	if (usual(s, j))
		return;
	if (strcmp(s->s_path, "/machine/map") == 0) {
		first_map(s, j, "{" NODE("") ",\"Peers\":[" PEER "]}");
		return;
	}
	if (strcmp(str(json_object_get(j, "Auth"), "AuthKey"), "secret") != 0)
		errx(1, "auth key");
	respond(s, "200", "{\"MachineAuthorized\":true,\"Login\":"
	    "{\"LoginName\":\"u\"}}\n", 0);
}

/* No key: a URL, then a wait, another URL, then the verdict. */
static void
serve_url(struct stream *s, json_t *j)
{
	const char	*f;

	if (usual(s, j))
		return;
	if (strcmp(s->s_path, "/machine/map") == 0) {
		first_map(s, j, "{" NODE("") "}");
		return;
	}
	f = str(j, "Followup");
	if (*f == '\0')
		respond(s, "200", "{\"AuthURL\":\"https://x/1\"}", 0);
	else if (strcmp(f, "https://x/1") == 0)
		respond(s, "200", "{\"AuthURL\":\"https://x/2\"}", 0);
	else if (state.state != CTRL_NEEDSLOGIN ||
	    strcmp(state.url, "https://x/2") != 0)
		respond(s, "200", "{\"AuthURL\":\"https://x/2\"}", 0);
	else
		respond(s, "200", "{\"MachineAuthorized\":true}", 0);
}

/* The server has forgotten the URL that it gave: a login begins anew. */
static void
serve_forgot(struct stream *s, json_t *j)
{
	if (usual(s, j))
		return;
	if (strcmp(s->s_path, "/machine/map") == 0)
		first_map(s, j, "{" NODE("") "}");
	else if (*str(j, "Followup") != '\0')
		respond(s, "200", "{\"Error\":\"no such login\"}", 0);
	else if (registers == 1)
		respond(s, "200", "{\"AuthURL\":\"https://x/1\"}", 0);
	else
		respond(s, "200", "{\"MachineAuthorized\":true}", 0);
}

/* The old key has expired: once. */
static void
serve_expired(struct stream *s, json_t *j)
{
	if (usual(s, j))
		return;
	if (strcmp(s->s_path, "/machine/map") == 0)
		first_map(s, j, "{" NODE("") "}");
	else if (registers == 1)
		respond(s, "200", "{\"NodeKeyExpired\":true}", 0);
	else
		respond(s, "200", "{}", 0);
}

static void
serve_refused(struct stream *s, json_t *j)
{
	if (!usual(s, j))
		respond(s, "200", "{\"Error\":\"authkey\\u001b expired\"}",
		    0);
}

/* No good by trying again: the tailnet is locked, or a key out of date. */
static void
serve_locked(struct stream *s, json_t *j)
{
	if (!usual(s, j))
		respond(s, "200", "{\"NodeKeySignature\":\"AAEC\"}", 0);
}

static void
serve_outdated(struct stream *s, json_t *j)
{
	if (!usual(s, j))
		respond(s, "200", "{\"NodeKeyExpired\":true}", 0);
}

static void
serve_400(struct stream *s, json_t *j)
{
	if (!usual(s, j))
		respond(s, "400", "unsupported version", 0);
}

/* The login is good, and the map says that the key is out of date. */
static void
serve_lapsed(struct stream *s, json_t *j)
{
	if (usual(s, j))
		return;
	if (strcmp(s->s_path, "/machine/map") == 0)
		first_map(s, j, "{" NODE(",\"KeyExpiry\":"
		    "\"2020-01-01T00:00:00Z\"") "}");
	else
		respond(s, "200", "{}", 0);
}

static char	*answered;	/* to a ping of a peer */

/* The first map is good, then comes what the script says. */
static const char	*second;

static void
serve_second(struct stream *s, json_t *j)
{
	if (usual(s, j))
		return;
	if (strcmp(s->s_path, "/machine/map") != 0) {
		if (strcmp(s->s_path, "/c2n/1") == 0) {
			echoes += s->s_len > 2 && memcmp(s->s_body +
			    s->s_len - 2, "hi", 2) == 0;
			respond(s, "200", "", 0);
		} else if (strcmp(s->s_path, "/pong/1") == 0) {
			free(answered);
			answered = strndup(s->s_body, s->s_len);
			respond(s, "200", "", 0);
		} else if (strcmp(s->s_path, "/ping/1") == 0) {
			pings += strcmp(s->s_method, "HEAD") == 0;
			respond(s, "200", "", 0);
		} else
			respond(s, "200", "{}", 0);
		return;
	}
	first_map(s, j, "{" NODE("") ",\"Peers\":[" PEER "]}");
	if (polls == 1 && second != NULL)
		send_map(s, second);
}

/* Too many at once: one request is to be made later. */
static void
serve_busy(struct stream *s, json_t *j)
{
	const char	*what;

	what = strcmp(s->s_path, "/machine/map") != 0 ? s->s_path :
	    json_is_true(json_object_get(j, "Stream")) ? "poll" : "update";
	if (strcmp(what, script.busy) == 0 && script.since == 0) {
		script.since = os_now();
		respond_after(s, script.status, WAIT / 1000, "busy", 0);
		return;
	}
	if (strcmp(what, script.busy) == 0 && script.again == 0)
		script.again = os_now();
	serve_second(s, j);
}

static void
serve_404(struct stream *s, json_t *j)
{
	if (usual(s, j))
		return;
	if (strcmp(s->s_path, "/machine/map") != 0)
		respond(s, "200", "{}", 0);
	else if (polls == 1)
		respond(s, "404", "node not found\033[2J", 0);
	else
		first_map(s, j, "{" NODE("") "}");
}

/* --- running them --- */

static void
tick_cb(int fd, short events, void *arg)
{
}

/* Run the loop until a state is reached; it must be within LIMIT. */
static void
until(const char *what, int (*reached)(void))
{
	struct event	 ev;
	int64_t		 since;

	since = os_now();
	evtimer_set(&ev, tick_cb, NULL);
	while (!reached()) {
		timer_ms(&ev, 10);
		(void)event_loop(EVLOOP_ONCE);
		if (os_now() - since > LIMIT * NS_PER_S)
			errx(1, "%s: state %u, error \"%s\", url \"%s\", %u "
			    "registers, %u polls, %u updates", what,
			    state.state, state.error, state.url, registers,
			    polls, updates);
	}
	(void)evtimer_del(&ev);
}

static int
is_running(void)
{
	return state.state == CTRL_RUNNING && state.online && updates > 0;
}

static int
is_refused(void)
{
	return registers >= 3 && state.state == CTRL_NEEDSLOGIN &&
	    state.refused &&
	    strcmp(state.error, "authkey\\033 expired") == 0;
}

static int
is_polled_again(void)
{
	return polls >= 2 && is_running();
}

static int
is_in_trouble(void)
{
	return state.state == CTRL_STARTING && noise_starts >= 3 &&
	    strstr(state.error, "not HTTP") != NULL;
}

static int
is_out(void)
{
	return forgotten > 0 && state.state == CTRL_NEEDSLOGIN &&
	    map_now() == NULL && line == NULL;
}

static int
is_stopped(void)
{
	return state.state == CTRL_STOPPED && line == NULL;
}

static int
is_answered(void)
{
	return echoes == 1 && pings == 1 && heads == 1;
}

static int
is_needing_login(void)
{
	return state.state == CTRL_NEEDSLOGIN && registers >= 2;
}

static unsigned int	 want_registers;

static int
is_tried_again(void)
{
	return registers >= want_registers;
}

static unsigned int	 want_updates;

static int
is_updated(void)
{
	return updates >= want_updates;
}

/* Begin anew: no login, no map, this server. */
static void
begin(void (*request)(struct stream *, json_t *), const char *authkey)
{
	control_logout();
	until("logged out", is_out);
	memset(&script, 0, sizeof(script));
	script.request = request;
	script.early = arc4random_uniform(2);
	registers = polls = updates = new_keys = accepted = forgotten = 0;
	noise_starts = heads = echoes = pings = 0;
	second = NULL;
	(void)strlcpy(stub_conf.c_authkey, authkey,
	    sizeof(stub_conf.c_authkey));
	memset(keys.pending, 0, sizeof(keys.pending));
	control_keys(&keys);
	control_login(0);
}

static void
bad_second(const char *name, const char *text)
{
	begin(serve_second, "secret");
	second = text;
	until(name, is_polled_again);
	if (netmap_peer(map_now(), 2) == NULL)
		errx(1, "%s: the map was not kept", name);
}

static int
is_asked(void)
{
	return nasked >= 2;
}

static int
is_posted(void)
{
	return posted != NULL;
}

static int
is_reported(void)
{
	return answered != NULL;
}

/* A ping of a peer: netd makes it, the server hears what came of it. */
static void
test_peerping(void)
{
	struct msg_ctl_pong	 m;

	begin(serve_second, "secret");
	until("peer ping: running", is_running);
	nasked = 0;
	send_map(poll_stream, "{\"PingRequest\":{\"URL\":"
	    "\"https://unused/pong/1\",\"URLIsNoise\":true,\"Types\":"
	    "\"TSMP,disco\",\"IP\":\"100.64.0.2\"}}");
	until("peer ping: asked", is_asked);
	if (asked.type != PING_DISCO || asked.ip.af != 4 ||
	    asked.ip.addr[3] != 2 || asked.timeout_ms != 10000)
		errx(1, "peer ping: what netd is asked");
	memset(&m, 0, sizeof(m));
	m.peer = 2;
	m.latency = 1500000;
	m.ep.af = 4;
	m.ep.port = 41641;
	memcpy(m.ep.addr, "\xc0\x00\x02\x05", 4);
	stub_deliver(peerping_pong, asked_id, -1, &m, sizeof(m));
	until("peer ping: answered", is_reported);
	if (strcmp(answered, "{\"Type\":\"disco\",\"IP\":\"100.64.0.2\","
	    "\"NodeIP\":\"100.64.0.2\",\"NodeName\":\"b\","
	    "\"LatencySeconds\":0.0015,\"Endpoint\":\"192.0.2.5:41641\"}")
	    != 0)
		errx(1, "peer ping: %s", answered);
	free(answered);
	answered = NULL;
	m.error = MSG_E_TIMEOUT;
	stub_deliver(peerping_pong, asked_id - 1, -1, &m, sizeof(m));
	/* Nobody waits for this one. */
	stub_deliver(peerping_pong, asked_id, -1, &m, sizeof(m));
	until("peer ping: timed out", is_reported);
	if (strstr(answered, "\"Type\":\"TSMP\"") == NULL ||
	    strstr(answered, "\"Err\":") == NULL)
		errx(1, "peer ping: %s", answered);
	send_map(poll_stream, "{\"PingRequest\":{\"URL\":\"" URL "/q\","
	    "\"Types\":\"ICMP\",\"IP\":\"100.64.0.1\"}}");
	until("peer ping: ourselves", is_posted);
	if (strstr(posted, "\"IsLocalIP\":true") == NULL)
		errx(1, "peer ping: %s", posted);
}

static void
test_pings(void)
{
	begin(serve_second, "secret");
	until("pings: running", is_running);
	send_map(poll_stream, "{\"KeepAlive\":true,\"PingRequest\":{\"URL\":"
	    "\"https://unused/c2n/1\",\"Types\":\"c2n\",\"Payload\":"
	    "\"UE9TVCAvZWNobyBIVFRQLzEuMQ0KDQpoaQ==\"}}");
	send_map(poll_stream, "{\"PingRequest\":{\"URL\":"
	    "\"https://unused/ping/1\",\"URLIsNoise\":true}}");
	send_map(poll_stream, "{\"PingRequest\":{\"URL\":\"" URL "/p\"}}");
	/* The same once more, and one to somebody else: not answered. */
	send_map(poll_stream, "{\"PingRequest\":{\"URL\":\"" URL "/p\"}}");
	send_map(poll_stream, "{\"PingRequest\":{\"URL\":"
	    "\"http://192.0.2.2/\"}}");
	until("pings", is_answered);
}

static int
is_polled_twice(void)
{
	return polls >= 2 && is_running();
}

/*
 * The server's plan goes before the name, and if it leads nowhere, the name
 * is asked after all.
 */
static void
test_plan(void)
{
	static const struct dial_plan	 none;

	begin(serve_second, "secret");
	until("plan: running", is_running);
	send_map(poll_stream, "{\"ControlDialPlan\":{\"Candidates\":["
	    "{\"IP\":\"192.0.2.66\",\"DialTimeoutSec\":5},"
	    "{\"IP\":\"192.0.2.7\",\"DialStartDelaySec\":0.2,"
	    "\"DialTimeoutSec\":5}]}}");
	send_map(poll_stream, "{\"OnlineChange\":{\"2\":true}}");
	while (dial_plan_now()->dp_n == 0)
		(void)event_loop(EVLOOP_ONCE);
	hang_up();
	deads = 0;
	until("plan: again", is_polled_twice);
	if (dialled.addr[3] != 7 || deads == 0)
		errx(1, "plan: dialled .%u", dialled.addr[3]);
	send_map(poll_stream, "{\"ControlDialPlan\":{\"Candidates\":["
	    "{\"IP\":\"192.0.2.66\",\"DialTimeoutSec\":5}]}}");
	while (dial_plan_now()->dp_n == 2)
		(void)event_loop(EVLOOP_ONCE);
	hang_up();
	polls = 1;
	until("plan: by name", is_polled_twice);
	if (dialled.addr[3] != 1)
		errx(1, "plan: dialled .%u", dialled.addr[3]);
	dial_plan_set(&none);
}

/* Latencies alone are no reason to bother the server. */
static void
test_netinfo(void)
{
	struct {
		struct msg_netinfo	 m;
		struct msg_netinfo_lat	 l;
	} b;
	json_t		*j;
	unsigned int	 before;

	begin(serve_second, "secret");
	until("netinfo: running", is_running);
	memset(&b, 0, sizeof(b));
	b.m.udp = b.m.os_ipv6 = 1;
	b.m.varies = b.m.upnp = -1;
	b.m.preferred_derp = 900;
	b.m.nlat = 1;
	b.l.region = 900;
	b.l.family = AF_WIRE_INET;
	b.l.latency = 25 * 1000000;
	before = want_updates = updates + 1;
	stub_deliver(netinfo_msg, 1, -1, &b, sizeof(b));
	until("netinfo: told", is_updated);
	b.l.latency = 90 * 1000000;
	stub_deliver(netinfo_msg, 1, -1, &b, sizeof(b));
	b.m.preferred_derp = 901;
	want_updates++;
	stub_deliver(netinfo_msg, 1, -1, &b, sizeof(b));
	until("netinfo: told again", is_updated);
	if (updates != before + 1)
		errx(1, "netinfo: %u updates", updates - before);
	j = ju_load(netinfo, strlen(netinfo));
	if (json_integer_value(json_object_get(j, "PreferredDERP")) != 901 ||
	    !json_is_true(json_object_get(j, "WorkingUDP")) ||
	    !json_is_false(json_object_get(j, "PMP")) ||
	    json_object_get(j, "UPnP") != NULL ||
	    json_real_value(json_object_get(json_object_get(j,
	    "DERPLatency"), "900-v4")) != 0.09)
		errx(1, "netinfo: %s", netinfo);
	json_decref(j);
}

static int
is_forgotten(void)
{
	return forgets >= 1;
}

/* An administrator may forbid that maps are kept on disks. */
static void
test_nocache(void)
{
	begin(serve_second, "secret");
	until("no cache: running", is_running);
	forgets = 0;
	send_map(poll_stream, "{\"Node\":{\"ID\":1,\"Name\":\"a.t.example.\","
	    "\"MachineAuthorized\":true,\"CapMap\":"
	    "{\"disable-cache-network-maps\":null}}}");
	until("no cache: forgotten", is_forgotten);
}

static int	 want_rows;

static int
is_told(void)
{
	nrows = 0;
	health_answer(1);
	return (int)nrows == want_rows;
}

/* What the server says of this node, and what the node finds itself. */
static int
is_old(void)
{
	return state.version == (VERSION_TOLD | VERSION_NOTIFY) &&
	    strcmp(state.latest, "9.9") == 0;
}

static int
is_latest(void)
{
	return state.version == (VERSION_TOLD | VERSION_LATEST);
}

static int
is_locked_out(void)
{
	return state.state == CTRL_RUNNING &&
	    state.refused == REFUSED_LOCK &&
	    strstr(state.error, "until nodekey:") != NULL;
}

static void
test_health(void)
{
	begin(serve_second, "secret");
	until("health: running", is_running);
	want_rows = 0;
	until("health: none", is_told);
	send_map(poll_stream, "{\"Health\":[\"one\",\"two\\u001b\"]}");
	want_rows = 2;
	until("health: old form", is_told);
	if (strcmp(rows[0].text, "one") != 0 || strchr(rows[1].text, 27))
		errx(1, "health: \"%s\", \"%s\"", rows[0].text,
		    rows[1].text);
	send_map(poll_stream, "{\"DisplayMessages\":{\"a\":{\"Title\":\"T\","
	    "\"Text\":\"X\",\"Severity\":\"high\",\"ImpactsConnectivity\":"
	    "true,\"PrimaryAction\":{\"URL\":\"https://u\",\"Label\":"
	    "\"L\"}},\"b\":null}}");
	want_rows = 1;
	until("health: messages", is_told);
	if (strcmp(rows[0].id, "a") != 0 || strcmp(rows[0].title, "T") != 0 ||
	    strcmp(rows[0].severity, "high") != 0 || !rows[0].connectivity ||
	    strcmp(rows[0].url, "https://u") != 0 ||
	    strcmp(rows[0].label, "L") != 0)
		errx(1, "health: message");
	send_map(poll_stream, "{\"DisplayMessages\":{\"*\":null},"
	    "\"Health\":[]}");
	want_rows = 0;
	until("health: well", is_told);
	send_map(poll_stream, "{\"KeepAlive\":true,\"ClientVersion\":"
	    "{\"LatestVersion\":\"9.9\",\"Notify\":true},\"ControlTime\":"
	    "\"2024-01-01T00:00:00Z\",\"PopBrowserURL\":\"https://p\"}");
	want_rows = 3;
	until("health: own", is_told);
	until("version: newer", is_old);
	if (strcmp(rows[0].id, "clock-skew") != 0 ||
	    strstr(rows[1].text, "9.9") == NULL ||
	    strstr(rows[2].text, "https://p") == NULL)
		errx(1, "health: \"%s\", \"%s\"", rows[0].id, rows[1].text);
	send_map(poll_stream, "{\"KeepAlive\":true,\"ClientVersion\":"
	    "{\"RunningLatest\":true}}");
	want_rows = 2;
	until("health: latest", is_told);
	until("version: latest", is_latest);
	send_map(poll_stream, "{\"TKAInfo\":{}}");
	/* Shown with the state, as what is to be changed. */
	until("health: locked out", is_locked_out);
	until("health: locked out, the row", is_told);
	send_map(poll_stream, "{\"Node\":{\"ID\":1,\"Name\":"
	    "\"a.t.example.\",\"MachineAuthorized\":true,"
	    "\"KeySignature\":\"AAEC\"}}");
	want_rows = 3;
	until("health: locked", is_told);
	send_map(poll_stream, "{\"TKAInfo\":{\"Disabled\":true}}");
	want_rows = 2;
	until("health: unlocked", is_told);
}

/*
 * A session is refused as by a server that has another key now (frontd says
 * 400, others hang up): the key is asked for again. For less it is not.
 */
static void
refused_once(const char *what, const char *answer, unsigned int asks)
{
	unsigned int	 n = fetches;

	script.refusal = answer;
	polls = 1;
	hang_up();
	until(what, is_polled_again);
	if (script.refusal != NULL || fetches != n + asks)
		errx(1, "%s: the key was asked for %u times", what,
		    fetches - n);
}

static void
test_refusals(void)
{
	begin(serve_second, "");
	until("refusals: running", is_running);
	refused_once("400", "HTTP/1.1 400 Bad Request\r\n\r\n", 1);
	refused_once("101 and no more", "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: tailscale-control-protocol\r\n"
	    "Connection: upgrade\r\n\r\n", 1);
	refused_once("429", "HTTP/1.1 429 Too Many Requests\r\n\r\n", 0);
	refused_once("503", "HTTP/1.1 503 Service Unavailable\r\n\r\n", 0);
}

static uint32_t	 want_refused;

static int
is_in_vain(void)
{
	return state.refused == want_refused && state.error[0] != '\0' &&
	    state.state == CTRL_NEEDSLOGIN;
}

static int
is_in_vain_no_more(void)
{
	return state.refused == 0 && is_running();
}

/* What waiting does not change is told as that, and tried again. */
static void
in_vain(const char *what, void (*serve)(struct stream *, json_t *),
    uint32_t refused)
{
	unsigned int	 n;

	begin(serve, "secret");
	want_refused = refused;
	until(what, is_in_vain);
	if (serve == serve_lapsed)
		return;
	n = registers;
	want_registers = n + 1;
	until(what, is_tried_again);
	script.request = serve_key;
	until(what, is_in_vain_no_more);
}

/* Another server came to where ours was, and then ours is back. */
static void
test_pin(void)
{
	begin(serve_second, "");
	until("pin: running", is_running);
	other_pin = 1;
	hang_up();
	want_refused = REFUSED_PIN;
	until("pin", is_in_vain);
	other_pin = 0;
	updates = 0;
	until("pin: the right one again", is_in_vain_no_more);
}

/*
 * A server that asks for a pause gets it, whatever it was asked for. Here
 * waits end after a second; those of the back-off take milliseconds.
 */
static void
busy_once(const char *what, const char *status)
{
	begin(serve_busy, "secret");
	waited = 0;
	script.busy = what;
	script.status = status;
	until(what, is_running);
	if (script.since == 0 || waited != 1 ||
	    script.again - script.since < NS_PER_S * 9 / 10)
		errx(1, "busy: %s: %u waits, %lld ms", what, waited,
		    (long long)(script.again - script.since) / 1000000);
}

static unsigned int	 want_fetches;

static int
is_fetched(void)
{
	return fetches >= want_fetches && key_wait == 0;
}

static void
test_busy(void)
{
	int64_t	 since;

	busy_once("/machine/register", "429");
	busy_once("poll", "429");
	busy_once("poll", "503");
	busy_once("update", "429");
	begin(serve_second, "secret");
	until("busy: running", is_running);
	waited = 0;
	key_wait = WAIT;
	want_fetches = fetches + 1;
	control_login(LOGIN_NEW_SERVER_KEY);
	until("busy: /key", is_fetched);
	since = os_now();
	want_fetches++;
	until("busy: /key again", is_fetched);
	if (waited != 1 || os_now() - since < NS_PER_S * 9 / 10)
		errx(1, "busy: /key: %u waits, %lld ms", waited,
		    (long long)(os_now() - since) / 1000000);
	until("busy: running again", is_running);
}

#define HOTEL	"HTTP/1.1 302 Found\r\nLocation: http://hotel.test/\r\n\r\n"

/* Again and again, until it is seen. */
static int
is_portal(void)
{
	script.refusal = HOTEL;
	return !state.online && strstr(state.error, "captive portal is "
	    "likely") != NULL && strstr(state.error, "to hotel.test:") != NULL;
}

static void
test_portal(void)
{
	begin(serve_second, "");
	until("portal: running", is_running);
	hang_up();
	until("portal", is_portal);
	nrows = 0;
	health_answer(1);
	if (nrows != 0)			/* state.error says it already */
		errx(1, "portal: %zu rows", nrows);
	script.refusal = NULL;
	updates = 0;
	until("portal: let through", is_running);
	if (state.error[0] != '\0' || *health_text(HEALTH_PORTAL) != '\0')
		errx(1, "portal: still there");
}

static void
test_expiry(void)
{
	begin(serve_second, "");
	until("expiry: running", is_running);
	send_map(poll_stream, "{\"Node\":{\"ID\":1,\"Name\":\"a.t.example.\","
	    "\"MachineAuthorized\":true,\"KeyExpiry\":"
	    "\"2020-01-01T00:00:00Z\"}}");
	until("expiry: needs login", is_needing_login);
}

int
main(void)
{
	uint8_t	 rnd[32];

	event_init();
	arc4random_buf(machine_priv, sizeof(machine_priv));
	arc4random_buf(server_priv, sizeof(server_priv));
	(void)crypto_scalarmult_base(keys.machine, machine_priv);
	(void)crypto_scalarmult_base(server_pub, server_priv);
	arc4random_buf(rnd, sizeof(rnd));
	memcpy(keys.disco, rnd, sizeof(keys.disco));
	evtimer_set(&ev_crypt, crypt_cb, NULL);
	(void)strlcpy(stub_conf.c_msg.url, URL, sizeof(stub_conf.c_msg.url));
	(void)strlcpy(stub_conf.c_msg.hostname, "here",
	    sizeof(stub_conf.c_msg.hostname));
	stub_conf.c_msg.want_running = 1;
	control_init();
	map_init();
	cache_init();
	ping_init();
	peerping_init();
	script.request = serve_refused;
	control_keys(&keys);
	control_conf(1, 0);

	begin(serve_key, "secret");
	until("auth key", is_running);
	if (accepted != 1 || map_now()->nm_npeers != 1)
		return 2;
	hang_up();
	polls = 1;
	until("again after the connection was lost", is_polled_again);
	if (registers != 1)		/* once for the life of the process */
		return 3;
	control_want(0);
	until("down", is_stopped);
	control_want(1);
	until("up", is_running);

	begin(serve_url, "");
	until("login by URL", is_running);
	if (state.url[0] != '\0' || new_keys != 1)
		return 4;
	begin(serve_forgot, "");
	until("login after a forgotten URL", is_running);
	begin(serve_expired, "secret");
	until("expired key", is_running);
	begin(serve_refused, "secret");
	until("refused", is_refused);
	begin(serve_404, "secret");
	until("map refused", is_polled_again);
	if (registers != 2)		/* the server did not know the node */
		return 5;
	begin(serve_key, "secret");
	script.garbage = 1;
	until("garbage", is_in_trouble);
	script.garbage = 0;
	until("and good again", is_running);
	bad_second("bad message", "{\"Peers\":5}");
	bad_second("not JSON", "{");
	bad_second("a pause", "{\"Debug\":{\"SleepSeconds\":0.01}}");
	test_pings();
	test_peerping();
	test_plan();
	test_health();
	test_nocache();
	test_netinfo();
	test_refusals();
	test_pin();
	test_busy();
	test_portal();
	in_vain("locked", serve_locked, REFUSED_LOCK);
	in_vain("fresh key is expired", serve_outdated, REFUSED_EXPIRED);
	in_vain("old version", serve_400, REFUSED_NODE);
	in_vain("lapsed", serve_lapsed, REFUSED_EXPIRED);
	test_expiry();
	control_logout();
	until("the end", is_out);
	return 0;
}
