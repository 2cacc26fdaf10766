/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Vector test: map sessions of mapresponse/, step by step.
 */

#include <sys/types.h>

#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "mapframe.h"
#include "netmap.h"
#include "netmap_int.h"

/*
 * Not compared: vip_services, which is derived from a capability of self
 * that no part of the suite uses yet; its content is in self's CapMap.
 */

static const char	*label;
static int		 failed;

static void
fail(const char *what, json_t *want, json_t *got)
{
	char	*g, *w;

	w = want == NULL ? NULL : ju_dump(want);
	g = got == NULL ? NULL : ju_dump(got);
	warnx("%s: %s\n want %s\n got  %s", label, what,
	    w == NULL ? "(absent)" : w, g == NULL ? "(absent)" : g);
	free(w);
	free(g);
	failed = 1;
}

static int	 same(json_t *, json_t *);

/* Absent, null, false, 0, "" and empty lists are the same to Go readers. */
static int
nothing(json_t *j)
{
	return j == NULL || json_is_null(j) || json_is_false(j) ||
	    (json_is_number(j) && json_number_value(j) == 0) ||
	    (json_is_string(j) && json_string_length(j) == 0) ||
	    (json_is_array(j) && json_array_size(j) == 0) ||
	    (json_is_object(j) && json_object_size(j) == 0);
}

static int
same_str(json_t *a, json_t *b)
{
	struct ju_time	 x, y;

	if (strcmp(json_string_value(a), json_string_value(b)) == 0)
		return 1;
	return ju_time(a, &x) == 0 && ju_time(b, &y) == 0 &&
	    ju_time_cmp(&x, &y) == 0;
}

static int
same_obj(json_t *a, json_t *b)
{
	const char	*key;
	json_t		*v;

	json_object_foreach(a, key, v)
		if (!same(v, json_object_get(b, key)))
			return 0;
	json_object_foreach(b, key, v)
		if (json_object_get(a, key) == NULL && !nothing(v))
			return 0;
	return 1;
}

static int
same(json_t *a, json_t *b)
{
	size_t	 i;

	if (nothing(a) || nothing(b))
		return nothing(a) && nothing(b);
	if (json_is_object(a) && json_is_object(b))
		return same_obj(a, b);
	if (json_is_string(a) && json_is_string(b))
		return same_str(a, b);
	if (json_is_number(a) && json_is_number(b))
		return json_number_value(a) == json_number_value(b);
	if (!json_is_array(a) || !json_is_array(b))
		return json_equal(a, b);
	if (json_array_size(a) != json_array_size(b))
		return 0;
	for (i = 0; i < json_array_size(a); i++)
		if (!same(json_array_get(a, i), json_array_get(b, i)))
			return 0;
	return 1;
}

static void
check(const char *what, json_t *want, json_t *got)
{
	if (!same(want, got))
		fail(what, want, got);
}

/* A peer object also tells nothing from false in Online: compare exactly. */
static void
check_node(const char *what, json_t *want, json_t *got)
{
	json_t	*a, *b;

	check(what, want, got);
	a = json_object_get(want, "Online");
	b = json_object_get(got, "Online");
	if ((a == NULL) != (b == NULL))
		fail("Online known", want, got);
	a = json_object_get(want, "Hostinfo");
	b = json_object_get(got, "Hostinfo");
	if ((a == NULL) != (b == NULL))
		fail("Hostinfo known", want, got);
}

static void
check_peers(json_t *want, struct netmap *nm)
{
	struct nm_node	*n;
	json_t		*got;
	size_t		 i;

	if (json_array_size(want) != nm->nm_npeers) {
		fail("number of peers", want, NULL);
		return;
	}
	i = 0;
	RB_FOREACH(n, nm_tree, &nm->nm_peers) {
		got = nm_node_json(n);
		check_node("peer", json_array_get(want, i++), got);
		json_decref(got);
	}
}

/* "net" with host bits clear as a range. */
static void
want_range(json_t *j, struct filter_range *r)
{
	struct nm_rule	*rules;
	json_t		*rule;
	uint32_t	 n;
	uint8_t		 refused;

	rule = json_pack("[{s:[O]}]", "SrcIPs", j);
	if (nm_rules_parse(rule, &rules, &n, &refused) == -1 || n != 1 ||
	    rules[0].r_nsrcs != 1)
		errx(1, "%s: vector has no prefix where one belongs", label);
	*r = rules[0].r_srcs[0];
	nm_rules_free(rules, n);
	json_decref(rule);
}

