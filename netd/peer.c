/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Peers: the table, their timers, and packets that wait.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hardnat.h"
#include "keys.h"
#include "netd.h"

#define TIMER_BATCH	256		/* peers served in one turn */

static struct peer_ids		 peers = RB_INITIALIZER(&peers);
static struct peer_discos	 discos = RB_INITIALIZER(&discos);
static struct peer_keys		 keys = RB_INITIALIZER(&keys);
static size_t			 npeers;
static struct event		 ev_timer;
static int64_t			 ev_when;	/* 0: not set */

static int	 cmp_id(struct peer *, struct peer *);
static int	 cmp_disco(struct peer *, struct peer *);
static int	 cmp_key(struct peer *, struct peer *);
static void	 timer_set(void);
static void	 timer_cb(int, short, void *);
static void	 peer_timer(struct peer *, int64_t);
static void	 min_deadline(int64_t *, int64_t);

LOCKED_CB(timer_cb)

RB_PROTOTYPE(peer_ids, peer, p_by_id, cmp_id);
RB_PROTOTYPE(peer_discos, peer, p_by_disco, cmp_disco);
RB_PROTOTYPE(peer_keys, peer, p_by_key, cmp_key);
RB_GENERATE(peer_ids, peer, p_by_id, cmp_id);
RB_GENERATE(peer_discos, peer, p_by_disco, cmp_disco);
RB_GENERATE(peer_keys, peer, p_by_key, cmp_key);

static int
cmp_id(struct peer *a, struct peer *b)
{
	return a->p_id < b->p_id ? -1 : a->p_id > b->p_id;
}

/* Several nodes may share a disco key: one machine, several accounts. */
static int
cmp_disco(struct peer *a, struct peer *b)
{
	int	 c;

	c = memcmp(a->p_disco, b->p_disco, sizeof(a->p_disco));
	return c != 0 ? c : cmp_id(a, b);
}

/* The server should see to it that keys differ; if not, each is found. */
static int
cmp_key(struct peer *a, struct peer *b)
{
	int	 c;

	c = memcmp(a->p_key, b->p_key, sizeof(a->p_key));
	return c != 0 ? c : cmp_id(a, b);
}

struct peer *
peer_find(uint64_t id)
{
	struct peer	 key;

	key.p_id = id;
	return RB_FIND(peer_ids, &peers, &key);
}

struct peer *
peer_find_disco(const uint8_t *disco)
{
	struct peer	 key, *p;

	key.p_id = 0;
	memcpy(key.p_disco, disco, sizeof(key.p_disco));
	p = RB_NFIND(peer_discos, &discos, &key);
	if (p == NULL || memcmp(p->p_disco, disco, MSG_KEY_LEN) != 0)
		return NULL;
	return p;
}

struct peer *
peer_find_key(const uint8_t *pub)
{
	struct peer	 key, *p;

	key.p_id = 0;
	memcpy(key.p_key, pub, sizeof(key.p_key));
	p = RB_NFIND(peer_keys, &keys, &key);
	if (p == NULL || memcmp(p->p_key, pub, MSG_KEY_LEN) != 0)
		return NULL;
	return p;
}

struct peer *
peer_next_disco(struct peer *p)
{
	struct peer	*next;

	next = RB_NEXT(peer_discos, &discos, p);
	if (next == NULL ||
	    memcmp(next->p_disco, p->p_disco, MSG_KEY_LEN) != 0)
		return NULL;
	return next;
}

struct peer *
peer_first(void)
{
	return RB_MIN(peer_ids, &peers);
}

struct peer *
peer_next(struct peer *p)
{
	return RB_NEXT(peer_ids, &peers, p);
}

size_t
peer_count(void)
{
	return npeers;
}

struct peer *
peer_new(uint64_t id, const uint8_t *key)
{
	struct peer	*p;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		fatal(NULL);
	p->p_id = id;
	memcpy(p->p_key, key, sizeof(p->p_key));
	RB_INSERT(peer_ids, &peers, p);
	RB_INSERT(peer_keys, &keys, p);
	npeers++;
	return p;
}

