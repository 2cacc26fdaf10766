/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The relay itself: who is here, who sends to whom, what waits for whom.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "disco.h"
#include "log.h"

#define DROP_TRIES	3		/* before the new packet goes */
#define GONE_GAP	1000000000LL	/* "not here": one a second */
#define GONE_BURST	3

/* A frame as it will go out. */
struct packet {
	STAILQ_ENTRY(packet) p_entry;
	uint32_t	 p_len;
	uint8_t		 p_data[];
};

/* A key that is here, by one connection or more; or at another relay. */
struct peer {
	RB_ENTRY(peer)	 pe_entry;
	TAILQ_HEAD(, client) pe_clients;	/* the active one first */
	TAILQ_HEAD(, fwd) pe_fwds;	/* other relays that have it */
	RB_HEAD(links, link) pe_links;	/* who has got packets from it */
	unsigned int	 pe_nlinks;
	uint8_t		 pe_key[DERP_KEY_LEN];
};

/* Another relay that says that a key is there. */
struct fwd {
	TAILQ_ENTRY(fwd) f_same;	/* of the key, oldest first */
	LIST_ENTRY(fwd)	 f_entry;
	struct client	*f_to;
	struct peer	*f_peer;
};

/* A client that has got packets from a key, and must hear when it goes. */
struct link {
	RB_ENTRY(link)	 l_entry;
	LIST_ENTRY(link) l_receiver;
	struct peer	*l_from;
	struct client	*l_to;
};

static int	 peer_cmp(struct peer *, struct peer *);
static int	 link_cmp(struct link *, struct link *);

static RB_HEAD(peers, peer)	 peers = RB_INITIALIZER(&peers);
static TAILQ_HEAD(, client)	 watchers = TAILQ_HEAD_INITIALIZER(watchers);
static const struct core_cb	*cb;
static struct core_stats	 stats;

RB_PROTOTYPE(peers, peer, pe_entry, peer_cmp);
RB_GENERATE(peers, peer, pe_entry, peer_cmp)
RB_PROTOTYPE(links, link, l_entry, link_cmp);
RB_GENERATE(links, link, l_entry, link_cmp)

static int
peer_cmp(struct peer *a, struct peer *b)
{
	return memcmp(a->pe_key, b->pe_key, DERP_KEY_LEN);
}

static int
link_cmp(struct link *a, struct link *b)
{
	return a->l_to < b->l_to ? -1 : a->l_to > b->l_to;
}

void
core_init(const struct core_cb *callbacks)
{
	cb = callbacks;
}

const struct core_stats *
core_stats(void)
{
	return &stats;
}

const uint8_t *
core_key(const struct client *c)
{
	return c->cl_peer->pe_key;
}

static struct peer *
peer_find(const uint8_t *key)
{
	struct peer	 want;

	memcpy(want.pe_key, key, DERP_KEY_LEN);
	return RB_FIND(peers, &peers, &want);
}

/* --- queues --- */

static void
queue_init(struct queue *q)
{
	STAILQ_INIT(&q->q_packets);
	q->q_len = 0;
}

static struct packet *
queue_take(struct queue *q)
{
	struct packet	*p;

	if ((p = STAILQ_FIRST(&q->q_packets)) == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&q->q_packets, p_entry);
	q->q_len--;
	return p;
}

static void
queue_flush(struct queue *q)
{
	struct packet	*p;

	while ((p = queue_take(q)) != NULL)
		free(p);
}

int
core_waiting(const struct client *c)
{
	return c->cl_small.q_len + c->cl_disco.q_len + c->cl_data.q_len > 0;
}

static struct packet *
packet_new(size_t len)
{
	struct packet	*p;

	if ((p = malloc(sizeof(*p) + len)) == NULL)
		fatal(NULL);
	p->p_len = len;
	return p;
}

static void
client_put(struct client *c, struct queue *q, struct packet *p)
{
	int	 idle;

	idle = !core_waiting(c);
	STAILQ_INSERT_TAIL(&q->q_packets, p, p_entry);
	q->q_len++;
	if (idle)
		cb->cb_wake(c);
}

/* A frame without a packet; those of strangers are bounded. */
static void
client_tell(struct client *c, const struct derp_msg *m)
{
	struct packet	*p;
	uint8_t		 frame[DERP_SMALL_MAX];
	size_t		 len;

	if (c->cl_small.q_len >= CORE_SMALL_MAX && !c->cl_mesh) {
		c->cl_dropped++;
		stats.cs_dropped++;
		return;
	}
	len = derp_build(m, frame);
	p = packet_new(len);
	memcpy(p->p_data, frame, len);
	client_put(c, &c->cl_small, p);
}

