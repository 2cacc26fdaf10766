/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Key pairs of a peer and the slots that they move through.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "netd.h"

static void	(*guard)(void);

void
keypair_guard(void (*fn)(void))
{
	guard = fn;
}

struct keypair *
keypair_new(const uint8_t *send, const uint8_t *recv, uint32_t local,
    uint32_t remote, int initiator, int64_t now)
{
	struct keypair	*k;

	if ((k = calloc(1, sizeof(*k))) == NULL ||
	    (k->k_send = wg_key_new(send, 1)) == NULL ||
	    (k->k_recv = wg_key_new(recv, 0)) == NULL)
		fatal(NULL);
	wg_replay_init(&k->k_replay);
	k->k_local = local;
	k->k_remote = remote;
	k->k_initiator = initiator;
	k->k_created = now;
	return k;
}

void
keypair_delete(struct idx_table *it, struct keypair *k)
{
	if (k == NULL)
		return;
	if (guard != NULL)
		guard();
	idx_delete(it, k->k_local);
	wg_key_free(k->k_send);
	wg_key_free(k->k_recv);
	freezero(k, sizeof(*k));
}

int
keypair_usable(const struct keypair *k, int64_t now)
{
	return k != NULL &&
	    now - k->k_created < WG_REJECT_AFTER_TIME * NSEC &&
	    k->k_counter < WG_REJECT_AFTER_MESSAGES;
}

void
slots_initiator(struct slots *sl, struct idx_table *it, struct keypair *k)
{
	keypair_delete(it, sl->sl_prev);
	if (sl->sl_next != NULL) {
		sl->sl_prev = sl->sl_next;
		sl->sl_next = NULL;
		keypair_delete(it, sl->sl_cur);
	} else
		sl->sl_prev = sl->sl_cur;
	sl->sl_cur = k;
}

void
slots_responder(struct slots *sl, struct idx_table *it, struct keypair *k)
{
	keypair_delete(it, sl->sl_next);
	sl->sl_next = k;
	keypair_delete(it, sl->sl_prev);
	sl->sl_prev = NULL;
}

int
slots_received(struct slots *sl, struct idx_table *it, struct keypair *k)
{
	if (k != sl->sl_next)
		return 0;
	keypair_delete(it, sl->sl_prev);
	sl->sl_prev = sl->sl_cur;
	sl->sl_cur = sl->sl_next;
	sl->sl_next = NULL;
	return 1;
}

void
slots_wipe(struct slots *sl, struct idx_table *it)
{
	keypair_delete(it, sl->sl_prev);
	keypair_delete(it, sl->sl_cur);
	keypair_delete(it, sl->sl_next);
	memset(sl, 0, sizeof(*sl));
}
