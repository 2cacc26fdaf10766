/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The configuration in memory: defaults, checks of values, comparison.
 */

#include <sys/types.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "derpd.h"

#define FILE_MAX_LEN	(1024 * 1024)

struct derp_conf *
conf_new(void)
{
	struct derp_conf	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal(NULL);
	TAILQ_INIT(&c->c_dirs);
	(void)strlcpy(c->c_state, STATE_FILE, sizeof(c->c_state));
	return c;
}

void
conf_free(struct derp_conf *c)
{
	if (c == NULL)
		return;
	conf_dirs_free(&c->c_dirs);
	free(c->c_cert_text);
	free(c);
}

/* It goes into a certificate, and into HTTP. */
const char *
conf_check_hostname(const char *s)
{
	struct msg_ip	 ip;

	if (strlen(s) >= MSG_NAME_LEN)
		return "is too long";
	if (s[0] == '\0')
		return "is empty";
	if (ip_parse(&ip, s) == 0)
		return NULL;
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-")] == '\0' ?
	    NULL : "has other characters than a-z, 0-9, - and .";
}

const char *
conf_add_listen(struct derp_conf *c, const char *s, int64_t port,
    uint32_t flags)
{
	struct conf_listen	*l;
	struct msg_ip		 ip;
	size_t			 i;

	if (ip_parse(&ip, s) == -1)
		return "is no address";
	if (port < 1 || port > UINT16_MAX)
		return "port is not between 1 and 65535";
	if (c->c_nlisten == LISTEN_MAX)
		return "is one too many";
	for (i = 0; i < c->c_nlisten; i++) {
		l = &c->c_listen[i];
		if (l->l_ep.af == ip.af && l->l_ep.port == port &&
		    (l->l_flags & LISTEN_STUN) == (flags & LISTEN_STUN) &&
		    memcmp(l->l_ep.addr, ip.addr, 16) == 0)
			return "stands here twice";
	}
	l = &c->c_listen[c->c_nlisten++];
	memset(l, 0, sizeof(*l));
	l->l_flags = flags;
	l->l_ep.af = ip.af;
	l->l_ep.port = port;
	memcpy(l->l_ep.addr, ip.addr, sizeof(l->l_ep.addr));
	return NULL;
}

const char *
conf_set_cert(struct derp_conf *c, const char *cert, const char *key)
{
	const char	*why;
	int		 fd;

	if (c->c_tls == RELAY_TLS_FILE && strcmp(c->c_cert, cert) == 0 &&
	    strcmp(c->c_key, key) == 0)
		return NULL;
	if (c->c_tls != RELAY_TLS_NONE)
		return "another certificate is set already: one serves all";
	if ((why = conf_check_path(cert, sizeof(c->c_cert))) != NULL ||
	    (why = conf_check_path(key, sizeof(c->c_key))) != NULL)
		return why;
	c->c_tls = RELAY_TLS_FILE;
	(void)strlcpy(c->c_cert, cert, sizeof(c->c_cert));
	(void)strlcpy(c->c_key, key, sizeof(c->c_key));
	conf_dirs_add(&c->c_dirs, cert);
	conf_dirs_add(&c->c_dirs, key);
	if ((why = conf_read_file(cert, FILE_MAX_LEN,
	    &c->c_cert_text, &c->c_cert_len)) != NULL)
		return why;
	if ((fd = open(key, O_RDONLY | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK)) == -1)
		return strerror(errno);
	close(fd);
	return NULL;
}

const char *
conf_bytes(const char *s, uint64_t *v)
{
	const char	*errstr;
	char		 digits[16];
	uint64_t	 unit = 1;
	size_t		 n;

	n = strspn(s, "0123456789");
	if (n == 0 || n >= sizeof(digits))
		return "is no number of bytes";
	memcpy(digits, s, n);
	digits[n] = '\0';
	if (s[n] == 'k')
		unit = 1000;
	else if (s[n] == 'm')
		unit = 1000 * 1000;
	else if (s[n] == 'g')
		unit = 1000 * 1000 * 1000;
	if (s[n] != '\0' && (unit == 1 || s[n + 1] != '\0'))
		return "is no number of bytes: k, m or g may follow";
	*v = unit * strtonum(digits, 1, 1000000000, &errstr);
	return errstr == NULL ? NULL : "is out of range";
}

const char *
conf_check(const struct derp_conf *c)
{
	size_t	 i;

	if ((c->c_set & SET_HOSTNAME) == 0)
		return "no hostname is set: add a line like "
		    "hostname \"derp.example.org\"";
	for (i = 0; i < c->c_nlisten; i++)
		if ((c->c_listen[i].l_flags & LISTEN_STUN) == 0)
			return NULL;
	return "nothing to listen on: add a line like "
	    "listen on 0.0.0.0 port 443 tls self-signed";
}

const char *
conf_needs_restart(const struct derp_conf *a, const struct derp_conf *b)
{
	if (strcmp(a->c_state, b->c_state) != 0)
		return "state";
	if (strcmp(a->c_hostname, b->c_hostname) != 0)
		return "hostname";
	if (a->c_tls != b->c_tls)
		return "the kind of certificate";
	/* The parent's own confinement knows the old directories. */
	if (!conf_dirs_have(&a->c_dirs, &b->c_dirs))
		return "the directory of a file";
	return NULL;
}