void
peer_set_disco(struct peer *p, const uint8_t *disco)
{
	if (!key_is_zero(p->p_disco, sizeof(p->p_disco)))
		RB_REMOVE(peer_discos, &discos, p);
	disco_key_release(p);
	memcpy(p->p_disco, disco, sizeof(p->p_disco));
	if (!key_is_zero(p->p_disco, sizeof(p->p_disco)))
		RB_INSERT(peer_discos, &discos, p);
}

void
peer_delete(struct peer *p)
{
	static const uint8_t	 none[MSG_KEY_LEN];

	relayc_forget(p);
	hardnat_forget(p);
	peer_wipe(p);
	peer_set_disco(p, none);
	heap_remove(&nd.n_heap, &p->p_timer);
	if (p->p_want != 0)
		TAILQ_REMOVE(&nd.n_wanted, p, p_wanted);
	RB_REMOVE(peer_ids, &peers, p);
	RB_REMOVE(peer_keys, &keys, p);
	path_free(p->p_path);
	free(p->p_allowed);
	free(p->p_eps);
	free(p->p_caps);
	free(p->p_masq);
	free(p);
	npeers--;
}

struct peer_wg *
peer_wg(struct peer *p)
{
	struct peer_wg	*w;

	if (p->p_wg != NULL)
		return p->p_wg;
	if ((w = calloc(1, sizeof(*w))) == NULL)
		fatal(NULL);
	timers_init(&w->w_timers);
	STAILQ_INIT(&w->w_staged);
	if (wg_mac1_key(p->p_key, w->w_mac1_key) == -1 ||
	    wg_cookie_key(p->p_key, w->w_cookie_key) == -1)
		fatal("peer keys");
	p->p_wg = w;
	return w;
}

struct path *
peer_path(struct peer *p)
{
	if (p->p_path == NULL) {
		if ((p->p_path = calloc(1, sizeof(*p->p_path))) == NULL)
			fatal(NULL);
		path_netmap(p->p_path, p->p_eps, p->p_neps);
	}
	return p->p_path;
}

void
peer_wipe(struct peer *p)
{
	struct peer_wg	*w = p->p_wg;

	if (w == NULL)
		return;
	peer_unstage_all(p);
	hs_forget(p);
	slots_wipe(&w->w_slots, &nd.n_idx);
	p->p_wg = NULL;
	freezero(w, sizeof(*w));
	hs_active_changed();
}

uint16_t
peer_relay(const struct peer *p, int *up)
{
	uint16_t	 region = 0;

	*up = 0;
	if ((p->p_flags & PEER_WGONLY) == 0)
		region = derp_route(p->p_key, p->p_derp);
	if (region == 0 || derpmap_region(region) == NULL)
		return 0;
	*up = derp_connected(region);
	return region;
}

/* A path that is sure has no need of the search for a relay. */
int
peer_dest(struct peer *p, int64_t now, struct path_to *to)
{
	struct path	*pa = p->p_path;
	uint16_t	 relay;
	int		 up;

	if (p->p_flags & PEER_WGONLY)
		return wgonly_dest(peer_path(p), now, to);
	if (pa != NULL && path_trusted(pa, now)) {
		to->pt_addr = pa->pa_best;
		to->pt_relay = 0;
		to->pt_ecn = 0;
		return 1;
	}
	relay = peer_relay(p, &up);
	if (pa != NULL)
		return path_dest(pa, now, relay, up, to);
	memset(to, 0, sizeof(*to));
	to->pt_relay = relay;
	return relay != 0;
}

void
peer_best(struct peer *p, int64_t now, struct addr *a)
{
	struct path_to	 to;

	memset(a, 0, sizeof(*a));
	if (!peer_dest(p, now, &to))
		return;
	if (to.pt_addr.a_af != 0 && to.pt_relay == 0)
		*a = to.pt_addr;
	else if (to.pt_relay != 0)
		addr_from_derp(a, to.pt_relay);
}

int
peer_ready(struct peer *p, int64_t now)
{
	struct path_to	 to;

	return p->p_wg != NULL &&
	    keypair_usable(p->p_wg->w_slots.sl_cur, now) &&
	    peer_dest(p, now, &to);
}

