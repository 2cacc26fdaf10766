/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * coordctl derp probe: each relay by a process of its own, several at a time.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordctl.h"
#include "imsg.h"
#include "channel.h"
#include "log.h"
#include "probe.h"

#define AT_ONCE		16
#define LIMIT		30		/* seconds that one may take */

struct job {
	json_t	*j_row;
	pid_t	 j_pid;
	int	 j_fd;
};

static void
row_text(json_t *row, const char *key, char *buf, size_t size)
{
	const char	*s = json_string_value(json_object_get(row, key));

	if (s != NULL && strlcpy(buf, s, size) >= size)
		buf[0] = '\0';
}

static void
probe_of_row(json_t *row, struct probe *pr)
{
	memset(pr, 0, sizeof(*pr));
	row_text(row, "host", pr->pr_host, sizeof(pr->pr_host));
	row_text(row, "ipv4", pr->pr_ip4, sizeof(pr->pr_ip4));
	row_text(row, "ipv6", pr->pr_ip6, sizeof(pr->pr_ip6));
	row_text(row, "cert", pr->pr_cert, sizeof(pr->pr_cert));
	pr->pr_port = (uint16_t)json_integer_value(
	    json_object_get(row, "port"));
	pr->pr_stun = (uint16_t)json_integer_value(
	    json_object_get(row, "stun"));
	pr->pr_stunonly = json_is_true(json_object_get(row, "stun_only"));
	pr->pr_insecure = json_is_true(json_object_get(row, "insecure"));
}

static void
job_start(struct job *j, json_t *row, const char *ca)
{
	struct probe_result	 re;
	struct probe		 pr;
	int			 fd[2];

	if (pipe(fd) == -1)
		err(1, "pipe");
	if (fflush(stdout) == EOF || (j->j_pid = fork()) == -1)
		err(1, "fork");
	if (j->j_pid == 0) {
		close(fd[0]);
		(void)alarm(LIMIT);
		log_init(1, "coordctl");
		probe_of_row(row, &pr);
		probe_run(&pr, ca, &re);
		_exit(write(fd[1], &re, sizeof(re)) == sizeof(re) ? 0 : 1);
	}
	close(fd[1]);
	j->j_row = row;
	j->j_fd = fd[0];
}

static void
row_ms(json_t *row, const char *key, int64_t us)
{
	(void)json_object_set_new(row, key, us <= 0 ? json_null() :
	    json_real((double)us / 1000));
}

/* Its result goes into the row. 1 if all is well with that relay. */
static int
job_end(struct job *j)
{
	struct probe_result	 re;
	ssize_t			 n;
	int			 status;

	do
		n = read(j->j_fd, &re, sizeof(re));
	while (n == -1 && errno == EINTR);
	close(j->j_fd);
	if (waitpid(j->j_pid, &status, 0) == -1)
		err(1, "waitpid");
	if (n != sizeof(re) || !msg_str_ok(re.re_why, sizeof(re.re_why))) {
		memset(&re, 0, sizeof(re));
		(void)strlcpy(re.re_why, "could not be probed",
		    sizeof(re.re_why));
	}
	row_ms(j->j_row, "derp_ms", re.re_derp);
	row_ms(j->j_row, "stun4_ms", re.re_stun4);
	row_ms(j->j_row, "stun6_ms", re.re_stun6);
	(void)json_object_set_new(j->j_row, "ok",
	    json_boolean(re.re_why[0] == '\0'));
	if (json_object_set_new(j->j_row, "trouble",
	    json_string(re.re_why)) == -1)
		(void)json_object_set_new(j->j_row, "trouble",
		    json_string("?"));
	return re.re_why[0] == '\0';
}

int
probe_rows(json_t *rows, const char *ca)
{
	struct job	 jobs[AT_ONCE];
	size_t		 i, k, n = json_array_size(rows);
	int		 good = 1;

	if (n == 0)
		warnx("the DERP map names no relay");
	for (i = 0; i < n; i += k) {
		for (k = 0; k < AT_ONCE && i + k < n; k++)
			job_start(&jobs[k], json_array_get(rows, i + k), ca);
		for (k = 0; k < AT_ONCE && i + k < n; k++)
			if (!job_end(&jobs[k]))
				good = 0;
	}
	return good;
}
