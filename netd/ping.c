/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Pings for operators, and the messages of the tunnel itself (TSMP).
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netd.h"

#define PINGS_MAX	32
#define PING_RETRY	(500 * MSEC)
#define PING_TIMEOUT	5000		/* ms, if not said */
#define PING_TIMEOUT_MAX 60000
#define TSMP_CAP	144		/* versions that know disco keys */
#define TSMP_PING	'p'
#define TSMP_PONG	'o'
#define TSMP_DISCO	'a'
#define TSMP_REJECT	'!'
#define REJECTS_PER_SEC	100
#define OWN_HOPS	64

/* A ping that an operator waits for, or the control server. */
struct ping {
	TAILQ_ENTRY(ping) pg_entry;
	struct chan	*pg_chan;	/* who asked */
	uint32_t	 pg_id;		/* of the request */
	uint64_t	 pg_peer;
	struct msg_ip	 pg_ip;
	uint32_t	 pg_type;
	uint32_t	 pg_size;
	uint8_t		 pg_token[8];	/* in TSMP and ICMP */
	int64_t		 pg_sent;	/* last time */
	int64_t		 pg_until;
};
static TAILQ_HEAD(, ping) pings = TAILQ_HEAD_INITIALIZER(pings);
static unsigned int	 npings;
static struct event	 ev_ping;
static int		 ev_ready;

static void	 ping_answer(struct chan *, uint32_t,
		    const struct msg_ctl_pong *);
static void	 ping_fail(struct chan *, uint32_t, uint32_t);
static void	 ping_done(struct ping *, struct peer *, const struct addr *,
		    int64_t);
static int	 ping_send(struct ping *, int64_t);
static void	 ping_cb(int, short, void *);
static void	 ping_arm(void);
static size_t	 own_header(uint8_t *, const struct msg_ip *,
		    const struct msg_ip *, uint8_t, size_t);
static size_t	 echo_build(uint8_t *, const struct ping *);
static int	 ping_match(struct peer *, uint32_t, const uint8_t *);
static void	 tsmp_input(struct peer *, const uint8_t *,
		    const struct pkt *);
static void	 tsmp_answer(struct peer *, const uint8_t *,
		    const struct pkt *);

LOCKED_CB(ping_cb)

static void
ping_answer(struct chan *c, uint32_t id, const struct msg_ctl_pong *m)
{
	(void)chan_compose(c, c == proc_parent() ? IMSG_CTL_PONG :
	    IMSG_PEER_PONG, id, -1, m, sizeof(*m));
}

static void
ping_fail(struct chan *c, uint32_t id, uint32_t error)
{
	struct msg_ctl_pong	 m;

	memset(&m, 0, sizeof(m));
	m.error = error;
	ping_answer(c, id, &m);
}

int
ping_start(struct chan *c, uint32_t id, const struct msg_ctl_ping *m)
{
	struct ping	*pg;
	struct peer	*p;
	int64_t		 now = os_now();
	uint32_t	 ms = m->timeout_ms;

	if ((m->ip.af != AF_WIRE_INET && m->ip.af != AF_WIRE_INET6) ||
	    m->type < PING_DISCO || m->type > PING_ICMP)
		return -1;
	p = routes_find(nd.n_routes, m->ip.af, m->ip.addr);
	if (p == NULL || npings >= PINGS_MAX) {
		ping_fail(c, id, p == NULL ? MSG_E_PEER : MSG_E_RATE);
		return 0;
	}
	if (m->type == PING_DISCO && p->p_flags & PEER_WGONLY) {
		ping_fail(c, id, MSG_E_REFUSED);
		return 0;
	}
	if ((pg = calloc(1, sizeof(*pg))) == NULL)
		fatal(NULL);
	pg->pg_chan = c;
	pg->pg_id = id;
	pg->pg_peer = p->p_id;
	pg->pg_ip = m->ip;
	pg->pg_type = m->type;
	pg->pg_size = m->size > 1024 ? 1024 : m->size;
	arc4random_buf(pg->pg_token, sizeof(pg->pg_token));
	if (ms == 0 || ms > PING_TIMEOUT_MAX)
		ms = PING_TIMEOUT;
	pg->pg_until = now + ms * MSEC;
	TAILQ_INSERT_TAIL(&pings, pg, pg_entry);
	npings++;
	if (ping_send(pg, now) == -1) {
		ping_fail(c, id, MSG_E_CONN);
		TAILQ_REMOVE(&pings, pg, pg_entry);
		free(pg);
		npings--;
	}
	ping_arm();
	return 0;
}

