/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * WireGuard transport messages: one direction of a session.
 * Source: dataplane.md section 1.1; WireGuard white paper, 5.4.6.
 */

#include <sys/types.h>
#include <sys/endian.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aead.h"
#include "chapoly.h"
#include "wg.h"

struct wg_key {
	struct aead	*wk_aead;
	uint8_t		 wk_key[WG_KEY_LEN];
};

static void	 put_header(uint8_t *, uint32_t, uint64_t);
static int	 may_seal(size_t, uint64_t);
static struct chapoly_job job_of(const struct wg_item *, size_t, uint64_t);

struct wg_key *
wg_key_new(const uint8_t key[WG_KEY_LEN], int seal)
{
	struct wg_key	*wk;

	if ((wk = calloc(1, sizeof(*wk))) == NULL)
		return NULL;
	if ((wk->wk_aead = aead_new(key, seal)) == NULL) {
		free(wk);
		errno = ENOMEM;
		return NULL;
	}
	memcpy(wk->wk_key, key, WG_KEY_LEN);
	return wk;
}

void
wg_key_free(struct wg_key *wk)
{
	if (wk == NULL)
		return;
	aead_free(wk->wk_aead);
	freezero(wk, sizeof(*wk));
}

static void
put_header(uint8_t *pkt, uint32_t receiver, uint64_t counter)
{
	le32enc(pkt, WG_MSG_TRANSPORT);
	le32enc(pkt + 4, receiver);
	le64enc(pkt + 8, counter);
}

/* 0, or -1 and errno. */
static int
may_seal(size_t len, uint64_t counter)
{
	if (len > WG_MAX_PLAIN) {
		errno = EMSGSIZE;
		return -1;
	}
	if (counter >= WG_REJECT_AFTER_MESSAGES) {
		errno = ESTALE;
		return -1;
	}
	return 0;
}

ssize_t
wg_seal(struct wg_key *wk, uint8_t *pkt, const uint8_t *plain, size_t len,
    uint32_t receiver, uint64_t counter)
{
	uint8_t	 nonce[AEAD_NONCE_LEN];

	if (may_seal(len, counter) == -1)
		return -1;
	le32enc(nonce, 0);
	le64enc(nonce + 4, counter);
	if (aead_seal(wk->wk_aead, nonce, plain, len,
	    pkt + WG_TRANSPORT_HDR_LEN,
	    pkt + WG_TRANSPORT_HDR_LEN + len) == -1)
		return -1;
	put_header(pkt, receiver, counter);
	return len + WG_TRANSPORT_OVERHEAD;
}

ssize_t
wg_open(struct wg_key *wk, const uint8_t *pkt, size_t len, uint8_t *plain)
{
	uint8_t	 nonce[AEAD_NONCE_LEN];

	if (len < WG_TRANSPORT_OVERHEAD) {
		errno = EBADMSG;
		return -1;
	}
	len -= WG_TRANSPORT_OVERHEAD;
	le32enc(nonce, 0);
	le64enc(nonce + 4, wg_counter(pkt));
	if (aead_open(wk->wk_aead, nonce, pkt + WG_TRANSPORT_HDR_LEN, len,
	    pkt + WG_TRANSPORT_HDR_LEN + len, plain) == -1)
		return -1;
	return len;
}

static struct chapoly_job
job_of(const struct wg_item *wi, size_t len, uint64_t counter)
{
	uint8_t	*data = wi->wi_pkt + WG_TRANSPORT_HDR_LEN;

	return (struct chapoly_job){
		.cj_key = wi->wi_key->wk_key, .cj_data = data,
		.cj_len = len, .cj_tag = data + len, .cj_counter = counter
	};
}

void
wg_seal_many(struct wg_item *wi, size_t n)
{
	struct chapoly_job	 job[WG_BATCH];
	size_t			 i, k = 0;

	if (n < chapoly_min() || n > WG_BATCH) {
		for (i = 0; i < n; i++)
			wi[i].wi_out = wg_seal(wi[i].wi_key, wi[i].wi_pkt,
			    wi[i].wi_pkt + WG_TRANSPORT_HDR_LEN,
			    wi[i].wi_len, wi[i].wi_receiver,
			    wi[i].wi_counter);
		return;
	}
	for (i = 0; i < n; i++) {
		wi[i].wi_out = may_seal(wi[i].wi_len, wi[i].wi_counter);
		if (wi[i].wi_out == -1)
			continue;
		wi[i].wi_out = wi[i].wi_len + WG_TRANSPORT_OVERHEAD;
		put_header(wi[i].wi_pkt, wi[i].wi_receiver,
		    wi[i].wi_counter);
		job[k++] = job_of(&wi[i], wi[i].wi_len, wi[i].wi_counter);
	}
	chapoly_seal(job, k);
}

void
wg_open_many(struct wg_item *wi, size_t n)
{
	struct chapoly_job	 job[WG_BATCH];
	size_t			 i, k = 0;

	if (n < chapoly_min() || n > WG_BATCH) {
		for (i = 0; i < n; i++)
			wi[i].wi_out = wg_open(wi[i].wi_key, wi[i].wi_pkt,
			    wi[i].wi_len,
			    wi[i].wi_pkt + WG_TRANSPORT_HDR_LEN);
		return;
	}
	for (i = 0; i < n; i++)
		if (wi[i].wi_len >= WG_TRANSPORT_OVERHEAD)
			job[k++] = job_of(&wi[i], wi[i].wi_len -
			    WG_TRANSPORT_OVERHEAD, wg_counter(wi[i].wi_pkt));
	chapoly_open(job, k);
	for (i = k = 0; i < n; i++) {
		wi[i].wi_out = -1;
		if (wi[i].wi_len < WG_TRANSPORT_OVERHEAD)
			continue;
		if (job[k++].cj_good)
			wi[i].wi_out = wi[i].wi_len - WG_TRANSPORT_OVERHEAD;
	}
}
