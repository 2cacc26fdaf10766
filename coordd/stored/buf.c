/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A growing text, for JSON that is sent many times and must be cheap.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonutil.h"
#include "log.h"
#include "stored.h"

static void
buf_room(struct buf *b, size_t len)
{
	size_t	 cap = b->b_cap == 0 ? 256 : b->b_cap;
	char	*p;

	if (len >= SIZE_MAX / 2 - b->b_len)
		fatalx("text too long");
	while (cap - b->b_len <= len)
		cap *= 2;
	if (cap == b->b_cap)
		return;
	if ((p = realloc(b->b_text, cap)) == NULL)
		fatal(NULL);
	b->b_text = p;
	b->b_cap = cap;
}

void
buf_add(struct buf *b, const void *data, size_t len)
{
	if (b->b_cap - b->b_len <= len)
		buf_room(b, len);
	if (len > 0)
		memcpy(b->b_text + b->b_len, data, len);
	b->b_len += len;
	b->b_text[b->b_len] = '\0';
}

void
buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list	 ap;
	char	 tmp[1024];
	int	 n;

	va_start(ap, fmt);
	n = vsnprintf(tmp, sizeof(tmp), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		fatalx("%s: text too long", __func__);
	buf_add(b, tmp, (size_t)n);
}

void
buf_json(struct buf *b, const char *s)
{
	const char	*run;
	unsigned char	 c;

	buf_add(b, "\"", 1);
	for (run = s; s != NULL && *s != '\0'; s++) {
		c = (unsigned char)*s;
		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		buf_add(b, run, (size_t)(s - run));
		if (c == '"' || c == '\\')
			buf_fmt(b, "\\%c", c);
		else
			buf_fmt(b, "\\u%04x", c);
		run = s + 1;
	}
	if (s != NULL)
		buf_add(b, run, (size_t)(s - run));
	buf_add(b, "\"", 1);
}

void
buf_name(struct buf *b, const char *name)
{
	if (b->b_len > 0 && b->b_text[b->b_len - 1] != '{')
		buf_add(b, ",", 1);
	buf_add(b, "\"", 1);
	buf_str(b, name);
	buf_add(b, "\":", 2);
}

void
buf_time(struct buf *b, int64_t date)
{
	struct ju_time	 t;
	char		 text[JU_TIMETEXT];

	memset(&t, 0, sizeof(t));
	t.jt_set = 1;
	t.jt_sec = date / SEC;
	if (date % SEC < 0)
		t.jt_sec--;
	t.jt_nsec = (uint32_t)(date - t.jt_sec * SEC);
	buf_fmt(b, "\"%s\"", ju_time_format(&t, text, sizeof(text)));
}

void
buf_date(struct buf *b, const char *name, int64_t date)
{
	buf_name(b, name);
	if (date == 0)
		buf_str(b, "null");
	else
		buf_time(b, date);
}

void
buf_strs(struct buf *b, const char *name, char *const *list, size_t n)
{
	size_t	 i;

	buf_name(b, name);
	buf_str(b, "[");
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_str(b, ",");
		buf_json(b, list[i]);
	}
	buf_str(b, "]");
}

void
buf_free(struct buf *b)
{
	free(b->b_text);
	memset(b, 0, sizeof(*b));
}

char *
xstrdup(const char *s)
{
	char	*p;

	if (s == NULL)
		return NULL;
	if ((p = strdup(s)) == NULL)
		fatal(NULL);
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void	*p;

	if ((p = calloc(n, size)) == NULL)
		fatal(NULL);
	return p;
}

void *
xmemdup(const void *data, size_t len)
{
	void	*p;

	if (len == 0)
		return NULL;
	if ((p = malloc(len)) == NULL)
		fatal(NULL);
	memcpy(p, data, len);
	return p;
}
