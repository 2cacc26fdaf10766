/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The HTTP/2 session of one connection, inside Noise records.
 * Source: control.md 2.4 to 2.6.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontd.h"
#include "os.h"

#define RETRY_AFTER	"5"	/* seconds, to who asks too often */

static nghttp2_session_callbacks	*callbacks;
static nghttp2_option			*option;

static int
h2_begin_headers_cb(nghttp2_session *h2, const nghttp2_frame *f, void *arg)
{
	struct conn	*c = arg;

	if (f->hd.type != NGHTTP2_HEADERS ||
	    f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	(void)stream_new(c, f->hd.stream_id);
	return 0;
}

/* Only method and path matter; :authority may say anything. */
static int
h2_header_cb(nghttp2_session *h2, const nghttp2_frame *f,
    const uint8_t *name, size_t nlen, const uint8_t *value, size_t vlen,
    uint8_t flags, void *arg)
{
	struct stream	*s;
	char		*dst;
	size_t		 size;

	s = nghttp2_session_get_stream_user_data(h2, f->hd.stream_id);
	if (s == NULL)
		return 0;
	s->s_headers += nlen + vlen + 32;
	if (s->s_headers > MAX_HEADERS) {
		conn_close(s->s_conn, "header list too long");
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	if (nlen == 7 && memcmp(name, ":method", 7) == 0) {
		dst = s->s_method;
		size = sizeof(s->s_method);
	} else if (nlen == 5 && memcmp(name, ":path", 5) == 0) {
		dst = s->s_path;
		size = sizeof(s->s_path);
	} else
		return 0;
	if (vlen < size) {
		memcpy(dst, value, vlen);
		dst[vlen] = '\0';
	}
	return 0;
}

static int
h2_data_cb(nghttp2_session *h2, uint8_t flags, int32_t id,
    const uint8_t *data, size_t len, void *arg)
{
	struct stream	*s;

	if ((s = nghttp2_session_get_stream_user_data(h2, id)) == NULL)
		return 0;
	if (stream_body(s, data, len) == -1)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int
h2_frame_cb(nghttp2_session *h2, const nghttp2_frame *f, void *arg)
{
	struct conn	*c = arg;
	struct stream	*s;

	switch (f->hd.type) {
	case NGHTTP2_SETTINGS:
		c->c_settings = 1;
		break;
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		if ((f->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
			break;
		s = nghttp2_session_get_stream_user_data(h2, f->hd.stream_id);
		if (s != NULL)
			stream_complete(s);
		break;
	default:
		break;
	}
	return 0;
}

static int
h2_stream_close_cb(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	struct stream	*s;

	if ((s = nghttp2_session_get_stream_user_data(h2, id)) != NULL)
		stream_free(s);
	return 0;
}

static ssize_t
h2_read_cb(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t len,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct stream	*s = source->ptr;
	ssize_t		 n;
	int		 eof;

	n = stream_read(s, buf, len, &eof);
	if (eof)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	else if (n == 0) {
		s->s_deferred = 1;
		return NGHTTP2_ERR_DEFERRED;
	}
	return n;
}

/* Once for the process; nothing here depends on the connection. */
static void
h2_setup(void)
{
	if (callbacks != NULL)
		return;
	if (nghttp2_session_callbacks_new(&callbacks) != 0 ||
	    nghttp2_option_new(&option) != 0)
		fatal(NULL);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks,
	    h2_begin_headers_cb);
	nghttp2_session_callbacks_set_on_header_callback(callbacks,
	    h2_header_cb);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks,
	    h2_data_cb);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks,
	    h2_frame_cb);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
	    h2_stream_close_cb);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_settings(option, 32);
}

static int
h2_settings(struct conn *c)
{
	static const nghttp2_settings_entry	 iv[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 256 * 1024 },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEADERS }
	};

	return nghttp2_submit_settings(c->c_h2, NGHTTP2_FLAG_NONE, iv,
	    nitems(iv));
}

static int
h2_seal(struct conn *c, const uint8_t *data, size_t len)
{
	uint8_t	*frame;
	ssize_t	 n;

	conn_put_header(c, WS_BINARY, len + NOISE_HDR_LEN + NOISE_TAG_LEN);
	frame = buf_space(&c->c_out, NOISE_FRAME_MAX);
	if ((n = noise_seal(c->c_tx, data, len, frame)) == -1)
		return -1;
	buf_added(&c->c_out, n);
	return 0;
}

/* A challenge that no client answers yet, as upstream's servers send it. */
static int
h2_early(struct conn *c)
{
	uint8_t	 early[NOISE_EARLY_HDR_LEN + 256], key[32];
	char	*json;
	size_t	 len;

	arc4random_buf(key, sizeof(key));
	json = (char *)early + NOISE_EARLY_HDR_LEN;
	if (srvreq_early_build(key, json, sizeof(early) -
	    NOISE_EARLY_HDR_LEN) == -1)
		return -1;
	len = strlen(json);
	if (noise_early_header(len, early) == -1)
		return -1;
	return h2_seal(c, early, NOISE_EARLY_HDR_LEN + len);
}

/* The handshake is done: early payload and SETTINGS go out. */
int
h2_open(struct conn *c, const struct msg_srv_noise_out *m)
{
	h2_setup();
	c->c_rx = noise_record_new(m->rx, 0, 0);
	c->c_tx = noise_record_new(m->tx, 0, 1);
	if (c->c_rx == NULL || c->c_tx == NULL)
		fatal(NULL);
	if (nghttp2_session_server_new2(&c->c_h2, callbacks, c, option) != 0)
		fatal(NULL);
	c->c_idle = c->c_rate_at = os_now();
	c->c_rate = RATE_BURST * 1000;
	/* Upstream's WebSocket clients expect no early payload. */
	if ((!c->c_ws && h2_early(c) == -1) || h2_settings(c) != 0)
		return -1;
	return h2_fill(c);
}

