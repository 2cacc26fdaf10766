/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * WireGuard handshakes: netd moves the messages, cryptod has the key.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "netd.h"

#define COOKIE_TIME	(WG_COOKIE_SECRET_TIME * NSEC)
#define CROSSED_DELAY	(200 * MSEC)
#define RELAY_DELAY	NSEC
/*
 * The peer refuses what comes too soon after another (and cannot tell two of
 * the same 17 ms apart), and the answer to the first is void by then.
 */
#define AGAIN_GAP	(3 * WG_INITIATION_GAP_MS * MSEC)
#define RECOVER_GAP	(5 * NSEC)
#define RECOVER_SCANS	20		/* of all peers, a second */

/* An initiation of someone that cryptod looks at. */
struct pending {
	struct addr	 pe_src;
	uint64_t	 pe_via;	/* peer that a relay named, or 0 */
	uint32_t	 pe_index;	/* 0: free */
	uint32_t	 pe_next;	/* free list, 1-based */
};

static struct load	 load;
static struct pending	 pending[LOAD_QUEUE_MAX];
static uint32_t		 pending_free;	/* 1-based, 0: none */
static uint32_t		 pending_used;	/* those from here were never */
static uint8_t		 own_mac1_key[WG_KEY_LEN];
static uint8_t		 own_cookie_key[WG_KEY_LEN];
static struct log_limit	 hs_limit;
static uint64_t		*active;	/* of the netd before us */
static size_t		 nactive;
static struct event	 ev_active;

static struct pending	*pending_get(const struct addr *,
		    const struct peer *);
static void	 pending_put(struct pending *);
static void	 hs_cookie_out(const uint8_t *, const uint8_t *,
		    const struct addr *, struct peer *);
static void	 hs_initiation_in(const uint8_t *, const struct addr *,
		    const struct peer *);
static void	 hs_response_in(const uint8_t *, const struct addr *,
		    const struct peer *);
static void	 hs_cookie_in(const uint8_t *, int64_t);
static int	 hs_send(struct peer *, uint8_t *, size_t,
		    const struct path_to *, int64_t);
static void	 hs_both_ways(struct peer *, struct path_to *, int64_t);
static void	 hs_again(struct peer *, int64_t);
static void	 hs_hurry(struct peer *, int64_t);
static void	 hs_install(struct peer *, struct keypair *, uint32_t);
static void	 hs_heard(struct peer *, const struct addr *, int64_t);
static void	 hs_respond(struct peer *, uint8_t *, const struct addr *,
		    int64_t);
static void	 hs_crossed(struct peer *, int64_t);
static void	 active_cb(int, short, void *);

LOCKED_CB(active_cb)

void
hs_init(void)
{
	evtimer_set(&ev_active, active_cb_locked, NULL);
}

int64_t
hs_jitter(void)
{
	return arc4random_uniform(WG_JITTER_MS + 1) * MSEC;
}

static struct pending *
pending_get(const struct addr *src, const struct peer *via)
{
	struct pending	*pe;

	if (pending_free != 0) {
		pe = &pending[pending_free - 1];
		pending_free = pe->pe_next;
	} else if (pending_used < LOAD_QUEUE_MAX)
		pe = &pending[pending_used++];
	else
		return NULL;
	pe->pe_src = *src;
	pe->pe_via = via == NULL ? 0 : via->p_id;
	pe->pe_index = idx_new(&nd.n_idx, IDX_PENDING, pe);
	return pe;
}

static void
pending_put(struct pending *pe)
{
	pe->pe_index = 0;
	pe->pe_next = pending_free;
	pending_free = pe - pending + 1;
}

void
hs_forget(struct peer *p)
{
	struct msg_u32	 m;
	struct peer_wg	*w = p->p_wg;

	if (w == NULL)
		return;
	if (w->w_hs_index != 0) {
		idx_delete(&nd.n_idx, w->w_hs_index);
		m.v = w->w_hs_index;
		(void)chan_compose(&nd.n_cryptod, IMSG_WG_CANCEL, 0, -1, &m,
		    sizeof(m));
	}
	w->w_hs_index = 0;
	w->w_hs_state = HS_NONE;
}

