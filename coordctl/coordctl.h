/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the parts of coordctl share.
 */

#ifndef COORDCTL_H
#define COORDCTL_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#ifndef nitems
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define CTL_SOCKET	"/var/run/coordd.sock"
#define ARGS_MAX	4
#define OPTS_MAX	5
#define COLS_MAX	8

enum opt_kind {
	OPT_END,
	OPT_STR,
	OPT_LIST,		/* takes all words up to the next option */
	OPT_FLAG,
	OPT_TIME		/* 90d, 12h, 30m, 2w: sent as seconds */
};

enum show {
	SHOW_NONE,		/* nothing to show */
	SHOW_TABLE,
	SHOW_FIELDS,		/* name: value */
	SHOW_KEY,		/* the new key alone */
	SHOW_TEXT,		/* pieces of a text */
	SHOW_CHECK,		/* what is wrong with a policy */
	SHOW_EXPLAIN,
	SHOW_PING,
	SHOW_PROBE		/* a table, once the relays were probed */
};

struct opt {
	const char	*o_name;	/* without the dashes; also the key */
	enum opt_kind	 o_kind;
};

struct column {
	const char	*c_title;
	const char	*(*c_text)(json_t *);	/* static buffer */
};

struct command {
	const char	*k_object;
	const char	*k_verb;
	const char	*k_usage;		/* after object and verb */
	const char	*k_arg[ARGS_MAX];	/* keys of the first words */
	const char	*k_rest;		/* key of further ones */
	struct opt	 k_opt[OPTS_MAX];
	enum show	 k_show;
	const struct column *k_cols;
};

/* The words of a request, each with its NUL, one after another. */
struct words {
	char		 w_buf[15360];
	size_t		 w_len;
	uint32_t	 w_n;
	const char	*w_file;		/* its descriptor goes along */
	const char	*w_ca;			/* for coordctl itself */
};

/* cmd.c */

/*
 * Find the command of the arguments and turn them into words. NULL: wrong
 * usage, said on stderr.
 */
const struct command
	*cmd_parse(int, char **, struct words *);
void	 cmd_usage(void);

/* "90d" to seconds; -1 if it is no time, or is not between 1 s and 10 y. */
int64_t	 cmd_time(const char *);

/*
 * "name", "name:443", "[fd7a::1]:443/udp" to name, port and protocol (empty
 * if not said). 0, or -1.
 */
int	 cmd_destination(const char *, char *, size_t, char *, size_t,
	    char *, size_t);

/* columns.c */
extern const struct column	 columns_user[];
extern const struct column	 columns_key[];
extern const struct column	 columns_node[];
extern const struct column	 columns_routes[];
extern const struct column	 columns_derp[];
extern const struct column	 columns_probe[];
const char	*column_value(json_t *, char *, size_t);

/* output.c */

/* All rows so far; the callee's. */
json_t	*output_rows(void);
/* Collect a row; show all of them at the end. 0, or -1 if it is no object. */
int	 output_row(const char *);
void	 output_show(const struct command *, const char *, int, int);

/* probe.c */

/*
 * Probe the relays of these rows, with the file of CA certificates or NULL:
 * what came of it is put into the rows. 1 if all is well with all of them.
 */
int	 probe_rows(json_t *, const char *);

#endif /* COORDCTL_H */
