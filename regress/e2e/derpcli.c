/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A DERP client for tests.
 *
 *	derpcli [-f] [-t] address port pair	two clients talk, in every way
 *	derpcli [-f] [-t] address port idle n	n that say nothing, until killed
 *	derpcli [-f] [-t] address port stop	waits until it stops
 *	derpcli [-f] [-t] address port flood n	n packets from one to another
 *
 * -t: TLS, -f: fast start.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "derp.h"
#include "keys.h"

#define FRAME_SIZE	(DERP_HDR_LEN + 2 * DERP_KEY_LEN + DERP_PACKET_MAX)

struct cli {
	SSL	*l_ssl;
	int	 l_fd;
	uint8_t	 l_priv[KEY_LEN];
	uint8_t	 l_pub[KEY_LEN];
};

static struct sockaddr_in	 server;
static SSL_CTX			*ctx;
static int			 fast;

static ssize_t
cli_read(struct cli *c, void *buf, size_t len)
{
	return c->l_ssl != NULL ? SSL_read(c->l_ssl, buf, len) :
	    read(c->l_fd, buf, len);
}

static void
cli_write(struct cli *c, const void *buf, size_t len)
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

/* Read all of it; 0, or -1 at the end. */
static int
cli_fill(struct cli *c, uint8_t *p, size_t len)
{
	ssize_t	 n;

	for (; len > 0; len -= n, p += n)
		if ((n = cli_read(c, p, len)) <= 0)
			return -1;
	return 0;
}

/* The next frame; -1 at the end. */
static int
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
	char			 line[1024];
	size_t			 n;

	cli_write(c, head, sizeof(head) - 1);
	if (fast) {
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
}

static void
cli_login(struct cli *c)
{
	static const char	 info[] =
	    "{\"version\":2,\"CanAckPings\":true}";
	struct derp_frame	 f;
	uint8_t			 buf[FRAME_SIZE], out[512];
	uint8_t			 server_key[KEY_LEN], box[KEY_LEN];
	uint8_t			 nonce[KEY_BOX_NONCE_LEN];

	if (cli_frame(c, buf, &f) == -1 || derp_server_key_parse(&f,
	    server_key) == -1)
		errx(1, "no greeting");
	if (key_box_precompute(c->l_priv, server_key, box) == -1)
		errx(1, "server key");
	arc4random_buf(nonce, sizeof(nonce));
	derp_header(out, DERP_CLIENT_INFO, KEY_LEN + sizeof(info) - 1 +
	    KEY_BOX_OVERHEAD);
	memcpy(out + DERP_HDR_LEN, c->l_pub, KEY_LEN);
	key_box_seal(box, nonce, (const uint8_t *)info, sizeof(info) - 1,
	    out + DERP_HDR_LEN + KEY_LEN);
	cli_write(c, out, DERP_HDR_LEN + KEY_LEN + sizeof(info) - 1 +
	    KEY_BOX_OVERHEAD);
	if (cli_frame(c, buf, &f) == -1 || f.df_type != DERP_SERVER_INFO ||
	    key_box_open(box, f.df_data, f.df_len, out) == -1)
		errx(1, "no server info");
}

static void
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
		    SSL_connect(c->l_ssl) != 1)
			errx(1, "TLS");
	}
	cli_upgrade(c);
	cli_login(c);
}

static void
cli_close(struct cli *c)
{
	SSL_free(c->l_ssl);
	close(c->l_fd);
}

static void
cli_send(struct cli *c, const struct cli *to, const void *data, size_t len)
{
	static uint8_t	 out[FRAME_SIZE];

	if (derp_packet_head(DERP_SEND_PACKET, to->l_pub, len, out) == -1)
		errx(1, "packet");
	memcpy(out + DERP_RECV_HDR_LEN, data, len);
	cli_write(c, out, DERP_RECV_HDR_LEN + len);
}

/* The next message must be that packet from that one. */
static void
cli_expect(struct cli *c, const struct cli *from, const void *data,
    size_t len)
{
	static uint8_t		 buf[FRAME_SIZE];
	struct derp_frame	 f;
	struct derp_msg		 m;

	if (cli_frame(c, buf, &f) == -1 || derp_client_parse(&f, &m) != 1 ||
	    m.dm_type != DERP_RECV_PACKET || m.dm_len != len ||
	    memcmp(m.dm_key, from->l_pub, KEY_LEN) != 0 ||
	    memcmp(m.dm_data, data, len) != 0)
		errx(1, "another frame than the packet: %u", f.df_type);
}

static void
cli_expect_gone(struct cli *c, const struct cli *who, int reason)
{
	static uint8_t		 buf[FRAME_SIZE];
	struct derp_frame	 f;
	struct derp_msg		 m;

	if (cli_frame(c, buf, &f) == -1 || derp_client_parse(&f, &m) != 1 ||
	    m.dm_type != DERP_PEER_GONE || m.dm_reason != reason ||
	    memcmp(m.dm_key, who->l_pub, KEY_LEN) != 0)
		errx(1, "no word of its leaving: %u", f.df_type);
}

