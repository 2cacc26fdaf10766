/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz netd's segments and joins: what the TUN device hands over, what peers
 * send. Each segment must be within bounds, each join must keep all bytes.
 */
/* link: ../../netd/segment.c ../../netd/coalesce.c ../../netd/checksum.c */
/* link: ../../netd/checksum_avx2.c */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/netd.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static size_t	 in_bytes, out_bytes, headers;

static void
writer(void *arg, const struct iovec *iov, int n, int segs)
{
	const uint8_t	*p;
	volatile uint8_t sum = 0;
	size_t		 i, len = 0;
	int		 k;

	if (n < 1 || segs < 1)
		abort();
	for (k = 0; k < n; k++)
		for (p = iov[k].iov_base, i = 0; i < iov[k].iov_len; i++)
			sum += p[i];
	(void)sum;
	for (k = 1; k < n; k++)
		len += iov[k].iov_len;
	out_bytes += len;
	headers += segs - 1;
}

/* Datagrams with two bytes of length in front of each. */
static void
join(const uint8_t *data, size_t len, unsigned int caps)
{
	static struct coal	 c;
	static uint8_t		 buf[65536];
	size_t			 n, off = 0;

	coal_init(&c, caps, writer, NULL);
	in_bytes = out_bytes = headers = 0;
	while (len >= 2) {
		n = (size_t)(data[0] << 8 | data[1]) % 2000;
		data += 2;
		len -= 2;
		if (n > len)
			n = len;
		if (n == 0 || n > sizeof(buf) - off)
			break;
		memcpy(buf + off, data, n);
		coal_packet(&c, buf + off, n);
		in_bytes += n;
		off += n;
		data += n;
		len -= n;
	}
	coal_flush(&c);
	/* Joining takes away headers of 28 to 100 bytes, and no more. */
	if (out_bytes > in_bytes || in_bytes - out_bytes > headers * 100 ||
	    in_bytes - out_bytes < headers * 28)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct vnet_hdr		 vh;
	struct segmenter	 s;
	uint8_t			*pkt, *seg;
	size_t			 n, total = 0;

	if (len < sizeof(vh) || len > 65535)
		return 0;
	join(data, len, COAL_VNET | COAL_TCP | COAL_UDP);
	memcpy(&vh, data, sizeof(vh));
	if ((pkt = malloc(len - sizeof(vh) + 1)) == NULL)
		return 0;
	memcpy(pkt, data + sizeof(vh), len - sizeof(vh));
	if (segment_start(&s, &vh, pkt, len - sizeof(vh)) == 0) {
		while ((n = segment_len(&s)) != 0) {
			if ((seg = malloc(n)) == NULL)
				break;
			if (segment_next(&s, seg) != n)
				abort();
			total += s.s_size == 0 ? n : n - s.s_hlen;
			free(seg);
		}
		if (total + (s.s_size == 0 ? 0 : s.s_hlen) !=
		    len - sizeof(vh))
			abort();
	} else if (segment_len(&s) != 0)
		abort();
	free(pkt);
	return 0;
}
