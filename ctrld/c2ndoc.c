/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the server may read of this node: it knows most of it already.
 * Source: control.md 5.3.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"

#define NETMAP_PEERS	500	/* in /debug/netmap, at most */

static char *
text_of(json_t *j)
{
	char	*text;

	text = j == NULL ? NULL : json_dumps(j, JSON_COMPACT);
	json_decref(j);
	return text;
}

static char *
prefs_doc(void)
{
	const struct ctrld_conf	*c = ctrld_conf();
	struct nm_prefix	 p;
	char			 text[NM_ADDRTEXT];
	json_t			*routes, *tags;
	uint32_t		 i;

	routes = json_array();
	tags = json_array();
	for (i = 0; i < c->c_nroutes; i++) {
		memset(&p, 0, sizeof(p));
		p.np_version = c->c_routes[i].af;
		p.np_plen = c->c_routes[i].plen;
		memcpy(p.np_addr, c->c_routes[i].addr, sizeof(p.np_addr));
		(void)json_array_append_new(routes, json_string(
		    nm_prefix_text(&p, text, sizeof(text))));
	}
	for (i = 0; i < c->c_ntags; i++)
		(void)json_array_append_new(tags,
		    json_string(c->c_tags[i].s));
	return text_of(json_pack("{s:s,s:b,s:b,s:b,s:b,s:s,s:o,s:o}",
	    "ControlURL", c->c_msg.url, "RouteAll", c->c_msg.accept_routes,
	    "CorpDNS", c->c_msg.accept_dns, "WantRunning",
	    c->c_msg.want_running, "ShieldsUp", c->c_msg.shields_up,
	    "Hostname", c->c_msg.hostname, "AdvertiseRoutes", routes,
	    "AdvertiseTags", tags));
}

static char *
netmap_doc(void)
{
	struct netmap	*nm;
	struct nm_node	*n;
	json_t		*j, *peers;
	size_t		 i = 0;

	if ((nm = map_now()) == NULL || nm->nm_npeers > NETMAP_PEERS ||
	    (j = netmap_json(nm)) == NULL)
		return NULL;
	peers = json_array();
	RB_FOREACH(n, nm_tree, &nm->nm_peers)
		if (i++ < NETMAP_PEERS)
			(void)json_array_append_new(peers, nm_node_json(n));
	(void)json_object_set_new(j, "Peers", peers);
	return text_of(json_pack("{s:o}", "current", j));
}

static char *
metrics_doc(void)
{
	struct netmap	*nm = map_now();
	char		*text;

	if (asprintf(&text, "# TYPE shoal_peers gauge\nshoal_peers %u\n"
	    "# TYPE shoal_map_stream gauge\nshoal_map_stream %d\n"
	    "# TYPE shoal_clock_skew_seconds gauge\n"
	    "shoal_clock_skew_seconds %lld\n",
	    nm == NULL ? 0 : nm->nm_npeers, poll_online(),
	    (long long)(map_skew() / NS_PER_S)) == -1)
		return NULL;
	return text;
}

char *
c2n_doc(enum c2n_doc what)
{
	switch (what) {
	case C2N_PREFS:
		return prefs_doc();
	case C2N_HEALTH:
		return text_of(health_json());
	case C2N_NETMAP:
		return netmap_doc();
	case C2N_METRICS:
		return metrics_doc();
	default:
		return NULL;
	}
}
