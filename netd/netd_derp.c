/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Packets by relays: a connection to each region that is wanted, made again
 * when it breaks, closed when it is idle.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "derpconn.h"
#include "derpdial.h"
#include "disco.h"
#include "keys.h"
#include "sendq.h"

#define LOGIN_LIMIT	(10 * NSEC)	/* dial, TLS and login of a node */
#define READ_LIMIT	(120 * NSEC)	/* two keepalives of the relay */
#define IDLE_LIMIT	(60 * NSEC)	/* since the last write; not home */
#define PONG_LIMIT	(3 * NSEC)
#define RETRY_FIRST	(250 * MSEC)
#define RETRY_SOON	(60 * MSEC)	/* a connection that has worked */
#define RETRY_MOST	(5 * NSEC)
#define GOOD_AFTER	(30 * NSEC)	/* then it was no failure to connect */
#define RESTART_MOST	30000		/* ms */

enum region_state {
	REGION_IDLE,
	REGION_WAITING,		/* until r_when, to try again */
	REGION_DIALING,
	REGION_LOGIN,
	REGION_UP
};

struct region {
	RB_ENTRY(region) r_entry;
	struct event	 r_ev;
	struct derpdial	*r_dial;
	struct derpconn	*r_conn;
	struct derp_queue r_disco;
	struct derp_queue r_data;
	struct sendq	*r_sendq;	/* NULL: no data by this connection */
	enum region_state r_state;
	uint16_t	 r_id;
	unsigned int	 r_node;	/* of the region, being tried */
	unsigned int	 r_fails;	/* in a row */
	int64_t		 r_when;	/* deadline of the state, or since */
	int64_t		 r_write;	/* last packet given */
	int64_t		 r_restart;	/* the relay asks for this pause */
	uint64_t	 r_connects;
	uint64_t	 r_limited;	/* packets over the relay's rate */
	char		 r_name[64];	/* of the node in use */
	char		 r_why[MSG_TEXT_LEN];	/* the last failure, or "" */
};
RB_HEAD(regions, region);

static struct regions	 regions = RB_INITIALIZER(&regions);
static uint16_t		 home;
static uint8_t		 own[MSG_KEY_LEN];	/* our node key */
static struct log_limit	 limit;

static int	 region_cmp(struct region *, struct region *);
static struct region *region_find(uint16_t);
static struct region *region_get(uint16_t);
static void	 region_free(struct region *);
static void	 region_timer(struct region *, int64_t);
static void	 region_timer_cb(int, short, void *);
static void	 region_tick(struct region *, int64_t);
static int	 region_wanted(const struct region *);
static void	 region_start(struct region *);
static void	 region_dial(struct region *);
static void	 region_close(struct region *);
static void	 region_failed(struct region *, const char *);
static void	 region_retry(struct region *);
static const struct msg_nm_derp_node *region_node(struct region *);
static int	 region_admit(struct region *, const uint8_t *, size_t,
		    int64_t);
static void	 heard_forget(uint16_t);
static void	 dial_done(void *, int, const char *);
static void	 conn_seal(void *, const uint8_t *);
static void	 conn_open(void *, const struct msg_derp_open *);
static void	 conn_up(void *);
static void	 conn_lost(void *);
static void	 conn_packet(void *, const uint8_t *, uint8_t *, size_t,
		    int64_t);
static void	 conn_batch(void *);
static void	 conn_gone(void *, const uint8_t *, uint8_t);
static void	 conn_restart(void *, uint32_t);

LOCKED_CB(region_timer_cb)

RB_PROTOTYPE(regions, region, r_entry, region_cmp)
RB_GENERATE(regions, region, r_entry, region_cmp)

static const struct derpconn_cb	 conn_cb = {
	.cb_seal = conn_seal,
	.cb_open = conn_open,
	.cb_up = conn_up,
	.cb_lost = conn_lost,
	.cb_packet = conn_packet,
	.cb_batch = conn_batch,
	.cb_gone = conn_gone,
	.cb_restart = conn_restart
};

/* --- regions that are in use --- */

static int
region_cmp(struct region *a, struct region *b)
{
	return a->r_id < b->r_id ? -1 : a->r_id > b->r_id;
}

static struct region *
region_find(uint16_t id)
{
	struct region	 key;

	key.r_id = id;
	return RB_FIND(regions, &regions, &key);
}

