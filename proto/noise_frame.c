/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Frames of the control session, read and made without a key, and its early
 * payload. Apart from noise_record.c, which needs a cipher.
 * Source: control.md sections 2.3 (headers), 2.4, 2.5.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "noise.h"

static const uint8_t	 early_magic[5] = { 0xff, 0xff, 0xff, 'T', 'S' };

static size_t
frame_body_len(const uint8_t *hdr)
{
	return (size_t)hdr[1] << 8 | hdr[2];
}

const char *
noise_initiation_check(const uint8_t *msg, size_t len, int whole)
{
	if (whole ? len != NOISE_INITIATION_LEN : len < 5)
		return "wrong handshake initiation size";
	if (msg[2] != NOISE_MSG_INITIATION)
		return "unexpected handshake message type";
	if (frame_body_len(msg + 2) != NOISE_INITIATION_LEN - 5)
		return "wrong handshake initiation length";
	return NULL;
}

uint16_t
noise_initiation_version(const uint8_t *msg)
{
	return (uint16_t)(msg[0] << 8 | msg[1]);
}

size_t
noise_error_frame(const char *text, uint8_t frame[NOISE_ERROR_MAX])
{
	size_t	 len;

	len = strlen(text);
	if (len > NOISE_ERROR_MAX - NOISE_HDR_LEN)
		len = NOISE_ERROR_MAX - NOISE_HDR_LEN;
	frame[0] = NOISE_MSG_ERROR;
	frame[1] = len >> 8;
	frame[2] = len & 0xff;
	memcpy(frame + NOISE_HDR_LEN, text, len);
	return len + NOISE_HDR_LEN;
}

ssize_t
noise_response_len(const uint8_t *buf, size_t len)
{
	size_t	 body;

	if (len < NOISE_HDR_LEN)
		return 0;
	body = frame_body_len(buf);
	if (buf[0] == NOISE_MSG_ERROR && body <= NOISE_FRAME_MAX) {
		if (body > len - NOISE_HDR_LEN)
			return 0;
		errno = ECONNREFUSED;
		return -1;
	}
	if (buf[0] != NOISE_MSG_RESPONSE ||
	    body != NOISE_RESPONSE_LEN - NOISE_HDR_LEN) {
		errno = EPROTO;
		return -1;
	}
	return len < NOISE_RESPONSE_LEN ? 0 : NOISE_RESPONSE_LEN;
}

ssize_t
noise_frame_len(const uint8_t *buf, size_t len)
{
	size_t	 body;

	if (len < NOISE_HDR_LEN)
		return 0;
	body = frame_body_len(buf);
	if (body > NOISE_FRAME_MAX - NOISE_HDR_LEN) {
		errno = EMSGSIZE;
		return -1;
	}
	if (buf[0] != NOISE_MSG_RECORD) {
		errno = EPROTO;
		return -1;
	}
	return body > len - NOISE_HDR_LEN ? 0 :
	    (ssize_t)(body + NOISE_HDR_LEN);
}

void
noise_early_init(struct noise_early *ne)
{
	memset(ne, 0, sizeof(*ne));
}

void
noise_early_free(struct noise_early *ne)
{
	free(ne->ne_json);
	memset(ne, 0, sizeof(*ne));
}

/* The header is whole: is it one, and how much follows? */
static enum noise_early_result
early_header(struct noise_early *ne)
{
	const uint8_t	*p = ne->ne_hdr + sizeof(early_magic);

	if (memcmp(ne->ne_hdr, early_magic, sizeof(early_magic)) != 0)
		return NOISE_EARLY_NONE;
	ne->ne_want = (size_t)p[0] << 24 | (size_t)p[1] << 16 |
	    (size_t)p[2] << 8 | p[3];
	if (ne->ne_want > NOISE_EARLY_MAX) {
		errno = EMSGSIZE;
		return NOISE_EARLY_ERROR;
	}
	return ne->ne_want == 0 ? NOISE_EARLY_DONE : NOISE_EARLY_MORE;
}

enum noise_early_result
noise_early_feed(struct noise_early *ne, const uint8_t *buf, size_t len,
    size_t *used)
{
	enum noise_early_result	 res;
	uint8_t			*json;
	size_t			 n;

	*used = 0;
	if (ne->ne_hdrlen < NOISE_EARLY_HDR_LEN) {
		n = NOISE_EARLY_HDR_LEN - ne->ne_hdrlen;
		if (n > len)
			n = len;
		memcpy(ne->ne_hdr + ne->ne_hdrlen, buf, n);
		ne->ne_hdrlen += n;
		*used = n;
		if (ne->ne_hdrlen < NOISE_EARLY_HDR_LEN)
			return NOISE_EARLY_MORE;
		if ((res = early_header(ne)) != NOISE_EARLY_MORE)
			return res;
	}
	n = len - *used;
	if (n > ne->ne_want - ne->ne_len)
		n = ne->ne_want - ne->ne_len;
	if (n == 0)
		return NOISE_EARLY_MORE;
	if ((json = realloc(ne->ne_json, ne->ne_len + n)) == NULL) {
		errno = ENOMEM;
		return NOISE_EARLY_ERROR;
	}
	ne->ne_json = json;
	memcpy(json + ne->ne_len, buf + *used, n);
	ne->ne_len += n;
	*used += n;
	return ne->ne_len == ne->ne_want ? NOISE_EARLY_DONE :
	    NOISE_EARLY_MORE;
}

int
noise_early_header(size_t len, uint8_t hdr[NOISE_EARLY_HDR_LEN])
{
	if (len > NOISE_EARLY_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	memcpy(hdr, early_magic, sizeof(early_magic));
	hdr[5] = len >> 24;
	hdr[6] = len >> 16;
	hdr[7] = len >> 8;
	hdr[8] = len;
	return 0;
}
