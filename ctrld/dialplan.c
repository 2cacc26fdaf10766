/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Where the control server is dialled: ports, and the server's own plan.
 * Source: control.md 2.2.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "dial.h"
#include "jsonutil.h"
#include "netmap.h"

#define HEAD_START	500	/* ms that the first port has */
#define SECONDS_MAX	600.0

enum cand_field { CF_IP, CF_ACE, CF_DELAY, CF_LIMIT, CF_PRIORITY, CF_MAX };
static const char *const	 cand_fields[CF_MAX] = {
	"IP", "ACEHost", "DialStartDelaySec", "DialTimeoutSec", "Priority"
};

/* --- the plan --- */

static int
cand_ms(json_t *j, uint32_t *ms)
{
	double	 s = 0;

	if (ju_real(j, &s) == -1)
		return -1;
	if (!(s > 0))
		s = 0;
	*ms = 1000 * (s < SECONDS_MAX ? s : SECONDS_MAX);
	return 0;
}

/* 1: of use, 0: not, -1: malformed. */
static int
cand_parse(json_t *j, struct dial_cand *c)
{
	struct nm_addr	 addr;
	const char	*s;
	int64_t		 priority = 0;
	json_t		*v[CF_MAX];

	memset(c, 0, sizeof(*c));
	if (!json_is_object(j) ||
	    ju_fields(j, cand_fields, CF_MAX, v) == -1 ||
	    !ju_is_str(v[CF_IP]) || !ju_is_str(v[CF_ACE]) ||
	    cand_ms(v[CF_DELAY], &c->dc_delay) == -1 ||
	    cand_ms(v[CF_LIMIT], &c->dc_limit) == -1 ||
	    ju_int(v[CF_PRIORITY], INT32_MIN, INT32_MAX, &priority) == -1)
		return -1;
	c->dc_priority = priority;
	if (v[CF_IP] != NULL &&
	    *(s = json_string_value(v[CF_IP])) != '\0') {
		if (nm_addr_parse(s, &addr) == -1)
			return -1;
		c->dc_ip.af = addr.na_version;
		memcpy(c->dc_ip.addr, addr.na_addr,
		    addr.na_version == 4 ? 4 : 16);
	}
	if (v[CF_ACE] != NULL && strlcpy(c->dc_ace,
	    json_string_value(v[CF_ACE]), sizeof(c->dc_ace)) >=
	    sizeof(c->dc_ace))
		return -1;
	/* A limit of 0 means that it fails at once. */
	return c->dc_limit > 0 && (c->dc_ip.af != 0 || c->dc_ace[0] != '\0');
}

/* Into its place: higher priority first, else in the order given. */
static void
plan_insert(struct dial_plan *p, const struct dial_cand *c)
{
	size_t	 i;

	for (i = 0; i < p->dp_n; i++)
		if (c->dc_priority > p->dp_cand[i].dc_priority)
			break;
	if (i == DIAL_CANDS)
		return;
	if (p->dp_n == DIAL_CANDS)
		p->dp_n--;
	memmove(&p->dp_cand[i + 1], &p->dp_cand[i],
	    (p->dp_n - i) * sizeof(p->dp_cand[0]));
	p->dp_cand[i] = *c;
	p->dp_n++;
}

int
dial_plan_parse(json_t *j, struct dial_plan *p)
{
	static const char	*const names[] = { "Candidates" };
	struct dial_cand	 c;
	json_t			*e, *v;
	size_t			 i;

	memset(p, 0, sizeof(*p));
	if (ju_fields(j, names, 1, &v) == -1 ||
	    (v != NULL && !json_is_array(v)))
		return -1;
	json_array_foreach(v, i, e) {
		switch (cand_parse(e, &c)) {
		case 1:
			plan_insert(p, &c);
			break;
		case 0:
			break;
		default:
			memset(p, 0, sizeof(*p));
			return -1;
		}
	}
	return 0;
}

