/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * One relay is probed: DERP over TLS, and STUN. What comes from it is read
 * with nobody's rights and no way to open anything.
 * Source: control.md 5.4; dataplane.md 3 and 4.1.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "log.h"
#include "os.h"
#include "probe.h"
#include "stun.h"
#include "tlsclient.h"

#define T_CONNECT	4000		/* ms for a connection */
#define T_TLS		4000
#define T_ANSWER	3000
#define T_STUN		700		/* for each of STUN_TRIES */
#define STUN_TRIES	3
#define USER		"nobody"

__attribute__((__format__ (printf, 2, 3))) static void
trouble(struct probe_result *re, const char *fmt, ...)
{
	char	 text[256];
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (re->re_why[0] != '\0')
		(void)strlcat(re->re_why, "; ", sizeof(re->re_why));
	(void)strlcat(re->re_why, text, sizeof(re->re_why));
}

static void
drop_root(void)
{
	struct passwd	*pw;

	if (geteuid() != 0)
		return;
	if ((pw = getpwnam(USER)) == NULL)
		fatalx("unknown user %s", USER);
	os_ids_drop(pw);
}

/* Before the rights go: the administrator's file may be his alone. */
static void
load_ca(const char *file)
{
	int	 fd;

	if ((fd = os_ca_open(file)) == -1 && file != NULL)
		fatal("%s", file);
	if (fd != -1 && tlsclient_ca_fd(fd) == 0)
		tlsclient_ca_commit();
}

static struct addrinfo *
resolve(const struct probe *pr, int family, int type, uint16_t port)
{
	const char	*host;
	struct addrinfo	 hints, *res;
	char		 service[8];

	host = family == AF_INET ? pr->pr_ip4 : pr->pr_ip6;
	if (strcmp(host, "none") == 0)
		return NULL;
	memset(&hints, 0, sizeof(hints));
	hints.ai_family = family;
	hints.ai_socktype = type;
	(void)snprintf(service, sizeof(service), "%u", port);
	return getaddrinfo(host[0] == '\0' ? pr->pr_host : host, service,
	    &hints, &res) == 0 ? res : NULL;
}

/* 1: ready, 0: not in time. */
static int
wait_for(int fd, short events, int ms)
{
	struct pollfd	 pfd = { fd, events, 0 };
	int64_t		 end = os_now() + ms * 1000000LL, left;
	int		 n;

	do {
		left = (end - os_now() + 999999) / 1000000;
		n = poll(&pfd, 1, left > 0 ? (int)left : 0);
	} while (n == -1 && errno == EINTR);
	return n == 1;
}

/* A connected socket, or -1 with errno. */
static int
connect_to(const struct addrinfo *ai)
{
	socklen_t	 len;
	int		 error = 0, one = 1, s;

	s = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (s == -1)
		return -1;
	/* What is measured is a request, not when it is sent. */
	if (ai->ai_socktype == SOCK_STREAM)
		(void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one,
		    sizeof(one));
	if (connect(s, ai->ai_addr, ai->ai_addrlen) == 0)
		return s;
	if (errno == EINPROGRESS) {
		len = sizeof(error);
		if (!wait_for(s, POLLOUT, T_CONNECT))
			error = ETIMEDOUT;
		else if (getsockopt(s, SOL_SOCKET, SO_ERROR, &error,
		    &len) == 0 && error == 0)
			return s;
	} else
		error = errno;
	close(s);
	errno = error;
	return -1;
}

/* By IPv4 and, if that does not do, by IPv6. */
static int
open_derp(const struct probe *pr, struct probe_result *re)
{
	static const int	 families[] = { AF_INET, AF_INET6 };
	struct addrinfo		*ai;
	size_t			 i;
	int			 error = 0, s = -1;

	for (i = 0; s == -1 && i < 2; i++) {
		ai = resolve(pr, families[i], SOCK_STREAM, pr->pr_port);
		if (ai == NULL)
			continue;
		if ((s = connect_to(ai)) == -1)
			error = errno;
		freeaddrinfo(ai);
	}
	if (s == -1 && error == 0)
		trouble(re, "%s has no address", pr->pr_host);
	else if (s == -1)
		trouble(re, "port %u: %s", pr->pr_port, strerror(error));
	return s;
}

static int
open_stun(const struct probe *pr, int family)
{
	struct addrinfo	*ai;
	int		 s;

	ai = resolve(pr, family, SOCK_DGRAM, pr->pr_stun);
	if (ai == NULL)
		return -1;
	s = connect_to(ai);
	freeaddrinfo(ai);
	return s;
}

/* Wait for what TLS waits for; 0, or -1: it fails, or does not end. */
static int
tls_wait(SSL *ssl, int fd, int rv, int64_t end)
{
	int64_t	 left = (end - os_now()) / 1000000;

	switch (SSL_get_error(ssl, rv)) {
	case SSL_ERROR_WANT_READ:
		return left > 0 && wait_for(fd, POLLIN, (int)left) ? 0 : -1;
	case SSL_ERROR_WANT_WRITE:
		return left > 0 && wait_for(fd, POLLOUT, (int)left) ? 0 : -1;
	default:
		return -1;
	}
}

