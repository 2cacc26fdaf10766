/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * How long to wait before trying again.
 */

#include <sys/types.h>

#include <string.h>
#include <time.h>

#include "pure.h"

#define DATE_LEN	40	/* longer than any form of a date */

uint32_t
backoff_ms(uint32_t n, uint32_t random)
{
	uint64_t	 ms;

	if (n == 0)
		return 0;
	if (n > 1000)
		n = 1000;
	ms = 10ULL * n * n;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	return ms / 2 + (ms * random >> 32);
}

/* RFC 9110, 5.6.7: the form in use, and two that must still be read. */
static int
date_parse(const char *text, int64_t *when)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT",
		"%A, %d-%b-%y %H:%M:%S GMT",
		"%a %b %e %H:%M:%S %Y"
	};
	struct tm	 tm;
	const char	*end;
	size_t		 i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		memset(&tm, 0, sizeof(tm));
		end = strptime(text, forms[i], &tm);
		if (end != NULL && *end == '\0') {
			*when = timegm(&tm);
			return 0;
		}
	}
	return -1;
}

int
retry_after(const char *v, size_t len, int64_t now)
{
	char	 text[DATE_LEN];
	int64_t	 n = 0, when;
	size_t	 i;

	if (len == 0 || len >= sizeof(text))
		return -1;
	for (i = 0; i < len && v[i] >= '0' && v[i] <= '9'; i++)
		if ((n = n * 10 + (v[i] - '0')) > RETRY_AFTER_MAX)
			return -1;
	if (i == len)
		return n;
	memcpy(text, v, len);
	text[len] = '\0';
	if (date_parse(text, &when) == -1 || when - now > RETRY_AFTER_MAX)
		return -1;
	return when <= now ? 0 : when - now;
}

uint32_t
retry_asked_ms(int status, int after, uint32_t random)
{
	if (status != 429 && status != 503)
		return 0;
	if (after > 0)
		return (uint32_t)after * 1000;
	return status == 429 ? 5000 + random % 5000 : 0;
}