/* Somewhere to send an initiation to? */
static int
hs_reachable(struct peer *p, int64_t now)
{
	struct path_to	 to;
	struct addr	 a;

	return peer_dest(p, now, &to) || (p->p_path != NULL &&
	    path_blind(p->p_path, now, &a, 1) != 0);
}

/*
 * Without a path nothing is sent, but the tries are counted: when none is
 * found in time the packets that wait are dropped.
 */
void
hs_initiate(struct peer *p, int64_t now, int retry)
{
	struct msg_wg_init_req	 m;
	struct peer_wg		*w;

	if (p->p_flags & PEER_EXPIRED)
		return;
	w = peer_wg(p);
	if (!retry)
		w->w_timers.t_attempts = 0;
	if (!nd.n_have_key || !hs_reachable(p, now)) {
		if (w->w_hs_state == HS_NONE)
			w->w_hs_state = HS_WANTED;
		if (w->w_timers.t_retransmit == 0)
			w->w_timers.t_retransmit = now +
			    WG_REKEY_TIMEOUT * NSEC + hs_jitter();
		peer_soon(p, w->w_timers.t_retransmit);
		peer_external(p, now);
		return;
	}
	if (!timers_may_initiate(&w->w_timers, now))
		return;
	hs_forget(p);
	memset(&m, 0, sizeof(m));
	m.peer = p->p_id;
	m.index = w->w_hs_index = idx_new(&nd.n_idx, IDX_HANDSHAKE, p);
	w->w_hs_state = HS_ASKED;
	w->w_hs_made = now;
	timers_initiation_sent(&w->w_timers, now, hs_jitter(), retry);
	peer_soon(p, w->w_timers.t_retransmit);
	(void)chan_compose(&nd.n_cryptod, IMSG_WG_INIT_REQ, 0, -1, &m,
	    sizeof(m));
}

void
hs_path_up(struct peer *p, int64_t now)
{
	struct peer_wg	*w = p->p_wg;

	if (w == NULL)
		return;
	if (peer_ready(p, now)) {
		if (w->w_hs_state == HS_WANTED)
			w->w_hs_state = HS_NONE;
		if (w->w_nstaged != 0)
			(void)tx_flush_staged(p, now);
	} else if (w->w_hs_state == HS_WANTED)
		hs_initiate(p, now, 1);
	else if (w->w_hs_state == HS_SENT && path_trusted(p->p_path, now) &&
	    !addr_eq(&w->w_hs_to.pt_addr, &p->p_path->pa_best))
		hs_hurry(p, now);
}

/*
 * The next try is due at that time instead of 5 s after the last, and no
 * packet that waits brings it about sooner.
 */
static void
hs_again(struct peer *p, int64_t when)
{
	struct wg_timers	*t = &p->p_wg->w_timers;

	if (when < p->p_wg->w_hs_made + AGAIN_GAP)
		when = p->p_wg->w_hs_made + AGAIN_GAP;
	t->t_hs_sent = when - WG_REKEY_TIMEOUT * NSEC;
	t->t_retransmit = when;
	peer_soon(p, when);
}

/*
 * The initiation went another way, maybe nowhere: the same one goes by the
 * path too. A second one would undo the first, whose answer may be on its way
 * by a relay; the same is refused where it came twice. If that answer is
 * lost, do not wait 5 s.
 */
static void
hs_hurry(struct peer *p, int64_t now)
{
	struct peer_wg	*w = p->p_wg;
	struct path_to	 to;

	memset(&to, 0, sizeof(to));
	to.pt_addr = w->w_hs_to.pt_addr = p->p_path->pa_best;
	(void)hs_send(p, w->w_init, sizeof(w->w_init), &to, now);
	hs_again(p, now + RELAY_DELAY);
}

/*
 * An answer may have been given while we could not be reached: soon, if none
 * comes, ask again.
 */
void
hs_relay_up(uint16_t region, int64_t now)
{
	struct peer	*p;
	struct peer_wg	*w;

	for (p = peer_first(); p != NULL; p = peer_next(p)) {
		if ((w = p->p_wg) == NULL || w->w_hs_state != HS_SENT ||
		    w->w_hs_to.pt_relay != region)
			continue;
		hs_again(p, now + RELAY_DELAY);
	}
}

