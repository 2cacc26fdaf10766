/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What a relay says: the HTTP answer, then frames; and small frames to it.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "derpconn.h"

#define HEAD_MAX	8192		/* of the HTTP answer */
#define TOKENS_US	10000000	/* longest time that fills a bucket */
#define HOLD_MAX	(DERP_RECV_HDR_LEN + DERP_PACKET_MAX)

static size_t	 http_answer(struct derpconn *, const uint8_t *, size_t);
static size_t	 frame_one(struct derpconn *, uint8_t *, size_t, int64_t);
static void	 frame_login(struct derpconn *, const struct derp_frame *);
static void	 frame_in(struct derpconn *, const struct derp_frame *,
		    uint8_t *, int64_t);
static void	 ctl_frame(struct derpconn *, const struct derp_msg *);
static void	 health(struct derpconn *, const struct derp_msg *);

/* Up to its empty line, which must come soon. 0: not whole yet. */
static size_t
http_answer(struct derpconn *c, const uint8_t *b, size_t len)
{
	const uint8_t	*end;
	char		 line[80];
	size_t		 i;

	end = memmem(b, len, "\r\n\r\n", 4);
	if (end == NULL) {
		if (len >= HEAD_MAX)
			derpconn_fail(c, "no HTTP answer in %zu bytes", len);
		return 0;
	}
	for (i = 0; i < sizeof(line) - 1 && b[i] != '\r'; i++)
		line[i] = b[i] < ' ' || b[i] >= 0x7f ? '?' : b[i];
	line[i] = '\0';
	if (strncmp(line, "HTTP/1.1 101", 12) != 0 ||
	    (line[12] != ' ' && line[12] != '\0')) {
		derpconn_fail(c, "it does not upgrade to DERP: %s", line);
		return 0;
	}
	c->c_state = DC_SERVERKEY;
	return end + 4 - b;
}

size_t
derpconn_consume(struct derpconn *c, uint8_t *b, size_t len, int64_t now)
{
	size_t	 done = 0, n;

	if (c->c_state == DC_UPGRADE)
		done = http_answer(c, b, len);
	while (!c->c_paused && c->c_state != DC_FAILED &&
	    c->c_state != DC_UPGRADE && done < len) {
		if (c->c_skip > 0) {
			n = len - done < c->c_skip ? len - done : c->c_skip;
			c->c_skip -= n;
		} else if ((n = frame_one(c, b + done, len - done, now)) == 0)
			break;
		done += n;
	}
	return done;
}

/* A frame, or as much of one as is skipped. 0: it is not whole yet. */
static size_t
frame_one(struct derpconn *c, uint8_t *b, size_t len, int64_t now)
{
	struct derp_frame	 f;
	uint64_t		 whole;

	whole = derp_frame_parse(b, len, &f);
	if (whole == 0)
		return 0;
	if (f.df_len > DERP_FRAME_MAX) {
		derpconn_fail(c, "a frame of %u bytes", f.df_len);
		return 0;
	}
	if (whole > HOLD_MAX) {
		if (f.df_type == DERP_RECV_PACKET) {
			derpconn_fail(c, "a packet of %u bytes", f.df_len);
			return 0;
		}
		c->c_skip = whole - DERP_HDR_LEN;
		return DERP_HDR_LEN;
	}
	if (whole > len)
		return 0;
	c->c_last_frame = now;
	c->c_frames_in++;
	if (c->c_state == DC_UP)
		frame_in(c, &f, b, now);
	else
		frame_login(c, &f);
	return whole;
}

