/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * From the TUN device to UDP: read, route, filter, plan; what was sent.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "disco.h"
#include "ecn.h"
#include "netd.h"
#include "pathmtu.h"
#include "ptb.h"
#include "tx.h"

static const char *const drop_names[TXD_MAX] = {
	[TXD_NO_ROUTE] = "no route",
	[TXD_MALFORMED] = "malformed",
	[TXD_FILTER] = "filter",
	[TXD_STAGED] = "staged",
	[TXD_NO_PATH] = "no path",
	[TXD_SEND] = "send",
	[TXD_SEAL] = "seal",
	[TXD_SIZE] = "too big",
	[TXD_QUEUE] = "queue"
};

static struct log_limit	 send_limit;

static struct peer	*tx_route(const struct pkt *);
static int		 tx_filter(struct peer *, const struct pkt *);
static int		 own_disco(const struct pkt *, const uint8_t *);
static void		 tx_begin(struct tx *, int64_t);
static void		 tx_input(struct tx *, struct tx_pkt *);
static struct keypair	*tx_ready(struct peer *, int64_t, struct path_to *);
static int		 tx_too_big(struct peer *, const struct tx_pkt *,
			    struct path_to *);
static void		 tx_tell_size(const struct tx_pkt *, uint32_t);
static void		 tx_mark(const struct peer *, const uint8_t *,
			    struct path_to *);
static void		 tx_book(struct tx *);
static int64_t		 tx_jitter(int64_t);
static void		 tx_sent(struct peer *, struct keypair *, int,
			    int64_t);
static void		 tx_error(const struct tx_dest *, int64_t);
static int		 tx_go(struct tx *);
static void		 tx_relay(const struct handed *, int64_t);
static void		 tx_relay_handed(int64_t);
static void		 tx_rebind(int64_t);
static int		 flush_some(struct tx *, struct peer *, int64_t);

struct tx *
tx_new(size_t in, size_t out)
{
	struct tx	*tx;

	if ((tx = calloc(1, sizeof(*tx))) == NULL ||
	    (tx->t_out = malloc(out)) == NULL ||
	    (in != 0 && (tx->t_in = malloc(in)) == NULL))
		fatal(NULL);
	tx->t_outmax = out;
	STAILQ_INIT(&tx->t_handed);
	batch_reset(tx);
	return tx;
}

const char *
tx_drop_name(enum tx_drop why)
{
	return drop_names[why];
}

void
tx_drop(enum tx_drop why, unsigned int n)
{
	nd.n_own->t_stats.s_drop[why] += n;
}

static void
stats_add(struct tx_stats *to, const struct tx_stats *s)
{
	int	 i;

	to->s_batches += s->s_batches;
	to->s_reads += s->s_reads;
	to->s_bytes += s->s_bytes;
	to->s_segs += s->s_segs;
	to->s_calls += s->s_calls;
	to->s_sends += s->s_sends;
	to->s_sent += s->s_sent;
	to->s_blocked += s->s_blocked;
	to->s_seals += s->s_seals;
	for (i = 0; i < TXD_MAX; i++)
		to->s_drop[i] += s->s_drop[i];
}

void
tx_stats(struct tx_stats *sum)
{
	*sum = nd.n_tx->t_stats;
	stats_add(sum, &nd.n_own->t_stats);
}

static struct peer *
tx_route(const struct pkt *pkt)
{
	return routes_find(nd.n_routes, pkt->p_version == 4 ? AF_WIRE_INET :
	    AF_WIRE_INET6, pkt->p_dst);
}

/* Disco must not be carried by the tunnel that it looks for. */
static int
own_disco(const struct pkt *pkt, const uint8_t *p)
{
	size_t	 off = (size_t)pkt->p_l4off + 8;

	return pkt->p_proto == PKT_UDP && pkt->p_len > off &&
	    disco_looks_like(p + off, pkt->p_len - off) &&
	    memcmp(disco_sender(p + off), nd.n_disco, MSG_KEY_LEN) == 0;
}

static int
tx_filter(struct peer *p, const struct pkt *pkt)
{
	struct filter		*f = nd.n_filter;
	struct filter_flows	*flows = nd.n_flows;

	if (pkt->p_proto == PKT_TSMP)
		return -1;
	if (p->p_flags & PEER_JAILED) {
		f = nd.n_jail;
		flows = nd.n_jail_flows;
	}
	return filter_out(f, flows, pkt) == FILTER_ACCEPT ? 0 : -1;
}

