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

#include "aead.h"
#include "wg.h"

struct wg_key {
	struct aead	*wk_aead;
};

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
	return wk;
}

void
wg_key_free(struct wg_key *wk)
{
	if (wk == NULL)
		return;
	aead_free(wk->wk_aead);
	free(wk);
}

ssize_t
wg_seal(struct wg_key *wk, uint8_t *pkt, const uint8_t *plain, size_t len,
    uint32_t receiver, uint64_t counter)
{
	uint8_t	 nonce[AEAD_NONCE_LEN];

	if (len > WG_MAX_PLAIN) {
		errno = EMSGSIZE;
		return -1;
	}
	if (counter >= WG_REJECT_AFTER_MESSAGES) {
		errno = ESTALE;
		return -1;
	}
	le32enc(nonce, 0);
	le64enc(nonce + 4, counter);
	if (aead_seal(wk->wk_aead, nonce, plain, len,
	    pkt + WG_TRANSPORT_HDR_LEN,
	    pkt + WG_TRANSPORT_HDR_LEN + len) == -1)
		return -1;
	le32enc(pkt, WG_MSG_TRANSPORT);
	le32enc(pkt + 4, receiver);
	le64enc(pkt + 8, counter);
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
