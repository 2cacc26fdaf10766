/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy files against the vectors.
 */

#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_int.h"

#define MAXNODES	256
#define MAXROUTES	32
#define MAXTAGS		16

static struct policy_user	 users[MAXNODES];
static struct policy_node	 nodes[MAXNODES];
static struct policy_prefix	 routes[MAXNODES][MAXROUTES];
static const char		*tags[MAXNODES][MAXTAGS];
static json_t			*tailnet;
static size_t			 nusers, nnodes;
static char			 name[256];

static void	 fail(const char *, json_t *, json_t *);
static json_t	*load(const char *, const char *);
static char	*slurp(const char *, const char *, size_t *);
static void	 add_node(json_t *);
static void	 read_tailnet(const char *);
static void	 add_source(struct aset *, const char *);
static json_t	*sorted(json_t *);
static int	 text_cmp(const void *, const void *);
static json_t	*norm_rule(json_t *);
static json_t	*norm_filter(json_t *);
static json_t	*norm_ssh(json_t *);
static void	 expect(const char *, json_t *, json_t *);
static void	 check_node(const struct policy_state *, size_t, json_t *);
static void	 check_nodes(const struct policy_state *, json_t *);
static void	 check_tags(const struct policy *,
		    const struct policy_state *, json_t *);
static void	 check_routes(const struct policy_state *, json_t *);
static int	 not_built(const char *);
static int	 check_file(const char *);
static int	 name_cmp(const void *, const void *);

static void
fail(const char *what, json_t *got, json_t *want)
{
	char	*g = json_dumps(got, JSON_ENCODE_ANY | JSON_SORT_KEYS);
	char	*w = json_dumps(want, JSON_ENCODE_ANY | JSON_SORT_KEYS);

	errx(1, "%s: %s:\n got %s\nwant %s", name, what, g, w);
}

static json_t *
load(const char *dir, const char *file)
{
	json_error_t	 je;
	json_t		*j;
	char		 path[1024];

	(void)snprintf(path, sizeof(path), "%s/policy/%s", dir, file);
	if ((j = json_load_file(path, 0, &je)) == NULL)
		errx(1, "%s: %s", path, je.text);
	return j;
}

static char *
slurp(const char *dir, const char *file, size_t *len)
{
	FILE	*f;
	char	 path[1024];
	char	*buf;

	(void)snprintf(path, sizeof(path), "%s/policy/%s", dir, file);
	if ((f = fopen(path, "r")) == NULL)
		err(1, "%s", path);
	if ((buf = malloc(POLICY_MAX_LEN)) == NULL)
		err(1, NULL);
	*len = fread(buf, 1, POLICY_MAX_LEN, f);
	(void)fclose(f);
	return buf;
}

static void
add_node(json_t *j)
{
	struct policy_node	*n = &nodes[nnodes];
	struct policy_prefix	 p;
	json_t			*v;
	size_t			 i;

	n->pn_id = json_integer_value(json_object_get(j, "id"));
	n->pn_user = json_integer_value(json_object_get(j, "user_id"));
	n->pn_tags = tags[nnodes];
	n->pn_routes = routes[nnodes];
	if (policy_prefix_parse(json_string_value(json_object_get(j,
	    "ipv4")), &p) == 0) {
		n->pn_has4 = 1;
		memcpy(n->pn_addr4, p.pp_addr, 4);
	}
	if (policy_prefix_parse(json_string_value(json_object_get(j,
	    "ipv6")), &p) == 0) {
		n->pn_has6 = 1;
		memcpy(n->pn_addr6, p.pp_addr, 16);
	}
	json_array_foreach(json_object_get(j, "tags"), i, v)
		if (n->pn_ntags < MAXTAGS)
			tags[nnodes][n->pn_ntags++] = json_string_value(v);
	json_array_foreach(json_object_get(j, "approved_routes"), i, v)
		if (n->pn_nroutes < MAXROUTES &&
		    policy_prefix_parse(json_string_value(v),
		    &routes[nnodes][n->pn_nroutes]) == 0)
			n->pn_nroutes++;
	nnodes++;
}

