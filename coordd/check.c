/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * `coordd -n`: what the files hold that the configuration names is read by a
 * process of its own, stored, which has nothing but the text.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "coordd.h"

__attribute__((noreturn)) static void
check_exec(const char *path, const char *kind, const char *name, int fd)
{
	char	*const env[] = { NULL };
	char	 arg0[] = "stored", arg1[] = "-n", arg2[16];
	char	 arg3[PATH_MAX];
	char	*args[] = { arg0, arg1, arg2, arg3, NULL };

	(void)strlcpy(arg2, kind, sizeof(arg2));
	(void)strlcpy(arg3, name, sizeof(arg3));
	if (dup2(fd, STDIN_FILENO) == -1 ||
	    dup2(STDERR_FILENO, STDOUT_FILENO) == -1)
		fatal("dup2");
	closefrom(STDERR_FILENO + 1);
	(void)execve(path, args, env);
	fatal("%s", path);
}

/* The text to who reads it; a reader that has enough is no error. */
static void
check_write(int fd, const char *text, size_t len)
{
	ssize_t	 n;

	for (; len > 0; len -= n, text += n)
		if ((n = write(fd, text, len)) == -1) {
			if (errno != EINTR)
				break;
			n = 0;
		}
	close(fd);
}

static int
check_file(const char *path, const char *kind, const char *name,
    const char *text, size_t len)
{
	pid_t	 pid;
	int	 fd[2], status;

	if (text == NULL)
		return 0;
	if (pipe2(fd, O_CLOEXEC) == -1)
		fatal("pipe");
	switch (pid = fork()) {
	case -1:
		fatal("fork");
	case 0:
		check_exec(path, kind, name, fd[0]);
	default:
		break;
	}
	close(fd[0]);
	check_write(fd[1], text, len);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			fatal("waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) <= 1)
		return WEXITSTATUS(status) == 0 ? 0 : -1;
	log_warnx("%s: could not be checked", name);
	return -1;
}

int
check_files(const struct coord_conf *c)
{
	char	 path[PATH_MAX];
	int	 rc;

	if (c->c_policy_text == NULL && c->c_derpmap_text == NULL)
		return 0;
	if (event_init() == NULL)
		fatalx("event_init");
	children_init();
	if (child_find(PROC_STORED, path, sizeof(path)) == -1)
		fatal("%s", path);
	(void)signal(SIGPIPE, SIG_IGN);
	rc = check_file(path, "policy", c->c_policy_file, c->c_policy_text,
	    c->c_policy_len);
	if (check_file(path, "derpmap", c->c_derpmap, c->c_derpmap_text,
	    c->c_derpmap_len) == -1)
		rc = -1;
	return rc;
}