void
peer_external(struct peer *p, int64_t now)
{
	struct path	*pa;

	if (p->p_flags & PEER_WGONLY)
		return;
	pa = peer_path(p);
	path_external(pa, now);
	peer_soon(p, pa->pa_heartbeat);
	if (!path_trusted(pa, now))
		disco_discover(p, now);
}

void
peer_external_tx(struct peer *p, int64_t now)
{
	struct path	*pa;

	if (p->p_flags & PEER_WGONLY)
		return;
	pa = peer_path(p);
	path_external(pa, now);
	peer_want_timer(p, pa->pa_heartbeat);
	if (!path_trusted(pa, now))
		peer_want(p, WANT_PATH);
}

void
peer_want(struct peer *p, unsigned int what)
{
	if (p->p_want == 0)
		TAILQ_INSERT_TAIL(&nd.n_wanted, p, p_wanted);
	p->p_want |= what;
}

void
peer_want_timer(struct peer *p, int64_t when)
{
	if (when != 0 &&
	    (p->p_timer.hn_pos == 0 || p->p_timer.hn_when > when))
		peer_want(p, WANT_TIMER);
}

/* What is wanted meanwhile, by these, waits for the next time. */
void
peer_wanted(int64_t now)
{
	struct wanted_head	 todo = TAILQ_HEAD_INITIALIZER(todo);
	struct peer		*p;
	unsigned int		 what;

	TAILQ_CONCAT(&todo, &nd.n_wanted, p_wanted);
	while ((p = TAILQ_FIRST(&todo)) != NULL) {
		TAILQ_REMOVE(&todo, p, p_wanted);
		what = p->p_want;
		p->p_want = 0;
		if (what & WANT_HANDSHAKE)
			hs_initiate(p, now, 0);
		if (what & WANT_FLUSH)
			(void)tx_flush(p, now);
		if (what & WANT_PATH && p->p_path != NULL &&
		    !path_trusted(p->p_path, now))
			disco_discover(p, now);
		if (what & WANT_TIMER)
			peer_rearm(p);
	}
}

/*
 * Prefixes are the peer's own: two exit nodes may both have all of the
 * Internet. But what a prefix covers that is wider than one address must not
 * be the very address of another node, or of this one.
 */
int
peer_allows(const struct peer *p, uint8_t af, const uint8_t *ip)
{
	const struct msg_prefix	*pfx;
	const struct msg_ip	*own;
	struct peer		*owner;
	uint32_t		 i;
	int			 wide = 0;

	for (i = 0; i < p->p_nallowed; i++) {
		pfx = &p->p_allowed[i];
		if (!prefix_has(pfx, af, ip))
			continue;
		if (pfx->plen == (af == AF_WIRE_INET ? 32 : 128))
			return 1;
		wide = 1;
	}
	if (!wide)
		return 0;
	own = self_addr(af);
	if (own != NULL && memcmp(own->addr, ip,
	    af == AF_WIRE_INET ? 4 : 16) == 0)
		return 0;
	owner = routes_find_host(nd.n_routes, af, ip);
	return owner == NULL || owner == p;
}

/* Packets that wait for a session: the oldest go first when it is too much. */
void
peer_stage(struct peer *p, const struct vnet_hdr *vh, const uint8_t *pkt,
    size_t len)
{
	struct peer_wg	*w = peer_wg(p);
	struct staged	*st;

	while (!STAILQ_EMPTY(&w->w_staged) &&
	    (w->w_nstaged >= STAGED_MAX ||
	    w->w_staged_bytes + len > STAGED_BYTES)) {
		tx_drop(TXD_STAGED, 1);
		peer_unstage(p, STAILQ_FIRST(&w->w_staged));
	}
	if (nd.n_staged + len > STAGED_TOTAL ||
	    (st = malloc(sizeof(*st) + len)) == NULL) {
		tx_drop(TXD_STAGED, 1);
		return;
	}
	st->st_vnet = *vh;
	st->st_len = len;
	memcpy(st->st_pkt, pkt, len);
	STAILQ_INSERT_TAIL(&w->w_staged, st, st_entry);
	w->w_nstaged++;
	w->w_staged_bytes += len;
	nd.n_staged += len;
}

