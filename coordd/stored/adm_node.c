/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Administrators' verbs about nodes.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "jsonutil.h"
#include "keys.h"
#include "stored.h"

static const char *const keys_node[] = { "node", NULL };

struct node *
adm_node_of(struct adm *a, const char *text)
{
	struct policy_prefix	 p;
	struct brain		*b = a->a_brain;
	struct node		*n = NULL;
	const char		*errstr;
	char			 label[NODE_LABEL_MAX];
	uint64_t		 id;

	id = (uint64_t)strtonum(text, 1, INT64_MAX, &errstr);
	if (errstr == NULL)
		n = node_find(b, id);
	else if (policy_prefix_parse(text, &p) == 0)
		n = node_find_addr(b, &p);
	else {
		/* The label alone, or with the domain behind it. */
		(void)strlcpy(label, text, sizeof(label));
		label[strcspn(label, ".")] = '\0';
		n = node_find_label(b, label);
	}
	if (n == NULL)
		(void)adm_fail(a, 1, "no node %.100s", text);
	return n;
}

struct node *
adm_node(struct adm *a)
{
	const char	*text;

	if ((text = adm_arg(a, "node")) != NULL)
		return adm_node_of(a, text);
	(void)adm_fail(a, 2, "which node?");
	return NULL;
}

static void
row_bool(struct buf *t, const char *name, int v)
{
	buf_name(t, name);
	buf_str(t, v ? "true" : "false");
}

static void
row_addrs(struct buf *t, const struct noderec *r)
{
	char	 text[ADDR_TEXT];

	buf_name(t, "addresses");
	buf_str(t, "[");
	if (r->r_has4) {
		addr_print4(r->r_addr4, text, sizeof(text));
		buf_json(t, text);
	}
	if (r->r_has6) {
		addr_print6(r->r_addr6, text, sizeof(text));
		if (r->r_has4)
			buf_str(t, ",");
		buf_json(t, text);
	}
	buf_str(t, "]");
}

static void
row_key(struct buf *t, const char *name, const char *prefix,
    const uint8_t *key)
{
	char	 text[JU_KEYTEXT];

	buf_name(t, name);
	if (key_is_zero(key, MSG_KEY_LEN))
		buf_str(t, "null");
	else
		buf_json(t, ju_key_text(prefix, key, text, sizeof(text)));
}

static void
row_more(struct buf *t, const struct node *n)
{
	const struct noderec	*r = &n->n_rec;
	char			 text[ADDR_TEXT];
	size_t			 i;

	row_key(t, "key", "nodekey:", r->r_key);
	row_key(t, "machine", "mkey:", r->r_machine);
	row_key(t, "disco", "discokey:", r->r_disco);
	buf_name(t, "endpoints");
	buf_str(t, "[");
	for (i = 0; i < r->r_nendpoints; i++) {
		endpoint_print(&r->r_endpoints[i], text, sizeof(text));
		if (i > 0)
			buf_str(t, ",");
		buf_json(t, text);
	}
	buf_str(t, "]");
	route_list(t, "routes", n->n_announced, n->n_nannounced);
	route_list(t, "approved_routes", r->r_approved_routes,
	    r->r_napproved);
	buf_date(t, "created", r->r_created);
	buf_name(t, "hostname");
	buf_json(t, r->r_hostname);
	buf_name(t, "derp");
	buf_fmt(t, "%u", r->r_derp);
}

