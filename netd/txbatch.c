/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A batch of planned packets: segment, seal, send. Nothing here looks at
 * peers or paths: what is needed of them is in the plan.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "disco.h"
#include "ecn.h"
#include "netd.h"
#include "tx.h"

static struct tx_dest	*dest_get(struct tx *, struct peer *,
			    struct keypair *, const struct path_to *);
static size_t	 wire_len(const struct tx *, size_t);
static int	 batch_next(struct tx *);
static int	 batch_room(struct tx *, struct tx_dest *, size_t);
static void	 batch_cut(struct tx *, struct tx_pkt *, size_t, size_t, int);
static struct sendq	*dest_queue(struct tx *, const struct tx_dest *);
static void	 batch_watch(struct tx *);
static struct sendq	*batch_queue(struct tx *, const struct tx_dest *);
static uint32_t	 flow_of(const struct tx_pkt *);
static enum sendq_verdict batch_admit(struct tx *, struct sendq *,
		    struct tx_pkt *, uint32_t, size_t);
static void	 batch_fill(struct tx *);
static void	 batch_seal(struct tx *);
static void	 batch_check(struct tx *);
static int	 batch_send_some(struct tx *, struct tx_group *);
static int	 batch_send(struct tx *);
static void	 group_hand_over(struct tx *, const struct tx_group *);

void
batch_reset(struct tx *tx)
{
	tx->t_npkt = tx->t_ndest = tx->t_cur = 0;
	tx->t_curpkt = -1;
	tx->t_nitem = tx->t_nsealed = tx->t_ngroup = tx->t_gone = 0;
	tx->t_outlen = 0;
	tx->t_sending = 0;
	memset(tx->t_hash, 0, sizeof(tx->t_hash));
	memset(&tx->t_new, 0, sizeof(tx->t_new));
}

/* Packets of one session to one place follow one another. */
static struct tx_dest *
dest_get(struct tx *tx, struct peer *p, struct keypair *k,
    const struct path_to *to)
{
	uint8_t		*slot = &tx->t_hash[k->k_remote % TX_HASH];
	struct tx_dest	*d;

	if (*slot != 0) {
		d = &tx->t_dest[*slot - 1];
		if (d->d_key == k->k_send &&
		    d->d_to.pt_relay == to->pt_relay &&
		    d->d_to.pt_ecn == to->pt_ecn &&
		    addr_eq(&d->d_to.pt_addr, &to->pt_addr))
			return d;
	}
	d = &tx->t_dest[tx->t_ndest++];
	*slot = tx->t_ndest;
	d->d_to = *to;
	d->d_key = k->k_send;
	d->d_peer = p->p_id;
	d->d_remote = k->k_remote;
	d->d_who = p;
	d->d_pair = k;
	d->d_bytes = 0;
	d->d_first = d->d_last = -1;
	d->d_error = 0;
	d->d_nogso = p->p_path != NULL && p->p_path->pa_nogso;
	d->d_newly = 0;
	udp_out_dest(d);
	return d;
}

/* Of a datagram with a packet of that length. */
static size_t
wire_len(const struct tx *tx, size_t len)
{
	return wg_pad(len, tx->t_mtu) + WG_TRANSPORT_OVERHEAD;
}

int
batch_add(struct tx *tx, struct peer *p, struct keypair *k,
    const struct path_to *to)
{
	struct tx_pkt	*tp = &tx->t_pkt[tx->t_npkt];
	struct tx_dest	*d;
	unsigned int	 segs;
	size_t		 len, last, hdr;

	if (segment_start(&tp->tp_seg, &tp->tp_vnet, tp->tp_data,
	    tp->tp_len) == -1)
		return -1;
	d = dest_get(tx, p, k, to);
	tp->tp_next = -1;
	if (d->d_last == -1)
		d->d_first = tx->t_npkt;
	else
		tx->t_pkt[d->d_last].tp_next = tx->t_npkt;
	d->d_last = tx->t_npkt++;
	segs = segment_count(&tp->tp_seg);
	tp->tp_counter = k->k_counter;
	k->k_counter += segs;
	len = segment_len(&tp->tp_seg);
	last = tp->tp_len - (segs - 1) * tp->tp_seg.s_size;
	hdr = to->pt_addr.a_vni != 0 ? GENEVE_HDR_LEN : 0;
	d->d_bytes += (segs - 1) * wire_len(tx, len) + wire_len(tx, last) +
	    segs * hdr;
	return 0;
}

