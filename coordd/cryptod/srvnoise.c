/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The server's side of the control session's handshake.
 */

#include <string.h>

#include "blake2s.h"
#include "coordcrypt.h"
#include "keys.h"
#include "noise.h"

#define INIT_EPHEMERAL	5	/* where it stands in the initiation */

/* The set that a key belongs to; a stranger cannot aim at one. */
static int
seen_set(const struct srvseen *sv, const uint8_t *key, unsigned int *set)
{
	uint8_t	 mac[B2S_MAC_LEN];

	if (b2s_mac(mac, sv->sv_salt, sizeof(sv->sv_salt), key,
	    MSG_KEY_LEN) == -1)
		return -1;
	*set = (mac[0] | mac[1] << 8) % SRVSEEN_SETS;
	return 0;
}

static uint32_t
answer(const struct srvstate *ss, struct srvseen *sv, const uint8_t *random,
    const struct msg_srv_noise_in *in, struct msg_srv_noise_out *out)
{
	struct noise_session	 ns;
	const uint8_t		*e = in->msg + INIT_EPHEMERAL;
	uint8_t			 public[KEY_LEN];
	unsigned int		 i, set;

	if (noise_initiation_check(in->msg, sizeof(in->msg), 1) != NULL)
		return MSG_E_BAD;
	if (seen_set(sv, e, &set) == -1)
		return MSG_E_CRYPTO;
	for (i = 0; i < SRVSEEN_WAYS; i++)
		if (memcmp(sv->sv_key[set][i], e, MSG_KEY_LEN) == 0)
			return MSG_E_REPLAY;
	key_public(ss->ss_server, public);
	if (noise_respond(ss->ss_server, public, random, in->msg,
	    sizeof(in->msg), out->msg, &ns, out->machine,
	    &out->version) == -1)
		return MSG_E_CRYPTO;
	memcpy(sv->sv_key[set][sv->sv_next[set]], e, MSG_KEY_LEN);
	sv->sv_next[set] = (sv->sv_next[set] + 1) % SRVSEEN_WAYS;
	memcpy(out->tx, ns.ns_s2c, sizeof(out->tx));
	memcpy(out->rx, ns.ns_c2s, sizeof(out->rx));
	explicit_bzero(&ns, sizeof(ns));
	return MSG_OK;
}

void
srvnoise_answer(const struct srvstate *ss, struct srvseen *sv,
    const uint8_t *random, const struct msg_srv_noise_in *in,
    struct msg_srv_noise_out *out)
{
	uint32_t	 error;

	memset(out, 0, sizeof(*out));
	if ((error = answer(ss, sv, random, in, out)) != MSG_OK)
		memset(out, 0, sizeof(*out));	/* nothing half made */
	out->error = error;
}
