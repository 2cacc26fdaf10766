/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The command line: tables of commands and flags.
 */

#include <sys/types.h>

#include <err.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shoalctl.h"

enum flag_type {
	FLAG_BOOL,		/* into an int */
	FLAG_WORD,		/* as it stands */
	FLAG_YESNO,		/* "true" or "false" */
	FLAG_TIME,		/* milliseconds */
	FLAG_NUMBER,
	FLAG_LATER		/* tailscale's, not here yet */
};

struct flag {
	const char	*f_name;
	enum flag_type	 f_type;
	size_t		 f_off;		/* in struct args */
};

#define F(name, type, member)	{ name, type, offsetof(struct args, member) }
#define LATER(name)		{ name, FLAG_LATER, 0 }

static const struct flag	 flags_up[] = {
	F("force-reauth", FLAG_BOOL, a_force_reauth),
	F("hostname", FLAG_WORD, a_hostname),
	F("shields-up", FLAG_YESNO, a_shields),
	F("timeout", FLAG_TIME, a_timeout_ms),
	LATER("accept-dns"),
	LATER("accept-routes"),
	LATER("advertise-connector"),
	LATER("advertise-exit-node"),
	LATER("advertise-routes"),
	LATER("advertise-tags"),
	LATER("auth-key"),
	LATER("exit-node"),
	LATER("exit-node-allow-lan-access"),
	LATER("json"),
	LATER("login-server"),
	LATER("netfilter-mode"),
	LATER("operator"),
	LATER("qr"),
	LATER("reset"),
	LATER("snat-subnet-routes"),
	LATER("ssh"),
	LATER("stateful-filtering")
};

static const struct flag	 flags_login[] = {
	F("new-server-key", FLAG_BOOL, a_new_server_key),
	F("force-reauth", FLAG_BOOL, a_force_reauth),
	F("timeout", FLAG_TIME, a_timeout_ms),
	LATER("auth-key"),
	LATER("login-server"),
	LATER("nickname"),
	LATER("qr")
};

static const struct flag	 flags_set[] = {
	F("hostname", FLAG_WORD, a_hostname),
	F("shields-up", FLAG_YESNO, a_shields),
	LATER("accept-dns"),
	LATER("accept-routes"),
	LATER("advertise-exit-node"),
	LATER("advertise-routes"),
	LATER("exit-node"),
	LATER("exit-node-allow-lan-access"),
	LATER("snat-subnet-routes"),
	LATER("ssh")
};

static const struct flag	 flags_status[] = {
	F("active", FLAG_BOOL, a_active),
	F("header", FLAG_BOOL, a_header),
	F("json", FLAG_BOOL, a_json),
	F("peers", FLAG_BOOL, a_peers),
	F("self", FLAG_BOOL, a_self),
	LATER("browser"),
	LATER("listen"),
	LATER("web")
};

static const struct flag	 flags_ip[] = {
	F("1", FLAG_BOOL, a_first),
	F("4", FLAG_BOOL, a_v4),
	F("6", FLAG_BOOL, a_v6),
	F("assert", FLAG_WORD, a_assert)
};

static const struct flag	 flags_ping[] = {
	F("c", FLAG_NUMBER, a_count),
	F("icmp", FLAG_BOOL, a_icmp),
	F("size", FLAG_NUMBER, a_size),
	F("timeout", FLAG_TIME, a_timeout_ms),
	F("tsmp", FLAG_BOOL, a_tsmp),
	F("until-direct", FLAG_BOOL, a_until_direct),
	LATER("peerapi"),
	LATER("verbose")
};

static const struct flag	 flags_netcheck[] = {
	F("every", FLAG_TIME, a_every_ms),
	F("format", FLAG_WORD, a_format),
	F("json", FLAG_BOOL, a_json),
	F("verbose", FLAG_BOOL, a_verbose),
	LATER("bind-address"),
	LATER("bind-port")
};

static const struct flag	 flags_json[] = {
	F("json", FLAG_BOOL, a_json),
	LATER("proto")
};

static const struct flag	 flags_version[] = {
	F("daemon", FLAG_BOOL, a_daemon),
	F("json", FLAG_BOOL, a_json),
	LATER("upstream")
};

#define FLAGS(a)	a, nitems(a)

