/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Administrators' verbs: finding the function, arguments, rows.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stored.h"

static const struct {
	const char	*obj;
	const char	*verb;
	int		(*fn)(struct adm *);
} verbs[] = {
	{ "user",	"list",		adm_user_list },
	{ "user",	"create",	adm_user_create },
	{ "user",	"rename",	adm_user_rename },
	{ "user",	"delete",	adm_user_delete },
	{ "user",	"role",		adm_user_role },
	{ "key",	"list",		adm_key_list },
	{ "key",	"create",	adm_key_create },
	{ "key",	"revoke",	adm_key_revoke },
	{ "node",	"list",		adm_node_list },
	{ "node",	"show",		adm_node_show },
	{ "node",	"approve",	adm_node_approve },
	{ "node",	"rename",	adm_node_rename },
	{ "node",	"tag",		adm_node_tag },
	{ "node",	"expire",	adm_node_expire },
	{ "node",	"delete",	adm_node_delete },
	{ "node",	"ping",		adm_node_ping },
	{ "node",	"c2n",		adm_node_c2n },
	{ "node",	"routes",	adm_node_routes },
	{ "node",	"add-wireguard", adm_node_wireguard },
	{ "policy",	"get",		adm_policy_get },
	{ "policy",	"check",	adm_policy_check },
	{ "policy",	"test",		adm_policy_test },
	{ "policy",	"set",		adm_policy_set },
	{ "policy",	"explain",	adm_policy_explain },
	{ "derp",	"list",		adm_derp_list },
	{ "derp",	"probe",	adm_derp_probe },
	{ "status",	"",		adm_status }
};

int
adm_fail(struct adm *a, unsigned int code, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(a->a_err, sizeof(a->a_err), fmt, ap);
	va_end(ap);
	a->a_code = code;
	return -1;
}

int
adm_run(struct adm *a)
{
	size_t	 i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].obj, a->a_obj) == 0 &&
		    strcmp(verbs[i].verb, a->a_verb) == 0)
			return verbs[i].fn(a);
	return adm_fail(a, 2, "unknown command");
}

static const char *
arg_value(const char *arg, const char *key)
{
	size_t	 len = strlen(key);

	if (strncmp(arg, key, len) != 0 || arg[len] != '=')
		return NULL;
	return arg + len + 1;
}

const char *
adm_arg(const struct adm *a, const char *key)
{
	const char	*v;
	size_t		 i;

	for (i = 0; i < a->a_nargs; i++)
		if ((v = arg_value(a->a_args[i], key)) != NULL)
			return v;
	return NULL;
}

size_t
adm_args(const struct adm *a, const char *key, char **out, size_t max)
{
	size_t	 i, n = 0, len = strlen(key) + 1;

	for (i = 0; i < a->a_nargs; i++) {
		if (arg_value(a->a_args[i], key) == NULL)
			continue;
		if (n < max)
			out[n] = a->a_args[i] + len;
		n++;
	}
	return n;
}

int
adm_flag(const struct adm *a, const char *key)
{
	const char	*v = adm_arg(a, key);

	return v != NULL && strcmp(v, "1") == 0;
}

int
adm_only(struct adm *a, const char *const *keys)
{
	size_t	 i, k;

	for (i = 0; i < a->a_nargs; i++) {
		for (k = 0; keys[k] != NULL; k++)
			if (arg_value(a->a_args[i], keys[k]) != NULL)
				break;
		if (keys[k] == NULL)
			return adm_fail(a, 2, "%s %s: unknown argument",
			    a->a_obj, a->a_verb);
	}
	return 0;
}

void
adm_row(struct adm *a, struct buf *row)
{
	a->a_row(a->a_arg, row->b_text);
	buf_free(row);
}

struct user *
adm_user(struct adm *a)
{
	const char	*name;
	struct user	*u;

	if ((name = adm_arg(a, "user")) == NULL)
		(void)adm_fail(a, 2, "which user?");
	else if ((u = user_find_name(a->a_brain, name)) != NULL)
		return u;
	else
		(void)adm_fail(a, 1, "no user %s", name);
	return NULL;
}

int
adm_status(struct adm *a)
{
	static const char *const none[] = { NULL };
	static const char *const modes[] = { "none", "file", "store",
	    "allow" };
	struct brain		*b = a->a_brain;
	struct buf		 t = { NULL, 0, 0 };
	struct node		*n;
	size_t			 online = 0;

	if (adm_only(a, none) == -1)
		return -1;
	RB_FOREACH(n, nodes_id, &b->b_nodes)
		online += n->n_rec.r_online;
	buf_fmt(&t, "{\"users\":%zu,\"nodes\":%zu,\"online\":%zu,"
	    "\"pending\":%zu,\"policy\":\"%s\",\"store\":",
	    b->b_nusers, b->b_nnodes, online, b->b_npending,
	    modes[b->b_conf.c_policy]);
	buf_json(&t, b->b_conf.c_db);
	buf_str(&t, "}");
	adm_row(a, &t);
	return 0;
}
