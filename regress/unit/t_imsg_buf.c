/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * imsg over a socketpair: partial reads, descriptors, sizes, floods, and
 * what a hostile writer can do to the frame.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"

static int	 sp[2];

static void
pair(struct imsgbuf *a, struct imsgbuf *b, int fdpass)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sp) == -1)
		err(1, "socketpair");
	if (imsgbuf_init(a, sp[0]) == -1 || imsgbuf_init(b, sp[1]) == -1)
		err(1, "imsgbuf_init");
	if (fdpass) {
		imsgbuf_allow_fdpass(a);
		imsgbuf_allow_fdpass(b);
	}
}

static void
unpair(struct imsgbuf *a, struct imsgbuf *b)
{
	imsgbuf_clear(a);
	imsgbuf_clear(b);
	(void)close(sp[0]);
	(void)close(sp[1]);
}

static int
open_fds(void)
{
	int	 fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			n++;
	return n;
}

/* A message comes out as it went in, also byte by byte. */
static void
test_partial(void)
{
	struct imsgbuf	 a, b;
	struct imsg	 imsg;
	unsigned char	 wire[256];
	ssize_t		 i, len;
	char		 s[32] = "";

	pair(&a, &b, 0);
	if (imsg_compose(&a, 5, 6, 0, -1, "hello", 6) != 1 ||
	    imsg_compose(&a, 7, 8, 9, -1, NULL, 0) != 1 ||
	    imsgbuf_queuelen(&a) != 2 || imsgbuf_flush(&a) == -1)
		errx(1, "compose");
	if ((len = recv(sp[1], wire, sizeof(wire), 0)) != 38)
		errx(1, "wire length %zd", len);
	for (i = 0; i < len; i++) {
		if (send(sp[0], wire + i, 1, 0) != 1 || imsgbuf_read(&b) != 1)
			errx(1, "byte %zd", i);
		if (i < 21 && imsgbuf_get(&b, &imsg) != 0)
			errx(1, "message after %zd bytes", i);
	}
	if (imsgbuf_get(&b, &imsg) != 1 || imsg_get_type(&imsg) != 5 ||
	    imsg_get_id(&imsg) != 6 || imsg_get_len(&imsg) != 6 ||
	    imsg_get_data(&imsg, s, 5) != -1 ||
	    imsg_get_strbuf(&imsg, s, 6) == -1 || strcmp(s, "hello") != 0)
		errx(1, "first message");
	if (imsg_get_fd(&imsg) != -1)
		errx(1, "descriptor from nowhere");
	imsg_free(&imsg);
	if (imsgbuf_get(&b, &imsg) != 1 || imsg_get_type(&imsg) != 7 ||
	    imsg_get_pid(&imsg) != 9 || imsg_get_len(&imsg) != 0)
		errx(1, "second message");
	imsg_free(&imsg);
	if (imsgbuf_get(&b, &imsg) != 0)
		errx(1, "third message");
	(void)shutdown(sp[0], SHUT_WR);
	if (imsgbuf_read(&b) != 0)
		errx(1, "end of file");
	unpair(&a, &b);
}

