/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * netd as a whole, between a TUN device, a peer and a cryptod of the test.
 */

#include <sys/types.h>
#include <sys/endian.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../cryptod/cryptod.h"
#include "netd_world.h"

struct netd		 nd;

struct chan	 cryptod, ctrld;	/* the test's ends */
struct wgop	*wgop;
int		 cryptod_silent;
int			 peer_deaf;
unsigned int	 inits_in;	/* initiations that reached it */
int		 tun_fd, sock;	/* the test's ends */
struct sockaddr_in netd_sin;

/* Keys: netd's node, the peer. */
uint8_t		 npriv[32], npub[32], ndpriv[32], ndpub[32];
uint8_t		 rpriv[32], rpub[32], rdpriv[32], rdpub[32];
uint8_t		 rshared[32];

/* The peer's side of the session. */
struct wg_key	*r_send, *r_recv;
uint32_t		 r_index, r_remote;
uint64_t		 r_counter;
uint64_t		 r_clock = 1800000000ULL * 1000000000ULL;

/* Last datagram that the peer got, last packet that came out of the TUN. */
uint8_t		 dg[65536], tunpkt[65536];
ssize_t		 dglen, tunlen;

void
want(int good, const char *what)
{
	if (!good)
		errx(1, "%s", what);
}

/* --- cryptod, ctrld ------------------------------------------------------ */

static int
cryptod_msg(struct chan *c, struct imsg *imsg)
{
	struct msg_wg_peer	 peer;
	struct msg_wg_init_req	 req;
	struct msg_wg_init	 init;
	struct msg_wg_init_in	 in;
	struct msg_wg_resp	 resp;
	struct msg_wg_resp_in	 rin;
	struct msg_wg_keys	 keys;
	struct msg_key		 key;
	struct msg_disco_key	 dk;
	uint8_t			 rnd[32];

	arc4random_buf(rnd, sizeof(rnd));
	switch (imsg_get_type(imsg)) {
	case IMSG_WG_PEER:
		want(msg_get(imsg, &peer, sizeof(peer)) == 0, "WG_PEER");
		want(wgop_peer(wgop, &peer) == MSG_OK, "wgop_peer");
		break;
	case IMSG_WG_INIT_REQ:
		want(msg_get(imsg, &req, sizeof(req)) == 0, "INIT_REQ");
		wgop_initiate(wgop, os_now(), os_date(), rnd, &req, &init);
		chan_compose(c, IMSG_WG_INIT, 0, -1, &init, sizeof(init));
		break;
	case IMSG_WG_INIT_IN:
		inits_in++;
		if (cryptod_silent)
			break;
		want(msg_get(imsg, &in, sizeof(in)) == 0, "INIT_IN");
		wgop_initiation(wgop, os_now(), rnd, &in, &resp);
		chan_compose(c, IMSG_WG_RESP, 0, -1, &resp, sizeof(resp));
		break;
	case IMSG_WG_RESP_IN:
		want(msg_get(imsg, &rin, sizeof(rin)) == 0, "RESP_IN");
		wgop_response(wgop, os_now(), &rin, &keys);
		chan_compose(c, IMSG_WG_KEYS, 0, -1, &keys, sizeof(keys));
		break;
	case IMSG_DISCO_KEY_REQ:
		want(msg_get(imsg, &key, sizeof(key)) == 0, "KEY_REQ");
		memset(&dk, 0, sizeof(dk));
		memcpy(dk.pub, key.key, sizeof(dk.pub));
		want(key_box_precompute(ndpriv, key.key, dk.shared) == 0,
		    "box key");
		chan_compose(c, IMSG_DISCO_KEY, 0, -1, &dk, sizeof(dk));
		break;
	default:
		break;
	}
	return 0;
}

static int
ctrld_msg(struct chan *c, struct imsg *imsg)
{
	return 0;
}

