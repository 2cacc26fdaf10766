/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * URLs of control servers.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pure.h"

/* Visible ASCII that can stand in a request line. */
static int
text_ok(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~' || *s == '#')
			return 0;
	return 1;
}

static int
host_ok(const char *s)
{
	if (*s == '\0' || strlen(s) > 253)
		return 0;
	for (; *s != '\0'; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= '0' && *s <= '9') || strchr("-._", *s) != NULL))
			return 0;
	return 1;
}

static int
host_parse(char *s, int bracket, struct url *u)
{
	if (strlcpy(u->u_host, s, sizeof(u->u_host)) >= sizeof(u->u_host))
		return -1;
	if (bracket) {
		u->u_ip.af = AF_WIRE_INET6;
		return inet_pton(AF_INET6, s, u->u_ip.addr) == 1 ? 0 : -1;
	}
	if (inet_pton(AF_INET, s, u->u_ip.addr) == 1)
		u->u_ip.af = AF_WIRE_INET;
	return host_ok(s) ? 0 : -1;
}

/* "host", "host:port", "[v6]", "[v6]:port" */
static int
authority_parse(char *s, struct url *u)
{
	const char	*errstr;
	char		*end, *port;
	int		 bracket;

	bracket = *s == '[';
	if (bracket) {
		s++;
		if ((end = strchr(s, ']')) == NULL)
			return -1;
		*end++ = '\0';
		if (*end != '\0' && *end != ':')
			return -1;
		port = *end == ':' ? end : NULL;
	} else
		port = strchr(s, ':');
	if (port != NULL) {
		*port++ = '\0';
		u->u_port = strtonum(port, 1, 65535, &errstr);
		if (errstr != NULL)
			return -1;
	}
	return host_parse(s, bracket, u);
}

int
url_parse(const char *text, struct url *u)
{
	char	 auth[MSG_NAME_LEN];
	size_t	 len;

	memset(u, 0, sizeof(*u));
	if (!text_ok(text))
		goto bad;
	if (strncasecmp(text, "https://", 8) == 0) {
		u->u_tls = 1;
		u->u_port = 443;
		text += 8;
	} else if (strncasecmp(text, "http://", 7) == 0) {
		u->u_port = 80;
		text += 7;
	} else
		goto bad;
	len = strcspn(text, "/?");
	if (len >= sizeof(auth))
		goto bad;
	memcpy(auth, text, len);
	auth[len] = '\0';
	text += len;
	if ((size_t)snprintf(u->u_path, sizeof(u->u_path), "%s%s",
	    *text == '/' ? "" : "/", text) >= sizeof(u->u_path))
		goto bad;
	if (authority_parse(auth, u) == 0)
		return 0;
bad:
	errno = EINVAL;
	return -1;
}

char *
url_authority(const struct url *u, char *buf, size_t len)
{
	(void)snprintf(buf, len, u->u_ip.af == AF_WIRE_INET6 ? "[%s]:%u" :
	    "%s:%u", u->u_host, u->u_port);
	return buf;
}
