/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the coordination server's state file holds: its Noise key, and the
 * one that signs ID tokens.
 */

#include <sys/types.h>

#include <string.h>

#include "coordcrypt.h"
#include "keys.h"
#include "statefile.h"

static const char *
srvstate_line(void *arg, const char *name, const char *value)
{
	struct srvstate	*ss = arg;
	uint8_t		*key;

	if (strcmp(name, "server") == 0)
		key = ss->ss_server;
	else if (strcmp(name, "idtoken") == 0)
		key = ss->ss_jwt;
	else
		return STATEFILE_UNKNOWN;
	if (!key_is_zero(key, KEY_LEN))
		return STATEFILE_TWICE;
	if (key_parse(KEY_PRIVATE, value, strlen(value), key) == -1 ||
	    key_is_zero(key, KEY_LEN))
		return "damaged: not a key";
	return NULL;
}

int
srvstate_parse(struct srvstate *ss, char *text, size_t len,
    struct statefile_error *error)
{
	memset(ss, 0, sizeof(*ss));
	if (statefile_read(text, len, srvstate_line, ss, error) == 0) {
		if (!key_is_zero(ss->ss_server, KEY_LEN))
			return 0;
		error->se_line = 1;
		(void)strlcpy(error->se_why, "damaged: no server key",
		    sizeof(error->se_why));
	}
	explicit_bzero(ss, sizeof(*ss));
	return -1;
}

ssize_t
srvstate_render(const struct srvstate *ss, char *buf, size_t size)
{
	struct statefile_out	 so;
	char			 text[KEY_TEXT_MAX];

	statefile_begin(&so, buf, size);
	(void)key_print(KEY_PRIVATE, ss->ss_server, text, sizeof(text));
	statefile_add(&so, "server", text);
	if (!key_is_zero(ss->ss_jwt, KEY_LEN)) {
		(void)key_print(KEY_PRIVATE, ss->ss_jwt, text, sizeof(text));
		statefile_add(&so, "idtoken", text);
	}
	explicit_bzero(text, sizeof(text));
	return statefile_end(&so);
}
