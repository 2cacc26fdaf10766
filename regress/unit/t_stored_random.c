/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Random events; what deltas add up to is what a fresh map says.
 */

/* link: stored_lab.c */
/* link: ../../coordd/stored/addr.c ../../coordd/stored/alloc.c */
/* link: ../../coordd/stored/authkey.c ../../coordd/stored/brain.c */
/* link: ../../coordd/stored/buf.c ../../coordd/stored/hostinfo.c */
/* link: ../../coordd/stored/call.c ../../coordd/stored/ping.c */
/* link: ../../coordd/stored/map.c ../../coordd/stored/map_delta.c */
/* link: ../../coordd/stored/map_full.c ../../coordd/stored/map_node.c */
/* link: ../../coordd/stored/name.c ../../coordd/stored/node.c */
/* link: ../../coordd/stored/noderec.c ../../coordd/stored/online.c */
/* link: ../../coordd/stored/pending.c ../../coordd/stored/register.c */
/* link: ../../coordd/stored/policy_apply.c ../../coordd/stored/store.c */
/* link: ../../coordd/stored/store_node.c ../../coordd/stored/user.c */
/* link: ../../coordd/stored/store_user.c */
/* link: ../../coordd/stored/follow.c */
/* libs: -lsqlite3 */

#include "stored_lab.h"

#define MACHINES	24
#define ROUNDS		60
#define EVENTS		25
#define POLL(m)		(100 + (m))
#define ONCE		90

/* What a client knows by the messages of its poll. */
struct client {
	json_t		*c_peers;	/* ID to node; NULL: no first map */
	json_t		*c_filter;
	json_t		*c_self;
	unsigned int	 c_key;		/* 0: not registered */
	int		 c_polls;
};

static const char *const policies[] = {
	"{\"acls\":[]}",
	"{}",
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
	    "\"dst\":[\"autogroup:self:*\"]}]}",
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"u0@\"],"
	    "\"dst\":[\"u1@:22\"]}]}",
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"u2@\"],\"dst\":"
	    "[\"10.1.0.0/16:*\"]},{\"action\":\"accept\",\"src\":[\"u0@\"],"
	    "\"dst\":[\"u0@:*\",\"u2@:80\"]}]}"
};

static struct lab	 lab;
static struct client	 clients[MACHINES];
static char		 keys[3][AUTHKEY_TEXT];
static unsigned int	 next_key = 1;
static uint32_t		 state;

static unsigned int
rnd(unsigned int n)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % n;
}

static void
client_reset(struct client *c)
{
	json_decref(c->c_peers);
	json_decref(c->c_filter);
	json_decref(c->c_self);
	c->c_peers = c->c_filter = c->c_self = NULL;
}

static void
take_peer(struct client *c, json_t *peer)
{
	char	 id[32];

	(void)snprintf(id, sizeof(id), "%lld", (long long)lab_int(peer,
	    "ID"));
	if (json_object_set_new(c->c_peers, id, json_deep_copy(peer)) == -1)
		errx(1, "no memory");
}

static void
take_patch(struct client *c, json_t *p)
{
	static const char *const same[] = { "Endpoints", "DiscoKey",
	    "Online", "LastSeen" };
	json_t	*n, *v;
	char	 id[32];
	size_t	 i;

	(void)snprintf(id, sizeof(id), "%lld", (long long)lab_int(p,
	    "NodeID"));
	if ((n = json_object_get(c->c_peers, id)) == NULL)
		errx(1, "a patch for %s, who is no peer", id);
	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if ((v = json_object_get(p, same[i])) != NULL)
			json_object_set(n, same[i], v);
	if (json_is_true(json_object_get(p, "Online")))
		json_object_del(n, "LastSeen");
	if ((v = json_object_get(p, "DERPRegion")) != NULL)
		json_object_set(n, "HomeDERP", v);
}

/* Is the owner of each peer known? The order of control.md 4.3. */
static void
take_delta(struct client *c, json_t *j)
{
	json_t	*e;
	size_t	 i;
	char	 id[32];

	json_array_foreach(json_object_get(j, "PeersRemoved"), i, e) {
		(void)snprintf(id, sizeof(id), "%lld",
		    (long long)json_integer_value(e));
		if (json_object_del(c->c_peers, id) == -1)
			errx(1, "%s removed, who was no peer", id);
	}
	json_array_foreach(json_object_get(j, "PeersChanged"), i, e)
		take_peer(c, e);
	json_array_foreach(json_object_get(j, "PeersChangedPatch"), i, e)
		take_patch(c, e);
}

