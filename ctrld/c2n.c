/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Requests that the server sends to the node. Only an echo is offered.
 * Source: control.md 5.3.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"

#define BODY_MAX	65536

/* Find the end of the head; 0 if there is none. */
static size_t
head_end(const char *p, size_t len)
{
	size_t	 i;

	for (i = 0; i + 1 < len; i++) {
		if (p[i] == '\n' && p[i + 1] == '\n')
			return i + 2;
		if (p[i] == '\n' && i + 2 < len && p[i + 1] == '\r' &&
		    p[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

/* Is the path of the request line this one, whatever the query? */
static int
path_is(const char *p, size_t len, const char *path)
{
	const char	*from, *nl;
	size_t		 n;

	if ((nl = memchr(p, '\n', len)) == NULL ||
	    (from = memchr(p, ' ', nl - p)) == NULL)
		return 0;
	from++;
	for (n = 0; from + n < nl && strchr(" ?\r", from[n]) == NULL; n++)
		continue;
	return n == strlen(path) && memcmp(from, path, n) == 0;
}

static char *
respond(const char *status, const char *body, size_t len, size_t *outlen)
{
	char	*out;
	int	 n;

	n = asprintf(&out, "HTTP/1.1 %s\r\nConnection: close\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: %zu\r\n\r\n", status, len);
	if (n == -1)
		return NULL;
	*outlen = n + len;
	if ((out = recallocarray(out, n + 1, *outlen + 1, 1)) == NULL)
		return NULL;
	memcpy(out + n, body, len);
	return out;
}

char *
c2n_answer(const char *req, size_t len, size_t *outlen)
{
	static const char	 unknown[] = "unknown c2n path\n";
	size_t			 end;

	end = head_end(req, len);
	if (end == 0 || !path_is(req, end, "/echo"))
		return respond("400 Bad Request", unknown,
		    sizeof(unknown) - 1, outlen);
	if (len - end > BODY_MAX)
		len = end + BODY_MAX;
	return respond("200 OK", req + end, len - end, outlen);
}