void
adm_node_row(struct adm *a, struct node *n, int more)
{
	const struct noderec	*r = &n->n_rec;
	struct buf		 t = { NULL, 0, 0 };
	struct user		*u;
	json_t			*info = NULL;

	if (r->r_hostinfo != NULL)
		info = ju_load(r->r_hostinfo, strlen(r->r_hostinfo));
	buf_fmt(&t, "{\"id\":%llu,\"name\":\"%s\",\"user\":",
	    (unsigned long long)r->r_id, r->r_label);
	if ((u = user_find(a->a_brain, r->r_user)) != NULL)
		buf_json(&t, u->u_name);
	else
		buf_str(&t, "null");
	buf_strs(&t, "tags", r->r_tags, r->r_ntags);
	row_addrs(&t, r);
	row_bool(&t, "online", r->r_online);
	buf_date(&t, "last_seen", r->r_last_seen);
	buf_date(&t, "expiry", r->r_expiry);
	row_bool(&t, "expired", node_is_expired(a->a_brain, n));
	row_bool(&t, "approved", r->r_approved);
	row_bool(&t, "ephemeral", r->r_ephemeral);
	row_bool(&t, "wireguard", r->r_wgonly);
	buf_name(&t, "version");
	buf_json(&t, hostinfo_string(info, "IPNVersion"));
	buf_name(&t, "os");
	buf_json(&t, hostinfo_string(info, "OS"));
	if (more) {
		row_more(&t, n);
		buf_name(&t, "attributes");
		call_attributes(a->a_brain, &t, r->r_id);
	}
	buf_str(&t, "}");
	json_decref(info);
	adm_row(a, &t);
}

int
adm_node_list(struct adm *a)
{
	static const char *const none[] = { NULL };
	struct node		*n;

	if (adm_only(a, none) == -1)
		return -1;
	RB_FOREACH(n, nodes_id, &a->a_brain->b_nodes)
		adm_node_row(a, n, 0);
	return 0;
}

int
adm_node_show(struct adm *a)
{
	struct node	*n;

	if (adm_only(a, keys_node) == -1 || (n = adm_node(a)) == NULL)
		return -1;
	adm_node_row(a, n, 1);
	return 0;
}

/* Write a record and show the node. */
static int
node_store(struct adm *a, struct node *n, struct noderec *r,
    const char *action)
{
	if (node_put(a->a_brain, n, r, a->a_actor, action) == -1) {
		noderec_free(r);
		return adm_fail(a, 1, "store: %s",
		    store_error(a->a_brain->b_store));
	}
	adm_node_row(a, n, 1);
	return 0;
}

static int
approve_login(struct adm *a, struct pending *p)
{
	struct user	*u;
	struct node	*n;

	if ((u = adm_user(a)) == NULL)
		return -1;
	n = register_approve(a->a_brain, p, u, a->a_err, sizeof(a->a_err));
	if (n == NULL) {
		a->a_code = 1;
		return -1;
	}
	adm_node_row(a, n, 1);
	return 0;
}

int
adm_node_approve(struct adm *a)
{
	static const char *const keys[] = { "node", "user", NULL };
	struct pending		*p;
	struct noderec		 r;
	struct node		*n;

	if (adm_only(a, keys) == -1)
		return -1;
	if (adm_arg(a, "node") == NULL)
		return adm_fail(a, 2, "which node?");
	if ((p = pending_find(a->a_brain, adm_arg(a, "node"))) != NULL)
		return approve_login(a, p);
	if (adm_arg(a, "user") != NULL)
		return adm_fail(a, 1, "no login waits under that ID:"
		    " it may be older than 15 minutes");
	if ((n = adm_node(a)) == NULL)
		return -1;
	noderec_copy(&r, &n->n_rec);
	r.r_approved = 1;
	return node_store(a, n, &r, "node approve");
}

int
adm_node_rename(struct adm *a)
{
	static const char *const keys[] = { "node", "name", NULL };
	struct noderec		 r;
	struct node		*n, *other;
	const char		*name;

	if (adm_only(a, keys) == -1 || (n = adm_node(a)) == NULL)
		return -1;
	if ((name = adm_arg(a, "name")) == NULL || !name_valid(name))
		return adm_fail(a, 2, "a name is at most 63 of a-z, 0-9"
		    " and -, not all digits");
	other = node_find_label(a->a_brain, name);
	if (other != NULL && other != n)
		return adm_fail(a, 1, "%s is the name of node %llu", name,
		    (unsigned long long)other->n_rec.r_id);
	noderec_copy(&r, &n->n_rec);
	(void)strlcpy(r.r_label, name, sizeof(r.r_label));
	r.r_given = 1;
	return node_store(a, n, &r, "node rename");
}

