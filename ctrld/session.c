/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * One control session: upgrade, Noise handshake (by cryptod), records, and
 * the bytes of HTTP/2 in them.
 */

#include <sys/types.h>

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"
#include "jsonutil.h"

#define PING_TIMEOUT	15	/* seconds */
#define WINDOW_STREAM	(1024 * 1024)
#define WINDOW_SESSION	(4 * 1024 * 1024)

enum session_state {
	SESS_CONNECT,		/* conn is on its way */
	SESS_INIT,		/* cryptod makes the initiation */
	SESS_UPGRADE,		/* 101 is awaited */
	SESS_RESPONSE,		/* Noise response is awaited */
	SESS_KEYS,		/* cryptod makes the keys */
	SESS_UP,
	SESS_OVER
};

struct session {
	TAILQ_ENTRY(session)	 s_entry;
	struct event		 s_evping;
	struct event		 s_evlimit;	/* until up */
	char			 s_urltext[MSG_NAME_LEN];
	char			 s_auth[MSG_NAME_LEN + 16];
	char			 s_host[MSG_NAME_LEN];
	struct rpcs		 s_rpcs;
	struct noise_early	 s_early;
	const struct session_cb	*s_cb;
	void			*s_arg;
	struct conn		*s_conn;
	struct noise_record	*s_tx;
	struct noise_record	*s_rx;
	nghttp2_session		*s_h2;
	uint8_t			*s_in;		/* not yet understood */
	size_t			 s_inlen;
	enum session_state	 s_state;
	uint32_t		 s_id;		/* of the handshake */
	uint32_t		 s_code;
	int			 s_earlydone;
	int			 s_flushing;
	uint8_t			 s_server[MSG_KEY_LEN];
};

/* A handshake answer, or a record, with what else one read brings. */
#define IN_MAX	(HTTP_HEAD_MAX + 65536)

/* The one in use, or those that race to become it. */
static TAILQ_HEAD(, session)	 sessions = TAILQ_HEAD_INITIALIZER(sessions);

static void	 sess_up(struct conn *, void *);
static void	 sess_data(struct conn *, void *, uint8_t *, size_t);
static void	 sess_lost(struct conn *, void *, const char *);

static const struct conn_cb	 sess_cb = { sess_up, sess_data, sess_lost };

struct nghttp2_session *
session_h2(struct session *s)
{
	return s->s_h2;
}

struct rpcs *
session_rpcs(struct session *s)
{
	return &s->s_rpcs;
}

const char *
session_authority(struct session *s)
{
	return s->s_auth;
}

static void
session_free(struct session *s)
{
	TAILQ_REMOVE(&sessions, s, s_entry);
	(void)evtimer_del(&s->s_evping);
	(void)evtimer_del(&s->s_evlimit);
	if (s->s_state == SESS_INIT || s->s_state == SESS_UPGRADE ||
	    s->s_state == SESS_RESPONSE || s->s_state == SESS_KEYS)
		(void)chan_compose(ctrld_cryptod(), IMSG_NOISE_CANCEL,
		    s->s_id, -1, NULL, 0);
	conn_close(s->s_conn);
	nghttp2_session_del(s->s_h2);
	noise_record_free(s->s_tx);
	noise_record_free(s->s_rx);
	noise_early_free(&s->s_early);
	free(s->s_in);
	free(s);
}

void
session_close(struct session *s)
{
	struct rpc	*r;

	if (s == NULL)
		return;
	s->s_flushing = 1;		/* no more words to the server */
	while ((r = TAILQ_FIRST(&s->s_rpcs)) != NULL)
		rpc_cancel(r);
	session_free(s);
}

/*
 * The session has failed. Only the conn's lost callback, which comes from
 * the loop, frees it: whoever called us may still be using it.
 */
static void
session_fail(struct session *s, const char *why, uint32_t code)
{
	if (s->s_state == SESS_OVER)
		return;
	if (s->s_state >= SESS_INIT && s->s_state <= SESS_KEYS)
		(void)chan_compose(ctrld_cryptod(), IMSG_NOISE_CANCEL,
		    s->s_id, -1, NULL, 0);
	s->s_state = SESS_OVER;
	s->s_code = code;
	conn_abort(s->s_conn, why);
}

static void
sess_lost(struct conn *conn, void *arg, const char *why)
{
	struct session		*s = arg;
	const struct session_cb	*cb;
	char			 text[MSG_TEXT_LEN];
	uint32_t		 code;
	void			*cbarg;

	s->s_conn = NULL;
	cb = s->s_cb;
	cbarg = s->s_arg;
	code = s->s_code;
	(void)strlcpy(text, why, sizeof(text));
	s->s_flushing = 1;
	rpc_lost(s, text);
	session_free(s);
	cb->sc_lost(cbarg, text, code);
}

