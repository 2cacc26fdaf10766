/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * HuJSON against the vectors.
 */

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "hujson.h"

static size_t	 unhex(const char *, char *);
static void	 check_case(json_t *, size_t);
static void	 check_depth(void);
static void	 check_position(void);

static size_t
unhex(const char *hex, char *out)
{
	size_t		 i, n = strlen(hex) / 2;
	unsigned int	 v;

	for (i = 0; i < n; i++) {
		if (sscanf(hex + i * 2, "%2x", &v) != 1)
			errx(1, "not hex: %s", hex);
		out[i] = (char)v;
	}
	return n;
}

static void
check_case(json_t *c, size_t i)
{
	struct hujson_error	 he;
	const char		*in, *out;
	char			*buf, *want, *orig;
	size_t			 len, wlen;
	int			 ok, r;

	if (json_unpack(c, "{s:s, s:b}", "input", &in, "ok", &ok) == -1)
		errx(1, "case %zu: bad form", i);
	/* Exactly as large as the text, for the sanitizers. */
	len = strlen(in) / 2;
	buf = malloc(len + (len == 0));
	orig = malloc(len + 1);
	if (buf == NULL || orig == NULL)
		err(1, NULL);
	(void)unhex(in, orig);
	memcpy(buf, orig, len);
	r = hujson_standardize(buf, len, &he);
	if ((r == 0) != (ok != 0))
		errx(1, "case %zu: %s", i, ok ? he.he_text : "accepted");
	if (!ok) {
		if (he.he_off > len || he.he_line == 0 || he.he_col == 0)
			errx(1, "case %zu: bad position", i);
		if (memcmp(buf, orig, len) != 0)
			errx(1, "case %zu: changed despite error", i);
	} else {
		out = json_string_value(json_object_get(c, "output"));
		if (out == NULL || (want = malloc(strlen(out) + 1)) == NULL)
			errx(1, "case %zu: no output", i);
		wlen = unhex(out, want);
		if (wlen != len || memcmp(want, buf, len) != 0)
			errx(1, "case %zu: %.*s", i, (int)len, buf);
		free(want);
	}
	free(orig);
	free(buf);
}

static void
check_depth(void)
{
	char	 text[4 * HUJSON_MAX_DEPTH];
	size_t	 n;

	n = HUJSON_MAX_DEPTH;
	memset(text, '[', n);
	memset(text + n, ']', n);
	if (hujson_standardize(text, n * 2, NULL) == -1)
		errx(1, "greatest depth refused");
	memset(text, '[', n + 1);
	memset(text + n + 1, ']', n + 1);
	if (hujson_standardize(text, n * 2 + 2, NULL) == 0)
		errx(1, "one level too deep accepted");
}

static void
check_position(void)
{
	struct hujson_error	 he;
	char			 text[] = "{\n  // c\n  \"a\": tru\n}";

	if (hujson_standardize(text, strlen(text), &he) == 0)
		errx(1, "accepted");
	if (he.he_line != 3 || he.he_col != 8)
		errx(1, "at %zu:%zu", he.he_line, he.he_col);
}

int
main(void)
{
	json_t		*root, *cases, *c;
	json_error_t	 je;
	const char	*dir;
	char		 path[1024];
	size_t		 i;

	if ((dir = getenv("VECTORS")) == NULL)
		dir = "../vectors";
	(void)snprintf(path, sizeof(path), "%s/hujson.json", dir);
	root = json_load_file(path, JSON_ALLOW_NUL, &je);
	if (root == NULL)
		errx(1, "%s: %s", path, je.text);
	cases = json_object_get(root, "cases");
	if (json_array_size(cases) == 0)
		errx(1, "%s: no cases", path);
	json_array_foreach(cases, i, c)
		check_case(c, i);
	printf("hujson: %zu cases\n", i);
	json_decref(root);
	check_depth();
	check_position();
	return 0;
}
