/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Buffers, and queues of them over a local stream socket. Buffers are wiped
 * when freed: session keys travel in them.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"

#define WRITE_IOV	64		/* buffers of one sendmsg */
#define READ_SIZE	16384
#define HEADER_MAX	64
#define READ_FDS	4		/* came, but not their header yet */

/* Room for more than one, so that surplus ones are seen and closed. */
union cmsg_fds {
	struct cmsghdr	 hdr;
	char		 buf[CMSG_SPACE(sizeof(int) * READ_FDS)];
};

struct msgbuf {
	TAILQ_HEAD(, ibuf)	 bufs;		/* to write */
	TAILQ_HEAD(, ibuf)	 rbufs;		/* read and complete */
	uint32_t		 queued;
	struct ibuf		*rpmsg;		/* being read */
	struct ibuf		*(*readhdr)(struct ibuf *, void *, int *);
	void			*rarg;
	unsigned char		 part[HEADER_MAX]; /* of the next header */
	size_t			 roff;		/* how much of it has come */
	size_t			 hdrsize;
	int			 rfd[READ_FDS];
	int			 nrfd;
};

/*
 * What a read brings is cut into messages at once, and the place wiped: one
 * serves all channels of a process, from its main thread.
 */
static unsigned char	 rbuf[HEADER_MAX + READ_SIZE];

struct ibuf *
ibuf_open(size_t len)
{
	struct ibuf	*buf;

	if (len == 0) {
		errno = EINVAL;
		return NULL;
	}
	if ((buf = calloc(1, sizeof(*buf))) == NULL)
		return NULL;
	if ((buf->buf = calloc(1, len)) == NULL) {
		free(buf);
		return NULL;
	}
	buf->size = buf->max = len;
	buf->fd = IBUF_FDNONE;
	return buf;
}

struct ibuf *
ibuf_dynamic(size_t len, size_t max)
{
	struct ibuf	*buf;

	if (max == 0 || len > max) {
		errno = EINVAL;
		return NULL;
	}
	if ((buf = ibuf_open(len > 0 ? len : 1)) == NULL)
		return NULL;
	buf->max = max;
	return buf;
}

void
ibuf_free(struct ibuf *buf)
{
	int	 saved = errno;

	if (buf == NULL || buf->borrowed)
		return;
	if (buf->fd != IBUF_FDNONE)
		(void)close(buf->fd);
	freezero(buf->buf, buf->size);
	free(buf);
	errno = saved;
}

static int
ibuf_grow(struct ibuf *buf, size_t len)
{
	unsigned char	*nb;
	size_t		 want;

	want = buf->size * 2;
	if (want < buf->wpos + len)
		want = buf->wpos + len;
	if (want > buf->max)
		want = buf->max;
	if ((nb = recallocarray(buf->buf, buf->size, want, 1)) == NULL)
		return -1;
	buf->buf = nb;
	buf->size = want;
	return 0;
}

void *
ibuf_reserve(struct ibuf *buf, size_t len)
{
	void	*p;

	if (buf->borrowed || buf->wpos > buf->max ||
	    len > buf->max - buf->wpos) {
		errno = ERANGE;
		return NULL;
	}
	if (len > buf->size - buf->wpos && ibuf_grow(buf, len) == -1)
		return NULL;
	p = buf->buf + buf->wpos;
	buf->wpos += len;
	return p;
}

int
ibuf_add(struct ibuf *buf, const void *data, size_t len)
{
	void	*p;

	if (len == 0)
		return 0;
	if ((p = ibuf_reserve(buf, len)) == NULL)
		return -1;
	memcpy(p, data, len);
	return 0;
}

int
ibuf_add_ibuf(struct ibuf *buf, const struct ibuf *from)
{
	return ibuf_add(buf, ibuf_data(from), ibuf_size(from));
}

int
ibuf_add_zero(struct ibuf *buf, size_t len)
{
	void	*p;

	if (len == 0)
		return 0;
	if ((p = ibuf_reserve(buf, len)) == NULL)
		return -1;
	memset(p, 0, len);
	return 0;
}

/* The string and zeros up to len; it must end within len. */
int
ibuf_add_strbuf(struct ibuf *buf, const char *str, size_t len)
{
	size_t	 n;
	char	*p;

	n = strlen(str);
	if (n >= len) {
		errno = EOVERFLOW;
		return -1;
	}
	if ((p = ibuf_reserve(buf, len)) == NULL)
		return -1;
	memcpy(p, str, n);
	memset(p + n, 0, len - n);
	return 0;
}

