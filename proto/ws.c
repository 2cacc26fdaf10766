/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * WebSocket frames, for nodes that live in a browser: pure functions.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "ws.h"

#define WS_GUID		"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define WS_KEY_LEN	24	/* 16 bytes in base64 */

/* Length of the payload and where the mask begins; 0: more is needed. */
static size_t
ws_length(const uint8_t *p, size_t len, uint64_t *n)
{
	size_t	 i;

	*n = p[1] & 0x7f;
	if (*n < 126)
		return 2;
	if (*n == 126) {
		if (len < 4)
			return 0;
		*n = p[2] << 8 | p[3];
		return 4;
	}
	if (len < 10)
		return 0;
	for (i = 2, *n = 0; i < 10; i++)
		*n = *n << 8 | p[i];
	return 10;
}

static int
ws_opcode_ok(const uint8_t *p)
{
	switch (p[0] & 15) {
	case WS_CONT:
	case WS_BINARY:
		return 1;
	case WS_CLOSE:
	case WS_PING:
	case WS_PONG:	/* short, and never in pieces */
		return (p[0] & 0x80) && (p[1] & 0x7f) < 126;
	default:
		return 0;
	}
}

ssize_t
ws_parse(const uint8_t *p, size_t len, struct ws_frame *wf)
{
	uint64_t	 n;
	size_t		 off;

	if (len < 2)
		return 0;
	if ((p[0] & 0x70) || (p[1] & 0x80) == 0 || !ws_opcode_ok(p)) {
		errno = EPROTO;
		return -1;
	}
	if ((off = ws_length(p, len, &n)) == 0)
		return 0;
	if (n > WS_PAYLOAD_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	wf->wf_opcode = p[0] & 15;
	wf->wf_hdrlen = off + sizeof(wf->wf_mask);
	wf->wf_len = n;
	if (len < wf->wf_hdrlen || len - wf->wf_hdrlen < wf->wf_len)
		return 0;
	memcpy(wf->wf_mask, p + off, sizeof(wf->wf_mask));
	return wf->wf_hdrlen + wf->wf_len;
}

void
ws_unmask(const struct ws_frame *wf, uint8_t *p)
{
	size_t	 i;

	for (i = 0; i < wf->wf_len; i++)
		p[i] ^= wf->wf_mask[i % sizeof(wf->wf_mask)];
}

size_t
ws_header(uint8_t opcode, size_t len, uint8_t hdr[WS_HDR_MAX])
{
	hdr[0] = 0x80 | opcode;
	if (len < 126) {
		hdr[1] = len;
		return 2;
	}
	hdr[1] = 126;
	hdr[2] = len >> 8;
	hdr[3] = len & 0xff;
	return 4;
}

int
ws_accept(const char *key, char accept[WS_ACCEPT_LEN])
{
	uint8_t		 hash[EVP_MAX_MD_SIZE];
	char		 text[WS_KEY_LEN + sizeof(WS_GUID)];
	unsigned int	 len;

	if (strlen(key) != WS_KEY_LEN)
		return -1;
	(void)snprintf(text, sizeof(text), "%s%s", key, WS_GUID);
	if (EVP_Digest(text, strlen(text), hash, &len, EVP_sha1(),
	    NULL) != 1 || len != 20)
		return -1;
	(void)EVP_EncodeBlock((unsigned char *)accept, hash, len);
	return 0;
}
