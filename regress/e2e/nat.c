/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A network address translator between two TUN devices, with the mapping and
 * filtering behaviours of RFC 4787, for the NAT laboratory.
 *
 *	nat [-HUr] [-m eim|adm|apdm] [-f eif|adf|apdf] [-6 open|stateful]
 *	    [-c fifo] [-s seed] [-t seconds] -i ns:if -o ns:if [-e address]
 *
 * -i, -o: the inner and the outer device; -e: the outer IPv4 address (none:
 * IPv4 does not pass); -m, -f: mapping and filtering of UDP; -r: random
 * outer ports, else those of the inside are kept where they are free; -t:
 * life of an idle UDP mapping; -H: hairpinning; -U: UDP does not pass; -6:
 * IPv6 passes, or passes for flows that began inside (default: not at all).
 *
 * Lines for the control pipe: "rebind" forgets all and takes other ports,
 * "udp off", "udp on", "address a.b.c.d".
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <arpa/inet.h>
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
#define TCP_LIFE	7200
#define BURST		64

enum { EI, AD, APD };			/* independent, address, and port */
enum { V6_DROP, V6_OPEN, V6_STATEFUL };

struct remote {
	TAILQ_ENTRY(remote)	 r_entry;
	uint32_t		 r_addr;
	uint16_t		 r_port;
	uint64_t		 r_last;
};

struct map {
	TAILQ_ENTRY(map)	 m_entry;
	TAILQ_HEAD(, remote)	 m_remotes;
	uint64_t		 m_last;
	uint32_t		 m_in;		/* network byte order, all */
	uint32_t		 m_dst;
	uint16_t		 m_inport;
	uint16_t		 m_dstport;
	uint16_t		 m_port;
	uint8_t			 m_proto;
};

struct flow6 {
	TAILQ_ENTRY(flow6)	 f_entry;
	uint64_t		 f_last;
	uint8_t			 f_addr[2][16];	/* inside, outside */
	uint16_t		 f_port[2];
	uint8_t			 f_proto;
};

static TAILQ_HEAD(, map)	 maps = TAILQ_HEAD_INITIALIZER(maps);
static TAILQ_HEAD(, flow6)	 flows = TAILQ_HEAD_INITIALIZER(flows);
static uint64_t			 rng, now;
static uint32_t			 outer;
static int			 infd, outfd, mapping, filtering, rndports;
static int			 hairpin, noudp, mode6, udplife = 120;
static int			 shift;

static uint32_t
rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng >> 16;
}

/* A device that is down or full loses the packet, as a wire would. */
static void
pass(int fd, const uint8_t *buf, size_t len)
{
	if (write(fd, buf, len) == -1 && errno != EAGAIN && errno != EIO &&
	    errno != ENOBUFS)
		err(1, "write");
}

static uint64_t
life_us(uint8_t proto)
{
	return (uint64_t)(proto == IPPROTO_TCP ? TCP_LIFE : udplife) * 1000000;
}

/* RFC 1624: sum is the checksum's place in network byte order. */
static void
sum_fix(uint8_t *sum, uint16_t from, uint16_t to)
{
	uint32_t	 x;
	uint16_t	 v;

	memcpy(&v, sum, 2);
	x = (uint16_t)~v + (uint32_t)(uint16_t)~from + to;
	x = (x & 0xffff) + (x >> 16);
	x = (x & 0xffff) + (x >> 16);
	v = ~x;
	memcpy(sum, &v, 2);
}

static void
put(uint8_t *p, const void *to, size_t len, uint8_t *sum1, uint8_t *sum2)
{
	uint16_t	 a, b;
	size_t		 i;

	for (i = 0; i < len; i += 2) {
		memcpy(&a, p + i, 2);
		memcpy(&b, (const uint8_t *)to + i, 2);
		if (sum1 != NULL)
			sum_fix(sum1, a, b);
		if (sum2 != NULL)
			sum_fix(sum2, a, b);
		memcpy(p + i, &b, 2);
	}
}

/* One IPv4 packet: where its parts are. Ports: of ICMP echo, the id. */
struct pkt {
	uint8_t		*k_buf, *k_sum, *k_sport, *k_dport;
	size_t		 k_len;
	uint32_t	 k_src, k_dst;
	uint16_t	 k_srcport, k_dstport;
	uint8_t		 k_proto;
};