void
hs_blind(struct peer *p, int64_t now)
{
	struct peer_wg	*w = p->p_wg;

	if (w != NULL && w->w_hs_state == HS_WANTED && hs_reachable(p, now))
		hs_initiate(p, now, 1);
}

/* Both macs, then off it goes. */
static int
hs_send(struct peer *p, uint8_t *msg, size_t len, const struct path_to *to,
    int64_t now)
{
	struct peer_wg	*w = p->p_wg;
	const uint8_t	*cookie = NULL;

	if (w->w_cookie_time != 0 && now - w->w_cookie_time < COOKIE_TIME)
		cookie = w->w_cookie;
	if (wg_mac_append(msg, len, w->w_mac1_key, cookie) == -1)
		fatal("mac");
	memcpy(w->w_mac1, wg_mac1(msg), sizeof(w->w_mac1));
	w->w_has_mac1 = 1;
	p->p_tx += len;
	p->p_last_write = now;
	timers_auth_sent(&w->w_timers);
	return tx_wg(p, to, msg, len);
}

/*
 * The first handshake goes by the relay too, if there is a connection: where
 * a path has just come up a packet may be lost, and the retry is 5 s away.
 * The second copy of a message is refused and does no harm.
 */
static void
hs_both_ways(struct peer *p, struct path_to *to, int64_t now)
{
	uint16_t	 region;
	int		 up;

	if (to->pt_relay != 0 || p->p_flags & PEER_WGONLY ||
	    p->p_handshake != 0)
		return;
	region = peer_relay(p, &up);
	if (up)
		to->pt_relay = region;
}

/*
 * The same initiation to where the path leads; blindly if that is nowhere,
 * or over a relay that does not answer. 0: nowhere.
 */
static size_t
hs_send_init(struct peer *p, int64_t now)
{
	struct path_to	*to = &p->p_wg->w_hs_to, guess;
	uint8_t		*msg = p->p_wg->w_init;
	struct addr	 blind[PATH_BLIND];
	size_t		 i, n = 0;
	int		 known, up;

	memset(to, 0, sizeof(*to));
	if ((known = peer_dest(p, now, to))) {
		guess = *to;
		hs_both_ways(p, &guess, now);
		(void)hs_send(p, msg, WG_INITIATION_LEN, &guess, now);
	}
	(void)peer_relay(p, &up);
	if (p->p_path != NULL && !up)
		n = path_blind(p->p_path, now, blind, nitems(blind));
	memset(&guess, 0, sizeof(guess));
	for (i = 0; i < n; i++) {
		guess.pt_addr = blind[i];
		(void)hs_send(p, msg, WG_INITIATION_LEN, &guess, now);
	}
	return n + known;
}

int
hs_wg_init(const struct msg_wg_init *m)
{
	struct peer		*p;
	struct peer_wg		*w;
	int64_t			 now = os_now();

	if ((p = peer_find(m->peer)) == NULL || (w = p->p_wg) == NULL ||
	    w->w_hs_index != m->index || w->w_hs_state != HS_ASKED)
		return 0;		/* superseded meanwhile */
	if (m->error != MSG_OK) {
		if (log_limit(&hs_limit, now, 5, 10))
			log_warnx("no initiation to peer %llu: %s",
			    (unsigned long long)p->p_id,
			    msg_strerror(m->error));
		hs_forget(p);
		if (m->error == MSG_E_PEER)
			hs_tell_peer(p, 0);
		return 0;
	}
	memcpy(w->w_init, m->msg, sizeof(w->w_init));
	if (hs_send_init(p, now) == 0) {
		hs_forget(p);
		w->w_hs_state = HS_WANTED;
	} else
		w->w_hs_state = HS_SENT;
	peer_external(p, now);
	return 0;
}

