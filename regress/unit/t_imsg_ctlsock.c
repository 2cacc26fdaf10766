/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The control socket from the outside: who answers, who does not, and what
 * is said of that.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctlsock.h"

static char	 dir[] = "/tmp/shoal-ctl.XXXXXX";
static char	 path[64];

static void
want(int good, const char *what)
{
	if (!good)
		errx(1, "%s: %s", what, strerror(errno));
}

static void
fails(const char *name, int error, const char *text)
{
	int	 fd = ctlsock_connect(name, 0), saved = errno;

	want(fd == -1 && saved == error, text);
	want(strstr(ctlsock_why(saved, "shoald", "-s"), text) != NULL, text);
}

static int
serve(void)
{
	struct sockaddr_un	 sun;
	int			 fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	want(fd != -1 && bind(fd, (struct sockaddr *)&sun,
	    sizeof(sun)) == 0 && listen(fd, 5) == 0, path);
	return fd;
}

int
main(void)
{
	char	 longest[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	int	 fd, s;

	want(mkdtemp(dir) != NULL, dir);
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	fails(path, ENOENT, "shoald is not running, or has another socket "
	    "(-s)");
	s = serve();
	want((fd = ctlsock_connect(path, 0)) != -1, "it answers");
	want((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 &&
	    (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0, "flags");
	close(fd);
	want((fd = ctlsock_connect(path, SOCK_NONBLOCK)) != -1 &&
	    (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, "more flags");
	close(fd);
	close(s);
	fails(path, ECONNREFUSED, "not running");
	if (geteuid() == 0) {
		want(chmod(dir, 0) == 0 && seteuid(54321) == 0, "seteuid");
		fails(path, EACCES, "be root, or a member of the socket's");
		want(seteuid(0) == 0, "seteuid");
	}
	(void)unlink(path);
	(void)rmdir(dir);

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	fails(longest, ENAMETOOLONG, "too long: a socket's has at most");
	longest[sizeof(longest) - 2] = '\0';
	fails(longest, ENOENT, "not running");
	return 0;
}
