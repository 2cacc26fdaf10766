/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A parent's start in the background.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"

static int	 notify_fd = -1;	/* to who started us */

void
daemon_begin(void)
{
	char	 byte;
	pid_t	 pid;
	int	 pfd[2], status;

	if (pipe2(pfd, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		fatal("fork");
	if (pid != 0) {
		close(pfd[1]);
		if (read(pfd[0], &byte, 1) == 1)
			_exit(0);
		if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
			_exit(WEXITSTATUS(status));
		_exit(1);
	}
	close(pfd[0]);
	notify_fd = pfd[1];
	(void)setsid();
	if (chdir("/") == -1)
		fatal("/");
}

void
daemon_done(const char *name)
{
	int	 fd;

	if (notify_fd == -1)
		return;
	(void)!write(notify_fd, "", 1);
	close(notify_fd);
	notify_fd = -1;
	log_init(0, name);
	if ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		return;
	(void)dup2(fd, STDIN_FILENO);
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}
