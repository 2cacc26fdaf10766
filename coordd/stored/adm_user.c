/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Administrators' verbs about users.
 */

#include <sys/types.h>

#include <string.h>

#include "stored.h"

static const char *const keys_none[] = { NULL };
static const char *const keys_name[] = { "name", NULL };
static const char *const keys_user[] = { "user", NULL };
static const char *const keys_rename[] = { "user", "name", NULL };
static const char *const keys_role[] = { "user", "role", NULL };

static void
user_row(struct adm *a, const struct user *u, int role)
{
	struct buf	 t = { NULL, 0, 0 };

	buf_fmt(&t, "{\"id\":%llu,\"name\":", (unsigned long long)u->u_id);
	buf_json(&t, u->u_name);
	if (role)
		buf_fmt(&t, ",\"role\":\"%s\"", user_role(u));
	buf_str(&t, "}");
	adm_row(a, &t);
}

int
adm_user_list(struct adm *a)
{
	struct buf	 t;
	struct user	*u;

	if (adm_only(a, keys_none) == -1)
		return -1;
	RB_FOREACH(u, users_id, &a->a_brain->b_users) {
		memset(&t, 0, sizeof(t));
		buf_fmt(&t, "{\"id\":%llu,\"name\":",
		    (unsigned long long)u->u_id);
		buf_json(&t, u->u_name);
		buf_str(&t, ",\"display\":");
		buf_json(&t, u->u_display);
		buf_fmt(&t, ",\"role\":\"%s\",\"created\":", user_role(u));
		buf_time(&t, u->u_created);
		buf_fmt(&t, ",\"nodes\":%zu}", u->u_nnodes);
		adm_row(a, &t);
	}
	return 0;
}

int
adm_user_create(struct adm *a)
{
	const char	*name;
	struct user	*u;

	if (adm_only(a, keys_name) == -1)
		return -1;
	if ((name = adm_arg(a, "name")) == NULL)
		return adm_fail(a, 2, "a name is needed");
	a->a_code = 1;
	if (user_create(a->a_brain, name, NULL, &u, a->a_err,
	    sizeof(a->a_err)) == -1)
		return -1;
	user_row(a, u, 0);
	return 0;
}

int
adm_user_rename(struct adm *a)
{
	const char	*name;
	struct user	*u;

	if (adm_only(a, keys_rename) == -1 || (u = adm_user(a)) == NULL)
		return -1;
	if ((name = adm_arg(a, "name")) == NULL)
		return adm_fail(a, 2, "a name is needed");
	a->a_code = 1;
	if (user_rename(a->a_brain, u, name, a->a_err,
	    sizeof(a->a_err)) == -1)
		return -1;
	user_row(a, u, 0);
	return 0;
}

int
adm_user_delete(struct adm *a)
{
	struct user	*u;

	if (adm_only(a, keys_user) == -1 || (u = adm_user(a)) == NULL)
		return -1;
	a->a_code = 1;
	return user_delete(a->a_brain, u, a->a_err, sizeof(a->a_err));
}

int
adm_user_role(struct adm *a)
{
	const char	*role;
	struct user	*u;

	if (adm_only(a, keys_role) == -1 || (u = adm_user(a)) == NULL)
		return -1;
	if ((role = adm_arg(a, "role")) == NULL)
		return adm_fail(a, 2, "a role is needed");
	a->a_code = 1;
	if (user_set_role(a->a_brain, u, role, a->a_err,
	    sizeof(a->a_err)) == -1)
		return -1;
	user_row(a, u, 1);
	return 0;
}
