/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The state machine of port mapping: probe, ask, keep, give back;
 * dataplane.md 5. Only what comes from the gateway itself is looked at.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "mapper.h"

#define MSEC		1000000LL
#define NSEC		1000000000LL

#define PROBE_TIME	(250 * MSEC)
#define PROBE_MORE	(50 * MSEC)	/* for others, once all is heard */
#define PROBE_SLOW	(2500 * MSEC)	/* if nothing was; SSDP's MX is 2 */
#define PROBE_GAP	(60 * NSEC)	/* of probes that are asked for */
#define ASK_TIME	(250 * MSEC)	/* then again, for twice as long */
#define ASK_SENDS	2
#define HTTP_GET_TIME	(1 * NSEC)
#define HTTP_POST_TIME	(2 * NSEC)
#define IGD_TIME	(5 * NSEC)	/* all of a mapping by UPnP */
#define RELEASE_TIME	(250 * MSEC)
#define RELEASE_IGD	(900 * MSEC)
#define CHECK_TIME	(600 * NSEC)	/* is the gateway still the old one */
#define RENEW_MIN	(2 * NSEC)
#define LIFE_MAX	86400		/* s */
#define BACKOFF_MIN	(5 * NSEC)
#define BACKOFF_MAX	(1800 * NSEC)
#define PORT_MIN	1024

#define BIT(kind)	(1U << (kind))

static const uint8_t	 ssdp_group[4] = { 239, 255, 255, 250 };

static void	ask_next(struct mapper *, int64_t);

const char *
mapper_kind_name(int kind)
{
	return kind == PORTMAP_PMP ? "NAT-PMP" :
	    kind == PORTMAP_PCP ? "PCP" :
	    kind == PORTMAP_UPNP ? "UPnP" : "none";
}

void
mapper_init(struct mapper *m, const struct mapper_ops *ops, void *arg)
{
	memset(m, 0, sizeof(*m));
	m->m_ops = ops;
	m->m_arg = arg;
	m->m_lease = MAPPER_LEASE;
}

void
mapper_set_lease(struct mapper *m, uint32_t lease)
{
	m->m_lease = lease != 0 ? lease : MAPPER_LEASE;
}

void
mapper_restore(struct mapper *m, const struct msg_portmap *s)
{
	m->m_saved = *s;
}

/* --- what is told --- */

static void
state_fill(const struct mapper *m, struct msg_portmap *s)
{
	memset(s, 0, sizeof(*s));
	s->g = m->m_g;
	s->pmp = m->m_can[PORTMAP_PMP];
	s->pcp = m->m_can[PORTMAP_PCP];
	s->upnp = m->m_can[PORTMAP_UPNP];
	if (m->m_mapped == 0)
		return;
	s->ep.af = AF_WIRE_INET;
	s->ep.port = m->m_port;
	memcpy(s->ep.addr, m->m_ip, 4);
	s->kind = m->m_mapped;
	s->good_until = m->m_good_until;
	if (m->m_mapped == PORTMAP_PCP)
		memcpy(s->nonce, m->m_nonce, sizeof(s->nonce));
}

const struct msg_portmap *
mapper_state(struct mapper *m)
{
	return &m->m_told;
}

static void
tell(struct mapper *m)
{
	struct msg_portmap	 s;

	state_fill(m, &s);
	if (memcmp(&s, &m->m_told, sizeof(s)) == 0)
		return;
	m->m_told = s;
	m->m_ops->mo_changed(m->m_arg);
}

/* --- sending --- */

static void
send_gw(struct mapper *m, const void *p, size_t len)
{
	m->m_ops->mo_send(m->m_arg, m->m_g.gw.addr, PMP_PORT, p, len);
}

static void
send_pmp_address(struct mapper *m)
{
	uint8_t	 p[PCP_MAP_LEN];

	send_gw(m, p, pmp_build_address(p));
}

static void
send_announce(struct mapper *m)
{
	uint8_t	 p[PCP_MAP_LEN], own[16];

	ip4_to_mapped(own, m->m_g.own.addr);
	send_gw(m, p, pcp_build_announce(p, own));
}