int
tag_check(struct brain *b, const char *tag, char *err, size_t errlen)
{
	if (strncmp(tag, "tag:", 4) != 0 || tag[4] == '\0') {
		(void)snprintf(err, errlen, "%.100s: a tag begins with tag:",
		    tag);
		return -1;
	}
	if (b->b_policy == NULL || !policy_tag_exists(b->b_policy, tag)) {
		(void)snprintf(err, errlen,
		    "%.100s: not in tagOwners of the policy", tag);
		return -1;
	}
	return 0;
}

/* A tagged node is nobody's, and its key does not expire. */
int
adm_node_tag(struct adm *a)
{
	static const char *const keys[] = { "node", "tag", NULL };
	struct noderec		 r;
	struct node		*n;
	char			*tags[NODE_MAX_TAGS];
	size_t			 i, ntags;

	if (adm_only(a, keys) == -1 || (n = adm_node(a)) == NULL)
		return -1;
	ntags = adm_args(a, "tag", tags, NODE_MAX_TAGS);
	if (ntags == 0 || ntags > NODE_MAX_TAGS)
		return adm_fail(a, 2, "one to %d tags are needed",
		    NODE_MAX_TAGS);
	for (i = 0; i < ntags; i++)
		if (tag_check(a->a_brain, tags[i], a->a_err,
		    sizeof(a->a_err)) == -1) {
			a->a_code = 1;
			return -1;
		}
	noderec_copy(&r, &n->n_rec);
	noderec_set_tags(&r, tags, ntags);
	r.r_user = 0;
	if (!node_is_expired(a->a_brain, n))
		r.r_expiry = 0;
	return node_store(a, n, &r, "node tag");
}

int
adm_node_expire(struct adm *a)
{
	struct noderec	 r;
	struct node	*n;

	if (adm_only(a, keys_node) == -1 || (n = adm_node(a)) == NULL)
		return -1;
	noderec_copy(&r, &n->n_rec);
	if (!node_is_expired(a->a_brain, n))
		r.r_expiry = a->a_brain->b_date;
	return node_store(a, n, &r, "node expire");
}

int
adm_node_delete(struct adm *a)
{
	struct node	*n;

	if (adm_only(a, keys_node) == -1 || (n = adm_node(a)) == NULL)
		return -1;
	if (node_delete(a->a_brain, n, a->a_actor, "node delete") == -1)
		return adm_fail(a, 1, "store: %s",
		    store_error(a->a_brain->b_store));
	return 0;
}

/* The prefixes of an argument; -1: failed. */
static ssize_t
prefix_args(struct adm *a, const char *key, struct policy_prefix *out)
{
	char	*args[NODE_MAX_ROUTES];
	size_t	 i, n;

	n = adm_args(a, key, args, NODE_MAX_ROUTES);
	if (n == 0 || n > NODE_MAX_ROUTES)
		return adm_fail(a, 2, "one to %d prefixes are needed",
		    NODE_MAX_ROUTES);
	memset(out, 0, n * sizeof(*out));
	for (i = 0; i < n; i++)
		if (policy_prefix_parse(args[i], &out[i]) == -1)
			return adm_fail(a, 2, "%.60s: not a prefix",
			    args[i]);
	return (ssize_t)n;
}

static size_t
prefixes_without(const struct noderec *r, const struct policy_prefix *list,
    size_t n, struct policy_prefix *out)
{
	size_t	 i, j, k = 0;

	for (i = 0; i < r->r_napproved; i++) {
		for (j = 0; j < n; j++)
			if (route_cmp(&r->r_approved_routes[i],
			    &list[j]) == 0)
				break;
		if (j == n)
			out[k++] = r->r_approved_routes[i];
	}
	return k;
}

