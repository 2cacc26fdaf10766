/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses, prefixes and endpoints of the netmap: texts in and out.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netmap.h"

int
nm_addr_parse(const char *s, struct nm_addr *a)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, s, a->na_addr) == 1)
		a->na_version = 4;
	else if (inet_pton(AF_INET6, s, a->na_addr) == 1)
		a->na_version = 6;
	else
		return -1;
	return 0;
}

/* A decimal number without sign or leading zero; -1 if above max. */
static int
nm_number(const char *s, int max)
{
	int	 v;

	if (*s == '\0' || (s[0] == '0' && s[1] != '\0'))
		return -1;
	for (v = 0; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		v = v * 10 + (*s - '0');
		if (v > max)
			return -1;
	}
	return v;
}

int
nm_prefix_parse(const char *s, struct nm_prefix *p)
{
	struct nm_addr	 a;
	char		 buf[INET6_ADDRSTRLEN];
	const char	*slash;
	size_t		 len;
	int		 plen;

	if ((slash = strrchr(s, '/')) == NULL)
		return -1;
	len = slash - s;
	if (len >= sizeof(buf))
		return -1;
	memcpy(buf, s, len);
	buf[len] = '\0';
	if (nm_addr_parse(buf, &a) == -1)
		return -1;
	plen = nm_number(slash + 1, a.na_version == 4 ? 32 : 128);
	if (plen == -1)
		return -1;
	memset(p, 0, sizeof(*p));
	p->np_version = a.na_version;
	p->np_plen = plen;
	memcpy(p->np_addr, a.na_addr, sizeof(p->np_addr));
	return 0;
}

int
nm_endpoint_parse(const char *s, struct nm_endpoint *e)
{
	struct nm_addr	 a;
	char		 buf[INET6_ADDRSTRLEN];
	const char	*colon, *from;
	size_t		 len;
	int		 port;

	if ((colon = strrchr(s, ':')) == NULL)
		return -1;
	from = s;
	len = colon - s;
	if (len >= 2 && s[0] == '[' && s[len - 1] == ']') {
		from++;
		len -= 2;
	} else if (memchr(s, ':', len) != NULL)
		return -1;		/* IPv6 wants brackets */
	if (len >= sizeof(buf))
		return -1;
	memcpy(buf, from, len);
	buf[len] = '\0';
	port = nm_number(colon + 1, 65535);
	if (port == -1 || nm_addr_parse(buf, &a) == -1 ||
	    (a.na_version == 4) != (from == s))
		return -1;
	memset(e, 0, sizeof(*e));
	e->ne_version = a.na_version;
	e->ne_port = port;
	memcpy(e->ne_addr, a.na_addr, sizeof(e->ne_addr));
	return 0;
}

char *
nm_addr_text(uint8_t version, const uint8_t *addr, char *buf, size_t len)
{
	if (len > 0 && inet_ntop(version == 4 ? AF_INET : AF_INET6, addr,
	    buf, len) == NULL)
		buf[0] = '\0';
	return buf;
}

char *
nm_prefix_text(const struct nm_prefix *p, char *buf, size_t len)
{
	char	 a[INET6_ADDRSTRLEN];

	nm_addr_text(p->np_version, p->np_addr, a, sizeof(a));
	(void)snprintf(buf, len, "%s/%u", a, p->np_plen);
	return buf;
}

char *
nm_endpoint_text(const struct nm_endpoint *e, char *buf, size_t len)
{
	char	 a[INET6_ADDRSTRLEN];

	nm_addr_text(e->ne_version, e->ne_addr, a, sizeof(a));
	(void)snprintf(buf, len, e->ne_version == 4 ? "%s:%u" : "[%s]:%u", a,
	    e->ne_port);
	return buf;
}
