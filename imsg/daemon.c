/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * A parent's start: options, signals, confinement, in the background.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <err.h>
#include <event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "conffile.h"
#include "daemon.h"
#include "lex.h"
#include "log.h"

static int		 notify_fd = -1;	/* to who started us */
static struct event	 ev_sighup, ev_sigint, ev_sigterm;

int
daemon_options(int argc, char *argv[], struct daemon_options *o)
{
	int	 ch;

	while ((ch = getopt(argc, argv, "dD:f:nv")) != -1) {
		switch (ch) {
		case 'd':
			o->do_debug = 1;
			break;
		case 'D':
			if (lex_macro_cmdline(optarg) == -1)
				errx(1, "-D %s: no macro=value", optarg);
			break;
		case 'f':
			o->do_file = optarg;
			break;
		case 'n':
			o->do_check = 1;
			break;
		case 'v':
			o->do_verbose++;
			break;
		default:
			return -1;
		}
	}
	return argc == optind ? 0 : -1;
}

void
daemon_signals(void (*cb)(int, short, void *))
{
	signal_set(&ev_sighup, SIGHUP, cb, NULL);
	signal_set(&ev_sigint, SIGINT, cb, NULL);
	signal_set(&ev_sigterm, SIGTERM, cb, NULL);
	if (signal_add(&ev_sighup, NULL) == -1 ||
	    signal_add(&ev_sigint, NULL) == -1 ||
	    signal_add(&ev_sigterm, NULL) == -1)
		fatal("signal_add");
}

void
daemon_path(struct daemon_paths *dp, const char *dir)
{
	if (dp->dp_n >= DAEMON_PATHS - 1)
		return;
	if ((dp->dp_dir[dp->dp_n++] = strdup(dir)) == NULL)
		fatal(NULL);
	dp->dp_dir[dp->dp_n] = NULL;
}

void
daemon_path_of(struct daemon_paths *dp, const char *path)
{
	char	 dir[PATH_MAX];

	path_dirname(path, dir, sizeof(dir));
	daemon_path(dp, dir);
}

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
