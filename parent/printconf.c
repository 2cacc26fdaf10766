/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Print the configuration in the form in which it is read.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "lex.h"
#include "shoald.h"

static void
print_tags(const struct shoal_conf *c, FILE *fp)
{
	size_t	 i;

	fprintf(fp, "tags { ");
	for (i = 0; i < c->c_ntags; i++) {
		lex_print(fp, c->c_tag[i]);
		putc(' ', fp);
	}
	fprintf(fp, "}\n");
}

/* What the node is called and how it logs in. */
static void
print_node(const struct shoal_conf *c, FILE *fp)
{
	char	 text[MSG_NAME_LEN + 8];

	lex_print_line(fp, "control", c->c_control.u_text);
	if (c->c_set & SET_PROXY) {
		(void)snprintf(text, sizeof(text), "http://%s%s",
		    c->c_proxy_auth[0] != '\0' ? "hidden@" : "",
		    c->c_proxy.u_text + strlen("http://"));
		lex_print_line(fp, "proxy", text);
	}
	if (c->c_authkey_file[0] != '\0')
		lex_print_line(fp, "auth key file", c->c_authkey_file);
	else if (c->c_set & SET_AUTHKEY)
		/* This output is pasted into mails; the key is not for them. */
		lex_print_line(fp, "auth key", "hidden");
	if (c->c_set & SET_HOSTNAME)
		lex_print_line(fp, "hostname", c->c_hostname);
	if (c->c_set & SET_TAGS)
		print_tags(c, fp);
	if (c->c_set & SET_EPHEMERAL)
		fprintf(fp, "ephemeral %s\n", c->c_ephemeral ? "yes" : "no");
}

static void
print_relay(const struct shoal_conf *c, FILE *fp)
{
	fprintf(fp, "relay server %s", c->c_relay ? "yes" : "no");
	if (c->c_relay && c->c_relay_port != 0)
		fprintf(fp, " port %u", c->c_relay_port);
	fprintf(fp, "\n");
}

/* What it does on the network. */
static void
print_net(const struct shoal_conf *c, FILE *fp)
{
	if (c->c_set & SET_ACCEPT_ROUTES)
		fprintf(fp, "accept routes no\n");
	if (c->c_set & SET_ACCEPT_DNS)
		fprintf(fp, "accept dns no\n");
	if (c->c_set & SET_SHIELDS)
		fprintf(fp, "shields up\n");
	if (c->c_set & SET_LISTEN)
		fprintf(fp, "listen on port %u\n", c->c_port);
	if (c->c_set & SET_PORTMAP)
		fprintf(fp, "port mapping %s\n", c->c_portmap ? "yes" :
		    "no");
	if (c->c_set & SET_HARDNAT)
		fprintf(fp, "hard nat probing %s\n", c->c_hardnat ? "yes" :
		    "no");
	if (c->c_set & SET_SENDER)
		fprintf(fp, "sender thread %s\n", c->c_sender ? "yes" : "no");
	if (c->c_set & SET_RELAY)
		print_relay(c, fp);
	if (c->c_set & SET_INTERFACE) {
		fprintf(fp, "interface ");
		lex_print(fp, c->c_ifname);
		fprintf(fp, " mtu %u\n", c->c_mtu);
	}
}

void
conf_print(const struct shoal_conf *c, FILE *fp)
{
	print_node(c, fp);
	print_net(c, fp);
	if (c->c_set & SET_STATE)
		lex_print_line(fp, "state", c->c_state);
	if (c->c_set & SET_SOCKET) {
		fprintf(fp, "socket ");
		lex_print(fp, c->c_socket);
		lex_print_line(fp, " group", c->c_group);
	}
	if (c->c_set & SET_OPERATOR)
		lex_print_line(fp, "operator", c->c_operator);
	if (c->c_set & SET_CA)
		lex_print_line(fp, "ca file", c->c_cafile);
	if (c->c_set & SET_SANDBOX)
		fprintf(fp, "sandbox landlock require abi %d\n",
		    c->c_landlock);
}
