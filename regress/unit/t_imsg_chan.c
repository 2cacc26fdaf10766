/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Channels: the message table refuses wrong senders, receivers, lengths and
 * descriptors; every row takes what it should; a reader that sleeps is given
 * up; a handler may close its own channel.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <err.h>
#include <event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "log.h"
#include "msgtab.h"

static int		 got, lost;
static enum chan_end	 how;
static struct chan	 chan;

/* --- the table --- */

static const struct {
	const char	*what;
	uint32_t	 type;
	enum proc	 from, to;
	size_t		 len;
	int		 fd, good;
} rows[] = {
	{ "good", IMSG_KEYS, PROC_CRYPTOD, PROC_NETD,
	    sizeof(struct msg_keys), 0, 1 },
	{ "no type", IMSG_NONE, PROC_CRYPTOD, PROC_NETD, 0, 0, 0 },
	{ "type too high", IMSG_MAX, PROC_CRYPTOD, PROC_NETD, 0, 0, 0 },
	{ "type far too high", 0xffffffff, PROC_CRYPTOD, PROC_NETD, 0, 0, 0 },
	{ "sender", IMSG_KEYS, PROC_NETD, PROC_CTRLD,
	    sizeof(struct msg_keys), 0, 0 },
	{ "receiver", IMSG_KEYS, PROC_CRYPTOD, PROC_DNSD,
	    sizeof(struct msg_keys), 0, 0 },
	{ "no process", IMSG_KEYS, PROC_MAX, PROC_NETD,
	    sizeof(struct msg_keys), 0, 0 },
	{ "short", IMSG_KEYS, PROC_CRYPTOD, PROC_NETD,
	    sizeof(struct msg_keys) - 1, 0, 0 },
	{ "long", IMSG_KEYS, PROC_CRYPTOD, PROC_NETD,
	    sizeof(struct msg_keys) + 1, 0, 0 },
	{ "unexpected descriptor", IMSG_KEYS, PROC_CRYPTOD, PROC_NETD,
	    sizeof(struct msg_keys), 1, 0 },
	{ "descriptor", IMSG_TUN, PROC_PARENT, PROC_NETD,
	    sizeof(struct msg_tun), 1, 1 },
	{ "missing descriptor", IMSG_TUN, PROC_PARENT, PROC_NETD,
	    sizeof(struct msg_tun), 0, 0 },
	{ "maybe, with", IMSG_CONNECTED, PROC_PARENT, PROC_CTRLD,
	    sizeof(struct msg_connected), 1, 1 },
	{ "maybe, without", IMSG_CONNECTED, PROC_PARENT, PROC_CTRLD,
	    sizeof(struct msg_connected), 0, 1 },
	{ "list, none", IMSG_ENDPOINTS, PROC_NETD, PROC_CTRLD,
	    sizeof(struct msg_nm_list), 0, 1 },
	{ "list, most", IMSG_ENDPOINTS, PROC_NETD, PROC_CTRLD,
	    sizeof(struct msg_nm_list) +
	    MSG_LIST_MAX * sizeof(struct msg_endpoint), 0, 1 },
	{ "list, too many", IMSG_ENDPOINTS, PROC_NETD, PROC_CTRLD,
	    sizeof(struct msg_nm_list) +
	    (MSG_LIST_MAX + 1) * sizeof(struct msg_endpoint), 0, 0 }
};

/* Whatever the table allows must fit into a message. */
#define SIZE_ROW(n, f, t, l, fd, m)	{ #n, SIZE_OF(l) },
#define SIZE_OF(...)			SIZE_LAST(__VA_ARGS__)
#define SIZE_LAST(min, max)		max
static const struct {
	const char	*name;
	size_t		 max;
} sizes[] = {
	MESSAGES(SIZE_ROW)
};

