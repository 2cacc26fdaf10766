/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ICMP errors for packets that are too big, and what is too big.
 */

/* link: ../../netd/ptb.c ../../netd/checksum.c */
/* link: ../../netd/checksum_avx2.c */

#include <sys/types.h>
#include <sys/endian.h>

#include <err.h>
#include <stdint.h>
#include <string.h>

#include "../../netd/netd.h"
#include "../../netd/ptb.h"

static void
want(int good, const char *what)
{
	if (!good)
		errx(1, "%s", what);
}

/* IPv4 with DF, or IPv6; TCP, with options of 12 bytes. */
static void
packet(uint8_t *p, size_t len, int version)
{
	size_t	 i, l4 = version == 4 ? 20 : 40;

	for (i = 0; i < len; i++)
		p[i] = i;
	p[0] = version == 4 ? 0x45 : 0x60;
	p[6] = version == 4 ? 0x40 : PKT_TCP;
	p[l4 + 12] = 0x80;
}

static void
test_largest(void)
{
	struct vnet_hdr	 vh;
	uint8_t		 p[9000];

	memset(&vh, 0, sizeof(vh));
	packet(p, sizeof(p), 4);
	want(ptb_largest(&vh, p, 1500) == 1500, "one packet");
	vh.v_gso_type = VNET_GSO_TCP4 | VNET_GSO_ECN;
	vh.v_gso_size = 1228;
	vh.v_csum_start = 20;
	want(ptb_largest(&vh, p, 9000) == 20 + 32 + 1228, "TCP over IPv4");
	want(ptb_largest(&vh, p, 1000) == 1000, "less than one segment");
	packet(p, sizeof(p), 6);
	vh.v_gso_type = VNET_GSO_TCP6;
	vh.v_csum_start = 40;
	want(ptb_largest(&vh, p, 9000) == 40 + 32 + 1228, "TCP over IPv6");
	vh.v_gso_type = VNET_GSO_UDP_L4;
	want(ptb_largest(&vh, p, 9000) == 40 + 8 + 1228, "UDP");
	vh.v_csum_start = 0xffff;
	want(ptb_largest(&vh, p, 9000) == 9000, "a header that lies");
	want(ptb_wanted(p), "IPv6 is not cut");
	packet(p, sizeof(p), 4);
	want(ptb_wanted(p), "nor IPv4 with DF");
	p[6] = 0;
	want(!ptb_wanted(p), "but without");
}

static void
test_build(int version)
{
	uint8_t	 b[PTB_MAX], p[1500];
	size_t	 hlen = version == 4 ? 20 : 40, len;

	packet(p, sizeof(p), version);
	len = ptb_build(b, p, sizeof(p), 1280);
	want(len == (version == 4 ? 576 : 1280), "length of the error");
	want(memcmp(b + hlen + 8, p, len - hlen - 8) == 0, "its quotation");
	if (version == 4) {
		want(b[0] == 0x45 && be16dec(b + 2) == len && b[9] == 1 &&
		    memcmp(b + 12, p + 16, 4) == 0 &&
		    memcmp(b + 16, p + 12, 4) == 0, "header");
		want(csum_fold(csum_add(0, b, 20)) == 0xffff &&
		    csum_fold(csum_add(0, b + 20, len - 20)) == 0xffff,
		    "checksums");
		want(b[20] == 3 && b[21] == 4 && be16dec(b + 26) == 1280,
		    "fragmentation needed");
	} else {
		want(b[0] == 0x60 && be16dec(b + 4) == len - 40 &&
		    b[6] == 58 && memcmp(b + 8, p + 24, 16) == 0 &&
		    memcmp(b + 24, p + 8, 16) == 0, "header");
		want(csum_verify(b, 40, PKT_ICMP6, len - 40), "checksum");
		want(b[40] == 2 && b[41] == 0 && be32dec(b + 44) == 1280,
		    "packet too big");
	}
	len = ptb_build(b, p, hlen + 8, 1280);
	want(len == 2 * hlen + 16, "of a short packet");
}

/* A flow, and what of n packets of it is answered in that second. */
static unsigned int
answered(int version, uint16_t port, unsigned int n, int64_t now)
{
	uint8_t		 p[1500];
	unsigned int	 i, got = 0;

	packet(p, sizeof(p), version);
	if (version == 4) {
		p[7] = 0;		/* no fragment */
		p[9] = PKT_TCP;
	}
	be16enc(p + (version == 4 ? 20 : 40), port);
	for (i = 0; i < n; i++)
		got += ptb_allowed(p, sizeof(p), now + NSEC / n * i);
	return got;
}

/* One that does not listen hears less; all others are told at once. */
static void
test_allowed(int version, int64_t now)
{
	unsigned int	 got, port, others = 0, sum = 0;

	got = answered(version, 1, 100000, now);
	want(got >= 15 && got <= 20, "a flood");
	got = answered(version, 1, 100000, now + NSEC);
	want(got >= 9 && got <= 11, "and it goes on");
	for (port = 2; port < 102; port++)
		others += answered(version, port, 1, now + 2 * NSEC) == 1;
	/* 100 in 256 places, a full one among them: hardly any bad luck. */
	want(others >= 90, "another flow");
	want(answered(version, 1, 1, now + 10 * NSEC) == 1 &&
	    answered(version, 1, 5, now + 20 * NSEC) == 5,
	    "it listens by now");

	now += 60 * NSEC;
	for (port = 0; port < 20000; port++)
		sum += answered(version, port, 1, now + NSEC / 20000 * port);
	want(sum > 2000 && sum < 5200, "many flows, all in all");
}

int
main(void)
{
	test_allowed(4, 1000 * NSEC);
	test_allowed(6, 2000 * NSEC);
	test_largest();
	test_build(4);
	test_build(6);
	return 0;
}