static struct region *
region_get(uint16_t id)
{
	struct region	*r;

	if ((r = region_find(id)) != NULL)
		return r;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		fatal(NULL);
	r->r_id = id;
	derpq_init(&r->r_disco, DERP_QUEUE_DISCO);
	derpq_init(&r->r_data, DERP_QUEUE_DATA);
	evtimer_set(&r->r_ev, region_timer_cb_locked, r);
	RB_INSERT(regions, &regions, r);
	return r;
}

static void
region_free(struct region *r)
{
	region_close(r);
	(void)evtimer_del(&r->r_ev);
	derpq_clear(&r->r_disco);
	derpq_clear(&r->r_data);
	RB_REMOVE(regions, &regions, r);
	free(r);
}

/* Home always; others as long as something waits for them. */
static int
region_wanted(const struct region *r)
{
	return r->r_id == home || r->r_disco.dq_bytes > 0 ||
	    r->r_data.dq_bytes > 0;
}

static void
region_timer(struct region *r, int64_t ns)
{
	struct timeval	 tv;

	if (ns < 0)
		ns = 0;
	tv.tv_sec = ns / NSEC;
	tv.tv_usec = ns % NSEC / 1000;
	(void)evtimer_add(&r->r_ev, &tv);
}

static void
region_timer_cb(int fd, short events, void *arg)
{
	region_tick(arg, os_now());
}

/* What a connection that is up must do from time to time, or die. */
static void
tick_up(struct region *r, int64_t now)
{
	struct derpconn	*c = r->r_conn;
	int64_t		 next = c->c_last_frame + READ_LIMIT;

	if (now >= next) {
		derpconn_fail(c, "silent for %lld s",
		    (long long)(READ_LIMIT / NSEC));
		return;
	}
	if (c->c_pinged != 0) {
		if (now - c->c_pinged >= PONG_LIMIT) {
			derpconn_fail(c, "no answer after a change of the "
			    "network");
			return;
		}
		next = c->c_pinged + PONG_LIMIT;
	}
	if (r->r_id != home) {
		if (now - r->r_write >= IDLE_LIMIT) {
			log_info("%s: closed: idle", derpmap_name(r->r_id));
			region_free(r);
			return;
		}
		if (r->r_write + IDLE_LIMIT < next)
			next = r->r_write + IDLE_LIMIT;
	}
	region_timer(r, next - now);
}

static void
region_tick(struct region *r, int64_t now)
{
	switch (r->r_state) {
	case REGION_WAITING:
		derpq_expire(&r->r_disco, now);
		derpq_expire(&r->r_data, now);
		if (now < r->r_when)
			region_timer(r, r->r_when - now);
		else if (region_wanted(r))
			region_dial(r);
		else
			r->r_state = REGION_IDLE;
		break;
	case REGION_LOGIN:
		if (now < r->r_when)
			region_timer(r, r->r_when - now);
		else
			derpconn_fail(r->r_conn, "%s timed out",
			    derpconn_state_name(r->r_conn->c_state));
		break;
	case REGION_UP:
		tick_up(r, now);
		break;
	default:
		break;
	}
}

/* --- connecting --- */

static const struct msg_nm_derp_node *
region_node(struct region *r)
{
	const struct derp_region	*dr;

	if ((dr = derpmap_region(r->r_id)) == NULL)
		return NULL;
	for (; r->r_node < dr->dr_nnodes; r->r_node++)
		if ((dr->dr_node[r->r_node].flags & DERP_NODE_STUNONLY) == 0)
			return &dr->dr_node[r->r_node];
	return NULL;
}

/* Something is to be sent there, or it is home. */
static void
region_start(struct region *r)
{
	int64_t	 now = os_now();

	if (key_is_zero(own, sizeof(own)) || (r->r_state != REGION_IDLE &&
	    (r->r_state != REGION_WAITING || now < r->r_when)))
		return;
	region_dial(r);
}

static void
region_dial(struct region *r)
{
	const struct msg_nm_derp_node	*n;

	r->r_node = 0;
	if ((n = region_node(r)) == NULL) {
		region_failed(r, "it has no node that relays");
		return;
	}
	(void)evtimer_del(&r->r_ev);
	r->r_state = REGION_DIALING;
	strlcpy(r->r_name, n->name, sizeof(r->r_name));
	r->r_dial = derpdial_new(n, dial_done, r);
}

