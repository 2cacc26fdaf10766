/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Fuzz: sequences of WireGuard operations between two key processes, as
 * netds in wrong hands might ask for them.
 */

/* link: ../../cryptod/wgop.c */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../cryptod/cryptod.h"
#include "keys.h"

#define NKEYS	6
#define NMSGS	4
#define MSEC	1000000LL

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Two sides, and the last messages of each kind, to be sent again. */
struct world {
	struct wgop		*w_side[2];
	struct msg_wg_init	 w_init[NMSGS];
	struct msg_wg_resp	 w_resp[NMSGS];
	int64_t			 w_now;
	uint8_t			 w_random[KEY_LEN];
};

static uint8_t	 private[NKEYS][KEY_LEN], public[NKEYS][KEY_LEN];

static void
once(void)
{
	int	 i;

	if (private[0][31] != 0)
		return;
	for (i = 0; i < NKEYS; i++) {
		memset(private[i], i + 1, KEY_LEN);
		key_clamp(private[i]);
		key_public(private[i], public[i]);
	}
}

static const uint8_t *
randomly(struct world *w)
{
	unsigned int	 i;

	for (i = 0; i < sizeof(w->w_random) && ++w->w_random[i] == 0; i++)
		;
	return w->w_random;
}

static void
peer(struct wgop *wg, uint8_t a, uint8_t b)
{
	struct msg_wg_peer	 mp;

	memset(&mp, 0, sizeof(mp));
	mp.peer = a % NKEYS;
	mp.remove = a >> 7;
	memcpy(mp.key, public[b % NKEYS], KEY_LEN);
	if (a & 0x40)
		memset(mp.stamp, b, sizeof(mp.stamp));
	(void)wgop_peer(wg, &mp);
}

static void
initiate(struct world *w, struct wgop *wg, uint8_t a, uint8_t b)
{
	struct msg_wg_init_req	 req = { a % NKEYS, b, 0 };
	struct msg_wg_init	 mi;

	wgop_initiate(wg, w->w_now, w->w_now + (int64_t)(int8_t)b * MSEC,
	    randomly(w), &req, &mi);
	if (mi.error == MSG_OK)
		w->w_init[b % NMSGS] = mi;
}

/* No initiation is accepted twice of one peer by the same side. */
static void
answer(struct world *w, int side, uint8_t a, uint8_t b)
{
	struct msg_wg_init_in	 in;
	struct msg_wg_resp	 mr;

	in.index = a;
	memcpy(in.msg, w->w_init[b % NMSGS].msg, sizeof(in.msg));
	if (b & 0x80)
		in.msg[a % sizeof(in.msg)] ^= b;
	wgop_initiation(w->w_side[side], w->w_now, randomly(w), &in, &mr);
	if (mr.error != MSG_OK)
		return;
	w->w_resp[b % NMSGS] = mr;
	wgop_initiation(w->w_side[side], w->w_now + 1000 * MSEC, randomly(w),
	    &in, &mr);
	if (mr.error == MSG_OK)
		abort();
}

static void
complete(struct world *w, struct wgop *wg, uint8_t a, uint8_t b)
{
	struct msg_wg_resp_in	 in;
	struct msg_wg_keys	 mk;

	in.index = w->w_resp[b % NMSGS].remote;
	memcpy(in.msg, w->w_resp[b % NMSGS].msg, sizeof(in.msg));
	if (b & 0x80)
		in.msg[a % sizeof(in.msg)] ^= b;
	wgop_response(wg, w->w_now, &in, &mk);
	if (mk.error != MSG_OK)
		return;
	wgop_response(wg, w->w_now, &in, &mk);
	if (mk.error == MSG_OK)
		abort();
}

static void
step(struct world *w, uint8_t op, uint8_t a, uint8_t b)
{
	int		 side = op >> 7;
	struct wgop	*wg = w->w_side[side];

	w->w_now += a * MSEC;
	switch (op % 8) {
	case 0:
	case 1:
		peer(wg, a, b);
		break;
	case 2:
		initiate(w, wg, a, b);
		break;
	case 3:
		answer(w, side, a, b);
		break;
	case 4:
		complete(w, wg, a, b);
		break;
	case 5:
		wgop_cancel(wg, a);
		break;
	case 6:
		w->w_now += b * 1000 * MSEC;
		break;
	default:
		if (b & 1)
			wgop_reset(wg);
		else if (b & 2)
			wgop_set_key(wg, NULL, NULL);
		else
			wgop_set_key(wg, private[a % NKEYS],
			    public[a % NKEYS]);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct world	*w;
	void		*mem[2];
	int		 i;

	once();
	if ((w = calloc(1, sizeof(*w))) == NULL)
		abort();
	w->w_now = 1000000 * MSEC;
	for (i = 0; i < 2; i++) {
		if ((mem[i] = malloc(wgop_secret_size())) == NULL ||
		    (w->w_side[i] = wgop_new(mem[i], 0)) == NULL)
			abort();
		wgop_set_key(w->w_side[i], private[i], public[i]);
		peer(w->w_side[i], 1 - i, 1 - i);
	}
	for (; len >= 3; len -= 3, data += 3)
		step(w, data[0], data[1], data[2]);
	for (i = 0; i < 2; i++) {
		wgop_free(w->w_side[i]);
		free(mem[i]);
	}
	free(w);
	return 0;
}
