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
 * -t: TLS, -f: fast start, -m key: mesh key.
 */

#include <sys/types.h>

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

	while ((ch = getopt(argc, argv, "fm:t")) != -1)
		if (ch == 't')
			flags |= CLI_TLS;
		else if (ch == 'f')
			flags |= CLI_FAST;
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
