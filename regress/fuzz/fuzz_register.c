/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Registration responses and answers of /key.
 */

#include <sys/types.h>

#include <stdint.h>
#include <string.h>

#include "register.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct register_response	 rr;
	uint8_t				 key[32];

	if (register_parse(data, len, &rr) == 0 &&
	    strlen(rr.rr_error) + strlen(rr.rr_authurl) +
	    strlen(rr.rr_login) > 3 * REGISTER_MAX_TEXT)
		__builtin_trap();
	register_response_free(&rr);
	(void)serverkey_parse(data, len, key);
	return 0;
}
