/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The keys that a coordination server lets in, as it tells them.
 */

#include <sys/types.h>
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "keylist.h"
#include "log.h"

struct listed {
	RB_ENTRY(listed)	 l_entry;
	uint8_t			 l_key[KEY_LEN];
};

static int	listed_cmp(struct listed *, struct listed *);

RB_PROTOTYPE(listedkeys, listed, l_entry, listed_cmp);
RB_GENERATE(listedkeys, listed, l_entry, listed_cmp)

static int
listed_cmp(struct listed *a, struct listed *b)
{
	return memcmp(a->l_key, b->l_key, KEY_LEN);
}

static void
tree_free(struct listedkeys *t, size_t *n)
{
	struct listed	*l, *next;

	RB_FOREACH_SAFE(l, listedkeys, t, next) {
		RB_REMOVE(listedkeys, t, l);
		free(l);
	}
	*n = 0;
}

void
keylist_init(struct keylist *kl)
{
	memset(kl, 0, sizeof(*kl));
	RB_INIT(&kl->kl_keys);
	RB_INIT(&kl->kl_next);
}

void
keylist_free(struct keylist *kl)
{
	tree_free(&kl->kl_keys, &kl->kl_n);
	tree_free(&kl->kl_next, &kl->kl_nnext);
	keylist_init(kl);
}

void
keylist_begin(struct keylist *kl)
{
	tree_free(&kl->kl_next, &kl->kl_nnext);
	kl->kl_head = kl->kl_whole = 0;
}

int
keylist_has(const struct keylist *kl, const uint8_t key[KEY_LEN])
{
	struct listedkeys	 t = kl->kl_keys;
	struct listed		 want;

	memcpy(want.l_key, key, KEY_LEN);
	return RB_FIND(listedkeys, &t, &want) != NULL;
}

static int
key_add(struct keylist *kl, const uint8_t *key)
{
	struct listedkeys	*t = kl->kl_whole ? &kl->kl_keys :
				    &kl->kl_next;
	struct listed		*l;
	size_t			*n = kl->kl_whole ? &kl->kl_n : &kl->kl_nnext;

	if (*n >= KEYLIST_MAX)
		return -1;
	if ((l = malloc(sizeof(*l))) == NULL)
		fatal(NULL);
	memcpy(l->l_key, key, KEY_LEN);
	if (RB_INSERT(listedkeys, t, l) != NULL)
		free(l);
	else
		(*n)++;
	return 0;
}

static void
key_remove(struct keylist *kl, const uint8_t *key)
{
	struct listed	*l, want;

	memcpy(want.l_key, key, KEY_LEN);
	if ((l = RB_FIND(listedkeys, &kl->kl_keys, &want)) == NULL)
		return;
	RB_REMOVE(listedkeys, &kl->kl_keys, l);
	kl->kl_n--;
	free(l);
}

/* All that was to be said: at first, a whole list. */
static void
said(struct keylist *kl, int *what)
{
	*what |= KEYLIST_SAID;
	if (kl->kl_whole)
		return;
	tree_free(&kl->kl_keys, &kl->kl_n);
	kl->kl_keys = kl->kl_next;
	kl->kl_n = kl->kl_nnext;
	RB_INIT(&kl->kl_next);
	kl->kl_nnext = 0;
	kl->kl_whole = kl->kl_ever = 1;
	*what |= KEYLIST_FEWER;
}

static int
line(struct keylist *kl, const char *p, size_t len, int *what)
{
	uint8_t	 key[KEY_LEN];

	if (len == 1 && p[0] == '.') {
		said(kl, what);
		return 0;
	}
	if (len < 2 || key_parse(KEY_NODE, p + 1, len - 1, key) == -1)
		return -1;
	if (p[0] == '+')
		return key_add(kl, key);
	if (p[0] != '-' || !kl->kl_whole)
		return -1;
	key_remove(kl, key);
	*what |= KEYLIST_FEWER;
	return 0;
}

/* The head: status 200, and no coding of what follows. */
static ssize_t
head(struct keylist *kl, const char *buf, size_t len)
{
	const char	*nl, *p = buf;
	size_t		 n;

	while ((nl = memchr(p, '\n', len - (p - buf))) != NULL) {
		n = nl - p;
		if (n > 0 && p[n - 1] == '\r')
			n--;
		if (p == buf) {
			if (n < 12 || (strncmp(p, "HTTP/1.0 200", 12) != 0 &&
			    strncmp(p, "HTTP/1.1 200", 12) != 0) ||
			    (n > 12 && p[12] != ' '))
				return -1;
		} else if (n == 0) {
			kl->kl_head = 1;
			return nl + 1 - buf;
		} else if (n >= 18 &&
		    strncasecmp(p, "Transfer-Encoding:", 18) == 0)
			return -1;
		p = nl + 1;
	}
	return len < KEYLIST_HEAD ? 0 : -1;
}

ssize_t
keylist_input(struct keylist *kl, const char *buf, size_t len, int *what)
{
	const char	*nl;
	ssize_t		 n;
	size_t		 off = 0;

	*what = 0;
	if (!kl->kl_head) {
		if ((n = head(kl, buf, len)) <= 0)
			return n;
		off = n;
	}
	while ((nl = memchr(buf + off, '\n', len - off)) != NULL) {
		if (line(kl, buf + off, nl - (buf + off), what) == -1)
			return -1;
		off = nl + 1 - buf;
	}
	return len - off < KEYLIST_LINE ? (ssize_t)off : -1;
}
