/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * dnsd itself, in its sandbox, between a parent, a ctrld and an upstream
 * resolver that are this test: tailnet names by UDP and TCP, changes as
 * transactions, look-ups with CNAMEs, truncation, silence, forged answers.
 * Needs root and the suite's users.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <err.h>
#include <event.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dns.h"
#include "imsg.h"
#include "os.h"
#include "proc.h"

static int			 udp, tcp, up_udp, up_tcp, sp[2];
static struct sockaddr_in	 udp_addr, tcp_addr, up_addr;
static struct proc_child	 dnsd;

static int
sock_open(int type, struct sockaddr_in *sin)
{
	socklen_t	 len = sizeof(*sin);
	int		 fd, on = 1;

	memset(sin, 0, sizeof(*sin));
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = socket(AF_INET, type, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)sin, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)sin, &len) == -1)
		err(1, "socket");
	if (type == SOCK_STREAM && listen(fd, 5) == -1)
		err(1, "listen");
	if (type == SOCK_DGRAM && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on,
	    sizeof(on)) == -1)
		err(1, "IP_PKTINFO");
	return fd;
}

/* --- the upstream resolver --- */

static size_t
record(uint8_t *p, const char *rr, size_t n)
{
	memcpy(p, rr, n);
	return n;
}

/* Builds the answer to q; 0: silence. */
static size_t
upstream_answer(const struct dns_query *q, int by_tcp, uint8_t *out)
{
	static const char	 cname[] = "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4"
				    "\1w\xc0\x0e";
	static const char	 a[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"
				    "\xc0\0\2\1";
	const char		*name = q->lower.text;
	static int		 slow;
	size_t			 n;

	/* "short" exists in the second search domain alone. */
	n = dns_reply_empty(q, strncmp(name, "nx", 2) == 0 ||
	    strstr(name, ".none.") != NULL ||
	    strcmp(name, "short.") == 0 ? DNS_R_NXDOMAIN :
	    strncmp(name, "sf", 2) == 0 ? DNS_R_SERVFAIL : DNS_R_OK, 0, out,
	    DNS_UDP_MAX);
	if (strncmp(name, "dead", 4) == 0 ||
	    (strncmp(name, "slow", 4) == 0 && slow++ < 2))
		return 0;
	if (strncmp(name, "big", 3) == 0 && !by_tcp) {
		out[2] |= DNS_F_TC >> 8;
		return n;
	}
	/* A one-letter label is followed by the zone at offset 14. */
	if (name[1] == '.' && name[0] == 'c') {
		out[7] = 1;
		n += record(out + n, cname, sizeof(cname) - 1);
		if (q->type == DNS_T_A)
			return n;
	} else if (q->type == DNS_T_A && (out[3] & 0x0f) == 0) {
		out[7] = 1;
		n += record(out + n, a, sizeof(a) - 1);
	}
	return n;
}

static void
upstream_udp_cb(int fd, short events, void *arg)
{
	struct sockaddr_in	 from;
	struct dns_query	 q;
	socklen_t		 len = sizeof(from);
	uint8_t			 buf[512], out[DNS_UDP_MAX];
	ssize_t			 n;

	if ((n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from,
	    &len)) == -1 || dns_query_parse(&q, buf, n) == -1)
		return;
	if ((n = upstream_answer(&q, 0, out)) == 0)
		return;
	if (strncmp(q.lower.text, "forged", 6) == 0) {
		out[n - 1] ^= 0xff;		/* another address ... */
		out[0] ^= 1;			/* ... under another id */
		(void)sendto(fd, out, n, 0, (struct sockaddr *)&from, len);
		out[n - 1] ^= 0xff;
		out[0] ^= 1;
	}
	(void)sendto(fd, out, n, 0, (struct sockaddr *)&from, len);
}

static void
upstream_tcp_cb(int fd, short events, void *arg)
{
	struct dns_query	 q;
	uint8_t			 buf[514], out[2 + DNS_UDP_MAX];
	ssize_t			 n;
	int			 c;

	if ((c = accept(fd, NULL, NULL)) == -1)
		return;
	if (fork() != 0) {		/* dnsd has not its end yet */
		(void)close(c);
		return;
	}
	if ((n = read(c, buf, sizeof(buf))) > 2 &&
	    dns_query_parse(&q, buf + 2, n - 2) == 0 &&
	    (n = upstream_answer(&q, 1, out + 2)) > 0) {
		out[0] = n >> 8;
		out[1] = n & 0xff;
		(void)!write(c, out, 1);	/* in two pieces */
		(void)usleep(1000);
		(void)!write(c, out + 1, n + 1);
	}
	_exit(0);
}

