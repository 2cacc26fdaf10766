/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Answers of several rows, put together.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shoalctl.h"

struct collect {
	struct status		*c_st;
	struct msg_ctl_peerstat	*c_stats;
	size_t			 c_nstats;
};

static void	*grow(void *, size_t, size_t);
static void	 add_node(struct status *, struct imsg *);
static void	 add_user(struct status *, struct imsg *);
static void	 row_cb(struct imsg *, void *);
static int	 id_cmp(const void *, const void *);
static int	 peer_cmp(const void *, const void *);
static void	 join_stats(struct collect *);
static int	 collect(enum msg_type, const void *, size_t,
		    struct status *);

/* What comes from other nodes must not reach a terminal as it is. */
void
clean_text(char *s, size_t len)
{
	size_t	 i;

	s[len - 1] = '\0';
	for (i = 0; s[i] != '\0'; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = '?';
}

/* Room for one more of n elements; sizes go by powers of two. */
static void *
grow(void *v, size_t n, size_t size)
{
	if ((n & (n - 1)) == 0 &&
	    (v = reallocarray(v, n == 0 ? 1 : n * 2, size)) == NULL)
		err(1, NULL);
	return v;
}

static void
add_node(struct status *st, struct imsg *imsg)
{
	struct msg_ctl_node	*n;

	st->st_peers = grow(st->st_peers, st->st_npeers,
	    sizeof(*st->st_peers));
	memset(&st->st_peers[st->st_npeers], 0, sizeof(*st->st_peers));
	n = &st->st_peers[st->st_npeers++].p_node;
	conn_data(imsg, n, sizeof(*n));
	clean_text(n->stable, sizeof(n->stable));
	clean_text(n->name, sizeof(n->name));
	clean_text(n->hostname, sizeof(n->hostname));
	clean_text(n->os, sizeof(n->os));
	clean_text(n->tags, sizeof(n->tags));
	if (n->naddrs > nitems(n->addr))
		n->naddrs = nitems(n->addr);
	if (n->nroutes > nitems(n->route))
		n->nroutes = nitems(n->route);
	if (n->nallowed > nitems(n->allowed))
		n->nallowed = nitems(n->allowed);
}

static void
add_user(struct status *st, struct imsg *imsg)
{
	struct msg_ctl_user	*u;

	st->st_users = grow(st->st_users, st->st_nusers,
	    sizeof(*st->st_users));
	u = &st->st_users[st->st_nusers++];
	conn_data(imsg, u, sizeof(*u));
	clean_text(u->login, sizeof(u->login));
	clean_text(u->display, sizeof(u->display));
	clean_text(u->picture, sizeof(u->picture));
}

static void
add_health(struct status *st, struct imsg *imsg)
{
	struct msg_ctl_health	*h;

	st->st_health = grow(st->st_health, st->st_nhealth,
	    sizeof(*st->st_health));
	h = &st->st_health[st->st_nhealth++];
	conn_data(imsg, h, sizeof(*h));
	clean_text(h->id, sizeof(h->id));
	clean_text(h->title, sizeof(h->title));
	clean_text(h->text, sizeof(h->text));
	clean_text(h->severity, sizeof(h->severity));
	clean_text(h->url, sizeof(h->url));
	clean_text(h->label, sizeof(h->label));
}

static void
row_cb(struct imsg *imsg, void *arg)
{
	struct collect	*c = arg;
	struct status	*st = c->c_st;

	switch (imsg_get_type(imsg)) {
	case IMSG_CTL_STATE:
		conn_data(imsg, &st->st_state, sizeof(st->st_state));
		clean_text(st->st_state.c.url, sizeof(st->st_state.c.url));
		clean_text(st->st_state.c.error,
		    sizeof(st->st_state.c.error));
		clean_text(st->st_state.c.latest,
		    sizeof(st->st_state.c.latest));
		clean_text(st->st_state.version,
		    sizeof(st->st_state.version));
		clean_text(st->st_state.tun, sizeof(st->st_state.tun));
		break;
	case IMSG_CTL_TAILNET:
		conn_data(imsg, &st->st_tailnet, sizeof(st->st_tailnet));
		clean_text(st->st_tailnet.domain,
		    sizeof(st->st_tailnet.domain));
		clean_text(st->st_tailnet.suffix,
		    sizeof(st->st_tailnet.suffix));
		break;
	case IMSG_CTL_NODE:
		add_node(st, imsg);
		break;
	case IMSG_CTL_USER:
		add_user(st, imsg);
		break;
	case IMSG_CTL_HEALTH:
		add_health(st, imsg);
		break;
	case IMSG_CTL_PEERSTAT:
		c->c_stats = grow(c->c_stats, c->c_nstats,
		    sizeof(*c->c_stats));
		conn_data(imsg, &c->c_stats[c->c_nstats++],
		    sizeof(*c->c_stats));
		break;
	default:
		break;
	}
}

static int
id_cmp(const void *a, const void *b)
{
	const struct msg_ctl_peerstat	*x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* This node first, then by name. */
static int
peer_cmp(const void *a, const void *b)
{
	const struct msg_ctl_node	*x = &((const struct peer *)a)->p_node;
	const struct msg_ctl_node	*y = &((const struct peer *)b)->p_node;
	int				 c;

	if ((x->flags ^ y->flags) & NODE_SELF)
		return x->flags & NODE_SELF ? -1 : 1;
	if ((c = strcasecmp(x->name, y->name)) != 0)
		return c;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Rows of ctrld and of netd come in any order. */
static void
join_stats(struct collect *c)
{
	struct msg_ctl_peerstat	*s, key;
	struct peer		*p;
	size_t			 i;

	if (c->c_nstats == 0)
		return;
	qsort(c->c_stats, c->c_nstats, sizeof(*c->c_stats), id_cmp);
	for (i = 0; i < c->c_st->st_npeers; i++) {
		p = &c->c_st->st_peers[i];
		key.id = p->p_node.id;
		s = bsearch(&key, c->c_stats, c->c_nstats, sizeof(key),
		    id_cmp);
		if (s != NULL)
			p->p_stat = *s;
	}
}

static int
collect(enum msg_type type, const void *data, size_t len, struct status *st)
{
	struct collect	 c;
	int		 status;

	memset(st, 0, sizeof(*st));
	memset(&c, 0, sizeof(c));
	c.c_st = st;
	status = conn_ask(type, data, len, row_cb, &c);
	join_stats(&c);
	free(c.c_stats);
	if (st->st_npeers > 0)
		qsort(st->st_peers, st->st_npeers, sizeof(*st->st_peers),
		    peer_cmp);
	return status;
}

int
status_get(struct status *st)
{
	return collect(IMSG_CTL_STATUS, NULL, 0, st);
}

int
whois_get(const char *what, struct status *st)
{
	struct msg_resolve	 m;

	memset(st, 0, sizeof(*st));
	memset(&m, 0, sizeof(m));
	if (strlcpy(m.name, what, sizeof(m.name)) >= sizeof(m.name)) {
		warnx("%s: name is too long", what);
		return 1;
	}
	return collect(IMSG_CTL_WHOIS, &m, sizeof(m), st);
}

void
status_free(struct status *st)
{
	free(st->st_peers);
	free(st->st_users);
	free(st->st_health);
	memset(st, 0, sizeof(*st));
}

const struct peer *
status_self(const struct status *st)
{
	if (st->st_npeers == 0 || !(st->st_peers[0].p_node.flags & NODE_SELF))
		return NULL;
	return &st->st_peers[0];
}

const struct msg_ctl_user *
status_user(const struct status *st, uint64_t id)
{
	size_t	 i;

	for (i = 0; i < st->st_nusers; i++)
		if (st->st_users[i].id == id)
			return &st->st_users[i];
	return NULL;
}

const char *
state_name(uint32_t state)
{
	static const char	*names[] = {
		"NoState", "NeedsLogin", "NeedsMachineAuth", "Stopped",
		"Starting", "Running"
	};

	return state < nitems(names) ? names[state] : "NoState";
}

char *
ip_text(const struct msg_ip *ip, char *buf, size_t len)
{
	if (inet_ntop(ip->af == AF_WIRE_INET ? AF_INET : AF_INET6, ip->addr,
	    buf, (socklen_t)len) == NULL)
		buf[0] = '\0';
	return buf;
}

char *
prefix_text(const struct msg_prefix *p, char *buf, size_t len)
{
	char	 addr[ADDR_LEN];

	if (inet_ntop(p->af == AF_WIRE_INET ? AF_INET : AF_INET6, p->addr,
	    addr, sizeof(addr)) == NULL)
		addr[0] = '\0';
	(void)snprintf(buf, len, "%s/%u", addr, p->plen);
	return buf;
}

char *
endpoint_text(const struct msg_endpoint *e, char *buf, size_t len)
{
	char	 addr[ADDR_LEN];

	buf[0] = '\0';
	if (e->af == 0 || inet_ntop(e->af == AF_WIRE_INET ? AF_INET :
	    AF_INET6, e->addr, addr, sizeof(addr)) == NULL)
		return buf;
	(void)snprintf(buf, len, e->af == AF_WIRE_INET ? "%s:%u" : "[%s]:%u",
	    addr, e->port);
	return buf;
}

char *
short_name(const struct msg_ctl_node *n, char *buf, size_t len)
{
	(void)strlcpy(buf, n->name[0] != '\0' ? n->name : n->hostname, len);
	buf[strcspn(buf, ".")] = '\0';
	return buf;
}
