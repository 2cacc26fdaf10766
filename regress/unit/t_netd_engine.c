/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * netd as a whole, between a TUN device, a peer and a cryptod of the test.
 */
/* link: ../../netd/hardnat.c ../../netd/hnrule.c */
/* link: netd_world.c */
/* link: ../../netd/relayc.c ../../netd/relaykey.c */
/* link: ../../netd/relays.c */
/* link: ../../netd/addr.c ../../netd/checksum.c ../../netd/coalesce.c */
/* link: ../../netd/checksum_avx2.c */
/* link: ../../netd/derpmap.c stub_derp.c stub_netcheck.c */
/* link: ../../netd/cookie.c ../../netd/endpoints.c ../../netd/handshake.c */
/* link: ../../netd/epset.c */
/* link: ../../netd/heap.c ../../netd/index.c ../../netd/masq.c */
/* link: ../../netd/netd_disco.c ../../netd/netmap.c ../../netd/path.c */
/* link: ../../netd/pathmtu.c */
/* link: ../../netd/peer.c ../../netd/ping.c ../../netd/portmap.c */
/* link: ../../netd/routes.c */
/* link: ../../netd/rules.c ../../netd/rx.c ../../netd/segment.c */
/* link: ../../netd/ecn.c ../../netd/ptb.c */
/* link: ../../netd/session.c ../../netd/timers.c ../../netd/tun.c */
/* link: ../../netd/tx.c ../../netd/txbatch.c */
/* link: ../../netd/sendq.c */
/* link: ../../netd/udp.c ../../netd/wgonly.c */
/* link: ../../cryptod/wgop.c ../../netd/lock.c */

#include <sys/types.h>
#include <sys/endian.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <err.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netd_world.h"

/* --- tests --------------------------------------------------------------- */

/* First a pong, then the handshake, then the packets that waited. */
static void
test_cold_start(void)
{
	uint8_t	 p[STAGED_MAX + 20][200], resp[WG_RESPONSE_LEN];
	size_t	 i;

	for (i = 0; i < nitems(p); i++) {
		packet(p[i], 1, 2, 80 + i, 101);
		tun_in(p[i], 101);
		if (i % 16 == 0)
			turn();
	}
	want(receive_raw(SECOND) == 0 && disco_looks_like(dg, dglen),
	    "handshake before a pong");
	want(receive_raw(50) == -1 || disco_looks_like(dg, dglen),
	    "handshake without a pong");
	want(peer_find(PEER_ID)->p_wg->w_nstaged == STAGED_MAX, "staged");
	want(receive(WG_MSG_INITIATION, SECOND) == 0, "no initiation");
	respond(dg, resp, 1);
	for (i = nitems(p) - STAGED_MAX; i < nitems(p); i++) {
		want(receive(WG_MSG_TRANSPORT, SECOND) == 0, "staged packet");
		want(unseal() == 112, "padded to 16");
		want(memcmp(tunpkt, p[i], 101) == 0, "which packet");
		want(tunpkt[101] == 0 && tunpkt[111] == 0, "padding");
	}
	want(receive(WG_MSG_TRANSPORT, 50) == -1, "more than was staged");
}

static void
test_receive(void)
{
	uint64_t	*drop = nd.n_rx->r_stats.s_drop, n;
	uint8_t		 p[100], msg[200];
	size_t		 len;

	send_packet(2, 1, 80);
	want(tun_out(SECOND) == 0 && tunlen == 100, "packet for us");
	packet(p, 2, 1, 80, sizeof(p));
	want(memcmp(tunpkt, p, sizeof(p)) == 0, "its content");

	len = seal(msg, p, sizeof(p));
	udp_out(msg, len);
	want(tun_out(SECOND) == 0, "once");
	n = drop[RXD_REPLAY];
	udp_out(msg, len);
	want(tun_out(50) == -1 && drop[RXD_REPLAY] == n + 1, "replay");

	n = drop[RXD_SOURCE];
	send_packet(3, 1, 80);
	want(tun_out(50) == -1 && drop[RXD_SOURCE] == n + 1, "spoofed");
	n = drop[RXD_FILTER];
	send_packet(2, 1, 79);
	want(tun_out(50) == -1 && drop[RXD_FILTER] == n + 1, "filter");
	n = drop[RXD_FILTER];
	send_packet(2, 9, 80);
	want(tun_out(50) == -1 && drop[RXD_FILTER] == n + 1, "not for us");

	/* A forged one from the future must not move the window. */
	r_counter += 100000;
	len = seal(msg, p, sizeof(p));
	r_counter -= 100001;
	msg[len - 1] ^= 1;
	n = drop[RXD_AUTH];
	udp_out(msg, len);
	want(tun_out(50) == -1 && drop[RXD_AUTH] == n + 1, "forged");
	send_packet(2, 1, 80);
	want(tun_out(SECOND) == 0, "after the forged one");
	n = drop[RXD_INNER];
	udp_out(msg, seal(msg, p, 0));
	want(tun_out(50) == -1 && drop[RXD_INNER] == n, "keepalive");
	memset(p, 0, 20);
	udp_out(msg, seal(msg, p, 20));
	want(tun_out(50) == -1 && drop[RXD_INNER] == n + 1, "not IP");
}

