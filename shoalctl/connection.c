/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The control socket of shoald, from the operator's side.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "ctlsock.h"
#include "shoalctl.h"

#define RETRY_MS	50

static struct imsgbuf	 ib;
static int		 ib_fd = -1;
static uint32_t		 last_id;

void
conn_open(const char *path, int wait_ms)
{
	struct timespec	 ts = { 0, RETRY_MS * 1000000L };
	int		 waited = 0;

	while ((ib_fd = ctlsock_connect(path, 0)) == -1) {
		if ((errno != ENOENT && errno != ECONNREFUSED) ||
		    waited >= wait_ms)
			errx(errno == ENAMETOOLONG ? 2 : 1, "%s: %s", path,
			    ctlsock_why(errno, "shoald", "-s"));
		if (waited == 0)
			fprintf(stderr, "waiting for shoald\n");
		(void)nanosleep(&ts, NULL);
		waited += RETRY_MS;
	}
	if (imsgbuf_init(&ib, ib_fd) == -1)
		err(1, NULL);
}

void
conn_send(enum msg_type type, const void *data, size_t len)
{
	if (imsg_compose(&ib, type, ++last_id, 0, -1, data, len) == -1 ||
	    imsgbuf_flush(&ib) == -1)
		err(1, "shoald");
}

int
conn_next(struct imsg *imsg, int ms)
{
	struct pollfd	 pfd;
	int		 n;

	for (;;) {
		if ((n = imsgbuf_get(&ib, imsg)) == -1)
			err(1, "shoald");
		if (n == 1)
			break;
		pfd.fd = ib_fd;
		pfd.events = POLLIN;
		n = poll(&pfd, 1, ms);
		if (n == 0)
			return 0;
		if (n == -1) {
			if (errno == EINTR)
				continue;
			err(1, "poll");
		}
		if ((n = imsgbuf_read(&ib)) == -1)
			err(1, "shoald");
		if (n == 0)
			errx(1, "shoald closed the connection");
	}
	if (msg_check(imsg, PROC_PARENT, PROC_CTL) == -1)
		errx(1, "shoald and shoalctl are of different versions");
	return 1;
}

void
conn_data(struct imsg *imsg, void *data, size_t len)
{
	if (msg_get(imsg, data, len) == -1)
		errx(1, "shoald and shoalctl are of different versions");
}

int
conn_ask(enum msg_type type, const void *data, size_t len,
    void (*fn)(struct imsg *, void *), void *arg)
{
	struct msg_ctl_fail	 m;
	struct imsg		 imsg;
	int			 status = -1;

	conn_send(type, data, len);
	while (status == -1) {
		(void)conn_next(&imsg, -1);
		switch (imsg_get_type(&imsg)) {
		case IMSG_CTL_END:
			status = 0;
			break;
		case IMSG_CTL_FAIL:
			conn_data(&imsg, &m, sizeof(m));
			clean_text(m.text, sizeof(m.text));
			warnx("%s", m.text);
			status = m.code == 2 ? 2 : 1;
			break;
		default:
			if (fn != NULL)
				fn(&imsg, arg);
			break;
		}
		imsg_free(&imsg);
	}
	return status;
}
