/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy vectors, seen through the maps that nodes get.
 */

/* link: stored_lab.c */
/* link: ../../coordd/stored/addr.c ../../coordd/stored/alloc.c */
/* link: ../../coordd/stored/authkey.c ../../coordd/stored/brain.c */
/* link: ../../coordd/stored/buf.c ../../coordd/stored/hostinfo.c */
/* link: ../../coordd/stored/call.c ../../coordd/stored/ping.c */
/* link: ../../coordd/stored/map.c ../../coordd/stored/map_delta.c */
/* link: ../../coordd/stored/map_full.c ../../coordd/stored/map_node.c */
/* link: ../../coordd/stored/name.c ../../coordd/stored/node.c */
/* link: ../../coordd/stored/noderec.c ../../coordd/stored/online.c */
/* link: ../../coordd/stored/pending.c ../../coordd/stored/register.c */
/* link: ../../coordd/stored/policy_apply.c ../../coordd/stored/store.c */
/* link: ../../coordd/stored/store_node.c ../../coordd/stored/user.c */
/* link: ../../coordd/stored/store_user.c */
/* link: ../../coordd/stored/follow.c */
/* libs: -lsqlite3 */

#include <dirent.h>

#include "stored_lab.h"

#define STREAM	100		/* of the first node's poll */

static struct lab	 lab;
static json_t		*tailnet;
static char		 dir[256], name[256];
static uint64_t		 ids[256];	/* ours, by the vectors' ID */
static uint64_t		 users[256];

static char *
slurp(const char *file, size_t *len)
{
	char	 path[600], *text;
	FILE	*f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	if ((f = fopen(path, "r")) == NULL)
		err(1, "%s", path);
	text = xcalloc(1, 1024 * 1024 + 1);
	*len = fread(text, 1, 1024 * 1024, f);
	fclose(f);
	return text;
}

static json_t *
load(const char *file)
{
	json_t	*j;
	char	*text;
	size_t	 len;

	text = slurp(file, &len);
	if ((j = json_loadb(text, len, 0, NULL)) == NULL)
		errx(1, "%s: not JSON", file);
	free(text);
	return j;
}

static void
add_prefixes(json_t *list, struct policy_prefix *out, size_t *n)
{
	json_t	*e;
	size_t	 i;

	json_array_foreach(list, i, e)
		if (policy_prefix_parse(json_string_value(e),
		    &out[(*n)++]) == -1)
			errx(1, "tailnet: bad route");
}

static uint64_t
user_of(json_int_t id)
{
	json_t	*u;
	size_t	 i;

	json_array_foreach(json_object_get(tailnet, "users"), i, u)
		if (lab_int(u, "id") == id && id > 0 && id < 256)
			return users[id] =
			    lab_user(&lab, lab_str(u, "name"))->u_id;
	return 0;
}

static void
add_tags(struct noderec *r, json_t *list)
{
	char	*tags[NODE_MAX_TAGS];
	json_t	*e;
	size_t	 i, n = 0;

	json_array_foreach(list, i, e)
		tags[n++] = xstrdup(json_string_value(e));
	noderec_set_tags(r, tags, n);
	for (i = 0; i < n; i++)
		free(tags[i]);
}

/* A node as the vectors describe it, connected. */
static void
add_node(json_t *jn, unsigned int k)
{
	struct policy_prefix	 p, routes[NODE_MAX_ROUTES];
	struct noderec		 r;
	struct node		*n;
	size_t			 nroutes = 0;
	json_t			*info;
	char			*text;

	memset(&r, 0, sizeof(r));
	memset(routes, 0, sizeof(routes));
	lab_key(r.r_machine, 1, k);
	lab_key(r.r_key, 2, k);
	r.r_user = user_of(lab_int(jn, "user_id"));
	r.r_approved = 1;
	(void)snprintf(r.r_label, sizeof(r.r_label), "n%u", k);
	add_tags(&r, json_object_get(jn, "tags"));
	add_prefixes(json_object_get(jn, "approved_routes"), routes,
	    &nroutes);
	noderec_set_routes(&r, routes, nroutes);
	info = json_pack("{s:O}", "RoutableIPs",
	    json_object_get(jn, "announced_routes"));
	text = json_dumps(info, 0);
	CHECK(noderec_set_hostinfo(&r, text, strlen(text)) == 0);
	free(text);
	json_decref(info);
	if (policy_prefix_parse(lab_str(jn, "ipv4"), &p) == 0) {
		memcpy(r.r_addr4, p.pp_addr, 4);
		r.r_has4 = 1;
	}
	if (policy_prefix_parse(lab_str(jn, "ipv6"), &p) == 0) {
		memcpy(r.r_addr6, p.pp_addr, 16);
		r.r_has6 = 1;
	}
	CHECK(store_begin(lab.l_b.b_store, 0) == 0 &&
	    store_node_put(lab.l_b.b_store, &r) == 0 &&
	    store_commit(lab.l_b.b_store) == 0);
	n = node_add(&lab.l_b, &r);
	ids[lab_int(jn, "id")] = n->n_rec.r_id;
}

