/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * netd with its sender, under traffic in both directions, while sessions,
 * peers, sockets, the TUN device and the cipher are changed: what comes out
 * is what went in, in order, and never the same twice. And: the lock is taken
 * for batches, not for packets. Built with the thread sanitizer as well:
 * regress/variant.sh tsan.
 */
/* link: ../../netd/hardnat.c ../../netd/hnrule.c netd_world.c */
/* link: ../../netd/relayc.c ../../netd/relaykey.c ../../netd/relays.c */
/* link: ../../netd/addr.c ../../netd/checksum.c ../../netd/coalesce.c */
/* link: ../../netd/checksum_avx2.c ../../netd/derpmap.c stub_derp.c */
/* link: stub_netcheck.c ../../netd/cookie.c ../../netd/endpoints.c */
/* link: ../../netd/handshake.c ../../netd/epset.c ../../netd/heap.c */
/* link: ../../netd/index.c ../../netd/masq.c ../../netd/netd_disco.c */
/* link: ../../netd/netmap.c ../../netd/path.c ../../netd/pathmtu.c */
/* link: ../../netd/peer.c ../../netd/ping.c ../../netd/portmap.c */
/* link: ../../netd/routes.c ../../netd/rules.c ../../netd/rx.c */
/* link: ../../netd/segment.c ../../netd/ecn.c ../../netd/ptb.c */
/* link: ../../netd/session.c ../../netd/timers.c ../../netd/tun.c */
/* link: ../../netd/tx.c ../../netd/txbatch.c ../../netd/sendq.c */
/* link: ../../netd/udp.c ../../netd/wgonly.c ../../cryptod/wgop.c */
/* link: ../../netd/lock.c ../../netd/sender.c */

#include <sys/types.h>
#include <sys/endian.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <err.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chapoly.h"
#include "netd_world.h"

#define ROUNDS		1200
#define BURST		12		/* packets each way, of one round */
#define PORT		85
#define LEN		600
#define NUMBER		28		/* where it stands in a packet */
#define BULK		300
#define BULK_SEGS	40		/* of a large packet */
#define LOCK_EACH	8		/* packets at least, for each time */

static uint32_t	 out_next, out_seen, in_next, in_seen;
static unsigned int	 out_good, in_good, sessions;

static void	 out_packets(void);
static void	 in_packets(void);
static void	 peer_takes(void);
static void	 tun_takes(void);
static void	 netmap_none(void);
static void	 tun_replace(void);
static void	 udp_replace(void);
static void	 cipher_change(unsigned int);
static void	 own_packets(void);
static void	 happen(unsigned int);
static void	 out_large(unsigned int);
static void	 in_large(unsigned int);
static void	 settle(void);
static void	 bulk(void);
static void	 lines(void);

static void
out_packets(void)
{
	uint8_t	 p[LEN], buf[VNET_HDR_LEN + LEN];
	int	 i;

	for (i = 0; i < BURST; i++) {
		packet(p, 1, 2, PORT, sizeof(p));
		be16enc(p + 26, 0);	/* no checksum: the number changes */
		be32enc(p + NUMBER, ++out_next);
		memset(buf, 0, VNET_HDR_LEN);
		memcpy(buf + VNET_HDR_LEN, p, sizeof(p));
		if (write(tun_fd, buf, sizeof(buf)) == -1 && errno != EAGAIN)
			err(1, "tun");
	}
}

static void
in_packets(void)
{
	uint8_t	 p[LEN], msg[LEN + 100];
	int	 i;

	for (i = 0; r_send != NULL && i < BURST; i++) {
		packet(p, 2, 1, PORT, sizeof(p));
		be16enc(p + 26, 0);
		be32enc(p + NUMBER, ++in_next);
		(void)sendto(sock, msg, seal(msg, p, sizeof(p)), 0,
		    (struct sockaddr *)&netd_sin, sizeof(netd_sin));
	}
}

/* Numbers rise: nothing comes twice, nothing overtakes. */
static void
number(uint32_t *seen, uint32_t n, unsigned int *good, const char *what)
{
	if (n <= *seen)
		errx(1, "%s: %u after %u", what, n, *seen);
	*seen = n;
	(*good)++;
}

static void
peer_takes(void)
{
	static uint8_t	 resp[WG_RESPONSE_LEN];
	uint8_t		 plain[2048];
	int		 i;

	for (i = 0; i < 200; i++) {
		dglen = recv(sock, dg, sizeof(dg), 0);
		if (dglen == -1)
			return;
		switch (wg_classify(dg, dglen)) {
		case WG_MSG_INITIATION:
			respond(dg, resp, 1);
			sessions++;
			break;
		case WG_MSG_TRANSPORT:
			if (r_recv == NULL || wg_receiver(dg) != r_index ||
			    dglen > (ssize_t)sizeof(plain))
				break;
			if (wg_open(r_recv, dg, dglen, plain) < LEN ||
			    be16dec(plain + 22) != PORT)
				break;
			number(&out_seen, be32dec(plain + NUMBER), &out_good,
			    "out");
			break;
		case 0:
			if (disco_looks_like(dg, dglen))
				answer_ping();
			break;
		default:
			break;
		}
	}
}

