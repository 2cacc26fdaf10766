/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the server is told of this host: Hostinfo and endpoints.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "ctrld.h"
#include "maprequest.h"
#include "proc.h"

#define MAX_ENDPOINTS	64	/* the server need not know them all */

static char	 ep_text[MAX_ENDPOINTS][NM_ADDRTEXT];
static const char *ep_list[MAX_ENDPOINTS];
static int	 ep_type[MAX_ENDPOINTS];
static size_t	 nendpoints;

int
endpoints_msg(struct imsg *imsg)
{
	struct msg_nm_list	 hdr;
	struct msg_endpoint	 ep;
	struct nm_endpoint	 ne;
	const uint8_t		*p;
	char			 text[MAX_ENDPOINTS][NM_ADDRTEXT];
	int			 type[MAX_ENDPOINTS];
	uint32_t		 i, n;

	if (msg_list(imsg, &hdr, sizeof(hdr), &p) == -1 ||
	    msg_list_ok(imsg, sizeof(hdr), hdr.n, sizeof(ep)) == -1)
		return -1;
	memset(text, 0, sizeof(text));
	memset(type, 0, sizeof(type));
	for (i = n = 0; i < hdr.n && n < MAX_ENDPOINTS; i++) {
		memcpy(&ep, p + i * sizeof(ep), sizeof(ep));
		if ((ep.af != AF_WIRE_INET && ep.af != AF_WIRE_INET6) ||
		    ep.type > MAPREQ_EP_EXPLICIT)
			return -1;
		ne.ne_version = ep.af;
		ne.ne_port = ep.port;
		memcpy(ne.ne_addr, ep.addr, sizeof(ne.ne_addr));
		nm_endpoint_text(&ne, text[n], sizeof(text[n]));
		type[n++] = ep.type;
	}
	if (n == nendpoints && memcmp(text, ep_text, sizeof(text)) == 0 &&
	    memcmp(type, ep_type, sizeof(type)) == 0)
		return 0;
	memcpy(ep_text, text, sizeof(ep_text));
	memcpy(ep_type, type, sizeof(ep_type));
	nendpoints = n;
	control_update();
	return 0;
}

void
endpoints_fill(struct maprequest *mr)
{
	size_t	 i;

	for (i = 0; i < nendpoints; i++)
		ep_list[i] = ep_text[i];
	mr->mr_endpoints = ep_list;
	mr->mr_eptypes = ep_type;
	mr->mr_nendpoints = nendpoints;
}

/*
 * Servers and their tools want a stable identifier of 64 hex digits. The
 * suite uploads no logs; a hash of the machine key serves and needs no state.
 */
static void
log_id(char *buf, size_t len)
{
	static const char	 label[] = "shoal backend log id";
	uint8_t			 in[sizeof(label) + MSG_KEY_LEN], out[32];

	memcpy(in, label, sizeof(label));
	memcpy(in + sizeof(label), control_keys_now()->machine, MSG_KEY_LEN);
	if (EVP_Digest(in, sizeof(in), out, NULL, EVP_sha256(), NULL) != 1)
		fatalx("EVP_Digest");
	ju_key_text("", out, buf, len);
}

json_t *
ctrld_hostinfo(void)
{
	static const char	*routes[MAX_ROUTES + 2], *tags[MAX_TAGS];
	static char		 text[MAX_ROUTES][NM_ADDRTEXT];
	const struct ctrld_conf	*c = ctrld_conf();
	struct hostinfo		 hi;
	struct nm_prefix	 p;
	char			 id[JU_KEYTEXT];
	json_t			*j;
	uint32_t		 i;

	memset(&hi, 0, sizeof(hi));
	log_id(id, sizeof(id));
	hi.hi_version = SHOAL_VERSION;
	hi.hi_logid = id;
	hi.hi_os = c->c_msg.os;
	hi.hi_osversion = c->c_msg.os_version;
	hi.hi_distro = c->c_msg.distro;
	hi.hi_distrover = c->c_msg.distro_version;
	hi.hi_distrocode = c->c_msg.distro_code;
	hi.hi_machine = c->c_msg.uname;
	hi.hi_container = c->c_msg.container;
	hi.hi_relay = c->c_msg.peer_relay;
	hi.hi_hostname = c->c_msg.hostname;
	hi.hi_arch = c->c_msg.machine;
	hi.hi_shields = c->c_msg.shields_up;
	hi.hi_net = netinfo_now();
	for (i = 0; i < c->c_nroutes; i++) {
		memset(&p, 0, sizeof(p));
		p.np_version = c->c_routes[i].af;
		p.np_plen = c->c_routes[i].plen;
		memcpy(p.np_addr, c->c_routes[i].addr, sizeof(p.np_addr));
		routes[i] = nm_prefix_text(&p, text[i], sizeof(text[i]));
	}
	if (c->c_msg.exit_node) {
		routes[i++] = "0.0.0.0/0";
		routes[i++] = "::/0";
	}
	hi.hi_routes = routes;
	hi.hi_nroutes = i;
	for (i = 0; i < c->c_ntags; i++)
		tags[i] = c->c_tags[i].s;
	hi.hi_tags = tags;
	hi.hi_ntags = i;
	if ((j = hostinfo_json(&hi)) == NULL)
		fatal(NULL);
	return j;
}
