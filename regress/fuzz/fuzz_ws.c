/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: WebSocket frames of clients.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ws.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ws_frame	 wf;
	uint8_t		*copy;
	ssize_t		 n;

	if ((copy = malloc(len + 1)) == NULL)
		abort();
	memcpy(copy, data, len);
	for (data = copy; (n = ws_parse(data, len, &wf)) > 0; data += n) {
		if ((size_t)n > len || wf.wf_hdrlen + wf.wf_len != (size_t)n)
			abort();
		ws_unmask(&wf, copy + (data - copy) + wf.wf_hdrlen);
		len -= n;
	}
	free(copy);
	return 0;
}
