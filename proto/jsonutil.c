/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Reading JSON as Go's encoding/json does, with bounds, on top of jansson;
 * and building the objects that are sent.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hex.h"
#include "jsonutil.h"

/*
 * Depth and number of values of a text, without parsing it: the parser's
 * stack and memory must be bounded before it runs.
 */
static int
ju_bounds_ok(const char *p, size_t len)
{
	size_t	 i;
	int	 depth, instr, values;

	depth = instr = values = 0;
	for (i = 0; i < len; i++) {
		if (instr) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				instr = 0;
			continue;
		}
		if (p[i] == '"')
			instr = 1;
		else if (p[i] == ',') {
			if (++values > JU_MAX_VALUES)
				return 0;
		} else if (p[i] == '{' || p[i] == '[') {
			if (++depth > JU_MAX_DEPTH ||
			    ++values > JU_MAX_VALUES)
				return 0;
		} else if (p[i] == '}' || p[i] == ']')
			depth--;
	}
	return 1;
}

json_t *
ju_load(const void *buf, size_t len)
{
	json_error_t	 je;
	json_t		*j;

	if (!ju_bounds_ok(buf, len)) {
		errno = E2BIG;
		return NULL;
	}
	j = json_loadb(buf, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
	if (j == NULL)
		errno = json_error_code(&je) == json_error_out_of_memory ?
		    ENOMEM : EINVAL;
	return j;
}

/*
 * Servers emit fields in a fixed order, so the search for a name begins
 * behind the last one found.
 */
static size_t
ju_find(const char *const *names, size_t n, size_t from, const char *key)
{
	size_t	 i, k;

	for (i = 0; i < n; i++) {
		k = from + i;
		if (k >= n)
			k -= n;
		if (strcmp(names[k], key) == 0)
			return k;
	}
	for (i = 0; i < n; i++)
		if (strcasecmp(names[i], key) == 0)
			return i;
	return n;
}

/* To Go a null is the same as nothing at all. */
static int
ju_absent(json_t *j)
{
	return j == NULL || json_is_null(j);
}

int
ju_fields(json_t *obj, const char *const *names, size_t n, json_t **vals)
{
	const char	*key;
	json_t		*val;
	size_t		 k, last;

	for (k = 0; k < n; k++)
		vals[k] = NULL;
	if (ju_absent(obj))
		return 0;
	if (!json_is_object(obj))
		return -1;
	last = 0;
	json_object_foreach(obj, key, val) {
		k = ju_find(names, n, last, key);
		if (k == n)
			continue;
		last = k + 1 == n ? 0 : k + 1;
		/* As in Go, a null leaves what stood there. */
		if (!json_is_null(val))
			vals[k] = val;
	}
	return 0;
}

int
ju_bool(json_t *j, uint8_t *out)
{
	if (ju_absent(j))
		return 0;
	if (!json_is_boolean(j))
		return -1;
	*out = json_is_true(j) ? 1 : 0;
	return 0;
}

int
ju_int(json_t *j, int64_t min, int64_t max, int64_t *out)
{
	int64_t	 v;

	if (ju_absent(j))
		return 0;
	if (!json_is_integer(j))
		return -1;
	v = json_integer_value(j);
	if (v < min || v > max)
		return -1;
	*out = v;
	return 0;
}

int
ju_real(json_t *j, double *out)
{
	if (ju_absent(j))
		return 0;
	if (!json_is_number(j))
		return -1;
	*out = json_number_value(j);
	return 0;
}

int
ju_str(json_t *j, size_t max, char **out)
{
	const char	*s;
	char		*p;
	size_t		 len;

	if (ju_absent(j))
		return 0;
	if (!json_is_string(j))
		return -1;
	s = json_string_value(j);
	len = json_string_length(j);
	if (len > max || memchr(s, '\0', len) != NULL)
		return -1;
	if ((p = strdup(s)) == NULL)
		return -1;
	free(*out);
	*out = p;
	return 0;
}

int
ju_is_str(json_t *j)
{
	return ju_absent(j) || json_is_string(j);
}

int
ju_is_bool(json_t *j)
{
	return ju_absent(j) || json_is_boolean(j);
}

int
ju_is_strs(json_t *j)
{
	json_t	*e;
	size_t	 i;

	if (ju_absent(j))
		return 1;
	if (!json_is_array(j))
		return 0;
	json_array_foreach(j, i, e)
		if (!ju_is_str(e))
			return 0;
	return 1;
}

static int
ju_b64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return -1;
}

/* One group of four; returns the bytes in it (1 to 3), or -1. */
static int
ju_b64_group(const char *s, uint8_t *out)
{
	int	 a, b, c, d, n;

	n = s[3] != '=' ? 3 : s[2] != '=' ? 2 : 1;
	a = ju_b64_value(s[0]);
	b = ju_b64_value(s[1]);
	c = n > 1 ? ju_b64_value(s[2]) : 0;
	d = n > 2 ? ju_b64_value(s[3]) : 0;
	if (a == -1 || b == -1 || c == -1 || d == -1)
		return -1;
	out[0] = a << 2 | b >> 4;
	if (n > 1)
		out[1] = (b & 15) << 4 | c >> 2;
	if (n > 2)
		out[2] = (c & 3) << 6 | d;
	return n;
}

