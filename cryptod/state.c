/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the state file holds: keys, pins of control servers, preferences.
 */

#include <sys/types.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cryptod.h"
#include "keys.h"
#include "statefile.h"

static const char *
key_line(uint8_t *key, enum key_type type, const char *value)
{
	if (!key_is_zero(key, key_size(type)))
		return STATEFILE_TWICE;
	if (key_parse(type, value, strlen(value), key) == -1 ||
	    key_is_zero(key, key_size(type)))
		return "damaged: not a key";
	return NULL;
}

static const char *
run_line(struct state *st, const char *value)
{
	char	*end;

	if (st->st_run != 0)
		return STATEFILE_TWICE;
	errno = 0;
	st->st_run = strtoumax(value, &end, 16);
	if (strlen(value) != 16 || *end != '\0' || errno != 0 ||
	    st->st_run == 0)
		return "damaged: not a number of 16 digits";
	return NULL;
}

/* "URL mkey:..." */
static const char *
pin_line(struct state *st, const char *value)
{
	uint8_t		 key[KEY_LEN];
	const char	*sp;
	char		 url[MSG_NAME_LEN];
	size_t		 len;

	if ((sp = strrchr(value, ' ')) == NULL || sp == value)
		return "damaged: no key";
	len = sp - value;
	if (len >= sizeof(url))
		return "damaged: too long";
	memcpy(url, value, len);
	url[len] = '\0';
	if (key_parse(KEY_MACHINE, sp + 1, strlen(sp + 1), key) == -1)
		return "damaged: not a key";
	if (state_pin_get(st, url) != NULL)
		return STATEFILE_TWICE;
	if (state_pin_set(st, url, key) == -1)
		return errno == ENOSPC ? "too many" : "damaged: bad URL";
	return NULL;
}

static struct msg_pref *
pref_find(struct state *st, const char *name)
{
	unsigned int	 i;

	for (i = 0; i < st->st_nprefs; i++)
		if (strcmp(st->st_pref[i].name, name) == 0)
			return &st->st_pref[i];
	return NULL;
}

/* "name value" */
static const char *
pref_line(struct state *st, const char *value)
{
	const char	*sp;
	char		 name[sizeof(st->st_pref[0].name)];
	size_t		 len;

	if ((sp = strchr(value, ' ')) == NULL ||
	    (len = sp - value) >= sizeof(name) || sp[1] == '\0')
		return "damaged: no name and value";
	memcpy(name, value, len);
	name[len] = '\0';
	if (pref_find(st, name) != NULL)
		return STATEFILE_TWICE;
	if (state_pref_set(st, name, sp + 1) == -1)
		return errno == ENOSPC ? "too many" : "damaged: bad characters";
	return NULL;
}

static const char *
state_line(void *arg, const char *name, const char *value)
{
	struct state	*st = arg;

	if (strcmp(name, "machine") == 0)
		return key_line(st->st_machine, KEY_PRIVATE, value);
	if (strcmp(name, "node") == 0)
		return key_line(st->st_node, KEY_PRIVATE, value);
	if (strcmp(name, "node-pending") == 0)
		return key_line(st->st_pending, KEY_PRIVATE, value);
	if (strcmp(name, "disco") == 0)
		return key_line(st->st_disco, KEY_PRIVATE, value);
	if (strcmp(name, "tailnet-lock") == 0)
		return key_line(st->st_nl, KEY_NL_PRIVATE, value);
	if (strcmp(name, "run") == 0)
		return run_line(st, value);
	if (strcmp(name, "pin") == 0)
		return pin_line(st, value);
	if (strcmp(name, "pref") == 0)
		return pref_line(st, value);
	return STATEFILE_UNKNOWN;
}

int
state_parse(struct state *st, char *text, size_t len,
    struct statefile_error *error)
{
	memset(st, 0, sizeof(*st));
	if (statefile_read(text, len, state_line, st, error) == 0) {
		if (!key_is_zero(st->st_machine, KEY_LEN))
			return 0;
		error->se_line = 1;
		(void)strlcpy(error->se_why, "damaged: no machine key",
		    sizeof(error->se_why));
	}
	explicit_bzero(st, sizeof(*st));
	return -1;
}

