/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Users.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stored.h"

static const char *const roles[ROLE_MAX] = {
	[ROLE_MEMBER] = "member",
	[ROLE_ADMIN] = "admin",
	[ROLE_OWNER] = "owner"
};

static int
user_cmp_id(const struct user *a, const struct user *b)
{
	return a->u_id < b->u_id ? -1 : a->u_id > b->u_id;
}

static int
user_cmp_name(const struct user *a, const struct user *b)
{
	return strcasecmp(a->u_name, b->u_name);
}

RB_GENERATE(users_id, user, u_byid, user_cmp_id)
RB_GENERATE(users_name, user, u_byname, user_cmp_name)

static void
user_index(struct brain *b, struct user *u)
{
	if (RB_INSERT(users_id, &b->b_users, u) != NULL ||
	    RB_INSERT(users_name, &b->b_usernames, u) != NULL)
		fatalx("user %s: not unique", u->u_name);
	b->b_nusers++;
}

static void
user_free(struct user *u)
{
	free(u->u_name);
	free(u->u_display);
	free(u);
}

int
user_load(void *arg, struct user *u)
{
	if (u->u_role >= ROLE_MAX)
		u->u_role = ROLE_MEMBER;
	user_index(arg, u);
	return 0;
}

struct user *
user_find(struct brain *b, uint64_t id)
{
	struct user	 key;

	key.u_id = id;
	return RB_FIND(users_id, &b->b_users, &key);
}

struct user *
user_find_name(struct brain *b, const char *name)
{
	struct user	 key;
	char		*copy;
	struct user	*u;

	if ((copy = strdup(name)) == NULL)
		fatal(NULL);
	key.u_name = copy;
	u = RB_FIND(users_name, &b->b_usernames, &key);
	free(copy);
	return u;
}

/*
 * A name is a login name or an e-mail address, as policies name them: so
 * none that a policy would read as something else.
 */
static int
user_name_ok(const char *name, char *err, size_t errlen)
{
	static const char	 ok[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-@";
	const char		*at;
	size_t			 len = strlen(name);

	at = strchr(name, '@');
	if (len == 0 || len > 200 || strspn(name, ok) != len ||
	    strchr("-.@+", name[0]) != NULL ||
	    (at != NULL && (strchr(at + 1, '@') != NULL || at[1] == '\0')) ||
	    strspn(name, "0123456789.") == len) {
		(void)snprintf(err, errlen, "a user's name is letters,"
		    " digits and . _ + -, or an e-mail address");
		return 0;
	}
	return 1;
}

static int
user_write(struct brain *b, struct user *u, const char *action)
{
	if (store_begin(b->b_store, 1) == -1)
		return -1;
	if (store_user_put(b->b_store, u) == -1 ||
	    store_audit(b->b_store, b->b_date, "admin", action, u->u_name,
	    user_role(u)) == -1 || store_commit(b->b_store) == -1) {
		store_rollback(b->b_store);
		return -1;
	}
	return 0;
}

int
user_create(struct brain *b, const char *name, const char *display,
    struct user **out, char *err, size_t errlen)
{
	struct user	*u;

	if (!user_name_ok(name, err, errlen))
		return -1;
	if (user_find_name(b, name) != NULL) {
		(void)snprintf(err, errlen, "there is a user %s already",
		    name);
		return -1;
	}
	u = xcalloc(1, sizeof(*u));
	u->u_name = xstrdup(name);
	u->u_display = xstrdup(display == NULL ? name : display);
	u->u_created = b->b_date;
	if (user_write(b, u, "user create") == -1) {
		(void)snprintf(err, errlen, "store: %s",
		    store_error(b->b_store));
		user_free(u);
		return -1;
	}
	user_index(b, u);
	policy_stale(b);
	b->b_pall = 1;
	if (out != NULL)
		*out = u;
	return 0;
}

int
user_rename(struct brain *b, struct user *u, const char *name, char *err,
    size_t errlen)
{
	struct user	*other, tmp;
	struct node	*n;

	if (!user_name_ok(name, err, errlen))
		return -1;
	if ((other = user_find_name(b, name)) != NULL && other != u) {
		(void)snprintf(err, errlen, "there is a user %s already",
		    name);
		return -1;
	}
	tmp = *u;
	tmp.u_name = xstrdup(name);
	tmp.u_display = strcmp(u->u_display, u->u_name) == 0 ?
	    xstrdup(name) : xstrdup(u->u_display);
	if (user_write(b, &tmp, "user rename") == -1) {
		(void)snprintf(err, errlen, "store: %s",
		    store_error(b->b_store));
		free(tmp.u_name);
		free(tmp.u_display);
		return -1;
	}
	RB_REMOVE(users_name, &b->b_usernames, u);
	free(u->u_name);
	free(u->u_display);
	u->u_name = tmp.u_name;
	u->u_display = tmp.u_display;
	RB_INSERT(users_name, &b->b_usernames, u);
	/* Profiles go with the nodes of that user. */
	RB_FOREACH(n, nodes_id, &b->b_nodes)
		if (n->n_rec.r_user == u->u_id)
			node_changed(b, n, CH_FULL | CH_SELF);
	policy_stale(b);
	b->b_pall = 1;
	return 0;
}

int
user_delete(struct brain *b, struct user *u, char *err, size_t errlen)
{
	if (u->u_nnodes > 0) {
		(void)snprintf(err, errlen, "user %s owns %zu nodes:"
		    " delete them first", u->u_name, u->u_nnodes);
		return -1;
	}
	if (store_begin(b->b_store, 1) == -1)
		goto bad;
	if (store_user_delete(b->b_store, u->u_id) == -1 ||
	    store_audit(b->b_store, b->b_date, "admin", "user delete",
	    u->u_name, NULL) == -1 || store_commit(b->b_store) == -1) {
		store_rollback(b->b_store);
		goto bad;
	}
	authkey_forget_user(b, u->u_id);
	RB_REMOVE(users_id, &b->b_users, u);
	RB_REMOVE(users_name, &b->b_usernames, u);
	b->b_nusers--;
	user_free(u);
	policy_stale(b);
	b->b_pall = 1;
	return 0;
bad:
	(void)snprintf(err, errlen, "store: %s", store_error(b->b_store));
	return -1;
}

int
user_set_role(struct brain *b, struct user *u, const char *role, char *err,
    size_t errlen)
{
	struct user	 tmp = *u;
	struct node	*n;
	uint32_t	 i;

	for (i = 0; i < ROLE_MAX; i++)
		if (strcmp(roles[i], role) == 0)
			break;
	if (i == ROLE_MAX) {
		(void)snprintf(err, errlen,
		    "a role is member, admin or owner");
		return -1;
	}
	tmp.u_role = i;
	if (user_write(b, &tmp, "user role") == -1) {
		(void)snprintf(err, errlen, "store: %s",
		    store_error(b->b_store));
		return -1;
	}
	u->u_role = i;
	RB_FOREACH(n, nodes_id, &b->b_nodes)
		if (n->n_rec.r_user == u->u_id)
			node_changed(b, n, CH_SELF);
	return 0;
}

const char *
user_role(const struct user *u)
{
	return roles[u->u_role];
}

void
user_free_all(struct brain *b)
{
	struct user	*u, *next;

	RB_FOREACH_SAFE(u, users_id, &b->b_users, next) {
		RB_REMOVE(users_id, &b->b_users, u);
		user_free(u);
	}
}