static void
client_gone(struct client *c, const uint8_t *key, uint8_t reason)
{
	struct derp_msg	 m;

	memset(&m, 0, sizeof(m));
	m.dm_type = DERP_PEER_GONE;
	m.dm_reason = reason;
	memcpy(m.dm_key, key, DERP_KEY_LEN);
	client_tell(c, &m);
}

static void
client_present(struct client *to, const struct client *c)
{
	struct derp_msg	 m;

	memset(&m, 0, sizeof(m));
	m.dm_type = DERP_PEER_PRESENT;
	memcpy(m.dm_key, core_key(c), DERP_KEY_LEN);
	memcpy(m.dm_addr, c->cl_addr, sizeof(m.dm_addr));
	m.dm_port = c->cl_port;
	m.dm_flags = c->cl_flags;
	client_tell(to, &m);
}

/* --- coming and going --- */

static struct peer *
peer_get(const uint8_t *key)
{
	struct peer	*pe;

	if ((pe = peer_find(key)) != NULL)
		return pe;
	if ((pe = calloc(1, sizeof(*pe))) == NULL)
		fatal(NULL);
	memcpy(pe->pe_key, key, DERP_KEY_LEN);
	TAILQ_INIT(&pe->pe_clients);
	TAILQ_INIT(&pe->pe_fwds);
	RB_INIT(&pe->pe_links);
	RB_INSERT(peers, &peers, pe);
	return pe;
}

static void
client_init(struct client *c)
{
	queue_init(&c->cl_small);
	queue_init(&c->cl_disco);
	queue_init(&c->cl_data);
	LIST_INIT(&c->cl_links);
	LIST_INIT(&c->cl_fwds);
}

void
core_add(struct client *c, const uint8_t key[DERP_KEY_LEN])
{
	struct client	*w;

	client_init(c);
	c->cl_gone_rate.r_gap = GONE_GAP;
	c->cl_gone_rate.r_burst = GONE_BURST;
	c->cl_peer = peer_get(key);
	if (TAILQ_EMPTY(&c->cl_peer->pe_clients))
		stats.cs_keys++;
	TAILQ_INSERT_HEAD(&c->cl_peer->pe_clients, c, cl_same);
	stats.cs_clients++;
	TAILQ_FOREACH(w, &watchers, cl_watch)
		client_present(w, c);
}

static void
link_free(struct link *l)
{
	RB_REMOVE(links, &l->l_from->pe_links, l);
	LIST_REMOVE(l, l_receiver);
	l->l_from->pe_nlinks--;
	free(l);
}

/* A key is neither here nor at another relay any more. */
static void
peer_free(struct peer *pe)
{
	struct link	*l;

	while ((l = RB_MIN(links, &pe->pe_links)) != NULL) {
		/* Who watches hears of it anyway. */
		if (!l->l_to->cl_watches)
			client_gone(l->l_to, pe->pe_key,
			    DERP_GONE_DISCONNECTED);
		link_free(l);
	}
	RB_REMOVE(peers, &peers, pe);
	free(pe);
}

static void
peer_check(struct peer *pe)
{
	if (TAILQ_EMPTY(&pe->pe_clients) && TAILQ_EMPTY(&pe->pe_fwds))
		peer_free(pe);
}

static void
client_flush(struct client *c)
{
	queue_flush(&c->cl_small);
	queue_flush(&c->cl_disco);
	queue_flush(&c->cl_data);
}

/* The last connection of a key is gone. */
static void
peer_left(struct peer *pe)
{
	struct client	*w;

	stats.cs_keys--;
	TAILQ_FOREACH(w, &watchers, cl_watch)
		client_gone(w, pe->pe_key, DERP_GONE_DISCONNECTED);
	peer_check(pe);
}

void
core_remove(struct client *c)
{
	struct peer	*pe = c->cl_peer;
	struct link	*l;

	if (c->cl_watches) {
		TAILQ_REMOVE(&watchers, c, cl_watch);
		stats.cs_watchers--;
	}
	if (c->cl_preferred)
		stats.cs_home--;
	while ((l = LIST_FIRST(&c->cl_links)) != NULL)
		link_free(l);
	client_flush(c);
	TAILQ_REMOVE(&pe->pe_clients, c, cl_same);
	stats.cs_clients--;
	c->cl_peer = NULL;
	if (TAILQ_EMPTY(&pe->pe_clients))
		peer_left(pe);
}

void
core_review(int (*stays)(const uint8_t [DERP_KEY_LEN]))
{
	struct client	*c;
	struct peer	*pe;

	RB_FOREACH(pe, peers, &peers)
		TAILQ_FOREACH(c, &pe->pe_clients, cl_same)
			if (!c->cl_mesh && !stays(pe->pe_key))
				cb->cb_close(c);
}

/* --- other relays --- */

void
core_fwd_open(struct client *c)
{
	client_init(c);
}

