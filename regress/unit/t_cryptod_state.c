/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The state file of cryptod: what is good, and each way to be bad.
 */

/* link: ../../cryptod/state.c */

#include <sys/types.h>

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../cryptod/cryptod.h"
#include "statefile.h"

#define K1	"38b929b18b4c0b5033fd5068efa5f5c1523c85816e80985328a37c6de91c99"
#define MACHINE	"machine privkey:" K1 "70\n"
#define NODE	"node privkey:" K1 "71\n"
#define PIN	"pin https://a mkey:" K1 "72\n"

static struct state	 st, back;

/* Lines between version and end, with a true hash; allocated. */
static char *
file_of(const char *lines, ssize_t *len)
{
	struct statefile_out	 so;
	char			*buf, *copy, *line, *rest, *value;

	if ((buf = malloc(STATE_TEXT_MAX)) == NULL ||
	    (copy = strdup(lines)) == NULL)
		err(1, NULL);
	statefile_begin(&so, buf, STATE_TEXT_MAX);
	for (rest = copy; (line = strsep(&rest, "\n")) != NULL; ) {
		if (line[0] == '\0')
			continue;
		if ((value = strchr(line, ' ')) == NULL)
			errx(1, "bad line in the test: %s", line);
		*value++ = '\0';
		statefile_add(&so, line, value);
	}
	if ((*len = statefile_end(&so)) == -1)
		err(1, "statefile_end");
	free(copy);
	return buf;
}

/* Parse a copy of that length exactly, so that ASan sees its end. */
static int
parse(const char *text, size_t len, struct statefile_error *error)
{
	char	*copy;
	int	 ret;

	if ((copy = malloc(len == 0 ? 1 : len)) == NULL)
		err(1, NULL);
	memcpy(copy, text, len);
	ret = state_parse(&back, copy, len, error);
	free(copy);
	return ret;
}

static void
fill(uint8_t *key, uint8_t with)
{
	memset(key, with, MSG_KEY_LEN);
}

static void
test_good(void)
{
	struct statefile_error	 error;
	static char		 buf[STATE_TEXT_MAX];
	ssize_t			 len;
	unsigned int		 i;
	char			 name[32];

	fill(st.st_machine, 1);
	fill(st.st_node, 2);
	fill(st.st_pending, 3);
	fill(st.st_disco, 4);
	memset(st.st_nl, 5, sizeof(st.st_nl));
	st.st_run = 0x0123456789abcdef;
	if (state_pin_set(&st, "https://c.example:8443", st.st_node) == -1 ||
	    state_pref_set(&st, "hostname", "a b  c") != 1)
		err(1, "set");
	/* As much as fits, as long as it may be. */
	for (i = st.st_nprefs; i < STATE_PREFS; i++) {
		memset(buf, 'x', MSG_TEXT_LEN - 1);
		buf[MSG_TEXT_LEN - 1] = '\0';
		(void)snprintf(name, sizeof(name), "pref_%u", i);
		if (state_pref_set(&st, name, buf) != 1)
			err(1, "%s", name);
	}
	if (state_pref_set(&st, "more", "x") != -1 || errno != ENOSPC)
		errx(1, "too many preferences");
	if ((len = state_render(&st, buf, sizeof(buf))) == -1)
		err(1, "render");
	if (parse(buf, len, &error) == -1)
		errx(1, "good: line %u: %s", error.se_line, error.se_why);
	if (memcmp(&st, &back, sizeof(st)) != 0)
		errx(1, "state differs after writing and reading");
	if (state_render(&st, buf, len - 1) != -1 || errno != ENOSPC)
		errx(1, "written into too little room");
}

/* Cut anywhere, or with any bit changed: an error, and nothing read. */
static void
test_damage(void)
{
	static const struct state	 none;
	struct statefile_error		 error;
	char				*text;
	ssize_t				 i, len;
	unsigned int			 lines, n;

	text = file_of(MACHINE NODE PIN "run 0123456789abcdef\n"
	    "pref hostname www1\n", &len);
	if (parse(text, len, &error) == -1)
		errx(1, "line %u: %s", error.se_line, error.se_why);
	for (i = 0; i < len; i++) {
		for (lines = 1, n = 0; n < i; n++)
			lines += text[n] == '\n';
		if (parse(text, i, &error) == 0)
			errx(1, "cut to %zd bytes: accepted", i);
		if (error.se_line == 0 || error.se_line > lines ||
		    error.se_why[0] == '\0')
			errx(1, "cut to %zd bytes: line %u of %u", i,
			    error.se_line, lines);
		if (memcmp(&back, &none, sizeof(none)) != 0)
			errx(1, "cut to %zd bytes: something was read", i);
	}
	for (i = 0; i < len * 8; i++) {
		text[i / 8] ^= 1 << i % 8;
		if (parse(text, len, &error) == 0)
			errx(1, "bit %zd changed: accepted", i);
		if (error.se_line == 0 || error.se_why[0] == '\0')
			errx(1, "bit %zd: no line", i);
		text[i / 8] ^= 1 << i % 8;
	}
	free(text);
}