static int
netd_cryptod(struct chan *c, struct imsg *imsg)
{
	struct msg_wg_init	 init;
	struct msg_wg_resp	 resp;
	struct msg_wg_keys	 keys;
	struct msg_disco_key	 dk;

	switch (imsg_get_type(imsg)) {
	case IMSG_WG_INIT:
		return msg_get(imsg, &init, sizeof(init)) == -1 ? -1 :
		    hs_wg_init(&init);
	case IMSG_WG_RESP:
		return msg_get(imsg, &resp, sizeof(resp)) == -1 ? -1 :
		    hs_wg_resp(&resp);
	case IMSG_WG_KEYS:
		return msg_get(imsg, &keys, sizeof(keys)) == -1 ? -1 :
		    hs_wg_keys(&keys);
	case IMSG_DISCO_KEY:
		return msg_get(imsg, &dk, sizeof(dk)) == -1 ? -1 :
		    disco_key_answer(&dk);
	default:
		return -1;
	}
}

static int
netd_ctrld(struct chan *c, struct imsg *imsg)
{
	want(netmap_message(imsg) == 0, "netmap message");
	return 0;
}

static void
lost(struct chan *c, enum chan_end why)
{
	errx(1, "lost a channel");
}

static const struct chan_cb	 cryptod_cb = { cryptod_msg, lost };
static const struct chan_cb	 ctrld_cb = { ctrld_msg, lost };
static const struct chan_cb	 netd_cryptod_cb = { netd_cryptod, lost };
static const struct chan_cb	 netd_ctrld_cb = { netd_ctrld, lost };

static void
connect_pair(struct chan *a, enum proc pa, const struct chan_cb *ca,
    struct chan *b, enum proc pb, const struct chan_cb *cb)
{
	int	 sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1)
		err(1, "socketpair");
	chan_open(a, sv[0], pa, pb, ca, NULL);
	chan_open(b, sv[1], pb, pa, cb, NULL);
}

/* --- the world around ---------------------------------------------------- */

int
udp_socket(struct sockaddr_in *sin)
{
	socklen_t	 len = sizeof(*sin);
	int		 fd;

	memset(sin, 0, sizeof(*sin));
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)sin, sizeof(*sin)) == -1 ||
	    getsockname(fd, (struct sockaddr *)sin, &len) == -1)
		err(1, "socket");
	return fd;
}

void
key_pair(uint8_t *priv, uint8_t *pub)
{
	arc4random_buf(priv, 32);
	key_clamp(priv);
	key_public(priv, pub);
}

void
turn(void)
{
	struct timeval	 tv = { 0, 1000 };

	(void)event_loopexit(&tv);
	event_dispatch();
}

/* The next datagram for the peer; pings are answered on the way. */
int
receive_raw(int ms)
{
	int64_t	 end = os_now() + ms * MSEC;

	do {
		turn();
		dglen = recv(sock, dg, sizeof(dg), 0);
	} while (dglen == -1 && os_now() < end);
	return dglen == -1 ? -1 : 0;
}

size_t
disco_box(uint8_t *pkt, const struct disco_msg *dm)
{
	uint8_t	 plain[1024], nonce[24];
	ssize_t	 n;

	arc4random_buf(nonce, sizeof(nonce));
	n = disco_build(dm, plain, sizeof(plain));
	n = disco_seal(rshared, rdpub, nonce, plain, n, pkt, BOX_MAX);
	want(n > 0, "disco box");
	return n;
}

void
disco_out(const struct disco_msg *dm)
{
	uint8_t	 pkt[BOX_MAX];
	ssize_t	 n;

	n = disco_box(pkt, dm);
	want(sendto(sock, pkt, n, 0, (struct sockaddr *)&netd_sin,
	    sizeof(netd_sin)) == n, "disco out");
}

