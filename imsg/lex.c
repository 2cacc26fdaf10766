/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The configuration's files, macros and tokens, whatever the grammar.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lex.h"
#include "log.h"

#define CONF_MAX	(1024 * 1024)	/* bytes of one file */
#define DEPTH_MAX	16		/* includes, macros in macros */
#define WORD_MAX	1024

/* A file, or the value of a macro. The innermost is read. */
struct source {
	TAILQ_ENTRY(source)	 s_entry;
	char			*s_name;	/* NULL: a macro */
	char			*s_buf;
	size_t			 s_len;
	size_t			 s_pos;
	int			 s_line;
	int			 s_exposed;
};
TAILQ_HEAD(sources, source);

struct macro {
	TAILQ_ENTRY(macro)	 m_entry;
	char			*m_name;
	char			*m_value;
	int			 m_cmdline;
};
TAILQ_HEAD(macros, macro);

/* Every string the grammar sees lives until lex_close. */
struct word {
	TAILQ_ENTRY(word)	 w_entry;
	char			*w_text;
};
TAILQ_HEAD(words, word);

static struct sources	 sources = TAILQ_HEAD_INITIALIZER(sources);
static struct macros	 macros = TAILQ_HEAD_INITIALIZER(macros);
static struct words	 words = TAILQ_HEAD_INITIALIZER(words);
static struct conf_dirs	*dirs;		/* where files are noted */
static struct source	*last_file;	/* for errors at the end */
static int		 depth;
static int		 pending_nl;	/* ends an include's own line */
static int		 token_line;
static char		 token_text[32];	/* no string: may be secret */
static int		 failed;	/* the last token was ERROR */
static int		 nerrors;
static int		 to_stderr;

void
lex_errors_to_stderr(int on)
{
	to_stderr = on;
}

void
lex_line(int line)
{
	token_line = line;
}

int
lex_nerrors(void)
{
	return nerrors;
}

/* The innermost file: macros have no lines. */
static struct source *
lex_file(void)
{
	struct source	*s;

	TAILQ_FOREACH(s, &sources, s_entry)
		if (s->s_name != NULL)
			return s;
	return last_file;
}

static void
lex_report(const char *where, int line, const char *fmt, va_list ap)
{
	char	 text[1024];

	nerrors++;
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	if (to_stderr)
		fprintf(stderr, "%s:%d: %s\n", where, line, text);
	else
		log_warnx("%s:%d: %s", where, line, text);
}

void
lex_error(const char *fmt, ...)
{
	struct source	*s = lex_file();
	va_list		 ap;

	va_start(ap, fmt);
	lex_report(s == NULL ? "command line" : s->s_name,
	    s == NULL ? 1 : token_line, fmt, ap);
	va_end(ap);
}

int
lex_file_exposed(void)
{
	struct source	*s = lex_file();

	return s != NULL && s->s_exposed;
}

void
lex_syntax(const char *what)
{
	if (failed)
		return;			/* the word itself was reported */
	if (token_text[0] != '\0')
		lex_error("%s near '%s'", what, token_text);
	else
		lex_error("%s", what);
}

static void
source_free(struct source *s)
{
	if (s == NULL)
		return;
	free(s->s_name);
	freezero(s->s_buf, s->s_len);
	free(s);
}

/* The whole file in memory, or NULL with errno. */
static char *
file_load(int fd, size_t *len, int *exposed)
{
	struct stat	 st;
	char		*buf;
	ssize_t		 n;

	if (fstat(fd, &st) == -1)
		return NULL;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return NULL;
	}
	*exposed = (st.st_mode & (S_IWGRP | S_IRWXO)) != 0;
	if ((buf = calloc(1, CONF_MAX)) == NULL)
		return NULL;
	*len = 0;
	while ((n = read(fd, buf + *len, CONF_MAX - *len)) > 0)
		*len += n;
	if (n == 0 && *len < CONF_MAX)
		return buf;
	if (n == 0)
		errno = EFBIG;
	freezero(buf, CONF_MAX);
	return NULL;
}

static struct source *
source_load(const char *path)
{
	struct source	*s;
	int		 fd, save;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) == -1)
		return NULL;
	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->s_name = strdup(path)) == NULL)
		fatal(NULL);
	s->s_line = 1;
	s->s_buf = file_load(fd, &s->s_len, &s->s_exposed);
	save = errno;
	close(fd);
	if (s->s_buf == NULL) {
		source_free(s);
		errno = save;
		return NULL;
	}
	return s;
}

int
lex_open(struct conf_dirs *list, const char *path)
{
	struct source	*s;

	dirs = list;
	nerrors = 0;
	token_line = 1;
	if ((s = source_load(path)) == NULL) {
		nerrors++;
		if (to_stderr)
			fprintf(stderr, "%s: %s\n", path, strerror(errno));
		else
			log_warn("%s", path);
		return -1;
	}
	conf_dirs_add(dirs, path);
	TAILQ_INSERT_HEAD(&sources, s, s_entry);
	depth = 1;
	return 0;
}

