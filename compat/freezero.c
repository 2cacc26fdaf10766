/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * freezero(3) of OpenBSD.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "missing.h"

void
freezero(void *p, size_t len)
{
	if (p == NULL)
		return;
	explicit_bzero(p, len);
	free(p);
}
