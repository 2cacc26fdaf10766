/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Print the configuration in a form that parses again.
 */

#include <sys/types.h>

#include <stdio.h>

#include "coordd.h"
#include "lex.h"

static void
print_listen(FILE *f, const struct coord_conf *c, size_t i)
{
	const struct msg_listen	*m = &c->c_listen.ls_sock[i];
	const struct conf_cert	*k;

	fprintf(f, "listen on %s port %u", ip_print(m->ep.af, m->ep.addr),
	    m->ep.port);
	if (m->flags & LISTEN_TLS) {
		k = &c->c_certs[m->cert];
		fprintf(f, " tls certificate ");
		lex_print(f, k->k_cert);
		fprintf(f, " key ");
		lex_print(f, k->k_key);
	}
	fputc('\n', f);
}

static void
print_addresses(FILE *f, const struct coord_conf *c)
{
	fprintf(f, "addresses { %s/%u ",
	    ip_print(c->c_addr4.af, c->c_addr4.addr), c->c_addr4.plen);
	fprintf(f, "%s/%u }\n", ip_print(c->c_addr6.af, c->c_addr6.addr),
	    c->c_addr6.plen);
}

static void
print_dns(FILE *f, const struct coord_conf *c)
{
	const struct msg_conf_dns	*d;
	size_t				 i, n;

	lex_print_line(f, "dns domain", c->c_domain);
	for (i = n = 0; i < c->c_ndns; i++)
		if (c->c_dns[i].kind == CONF_DNS_SERVER)
			fprintf(f, "%s%s", n++ == 0 ? "dns nameservers { " :
			    " ", c->c_dns[i].value);
	if (n > 0)
		fprintf(f, " }\n");
	for (i = 0; i < c->c_ndns; i++) {
		d = &c->c_dns[i];
		if (d->kind == CONF_DNS_SPLIT)
			fprintf(f, "dns split \"%s\" { %s }\n", d->name,
			    d->value);
		else if (d->kind == CONF_DNS_RECORD)
			fprintf(f, "dns record \"%s\" %s\n", d->name,
			    d->value);
	}
	if (c->c_hook[0] != '\0') {
		fprintf(f, "dns update script ");
		lex_print(f, c->c_hook);
		lex_print_line(f, " user", c->c_hook_user);
	}
}

static void
print_derp_node(FILE *f, const struct conf_derp *r)
{
	if (r->r_node[0] != '\0')
		fprintf(f, " node \"%s\"", r->r_node);
	fprintf(f, " host \"%s\"", r->r_host);
	if (r->r_port != 0)
		fprintf(f, " port %u", r->r_port);
	if (r->r_nostun)
		fprintf(f, " stun no");
	else if (r->r_stun != 0)
		fprintf(f, " stun %u", r->r_stun);
	if (r->r_ip4[0] != '\0')
		fprintf(f, " ipv4 \"%s\"", r->r_ip4);
	if (r->r_ip6[0] != '\0')
		fprintf(f, " ipv6 \"%s\"", r->r_ip6);
	if (r->r_pin[0] != '\0')
		fprintf(f, " pin \"%s\"", r->r_pin);
}

static void
print_derp(FILE *f, const struct coord_conf *c)
{
	const struct conf_derp	*next, *r;

	if (c->c_derpmap[0] != '\0')
		lex_print_line(f, "derp map file", c->c_derpmap);
	if (c->c_clients[0] != '\0')
		lex_print_line(f, "derp clients key file", c->c_clients);
	TAILQ_FOREACH(r, &c->c_derps, r_entry) {
		if (!r->r_more) {
			fprintf(f, "derp region %u ", r->r_id);
			lex_print(f, r->r_name);
			fprintf(f, " {");
		}
		print_derp_node(f, r);
		next = TAILQ_NEXT(r, r_entry);
		fprintf(f, next != NULL && next->r_more ? "" : " }\n");
	}
}

static void
print_policy(FILE *f, const struct coord_conf *c)
{
	switch (c->c_policy) {
	case POLICY_FILE:
		lex_print_line(f, "policy file", c->c_policy_file);
		break;
	case POLICY_STORE:
		fprintf(f, "policy store\n");
		break;
	case POLICY_ALLOW:
		fprintf(f, "policy allow all\n");
		break;
	default:
		fprintf(f, "# no policy: nobody may talk\n");
		break;
	}
}

void
conf_print(const struct coord_conf *c, FILE *f)
{
	size_t	 i;

	lex_print_line(f, "url", c->c_url);
	for (i = 0; i < c->c_listen.ls_n; i++)
		print_listen(f, c, i);
	lex_print_line(f, "state", c->c_state);
	lex_print_line(f, "store sqlite", c->c_store);
	print_dns(f, c);
	print_addresses(f, c);
	print_policy(f, c);
	fprintf(f, "approve nodes %s\n", c->c_approve_manually ? "manually" :
	    "automatically");
	if (c->c_key_expiry == 0)
		fprintf(f, "key expiry never\n");
	else
		fprintf(f, "key expiry %lld hours\n",
		    (long long)(c->c_key_expiry / 3600 / 1000000000));
	if (c->c_max_conns != MAX_CONNS)
		fprintf(f, "limit connections %u\n", c->c_max_conns);
	print_derp(f, c);
	fprintf(f, "socket ");
	lex_print(f, c->c_socket);
	lex_print_line(f, " group", c->c_group);
}
