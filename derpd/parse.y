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

	if ((why = conf_add_listen(conf, s, port, flags)) != NULL)
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
set_rate(const char *rate, const char *burst)
{
	const char	*why;

	if (!once(SET_RATE, "limit rate"))
		return;
	if ((why = conf_bytes(rate, &conf->c_rate)) != NULL) {
		lex_error("limit rate %s %s", rate, why);
		return;
	}
	conf->c_burst = 2 * conf->c_rate;
	if (burst != NULL && (why = conf_bytes(burst, &conf->c_burst)) != NULL)
		lex_error("burst %s %s", burst, why);
	if (conf->c_burst < BURST_MIN)
		conf->c_burst = BURST_MIN;
}
%}

%token	BURST CERTIFICATE CLIENTS FILENAME HOSTNAME INCLUDE KEY LIMIT LISTEN
%token	MESH METRICS ON PORT RATE SELFSIGNED STATE STUN TLS VERIFY ERROR
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
		| LISTEN ON STRING PORT NUMBER TLS tls {
			add_listen($3.string, $5.number, LISTEN_TLS);
		}
		| STUN LISTEN ON STRING PORT NUMBER {
			add_listen($4.string, $6.number, LISTEN_STUN);
		}
		| VERIFY CLIENTS STRING	{ not_yet("verify clients"); }
		| MESH KEY FILENAME STRING { not_yet("mesh"); }
		| METRICS LISTEN ON STRING PORT NUMBER { not_yet("metrics"); }
		| LIMIT RATE word	{ set_rate($3.string, NULL); }
		| LIMIT RATE word BURST word {
			set_rate($3.string, $5.string);
		}
		| STATE STRING		{ set_state($2.string); }
		;

tls		: SELFSIGNED		{ set_self(); }
		| CERTIFICATE STRING KEY STRING {
			set_cert($2.string, $4.string);
		}
		;

%%

/* Sorted: searched with bsearch. */
static const struct lex_keyword	 keywords[] = {
	{ "burst",		BURST },
	{ "certificate",	CERTIFICATE },
	{ "clients",		CLIENTS },
	{ "file",		FILENAME },
	{ "hostname",		HOSTNAME },
	{ "include",		INCLUDE },
	{ "key",		KEY },
	{ "limit",		LIMIT },
	{ "listen",		LISTEN },
	{ "mesh",		MESH },
	{ "metrics",		METRICS },
	{ "on",			ON },
	{ "port",		PORT },
	{ "rate",		RATE },
	{ "self-signed",	SELFSIGNED },
	{ "state",		STATE },
	{ "stun",		STUN },
	{ "tls",		TLS },
	{ "verify",		VERIFY }
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