static const struct command	 commands[] = {
	{ "debug", cmd_debug, "topic ...", "what a process knows",
	    NULL, 0, 1, ARGS_MAX },
	{ "down", cmd_down, "", "disconnect, stay logged in", NULL, 0, 0, 0 },
	{ "ip", cmd_ip, "[-1] [-4] [-6] [--assert ip] [peer]",
	    "tailnet addresses", FLAGS(flags_ip), 0, 1 },
	{ "login", cmd_login, "[--force-reauth] [--new-server-key] "
	    "[--timeout t]", "log in", FLAGS(flags_login), 0, 0 },
	{ "logout", cmd_logout, "", "log out: the node key expires",
	    NULL, 0, 0, 0 },
	{ "netcheck", cmd_netcheck, "[--every t] [--format json|json-line] "
	    "[--json] [--verbose]", "what the network around is like",
	    FLAGS(flags_netcheck), 0, 0 },
	{ "ping", cmd_ping, "[--c n] [--icmp | --tsmp] [--size n] "
	    "[--timeout t] [--until-direct=bool] peer",
	    "ping a peer, and see by which path", FLAGS(flags_ping), 1, 1 },
	{ "set", cmd_set, "[--hostname name] [--shields-up[=bool]]",
	    "change what the configuration leaves open",
	    FLAGS(flags_set), 0, 0 },
	{ "status", cmd_status, "[--json] [--active] [--header] "
	    "[--peers=bool] [--self=bool]", "this node and its peers",
	    FLAGS(flags_status), 0, 0 },
	{ "up", cmd_up, "[--force-reauth] [--hostname name] "
	    "[--shields-up[=bool]] [--timeout t]", "connect, and wait for it",
	    FLAGS(flags_up), 0, 0 },
	{ "version", cmd_version, "[--daemon] [--json]", "version",
	    FLAGS(flags_version), 0, 0 },
	{ "whois", cmd_whois, "[--json] address[:port] | name | key",
	    "whose address this is", FLAGS(flags_json), 1, 1 }
};

static void	 defaults(struct args *);
static int	 is_command(const struct command *, const char *);
static const struct flag
		*flag_find(const struct command *, const char *, size_t);
static int	 flag_bool(const char *, int *);
static int	 flag_set(const struct flag *, const char *, struct args *);
static int	 flag_parse(const struct command *, char **, int *,
		    struct args *);
static void	 command_usage(const struct command *);

static void
defaults(struct args *a)
{
	memset(a, 0, sizeof(*a));
	a->a_self = a->a_peers = a->a_until_direct = 1;
	a->a_count = 10;
}

int
parse_duration(const char *s, int64_t *ms)
{
	int64_t	 v, unit;
	int	 digits;

	*ms = 0;
	if (strcmp(s, "0") == 0)
		return 0;
	if (*s == '\0')
		return -1;
	while (*s != '\0') {
		for (v = 0, digits = 0; *s >= '0' && *s <= '9'; s++) {
			if (++digits > 8)
				return -1;
			v = v * 10 + (*s - '0');
		}
		unit = strncmp(s, "ms", 2) == 0 ? 1 : *s == 's' ? 1000 :
		    *s == 'm' ? 60000 : *s == 'h' ? 3600000 : 0;
		if (digits == 0 || unit == 0)
			return -1;
		s += unit == 1 ? 2 : 1;
		*ms += v * unit;
	}
	return *ms > INT_MAX ? -1 : 0;
}

static const struct flag *
flag_find(const struct command *k, const char *name, size_t n)
{
	size_t	 i;

	for (i = 0; i < k->k_nflags; i++)
		if (strlen(k->k_flags[i].f_name) == n &&
		    memcmp(k->k_flags[i].f_name, name, n) == 0)
			return &k->k_flags[i];
	return NULL;
}

static int
flag_bool(const char *s, int *v)
{
	static const char	*yes[] = { "true", "1", "t", "yes" };
	static const char	*no[] = { "false", "0", "f", "no" };
	size_t			 i;

	for (i = 0; i < nitems(yes); i++) {
		if (strcmp(s, yes[i]) == 0) {
			*v = 1;
			return 0;
		}
		if (strcmp(s, no[i]) == 0) {
			*v = 0;
			return 0;
		}
	}
	return -1;
}

