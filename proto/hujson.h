/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * JSON with comments and trailing commas, turned into plain JSON.
 */

#ifndef PROTO_HUJSON_H
#define PROTO_HUJSON_H

#include <stddef.h>
#include <stdint.h>

#define HUJSON_MAX_DEPTH	64
#define HUJSON_ERRLEN		96

struct hujson_error {
	size_t	 he_off;		/* bytes from the start */
	size_t	 he_line;		/* from 1 */
	size_t	 he_col;		/* bytes in the line, from 1 */
	char	 he_text[HUJSON_ERRLEN];
};

/*
 * Check the syntax and blank out comments and trailing commas in place,
 * so that every value stays at its offset (line ends in comments stay).
 *
 * buf, len	the text, need not end in NUL. On error it is untouched.
 * err		filled on error if not NULL; the text is printable ASCII.
 *
 * Returns 0, or -1: not well-formed (an empty text is not), or nested
 * deeper than HUJSON_MAX_DEPTH. Strings that are not UTF-8 and duplicate
 * names pass, as in the reference; the JSON decoder after it is stricter.
 * Source: features.md 1.1.
 */
int	 hujson_standardize(char *, size_t, struct hujson_error *);

/* Line and column, both from 1, of an offset in a text. */
void	 hujson_position(const char *, size_t, size_t, size_t *, size_t *);

/*
 * Length of the UTF-8 sequence at the start of len bytes, len not 0; 0 if
 * it is none: cut short, too long a form, a surrogate, above U+10FFFF.
 */
size_t	 hujson_utf8(const uint8_t *, size_t);

#endif /* PROTO_HUJSON_H */