void
answer_ping(void)
{
	struct disco_msg	 dm, pong;
	uint8_t			 plain[BOX_MAX];
	ssize_t			 n;

	n = disco_open(rshared, dg, dglen, plain, sizeof(plain));
	want(n != -1 && disco_parse(plain, n, &dm) == 0, "disco in");
	if (dm.dm_type != DISCO_PING)
		return;
	want(memcmp(dm.dm_nodekey, npub, 32) == 0, "node key in ping");
	memset(&pong, 0, sizeof(pong));
	pong.dm_type = DISCO_PONG;
	memcpy(pong.dm_txid, dm.dm_txid, sizeof(pong.dm_txid));
	pong.dm_src.da_v4 = 1;
	disco_out(&pong);
}

/* The next WireGuard message of that type, 0: any; -1: none came. */
int
receive(int type, int ms)
{
	int64_t	 end = os_now() + ms * MSEC;

	while (os_now() < end && receive_raw(ms) == 0) {
		if (peer_deaf)
			continue;
		else if (disco_looks_like(dg, dglen))
			answer_ping();
		else if (type == 0 || wg_classify(dg, dglen) == type)
			return 0;
	}
	return -1;
}

void
tun_in(uint8_t *pkt, size_t len)
{
	uint8_t	 buf[VNET_HDR_LEN + 65536];

	memset(buf, 0, VNET_HDR_LEN);
	memcpy(buf + VNET_HDR_LEN, pkt, len);
	want(write(tun_fd, buf, len + VNET_HDR_LEN) > 0, "tun write");
}

/* What netd wrote to the TUN device; -1: nothing. */
int
tun_out(int ms)
{
	uint8_t	 buf[VNET_HDR_LEN + 65536];
	int64_t	 end = os_now() + ms * MSEC;

	do {
		turn();
		tunlen = read(tun_fd, buf, sizeof(buf));
	} while (tunlen == -1 && os_now() < end);
	if (tunlen == -1)
		return -1;
	tunlen -= VNET_HDR_LEN;
	memcpy(tunpkt, buf + VNET_HDR_LEN, tunlen);
	return 0;
}

/* A UDP packet of so many bytes in all, between 100.64.0.x. */
void
packet(uint8_t *p, uint8_t from, uint8_t to, uint16_t dport, size_t len)
{
	uint16_t	 sum;

	memset(p, 0x42, len);
	memset(p, 0, 28);
	p[0] = 0x45;
	be16enc(p + 2, len);
	p[8] = 64;
	p[9] = PKT_UDP;
	be32enc(p + 12, 0x64400000 | from);
	be32enc(p + 16, 0x64400000 | to);
	csum_ip4(p, 20);
	be16enc(p + 20, 1000);
	be16enc(p + 22, dport);
	be16enc(p + 24, len - 20);
	sum = ~csum_fold(csum_add(csum_pseudo(p, PKT_UDP, len - 20), p + 20,
	    len - 20));
	memcpy(p + 26, &sum, 2);
}

/* --- the peer's WireGuard ------------------------------------------------ */

void
session(const struct wg_session *ws, uint32_t index)
{
	wg_key_free(r_send);
	wg_key_free(r_recv);
	r_send = wg_key_new(ws->ws_send, 1);
	r_recv = wg_key_new(ws->ws_recv, 0);
	r_remote = ws->ws_remote;
	r_index = index;
	r_counter = 0;
}

void
udp_out(const uint8_t *p, size_t len)
{
	want(sendto(sock, p, len, 0, (struct sockaddr *)&netd_sin,
	    sizeof(netd_sin)) == (ssize_t)len, "udp out");
}

