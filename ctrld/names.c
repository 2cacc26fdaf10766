/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Names to dnsd: hosts of the tailnet, and resolvers by suffix.
 */

#include <sys/types.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"

/* Under which name dnsd knows a peer: it may be renamed or removed. */
struct told {
	RB_ENTRY(told)	 t_entry;
	int64_t		 t_id;
	char		*t_name;
};
RB_HEAD(toldtree, told);

static int
told_cmp(struct told *a, struct told *b)
{
	return (a->t_id > b->t_id) - (a->t_id < b->t_id);
}

RB_PROTOTYPE(toldtree, told, t_entry, told_cmp)
RB_GENERATE(toldtree, told, t_entry, told_cmp)

static struct toldtree	 told = RB_INITIALIZER(&told);
static uint32_t		 seq;

static struct told *
told_find(int64_t id)
{
	struct told	 key;

	key.t_id = id;
	return RB_FIND(toldtree, &told, &key);
}

static void
told_forget(struct told *t)
{
	RB_REMOVE(toldtree, &told, t);
	free(t->t_name);
	free(t);
}

static void
told_set(int64_t id, const char *name)
{
	struct told	*t;

	if ((t = told_find(id)) == NULL) {
		if ((t = calloc(1, sizeof(*t))) == NULL)
			fatal(NULL);
		t->t_id = id;
		RB_INSERT(toldtree, &told, t);
	}
	free(t->t_name);
	if ((t->t_name = strdup(name)) == NULL)
		fatal(NULL);
}

static void
send_begin(int full)
{
	struct msg_nm_begin	 m;

	memset(&m, 0, sizeof(m));
	m.full = full;
	m.seq = ++seq;
	(void)chan_compose(ctrld_dnsd(), IMSG_DNS_BEGIN, 0, -1, &m,
	    sizeof(m));
}

static void
send_commit(void)
{
	(void)chan_compose(ctrld_dnsd(), IMSG_DNS_COMMIT, 0, -1, NULL, 0);
}

/* Lower case, no final dot. */
static void
name_wire(const char *name, char *buf, size_t size)
{
	size_t	 i, len;

	len = strlcpy(buf, name, size);
	if (len >= size)
		len = size - 1;
	while (len > 0 && buf[len - 1] == '.')
		buf[--len] = '\0';
	for (i = 0; i < len; i++)
		buf[i] = tolower((unsigned char)buf[i]);
}

static void
send_host_del(const char *name)
{
	struct msg_dns_host	 m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.name, name, sizeof(m.name));
	(void)chan_compose(ctrld_dnsd(), IMSG_DNS_HOST, 0, -1, &m,
	    sizeof(m));
}

static void
send_node(const struct nm_node *n)
{
	struct msg_dns_host	 m;
	struct told		*t;
	uint32_t		 i;

	memset(&m, 0, sizeof(m));
	if (n->n_name != NULL)
		name_wire(n->n_name, m.name, sizeof(m.name));
	for (i = 0; i < n->n_naddrs && m.n < nitems(m.ip); i++)
		ip_wire(n->n_addrs[i].np_version, n->n_addrs[i].np_addr,
		    &m.ip[m.n++]);
	t = told_find(n->n_id);
	if (t != NULL && (m.n == 0 || strcmp(t->t_name, m.name) != 0)) {
		send_host_del(t->t_name);
		told_forget(t);
	}
	if (m.name[0] == '\0' || m.n == 0)
		return;
	(void)chan_compose(ctrld_dnsd(), IMSG_DNS_HOST, 0, -1, &m,
	    sizeof(m));
	told_set(n->n_id, m.name);
}

/* --- DNSConfig --- */

static const char *
str_field(json_t *obj, const char *name)
{
	json_t	*v;

	if (ju_fields(obj, &name, 1, &v) == -1 || !json_is_string(v) ||
	    strlen(json_string_value(v)) != json_string_length(v))
		return NULL;
	return json_string_value(v);
}

static json_t *
field(json_t *obj, const char *name)
{
	json_t	*v;

	if (obj == NULL || ju_fields(obj, &name, 1, &v) == -1)
		return NULL;
	return v;
}

/* "1.2.3.4", "1.2.3.4:5353" or "[v6]:5353"; DoH is not done yet. */
static int
resolver_parse(const char *s, struct msg_endpoint *ep)
{
	struct nm_endpoint	 e;
	struct nm_addr		 a;

	memset(ep, 0, sizeof(*ep));
	if (nm_addr_parse(s, &a) == 0) {
		e.ne_version = a.na_version;
		e.ne_port = 53;
		memcpy(e.ne_addr, a.na_addr, sizeof(e.ne_addr));
	} else if (nm_endpoint_parse(s, &e) == -1)
		return -1;
	ep->af = e.ne_version;
	ep->port = e.ne_port;
	memcpy(ep->addr, e.ne_addr, ep->af == AF_WIRE_INET ? 4 : 16);
	return 0;
}