/* Lifetime in seconds; 0: delete. */
static void
send_map(struct mapper *m, int kind, uint32_t life)
{
	static const uint8_t	 any[4];
	struct pcp_map		 pm;
	uint8_t			 p[PCP_MAP_LEN], own[16];

	if (kind == PORTMAP_PMP) {
		send_gw(m, p, pmp_build_map(p, m->m_g.port, m->m_port,
		    life));
		return;
	}
	memset(&pm, 0, sizeof(pm));
	memcpy(pm.nonce, m->m_nonce, sizeof(pm.nonce));
	pm.internal = m->m_g.port;
	pm.external = m->m_port;
	ip4_to_mapped(pm.addr, m->m_mapped == PORTMAP_PCP ? m->m_ip : any);
	ip4_to_mapped(own, m->m_g.own.addr);
	send_gw(m, p, pcp_build_map(p, own, &pm, life));
}

static void
send_ssdp(struct mapper *m)
{
	const char	*s;
	size_t		 len;

	if (m->m_g.no_upnp)
		return;
	s = ssdp_search(0, &len);
	m->m_ops->mo_send(m->m_arg, m->m_g.gw.addr, SSDP_PORT, s, len);
	m->m_ops->mo_send(m->m_arg, ssdp_group, SSDP_PORT, s, len);
	s = ssdp_search(1, &len);
	m->m_ops->mo_send(m->m_arg, ssdp_group, SSDP_PORT, s, len);
}

/* --- the outcome of an attempt --- */

static void
idle(struct mapper *m)
{
	m->m_step = MAPPER_IDLE;
	m->m_deadline = 0;
	m->m_left = 0;
	m->m_kind = 0;
}

static void
mapped(struct mapper *m, const uint8_t *ip, uint16_t port, uint32_t life,
    int64_t now)
{
	int64_t	 half;

	if (life > LIFE_MAX)
		life = LIFE_MAX;
	half = life * NSEC / 2;
	m->m_mapped = m->m_kind;
	memcpy(m->m_ip, ip, sizeof(m->m_ip));
	m->m_port = port;
	m->m_good_until = now + life * NSEC;
	m->m_renew_at = now + (half > RENEW_MIN ? half : RENEW_MIN);
	m->m_check_at = now + CHECK_TIME;
	m->m_can[m->m_kind] = PORTMAP_YES;
	m->m_retry_at = 0;
	m->m_backoff = 0;
	idle(m);
	tell(m);
}

static void
unmapped(struct mapper *m)
{
	m->m_mapped = 0;
	m->m_epoch = 0;
	m->m_has_nonce = 0;
}

/* Nobody gave one. What is mapped holds until its time is over. */
static void
attempt_failed(struct mapper *m, int64_t now)
{
	int64_t	 wait;

	idle(m);
	if (m->m_mapped != 0 && now < m->m_good_until) {
		wait = (m->m_good_until - now) / 4;
		m->m_renew_at = now + (wait > BACKOFF_MIN ? wait :
		    BACKOFF_MIN);
		m->m_probed = 0;	/* first see what there is */
		tell(m);
		return;
	}
	unmapped(m);
	m->m_backoff = m->m_backoff == 0 ? BACKOFF_MIN : m->m_backoff * 2;
	if (m->m_backoff > BACKOFF_MAX)
		m->m_backoff = BACKOFF_MAX;
	m->m_retry_at = now + m->m_backoff;
	tell(m);
}

/* --- UPnP --- */

static uint16_t
port_random(void)
{
	return PORT_MIN + arc4random_uniform(UINT16_MAX - PORT_MIN);
}

static void
igd_args(const struct mapper *m, struct soap_args *a)
{
	memset(a, 0, sizeof(*a));
	memcpy(a->client, m->m_g.own.addr, sizeof(a->client));
	a->internal = m->m_g.port;
	a->external = m->m_port >= PORT_MIN && m->m_conflicts == 0 ?
	    m->m_port : port_random();
	a->lease = m->m_lease;
}

