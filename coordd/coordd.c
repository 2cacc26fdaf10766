/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The coordination server's parent: options, start, signals, end.
 */

#include <sys/types.h>
#include <sys/queue.h>

#include <err.h>
#include <event.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordd.h"
#include "daemon.h"

#define DATE_MIN	1735689600000000000LL	/* 2025-01-01 */

static struct coord_conf	*conf;
static char			 conf_file[PATH_MAX];
static int64_t			 started;
static int			 up;

__attribute__((noreturn)) static void
usage(void)
{
	fprintf(stderr, "usage: coordd [-dnv] [-D macro=value] [-f file]\n");
	exit(1);
}

struct coord_conf *
coordd_conf(void)
{
	return conf;
}

void
coordd_set_conf(struct coord_conf *c)
{
	conf_free(conf);
	conf = c;
}

const char *
coordd_conf_file(void)
{
	return conf_file;
}

int64_t
coordd_started(void)
{
	return started;
}

int
coordd_up(void)
{
	return up;
}

void
coordd_set_up(void)
{
	const struct msg_listen	*m;
	size_t			 i;

	up = 1;
	for (i = 0; i < conf->c_listen.ls_n; i++) {
		m = &conf->c_listen.ls_sock[i];
		log_info("listening on %s port %u%s",
		    ip_print(m->ep.af, m->ep.addr), m->ep.port,
		    m->flags & LISTEN_TLS ? " tls" : "");
	}
	if (conf->c_policy == POLICY_NONE)
		log_warnx("no policy is set: nobody may talk");
	log_info("serving %s", conf->c_url);
	daemon_done("coordd");
}

static void
coordd_cleanup(void)
{
	control_close();
	hook_close();
	proc_shutdown();
	state_child_lost();
}

void
coordd_stop(const char *fmt, ...)
{
	char	 text[1024];
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	coordd_cleanup();
	log_warnx("%s", text);
	exit(1);
}

static void
signal_cb(int sig, short events, void *arg)
{
	if (sig == SIGHUP) {
		reconf_reload();
		return;
	}
	coordd_cleanup();
	log_info("stopped");
	exit(0);
}

/* What the parent still needs once all is open; lives as long as it does. */
static void
coordd_confine(void)
{
	static struct daemon_paths	 rd, wr, ex;
	struct os_confine	 oc = { rd.dp_dir, wr.dp_dir, ex.dp_dir,
	    OS_CONFINE_STORE };
	struct conf_dir		*d;
	char			 path[PATH_MAX];
	size_t			 i;

	TAILQ_FOREACH(d, &conf->c_dirs, d_entry)
		daemon_path(&rd, d->d_path);
	daemon_path_of(&wr, conf->c_state);
	daemon_path_of(&wr, conf->c_store);
	daemon_path_of(&wr, conf->c_socket);
	for (i = 0; child_path(i, path, sizeof(path)) == 0; i++)
		daemon_path_of(&ex, path);
	os_confine_parent(&oc);
}

/* Everything that can fail for an operator's mistake. */
static void
coordd_open(void)
{
	char	 why[MSG_TEXT_LEN];

	state_init(conf);
	lsock_init(BACKLOG, NULL);
	if (lsock_open(&conf->c_listen, why, sizeof(why)) == -1)
		fatalx("%s", why);
	lsock_commit();
	control_init(conf);
	hook_init(conf);
}

__attribute__((noreturn)) static void
coordd_run(int debug)
{
	if (!debug)
		daemon_begin();
	coordd_open();
	started = os_now();
	if (event_init() == NULL)
		fatalx("event_init");
	daemon_signals(signal_cb);
	children_init();
	control_start();
	hook_start();
	coordd_confine();
	children_start();
	event_dispatch();
	fatalx("event loop ended");
}

static void
coordd_check(int verbose)
{
	if (check_files(conf) == -1)
		exit(1);
	if (verbose)
		conf_print(conf, stdout);
	else
		fprintf(stderr, "configuration OK\n");
	exit(0);
}

int
main(int argc, char *argv[])
{
	struct daemon_options	 o = { .do_file = CONF_FILE };

	if (daemon_options(argc, argv, &o) == -1)
		usage();
	log_init(1, "coordd");
	log_setverbose(o.do_verbose);
	lex_errors_to_stderr(1);
	if (realpath(o.do_file, conf_file) == NULL)
		(void)strlcpy(conf_file, o.do_file, sizeof(conf_file));
	if ((conf = conf_parse(o.do_check ? o.do_file : conf_file)) == NULL)
		return 1;
	if (o.do_check)
		coordd_check(o.do_verbose);
	if (geteuid() != 0)
		errx(1, "must be started by root");
	if (os_date() < DATE_MIN)
		errx(1, "the clock is wrong (before 2025): keys would expire "
		    "at a wrong time; set the date and start again");
	lex_errors_to_stderr(0);
	coordd_run(o.do_debug);
}
