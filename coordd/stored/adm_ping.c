/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Administrators' verbs: asking a node itself.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "jsonutil.h"
#include "log.h"
#include "stored.h"

/* 1: the answer comes later. */
static int
started(struct adm *a, const char *why)
{
	return why == NULL ? 1 : adm_fail(a, 1, "%s", why);
}

static const char *
start_text(struct adm *a, struct node *n, enum ask_kind kind,
    const struct buf *t)
{
	const char	*why;
	char		*text;

	text = ju_base64((const uint8_t *)t->b_text, t->b_len);
	if (text == NULL)
		fatal(NULL);
	why = ping_start(a->a_brain, n, a->a_id, kind, text);
	free(text);
	return why;
}

static const char *
start_echo(struct adm *a, struct node *n)
{
	struct buf	 t = { NULL, 0, 0 };
	const char	*why;

	buf_fmt(&t, "POST /echo HTTP/1.1\r\nHost: coordd\r\n"
	    "C2n-Handler-Timeout: 30s\r\nContent-Length: %zu\r\n\r\n%s",
	    sizeof(PING_ECHO) - 1, PING_ECHO);
	why = start_text(a, n, ASK_C2N, &t);
	buf_free(&t);
	return why;
}

/* The address that is meant: any address as it stands, or a node's. */
static int
target_addr(struct adm *a, char *addr, size_t size)
{
	const char	*text = adm_arg(a, "target");
	struct node	*n;
	uint8_t		 bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1 ||
	    inet_pton(AF_INET6, text, bytes) == 1) {
		(void)strlcpy(addr, text, size);
		return 0;
	}
	if ((n = adm_node_of(a, text)) == NULL)
		return -1;
	if (n->n_rec.r_has4)
		addr_print4(n->n_rec.r_addr4, addr, size);
	else if (n->n_rec.r_has6)
		addr_print6(n->n_rec.r_addr6, addr, size);
	else
		return adm_fail(a, 1, "%s has no address", text);
	return 0;
}

static int
ping_peer_start(struct adm *a, struct node *n, enum ask_kind kind)
{
	char	 addr[ADDR_TEXT];

	if (kind < ASK_DISCO)
		return adm_fail(a, 2, "a target can be pinged by disco, "
		    "tsmp, icmp or peerapi");
	if (target_addr(a, addr, sizeof(addr)) == -1)
		return -1;
	return started(a, ping_start(a->a_brain, n, a->a_id, kind, addr));
}

int
adm_node_ping(struct adm *a)
{
	static const char *const keys[] = { "node", "target", "type", NULL };
	struct node		*n;
	const char		*type;
	enum ask_kind		 kind;
	int			 peer;

	if (adm_only(a, keys) == -1 || (n = adm_node(a)) == NULL)
		return -1;
	if ((peer = (int)adm_args(a, "target", NULL, 0)) > 1)
		return adm_fail(a, 2, "one target at a time");
	kind = peer ? ASK_DISCO : ASK_NOISE;
	type = adm_arg(a, "type");
	if (type != NULL && ask_kind(type, &kind) == -1)
		return adm_fail(a, 2, "there is no type %.32s: disco, tsmp, "
		    "icmp, peerapi; noise, http, c2n", type);
	if (peer)
		return ping_peer_start(a, n, kind);
	if (kind >= ASK_DISCO)
		return adm_fail(a, 2, "ping whom?");
	return started(a, kind == ASK_C2N ? start_echo(a, n) :
	    ping_start(a->a_brain, n, a->a_id, kind, NULL));
}

/* What goes into a request line as it is. */
static int
path_ok(const char *s)
{
	size_t	 i;

	for (i = 0; s[i] != '\0'; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return 0;
	return s[0] == '/' && i < 1024;
}

int
adm_node_c2n(struct adm *a)
{
	static const char *const keys[] = {
		"node", "path", "post", "body", NULL
	};
	struct buf		 t = { NULL, 0, 0 };
	struct node		*n;
	const char		*body, *path;
	int			 rc;

	if (adm_only(a, keys) == -1 || (n = adm_node(a)) == NULL)
		return -1;
	if ((path = adm_arg(a, "path")) == NULL || !path_ok(path))
		return adm_fail(a, 2, "the path must begin with /");
	if ((body = adm_arg(a, "body")) == NULL)
		body = "";
	buf_fmt(&t, "%s %s HTTP/1.1\r\nHost: coordd\r\n"
	    "C2n-Handler-Timeout: 30s\r\nContent-Length: %zu\r\n\r\n%s",
	    adm_flag(a, "post") || body[0] != '\0' ? "POST" : "GET", path,
	    strlen(body), body);
	rc = started(a, start_text(a, n, ASK_REQUEST, &t));
	buf_free(&t);
	return rc;
}