/* 0, or -1: it cannot be sent. */
static int
igd_send(struct mapper *m, int64_t now)
{
	char		 req[IGD_REQUEST_MAX];
	size_t		 len;
	uint16_t	 port;

	if ((len = igd_request(&m->m_igd, &port, req)) == 0)
		return -1;
	m->m_deadline = now + (m->m_igd.step == IGD_DESCRIPTION ?
	    HTTP_GET_TIME : HTTP_POST_TIME);
	if (m->m_deadline > m->m_igd_end)
		m->m_deadline = m->m_igd_end;
	m->m_ops->mo_request(m->m_arg, port, req, len);
	return 0;
}

/* The next device that answered the search. */
static void
igd_device(struct mapper *m, int64_t now)
{
	struct soap_args	 args;

	while (m->m_try_meta < m->m_nmetas && now < m->m_igd_end) {
		m->m_conflicts = 0;
		igd_args(m, &args);
		if (igd_start(&m->m_igd,
		    m->m_meta[m->m_try_meta++].location, m->m_g.gw.addr,
		    &args) == 0 && igd_send(m, now) == 0)
			return;
	}
	ask_next(m, now);
}

static void
igd_failed(struct mapper *m, int64_t now)
{
	struct soap_args	 args;

	if (m->m_igd.error == IGD_ERR_CONFLICT && now < m->m_igd_end &&
	    ++m->m_conflicts <= MAPPER_CONFLICTS) {
		igd_args(m, &args);
		if (igd_again(&m->m_igd, &args) == 0 &&
		    igd_send(m, now) == 0)
			return;
	}
	igd_device(m, now);
}

static void
ask_igd(struct mapper *m, int64_t now)
{
	struct soap_args	 args;

	m->m_step = MAPPER_IGD;
	m->m_igd_end = now + IGD_TIME;
	m->m_try_meta = 0;
	m->m_conflicts = 0;
	igd_args(m, &args);
	if (m->m_mapped == PORTMAP_UPNP &&
	    igd_again(&m->m_igd, &args) == 0 && igd_send(m, now) == 0)
		return;
	igd_device(m, now);
}

static void
igd_result(struct mapper *m, int status, const char *body, size_t len,
    int64_t now)
{
	switch (igd_answer(&m->m_igd, status, body, len)) {
	case IGD_MORE:
		if (igd_send(m, now) == -1)
			igd_failed(m, now);
		break;
	case IGD_DONE:
		mapped(m, m->m_igd.ip, m->m_igd.port, m->m_lease, now);
		break;
	default:
		igd_failed(m, now);
		break;
	}
}

/* --- NAT-PMP and PCP --- */

static int
ip_usable(const uint8_t *ip)
{
	return ip[0] != 0 && ip[0] != 127 && ip[0] < 224;
}

static void
ask_send(struct mapper *m, int64_t now)
{
	m->m_deadline = now + (ASK_TIME << m->m_sends);
	m->m_sends++;
	if (m->m_kind == PORTMAP_PMP && !m->m_got_addr)
		send_pmp_address(m);
	send_map(m, m->m_kind, m->m_lease);
}

static void
ask_pxp(struct mapper *m, int64_t now)
{
	m->m_step = MAPPER_ASK;
	m->m_sends = 0;
	m->m_got_port = m->m_got_addr = 0;
	if (m->m_kind == PORTMAP_PCP && !m->m_has_nonce) {
		arc4random_buf(m->m_nonce, sizeof(m->m_nonce));
		m->m_has_nonce = 1;
	}
	ask_send(m, now);
}

/* The protocol that holds the mapping first, then by preference. */
static int
ask_choose(const struct mapper *m)
{
	static const int	 order[] = {
		PORTMAP_PMP, PORTMAP_PCP, PORTMAP_UPNP
	};
	size_t			 i;

	if (m->m_mapped != 0 && m->m_left & BIT(m->m_mapped))
		return m->m_mapped;
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (m->m_left & BIT(order[i]))
			return order[i];
	return 0;
}

