/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Port mapping against vectors: portmap.json, every kind in it.
 */

/* link: vec.c ../../portmapd/igd.c */
/* libs: -lexpat */

#include <sys/types.h>

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../portmapd/igd.h"
#include "portmap.h"
#include "upnp.h"
#include "vec.h"

/* An IPv4 or IPv6 address as PCP carries it. */
static void
ip16(uint8_t *dst, const char *s)
{
	uint8_t	 ip4[4];

	if (inet_pton(AF_INET, s, ip4) == 1)
		ip4_to_mapped(dst, ip4);
	else if (inet_pton(AF_INET6, s, dst) != 1)
		vec_fail("address %s", s);
}

static void
pmp_request(json_t *c)
{
	uint8_t	 p[PCP_MAP_LEN];
	size_t	 n;

	if (vec_has(c, "local_port"))
		n = pmp_build_map(p, vec_num(c, "local_port"),
		    vec_num(c, "previous_port"), vec_num(c, "lifetime"));
	else
		n = pmp_build_address(p);
	vec_expect(c, "packet", p, n);
}

static void
pcp_request(json_t *c)
{
	struct pcp_map	 m;
	uint8_t		 p[PCP_MAP_LEN], own[16];
	size_t		 n;

	ip16(own, vec_str(c, "client_ip"));
	if (!vec_has(c, "local_port"))
		n = pcp_build_announce(p, own);
	else {
		memset(&m, 0, sizeof(m));
		memcpy(m.nonce, vec_fix(c, "nonce", PCP_NONCE_LEN),
		    PCP_NONCE_LEN);
		m.internal = vec_num(c, "local_port");
		m.external = vec_num(c, "previous_port");
		ip16(m.addr, vec_str(c, "previous_external_ip"));
		n = pcp_build_map(p, own, &m, vec_num(c, "lifetime"));
	}
	vec_expect(c, "packet", p, n);
}

static void
num_is(json_t *f, const char *name, uint64_t got)
{
	if (vec_num(f, name) != got)
		vec_fail("%s is %llu", name, (unsigned long long)got);
}

static void
pmp_response(json_t *c)
{
	struct pmp_reply	 r;
	json_t			*f;
	uint8_t			*p, ip[4] = { 0, 0, 0, 0 };
	size_t			 len;
	int			 ret;

	p = vec_hex(c, "packet", &len);
	ret = pmp_parse(&r, p, len);
	if ((ret == 0) != vec_bool(c, "ok"))
		vec_fail("taken: %d", ret == 0);
	if (ret == -1)
		return;
	f = vec_get(c, "fields");
	num_is(f, "op", r.op);
	num_is(f, "result", r.result);
	num_is(f, "epoch", r.epoch);
	if (vec_has(f, "external_port")) {
		num_is(f, "external_port", r.external);
		num_is(f, "internal_port", r.internal);
		num_is(f, "lifetime", r.lifetime);
	}
	if (!vec_has(f, "public_address"))
		return;
	if (vec_str(f, "public_address")[0] != '\0' &&
	    inet_pton(AF_INET, vec_str(f, "public_address"), ip) != 1)
		vec_fail("address");
	if (memcmp(ip, r.addr, sizeof(ip)) != 0)
		vec_fail("another address");
}

static void
pcp_map_fields(json_t *f, const struct pcp_reply *r, const struct pcp_map *m)
{
	char	 ip[64], text[80];
	uint8_t	 ip4[4];
	int	 v4;

	v4 = ip4_from_mapped(ip4, m->addr) == 0;
	if (v4)
		(void)inet_ntop(AF_INET, ip4, ip, sizeof(ip));
	else
		(void)inet_ntop(AF_INET6, m->addr, ip, sizeof(ip));
	(void)snprintf(text, sizeof(text), v4 ? "%s:%u" : "[%s]:%u", ip,
	    m->external);
	if (strcmp(text, vec_str(f, "external")) != 0)
		vec_fail("external is %s", text);
	num_is(f, "epoch", r->epoch);
	num_is(f, "lifetime", r->lifetime);
	num_is(f, "renew_after", r->lifetime / 2);
}

static void
pcp_response(json_t *c)
{
	struct pcp_reply	 r;
	struct pcp_map		 m;
	json_t			*f;
	uint8_t			*p;
	size_t			 len;
	int			 ret;

	p = vec_hex(c, "packet", &len);
	ret = pcp_parse_map(&r, &m, p, len);
	if ((ret == 0) != vec_bool(c, "map_ok"))
		vec_fail("map taken: %d", ret == 0);
	if (ret == 0)
		pcp_map_fields(vec_get(c, "map_fields"), &r, &m);
	ret = pcp_parse(&r, p, len);
	if ((ret == 0) != vec_bool(c, "ok"))
		vec_fail("taken: %d", ret == 0);
	if (ret == -1)
		return;
	f = vec_get(c, "fields");
	num_is(f, "op", r.op);
	num_is(f, "result", r.result);
	num_is(f, "epoch", r.epoch);
	num_is(f, "lifetime", r.lifetime);
}

static void
ssdp_request(json_t *c)
{
	const char	*s;
	size_t		 len;

	s = ssdp_search(!vec_is(c, "name", "all"), &len);
	vec_expect(c, "packet", s, len);
}