/* The answer to a packet we sent needs no rule. */
static void
test_tracking(void)
{
	uint8_t	 p[100], q[100], msg[200];

	packet(p, 1, 2, 7777, sizeof(p));
	tun_in(p, sizeof(p));
	want(receive(WG_MSG_TRANSPORT, SECOND) == 0, "out");
	packet(q, 2, 1, 1000, sizeof(q));
	be16enc(q + 20, 7777);
	be16enc(q + 22, 1000);
	udp_out(msg, seal(msg, q, sizeof(q)));
	want(tun_out(SECOND) == 0, "answer to a tracked flow");
}

/* A large packet is cut, and a batch comes back as one write. */
static void
test_batch(uint32_t force)
{
	struct vnet_hdr	 vh;
	static uint8_t	 buf[VNET_HDR_LEN + 40000], msgs[30][1400];
	uint8_t		*p = buf + VNET_HDR_LEN;
	size_t		 len = 28 + 30 * 1200, i, n;
	ssize_t		 got;
	uint64_t	 writes = nd.n_rx->r_stats.s_writes;

	nd.n_conf.force_path = force;
	udp_offloads(&nd.n_udp[0]);
	rx_init(nd.n_rx, tun_coal_caps());
	memset(&vh, 0, sizeof(vh));
	vh.v_flags = VNET_F_NEEDS_CSUM;
	vh.v_gso_type = VNET_GSO_UDP_L4;
	vh.v_gso_size = 1200;
	vh.v_csum_start = 20;
	vh.v_csum_offset = 6;
	memcpy(buf, &vh, sizeof(vh));
	packet(p, 1, 2, 85, len);
	for (i = 28; i < len; i++)
		p[i] = i * 13 + (i >> 8);
	want(write(tun_fd, buf, VNET_HDR_LEN + len) > 0, "large write");
	for (i = 0; i < 30; i++) {
		want(receive(WG_MSG_TRANSPORT, SECOND) == 0, "segment");
		got = unseal();
		want(got == 1232, "length of a segment");
		want(memcmp(tunpkt + 28, p + 28 + i * 1200, 1200) == 0,
		    "payload of a segment");
		tunpkt[15] = 2;
		tunpkt[19] = 1;
		csum_ip4(tunpkt, 20);
		n = seal(msgs[i], tunpkt, 1228);
		udp_out(msgs[i], n);
	}
	for (i = 0; i < 30 * 1200; i += tunlen - 28) {
		want(tun_out(SECOND) == 0, "write");
		want(memcmp(tunpkt + 28, p + 28 + i, tunlen - 28) == 0,
		    "joined payload");
	}
	want(i == 30 * 1200, "all of it");
	n = nd.n_rx->r_stats.s_writes - writes;
	want(force & FORCE_NO_USO ? n == 30 : n <= 30, "writes");
}

