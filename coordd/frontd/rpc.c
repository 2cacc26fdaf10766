/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Between streams and stored: requests there, answers back, keep-alives.
 * Source: control.md 3, 4, 6.3.
 */

#include <sys/types.h>

#include <errno.h>
#include <event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontd.h"
#include "mapframe.h"
#include "os.h"

#define KEEP_JITTER	9	/* seconds */

static const uint8_t	 zero[MSG_KEY_LEN];
static struct log_limit	 bad_limit;

static void
rpc_head(struct stream *s, struct msg_rpc *rpc)
{
	rpc->conn = s->s_conn->c_id;
	rpc->stream = s->s_id;
}

/* Can stored take more? If not, the client hears of it. */
static int
rpc_stored_ok(struct stream *s)
{
	if (chan_queued(frontd_stored()) > MAX_RPC_QUEUE ||
	    frontd_stored()->c_open == 0) {
		stream_reply(s, 503, "busy, try again");
		return 0;
	}
	return 1;
}

static void
rpc_refuse(struct stream *s, const char *why)
{
	if (log_limit(&bad_limit, os_now(), 10, 60))
		log_warnx("%s: %s", conn_name(s->s_conn), why);
	stream_reply(s, 400, why);
}

/* Checks that both kinds of request share; answers what fails. */
static int
rpc_request_ok(struct stream *s, int64_t version, const uint8_t *node)
{
	char	 text[64];

	if (version < SRVREQ_MIN_VERSION) {
		snprintf(text, sizeof(text),
		    "unsupported client version: %lld", (long long)version);
		rpc_refuse(s, text);
		return 0;
	}
	if (memcmp(node, zero, sizeof(zero)) == 0) {
		rpc_refuse(s, "no node key");
		return 0;
	}
	return rpc_stored_ok(s);
}

/* A text that goes with a request, in as many messages as it needs. */
static void
rpc_data(struct stream *s, const char *text, size_t len)
{
	struct msg_rpc_list	 m;
	size_t			 n;

	for (; len > 0; len -= n, text += n) {
		n = len < MSG_CHUNK_MAX ? len : MSG_CHUNK_MAX;
		memset(&m, 0, sizeof(m));
		rpc_head(s, &m.rpc);
		m.n = n;
		(void)chan_compose2(frontd_stored(), IMSG_RPC_DATA, 0, -1, &m,
		    sizeof(m), text, n);
	}
}

static void
rpc_sent(struct stream *s)
{
	s->s_asked = 1;
	s->s_conn->c_known = 1;
}

static void
rpc_register_send(struct stream *s, const struct srvreq_register *sr)
{
	struct msg_rpc_register	 m;

	memset(&m, 0, sizeof(m));
	rpc_head(s, &m.rpc);
	memcpy(m.machine, s->s_conn->c_machine, sizeof(m.machine));
	memcpy(m.node, sr->sr_node, sizeof(m.node));
	memcpy(m.old_node, sr->sr_oldnode, sizeof(m.old_node));
	memcpy(m.nl, sr->sr_nl, sizeof(m.nl));
	if (sr->sr_expiry.jt_set) {
		/* A wish outside of what 64 bits hold is the past or never. */
		if (sr->sr_expiry.jt_sec > INT64_MAX / 1000000000 - 1)
			m.expiry = INT64_MAX;
		else if (sr->sr_expiry.jt_sec < 1)
			m.expiry = 1;
		else
			m.expiry = sr->sr_expiry.jt_sec * 1000000000 +
			    sr->sr_expiry.jt_nsec;
	}
	m.version = sr->sr_version;
	m.ephemeral = sr->sr_ephemeral;
	m.hostinfo_len = sr->sr_hostinfolen;
	if (strlcpy(m.auth_key, sr->sr_authkey, sizeof(m.auth_key)) >=
	    sizeof(m.auth_key) || strlcpy(m.followup, sr->sr_followup,
	    sizeof(m.followup)) >= sizeof(m.followup))
		rpc_refuse(s, "malformed request");
	else if (chan_compose(frontd_stored(), IMSG_RPC_REGISTER, 0, -1, &m,
	    sizeof(m)) == -1)
		stream_reply(s, 503, "restarting, try again");
	else {
		rpc_sent(s);
		rpc_data(s, sr->sr_hostinfo, sr->sr_hostinfolen);
	}
	explicit_bzero(&m, sizeof(m));
}

