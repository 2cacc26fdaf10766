/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * One request and its response: bounds, routing, the response's body.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <event.h>
#include <stdlib.h>
#include <string.h>

#include "frontd.h"
#include "os.h"

static size_t		 bodies_all, out_all;
static struct log_limit	 rate_limit;

struct stream *
stream_new(struct conn *c, int32_t id)
{
	struct stream	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatal(NULL);
	TAILQ_INIT(&s->s_pieces);
	s->s_conn = c;
	s->s_id = id;
	s->s_start = s->s_progress = os_now();
	evtimer_set(&s->s_ev_keep, rpc_keepalive_cb, s);
	TAILQ_INSERT_TAIL(&c->c_streams, s, s_entry);
	(void)nghttp2_session_set_stream_user_data(c->c_h2, id, s);
	return s;
}

/* The stream that stored means; NULL if it is gone. */
struct stream *
stream_find(uint64_t conn, uint32_t id)
{
	struct conn	*c;

	if ((c = conn_find(conn)) == NULL || c->c_h2 == NULL ||
	    id == 0 || id > INT32_MAX)
		return NULL;
	return nghttp2_session_get_stream_user_data(c->c_h2, id);
}

static void
stream_body_free(struct stream *s)
{
	if (s->s_body.b_data != NULL)	/* it may hold an auth key */
		explicit_bzero(s->s_body.b_data, s->s_body.b_size);
	s->s_conn->c_bodies -= s->s_body.b_len;
	bodies_all -= s->s_body.b_len;
	buf_free(&s->s_body);
}

void
stream_free(struct stream *s)
{
	struct conn	*c = s->s_conn;
	struct piece	*p;

	if (s->s_asked && c->c_dead == 0)
		rpc_close(c, s->s_id);
	if (c->c_h2 != NULL)
		(void)nghttp2_session_set_stream_user_data(c->c_h2, s->s_id,
		    NULL);
	evtimer_del(&s->s_ev_keep);
	stream_body_free(s);
	buf_free(&s->s_msg);
	out_all -= s->s_queued;
	while ((p = TAILQ_FIRST(&s->s_pieces)) != NULL) {
		TAILQ_REMOVE(&s->s_pieces, p, p_entry);
		free(p->p_data);
		free(p);
	}
	TAILQ_REMOVE(&c->c_streams, s, s_entry);
	c->c_idle = os_now();
	free(s);
}

/* A part of the request's body. -1: the connection abuses us. */
int
stream_body(struct stream *s, const uint8_t *data, size_t len)
{
	struct conn	*c = s->s_conn;

	if (s->s_answered)		/* refused already */
		return 0;
	if (c->c_bodies + len > MAX_BODIES ||
	    bodies_all + len > MAX_BODIES_ALL) {
		conn_close(c, "too much in request bodies");
		return -1;
	}
	if (s->s_body.b_len + len > SRVREQ_MAX_BODY) {
		stream_body_free(s);
		stream_reply(s, 413, "request too large");
		return 0;
	}
	buf_add(&s->s_body, data, len);
	c->c_bodies += len;
	bodies_all += len;
	return 0;
}

/*
 * A client whose poll ends at once asks again at once (control.md 6.1): a
 * bucket per session holds it back.
 */
static int
stream_rate_ok(struct conn *c)
{
	int64_t	 now;

	now = os_now();
	c->c_rate += (now - c->c_rate_at) / 1000000 * RATE_PER_S;
	if (c->c_rate > RATE_BURST * 1000)
		c->c_rate = RATE_BURST * 1000;
	c->c_rate_at = now;
	if (c->c_rate < 1000) {
		if (log_limit(&rate_limit, now, 10, 60))
			log_warnx("%s: too many requests", conn_name(c));
		return 0;
	}
	c->c_rate -= 1000;
	return 1;
}