int
ibuf_add_n8(struct ibuf *buf, uint64_t value)
{
	uint8_t	 v = value;

	if (value > UINT8_MAX) {
		errno = EINVAL;
		return -1;
	}
	return ibuf_add(buf, &v, sizeof(v));
}

int
ibuf_add_n16(struct ibuf *buf, uint64_t value)
{
	uint16_t	 v = htobe16(value);

	if (value > UINT16_MAX) {
		errno = EINVAL;
		return -1;
	}
	return ibuf_add(buf, &v, sizeof(v));
}

int
ibuf_add_n32(struct ibuf *buf, uint64_t value)
{
	uint32_t	 v = htobe32(value);

	if (value > UINT32_MAX) {
		errno = EINVAL;
		return -1;
	}
	return ibuf_add(buf, &v, sizeof(v));
}

int
ibuf_add_n64(struct ibuf *buf, uint64_t value)
{
	value = htobe64(value);
	return ibuf_add(buf, &value, sizeof(value));
}

int
ibuf_add_h16(struct ibuf *buf, uint64_t value)
{
	uint16_t	 v = value;

	if (value > UINT16_MAX) {
		errno = EINVAL;
		return -1;
	}
	return ibuf_add(buf, &v, sizeof(v));
}

int
ibuf_add_h32(struct ibuf *buf, uint64_t value)
{
	uint32_t	 v = value;

	if (value > UINT32_MAX) {
		errno = EINVAL;
		return -1;
	}
	return ibuf_add(buf, &v, sizeof(v));
}

int
ibuf_add_h64(struct ibuf *buf, uint64_t value)
{
	return ibuf_add(buf, &value, sizeof(value));
}

void *
ibuf_seek(struct ibuf *buf, size_t pos, size_t len)
{
	if (pos > ibuf_size(buf) || len > ibuf_size(buf) - pos) {
		errno = ERANGE;
		return NULL;
	}
	return buf->buf + buf->rpos + pos;
}

int
ibuf_set(struct ibuf *buf, size_t pos, const void *data, size_t len)
{
	void	*p;

	if ((p = ibuf_seek(buf, pos, len)) == NULL)
		return -1;
	memcpy(p, data, len);
	return 0;
}

int
ibuf_set_n8(struct ibuf *buf, size_t pos, uint64_t value)
{
	uint8_t	 v = value;

	if (value > UINT8_MAX) {
		errno = EINVAL;
		return -1;
	}
	return ibuf_set(buf, pos, &v, sizeof(v));
}

int
ibuf_set_n16(struct ibuf *buf, size_t pos, uint64_t value)
{
	uint16_t	 v = htobe16(value);

	if (value > UINT16_MAX) {
		errno = EINVAL;
		return -1;
	}
	return ibuf_set(buf, pos, &v, sizeof(v));
}

int
ibuf_set_n32(struct ibuf *buf, size_t pos, uint64_t value)
{
	uint32_t	 v = htobe32(value);

	if (value > UINT32_MAX) {
		errno = EINVAL;
		return -1;
	}
	return ibuf_set(buf, pos, &v, sizeof(v));
}

int
ibuf_set_n64(struct ibuf *buf, size_t pos, uint64_t value)
{
	value = htobe64(value);
	return ibuf_set(buf, pos, &value, sizeof(value));
}

int
ibuf_set_h16(struct ibuf *buf, size_t pos, uint64_t value)
{
	uint16_t	 v = value;

	if (value > UINT16_MAX) {
		errno = EINVAL;
		return -1;
	}
	return ibuf_set(buf, pos, &v, sizeof(v));
}

int
ibuf_set_h32(struct ibuf *buf, size_t pos, uint64_t value)
{
	uint32_t	 v = value;

	if (value > UINT32_MAX) {
		errno = EINVAL;
		return -1;
	}
	return ibuf_set(buf, pos, &v, sizeof(v));
}

int
ibuf_set_h64(struct ibuf *buf, size_t pos, uint64_t value)
{
	return ibuf_set(buf, pos, &value, sizeof(value));
}

void *
ibuf_data(const struct ibuf *buf)
{
	return buf->buf + buf->rpos;
}

size_t
ibuf_size(const struct ibuf *buf)
{
	return buf->wpos - buf->rpos;
}

size_t
ibuf_left(const struct ibuf *buf)
{
	return buf->borrowed ? 0 : buf->max - buf->wpos;
}

/* Shorten, or lengthen with zeros. */
int
ibuf_truncate(struct ibuf *buf, size_t len)
{
	if (ibuf_size(buf) >= len) {
		buf->wpos = buf->rpos + len;
		return 0;
	}
	if (buf->borrowed) {
		errno = ERANGE;
		return -1;
	}
	return ibuf_add_zero(buf, len - ibuf_size(buf));
}

