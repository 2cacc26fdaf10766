/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: what portmapd's state machine makes of a gateway. The first byte of
 * each record of the input says what comes (a datagram of port 5351 or 1900,
 * an HTTP answer, time going by), the second how long it is.
 */

/* link: ../../portmapd/mapper.c ../../portmapd/igd.c */
/* link: ../../portmapd/answer.c */
/* libs: -lexpat */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../portmapd/mapper.h"

#define MSEC	1000000LL

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const uint8_t	 gw[4] = { 192, 168, 1, 1 };
static uint8_t		 nonce[PCP_NONCE_LEN];
static int		 requested;

static void
op_send(void *arg, const uint8_t *ip, uint16_t port, const void *p,
    size_t len)
{
	const uint8_t	*b = p;

	if (port == PMP_PORT && len == PCP_MAP_LEN)
		memcpy(nonce, b + 24, sizeof(nonce));
}

static void
op_request(void *arg, uint16_t port, const char *text, size_t len)
{
	if (requested || port == 0 || memchr(text, '\0', len) != NULL)
		abort();
	requested = 1;
}

static void
op_cancel(void *arg)
{
	requested = 0;
}

static void
op_none(void *arg)
{
}

static const struct mapper_ops	 ops = {
	op_send, op_request, op_cancel, op_none, op_none
};

/* Never mapped to nowhere, never a timer in the past that stays. */
static void
check(struct mapper *m, int64_t now)
{
	const struct msg_portmap	*s = mapper_state(m);
	int				 i;

	if (s->ep.af != 0 && (s->ep.port == 0 || s->ep.addr[0] == 0 ||
	    s->ep.addr[0] == 127 || s->ep.addr[0] >= 224))
		abort();
	for (i = 0; mapper_next(m) != 0 && mapper_next(m) <= now; i++) {
		if (i == 64)
			abort();
		mapper_tick(m, now);
	}
}

static void
record(struct mapper *m, unsigned int what, uint8_t *p, size_t len,
    int64_t *now)
{
	int	 was = requested;

	switch (what % 6) {
	case 0:
		/* The nonce cannot be guessed; have it now and then. */
		if (what >= 128 && len >= PCP_MAP_LEN)
			memcpy(p + 24, nonce, sizeof(nonce));
		mapper_udp(m, gw, PMP_PORT, p, len, *now);
		break;
	case 1:
		mapper_udp(m, gw, SSDP_PORT, p, len, *now);
		break;
	case 2:
	case 3:
		requested = 0;
		if (was)
			mapper_http(m, what % 6 == 2 ? 200 : 500,
			    (const char *)p, len, *now);
		break;
	case 4:
		*now += len * 10 * MSEC;
		break;
	default:
		*now += len * 60000 * MSEC;
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct mapper		 m;
	struct msg_gateway	 g;
	uint8_t			 buf[1024];
	int64_t			 now = 1;
	size_t			 n;

	requested = 0;
	memset(&g, 0, sizeof(g));
	g.gw.af = g.own.af = AF_WIRE_INET;
	memcpy(g.gw.addr, gw, sizeof(gw));
	g.own.addr[0] = 10;
	g.port = 41641;
	mapper_init(&m, &ops, NULL);
	mapper_gateway(&m, &g, now);
	while (len >= 3) {
		n = data[1] << 8 | data[2];
		if (n > len - 3)
			n = len - 3;
		if (n > sizeof(buf))
			n = sizeof(buf);
		memcpy(buf, data + 3, n);
		record(&m, data[0], buf, n, &now);
		check(&m, now);
		data += 3 + n;
		len -= 3 + n;
	}
	mapper_release(&m, now);
	return 0;
}
