/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A wire between two TUN devices that delays, reorders, duplicates, corrupts,
 * loses and limits, each way by itself.
 *
 *	wire [-c fifo] [-s seed] [-x line]... -a ns:if -b ns:if
 *
 * -x and the control pipe take lines: "ab", "ba" or "both", then pairs of
 *	delay ms	jitter ms	0..jitter more, order is kept
 *	loss %		dup %		reorder %	held back for gap ms
 *	gap ms		corrupt %	one bit behind the IP header
 *	rate kbit/s	queue bytes	0: no limit; what is waiting, at most
 * Fractions are allowed. "stats" prints what passed so far. The same seed
 * and the same packets give the same fate.
 */

#include <sys/types.h>

#include <netinet/in.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tunns.h"

#define PKT_MAX		65536
#define HEAP_MAX	65536
#define BURST		64
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

struct held {
	uint64_t	 h_due;
	uint64_t	 h_seq;
	size_t		 h_len;
	uint8_t		*h_buf;
};

/* What can be set, by the words of the control line. */
enum knob { DELAY, JITTER, LOSS, DUP, REORDER, GAP, CORRUPT, RATE, QUEUE,
	KNOBS };
static const char *const words[KNOBS] = { "delay", "jitter", "loss", "dup",
	"reorder", "gap", "corrupt", "rate", "queue" };

struct way {
	struct held	 w_heap[HEAP_MAX];
	double		 w_set[KNOBS];
	uint64_t	 w_rng;
	uint64_t	 w_seq;
	uint64_t	 w_free;	/* when the link has sent what it has */
	uint64_t	 w_lastdue;
	uint64_t	 w_in, w_out, w_lost, w_full, w_dup, w_reordered;
	uint64_t	 w_corrupt;
	size_t		 w_n;
	int		 w_from, w_to;
	const char	*w_name;
};

static struct way	 ways[2];

/* 0 <= x < 1 */
static double
draw(struct way *w)
{
	w->w_rng ^= w->w_rng << 13;
	w->w_rng ^= w->w_rng >> 7;
	w->w_rng ^= w->w_rng << 17;
	return (double)(w->w_rng >> 11) / 9007199254740992.0;
}

static int
chance(struct way *w, enum knob k)
{
	return w->w_set[k] > 0 && draw(w) * 100 < w->w_set[k];
}

static int
sooner(const struct held *a, const struct held *b)
{
	return a->h_due < b->h_due ||
	    (a->h_due == b->h_due && a->h_seq < b->h_seq);
}

static void
swap(struct held *a, struct held *b)
{
	struct held	 t = *a;

	*a = *b;
	*b = t;
}