static void
take(struct client *c, json_t *j)
{
	json_t	*e;
	size_t	 i;

	if (c->c_peers == NULL) {
		if (json_object_get(j, "Node") == NULL)
			errx(1, "a delta before the first map");
		c->c_peers = json_object();
		json_array_foreach(json_object_get(j, "Peers"), i, e)
			take_peer(c, e);
	} else {
		if (json_object_get(j, "Peers") != NULL)
			errx(1, "a whole list in a delta");
		take_delta(c, j);
	}
	if ((e = lab_at(j, "PacketFilters/base")) != NULL) {
		json_decref(c->c_filter);
		c->c_filter = json_incref(e);
	}
	if ((e = json_object_get(j, "Node")) != NULL) {
		json_decref(c->c_self);
		c->c_self = json_incref(e);
	}
}

static void
receive(unsigned int m)
{
	struct client	*c = &clients[m];
	json_t		*j;
	char		*text;

	while (lab_raw(&lab, POLL(m), &text, NULL) != 0) {
		if (text[0] == '\0' || text[0] != '{') {
			/* The end of a poll. */
			free(text);
			continue;
		}
		if ((j = json_loads(text, 0, NULL)) == NULL)
			errx(1, "not JSON: %s", text);
		if (c->c_polls)
			take(c, j);
		json_decref(j);
		free(text);
	}
}

static void
same(const char *what, unsigned int m, json_t *have, json_t *want)
{
	json_t		*e;
	const char	*k;

	if (json_equal(have, want))
		return;
	/* Of a list of peers only the first that differs. */
	json_object_foreach(have, k, e)
		if (!json_equal(e, json_object_get(want, k)))
			errx(1, "machine %u: %s: %s is\n%s\nnot\n%s", m,
			    what, k, json_dumps(e, JSON_SORT_KEYS |
			    JSON_ENCODE_ANY), json_dumps(json_object_get(
			    want, k), JSON_SORT_KEYS | JSON_ENCODE_ANY));
	errx(1, "machine %u: %s:\n%s\nnot\n%s", m, what,
	    json_dumps(have, JSON_SORT_KEYS | JSON_ENCODE_ANY),
	    json_dumps(want, JSON_SORT_KEYS | JSON_ENCODE_ANY));
}

/*
 * A destination may be a prefix that holds a neighbour's address as well.
 * When that neighbour goes the prefix gets longer, which nobody is told: it
 * makes no difference to who may send what to this node.
 */
static json_t *
filter_core(json_t *filter)
{
	json_t	*copy = json_deep_copy(filter), *d, *r;
	size_t	 i, k;

	json_array_foreach(copy, i, r)
		json_array_foreach(json_object_get(r, "DstPorts"), k, d)
			json_object_del(d, "IP");
	return copy;
}

static void
same_filter(unsigned int m, json_t *have, json_t *want)
{
	json_t	*a = filter_core(have), *b = filter_core(want);

	same("filter", m, a, b);
	json_decref(a);
	json_decref(b);
}

static void
check(unsigned int m)
{
	struct client	*c = &clients[m];
	struct map_req	 q;
	struct client	 fresh;
	json_t		*j;

	if (!c->c_polls)
		return;
	memset(&q, 0, sizeof(q));
	q.m_rpc.conn = q.m_rpc.stream = ONCE;
	q.m_read_only = 1;
	lab_map(&lab, &q, m + 1, c->c_key);
	if ((j = lab_next(&lab, ONCE)) == NULL)
		errx(1, "machine %u: no map", m);
	memset(&fresh, 0, sizeof(fresh));
	take(&fresh, j);
	json_decref(j);
	same("peers", m, c->c_peers, fresh.c_peers);
	same_filter(m, c->c_filter, fresh.c_filter);
	same("addresses", m, json_object_get(c->c_self, "AllowedIPs"),
	    json_object_get(fresh.c_self, "AllowedIPs"));
	same("name", m, json_object_get(c->c_self, "Name"),
	    json_object_get(fresh.c_self, "Name"));
	client_reset(&fresh);
}

