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
conf_set_cert(struct derp_conf *c, const char *cert, const char *key)
{
	const char	*why;

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
	return conf_may_read(key);
}

const char *
conf_set_file(struct derp_conf *c, char *dst, const char *path)
{
	const char	*why;

	if ((why = conf_check_path(path, PATH_MAX)) != NULL)
		return why;
	(void)strlcpy(dst, path, PATH_MAX);
	conf_dirs_add(&c->c_dirs, path);
	return conf_may_read(path);
}

/* A name of hosts, or an address; IPv6 in brackets where a port follows. */
static const char *
server_host(struct msg_conf_server *m, const char *s, size_t len)
{
	if (len >= 2 && s[0] == '[' && s[len - 1] == ']') {
		s++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(m->host))
		return "has no host, or a long one";
	memcpy(m->host, s, len);
	m->host[len] = '\0';
	return conf_check_hostname(m->host);
}

static struct msg_conf_server *
server_new(struct derp_conf *c, uint32_t kind)
{
	struct msg_conf_server	*m;

	if (c->c_nserver == nitems(c->c_server))
		return NULL;
	m = &c->c_server[c->c_nserver++];
	memset(m, 0, sizeof(*m));
	m->kind = kind;
	return m;
}

static const char	 too_many_servers[] = "is one server too many";

/* "http://host:8080/path". */
static const char *
server_url(struct msg_conf_server *m, const char *url)
{
	const char	*p, *path, *colon, *why, *bad = NULL;

	m->tls = strncmp(url, "https://", 8) == 0;
	m->port = m->tls ? 443 : 80;
	if (!m->tls && strncmp(url, "http://", 7) != 0)
		return "is no http:// or https:// URL";
	p = url + (m->tls ? 8 : 7);
	path = p + strcspn(p, "/?#");
	for (colon = path; colon > p && colon[-1] >= '0' &&
	    colon[-1] <= '9'; colon--)
		;
	if (colon > p && colon[-1] == ':' && colon < path) {
		char	 port[8];

		if ((size_t)(path - colon) >= sizeof(port))
			return "has no port like that";
		memcpy(port, colon, path - colon);
		port[path - colon] = '\0';
		m->port = strtonum(port, 1, UINT16_MAX, &bad);
		if (bad != NULL)
			return "has no port like that";
		colon--;
	} else
		colon = path;
	if ((why = server_host(m, p, colon - p)) != NULL)
		return why;
	if (*path == '#' || *path == '?' || strlen(path) >= sizeof(m->path) ||
	    path[strspn(path, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-_.~%?=&")] != '\0')
		return "has a path that cannot be used";
	(void)strlcpy(m->path, *path == '\0' ? "/" : path, sizeof(m->path));
	return NULL;
}

const char *
conf_set_verify(struct derp_conf *c, const char *url)
{
	struct msg_conf_server	*m;

	if ((m = server_new(c, SERVER_VERIFY)) == NULL)
		return too_many_servers;
	c->c_verify = RELAY_VERIFY_URL;
	return server_url(m, url);
}

const char *
conf_set_coordd(struct derp_conf *c, const char *url, const char *file)
{
	struct msg_conf_server	*m;
	const char		*why;
	size_t			 len;

	if ((m = server_new(c, SERVER_COORDD)) == NULL)
		return too_many_servers;
	c->c_verify = RELAY_VERIFY_COORDD;
	if ((why = server_url(m, url)) != NULL)
		return why;
	len = strlen(m->path);
	if (len > 0 && m->path[len - 1] == '/')
		m->path[len - 1] = '\0';
	if (strlcat(m->path, COORDD_PATH, sizeof(m->path)) >=
	    sizeof(m->path))
		return "has a path that cannot be used";
	/* The key would be for everybody on the way to read. */
	if (!m->tls && strcmp(m->host, "127.0.0.1") != 0 &&
	    strcmp(m->host, "::1") != 0)
		return "must begin with https://, or name 127.0.0.1 or ::1";
	return conf_set_file(c, c->c_clients, file);
}

static const char *
pin_parse(struct msg_conf_server *m, const char *pin)
{
	static const char	 prefix[] = "sha256-raw:", hex[] =
				    "0123456789abcdef";
	const char		*d;
	size_t			 i;

	if (strncmp(pin, prefix, sizeof(prefix) - 1) != 0 ||
	    strlen(pin += sizeof(prefix) - 1) != 2 * sizeof(m->pin))
		return "has a pin that is not sha256-raw: and 64 hex digits";
	for (i = 0; i < 2 * sizeof(m->pin); i++) {
		if ((d = strchr(hex, pin[i])) == NULL)
			return "has a pin with other than hex digits";
		m->pin[i / 2] = m->pin[i / 2] << 4 | (d - hex);
	}
	m->has_pin = 1;
	return NULL;
}

const char *
conf_add_mesh(struct derp_conf *c, const char *host, int64_t port,
    const char *pin)
{
	struct msg_conf_server	*m;
	const char		*why;

	if ((m = server_new(c, SERVER_MESH)) == NULL)
		return too_many_servers;
	if (port < 1 || port > UINT16_MAX)
		return "has a port that is not between 1 and 65535";
	m->port = port;
	m->tls = 1;
	if ((why = server_host(m, host, strlen(host))) != NULL)
		return why;
	return pin[0] == '\0' ? NULL : pin_parse(m, pin);
}

const char *
conf_add_bootstrap(struct derp_conf *c, const char *name, const char *addr)
{
	struct msg_bootstrap	*b;
	const char		*why;

	if (c->c_nboot == nitems(c->c_boot))
		return "is one too many";
	b = &c->c_boot[c->c_nboot++];
	memset(b, 0, sizeof(*b));
	if ((why = conf_check_hostname(name)) != NULL)
		return why;
	(void)strlcpy(b->name, name, sizeof(b->name));
	return ip_parse(&b->ip, addr) == 0 ? NULL : "has no address";
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
	for (i = 0; i < c->c_nserver; i++)
		if (c->c_server[i].kind == SERVER_MESH &&
		    (c->c_set & SET_MESHKEY) == 0)
			return "mesh with needs a mesh key: add a line like "
			    "mesh key file \"/etc/shoal/mesh.key\"";
	for (i = 0; i < c->c_listen.ls_n; i++)
		if ((c->c_listen.ls_sock[i].flags & (LISTEN_STUN |
		    LISTEN_METRICS | LISTEN_REDIRECT)) == 0)
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