size_t
geneve_wg(uint8_t *b, uint32_t vni)
{
	struct geneve	 g = { vni, GENEVE_PROTO_WG, 0 };

	(void)geneve_build(b, &g);
	return GENEVE_HDR_LEN;
}

/*
 * Room for one more datagram of so many bytes: the kernel cuts a large send
 * into pieces of one size, so a longer one, and any after a shorter one,
 * begins a new group. -1: no room before what is there has gone.
 */
static int
batch_room(struct tx *tx, struct tx_dest *d, size_t len)
{
	struct tx_group	*g = NULL;

	if (tx->t_nitem == TX_ITEMS || len > tx->t_outmax - tx->t_outlen)
		return -1;
	if (tx->t_ngroup != 0)
		g = &tx->t_group[tx->t_ngroup - 1];
	if (g != NULL && g->g_dest == d && !g->g_closed &&
	    len <= g->g_size && g->g_n < GSO_MAX_SEGS &&
	    g->g_len + len <= GSO_MAX_BYTES)
		return 0;
	if (tx->t_ngroup == TX_GROUPS)
		return -1;
	g = &tx->t_group[tx->t_ngroup++];
	g->g_addr = d->d_to.pt_addr;
	g->g_dest = d;
	g->g_buf = tx->t_out + tx->t_outlen;
	g->g_len = g->g_sent = 0;
	g->g_size = len;
	g->g_n = 0;
	g->g_closed = g->g_error = 0;
	return 0;
}

/* Cut the next segment, of that length, into the last group. */
static void
batch_cut(struct tx *tx, struct tx_pkt *tp, size_t len, size_t size, int mark)
{
	struct tx_group	*g = &tx->t_group[tx->t_ngroup - 1];
	struct wg_item	*wi = &tx->t_item[tx->t_nitem];
	struct tx_dest	*d = g->g_dest;
	uint8_t		*out = tx->t_out + tx->t_outlen;

	if (g->g_addr.a_vni != 0)
		out += geneve_wg(out, g->g_addr.a_vni);
	segment_next(&tp->tp_seg, out + WG_TRANSPORT_HDR_LEN);
	if (mark)
		ecn_ce(out + WG_TRANSPORT_HDR_LEN);
	wi->wi_key = d->d_key;
	wi->wi_pkt = out;
	wi->wi_len = wg_pad(len, tx->t_mtu);
	wi->wi_receiver = d->d_remote;
	wi->wi_counter = tp->tp_counter++;
	memset(out + WG_TRANSPORT_HDR_LEN + len, 0, wi->wi_len - len);
	tx->t_outlen += size;
	g->g_len += size;
	g->g_n++;
	if (size < g->g_size)
		g->g_closed = 1;
	tx->t_new.s_bytes += len;
	/* While it is in the cache. */
	if (++tx->t_nitem - tx->t_nsealed == WG_BATCH)
		batch_seal(tx);
}

/* Go to the next packet to be segmented. 0: there is none. */
static int
batch_next(struct tx *tx)
{
	if (tx->t_curpkt != -1)
		tx->t_curpkt = tx->t_pkt[tx->t_curpkt].tp_next;
	else if (tx->t_cur < tx->t_ndest)
		tx->t_curpkt = tx->t_dest[tx->t_cur].d_first;
	while (tx->t_curpkt == -1 && tx->t_cur < tx->t_ndest &&
	    ++tx->t_cur < tx->t_ndest)
		tx->t_curpkt = tx->t_dest[tx->t_cur].d_first;
	return tx->t_curpkt != -1;
}

