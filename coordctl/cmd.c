/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Commands: from what was typed to the words that coordd wants.
 */

#include <sys/types.h>

#include <ctype.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordctl.h"

static const struct command	 commands[] = {
	{ "user", "list", "", { NULL }, NULL, { { NULL, OPT_END } },
	    SHOW_TABLE, columns_user },
	{ "user", "create", "NAME", { "name" }, NULL, { { NULL, OPT_END } },
	    SHOW_FIELDS, NULL },
	{ "user", "rename", "USER NAME", { "user", "name" }, NULL,
	    { { NULL, OPT_END } }, SHOW_FIELDS, NULL },
	{ "user", "delete", "USER", { "user" }, NULL, { { NULL, OPT_END } },
	    SHOW_NONE, NULL },
	{ "user", "role", "USER ROLE", { "user", "role" }, NULL,
	    { { NULL, OPT_END } }, SHOW_FIELDS, NULL },
	{ "key", "list", "", { NULL }, NULL, { { NULL, OPT_END } },
	    SHOW_TABLE, columns_key },
	{ "key", "create", "[--user USER | --tag TAG...] [--reusable] "
	    "[--ephemeral] [--expiry 90d]", { NULL }, NULL,
	    { { "user", OPT_STR }, { "tag", OPT_LIST },
	    { "reusable", OPT_FLAG }, { "ephemeral", OPT_FLAG },
	    { "expiry", OPT_TIME } }, SHOW_KEY, NULL },
	{ "key", "revoke", "KEY", { "key" }, NULL, { { NULL, OPT_END } },
	    SHOW_NONE, NULL },
	{ "node", "list", "", { NULL }, NULL, { { NULL, OPT_END } },
	    SHOW_TABLE, columns_node },
	{ "node", "show", "NODE", { "node" }, NULL, { { NULL, OPT_END } },
	    SHOW_FIELDS, NULL },
	{ "node", "approve", "NODE | ID [--user USER]", { "node" }, NULL,
	    { { "user", OPT_STR } }, SHOW_TABLE, columns_node },
	{ "node", "rename", "NODE NAME", { "node", "name" }, NULL,
	    { { NULL, OPT_END } }, SHOW_TABLE, columns_node },
	{ "node", "tag", "NODE TAG...", { "node", "tag" }, "tag",
	    { { NULL, OPT_END } }, SHOW_TABLE, columns_node },
	{ "node", "expire", "NODE", { "node" }, NULL, { { NULL, OPT_END } },
	    SHOW_TABLE, columns_node },
	{ "node", "delete", "NODE", { "node" }, NULL, { { NULL, OPT_END } },
	    SHOW_NONE, NULL },
	{ "node", "ping", "NODE [TARGET] [--type TYPE]", { "node" },
	    "target", { { "type", OPT_STR } }, SHOW_PING, NULL },
	{ "node", "c2n", "NODE PATH [--post] [--body TEXT]",
	    { "node", "path" }, NULL, { { "post", OPT_FLAG },
	    { "body", OPT_STR } }, SHOW_TEXT, NULL },
	{ "node", "routes", "NODE approve|revoke PREFIX...",
	    { "node", "verb", "route" }, "route", { { NULL, OPT_END } },
	    SHOW_TABLE, columns_routes },
	{ "node", "add-wireguard",
	    "NAME --key KEY --endpoint ADDRESS:PORT --allow PREFIX... "
	    "[--user USER] [--masquerade ADDRESS]", { "name" }, NULL,
	    { { "key", OPT_STR }, { "endpoint", OPT_STR },
	    { "allow", OPT_LIST }, { "user", OPT_STR },
	    { "masquerade", OPT_LIST } },
	    SHOW_TABLE, columns_node },
	{ "policy", "get", "", { NULL }, NULL, { { NULL, OPT_END } },
	    SHOW_TEXT, NULL },
	{ "policy", "check", "FILE", { "file" }, NULL, { { NULL, OPT_END } },
	    SHOW_CHECK, NULL },
	{ "policy", "test", "FILE", { "file" }, NULL, { { NULL, OPT_END } },
	    SHOW_CHECK, NULL },
	{ "policy", "set", "FILE", { "file" }, NULL, { { NULL, OPT_END } },
	    SHOW_CHECK, NULL },
	{ "policy", "explain", "SOURCE DESTINATION[:PORT[/PROTO]]",
	    { "source", "destination" }, NULL, { { NULL, OPT_END } },
	    SHOW_EXPLAIN, NULL },
	{ "derp", "list", "", { NULL }, NULL, { { NULL, OPT_END } },
	    SHOW_TABLE, columns_derp },
	{ "derp", "probe", "[--ca FILE]", { NULL }, NULL,
	    { { "ca", OPT_STR } }, SHOW_PROBE, columns_probe },
	{ "status", "", "", { NULL }, NULL, { { NULL, OPT_END } },
	    SHOW_FIELDS, NULL }
};