static void
ask_next(struct mapper *m, int64_t now)
{
	if ((m->m_kind = ask_choose(m)) == 0) {
		attempt_failed(m, now);
		return;
	}
	m->m_left &= ~BIT(m->m_kind);
	if (m->m_kind == PORTMAP_UPNP)
		ask_igd(m, now);
	else
		ask_pxp(m, now);
}

/* Begin an attempt with all that the gateway speaks. */
static void
ask_start(struct mapper *m, int64_t now)
{
	int	 kind;

	m->m_left = 0;
	for (kind = PORTMAP_PMP; kind <= PORTMAP_UPNP; kind++)
		if (m->m_can[kind] == PORTMAP_YES)
			m->m_left |= BIT(kind);
	ask_next(m, now);
}

/*
 * The gateway lost its memory: what it had mapped is gone. 1: it was so, and
 * an attempt has begun.
 */
static int
epoch_check(struct mapper *m, int kind, uint32_t epoch, int64_t now)
{
	uint32_t	 old = m->m_epoch;

	if (m->m_mapped != kind || epoch == 0)
		return 0;
	m->m_epoch = epoch;
	if (epoch >= old)
		return 0;
	unmapped(m);
	m->m_epoch = epoch;
	if (m->m_step != MAPPER_IDLE)
		return 0;
	ask_start(m, now);
	return 1;
}

static void
pmp_address(struct mapper *m, const struct pmp_reply *r, int64_t now)
{
	int	 ok;

	ok = r->result == PMP_OK && ip_usable(r->addr);
	m->m_heard[PORTMAP_PMP] = r->result == PMP_OK ? PORTMAP_YES :
	    PORTMAP_NO;
	if (epoch_check(m, PORTMAP_PMP, r->epoch, now))
		return;
	if (m->m_step == MAPPER_ASK && m->m_kind == PORTMAP_PMP) {
		if (!ok) {
			ask_next(m, now);
			return;
		}
		memcpy(m->m_try_addr, r->addr, sizeof(m->m_try_addr));
		m->m_got_addr = 1;
	} else if (m->m_step == MAPPER_IDLE && m->m_mapped == PORTMAP_PMP &&
	    ok && memcmp(m->m_ip, r->addr, sizeof(m->m_ip)) != 0) {
		/* Its provider gave it another address. */
		memcpy(m->m_ip, r->addr, sizeof(m->m_ip));
		tell(m);
	}
}

static void
pmp_map(struct mapper *m, const struct pmp_reply *r, int64_t now)
{
	if (m->m_step != MAPPER_ASK || m->m_kind != PORTMAP_PMP ||
	    (r->result == PMP_OK && r->internal != m->m_g.port))
		return;
	if (r->result != PMP_OK || r->external == 0 || r->lifetime == 0) {
		ask_next(m, now);
		return;
	}
	m->m_try_port = r->external;
	m->m_try_life = r->lifetime;
	m->m_epoch = r->epoch;
	m->m_got_port = 1;
}

static void
released(struct mapper *m, int64_t now)
{
	if (m->m_ending) {
		m->m_step = MAPPER_OFF;
		m->m_deadline = 0;
		m->m_ops->mo_released(m->m_arg);
	} else
		mapper_gateway(m, &m->m_g, now);
}

static void
pmp_reply(struct mapper *m, const uint8_t *p, size_t len, int64_t now)
{
	struct pmp_reply	 r;

	if (pmp_parse(&r, p, len) == -1)
		return;
	switch (r.op) {
	case PMP_REPLY | PMP_OP_ADDRESS:
		pmp_address(m, &r, now);
		break;
	case PMP_REPLY | PMP_OP_MAP_UDP:
		if (m->m_step == MAPPER_RELEASE &&
		    m->m_kind == PORTMAP_PMP) {
			released(m, now);
			return;
		}
		pmp_map(m, &r, now);
		break;
	default:
		return;
	}
	if (m->m_step == MAPPER_ASK && m->m_kind == PORTMAP_PMP &&
	    m->m_got_addr && m->m_got_port)
		mapped(m, m->m_try_addr, m->m_try_port, m->m_try_life, now);
}