void
ibuf_rewind(struct ibuf *buf)
{
	buf->rpos = 0;
}

void
ibuf_from_buffer(struct ibuf *buf, void *data, size_t len)
{
	memset(buf, 0, sizeof(*buf));
	buf->buf = data;
	buf->size = buf->wpos = buf->max = len;
	buf->fd = IBUF_FDNONE;
	buf->borrowed = 1;
}

void
ibuf_from_ibuf(struct ibuf *buf, const struct ibuf *from)
{
	ibuf_from_buffer(buf, ibuf_data(from), ibuf_size(from));
}

int
ibuf_get(struct ibuf *buf, void *data, size_t len)
{
	if (ibuf_size(buf) < len) {
		errno = EBADMSG;
		return -1;
	}
	if (len > 0)
		memcpy(data, ibuf_data(buf), len);
	buf->rpos += len;
	return 0;
}

int
ibuf_get_ibuf(struct ibuf *buf, size_t len, struct ibuf *to)
{
	if (ibuf_size(buf) < len) {
		errno = EBADMSG;
		return -1;
	}
	ibuf_from_buffer(to, ibuf_data(buf), len);
	buf->rpos += len;
	return 0;
}

int
ibuf_get_n8(struct ibuf *buf, uint8_t *value)
{
	return ibuf_get(buf, value, sizeof(*value));
}

int
ibuf_get_n16(struct ibuf *buf, uint16_t *value)
{
	if (ibuf_get(buf, value, sizeof(*value)) == -1)
		return -1;
	*value = be16toh(*value);
	return 0;
}

int
ibuf_get_n32(struct ibuf *buf, uint32_t *value)
{
	if (ibuf_get(buf, value, sizeof(*value)) == -1)
		return -1;
	*value = be32toh(*value);
	return 0;
}

int
ibuf_get_n64(struct ibuf *buf, uint64_t *value)
{
	if (ibuf_get(buf, value, sizeof(*value)) == -1)
		return -1;
	*value = be64toh(*value);
	return 0;
}

int
ibuf_get_h16(struct ibuf *buf, uint16_t *value)
{
	return ibuf_get(buf, value, sizeof(*value));
}

int
ibuf_get_h32(struct ibuf *buf, uint32_t *value)
{
	return ibuf_get(buf, value, sizeof(*value));
}

int
ibuf_get_h64(struct ibuf *buf, uint64_t *value)
{
	return ibuf_get(buf, value, sizeof(*value));
}

/* Exactly len bytes without a NUL among them, as a string. */
char *
ibuf_get_string(struct ibuf *buf, size_t len)
{
	char	*s;

	if (ibuf_size(buf) < len ||
	    memchr(ibuf_data(buf), '\0', len) != NULL) {
		errno = EBADMSG;
		return NULL;
	}
	if ((s = strndup(ibuf_data(buf), len)) == NULL)
		return NULL;
	buf->rpos += len;
	return s;
}

/* An array of len bytes that holds a NUL-terminated string. */
int
ibuf_get_strbuf(struct ibuf *buf, char *str, size_t len)
{
	if (len == 0) {
		errno = EINVAL;
		return -1;
	}
	if (ibuf_get(buf, str, len) == -1)
		return -1;
	if (memchr(str, '\0', len) == NULL) {
		str[len - 1] = '\0';
		errno = EOVERFLOW;
		return -1;
	}
	return 0;
}

int
ibuf_skip(struct ibuf *buf, size_t len)
{
	if (ibuf_size(buf) < len) {
		errno = EBADMSG;
		return -1;
	}
	buf->rpos += len;
	return 0;
}

int
ibuf_fd_avail(struct ibuf *buf)
{
	return buf->fd != IBUF_FDNONE;
}

int
ibuf_fd_get(struct ibuf *buf)
{
	int	 fd = buf->fd;

	buf->fd = IBUF_FDNONE;
	return fd;
}

void
ibuf_fd_set(struct ibuf *buf, int fd)
{
	if (buf->fd != IBUF_FDNONE)
		(void)close(buf->fd);
	buf->fd = fd < 0 ? IBUF_FDNONE : fd;
}

struct msgbuf *
msgbuf_new(void)
{
	struct msgbuf	*mb;

	if ((mb = calloc(1, sizeof(*mb))) == NULL)
		return NULL;
	TAILQ_INIT(&mb->bufs);
	TAILQ_INIT(&mb->rbufs);
	return mb;
}

