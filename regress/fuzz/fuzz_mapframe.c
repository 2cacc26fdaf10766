/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Frames of the map stream. The first byte chooses: bit 0 compression, the
 * rest the size of the pieces that the stream comes in; how it is cut must
 * not matter. What was decoded must survive being encoded again.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mapframe.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
again(int zstd, const char *msg, size_t len)
{
	struct mapframe	*f;
	const char	*msg2;
	uint8_t		*out;
	size_t		 len2, outlen, used;

	if (len == 0 && !zstd)
		return;
	if (mapframe_encode(zstd, msg, len, &out, &outlen) == -1)
		return;
	f = mapframe_new(zstd);
	if (mapframe_feed(f, out, outlen, &used, &msg2, &len2) != 1 ||
	    used != outlen || len2 != len || memcmp(msg, msg2, len) != 0)
		abort();
	mapframe_free(f);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct mapframe	*f;
	const char	*msg;
	size_t		 msglen, n, piece, used;
	int		 r, zstd;

	if (len == 0)
		return 0;
	zstd = data[0] & 1;
	piece = (data[0] >> 1) + 1;
	data++;
	len--;
	f = mapframe_new(zstd);
	while (len > 0) {
		n = len < piece ? len : piece;
		if ((r = mapframe_feed(f, data, n, &used, &msg,
		    &msglen)) == -1)
			break;
		if (r == 0 && used != n)
			abort();
		if (r == 1)
			again(zstd, msg, msglen);
		data += used;
		len -= used;
	}
	mapframe_free(f);
	return 0;
}