static void
stream_route(struct stream *s)
{
	s->s_path[strcspn(s->s_path, "?")] = '\0';
	if (strcmp(s->s_path, "/machine/register") == 0 ||
	    strcmp(s->s_path, "/machine/map") == 0) {
		if (strcmp(s->s_method, "POST") != 0)
			stream_reply(s, 405, "only POST");
		else if (strcmp(s->s_path, "/machine/map") == 0)
			rpc_map(s);
		else
			rpc_register(s);
	} else if (rpc_call(s))
		return;
	else if (strncmp(s->s_path, "/machine/", 9) == 0)
		stream_reply(s, 501, "not implemented");
	else
		stream_reply(s, 404, "not found");
}

/* The request is there as a whole. */
void
stream_complete(struct stream *s)
{
	if (s->s_done || s->s_answered)
		return;
	s->s_done = 1;
	if (stream_rate_ok(s->s_conn))
		stream_route(s);
	else
		stream_reply(s, 429, "too many requests");
	stream_body_free(s);
}

/* Answer by a line of text. */
void
stream_reply(struct stream *s, int status, const char *text)
{
	uint8_t	*p;
	size_t	 len;

	if (s->s_answered)
		return;
	if (strcmp(s->s_method, "HEAD") == 0) {
		(void)h2_respond(s, status, "text/plain; charset=utf-8", 0);
		return;
	}
	len = strlen(text);
	if ((p = malloc(len + 1)) == NULL)
		fatal(NULL);
	memcpy(p, text, len);
	p[len] = '\n';
	s->s_end = 1;
	stream_push(s, p, len + 1);
	(void)h2_respond(s, status, "text/plain; charset=utf-8", 1);
}

/*
 * Queue a piece of the body, which is the stream's from here. A client that
 * does not read loses its connection, not an update.
 */
void
stream_push(struct stream *s, uint8_t *data, size_t len)
{
	struct piece	*p;

	if (s->s_queued + len > MAX_STREAM_OUT ||
	    out_all + len > MAX_OUT_ALL) {
		free(data);
		s->s_end = 1;
		h2_reset(s);
		log_warnx("%s: reads too slowly", conn_name(s->s_conn));
		return;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL)
		fatal(NULL);
	p->p_data = data;
	p->p_len = len;
	if (s->s_queued == 0)
		s->s_progress = os_now();
	s->s_queued += len;
	out_all += len;
	TAILQ_INSERT_TAIL(&s->s_pieces, p, p_entry);
	h2_resume(s);
}

/* Give the next bytes of the body; *eof: these are the last. */
ssize_t
stream_read(struct stream *s, uint8_t *buf, size_t len, int *eof)
{
	struct piece	*p;
	size_t		 n, done;

	for (done = 0; done < len; done += n) {
		if ((p = TAILQ_FIRST(&s->s_pieces)) == NULL)
			break;
		n = p->p_len - p->p_off;
		if (n > len - done)
			n = len - done;
		memcpy(buf + done, p->p_data + p->p_off, n);
		p->p_off += n;
		if (p->p_off < p->p_len)
			continue;
		TAILQ_REMOVE(&s->s_pieces, p, p_entry);
		free(p->p_data);
		free(p);
	}
	s->s_queued -= done;
	out_all -= done;
	if (done > 0)
		s->s_progress = os_now();
	*eof = s->s_end && s->s_queued == 0;
	return done;
}

/*
 * stored is gone and with it what it knew of this stream: end a poll, so
 * that the node asks anew; refuse what was not answered yet.
 */
void
stream_abandon(struct stream *s)
{
	if (s->s_asked == 0)
		return;
	s->s_asked = 0;
	evtimer_del(&s->s_ev_keep);
	if (s->s_answered == 0) {
		stream_reply(s, 503, "restarting, try again");
		return;
	}
	s->s_end = 1;
	h2_resume(s);
}

/* Too slow with its request, or with our answer? -1: drop the session. */
int
stream_tick(struct stream *s, int64_t now)
{
	if (s->s_done == 0 && now - s->s_start > T_BODY * 1000000000LL)
		return -1;
	if (s->s_queued > 0 && now - s->s_progress > T_STALL * 1000000000LL)
		return -1;
	return 0;
}
