/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Start a child of a REGRESS build the way its parent does and have it try,
 * in its own closed sandbox, each thing it must not do (and a few that it
 * must): one process per thing.
 * Usage: try name path [root]
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REFUSED		77
#define TIMEOUT_MS	20000

static const char	*child, *path, *root;
static char		 said[8192];	/* on its fd 1 and 2 */
static int		 bad;

__attribute__((noreturn)) static void
child_exec(const char *what, int fd, int out)
{
	char	*argv[8], *env[] = { NULL };
	int	 n = 0;

	argv[n++] = strdup(child);
	if (root != NULL) {
		argv[n++] = strdup("-r");
		argv[n++] = strdup(root);
	}
	if (what != NULL) {
		argv[n++] = strdup("-T");
		argv[n++] = strdup(what);
	}
	argv[n] = NULL;
	if (dup2(out, 20) == -1 || dup2(fd, 21) == -1 ||
	    dup2(20, STDOUT_FILENO) == -1 || dup2(20, STDERR_FILENO) == -1 ||
	    dup2(21, 3) == -1)
		_exit(126);
	closefrom(4);
	(void)execve(path, argv, env);
	_exit(127);
}

/* Runs it; its wait status. The channel is closed at once or at the end. */
static int
run(const char *what, int eof)
{
	struct pollfd	 pfd;
	pid_t		 pid;
	size_t		 len = 0;
	ssize_t		 n;
	int		 sp[2], out[2], status;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sp) == -1 || pipe(out) == -1)
		err(1, "socketpair");
	(void)fflush(stdout);
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0)
		child_exec(what, sp[1], out[1]);
	(void)close(sp[1]);
	(void)close(out[1]);
	if (eof)
		(void)close(sp[0]);
	pfd.fd = out[0];
	pfd.events = POLLIN;
	while (poll(&pfd, 1, TIMEOUT_MS) == 1 && len < sizeof(said) - 1 &&
	    (n = read(out[0], said + len, sizeof(said) - 1 - len)) > 0)
		len += n;
	said[len] = '\0';
	if (len == 0 && pfd.revents == 0)
		(void)kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	if (!eof)
		(void)close(sp[0]);
	(void)close(out[0]);
	return status;
}

static void
complain(const char *what, int status)
{
	said[strcspn(said, "\n")] = '\0';
	if (WIFSIGNALED(status))
		printf("not ok %s: %s: signal %d: %s\n", child, what,
		    WTERMSIG(status), said);
	else
		printf("not ok %s: %s: exit status %d: %s\n", child, what,
		    WEXITSTATUS(status), said);
	bad++;
}

/* Stopped by an error, or by the signal, which names the call. */
static int
stopped(const char *what, int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status) == REFUSED;
	if (WTERMSIG(status) == SIGSEGV)	/* no such gate in the kernel */
		return strcmp(what, "int80") == 0;
	if (WTERMSIG(status) != SIGSYS)
		return 0;
	/*
	 * Other tables of calls are killed, not trapped; and libc blocks all
	 * signals around the birth of a thread.
	 */
	return strcmp(what, "int80") == 0 || strcmp(what, "x32") == 0 ||
	    strstr(what, "thread") != NULL ||
	    strstr(said, "sandbox violation: ") != NULL;
}

/* The store is its own: there it may look and make files. */
static int
is_wanted(int sign, const char *what)
{
	if (strcmp(child, "stored") == 0 && (strcmp(what, "open-root") == 0 ||
	    strcmp(what, "create") == 0))
		return 1;
	return sign == '+';
}

static void
try_one(int sign, const char *what, int *forbidden, int *wanted)
{
	int	 status;

	status = run(what, 0);
	if (!is_wanted(sign, what)) {
		(*forbidden)++;
		if (!stopped(what, status))
			complain(what, status);
		return;
	}
	(*wanted)++;
	if (strcmp(what, "abort") == 0) {
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
			complain(what, status);
	} else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		complain(what, status);
}

int
main(int argc, char *argv[])
{
	char	*list, *line, *p;
	int	 status, forbidden = 0, wanted = 0;

	if (argc < 3)
		errx(2, "usage: try name path [root]");
	child = argv[1];
	path = argv[2];
	root = argc > 3 ? argv[3] : NULL;
	status = run("list", 0);
	if (status != 0 || (list = strdup(said)) == NULL) {
		complain("list", status);
		return 1;
	}
	p = list;
	while ((line = strsep(&p, "\n")) != NULL)
		if (strlen(line) > 2)
			try_one(line[0], line + 2, &forbidden, &wanted);
	if (forbidden < 20 || wanted < 5) {
		printf("not ok %s: only %d and %d things tried\n", child,
		    forbidden, wanted);
		bad++;
	}
	/* Before the second stage: a thread may start here, in netd. */
	try_one('-', "1:open", &forbidden, &wanted);
	try_one('-', "1:socket-inet", &forbidden, &wanted);
	try_one('-', "1:execve", &forbidden, &wanted);
	try_one('-', "1:thread", &forbidden, &wanted);
	if (bad == 0)
		printf("ok %s: %d forbidden things are stopped, "
		    "%d needed ones work\n", child, forbidden, wanted);
	status = run(NULL, 1);
	if (status != 0)
		complain("end with its parent", status);
	else
		printf("ok %s: ends with its parent\n", child);
	free(list);
	return bad != 0;
}
