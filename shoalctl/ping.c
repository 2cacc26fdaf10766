/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * shoalctl ping: does a peer answer, and by which path.
 */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "shoalctl.h"

#define PING_TIMEOUT_MS	5000
#define PING_PAUSE_S	1

enum outcome {
	PING_NONE,		/* no answer */
	PING_RELAYED,		/* an answer, by way of a relay */
	PING_DIRECT,
	PING_STOP		/* there is no use in going on */
};

static int	 find_target(const char *, struct msg_ip *, char *, size_t);
static void	 show_pong(const struct msg_ctl_pong *,
		    const struct msg_ip *, const char *);
static enum outcome
		 ping_once(const struct msg_ctl_ping *, const char *);

/* The first address of the peer, or the one that was typed. */
static int
find_target(const char *word, struct msg_ip *ip, char *name, size_t len)
{
	struct msg_ctl_node	*n;
	struct status		 st;
	char			 text[ADDR_LEN];
	uint32_t		 i;
	int			 r;

	if ((r = whois_get(word, &st)) != 0)
		goto done;
	if (st.st_npeers == 0 || st.st_peers[0].p_node.naddrs == 0) {
		warnx("%s: has no address", word);
		r = 1;
		goto done;
	}
	n = &st.st_peers[0].p_node;
	(void)short_name(n, name, len);
	if (n->flags & NODE_SELF) {
		printf("%s is this node\n", word);
		r = -1;
		goto done;
	}
	*ip = n->addr[0];
	for (i = 0; i < n->naddrs; i++)
		if (strcmp(ip_text(&n->addr[i], text, sizeof(text)),
		    word) == 0)
			*ip = n->addr[i];
done:
	status_free(&st);
	return r;
}

static void
show_pong(const struct msg_ctl_pong *m, const struct msg_ip *ip,
    const char *name)
{
	char	 addr[ADDR_LEN], via[ADDR_LEN + 32], relay[ADDR_LEN];

	(void)endpoint_text(&m->ep, addr, sizeof(addr));
	if (m->derp != 0)
		(void)snprintf(via, sizeof(via), "DERP(%s)", relay_text(
		    m->relay, m->derp, relay, sizeof(relay)));
	else if (m->vni != 0)
		(void)snprintf(via, sizeof(via), "peer-relay(%s:vni:%u)",
		    addr, m->vni);
	else
		(void)strlcpy(via, addr[0] != '\0' ? addr : "tunnel",
		    sizeof(via));
	printf("pong from %s (%s) via %s in ", name, ip_text(ip, addr,
	    sizeof(addr)), via);
	if (m->latency < 10000000)
		printf("%.1fms\n", (double)m->latency / 1e6);
	else
		printf("%lldms\n", (long long)(m->latency / 1000000));
	(void)fflush(stdout);
}

static void
pong_cb(struct imsg *imsg, void *arg)
{
	if (imsg_get_type(imsg) == IMSG_CTL_PONG)
		conn_data(imsg, arg, sizeof(struct msg_ctl_pong));
}

static enum outcome
ping_once(const struct msg_ctl_ping *p, const char *name)
{
	struct msg_ctl_pong	 m;
	char			 addr[ADDR_LEN];

	memset(&m, 0, sizeof(m));
	if (conn_ask(IMSG_CTL_PING, p, sizeof(*p), pong_cb, &m) != 0)
		return PING_STOP;
	if (m.error == MSG_E_TIMEOUT) {
		printf("ping %s timed out\n", ip_text(&p->ip, addr,
		    sizeof(addr)));
		(void)fflush(stdout);
		return PING_NONE;
	}
	if (m.error != MSG_OK) {
		warnx("ping %s: %s", ip_text(&p->ip, addr, sizeof(addr)),
		    m.error == MSG_E_REFUSED ? "a plain WireGuard peer: try "
		    "--icmp" : msg_strerror(m.error));
		return PING_STOP;
	}
	show_pong(&m, &p->ip, name);
	return m.ep.af != 0 && m.vni == 0 ? PING_DIRECT : PING_RELAYED;
}

int
cmd_ping(const struct args *a)
{
	struct msg_ctl_ping	 p;
	enum outcome		 o;
	char			 name[MSG_NAME_LEN];
	int64_t			 i;
	int			 any = 0, r;

	if (a->a_icmp && a->a_tsmp) {
		warnx("ping: --icmp and --tsmp exclude each other");
		return 2;
	}
	memset(&p, 0, sizeof(p));
	p.type = a->a_icmp ? PING_ICMP : a->a_tsmp ? PING_TSMP : PING_DISCO;
	p.size = (uint32_t)a->a_size;
	p.timeout_ms = (uint32_t)(a->a_timeout_ms != 0 ? a->a_timeout_ms :
	    PING_TIMEOUT_MS);
	conn_open(socket_path, 0);
	if ((r = find_target(a->a_word[0], &p.ip, name, sizeof(name))) != 0)
		return r == -1 ? 0 : r;
	/* 0: until interrupted. */
	for (i = 0; a->a_count == 0 || i < a->a_count; i++) {
		if (i > 0)
			(void)sleep(PING_PAUSE_S);
		if ((o = ping_once(&p, name)) == PING_STOP)
			return 1;
		if (o == PING_NONE)
			continue;
		any = 1;
		if (p.type != PING_DISCO ||
		    (o == PING_DIRECT && a->a_until_direct))
			return 0;
	}
	if (!any) {
		warnx("no reply");
		return 1;
	}
	if (!a->a_until_direct)
		return 0;
	warnx("direct connection not established");
	return 1;
}
