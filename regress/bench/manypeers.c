/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Many WireGuard peers of one node, all of them in one process: handshakes,
 * floods of forged ones, traffic in both directions. Prints a JSON object.
 *
 *	manypeers keys n
 *	manypeers handshakes node key n seconds most window pid...
 *	manypeers flood node key n seconds kind rate honest pid...
 *	manypeers to node key n seconds size rate inner pid...
 *	manypeers from node key n seconds pid...
 *	manypeers send n seconds size burst rate
 *	manypeers sink seconds
 *
 * keys: of each peer its number, public key as hex and as base64.
 * handshakes: at most so many and so many seconds, window: on their way.
 * flood: initiations with a wrong mac1 ("mac"), with a right one from who is
 * no peer ("static"), or either ("both"), so many a second; honest ones a
 * second between them are timed. to, from: data of all peers by turns; rate
 * 0 is as fast as it goes. send and sink are the node's own programs; from
 * and sink count from the first packet on, and say "ready" before.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "chapoly.h"
#include "dh.h"
#include "keys.h"
#include "manypeers.h"

#define PIDS_MAX	16
#define PEERS_MAX	30000

struct mpeer		*peers;
uint32_t		 npeers;
struct target		 target;
int			 sock = -1;

static char		*pids[PIDS_MAX];
static double		 cpu_at[PIDS_MAX];
static int		 npids;

__attribute__((noreturn)) static void
usage(void)
{
	fprintf(stderr, "usage: manypeers keys|handshakes|flood|to|from|send|"
	    "sink ...\n");
	exit(2);
}

int64_t
now_ns(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

static double
number(const char *text, double most)
{
	char	*end;
	double	 v;

	errno = 0;
	v = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0 || v < 0 || v > most)
		errx(2, "%s: not a number up to %g", text, most);
	return v;
}

/* --- CPU time --- */

static double
cpu_of(const char *pid)
{
	unsigned long long	 u, s;
	char			 path[64], buf[1024], *p;
	ssize_t			 n;
	int			 fd, i;

	(void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if ((fd = open(path, O_RDONLY)) == -1)
		err(1, "%s", path);
	if ((n = read(fd, buf, sizeof(buf) - 1)) == -1)
		err(1, "%s", path);
	close(fd);
	buf[n] = '\0';
	if ((p = strrchr(buf, ')')) == NULL)
		errx(1, "%s", path);
	for (i = 0, p++; i < 11 && p != NULL; i++)
		p = strchr(p + 1, ' ');
	if (p == NULL || sscanf(p, "%llu %llu", &u, &s) != 2)
		errx(1, "%s", path);
	return (double)(u + s) / (double)sysconf(_SC_CLK_TCK);
}

void
cpu_mark(char **list)
{
	int	 i;

	for (; list != NULL && *list != NULL && npids < PIDS_MAX; list++)
		pids[npids++] = *list;
	for (i = 0; i < npids; i++)
		cpu_at[i] = cpu_of(pids[i]);
}

void
cpu_print(void)
{
	int	 i;

	printf("\"cpu\": {");
	for (i = 0; i < npids; i++)
		printf("%s\"%s\": %.2f", i == 0 ? "" : ", ", pids[i],
		    cpu_of(pids[i]) - cpu_at[i]);
	printf("}");
}

/* --- peers and their socket --- */

void
peers_make(uint32_t n)
{
	uint32_t	 i;

	if ((peers = calloc(n, sizeof(*peers))) == NULL)
		err(1, NULL);
	npeers = n;
	for (i = 0; i < n; i++) {
		if (crypto_generichash(peers[i].p_private, WG_KEY_LEN,
		    (const uint8_t *)&i, sizeof(i), NULL, 0) == -1)
			errx(1, "key");
		key_clamp(peers[i].p_private);
		key_public(peers[i].p_private, peers[i].p_public);
	}
}

static void
target_set(const char *addr, const char *key)
{
	char	 host[64], *colon;

	if (strlcpy(host, addr, sizeof(host)) >= sizeof(host) ||
	    (colon = strrchr(host, ':')) == NULL)
		errx(2, "%s: not address:port", addr);
	*colon = '\0';
	target.t_sin.sin_family = AF_INET;
	target.t_sin.sin_port = htons((uint16_t)number(colon + 1, 65535));
	if (inet_pton(AF_INET, host, &target.t_sin.sin_addr) != 1)
		errx(2, "%s: not an address", host);
	if (sodium_hex2bin(target.t_public, WG_KEY_LEN, key, strlen(key),
	    NULL, NULL, NULL) == -1)
		errx(2, "%s: not a key", key);
	if (wg_mac1_key(target.t_public, target.t_mac1_key) == -1 ||
	    wg_cookie_key(target.t_public, target.t_cookie_key) == -1)
		errx(1, "keys of the node");
}

void
sock_open(uint16_t port)
{
	struct sockaddr_in	 sin;
	int			 size = 8 * 1024 * 1024, one = 1;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons(port);
	if ((sock = socket(AF_INET, SOCK_DGRAM, 0)) == -1 ||
	    setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size,
	    sizeof(size)) == -1 ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &size,
	    sizeof(size)) == -1 ||
	    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one,
	    sizeof(one)) == -1 ||
	    bind(sock, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(1, "socket");
}

