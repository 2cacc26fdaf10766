/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: what a client that has shaken hands may send to frontd, and
 * what stored may answer meanwhile. The input is HTTP/2 behind the preface;
 * each byte that is skipped by 0xff chooses an answer of stored's.
 */
/* link: ../../coordd/frontd/buf.c ../../coordd/frontd/h2.c */
/* link: ../../coordd/frontd/rpc.c ../../coordd/frontd/stream.c */
/* libs: -lnghttp2 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../coordd/frontd/frontd.h"
#include "imsg.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct msg_conf_frontd	 conf = { "http://x", 100, 50 };
static struct chan		 stored;
static struct conn		*conn;
static uint32_t			 asked;	/* last stream that stored has */

struct chan *
frontd_stored(void)
{
	return &stored;
}

const struct msg_conf_frontd *
frontd_conf(void)
{
	return &conf;
}

struct conn *
conn_find(uint64_t id)
{
	return id == conn->c_id ? conn : NULL;
}

void
conn_close(struct conn *c, const char *why)
{
	c->c_dead = 1;
}

void
conn_flush(struct conn *c)
{
	if (c->c_busy || c->c_dead)
		return;
	do {
		buf_drain(&c->c_out, c->c_out.b_len);
		if (h2_fill(c) == -1)
			c->c_dead = 1;
	} while (!c->c_dead && c->c_out.b_len > 0);
}

void
conn_put_header(struct conn *c, uint8_t opcode, size_t len)
{
}

const char *
conn_name(const struct conn *c)
{
	return "fuzz";
}

int
chan_compose2(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const void *hdr, size_t hlen, const void *data, size_t len)
{
	struct msg_rpc	 rpc;

	memcpy(&rpc, hdr, sizeof(rpc));
	if (type != IMSG_RPC_CLOSE)
		asked = rpc.stream;
	if (hlen + len > MAX_IMSGSIZE - IMSG_HEADER_SIZE)
		abort();
	return 0;
}

int
chan_compose(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const void *data, size_t len)
{
	return chan_compose2(c, type, id, fd, data, len, NULL, 0);
}

size_t
chan_queued(const struct chan *c)
{
	return 0;
}

/* An answer of the kind that this byte says. */
static void
answer(uint8_t how)
{
	static const char	 text[] = "{\"KeepAlive\":true}";
	struct msg_rpc_answer	 m;
	struct imsgbuf		 ib;
	struct imsg		 imsg;
	struct ibuf		*buf;

	memset(&m, 0, sizeof(m));
	m.rpc.conn = conn->c_id;
	m.rpc.stream = asked;
	m.rpc.flags = how & 3;
	m.type = how >> 2 & 3;
	m.status = how & 16 ? 404 : 200;
	m.len = how & 32 ? 0 : sizeof(text) - 1;
	memset(&ib, 0, sizeof(ib));
	if ((buf = ibuf_dynamic(0, 1024)) == NULL ||
	    ibuf_add(buf, &m, sizeof(m)) == -1 ||
	    ibuf_add(buf, text, m.len) == -1)
		abort();
	memset(&imsg, 0, sizeof(imsg));
	imsg.buf = buf;
	imsg.hdr.len = IMSG_HEADER_SIZE + sizeof(m) + m.len;
	imsg.hdr.type = IMSG_RPC_ANSWER;
	(void)rpc_answer(&imsg);
	ibuf_free(buf);
}

static void
feed(struct noise_record *tx, const uint8_t *data, size_t len)
{
	uint8_t	 frame[NOISE_FRAME_MAX];
	ssize_t	 n;

	while (len > 0 && !conn->c_dead) {
		n = len < NOISE_PLAIN_MAX ? len : NOISE_PLAIN_MAX;
		len -= n;
		data += n;
		if ((n = noise_seal(tx, data - n, n, frame)) == -1)
			abort();
		buf_add(&conn->c_in, frame, n);
		if (h2_input(conn) == -1)
			conn->c_dead = 1;
		conn_flush(conn);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msg_srv_noise_out	 m;
	struct noise_record		*tx;
	const uint8_t			*p;
	static int			 once;
	size_t				 n;

	if (!once) {
		event_init();
		stored.c_open = 1;
		once = 1;
	}
	memset(&m, 0, sizeof(m));
	m.rx[0] = 1;
	if ((conn = calloc(1, sizeof(*conn))) == NULL ||
	    (tx = noise_record_new(m.rx, 0, 1)) == NULL)
		abort();
	conn->c_id = 7;
	asked = 0;
	TAILQ_INIT(&conn->c_streams);
	if (h2_open(conn, &m) == -1)
		abort();
	feed(tx, (const uint8_t *)PREFACE, sizeof(PREFACE) - 1);
	while (len > 0 && !conn->c_dead) {
		p = memchr(data, 0xff, len);
		n = p == NULL ? len : (size_t)(p - data);
		feed(tx, data, n);
		data += n;
		len -= n;
		if (len >= 2 && !conn->c_dead)
			answer(data[1]);
		n = len < 2 ? len : 2;
		data += n;
		len -= n;
	}
	if (!conn->c_dead && h2_tick(conn) == 0)
		conn_flush(conn);
	conn->c_dead = 1;
	h2_close(conn);
	noise_record_free(tx);
	buf_free(&conn->c_in);
	buf_free(&conn->c_out);
	free(conn);
	return 0;
}