static int
range_cmp(const void *a, const void *b)
{
	const struct filter_range	*x = a, *y = b;
	int				 c;

	if (x->fr_version != y->fr_version)
		return x->fr_version < y->fr_version ? -1 : 1;
	if ((c = memcmp(x->fr_lo, y->fr_lo, 16)) != 0)
		return c;
	return memcmp(x->fr_hi, y->fr_hi, 16);
}

/* Is hi + 1 == lo? */
static int
adjacent(const uint8_t *hi, const uint8_t *lo, int len)
{
	uint8_t	 next[16];
	int	 i;

	memcpy(next, hi, 16);
	for (i = len - 1; i >= 0; i--)
		if (++next[i] != 0)
			return memcmp(next, lo, len) == 0;
	return 0;
}

/* As a set of addresses: sorted, merged. Returns the count. */
static size_t
normal(struct filter_range *r, size_t n)
{
	size_t	 i, o;

	if (n == 0)
		return 0;
	qsort(r, n, sizeof(*r), range_cmp);
	for (i = 1, o = 0; i < n; i++) {
		if (r[i].fr_version == r[o].fr_version &&
		    (memcmp(r[i].fr_lo, r[o].fr_hi, 16) <= 0 ||
		    adjacent(r[o].fr_hi, r[i].fr_lo,
		    r[i].fr_version == 4 ? 4 : 16))) {
			if (memcmp(r[i].fr_hi, r[o].fr_hi, 16) > 0)
				memcpy(r[o].fr_hi, r[i].fr_hi, 16);
		} else
			r[++o] = r[i];
	}
	return o + 1;
}

static void
check_srcs(json_t *want, struct nm_rule *r)
{
	struct filter_range	*got, *w;
	json_t			*e;
	size_t			 i, n, ngot;

	n = json_array_size(want);
	w = calloc(n + 1, sizeof(*w));
	got = calloc(r->r_nsrcs + 1, sizeof(*got));
	if (w == NULL || got == NULL)
		err(1, NULL);
	json_array_foreach(want, i, e)
		want_range(e, &w[i]);
	if (r->r_nsrcs > 0)
		memcpy(got, r->r_srcs, r->r_nsrcs * sizeof(*got));
	n = normal(w, n);
	ngot = normal(got, r->r_nsrcs);
	if (n != ngot || memcmp(w, got, n * sizeof(*w)) != 0)
		fail("sources of a rule", want, NULL);
	free(w);
	free(got);
}

static void
check_dsts(json_t *want, struct nm_rule *r)
{
	struct filter_dst	 d;
	json_t			*e;
	size_t			 i;

	if (json_array_size(want) != r->r_ndsts) {
		fail("destinations of a rule", want, NULL);
		return;
	}
	json_array_foreach(want, i, e) {
		memset(&d, 0, sizeof(d));
		want_range(json_object_get(e, "net"), &d.fd_range);
		d.fd_first = json_integer_value(json_object_get(e, "first"));
		d.fd_last = json_integer_value(json_object_get(e, "last"));
		if (memcmp(&d, &r->r_dsts[i], sizeof(d)) != 0)
			fail("destination of a rule", e, NULL);
	}
}

static void
check_rule(json_t *want, struct nm_rule *r)
{
	json_t		*caps, *protos;
	uint32_t	 i;

	protos = json_array();
	for (i = 0; i < r->r_nprotos; i++)
		json_array_append_new(protos, json_integer(r->r_protos[i]));
	check("protocols", json_object_get(want, "protos"), protos);
	json_decref(protos);
	caps = json_array();
	for (i = 0; i < r->r_nsrccaps; i++)
		json_array_append_new(caps, json_string(r->r_srccaps[i]));
	check("src_caps", json_object_get(want, "src_caps"), caps);
	json_decref(caps);
	check_srcs(json_object_get(want, "srcs"), r);
	check_dsts(json_object_get(want, "dsts"), r);
}