void
cmd_usage(void)
{
	size_t	 i;

	fprintf(stderr, "usage: coordctl [-s socket] [--json] object verb "
	    "[arguments]\n");
	for (i = 0; i < nitems(commands); i++)
		fprintf(stderr, "       %s%s%s%s%s\n", commands[i].k_object,
		    commands[i].k_verb[0] == '\0' ? "" : " ",
		    commands[i].k_verb,
		    commands[i].k_usage[0] == '\0' ? "" : " ",
		    commands[i].k_usage);
}

static void
cmd_wrong(const struct command *k)
{
	fprintf(stderr, "usage: coordctl %s%s%s %s\n", k->k_object,
	    k->k_verb[0] == '\0' ? "" : " ", k->k_verb, k->k_usage);
}

static void
word_add(struct words *w, const char *key, const char *value)
{
	int	 n;

	n = snprintf(w->w_buf + w->w_len, sizeof(w->w_buf) - w->w_len,
	    "%s%s%s", key, value == NULL ? "" : "=",
	    value == NULL ? "" : value);
	if (n < 0 || (size_t)n >= sizeof(w->w_buf) - w->w_len)
		errx(2, "too many arguments");
	w->w_len += n + 1;
	w->w_n++;
}

int64_t
cmd_time(const char *s)
{
	static const struct {
		char	 c;
		int64_t	 seconds;
	} units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
		{ 'w', 7 * 86400 }, { 'y', 365 * 86400 }
	};
	const char	*errstr;
	char		 buf[16];
	size_t		 i, len;
	int64_t		 n;

	len = strlen(s);
	if (len < 2 || len >= sizeof(buf) || !isdigit((unsigned char)s[0]))
		return -1;
	memcpy(buf, s, len - 1);
	buf[len - 1] = '\0';
	for (i = 0; i < nitems(units) && units[i].c != s[len - 1]; i++)
		;
	if (i == nitems(units))
		return -1;
	n = strtonum(buf, 1, 10 * 365 * 86400 / units[i].seconds, &errstr);
	return errstr == NULL ? n * units[i].seconds : -1;
}

/* port or port/proto */
static int
cmd_port(const char *s, char *port, size_t plen, char *proto, size_t rlen)
{
	const char	*errstr;
	size_t		 n;

	n = strspn(s, "0123456789");
	if (n == 0 || n >= plen || (s[n] != '\0' && s[n] != '/'))
		return -1;
	memcpy(port, s, n);
	port[n] = '\0';
	(void)strtonum(port, 0, UINT16_MAX, &errstr);
	if (errstr != NULL)
		return -1;
	if (s[n] == '\0')
		return 0;
	return s[n + 1] != '\0' && strlcpy(proto, s + n + 1, rlen) < rlen ?
	    0 : -1;
}

int
cmd_destination(const char *s, char *host, size_t hlen, char *port,
    size_t plen, char *proto, size_t rlen)
{
	const char	*colon, *end;
	size_t		 n;

	port[0] = proto[0] = '\0';
	if (s[0] == '[') {
		if ((end = strchr(++s, ']')) == NULL ||
		    (end[1] != '\0' && end[1] != ':'))
			return -1;
		n = end - s;
		colon = end[1] == ':' ? end + 1 : NULL;
	} else if ((colon = strrchr(s, ':')) == NULL ||
	    /* Names of tags and groups, IPv6 addresses have colons too. */
	    cmd_port(colon + 1, port, plen, proto, rlen) == -1 ||
	    (strchr(s, ':') != colon && strspn(s, "0123456789abcdefABCDEF:.")
	    == strlen(s))) {
		port[0] = proto[0] = '\0';
		n = strlen(s);
		colon = NULL;
	} else
		n = colon - s;
	if (n == 0 || n >= hlen)
		return -1;
	memcpy(host, s, n);
	host[n] = '\0';
	if (colon != NULL)
		return cmd_port(colon + 1, port, plen, proto, rlen);
	return 0;
}

