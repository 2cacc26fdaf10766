/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The bench of stored_lab.h.
 */

#include <sys/types.h>

#include "log.h"
#include "stored_lab.h"

static void
lab_answer(void *arg, const struct msg_rpc *rpc, unsigned int status,
    unsigned int type, const void *data, size_t len, uint32_t flags)
{
	struct lab	*l = arg;
	struct lab_msg	*m, **end;

	l->l_nmsgs++;
	l->l_bytes += len;
	if (l->l_drop)
		return;
	if (rpc->conn >= LAB_STREAMS)
		errx(1, "stream of nobody");
	m = xcalloc(1, sizeof(*m));
	m->m_text = xcalloc(1, len + 1);
	if (len > 0)
		memcpy(m->m_text, data, len);
	m->m_len = len;
	m->m_status = status;
	m->m_flags = flags;
	for (end = &l->l_msgs[rpc->conn]; *end != NULL;)
		end = &(*end)->m_next;
	*end = m;
}

static int
lab_ready(void *arg)
{
	return !((struct lab *)arg)->l_full;
}

static const struct sink	 lab_sink = {
	.s_answer = lab_answer, .s_ready = lab_ready
};

void
lab_conf(struct sconf *c, uint8_t mode)
{
	static const uint8_t	 net6[6] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1,
				    0xe0 };

	memset(c, 0, sizeof(*c));
	(void)strlcpy(c->c_url, "http://coord.example:8080/",
	    sizeof(c->c_url));
	(void)strlcpy(c->c_domain, "tail.example", sizeof(c->c_domain));
	(void)strlcpy(c->c_db, ":memory:", sizeof(c->c_db));
	c->c_addr4.af = AF_WIRE_INET;
	c->c_addr4.plen = 10;
	c->c_addr4.addr[0] = 100;
	c->c_addr4.addr[1] = 64;
	c->c_addr6.af = AF_WIRE_INET6;
	c->c_addr6.plen = 48;
	memcpy(c->c_addr6.addr, net6, sizeof(net6));
	c->c_key_expiry = 180 * 86400 * SEC;
	c->c_policy = mode;
}

void
lab_open(struct lab *l, const char *path, uint8_t mode, const char *text)
{
	struct sconf	 c;
	struct store	*st;
	char		 msg[256], *msgs;

	memset(l, 0, sizeof(*l));
	log_init(getenv("STORED_VERBOSE") != NULL, "test");
	st = store_open(path == NULL ? ":memory:" : path, STORE_VERSION, msg,
	    sizeof(msg));
	if (st == NULL)
		errx(1, "store: %s", msg);
	lab_conf(&c, mode);
	if (brain_init(&l->l_b, st, &c, &lab_sink, l, 1000 * SEC,
	    LAB_DATE * SEC) == -1)
		errx(1, "brain_init");
	if (policy_apply(&l->l_b, mode, "test.hujson", text,
	    text == NULL ? 0 : strlen(text), 0, &msgs) == -1)
		errx(1, "%s", msgs);
	free(msgs);
}

static void
lab_drop(struct lab *l, unsigned int s)
{
	struct lab_msg	*m = l->l_msgs[s];

	l->l_msgs[s] = m->m_next;
	free(m->m_text);
	free(m);
}

void
lab_close(struct lab *l)
{
	unsigned int	 s;

	brain_free(&l->l_b);
	for (s = 0; s < LAB_STREAMS; s++)
		while (l->l_msgs[s] != NULL)
			lab_drop(l, s);
}

void
lab_pass(struct lab *l, int64_t ms)
{
	int64_t	 end = l->l_b.b_now + ms * MSEC, next, date;
	int	 turns = 0;

	date = l->l_b.b_date - l->l_b.b_now;
	while ((next = brain_next(&l->l_b)) != -1 &&
	    l->l_b.b_now + next <= end) {
		brain_clock(&l->l_b, l->l_b.b_now + next,
		    l->l_b.b_now + next + date);
		brain_run(&l->l_b);
		if (++turns > 1000000)
			errx(1, "the timers do not come to rest");
	}
	brain_clock(&l->l_b, end, end + date);
}

void
lab_policy(struct lab *l, const char *text)
{
	char	*msgs;

	if (policy_apply(&l->l_b, POLICY_FILE, "test.hujson", text,
	    strlen(text), 0, &msgs) == -1)
		errx(1, "%s", msgs);
	free(msgs);
	l->l_b.b_conf.c_policy = POLICY_FILE;
}

void
lab_key(uint8_t key[32], unsigned int kind, unsigned int n)
{
	memset(key, (int)kind, 32);
	key[1] = (uint8_t)(n >> 16);
	key[2] = (uint8_t)(n >> 8);
	key[3] = (uint8_t)n;
}

unsigned int
lab_raw(struct lab *l, unsigned int s, char **text, uint32_t *flags)
{
	struct lab_msg	*m = l->l_msgs[s];
	unsigned int	 status;

	if (m == NULL)
		return 0;
	status = m->m_status;
	if (text != NULL)
		*text = xstrdup(m->m_text);
	if (flags != NULL)
		*flags = m->m_flags;
	lab_drop(l, s);
	return status;
}

json_t *
lab_next(struct lab *l, unsigned int s)
{
	json_error_t	 e;
	json_t		*j;
	char		*text;

	if (lab_raw(l, s, &text, NULL) == 0)
		return NULL;
	if ((j = json_loads(text, JSON_REJECT_DUPLICATES, &e)) == NULL)
		errx(1, "not JSON: %s: %.2000s", e.text, text);
	free(text);
	return j;
}

