/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * JSON with comments and trailing commas, turned into plain JSON.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "hujson.h"

enum state {
	ST_VALUE,		/* a value must come */
	ST_FIRST,		/* a value, or the end of what was opened */
	ST_NAME,		/* a member's name must come */
	ST_FIRSTNAME,		/* a name or the end */
	ST_COLON,
	ST_AFTER,		/* a comma or the end */
	ST_END			/* nothing more */
};

struct scan {
	const char		*s_buf;
	size_t			 s_len;
	size_t			 s_off;
	size_t			 s_comma;	/* last one, SIZE_MAX: none */
	uint8_t			*s_blank;	/* bit set: becomes a blank */
	struct hujson_error	*s_err;
	enum state		 s_state;
	unsigned int		 s_depth;
	char			 s_open[HUJSON_MAX_DEPTH];
};

static int	 fail(struct scan *, size_t, const char *);
static int	 fail_char(struct scan *, const char *);
static void	 blank(struct scan *, size_t, size_t);
static int	 comment_check(struct scan *, size_t, size_t);
static int	 skip_comment(struct scan *);
static int	 skip_space(struct scan *);
static int	 scan_string(struct scan *);
static int	 is_literal(char);
static int	 number_ok(const char *, size_t);
static int	 scan_literal(struct scan *);
static int	 open_bracket(struct scan *, char);
static int	 close_bracket(struct scan *);
static int	 after_value(struct scan *);
static int	 scan_value(struct scan *);
static int	 step(struct scan *, char);
static int	 at_end(struct scan *);
static int	 scan_text(struct scan *);

void
hujson_position(const char *buf, size_t len, size_t off, size_t *line,
    size_t *col)
{
	size_t	 i;

	*line = *col = 1;
	for (i = 0; i < off && i < len; i++) {
		if (buf[i] == '\n') {
			(*line)++;
			*col = 1;
		} else
			(*col)++;
	}
}

static int
fail(struct scan *s, size_t off, const char *text)
{
	struct hujson_error	*e = s->s_err;

	if (e == NULL)
		return -1;
	e->he_off = off;
	hujson_position(s->s_buf, s->s_len, off, &e->he_line, &e->he_col);
	(void)snprintf(e->he_text, sizeof(e->he_text), "%s", text);
	return -1;
}

static int
fail_char(struct scan *s, const char *where)
{
	char	 text[HUJSON_ERRLEN];
	uint8_t	 c = (uint8_t)s->s_buf[s->s_off];

	if (c > 0x20 && c < 0x7f)
		(void)snprintf(text, sizeof(text),
		    "unexpected character '%c' %s", c, where);
	else
		(void)snprintf(text, sizeof(text),
		    "unexpected byte 0x%02x %s", c, where);
	return fail(s, s->s_off, text);
}

static void
blank(struct scan *s, size_t from, size_t to)
{
	for (; from < to; from++)
		s->s_blank[from / 8] |= (uint8_t)(1 << (from % 8));
}

