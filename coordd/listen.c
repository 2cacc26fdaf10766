/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Listening sockets: bound here, accepted from in frontd.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "coordd.h"

#define BACKLOG		1024

static struct lsock {
	struct msg_endpoint	 l_ep;
	int			 l_fd;
	int			 l_used;
	int			 l_new;		/* not committed yet */
	int			 l_wanted;	/* by the new configuration */
} socks[LISTEN_MAX * 2];

/* Accepted sockets inherit what is set here. */
static int
listen_bind(const struct msg_endpoint *ep)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd, on = 1, save;

	len = endpoint_ss(ep, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    (ss.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &on, sizeof(on)) == -1) ||
	    bind(fd, (struct sockaddr *)&ss, len) == -1 ||
	    listen(fd, BACKLOG) == -1) {
		save = errno;
		close(fd);
		errno = save;
		return -1;
	}
	return fd;
}

static struct lsock *
listen_find(const struct msg_endpoint *ep)
{
	size_t	 i;

	for (i = 0; i < nitems(socks); i++)
		if (socks[i].l_used && socks[i].l_ep.af == ep->af &&
		    socks[i].l_ep.port == ep->port &&
		    memcmp(socks[i].l_ep.addr, ep->addr, 16) == 0)
			return &socks[i];
	return NULL;
}

static struct lsock *
listen_new(const struct msg_endpoint *ep, char *why, size_t len)
{
	size_t	 i;
	int	 fd;

	for (i = 0; i < nitems(socks) && socks[i].l_used; i++)
		;
	if (i == nitems(socks)) {
		(void)snprintf(why, len, "too many listening sockets");
		return NULL;
	}
	if ((fd = listen_bind(ep)) == -1) {
		(void)snprintf(why, len, "listen on %s port %u: %s",
		    ip_print(ep->af, ep->addr), ep->port, strerror(errno));
		return NULL;
	}
	memset(&socks[i], 0, sizeof(socks[i]));
	socks[i].l_ep = *ep;
	socks[i].l_fd = fd;
	socks[i].l_used = 1;
	socks[i].l_new = 1;
	return &socks[i];
}

int
listen_open(const struct coord_conf *c, char *why, size_t len)
{
	struct lsock	*l;
	size_t		 i;

	for (i = 0; i < nitems(socks); i++)
		socks[i].l_wanted = 0;
	for (i = 0; i < c->c_nlisten; i++) {
		if ((l = listen_find(&c->c_listen[i])) == NULL &&
		    (l = listen_new(&c->c_listen[i], why, len)) == NULL) {
			listen_abort();
			return -1;
		}
		l->l_wanted = 1;
	}
	return 0;
}

void
listen_commit(void)
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
listen_abort(void)
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
listen_send(struct proc_child *pc, const struct coord_conf *c)
{
	struct msg_listen	 m;
	struct lsock		*l;
	size_t			 i;
	int			 fd;

	for (i = 0; i < c->c_nlisten; i++) {
		if ((l = listen_find(&c->c_listen[i])) == NULL)
			continue;
		if ((fd = fcntl(l->l_fd, F_DUPFD_CLOEXEC, 0)) == -1) {
			log_warn("listening socket");
			continue;
		}
		memset(&m, 0, sizeof(m));
		m.ep = l->l_ep;
		if (c->c_listen_cert[i] != -1) {
			m.flags = LISTEN_TLS;
			m.cert = c->c_listen_cert[i];
		}
		(void)chan_compose(&pc->pc_chan, IMSG_LISTEN, 0, fd, &m,
		    sizeof(m));
	}
}
