/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * One HTTP/1.1 request with a small answer: /key, and pings by URL.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"

#define FETCH_MAX	(HTTP_HEAD_MAX + FETCH_BODY_MAX)

struct fetch {
	struct event	 f_ev;		/* time limit */
	struct url	 f_url;
	struct http_head f_head;
	struct conn	*f_conn;
	void		(*f_done)(int, const char *, size_t, void *);
	void		*f_arg;
	const char	*f_method;
	char		*f_body;	/* of the request */
	size_t		 f_bodylen;
	uint8_t		*f_buf;
	size_t		 f_len;
	ssize_t		 f_headlen;	/* 0: head not complete */
};

static void	 fetch_up(struct conn *, void *);
static void	 fetch_data(struct conn *, void *, uint8_t *, size_t);
static void	 fetch_lost(struct conn *, void *, const char *);

static const struct conn_cb	 fetch_cb = {
	fetch_up, fetch_data, fetch_lost
};

void
fetch_cancel(struct fetch *f)
{
	if (f == NULL)
		return;
	(void)evtimer_del(&f->f_ev);
	conn_close(f->f_conn);
	free(f->f_body);
	free(f->f_buf);
	free(f);
}

void
fetch_put(struct fetch *f, char *body, size_t len)
{
	free(f->f_body);
	f->f_body = body;
	f->f_bodylen = len;
}

/* Report and end; the object is gone. */
static void
fetch_end(struct fetch *f, int status, const char *body, size_t len)
{
	(void)evtimer_del(&f->f_ev);
	conn_close(f->f_conn);
	f->f_conn = NULL;
	f->f_done(status, body, len, f->f_arg);
	free(f->f_body);
	free(f->f_buf);
	free(f);
}

static void
fetch_fail(struct fetch *f, const char *why)
{
	fetch_end(f, -1, why, strlen(why));
}

static void
fetch_timeout_cb(int fd, short events, void *arg)
{
	fetch_fail(arg, "no answer in time");
}

static void
fetch_up(struct conn *conn, void *arg)
{
	struct fetch	*f = arg;
	char		*req, auth[MSG_NAME_LEN + 16], length[64];
	int		 n;

	length[0] = '\0';
	if (f->f_body != NULL)
		(void)snprintf(length, sizeof(length),
		    "Content-Length: %zu\r\n", f->f_bodylen);
	n = asprintf(&req, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: shoal\r\n"
	    "%sConnection: close\r\n\r\n", f->f_method, f->f_url.u_path,
	    url_authority(&f->f_url, auth, sizeof(auth)), length);
	if (n == -1)
		fatal(NULL);
	conn_write(conn, req, n);
	free(req);
	conn_write(conn, f->f_body, f->f_bodylen);
}

uint32_t
fetch_retry_ms(const struct fetch *f)
{
	const struct http_head	*h = &f->f_head;
	int			 after = -1;

	if (f->f_headlen > 0 && h->h_retry != NULL)
		after = retry_after(h->h_retry, h->h_retrylen,
		    os_date() / NS_PER_S);
	return f->f_headlen <= 0 ? 0 :
	    retry_asked_ms(h->h_status, after, arc4random());
}

const struct http_head *
fetch_head(const struct fetch *f)
{
	return f->f_headlen > 0 ? &f->f_head : NULL;
}

const char *
fetch_host(const struct fetch *f)
{
	return f->f_url.u_host;
}

/* Is the body complete? eof: nothing more will come. 1, 0, or -1. */
static int
fetch_body(struct fetch *f, int eof, size_t *len)
{
	uint8_t	*body;
	size_t	 have;

	body = f->f_buf + f->f_headlen;
	have = f->f_len - f->f_headlen;
	if (strcmp(f->f_method, "HEAD") == 0 || f->f_head.h_status == 204) {
		*len = 0;
		return 1;
	}
	if (f->f_head.h_length == HTTP_LEN_CHUNK)
		return http_chunks(body, have, len);
	if (f->f_head.h_length == HTTP_LEN_NONE) {
		*len = have;
		return eof;
	}
	if (f->f_head.h_length > FETCH_BODY_MAX)
		return -1;
	*len = f->f_head.h_length;
	return have >= *len;
}

/* Look at what has come so far; 1 if the fetch has ended. */
static int
fetch_progress(struct fetch *f, int eof)
{
	size_t	 len;

	if (f->f_headlen == 0) {
		f->f_headlen = http_head_parse(f->f_buf, f->f_len,
		    &f->f_head);
		if (f->f_headlen == -1) {
			fetch_fail(f, "answer is not HTTP, or its head is "
			    "too long");
			return 1;
		}
		if (f->f_headlen == 0)
			return 0;
	}
	switch (fetch_body(f, eof, &len)) {
	case 0:
		return 0;
	case 1:
		fetch_end(f, f->f_head.h_status,
		    (char *)f->f_buf + f->f_headlen, len);
		return 1;
	default:
		fetch_fail(f, "answer is broken or too long");
		return 1;
	}
}

static void
fetch_data(struct conn *conn, void *arg, uint8_t *p, size_t len)
{
	struct fetch	*f = arg;

	if (f->f_buf == NULL && (f->f_buf = malloc(FETCH_MAX)) == NULL)
		fatal(NULL);
	if (len > FETCH_MAX - f->f_len) {
		fetch_fail(f, "answer is too long");
		return;
	}
	memcpy(f->f_buf + f->f_len, p, len);
	f->f_len += len;
	(void)fetch_progress(f, 0);
}

static void
fetch_lost(struct conn *conn, void *arg, const char *why)
{
	struct fetch	*f = arg;

	f->f_conn = NULL;		/* it frees itself */
	if (f->f_len > 0) {
		if (fetch_progress(f, 1))
			return;
		why = "connection closed within the answer";
	}
	fetch_fail(f, why);
}

struct fetch *
fetch_start(const char *method, const struct url *u,
    const struct conn_opt *opt, void (*done)(int, const char *, size_t,
    void *), void *arg)
{
	struct timeval	 tv = { FETCH_TIMEOUT, 0 };
	struct fetch	*f;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		fatal(NULL);
	f->f_url = *u;
	f->f_method = method;
	f->f_done = done;
	f->f_arg = arg;
	evtimer_set(&f->f_ev, fetch_timeout_cb, f);
	(void)evtimer_add(&f->f_ev, &tv);
	f->f_conn = conn_open(u, opt, &fetch_cb, f);
	return f;
}
