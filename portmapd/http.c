/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * HTTP to the gateway, on sockets that the parent connects: one request and
 * one answer each, bounded. How long it may take is the mapper's matter.
 */

#include <sys/types.h>

#include <errno.h>
#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "portmapd.h"
#include "proc.h"
#include "upnp.h"

#define ANSWER_MAX	(HTTP_HEAD_MAX + UPNP_XML_MAX)
#define ANSWER_STEP	8192

static struct {
	http_cb		 cb;		/* NULL: nothing is under way */
	struct event	 ev;
	uint32_t	 id;		/* of CONNECT */
	int		 fd;
	char		*out;
	size_t		 outlen;
	size_t		 sent;
	char		*in;
	size_t		 inlen;
	size_t		 insize;
} req = { .fd = -1 };

static uint32_t	 last_id;

void
http_cancel(void)
{
	if (req.fd != -1) {
		(void)event_del(&req.ev);
		close(req.fd);
	}
	free(req.out);
	free(req.in);
	memset(&req, 0, sizeof(req));
	req.fd = -1;
}

/* The answer outlives the request: the callback may start the next. */
static void
http_end(int status, char *body, size_t len)
{
	http_cb	 cb = req.cb;
	char	*in = req.in;

	req.in = NULL;
	http_cancel();
	if (body != NULL)
		body[len] = '\0';
	cb(status, body != NULL ? body : "", len);
	free(in);
}

static void
http_fail(void)
{
	http_end(0, NULL, 0);
}

/* Room for more, and for a NUL behind it. 0, or -1: it is too long. */
static int
http_room(void)
{
	if (req.insize - req.inlen > 1)
		return 0;
	if (req.insize > ANSWER_MAX)
		return -1;
	req.insize += ANSWER_STEP;
	if ((req.in = realloc(req.in, req.insize)) == NULL)
		fatal(NULL);
	return 0;
}

static void
http_read_cb(int fd, short events, void *arg)
{
	char	*body;
	ssize_t	 n;
	size_t	 len;
	int	 status;

	if (http_room() == -1) {
		http_fail();
		return;
	}
	n = read(fd, req.in + req.inlen, req.insize - req.inlen - 1);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		req.inlen += n;
	switch (http_complete(req.in, req.inlen, n <= 0, &status, &body,
	    &len)) {
	case 1:
		http_end(status, body, len);
		break;
	case 0:
		break;
	default:
		http_fail();
		break;
	}
}

static void
http_write_cb(int fd, short events, void *arg)
{
	ssize_t	 n;

	n = write(fd, req.out + req.sent, req.outlen - req.sent);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1) {
		http_fail();
		return;
	}
	req.sent += n;
	if (req.sent < req.outlen)
		return;
	(void)event_del(&req.ev);
	event_set(&req.ev, fd, EV_READ | EV_PERSIST, http_read_cb, NULL);
	(void)event_add(&req.ev, NULL);
}

void
http_start(const struct msg_ip *ip, uint16_t port, const char *text,
    size_t len, http_cb cb)
{
	struct msg_connect	 m;

	http_cancel();
	req.cb = cb;
	req.id = ++last_id;
	if ((req.out = malloc(len)) == NULL)
		fatal(NULL);
	memcpy(req.out, text, len);
	req.outlen = len;
	memset(&m, 0, sizeof(m));
	m.ep.af = ip->af;
	m.ep.port = port;
	memcpy(m.ep.addr, ip->addr, sizeof(m.ep.addr));
	m.purpose = CONN_UPNP;
	(void)chan_compose(proc_parent(), IMSG_CONNECT, req.id, -1, &m,
	    sizeof(m));
}

int
http_connected(struct imsg *imsg)
{
	struct msg_connected	 m;
	int			 fd = imsg_get_fd(imsg);

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    (m.error == MSG_OK) != (fd != -1)) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (req.cb == NULL || req.fd != -1 || imsg_get_id(imsg) != req.id) {
		if (fd != -1)
			close(fd);	/* nobody waits for it any more */
		return 0;
	}
	if (fd == -1) {
		http_fail();
		return 0;
	}
	req.fd = fd;
	event_set(&req.ev, fd, EV_WRITE | EV_PERSIST, http_write_cb, NULL);
	(void)event_add(&req.ev, NULL);
	return 0;
}
