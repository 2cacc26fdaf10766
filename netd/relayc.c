/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Peer relays as their client: ask one for a place, bind to it, and see
 * whether the peer answers there (dataplane.md 2.14).
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "disco.h"
#include "netd.h"

#define ASKS_MAX	256		/* requests under way */
#define BINDS_MAX	256		/* places that are tried */
#define PER_PEER	8		/* of one peer */
#define ADDRS_MAX	16		/* of one relay */
#define PINGS_MAX	10		/* to the peer, over one relay */
#define RELAY_CAP	121
#define ASK_AGAIN	(3 * NSEC)
#define ASK_END		(10 * NSEC)
#define BIND_AGAIN	NSEC
#define BIND_TRIES	3
#define BIND_END	(30 * NSEC)
#define SEARCH_GAP	(30 * NSEC)
#define UPGRADE_GAP	(60 * NSEC)

/* A relay was asked for a place. */
struct ask {
	TAILQ_ENTRY(ask) as_entry;
	uint64_t	 as_peer;	/* to be reached */
	uint64_t	 as_server;
	uint32_t	 as_gen;
	int		 as_again;	/* asked twice */
	int64_t		 as_sent;
};

/* A place, tried. */
struct place {
	TAILQ_ENTRY(place) pl_entry;
	uint64_t	 pl_peer;
	uint8_t		 pl_server[MSG_KEY_LEN];
	uint8_t		 pl_remote[MSG_KEY_LEN];	/* disco of peer */
	uint64_t	 pl_lamport;
	uint32_t	 pl_vni;
	uint32_t	 pl_gen;
	struct addr	 pl_at[ADDRS_MAX];
	unsigned int	 pl_nat;
	unsigned int	 pl_pings;
	unsigned int	 pl_binds;
	struct addr	 pl_bound;	/* with VNI; a_af 0: not yet */
	int64_t		 pl_again;
	int64_t		 pl_until;
};

static TAILQ_HEAD(, ask)	 asks = TAILQ_HEAD_INITIALIZER(asks);
static TAILQ_HEAD(, place)	 places = TAILQ_HEAD_INITIALIZER(places);
static unsigned int	 nasks, nplaces;
static uint32_t		 generation;
static struct event	 ev_relay;
static int		 ev_ready;

static void	 relayc_arm(void);
static void	 relayc_cb(int, short, void *);
static void	 ask_send(struct ask *);
static void	 ask_delete(struct ask *);
static void	 place_delete(struct place *);
static void	 place_new(struct peer *, const struct disco_msg *, int64_t);
static void	 place_bind(struct place *, int64_t);
static void	 place_ping(struct place *, int64_t);

LOCKED_CB(relayc_cb)

static uint32_t
next_generation(void)
{
	if (++generation == 0)
		generation = 1;
	return generation;
}

static int
forbidden(void)
{
	return (nd.n_self.flags & SELF_NO_RELAY_CLIENT) != 0;
}

/* Both disco keys, in order. */
static void
pair_set(uint8_t pair[2][DISCO_KEY_LEN], const uint8_t *other)
{
	int	 swap = memcmp(nd.n_disco, other, DISCO_KEY_LEN) > 0;

	memcpy(pair[swap], nd.n_disco, DISCO_KEY_LEN);
	memcpy(pair[!swap], other, DISCO_KEY_LEN);
}

static int
pair_is(const struct disco_relay *dr, const uint8_t *other)
{
	uint8_t	 pair[2][DISCO_KEY_LEN];

	pair_set(pair, other);
	return memcmp(pair, dr->dr_client, sizeof(pair)) == 0;
}

/* --- asking --------------------------------------------------------------- */

static void
ask_send(struct ask *as)
{
	struct disco_msg	 dm;
	struct peer		*p, *server;

	if ((p = peer_find(as->as_peer)) == NULL ||
	    (server = peer_find(as->as_server)) == NULL)
		return;
	memset(&dm, 0, sizeof(dm));
	dm.dm_type = DISCO_ALLOC_REQUEST;
	dm.dm_generation = as->as_gen;
	pair_set(dm.dm_relay.dr_client, p->p_disco);
	(void)disco_by_relay(server, &dm);
}

