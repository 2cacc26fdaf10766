/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Is an HTTP answer complete, and what is in it?
 */

#include <sys/types.h>

#include <string.h>

#include "portmapd.h"
#include "upnp.h"

int
http_complete(char *buf, size_t len, int eof, int *status, char **body,
    size_t *blen)
{
	struct http_answer	 a;
	size_t			 n;
	int			 ret;

	if ((ret = http_answer_parse(&a, buf, len)) != 1)
		return ret == 0 && !eof ? 0 : -1;
	*status = a.status;
	*body = buf + a.head;
	n = len - a.head;
	if (a.chunked) {
		ret = http_dechunk(*body, n, blen);
		return ret == 0 && eof ? -1 : ret;
	}
	if (a.length == -1) {
		*blen = n;
		return eof;
	}
	if (a.length > UPNP_XML_MAX)
		return -1;
	*blen = a.length;
	if (n >= *blen)
		return 1;
	return eof ? -1 : 0;
}
