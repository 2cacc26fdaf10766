/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * One mapping by UPnP: description, choice of a service, mapping, address.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "igd.h"

#define ERR_INVALID_ARGS	402
#define ERR_ONLY_PERMANENT	725

int
igd_start(struct igd *ig, const char *location, const uint8_t *gw,
    const struct soap_args *args)
{
	memset(ig, 0, sizeof(*ig));
	if (upnp_url_parse(&ig->url, location, 1) == -1)
		return -1;
	memcpy(ig->gw, gw, sizeof(ig->gw));
	ig->args = *args;
	ig->step = IGD_DESCRIPTION;
	return 0;
}

int
igd_again(struct igd *ig, const struct soap_args *args)
{
	if (!ig->chosen)
		return -1;
	ig->args = *args;
	ig->step = IGD_ADD;
	return 0;
}

int
igd_delete(struct igd *ig)
{
	if (!ig->chosen || ig->port == 0)
		return -1;
	ig->step = IGD_DELETE;
	return 0;
}

/* --- what to send --- */

/* Where the service that is asked listens. */
static int
igd_control(const struct igd *ig, struct upnp_url *u)
{
	struct upnp_url	 base = ig->url;

	if (ig->dev.base[0] != '\0' &&
	    upnp_url_parse(&base, ig->dev.base, 0) == -1)
		base = ig->url;
	return upnp_url_join(u, &base, ig->dev.service[ig->at].control);
}

static enum soap_action
igd_action(const struct igd *ig)
{
	switch (ig->step) {
	case IGD_STATUS:
		return SOAP_STATUS;
	case IGD_ADD:
	case IGD_ADD_FOREVER:
		/* It finds another port if that one is taken. */
		return ig->dev.service[ig->at].type == UPNP_IP2 ?
		    SOAP_ADD_ANY : SOAP_ADD;
	case IGD_DELETE:
		return SOAP_DELETE;
	default:
		return SOAP_EXTERNAL;
	}
}

static size_t
request_get(const struct igd *ig, char *buf)
{
	int	 n;

	n = snprintf(buf, IGD_REQUEST_MAX,
	    "GET %s HTTP/1.1\r\n"
	    "Host: %u.%u.%u.%u:%u\r\n"
	    "User-Agent: shoal\r\n"
	    "Connection: close\r\n\r\n",
	    ig->url.path, ig->gw[0], ig->gw[1], ig->gw[2], ig->gw[3],
	    ig->url.port);
	return n > 0 && n < IGD_REQUEST_MAX ? n : 0;
}

size_t
igd_request(const struct igd *ig, uint16_t *port, char *buf)
{
	struct soap_args	 args = ig->args;
	struct upnp_url		 u;
	enum upnp_type		 type;
	char			 body[SOAP_MAX], action[128];
	size_t			 len;
	int			 n;

	*port = ig->url.port;
	if (ig->step == IGD_DESCRIPTION)
		return request_get(ig, buf);
	if (ig->at >= ig->dev.n || igd_control(ig, &u) == -1)
		return 0;
	*port = u.port;
	type = ig->dev.service[ig->at].type;
	if (ig->step == IGD_ADD_FOREVER)
		args.lease = 0;
	if (ig->step == IGD_DELETE)
		args.external = ig->port;
	len = soap_build(body, type, igd_action(ig), &args);
	(void)soap_header(action, sizeof(action), type, igd_action(ig));
	n = snprintf(buf, IGD_REQUEST_MAX,
	    "POST %s HTTP/1.1\r\n"
	    "Host: %u.%u.%u.%u:%u\r\n"
	    "User-Agent: shoal\r\n"
	    "Connection: close\r\n"
	    "Content-Type: text/xml; charset=\"utf-8\"\r\n"
	    "Content-Length: %zu\r\n"
	    "SOAPAction: \"%s\"\r\n\r\n%s",
	    u.path, ig->gw[0], ig->gw[1], ig->gw[2], ig->gw[3], u.port, len,
	    action, body);
	return n > 0 && n < IGD_REQUEST_MAX ? n : 0;
}

/* --- what came back --- */

