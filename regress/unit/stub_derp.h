/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The relay of a test of netd, in place of netd_derp.c.
 */

#ifndef REGRESS_STUB_DERP_H
#define REGRESS_STUB_DERP_H

#include <stddef.h>
#include <stdint.h>

/*
 * From here on one relay is connected, that of this region, the home. What
 * is sent goes to that function, which is as derp_send().
 */
void	 stub_derp_relay(uint16_t, int (*)(uint16_t, const uint8_t *,
	    const void *, size_t));

#endif