static int
ping_send(struct ping *pg, int64_t now)
{
	uint8_t		 buf[1280];
	struct peer	*p;
	size_t		 n;

	if ((p = peer_find(pg->pg_peer)) == NULL)
		return -1;
	pg->pg_sent = now;
	if (pg->pg_type == PING_DISCO)
		return disco_ping_cli(p, now);
	if (self_addr(pg->pg_ip.af) == NULL)
		return -1;
	if (pg->pg_type == PING_ICMP)
		n = echo_build(buf, pg);
	else {
		n = own_header(buf, self_addr(pg->pg_ip.af), &pg->pg_ip,
		    PKT_TSMP, 9);
		buf[n - 9] = TSMP_PING;
		memcpy(buf + n - 8, pg->pg_token, 8);
	}
	/* One that waits for a session is enough. */
	if (p->p_wg == NULL || p->p_wg->w_nstaged == 0 || peer_ready(p, now))
		tx_own_or_stage(p, buf, n, now);
	return 0;
}

static void
ping_arm(void)
{
	struct timeval	 tv = { 0, 100000 };

	if (!ev_ready) {
		evtimer_set(&ev_ping, ping_cb_locked, NULL);
		ev_ready = 1;
	}
	if (!TAILQ_EMPTY(&pings) && !evtimer_pending(&ev_ping, NULL))
		evtimer_add(&ev_ping, &tv);
}

static void
ping_cb(int fd, short events, void *arg)
{
	struct ping	*pg, *tmp;
	int64_t		 now = os_now();

	TAILQ_FOREACH_SAFE(pg, &pings, pg_entry, tmp) {
		if (now >= pg->pg_until) {
			ping_fail(pg->pg_chan, pg->pg_id, MSG_E_TIMEOUT);
			TAILQ_REMOVE(&pings, pg, pg_entry);
			free(pg);
			npings--;
		} else if (now - pg->pg_sent >= PING_RETRY)
			(void)ping_send(pg, now);
	}
	ping_arm();
}

static void
ping_done(struct ping *pg, struct peer *p, const struct addr *from,
    int64_t latency)
{
	struct msg_ctl_pong	 m;

	memset(&m, 0, sizeof(m));
	m.peer = p->p_id;
	m.latency = latency;
	if (from->a_af == ADDR_DERP) {
		m.derp = from->a_port;
		strlcpy(m.relay, derpmap_name(m.derp), sizeof(m.relay));
	} else {
		addr_to_ep(from, &m.ep);
		m.vni = from->a_vni;
	}
	ping_answer(pg->pg_chan, pg->pg_id, &m);
	TAILQ_REMOVE(&pings, pg, pg_entry);
	free(pg);
	npings--;
}

void
ping_disco_pong(struct peer *p, const struct addr *from, int64_t latency)
{
	struct ping	*pg, *tmp;

	TAILQ_FOREACH_SAFE(pg, &pings, pg_entry, tmp)
		if (pg->pg_type == PING_DISCO && pg->pg_peer == p->p_id)
			ping_done(pg, p, from, latency);
}

/* An IP header of our own for so many bytes; the whole length. */
static size_t
own_header(uint8_t *b, const struct msg_ip *src, const struct msg_ip *dst,
    uint8_t proto, size_t len)
{
	if (src->af == AF_WIRE_INET) {
		memset(b, 0, 20);
		b[0] = 0x45;
		be16enc(b + 2, len + 20);
		arc4random_buf(b + 4, 2);
		b[8] = OWN_HOPS;
		b[9] = proto;
		memcpy(b + 12, src->addr, 4);
		memcpy(b + 16, dst->addr, 4);
		csum_ip4(b, 20);
		return len + 20;
	}
	memset(b, 0, 40);
	b[0] = 0x60;
	be16enc(b + 4, len);
	b[6] = proto;
	b[7] = OWN_HOPS;
	memcpy(b + 8, src->addr, 16);
	memcpy(b + 24, dst->addr, 16);
	return len + 40;
}

/* Echo request: identifier, sequence and then the token, zeros to the size. */
static size_t
echo_build(uint8_t *b, const struct ping *pg)
{
	uint64_t	 sum = 0;
	uint16_t	 field;
	uint8_t		*icmp;
	size_t		 len = 16 + pg->pg_size, n;
	int		 v4 = pg->pg_ip.af == AF_WIRE_INET;

	n = own_header(b, self_addr(pg->pg_ip.af), &pg->pg_ip,
	    v4 ? PKT_ICMP : PKT_ICMP6, len);
	icmp = b + n - len;
	memset(icmp, 0, len);
	icmp[0] = v4 ? 8 : 128;
	memcpy(icmp + 4, pg->pg_token, 2);
	memcpy(icmp + 8, pg->pg_token, 8);
	if (!v4)
		sum = csum_pseudo(b, PKT_ICMP6, len);
	field = ~csum_fold(csum_add(sum, icmp, len));
	memcpy(icmp + 2, &field, sizeof(field));
	return n;
}

/* Is someone waiting for this token? Tells him, and 1. */
static int
ping_match(struct peer *p, uint32_t type, const uint8_t *token)
{
	struct addr	 from;
	struct ping	*pg;

	TAILQ_FOREACH(pg, &pings, pg_entry) {
		if (pg->pg_type != type || pg->pg_peer != p->p_id ||
		    memcmp(pg->pg_token, token, sizeof(pg->pg_token)) != 0)
			continue;
		peer_best(p, os_now(), &from);
		ping_done(pg, p, &from, os_now() - pg->pg_sent);
		return 1;
	}
	return 0;
}

