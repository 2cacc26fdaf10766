/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The packet path over and over, to be counted by callgrind: instr.sh adds
 * up the instructions of our own functions, which no other load disturbs.
 * Usage: instr tx|rx tcp|udp|spread rules rounds; prints the number of
 * packets, and the packets for each system call that carried them. spread:
 * each packet is of another peer, of 1000.
 */
/* link: ../unit/netd_world.c ../unit/stub_derp.c ../unit/stub_netcheck.c */
/* link: ../../netd/relayc.o ../../netd/relaykey.o ../../netd/relays.o */
/* link: ../../netd/checksum_avx2.o ../../netd/epset.o */
/* link: ../../netd/addr.o ../../netd/checksum.o ../../netd/coalesce.o */
/* link: ../../netd/derpmap.o ../../netd/portmap.o */
/* link: ../../netd/cookie.o ../../netd/endpoints.o ../../netd/handshake.o */
/* link: ../../netd/heap.o ../../netd/index.o ../../netd/masq.o */
/* link: ../../netd/netd_disco.o ../../netd/netmap.o ../../netd/path.o */
/* link: ../../netd/pathmtu.o */
/* link: ../../netd/peer.o ../../netd/ping.o ../../netd/routes.o */
/* link: ../../netd/rules.o ../../netd/rx.o ../../netd/segment.o */
/* link: ../../netd/ecn.o ../../netd/ptb.o */
/* link: ../../netd/hardnat.o ../../netd/hnrule.o */
/* link: ../../netd/session.o ../../netd/timers.o ../../netd/tun.o */
/* link: ../../netd/sendq.o ../../netd/tx.o ../../netd/txbatch.o */
/* link: ../../netd/udp.o ../../netd/wgonly.o */
/* link: ../../cryptod/wgop.o ../../netd/lock.o */

#include <sys/types.h>
#include <sys/endian.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/netd_world.h"

#define SEGMENTS	40		/* of a large packet, of a batch */
#define MSS		1228
#define TCP_HDR		52		/* with time stamps */
#define UDP_HDR		28
#define DPORT		80
#define SPREAD		1000		/* peers */

static uint32_t	 seq;
static struct keypair	*spread_k[SPREAD];
static struct wg_key	*spread_key[SPREAD];	/* of the peer, to send */
static unsigned int	 spread_next;

static void	 rules(unsigned int);
static size_t	 tcp_packet(uint8_t *, uint8_t, uint8_t, size_t);
static void	 tx_round(int);
static void	 rx_round(int);
static void	 spread_peers(void);
static size_t	 spread_packet(uint8_t *, unsigned int, int);
static void	 tx_spread(void);
static void	 rx_spread(void);

/* So many rules, of which the last one lets our packets in. */
static void
rules(unsigned int n)
{
	struct msg_nm_begin	 begin = { 0, 2 };
	struct msg_nm_list	 ml;
	struct msg_nm_rule	 rule;
	struct msg_range	 src;
	struct msg_portrange	 dst;
	struct msg_u32		 m = { n };
	unsigned int		 i;

	memset(&ml, 0, sizeof(ml));
	memset(&rule, 0, sizeof(rule));
	memset(&src, 0, sizeof(src));
	memset(&dst, 0, sizeof(dst));
	ml.n = 1;
	chan_compose(&ctrld, IMSG_NM_BEGIN, 0, -1, &begin, sizeof(begin));
	chan_compose(&ctrld, IMSG_NM_FILTER_BEGIN, 0, -1, &m, sizeof(m));
	for (i = 0; i < n; i++) {
		ml.id = rule.id = i;
		src.af = i == n - 1 ? 0 : AF_WIRE_INET;
		be32enc(src.lo, 0x64410000 + 8 * i);
		be32enc(src.hi, 0x64410000 + 8 * i + 5);
		dst.lo = i == n - 1 ? DPORT : 1000 + 7 * i;
		dst.hi = dst.lo + i % 3;
		chan_compose(&ctrld, IMSG_NM_FILTER_RULE, 0, -1, &rule,
		    sizeof(rule));
		chan_compose2(&ctrld, IMSG_NM_FILTER_SRC, 0, -1, &ml,
		    sizeof(ml), &src, sizeof(src));
		chan_compose2(&ctrld, IMSG_NM_FILTER_DST, 0, -1, &ml,
		    sizeof(ml), &dst, sizeof(dst));
		if (i % 50 == 0)
			turn();
	}
	chan_compose(&ctrld, IMSG_NM_COMMIT, 0, -1, &begin, sizeof(begin));
	for (i = 0; i < 5; i++)
		turn();
}

