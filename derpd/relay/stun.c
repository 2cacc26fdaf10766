/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * STUN: whoever asks hears the address that the question came from.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "os.h"
#include "rate.h"
#include "relay.h"
#include "stun.h"

#define DATAGRAMS	64		/* answered in a row */
#define SOURCES		4096		/* slots that addresses share */
#define SOURCE_GAP	5000000LL	/* ns: 200 a second, of one slot */
#define SOURCE_BURST	400

static int64_t	 full[SOURCES];
static uint8_t	 hash_key[crypto_shorthash_KEYBYTES];

void
stun_init(void)
{
	arc4random_buf(hash_key, sizeof(hash_key));
}

/* An address, IPv6: its /64, is answered so often; a slot is not guessed. */
static int
stun_allowed(const struct stun_addr *sa, int64_t now)
{
	struct rate	 r = { SOURCE_GAP, SOURCE_BURST, 0 };
	uint8_t		 h[crypto_shorthash_BYTES];
	size_t		 slot;
	int		 ok;

	crypto_shorthash(h, sa->sa_addr, sa->sa_v4 ? 4 : 8, hash_key);
	slot = (h[0] << 8 | h[1]) % SOURCES;
	r.r_full = full[slot];
	ok = rate_take(&r, now);
	full[slot] = r.r_full;
	return ok;
}

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
	struct relay_stats	*rs = relay_stats();
	int64_t			 now = os_now();
	ssize_t			 n;
	int			 i;

	for (i = 0; i < DATAGRAMS; i++) {
		len = sizeof(ss);
		n = recvfrom(fd, pkt, sizeof(pkt), 0,
		    (struct sockaddr *)&ss, &len);
		if (n == -1)
			return;
		if (stun_request_parse(pkt, n, txid) == -1 ||
		    stun_from(&ss, &sa) == -1) {
			rs->rs_stun_bad++;
			continue;
		}
		if (!stun_allowed(&sa, now)) {
			rs->rs_stun_rate++;
			continue;
		}
		if (sa.sa_v4)
			rs->rs_stun4++;
		else
			rs->rs_stun6++;
		n = stun_response_build(txid, &sa, out);
		(void)sendto(fd, out, n, 0, (struct sockaddr *)&ss, len);
	}
}
