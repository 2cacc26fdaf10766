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

void
text_plain(char *s)
{
	unsigned char	*p;

	for (p = (unsigned char *)s; *p != '\0'; p++) {
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		/* U+0080 to U+009F in UTF-8 are controls too. */
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
}