uint8_t *
batch_add(struct batch *b, uint32_t from, size_t len)
{
	struct msghdr		*mh;
	struct cmsghdr		*cm;
	struct in_pktinfo	 pi;
	unsigned int		 i = b->b_n++;

	memset(&pi, 0, sizeof(pi));
	pi.ipi_spec_dst.s_addr = htonl(OUTER_NET + from);
	mh = &b->b_msg[i].msg_hdr;
	memset(mh, 0, sizeof(*mh));
	b->b_iov[i].iov_base = b->b_data[i];
	b->b_iov[i].iov_len = len;
	mh->msg_name = &target.t_sin;
	mh->msg_namelen = sizeof(target.t_sin);
	mh->msg_iov = &b->b_iov[i];
	mh->msg_iovlen = 1;
	mh->msg_control = b->b_control[i];
	mh->msg_controllen = CMSG_SPACE(sizeof(pi));
	cm = CMSG_FIRSTHDR(mh);
	cm->cmsg_level = IPPROTO_IP;
	cm->cmsg_type = IP_PKTINFO;
	cm->cmsg_len = CMSG_LEN(sizeof(pi));
	memcpy(CMSG_DATA(cm), &pi, sizeof(pi));
	return b->b_data[i];
}

unsigned int
batch_send(struct batch *b)
{
	unsigned int	 done = 0;
	int		 n;

	while (done < b->b_n) {
		n = sendmmsg(sock, b->b_msg + done, b->b_n - done, 0);
		if (n == -1 && errno != ENOBUFS && errno != EAGAIN &&
		    errno != EPERM)
			err(1, "sendmmsg");
		if (n <= 0)
			break;
		done += (unsigned int)n;
	}
	b->b_n = 0;
	return done;
}

unsigned int
batch_recv(struct batch *b, int ms)
{
	struct pollfd	 pfd = { sock, POLLIN, 0 };
	unsigned int	 i;
	int		 n;

	for (i = 0; i < BATCH; i++) {
		memset(&b->b_msg[i].msg_hdr, 0, sizeof(b->b_msg[i].msg_hdr));
		b->b_iov[i].iov_base = b->b_data[i];
		b->b_iov[i].iov_len = DGRAM_MAX;
		b->b_msg[i].msg_hdr.msg_iov = &b->b_iov[i];
		b->b_msg[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(sock, b->b_msg, BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0 && ms > 0 && poll(&pfd, 1, ms) == 1)
		n = recvmmsg(sock, b->b_msg, BATCH, MSG_DONTWAIT, NULL);
	return n > 0 ? (unsigned int)n : 0;
}

/* --- the commands --- */

static int
cmd_keys(uint32_t n)
{
	char		 hex[2 * WG_KEY_LEN + 1], b64[64];
	uint32_t	 i;

	peers_make(n);
	for (i = 0; i < n; i++)
		printf("%u %s %s\n", i, sodium_bin2hex(hex, sizeof(hex),
		    peers[i].p_public, WG_KEY_LEN),
		    sodium_bin2base64(b64, sizeof(b64), peers[i].p_public,
		    WG_KEY_LEN, sodium_base64_VARIANT_ORIGINAL));
	return 0;
}

static int
cmd_handshakes(char **a, double seconds)
{
	struct prepared	*pr;
	uint32_t	 most, window;
	int64_t		 start;

	most = (uint32_t)number(a[0], 1e6);
	window = (uint32_t)number(a[1], 10000);
	pr = prepare(most);
	cpu_mark(a + 2);
	start = now_ns();
	(void)handshakes(pr, most, window, seconds);
	handshakes_print((double)(now_ns() - start) / NSEC);
	return 0;
}

/* Words that every command with a node begins with. */
static int
with_node(const char *what, int n, char **a)
{
	double	 seconds;

	if (n < 4)
		usage();
	target_set(a[0], a[1]);
	peers_make((uint32_t)number(a[2], PEERS_MAX));
	seconds = number(a[3], 600);
	a += 4;
	n -= 4;
	sock_open(PORT);
	if (strcmp(what, "handshakes") == 0 && n >= 2)
		return cmd_handshakes(a, seconds);
	if (strcmp(what, "flood") == 0 && n >= 3) {
		cpu_mark(a + 3);
		flood((uint32_t)number(a[1], 1e7), seconds, a[0],
		    (uint32_t)number(a[2], 5000));
		return 0;
	}
	sessions_make();
	fprintf(stderr, "ready\n");
	if (strcmp(what, "to") == 0 && n >= 3) {
		cpu_mark(a + 3);
		traffic_to_node(a[2], (size_t)number(a[0], 1400),
		    seconds, number(a[1], 1e7));
		return 0;
	}
	if (strcmp(what, "from") == 0) {
		cpu_mark(a);
		traffic_from_node(seconds);
		return 0;
	}
	usage();
}

int
main(int argc, char *argv[])
{
	const char	*what = argc > 1 ? argv[1] : "";

	if (sodium_init() == -1)
		errx(1, "sodium_init");
	(void)dh_init(NULL);
	(void)chapoly_init(NULL);
	if (argc == 3 && strcmp(what, "keys") == 0)
		return cmd_keys((uint32_t)number(argv[2], PEERS_MAX));
	if (argc == 3 && strcmp(what, "sink") == 0) {
		plain_sink(number(argv[2], 600));
		return 0;
	}
	if (argc == 7 && strcmp(what, "send") == 0) {
		plain_send((uint32_t)number(argv[2], PEERS_MAX),
		    (size_t)number(argv[4], 1400),
		    (unsigned int)number(argv[5], 48), number(argv[3], 600),
		    number(argv[6], 1e7));
		return 0;
	}
	return with_node(what, argc - 2, argv + 2);
}