static int
cmd_add_destination(struct words *w, const char *s)
{
	char	 host[256], port[8], proto[16];

	if (cmd_destination(s, host, sizeof(host), port, sizeof(port), proto,
	    sizeof(proto)) == -1) {
		warnx("%s: no destination", s);
		return -1;
	}
	word_add(w, "destination", host);
	if (port[0] != '\0')
		word_add(w, "port", port);
	if (proto[0] != '\0')
		word_add(w, "proto", proto);
	return 0;
}

static int
cmd_add_arg(struct words *w, const char *key, const char *value)
{
	if (strcmp(key, "file") == 0) {
		w->w_file = value;
		return 0;
	}
	if (strcmp(key, "destination") == 0)
		return cmd_add_destination(w, value);
	word_add(w, key, value);
	return 0;
}

/* One option and its values; returns how many words it took, or -1. */
static int
cmd_add_opt(struct words *w, const struct command *k, int argc, char **argv)
{
	const struct opt	*o;
	char			 seconds[32];
	int64_t			 t;
	int			 n;

	for (o = k->k_opt; o < k->k_opt + OPTS_MAX &&
	    o->o_kind != OPT_END; o++)
		if (strcmp(o->o_name, argv[0] + 2) == 0)
			break;
	if (o == k->k_opt + OPTS_MAX || o->o_kind == OPT_END)
		return -1;
	if (o->o_kind == OPT_FLAG) {
		word_add(w, o->o_name, "1");
		return 1;
	}
	if (argc < 2)
		return -1;
	if (o->o_kind == OPT_TIME) {
		if ((t = cmd_time(argv[1])) == -1)
			return -1;
		snprintf(seconds, sizeof(seconds), "%lld", (long long)t);
		word_add(w, o->o_name, seconds);
		return 2;
	}
	if (strcmp(o->o_name, "ca") == 0) {
		w->w_ca = argv[1];
		return 2;
	}
	word_add(w, o->o_name, argv[1]);
	for (n = 2; o->o_kind == OPT_LIST && n < argc &&
	    strncmp(argv[n], "--", 2) != 0; n++)
		word_add(w, o->o_name, argv[n]);
	return n;
}

static int
cmd_args(struct words *w, const struct command *k, int argc, char **argv)
{
	const char	*key;
	int		 n, pos;

	for (pos = 0; argc > 0; argc -= n, argv += n) {
		if (strncmp(argv[0], "--", 2) == 0) {
			if ((n = cmd_add_opt(w, k, argc, argv)) == -1)
				return -1;
			continue;
		}
		n = 1;
		if (pos < ARGS_MAX && k->k_arg[pos] != NULL)
			key = k->k_arg[pos++];
		else
			key = k->k_rest;
		if (key == NULL || cmd_add_arg(w, key, argv[0]) == -1)
			return -1;
	}
	return pos < ARGS_MAX && k->k_arg[pos] != NULL ? -1 : 0;
}

const struct command *
cmd_parse(int argc, char **argv, struct words *w)
{
	const struct command	*k;
	size_t			 i;
	int			 nwords;

	memset(w, 0, sizeof(*w));
	for (i = 0; i < nitems(commands); i++) {
		k = &commands[i];
		nwords = k->k_verb[0] == '\0' ? 1 : 2;
		if (argc < nwords || strcmp(argv[0], k->k_object) != 0 ||
		    (nwords == 2 && strcmp(argv[1], k->k_verb) != 0))
			continue;
		word_add(w, k->k_object, NULL);
		if (nwords == 2)
			word_add(w, k->k_verb, NULL);
		if (cmd_args(w, k, argc - nwords, argv + nwords) == 0)
			return k;
		cmd_wrong(k);
		return NULL;
	}
	if (argc > 0)
		warnx("unknown command: %s%s%s", argv[0],
		    argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
	cmd_usage();
	return NULL;
}
