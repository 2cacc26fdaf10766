/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * This node as a peer relay: places for pairs of nodes, and what goes to and
 * fro between their two ends (dataplane.md 2.14).
 */

#include <sys/types.h>
#include <sys/endian.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blake2s.h"
#include "disco.h"
#include "netd.h"

#define PLACES_MAX	4096
#define PER_CLIENT	256		/* places that one node is an end of */
#define ADDRS_MAX	16		/* told to clients */
#define BIND_LIFE	(30 * NSEC)
#define STEADY_LIFE	(300 * NSEC)
#define SECRET_LIFE	(120 * NSEC)
#define GC_SECONDS	30
#define BATCH		64
#define PKT_MAX		2048

struct leg {
	uint8_t		 l_disco[MSG_KEY_LEN];
	struct addr	 l_at;		/* bound there; a_af 0: not yet */
	uint32_t	 l_gen;		/* handshake under way, 0: none */
	int64_t		 l_seen;
};

struct place {
	RB_ENTRY(place)	 pl_by_vni;
	RB_ENTRY(place)	 pl_by_pair;
	struct leg	 pl_leg[2];	/* keys in order */
	uint32_t	 pl_vni;
	uint64_t	 pl_lamport;
	int64_t		 pl_made;
	uint64_t	 pl_packets;
};
RB_HEAD(by_vni, place);
RB_HEAD(by_pair, place);

/* Packets of one family on their way out. */
struct out {
	struct mmsghdr		 o_mm[BATCH];
	struct iovec		 o_iov[BATCH];
	struct sockaddr_storage	 o_ss[BATCH];
	unsigned int		 o_n;
};

static struct by_vni	 by_vni = RB_INITIALIZER(&by_vni);
static struct by_pair	 by_pair = RB_INITIALIZER(&by_pair);
static unsigned int	 nplaces;
static uint32_t		 last_vni;
static uint64_t		 lamport;
static struct udp_sock	 sock[2] = {
	{ .u_fd = -1, .u_af = AF_WIRE_INET },
	{ .u_fd = -1, .u_af = AF_WIRE_INET6 }
};
static uint8_t		 secret[2][32];	/* now, before */
static int64_t		 secret_time;	/* 0: none yet */
static uint8_t		 buf[BATCH][PKT_MAX];
static struct out	 out[2];
static struct event	 ev_gc;
static uint64_t		 forwarded, dropped;

static int	 vni_cmp(struct place *, struct place *);
static int	 pair_cmp(struct place *, struct place *);
static void	 relays_read_cb(int, short, void *);
static void	 relays_gc_cb(int, short, void *);

LOCKED_CB(relays_read_cb)
LOCKED_CB(relays_gc_cb)

RB_PROTOTYPE(by_vni, place, pl_by_vni, vni_cmp);
RB_GENERATE(by_vni, place, pl_by_vni, vni_cmp);
RB_PROTOTYPE(by_pair, place, pl_by_pair, pair_cmp);
RB_GENERATE(by_pair, place, pl_by_pair, pair_cmp);

static int
vni_cmp(struct place *a, struct place *b)
{
	return a->pl_vni < b->pl_vni ? -1 : a->pl_vni > b->pl_vni;
}

static int
pair_cmp(struct place *a, struct place *b)
{
	int	 c;

	c = memcmp(a->pl_leg[0].l_disco, b->pl_leg[0].l_disco, MSG_KEY_LEN);
	return c != 0 ? c : memcmp(a->pl_leg[1].l_disco,
	    b->pl_leg[1].l_disco, MSG_KEY_LEN);
}

/* --- sockets ------------------------------------------------------------- */

static void
sock_close(struct udp_sock *u)
{
	if (u->u_fd == -1)
		return;
	event_del(&u->u_ev);
	close(u->u_fd);
	u->u_fd = -1;
	u->u_port = 0;
}

