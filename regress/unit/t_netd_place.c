/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Peer relays: netd as one for two nodes of the test, and as the client of
 * one of the test (dataplane.md 2.14).
 */
/* link: ../../netd/hardnat.c ../../netd/hnrule.c */
/* link: netd_world.c stub_derp.c stub_netcheck.c ../../netd/epset.c */
/* link: ../../netd/relayc.c ../../netd/relaykey.c ../../netd/relays.c */
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
#include <sys/socket.h>

#include <netinet/in.h>

#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netd_world.h"
#include "stub_derp.h"

#define GENERATION	77
#define VNI		4711

/* One end of a place: a node that is a peer or not, with its own socket. */
struct end {
	uint8_t		 e_priv[32];
	uint8_t		 e_pub[32];
	uint8_t		 e_shared[32];	/* with netd */
	int		 e_fd;
	struct sockaddr_in e_sin;
};

static struct end	 ends[3];
static struct sockaddr_in relay_sin;
static uint8_t		 got[2048];		/* the last datagram */
static ssize_t		 ngot;
static struct disco_msg	 out;			/* last by the DERP relay */
static uint8_t		 out_plain[2048], out_key[32];
static unsigned int	 nout[16];		/* how many, by type */

/* --- the DERP relay ------------------------------------------------------ */

static int
derp_take(uint16_t region, const uint8_t *key, const void *pkt, size_t len)
{
	ssize_t	 n;

	if (!disco_looks_like(pkt, len))
		return 0;
	n = disco_open(rshared, pkt, len, out_plain, sizeof(out_plain));
	want(n != -1 && disco_parse(out_plain, n, &out) == 0, "disco");
	memcpy(out_key, key, sizeof(out_key));
	nout[out.dm_type & 15]++;
	return 0;
}

static void
derp_in(const struct disco_msg *dm)
{
	uint8_t	 pkt[BOX_MAX];
	size_t	 n;

	n = disco_box(pkt, dm);
	rx_relayed(nd.n_rx, RELAY, rpub, pkt, n, os_now());
	rx_flush(nd.n_rx);
	turn();
	turn();
}

/* --- ends ---------------------------------------------------------------- */

static void
end_make(struct end *e, const uint8_t *priv, const uint8_t *pub)
{
	if (priv != NULL) {
		memcpy(e->e_priv, priv, 32);
		memcpy(e->e_pub, pub, 32);
	} else
		key_pair(e->e_priv, e->e_pub);
	want(key_box_precompute(e->e_priv, ndpub, e->e_shared) == 0, "box");
	e->e_fd = udp_socket(&e->e_sin);
}

static void
end_send(struct end *e, const struct sockaddr_in *to, const void *p,
    size_t len)
{
	want(sendto(e->e_fd, p, len, 0, (const struct sockaddr *)to,
	    sizeof(*to)) == (ssize_t)len, "send");
	turn();
	turn();
}

/* What has come to this end: into got; -1: nothing. */
static int
end_recv(struct end *e)
{
	turn();
	ngot = recv(e->e_fd, got, sizeof(got), 0);
	return ngot == -1 ? -1 : 0;
}

/* A control packet of that end. */
static void
end_control(struct end *e, enum disco_type type, uint32_t vni,
    const uint8_t *remote, uint32_t gen, const uint8_t *challenge)
{
	struct disco_msg	 dm;
	struct geneve		 g = { vni, GENEVE_PROTO_DISCO, 1 };
	uint8_t			 plain[256], buf[512], nonce[24];
	ssize_t			 n;

	memset(&dm, 0, sizeof(dm));
	dm.dm_type = type;
	dm.dm_vni = vni;
	dm.dm_generation = gen;
	memcpy(dm.dm_remote, remote, 32);
	if (challenge != NULL)
		memcpy(dm.dm_challenge, challenge, 32);
	n = disco_build(&dm, plain, sizeof(plain));
	arc4random_buf(nonce, sizeof(nonce));
	want(geneve_build(buf, &g) == 0, "header");
	n = disco_seal(e->e_shared, e->e_pub, nonce, plain, n,
	    buf + GENEVE_HDR_LEN, sizeof(buf) - GENEVE_HDR_LEN);
	end_send(e, &relay_sin, buf, n + GENEVE_HDR_LEN);
}

