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

/* In quotes, with what the lexer would take as something else escaped. */
static void
print_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

static void
print_named(FILE *f, const char *name, const char *s)
{
	fprintf(f, "%s ", name);
	print_string(f, s);
	fputc('\n', f);
}

void
conf_print(const struct derp_conf *c, FILE *f)
{
	const struct conf_listen	*l;
	size_t				 i;

	print_named(f, "hostname", c->c_hostname);
	for (i = 0; i < c->c_nlisten; i++) {
		l = &c->c_listen[i];
		fprintf(f, "%slisten on %s port %u",
		    l->l_flags & LISTEN_STUN ? "stun " : "",
		    ip_print(l->l_ep.af, l->l_ep.addr), l->l_ep.port);
		if (l->l_flags & LISTEN_TLS && c->c_tls == RELAY_TLS_FILE) {
			fprintf(f, " tls certificate ");
			print_string(f, c->c_cert);
			fprintf(f, " key ");
			print_string(f, c->c_key);
		} else if (l->l_flags & LISTEN_TLS)
			fprintf(f, " tls self-signed");
		fputc('\n', f);
	}
	if (c->c_rate != 0)
		fprintf(f, "limit rate %llu burst %llu\n",
		    (unsigned long long)c->c_rate,
		    (unsigned long long)c->c_burst);
	print_named(f, "state", c->c_state);
}