/* Answer the initiation in msg; send: 1, or 2: the caller sends it. */
void
respond(const uint8_t *msg, uint8_t *resp, int send)
{
	struct wg_handshake	 wh;
	struct wg_session	 ws;
	uint8_t			 ts[12], rnd[32], mk[32];

	arc4random_buf(rnd, sizeof(rnd));
	want(wg_initiation_open(&wh, rpriv, rpub, msg) == 0, "initiation");
	want(memcmp(wh.wh_remote_s, npub, 32) == 0, "who initiates");
	want(wg_initiation_verify(&wh, rpriv, msg, ts) == 0, "timestamp");
	want(wg_mac1_key(rpub, mk) == 0 && wg_mac1_check(msg,
	    WG_INITIATION_LEN, mk) == 0, "mac1 of initiation");
	want(wg_response_create(&wh, NULL, rnd, arc4random(), resp,
	    &ws) == 0, "response");
	want(wg_mac1_key(npub, mk) == 0 && wg_mac_append(resp,
	    WG_RESPONSE_LEN, mk, NULL) == 0, "mac");
	if (send != 0)
		session(&ws, wg_sender(resp));
	if (send == 1)
		udp_out(resp, WG_RESPONSE_LEN);
}

/* Build an initiation of the peer. */
void
initiation(struct wg_handshake *wh, uint8_t *msg, const uint8_t *cookie)
{
	uint8_t	 rnd[32], ts[12], mk[32];

	arc4random_buf(rnd, sizeof(rnd));
	r_clock += 50 * 1000000;
	wg_tai64n(r_clock, ts);
	want(wg_initiation_create(wh, rpriv, rpub, npub, rnd, ts,
	    arc4random(), msg) == 0, "create");
	want(wg_mac1_key(npub, mk) == 0 && wg_mac_append(msg,
	    WG_INITIATION_LEN, mk, cookie) == 0, "mac");
}

/* The peer initiates, and takes netd's answer. */
void
initiate(void)
{
	struct wg_handshake	 wh;
	struct wg_session	 ws;
	uint8_t			 msg[WG_INITIATION_LEN];

	usleep(25000);			/* accepted once per 20 ms */
	initiation(&wh, msg, NULL);
	udp_out(msg, sizeof(msg));
	want(receive(WG_MSG_RESPONSE, SECOND) == 0, "no response");
	want(wg_response_consume(&wh, rpriv, NULL, dg, &ws) == 0,
	    "bad response");
	session(&ws, wh.wh_local);
}

/* Seal a packet of the peer: its length in out. */
size_t
seal(uint8_t *msg, const uint8_t *p, size_t len)
{
	uint8_t	 plain[2048];
	ssize_t	 n;

	memset(plain, 0, sizeof(plain));
	memcpy(plain, p, len);
	n = wg_seal(r_send, msg, plain, wg_pad(len, 1280), r_remote,
	    r_counter++);
	want(n != -1, "seal");
	return n;
}

void
send_packet(uint8_t from, uint8_t to, uint16_t dport)
{
	uint8_t	 p[100], msg[200];

	packet(p, from, to, dport, sizeof(p));
	udp_out(msg, seal(msg, p, sizeof(p)));
}

/* The datagram in dg: length of the plaintext, which goes to tunpkt. */
ssize_t
unseal(void)
{
	want(wg_receiver(dg) == r_index, "receiver index");
	return wg_open(r_recv, dg, dglen, tunpkt);
}

/* --- set-up -------------------------------------------------------------- */

static void
derpmap(void)
{
	struct msg_nm_derp_region	 dr;
	struct msg_nm_derp_node		 dn;
	struct msg_u32			 one = { 1 };

	memset(&dr, 0, sizeof(dr));
	memset(&dn, 0, sizeof(dn));
	dr.id = dn.region = RELAY;
	dr.score = 1000;
	dn.port = 443;
	dn.stun_port = 3478;
	strlcpy(dr.code, "home", sizeof(dr.code));
	strlcpy(dn.name, "900a", sizeof(dn.name));
	strlcpy(dn.host, "relay.test", sizeof(dn.host));
	chan_compose(&ctrld, IMSG_NM_DERP_BEGIN, 0, -1, &one, sizeof(one));
	chan_compose(&ctrld, IMSG_NM_DERP_REGION, 0, -1, &dr, sizeof(dr));
	chan_compose(&ctrld, IMSG_NM_DERP_NODE, 0, -1, &dn, sizeof(dn));
}