/* The peer initiates: its key is used once it has sent something with it. */
static void
test_responder(void)
{
	uint8_t	 p[100], resp[WG_RESPONSE_LEN];
	uint32_t old = r_index;

	packet(p, 1, 2, 80, sizeof(p));
	initiate();
	tun_in(p, sizeof(p));
	want(receive(WG_MSG_TRANSPORT, SECOND) == 0, "old key");
	want(wg_receiver(dg) == old, "sends under the current key");
	send_packet(2, 1, 81);
	want(tun_out(SECOND) == 0, "packet under next");
	tun_in(p, sizeof(p));
	want(receive(WG_MSG_TRANSPORT, SECOND) == 0 && unseal() > 0,
	    "next became current");

	/* Interleaved: our initiation, one of the peer, then the response. */
	peer_find(PEER_ID)->p_wg->w_timers.t_hs_sent = 0;
	hs_initiate(peer_find(PEER_ID), os_now(), 0);
	want(receive(WG_MSG_INITIATION, SECOND) == 0, "initiation");
	respond(dg, resp, 0);
	initiate();
	send_packet(2, 1, 81);
	want(tun_out(SECOND) == 0, "the later one counts");
	old = nd.n_idx.it_n;
	udp_out(resp, sizeof(resp));
	turn();
	turn();
	want(nd.n_idx.it_n == old, "late response taken");
	tun_in(p, sizeof(p));
	want(receive(WG_MSG_TRANSPORT, SECOND) == 0 && unseal() > 0,
	    "session goes on");
}

/* Strangers, forgeries, repeats: no answer, and cryptod is spared. */
static void
test_bad_handshakes(void)
{
	struct wg_handshake	 wh;
	uint8_t			 msg[WG_INITIATION_LEN];

	usleep(25000);
	initiation(&wh, msg, NULL);
	msg[20] ^= 1;
	inits_in = 0;
	udp_out(msg, sizeof(msg));
	want(receive(0, 50) == -1 && inits_in == 0, "bad mac1");
	msg[20] ^= 1;
	udp_out(msg, sizeof(msg) - 1);
	want(receive(0, 50) == -1 && inits_in == 0, "short");
	udp_out(msg, sizeof(msg));
	want(receive(WG_MSG_RESPONSE, SECOND) == 0, "good one");
	usleep(25000);
	udp_out(msg, sizeof(msg));
	want(receive(0, 50) == -1 && inits_in == 2, "repeated");
	udp_out((const uint8_t *)"\7", 1);
	want(receive(0, 50) == -1, "one byte");
	initiate();
	send_packet(2, 1, 81);
	want(tun_out(SECOND) == 0, "good again");
}

/* Many unanswered initiations: cookies for all, service for who returns it. */
static void
test_load(void)
{
	struct wg_handshake	 wh;
	uint8_t			 msg[WG_INITIATION_LEN], ck[32];
	uint8_t			 cookie[WG_COOKIE_LEN];
	int			 i;

	cryptod_silent = 1;
	inits_in = 0;
	for (i = 0; i < LOAD_QUEUE; i++) {
		initiation(&wh, msg, NULL);
		udp_out(msg, sizeof(msg));
		if (i % 16 == 0)
			turn();
	}
	turn();
	turn();
	want(inits_in == LOAD_QUEUE, "all reach cryptod");
	initiation(&wh, msg, NULL);
	udp_out(msg, sizeof(msg));
	want(receive(WG_MSG_COOKIE, SECOND) == 0, "no cookie");
	want(inits_in == LOAD_QUEUE, "cryptod is spared");
	want(wg_receiver(dg) == wh.wh_local, "cookie's receiver");
	want(wg_cookie_key(npub, ck) == 0 && wg_cookie_open(dg, ck,
	    wg_mac1(msg), cookie) == 0, "cookie opens");
	initiation(&wh, msg, cookie);
	udp_out(msg, sizeof(msg));
	want(receive(0, 50) == -1 && inits_in == LOAD_QUEUE + 1,
	    "with the cookie");
	cryptod_silent = 0;
	hs_cryptod_new();		/* forgets what hung */
	turn();
	usleep(1100000);
	initiate();
	send_packet(2, 1, 81);
	want(tun_out(SECOND) == 0, "good again");
}

