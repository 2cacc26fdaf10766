/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Pre-auth keys: made here, shown once, kept as a hash.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "log.h"
#include "stored.h"

#define AUTHKEY_PREFIX	"shoal-auth-"

static int
authkey_cmp(const struct authkey *a, const struct authkey *b)
{
	return strcmp(a->k_prefix, b->k_prefix);
}

RB_GENERATE(authkeys, authkey, k_entry, authkey_cmp)

static void
authkey_free(struct authkey *k)
{
	size_t	 i;

	for (i = 0; i < k->k_ntags; i++)
		free(k->k_tags[i]);
	free(k->k_tags);
	freezero(k, sizeof(*k));
}

/*
 * A fast hash is right here: the secret has 256 random bits, there is
 * nothing to guess, and strangers may make us compute it.
 */
static void
authkey_hash(const char *prefix, const char *secret, uint8_t hash[32])
{
	crypto_generichash_state	 st;

	crypto_generichash_init(&st, NULL, 0, 32);
	crypto_generichash_update(&st, (const uint8_t *)prefix,
	    strlen(prefix));
	crypto_generichash_update(&st, (const uint8_t *)secret,
	    strlen(secret));
	crypto_generichash_final(&st, hash, 32);
	sodium_memzero(&st, sizeof(st));
}

int
authkey_load(void *arg, struct authkey *k)
{
	struct brain	*b = arg;

	if (RB_INSERT(authkeys, &b->b_authkeys, k) != NULL)
		fatalx("auth key %s: not unique", k->k_prefix);
	return 0;
}

static int
authkey_write(struct brain *b, struct authkey *k)
{
	if (store_begin(b->b_store, 1) == -1)
		return -1;
	if (store_authkey_put(b->b_store, k) == -1 ||
	    store_audit(b->b_store, b->b_date, "admin", "key create",
	    k->k_prefix, NULL) == -1 || store_commit(b->b_store) == -1) {
		store_rollback(b->b_store);
		return -1;
	}
	return 0;
}

int
authkey_create(struct brain *b, struct authkey *want, char *text,
    char *err, size_t errlen)
{
	struct authkey	*k;
	uint8_t		 rnd[(AUTHKEY_ID + AUTHKEY_SECRET) / 2];
	char		 hex[AUTHKEY_ID + AUTHKEY_SECRET + 1];
	size_t		 i;

	if ((want->k_user == 0) == (want->k_ntags == 0)) {
		(void)snprintf(err, errlen,
		    "a key is for one user, or has tags");
		return -1;
	}
	arc4random_buf(rnd, sizeof(rnd));
	sodium_bin2hex(hex, sizeof(hex), rnd, sizeof(rnd));
	k = xcalloc(1, sizeof(*k));
	*k = *want;
	k->k_tags = xcalloc(k->k_ntags + 1, sizeof(*k->k_tags));
	for (i = 0; i < k->k_ntags; i++)
		k->k_tags[i] = xstrdup(want->k_tags[i]);
	k->k_created = b->b_date;
	(void)strlcpy(k->k_prefix, hex, sizeof(k->k_prefix));
	authkey_hash(k->k_prefix, hex + AUTHKEY_ID, k->k_hash);
	(void)snprintf(text, AUTHKEY_TEXT, "%s%s-%s", AUTHKEY_PREFIX,
	    k->k_prefix, hex + AUTHKEY_ID);
	explicit_bzero(rnd, sizeof(rnd));
	explicit_bzero(hex, sizeof(hex));
	if (authkey_write(b, k) == -1) {
		(void)snprintf(err, errlen, "store: %s",
		    store_error(b->b_store));
		authkey_free(k);
		return -1;
	}
	if (RB_INSERT(authkeys, &b->b_authkeys, k) != NULL)
		fatalx("auth key: not unique");
	want->k_id = k->k_id;
	(void)strlcpy(want->k_prefix, k->k_prefix, sizeof(want->k_prefix));
	want->k_created = k->k_created;
	return 0;
}

struct authkey *
authkey_find(struct brain *b, const char *text)
{
	struct authkey	*k, key;
	uint8_t		 hash[32];
	size_t		 len = strlen(AUTHKEY_PREFIX);
	int		 same;

	if (strncmp(text, AUTHKEY_PREFIX, len) != 0 ||
	    strlen(text) != len + AUTHKEY_ID + 1 + AUTHKEY_SECRET ||
	    text[len + AUTHKEY_ID] != '-')
		return NULL;
	(void)strlcpy(key.k_prefix, text + len, sizeof(key.k_prefix));
	if ((k = RB_FIND(authkeys, &b->b_authkeys, &key)) == NULL)
		return NULL;
	authkey_hash(k->k_prefix, text + len + AUTHKEY_ID + 1, hash);
	same = sodium_memcmp(hash, k->k_hash, sizeof(hash)) == 0;
	explicit_bzero(hash, sizeof(hash));
	return same ? k : NULL;
}

struct authkey *
authkey_find_id(struct brain *b, const char *text)
{
	struct authkey	*k;
	const char	*errstr;
	uint64_t	 id;

	if (strncmp(text, AUTHKEY_PREFIX, strlen(AUTHKEY_PREFIX)) == 0)
		text += strlen(AUTHKEY_PREFIX);
	id = (uint64_t)strtonum(text, 1, INT64_MAX, &errstr);
	RB_FOREACH(k, authkeys, &b->b_authkeys)
		if ((errstr == NULL && k->k_id == id &&
		    strlen(text) < AUTHKEY_ID) ||
		    strcmp(k->k_prefix, text) == 0)
			return k;
	return NULL;
}

/* The texts are known to clients. Source: control.md 3.4. */
const char *
authkey_refusal(const struct authkey *k, int64_t date)
{
	if (k->k_revoked != 0)
		return "authkey revoked";
	if (k->k_expiry != 0 && k->k_expiry <= date)
		return "authkey expired";
	if (!k->k_reusable && k->k_used > 0)
		return "authkey already used";
	return NULL;
}

int
authkey_revoke(struct brain *b, struct authkey *k)
{
	if (k->k_revoked != 0)
		return 0;
	if (store_begin(b->b_store, 1) == -1)
		return -1;
	if (store_authkey_revoke(b->b_store, k->k_id, b->b_date) == -1 ||
	    store_audit(b->b_store, b->b_date, "admin", "key revoke",
	    k->k_prefix, NULL) == -1 || store_commit(b->b_store) == -1) {
		store_rollback(b->b_store);
		return -1;
	}
	k->k_revoked = b->b_date;
	return 0;
}

/* The store has deleted them with the user. */
void
authkey_forget_user(struct brain *b, uint64_t user)
{
	struct authkey	*k, *next;

	RB_FOREACH_SAFE(k, authkeys, &b->b_authkeys, next)
		if (k->k_user == user) {
			RB_REMOVE(authkeys, &b->b_authkeys, k);
			authkey_free(k);
		}
}

void
authkey_free_all(struct brain *b)
{
	struct authkey	*k, *next;

	RB_FOREACH_SAFE(k, authkeys, &b->b_authkeys, next) {
		RB_REMOVE(authkeys, &b->b_authkeys, k);
		authkey_free(k);
	}
}
