/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * shoalctl status, ip, whois, version, debug: what only asks.
 */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "proc.h"
#include "shoalctl.h"

const char	*socket_path = CTL_SOCKET;

static void	 text_cb(struct imsg *, void *);
static int	 ip_wanted(const struct args *, const struct msg_ip *);
static const struct peer
		*ip_peer(const struct args *, struct status *);
static int	 ip_print(const struct args *, const struct msg_ctl_node *);
static void	 version_cb(struct imsg *, void *);

int
cmd_status(const struct args *a)
{
	struct status	 st;
	int		 r;

	conn_open(socket_path, 0);
	if ((r = status_get(&st)) == 0)
		r = (a->a_json ? &output_json : &output_text)->o_status(&st,
		    a);
	status_free(&st);
	return r;
}

static int
ip_wanted(const struct args *a, const struct msg_ip *ip)
{
	if (!a->a_v4 && !a->a_v6)
		return 1;
	return ip->af == AF_WIRE_INET ? a->a_v4 : a->a_v6;
}

static int
ip_print(const struct args *a, const struct msg_ctl_node *n)
{
	char		 text[ADDR_LEN];
	uint32_t	 i;
	int		 found = 0;

	for (i = 0; i < n->naddrs; i++) {
		if (!ip_wanted(a, &n->addr[i]))
			continue;
		(void)ip_text(&n->addr[i], text, sizeof(text));
		if (a->a_assert != NULL) {
			if (strcmp(text, a->a_assert) == 0)
				return 0;
			continue;
		}
		printf("%s\n", text);
		found = 1;
		if (a->a_first)
			break;
	}
	if (a->a_assert != NULL) {
		warnx("assertion failed: address %s is not of this node",
		    a->a_assert);
		return 1;
	}
	if (!found)
		warnx("no tailnet address%s", a->a_v4 || a->a_v6 ?
		    " of this family" : " yet");
	return found ? 0 : 1;
}

/* The node asked for: a peer by address or name, or this one. */
static const struct peer *
ip_peer(const struct args *a, struct status *st)
{
	const struct peer	*p;
	int			 r;

	r = a->a_nword > 0 ? whois_get(a->a_word[0], st) : status_get(st);
	if (r != 0)
		return NULL;
	p = a->a_nword > 0 ? st->st_peers : status_self(st);
	if (p == NULL)
		warnx("no tailnet address yet: state is %s",
		    state_name(st->st_state.c.state));
	return p;
}

int
cmd_ip(const struct args *a)
{
	const struct peer	*p;
	struct status		 st;
	int			 r;

	if (a->a_v4 && a->a_v6) {
		warnx("ip: -4 and -6 exclude each other");
		return 2;
	}
	conn_open(socket_path, 0);
	p = ip_peer(a, &st);
	r = p == NULL ? 1 : ip_print(a, &p->p_node);
	status_free(&st);
	return r;
}

int
cmd_whois(const struct args *a)
{
	struct status	 st;
	char		 what[MSG_NAME_LEN];
	char		*colon;
	int		 r;

	if (strlcpy(what, a->a_word[0], sizeof(what)) >= sizeof(what)) {
		warnx("whois: name is too long");
		return 2;
	}
	/* "1.2.3.4:80", "[fd7a::1]:80": the port says nothing more. */
	if (what[0] == '[') {
		memmove(what, what + 1, strlen(what));
		what[strcspn(what, "]")] = '\0';
	} else if ((colon = strchr(what, ':')) != NULL &&
	    strchr(colon + 1, ':') == NULL &&
	    strncmp(what, "nodekey:", 8) != 0)
		*colon = '\0';
	conn_open(socket_path, 0);
	if ((r = whois_get(what, &st)) == 0)
		r = (a->a_json ? &output_json : &output_text)->o_whois(&st);
	status_free(&st);
	return r;
}

static void
version_cb(struct imsg *imsg, void *arg)
{
	struct msg_ctl_state	*m = arg;

	if (imsg_get_type(imsg) != IMSG_CTL_STATE)
		return;
	conn_data(imsg, m, sizeof(*m));
	clean_text(m->version, sizeof(m->version));
}

int
cmd_version(const struct args *a)
{
	struct msg_ctl_state	 m;
	const char		*daemon = NULL;
	int			 r;

	if (a->a_daemon) {
		conn_open(socket_path, 0);
		memset(&m, 0, sizeof(m));
		if ((r = conn_ask(IMSG_CTL_STATE, NULL, 0, version_cb,
		    &m)) != 0)
			return r;
		daemon = m.version;
	}
	return (a->a_json ? &output_json : &output_text)->o_version(
	    SHOAL_VERSION, daemon);
}

static void
text_cb(struct imsg *imsg, void *arg)
{
	char	 line[MSG_TEXT_LEN];

	if (imsg_get_type(imsg) != IMSG_CTL_TEXT ||
	    msg_get_str(imsg, line, sizeof(line)) == -1)
		return;
	clean_text(line, sizeof(line));
	printf("%s\n", line);
}

/* "peer NAME": netd knows peers by number. */
static int
debug_peer(const char *name)
{
	struct msg_str64	 m;
	struct status		 st;
	int			 r;

	conn_open(socket_path, 0);
	memset(&m, 0, sizeof(m));
	if ((r = whois_get(name, &st)) == 0 && st.st_npeers > 0)
		(void)snprintf(m.s, sizeof(m.s), "netd peer %llu",
		    (unsigned long long)st.st_peers[0].p_node.id);
	status_free(&st);
	return r != 0 ? r :
	    conn_ask(IMSG_CTL_DEBUG, &m, sizeof(m), text_cb, NULL);
}

int
cmd_debug(const struct args *a)
{
	struct msg_str64	 m;
	size_t			 i, n = 0;

	if (a->a_nword == 2 && strcmp(a->a_word[0], "peer") == 0)
		return debug_peer(a->a_word[1]);
	memset(&m, 0, sizeof(m));
	for (i = 0; i < a->a_nword; i++) {
		if (i > 0)
			n = strlcat(m.s, " ", sizeof(m.s));
		if (n >= sizeof(m.s) || strlcat(m.s, a->a_word[i],
		    sizeof(m.s)) >= sizeof(m.s)) {
			warnx("debug: topic is too long");
			return 2;
		}
	}
	conn_open(socket_path, 0);
	return conn_ask(IMSG_CTL_DEBUG, &m, sizeof(m), text_cb, NULL);
}
