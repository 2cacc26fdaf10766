/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Tests of netd without relays, or with one of their own, link this in place
 * of netd_derp.c.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>

#include "../../netd/netd.h"
#include "stub_derp.h"

static uint16_t		 home;		/* 0: there is no relay */
static int		(*taker)(uint16_t, const uint8_t *, const void *,
			    size_t);

void
stub_derp_relay(uint16_t region, int (*f)(uint16_t, const uint8_t *,
    const void *, size_t))
{
	home = region;
	taker = f;
}

int
derp_send(uint16_t region, const uint8_t *key, const void *pkt, size_t len)
{
	if (taker != NULL)
		return taker(region, key, pkt, len);
	errno = ENOENT;
	return -1;
}

void
derp_set_home(uint16_t region)
{
}

uint16_t
derp_home(void)
{
	return home;
}

int
derp_connected(uint16_t region)
{
	return home != 0;
}

uint16_t
derp_route(const uint8_t *key, uint16_t region)
{
	return region;
}

int64_t
derp_last_frame(uint16_t region)
{
	return 0;
}

unsigned int
derp_count(void)
{
	return home != 0;
}

void
derp_map_changed(const struct derp_map *old)
{
}

void
derp_link_changed(void)
{
}
