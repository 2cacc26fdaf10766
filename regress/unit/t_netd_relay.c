/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A peer behind a relay of the test: first contact, the way to a direct path
 * and back (dataplane.md 2.4 to 2.6).
 */
/* link: ../../netd/hardnat.c ../../netd/hnrule.c */
/* link: stub_derp.c stub_netcheck.c ../../netd/epset.c */
/* link: netd_world.c */
/* link: ../../netd/relayc.c ../../netd/relaykey.c */
/* link: ../../netd/relays.c */
/* link: ../../netd/addr.c ../../netd/checksum.c ../../netd/coalesce.c */
/* link: ../../netd/checksum_avx2.c */
/* link: ../../netd/cookie.c ../../netd/endpoints.c ../../netd/handshake.c */
/* link: ../../netd/heap.c ../../netd/index.c ../../netd/masq.c */
/* link: ../../netd/netd_disco.c ../../netd/netmap.c ../../netd/path.c */
/* link: ../../netd/pathmtu.c */
/* link: ../../netd/peer.c ../../netd/ping.c ../../netd/routes.c */
/* link: ../../netd/rules.c ../../netd/rx.c ../../netd/segment.c */
/* link: ../../netd/ecn.c ../../netd/ptb.c */
/* link: ../../netd/session.c ../../netd/timers.c ../../netd/tun.c */
/* link: ../../netd/tx.c ../../netd/txbatch.c */
/* link: ../../netd/sendq.c */
/* link: ../../netd/udp.c ../../netd/wgonly.c */
/* link: ../../netd/derpmap.c ../../netd/portmap.c */
/* link: ../../cryptod/wgop.c ../../netd/lock.c */

#include <sys/types.h>
#include <sys/endian.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netd_world.h"
#include "stub_derp.h"

/* What the relay was given, oldest first. */
struct relayed {
	STAILQ_ENTRY(relayed) r_entry;
	size_t		 r_len;
	uint8_t		 r_pkt[];
};
static STAILQ_HEAD(, relayed) relayq = STAILQ_HEAD_INITIALIZER(relayq);
static unsigned int	 nrelayed, ncalls, npings;
static uint8_t		 call[1024];	/* the last CallMeMaybe */
static size_t		 ncall;

/* --- the relay ----------------------------------------------------------- */

/* Disco is read here, so that the tests see WireGuard alone. */
static int
relay_disco(const uint8_t *p, size_t len)
{
	struct disco_msg	 dm;
	static uint8_t		 plain[2048];
	ssize_t			 n;

	if (!disco_looks_like(p, len))
		return 0;
	n = disco_open(rshared, p, len, plain, sizeof(plain));
	want(n != -1 && disco_parse(plain, n, &dm) == 0, "disco by relay");
	if (dm.dm_type == DISCO_CALL_ME_MAYBE) {
		ncalls++;
		ncall = dm.dm_naddrs;
		memcpy(call, dm.dm_addrs, ncall * DISCO_ADDR_LEN);
	} else if (dm.dm_type == DISCO_PING)
		npings++;
	else {
		want(dm.dm_type == DISCO_PONG, "which disco by relay");
		want(dm.dm_src.da_v4 && dm.dm_src.da_port == RELAY &&
		    memcmp(dm.dm_src.da_addr, "\177\3\3\50", 4) == 0,
		    "address in a pong by relay");
		npings += 1000;
	}
	return 1;
}

static int
relay_take(uint16_t region, const uint8_t *key, const void *pkt, size_t len)
{
	struct relayed	*r;

	want(region == RELAY, "which region");
	want(memcmp(key, rpub, 32) == 0, "to whom");
	if (relay_disco(pkt, len))
		return 0;
	if ((r = malloc(sizeof(*r) + len)) == NULL)
		err(1, NULL);
	r->r_len = len;
	memcpy(r->r_pkt, pkt, len);
	STAILQ_INSERT_TAIL(&relayq, r, r_entry);
	nrelayed++;
	return 0;
}