/* This node does not: the next one, or all of them later. */
static void
region_failed(struct region *r, const char *why)
{
	const struct msg_nm_derp_node	*n;

	region_close(r);
	snprintf(r->r_why, sizeof(r->r_why), "%s%s%s", r->r_name,
	    *r->r_name != '\0' ? ": " : "", why);
	if (log_limit(&limit, os_now(), 10, 60))
		log_warnx("relay %s: %s", derpmap_name(r->r_id), r->r_why);
	r->r_node++;
	if ((n = region_node(r)) != NULL) {
		r->r_state = REGION_DIALING;
		strlcpy(r->r_name, n->name, sizeof(r->r_name));
		r->r_dial = derpdial_new(n, dial_done, r);
		return;
	}
	r->r_fails++;
	region_retry(r);
}

/* Wait, and up to a half more: others have lost the same relay. */
static void
region_retry(struct region *r)
{
	int64_t	 ns = r->r_restart;

	if (r->r_id == home)
		netcheck_kick(0);	/* is it there, and who else is? */
	if (ns == 0)
		ns = r->r_fails > 5 ? RETRY_MOST :
		    RETRY_FIRST << (r->r_fails - 1);
	ns += ns / 2 * (int64_t)arc4random_uniform(1024) / 1024;
	r->r_restart = 0;
	r->r_state = REGION_WAITING;
	r->r_when = os_now() + ns;
	region_timer(r, ns);
}

/* Who was heard there may be elsewhere when it is up again. */
static void
heard_forget(uint16_t region)
{
	struct peer	*p;

	for (p = peer_first(); p != NULL; p = peer_next(p))
		if (p->p_heard_derp == region)
			p->p_heard_derp = 0;
}

/* Drop what there is of a connection; the region stays. */
static void
region_close(struct region *r)
{
	derpdial_free(r->r_dial);
	r->r_dial = NULL;
	if (r->r_state == REGION_UP)
		heard_forget(r->r_id);
	derpconn_free(r->r_conn);
	r->r_conn = NULL;
	free(r->r_sendq);
	r->r_sendq = NULL;
	r->r_state = REGION_IDLE;
}

static void
dial_done(void *arg, int fd, const char *why)
{
	const struct msg_nm_derp_node	*n;
	struct derpconn_peer		 peer;
	struct tlsclient		 tc;
	struct region			*r = arg;

	if (fd == -1) {
		region_failed(r, why);
		return;
	}
	derpdial_free(r->r_dial);
	r->r_dial = NULL;
	if ((n = region_node(r)) == NULL) {
		close(fd);
		region_failed(r, "it is not in the DERP map any more");
		return;
	}
	memset(&tc, 0, sizeof(tc));
	memset(&peer, 0, sizeof(peer));
	strlcpy(tc.tc_host, n->host, sizeof(tc.tc_host));
	strlcpy(tc.tc_cert, n->cert, sizeof(tc.tc_cert));
	tc.tc_insecure = (n->flags & DERP_NODE_INSECURE) != 0;
	if (tc.tc_insecure && log_limit(&limit, os_now(), 10, 60))
		log_warnx("relay %s: %s: its certificate is not verified: "
		    "the DERP map says so", derpmap_name(r->r_id), n->name);
	peer.dn_port = n->port;
	if (r->r_node > 0)
		strlcpy(peer.dn_ideal, derpmap_region(r->r_id)->dr_node[0].name,
		    sizeof(peer.dn_ideal));
	r->r_state = REGION_LOGIN;
	r->r_when = os_now() + LOGIN_LIMIT;
	r->r_conn = derpconn_new(fd, &tc, &peer, &conn_cb, r, &r->r_disco,
	    &r->r_data);
	region_timer(r, LOGIN_LIMIT);
}

/* --- what connections say --- */

static void
conn_seal(void *arg, const uint8_t *server)
{
	struct region	*r = arg;
	struct msg_key	 m;

	memcpy(m.key, server, sizeof(m.key));
	if (chan_compose(&nd.n_cryptod, IMSG_DERP_SEAL, r->r_id, -1, &m,
	    sizeof(m)) == -1)
		derpconn_fail(r->r_conn, "no cryptod to log in with");
}

