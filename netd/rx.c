/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * From UDP to the TUN device: open, check, filter, join, write.
 */

#include <sys/types.h>

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#include "disco.h"
#include "ecn.h"
#include "netd.h"
#include "stun.h"

static const char *const drop_names[RXD_MAX] = {
	[RXD_UNKNOWN] = "unknown datagram",
	[RXD_INDEX] = "unknown session",
	[RXD_EXPIRED] = "expired session",
	[RXD_AUTH] = "not authentic",
	[RXD_REPLAY] = "replay",
	[RXD_INNER] = "bad inner packet",
	[RXD_SOURCE] = "inner source",
	[RXD_FILTER] = "filter",
	[RXD_HANDSHAKE] = "bad handshake",
	[RXD_LOAD] = "under load",
	[RXD_ECN] = "congestion mark",
	[RXD_TUN] = "tun write"
};

/* So long at a stretch, where a longer gap than that is a pause: ns. */
#define RX_STRETCH	400000
#define RX_PAUSE	300000

static struct log_limit	 tun_limit;

static void	 rx_write(void *, const struct iovec *, int, int);
static void	 rx_message(struct rx *, const struct udp_in *);
static void	 rx_rest(struct rx *);
static int	 rx_geneve(struct rx *, uint8_t *, size_t,
		    const struct addr *);
static void	 rx_transport(struct rx *, uint8_t *, size_t,
		    const struct addr *);
static void	 rx_opened(struct rx *, const struct rx_item *,
		    const struct wg_item *);
static void	 rx_batch(struct rx *, struct peer *, const struct addr *);
static void	 rx_plain(struct rx *, struct peer *, uint8_t *, size_t,
		    uint8_t);
static int	 same_train(const struct pkt *, const struct pkt *);
static int	 rx_filter(struct rx *, struct peer *, const uint8_t *,
		    const struct pkt *);
static int	 peer_has_cap(void *, const struct pkt *, unsigned int);
static void	 rx_late_rekey(struct rx *, struct peer *, struct keypair *);

void
rx_init(struct rx *rx, unsigned int caps)
{
	coal_init(&rx->r_coal, caps, rx_write, rx);
}

const char *
rx_drop_name(enum rx_drop why)
{
	return drop_names[why];
}

static void
rx_write(void *arg, const struct iovec *iov, int n, int segs)
{
	struct rx	*rx = arg;

	if (tun_write(iov, n) == -1) {
		rx->r_stats.s_drop[RXD_TUN]++;
		if (log_limit(&tun_limit, rx->r_now, 5, 10))
			log_warn("%s: write", nd.n_tun.t_name);
		return;
	}
	rx->r_stats.s_writes++;
	rx->r_stats.s_segs += segs;
}

void
rx_wakeup(struct rx *rx, struct udp_sock *u)
{
	struct udp_in	 in[RX_MSGS];
	int		 i, n;

	rx->r_now = os_now();
	peer_timers_poke(rx->r_now);
	state_unlock();
	n = udp_recv(u, rx, in);
	state_lock();
	if (n <= 0)
		return;
	rx->r_stats.s_calls++;
	rx->r_stats.s_recvs += n;
	for (i = 0; i < n; i++)
		rx_message(rx, &in[i]);
	rx_open(rx);
	/* The buffers are used again the next time. */
	state_unlock();
	coal_flush(&rx->r_coal);
	state_lock();
	rx->r_passed.p_src = NULL;
	rx_account(rx);
	rx_rest(rx);
}

/*
 * End of a batch. Who reads what was written may wait for this processor, and
 * while more keeps coming we would give him less of it than we make him need:
 * it is his turn now and then. A thread that is alone goes on at once.
 */
static void
rx_rest(struct rx *rx)
{
	int64_t	 now = os_now();

	if (now - rx->r_done > RX_PAUSE)
		rx->r_busy = now;
	else if (now - rx->r_busy > RX_STRETCH) {
		state_unlock();
		(void)sched_yield();
		state_lock();
		rx->r_busy = now = os_now();
	}
	rx->r_done = now;
}

