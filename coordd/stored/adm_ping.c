/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Administrators' verbs: asking a node itself.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "jsonutil.h"
#include "log.h"
#include "stored.h"

/* 1: the answer comes later. */
static int
started(struct adm *a, const char *why)
{
	return why == NULL ? 1 : adm_fail(a, 1, "%s", why);
}

int
adm_node_ping(struct adm *a)
{
	static const char *const keys[] = { "node", NULL };
	struct node		*n;

	if (adm_only(a, keys) == -1 || (n = adm_node(a)) == NULL)
		return -1;
	return started(a, ping_start(a->a_brain, n, a->a_id, NULL));
}

/* What goes into a request line as it is. */
static int
path_ok(const char *s)
{
	size_t	 i;

	for (i = 0; s[i] != '\0'; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return 0;
	return s[0] == '/' && i < 1024;
}

int
adm_node_c2n(struct adm *a)
{
	static const char *const keys[] = {
		"node", "path", "post", "body", NULL
	};
	struct buf		 t = { NULL, 0, 0 };
	struct node		*n;
	const char		*body, *path;
	char			*text;
	int			 rc;

	if (adm_only(a, keys) == -1 || (n = adm_node(a)) == NULL)
		return -1;
	if ((path = adm_arg(a, "path")) == NULL || !path_ok(path))
		return adm_fail(a, 2, "the path must begin with /");
	if ((body = adm_arg(a, "body")) == NULL)
		body = "";
	buf_fmt(&t, "%s %s HTTP/1.1\r\nHost: coordd\r\n"
	    "C2n-Handler-Timeout: 30s\r\nContent-Length: %zu\r\n\r\n%s",
	    adm_flag(a, "post") || body[0] != '\0' ? "POST" : "GET", path,
	    strlen(body), body);
	if ((text = ju_base64((const uint8_t *)t.b_text, t.b_len)) == NULL)
		fatal(NULL);
	rc = started(a, ping_start(a->a_brain, n, a->a_id, text));
	free(text);
	buf_free(&t);
	return rc;
}
