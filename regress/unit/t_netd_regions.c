/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Which relays netd is connected to: on demand, again when one is lost, not
 * longer than needed. Dials and connections are this test's.
 */
/* link: ../../netd/derpmap.c ../../netd/derpqueue.c ../../netd/addr.c */
/* link: ../../netd/sendq.c */
/* link: ../../netd/lock.c */
/* libs: -lssl */

#include <sys/types.h>

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "../../netd/netd_derp.c"

struct derpdial {
	char		 d_node[64];
	derpdial_done	 d_done;
	void		*d_arg;
};

struct netd		 nd;
static struct derpdial	*dial;		/* the last one, or NULL */
static struct peer	 them;
static struct chan	 parent;
static int		 ndials, nkicks, nprefers, npings, local = 1;
static uint8_t		 key1[MSG_KEY_LEN] = { 1 }, key2[MSG_KEY_LEN] = { 2 };

/* --- what netd_derp.c calls --- */

struct derpdial *
derpdial_new(const struct msg_nm_derp_node *n, derpdial_done done, void *arg)
{
	if ((dial = calloc(1, sizeof(*dial))) == NULL)
		err(1, NULL);
	(void)strlcpy(dial->d_node, n->name, sizeof(dial->d_node));
	dial->d_done = done;
	dial->d_arg = arg;
	ndials++;
	return dial;
}

void
derpdial_free(struct derpdial *d)
{
	if (d == dial)
		dial = NULL;
	free(d);
}

struct derpconn *
derpconn_new(int fd, const struct tlsclient *tc,
    const struct derpconn_peer *peer, const struct derpconn_cb *cb, void *arg,
    struct derp_queue *disco, struct derp_queue *data)
{
	struct derpconn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		err(1, NULL);
	c->c_tls = *tc;
	c->c_peer = *peer;
	c->c_cb = cb;
	c->c_arg = arg;
	return c;
}

void
derpconn_free(struct derpconn *c)
{
	free(c);
}

/* At once: the real one does it from the loop. */
void
derpconn_fail(struct derpconn *c, const char *fmt, ...)
{
	c->c_state = DC_FAILED;
	(void)strlcpy(c->c_why, fmt, sizeof(c->c_why));
	c->c_cb->cb_lost(c->c_arg);
}

void
derpconn_kick(struct derpconn *c)
{
	nkicks++;
}

void
derpconn_prefer(struct derpconn *c, int preferred)
{
	nprefers += preferred ? 1 : 100;
}

void
derpconn_ping(struct derpconn *c, int64_t now)
{
	npings++;
	c->c_pinged = now;
}

int
derpconn_allowed(struct derpconn *c, size_t len, int64_t now)
{
	return 1;
}

int
derpconn_local_ok(const struct derpconn *c)
{
	return local;
}

void
derpconn_sealed(struct derpconn *c, const struct msg_derp_sealed *m)
{
}

void
derpconn_opened(struct derpconn *c, const struct msg_derp_opened *m)
{
}

const char *
derpconn_state_name(enum derpconn_state s)
{
	return "state";
}

struct peer *
peer_find_key(const uint8_t *key)
{
	return memcmp(key, key2, MSG_KEY_LEN) == 0 ? &them : NULL;
}

struct peer *
peer_first(void)
{
	return &them;
}

struct peer *
peer_next(struct peer *p)
{
	return NULL;
}

void
rx_relayed(struct rx *r, uint16_t region, const uint8_t *key, uint8_t *p,
    size_t len, int64_t now)
{
}

void
hs_relay_up(uint16_t region, int64_t now)
{
}

void
rx_flush(struct rx *r)
{
}

void
netcheck_kick(int full)
{
}

struct chan *
proc_parent(void)
{
	return &parent;
}

/* --- the test --- */

static struct derp_map *
map_of(const char *host)
{
	struct derp_region	*r;
	struct derp_map		*m;
	unsigned int		 i, k;

	if ((m = calloc(1, sizeof(*m))) == NULL ||
	    (m->dm_region = calloc(2, sizeof(*m->dm_region))) == NULL)
		err(1, NULL);
	m->dm_nregions = 2;
	for (i = 0; i < 2; i++) {
		r = &m->dm_region[i];
		r->dr.id = 1 + i;
		r->dr_nnodes = 3;
		if ((r->dr_node = calloc(3, sizeof(*r->dr_node))) == NULL)
			err(1, NULL);
		for (k = 0; k < 3; k++) {
			r->dr_node[k].region = 1 + i;
			r->dr_node[k].port = 443;
			r->dr_node[k].name[0] = 'a' + k;
			(void)strlcpy(r->dr_node[k].host, i == 0 ? host :
			    "other", sizeof(r->dr_node[k].host));
		}
		r->dr_node[0].flags = DERP_NODE_STUNONLY;
	}
	return m;
}

static void
expect(int good, const char *what)
{
	if (!good)
		errx(1, "%s", what);
}

/* The dial under way succeeds, and the login. */
static struct region *
up(uint16_t id)
{
	struct region	*r = region_find(id);

	expect(r != NULL && r->r_dial != NULL, "a dial is under way");
	dial_done(r, -2, "");
	expect(r->r_state == REGION_LOGIN, "login");
	r->r_conn->c_state = DC_UP;
	r->r_conn->c_last_frame = os_now();
	conn_up(r);
	expect(derp_connected(id), "connected");
	return r;
}