void
relays_set(int fd, const struct msg_udp *m)
{
	struct udp_sock	*u = &sock[m->af == AF_WIRE_INET6];

	sock_close(u);
	u->u_fd = fd;
	u->u_port = m->port;
	event_set(&u->u_ev, fd, EV_READ | EV_PERSIST, relays_read_cb_locked, u);
	if (event_add(&u->u_ev, NULL) == -1)
		fatal("event_add");
}

static int
allowed(void)
{
	return (sock[0].u_fd != -1 || sock[1].u_fd != -1) &&
	    (nd.n_self.flags & SELF_NO_RELAY_SERVER) == 0;
}

/* --- places -------------------------------------------------------------- */

static void
place_delete(struct place *pl)
{
	RB_REMOVE(by_vni, &by_vni, pl);
	RB_REMOVE(by_pair, &by_pair, pl);
	nplaces--;
	free(pl);
}

void
relays_stop(void)
{
	struct place	*pl;

	sock_close(&sock[0]);
	sock_close(&sock[1]);
	while ((pl = RB_MIN(by_vni, &by_vni)) != NULL)
		place_delete(pl);
}

static void
gc_arm(void)
{
	static int	 ready;
	struct timeval	 tv = { GC_SECONDS, 0 };

	if (!ready) {
		evtimer_set(&ev_gc, relays_gc_cb_locked, NULL);
		ready = 1;
	}
	if (nplaces > 0 && !evtimer_pending(&ev_gc, NULL))
		evtimer_add(&ev_gc, &tv);
}

static int
place_over(const struct place *pl, int64_t now)
{
	if (pl->pl_leg[0].l_at.a_af == 0 || pl->pl_leg[1].l_at.a_af == 0)
		return now - pl->pl_made >= BIND_LIFE;
	return now - pl->pl_leg[0].l_seen >= STEADY_LIFE ||
	    now - pl->pl_leg[1].l_seen >= STEADY_LIFE;
}

static void
relays_gc_cb(int fd, short events, void *arg)
{
	struct place	*pl, *next;
	int64_t		 now = os_now();

	for (pl = RB_MIN(by_vni, &by_vni); pl != NULL; pl = next) {
		next = RB_NEXT(by_vni, &by_vni, pl);
		if (place_over(pl, now))
			place_delete(pl);
	}
	gc_arm();
}

/* One that is free, in turn; 0: there is none. */
static uint32_t
vni_new(void)
{
	struct place	 key;
	uint32_t	 i;

	for (i = 0; i <= PLACES_MAX; i++) {
		last_vni = last_vni == GENEVE_VNI_MAX ? 1 : last_vni + 1;
		key.pl_vni = last_vni;
		if (RB_FIND(by_vni, &by_vni, &key) == NULL)
			return last_vni;
	}
	return 0;
}

static unsigned int
places_of(const uint8_t *disco)
{
	struct place	*pl;
	unsigned int	 n = 0;

	RB_FOREACH(pl, by_vni, &by_vni)
		n += memcmp(pl->pl_leg[0].l_disco, disco, MSG_KEY_LEN) == 0 ||
		    memcmp(pl->pl_leg[1].l_disco, disco, MSG_KEY_LEN) == 0;
	return n;
}

/* The place of that pair, as it is or new; NULL: there are too many. */
static struct place *
place_get(const uint8_t pair[2][DISCO_KEY_LEN], const uint8_t *asker,
    int64_t now)
{
	struct place	 key, *pl;
	int		 swap = memcmp(pair[0], pair[1], DISCO_KEY_LEN) > 0;

	memcpy(key.pl_leg[0].l_disco, pair[swap], DISCO_KEY_LEN);
	memcpy(key.pl_leg[1].l_disco, pair[!swap], DISCO_KEY_LEN);
	if ((pl = RB_FIND(by_pair, &by_pair, &key)) != NULL) {
		if (!place_over(pl, now))
			return pl;
		place_delete(pl);
	}
	if (nplaces >= PLACES_MAX || places_of(asker) >= PER_CLIENT ||
	    (pl = calloc(1, sizeof(*pl))) == NULL)
		return NULL;
	memcpy(pl->pl_leg[0].l_disco, pair[swap], DISCO_KEY_LEN);
	memcpy(pl->pl_leg[1].l_disco, pair[!swap], DISCO_KEY_LEN);
	pl->pl_vni = vni_new();
	pl->pl_lamport = ++lamport;
	pl->pl_made = now;
	RB_INSERT(by_vni, &by_vni, pl);
	RB_INSERT(by_pair, &by_pair, pl);
	nplaces++;
	gc_arm();
	return pl;
}