/* The next TCP packet of the flow, with so much payload; its length. */
static size_t
tcp_packet(uint8_t *p, uint8_t from, uint8_t to, size_t payload)
{
	size_t		 len = TCP_HDR + payload;
	uint16_t	 sum;

	packet(p, from, to, DPORT, len);
	p[9] = PKT_TCP;
	csum_ip4(p, 20);
	memset(p + 24, 0, TCP_HDR - 24);
	be32enc(p + 24, seq);
	be32enc(p + 28, 1);
	p[32] = (TCP_HDR - 20) / 4 << 4;
	p[33] = 0x10;				/* ACK */
	be16enc(p + 34, 1000);
	memcpy(p + 40, "\1\1\10\12", 4);	/* time stamps */
	sum = ~csum_fold(csum_add(csum_pseudo(p, PKT_TCP, len - 20), p + 20,
	    len - 20));
	memcpy(p + 36, &sum, sizeof(sum));
	seq += payload;
	return len;
}

/* Large packets in, as the kernel hands them out; all datagrams taken. */
static void
tx_round(int tcp)
{
	static uint8_t	 buf[VNET_HDR_LEN + 65536];
	uint8_t		*p = buf + VNET_HDR_LEN;
	struct vnet_hdr	 vh;
	size_t		 len;

	memset(&vh, 0, sizeof(vh));
	vh.v_flags = VNET_F_NEEDS_CSUM;
	vh.v_csum_start = 20;
	vh.v_gso_size = MSS;
	if (tcp) {
		len = tcp_packet(p, 1, 2, SEGMENTS * MSS);
		vh.v_gso_type = VNET_GSO_TCP4;
		vh.v_csum_offset = 16;
	} else {
		len = UDP_HDR + SEGMENTS * MSS;
		packet(p, 1, 2, DPORT, len);
		vh.v_gso_type = VNET_GSO_UDP_L4;
		vh.v_csum_offset = 6;
	}
	memcpy(buf, &vh, sizeof(vh));
	want(write(tun_fd, buf, VNET_HDR_LEN + len) > 0, "tun write");
	tx_wakeup(nd.n_tx);
	while (recv(sock, dg, sizeof(dg), 0) != -1)
		continue;
}

/* A batch as GRO makes it of the peer's one large send. */
static void
rx_round(int tcp)
{
	static uint8_t	 msgs[SEGMENTS * 1400], p[2048];
	size_t		 i, n, len = 0;
	uint16_t	 size = 0;
	union {
		struct cmsghdr	 hdr;
		uint8_t		 buf[CMSG_SPACE(sizeof(uint16_t))];
	} c;
	struct iovec	 iov = { msgs, 0 };
	struct msghdr	 mh = { &netd_sin, sizeof(netd_sin), &iov, 1, &c,
	    sizeof(c.buf), 0 };

	for (i = 0; i < SEGMENTS; i++) {
		if (tcp)
			n = tcp_packet(p, 2, 1, MSS);
		else
			packet(p, 2, 1, DPORT, n = UDP_HDR + MSS);
		len += size = seal(msgs + len, p, n);
	}
	iov.iov_len = len;
	memset(&c, 0, sizeof(c));
	c.hdr.cmsg_level = SOL_UDP;
	c.hdr.cmsg_type = UDP_SEGMENT;
	c.hdr.cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(&c.hdr), &size, sizeof(size));
	if (sendmsg(sock, &mh, 0) == -1)
		err(1, "sendmsg");
	rx_wakeup(nd.n_rx, udp_sock(AF_WIRE_INET));
	while (read(tun_fd, dg, sizeof(dg)) != -1)
		continue;
}

/* So many peers with a session each, all at the one peer's address. */
static void
spread_peers(void)
{
	struct msg_prefix	 pfx;
	struct addr		 at;
	struct peer		*p;
	uint8_t			 key[32];
	uint32_t		 i, index;

	at = peer_find(PEER_ID)->p_path->pa_best;
	nd.n_routes = routes_new(SPREAD);
	for (i = 0; i < SPREAD; i++) {
		arc4random_buf(key, sizeof(key));
		p = peer_new(1000 + i, key);
		peer_path(p)->pa_best = at;
		p->p_path->pa_trusted = INT64_MAX;
		index = idx_new(&nd.n_idx, IDX_KEYPAIR, NULL);
		spread_k[i] = keypair_new(key, key, index, 1000 + i, 0,
		    os_now());
		idx_find(&nd.n_idx, index)->ie_ptr = spread_k[i];
		spread_k[i]->k_peer = p;
		slots_initiator(&peer_wg(p)->w_slots, &nd.n_idx,
		    spread_k[i]);
		spread_key[i] = wg_key_new(key, 1);
		memset(&pfx, 0, sizeof(pfx));
		pfx.af = AF_WIRE_INET;
		pfx.plen = 32;
		be32enc(pfx.addr, 0x64500000 + i);
		want((p->p_allowed = calloc(1, sizeof(pfx))) != NULL,
		    "memory");
		p->p_allowed[0] = pfx;
		p->p_nallowed = 1;
		want(routes_add(nd.n_routes, &pfx, p) == 0, "route");
	}
}