/* Told to prove where it is, netd does so with the next initiation. */
static void
test_cookie_in(void)
{
	uint8_t	 msg[WG_INITIATION_LEN], reply[WG_COOKIE_REPLY_LEN];
	uint8_t	 cookie[16], secret[32] = { 5 }, nonce[24], ck[32];
	struct peer *p = peer_find(PEER_ID);

	p->p_wg->w_timers.t_hs_sent = 0;
	hs_initiate(p, os_now(), 0);
	want(receive(WG_MSG_INITIATION, SECOND) == 0, "initiation");
	memcpy(msg, dg, sizeof(msg));
	arc4random_buf(nonce, sizeof(nonce));
	want(wg_cookie_make(secret, (const uint8_t *)"x", 1, cookie) == 0 &&
	    wg_cookie_key(rpub, ck) == 0 && wg_cookie_reply(msg, ck, nonce,
	    cookie, reply) == 0, "cookie");
	udp_out(reply, sizeof(reply));
	turn();
	turn();
	p->p_wg->w_timers.t_hs_sent = 0;
	hs_initiate(p, os_now(), 0);
	want(receive(WG_MSG_INITIATION, SECOND) == 0, "second initiation");
	want(wg_mac2_check(dg, dglen, cookie) == 0, "mac2");
}

/* After a replacement: data of an unknown session from a known endpoint. */
static void
test_recover(void)
{
	uint8_t	 msg[64];

	initiate();
	send_packet(2, 1, 81);
	want(tun_out(SECOND) == 0, "session");
	peer_wipe(peer_find(PEER_ID));
	udp_out(msg, seal(msg, msg, 0));
	want(receive(WG_MSG_INITIATION, SECOND) == 0, "asks for a session");
	udp_out(msg, seal(msg, msg, 0));
	want(receive(WG_MSG_INITIATION, 100) == -1, "once in 5 s");
}

/* A new disco key by control: the keys go at once. */
static void
test_restarted_peer(void)
{
	initiate();
	send_packet(2, 1, 81);
	want(tun_out(SECOND) == 0, "session");
	key_pair(rdpriv, rdpub);
	want(key_box_precompute(rdpriv, ndpub, rshared) == 0, "box key");
	netmap(0);
	send_packet(2, 1, 81);
	want(tun_out(50) == -1, "old keys are still in use");
}

/* An exit node speaks for the Internet, but not for other nodes, nor us. */
static void
test_exit_node(void)
{
	uint64_t	*drop = nd.n_rx->r_stats.s_drop, n;

	netmap(NM_EXIT);
	while (receive(0, 20) == 0)
		;
	initiate();
	send_packet(200, 1, 81);
	want(tun_out(SECOND) == 0, "from the Internet");
	send_packet(2, 1, 81);
	want(tun_out(SECOND) == 0, "from the peer itself");
	n = drop[RXD_SOURCE];
	send_packet(5, 1, 81);
	want(tun_out(50) == -1 && drop[RXD_SOURCE] == n + 1, "other node");
	send_packet(1, 1, 81);
	want(tun_out(50) == -1 && drop[RXD_SOURCE] == n + 2, "ourselves");
	netmap(0);
}

static void
tsmp(uint8_t *p, const void *body, size_t len)
{
	packet(p, 2, 1, 0, 20 + len + 8);
	be16enc(p + 2, 20 + len);
	p[9] = PKT_TSMP;
	csum_ip4(p, 20);
	memcpy(p + 20, body, len);
}

/* Protocol 99 is answered here and never reaches the TUN device. */
static void
test_tsmp(void)
{
	uint8_t	 p[200], msg[300];

	tsmp(p, "p12345678", 9);
	udp_out(msg, seal(msg, p, 29));
	want(receive(WG_MSG_TRANSPORT, SECOND) == 0 && unseal() >= 29,
	    "answer to a ping");
	want(memcmp(tunpkt + 20, "o12345678", 9) == 0, "its content");
	want(be32dec(tunpkt + 12) == 0x64400001 &&
	    be32dec(tunpkt + 16) == 0x64400002, "addresses are swapped");
	tsmp(p, "o12345678", 9);
	udp_out(msg, seal(msg, p, 29));
	tsmp(p, "!123456", 7);
	udp_out(msg, seal(msg, p, 27));
	want(tun_out(50) == -1, "never to the TUN device");
	tun_in(p, 27);
	want(receive(WG_MSG_TRANSPORT, 50) == -1, "nor from there");

	/* A SYN that no rule allows is told so. */
	packet(p, 2, 1, 79, 40);
	p[9] = PKT_TCP;
	p[32] = 0x50;
	p[33] = 0x02;
	csum_ip4(p, 20);
	udp_out(msg, seal(msg, p, 40));
	want(receive(WG_MSG_TRANSPORT, SECOND) == 0 && unseal() >= 27,
	    "reject");
	want(memcmp(tunpkt + 20, "!\6A\3\350\0\117", 7) == 0, "reason");

	/* The peer's new disco key, inside the session: no reset. */
	key_pair(rdpriv, rdpub);
	want(key_box_precompute(rdpriv, ndpub, rshared) == 0, "box key");
	p[0] = 'a';
	memcpy(msg, p, 1);
	memcpy(msg + 1, rdpub, 32);
	tsmp(p, msg, 33);
	udp_out(msg, seal(msg, p, 53));
	turn();
	turn();
	want(memcmp(peer_find(PEER_ID)->p_disco, rdpub, 32) == 0,
	    "disco key in band");
	send_packet(2, 1, 81);
	want(tun_out(SECOND) == 0, "session stays");
}

