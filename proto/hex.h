/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Hexadecimal digits, of either case.
 */

#ifndef PROTO_HEX_H
#define PROTO_HEX_H

#include <stddef.h>
#include <stdint.h>

/* What the digit stands for, 0 to 15; -1: it is none. */
int	 hex_digit(char);

/*
 * So many bytes of twice as many digits, that must be there. Returns 0, or
 * -1 at the first character that is no digit: then out is partly written.
 */
int	 hex_decode(const char *, uint8_t *, size_t);

#endif /* PROTO_HEX_H */
