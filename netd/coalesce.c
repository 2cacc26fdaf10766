/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packets from peers, joined again into large writes to the TUN device.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <stdint.h>
#include <string.h>

#include "netd.h"

#define TCP_ACK		0x10
#define TCP_PSH		0x08

/* What a packet is, as far as joining goes. */
struct coal_pkt {
	uint8_t		*p;
	size_t		 len;
	size_t		 l4;
	size_t		 hlen;
	uint32_t	 seq;
	uint8_t		 v4;
	uint8_t		 tcp;
	uint8_t		 psh;
	uint8_t		 flow;		/* has ports: belongs to a flow */
	uint8_t		 odd;		/* may belong to any flow */
	uint8_t		 join;		/* may be joined */
};

static void		 parse_ip(struct coal_pkt *);
static void		 parse_tcp(struct coal_pkt *);
static struct coal_run	*run_find(struct coal *, const struct coal_pkt *);
static int		 run_accepts(const struct coal_run *,
			    const struct coal_pkt *);
static int		 tcp_like(const uint8_t *, const uint8_t *, size_t);
static struct coal_run	*run_free(struct coal *);
static void		 run_start(struct coal *, const struct coal_pkt *);
static void		 run_add(struct coal_run *, const struct coal_pkt *);
static void		 run_header(struct coal_run *);
static void		 run_flush(struct coal *, struct coal_run *);
static void		 write_alone(struct coal *, uint8_t *, size_t);

void
coal_init(struct coal *c, unsigned int caps, coal_write fn, void *arg)
{
	memset(c, 0, sizeof(*c));
	c->c_caps = caps;
	c->c_write = fn;
	c->c_arg = arg;
}

static void
parse_tcp(struct coal_pkt *cp)
{
	const uint8_t	*th = cp->p + cp->l4;

	cp->flow = 1;
	cp->tcp = 1;
	cp->hlen = cp->l4 + (size_t)(th[12] >> 4) * 4;
	if (cp->hlen < cp->l4 + 20 || cp->hlen >= cp->len)
		return;			/* malformed, or no payload */
	if ((th[13] & ~TCP_PSH) != TCP_ACK || th[12] & 0x0f)
		return;
	cp->psh = (th[13] & TCP_PSH) != 0;
	cp->seq = be32dec(th + 4);
	cp->join = 1;
}

static void
parse_ip(struct coal_pkt *cp)
{
	const uint8_t	*p = cp->p;
	uint8_t		 proto;

	if (cp->len >= 20 && p[0] == 0x45) {
		cp->v4 = 1;
		cp->l4 = 20;
		proto = p[9];
		/* More fragments, or not the first. */
		if (be16dec(p + 6) & 0x3fff)
			cp->odd = 1;
	} else if (cp->len >= 40 && p[0] >> 4 == 6) {
		cp->l4 = 40;
		proto = p[6];
	} else {
		cp->odd = 1;
		return;
	}
	if (cp->odd)
		return;
	if (proto == PKT_TCP && cp->len - cp->l4 >= 20)
		parse_tcp(cp);
	else if (proto == PKT_UDP && cp->len - cp->l4 >= 8) {
		cp->flow = 1;
		cp->hlen = cp->l4 + 8;
		cp->join = cp->len > cp->hlen &&
		    be16dec(p + cp->l4 + 4) == cp->len - cp->l4 &&
		    (p[cp->l4 + 6] | p[cp->l4 + 7]) != 0;
	} else if (proto != PKT_ICMP && proto != PKT_ICMP6)
		cp->odd = 1;
}

static struct coal_run *
run_find(struct coal *c, const struct coal_pkt *cp)
{
	struct coal_run	*r;
	size_t		 off, n;

	off = cp->v4 ? 12 : 8;
	n = cp->l4 - off + 4;		/* addresses and ports */
	for (r = c->c_run; r < c->c_run + COAL_RUNS; r++) {
		if (r->cr_n != 0 && r->cr_v4 == cp->v4 &&
		    r->cr_tcp == cp->tcp &&
		    memcmp(r->cr_head + off, cp->p + off, n) == 0)
			return r;
	}
	return NULL;
}

/* Same acknowledgement, window, header length, options. */
static int
tcp_like(const uint8_t *a, const uint8_t *b, size_t len)
{
	return memcmp(a + 8, b + 8, 5) == 0 &&
	    memcmp(a + 14, b + 14, 2) == 0 &&
	    memcmp(a + 20, b + 20, len - 20) == 0;
}

static int
run_accepts(const struct coal_run *r, const struct coal_pkt *cp)
{
	const uint8_t	*a = r->cr_head, *b = cp->p;
	size_t		 n = cp->len - cp->hlen;

	if (r->cr_closed || r->cr_hlen != cp->hlen || n > r->cr_size ||
	    r->cr_n == COAL_PIECES || n > 65535 - r->cr_len)
		return 0;
	if (cp->v4) {
		if (a[1] != b[1] || a[8] != b[8] || (a[6] ^ b[6]) & 0x40)
			return 0;	/* TOS, TTL, DF */
	} else if (memcmp(a, b, 4) != 0 || a[7] != b[7])
		return 0;		/* class and label, hop limit */
	if (cp->tcp)
		return r->cr_seq == cp->seq &&
		    tcp_like(a + cp->l4, b + cp->l4, cp->hlen - cp->l4);
	return 1;
}

