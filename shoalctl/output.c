/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Answers as text for people.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shoalctl.h"

#define SECOND	1000000000LL

static const char
		*owner_text(const struct status *, const struct peer *,
		    char *, size_t);
static void	 ago_text(int64_t, char *, size_t);
static void	 peer_state(const struct peer *);
static void	 peer_print(const struct status *, const struct peer *);
static int	 show_state(const struct status *);
static void	 show_health(const struct status *);
static int	 text_status(const struct status *, const struct args *);
static void	 show_prefixes(const char *, const struct msg_prefix *,
		    uint32_t);
static int	 text_whois(const struct status *);
static int	 text_version(const char *, const char *);

const struct output	 output_text = {
	text_status, text_whois, text_version, text_netcheck
};

/* "alice@" of "alice@example.org"; tagged nodes belong to nobody. */
static const char *
owner_text(const struct status *st, const struct peer *p, char *buf,
    size_t len)
{
	const struct msg_ctl_user	*u;
	size_t				 n;

	if (p->p_node.tags[0] != '\0')
		return "tagged-devices";
	if ((u = status_user(st, p->p_node.user)) == NULL)
		return "-";
	(void)strlcpy(buf, u->login, len);
	n = strcspn(buf, "@");
	if (buf[n] == '@')
		buf[n + 1] = '\0';
	return buf;
}

/* ", last seen 3h ago" for a date in the past, else nothing. */
static void
ago_text(int64_t when, char *buf, size_t len)
{
	int64_t	 s;

	buf[0] = '\0';
	if (when == 0)
		return;
	s = (int64_t)time(NULL) - when / SECOND;
	if (s < 0)
		s = 0;
	if (s < 120)
		(void)snprintf(buf, len, ", last seen %llds ago",
		    (long long)s);
	else if (s < 7200)
		(void)snprintf(buf, len, ", last seen %lldm ago",
		    (long long)(s / 60));
	else if (s < 172800)
		(void)snprintf(buf, len, ", last seen %lldh ago",
		    (long long)(s / 3600));
	else
		(void)snprintf(buf, len, ", last seen %lldd ago",
		    (long long)(s / 86400));
}

/* A region's code, or what stands for it. */
const char *
relay_text(const char *code, uint16_t id, char *buf, size_t len)
{
	if (strlcpy(buf, code, len) >= len || *code == '\0')
		(void)snprintf(buf, len, "derp-%u", id);
	clean_text(buf, len);
	return buf;
}

static void
peer_state(const struct peer *p)
{
	const struct msg_ctl_peerstat	*s = &p->p_stat;
	char				 addr[ADDR_LEN + 8], ago[48];
	int				 online, traffic;

	online = p->p_node.flags & NODE_ONLINE;
	traffic = s->rx != 0 || s->tx != 0;
	ago_text(online ? 0 : p->p_node.last_seen, ago, sizeof(ago));
	(void)endpoint_text(&s->ep, addr, sizeof(addr));
	if (p->p_node.flags & NODE_EXPIRED)
		printf("expired");
	else if (s->active && addr[0] != '\0' && s->vni != 0)
		printf("active; peer-relay %s:vni:%u", addr, s->vni);
	else if (s->active && addr[0] != '\0')
		printf("active; direct %s", addr);
	else if (s->active && s->derp != 0)
		printf("active; relay \"%s\"", relay_text(s->relay, s->derp,
		    addr, sizeof(addr)));
	else if (s->active)
		printf("active");
	else if (p->p_node.flags & NODE_EXITNODE)
		printf("idle; offers exit node");
	else if (traffic)
		printf("idle");
	else if (online)
		printf("-");
	if (!online)
		printf("%soffline%s", !s->active && !traffic &&
		    !(p->p_node.flags & (NODE_EXPIRED | NODE_EXITNODE)) ? "" :
		    "; ", ago);
	if (traffic)
		printf(", tx %llu rx %llu", (unsigned long long)s->tx,
		    (unsigned long long)s->rx);
}

static void
peer_print(const struct status *st, const struct peer *p)
{
	char	 ip[ADDR_LEN] = "-", name[MSG_NAME_LEN], own[MSG_NAME_LEN];

	if (p->p_node.naddrs > 0)
		(void)ip_text(&p->p_node.addr[0], ip, sizeof(ip));
	printf("%-15s %-20s %-12s %-7s ", ip, short_name(&p->p_node, name,
	    sizeof(name)), owner_text(st, p, own, sizeof(own)),
	    p->p_node.os[0] != '\0' ? p->p_node.os : "-");
	if (p->p_node.flags & NODE_SELF)
		printf("-");
	else
		peer_state(p);
	printf("\n");
}

