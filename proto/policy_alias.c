/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Selectors, ports and protocols of the policy language: texts in.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy_int.h"

static const struct {
	const char	*name;
	int		 num;
} protos[] = {
	{ "icmp", 1 }, { "igmp", 2 }, { "ipv4", 4 }, { "ip-in-ip", 4 },
	{ "tcp", 6 }, { "egp", 8 }, { "igp", 9 }, { "udp", 17 },
	{ "gre", 47 }, { "esp", 50 }, { "ah", 51 }, { "ipv6-icmp", 58 },
	{ "sctp", 132 }, { "fc", 133 }
};

static const struct {
	const char	*name;
	enum autogroup	 ag;
} autogroups[] = {
	{ "autogroup:member", AG_MEMBER },
	{ "autogroup:members", AG_MEMBER },
	{ "autogroup:tagged", AG_TAGGED },
	{ "autogroup:self", AG_SELF },
	{ "autogroup:internet", AG_INTERNET },
	{ "autogroup:danger-all", AG_DANGER },
	{ "autogroup:nonroot", AG_NONROOT }
};

static int	 tag_name_ok(const char *);
static int	 port_number(const char *, size_t, uint16_t *);
static int	 alias_bracketed(char *);

/* After "tag:": a letter, then letters, digits and dashes. */
static int
tag_name_ok(const char *s)
{
	if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')))
		return 0;
	for (; *s != '\0'; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= '0' && *s <= '9') || *s == '-'))
			return 0;
	return 1;
}

/* 0, or -1: no selector. The text must outlive the alias. */
int
alias_parse(const char *s, struct alias *a)
{
	size_t	 i;

	memset(a, 0, sizeof(*a));
	a->al_text = s;
	if (policy_prefix_parse(s, &a->al_prefix) == 0) {
		a->al_type = AL_PREFIX;
		prefix_mask(&a->al_prefix);
		return 0;
	}
	if (strcmp(s, "*") == 0)
		a->al_type = AL_STAR;
	else if (strchr(s, '@') != NULL)
		a->al_type = AL_USER;
	else if (strncmp(s, "group:", 6) == 0)
		a->al_type = AL_GROUP;
	else if (strncmp(s, "tag:", 4) == 0) {
		a->al_type = AL_TAG;
		return tag_name_ok(s + 4) ? 0 : -1;
	} else if (strncmp(s, "autogroup:", 10) == 0) {
		a->al_type = AL_AUTO;
		a->al_auto = AG_UNKNOWN;
		for (i = 0; i < sizeof(autogroups) / sizeof(*autogroups); i++)
			if (strcmp(s, autogroups[i].name) == 0)
				a->al_auto = autogroups[i].ag;
	} else if (*s != '\0' && strchr(s, ':') == NULL &&
	    strchr(s, '/') == NULL)
		a->al_type = AL_HOST;
	else
		return -1;
	return 0;
}

int
alias_parse_list(struct pctx *c, uint32_t node, struct alist *list,
    const char *what)
{
	struct pnode	*n;
	struct alias	*a;
	uint32_t	 i;

	list->al_v = NULL;
	list->al_n = 0;
	if (pc_want(c, node, PN_ARRAY, what) == -1)
		return -1;
	n = pc_node(c, node);
	if (n->pn_nchild == 0)
		return 0;
	list->al_v = pc_calloc(c, n->pn_nchild, sizeof(*list->al_v));
	if (list->al_v == NULL)
		return -1;
	for (i = n->pn_child; i != PN_NONE; i = pc_node(c, i)->pn_next) {
		if (pc_want(c, i, PN_STRING, what) == -1)
			continue;
		a = &list->al_v[list->al_n];
		if (alias_parse(pc_node(c, i)->pn_str, a) == -1) {
			pc_error(c, pc_line(c, i), "%s: \"%s\" is no "
			    "selector", what, pc_node(c, i)->pn_str);
			continue;
		}
		a->al_line = pc_line(c, i);
		list->al_n++;
	}
	return 0;
}

void
alist_free(struct alist *l)
{
	free(l->al_v);
	l->al_v = NULL;
	l->al_n = 0;
}

/* "[fd7a::1]" and "[fd7a::]/64": take the brackets out. */
static int
alias_bracketed(char *s)
{
	char	*end;

	if (*s != '[')
		return 0;
	if ((end = strchr(s, ']')) == NULL ||
	    memchr(s, ':', (size_t)(end - s)) == NULL ||
	    (end[1] != '\0' && end[1] != '/'))
		return -1;
	memmove(end, end + 1, strlen(end));
	memmove(s, s + 1, strlen(s));
	return 0;
}

const char *
alias_split_ports(char *s, char **ports)
{
	char	*colon;

	if ((colon = strrchr(s, ':')) == NULL)
		return "host:port must contain a colon";
	if (colon == s)
		return "no host before the colon";
	if (colon[1] == '\0')
		return "no port after the colon";
	*colon = '\0';
	*ports = colon + 1;
	if (alias_bracketed(s) == -1)
		return "brackets are for IPv6 addresses";
	return NULL;
}

static int
port_number(const char *s, size_t n, uint16_t *port)
{
	unsigned int	 v = 0;
	size_t		 i;

	if (n == 0 || n > 5)
		return -1;
	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (unsigned int)(s[i] - '0');
	}
	if (v > 65535)
		return -1;
	*port = (uint16_t)v;
	return 0;
}

const char *
port_range_parse(const char *s, size_t n, uint16_t *first, uint16_t *last)
{
	const char	*dash;

	if (n == 1 && *s == '*') {
		*first = 0;
		*last = 65535;
		return NULL;
	}
	if ((dash = memchr(s, '-', n)) == NULL) {
		if (port_number(s, n, first) == -1)
			return "is no port (1 to 65535, or *)";
		if (*first == 0)
			return "port must be above 0, or * for all";
		*last = *first;
		return NULL;
	}
	if (port_number(s, (size_t)(dash - s), first) == -1 ||
	    port_number(dash + 1, n - (size_t)(dash - s) - 1, last) == -1)
		return "is no range of ports";
	if (*first > *last)
		return "first port is above the last";
	return NULL;
}

/* A protocol's number, or -1; "" is 0: the default four. */
int
proto_parse(const char *s)
{
	size_t	 i;
	int	 v = 0;

	if (*s == '\0')
		return 0;
	for (i = 0; i < sizeof(protos) / sizeof(protos[0]); i++)
		if (strcasecmp(s, protos[i].name) == 0)
			return protos[i].num;
	if (*s == '0')
		return -1;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		if ((v = v * 10 + (*s - '0')) > 255)
			return -1;
	}
	return v;
}

int
proto_has_ports(int proto)
{
	return proto == 0 || proto == 6 || proto == 17 || proto == 132;
}