void
netmap(int flags)
{
	struct msg_nm_begin	 begin = { 1, 1 };
	struct msg_nm_self	 self;
	struct msg_nm_peer	 peer;
	struct msg_nm_list	 ml;
	struct msg_nm_rule	 rule;
	struct msg_prefix	 pfx[2];
	struct msg_endpoint	 ep;
	struct msg_range	 any;
	struct msg_portrange	 dst;
	struct msg_u32		 one = { 1 };
	struct sockaddr_in	 sin;
	socklen_t		 len = sizeof(sin);

	memset(&self, 0, sizeof(self));
	memset(&peer, 0, sizeof(peer));
	memset(&ml, 0, sizeof(ml));
	memset(&rule, 0, sizeof(rule));
	memset(pfx, 0, sizeof(pfx));
	memset(&ep, 0, sizeof(ep));
	memset(&any, 0, sizeof(any));
	memset(&dst, 0, sizeof(dst));
	self.naddrs = 1;
	self.addr[0].af = AF_WIRE_INET;
	be32enc(self.addr[0].addr, 0x64400001);
	peer.id = ml.id = PEER_ID;
	memcpy(peer.key, rpub, 32);
	if (flags & NM_WGONLY)
		peer.flags = PEER_WGONLY;
	else
		memcpy(peer.disco, rdpub, 32);
	pfx[0].af = pfx[1].af = AF_WIRE_INET;
	pfx[0].plen = 32;
	be32enc(pfx[0].addr, 0x64400002);
	getsockname(sock, (struct sockaddr *)&sin, &len);
	ep.af = AF_WIRE_INET;
	ep.port = ntohs(sin.sin_port);
	memcpy(ep.addr, &sin.sin_addr, 4);
	dst.lo = 80;
	dst.hi = 90;

	chan_compose(&ctrld, IMSG_NM_BEGIN, 0, -1, &begin, sizeof(begin));
	chan_compose(&ctrld, IMSG_NM_SELF, 0, -1, &self, sizeof(self));
	if (flags & NM_RELAY)
		peer.derp = RELAY;
	if (flags & NM_PEERRELAY)
		peer.cap = 121;
	chan_compose(&ctrld, IMSG_NM_PEER, 0, -1, &peer, sizeof(peer));
	ml.n = flags & NM_EXIT ? 2 : 1;	/* all of the Internet */
	chan_compose2(&ctrld, IMSG_NM_PEER_ALLOWED, 0, -1, &ml, sizeof(ml),
	    pfx, ml.n * sizeof(pfx[0]));
	ml.n = 1;
	if ((flags & NM_NOWHERE) == 0)
		chan_compose2(&ctrld, IMSG_NM_PEER_ENDPOINTS, 0, -1, &ml,
		    sizeof(ml), &ep, sizeof(ep));
	if (flags & NM_EXIT) {
		peer.id = ml.id = PEER_ID + 1;
		peer.key[0] ^= 1;
		peer.disco[0] ^= 1;
		be32enc(pfx[0].addr, 0x64400005);
		chan_compose(&ctrld, IMSG_NM_PEER, 0, -1, &peer,
		    sizeof(peer));
		chan_compose2(&ctrld, IMSG_NM_PEER_ALLOWED, 0, -1, &ml,
		    sizeof(ml), pfx, sizeof(pfx[0]));
	}
	ml.id = 0;
	chan_compose(&ctrld, IMSG_NM_FILTER_BEGIN, 0, -1, &one, sizeof(one));
	chan_compose(&ctrld, IMSG_NM_FILTER_RULE, 0, -1, &rule, sizeof(rule));
	chan_compose2(&ctrld, IMSG_NM_FILTER_SRC, 0, -1, &ml, sizeof(ml),
	    &any, sizeof(any));
	chan_compose2(&ctrld, IMSG_NM_FILTER_DST, 0, -1, &ml, sizeof(ml),
	    &dst, sizeof(dst));
	if (flags & NM_PEERRELAY) {
		any.af = AF_WIRE_INET;	/* the peer, in both parts */
		be32enc(any.lo, 0x64400002);
		be32enc(any.hi, 0x64400002);
		for (ml.id = 1; ml.id <= 2; ml.id++)
			chan_compose2(&ctrld, IMSG_NM_FILTER_RELAY, 0, -1,
			    &ml, sizeof(ml), &any, sizeof(any));
	}
	if (flags & NM_RELAY)
		derpmap();
	chan_compose(&ctrld, IMSG_NM_COMMIT, 0, -1, &begin, sizeof(begin));
	turn();
	turn();
	want(peer_find(PEER_ID) != NULL, "netmap has arrived");
}

