/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Handshakes with the control server: the machine key's part, and the pin.
 */

#include <string.h>

#include "cryptod.h"
#include "keys.h"
#include "noise.h"

#define NSEC_PER_SEC	1000000000LL

struct noiseop {
	struct noise_handshake	 no_hs;
	struct state_pin	 no_server;
	int64_t			 no_begun;
	uint32_t		 no_id;
	int			 no_used;
};

size_t
noiseop_size(void)
{
	return NOISEOP_MAX * sizeof(struct noiseop);
}

static void
noiseop_free(struct noiseop *no)
{
	explicit_bzero(no, sizeof(*no));
}

static struct noiseop *
noiseop_find(struct noiseop *ops, uint32_t id)
{
	unsigned int	 i;

	for (i = 0; i < NOISEOP_MAX; i++)
		if (ops[i].no_used && ops[i].no_id == id)
			return &ops[i];
	return NULL;
}

/* That of the same id, a free one, or the oldest. */
static struct noiseop *
noiseop_take(struct noiseop *ops, uint32_t id)
{
	struct noiseop	*no;
	unsigned int	 i;

	if ((no = noiseop_find(ops, id)) == NULL) {
		no = &ops[0];
		for (i = 1; i < NOISEOP_MAX && no->no_used; i++)
			if (!ops[i].no_used ||
			    ops[i].no_begun < no->no_begun)
				no = &ops[i];
	}
	noiseop_free(no);
	return no;
}

/* The pinned key or any, if there is none; a changed one is refused. */
static int
pin_agrees(const struct state *st, const char *url, const uint8_t *server)
{
	const uint8_t	*pin;

	return (pin = state_pin_get(st, url)) == NULL ||
	    memcmp(pin, server, MSG_KEY_LEN) == 0;
}

uint32_t
noiseop_start(struct noiseop *ops, const struct state *st, uint32_t id,
    const struct msg_noise_start *ms, int64_t now, const uint8_t *random,
    uint8_t *msg)
{
	struct noiseop	*no;
	const uint8_t	*server;
	uint8_t		 public[KEY_LEN];

	if (ms->url[0] == '\0')
		return MSG_E_BAD;
	if (key_is_zero(st->st_machine, KEY_LEN))
		return MSG_E_NOKEY;
	server = ms->server;
	if (key_is_zero(server, KEY_LEN) &&
	    (server = state_pin_get(st, ms->url)) == NULL)
		return MSG_E_NOKEY;
	if (!pin_agrees(st, ms->url, server))
		return MSG_E_PIN;
	no = noiseop_take(ops, id);
	key_public(st->st_machine, public);
	if (noise_initiate(&no->no_hs, ms->version, st->st_machine, public,
	    server, random, msg) == -1) {
		noiseop_free(no);
		return MSG_E_CRYPTO;
	}
	no->no_used = 1;
	no->no_id = id;
	no->no_begun = now;
	(void)strlcpy(no->no_server.sp_url, ms->url,
	    sizeof(no->no_server.sp_url));
	memcpy(no->no_server.sp_key, server, MSG_KEY_LEN);
	return MSG_OK;
}

static uint32_t
noiseop_end(struct noiseop *no, const struct state *st,
    const struct msg_noise_msg2 *m2, int64_t now, struct msg_noise_keys *mk)
{
	struct noise_session	 ns;

	if (now - no->no_begun > NOISEOP_AGE * NSEC_PER_SEC)
		return MSG_E_TIMEOUT;
	/* Another handshake may have pinned another key meanwhile. */
	if (!pin_agrees(st, no->no_server.sp_url, no->no_server.sp_key))
		return MSG_E_PIN;
	if (noise_finish(&no->no_hs, st->st_machine, m2->msg,
	    sizeof(m2->msg), &ns) == -1)
		return MSG_E_CRYPTO;
	memcpy(mk->tx, ns.ns_c2s, sizeof(mk->tx));
	memcpy(mk->rx, ns.ns_s2c, sizeof(mk->rx));
	memcpy(mk->hash, ns.ns_hash, sizeof(mk->hash));
	explicit_bzero(&ns, sizeof(ns));
	return MSG_OK;
}

uint32_t
noiseop_finish(struct noiseop *ops, const struct state *st, uint32_t id,
    const struct msg_noise_msg2 *m2, int64_t now, struct msg_noise_keys *mk,
    struct state_pin *pin)
{
	struct noiseop	*no;
	uint32_t	 error;

	if ((no = noiseop_find(ops, id)) == NULL)
		return MSG_E_STALE;
	error = noiseop_end(no, st, m2, now, mk);
	*pin = no->no_server;
	noiseop_free(no);
	return error;
}

void
noiseop_cancel(struct noiseop *ops, uint32_t id)
{
	struct noiseop	*no;

	if ((no = noiseop_find(ops, id)) != NULL)
		noiseop_free(no);
}

void
noiseop_clear(struct noiseop *ops)
{
	explicit_bzero(ops, noiseop_size());
}