void
hs_input(uint8_t *b, size_t len, const struct addr *src, struct peer *via,
    int64_t now)
{
	struct addr	 who = *src;
	uint8_t		 cookie[WG_COOKIE_LEN];

	if (!nd.n_have_key)
		return;
	if (wg_classify(b, len) == WG_MSG_COOKIE) {
		hs_cookie_in(b, now);
		return;
	}
	if (wg_mac1_check(b, len, own_mac1_key) == -1) {
		nd.n_rx->r_stats.s_drop[RXD_HANDSHAKE]++;
		return;
	}
	if (via != NULL)		/* all of one relay are not one */
		memcpy(who.a_ip, via->p_key, sizeof(who.a_ip));
	switch (load_check(&load, b, len, &who, now, cookie)) {
	case LOAD_PASS:
		break;
	case LOAD_COOKIE:
		hs_cookie_out(b, cookie, src, via);
		/* FALLTHROUGH */
	default:
		nd.n_rx->r_stats.s_drop[RXD_LOAD]++;
		return;
	}
	if (wg_classify(b, len) == WG_MSG_INITIATION)
		hs_initiation_in(b, src, via);
	else
		hs_response_in(b, src, via);
}

/* Back to where the message came from. */
static void
hs_cookie_out(const uint8_t *b, const uint8_t *cookie,
    const struct addr *src, struct peer *via)
{
	struct path_to	 to;
	uint8_t		 nonce[WG_COOKIE_NONCE_LEN];
	uint8_t		 reply[WG_COOKIE_REPLY_LEN];

	arc4random_buf(nonce, sizeof(nonce));
	if (wg_cookie_reply(b, own_cookie_key, nonce, cookie, reply) == -1)
		return;
	memset(&to, 0, sizeof(to));
	if (via != NULL)
		to.pt_relay = src->a_port;
	else
		to.pt_addr = *src;
	(void)tx_wg(via, &to, reply, sizeof(reply));
}

static void
hs_initiation_in(const uint8_t *b, const struct addr *src,
    const struct peer *via)
{
	struct msg_wg_init_in	 m;
	struct pending		*pe;

	if ((pe = pending_get(src, via)) == NULL) {
		nd.n_rx->r_stats.s_drop[RXD_LOAD]++;
		return;
	}
	memset(&m, 0, sizeof(m));
	m.index = pe->pe_index;
	memcpy(m.msg, b, sizeof(m.msg));
	if (chan_compose(&nd.n_cryptod, IMSG_WG_INIT_IN, 0, -1, &m,
	    sizeof(m)) == -1) {
		idx_delete(&nd.n_idx, pe->pe_index);
		pending_put(pe);
		return;
	}
	load.l_pending++;
}

/* Only the answer to the latest initiation is of any use. */
static void
hs_response_in(const uint8_t *b, const struct addr *src,
    const struct peer *via)
{
	struct msg_wg_resp_in	 m;
	struct idx_entry	*ie;
	struct peer_wg		*w;

	ie = idx_find(&nd.n_idx, wg_receiver(b));
	if (ie == NULL || ie->ie_kind != IDX_HANDSHAKE ||
	    (via != NULL && via != ie->ie_ptr)) {
		nd.n_rx->r_stats.s_drop[RXD_HANDSHAKE]++;
		return;
	}
	w = ((struct peer *)ie->ie_ptr)->p_wg;
	if (w->w_hs_state != HS_SENT)
		return;
	w->w_resp_src = *src;
	memset(&m, 0, sizeof(m));
	m.index = ie->ie_index;
	memcpy(m.msg, b, sizeof(m.msg));
	if (chan_compose(&nd.n_cryptod, IMSG_WG_RESP_IN, 0, -1, &m,
	    sizeof(m)) == 0)
		load.l_pending++;
}

static void
hs_cookie_in(const uint8_t *b, int64_t now)
{
	struct idx_entry	*ie;
	struct peer		*p;
	struct peer_wg		*w;

	ie = idx_find(&nd.n_idx, wg_receiver(b));
	if (ie == NULL || ie->ie_kind == IDX_PENDING)
		return;
	p = ie->ie_kind == IDX_KEYPAIR ?
	    ((struct keypair *)ie->ie_ptr)->k_peer : ie->ie_ptr;
	w = p->p_wg;
	if (!w->w_has_mac1 || wg_cookie_open(b, w->w_cookie_key, w->w_mac1,
	    w->w_cookie) == -1) {
		nd.n_rx->r_stats.s_drop[RXD_HANDSHAKE]++;
		return;
	}
	w->w_cookie_time = now;
}

