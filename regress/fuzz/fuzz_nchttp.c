/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: heads of HTTP answers, as netcheck reads them of relays and of who
 * answers in their place.
 */

/* link: ../../netd/nchttp.c */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/netcheck.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char	*head;
	int	 status;

	if ((head = malloc(len + 1)) == NULL)
		abort();
	memcpy(head, data, len);
	head[len] = '\0';
	status = nc_http_status(head);
	if (status != -1 && (status < 100 || status > 999))
		abort();
	if (!nc_http_captive(head, "ts_192.0.2.1") && status != 204)
		abort();
	free(head);
	return 0;
}