static int
pkt_icmp(struct pkt *k, uint8_t *t, size_t left)
{
	if (left < 8 || (t[0] != 0 && t[0] != 8))
		return -1;
	k->k_sum = t + 2;
	k->k_sport = k->k_dport = t + 4;
	memcpy(&k->k_srcport, t + 4, 2);
	k->k_dstport = k->k_srcport;
	return 0;
}

static int
pkt_parse(struct pkt *k, uint8_t *buf, size_t len)
{
	uint8_t	*t;
	size_t	 hl, left;

	if (len < 20 || buf[0] >> 4 != 4 ||
	    (hl = (size_t)(buf[0] & 15) * 4) < 20 || hl > len ||
	    (buf[6] & 0x3f) != 0 || buf[7] != 0)
		return -1;		/* fragments do not pass */
	memset(k, 0, sizeof(*k));
	k->k_buf = buf;
	k->k_len = len;
	k->k_proto = buf[9];
	memcpy(&k->k_src, buf + 12, 4);
	memcpy(&k->k_dst, buf + 16, 4);
	t = buf + hl;
	left = len - hl;
	if (k->k_proto == IPPROTO_ICMP)
		return pkt_icmp(k, t, left);
	if (left < 8 || (k->k_proto == IPPROTO_TCP && left < 20) ||
	    (k->k_proto != IPPROTO_TCP && k->k_proto != IPPROTO_UDP))
		return -1;
	k->k_sport = t;
	k->k_dport = t + 2;
	k->k_sum = t + (k->k_proto == IPPROTO_TCP ? 16 : 6);
	if (k->k_proto == IPPROTO_UDP && k->k_sum[0] == 0 && k->k_sum[1] == 0)
		k->k_sum = NULL;	/* it carries none */
	memcpy(&k->k_srcport, t, 2);
	memcpy(&k->k_dstport, t + 2, 2);
	return 0;
}

static void
pkt_rewrite(struct pkt *k, int dst, uint32_t addr, uint16_t port)
{
	int	 icmp = k->k_proto == IPPROTO_ICMP;

	put(k->k_buf + (dst ? 16 : 12), &addr, 4, k->k_buf + 10,
	    icmp ? NULL : k->k_sum);
	put(dst ? k->k_dport : k->k_sport, &port, 2, k->k_sum, NULL);
	if (dst) {
		k->k_dst = addr;
		k->k_dstport = port;
	} else {
		k->k_src = addr;
		k->k_srcport = port;
	}
}

static void
map_free(struct map *m)
{
	struct remote	*r;

	while ((r = TAILQ_FIRST(&m->m_remotes)) != NULL) {
		TAILQ_REMOVE(&m->m_remotes, r, r_entry);
		free(r);
	}
	TAILQ_REMOVE(&maps, m, m_entry);
	free(m);
}

static void
map_expire(void)
{
	struct map	*m, *next;

	for (m = TAILQ_FIRST(&maps); m != NULL; m = next) {
		next = TAILQ_NEXT(m, m_entry);
		if (now - m->m_last > life_us(m->m_proto))
			map_free(m);
	}
}

static struct map *
map_byport(uint8_t proto, uint16_t port)
{
	struct map	*m;

	TAILQ_FOREACH(m, &maps, m_entry)
		if (m->m_proto == proto && m->m_port == port)
			break;
	return m;
}

static struct map *
map_find(const struct pkt *k)
{
	struct map	*m;

	TAILQ_FOREACH(m, &maps, m_entry) {
		if (m->m_proto != k->k_proto || m->m_in != k->k_src ||
		    m->m_inport != k->k_srcport)
			continue;
		if (mapping != EI && m->m_dst != k->k_dst)
			continue;
		if (mapping == APD && m->m_dstport != k->k_dstport)
			continue;
		break;
	}
	return m;
}

static uint16_t
port_pick(uint8_t proto, uint16_t want)
{
	uint16_t	 p;

	p = rndports ? htons(1024 + rnd() % 64512) :
	    htons(ntohs(want) + shift);
	while (p == 0 || map_byport(proto, p) != NULL)
		p = rndports ? htons(1024 + rnd() % 64512) :
		    htons(ntohs(p) + 1);
	return p;
}