/* The index stands for the key pair from now on. */
static void
hs_install(struct peer *p, struct keypair *k, uint32_t index)
{
	struct idx_entry	*ie;

	if ((ie = idx_find(&nd.n_idx, index)) == NULL)
		fatalx("index of a handshake is gone");
	ie->ie_kind = IDX_KEYPAIR;
	ie->ie_ptr = k;
	k->k_peer = p;
	p->p_rx += k->k_initiator ? WG_RESPONSE_LEN : WG_INITIATION_LEN;
}

int
hs_wg_resp(const struct msg_wg_resp *m)
{
	struct idx_entry	*ie;
	struct keypair		*k;
	struct pending		*pe;
	struct peer		*p;
	struct addr		 src;
	uint8_t			 msg[WG_RESPONSE_LEN];
	uint64_t		 via;
	int64_t			 now = os_now();

	ie = idx_find(&nd.n_idx, m->index);
	if (ie == NULL || ie->ie_kind != IDX_PENDING)
		return -1;
	pe = ie->ie_ptr;
	src = pe->pe_src;
	via = pe->pe_via;
	pending_put(pe);
	if (load.l_pending > 0)
		load.l_pending--;
	p = m->error == MSG_OK ? peer_find(m->peer) : NULL;
	if (p == NULL || p->p_flags & PEER_EXPIRED ||
	    (via != 0 && via != p->p_id)) {
		idx_delete(&nd.n_idx, m->index);
		nd.n_rx->r_stats.s_drop[RXD_HANDSHAKE]++;
		return 0;
	}
	memcpy(p->p_stamp, m->stamp, sizeof(p->p_stamp));
	(void)peer_wg(p);
	/* First the keys, then the answer: what follows it must be read. */
	k = keypair_new(m->send, m->recv, m->index, m->remote, 0, now);
	hs_install(p, k, m->index);
	slots_responder(&p->p_wg->w_slots, &nd.n_idx, k);
	memcpy(msg, m->msg, sizeof(msg));
	hs_respond(p, msg, &src, now);
	return 0;
}

/* An authentic handshake message came from there. */
static void
hs_heard(struct peer *p, const struct addr *src, int64_t now)
{
	if (p->p_flags & PEER_WGONLY)
		wgonly_heard(peer_path(p), src, now);
	else if (src->a_af != ADDR_DERP && src->a_vni == 0)
		path_heard(peer_path(p), src, now);
}

/*
 * To where the path leads; to where the initiation came from, which is
 * authentic, if that is not sure and no relay will do.
 */
static void
hs_respond(struct peer *p, uint8_t *msg, const struct addr *src, int64_t now)
{
	struct wg_timers	*t = &p->p_wg->w_timers;
	struct path_to		 to;

	hs_heard(p, src, now);
	memset(&to, 0, sizeof(to));
	if (!peer_dest(p, now, &to) && src->a_af == ADDR_DERP)
		to.pt_relay = src->a_port;
	else if (to.pt_relay == 0 && src->a_af != ADDR_DERP &&
	    !path_trusted(peer_path(p), now))
		to.pt_addr = *src;
	hs_both_ways(p, &to, now);
	timers_derived(t, now);
	timers_auth_received(t);
	(void)hs_send(p, msg, WG_RESPONSE_LEN, &to, now);
	timers_response_sent(t, now);
	if (p->p_wg->w_hs_state == HS_ASKED || p->p_wg->w_hs_state == HS_SENT)
		hs_crossed(p, now);
	peer_soon(p, t->t_wipe);
	peer_external(p, now);
}

/*
 * Both sides began at once. To accept the peer's initiation has ended ours,
 * and likely the same happened there: nobody would complete before the retry
 * in 5 s. The one with the greater key tries again soon.
 */
static void
hs_crossed(struct peer *p, int64_t now)
{
	hs_forget(p);
	if (memcmp(nd.n_key, p->p_key, MSG_KEY_LEN) < 0)
		return;
	hs_again(p, now + CROSSED_DELAY);
}

