/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The map stream, and the lite updates beside it.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"
#include "maprequest.h"

#define WATCHDOG	120	/* seconds: request, headers, each message */
#define UPDATE_LIMIT	60	/* seconds */
#define UPDATE_BODY_MAX	65536
#define LIVED		10	/* seconds: then a session counts as good */
#define TEXT_MAX	200	/* of a refusal, for the log */

static int	 poll_head(struct rpc *, void *);
static int	 poll_data(struct rpc *, void *, const uint8_t *, size_t);
static void	 poll_done(struct rpc *, void *, const char *);
static int	 update_head(struct rpc *, void *);
static int	 update_data(struct rpc *, void *, const uint8_t *, size_t);
static void	 update_done(struct rpc *, void *, const char *);

static const struct rpc_cb	 poll_cb = { poll_head, poll_data, poll_done };
static const struct rpc_cb	 update_cb = {
	update_head, update_data, update_done
};

static struct rpc	*poll_rpc, *update_rpc;
static int64_t		 poll_since;
static char		 poll_text[TEXT_MAX + 1];
static size_t		 poll_textlen;

static char *
request(const uint8_t *nodekey, int stream)
{
	struct maprequest	 mr;
	char			*body;

	memset(&mr, 0, sizeof(mr));
	mr.mr_version = CTRLD_CAPVER;
	memcpy(mr.mr_nodekey, nodekey, sizeof(mr.mr_nodekey));
	memcpy(mr.mr_discokey, control_keys_now()->disco,
	    sizeof(mr.mr_discokey));
	mr.mr_hostinfo = ctrld_hostinfo();
	if (stream) {
		mr.mr_stream = mr.mr_keepalive = mr.mr_zstd = 1;
	} else
		mr.mr_omitpeers = 1;
	endpoints_fill(&mr);
	if ((body = maprequest_build(&mr)) == NULL)
		fatal(NULL);
	json_decref(mr.mr_hostinfo);
	return body;
}

int
poll_start(struct session *s, const uint8_t *nodekey)
{
	char	*body;

	body = request(nodekey, 1);
	map_begin();
	poll_since = os_now();
	poll_textlen = 0;
	poll_rpc = rpc_start(s, "POST", "/machine/map", (uint8_t *)body,
	    strlen(body), WATCHDOG, &poll_cb, NULL);
	return poll_rpc == NULL ? -1 : 0;
}

void
poll_stop(void)
{
	rpc_cancel(poll_rpc);
	poll_rpc = NULL;
}

int
poll_active(void)
{
	return poll_rpc != NULL;
}

int
poll_online(void)
{
	return poll_rpc != NULL && map_began();
}

/* The stream is over: forget it, then tell. */
static void
poll_over(const char *why, int status, uint32_t sleep)
{
	uint32_t	 asked;
	int		 lived;

	asked = poll_rpc == NULL ? 0 : rpc_retry_ms(poll_rpc);
	lived = map_began() && os_now() - poll_since >= LIVED * NS_PER_S;
	poll_rpc = NULL;
	control_poll_done(why, status, lived, sleep, asked);
}

static int
poll_head(struct rpc *r, void *arg)
{
	rpc_timeout(r, WATCHDOG);
	return 0;
}

static int
poll_data(struct rpc *r, void *arg, const uint8_t *p, size_t len)
{
	const char	*why;
	uint32_t	 sleep;
	size_t		 n;

	if (r->r_status != 200) {	/* a short text says why */
		n = sizeof(poll_text) - 1 - poll_textlen;
		if (n > len)
			n = len;
		memcpy(poll_text + poll_textlen, p, n);
		poll_textlen += n;
		if (r->r_got <= FETCH_BODY_MAX)
			return 0;
		poll_over("map refused, at length", r->r_status, 0);
		return -1;
	}
	switch (map_data(p, len, &why)) {
	case -1:
		poll_over(why, 200, 0);
		return -1;
	case 1:				/* whole messages, not single bytes */
		rpc_timeout(r, WATCHDOG);
		break;
	default:
		break;
	}
	if ((sleep = map_sleep()) > 0) {
		poll_over("the server asks for a pause", 200, sleep);
		return -1;
	}
	return 0;
}

static void
poll_done(struct rpc *r, void *arg, const char *error)
{
	char	 text[2 * sizeof(poll_text)], why[MSG_TEXT_LEN];

	if (error == NULL && r->r_status != 200) {
		poll_text[poll_textlen] = '\0';
		text_vis(text, sizeof(text), poll_text);
		(void)snprintf(why, sizeof(why), "map refused: HTTP status "
		    "%d: %s", r->r_status, text);
		error = why;
	} else if (error == NULL)
		error = "map stream ended by the server";
	poll_over(error, r->r_status, 0);
}

int
update_start(struct session *s, const uint8_t *nodekey)
{
	char	*body;

	body = request(nodekey, 0);
	update_rpc = rpc_start(s, "POST", "/machine/map", (uint8_t *)body,
	    strlen(body), UPDATE_LIMIT, &update_cb, NULL);
	return update_rpc == NULL ? -1 : 0;
}

void
update_stop(void)
{
	rpc_cancel(update_rpc);
	update_rpc = NULL;
}

int
update_active(void)
{
	return update_rpc != NULL;
}

static int
update_head(struct rpc *r, void *arg)
{
	return 0;
}

static int
update_data(struct rpc *r, void *arg, const uint8_t *p, size_t len)
{
	if (r->r_got <= UPDATE_BODY_MAX)
		return 0;
	update_rpc = NULL;
	control_update_done("answer is too long", 0);
	return -1;
}

static void
update_done(struct rpc *r, void *arg, const char *error)
{
	char	 why[MSG_TEXT_LEN];

	if (error == NULL && r->r_status != 200) {
		(void)snprintf(why, sizeof(why), "HTTP status %d",
		    r->r_status);
		error = why;
	}
	update_rpc = NULL;
	control_update_done(error, rpc_retry_ms(r));
}
