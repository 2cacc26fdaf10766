/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * DERP frames.
 */

#include <sys/types.h>

#include <errno.h>
#include <string.h>

#include "derp.h"

#define MAGIC_LEN	8

static const uint8_t	 magic[MAGIC_LEN] = {
	0x44, 0x45, 0x52, 0x50, 0xf0, 0x9f, 0x94, 0x91
};

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static void
put32(uint8_t *p, uint32_t v)
{
	p[0] = v >> 24;
	p[1] = v >> 16 & 0xff;
	p[2] = v >> 8 & 0xff;
	p[3] = v & 0xff;
}

uint64_t
derp_frame_parse(const uint8_t *p, size_t len, struct derp_frame *f)
{
	if (len < DERP_HDR_LEN)
		return 0;
	f->df_type = p[0];
	f->df_len = get32(p + 1);
	f->df_data = p + DERP_HDR_LEN;
	return (uint64_t)DERP_HDR_LEN + f->df_len;
}

void
derp_header(uint8_t p[DERP_HDR_LEN], enum derp_type type, uint32_t len)
{
	p[0] = type;
	put32(p + 1, len);
}

static int
refuse(void)
{
	errno = EPROTO;
	return -1;
}

/* A key, and the packet behind it. */
static void
take_packet(const struct derp_frame *f, struct derp_msg *m)
{
	memcpy(m->dm_key, f->df_data, DERP_KEY_LEN);
	m->dm_data = f->df_data + DERP_KEY_LEN;
	m->dm_len = f->df_len - DERP_KEY_LEN;
}

static void
take_present(const struct derp_frame *f, struct derp_msg *m)
{
	const uint8_t	*p = f->df_data + DERP_KEY_LEN;

	memcpy(m->dm_key, f->df_data, DERP_KEY_LEN);
	if (f->df_len < DERP_KEY_LEN + 18)
		return;
	m->dm_has_addr = 1;
	memcpy(m->dm_addr, p, 16);
	m->dm_port = p[16] << 8 | p[17];
	if (f->df_len >= DERP_PRESENT_LEN)
		m->dm_flags = p[18];
}

int
derp_client_parse(const struct derp_frame *f, struct derp_msg *m)
{
	const uint8_t	*p = f->df_data;
	size_t		 len = f->df_len;

	memset(m, 0, sizeof(*m));
	m->dm_type = f->df_type;
	if (len > DERP_FRAME_MAX)
		return refuse();
	switch (f->df_type) {
	case DERP_SERVER_INFO:
		m->dm_data = p;
		m->dm_len = len;
		return len < 24 ? refuse() : 1;
	case DERP_KEEP_ALIVE:
		return 1;
	case DERP_HEALTH:
		m->dm_data = p;
		m->dm_len = len;
		return 1;
	case DERP_RECV_PACKET:
		if (len < DERP_KEY_LEN)
			return 0;
		take_packet(f, m);
		return 1;
	case DERP_PEER_GONE:
		if (len < DERP_KEY_LEN)
			return 0;
		memcpy(m->dm_key, p, DERP_KEY_LEN);
		m->dm_reason = len > DERP_KEY_LEN ? p[DERP_KEY_LEN] : 0;
		return 1;
	case DERP_PEER_PRESENT:
		if (len < DERP_KEY_LEN)
			return 0;
		take_present(f, m);
		return 1;
	case DERP_PING:
	case DERP_PONG:
		if (len < DERP_PING_LEN)
			return 0;
		memcpy(m->dm_ping, p, DERP_PING_LEN);
		return 1;
	case DERP_RESTARTING:
		if (len < 8)
			return 0;
		m->dm_reconnect_ms = get32(p);
		m->dm_try_ms = get32(p + 4);
		return 1;
	default:
		return 0;
	}
}

/* Between least and most? */
static int
within(const struct derp_frame *f, uint32_t least, uint32_t most)
{
	return f->df_len >= least && f->df_len <= most ? 1 : refuse();
}

int
derp_server_len(const struct derp_frame *f, int mesh)
{
	switch (f->df_type) {
	case DERP_SEND_PACKET:
		return within(f, DERP_KEY_LEN, DERP_KEY_LEN +
		    DERP_PACKET_MAX);
	case DERP_NOTE_PREFERRED:
		return within(f, 1, 1);
	case DERP_PING:
		return within(f, DERP_PING_LEN, DERP_PING_MAX);
	case DERP_FORWARD_PACKET:
		return mesh ? within(f, 2 * DERP_KEY_LEN, 2 * DERP_KEY_LEN +
		    DERP_PACKET_MAX) : refuse();
	case DERP_WATCH_CONNS:
		return mesh ? within(f, 0, 0) : refuse();
	case DERP_CLOSE_PEER:
		return mesh ? within(f, DERP_KEY_LEN, DERP_KEY_LEN) :
		    refuse();
	default:
		return 0;
	}
}

