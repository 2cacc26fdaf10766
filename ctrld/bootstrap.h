/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Names looked up at relays, the pure part. Source: dataplane.md 3.8.
 */

#ifndef CTRLD_BOOTSTRAP_H
#define CTRLD_BOOTSTRAP_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "messages.h"

#define BOOTSTRAP_MAX	6	/* relays asked for one name */
#define BOOTSTRAP_LIMIT	3000	/* ms each */
#define BOOTSTRAP_AFTER	3000	/* ms: then dnsd counts as slow */

struct bootstrap {
	char		 b_host[MSG_NAME_LEN];
	struct msg_ip	 b_ip;
};

/*
 * Relays of a DERP map that can be reached without a name, on port 443, in
 * an order by chance (seed), families by turns. Fills an array of
 * BOOTSTRAP_MAX, returns how many. The map may be NULL.
 */
size_t	 bootstrap_relays(json_t *, uint32_t, struct bootstrap *);

/*
 * Read {"name":["ip",...],...}: the addresses of exactly this name, at most
 * max. Returns how many; 0 also for what cannot be read.
 */
size_t	 bootstrap_parse(const char *, size_t, const char *, struct msg_ip *,
	    size_t);

/*
 * The same n addresses with the families by turns, IPv6 first, each family
 * in its order. Source: RFC 8305, 4.
 */
void	 bootstrap_order(const struct msg_ip *, size_t, struct msg_ip *);

#endif /* CTRLD_BOOTSTRAP_H */
