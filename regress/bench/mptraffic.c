/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Data of many peers by turns, and the node's own programs at its end.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/endian.h>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <arpa/inet.h>

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "manypeers.h"

#define IP_LEN		20
#define UDP_LEN		8
#define CHECK_EACH	64		/* of what comes, one is opened */
#define FIRST		(10 * NSEC)	/* wait for so long */
#define AFTER		(300 * MSEC)	/* what is still on its way */
#define TICK		MSEC
#define SINK_BUF	65535

#define JOINED		16		/* messages of one call */

/* Messages that hold several datagrams each. */
struct joined {
	struct mmsghdr	 j_msg[JOINED];
	struct iovec	 j_iov[JOINED];
	uint8_t		 j_control[JOINED][CONTROL_LEN]
			    __attribute__((aligned(8)));
	uint8_t		 j_data[JOINED][SINK_BUF];
};

struct counts {
	uint64_t	 c_got;
	uint64_t	 c_bad;
};

static uint32_t
sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	size_t	 i;

	for (i = 0; i + 1 < len; i += 2)
		sum += be16dec(p + i);
	if (len % 2)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* An IPv4 packet with UDP, as the stack of the peer would make it. */
static size_t
packet_make(uint8_t *p, uint32_t src, uint32_t dst, size_t size)
{
	size_t		 len = IP_LEN + UDP_LEN + size;
	uint32_t	 sum;

	memset(p, 0, len);
	p[0] = 0x45;
	be16enc(p + 2, (uint16_t)len);
	be16enc(p + 6, 0x4000);
	p[8] = 64;
	p[9] = IPPROTO_UDP;
	be32enc(p + 12, src);
	be32enc(p + 16, dst);
	be16enc(p + 10, (uint16_t)~sum16(p, IP_LEN, 0));
	be16enc(p + IP_LEN, DATA_PORT);
	be16enc(p + IP_LEN + 2, DATA_PORT);
	be16enc(p + IP_LEN + 4, (uint16_t)(UDP_LEN + size));
	sum = sum16(p + 12, 8, IPPROTO_UDP + UDP_LEN + (uint32_t)size);
	be16enc(p + IP_LEN + 6, (uint16_t)~sum16(p + IP_LEN, len - IP_LEN,
	    sum));
	return len;
}

static void
nap(void)
{
	struct timespec	 ts = { 0, TICK };

	(void)nanosleep(&ts, NULL);
}

/* How many may be sent by now; all, if there is no limit. */
static unsigned int
due(double rate, int64_t start, int64_t now, uint64_t sent)
{
	double	 d;

	if (rate == 0)
		return BATCH;
	d = (double)(now - start) / NSEC * rate - (double)sent;
	return d < 0 ? 0 : d > BATCH ? BATCH : (unsigned int)d;
}

void
traffic_to_node(const char *inner, size_t size, double seconds, double rate)
{
	static struct batch	 out;
	static uint8_t		 plain[DGRAM_MAX];
	struct wg_item		 item[BATCH];
	struct in_addr		 dst;
	struct mpeer		*p;
	int64_t			 start = now_ns(), now = start;
	int64_t			 end = start + (int64_t)(seconds * NSEC);
	uint64_t		 sent = 0;
	unsigned int		 i, n;
	size_t			 len, padded;
	uint32_t		 next = 0;

	if (inet_pton(AF_INET, inner, &dst) != 1)
		errx(2, "%s: not an address", inner);
	for (; now < end; now = now_ns()) {
		if ((n = due(rate, start, now, sent)) == 0) {
			nap();
			continue;
		}
		for (i = 0; i < n; i++, next = (next + 1) % npeers) {
			p = &peers[next];
			len = packet_make(plain, INNER_NET + next,
			    ntohl(dst.s_addr), size);
			padded = wg_pad(len, 0);
			item[i].wi_pkt = batch_add(&out, next,
			    padded + WG_TRANSPORT_OVERHEAD);
			memcpy(item[i].wi_pkt + WG_TRANSPORT_HDR_LEN, plain,
			    padded);
			item[i].wi_key = p->p_send;
			item[i].wi_len = padded;
			item[i].wi_counter = p->p_counter++;
			item[i].wi_receiver = p->p_ws.ws_remote;
		}
		wg_seal_many(item, n);
		sent += batch_send(&out);
	}
	printf("{\"sent\": %.0f, ", (double)sent / seconds);
	cpu_print();
	printf("}\n");
}

/* Is it a packet for that peer under its key? */
static int
data_good(const uint8_t *m, size_t len)
{
	static uint8_t	 plain[DGRAM_MAX];
	uint32_t	 i = wg_receiver(m);
	ssize_t		 n;

	if (i >= npeers)
		return 0;
	n = wg_open(peers[i].p_recv, m, len, plain);
	return n >= IP_LEN && be32dec(plain + 16) == INNER_NET + i;
}

/*
 * How long to count: from the first packet, and a little longer than it is
 * sent for.
 */
static int64_t
until(double seconds)
{
	return now_ns() + (int64_t)(seconds * NSEC) + AFTER;
}

/* How long each datagram of that message is. */
static size_t
piece_size(struct msghdr *m, size_t len)
{
	struct cmsghdr	*c;
	int		 size;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			return size > 0 ? (size_t)size : len;
		}
	return len;
}

/*
 * Receive what there is, several datagrams of a peer in one message if they
 * came so: every machine of 1000 would do that for itself. And then sleep
 * rather than wait: to be woken is work of the sender's, which it would not
 * have if they were machines.
 */
