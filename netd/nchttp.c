/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The small questions of netcheck, HTTP and ICMP; pure (dataplane.md 4.2).
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "netcheck.h"

#define STATUS_LEN	12		/* "HTTP/1.1 204" */

static int	 header_is(const char *, const char *, const char *);

size_t
nc_echo_build(uint8_t *p, const char *text)
{
	size_t	 n = strlen(text);

	memset(p, 0, NC_ECHO_HEAD);
	p[0] = 8;		/* echo request; the kernel does the rest */
	p[7] = 1;
	memcpy(p + NC_ECHO_HEAD, text, n);
	return NC_ECHO_HEAD + n;
}

int
nc_echo_answers(const uint8_t *b, size_t len, const uint8_t *req,
    size_t reqlen)
{
	return len == reqlen && len >= NC_ECHO_HEAD && b[0] == 0 &&
	    b[1] == 0 && memcmp(b + 6, req + 6, len - 6) == 0;
}

int
nc_http_request(char *buf, size_t size, const char *host, const char *path,
    const char *challenge)
{
	int	 n;

	n = snprintf(buf, size, "GET %s HTTP/1.1\r\nHost: %s\r\n"
	    "User-Agent: shoal\r\nCache-Control: no-cache, no-store, "
	    "must-revalidate, no-transform, max-age=0\r\n"
	    "%s%s%sConnection: close\r\n\r\n", path, host,
	    *challenge != '\0' ? "X-Tailscale-Challenge: " : "", challenge,
	    *challenge != '\0' ? "\r\n" : "");
	return n < 0 || (size_t)n >= size ? -1 : n;
}

/* Is this header line there, with this value? head ends with NUL. */
static int
header_is(const char *head, const char *name, const char *value)
{
	const char	*p = head;
	size_t		 len = strlen(name), vlen = strlen(value);

	while ((p = strstr(p, "\r\n")) != NULL) {
		p += 2;
		if (strncasecmp(p, name, len) != 0 || p[len] != ':')
			continue;
		p += len + 1;
		p += strspn(p, " \t");
		return strncmp(p, value, vlen) == 0 &&
		    (p[vlen] == '\r' || p[vlen] == ' ');
	}
	return 0;
}

int
nc_http_status(const char *head)
{
	const char	*p = head + STATUS_LEN - 4;

	if (strlen(head) < STATUS_LEN || strncmp(head, "HTTP/1.", 7) != 0 ||
	    *p++ != ' ' || p[0] < '1' || p[0] > '9' || p[1] < '0' ||
	    p[1] > '9' || p[2] < '0' || p[2] > '9')
		return -1;
	return (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
}

int
nc_http_captive(const char *head, const char *challenge)
{
	char	 want[128];
	int	 n;

	n = snprintf(want, sizeof(want), "response %s", challenge);
	if (n < 0 || (size_t)n >= sizeof(want))
		return 0;
	return nc_http_status(head) != 204 ||
	    !header_is(head, "X-Tailscale-Response", want);
}
