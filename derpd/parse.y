/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The grammar of derpd.conf(5).
 */

%{
#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "derpd.h"

#define YYSTYPE	struct token

int		 yyparse(void);
static int	 yylex(void);
static void	 yyerror(const char *);

static struct derp_conf	*conf;
static const char	*mesh_pin;
static int64_t		 mesh_port;

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
set_hostname(const char *s)
{
	const char	*why;

	if (!once(SET_HOSTNAME, "hostname"))
		return;
	if ((why = conf_check_hostname(s)) != NULL)
		lex_error("hostname \"%s\" %s", s, why);
	else
		(void)strlcpy(conf->c_hostname, s, sizeof(conf->c_hostname));
}

static void
set_state(const char *s)
{
	const char	*why;

	if (!once(SET_STATE, "state"))
		return;
	if ((why = conf_check_path(s, sizeof(conf->c_state))) != NULL)
		lex_error("state \"%s\" %s", s, why);
	else
		(void)strlcpy(conf->c_state, s, sizeof(conf->c_state));
}

static void
add_listen(const char *s, int64_t port, uint32_t flags)
{
	const char	*why;

	if ((why = lsock_add(&conf->c_listen, s, port, flags, 0)) != NULL)
		lex_error("listen on %s: %s", s, why);
}

static void
set_cert(const char *cert, const char *key)
{
	const char	*why;

	if ((why = conf_set_cert(conf, cert, key)) != NULL)
		lex_error("tls certificate \"%s\" key \"%s\": %s", cert, key,
		    why);
}

static void
set_self(void)
{
	if (conf->c_tls == RELAY_TLS_FILE)
		lex_error("tls self-signed: another certificate is set "
		    "already: one serves all");
	conf->c_tls = RELAY_TLS_SELF;
}

static void
set_verify(const char *s, int file)
{
	const char	*why;

	if (!once(SET_VERIFY, "verify clients"))
		return;
	if (file)
		conf->c_verify = RELAY_VERIFY_FILE;
	why = file ? conf_set_file(conf, conf->c_allow, s) :
	    conf_set_verify(conf, s);
	if (why != NULL)
		lex_error("verify clients %s\"%s\": %s", file ? "file " : "",
		    s, why);
}

static void
set_coordd(const char *url, const char *file)
{
	const char	*why;

	if (once(SET_VERIFY, "verify clients") &&
	    (why = conf_set_coordd(conf, url, file)) != NULL)
		lex_error("verify clients coordd \"%s\" key file \"%s\": %s",
		    url, file, why);
}

static void
set_shoald(const char *socket)
{
	const char	*why;

	if (!once(SET_VERIFY, "verify clients"))
		return;
	conf->c_verify = RELAY_VERIFY_SHOALD;
	if ((why = conf_check_path(socket, 100)) != NULL)
		lex_error("verify clients shoald \"%s\": %s", socket, why);
	else
		(void)strlcpy(conf->c_shoald, socket, sizeof(conf->c_shoald));
}

static void
set_file(unsigned int bit, const char *what, char *dst, const char *s)
{
	const char	*why;

	if (once(bit, what) && (why = conf_set_file(conf, dst, s)) != NULL)
		lex_error("%s \"%s\": %s", what, s, why);
}

static void
add_mesh(const char *host)
{
	const char	*why;

	if ((why = conf_add_mesh(conf, host, mesh_port, mesh_pin)) != NULL)
		lex_error("mesh with \"%s\" %s", host, why);
	mesh_port = 443;
	mesh_pin = "";
}

static void
add_bootstrap(const char *name, const char *addr)
{
	const char	*why;

	if ((why = conf_add_bootstrap(conf, name, addr)) != NULL)
		lex_error("bootstrap dns \"%s\" %s: %s", name, addr, why);
}

static void
set_rate(const char *rate, const char *burst, int all)
{
	const char	*why, *what = all ? "limit total rate" : "limit rate";
	uint64_t	 r = 0, b;

	if (!once(all ? SET_TOTAL : SET_RATE, what))
		return;
	if ((why = conf_bytes(rate, &r)) != NULL) {
		lex_error("%s %s %s", what, rate, why);
		return;
	}
	b = 2 * r;
	if (burst != NULL && (why = conf_bytes(burst, &b)) != NULL)
		lex_error("burst %s %s", burst, why);
	if (b < BURST_MIN)
		b = BURST_MIN;
	*(all ? &conf->c_all_rate : &conf->c_rate) = r;
	*(all ? &conf->c_all_burst : &conf->c_burst) = b;
}
%}