/* --- what was sent --- */

static void
tx_error(const struct tx_dest *d, int64_t now)
{
	const struct addr	*a = &d->d_to.pt_addr;
	struct peer		*p = peer_find(d->d_peer);
	char			 text[ADDR_TEXT];

	errno = d->d_error;
	if (log_limit(&send_limit, now, 5, 10))
		log_warn("send to %s", addr_print(a, text));
	if (p != NULL && p->p_path != NULL)
		path_error(p->p_path, a, d->d_error);
	if (d->d_error == EPERM && a->a_sock == 0)
		nd.n_chores |= a->a_af == AF_WIRE_INET6 ? CHORE_REBIND6 :
		    CHORE_REBIND4;
}

static void
tx_nogso(const struct tx_dest *d)
{
	struct peer	*p = peer_find(d->d_peer);
	char		 text[ADDR_TEXT];

	if (p == NULL || p->p_path == NULL)
		return;
	log_info("%s: large sends fail on this path",
	    addr_print(&d->d_to.pt_addr, text));
	p->p_path->pa_nogso = NOGSO_FAILED;
}

/* A relay takes datagrams one by one, and none of a peer relay's headers. */
static void
tx_relay(const struct handed *h, int64_t now)
{
	struct peer	*p = peer_find(h->h_peer);
	uint16_t	 region = h->h_region;
	size_t		 len, off;
	int		 up;

	if (p != NULL && region == 0)
		region = peer_relay(p, &up);
	if (p == NULL || region == 0) {
		tx_drop(TXD_SEND, h->h_n);
		return;
	}
	for (off = 0; off < h->h_len; off += len) {
		len = h->h_len - off;
		if (len > h->h_size)
			len = h->h_size;
		if (derp_send(region, p->p_key, h->h_data + off + h->h_skip,
		    len - h->h_skip) == -1)
			tx_drop(TXD_SEND, 1);
	}
}

static void
tx_relay_handed(int64_t now)
{
	struct handed	*h;

	while ((h = STAILQ_FIRST(&nd.n_handed)) != NULL) {
		STAILQ_REMOVE_HEAD(&nd.n_handed, h_entry);
		nd.n_handed_bytes -= h->h_len;
		tx_relay(h, now);
		free(h);
	}
}

void
tx_finish(struct tx *tx)
{
	struct handed	*h;
	unsigned int	 i;

	for (i = 0; i < tx->t_ndest; i++) {
		if (tx->t_dest[i].d_error != 0)
			tx_error(&tx->t_dest[i], tx->t_now);
		if (tx->t_dest[i].d_newly)
			tx_nogso(&tx->t_dest[i]);
	}
	while ((h = STAILQ_FIRST(&tx->t_handed)) != NULL) {
		STAILQ_REMOVE_HEAD(&tx->t_handed, h_entry);
		if (nd.n_handed_bytes + h->h_len > TX_HANDED_MAX) {
			tx->t_new.s_drop[TXD_SEND] += h->h_n;
			free(h);
			continue;
		}
		nd.n_handed_bytes += h->h_len;
		STAILQ_INSERT_TAIL(&nd.n_handed, h, h_entry);
	}
	udp_out_put(tx);
	stats_add(&tx->t_stats, &tx->t_new);
	batch_reset(tx);
}

/* EPERM comes of firewalls that know the socket's old owner or cgroup. */
static void
tx_rebind(int64_t now)
{
	unsigned int	 what = nd.n_chores;

	nd.n_chores &= ~(CHORE_REBIND4 | CHORE_REBIND6);
	if (what & CHORE_REBIND4)
		udp_rebind(AF_WIRE_INET, now);
	if (what & CHORE_REBIND6)
		udp_rebind(AF_WIRE_INET6, now);
}

int
tx_has_chores(void)
{
	return nd.n_chores != 0 || !TAILQ_EMPTY(&nd.n_wanted) ||
	    !STAILQ_EMPTY(&nd.n_handed);
}

void
tx_chores(int64_t now)
{
	unsigned int	 what = nd.n_chores;

	tx_rebind(now);
	nd.n_chores = 0;
	if (what & CHORE_TIMERS)
		peer_timers_poke(now);
	if (what & CHORE_ACTIVE)
		netcheck_active(now);
	if (what & CHORE_FAULT) {
		errno = nd.n_fault;
		tun_fault(now);
	}
	peer_wanted(now);
	tx_relay_handed(now);
}