static void
send_route(const char *suffix, json_t *resolvers)
{
	struct msg_dns_route	 m;
	const char		*addr;
	json_t			*e;
	size_t			 i;

	memset(&m, 0, sizeof(m));
	name_wire(suffix, m.suffix, sizeof(m.suffix));
	json_array_foreach(resolvers, i, e) {
		if (m.n == nitems(m.ep) ||
		    (addr = str_field(e, "Addr")) == NULL)
			continue;
		if (resolver_parse(addr, &m.ep[m.n]) == 0)
			m.n++;
	}
	/* Named, but none that is understood: no route is better. */
	if (json_array_size(resolvers) > 0 && m.n == 0)
		return;
	(void)chan_compose(ctrld_dnsd(), IMSG_DNS_ROUTE, 0, -1, &m,
	    sizeof(m));
}

static void
send_record(json_t *rec)
{
	struct msg_dns_host	 m;
	struct nm_addr		 a;
	const char		*name, *type, *value;

	name = str_field(rec, "Name");
	type = str_field(rec, "Type");
	value = str_field(rec, "Value");
	if (name == NULL || value == NULL ||
	    nm_addr_parse(value, &a) == -1 ||
	    (type != NULL && *type != '\0' &&
	    strcmp(type, a.na_version == 4 ? "A" : "AAAA") != 0))
		return;
	memset(&m, 0, sizeof(m));
	name_wire(name, m.name, sizeof(m.name));
	m.n = 1;
	ip_wire(a.na_version, a.na_addr, &m.ip[0]);
	if (m.name[0] != '\0')
		(void)chan_compose(ctrld_dnsd(), IMSG_DNS_HOST, 0, -1, &m,
		    sizeof(m));
}

static void
send_config(json_t *dns)
{
	const char	*suffix;
	json_t		*e, *v;
	size_t		 i;

	json_array_foreach(field(dns, "ExtraRecords"), i, e)
		send_record(e);
	if (!ctrld_conf()->c_msg.accept_dns)
		return;
	v = field(dns, "Resolvers");
	if (json_array_size(v) > 0)
		send_route("", v);
	v = field(dns, "Routes");
	if (v != NULL)
		json_object_foreach(v, suffix, e)
			if (*suffix != '\0')
				send_route(suffix, e);
}

static void
send_suffix(struct netmap *nm)
{
	struct msg_resolve	 m;
	char			 suffix[NM_MAX_NAME];

	memset(&m, 0, sizeof(m));
	name_wire(netmap_suffix(nm, suffix, sizeof(suffix)), m.name,
	    sizeof(m.name));
	(void)chan_compose(ctrld_dnsd(), IMSG_DNS_SUFFIX, 0, -1, &m,
	    sizeof(m));
}

void
names_full(struct netmap *nm)
{
	struct told	*next, *t;
	struct nm_node	*n;

	RB_FOREACH_SAFE(t, toldtree, &told, next)
		told_forget(t);
	send_begin(1);
	if (nm != NULL) {
		send_suffix(nm);
		send_node(nm->nm_self);
		RB_FOREACH(n, nm_tree, &nm->nm_peers)
			send_node(n);
		send_config(nm->nm_dns);
	}
	send_commit();
}

static int
delta_matters(const struct nm_delta *d)
{
	uint32_t	 i;

	if (d->nd_nremoved > 0)
		return 1;
	for (i = 0; i < d->nd_nchanged; i++)
		if (d->nd_changed[i].dc_what & (NM_PC_NEW | NM_PC_NAME))
			return 1;
	return 0;
}

void
names_delta(struct netmap *nm, const struct nm_delta *d)
{
	struct nm_node	*n;
	struct told	*t;
	uint32_t	 i;

	if (d->nd_flags & (NM_CH_DNS | NM_CH_SELF)) {
		names_full(nm);
		return;
	}
	if (!delta_matters(d))
		return;
	send_begin(0);
	for (i = 0; i < d->nd_nremoved; i++) {
		if ((t = told_find(d->nd_removed[i].dr_id)) == NULL)
			continue;
		send_host_del(t->t_name);
		told_forget(t);
	}
	for (i = 0; i < d->nd_nchanged; i++)
		if (d->nd_changed[i].dc_what & (NM_PC_NEW | NM_PC_NAME) &&
		    (n = netmap_peer(nm, d->nd_changed[i].dc_id)) != NULL)
			send_node(n);
	send_commit();
}
