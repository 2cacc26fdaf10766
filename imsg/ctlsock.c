/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The control socket of a daemon, from the outside.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctlsock.h"

int
ctlsock_connect(const char *path, int flags)
{
	struct sockaddr_un	 sun;
	int			 fd, saved;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

const char *
ctlsock_why(int error, const char *daemon, const char *where)
{
	static char	 text[256];

	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		(void)snprintf(text, sizeof(text),
		    "%s is not running, or has another socket (%s)", daemon,
		    where);
		break;
	case EACCES:
		(void)strlcpy(text, "not allowed: be root, or a member of "
		    "the socket's group", sizeof(text));
		break;
	case ENAMETOOLONG:
		(void)snprintf(text, sizeof(text), "name is too long: a "
		    "socket's has at most %zu bytes",
		    sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
		break;
	default:
		(void)strlcpy(text, strerror(error), sizeof(text));
		break;
	}
	return text;
}