/* POST /machine/register; the body is complete. */
void
rpc_register(struct stream *s)
{
	struct srvreq_register	 sr;

	s->s_kind = STREAM_RPC;
	if (srvreq_register_parse(buf_data(&s->s_body), s->s_body.b_len,
	    &sr) == -1) {
		rpc_refuse(s, "malformed request");
		return;
	}
	if (rpc_request_ok(s, sr.sr_version, sr.sr_node))
		rpc_register_send(s, &sr);
	srvreq_register_free(&sr);
}

static void
rpc_endpoints(struct stream *s, const struct srvreq_map *sm)
{
	struct msg_endpoint	 ep[SRVREQ_MAX_ENDPOINTS];
	struct msg_rpc_list	 m;
	size_t			 i;

	if (sm->sm_nendpoints == 0)
		return;
	memset(&m, 0, sizeof(m));
	memset(ep, 0, sizeof(ep));
	rpc_head(s, &m.rpc);
	m.n = sm->sm_nendpoints;
	for (i = 0; i < sm->sm_nendpoints; i++) {
		ep[i].af = sm->sm_endpoints[i].se_af;
		ep[i].type = sm->sm_endpoints[i].se_type;
		ep[i].port = sm->sm_endpoints[i].se_port;
		memcpy(ep[i].addr, sm->sm_endpoints[i].se_addr,
		    sizeof(ep[i].addr));
	}
	(void)chan_compose2(frontd_stored(), IMSG_RPC_ENDPOINTS, 0, -1, &m,
	    sizeof(m), ep, m.n * sizeof(ep[0]));
}

static void
rpc_map_send(struct stream *s, const struct srvreq_map *sm)
{
	struct msg_rpc_map	 m;

	memset(&m, 0, sizeof(m));
	rpc_head(s, &m.rpc);
	memcpy(m.machine, s->s_conn->c_machine, sizeof(m.machine));
	memcpy(m.node, sm->sm_node, sizeof(m.node));
	memcpy(m.disco, sm->sm_disco, sizeof(m.disco));
	m.version = sm->sm_version;
	m.stream = sm->sm_stream;
	m.omit_peers = sm->sm_omitpeers;
	m.read_only = sm->sm_readonly;
	m.nendpoints = sm->sm_nendpoints;
	m.has_endpoints = sm->sm_has_endpoints;
	m.hostinfo_len = sm->sm_hostinfolen;
	if (chan_compose(frontd_stored(), IMSG_RPC_MAP, 0, -1, &m,
	    sizeof(m)) == -1) {
		stream_reply(s, 503, "restarting, try again");
		return;
	}
	rpc_sent(s);
	rpc_endpoints(s, sm);
	rpc_data(s, sm->sm_hostinfo, sm->sm_hostinfolen);
}

/* POST /machine/map; the body is complete. */
void
rpc_map(struct stream *s)
{
	struct srvreq_map	 sm;

	s->s_kind = STREAM_MAP;
	if (srvreq_map_parse(buf_data(&s->s_body), s->s_body.b_len,
	    &sm) == -1) {
		rpc_refuse(s, "malformed request");
		return;
	}
	s->s_poll = sm.sm_stream;
	s->s_zstd = sm.sm_zstd;
	s->s_keepalive = sm.sm_keepalive && sm.sm_stream;
	if (rpc_request_ok(s, sm.sm_version, sm.sm_node))
		rpc_map_send(s, &sm);
	srvreq_map_free(&sm);
}

static const struct call {
	const char	*method;
	const char	*path;
	uint32_t	 call;
} calls[] = {
	{ "GET",	"/machine/whoami",		RPC_CALL_WHOAMI },
	{ "PATCH",	"/machine/set-device-attr",	RPC_CALL_ATTR },
	{ "POST",	"/machine/update-health",	RPC_CALL_HEALTH },
	{ "POST",	"/machine/audit-log",		RPC_CALL_AUDIT },
	{ "POST",	"/machine/feature/query",	RPC_CALL_FEATURE },
	{ "POST",	"/machine/set-dns",		RPC_CALL_DNS },
	{ "POST",	"/machine/id-token",		RPC_CALL_IDTOKEN }
};

