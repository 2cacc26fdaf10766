/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The netmap beyond the vectors: bad messages, bounds, cost, JSON dialect.
 */

#include <sys/types.h>

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mapframe.h"
#include "netmap.h"

#define nitems(a)	(sizeof((a)) / sizeof((a)[0]))

static const char	 first[] =
    "{\"Node\":{\"ID\":1,\"Name\":\"a.t.example.\",\"Addresses\":"
    "[\"100.64.0.1/32\"]},\"Peers\":[{\"ID\":2,\"Name\":\"b.t.example.\","
    "\"Online\":true,\"Addresses\":[\"100.64.0.2/32\"]}]}";

/* Each must be refused, and change nothing. */
static const char *const	 bad[] = {
	"", "null x", "[]", "\"x\"", "{", "{\"Peers\":{}}",
	"{\"Peers\":[null]}", "{\"PeersChanged\":[{\"ID\":\"2\"}]}",
	"{\"PeersChanged\":[{\"ID\":2.0}]}",
	"{\"PeersRemoved\":[2],\"Domain\":5}",
	"{\"PeersRemoved\":[\"2\"]}",
	"{\"PeersRemoved\":[2],\"OnlineChange\":{\"x\":true}}",
	"{\"PeersChangedPatch\":[{\"NodeID\":2,\"Key\":\"nodekey:12\"}]}",
	"{\"PeersChangedPatch\":[{\"NodeID\":2,\"LastSeen\":\"\"}]}",
	("{\"PeersChangedPatch\":[{\"NodeID\":2,\"LastSeen\":"
	    "\"2026-02-30T00:00:00Z\"}]}"),
	"{\"PeersChanged\":[{\"ID\":3,\"Addresses\":[\"100.64.0.3\"]}]}",
	"{\"PeersChanged\":[{\"ID\":3,\"Endpoints\":[\"host:1\"]}]}",
	"{\"PeersChanged\":[{\"ID\":3,\"Online\":\"true\"}]}",
	"{\"PeersChanged\":[{\"ID\":3,\"Hostinfo\":{\"OS\":1}}]}",
	"{\"PeersChanged\":[{\"ID\":3,\"Name\":\"a\\u0000b\"}]}",
	"{\"PeersRemoved\":[2],\"PacketFilter\":[{\"SrcIPs\":\"*\"}]}",
	("{\"PeersRemoved\":[2],\"PacketFilter\":[{\"DstPorts\":[{\"IP\":"
	    "\"*\",\"Ports\":{\"First\":0,\"Last\":65536}}]}]}"),
	"{\"PeersRemoved\":[2],\"DERPMap\":{\"Regions\":{\"x\":{}}}}",
	"{\"PeersRemoved\":[2],\"CollectServices\":\"true\"}",
	"{\"PeersRemoved\":[2],\"Debug\":{\"SleepSeconds\":\"1\"}}"
};

/* Each must be taken. */
static const char *const	 good[] = {
	"{}", " {\"Zzz\":[{}]}\n", "{\"peersremoved\":[77]}",
	"{\"Peers\":null,\"Node\":null,\"PacketFilter\":null}",
	("{\"PeersChanged\":[{\"ID\":3,\"Endpoints\":[\"[2001:db8::1]:2\"],"
	    "\"KeyExpiry\":\"0001-01-01T00:00:00Z\",\"LastSeen\":"
	    "\"2026-03-04T05:06:07.123456789+02:00\"}]}"),
	("{\"PacketFilter\":[{\"SrcIPs\":[\"junk\",\"10.0.0.1/8\"],"
	    "\"DstPorts\":[{\"IP\":\"junk\",\"Ports\":{}}]}]}"),
	"{\"DERPMap\":{\"Regions\":{\"1\":null}}}"
};

