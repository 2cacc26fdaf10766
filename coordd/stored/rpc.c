/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Requests of nodes as frontd passes them on, and the answers.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "log.h"
#include "proc.h"
#include "srvreq.h"
#include "stored.h"

/* A request whose parts are still coming. */
struct partial {
	TAILQ_ENTRY(partial)	 pa_entry;
	enum msg_type		 pa_type;
	struct msg_rpc		 pa_rpc;
	struct msg_rpc_register	 pa_reg;
	struct msg_rpc_map	 pa_map;
	struct msg_rpc_call	 pa_call;
	struct msg_endpoint	*pa_eps;
	uint32_t		 pa_neps;
	uint32_t		 pa_wanteps;
	char			*pa_data;
	size_t			 pa_datalen;
	size_t			 pa_wantdata;
};
TAILQ_HEAD(partials, partial);

#define PARTIALS_MAX	64
#define RPC_QUEUE	4096		/* messages that may wait for frontd */

static struct chan	 chan_frontd;
static struct partials	 partials = TAILQ_HEAD_INITIALIZER(partials);
static size_t		 npartials;

static int	rpc_msg(struct chan *, struct imsg *);
static void	rpc_lost(struct chan *, enum chan_end);
static void	rpc_answer(void *, const struct msg_rpc *, unsigned int,
		    unsigned int, const void *, size_t, uint32_t);
static int	rpc_ready(void *);
static void	rpc_lines(void *, uint64_t, const char *, size_t);

static const struct chan_cb	 rpc_cb = { rpc_msg, rpc_lost };
const struct sink		 rpc_sink = {
	rpc_answer, rpc_ready, stored_sign, stored_dns, stored_adm_later,
	rpc_lines
};

static void
partial_free(struct partial *p)
{
	TAILQ_REMOVE(&partials, p, pa_entry);
	npartials--;
	free(p->pa_eps);
	free(p->pa_data);
	freezero(p, sizeof(*p));
}

static void
partial_free_all(void)
{
	struct partial	*p;

	while ((p = TAILQ_FIRST(&partials)) != NULL)
		partial_free(p);
}

void
rpc_open(int fd, int fresh)
{
	chan_close(&chan_frontd);
	partial_free_all();
	if (stored_brain() != NULL)
		brain_drop_rpcs(stored_brain());
	chan_open(&chan_frontd, fd, PROC_STORED, PROC_FRONTD, &rpc_cb, NULL);
	rpc_publish();
}

static void
rpc_lost(struct chan *c, enum chan_end end)
{
	stored_enter();
	partial_free_all();
	if (stored_brain() != NULL)
		brain_drop_rpcs(stored_brain());
	stored_leave();
	proc_sibling_lost(c, end);
}

static int
rpc_ready(void *arg)
{
	return chan_queued(&chan_frontd) < RPC_QUEUE;
}

static void
rpc_answer(void *arg, const struct msg_rpc *rpc, unsigned int status,
    unsigned int type, const void *data, size_t len, uint32_t flags)
{
	struct msg_rpc_answer	 m;
	const uint8_t		*p = data;
	size_t			 n;

	do {
		n = len < MSG_CHUNK_MAX ? len : MSG_CHUNK_MAX;
		len -= n;
		memset(&m, 0, sizeof(m));
		m.rpc.conn = rpc->conn;
		m.rpc.stream = rpc->stream;
		m.rpc.flags = len == 0 ? flags : 0;
		m.status = (uint16_t)status;
		m.type = (uint16_t)type;
		m.len = (uint32_t)n;
		(void)chan_compose2(&chan_frontd, IMSG_RPC_ANSWER, 0, -1, &m,
		    sizeof(m), p, n);
		p += n;
	} while (len > 0);
}

