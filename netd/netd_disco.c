/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Disco: pings and pongs with peers, and the box keys for them.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "disco.h"
#include "hardnat.h"
#include "keys.h"
#include "netd.h"
#include "pathmtu.h"

#define PLAIN_MAX	9216		/* a ping of 9000 bytes */
#define QUEUE_MAX	4		/* packets that wait for a box key */
#define QUEUE_LEN	768		/* CallMeMaybe with 32 endpoints */
#define KEY_RETRY	(2 * NSEC)
#define EARLY_GAP	(50 * MSEC)
#define EARLY_RELAY	4		/* tries before a peer relay's */
#define PINGS_MAX	64		/* sent in one go */

struct disco_wait {
	struct addr	 dw_src;
	uint64_t	 dw_via;	/* peer that a relay named, or 0 */
	size_t		 dw_len;
	uint8_t		 dw_pkt[QUEUE_LEN];
};

/* Shared by all peers with that disco key. */
struct disco_key {
	uint8_t			 dk_shared[MSG_KEY_LEN];
	int64_t			 dk_asked;
	unsigned int		 dk_refs;
	int			 dk_ready;
	unsigned int		 dk_nwait;
	struct disco_wait	*dk_wait;
};

static unsigned int	 waiting;	/* peers with p_call */

static int	 able(const struct peer *);
static struct disco_key	*dkey_get(struct peer *, int64_t);
static void	 dkey_ask(struct peer *, int64_t);
static int	 disco_send(struct peer *, const struct disco_msg *,
		    const struct addr *);
static void	 ping_make(struct disco_msg *);
static int	 disco_ping(struct peer *, const struct addr *,
		    enum ping_why, int64_t);
static int	 disco_ping_how(struct peer *, const struct addr *,
		    enum ping_why, uint32_t, int64_t);
static void	 disco_cut(const struct addr *, int);
static void	 disco_sizes(struct peer *, int64_t);
static int	 disco_ping_relay(struct peer *, enum ping_why, int64_t);
static void	 disco_call(struct peer *, int64_t);
static void	 disco_call_out(struct peer *);
static void	 disco_pong_out(struct peer *, const struct disco_msg *,
		    const struct addr *);
static void	 disco_ping_in(struct peer *, const struct disco_msg *,
		    const struct addr *, struct peer *, int64_t);
static struct peer *disco_who(struct peer *, const struct disco_msg *);
static void	 disco_called(struct peer *, int64_t);
static void	 disco_pong_in(struct peer *, const struct disco_msg *,
		    int64_t);
static void	 disco_call_in(struct peer *, const struct disco_msg *,
		    int64_t);
static void	 disco_relayed_in(struct peer *, const struct disco_msg *,
		    int64_t);
static void	 disco_doubt(struct peer *, int64_t);
static void	 disco_heartbeat(struct peer *, int64_t);
static void	 disco_queue(struct disco_key *, const uint8_t *, size_t,
		    const struct addr *, const struct peer *);

/* Can there be any disco with this peer? */
static int
able(const struct peer *p)
{
	return (p->p_flags & PEER_WGONLY) == 0 && nd.n_have_key &&
	    !key_is_zero(p->p_disco, sizeof(p->p_disco));
}

void
disco_key_release(struct peer *p)
{
	struct disco_key	*dk = p->p_dkey;

	if (dk == NULL)
		return;
	p->p_dkey = NULL;
	if (--dk->dk_refs > 0)
		return;
	free(dk->dk_wait);
	freezero(dk, sizeof(*dk));
}

static void
dkey_ask(struct peer *p, int64_t now)
{
	struct msg_key	 m;

	p->p_dkey->dk_asked = now;
	memcpy(m.key, p->p_disco, sizeof(m.key));
	(void)chan_compose(&nd.n_cryptod, IMSG_DISCO_KEY_REQ, 0, -1, &m,
	    sizeof(m));
}

