/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The DERP map as stored wants it: JSON.
 * Source: control.md 4.9.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordd.h"

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

/* What the regions come to. */
static char *
derpmap_regions(const struct coord_conf *c, size_t *len)
{
	const struct conf_derp	*r;
	FILE			*f;
	char			*text;

	text = NULL;
	if ((f = open_memstream(&text, len)) == NULL)
		fatal(NULL);
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
	if (fclose(f) != 0)
		fatal(NULL);
	return text;
}

char *
derpmap_text(const struct coord_conf *c, size_t *len)
{
	char	*text;

	if (c->c_derpmap_text == NULL)
		return TAILQ_EMPTY(&c->c_derps) ? NULL :
		    derpmap_regions(c, len);
	if ((text = strdup(c->c_derpmap_text)) == NULL)
		fatal(NULL);
	*len = strlen(text);
	return text;
}
