/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * HuJSON against the vectors.
 */

/* link: vec.c */

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "hujson.h"
#include "vec.h"

static void	 check_case(json_t *);
static void	 check_depth(void);
static void	 check_position(void);

static void
check_case(json_t *c)
{
	struct hujson_error	 he;
	uint8_t			*in, *out;
	char			*buf;
	size_t			 len, wlen;
	int			 ok, r;

	in = vec_hex(c, "input", &len);
	ok = vec_bool(c, "ok");
	/* Exactly as large as the text, for the sanitizers. */
	if ((buf = malloc(len + (len == 0))) == NULL)
		err(1, NULL);
	memcpy(buf, in, len);
	r = hujson_standardize(buf, len, &he);
	if ((r == 0) != (ok != 0))
		vec_fail("%s", ok ? he.he_text : "accepted");
	if (!ok) {
		if (he.he_off > len || he.he_line == 0 || he.he_col == 0)
			vec_fail("bad position");
		if (memcmp(buf, in, len) != 0)
			vec_fail("changed despite error");
	} else {
		out = vec_hex(c, "output", &wlen);
		if (wlen != len || memcmp(out, buf, len) != 0)
			vec_fail("%.*s", (int)len, buf);
	}
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
	json_t	*cases, *c;
	size_t	 i;

	cases = vec_cases(getenv("VECTORS"), "hujson.json");
	json_array_foreach(cases, i, c) {
		vec_at(c, i);
		check_case(c);
	}
	vec_done("hujson");
	check_depth();
	check_position();
	return 0;
}