/* --- the parent --- */

static int
text_fd(const char *text)
{
	int	 p[2];

	if (pipe(p) == -1 || write(p[1], text, strlen(text)) == -1)
		err(1, "pipe");
	(void)close(p[1]);
	return p[0];
}

static void
send_sock(int fd, int is_tcp)
{
	struct msg_dns_sock	 m;

	memset(&m, 0, sizeof(m));
	m.tcp = is_tcp;
	m.ifindex = 99999;
	(void)chan_compose(&dnsd.pc_chan, IMSG_DNS_SOCK, 0, dup(fd), &m,
	    sizeof(m));
}

static void
ready(struct proc_child *pc)
{
	struct msg_channel	 mc = { PROC_CTRLD, 0 };

	(void)chan_compose(&pc->pc_chan, IMSG_RESOLV_CONF, 0,
	    text_fd("# x\nnameserver 100.100.100.100\n"
	    "nameserver\t192.0.2.53 # us\noptions edns0\n"
	    "search nx.none lan.test\n"), NULL, 0);
	(void)chan_compose(&pc->pc_chan, IMSG_HOSTS, 0,
	    text_fd("127.0.0.1 localhost\n192.0.2.77 Inhosts.test other\n"
	    "::77 inhosts.test\nbroken line\n"), NULL, 0);
	send_sock(udp, 0);
	send_sock(tcp, 1);
	proc_startup(pc);
	(void)chan_compose(&pc->pc_chan, IMSG_CHANNEL, 0, sp[0], &mc,
	    sizeof(mc));
}

static int
parent_msg(struct proc_child *pc, struct imsg *imsg)
{
	struct msg_upstream	 m;
	struct msg_connected	 mc;
	struct sockaddr_in	*sin;
	int			 fd;

	if (imsg_get_type(imsg) != IMSG_UPSTREAM ||
	    msg_get(imsg, &m, sizeof(m)) == -1 || m.ep.port != 53 ||
	    m.ep.addr[0] != 192)
		errx(1, "unexpected message from dnsd");
	memset(&mc, 0, sizeof(mc));
	sin = &up_addr;
	fd = socket(AF_INET, m.tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (m.tcp) {			/* same port, by luck or SO_REUSE */
		static struct sockaddr_in	 t;
		socklen_t			 len = sizeof(t);

		if (getsockname(up_tcp, (struct sockaddr *)&t, &len) == -1)
			err(1, "getsockname");
		sin = &t;
	}
	if (fd == -1 || connect(fd, (struct sockaddr *)sin,
	    sizeof(*sin)) == -1)
		err(1, "connect");
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return chan_compose(&pc->pc_chan, IMSG_UPSTREAM_SOCK,
	    imsg_get_id(imsg), fd, &mc, sizeof(mc));
}

static void
stop(const char *why)
{
	errx(1, "%s", why);
}

static const struct proc_parent	 parent = {
	PROC_PARENT, "no/such/place", "../../../dnsd", ready, parent_msg,
	NULL, stop
};

/* --- ctrld, and clients: in a process of their own, blocking --- */

static struct imsgbuf	 ctrld;

static void
ctrld_send(enum msg_type type, uint32_t id, const void *data, size_t len)
{
	if (imsg_compose(&ctrld, type, id, 0, -1, data, len) != 1 ||
	    imsgbuf_flush(&ctrld) == -1)
		err(1, "to dnsd");
}

static void
dns_begin(int full)
{
	struct msg_nm_begin	 m = { full, 0 };

	ctrld_send(IMSG_DNS_BEGIN, 0, &m, sizeof(m));
}

static void
dns_host(const char *name, int n, uint8_t last)
{
	struct msg_dns_host	 m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.name, name, sizeof(m.name));
	m.n = n;
	m.ip[0].af = AF_WIRE_INET;
	m.ip[0].addr[0] = 100;
	m.ip[0].addr[1] = 64;
	m.ip[0].addr[3] = last;
	ctrld_send(IMSG_DNS_HOST, 0, &m, sizeof(m));
}

