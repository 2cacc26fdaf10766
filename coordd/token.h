/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What a token of the configuration may carry.
 */

#ifndef COORDD_TOKEN_H
#define COORDD_TOKEN_H

#include <stdint.h>

struct token {
	const char	*string;	/* also the text of a number */
	int64_t		 number;
};
#define YYSTYPE		struct token
extern YYSTYPE		 yylval;

#endif /* COORDD_TOKEN_H */