%token	BOOTSTRAP BURST CA CERTIFICATE CLIENTS COORDD DNS FILENAME HOSTNAME
%token	INCLUDE KEY LIMIT LISTEN MESH METRICS ON PIN PORT RATE REDIRECT
%token	SELFSIGNED SHOALD STATE STUN TLS TOTAL VERIFY WITH ERROR
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

word		: STRING
		| NUMBER
		;

main		: HOSTNAME STRING	{ set_hostname($2.string); }
		| LISTEN ON STRING PORT NUMBER {
			add_listen($3.string, $5.number, 0);
		}
		| LISTEN ON STRING PORT NUMBER REDIRECT {
			add_listen($3.string, $5.number, LISTEN_REDIRECT);
		}
		| LISTEN ON STRING PORT NUMBER TLS tls {
			add_listen($3.string, $5.number, LISTEN_TLS);
		}
		| STUN LISTEN ON STRING PORT NUMBER {
			add_listen($4.string, $6.number, LISTEN_STUN);
		}
		| METRICS LISTEN ON STRING PORT NUMBER {
			add_listen($4.string, $6.number, LISTEN_METRICS);
		}
		| VERIFY CLIENTS STRING	{ set_verify($3.string, 0); }
		| VERIFY CLIENTS FILENAME STRING { set_verify($4.string, 1); }
		| VERIFY CLIENTS SHOALD	{ set_shoald(SHOALD_SOCKET); }
		| VERIFY CLIENTS SHOALD STRING { set_shoald($4.string); }
		| VERIFY CLIENTS COORDD STRING KEY FILENAME STRING {
			set_coordd($4.string, $7.string);
		}
		| CA FILENAME STRING {
			set_file(SET_CAFILE, "ca file", conf->c_cafile,
			    $3.string);
		}
		| MESH KEY FILENAME STRING {
			set_file(SET_MESHKEY, "mesh key file",
			    conf->c_meshkey, $4.string);
		}
		| MESH WITH '{' optnl meshlist '}'
		| BOOTSTRAP DNS STRING STRING {
			add_bootstrap($3.string, $4.string);
		}
		| LIMIT RATE word	{ set_rate($3.string, NULL, 0); }
		| LIMIT RATE word BURST word {
			set_rate($3.string, $5.string, 0);
		}
		| LIMIT TOTAL RATE word	{ set_rate($4.string, NULL, 1); }
		| LIMIT TOTAL RATE word BURST word {
			set_rate($4.string, $6.string, 1);
		}
		| STATE STRING		{ set_state($2.string); }
		;

meshlist	: /* empty */
		| meshlist STRING meshopts optcomma optnl {
			add_mesh($2.string);
		}
		;

meshopts	: /* empty */ {
			mesh_port = 443;
			mesh_pin = "";
		}
		| meshopts PORT NUMBER	{ mesh_port = $3.number; }
		| meshopts PIN STRING	{ mesh_pin = $3.string; }
		;

optcomma	: /* empty */
		| ','
		;

optnl		: /* empty */
		| optnl '\n'
		;

tls		: SELFSIGNED		{ set_self(); }
		| CERTIFICATE STRING KEY STRING {
			set_cert($2.string, $4.string);
		}
		;

%%

/* Sorted: searched with bsearch. */
static const struct lex_keyword	 keywords[] = {
	{ "bootstrap",		BOOTSTRAP },
	{ "burst",		BURST },
	{ "ca",			CA },
	{ "certificate",	CERTIFICATE },
	{ "clients",		CLIENTS },
	{ "coordd",		COORDD },
	{ "dns",		DNS },
	{ "file",		FILENAME },
	{ "hostname",		HOSTNAME },
	{ "include",		INCLUDE },
	{ "key",		KEY },
	{ "limit",		LIMIT },
	{ "listen",		LISTEN },
	{ "mesh",		MESH },
	{ "metrics",		METRICS },
	{ "on",			ON },
	{ "pin",		PIN },
	{ "port",		PORT },
	{ "rate",		RATE },
	{ "redirect",		REDIRECT },
	{ "self-signed",	SELFSIGNED },
	{ "shoald",		SHOALD },
	{ "state",		STATE },
	{ "stun",		STUN },
	{ "tls",		TLS },
	{ "total",		TOTAL },
	{ "verify",		VERIFY },
	{ "with",		WITH }
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

struct derp_conf *
conf_parse(const char *path)
{
	struct derp_conf	*done;
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