/* Each descriptor arrives with its own message, among others. */
static void
test_fds(void)
{
	struct imsgbuf	 a, b;
	struct imsg	 imsg;
	struct stat	 st, want;
	int		 fd, i, before = open_fds(), n = 0;

	pair(&a, &b, 1);
	if (stat("/dev/null", &want) == -1)
		err(1, "/dev/null");
	for (i = 0; i < 60; i++) {
		fd = i % 3 == 0 ? open("/dev/null", O_RDONLY) : -1;
		if (imsg_compose(&a, 100 + i, 0, 0, fd, &i, sizeof(i)) != 1)
			err(1, "compose");
	}
	if (imsgbuf_write(&a) == -1 || imsgbuf_queuelen(&a) != 0)
		err(1, "write");
	while (n < 60) {
		if (imsgbuf_read(&b) != 1)
			err(1, "read");
		while (imsgbuf_get(&b, &imsg) == 1) {
			if (imsg_get_type(&imsg) != (uint32_t)(100 + n) ||
			    imsg_get_data(&imsg, &i, sizeof(i)) == -1 ||
			    i != n)
				errx(1, "message %d", n);
			fd = imsg_get_fd(&imsg);
			if ((n % 3 == 0) != (fd != -1))
				errx(1, "descriptor of %d", n);
			if (fd != -1 && (fstat(fd, &st) == -1 ||
			    st.st_rdev != want.st_rdev ||
			    fcntl(fd, F_GETFD) != FD_CLOEXEC))
				errx(1, "wrong descriptor with %d", n);
			if (n % 2 == 0 && fd != -1)
				(void)close(fd);
			else if (fd != -1)	/* imsg_free closes it */
				ibuf_fd_set(imsg.buf, fd);
			imsg_free(&imsg);
			n++;
		}
	}
	unpair(&a, &b);
	if (open_fds() != before)
		errx(1, "descriptors leak");
}

/* Raw bytes with so many descriptors. */
static void
send_raw(const void *data, size_t len, int nfds)
{
	union {
		struct cmsghdr	 hdr;
		char		 buf[CMSG_SPACE(sizeof(int) * 8)];
	} cmsg;
	struct msghdr	 msg;
	struct iovec	 iov;
	unsigned char	 copy[64];
	int		 i, fd = STDERR_FILENO;

	memset(&msg, 0, sizeof(msg));
	memset(&cmsg, 0, sizeof(cmsg));
	memcpy(copy, data, len);
	iov.iov_base = copy;
	iov.iov_len = len;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (nfds > 0) {
		msg.msg_control = cmsg.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cmsg.hdr.cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		cmsg.hdr.cmsg_level = SOL_SOCKET;
		cmsg.hdr.cmsg_type = SCM_RIGHTS;
		for (i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(&cmsg.hdr) + i * sizeof(int), &fd,
			    sizeof(fd));
	}
	if (sendmsg(sp[0], &msg, 0) != (ssize_t)len)
		err(1, "sendmsg");
}

static const struct {
	const char	*what;
	uint32_t	 len;		/* in the header */
	int		 nfds;
	int		 fdpass;
	int		 result;	/* of imsgbuf_read */
} frames[] = {
	{ "plain",			 16,		0, 1, 1 },
	{ "shorter than a header",	 15,		0, 1, -1 },
	{ "zero",			 0,		0, 1, -1 },
	{ "above the maximum",		 16385,		0, 1, -1 },
	{ "all ones",			 0x7fffffff,	0, 1, -1 },
	{ "marked, one descriptor",	 0x80000010,	1, 1, 1 },
	{ "marked, none",		 0x80000010,	0, 1, 1 },
	{ "unmarked, one descriptor",	 16,		1, 1, -1 },
	{ "marked, two",		 0x80000010,	2, 1, -1 },
	{ "marked, many",		 0x80000010,	8, 1, -1 },
	{ "not allowed here",		 0x80000010,	1, 0, 1 }
};

static void
test_frames(void)
{
	struct imsgbuf	 a, b;
	struct imsg	 imsg;
	struct imsg_hdr	 hdr;
	size_t		 i;
	int		 before = open_fds(), got;

	for (i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		pair(&a, &b, frames[i].fdpass);
		memset(&hdr, 0, sizeof(hdr));
		hdr.type = 1;
		hdr.len = frames[i].len;
		send_raw(&hdr, sizeof(hdr), frames[i].nfds);
		if ((got = imsgbuf_read(&b)) != frames[i].result)
			errx(1, "%s: %d", frames[i].what, got);
		if (got == 1 && imsgbuf_get(&b, &imsg) == 1) {
			if (frames[i].nfds == 0 || !frames[i].fdpass)
				if (imsg_get_fd(&imsg) != -1)
					errx(1, "%s: fd", frames[i].what);
			imsg_free(&imsg);
		}
		unpair(&a, &b);
		if (open_fds() != before)
			errx(1, "%s: descriptors leak", frames[i].what);
	}
}

