/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * WebSocket frames, with the examples of RFC 6455.
 */

#include <sys/types.h>

#include <err.h>
#include <errno.h>
#include <string.h>

#include "ws.h"

#define MASK	0x37, 0xfa, 0x21, 0x3d

static const struct {
	const char	*what;
	uint8_t		 bytes[16];
	size_t		 len;
	ssize_t		 ret;
} frames[] = {
	{ "nothing", { 0 }, 0, 0 },
	{ "one byte", { 0x82 }, 1, 0 },
	{ "empty", { 0x82, 0x80, MASK }, 6, 6 },
	{ "RFC 5.7, binary", { 0x82, 0x85, MASK, 0x7f, 0x9f, 0x4d, 0x51, 0x58 },
	    11, 11 },
	{ "one byte short", { 0x82, 0x85, MASK, 0x7f, 0x9f, 0x4d, 0x51 },
	    10, 0 },
	{ "mask cut", { 0x82, 0x85, 0x37 }, 3, 0 },
	{ "continuation", { 0x00, 0x81, MASK, 1 }, 7, 7 },
	{ "first of two", { 0x02, 0x81, MASK, 1 }, 7, 7 },
	{ "ping", { 0x89, 0x80, MASK }, 6, 6 },
	{ "close", { 0x88, 0x82, MASK, 3, 232 }, 8, 8 },
	{ "not masked", { 0x82, 0x05 }, 2, -1 },
	{ "text", { 0x81, 0x85, MASK }, 6, -1 },
	{ "reserved bit", { 0xc2, 0x85, MASK }, 6, -1 },
	{ "reserved opcode", { 0x83, 0x85, MASK }, 6, -1 },
	{ "long ping", { 0x89, 0xfe, 0, 126 }, 4, -1 },
	{ "ping in pieces", { 0x09, 0x80, MASK }, 6, -1 },
	{ "16 bits of length", { 0x82, 0xfe, 0, 1, MASK, 9 }, 9, 9 },
	{ "length cut", { 0x82, 0xff, 0, 0, 0 }, 5, 0 },
	{ "too long", { 0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1 }, 10, -1 },
	{ "huge", { 0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255 },
	    10, -1 },
};

int
main(void)
{
	struct ws_frame	 wf;
	char		 accept[WS_ACCEPT_LEN];
	uint8_t		 copy[16], hdr[WS_HDR_MAX];
	size_t		 i;
	ssize_t		 n;

	for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		n = ws_parse(frames[i].bytes, frames[i].len, &wf);
		if (n != frames[i].ret)
			errx(1, "%s: %zd", frames[i].what, n);
	}
	memcpy(copy, frames[3].bytes, sizeof(copy));
	if (ws_parse(copy, 11, &wf) != 11)
		errx(1, "RFC 5.7: not read");
	ws_unmask(&wf, copy + wf.wf_hdrlen);
	if (memcmp(copy + wf.wf_hdrlen, "Hello", 5) != 0)
		errx(1, "RFC 5.7: not unmasked");
	if (ws_header(WS_BINARY, 125, hdr) != 2 || hdr[0] != 0x82 ||
	    hdr[1] != 125 || ws_header(WS_PONG, 256, hdr) != 4 ||
	    hdr[0] != 0x8a || hdr[1] != 126 || hdr[2] != 1 || hdr[3] != 0)
		errx(1, "header");
	if (ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept) == -1 ||
	    strcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != 0)
		errx(1, "RFC 1.3: %s", accept);
	if (ws_accept("short", accept) != -1 || ws_accept("", accept) != -1)
		errx(1, "a key that is none");
	return 0;
}