static void
read_tailnet(const char *dir)
{
	json_t	*v;
	size_t	 i;

	tailnet = load(dir, "tailnet.json");
	json_array_foreach(json_object_get(tailnet, "users"), i, v) {
		users[i].pu_id = json_integer_value(json_object_get(v, "id"));
		users[i].pu_name = json_string_value(json_object_get(v,
		    "name"));
		users[i].pu_email = json_string_value(json_object_get(v,
		    "email"));
		if (++nusers == MAXNODES)
			errx(1, "too many users");
	}
	json_array_foreach(json_object_get(tailnet, "nodes"), i, v) {
		add_node(v);
		if (nnodes == MAXNODES)
			errx(1, "too many nodes");
	}
	if (nusers == 0 || nnodes == 0)
		errx(1, "tailnet is empty");
}

static void
add_source(struct aset *set, const char *s)
{
	struct policy_prefix	 p, q;
	struct arange		 r, hi;
	char			 first[64];
	const char		*dash;

	if (strcmp(s, "*") == 0) {
		add_source(set, "0.0.0.0/0");
		add_source(set, "::/0");
		return;
	}
	if ((dash = strchr(s, '-')) == NULL) {
		if (policy_prefix_parse(s, &p) == -1)
			errx(1, "%s: bad address %s", name, s);
		(void)aset_add_prefix(set, &p);
		return;
	}
	(void)snprintf(first, sizeof(first), "%.*s", (int)(dash - s), s);
	if (policy_prefix_parse(first, &p) == -1 ||
	    policy_prefix_parse(dash + 1, &q) == -1)
		errx(1, "%s: bad range %s", name, s);
	prefix_range(&p, &r);
	prefix_range(&q, &hi);
	memcpy(r.ar_hi, hi.ar_hi, sizeof(r.ar_hi));
	(void)aset_add(set, p.pp_version == 6, &r);
}

static int
text_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The values of a list as texts, sorted, each once. Frees the list. */
static json_t *
sorted(json_t *list)
{
	json_t	*out = json_array(), *v;
	char	**t;
	size_t	 i, n = json_array_size(list);

	if ((t = calloc(n + 1, sizeof(*t))) == NULL)
		err(1, NULL);
	json_array_foreach(list, i, v)
		t[i] = json_dumps(v, JSON_ENCODE_ANY | JSON_SORT_KEYS);
	qsort(t, n, sizeof(*t), text_cmp);
	for (i = 0; i < n; i++)
		if (i == 0 || strcmp(t[i - 1], t[i]) != 0)
			json_array_append_new(out, json_string(t[i]));
	for (i = 0; i < n; i++)
		free(t[i]);
	free(t);
	json_decref(list);
	return out;
}

static json_t *
norm_rule(json_t *rule)
{
	struct policy_prefix	 p;
	struct aset		 set;
	json_t			*out, *list, *v;
	char			 text[64];
	const char		*ip;
	size_t			 i;

	memset(&set, 0, sizeof(set));
	json_array_foreach(json_object_get(rule, "SrcIPs"), i, v)
		add_source(&set, json_string_value(v));
	aset_settle(&set);
	list = json_array();
	(void)aset_json(&set, list);
	aset_free(&set);
	out = json_pack("{s:o}", "src", list);
	list = json_array();
	json_array_foreach(json_object_get(rule, "DstPorts"), i, v) {
		ip = json_string_value(json_object_get(v, "IP"));
		if (policy_prefix_parse(ip, &p) == 0)
			ip = prefix_text(&p, 0, text, sizeof(text));
		json_array_append_new(list, json_pack("[s,O]", ip,
		    json_object_get(v, "Ports")));
	}
	json_object_set_new(out, "dst", sorted(list));
	if (json_object_get(rule, "IPProto") != NULL)
		json_object_set_new(out, "proto", sorted(json_copy(
		    json_object_get(rule, "IPProto"))));
	list = json_array();
	json_array_foreach(json_object_get(rule, "CapGrant"), i, v)
		json_array_append_new(list, json_pack("[o,O]",
		    sorted(json_copy(json_object_get(v, "Dsts"))),
		    json_object_get(v, "CapMap")));
	json_object_set_new(out, "caps", sorted(list));
	return out;
}