/* The queue on the way to there; NULL: none that is watched. */
static struct sendq *
dest_queue(struct tx *tx, const struct tx_dest *d)
{
	uint16_t	 af = d->d_to.pt_addr.a_af;

	/* Further sockets carry one peer each, and go unwatched. */
	if ((af != AF_WIRE_INET && af != AF_WIRE_INET6) ||
	    d->d_to.pt_addr.a_sock != 0)
		return NULL;
	return &tx->t_queue[af == AF_WIRE_INET6];
}

/* See how much waits for the wire where this batch goes. */
static void
batch_watch(struct tx *tx)
{
	struct sendq	*sq;
	unsigned int	 i;
	int		 fd;

	for (i = 0; i < tx->t_ndest; i++) {
		if ((sq = dest_queue(tx, &tx->t_dest[i])) == NULL)
			continue;
		fd = tx->t_udp[sq - tx->t_queue].uo_fd;
		if (fd != -1 && sendq_due(sq, tx->t_now))
			sendq_sample(sq, os_sock_queued(fd), tx->t_now);
	}
}

/* What waits on the way to there; NULL: nothing does. */
static struct sendq *
batch_queue(struct tx *tx, const struct tx_dest *d)
{
	struct sendq	*sq = dest_queue(tx, d);

	return sq != NULL && sendq_busy(sq) ? sq : NULL;
}

/* The flow of a packet, for the queue to know it again. */
static uint32_t
flow_of(const struct tx_pkt *tp)
{
	struct pkt	 pkt;

	pkt_parse(&pkt, tp->tp_data, tp->tp_len);
	return pkt_flow(&pkt, 0);
}

/*
 * May the next segment, for which there is room, join the queue, marked? If
 * not, it is left out, and so is a group that was begun for it. To be asked
 * once: it is booked with the queue.
 */
static enum sendq_verdict
batch_admit(struct tx *tx, struct sendq *sq, struct tx_pkt *tp, uint32_t flow,
    size_t len)
{
	enum sendq_verdict	 v;

	v = sendq_check(sq, flow, len, ecn_of(tp->tp_data) != ECN_NOT,
	    tx->t_now);
	if (v == SENDQ_DROP) {
		segment_skip(&tp->tp_seg);
		if (tx->t_group[tx->t_ngroup - 1].g_n == 0)
			tx->t_ngroup--;
		tx->t_new.s_drop[TXD_QUEUE]++;
	}
	return v;
}

/* As many segments as there is room for. */
static void
batch_fill(struct tx *tx)
{
	struct tx_dest	*d;
	struct tx_pkt	*tp;
	struct sendq	*sq;
	enum sendq_verdict v;
	uint32_t	 flow = 0;
	size_t		 hdr, len, size;

	if (tx->t_curpkt == -1 && !batch_next(tx))
		return;
	do {
		d = &tx->t_dest[tx->t_cur];
		tp = &tx->t_pkt[tx->t_curpkt];
		hdr = d->d_to.pt_addr.a_vni != 0 ? GENEVE_HDR_LEN : 0;
		v = SENDQ_PASS;
		if ((sq = batch_queue(tx, d)) != NULL)
			flow = flow_of(tp);
		while ((len = segment_len(&tp->tp_seg)) != 0) {
			size = wire_len(tx, len) + hdr;
			if (batch_room(tx, d, size) == -1)
				return;
			if (sq != NULL)
				v = batch_admit(tx, sq, tp, flow, len);
			if (v != SENDQ_DROP)
				batch_cut(tx, tp, len, size, v == SENDQ_MARK);
		}
	} while (batch_next(tx));
}

/* All that is not sealed yet, whoever it is for. */
static void
batch_seal(struct tx *tx)
{
	size_t	 n = tx->t_nitem - tx->t_nsealed;

	if (n == 0)
		return;
	wg_seal_many(&tx->t_item[tx->t_nsealed], n);
	tx->t_nsealed = tx->t_nitem;
	tx->t_new.s_seals++;
}

