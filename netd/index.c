/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Session indices: random, unique, found by hash.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netd.h"

static struct idx_entry	*idx_slot(const struct idx_table *, uint32_t);
static void		 idx_grow(struct idx_table *);

/* Indices are random already: their low bits are the hash. */
static struct idx_entry *
idx_slot(const struct idx_table *it, uint32_t index)
{
	struct idx_entry	*ie;
	uint32_t		 i;

	for (i = index;; i++) {
		ie = &it->it_entry[i & (it->it_size - 1)];
		if (ie->ie_kind == IDX_FREE || ie->ie_index == index)
			return ie;
	}
}

static void
idx_grow(struct idx_table *it)
{
	struct idx_table	 old = *it;
	uint32_t		 i;

	it->it_size = old.it_size == 0 ? 64 : old.it_size * 2;
	it->it_entry = calloc(it->it_size, sizeof(*it->it_entry));
	if (it->it_entry == NULL)
		fatal(NULL);
	for (i = 0; i < old.it_size; i++)
		if (old.it_entry[i].ie_kind != IDX_FREE)
			*idx_slot(it, old.it_entry[i].ie_index) =
			    old.it_entry[i];
	free(old.it_entry);
}

uint32_t
idx_new(struct idx_table *it, enum idx_kind kind, void *ptr)
{
	struct idx_entry	*ie;
	uint32_t		 index;

	if (it->it_n * 2 >= it->it_size)
		idx_grow(it);
	do {
		index = arc4random();
	} while (index == 0 ||
	    (ie = idx_slot(it, index))->ie_kind != IDX_FREE);
	ie->ie_index = index;
	ie->ie_kind = kind;
	ie->ie_ptr = ptr;
	it->it_n++;
	return index;
}

struct idx_entry *
idx_find(const struct idx_table *it, uint32_t index)
{
	struct idx_entry	*ie;

	if (it->it_size == 0)
		return NULL;
	ie = idx_slot(it, index);
	return ie->ie_kind == IDX_FREE ? NULL : ie;
}

/* Entries behind the hole move up, so that look-ups still find them. */
void
idx_delete(struct idx_table *it, uint32_t index)
{
	struct idx_entry	*ie;
	uint32_t		 hole, i, home, mask = it->it_size - 1;

	if ((ie = idx_find(it, index)) == NULL)
		return;
	hole = ie - it->it_entry;
	for (i = (hole + 1) & mask; it->it_entry[i].ie_kind != IDX_FREE;
	    i = (i + 1) & mask) {
		home = it->it_entry[i].ie_index & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		it->it_entry[hole] = it->it_entry[i];
		hole = i;
	}
	memset(&it->it_entry[hole], 0, sizeof(*it->it_entry));
	it->it_n--;
}
