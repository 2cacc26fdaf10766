/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What operators ask of the netmap, forwarded by the parent.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"
#include "maprequest.h"
#include "proc.h"

static void
answer(enum msg_type type, uint32_t id, const void *data, size_t len)
{
	(void)chan_compose(proc_parent(), type, id, -1, data, len);
}

static void
answer_fail(uint32_t id, const char *text)
{
	struct msg_ctl_fail	 m;

	memset(&m, 0, sizeof(m));
	m.code = 1;
	(void)strlcpy(m.text, text, sizeof(m.text));
	answer(IMSG_CTL_FAIL, id, &m, sizeof(m));
}

static int64_t
time_ns(const struct ju_time *t)
{
	if (!t->jt_set || t->jt_sec <= 0 ||
	    t->jt_sec > INT64_MAX / NS_PER_S - 1)
		return 0;
	return t->jt_sec * NS_PER_S + t->jt_nsec;
}

/* Hostname and OS of the Hostinfo that was passed through. */
static void
node_host(const struct nm_node *n, struct msg_ctl_node *m)
{
	const char	*const names[] = { "Hostname", "OS" };
	json_t		*j, *v[2];

	if (n->n_hostinfo == NULL ||
	    (j = ju_load(n->n_hostinfo, strlen(n->n_hostinfo))) == NULL)
		return;
	if (ju_fields(j, names, 2, v) == 0) {
		if (json_is_string(v[0]))
			(void)strlcpy(m->hostname, json_string_value(v[0]),
			    sizeof(m->hostname));
		if (json_is_string(v[1]))
			(void)strlcpy(m->os, json_string_value(v[1]),
			    sizeof(m->os));
	}
	json_decref(j);
}

static void
node_tags(const struct nm_node *n, struct msg_ctl_node *m)
{
	uint32_t	 i;

	for (i = 0; i < n->n_ntags; i++) {
		if (i > 0)
			(void)strlcat(m->tags, ",", sizeof(m->tags));
		(void)strlcat(m->tags, n->n_tags[i], sizeof(m->tags));
	}
}

static void
node_prefixes(const struct nm_node *n, struct msg_ctl_node *m)
{
	uint32_t	 i;

	for (i = 0; i < n->n_naddrs && m->naddrs < nitems(m->addr); i++)
		ip_wire(n->n_addrs[i].np_version, n->n_addrs[i].np_addr,
		    &m->addr[m->naddrs++]);
	for (i = 0; i < n->n_nprimary && m->nroutes < nitems(m->route); i++)
		prefix_wire(&n->n_primary[i], &m->route[m->nroutes++]);
	for (i = 0; i < n->n_nallowed && m->nallowed < nitems(m->allowed);
	    i++)
		prefix_wire(&n->n_allowed[i], &m->allowed[m->nallowed++]);
	for (i = 0; i < n->n_nallowed; i++)
		if (n->n_allowed[i].np_plen == 0)
			m->flags |= NODE_EXITNODE;
}

static void
answer_node(uint32_t id, const struct nm_node *n, int self)
{
	struct msg_ctl_node	 m;

	memset(&m, 0, sizeof(m));
	m.id = n->n_id;
	m.user = n->n_user;
	memcpy(m.key, n->n_key, sizeof(m.key));
	memcpy(m.disco, n->n_disco, sizeof(m.disco));
	if (n->n_stableid != NULL)
		(void)strlcpy(m.stable, n->n_stableid, sizeof(m.stable));
	if (n->n_name != NULL)
		(void)strlcpy(m.name, n->n_name, sizeof(m.name));
	m.created = time_ns(&n->n_created);
	m.last_seen = time_ns(&n->n_lastseen);
	m.expiry = time_ns(&n->n_keyexpiry);
	m.flags = (self ? NODE_SELF : 0) |
	    ((self ? poll_online() : n->n_online == 1) ? NODE_ONLINE : 0) |
	    (node_expired(n) ? NODE_EXPIRED : 0) |
	    (n->n_wgonly ? NODE_WGONLY : 0) |
	    (n->n_sharer != 0 ? NODE_SHARED : 0);
	m.derp = self && netinfo_now() != NULL ? netinfo_now()->ni_derp :
	    n->n_homederp;
	derp_code(map_now(), m.derp, m.region, sizeof(m.region));
	m.cap = n->n_cap < UINT16_MAX ? n->n_cap : UINT16_MAX;
	node_host(n, &m);
	node_tags(n, &m);
	node_prefixes(n, &m);
	/* What strangers chose lands on terminals. */
	text_plain(m.stable);
	text_plain(m.name);
	text_plain(m.hostname);
	text_plain(m.os);
	text_plain(m.tags);
	answer(IMSG_CTL_NODE, id, &m, sizeof(m));
}

static void
answer_user(uint32_t id, const struct nm_profile *p)
{
	struct msg_ctl_user	 m;

	memset(&m, 0, sizeof(m));
	m.id = p->p_id;
	if (p->p_login != NULL)
		(void)strlcpy(m.login, p->p_login, sizeof(m.login));
	if (p->p_display != NULL)
		(void)strlcpy(m.display, p->p_display, sizeof(m.display));
	if (p->p_picture != NULL)
		(void)strlcpy(m.picture, p->p_picture, sizeof(m.picture));
	text_plain(m.login);
	text_plain(m.display);
	text_plain(m.picture);
	answer(IMSG_CTL_USER, id, &m, sizeof(m));
}

