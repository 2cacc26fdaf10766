/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The names by which nodes are shown.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netmap.h"
#include "netmap_int.h"

#define LABEL_MAX	63

static int
nm_isalnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

static size_t
nm_trim_end(const char *s, size_t len, const char *suffix)
{
	size_t	 slen;

	slen = strlen(suffix);
	if (len >= slen && memcmp(s + len - slen, suffix, slen) == 0)
		return len - slen;
	return len;
}

/* A host's own name as one DNS label; buf holds LABEL_MAX + 1. */
static void
nm_host_label(const char *s, char *buf)
{
	size_t	 end, i, o, start;
	char	 c;

	end = strlen(s);
	end = nm_trim_end(s, end, ".local");
	end = nm_trim_end(s, end, ".localdomain");
	end = nm_trim_end(s, end, ".lan");
	if (end > LABEL_MAX)
		end = LABEL_MAX;
	for (start = 0; start < end && !nm_isalnum(s[start]); start++)
		continue;
	while (start < end && !nm_isalnum(s[end - 1]))
		end--;
	for (i = start, o = 0; i < end; i++) {
		c = s[i];
		if (c == ' ' || c == '.' || c == '@' || c == '_')
			buf[o++] = '-';
		else if (nm_isalnum(c) || c == '-')
			buf[o++] = c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
	}
	buf[o] = '\0';
}

/* The name without the tailnet's suffix and without the final dot. */
static void
nm_base_name(const char *name, const char *suffix, char *buf, size_t size)
{
	size_t	 base, len, slen;

	len = nm_trim_end(name, strlen(name), ".");
	slen = strlen(suffix);
	base = nm_trim_end(name, len, suffix);
	if (slen > 0 && base < len && base > 0 && name[base - 1] == '.')
		len = base - 1;
	if (len >= size)
		len = size - 1;
	memcpy(buf, name, len);
	buf[len] = '\0';
}

int
nm_node_names(struct nm_node *n, const char *suffix)
{
	char	 name[NM_MAX_NAME], host[LABEL_MAX + 1], key[JU_KEYTEXT];
	char	*hostname;

	name[0] = host[0] = '\0';
	if (n->n_name != NULL)
		nm_base_name(n->n_name, suffix, name, sizeof(name));
	hostname = nm_hostinfo_str(n->n_hostinfo, "Hostname");
	if (hostname != NULL)
		nm_host_label(hostname, host);
	free(hostname);
	if (strcasecmp(name, host) == 0)
		host[0] = '\0';
	if (name[0] == '\0' && host[0] != '\0') {
		(void)strlcpy(name, host, sizeof(name));
		host[0] = '\0';
	} else if (name[0] == '\0')
		(void)strlcpy(name, ju_key_text("nodekey:", n->n_key, key,
		    sizeof(key)), sizeof(name));
	free(n->n_computed);
	free(n->n_computed_host);
	n->n_computed_host = NULL;
	if ((n->n_computed = strdup(name)) == NULL)
		return -1;
	if (host[0] != '\0' && (n->n_computed_host = strdup(host)) == NULL)
		return -1;
	return 0;
}

char *
netmap_suffix(const struct netmap *nm, char *buf, size_t len)
{
	const char	*dot, *s;

	buf[0] = '\0';
	if (nm->nm_self == NULL || nm->nm_self->n_name == NULL)
		return buf;
	s = nm->nm_self->n_name;
	while (*s == '.')
		s++;
	dot = strchr(s, '.');
	/* A single label with or without final dot stands for itself. */
	if (dot != NULL && dot[strspn(dot, ".")] != '\0')
		s = dot + 1;
	(void)strlcpy(buf, s, len);
	len = strlen(buf);
	while (len > 0 && buf[len - 1] == '.')
		buf[--len] = '\0';
	return buf;
}
