/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The certificates to trust: the named file and no other, else the system's.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os.h"

static int
same(int fd, const char *path)
{
	struct stat	 a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* In the order of shoald.conf(5). */
static void
test_system(void)
{
	static const char *const	 files[] = {
		"/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem",
		"/etc/pki/tls/certs/ca-bundle.crt"
	};
	size_t	 i;
	int	 a, b;

	a = os_ca_open(NULL);
	b = os_ca_open("");
	for (i = 0; i < 3 && access(files[i], R_OK) == -1; i++)
		continue;
	if (i == 3 ? a != -1 || b != -1 :
	    !same(a, files[i]) || !same(b, files[i]))
		errx(1, "it is not the system's");
}

int
main(void)
{
	char	 path[] = "/tmp/shoal-ca.XXXXXX";
	int	 fd, tmp;

	if ((tmp = mkstemp(path)) == -1)
		err(1, "%s", path);
	fd = os_ca_open(path);
	if (!same(fd, path) || (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
		errx(1, "it is not the named one");
	(void)unlink(path);
	if (os_ca_open(path) != -1 || errno != ENOENT)
		errx(1, "one that is not there");
	test_system();
	return 0;
}
