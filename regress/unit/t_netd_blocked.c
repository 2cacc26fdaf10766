/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A UDP socket that is full again and again: nothing lost, nothing twice; and
 * one batch at a time, then it is the turn of others: of the other direction,
 * and of other processes after a long stretch of receiving.
 */
/* link: ../../netd/hardnat.c ../../netd/hnrule.c */
/* link: ../../netd/relayc.c ../../netd/relaykey.c */
/* link: ../../netd/relays.c */
/* link: ../../netd/addr.c ../../netd/checksum.c ../../netd/coalesce.c */
/* link: ../../netd/checksum_avx2.c */
/* link: ../../netd/derpmap.c stub_derp.c stub_netcheck.c */
/* link: ../../netd/endpoints.c ../../netd/epset.c */
/* link: ../../netd/portmap.c */
/* link: ../../netd/cookie.c ../../netd/handshake.c ../../netd/heap.c */
/* link: ../../netd/index.c ../../netd/masq.c ../../netd/netd_disco.c */
/* link: ../../netd/netmap.c ../../netd/path.c ../../netd/peer.c */
/* link: ../../netd/pathmtu.c */
/* link: ../../netd/ping.c ../../netd/routes.c ../../netd/rules.c */
/* link: ../../netd/rx.c ../../netd/segment.c ../../netd/session.c */
/* link: ../../netd/ecn.c ../../netd/ptb.c */
/* link: ../../netd/timers.c ../../netd/tx.c ../../netd/txbatch.c */
/* link: ../../netd/sendq.c */
/* link: ../../netd/wgonly.c ../../netd/lock.c */

#include <sys/types.h>
#include <sys/endian.h>

#include <err.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/hardnat.h"
#include "../../netd/netd.h"
#include "../../netd/tx.h"

#define PACKETS		200
#define SEGS		20
#define SEG		1000
#define BATCH		((TX_BYTES + SEGS * SEG - 1) / (SEGS * SEG))

struct netd		 nd;

static struct udp_sock	 u;
static struct wg_key	*opener;
static unsigned int	 reads, got, paused, waiting, refusals, partial;
static int		 took;		/* something, since the last answer */
static unsigned int	 yields;

/* The C library's, for us. */
int
sched_yield(void)
{
	yields++;
	return 0;
}

static void
want(int good, const char *what)
{
	if (!good)
		errx(1, "%s", what);
}

/* What comes out must be the segments in order; each says which it is. */
static void
take(const uint8_t *p, size_t len)
{
	uint8_t	 plain[2048];

	want(wg_counter(p) == got, "counter");
	want(wg_open(opener, p, len, plain) > 28, "open");
	want(be32dec(plain + 28) == got, "order");
	got++;
}

/* The same each time: by chance it would be full too seldom now and then. */
static int
is_full(void)
{
	static uint32_t	 n = 1;

	n = n * 1103515245 + 12345;
	return (n >> 16) % 8 == 0;
}

/* Takes some, or is full: then it says so only if it took none. */
int
udp_send_groups(struct udp_out *uo, struct tx_group *g, size_t ngroup)
{
	size_t	 n;

	for (; ngroup > 0; g++, ngroup--) {
		while (g->g_sent < g->g_len) {
			if (is_full()) {
				if (took) {
					took = 0;
					return 0;
				}
				refusals++;
				partial += g->g_sent != 0;
				errno = refusals % 2 ? EAGAIN : ENOBUFS;
				return -1;
			}
			n = g->g_len - g->g_sent > g->g_size ? g->g_size :
			    g->g_len - g->g_sent;
			take(g->g_buf + g->g_sent, n);
			took = 1;
			g->g_sent += n;
		}
	}
	return 0;
}

void
udp_out_get(struct tx *tx)
{
}

void
udp_out_dest(struct tx_dest *d)
{
}

void
udp_out_put(const struct tx *tx)
{
}

struct udp_out *
udp_out_of(struct tx *tx, struct tx_group *g)
{
	return &tx->t_udp[0];
}

int
udp_send(const struct addr *to, const void *p, size_t len)
{
	return 0;
}

void
udp_rebind(uint8_t af, int64_t now)
{
}

void
udp_wait_writable(const struct addr *to)
{
	waiting = 1;
}

void
udp_offloads(struct udp_sock *s)
{
}

unsigned int
tun_coal_caps(void)
{
	return 0;
}

struct udp_sock *
udp_sock(uint8_t af)
{
	return &u;
}

struct udp_sock *
udp_sock_for(const struct addr *to)
{
	return &u;
}

void
udp_more_set(unsigned int n, int fd, const struct msg_udp *m)
{
}

void
udp_more_close(unsigned int n)
{
}

