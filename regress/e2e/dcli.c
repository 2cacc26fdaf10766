/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Connections of DERP clients for tests and measurements: they block, and
 * what goes wrong ends the program.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dcli.h"

static struct sockaddr_in	 server;
static SSL_CTX			*ctx;
static int			 fast, web;
static const char		*mesh_key, *server_name;

void
cli_setup(const char *address, const char *port, int flags, const char *key)
{
	server.sin_family = AF_INET;
	server.sin_port = htons(strtonum(port, 1, 65535, NULL));
	if (inet_pton(AF_INET, address, &server.sin_addr) != 1)
		errx(2, "address");
	fast = flags & CLI_FAST;
	web = flags & CLI_WEB;
	mesh_key = key;
	if ((flags & CLI_TLS) &&
	    (ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		errx(1, "TLS");
}

void
cli_name(const char *name)
{
	server_name = name;
}

static ssize_t
raw_read(struct cli *c, void *buf, size_t len)
{
	return c->l_ssl != NULL ? SSL_read(c->l_ssl, buf, len) :
	    read(c->l_fd, buf, len);
}

static void
raw_write(struct cli *c, const void *buf, size_t len)
{
	const uint8_t	*p = buf;
	ssize_t		 n;

	for (; len > 0; len -= n, p += n) {
		n = c->l_ssl != NULL ? SSL_write(c->l_ssl, p, len) :
		    write(c->l_fd, p, len);
		if (n <= 0)
			errx(1, "write");
	}
}

/* The head of a message; 0, or -1 at the end. */
static int
web_head(struct cli *c)
{
	uint8_t	 h[4];
	size_t	 n, have = 0, want = 2;
	ssize_t	 got;

	for (; have < want; have += got) {
		if ((got = raw_read(c, h + have, want - have)) <= 0)
			return -1;
		if (have + got >= 2 && (h[1] & 0x7f) == 126)
			want = 4;
	}
	n = h[1];
	if (h[0] != 0x82 || n > 126)
		errx(1, "not a binary message: %02x %02x", h[0], h[1]);
	c->l_left = n == 126 ? h[2] << 8 | h[3] : n;
	return 0;
}

static ssize_t
cli_read(struct cli *c, void *buf, size_t len)
{
	ssize_t	 n;

	if (!c->l_web)
		return raw_read(c, buf, len);
	while (c->l_left == 0)
		if (web_head(c) == -1)
			return -1;
	if ((n = raw_read(c, buf, len < c->l_left ? len : c->l_left)) > 0)
		c->l_left -= n;
	return n;
}

/* One message, or more; their boundaries mean nothing. */
void
cli_write(struct cli *c, const void *buf, size_t len)
{
	const uint8_t	*p = buf;
	uint8_t		 out[8 + 20000];
	size_t		 i, n;

	if (!c->l_web) {
		raw_write(c, buf, len);
		return;
	}
	for (; len > 0; len -= n, p += n) {
		n = len > 20000 ? 20000 : len;
		out[0] = 0x82;
		out[1] = 0x80 | 126;
		out[2] = n >> 8;
		out[3] = n & 0xff;
		arc4random_buf(out + 4, 4);
		for (i = 0; i < n; i++)
			out[8 + i] = p[i] ^ out[4 + i % 4];
		raw_write(c, out, 8 + n);
	}
}

int
cli_fill(struct cli *c, uint8_t *p, size_t len)
{
	ssize_t	 n;

	for (; len > 0; len -= n, p += n)
		if ((n = cli_read(c, p, len)) <= 0)
			return -1;
	return 0;
}

int
cli_frame(struct cli *c, uint8_t *buf, struct derp_frame *f)
{
	if (cli_fill(c, buf, DERP_HDR_LEN) == -1)
		return -1;
	(void)derp_frame_parse(buf, DERP_HDR_LEN, f);
	if (f->df_len > FRAME_SIZE - DERP_HDR_LEN)
		errx(1, "frame of %u bytes", f->df_len);
	return cli_fill(c, buf + DERP_HDR_LEN, f->df_len);
}

static void
cli_upgrade(struct cli *c)
{
	static const char	 head[] = "GET /derp HTTP/1.1\r\n"
	    "Host: x\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n";
	static const char	 web_request[] = "GET /derp HTTP/1.1\r\n"
	    "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: derp\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
	char			 line[1024];
	size_t			 n;

	if (web)
		cli_write(c, web_request, sizeof(web_request) - 1);
	else
		cli_write(c, head, sizeof(head) - 1);
	if (fast && !web) {
		cli_write(c, "Derp-Fast-Start: 1\r\n\r\n", 22);
		return;
	}
	cli_write(c, "\r\n", 2);
	for (n = 0; n < 4 || memcmp(line + n - 4, "\r\n\r\n", 4) != 0; n++)
		if (n == sizeof(line) || cli_fill(c, (uint8_t *)line + n,
		    1) == -1)
			errx(1, "no answer to the upgrade");
	if (strncmp(line, "HTTP/1.1 101 ", 13) != 0)
		errx(1, "no upgrade");
	line[n - 1] = '\0';
	if (web && strstr(line, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == NULL)
		errx(1, "no accept key");
	c->l_web = web;
}

static void
cli_login(struct cli *c)
{
	struct derp_frame	 f;
	uint8_t			 buf[FRAME_SIZE], out[512];
	uint8_t			 server_key[KEY_LEN], box[KEY_LEN];
	uint8_t			 nonce[KEY_BOX_NONCE_LEN];
	char			 info[160];
	size_t			 len;

	if (cli_frame(c, buf, &f) == -1 || derp_server_key_parse(&f,
	    server_key) == -1)
		errx(1, "no greeting");
	if (key_box_precompute(c->l_priv, server_key, box) == -1)
		errx(1, "server key");
	len = mesh_key != NULL ? snprintf(info, sizeof(info),
	    "{\"meshKey\":\"%s\",\"version\":2,\"CanAckPings\":true}",
	    mesh_key) : snprintf(info, sizeof(info),
	    "{\"version\":2,\"CanAckPings\":true}");
	arc4random_buf(nonce, sizeof(nonce));
	derp_header(out, DERP_CLIENT_INFO, KEY_LEN + len + KEY_BOX_OVERHEAD);
	memcpy(out + DERP_HDR_LEN, c->l_pub, KEY_LEN);
	key_box_seal(box, nonce, (const uint8_t *)info, len,
	    out + DERP_HDR_LEN + KEY_LEN);
	cli_write(c, out, DERP_HDR_LEN + KEY_LEN + len + KEY_BOX_OVERHEAD);
	if (cli_frame(c, buf, &f) == -1 || f.df_type != DERP_SERVER_INFO ||
	    key_box_open(box, f.df_data, f.df_len, out) == -1)
		errx(1, "no server info");
}

void
cli_open(struct cli *c, const struct cli *same)
{
	struct timeval	 tv = { 10, 0 };
	int		 on = 1;

	memset(c, 0, sizeof(*c));
	if (same != NULL)
		memcpy(c->l_priv, same->l_priv, sizeof(c->l_priv));
	else {
		arc4random_buf(c->l_priv, sizeof(c->l_priv));
		key_clamp(c->l_priv);
	}
	key_public(c->l_priv, c->l_pub);
	if ((c->l_fd = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    connect(c->l_fd, (struct sockaddr *)&server,
	    sizeof(server)) == -1)
		err(1, "connect");
	(void)setsockopt(c->l_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(c->l_fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (ctx != NULL) {
		if ((c->l_ssl = SSL_new(ctx)) == NULL ||
		    !SSL_set_fd(c->l_ssl, c->l_fd) ||
		    (server_name != NULL && !SSL_set_tlsext_host_name(
		    c->l_ssl, server_name)) ||
		    SSL_connect(c->l_ssl) != 1)
			errx(1, "TLS");
	}
	cli_upgrade(c);
	cli_login(c);
}

void
cli_close(struct cli *c)
{
	SSL_free(c->l_ssl);
	close(c->l_fd);
}

void
cli_send(struct cli *c, const struct cli *to, const void *data, size_t len)
{
	static uint8_t	 out[FRAME_SIZE];

	if (derp_packet_head(DERP_SEND_PACKET, to->l_pub, len, out) == -1)
		errx(1, "packet");
	memcpy(out + DERP_RECV_HDR_LEN, data, len);
	cli_write(c, out, DERP_RECV_HDR_LEN + len);
}

void
cli_ping(struct cli *c)
{
	struct derp_frame	 f;
	struct derp_msg		 m;
	uint8_t			 buf[FRAME_SIZE];
	size_t			 n;

	memset(&m, 0, sizeof(m));
	m.dm_type = DERP_PING;
	memcpy(m.dm_ping, "pingpong", DERP_PING_LEN);
	n = derp_build(&m, buf);
	cli_write(c, buf, n);
	if (cli_frame(c, buf, &f) == -1 || derp_client_parse(&f, &m) != 1 ||
	    m.dm_type != DERP_PONG || memcmp(m.dm_ping, "pingpong",
	    DERP_PING_LEN) != 0)
		errx(1, "no pong");
}
