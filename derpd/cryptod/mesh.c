/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The key of the mesh. Logins that show it are told from others here: the
 * relay hears yes or no, and neither the key nor a guess of it.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "derp.h"
#include "derpcrypt.h"
#include "hexkey.h"
#include "keys.h"
#include "log.h"
#include "os.h"

#define HEX_LEN		(2 * DERP_KEY_LEN)

static struct meshkeys	*keys;		/* secret memory */

void
mesh_init(struct meshkeys *mk)
{
	keys = mk;
}

int
mesh_file(int fd)
{
	uint8_t	 key[HEXKEY_LEN];
	char	 text[HEXKEY_TEXT + 1];
	int	 ret;

	if ((ret = hexkey_read(fd, key)) == 0) {
		hexkey_print(key, text);
		memcpy(keys->mk_next, text, HEX_LEN);
		keys->mk_have_next = 1;
	} else
		log_warnx("the mesh key file must hold 64 hex digits, lower "
		    "case, and nothing else");
	explicit_bzero(key, sizeof(key));
	explicit_bzero(text, sizeof(text));
	return ret;
}

void
mesh_commit(void)
{
	memcpy(keys->mk_key, keys->mk_next, sizeof(keys->mk_key));
	keys->mk_have = keys->mk_have_next;
	mesh_abort();
}

void
mesh_abort(void)
{
	explicit_bzero(keys->mk_next, sizeof(keys->mk_next));
	keys->mk_have_next = 0;
}

/* The next meshKey of the text at p, its digits; NULL: none. */
static char *
find_key(char *p, char *end)
{
	static const char	 name[] = "\"meshKey\"";
	char			*q;

	for (; (q = memmem(p, end - p, name, sizeof(name) - 1)) != NULL;
	    p = q) {
		q += sizeof(name) - 1;
		while (q < end && (*q == ' ' || *q == ':'))
			q++;
		if (q < end && *q == '"' && end - ++q >= HEX_LEN)
			return q;
	}
	return NULL;
}

int
mesh_check(uint8_t *info, size_t len)
{
	char	*p = (char *)info, *end = p + len;
	int	 ok = 0;

	while ((p = find_key(p, end)) != NULL) {
		if (keys->mk_have && os_timingsafe_bcmp(p, keys->mk_key,
		    HEX_LEN) == 0)
			ok = 1;
		memset(p, '0', HEX_LEN);
		p += HEX_LEN;
	}
	return ok;
}

void
mesh_login(const uint8_t priv[MSG_KEY_LEN], const uint8_t server[MSG_KEY_LEN],
    struct msg_mesh_login *out)
{
	uint8_t	 box[KEY_LEN], nonce[KEY_BOX_NONCE_LEN];
	char	 info[160];
	size_t	 len;

	memset(out, 0, sizeof(*out));
	out->error = MSG_E_NOKEY;
	if (!keys->mk_have)
		return;
	out->error = MSG_E_CRYPTO;
	if (key_box_precompute(priv, server, box) == -1)
		return;
	len = snprintf(info, sizeof(info),
	    "{\"meshKey\":\"%.*s\",\"version\":%d,\"CanAckPings\":false}",
	    HEX_LEN, keys->mk_key, DERP_VERSION);
	derp_header(out->frame, DERP_CLIENT_INFO, KEY_LEN + len +
	    KEY_BOX_OVERHEAD);
	key_public(priv, out->frame + DERP_HDR_LEN);
	arc4random_buf(nonce, sizeof(nonce));
	key_box_seal(box, nonce, (const uint8_t *)info, len,
	    out->frame + DERP_HDR_LEN + KEY_LEN);
	out->len = DERP_HDR_LEN + KEY_LEN + len + KEY_BOX_OVERHEAD;
	out->error = MSG_OK;
	explicit_bzero(box, sizeof(box));
	explicit_bzero(info, sizeof(info));
}