/* Joined ones are apart again: each is of the same length. */
static void
tun_takes(void)
{
	static uint8_t	 buf[VNET_HDR_LEN + 65536];
	ssize_t		 n, off;
	size_t		 i;

	for (i = 0; i < 200; i++) {
		if ((n = read(tun_fd, buf, sizeof(buf))) == -1)
			return;
		for (off = VNET_HDR_LEN + NUMBER; off + LEN - NUMBER <= n;
		    off += LEN - NUMBER)
			number(&in_seen, be32dec(buf + off), &in_good, "in");
	}
}

static void
netmap_none(void)
{
	struct msg_nm_begin	 begin = { 1, 1 };
	struct msg_nm_self	 self;

	memset(&self, 0, sizeof(self));
	self.naddrs = 1;
	self.addr[0].af = AF_WIRE_INET;
	be32enc(self.addr[0].addr, 0x64400001);
	chan_compose(&ctrld, IMSG_NM_BEGIN, 0, -1, &begin, sizeof(begin));
	chan_compose(&ctrld, IMSG_NM_SELF, 0, -1, &self, sizeof(self));
	chan_compose(&ctrld, IMSG_NM_COMMIT, 0, -1, &begin, sizeof(begin));
	turn();
	turn();
	want(peer_find(PEER_ID) == NULL, "no peer");
}

static void
tun_replace(void)
{
	struct msg_tun	 tun;
	int		 sv[2];

	memset(&tun, 0, sizeof(tun));
	tun.caps = TUN_VNET | TUN_TSO | TUN_USO;
	tun.mtu = 1280;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sv) == -1)
		err(1, "socketpair");
	state_lock();
	tun_set(sv[0], &tun);
	state_unlock();
	close(tun_fd);
	tun_fd = sv[1];
}

static void
udp_replace(void)
{
	struct msg_udp	 udp;

	memset(&udp, 0, sizeof(udp));
	udp.af = AF_WIRE_INET;
	udp.port = 41641;
	state_lock();
	udp_set(udp_socket(&netd_sin), &udp);
	state_unlock();
}

static void
cipher_change(unsigned int i)
{
	state_lock();
	sender_settle();
	(void)chapoly_init(i % 2 ? "avx512" : NULL);
	nd.n_conf.force_path ^= FORCE_NO_GSO;
	udp_offloads(&nd.n_udp[0]);
	state_unlock();
}

/* Sealed by the main thread under the key that the sender uses. */
static void
own_packets(void)
{
	struct tx_stats	 ts;
	struct peer	*p;
	uint8_t		 b[100];
	int		 i;

	state_lock();
	packet(b, 1, 2, PORT + 1, sizeof(b));
	for (i = 0; i < 5 && (p = peer_find(PEER_ID)) != NULL; i++)
		(void)tx_own(p, b, sizeof(b), os_now());
	tx_stats(&ts);
	state_unlock();
}

static void
happen(unsigned int i)
{
	struct peer	*p;

	switch (i % 8) {
	case 0:
		cipher_change(i / 8);
		break;
	case 1:
		tun_replace();
		break;
	case 2:
		udp_replace();
		break;
	case 3:
		state_lock();
		if ((p = peer_find(PEER_ID)) != NULL)
			hs_reset(p, os_now());
		state_unlock();
		break;
	case 4:
		netmap_none();
		netmap(i % 16 < 8 ? 0 : NM_EXIT);
		break;
	case 5:
		state_lock();
		if ((p = peer_find(PEER_ID)) != NULL && p->p_path != NULL)
			path_reset(p->p_path);
		state_unlock();
		break;
	default:
		own_packets();
		break;
	}
}

/*
 * A large packet of the stack: (segments). The checksum is none, as in the
 * others.
 */
static void
out_large(unsigned int n)
{
	static uint8_t	 buf[VNET_HDR_LEN + 65536];
	struct vnet_hdr	 vh;
	uint8_t		*p = buf + VNET_HDR_LEN;
	size_t		 len = NUMBER + n * (LEN - NUMBER);
	unsigned int	 i;

	packet(p, 1, 2, PORT, len);
	for (i = 0; i < n; i++)
		be32enc(p + NUMBER + i * (LEN - NUMBER), ++out_next);
	memset(&vh, 0, sizeof(vh));
	vh.v_flags = VNET_F_NEEDS_CSUM;
	vh.v_gso_type = VNET_GSO_UDP_L4;
	vh.v_gso_size = LEN - NUMBER;
	vh.v_hdr_len = NUMBER;
	vh.v_csum_start = 20;
	vh.v_csum_offset = 6;
	memcpy(buf, &vh, VNET_HDR_LEN);
	if (write(tun_fd, buf, VNET_HDR_LEN + len) == -1)
		err(1, "tun");
}