/*
 * Our users have one name, which may be an e-mail address; those of the
 * vectors have both. Give them the kind that this policy speaks of: 0, or -1
 * if it speaks of both.
 */
static int
name_users(const char *text)
{
	char		 login[256];
	const char	*want;
	json_t		*e;
	struct user	*u;
	size_t		 i;
	int		 mails = 0, logins = 0;

	json_array_foreach(json_object_get(tailnet, "users"), i, e) {
		(void)snprintf(login, sizeof(login), "\"%s@\"",
		    lab_str(e, "name"));
		logins |= strstr(text, login) != NULL;
		want = strchr(lab_str(e, "email"), '@');
		mails |= want != NULL && strstr(text, want) != NULL;
	}
	if (mails && logins)
		return -1;
	json_array_foreach(json_object_get(tailnet, "users"), i, e) {
		want = lab_str(e, mails && lab_str(e, "email")[0] != '\0' ?
		    "email" : "name");
		u = user_find(&lab.l_b, users[lab_int(e, "id")]);
		if (u != NULL && user_rename(&lab.l_b, u, want, login,
		    sizeof(login)) == -1)
			errx(1, "%s: %s", want, login);
	}
	return 0;
}

static void
check_map(json_t *map, json_t *want)
{
	json_t	*peers = json_object_get(map, "Peers"), *e;
	size_t	 i;

	if (json_array_size(peers) !=
	    json_array_size(json_object_get(want, "peers")))
		errx(1, "%s: node %lld sees %zu peers", name,
		    (long long)lab_int(map, "Node/ID"),
		    json_array_size(peers));
	json_array_foreach(json_object_get(want, "peers"), i, e)
		if (lab_peer(map, "Peers",
		    ids[json_integer_value(e)]) == NULL)
			errx(1, "%s: node %lld does not see %lld", name,
			    (long long)lab_int(map, "Node/ID"),
			    (long long)json_integer_value(e));
	if ((json_array_size(lab_at(map, "PacketFilters/base")) == 0) !=
	    (json_array_size(json_object_get(want, "filter")) == 0))
		errx(1, "%s: node %lld: filter", name,
		    (long long)lab_int(map, "Node/ID"));
}

/* 1 if the case could be used. */
static int
check_case(const char *file)
{
	const char	*id;
	char		 expect[300], *msgs = NULL, *text;
	json_t		*e, *map, *want, *nodes;
	unsigned int	 k;
	size_t		 len;
	int		 rc;

	text = slurp(file, &len);
	(void)snprintf(expect, sizeof(expect), "%.*s.expect.json",
	    (int)(strlen(file) - strlen(".hujson")), file);
	want = load(expect);
	nodes = json_object_get(want, "nodes");
	rc = nodes == NULL || name_users(text) == -1 ? -1 : policy_apply(
	    &lab.l_b, POLICY_FILE, file, text, len, 0, &msgs);
	free(msgs);
	free(text);
	if (rc == -1) {
		json_decref(want);
		return 0;
	}
	json_object_foreach(nodes, id, e) {
		k = (unsigned int)strtol(id, NULL, 10);
		lab_pass(&lab, 1000);
		lab_poll(&lab, k, k, STREAM + k);
		lab_pass(&lab, 1000);
		if ((map = lab_next(&lab, STREAM + k)) == NULL)
			errx(1, "%s: node %s: no map", name, id);
		check_map(map, e);
		json_decref(map);
		lab_hangup(&lab, STREAM + k);
	}
	json_decref(want);
	return 1;
}

int
main(void)
{
	struct dirent	*de;
	json_t		*e;
	const char	*base = getenv("VECTORS");
	size_t		 i, len, n = 0, left = 0;
	DIR		*d;

	(void)snprintf(dir, sizeof(dir), "%s/policy",
	    base == NULL ? "../vectors" : base);
	lab_open(&lab, NULL, POLICY_NONE, NULL);
	tailnet = load("tailnet.json");
	json_array_foreach(json_object_get(tailnet, "nodes"), i, e) {
		CHECK(lab_int(e, "id") > 0 && lab_int(e, "id") < 256);
		add_node(e, (unsigned int)lab_int(e, "id"));
	}
	if ((d = opendir(dir)) == NULL)
		err(1, "%s", dir);
	while ((de = readdir(d)) != NULL) {
		len = strlen(de->d_name);
		if (len < 8 || strcmp(de->d_name + len - 7, ".hujson") != 0)
			continue;
		(void)strlcpy(name, de->d_name, sizeof(name));
		if (check_case(name))
			n++;
		else
			left++;
	}
	closedir(d);
	json_decref(tailnet);
	lab_close(&lab);
	if (n == 0)
		errx(1, "no case in %s", dir);
	printf("stored policy maps: %zu cases; %zu left out (never in "
	    "force, or users by both of their names)\n", n, left);
	return 0;
}
