/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Map responses, one a line, applied in turn. A message that is refused
 * must leave the map as it was, and the number of peers must agree with
 * what the deltas say.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netmap.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char *
dump(struct netmap *nm)
{
	struct nm_node	*n;
	json_t		*j, *peers;
	char		*text;

	if ((j = netmap_json(nm)) == NULL)
		abort();
	peers = json_array();
	RB_FOREACH(n, nm_tree, &nm->nm_peers)
		json_array_append_new(peers, nm_node_json(n));
	json_object_set_new(j, "Peers", peers);
	text = ju_dump(j);
	json_decref(j);
	return text;
}

static void
step(struct netmap *nm, const char *text, size_t len)
{
	struct ju_time		 now = { 1790000000, 0, 1 };
	struct nm_delta		 d;
	struct nm_effects	 fx;
	char			*after, *before;
	uint32_t		 i, npeers, new;

	before = dump(nm);
	npeers = nm->nm_npeers;
	if (netmap_apply(nm, text, len, &now, &d, &fx) == -1) {
		after = dump(nm);
		if (strcmp(before, after) != 0)
			abort();
		free(after);
	} else if (!fx.ms_keepalive) {
		for (i = new = 0; i < d.nd_nchanged; i++)
			if (d.nd_changed[i].dc_what & NM_PC_NEW)
				new++;
		if (npeers - d.nd_nremoved > nm->nm_npeers ||
		    npeers + new < nm->nm_npeers)
			abort();
	}
	nm_delta_free(&d);
	nm_effects_free(&fx);
	free(before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct netmap	*nm;
	const uint8_t	*nl;
	size_t		 n;

	nm = netmap_new();
	while (len > 0) {
		nl = memchr(data, '\n', len);
		n = nl == NULL ? len : (size_t)(nl - data);
		step(nm, (const char *)data, n);
		if (nl == NULL)
			break;
		data += n + 1;
		len -= n + 1;
	}
	netmap_free(nm);
	return 0;
}