static struct fwd *
fwd_find(struct client *c, struct peer *pe)
{
	struct fwd	*f;

	TAILQ_FOREACH(f, &pe->pe_fwds, f_same)
		if (f->f_to == c)
			break;
	return f;
}

static void
fwd_free(struct fwd *f)
{
	struct peer	*pe = f->f_peer;

	TAILQ_REMOVE(&pe->pe_fwds, f, f_same);
	LIST_REMOVE(f, f_entry);
	stats.cs_remote--;
	free(f);
	peer_check(pe);
}

void
core_fwd_close(struct client *c)
{
	struct fwd	*f;

	while ((f = LIST_FIRST(&c->cl_fwds)) != NULL)
		fwd_free(f);
	client_flush(c);
}

void
core_fwd_present(struct client *c, const uint8_t key[DERP_KEY_LEN])
{
	struct peer	*pe;
	struct fwd	*f;

	if (stats.cs_remote >= CORE_FWDS_MAX ||
	    fwd_find(c, pe = peer_get(key)) != NULL)
		return;
	if ((f = malloc(sizeof(*f))) == NULL)
		fatal(NULL);
	f->f_to = c;
	f->f_peer = pe;
	TAILQ_INSERT_TAIL(&pe->pe_fwds, f, f_same);
	LIST_INSERT_HEAD(&c->cl_fwds, f, f_entry);
	stats.cs_remote++;
}

void
core_fwd_absent(struct client *c, const uint8_t key[DERP_KEY_LEN])
{
	struct peer	*pe;
	struct fwd	*f;

	if ((pe = peer_find(key)) != NULL && (f = fwd_find(c, pe)) != NULL)
		fwd_free(f);
}

/* --- packets --- */

static void
link_note(struct peer *from, struct client *to)
{
	struct link	*l, want;

	want.l_to = to;
	if (from->pe_nlinks >= CORE_LINKS_MAX ||
	    RB_FIND(links, &from->pe_links, &want) != NULL)
		return;
	if ((l = malloc(sizeof(*l))) == NULL)
		fatal(NULL);
	l->l_from = from;
	l->l_to = to;
	RB_INSERT(links, &from->pe_links, l);
	LIST_INSERT_HEAD(&to->cl_links, l, l_receiver);
	from->pe_nlinks++;
}

static void
dropped(struct client *c)
{
	c->cl_dropped++;
	stats.cs_dropped++;
}

/* Room for one packet more: the oldest goes.  0, or -1: there is none. */
static int
queue_room(struct client *c, struct queue *q)
{
	int	 i;

	if (q->q_len >= CORE_QUEUE_MAX)
		cb->cb_full(c);
	for (i = 0; i < DROP_TRIES && q->q_len >= CORE_QUEUE_MAX; i++) {
		free(queue_take(q));
		dropped(c);
	}
	return q->q_len < CORE_QUEUE_MAX ? 0 : -1;
}

/* A packet, by RECV_PACKET from its source; to a relay, by FORWARD_PACKET. */
static void
packet_send(struct client *to, const uint8_t *src, const struct derp_msg *m)
{
	struct queue	*q;
	struct packet	*p;
	size_t		 head;
	int		 ret;

	q = disco_looks_like(m->dm_data, m->dm_len) ? &to->cl_disco :
	    &to->cl_data;
	if (queue_room(to, q) == -1) {
		dropped(to);
		return;
	}
	head = to->cl_peer == NULL ? DERP_FORWARD_HDR_LEN : DERP_RECV_HDR_LEN;
	p = packet_new(head + m->dm_len);
	ret = to->cl_peer == NULL ? derp_forward_head(src, m->dm_key,
	    m->dm_len, p->p_data) : derp_packet_head(DERP_RECV_PACKET, src,
	    m->dm_len, p->p_data);
	if (ret == -1) {
		free(p);
		return;
	}
	memcpy(p->p_data + head, m->dm_data, m->dm_len);
	stats.cs_sent++;
	stats.cs_sent_bytes += m->dm_len;
	client_put(to, q, p);
}

static void
packet_unknown(struct client *c, const struct derp_msg *m, int64_t now)
{
	stats.cs_unknown++;
	if (!disco_looks_like(m->dm_data, m->dm_len) ||
	    !rate_take(&c->cl_gone_rate, now))
		return;
	stats.cs_gone++;
	client_gone(c, m->dm_key, DERP_GONE_NOT_HERE);
}