/* The key of this peer; asked for if it is not there yet. */
static struct disco_key *
dkey_get(struct peer *p, int64_t now)
{
	struct peer	*q;

	if (p->p_dkey == NULL) {
		for (q = peer_find_disco(p->p_disco); q != NULL;
		    q = peer_next_disco(q))
			if (q->p_dkey != NULL)
				break;
		if (q != NULL)
			p->p_dkey = q->p_dkey;
		else if ((p->p_dkey = calloc(1, sizeof(*p->p_dkey))) == NULL)
			fatal(NULL);
		p->p_dkey->dk_refs++;
	}
	if (!p->p_dkey->dk_ready && (p->p_dkey->dk_asked == 0 ||
	    now - p->p_dkey->dk_asked >= KEY_RETRY))
		dkey_ask(p, now);
	return p->p_dkey;
}

int
disco_key_answer(const struct msg_disco_key *m)
{
	struct disco_wait	 wait[QUEUE_MAX];
	struct disco_key	*dk;
	struct peer		*p;
	int64_t			 now = os_now();
	unsigned int		 i, n;

	if (relay_key_answer(m))
		relayc_key(m->pub, now);
	for (p = peer_find_disco(m->pub); p != NULL; p = peer_next_disco(p)) {
		if ((dk = p->p_dkey) == NULL || m->error != MSG_OK)
			continue;
		if (!dk->dk_ready) {
			memcpy(dk->dk_shared, m->shared,
			    sizeof(dk->dk_shared));
			dk->dk_ready = 1;
		}
		n = dk->dk_nwait;
		if (n > 0)
			memcpy(wait, dk->dk_wait, n * sizeof(wait[0]));
		free(dk->dk_wait);
		dk->dk_wait = NULL;
		dk->dk_nwait = 0;
		for (i = 0; i < n; i++)
			disco_input(wait[i].dw_pkt, wait[i].dw_len,
			    &wait[i].dw_src, peer_find(wait[i].dw_via), now);
		if (p->p_path != NULL && p->p_path->pa_external != 0)
			disco_discover(p, now);
	}
	return 0;
}

/* A new disco key of our own voids what was made with the old one. */
void
disco_set_key(const uint8_t *key)
{
	struct peer	*p;

	if (memcmp(nd.n_disco, key, MSG_KEY_LEN) == 0)
		return;
	memcpy(nd.n_disco, key, MSG_KEY_LEN);
	relay_key_forget();
	for (p = peer_first(); p != NULL; p = peer_next(p))
		disco_key_release(p);
}

/* Questions that an older cryptod did not answer, or could not yet. */
void
disco_ask_again(void)
{
	struct peer	*p;
	int64_t		 now = os_now();

	for (p = peer_first(); p != NULL; p = peer_next(p))
		if (p->p_dkey != NULL && !p->p_dkey->dk_ready)
			dkey_ask(p, now);
}

/* To an address, there to a peer relay, or by a DERP relay. */
static int
disco_send(struct peer *p, const struct disco_msg *dm, const struct addr *to)
{
	struct geneve	 g = { to->a_vni, GENEVE_PROTO_DISCO, 0 };
	uint8_t		 plain[PLAIN_MAX], nonce[DISCO_NONCE_LEN];
	uint8_t		 buf[GENEVE_HDR_LEN + PLAIN_MAX + DISCO_OVERHEAD];
	uint8_t		*pkt = buf + GENEVE_HDR_LEN;
	ssize_t		 n;

	if (p->p_dkey == NULL || !p->p_dkey->dk_ready)
		return -1;
	if ((n = disco_build(dm, plain, sizeof(plain))) == -1)
		return -1;
	arc4random_buf(nonce, sizeof(nonce));
	n = disco_seal(p->p_dkey->dk_shared, nd.n_disco, nonce, plain, n, pkt,
	    sizeof(buf) - GENEVE_HDR_LEN);
	if (n == -1)
		return -1;
	if (to->a_af == ADDR_DERP)
		return derp_send(to->a_port, p->p_key, pkt, n);
	if (to->a_vni == 0)
		return udp_send(to, pkt, n);
	if (geneve_build(buf, &g) == -1)
		return -1;
	return udp_send(to, buf, GENEVE_HDR_LEN + n);
}

