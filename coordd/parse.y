/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The grammar of coordd.conf(5).
 */

%{
#include <sys/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordd.h"

#define YYSTYPE	struct token

int		 yyparse(void);
static int	 yylex(void);
static void	 yyerror(const char *);

static struct coord_conf	*conf;
static struct conf_derp		*derp;
static const char		*split_name;

/* 1 if this was not set yet. */
static int
once(unsigned int bit, const char *what)
{
	if (conf->c_set & bit) {
		lex_error("%s is set already", what);
		return 0;
	}
	conf->c_set |= bit;
	return 1;
}

static void
not_yet(const char *what)
{
	lex_error("%s is not supported yet", what);
}

static void
set_url(const char *s)
{
	const char	*why;
	size_t		 n;

	if (!once(SET_URL, "url"))
		return;
	(void)strlcpy(conf->c_url, s, sizeof(conf->c_url));
	for (n = strlen(conf->c_url); n > 0 && conf->c_url[n - 1] == '/'; n--)
		conf->c_url[n - 1] = '\0';
	if ((why = conf_check_url(strlen(s) < sizeof(conf->c_url) ?
	    conf->c_url : s)) != NULL)
		lex_error("url \"%s\" %s", s, why);
}

/* A path for one of the files; 0 if it cannot be. */
static int
set_path(char *dst, size_t len, const char *what, const char *s)
{
	const char	*why;

	if ((why = conf_check_path(s, len)) != NULL) {
		lex_error("%s \"%s\" %s", what, s, why);
		return 0;
	}
	(void)strlcpy(dst, s, len);
	return 1;
}

static void
set_listen(const char *s, int64_t port, uint32_t flags, uint32_t cert)
{
	const char	*why;

	if ((why = lsock_add(&conf->c_listen, s, port, flags, cert)) != NULL)
		lex_error("listen on %s: %s", s, why);
}

static void
set_listen_tls(const char *s, int64_t port, const char *cert,
    const char *key)
{
	const char	*why;
	uint32_t	 number;

	if ((why = conf_add_cert(conf, cert, key, &number)) != NULL)
		lex_error("tls certificate \"%s\" key \"%s\": %s", cert, key,
		    why);
	else
		set_listen(s, port, LISTEN_TLS, number);
}

static void
set_domain(const char *s)
{
	const char	*why;

	if (!once(SET_DOMAIN, "dns domain"))
		return;
	if ((why = conf_check_domain(s)) != NULL)
		lex_error("dns domain \"%s\" %s", s, why);
	else
		(void)strlcpy(conf->c_domain, s, sizeof(conf->c_domain));
}

static void
add_dns(uint32_t kind, const char *what, const char *name, const char *value)
{
	const char	*why;

	if ((why = conf_add_dns(conf, kind, name, value)) != NULL)
		lex_error("%s %s%s%s: %s", what, name,
		    name[0] == '\0' ? "" : " ", value, why);
}

static void
set_addresses(const char *s)
{
	const char	*why;

	if ((why = conf_set_addresses(conf, s)) != NULL)
		lex_error("addresses %s: %s", s, why);
}

/* A file that is there to be read. */
static void
set_file(char *dst, size_t len, const char *what, const char *s, char **text,
    size_t *textlen)
{
	const char	*why;

	if (!set_path(dst, len, what, s))
		return;
	conf_dirs_add(&conf->c_dirs, s);
	if ((why = conf_read_file(s, FILE_MAX_LEN, text, textlen)) == NULL)
		return;
	/* The running parent has confined itself to the directories it knew. */
	if (coordd_up() && errno == EACCES)
		why = "in a directory that is new here, needs a restart";
	lex_error("%s \"%s\": %s", what, s, why);
}

static void
set_policy(uint8_t kind, const char *file)
{
	if (!once(SET_POLICY, "policy"))
		return;
	conf->c_policy = kind;
	if (file != NULL)
		set_file(conf->c_policy_file, sizeof(conf->c_policy_file),
		    "policy file", file, &conf->c_policy_text,
		    &conf->c_policy_len);
}

static void
set_expiry(int64_t n, int64_t unit)
{
	if (!once(SET_EXPIRY, "key expiry"))
		return;
	if (n < 1 || n > 3650LL * 86400 / unit)
		lex_error("key expiry is not between 1 hour and 10 years");
	else
		conf->c_key_expiry = n * unit * 1000000000;
}

/* It is read by stored, and never passes through this process. */
static void
set_clients(const char *s)
{
	const char	*why;

	if (!once(SET_CLIENTS, "derp clients key file") ||
	    !set_path(conf->c_clients, sizeof(conf->c_clients),
	    "derp clients key file", s))
		return;
	conf_dirs_add(&conf->c_dirs, s);
	if ((why = conf_may_read(s)) != NULL)
		lex_error("derp clients key file \"%s\": %s", s, why);
}

static void
set_hook(const char *path, const char *user)
{
	const char	*why;

	if (once(SET_HOOK, "dns update") &&
	    (why = conf_set_hook(conf, path, user)) != NULL)
		lex_error("dns update script \"%s\" %s", path, why);
}

/* It goes into JSON as it is. */
static void
derp_word(char *dst, size_t len, const char *what, const char *s)
{
	size_t	 i;

	for (i = 0; s[i] != '\0'; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\')
			break;
	if (i == 0 || s[i] != '\0')
		lex_error("%s is empty or malformed", what);
	else if (strlcpy(dst, s, len) >= len)
		lex_error("%s is too long", what);
}

static void
derp_begin(int64_t id, const char *name)
{
	const struct conf_derp	*r;

	TAILQ_FOREACH(r, &conf->c_derps, r_entry)
		if (r->r_id == id)
			lex_error("derp region %lld stands here twice",
			    (long long)id);
	if ((derp = calloc(1, sizeof(*derp))) == NULL)
		fatal(NULL);
	TAILQ_INSERT_TAIL(&conf->c_derps, derp, r_entry);
	if (id < 1 || id > 999)
		lex_error("derp region is not between 1 and 999");
	derp->r_id = id;
	derp_word(derp->r_name, sizeof(derp->r_name), "derp region's name",
	    name);
}

/* A second node of the region that is being read. */
static void
derp_another(void)
{
	struct conf_derp	*r;

	if (derp->r_host[0] == '\0' && derp->r_node[0] == '\0')
		return;
	if (derp->r_host[0] == '\0')
		lex_error("derp node \"%s\" has no host", derp->r_node);
	if ((r = calloc(1, sizeof(*r))) == NULL)
		fatal(NULL);
	TAILQ_INSERT_AFTER(&conf->c_derps, derp, r, r_entry);
	r->r_id = derp->r_id;
	r->r_more = 1;
	(void)strlcpy(r->r_name, derp->r_name, sizeof(r->r_name));
	derp = r;
}

static void
derp_address(char *dst, size_t len, uint8_t af, const char *s)
{
	struct msg_ip	 ip;

	if (strcmp(s, "none") != 0 && (ip_parse(&ip, s) == -1 || ip.af != af))
		lex_error("%s is no IPv%u address, nor none", s, af);
	else
		(void)strlcpy(dst, s, len);
}

static void
set_conns(int64_t n)
{
	if (!once(SET_CONNS, "limit connections"))
		return;
	if (n < 16 || n > 1000000)
		lex_error("limit connections is not between 16 and 1000000");
	else
		conf->c_max_conns = n;
}

static uint16_t
port_ok(int64_t n)
{
	if (n >= 1 && n <= UINT16_MAX)
		return n;
	lex_error("port is not between 1 and 65535");
	return 0;
}
%}

%token	ADDRESSES ALL ALLOW APPROVE AUDIT AUTOMATICALLY CERTIFICATE CLIENTS
%token	CONNECTIONS DAYS DERP DNS DOMAIN EXPIRY FILENAME GROUP HOST HOURS
%token	INCLUDE IPV4 IPV6 KEY LIMIT LISTEN LOG MANUALLY MAP METRICS
%token	NAMESERVERS NEVER NO NODE NODES OIDC ON PIN POLICY PORT POSTGRESQL
%token	RECORD REGION SCRIPT SOCKET SPLIT SQLITE STATE STORE STUN TLS UPDATE
%token	URL USER WEEKS ERROR
%token	STRING NUMBER

%%

grammar		: /* empty */
		| grammar '\n'
		| grammar include '\n'
		| grammar varset '\n'
		| grammar main '\n'
		| grammar error '\n'	{ yyerrok; }
		;

include		: INCLUDE STRING {
			if (lex_include($2.string) == -1)
				YYERROR;
		}
		;

varset		: STRING '=' STRING	{ lex_macro($1.string, $3.string); }
		| STRING '=' NUMBER	{ lex_macro($1.string, $3.string); }
		;

optnl		: /* empty */
		| optnl '\n'
		;

optcomma	: /* empty */
		| ','
		;

main		: URL STRING		{ set_url($2.string); }
		| LISTEN ON STRING PORT NUMBER {
			set_listen($3.string, $5.number, 0, 0);
		}
		| LISTEN ON STRING PORT NUMBER TLS CERTIFICATE STRING KEY
		    STRING {
			set_listen_tls($3.string, $5.number, $8.string,
			    $10.string);
		}
		| STATE STRING {
			if (once(SET_STATE, "state"))
				(void)set_path(conf->c_state,
				    sizeof(conf->c_state), "state", $2.string);
		}
		| STORE SQLITE STRING {
			if (once(SET_STORE, "store"))
				(void)set_path(conf->c_store,
				    sizeof(conf->c_store), "store", $3.string);
		}
		| STORE POSTGRESQL STRING { not_yet("store postgresql"); }
		| SOCKET STRING optgroup {
			if (once(SET_SOCKET, "socket"))
				(void)set_path(conf->c_socket, 100, "socket",
				    $2.string);
		}
		| ADDRESSES {
			(void)once(SET_ADDRESSES, "addresses");
		} '{' optnl addrlist '}'
		| APPROVE NODES MANUALLY {
			if (once(SET_APPROVE, "approve nodes"))
				conf->c_approve_manually = 1;
		}
		| APPROVE NODES AUTOMATICALLY {
			(void)once(SET_APPROVE, "approve nodes");
		}
		| KEY EXPIRY NUMBER timeunit {
			set_expiry($3.number, $4.number);
		}
		| KEY EXPIRY NEVER {
			if (once(SET_EXPIRY, "key expiry"))
				conf->c_key_expiry = 0;
		}
		| dns
		| policy
		| derp
		| OIDC			{
			not_yet("oidc");
			YYERROR;
		}
		| LIMIT CONNECTIONS NUMBER { set_conns($3.number); }
		| AUDIT LOG STRING	{ not_yet("audit log"); }
		| METRICS LISTEN ON STRING PORT NUMBER {
			not_yet("metrics");
		}
		;

optgroup	: /* empty */
		| GROUP STRING {
			if ($2.string[0] == '\0' || strlcpy(conf->c_group,
			    $2.string, sizeof(conf->c_group)) >=
			    sizeof(conf->c_group))
				lex_error("group is empty or too long");
		}
		;

addrlist	: /* empty */
		| addrlist STRING optcomma optnl { set_addresses($2.string); }
		;

timeunit	: HOURS			{ $$.number = 3600; }
		| DAYS			{ $$.number = 86400; }
		| WEEKS			{ $$.number = 7 * 86400; }
		;

dns		: DNS DOMAIN STRING	{ set_domain($3.string); }
		| DNS NAMESERVERS {
			(void)once(SET_NAMESERVERS, "dns nameservers");
		} '{' optnl serverlist '}'
		| DNS SPLIT STRING {
			split_name = $3.string;
		} '{' optnl splitlist '}'
		| DNS UPDATE SCRIPT STRING {
			set_hook($4.string, HOOK_USER);
		}
		| DNS UPDATE SCRIPT STRING USER STRING {
			set_hook($4.string, $6.string);
		}
		| DNS RECORD STRING STRING {
			add_dns(CONF_DNS_RECORD, "dns record", $3.string,
			    $4.string);
		}
		;

serverlist	: /* empty */
		| serverlist STRING optcomma optnl {
			add_dns(CONF_DNS_SERVER, "dns nameservers", "",
			    $2.string);
		}
		;

splitlist	: STRING optcomma optnl {
			add_dns(CONF_DNS_SPLIT, "dns split", split_name,
			    $1.string);
		}
		| splitlist STRING optcomma optnl {
			add_dns(CONF_DNS_SPLIT, "dns split", split_name,
			    $2.string);
		}
		;

policy		: POLICY FILENAME STRING {
			set_policy(POLICY_FILE, $3.string);
		}
		| POLICY STORE		{ set_policy(POLICY_STORE, NULL); }
		| POLICY ALLOW ALL	{ set_policy(POLICY_ALLOW, NULL); }
		;

derp		: DERP MAP FILENAME STRING {
			if (once(SET_DERPMAP, "derp map file"))
				set_file(conf->c_derpmap,
				    sizeof(conf->c_derpmap), "derp map file",
				    $4.string, &conf->c_derpmap_text,
				    &conf->c_derpmap_len);
		}
		| DERP CLIENTS KEY FILENAME STRING {
			set_clients($5.string);
		}
		| DERP REGION NUMBER STRING {
			derp_begin($3.number, $4.string);
		} '{' optnl derpopts '}' {
			if (derp->r_host[0] == '\0')
				lex_error("derp region %u has no host",
				    derp->r_id);
		}
		;

derpopts	: /* empty */
		| derpopts derpopt optcomma optnl
		;

derpopt		: NODE STRING {
			derp_another();
			derp_word(derp->r_node, sizeof(derp->r_node), "node",
			    $2.string);
		}
		| HOST STRING {
			derp_word(derp->r_host, sizeof(derp->r_host), "host",
			    $2.string);
		}
		| PORT NUMBER		{ derp->r_port = port_ok($2.number); }
		| STUN NUMBER		{ derp->r_stun = port_ok($2.number); }
		| STUN NO		{ derp->r_nostun = 1; }
		| IPV4 STRING {
			derp_address(derp->r_ip4, sizeof(derp->r_ip4),
			    AF_WIRE_INET, $2.string);
		}
		| IPV6 STRING {
			derp_address(derp->r_ip6, sizeof(derp->r_ip6),
			    AF_WIRE_INET6, $2.string);
		}
		| PIN STRING {
			derp_word(derp->r_pin, sizeof(derp->r_pin), "pin",
			    $2.string);
		}
		;

%%

/* Sorted: searched with bsearch. */
static const struct lex_keyword	 keywords[] = {
	{ "addresses",		ADDRESSES },
	{ "all",		ALL },
	{ "allow",		ALLOW },
	{ "approve",		APPROVE },
	{ "audit",		AUDIT },
	{ "automatically",	AUTOMATICALLY },
	{ "certificate",	CERTIFICATE },
	{ "clients",		CLIENTS },
	{ "connections",	CONNECTIONS },
	{ "days",		DAYS },
	{ "derp",		DERP },
	{ "dns",		DNS },
	{ "domain",		DOMAIN },
	{ "expiry",		EXPIRY },
	{ "file",		FILENAME },
	{ "group",		GROUP },
	{ "host",		HOST },
	{ "hours",		HOURS },
	{ "include",		INCLUDE },
	{ "ipv4",		IPV4 },
	{ "ipv6",		IPV6 },
	{ "key",		KEY },
	{ "limit",		LIMIT },
	{ "listen",		LISTEN },
	{ "log",		LOG },
	{ "manually",		MANUALLY },
	{ "map",		MAP },
	{ "metrics",		METRICS },
	{ "nameservers",	NAMESERVERS },
	{ "never",		NEVER },
	{ "no",			NO },
	{ "node",		NODE },
	{ "nodes",		NODES },
	{ "oidc",		OIDC },
	{ "on",			ON },
	{ "pin",		PIN },
	{ "policy",		POLICY },
	{ "port",		PORT },
	{ "postgresql",		POSTGRESQL },
	{ "record",		RECORD },
	{ "region",		REGION },
	{ "script",		SCRIPT },
	{ "socket",		SOCKET },
	{ "split",		SPLIT },
	{ "sqlite",		SQLITE },
	{ "state",		STATE },
	{ "store",		STORE },
	{ "stun",		STUN },
	{ "tls",		TLS },
	{ "update",		UPDATE },
	{ "url",		URL },
	{ "user",		USER },
	{ "weeks",		WEEKS }
};

static const struct lex_grammar	 grammar = {
	keywords, nitems(keywords), STRING, NUMBER, ERROR
};

static int
yylex(void)
{
	return lex_next(&grammar, &yylval);
}

static void
yyerror(const char *s)
{
	lex_syntax(s);
}

struct coord_conf *
conf_parse(const char *path)
{
	struct coord_conf	*done;
	const char		*why;

	conf = conf_new();
	if (lex_open(&conf->c_dirs, path) == 0) {
		(void)yyparse();
		lex_line(1);
		if (lex_nerrors() == 0 && (why = conf_check(conf)) != NULL)
			lex_error("%s", why);
	}
	done = lex_nerrors() == 0 ? conf : NULL;
	if (done == NULL)
		conf_free(conf);
	conf = NULL;
	lex_close();
	return done;
}