/* An answer to a map request: only to the one that we sent. */
static void
pcp_mapped(struct mapper *m, const uint8_t *p, size_t len, int64_t now)
{
	struct pcp_reply	 r;
	struct pcp_map		 pm;
	uint8_t			 ip[4];
	int			 ok;

	ok = pcp_parse_map(&r, &pm, p, len) == 0;
	if (m->m_kind != PORTMAP_PCP || (m->m_step != MAPPER_ASK &&
	    m->m_step != MAPPER_RELEASE) ||
	    memcmp(pm.nonce, m->m_nonce, sizeof(pm.nonce)) != 0 ||
	    pm.proto != PCP_PROTO_UDP || pm.internal != m->m_g.port)
		return;
	if (m->m_step == MAPPER_RELEASE) {
		released(m, now);
		return;
	}
	if (!ok || r.lifetime == 0 || pm.external == 0 ||
	    ip4_from_mapped(ip, pm.addr) == -1 || !ip_usable(ip)) {
		ask_next(m, now);
		return;
	}
	m->m_epoch = r.epoch;
	mapped(m, ip, pm.external, r.lifetime, now);
}

static void
pcp_answer(struct mapper *m, const uint8_t *p, size_t len, int64_t now)
{
	struct pcp_reply	 r;

	if (pcp_parse(&r, p, len) == -1)
		return;
	switch (r.op) {
	case PMP_REPLY | PCP_OP_ANNOUNCE:
		m->m_heard[PORTMAP_PCP] = r.result == PCP_OK ? PORTMAP_YES :
		    PORTMAP_NO;
		(void)epoch_check(m, PORTMAP_PCP, r.epoch, now);
		break;
	case PMP_REPLY | PCP_OP_MAP:
		pcp_mapped(m, p, len, now);
		break;
	default:
		break;
	}
}

/* --- probing --- */

static void
probe_start(struct mapper *m, int64_t now)
{
	m->m_step = MAPPER_PROBE;
	m->m_deadline = now + PROBE_TIME;
	m->m_probed = now;
	memset(m->m_heard, 0, sizeof(m->m_heard));
	m->m_nmetas = 0;
	send_pmp_address(m);
	send_announce(m);
	send_ssdp(m);
}

static void
probe_end(struct mapper *m, int64_t now)
{
	int	 kind;

	m->m_nmetas = ssdp_sort(m->m_meta, m->m_nmetas);
	for (kind = PORTMAP_PMP; kind <= PORTMAP_UPNP; kind++)
		m->m_can[kind] = m->m_heard[kind] == PORTMAP_YES ?
		    PORTMAP_YES : PORTMAP_NO;
	ask_start(m, now);
}

static int
probe_silent(const struct mapper *m)
{
	return !m->m_heard[PORTMAP_PMP] && !m->m_heard[PORTMAP_PCP] &&
	    !m->m_heard[PORTMAP_UPNP];
}

/* All have answered, or a slow one at last: a little time for others. */
static void
probe_heard(struct mapper *m, int64_t now)
{
	int	 all;

	all = m->m_heard[PORTMAP_PMP] && m->m_heard[PORTMAP_PCP] &&
	    (m->m_heard[PORTMAP_UPNP] || m->m_g.no_upnp);
	if (m->m_step == MAPPER_PROBE && !probe_silent(m) &&
	    (all || m->m_deadline > m->m_probed + PROBE_TIME) &&
	    m->m_deadline > now + PROBE_MORE)
		m->m_deadline = now + PROBE_MORE;
}

static void
probe_overdue(struct mapper *m, int64_t now)
{
	if (probe_silent(m) && now < m->m_probed + PROBE_SLOW)
		m->m_deadline = m->m_probed + PROBE_SLOW;
	else
		probe_end(m, now);
}