/* A relative name is meant from the directory of the file that has it. */
static void
include_path(const char *name, char *path, size_t len)
{
	struct source	*s = lex_file();
	const char	*slash;

	path[0] = '\0';
	slash = s != NULL ? strrchr(s->s_name, '/') : NULL;
	if (name[0] != '/' && slash != NULL)
		(void)snprintf(path, len, "%.*s/", (int)(slash - s->s_name),
		    s->s_name);
	(void)strlcat(path, name, len);
}

int
lex_include(const char *name)
{
	struct source	*s;
	char		 path[PATH_MAX];

	include_path(name, path, sizeof(path));
	if (depth >= DEPTH_MAX) {
		lex_error("%s: too many files inside each other", path);
		return -1;
	}
	if ((s = source_load(path)) == NULL) {
		lex_error("%s: %s", path, strerror(errno));
		return -1;
	}
	conf_dirs_add(dirs, path);
	TAILQ_INSERT_HEAD(&sources, s, s_entry);
	depth++;
	pending_nl = 1;
	return 0;
}

void
lex_close(void)
{
	struct source	*s;
	struct macro	*m, *tmp;
	struct word	*w;

	while ((s = TAILQ_FIRST(&sources)) != NULL) {
		TAILQ_REMOVE(&sources, s, s_entry);
		source_free(s);
	}
	source_free(last_file);
	last_file = NULL;
	dirs = NULL;
	depth = 0;
	while ((w = TAILQ_FIRST(&words)) != NULL) {
		TAILQ_REMOVE(&words, w, w_entry);
		freezero(w->w_text, strlen(w->w_text));
		free(w);
	}
	TAILQ_FOREACH_SAFE(m, &macros, m_entry, tmp) {
		if (m->m_cmdline)
			continue;
		TAILQ_REMOVE(&macros, m, m_entry);
		free(m->m_name);
		free(m->m_value);
		free(m);
	}
}

static struct macro *
macro_find(const char *name)
{
	struct macro	*m;

	TAILQ_FOREACH(m, &macros, m_entry)
		if (strcmp(m->m_name, name) == 0)
			return m;
	return NULL;
}

static void
macro_set(const char *name, const char *value, int cmdline)
{
	struct macro	*m;

	if ((m = macro_find(name)) != NULL) {
		if (m->m_cmdline && !cmdline)
			return;		/* the command line wins */
		free(m->m_value);
	} else {
		if ((m = calloc(1, sizeof(*m))) == NULL ||
		    (m->m_name = strdup(name)) == NULL)
			fatal(NULL);
		TAILQ_INSERT_HEAD(&macros, m, m_entry);
	}
	m->m_cmdline = cmdline;
	if ((m->m_value = strdup(value)) == NULL)
		fatal(NULL);
}

void
lex_macro(const char *name, const char *value)
{
	macro_set(name, value, 0);
}

int
lex_macro_cmdline(const char *arg)
{
	char	 name[64];
	size_t	 n;

	n = strcspn(arg, "=");
	if (n == 0 || n >= sizeof(name) || arg[n] == '\0')
		return -1;
	memcpy(name, arg, n);
	name[n] = '\0';
	macro_set(name, arg + n + 1, 1);
	return 0;
}

/* Look at the next character of this source; -1 at its end. */
static int
peek(const struct source *s)
{
	return s->s_pos < s->s_len ? (unsigned char)s->s_buf[s->s_pos] : -1;
}

static char *
word_keep(const char *text)
{
	struct word	*w;

	if ((w = calloc(1, sizeof(*w))) == NULL ||
	    (w->w_text = strdup(text)) == NULL)
		fatal(NULL);
	TAILQ_INSERT_TAIL(&words, w, w_entry);
	return w->w_text;
}

static int
word_char(int c)
{
	return c != -1 && (isalnum(c) || strchr("_-./:%@+*", c) != NULL) &&
	    c != '\0';
}

static int
keyword_cmp(const void *key, const void *elem)
{
	return strcmp(key, ((const struct lex_keyword *)elem)->k_name);
}

/* Blanks, comments and continued lines. */
static void
skip_blank(struct source *s)
{
	int	 c;

	while ((c = peek(s)) != -1) {
		if (c == '#') {
			while ((c = peek(s)) != -1 && c != '\n')
				s->s_pos++;
			continue;
		}
		if (c == '\\' && s->s_pos + 1 < s->s_len &&
		    s->s_buf[s->s_pos + 1] == '\n') {
			s->s_pos += 2;
			s->s_line++;
			continue;
		}
		if (c != ' ' && c != '\t' && c != '\r')
			return;
		s->s_pos++;
	}
}

