/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: WireGuard datagrams, inner packets, the replay window.
 */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wg.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const uint8_t	 private[WG_KEY_LEN] = { 0x40, 1, 2, 3 };
static const uint8_t	 public[WG_KEY_LEN] = { 9 };

static void
initiation(const uint8_t *msg, size_t len)
{
	struct wg_handshake	 wh;
	struct wg_session	 ws;
	uint8_t			 resp[WG_RESPONSE_LEN];
	uint8_t			 ts[WG_TIMESTAMP_LEN];

	(void)wg_mac1_check(msg, len, public);
	(void)wg_mac2_check(msg, len, public);
	if (wg_initiation_open(&wh, private, public, msg) == -1) {
		memset(&wh, 2, sizeof(wh));
		if (wg_initiation_verify(&wh, private, msg, ts) == 0)
			abort();
		return;
	}
	if (wg_initiation_verify(&wh, private, msg, ts) == 0)
		(void)wg_response_create(&wh, NULL, private, 1, resp, &ws);
}

static void
datagram(const uint8_t *data, size_t len)
{
	struct wg_handshake	 wh;
	struct wg_session	 ws;
	struct wg_key		*wk;
	uint8_t			 cookie[WG_COOKIE_LEN], *copy;

	switch (wg_classify(data, len)) {
	case WG_MSG_INITIATION:
		initiation(data, len);
		break;
	case WG_MSG_RESPONSE:
		(void)wg_mac1_check(data, len, public);
		memset(&wh, 1, sizeof(wh));
		(void)wg_response_consume(&wh, private, NULL, data, &ws);
		break;
	case WG_MSG_COOKIE:
		(void)wg_cookie_open(data, private, public, cookie);
		break;
	case WG_MSG_TRANSPORT:
		if ((copy = malloc(len)) == NULL ||
		    (wk = wg_key_new(private, 0)) == NULL)
			abort();
		memcpy(copy, data, len);
		(void)wg_open(wk, copy, len, copy + WG_TRANSPORT_HDR_LEN);
		wg_key_free(wk);
		free(copy);
		break;
	default:
		break;
	}
}

/* No counter passes twice, whatever the order. */
static void
replay(const uint8_t *data, size_t len)
{
	struct wg_replay	 r;
	uint64_t		 counter;

	wg_replay_init(&r);
	for (; len >= sizeof(counter); len -= sizeof(counter)) {
		memcpy(&counter, data, sizeof(counter));
		data += sizeof(counter);
		if (wg_replay_check(&r, counter) == 0 &&
		    wg_replay_check(&r, counter) == 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	ssize_t	 n;

	if (len == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		datagram(data + 1, len - 1);
		break;
	case 1:
		n = wg_inner_len(data + 1, len - 1);
		if (n > (ssize_t)len - 1)
			abort();
		break;
	default:
		replay(data + 1, len - 1);
		break;
	}
	return 0;
}
