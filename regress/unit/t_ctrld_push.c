/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ctrld's differences: what netd, dnsd and the parent know after deltas is
 * what a full transfer would have told them, and a delta costs what it names.
 */
/* link: stub_ctrld.c */
/* link: ../../ctrld/text.c */
/* link: ../../ctrld/push.c ../../ctrld/pushderp.c */
/* link: ../../ctrld/pushfilter.c */
/* link: ../../ctrld/names.c ../../ctrld/ifconf.c */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../ctrld/ctrld.h"
#include "proc.h"
#include "stub_ctrld.h"

#define MAX_ROWS	4096

/* What the receivers hold, as lines of text; one row an item. */
static struct {
	char	*r_key;
	char	*r_text;
} rows[MAX_ROWS];
static size_t		 nrows, nmsgs;
static struct msg_u32	 attrs;		/* as the parent heard last */
static char		 peer[64];	/* key of the row being built */

int
node_expired(const struct nm_node *n)
{
	return n->n_expired;
}

static size_t
row_find(const char *key)
{
	size_t	 i;

	for (i = 0; i < nrows; i++)
		if (strcmp(rows[i].r_key, key) == 0)
			break;
	return i;
}

static void
row_del(const char *key)
{
	size_t	 i;

	if ((i = row_find(key)) == nrows)
		return;
	free(rows[i].r_key);
	free(rows[i].r_text);
	rows[i] = rows[--nrows];
}

static void
rows_clear(const char *prefix)
{
	size_t	 i;

	for (i = nrows; i-- > 0;)
		if (strncmp(rows[i].r_key, prefix, strlen(prefix)) == 0)
			row_del(rows[i].r_key);
}

static void
row_set(const char *key, const char *text)
{
	row_del(key);
	if (nrows == MAX_ROWS)
		errx(1, "too many rows");
	if ((rows[nrows].r_key = strdup(key)) == NULL ||
	    (rows[nrows++].r_text = strdup(text)) == NULL)
		err(1, NULL);
}

static void
row_add(const char *key, const uint8_t *p, size_t len)
{
	char	*text;
	size_t	 i, n;

	if ((i = row_find(key)) == nrows)
		errx(1, "part of nothing: %s", key);
	n = strlen(rows[i].r_text);
	if ((text = realloc(rows[i].r_text, n + 2 * len + 2)) == NULL)
		err(1, NULL);
	text[n++] = ' ';
	while (len-- > 0) {
		(void)snprintf(text + n, 3, "%02x", *p++);
		n += 2;
	}
	rows[i].r_text = text;
}

static char *
hex(const void *data, size_t len)
{
	static char	 buf[4096];
	const uint8_t	*p = data;
	size_t		 i;

	for (i = 0; i < len; i++)
		(void)snprintf(buf + 2 * i, 3, "%02x", p[i]);
	return buf;
}

static void
take_netd(enum msg_type type, const uint8_t *data, size_t len)
{
	struct msg_nm_begin	 b;
	uint64_t		 id;
	char			 key[64];

	id = 0;
	if (len >= sizeof(id))
		memcpy(&id, data, sizeof(id));
	(void)snprintf(key, sizeof(key), "peer %llu", (unsigned long long)id);
	switch (type) {
	case IMSG_NM_BEGIN:
		memcpy(&b, data, sizeof(b));
		if (b.full) {
			rows_clear("peer ");
			rows_clear("self");
			rows_clear("rule ");
		}
		break;
	case IMSG_NM_SELF:
		(void)strlcpy(peer, "self", sizeof(peer));
		row_set(peer, hex(data, len));
		break;
	case IMSG_NM_PEER:
		(void)strlcpy(peer, key, sizeof(peer));
		row_set(peer, hex(data, len));
		break;
	case IMSG_NM_PEER_DEL:
		if (row_find(key) == nrows)
			errx(1, "%s was never told of, and is removed", key);
		row_del(key);
		break;
	case IMSG_NM_FILTER_BEGIN:
		rows_clear("rule ");
		break;
	case IMSG_NM_FILTER_RULE:
		(void)snprintf(peer, sizeof(peer), "rule %llu",
		    (unsigned long long)id);
		row_set(peer, hex(data, len));
		break;
	case IMSG_NM_COMMIT:
		break;
	case IMSG_NM_DERP_BEGIN:
		(void)strlcpy(peer, "derp", sizeof(peer));
		row_set(peer, hex(data, len));
		break;
	default:		/* lists and capabilities of what came last */
		row_add(peer, data, len);
		break;
	}
}