/* What came is a control packet of netd: opened. */
static void
opened(struct end *e, enum disco_type type, struct disco_msg *dm)
{
	static uint8_t	 plain[512];
	struct geneve	 g;
	ssize_t		 n;

	want(geneve_parse(got, ngot, &g) == 0 && g.g_control &&
	    g.g_proto == GENEVE_PROTO_DISCO, "control header");
	n = disco_open(e->e_shared, got + GENEVE_HDR_LEN,
	    ngot - GENEVE_HDR_LEN, plain, sizeof(plain));
	want(n != -1 && disco_parse(plain, n, dm) == 0 &&
	    dm->dm_type == type, "control message");
}

/* --- netd is the relay --------------------------------------------------- */

static void
ask(const uint8_t *a, const uint8_t *b)
{
	struct disco_msg	 dm;
	int			 swap = memcmp(a, b, 32) > 0;

	memset(&dm, 0, sizeof(dm));
	dm.dm_type = DISCO_ALLOC_REQUEST;
	dm.dm_generation = GENERATION;
	memcpy(dm.dm_relay.dr_client[swap], a, 32);
	memcpy(dm.dm_relay.dr_client[!swap], b, 32);
	memset(nout, 0, sizeof(nout));
	derp_in(&dm);
}

static void
test_alloc(void)
{
	struct msg_udp	 u;
	uint32_t	 vni;

	ask(ends[0].e_pub, ends[1].e_pub);
	want(nout[DISCO_ALLOC_RESPONSE] == 0, "no sockets: no relay");
	memset(&u, 0, sizeof(u));
	u.af = AF_WIRE_INET;
	u.port = 40000;
	relays_set(udp_socket(&relay_sin), &u);
	ask(ends[0].e_pub, ends[1].e_pub);
	want(nout[DISCO_ALLOC_RESPONSE] == 0, "no grant: no place");
	netmap(NM_RELAY | NM_PEERRELAY);
	nd.n_self.flags = SELF_NO_RELAY_SERVER;
	ask(ends[0].e_pub, ends[1].e_pub);
	want(nout[DISCO_ALLOC_RESPONSE] == 0, "the server forbids it");
	nd.n_self.flags = 0;
	ask(ends[1].e_pub, ends[2].e_pub);
	want(nout[DISCO_ALLOC_RESPONSE] == 0, "a place for others");
	ask(ends[0].e_pub, ends[0].e_pub);
	want(nout[DISCO_ALLOC_RESPONSE] == 0, "a place for one");
	ask(ends[0].e_pub, ends[1].e_pub);
	want(nout[DISCO_ALLOC_RESPONSE] == 1 &&
	    memcmp(out_key, rpub, 32) == 0, "a place");
	vni = out.dm_relay.dr_vni;
	want(out.dm_generation == GENERATION && vni == 1 &&
	    out.dm_relay.dr_lamport == 1 && out.dm_naddrs == 1 &&
	    memcmp(out.dm_relay.dr_server, ndpub, 32) == 0 &&
	    memcmp(out.dm_relay.dr_client[0], out.dm_relay.dr_client[1],
	    32) < 0 && be16dec(out.dm_addrs + 16) == 40000 &&
	    memcmp(out.dm_addrs + 12, "\306\63\144\7", 4) == 0,
	    "what is told of it");
	ask(ends[0].e_pub, ends[1].e_pub);
	want(out.dm_relay.dr_vni == vni && out.dm_relay.dr_lamport == 1,
	    "the same for the same pair");
	ask(ends[0].e_pub, ends[2].e_pub);
	want(out.dm_relay.dr_vni == 2 && out.dm_relay.dr_lamport == 2,
	    "another pair");
}