static void
ping_make(struct disco_msg *dm)
{
	memset(dm, 0, sizeof(*dm));
	dm->dm_type = DISCO_PING;
	arc4random_buf(dm->dm_txid, sizeof(dm->dm_txid));
	memcpy(dm->dm_nodekey, nd.n_key, sizeof(dm->dm_nodekey));
	dm->dm_has_nodekey = 1;
}

void
disco_probe(struct peer *p, const struct addr *to)
{
	struct disco_msg	 dm;

	if (!able(p) || !dkey_get(p, os_now())->dk_ready)
		return;
	ping_make(&dm);
	(void)disco_send(p, &dm, to);
}

static int
disco_ping_how(struct peer *p, const struct addr *to, enum ping_why why,
    uint32_t how, int64_t now)
{
	struct disco_msg	 dm;
	int			 fd, ret;

	ping_make(&dm);
	if (PING_LEN(how) > DISCO_PING_LEN)
		dm.dm_padding = PING_LEN(how) - DISCO_PING_LEN;
	path_ping_sent(p->p_path, to, dm.dm_txid, why, how, now);
	if ((how & PING_DF) == 0)
		return disco_send(p, &dm, to);
	fd = nd.n_udp[to->a_af == AF_WIRE_INET6].u_fd;
	if (os_sock_frag(fd, to->a_af, OS_FRAG_NEVER) == -1)
		return -1;
	ret = disco_send(p, &dm, to);
	(void)os_sock_frag(fd, to->a_af, OS_FRAG_ON_WAY);
	return ret;
}

static int
disco_ping(struct peer *p, const struct addr *to, enum ping_why why,
    int64_t now)
{
	return disco_ping_how(p, to, why, 0, now);
}

/* The parent tells the system, which sends. */
static void
disco_cut(const struct addr *to, int on)
{
	struct msg_endpoint	 ep;
	char			 text[ADDR_TEXT];

	memset(&ep, 0, sizeof(ep));
	ep.af = to->a_af;
	ep.port = to->a_port;
	memcpy(ep.addr, to->a_ip, sizeof(ep.addr));
	log_info("%s: datagrams are %s", addr_print(to, text),
	    on ? "cut at 1280 bytes" : "not cut any more");
	(void)chan_compose(proc_parent(), IMSG_PATH_NARROW, on, -1, &ep,
	    sizeof(ep));
}

/* Pings that find out what the peer's addresses carry. */
static void
disco_sizes(struct peer *p, int64_t now)
{
	struct size_ping	 sp[PINGS_MAX];
	size_t			 i, n;

	if (!able(p) || !dkey_get(p, now)->dk_ready)
		return;
	n = pathmtu_due(p->p_path, now, sp, nitems(sp));
	if (nd.n_tun.t_mtu > 1280)
		n += pathmtu_grow(p->p_path, nd.n_tun.t_mtu, now, sp + n,
		    nitems(sp) - n);
	for (i = 0; i < n; i++) {
		if ((sp[i].sp_how & (SIZE_CUT | SIZE_WHOLE)) != 0)
			disco_cut(&sp[i].sp_addr,
			    (sp[i].sp_how & SIZE_CUT) != 0);
		else
			(void)disco_ping_how(p, &sp[i].sp_addr, PING_SIZE,
			    sp[i].sp_how, now);
	}
	peer_soon(p, pathmtu_next(p->p_path));
}

void
disco_ping_at(struct peer *p, const struct addr *to, int64_t now)
{
	if (able(p) && dkey_get(p, now)->dk_ready)
		(void)disco_ping(p, to, PING_DISCOVER, now);
}

int
disco_by_relay(struct peer *p, const struct disco_msg *dm)
{
	struct addr	 to;
	uint16_t	 region;
	int		 up;

	if (!able(p) || !dkey_get(p, os_now())->dk_ready ||
	    (region = peer_relay(p, &up)) == 0)
		return -1;
	addr_from_derp(&to, region);
	return disco_send(p, dm, &to);
}