int
hs_wg_keys(const struct msg_wg_keys *m)
{
	struct keypair	*k;
	struct peer	*p;
	struct peer_wg	*w;
	int64_t		 now = os_now();

	if (load.l_pending > 0)
		load.l_pending--;
	if ((p = peer_find(m->peer)) == NULL || (w = p->p_wg) == NULL ||
	    w->w_hs_index != m->index || w->w_hs_state != HS_SENT)
		return 0;
	if (m->error != MSG_OK) {
		nd.n_rx->r_stats.s_drop[RXD_HANDSHAKE]++;
		return 0;		/* forged: the true one may come */
	}
	k = keypair_new(m->send, m->recv, m->index, m->remote, 1, now);
	hs_install(p, k, m->index);
	w->w_hs_index = 0;
	w->w_hs_state = HS_NONE;
	slots_initiator(&w->w_slots, &nd.n_idx, k);
	timers_derived(&w->w_timers, now);
	timers_auth_received(&w->w_timers);
	hs_heard(p, &w->w_resp_src, now);
	hs_confirmed(p, now);
	return 0;
}

/* Keys are in use on both sides. A keepalive tells the responder so. */
void
hs_confirmed(struct peer *p, int64_t now)
{
	struct keypair	*k = p->p_wg->w_slots.sl_cur;

	timers_complete(&p->p_wg->w_timers);
	p->p_handshake = os_date();
	tsmp_advertise(p, now);
	if (!tx_flush_staged(p, now) && k->k_initiator &&
	    k->k_counter == 0)
		(void)tx_own(p, NULL, 0, now);
	peer_rearm(p);
	hs_active_changed();
}

void
hs_tell_peer(const struct peer *p, int gone)
{
	struct msg_wg_peer	 m;

	memset(&m, 0, sizeof(m));
	m.peer = p->p_id;
	m.remove = gone;
	memcpy(m.key, p->p_key, sizeof(m.key));
	memcpy(m.stamp, p->p_stamp, sizeof(m.stamp));
	(void)chan_compose(&nd.n_cryptod, IMSG_WG_PEER, 0, -1, &m, sizeof(m));
}

/* Sessions end, and begin anew where there were any. */
void
hs_reset(struct peer *p, int64_t now)
{
	struct peer_wg	*w = p->p_wg;
	int		 was;

	if (w == NULL)
		return;
	was = w->w_slots.sl_cur != NULL || w->w_nstaged != 0;
	hs_forget(p);
	slots_wipe(&w->w_slots, &nd.n_idx);
	timers_init(&w->w_timers);
	w->w_cookie_time = 0;
	w->w_has_mac1 = 0;
	if (wg_mac1_key(p->p_key, w->w_mac1_key) == -1 ||
	    wg_cookie_key(p->p_key, w->w_cookie_key) == -1)
		fatal("peer keys");
	if (was)
		hs_initiate(p, now, 0);
	else
		peer_wipe(p);
	peer_rearm(p);
}

void
hs_set_key(const uint8_t *key)
{
	struct peer	*p;
	int64_t		 now = os_now();
	int		 had = nd.n_have_key;

	if (had && memcmp(nd.n_key, key, MSG_KEY_LEN) == 0)
		return;
	memcpy(nd.n_key, key, MSG_KEY_LEN);
	nd.n_have_key = !key_is_zero(key, MSG_KEY_LEN);
	if (nd.n_have_key && (wg_mac1_key(key, own_mac1_key) == -1 ||
	    wg_cookie_key(key, own_cookie_key) == -1))
		fatal("own keys");
	for (p = peer_first(); had && p != NULL; p = peer_next(p))
		hs_reset(p, now);
}

/* Whoever waits for a handshake gets another try. */
void
hs_kick(void)
{
	struct peer	*p;
	int64_t		 now = os_now();

	for (p = peer_first(); p != NULL; p = peer_next(p)) {
		if (p->p_wg == NULL || p->p_wg->w_hs_state != HS_WANTED)
			continue;
		p->p_wg->w_timers.t_hs_sent = now - WG_REKEY_TIMEOUT * NSEC;
		hs_initiate(p, now, 1);
	}
}

/*
 * What the old cryptod knew of handshakes is gone with it. The new one says
 * KEYS when it can make others.
 */