/* Bind this end at the place of VNI 1. */
static void
end_bind(struct end *e, const uint8_t *remote)
{
	struct disco_msg	 dm;

	end_control(e, DISCO_BIND_ENDPOINT, 1, remote, GENERATION, NULL);
	want(end_recv(e) == 0, "challenge");
	opened(e, DISCO_BIND_CHALLENGE, &dm);
	want(dm.dm_vni == 1 && dm.dm_generation == GENERATION &&
	    memcmp(dm.dm_remote, remote, 32) == 0, "what is challenged");
	end_control(e, DISCO_BIND_ANSWER, 1, remote, GENERATION,
	    dm.dm_challenge);
}

static const uint8_t	 data[] = "\0\0\172\22\0\0\1\0 a packet as it is";

static void
test_bind(void)
{
	struct disco_msg	 dm;
	uint8_t			 bad[32] = { 1 };
	struct end		*a = &ends[0], *b = &ends[1], *c = &ends[2];

	end_control(a, DISCO_BIND_ENDPOINT, 1, b->e_pub, 0, NULL);
	want(end_recv(a) == -1, "generation 0");
	end_control(a, DISCO_BIND_ENDPOINT, 3, b->e_pub, 1, NULL);
	want(end_recv(a) == -1, "no such place");
	end_control(a, DISCO_BIND_ENDPOINT, 1, c->e_pub, 1, NULL);
	want(end_recv(a) == -1, "another pair's key");
	end_control(c, DISCO_BIND_ENDPOINT, 1, b->e_pub, 1, NULL);
	want(end_recv(c) == -1, "a stranger to the place");

	end_bind(a, b->e_pub);
	end_send(a, &relay_sin, data, sizeof(data));
	want(end_recv(b) == -1, "half a place forwards nothing");
	end_control(b, DISCO_BIND_ENDPOINT, 1, a->e_pub, GENERATION, NULL);
	want(end_recv(b) == 0, "challenge");
	opened(b, DISCO_BIND_CHALLENGE, &dm);
	end_control(b, DISCO_BIND_ANSWER, 1, a->e_pub, GENERATION, bad);
	end_send(a, &relay_sin, data, sizeof(data));
	want(end_recv(b) == -1, "a wrong answer");
	end_control(b, DISCO_BIND_ANSWER, 1, a->e_pub, GENERATION + 1,
	    dm.dm_challenge);
	end_send(a, &relay_sin, data, sizeof(data));
	want(end_recv(b) == -1, "another generation");
	end_bind(b, a->e_pub);
	end_send(a, &relay_sin, data, sizeof(data));
	want(end_recv(b) == 0 && ngot == sizeof(data) &&
	    memcmp(got, data, sizeof(data)) == 0, "forwarded as it is");
	end_send(b, &relay_sin, data, sizeof(data));
	want(end_recv(a) == 0 && ngot == sizeof(data), "and back");
	end_send(c, &relay_sin, data, sizeof(data));
	want(end_recv(a) == -1 && end_recv(b) == -1, "from elsewhere");
}

/* A challenge is good only where it was sent to. */
static void
test_move(void)
{
	struct disco_msg	 dm;
	struct end		*a = &ends[0], *b = &ends[1], moved;

	moved = *a;
	moved.e_fd = udp_socket(&moved.e_sin);
	end_control(a, DISCO_BIND_ENDPOINT, 1, b->e_pub, 5, NULL);
	want(end_recv(a) == 0, "challenge");
	opened(a, DISCO_BIND_CHALLENGE, &dm);
	end_control(&moved, DISCO_BIND_ANSWER, 1, b->e_pub, 5,
	    dm.dm_challenge);
	end_send(&moved, &relay_sin, data, sizeof(data));
	want(end_recv(b) == -1, "another one's challenge");
	end_bind(&moved, b->e_pub);
	end_send(&moved, &relay_sin, data, sizeof(data));
	want(end_recv(b) == 0, "an end may move");
	end_send(a, &relay_sin, data, sizeof(data));
	want(end_recv(b) == -1, "and is no longer where it was");
	close(moved.e_fd);
}

