/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Secrets in files of 64 hexadecimal digits.
 */

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hexkey.h"

#define HEX	"00112233445566778899aabbccddeeff" \
		"00112233445566778899aabbccddeef0"
#define ZERO	"00000000000000000000000000000000"

static const char *const good[] = {
	HEX, HEX "\n", "\n " HEX "\r\n", HEX "\t \n\n"
};
static const char *const bad[] = {
	"", "\n", ZERO ZERO, ZERO, HEX "0", HEX " 0", "0x" HEX, HEX "\n" HEX,
	"00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeef0",
	"0011223344556677889 aabbccddeeff00112233445566778899aabbccddeef0"
};

static int
file(const char *text, uint8_t *key)
{
	int	 fds[2];

	if (pipe(fds) == -1 || write(fds[1], text, strlen(text)) !=
	    (ssize_t)strlen(text))
		err(1, "pipe");
	close(fds[1]);
	return hexkey_read(fds[0], key);
}

int
main(void)
{
	uint8_t	 key[HEXKEY_LEN];
	char	 text[HEXKEY_TEXT + 1];
	size_t	 i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		memset(key, 0xff, sizeof(key));
		if (file(good[i], key) == -1)
			errx(1, "refused: %s", good[i]);
		hexkey_print(key, text);
		if (strcmp(text, HEX) != 0)
			errx(1, "%s became %s", good[i], text);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (file(bad[i], key) != -1)
			errx(1, "taken: %s", bad[i]);
	if (hexkey_parse(HEX, HEXKEY_TEXT - 1, key) != -1)
		errx(1, "a short one is taken");
	return 0;
}
