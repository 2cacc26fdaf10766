/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Own endpoints, put together of what several sources know; pure, with the
 * clock handed in (dataplane.md 2.8).
 */

#include <sys/types.h>

#include <string.h>

#include "netcheck.h"

static int	 ep_place_eq(const struct msg_endpoint *,
		    const struct msg_endpoint *);
static size_t	 cache_find(const struct ep_cache *,
		    const struct msg_endpoint *);
static void	 cache_drop(struct ep_cache *, size_t);
static void	 cache_put(struct ep_cache *, const struct msg_endpoint *,
		    int64_t);

/* The same address and port, whatever it was found by. */
static int
ep_place_eq(const struct msg_endpoint *a, const struct msg_endpoint *b)
{
	return a->af == b->af && a->port == b->port &&
	    memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

void
ep_add(struct ep_set *s, const struct msg_endpoint *ep)
{
	size_t	 i;

	for (i = 0; i < s->s_n; i++)
		if (ep_place_eq(&s->s_ep[i], ep))
			return;
	if (s->s_n < MSG_LIST_MAX)
		s->s_ep[s->s_n++] = *ep;
}

void
ep_add_addr(struct ep_set *s, const struct addr *a, uint8_t type)
{
	struct msg_endpoint	 ep;

	addr_to_ep(a, &ep);
	ep.type = type;
	ep.scope = 0;
	ep_add(s, &ep);
}

int
ep_has_type(const struct ep_set *s, uint8_t type)
{
	size_t	 i;

	for (i = 0; i < s->s_n; i++)
		if (s->s_ep[i].type == type)
			return 1;
	return 0;
}

int
ep_same(const struct ep_set *a, const struct ep_set *b)
{
	size_t	 i, j;

	if (a->s_n != b->s_n)
		return 0;
	for (i = 0; i < a->s_n; i++) {
		for (j = 0; j < b->s_n; j++)
			if (memcmp(&a->s_ep[i], &b->s_ep[j],
			    sizeof(a->s_ep[i])) == 0)
				break;
		if (j == b->s_n)
			return 0;
	}
	return 1;
}

static size_t
cache_find(const struct ep_cache *c, const struct msg_endpoint *ep)
{
	size_t	 i;

	for (i = 0; i < c->c_n; i++)
		if (ep_place_eq(&c->c_old[i].o_ep, ep) &&
		    c->c_old[i].o_ep.type == ep->type)
			break;
	return i;
}

static void
cache_drop(struct ep_cache *c, size_t i)
{
	c->c_n--;
	memmove(&c->c_old[i], &c->c_old[i + 1],
	    (c->c_n - i) * sizeof(c->c_old[0]));
}

/* The oldest of its address makes room, or the oldest of all. */
static void
cache_put(struct ep_cache *c, const struct msg_endpoint *ep, int64_t until)
{
	size_t	 i, same = 0, first = c->c_n;

	for (i = 0; i < c->c_n; i++) {
		if (c->c_old[i].o_ep.af != ep->af || memcmp(ep->addr,
		    c->c_old[i].o_ep.addr, sizeof(ep->addr)) != 0)
			continue;
		if (first == c->c_n)
			first = i;
		same++;
	}
	if (same >= EP_CACHE_PER_IP)
		cache_drop(c, first);
	else if (c->c_n == EP_CACHE_MAX)
		cache_drop(c, 0);
	c->c_old[c->c_n].o_ep = *ep;
	c->c_old[c->c_n++].o_until = until;
}

void
ep_cache_update(struct ep_cache *c, struct ep_set *s, int64_t now)
{
	size_t	 i, k, n = s->s_n;

	/* What is seen again goes to the end: oldest first stays true. */
	for (i = 0; i < n; i++)
		if ((k = cache_find(c, &s->s_ep[i])) < c->c_n) {
			cache_drop(c, k);
			cache_put(c, &s->s_ep[i], now + EP_CACHE_TIME);
		}
	while (c->c_n > 0 && c->c_old[0].o_until < now)
		cache_drop(c, 0);
	for (i = 0; i < n; i++)
		if (cache_find(c, &s->s_ep[i]) == c->c_n)
			cache_put(c, &s->s_ep[i], now + EP_CACHE_TIME);
	for (i = 0; i < c->c_n; i++)
		ep_add(s, &c->c_old[i].o_ep);
}
