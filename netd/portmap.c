/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What portmapd found at the gateway: an endpoint of ours, and what netcheck
 * tells.
 */

#include <sys/types.h>

#include <string.h>

#include "netd.h"

#define EP_PORTMAPPED	3		/* control.md 4.1 */

int
portmap_message(struct imsg *imsg)
{
	struct msg_portmap	 m;
	struct addr		 a;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || m.pmp > PORTMAP_YES ||
	    m.pcp > PORTMAP_YES || m.upnp > PORTMAP_YES)
		return -1;
	if (m.ep.af != 0) {
		addr_from_ep(&a, &m.ep);
		if (!addr_usable(&a) || addr_is_loopback(&a))
			return -1;
	}
	m.ep.type = EP_PORTMAPPED;
	m.ep.scope = 0;
	nd.n_portmap = m;
	endpoints_update(0);
	return 0;
}

size_t
portmap_endpoint(struct msg_endpoint *ep, size_t max)
{
	if (nd.n_portmap.ep.af == 0 || max == 0)
		return 0;
	*ep = nd.n_portmap.ep;
	return 1;
}

const struct msg_portmap *
portmap_state(void)
{
	return &nd.n_portmap;
}

void
portmap_probe(void)
{
	(void)chan_compose(proc_parent(), IMSG_PORTMAP_PROBE, 0, -1, NULL, 0);
}