static void
answer_tailnet(uint32_t id, struct netmap *nm)
{
	struct msg_ctl_tailnet	 m;
	const char		*name = "Proxied";
	json_t			*v;

	memset(&m, 0, sizeof(m));
	if (nm->nm_domain != NULL)
		(void)strlcpy(m.domain, nm->nm_domain, sizeof(m.domain));
	netmap_suffix(nm, m.suffix, sizeof(m.suffix));
	text_plain(m.domain);
	text_plain(m.suffix);
	v = NULL;
	(void)ju_fields(nm->nm_dns, &name, 1, &v);
	m.magicdns = json_is_true(v);
	answer(IMSG_CTL_TAILNET, id, &m, sizeof(m));
}

static void
answer_status(uint32_t id)
{
	struct nm_profile	*p;
	struct netmap		*nm;
	struct nm_node		*n;

	if ((nm = map_now()) != NULL) {
		answer_tailnet(id, nm);
		answer_node(id, nm->nm_self, 1);
		RB_FOREACH(n, nm_tree, &nm->nm_peers)
			answer_node(id, n, 0);
		RB_FOREACH(p, nm_profiles, &nm->nm_profiles)
			answer_user(id, p);
	}
	health_answer(id);
	answer(IMSG_CTL_END, id, NULL, 0);
}

/* --- whois --- */

/* The whole name, or its first label where that is of our tailnet. */
static int
name_matches(const struct nm_node *n, const char *name)
{
	char	 buf[NM_MAX_NAME];
	size_t	 len;

	if (n->n_computed != NULL && strcasecmp(n->n_computed, name) == 0)
		return 1;
	if (n->n_stableid != NULL && strcmp(n->n_stableid, name) == 0)
		return 1;
	if (n->n_name == NULL)
		return 0;
	len = strlcpy(buf, n->n_name, sizeof(buf));
	if (len > 0 && len < sizeof(buf) && buf[len - 1] == '.')
		buf[len - 1] = '\0';
	return strcasecmp(buf, name) == 0;
}

static int
node_matches(const struct nm_node *n, const char *what,
    const struct nm_addr *addr)
{
	char		 key[JU_KEYTEXT];
	uint32_t	 i;

	if (addr->na_version == 0)
		return name_matches(n, what) || strcmp(ju_key_text("nodekey:",
		    n->n_key, key, sizeof(key)), what) == 0;
	for (i = 0; i < n->n_naddrs; i++)
		if (n->n_addrs[i].np_version == addr->na_version &&
		    memcmp(n->n_addrs[i].np_addr, addr->na_addr, 16) == 0)
			return 1;
	return 0;
}

static void
answer_found(uint32_t id, struct netmap *nm, const struct nm_node *n)
{
	struct nm_profile	*p;

	answer_node(id, n, n == nm->nm_self);
	if ((p = netmap_profile(nm, n->n_user)) != NULL)
		answer_user(id, p);
	answer(IMSG_CTL_END, id, NULL, 0);
}

static void
answer_whois(uint32_t id, char *what)
{
	struct nm_addr	 addr;
	struct netmap	*nm;
	struct nm_node	*n;
	size_t		 len;

	len = strlen(what);
	if (len > 0 && what[len - 1] == '.')
		what[len - 1] = '\0';
	if (nm_addr_parse(what, &addr) == -1)
		memset(&addr, 0, sizeof(addr));
	if ((nm = map_now()) == NULL) {
		answer_fail(id, "no network map yet");
		return;
	}
	if (node_matches(nm->nm_self, what, &addr)) {
		answer_found(id, nm, nm->nm_self);
		return;
	}
	RB_FOREACH(n, nm_tree, &nm->nm_peers)
		if (node_matches(n, what, &addr)) {
			answer_found(id, nm, n);
			return;
		}
	answer_fail(id, "no such node");
}

/* --- debug --- */

static void
answer_text(uint32_t id, const char *fmt, long long value)
{
	char	 buf[MSG_TEXT_LEN];

	(void)snprintf(buf, sizeof(buf), fmt, value);
	answer(IMSG_CTL_TEXT, id, buf, strlen(buf) + 1);
}

static void
answer_debug(uint32_t id, const char *what)
{
	struct netmap	*nm;

	/* The parent has chosen this process by its name. */
	if (*what != '\0' && strcmp(what, "netmap") != 0 &&
	    strcmp(what, "ctrld") != 0) {
		answer_fail(id, "ctrld tells of: ctrld, netmap");
		return;
	}
	nm = map_now();
	answer_text(id, "capability version %lld", CTRLD_CAPVER);
	answer_text(id, "session %lld", control_session() != NULL);
	answer_text(id, "map stream %lld", poll_online());
	answer_text(id, "peers %lld", nm == NULL ? 0 : nm->nm_npeers);
	answer_text(id, "profiles %lld", nm == NULL ? 0 : nm->nm_nprofiles);
	answer_text(id, "clock skew %lld ns", map_skew());
	answer(IMSG_CTL_END, id, NULL, 0);
}

int
answer_msg(struct imsg *imsg)
{
	struct msg_resolve	 q;
	struct msg_str64	 s;

	switch (imsg_get_type(imsg)) {
	case IMSG_CTL_STATUS:
		answer_status(imsg_get_id(imsg));
		return 0;
	case IMSG_CTL_WHOIS:
		if (msg_get(imsg, &q, sizeof(q)) == -1 ||
		    !msg_str_ok(q.name, sizeof(q.name)))
			return -1;
		answer_whois(imsg_get_id(imsg), q.name);
		return 0;
	case IMSG_CTL_DEBUG:
		if (msg_get(imsg, &s, sizeof(s)) == -1 ||
		    !msg_str_ok(s.s, sizeof(s.s)))
			return -1;
		answer_debug(imsg_get_id(imsg), s.s);
		return 0;
	default:
		return -1;
	}
}