/* Our addresses, with the relay's ports: wire forms; how many. */
static size_t
own_addrs(uint8_t wire[ADDRS_MAX][DISCO_ADDR_LEN])
{
	struct msg_endpoint	 ep[64];
	struct disco_addr	 da[ADDRS_MAX];
	size_t			 i, k, m, n = 0;

	m = endpoints_get(ep, nitems(ep));
	for (i = 0; i < m && n < ADDRS_MAX; i++) {
		memset(&da[n], 0, sizeof(da[n]));
		da[n].da_v4 = ep[i].af == AF_WIRE_INET;
		da[n].da_port = sock[!da[n].da_v4].u_port;
		memcpy(da[n].da_addr, ep[i].addr, da[n].da_v4 ? 4 : 16);
		for (k = 0; k < n; k++)
			if (memcmp(&da[k], &da[n], sizeof(da[k])) == 0)
				break;
		if (k < n || da[n].da_port == 0)
			continue;
		disco_addr_put(&da[n], wire[n]);
		n++;
	}
	return n;
}

void
relays_asked(struct peer *p, const struct disco_msg *req, int64_t now)
{
	struct disco_msg	 dm;
	struct disco_relay	*dr = &dm.dm_relay;
	struct place		*pl;
	uint8_t			 wire[ADDRS_MAX][DISCO_ADDR_LEN];

	memset(&dm, 0, sizeof(dm));
	if (!allowed() || !netmap_relay(p, RELAY_CLIENTS) ||
	    req->dm_version != 0 || req->dm_generation == 0 ||
	    memcmp(req->dm_relay.dr_client[0], req->dm_relay.dr_client[1],
	    DISCO_KEY_LEN) == 0 || (memcmp(req->dm_relay.dr_client[0],
	    p->p_disco, DISCO_KEY_LEN) != 0 &&
	    memcmp(req->dm_relay.dr_client[1], p->p_disco,
	    DISCO_KEY_LEN) != 0) || (dm.dm_naddrs = own_addrs(wire)) == 0 ||
	    (pl = place_get(req->dm_relay.dr_client, p->p_disco,
	    now)) == NULL)
		return;
	(void)relay_key_want(pl->pl_leg[0].l_disco, now);
	(void)relay_key_want(pl->pl_leg[1].l_disco, now);
	dm.dm_type = DISCO_ALLOC_RESPONSE;
	dm.dm_generation = req->dm_generation;
	dm.dm_addrs = wire[0];
	memcpy(dr->dr_server, nd.n_disco, DISCO_KEY_LEN);
	memcpy(dr->dr_client[0], pl->pl_leg[0].l_disco, DISCO_KEY_LEN);
	memcpy(dr->dr_client[1], pl->pl_leg[1].l_disco, DISCO_KEY_LEN);
	dr->dr_lamport = pl->pl_lamport;
	dr->dr_vni = pl->pl_vni;
	dr->dr_bind_ns = BIND_LIFE;
	dr->dr_steady_ns = STEADY_LIFE;
	(void)disco_by_relay(p, &dm);
}

/* --- binding ------------------------------------------------------------- */

/* A new secret in time; the one before is still good. */
static void
secret_turn(int64_t now)
{
	if (secret_time != 0 && now - secret_time < SECRET_LIFE)
		return;
	memcpy(secret[1], secret[0], sizeof(secret[1]));
	if (secret_time == 0 || now - secret_time >= 2 * SECRET_LIFE)
		arc4random_buf(secret[1], sizeof(secret[1]));
	arc4random_buf(secret[0], sizeof(secret[0]));
	secret_time = now;
}

