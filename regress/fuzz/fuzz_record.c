/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: records of TLS 1.3, as a client with the right keys may send
 * them (any type and content), and as anybody may.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Its seal() makes records of any type. */
#include "../../derpd/relay/record.c"

#define SECRET \
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct record *
end_new(void)
{
	struct record	*r = record_new();

	record_keylog(r, "CLIENT_TRAFFIC_SECRET_0 00 " SECRET);
	record_keylog(r, "SERVER_TRAFFIC_SECRET_0 00 " SECRET);
	if (record_start(r, 0x1301) == -1)
		abort();
	return r;
}

/*
 * A step: how (0: sealed, 1: sealed and broken, else raw), type, length,
 * content.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t	 wire[RECORD_WIRE], out[RECORD_PLAIN + 1];
	struct record	*in = end_new(), *from = end_new();
	size_t		 n, wn, got;
	ssize_t		 ret = 1;
	unsigned int	 how;
	uint8_t		 type;

	while (len >= 3 && ret > 0) {
		how = data[0] % 3;
		type = data[1] == 0 ? RECORD_DATA : data[1]; /* 0: padding */
		n = data[2];
		data += 3;
		len -= 3;
		if (n > len)
			n = len;
		if (how == 2)
			memcpy(wire, data, wn = n);
		else
			wn = seal(from, type, data, n, wire);
		if (how == 1)
			wire[type % wn] ^= 1U << n % 8;
		ret = record_open(in, wire, wn, out, &got);
		if (how == 1 && ret > 0)
			abort();		/* forged */
		if (ret > 0 && (ret != (ssize_t)wn ||
		    (got != 0 && (got != n || memcmp(out, data, n) != 0))))
			abort();
		if (ret > 0 && type == RECORD_HANDSHAKE)
			dir_update(from->r_suite, &from->r_dir[OUT]);
		data += n;
		len -= n;
	}
	(void)record_seal(in, out, 5, wire);
	record_free(in);
	record_free(from);
	return 0;
}