/* The service to use is known. */
static enum igd_result
igd_choose(struct igd *ig, size_t at)
{
	ig->at = at;
	ig->chosen = 1;
	ig->step = IGD_ADD;
	return IGD_MORE;
}

/* None is up and has a public address: up with any, up, the first. */
static enum igd_result
igd_choose_best(struct igd *ig)
{
	size_t	 i;

	for (i = 0; i < ig->dev.n; i++)
		if (ig->seen[i].up && ig->seen[i].has_ip)
			return igd_choose(ig, i);
	for (i = 0; i < ig->dev.n; i++)
		if (ig->seen[i].up)
			return igd_choose(ig, i);
	return igd_choose(ig, 0);
}

static enum igd_result
igd_next_service(struct igd *ig)
{
	if (++ig->at == ig->dev.n)
		return igd_choose_best(ig);
	ig->step = IGD_STATUS;
	return IGD_MORE;
}

static int
ip_private(const uint8_t *ip)
{
	return ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) ||
	    (ip[0] == 192 && ip[1] == 168);
}

/* It could be reached there: neither unspecified, loopback nor multicast. */
static int
ip_usable(const uint8_t *ip)
{
	return ip[0] != 0 && ip[0] != 127 && ip[0] < 224;
}

static enum igd_result
got_description(struct igd *ig, int status, const char *body, size_t len)
{
	if (status != 200 || upnp_device_parse(&ig->dev, body, len) == -1 ||
	    ig->dev.n == 0) {
		ig->dev.n = 0;
		return IGD_FAILED;
	}
	ig->at = 0;
	if (ig->dev.n == 1)
		return igd_choose(ig, 0);
	ig->step = IGD_STATUS;
	return IGD_MORE;
}

static enum igd_result
got_status(struct igd *ig, int ok, const struct soap_answer *a)
{
	if (!ok || !a->connected)
		return igd_next_service(ig);
	ig->seen[ig->at].up = 1;
	ig->step = IGD_LOOK;
	return IGD_MORE;
}

static enum igd_result
got_look(struct igd *ig, int ok, const struct soap_answer *a)
{
	if (!ok || !a->has_ip)
		return igd_next_service(ig);
	ig->seen[ig->at].has_ip = 1;
	if (!ip_private(a->ip))
		return igd_choose(ig, ig->at);
	return igd_next_service(ig);
}

static enum igd_result
got_add(struct igd *ig, int ok, const struct soap_answer *a)
{
	if (!ok) {
		if (ig->step == IGD_ADD && ig->args.lease != 0 &&
		    (a->error == ERR_INVALID_ARGS ||
		    a->error == ERR_ONLY_PERMANENT)) {
			ig->step = IGD_ADD_FOREVER;
			return IGD_MORE;
		}
		ig->error = a->error;
		return IGD_FAILED;
	}
	ig->port = igd_action(ig) == SOAP_ADD_ANY && a->reserved != 0 ?
	    a->reserved : ig->args.external;
	ig->step = IGD_EXTERNAL;
	return IGD_MORE;
}

static enum igd_result
got_external(struct igd *ig, int ok, const struct soap_answer *a)
{
	if (!ok || !a->has_ip || !ip_usable(a->ip))
		return IGD_FAILED;
	memcpy(ig->ip, a->ip, sizeof(ig->ip));
	return IGD_DONE;
}

enum igd_result
igd_answer(struct igd *ig, int status, const char *body, size_t len)
{
	struct soap_answer	 a;
	int			 ok;

	ig->error = 0;
	if (ig->step == IGD_DESCRIPTION)
		return got_description(ig, status, body, len);
	memset(&a, 0, sizeof(a));
	ok = status != 0 && soap_parse(&a, body, len) == 0 && !a.fault &&
	    status == 200;
	switch (ig->step) {
	case IGD_STATUS:
		return got_status(ig, ok, &a);
	case IGD_LOOK:
		return got_look(ig, ok, &a);
	case IGD_ADD:
	case IGD_ADD_FOREVER:
		return got_add(ig, ok, &a);
	case IGD_EXTERNAL:
		return got_external(ig, ok, &a);
	default:
		ig->port = 0;
		return ok ? IGD_DONE : IGD_FAILED;
	}
}