static int
routes_store(struct adm *a, struct node *n, struct noderec *r)
{
	struct buf	 t = { NULL, 0, 0 };

	if (node_put(a->a_brain, n, r, a->a_actor, "node routes") == -1) {
		noderec_free(r);
		return adm_fail(a, 1, "store: %s",
		    store_error(a->a_brain->b_store));
	}
	buf_fmt(&t, "{\"id\":%llu,\"name\":\"%s\"",
	    (unsigned long long)n->n_rec.r_id, n->n_rec.r_label);
	route_list(&t, "routes", n->n_announced, n->n_nannounced);
	route_list(&t, "approved_routes", n->n_rec.r_approved_routes,
	    n->n_rec.r_napproved);
	buf_str(&t, "}");
	adm_row(a, &t);
	return 0;
}

int
adm_node_routes(struct adm *a)
{
	static const char *const keys[] = { "node", "verb", "route", NULL };
	struct policy_prefix	 list[NODE_MAX_ROUTES];
	struct policy_prefix	 all[2 * NODE_MAX_ROUTES];
	struct noderec		 r;
	struct node		*n;
	const char		*verb;
	ssize_t			 nlist;
	size_t			 k;

	if (adm_only(a, keys) == -1 || (n = adm_node(a)) == NULL)
		return -1;
	verb = adm_arg(a, "verb");
	if (verb == NULL || (strcmp(verb, "approve") != 0 &&
	    strcmp(verb, "revoke") != 0))
		return adm_fail(a, 2, "approve or revoke?");
	if ((nlist = prefix_args(a, "route", list)) == -1)
		return -1;
	k = prefixes_without(&n->n_rec, list, (size_t)nlist, all);
	if (strcmp(verb, "approve") == 0) {
		memcpy(all + k, list, (size_t)nlist * sizeof(*list));
		k += (size_t)nlist;
	}
	if (k > NODE_MAX_ROUTES)
		return adm_fail(a, 1, "more than %d routes",
		    NODE_MAX_ROUTES);
	noderec_copy(&r, &n->n_rec);
	noderec_set_routes(&r, all, k);
	return routes_store(a, n, &r);
}