/* Over the relay that is used for it, if any. */
static int
disco_ping_relay(struct peer *p, enum ping_why why, int64_t now)
{
	struct addr	 to;
	uint16_t	 region;
	int		 up;

	if ((region = peer_relay(p, &up)) == 0)
		return -1;
	addr_from_derp(&to, region);
	return disco_ping(p, &to, why, now);
}

static void
disco_call_out(struct peer *p)
{
	struct disco_msg	 dm;
	struct disco_addr	 da;
	struct msg_endpoint	 ep[PATH_MAXCALL];
	struct addr		 to;
	uint8_t			 wire[PATH_MAXCALL][DISCO_ADDR_LEN];
	size_t			 i, n;
	uint16_t		 region;
	int			 up;

	if ((region = peer_relay(p, &up)) == 0)
		return;
	n = endpoints_get(ep, nitems(ep));
	for (i = 0; i < n; i++) {
		memset(&da, 0, sizeof(da));
		da.da_v4 = ep[i].af == AF_WIRE_INET;
		da.da_port = ep[i].port;
		memcpy(da.da_addr, ep[i].addr, da.da_v4 ? 4 : 16);
		disco_addr_put(&da, wire[i]);
	}
	memset(&dm, 0, sizeof(dm));
	dm.dm_type = DISCO_CALL_ME_MAYBE;
	dm.dm_addrs = wire[0];
	dm.dm_naddrs = n;
	addr_from_derp(&to, region);
	if (n > 0)
		(void)disco_send(p, &dm, &to);
}

/*
 * Pings have opened our own firewall; now the peer is asked for its own. A
 * list of endpoints that is old may still be right: it goes at once, and
 * again when it has been made anew.
 */
static void
disco_call(struct peer *p, int64_t now)
{
	int	 up;

	if (peer_relay(p, &up) == 0 || !path_may_call(p->p_path, now))
		return;
	disco_call_out(p);
	if (endpoints_fresh(now))
		return;
	if (!p->p_call) {
		p->p_call = 1;
		waiting++;
	}
	endpoints_refresh(now);
}

void
disco_endpoints(int64_t now)
{
	struct peer	*p;

	if (waiting == 0)
		return;
	waiting = 0;
	for (p = peer_first(); p != NULL; p = peer_next(p)) {
		if (!p->p_call)
			continue;
		p->p_call = 0;
		if (able(p) && p->p_path != NULL &&
		    !path_trusted(p->p_path, now))
			disco_call_out(p);
	}
}

/* Whoever is being looked for can look at the new addresses at once. */
void
disco_endpoints_changed(int64_t now)
{
	struct peer	*p;

	for (p = peer_first(); p != NULL; p = peer_next(p)) {
		if (p->p_path == NULL || p->p_path->pa_external == 0 ||
		    now - p->p_path->pa_external >= PATH_ACTIVE ||
		    path_trusted(p->p_path, now) || !able(p))
			continue;
		disco_call_out(p);
	}
}

void
disco_discover(struct peer *p, int64_t now)
{
	struct addr	 to[PINGS_MAX];
	struct path	*pa;
	int64_t		 gap = PATH_PING_GAP;
	size_t		 i, n;
	int		 early;

	if (!able(p))
		return;
	pa = peer_path(p);
	if (!dkey_get(p, now)->dk_ready || pa->pa_early_next != 0)
		return;
	early = pa->pa_early < PATH_EARLY && !path_trusted(pa, now);
	if (early)
		gap = EARLY_GAP;
	else if (!path_want_full(pa, now))
		return;
	n = path_pick(pa, now, gap, to, nitems(to));
	if (n == 0 && !early && pa->pa_ncand != 0)
		return;
	for (i = 0; i < n; i++)
		(void)disco_ping(p, &to[i], PING_DISCOVER, now);
	if (n > 0)
		pa->pa_full_ping = now;
	if (early) {
		pa->pa_early_next = now + path_early_delay(pa);
		pa->pa_early++;
	}
	if (n > 0 || pa->pa_ncand == 0)
		disco_call(p, now);
	peer_rearm(p);
}