static void
heap_push(struct way *w, const uint8_t *buf, size_t len, uint64_t due)
{
	struct held	*h = w->w_heap;
	size_t		 i = w->w_n++;

	if ((h[i].h_buf = malloc(len)) == NULL)
		err(1, NULL);
	memcpy(h[i].h_buf, buf, len);
	h[i].h_len = len;
	h[i].h_due = due;
	h[i].h_seq = w->w_seq++;
	for (; i > 0 && sooner(&h[i], &h[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&h[i], &h[(i - 1) / 2]);
}

static void
heap_pop(struct way *w)
{
	struct held	*h = w->w_heap;
	size_t		 i = 0, c;

	free(h[0].h_buf);
	h[0] = h[--w->w_n];
	while ((c = 2 * i + 1) < w->w_n) {
		if (c + 1 < w->w_n && sooner(&h[c + 1], &h[c]))
			c++;
		if (!sooner(&h[c], &h[i]))
			break;
		swap(&h[c], &h[i]);
		i = c;
	}
}

/*
 * Flip one bit of what follows the headers. The UDP checksum is put right
 * (RFC 1624), so that the bit reaches the program.
 */
static void
corrupt(struct way *w, uint8_t *buf, size_t len)
{
	uint32_t	 x;
	uint8_t		*sum;
	size_t		 hl, at;
	uint16_t	 from, to;
	int		 proto;

	hl = buf[0] >> 4 == 6 ? 40 : (size_t)(buf[0] & 15) * 4;
	proto = buf[0] >> 4 == 6 ? buf[6] : buf[9];
	sum = proto == IPPROTO_UDP ? buf + hl + 6 : NULL;
	if (proto == IPPROTO_UDP)
		hl += 8;
	if (hl + 2 > len)
		return;
	at = hl + (size_t)(draw(w) * ((len - hl) / 2)) * 2;
	from = buf[at] << 8 | buf[at + 1];
	buf[at + (draw(w) < 0.5)] ^= 1 << (int)(draw(w) * 8);
	w->w_corrupt++;
	if (sum == NULL || (sum[0] == 0 && sum[1] == 0))
		return;
	to = buf[at] << 8 | buf[at + 1];
	x = (uint16_t)~(sum[0] << 8 | sum[1]) + (uint32_t)(uint16_t)~from + to;
	x = (x & 0xffff) + (x >> 16);
	x = ~((x & 0xffff) + (x >> 16)) & 0xffff;
	if (x == 0)
		x = 0xffff;
	sum[0] = x >> 8;
	sum[1] = x;
}

/* When a packet has left the sender; 0: the queue is full. */
static uint64_t
depart(struct way *w, size_t len, uint64_t now)
{
	double	 us;

	if (w->w_set[RATE] <= 0)
		return now;
	if (w->w_free < now)
		w->w_free = now;
	us = 8000.0 / w->w_set[RATE];		/* for one byte */
	if (w->w_set[QUEUE] > 0 &&
	    (double)(w->w_free - now) / us + len > w->w_set[QUEUE])
		return 0;
	w->w_free += (uint64_t)(us * len);
	return w->w_free;
}

static void
take(struct way *w, uint8_t *buf, size_t len, uint64_t now)
{
	uint64_t	 due;

	w->w_in++;
	if (chance(w, LOSS)) {
		w->w_lost++;
		return;
	}
	if (w->w_n + 2 > HEAP_MAX || (due = depart(w, len, now)) == 0) {
		w->w_full++;
		return;
	}
	if (chance(w, CORRUPT))
		corrupt(w, buf, len);
	due += (uint64_t)(w->w_set[DELAY] * 1000);
	if (w->w_set[JITTER] > 0)
		due += (uint64_t)(draw(w) * w->w_set[JITTER] * 1000);
	if (chance(w, REORDER)) {
		w->w_reordered++;
		due += (uint64_t)(w->w_set[GAP] * 1000);
	} else {
		if (due < w->w_lastdue)
			due = w->w_lastdue;
		w->w_lastdue = due;
	}
	heap_push(w, buf, len, due);
	if (chance(w, DUP)) {
		w->w_dup++;
		heap_push(w, buf, len, due);
	}
}

static void
way_read(struct way *w)
{
	static uint8_t	 buf[PKT_MAX];
	uint64_t	 now = now_us();
	ssize_t		 n;
	int		 i;

	for (i = 0; i < BURST && (n = read(w->w_from, buf,
	    sizeof(buf))) > 0; i++)
		if (n >= 20)
			take(w, buf, n, now);
}

static void
way_write(struct way *w)
{
	uint64_t	 now = now_us();

	while (w->w_n > 0 && w->w_heap[0].h_due <= now) {
		if (write(w->w_to, w->w_heap[0].h_buf,
		    w->w_heap[0].h_len) != -1)
			w->w_out++;
		else if (errno != EIO && errno != EAGAIN && errno != ENOBUFS &&
		    errno != EINVAL)
			err(1, "write");
		heap_pop(w);
	}
}

static void
stats(void)
{
	const struct way	*w;

	for (w = ways; w < ways + 2; w++)
		printf("%s in %llu out %llu lost %llu full %llu dup %llu "
		    "reordered %llu corrupt %llu waiting %zu\n", w->w_name,
		    (unsigned long long)w->w_in, (unsigned long long)w->w_out,
		    (unsigned long long)w->w_lost,
		    (unsigned long long)w->w_full,
		    (unsigned long long)w->w_dup,
		    (unsigned long long)w->w_reordered,
		    (unsigned long long)w->w_corrupt, w->w_n);
	fflush(stdout);
}

static void
set_word(const char *way, const char *word, double v)
{
	size_t	 i, k;

	for (k = 0; k < KNOBS && strcmp(word, words[k]) != 0; k++)
		;
	if (k == KNOBS || v < 0)
		errx(2, "%s %f: unknown", word, v);
	for (i = 0; i < 2; i++)
		if (strcmp(way, "both") == 0 ||
		    strcmp(way, ways[i].w_name) == 0)
			ways[i].w_set[k] = v;
}

static void
command(char *line)
{
	char	*way, *word, *value;

	if ((way = strsep(&line, " ")) == NULL)
		return;
	if (strcmp(way, "stats") == 0) {
		stats();
		return;
	}
	if (strcmp(way, "ab") != 0 && strcmp(way, "ba") != 0 &&
	    strcmp(way, "both") != 0)
		errx(2, "%s: not ab, ba or both", way);
	while ((word = strsep(&line, " ")) != NULL) {
		if ((value = strsep(&line, " ")) == NULL)
			errx(2, "%s: no value", word);
		set_word(way, word, strtod(value, NULL));
	}
}

/* How long until the first packet is due. */
static struct timespec *
patience(struct timespec *ts)
{
	uint64_t	 due = UINT64_MAX, now = now_us();
	size_t		 i;

	for (i = 0; i < 2; i++)
		if (ways[i].w_n > 0 && ways[i].w_heap[0].h_due < due)
			due = ways[i].w_heap[0].h_due;
	if (due == UINT64_MAX)
		return NULL;
	due = due > now ? due - now : 0;
	ts->tv_sec = due / 1000000;
	ts->tv_nsec = due % 1000000 * 1000;
	return ts;
}

static void
wire(int ctl)
{
	struct pollfd	 pfd[3];
	struct timespec	 ts;

	pfd[0].fd = ways[0].w_from;
	pfd[1].fd = ways[1].w_from;
	pfd[2].fd = ctl;
	pfd[0].events = pfd[1].events = pfd[2].events = POLLIN;
	for (;;) {
		if (ppoll(pfd, 3, patience(&ts), NULL) == -1)
			err(1, "ppoll");
		if (pfd[2].revents)
			ctl_read(ctl, command);
		if (pfd[0].revents)
			way_read(&ways[0]);
		if (pfd[1].revents)
			way_read(&ways[1]);
		way_write(&ways[0]);
		way_write(&ways[1]);
	}
}

int
main(int argc, char *argv[])
{
	uint64_t	 seed = 1;
	size_t		 i;
	int		 a = -1, b = -1, ch, ctl = -1;

	ways[0].w_name = "ab";
	ways[1].w_name = "ba";
	ways[0].w_set[GAP] = ways[1].w_set[GAP] = 5;
	while ((ch = getopt(argc, argv, "a:b:c:s:x:")) != -1) {
		switch (ch) {
		case 'a':
			a = tun_attach(optarg);
			break;
		case 'b':
			b = tun_attach(optarg);
			break;
		case 'c':
			ctl = ctl_open(optarg);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 10);
			break;
		case 'x':
			command(optarg);
			break;
		default:
			errx(2, "see the head of wire.c for the usage");
		}
	}
	if (a == -1 || b == -1 || optind != argc)
		errx(2, "-a and -b are needed");
	for (i = 0; i < nitems(ways); i++)
		ways[i].w_rng = (seed * 2 + i + 1) * 0x9e3779b97f4a7c15ULL;
	ways[0].w_from = ways[1].w_to = a;
	ways[0].w_to = ways[1].w_from = b;
	wire(ctl);
}