/* What only someone at that address can know: two halves of 16 bytes. */
static int
challenge(const uint8_t *key, const struct disco_msg *dm,
    const struct addr *src, uint8_t mac[DISCO_CHALLENGE_LEN])
{
	uint8_t	 in[1 + 8 + DISCO_KEY_LEN + 18];
	int	 half;

	be32enc(in + 1, dm->dm_vni);
	be32enc(in + 5, dm->dm_generation);
	memcpy(in + 9, dm->dm_remote, DISCO_KEY_LEN);
	memcpy(in + 9 + DISCO_KEY_LEN, src->a_ip, 16);
	be16enc(in + 25 + DISCO_KEY_LEN, src->a_port);
	for (half = 0; half < 2; half++) {
		in[0] = half;
		if (b2s_mac(mac + half * B2S_MAC_LEN, key, sizeof(secret[0]),
		    in, sizeof(in)) == -1)
			return -1;
	}
	return 0;
}

static void
leg_bind(struct place *pl, struct leg *leg, struct disco_msg *dm,
    const struct addr *src)
{
	struct sockaddr_storage	 ss;
	uint8_t			 pkt[512];
	socklen_t		 slen;
	ssize_t			 n;

	if (dm->dm_generation == 0 ||
	    challenge(secret[0], dm, src, dm->dm_challenge) == -1)
		return;
	leg->l_gen = dm->dm_generation;
	dm->dm_type = DISCO_BIND_CHALLENGE;
	if ((n = relay_seal(pkt, sizeof(pkt), leg->l_disco, dm)) == -1)
		return;
	slen = addr_to_ss(src, &ss);
	(void)sendto(sock[src->a_af == AF_WIRE_INET6].u_fd, pkt, n,
	    MSG_DONTWAIT, (struct sockaddr *)&ss, slen);
}

static void
leg_answer(struct leg *leg, const struct disco_msg *dm,
    const struct addr *src, int64_t now)
{
	uint8_t	 mac[DISCO_CHALLENGE_LEN];
	int	 i;

	if (leg->l_gen == 0 || leg->l_gen != dm->dm_generation)
		return;
	for (i = 0; i < 2; i++) {
		if (challenge(secret[i], dm, src, mac) == -1 ||
		    os_timingsafe_bcmp(mac, dm->dm_challenge,
		    sizeof(mac)) != 0)
			continue;
		leg->l_at = *src;
		leg->l_seen = now;
		leg->l_gen = 0;
		return;
	}
}

static void
control_in(struct place *pl, const uint8_t *b, size_t len,
    const struct addr *src, int64_t now)
{
	struct disco_msg	 dm;
	struct leg		*leg, *other;

	if (!disco_looks_like(b, len))
		return;
	leg = &pl->pl_leg[0];
	other = &pl->pl_leg[1];
	if (memcmp(other->l_disco, disco_sender(b), MSG_KEY_LEN) == 0) {
		leg = &pl->pl_leg[1];
		other = &pl->pl_leg[0];
	} else if (memcmp(leg->l_disco, disco_sender(b), MSG_KEY_LEN) != 0)
		return;
	if (relay_open(b, len, &dm) == -1 || dm.dm_vni != pl->pl_vni ||
	    memcmp(dm.dm_remote, other->l_disco, MSG_KEY_LEN) != 0)
		return;
	secret_turn(now);
	if (dm.dm_type == DISCO_BIND_ENDPOINT)
		leg_bind(pl, leg, &dm, src);
	else if (dm.dm_type == DISCO_BIND_ANSWER)
		leg_answer(leg, &dm, src, now);
}

/* --- forwarding ---------------------------------------------------------- */

/* To the other end if this is one; NULL: it is not. */
static const struct addr *
forward_to(struct place *pl, const struct addr *src, int64_t now)
{
	int	 i;

	for (i = 0; i < 2; i++)
		if (addr_eq(&pl->pl_leg[i].l_at, src))
			break;
	if (i == 2 || pl->pl_leg[!i].l_at.a_af == 0)
		return NULL;
	pl->pl_leg[i].l_seen = now;
	pl->pl_packets++;
	return &pl->pl_leg[!i].l_at;
}

