/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * JSON as a tree that knows where in the text each value is.
 */

#include <stdlib.h>
#include <string.h>

#include "hujson.h"
#include "policy_int.h"

struct reader {
	struct ptree	*r_t;
	const char	*r_text;
	size_t		 r_len;
	size_t		 r_off;
	uint32_t	 r_open[HUJSON_MAX_DEPTH];	/* nodes */
	uint32_t	 r_last[HUJSON_MAX_DEPTH];	/* their last child */
	unsigned int	 r_depth;
};

static int	 hex4(const char *);
static size_t	 utf8_put(char *, uint32_t);
static size_t	 escape(const char *, char *, size_t *);
static char	*read_string(struct reader *);
static uint32_t	 node_new(struct reader *, char *);
static int	 read_value(struct reader *, char *);
static int	 read_all(struct reader *);

static int
hex4(const char *s)
{
	int	 i, v = 0;

	for (i = 0; i < 4; i++)
		v = v * 16 + (s[i] <= '9' ? s[i] - '0' :
		    (s[i] | 0x20) - 'a' + 10);
	return v;
}

static size_t
utf8_put(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* At a backslash: what it stands for; returns how many bytes it took. */
static size_t
escape(const char *s, char *out, size_t *nout)
{
	static const char	 from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char		*p;
	uint32_t		 c, low;

	if (s[1] != 'u') {
		p = strchr(from, s[1]);
		out[0] = p != NULL ? to[p - from] : s[1];
		*nout = 1;
		return 2;
	}
	c = (uint32_t)hex4(s + 2);
	if (c >= 0xd800 && c <= 0xdbff && s[6] == '\\' && s[7] == 'u') {
		low = (uint32_t)hex4(s + 8);
		if (low >= 0xdc00 && low <= 0xdfff) {
			*nout = utf8_put(out, 0x10000 +
			    ((c - 0xd800) << 10) + (low - 0xdc00));
			return 12;
		}
	}
	if (c >= 0xd800 && c <= 0xdfff)
		c = 0xfffd;		/* half a pair */
	*nout = utf8_put(out, c);
	return 6;
}

/* A string's value never is longer than what stands in the text. */
static char *
read_string(struct reader *r)
{
	struct ptree	*t = r->r_t;
	const char	*s = r->r_text;
	char		*start = t->pt_pool + t->pt_used;
	size_t		 i, n, nout, begin = r->r_off;

	for (i = begin + 1; s[i] != '"'; i += n) {
		if (s[i] == '\\') {
			n = escape(s + i, t->pt_pool + t->pt_used, &nout);
		} else {
			n = hujson_utf8((const uint8_t *)s + i, r->r_len - i);
			memcpy(t->pt_pool + t->pt_used, s + i, n);
			nout = n;
		}
		if (n == 0 || t->pt_pool[t->pt_used] == '\0') {
			t->pt_erroff = begin;
			return NULL;
		}
		t->pt_used += nout;
	}
	t->pt_pool[t->pt_used++] = '\0';
	r->r_off = i + 1;
	return start;
}

static uint32_t
node_new(struct reader *r, char *name)
{
	struct ptree	*t = r->r_t;
	struct pnode	*n;
	uint32_t	 cap, i, parent;

	if (t->pt_n == t->pt_cap) {
		cap = t->pt_cap == 0 ? 64 : t->pt_cap * 2;
		n = reallocarray(t->pt_node, cap, sizeof(*n));
		if (n == NULL) {
			t->pt_erroff = SIZE_MAX;
			return PN_NONE;
		}
		t->pt_node = n;
		t->pt_cap = cap;
	}
	i = t->pt_n++;
	n = &t->pt_node[i];
	memset(n, 0, sizeof(*n));
	n->pn_name = name;
	n->pn_off = (uint32_t)r->r_off;
	n->pn_child = n->pn_next = PN_NONE;
	if (r->r_depth > 0) {
		parent = r->r_open[r->r_depth - 1];
		if (t->pt_node[parent].pn_nchild++ == 0)
			t->pt_node[parent].pn_child = i;
		else
			t->pt_node[r->r_last[r->r_depth - 1]].pn_next = i;
		r->r_last[r->r_depth - 1] = i;
	}
	return i;
}

static int
read_value(struct reader *r, char *name)
{
	struct pnode	*n;
	uint32_t	 i;
	char		 c = r->r_text[r->r_off];

	if ((i = node_new(r, name)) == PN_NONE)
		return -1;
	n = &r->r_t->pt_node[i];
	if (c == '{' || c == '[') {
		n->pn_type = c == '{' ? PN_OBJECT : PN_ARRAY;
		r->r_open[r->r_depth++] = i;
		r->r_off++;
		return 0;
	}
	if (c == '"') {
		n->pn_type = PN_STRING;
		if ((n->pn_str = read_string(r)) == NULL)
			return -1;
	} else {
		n->pn_type = c == 't' ? PN_TRUE : c == 'f' ? PN_FALSE :
		    c == 'n' ? PN_NULL : PN_NUMBER;
		while (r->r_off < r->r_len &&
		    strchr(" \t\r\n,]}", r->r_text[r->r_off]) == NULL)
			r->r_off++;
	}
	n->pn_end = (uint32_t)r->r_off;
	return 0;
}

static int
read_all(struct reader *r)
{
	char	*name = NULL;

	for (; r->r_off < r->r_len;) {
		switch (r->r_text[r->r_off]) {
		case ' ':
		case '\t':
		case '\r':
		case '\n':
		case ',':
		case ':':
			r->r_off++;
			continue;
		case '}':
		case ']':
			r->r_off++;
			r->r_depth--;
			r->r_t->pt_node[r->r_open[r->r_depth]].pn_end =
			    (uint32_t)r->r_off;
			continue;
		default:
			break;
		}
		if (name == NULL && r->r_depth > 0 &&
		    r->r_t->pt_node[r->r_open[r->r_depth - 1]].pn_type ==
		    PN_OBJECT) {
			if ((name = read_string(r)) == NULL)
				return -1;
			continue;
		}
		if (read_value(r, name) == -1)
			return -1;
		name = NULL;
	}
	return 0;
}

int
ptree_parse(struct ptree *t, const char *text, size_t len)
{
	struct reader	 r;

	memset(t, 0, sizeof(*t));
	memset(&r, 0, sizeof(r));
	r.r_t = t;
	r.r_text = text;
	r.r_len = len;
	if ((t->pt_pool = malloc(len + 1)) == NULL) {
		t->pt_erroff = SIZE_MAX;
		return -1;
	}
	return read_all(&r);
}

void
ptree_free(struct ptree *t)
{
	free(t->pt_node);
	free(t->pt_pool);
	memset(t, 0, sizeof(*t));
}