size_t
hujson_utf8(const uint8_t *p, size_t len)
{
	size_t	 i, n;

	if (p[0] < 0x80)
		return 1;
	n = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 :
	    (p[0] & 0xf0) == 0xe0 ? 3 :
	    p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
	if (n == 0 || n > len)
		return 0;
	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Too long a form, a surrogate, above U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static int
comment_check(struct scan *s, size_t from, size_t to)
{
	size_t	 i, n;

	for (i = from; i < to; i += n) {
		n = hujson_utf8((const uint8_t *)s->s_buf + i, to - i);
		if (n == 0)
			return fail(s, from, "invalid UTF-8 in comment");
	}
	return 0;
}

/* At a slash: a comment, which is blanked but for its line ends. */
static int
skip_comment(struct scan *s)
{
	const char	*b = s->s_buf;
	size_t		 i, start = s->s_off;

	if (start + 1 == s->s_len ||
	    (b[start + 1] != '/' && b[start + 1] != '*'))
		return fail_char(s, "(it begins no comment)");
	if (b[start + 1] == '/') {
		for (i = start + 2; i < s->s_len && b[i] != '\n'; i++)
			;
		if (i == s->s_len)
			return fail(s, start, "comment without line end");
		i++;
	} else {
		for (i = start + 2; i + 1 < s->s_len; i++)
			if (b[i] == '*' && b[i + 1] == '/')
				break;
		if (i + 1 >= s->s_len)
			return fail(s, start, "comment without end");
		i += 2;
	}
	if (comment_check(s, start, i) == -1)
		return -1;
	for (s->s_off = i, i = start; i < s->s_off; i++)
		if (b[i] != '\n' && b[i] != '\r')
			blank(s, i, i + 1);
	return 0;
}

static int
skip_space(struct scan *s)
{
	for (; s->s_off < s->s_len; s->s_off++) {
		switch (s->s_buf[s->s_off]) {
		case ' ':
		case '\t':
		case '\r':
		case '\n':
			continue;
		case '/':
			if (skip_comment(s) == -1)
				return -1;
			s->s_off--;
			continue;
		default:
			return 0;
		}
	}
	return 0;
}

static int
scan_string(struct scan *s)
{
	const char	*b = s->s_buf;
	size_t		 i, j, start = s->s_off;

	for (i = start + 1; i < s->s_len; i++) {
		if (b[i] == '"') {
			s->s_off = i + 1;
			return 0;
		}
		if ((uint8_t)b[i] < 0x20)
			return fail(s, i, "control character in string");
		if (b[i] != '\\')
			continue;
		if (++i == s->s_len)
			break;
		if (b[i] == 'u') {
			for (j = 0; j < 4; j++)
				if (++i == s->s_len ||
				    hex_digit(b[i]) == -1)
					return fail(s, start,
					    "bad \\u in string");
		} else if (b[i] == '\0' || strchr("\"\\/bfnrt", b[i]) == NULL)
			return fail(s, start, "bad \\ in string");
	}
	return fail(s, s->s_len, "string without end");
}

static int
is_literal(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') || c == '-' || c == '+' || c == '.';
}

static int
number_ok(const char *p, size_t n)
{
	size_t	 i = 0, j;

	if (i < n && p[i] == '-')
		i++;
	if (i == n || p[i] < '0' || p[i] > '9')
		return 0;
	if (p[i] == '0')
		i++;
	else
		while (i < n && p[i] >= '0' && p[i] <= '9')
			i++;
	if (i < n && p[i] == '.') {
		for (j = ++i; i < n && p[i] >= '0' && p[i] <= '9'; i++)
			;
		if (i == j)
			return 0;
	}
	if (i < n && (p[i] == 'e' || p[i] == 'E')) {
		if (++i < n && (p[i] == '+' || p[i] == '-'))
			i++;
		for (j = i; i < n && p[i] >= '0' && p[i] <= '9'; i++)
			;
		if (i == j)
			return 0;
	}
	return i == n;
}

/* true, false, null or a number; returns 0 and moves past it. */
static int
scan_literal(struct scan *s)
{
	const char	*p = s->s_buf + s->s_off;
	size_t		 n;

	for (n = 0; n < s->s_len - s->s_off && is_literal(p[n]); n++)
		;
	if (n == 0)
		return fail_char(s, "at start of value");
	if (!(n == 4 && memcmp(p, "true", 4) == 0) &&
	    !(n == 5 && memcmp(p, "false", 5) == 0) &&
	    !(n == 4 && memcmp(p, "null", 4) == 0) && !number_ok(p, n))
		return fail(s, s->s_off, "invalid literal");
	s->s_off += n;
	return 0;
}

static int
open_bracket(struct scan *s, char c)
{
	if (s->s_depth == HUJSON_MAX_DEPTH)
		return fail(s, s->s_off, "nested too deep");
	s->s_open[s->s_depth++] = c;
	s->s_state = c == '{' ? ST_FIRSTNAME : ST_FIRST;
	s->s_comma = SIZE_MAX;
	s->s_off++;
	return 0;
}

static int
close_bracket(struct scan *s)
{
	if (s->s_comma != SIZE_MAX)
		blank(s, s->s_comma, s->s_comma + 1);
	s->s_comma = SIZE_MAX;
	s->s_depth--;
	s->s_off++;
	return after_value(s);
}

static int
after_value(struct scan *s)
{
	s->s_state = s->s_depth == 0 ? ST_END : ST_AFTER;
	return 0;
}

static int
scan_value(struct scan *s)
{
	char	 c = s->s_buf[s->s_off];
	int	 r;

	s->s_comma = SIZE_MAX;
	if (c == '{' || c == '[')
		return open_bracket(s, c);
	r = c == '"' ? scan_string(s) : scan_literal(s);
	return r == -1 ? -1 : after_value(s);
}

/* One token; c is the character it starts with. */
static int
step(struct scan *s, char c)
{
	char	 open = s->s_depth > 0 ? s->s_open[s->s_depth - 1] : '\0';

	switch (s->s_state) {
	case ST_FIRST:
		if (c == ']')
			return close_bracket(s);
		/* FALLTHROUGH */
	case ST_VALUE:
		return scan_value(s);
	case ST_FIRSTNAME:
		if (c == '}')
			return close_bracket(s);
		/* FALLTHROUGH */
	case ST_NAME:
		if (c != '"')
			return fail_char(s, "at start of name");
		s->s_comma = SIZE_MAX;
		s->s_state = ST_COLON;
		return scan_string(s);
	case ST_COLON:
		if (c != ':')
			return fail_char(s, "after name (expecting ':')");
		s->s_off++;
		s->s_state = ST_VALUE;
		return 0;
	case ST_AFTER:
		if (c == (open == '{' ? '}' : ']'))
			return close_bracket(s);
		if (c != ',')
			return fail_char(s, open == '{' ?
			    "after value (expecting ',' or '}')" :
			    "after value (expecting ',' or ']')");
		s->s_comma = s->s_off++;
		/* After a comma the end may come, which makes it trailing. */
		s->s_state = open == '{' ? ST_FIRSTNAME : ST_FIRST;
		return 0;
	case ST_END:
	default:
		return fail_char(s, "after the value");
	}
}

static int
at_end(struct scan *s)
{
	if (s->s_state == ST_END)
		return 0;
	return fail(s, s->s_len, "unexpected end of text");
}

static int
scan_text(struct scan *s)
{
	for (;;) {
		if (skip_space(s) == -1)
			return -1;
		if (s->s_off == s->s_len)
			return at_end(s);
		if (step(s, s->s_buf[s->s_off]) == -1)
			return -1;
	}
}

int
hujson_standardize(char *buf, size_t len, struct hujson_error *err)
{
	struct scan	 s;
	size_t		 i;
	int		 r;

	memset(&s, 0, sizeof(s));
	s.s_buf = buf;
	s.s_len = len;
	s.s_err = err;
	s.s_comma = SIZE_MAX;
	s.s_state = ST_VALUE;
	if ((s.s_blank = calloc(len / 8 + 1, 1)) == NULL)
		return fail(&s, 0, "out of memory");
	if ((r = scan_text(&s)) == 0)
		for (i = 0; i < len; i++)
			if (s.s_blank[i / 8] >> (i % 8) & 1)
				buf[i] = ' ';
	free(s.s_blank);
	return r;
}
