/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * recallocarray(3) of OpenBSD.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "missing.h"

void *
recallocarray(void *p, size_t oldn, size_t n, size_t size)
{
	size_t	 keep;
	void	*new;

	if (size != 0 && (n > SIZE_MAX / size || oldn > SIZE_MAX / size)) {
		errno = ENOMEM;
		return NULL;
	}
	if ((new = calloc(n > 0 ? n : 1, size > 0 ? size : 1)) == NULL)
		return NULL;
	if (p != NULL) {
		keep = (oldn < n ? oldn : n) * size;
		memcpy(new, p, keep);
		freezero(p, oldn * size);
	}
	return new;
}