static void
test_demand(void)
{
	struct region	*r;
	int64_t		 now = os_now();

	expect(derp_send(9, key2, "x", 1) == -1 && errno == ENOENT,
	    "no such region");
	expect(derp_send(2, key2, "x", 1) == 0 && ndials == 0,
	    "nobody to log in as");
	derp_keys(key1);
	expect(ndials == 1 && strcmp(dial->d_node, "b") == 0,
	    "the first node that relays");
	expect(derp_send(2, key2, "y", 1) == 0 && ndials == 1, "one dial");
	r = up(2);
	expect(r->r_data.dq_bytes == 2 * (DERP_RECV_HDR_LEN + 1),
	    "both packets wait");
	expect(derp_send(2, key2, "z", 1) == 0 && nkicks == 1, "sent");
	derpq_clear(&r->r_data);
	expect(derp_count() == 1 && nprefers == 0, "not home");
	region_tick(r, now + IDLE_LIMIT - NSEC);
	expect(derp_connected(2), "not idle yet");
	region_tick(r, os_now() + IDLE_LIMIT);
	expect(region_find(2) == NULL, "closed when idle");
}

static void
test_failures(void)
{
	struct region	*r;
	unsigned int	 i;
	int64_t		 wait = 0;

	ndials = 0;
	derp_set_home(1);
	r = region_find(1);
	expect(ndials == 1 && strcmp(dial->d_node, "b") == 0, "home");
	dial_done(r, -1, "no");
	expect(ndials == 2 && strcmp(dial->d_node, "c") == 0, "the next");
	expect(strcmp(r->r_why, "b: no") == 0, "why");
	for (i = 0; i < 12; i++) {
		dial_done(r, -1, "no");
		expect(r->r_state == REGION_WAITING, "a pause");
		wait = r->r_when - os_now();
		expect(wait <= RETRY_MOST * 3 / 2, "not too long");
		region_start(r);
		expect(r->r_state == REGION_WAITING, "no hurry");
		region_tick(r, r->r_when);
		expect(strcmp(dial->d_node, "b") == 0, "from the first");
		dial_done(r, -1, "no");
	}
	expect(wait >= RETRY_MOST - NSEC / 10, "long enough");
	r = up(1);
	expect(nprefers == 1 && *r->r_why == '\0', "home again");
	region_tick(r, os_now() + IDLE_LIMIT + NSEC);
	expect(derp_connected(1), "home is never idle");
	region_tick(r, os_now() + READ_LIMIT);
	expect(!derp_connected(1) && strstr(r->r_why, "silent") != NULL,
	    "silent");
	expect(r->r_state == REGION_WAITING, "and again");
}

static void
test_links(void)
{
	struct region	*r = region_find(1);

	derp_link_changed();
	expect(r->r_dial != NULL, "at once");
	r = up(1);
	expect(r->r_fails == 0, "a new start");
	npings = 0;
	derp_link_changed();
	expect(npings == 1 && derp_connected(1), "does it answer?");
	region_tick(r, os_now() + PONG_LIMIT - NSEC);
	expect(derp_connected(1), "there is time");
	region_tick(r, os_now() + PONG_LIMIT);
	expect(!derp_connected(1), "it does not");
	expect(r->r_when - os_now() <= RETRY_SOON * 3 / 2, "soon again");
	region_tick(r, r->r_when);
	(void)up(1);
	local = 0;
	derp_link_changed();
	expect(!derp_connected(1), "its address is gone");
	local = 1;
	region_tick(r, r->r_when);
	(void)up(1);
	conn_restart(r, 5000);
	expect(r->r_when - os_now() >= 4 * NSEC, "as long as it wants");
	region_tick(r, r->r_when);
	(void)up(1);
}

static void
test_routes(void)
{
	struct region	*r = region_find(1);
	uint8_t		 pkt[1] = { 0 };

	expect(derp_route(key2, 2) == 2, "its home");
	conn_packet(r, key2, pkt, 1, os_now());
	expect(derp_route(key2, 2) == 1, "where it was heard");
	expect(derp_route(key1, 2) == 2, "another one was not");
	conn_gone(r, key2, DERP_GONE_DISCONNECTED);
	expect(derp_route(key2, 2) == 2, "it is gone");
	conn_packet(r, key2, pkt, 1, os_now());
	(void)derp_send(2, key2, "x", 1);
	(void)up(2);
	expect(derp_route(key2, 2) == 2, "its home is open");
	region_free(region_find(2));
	expect(derp_route(key2, 0) == 1, "no home is known");
}

static void
test_changes(void)
{
	struct region	*r = region_find(1);
	int		 before = ndials;

	derpmap_commit(map_of("one"));
	expect(derp_connected(1) && ndials == before, "the same map");
	derp_keys(key2);
	expect(!derp_connected(1) && them.p_heard_derp == 0 &&
	    r->r_dial != NULL, "another key: log in anew");
	(void)up(1);
	derpmap_commit(map_of("two"));
	expect(!derp_connected(1) && derp_home() == 1,
	    "another relay there: connect to it");
	(void)up(1);
	nprefers = 0;
	derp_set_home(2);
	expect(nprefers == 100 && derp_connected(1), "not home any more");
	derp_exit();
	expect(derp_count() == 0, "the end");
}

int
main(void)
{
	event_init();
	derpmap_commit(map_of("one"));
	test_demand();
	test_failures();
	test_links();
	test_routes();
	test_changes();
	return 0;
}