static void
conn_open(void *arg, const struct msg_derp_open *m)
{
	struct region	*r = arg;

	if (chan_compose(&nd.n_cryptod, IMSG_DERP_OPEN, r->r_id, -1, m,
	    sizeof(*m)) == -1)
		derpconn_fail(r->r_conn, "no cryptod to log in with");
}

static void
conn_up(void *arg)
{
	struct region	*r = arg;
	int64_t		 now = os_now();

	r->r_state = REGION_UP;
	r->r_when = now;
	r->r_connects++;
	r->r_why[0] = '\0';
	if (r->r_write <= now - IDLE_LIMIT)
		r->r_write = now;
	derpq_expire(&r->r_disco, now);
	derpq_expire(&r->r_data, now);
	log_info("relay %s: connected to %s", derpmap_name(r->r_id),
	    r->r_name);
	if (r->r_id == home)
		derpconn_prefer(r->r_conn, 1);
	hs_relay_up(r->r_id, now);
	region_tick(r, now);
}

static void
conn_lost(void *arg)
{
	struct region	*r = arg;
	char		 why[MSG_TEXT_LEN];
	int64_t		 now = os_now();

	strlcpy(why, r->r_conn->c_why, sizeof(why));
	if (r->r_state != REGION_UP) {
		region_failed(r, why);
		return;
	}
	/* It worked: from the first node again, and soon. */
	if (now - r->r_when >= GOOD_AFTER)
		r->r_fails = 0;
	log_info("relay %s: %s: lost: %s", derpmap_name(r->r_id), r->r_name,
	    why);
	snprintf(r->r_why, sizeof(r->r_why), "%s: %.400s", r->r_name, why);
	region_close(r);
	if (r->r_fails++ == 0 && r->r_restart == 0)
		r->r_restart = RETRY_SOON;
	region_retry(r);
}

static void
conn_packet(void *arg, const uint8_t *key, uint8_t *pkt, size_t len,
    int64_t now)
{
	struct region	*r = arg;
	struct peer	*p;

	if ((p = peer_find_key(key)) != NULL)
		p->p_heard_derp = r->r_id;
	derp_input(r->r_id, key, pkt, len, now);
}

static void
conn_batch(void *arg)
{
	derp_input_done();
}

static void
conn_gone(void *arg, const uint8_t *key, uint8_t reason)
{
	struct region	*r = arg;
	struct peer	*p;

	if ((p = peer_find_key(key)) != NULL && p->p_heard_derp == r->r_id)
		p->p_heard_derp = 0;
	derp_peer_gone(r->r_id, key, reason);
}

/* It will be back; or another of the region is there already. */
static void
conn_restart(void *arg, uint32_t ms)
{
	struct region	*r = arg;

	if (ms > RESTART_MOST)
		ms = RESTART_MOST;
	r->r_restart = ms * MSEC;
	derpconn_fail(r->r_conn, "it restarts");
}

int
derp_cryptod_answer(struct imsg *imsg)
{
	union {
		struct msg_derp_sealed	 sealed;
		struct msg_derp_opened	 opened;
	} m;
	struct region	*r;

	r = region_find(imsg_get_id(imsg));
	if (imsg_get_type(imsg) == IMSG_DERP_SEALED) {
		if (msg_get(imsg, &m.sealed, sizeof(m.sealed)) == -1)
			return -1;
		if (r != NULL && r->r_conn != NULL)
			derpconn_sealed(r->r_conn, &m.sealed);
		return 0;
	}
	if (msg_get(imsg, &m.opened, sizeof(m.opened)) == -1)
		return -1;
	if (r != NULL && r->r_conn != NULL)
		derpconn_opened(r->r_conn, &m.opened);
	return 0;
}

/* --- what netd says --- */

/*
 * May one more packet wait? What the connection holds is kept short in time,
 * as that of UDP sockets is: what is in our queue and in the socket's, and
 * what makes round trips long. Sealed packets tell no flows, but to whom
 * they go, and how long they are: that must do to know an echo from a bulk.
 */
static int
region_admit(struct region *r, const uint8_t *key, size_t len, int64_t now)
{
	struct sendq	*sq = r->r_sendq;

	if (sq == NULL && (sq = r->r_sendq = calloc(1, sizeof(*sq))) == NULL)
		return 1;
	if (sendq_due(sq, now))
		sendq_sample_far(sq, os_tcp_waits(r->r_conn->c_fd,
		    r->r_data.dq_bytes), now);
	/* An older one that has passed must not give way to it. */
	if (len > r->r_data.dq_max - r->r_data.dq_bytes)
		return 0;
	return !sendq_busy(sq) || sendq_check(sq, be32dec(key) ^ (len >> 7),
	    len, 0, now) != SENDQ_DROP;
}

