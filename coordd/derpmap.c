/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The DERP map as stored wants it: a descriptor to read JSON from.
 * Source: control.md 4.9.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordd.h"

#define DERPMAP_MAX	32768		/* what any pipe takes at once */

static void
derpmap_node(FILE *f, const struct conf_derp *r)
{
	fprintf(f, "{\"Name\":\"%s\",\"RegionID\":%u,\"HostName\":\"%s\"",
	    r->r_node[0] != '\0' ? r->r_node : r->r_name, r->r_id, r->r_host);
	if (r->r_port != 0)
		fprintf(f, ",\"DERPPort\":%u", r->r_port);
	if (r->r_stun != 0)
		fprintf(f, ",\"STUNPort\":%u", r->r_stun);
	if (r->r_pin[0] != '\0')
		fprintf(f, ",\"CertName\":\"%s\"", r->r_pin);
	fprintf(f, "}");
}

/* What the regions come to, as text. NULL with errno. */
static char *
derpmap_text(const struct coord_conf *c, size_t *len)
{
	const struct conf_derp	*r;
	FILE			*f;
	char			*text;

	text = NULL;
	if ((f = open_memstream(&text, len)) == NULL)
		return NULL;
	fprintf(f, "{\"Regions\":{");
	TAILQ_FOREACH(r, &c->c_derps, r_entry) {
		fprintf(f, "%s\"%u\":{\"RegionID\":%u,\"RegionCode\":\"%s\","
		    "\"RegionName\":\"%s\",\"Nodes\":[",
		    r == TAILQ_FIRST(&c->c_derps) ? "" : ",", r->r_id,
		    r->r_id, r->r_name, r->r_name);
		derpmap_node(f, r);
		fprintf(f, "]}");
	}
	fprintf(f, "}}\n");
	if (fclose(f) == 0 && *len <= DERPMAP_MAX)
		return text;
	free(text);
	errno = E2BIG;
	return NULL;
}

int
derpmap_open(const struct coord_conf *c)
{
	char	*text;
	size_t	 len;
	ssize_t	 n;
	int	 p[2];

	if (c->c_derpmap[0] != '\0')
		return open(c->c_derpmap, O_RDONLY | O_CLOEXEC | O_NOCTTY |
		    O_NONBLOCK);
	if (TAILQ_EMPTY(&c->c_derps)) {
		errno = ENOENT;
		return -1;
	}
	if ((text = derpmap_text(c, &len)) == NULL)
		return -1;
	if (pipe2(p, O_CLOEXEC) == -1) {
		free(text);
		return -1;
	}
	n = write(p[1], text, len);
	close(p[1]);
	free(text);
	if (n >= 0 && (size_t)n == len)
		return p[0];
	close(p[0]);
	errno = EIO;
	return -1;
}