void
hs_cryptod_new(void)
{
	struct peer	*p;
	struct peer_wg	*w;
	uint32_t	 i;

	for (i = 0; i < pending_used; i++) {
		if (pending[i].pe_index == 0)
			continue;
		idx_delete(&nd.n_idx, pending[i].pe_index);
		pending_put(&pending[i]);
	}
	load.l_pending = 0;
	for (p = peer_first(); p != NULL; p = peer_next(p)) {
		hs_tell_peer(p, 0);
		w = p->p_wg;
		if (w == NULL || w->w_hs_state == HS_NONE)
			continue;
		hs_forget(p);
		w->w_hs_state = HS_WANTED;
	}
}

void
hs_recover(struct peer *p, const struct addr *src, int64_t now)
{
	struct path	*pa = p->p_path;
	uint32_t	 i;
	int		 known = src == NULL || src->a_af == ADDR_DERP;

	for (i = 0; i < p->p_neps && !known; i++)
		known = addr_eq(&p->p_eps[i], src);
	for (i = 0; pa != NULL && i < pa->pa_ncand && !known; i++)
		known = addr_eq(&pa->pa_cand[i].pc_addr, src);
	if (!known || (p->p_recover != 0 && now - p->p_recover < RECOVER_GAP))
		return;
	if (p->p_wg != NULL && keypair_usable(p->p_wg->w_slots.sl_cur, now))
		return;
	p->p_recover = now;
	hs_initiate(p, now, 0);
}

/*
 * A peer that we may have shared keys with before this process was replaced
 * goes on sending under them. Anyone can send such datagrams: the search
 * through all peers has its own limit.
 */
void
hs_unknown_index(const struct addr *src, struct peer *via, int64_t now)
{
	static int64_t		 second;
	static unsigned int	 scans;
	struct peer		*p;

	if (now - second >= NSEC) {
		second = now;
		scans = 0;
	}
	if (via != NULL) {
		hs_recover(via, src, now);
		return;
	}
	if (scans++ >= RECOVER_SCANS)
		return;
	for (p = peer_first(); p != NULL; p = peer_next(p))
		hs_recover(p, src, now);
}

int
hs_active_message(struct imsg *imsg)
{
	struct msg_nm_list	 ml;
	const uint8_t		*elems;

	if (msg_list(imsg, &ml, sizeof(ml), &elems) == -1 ||
	    msg_list_ok(imsg, sizeof(ml), ml.n, sizeof(*active)) == -1)
		return -1;
	free(active);
	if ((active = calloc(ml.n + 1, sizeof(*active))) == NULL)
		fatal(NULL);
	nactive = ml.n;
	memcpy(active, elems, nactive * sizeof(*active));
	hs_active_start();
	return 0;
}

/* Called when peers have come: those that were active are wanted again. */
void
hs_active_start(void)
{
	struct peer	*p;
	int64_t		 now = os_now();
	size_t		 i;

	if (peer_first() == NULL)
		return;
	for (i = 0; i < nactive; i++) {
		p = peer_find(active[i]);
		if (p != NULL && (p->p_wg == NULL ||
		    p->p_wg->w_slots.sl_cur == NULL))
			hs_initiate(p, now, 0);
	}
	free(active);
	active = NULL;
	nactive = 0;
}

void
hs_active_changed(void)
{
	struct timeval	 tv = { 1, 0 };

	if (!evtimer_pending(&ev_active, NULL))
		evtimer_add(&ev_active, &tv);
}

static void
active_cb(int fd, short events, void *arg)
{
	struct msg_nm_list	 ml;
	struct msg_nm_id	 id[MSG_LIST_MAX];
	struct peer		*p;

	memset(&ml, 0, sizeof(ml));
	memset(id, 0, sizeof(id));
	for (p = peer_first(); p != NULL; p = peer_next(p)) {
		if (p->p_wg == NULL || p->p_wg->w_slots.sl_cur == NULL)
			continue;
		if (ml.n == MSG_LIST_MAX)
			break;
		id[ml.n++].id = p->p_id;
	}
	(void)chan_compose2(proc_parent(), IMSG_WG_ACTIVE, 0, -1, &ml,
	    sizeof(ml), id, ml.n * sizeof(id[0]));
}
