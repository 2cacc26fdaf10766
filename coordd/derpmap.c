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
	if (r->r_nostun)
		fprintf(f, ",\"STUNPort\":-1");
	else if (r->r_stun != 0)
		fprintf(f, ",\"STUNPort\":%u", r->r_stun);
	if (r->r_ip4[0] != '\0')
		fprintf(f, ",\"IPv4\":\"%s\"", r->r_ip4);
	if (r->r_ip6[0] != '\0')
		fprintf(f, ",\"IPv6\":\"%s\"", r->r_ip6);
	if (r->r_pin[0] != '\0')
		fprintf(f, ",\"CertName\":\"%s\"", r->r_pin);
	fprintf(f, "}");
}

char *
derpmap_text(const struct coord_conf *c, size_t *len)
{
	const struct conf_derp	*r;
	FILE			*f;
	char			*text = NULL;

	if (TAILQ_EMPTY(&c->c_derps))
		return NULL;
	if ((f = open_memstream(&text, len)) == NULL)
		fatal(NULL);
	fprintf(f, "{\"Regions\":{");
	TAILQ_FOREACH(r, &c->c_derps, r_entry) {
		if (r->r_more)
			fprintf(f, ",");
		else
			fprintf(f, "%s\"%u\":{\"RegionID\":%u,"
			    "\"RegionCode\":\"%s\",\"RegionName\":\"%s\","
			    "\"Nodes\":[", r == TAILQ_FIRST(&c->c_derps) ?
			    "" : "]},", r->r_id, r->r_id, r->r_name,
			    r->r_name);
		derpmap_node(f, r);
	}
	fprintf(f, "]}}}\n");
	if (fclose(f) != 0)
		fatal(NULL);
	return text;
}