struct msgbuf *
msgbuf_new_reader(size_t hdrsz,
    struct ibuf *(*readhdr)(struct ibuf *, void *, int *), void *arg)
{
	struct msgbuf	*mb;

	if (hdrsz == 0 || hdrsz > HEADER_MAX) {
		errno = EINVAL;
		return NULL;
	}
	if ((mb = msgbuf_new()) == NULL)
		return NULL;
	mb->hdrsize = hdrsz;
	mb->readhdr = readhdr;
	mb->rarg = arg;
	return mb;
}

void
msgbuf_clear(struct msgbuf *mb)
{
	struct ibuf	*buf;

	while ((buf = TAILQ_FIRST(&mb->bufs)) != NULL) {
		TAILQ_REMOVE(&mb->bufs, buf, entry);
		ibuf_free(buf);
	}
	mb->queued = 0;
	while ((buf = TAILQ_FIRST(&mb->rbufs)) != NULL) {
		TAILQ_REMOVE(&mb->rbufs, buf, entry);
		ibuf_free(buf);
	}
	ibuf_free(mb->rpmsg);
	mb->rpmsg = NULL;
	while (mb->nrfd > 0)
		(void)close(mb->rfd[--mb->nrfd]);
	mb->roff = 0;
}

void
msgbuf_free(struct msgbuf *mb)
{
	if (mb == NULL)
		return;
	msgbuf_clear(mb);
	free(mb);
}

uint32_t
msgbuf_queuelen(struct msgbuf *mb)
{
	return mb->queued;
}

void
ibuf_close(struct msgbuf *mb, struct ibuf *buf)
{
	TAILQ_INSERT_TAIL(&mb->bufs, buf, entry);
	mb->queued++;
}

struct ibuf *
msgbuf_get(struct msgbuf *mb)
{
	struct ibuf	*buf;

	if ((buf = TAILQ_FIRST(&mb->rbufs)) != NULL)
		TAILQ_REMOVE(&mb->rbufs, buf, entry);
	return buf;
}

/* Take n written bytes off the queue. */
static void
msgbuf_drain(struct msgbuf *mb, size_t n)
{
	struct ibuf	*buf;

	while ((buf = TAILQ_FIRST(&mb->bufs)) != NULL) {
		if (n < ibuf_size(buf)) {
			buf->rpos += n;
			return;
		}
		n -= ibuf_size(buf);
		TAILQ_REMOVE(&mb->bufs, buf, entry);
		mb->queued--;
		ibuf_free(buf);
	}
}

/*
 * One sendmsg. A buffer with a descriptor is only ever the first, as the
 * receiver's kernel delivers it with the first byte. Returns 1 if all of the
 * iov went out, 0 if the socket is full, -1 on error.
 */
static int
msgbuf_send(int fd, struct msgbuf *mb, int fdpass)
{
	union cmsg_fds	 cmsg;
	struct msghdr	 msg;
	struct iovec	 iov[WRITE_IOV];
	struct ibuf	*buf, *first;
	size_t		 total = 0;
	ssize_t		 n;
	int		 i = 0;

	memset(&msg, 0, sizeof(msg));
	first = TAILQ_FIRST(&mb->bufs);
	TAILQ_FOREACH(buf, &mb->bufs, entry) {
		if (i == WRITE_IOV || (i > 0 && buf->fd != IBUF_FDNONE))
			break;
		iov[i].iov_base = ibuf_data(buf);
		iov[i].iov_len = ibuf_size(buf);
		total += iov[i++].iov_len;
	}
	msg.msg_iov = iov;
	msg.msg_iovlen = i;
	if (first->fd != IBUF_FDNONE) {
		if (!fdpass) {
			errno = EINVAL;
			return -1;
		}
		memset(&cmsg, 0, sizeof(cmsg));
		msg.msg_control = cmsg.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
		cmsg.hdr.cmsg_len = CMSG_LEN(sizeof(int));
		cmsg.hdr.cmsg_level = SOL_SOCKET;
		cmsg.hdr.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&cmsg.hdr), &first->fd, sizeof(int));
	}
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN || errno == EWOULDBLOCK ||
		    errno == ENOBUFS ? 0 : -1;
	if (first->fd != IBUF_FDNONE) {
		(void)close(first->fd);
		first->fd = IBUF_FDNONE;
	}
	msgbuf_drain(mb, n);
	return (size_t)n == total;
}

static int
msgbuf_send_all(int fd, struct msgbuf *mb, int fdpass)
{
	int	 ret;

	while (!TAILQ_EMPTY(&mb->bufs))
		if ((ret = msgbuf_send(fd, mb, fdpass)) != 1)
			return ret;
	return 0;
}

