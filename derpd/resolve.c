/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Addresses of the names in the configuration. Answers of resolvers are
 * network input, which a privileged process does not read: a process of its
 * own, a moment's, without any right, asks the system's resolver and writes
 * addresses of fixed size to a pipe.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "derpd.h"

#define RESOLVE_TIME	10		/* seconds */

struct resolve {
	struct event	 r_ev;
	struct msg_ip	 r_ips[RESOLVE_MAX];
	void		(*r_cb)(const struct msg_ip *, size_t, void *);
	void		*r_arg;
	size_t		 r_have;	/* bytes */
	pid_t		 r_pid;
	int		 r_fd;
};

/* --- the process without rights --- */

static int
resolve_ip(const struct addrinfo *ai, struct msg_ip *ip)
{
	struct sockaddr_in	 sin;
	struct sockaddr_in6	 sin6;

	memset(ip, 0, sizeof(*ip));
	if (ai->ai_family == AF_INET) {
		memcpy(&sin, ai->ai_addr, sizeof(sin));
		ip->af = AF_WIRE_INET;
		memcpy(ip->addr, &sin.sin_addr, 4);
		return 0;
	}
	if (ai->ai_family != AF_INET6)
		return -1;
	memcpy(&sin6, ai->ai_addr, sizeof(sin6));
	ip->af = AF_WIRE_INET6;
	memcpy(ip->addr, &sin6.sin6_addr, 16);
	return 0;
}

__attribute__((noreturn)) static void
resolve_child(const struct passwd *pw, const char *name, int fd)
{
	struct addrinfo	 hints, *res, *ai;
	struct msg_ip	 ip;
	int		 n = 0;

	if (dup2(fd, 3) == -1)
		_exit(1);
	closefrom(4);
	os_ids_drop(pw);
	(void)alarm(RESOLVE_TIME);
	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	if (getaddrinfo(name, NULL, &hints, &res) != 0)
		_exit(1);
	for (ai = res; ai != NULL && n < RESOLVE_MAX; ai = ai->ai_next)
		if (resolve_ip(ai, &ip) == 0) {
			if (write(3, &ip, sizeof(ip)) != sizeof(ip))
				_exit(1);
			n++;
		}
	_exit(0);
}

/* --- the parent --- */

void
resolve_cancel(struct resolve *r)
{
	int	 status;

	if (r == NULL)
		return;
	(void)event_del(&r->r_ev);
	(void)kill(r->r_pid, SIGKILL);
	(void)waitpid(r->r_pid, &status, 0);
	close(r->r_fd);
	free(r);
}

static void
resolve_done(struct resolve *r)
{
	struct msg_ip	 ips[RESOLVE_MAX];
	size_t		 i, n = 0;

	for (i = 0; i < r->r_have / sizeof(ips[0]); i++)
		if (r->r_ips[i].af == AF_WIRE_INET ||
		    r->r_ips[i].af == AF_WIRE_INET6)
			ips[n++] = r->r_ips[i];
	r->r_cb(ips, n, r->r_arg);
	resolve_cancel(r);
}

static void
resolve_cb(int fd, short events, void *arg)
{
	struct resolve	*r = arg;
	ssize_t		 n = 0;

	if (events & EV_READ && r->r_have < sizeof(r->r_ips))
		n = read(fd, (uint8_t *)r->r_ips + r->r_have,
		    sizeof(r->r_ips) - r->r_have);
	if (n > 0)
		r->r_have += n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		resolve_done(r);
}

struct resolve *
resolve_start(const char *name,
    void (*cb)(const struct msg_ip *, size_t, void *), void *arg)
{
	struct timeval	 tv = { RESOLVE_TIME, 0 };
	struct passwd	*pw;
	struct resolve	*r;
	int		 fds[2];

	if ((pw = getpwnam(RESOLVER_USER)) == NULL) {
		log_warnx("unknown user %s: no name can be looked up",
		    RESOLVER_USER);
		errno = ENOENT;
		return NULL;
	}
	if ((r = calloc(1, sizeof(*r))) == NULL)
		fatal(NULL);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1) {
		free(r);
		return NULL;
	}
	if ((r->r_pid = fork()) == 0)
		resolve_child(pw, name, fds[1]);
	close(fds[1]);
	if (r->r_pid == -1) {
		close(fds[0]);
		free(r);
		return NULL;
	}
	r->r_fd = fds[0];
	r->r_cb = cb;
	r->r_arg = arg;
	event_set(&r->r_ev, r->r_fd, EV_READ | EV_PERSIST, resolve_cb, r);
	(void)event_add(&r->r_ev, &tv);
	return r;
}
