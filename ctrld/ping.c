/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Ping requests of the server: HEAD of a URL, c2n, pings of peers.
 * Source: control.md 4.13.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"

#define PING_LIMIT	15	/* seconds */
#define C2N_LIMIT	60
#define PAYLOAD_MAX	65536
#define QUEUE_MAX	8

enum ping_field { GF_URL, GF_NOISE, GF_TYPES, GF_IP, GF_PAYLOAD, GF_MAX };
static const char *const	 ping_fields[GF_MAX] = {
	"URL", "URLIsNoise", "Types", "IP", "Payload"
};

/* An answer that waits for the loop: the request came from within HTTP/2. */
struct pending {
	struct url	 p_url;
	const char	*p_method;
	uint8_t		*p_body;
	size_t		 p_len;
	unsigned int	 p_limit;
};

static int	 ping_head(struct rpc *, void *);
static int	 ping_data(struct rpc *, void *, const uint8_t *, size_t);
static void	 ping_done(struct rpc *, void *, const char *);

static const struct rpc_cb	 ping_cb = { ping_head, ping_data, ping_done };

static struct event		 ev_send;
static struct pending		 queue[QUEUE_MAX];
static unsigned int		 queued;
static char			 last_url[MSG_TEXT_LEN];
static struct log_limit		 limit;

static int
ping_head(struct rpc *r, void *arg)
{
	return 0;
}

static int
ping_data(struct rpc *r, void *arg, const uint8_t *p, size_t len)
{
	return r->r_got > FETCH_BODY_MAX ? -1 : 0;
}

static void
ping_done(struct rpc *r, void *arg, const char *error)
{
	if (error != NULL)
		log_debug("answer to a ping of the control server: %s",
		    error);
}

static void
fetch_done(int status, const char *body, size_t len, void *arg)
{
	/* Nobody asks for the result. */
}

static void
ping_send_cb(int fd, short events, void *arg)
{
	struct pending	*p;
	unsigned int	 i;

	for (i = 0; i < queued; i++) {
		p = &queue[i];
		if (control_session() == NULL) {
			free(p->p_body);
			continue;
		}
		(void)rpc_start(control_session(), p->p_method,
		    p->p_url.u_path, p->p_body, p->p_len, p->p_limit,
		    &ping_cb, NULL);
	}
	queued = 0;
}

static void
ping_queue(const struct url *u, const char *method, uint8_t *body,
    size_t len, unsigned int seconds)
{
	struct pending	*p;

	if (queued == QUEUE_MAX) {
		free(body);
		return;
	}
	p = &queue[queued++];
	p->p_url = *u;
	p->p_method = method;
	p->p_body = body;
	p->p_len = len;
	p->p_limit = seconds;
	timer_ms(&ev_send, 0);
}

static void
ping_c2n(const struct url *u, json_t *payload)
{
	uint8_t	*req;
	char	*answer;
	size_t	 alen, len;

	req = NULL;
	len = 0;
	if (ju_bytes(payload, PAYLOAD_MAX, &req, &len) == -1 || req == NULL)
		return;
	answer = c2n_answer((char *)req, len, c2n_doc, &alen);
	free(req);
	if (answer == NULL)
		fatal(NULL);
	ping_queue(u, "POST", (uint8_t *)answer, alen, C2N_LIMIT);
}

/*
 * Only the control server itself is asked over plain HTTP(S): a server must
 * not make nodes send requests to whom it likes.
 */
static int
plain_ok(const struct url *u)
{
	struct url	 own;

	if (url_parse(ctrld_conf()->c_msg.url, &own) == 0 &&
	    strcasecmp(own.u_host, u->u_host) == 0 &&
	    own.u_port == u->u_port)
		return 1;
	if (log_limit(&limit, os_now(), 3, 3600))
		log_warnx("the control server asks to ping another host: "
		    "refused");
	return 0;
}

void
ping_post(const struct url *u, int noise, char *body, size_t len)
{
	if (noise)
		ping_queue(u, "POST", (uint8_t *)body, len, PING_LIMIT);
	else if (plain_ok(u))
		fetch_put(fetch_start("POST", u, NULL, fetch_done, NULL),
		    body, len);
	else
		free(body);
}

void
ping_request(json_t *j)
{
	struct url	 u;
	const char	*types, *text;
	json_t		*v[GF_MAX];

	if (ju_fields(j, ping_fields, GF_MAX, v) == -1 ||
	    v[GF_URL] == NULL)
		return;
	text = json_string_value(v[GF_URL]);
	/* The same URL again is the same request. */
	if (strlen(text) >= sizeof(last_url) || strcmp(text, last_url) == 0 ||
	    url_parse(text, &u) == -1)
		return;
	(void)strlcpy(last_url, text, sizeof(last_url));
	types = v[GF_TYPES] == NULL ? "" : json_string_value(v[GF_TYPES]);
	if (strcmp(types, "c2n") == 0)
		ping_c2n(&u, v[GF_PAYLOAD]);
	else if (*types != '\0')
		peerping_start(&u, json_is_true(v[GF_NOISE]), types,
		    v[GF_IP] == NULL ? "" : json_string_value(v[GF_IP]));
	else if (json_is_true(v[GF_NOISE]))
		ping_queue(&u, "HEAD", NULL, 0, PING_LIMIT);
	else if (plain_ok(&u))
		(void)fetch_start("HEAD", &u, NULL, fetch_done, NULL);
}

void
ping_init(void)
{
	evtimer_set(&ev_send, ping_send_cb, NULL);
}

void
ping_reset(void)
{
	last_url[0] = '\0';
}
