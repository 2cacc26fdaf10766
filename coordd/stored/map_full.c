/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The first message of a map stream: all that a node needs.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "log.h"
#include "srvreq.h"
#include "stored.h"

char *
map_filter(struct brain *b, struct node *n, uint8_t hash[16])
{
	json_t	*rules = NULL;
	char	*text;

	policy_refresh(b);
	if (b->b_pstate != NULL && n->n_rec.r_approved) {
		rules = policy_node_filter(b->b_pstate, n->n_slot);
		if (rules == NULL)
			fatal(NULL);
	}
	if (rules == NULL)
		text = xstrdup("[]");
	else if ((text = json_dumps(rules, JSON_COMPACT)) == NULL)
		fatal(NULL);
	json_decref(rules);
	crypto_generichash(hash, 16, (const uint8_t *)text, strlen(text),
	    NULL, 0);
	return text;
}

static void
dns_resolvers(struct buf *t, const struct sconf *c, uint32_t kind,
    const char *name)
{
	const struct split_dns	*d;
	size_t			 i;
	int			 n = 0;

	buf_str(t, "[");
	for (i = 0; i < c->c_ndns; i++) {
		d = &c->c_dns[i];
		if (d->sd_kind != kind || strcmp(d->sd_name, name) != 0)
			continue;
		buf_str(t, n++ > 0 ? ",{\"Addr\":" : "{\"Addr\":");
		buf_json(t, d->sd_value);
		buf_str(t, "}");
	}
	buf_str(t, "]");
}

/* Each suffix once, with all of its resolvers. */
static void
dns_routes(struct buf *t, const struct sconf *c)
{
	size_t	 i, j;

	buf_str(t, ",\"Routes\":{");
	buf_json(t, c->c_domain);
	buf_str(t, ":[]");
	for (i = 0; i < c->c_ndns; i++) {
		if (c->c_dns[i].sd_kind != CONF_DNS_SPLIT)
			continue;
		for (j = 0; j < i; j++)
			if (c->c_dns[j].sd_kind == CONF_DNS_SPLIT &&
			    strcmp(c->c_dns[j].sd_name,
			    c->c_dns[i].sd_name) == 0)
				break;
		if (j < i)
			continue;
		buf_str(t, ",");
		buf_json(t, c->c_dns[i].sd_name);
		buf_str(t, ":");
		dns_resolvers(t, c, CONF_DNS_SPLIT, c->c_dns[i].sd_name);
	}
	buf_str(t, "}");
}

static void
dns_records(struct buf *t, const struct sconf *c)
{
	size_t	 i;
	int	 n = 0;

	for (i = 0; i < c->c_ndns; i++) {
		if (c->c_dns[i].sd_kind != CONF_DNS_RECORD)
			continue;
		buf_str(t, n++ == 0 ? ",\"ExtraRecords\":[" : ",");
		buf_str(t, "{\"Name\":");
		buf_json(t, c->c_dns[i].sd_name);
		buf_fmt(t, ",\"Type\":\"%s\",\"Value\":",
		    strchr(c->c_dns[i].sd_value, ':') == NULL ? "A" : "AAAA");
		buf_json(t, c->c_dns[i].sd_value);
		buf_str(t, "}");
	}
	if (n > 0)
		buf_str(t, "]");
}

/* Source: control.md 4.8; always whole, for it replaces all (8.2, 43). */
void
map_dns(struct brain *b, struct buf *t, const struct node *n)
{
	const struct sconf	*c = &b->b_conf;

	buf_str(t, "{\"Proxied\":true,\"Domains\":[");
	buf_json(t, c->c_domain);
	buf_str(t, "],\"Resolvers\":");
	dns_resolvers(t, c, CONF_DNS_SERVER, "");
	dns_routes(t, c);
	dns_records(t, c);
	if (c->c_dns_update)
		buf_fmt(t, ",\"CertDomains\":[\"%s.%s\"]", n->n_rec.r_label,
		    c->c_domain);
	buf_str(t, "}");
}

/*
 * Without a configured region the map is empty, not a made-up one: a home
 * region that nobody can reach would be worse than none. A stock client then
 * waits for its first WireGuard handshake before it calls itself running.
 */
