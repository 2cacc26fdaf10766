/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A secret of 32 bytes in a file of 64 hexadecimal digits.
 */

#include <sys/types.h>

#include <string.h>
#include <unistd.h>

#include "hexkey.h"

static const char	 digits[] = "0123456789abcdef";

int
hexkey_parse(const char *s, size_t len, uint8_t key[HEXKEY_LEN])
{
	const char	*d;
	uint8_t		 all = 0;
	size_t		 i;

	if (len != HEXKEY_TEXT)
		return -1;
	for (i = 0; i < HEXKEY_TEXT; i++) {
		if (s[i] == '\0' || (d = strchr(digits, s[i])) == NULL)
			return -1;
		key[i / 2] = key[i / 2] << 4 | (d - digits);
		all |= d - digits;
	}
	return all == 0 ? -1 : 0;
}

int
hexkey_read(int fd, uint8_t key[HEXKEY_LEN])
{
	static const char	 space[] = " \t\r\n";
	char			 text[HEXKEY_TEXT + 16], *p;
	ssize_t			 n;
	size_t			 len;
	int			 ret = -1;

	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n > 0) {
		text[n] = '\0';
		p = text + strspn(text, space);
		len = strcspn(p, space);
		if (p[len + strspn(p + len, space)] == '\0')
			ret = hexkey_parse(p, len, key);
	}
	explicit_bzero(text, sizeof(text));
	return ret;
}

void
hexkey_print(const uint8_t key[HEXKEY_LEN], char *out)
{
	size_t	 i;

	for (i = 0; i < HEXKEY_LEN; i++) {
		out[2 * i] = digits[key[i] >> 4];
		out[2 * i + 1] = digits[key[i] & 15];
	}
	out[HEXKEY_TEXT] = '\0';
}