static json_t *
norm_filter(json_t *f)
{
	json_t	*list = json_array(), *v;
	size_t	 i;

	json_array_foreach(f, i, v)
		json_array_append_new(list, norm_rule(v));
	return sorted(list);
}

/* The order of rules matters, that of principals does not. */
static json_t *
norm_ssh(json_t *ssh)
{
	json_t	*list, *v, *c;
	size_t	 i;

	if (!json_is_object(ssh))
		return json_null();
	list = json_array();
	json_array_foreach(json_object_get(ssh, "rules"), i, v) {
		c = json_copy(v);
		json_object_set_new(c, "principals", sorted(json_copy(
		    json_object_get(v, "principals"))));
		json_array_append_new(list, c);
	}
	return list;
}

/* Takes both. */
static void
expect(const char *what, json_t *got, json_t *want)
{
	if (!json_equal(got, want))
		fail(what, got, want);
	json_decref(got);
	json_decref(want);
}

static void
check_node(const struct policy_state *s, size_t i, json_t *want)
{
	uint64_t	 row[POLICY_ROW(MAXNODES)];
	json_t		*list, *j;
	char		 what[64];
	size_t		 k;

	(void)snprintf(what, sizeof(what), "node %llu",
	    (unsigned long long)nodes[i].pn_id);
	j = policy_node_filter(s, i);
	expect(what, norm_filter(j),
	    norm_filter(json_object_get(want, "filter")));
	json_decref(j);

	list = json_array();
	policy_node_peers(s, i, row);
	for (k = 0; k < nnodes; k++) {
		if (bit_get(row, k) != policy_peers_visible(s, i, k))
			errx(1, "%s: %s and %zu", name, what, k);
		if (bit_get(row, k))
			json_array_append_new(list,
			    json_integer((json_int_t)nodes[k].pn_id));
	}
	expect(what, sorted(list),
	    sorted(json_copy(json_object_get(want, "peers"))));

	j = policy_node_ssh(s, i, "https://hs.example.com");
	expect(what, norm_ssh(j), norm_ssh(json_object_get(want, "ssh")));
	json_decref(j);
	j = json_object_get(want, "cap_map");
	expect(what, policy_node_caps(s, i),
	    j != NULL ? json_incref(j) : json_object());
	j = json_object_get(want, "via_routes");
	expect(what, policy_node_via(s, i),
	    j != NULL ? json_incref(j) : json_object());
}

static void
check_nodes(const struct policy_state *s, json_t *want)
{
	json_t	*n, *j;
	char	 id[32];
	size_t	 i;

	j = policy_filter(s);
	expect("whole filter", norm_filter(j),
	    norm_filter(json_object_get(want, "filter")));
	json_decref(j);
	for (i = 0; i < nnodes; i++) {
		(void)snprintf(id, sizeof(id), "%llu",
		    (unsigned long long)nodes[i].pn_id);
		n = json_object_get(json_object_get(want, "nodes"), id);
		if (n == NULL)
			errx(1, "%s: no node %s", name, id);
		check_node(s, i, n);
	}
}

static void
check_tags(const struct policy *p, const struct policy_state *s,
    json_t *want)
{
	json_t		*v, *list;
	const char	*tag;
	size_t		 i;

	json_object_foreach(json_object_get(want, "tags"), tag, v) {
		list = json_array();
		for (i = 0; i < nnodes; i++)
			if (nodes[i].pn_user != 0 &&
			    policy_tag_allowed(s, tag, nodes[i].pn_user))
				json_array_append_new(list, json_integer(
				    (json_int_t)nodes[i].pn_id));
		expect(tag, json_pack("{s:b, s:o}", "exists",
		    policy_tag_exists(p, tag), "nodes_allowed", list),
		    json_incref(v));
	}
}

