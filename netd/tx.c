/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * From the TUN device to UDP: route, filter, segment, seal, send.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "disco.h"
#include "netd.h"

static const char *const drop_names[TXD_MAX] = {
	[TXD_NO_ROUTE] = "no route",
	[TXD_MALFORMED] = "malformed",
	[TXD_FILTER] = "filter",
	[TXD_STAGED] = "staged",
	[TXD_NO_PATH] = "no path",
	[TXD_SEND] = "send",
	[TXD_SEAL] = "seal"
};

static struct log_limit	 send_limit;

static struct peer	*tx_route(struct tx *, const struct pkt *);
static int		 tx_filter(struct tx *, struct peer *,
			    const struct pkt *);
static int		 own_disco(const struct pkt *, const uint8_t *);
static void		 tx_input(struct tx *, const struct vnet_hdr *,
			    uint8_t *, size_t);
static int		 tx_pump(struct tx *);
static size_t		 geneve_wg(uint8_t *, uint32_t);
static void		 tx_cut(struct tx *, struct keypair *, size_t);
static int		 tx_seal(struct tx *);
static int		 tx_room(struct tx *, const struct path_to *, size_t);
static int		 tx_send(struct tx *);
static void		 tx_error(struct tx *);
static void		 tx_relay(struct tx *);
static void		 tx_sent(struct tx *, struct peer *, struct keypair *,
			    int);

void
tx_init(struct tx *tx)
{
	memset(&tx->t_group, 0, sizeof(tx->t_group));
	memset(&tx->t_stats, 0, sizeof(tx->t_stats));
	tx->t_peer = NULL;
	tx->t_blocked = 0;
	tx->t_flush_id = 0;
}

const char *
tx_drop_name(enum tx_drop why)
{
	return drop_names[why];
}

static struct peer *
tx_route(struct tx *tx, const struct pkt *pkt)
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
tx_filter(struct tx *tx, struct peer *p, const struct pkt *pkt)
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

/*
 * The group has gone, in part or not at all: errno says why. A relay, if
 * there is one, gets it instead.
 */
static void
tx_error(struct tx *tx)
{
	struct tx_group	*g = &tx->t_group;
	struct peer	*p = g->g_peer;
	char		 text[ADDR_TEXT];
	int		 error = errno, up;

	if (log_limit(&send_limit, tx->t_now, 5, 10))
		log_warn("send to %s", addr_print(&g->g_addr, text));
	if (p != NULL && p->p_path != NULL) {
		path_error(p->p_path, &g->g_addr, error);
		if (g->g_relay == 0)
			g->g_relay = peer_relay(p, &up);
	}
	if (g->g_relay == 0)
		tx->t_stats.s_drop[TXD_SEND]++;
	if (error == EPERM)
		udp_rebind(g->g_addr.a_af, tx->t_now);
}

/* A relay takes datagrams one by one, and none of a peer relay's headers. */
static void
tx_relay(struct tx *tx)
{
	struct tx_group	*g = &tx->t_group;
	size_t		 hdr = g->g_addr.a_vni != 0 ? GENEVE_HDR_LEN : 0;
	size_t		 len, off;

	for (off = 0; off < g->g_len; off += len) {
		len = g->g_len - off;
		if (len > g->g_size)
			len = g->g_size;
		if (derp_send(g->g_relay, g->g_peer->p_key,
		    tx->t_buf + off + hdr, len - hdr) == -1 &&
		    g->g_addr.a_af == 0)
			tx->t_stats.s_drop[TXD_SEND]++;
	}
}

/* Seal the whole group: 0, or -1 if that failed and nothing may be sent. */
static int
tx_seal(struct tx *tx)
{
	struct tx_group	*g = &tx->t_group;
	unsigned int	 i;

	if (g->g_sealed)
		return 0;
	g->g_sealed = 1;
	tx->t_stats.s_seals++;
	wg_seal_many(tx->t_item, g->g_n);
	for (i = 0; i < g->g_n; i++)
		if (tx->t_item[i].wi_out == -1)
			return -1;
	return 0;
}

/*
 * Send the group. 0: it is gone, or lost; -1: the socket is full, the group
 * waits and nothing may be added.
 */
static int
tx_send(struct tx *tx)
{
	struct tx_group	*g = &tx->t_group;
	struct peer	*p = g->g_peer;
	uint8_t		 nogso = 0, *flag = &nogso;
	int		 n;

	if (g->g_n == 0)
		return 0;
	if (tx_seal(tx) == -1) {
		tx->t_stats.s_drop[TXD_SEAL] += g->g_n;
		memset(g, 0, sizeof(*g));
		return 0;
	}
	if (p != NULL && p->p_path != NULL)
		flag = &p->p_path->pa_nogso;
	while (g->g_addr.a_af != 0 && g->g_sent < g->g_len) {
		n = udp_send_many(&g->g_addr, tx->t_buf, g->g_len, g->g_size,
		    &g->g_sent, flag);
		if (n >= 0) {
			tx->t_stats.s_sends += n;
			continue;
		}
		if (errno == EAGAIN || errno == ENOBUFS) {
			tx->t_stats.s_blocked++;
			tx->t_blocked = 1;
			tun_pause(1);
			udp_wait_writable(g->g_addr.a_af);
			return -1;
		}
		tx_error(tx);
	}
	if (g->g_relay != 0 && p != NULL)
		tx_relay(tx);
	tx->t_stats.s_sent += g->g_n;
	memset(g, 0, sizeof(*g));
	return 0;
}

