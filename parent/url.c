/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * URLs of the control server and of the proxy.
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

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One part of "user:password"; -1: no room, or what cannot stand in it. */
static int
userinfo_decode(char *dst, size_t size, const char *s, size_t len)
{
	size_t	 i, n;
	int	 c, hi, lo;

	for (i = n = 0; i < len; i++) {
		c = (unsigned char)s[i];
		if (c == '%') {
			if (len - i < 3 || (hi = hex_value(s[i + 1])) == -1 ||
			    (lo = hex_value(s[i + 2])) == -1)
				return -1;
			c = hi << 4 | lo;
			i += 2;
		}
		if (c < ' ' || c == 0x7f || n + 1 >= size)
			return -1;
		dst[n++] = c;
	}
	dst[n] = '\0';
	return 0;
}

/* RFC 7617: a user has no colon, a password may. */
static int
userinfo(char *auth, size_t size, const char *s, size_t len)
{
	const char	*colon;
	size_t		 n;

	if ((colon = memchr(s, ':', len)) == NULL)
		colon = s + len;
	if (userinfo_decode(auth, size, s, colon - s) == -1 ||
	    auth[0] == '\0' || strchr(auth, ':') != NULL ||
	    strlcat(auth, ":", size) >= size)
		return -1;
	if (colon == s + len)
		return 0;
	n = strlen(auth);
	return userinfo_decode(auth + n, size - n, colon + 1,
	    s + len - colon - 1);
}

int
url_parse_proxy(struct url *u, char *auth, size_t size, const char *text,
    const char **why)
{
	static const char	 scheme[] = "http://";
	const char		*at, *host;
	char			 plain[MSG_NAME_LEN];

	memset(u, 0, sizeof(*u));
	auth[0] = '\0';
	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0) {
		*why = "URL must begin with http://";
		return -1;
	}
	host = text + sizeof(scheme) - 1;
	if ((at = strchr(host, '@')) == NULL)
		return url_parse(u, text, why);
	if (userinfo(auth, size, host, at - host) == -1) {
		*why = "URL has no valid user and password";
		return -1;
	}
	if (strlcpy(plain, scheme, sizeof(plain)) >= sizeof(plain) ||
	    strlcat(plain, at + 1, sizeof(plain)) >= sizeof(plain)) {
		*why = "URL is too long";
		return -1;
	}
	return url_parse(u, plain, why);
}
