/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * How many connections one address (IPv6: one /64) has, and may have.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/tree.h>

#include <netinet/in.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "source.h"

struct source {
	RB_ENTRY(source) so_entry;
	uint8_t		 so_addr[16];	/* IPv4 mapped; IPv6: upper half */
	unsigned int	 so_raw;	/* no key shown yet */
	unsigned int	 so_all;
	int		 so_local;
};

static int	 source_cmp(struct source *, struct source *);

static RB_HEAD(sources, source)	 sources = RB_INITIALIZER(&sources);
RB_PROTOTYPE(sources, source, so_entry, source_cmp);
RB_GENERATE(sources, source, so_entry, source_cmp)

static int
source_cmp(struct source *a, struct source *b)
{
	return memcmp(a->so_addr, b->so_addr, sizeof(a->so_addr));
}

static void
source_fill(struct source *so, const struct sockaddr_storage *ss)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	memset(so, 0, sizeof(*so));
	if (ss->ss_family == AF_INET) {
		memcpy(&sin, ss, sizeof(sin));
		so->so_addr[10] = so->so_addr[11] = 0xff;
		memcpy(so->so_addr + 12, &sin.sin_addr, 4);
	} else if (ss->ss_family == AF_INET6) {
		memcpy(&sin6, ss, sizeof(sin6));
		memcpy(so->so_addr, &sin6.sin6_addr, 16);
		so->so_local = IN6_IS_ADDR_LOOPBACK(&sin6.sin6_addr);
		if (!IN6_IS_ADDR_V4MAPPED(&sin6.sin6_addr) && !so->so_local)
			memset(so->so_addr + 8, 0, 8);
	}
	if (so->so_addr[10] == 0xff && so->so_addr[12] == 127)
		so->so_local = 1;
}

struct source *
source_get(const struct sockaddr_storage *ss)
{
	struct source	 key, *so;

	source_fill(&key, ss);
	if ((so = RB_FIND(sources, &sources, &key)) != NULL)
		return so;
	if ((so = malloc(sizeof(*so))) == NULL)
		fatal(NULL);
	*so = key;
	RB_INSERT(sources, &sources, so);
	return so;
}

int
source_allows(const struct source *so, unsigned int raw, unsigned int all)
{
	if (so->so_local)
		return 1;
	return so->so_raw < raw && so->so_all < all;
}

void
source_opened(struct source *so)
{
	so->so_raw++;
	so->so_all++;
}

void
source_keyed(struct source *so)
{
	so->so_raw--;
}

void
source_closed(struct source *so, int raw)
{
	if (raw)
		so->so_raw--;
	so->so_all--;
	source_unused(so);
}

void
source_unused(struct source *so)
{
	if (so->so_all > 0)
		return;
	RB_REMOVE(sources, &sources, so);
	free(so);
}

const char *
source_name(const struct source *so)
{
	static char	 buf[INET6_ADDRSTRLEN];

	if (so->so_addr[10] == 0xff && so->so_addr[11] == 0xff)
		inet_ntop(AF_INET, so->so_addr + 12, buf, sizeof(buf));
	else
		inet_ntop(AF_INET6, so->so_addr, buf, sizeof(buf));
	return buf;
}