/* Datagrams of one message need not be of one peer, nor of one type. */
static void
rx_message(struct rx *rx, const struct udp_in *in)
{
	size_t	 len, off;

	rx->r_ecn = in->i_ecn;
	for (off = 0; off < in->i_len; off += len) {
		len = in->i_len - off;
		if (len > in->i_seg)
			len = in->i_seg;
		rx->r_stats.s_datagrams++;
		rx->r_stats.s_bytes += len;
		rx_datagram(rx, in->i_buf + off, len, &in->i_src);
	}
}

void
rx_datagram(struct rx *rx, uint8_t *p, size_t len, const struct addr *src)
{
	int	 type = wg_classify(p, len);

	/* All things happen in the order in which they came. */
	if (type == WG_MSG_TRANSPORT) {
		rx_transport(rx, p, len, src);
		return;
	}
	if (type == 0 && rx_geneve(rx, p, len, src) == 0)
		return;
	rx_open(rx);
	switch (type) {
	case WG_MSG_INITIATION:
	case WG_MSG_RESPONSE:
	case WG_MSG_COOKIE:
		hs_input(p, len, src, rx->r_via, rx->r_now);
		break;
	default:
		if (stun_looks_like(p, len))
			netcheck_stun(p, len, src, rx->r_now);
		else if (disco_looks_like(p, len))
			disco_input(p, len, src, rx->r_via, rx->r_now);
		else
			rx->r_stats.s_drop[RXD_UNKNOWN]++;
	}
}

/*
 * By a DERP relay, which names the sender: one that is no peer is dropped
 * before anything else is looked at.
 */
void
rx_relayed(struct rx *rx, uint16_t region, const uint8_t *key, uint8_t *p,
    size_t len, int64_t now)
{
	struct addr	 src;

	rx->r_now = now;
	rx->r_stats.s_datagrams++;
	rx->r_stats.s_bytes += len;
	if ((rx->r_via = peer_find_key(key)) == NULL ||
	    rx->r_via->p_flags & PEER_WGONLY) {
		rx->r_stats.s_drop[RXD_UNKNOWN]++;
		rx->r_via = NULL;
		return;
	}
	rx->r_ecn = 0;
	addr_from_derp(&src, region);
	rx_datagram(rx, p, len, &src);
	rx->r_via = NULL;
}

void
rx_flush(struct rx *rx)
{
	rx_open(rx);
	state_unlock();
	coal_flush(&rx->r_coal);
	state_lock();
	rx_account(rx);
}

/*
 * From a peer relay: what is inside comes from that address and its VNI.
 * -1: it is nothing of that kind.
 */
static int
rx_geneve(struct rx *rx, uint8_t *p, size_t len, const struct addr *src)
{
	struct geneve	 g;
	struct addr	 from = *src;

	if (src->a_af == ADDR_DERP || disco_looks_like(p, len) ||
	    geneve_parse(p, len, &g) == -1 || g.g_vni == 0)
		return -1;
	from.a_vni = g.g_vni;
	p += GENEVE_HDR_LEN;
	len -= GENEVE_HDR_LEN;
	if (g.g_proto == GENEVE_PROTO_DISCO && disco_looks_like(p, len)) {
		rx_open(rx);
		if (g.g_control)
			relayc_control(p, len, &from, rx->r_now);
		else
			disco_input(p, len, &from, NULL, rx->r_now);
		return 0;
	}
	if (g.g_proto != GENEVE_PROTO_WG || g.g_control)
		return -1;
	if (wg_classify(p, len) == WG_MSG_TRANSPORT)
		rx_transport(rx, p, len, &from);
	else if (wg_classify(p, len) != 0) {
		rx_open(rx);
		hs_input(p, len, &from, NULL, rx->r_now);
	}
	return 0;
}

/* Packets of one peer from one source share the work of timers and path. */
static void
rx_batch(struct rx *rx, struct peer *p, const struct addr *src)
{
	struct peer	*old = rx->r_peer;

	if (old == p && (p == NULL || addr_eq(&rx->r_src, src)))
		return;
	if (old != NULL && old->p_wg != NULL) {
		old->p_rx += rx->r_bytes;
		timers_auth_received(&old->p_wg->w_timers);
		if (rx->r_data) {
			timers_data_received(&old->p_wg->w_timers, rx->r_now);
			peer_soon(old, old->p_wg->w_timers.t_keepalive);
		}
		if (old->p_flags & PEER_WGONLY)
			wgonly_heard(peer_path(old), &rx->r_src, rx->r_now);
		else if (old->p_path != NULL)
			path_data(old->p_path, &rx->r_src,
			    nd.n_self.flags & SELF_SILENT_DISCO, rx->r_now);
	}
	rx->r_peer = p;
	rx->r_bytes = 0;
	rx->r_data = 0;
	if (p != NULL)
		rx->r_src = *src;
}

