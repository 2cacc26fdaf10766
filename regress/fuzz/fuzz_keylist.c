/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz target: the list of clients as coordd tells it to a relay, in pieces;
 * read in one piece it must be the same.
 */
/* link: ../../derpd/relay/keylist.c */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "../../derpd/relay/keylist.h"

#define BUF_SIZE	65536

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* 0, or -1: refused. */
static int
feed(struct keylist *kl, const uint8_t *data, size_t len, size_t step)
{
	static char	 buf[BUF_SIZE];
	size_t		 have = 0, n;
	ssize_t		 used;
	int		 what;

	for (; len > 0; len -= n, data += n) {
		n = len < step ? len : step;
		if (n > sizeof(buf) - have)
			abort();	/* something is left over */
		memcpy(buf + have, data, n);
		have += n;
		if ((used = keylist_input(kl, buf, have, &what)) == -1)
			return -1;
		if (used < 0 || (size_t)used > have)
			abort();
		have -= used;
		memmove(buf, buf + used, have);
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct keylist	 one, two;

	if (len < 1 || len > 16384)
		return 0;
	keylist_init(&one);
	keylist_init(&two);
	if (feed(&one, data + 1, len - 1, data[0] % 128 + 1) == 0 &&
	    (feed(&two, data + 1, len - 1, len) == -1 ||
	    one.kl_n != two.kl_n || one.kl_whole != two.kl_whole))
		abort();
	keylist_begin(&one);
	(void)feed(&one, data + 1, len - 1, 1000);
	keylist_free(&one);
	keylist_free(&two);
	return 0;
}