static int
apply(struct netmap *nm, const char *text, uint32_t *changed)
{
	struct ju_time		 now = { 1790000000, 0, 1 };
	struct nm_delta		 d;
	struct nm_effects	 fx;
	int			 r;

	r = netmap_apply(nm, text, strlen(text), &now, &d, &fx);
	if (r == -1 && fx.ms_error == NULL)
		errx(1, "no error text for %s", text);
	if (changed != NULL)
		*changed = d.nd_nchanged + d.nd_nremoved;
	nm_delta_free(&d);
	nm_effects_free(&fx);
	return r;
}

static void
messages(void)
{
	struct netmap	*nm;
	size_t		 i;

	nm = netmap_new();
	if (apply(nm, "{\"Peers\":[{\"ID\":2}]}", NULL) != -1 ||
	    errno != EINVAL)
		errx(1, "first message without Node was taken");
	if (apply(nm, first, NULL) == -1)
		errx(1, "first");
	for (i = 0; i < nitems(bad); i++) {
		if (apply(nm, bad[i], NULL) != -1)
			errx(1, "taken: %s", bad[i]);
		if (nm->nm_npeers != 1 || netmap_peer(nm, 2) == NULL)
			errx(1, "half applied: %s", bad[i]);
	}
	for (i = 0; i < nitems(good); i++)
		if (apply(nm, good[i], NULL) == -1)
			errx(1, "refused: %s", good[i]);
	netmap_free(nm);
}

/* Names in any case, unknown fields, the last of several wins. */
static void
dialect(void)
{
	struct netmap	*nm;
	char		*text;

	nm = netmap_new();
	if (apply(nm, "{\"node\":{\"id\":1,\"NAME\":\"a.t.\"},\"Zzz\":1,"
	    "\"peers\":[{\"ID\":9,\"id\":2,\"hostinfo\":{\"os\":\"linux\","
	    "\"New\":{},\"services\":[{\"proto\":\"tcp\",\"x\":1}]}}],"
	    "\"derpmap\":{\"regions\":{\"1\":{\"nodes\":[{\"name\":\"1a\","
	    "\"New\":1}]}}}}", NULL) == -1)
		errx(1, "names in other case");
	if (netmap_peer(nm, 2) == NULL ||
	    strcmp(netmap_peer(nm, 2)->n_hostinfo, "{\"OS\":\"linux\","
	    "\"Services\":[{\"Proto\":\"tcp\"}]}") != 0)
		errx(1, "peer from names in other case");
	text = ju_dump(nm->nm_derp);
	if (text == NULL || strcmp(text, "{\"Regions\":{\"1\":{\"Nodes\":"
	    "[{\"Name\":\"1a\"}]}}}") != 0)
		errx(1, "DERP map from names in other case: %s", text);
	free(text);
	netmap_free(nm);
}

static void
depth(void)
{
	struct netmap	*nm;
	char		*text;
	size_t		 i, n = 1000000;

	nm = netmap_new();
	if ((text = malloc(n + 1)) == NULL)
		err(1, NULL);
	for (i = 0; i < n; i++)
		text[i] = '[';
	text[n] = '\0';
	if (apply(nm, text, NULL) != -1 || errno != E2BIG)
		errx(1, "nesting is not bounded");
	free(text);
	/* Small values are the dearest: "[1,1,1..." */
	n = 3 * JU_MAX_VALUES;
	if ((text = malloc(n + 1)) == NULL)
		err(1, NULL);
	for (i = 0; i < n; i++)
		text[i] = i == 0 ? '[' : i + 1 == n ? ']' :
		    i % 2 == 1 ? '1' : ',';
	text[n] = '\0';
	if (apply(nm, text, NULL) != -1 || errno != E2BIG)
		errx(1, "the number of values is not bounded");
	free(text);
	netmap_free(nm);
}