int
ping_input(struct peer *p, const uint8_t *b, size_t len,
    const struct pkt *pkt)
{
	size_t	 off = pkt->p_l4off;

	if (pkt->p_proto == PKT_TSMP) {
		tsmp_input(p, b, pkt);
		return 1;
	}
	if (TAILQ_EMPTY(&pings) || len < off + 16 ||
	    pkt->p_icmp_type != (pkt->p_version == 4 ? 0 : 129))
		return 0;
	return ping_match(p, PING_ICMP, b + off + 8);
}

/* All of protocol 99 ends here. */
static void
tsmp_input(struct peer *p, const uint8_t *b, const struct pkt *pkt)
{
	const uint8_t	*t = b + pkt->p_l4off;
	size_t		 n = pkt->p_len - pkt->p_l4off;

	if (n >= 9 && t[0] == TSMP_PING)
		tsmp_answer(p, b, pkt);
	else if (n >= 9 && t[0] == TSMP_PONG)
		(void)ping_match(p, PING_TSMP, t + 1);
	else if (n >= 33 && t[0] == TSMP_DISCO &&
	    (p->p_flags & PEER_WGONLY) == 0)
		netmap_band_disco(p, t + 1);
}

static void
tsmp_answer(struct peer *p, const uint8_t *b, const struct pkt *pkt)
{
	struct msg_ip	 src, dst;
	uint8_t		 out[64];
	size_t		 alen = pkt->p_version == 4 ? 4 : 16, n;

	memset(&src, 0, sizeof(src));
	memset(&dst, 0, sizeof(dst));
	src.af = dst.af = pkt->p_version == 4 ? AF_WIRE_INET : AF_WIRE_INET6;
	memcpy(src.addr, pkt->p_dst, alen);
	memcpy(dst.addr, pkt->p_src, alen);
	n = own_header(out, &src, &dst, PKT_TSMP, 9);
	if (pkt->p_version == 4) {
		be16enc(out + 4, (uint16_t)~be16dec(b + 4));
		csum_ip4(out, 20);
	}
	out[n - 9] = TSMP_PONG;
	memcpy(out + n - 8, b + pkt->p_l4off + 1, 8);
	(void)tx_own(p, out, n, os_now());
}

/* Ports as the one who opened the connection sees them. */
void
tsmp_reject(struct peer *p, const uint8_t *b, const struct pkt *pkt,
    int shields, int64_t now)
{
	static int64_t		 second;
	static unsigned int	 count;
	struct msg_ip		 src, dst;
	uint8_t			 out[64];
	size_t			 n;

	if (pkt->p_version != 4 || pkt->p_proto != PKT_TCP ||
	    (pkt->p_tcp_flags & (PKT_TCP_SYN | PKT_TCP_ACK)) != PKT_TCP_SYN)
		return;
	if (now - second >= NSEC) {
		second = now;
		count = 0;
	}
	if (count++ >= REJECTS_PER_SEC)
		return;
	memset(&src, 0, sizeof(src));
	memset(&dst, 0, sizeof(dst));
	src.af = dst.af = AF_WIRE_INET;
	memcpy(src.addr, pkt->p_dst, 4);
	memcpy(dst.addr, pkt->p_src, 4);
	n = own_header(out, &src, &dst, PKT_TSMP, 7);
	out[n - 7] = TSMP_REJECT;
	out[n - 6] = PKT_TCP;
	out[n - 5] = shields ? 'S' : 'A';
	memcpy(out + n - 4, b + pkt->p_l4off, 4);
	(void)tx_own(p, out, n, now);
}

/*
 * The peer may still have the key of our last run (dataplane.md 1.8). Older
 * versions do not know the message: they get it only where no pong has shown
 * that they have the key already.
 */
void
tsmp_advertise(struct peer *p, int64_t now)
{
	const struct msg_ip	*own;
	struct msg_ip		 to;
	uint8_t			 out[128];
	size_t			 n;
	uint32_t		 i;

	if (p->p_flags & PEER_WGONLY || (p->p_cap < TSMP_CAP &&
	    p->p_path != NULL && path_trusted(p->p_path, now)))
		return;
	for (i = 0; i < p->p_nallowed; i++)
		if (p->p_allowed[i].plen ==
		    (p->p_allowed[i].af == AF_WIRE_INET ? 32 : 128))
			break;
	if (i == p->p_nallowed ||
	    (own = self_addr(p->p_allowed[i].af)) == NULL)
		return;
	memset(&to, 0, sizeof(to));
	to.af = p->p_allowed[i].af;
	memcpy(to.addr, p->p_allowed[i].addr, sizeof(to.addr));
	n = own_header(out, own, &to, PKT_TSMP, 33);
	out[n - 33] = TSMP_DISCO;
	memcpy(out + n - 32, nd.n_disco, MSG_KEY_LEN);
	(void)tx_own(p, out, n, now);
}