static int
lex_string(struct source *s, const struct lex_grammar *g, struct token *t)
{
	char	 buf[WORD_MAX];
	size_t	 n = 0;
	int	 c;

	s->s_pos++;
	while ((c = peek(s)) != '"') {
		if (c == -1 || c == '\n') {
			lex_error("string has no end");
			return g->lg_error;
		}
		s->s_pos++;
		if (c == '\\' && (peek(s) == '"' || peek(s) == '\\'))
			c = (unsigned char)s->s_buf[s->s_pos++];
		if (c == '\0' || n >= sizeof(buf) - 1) {
			lex_error(c == '\0' ? "NUL in string" :
			    "string is too long");
			return g->lg_error;
		}
		buf[n++] = c;
	}
	s->s_pos++;
	buf[n] = '\0';
	t->string = word_keep(buf);
	explicit_bzero(buf, sizeof(buf));
	return g->lg_string;
}

static int
lex_word(struct source *s, const struct lex_grammar *g, struct token *t)
{
	const struct lex_keyword	*k;
	const char			*err;
	char				 buf[WORD_MAX];
	size_t				 n = 0;

	while (word_char(peek(s))) {
		if (n >= sizeof(buf) - 1) {
			lex_error("word is too long");
			return g->lg_error;
		}
		buf[n++] = s->s_buf[s->s_pos++];
	}
	buf[n] = '\0';
	(void)strlcpy(token_text, buf, sizeof(token_text));
	k = bsearch(buf, g->lg_keywords, g->lg_nkeywords,
	    sizeof(g->lg_keywords[0]), keyword_cmp);
	if (k != NULL)
		return k->k_token;
	t->string = word_keep(buf);
	if (buf[strspn(buf, "0123456789")] != '\0')
		return g->lg_string;
	t->number = strtonum(buf, 0, INT32_MAX, &err);
	if (err == NULL)
		return g->lg_number;
	lex_error("number %s is %s", buf, err);
	return g->lg_error;
}

/* A macro's value is read like a file, and ends like a word. */
static int
lex_macro_use(struct source *s)
{
	struct source	*v;
	struct macro	*m;
	char		 name[64];
	size_t		 n = 0;

	s->s_pos++;
	while (isalnum(peek(s)) || peek(s) == '_') {
		if (n < sizeof(name) - 1)
			name[n++] = s->s_buf[s->s_pos];
		s->s_pos++;
	}
	name[n] = '\0';
	if ((m = macro_find(name)) == NULL) {
		lex_error("macro '%s' is not defined", name);
		return -1;
	}
	if (depth >= DEPTH_MAX) {
		lex_error("macro '%s' contains itself", name);
		return -1;
	}
	if ((v = calloc(1, sizeof(*v))) == NULL ||
	    (v->s_buf = strdup(m->m_value)) == NULL)
		fatal(NULL);
	v->s_len = strlen(v->s_buf);
	TAILQ_INSERT_HEAD(&sources, v, s_entry);
	depth++;
	return 0;
}

/* The end of the innermost source: 1 if an outer one goes on. */
static int
source_pop(struct source *s)
{
	TAILQ_REMOVE(&sources, s, s_entry);
	depth--;
	if (s->s_name != NULL && TAILQ_EMPTY(&sources)) {
		last_file = s;
		return 0;
	}
	source_free(s);
	return !TAILQ_EMPTY(&sources);
}

static void
note_line(void)
{
	struct source	*s = lex_file();

	if (s != NULL && s != last_file)
		token_line = s->s_line;
}

/* A last line without its newline is a line all the same. */
static int
lex_end(struct source *s)
{
	int	 newline;

	newline = s->s_name != NULL && s->s_len > 0 &&
	    s->s_buf[s->s_len - 1] != '\n';
	if (!source_pop(s))
		return newline ? '\n' : 0;
	return newline ? '\n' : -1;
}

static int
lex_read(const struct lex_grammar *g, struct token *t)
{
	struct source	*s;
	int		 c;

	if (pending_nl) {
		pending_nl = 0;
		return '\n';
	}
	while ((s = TAILQ_FIRST(&sources)) != NULL) {
		skip_blank(s);
		note_line();
		token_text[0] = '\0';
		switch (c = peek(s)) {
		case -1:
			if ((c = lex_end(s)) != -1)
				return c;
			continue;
		case '"':
			return lex_string(s, g, t);
		case '$':
			if (lex_macro_use(s) == -1)
				return g->lg_error;
			continue;
		case '\n':
			s->s_line++;
			break;
		default:
			if (word_char(c))
				return lex_word(s, g, t);
			break;
		}
		s->s_pos++;
		return c;
	}
	return 0;
}

int
lex_next(const struct lex_grammar *g, struct token *t)
{
	int	 token;

	token = lex_read(g, t);
	failed = token == g->lg_error;
	return token;
}

/* --- and back --- */

void
lex_print(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

void
lex_print_line(FILE *f, const char *word, const char *s)
{
	fprintf(f, "%s ", word);
	lex_print(f, s);
	fputc('\n', f);
}
