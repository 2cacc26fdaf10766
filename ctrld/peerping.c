/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Pings of peers that the server asks for; netd makes them.
 * Source: control.md 4.13.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"

#define PINGS_MAX	8
#define PING_MS		10000
#define WAIT_NS		(15 * NS_PER_S)	/* then netd has forgotten it */

static const struct {
	const char	*name;
	uint32_t	 type;		/* 0: not offered */
} types[] = {
	{ "disco",	PING_DISCO },
	{ "TSMP",	PING_TSMP },
	{ "ICMP",	PING_ICMP },
	{ "peerapi",	0 }
};

/* One that netd is at. */
struct peerping {
	struct url	 p_url;
	const char	*p_type;
	int64_t		 p_since;	/* 0: free */
	uint32_t	 p_id;
	int		 p_noise;
	struct msg_ip	 p_ip;
};

static struct peerping	 pings[PINGS_MAX];

void
peerping_init(void)
{
	memset(pings, 0, sizeof(pings));
}

static int
has_addr(const struct nm_node *n, const struct msg_ip *ip)
{
	uint32_t	 i;

	for (i = 0; i < n->n_naddrs; i++)
		if (n->n_addrs[i].np_version == ip->af &&
		    memcmp(n->n_addrs[i].np_addr, ip->addr,
		    ip->af == AF_WIRE_INET ? 4 : 16) == 0)
			return 1;
	return 0;
}

static void
set_str(json_t *o, const char *name, const char *s)
{
	if (s != NULL && *s != '\0')
		(void)json_object_set_new(o, name, json_string(s));
}

/* The peer's own address of that family, and its name. */
static void
put_node(json_t *o, const struct msg_ctl_pong *m, int af)
{
	const struct nm_node	*n;
	char			 text[NM_ADDRTEXT];
	uint32_t		 i;

	if (map_now() == NULL ||
	    (n = netmap_peer(map_now(), m->peer)) == NULL)
		return;
	for (i = 0; i < n->n_naddrs; i++)
		if (n->n_addrs[i].np_version == af)
			break;
	if (i < n->n_naddrs)
		set_str(o, "NodeIP", nm_addr_text(af, n->n_addrs[i].np_addr,
		    text, sizeof(text)));
	set_str(o, "NodeName", n->n_computed);
}

static void
put_path(json_t *o, const struct msg_ctl_pong *m)
{
	struct nm_endpoint	 ep;
	char			 relay[NM_ADDRTEXT + 24], text[NM_ADDRTEXT];

	if (m->derp != 0) {
		(void)json_object_set_new(o, "DERPRegionID",
		    json_integer(m->derp));
		if (map_now() != NULL) {
			derp_code(map_now(), m->derp, text, sizeof(text));
			set_str(o, "DERPRegionCode", text);
		}
	}
	if (m->ep.af == 0)
		return;
	ep.ne_version = m->ep.af;
	ep.ne_port = m->ep.port;
	memcpy(ep.ne_addr, m->ep.addr, sizeof(ep.ne_addr));
	nm_endpoint_text(&ep, text, sizeof(text));
	if (m->vni == 0) {
		set_str(o, "Endpoint", text);
		return;
	}
	(void)snprintf(relay, sizeof(relay), "%s:vni:%u", text, m->vni);
	set_str(o, "PeerRelay", relay);
}

/* PingResponse. m NULL: it was not tried, the text says why. */
static void
report(const struct peerping *p, const struct msg_ctl_pong *m,
    const char *why, int local)
{
	char	 text[NM_ADDRTEXT];
	char	*body;
	json_t	*o;

	o = json_object();
	set_str(o, "Type", p->p_type);
	if (p->p_ip.af != 0)
		set_str(o, "IP", nm_addr_text(p->p_ip.af, p->p_ip.addr, text,
		    sizeof(text)));
	if (m != NULL && m->error == MSG_OK) {
		put_node(o, m, p->p_ip.af);
		(void)json_object_set_new(o, "LatencySeconds",
		    json_real(m->latency / 1e9));
		put_path(o, m);
	} else
		set_str(o, "Err", m == NULL ? why : msg_strerror(m->error));
	if (local)
		(void)json_object_set_new(o, "IsLocalIP", json_true());
	if ((body = json_dumps(o, JSON_COMPACT)) == NULL)
		fatal(NULL);
	json_decref(o);
	ping_post(&p->p_url, p->p_noise, body, strlen(body));
}

static struct peerping *
slot(void)
{
	int64_t	 now;
	size_t	 i;

	now = os_now();
	for (i = 0; i < PINGS_MAX; i++)
		if (pings[i].p_since == 0 || now - pings[i].p_since > WAIT_NS)
			return &pings[i];
	return NULL;
}

static void
start(const struct peerping *want, uint32_t type)
{
	struct msg_ctl_ping	 m;
	struct peerping		*p;

	if (want->p_ip.af == 0) {
		report(want, NULL, "not an address", 0);
		return;
	}
	if (map_now() != NULL && has_addr(map_now()->nm_self, &want->p_ip)) {
		report(want, NULL, "that is this node", 1);
		return;
	}
	if (type == 0 || (p = slot()) == NULL) {
		report(want, NULL, type == 0 ? "this node has no peer API" :
		    "too many pings at once", 0);
		return;
	}
	*p = *want;
	p->p_since = os_now();
	p->p_id = ctrld_id();
	memset(&m, 0, sizeof(m));
	m.ip = p->p_ip;
	m.type = type;
	m.timeout_ms = PING_MS;
	if (chan_compose(ctrld_netd(), IMSG_PEER_PING, p->p_id, -1, &m,
	    sizeof(m)) == -1) {
		p->p_since = 0;
		report(want, NULL, "netd is being replaced", 0);
	}
}

void
peerping_start(const struct url *u, int noise, const char *list,
    const char *ip)
{
	struct peerping	 p;
	struct nm_addr	 a;
	size_t		 i, len;

	memset(&p, 0, sizeof(p));
	p.p_url = *u;
	p.p_noise = noise;
	if (nm_addr_parse(ip, &a) == 0) {
		p.p_ip.af = a.na_version;
		memcpy(p.p_ip.addr, a.na_addr,
		    a.na_version == 4 ? 4 : 16);
	}
	for (; *list != '\0'; list += len + (list[len] == ',')) {
		len = strcspn(list, ",");
		for (i = 0; i < nitems(types); i++)
			if (strlen(types[i].name) == len &&
			    strncmp(types[i].name, list, len) == 0)
				break;
		if (i == nitems(types))
			continue;
		p.p_type = types[i].name;
		start(&p, types[i].type);
	}
}

int
peerping_pong(struct imsg *imsg)
{
	struct msg_ctl_pong	 m;
	size_t			 i;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	for (i = 0; i < PINGS_MAX; i++) {
		if (pings[i].p_since == 0 ||
		    pings[i].p_id != imsg_get_id(imsg))
			continue;
		pings[i].p_since = 0;
		report(&pings[i], &m, NULL, 0);
		break;
	}
	return 0;
}
