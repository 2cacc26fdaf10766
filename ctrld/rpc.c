/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Requests over the HTTP/2 of a control session.
 */

#include <sys/types.h>

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"

static void
rpc_free(struct rpc *r)
{
	(void)evtimer_del(&r->r_ev);
	TAILQ_REMOVE(session_rpcs(r->r_sess), r, r_entry);
	(void)nghttp2_session_set_stream_user_data(session_h2(r->r_sess),
	    r->r_stream, NULL);
	freezero(r->r_body, r->r_bodylen);
	free(r);
}

static void
rpc_done(struct rpc *r, const char *error)
{
	r->r_cb->rc_done(r, r->r_arg, error);
	rpc_free(r);
}

/* Reset the stream; the server need not answer any more. */
static void
rpc_reset(struct rpc *r)
{
	(void)nghttp2_submit_rst_stream(session_h2(r->r_sess),
	    NGHTTP2_FLAG_NONE, r->r_stream, NGHTTP2_CANCEL);
}

void
rpc_cancel(struct rpc *r)
{
	struct session	*s;

	if (r == NULL)
		return;
	s = r->r_sess;
	rpc_reset(r);
	rpc_free(r);
	session_flush(s);
}

static void
rpc_timeout_cb(int fd, short events, void *arg)
{
	struct rpc	*r = arg;
	struct session	*s = r->r_sess;

	rpc_reset(r);
	/* Or the closing of the stream would tell the owner again. */
	(void)nghttp2_session_set_stream_user_data(session_h2(s),
	    r->r_stream, NULL);
	rpc_done(r, "no answer in time");
	session_flush(s);
}

void
rpc_timeout(struct rpc *r, unsigned int seconds)
{
	struct timeval	 tv;

	(void)evtimer_del(&r->r_ev);
	if (seconds == 0)
		return;
	tv.tv_sec = seconds;
	tv.tv_usec = 0;
	(void)evtimer_add(&r->r_ev, &tv);
}

void
rpc_lost(struct session *s, const char *why)
{
	struct rpc	*r;

	while ((r = TAILQ_FIRST(session_rpcs(s))) != NULL)
		rpc_done(r, why);
}

static ssize_t
rpc_body_cb(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t len,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct rpc	*r = source->ptr;
	size_t		 n;

	n = r->r_bodylen - r->r_bodyoff;
	if (n > len)
		n = len;
	memcpy(buf, r->r_body + r->r_bodyoff, n);
	r->r_bodyoff += n;
	if (r->r_bodyoff == r->r_bodylen)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return n;
}

/* nghttp2 copies names and values; its structure just lacks a const. */
static void
header(nghttp2_nv *nv, const char *name, const char *value)
{
	union {
		const char	*in;
		uint8_t		*out;
	} n, v;

	n.in = name;
	v.in = value;
	nv->name = n.out;
	nv->namelen = strlen(name);
	nv->value = v.out;
	nv->valuelen = strlen(value);
	nv->flags = NGHTTP2_NV_FLAG_NONE;
}

struct rpc *
rpc_start(struct session *s, const char *method, const char *path,
    uint8_t *body, size_t len, unsigned int timeout, const struct rpc_cb *cb,
    void *arg)
{
	nghttp2_data_provider	 dp;
	nghttp2_nv		 nv[6];
	struct rpc		*r;
	char			 length[32];
	size_t			 n;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		fatal(NULL);
	r->r_sess = s;
	r->r_cb = cb;
	r->r_arg = arg;
	r->r_body = body;
	r->r_bodylen = len;
	r->r_retry = -1;
	(void)snprintf(length, sizeof(length), "%zu", len);
	n = 0;
	header(&nv[n++], ":method", method);
	header(&nv[n++], ":scheme", "https");
	header(&nv[n++], ":authority", session_authority(s));
	header(&nv[n++], ":path", path);
	header(&nv[n++], "user-agent", "shoal");
	if (len > 0)
		header(&nv[n++], "content-length", length);
	memset(&dp, 0, sizeof(dp));
	dp.source.ptr = r;
	dp.read_callback = rpc_body_cb;
	r->r_stream = nghttp2_submit_request(session_h2(s), NULL, nv, n,
	    len > 0 ? &dp : NULL, r);
	if (r->r_stream < 0) {
		freezero(body, len);
		free(r);
		return NULL;
	}
	evtimer_set(&r->r_ev, rpc_timeout_cb, r);
	TAILQ_INSERT_TAIL(session_rpcs(s), r, r_entry);
	rpc_timeout(r, timeout);
	session_flush(s);
	return r;
}