/* Before the login is done: its own two frames; others are skipped. */
static void
frame_login(struct derpconn *c, const struct derp_frame *f)
{
	struct msg_derp_open	 m;

	if (c->c_state == DC_SERVERKEY) {
		if (derp_server_key_parse(f, c->c_server) == -1) {
			derpconn_fail(c, "it does not greet as a relay");
			return;
		}
		c->c_state = DC_SEALING;
		c->c_paused = 1;
		c->c_cb->cb_seal(c->c_arg, c->c_server);
		return;
	}
	if (c->c_state != DC_SERVERINFO || f->df_type != DERP_SERVER_INFO)
		return;
	memset(&m, 0, sizeof(m));
	if (f->df_len > sizeof(m.box)) {
		derpconn_fail(c, "answer to the login: too long");
		return;
	}
	memcpy(m.server, c->c_server, sizeof(m.server));
	memcpy(m.box, f->df_data, f->df_len);
	m.len = f->df_len;
	c->c_state = DC_OPENING;
	c->c_paused = 1;
	c->c_cb->cb_open(c->c_arg, &m);
}

/* Its words for a person; they come from outside. */
static void
health(struct derpconn *c, const struct derp_msg *m)
{
	size_t	 i;

	for (i = 0; i < m->dm_len && i < sizeof(c->c_health) - 1; i++)
		c->c_health[i] = m->dm_data[i] < ' ' ||
		    m->dm_data[i] >= 0x7f ? '?' : m->dm_data[i];
	c->c_health[i] = '\0';
}

static void
frame_in(struct derpconn *c, const struct derp_frame *f, uint8_t *b,
    int64_t now)
{
	struct derp_msg	 m, pong;

	if (derp_client_parse(f, &m) != 1)
		return;
	switch (m.dm_type) {
	case DERP_RECV_PACKET:
		c->c_cb->cb_packet(c->c_arg, m.dm_key,
		    b + DERP_RECV_HDR_LEN, m.dm_len, now);
		break;
	case DERP_PEER_GONE:
		c->c_cb->cb_gone(c->c_arg, m.dm_key, m.dm_reason);
		break;
	case DERP_PING:
		pong = m;
		pong.dm_type = DERP_PONG;
		ctl_frame(c, &pong);
		break;
	case DERP_PONG:
		if (memcmp(m.dm_ping, c->c_ping, sizeof(c->c_ping)) == 0)
			c->c_pinged = 0;
		break;
	case DERP_HEALTH:
		health(c, &m);
		break;
	case DERP_RESTARTING:
		c->c_cb->cb_restart(c->c_arg, m.dm_reconnect_ms);
		break;
	default:
		break;
	}
}

/* --- small frames to the relay --- */

static void
ctl_frame(struct derpconn *c, const struct derp_msg *m)
{
	uint8_t	 buf[DERP_SMALL_MAX];
	size_t	 n;

	n = derp_build(m, buf);
	(void)derpq_add(&c->c_ctl, buf, n, NULL, 0, 0);
	derpconn_kick(c);
}

void
derpconn_prefer(struct derpconn *c, int home)
{
	struct derp_msg	 m;

	if (c->c_state != DC_UP)
		return;
	memset(&m, 0, sizeof(m));
	m.dm_type = DERP_NOTE_PREFERRED;
	m.dm_preferred = home != 0;
	ctl_frame(c, &m);
}

void
derpconn_ping(struct derpconn *c, int64_t now)
{
	struct derp_msg	 m;

	if (c->c_state != DC_UP || c->c_pinged != 0)
		return;
	memset(&m, 0, sizeof(m));
	m.dm_type = DERP_PING;
	arc4random_buf(c->c_ping, sizeof(c->c_ping));
	memcpy(m.dm_ping, c->c_ping, sizeof(m.dm_ping));
	c->c_pinged = now;
	ctl_frame(c, &m);
}

int
derpconn_allowed(struct derpconn *c, size_t len, int64_t now)
{
	uint64_t	 gain, us;

	if (c->c_rate == 0)
		return 1;
	us = (now - c->c_token_time) / 1000;
	if (us > TOKENS_US)		/* full by then, or slow enough */
		us = TOKENS_US;
	gain = us * c->c_rate / 1000000;
	if (gain > 0) {
		c->c_tokens = gain > c->c_burst - c->c_tokens ?
		    c->c_burst : c->c_tokens + gain;
		c->c_token_time = now;
	}
	if (c->c_tokens < len)
		return 0;
	c->c_tokens -= len;
	return 1;
}