static struct map *
map_new(const struct pkt *k)
{
	struct map	*m;

	map_expire();
	if ((m = calloc(1, sizeof(*m))) == NULL)
		err(1, NULL);
	TAILQ_INIT(&m->m_remotes);
	m->m_proto = k->k_proto;
	m->m_in = k->k_src;
	m->m_inport = k->k_srcport;
	m->m_dst = k->k_dst;
	m->m_dstport = k->k_dstport;
	m->m_port = port_pick(k->k_proto, k->k_srcport);
	TAILQ_INSERT_HEAD(&maps, m, m_entry);
	return m;
}

static void
map_permit(struct map *m, uint32_t addr, uint16_t port)
{
	struct remote	*r;

	TAILQ_FOREACH(r, &m->m_remotes, r_entry)
		if (r->r_addr == addr && r->r_port == port)
			break;
	if (r == NULL) {
		if ((r = calloc(1, sizeof(*r))) == NULL)
			err(1, NULL);
		r->r_addr = addr;
		r->r_port = port;
		TAILQ_INSERT_HEAD(&m->m_remotes, r, r_entry);
	}
	r->r_last = m->m_last = now;
}

static int
map_permits(const struct map *m, uint32_t addr, uint16_t port)
{
	const struct remote	*r;
	int			 how;

	how = m->m_proto == IPPROTO_TCP ? APD : filtering;
	TAILQ_FOREACH(r, &m->m_remotes, r_entry) {
		if (now - r->r_last > life_us(m->m_proto))
			continue;
		if (how == EI || (r->r_addr == addr &&
		    (how == AD || m->m_proto == IPPROTO_ICMP ||
		    r->r_port == port)))
			return 1;
	}
	return 0;
}

static void
in4(struct pkt *k)
{
	struct map	*m;

	if (k->k_dst != outer || (m = map_byport(k->k_proto,
	    k->k_dstport)) == NULL || now - m->m_last > life_us(m->m_proto) ||
	    !map_permits(m, k->k_src, k->k_srcport))
		return;
	pkt_rewrite(k, 1, m->m_in, m->m_inport);
	pass(infd, k->k_buf, k->k_len);
}

static void
out4(struct pkt *k)
{
	struct map	*m;

	if (outer == 0)
		return;
	if ((m = map_find(k)) != NULL &&
	    now - m->m_last > life_us(m->m_proto)) {
		map_free(m);
		m = NULL;
	}
	if (m == NULL)
		m = map_new(k);
	map_permit(m, k->k_dst, k->k_dstport);
	pkt_rewrite(k, 0, outer, m->m_port);
	if (k->k_dst != outer)
		pass(outfd, k->k_buf, k->k_len);
	else if (hairpin)
		in4(k);
}

static void
flow_key(struct flow6 *f, const uint8_t *buf, size_t len, int out)
{
	memset(f, 0, sizeof(*f));
	f->f_proto = buf[6];
	memcpy(f->f_addr[out ? 0 : 1], buf + 8, 16);
	memcpy(f->f_addr[out ? 1 : 0], buf + 24, 16);
	if ((f->f_proto == IPPROTO_TCP || f->f_proto == IPPROTO_UDP) &&
	    len >= 44) {
		memcpy(&f->f_port[out ? 0 : 1], buf + 40, 2);
		memcpy(&f->f_port[out ? 1 : 0], buf + 42, 2);
	}
}

/* Does a flow pass the IPv6 firewall? What goes out makes it known. */
static int
flow_pass(const uint8_t *buf, size_t len, int out)
{
	struct flow6	 key, *f;

	flow_key(&key, buf, len, out);
	TAILQ_FOREACH(f, &flows, f_entry)
		if (f->f_proto == key.f_proto &&
		    memcmp(f->f_addr, key.f_addr, sizeof(f->f_addr)) == 0 &&
		    memcmp(f->f_port, key.f_port, sizeof(f->f_port)) == 0)
			break;
	if (f != NULL && now - f->f_last > life_us(f->f_proto)) {
		TAILQ_REMOVE(&flows, f, f_entry);
		free(f);
		f = NULL;
	}
	if (f == NULL && !out)
		return 0;
	if (f == NULL) {
		if ((f = malloc(sizeof(*f))) == NULL)
			err(1, NULL);
		*f = key;
		TAILQ_INSERT_HEAD(&flows, f, f_entry);
	}
	f->f_last = now;
	return 1;
}