/* Whatever comes, of any length: nothing happens. */
static void
test_junk(void)
{
	static uint8_t	 junk[60000];
	static const uint8_t magic[] = "TS\360\237\222\254";
	size_t		 i, len;

	for (i = 0; i < 2000; i++) {
		len = arc4random_uniform(i % 10 == 0 ? sizeof(junk) : 200) + 1;
		arc4random_buf(junk, len > 300 ? 300 : len);
		if (i % 3 == 0) {
			memset(junk, 0, 4);
			junk[0] = i / 3 % 5;
		} else if (i % 3 == 1 && len > 62) {
			memcpy(junk, magic, 6);
			if (i % 2)
				memcpy(junk + 6, rdpub, 32);
		}
		if (sendto(sock, junk, len, 0, (struct sockaddr *)&netd_sin,
		    sizeof(netd_sin)) == -1)
			err(1, "sendto");
		if (i % 32 == 0)
			turn();
		if (i % 7 == 0) {
			junk[0] = (junk[0] & 0x0f) | (i % 2 ? 0x40 : 0x60);
			tun_in(junk, len > 2000 ? 2000 : len);
		}
	}
	turn();
	while (receive(0, 20) == 0)
		want(wg_classify(dg, dglen) != WG_MSG_RESPONSE &&
		    wg_classify(dg, dglen) != WG_MSG_COOKIE, "answered");
	while (tun_out(5) == 0)
		errx(1, "junk reached the TUN device");
	send_packet(2, 1, 81);
	want(tun_out(SECOND) == 0, "session stays");
}

/* No disco: a handshake at once; answers go where the peer was heard. */
static void
test_wgonly(void)
{
	uint8_t			 p[100], resp[WG_RESPONSE_LEN];
	struct sockaddr_in	 sin;
	int			 old;

	netmap(NM_WGONLY);
	peer_wipe(peer_find(PEER_ID));
	while (receive_raw(20) == 0)
		;
	packet(p, 1, 2, 80, sizeof(p));
	tun_in(p, sizeof(p));
	want(receive_raw(SECOND) == 0 && wg_classify(dg, dglen) ==
	    WG_MSG_INITIATION, "handshake at once");
	respond(dg, resp, 1);
	want(receive(WG_MSG_TRANSPORT, SECOND) == 0 && unseal() > 0, "data");
	old = sock;
	sock = udp_socket(&sin);
	send_packet(2, 1, 81);
	want(tun_out(SECOND) == 0, "from another address");
	tun_in(p, sizeof(p));
	want(receive(WG_MSG_TRANSPORT, SECOND) == 0 && unseal() > 0,
	    "follows it");
	close(old);
}

