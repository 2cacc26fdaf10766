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
 *	derpcli [-f] [-t] address port login [key]	with a private key
 *	derpcli [-f] [-t] address port mesh address port [name]
 *						one at each
 *	derpcli [-f] [-t] address port watch	hear of those who are there
 *	derpcli -t address port update	new keys of TLS, again and again
 *	derpcli [-f] [-t] address port bad	what no client may do
 *	derpcli [-f] [-t] address port strangers n	packets for nobody
 *
 * -t: TLS, -w: WebSocket, -f: fast start, -m key: mesh key, -n name: of the
 * server, for TLS.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dcli.h"

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

/* Log in, with the private key in hex if there is one. */
static void
login(const char *hex)
{
	struct cli	 c, with;
	unsigned int	 i;

	memset(&with, 0, sizeof(with));
	for (i = 0; hex != NULL && i < KEY_LEN; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &with.l_priv[i]) != 1)
			errx(2, "key");
	cli_open(&c, hex != NULL ? &with : NULL);
	cli_ping(&c);
}

/* New keys of TLS, asked for in the middle. */
static void
update(void)
{
	static uint8_t	 big[DERP_PACKET_MAX];
	struct cli	 a, b;
	int		 i;

	cli_open(&a, NULL);
	cli_open(&b, NULL);
	for (i = 0; i < 40; i++) {
		if (SSL_key_update(a.l_ssl, i % 2 ? SSL_KEY_UPDATE_REQUESTED :
		    SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
			errx(1, "SSL_key_update");
		arc4random_buf(big, sizeof(big));
		cli_send(&a, &b, big, sizeof(big));
		cli_expect(&b, &a, big, sizeof(big));
		cli_ping(&a);
	}
}

static void
timeout_ms(struct cli *c, int ms)
{
	struct timeval	 tv = { ms / 1000, ms % 1000 * 1000 };

	if (setsockopt(c->l_fd, SOL_SOCKET, SO_RCVTIMEO, &tv,
	    sizeof(tv)) == -1)
		err(1, "setsockopt");
}

/* Until the relays have heard of it, packets are dropped. */
static void
mesh_wait(struct cli *from, struct cli *to)
{
	static uint8_t		 buf[FRAME_SIZE];
	struct derp_frame	 f;
	int			 i;

	timeout_ms(to, 100);
	for (i = 0; i < 150; i++) {
		cli_send(from, to, "knock", 5);
		if (cli_frame(to, buf, &f) == 0)
			break;
	}
	if (i == 150)
		errx(1, "no packet gets there");
	while (cli_frame(to, buf, &f) == 0)
		;
	timeout_ms(to, 10000);
}

static void
two_relays(const char *address, const char *port, const char *name, int flags)
{
	static uint8_t	 big[DERP_PACKET_MAX];
	struct cli	 a, b;

	cli_open(&a, NULL);
	cli_setup(address, port, flags, NULL);
	cli_name(name);
	cli_open(&b, NULL);
	mesh_wait(&a, &b);
	mesh_wait(&b, &a);
	cli_send(&a, &b, "hello", 5);
	cli_expect(&b, &a, "hello", 5);
	arc4random_buf(big, sizeof(big));
	cli_send(&b, &a, big, sizeof(big));
	cli_expect(&a, &b, big, sizeof(big));
	cli_close(&b);
	cli_expect_gone(&a, &b, DERP_GONE_DISCONNECTED);
}

static void
watch(void)
{
	struct derp_frame	 f;
	struct derp_msg		 m;
	struct cli		 w, c;
	uint8_t			 buf[FRAME_SIZE];

	cli_open(&w, NULL);
	cli_open(&c, NULL);
	cli_write(&w, "\x10\0\0\0\0", 5);
	do {
		if (cli_frame(&w, buf, &f) == -1 ||
		    derp_client_parse(&f, &m) != 1 ||
		    m.dm_type != DERP_PEER_PRESENT)
			errx(1, "another frame: %u", f.df_type);
	} while (memcmp(m.dm_key, c.l_pub, KEY_LEN) != 0);
	if (!m.dm_has_addr || m.dm_port == 0 ||
	    m.dm_flags != DERP_PRESENT_MESH)
		errx(1, "not its address or flags");
	/* By word of the mesh, it is closed. */
	derp_header(buf, DERP_CLOSE_PEER, KEY_LEN);
	memcpy(buf + DERP_HDR_LEN, c.l_pub, KEY_LEN);
	cli_write(&w, buf, DERP_HDR_LEN + KEY_LEN);
	if (cli_fill(&c, buf, 1) != -1)
		errx(1, "still open");
}

/* Connected, that frame of a client must end it. */
static void
bad_frame(const char *what, uint8_t type, uint32_t len, size_t send)
{
	static uint8_t		 buf[FRAME_SIZE];
	struct derp_frame	 f;
	struct cli		 c;

	cli_open(&c, NULL);
	memset(buf, 0, send + DERP_HDR_LEN);
	derp_header(buf, type, len);
	cli_write(&c, buf, DERP_HDR_LEN + send);
	while (cli_frame(&c, buf, &f) == 0)
		if (f.df_type != DERP_PEER_GONE)
			errx(1, "%s: answered by %u", what, f.df_type);
	cli_close(&c);
}

static void
bad(void)
{
	bad_frame("a packet of 1 MiB", DERP_SEND_PACKET, 1 << 20, 4000);
	bad_frame("a packet of 4 GiB", DERP_SEND_PACKET, UINT32_MAX, 4000);
	bad_frame("a packet without a key", DERP_SEND_PACKET, 31, 31);
	bad_frame("preferred, long", DERP_NOTE_PREFERRED, 4000, 4000);
	bad_frame("a ping of 7", DERP_PING, 7, 7);
	bad_frame("a ping of 1001", DERP_PING, 1001, 1001);
	bad_frame("watching", DERP_WATCH_CONNS, 0, 0);
	bad_frame("closing", DERP_CLOSE_PEER, KEY_LEN, KEY_LEN);
	bad_frame("forwarding", DERP_FORWARD_PACKET, 100, 100);
}

static void
strangers(int n)
{
	static uint8_t		 buf[FRAME_SIZE];
	uint8_t			 disco[80] = "TS\xf0\x9f\x92\xac";
	struct derp_frame	 f;
	struct timespec		 t0, t1;
	struct cli		 c, to;
	int			 i, gone = 0;

	cli_open(&c, NULL);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (i = 0; i < n; i++) {
		arc4random_buf(to.l_pub, sizeof(to.l_pub));
		cli_send(&c, &to, disco, sizeof(disco));
	}
	cli_write(&c, "\x12\0\0\0\x08pingpong", 13);
	while (cli_frame(&c, buf, &f) == 0 && f.df_type != DERP_PONG)
		gone += f.df_type == DERP_PEER_GONE;
	clock_gettime(CLOCK_MONOTONIC, &t1);
	printf("%d packets for nobody, told %d times\n", n, gone);
	if (f.df_type != DERP_PONG || gone > 4 + t1.tv_sec - t0.tv_sec)
		errx(1, "told too often, or not at all");
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
	const char	*mesh = NULL;
	int		 ch, flags = 0;

	while ((ch = getopt(argc, argv, "fm:n:tw")) != -1)
		if (ch == 't')
			flags |= CLI_TLS;
		else if (ch == 'f')
			flags |= CLI_FAST;
		else if (ch == 'w')
			flags |= CLI_WEB;
		else if (ch == 'n')
			cli_name(optarg);
		else if (ch == 'm')
			mesh = optarg;
		else
			return 2;
	argc -= optind;
	argv += optind;
	if (argc < 3)
		errx(2, "arguments");
	cli_setup(argv[0], argv[1], flags, mesh);
	if (strcmp(argv[2], "pair") == 0)
		pair();
	else if (strcmp(argv[2], "login") == 0)
		login(argv[3]);
	else if (strcmp(argv[2], "update") == 0)
		update();
	else if (strcmp(argv[2], "bad") == 0)
		bad();
	else if (argc > 3 && strcmp(argv[2], "strangers") == 0)
		strangers(strtonum(argv[3], 1, 10000000, NULL));
	else if (strcmp(argv[2], "watch") == 0)
		watch();
	else if (strcmp(argv[2], "mesh") == 0 && argc > 4)
		two_relays(argv[3], argv[4], argv[5], flags);
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
