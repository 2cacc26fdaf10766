/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The DERP map to netd, and the ports that it names to the parent.
 * Source: control.md section 4.9.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"
#include "endpoint.h"
#include "proc.h"

#define REGIONS_MAX	1024
#define NODES_MAX	64		/* of one region */
#define PORTS_MAX	MSG_LIST_MAX
#define PORT_DERP	443
#define PORT_STUN	3478

struct ports {
	struct msg_nm_list	 p_hdr;
	struct msg_u32		 p_port[PORTS_MAX];
};

enum map_field { MF_HOME, MF_REGIONS, MF_MAX };
static const char *const	 map_fields[MF_MAX] = {
	"HomeParams", "Regions"
};
static const char *const	 home_fields[] = { "RegionScore" };

enum region_field { RF_CODE, RF_NAME, RF_AVOID, RF_NOHOME, RF_NODES, RF_MAX };
static const char *const	 region_fields[RF_MAX] = {
	"RegionCode", "RegionName", "Avoid", "NoMeasureNoHome", "Nodes"
};

enum node_field {
	NF_NAME, NF_HOST, NF_CERT, NF_IP4, NF_IP6, NF_STUNPORT, NF_STUNONLY,
	NF_PORT, NF_INSECURE, NF_TESTIP, NF_PORT80, NF_MAX
};
static const char *const	 node_fields[NF_MAX] = {
	"Name", "HostName", "CertName", "IPv4", "IPv6", "STUNPort",
	"STUNOnly", "DERPPort", "InsecureForTests", "STUNTestIP", "CanPort80"
};

/* 0, or -1 if it is too long for its place. */
static int
copy_str(json_t *v, char *buf, size_t size)
{
	const char	*s;

	s = json_string_value(v);
	return strlcpy(buf, s == NULL ? "" : s, size) < size ? 0 : -1;
}

/* An address; "" asks the DNS, any other word switches the family off. */
static uint32_t
copy_ip(json_t *v, uint8_t af, struct msg_ip *ip, uint32_t off)
{
	const char	*s;

	s = json_string_value(v);
	if (s == NULL || *s == '\0')
		return 0;
	if (ip_parse(ip, s) == 0 && ip->af == af)
		return 0;
	memset(ip, 0, sizeof(*ip));
	return off;
}

static int
copy_port(json_t *v, int from_zero)
{
	json_int_t	 n;

	n = json_integer_value(v);
	if (n == 0)
		return from_zero;
	return n < 0 || n > 65535 ? -1 : (int)n;
}

int
pushderp_node(json_t *j, uint16_t region, struct msg_nm_derp_node *m)
{
	json_t		*v[NF_MAX];
	const char	*s;
	int		 port;

	memset(m, 0, sizeof(*m));
	if (j == NULL || ju_fields(j, node_fields, NF_MAX, v) == -1 ||
	    copy_str(v[NF_NAME], m->name, sizeof(m->name)) == -1 ||
	    copy_str(v[NF_HOST], m->host, sizeof(m->host)) == -1 ||
	    copy_str(v[NF_CERT], m->cert, sizeof(m->cert)) == -1)
		return -1;
	m->region = region;
	port = copy_port(v[NF_PORT], PORT_DERP);
	m->port = port == -1 ? PORT_DERP : port;
	m->stun_port = copy_port(v[NF_STUNPORT], PORT_STUN);
	m->flags = copy_ip(v[NF_IP4], AF_WIRE_INET, &m->ip4, DERP_NODE_NO4) |
	    copy_ip(v[NF_IP6], AF_WIRE_INET6, &m->ip6, DERP_NODE_NO6) |
	    (json_is_true(v[NF_PORT80]) ? DERP_NODE_PORT80 : 0) |
	    (json_is_true(v[NF_INSECURE]) ? DERP_NODE_INSECURE : 0) |
	    (json_is_true(v[NF_STUNONLY]) || port == -1 ?
	    DERP_NODE_STUNONLY : 0);
	s = json_string_value(v[NF_TESTIP]);
	if (s != NULL && ip_parse(&m->stun_test, s) == -1)
		memset(&m->stun_test, 0, sizeof(m->stun_test));
	/* The name goes into requests: nothing that could end a line. */
	for (s = m->host; *s > ' ' && *s < 0x7f; s++)
		continue;
	if (*s != '\0' || s == m->host)
		return -1;
	for (s = m->name; *s > ' ' && *s < 0x7f; s++)
		continue;
	return *s == '\0' ? 0 : -1;
}