static void
check_filter(json_t *want, json_t *wantrules, struct netmap *nm)
{
	struct nm_chunk	*c;
	json_t		*rules;
	size_t		 n;
	uint32_t	 i;
	int		 refused;

	rules = json_array();
	refused = 0;
	RB_FOREACH(c, nm_chunks, &nm->nm_chunks) {
		json_array_extend(rules, c->c_json);
		refused |= c->c_refused;
	}
	check("packet_filter_rules", wantrules, rules);
	json_decref(rules);
	n = 0;
	RB_FOREACH(c, nm_chunks, &nm->nm_chunks)
		for (i = 0; !refused && i < c->c_nrules; i++, n++)
			if (n < json_array_size(want))
				check_rule(json_array_get(want, n),
				    &c->c_rules[i]);
	if (n != json_array_size(want))
		fail("number of filter rules", want, NULL);
}

static void
check_caps(json_t *want, struct nm_node *self)
{
	json_t	*e;
	size_t	 i;

	json_array_foreach(want, i, e)
		if (!nm_node_hascap(self, json_string_value(e)))
			fail("capability of self", e, NULL);
}

static void
check_profiles(json_t *want, struct netmap *nm)
{
	struct nm_profile	*p;
	const char		*key;
	json_t			*got, *v;

	json_object_foreach(want, key, v) {
		p = netmap_profile(nm, strtoll(key, NULL, 10));
		if (p == NULL) {
			fail("profile", v, NULL);
			continue;
		}
		got = json_pack("{s:I,s:s*,s:s*,s:s*}", "ID",
		    (json_int_t)p->p_id, "LoginName", p->p_login,
		    "DisplayName", p->p_display, "ProfilePicURL",
		    p->p_picture);
		if (got == NULL)
			errx(1, "json_pack");
		json_object_del(v, "Groups");
		check("profile", v, got);
		json_decref(got);
	}
}

static void
check_str(const char *what, json_t *want, const char *got)
{
	const char	*w;

	w = json_string_value(want);
	if (strcmp(w == NULL ? "" : w, got == NULL ? "" : got) != 0) {
		warnx("%s: %s: want %s, got %s", label, what, w, got);
		failed = 1;
	}
}

/* A line of Health as the display message that stands for it. */
static void
health_add(json_t *to, const char *text)
{
	uint8_t	 hash[32];
	char	*line, id[JU_KEYTEXT];

	if (EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(),
	    NULL) != 1 || asprintf(&line, "The coordination server is "
	    "reporting a health issue: %s", text) == -1)
		errx(1, "%s: health", label);
	json_object_set_new(to, ju_key_text("health-", hash, id, sizeof(id)),
	    json_pack("{s:s,s:s,s:s}", "Severity", "medium", "Text", line,
	    "Title", "Coordination server reports an issue"));
	free(line);
}

static void
check_messages(json_t *want, struct netmap *nm)
{
	json_t	*e, *got;
	size_t	 i;

	/* Health stands in only where there are no display messages. */
	if (json_object_size(nm->nm_messages) > 0) {
		check("display_messages", want, nm->nm_messages);
		return;
	}
	got = json_object();
	json_array_foreach(nm->nm_health, i, e)
		health_add(got, json_string_value(e));
	check("health", want, got);
	json_decref(got);
}

static void
check_map(json_t *want, struct netmap *nm)
{
	char	 suffix[NM_MAX_NAME];
	json_t	*self;

	self = nm_node_json(nm->nm_self);
	check_node("self", json_object_get(want, "self"), self);
	json_decref(self);
	check_caps(json_object_get(want, "self_caps"), nm->nm_self);
	check_str("suffix", json_object_get(want, "magic_dns_suffix"),
	    netmap_suffix(nm, suffix, sizeof(suffix)));
	check_str("domain", json_object_get(want, "domain"), nm->nm_domain);
	check_str("audit", json_object_get(want, "domain_audit_log_id"),
	    nm->nm_auditid);
	check_peers(json_object_get(want, "peers_full"), nm);
	check_filter(json_object_get(want, "packet_filter"),
	    json_object_get(want, "packet_filter_rules"), nm);
	check("dns", json_object_get(want, "dns"), nm->nm_dns);
	check("derp_map", json_object_get(want, "derp_map"), nm->nm_derp);
	check("ssh_policy", json_object_get(want, "ssh_policy"), nm->nm_ssh);
	check_messages(json_object_get(want, "display_messages"), nm);
	check_profiles(json_object_get(want, "user_profiles"), nm);
	if (json_is_true(json_object_get(want, "tka_enabled")) !=
	    netmap_tka(nm) ||
	    json_is_true(json_object_get(want, "collect_services")) !=
	    nm->nm_collect)
		fail("tka_enabled or collect_services", want, NULL);
}

