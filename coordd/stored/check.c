/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * `stored -n`: would a policy or a DERP map do? It comes on stdin; what is
 * wrong goes to stderr. Confined as always, but with no store and no sibling.
 */

#include <sys/types.h>

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../adm.h"
#include "log.h"
#include "os.h"
#include "stored.h"

static void
check_confine(const char *user)
{
	struct passwd	*pw;

	os_warmup();
	if (geteuid() == 0) {
		if ((pw = getpwnam(user)) == NULL)
			fatalx("unknown user %s", user);
		os_privdrop(pw, EMPTY_DIR);
	}
	/* As one that has no files; what stored may is too much here. */
	os_sandbox(PROC_CTRLD, SANDBOX_STARTUP);
	os_sandbox(PROC_CTRLD, SANDBOX_RUN);
}

/* All of stdin; the caller frees. */
static char *
check_read(size_t *len)
{
	char	*text = xcalloc(1, ADM_POLICY_MAX + 1);
	ssize_t	 n;

	*len = 0;
	while ((n = read(STDIN_FILENO, text + *len,
	    ADM_POLICY_MAX - *len)) != 0)
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			fatal("read");
	return text;
}

/* The texts quote a file: what is no text in it is none for a terminal. */
static void
check_show(char *msgs)
{
	char	*p;

	if (msgs == NULL)
		return;
	for (p = msgs; *p != '\0'; p++)
		if (((unsigned char)*p < ' ' && *p != '\n') || *p == 0x7f)
			*p = '?';
	fputs(msgs, stderr);
	if (p > msgs && p[-1] != '\n')
		fputc('\n', stderr);
	free(msgs);
}

/* Without users and nodes: names that fit two are found at the reload. */
static int
check_policy(const char *name, const char *text, size_t len)
{
	struct policy	*p;
	char		*msgs;

	p = policy_parse(name, text, len, &msgs);
	check_show(msgs);
	policy_free(p);
	return p == NULL ? -1 : 0;
}

static int
check_derpmap(const char *name, const char *text, size_t len)
{
	struct sconf	 c;
	char		*why = NULL;
	int		 rc;

	memset(&c, 0, sizeof(c));
	rc = derpmap_add(&c, name, text, len, &why);
	check_show(why);
	free(c.c_derpmap);
	free(c.c_derpmap_old);
	return rc;
}

void
check_run(const char *user, const char *kind, const char *name)
{
	char	*text;
	size_t	 len;
	int	 rc;

	log_init(1, "stored");
	check_confine(user);
	text = check_read(&len);
	rc = strcmp(kind, "policy") == 0 ? check_policy(name, text, len) :
	    check_derpmap(name, text, len);
	free(text);
	exit(rc == 0 ? 0 : 1);
}