static void
dns_suffix(const char *name)
{
	struct msg_resolve	 m;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.name, name, sizeof(m.name));
	ctrld_send(IMSG_DNS_SUFFIX, 0, &m, sizeof(m));
}

static void
readable(int fd, const char *what)
{
	struct pollfd	 pfd = { fd, POLLIN, 0 };

	if (poll(&pfd, 1, 20000) != 1)
		errx(1, "%s: no answer", what);
}

/* Look a name up; -1: the error, else the last byte of the first address. */
static int
resolve(const char *name, int *error)
{
	struct msg_resolve	 m;
	struct msg_resolved	 r;
	struct imsg		 imsg;
	static uint32_t		 id;

	memset(&m, 0, sizeof(m));
	(void)strlcpy(m.name, name, sizeof(m.name));
	ctrld_send(IMSG_RESOLVE, ++id, &m, sizeof(m));
	while (imsgbuf_get(&ctrld, &imsg) != 1) {
		readable(ctrld.fd, name);
		if (imsgbuf_read(&ctrld) != 1)
			errx(1, "%s: channel closed", name);
	}
	if (imsg_get_type(&imsg) != IMSG_RESOLVED ||
	    imsg_get_id(&imsg) != id ||
	    imsg_get_data(&imsg, &r, sizeof(r)) == -1)
		errx(1, "%s: other answer", name);
	imsg_free(&imsg);
	*error = r.error;
	if (r.error != MSG_OK || r.n == 0)
		return -1;
	return r.ip[0].addr[r.ip[0].af == AF_WIRE_INET ? 3 : 15];
}

