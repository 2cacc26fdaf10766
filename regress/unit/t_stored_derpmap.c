/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * DERP maps: what is refused, with which line; several laid over each other.
 */

/* link: ../../coordd/stored/derpmap.c */

#include <sys/types.h>

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "../../coordd/stored/stored.h"

#define NODE	"{\"Name\":\"a\",\"RegionID\":900,\"HostName\":\"h\"}"
#define REGION(x) "{\"Regions\":{\"900\":{\"RegionID\":900," \
	"\"RegionCode\":\"c\"," x "}}}"

static const struct {
	const char	*text;
	const char	*why;
} bad[] = {
	{ "", "m:1: " },
	{ "{\n\"Regions\":\n}", "m:3: " },
	{ "[]", "m: not a JSON object" },
	{ "{\"Regions\":null}", "m: not a JSON object" },
	{ "{\"Regions\":{\"900\":null}}", "m: region \"900\"" },
	{ "{\"Regions\":{\"901\":{\"RegionID\":900}}}",
	    "m: region \"901\"" },
	{ "{\"Regions\":{\"0\":{\"RegionID\":0}}}", "m: region 0: not" },
	{ "{\"Regions\":{\"900\":{\"RegionID\":900}}}",
	    "m: region 900 has no R" },
	{ REGION("\"Nodes\":null"), "m: region 900 has no Nodes" },
	{ REGION("\"Nodes\":[null]"), "m: region 900: node 1 is no" },
	{ REGION("\"Nodes\":[" NODE ",{}]"), "m: region 900: node 2 has no" },
	{ REGION("\"Nodes\":[{\"Name\":\"a\",\"HostName\":\"h\"}]"),
	    "m: region 900: node 1 has another" },
	{ REGION("\"Nodes\":[{\"Name\":\"a\",\"HostName\":\"h\","
	    "\"RegionID\":900,\"DERPPort\":70000}]"),
	    "m: region 900: node 1 has a bad port" }
};

static int
add(struct sconf *c, const char *text, char **why)
{
	return derpmap_add(c, "m", text, strlen(text), why);
}

static void
test_bad(void)
{
	struct sconf	 c;
	char		*why;
	size_t		 i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&c, 0, sizeof(c));
		why = NULL;
		if (add(&c, bad[i].text, &why) != -1)
			errx(1, "taken: %s", bad[i].text);
		if (strncmp(why, bad[i].why, strlen(bad[i].why)) != 0)
			errx(1, "%s: says %s", bad[i].text, why);
		if (c.c_derpmap != NULL)
			errx(1, "%s: left something", bad[i].text);
		free(why);
	}
}

static void
has(const char *text, const char *what)
{
	if (text == NULL || strstr(text, what) == NULL)
		errx(1, "no %s in %s", what, text == NULL ? "-" : text);
}

static void
test_merge(void)
{
	struct sconf	 c;
	char		*why = NULL;

	memset(&c, 0, sizeof(c));
	if (add(&c, "{\"HomeParams\":{\"RegionScore\":{\"900\":0.5}},"
	    "\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"one\","
	    "\"NoMeasureNoHome\":true,\"Nodes\":[]},\"900\":{\"RegionID\":900,"
	    "\"RegionCode\":\"old\",\"Nodes\":[]}}}", &why) == -1 ||
	    add(&c, REGION("\"Nodes\":[" NODE "]"), &why) == -1)
		errx(1, "%s", why);
	has(c.c_derpmap, "\"RegionCode\":\"one\"");
	has(c.c_derpmap, "\"RegionCode\":\"c\"");
	has(c.c_derpmap, "\"RegionScore\":{\"900\":0.5}");
	has(c.c_derpmap, "\"omitDefaultRegions\":true");
	if (strstr(c.c_derpmap, "\"old\"") != NULL)
		errx(1, "the old region is still there");
	if (strstr(c.c_derpmap, "Avoid") != NULL)
		errx(1, "new clients are not told to avoid");
	has(c.c_derpmap_old, "\"Avoid\":true");
	free(c.c_derpmap);
	free(c.c_derpmap_old);
}

int
main(void)
{
	test_bad();
	test_merge();
	return 0;
}