/* The best path owes a pong: ask again, and look for another one. */
static void
disco_doubt(struct peer *p, int64_t now)
{
	struct path	*pa = p->p_path;

	if (pa->pa_external == 0 || now - pa->pa_external >= PATH_ACTIVE)
		return;
	if (pa->pa_best.a_vni != 0 && dkey_get(p, now)->dk_ready)
		(void)disco_ping(p, &pa->pa_best, PING_HEARTBEAT, now);
	endpoints_doubt(now);
	disco_discover(p, now);
}

static void
disco_heartbeat(struct peer *p, int64_t now)
{
	struct path	*pa = p->p_path;

	if (now - pa->pa_external >= PATH_ACTIVE) {
		pa->pa_heartbeat = 0;
		return;
	}
	pa->pa_heartbeat = now + PATH_HEARTBEAT;
	if (dkey_get(p, now)->dk_ready && pa->pa_best.a_af != 0 &&
	    !(nd.n_self.flags & SELF_SILENT_DISCO && path_trusted(pa, now)))
		(void)disco_ping_how(p, &pa->pa_best, PING_HEARTBEAT,
		    pathmtu_heartbeat(pa, p->p_tx, now), now);
	if (path_want_full(pa, now))
		disco_discover(p, now);
	relayc_search(p, now);
	hardnat_consider(p, now);
}

void
disco_timer(struct peer *p, int64_t now)
{
	struct path	*pa = p->p_path;
	int		 doubt;

	if (pa == NULL)
		return;
	doubt = path_expire(pa, now);
	if (!able(p)) {
		pa->pa_heartbeat = pa->pa_early_next = 0;
		return;
	}
	disco_sizes(p, now);
	if (doubt)
		disco_doubt(p, now);
	if (pa->pa_early_next != 0 && pa->pa_early_next <= now) {
		pa->pa_early_next = 0;
		if (!path_trusted(pa, now)) {
			disco_discover(p, now);
			hs_blind(p, now);
			if (pa->pa_early >= EARLY_RELAY)
				relayc_search(p, now);
		}
	}
	if (pa->pa_heartbeat != 0 && pa->pa_heartbeat <= now)
		disco_heartbeat(p, now);
}

int
disco_ping_cli(struct peer *p, int64_t now)
{
	struct addr	 to[PINGS_MAX];
	struct path	*pa;
	size_t		 i, n;

	if (!able(p))
		return -1;
	pa = peer_path(p);
	path_external(pa, now);
	if (!dkey_get(p, now)->dk_ready)
		return 0;		/* the next try will find it */
	if (path_trusted(pa, now))
		(void)disco_ping(p, &pa->pa_best, PING_CLI, now);
	else
		(void)disco_ping_relay(p, PING_CLI, now);
	if (!path_trusted(pa, now) || pa->pa_best.a_vni != 0) {
		n = path_pick(pa, now, EARLY_GAP, to, nitems(to));
		for (i = 0; i < n; i++)
			(void)disco_ping(p, &to[i], PING_CLI, now);
		disco_call(p, now);
		relayc_search(p, now);
	}
	peer_rearm(p);
	return 0;
}

/* Which of the nodes with that disco key sent this ping? NULL: no telling. */
static struct peer *
disco_who(struct peer *first, const struct disco_msg *dm)
{
	struct peer	*p;

	for (p = first; p != NULL; p = peer_next_disco(p))
		if (dm->dm_has_nodekey &&
		    memcmp(p->p_key, dm->dm_nodekey, MSG_KEY_LEN) == 0)
			return p;
	return peer_next_disco(first) == NULL ? first : NULL;
}

