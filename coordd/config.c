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

#include "coordd.h"

struct coord_conf *
conf_new(void)
{
	struct coord_conf	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal(NULL);
	TAILQ_INIT(&c->c_dirs);
	TAILQ_INIT(&c->c_derps);
	(void)strlcpy(c->c_state, STATE_FILE, sizeof(c->c_state));
	(void)strlcpy(c->c_store, STORE_FILE, sizeof(c->c_store));
	(void)strlcpy(c->c_socket, CTL_SOCKET, sizeof(c->c_socket));
	(void)strlcpy(c->c_group, CTL_GROUP, sizeof(c->c_group));
	c->c_key_expiry = KEY_EXPIRY_DAYS * 86400LL * 1000000000;
	c->c_policy = POLICY_NONE;
	c->c_max_conns = MAX_CONNS;
	if (conf_set_addresses(c, "100.64.0.0/10") != NULL ||
	    conf_set_addresses(c, "fd7a:115c:a1e0::/48") != NULL)
		fatalx("default addresses");
	return c;
}

void
conf_free(struct coord_conf *c)
{
	struct conf_derp	*r;
	size_t			 i;

	if (c == NULL)
		return;
	conf_dirs_free(&c->c_dirs);
	for (i = 0; i < c->c_ncerts; i++)
		free(c->c_certs[i].k_text);
	while ((r = TAILQ_FIRST(&c->c_derps)) != NULL) {
		TAILQ_REMOVE(&c->c_derps, r, r_entry);
		free(r);
	}
	free(c->c_policy_text);
	free(c->c_derpmap_text);
	free(c);
}

const char *
conf_check_domain(const char *s)
{
	size_t	 i, label;
	int	 dots;

	for (i = label = dots = 0; s[i] != '\0'; i++) {
		if (s[i] == '.') {
			if (label == 0 || s[i - 1] == '-')
				return "has an empty or malformed label";
			label = 0;
			dots++;
			continue;
		}
		if (!islower((unsigned char)s[i]) &&
		    !isdigit((unsigned char)s[i]) && s[i] != '-')
			return "has other characters than a-z, 0-9 and -";
		if (label == 0 && s[i] == '-')
			return "has a label that begins with -";
		if (++label > 63)
			return "has a label of more than 63 characters";
	}
	if (label == 0 || s[i - 1] == '-')
		return i == 0 ? "is empty" : "ends in . or -";
	if (dots == 0)
		return "needs at least two labels";
	/* A node's name and its dot go in front. */
	return i <= 189 ? NULL : "is too long";
}

