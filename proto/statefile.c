/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * State files: lines of "name value" between a version and a hash.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "blake2s.h"
#include "statefile.h"

const char	 STATEFILE_UNKNOWN[] = "unknown entry";
const char	 STATEFILE_TWICE[] = "entry stands twice";

struct reader {
	struct statefile_error	*r_error;
	char			*r_next;	/* the line to come */
	size_t			 r_left;
	unsigned int		 r_line;	/* of the last one */
};

__attribute__((format(printf, 2, 3)))
static int
reader_fail(struct reader *r, const char *fmt, ...)
{
	va_list	 ap;

	r->r_error->se_line = r->r_line;
	va_start(ap, fmt);
	(void)vsnprintf(r->r_error->se_why, sizeof(r->r_error->se_why), fmt,
	    ap);
	va_end(ap);
	return -1;
}

/* Cut off the next line: 1, 0 at the end of the text, -1 at an error. */
static int
reader_line(struct reader *r, char **line)
{
	char	*nl;
	size_t	 len;

	if (r->r_left == 0)
		return 0;
	r->r_line++;
	if ((nl = memchr(r->r_next, '\n', r->r_left)) == NULL)
		return reader_fail(r, "the file is cut off here");
	len = nl - r->r_next;
	if (memchr(r->r_next, '\0', len) != NULL)
		return reader_fail(r, "damaged: a NUL byte");
	*nl = '\0';
	*line = r->r_next;
	r->r_next += len + 1;
	r->r_left -= len + 1;
	return 1;
}

/* Cut a line into name and value; what is wrong, or NULL. */
static const char *
line_split(char *line, char **value)
{
	char	*sp;

	if ((sp = strchr(line, ' ')) == NULL)
		return "no value";
	*sp = '\0';
	*value = sp + 1;
	if (!statefile_name_ok(line))
		return "damaged: no name";
	if (!statefile_value_ok(*value))
		return "damaged: bad value";
	return NULL;
}

static int
read_version(struct reader *r)
{
	const char	*why;
	char		*line, *value;
	char		 version[16];

	switch (reader_line(r, &line)) {
	case -1:
		return -1;
	case 0:
		r->r_line = 1;
		return reader_fail(r, "the file is empty");
	default:
		break;
	}
	if ((why = line_split(line, &value)) != NULL ||
	    strcmp(line, "version") != 0)
		return reader_fail(r, "no state file: no version");
	(void)snprintf(version, sizeof(version), "%d", STATEFILE_VERSION);
	if (strcmp(value, version) != 0)
		return reader_fail(r, "version %.16s is newer than this "
		    "program's (%s)", value, version);
	return 0;
}

/* The hash that the end line carries, over all that stands before it. */
static int
text_hash(const char *text, size_t len, char hex[2 * B2S_LEN + 1])
{
	uint8_t	 hash[B2S_LEN];
	size_t	 i;

	if (b2s_hash(hash, text, len, NULL, 0) == -1)
		return -1;
	for (i = 0; i < sizeof(hash); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	return 0;
}

static int
read_end(struct reader *r, const char *value, const char *hex)
{
	if (strcmp(value, hex) != 0)
		return reader_fail(r, "damaged: the hash is of other text");
	if (r->r_left != 0) {
		r->r_line++;
		return reader_fail(r, "text after the end");
	}
	return 0;
}

/* The text up to the last line: what the hash is over. */
static size_t
text_body(const char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\n')
		len--;
	while (len > 0 && text[len - 1] != '\n')
		len--;
	return len;
}

int
statefile_read(char *text, size_t len,
    const char *(*fn)(void *, const char *, const char *), void *arg,
    struct statefile_error *error)
{
	struct reader	 r = { error, text, len, 0 };
	const char	*why;
	char		*line, *value, hex[2 * B2S_LEN + 1];
	int		 n;

	memset(error, 0, sizeof(*error));
	if (text_hash(text, text_body(text, len), hex) == -1)
		return reader_fail(&r, "%s", strerror(errno));
	if (read_version(&r) == -1)
		return -1;
	while ((n = reader_line(&r, &line)) == 1) {
		if ((why = line_split(line, &value)) != NULL)
			return reader_fail(&r, "%s", why);
		if (strcmp(line, "end") == 0)
			return read_end(&r, value, hex);
		why = fn(arg, line, value);
		if (why == STATEFILE_UNKNOWN)
			return reader_fail(&r, "unknown entry \"%s\": "
			    "written by a newer version?", line);
		if (why != NULL)
			return reader_fail(&r, "%s: %s", line, why);
	}
	if (n == -1)
		return -1;
	return reader_fail(&r, "the file is cut off after this line");
}

int
statefile_name_ok(const char *s)
{
	size_t	 n;

	n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return n > 0 && n < STATEFILE_NAME_MAX && s[n] == '\0';
}

int
statefile_value_ok(const char *s)
{
	size_t	 i;

	for (i = 0; s[i] != '\0'; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return 0;
	return i > 0 && i < STATEFILE_VALUE_MAX;
}

static void
out_put(struct statefile_out *so, const char *name, const char *value)
{
	int	 n;

	if (so->so_error != 0)
		return;
	n = snprintf(so->so_buf + so->so_len, so->so_size - so->so_len,
	    "%s %s\n", name, value);
	if (n < 0 || (size_t)n >= so->so_size - so->so_len)
		so->so_error = ENOSPC;
	else
		so->so_len += n;
}

void
statefile_begin(struct statefile_out *so, char *buf, size_t size)
{
	char	 version[16];

	memset(so, 0, sizeof(*so));
	so->so_buf = buf;
	so->so_size = size;
	(void)snprintf(version, sizeof(version), "%d", STATEFILE_VERSION);
	out_put(so, "version", version);
}

void
statefile_add(struct statefile_out *so, const char *name, const char *value)
{
	if (!statefile_name_ok(name) || !statefile_value_ok(value))
		so->so_error = EINVAL;
	out_put(so, name, value);
}

ssize_t
statefile_end(struct statefile_out *so)
{
	char	 hex[2 * B2S_LEN + 1];

	if (so->so_error == 0 && text_hash(so->so_buf, so->so_len, hex) == -1)
		so->so_error = ENOMEM;
	if (so->so_error == 0)
		out_put(so, "end", hex);
	if (so->so_error != 0) {
		errno = so->so_error;
		return -1;
	}
	return so->so_len;
}