/* A group of which anything could not be sealed must not leave. */
static void
batch_check(struct tx *tx)
{
	struct tx_group	*g;
	unsigned int	 i, j, n = 0;

	tx->t_new.s_segs += tx->t_nitem;
	for (i = 0; i < tx->t_ngroup; i++) {
		g = &tx->t_group[i];
		for (j = 0; j < g->g_n; j++)
			if (tx->t_item[n + j].wi_out == -1)
				break;
		n += g->g_n;
		if (j == g->g_n)
			continue;
		tx->t_new.s_drop[TXD_SEAL] += g->g_n;
		g->g_n = g->g_len = 0;
	}
}

/* A relay gets it, besides or instead. */
static void
group_hand_over(struct tx *tx, const struct tx_group *g)
{
	struct handed	*h;

	if ((h = malloc(sizeof(*h) + g->g_len)) == NULL) {
		tx->t_new.s_drop[TXD_SEND] += g->g_n;
		return;
	}
	h->h_peer = g->g_dest->d_peer;
	h->h_region = g->g_dest->d_to.pt_relay;
	h->h_len = g->g_len;
	h->h_size = g->g_size;
	h->h_skip = g->g_addr.a_vni != 0 ? GENEVE_HDR_LEN : 0;
	h->h_n = g->g_n;
	memcpy(h->h_data, g->g_buf, g->g_len);
	STAILQ_INSERT_TAIL(&tx->t_handed, h, h_entry);
}

/* One system call's worth, from this group on; as udp_send_groups(). */
static int
batch_send_some(struct tx *tx, struct tx_group *g)
{
	struct udp_out	*uo = udp_out_of(tx, g);
	struct sendq	*sq = batch_queue(tx, g->g_dest);
	size_t		 before = 0;
	int		 error, n;

	if (sq != NULL)
		before = os_sock_queued(uo->uo_fd);
	n = udp_send_groups(uo, g, tx->t_ngroup - tx->t_gone);
	if (sq != NULL) {
		error = errno;
		sendq_sent(sq, before, os_sock_queued(uo->uo_fd));
		errno = error;
	}
	return n;
}

static int
batch_send(struct tx *tx)
{
	struct tx_group	*g;
	int		 n;

	while (tx->t_gone < tx->t_ngroup) {
		g = &tx->t_group[tx->t_gone];
		if (g->g_addr.a_af == 0 || g->g_sent == g->g_len) {
			if (g->g_n != 0 && (g->g_error ||
			    g->g_dest->d_to.pt_relay != 0))
				group_hand_over(tx, g);
			if (!g->g_error)
				tx->t_new.s_sent += g->g_n;
			tx->t_gone++;
			continue;
		}
		tx->t_new.s_calls++;
		if ((n = batch_send_some(tx, g)) != -1) {
			tx->t_new.s_sends += n;
			continue;
		}
		if (errno == EAGAIN || errno == ENOBUFS) {
			tx->t_new.s_blocked++;
			return -1;
		}
		g->g_error = 1;
		g->g_dest->d_error = errno;
	}
	return 0;
}

void
batch_cancel(struct tx *tx)
{
	tx->t_curpkt = -1;
	tx->t_cur = tx->t_ndest;
}

int
batch_sealed(const struct tx *tx)
{
	return tx->t_curpkt == -1;
}

void
batch_drop(struct tx *tx)
{
	for (; tx->t_gone < tx->t_ngroup; tx->t_gone++)
		tx->t_new.s_drop[TXD_SEND] += tx->t_group[tx->t_gone].g_n;
}

const struct addr *
batch_waits(const struct tx *tx)
{
	return &tx->t_group[tx->t_gone].g_addr;
}

int
batch_run(struct tx *tx)
{
	batch_watch(tx);
	for (;;) {
		if (!tx->t_sending) {
			batch_fill(tx);
			batch_seal(tx);
			batch_check(tx);
			tx->t_sending = 1;
		}
		if (batch_send(tx) == -1)
			return -1;
		tx->t_nitem = tx->t_nsealed = 0;
		tx->t_ngroup = tx->t_gone = 0;
		tx->t_outlen = 0;
		tx->t_sending = 0;
		if (tx->t_curpkt == -1)
			return 0;
	}
}