static void
session_limit_cb(int fd, short events, void *arg)
{
	session_fail(arg, "no control session in time", MSG_E_TIMEOUT);
}

static void
session_ping_cb(int fd, short events, void *arg)
{
	session_fail(arg, "server does not answer pings", MSG_E_TIMEOUT);
}

struct session *
session_open(const struct dial_try *t, const char *text,
    const uint8_t server[MSG_KEY_LEN], const struct session_cb *cb, void *arg)
{
	struct conn_opt	 opt;
	struct session	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal(NULL);
	s->s_cb = cb;
	s->s_arg = arg;
	s->s_code = MSG_E_CONN;
	(void)strlcpy(s->s_urltext, text, sizeof(s->s_urltext));
	url_authority(&t->dt_url, s->s_auth, sizeof(s->s_auth));
	(void)strlcpy(s->s_host, t->dt_url.u_host, sizeof(s->s_host));
	memcpy(s->s_server, server, sizeof(s->s_server));
	TAILQ_INIT(&s->s_rpcs);
	noise_early_init(&s->s_early);
	evtimer_set(&s->s_evlimit, session_limit_cb, s);
	timer_ms(&s->s_evlimit, t->dt_limit);
	evtimer_set(&s->s_evping, session_ping_cb, s);
	TAILQ_INSERT_TAIL(&sessions, s, s_entry);
	/* Noise authenticates the server, so TLS need only carry it. */
	memset(&opt, 0, sizeof(opt));
	opt.co_ip = t->dt_ip;
	opt.co_ace = t->dt_ace;
	opt.co_limit = t->dt_limit;
	opt.co_lax = 1;
	s->s_conn = conn_open(&t->dt_url, &opt, &sess_cb, s);
	return s;
}

void
session_adopt(struct session *s, const struct session_cb *cb, void *arg)
{
	s->s_cb = cb;
	s->s_arg = arg;
}

/* --- handshake --- */

static void
sess_up(struct conn *conn, void *arg)
{
	struct session		*s = arg;
	struct msg_noise_start	 m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.url, s->s_urltext, sizeof(m.url));
	memcpy(m.server, s->s_server, sizeof(m.server));
	m.version = CTRLD_CAPVER;
	s->s_id = ctrld_id();
	s->s_state = SESS_INIT;
	if (chan_compose(ctrld_cryptod(), IMSG_NOISE_START, s->s_id, -1, &m,
	    sizeof(m)) == -1)
		session_fail(s, "cryptod is being replaced", MSG_E_CONN);
}

static struct session *
session_find(uint32_t id, enum session_state state)
{
	struct session	*s;

	TAILQ_FOREACH(s, &sessions, s_entry)
		if (s->s_id == id && s->s_state == state)
			return s;
	return NULL;
}

static int
session_alive(const struct session *me)
{
	struct session	*s;

	TAILQ_FOREACH(s, &sessions, s_entry)
		if (s == me)
			return 1;
	return 0;
}

int
session_noise_msg1(struct imsg *imsg)
{
	struct msg_noise_msg1	 m;
	struct session		*s;
	char			*b64, *req;
	int			 n;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	if ((s = session_find(imsg_get_id(imsg), SESS_INIT)) == NULL)
		return 0;
	if (m.error != MSG_OK) {
		session_fail(s, msg_strerror(m.error), m.error);
		return 0;
	}
	if ((b64 = ju_base64(m.msg, sizeof(m.msg))) == NULL)
		fatal(NULL);
	n = asprintf(&req, "POST /ts2021 HTTP/1.1\r\nHost: %s\r\n"
	    "User-Agent: shoal\r\nContent-Length: 0\r\n"
	    "Connection: upgrade\r\n"
	    "Upgrade: tailscale-control-protocol\r\n"
	    "X-Tailscale-Handshake: %s\r\n\r\n", s->s_auth, b64);
	if (n == -1)
		fatal(NULL);
	s->s_state = SESS_UPGRADE;
	conn_write(s->s_conn, req, n);
	free(req);
	free(b64);
	return 0;
}

/* Most of the time nothing waits: then it takes no memory. */
static void
in_drop(struct session *s, size_t n)
{
	if (n == s->s_inlen) {
		free(s->s_in);
		s->s_in = NULL;
		s->s_inlen = 0;
		return;
	}
	memmove(s->s_in, s->s_in + n, s->s_inlen - n);
	s->s_inlen -= n;
}