static void
check_effects(json_t *want, struct nm_effects *fx)
{
	char	 buf[JU_TIMETEXT];
	json_t	*t;

	check("ping", json_object_get(want, "ping_request"), fx->ms_ping);
	check("dial", json_object_get(want, "dial_plan"), fx->ms_dial);
	check("version", json_object_get(want, "client_version"),
	    fx->ms_version);
	check_str("url", json_object_get(want, "pop_browser_url"),
	    fx->ms_url);
	t = fx->ms_time.jt_set ? json_string(ju_time_format(&fx->ms_time,
	    buf, sizeof(buf))) : NULL;
	check("time", json_object_get(want, "control_time"), t);
	json_decref(t);
}

/*
 * The delta must name what really changed: replay it on the numbers of
 * the map before. The map as JSON must read back as the same map.
 */
static void
check_delta(struct netmap *nm, struct nm_delta *d, uint32_t before)
{
	uint32_t	 i, new;

	new = 0;
	for (i = 0; i < d->nd_nchanged; i++) {
		if (netmap_peer(nm, d->nd_changed[i].dc_id) == NULL)
			fail("changed peer is not there", NULL, NULL);
		if (d->nd_changed[i].dc_what & NM_PC_NEW)
			new++;
	}
	if (before + new - d->nd_nremoved != nm->nm_npeers)
		fail("delta does not add up", NULL, NULL);
}

static void
check_cache(struct netmap *nm, const struct ju_time *now)
{
	struct nm_delta		 d;
	struct nm_effects	 fx;
	struct netmap		*copy;
	struct nm_node		*n;
	char			*text;
	json_t			*j, *peers;

	j = netmap_json(nm);
	peers = json_array();
	RB_FOREACH(n, nm_tree, &nm->nm_peers)
		json_array_append_new(peers, nm_node_json(n));
	json_object_set_new(j, "Peers", peers);
	text = ju_dump(j);
	copy = netmap_new();
	if (netmap_apply(copy, text, strlen(text), now, &d, &fx) == -1)
		errx(1, "%s: own form of the map: %s", label, fx.ms_error);
	nm_delta_free(&d);
	nm_effects_free(&fx);
	if (netmap_diff(nm, copy, &d) == -1)
		err(1, NULL);
	if (d.nd_nchanged != 0 || d.nd_nremoved != 0 ||
	    (d.nd_flags & (NM_CH_SELF | NM_CH_FILTER)) != 0)
		fail("map written and read again", j, NULL);
	nm_delta_free(&d);
	netmap_free(copy);
	free(text);
	json_decref(j);
}

static char *
slurp(const char *path, size_t *len)
{
	FILE	*fp;
	char	*buf;
	long	 size;

	if ((fp = fopen(path, "r")) == NULL)
		return NULL;
	if (fseek(fp, 0, SEEK_END) == -1 || (size = ftell(fp)) == -1 ||
	    fseek(fp, 0, SEEK_SET) == -1 || (buf = malloc(size + 1)) == NULL)
		err(1, "%s", path);
	*len = fread(buf, 1, size, fp);
	buf[*len] = '\0';
	fclose(fp);
	return buf;
}

/* The frame must decode to the JSON beside it, however it is cut up. */
static void
check_frame(const char *base, const char *text, size_t len)
{
	struct mapframe	*f;
	const char	*msg;
	char		*raw, *path;
	size_t		 i, msglen, rawlen, used;
	int		 r;

	if (asprintf(&path, "%s.frame", base) == -1)
		err(1, NULL);
	if ((raw = slurp(path, &rawlen)) == NULL)
		err(1, "%s", path);
	f = mapframe_new(1);
	for (i = 0, r = 0; i < rawlen && r == 0; i += used)
		if ((r = mapframe_feed(f, raw + i, 1, &used, &msg,
		    &msglen)) == -1)
			errx(1, "%s: frame refused", label);
	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (r != 1 || i != rawlen || msglen != len ||
	    memcmp(msg, text, len) != 0)
		errx(1, "%s: frame is not its text", label);
	mapframe_free(f);
	free(raw);
	free(path);
}

