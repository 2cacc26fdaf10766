/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Load by handshakes of strangers: cookies, and the rate of sources.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netd.h"

#define TOKEN		(NSEC / RATE_PER_SEC)
#define TOKENS_MAX	(RATE_BURST * TOKEN)

static size_t	 bucket_of(const struct srcrate *, const uint8_t *);
static void	 cookie_of(struct load *, const struct addr *, int64_t,
		    uint8_t *);

static size_t
bucket_of(const struct srcrate *r, const uint8_t *ip)
{
	uint64_t	 a, b, h;

	memcpy(&a, ip, 8);
	memcpy(&b, ip + 8, 8);
	h = (a ^ r->r_key) * 0x9e3779b97f4a7c15ULL;
	h = ((h ^ h >> 31) + b) * 0xd6e8feb86659fd93ULL;
	return (h ^ h >> 29) % RATE_BUCKETS;
}

/*
 * A bucket belongs to the last source that fell into it. The caller's
 * sources have proven by cookie that they are where they say.
 */
int
rate_allow(struct srcrate *r, const struct addr *a, int64_t now)
{
	int64_t	 *tokens;
	size_t	  i;

	if (r->r_key == 0)
		arc4random_buf(&r->r_key, sizeof(r->r_key));
	i = bucket_of(r, a->a_ip);
	tokens = &r->r_bucket[i].b_tokens;
	if (r->r_bucket[i].b_time == 0 ||
	    memcmp(r->r_bucket[i].b_ip, a->a_ip, 16) != 0) {
		memcpy(r->r_bucket[i].b_ip, a->a_ip, 16);
		*tokens = TOKENS_MAX;
	} else {
		*tokens += now - r->r_bucket[i].b_time;
		if (*tokens > TOKENS_MAX)
			*tokens = TOKENS_MAX;
	}
	r->r_bucket[i].b_time = now;
	if (*tokens < TOKEN)
		return 0;
	*tokens -= TOKEN;
	return 1;
}

static void
cookie_of(struct load *l, const struct addr *src, int64_t now,
    uint8_t *cookie)
{
	if (l->l_secret_time == 0 ||
	    now - l->l_secret_time >= WG_COOKIE_SECRET_TIME * NSEC) {
		arc4random_buf(l->l_secret, sizeof(l->l_secret));
		l->l_secret_time = now;
	}
	/* The whole of it: address, port, family. */
	if (wg_cookie_make(l->l_secret, (const uint8_t *)src, sizeof(*src),
	    cookie) == -1)
		fatal("cookie");
}

enum load_verdict
load_check(struct load *l, const uint8_t *msg, size_t len,
    const struct addr *src, int64_t now, uint8_t cookie[WG_COOKIE_LEN])
{
	if (l->l_pending >= LOAD_QUEUE_MAX)
		return LOAD_DROP;
	if (l->l_pending >= LOAD_QUEUE)
		l->l_until = now + LOAD_TAIL;
	if (now >= l->l_until)
		return LOAD_PASS;
	cookie_of(l, src, now, cookie);
	if (wg_mac2_check(msg, len, cookie) == -1)
		return LOAD_COOKIE;
	return rate_allow(&l->l_rate, src, now) ? LOAD_PASS : LOAD_DROP;
}
