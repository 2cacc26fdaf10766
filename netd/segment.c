/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packets of the TUN device, up to 64 KiB, into segments of the wire.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "netd.h"

#define TCP_FIN_PSH	0x09
#define TCP_CWR		0x80

/* 16-bit words of a header that differ from one segment to the next. */
#define IP_OWN_WORDS	(1U << 1 | 1U << 2 | 1U << 5)
#define TCP_OWN_WORDS	(1U << 2 | 1U << 3 | 1U << 6 | 1U << 8)
#define UDP_OWN_WORDS	(1U << 2 | 1U << 3)

static void	 checksum_complete(const struct segmenter *, uint8_t *);
static int	 checksum_where(struct segmenter *, const struct vnet_hdr *);
static int	 segment_headers(struct segmenter *, uint16_t);
static uint64_t	 sum_but(const uint8_t *, size_t, uint64_t);
static void	 segment_sums(struct segmenter *);
static uint16_t	 transport_sum(const struct segmenter *, size_t, uint64_t);
static void	 fix_ip(const struct segmenter *, uint8_t *, size_t);
static void	 fix_tcp(const struct segmenter *, uint8_t *, size_t, int);
static void	 fix_udp(const struct segmenter *, uint8_t *, size_t);

/*
 * The field holds the sum of the pseudo header: a partial checksum must
 * never leave, since the peer may be any implementation.
 */
static void
checksum_complete(const struct segmenter *s, uint8_t *out)
{
	uint16_t	 sum;

	sum = ~csum_fold(csum_add(0, s->s_pkt + s->s_csum,
	    s->s_len - s->s_csum));
	if (sum == 0 && s->s_field - s->s_csum == 6)
		sum = 0xffff;		/* UDP: 0 means none */
	memcpy(out + s->s_field, &sum, sizeof(sum));
}

static int
checksum_where(struct segmenter *s, const struct vnet_hdr *vh)
{
	size_t	 start = vh->v_csum_start, field = start + vh->v_csum_offset;

	if (s->s_len < 2 || start >= s->s_len || field > s->s_len - 2 ||
	    vh->v_csum_offset < 2)
		return -1;
	s->s_csum = start;
	s->s_field = field;
	return 0;
}

/* The length of the headers is taken from these, v_hdr_len is a hint. */
static int
segment_headers(struct segmenter *s, uint16_t start)
{
	const uint8_t	*p = s->s_pkt;

	s->s_l4 = start;
	s->s_v4 = p[0] >> 4 == 4;
	if (s->s_v4) {
		if (s->s_len < 20 || (size_t)(p[0] & 0x0f) * 4 != s->s_l4 ||
		    s->s_l4 < 20)
			return -1;
	} else if (p[0] >> 4 != 6 || s->s_l4 < 40)
		return -1;
	if (s->s_l4 > s->s_len)
		return -1;
	if (s->s_tcp) {
		if (s->s_len - s->s_l4 < 20)
			return -1;
		s->s_hlen = s->s_l4 + (size_t)(p[s->s_l4 + 12] >> 4) * 4;
		if (s->s_hlen < s->s_l4 + 20)
			return -1;
	} else
		s->s_hlen = s->s_l4 + 8;
	return s->s_hlen >= s->s_len ? -1 : 0;
}

/* The sum of the words of a header, without those whose bit is set. */
static uint64_t
sum_but(const uint8_t *p, size_t len, uint64_t without)
{
	uint64_t	 sum = 0;
	uint16_t	 v;
	size_t		 i;

	for (i = 0; i < len / sizeof(v); i++) {
		memcpy(&v, p + i * sizeof(v), sizeof(v));
		if (!(without >> i & 1))
			sum += v;
	}
	return sum;
}

/*
 * What the segments' headers have in common is summed up once. A segment adds
 * its own values rather than reads them back: a wide load of bytes that were
 * just stored in small pieces stalls.
 */
static void
segment_sums(struct segmenter *s)
{
	const uint8_t	*th = s->s_pkt + s->s_l4;
	size_t		 len = s->s_hlen - s->s_l4;

	if (s->s_v4)
		s->s_ipsum = sum_but(s->s_pkt, s->s_l4, IP_OWN_WORDS);
	s->s_sum = csum_pseudo(s->s_pkt, s->s_tcp ? PKT_TCP : PKT_UDP, 0) +
	    sum_but(th, len, s->s_tcp ? TCP_OWN_WORDS : UDP_OWN_WORDS);
}