static void
check_routes(const struct policy_state *s, json_t *want)
{
	struct policy_prefix	 p;
	json_t			*v, *list;
	const char		*route;
	size_t			 i;

	json_object_foreach(json_object_get(want, "routes_auto_approved"),
	    route, v) {
		if (policy_prefix_parse(route, &p) == -1)
			errx(1, "%s: bad route %s", name, route);
		list = json_array();
		for (i = 0; i < nnodes; i++)
			if (policy_route_auto(s, i, &p))
				json_array_append_new(list, json_integer(
				    (json_int_t)nodes[i].pn_id));
		expect(route, list, json_incref(v));
	}
}

static int
not_built(const char *msgs)
{
	return msgs != NULL && strstr(msgs, "not supported yet") != NULL;
}

/* 1: checked, 0: left out. */
static int
check_file(const char *dir)
{
	struct policy		*p;
	struct policy_state	*s;
	json_t			*want;
	char			*text, *msgs, file[300];
	size_t			 len;
	int			 valid, r = 1;

	(void)snprintf(file, sizeof(file), "%s.hujson", name);
	text = slurp(dir, file, &len);
	(void)snprintf(file, sizeof(file), "%s.expect.json", name);
	want = load(dir, file);
	valid = json_is_true(json_object_get(want, "valid"));
	p = policy_parse(name, text, len, &msgs);
	if (p == NULL && msgs == NULL)
		err(1, "policy_parse");
	if (p == NULL && not_built(msgs)) {
		r = 0;
		printf("%s left out: %s", name, msgs);
	} else if ((p != NULL) != valid)
		errx(1, "%s: %s", name, valid ? msgs : "accepted");
	free(msgs);
	if (p == NULL)
		goto done;
	s = policy_compile(p, users, nusers, nodes, nnodes, &msgs);
	if (s == NULL)
		errx(1, "%s: compile: %s", name, msgs);
	check_nodes(s, want);
	check_tags(p, s, want);
	check_routes(s, want);
	if ((policy_test(s, &msgs) == -1) !=
	    (json_object_get(want, "set_error") != NULL))
		errx(1, "%s: tests: %s", name, msgs == NULL ? "good" : msgs);
	free(msgs);
	policy_state_free(s);
	policy_free(p);
done:
	json_decref(want);
	free(text);
	return r;
}

static int
name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
main(void)
{
	struct dirent	*de;
	DIR		*d;
	const char	*dir;
	char		 path[1024], *names[1024];
	size_t		 i, n = 0, len, done = 0;

	if ((dir = getenv("VECTORS")) == NULL)
		dir = "../vectors";
	(void)snprintf(path, sizeof(path), "%s/policy", dir);
	if ((d = opendir(path)) == NULL)
		err(1, "%s", path);
	while ((de = readdir(d)) != NULL && n < 1024) {
		len = strlen(de->d_name);
		if (len > 7 && strcmp(de->d_name + len - 7, ".hujson") == 0 &&
		    (names[n++] = strndup(de->d_name, len - 7)) == NULL)
			err(1, NULL);
	}
	(void)closedir(d);
	if (n == 0)
		errx(1, "%s: no policies", path);
	qsort(names, n, sizeof(*names), name_cmp);
	read_tailnet(dir);
	for (i = 0; i < n; i++) {
		(void)strlcpy(name, names[i], sizeof(name));
		done += (size_t)check_file(dir);
		free(names[i]);
	}
	json_decref(tailnet);
	if (done == 0)
		errx(1, "all %zu policies left out", n);
	printf("policy: %zu cases, %zu left out for sections that are not "
	    "built\n", done, n - done);
	return 0;
}