static void
rpc_lines(void *arg, uint64_t conn, const char *text, size_t len)
{
	struct msg_web_lines	 m;

	do {
		memset(&m, 0, sizeof(m));
		m.conn = conn;
		m.len = len < MSG_CHUNK_MAX ? len : MSG_CHUNK_MAX;
		(void)chan_compose2(&chan_frontd, IMSG_WEB_LINES, 0, -1, &m,
		    sizeof(m), text, m.len);
		text += m.len;
		len -= m.len;
	} while (len > 0);
}

void
rpc_publish(void)
{
	struct msg_web_map	 m;
	const char		*text = "";
	size_t			 len;

	if (stored_brain() != NULL &&
	    stored_brain()->b_conf.c_derpmap != NULL)
		text = stored_brain()->b_conf.c_derpmap;
	len = strlen(text);
	if (len > WEB_MAP_MAX) {
		log_info("the DERP map is too long to be published");
		len = 0;
	}
	do {
		memset(&m, 0, sizeof(m));
		m.len = len < MSG_CHUNK_MAX ? len : MSG_CHUNK_MAX;
		len -= m.len;
		m.last = len == 0;
		(void)chan_compose2(&chan_frontd, IMSG_WEB_MAP, 0, -1, &m,
		    sizeof(m), text, m.len);
		text += m.len;
	} while (len > 0);
}

static struct partial *
partial_find(const struct msg_rpc *rpc)
{
	struct partial	*p;

	TAILQ_FOREACH(p, &partials, pa_entry)
		if (p->pa_rpc.conn == rpc->conn &&
		    p->pa_rpc.stream == rpc->stream)
			return p;
	return NULL;
}

static struct partial *
partial_new(enum msg_type type, const struct msg_rpc *rpc)
{
	struct partial	*p;

	if (npartials >= PARTIALS_MAX)
		partial_free(TAILQ_FIRST(&partials));
	p = xcalloc(1, sizeof(*p));
	p->pa_type = type;
	p->pa_rpc = *rpc;
	TAILQ_INSERT_TAIL(&partials, p, pa_entry);
	npartials++;
	return p;
}

static void
do_register(struct brain *b, struct partial *p)
{
	struct reg_req	 q;

	memset(&q, 0, sizeof(q));
	q.q_rpc = p->pa_rpc;
	memcpy(q.q_machine, p->pa_reg.machine, MSG_KEY_LEN);
	memcpy(q.q_node, p->pa_reg.node, MSG_KEY_LEN);
	memcpy(q.q_nl, p->pa_reg.nl, MSG_KEY_LEN);
	q.q_expiry = p->pa_reg.expiry;
	q.q_version = p->pa_reg.version;
	q.q_ephemeral = p->pa_reg.ephemeral;
	q.q_authkey = p->pa_reg.auth_key;
	q.q_followup = p->pa_reg.followup;
	q.q_hostinfo = p->pa_data;
	q.q_hostinfolen = p->pa_datalen;
	register_request(b, &q);
}

static void
do_map(struct brain *b, struct partial *p)
{
	struct map_req	 q;

	memset(&q, 0, sizeof(q));
	q.m_rpc = p->pa_rpc;
	memcpy(q.m_machine, p->pa_map.machine, MSG_KEY_LEN);
	memcpy(q.m_node, p->pa_map.node, MSG_KEY_LEN);
	memcpy(q.m_disco, p->pa_map.disco, MSG_KEY_LEN);
	q.m_version = p->pa_map.version;
	q.m_stream = p->pa_map.stream;
	q.m_omit_peers = p->pa_map.omit_peers;
	q.m_read_only = p->pa_map.read_only;
	q.m_has_endpoints = p->pa_map.has_endpoints != 0;
	q.m_endpoints = p->pa_eps;
	q.m_nendpoints = p->pa_neps;
	q.m_hostinfo = p->pa_data;
	q.m_hostinfolen = p->pa_datalen;
	map_request(b, &q);
}

static void
do_call(struct brain *b, struct partial *p)
{
	struct call_req	 q;

	memset(&q, 0, sizeof(q));
	q.q_rpc = p->pa_rpc;
	memcpy(q.q_machine, p->pa_call.machine, MSG_KEY_LEN);
	memcpy(q.q_node, p->pa_call.node, MSG_KEY_LEN);
	q.q_call = p->pa_call.call;
	q.q_json = p->pa_data;
	q.q_jsonlen = p->pa_datalen;
	call_request(b, &q);
}

