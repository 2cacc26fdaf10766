/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The record of a node: what the store keeps of it.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "jsonutil.h"
#include "log.h"
#include "stored.h"

static char **
strlist_dup(char *const *list, size_t n)
{
	char	**p;
	size_t	  i;

	if (n == 0)
		return NULL;
	p = xcalloc(n, sizeof(*p));
	for (i = 0; i < n; i++)
		p[i] = xstrdup(list[i]);
	return p;
}

static void
strlist_free(char **list, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void
noderec_copy(struct noderec *to, const struct noderec *from)
{
	*to = *from;
	to->r_hostname = xstrdup(from->r_hostname);
	to->r_hostinfo = xstrdup(from->r_hostinfo);
	to->r_netinfo = xstrdup(from->r_netinfo);
	to->r_tags = strlist_dup(from->r_tags, from->r_ntags);
	to->r_approved_routes = xmemdup(from->r_approved_routes,
	    from->r_napproved * sizeof(*from->r_approved_routes));
	to->r_endpoints = xmemdup(from->r_endpoints,
	    from->r_nendpoints * sizeof(*from->r_endpoints));
}

void
noderec_free(struct noderec *r)
{
	free(r->r_hostname);
	free(r->r_hostinfo);
	free(r->r_netinfo);
	strlist_free(r->r_tags, r->r_ntags);
	free(r->r_approved_routes);
	free(r->r_endpoints);
	memset(r, 0, sizeof(*r));
}

static int
str_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
noderec_addrs(struct buf *t, const char *name, const struct noderec *r)
{
	char	 text[ADDR_TEXT];

	buf_name(t, name);
	buf_str(t, "[");
	if (r->r_has4) {
		addr_print4(r->r_addr4, text, sizeof(text));
		buf_fmt(t, "\"%s/32\"", text);
	}
	if (r->r_has6) {
		addr_print6(r->r_addr6, text, sizeof(text));
		buf_fmt(t, "%s\"%s/128\"", r->r_has4 ? "," : "", text);
	}
	buf_str(t, "]");
}

void
noderec_set_tags(struct noderec *r, char *const *tags, size_t n)
{
	char	**list;
	size_t	  i, k = 0;

	list = strlist_dup(tags, n);
	if (n > 1)
		qsort(list, n, sizeof(*list), str_cmp);
	for (i = 0; i < n; i++) {
		if (k > 0 && strcmp(list[k - 1], list[i]) == 0)
			free(list[i]);
		else
			list[k++] = list[i];
	}
	strlist_free(r->r_tags, r->r_ntags);
	r->r_tags = list;
	r->r_ntags = k;
}

void
noderec_set_routes(struct noderec *r, const struct policy_prefix *routes,
    size_t n)
{
	struct policy_prefix	*list;
	size_t			 i, k = 0;

	list = xmemdup(routes, n * sizeof(*list));
	if (n > 1)
		qsort(list, n, sizeof(*list), route_cmp);
	for (i = 0; i < n; i++)
		if (k == 0 || route_cmp(&list[k - 1], &list[i]) != 0)
			list[k++] = list[i];
	free(r->r_approved_routes);
	r->r_approved_routes = list;
	r->r_napproved = k;
}

/*
 * NetInfo follows seconds after the first Hostinfo: the last one is kept, and
 * so is the home region, without which peers could not reach the node.
 */
static void
noderec_set_netinfo(struct noderec *r, json_t *netinfo)
{
	static const char *const names[] = { "PreferredDERP" };
	json_t		*vals[1];
	int64_t		 derp = 0;
	char		*text;

	if (ju_fields(netinfo, names, 1, vals) == -1 ||
	    ju_int(vals[0], 0, UINT16_MAX, &derp) == -1)
		return;
	if ((text = ju_dump(netinfo)) == NULL)
		fatal(NULL);
	free(r->r_netinfo);
	r->r_netinfo = text;
	if (derp != 0)
		r->r_derp = (uint16_t)derp;
}

int
noderec_set_hostinfo(struct noderec *r, const char *text, size_t len)
{
	static const char *const names[] = { "NetInfo", "Hostname" };
	json_t		*obj, *vals[2];
	char		*host = NULL;

	if ((obj = ju_load(text, len)) == NULL || !json_is_object(obj)) {
		json_decref(obj);
		return -1;
	}
	if (ju_fields(obj, names, 2, vals) == -1)
		fatalx("%s: no object", __func__);
	if (vals[0] != NULL)
		noderec_set_netinfo(r, vals[0]);
	if (ju_str(vals[1], 255, &host) == -1)
		host = NULL;
	if (host != NULL) {
		free(r->r_hostname);
		r->r_hostname = host;
	}
	json_object_del(obj, "NetInfo");
	free(r->r_hostinfo);
	if ((r->r_hostinfo = ju_dump(obj)) == NULL)
		fatal(NULL);
	json_decref(obj);
	return 0;
}