/* Only the first one can go. */
void
peer_unstage(struct peer *p, struct staged *st)
{
	struct peer_wg	*w = p->p_wg;

	STAILQ_REMOVE_HEAD(&w->w_staged, st_entry);
	w->w_nstaged--;
	w->w_staged_bytes -= st->st_len;
	nd.n_staged -= st->st_len;
	freezero(st, sizeof(*st) + st->st_len);
}

void
peer_unstage_all(struct peer *p)
{
	struct staged	*st;

	while ((st = STAILQ_FIRST(&p->p_wg->w_staged)) != NULL) {
		tx_drop(TXD_STAGED, 1);
		peer_unstage(p, st);
	}
}

void
peer_timers_init(void)
{
	TAILQ_INIT(&nd.n_wanted);
	STAILQ_INIT(&nd.n_handed);
	evtimer_set(&ev_timer, timer_cb_locked, NULL);
}

/* One timer of the loop serves the first of the heap. */
static void
timer_set(void)
{
	struct heap_node	*hn;
	struct timeval		 tv;
	int64_t			 left;

	if ((hn = heap_first(&nd.n_heap)) == NULL) {
		evtimer_del(&ev_timer);
		ev_when = 0;
		return;
	}
	if (ev_when != 0 && ev_when <= hn->hn_when)
		return;			/* it comes early and looks again */
	ev_when = hn->hn_when;
	left = ev_when - os_now();
	if (left < 0)
		left = 0;
	tv.tv_sec = left / NSEC;
	tv.tv_usec = left % NSEC / 1000 + 1;
	evtimer_add(&ev_timer, &tv);
}

static void
timer_cb(int fd, short events, void *arg)
{
	struct heap_node	*hn;
	int64_t			 now = os_now();
	int			 i;

	ev_when = 0;
	for (i = 0; i < TIMER_BATCH; i++) {
		hn = heap_first(&nd.n_heap);
		if (hn == NULL || hn->hn_when > now)
			break;
		peer_timer((struct peer *)(void *)((char *)hn -
		    offsetof(struct peer, p_timer)), now);
	}
	timer_set();
}

/*
 * The loop's timers stand still while the machine sleeps, os_now() does not:
 * what has become due meanwhile must not wait as long again.
 */
void
peer_timers_poke(int64_t now)
{
	if (peer_timers_late(now))
		timer_cb(-1, 0, NULL);
}

int
peer_timers_late(int64_t now)
{
	return ev_when != 0 && now - ev_when > NSEC;
}

static void
peer_timer(struct peer *p, int64_t now)
{
	unsigned int	 todo = 0;

	if (p->p_wg != NULL)
		todo = timers_run(&p->p_wg->w_timers, now);
	if (todo & TIMER_WIPE)
		peer_wipe(p);
	else if (todo & TIMER_GIVE_UP) {
		hs_forget(p);
		peer_unstage_all(p);
	} else if (todo & (TIMER_INITIATE | TIMER_RETRY))
		hs_initiate(p, now, (todo & TIMER_INITIATE) == 0);
	if (todo & TIMER_KEEPALIVE && p->p_wg != NULL &&
	    p->p_wg->w_nstaged == 0)
		(void)tx_own(p, NULL, 0, now);
	disco_timer(p, now);
	peer_rearm(p);
}

static void
min_deadline(int64_t *best, int64_t when)
{
	if (when != 0 && (*best == 0 || when < *best))
		*best = when;
}

/* A peer with nothing left to wait for gives its memory back. */
void
peer_rearm(struct peer *p)
{
	int64_t	 next = 0;

	if (p->p_wg != NULL)
		min_deadline(&next, timers_next(&p->p_wg->w_timers));
	if (p->p_path != NULL)
		min_deadline(&next, path_next(p->p_path));
	if (next == 0) {
		heap_remove(&nd.n_heap, &p->p_timer);
		if (p->p_wg == NULL) {
			path_free(p->p_path);
			p->p_path = NULL;
			disco_key_release(p);
		}
	} else
		heap_set(&nd.n_heap, &p->p_timer, next);
	timer_set();
}

void
peer_soon(struct peer *p, int64_t when)
{
	if (when == 0 ||
	    (p->p_timer.hn_pos != 0 && p->p_timer.hn_when <= when))
		return;
	heap_set(&nd.n_heap, &p->p_timer, when);
	timer_set();
}
