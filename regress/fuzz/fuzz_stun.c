/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: STUN requests and answers; an answer that parses builds to one that
 * parses to the same.
 */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stun.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct stun_addr	 sa, again;
	uint8_t			 txid[STUN_TXID_LEN], same[STUN_TXID_LEN];
	uint8_t			 out[STUN_RESPONSE_MAX];
	size_t			 n;

	(void)stun_request_parse(data, len, txid);
	if (stun_response_parse(data, len, txid, &sa) == -1)
		return 0;
	n = stun_response_build(txid, &sa, out);
	if (stun_response_parse(out, n, same, &again) == -1 ||
	    memcmp(txid, same, sizeof(txid)) != 0 ||
	    memcmp(&sa, &again, sizeof(sa)) != 0)
		abort();
	return 0;
}
