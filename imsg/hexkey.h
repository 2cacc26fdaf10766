/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A secret of 32 bytes in a file of 64 hexadecimal digits.
 */

#ifndef SHOAL_HEXKEY_H
#define SHOAL_HEXKEY_H

#include <sys/types.h>

#include <stdint.h>

#define HEXKEY_LEN	32
#define HEXKEY_TEXT	(2 * HEXKEY_LEN)

/* Exactly so many digits, lower case, not all of them 0. 0, or -1. */
int	 hexkey_parse(const char *, size_t, uint8_t [HEXKEY_LEN]);
/* A file that holds this, and white space about it: closes it. 0, or -1. */
int	 hexkey_read(int, uint8_t [HEXKEY_LEN]);
/* The digits and a NUL, into HEXKEY_TEXT + 1 bytes. */
void	 hexkey_print(const uint8_t [HEXKEY_LEN], char *);

#endif /* SHOAL_HEXKEY_H */
