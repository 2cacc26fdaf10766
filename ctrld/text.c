/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Texts of strangers in log lines. Not by vis(3): its relatives have other
 * arguments on other systems.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "pure.h"

void
text_vis(char *dst, size_t size, const char *src)
{
	char	 one[8];
	size_t	 len, n;

	for (len = 0; *src != '\0'; src++, len += n) {
		n = snprintf(one, sizeof(one), *src >= ' ' && *src <= '~' &&
		    *src != '\\' ? "%c" : "\\%03o", (unsigned char)*src);
		if (n >= size - len)
			break;
		memcpy(dst + len, one, n);
	}
	dst[len] = '\0';
}
