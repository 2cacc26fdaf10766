/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What a node tells of itself, and what of it others are told.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "jsonutil.h"
#include "log.h"
#include "stored.h"

/*
 * Fields that pass to peers as they are. Not in here, and so never passed
 * on: log ids, push tokens, hardware. Source: control.md 4.7.
 */
static const char *const public_fields[] = {
	"OS", "OSVersion", "Hostname", "IPNVersion", "ShieldsUp",
	"ShareeNode", "RoutableIPs", "sshHostKeys", "Location",
	"WireIngress", "IngressEnabled", "AppConnector", "PeerRelay"
};
#define NPUBLIC		(sizeof(public_fields) / sizeof(public_fields[0]))

/* Of the services only the peer API: the rest is nobody's business. */
static json_t *
hostinfo_services(json_t *list)
{
	json_t		*out, *e;
	const char	*proto;
	size_t		 i;

	if ((out = json_array()) == NULL)
		fatal(NULL);
	json_array_foreach(list, i, e) {
		proto = json_string_value(json_object_get(e, "Proto"));
		if (proto != NULL && strncmp(proto, "peerapi", 7) == 0 &&
		    json_array_append(out, e) == -1)
			fatal(NULL);
	}
	return out;
}

static char *
hostinfo_public(json_t *obj)
{
	json_t	*out, *val;
	size_t	 i;
	char	*text;

	if ((out = json_object()) == NULL)
		fatal(NULL);
	for (i = 0; i < NPUBLIC; i++)
		if ((val = json_object_get(obj, public_fields[i])) != NULL &&
		    json_object_set(out, public_fields[i], val) == -1)
			fatal(NULL);
	val = json_object_get(obj, "Services");
	if (json_is_array(val) && json_object_set_new(out, "Services",
	    hostinfo_services(val)) == -1)
		fatal(NULL);
	if ((text = ju_dump(out)) == NULL)
		fatal(NULL);
	json_decref(out);
	return text;
}

static void
hostinfo_routes(struct node *n, json_t *list)
{
	struct policy_prefix	 routes[NODE_MAX_ROUTES];
	const char		*text;
	json_t			*e;
	size_t			 i, k = 0;

	memset(routes, 0, sizeof(routes));
	json_array_foreach(list, i, e)
		if (k < NODE_MAX_ROUTES &&
		    (text = json_string_value(e)) != NULL &&
		    policy_prefix_parse(text, &routes[k]) == 0)
			k++;
	n->n_announced = xmemdup(routes, k * sizeof(routes[0]));
	n->n_nannounced = k;
}

void
hostinfo_read(struct node *n)
{
	const char	*text = n->n_rec.r_hostinfo;
	json_t		*obj = NULL;

	if (text != NULL)
		obj = ju_load(text, strlen(text));
	if (obj == NULL && (obj = json_object()) == NULL)
		fatal(NULL);
	if (n->n_rec.r_wgonly && json_object_set_new(obj, "Hostname",
	    json_string(n->n_rec.r_label)) == -1)
		fatal(NULL);
	hostinfo_routes(n, json_object_get(obj, "RoutableIPs"));
	n->n_public = hostinfo_public(obj);
	json_decref(obj);
}

const char *
hostinfo_string(json_t *obj, const char *name)
{
	const char	*s;

	s = json_string_value(json_object_get(obj, name));
	return s == NULL ? "" : s;
}

size_t
hostinfo_tags(json_t *obj, char **tags, size_t max)
{
	json_t		*list, *e;
	const char	*text;
	size_t		 i, n = 0;

	list = json_object_get(obj, "RequestTags");
	json_array_foreach(list, i, e) {
		if ((text = json_string_value(e)) == NULL)
			continue;
		if (n < max)
			tags[n] = xstrdup(text);
		n++;
	}
	return n;
}
