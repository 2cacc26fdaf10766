/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: bodies that nodes send to the server.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>

#include "srvreq.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct srvreq_register	 sr;
	struct srvreq_call	 sc;
	struct srvreq_map	 sm;

	if (srvreq_call_parse(data, len, &sc) == 0) {
		if (sc.sc_json[0] != '{' || sc.sc_len > SRVREQ_MAX_CALL)
			abort();
		srvreq_call_free(&sc);
	}
	if (srvreq_register_parse(data, len, &sr) == 0) {
		if (sr.sr_authkey == NULL || sr.sr_followup == NULL)
			abort();
		srvreq_register_free(&sr);
	}
	if (srvreq_map_parse(data, len, &sm) == 0) {
		if (sm.sm_nendpoints > SRVREQ_MAX_ENDPOINTS)
			abort();
		srvreq_map_free(&sm);
	}
	return 0;
}