static void
take_dnsd(enum msg_type type, const uint8_t *data, size_t len)
{
	struct msg_nm_begin	 b;
	struct msg_dns_host	 h;
	char			 key[300];

	switch (type) {
	case IMSG_DNS_BEGIN:
		memcpy(&b, data, sizeof(b));
		if (b.full)
			rows_clear("dns ");
		break;
	case IMSG_DNS_HOST:
		memcpy(&h, data, sizeof(h));
		(void)snprintf(key, sizeof(key), "dns host %s", h.name);
		if (h.n == 0)
			row_del(key);
		else
			row_set(key, hex(h.ip, h.n * sizeof(h.ip[0])));
		break;
	case IMSG_DNS_COMMIT:
		break;
	default:
		(void)snprintf(key, sizeof(key), "dns %s %s", msg_name(type),
		    (const char *)data);
		row_set(key, hex(data, len));
		break;
	}
}

static void
take_parent(enum msg_type type, const uint8_t *data, size_t len)
{
	char	 key[4200];

	if (type == IMSG_SELF_ATTRS)
		memcpy(&attrs, data, len);
	else if (type == IMSG_DERP_PORTS)
		row_set("ports", hex(data, len));
	else if (type == IMSG_IFCONF_BEGIN)
		rows_clear("if ");
	else if (type != IMSG_IFCONF_COMMIT) {
		(void)snprintf(key, sizeof(key), "if %s %s", msg_name(type),
		    hex(data, len));
		row_set(key, "");
	}
}

int
chan_compose(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const void *data, size_t len)
{
	nmsgs++;
	if (c == ctrld_netd())
		take_netd(type, data, len);
	else if (c == ctrld_dnsd())
		take_dnsd(type, data, len);
	else
		take_parent(type, data, len);
	return 0;
}

int
chan_compose2(struct chan *c, enum msg_type type, uint32_t id, int fd,
    const void *h, size_t hlen, const void *e, size_t elen)
{
	uint8_t	*buf;

	/* As a part of its item; the count in the header is no content. */
	if ((buf = malloc(hlen + elen)) == NULL)
		err(1, NULL);
	memcpy(buf, h, hlen);
	memcpy(buf + hlen, e, elen);
	(void)chan_compose(c, type, id, fd, buf, hlen + elen);
	free(buf);
	return 0;
}

static void
push_full(struct netmap *nm)
{
	push_netd_full(nm);
	names_full(nm);
	ifconf_push(nm, 1);
}

static int
row_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All rows in one text; the caller frees. */
static char *
rows_dump(void)
{
	static char	*lines[MAX_ROWS];
	FILE		*fp;
	char		*out;
	size_t		 i, len;

	for (i = 0; i < nrows; i++)
		if (asprintf(&lines[i], "%s: %s\n", rows[i].r_key,
		    rows[i].r_text) == -1)
			err(1, NULL);
	qsort(lines, nrows, sizeof(lines[0]), row_cmp);
	if ((fp = open_memstream(&out, &len)) == NULL)
		err(1, NULL);
	for (i = 0; i < nrows; i++) {
		fputs(lines[i], fp);
		free(lines[i]);
	}
	fclose(fp);
	return out;
}

/* max: messages that the delta may cost, 0: any number. */
static void
step(struct netmap *nm, const char *text, size_t max)
{
	struct ju_time		 now = { 1790000000, 0, 1 };
	struct nm_delta		 d;
	struct nm_effects	 fx;
	char			*bydelta, *byfull;
	size_t			 cost;

	if (netmap_apply(nm, text, strlen(text), &now, &d, &fx) == -1)
		errx(1, "%s: %s", fx.ms_error, text);
	nmsgs = 0;
	push_netd_delta(nm, &d);
	names_delta(nm, &d);
	ifconf_delta(nm, &d);
	cost = nmsgs;
	bydelta = rows_dump();
	rows_clear("");
	push_full(nm);
	byfull = rows_dump();
	if (strcmp(bydelta, byfull) != 0)
		errx(1, "after %s\nby delta:\n%s\nby full:\n%s", text,
		    bydelta, byfull);
	if (max > 0 && cost > max)
		errx(1, "%zu messages for %s", cost, text);
	free(bydelta);
	free(byfull);
	nm_delta_free(&d);
	nm_effects_free(&fx);
}

#define D(c)	"discokey:000000000000000000000000000000000000000000000000" \
		"00000000000000" c
#define K(c)	"nodekey:0000000000000000000000000000000000000000000000000" \
		"0000000000000" c