static void
ssdp_response(json_t *c)
{
	struct ssdp_reply	 r;
	uint8_t			*p;
	size_t			 len;
	int			 ret;

	p = vec_hex(c, "packet", &len);
	ret = ssdp_parse(&r, p, len);
	if ((ret == 0) != vec_bool(c, "ok"))
		vec_fail("taken: %d", ret == 0);
	if (ret == 0 && (!vec_is(c, "location", r.location) ||
	    !vec_is(c, "server", r.server) || !vec_is(c, "usn", r.usn)))
		vec_fail("%s, %s, %s", r.location, r.server, r.usn);
}

/* --- whole mappings by UPnP --- */

/* The value of a header of that request, unquoted to the end of line. */
static int
header_is(const char *req, const char *name, const char *want)
{
	const char	*p = req;
	size_t		 n = strlen(name);

	while ((p = strstr(p, "\r\n")) != NULL) {
		p += 2;
		if (strncasecmp(p, name, n) == 0 && p[n] == ':' &&
		    strncmp(p + n + 2, want, strlen(want)) == 0 &&
		    p[n + 2 + strlen(want)] == '\r')
			return 1;
	}
	return 0;
}

static void
request_is(json_t *e, const char *req)
{
	const char	*body, *v;
	char		 line[512];
	json_t		*h;

	(void)snprintf(line, sizeof(line), "%s %s HTTP/1.1\r\n",
	    vec_str(e, "method"), vec_str(e, "path"));
	if (strncmp(req, line, strlen(line)) != 0)
		vec_fail("wanted %s, sent %s", line, req);
	if ((body = strstr(req, "\r\n\r\n")) == NULL)
		vec_fail("no end of head");
	if (strcmp(body + 4, vec_str(e, "body")) != 0)
		vec_fail("body %s, not %s", body + 4, vec_str(e, "body"));
	h = vec_get(e, "headers");
	if ((v = json_string_value(json_object_get(h, "Soapaction"))) !=
	    NULL && !header_is(req, "SOAPAction", v))
		vec_fail("SOAPAction: %s", req);
	if ((v = json_string_value(json_object_get(h, "Content-Type"))) !=
	    NULL && !header_is(req, "Content-Type", v))
		vec_fail("Content-Type: %s", req);
}

/* Do what is next against the exchanges that are left. */
static enum igd_result
exchanges(struct igd *ig, json_t *list, size_t *at)
{
	enum igd_result	 res;
	const char	*body;
	json_t		*e;
	char		 req[IGD_REQUEST_MAX];
	uint16_t	 port;

	do {
		if ((e = json_array_get(list, *at)) == NULL)
			vec_fail("more requests than there should be");
		(*at)++;
		if (igd_request(ig, &port, req) == 0)
			vec_fail("no request");
		if (port != 5000)
			vec_fail("port %u", port);
		request_is(e, req);
		body = vec_str(e, "answer_body");
		res = igd_answer(ig, vec_num(e, "answer_status"), body,
		    strlen(body));
	} while (res == IGD_MORE);
	return res;
}

static void
upnp(json_t *c)
{
	static const uint8_t	 gw[4] = { 192, 0, 2, 1 };
	struct soap_args	 args;
	struct igd		 ig;
	enum igd_result		 res;
	const char		*colon, *in;
	json_t			*list;
	char			 ip[64], text[80], loc[512];
	size_t			 at = 0;

	memset(&args, 0, sizeof(args));
	in = vec_str(c, "internal");
	if ((colon = strchr(in, ':')) == NULL)
		vec_fail("internal");
	(void)snprintf(ip, sizeof(ip), "%.*s", (int)(colon - in), in);
	if (inet_pton(AF_INET, ip, args.client) != 1)
		vec_fail("internal");
	args.internal = strtoul(colon + 1, NULL, 10);
	args.external = vec_num(c, "wanted_external_port");
	args.lease = 7200;
	list = vec_get(c, "exchanges");
	(void)snprintf(loc, sizeof(loc), "http://198.51.100.7:5000%s",
	    vec_str(json_array_get(list, 0), "path"));
	if (igd_start(&ig, loc, gw, &args) == -1)
		vec_fail("no start");
	res = exchanges(&ig, list, &at);
	if ((res == IGD_DONE) != vec_bool(c, "ok"))
		vec_fail("mapped: %d", res == IGD_DONE);
	if (res == IGD_DONE) {
		(void)inet_ntop(AF_INET, ig.ip, ip, sizeof(ip));
		(void)snprintf(text, sizeof(text), "%s:%u", ip, ig.port);
		if (!vec_is(c, "external", text))
			vec_fail("external is %s", text);
		if (igd_delete(&ig) == -1 ||
		    exchanges(&ig, list, &at) != IGD_DONE)
			vec_fail("not deleted");
	}
	if (at != json_array_size(list))
		vec_fail("%zu requests of %zu", at, json_array_size(list));
}

static const struct vec_kind kinds[] = {
	{ "pmp_request",	pmp_request },
	{ "pcp_request",	pcp_request },
	{ "pmp_response",	pmp_response },
	{ "pcp_response",	pcp_response },
	{ "ssdp_request",	ssdp_request },
	{ "ssdp_response",	ssdp_response },
	{ "upnp",		upnp }
};

int
main(void)
{
	vec_run(getenv("VECTORS"), "portmap", kinds,
	    sizeof(kinds) / sizeof(kinds[0]));
	return 0;
}