/* Nodes reach /ts2021 at the root alone, whatever the URL says. */
const char *
conf_check_url(const char *s)
{
	const char	*errstr, *host, *port;
	size_t		 n;

	if (strncmp(s, "https://", 8) == 0)
		host = s + 8;
	else if (strncmp(s, "http://", 7) == 0)
		host = s + 7;
	else
		return "must begin with https:// or http://";
	if (strlen(s) >= MSG_NAME_LEN)
		return "is too long";
	if (host[0] == '[') {
		n = strcspn(host, "]");
		if (host[n] == '\0' ||
		    strspn(host + 1, "0123456789abcdefABCDEF:.") != n - 1)
			return "has a malformed address";
		n++;
	} else
		n = strspn(host, "abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
	if (n == 0)
		return "has no host";
	port = host + n;
	if (port[0] == ':') {
		if (!isdigit((unsigned char)port[1]))
			return "has a malformed port";
		(void)strtonum(port + 1, 1, UINT16_MAX, &errstr);
		return errstr == NULL ? NULL : "has a malformed port, or a "
		    "path (none is possible)";
	}
	return port[0] == '\0' ? NULL : "has more than a host and a port: "
	    "no path is possible";
}

/* Is the prefix inside this range, with host bits zero? */
static const char *
prefix_inside(const struct msg_prefix *p, const char *range,
    unsigned int plen)
{
	struct msg_ip	 r;
	unsigned int	 bits, i;

	if (ip_parse(&r, range) == -1)
		return "has an impossible range";
	bits = p->af == AF_WIRE_INET ? 32 : 128;
	if (p->plen < plen)
		return "is outside of the range of tailnets";
	for (i = 0; i < plen; i++)
		if ((p->addr[i / 8] ^ r.addr[i / 8]) & (0x80 >> (i % 8)))
			return "is outside of the range of tailnets";
	for (i = p->plen; i < bits; i++)
		if (p->addr[i / 8] & (0x80 >> (i % 8)))
			return "has bits behind its length";
	return NULL;
}

const char *
conf_set_addresses(struct coord_conf *c, const char *s)
{
	struct msg_prefix	 p;
	struct msg_ip		 ip;
	const char		*err, *slash, *why;
	char			 addr[64];

	memset(&p, 0, sizeof(p));
	if ((slash = strchr(s, '/')) == NULL ||
	    (size_t)(slash - s) >= sizeof(addr))
		return "is no prefix";
	memcpy(addr, s, slash - s);
	addr[slash - s] = '\0';
	if (ip_parse(&ip, addr) == -1 || !isdigit((unsigned char)slash[1]))
		return "is no prefix";
	p.af = ip.af;
	memcpy(p.addr, ip.addr, sizeof(p.addr));
	/* Room for a few nodes must be left. */
	p.plen = strtonum(slash + 1, 0, p.af == AF_WIRE_INET ? 29 : 120,
	    &err);
	if (err != NULL)
		return "is no prefix, or too small";
	if (p.af == AF_WIRE_INET)
		why = prefix_inside(&p, "100.64.0.0", 10);
	else
		why = prefix_inside(&p, "fd7a:115c:a1e0::", 48);
	if (why == NULL && p.af == AF_WIRE_INET)
		c->c_addr4 = p;
	else if (why == NULL)
		c->c_addr6 = p;
	return why;
}

static const char *
cert_read(struct coord_conf *c, struct conf_cert *k)
{
	const char	*why;

	conf_dirs_add(&c->c_dirs, k->k_cert);
	conf_dirs_add(&c->c_dirs, k->k_key);
	if ((why = conf_read_file(k->k_cert, FILE_MAX_LEN, &k->k_text,
	    &k->k_len)) != NULL)
		return why;
	return conf_may_read(k->k_key);
}

const char *
conf_add_cert(struct coord_conf *c, const char *cert, const char *key,
    uint32_t *number)
{
	struct conf_cert	*k;
	const char		*why;
	size_t			 i;

	for (i = 0; i < c->c_ncerts; i++)
		if (strcmp(c->c_certs[i].k_cert, cert) == 0 &&
		    strcmp(c->c_certs[i].k_key, key) == 0) {
			*number = i;
			return NULL;
		}
	if (c->c_ncerts == CERT_MAX)
		return "is one too many";
	k = &c->c_certs[c->c_ncerts];
	if ((why = conf_check_path(cert, sizeof(k->k_cert))) != NULL ||
	    (why = conf_check_path(key, sizeof(k->k_key))) != NULL)
		return why;
	(void)strlcpy(k->k_cert, cert, sizeof(k->k_cert));
	(void)strlcpy(k->k_key, key, sizeof(k->k_key));
	*number = c->c_ncerts++;
	return cert_read(c, k);
}

const char *
conf_add_dns(struct coord_conf *c, uint32_t kind, const char *name,
    const char *value)
{
	struct msg_conf_dns	*d;
	struct msg_ip		 ip;
	const char		*why;

	if (c->c_ndns == DNS_MAX)
		return "is one too many";
	if (kind != CONF_DNS_SERVER &&
	    (why = conf_check_domain(name)) != NULL)
		return why;
	if (ip_parse(&ip, value) == -1)
		return "is no address";
	d = &c->c_dns[c->c_ndns++];
	memset(d, 0, sizeof(*d));
	d->kind = kind;
	(void)strlcpy(d->name, name, sizeof(d->name));
	(void)strlcpy(d->value, ip_print(ip.af, ip.addr), sizeof(d->value));
	return NULL;
}

const char *
conf_set_hook(struct coord_conf *c, const char *path, const char *user)
{
	struct stat	 st;
	const char	*why;

	if ((why = conf_check_path(path, sizeof(c->c_hook))) != NULL)
		return why;
	if (stat(path, &st) == -1)
		return strerror(errno);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
		return "is no program";
	if (st.st_mode & 022)
		return "may be written by others than its owner";
	if (user[0] == '\0' || strlcpy(c->c_hook_user, user,
	    sizeof(c->c_hook_user)) >= sizeof(c->c_hook_user))
		return "has no user, or one with a long name";
	(void)strlcpy(c->c_hook, path, sizeof(c->c_hook));
	return NULL;
}

const char *
conf_check(const struct coord_conf *c)
{
	char	 state[PATH_MAX], store[PATH_MAX], sock[PATH_MAX];

	if ((c->c_set & SET_URL) == 0)
		return "no url is set: add a line like "
		    "url \"https://coord.example.org\"";
	if (c->c_listen.ls_n == 0)
		return "nothing to listen on: add a line like "
		    "listen on 127.0.0.1 port 8080";
	if ((c->c_set & SET_DOMAIN) == 0)
		return "no dns domain is set: add a line like "
		    "dns domain \"tail.example.org\"";
	path_dirname(c->c_state, state, sizeof(state));
	path_dirname(c->c_store, store, sizeof(store));
	path_dirname(c->c_socket, sock, sizeof(sock));
	if (strcmp(state, store) == 0)
		return "state must not be beside the store: the server's "
		    "keys do not belong into its directory";
	if (strcmp(sock, store) == 0)
		return "socket must not be beside the store";
	return NULL;
}

const char *
conf_needs_restart(const struct coord_conf *a, const struct coord_conf *b)
{
	if (strcmp(a->c_state, b->c_state) != 0)
		return "state";
	if (strcmp(a->c_store, b->c_store) != 0)
		return "store";
	if (strcmp(a->c_socket, b->c_socket) != 0 ||
	    strcmp(a->c_group, b->c_group) != 0)
		return "socket";
	if (strcmp(a->c_hook, b->c_hook) != 0 ||
	    strcmp(a->c_hook_user, b->c_hook_user) != 0)
		return "dns update";
	/* The parent's own confinement knows the old directories. */
	if (!conf_dirs_have(&a->c_dirs, &b->c_dirs))
		return "the directory of a file";
	return NULL;
}
