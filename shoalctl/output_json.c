/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Answers as JSON, with the keys that tailscale prints.
 * Source: features.md 10.5, 10.3; control.md 4.5.
 */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "shoalctl.h"

#define SECOND	1000000000LL

static void	 set(json_t *, const char *, json_t *);
static void	 set_str(json_t *, const char *, const char *);
static void	 set_int(json_t *, const char *, uint64_t);
static void	 set_bool(json_t *, const char *, int);
static void	 set_time(json_t *, const char *, int64_t);
static void	 set_key(json_t *, const char *, const char *,
		    const uint8_t *);
static char	*key_text(const char *, const uint8_t *, char *, size_t);
static json_t	*words_json(const char *);
static json_t	*ips_json(const struct msg_ctl_node *, int);
static json_t	*prefixes_json(const struct msg_prefix *, uint32_t);
static void	 peer_traffic(json_t *, const struct peer *);
static json_t	*peer_json(const struct peer *);
static json_t	*user_json(const struct msg_ctl_user *);
static json_t	*health_json(const struct status *);
static json_t	*tailnet_json(const struct status *);
static json_t	*users_json(const struct status *);
static json_t	*peers_json(const struct status *, const struct args *);
static void	 print(json_t *);
static int	 json_status(const struct status *, const struct args *);
static json_t	*whois_node(const struct msg_ctl_node *);
static int	 json_whois(const struct status *);
static int	 json_version(const char *, const char *);
static json_t	*tri_json(int8_t);
static json_t	*latency_json(const struct netreport *, uint8_t);
static json_t	*seen_json(const struct netreport *, uint8_t);
static json_t	*report_json(const struct netreport *);
static int	 json_netcheck(const struct netreport *, const struct args *);

const struct output	 output_json = {
	json_status, json_whois, json_version, json_netcheck
};

/* Takes the reference; out of memory ends the program. */
static void
set(json_t *o, const char *name, json_t *v)
{
	if (v == NULL || json_object_set_new(o, name, v) == -1)
		errx(1, "out of memory");
}

/* What is not UTF-8 can't stand in JSON. */
static void
set_str(json_t *o, const char *name, const char *s)
{
	json_t	*v = json_string(s);

	set(o, name, v != NULL ? v : json_string("?"));
}

static void
set_int(json_t *o, const char *name, uint64_t v)
{
	set(o, name, json_integer((json_int_t)v));
}

static void
set_bool(json_t *o, const char *name, int v)
{
	set(o, name, json_boolean(v));
}

/* 0 is the time that is not set: year 1, as Go has it. */
static void
set_time(json_t *o, const char *name, int64_t ns)
{
	struct tm	 tm;
	time_t		 t = (time_t)(ns / SECOND);
	char		 text[64] = "0001-01-01T00:00:00Z";
	char		 frac[16] = "";
	size_t		 n;

	if (ns > 0 && gmtime_r(&t, &tm) != NULL &&
	    (n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S",
	    &tm)) > 0) {
		if (ns % SECOND != 0) {
			(void)snprintf(frac, sizeof(frac), ".%09lld",
			    (long long)(ns % SECOND));
			while (frac[strlen(frac) - 1] == '0')
				frac[strlen(frac) - 1] = '\0';
		}
		(void)snprintf(text + n, sizeof(text) - n, "%sZ", frac);
	}
	set_str(o, name, text);
}

static char *
key_text(const char *prefix, const uint8_t *key, char *buf, size_t len)
{
	size_t	 i, n;

	n = strlcpy(buf, prefix, len);
	for (i = 0; i < MSG_KEY_LEN && n + 3 <= len; i++, n += 2)
		(void)snprintf(buf + n, len - n, "%02x", key[i]);
	return buf;
}

static void
set_key(json_t *o, const char *name, const char *prefix, const uint8_t *key)
{
	char	 text[96];

	set_str(o, name, key_text(prefix, key, text, sizeof(text)));
}

/* "a,b" to a list. */
static json_t *
words_json(const char *s)
{
	json_t	*list = json_array();
	size_t	 n;

	for (;; s += n + 1) {
		n = strcspn(s, ",");
		if (json_array_append_new(list, json_stringn(s, n)) == -1)
			errx(1, "out of memory");
		if (s[n] == '\0')
			return list;
	}
}

static json_t *
ips_json(const struct msg_ctl_node *n, int with_len)
{
	json_t		*list = json_array();
	char		 ip[ADDR_LEN], text[ADDR_LEN + 8];
	uint32_t	 i;

	for (i = 0; i < n->naddrs; i++) {
		(void)ip_text(&n->addr[i], ip, sizeof(ip));
		(void)snprintf(text, sizeof(text), "%s%s", ip, !with_len ? "" :
		    n->addr[i].af == AF_WIRE_INET ? "/32" : "/128");
		if (json_array_append_new(list, json_string(text)) == -1)
			errx(1, "out of memory");
	}
	return list;
}