int
tx_wg(struct peer *p, const struct path_to *to, const uint8_t *b, size_t len)
{
	uint8_t	 buf[GENEVE_HDR_LEN + TX_OWN_MAX + 64];
	size_t	 n;
	int	 ret = -1;

	if (to->pt_addr.a_vni != 0 && len <= sizeof(buf) - GENEVE_HDR_LEN) {
		n = geneve_wg(buf, to->pt_addr.a_vni);
		memcpy(buf + n, b, len);
		ret = udp_send(&to->pt_addr, buf, n + len);
	} else if (to->pt_addr.a_af != 0)
		ret = udp_send(&to->pt_addr, b, len);
	if (to->pt_relay != 0 &&
	    derp_send(to->pt_relay, p->p_key, b, len) == 0)
		ret = 0;
	return ret;
}

/* --- the plan --- */

/* Of a second: to ask for chance costs a system call, after each answer. */
static int64_t
tx_jitter(int64_t now)
{
	static int64_t	 jitter, made;

	if (made == 0 || now - made >= NSEC) {
		made = now;
		jitter = hs_jitter();
	}
	return jitter;
}

/* Something is sent under this key: timers, heartbeats, rekey. */
static void
tx_sent(struct peer *p, struct keypair *k, int data, int64_t now)
{
	struct wg_timers	*t = &p->p_wg->w_timers;

	timers_auth_sent(t);
	if (data && t->t_newhs == 0) {
		timers_data_sent(t, now, tx_jitter(now));
		peer_want_timer(p, t->t_newhs);
	}
	p->p_last_write = now;
	peer_external_tx(p, now);
	if ((k->k_counter > WG_REKEY_AFTER_MESSAGES || (k->k_initiator &&
	    now - k->k_created >= WG_REKEY_AFTER_TIME * NSEC))) {
		if (timers_may_initiate(t, now))
			peer_want(p, WANT_HANDSHAKE);
		else
			t->t_attempts = 0;
	}
}

/* The key to send with, and the place; or NULL. */
static struct keypair *
tx_ready(struct peer *p, int64_t now, struct path_to *to)
{
	struct keypair	*k = p->p_wg == NULL ? NULL : p->p_wg->w_slots.sl_cur;

	if (!keypair_usable(k, now) || !peer_dest(p, now, to))
		return NULL;
	return k;
}

/* The stack, or whoever sent it through this host, learns of the size. */
static void
tx_tell_size(const struct tx_pkt *tp, uint32_t limit)
{
	struct vnet_hdr	 vh;
	struct iovec	 iov[2];
	uint8_t		 buf[PTB_MAX];
	int		 vnet = (nd.n_tun.t_caps & TUN_VNET) != 0;

	if (!ptb_allowed(tp->tp_data, tp->tp_len, os_now()))
		return;
	memset(&vh, 0, sizeof(vh));
	iov[0].iov_base = &vh;
	iov[0].iov_len = VNET_HDR_LEN;
	iov[1].iov_base = buf;
	iov[1].iov_len = ptb_build(buf, tp->tp_data, tp->tp_len, limit);
	(void)tun_write(iov + !vnet, 1 + vnet);
}

/*
 * Does the path not carry this? While that is not known a relay takes it,
 * and what nobody may be told of.
 */
static int
tx_too_big(struct peer *p, const struct tx_pkt *tp, struct path_to *to)
{
	size_t		 len;
	uint32_t	 limit;
	int		 sure, up;
	uint16_t	 relay;

	len = ptb_largest(&tp->tp_vnet, tp->tp_data, tp->tp_len);
	if (len <= 1280 || to->pt_addr.a_af == 0 || p->p_path == NULL ||
	    p->p_flags & PEER_WGONLY ||
	    len <= (limit = pathmtu_limit(p->p_path, &sure)))
		return 0;
	if (sure && ptb_wanted(tp->tp_data)) {
		tx_tell_size(tp, limit);
		return 1;
	}
	if ((relay = peer_relay(p, &up)) == 0 || !up)
		return !sure;
	memset(&to->pt_addr, 0, sizeof(to->pt_addr));
	to->pt_relay = relay;
	return 0;
}

/*
 * The packet's mark goes outside if the peer will look at it there; else
 * congestion is better told by loss (RFC 6040, 4.3). A peer relay and DERP
 * pass no marks on.
 */