/* Standard base64 with padding; Go skips line ends, so do we. */
int
ju_bytes(json_t *j, size_t max, uint8_t **out, size_t *outlen)
{
	const char	*s;
	uint8_t		*p;
	char		 grp[4];
	size_t		 g, i, len, n;
	int		 k;

	if (ju_absent(j))
		return 0;
	if (!json_is_string(j))
		return -1;
	s = json_string_value(j);
	len = json_string_length(j);
	if (len / 4 > max / 3 + 1 || (p = malloc(len + 3)) == NULL)
		return -1;
	for (i = g = n = 0, k = 3; i < len; i++) {
		if (s[i] == '\n' || s[i] == '\r')
			continue;
		if (k != 3)		/* something after the padding */
			goto bad;
		grp[g++] = s[i];
		if (g < 4)
			continue;
		if ((k = ju_b64_group(grp, p + n)) == -1)
			goto bad;
		n += k;
		g = 0;
	}
	if (g != 0 || n > max)
		goto bad;
	free(*out);
	*out = p;
	*outlen = n;
	return 0;
bad:
	free(p);
	return -1;
}

char *
ju_base64(const uint8_t *p, size_t len)
{
	static const char	 digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char			*out;
	size_t			 i, o;
	uint32_t		 v;

	if ((out = malloc((len + 2) / 3 * 4 + 1)) == NULL)
		return NULL;
	for (i = o = 0; i < len; i += 3) {
		v = (uint32_t)p[i] << 16;
		if (i + 1 < len)
			v |= (uint32_t)p[i + 1] << 8;
		if (i + 2 < len)
			v |= p[i + 2];
		out[o++] = digits[v >> 18];
		out[o++] = digits[v >> 12 & 63];
		out[o++] = i + 1 < len ? digits[v >> 6 & 63] : '=';
		out[o++] = i + 2 < len ? digits[v & 63] : '=';
	}
	out[o] = '\0';
	return out;
}

int
ju_key(json_t *j, const char *prefix, uint8_t key[32])
{
	const char	*s;
	uint8_t		 buf[32];
	size_t		 plen;

	if (ju_absent(j))
		return 0;
	if (!json_is_string(j))
		return -1;
	s = json_string_value(j);
	plen = strlen(prefix);
	if (json_string_length(j) != plen + 64 ||
	    strncmp(s, prefix, plen) != 0)
		return -1;
	if (hex_decode(s + plen, buf, 32) == -1)
		return -1;
	memcpy(key, buf, 32);
	return 0;
}

char *
ju_key_text(const char *prefix, const uint8_t key[32], char *buf, size_t len)
{
	static const char	 digits[] = "0123456789abcdef";
	size_t			 i, plen;

	plen = strlen(prefix);
	if (len < plen + 65) {
		if (len > 0)
			buf[0] = '\0';
		return buf;
	}
	memcpy(buf, prefix, plen);
	for (i = 0; i < 32; i++) {
		buf[plen + 2 * i] = digits[key[i] >> 4];
		buf[plen + 2 * i + 1] = digits[key[i] & 15];
	}
	buf[plen + 64] = '\0';
	return buf;
}

