/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * resolv.conf(5) and hosts(5), as the parent hands them over. They are
 * root's, yet no larger than a bound is believed.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dnsd.h"
#include "log.h"

#define FILE_MAX_LEN	(1024 * 1024)
#define HOSTS_MAX	8192
#define DNS_PORT	53

struct hosts_entry {
	char		*name;
	struct dns_ip	 ip;
};

static struct servers		 servers = {
	1, { { .af = AF_WIRE_INET, .port = DNS_PORT,
	    .addr = { 127, 0, 0, 1 } } }
};
static struct search		 search;
static struct hosts_entry	*hosts;
static size_t			 nhosts;

/* All of a file as a string; closes it. NULL if it cannot be used. */
static char *
file_read(int fd, const char *what)
{
	char	*buf;
	size_t	 len = 0;
	ssize_t	 n;

	if ((buf = malloc(FILE_MAX_LEN + 1)) == NULL)
		fatal(NULL);
	while (len < FILE_MAX_LEN &&
	    (n = read(fd, buf + len, FILE_MAX_LEN - len)) != 0) {
		if (n == -1) {
			log_warn("%s", what);
			break;
		}
		len += n;
	}
	(void)close(fd);
	buf[len] = '\0';
	return buf;
}

/* Next word of a line, or NULL; comments end it. */
static char *
word(char **line)
{
	char	*w;

	while ((w = strsep(line, " \t\r")) != NULL)
		if (*w != '\0')
			break;
	if (w == NULL || *w == '#' || *w == ';')
		return NULL;
	return w;
}

/* Asking our own service address would ask ourselves, for ever. */
static int
is_service(const struct dns_ip *ip)
{
	static const uint8_t	 v4[4] = { 100, 100, 100, 100 };
	static const uint8_t	 v6[16] = {
		0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53
	};

	return ip->af == 4 ? memcmp(ip->addr, v4, sizeof(v4)) == 0 :
	    memcmp(ip->addr, v6, sizeof(v6)) == 0;
}

/* A link-local one would need its interface: such lines are left out. */
static void
resolv_server(const char *text, struct servers *s)
{
	struct dns_ip	 ip;

	if (s->n == SERVERS_MAX || dns_ip_parse(text, &ip) == -1 ||
	    is_service(&ip))
		return;
	s->ep[s->n].af = ip.af;
	s->ep[s->n].port = DNS_PORT;
	memcpy(s->ep[s->n++].addr, ip.addr, sizeof(ip.addr));
}

/* The last such line counts. */
static void
resolv_search(char *line, struct search *list)
{
	struct dns_name	 name;
	char		*w;

	list->n = 0;
	while ((w = word(&line)) != NULL && list->n < SEARCH_MAX)
		if (dns_name_from_text(&name, w) == 0 && name.len > 1)
			(void)strlcpy(list->domain[list->n++], name.text,
			    sizeof(list->domain[0]));
}

void
files_parse_resolv(char *text, struct servers *s, struct search *list)
{
	char	*line, *w;

	memset(s, 0, sizeof(*s));
	memset(list, 0, sizeof(*list));
	while ((line = strsep(&text, "\n")) != NULL) {
		if ((w = word(&line)) == NULL)
			continue;
		if (strcmp(w, "search") == 0 || strcmp(w, "domain") == 0)
			resolv_search(line, list);
		else if (strcmp(w, "nameserver") == 0 &&
		    (w = word(&line)) != NULL)
			resolv_server(w, s);
	}
}

void
files_read_resolv(int fd)
{
	char	*text;

	text = file_read(fd, "resolv.conf");
	files_parse_resolv(text, &servers, &search);
	free(text);
	if (servers.n == 0) {		/* resolv.conf(5): then this host */
		servers.n = 1;
		servers.ep[0].af = AF_WIRE_INET;
		servers.ep[0].port = DNS_PORT;
		servers.ep[0].addr[0] = 127;
		servers.ep[0].addr[3] = 1;
	}
	log_debug("%zu resolvers of the system", servers.n);
}

const struct servers *
files_servers(void)
{
	return &servers;
}

const struct search *
files_search(void)
{
	return &search;
}

static void
hosts_add(const char *name, const struct dns_ip *ip)
{
	struct hosts_entry	*e;
	struct dns_name		 lower;

	if (nhosts == HOSTS_MAX || dns_name_from_text(&lower, name) == -1)
		return;
	if (nhosts % 64 == 0) {
		e = recallocarray(hosts, nhosts, nhosts + 64, sizeof(*hosts));
		if (e == NULL)
			fatal(NULL);
		hosts = e;
	}
	e = &hosts[nhosts];
	if ((e->name = strndup(lower.text, lower.len - 1)) == NULL)
		fatal(NULL);
	e->ip = *ip;
	nhosts++;
}

void
files_parse_hosts(char *text)
{
	struct dns_ip	 ip;
	char		*line, *w;
	size_t		 i;

	for (i = 0; i < nhosts; i++)
		free(hosts[i].name);
	free(hosts);
	hosts = NULL;
	nhosts = 0;
	while ((line = strsep(&text, "\n")) != NULL) {
		if ((w = word(&line)) == NULL || dns_ip_parse(w, &ip) == -1)
			continue;
		while ((w = word(&line)) != NULL)
			hosts_add(w, &ip);
	}
}

void
files_read_hosts(int fd)
{
	char	*text;

	text = file_read(fd, "hosts");
	files_parse_hosts(text);
	free(text);
	log_debug("%zu names in the hosts file", nhosts);
}

size_t
files_hosts_find(const char *name, struct dns_ip *ip, size_t max)
{
	size_t	 i, n = 0;

	for (i = 0; i < nhosts && n < max; i++)
		if (strcmp(hosts[i].name, name) == 0)
			ip[n++] = hosts[i].ip;
	/* RFC 6761, 6.3: whatever the file says, or does not. */
	if (n == 0 && strcmp(name, "localhost") == 0) {
		(void)dns_ip_parse("127.0.0.1", &ip[n++]);
		if (n < max)
			(void)dns_ip_parse("::1", &ip[n++]);
	}
	return n;
}