static int
tls_start(SSL *ssl, int fd, struct tlsclient *tc, struct probe_result *re)
{
	int64_t	 end = os_now() + T_TLS * 1000000LL;
	int	 rv;

	while ((rv = SSL_connect(ssl)) != 1)
		if (tls_wait(ssl, fd, rv, end) == -1) {
			if (os_now() >= end)
				trouble(re, "TLS: no answer");
			else
				trouble(re, "%s", tlsclient_error(ssl, rv,
				    tc));
			return -1;
		}
	return 0;
}

/* The first line of its answer. */
static int
tls_line(SSL *ssl, int fd, char *line, size_t size)
{
	int64_t	 end = os_now() + T_ANSWER * 1000000LL;
	size_t	 n = 0;
	int	 rv;

	while (n < size - 1) {
		if ((rv = SSL_read(ssl, line + n, 1)) != 1) {
			if (tls_wait(ssl, fd, rv, end) == -1)
				return -1;
			continue;
		}
		if (line[n] == '\r' || line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return 0;
}

static void
derp_request(SSL *ssl, int fd, const struct probe *pr,
    struct probe_result *re)
{
	char	 request[MSG_NAME_LEN + 128], line[64];
	int64_t	 start = os_now();
	int	 len;

	len = snprintf(request, sizeof(request),
	    "GET /derp/latency-check HTTP/1.1\r\nHost: %s\r\n"
	    "Connection: close\r\n\r\n", pr->pr_host);
	re->re_derp = -1;
	if (SSL_write(ssl, request, len) != len ||
	    tls_line(ssl, fd, line, sizeof(line)) == -1)
		trouble(re, "latency-check: no answer");
	else if (strncmp(line, "HTTP/1.1 200", 12) != 0)
		trouble(re, "latency-check: it is no relay");
	else
		re->re_derp = (os_now() - start) / 1000 + 1;
}

static void
probe_derp(int fd, const struct probe *pr, struct probe_result *re)
{
	struct tlsclient	 tc;
	SSL			*ssl;

	re->re_derp = -1;
	if (fd == -1)
		return;
	memset(&tc, 0, sizeof(tc));
	(void)strlcpy(tc.tc_host, pr->pr_host, sizeof(tc.tc_host));
	(void)strlcpy(tc.tc_cert, pr->pr_cert, sizeof(tc.tc_cert));
	tc.tc_insecure = pr->pr_insecure;
	if ((ssl = tlsclient_new(fd, &tc)) == NULL) {
		trouble(re, "%s", tc.tc_why);
		return;
	}
	if (tls_start(ssl, fd, &tc, re) == 0)
		derp_request(ssl, fd, pr, re);
	SSL_free(ssl);
}

/* An answer to this request; others are thrown away. */
static int
stun_answer(int fd, const uint8_t txid[STUN_TXID_LEN])
{
	struct stun_addr	 addr;
	uint8_t			 buf[512], id[STUN_TXID_LEN];
	ssize_t			 n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		if (stun_response_parse(buf, (size_t)n, id, &addr) == 0 &&
		    memcmp(id, txid, sizeof(id)) == 0)
			return 1;
	return 0;
}

static int64_t
probe_stun(int fd)
{
	uint8_t	 req[STUN_REQUEST_LEN], txid[STUN_TXID_LEN];
	int64_t	 start, end;
	int	 i;

	for (i = 0; i < STUN_TRIES; i++) {
		arc4random_buf(txid, sizeof(txid));
		stun_request_build(txid, req);
		start = os_now();
		end = start + T_STUN * 1000000LL;
		if (send(fd, req, sizeof(req), 0) != sizeof(req))
			return -1;
		while (os_now() < end && wait_for(fd, POLLIN,
		    (int)((end - os_now()) / 1000000)))
			if (stun_answer(fd, txid))
				return (os_now() - start) / 1000 + 1;
	}
	return -1;
}

void
probe_run(const struct probe *pr, const char *ca, struct probe_result *re)
{
	int	 derp = -1, stun4 = -1, stun6 = -1;

	memset(re, 0, sizeof(*re));
	tlsclient_warmup();
	load_ca(ca);
	drop_root();
	if (!pr->pr_stunonly)
		derp = open_derp(pr, re);
	if (pr->pr_stun != 0) {
		stun4 = open_stun(pr, AF_INET);
		stun6 = open_stun(pr, AF_INET6);
	}
	/* As the process that has connected sockets, TLS, and no files. */
	os_sandbox(PROC_CTRLD, SANDBOX_STARTUP);
	os_sandbox(PROC_CTRLD, SANDBOX_RUN);
	if (!pr->pr_stunonly)
		probe_derp(derp, pr, re);
	if (stun4 != -1)
		re->re_stun4 = probe_stun(stun4);
	if (stun6 != -1)
		re->re_stun6 = probe_stun(stun6);
	if (pr->pr_stun != 0 && re->re_stun4 <= 0 && re->re_stun6 <= 0)
		trouble(re, "STUN: no answer");
}