static void
ask_new(struct peer *p, struct peer *server, int64_t now)
{
	struct ask	*as;

	if (nasks == ASKS_MAX)
		ask_delete(TAILQ_FIRST(&asks));
	if ((as = calloc(1, sizeof(*as))) == NULL)
		fatal(NULL);
	as->as_peer = p->p_id;
	as->as_server = server->p_id;
	as->as_gen = next_generation();
	as->as_sent = now;
	TAILQ_INSERT_TAIL(&asks, as, as_entry);
	nasks++;
	ask_send(as);
}

static void
ask_delete(struct ask *as)
{
	TAILQ_REMOVE(&asks, as, as_entry);
	nasks--;
	free(as);
}

void
relayc_search(struct peer *p, int64_t now)
{
	struct path	*pa = p->p_path;
	struct peer	*s;
	int		 trusted = path_trusted(pa, now);

	if (forbidden() || p->p_cap < RELAY_CAP || !netmap_any_relay() ||
	    (trusted && pa->pa_best.a_vni == 0) || (pa->pa_relay != 0 &&
	    now - pa->pa_relay < (trusted ? UPGRADE_GAP : SEARCH_GAP)))
		return;
	pa->pa_relay = now;
	for (s = peer_first(); s != NULL; s = peer_next(s))
		if (s != p && s->p_cap >= RELAY_CAP &&
		    (s->p_flags & (PEER_WGONLY | PEER_EXPIRED)) == 0 &&
		    netmap_relay(s, RELAY_SERVERS))
			ask_new(p, s, now);
	relayc_arm();
}

/* The peer shall come there, too. */
static void
call_via(struct peer *p, const struct disco_msg *answer)
{
	struct disco_msg	 dm = *answer;

	dm.dm_type = DISCO_CALL_ME_MAYBE_VIA;
	dm.dm_version = 0;
	(void)disco_by_relay(p, &dm);
}

void
relayc_answer(struct peer *server, const struct disco_msg *dm, int64_t now)
{
	struct ask	*as;
	struct peer	*p;

	TAILQ_FOREACH(as, &asks, as_entry)
		if (as->as_server == server->p_id &&
		    as->as_gen == dm->dm_generation)
			break;
	if (as == NULL || dm->dm_naddrs == 0)
		return;
	p = peer_find(as->as_peer);
	ask_delete(as);
	if (p == NULL || forbidden() || !pair_is(&dm->dm_relay, p->p_disco))
		return;
	call_via(p, dm);
	place_new(p, dm, now);
}

void
relayc_called(struct peer *p, const struct disco_msg *dm, int64_t now)
{
	if (forbidden() || p->p_cap < RELAY_CAP || dm->dm_naddrs == 0 ||
	    !pair_is(&dm->dm_relay, p->p_disco))
		return;
	place_new(p, dm, now);
}

/* --- binding -------------------------------------------------------------- */

static void
place_delete(struct place *pl)
{
	TAILQ_REMOVE(&places, pl, pl_entry);
	nplaces--;
	free(pl);
}

/* Is there something that makes this place not worth trying? */
static int
place_known(struct peer *p, const struct disco_relay *dr, int64_t now)
{
	struct place	*pl, *tmp;
	struct path	*pa = peer_path(p);
	unsigned int	 n = 0;

	if (path_trusted(pa, now) && pa->pa_best.a_vni == dr->dr_vni &&
	    memcmp(pa->pa_server, dr->dr_server, DISCO_KEY_LEN) == 0)
		return 1;
	TAILQ_FOREACH_SAFE(pl, &places, pl_entry, tmp) {
		n += pl->pl_peer == p->p_id;
		if (memcmp(pl->pl_server, dr->dr_server,
		    DISCO_KEY_LEN) != 0 || (pl->pl_peer != p->p_id &&
		    pl->pl_vni != dr->dr_vni))
			continue;
		if (pl->pl_lamport >= dr->dr_lamport)
			return 1;
		n -= pl->pl_peer == p->p_id;
		place_delete(pl);
	}
	return n >= PER_PEER || nplaces >= BINDS_MAX;
}