static int
parent_msg(struct chan *c, struct imsg *imsg)
{
	return endpoints_message(imsg);
}

void
own_endpoint(void)
{
	static const struct chan_cb	 cb = { parent_msg, lost };
	static struct chan		 here, there;
	struct msg_localaddr		 la;
	struct msg_u32			 minor = { 0 };
	int				 sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1)
		err(1, "socketpair");
	chan_open(&here, sv[0], PROC_PARENT, PROC_NETD, &cb, NULL);
	chan_open(&there, sv[1], PROC_NETD, PROC_PARENT, &cb, NULL);
	memset(&la, 0, sizeof(la));
	la.p.af = AF_WIRE_INET;
	la.p.plen = 24;
	memcpy(la.p.addr, "\306\63\144\7", 4);
	chan_compose(&here, IMSG_LOCALADDR_BEGIN, 0, -1, NULL, 0);
	chan_compose(&here, IMSG_LOCALADDR, 0, -1, &la, sizeof(la));
	chan_compose(&here, IMSG_LOCALADDR_END, 0, -1, &minor,
	    sizeof(minor));
	turn();
	turn();
}

void
setup(void)
{
	struct msg_tun		 tun;
	struct msg_udp		 udp;
	struct sockaddr_in	 sin;
	int			 sv[2];

	key_pair(npriv, npub);
	key_pair(ndpriv, ndpub);
	key_pair(rpriv, rpub);
	key_pair(rdpriv, rdpub);
	want(key_box_precompute(rdpriv, ndpub, rshared) == 0, "box key");
	event_init();
	nd.n_tx = tx_new(TX_IN, TX_OUT);
	nd.n_own = tx_new(0, TX_OUT_OWN);
	if ((nd.n_rx = calloc(1, sizeof(*nd.n_rx))) == NULL)
		err(1, NULL);
	nd.n_flows = filter_flows_new(512);
	nd.n_jail_flows = filter_flows_new(512);
	tun_init();
	udp_init();
	peer_timers_init();
	hs_init();
	netmap_filter();
	connect_pair(&nd.n_cryptod, PROC_NETD, &netd_cryptod_cb, &cryptod,
	    PROC_CRYPTOD, &cryptod_cb);
	connect_pair(&nd.n_ctrld, PROC_NETD, &netd_ctrld_cb, &ctrld,
	    PROC_CTRLD, &ctrld_cb);
	if ((wgop = wgop_new(calloc(1, wgop_secret_size()),
	    os_date() - os_now())) == NULL)
		err(1, NULL);
	wgop_set_key(wgop, npriv, npub);
	sock = udp_socket(&sin);
	memset(&tun, 0, sizeof(tun));
	tun.caps = TUN_VNET | TUN_TSO | TUN_USO;
	tun.mtu = 1280;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sv) == -1)
		err(1, "socketpair");
	tun_fd = sv[1];
	tun_set(sv[0], &tun);
	memset(&udp, 0, sizeof(udp));
	udp.af = AF_WIRE_INET;
	udp.port = 41641;
	udp_set(udp_socket(&netd_sin), &udp);
	disco_set_key(ndpub);
	hs_set_key(npub);
}
