/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A node as JSON: made once at each change, the same for all viewers.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonutil.h"
#include "keys.h"
#include "log.h"
#include "srvreq.h"
#include "stored.h"

static void
add_key(struct buf *t, const char *name, const char *prefix,
    const uint8_t *key)
{
	char	 text[JU_KEYTEXT];

	if (key_is_zero(key, MSG_KEY_LEN))
		return;
	buf_name(t, name);
	buf_fmt(t, "\"%s\"", ju_key_text(prefix, key, text, sizeof(text)));
}

static void
add_endpoints(struct buf *t, const struct noderec *r)
{
	char	 text[ADDR_TEXT];
	size_t	 i;

	buf_str(t, "[");
	for (i = 0; i < r->r_nendpoints; i++) {
		endpoint_print(&r->r_endpoints[i], text, sizeof(text));
		buf_fmt(t, "%s\"%s\"", i > 0 ? "," : "", text);
	}
	buf_str(t, "]");
}

/* Up to what differs by viewer. Source: control.md 4.5. */
static void
render_head(struct brain *b, struct node *n)
{
	const struct noderec	*r = &n->n_rec;
	struct buf		 t = { NULL, 0, 0 };

	buf_fmt(&t, "{\"ID\":%llu,\"StableID\":\"%llu\",\"Name\":",
	    (unsigned long long)r->r_id, (unsigned long long)r->r_id);
	buf_fmt(&t, "\"%s.%s.\",\"User\":%llu", r->r_label,
	    b->b_conf.c_domain,
	    (unsigned long long)(r->r_user == 0 ? TAGGED_USER : r->r_user));
	add_key(&t, "Key", "nodekey:", r->r_key);
	if (r->r_expiry != 0) {
		buf_name(&t, "KeyExpiry");
		buf_time(&t, r->r_expiry);
	}
	add_key(&t, "Machine", "mkey:", r->r_machine);
	add_key(&t, "DiscoKey", "discokey:", r->r_disco);
	noderec_addrs(&t, "Addresses", r);
	n->n_head = t.b_text;
}

static void
render_masq(struct buf *t, const struct noderec *r)
{
	char	 text[ADDR_TEXT];

	if (r->r_hasmasq4) {
		addr_print4(r->r_masq4, text, sizeof(text));
		buf_fmt(t, ",\"SelfNodeV4MasqAddrForThisPeer\":\"%s\"", text);
	}
	if (r->r_hasmasq6) {
		addr_print6(r->r_masq6, text, sizeof(text));
		buf_fmt(t, ",\"SelfNodeV6MasqAddrForThisPeer\":\"%s\"", text);
	}
}

static void
render_online(struct buf *t, const struct noderec *r)
{
	int	 online = r->r_online || r->r_wgonly;

	if (!online && r->r_last_seen != 0) {
		buf_name(t, "LastSeen");
		buf_time(t, r->r_last_seen);
	}
	buf_fmt(t, ",\"Online\":%s", online ? "true" : "false");
}

/* From behind AllowedIPs to the end, without the last brace. */
static void
render_tail(struct node *n)
{
	const struct noderec	*r = &n->n_rec;
	struct buf		 t = { NULL, 0, 0 };

	if (r->r_nendpoints > 0) {
		buf_str(&t, ",\"Endpoints\":");
		add_endpoints(&t, r);
	}
	if (r->r_derp != 0)
		buf_fmt(&t, ",\"HomeDERP\":%u", r->r_derp);
	buf_fmt(&t, ",\"Hostinfo\":");
	buf_str(&t, n->n_public);
	buf_str(&t, ",\"Created\":");
	buf_time(&t, r->r_created);
	if (r->r_cap != 0)
		buf_fmt(&t, ",\"Cap\":%u", r->r_cap);
	if (r->r_ntags > 0)
		buf_strs(&t, "Tags", r->r_tags, r->r_ntags);
	render_online(&t, r);
	buf_fmt(&t, ",\"MachineAuthorized\":%s",
	    r->r_approved ? "true" : "false");
	if (n->n_expired)
		buf_str(&t, ",\"Expired\":true");
	if (r->r_wgonly)
		buf_str(&t, ",\"IsWireGuardOnly\":true");
	render_masq(&t, r);
	n->n_tail = t.b_text;
}

void
map_node_stale(struct node *n)
{
	free(n->n_head);
	free(n->n_tail);
	n->n_head = n->n_tail = NULL;
}

static void
render(struct brain *b, struct node *n)
{
	if (n->n_head != NULL)
		return;
	render_head(b, n);
	render_tail(n);
	b->b_nrendered++;
}

static size_t
own_prefixes(const struct noderec *r, struct policy_prefix *out)
{
	size_t	 n = 0;

	memset(out, 0, 2 * sizeof(*out));
	if (r->r_has4) {
		out[n].pp_version = 4;
		out[n].pp_plen = 32;
		memcpy(out[n++].pp_addr, r->r_addr4, 4);
	}
	if (r->r_has6) {
		out[n].pp_version = 6;
		out[n].pp_plen = 128;
		memcpy(out[n++].pp_addr, r->r_addr6, 16);
	}
	return n;
}