static json_t *
prefixes_json(const struct msg_prefix *p, uint32_t n)
{
	json_t		*list = json_array();
	char		 text[ADDR_LEN + 8];
	uint32_t	 i;

	for (i = 0; i < n; i++)
		if (json_array_append_new(list, json_string(prefix_text(&p[i],
		    text, sizeof(text)))) == -1)
			errx(1, "out of memory");
	return list;
}

static void
peer_traffic(json_t *o, const struct peer *p)
{
	const struct msg_ctl_peerstat	*s = &p->p_stat;
	char				 text[ADDR_LEN + 8];
	char				 vni[ADDR_LEN + 32] = "";

	set(o, "Addrs", json_null());
	(void)endpoint_text(&s->ep, text, sizeof(text));
	if (s->vni != 0)
		(void)snprintf(vni, sizeof(vni), "%s:vni:%u", text, s->vni);
	set_str(o, "CurAddr", s->vni != 0 ? "" : text);
	set_str(o, "Relay", p->p_node.derp == 0 ? "" : relay_text(
	    p->p_node.region, p->p_node.derp, text, sizeof(text)));
	set_str(o, "PeerRelay", vni);
	set_int(o, "RxBytes", s->rx);
	set_int(o, "TxBytes", s->tx);
	set_time(o, "Created", p->p_node.created);
	set_time(o, "LastWrite", s->last_write);
	set_time(o, "LastSeen", p->p_node.flags & NODE_ONLINE ? 0 :
	    p->p_node.last_seen);
	set_time(o, "LastHandshake", s->handshake);
	set_bool(o, "Online", (p->p_node.flags & NODE_ONLINE) != 0);
	set_bool(o, "ExitNode", 0);
	set_bool(o, "ExitNodeOption",
	    (p->p_node.flags & NODE_EXITNODE) != 0);
	set_bool(o, "Active", s->active);
}

static json_t *
peer_json(const struct peer *p)
{
	const struct msg_ctl_node	*n = &p->p_node;
	json_t				*o = json_object();
	int				 self = n->flags & NODE_SELF;

	set_str(o, "ID", n->stable);
	set_int(o, "NodeID", n->id);
	set_key(o, "PublicKey", "nodekey:", n->key);
	set_str(o, "HostName", n->hostname);
	set_str(o, "DNSName", n->name);
	set_str(o, "OS", n->os);
	set_int(o, "UserID", n->user);
	set(o, "TailscaleIPs", ips_json(n, 0));
	set(o, "AllowedIPs", prefixes_json(n->allowed, n->nallowed));
	if (n->tags[0] != '\0')
		set(o, "Tags", words_json(n->tags));
	if (n->nroutes > 0)
		set(o, "PrimaryRoutes", prefixes_json(n->route, n->nroutes));
	peer_traffic(o, p);
	set(o, "PeerAPIURL", json_null());
	set_int(o, "TaildropTarget", 0);
	set_str(o, "NoFileSharingReason", "");
	if (n->flags & NODE_SHARED)
		set_bool(o, "ShareeNode", 1);
	set_bool(o, "InNetworkMap", 1);
	set_bool(o, "InMagicSock", !self);
	set_bool(o, "InEngine", p->p_stat.handshake != 0);
	if (n->flags & NODE_EXPIRED)
		set_bool(o, "Expired", 1);
	if (n->expiry != 0)
		set_time(o, "KeyExpiry", n->expiry);
	return o;
}

static json_t *
user_json(const struct msg_ctl_user *u)
{
	json_t	*o = json_object();

	set_int(o, "ID", u->id);
	set_str(o, "LoginName", u->login);
	set_str(o, "DisplayName", u->display);
	if (u->picture[0] != '\0')
		set_str(o, "ProfilePicURL", u->picture);
	return o;
}

static void
add_text(json_t *list, const char *text)
{
	json_t	*v = json_string(text);

	if (json_array_append_new(list, v != NULL ? v : json_string("?")) ==
	    -1)
		errx(1, "out of memory");
}