static void
port_add(struct ports *p, uint16_t port)
{
	uint32_t	 i;

	for (i = 0; i < p->p_hdr.n; i++)
		if (p->p_port[i].v == port)
			return;
	if (p->p_hdr.n < PORTS_MAX)
		p->p_port[p->p_hdr.n++].v = port;
}

/* To netd, or only their ports. */
static void
each_node(json_t *nodes, uint16_t region, struct ports *ports)
{
	struct msg_nm_derp_node	 m;
	json_t			*j;
	size_t			 i;

	json_array_foreach(nodes, i, j) {
		if (i == NODES_MAX)
			break;
		if (pushderp_node(j, region, &m) == -1)
			continue;
		if (ports == NULL)
			(void)chan_compose(ctrld_netd(), IMSG_NM_DERP_NODE,
			    0, -1, &m, sizeof(m));
		else if ((m.flags & DERP_NODE_STUNONLY) == 0)
			port_add(ports, m.port);
	}
}

/* Of a region that stands under this name, or 0 if that is no number. */
static uint16_t
region_id(const char *key)
{
	const char	*errstr;
	long long	 id;

	id = strtonum(key, 1, UINT16_MAX, &errstr);
	return errstr == NULL ? id : 0;
}

int
pushderp_region(const char *key, json_t *j, json_t *scores,
    struct msg_nm_derp_region *m, json_t **nodes)
{
	json_t	*v[RF_MAX];
	double	 score;

	memset(m, 0, sizeof(*m));
	if (j == NULL || ju_fields(j, region_fields, RF_MAX, v) == -1 ||
	    (m->id = region_id(key)) == 0)
		return -1;
	(void)copy_str(v[RF_CODE], m->code, sizeof(m->code));
	(void)copy_str(v[RF_NAME], m->name, sizeof(m->name));
	text_plain(m->code);
	text_plain(m->name);
	if (json_is_true(v[RF_NOHOME]) || json_is_true(v[RF_AVOID]))
		m->flags = DERP_REGION_NOHOME;
	score = json_number_value(json_object_get(scores, key));
	m->score = 1000;
	if (score > 0)
		m->score = score < 0.001 ? 1 : score > 1000000 ? 1000000000 :
		    (uint32_t)(score * 1000 + 0.5);
	*nodes = v[RF_NODES];
	return 0;
}

void
derp_code(struct netmap *nm, uint16_t id, char *buf, size_t len)
{
	json_t	*v[MF_MAX] = { NULL, NULL }, *f[RF_MAX];
	char	 key[8];

	buf[0] = '\0';
	(void)snprintf(key, sizeof(key), "%u", id);
	if (id == 0 || ju_fields(nm->nm_derp, map_fields, MF_MAX, v) == -1 ||
	    v[MF_REGIONS] == NULL || ju_fields(json_object_get(
	    v[MF_REGIONS], key), region_fields, RF_MAX, f) == -1)
		return;
	(void)copy_str(f[RF_CODE], buf, len);
	text_plain(buf);
}

/* On its way before netd can ask for a connection there. */
static void
send_ports(struct ports *p)
{
	(void)chan_compose2(proc_parent(), IMSG_DERP_PORTS, 0, -1, &p->p_hdr,
	    sizeof(p->p_hdr), p->p_port, p->p_hdr.n * sizeof(p->p_port[0]));
	chan_push(proc_parent());
}

void
push_derp(struct netmap *nm)
{
	struct msg_nm_derp_region	 m;
	struct msg_u32			 u;
	struct ports			 ports;
	const char			*key;
	json_t				*j, *nodes, *scores = NULL;
	json_t				*v[MF_MAX] = { NULL, NULL };

	memset(&ports, 0, sizeof(ports));
	memset(&u, 0, sizeof(u));
	if (nm != NULL)
		(void)ju_fields(nm->nm_derp, map_fields, MF_MAX, v);
	(void)ju_fields(v[MF_HOME], home_fields, 1, &scores);
	json_object_foreach(v[MF_REGIONS], key, j)
		if (u.v < REGIONS_MAX && pushderp_region(key, j, scores, &m,
		    &nodes) == 0) {
			u.v++;
			each_node(nodes, m.id, &ports);
		}
	send_ports(&ports);
	(void)chan_compose(ctrld_netd(), IMSG_NM_DERP_BEGIN, 0, -1, &u,
	    sizeof(u));
	json_object_foreach(v[MF_REGIONS], key, j) {
		if (u.v == 0 || pushderp_region(key, j, scores, &m,
		    &nodes) == -1)
			continue;
		u.v--;
		(void)chan_compose(ctrld_netd(), IMSG_NM_DERP_REGION, 0, -1,
		    &m, sizeof(m));
		each_node(nodes, m.id, NULL);
	}
}
