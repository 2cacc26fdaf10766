/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What a relay answers to those who are no clients of it: pages, names for
 * those without a resolver, metrics, the way to https.
 */

#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "relay.h"

#define BOOTSTRAP_MAX	64
#define BODY_MAX	32768

struct names {
	struct msg_bootstrap	 n_row[BOOTSTRAP_MAX];
	size_t			 n_n;
};

static struct names	 names, next_names;
static char		 body[BODY_MAX], out[BODY_MAX + 1024];

int
page_bootstrap(const struct msg_bootstrap *m)
{
	const char	*ok = "abcdefghijklmnopqrstuvwxyz0123456789.-";

	if (next_names.n_n == BOOTSTRAP_MAX ||
	    !msg_str_ok(m->name, sizeof(m->name)) ||
	    m->name[strspn(m->name, ok)] != '\0')
		return -1;
	next_names.n_row[next_names.n_n++] = *m;
	return 0;
}

void
page_commit(void)
{
	names = next_names;
	page_abort();
}

void
page_abort(void)
{
	memset(&next_names, 0, sizeof(next_names));
}

/* The addresses of row i's name: those of earlier rows stand there. */
static size_t
bootstrap_name(size_t i, size_t n)
{
	const struct msg_bootstrap	*r = names.n_row;
	const char			*sep = "";
	size_t				 j;

	for (j = 0; j < i; j++)
		if (strcmp(r[j].name, r[i].name) == 0)
			return n;
	n += snprintf(body + n, sizeof(body) - n, "%s\"%s\":[",
	    n > 1 ? "," : "", r[i].name);
	for (j = i; j < names.n_n; j++)
		if (strcmp(r[j].name, r[i].name) == 0) {
			n += snprintf(body + n, sizeof(body) - n, "%s\"%s\"",
			    sep, ip_print(r[j].ip.af, r[j].ip.addr));
			sep = ",";
		}
	body[n++] = ']';
	return n;
}

/* The name that is asked for, or else all of them. */
static size_t
bootstrap(const struct http_req *hr)
{
	char	 q[MSG_NAME_LEN] = "";
	size_t	 i, n = 1;
	int	 known = 0;

	(void)http_query(hr, "q", q, sizeof(q));
	for (i = 0; i < names.n_n; i++)
		if (strcmp(q, names.n_row[i].name) == 0)
			known = 1;
	body[0] = '{';
	for (i = 0; i < names.n_n; i++)
		if (!known || strcmp(q, names.n_row[i].name) == 0)
			n = bootstrap_name(i, n);
	body[n++] = '}';
	return n;
}

const char *
page_answer(const struct http_req *hr, uint32_t flags, size_t *len)
{
	const char	*path = hr->hr_path;
	int		 get;

	get = strcmp(hr->hr_method, "GET") == 0 ||
	    strcmp(hr->hr_method, "HEAD") == 0;
	if (flags & LISTEN_METRICS && strcmp(path, "/metrics") == 0 && get)
		*len = http_body(hr, "text/plain; version=0.0.4", body,
		    metrics_print(body, sizeof(body)), out, sizeof(out));
	else if (flags & LISTEN_REDIRECT &&
	    strcmp(path, "/generate_204") != 0)
		*len = http_redirect(hr, relay_conf()->hostname, out,
		    sizeof(out));
	else if (strcmp(path, "/bootstrap-dns") == 0 && get)
		*len = http_body(hr, "application/json", body, bootstrap(hr),
		    out, sizeof(out));
	else
		*len = http_answer(hr, out, sizeof(out));
	return out;
}