#define PEER(id, name, key, ip, more) \
	"{\"ID\":" id ",\"Name\":\"" name ".t.example.\",\"Key\":\"" K(key) \
	"\",\"DiscoKey\":\"" D(key) "\",\"Addresses\":[\"" ip "/32\"]" more "}"

static void
many(struct netmap *nm)
{
	FILE	*fp;
	char	*text;
	size_t	 len;
	int	 i;

	if ((fp = open_memstream(&text, &len)) == NULL)
		err(1, NULL);
	fprintf(fp, "{\"PeersChanged\":[");
	for (i = 0; i < 1000; i++)
		fprintf(fp, "%s{\"ID\":%d,\"Name\":\"n%d.t.example.\","
		    "\"Key\":\"nodekey:%064x\",\"DiscoKey\":\"discokey:%064x"
		    "\",\"Addresses\":[\"100.64.%d.%d/32\"]}",
		    i == 0 ? "" : ",", i + 100, i, i + 1000, i + 1000,
		    i / 250 + 10, i % 250);
	fprintf(fp, "]}");
	fclose(fp);
	step(nm, text, 0);
	free(text);
}

static size_t
routes(void)
{
	size_t	 i, n = 0;

	for (i = 0; i < nrows; i++)
		if (strncmp(rows[i].r_key, "if IFCONF_ROUTE", 15) == 0)
			n++;
	return n;
}

#define SELF(caps) \
	"{\"Node\":{\"ID\":1,\"Name\":\"self.t.example.\",\"Key\":\"" \
	K("ff") "\",\"Addresses\":[\"100.64.0.1/32\"," \
	"\"fd7a:115c:a1e0::1/128\"],\"CapMap\":{" caps "}}}"

/* What the server wants of the node: each has its bit, others have none. */
static void
attributes(struct netmap *nm)
{
	static const struct {
		const char	*name;
		uint32_t	 flags;
	}		 tests[] = {
		{ "silent-disco", SELF_SILENT_DISCO },
		{ "randomize-client-port", SELF_RANDOM_PORT },
		{ "debug-disable-upnp", SELF_NO_UPNP },
		{ "only-tcp-443", SELF_ONLY_443 | SELF_NO_CAPTIVE |
		    SELF_NO_RELAY_CLIENT | SELF_NO_RELAY_SERVER },
		{ "debug-always-stun", SELF_ALWAYS_STUN },
		{ "disable-captive-portal-detection", SELF_NO_CAPTIVE },
		{ "disable-udp-gso", SELF_NO_UDP_GSO },
		{ "disable-udp-gro", SELF_NO_UDP_GRO },
		{ "disable-tun-udp-gro", SELF_NO_TUN_UDP_GRO },
		{ "disable-tun-tcp-gro", SELF_NO_TUN_TCP_GRO },
		{ "nobody-knows-this-one", 0 }
	};
	char		 text[1024];
	size_t		 i;

	for (i = 0; i < nitems(tests); i++) {
		(void)snprintf(text, sizeof(text), SELF("\"%s\":null"),
		    tests[i].name);
		step(nm, text, 0);
		if (attrs.v != tests[i].flags)
			errx(1, "%s: attributes %x", tests[i].name, attrs.v);
	}
	step(nm, SELF("\"one-cgnat?v=true\":null"), 0);
	if (routes() != 2)
		errx(1, "%zu routes for the ranges", routes());
	step(nm, SELF("\"one-cgnat?v=false\":null"), 0);
	if (routes() != nm->nm_npeers)
		errx(1, "%zu routes of single peers", routes());
	step(nm, "{\"PeersRemoved\":[160]}", 0);
	step(nm, "{\"PeersChanged\":[" PEER("6", "f", "06", "100.64.0.6",
	    ",\"AllowedIPs\":[\"100.64.0.6/32\"]") "]}", 0);
	step(nm, SELF(""), 0);
	if (routes() != 2 || attrs.v != 0)
		errx(1, "attributes are not taken back");
}