int
derp_send(uint16_t region, const uint8_t *key, const void *pkt, size_t len)
{
	struct region		*r;
	struct derp_queue	*q;
	uint8_t			 head[DERP_RECV_HDR_LEN];
	int64_t			 now = os_now();

	if (derp_packet_head(DERP_SEND_PACKET, key, len, head) == -1)
		return -1;
	if (derpmap_region(region) == NULL) {
		errno = ENOENT;
		return -1;
	}
	r = region_get(region);
	q = disco_looks_like(pkt, len) ? &r->r_disco : &r->r_data;
	errno = ENOBUFS;
	if (r->r_state == REGION_UP && !derpconn_allowed(r->r_conn,
	    sizeof(head) + len, now)) {
		r->r_limited++;
		return -1;
	}
	if (r->r_state == REGION_UP && q == &r->r_data &&
	    !region_admit(r, key, sizeof(head) + len, now)) {
		q->dq_dropped++;
		return -1;
	}
	if (derpq_add(q, head, sizeof(head), pkt, len, now) == -1)
		return -1;
	r->r_write = now;
	if (r->r_state != REGION_UP)
		region_start(r);
	else if (now - r->r_conn->c_last_frame >= READ_LIMIT)
		region_tick(r, now);	/* the machine has slept */
	else
		derpconn_kick(r->r_conn);
	return 0;
}

void
derp_set_home(uint16_t region)
{
	struct region	*r;
	uint16_t	 old = home;

	if (region == home)
		return;
	home = region;
	if ((r = region_find(old)) != NULL && r->r_state == REGION_UP) {
		derpconn_prefer(r->r_conn, 0);
		r->r_write = os_now();	/* idle from now on */
		region_tick(r, os_now());
	}
	if (home == 0)
		return;
	log_info("home is relay %s", derpmap_name(home));
	r = region_get(home);
	if (r->r_state == REGION_UP)
		derpconn_prefer(r->r_conn, 1);
	else
		region_start(r);
}

uint16_t
derp_home(void)
{
	return home;
}

int
derp_connected(uint16_t region)
{
	struct region	*r = region_find(region);

	return r != NULL && r->r_state == REGION_UP;
}

uint16_t
derp_route(const uint8_t *key, uint16_t region)
{
	struct peer	*p;

	if (region != 0 && derp_connected(region))
		return region;
	if ((p = peer_find_key(key)) != NULL && p->p_heard_derp != 0 &&
	    derp_connected(p->p_heard_derp))
		return p->p_heard_derp;
	return region;
}

int64_t
derp_last_frame(uint16_t region)
{
	struct region	*r = region_find(region);

	return r != NULL && r->r_state == REGION_UP ?
	    r->r_conn->c_last_frame : 0;
}

unsigned int
derp_count(void)
{
	struct region	*r;
	unsigned int	 n = 0;

	RB_FOREACH(r, regions, &regions)
		n += r->r_state == REGION_UP;
	return n;
}

void
derp_keys(const uint8_t *key)
{
	struct region	*r, *next;

	if (memcmp(own, key, sizeof(own)) == 0)
		return;
	memcpy(own, key, sizeof(own));
	RB_FOREACH_SAFE(r, regions, &regions, next) {
		region_close(r);
		(void)evtimer_del(&r->r_ev);
		r->r_fails = 0;
		if (region_wanted(r))
			region_start(r);
	}
}

/* Its predecessor took our questions along. */
void
derp_cryptod_new(void)
{
	struct region	*r;

	RB_FOREACH(r, regions, &regions)
		if (r->r_state == REGION_LOGIN &&
		    (r->r_conn->c_state == DC_SEALING ||
		    r->r_conn->c_state == DC_OPENING))
			derpconn_fail(r->r_conn, "cryptod was replaced");
}