static void
tx_mark(const struct peer *p, const uint8_t *pkt, struct path_to *to)
{
	uint8_t	 ecn = ecn_of(pkt);

	if (ecn != ECN_NOT && p->p_path != NULL && to->pt_addr.a_vni == 0 &&
	    p->p_path->pa_ecn[to->pt_addr.a_af == AF_WIRE_INET6])
		to->pt_ecn = ecn;
}

/*
 * To the peers, once for a batch: what is written there for each packet would
 * go to and fro between the caches of two threads.
 */
static void
tx_book(struct tx *tx)
{
	struct tx_dest	*d;
	unsigned int	 i;

	for (i = 0; i < tx->t_ndest; i++) {
		d = &tx->t_dest[i];
		d->d_who->p_tx += d->d_bytes;
		tx_sent(d->d_who, d->d_pair, 1, tx->t_now);
	}
}

/*
 * One packet of the TUN device. It becomes part of the batch, waits for a
 * session, or is dropped. Those that came before it go first.
 */
static void
tx_input(struct tx *tx, struct tx_pkt *tp)
{
	struct path_to	 to;
	struct pkt	 pkt;
	struct keypair	*k;
	struct peer	*p;

	pkt_parse(&pkt, tp->tp_data, tp->tp_len);
	if (pkt.p_src == NULL) {
		tx->t_new.s_drop[TXD_MALFORMED]++;
		return;
	}
	if ((p = tx_route(&pkt)) == NULL) {
		tx->t_new.s_drop[TXD_NO_ROUTE]++;
		return;
	}
	if (tx_filter(p, &pkt) == -1 || own_disco(&pkt, tp->tp_data)) {
		tx->t_new.s_drop[TXD_FILTER]++;
		return;
	}
	k = tx_ready(p, tx->t_now, &to);
	if (tx->t_mtu > 1280 && k != NULL && tx_too_big(p, tp, &to)) {
		tx->t_new.s_drop[TXD_SIZE]++;
		return;
	}
	if (p->p_masq != NULL)
		masq_out(p, tp->tp_data, &pkt);
	if (k == NULL || p->p_wg->w_nstaged != 0) {
		peer_stage(p, &tp->tp_vnet, tp->tp_data, tp->tp_len);
		peer_want(p, k == NULL ? WANT_HANDSHAKE : WANT_FLUSH);
		return;
	}
	tx_mark(p, tp->tp_data, &to);
	if (tp != &tx->t_pkt[tx->t_npkt])
		tx->t_pkt[tx->t_npkt] = *tp;
	if (batch_add(tx, p, k, &to) == -1)
		tx->t_new.s_drop[TXD_MALFORMED]++;
}

static void
tx_begin(struct tx *tx, int64_t now)
{
	tx->t_now = now;
	tx->t_mtu = nd.n_tun.t_mtu;
	udp_out_get(tx);
}

/* Packets that stay move up to where those before them end. */
void
tx_plan(struct tx *tx)
{
	unsigned int	 i, n = tx->t_npkt;

	tx_begin(tx, os_now());
	if (peer_timers_late(tx->t_now))
		nd.n_chores |= CHORE_TIMERS;
	if (tx->t_now - nd.n_active >= NSEC) {
		nd.n_active = tx->t_now;
		nd.n_chores |= CHORE_ACTIVE;
	}
	tx->t_npkt = 0;
	for (i = 0; i < n; i++)
		tx_input(tx, &tx->t_pkt[i]);
	tx_book(tx);
	tx->t_new.s_batches++;
}

/* --- from the TUN device --- */

void
tx_read(struct tx *tx)
{
	struct tx_pkt	*tp;
	uint8_t		*p = tx->t_in;
	ssize_t		 n;

	tx->t_dry = 0;
	while (tx->t_npkt < TX_READS && p - tx->t_in < TX_BYTES) {
		tp = &tx->t_pkt[tx->t_npkt];
		p += TX_HEAD;
		if ((n = tun_read(&tp->tp_vnet, p, 65536)) == -1) {
			tx->t_dry = errno == EAGAIN || errno == EINTR ? 1 :
			    errno;
			break;
		}
		tp->tp_data = p;
		tp->tp_len = n;
		tx->t_npkt++;
		/* Headers want to be aligned. */
		p += (n + 15) & ~15;
	}
	tx->t_new.s_reads += tx->t_npkt;
}

/* Send what is planned. -1: a socket is full. */
static int
tx_go(struct tx *tx)
{
	if (batch_run(tx) == 0) {
		tx->t_blocked = 0;
		tx_finish(tx);
		return 0;
	}
	tx->t_blocked = 1;
	udp_wait_writable(batch_waits(tx));
	return -1;
}