static const struct {
	const char	*what;
	const char	*lines;
	unsigned int	 line;		/* 0: good */
	const char	*why;		/* part of it */
} tests[] = {
	{ "machine key alone",	MACHINE,			0, NULL },
	{ "no machine key",	NODE,				1, "machine" },
	{ "twice",		MACHINE NODE NODE,		4, "twice" },
	{ "newer entry",	MACHINE "seal tpm\n",		3, "newer" },
	{ "key of other type",	MACHINE "node mkey:" K1 "70\n",	3, "node" },
	{ "short key",		MACHINE "node privkey:" K1 "\n", 3, "node" },
	{ "zero run",		MACHINE "run 0000000000000000\n", 3, "run" },
	{ "short run",		MACHINE "run 12\n",		3, "run" },
	{ "pin",		MACHINE PIN,			0, NULL },
	{ "pin twice",		MACHINE PIN PIN,		4, "twice" },
	{ "pin without key",	MACHINE "pin https://a\n",	3, "pin" },
	{ "pref",		MACHINE "pref a b c\n",		0, NULL },
	{ "pref twice",		MACHINE "pref a b\npref a c\n",	4, "twice" },
	{ "pref without value",	MACHINE "pref a\n",		3, "pref" },
	{ "pref, bad name",	MACHINE "pref A b\n",		3, "pref" },
};

static void
test_lines(void)
{
	struct statefile_error	 error;
	char			*text;
	ssize_t			 len;
	size_t			 i;
	int			 ret;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		text = file_of(tests[i].lines, &len);
		ret = parse(text, len, &error);
		if ((ret == 0) != (tests[i].line == 0))
			errx(1, "%s: %d: %s", tests[i].what, ret,
			    error.se_why);
		if (ret == -1 && (error.se_line != tests[i].line ||
		    strstr(error.se_why, tests[i].why) == NULL))
			errx(1, "%s: line %u: %s", tests[i].what,
			    error.se_line, error.se_why);
		free(text);
	}
}

/* What is no state file of this version at all. */
static void
test_foreign(void)
{
	static const struct {
		const char	*text;
		unsigned int	 line;
		const char	*why;
	} files[] = {
		{ "",					1, "empty" },
		{ "\n",					1, "no version" },
		{ "{\"_machinekey\":\"privkey:\"}\n",	1, "no version" },
		{ "version 2\nwhatever\n",		1, "newer" },
		{ "version 1\n",			1, "cut off" },
		{ "version 1\nend 00\n",		2, "hash" },
		{ "version 1\n" MACHINE "end 00\n",	3, "hash" },
	};
	struct statefile_error	 error;
	size_t			 i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (parse(files[i].text, strlen(files[i].text), &error) == 0)
			errx(1, "file %zu: accepted", i);
		if (error.se_line != files[i].line ||
		    strstr(error.se_why, files[i].why) == NULL)
			errx(1, "file %zu: line %u: %s", i, error.se_line,
			    error.se_why);
	}
}

static void
test_pins(void)
{
	uint8_t	 a[MSG_KEY_LEN], b[MSG_KEY_LEN];
	char	 url[32];
	int	 i;

	memset(&st, 0, sizeof(st));
	fill(a, 1);
	fill(b, 2);
	if (state_pin_get(&st, "https://a") != NULL)
		errx(1, "pin of nothing");
	if (state_pin_set(&st, "https://a", a) == -1 ||
	    state_pin_set(&st, "https://a", a) == -1)
		err(1, "pin");
	if (state_pin_set(&st, "https://a", b) != -1 || errno != EEXIST)
		errx(1, "changed key taken");
	if (state_pin_set(&st, "https://a b", b) != -1 || errno != EINVAL ||
	    state_pin_set(&st, "https://a\n", b) != -1 || errno != EINVAL)
		errx(1, "URL that does not fit a line");
	for (i = 1; i < STATE_PINS; i++) {
		(void)snprintf(url, sizeof(url), "https://%d", i);
		if (state_pin_set(&st, url, b) == -1)
			err(1, "pin %d", i);
	}
	if (state_pin_set(&st, "https://z", b) != -1 || errno != ENOSPC)
		errx(1, "too many pins");
	state_pin_clear(&st);
	if (state_pin_get(&st, "https://a") != NULL ||
	    state_pin_set(&st, "https://a", b) == -1)
		errx(1, "pin after clearing");
}

static void
test_prefs(void)
{
	memset(&st, 0, sizeof(st));
	if (state_pref_set(&st, "a", "1") != 1 ||
	    state_pref_set(&st, "a", "1") != 0 ||
	    state_pref_set(&st, "a", "2") != 1 ||
	    state_pref_set(&st, "b", "") != 0 ||
	    state_pref_set(&st, "a", "") != 1 || st.st_nprefs != 0)
		errx(1, "preferences");
	if (state_pref_set(&st, "a", "x\ny") != -1 || errno != EINVAL ||
	    state_pref_set(&st, "a b", "x") != -1 || errno != EINVAL)
		errx(1, "preference that does not fit a line");
}

int
main(void)
{
	test_good();
	test_damage();
	test_lines();
	test_foreign();
	test_pins();
	test_prefs();
	return 0;
}
