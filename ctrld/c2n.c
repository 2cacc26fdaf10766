/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Requests that the server sends to the node. They only read: what this
 * node has no part in gets an answer that says so.
 * Source: control.md 5.3.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c2n.h"

#define BODY_MAX	65536

#define M_GET		0x01
#define M_POST		0x02
#define M_OTHER		0x04
#define M_ANY		(M_GET | M_POST | M_OTHER)

/* A fixed answer, or a document that somebody else writes. */
static const struct {
	const char	*path;
	const char	*status;
	const char	*body;		/* NULL: the document */
	enum c2n_doc	 doc;
	int		 methods;
} paths[] = {
	{ "/debug/prefs",	"200 OK", NULL, C2N_PREFS, M_ANY },
	{ "/debug/health",	"200 OK", NULL, C2N_HEALTH, M_ANY },
	{ "/debug/netmap",	"200 OK", NULL, C2N_NETMAP, M_GET | M_POST },
	{ "/debug/metrics",	"200 OK", NULL, C2N_METRICS, M_ANY },
	{ "/update",		"200 OK", "{\"Err\":\"updates come from the "
	    "package system of this host\",\"Enabled\":false,"
	    "\"Supported\":false,\"Started\":false}\n", 0, M_GET | M_POST },
	{ "/posture/identity",	"200 OK", "{\"PostureDisabled\":true}\n", 0,
	    M_GET },
	{ "/appconnector/routes", "200 OK", "{\"Domains\":{}}\n", 0, M_GET },
	{ "/tls-cert-status",	"200 OK", "{\"Error\":\"no certificates here"
	    "\",\"Missing\":true}\n", 0, M_GET },
	{ "/vip-services",	"200 OK", "{\"ServicesHash\":\"\"}\n", 0,
	    M_GET },
	{ "/ssh/usernames",	"200 OK", "{\"Usernames\":null}\n", 0,
	    M_GET | M_POST },
	{ "/debug/component-logging", "200 OK", "{\"Error\":\"no such "
	    "component\"}\n", 0, M_ANY },
	{ "/logtail/flush",	"500 Internal Server Error",
	    "this node uploads no logs\n", 0, M_POST },
	{ "/wol",		"501 Not Implemented",
	    "this node wakes nobody\n", 0, M_POST },
	{ "/netfilter-kind",	"501 Not Implemented",
	    "this node knows nftables only\n", 0, M_POST },
	{ "/sockstats",		"501 Not Implemented",
	    "no socket statistics here\n", 0, M_POST },
	{ "/debug/goroutines",	"501 Not Implemented",
	    "this node is not written in Go\n", 0, M_ANY },
	{ "/debug/pprof/heap",	"501 Not Implemented",
	    "this node is not written in Go\n", 0, M_ANY },
	{ "/debug/pprof/allocs", "501 Not Implemented",
	    "this node is not written in Go\n", 0, M_ANY },
	{ "/debug/logheap",	"501 Not Implemented",
	    "this node is not written in Go\n", 0, M_ANY },
	{ "/debug/tka/log",	"501 Not Implemented",
	    "no tailnet lock here\n", 0, M_ANY }
};

struct request {
	const char	*r_path;
	size_t		 r_pathlen;
	const char	*r_body;
	size_t		 r_bodylen;
	int		 r_method;	/* M_* */
};

/* Find the end of the head; 0 if there is none. */
static size_t
head_end(const char *p, size_t len)
{
	size_t	 i;

	for (i = 0; i + 1 < len; i++) {
		if (p[i] == '\n' && p[i + 1] == '\n')
			return i + 2;
		if (p[i] == '\n' && i + 2 < len && p[i + 1] == '\r' &&
		    p[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

/* Method and path, without the query: 0, or -1 if it is no request. */
static int
request_parse(const char *p, size_t len, struct request *r)
{
	const char	*from, *nl;
	size_t		 end, n;

	if ((end = head_end(p, len)) == 0 ||
	    (nl = memchr(p, '\n', end)) == NULL ||
	    (from = memchr(p, ' ', nl - p)) == NULL)
		return -1;
	n = from - p;
	r->r_method = n == 3 && memcmp(p, "GET", 3) == 0 ? M_GET :
	    n == 4 && memcmp(p, "POST", 4) == 0 ? M_POST : M_OTHER;
	r->r_path = ++from;
	for (n = 0; from + n < nl && strchr(" ?\r", from[n]) == NULL; n++)
		continue;
	r->r_pathlen = n;
	r->r_body = p + end;
	r->r_bodylen = len - end < BODY_MAX ? len - end : BODY_MAX;
	return 0;
}

static int
path_is(const struct request *r, const char *path)
{
	return r->r_pathlen == strlen(path) &&
	    memcmp(r->r_path, path, r->r_pathlen) == 0;
}

static char *
respond(const char *status, const char *body, size_t len, size_t *outlen)
{
	char	*out;
	int	 n;

	n = asprintf(&out, "HTTP/1.1 %s\r\nConnection: close\r\n"
	    "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n", status,
	    len > 0 && *body == '{' ? "application/json" :
	    "text/plain; charset=utf-8", len);
	if (n == -1)
		return NULL;
	*outlen = n + len;
	if ((out = recallocarray(out, n + 1, *outlen + 1, 1)) == NULL)
		return NULL;
	memcpy(out + n, body, len);
	return out;
}

static char *
respond_text(const char *status, const char *body, size_t *outlen)
{
	return respond(status, body, strlen(body), outlen);
}

static char *
respond_doc(char *doc, size_t *outlen)
{
	char	*out;

	if (doc == NULL)
		return respond_text("503 Service Unavailable",
		    "not now, or too long\n", outlen);
	out = respond_text("200 OK", doc, outlen);
	free(doc);
	return out;
}

char *
c2n_answer(const char *req, size_t len, char *(*doc)(enum c2n_doc),
    size_t *outlen)
{
	struct request	 r;
	size_t		 i;

	if (request_parse(req, len, &r) == -1)
		return respond_text("400 Bad Request", "unknown c2n path\n",
		    outlen);
	/* The word of the server is not enough to use the host's own API. */
	if (r.r_pathlen >= 11 && memcmp(r.r_path, "/remoteapi/", 11) == 0)
		return respond_text("403 Forbidden", "not offered\n",
		    outlen);
	if (path_is(&r, "/echo"))
		return respond("200 OK", r.r_body, r.r_bodylen, outlen);
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (!path_is(&r, paths[i].path))
			continue;
		if ((r.r_method & paths[i].methods) == 0)
			return respond_text("405 Method Not Allowed",
			    "bad method\n", outlen);
		if (paths[i].body == NULL)
			return respond_doc(doc(paths[i].doc), outlen);
		return respond_text(paths[i].status, paths[i].body, outlen);
	}
	return respond_text("400 Bad Request", "unknown c2n path\n", outlen);
}