static unsigned int
joined_recv(struct joined *j)
{
	struct msghdr	*m;
	unsigned int	 i;
	int		 n;

	for (i = 0; i < JOINED; i++) {
		m = &j->j_msg[i].msg_hdr;
		memset(m, 0, sizeof(*m));
		j->j_iov[i].iov_base = j->j_data[i];
		j->j_iov[i].iov_len = sizeof(j->j_data[i]);
		m->msg_iov = &j->j_iov[i];
		m->msg_iovlen = 1;
		m->msg_control = j->j_control[i];
		m->msg_controllen = sizeof(j->j_control[i]);
	}
	n = recvmmsg(sock, j->j_msg, JOINED, MSG_DONTWAIT, NULL);
	if (n < JOINED)
		nap();
	return n > 0 ? (unsigned int)n : 0;
}

/* A datagram: data, and if it is one of those looked at, good? */
static void
data_count(struct counts *c, const uint8_t *m, size_t len)
{
	if (wg_classify(m, len) != WG_MSG_TRANSPORT ||
	    len == WG_TRANSPORT_OVERHEAD)
		return;
	if (c->c_got++ % CHECK_EACH == 0 && !data_good(m, len))
		c->c_bad++;
}

void
traffic_from_node(double seconds)
{
	static struct joined	 in;
	struct counts		 c = { 0, 0 };
	int64_t			 end = now_ns() + FIRST;
	uint64_t		 before;
	unsigned int		 i, n;
	size_t			 len, off, size;
	int			 on = 1;

	if (setsockopt(sock, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) == -1)
		err(1, "UDP_GRO");
	while (now_ns() < end) {
		n = joined_recv(&in);
		before = c.c_got;
		for (i = 0; i < n; i++) {
			len = in.j_msg[i].msg_len;
			size = piece_size(&in.j_msg[i].msg_hdr, len);
			for (off = 0; off < len; off += size)
				data_count(&c, in.j_data[i] + off,
				    len - off < size ? len - off : size);
		}
		if (before == 0 && c.c_got != 0) {
			end = until(seconds);
			cpu_mark(NULL);
		}
	}
	printf("{\"delivered\": %.0f, \"bad\": %llu, ",
	    (double)c.c_got / seconds, (unsigned long long)c.c_bad);
	cpu_print();
	printf("}\n");
}

/* --- the node's own programs --- */

static int
plain_socket(void)
{
	struct sockaddr_in	 sin;
	int			 s, size = 8 * 1024 * 1024;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons(DATA_PORT);
	if ((s = socket(AF_INET, SOCK_DGRAM, 0)) == -1 ||
	    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size,
	    sizeof(size)) == -1 ||
	    bind(s, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(1, "socket");
	return s;
}

static void
message(struct mmsghdr *m, struct iovec *iov, struct sockaddr_in *sin,
    void *data, size_t len)
{
	memset(m, 0, sizeof(*m));
	iov->iov_base = data;
	iov->iov_len = len;
	m->msg_hdr.msg_name = sin;
	m->msg_hdr.msg_namelen = sin == NULL ? 0 : sizeof(*sin);
	m->msg_hdr.msg_iov = iov;
	m->msg_hdr.msg_iovlen = 1;
}

/* To all peers by turns: a burst for each, in one piece for the kernel. */
void
plain_send(uint32_t n, size_t size, unsigned int burst, double seconds,
    double rate)
{
	static struct mmsghdr	 msg[BATCH];
	static struct iovec	 iov[BATCH];
	static struct sockaddr_in sin[BATCH];
	static uint8_t		 data[SINK_BUF];
	int64_t			 start = now_ns(), now = start;
	int64_t			 end = start + (int64_t)(seconds * NSEC);
	uint64_t		 sent = 0;
	unsigned int		 i, want;
	uint32_t		 next = 0;
	int			 s = plain_socket(), got, seg = (int)size;

	if (burst == 0 || n == 0 || size * burst > SINK_BUF - UDP_LEN - IP_LEN)
		errx(2, "burst");
	if (burst > 1 && setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &seg,
	    sizeof(seg)) == -1)
		err(1, "UDP_SEGMENT");
	for (; now < end; now = now_ns()) {
		want = due(rate / burst, start, now, sent / burst);
		for (i = 0; i < want; i++, next = (next + 1) % n) {
			sin[i].sin_family = AF_INET;
			sin[i].sin_port = htons(DATA_PORT);
			sin[i].sin_addr.s_addr = htonl(INNER_NET + next);
			message(&msg[i], &iov[i], &sin[i], data,
			    size * burst);
		}
		got = want == 0 ? 0 : sendmmsg(s, msg, want, 0);
		if (got > 0)
			sent += (uint64_t)got * burst;
		else
			nap();
	}
	printf("{\"sent\": %.0f}\n", (double)sent / seconds);
	close(s);
}

void
plain_sink(double seconds)
{
	static struct mmsghdr	 msg[BATCH];
	static struct iovec	 iov[BATCH];
	static uint8_t		 data[BATCH][DGRAM_MAX];
	struct timeval		 tv = { 0, 10000 };
	int64_t			 end = now_ns() + FIRST;
	uint64_t		 got = 0;
	unsigned int		 i;
	int			 s = plain_socket(), n;

	if (setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == -1)
		err(1, "SO_RCVTIMEO");
	fprintf(stderr, "ready\n");
	while (now_ns() < end) {
		for (i = 0; i < BATCH; i++)
			message(&msg[i], &iov[i], NULL, data[i], DGRAM_MAX);
		n = recvmmsg(s, msg, BATCH, MSG_WAITFORONE, NULL);
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			err(1, "recvmmsg");
		if (n > 0 && got == 0)
			end = until(seconds);
		got += n > 0 ? (uint64_t)n : 0;
	}
	printf("{\"delivered\": %.0f}\n", (double)got / seconds);
	close(s);
}