static void
ssdp_answer(struct mapper *m, const uint8_t *p, size_t len)
{
	if (m->m_step != MAPPER_PROBE || m->m_g.no_upnp ||
	    m->m_nmetas == MAPPER_METAS ||
	    !ssdp_is_gateway(p, len) ||
	    ssdp_parse(&m->m_meta[m->m_nmetas], p, len) == -1 ||
	    m->m_meta[m->m_nmetas].location[0] == '\0')
		return;
	m->m_nmetas++;
	m->m_heard[PORTMAP_UPNP] = PORTMAP_YES;
}

void
mapper_udp(struct mapper *m, const uint8_t *src, uint16_t port,
    const uint8_t *p, size_t len, int64_t now)
{
	if (m->m_step == MAPPER_OFF || len == 0)
		return;
	if (memcmp(src, m->m_g.gw.addr, 4) != 0) {
		m->m_ignored++;
		return;
	}
	if (port != PMP_PORT)
		ssdp_answer(m, p, len);
	else if (p[0] == 0)
		pmp_reply(m, p, len, now);
	else
		pcp_answer(m, p, len, now);
	probe_heard(m, now);
}

void
mapper_probe(struct mapper *m, int64_t now)
{
	if (m->m_step != MAPPER_IDLE)
		return;
	if (m->m_mapped != 0) {
		if (now - (m->m_check_at - CHECK_TIME) >= PROBE_GAP)
			m->m_check_at = now;
	} else if (m->m_probed == 0 || now - m->m_probed >= PROBE_GAP)
		probe_start(m, now);
}

/* --- gateways come and go --- */

int
mapper_differs(const struct mapper *m, const struct msg_gateway *g)
{
	return memcmp(&m->m_g, g, sizeof(*g)) != 0;
}

static void
cancel(struct mapper *m)
{
	if (m->m_step == MAPPER_IGD || (m->m_step == MAPPER_RELEASE &&
	    m->m_kind == PORTMAP_UPNP))
		m->m_ops->mo_cancel(m->m_arg);
	idle(m);
}

/* Give back what is mapped: 1 if an answer is to be waited for. */
static int
release(struct mapper *m, int64_t now)
{
	int	 kind = m->m_mapped;

	cancel(m);
	if (kind == 0)
		return 0;
	m->m_step = MAPPER_RELEASE;
	m->m_kind = kind;
	m->m_deadline = now + RELEASE_TIME;
	if (kind != PORTMAP_UPNP) {
		send_map(m, kind, 0);
		unmapped(m);
		return 1;
	}
	unmapped(m);
	m->m_igd_end = now + RELEASE_IGD;
	m->m_igd.port = m->m_port;
	return igd_delete(&m->m_igd) == 0 && igd_send(m, now) == 0;
}

void
mapper_forget(struct mapper *m, const struct msg_gateway *g, int64_t now)
{
	int	 wait, upnp = m->m_mapped == PORTMAP_UPNP;

	wait = m->m_step != MAPPER_OFF && release(m, now);
	/* Another gateway's HTTP cannot be reached any more. */
	if (!wait || !upnp || memcmp(&g->gw, &m->m_g.gw, sizeof(g->gw)) != 0)
		cancel(m);
	m->m_port = 0;
}

/* Go on with what a predecessor had mapped here. */
static void
adopt(struct mapper *m, int64_t now)
{
	const struct msg_portmap	*s = &m->m_saved;

	if (s->ep.af != AF_WIRE_INET || s->kind < PORTMAP_PMP ||
	    s->kind > PORTMAP_UPNP || s->good_until <= now ||
	    memcmp(&s->g, &m->m_g, sizeof(s->g)) != 0)
		return;
	m->m_mapped = s->kind;
	memcpy(m->m_ip, s->ep.addr, sizeof(m->m_ip));
	m->m_port = s->ep.port;
	m->m_good_until = s->good_until;
	memcpy(m->m_nonce, s->nonce, sizeof(m->m_nonce));
	m->m_has_nonce = s->kind == PORTMAP_PCP;
	m->m_can[PORTMAP_PMP] = s->pmp;
	m->m_can[PORTMAP_PCP] = s->pcp;
	m->m_can[PORTMAP_UPNP] = s->upnp;
}