/* The next message of that type that comes by the relay, into dg. */
static int
relay_get(int type, int ms)
{
	struct relayed	*r;
	int64_t		 end = os_now() + ms * MSEC;

	do {
		while ((r = STAILQ_FIRST(&relayq)) != NULL) {
			STAILQ_REMOVE_HEAD(&relayq, r_entry);
			memcpy(dg, r->r_pkt, r->r_len);
			dglen = r->r_len;
			free(r);
			if (wg_classify(dg, dglen) == type)
				return 0;
		}
		turn();
	} while (os_now() < end);
	return -1;
}

/* The next packet of 101 bytes that comes by it; disco keys go by before. */
static int
relay_data(int ms)
{
	while (relay_get(WG_MSG_TRANSPORT, ms) == 0)
		if (unseal() == 112)
			return 0;
	return -1;
}

static void
relay_put(const uint8_t *key, const uint8_t *p, size_t len)
{
	static uint8_t	 buf[65536];

	memcpy(buf, p, len);
	rx_relayed(nd.n_rx, RELAY, key, buf, len, os_now());
	rx_flush(nd.n_rx);
	turn();
}

static void
relay_clear(void)
{
	turn();
	while (relay_get(-1, 0) == 0)
		;
	while (receive_raw(5) == 0)
		;
	nrelayed = ncalls = npings = 0;
}

/* --- tests --------------------------------------------------------------- */

static struct peer *
peer(void)
{
	return peer_find(PEER_ID);
}

/* A first packet while no path answers: its initiation, by the relay. */
static void
first_packet(uint8_t *p, size_t len, uint8_t *init)
{
	peer_deaf = 1;
	packet(p, 1, 2, 80, len);
	tun_in(p, len);
	want(relay_get(WG_MSG_INITIATION, SECOND) == 0,
	    "initiation by the relay");
	memcpy(init, dg, WG_INITIATION_LEN);
}

/* The relay first: no waiting for a pong, and the peer is called. */
static void
test_first(void)
{
	uint8_t	 p[101], init[WG_INITIATION_LEN], resp[WG_RESPONSE_LEN];
	int64_t	 t0 = os_now();

	first_packet(p, sizeof(p), init);
	want(os_now() - t0 < 100 * MSEC, "at once");
	/* The relay is there only now; a packet more does not begin anew. */
	hs_relay_up(RELAY, os_now());
	tun_in(p, sizeof(p));
	want(relay_get(WG_MSG_INITIATION, 300) == -1,
	    "a second initiation voids the answer to the first");
	respond(init, resp, 2);
	relay_put(rpub, resp, sizeof(resp));
	want(relay_data(SECOND) == 0 && memcmp(tunpkt, p, sizeof(p)) == 0,
	    "what waited");
	want(ncalls > 0 && ncall == 1, "CallMeMaybe");
	want(memcmp(call + 10, "\377\377\306\63\144\7", 6) == 0 &&
	    be16dec(call + 16) == 41641, "our endpoint in it");
	want(receive_raw(0) == 0, "UDP pings went out before it");
	want(!path_trusted(peer()->p_path, os_now()) &&
	    peer()->p_path->pa_best.a_af == 0, "no path by that");
	while (receive_raw(0) == 0)
		want(disco_looks_like(dg, dglen), "WireGuard without a pong");
}

/* A packet of the peer by the relay; from anyone else it is nothing. */
static void
test_in(void)
{
	uint64_t	*drop = nd.n_rx->r_stats.s_drop, n = drop[RXD_UNKNOWN];
	uint8_t		 p[100], msg[200];
	size_t		 len;

	packet(p, 2, 1, 80, sizeof(p));
	len = seal(msg, p, sizeof(p));
	relay_put(npub, msg, len);
	want(tun_out(20) == -1 && drop[RXD_UNKNOWN] == n + 1, "a stranger");
	relay_put(rpub, msg, len);
	want(tun_out(SECOND) == 0 && memcmp(tunpkt, p, tunlen) == 0,
	    "data by the relay");
	want(peer()->p_path->pa_best.a_af == 0, "makes no direct path");
}