void
h2_close(struct conn *c)
{
	struct stream	*s;

	while ((s = TAILQ_FIRST(&c->c_streams)) != NULL)
		stream_free(s);
	nghttp2_session_del(c->c_h2);
	c->c_h2 = NULL;
	noise_record_free(c->c_rx);
	noise_record_free(c->c_tx);
}

/* Take what has come. -1: the connection is to be closed. */
int
h2_input(struct conn *c)
{
	uint8_t	*frame;
	ssize_t	 len, n;

	while ((len = noise_frame_len(buf_data(&c->c_in),
	    c->c_in.b_len)) > 0) {
		frame = buf_data(&c->c_in);
		if ((n = noise_open(c->c_rx, frame, len)) == -1)
			return -1;
		c->c_alive = 1;
		c->c_busy = 1;
		if (n > 0)
			n = nghttp2_session_mem_recv(c->c_h2,
			    frame + NOISE_HDR_LEN, n);
		c->c_busy = 0;
		if (n < 0 || c->c_dead)
			return -1;
		buf_drain(&c->c_in, len);
	}
	return len == -1 ? -1 : 0;
}

/*
 * Seal what the session has to say, up to MAX_OUT. -1: close. What the
 * session gives in small frames leaves in full records.
 */
int
h2_fill(struct conn *c)
{
	static uint8_t	 plain[NOISE_PLAIN_MAX];
	const uint8_t	*data;
	ssize_t		 len, n;
	size_t		 fill;
	int		 ret;

	ret = 0;
	fill = 0;
	c->c_busy = 1;
	while (ret == 0 && c->c_out.b_len < MAX_OUT) {
		if ((len = nghttp2_session_mem_send(c->c_h2, &data)) <= 0) {
			ret = len < 0 ? -1 : 0;
			break;
		}
		for (; ret == 0 && len > 0; len -= n, data += n) {
			n = sizeof(plain) - fill;
			if (n > len)
				n = len;
			memcpy(plain + fill, data, n);
			fill += n;
			if (fill < sizeof(plain))
				continue;
			ret = h2_seal(c, plain, fill);
			fill = 0;
		}
	}
	c->c_busy = 0;
	if (ret == 0 && fill > 0)
		ret = h2_seal(c, plain, fill);
	explicit_bzero(plain, sizeof(plain));
	if (c->c_dead || (c->c_out.b_len == 0 &&
	    nghttp2_session_want_read(c->c_h2) == 0 &&
	    nghttp2_session_want_write(c->c_h2) == 0))
		return -1;
	return ret;
}

/* Every T_TICK seconds: has it gone to sleep? -1: close it. */
int
h2_tick(struct conn *c)
{
	struct stream	*s;
	int64_t		 now;

	now = os_now();
	if (c->c_settings == 0)
		return -1;
	if (c->c_out.b_len > 0 &&
	    now - c->c_progress > T_STALL * 1000000000LL)
		return -1;
	TAILQ_FOREACH(s, &c->c_streams, s_entry)
		if (stream_tick(s, now) == -1)
			return -1;
	if (!TAILQ_EMPTY(&c->c_streams))
		c->c_idle = now;
	else if (now - c->c_idle > T_IDLE * 1000000000LL)
		return nghttp2_session_terminate_session(c->c_h2,
		    NGHTTP2_NO_ERROR) == 0 ? 0 : -1;
	return 0;
}

/* Begin the response; with a body it is read by stream_read(). */
int
h2_respond(struct stream *s, int status, const char *type, int body)
{
	nghttp2_data_provider	 dp;
	nghttp2_nv		 nv[3];
	char			 code[8], ctype[64];

	snprintf(code, sizeof(code), "%d", status);
	strlcpy(ctype, type, sizeof(ctype));
	memset(nv, 0, sizeof(nv));
	nv[0].name = (uint8_t []){ ":status" };
	nv[0].namelen = 7;
	nv[0].value = (uint8_t *)code;
	nv[0].valuelen = strlen(code);
	nv[1].name = (uint8_t []){ "content-type" };
	nv[1].namelen = 12;
	nv[1].value = (uint8_t *)ctype;
	nv[1].valuelen = strlen(ctype);
	memset(&dp, 0, sizeof(dp));
	dp.source.ptr = s;
	dp.read_callback = h2_read_cb;
	s->s_answered = 1;
	nv[2].name = (uint8_t []){ "retry-after" };	/* of 429 alone */
	nv[2].namelen = 11;
	nv[2].value = (uint8_t []){ RETRY_AFTER };
	nv[2].valuelen = sizeof(RETRY_AFTER) - 1;
	if (nghttp2_submit_response(s->s_conn->c_h2, s->s_id, nv,
	    status == 429 ? 3 : 2,
	    body ? &dp : NULL) != 0) {
		h2_reset(s);
		return -1;
	}
	return 0;
}

/* There is more to read. */
void
h2_resume(struct stream *s)
{
	if (s->s_deferred == 0)
		return;
	s->s_deferred = 0;
	(void)nghttp2_session_resume_data(s->s_conn->c_h2, s->s_id);
}

void
h2_reset(struct stream *s)
{
	(void)nghttp2_submit_rst_stream(s->s_conn->c_h2, NGHTTP2_FLAG_NONE,
	    s->s_id, NGHTTP2_INTERNAL_ERROR);
}

void
h2_ping(struct conn *c)
{
	c->c_alive = 0;
	c->c_pinged = 1;
	(void)nghttp2_submit_ping(c->c_h2, NGHTTP2_FLAG_NONE, NULL);
}
