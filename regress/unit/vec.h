/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Reading vector files: for tests alone.
 */

#ifndef REGRESS_VEC_H
#define REGRESS_VEC_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The list "cases" of a file in that folder; NULL: ../vectors.
 * Ends the test if there is no such file, or no case in it.
 */
json_t		*vec_cases(const char *, const char *);

/* What tests the cases of one kind. */
struct vec_kind {
	const char	*vk_name;
	void		(*vk_test)(json_t *);
};

/*
 * All of such a test: the file of that name, less ".json", in that folder;
 * each case goes to the row of its kind, and one of no row's kind fails.
 */
void		 vec_run(const char *, const char *, const struct vec_kind *,
		    size_t);

/*
 * Begin a case: failures name it from here on, by its number and its own
 * name; what vec_hex() gave out for the one before is freed.
 */
void		 vec_at(json_t *, size_t);
/* Say how many cases there were, under that name; free everything. */
void		 vec_done(const char *);
/* Fail the test, naming the case. */
__attribute__((noreturn, format(printf, 1, 2)))
void		 vec_fail(const char *, ...);

/* A member that must be there, or NULL / 0 if it is not. */
json_t		*vec_get(json_t *, const char *);
const char	*vec_str(json_t *, const char *);
int		 vec_is(json_t *, const char *, const char *);
int		 vec_bool(json_t *, const char *);
int		 vec_has(json_t *, const char *);
/* A number, or a string of digits. */
uint64_t	 vec_num(json_t *, const char *);

/* Bytes of a hex string; good until the next case begins. */
uint8_t		*vec_unhex(const char *, size_t *);
uint8_t		*vec_hex(json_t *, const char *, size_t *);
/* The same, of exactly that length. */
const uint8_t	*vec_fix(json_t *, const char *, size_t);
/* Is this what the member says? Fails the test if not. */
void		 vec_expect(json_t *, const char *, const void *, size_t);

#endif