static void
test_disco_in(void)
{
	struct disco_msg	 dm;
	uint8_t			 pkt[BOX_MAX], eps[3][DISCO_ADDR_LEN];
	struct disco_addr	 da;
	struct sockaddr_in	 sin;
	socklen_t		 slen = sizeof(sin);
	size_t			 len;

	relay_clear();
	memset(&dm, 0, sizeof(dm));
	dm.dm_type = DISCO_PING;
	dm.dm_has_nodekey = 1;
	memcpy(dm.dm_nodekey, rpub, 32);
	len = disco_box(pkt, &dm);
	relay_put(npub, pkt, len);
	want(npings == 0, "disco under a wrong name");
	relay_put(rpub, pkt, len);
	want(npings == 1000, "ping by the relay: pong by the relay");
	want(peer()->p_path->pa_ncand == 0, "makes no candidate");

	/* The peer calls: pings at once, and no call back. */
	getsockname(sock, (struct sockaddr *)&sin, &slen);
	memset(&da, 0, sizeof(da));
	da.da_v4 = 1;
	memcpy(da.da_addr, &sin.sin_addr, 4);
	da.da_port = ntohs(sin.sin_port);
	disco_addr_put(&da, eps[0]);
	da.da_v4 = 0;
	memcpy(da.da_addr, "\376\200\0\0\0\0\0\0\1\1\1\1\1\1\1\1", 16);
	disco_addr_put(&da, eps[1]);	/* link-local: not that */
	memset(eps[2], 0, sizeof(eps[2]));
	dm.dm_type = DISCO_CALL_ME_MAYBE;
	dm.dm_addrs = eps[0];
	dm.dm_naddrs = 3;
	len = disco_box(pkt, &dm);
	disco_out(&dm);
	turn();
	want(peer()->p_path->pa_ncand == 0, "a call that came by UDP");
	ncalls = 0;
	relay_put(rpub, pkt, len);
	want(peer()->p_path->pa_ncand == 1, "what is called");
	want(receive_raw(20) == 0 && disco_looks_like(dg, dglen), "pings");
	want(ncalls == 0, "calls back");
}

/* Numbered packets while the direct path comes up: none is missing. */
static void
test_upgrade(void)
{
	static uint8_t	 seen[400];
	uint8_t		 p[101];
	unsigned int	 i, direct = 0, twice = 0;
	int64_t		 t0 = os_now(), up = 0;

	relay_clear();
	peer_deaf = 0;
	for (i = 0; i < sizeof(seen); i++) {
		packet(p, 1, 2, 80, sizeof(p));
		be16enc(p + 28, i);
		tun_in(p, sizeof(p));
		while (receive(WG_MSG_TRANSPORT, 2) == 0)
			if (unseal() > 100 && be16dec(tunpkt + 28) < 400)
				seen[be16dec(tunpkt + 28)] |= 1;
		while (relay_get(WG_MSG_TRANSPORT, 0) == 0)
			if (unseal() > 100 && be16dec(tunpkt + 28) < 400)
				seen[be16dec(tunpkt + 28)] |= 2;
		if (up == 0 && path_trusted(peer()->p_path, os_now()))
			up = os_now();
	}
	for (i = 0; i < sizeof(seen); i++) {
		want(seen[i] != 0, "a packet is lost");
		direct += seen[i] == 1;
		twice += seen[i] == 3;
	}
	want(up != 0 && up - t0 < 3 * NSEC, "direct within 3 s");
	want(seen[sizeof(seen) - 1] == 1, "in the end direct alone");
	want(direct > 10, "and not only the last");
	want(twice < 50, "copies end");
}

