/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: Noise handshake messages, records, early payload.
 */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "noise.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const uint8_t	 private[NOISE_KEY_LEN] = { 0x40, 1, 2, 3 };
static const uint8_t	 public[NOISE_KEY_LEN] = { 9 };

static void
handshake(const uint8_t *data, size_t len)
{
	struct noise_handshake	 nh;
	struct noise_session	 ns;
	uint8_t			 out[NOISE_INITIATION_LEN];
	uint8_t			 peer[NOISE_KEY_LEN];
	uint16_t		 version;

	if (len >= 5)
		(void)noise_initiation_check(data, len, 0);
	(void)noise_initiation_check(data, len, 1);
	(void)noise_respond(private, public, private, data, len, out, &ns,
	    peer, &version);
	memset(&nh, 1, sizeof(nh));
	if (noise_response_len(data, len) > (ssize_t)len)
		abort();
	(void)noise_finish(&nh, private, data, len, &ns);
}

/* The stream as frames; each in a buffer of its own, so that ASan sees. */
static void
records(const uint8_t *data, size_t len)
{
	struct noise_record	*nr;
	uint8_t			*frame;
	size_t			 off = 0;
	ssize_t			 n, plain;

	if ((nr = noise_record_new(private, 0, 0)) == NULL)
		abort();
	while ((n = noise_frame_len(data + off, len - off)) > 0) {
		if ((frame = malloc(n)) == NULL)
			abort();
		memcpy(frame, data + off, n);
		plain = noise_open(nr, frame, n);
		free(frame);
		if (plain == -1)
			break;
		off += n;
	}
	noise_record_free(nr);
}

/* In steps of a size that the input names. */
static void
early(const uint8_t *data, size_t len)
{
	struct noise_early	 ne;
	enum noise_early_result	 res = NOISE_EARLY_MORE;
	size_t			 n, off = 1, used;

	noise_early_init(&ne);
	while (off < len && res == NOISE_EARLY_MORE) {
		n = (size_t)data[0] + 1;
		if (n > len - off)
			n = len - off;
		res = noise_early_feed(&ne, data + off, n, &used);
		if (used > n || (res == NOISE_EARLY_MORE && used != n))
			abort();
		off += used;
	}
	noise_early_free(&ne);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		handshake(data + 1, len - 1);
		break;
	case 1:
		records(data + 1, len - 1);
		break;
	default:
		early(data + 1, len - 1);
		break;
	}
	return 0;
}
