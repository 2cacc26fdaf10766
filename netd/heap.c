/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A heap of deadlines: a peer without one costs nothing.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>

#include "netd.h"

static void	 heap_place(struct heap *, uint32_t, struct heap_node *);
static void	 heap_up(struct heap *, uint32_t, struct heap_node *);
static void	 heap_down(struct heap *, uint32_t, struct heap_node *);

/* Positions count from 1, so that 0 means: not in the heap. */
static void
heap_place(struct heap *h, uint32_t pos, struct heap_node *hn)
{
	h->h_node[pos - 1] = hn;
	hn->hn_pos = pos;
}

static void
heap_up(struct heap *h, uint32_t pos, struct heap_node *hn)
{
	struct heap_node	*up;

	for (; pos > 1; pos /= 2) {
		up = h->h_node[pos / 2 - 1];
		if (up->hn_when <= hn->hn_when)
			break;
		heap_place(h, pos, up);
	}
	heap_place(h, pos, hn);
}

static void
heap_down(struct heap *h, uint32_t pos, struct heap_node *hn)
{
	uint32_t	 child;

	for (; (child = pos * 2) <= h->h_n; pos = child) {
		if (child < h->h_n && h->h_node[child]->hn_when <
		    h->h_node[child - 1]->hn_when)
			child++;
		if (h->h_node[child - 1]->hn_when >= hn->hn_when)
			break;
		heap_place(h, pos, h->h_node[child - 1]);
	}
	heap_place(h, pos, hn);
}

void
heap_set(struct heap *h, struct heap_node *hn, int64_t when)
{
	if (hn->hn_pos == 0) {
		if (h->h_n == h->h_size) {
			h->h_size = h->h_size == 0 ? 16 : h->h_size * 2;
			h->h_node = reallocarray(h->h_node, h->h_size,
			    sizeof(*h->h_node));
			if (h->h_node == NULL)
				fatal(NULL);
		}
		hn->hn_when = when;
		h->h_n++;
		heap_up(h, h->h_n, hn);
		return;
	}
	hn->hn_when = when;
	heap_up(h, hn->hn_pos, hn);
	heap_down(h, hn->hn_pos, hn);
}

void
heap_remove(struct heap *h, struct heap_node *hn)
{
	struct heap_node	*last;
	uint32_t		 pos = hn->hn_pos;

	if (pos == 0)
		return;
	hn->hn_pos = 0;
	last = h->h_node[--h->h_n];
	if (last == hn)
		return;
	heap_up(h, pos, last);
	heap_down(h, last->hn_pos, last);
}

struct heap_node *
heap_first(const struct heap *h)
{
	return h->h_n == 0 ? NULL : h->h_node[0];
}

void
heap_free(struct heap *h)
{
	free(h->h_node);
	h->h_node = NULL;
	h->h_n = h->h_size = 0;
}