static void
test_server_junk(void)
{
	uint8_t	 buf[300];
	size_t	 i, n;

	for (i = 0; i < 3000; i++) {
		arc4random_buf(buf, sizeof(buf));
		n = arc4random_uniform(sizeof(buf)) + 1;
		if (i % 2) {
			memcpy(buf, "\0\200\172\21\0\0\1\0TS\360\237\222\254",
			    14);
			memcpy(buf + 14, ends[i % 3].e_pub, 32);
		}
		want(sendto(ends[2].e_fd, buf, n, 0,
		    (struct sockaddr *)&relay_sin, sizeof(relay_sin)) > 0,
		    "junk");
		if (i % 64 == 0)
			turn();
	}
	turn();
	turn();
	for (i = 0; i < 3; i++)
		want(end_recv(&ends[i]) == -1, "junk is answered");
}

/* No client holds all there is. */
static void
test_bound(void)
{
	uint8_t		 key[32];
	unsigned int	 i, n = 0;

	for (i = 0; i < 400; i++) {
		arc4random_buf(key, sizeof(key));
		ask(ends[0].e_pub, key);
		n += nout[DISCO_ALLOC_RESPONSE];
	}
	want(n > 100 && n < 300, "places of one client");
	relays_stop();
	ask(ends[0].e_pub, ends[1].e_pub);
	want(nout[DISCO_ALLOC_RESPONSE] == 0, "stopped");
}

/* --- netd is the client -------------------------------------------------- */

/* The test's relay: its socket and key are those of ends[2]. */
static void
place(struct disco_msg *dm, uint64_t lamport, const uint8_t *other)
{
	static uint8_t		 wire[DISCO_ADDR_LEN];
	struct disco_relay	*dr = &dm->dm_relay;
	struct disco_addr	 da;
	int			 swap = memcmp(ndpub, other, 32) > 0;

	memset(dm, 0, sizeof(*dm));
	memset(&da, 0, sizeof(da));
	dm->dm_type = DISCO_CALL_ME_MAYBE_VIA;
	memcpy(dr->dr_server, ends[2].e_pub, 32);
	memcpy(dr->dr_client[swap], ndpub, 32);
	memcpy(dr->dr_client[!swap], other, 32);
	dr->dr_lamport = lamport;
	dr->dr_vni = VNI;
	dr->dr_bind_ns = 30 * NSEC;
	dr->dr_steady_ns = 300 * NSEC;
	da.da_v4 = 1;
	da.da_port = ntohs(ends[2].e_sin.sin_port);
	memcpy(da.da_addr, &ends[2].e_sin.sin_addr, 4);
	disco_addr_put(&da, wire);
	dm->dm_addrs = wire;
	dm->dm_naddrs = 1;
}

/* netd's messages to the place: how many binds came. */
static int
binds(struct disco_msg *dm)
{
	int	 n = 0;

	while (end_recv(&ends[2]) == 0) {
		opened(&ends[2], DISCO_BIND_ENDPOINT, dm);
		n++;
	}
	return n;
}

/* The relay's packet to netd. */
static void
relay_out(struct end *from, const uint8_t *shared, int control,
    const struct disco_msg *dm)
{
	struct geneve	 g = { VNI, GENEVE_PROTO_DISCO, control };
	uint8_t		 plain[256], buf[512], nonce[24];
	ssize_t		 n;

	n = disco_build(dm, plain, sizeof(plain));
	arc4random_buf(nonce, sizeof(nonce));
	want(geneve_build(buf, &g) == 0, "header");
	n = disco_seal(shared, from->e_pub, nonce, plain, n,
	    buf + GENEVE_HDR_LEN, sizeof(buf) - GENEVE_HDR_LEN);
	end_send(&ends[2], &netd_sin, buf, n + GENEVE_HDR_LEN);
}

