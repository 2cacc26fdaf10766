/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A key process's side of its state file.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "keeper.h"
#include "log.h"
#include "statefile.h"

static void
keeper_begin(struct keeper *k)
{
	if (k->k_busy || k->k_saved == k->k_gen ||
	    evtimer_pending(&k->k_retry, NULL))
		return;
	k->k_busy = 1;
	(void)chan_compose(k->k_parent, IMSG_STATE_WRITE, 0, -1, NULL, 0);
}

static void
keeper_retry_cb(int fd, short events, void *arg)
{
	keeper_begin(arg);
}

void
keeper_init(struct keeper *k)
{
	evtimer_set(&k->k_retry, keeper_retry_cb, k);
}

uint64_t
keeper_change(struct keeper *k)
{
	k->k_gen++;
	keeper_begin(k);
	return k->k_gen;
}

void
keeper_answer(struct keeper *k, uint32_t error, unsigned int line,
    const char *text)
{
	struct msg_state_result	 mr;

	memset(&mr, 0, sizeof(mr));
	mr.error = error;
	mr.line = line;
	(void)strlcpy(mr.text, text, sizeof(mr.text));
	(void)chan_compose(k->k_parent, IMSG_STATE_LOADED, 0, -1, &mr,
	    sizeof(mr));
}

void
keeper_publish(struct keeper *k)
{
	keeper_answer(k, MSG_OK, 0, "");
	k->k_published = 1;
	k->k_publish();
}

/* What an attempt came to; the first good one publishes the state. */
static void
keeper_tell(struct keeper *k, int error)
{
	char	 text[STATEFILE_WHY_MAX];

	if (!k->k_published && error != 0) {
		(void)snprintf(text, sizeof(text), "cannot be written: %s",
		    strerror(error));
		keeper_answer(k, MSG_E_IO, 0, text);
		return;
	}
	if (!k->k_published)
		keeper_publish(k);
	if (k->k_ended != NULL)
		k->k_ended(error);
}

/* The attempt is over; go on with what has changed since. */
static void
keeper_end(struct keeper *k, int error)
{
	struct timeval	 tv = { 0, 0 };

	k->k_busy = 0;
	if (error == 0) {
		k->k_saved = k->k_writing;
		k->k_pause = 0;
	} else {
		k->k_pause = k->k_pause == 0 ? 1 : k->k_pause * 2;
		if (k->k_pause > KEEPER_RETRY)
			k->k_pause = KEEPER_RETRY;
		tv.tv_sec = k->k_pause;
		(void)evtimer_add(&k->k_retry, &tv);
	}
	keeper_tell(k, error);
	keeper_begin(k);
}

static int
write_all(int fd, const char *buf, size_t len)
{
	ssize_t	 n;

	while (len > 0) {
		if ((n = write(fd, buf, len)) == -1) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		buf += n;
		len -= n;
	}
	return fsync(fd);
}

/* Render into the new file; 0 or errno. */
static int
keeper_write(struct keeper *k, int fd)
{
	ssize_t	 len;
	int	 error = 0;

	k->k_writing = k->k_gen;
	if ((len = k->k_render(k->k_buf, k->k_size)) == -1 ||
	    write_all(fd, k->k_buf, len) == -1)
		error = errno;
	explicit_bzero(k->k_buf, k->k_size);
	if (close(fd) == -1 && error == 0)
		error = errno;
	return error;
}

static int
keeper_newfd(struct keeper *k, struct imsg *imsg)
{
	struct msg_u32	 m;
	int		 fd;

	fd = imsg_get_fd(imsg);
	if (msg_get(imsg, &m, sizeof(m)) == -1 || !k->k_busy ||
	    (fd == -1) != (m.v != 0) || m.v > INT32_MAX) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	if (fd == -1) {
		k->k_writing = k->k_gen;
		keeper_end(k, m.v);
		return 0;
	}
	m.v = keeper_write(k, fd);
	(void)chan_compose(k->k_parent, IMSG_STATE_WRITTEN, 0, -1, &m,
	    sizeof(m));
	return 0;
}

int
keeper_msg(struct keeper *k, struct imsg *imsg)
{
	struct msg_u32	 m;

	switch (imsg_get_type(imsg)) {
	case IMSG_STATE_NEWFD:
		return keeper_newfd(k, imsg);
	case IMSG_STATE_SAVED:
		if (msg_get(imsg, &m, sizeof(m)) == -1 || !k->k_busy ||
		    m.v > INT32_MAX)
			return -1;
		keeper_end(k, m.v);
		return 0;
	default:
		return -1;
	}
}

/*
 * All of the file into k_buf; the descriptor is closed. Its length, or -1
 * with errno (EFBIG: longer than any of ours).
 */
static ssize_t
keeper_read(struct keeper *k, int fd)
{
	size_t	 len = 0;
	ssize_t	 n;
	int	 error = 0;

	for (;;) {
		if ((n = read(fd, k->k_buf + len, k->k_size - len)) == -1) {
			if (errno == EINTR)
				continue;
			error = errno;
			break;
		}
		if (n == 0)
			break;
		len += n;
		if (len == k->k_size) {
			error = EFBIG;
			break;
		}
	}
	(void)close(fd);
	if (error != 0) {
		explicit_bzero(k->k_buf, k->k_size);
		errno = error;
		return -1;
	}
	return len;
}

static enum keeper_fd
keeper_parse(struct keeper *k, int fd)
{
	struct statefile_error	 error;
	char			 text[STATEFILE_WHY_MAX];
	ssize_t			 len;
	int			 ret;

	if ((len = keeper_read(k, fd)) == -1) {
		(void)snprintf(text, sizeof(text), "cannot be read: %s",
		    strerror(errno));
		keeper_answer(k, MSG_E_IO, 0, text);
		return KEEPER_FAILED;
	}
	ret = k->k_parse(k->k_buf, len, &error);
	explicit_bzero(k->k_buf, k->k_size);
	if (ret == -1) {
		keeper_answer(k, MSG_E_BAD, error.se_line, error.se_why);
		return KEEPER_FAILED;
	}
	return KEEPER_READ;
}

enum keeper_fd
keeper_load(struct keeper *k, struct imsg *imsg)
{
	struct msg_u32	 m;
	int		 fd;

	fd = imsg_get_fd(imsg);
	if (msg_get(imsg, &m, sizeof(m)) == -1 || k->k_loaded ||
	    (fd != -1) != (m.v != 0)) {
		if (fd != -1)
			(void)close(fd);
		return KEEPER_BAD;
	}
	k->k_loaded = 1;
	return fd == -1 ? KEEPER_NONE : keeper_parse(k, fd);
}
