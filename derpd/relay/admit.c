/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The admission call as text: what is asked, what is answered; and the file
 * of keys that are let in. Pure functions.
 * Source: dataplane.md section 3.5.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admit.h"
#include "jsonutil.h"
#include "keys.h"

#define BODY_MAX	4096

ssize_t
admit_request(const char *host, uint16_t port, const char *path,
    const uint8_t key[KEY_LEN], const char *source, char *buf, size_t size)
{
	const char	*open = "", *close = "";
	char		 text[KEY_TEXT_MAX], body[256];
	int		 n;

	if (strchr(host, ':') != NULL) {
		open = "[";
		close = "]";
	}
	(void)key_print(KEY_NODE, key, text, sizeof(text));
	n = snprintf(body, sizeof(body),
	    "{\"NodePublic\":\"%s\",\"Source\":\"%s\"}", text, source);
	if (n < 0 || (size_t)n >= sizeof(body))
		return -1;
	/* HTTP/1.0: the answer comes in one piece and ends the connection. */
	n = snprintf(buf, size, "POST %s HTTP/1.0\r\nHost: %s%s%s:%u\r\n"
	    "User-Agent: derpd\r\nContent-Type: application/json\r\n"
	    "Content-Length: %d\r\n\r\n%s", path, open, host, close, port, n,
	    body);
	return n < 0 || (size_t)n >= size ? -1 : n;
}

static int
body_allows(const char *body, size_t len)
{
	static const char *const names[] = { "Allow" };
	json_t	*doc, *v[1];
	uint8_t	 allow = 0;

	if (len > BODY_MAX || (doc = ju_load(body, len)) == NULL)
		return -1;
	if (!json_is_object(doc) || ju_fields(doc, names, 1, v) == -1 ||
	    ju_bool(v[0], &allow) == -1)
		allow = 0;
	json_decref(doc);
	return allow ? 1 : -1;
}

/* A field of the head: the length of the body, if it tells. 0, or -1. */
static int
head_field(const char *line, size_t len, size_t *body)
{
	static const char	 name[] = "Content-Length:";
	const char		*why;
	char			 digits[8];
	size_t			 n;

	if (len >= 18 && strncasecmp(line, "Transfer-Encoding:", 18) == 0)
		return -1;
	if (len < sizeof(name) - 1 ||
	    strncasecmp(line, name, sizeof(name) - 1) != 0)
		return 0;
	line += sizeof(name) - 1;
	len -= sizeof(name) - 1;
	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	for (n = 0; n < len && line[n] >= '0' && line[n] <= '9'; n++)
		;
	if (n == 0 || n >= sizeof(digits))
		return -1;
	memcpy(digits, line, n);
	digits[n] = '\0';
	*body = strtonum(digits, 0, BODY_MAX, &why);
	return why == NULL ? 0 : -1;
}

int
admit_response(const char *buf, size_t len, int end)
{
	const char	*nl, *p = buf, *line;
	size_t		 body = SIZE_MAX, have;

	if (len > ADMIT_MAX)
		return -1;
	while ((nl = memchr(p, '\n', len - (p - buf))) != NULL) {
		line = p;
		p = nl + 1;
		if (nl > line && nl[-1] == '\r')
			nl--;
		if (line == buf) {
			if (nl - line < 12 || (strncmp(line, "HTTP/1.0 200",
			    12) != 0 && strncmp(line, "HTTP/1.1 200",
			    12) != 0) || (nl - line > 12 && line[12] != ' '))
				return -1;
		} else if (nl == line)
			break;
		else if (head_field(line, nl - line, &body) == -1)
			return -1;
	}
	if (nl == NULL)
		return end || len == ADMIT_MAX ? -1 : 0;
	have = len - (p - buf);
	if (body != SIZE_MAX && have >= body)
		return body_allows(p, body);
	if (end)
		return body == SIZE_MAX ? body_allows(p, have) : -1;
	return len == ADMIT_MAX ? -1 : 0;
}

static int
key_cmp(const void *a, const void *b)
{
	return memcmp(a, b, KEY_LEN);
}

/* A line: 1 and its key, 0: there is none, -1. */
static int
list_line(const char *p, size_t len, uint8_t key[KEY_LEN])
{
	size_t	 n;

	while (len > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	for (n = 0; n < len && p[n] != ' ' && p[n] != '\t' && p[n] != '#' &&
	    p[n] != '\r'; n++)
		;
	if (n == 0)
		return len == 0 || *p == '#' || *p == '\r' ? 0 : -1;
	return key_parse(KEY_NODE, p, n, key) == -1 ? -1 : 1;
}

int
admit_list(struct admit_list *al, const char *text, size_t len,
    unsigned int *line)
{
	const char	*nl;
	uint8_t		*keys;
	size_t		 n;
	int		 ret;

	memset(al, 0, sizeof(*al));
	for (*line = 1; len > 0; (*line)++) {
		nl = memchr(text, '\n', len);
		n = nl == NULL ? len : (size_t)(nl - text);
		if (al->al_n % 1024 == 0) {
			if (al->al_n >= ADMIT_LIST_MAX ||
			    (keys = reallocarray(al->al_keys, al->al_n + 1024,
			    KEY_LEN)) == NULL)
				goto bad;
			al->al_keys = keys;
		}
		if ((ret = list_line(text, n,
		    al->al_keys + al->al_n * KEY_LEN)) == -1)
			goto bad;
		al->al_n += ret;
		n += nl != NULL;
		text += n;
		len -= n;
	}
	if (al->al_n > 0)
		qsort(al->al_keys, al->al_n, KEY_LEN, key_cmp);
	return 0;
bad:
	admit_list_free(al);
	return -1;
}

void
admit_list_free(struct admit_list *al)
{
	free(al->al_keys);
	memset(al, 0, sizeof(*al));
}

int
admit_list_has(const struct admit_list *al, const uint8_t key[KEY_LEN])
{
	return al->al_n > 0 && bsearch(key, al->al_keys, al->al_n, KEY_LEN,
	    key_cmp) != NULL;
}
