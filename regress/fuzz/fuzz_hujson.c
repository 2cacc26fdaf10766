/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * HuJSON: what is accepted is JSON of the same length for a second parser
 * too, and going over it once more changes nothing.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hujson.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hujson_error	 he;
	char			*buf, *copy;
	size_t			 i;

	buf = malloc(len + (len == 0));
	copy = malloc(len + (len == 0));
	if (buf == NULL || copy == NULL)
		abort();
	memcpy(buf, data, len);
	if (hujson_standardize(buf, len, &he) == -1) {
		if (memcmp(buf, data, len) != 0 || he.he_off > len ||
		    he.he_line == 0 || he.he_col == 0)
			abort();
		goto done;
	}
	for (i = 0; i < len; i++)
		if (buf[i] != (char)data[i] && buf[i] != ' ')
			abort();
	memcpy(copy, buf, len);
	if (hujson_standardize(copy, len, &he) == -1 ||
	    memcmp(copy, buf, len) != 0)
		abort();
done:
	free(buf);
	free(copy);
	return 0;
}
