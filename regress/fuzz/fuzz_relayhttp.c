/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What a relay reads as HTTP: heads of requests, with the answers to them,
 * and answers of an admission server; and its list of keys.
 */
/* link: ../../derpd/relay/http.c ../../derpd/relay/admit.c */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../derpd/relay/admit.h"
#include "../../derpd/relay/relay.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
request(const char *text, size_t len)
{
	struct http_req	 hr, again;
	char		 out[4096], q[32];
	ssize_t		 n;

	if ((n = http_parse(text, len, &hr)) > (ssize_t)len || n < -1)
		abort();
	if (n <= 0)
		return;
	/* Complete at that length, and at no shorter one. */
	if (http_parse(text, n, &again) != n ||
	    memcmp(&hr, &again, sizeof(hr)) != 0 ||
	    http_parse(text, n - 1, &again) > 0)
		abort();
	if (hr.hr_path[0] != '/' || http_answer(&hr, out, sizeof(out)) == 0)
		abort();
	if (memmem(out, http_answer(&hr, out, sizeof(out)), "\r\n\r\n",
	    4) == NULL)
		abort();
	(void)http_redirect(&hr, "example.org", out, sizeof(out));
	(void)http_query(&hr, "q", q, sizeof(q));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct admit_list	 al;
	unsigned int		 line;
	char			*text;

	if ((text = malloc(len + 1)) == NULL)
		abort();
	memcpy(text, data, len);
	request(text, len);
	(void)admit_response(text, len, 0);
	if (admit_response(text, len, 1) == 0)
		abort();		/* an end must decide */
	if (admit_list(&al, text, len, &line) == 0 && al.al_n > 0 &&
	    !admit_list_has(&al, al.al_keys))
		abort();
	admit_list_free(&al);
	free(text);
	return 0;
}
