/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The list of clients as coordd tells it: in pieces of every size, changes,
 * a list that takes another one's place, and what is none.
 */
/* link: ../../derpd/relay/keylist.c */

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../derpd/relay/keylist.h"

#define HEAD	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
#define D62	"00000000000000000000000000000000000000000000000000000000000000"
#define K(x)	"nodekey:" D62 x "\n"

static const char	*const bad[] = {
	"HTTP/1.1 403 Forbidden\r\n\r\n",
	"HTTP/1.1 2000 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	"SSH-2.0-x\r\n",
	HEAD "nodekey:" D62 "01\n",
	HEAD "*" K("01"),
	HEAD "+nodekey:" D62 "0\n",
	HEAD "+nodekey:" D62 "0g\n",
	HEAD "+nodekey:" D62 "0101\n",
	HEAD "+mkey:" D62 "01\n",
	HEAD "-" K("01"),		/* of no list */
	HEAD "+\n",
	HEAD "\n",
	HEAD "..\n",
	HEAD ".\n+" K("01") "+" K("02") "x\n"
};

static struct keylist	 kl;

static int
has(unsigned int n)
{
	uint8_t	 key[KEY_LEN] = { 0 };

	key[KEY_LEN - 1] = n;
	return keylist_has(&kl, key);
}

/* All of it, so many bytes at a time: what has happened, or -1. */
static int
feed(const char *text, size_t step)
{
	char	 buf[4096];
	ssize_t	 used;
	size_t	 have = 0, left = strlen(text), n;
	int	 what, all = 0;

	for (; left > 0; left -= n, text += n) {
		n = left < step ? left : step;
		memcpy(buf + have, text, n);
		have += n;
		if ((used = keylist_input(&kl, buf, have, &what)) == -1)
			return -1;
		have -= used;
		memmove(buf, buf + used, have);
		all |= what;
	}
	return all;
}

static void
test_steps(size_t step)
{
	keylist_begin(&kl);
	if (feed(HEAD "+" K("01") "+" K("02") "+" K("02"), step) != 0)
		errx(1, "a list before its end");
	if (feed(".\n", step) != (KEYLIST_SAID | KEYLIST_FEWER) ||
	    !has(1) || !has(2) || has(3) || kl.kl_n != 2)
		errx(1, "a list, in steps of %zu", step);
	if (feed("+" K("03") "-" K("01") "-" K("09") ".\n", step) !=
	    (KEYLIST_SAID | KEYLIST_FEWER) || has(1) || !has(3) ||
	    kl.kl_n != 2)
		errx(1, "changes, in steps of %zu", step);
	if (feed(".\n", step) != KEYLIST_SAID)
		errx(1, "a sign of life");
}

/* What is in force stays until the new list is whole. */
static void
test_again(void)
{
	keylist_begin(&kl);
	if (feed(HEAD "+" K("07"), 100) != 0 || !has(2) || has(7))
		errx(1, "half a list is in force");
	keylist_begin(&kl);
	if (!has(2) || feed(HEAD "+" K("08") ".\n", 100) == -1 || has(2) ||
	    has(7) || !has(8) || kl.kl_n != 1)
		errx(1, "another list");
}

static void
test_long(void)
{
	static char	 text[2 * KEYLIST_HEAD];

	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "HTTP/1.1 200 OK\r\n", 17);
	keylist_begin(&kl);
	if (feed(text, KEYLIST_HEAD / 4) != -1)
		errx(1, "a head without end");
	memcpy(text, HEAD, sizeof(HEAD) - 1);
	text[sizeof(HEAD) + KEYLIST_LINE] = '\0';
	keylist_begin(&kl);
	if (feed(text, 10) != -1)
		errx(1, "a line without end");
}

int
main(void)
{
	size_t	 i;

	keylist_init(&kl);
	if (kl.kl_ever || has(0))
		errx(1, "something out of nothing");
	for (i = 1; i < 300; i++)
		test_steps(i);
	test_again();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		keylist_begin(&kl);
		if (feed(bad[i], 1000) != -1)
			errx(1, "taken: %s", bad[i]);
	}
	test_long();
	keylist_free(&kl);
	if (has(8) || kl.kl_ever)
		errx(1, "not forgotten");
	return 0;
}
