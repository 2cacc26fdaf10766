/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Print the configuration in a form that parses again.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "derpd.h"
#include "lex.h"

static void
print_verify(FILE *f, const struct derp_conf *c,
    const struct msg_conf_server *m)
{
	const char	*open = "", *close = "";
	size_t		 len = strlen(m->path);

	if (strchr(m->host, ':') != NULL) {
		open = "[";
		close = "]";
	}
	if (m->kind == SERVER_COORDD)
		len -= sizeof(COORDD_PATH) - 1;
	fprintf(f, "verify clients %s\"%s://%s%s%s:%u%.*s\"",
	    m->kind == SERVER_COORDD ? "coordd " : "",
	    m->tls ? "https" : "http", open, m->host, close, m->port,
	    (int)len, m->path);
	if (m->kind == SERVER_COORDD) {
		fprintf(f, " key file ");
		lex_print(f, c->c_clients);
	}
	fputc('\n', f);
}

static void
print_mesh(FILE *f, const struct msg_conf_server *m)
{
	size_t	 i;

	fprintf(f, "mesh with { \"%s\" port %u", m->host, m->port);
	if (m->has_pin)
		fprintf(f, " pin \"sha256-raw:");
	for (i = 0; m->has_pin && i < sizeof(m->pin); i++)
		fprintf(f, "%02x", m->pin[i]);
	fprintf(f, m->has_pin ? "\" }\n" : " }\n");
}

static void
print_servers(FILE *f, const struct derp_conf *c)
{
	const struct msg_bootstrap	*b;
	size_t				 i;

	if (c->c_verify == RELAY_VERIFY_FILE)
		lex_print_line(f, "verify clients file", c->c_allow);
	if (c->c_verify == RELAY_VERIFY_SHOALD)
		lex_print_line(f, "verify clients shoald", c->c_shoald);
	if (c->c_cafile[0] != '\0')
		lex_print_line(f, "ca file", c->c_cafile);
	if (c->c_meshkey[0] != '\0')
		lex_print_line(f, "mesh key file", c->c_meshkey);
	for (i = 0; i < c->c_nserver; i++)
		if (c->c_server[i].kind == SERVER_MESH)
			print_mesh(f, &c->c_server[i]);
		else
			print_verify(f, c, &c->c_server[i]);
	for (i = 0; i < c->c_nboot; i++) {
		b = &c->c_boot[i];
		fprintf(f, "bootstrap dns \"%s\" \"%s\"\n", b->name,
		    ip_print(b->ip.af, b->ip.addr));
	}
}

void
conf_print(const struct derp_conf *c, FILE *f)
{
	const struct msg_listen	*m;
	size_t			 i;

	lex_print_line(f, "hostname", c->c_hostname);
	for (i = 0; i < c->c_listen.ls_n; i++) {
		m = &c->c_listen.ls_sock[i];
		fprintf(f, "%slisten on %s port %u",
		    m->flags & LISTEN_STUN ? "stun " :
		    m->flags & LISTEN_METRICS ? "metrics " : "",
		    ip_print(m->ep.af, m->ep.addr), m->ep.port);
		if (m->flags & LISTEN_TLS && c->c_tls == RELAY_TLS_FILE) {
			fprintf(f, " tls certificate ");
			lex_print(f, c->c_cert);
			fprintf(f, " key ");
			lex_print(f, c->c_key);
		} else if (m->flags & LISTEN_TLS)
			fprintf(f, " tls self-signed");
		if (m->flags & LISTEN_REDIRECT)
			fprintf(f, " redirect");
		fputc('\n', f);
	}
	if (c->c_rate != 0)
		fprintf(f, "limit rate %llu burst %llu\n",
		    (unsigned long long)c->c_rate,
		    (unsigned long long)c->c_burst);
	if (c->c_all_rate != 0)
		fprintf(f, "limit total rate %llu burst %llu\n",
		    (unsigned long long)c->c_all_rate,
		    (unsigned long long)c->c_all_burst);
	print_servers(f, c);
	lex_print_line(f, "state", c->c_state);
}
