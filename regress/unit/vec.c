/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Reading vector files: for tests alone.
 */

#include <sys/queue.h>

#include <err.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vec.h"

/* What vec_unhex() gave out: freed with the next case. */
struct vec_mem {
	SLIST_ENTRY(vec_mem)	 vm_entry;
	uint8_t			 vm_data[];
};

static SLIST_HEAD(, vec_mem)	 vec_mems = SLIST_HEAD_INITIALIZER(vec_mems);
static json_t		*vec_root;
static size_t		 vec_count;
static const char	*vec_file;
static char		 vec_case[256];

json_t *
vec_cases(const char *dir, const char *name)
{
	json_error_t	 error;
	json_t		*cases;
	char		*path;

	if (dir == NULL)
		dir = "../vectors";
	if (asprintf(&path, "%s/%s", dir, name) == -1)
		err(1, NULL);
	vec_root = json_load_file(path, JSON_ALLOW_NUL, &error);
	if (vec_root == NULL)
		errx(1, "%s: %s", path, error.text);
	cases = json_object_get(vec_root, "cases");
	if (json_array_size(cases) == 0)
		errx(1, "%s: no cases", path);
	vec_file = name;
	free(path);
	return cases;
}

static void
vec_free(void)
{
	struct vec_mem	*vm;

	while ((vm = SLIST_FIRST(&vec_mems)) != NULL) {
		SLIST_REMOVE_HEAD(&vec_mems, vm_entry);
		free(vm);
	}
}

void
vec_done(const char *name)
{
	vec_free();
	json_decref(vec_root);
	printf("%s: %zu cases\n", name, vec_count);
}

void
vec_at(json_t *c, size_t i)
{
	const char	*kind, *name;

	vec_free();
	vec_count++;
	kind = json_string_value(json_object_get(c, "kind"));
	if ((name = json_string_value(json_object_get(c, "name"))) == NULL)
		name = json_string_value(json_object_get(c, "type"));
	(void)snprintf(vec_case, sizeof(vec_case), "%s: case %zu (%s %s)",
	    vec_file, i, kind == NULL ? "" : kind, name == NULL ? "" : name);
}

void
vec_fail(const char *fmt, ...)
{
	va_list	 ap;

	fprintf(stderr, "%s: ", vec_case);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

int
vec_has(json_t *c, const char *key)
{
	return json_object_get(c, key) != NULL;
}

json_t *
vec_get(json_t *c, const char *key)
{
	json_t	*v;

	if ((v = json_object_get(c, key)) == NULL)
		vec_fail("no member %s", key);
	return v;
}

const char *
vec_str(json_t *c, const char *key)
{
	const char	*s;

	if ((s = json_string_value(vec_get(c, key))) == NULL)
		vec_fail("%s is no string", key);
	return s;
}

int
vec_is(json_t *c, const char *key, const char *want)
{
	return strcmp(vec_str(c, key), want) == 0;
}

int
vec_bool(json_t *c, const char *key)
{
	return json_is_true(vec_get(c, key));
}

static void
vec_one(json_t *c, const struct vec_kind *kinds, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		if (vec_is(c, "kind", kinds[i].vk_name)) {
			kinds[i].vk_test(c);
			return;
		}
	vec_fail("unknown kind");
}

void
vec_run(const char *dir, const char *name, const struct vec_kind *kinds,
    size_t n)
{
	json_t	*cases, *c;
	char	*file;
	size_t	 i;

	if (asprintf(&file, "%s.json", name) == -1)
		err(1, NULL);
	cases = vec_cases(dir, file);
	json_array_foreach(cases, i, c) {
		vec_at(c, i);
		vec_one(c, kinds, n);
	}
	vec_done(name);
	free(file);
}

uint64_t
vec_num(json_t *c, const char *key)
{
	json_t	*v;

	v = vec_get(c, key);
	if (json_is_integer(v))
		return (uint64_t)json_integer_value(v);
	return strtoull(vec_str(c, key), NULL, 10);
}

static int
vec_digit(char ch)
{
	static const char	 digits[] = "0123456789abcdef";
	const char		*p;

	if (ch == '\0' || (p = strchr(digits, ch)) == NULL)
		vec_fail("bad hex in the vector");
	return (int)(p - digits);
}

uint8_t *
vec_unhex(const char *s, size_t *len)
{
	struct vec_mem	*vm;
	uint8_t		*b;
	size_t		 i, n;

	n = strlen(s);
	if (n % 2 != 0)
		vec_fail("bad hex in the vector");
	if ((vm = malloc(sizeof(*vm) + n / 2 + 1)) == NULL)
		err(1, NULL);
	SLIST_INSERT_HEAD(&vec_mems, vm, vm_entry);
	b = vm->vm_data;
	for (i = 0; i < n / 2; i++)
		b[i] = vec_digit(s[2 * i]) << 4 | vec_digit(s[2 * i + 1]);
	*len = n / 2;
	return b;
}

uint8_t *
vec_hex(json_t *c, const char *key, size_t *len)
{
	return vec_unhex(vec_str(c, key), len);
}

const uint8_t *
vec_fix(json_t *c, const char *key, size_t want)
{
	uint8_t	*b;
	size_t	 len;

	b = vec_hex(c, key, &len);
	if (len != want)
		vec_fail("%s: %zu bytes", key, len);
	return b;
}

void
vec_expect(json_t *c, const char *key, const void *got, size_t len)
{
	uint8_t	*b;
	size_t	 want;

	b = vec_hex(c, key, &want);
	if (want != len || memcmp(b, got, len) != 0)
		vec_fail("%s differs", key);
}