/* AllowedIPs and PrimaryRoutes as this viewer (NULL: the node) gets them. */
static void
add_allowed(struct brain *b, struct buf *t, const struct node *n,
    const struct node *viewer)
{
	struct policy_prefix	 routes[NODE_MAX_ROUTES];
	struct policy_prefix	 all[NODE_MAX_ROUTES + 2];
	struct policy_prefix	 primary[NODE_MAX_ROUTES];
	size_t			 i, nall, nprimary = 0, nroutes;

	nall = own_prefixes(&n->n_rec, all);
	nroutes = node_routes(n, routes, NODE_MAX_ROUTES);
	for (i = 0; i < nroutes; i++) {
		if (viewer != NULL && (b->b_pstate == NULL ||
		    !policy_route_visible(b->b_pstate, viewer->n_slot,
		    n->n_slot, &routes[i])))
			continue;
		all[nall++] = routes[i];
		if (!route_is_exit(&routes[i]))
			primary[nprimary++] = routes[i];
	}
	qsort(all, nall, sizeof(all[0]), route_cmp);
	route_list(t, "AllowedIPs", all, nall);
	if (nprimary > 0)
		route_list(t, "PrimaryRoutes", primary, nprimary);
}

static void
add_node(struct brain *b, struct buf *t, struct node *n,
    const struct node *viewer, unsigned int version)
{
	render(b, n);
	buf_str(t, n->n_head);
	if (n->n_rec.r_napproved > 0)
		add_allowed(b, t, n, viewer);
	else
		noderec_addrs(t, "AllowedIPs", &n->n_rec);
	buf_str(t, n->n_tail);
	if (version < SRVREQ_V_HOMEDERP && n->n_rec.r_derp != 0)
		buf_fmt(t, ",\"DERP\":\"127.3.3.40:%u\"", n->n_rec.r_derp);
}

void
map_node_peer(struct brain *b, struct buf *t, struct node *n,
    const struct node *viewer, unsigned int version)
{
	add_node(b, t, n, viewer, version);
	buf_str(t, "}");
}

static void
add_cap(struct buf *t, int *n, int old, const char *name, const char *value)
{
	if ((*n)++ > 0)
		buf_str(t, ",");
	buf_json(t, name);
	if (!old)
		buf_fmt(t, ":%s", value);
}

/*
 * Attributes of the node itself: those without a value as a mere list to who
 * does not know the map. Source: control.md 4.10.
 */
static void
add_capmap(struct brain *b, struct buf *t, struct node *n, int old)
{
	struct user	*u;
	json_t		*caps = NULL, *v;
	const char	*name;
	int		 k = 0;

	if (b->b_pstate != NULL)
		caps = policy_node_caps(b->b_pstate, n->n_slot);
	buf_str(t, old ? ",\"Capabilities\":[" : ",\"CapMap\":{");
	/* Every node has an IPv6 address: let names answer with it. */
	add_cap(t, &k, old, "magicdns-aaaa", "null");
	if (!old)
		add_cap(t, &k, old, "default-auto-update", "[false]");
	if (b->b_conf.c_dns_update)
		add_cap(t, &k, old, "https", "null");
	u = user_find(b, n->n_rec.r_user);
	if (u != NULL && u->u_role != ROLE_MEMBER)
		add_cap(t, &k, old, "https://tailscale.com/cap/is-admin",
		    "null");
	json_object_foreach(caps, name, v)
		add_cap(t, &k, old, name, "null");
	buf_str(t, old ? "]" : "}");
	json_decref(caps);
}

void
map_node_self(struct brain *b, struct buf *t, struct node *n,
    unsigned int version)
{
	policy_refresh(b);
	add_node(b, t, n, NULL, version);
	add_capmap(b, t, n, version < SRVREQ_V_CAPMAP);
	buf_str(t, "}");
}

static void
patch_fields(struct buf *t, const struct node *n, unsigned int ch)
{
	const struct noderec	*r = &n->n_rec;

	buf_fmt(t, "{\"NodeID\":%llu", (unsigned long long)r->r_id);
	if ((ch & CH_DERP) && r->r_derp != 0)
		buf_fmt(t, ",\"DERPRegion\":%u", r->r_derp);
	if (ch & CH_ENDPOINTS) {
		buf_str(t, ",\"Endpoints\":");
		add_endpoints(t, r);
	}
	if (ch & CH_DISCO)
		add_key(t, "DiscoKey", "discokey:", r->r_disco);
	if (ch & CH_ONLINE)
		render_online(t, r);
	buf_str(t, "}");
}

/*
 * Clients discard a patch that has a disco key and says that the node went
 * offline: then it is two. Source: control.md 4.6.
 */
void
map_node_patch(struct buf *t, const struct node *n, unsigned int ch)
{
	if ((ch & CH_DISCO) && (ch & CH_ONLINE) && !n->n_rec.r_online) {
		patch_fields(t, n, ch & ~(unsigned int)CH_ONLINE);
		buf_str(t, ",");
		ch = CH_ONLINE;
	}
	patch_fields(t, n, ch);
}