void
map_derp(struct brain *b, struct buf *t, unsigned int version)
{
	if (version < SRVREQ_V_NOMEASURE && b->b_conf.c_derpmap_old != NULL)
		buf_str(t, b->b_conf.c_derpmap_old);
	else if (b->b_conf.c_derpmap != NULL)
		buf_str(t, b->b_conf.c_derpmap);
	else
		buf_str(t, "{\"Regions\":{},\"omitDefaultRegions\":true}");
}

static void
profile(struct brain *b, struct buf *t, uint64_t id, int *tagged)
{
	struct user	*u;

	u = user_find(b, id);
	if (u == NULL ? *tagged : u->u_mark == b->b_mark)
		return;
	if (t->b_text[t->b_len - 1] != '[')
		buf_str(t, ",");
	if (u == NULL) {
		*tagged = 1;
		buf_fmt(t, "{\"ID\":%llu,\"LoginName\":\"tagged-devices\","
		    "\"DisplayName\":\"Tagged Devices\"}", TAGGED_USER);
		return;
	}
	u->u_mark = b->b_mark;
	buf_fmt(t, "{\"ID\":%llu,\"LoginName\":",
	    (unsigned long long)u->u_id);
	buf_json(t, u->u_name);
	buf_str(t, ",\"DisplayName\":");
	buf_json(t, u->u_display);
	buf_str(t, "}");
}

void
map_profiles(struct brain *b, struct buf *t, const struct node *self,
    const uint64_t *row, size_t words)
{
	uint64_t	 w;
	size_t		 i, slot;
	int		 tagged = 0;

	b->b_mark++;
	buf_str(t, "[");
	if (self != NULL)
		profile(b, t, self->n_rec.r_user, &tagged);
	for (i = 0; i < words; i++)
		for (w = row[i]; w != 0; w &= w - 1) {
			slot = i * 64 + (size_t)__builtin_ctzll(w);
			profile(b, t, b->b_slots[slot]->n_rec.r_user,
			    &tagged);
		}
	buf_str(t, "]");
}

static void
full_peers(struct brain *b, struct buf *t, const struct node *self,
    unsigned int version, const uint64_t *row, size_t words)
{
	uint64_t	 w;
	size_t		 i, slot;
	int		 n = 0;

	for (i = 0; i < words; i++)
		for (w = row[i]; w != 0; w &= w - 1) {
			slot = i * 64 + (size_t)__builtin_ctzll(w);
			buf_str(t, n++ == 0 ? ",\"Peers\":[" : ",");
			map_node_peer(b, t, b->b_slots[slot], self, version);
		}
	if (n > 0)
		buf_str(t, "]");
}

void
map_add_filter(struct buf *t, unsigned int version, const char *rules)
{
	buf_str(t, version < SRVREQ_V_FILTERS ? ",\"PacketFilter\":" :
	    ",\"PacketFilters\":{\"base\":");
	buf_str(t, rules);
	if (version >= SRVREQ_V_FILTERS)
		buf_str(t, "}");
}

/* Source: control.md 4.14. */
void
map_full(struct brain *b, struct buf *t, struct node *n, unsigned int version,
    const uint64_t *row, size_t words, uint8_t hash[16])
{
	char	*filter;

	buf_str(t, "{\"ControlTime\":");
	buf_time(t, b->b_date);
	buf_str(t, ",\"Node\":");
	map_node_self(b, t, n, version);
	buf_str(t, ",\"DERPMap\":");
	map_derp(b, t, version);
	full_peers(b, t, n, version, row, words);
	buf_str(t, ",\"UserProfiles\":");
	map_profiles(b, t, n, row, words);
	buf_str(t, ",\"Domain\":");
	buf_json(t, b->b_conf.c_domain);
	buf_str(t, ",\"CollectServices\":false,\"DNSConfig\":");
	map_dns(b, t, n);
	filter = map_filter(b, n, hash);
	map_add_filter(t, version, filter);
	buf_str(t, ",\"SSHPolicy\":{\"rules\":null},"
	    "\"Debug\":{\"DisableLogTail\":true}}");
	free(filter);
}