static void
packet_in(struct client *c, const struct derp_msg *m, int64_t now)
{
	const uint8_t	*src;
	struct client	*to = NULL;
	struct peer	*pe, *from = c->cl_peer;

	stats.cs_packets++;
	stats.cs_bytes += m->dm_len;
	src = from->pe_key;
	if (m->dm_type == DERP_FORWARD_PACKET) {
		stats.cs_forwards++;
		src = m->dm_src;
		from = peer_find(src);	/* whose going we may hear of */
	}
	if ((pe = peer_find(m->dm_key)) != NULL)
		to = TAILQ_FIRST(&pe->pe_clients);
	if (to != NULL) {
		if (from != NULL && from != pe)
			link_note(from, to);
		packet_send(to, src, m);
	} else if (pe != NULL && m->dm_type == DERP_SEND_PACKET) {
		stats.cs_forwarded++;
		packet_send(TAILQ_FIRST(&pe->pe_fwds)->f_to, src, m);
	} else
		packet_unknown(c, m, now);
}

/* --- other frames --- */

static void
watch(struct client *c)
{
	struct client	*other;
	struct peer	*pe;

	if (c->cl_watches)
		return;
	c->cl_watches = 1;
	stats.cs_watchers++;
	TAILQ_INSERT_TAIL(&watchers, c, cl_watch);
	RB_FOREACH(pe, peers, &peers)
		TAILQ_FOREACH(other, &pe->pe_clients, cl_same)
			client_present(c, other);
}

static void
close_peer(const uint8_t *key)
{
	struct client	*c, *next;
	struct peer	*pe;

	if ((pe = peer_find(key)) == NULL)
		return;
	TAILQ_FOREACH_SAFE(c, &pe->pe_clients, cl_same, next)
		cb->cb_close(c);
}

static void
pong(struct client *c, const struct derp_msg *m)
{
	struct derp_msg	 answer = *m;

	answer.dm_type = DERP_PONG;
	client_tell(c, &answer);
}

/* Who speaks last is the one that gets what is sent to the key. */
static void
speaks(struct client *c)
{
	struct peer	*pe = c->cl_peer;

	if (TAILQ_FIRST(&pe->pe_clients) == c)
		return;
	TAILQ_REMOVE(&pe->pe_clients, c, cl_same);
	TAILQ_INSERT_HEAD(&pe->pe_clients, c, cl_same);
}

static void
preferred(struct client *c, int yes)
{
	if (c->cl_preferred == yes)
		return;
	c->cl_preferred = yes;
	stats.cs_home += yes ? 1 : -1;
	if (yes)
		stats.cs_home_moves++;
}

int
core_input(struct client *c, const struct derp_frame *f, int64_t now)
{
	struct derp_msg	 m;
	int		 ret;

	speaks(c);
	if ((ret = derp_server_parse(f, c->cl_mesh, &m)) != 1)
		return ret;
	switch (m.dm_type) {
	case DERP_SEND_PACKET:
	case DERP_FORWARD_PACKET:
		packet_in(c, &m, now);
		break;
	case DERP_NOTE_PREFERRED:
		preferred(c, m.dm_preferred);
		break;
	case DERP_PING:
		stats.cs_pings++;
		pong(c, &m);
		break;
	case DERP_WATCH_CONNS:
		watch(c);
		break;
	case DERP_CLOSE_PEER:
		close_peer(m.dm_key);
		break;
	default:
		break;
	}
	return 0;
}

void
core_keepalive(struct client *c)
{
	struct derp_msg	 m;

	memset(&m, 0, sizeof(m));
	m.dm_type = DERP_KEEP_ALIVE;
	client_tell(c, &m);
}

void
core_restarting(uint32_t wait_ms, uint32_t try_ms)
{
	struct derp_msg	 m;
	struct client	*c;
	struct peer	*pe;

	memset(&m, 0, sizeof(m));
	m.dm_type = DERP_RESTARTING;
	m.dm_reconnect_ms = wait_ms;
	m.dm_try_ms = try_ms;
	RB_FOREACH(pe, peers, &peers)
		TAILQ_FOREACH(c, &pe->pe_clients, cl_same)
			client_tell(c, &m);
}

/* --- what goes out --- */

/* Small frames first; then the two queues take turns. */
static struct queue *
next_queue(struct client *c)
{
	struct queue	*q[2] = { &c->cl_data, &c->cl_disco };

	if (c->cl_small.q_len > 0)
		return &c->cl_small;
	c->cl_turn = !c->cl_turn;
	return q[c->cl_turn]->q_len > 0 ? q[c->cl_turn] : q[!c->cl_turn];
}

size_t
core_pull(struct client *c, uint8_t *buf, size_t size)
{
	struct packet	*p;
	struct queue	*q;
	size_t		 len = 0;

	while (core_waiting(c)) {
		q = next_queue(c);
		p = STAILQ_FIRST(&q->q_packets);
		if (p->p_len > size - len)
			break;
		memcpy(buf + len, p->p_data, p->p_len);
		len += p->p_len;
		free(queue_take(q));
	}
	return len;
}