/* The writer stops when the socket is full, and nothing is lost. */
static void
test_flood(void)
{
	struct imsgbuf	 a, b;
	struct imsg	 imsg;
	char		*data;
	uint32_t	 i, n = 0;

	pair(&a, &b, 1);
	if ((data = calloc(1, MAX_IMSGSIZE)) == NULL)
		err(1, NULL);
	if (imsg_compose(&a, 1, 0, 0, -1, data, MAX_IMSGSIZE -
	    IMSG_HEADER_SIZE + 1) != -1 || errno != ERANGE)
		errx(1, "oversize composed");
	for (i = 0; i < 500; i++)
		if (imsg_compose(&a, i + 1, 0, 0, -1, data,
		    i * 37 % (MAX_IMSGSIZE - IMSG_HEADER_SIZE + 1)) != 1)
			err(1, "compose");
	while (n < 500) {
		if (imsgbuf_write(&a) == -1 || imsgbuf_read(&b) != 1)
			err(1, "flood");
		while (imsgbuf_get(&b, &imsg) == 1) {
			if (imsg_get_type(&imsg) != ++n ||
			    imsg_get_len(&imsg) != (n - 1) * 37 %
			    (MAX_IMSGSIZE - IMSG_HEADER_SIZE + 1))
				errx(1, "message %u", n);
			imsg_free(&imsg);
		}
	}
	free(data);
	unpair(&a, &b);
}

static void
test_ibuf(void)
{
	struct ibuf	*b, sub;
	uint64_t	 v64;
	uint32_t	 v32;
	uint16_t	 v16;
	uint8_t		 v8;
	char		 s[8];

	if ((b = ibuf_dynamic(1, 32)) == NULL)
		err(1, "ibuf_dynamic");
	if (ibuf_add_n8(b, 1) == -1 || ibuf_add_n16(b, 0x0203) == -1 ||
	    ibuf_add_n32(b, 0x04050607) == -1 || ibuf_add_h64(b, 9) == -1 ||
	    ibuf_add_strbuf(b, "abc", 8) == -1)
		err(1, "ibuf_add");
	if (ibuf_add_n8(b, 256) != -1 || ibuf_add_n16(b, 65536) != -1 ||
	    ibuf_add_strbuf(b, "12345678", 8) != -1 ||
	    ibuf_add_zero(b, 10) != -1)
		errx(1, "added what does not fit");
	if (ibuf_size(b) != 23 || ibuf_left(b) != 9)
		errx(1, "size %zu left %zu", ibuf_size(b), ibuf_left(b));
	if (ibuf_get_n8(b, &v8) == -1 || v8 != 1 ||
	    ibuf_get_n16(b, &v16) == -1 || v16 != 0x0203 ||
	    ibuf_get_n32(b, &v32) == -1 || v32 != 0x04050607 ||
	    ibuf_get_h64(b, &v64) == -1 || v64 != 9 ||
	    ibuf_get_ibuf(b, 8, &sub) == -1 ||
	    ibuf_get_strbuf(&sub, s, 8) == -1 || strcmp(s, "abc") != 0)
		errx(1, "ibuf_get");
	if (ibuf_get_n8(b, &v8) != -1 || errno != EBADMSG)
		errx(1, "read past the end");
	ibuf_rewind(b);
	if (ibuf_set_n16(b, 1, 0x0a0b) == -1 || ibuf_skip(b, 1) == -1 ||
	    ibuf_get_n16(b, &v16) == -1 || v16 != 0x0a0b ||
	    ibuf_set_n32(b, 17, 0) != -1)
		errx(1, "ibuf_set");
	ibuf_free(b);
}

int
main(void)
{
	test_partial();
	test_fds();
	test_frames();
	test_flood();
	test_ibuf();
	return 0;
}