/* The header in front of a packet for a peer relay; its length. */
static size_t
geneve_wg(uint8_t *b, uint32_t vni)
{
	struct geneve	 g = { vni, GENEVE_PROTO_WG, 0 };

	(void)geneve_build(b, &g);
	return GENEVE_HDR_LEN;
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

/*
 * Make room for one more datagram of so many bytes to this address: the
 * kernel cuts a large send into pieces of one size, so a longer one, and any
 * after a shorter one, begins a new group.
 */
static int
tx_room(struct tx *tx, const struct path_to *to, size_t len)
{
	struct tx_group	*g = &tx->t_group;

	if (to->pt_addr.a_vni != 0)
		len += GENEVE_HDR_LEN;

	if (g->g_n != 0 && (g->g_closed || len > g->g_size ||
	    g->g_n == GSO_MAX_SEGS || g->g_len + len > GSO_MAX_BYTES ||
	    g->g_peer != tx->t_peer || g->g_relay != to->pt_relay ||
	    !addr_eq(&g->g_addr, &to->pt_addr)) && tx_send(tx) == -1)
		return -1;
	if (g->g_n == 0) {
		g->g_addr = to->pt_addr;
		g->g_relay = to->pt_relay;
		g->g_peer = tx->t_peer;
		g->g_size = len;
	}
	return 0;
}

/* Cut the next segment out into the send buffer; sealed with the group. */
static void
tx_cut(struct tx *tx, struct keypair *k, size_t len)
{
	struct tx_group	*g = &tx->t_group;
	struct wg_item	*wi = &tx->t_item[g->g_n];
	uint8_t		*out = tx->t_buf + g->g_len, *plain;
	size_t		 n;

	if (g->g_addr.a_vni != 0)
		out += geneve_wg(out, g->g_addr.a_vni);
	plain = out + WG_TRANSPORT_HDR_LEN;
	segment_next(&tx->t_seg, plain);
	wi->wi_key = k->k_send;
	wi->wi_pkt = out;
	wi->wi_len = wg_pad(len, nd.n_tun.t_mtu);
	wi->wi_receiver = k->k_remote;
	wi->wi_counter = k->k_counter++;
	memset(plain + len, 0, wi->wi_len - len);
	n = out - (tx->t_buf + g->g_len) + wi->wi_len +
	    WG_TRANSPORT_OVERHEAD;
	g->g_len += n;
	g->g_n++;
	if (n < g->g_size)
		g->g_closed = 1;
	tx->t_stats.s_segs++;
	tx->t_stats.s_bytes += len;
	tx->t_peer->p_tx += n;
}

/*
 * Send what is left of the packet in t_seg to t_peer. 0: done with it; -1:
 * blocked, go on later.
 */
static int
tx_pump(struct tx *tx)
{
	struct path_to	 to;
	struct peer	*p = tx->t_peer;
	struct keypair	*k;
	size_t		 len;
	unsigned int	 n = 0;

	if (p == NULL)
		return 0;
	k = p->p_wg == NULL ? NULL : p->p_wg->w_slots.sl_cur;
	if (!keypair_usable(k, tx->t_now) || !peer_dest(p, tx->t_now, &to)) {
		tx->t_stats.s_drop[TXD_NO_PATH]++;
		tx->t_peer = NULL;
		return 0;
	}
	while ((len = segment_len(&tx->t_seg)) != 0) {
		if (tx_room(tx, &to, wg_pad(len, nd.n_tun.t_mtu) +
		    WG_TRANSPORT_OVERHEAD) == -1)
			return -1;
		tx_cut(tx, k, len);
		n++;
	}
	tx->t_peer = NULL;
	if (n > 0)
		tx_sent(tx, p, k, 1);
	return 0;
}

/* Something was sent under this key: timers, heartbeats, rekey. */
static void
tx_sent(struct tx *tx, struct peer *p, struct keypair *k, int data)
{
	struct wg_timers	*t = &p->p_wg->w_timers;

	timers_auth_sent(t);
	if (data && t->t_newhs == 0) {
		timers_data_sent(t, tx->t_now, hs_jitter());
		peer_soon(p, t->t_newhs);
	}
	p->p_last_write = tx->t_now;
	peer_external(p, tx->t_now);
	if (k->k_counter > WG_REKEY_AFTER_MESSAGES || (k->k_initiator &&
	    tx->t_now - k->k_created >= WG_REKEY_AFTER_TIME * NSEC))
		hs_initiate(p, tx->t_now, 0);
}

/* One packet of the TUN device. */
static void
tx_input(struct tx *tx, const struct vnet_hdr *vh, uint8_t *p, size_t len)
{
	struct pkt	 pkt;
	struct peer	*peer;

	pkt_parse(&pkt, p, len);
	if (pkt.p_src == NULL) {
		tx->t_stats.s_drop[TXD_MALFORMED]++;
		return;
	}
	if ((peer = tx_route(tx, &pkt)) == NULL) {
		tx->t_stats.s_drop[TXD_NO_ROUTE]++;
		return;
	}
	if (tx_filter(tx, peer, &pkt) == -1 || own_disco(&pkt, p)) {
		tx->t_stats.s_drop[TXD_FILTER]++;
		return;
	}
	if (peer->p_masq != NULL)
		masq_out(peer, p, &pkt);
	if (!peer_ready(peer, tx->t_now)) {
		peer_stage(peer, vh, p, len);
		hs_initiate(peer, tx->t_now, 0);
		return;
	}
	if (peer->p_wg->w_nstaged != 0)
		tx_flush_staged(tx, peer, tx->t_now);
	if (segment_start(&tx->t_seg, vh, p, len) == -1) {
		tx->t_stats.s_drop[TXD_MALFORMED]++;
		return;
	}
	tx->t_peer = peer;
	tx_pump(tx);
}

void
tx_wakeup(struct tx *tx)
{
	struct vnet_hdr	 vh;
	size_t		 bytes = 0;
	ssize_t		 n;
	int		 i;

	tx->t_now = os_now();
	peer_timers_poke(tx->t_now);
	netcheck_active(tx->t_now);
	for (i = 0; i < TX_READS && bytes < TX_BYTES && !tx->t_blocked; i++) {
		if ((n = tun_read(&vh, tx->t_in, sizeof(tx->t_in))) == -1) {
			if (errno != EAGAIN && errno != EINTR)
				tun_fault(tx->t_now);
			break;
		}
		tx->t_stats.s_reads++;
		bytes += n;
		tx_input(tx, &vh, tx->t_in, n);
	}
	if (!tx->t_blocked)
		tx_send(tx);
}

void
tx_unblock(struct tx *tx)
{
	struct peer	*p;

	if (!tx->t_blocked)
		return;
	tx->t_now = os_now();
	tx->t_blocked = 0;
	if (tx_send(tx) == -1 || tx_pump(tx) == -1)
		return;
	if (tx->t_flush_id != 0 && (p = peer_find(tx->t_flush_id)) != NULL)
		tx_flush_staged(tx, p, tx->t_now);
	if (!tx->t_blocked && tx_send(tx) == 0)
		tun_pause(0);
}

int
tx_flush_staged(struct tx *tx, struct peer *p, int64_t now)
{
	struct peer_wg	*w = p->p_wg;
	struct staged	*st;
	int		 sent = 0;

	tx->t_now = now;
	tx->t_flush_id = 0;
	while (w != NULL && (st = STAILQ_FIRST(&w->w_staged)) != NULL) {
		if (tx->t_blocked || tx->t_peer != NULL) {
			tx->t_flush_id = p->p_id;
			break;
		}
		if (!peer_ready(p, now))
			break;
		sent = 1;
		if (segment_start(&tx->t_seg, &st->st_vnet, st->st_pkt,
		    st->st_len) == 0) {
			tx->t_peer = p;
			if (tx_pump(tx) == -1) {
				/* Its memory goes: lose the rest of it. */
				tx->t_peer = NULL;
				tx->t_flush_id = p->p_id;
			}
		}
		peer_unstage(p, st);
	}
	if (!tx->t_blocked)
		tx_send(tx);
	return sent;
}

int
tx_own(struct tx *tx, struct peer *p, const uint8_t *plain, size_t len,
    int64_t now)
{
	struct path_to	 to;
	struct keypair	*k;
	uint8_t		 buf[TX_OWN_MAX + 16 + WG_TRANSPORT_OVERHEAD];
	size_t		 padded;
	ssize_t		 n;

	tx->t_now = now;
	k = p->p_wg == NULL ? NULL : p->p_wg->w_slots.sl_cur;
	if (len > TX_OWN_MAX || !keypair_usable(k, now) ||
	    !peer_dest(p, now, &to))
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
	tx_sent(tx, p, k, len > 0);
	return 0;
}

void
tx_own_or_stage(struct tx *tx, struct peer *p, const uint8_t *pkt, size_t len,
    int64_t now)
{
	struct vnet_hdr	 vh;

	if (tx_own(tx, p, pkt, len, now) == 0)
		return;
	memset(&vh, 0, sizeof(vh));
	peer_stage(p, &vh, pkt, len);
	hs_initiate(p, now, 0);
}

void
tx_forget(struct tx *tx, const struct peer *p)
{
	if (tx->t_group.g_peer == p)
		tx->t_group.g_peer = NULL;
	if (tx->t_peer == p)
		tx->t_peer = NULL;
}