static void
test_table(void)
{
	const char	*why;
	size_t		 i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		why = msgtab_check(rows[i].type, rows[i].from, rows[i].to,
		    rows[i].len, rows[i].fd);
		if ((why == NULL) != rows[i].good)
			errx(1, "%s: %s", rows[i].what, why);
	}
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i].max > MAX_IMSGSIZE - IMSG_HEADER_SIZE)
			errx(1, "%s may have %zu bytes", sizes[i].name,
			    sizes[i].max);
	if (!msgtab_fdpass(PROC_PARENT, PROC_NETD) ||
	    !msgtab_fdpass(PROC_NETD, PROC_PARENT) ||
	    msgtab_fdpass(PROC_NETD, PROC_CRYPTOD) ||
	    msgtab_fdpass(PROC_CTRLD, PROC_DNSD))
		errx(1, "pairs that pass descriptors");
	if (strcmp(msg_name(IMSG_TUN), "TUN") != 0 ||
	    strcmp(msg_name(9999), "?") != 0 ||
	    strcmp(proc_name(PROC_NETD), "netd") != 0 ||
	    strcmp(msg_strerror(9999), "unknown error") != 0)
		errx(1, "names");
}

/* --- a channel in the loop; the far end is a plain imsgbuf --- */

static void
stop_cb(int fd, short events, void *arg)
{
	(void)event_loopbreak();
}

static void
run(int ms)
{
	struct timeval	 tv = { ms / 1000, ms % 1000 * 1000 };
	struct event	 ev;

	evtimer_set(&ev, stop_cb, NULL);
	(void)evtimer_add(&ev, &tv);
	event_dispatch();
	(void)evtimer_del(&ev);
}

static int
msg_cb(struct chan *c, struct imsg *imsg)
{
	struct msg_u32	 m;

	got++;
	if (imsg_get_type(imsg) == IMSG_UDP_REBIND &&
	    msg_get(imsg, &m, sizeof(m)) == 0 && m.v == 99)
		return -1;
	if (imsg_get_id(imsg) == 1234)
		chan_close(c);
	return 0;
}

static void
lost_cb(struct chan *c, enum chan_end end)
{
	lost++;
	how = end;
}

static const struct chan_cb	 cb = { msg_cb, lost_cb };

/* The parent's end is ours, netd's is the far one. */
static void
far_open(struct imsgbuf *far)
{
	int	 sp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sp) == -1 ||
	    imsgbuf_init(far, sp[1]) == -1)
		err(1, "socketpair");
	imsgbuf_allow_fdpass(far);
	chan_open(&chan, sp[0], PROC_PARENT, PROC_NETD, &cb, NULL);
	got = lost = 0;
}

static void
far_close(struct imsgbuf *far)
{
	int	 fd = far->fd;

	imsgbuf_clear(far);
	(void)close(fd);
}

static void
far_send(struct imsgbuf *far, uint32_t type, uint32_t id, int fd,
    uint32_t value, size_t len)
{
	if (imsg_compose(far, type, id, 0, fd, &value, len) != 1 ||
	    imsgbuf_flush(far) == -1)
		err(1, "far end");
}

static void
expect(const char *what, int messages, int losses, enum chan_end end)
{
	run(30);
	if (got != messages || lost != losses || (losses > 0 && how != end))
		errx(1, "%s: %d messages, %d losses, end %d", what, got, lost,
		    (int)how);
}

static void
test_chan(void)
{
	struct imsgbuf	 far;

	far_open(&far);
	far_send(&far, IMSG_UDP_REBIND, 0, -1, 4, 4);
	far_send(&far, IMSG_UDP_REBIND, 0, -1, 4, 4);
	expect("good", 2, 0, CHAN_EOF);
	far_send(&far, IMSG_UDP_REBIND, 0, -1, 99, 4);
	expect("bad contents", 3, 1, CHAN_BROKEN);
	far_close(&far);

	far_open(&far);
	far_send(&far, IMSG_UDP_REBIND, 0, -1, 4, 3);
	expect("bad length", 0, 1, CHAN_BROKEN);
	far_close(&far);

	far_open(&far);
	far_send(&far, IMSG_UDP_REBIND, 0, dup(0), 4, 4);
	expect("unexpected descriptor", 0, 1, CHAN_BROKEN);
	far_close(&far);

	far_open(&far);
	far_send(&far, IMSG_KEYS, 0, -1, 4, 4);
	expect("wrong sender", 0, 1, CHAN_BROKEN);
	far_close(&far);

	far_open(&far);
	far_send(&far, IMSG_UDP_REBIND, 0, -1, 4, 4);
	far_close(&far);
	expect("end of file", 1, 1, CHAN_EOF);

	far_open(&far);
	(void)!write(far.fd, "0123456789abcdef", 16);
	expect("garbage", 0, 1, CHAN_BROKEN);
	far_close(&far);

	far_open(&far);
	far_send(&far, IMSG_UDP_REBIND, 1234, -1, 4, 4);
	far_send(&far, IMSG_UDP_REBIND, 0, -1, 4, 4);
	expect("closed by its handler", 1, 0, CHAN_EOF);
	far_close(&far);
}

