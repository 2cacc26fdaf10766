/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: text and binary forms of keys; what parses prints and parses again.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum key_type	 type;
	uint8_t		 raw[KEY_RAW_MAX], again[KEY_RAW_MAX];
	char		 text[KEY_TEXT_MAX];

	(void)key_node_parse_binary(data, len, raw);
	for (type = 0; type < KEY_TYPE_MAX; type++) {
		if (key_parse(type, (const char *)data, len, raw) == -1)
			continue;
		if (key_print(type, raw, text, sizeof(text)) == -1 ||
		    key_parse(type, text, strlen(text), again) == -1 ||
		    memcmp(raw, again, key_size(type)) != 0)
			abort();
	}
	return 0;
}