/* Base64 as wg(8) prints it, or nodekey:hex. */
static int
wireguard_key(struct adm *a, uint8_t key[MSG_KEY_LEN])
{
	const char	*text, *end;
	size_t		 len;

	if ((text = adm_arg(a, "key")) == NULL)
		return adm_fail(a, 2, "a public key is needed");
	if (key_parse(KEY_NODE, text, strlen(text), key) == 0 &&
	    !key_is_zero(key, MSG_KEY_LEN))
		return 0;
	if (sodium_base642bin(key, MSG_KEY_LEN, text, strlen(text), NULL,
	    &len, &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	    len == MSG_KEY_LEN && *end == '\0' &&
	    !key_is_zero(key, MSG_KEY_LEN))
		return 0;
	return adm_fail(a, 2, "not a public key of WireGuard");
}

/*
 * What is allowed of it: a single address of the tailnet becomes its own,
 * anything else is a route behind it. Families without one get an address
 * as every node does.
 */
static int
wireguard_allow(struct adm *a, struct noderec *r)
{
	struct policy_prefix	 list[NODE_MAX_ROUTES], routes[NODE_MAX_ROUTES];
	struct brain		*b = a->a_brain;
	ssize_t			 i, n;
	size_t			 k = 0;

	if ((n = prefix_args(a, "allow", list)) == -1)
		return -1;
	for (i = 0; i < n; i++) {
		if (list[i].pp_version == 4 && list[i].pp_plen == 32 &&
		    !r->r_has4 && alloc_free4(b, list[i].pp_addr)) {
			memcpy(r->r_addr4, list[i].pp_addr, 4);
			r->r_has4 = 1;
		} else if (list[i].pp_version == 6 &&
		    list[i].pp_plen == 128 && !r->r_has6 &&
		    alloc_free6(b, list[i].pp_addr)) {
			memcpy(r->r_addr6, list[i].pp_addr, 16);
			r->r_has6 = 1;
		} else if (node_find_addr(b, &list[i]) != NULL &&
		    list[i].pp_plen == (list[i].pp_version == 4 ? 32 : 128))
			return adm_fail(a, 1, "the address is another node's");
		else
			routes[k++] = list[i];
	}
	noderec_set_routes(r, routes, k);
	a->a_code = 1;
	return alloc_addrs(b, r, a->a_err, sizeof(a->a_err));
}

static int
wireguard_endpoint(struct adm *a, struct noderec *r)
{
	struct msg_endpoint	 ep;
	const char		*text;

	if ((text = adm_arg(a, "endpoint")) == NULL ||
	    endpoint_parse(text, &ep) == -1)
		return adm_fail(a, 2, "endpoint is addr:port");
	ep.type = 5;
	r->r_endpoints = xmemdup(&ep, sizeof(ep));
	r->r_nendpoints = 1;
	return 0;
}

/* What peers call themselves towards it: at most one of each family. */
static int
wireguard_masquerade(struct adm *a, struct noderec *r)
{
	struct policy_prefix	 p;
	char			*args[2];
	size_t			 i, n;

	n = adm_args(a, "masquerade", args, 2);
	for (i = 0; i < n; i++) {
		memset(&p, 0, sizeof(p));
		if (n > 2 || policy_prefix_parse(args[i], &p) == -1 ||
		    p.pp_plen != (p.pp_version == 4 ? 32 : 128) ||
		    (p.pp_version == 4 ? r->r_hasmasq4 : r->r_hasmasq6))
			return adm_fail(a, 2, "masquerade is an address,"
			    " at most one of each family");
		if (p.pp_version == 4) {
			memcpy(r->r_masq4, p.pp_addr, 4);
			r->r_hasmasq4 = 1;
		} else {
			memcpy(r->r_masq6, p.pp_addr, 16);
			r->r_hasmasq6 = 1;
		}
	}
	return 0;
}

static int
wireguard_record(struct adm *a, struct noderec *r)
{
	struct brain	*b = a->a_brain;
	const char	*name;
	struct user	*u;

	name = adm_arg(a, "name");
	if (name == NULL || !name_valid(name))
		return adm_fail(a, 2, "a name is at most 63 of a-z, 0-9"
		    " and -, not all digits");
	if (node_find_label(b, name) != NULL)
		return adm_fail(a, 1, "there is a node %s already", name);
	(void)strlcpy(r->r_label, name, sizeof(r->r_label));
	if (wireguard_key(a, r->r_key) == -1)
		return -1;
	if (node_find_key(b, r->r_key) != NULL)
		return adm_fail(a, 1, "that key is a node's already");
	if (adm_arg(a, "user") != NULL) {
		if ((u = adm_user(a)) == NULL)
			return -1;
		r->r_user = u->u_id;
	}
	if (wireguard_endpoint(a, r) == -1 ||
	    wireguard_masquerade(a, r) == -1)
		return -1;
	r->r_created = b->b_date;
	r->r_approved = r->r_wgonly = r->r_given = 1;
	return wireguard_allow(a, r);
}

static int
wireguard_write(struct adm *a, struct noderec *r)
{
	struct brain	*b = a->a_brain;

	if (store_begin(b->b_store, 1) == -1)
		goto bad;
	if (store_node_put(b->b_store, r) == -1 ||
	    store_audit(b->b_store, b->b_date, a->a_actor,
	    "node add-wireguard", r->r_label, NULL) == -1 ||
	    store_commit(b->b_store) == -1) {
		store_rollback(b->b_store);
		goto bad;
	}
	return 0;
bad:
	return adm_fail(a, 1, "store: %s", store_error(b->b_store));
}

int
adm_node_wireguard(struct adm *a)
{
	static const char *const keys[] = { "name", "user", "key",
	    "endpoint", "allow", "masquerade", NULL };
	struct noderec		 r;

	memset(&r, 0, sizeof(r));
	if (adm_only(a, keys) == -1)
		return -1;
	if (wireguard_record(a, &r) == -1 || wireguard_write(a, &r) == -1) {
		noderec_free(&r);
		return -1;
	}
	adm_node_row(a, node_add(a->a_brain, &r), 1);
	return 0;
}