int
udp_recv(struct udp_sock *s, struct rx *rx, struct udp_in *in)
{
	static uint8_t	 junk[] = { 0xff };

	memset(in, 0, sizeof(*in));
	in->i_src.a_af = AF_WIRE_INET;
	in->i_buf = junk;
	in->i_len = in->i_seg = sizeof(junk);
	return 1;
}

void
tun_pause(int on)
{
	paused = on;
}

void
tun_fault(int64_t now)
{
	err(1, "tun");
}

int
tun_write(const struct iovec *iov, int n)
{
	return 0;
}

ssize_t
tun_read(struct vnet_hdr *vh, uint8_t *p, size_t room)
{
	unsigned int	 i;
	size_t		 len = 28 + SEGS * SEG;

	want(!paused, "read while paused");
	if (reads == PACKETS) {
		errno = EAGAIN;
		return -1;
	}
	memset(vh, 0, sizeof(*vh));
	vh->v_flags = VNET_F_NEEDS_CSUM;
	vh->v_gso_type = VNET_GSO_UDP_L4;
	vh->v_gso_size = SEG;
	vh->v_csum_start = 20;
	vh->v_csum_offset = 6;
	memset(p, 0, len);
	p[0] = 0x45;
	be16enc(p + 2, len);
	p[9] = PKT_UDP;
	be32enc(p + 12, 0x64400001);
	be32enc(p + 16, 0x64400002);
	be16enc(p + 20, 1);
	be16enc(p + 22, 2);
	be16enc(p + 24, len - 20);
	for (i = 0; i < SEGS; i++)
		be32enc(p + 28 + i * SEG, reads * SEGS + i);
	reads++;
	return len;
}

/* Others get a turn if it goes on and on, and only then. */
static void
test_yield(void)
{
	int64_t	 begin;
	int	 i;

	for (i = 0; i < 20; i++) {
		rx_wakeup(nd.n_rx, &u);
		os_nap(1000000);
	}
	want(yields == 0, "gives way, with pauses enough");
	begin = os_now();
	while (yields < 5 && os_now() - begin < 10000000000LL)
		rx_wakeup(nd.n_rx, &u);
	want(yields == 5, "never gives way");
	want(os_now() - begin > 5 * 400000, "gives way all the time");
}

int
main(void)
{
	static const uint8_t	 key[32] = { 1 };
	struct msg_prefix	 pfx;
	struct addr		 at;
	struct keypair		*k;
	struct peer		*p;
	uint32_t		 index;
	unsigned int		 before;
	int			 i;

	event_init();
	nd.n_tx = tx_new(TX_IN, TX_OUT);
	nd.n_own = tx_new(0, TX_OUT_OWN);
	if ((nd.n_rx = calloc(1, sizeof(*nd.n_rx))) == NULL)
		err(1, NULL);
	nd.n_flows = filter_flows_new(512);
	nd.n_jail_flows = filter_flows_new(512);
	nd.n_tun.t_mtu = 1280;
	peer_timers_init();
	hs_init();
	netmap_filter();

	memset(&at, 0, sizeof(at));
	at.a_af = AF_WIRE_INET;
	at.a_ip[0] = 192;
	at.a_port = 1;
	p = peer_new(1, key);
	p->p_flags = PEER_WGONLY;
	wgonly_heard(peer_path(p), &at, os_now());
	p->p_path->pa_trusted = INT64_MAX;
	index = idx_new(&nd.n_idx, IDX_KEYPAIR, NULL);
	k = keypair_new(key, key, index, 1, 0, os_now());
	k->k_peer = p;
	slots_initiator(&peer_wg(p)->w_slots, &nd.n_idx, k);
	opener = wg_key_new(key, 0);
	memset(&pfx, 0, sizeof(pfx));
	pfx.af = AF_WIRE_INET;
	pfx.plen = 32;
	be32enc(pfx.addr, 0x64400002);
	nd.n_routes = routes_new(1);
	want(routes_add(nd.n_routes, &pfx, p) == 0, "route");

	for (i = 0; i < 100000 && got < PACKETS * SEGS; i++) {
		if (waiting) {
			waiting = 0;
			tx_unblock();
		} else {
			before = reads;
			tx_wakeup(nd.n_tx);
			want(reads - before <= BATCH, "one batch");
		}
		want(!paused == !nd.n_tx->t_blocked, "paused iff blocked");
		want(!waiting == !nd.n_tx->t_blocked, "waits iff blocked");
	}
	want(reads == PACKETS && got == PACKETS * SEGS, "all of it");
	want(refusals > 50 && partial > 10, "was not really full");
	want(nd.n_tx->t_stats.s_sent == PACKETS * SEGS, "counted");
	test_yield();
	return 0;
}