/* Back to where the ping came from, and what that was. */
static void
disco_pong_out(struct peer *p, const struct disco_msg *ping,
    const struct addr *src)
{
	static const uint8_t	 derp[4] = { 127, 3, 3, 40 };
	struct disco_msg	 pong;

	memset(&pong, 0, sizeof(pong));
	pong.dm_type = DISCO_PONG;
	memcpy(pong.dm_txid, ping->dm_txid, sizeof(pong.dm_txid));
	memcpy(pong.dm_src.da_addr, src->a_ip, sizeof(src->a_ip));
	if (src->a_af == ADDR_DERP)
		memcpy(pong.dm_src.da_addr, derp, sizeof(derp));
	pong.dm_src.da_port = src->a_port;
	pong.dm_src.da_v4 = src->a_af != AF_WIRE_INET6;
	if (os_has_ecn(src->a_af))
		pong.dm_caps = DISCO_CAP_ECN;
	(void)disco_send(p, &pong, src);
}

/* What comes by a relay, DERP or peer, is no candidate for a direct path. */
static void
disco_ping_in(struct peer *first, const struct disco_msg *dm,
    const struct addr *src, struct peer *via, int64_t now)
{
	struct peer	*p;
	struct path	*pa;
	int		 repeat = 1;

	if (src->a_af == ADDR_DERP || src->a_vni != 0)
		repeat = 0;
	for (p = first; p != NULL && (src->a_af == AF_WIRE_INET ||
	    src->a_af == AF_WIRE_INET6) && src->a_vni == 0;
	    p = peer_next_disco(p)) {
		if (!path_pinged(peer_path(p), src, dm->dm_txid, now))
			repeat = 0;
		peer_soon(p, now + PATH_ACTIVE);
	}
	if (repeat)
		return;
	disco_pong_out(via != NULL ? via : first, dm, src);
	for (p = first; src->a_vni != 0 && p != NULL; p = peer_next_disco(p))
		relayc_pinged(p, src, now);

	/* Somebody waits for a path to it, and here may be one. */
	if (via == NULL && (via = disco_who(first, dm)) == NULL)
		return;
	if (src->a_sock != 0)
		hardnat_pinged(via, src, now);
	if ((pa = via->p_path) != NULL && pa->pa_external != 0 &&
	    now - pa->pa_external < PATH_ACTIVE && !path_trusted(pa, now) &&
	    src->a_af != ADDR_DERP) {
		pa->pa_early_next = 0;
		disco_discover(via, now);
	}
}

/*
 * The peer called, and now we have a path. Its own first pings met a closed
 * firewall, and real clients try again after 5 s only: a call makes them.
 */
static void
disco_called(struct peer *p, int64_t now)
{
	struct path	*pa = p->p_path;

	if (pa->pa_called != 0 && now - pa->pa_called < PATH_PING_TIMEOUT)
		disco_call_out(p);
	pa->pa_called = 0;
}

static void
disco_pong_in(struct peer *first, const struct disco_msg *dm, int64_t now)
{
	struct path_ping	 ping;
	struct peer		*p;
	int64_t			 latency;
	int			 had;

	for (p = first; p != NULL; p = peer_next_disco(p)) {
		if (p->p_path == NULL)
			continue;
		had = path_trusted(p->p_path, now);
		if (path_pong(p->p_path, dm->dm_txid, now, &ping,
		    &latency) == -1)
			continue;
		if (ping.pp_addr.a_af != ADDR_DERP)
			p->p_path->pa_ecn[ping.pp_addr.a_af == AF_WIRE_INET6] =
			    dm->dm_caps & DISCO_CAP_ECN;
		if (!had && path_trusted(p->p_path, now))
			disco_called(p, now);
		if (ping.pp_addr.a_vni != 0)
			(void)relayc_pong(p, &ping, latency, now);
		disco_sizes(p, now);
		hs_path_up(p, now);
		ping_disco_pong(p, &ping.pp_addr, latency);
	}
}

/*
 * The peer has pinged us at all that we have, and its firewall is open now:
 * ping it, without calling back. If it looks for another path since ours
 * carries full packets no more, that may be so this way, too.
 */
