/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * MagicDNS labels: from host names, unique, or as an admin gave them.
 */

#include <sys/types.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "stored.h"

static int
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

static size_t
cut_suffix(const char *host, size_t len, const char *suffix)
{
	size_t	 n = strlen(suffix);

	if (len >= n && strncasecmp(host + len - n, suffix, n) == 0)
		return len - n;
	return len;
}

/* Source: features.md 3, host name to DNS label. */
void
name_label(const char *host, char label[NODE_LABEL_MAX])
{
	size_t	 i, start = 0, len, n = 0;
	char	 c;

	len = host == NULL ? 0 : strlen(host);
	len = cut_suffix(host, len, ".local");
	len = cut_suffix(host, len, ".localdomain");
	len = cut_suffix(host, len, ".lan");
	if (len > NODE_LABEL_MAX - 1)
		len = NODE_LABEL_MAX - 1;
	while (start < len && !is_alnum(host[start]))
		start++;
	while (len > start && !is_alnum(host[len - 1]))
		len--;
	for (i = start; i < len; i++) {
		c = host[i];
		if (is_alnum(c) || c == '-')
			label[n++] = (char)tolower((unsigned char)c);
		else if (c == ' ' || c == '.' || c == '_' || c == '@')
			label[n++] = '-';
	}
	label[n] = '\0';
	if (n == 0)
		(void)strlcpy(label, "node", NODE_LABEL_MAX);
}

int
name_valid(const char *name)
{
	size_t	 i, len = strlen(name);

	if (len == 0 || len >= NODE_LABEL_MAX || name[0] == '-' ||
	    name[len - 1] == '-')
		return 0;
	for (i = 0; i < len; i++)
		if (!(name[i] >= 'a' && name[i] <= 'z') &&
		    !(name[i] >= '0' && name[i] <= '9') && name[i] != '-')
			return 0;
	/* "node show 7" is about the ID. */
	return strspn(name, "0123456789") != len;
}

static int
label_free(struct brain *b, const struct node *self, const char *label)
{
	struct node	*n;

	n = node_find_label(b, label);
	return n == NULL || n == self;
}

void
name_unique(struct brain *b, const struct node *self, const char *base,
    char label[NODE_LABEL_MAX])
{
	char		 tail[16];
	size_t		 len = strlen(base), room;
	unsigned int	 i;

	(void)strlcpy(label, base, NODE_LABEL_MAX);
	for (i = 1; !label_free(b, self, label); i++) {
		(void)snprintf(tail, sizeof(tail), "-%u", i);
		room = NODE_LABEL_MAX - 1 - strlen(tail);
		if (len > room)
			len = room;
		(void)snprintf(label, NODE_LABEL_MAX, "%.*s%s", (int)len,
		    base, tail);
	}
}

/* 1 if label is base, or base with a number. */
static int
label_fits(const char *label, const char *base)
{
	size_t	 len = strlen(base);

	if (strncmp(label, base, len) != 0)
		return 0;
	label += len;
	return *label == '\0' || (*label == '-' && label[1] != '\0' &&
	    strspn(label + 1, "0123456789") == strlen(label + 1));
}

void
name_follow(struct brain *b, struct node *n, struct noderec *r)
{
	char	 base[NODE_LABEL_MAX];

	if (r->r_given || r->r_wgonly)
		return;
	name_label(r->r_hostname, base);
	if (!label_fits(r->r_label, base))
		name_unique(b, n, base, r->r_label);
}