static int
flag_set(const struct flag *f, const char *value, struct args *a)
{
	const char	*errstr = NULL;
	char		*to = (char *)a + f->f_off;
	int64_t		 n;
	int		 b;

	switch (f->f_type) {
	case FLAG_BOOL:
		if (flag_bool(value, &b) == -1)
			break;
		memcpy(to, &b, sizeof(b));
		return 0;
	case FLAG_YESNO:
		if (flag_bool(value, &b) == -1)
			break;
		value = b ? "true" : "false";
		/* FALLTHROUGH */
	case FLAG_WORD:
		memcpy(to, &value, sizeof(value));
		return 0;
	case FLAG_TIME:
		if (parse_duration(value, &n) == -1)
			break;
		memcpy(to, &n, sizeof(n));
		return 0;
	case FLAG_NUMBER:
		n = strtonum(value, 0, 65535, &errstr);
		if (errstr != NULL)
			break;
		memcpy(to, &n, sizeof(n));
		return 0;
	default:
		break;
	}
	warnx("--%s: bad value \"%s\"", f->f_name, value);
	return -1;
}

/* One flag at argv[*i], with its value; moves on. 0 or -1. */
static int
flag_parse(const struct command *k, char **argv, int *i, struct args *a)
{
	const struct flag	*f;
	const char		*name, *value;
	size_t			 n;

	name = argv[*i] + (argv[*i][1] == '-' ? 2 : 1);
	n = strcspn(name, "=");
	if ((f = flag_find(k, name, n)) == NULL) {
		warnx("%s: unknown flag %s", k->k_name, argv[*i]);
		return -1;
	}
	if (f->f_type == FLAG_LATER) {
		warnx("%s: --%s is not supported yet", k->k_name, f->f_name);
		return -1;
	}
	value = name[n] == '=' ? name + n + 1 : NULL;
	if (value == NULL &&
	    (f->f_type == FLAG_BOOL || f->f_type == FLAG_YESNO))
		value = "true";
	if (value == NULL && (value = argv[*i + 1]) != NULL)
		(*i)++;
	if (value == NULL) {
		warnx("%s: --%s needs a value", k->k_name, f->f_name);
		return -1;
	}
	return flag_set(f, value, a);
}

static int
is_command(const struct command *k, const char *word)
{
	return strcmp(k->k_name, word) == 0;
}

static void
command_usage(const struct command *k)
{
	fprintf(stderr, "usage: shoalctl [-s socket] %s%s%s\n", k->k_name,
	    k->k_usage[0] != '\0' ? " " : "", k->k_usage);
}

void
parse_usage(void)
{
	size_t	 i;

	fprintf(stderr, "usage: shoalctl [-s socket] command [flags]\n");
	for (i = 0; i < nitems(commands); i++)
		fprintf(stderr, "  %-9s%s\n", commands[i].k_name,
		    commands[i].k_what);
}

static const struct command *
command_find(const char *word)
{
	size_t	 i;

	for (i = 0; i < nitems(commands); i++)
		if (is_command(&commands[i], word))
			return &commands[i];
	fprintf(stderr, "shoalctl: unknown command \"%s\"; known are:", word);
	for (i = 0; i < nitems(commands); i++)
		fprintf(stderr, " %s", commands[i].k_name);
	fprintf(stderr, "\n");
	return NULL;
}

const struct command *
parse_command(int argc, char **argv, struct args *a)
{
	const struct command	*k;
	int			 i, words = 0;

	defaults(a);
	if (argc < 1) {
		parse_usage();
		return NULL;
	}
	if ((k = command_find(argv[0])) == NULL)
		return NULL;
	for (i = 1; i < argc; i++) {
		if (!words && argv[i][0] == '-' && argv[i][1] != '\0') {
			if (strcmp(argv[i], "--") == 0) {
				words = 1;
				continue;
			}
			if (flag_parse(k, argv, &i, a) == -1) {
				command_usage(k);
				return NULL;
			}
			continue;
		}
		if (a->a_nword == ARGS_MAX || a->a_nword == k->k_max) {
			command_usage(k);
			return NULL;
		}
		a->a_word[a->a_nword++] = argv[i];
	}
	if (a->a_nword < k->k_min) {
		command_usage(k);
		return NULL;
	}
	return k;
}
