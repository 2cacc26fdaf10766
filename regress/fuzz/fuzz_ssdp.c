/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: answers to an SSDP search, and the URLs in them.
 */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "upnp.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What goes into a request holds nothing that could end its line. */
static void
path_check(const char *s)
{
	if (*s == '\0')
		abort();
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ssdp_reply	 r[3];
	struct upnp_url		 base, u;

	(void)ssdp_is_gateway(data, len);
	if (ssdp_parse(&r[0], data, len) == -1)
		return 0;
	r[1] = r[2] = r[0];
	r[2].location[0] ^= 1;
	if (ssdp_sort(r, 3) != 2)
		abort();
	if (upnp_url_parse(&base, r[0].location, 1) == -1)
		return 0;
	path_check(base.path);
	if (upnp_url_join(&u, &base, r[0].server) == 0)
		path_check(u.path);
	return 0;
}
