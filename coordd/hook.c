/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The administrator's script that makes DNS records: run by a process that
 * forked off before the parent confined itself, as a user without rights.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordd.h"

#define HOOK_FD		3
#define HOOK_LIMIT	60		/* seconds that a script may take */
#define HOOK_QUEUE	16		/* requests that wait for it */

struct hook_req {
	uint32_t		 h_id;
	struct msg_dns_update	 h_update;
};

struct hook_answer {
	uint32_t		 h_id;
	uint32_t		 h_error;
};

static struct event	 ev_hook;
static int		 hook_fd = -1;
static unsigned int	 hook_waiting;

/* --- the process that runs scripts --- */

static void
script_exec(const char *path, struct msg_dns_update *m)
{
	static char	 path_var[] = "PATH=/usr/local/bin:/usr/bin:/bin";
	char		*argv[5], *env[2] = { path_var, NULL }, *name;
	char		 verb[] = "set";
	int		 fd;

	if ((name = strdup(path)) == NULL)
		_exit(1);
	argv[0] = name;
	argv[1] = verb;
	argv[2] = m->name;
	argv[3] = m->value;
	argv[4] = NULL;
	if ((fd = open("/dev/null", O_RDWR)) == -1 || dup2(fd, 0) == -1 ||
	    dup2(fd, 1) == -1 || dup2(fd, 2) == -1)
		_exit(1);
	closefrom(3);
	(void)setsid();
	(void)alarm(HOOK_LIMIT);
	(void)execve(path, argv, env);
	_exit(127);
}

/* 0: the record is live. */
static uint32_t
script_run(const char *path, struct msg_dns_update *m)
{
	pid_t	 pid;
	int	 status;

	if ((pid = fork()) == -1)
		return MSG_E_IO;
	if (pid == 0)
		script_exec(path, m);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return MSG_E_IO;
	(void)kill(-pid, SIGKILL);	/* what it left behind */
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? MSG_OK :
	    MSG_E_IO;
}

/* In shells, hooks and zone files these mean nothing but themselves. */
static int
word_ok(const char *s, size_t size, const char *more)
{
	size_t	 i;

	if (!msg_str_ok(s, size) || s[0] == '\0' || s[0] == '-')
		return 0;
	for (i = 0; s[i] != '\0'; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') ||
		    (s[i] >= 'A' && s[i] <= 'Z') ||
		    (s[i] >= '0' && s[i] <= '9') || s[i] == '-' ||
		    s[i] == '_' || strchr(more, s[i]) != NULL))
			return 0;
	return 1;
}

__attribute__((noreturn)) static void
hook_loop(const char *path)
{
	struct hook_answer	 a;
	struct hook_req		 r;
	ssize_t			 n;

	for (;;) {
		n = recv(HOOK_FD, &r, sizeof(r), 0);
		if (n == -1 && errno == EINTR)
			continue;
		if (n != sizeof(r))
			_exit(0);	/* the parent is gone */
		memset(&a, 0, sizeof(a));
		a.h_id = r.h_id;
		a.h_error = script_run(path, &r.h_update);
		if (send(HOOK_FD, &a, sizeof(a), 0) == -1)
			_exit(1);
	}
}

__attribute__((noreturn)) static void
hook_process(const char *path, const struct passwd *pw, int fd)
{
	if (dup2(fd, HOOK_FD) == -1)
		_exit(1);
	closefrom(HOOK_FD + 1);
	os_ids_drop(pw);
	if (chdir("/") == -1)
		_exit(1);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	hook_loop(path);
}

/* --- the parent's side --- */

void
hook_init(const struct coord_conf *c)
{
	struct passwd	*pw;
	int		 sp[2];

	if (c->c_hook[0] == '\0')
		return;
	if ((pw = getpwnam(c->c_hook_user)) == NULL)
		fatalx("dns update: unknown user %s", c->c_hook_user);
	if (pw->pw_uid == 0 || pw->pw_gid == 0)
		fatalx("dns update: its user must not be root, nor in its "
		    "group");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sp) == -1)
		fatal("socketpair");
	switch (fork()) {
	case -1:
		fatal("fork");
	case 0:
		hook_process(c->c_hook, pw, sp[1]);
	default:
		break;
	}
	close(sp[1]);
	hook_fd = sp[0];
	if (fcntl(hook_fd, F_SETFL, O_NONBLOCK) == -1)
		fatal("fcntl");
}

static void
hook_answer(uint32_t id, uint32_t error)
{
	struct msg_u32	 m = { error };

	(void)chan_compose(&child_get(PROC_STORED)->pc_chan,
	    IMSG_DNS_UPDATED, id, -1, &m, sizeof(m));
}

static void
hook_cb(int fd, short events, void *arg)
{
	struct hook_answer	 a;
	ssize_t			 n;

	n = recv(fd, &a, sizeof(a), 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(a)) {
		log_warnx("dns update: the process that runs the script is "
		    "gone; a restart brings it back");
		event_del(&ev_hook);
		close(hook_fd);
		hook_fd = -1;
		return;
	}
	if (hook_waiting > 0)
		hook_waiting--;
	if (a.h_error != MSG_OK)
		log_warnx("dns update: the script failed");
	hook_answer(a.h_id, a.h_error);
}

void
hook_start(void)
{
	if (hook_fd == -1)
		return;
	event_set(&ev_hook, hook_fd, EV_READ | EV_PERSIST, hook_cb, NULL);
	event_add(&ev_hook, NULL);
}

/* Inside of our domain, and nothing that a script could misread? */
static int
update_ok(const struct msg_dns_update *m)
{
	static const char	 prefix[] = "_acme-challenge.";
	const char		*domain = coordd_conf()->c_domain;
	size_t			 dlen = strlen(domain), len;

	if (!word_ok(m->name, sizeof(m->name), ".") ||
	    !word_ok(m->value, sizeof(m->value), "="))
		return 0;
	len = strlen(m->name);
	return strncmp(m->name, prefix, sizeof(prefix) - 1) == 0 &&
	    len > dlen + sizeof(prefix) &&
	    m->name[len - dlen - 1] == '.' &&
	    strcmp(m->name + len - dlen, domain) == 0;
}

int
hook_update(struct imsg *imsg)
{
	struct hook_req	 r;

	memset(&r, 0, sizeof(r));
	if (msg_get(imsg, &r.h_update, sizeof(r.h_update)) == -1 ||
	    !update_ok(&r.h_update))
		return -1;
	r.h_id = imsg_get_id(imsg);
	if (hook_fd == -1 || hook_waiting >= HOOK_QUEUE ||
	    send(hook_fd, &r, sizeof(r), MSG_NOSIGNAL) == -1) {
		hook_answer(r.h_id, MSG_E_IO);
		return 0;
	}
	hook_waiting++;
	log_info("dns update: %s", r.h_update.name);
	return 0;
}

void
hook_close(void)
{
	if (hook_fd != -1)
		close(hook_fd);
	hook_fd = -1;
}