static void
place_new(struct peer *p, const struct disco_msg *dm, int64_t now)
{
	const struct disco_relay	*dr = &dm->dm_relay;
	struct disco_addr		 da;
	struct addr			*a;
	struct place			*pl;
	size_t				 i;

	if (dr->dr_vni == 0 || dr->dr_vni > GENEVE_VNI_MAX ||
	    place_known(p, dr, now))
		return;
	if ((pl = calloc(1, sizeof(*pl))) == NULL)
		fatal(NULL);
	pl->pl_peer = p->p_id;
	memcpy(pl->pl_server, dr->dr_server, DISCO_KEY_LEN);
	memcpy(pl->pl_remote, p->p_disco, DISCO_KEY_LEN);
	pl->pl_lamport = dr->dr_lamport;
	pl->pl_vni = dr->dr_vni;
	pl->pl_gen = next_generation();
	pl->pl_until = now + (dr->dr_bind_ns > 0 && dr->dr_bind_ns < BIND_END ?
	    dr->dr_bind_ns : BIND_END);
	for (i = 0; i < dm->dm_naddrs && pl->pl_nat < ADDRS_MAX; i++) {
		disco_addr_get(dm->dm_addrs + i * DISCO_ADDR_LEN, &da);
		a = &pl->pl_at[pl->pl_nat];
		a->a_af = da.da_v4 ? AF_WIRE_INET : AF_WIRE_INET6;
		a->a_port = da.da_port;
		memcpy(a->a_ip, da.da_addr, sizeof(a->a_ip));
		a->a_vni = pl->pl_vni;
		if (addr_usable(a) && !addr_is_linklocal(a))
			pl->pl_nat++;
		else
			memset(a, 0, sizeof(*a));
	}
	TAILQ_INSERT_TAIL(&places, pl, pl_entry);
	nplaces++;
	place_bind(pl, now);
	relayc_arm();
}

static void
bind_message(const struct place *pl, enum disco_type type,
    struct disco_msg *dm)
{
	memset(dm, 0, sizeof(*dm));
	dm->dm_type = type;
	dm->dm_vni = pl->pl_vni;
	dm->dm_generation = pl->pl_gen;
	memcpy(dm->dm_remote, pl->pl_remote, sizeof(dm->dm_remote));
}

/* To all addresses of the relay; the first that answers is taken. */
static void
place_bind(struct place *pl, int64_t now)
{
	struct disco_msg	 dm;
	uint8_t			 buf[512];
	unsigned int		 i;
	ssize_t			 n;

	if (!relay_key_want(pl->pl_server, now))
		return;			/* its key is on the way */
	bind_message(pl, DISCO_BIND_ENDPOINT, &dm);
	n = relay_seal(buf, sizeof(buf), pl->pl_server, &dm);
	for (i = 0; n != -1 && i < pl->pl_nat; i++)
		(void)udp_send(&pl->pl_at[i], buf, n);
	pl->pl_binds++;
	pl->pl_again = now + BIND_AGAIN;
}

void
relayc_key(const uint8_t *server, int64_t now)
{
	struct place	*pl;

	TAILQ_FOREACH(pl, &places, pl_entry)
		if (pl->pl_binds == 0 && memcmp(pl->pl_server, server,
		    MSG_KEY_LEN) == 0)
			place_bind(pl, now);
}

static void
place_ping(struct place *pl, int64_t now)
{
	struct peer	*p;

	if ((p = peer_find(pl->pl_peer)) == NULL ||
	    pl->pl_pings >= PINGS_MAX)
		return;
	pl->pl_pings++;
	(void)peer_path(p);
	disco_ping_at(p, &pl->pl_bound, now);
	peer_soon(p, now + PATH_PING_TIMEOUT);
}