static const struct {
	const char	*what;
	uint8_t		 ip[4][16];
	uint8_t		 af[4];
	size_t		 n;
	int		 first;		/* which of them comes out first */
} choices[] = {
	{ "nothing", { { 0 } }, { 0 }, 0, 0 },
	{ "one", { { 10, 1 } }, { 4 }, 1, 0 },
	{ "loopback alone", { { 127, 0, 0, 1 } }, { 4 }, 1, 0 },
	{ "no loopback", { { 127, 0, 0, 1 }, { 10, 1 } }, { 4, 4 }, 1, 1 },
	{ "link-local alone", { { 169, 254, 1, 1 } }, { 4 }, 1, 0 },
	{ "no link-local", { { 169, 254, 1, 1 }, { 10, 1 } }, { 4, 4 }, 1, 1 },
	{ "IPv6 link-local", { { 0xfe, 0x80, [15] = 1 } }, { 6 }, 0, 0 },
	{ "ULA alone", { { 0xfd, 1 } }, { 6 }, 1, 0 },
	{ "no ULA", { { 0xfd, 1 }, { 0x20, 1 } }, { 6, 6 }, 1, 1 },
	{ "two of a subnet", { { 0x20, 1, [15] = 1 }, { 0x20, 1, [15] = 2 },
	    { 0x20, 1, [15] = 3 }, { 0x20, 2 } }, { 6, 6, 6, 6 }, 3, 0 },
	{ "both families", { { 10, 1 }, { 0x20, 1 } }, { 4, 6 }, 2, 0 },
};

/* Own endpoints: dataplane.md 2.8. */
static void
test_endpoints(void)
{
	struct msg_localaddr	 la[4];
	struct msg_endpoint	 ep[8];
	size_t			 i, j, n;

	for (i = 0; i < nitems(choices); i++) {
		memset(la, 0, sizeof(la));
		for (j = 0; j < 4 && choices[i].af[j] != 0; j++) {
			la[j].p.af = choices[i].af[j];
			memcpy(la[j].p.addr, choices[i].ip[j], 16);
		}
		n = endpoints_choose(la, j, 41641, 41642, ep, nitems(ep));
		if (n != choices[i].n)
			errx(1, "endpoints, %s: %zu", choices[i].what, n);
		if (n > 0 && (memcmp(ep[0].addr,
		    choices[i].ip[choices[i].first], 4) != 0 ||
		    ep[0].port != (ep[0].af == 4 ? 41641 : 41642)))
			errx(1, "endpoints, %s: which", choices[i].what);
		if (endpoints_choose(la, j, 0, 0, ep, nitems(ep)) != 0)
			errx(1, "endpoints without a port");
	}
}

/* 10,000 idle peers: under 1 KiB each, and a change among them is quick. */
static void
test_many(void)
{
	struct msg_nm_begin	 begin = { 1, 2 };
	struct msg_nm_peer	 peer;
	struct msg_nm_list	 ml;
	struct msg_prefix	 pfx[2];
	struct msg_endpoint	 ep[3];
	size_t			 before, used;
	uint32_t		 i;
	int			 n;

	before = mallinfo2().uordblks;
	memset(&peer, 0, sizeof(peer));
	memset(&ml, 0, sizeof(ml));
	memset(pfx, 0, sizeof(pfx));
	memset(ep, 0, sizeof(ep));
	pfx[0].af = AF_WIRE_INET;
	pfx[0].plen = 32;
	pfx[1].af = AF_WIRE_INET6;
	pfx[1].plen = 128;
	for (i = 0; i < nitems(ep); i++) {
		ep[i].af = AF_WIRE_INET;
		ep[i].port = 41641;
		ep[i].addr[0] = 192;
		ep[i].addr[3] = i;
	}
	chan_compose(&ctrld, IMSG_NM_BEGIN, 0, -1, &begin, sizeof(begin));
	for (i = 0; i < 10000; i++) {
		peer.id = ml.id = 100 + i;
		be32enc(peer.key, i + 1);
		be32enc(peer.disco, i + 1);
		be32enc(pfx[0].addr, 0x64500000 + i);
		be32enc(pfx[1].addr, 0xfd000000 + i);
		chan_compose(&ctrld, IMSG_NM_PEER, 0, -1, &peer,
		    sizeof(peer));
		ml.n = nitems(pfx);
		chan_compose2(&ctrld, IMSG_NM_PEER_ALLOWED, 0, -1, &ml,
		    sizeof(ml), pfx, sizeof(pfx));
		ml.n = nitems(ep);
		chan_compose2(&ctrld, IMSG_NM_PEER_ENDPOINTS, 0, -1, &ml,
		    sizeof(ml), ep, sizeof(ep));
	}
	chan_compose(&ctrld, IMSG_NM_COMMIT, 0, -1, &begin, sizeof(begin));
	for (n = 0; peer_count() != 10000 && n < 10000; n++)
		turn();
	want(peer_count() == 10000, "all peers are there, and no other");
	for (n = 0; chan_queued(&nd.n_cryptod) != 0 && n < 10000; n++)
		turn();
	want(peer_find(PEER_ID) == NULL, "unnamed ones are gone");
	want(nd.n_heap.h_n == 0, "an idle peer has a timer");
	used = mallinfo2().uordblks - before;
	/* 0 with sanitizers; cryptod's part is in it, too. */
	if (used > 10000 * 1024)
		errx(1, "%zu bytes for an idle peer", used / 10000);
}

