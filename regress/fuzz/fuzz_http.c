/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: heads of HTTP/1.1 requests, query strings, HTML escapes.
 */
/* link: ../../coordd/frontd/http.c */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../coordd/frontd/http.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct http_req	 hr;
	char		 v[16], safe[4096];
	size_t		 used = 0;
	int		 status;

	status = http_head_parse((const char *)data, len, &hr, &used);
	if (status != 200)
		return 0;
	if (used == 0 || used > len || hr.hr_path[0] != '/' ||
	    hr.hr_length < 0)
		abort();
	if (http_query_get(hr.hr_query, "v", v, sizeof(v)) == 0 &&
	    strlen(v) >= sizeof(v))
		abort();
	if (http_escape(hr.hr_path, safe, sizeof(safe)) == 0 &&
	    strpbrk(safe, "<>\"'") != NULL)
		abort();
	return 0;
}
