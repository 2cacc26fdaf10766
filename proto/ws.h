/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * WebSocket frames, for nodes that live in a browser: pure functions.
 */

#ifndef PROTO_WS_H
#define PROTO_WS_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define WS_CONT		0
#define WS_TEXT		1
#define WS_BINARY	2
#define WS_CLOSE	8
#define WS_PING		9
#define WS_PONG		10

#define WS_PAYLOAD_MAX	65536	/* of one frame that we take */
#define WS_HDR_MAX	4	/* of one frame that we send */
#define WS_ACCEPT_LEN	29	/* text of the answer's key, with NUL */

struct ws_frame {
	size_t	 wf_hdrlen;
	size_t	 wf_len;		/* of the payload */
	uint8_t	 wf_opcode;
	uint8_t	 wf_mask[4];
};

/*
 * The frame that begins these bytes, of a client: masked. Returns its whole
 * length, 0 if more is needed to complete it, -1 with errno EPROTO
 * (malformed, not masked, text) or EMSGSIZE.
 * Source: RFC 6455, 5.2.
 */
ssize_t	 ws_parse(const uint8_t *, size_t, struct ws_frame *);

/* Take the mask off a payload, in place. */
void	 ws_unmask(const struct ws_frame *, uint8_t *);

/*
 * Header of a frame of ours: opcode, length of the payload (up to 65535).
 * Returns its length, at most WS_HDR_MAX.
 */
size_t	 ws_header(uint8_t, size_t, uint8_t [WS_HDR_MAX]);

/*
 * Sec-WebSocket-Accept for the client's key. 0, or -1 if that is no key.
 * Source: RFC 6455, 4.2.2.
 */
int	 ws_accept(const char *, char [WS_ACCEPT_LEN]);

#endif /* PROTO_WS_H */
