/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Reading JSON as Go's encoding/json does, with bounds, on top of jansson;
 * and building the objects that are sent.
 */

#ifndef PROTO_JSONUTIL_H
#define PROTO_JSONUTIL_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/*
 * Where this differs from Go, on purpose or because of jansson: bytes that
 * are not UTF-8 and lone surrogates fail the document (Go puts U+FFFD);
 * integers beyond 64 bits fail it even in unknown fields; a NUL inside a
 * string that is read into a field fails that field. Of keys that are the
 * same but for case the last one wins, as in Go.
 * Source: control.md 8.1.
 */

#define JU_MAX_DEPTH	64	/* nesting of arrays and objects */
#define JU_MAX_VALUES	2000000	/* in one document: they take memory */

/* A point in time; jt_set 0 means none (JSON null, or year 1). */
struct ju_time {
	int64_t		 jt_sec;	/* since 1970, UTC; may be negative */
	uint32_t	 jt_nsec;
	uint32_t	 jt_set;
};

/*
 * Parse one JSON document of len bytes; white space around it is fine.
 * Nesting and the number of values are bounded before the parser, which
 * recurses and takes up to a hundred bytes for each value, sees it.
 * Returns a new reference, or NULL with errno EINVAL (not JSON), E2BIG
 * (bounds passed) or ENOMEM.
 */
json_t	*ju_load(const void *, size_t);

/*
 * Look up the members of an object by name: exact, else without regard to
 * case. names[n] are the known fields; vals[n] gets borrowed references,
 * NULL for what is absent or null. Unknown members are ignored.
 * An absent or null object has no members.
 * Returns 0, or -1 if obj is something else.
 */
int	 ju_fields(json_t *, const char *const *, size_t, json_t **);

/*
 * Typed readers of one value. All take NULL (absent or null) as "leave the
 * target alone" and return 0, or -1 where the value has another type or is
 * out of range. ju_str allocates (the caller frees) and frees what the
 * target held before; at most max bytes, no NUL.
 */
int	 ju_bool(json_t *, uint8_t *);
int	 ju_int(json_t *, int64_t, int64_t, int64_t *);
int	 ju_real(json_t *, double *);
int	 ju_str(json_t *, size_t, char **);
int	 ju_bytes(json_t *, size_t, uint8_t **, size_t *);

/* Standard base64 with padding; the caller frees; NULL: no memory. */
char	*ju_base64(const uint8_t *, size_t);

/* Check a value's type only; NULL is good. */
int	 ju_is_str(json_t *);
int	 ju_is_strs(json_t *);		/* array of strings */
int	 ju_is_bool(json_t *);

/*
 * A 32-byte key as prefix + 64 hex digits, for instance "nodekey:".
 * ju_key reads a JSON value as above; ju_key_text formats into a buffer of
 * JU_KEYTEXT bytes and returns it.
 */
#define JU_KEYTEXT	80
int	 ju_key(json_t *, const char *, uint8_t[32]);
char	*ju_key_text(const char *, const uint8_t[32], char *, size_t);

/*
 * RFC 3339 as Go reads it: 'T', 'Z' or an offset, up to nanoseconds; the
 * empty string is an error. ju_time_format writes UTC into a buffer of
 * JU_TIMETEXT bytes and returns it; unset is 0001-01-01T00:00:00Z.
 * ju_time_cmp: as memcmp; unset is before all others.
 */
#define JU_TIMETEXT	40
int	 ju_time(json_t *, struct ju_time *);
int	 ju_time_parse(const char *, size_t, struct ju_time *);
char	*ju_time_format(const struct ju_time *, char *, size_t);
int	 ju_time_cmp(const struct ju_time *, const struct ju_time *);

/*
 * Setters of an object's member. ju_set takes the reference, NULL is no
 * memory. They note a failure in *bad and go on: ju_set_done at the end
 * returns the object, or releases it and returns NULL if anything is bad.
 */
void	 ju_set(json_t *, const char *, json_t *, int *);
json_t	*ju_set_done(json_t *, int);
void	 ju_set_key(json_t *, const char *, const char *, const uint8_t[32],
	    int *);
void	 ju_set_time(json_t *, const char *, const struct ju_time *, int *);
/* Bytes as base64; none of them are null. */
void	 ju_set_bytes(json_t *, const char *, const uint8_t *, size_t, int *);
/* As Go's omitempty: NULL, "" and an empty list are left out. */
void	 ju_opt_str(json_t *, const char *, const char *, int *);
void	 ju_opt_strs(json_t *, const char *, const char *const *, size_t,
	    int *);

/*
 * Compact text of a value with sorted keys, so that equal values have
 * equal texts. The caller frees; NULL is no memory.
 */
char	*ju_dump(json_t *);

#endif /* PROTO_JSONUTIL_H */