static double
seconds(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* A patch on a large map must not cost more than one on a small map. */
static void
cost(void)
{
	struct netmap	*nm;
	FILE		*fp;
	char		*text;
	size_t		 len;
	double		 t;
	uint32_t	 changed;
	int		 i, n = 10000;

	if ((fp = open_memstream(&text, &len)) == NULL)
		err(1, NULL);
	fprintf(fp, "{\"Node\":{\"ID\":1,\"Name\":\"a.t.\"},\"Peers\":[");
	for (i = 0; i < n; i++)
		fprintf(fp, "%s{\"ID\":%d,\"Name\":\"n%d.t.\",\"Addresses\":"
		    "[\"100.%d.%d.%d/32\"],\"Hostinfo\":{\"OS\":\"linux\"}}",
		    i == 0 ? "" : ",", i + 2, i, 64 + i / 65536,
		    i / 256 % 256, i % 256);
	fprintf(fp, "]}");
	fclose(fp);
	nm = netmap_new();
	if (apply(nm, text, &changed) == -1 || changed != (uint32_t)n)
		errx(1, "%d peers", n);
	if (apply(nm, text, &changed) == -1 || changed != 0)
		errx(1, "the same again: %u changes", changed);
	free(text);
	t = seconds();
	for (i = 0; i < n; i++) {
		if (asprintf(&text, "{\"OnlineChange\":{\"%d\":true}}",
		    i + 2) == -1)
			err(1, NULL);
		if (apply(nm, text, &changed) == -1 || changed != 1)
			errx(1, "patch %d: %u changes", i, changed);
		free(text);
	}
	t = seconds() - t;
	if (t > 10)
		errx(1, "%d patches took %.1f s", n, t);
	netmap_free(nm);
}

static void
times(void)
{
	static const struct {
		const char	*in, *out;
	} tests[] = {
		{ "2026-05-06T07:08:09Z", "2026-05-06T07:08:09Z" },
		{ "2026-05-06T07:08:09.5Z", "2026-05-06T07:08:09.5Z" },
		{ "2024-02-29T23:30:00-01:00", "2024-03-01T00:30:00Z" },
		{ "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z" },
		{ "1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.25Z" },
		{ "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z" },
		{ "2026-05-06 07:08:09Z", NULL },
		{ "2026-05-06T07:08:09", NULL },
		{ "2026-05-06T07:08:60Z", NULL },
		{ "2026-05-06T07:08:09.Z", NULL },
		{ "2026-05-06T07:08:09+2:00", NULL },
		{ "2023-02-29T00:00:00Z", NULL }
	};
	struct ju_time	 t;
	char		 buf[JU_TIMETEXT];
	size_t		 i;
	int		 r;

	for (i = 0; i < nitems(tests); i++) {
		r = ju_time_parse(tests[i].in, strlen(tests[i].in), &t);
		if ((r == 0) != (tests[i].out != NULL))
			errx(1, "%s: %d", tests[i].in, r);
		if (r == 0 && strcmp(ju_time_format(&t, buf, sizeof(buf)),
		    tests[i].out) != 0)
			errx(1, "%s: %s", tests[i].in, buf);
	}
}

/* What a frame may claim, and what it may not. */
static void
frames(void)
{
	struct mapframe	*f;
	const char	*msg;
	uint8_t		*out;
	char		*big;
	size_t		 len, n, used;
	int		 z;

	for (z = 0; z < 2; z++) {
		f = mapframe_new(z);
		if (mapframe_feed(f, "\0\0\0\0", 4, &used, &msg, &len) != -1)
			errx(1, "empty frame");
		mapframe_free(f);
		f = mapframe_new(z);
		if (mapframe_feed(f, "\377\377\377\377", 4, &used, &msg,
		    &len) != -1 || errno != E2BIG)
			errx(1, "frame of 4 GB");
		mapframe_free(f);
	}
	n = MAPFRAME_MAX_PLAIN;
	if ((big = calloc(1, n + 1)) == NULL)
		err(1, NULL);
	if (mapframe_encode(1, big, n + 1, &out, &len) != -1)
		errx(1, "encoded too much");
	if (mapframe_encode(1, big, n, &out, &len) == -1)
		err(1, "mapframe_encode");
	f = mapframe_new(1);
	if (mapframe_feed(f, out, len, &used, &msg, &len) != 1 || len != n)
		errx(1, "largest frame");
	mapframe_free(f);
	free(out);
	free(big);
}

int
main(void)
{
	messages();
	dialect();
	depth();
	cost();
	times();
	frames();
	return 0;
}