struct user *
lab_user(struct lab *l, const char *name)
{
	struct user	*u;
	char		 msg[256];

	if ((u = user_find_name(&l->l_b, name)) != NULL)
		return u;
	if (user_create(&l->l_b, name, NULL, &u, msg, sizeof(msg)) == -1)
		errx(1, "user %s: %s", name, msg);
	return u;
}

void
lab_authkey(struct lab *l, const char *user, const char *tag, int reusable,
    int ephemeral, int64_t expiry, char *text)
{
	struct authkey	 k;
	char		 msg[256], *tags[1];

	memset(&k, 0, sizeof(k));
	if (user != NULL)
		k.k_user = lab_user(l, user)->u_id;
	if (tag != NULL) {
		tags[0] = xstrdup(tag);
		k.k_tags = tags;
		k.k_ntags = 1;
	}
	k.k_reusable = (uint8_t)reusable;
	k.k_ephemeral = (uint8_t)ephemeral;
	k.k_expiry = expiry;
	if (authkey_create(&l->l_b, &k, text, msg, sizeof(msg)) == -1)
		errx(1, "authkey: %s", msg);
	if (tag != NULL)
		free(tags[0]);
}

void
lab_register_req(struct reg_req *q, unsigned int m, unsigned int k,
    unsigned int s, const char *authkey, const char *hostinfo)
{
	memset(q, 0, sizeof(*q));
	q->q_rpc.conn = q->q_rpc.stream = s;
	lab_key(q->q_machine, 1, m);
	lab_key(q->q_node, 2, k);
	q->q_version = 130;
	q->q_authkey = authkey == NULL ? "" : authkey;
	q->q_followup = "";
	q->q_hostinfo = hostinfo;
	q->q_hostinfolen = hostinfo == NULL ? 0 : strlen(hostinfo);
}

json_t *
lab_register(struct lab *l, const struct reg_req *q)
{
	register_request(&l->l_b, q);
	return lab_next(l, (unsigned int)q->q_rpc.conn);
}

struct node *
lab_join(struct lab *l, unsigned int m, unsigned int k, const char *authkey,
    const char *hostname)
{
	struct reg_req	 q;
	struct node	*n;
	uint8_t		 key[32];
	char		 info[256];
	json_t		*j;

	(void)snprintf(info, sizeof(info),
	    "{\"Hostname\":\"%s\",\"OS\":\"linux\"}", hostname);
	lab_register_req(&q, m, k, 1, authkey, info);
	j = lab_register(l, &q);
	if (lab_str(j, "Error")[0] != '\0')
		errx(1, "join: %s", lab_str(j, "Error"));
	json_decref(j);
	lab_key(key, 2, k);
	if ((n = node_find_key(&l->l_b, key)) == NULL)
		errx(1, "join: no node");
	return n;
}

void
lab_map(struct lab *l, struct map_req *q, unsigned int m, unsigned int k)
{
	lab_key(q->m_machine, 1, m);
	lab_key(q->m_node, 2, k);
	if (q->m_version == 0)
		q->m_version = 130;
	map_request(&l->l_b, q);
}

void
lab_poll(struct lab *l, unsigned int m, unsigned int k, unsigned int s)
{
	struct map_req	 q;

	memset(&q, 0, sizeof(q));
	q.m_rpc.conn = q.m_rpc.stream = s;
	q.m_stream = 1;
	lab_map(l, &q, m, k);
}

void
lab_lite(struct lab *l, unsigned int m, unsigned int k, const char *ep,
    const char *hostinfo)
{
	struct msg_endpoint	 e;
	struct map_req		 q;

	memset(&q, 0, sizeof(q));
	q.m_rpc.conn = q.m_rpc.stream = 2;
	q.m_omit_peers = 1;
	if (ep != NULL) {
		if (endpoint_parse(ep, &e) == -1)
			errx(1, "%s", ep);
		e.type = 1;
		q.m_has_endpoints = 1;
		q.m_endpoints = &e;
		q.m_nendpoints = 1;
	}
	q.m_hostinfo = hostinfo;
	q.m_hostinfolen = hostinfo == NULL ? 0 : strlen(hostinfo);
	lab_key(q.m_disco, 3, k);
	lab_map(l, &q, m, k);
	if (!l->l_drop && lab_raw(l, 2, NULL, NULL) != 200)
		errx(1, "lite update refused");
}

void
lab_hangup(struct lab *l, unsigned int s)
{
	struct msg_rpc	 rpc;

	memset(&rpc, 0, sizeof(rpc));
	rpc.conn = s;
	brain_drop_rpc(&l->l_b, &rpc);
}

json_t *
lab_at(json_t *j, const char *path)
{
	char	*copy, *name, *rest;

	copy = rest = xstrdup(path);
	while (j != NULL && (name = strsep(&rest, "/")) != NULL)
		j = json_is_array(j) ?
		    json_array_get(j, (size_t)strtol(name, NULL, 10)) :
		    json_object_get(j, name);
	free(copy);
	return j;
}

const char *
lab_str(json_t *j, const char *path)
{
	const char	*s;

	s = json_string_value(lab_at(j, path));
	return s == NULL ? "" : s;
}

json_int_t
lab_int(json_t *j, const char *path)
{
	json_t	*v = lab_at(j, path);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

json_t *
lab_peer(json_t *j, const char *list, uint64_t id)
{
	const char	*field;
	json_t		*e;
	size_t		 i;

	field = strcmp(list, "PeersChangedPatch") == 0 ? "NodeID" : "ID";
	json_array_foreach(json_object_get(j, list), i, e)
		if (lab_int(e, field) == (json_int_t)id)
			return e;
	return NULL;
}

int
lab_removed(json_t *j, uint64_t id)
{
	json_t	*e;
	size_t	 i;

	json_array_foreach(json_object_get(j, "PeersRemoved"), i, e)
		if (json_integer_value(e) == (json_int_t)id)
			return 1;
	return 0;
}