/* A change of one of the ten thousand: its address, or that it is gone. */
static void
delta(uint64_t id, uint32_t key, uint32_t addr)
{
	struct msg_nm_begin	 begin = { 0, 11 };
	struct msg_nm_peer	 peer;
	struct msg_nm_list	 ml;
	struct msg_nm_id	 gone;
	struct msg_prefix	 pfx;

	memset(&peer, 0, sizeof(peer));
	memset(&ml, 0, sizeof(ml));
	memset(&pfx, 0, sizeof(pfx));
	peer.id = ml.id = gone.id = id;
	be32enc(peer.key, key);
	pfx.af = AF_WIRE_INET;
	pfx.plen = 32;
	be32enc(pfx.addr, addr);
	ml.n = 1;
	chan_compose(&ctrld, IMSG_NM_BEGIN, 0, -1, &begin, sizeof(begin));
	if (addr == 0)
		chan_compose(&ctrld, IMSG_NM_PEER_DEL, 0, -1, &gone,
		    sizeof(gone));
	else {
		chan_compose(&ctrld, IMSG_NM_PEER, 0, -1, &peer,
		    sizeof(peer));
		chan_compose2(&ctrld, IMSG_NM_PEER_ALLOWED, 0, -1, &ml,
		    sizeof(ml), &pfx, sizeof(pfx));
	}
	chan_compose(&ctrld, IMSG_NM_COMMIT, 0, -1, &begin, sizeof(begin));
	turn();
	turn();
}

static uint64_t
owner(uint32_t addr)
{
	struct peer	*p;
	uint8_t		 ip[16];

	be32enc(ip, addr);
	p = routes_find(nd.n_routes, AF_WIRE_INET, ip);
	return p == NULL ? 0 : p->p_id;
}

/*
 * What changes of ten thousand peers must not cost what ten thousand do;
 * the bound is the one that a node must keep, the best of many tries.
 */
static void
test_delta(void)
{
	int64_t		 best = INT64_MAX;
	uint32_t	 i;

	for (i = 0; i < 40; i++) {
		delta(200, 101, 0x64600000 + i);
		want(owner(0x64600000 + i) == 200, "the new address is its");
		want(i == 0 || owner(0x64600000 + i - 1) == 0,
		    "the old one is not");
		if (netmap_last()->nl_took < best)
			best = netmap_last()->nl_took;
	}
	want(netmap_last()->nl_peers == 1 && !netmap_last()->nl_full,
	    "one peer");
	if (best > MSEC)
		errx(1, "a change of one peer takes %lld us",
		    (long long)(best / 1000));
	/* Two with one address: the first has it, then the other. */
	delta(300, 201, 0x64600000 + 39);
	want(owner(0x64600000 + 39) == 200, "the first one stays");
	delta(200, 101, 0);
	want(owner(0x64600000 + 39) == 300, "then it is the other's");
	delta(300, 201, 0);
	want(owner(0x64600000 + 39) == 0, "then nobody's");
	want(peer_count() == 9998, "both are gone");
}

int
main(void)
{
	log_init(1, "t_netd_engine");
	test_endpoints();
	setup();
	netmap(0);
	test_cold_start();
	test_receive();
	test_tracking();
	test_batch(0);
	test_batch(FORCE_NO_GSO | FORCE_NO_GRO | FORCE_NO_USO);
	test_batch(FORCE_NO_GRO);
	test_responder();
	test_bad_handshakes();
	test_load();
	test_cookie_in();
	test_recover();
	test_restarted_peer();
	test_exit_node();
	test_tsmp();
	test_junk();
	test_wgonly();
	test_many();
	test_delta();
	return 0;
}