/* All parts there: hand it to the brain. */
static void
partial_check(struct partial *p)
{
	struct brain	*b = stored_brain();
	static const char busy[] = "starting";

	if (p->pa_datalen < p->pa_wantdata || p->pa_neps < p->pa_wanteps)
		return;
	if (b == NULL)
		rpc_answer(NULL, &p->pa_rpc, 503, RPC_T_TEXT, busy,
		    sizeof(busy) - 1, RPC_F_END);
	else if (p->pa_type == IMSG_RPC_REGISTER)
		do_register(b, p);
	else if (p->pa_type == IMSG_RPC_CALL)
		do_call(b, p);
	else
		do_map(b, p);
	partial_free(p);
}

static int
rpc_register(struct imsg *imsg)
{
	struct msg_rpc_register	 m;
	struct partial		*p;
	int			 rc = -1;

	if (msg_get(imsg, &m, sizeof(m)) == 0 &&
	    msg_str_ok(m.auth_key, sizeof(m.auth_key)) &&
	    msg_str_ok(m.followup, sizeof(m.followup)) &&
	    m.hostinfo_len <= SRVREQ_MAX_HOSTINFO && m.rpc.stream != 0 &&
	    partial_find(&m.rpc) == NULL) {
		p = partial_new(IMSG_RPC_REGISTER, &m.rpc);
		p->pa_reg = m;
		p->pa_wantdata = m.hostinfo_len;
		partial_check(p);
		rc = 0;
	}
	explicit_bzero(&m, sizeof(m));
	return rc;
}

static int
rpc_map(struct imsg *imsg)
{
	struct msg_rpc_map	 m;
	struct partial		*p;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    m.hostinfo_len > SRVREQ_MAX_HOSTINFO ||
	    m.nendpoints > MSG_LIST_MAX || m.rpc.stream == 0 ||
	    partial_find(&m.rpc) != NULL || (stored_brain() != NULL &&
	    viewer_find(stored_brain(), &m.rpc) != NULL))
		return -1;
	p = partial_new(IMSG_RPC_MAP, &m.rpc);
	p->pa_map = m;
	p->pa_wantdata = m.hostinfo_len;
	p->pa_wanteps = m.nendpoints;
	partial_check(p);
	return 0;
}

static int
rpc_call(struct imsg *imsg)
{
	struct msg_rpc_call	 m;
	struct partial		*p;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.rpc.stream == 0 ||
	    m.data_len == 0 || m.data_len > (m.call == RPC_CALL_PONG ?
	    PING_ID_LEN + SRVREQ_MAX_BODY : SRVREQ_MAX_CALL) ||
	    partial_find(&m.rpc) != NULL)
		return -1;
	p = partial_new(IMSG_RPC_CALL, &m.rpc);
	p->pa_call = m;
	p->pa_wantdata = m.data_len;
	return 0;
}

/* Of plain HTTP: frontd has no stream for it, and waits only a moment. */
static int
rpc_web(struct imsg *imsg)
{
	struct msg_web_ask	 m;
	struct msg_web_answer	 a;

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.id, sizeof(m.id)))
		return -1;
	memset(&a, 0, sizeof(a));
	a.conn = m.conn;
	if (stored_brain() != NULL && m.kind == WEB_LOGIN)
		pending_describe(stored_brain(), m.id, &a);
	else if (stored_brain() != NULL && m.kind == WEB_VERIFY)
		a.yes = node_may_relay(stored_brain(), m.key);
	else if (stored_brain() != NULL && m.kind == WEB_PONG)
		a.yes = ping_web(stored_brain(), m.id) == 0;
	else if (stored_brain() != NULL && m.kind == WEB_CLIENTS)
		a.yes = follow_allowed(stored_brain(), m.key);
	if (chan_compose(&chan_frontd, IMSG_WEB_ANSWER, 0, -1, &a,
	    sizeof(a)) == -1)
		return -1;
	if (m.kind == WEB_CLIENTS && a.yes)
		follow_start(stored_brain(), m.conn);
	explicit_bzero(&m, sizeof(m));
	return 0;
}

