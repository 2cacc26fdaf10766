/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The numbers of a relay's ServerInfo, for a process that has no JSON
 * parser: one walk over the text, no memory, no recursion.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "derp.h"

#define DEPTH_MAX	32

struct scan {
	const char	*s_p;
	const char	*s_end;
};

static void
skip_space(struct scan *s)
{
	while (s->s_p < s->s_end && (*s->s_p == ' ' || *s->s_p == '\t' ||
	    *s->s_p == '\n' || *s->s_p == '\r'))
		s->s_p++;
}

/* The next character if it is this one, after white space. */
static int
take(struct scan *s, char c)
{
	skip_space(s);
	if (s->s_p == s->s_end || *s->s_p != c)
		return 0;
	s->s_p++;
	return 1;
}

/* A string's raw characters; 0, or -1 if there is none. */
static int
take_string(struct scan *s, const char **str, size_t *len)
{
	if (!take(s, '"'))
		return -1;
	*str = s->s_p;
	while (s->s_p < s->s_end && *s->s_p != '"') {
		if ((unsigned char)*s->s_p < ' ')
			return -1;
		s->s_p += *s->s_p == '\\' ? 2 : 1;
	}
	if (s->s_p >= s->s_end)
		return -1;
	*len = s->s_p++ - *str;
	return 0;
}

/* An integer, its end included; 0, or -1: it is something else. */
static int
take_int(struct scan *s, int64_t *v)
{
	const char	*p;
	int64_t		 n = 0;
	int		 neg;

	skip_space(s);
	p = s->s_p;
	neg = p < s->s_end && *p == '-';
	p += neg;
	if (p == s->s_end || *p < '0' || *p > '9')
		return -1;
	for (; p < s->s_end && *p >= '0' && *p <= '9'; p++) {
		if (n > (INT64_MAX - (*p - '0')) / 10)
			return -1;
		n = n * 10 + (*p - '0');
	}
	if (p < s->s_end && (*p == '.' || *p == 'e' || *p == 'E'))
		return -1;
	s->s_p = p;
	*v = neg ? -n : n;
	return 0;
}

/* A number, true, false, null: not looked at closely. */
static int
take_word(struct scan *s)
{
	const char	*start = s->s_p;

	while (s->s_p < s->s_end && *s->s_p > ' ' &&
	    strchr("{}[],:\"", *s->s_p) == NULL)
		s->s_p++;
	return s->s_p > start ? 0 : -1;
}

/* Over a value of any kind, nested or not. */
static int
skip_value(struct scan *s)
{
	const char	*str;
	size_t		 len;
	int		 depth = 0;

	do {
		skip_space(s);
		if (s->s_p == s->s_end)
			return -1;
		switch (*s->s_p) {
		case '"':
			if (take_string(s, &str, &len) == -1)
				return -1;
			break;
		case '{':
		case '[':
			if (++depth > DEPTH_MAX)
				return -1;
			s->s_p++;
			break;
		case '}':
		case ']':
			if (depth-- == 0)
				return -1;
			s->s_p++;
			break;
		case ',':
		case ':':
			if (depth == 0)
				return -1;
			s->s_p++;
			break;
		default:
			if (take_word(s) == -1)
				return -1;
			break;
		}
	} while (depth > 0);
	return 0;
}

static int
is_name(const char *str, size_t len, const char *name)
{
	return len == strlen(name) && memcmp(str, name, len) == 0;
}

static int
take_member(struct scan *s, struct derp_server_info *si)
{
	const char	*name;
	size_t		 len;
	int64_t		*to = NULL;

	if (take_string(s, &name, &len) == -1 || !take(s, ':'))
		return -1;
	if (is_name(name, len, "version"))
		to = &si->si_version;
	else if (is_name(name, len, "TokenBucketBytesPerSecond"))
		to = &si->si_rate;
	else if (is_name(name, len, "TokenBucketBytesBurst"))
		to = &si->si_burst;
	return to != NULL ? take_int(s, to) : skip_value(s);
}

int
derp_server_info_scan(const void *text, size_t len,
    struct derp_server_info *si)
{
	struct scan	 s;

	memset(si, 0, sizeof(*si));
	s.s_p = text;
	s.s_end = s.s_p + len;
	if (!take(&s, '{'))
		goto bad;
	if (!take(&s, '}')) {
		do {
			if (take_member(&s, si) == -1)
				goto bad;
		} while (take(&s, ','));
		if (!take(&s, '}'))
			goto bad;
	}
	skip_space(&s);
	if (s.s_p == s.s_end)
		return 0;
bad:
	memset(si, 0, sizeof(*si));
	errno = EINVAL;
	return -1;
}
