/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: state files of cryptod and of the server's; what parses is written
 * and parses again.
 */

/* link: ../../cryptod/state.c */
/* link: ../../coordd/cryptod/srvstate.c */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../coordd/cryptod/coordcrypt.h"
#include "../../cryptod/cryptod.h"
#include "statefile.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/*
 * The hash at the end would keep the fuzzer out: lines of the input get a
 * true one around them, where they can be lines at all.
 */
static ssize_t
enclose(const uint8_t *data, size_t len, char *buf, size_t size)
{
	struct statefile_out	 so;
	char			*copy, *line, *rest, *value;
	ssize_t			 n;

	if ((copy = malloc(len + 1)) == NULL)
		abort();
	memcpy(copy, data, len);
	copy[len] = '\0';
	statefile_begin(&so, buf, size);
	for (rest = copy; (line = strsep(&rest, "\n")) != NULL; ) {
		if ((value = strchr(line, ' ')) == NULL)
			continue;
		*value++ = '\0';
		statefile_add(&so, line, value);
	}
	n = statefile_end(&so);
	free(copy);
	return n;
}

static void
state(char *text, size_t len)
{
	static struct state	 one, two;
	static char		 buf[STATE_TEXT_MAX];
	struct statefile_error	 error;
	ssize_t			 n;

	if (state_parse(&one, text, len, &error) == -1)
		return;
	if ((n = state_render(&one, buf, sizeof(buf))) == -1 ||
	    state_parse(&two, buf, n, &error) == -1 ||
	    memcmp(&one, &two, sizeof(one)) != 0)
		abort();
}

static void
server(char *text, size_t len)
{
	struct srvstate		 ss;
	struct statefile_error	 error;

	(void)srvstate_parse(&ss, text, len, &error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char	 buf[STATE_TEXT_MAX];
	char		*copy;
	ssize_t		 n;

	if ((copy = malloc(len + 1)) == NULL)
		abort();
	memcpy(copy, data, len);
	state(copy, len);
	memcpy(copy, data, len);
	server(copy, len);
	free(copy);
	if ((n = enclose(data, len, buf, sizeof(buf))) != -1)
		state(buf, n);
	return 0;
}
