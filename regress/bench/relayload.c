/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Load for a DERP relay, by one process, over TLS; what it cost the relay's
 * processes is read from /proc. Prints one JSON object.
 *
 *	relayload address port pairs n size seconds pid...
 *	relayload address port rate n size packets/s seconds pid...
 *	relayload address port ping count pid...
 *	relayload address port idle n pid...
 *
 * pairs: of each pair one sends to the other, a frame a record as clients
 * do, with at most WINDOW packets on their way. rate: so many a second of
 * all pairs together, evenly. ping: a packet every millisecond; how long it
 * takes. idle: memory of so many connections.
 */

#include <sys/types.h>
#include <sys/epoll.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../e2e/dcli.h"

#define WINDOW		32	/* what a relay's queue holds */
#define BUF_SIZE	65536
#define SIZE_MAX_	8192
#define EVENTS		128
#define WARM_NS		500000000LL

struct end {
	struct cli	 e_cli;
	struct end	*e_peer;
	uint8_t		*e_out;		/* a sender's frame */
	size_t		 e_outlen, e_outoff;
	uint8_t		*e_in;
	size_t		 e_have;
	uint64_t	 e_sent;	/* sequence number of the last one */
	uint64_t	 e_got;		/* highest that came */
	int64_t		 e_when;	/* last progress */
	int		 e_blocked;
};

static struct end	*ends;
static uint64_t		 packets, bytes;
static int64_t		*times;		/* ping: ns each took */
static size_t		 ntimes, maxtimes;
static int		 ep;

static int64_t
now_ns(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* --- what the relay used --- */

static char *
proc_read(const char *pid, const char *name)
{
	static char	 buf[8192];
	char		 path[64];
	ssize_t		 n;
	int		 fd;

	(void)snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	if ((fd = open(path, O_RDONLY)) == -1)
		err(1, "%s", path);
	if ((n = read(fd, buf, sizeof(buf) - 1)) == -1)
		err(1, "%s", path);
	buf[n] = '\0';
	close(fd);
	return buf;
}

static double
cpu_seconds(char **pids)
{
	unsigned long long	 u, s, ticks = 0;
	char			*p;
	int			 i;

	for (; *pids != NULL; pids++) {
		p = strrchr(proc_read(*pids, "stat"), ')') + 1;
		for (i = 0; i < 11; i++)
			p = strchr(p + 1, ' ');
		if (sscanf(p, "%llu %llu", &u, &s) != 2)
			errx(1, "stat of %s", *pids);
		ticks += u + s;
	}
	return (double)ticks / sysconf(_SC_CLK_TCK);
}

static unsigned long
pss_kb(char **pids)
{
	unsigned long	 kb, sum = 0;
	char		*p;

	for (; *pids != NULL; pids++) {
		if ((p = strstr(proc_read(*pids, "smaps_rollup"),
		    "\nPss:")) == NULL || sscanf(p + 5, "%lu", &kb) != 1)
			errx(1, "memory of %s", *pids);
		sum += kb;
	}
	return sum;
}

/* --- connections --- */

static void
end_open(struct end *e)
{
	struct epoll_event	 ev;

	cli_open(&e->e_cli, NULL);
	SSL_set_mode(e->e_cli.l_ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_set_read_ahead(e->e_cli.l_ssl, 1);
	if (fcntl(e->e_cli.l_fd, F_SETFL, O_NONBLOCK) == -1)
		err(1, "fcntl");
	if ((e->e_in = malloc(BUF_SIZE)) == NULL ||
	    (e->e_out = calloc(1, DERP_RECV_HDR_LEN + SIZE_MAX_)) == NULL)
		err(1, NULL);
	memset(&ev, 0, sizeof(ev));
	ev.events = EPOLLIN | EPOLLOUT | EPOLLET;
	ev.data.ptr = e;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, e->e_cli.l_fd, &ev) == -1)
		err(1, "epoll_ctl");
}

static void
ends_open(size_t n)
{
	size_t	 i;

	if ((ends = calloc(n, sizeof(*ends))) == NULL ||
	    (ep = epoll_create1(0)) == -1)
		err(1, NULL);
	for (i = 0; i < n; i++) {
		end_open(&ends[i]);
		ends[i].e_peer = &ends[i ^ 1];
	}
}