int
ibuf_write(int fd, struct msgbuf *mb)
{
	return msgbuf_send_all(fd, mb, 0);
}

int
msgbuf_write(int fd, struct msgbuf *mb)
{
	return msgbuf_send_all(fd, mb, 1);
}

/* Oldest descriptor that came and is not claimed. */
static int
msgbuf_fd_shift(struct msgbuf *mb)
{
	int	 fd;

	if (mb->nrfd == 0)
		return -1;
	fd = mb->rfd[0];
	mb->nrfd--;
	memmove(mb->rfd, mb->rfd + 1, mb->nrfd * sizeof(mb->rfd[0]));
	return fd;
}

/* A header is complete: have a buffer made for its message. */
static int
msgbuf_header(struct msgbuf *mb, struct ibuf *data)
{
	struct ibuf	 hdr;
	int		 fd;

	ibuf_from_buffer(&hdr, ibuf_data(data), mb->hdrsize);
	fd = msgbuf_fd_shift(mb);
	mb->rpmsg = mb->readhdr(&hdr, mb->rarg, &fd);
	if (fd != -1) {				/* not its own: put it back */
		memmove(mb->rfd + 1, mb->rfd, mb->nrfd * sizeof(mb->rfd[0]));
		mb->rfd[0] = fd;
		mb->nrfd++;
	}
	if (mb->rpmsg == NULL)
		return -1;
	if (mb->rpmsg->max < mb->hdrsize) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

/* Cut what has come into messages; keep an incomplete header. */
static int
msgbuf_cut(struct msgbuf *mb, size_t len)
{
	struct ibuf	 data, *msg;
	size_t		 n;

	ibuf_from_buffer(&data, rbuf, len);
	for (;;) {
		if (mb->rpmsg == NULL) {
			if (ibuf_size(&data) < mb->hdrsize)
				break;
			if (msgbuf_header(mb, &data) == -1)
				return -1;
		}
		msg = mb->rpmsg;
		n = ibuf_left(msg);
		if (n > ibuf_size(&data))
			n = ibuf_size(&data);
		if (ibuf_add(msg, ibuf_data(&data), n) == -1)
			return -1;
		data.rpos += n;
		if (ibuf_left(msg) > 0)
			break;
		TAILQ_INSERT_TAIL(&mb->rbufs, msg, entry);
		mb->rpmsg = NULL;
	}
	mb->roff = ibuf_size(&data);
	memcpy(mb->part, ibuf_data(&data), mb->roff);
	if (mb->nrfd > 0 && mb->roff == 0) {	/* nobody announced it */
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

static int
msgbuf_process(struct msgbuf *mb, size_t len)
{
	int	 ret;

	ret = msgbuf_cut(mb, len);
	explicit_bzero(rbuf, len);
	return ret;
}

/* Collect the descriptors of a recvmsg; -1 if there are too many. */
static int
msgbuf_collect_fds(struct msgbuf *mb, struct msghdr *msg)
{
	struct cmsghdr	*c;
	size_t		 i, n, taken = 0;
	int		 fd;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			    sizeof(fd));
			if (taken++ > 0 || mb->nrfd == READ_FDS - 1)
				(void)close(fd);
			else
				mb->rfd[mb->nrfd++] = fd;
		}
	}
	if (taken > 1) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

static int
msgbuf_recv(int fd, struct msgbuf *mb, int fdpass)
{
	union cmsg_fds	 cmsg;
	struct msghdr	 msg;
	struct iovec	 iov;
	ssize_t		 n;

	if (mb->readhdr == NULL) {
		errno = EINVAL;
		return -1;
	}
	memset(&msg, 0, sizeof(msg));
	memset(&cmsg, 0, sizeof(cmsg));
	iov.iov_base = rbuf + mb->roff;
	iov.iov_len = READ_SIZE;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (fdpass) {
		msg.msg_control = cmsg.buf;
		msg.msg_controllen = sizeof(cmsg.buf);
	}
	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 1 : -1;
	if (fdpass && msgbuf_collect_fds(mb, &msg) == -1)
		return -1;
	if (n == 0)
		return 0;
	memcpy(rbuf, mb->part, mb->roff);
	return msgbuf_process(mb, mb->roff + n) == -1 ? -1 : 1;
}

int
ibuf_read(int fd, struct msgbuf *mb)
{
	return msgbuf_recv(fd, mb, 0);
}

int
msgbuf_read(int fd, struct msgbuf *mb)
{
	return msgbuf_recv(fd, mb, 1);
}