static json_t *
health_json(const struct status *st)
{
	const struct msg_ctl_health	*h;
	char				 text[sizeof(h->title) +
					    sizeof(h->text) + 2];
	json_t				*list = json_array();
	size_t				 i;

	if (st->st_state.c.error[0] != '\0')
		add_text(list, st->st_state.c.error);
	for (i = 0; i < st->st_nhealth; i++) {
		h = &st->st_health[i];
		(void)snprintf(text, sizeof(text), "%s%s%s", h->title,
		    h->title[0] != '\0' && h->text[0] != '\0' ? ": " : "",
		    h->text);
		add_text(list, text);
	}
	return list;
}

static json_t *
tailnet_json(const struct status *st)
{
	json_t	*o;

	if (st->st_tailnet.suffix[0] == '\0' &&
	    st->st_tailnet.domain[0] == '\0')
		return json_null();
	o = json_object();
	set_str(o, "Name", st->st_tailnet.domain);
	set_str(o, "MagicDNSSuffix", st->st_tailnet.suffix);
	set_bool(o, "MagicDNSEnabled", st->st_tailnet.magicdns != 0);
	return o;
}

static json_t *
users_json(const struct status *st)
{
	json_t	*o = json_object();
	char	 id[24];
	size_t	 i;

	for (i = 0; i < st->st_nusers; i++) {
		(void)snprintf(id, sizeof(id), "%llu",
		    (unsigned long long)st->st_users[i].id);
		set(o, id, user_json(&st->st_users[i]));
	}
	return o;
}

static json_t *
peers_json(const struct status *st, const struct args *a)
{
	const struct peer	*p;
	json_t			*o = json_object();
	char			 key[96];
	size_t			 i;

	for (i = 0; i < st->st_npeers; i++) {
		p = &st->st_peers[i];
		if (p->p_node.flags & NODE_SELF || !a->a_peers ||
		    (a->a_active && !p->p_stat.active))
			continue;
		set(o, key_text("nodekey:", p->p_node.key, key, sizeof(key)),
		    peer_json(p));
	}
	return o;
}

static void
print(json_t *o)
{
	if (json_dumpf(o, stdout, JSON_INDENT(2)) == -1 ||
	    putchar('\n') == EOF)
		err(1, "stdout");
	json_decref(o);
}

static json_t *
client_version(const struct msg_ctrl_state *c)
{
	json_t	*o;

	if (!(c->version & VERSION_TOLD))
		return json_null();
	o = json_object();
	if (c->version & VERSION_LATEST)
		set_bool(o, "RunningLatest", 1);
	if (c->latest[0] != '\0')
		set_str(o, "LatestVersion", c->latest);
	if (c->version & VERSION_URGENT)
		set_bool(o, "UrgentSecurityUpdate", 1);
	if (c->version & VERSION_NOTIFY)
		set_bool(o, "Notify", 1);
	return o;
}

/* As with tailscale, any state is a good answer here. */
static int
json_status(const struct status *st, const struct args *a)
{
	const struct peer	*self = status_self(st);
	json_t			*o = json_object();

	set_str(o, "Version", st->st_state.version);
	set_bool(o, "TUN", 1);
	set_str(o, "BackendState", state_name(st->st_state.c.state));
	set_bool(o, "HaveNodeKey", self != NULL);
	set_str(o, "AuthURL", st->st_state.c.url);
	set(o, "TailscaleIPs", self != NULL ? ips_json(&self->p_node, 0) :
	    json_null());
	set(o, "Self", self != NULL && a->a_self ? peer_json(self) :
	    json_null());
	set(o, "Health", health_json(st));
	set_str(o, "MagicDNSSuffix", st->st_tailnet.suffix);
	set(o, "CurrentTailnet", tailnet_json(st));
	set(o, "CertDomains", json_null());
	set(o, "Peer", peers_json(st, a));
	set(o, "User", users_json(st));
	set(o, "ClientVersion", client_version(&st->st_state.c));
	print(o);
	return 0;
}

static json_t *
whois_node(const struct msg_ctl_node *n)
{
	json_t	*o = json_object(), *host = json_object();

	set_int(o, "ID", n->id);
	set_str(o, "StableID", n->stable);
	set_str(o, "Name", n->name);
	set_int(o, "User", n->user);
	set_key(o, "Key", "nodekey:", n->key);
	if (n->expiry != 0)
		set_time(o, "KeyExpiry", n->expiry);
	set_key(o, "DiscoKey", "discokey:", n->disco);
	set(o, "Addresses", ips_json(n, 1));
	set(o, "AllowedIPs", prefixes_json(n->allowed, n->nallowed));
	if (n->derp != 0)
		set_int(o, "HomeDERP", n->derp);
	set_str(host, "OS", n->os);
	set_str(host, "Hostname", n->hostname);
	set(o, "Hostinfo", host);
	set_time(o, "Created", n->created);
	set_int(o, "Cap", n->cap);
	if (n->tags[0] != '\0')
		set(o, "Tags", words_json(n->tags));
	if (n->nroutes > 0)
		set(o, "PrimaryRoutes", prefixes_json(n->route, n->nroutes));
	set_bool(o, "Online", (n->flags & NODE_ONLINE) != 0);
	return o;
}