/* What the socket does not take now goes when it is writable again. */
static int
end_flush(struct end *e)
{
	int	 n;

	while (e->e_outoff < e->e_outlen) {
		n = SSL_write(e->e_cli.l_ssl, e->e_out + e->e_outoff,
		    e->e_outlen - e->e_outoff);
		if (n <= 0) {
			if (SSL_get_error(e->e_cli.l_ssl, n) !=
			    SSL_ERROR_WANT_WRITE)
				errx(1, "connection lost");
			e->e_blocked = 1;
			return 0;
		}
		e->e_outoff += n;
	}
	e->e_blocked = 0;
	return 1;
}

static void
end_send(struct end *e, size_t size)
{
	int64_t	 now = now_ns();

	(void)derp_packet_head(DERP_SEND_PACKET, e->e_peer->e_cli.l_pub, size,
	    e->e_out);
	e->e_sent++;
	memcpy(e->e_out + DERP_RECV_HDR_LEN, &e->e_sent, sizeof(e->e_sent));
	memcpy(e->e_out + DERP_RECV_HDR_LEN + 8, &now, sizeof(now));
	e->e_outlen = DERP_RECV_HDR_LEN + size;
	e->e_outoff = 0;
	(void)end_flush(e);
}

static void
end_packet(struct end *e, const struct derp_frame *f)
{
	uint64_t	 seq;
	int64_t		 sent, now = now_ns();

	if (f->df_type != DERP_RECV_PACKET || f->df_len < KEY_LEN + 16)
		return;
	memcpy(&seq, f->df_data + KEY_LEN, sizeof(seq));
	memcpy(&sent, f->df_data + KEY_LEN + 8, sizeof(sent));
	e->e_peer->e_got = seq;
	e->e_peer->e_when = now;
	packets++;
	bytes += f->df_len - KEY_LEN;
	if (ntimes < maxtimes)
		times[ntimes++] = now - sent;
}

static void
end_read(struct end *e)
{
	struct derp_frame	 f;
	uint64_t		 n;
	size_t			 off;
	int			 got;

	while ((got = SSL_read(e->e_cli.l_ssl, e->e_in + e->e_have,
	    BUF_SIZE - e->e_have)) > 0) {
		e->e_have += got;
		for (off = 0; (n = derp_frame_parse(e->e_in + off,
		    e->e_have - off, &f)) != 0 && n <= e->e_have - off;
		    off += n)
			end_packet(e, &f);
		e->e_have -= off;
		memmove(e->e_in, e->e_in + off, e->e_have);
	}
	if (SSL_get_error(e->e_cli.l_ssl, got) != SSL_ERROR_WANT_READ)
		errx(1, "connection lost");
}

static void
loop_once(int ms)
{
	struct epoll_event	 ev[EVENTS];
	struct end		*e;
	int			 i, n;

	n = epoll_wait(ep, ev, EVENTS, ms);
	for (i = 0; i < n; i++) {
		e = ev[i].data.ptr;
		if (ev[i].events & EPOLLIN)
			end_read(e);
		if ((ev[i].events & EPOLLOUT) && e->e_blocked)
			(void)end_flush(e);
	}
}

/* --- the measurements --- */

static void
pairs_send(size_t n, size_t size)
{
	struct end	*e;
	size_t		 i;

	for (i = 0; i < n; i++) {
		e = &ends[2 * i];
		/* All that was on its way may have been dropped. */
		if (e->e_sent - e->e_got >= WINDOW &&
		    now_ns() - e->e_when > 100000000LL)
			e->e_got = e->e_sent;
		while (!e->e_blocked && e->e_sent - e->e_got < WINDOW)
			end_send(e, size);
	}
}

static uint64_t
sent_all(size_t n)
{
	uint64_t	 sum = 0;
	size_t		 i;

	for (i = 0; i < n; i++)
		sum += ends[2 * i].e_sent;
	return sum;
}

static void
pairs_for(size_t n, size_t size, int64_t ns)
{
	int64_t	 end = now_ns() + ns;

	while (now_ns() < end) {
		pairs_send(n, size);
		loop_once(10);
	}
}