void
rx_account(struct rx *rx)
{
	rx_batch(rx, NULL, NULL);
	rx->r_passed.p_src = NULL;
}

static void
rx_late_rekey(struct rx *rx, struct peer *p, struct keypair *k)
{
	struct wg_timers	*t = &p->p_wg->w_timers;

	if (!k->k_initiator || t->t_late_rekey || rx->r_now - k->k_created <
	    (WG_REJECT_AFTER_TIME - WG_KEEPALIVE_TIMEOUT - WG_REKEY_TIMEOUT) *
	    NSEC || k != p->p_wg->w_slots.sl_cur)
		return;
	t->t_late_rekey = 1;
	hs_initiate(p, rx->r_now, 0);
}

/* A transport message: it is opened together with those that follow. */
static void
rx_transport(struct rx *rx, uint8_t *b, size_t len, const struct addr *src)
{
	struct idx_entry	*ie;
	struct keypair		*k;
	struct rx_item		*ri;
	struct wg_item		*wi;

	ie = idx_find(&nd.n_idx, wg_receiver(b));
	if (ie == NULL || ie->ie_kind != IDX_KEYPAIR) {
		rx->r_stats.s_drop[RXD_INDEX]++;
		hs_unknown_index(src, rx->r_via, rx->r_now);
		return;
	}
	k = ie->ie_ptr;
	if (rx->r_now - k->k_created >= WG_REJECT_AFTER_TIME * NSEC) {
		rx->r_stats.s_drop[RXD_EXPIRED]++;
		hs_recover(k->k_peer, NULL, rx->r_now);
		return;
	}
	if (rx->r_n == WG_BATCH)
		rx_open(rx);
	wi = &rx->r_wg[rx->r_n];
	ri = &rx->r_item[rx->r_n++];
	wi->wi_key = k->k_recv;
	wi->wi_pkt = b;
	wi->wi_len = len;
	ri->ri_keypair = k;
	ri->ri_index = k->k_local;
	ri->ri_src = *src;
	ri->ri_ecn = rx->r_ecn;
}

void
rx_open(struct rx *rx)
{
	size_t	 i, n = rx->r_n;

	if (n == 0)
		return;
	rx->r_n = 0;
	rx->r_stats.s_opens++;
	state_unlock();
	wg_open_many(rx->r_wg, n);
	state_lock();
	for (i = 0; i < n; i++)
		rx_opened(rx, &rx->r_item[i], &rx->r_wg[i]);
	n = rx->r_npass;
	rx->r_npass = 0;
	state_unlock();
	for (i = 0; i < n; i++)
		coal_packet(&rx->r_coal, rx->r_pass[i].iov_base,
		    rx->r_pass[i].iov_len);
	state_lock();
}

/* Its session may have gone with the messages before it. */
static void
rx_opened(struct rx *rx, const struct rx_item *ri, const struct wg_item *wi)
{
	struct idx_entry	*ie = idx_find(&nd.n_idx, ri->ri_index);
	struct keypair		*k = ri->ri_keypair;
	struct peer		*p;

	if (ie == NULL || ie->ie_kind != IDX_KEYPAIR || ie->ie_ptr != k) {
		rx->r_stats.s_drop[RXD_INDEX]++;
		return;
	}
	if (wi->wi_out == -1) {
		rx->r_stats.s_drop[RXD_AUTH]++;
		return;
	}
	if (wg_replay_check(&k->k_replay, wg_counter(wi->wi_pkt)) == -1) {
		rx->r_stats.s_drop[RXD_REPLAY]++;
		return;
	}
	p = k->k_peer;
	rx_batch(rx, p, &ri->ri_src);
	rx->r_bytes += wi->wi_len;
	if (slots_received(&p->p_wg->w_slots, &nd.n_idx, k))
		hs_confirmed(p, rx->r_now);
	if (wi->wi_out > 0)
		rx_plain(rx, p, wi->wi_pkt + WG_TRANSPORT_HDR_LEN,
		    wi->wi_out, ri->ri_ecn);
	rx_late_rekey(rx, p, k);
}

