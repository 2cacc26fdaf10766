/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * stub
 */
#include "netcheck.h"
void ncprobe_https(const struct nc_map *m) {}
void ncprobe_captive(uint16_t r) {}
int ncprobe_busy(void) { return 0; }
void ncprobe_stop(void) {}