static int
times_cmp(const void *a, const void *b)
{
	const int64_t	*x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double
times_ms(size_t percent)
{
	return ntimes == 0 ? 0 : times[ntimes * percent / 100] / 1e6;
}

static void
times_room(size_t n)
{
	if ((times = calloc(n, sizeof(*times))) == NULL)
		err(1, NULL);
}

static void
pairs(size_t n, size_t size, int seconds, char **pids)
{
	uint64_t	 sent;
	int64_t		 t;
	double		 cpu, s;

	ends_open(2 * n);
	pairs_for(n, size, WARM_NS);
	packets = bytes = 0;
	sent = sent_all(n);
	cpu = cpu_seconds(pids);
	t = now_ns();
	pairs_for(n, size, seconds * 1000000000LL);
	s = (now_ns() - t) / 1e9;
	cpu = cpu_seconds(pids) - cpu;
	sent = sent_all(n) - sent;
	printf("{\"pps\":%.0f,\"per_cpu\":%.0f,\"cpu_per_gb\":%.3f,"
	    "\"cpu\":%.3f,\"lost\":%.4f}\n", packets / s,
	    packets / cpu, cpu / (bytes / 1e9), cpu / s,
	    sent > packets ? 1 - (double)packets / sent : 0.0);
}

/* Those that are due by now, of one pair after the other. */
static uint64_t
rate_send(size_t n, size_t size, uint64_t sent, uint64_t due)
{
	struct end	*e;

	for (; sent < due; sent++) {
		e = &ends[2 * (sent % n)];
		if (!e->e_blocked)
			end_send(e, size);
	}
	return sent;
}

static void
rate_for(size_t n, size_t size, uint64_t pps, int64_t ns)
{
	uint64_t	 sent = 0;
	int64_t		 past, start = now_ns();

	while ((past = now_ns() - start) < ns) {
		sent = rate_send(n, size, sent, past / 1000 * pps / 1000000);
		loop_once(0);
	}
}

static void
rate(size_t n, size_t size, uint64_t pps, int seconds, char **pids)
{
	double	 cpu;

	times_room(pps * seconds);
	ends_open(2 * n);
	rate_for(n, size, pps, WARM_NS);
	packets = 0;
	maxtimes = pps * seconds;
	cpu = cpu_seconds(pids);
	rate_for(n, size, pps, seconds * 1000000000LL);
	cpu = cpu_seconds(pids) - cpu;
	qsort(times, ntimes, sizeof(*times), times_cmp);
	printf("{\"pps\":%.0f,\"cpu\":%.3f,\"p50\":%.4f,\"p99\":%.4f}\n",
	    (double)packets / seconds, cpu / seconds, times_ms(50),
	    times_ms(99));
}

static void
ping(size_t n)
{
	struct timespec	 gap = { 0, 1000000 };
	size_t		 i;

	times_room(n);
	ends_open(2);
	for (i = 0; i < n; i++) {
		end_send(&ends[0], 200);
		if (i == n / 10)
			maxtimes = n;
		while (ends[0].e_got < ends[0].e_sent)
			loop_once(1000);
		nanosleep(&gap, NULL);
	}
	qsort(times, ntimes, sizeof(*times), times_cmp);
	printf("{\"p50\":%.4f,\"p99\":%.4f}\n", times_ms(50), times_ms(99));
}

static void
idle(size_t n, char **pids)
{
	struct cli	*c;
	unsigned long	 before, after;
	size_t		 i;

	if ((c = calloc(n, sizeof(*c))) == NULL)
		err(1, NULL);
	before = pss_kb(pids);
	for (i = 0; i < n; i++)
		cli_open(&c[i], NULL);
	sleep(3);
	after = pss_kb(pids);
	printf("{\"kb\":%.2f,\"kb_more\":%.2f}\n", (double)after / n,
	    ((double)after - before) / n);
}

static long
number(const char *s, long max)
{
	const char	*why;
	long		 v;

	v = strtonum(s, 1, max, &why);
	if (why != NULL)
		errx(2, "%s: %s", s, why);
	return v;
}

int
main(int argc, char *argv[])
{
	if (argc < 5)
		errx(2, "arguments");
	cli_setup(argv[1], argv[2], CLI_TLS, NULL);
	cli_name("relay.test");
	if (strcmp(argv[3], "pairs") == 0 && argc > 6)
		pairs(number(argv[4], 10000), number(argv[5], SIZE_MAX_),
		    number(argv[6], 600), argv + 7);
	else if (strcmp(argv[3], "rate") == 0 && argc > 7)
		rate(number(argv[4], 10000), number(argv[5], SIZE_MAX_),
		    number(argv[6], 10000000), number(argv[7], 600), argv + 8);
	else if (strcmp(argv[3], "ping") == 0)
		ping(number(argv[4], 1000000));
	else if (strcmp(argv[3], "idle") == 0)
		idle(number(argv[4], 30000), argv + 5);
	else
		errx(2, "what?");
	return 0;
}