static int
json_whois(const struct status *st)
{
	const struct msg_ctl_user	*u;
	json_t				*o = json_object();

	if (st->st_npeers == 0)
		return 1;
	u = status_user(st, st->st_peers[0].p_node.user);
	set(o, "Node", whois_node(&st->st_peers[0].p_node));
	set(o, "UserProfile", u != NULL ? user_json(u) : json_null());
	set(o, "CapMap", json_null());
	print(o);
	return 0;
}

static int
json_version(const char *own, const char *daemon)
{
	json_t	*o = json_object();

	set_str(o, "majorMinorPatch", own);
	set_str(o, "short", own);
	set_str(o, "long", own);
	if (daemon != NULL)
		set_str(o, "daemonLong", daemon);
	print(o);
	return 0;
}

/* An optional boolean of tailscale's. */
static json_t *
tri_json(int8_t v)
{
	return v == -1 ? json_null() : json_boolean(v);
}

/* Nanoseconds by region; af 0: the lesser of both families. */
static json_t *
latency_json(const struct netreport *nr, uint8_t af)
{
	const struct msg_ctl_netregion	*r;
	json_t				*o = json_object();
	char				 id[16];
	int64_t				 v;
	size_t				 i;

	for (i = 0; i < nr->nr_nregions; i++) {
		r = &nr->nr_regions[i];
		v = af == 0 ? r->latency : af == AF_WIRE_INET ? r->latency4 :
		    r->latency6;
		if (v == 0)
			continue;
		(void)snprintf(id, sizeof(id), "%u", r->id);
		set_int(o, id, (uint64_t)v);
	}
	return o;
}

static json_t *
seen_json(const struct netreport *nr, uint8_t af)
{
	json_t	*o = NULL;
	char	 addr[ADDR_LEN + 8];
	size_t	 i;

	for (i = 0; i < nr->nr_nseen; i++) {
		if (nr->nr_seen[i].ep.af != af)
			continue;
		if (o == NULL)
			o = json_object();
		set_int(o, endpoint_text(&nr->nr_seen[i].ep, addr,
		    sizeof(addr)), nr->nr_seen[i].count);
	}
	return o == NULL ? json_null() : o;
}

static json_t *
report_json(const struct netreport *nr)
{
	const struct msg_ctl_netreport	*r = &nr->nr_report;
	json_t				*o = json_object();
	char				 addr[ADDR_LEN + 8];

	set_time(o, "Now", r->date);
	set_bool(o, "UDP", r->udp);
	set_bool(o, "IPv6", r->ipv6);
	set_bool(o, "IPv4", r->ipv4);
	set_bool(o, "IPv6CanSend", r->cansend6);
	set_bool(o, "IPv4CanSend", r->cansend4);
	set_bool(o, "OSHasIPv6", r->os6);
	set_bool(o, "ICMPv4", r->icmp4 == 1);
	set(o, "MappingVariesByDestIP", tri_json(r->varies));
	set(o, "UPnP", tri_json(r->upnp));
	set(o, "PMP", tri_json(r->pmp));
	set(o, "PCP", tri_json(r->pcp));
	set_int(o, "PreferredDERP", r->preferred);
	set(o, "RegionLatency", latency_json(nr, 0));
	set(o, "RegionV4Latency", latency_json(nr, AF_WIRE_INET));
	set(o, "RegionV6Latency", latency_json(nr, AF_WIRE_INET6));
	set(o, "GlobalV4Counters", seen_json(nr, AF_WIRE_INET));
	set(o, "GlobalV6Counters", seen_json(nr, AF_WIRE_INET6));
	set_str(o, "GlobalV4", endpoint_text(&r->global4, addr,
	    sizeof(addr)));
	set_str(o, "GlobalV6", endpoint_text(&r->global6, addr,
	    sizeof(addr)));
	set(o, "CaptivePortal", tri_json(r->captive));
	return o;
}

static int
json_netcheck(const struct netreport *nr, const struct args *a)
{
	json_t	*o = report_json(nr);

	if (a->a_format == NULL || strcmp(a->a_format, "json-line") != 0) {
		print(o);
		return 0;
	}
	if (json_dumpf(o, stdout, JSON_COMPACT) == -1 ||
	    putchar('\n') == EOF)
		err(1, "stdout");
	json_decref(o);
	return 0;
}