/* When a ping is answered, all that was sent before is dealt with. */
static void
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

static void
pair(void)
{
	static uint8_t	 big[DERP_PACKET_MAX];
	uint8_t		 disco[80] = "TS\xf0\x9f\x92\xac";
	struct cli	 a, b, b2;

	cli_open(&a, NULL);
	cli_open(&b, NULL);
	cli_send(&a, &b, "hello", 5);
	cli_expect(&b, &a, "hello", 5);
	arc4random_buf(big, sizeof(big));
	cli_send(&b, &a, big, sizeof(big));
	cli_expect(&a, &b, big, sizeof(big));
	cli_open(&b2, &b);
	cli_send(&a, &b, "newest", 6);
	cli_expect(&b2, &a, "newest", 6);
	cli_ping(&b);
	cli_send(&a, &b, "speaker", 7);
	cli_expect(&b, &a, "speaker", 7);
	cli_close(&b);
	/* The other one is alone now, and nobody heard of a departure. */
	usleep(200000);
	cli_send(&a, &b2, "left", 4);
	cli_expect(&b2, &a, "left", 4);
	cli_send(&b2, &a, "yes", 3);
	cli_expect(&a, &b2, "yes", 3);
	cli_close(&b2);
	cli_expect_gone(&a, &b2, DERP_GONE_DISCONNECTED);
	cli_send(&a, &b2, disco, sizeof(disco));
	cli_expect_gone(&a, &b2, DERP_GONE_NOT_HERE);
	cli_write(&a, "\x10\0\0\0\0", 5);	/* watching: mesh alone */
	if (cli_fill(&a, big, 1) != -1)
		errx(1, "a stranger may watch");
	cli_close(&a);
}

static void
idle(int n)
{
	struct cli	*c;
	int		 i;

	if ((c = calloc(n, sizeof(*c))) == NULL)
		err(1, NULL);
	for (i = 0; i < n; i++)
		cli_open(&c[i], NULL);
	printf("idle\n");
	fflush(stdout);
	pause();
}

static void
stop(void)
{
	struct derp_frame	 f;
	struct derp_msg		 m;
	struct cli		 c;
	uint8_t			 buf[FRAME_SIZE];

	cli_open(&c, NULL);
	printf("ready\n");
	fflush(stdout);
	if (cli_frame(&c, buf, &f) == -1 || derp_client_parse(&f, &m) != 1 ||
	    m.dm_type != DERP_RESTARTING || m.dm_try_ms == 0)
		errx(1, "no word of its end");
}

static void
flood(int n)
{
	static uint8_t	 data[1200], buf[FRAME_SIZE];
	struct derp_frame f;
	struct timespec	 t0, t1;
	struct cli	 a, b;
	double		 s;
	pid_t		 pid;
	int		 i;

	cli_open(&a, NULL);
	cli_open(&b, NULL);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	if ((pid = fork()) == 0) {
		for (i = 0; i < n; i++)
			cli_send(&a, &b, data, sizeof(data));
		cli_send(&a, &b, "end", 3);
		sleep(1);
		_exit(0);
	}
	for (i = 0; cli_frame(&b, buf, &f) == 0 &&
	    f.df_len != KEY_LEN + 3; i++)
		;
	clock_gettime(CLOCK_MONOTONIC, &t1);
	s = t1.tv_sec - t0.tv_sec + (t1.tv_nsec - t0.tv_nsec) / 1e9;
	printf("%d of %d packets, %.0f a second\n", i, n, i / s);
}

int
main(int argc, char *argv[])
{
	int	 ch, tls = 0;

	while ((ch = getopt(argc, argv, "ft")) != -1)
		if (ch == 't')
			tls = 1;
		else if (ch == 'f')
			fast = 1;
		else
			return 2;
	argc -= optind;
	argv += optind;
	if (argc < 3)
		errx(2, "arguments");
	server.sin_family = AF_INET;
	server.sin_port = htons(strtonum(argv[1], 1, 65535, NULL));
	if (inet_pton(AF_INET, argv[0], &server.sin_addr) != 1)
		errx(2, "address");
	if (tls && (ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		errx(1, "TLS");
	if (strcmp(argv[2], "pair") == 0)
		pair();
	else if (strcmp(argv[2], "stop") == 0)
		stop();
	else if (argc > 3 && strcmp(argv[2], "idle") == 0)
		idle(strtonum(argv[3], 1, 100000, NULL));
	else if (argc > 3 && strcmp(argv[2], "flood") == 0)
		flood(strtonum(argv[3], 1, 100000000, NULL));
	else
		errx(2, "what?");
	return 0;
}