/* Ask dnsd as a client; returns rcode * 256 + last byte, -1 without answer. */
static int
client(const char *name, int by_tcp)
{
	struct dns_lookup	 l;
	uint8_t			 buf[2 + 4096];
	size_t			 n, got = 0;
	ssize_t			 r;
	int			 s;

	s = socket(AF_INET, by_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (s == -1 || connect(s, (struct sockaddr *)(by_tcp ? &tcp_addr :
	    &udp_addr), sizeof(udp_addr)) == -1)
		err(1, "connect");
	n = dns_lookup_build(7, name, DNS_T_A, buf + 2);
	buf[0] = n >> 8;
	buf[1] = n & 0xff;
	if (send(s, by_tcp ? buf : buf + 2, by_tcp ? n + 2 : n, 0) == -1)
		err(1, "send");
	do {
		readable(s, name);
		if ((r = recv(s, buf + got, sizeof(buf) - got, 0)) <= 0)
			errx(1, "%s: closed", name);
		got += r;
	} while (by_tcp && (got < 2 ||
	    got < 2U + (buf[0] << 8 | buf[1])));
	(void)close(s);
	if (dns_lookup_parse(7, name, DNS_T_A, by_tcp ? buf + 2 : buf,
	    by_tcp ? got - 2 : got, &l) == -1)
		errx(1, "%s: not an answer", name);
	return l.rcode * 256 + (l.n > 0 ? l.ip[0].addr[3] : 0);
}

static void
want(const char *what, int got, int expected)
{
	if (got != expected)
		errx(1, "%s: %d, not %d", what, got, expected);
}

static void
test_names(void)
{
	dns_begin(1);
	dns_suffix("tail.test");
	dns_host("one.tail.test", 1, 1);
	dns_host("two.tail.test", 1, 2);
	/* The answer below comes after all of this was read. */
	(void)resolve("127.0.0.1", &(int){ 0 });
	want("before commit", client("one.tail.test", 0), 1);
	ctrld_send(IMSG_DNS_COMMIT, 0, NULL, 0);
	(void)resolve("127.0.0.1", &(int){ 0 });
	want("A by UDP", client("one.tail.test", 0), 1);
	want("A by TCP", client("two.tail.test", 1), 2);
	want("unknown", client("no.tail.test", 0), DNS_R_NXDOMAIN * 256);
	dns_begin(0);
	dns_host("one.tail.test", 0, 0);
	dns_host("new.tail.test", 1, 3);
	(void)resolve("127.0.0.1", &(int){ 0 });
	want("still there", client("one.tail.test", 0), 1);
	ctrld_send(IMSG_DNS_COMMIT, 0, NULL, 0);
	(void)resolve("127.0.0.1", &(int){ 0 });
	want("removed", client("one.tail.test", 0), DNS_R_NXDOMAIN * 256);
	want("added", client("new.tail.test", 0), 3);
	want("untouched", client("two.tail.test", 0), 2);
	want("forwarded by UDP", client("w.test", 0), 1);
	want("forwarded by TCP", client("w.test", 1), 1);
	want("forwarded, NXDOMAIN", client("nx.test", 0),
	    DNS_R_NXDOMAIN * 256);
	want("forwarded, SERVFAIL", client("sf.test", 0),
	    DNS_R_SERVFAIL * 256);
	want("forwarded, truncated", client("big.test", 0), 1);
}

static const struct {
	const char	*name;
	int		 result, error;
} lookups[] = {
	{ "192.0.2.9", 9, MSG_OK },
	{ "2001:db8::9", 9, MSG_OK },
	{ "localhost", 1, MSG_OK },
	{ "INHOSTS.test", 77, MSG_OK },
	{ "other", 77, MSG_OK },
	{ "w.test", 1, MSG_OK },
	{ "w.test.", 1, MSG_OK },
	{ "c.test", 1, MSG_OK },
	{ "big2.test", 1, MSG_OK },
	{ "slow.test", 1, MSG_OK },
	{ "forged.test", 1, MSG_OK },
	{ "short", 1, MSG_OK },
	{ "shorts.", 1, MSG_OK },
	{ "nx.test", -1, MSG_E_NAME },
	{ "nx", -1, MSG_E_NAME },
	{ "sf.test", -1, MSG_E_IO },
	{ "dead.test", -1, MSG_E_TIMEOUT },
	{ "bad..name", -1, MSG_E_NAME },
	{ "", -1, MSG_E_NAME }
};

static void
tester(void)
{
	size_t	 i;
	int	 error, got;

	if (imsgbuf_init(&ctrld, sp[1]) == -1)
		err(1, "imsgbuf_init");
	for (i = 0; i < sizeof(lookups) / sizeof(lookups[0]); i++) {
		got = resolve(lookups[i].name, &error);
		if (got != lookups[i].result || error != lookups[i].error)
			errx(1, "%s: %d, error %d", lookups[i].name, got,
			    error);
	}
	test_names();
	exit(0);
}

static void
tester_done_cb(int fd, short events, void *arg)
{
	pid_t	*pid = arg;
	int	 status;

	if (waitpid(*pid, &status, WNOHANG) != *pid)
		return;
	proc_shutdown();
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int
main(int argc, char *argv[])
{
	static struct event	 ev[3];
	static const struct timeval tick = { 0, 50000 };
	static pid_t		 pid;

	if (geteuid() != 0 || getpwnam("_shoaldns") == NULL ||
	    access(EMPTY_DIR, X_OK) == -1 ||
	    access("../../dnsd/dnsd", X_OK) == -1) {
		printf("t_dnsd_live: left out: needs root, the users, and "
		    "dnsd built\n");
		return 0;
	}
	udp = sock_open(SOCK_DGRAM, &udp_addr);
	tcp = sock_open(SOCK_STREAM, &tcp_addr);
	up_udp = sock_open(SOCK_DGRAM, &up_addr);
	up_tcp = sock_open(SOCK_STREAM, &(struct sockaddr_in){ 0 });
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sp) == -1)
		err(1, "socketpair");
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0)
		tester();
	(void)close(sp[1]);
	log_init(1, "t_dnsd_live");
	log_setverbose(getenv("T_VERBOSE") != NULL ? 2 : 0);
	(void)event_init();
	dnsd.pc_proc = PROC_DNSD;
	dnsd.pc_name = "dnsd";
	dnsd.pc_dir = ".";
	proc_parent_init(&parent);
	if (proc_start(&dnsd) == -1)
		errx(1, "proc_start");
	event_set(&ev[0], up_udp, EV_READ | EV_PERSIST, upstream_udp_cb, NULL);
	(void)event_add(&ev[0], NULL);
	event_set(&ev[1], up_tcp, EV_READ | EV_PERSIST, upstream_tcp_cb, NULL);
	(void)event_add(&ev[1], NULL);
	event_set(&ev[2], -1, EV_PERSIST, tester_done_cb, &pid);
	(void)event_add(&ev[2], &tick);
	event_dispatch();
	return 1;
}