/* 1: taken, look again; 0: more is needed, or it is over. */
static int
in_upgrade(struct session *s)
{
	struct http_head	 h;
	char			 why[MSG_TEXT_LEN];
	ssize_t			 n;

	n = http_head_parse(s->s_in, s->s_inlen, &h);
	if (n == 0)
		return 0;
	if (n == -1) {
		session_fail(s, "answer to the upgrade is not HTTP, or its "
		    "head is too long", MSG_E_CONN);
		return 0;
	}
	if (h.h_status != 101 || !h.h_noise || !h.h_upgrade) {
		portal_found(&h, s->s_host);
		(void)snprintf(why, sizeof(why), "upgrade to the control "
		    "protocol refused: HTTP status %d%s", h.h_status,
		    h.h_status / 100 == 2 || h.h_status / 100 == 3 ? ": no "
		    "control server, or something in its place (a captive "
		    "portal, a proxy)" : "");
		/* So a server whose key is another one by now answers, ... */
		session_fail(s, why, h.h_status / 100 == 4 &&
		    h.h_status != 429 ? MSG_E_CRYPTO : MSG_E_CONN);
		return 0;
	}
	s->s_state = SESS_RESPONSE;
	s->s_code = MSG_E_CRYPTO;	/* ... or it hangs up from here on. */
	in_drop(s, n);
	return 1;
}

static void
response_refused(struct session *s)
{
	char	 text[128], vis[2 * sizeof(text)], why[MSG_TEXT_LEN];
	size_t	 n;

	if (errno != ECONNREFUSED) {
		session_fail(s, "not a Noise response", MSG_E_CRYPTO);
		return;
	}
	/* The frame's text; a hint only, it is not authenticated. */
	n = s->s_inlen - NOISE_HDR_LEN;
	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	memcpy(text, s->s_in + NOISE_HDR_LEN, n);
	text[n] = '\0';
	text_vis(vis, sizeof(vis), text);
	(void)snprintf(why, sizeof(why), "server refuses: %s", vis);
	session_fail(s, why, MSG_E_CRYPTO);
}

static int
in_response(struct session *s)
{
	struct msg_noise_msg2	 m;
	ssize_t			 n;

	n = noise_response_len(s->s_in, s->s_inlen);
	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(m.msg)) {
		if (n != -1)
			errno = EPROTO;
		response_refused(s);
		return 0;
	}
	memset(&m, 0, sizeof(m));
	memcpy(m.msg, s->s_in, sizeof(m.msg));
	in_drop(s, n);
	s->s_state = SESS_KEYS;
	if (chan_compose(ctrld_cryptod(), IMSG_NOISE_MSG2, s->s_id, -1, &m,
	    sizeof(m)) == -1)
		session_fail(s, "cryptod is being replaced", MSG_E_CONN);
	return 0;
}

/* --- HTTP/2 in records --- */

/* What HTTP/2 has to say, in records. */
void
session_flush(struct session *s)
{
	const uint8_t	*p;
	uint8_t		 frame[NOISE_FRAME_MAX];
	ssize_t		 len, n, part;

	if (s->s_state != SESS_UP || s->s_flushing)
		return;
	s->s_flushing = 1;
	while (s->s_state == SESS_UP &&
	    (len = nghttp2_session_mem_send(s->s_h2, &p)) > 0) {
		for (; len > 0; len -= part, p += part) {
			part = len < NOISE_PLAIN_MAX ? len : NOISE_PLAIN_MAX;
			n = noise_seal(s->s_tx, p, part, frame);
			if (n == -1) {
				session_fail(s, "sealing", MSG_E_CRYPTO);
				break;
			}
			conn_write(s->s_conn, frame, n);
		}
	}
	s->s_flushing = 0;
	if (s->s_state == SESS_UP && !nghttp2_session_want_read(s->s_h2) &&
	    !nghttp2_session_want_write(s->s_h2))
		session_fail(s, "HTTP/2 session ended by the server",
		    MSG_E_CONN);
}

static void
h2_input(struct session *s, const uint8_t *p, size_t len)
{
	ssize_t	 n;

	n = nghttp2_session_mem_recv(s->s_h2, p, len);
	if (n < 0 && s->s_state == SESS_UP)
		session_fail(s, nghttp2_strerror(n), MSG_E_CONN);
}

/* The first plaintext may be the early payload: checked, then skipped. */
static void
plain_input(struct session *s, const uint8_t *p, size_t len)
{
	json_t	*j;
	size_t	 used;

	if (!s->s_earlydone) {
		switch (noise_early_feed(&s->s_early, p, len, &used)) {
		case NOISE_EARLY_MORE:
			return;
		case NOISE_EARLY_NONE:
			s->s_earlydone = 1;
			h2_input(s, s->s_early.ne_hdr, s->s_early.ne_hdrlen);
			break;
		case NOISE_EARLY_DONE:
			s->s_earlydone = 1;
			j = ju_load(s->s_early.ne_json, s->s_early.ne_len);
			if (j == NULL)
				session_fail(s, "early payload is not JSON",
				    MSG_E_CONN);
			json_decref(j);
			noise_early_free(&s->s_early);
			break;
		default:
			session_fail(s, "early payload is too long",
			    MSG_E_CONN);
			return;
		}
		p += used;
		len -= used;
	}
	if (len > 0 && s->s_state == SESS_UP)
		h2_input(s, p, len);
}