static json_t *
load(const char *path)
{
	char	*text;
	json_t	*j;
	size_t	 len;

	if ((text = slurp(path, &len)) == NULL)
		err(1, "%s", path);
	if ((j = ju_load(text, len)) == NULL)
		errx(1, "%s: not JSON", path);
	free(text);
	return j;
}

static void
run_step(struct netmap *nm, const char *base, const struct ju_time *now)
{
	struct nm_delta		 d;
	struct nm_effects	 fx;
	char			*path, *text;
	json_t			*expect, *want;
	size_t			 len;
	uint32_t		 before;
	int			 r;

	label = base;
	if (asprintf(&path, "%s.expect.json", base) == -1)
		err(1, NULL);
	expect = load(path);
	free(path);
	if (asprintf(&path, "%s.json", base) == -1)
		err(1, NULL);
	if ((text = slurp(path, &len)) == NULL)
		err(1, "%s", path);
	free(path);
	check_frame(base, text, len);
	before = nm->nm_npeers;
	r = netmap_apply(nm, text, len, now, &d, &fx);
	free(text);
	if ((json_object_get(expect, "error") != NULL) != (r == -1))
		fail(fx.ms_error == NULL ? "must fail" : fx.ms_error, expect,
		    NULL);
	if (r == 0) {
		check_effects(json_object_get(expect, "side_effects"), &fx);
		if (json_is_true(json_object_get(expect, "keep_alive")) !=
		    fx.ms_keepalive)
			fail("keep_alive", expect, NULL);
		check_delta(nm, &d, before);
	}
	want = json_object_get(expect, "netmap");
	if (want != NULL && !json_is_null(want)) {
		if (nm->nm_self == NULL)
			fail("no map", NULL, NULL);
		else {
			check_map(want, nm);
			check_cache(nm, now);
		}
	}
	nm_delta_free(&d);
	nm_effects_free(&fx);
	json_decref(expect);
}

/* One directory: one client, one stream. Returns the steps. */
static int
run_dir(const char *dir)
{
	struct ju_time	 now;
	struct netmap	*nm;
	const char	*name;
	char		*base, *path;
	json_t		*client, *e;
	size_t		 i;

	if (asprintf(&path, "%s/client.json", dir) == -1)
		err(1, NULL);
	client = load(path);
	free(path);
	memset(&now, 0, sizeof(now));
	if (ju_time(json_object_get(client, "clock"), &now) == -1)
		errx(1, "%s: clock", dir);
	nm = netmap_new();
	json_array_foreach(json_object_get(client, "cases"), i, e) {
		name = json_string_value(json_object_get(e, "name"));
		if (asprintf(&base, "%s/%s", dir, name) == -1)
			err(1, NULL);
		run_step(nm, base, &now);
		free(base);
	}
	i = json_array_size(json_object_get(client, "cases"));
	netmap_free(nm);
	json_decref(client);
	return i;
}

int
main(void)
{
	struct dirent	*de;
	DIR		*dp;
	const char	*vectors;
	char		*dir, *root;
	int		 steps;

	if ((vectors = getenv("VECTORS")) == NULL)
		vectors = "../vectors";
	if (asprintf(&root, "%s/mapresponse", vectors) == -1)
		err(1, NULL);
	if ((dp = opendir(root)) == NULL)
		err(1, "%s", root);
	steps = 0;
	while ((de = readdir(dp)) != NULL) {
		if (de->d_name[0] == '.')
			continue;
		if (asprintf(&dir, "%s/%s", root, de->d_name) == -1)
			err(1, NULL);
		steps += run_dir(dir);
		free(dir);
	}
	closedir(dp);
	free(root);
	if (steps == 0)
		errx(1, "no cases");
	if (failed)
		return 1;
	printf("netmap_vectors: %d cases\n", steps);
	return 0;
}