/* Connections may hang on an address that is gone: see who answers. */
void
derp_link_changed(void)
{
	struct region	*r, *next;
	int64_t		 now = os_now();

	RB_FOREACH_SAFE(r, regions, &regions, next) {
		r->r_fails = 0;
		if (r->r_state == REGION_UP) {
			if (!derpconn_local_ok(r->r_conn)) {
				derpconn_fail(r->r_conn, "the address that it "
				    "came from is gone");
				continue;
			}
			derpconn_ping(r->r_conn, now);
			region_tick(r, now);
		} else if (r->r_state != REGION_IDLE && region_wanted(r)) {
			region_close(r);
			region_dial(r);
		}
	}
}

void
derp_exit(void)
{
	struct region	*r;

	while ((r = RB_MIN(regions, &regions)) != NULL)
		region_free(r);
}

static void
debug_region(struct region *r, char *buf, size_t len)
{
	struct derpconn	*c = r->r_conn;
	int64_t		 now = os_now();
	int		 n;

	n = snprintf(buf, len, "relay %u %s%s: ", r->r_id,
	    derpmap_name(r->r_id), r->r_id == home ? " (home)" : "");
	buf += n;
	len -= n;
	switch (r->r_state) {
	case REGION_UP:
		snprintf(buf, len, "connected to %s for %lld s, %s, "
		    "%llu frames in, %llu out, last %lld s ago%s%s",
		    r->r_name, (long long)((now - r->r_when) / NSEC),
		    SSL_get_version(c->c_ssl),
		    (unsigned long long)c->c_frames_in,
		    (unsigned long long)c->c_frames_out,
		    (long long)((now - c->c_last_frame) / NSEC),
		    *c->c_health != '\0' ? "; it says: " : "", c->c_health);
		break;
	case REGION_DIALING:
	case REGION_LOGIN:
		snprintf(buf, len, "connecting to %s: %s%s%.350s", r->r_name,
		    c == NULL ? "TCP" : derpconn_state_name(c->c_state),
		    *r->r_why != '\0' ? "; before: " : "", r->r_why);
		break;
	default:
		snprintf(buf, len, "not connected%s%.400s",
		    *r->r_why != '\0' ? ": " : "", r->r_why);
		break;
	}
}

void
derp_debug(void (*line)(uint32_t, const char *), uint32_t id)
{
	struct region	*r;
	char		 buf[MSG_TEXT_LEN];

	RB_FOREACH(r, regions, &regions) {
		debug_region(r, buf, sizeof(buf));
		line(id, buf);
		if (r->r_disco.dq_bytes + r->r_data.dq_bytes == 0 &&
		    r->r_disco.dq_dropped + r->r_data.dq_dropped +
		    r->r_limited == 0)
			continue;
		snprintf(buf, sizeof(buf), "relay %u: %zu bytes wait, "
		    "%llu packets dropped, %llu over its rate", r->r_id,
		    r->r_disco.dq_bytes + r->r_data.dq_bytes,
		    (unsigned long long)(r->r_disco.dq_dropped +
		    r->r_data.dq_dropped),
		    (unsigned long long)r->r_limited);
		line(id, buf);
	}
	snprintf(buf, sizeof(buf), "%u regions in the DERP map, %u connected",
	    derpmap_now()->dm_nregions, derp_count());
	line(id, buf);
}

void
derp_map_changed(const struct derp_map *old)
{
	const struct derp_region	*was;
	struct region			*r, *next;

	RB_FOREACH_SAFE(r, regions, &regions, next) {
		was = derpmap_lookup(old, r->r_id);
		if (derpmap_same(was, derpmap_region(r->r_id)))
			continue;
		if (derpmap_region(r->r_id) == NULL) {
			region_free(r);
			continue;
		}
		region_close(r);
		(void)evtimer_del(&r->r_ev);
		r->r_fails = 0;
		if (region_wanted(r))
			region_start(r);
	}
	if (home != 0 && derpmap_region(home) == NULL)
		home = 0;
}

/* --- what came --- */

/* Like a datagram: disco, a handshake, or data of a session. */
void
derp_input(uint16_t region, const uint8_t *key, uint8_t *pkt, size_t len,
    int64_t now)
{
	rx_relayed(nd.n_rx, region, key, pkt, len, now);
}

void
derp_input_done(void)
{
	rx_flush(nd.n_rx);
}

void
derp_peer_gone(uint16_t region, const uint8_t *key, uint8_t reason)
{
	log_debug("%s: a peer is gone, reason %u", derpmap_name(region),
	    reason);
}