static void
in_records(struct session *s)
{
	ssize_t	 flen, n;
	size_t	 off;

	off = 0;
	while (s->s_state == SESS_UP &&
	    (flen = noise_frame_len(s->s_in + off, s->s_inlen - off)) != 0) {
		if (flen == -1) {
			session_fail(s, "not a Noise record", MSG_E_CRYPTO);
			return;
		}
		if ((size_t)flen > s->s_inlen - off)
			break;
		n = noise_open(s->s_rx, s->s_in + off, flen);
		if (n == -1) {
			session_fail(s, "record does not authenticate",
			    MSG_E_CRYPTO);
			return;
		}
		if (n > 0)
			plain_input(s, s->s_in + off + NOISE_HDR_LEN, n);
		off += flen;
	}
	if (s->s_state != SESS_UP)
		return;
	in_drop(s, off);
	session_flush(s);
}

static void
in_process(struct session *s)
{
	if (s->s_state == SESS_UPGRADE)
		(void)in_upgrade(s);
	if (s->s_state == SESS_RESPONSE)
		(void)in_response(s);
	if (s->s_state == SESS_UP)
		in_records(s);
}

static void
sess_data(struct conn *conn, void *arg, uint8_t *p, size_t len)
{
	struct session	*s = arg;

	if (s->s_state == SESS_OVER)
		return;
	if (s->s_state < SESS_UPGRADE || len > IN_MAX - s->s_inlen) {
		session_fail(s, "server sends too much too early",
		    MSG_E_CONN);
		return;
	}
	if (s->s_in == NULL && (s->s_in = malloc(IN_MAX)) == NULL)
		fatal(NULL);
	memcpy(s->s_in + s->s_inlen, p, len);
	s->s_inlen += len;
	in_process(s);
}

static int
h2_start(struct session *s)
{
	static const nghttp2_settings_entry	 iv[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX }
	};
	nghttp2_session_callbacks		*cbs;
	nghttp2_option				*opt;
	int					 r;

	if (nghttp2_session_callbacks_new(&cbs) != 0 ||
	    nghttp2_option_new(&opt) != 0)
		fatal(NULL);
	rpc_h2_callbacks(cbs);
	nghttp2_option_set_max_outbound_ack(opt, 1000);
	r = nghttp2_session_client_new2(&s->s_h2, cbs, s, opt);
	nghttp2_session_callbacks_del(cbs);
	nghttp2_option_del(opt);
	if (r != 0)
		return -1;
	if (nghttp2_submit_settings(s->s_h2, NGHTTP2_FLAG_NONE, iv,
	    sizeof(iv) / sizeof(iv[0])) != 0 ||
	    nghttp2_session_set_local_window_size(s->s_h2, NGHTTP2_FLAG_NONE,
	    0, WINDOW_SESSION) != 0)
		return -1;
	return 0;
}

int
session_noise_keys(struct imsg *imsg)
{
	struct msg_noise_keys	 m;
	struct session		*s;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	s = session_find(imsg_get_id(imsg), SESS_KEYS);
	if (s == NULL || m.error != MSG_OK) {
		if (s != NULL)
			session_fail(s, msg_strerror(m.error), m.error);
		explicit_bzero(&m, sizeof(m));
		return 0;
	}
	s->s_tx = noise_record_new(m.tx, 0, 1);
	s->s_rx = noise_record_new(m.rx, 0, 0);
	explicit_bzero(&m, sizeof(m));
	if (s->s_tx == NULL || s->s_rx == NULL || h2_start(s) == -1)
		fatal(NULL);
	s->s_state = SESS_UP;
	s->s_code = MSG_E_CONN;
	(void)evtimer_del(&s->s_evlimit);
	session_flush(s);
	if (s->s_state == SESS_UP)
		s->s_cb->sc_up(s, s->s_arg);
	/* What came along with the handshake. */
	if (session_alive(s) && s->s_state == SESS_UP && s->s_inlen > 0)
		in_records(s);
	return 0;
}

/* --- pings --- */

void
session_ping(struct session *s)
{
	struct timeval	 tv = { PING_TIMEOUT, 0 };

	if (s->s_state != SESS_UP || evtimer_pending(&s->s_evping, NULL))
		return;
	if (nghttp2_submit_ping(s->s_h2, NGHTTP2_FLAG_NONE, NULL) != 0)
		return;
	(void)evtimer_add(&s->s_evping, &tv);
	session_flush(s);
}

void
session_pong(struct session *s)
{
	(void)evtimer_del(&s->s_evping);
}
