/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the grammars of all parents read with: files and their includes,
 * macros, quoted strings, keywords, and errors as "file:line: what"; and how
 * a configuration is printed that is to be read again.
 */

#ifndef SHOAL_LEX_H
#define SHOAL_LEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conffile.h"

/* What a token carries; a grammar's YYSTYPE. */
struct token {
	const char	*string;	/* also the text of a number */
	int64_t		 number;
};

struct lex_keyword {
	const char	*k_name;
	int		 k_token;
};

/* What a grammar calls its words. Keywords are sorted by strcmp. */
struct lex_grammar {
	const struct lex_keyword *lg_keywords;
	size_t			  lg_nkeywords;
	int			  lg_string;
	int			  lg_number;
	int			  lg_error;	/* reported already */
};

/* Where errors go: 1, stderr; 0, the log. */
void	 lex_errors_to_stderr(int);

/* An error at the line being read: counted and reported. */
void	 lex_error(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));
int	 lex_nerrors(void);

/*
 * Begin with this file, with no errors counted. Its directory, and those of
 * the files that it includes, are added to the list, which must stay until
 * lex_close. 0, or -1 (reported).
 */
int	 lex_open(struct conf_dirs *, const char *);

/* Forget all files, strings and macros but those of the command line. */
void	 lex_close(void);

/* Continue in another file (relative: beside this one). 0, or -1. */
int	 lex_include(const char *);

/* "name=value" of the command line, which wins; 0, or -1 if malformed. */
int	 lex_macro_cmdline(const char *);
/* Name and value, from the file. */
void	 lex_macro(const char *, const char *);

/*
 * For yylex: the next token, 0 at the end, or a character. Strings live
 * until lex_close.
 */
int	 lex_next(const struct lex_grammar *, struct token *);

/*
 * For yyerror: what yacc says, and near which word; nothing if the word
 * itself was reported.
 */
void	 lex_syntax(const char *);

/* Errors from here on are of this line. */
void	 lex_line(int);

/* May others than its owner read or write the file that is being read? */
int	 lex_file_exposed(void);

/* A string in quotes, so that it is read as the same. */
void	 lex_print(FILE *, const char *);
/* A line of that: a word as it is, and a string. */
void	 lex_print_line(FILE *, const char *, const char *);

#endif /* SHOAL_LEX_H */