int
main(void)
{
	struct netmap	*nm;

	stub_conf.c_msg.accept_dns = 1;
	stub_conf.c_msg.accept_routes = 1;
	nm = netmap_new();
	push_full(NULL);
	step(nm, "{\"Node\":{\"ID\":1,\"Name\":\"self.t.example.\",\"Key\":\""
	    K("ff") "\",\"Addresses\":[\"100.64.0.1/32\","
	    "\"fd7a:115c:a1e0::1/128\"],\"AllowedIPs\":[\"100.64.0.1/32\","
	    "\"10.1.0.0/16\"]},\"DNSConfig\":{\"Proxied\":true},\"Peers\":["
	    PEER("2", "b", "02", "100.64.0.2", "") ","
	    PEER("3", "c", "03", "100.64.0.3",
	    ",\"CapMap\":{\"x-cap\":null},\"AllowedIPs\":[\"100.64.0.3/32\","
	    "\"10.3.0.0/16\",\"0.0.0.0/0\"]")
	    "],\"PacketFilters\":{\"base\":[{\"SrcIPs\":[\"*\"],\"DstPorts\":"
	    "[{\"IP\":\"*\",\"Ports\":{\"First\":0,\"Last\":65535}}]}]}}", 0);
	many(nm);
	/* Each of these names one peer among a thousand. */
	step(nm, "{\"OnlineChange\":{\"2\":true}}", 8);
	step(nm, "{\"PeersChangedPatch\":[{\"NodeID\":3,\"Endpoints\":"
	    "[\"192.0.2.3:3\"],\"DERPRegion\":4}]}", 8);
	step(nm, "{\"PeersChangedPatch\":[{\"NodeID\":2,\"Key\":\"" K("22")
	    "\"}]}", 8);
	step(nm, "{\"PeerSeenChange\":{\"2\":true}}", 1);
	step(nm, "{\"PeersChanged\":[" PEER("2", "renamed", "22",
	    "100.64.0.22", "") "]}", 16);
	step(nm, "{\"PeersRemoved\":[2,150]}", 16);
	/* No disco key: no peer for netd, but still a name. */
	step(nm, "{\"PeersChanged\":[{\"ID\":4,\"Name\":\"d.t.example.\","
	    "\"Key\":\"" K("04") "\",\"Addresses\":[\"100.64.0.4/32\"]}]}",
	    16);
	step(nm, "{\"PeersChangedPatch\":[{\"NodeID\":4,\"DiscoKey\":\""
	    D("04") "\"}]}", 8);
	step(nm, "{\"PeersRemoved\":[4]}", 8);
	/* Routes outside the tailnet come and go with their peer. */
	step(nm, "{\"PeersRemoved\":[3]}", 16);
	step(nm, "{\"PeersChanged\":[" PEER("3", "c", "03", "100.64.0.3",
	    ",\"CapMap\":{\"x-cap\":null},\"AllowedIPs\":[\"100.64.0.3/32\","
	    "\"10.4.0.0/16\"]") "]}", 16);
	step(nm, "{\"PeersRemoved\":[3]}", 16);
	attributes(nm);
	step(nm, "{\"PeersChanged\":[" PEER("3", "c", "03", "100.64.0.3",
	    ",\"CapMap\":{\"x-cap\":null},\"AllowedIPs\":[\"100.64.0.3/32\","
	    "\"10.4.0.0/16\"]") "]}", 16);
	/* The filter: new rules, a capability as source, none at all. */
	step(nm, "{\"PacketFilters\":{\"z\":[{\"SrcIPs\":[\"10.0.0.1\"],"
	    "\"IPProto\":[6],\"DstPorts\":[{\"IP\":\"100.64.0.1\",\"Ports\":"
	    "{\"First\":22,\"Last\":22}}]}]}}", 16);
	step(nm, "{\"PacketFilters\":{\"z\":[{\"SrcIPs\":[\"cap:x-cap\"],"
	    "\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{\"First\":1,\"Last\":2}}"
	    "]}]}}", 0);
	step(nm, "{\"PacketFilters\":{\"*\":null}}", 0);
	step(nm, "{\"DNSConfig\":{\"Resolvers\":[{\"Addr\":\"9.9.9.9\"}],"
	    "\"Routes\":{\"corp.example\":[{\"Addr\":\"10.0.0.53:5353\"}],"
	    "\"t2.example\":[]},\"ExtraRecords\":[{\"Name\":\"p.t.example.\","
	    "\"Value\":\"10.1.2.3\"}]}}", 0);
	/* An unsigned peer that a rule lets in voids the filter. */
	step(nm, "{\"PeersChanged\":[" PEER("5", "e", "05", "100.64.0.5",
	    ",\"UnsignedPeerAPIOnly\":true") "]}", 16);
	if (freopen("/dev/null", "w", stderr) == NULL)	/* it says so */
		err(1, "/dev/null");
	step(nm, "{\"PacketFilter\":[{\"SrcIPs\":[\"*\"],\"DstPorts\":[{"
	    "\"IP\":\"*\",\"Ports\":{\"First\":0,\"Last\":1}}]}]}", 16);
	if (row_find("rule 0") != nrows)
		return 1;
	netmap_free(nm);
	rows_clear("");
	return 0;
}
