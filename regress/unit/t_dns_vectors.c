/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The local resolver against dns.json: what it answers, byte for byte, and
 * whom it would ask about the rest.
 */
/* link: vec.c */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "vec.h"

/* Addresses of a host, in order. */
static void
host_add(struct dns_db *db, const char *name, json_t *list, json_t *subs)
{
	struct dns_ip	 ip[16];
	json_t		*v;
	size_t		 i, n = 0;
	int		 sub = 0;

	json_array_foreach(list, i, v)
		if (n == 16 || dns_ip_parse(json_string_value(v),
		    &ip[n++]) == -1)
			vec_fail("host %s", name);
	json_array_foreach(subs, i, v)
		if (strcmp(json_string_value(v), name) == 0)
			sub = 1;
	if (dns_db_host_set(db, name, ip, n, sub) == -1)
		vec_fail("host %s", name);
}

/* The resolvers of a route as one string; NULL for an empty list. */
static char *
resolvers(json_t *list)
{
	json_t	*v;
	char	*s;
	size_t	 i;

	if (json_array_size(list) == 0)
		return NULL;
	if ((s = calloc(1, 4096)) == NULL)
		vec_fail("no memory");
	json_array_foreach(list, i, v) {
		(void)strlcat(s, json_string_value(v), 4096);
		(void)strlcat(s, " ", 4096);
	}
	return s;
}

static struct dns_db *
config(json_t *conf)
{
	struct dns_db	*db;
	json_t		*v, *subs;
	const char	*key;
	size_t		 i;

	if ((db = dns_db_new()) == NULL)
		vec_fail("no memory");
	subs = json_object_get(conf, "subdomain_hosts");
	json_object_foreach(json_object_get(conf, "hosts"), key, v)
		host_add(db, key, v, subs);
	json_array_foreach(json_object_get(conf, "local_domains"), i, v)
		if (dns_db_local_add(db, json_string_value(v)) == -1)
			vec_fail("local %s", json_string_value(v));
	json_object_foreach(json_object_get(conf, "routes"), key, v)
		if (dns_db_route_set(db, key, resolvers(v)) == -1)
			vec_fail("route %s", key);
	return db;
}

static void
check(struct dns_db *db, json_t *q)
{
	struct dns_query	 query;
	void			*data = NULL;
	const char		*name = vec_str(q, "name");
	char			*want;
	uint8_t			 out[DNS_UDP_MAX], *wire;
	size_t			 len, n;

	wire = vec_hex(q, "query", &len);
	if (dns_query_parse(&query, wire, len) == -1)
		n = dns_reply_empty(&query, DNS_R_FORMERR, DNS_F_AA, out,
		    sizeof(out));
	else
		n = dns_db_answer(db, &query, 1780000000, out, &data);
	if (vec_is(q, "outcome", "forward")) {
		want = resolvers(vec_get(q, "forward_to"));
		if (n != 0 || data == NULL || strcmp(data, want) != 0)
			vec_fail("%s: forwarded to %s", name,
			    n != 0 ? "nobody" : (char *)data);
		free(want);
	} else if (vec_is(q, "outcome", "answer")) {
		wire = vec_hex(q, "response", &len);
		if (n != len || memcmp(out, wire, len) != 0)
			vec_fail("%s: other answer", name);
	} else
		vec_fail("%s: outcome %s", name, vec_str(q, "outcome"));
}

int
main(void)
{
	struct dns_db	*db;
	json_t		*cases, *c, *q;
	size_t		 i, j, n = 0;

	cases = vec_cases(getenv("VECTORS"), "dns.json");
	json_array_foreach(cases, i, c) {
		vec_at(c, i);
		db = config(vec_get(c, "config"));
		json_array_foreach(vec_get(c, "queries"), j, q) {
			check(db, q);
			n++;
		}
		dns_db_free(db);
	}
	if (n == 0)
		vec_fail("no query");
	vec_done("t_dns_vectors");
	return 0;
}