static void
key_add(struct statefile_out *so, const char *name, enum key_type type,
    const uint8_t *key)
{
	char	 text[KEY_TEXT_MAX];

	if (key_is_zero(key, key_size(type)))
		return;
	(void)key_print(type, key, text, sizeof(text));
	statefile_add(so, name, text);
	explicit_bzero(text, sizeof(text));
}

ssize_t
state_render(const struct state *st, char *buf, size_t size)
{
	struct statefile_out	 so;
	char			 text[STATEFILE_VALUE_MAX];
	char			 key[KEY_TEXT_MAX];
	unsigned int		 i;

	statefile_begin(&so, buf, size);
	key_add(&so, "machine", KEY_PRIVATE, st->st_machine);
	key_add(&so, "node", KEY_PRIVATE, st->st_node);
	key_add(&so, "node-pending", KEY_PRIVATE, st->st_pending);
	key_add(&so, "tailnet-lock", KEY_NL_PRIVATE, st->st_nl);
	key_add(&so, "disco", KEY_PRIVATE, st->st_disco);
	if (st->st_run != 0) {
		(void)snprintf(text, sizeof(text), "%016" PRIx64, st->st_run);
		statefile_add(&so, "run", text);
	}
	for (i = 0; i < st->st_npins; i++) {
		(void)key_print(KEY_MACHINE, st->st_pin[i].sp_key, key,
		    sizeof(key));
		(void)snprintf(text, sizeof(text), "%s %s",
		    st->st_pin[i].sp_url, key);
		statefile_add(&so, "pin", text);
	}
	for (i = 0; i < st->st_nprefs; i++) {
		(void)snprintf(text, sizeof(text), "%s %s",
		    st->st_pref[i].name, st->st_pref[i].value);
		statefile_add(&so, "pref", text);
	}
	return statefile_end(&so);
}

const uint8_t *
state_pin_get(const struct state *st, const char *url)
{
	unsigned int	 i;

	for (i = 0; i < st->st_npins; i++)
		if (strcmp(st->st_pin[i].sp_url, url) == 0)
			return st->st_pin[i].sp_key;
	return NULL;
}

int
state_pin_set(struct state *st, const char *url,
    const uint8_t key[MSG_KEY_LEN])
{
	const uint8_t	*old;

	if ((old = state_pin_get(st, url)) != NULL) {
		if (memcmp(old, key, MSG_KEY_LEN) == 0)
			return 0;
		errno = EEXIST;
		return -1;
	}
	if (!statefile_value_ok(url) || strchr(url, ' ') != NULL ||
	    strlen(url) >= MSG_NAME_LEN || key_is_zero(key, KEY_LEN)) {
		errno = EINVAL;
		return -1;
	}
	if (st->st_npins == STATE_PINS) {
		errno = ENOSPC;
		return -1;
	}
	(void)strlcpy(st->st_pin[st->st_npins].sp_url, url, MSG_NAME_LEN);
	memcpy(st->st_pin[st->st_npins].sp_key, key, MSG_KEY_LEN);
	st->st_npins++;
	return 0;
}

void
state_pin_clear(struct state *st)
{
	st->st_npins = 0;
}

static int
pref_name_ok(const char *name)
{
	size_t	 n;

	n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
	return n > 0 && name[n] == '\0' && n < sizeof(((struct msg_pref *)
	    0)->name);
}

static int
pref_remove(struct state *st, struct msg_pref *p)
{
	if (p == NULL)
		return 0;
	*p = st->st_pref[--st->st_nprefs];
	return 1;
}

int
state_pref_set(struct state *st, const char *name, const char *value)
{
	struct msg_pref	*p;

	if (!pref_name_ok(name) || strlen(value) >= sizeof(p->value) ||
	    (value[0] != '\0' && !statefile_value_ok(value))) {
		errno = EINVAL;
		return -1;
	}
	p = pref_find(st, name);
	if (value[0] == '\0')
		return pref_remove(st, p);
	if (p == NULL) {
		if (st->st_nprefs == STATE_PREFS) {
			errno = ENOSPC;
			return -1;
		}
		p = &st->st_pref[st->st_nprefs++];
		memset(p, 0, sizeof(*p));
		(void)strlcpy(p->name, name, sizeof(p->name));
	} else if (strcmp(p->value, value) == 0)
		return 0;
	(void)strlcpy(p->value, value, sizeof(p->value));
	return 1;
}