/* n decimal digits at p; -1 if there is anything else. */
static int
ju_digits(const char *p, size_t n)
{
	size_t	 i;
	int	 v;

	v = 0;
	for (i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t
ju_days(int y, int m, int d)
{
	int64_t	 era, doe, yoe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doe = yoe * 365 + yoe / 4 - yoe / 100 +
	    (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + doe - 719468;
}

static int
ju_month_days(int y, int m)
{
	static const uint8_t	 days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};

	if (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0))
		return 29;
	return days[m - 1];
}

/* "Z" or "+hh:mm"; seconds east of UTC into *off. */
static int
ju_zone(const char *p, size_t len, int *off)
{
	int	 h, m;

	if (len == 1 && p[0] == 'Z') {
		*off = 0;
		return 0;
	}
	if (len != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':')
		return -1;
	h = ju_digits(p + 1, 2);
	m = ju_digits(p + 4, 2);
	if (h < 0 || h > 23 || m < 0 || m > 59)
		return -1;
	*off = (h * 3600 + m * 60) * (p[0] == '-' ? -1 : 1);
	return 0;
}

/* Fraction after the dot; what is finer than nanoseconds is cut off. */
static size_t
ju_fraction(const char *p, size_t len, uint32_t *nsec)
{
	size_t		 i;
	uint32_t	 v;

	v = 0;
	for (i = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++)
		if (i < 9)
			v = v * 10 + (p[i] - '0');
	*nsec = v;
	for (len = i; len < 9; len++)
		*nsec *= 10;
	return i;
}

int
ju_time_parse(const char *s, size_t len, struct ju_time *t)
{
	size_t		 i, n;
	int		 d, h, mi, mo, off, se, y;
	uint32_t	 nsec;

	if (len < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' ||
	    s[13] != ':' || s[16] != ':')
		return -1;
	y = ju_digits(s, 4);
	mo = ju_digits(s + 5, 2);
	d = ju_digits(s + 8, 2);
	h = ju_digits(s + 11, 2);
	mi = ju_digits(s + 14, 2);
	se = ju_digits(s + 17, 2);
	if (y < 0 || mo < 1 || mo > 12 || d < 1 || d > ju_month_days(y, mo) ||
	    h < 0 || h > 23 || mi < 0 || mi > 59 || se < 0 || se > 59)
		return -1;
	i = 19;
	nsec = 0;
	if (s[i] == '.') {
		if ((n = ju_fraction(s + i + 1, len - i - 1, &nsec)) == 0)
			return -1;
		i += n + 1;
	}
	if (ju_zone(s + i, len - i, &off) == -1)
		return -1;
	t->jt_sec = ju_days(y, mo, d) * 86400 + h * 3600 + mi * 60 + se -
	    off;
	t->jt_nsec = nsec;
	/* Go's zero time is the first instant of year 1. */
	t->jt_set = t->jt_sec != ju_days(1, 1, 1) * 86400 || nsec != 0;
	return 0;
}

int
ju_time(json_t *j, struct ju_time *t)
{
	if (ju_absent(j))
		return 0;
	if (!json_is_string(j))
		return -1;
	return ju_time_parse(json_string_value(j), json_string_length(j), t);
}

/* The civil date of a day number; inverse of ju_days(). */
static void
ju_civil(int64_t days, int *y, int *m, int *d)
{
	int64_t	 doe, doy, era, mp, yoe;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = yoe + era * 400 + (*m <= 2);
}

char *
ju_time_format(const struct ju_time *t, char *buf, size_t len)
{
	char	 frac[16];
	int64_t	 days, rest;
	int	 d, i, m, y;

	if (!t->jt_set) {
		(void)snprintf(buf, len, "0001-01-01T00:00:00Z");
		return buf;
	}
	days = t->jt_sec / 86400;
	rest = t->jt_sec % 86400;
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	ju_civil(days, &y, &m, &d);
	frac[0] = '\0';
	if (t->jt_nsec != 0) {
		(void)snprintf(frac, sizeof(frac), ".%09u",
		    (unsigned int)t->jt_nsec % 1000000000);
		for (i = 9; frac[i] == '0'; i--)
			frac[i] = '\0';
	}
	(void)snprintf(buf, len, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", y, m, d,
	    (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60),
	    frac);
	return buf;
}

int
ju_time_cmp(const struct ju_time *a, const struct ju_time *b)
{
	if (!a->jt_set || !b->jt_set)
		return (a->jt_set != 0) - (b->jt_set != 0);
	if (a->jt_sec != b->jt_sec)
		return a->jt_sec < b->jt_sec ? -1 : 1;
	return (a->jt_nsec > b->jt_nsec) - (a->jt_nsec < b->jt_nsec);
}

void
ju_set(json_t *o, const char *name, json_t *v, int *bad)
{
	if (json_object_set_new(o, name, v) == -1)
		*bad = 1;
}

json_t *
ju_set_done(json_t *o, int bad)
{
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

void
ju_set_key(json_t *o, const char *name, const char *prefix,
    const uint8_t key[32], int *bad)
{
	char	 buf[JU_KEYTEXT];

	ju_set(o, name, json_string(ju_key_text(prefix, key, buf,
	    sizeof(buf))), bad);
}

void
ju_set_time(json_t *o, const char *name, const struct ju_time *t, int *bad)
{
	char	 buf[JU_TIMETEXT];

	ju_set(o, name, json_string(ju_time_format(t, buf, sizeof(buf))),
	    bad);
}

void
ju_set_bytes(json_t *o, const char *name, const uint8_t *p, size_t len,
    int *bad)
{
	char	*text;

	if (len == 0) {
		ju_set(o, name, json_null(), bad);
		return;
	}
	text = ju_base64(p, len);
	ju_set(o, name, text == NULL ? NULL : json_string(text), bad);
	free(text);
}

void
ju_opt_str(json_t *o, const char *name, const char *s, int *bad)
{
	if (s != NULL && *s != '\0')
		ju_set(o, name, json_string(s), bad);
}

void
ju_opt_strs(json_t *o, const char *name, const char *const *s, size_t n,
    int *bad)
{
	json_t	*a;
	size_t	 i;

	if (n == 0)
		return;
	a = json_array();
	for (i = 0; i < n; i++)
		if (json_array_append_new(a, json_string(s[i])) == -1)
			*bad = 1;
	ju_set(o, name, a, bad);
}

char *
ju_dump(json_t *j)
{
	return json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}