/* The caller holds a capability if control says so. */
static int
peer_has_cap(void *arg, const struct pkt *pkt, unsigned int cap)
{
	const struct peer	*p = arg;
	const char		*name;
	uint32_t		 i;

	if ((name = filter_cap_name(nd.n_filter, cap)) == NULL)
		return 0;
	for (i = 0; i < p->p_ncaps; i++)
		if (strcmp(p->p_caps[i], name) == 0)
			return 1;
	return 0;
}

/* Can the filter not tell the two apart? */
static int
same_train(const struct pkt *a, const struct pkt *b)
{
	size_t	 len = b->p_version == 4 ? 4 : 16;

	return a->p_version == b->p_version && a->p_proto == b->p_proto &&
	    a->p_sport == b->p_sport && a->p_dport == b->p_dport &&
	    a->p_tcp_flags == b->p_tcp_flags &&
	    a->p_icmp_type == b->p_icmp_type &&
	    a->p_icmp_code == b->p_icmp_code &&
	    memcmp(a->p_src, b->p_src, len) == 0 &&
	    memcmp(a->p_dst, b->p_dst, len) == 0;
}

/*
 * Of packets of one flow that came together, the first is judged: neither
 * rules nor flows change between them.
 */
static int
rx_filter(struct rx *rx, struct peer *p, const uint8_t *b,
    const struct pkt *pkt)
{
	enum filter_verdict	 v;

	if (rx->r_passed.p_src != NULL && pkt->p_src != NULL &&
	    p == rx->r_passer && same_train(&rx->r_passed, pkt)) {
		rx->r_stats.s_verdict[FILTER_ACCEPT]++;
		return 0;
	}
	if (p->p_flags & PEER_JAILED)
		v = filter_in(nd.n_jail, nd.n_jail_flows, pkt, NULL, NULL);
	else
		v = filter_in(nd.n_filter, nd.n_flows, pkt, peer_has_cap, p);
	rx->r_stats.s_verdict[v]++;
	if (v == FILTER_ACCEPT) {
		rx->r_passed = *pkt;
		rx->r_passer = p;
		return 0;
	}
	rx->r_stats.s_drop[RXD_FILTER]++;
	if (v == FILTER_DROP_RULES || v == FILTER_DROP_SHIELDS)
		tsmp_reject(p, b, pkt, v == FILTER_DROP_SHIELDS, rx->r_now);
	return -1;
}

/* A decrypted packet; what is dropped here was still authentic traffic. */
static void
rx_plain(struct rx *rx, struct peer *p, uint8_t *b, size_t len, uint8_t ecn)
{
	struct pkt	 pkt;
	ssize_t		 n;

	rx->r_data = 1;
	if ((n = wg_inner_len(b, len)) <= 0) {
		rx->r_stats.s_drop[RXD_INNER]++;
		return;
	}
	if (!peer_allows(p, b[0] >> 4 == 4 ? AF_WIRE_INET : AF_WIRE_INET6,
	    b + (b[0] >> 4 == 4 ? 12 : 8))) {
		rx->r_stats.s_drop[RXD_SOURCE]++;
		return;
	}
	if (ecn != 0 && ecn_in(b, ecn) == -1) {
		rx->r_stats.s_drop[RXD_ECN]++;
		return;
	}
	pkt_parse(&pkt, b, n);
	if (p->p_masq != NULL)
		masq_in(p, b, &pkt);
	if ((pkt.p_proto == PKT_TSMP || pkt.p_proto == PKT_ICMP ||
	    pkt.p_proto == PKT_ICMP6) && ping_input(p, b, n, &pkt))
		return;
	if (rx_filter(rx, p, b, &pkt) == -1)
		return;
	rx->r_pass[rx->r_npass].iov_base = b;
	rx->r_pass[rx->r_npass++].iov_len = n;
}
