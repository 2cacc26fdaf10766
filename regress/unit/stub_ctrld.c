/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Tests of ctrld's parts link this in place of ctrld.c: the configuration
 * and channels that lead nowhere; what is sent over them is the test's.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <err.h>
#include <unistd.h>

#include "../../ctrld/ctrld.h"
#include "proc.h"
#include "stub_ctrld.h"

struct ctrld_conf	 stub_conf;
static struct chan	 cryptod, netd, dnsd, parent;

struct chan *
ctrld_cryptod(void)
{
	return &cryptod;
}

struct chan *
ctrld_netd(void)
{
	return &netd;
}

struct chan *
ctrld_dnsd(void)
{
	return &dnsd;
}

struct chan *
proc_parent(void)
{
	return &parent;
}

const struct ctrld_conf *
ctrld_conf(void)
{
	return &stub_conf;
}

void
chan_push(struct chan *c)
{
}

void
stub_deliver(int (*f)(struct imsg *), uint32_t id, int fd, const void *data,
    size_t len)
{
	struct imsgbuf	 a, b;
	struct imsg	 imsg;
	int		 sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1 ||
	    imsgbuf_init(&a, sv[0]) == -1 || imsgbuf_init(&b, sv[1]) == -1)
		err(1, "imsg");
	imsgbuf_allow_fdpass(&a);
	imsgbuf_allow_fdpass(&b);
	if (imsg_compose(&a, 1, id, 0, fd, data, len) == -1 ||
	    imsgbuf_flush(&a) == -1 || imsgbuf_read(&b) != 1 ||
	    imsgbuf_get(&b, &imsg) != 1)
		err(1, "imsg");
	if (f(&imsg) == -1)
		errx(1, "message refused");
	imsg_free(&imsg);
	imsgbuf_clear(&a);
	imsgbuf_clear(&b);
	close(sv[0]);
	close(sv[1]);
}
