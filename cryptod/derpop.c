/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Logins to relays with the node key. What is sealed is one text, and what
 * an answer says leaves as numbers: this is no way to seal or open any other
 * box of the node's.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "cryptod.h"
#include "derp.h"
#include "keys.h"
#include "os.h"

#define NSEC_PER_SEC	1000000000LL

static const char	 login[] = "{\"version\":2,\"CanAckPings\":true}";

/* The relay whose answer may come; the oldest gives way. */
static struct derpop_login *
login_slot(struct derpop *d, const uint8_t *server)
{
	struct derpop_login	*old = &d->d_login[0];
	unsigned int		 i;

	for (i = 0; i < DERPOP_LOGINS; i++) {
		if (d->d_login[i].dl_until != 0 &&
		    memcmp(d->d_login[i].dl_server, server, KEY_LEN) == 0)
			return &d->d_login[i];
		if (d->d_login[i].dl_until < old->dl_until)
			old = &d->d_login[i];
	}
	return old;
}

uint32_t
derpop_seal(struct derpop *d, const uint8_t *node, const uint8_t *server,
    int64_t now, const uint8_t *nonce, struct msg_derp_sealed *out)
{
	struct derpop_login	*dl;
	uint8_t			 box[KEY_LEN];

	memset(out, 0, sizeof(*out));
	memcpy(out->server, server, sizeof(out->server));
	if (key_is_zero(node, KEY_LEN))
		return out->error = MSG_E_NOKEY;
	key_public(node, out->node);
	if (key_is_zero(server, KEY_LEN) ||
	    memcmp(server, out->node, KEY_LEN) == 0 ||
	    key_box_precompute(node, server, box) == -1)
		return out->error = MSG_E_CRYPTO;
	key_box_seal(box, nonce, (const uint8_t *)login, sizeof(login) - 1,
	    out->box);
	out->len = sizeof(login) - 1 + KEY_BOX_OVERHEAD;
	explicit_bzero(box, sizeof(box));
	dl = login_slot(d, server);
	memcpy(dl->dl_server, server, sizeof(dl->dl_server));
	dl->dl_until = now + DERPOP_AGE * NSEC_PER_SEC;
	return out->error = MSG_OK;
}

static int
box_open(const uint8_t *node, const struct msg_derp_open *in,
    struct derp_server_info *si)
{
	uint8_t	 box[KEY_LEN], plain[DERP_ANSWER_MAX];
	int	 ret = -1;

	if (key_box_precompute(node, in->server, box) == -1)
		return -1;
	if (key_box_open(box, in->box, in->len, plain) == 0)
		ret = derp_server_info_scan(plain,
		    in->len - KEY_BOX_OVERHEAD, si);
	explicit_bzero(plain, sizeof(plain));
	explicit_bzero(box, sizeof(box));
	return ret;
}

uint32_t
derpop_open(struct derpop *d, const uint8_t *node,
    const struct msg_derp_open *in, int64_t now, struct msg_derp_opened *out)
{
	struct derp_server_info	 si;
	struct derpop_login	*dl;

	memset(out, 0, sizeof(*out));
	if (in->len < KEY_BOX_OVERHEAD || in->len > sizeof(in->box))
		return out->error = MSG_E_BAD;
	if (key_is_zero(node, KEY_LEN))
		return out->error = MSG_E_NOKEY;
	dl = login_slot(d, in->server);
	if (dl->dl_until < now ||
	    memcmp(dl->dl_server, in->server, KEY_LEN) != 0)
		return out->error = MSG_E_STALE;
	dl->dl_until = 0;
	if (box_open(node, in, &si) == -1)
		return out->error = MSG_E_CRYPTO;
	if (si.si_version >= 0 && si.si_version <= UINT32_MAX)
		out->version = si.si_version;
	if (si.si_rate > 0)
		out->rate = si.si_rate;
	if (si.si_burst > 0)
		out->burst = si.si_burst;
	return out->error = MSG_OK;
}

void
derpop_clear(struct derpop *d)
{
	memset(d, 0, sizeof(*d));
}
