/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: answers of NAT-PMP and PCP.
 */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "portmap.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pmp_reply	 pmp;
	struct pcp_reply	 pcp, head;
	struct pcp_map		 map;
	uint8_t			 ip4[4];

	if (pmp_parse(&pmp, data, len) == 0 &&
	    pcp_parse(&pcp, data, len) == 0)
		abort();		/* the version is one of them */
	if (pcp_parse_map(&head, &map, data, len) == 0 &&
	    (pcp_parse(&pcp, data, len) == -1 ||
	    memcmp(&pcp, &head, sizeof(pcp)) != 0 || head.result != PCP_OK))
		abort();
	(void)ip4_from_mapped(ip4, map.addr);
	return 0;
}
