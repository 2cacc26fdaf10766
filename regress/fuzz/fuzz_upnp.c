/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: HTTP answers of a gateway and the XML in them.
 */

/* link: ../../portmapd/answer.c */
/* libs: -lexpat */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../portmapd/portmapd.h"
#include "upnp.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct upnp_device	 dev;
	struct soap_answer	 a;
	char			*buf, *body;
	size_t			 n, i;
	int			 status;

	if ((buf = malloc(len + 1)) == NULL)
		return 0;
	memcpy(buf, data, len);
	buf[len] = '\0';
	if (http_complete(buf, len, 1, &status, &body, &n) != 1) {
		body = buf;
		n = len;
	} else if (body < buf || n > len - (size_t)(body - buf))
		abort();
	if (upnp_device_parse(&dev, body, n) == 0)
		for (i = 0; i + 1 < dev.n; i++)
			if (dev.service[i].type > dev.service[i + 1].type)
				abort();
	(void)soap_parse(&a, body, n);
	free(buf);
	return 0;
}