static void
out_add(const struct addr *to, uint8_t *p, size_t len)
{
	struct out	*o = &out[to->a_af == AF_WIRE_INET6];
	struct msghdr	*mh = &o->o_mm[o->o_n].msg_hdr;

	memset(mh, 0, sizeof(*mh));
	o->o_iov[o->o_n].iov_base = p;
	o->o_iov[o->o_n].iov_len = len;
	mh->msg_name = &o->o_ss[o->o_n];
	mh->msg_namelen = addr_to_ss(to, &o->o_ss[o->o_n]);
	mh->msg_iov = &o->o_iov[o->o_n];
	mh->msg_iovlen = 1;
	o->o_n++;
}

/* A datagram that cannot go is lost, as it might be on any other way. */
static void
out_flush(void)
{
	unsigned int	 af, done;
	int		 n;

	for (af = 0; af < 2; af++) {
		for (done = 0; done < out[af].o_n; done += n) {
			n = sendmmsg(sock[af].u_fd, out[af].o_mm + done,
			    out[af].o_n - done, MSG_DONTWAIT);
			if (n > 0) {
				forwarded += n;
				continue;
			}
			n = 1;
			dropped++;
		}
		out[af].o_n = 0;
	}
}

static void
relays_packet(uint8_t *p, size_t len, const struct addr *src, int64_t now)
{
	struct geneve		 g;
	struct place		 key, *pl;
	const struct addr	*to;

	if (geneve_parse(p, len, &g) == -1)
		return;
	key.pl_vni = g.g_vni;
	if ((pl = RB_FIND(by_vni, &by_vni, &key)) == NULL)
		return;
	if (g.g_control) {
		if (g.g_proto == GENEVE_PROTO_DISCO)
			control_in(pl, p + GENEVE_HDR_LEN,
			    len - GENEVE_HDR_LEN, src, now);
	} else if ((to = forward_to(pl, src, now)) != NULL)
		out_add(to, p, len);
}

/* One batch: other sockets and the tunnel have their turn before the next. */
static void
relays_read_cb(int fd, short events, void *arg)
{
	struct udp_sock		*u = arg;
	int64_t			 now = os_now();
	struct mmsghdr		 mm[BATCH];
	struct iovec		 iov[BATCH];
	struct sockaddr_storage	 ss[BATCH];
	struct addr		 src;
	int			 i, n;

	memset(mm, 0, sizeof(mm));
	for (i = 0; i < BATCH; i++) {
		iov[i].iov_base = buf[i];
		iov[i].iov_len = sizeof(buf[i]);
		mm[i].msg_hdr.msg_name = &ss[i];
		mm[i].msg_hdr.msg_namelen = sizeof(ss[i]);
		mm[i].msg_hdr.msg_iov = &iov[i];
		mm[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(u->u_fd, mm, BATCH, MSG_DONTWAIT, NULL);
	for (i = 0; i < n; i++)
		if ((mm[i].msg_hdr.msg_flags & MSG_TRUNC) == 0 &&
		    addr_from_ss(&src, &ss[i]) == 0)
			relays_packet(buf[i], mm[i].msg_len, &src, now);
	out_flush();
}

void
relays_debug(void (*say)(uint32_t, const char *, ...), uint32_t id)
{
	struct place	*pl;
	char		 a[ADDR_TEXT], b[ADDR_TEXT];

	if (!allowed()) {
		say(id, "no peer relay");
		return;
	}
	say(id, "peer relay on port %u, %u places, %llu packets forwarded, "
	    "%llu lost", sock[0].u_port, nplaces,
	    (unsigned long long)forwarded, (unsigned long long)dropped);
	RB_FOREACH(pl, by_vni, &by_vni)
		say(id, "place %u: %s, %s, %llu packets", pl->pl_vni,
		    addr_print(&pl->pl_leg[0].l_at, a),
		    addr_print(&pl->pl_leg[1].l_at, b),
		    (unsigned long long)pl->pl_packets);
}