static struct node *
node_of(unsigned int m)
{
	uint8_t	 key[32];

	lab_key(key, 2, clients[m].c_key);
	return node_find_key(&lab.l_b, key);
}

static void
hang_up(unsigned int m)
{
	lab_hangup(&lab, POLL(m));
	clients[m].c_polls = 0;
	receive(m);
	client_reset(&clients[m]);
}

static void
event_join(unsigned int m)
{
	static const char *const hosts[] = { "www", "db", "box" };

	clients[m].c_key = next_key;
	lab_join(&lab, m + 1, next_key++, keys[m % 3], hosts[rnd(3)]);
}

static void
event_delete(unsigned int m)
{
	if (node_delete(&lab.l_b, node_of(m), "test", "delete") == -1)
		errx(1, "delete");
	clients[m].c_polls = 0;
	clients[m].c_key = 0;
	receive(m);
	client_reset(&clients[m]);
}

static void
event_lite(unsigned int m)
{
	char	 ep[32], info[160];

	(void)snprintf(ep, sizeof(ep), "192.0.2.%u:%u", rnd(250) + 1,
	    rnd(60000) + 1);
	(void)snprintf(info, sizeof(info), "{\"Hostname\":\"h%u\","
	    "\"RoutableIPs\":[%s],\"NetInfo\":{\"PreferredDERP\":%u}}",
	    rnd(6), rnd(2) ? "\"10.1.0.0/16\"" : "", rnd(3) + 1);
	lab_lite(&lab, m + 1, clients[m].c_key, rnd(3) ? ep : NULL,
	    rnd(3) ? NULL : info);
}

static void
event_admin(unsigned int m)
{
	struct policy_prefix	 p;
	struct noderec		 r;
	struct node		*n = node_of(m);

	noderec_copy(&r, &n->n_rec);
	switch (rnd(3)) {
	case 0:
		r.r_approved = !r.r_approved;
		break;
	case 1:
		memset(&p, 0, sizeof(p));
		(void)policy_prefix_parse("10.1.0.0/16", &p);
		noderec_set_routes(&r, &p, r.r_napproved == 0);
		break;
	default:
		r.r_expiry = rnd(2) ? 0 : lab.l_b.b_date + 20 * SEC;
		break;
	}
	if (node_put(&lab.l_b, n, &r, "test", "change") == -1)
		errx(1, "node_put");
}

static void
event(void)
{
	unsigned int	 m = rnd(MACHINES);
	struct client	*c = &clients[m];

	if (rnd(20) == 0)
		lab_policy(&lab, policies[rnd(5)]);
	if (rnd(10) == 0)
		lab.l_full = !lab.l_full;
	if (rnd(4) == 0)
		lab_pass(&lab, rnd(15000));
	if (c->c_key == 0)
		event_join(m);
	else if (!c->c_polls) {
		lab_poll(&lab, m + 1, c->c_key, POLL(m));
		c->c_polls = node_of(m)->n_viewer != NULL;
	} else switch (rnd(8)) {
	case 0:
		hang_up(m);
		break;
	case 1:
		event_delete(m);
		break;
	case 2:
		event_join(m);		/* its key rotates */
		break;
	case 3:
	case 4:
		event_admin(m);
		break;
	default:
		event_lite(m);
		break;
	}
}

int
main(void)
{
	unsigned int	 e, m, r;
	const char	*seed = getenv("SEED");

	state = seed == NULL ? 1 : (uint32_t)strtoul(seed, NULL, 10);
	lab_open(&lab, NULL, POLICY_FILE, policies[2]);
	lab_authkey(&lab, "u0", NULL, 1, 0, 0, keys[0]);
	lab_authkey(&lab, "u1", NULL, 1, 0, 0, keys[1]);
	lab_authkey(&lab, "u2", NULL, 1, 0, 0, keys[2]);
	for (r = 0; r < ROUNDS; r++) {
		for (e = 0; e < EVENTS; e++)
			event();
		lab.l_full = 0;
		lab_pass(&lab, 60000);
		for (m = 0; m < MACHINES; m++)
			receive(m);
		for (m = 0; m < MACHINES; m++)
			check(m);
	}
	for (m = 0; m < MACHINES; m++)
		client_reset(&clients[m]);
	lab_close(&lab);
	return 0;
}