static void
disco_call_in(struct peer *p, const struct disco_msg *dm, int64_t now)
{
	struct disco_addr	 da;
	struct addr		 a[PATH_MAXCALL], to[PINGS_MAX];
	struct path		*pa = peer_path(p);
	size_t			 i, n = 0;

	for (i = 0; i < dm->dm_naddrs && n < nitems(a); i++) {
		disco_addr_get(dm->dm_addrs + i * DISCO_ADDR_LEN, &da);
		memset(&a[n], 0, sizeof(a[n]));
		a[n].a_af = da.da_v4 ? AF_WIRE_INET : AF_WIRE_INET6;
		a[n].a_port = da.da_port;
		memcpy(a[n].a_ip, da.da_addr, sizeof(a[n].a_ip));
		if (addr_usable(&a[n]) &&
		    (da.da_v4 || !addr_is_linklocal(&a[n])))
			n++;
	}
	if (path_call(pa, a, n, now) == -1)
		return;
	pa->pa_called = now;
	if (path_trusted(pa, now) && dkey_get(p, now)->dk_ready)
		(void)disco_ping_how(p, &pa->pa_best, PING_HEARTBEAT,
		    PATH_FULL, now);
	n = path_pick(pa, now, 0, to, nitems(to));
	for (i = 0; i < n; i++)
		(void)disco_ping(p, &to[i], PING_DISCOVER, now);
	peer_soon(p, now + PATH_PING_TIMEOUT);
}

/* What counts only if it came by a DERP relay. */
static void
disco_relayed_in(struct peer *p, const struct disco_msg *dm, int64_t now)
{
	switch (dm->dm_type) {
	case DISCO_CALL_ME_MAYBE:
		disco_call_in(p, dm, now);
		break;
	case DISCO_CALL_ME_MAYBE_VIA:
		relayc_called(p, dm, now);
		break;
	case DISCO_ALLOC_REQUEST:
		relays_asked(p, dm, now);
		break;
	case DISCO_ALLOC_RESPONSE:
		relayc_answer(p, dm, now);
		break;
	case DISCO_HARD_NAT:
		hardnat_in(p, dm, now);
		break;
	default:
		break;
	}
}

/* It waits for the key of its box. */
static void
disco_queue(struct disco_key *dk, const uint8_t *b, size_t len,
    const struct addr *src, const struct peer *via)
{
	struct disco_wait	*dw;

	if (len > QUEUE_LEN || dk->dk_nwait == QUEUE_MAX)
		return;
	if (dk->dk_wait == NULL && (dk->dk_wait = calloc(QUEUE_MAX,
	    sizeof(*dk->dk_wait))) == NULL)
		fatal(NULL);
	dw = &dk->dk_wait[dk->dk_nwait++];
	dw->dw_src = *src;
	dw->dw_via = via == NULL ? 0 : via->p_id;
	dw->dw_len = len;
	memcpy(dw->dw_pkt, b, len);
}

void
disco_input(const uint8_t *b, size_t len, const struct addr *src,
    struct peer *via, int64_t now)
{
	struct disco_msg	 dm;
	struct disco_key	*dk;
	struct peer		*p;
	uint8_t			 plain[PLAIN_MAX];
	ssize_t			 n;

	if ((p = peer_find_disco(disco_sender(b))) == NULL)
		return;
	/* Who speaks by a DERP relay must be who has that disco key. */
	if (src->a_af == ADDR_DERP && (via == NULL ||
	    memcmp(via->p_disco, p->p_disco, MSG_KEY_LEN) != 0))
		return;
	dk = dkey_get(p, now);
	if (!dk->dk_ready) {
		disco_queue(dk, b, len, src, via);
		return;
	}
	n = disco_open(dk->dk_shared, b, len, plain, sizeof(plain));
	if (n == -1 || disco_parse(plain, n, &dm) == -1)
		return;
	if (dm.dm_type == DISCO_PING)
		disco_ping_in(p, &dm, src, via, now);
	else if (dm.dm_type == DISCO_PONG)
		disco_pong_in(p, &dm, now);
	else if (via != NULL)
		disco_relayed_in(via, &dm, now);
}
