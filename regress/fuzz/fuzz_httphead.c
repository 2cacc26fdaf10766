/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ctrld's readers of HTTP/1.1: a response head, and a chunked body after
 * it. A head that is complete must be so at no shorter length.
 */
/* link: ../../ctrld/http1.c ../../ctrld/url.c */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctrld/pure.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct http_head	 h;
	struct url		 u;
	uint8_t			*buf;
	char			*text, line[512];
	size_t			 n;
	ssize_t			 r;

	r = http_head_parse(data, len, &h);
	if (r > (ssize_t)len || r < -1)
		abort();
	if (r > 0) {
		if (h.h_status < 100 || h.h_status > 999 ||
		    http_head_parse(data, r - 1, &h) > 0)
			abort();
		(void)http_head_parse(data, len, &h);
		if (http_portal(&h, "c.test", line, sizeof(line)))
			for (n = 0; line[n] != '\0'; n++)
				if (line[n] < ' ' || line[n] > '~')
					abort();
		if ((buf = malloc(len - r + 1)) == NULL)
			abort();
		memcpy(buf, data + r, len - r);
		if (http_chunks(buf, len - r, &n) == 1 && n > len - r)
			abort();
		free(buf);
	}
	if ((text = malloc(len + 1)) == NULL)
		abort();
	memcpy(text, data, len);
	text[len] = '\0';
	if (url_parse(text, &u) == 0 && (u.u_port == 0 ||
	    u.u_path[0] != '/' || u.u_host[0] == '\0'))
		abort();
	free(text);
	return 0;
}
