/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The configuration in memory: defaults, checks of values, comparison.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoald.h"

struct shoal_conf *
conf_new(void)
{
	struct shoal_conf	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal(NULL);
	TAILQ_INIT(&c->c_dirs);
	c->c_port = UDP_PORT;
	c->c_portmap = 1;
	c->c_hardnat = 1;
	c->c_mtu = TUN_MTU;
	(void)strlcpy(c->c_ifname, TUN_NAME, sizeof(c->c_ifname));
	(void)strlcpy(c->c_state, STATE_FILE, sizeof(c->c_state));
	(void)strlcpy(c->c_socket, CTL_SOCKET, sizeof(c->c_socket));
	(void)strlcpy(c->c_group, CTL_GROUP, sizeof(c->c_group));
	return c;
}

void
conf_free(struct shoal_conf *c)
{
	if (c == NULL)
		return;
	conf_dirs_free(&c->c_dirs);
	freezero(c, sizeof(*c));
}

const char *
conf_check_tag(const char *s)
{
	size_t	 i;

	if (strncmp(s, "tag:", 4) != 0)
		return "a tag begins with \"tag:\"";
	if (!isalpha((unsigned char)s[4]))
		return "a tag's name begins with a letter";
	for (i = 4; s[i] != '\0'; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-')
			return "a tag has letters, digits and - only";
	return i < 64 ? NULL : "tag is too long";
}

const char *
conf_check_hostname(const char *s)
{
	size_t	 i;

	for (i = 0; s[i] != '\0'; i++)
		if (!isalnum((unsigned char)s[i]) &&
		    strchr("-._", s[i]) == NULL)
			return "hostname has a character that is not allowed";
	if (i == 0)
		return "hostname is empty";
	return i < 64 ? NULL : "hostname is too long";
}

const char *
conf_check_ifname(const char *s)
{
	size_t	 i;

	for (i = 0; s[i] != '\0'; i++)
		if (!isalnum((unsigned char)s[i]) &&
		    strchr("-._", s[i]) == NULL)
			return "interface name has a character that is not "
			    "allowed";
	if (i == 0 || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return "interface has no name";
	return i < 16 ? NULL : "interface name is longer than 15 characters";
}

const char *
conf_read_authkey(struct shoal_conf *c, const char *path)
{
	struct stat	 st;
	ssize_t		 n;
	int		 fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK)) == -1)
		return strerror(errno);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return "is not a file";
	}
	if ((st.st_mode & (S_IWGRP | S_IRWXO)) != 0) {
		close(fd);
		return "holds a secret that others may read: chmod 600";
	}
	n = read(fd, c->c_authkey, sizeof(c->c_authkey) - 1);
	close(fd);
	if (n == -1)
		return strerror(errno);
	c->c_authkey[n] = '\0';
	c->c_authkey[strcspn(c->c_authkey, " \t\r\n")] = '\0';
	if (c->c_authkey[0] == '\0')
		return "holds no key";
	return (size_t)n < sizeof(c->c_authkey) - 1 ? NULL : "is too long";
}

const char *
conf_needs_restart(const struct shoal_conf *a, const struct shoal_conf *b)
{
	if (strcmp(a->c_state, b->c_state) != 0)
		return "state";
	if (strcmp(a->c_socket, b->c_socket) != 0 ||
	    strcmp(a->c_group, b->c_group) != 0)
		return "socket";
	if (strcmp(a->c_ifname, b->c_ifname) != 0 || a->c_mtu != b->c_mtu)
		return "interface";
	if (a->c_sender != b->c_sender)
		return "sender thread";
	if (a->c_landlock != b->c_landlock)
		return "sandbox";
	/* The parent's own confinement knows the old directories. */
	if (!conf_dirs_have(&a->c_dirs, &b->c_dirs))
		return "the directory of a file";
	return NULL;
}
