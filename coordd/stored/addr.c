/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Text forms of addresses, prefixes and endpoints.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stored.h"

void
addr_print4(const uint8_t addr[4], char *buf, size_t len)
{
	if (inet_ntop(AF_INET, addr, buf, (socklen_t)len) == NULL)
		fatal("inet_ntop");
}

void
addr_print6(const uint8_t addr[16], char *buf, size_t len)
{
	if (inet_ntop(AF_INET6, addr, buf, (socklen_t)len) == NULL)
		fatal("inet_ntop");
}

void
route_print(const struct policy_prefix *p, char *buf, size_t len)
{
	size_t	 n;

	if (p->pp_version == 4)
		addr_print4(p->pp_addr, buf, len);
	else
		addr_print6(p->pp_addr, buf, len);
	n = strlen(buf);
	(void)snprintf(buf + n, len - n, "/%u", p->pp_plen);
}

void
route_list(struct buf *t, const char *name, const struct policy_prefix *list,
    size_t n)
{
	char	 text[ADDR_TEXT];
	size_t	 i;

	buf_name(t, name);
	buf_str(t, "[");
	for (i = 0; i < n; i++) {
		route_print(&list[i], text, sizeof(text));
		buf_fmt(t, "%s\"%s\"", i > 0 ? "," : "", text);
	}
	buf_str(t, "]");
}

/* IPv4 first, then by address, then the wider one: as Go sorts them. */
int
route_cmp(const void *va, const void *vb)
{
	const struct policy_prefix	*a = va, *b = vb;
	int				 c;

	if (a->pp_version != b->pp_version)
		return a->pp_version < b->pp_version ? -1 : 1;
	c = memcmp(a->pp_addr, b->pp_addr, a->pp_version == 4 ? 4 : 16);
	if (c != 0)
		return c;
	return a->pp_plen < b->pp_plen ? -1 : a->pp_plen > b->pp_plen;
}

int
route_is_exit(const struct policy_prefix *p)
{
	return p->pp_plen == 0;
}

void
endpoint_print(const struct msg_endpoint *ep, char *buf, size_t len)
{
	char	 addr[ADDR_TEXT];

	if (ep->af == AF_WIRE_INET) {
		addr_print4(ep->addr, addr, sizeof(addr));
		(void)snprintf(buf, len, "%s:%u", addr, ep->port);
	} else {
		addr_print6(ep->addr, addr, sizeof(addr));
		(void)snprintf(buf, len, "[%s]:%u", addr, ep->port);
	}
}

int
endpoint_parse(const char *text, struct msg_endpoint *ep)
{
	const char	*errstr, *port;
	char		 addr[ADDR_TEXT];
	size_t		 len;

	memset(ep, 0, sizeof(*ep));
	if ((port = strrchr(text, ':')) == NULL)
		return -1;
	len = (size_t)(port - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		ep->af = AF_WIRE_INET6;
		text++;
		len -= 2;
	} else
		ep->af = AF_WIRE_INET;
	if (len == 0 || len >= sizeof(addr))
		return -1;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (inet_pton(ep->af == AF_WIRE_INET ? AF_INET : AF_INET6, addr,
	    ep->addr) != 1)
		return -1;
	ep->port = (uint16_t)strtonum(port + 1, 1, 65535, &errstr);
	return errstr == NULL ? 0 : -1;
}