/* A UDP packet to that peer, or from it; its length. */
static size_t
spread_packet(uint8_t *p, unsigned int i, int out)
{
	size_t		 len = UDP_HDR + MSS;
	uint16_t	 sum;

	packet(p, 1, 1, DPORT, len);
	be32enc(p + (out ? 16 : 12), 0x64500000 + i);
	be16enc(p + 10, 0);
	csum_ip4(p, 20);
	be16enc(p + 26, 0);
	sum = ~csum_fold(csum_add(csum_pseudo(p, PKT_UDP, len - 20), p + 20,
	    len - 20));
	memcpy(p + 26, &sum, sizeof(sum));
	return len;
}

static void
tx_spread(void)
{
	uint8_t	 p[2048];
	size_t	 len;
	int	 i;

	for (i = 0; i < SEGMENTS; i++) {
		len = spread_packet(p, spread_next++ % SPREAD, 1);
		tun_in(p, len);
	}
	tx_wakeup(nd.n_tx);
	while (recv(sock, dg, sizeof(dg), 0) != -1)
		continue;
}

static void
rx_spread(void)
{
	uint8_t		 p[2048], msg[2048];
	struct keypair	*k;
	size_t		 len;
	ssize_t		 n;
	uint64_t	 goal, *segs = &nd.n_rx->r_stats.s_segs;
	unsigned int	 i, who;

	for (i = 0; i < SEGMENTS; i++) {
		who = spread_next++ % SPREAD;
		k = spread_k[who];
		len = wg_pad(spread_packet(p, who, 0), 1280);
		n = wg_seal(spread_key[who], msg, p, len, k->k_local,
		    spread_next);
		want(n != -1, "seal");
		udp_out(msg, n);
	}
	/* A wake-up is one system call, and seldom takes so many. */
	goal = *segs + SEGMENTS;
	for (i = 0; *segs < goal && i < SEGMENTS; i++)
		rx_wakeup(nd.n_rx, udp_sock(AF_WIRE_INET));
	while (read(tun_fd, dg, sizeof(dg)) != -1)
		continue;
}

int
main(int argc, char *argv[])
{
	uint64_t	*calls, *segs;
	uint8_t		 p[100];
	int		 i, rounds, spread, tx, tcp;

	if (argc != 5)
		errx(2, "usage: instr tx|rx tcp|udp|spread rules rounds");
	tx = strcmp(argv[1], "tx") == 0;
	tcp = strcmp(argv[2], "tcp") == 0;
	spread = strcmp(argv[2], "spread") == 0;
	rounds = strtonum(argv[4], 1, 100000, NULL);
	log_init(1, "instr");
	setup();
	netmap(0);
	rules(strtonum(argv[3], 1, 5000, NULL));
	csum_init();
	rx_init(nd.n_rx, tun_coal_caps());
	packet(p, 1, 2, DPORT, sizeof(p));
	tun_in(p, sizeof(p));
	want(receive(WG_MSG_INITIATION, SECOND) == 0, "initiation");
	respond(dg, dg, 1);
	want(receive(WG_MSG_TRANSPORT, SECOND) == 0, "session");
	if (spread)
		spread_peers();

	segs = tx ? &nd.n_tx->t_stats.s_segs : &nd.n_rx->r_stats.s_segs;
	calls = tx ? &nd.n_tx->t_stats.s_calls : &nd.n_rx->r_stats.s_calls;
	*segs = *calls = 0;
	for (i = 0; i < rounds; i++) {
		if (spread && tx)
			tx_spread();
		else if (spread)
			rx_spread();
		else if (tx)
			tx_round(tcp);
		else
			rx_round(tcp);
	}
	if (*segs != (uint64_t)rounds * SEGMENTS)
		errx(1, "%llu packets passed, not %d",
		    (unsigned long long)*segs, rounds * SEGMENTS);
	printf("%llu %llu\n", (unsigned long long)*segs,
	    (unsigned long long)(*segs / *calls));
	return 0;
}