int
segment_start(struct segmenter *s, const struct vnet_hdr *vh,
    const uint8_t *pkt, size_t len)
{
	int	 bad;

	memset(s, 0, sizeof(*s));
	s->s_pkt = pkt;
	s->s_len = len;
	bad = len == 0;
	switch (vh->v_gso_type & ~VNET_GSO_ECN) {
	case VNET_GSO_NONE:
		if (!bad && vh->v_flags & VNET_F_NEEDS_CSUM)
			bad = checksum_where(s, vh) == -1;
		break;
	case VNET_GSO_TCP4:
	case VNET_GSO_TCP6:
		s->s_tcp = 1;
		/* FALLTHROUGH */
	case VNET_GSO_UDP_L4:
		s->s_size = vh->v_gso_size;
		if (!bad)
			bad = s->s_size == 0 ||
			    segment_headers(s, vh->v_csum_start) == -1;
		if (!bad)
			segment_sums(s);
		break;
	default:
		bad = 1;
	}
	if (bad) {
		s->s_done = 1;
		errno = EINVAL;
		return -1;
	}
	return 0;
}

unsigned int
segment_count(const struct segmenter *s)
{
	size_t	 left;

	if (s->s_done)
		return 0;
	if (s->s_size == 0)
		return 1;
	left = s->s_len - s->s_hlen - s->s_off;
	return (left + s->s_size - 1) / s->s_size;
}

size_t
segment_len(const struct segmenter *s)
{
	size_t	 left;

	if (s->s_done)
		return 0;
	if (s->s_size == 0)
		return s->s_len;
	left = s->s_len - s->s_hlen - s->s_off;
	return s->s_hlen + (left > s->s_size ? s->s_size : left);
}

static void
fix_ip(const struct segmenter *s, uint8_t *out, size_t len)
{
	uint16_t	 id, sum;

	if (!s->s_v4) {
		be16enc(out + 4, len - 40);
		return;
	}
	id = be16dec(s->s_pkt + 4) + s->s_n;
	be16enc(out + 2, len);
	be16enc(out + 4, id);
	sum = ~csum_fold(s->s_ipsum + htobe16(len) + htobe16(id));
	memcpy(out + 10, &sum, sizeof(sum));
}

/* The checksum of a segment, with so many bytes of payload. */
static uint16_t
transport_sum(const struct segmenter *s, size_t n, uint64_t sum)
{
	sum += s->s_sum + htobe16(s->s_hlen - s->s_l4 + n);
	return ~csum_fold(csum_add(sum, s->s_pkt + s->s_hlen + s->s_off, n));
}

static void
fix_tcp(const struct segmenter *s, uint8_t *out, size_t n, int last)
{
	uint8_t		*th = out + s->s_l4;
	uint16_t	 field, flags = be16dec(s->s_pkt + s->s_l4 + 12);
	uint32_t	 seq = be32dec(s->s_pkt + s->s_l4 + 4) +
			    (uint32_t)s->s_off;

	if (!last)
		flags &= ~TCP_FIN_PSH;
	if (s->s_n > 0)
		flags &= ~TCP_CWR;
	be32enc(th + 4, seq);
	be16enc(th + 12, flags);
	field = transport_sum(s, n, (uint64_t)htobe32(seq) + htobe16(flags));
	memcpy(th + 16, &field, sizeof(field));
}

static void
fix_udp(const struct segmenter *s, uint8_t *out, size_t n)
{
	uint8_t		*uh = out + s->s_l4;
	uint16_t	 field;

	be16enc(uh + 4, 8 + n);
	field = transport_sum(s, n, htobe16(8 + n));
	if (field == 0)
		field = 0xffff;
	memcpy(uh + 6, &field, sizeof(field));
}

void
segment_skip(struct segmenter *s)
{
	size_t	 len;

	if ((len = segment_len(s)) == 0)
		return;
	if (s->s_size != 0) {
		s->s_off += len - s->s_hlen;
		s->s_n++;
	}
	s->s_done = s->s_size == 0 || s->s_off == s->s_len - s->s_hlen;
}

size_t
segment_next(struct segmenter *s, uint8_t *out)
{
	size_t	 len, n;
	int	 last;

	if ((len = segment_len(s)) == 0)
		return 0;
	if (s->s_size == 0) {
		memcpy(out, s->s_pkt, s->s_len);
		if (s->s_field != 0)
			checksum_complete(s, out);
		s->s_done = 1;
		return s->s_len;
	}
	n = len - s->s_hlen;
	last = s->s_off + n == s->s_len - s->s_hlen;
	memcpy(out, s->s_pkt, s->s_hlen);
	memcpy(out + s->s_hlen, s->s_pkt + s->s_hlen + s->s_off, n);
	fix_ip(s, out, len);
	if (s->s_tcp)
		fix_tcp(s, out, n, last);
	else
		fix_udp(s, out, n);
	s->s_off += n;
	s->s_n++;
	s->s_done = last;
	return len;
}