/* --- callbacks of nghttp2 --- */

static int
h2_header_cb(nghttp2_session *h2, const nghttp2_frame *f,
    const uint8_t *name, size_t nlen, const uint8_t *value, size_t vlen,
    uint8_t flags, void *arg)
{
	struct rpc	*r;
	const char	*errstr, *v;
	char		 buf[8];

	r = nghttp2_session_get_stream_user_data(h2, f->hd.stream_id);
	if (r == NULL)
		return 0;
	if (nlen == 11 && memcmp(name, "retry-after", 11) == 0) {
		v = (const char *)value;
		r->r_retry = retry_after(v, vlen, os_date() / NS_PER_S);
	} else if (nlen == 7 && memcmp(name, ":status", 7) == 0 &&
	    vlen < sizeof(buf)) {
		memcpy(buf, value, vlen);
		buf[vlen] = '\0';
		r->r_status = strtonum(buf, 0, 999, &errstr);
	}
	return 0;
}

uint32_t
rpc_retry_ms(const struct rpc *r)
{
	return retry_asked_ms(r->r_status, r->r_retry, arc4random());
}

static int
h2_frame_cb(nghttp2_session *h2, const nghttp2_frame *f, void *arg)
{
	struct session	*s = arg;
	struct rpc	*r;

	if (f->hd.type == NGHTTP2_PING && f->hd.flags & NGHTTP2_FLAG_ACK)
		session_pong(s);
	if (f->hd.type != NGHTTP2_HEADERS)
		return 0;
	r = nghttp2_session_get_stream_user_data(h2, f->hd.stream_id);
	/* Informational answers (1xx) are followed by the real one. */
	if (r == NULL || r->r_status < 200)
		return 0;
	if (r->r_cb->rc_head(r, r->r_arg) == -1) {
		rpc_reset(r);
		rpc_free(r);
	}
	return 0;
}

static int
h2_data_cb(nghttp2_session *h2, uint8_t flags, int32_t id,
    const uint8_t *data, size_t len, void *arg)
{
	struct rpc	*r;

	r = nghttp2_session_get_stream_user_data(h2, id);
	if (r == NULL)
		return 0;
	r->r_got += len;
	if (r->r_cb->rc_data(r, r->r_arg, data, len) == -1) {
		rpc_reset(r);
		rpc_free(r);
	}
	return 0;
}

static int
h2_close_cb(nghttp2_session *h2, int32_t id, uint32_t code, void *arg)
{
	struct rpc	*r;
	char		 why[MSG_TEXT_LEN];

	if ((r = nghttp2_session_get_stream_user_data(h2, id)) == NULL)
		return 0;
	if (code == NGHTTP2_NO_ERROR) {
		rpc_done(r, NULL);
		return 0;
	}
	(void)snprintf(why, sizeof(why), "stream reset by the server: %s",
	    nghttp2_http2_strerror(code));
	rpc_done(r, why);
	return 0;
}

void
rpc_h2_callbacks(struct nghttp2_session_callbacks *cbs)
{
	nghttp2_session_callbacks_set_on_header_callback(cbs, h2_header_cb);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cbs,
	    h2_frame_cb);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs,
	    h2_data_cb);
	nghttp2_session_callbacks_set_on_stream_close_callback(cbs,
	    h2_close_cb);
}