/* The direct path dies without a word. */
static void
test_fall_back(void)
{
	uint8_t	 p[101];
	int64_t	 t0 = os_now(), gap;

	want(path_trusted(peer()->p_path, t0), "direct at first");
	relay_clear();
	peer_deaf = 1;
	t0 = os_now();
	do {
		packet(p, 1, 2, 80, sizeof(p));
		tun_in(p, sizeof(p));
		gap = os_now() - t0;
		want(gap < 4 * NSEC, "falls back within 4 s");
	} while (relay_data(10) == -1);
	want(ncalls > 0, "calls the peer");
	want(peer()->p_path->pa_best.a_af != 0, "tries the old path, too");
	peer_deaf = 0;
	while (!path_trusted(peer()->p_path, os_now())) {
		(void)receive(WG_MSG_TRANSPORT, 10);
		want(os_now() - t0 < 10 * NSEC, "and direct again");
	}
}

/* Its initiation comes by the relay: so does the answer. */
static void
test_responder(void)
{
	struct wg_handshake	 wh;
	struct wg_session	 ws;
	uint8_t			 msg[WG_INITIATION_LEN];

	peer_deaf = 1;
	path_reset(peer()->p_path);
	relay_clear();
	initiation(&wh, msg, NULL);
	relay_put(rpub, msg, sizeof(msg));
	want(relay_get(WG_MSG_RESPONSE, SECOND) == 0 &&
	    wg_response_consume(&wh, rpriv, NULL, dg, &ws) == 0,
	    "response by the relay");
	session(&ws, wh.wh_local);
	while (receive_raw(0) == 0)
		want(disco_looks_like(dg, dglen), "no response by UDP");
}

/* Sockets that refuse: the group that was to go takes the relay. */
static void
test_refused(void)
{
	uint8_t	 p[101], msg[200];
	int64_t	 end = os_now() + 3 * NSEC;

	peer_deaf = 0;
	packet(p, 2, 1, 80, sizeof(p));
	relay_put(rpub, msg, seal(msg, p, sizeof(p)));
	packet(p, 1, 2, 80, sizeof(p));
	tun_in(p, sizeof(p));
	while (!path_trusted(peer()->p_path, os_now()) && os_now() < end)
		(void)receive(WG_MSG_TRANSPORT, 10);
	want(path_trusted(peer()->p_path, os_now()), "direct");
	relay_clear();
	want(shutdown(nd.n_udp[0].u_fd, SHUT_WR) == 0 || errno == ENOTCONN,
	    "shutdown");
	nd.n_udp[0].u_af = AF_WIRE_INET;
	close(nd.n_udp[0].u_fd);
	tun_in(p, sizeof(p));
	want(relay_data(SECOND) == 0, "not lost");
}

/*
 * The relay does not answer, then there is a path: the same initiation goes
 * by that, at once, and no other.
 */
static void
test_same(void)
{
	uint8_t	 p[101], init[WG_INITIATION_LEN], resp[WG_RESPONSE_LEN];
	int64_t	 t0 = os_now();

	first_packet(p, sizeof(p), init);
	peer_deaf = 0;
	want(receive(WG_MSG_INITIATION, SECOND) == 0, "and by the path");
	want(os_now() - t0 < 300 * MSEC, "soon");
	want(memcmp(dg, init, sizeof(init)) == 0, "the same");
	tun_in(p, sizeof(p));
	want(receive(WG_MSG_INITIATION, 300) == -1, "and no other");
	respond(init, resp, 1);
	want(receive(WG_MSG_TRANSPORT, SECOND) == 0 && unseal() > 0 &&
	    memcmp(tunpkt, p, sizeof(p)) == 0, "what waited");
}

/* In a world of its own. */
static void
alone(void (*test)(void))
{
	pid_t	 pid;
	int	 status;

	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		setup();
		own_endpoint();
		netmap(NM_RELAY);
		test();
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		errx(1, "a test alone has failed");
}

int
main(void)
{
	log_init(1, "t_netd_relay");
	stub_derp_relay(RELAY, relay_take);
	alone(test_same);
	setup();
	own_endpoint();
	netmap(NM_RELAY);
	test_first();
	netmap(NM_RELAY | NM_NOWHERE);
	test_in();
	test_disco_in();
	test_upgrade();
	test_fall_back();
	test_responder();
	test_refused();
	return 0;
}
