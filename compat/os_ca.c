/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Where systems keep the certificates of authorities. All names are tried
 * everywhere: packages bring those of others.
 */

#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>

#include "os.h"

#define FLAGS	(O_RDONLY | O_CLOEXEC | O_NOCTTY)

static const char *const	 files[] = {
	"/etc/ssl/certs/ca-certificates.crt",	/* Debian, Arch, Alpine */
	"/etc/ssl/cert.pem",			/* OpenBSD, FreeBSD */
	"/etc/pki/tls/certs/ca-bundle.crt"	/* Fedora, RHEL */
};

int
os_ca_open(const char *file)
{
	size_t	 i;
	int	 fd = -1;

	if (file != NULL && file[0] != '\0')
		return open(file, FLAGS);
	for (i = 0; fd == -1 && i < sizeof(files) / sizeof(files[0]); i++)
		fd = open(files[i], FLAGS);
	return fd;
}