void
mapper_gateway(struct mapper *m, const struct msg_gateway *g, int64_t now)
{
	m->m_g = *g;
	if (m->m_ending)
		return;
	if (m->m_step == MAPPER_RELEASE && m->m_deadline > now &&
	    m->m_kind == PORTMAP_UPNP && m->m_igd.port != 0)
		return;			/* released() goes on from here */
	cancel(m);
	memset(m->m_can, 0, sizeof(m->m_can));
	m->m_backoff = 0;
	m->m_retry_at = 0;
	m->m_probed = 0;
	m->m_nmetas = 0;
	if (g->gw.af != AF_WIRE_INET || g->own.af != AF_WIRE_INET) {
		m->m_step = MAPPER_OFF;
		tell(m);
		return;
	}
	adopt(m, now);
	memset(&m->m_saved, 0, sizeof(m->m_saved));
	probe_start(m, now);
}

void
mapper_release(struct mapper *m, int64_t now)
{
	m->m_ending = 1;
	if (m->m_step == MAPPER_OFF || !release(m, now))
		released(m, now);
}

/* --- time --- */

void
mapper_http(struct mapper *m, int status, const char *body, size_t len,
    int64_t now)
{
	if (m->m_step == MAPPER_IGD)
		igd_result(m, status, body, len, now);
	else if (m->m_step == MAPPER_RELEASE && m->m_kind == PORTMAP_UPNP) {
		m->m_igd.port = 0;
		released(m, now);
	}
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

int64_t
mapper_next(const struct mapper *m)
{
	int64_t	 t;

	if (m->m_step == MAPPER_OFF)
		return 0;
	if (m->m_step != MAPPER_IDLE)
		return m->m_deadline;
	if (m->m_mapped == 0)
		return m->m_retry_at;
	t = earlier(m->m_renew_at, m->m_good_until);
	return m->m_mapped == PORTMAP_UPNP ? t : earlier(t, m->m_check_at);
}

static void
step_overdue(struct mapper *m, int64_t now)
{
	switch (m->m_step) {
	case MAPPER_PROBE:
		probe_overdue(m, now);
		break;
	case MAPPER_ASK:
		if (m->m_sends < ASK_SENDS)
			ask_send(m, now);
		else
			ask_next(m, now);
		break;
	case MAPPER_IGD:
	case MAPPER_RELEASE:
		if (m->m_kind == PORTMAP_UPNP)
			m->m_ops->mo_cancel(m->m_arg);
		if (m->m_step == MAPPER_IGD)
			igd_result(m, 0, NULL, 0, now);
		else {
			m->m_igd.port = 0;
			released(m, now);
		}
		break;
	default:
		m->m_deadline = 0;
		break;
	}
}

/* Mapped: look after it. */
static void
keep(struct mapper *m, int64_t now)
{
	if (now >= m->m_good_until) {
		unmapped(m);
		tell(m);
		probe_start(m, now);
	} else if (now >= m->m_renew_at) {
		if (m->m_probed == 0)	/* it failed once */
			probe_start(m, now);
		else
			ask_start(m, now);
	} else if (m->m_mapped != PORTMAP_UPNP && now >= m->m_check_at) {
		m->m_check_at = now + CHECK_TIME;
		if (m->m_mapped == PORTMAP_PMP)
			send_pmp_address(m);
		else
			send_announce(m);
	}
}

void
mapper_tick(struct mapper *m, int64_t now)
{
	if (m->m_step == MAPPER_OFF)
		return;
	if (m->m_step != MAPPER_IDLE) {
		if (m->m_deadline != 0 && now >= m->m_deadline)
			step_overdue(m, now);
	} else if (m->m_mapped != 0)
		keep(m, now);
	else if (m->m_retry_at != 0 && now >= m->m_retry_at)
		probe_start(m, now);
}
