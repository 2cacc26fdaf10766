/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * DERP over WebSocket, for nodes that live in a browser: messages carry the
 * stream of frames, and their boundaries mean nothing.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "relay.h"
#include "ws.h"

#define CHUNK		32768		/* bytes of a message of ours */

struct webstream {
	size_t	 w_have;
	uint8_t	 w_buf[2 * WS_PAYLOAD_MAX];
};

struct webstream *
webstream_new(void)
{
	struct webstream	*w;

	if ((w = malloc(sizeof(*w))) == NULL)
		fatal(NULL);
	w->w_have = 0;
	return w;
}

void
webstream_send(struct conn *c, const uint8_t *data, size_t len)
{
	uint8_t	*out;
	size_t	 n, done = 0, off = 0;

	if ((out = malloc(len + (len / CHUNK + 1) * WS_HDR_MAX)) == NULL)
		fatal(NULL);
	while (off < len) {
		n = len - off > CHUNK ? CHUNK : len - off;
		done += ws_header(WS_BINARY, n, out + done);
		memcpy(out + done, data + off, n);
		done += n;
		off += n;
	}
	conn_write(c, out, done);
	free(out);
}

int
webstream_go(struct conn *c)
{
	struct webstream	*w = c->c_web;
	ssize_t			 n;
	size_t			 off = 0;

	while (off < w->w_have && !c->c_is_dead && (n = conn_stream(c,
	    w->w_buf + off, w->w_have - off)) != 0) {
		if (n == -1)
			return -1;
		off += n;
	}
	w->w_have -= off;
	memmove(w->w_buf, w->w_buf + off, w->w_have);
	return 0;
}

static int
webstream_data(struct conn *c, struct webstream *w, const uint8_t *data,
    size_t len)
{
	if (len > sizeof(w->w_buf) - w->w_have)
		return -1;
	memcpy(w->w_buf + w->w_have, data, len);
	w->w_have += len;
	return webstream_go(c);
}

static int
webstream_control(struct conn *c, const struct ws_frame *wf,
    const uint8_t *data)
{
	uint8_t	 out[WS_HDR_MAX + 125];
	size_t	 n;

	if (wf->wf_opcode == WS_PONG)
		return 0;
	if (wf->wf_opcode != WS_PING || c->c_out != NULL)
		return wf->wf_opcode == WS_PING ? 0 : -1;
	n = ws_header(WS_PONG, wf->wf_len, out);
	memcpy(out + n, data, wf->wf_len);
	conn_write(c, out, n + wf->wf_len);
	return 0;
}

ssize_t
webstream_input(struct conn *c, uint8_t *data, size_t len)
{
	struct ws_frame	 wf;
	uint8_t		*p;
	ssize_t		 n;
	int		 ret;

	if (!conn_reads(c))
		return 0;
	if ((n = ws_parse(data, len, &wf)) == 0)
		return 0;
	if (n == -1)
		return -1;
	p = data + wf.wf_hdrlen;
	ws_unmask(&wf, p);
	ret = wf.wf_opcode == WS_BINARY || wf.wf_opcode == WS_CONT ?
	    webstream_data(c, c->c_web, p, wf.wf_len) :
	    webstream_control(c, &wf, p);
	return ret == -1 ? -1 : n;
}