void
tx_wakeup(struct tx *tx)
{
	peer_timers_poke(os_now());
	tx_read(tx);
	if (tx->t_dry > 1) {
		nd.n_fault = tx->t_dry;
		nd.n_chores |= CHORE_FAULT;
	}
	tx_plan(tx);
	if (tx_go(tx) == -1)
		tun_pause(1);
	tx_chores(tx->t_now);
}

void
tx_unblock(void)
{
	int64_t	 now = os_now();

	if (nd.n_own->t_blocked) {
		udp_out_get(nd.n_own);
		(void)tx_go(nd.n_own);
	}
	if (nd.n_tx->t_blocked) {
		udp_out_get(nd.n_tx);
		if (tx_go(nd.n_tx) == 0)
			tun_pause(0);
	}
	tx_chores(now);
}

/* --- packets that waited, and our own --- */

/* As much as one batch holds. 0: there is nothing that may go. */
static int
flush_some(struct tx *tx, struct peer *p, int64_t now)
{
	struct path_to	 to;
	struct peer_wg	*w = p->p_wg;
	struct staged	*st;
	struct keypair	*k;
	struct tx_pkt	*tp;
	size_t		 bytes = 0;
	unsigned int	 n = 0;

	sender_settle();
	tx_begin(tx, now);
	STAILQ_FOREACH(st, &w->w_staged, st_entry) {
		if (tx->t_npkt == TX_READS || bytes >= TX_BYTES ||
		    (k = tx_ready(p, now, &to)) == NULL)
			break;
		tp = &tx->t_pkt[tx->t_npkt];
		tp->tp_vnet = st->st_vnet;
		tp->tp_data = st->st_pkt;
		tp->tp_len = st->st_len;
		bytes += st->st_len;
		n++;
		tx_mark(p, tp->tp_data, &to);
		if (batch_add(tx, p, k, &to) == -1)
			tx->t_new.s_drop[TXD_MALFORMED]++;
	}
	tx_book(tx);
	if (n != 0 && tx_go(tx) == -1) {
		/* Their memory goes: lose what is not sealed yet. */
		batch_cancel(tx);
		peer_want(p, WANT_FLUSH);
	}
	for (; n != 0; n--)
		peer_unstage(p, STAILQ_FIRST(&w->w_staged));
	return bytes != 0;
}

int
tx_flush(struct peer *p, int64_t now)
{
	int	 sent = 0;

	while (p->p_wg != NULL && p->p_wg->w_nstaged != 0) {
		if (nd.n_own->t_blocked) {
			peer_want(p, WANT_FLUSH);
			break;
		}
		if (!flush_some(nd.n_own, p, now))
			break;
		sent = 1;
	}
	tx_relay_handed(now);
	tx_rebind(now);
	return sent;
}

int
tx_flush_staged(struct peer *p, int64_t now)
{
	int	 sent;

	sent = tx_flush(p, now);
	peer_wanted(now);
	return sent;
}

int
tx_own(struct peer *p, const uint8_t *plain, size_t len, int64_t now)
{
	struct path_to	 to;
	struct keypair	*k;
	uint8_t		 buf[TX_OWN_MAX + 16 + WG_TRANSPORT_OVERHEAD];
	size_t		 padded;
	ssize_t		 n;

	sender_settle();
	if (len > TX_OWN_MAX || (k = tx_ready(p, now, &to)) == NULL)
		return -1;
	memset(buf, 0, sizeof(buf));
	if (len > 0)
		memcpy(buf + WG_TRANSPORT_HDR_LEN, plain, len);
	padded = wg_pad(len, nd.n_tun.t_mtu);
	if ((n = wg_seal(k->k_send, buf, buf + WG_TRANSPORT_HDR_LEN, padded,
	    k->k_remote, k->k_counter)) == -1)
		return -1;
	k->k_counter++;
	p->p_tx += n;
	(void)tx_wg(p, &to, buf, n);
	tx_sent(p, k, len > 0, now);
	peer_wanted(now);
	return 0;
}

void
tx_own_or_stage(struct peer *p, const uint8_t *pkt, size_t len, int64_t now)
{
	struct vnet_hdr	 vh;

	if (tx_own(p, pkt, len, now) == 0)
		return;
	memset(&vh, 0, sizeof(vh));
	peer_stage(p, &vh, pkt, len);
	hs_initiate(p, now, 0);
}
