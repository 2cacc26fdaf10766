/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The control server's URL.
 */

#include <sys/types.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "shoald.h"

static int
host_ok(const char *s)
{
	size_t	 i, label = 0;

	for (i = 0; s[i] != '\0'; i++) {
		if (s[i] == '.') {
			if (label == 0)
				return 0;
			label = 0;
			continue;
		}
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' &&
		    s[i] != '_')
			return 0;
		if (++label > 63)
			return 0;
	}
	return i > 0 && i < 254;
}

/* The host in s, which is len bytes, brackets round an IPv6 address. */
static int
url_host(struct url *u, const char *s, size_t len)
{
	int	 v6 = 0;

	if (len >= 2 && s[0] == '[' && s[len - 1] == ']') {
		v6 = 1;
		s++;
		len -= 2;
	}
	if (len >= sizeof(u->u_host))
		return -1;
	memcpy(u->u_host, s, len);
	u->u_host[len] = '\0';
	if (ip_parse(&u->u_ip, u->u_host) == 0)
		return v6 == (u->u_ip.af == AF_WIRE_INET6) ? 0 : -1;
	return !v6 && host_ok(u->u_host) ? 0 : -1;
}

static int
url_port(struct url *u, const char *s)
{
	const char	*err;

	u->u_port = u->u_tls ? 443 : 80;
	if (*s == '\0')
		return 0;
	u->u_port = strtonum(s + 1, 1, 65535, &err);
	return err == NULL ? 0 : -1;
}

int
url_parse(struct url *u, const char *text, const char **why)
{
	const char	*host, *colon;
	size_t		 len;

	memset(u, 0, sizeof(*u));
	*why = NULL;
	len = strlen(text);
	while (len > 0 && text[len - 1] == '/')
		len--;
	if (len >= sizeof(u->u_text)) {
		*why = "URL is too long";
		return -1;
	}
	memcpy(u->u_text, text, len);
	if (strncmp(u->u_text, "https://", 8) == 0)
		u->u_tls = 1;
	else if (strncmp(u->u_text, "http://", 7) != 0) {
		*why = "URL must begin with https:// or http://";
		return -1;
	}
	host = u->u_text + (u->u_tls ? 8 : 7);
	if (host[strcspn(host, "/?#@")] != '\0') {
		*why = "URL must name a server, with no user or path";
		return -1;
	}
	colon = *host == '[' ? strchr(host, ']') : host;
	if (colon != NULL)
		colon += strcspn(colon, ":");
	if (colon == NULL || url_host(u, host, colon - host) == -1)
		*why = "URL has no valid host";
	else if (url_port(u, colon) == -1)
		*why = "URL has no valid port";
	return *why == NULL ? 0 : -1;
}