/* The peer is pinged there, and answers. */
static void
pinged(void)
{
	struct disco_msg	 dm, pong;
	struct geneve		 g;
	uint8_t			 plain[BOX_MAX];
	ssize_t			 n;

	want(end_recv(&ends[2]) == 0, "no ping there");
	want(geneve_parse(got, ngot, &g) == 0 && !g.g_control &&
	    g.g_vni == VNI, "header of the ping");
	n = disco_open(rshared, got + GENEVE_HDR_LEN, ngot - GENEVE_HDR_LEN,
	    plain, sizeof(plain));
	want(n != -1 && disco_parse(plain, n, &dm) == 0 &&
	    dm.dm_type == DISCO_PING, "the peer's ping");
	memset(&pong, 0, sizeof(pong));
	pong.dm_type = DISCO_PONG;
	memcpy(pong.dm_txid, dm.dm_txid, sizeof(pong.dm_txid));
	pong.dm_src.da_v4 = 1;
	relay_out(&ends[0], rshared, 0, &pong);
}

static void
test_client(void)
{
	struct disco_msg	 via, dm;
	struct geneve		 g;
	struct peer		*p;
	uint8_t			 pkt[100];

	netmap(NM_RELAY | NM_NOWHERE | NM_PEERRELAY);
	p = peer_find(PEER_ID);
	place(&via, 1, ends[1].e_pub);
	derp_in(&via);
	want(binds(&dm) == 0, "a pair that it is not of");
	place(&via, 5, rdpub);
	nd.n_self.flags = SELF_NO_RELAY_CLIENT;
	derp_in(&via);
	want(binds(&dm) == 0, "the server forbids it");
	nd.n_self.flags = 0;
	derp_in(&via);
	want(binds(&dm) == 1 && dm.dm_vni == VNI && dm.dm_generation != 0 &&
	    memcmp(dm.dm_remote, rdpub, 32) == 0, "binds");
	derp_in(&via);
	want(binds(&dm) == 0, "the same again");

	dm.dm_type = DISCO_BIND_CHALLENGE;
	memset(dm.dm_challenge, 9, sizeof(dm.dm_challenge));
	dm.dm_generation++;
	relay_out(&ends[2], ends[2].e_shared, 1, &dm);
	want(end_recv(&ends[2]) == -1, "of another generation");
	dm.dm_generation--;
	relay_out(&ends[2], ends[2].e_shared, 0, &dm);
	want(end_recv(&ends[2]) == -1, "not as control");
	relay_out(&ends[2], ends[2].e_shared, 1, &dm);
	want(end_recv(&ends[2]) == 0, "no answer");
	opened(&ends[2], DISCO_BIND_ANSWER, &dm);
	want(dm.dm_challenge[31] == 9, "the challenge in it");
	want(p->p_path == NULL || p->p_path->pa_best.a_af == 0, "no path yet");
	pinged();
	want(p->p_path->pa_best.a_vni == VNI &&
	    !path_trusted(p->p_path, os_now()), "a path, maybe");
	pinged();
	want(ngot == GENEVE_HDR_LEN + PATH_FULL, "a ping of full size");
	want(path_trusted(p->p_path, os_now()) &&
	    p->p_path->pa_best.a_vni == VNI, "the path by the relay");

	/* WireGuard goes there, under a header. */
	peer_deaf = 1;
	packet(pkt, 1, 2, 80, sizeof(pkt));
	tun_in(pkt, sizeof(pkt));
	turn();
	want(end_recv(&ends[2]) == 0 && geneve_parse(got, ngot, &g) == 0 &&
	    g.g_proto == GENEVE_PROTO_WG && g.g_vni == VNI && !g.g_control &&
	    wg_classify(got + GENEVE_HDR_LEN, ngot - GENEVE_HDR_LEN) ==
	    WG_MSG_INITIATION, "WireGuard by the relay");
}

int
main(void)
{
	log_init(1, "t_netd_place");
	stub_derp_relay(RELAY, derp_take);
	setup();
	own_endpoint();
	end_make(&ends[0], rdpriv, rdpub);	/* the peer itself */
	end_make(&ends[1], NULL, NULL);
	end_make(&ends[2], NULL, NULL);
	netmap(NM_RELAY);
	test_alloc();
	test_bind();
	test_move();
	test_server_junk();
	test_bound();
	test_client();
	return 0;
}
