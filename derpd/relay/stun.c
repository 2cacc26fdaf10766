/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * STUN: whoever asks hears the address that the question came from.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <string.h>

#include "relay.h"
#include "stun.h"

#define DATAGRAMS	64		/* answered in a row */

static int
stun_from(const struct sockaddr_storage *ss, struct stun_addr *sa)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	memset(sa, 0, sizeof(*sa));
	if (ss->ss_family == AF_INET) {
		memcpy(&sin, ss, sizeof(sin));
		sa->sa_v4 = 1;
		sa->sa_port = ntohs(sin.sin_port);
		memcpy(sa->sa_addr, &sin.sin_addr, 4);
		return 0;
	}
	if (ss->ss_family != AF_INET6)
		return -1;
	memcpy(&sin6, ss, sizeof(sin6));
	sa->sa_port = ntohs(sin6.sin6_port);
	memcpy(sa->sa_addr, &sin6.sin6_addr, 16);
	return 0;
}

void
stun_cb(int fd, short events, void *arg)
{
	struct sockaddr_storage	 ss;
	struct stun_addr	 sa;
	socklen_t		 len;
	uint8_t			 pkt[1500], txid[STUN_TXID_LEN];
	uint8_t			 out[STUN_RESPONSE_MAX];
	ssize_t			 n;
	int			 i;

	for (i = 0; i < DATAGRAMS; i++) {
		len = sizeof(ss);
		n = recvfrom(fd, pkt, sizeof(pkt), 0,
		    (struct sockaddr *)&ss, &len);
		if (n == -1)
			return;
		if (stun_request_parse(pkt, n, txid) == -1 ||
		    stun_from(&ss, &sa) == -1)
			continue;
		n = stun_response_build(txid, &sa, out);
		(void)sendto(fd, out, n, 0, (struct sockaddr *)&ss, len);
	}
}