/* Nobody reads: what may be dropped is, at last the channel is given up. */
static void
test_stuck(void)
{
	struct imsgbuf	 far;
	struct msg_u32	 m = { 1 };
	int		 i, refused = 0;

	far_open(&far);
	for (i = 0; i < 2 * CHAN_QUEUE_DROP; i++)
		if (chan_compose_drop(&chan, IMSG_VERBOSE, 0, &m,
		    sizeof(m)) == -1)
			refused++;
	if (refused != CHAN_QUEUE_DROP - 1 ||
	    chan.c_dropped != (uint64_t)refused)
		errx(1, "%d refused", refused);
	for (i = 0; i < CHAN_QUEUE_MAX + 1000; i++)
		(void)chan_compose(&chan, IMSG_VERBOSE, 0, -1, &m, sizeof(m));
	if (chan_queued(&chan) != CHAN_QUEUE_MAX)
		errx(1, "%zu queued", chan_queued(&chan));
	expect("stuck", 0, 1, CHAN_STUCK);
	far_close(&far);
	if (chan_compose(&chan, IMSG_VERBOSE, 0, -1, &m, sizeof(m)) != -1)
		errx(1, "composed on a closed channel");
}

static void
test_list(void)
{
	struct imsg		 imsg;
	struct msg_nm_list	 list = { 1, 2, 0 }, copy;
	struct imsgbuf		 far;
	const uint8_t		*elems;
	char			 s[8], data[sizeof(list) + 8];
	int			 fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1 ||
	    imsgbuf_init(&far, fd[0]) == -1)
		err(1, "socketpair");
	memcpy(data, &list, sizeof(list));
	memcpy(data + sizeof(list), "abcdefg", 8);
	(void)imsg_compose(&far, 1, 0, 0, -1, data, sizeof(data));
	(void)imsg_compose(&far, 1, 0, 0, -1, "abcdefg", 8);
	(void)imsgbuf_flush(&far);
	far_close(&far);
	if (imsgbuf_init(&far, fd[1]) == -1 || imsgbuf_read(&far) != 1 ||
	    imsgbuf_get(&far, &imsg) != 1)
		errx(1, "list message");
	if (msg_list(&imsg, &copy, sizeof(copy), &elems) == -1 ||
	    msg_list_ok(&imsg, sizeof(copy), copy.n, 4) == -1 ||
	    msg_list_ok(&imsg, sizeof(copy), copy.n + 1, 4) != -1 ||
	    msg_list_ok(&imsg, sizeof(copy), copy.n, 3) != -1 ||
	    memcmp(elems, "abcdefg", 8) != 0)
		errx(1, "list");
	imsg_free(&imsg);
	if (imsgbuf_get(&far, &imsg) != 1 ||
	    msg_get_str(&imsg, s, 7) != -1 ||
	    msg_get_str(&imsg, s, 8) == -1 || strcmp(s, "abcdefg") != 0)
		errx(1, "string");
	imsg_free(&imsg);
	far_close(&far);
}

int
main(void)
{
	log_init(1, "t_imsg_chan");
	if (getenv("T_VERBOSE") == NULL &&
	    freopen("/dev/null", "a", stderr) == NULL)
		err(1, "/dev/null");
	(void)event_init();
	test_table();
	test_list();
	test_chan();
	test_stuck();
	return 0;
}