/* As a sender with large sends would. */
static void
in_large(unsigned int n)
{
	static uint8_t	 msgs[65536];
	struct msghdr	 mh;
	struct iovec	 iov = { msgs, 0 };
	union {
		struct cmsghdr	 hdr;
		uint8_t		 buf[CMSG_SPACE(sizeof(uint16_t))];
	}		 cm;
	uint8_t		 p[LEN];
	size_t		 size = 0;
	uint16_t	 seg;

	memset(&mh, 0, sizeof(mh));
	memset(&cm, 0, sizeof(cm));
	for (; n != 0; n--) {
		packet(p, 2, 1, PORT, sizeof(p));
		be16enc(p + 26, 0);
		be32enc(p + NUMBER, ++in_next);
		size = seal(msgs + iov.iov_len, p, sizeof(p));
		iov.iov_len += size;
	}
	mh.msg_name = &netd_sin;
	mh.msg_namelen = sizeof(netd_sin);
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = &cm;
	mh.msg_controllen = sizeof(cm);
	cm.hdr.cmsg_level = IPPROTO_UDP;
	cm.hdr.cmsg_type = UDP_SEGMENT;
	cm.hdr.cmsg_len = CMSG_LEN(sizeof(seg));
	seg = size;
	memcpy(CMSG_DATA(&cm.hdr), &seg, sizeof(seg));
	if (sendmsg(sock, &mh, 0) == -1)
		err(1, "sendmsg");
}

/* After all that has happened a session may be under way only. */
static void
settle(void)
{
	unsigned int	 i, in = in_good, out = out_good;

	for (i = 0; i < ROUNDS && (in == in_good || out == out_good); i++) {
		out_packets();
		in_packets();
		turn();
		peer_takes();
		tun_takes();
		usleep(10000);
	}
	want(i < ROUNDS, "a session");
}

/* The lock is taken for batches, not for packets. */
static void
bulk(void)
{
	struct tx_stats	 ts;
	uint64_t	 takes, packets;
	unsigned int	 i, in = in_good, out = out_good;

	state_lock();
	tx_stats(&ts);
	takes = lock_takes();
	packets = ts.s_segs + nd.n_rx->r_stats.s_datagrams;
	state_unlock();
	for (i = 0; i < BULK; i++) {
		out_large(BULK_SEGS);
		in_large(BULK_SEGS);
		turn();
		peer_takes();
		tun_takes();
	}
	state_lock();
	tx_stats(&ts);
	takes = lock_takes() - takes;
	packets = ts.s_segs + nd.n_rx->r_stats.s_datagrams - packets;
	state_unlock();
	if (in_good - in < BULK * BULK_SEGS / 2 ||
	    out_good - out < BULK * BULK_SEGS / 2)
		errx(1, "bulk: %u in, %u out", in_good - in, out_good - out);
	if (takes * LOCK_EACH > packets)
		errx(1, "lock taken %llu times for %llu packets",
		    (unsigned long long)takes, (unsigned long long)packets);
	printf("lock: %llu times for %llu packets\n",
	    (unsigned long long)takes, (unsigned long long)packets);
}

/* What each thread writes for each packet is on cache lines of its own. */
static void
lines(void)
{
	size_t	 counter = offsetof(struct keypair, k_counter);

	want(counter - offsetof(struct keypair, k_initiator) > CACHE_LINE,
	    "what is read is not on the counter's line");
	want(offsetof(struct keypair, k_replay) - counter > CACHE_LINE,
	    "the window is not on the counter's line");
}

int
main(void)
{
	unsigned int	 i;

	(void)chapoly_init(NULL);
	chan_guard(state_lock, state_unlock);
	setup();
	netmap(0);
	rx_init(nd.n_rx, tun_coal_caps());
	sender_start();
	state_unlock();			/* no handler of an event */
	for (i = 0; i < ROUNDS; i++) {
		out_packets();
		in_packets();
		turn();
		peer_takes();
		tun_takes();
		if (i % 20 == 19)
			happen(i / 20);
	}
	want(sessions > 3, "sessions");
	want(out_good > ROUNDS * BURST / 4, "packets out");
	want(in_good > ROUNDS * BURST / 4, "packets in");
	settle();
	bulk();
	lines();
	state_lock();
	sender_park();
	state_unlock();
	return 0;
}
