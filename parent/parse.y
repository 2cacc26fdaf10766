/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The grammar of shoald.conf(5).
 */

%{
#include <sys/types.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoald.h"

#define YYSTYPE	struct token

int		 yyparse(void);
static int	 yylex(void);
static void	 yyerror(const char *);

static struct shoal_conf	*conf;

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
set_control(const char *s)
{
	const char	*why;

	if (once(SET_CONTROL, "control") &&
	    url_parse(&conf->c_control, s, &why) == -1)
		lex_error("control \"%s\": %s", s, why);
}

static void
set_proxy(const char *s)
{
	const char	*why;

	if (!once(SET_PROXY, "proxy"))
		return;
	/* The text may hold a password. */
	if (url_parse_proxy(&conf->c_proxy, conf->c_proxy_auth,
	    sizeof(conf->c_proxy_auth), s, &why) == -1)
		lex_error("proxy: %s", why);
}

static void
set_authkey(const char *s)
{
	if (!once(SET_AUTHKEY, "auth key"))
		return;
	if (lex_file_exposed())
		lex_error("this file holds a secret that others may read: "
		    "chmod 600");
	if (s[0] == '\0' || strlcpy(conf->c_authkey, s,
	    sizeof(conf->c_authkey)) >= sizeof(conf->c_authkey))
		lex_error("auth key is %s", s[0] == '\0' ? "empty" :
		    "too long");
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
set_authkey_file(const char *s)
{
	const char	*why;

	if (!once(SET_AUTHKEY, "auth key") ||
	    !set_path(conf->c_authkey_file, sizeof(conf->c_authkey_file),
	    "auth key file", s))
		return;
	conf_dirs_add(&conf->c_dirs, s);
	if ((why = conf_read_authkey(conf, s)) != NULL)
		lex_error("auth key file \"%s\": %s", s, why);
}

/* A short word that a check must like. */
static void
set_word(char *dst, size_t len, const char *what, const char *s,
    const char *(*check)(const char *))
{
	const char	*why;

	if (check != NULL && (why = check(s)) != NULL)
		lex_error("%s \"%s\": %s", what, s, why);
	else if (s[0] == '\0' || strlcpy(dst, s, len) >= len)
		lex_error("%s is %s", what, s[0] == '\0' ? "empty" :
		    "too long");
}

static void
add_tag(const char *s)
{
	if (conf->c_ntags == TAGS_MAX) {
		lex_error("more than %d tags", TAGS_MAX);
		return;
	}
	set_word(conf->c_tag[conf->c_ntags++], sizeof(conf->c_tag[0]), "tag",
	    s, conf_check_tag);
}

static void
set_mtu(int64_t n)
{
	if (n < MTU_MIN || n > MTU_MAX)
		lex_error("mtu is not between %d and %d", MTU_MIN, MTU_MAX);
	else
		conf->c_mtu = n;
}

static int
port_ok(int64_t n)
{
	if (n <= UINT16_MAX)
		return 1;
	lex_error("port %lld is larger than 65535", (long long)n);
	return 0;
}

static void
check_prefix(const char *s)
{
	struct msg_ip	 ip;
	const char	*err = NULL;
	char		 addr[64];
	size_t		 n;

	n = strcspn(s, "/");
	if (n >= sizeof(addr))
		n = 0;
	memcpy(addr, s, n);
	addr[n] = '\0';
	if (ip_parse(&ip, addr) == 0 && s[n] == '/')
		(void)strtonum(s + n + 1, 0,
		    ip.af == AF_WIRE_INET ? 32 : 128, &err);
	else
		err = "no address and length";
	if (err != NULL)
		lex_error("\"%s\" is no prefix", s);
}

static void
set_ca(const char *s)
{
	if (!once(SET_CA, "ca file") ||
	    !set_path(conf->c_cafile, sizeof(conf->c_cafile), "ca file", s))
		return;
	conf_dirs_add(&conf->c_dirs, s);
	if (access(s, R_OK) == -1)
		lex_error("ca file \"%s\" cannot be read", s);
}
%}

%token	ABI ACCEPT ADVERTISE ALLOW AUTH CA CONTROL DNS EPHEMERAL EXIT EXITNODE
%token	FILENAME GROUP HARD HOSTNAME INCLUDE INTERFACE KEY LAN LANDLOCK LISTEN
%token	MAPPING METRICS MTU NAT NO NODE ON OPERATOR PORT PROBING PROXY RELAY
%token	REQUIRE
%token	ROUTES
%token	SANDBOX SEAL SENDER SERVER SHIELDS SNAT SOCKET STATE SUBNETROUTES TAGS
%token	THREAD TPM UP YES ERROR
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

yesno		: YES			{ $$.number = 1; }
		| NO			{ $$.number = 0; }
		;

optnl		: /* empty */
		| optnl '\n'
		;

optcomma	: /* empty */
		| ','
		;

main		: CONTROL STRING	{ set_control($2.string); }
		| PROXY STRING		{ set_proxy($2.string); }
		| AUTH KEY STRING	{ set_authkey($3.string); }
		| AUTH KEY FILENAME STRING { set_authkey_file($4.string); }
		| HOSTNAME STRING {
			if (once(SET_HOSTNAME, "hostname"))
				set_word(conf->c_hostname,
				    sizeof(conf->c_hostname), "hostname",
				    $2.string, conf_check_hostname);
		}
		| TAGS {
			(void)once(SET_TAGS, "tags");
		} '{' optnl taglist '}'
		| EPHEMERAL yesno {
			if (once(SET_EPHEMERAL, "ephemeral"))
				conf->c_ephemeral = $2.number;
		}
		| SHIELDS UP {
			if (once(SET_SHIELDS, "shields"))
				conf->c_shields = 1;
		}
		| LISTEN ON PORT NUMBER {
			if (once(SET_LISTEN, "listen") && port_ok($4.number))
				conf->c_port = $4.number;
		}
		| OPERATOR STRING {
			if (once(SET_OPERATOR, "operator"))
				set_word(conf->c_operator,
				    sizeof(conf->c_operator), "operator",
				    $2.string, NULL);
		}
		| CA FILENAME STRING	{ set_ca($3.string); }
		| SANDBOX LANDLOCK REQUIRE landlockabi {
			if (once(SET_SANDBOX, "sandbox"))
				conf->c_landlock = $4.number;
		}
		| interface
		| state
		| socket
		| routing
		| later
		;

taglist		: /* empty */
		| taglist STRING optcomma optnl	{ add_tag($2.string); }
		;

landlockabi	: /* empty */		{ $$.number = 1; }
		| ABI NUMBER {
			if ($2.number < 1 || $2.number > 64)
				lex_error("abi is not between 1 and 64");
			$$.number = $2.number;
		}
		;

interface	: INTERFACE STRING optmtu {
			if (once(SET_INTERFACE, "interface"))
				set_word(conf->c_ifname,
				    sizeof(conf->c_ifname), "interface",
				    $2.string, conf_check_ifname);
		}
		| INTERFACE MTU NUMBER {
			if (once(SET_INTERFACE, "interface"))
				set_mtu($3.number);
		}
		;

optmtu		: /* empty */
		| MTU NUMBER		{ set_mtu($2.number); }
		;

state		: STATE STRING optseal {
			if (once(SET_STATE, "state"))
				(void)set_path(conf->c_state,
				    sizeof(conf->c_state), "state", $2.string);
		}
		;

optseal		: /* empty */
		| SEAL TPM		{ not_yet("seal tpm"); }
		;

socket		: SOCKET STRING optgroup {
			if (once(SET_SOCKET, "socket"))
				(void)set_path(conf->c_socket, 100, "socket",
				    $2.string);
		}
		;

optgroup	: /* empty */
		| GROUP STRING {
			set_word(conf->c_group, sizeof(conf->c_group),
			    "group", $2.string, NULL);
		}
		;

/* `no` says what is so today; `yes` waits for its feature. */
routing		: ACCEPT ROUTES yesno {
			if (once(SET_ACCEPT_ROUTES, "accept routes") &&
			    $3.number)
				not_yet("accept routes yes");
		}
		| ACCEPT DNS yesno {
			if (once(SET_ACCEPT_DNS, "accept dns") && $3.number)
				not_yet("accept dns yes (changing the "
				    "system's resolver)");
		}
		| PORT MAPPING yesno {
			if (once(SET_PORTMAP, "port mapping"))
				conf->c_portmap = $3.number;
		}
		| HARD NAT PROBING yesno {
			if (once(SET_HARDNAT, "hard nat probing"))
				conf->c_hardnat = $4.number;
		}
		| SENDER THREAD yesno {
			if (once(SET_SENDER, "sender thread"))
				conf->c_sender = $3.number;
		}
		| RELAY SERVER NO {
			(void)once(SET_RELAY, "relay server");
		}
		| RELAY SERVER YES optport {
			if (once(SET_RELAY, "relay server")) {
				conf->c_relay = 1;
				conf->c_relay_port = $4.number;
			}
		}
		;

optport		: /* empty */		{ $$.number = 0; }
		| PORT NUMBER {
			$$.number = port_ok($2.number) ? $2.number : 0;
		}
		;

later		: ADVERTISE ROUTES '{' optnl prefixlist '}' {
			not_yet("advertise routes");
		}
		| ADVERTISE EXITNODE	{ not_yet("advertise exit-node"); }
		| SNAT SUBNETROUTES yesno { not_yet("snat subnet-routes"); }
		| EXIT NODE STRING optlan { not_yet("exit node"); }
		| METRICS LISTEN ON STRING PORT NUMBER {
			not_yet("metrics");
		}
		;

prefixlist	: /* empty */
		| prefixlist STRING optcomma optnl { check_prefix($2.string); }
		;

optlan		: /* empty */
		| ALLOW LAN
		;

%%

/* Sorted: searched with bsearch. */
static const struct lex_keyword	 keywords[] = {
	{ "abi",		ABI },
	{ "accept",		ACCEPT },
	{ "advertise",		ADVERTISE },
	{ "allow",		ALLOW },
	{ "auth",		AUTH },
	{ "ca",			CA },
	{ "control",		CONTROL },
	{ "dns",		DNS },
	{ "ephemeral",		EPHEMERAL },
	{ "exit",		EXIT },
	{ "exit-node",		EXITNODE },
	{ "file",		FILENAME },
	{ "group",		GROUP },
	{ "hard",		HARD },
	{ "hostname",		HOSTNAME },
	{ "include",		INCLUDE },
	{ "interface",		INTERFACE },
	{ "key",		KEY },
	{ "lan",		LAN },
	{ "landlock",		LANDLOCK },
	{ "listen",		LISTEN },
	{ "mapping",		MAPPING },
	{ "metrics",		METRICS },
	{ "mtu",		MTU },
	{ "nat",		NAT },
	{ "no",			NO },
	{ "node",		NODE },
	{ "on",			ON },
	{ "operator",		OPERATOR },
	{ "port",		PORT },
	{ "probing",		PROBING },
	{ "proxy",		PROXY },
	{ "relay",		RELAY },
	{ "require",		REQUIRE },
	{ "routes",		ROUTES },
	{ "sandbox",		SANDBOX },
	{ "seal",		SEAL },
	{ "sender",		SENDER },
	{ "server",		SERVER },
	{ "shields",		SHIELDS },
	{ "snat",		SNAT },
	{ "socket",		SOCKET },
	{ "state",		STATE },
	{ "subnet-routes",	SUBNETROUTES },
	{ "tags",		TAGS },
	{ "thread",		THREAD },
	{ "tpm",		TPM },
	{ "up",			UP },
	{ "yes",		YES }
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

struct shoal_conf *
conf_parse(const char *path)
{
	struct shoal_conf	*done;

	conf = conf_new();
	if (lex_open(&conf->c_dirs, path) == 0) {
		(void)yyparse();
		lex_line(1);
		if (lex_nerrors() == 0 && (conf->c_set & SET_CONTROL) == 0)
			lex_error("no control server is set: add a line like "
			    "control \"https://coord.example.org\"");
	}
	done = lex_nerrors() == 0 ? conf : NULL;
	if (done == NULL)
		conf_free(conf);
	conf = NULL;
	lex_close();
	return done;
}