static int
endpoint_ok(const struct msg_endpoint *ep)
{
	return (ep->af == AF_WIRE_INET || ep->af == AF_WIRE_INET6) &&
	    ep->port != 0 && ep->type <= 5;
}

/* Those that make no sense are left out, but count as arrived. */
static int
rpc_endpoints(struct imsg *imsg)
{
	struct msg_rpc_list	 m;
	struct partial		*p;
	const uint8_t		*data;
	struct msg_endpoint	*eps, ep;
	uint32_t		 i;

	if (msg_list(imsg, &m, sizeof(m), &data) == -1 ||
	    msg_list_ok(imsg, sizeof(m), m.n, sizeof(ep)) == -1)
		return -1;
	if ((p = partial_find(&m.rpc)) == NULL)
		return 0;		/* closed meanwhile */
	if (p->pa_type != IMSG_RPC_MAP || m.n > p->pa_wanteps - p->pa_neps)
		return -1;
	eps = recallocarray(p->pa_eps, p->pa_neps, p->pa_neps + m.n + 1,
	    sizeof(ep));
	if (eps == NULL)
		fatal(NULL);
	p->pa_eps = eps;
	for (i = 0; i < m.n; i++) {
		memcpy(&ep, data + i * sizeof(ep), sizeof(ep));
		ep.scope = 0;
		if (endpoint_ok(&ep))
			p->pa_eps[p->pa_neps++] = ep;
		else
			p->pa_wanteps--;
	}
	partial_check(p);
	return 0;
}

static int
rpc_data(struct imsg *imsg)
{
	struct msg_rpc_list	 m;
	struct partial		*p;
	const uint8_t		*data;
	char			*text;

	if (msg_list(imsg, &m, sizeof(m), &data) == -1 ||
	    msg_list_ok(imsg, sizeof(m), m.n, 1) == -1)
		return -1;
	if ((p = partial_find(&m.rpc)) == NULL)
		return 0;
	if (m.n > p->pa_wantdata - p->pa_datalen)
		return -1;
	if ((text = realloc(p->pa_data, p->pa_wantdata + 1)) == NULL)
		fatal(NULL);
	p->pa_data = text;
	memcpy(text + p->pa_datalen, data, m.n);
	p->pa_datalen += m.n;
	partial_check(p);
	return 0;
}

/* What was not handled yet is not handled any more: it may be stale. */
static int
rpc_close(struct imsg *imsg)
{
	struct msg_rpc	 m;
	struct partial	*p, *tmp;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	TAILQ_FOREACH_SAFE(p, &partials, pa_entry, tmp)
		if (p->pa_rpc.conn == m.conn &&
		    (m.stream == 0 || p->pa_rpc.stream == m.stream))
			partial_free(p);
	if (stored_brain() != NULL)
		brain_drop_rpc(stored_brain(), &m);
	return 0;
}

static int
rpc_dispatch(struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_RPC_REGISTER:
		return rpc_register(imsg);
	case IMSG_RPC_MAP:
		return rpc_map(imsg);
	case IMSG_RPC_CALL:
		return rpc_call(imsg);
	case IMSG_WEB_ASK:
		return rpc_web(imsg);
	case IMSG_RPC_ENDPOINTS:
		return rpc_endpoints(imsg);
	case IMSG_RPC_DATA:
		return rpc_data(imsg);
	case IMSG_RPC_CLOSE:
		return rpc_close(imsg);
	default:
		return -1;
	}
}

static int
rpc_msg(struct chan *c, struct imsg *imsg)
{
	int	 rc;

	stored_enter();
	rc = rpc_dispatch(imsg);
	stored_leave();
	return rc;
}