static struct coal_run *
run_free(struct coal *c)
{
	struct coal_run	*r;

	for (r = c->c_run; r < c->c_run + COAL_RUNS; r++)
		if (r->cr_n == 0)
			return r;
	r = &c->c_run[c->c_next++ % COAL_RUNS];
	run_flush(c, r);
	return r;
}

static void
run_start(struct coal *c, const struct coal_pkt *cp)
{
	struct coal_run	*r;

	r = run_free(c);
	memset(&r->cr_vnet, 0, sizeof(r->cr_vnet));
	r->cr_head = cp->p;
	r->cr_hlen = cp->hlen;
	r->cr_l4 = cp->l4;
	r->cr_size = cp->len - cp->hlen;
	r->cr_len = cp->len;
	r->cr_seq = cp->seq + (uint32_t)r->cr_size;
	r->cr_v4 = cp->v4;
	r->cr_tcp = cp->tcp;
	r->cr_closed = cp->psh;
	r->cr_segs = 1;
	r->cr_iov[0].iov_base = &r->cr_vnet;
	r->cr_iov[0].iov_len = VNET_HDR_LEN;
	r->cr_iov[1].iov_base = cp->p;
	r->cr_iov[1].iov_len = cp->len;
	r->cr_n = 2;
}

static void
run_add(struct coal_run *r, const struct coal_pkt *cp)
{
	size_t	 n = cp->len - cp->hlen;

	r->cr_iov[r->cr_n].iov_base = cp->p + cp->hlen;
	r->cr_iov[r->cr_n].iov_len = n;
	r->cr_n++;
	r->cr_segs++;
	r->cr_len += n;
	r->cr_seq += (uint32_t)n;
	if (n < r->cr_size)
		r->cr_closed = 1;
	if (cp->psh) {
		r->cr_head[r->cr_l4 + 13] |= TCP_PSH;
		r->cr_closed = 1;
	}
}

/*
 * One header for all: lengths, and in the checksum's field the sum of the
 * pseudo header for the joined length, which the kernel completes.
 */
static void
run_header(struct coal_run *r)
{
	uint8_t		*p = r->cr_head;
	uint16_t	 sum;
	size_t		 field;

	if (r->cr_v4) {
		be16enc(p + 2, r->cr_len);
		csum_ip4(p, 20);
	} else
		be16enc(p + 4, r->cr_len - 40);
	if (!r->cr_tcp)
		be16enc(p + r->cr_l4 + 4, r->cr_len - r->cr_l4);
	field = r->cr_tcp ? 16 : 6;
	sum = csum_fold(csum_pseudo(p, r->cr_tcp ? PKT_TCP : PKT_UDP,
	    r->cr_len - r->cr_l4));
	memcpy(p + r->cr_l4 + field, &sum, sizeof(sum));

	r->cr_vnet.v_flags = VNET_F_NEEDS_CSUM;
	r->cr_vnet.v_gso_type = !r->cr_tcp ? VNET_GSO_UDP_L4 :
	    r->cr_v4 ? VNET_GSO_TCP4 : VNET_GSO_TCP6;
	r->cr_vnet.v_hdr_len = r->cr_hlen;
	r->cr_vnet.v_gso_size = r->cr_size;
	r->cr_vnet.v_csum_start = r->cr_l4;
	r->cr_vnet.v_csum_offset = field;
}

static void
run_flush(struct coal *c, struct coal_run *r)
{
	int	 skip = (c->c_caps & COAL_VNET) == 0;

	if (r->cr_n == 0)
		return;
	if (r->cr_segs > 1)
		run_header(r);
	c->c_write(c->c_arg, r->cr_iov + skip, r->cr_n - skip, r->cr_segs);
	r->cr_n = 0;
}

void
coal_flush(struct coal *c)
{
	struct coal_run	*r;

	for (r = c->c_run; r < c->c_run + COAL_RUNS; r++)
		run_flush(c, r);
}

static void
write_alone(struct coal *c, uint8_t *p, size_t len)
{
	struct vnet_hdr	 vh;
	struct iovec	 iov[2];
	int		 skip = (c->c_caps & COAL_VNET) == 0;

	memset(&vh, 0, sizeof(vh));
	iov[0].iov_base = &vh;
	iov[0].iov_len = VNET_HDR_LEN;
	iov[1].iov_base = p;
	iov[1].iov_len = len;
	c->c_write(c->c_arg, iov + skip, 2 - skip, 1);
}

/*
 * Order within a flow is kept: what cannot be joined to the open run of its
 * flow goes out after it. Joined packets are not verified by the kernel any
 * more, so a bad checksum is found here, and the packet written alone.
 */
void
coal_packet(struct coal *c, uint8_t *p, size_t len)
{
	struct coal_pkt	 cp;
	struct coal_run	*r;

	memset(&cp, 0, sizeof(cp));
	cp.p = p;
	cp.len = len;
	parse_ip(&cp);
	if (cp.odd)
		coal_flush(c);
	if (!cp.flow) {
		write_alone(c, p, len);
		return;
	}
	if ((c->c_caps & (cp.tcp ? COAL_TCP : COAL_UDP)) == 0)
		cp.join = 0;
	if (cp.join)
		cp.join = csum_verify(p, cp.l4, cp.tcp ? PKT_TCP : PKT_UDP,
		    len - cp.l4);
	if ((r = run_find(c, &cp)) != NULL) {
		if (cp.join && run_accepts(r, &cp)) {
			run_add(r, &cp);
			return;
		}
		run_flush(c, r);
	}
	if (cp.join)
		run_start(c, &cp);
	else
		write_alone(c, p, len);
}
