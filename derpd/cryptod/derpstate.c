/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the relay's state file holds: its DERP key; key and certificate of
 * TLS if those are its own.
 */

#include <sys/types.h>

#include <string.h>

#include <sodium.h>

#include "derpcrypt.h"
#include "keys.h"
#include "statefile.h"

#define B64	sodium_base64_VARIANT_ORIGINAL

static const char	 damaged[] = "damaged: not base64, or too long";

static const char *
take_base64(const char *value, uint8_t *buf, size_t size, size_t *len)
{
	if (*len != 0)
		return STATEFILE_TWICE;
	if (sodium_base642bin(buf, size, value, strlen(value), NULL, len,
	    NULL, B64) == -1 || *len == 0)
		return damaged;
	return NULL;
}

static const char *
derpstate_line(void *arg, const char *name, const char *value)
{
	struct derpstate	*ds = arg;

	if (strcmp(name, "tlskey") == 0)
		return take_base64(value, ds->ds_key, sizeof(ds->ds_key),
		    &ds->ds_keylen);
	if (strcmp(name, "tlscert") == 0)
		return take_base64(value, ds->ds_cert, sizeof(ds->ds_cert),
		    &ds->ds_certlen);
	if (strcmp(name, "derp") != 0)
		return STATEFILE_UNKNOWN;
	if (!key_is_zero(ds->ds_derp, KEY_LEN))
		return STATEFILE_TWICE;
	if (key_parse(KEY_PRIVATE, value, strlen(value),
	    ds->ds_derp) == -1 || key_is_zero(ds->ds_derp, KEY_LEN))
		return "damaged: not a key";
	return NULL;
}

int
derpstate_parse(struct derpstate *ds, char *text, size_t len,
    struct statefile_error *error)
{
	memset(ds, 0, sizeof(*ds));
	if (statefile_read(text, len, derpstate_line, ds, error) == 0) {
		if (!key_is_zero(ds->ds_derp, KEY_LEN))
			return 0;
		error->se_line = 1;
		(void)strlcpy(error->se_why, "damaged: no DERP key",
		    sizeof(error->se_why));
	}
	explicit_bzero(ds, sizeof(*ds));
	return -1;
}

static void
add_base64(struct statefile_out *so, const char *name, const uint8_t *data,
    size_t len)
{
	char	 text[STATEFILE_VALUE_MAX];

	if (len == 0)
		return;
	(void)sodium_bin2base64(text, sizeof(text), data, len, B64);
	statefile_add(so, name, text);
	explicit_bzero(text, sizeof(text));
}

ssize_t
derpstate_render(const struct derpstate *ds, char *buf, size_t size)
{
	struct statefile_out	 so;
	char			 text[KEY_TEXT_MAX];

	statefile_begin(&so, buf, size);
	(void)key_print(KEY_PRIVATE, ds->ds_derp, text, sizeof(text));
	statefile_add(&so, "derp", text);
	explicit_bzero(text, sizeof(text));
	add_base64(&so, "tlskey", ds->ds_key, ds->ds_keylen);
	add_base64(&so, "tlscert", ds->ds_cert, ds->ds_certlen);
	return statefile_end(&so);
}