json_t *
dial_plan_json(const struct dial_plan *p)
{
	const struct dial_cand	*c;
	char			 ip[NM_ADDRTEXT];
	json_t			*a, *o;
	size_t			 i;

	a = json_array();
	for (i = 0; i < p->dp_n; i++) {
		c = &p->dp_cand[i];
		o = json_pack("{s:f,s:f,s:i}", "DialStartDelaySec",
		    c->dc_delay / 1000.0, "DialTimeoutSec",
		    c->dc_limit / 1000.0, "Priority", (int)c->dc_priority);
		if (c->dc_ip.af != 0) {
			nm_addr_text(c->dc_ip.af, c->dc_ip.addr, ip,
			    sizeof(ip));
			(void)json_object_set_new(o, "IP", json_string(ip));
		}
		if (c->dc_ace[0] != '\0')
			(void)json_object_set_new(o, "ACEHost",
			    json_string(c->dc_ace));
		(void)json_array_append_new(a, o);
	}
	return json_pack("{s:o}", "Candidates", a);
}

/* --- ports --- */

static int
is_near(const struct url *u)
{
	static const uint8_t	 one[16] = { [15] = 1 };
	const uint8_t		*a = u->u_ip.addr;

	if (u->u_ip.af == AF_WIRE_INET)
		return a[0] == 127 || a[0] == 10 ||
		    (a[0] == 172 && (a[1] & 0xf0) == 16) ||
		    (a[0] == 192 && a[1] == 168);
	if (u->u_ip.af == AF_WIRE_INET6)
		return (a[0] & 0xfe) == 0xfc || memcmp(a, one, 16) == 0;
	return strcasecmp(u->u_host, "localhost") == 0;
}

void
dial_ports(const struct url *u, uint16_t *plain, uint16_t *tls)
{
	*plain = 80;
	*tls = 443;
	if (u->u_tls)
		*tls = u->u_port;
	else {
		*plain = u->u_port;
		if (is_near(u))
			*tls = 0;
	}
}

/* --- attempts --- */

static void
try_set(struct dial_try *t, const struct url *u, uint16_t port, int tls,
    const struct dial_cand *c)
{
	memset(t, 0, sizeof(*t));
	t->dt_url = *u;
	t->dt_url.u_port = port;
	t->dt_url.u_tls = tls;
	t->dt_ip = u->u_ip;
	t->dt_delay = c->dc_delay;
	t->dt_limit = c->dc_limit;
	t->dt_after = -1;
	if (c->dc_ip.af != 0)
		t->dt_ip = c->dc_ip;
	(void)strlcpy(t->dt_ace, c->dc_ace, sizeof(t->dt_ace));
}

/* Both ports of one candidate, the second some time after the first. */
static size_t
try_pair(const struct url *u, const struct dial_cand *c, int tls_first,
    struct dial_try *t, int index)
{
	uint16_t	 plain, tls;

	dial_ports(u, &plain, &tls);
	/* Through a tunnel there is no TLS within TLS. */
	if (tls == 0 || c->dc_ace[0] != '\0') {
		try_set(&t[0], u, plain, 0, c);
		return 1;
	}
	try_set(&t[0], u, tls_first ? tls : plain, tls_first, c);
	try_set(&t[1], u, tls_first ? plain : tls, !tls_first, c);
	t[1].dt_delay += HEAD_START;
	t[1].dt_after = index;
	return 2;
}

size_t
dial_tries(const struct url *u, const struct dial_plan *p, int tls_first,
    uint32_t limit, struct dial_try *t)
{
	struct dial_cand	 any;
	size_t			 i, n;

	/* Where the URL says plain HTTP, TLS is the makeshift. */
	if (!u->u_tls)
		tls_first = 0;
	if (p == NULL) {
		memset(&any, 0, sizeof(any));
		any.dc_limit = limit;
		return try_pair(u, &any, tls_first, t, 0);
	}
	for (i = n = 0; i < p->dp_n; i++)
		n += try_pair(u, &p->dp_cand[i], tls_first, t + n, n);
	return n;
}

uint32_t
dial_limit(const struct dial_plan *p)
{
	uint32_t	 max = 5000;
	size_t		 i;

	for (i = 0; i < p->dp_n; i++)
		if (p->dp_cand[i].dc_delay + p->dp_cand[i].dc_limit > max)
			max = p->dp_cand[i].dc_delay +
			    p->dp_cand[i].dc_limit;
	max += 5000;
	return max < DIAL_MAX_S * 1000 ? max : DIAL_MAX_S * 1000;
}
