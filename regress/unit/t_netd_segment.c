/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Segmentation and coalescing: each alone, and one undoing the other.
 */

/* link: ../../netd/segment.c ../../netd/coalesce.c ../../netd/checksum.c */
/* link: ../../netd/checksum_avx2.c */

#include <sys/types.h>
#include <sys/endian.h>

#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/netd.h"

#define FIN	0x01
#define SYN	0x02
#define PSH	0x08
#define ACK	0x10
#define CWR	0x80

/* What coalesce.c wrote. */
static uint8_t		 out[64][70000];
static size_t		 outlen[64];
static int		 outsegs[64];
static int		 nout;

/* The checksum of the books, byte by byte: RFC 1071. */
static uint16_t
plain_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	size_t	 i;

	for (i = 0; i < len; i++)
		sum += i % 2 == 0 ? p[i] << 8 : p[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint16_t
transport_sum(const uint8_t *p, size_t l4, size_t len, uint8_t proto)
{
	uint32_t	 sum;

	if (p[0] >> 4 == 4)
		sum = plain_sum(p + 12, 8, 0);
	else
		sum = plain_sum(p + 8, 32, 0);
	sum += proto + len - l4;
	return plain_sum(p + l4, len - l4, sum);
}

static void
want(int good, const char *what, int n)
{
	if (!good)
		errx(1, "%s (%d)", what, n);
}

/*
 * A packet with so many bytes of payload, as the kernel hands it over: the
 * checksum field holds the sum of the pseudo header. Returns its length.
 */
static size_t
make(uint8_t *p, int v4, int tcp, size_t payload, uint8_t flags, uint32_t seq,
    size_t opts)
{
	size_t		 l4 = v4 ? 20 : 40, hlen, i, len;
	uint16_t	 sum;

	hlen = l4 + (tcp ? 20 + opts : 8);
	len = hlen + payload;
	memset(p, 0, hlen);
	if (v4) {
		p[0] = 0x45;
		be16enc(p + 2, len);
		be16enc(p + 4, 0xfffe);
		p[6] = 0x40;
		p[8] = 64;
		p[9] = tcp ? 6 : 17;
		be32enc(p + 12, 0x64400001);
		be32enc(p + 16, 0x64400002);
		be16enc(p + 10, ~plain_sum(p, 20, 0));
	} else {
		p[0] = 0x60;
		be16enc(p + 4, len - 40);
		p[6] = tcp ? 6 : 17;
		p[7] = 64;
		p[8] = p[24] = 0xfd;
		p[23] = 1;
		p[39] = 2;
	}
	be16enc(p + l4, 1234);
	be16enc(p + l4 + 2, 80);
	if (tcp) {
		be32enc(p + l4 + 4, seq);
		be32enc(p + l4 + 8, 77);
		p[l4 + 12] = (20 + opts) / 4 << 4;
		p[l4 + 13] = flags;
		be16enc(p + l4 + 14, 500);
		memset(p + l4 + 20, 1, opts);
	} else
		be16enc(p + l4 + 4, payload + 8);
	for (i = 0; i < payload; i++)
		p[hlen + i] = (seq + i) * 7 + ((seq + i) >> 8);
	sum = csum_fold(csum_pseudo(p, tcp ? 6 : 17, len - l4));
	memcpy(p + l4 + (tcp ? 16 : 6), &sum, 2);
	return len;
}

static void
complete(uint8_t *p, size_t len)
{
	struct vnet_hdr		 vh;
	struct segmenter	 s;
	static uint8_t		 whole[70000];
	size_t			 l4 = p[0] >> 4 == 4 ? 20 : 40;

	memset(&vh, 0, sizeof(vh));
	vh.v_flags = VNET_F_NEEDS_CSUM;
	vh.v_csum_start = l4;
	vh.v_csum_offset = p[l4 == 20 ? 9 : 6] == 6 ? 16 : 6;
	if (segment_start(&s, &vh, p, len) == -1)
		err(1, "complete");
	want(segment_count(&s) == 1, "one", segment_count(&s));
	want(segment_next(&s, whole) == len, "whole", len);
	memcpy(p, whole, len);
}

static void
writer(void *arg, const struct iovec *iov, int n, int segs)
{
	int	 i;

	if (nout == (int)nitems(out))
		errx(1, "too many writes");
	for (outlen[nout] = 0, i = 0; i < n; i++) {
		memcpy(out[nout] + outlen[nout], iov[i].iov_base,
		    iov[i].iov_len);
		outlen[nout] += iov[i].iov_len;
	}
	outsegs[nout++] = segs;
}

/* Cut a large packet up; each piece must be a packet of its own. */
static void
test_segment(int v4, int tcp, size_t payload, size_t size, size_t opts)
{
	static uint8_t		 in[70000], seg[70000];
	struct vnet_hdr		 vh;
	struct segmenter	 s;
	size_t			 l4 = v4 ? 20 : 40, len, n, hlen, off = 0;
	unsigned int		 count, i, last;

	len = make(in, v4, tcp, payload, ACK | PSH | FIN | CWR, 1000, opts);
	hlen = len - payload;
	memset(&vh, 0, sizeof(vh));
	vh.v_flags = VNET_F_NEEDS_CSUM;
	vh.v_gso_type = !tcp ? VNET_GSO_UDP_L4 : v4 ? VNET_GSO_TCP4 :
	    VNET_GSO_TCP6;
	vh.v_gso_type |= VNET_GSO_ECN;
	vh.v_gso_size = size;
	vh.v_hdr_len = 1;		/* a hint, and a wrong one */
	vh.v_csum_start = l4;
	vh.v_csum_offset = tcp ? 16 : 6;
	want(segment_start(&s, &vh, in, len) == 0, "start", 0);
	count = segment_count(&s);
	for (i = 0; (n = segment_len(&s)) != 0; i++) {
		want(segment_next(&s, seg) == n, "length", i);
		last = off + n - hlen == payload;
		want(n - hlen == size || last, "size", i);
		want(memcmp(seg + hlen, in + hlen + off, n - hlen) == 0,
		    "payload", i);
		want(transport_sum(seg, l4, n, tcp ? 6 : 17) == 0xffff,
		    "checksum", i);
		if (v4) {
			want(plain_sum(seg, 20, 0) == 0xffff, "ip sum", i);
			want(be16dec(seg + 2) == n, "ip length", i);
			want(be16dec(seg + 4) == (uint16_t)(0xfffe + i),
			    "ip id", i);
		} else
			want(be16dec(seg + 4) == n - 40, "ip6 length", i);
		if (tcp) {
			want(be32dec(seg + l4 + 4) == 1000 + off, "seq", i);
			want(!(seg[l4 + 13] & (PSH | FIN)) == !last,
			    "psh, fin", i);
			want(!(seg[l4 + 13] & CWR) == (i != 0), "cwr", i);
		} else
			want(be16dec(seg + l4 + 4) == n - l4, "udp len", i);
		off += n - hlen;
	}
	want(off == payload, "all of it", i);
	want(count == i, "count", i);
}

/* Headers and packet that do not fit together. */
static void
test_malformed(void)
{
	static const struct {
		const char	*what;
		struct vnet_hdr	 vh;
		size_t		 len;
		uint8_t		 first;
	} tests[] = {
		{ "empty", { 0, 0, 0, 0, 0, 0 }, 0, 0x45 },
		{ "type", { 0, 3, 0, 100, 20, 16 }, 1000, 0x45 },
		{ "no size", { 1, 1, 0, 0, 20, 16 }, 1000, 0x45 },
		{ "start", { 1, 1, 0, 100, 24, 16 }, 1000, 0x45 },
		{ "start end", { 1, 1, 0, 100, 2000, 16 }, 1000, 0x45 },
		{ "no room", { 1, 1, 0, 100, 20, 16 }, 30, 0x45 },
		{ "no payload", { 1, 1, 0, 100, 20, 16 }, 40, 0x45 },
		{ "version", { 1, 1, 0, 100, 40, 16 }, 1000, 0x55 },
		{ "ihl", { 1, 1, 0, 100, 20, 16 }, 1000, 0x41 },
		{ "v6 start", { 1, 4, 0, 100, 20, 16 }, 1000, 0x60 },
		{ "sum of one byte", { 1, 0, 0, 0, 0, 2 }, 1, 0x45 },
		{ "sum end", { 1, 0, 0, 0, 999, 2 }, 1000, 0x45 },
		{ "sum start", { 1, 0, 0, 0, 1000, 2 }, 1000, 0x45 },
		{ "sum off", { 1, 0, 0, 0, 20, 0xffff }, 1000, 0x45 },
	};
	static uint8_t		 pkt[1000];
	struct segmenter	 s;
	size_t			 i;

	for (i = 0; i < nitems(tests); i++) {
		make(pkt, 1, 1, 900, ACK, 1, 0);
		pkt[0] = tests[i].first;
		errno = 0;
		if (segment_start(&s, &tests[i].vh, pkt,
		    tests[i].len) != -1 || errno != EINVAL)
			errx(1, "malformed: %s", tests[i].what);
		if (segment_len(&s) != 0)
			errx(1, "malformed: %s has segments", tests[i].what);
	}
}

/* A joined write must be what the kernel would have handed to a sender. */
static void
check_joined(int n, int v4, int tcp, size_t payload, size_t size, int segs,
    uint32_t seq)
{
	static uint8_t	 like[70000];
	struct vnet_hdr	 vh;
	uint8_t		*p = out[n] + VNET_HDR_LEN;
	size_t		 len, l4 = v4 ? 20 : 40;

	memcpy(&vh, out[n], sizeof(vh));
	len = make(like, v4, tcp, payload, ACK | (tcp ? PSH : 0), seq, 0);
	if (v4) {
		memcpy(like + 4, p + 4, 2);
		csum_ip4(like, 20);
	}
	want(outsegs[n] == segs, "segments joined", outsegs[n]);
	want(outlen[n] == len + VNET_HDR_LEN, "joined length", outlen[n]);
	if (tcp)
		p[l4 + 13] |= PSH;
	want(memcmp(p, like, len) == 0, "joined packet", n);
	want(vh.v_flags == VNET_F_NEEDS_CSUM, "flags", vh.v_flags);
	want(vh.v_gso_size == size, "gso size", vh.v_gso_size);
	want(vh.v_csum_start == l4, "start", vh.v_csum_start);
	want(vh.v_csum_offset == (tcp ? 16 : 6), "offset",
	    vh.v_csum_offset);
	want(vh.v_gso_type == (!tcp ? VNET_GSO_UDP_L4 : v4 ? VNET_GSO_TCP4 :
	    VNET_GSO_TCP6), "type", vh.v_gso_type);
}

static void
test_join(int v4, int tcp, size_t payload, size_t size)
{
	static uint8_t		 in[70000], segs[80][2000];
	static struct coal	 c;
	struct vnet_hdr		 vh;
	struct segmenter	 s;
	size_t			 len, n;
	int			 i;

	len = make(in, v4, tcp, payload, ACK | PSH, 5, 0);
	memset(&vh, 0, sizeof(vh));
	vh.v_gso_type = !tcp ? VNET_GSO_UDP_L4 : v4 ? VNET_GSO_TCP4 :
	    VNET_GSO_TCP6;
	vh.v_gso_size = size;
	vh.v_csum_start = v4 ? 20 : 40;
	if (segment_start(&s, &vh, in, len) == -1)
		err(1, "join");
	coal_init(&c, COAL_TCP | COAL_UDP | COAL_VNET, writer, NULL);
	nout = 0;
	for (i = 0; (n = segment_next(&s, segs[i])) != 0; i++)
		coal_packet(&c, segs[i], n);
	coal_flush(&c);
	want(nout == 1, "one write", nout);
	check_joined(0, v4, tcp, payload, size, i, 5);
}

/* Two segments, the second made different: must it be written alone? */
static const struct {
	const char	*what;
	int		 tcp;
	size_t		 len1, len2;
	uint8_t		 flags1, flags2;
	uint32_t	 seq2;
	int		 off;		/* byte of the second to change */
	int		 recheck;	/* and make its checksum good again */
	int		 writes;
} pairs[] = {
	{ "same",	1, 100, 100, ACK, ACK, 105, -1, 0, 1 },
	{ "shorter",	1, 100, 50, ACK, ACK, 105, -1, 0, 1 },
	{ "longer",	1, 100, 101, ACK, ACK, 105, -1, 0, 2 },
	{ "gap",	1, 100, 100, ACK, ACK, 106, -1, 0, 2 },
	{ "older",	1, 100, 100, ACK, ACK, 4, -1, 0, 2 },
	{ "push ends",	1, 100, 100, ACK | PSH, ACK, 105, -1, 0, 2 },
	{ "fin",	1, 100, 100, ACK, ACK | FIN, 105, -1, 0, 2 },
	{ "syn",	1, 100, 100, ACK, SYN, 105, -1, 0, 2 },
	{ "cwr",	1, 100, 100, ACK, ACK | CWR, 105, -1, 0, 2 },
	{ "bare ack",	1, 100, 0, ACK, ACK, 105, -1, 0, 2 },
	{ "bad sum",	1, 100, 100, ACK, ACK, 105, 60, 0, 2 },
	{ "other ack",	1, 100, 100, ACK, ACK, 105, 31, 1, 2 },
	{ "window",	1, 100, 100, ACK, ACK, 105, 35, 1, 2 },
	{ "port",	1, 100, 100, ACK, ACK, 105, 21, 1, 2 },
	{ "source",	1, 100, 100, ACK, ACK, 105, 15, 1, 2 },
	{ "ttl",	1, 100, 100, ACK, ACK, 105, 8, 1, 2 },
	{ "tos",	1, 100, 100, ACK, ACK, 105, 1, 1, 2 },
	{ "df",		1, 100, 100, ACK, ACK, 105, 6, 1, 2 },
	{ "udp",	0, 100, 100, 0, 0, 105, -1, 0, 1 },
	{ "udp short",	0, 100, 10, 0, 0, 105, -1, 0, 1 },
	{ "udp long",	0, 100, 101, 0, 0, 105, -1, 0, 2 },
	{ "udp bad",	0, 100, 100, 0, 0, 105, 50, 0, 2 },
};

static void
test_pairs(void)
{
	static struct coal	 c;
	uint8_t			 a[2000], b[2000];
	size_t			 i, la, lb, field;
	uint16_t		 sum;

	for (i = 0; i < nitems(pairs); i++) {
		la = make(a, 1, pairs[i].tcp, pairs[i].len1, pairs[i].flags1,
		    5, 0);
		lb = make(b, 1, pairs[i].tcp, pairs[i].len2, pairs[i].flags2,
		    pairs[i].seq2, 0);
		complete(a, la);
		complete(b, lb);
		if (pairs[i].off != -1)
			b[pairs[i].off] ^= pairs[i].off == 6 ? 0x40 : 0x01;
		if (pairs[i].recheck) {
			field = 20 + (pairs[i].tcp ? 16 : 6);
			memset(b + field, 0, 2);
			sum = csum_fold(csum_pseudo(b, pairs[i].tcp ? 6 : 17,
			    lb - 20));
			memcpy(b + field, &sum, 2);
			complete(b, lb);
			csum_ip4(b, 20);
		}
		coal_init(&c, COAL_TCP | COAL_UDP | COAL_VNET, writer, NULL);
		nout = 0;
		coal_packet(&c, a, la);
		coal_packet(&c, b, lb);
		coal_flush(&c);
		if (nout != pairs[i].writes)
			errx(1, "pair %s: %d writes", pairs[i].what, nout);
		if (nout == 2 && (outlen[0] != la + VNET_HDR_LEN ||
		    memcmp(out[1] + VNET_HDR_LEN, b, lb) != 0))
			errx(1, "pair %s: order or content", pairs[i].what);
	}
}

/* More flows than runs, mixed packet by packet: all come out, in order. */
static void
test_flows(unsigned int caps, unsigned int flows)
{
	static struct coal	 c;
	static uint8_t		 pkt[200][300];
	uint32_t		 next[32] = { 0 };
	size_t			 len, off, hdr;
	unsigned int		 i, f;
	int			 n;

	coal_init(&c, caps, writer, NULL);
	hdr = caps & COAL_VNET ? VNET_HDR_LEN : 0;
	nout = 0;
	for (i = 0; i < flows * 3; i++) {
		f = i % flows;
		len = make(pkt[i], 1, 1, 100, ACK, 1000 + i / flows * 100, 0);
		pkt[i][15] = f;
		csum_ip4(pkt[i], 20);
		memset(pkt[i] + 36, 0, 2);
		be16enc(pkt[i] + 36, transport_sum(pkt[i], 20, len, 6));
		be16enc(pkt[i] + 36, ~be16dec(pkt[i] + 36));
		coal_packet(&c, pkt[i], len);
	}
	coal_flush(&c);
	for (n = 0; n < nout; n++) {
		f = out[n][hdr + 15];
		off = be32dec(out[n] + hdr + 24) - 1000;
		want(off == next[f], "order in flow", f);
		next[f] += outlen[n] - hdr - 40;
	}
	for (f = 0; f < flows; f++)
		want(next[f] == 300, "all of flow", f);
	if (flows <= COAL_RUNS)
		want(nout == (caps & COAL_TCP ? (int)flows : (int)flows * 3),
		    "writes of flows", nout);
}

int
main(void)
{
	static const size_t	 sizes[] = { 1, 7, 100, 536, 1228, 1448 };
	size_t			 i;
	int			 v;

	for (v = 0; v < 4; v++)
		for (i = 0; i < nitems(sizes); i++) {
			test_segment(v & 1, v & 2, 3000, sizes[i], 0);
			test_segment(v & 1, v & 2, 65000, sizes[i] + 600,
			    v & 2 ? 12 : 0);
			test_segment(v & 1, v & 2, 5, sizes[i], 0);
		}
	test_malformed();
	for (v = 0; v < 4; v++) {
		test_join(v & 1, v & 2, 2456, 1228);
		test_join(v & 1, v & 2, 65000, 1228);
		test_join(v & 1, v & 2, 1229, 1228);
	}
	test_pairs();
	test_flows(COAL_TCP | COAL_UDP | COAL_VNET, 5);
	test_flows(COAL_TCP | COAL_UDP | COAL_VNET, 20);
	test_flows(0, 5);
	return 0;
}
