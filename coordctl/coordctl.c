/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * coordctl: administers coordd over its socket.
 */

#include <sys/types.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "coordctl.h"
#include "ctlsock.h"
#include "imsg.h"
#include "messages.h"

static int
ctl_connect(const char *path)
{
	int	 fd;

	if ((fd = ctlsock_connect(path, 0)) == -1)
		errx(errno == ENAMETOOLONG ? 2 : 1, "%s: %s", path,
		    ctlsock_why(errno, "coordd", "-s"));
	return fd;
}

static void
ctl_send(struct imsgbuf *ib, const struct words *w)
{
	struct msg_adm_list	 m;
	struct iovec		 iov[2];
	char			*words;
	int			 fd = -1;

	if (w->w_file != NULL &&
	    (fd = open(w->w_file, O_RDONLY | O_CLOEXEC)) == -1)
		err(1, "%s", w->w_file);
	if ((words = malloc(w->w_len)) == NULL)
		err(1, NULL);
	memcpy(words, w->w_buf, w->w_len);
	memset(&m, 0, sizeof(m));
	m.n = w->w_n;
	iov[0].iov_base = &m;
	iov[0].iov_len = sizeof(m);
	iov[1].iov_base = words;
	iov[1].iov_len = w->w_len;
	if (imsg_composev(ib, IMSG_ADM_REQ, 1, 0, fd, iov, 2) == -1 ||
	    imsgbuf_flush(ib) == -1)
		err(1, "coordd");
	free(words);
}

static void
ctl_row(struct imsg *imsg)
{
	static char	 row[MSG_CHUNK_MAX];
	size_t		 len;

	len = imsg_get_len(imsg);
	if (len > sizeof(row) || imsg_get_strbuf(imsg, row, len) == -1 ||
	    output_row(row) == -1)
		errx(1, "malformed answer of coordd");
}

/* -1: go on; else the exit status. */
static int
ctl_message(struct imsg *imsg)
{
	struct msg_ctl_fail	 m;

	if (msg_check(imsg, PROC_COORDD, PROC_COORDCTL) == -1)
		errx(1, "coordd and coordctl are of different versions");
	switch (imsg_get_type(imsg)) {
	case IMSG_ADM_ROW:
		ctl_row(imsg);
		return -1;
	case IMSG_CTL_FAIL:
		if (msg_get(imsg, &m, sizeof(m)) == -1 ||
		    !msg_str_ok(m.text, sizeof(m.text)))
			errx(1, "malformed answer of coordd");
		warnx("%s", m.text);
		return m.code == 2 ? 2 : 1;
	default:
		return 0;
	}
}

static int
ctl_receive(struct imsgbuf *ib)
{
	struct imsg	 imsg;
	int		 n, status;

	for (;;) {
		while ((n = imsgbuf_get(ib, &imsg)) == 1) {
			status = ctl_message(&imsg);
			imsg_free(&imsg);
			if (status != -1)
				return status;
		}
		if (n == -1 || (n = imsgbuf_read(ib)) == -1)
			err(1, "coordd");
		if (n == 0)
			errx(1, "coordd closed the connection");
	}
}

/* --json may stand anywhere; what is left keeps its order. */
static int
take_json(int argc, char **argv)
{
	int	 i, n, json;

	for (i = n = json = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = 1;
		else
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	return json;
}

int
main(int argc, char *argv[])
{
	const struct command	*k;
	const char		*path = CTL_SOCKET;
	static struct words	 w;
	struct imsgbuf		 ib;
	int			 json, status;

	json = take_json(argc, argv);
	for (argc = 0; argv[argc] != NULL; argc++)
		;
	if (argc > 2 && strcmp(argv[1], "-s") == 0) {
		path = argv[2];
		argv += 2;
		argc -= 2;
	}
	if ((k = cmd_parse(argc - 1, argv + 1, &w)) == NULL)
		return 2;
	if (imsgbuf_init(&ib, ctl_connect(path)) == -1)
		err(1, NULL);
	imsgbuf_allow_fdpass(&ib);
	ctl_send(&ib, &w);
	status = ctl_receive(&ib);
	imsgbuf_clear(&ib);
	if (k->k_show == SHOW_PROBE && status == 0 &&
	    !probe_rows(output_rows(), w.w_ca))
		status = 1;
	output_show(k, w.w_file, json, status == 0);
	if (fflush(stdout) == EOF)
		err(1, "stdout");
	return status;
}
