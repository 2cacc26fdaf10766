/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The message table as data; for channel.c and the tests.
 */

#ifndef SHOAL_MSGTAB_H
#define SHOAL_MSGTAB_H

#include <stddef.h>
#include <stdint.h>

#include "messages.h"

/*
 * NULL if a message of this type, sender, receiver, length of the payload and
 * descriptor (1: there is one) stands in the table; else what is wrong.
 */
const char	*msgtab_check(uint32_t, enum proc, enum proc, size_t, int);

/* Does any row between these two, either way, carry a descriptor? */
int		 msgtab_fdpass(enum proc, enum proc);

/* A hash over all rows. */
uint64_t	 msgtab_hash(void);

#endif /* SHOAL_MSGTAB_H */
