/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Records of the control session, its frames, its early payload.
 * Source: control.md sections 2.3 (headers), 2.4, 2.5.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aead.h"
#include "noise.h"

struct noise_record {
	struct aead	*nr_aead;
	uint64_t	 nr_counter;
	int		 nr_dead;
};

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

struct noise_record *
noise_record_new(const uint8_t key[NOISE_KEY_LEN], uint64_t counter, int seal)
{
	struct noise_record	*nr;

	if ((nr = calloc(1, sizeof(*nr))) == NULL)
		return NULL;
	if ((nr->nr_aead = aead_new(key, seal)) == NULL) {
		free(nr);
		errno = ENOMEM;
		return NULL;
	}
	nr->nr_counter = counter;
	return nr;
}

void
noise_record_free(struct noise_record *nr)
{
	if (nr == NULL)
		return;
	aead_free(nr->nr_aead);
	free(nr);
}

/* The counter stands big-endian in the nonce, unlike Noise's own rule. */
static int
record_nonce(struct noise_record *nr, uint8_t nonce[AEAD_NONCE_LEN])
{
	int	 i;

	if (nr->nr_dead) {
		errno = EPIPE;
		return -1;
	}
	if (nr->nr_counter == UINT64_MAX) {
		nr->nr_dead = 1;
		errno = EOVERFLOW;
		return -1;
	}
	memset(nonce, 0, 4);
	for (i = 0; i < 8; i++)
		nonce[4 + i] = nr->nr_counter >> (56 - 8 * i);
	nr->nr_counter++;
	return 0;
}

ssize_t
noise_seal(struct noise_record *nr, const uint8_t *plain, size_t len,
    uint8_t *frame)
{
	uint8_t	 nonce[AEAD_NONCE_LEN];

	if (len > NOISE_PLAIN_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	if (record_nonce(nr, nonce) == -1)
		return -1;
	if (aead_seal(nr->nr_aead, nonce, plain, len, frame + NOISE_HDR_LEN,
	    frame + NOISE_HDR_LEN + len) == -1) {
		nr->nr_dead = 1;
		errno = ENOMEM;
		return -1;
	}
	frame[0] = NOISE_MSG_RECORD;
	frame[1] = (len + NOISE_TAG_LEN) >> 8;
	frame[2] = (len + NOISE_TAG_LEN) & 0xff;
	return len + NOISE_HDR_LEN + NOISE_TAG_LEN;
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

ssize_t
noise_open(struct noise_record *nr, uint8_t *frame, size_t len)
{
	uint8_t	 nonce[AEAD_NONCE_LEN];
	size_t	 n;
	ssize_t	 want;

	if (nr->nr_dead) {
		errno = EPIPE;
		return -1;
	}
	if ((want = noise_frame_len(frame, len)) == -1)
		goto dead;
	if (want == 0 || (size_t)want != len) {
		errno = EPROTO;
		goto dead;
	}
	if (len < NOISE_HDR_LEN + NOISE_TAG_LEN) {
		errno = EBADMSG;
		goto dead;
	}
	if (record_nonce(nr, nonce) == -1)
		return -1;
	n = len - NOISE_HDR_LEN - NOISE_TAG_LEN;
	if (aead_open(nr->nr_aead, nonce, frame + NOISE_HDR_LEN, n,
	    frame + NOISE_HDR_LEN + n, frame + NOISE_HDR_LEN) == -1)
		goto dead;
	return n;
dead:
	nr->nr_dead = 1;
	return -1;
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