static void
rpc_call_send(struct stream *s, uint32_t call, const struct srvreq_call *sc)
{
	struct msg_rpc_call	 m;

	memset(&m, 0, sizeof(m));
	rpc_head(s, &m.rpc);
	memcpy(m.machine, s->s_conn->c_machine, sizeof(m.machine));
	memcpy(m.node, sc->sc_node, sizeof(m.node));
	m.call = call;
	m.version = sc->sc_version;
	m.data_len = sc->sc_len;
	if (chan_compose(frontd_stored(), IMSG_RPC_CALL, 0, -1, &m,
	    sizeof(m)) == -1) {
		stream_reply(s, 503, "restarting, try again");
		return;
	}
	rpc_sent(s);
	rpc_data(s, sc->sc_json, sc->sc_len);
}

/* A node's answer to what it was asked in its map: a HEAD, or a POST. */
static void
rpc_pong(struct stream *s, const char *id)
{
	struct srvreq_call	 sc;
	size_t			 len = s->s_body.b_len;

	s->s_kind = STREAM_RPC;
	if (strlen(id) != PING_ID_LEN) {
		stream_reply(s, 404, "not found");
		return;
	}
	if (!rpc_stored_ok(s))
		return;
	memset(&sc, 0, sizeof(sc));
	if ((sc.sc_json = malloc(PING_ID_LEN + len)) == NULL)
		fatal(NULL);
	memcpy(sc.sc_json, id, PING_ID_LEN);
	if (len > 0)
		memcpy(sc.sc_json + PING_ID_LEN, buf_data(&s->s_body), len);
	sc.sc_len = PING_ID_LEN + len;
	rpc_call_send(s, RPC_CALL_PONG, &sc);
	srvreq_call_free(&sc);
}

/* Source: control.md 5.1. */
int
rpc_call(struct stream *s)
{
	const struct call	*c = NULL;
	struct srvreq_call	 sc;
	size_t			 i;

	if (strncmp(s->s_path, "/machine/ping-response/", 23) == 0) {
		rpc_pong(s, s->s_path + 23);
		return 1;
	}
	for (i = 0; i < nitems(calls); i++)
		if (strcmp(s->s_path, calls[i].path) == 0)
			c = &calls[i];
	if (c == NULL)
		return 0;
	s->s_kind = STREAM_RPC;
	if (strcmp(s->s_method, c->method) != 0)
		stream_reply(s, 405, "wrong method");
	else if (srvreq_call_parse(buf_data(&s->s_body), s->s_body.b_len,
	    &sc) == -1)
		rpc_refuse(s, "malformed request");
	else {
		if (rpc_stored_ok(s))
			rpc_call_send(s, c->call, &sc);
		srvreq_call_free(&sc);
	}
	return 1;
}

/* A stream is gone, or (0) all of its connection. */
void
rpc_close(struct conn *c, uint32_t stream)
{
	struct msg_rpc	 m;

	memset(&m, 0, sizeof(m));
	m.conn = c->c_id;
	m.stream = stream;
	(void)chan_compose(frontd_stored(), IMSG_RPC_CLOSE, 0, -1, &m,
	    sizeof(m));
}

static void
rpc_keepalive_restart(struct stream *s)
{
	struct timeval	 tv;

	if (s->s_keepalive == 0)
		return;
	tv.tv_sec = frontd_conf()->keepalive_s +
	    arc4random_uniform(KEEP_JITTER);
	tv.tv_usec = arc4random_uniform(1000000);
	evtimer_add(&s->s_ev_keep, &tv);
}

/* The same bytes for everybody: made once for each form. */
static void
rpc_keepalive_push(struct stream *s)
{
	static const char	 text[] = "{\"KeepAlive\":true}";
	static uint8_t		*frame[2];
	static size_t		 len[2];
	uint8_t			*p;
	int			 z;

	z = s->s_zstd != 0;
	if (frame[z] == NULL && mapframe_encode(z, text, sizeof(text) - 1,
	    &frame[z], &len[z]) == -1)
		fatal("keep-alive");
	if ((p = malloc(len[z])) == NULL)
		fatal(NULL);
	memcpy(p, frame[z], len[z]);
	stream_push(s, p, len[z]);
}

/*
 * Nothing was said for a while. The PING beside it tells us of a client that
 * is gone without a word long before TCP would.
 */
void
rpc_keepalive_cb(int fd, short events, void *arg)
{
	struct stream	*s = arg;
	struct conn	*c = s->s_conn;

	if (c->c_pinged && c->c_alive == 0) {
		conn_close(c, "no answer to a ping");
		return;
	}
	if (s->s_queued == 0)
		rpc_keepalive_push(s);
	rpc_keepalive_restart(s);
	h2_ping(c);
	conn_flush(c);
}

