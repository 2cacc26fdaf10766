/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Tests of netd without netcheck link this in place of netcheck.c.
 */

#include <sys/types.h>

#include <stdint.h>

#include "../../netd/netcheck.h"

static const struct nc_facts	 none;

const struct nc_facts *
netcheck_facts(void)
{
	return &none;
}

void
netcheck_stun(const uint8_t *b, size_t len, const struct addr *src,
    int64_t now)
{
}

void
netcheck_active(int64_t now)
{
}

void
netcheck_netmap(void)
{
}

void
netcheck_link_changed(int major)
{
}

void
netcheck_health(uint32_t id)
{
}

int
netcheck_running(void)
{
	return 0;
}
