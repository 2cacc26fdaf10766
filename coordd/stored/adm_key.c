/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Administrators' verbs about pre-auth keys.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "stored.h"

#define EXPIRY_DEFAULT	(90 * 86400LL)		/* s */
#define EXPIRY_MAX	(10 * 365 * 86400LL)

static const char *
yesno(int v)
{
	return v ? "true" : "false";
}

static void
key_row(struct adm *a, const struct authkey *k, const char *secret)
{
	struct buf	 t = { NULL, 0, 0 };
	struct user	*u;

	buf_fmt(&t, "{\"id\":%llu,\"prefix\":\"%s\",\"user\":",
	    (unsigned long long)k->k_id, k->k_prefix);
	if ((u = user_find(a->a_brain, k->k_user)) != NULL)
		buf_json(&t, u->u_name);
	else
		buf_str(&t, "null");
	buf_strs(&t, "tags", k->k_tags, k->k_ntags);
	buf_fmt(&t, ",\"reusable\":%s,\"ephemeral\":%s,\"used\":%llu,"
	    "\"revoked\":%s", yesno(k->k_reusable), yesno(k->k_ephemeral),
	    (unsigned long long)k->k_used, yesno(k->k_revoked != 0));
	buf_date(&t, "created", k->k_created);
	buf_date(&t, "expiry", k->k_expiry);
	if (secret != NULL) {
		buf_name(&t, "key");
		buf_json(&t, secret);
	}
	buf_str(&t, "}");
	if (secret == NULL) {
		adm_row(a, &t);
		return;
	}
	a->a_row(a->a_arg, t.b_text);
	explicit_bzero(t.b_text, t.b_len);
	buf_free(&t);
}

static int
key_cmp(const void *va, const void *vb)
{
	const struct authkey	*a = *(const struct authkey *const *)va;
	const struct authkey	*b = *(const struct authkey *const *)vb;

	return a->k_id < b->k_id ? -1 : a->k_id > b->k_id;
}

/* In the order in which they were made. */
int
adm_key_list(struct adm *a)
{
	static const char *const none[] = { NULL };
	struct authkey		*k;
	const struct authkey	**list;
	size_t			 i, n = 0;

	if (adm_only(a, none) == -1)
		return -1;
	RB_FOREACH(k, authkeys, &a->a_brain->b_authkeys)
		n++;
	list = xcalloc(n + 1, sizeof(*list));
	n = 0;
	RB_FOREACH(k, authkeys, &a->a_brain->b_authkeys)
		list[n++] = k;
	qsort(list, n, sizeof(*list), key_cmp);
	for (i = 0; i < n; i++)
		key_row(a, list[i], NULL);
	free(list);
	return 0;
}

/* A tag must be one that the policy knows, or it would reach nobody. */
static int
key_tags(struct adm *a, struct authkey *want, char **tags)
{
	size_t	 i;

	want->k_ntags = adm_args(a, "tag", tags, NODE_MAX_TAGS);
	if (want->k_ntags > NODE_MAX_TAGS)
		return adm_fail(a, 2, "too many tags");
	want->k_tags = tags;
	for (i = 0; i < want->k_ntags; i++)
		if (tag_check(a->a_brain, tags[i], a->a_err,
		    sizeof(a->a_err)) == -1) {
			a->a_code = 1;
			return -1;
		}
	return 0;
}

static int
key_expiry(struct adm *a, struct authkey *want)
{
	const char	*text, *errstr;
	int64_t		 secs = EXPIRY_DEFAULT;

	if ((text = adm_arg(a, "expiry")) != NULL) {
		secs = strtonum(text, 1, EXPIRY_MAX, &errstr);
		if (errstr != NULL)
			return adm_fail(a, 2, "expiry is %s", errstr);
	}
	want->k_expiry = a->a_brain->b_date + secs * SEC;
	return 0;
}

int
adm_key_create(struct adm *a)
{
	static const char *const keys[] = { "user", "tag", "reusable",
	    "ephemeral", "expiry", NULL };
	struct authkey		 want;
	struct user		*u;
	char			*tags[NODE_MAX_TAGS];
	char			 secret[AUTHKEY_TEXT];

	memset(&want, 0, sizeof(want));
	if (adm_only(a, keys) == -1)
		return -1;
	if (adm_arg(a, "user") != NULL) {
		if ((u = adm_user(a)) == NULL)
			return -1;
		want.k_user = u->u_id;
	}
	if (key_tags(a, &want, tags) == -1 || key_expiry(a, &want) == -1)
		return -1;
	want.k_reusable = (uint8_t)adm_flag(a, "reusable");
	want.k_ephemeral = (uint8_t)adm_flag(a, "ephemeral");
	if (authkey_create(a->a_brain, &want, secret, a->a_err,
	    sizeof(a->a_err)) == -1) {
		a->a_code = 1;
		return -1;
	}
	key_row(a, &want, secret);
	explicit_bzero(secret, sizeof(secret));
	return 0;
}

int
adm_key_revoke(struct adm *a)
{
	static const char *const keys[] = { "key", NULL };
	const char		*text;
	struct authkey		*k;

	if (adm_only(a, keys) == -1)
		return -1;
	if ((text = adm_arg(a, "key")) == NULL)
		return adm_fail(a, 2, "which key?");
	if ((k = authkey_find_id(a->a_brain, text)) == NULL)
		return adm_fail(a, 1, "no such key");
	if (authkey_revoke(a->a_brain, k) == -1)
		return adm_fail(a, 1, "store: %s",
		    store_error(a->a_brain->b_store));
	return 0;
}