/*
 * Frame a message. A change goes to many nodes in the same words, one after
 * another: the last frame is kept. The caller frees.
 */
static int
rpc_frame(const struct buf *msg, int zstd, uint8_t **frame, size_t *len)
{
	static struct buf	 last;
	static uint8_t		*last_frame;
	static size_t		 last_len;
	static int		 last_zstd;

	if (msg->b_len != last.b_len || zstd != last_zstd ||
	    memcmp(buf_data(msg), buf_data(&last), last.b_len) != 0) {
		buf_free(&last);
		free(last_frame);
		last_frame = NULL;
		if (mapframe_encode(zstd, buf_data(msg), msg->b_len,
		    &last_frame, &last_len) == -1)
			return -1;
		buf_add(&last, buf_data(msg), msg->b_len);
		last_zstd = zstd;
	}
	if ((*frame = malloc(last_len)) == NULL)
		fatal(NULL);
	memcpy(*frame, last_frame, last_len);
	*len = last_len;
	return 0;
}

/* One message of a map is complete: frame it, queue it. */
static void
rpc_map_message(struct stream *s)
{
	uint8_t	*frame;
	size_t	 len;

	if (rpc_frame(&s->s_msg, s->s_zstd, &frame, &len) == -1) {
		log_warn("map message of %zu bytes", s->s_msg.b_len);
		h2_reset(s);
	} else {
		stream_push(s, frame, len);
		if (s->s_answered == 0)
			(void)h2_respond(s, 200, "application/json", 1);
	}
	buf_free(&s->s_msg);
	rpc_keepalive_restart(s);
}

static void
rpc_map_answer(struct stream *s, uint32_t flags)
{
	if ((flags & RPC_F_MSGEND) && s->s_msg.b_len > 0)
		rpc_map_message(s);
	if ((flags & RPC_F_END) == 0)
		return;
	evtimer_del(&s->s_ev_keep);
	if (s->s_answered) {
		s->s_end = 1;
		h2_resume(s);
	} else	/* an empty 200 would make the client loop */
		stream_reply(s, 500, "no map");
}

static void
rpc_plain_answer(struct stream *s)
{
	const char	*type;
	uint8_t		*p;
	size_t		 len;

	s->s_end = 1;
	type = s->s_type == RPC_T_TEXT ? "text/plain; charset=utf-8" :
	    "application/json";
	len = s->s_msg.b_len;
	if (len == 0 && s->s_poll) {
		stream_reply(s, s->s_status == 200 ? 500 : s->s_status,
		    "no map");
		return;
	}
	if (len > 0) {
		if ((p = malloc(len)) == NULL)
			fatal(NULL);
		memcpy(p, buf_data(&s->s_msg), len);
		stream_push(s, p, len);
	}
	buf_free(&s->s_msg);
	(void)h2_respond(s, s->s_status, type, len > 0);
}

/* stored's words for one stream. 0, or -1 if they make no sense. */
static int
rpc_answer_take(struct stream *s, const struct msg_rpc_answer *m,
    const uint8_t *data)
{
	if (s->s_status == 0) {
		if (m->status < 200 || m->status > 599 || m->type > RPC_T_MAP)
			return -1;
		s->s_status = m->status;
		s->s_type = m->type;
	}
	if (m->len > MAPFRAME_MAX_PLAIN - s->s_msg.b_len)
		return -1;
	buf_add(&s->s_msg, data, m->len);
	if (m->rpc.flags & RPC_F_END)
		s->s_asked = 0;
	if (s->s_type == RPC_T_MAP && s->s_status == 200)
		rpc_map_answer(s, m->rpc.flags);
	else if (m->rpc.flags & RPC_F_END)
		rpc_plain_answer(s);
	return 0;
}

/* RPC_ANSWER from stored. -1: it breaks the rules. */
int
rpc_answer(struct imsg *imsg)
{
	struct msg_rpc_answer	 m;
	struct stream		*s;
	struct conn		*c;
	const uint8_t		*data;

	if (msg_list(imsg, &m, sizeof(m), &data) == -1 ||
	    msg_list_ok(imsg, sizeof(m), m.len, 1) == -1)
		return -1;
	if ((s = stream_find(m.rpc.conn, m.rpc.stream)) == NULL)
		return 0;	/* the client was faster */
	if (s->s_asked == 0)
		return 0;
	c = s->s_conn;
	if (rpc_answer_take(s, &m, data) == -1)
		return -1;
	conn_flush(c);
	return 0;
}