void
relayc_control(const uint8_t *b, size_t len, const struct addr *src,
    int64_t now)
{
	struct disco_msg	 dm;
	struct place		*pl;
	uint8_t			 buf[512];
	ssize_t			 n;

	if (TAILQ_EMPTY(&places) || relay_open(b, len, &dm) == -1 ||
	    dm.dm_type != DISCO_BIND_CHALLENGE)
		return;
	TAILQ_FOREACH(pl, &places, pl_entry)
		if (pl->pl_vni == dm.dm_vni && pl->pl_vni == src->a_vni &&
		    pl->pl_gen == dm.dm_generation &&
		    memcmp(pl->pl_server, disco_sender(b),
		    MSG_KEY_LEN) == 0 && memcmp(pl->pl_remote, dm.dm_remote,
		    MSG_KEY_LEN) == 0)
			break;
	if (pl == NULL || pl->pl_bound.a_af != 0)
		return;
	pl->pl_bound = *src;
	dm.dm_type = DISCO_BIND_ANSWER;
	if ((n = relay_seal(buf, sizeof(buf), pl->pl_server, &dm)) != -1)
		(void)udp_send(src, buf, n);
	place_ping(pl, now);
}

/* The peer is there: what was sent before that may be lost. */
void
relayc_pinged(struct peer *p, const struct addr *src, int64_t now)
{
	struct place	*pl;

	TAILQ_FOREACH(pl, &places, pl_entry)
		if (pl->pl_peer == p->p_id && addr_eq(&pl->pl_bound, src)) {
			place_ping(pl, now);
			return;
		}
}

int
relayc_pong(struct peer *p, const struct path_ping *pp, int64_t latency,
    int64_t now)
{
	struct place	*pl;
	char		 text[ADDR_TEXT];
	int		 taken;

	TAILQ_FOREACH(pl, &places, pl_entry)
		if (pl->pl_peer == p->p_id &&
		    addr_eq(&pl->pl_bound, &pp->pp_addr))
			break;
	if (pl == NULL)
		return 0;
	taken = path_install(p->p_path, &pl->pl_bound, pl->pl_server, latency,
	    pp->pp_sent, now);
	log_debug("peer %llu answers at peer relay %s%s",
	    (unsigned long long)p->p_id, addr_print(&pl->pl_bound, text),
	    taken ? "" : ", which is no better");
	place_delete(pl);
	return taken;
}

void
relayc_forget(const struct peer *p)
{
	struct ask	*as, *as_tmp;
	struct place	*pl, *pl_tmp;

	TAILQ_FOREACH_SAFE(as, &asks, as_entry, as_tmp)
		if (as->as_peer == p->p_id || as->as_server == p->p_id)
			ask_delete(as);
	TAILQ_FOREACH_SAFE(pl, &places, pl_entry, pl_tmp)
		if (pl->pl_peer == p->p_id)
			place_delete(pl);
}

/* --- time ----------------------------------------------------------------- */

static void
relayc_arm(void)
{
	struct timeval	 tv = { 1, 0 };

	if (!ev_ready) {
		evtimer_set(&ev_relay, relayc_cb_locked, NULL);
		ev_ready = 1;
	}
	if ((nasks > 0 || nplaces > 0) && !evtimer_pending(&ev_relay, NULL))
		evtimer_add(&ev_relay, &tv);
}

static void
relayc_cb(int fd, short events, void *arg)
{
	struct ask	*as, *as_tmp;
	struct place	*pl, *pl_tmp;
	int64_t		 now = os_now();

	TAILQ_FOREACH_SAFE(as, &asks, as_entry, as_tmp) {
		if (now - as->as_sent >= ASK_END)
			ask_delete(as);
		else if (!as->as_again && now - as->as_sent >= ASK_AGAIN) {
			as->as_again = 1;
			ask_send(as);
		}
	}
	TAILQ_FOREACH_SAFE(pl, &places, pl_entry, pl_tmp) {
		if (now >= pl->pl_until)
			place_delete(pl);
		else if (pl->pl_bound.a_af == 0 && now >= pl->pl_again &&
		    pl->pl_binds < BIND_TRIES)
			place_bind(pl, now);
		else if (pl->pl_bound.a_af != 0)
			place_ping(pl, now);
	}
	relayc_arm();
}