int
derp_server_parse(const struct derp_frame *f, int mesh, struct derp_msg *m)
{
	struct derp_frame	 rest;
	int			 ret;

	memset(m, 0, sizeof(*m));
	m->dm_type = f->df_type;
	if ((ret = derp_server_len(f, mesh)) != 1)
		return ret;
	switch (f->df_type) {
	case DERP_SEND_PACKET:
		take_packet(f, m);
		break;
	case DERP_FORWARD_PACKET:
		memcpy(m->dm_src, f->df_data, DERP_KEY_LEN);
		rest.df_data = f->df_data + DERP_KEY_LEN;
		rest.df_len = f->df_len - DERP_KEY_LEN;
		take_packet(&rest, m);
		break;
	case DERP_NOTE_PREFERRED:
		m->dm_preferred = f->df_data[0] != 0;
		break;
	case DERP_CLOSE_PEER:
		memcpy(m->dm_key, f->df_data, DERP_KEY_LEN);
		break;
	case DERP_PING:
		memcpy(m->dm_ping, f->df_data, DERP_PING_LEN);
		break;
	default:
		break;
	}
	return 1;
}

void
derp_server_key_build(const uint8_t key[DERP_KEY_LEN],
    uint8_t out[DERP_SERVERKEY_LEN])
{
	derp_header(out, DERP_SERVER_KEY, MAGIC_LEN + DERP_KEY_LEN);
	memcpy(out + DERP_HDR_LEN, magic, MAGIC_LEN);
	memcpy(out + DERP_HDR_LEN + MAGIC_LEN, key, DERP_KEY_LEN);
}

int
derp_server_key_parse(const struct derp_frame *f, uint8_t key[DERP_KEY_LEN])
{
	if (f->df_type != DERP_SERVER_KEY ||
	    f->df_len < MAGIC_LEN + DERP_KEY_LEN ||
	    f->df_len > DERP_SERVERKEY_MAX ||
	    memcmp(f->df_data, magic, MAGIC_LEN) != 0)
		return refuse();
	memcpy(key, f->df_data + MAGIC_LEN, DERP_KEY_LEN);
	return 0;
}

static int
too_long(size_t len)
{
	if (len <= DERP_PACKET_MAX)
		return 0;
	errno = EMSGSIZE;
	return 1;
}

int
derp_packet_head(enum derp_type type, const uint8_t key[DERP_KEY_LEN],
    size_t len, uint8_t out[DERP_RECV_HDR_LEN])
{
	if (too_long(len))
		return -1;
	derp_header(out, type, DERP_KEY_LEN + len);
	memcpy(out + DERP_HDR_LEN, key, DERP_KEY_LEN);
	return 0;
}

int
derp_forward_head(const uint8_t src[DERP_KEY_LEN],
    const uint8_t dst[DERP_KEY_LEN], size_t len,
    uint8_t out[DERP_FORWARD_HDR_LEN])
{
	if (too_long(len))
		return -1;
	derp_header(out, DERP_FORWARD_PACKET, 2 * DERP_KEY_LEN + len);
	memcpy(out + DERP_HDR_LEN, src, DERP_KEY_LEN);
	memcpy(out + DERP_HDR_LEN + DERP_KEY_LEN, dst, DERP_KEY_LEN);
	return 0;
}

static size_t
put_present(const struct derp_msg *m, uint8_t *p)
{
	memcpy(p, m->dm_key, DERP_KEY_LEN);
	memcpy(p + DERP_KEY_LEN, m->dm_addr, 16);
	p[DERP_KEY_LEN + 16] = m->dm_port >> 8;
	p[DERP_KEY_LEN + 17] = m->dm_port & 0xff;
	p[DERP_KEY_LEN + 18] = m->dm_flags;
	return DERP_PRESENT_LEN;
}

size_t
derp_build(const struct derp_msg *m, uint8_t out[DERP_SMALL_MAX])
{
	uint8_t	*p = out + DERP_HDR_LEN;
	size_t	 len = 0;

	switch (m->dm_type) {
	case DERP_KEEP_ALIVE:
	case DERP_WATCH_CONNS:
		break;
	case DERP_NOTE_PREFERRED:
		p[len++] = m->dm_preferred != 0;
		break;
	case DERP_PEER_GONE:
		memcpy(p, m->dm_key, DERP_KEY_LEN);
		p[DERP_KEY_LEN] = m->dm_reason;
		len = DERP_KEY_LEN + 1;
		break;
	case DERP_CLOSE_PEER:
		memcpy(p, m->dm_key, DERP_KEY_LEN);
		len = DERP_KEY_LEN;
		break;
	case DERP_PEER_PRESENT:
		len = put_present(m, p);
		break;
	case DERP_PING:
	case DERP_PONG:
		memcpy(p, m->dm_ping, DERP_PING_LEN);
		len = DERP_PING_LEN;
		break;
	case DERP_RESTARTING:
		put32(p, m->dm_reconnect_ms);
		put32(p + 4, m->dm_try_ms);
		len = 8;
		break;
	default:
		return 0;
	}
	derp_header(out, m->dm_type, len);
	return DERP_HDR_LEN + len;
}
