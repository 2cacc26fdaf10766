/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Listening sockets of a server: bound here, accepted from in a child.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "endpoint.h"
#include "log.h"
#include "lsock.h"

#ifndef nitems
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#endif

static struct lsock {
	struct msg_endpoint	 l_ep;
	uint32_t		 l_stun;
	int			 l_fd;
	int			 l_used;
	int			 l_new;		/* not committed yet */
	int			 l_wanted;	/* by the new configuration */
} socks[LSOCK_MAX * 2];

static int	  backlog;
static int	(*options)(int, uint32_t);

static int
same(const struct msg_endpoint *a, uint32_t aflags,
    const struct msg_endpoint *b, uint32_t bflags)
{
	return a->af == b->af && a->port == b->port &&
	    (aflags & LISTEN_STUN) == (bflags & LISTEN_STUN) &&
	    memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

const char *
lsock_add(struct lsocks *ls, const char *s, int64_t port, uint32_t flags,
    uint32_t cert)
{
	struct msg_listen	 m;
	struct msg_ip		 ip;
	size_t			 i;

	if (ip_parse(&ip, s) == -1)
		return "is no address";
	if (port < 1 || port > UINT16_MAX)
		return "port is not between 1 and 65535";
	if (ls->ls_n == LSOCK_MAX)
		return "is one too many";
	memset(&m, 0, sizeof(m));
	m.ep.af = ip.af;
	m.ep.port = port;
	memcpy(m.ep.addr, ip.addr, sizeof(m.ep.addr));
	m.flags = flags;
	m.cert = cert;
	for (i = 0; i < ls->ls_n; i++)
		if (same(&ls->ls_sock[i].ep, ls->ls_sock[i].flags, &m.ep,
		    flags))
			return "stands here twice";
	ls->ls_sock[ls->ls_n++] = m;
	return NULL;
}

void
lsock_init(int n, int (*set)(int, uint32_t))
{
	backlog = n;
	options = set;
}

static int
lsock_tcp(int fd)
{
	int	 on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1)
		return -1;
	return 0;
}

static int
lsock_bind(const struct msg_listen *m)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd, on = 1, save;
	int			 udp = (m->flags & LISTEN_STUN) != 0;

	len = endpoint_ss(&m->ep, &ss);
	fd = socket(ss.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) |
	    SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if ((!udp && lsock_tcp(fd) == -1) ||
	    (options != NULL && options(fd, m->flags) == -1) ||
	    (ss.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &on, sizeof(on)) == -1) ||
	    bind(fd, (struct sockaddr *)&ss, len) == -1 ||
	    (!udp && listen(fd, backlog) == -1)) {
		save = errno;
		close(fd);
		errno = save;
		return -1;
	}
	return fd;
}

static struct lsock *
lsock_find(const struct msg_listen *m)
{
	size_t	 i;

	for (i = 0; i < nitems(socks); i++)
		if (socks[i].l_used && same(&socks[i].l_ep, socks[i].l_stun,
		    &m->ep, m->flags))
			return &socks[i];
	return NULL;
}

static struct lsock *
lsock_new(const struct msg_listen *m, char *why, size_t len)
{
	size_t	 i;
	int	 fd;

	for (i = 0; i < nitems(socks) && socks[i].l_used; i++)
		;
	if (i == nitems(socks)) {
		(void)snprintf(why, len, "too many listening sockets");
		return NULL;
	}
	if ((fd = lsock_bind(m)) == -1) {
		(void)snprintf(why, len, "listen on %s port %u: %s",
		    ip_print(m->ep.af, m->ep.addr), m->ep.port,
		    strerror(errno));
		return NULL;
	}
	memset(&socks[i], 0, sizeof(socks[i]));
	socks[i].l_ep = m->ep;
	socks[i].l_stun = m->flags & LISTEN_STUN;
	socks[i].l_fd = fd;
	socks[i].l_used = 1;
	socks[i].l_new = 1;
	return &socks[i];
}

int
lsock_open(const struct lsocks *ls, char *why, size_t len)
{
	struct lsock	*l;
	size_t		 i;

	for (i = 0; i < nitems(socks); i++)
		socks[i].l_wanted = 0;
	for (i = 0; i < ls->ls_n; i++) {
		if ((l = lsock_find(&ls->ls_sock[i])) == NULL &&
		    (l = lsock_new(&ls->ls_sock[i], why, len)) == NULL) {
			lsock_abort();
			return -1;
		}
		l->l_wanted = 1;
	}
	return 0;
}

void
lsock_commit(void)
{
	size_t	 i;

	for (i = 0; i < nitems(socks); i++) {
		socks[i].l_new = 0;
		if (socks[i].l_used && !socks[i].l_wanted) {
			close(socks[i].l_fd);
			socks[i].l_used = 0;
		}
	}
}

void
lsock_abort(void)
{
	size_t	 i;

	for (i = 0; i < nitems(socks); i++)
		if (socks[i].l_used && socks[i].l_new) {
			close(socks[i].l_fd);
			socks[i].l_used = 0;
			socks[i].l_new = 0;
		}
}

void
lsock_send(struct chan *c, const struct lsocks *ls)
{
	struct lsock	*l;
	size_t		 i;
	int		 fd;

	for (i = 0; i < ls->ls_n; i++) {
		if ((l = lsock_find(&ls->ls_sock[i])) == NULL)
			continue;
		if ((fd = fcntl(l->l_fd, F_DUPFD_CLOEXEC, 0)) == -1) {
			log_warn("listening socket");
			continue;
		}
		(void)chan_compose(c, IMSG_LISTEN, 0, fd, &ls->ls_sock[i],
		    sizeof(ls->ls_sock[i]));
	}
}
