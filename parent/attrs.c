/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the server wants of this node, as far as it is the parent's to do:
 * node attributes, control.md 4.10.
 */

#include <sys/types.h>

#include "shoald.h"

#define OURS		(SELF_RANDOM_PORT | SELF_NO_UPNP | SELF_ONLY_443)
#define ATTRS_BURST	8
#define ATTRS_NS	(10 * 1000000000LL)

static uint32_t		 flags;		/* SELF_* */
static struct bucket	 changes;

uint32_t
attrs_get(void)
{
	return flags;
}

int
attrs_msg(struct imsg *imsg)
{
	struct msg_u32	 m;
	uint32_t	 diff;
	char		 why[256];

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	m.v &= OURS;
	if ((diff = flags ^ m.v) == 0)
		return 0;
	/* Each change of port is a socket: not as fast as ctrld likes. */
	if (!bucket_take(&changes, os_now(), ATTRS_BURST, ATTRS_NS)) {
		log_warnx("ctrld: node attributes change too often");
		return 0;
	}
	flags = m.v;
	if (diff & SELF_RANDOM_PORT) {
		log_info("UDP port: %s", flags & SELF_RANDOM_PORT ?
		    "any, as the server wants" : "as configured");
		if (tunnel_set_port(shoald_conf()->c_port, why,
		    sizeof(why)) == -1)
			log_warnx("%s", why);
	}
	gateway_update();
	return 0;
}