static void
pass6(const uint8_t *buf, size_t len, int out)
{
	if (len < 40 || mode6 == V6_DROP || (noudp && buf[6] == IPPROTO_UDP))
		return;
	if (buf[8] == 0xfe || buf[24] == 0xff)
		return;			/* of the link */
	if (mode6 == V6_STATEFUL && !flow_pass(buf, len, out))
		return;
	pass(out ? outfd : infd, buf, len);
}

static void
packets(int fd, int out)
{
	static uint8_t	 buf[PKT_MAX];
	struct pkt	 k;
	ssize_t		 n;
	int		 i;

	for (i = 0; i < BURST && (n = read(fd, buf, sizeof(buf))) > 0; i++) {
		if (buf[0] >> 4 == 6) {
			pass6(buf, n, out);
			continue;
		}
		if (pkt_parse(&k, buf, n) == -1 ||
		    (noudp && k.k_proto == IPPROTO_UDP))
			continue;
		if (out)
			out4(&k);
		else
			in4(&k);
	}
}

static void
forget(void)
{
	struct flow6	*f;

	while (!TAILQ_EMPTY(&maps))
		map_free(TAILQ_FIRST(&maps));
	while ((f = TAILQ_FIRST(&flows)) != NULL) {
		TAILQ_REMOVE(&flows, f, f_entry);
		free(f);
	}
}

static void
command(char *line)
{
	if (strcmp(line, "rebind") == 0) {
		forget();
		shift += 1000;
	} else if (strcmp(line, "udp off") == 0)
		noudp = 1;
	else if (strcmp(line, "udp on") == 0)
		noudp = 0;
	else if (strncmp(line, "address ", 8) == 0) {
		forget();
		if (inet_pton(AF_INET, line + 8, &outer) != 1)
			warnx("%s", line);
	} else
		warnx("%s: unknown command", line);
}

static int
word(const char *s, const char *a, const char *b, const char *c)
{
	if (strcmp(s, a) == 0)
		return 0;
	if (strcmp(s, b) == 0)
		return 1;
	if (strcmp(s, c) == 0)
		return 2;
	errx(2, "%s: not %s, %s or %s", s, a, b, c);
}

static void
option(int ch, char *arg)
{
	switch (ch) {
	case 'H':
		hairpin = 1;
		break;
	case 'U':
		noudp = 1;
		break;
	case 'r':
		rndports = 1;
		break;
	case 'm':
		mapping = word(arg, "eim", "adm", "apdm");
		break;
	case 'f':
		filtering = word(arg, "eif", "adf", "apdf");
		break;
	case '6':
		mode6 = word(arg, "drop", "open", "stateful");
		break;
	case 'e':
		if (inet_pton(AF_INET, arg, &outer) != 1)
			errx(2, "%s: no address", arg);
		break;
	case 's':
		rng = strtoull(arg, NULL, 10);
		break;
	case 't':
		udplife = strtol(arg, NULL, 10);
		break;
	case 'i':
		infd = tun_attach(arg);
		break;
	case 'o':
		outfd = tun_attach(arg);
		break;
	default:
		errx(2, "see the head of nat.c for the usage");
	}
}

int
main(int argc, char *argv[])
{
	struct pollfd	 pfd[3];
	const char	*ctl = NULL;
	int		 ch;

	infd = outfd = -1;
	rng = (uint64_t)time(NULL) << 20 ^ getpid();
	while ((ch = getopt(argc, argv, "6:HUc:e:f:i:m:o:rs:t:")) != -1) {
		if (ch == 'c')
			ctl = optarg;
		else
			option(ch, optarg);
	}
	if (infd == -1 || outfd == -1 || optind != argc)
		errx(2, "-i and -o are needed");
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	pfd[0].fd = infd;
	pfd[1].fd = outfd;
	pfd[2].fd = ctl == NULL ? -1 : ctl_open(ctl);
	pfd[0].events = pfd[1].events = pfd[2].events = POLLIN;
	for (;;) {
		if (poll(pfd, 3, -1) == -1)
			err(1, "poll");
		now = now_us();
		if (pfd[2].revents)
			ctl_read(pfd[2].fd, command);
		if (pfd[0].revents)
			packets(infd, 1);
		if (pfd[1].revents)
			packets(outfd, 0);
	}
}