/* Why there is nothing to show; 1 if that is so. */
static int
show_state(const struct status *st)
{
	const struct msg_ctrl_state	*c = &st->st_state.c;

	switch (c->state) {
	case CTRL_STOPPED:
		printf("shoal is stopped.\n");
		return 1;
	case CTRL_NEEDSLOGIN:
		printf("Logged out.\n");
		if (c->url[0] != '\0')
			printf("Log in at: %s\n", c->url);
		return 1;
	case CTRL_NEEDSAPPROVAL:
		printf("This node waits for an administrator to approve "
		    "it.\n");
		return 1;
	case CTRL_RUNNING:
		return 0;
	case CTRL_STARTING:
		if (st->st_npeers > 0)
			return 0;
		/* FALLTHROUGH */
	default:
		printf("shoal is starting.\n");
		return 1;
	}
}

static void
show_health(const struct status *st)
{
	const struct msg_ctrl_state	*c = &st->st_state.c;
	const struct msg_ctl_health	*h;
	size_t				 i;

	if (c->error[0] == '\0' && c->online && st->st_nhealth == 0)
		return;
	printf("\n# Health check:\n");
	if (c->error[0] != '\0' || !c->online)
		printf("#     - %s\n", c->error[0] != '\0' ? c->error :
		    "not connected to the control server");
	for (i = 0; i < st->st_nhealth; i++) {
		h = &st->st_health[i];
		printf("#     - %s%s%s\n", h->title, h->title[0] != '\0' &&
		    h->text[0] != '\0' ? ": " : "", h->text);
		if (h->url[0] != '\0')
			printf("#       %s%s%s\n", h->label,
			    h->label[0] != '\0' ? ": " : "", h->url);
	}
}

static int
text_status(const struct status *st, const struct args *a)
{
	const struct peer	*p;
	size_t			 i;
	int			 r;

	if ((r = show_state(st)) == 0) {
		if (a->a_header)
			printf("%-15s %-20s %-12s %-7s %s\n", "IP", "NAME",
			    "OWNER", "OS", "STATE");
		for (i = 0; i < st->st_npeers; i++) {
			p = &st->st_peers[i];
			if (p->p_node.flags & NODE_SELF ? !a->a_self :
			    !a->a_peers || (a->a_active && !p->p_stat.active))
				continue;
			peer_print(st, p);
		}
	}
	if (st->st_state.c.state != CTRL_STOPPED)
		show_health(st);
	return r;
}

static void
show_prefixes(const char *title, const struct msg_prefix *p, uint32_t n)
{
	char		 text[ADDR_LEN + 8];
	uint32_t	 i;

	if (n == 0)
		return;
	printf("  %-15s[", title);
	for (i = 0; i < n; i++)
		printf("%s%s", i > 0 ? " " : "", prefix_text(&p[i], text,
		    sizeof(text)));
	printf("]\n");
}

static int
text_whois(const struct status *st)
{
	const struct msg_ctl_node	*n;
	const struct msg_ctl_user	*u;
	char				 ip[ADDR_LEN];
	uint32_t			 i;

	if (st->st_npeers == 0)
		return 1;
	n = &st->st_peers[0].p_node;
	printf("Machine:\n  Name:          %.*s\n  ID:            %s\n",
	    (int)strlen(n->name) - (n->name[0] != '\0' &&
	    n->name[strlen(n->name) - 1] == '.'), n->name, n->stable);
	printf("  Addresses:     [");
	for (i = 0; i < n->naddrs; i++)
		printf("%s%s", i > 0 ? " " : "", ip_text(&n->addr[i], ip,
		    sizeof(ip)));
	printf("]\n");
	show_prefixes("AllowedIPs:", n->allowed, n->nallowed);
	show_prefixes("PrimaryRoutes:", n->route, n->nroutes);
	if (n->tags[0] != '\0') {
		printf("  Tags:          %s\n", n->tags);
		return 0;
	}
	if ((u = status_user(st, n->user)) != NULL)
		printf("User:\n  Name:          %s\n  ID:            %llu\n",
		    u->login, (unsigned long long)u->id);
	return 0;
}

static int
text_version(const char *own, const char *daemon)
{
	if (daemon == NULL)
		printf("%s\n", own);
	else
		printf("Client: %s\nDaemon: %s\n", own, daemon);
	return 0;
}
