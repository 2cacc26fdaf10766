/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The relay's parent: options, start, signals, end.
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

#include "derpd.h"
#include "daemon.h"

#define DATE_MIN	1735689600000000000LL	/* 2025-01-01 */

static struct derp_conf	*conf;
static char			 conf_file[PATH_MAX];
static int			 up;

__attribute__((noreturn)) static void
usage(void)
{
	fprintf(stderr, "usage: derpd [-dnv] [-D macro=value] [-f file]\n");
	exit(1);
}

struct derp_conf *
derpd_conf(void)
{
	return conf;
}

void
derpd_set_conf(struct derp_conf *c)
{
	conf_free(conf);
	conf = c;
}

const char *
derpd_conf_file(void)
{
	return conf_file;
}

int
derpd_up(void)
{
	return up;
}

void
derpd_set_up(void)
{
	const struct msg_listen	*m;
	size_t			 i;

	up = 1;
	for (i = 0; i < conf->c_listen.ls_n; i++) {
		m = &conf->c_listen.ls_sock[i];
		log_info("%s on %s port %u%s",
		    m->flags & LISTEN_STUN ? "STUN" :
		    m->flags & LISTEN_METRICS ? "metrics" : "listening",
		    ip_print(m->ep.af, m->ep.addr), m->ep.port,
		    m->flags & LISTEN_TLS ? ", TLS" : "");
	}
	log_info("relaying for %s", conf->c_hostname);
	daemon_done("derpd");
}

static void
derpd_cleanup(void)
{
	proc_shutdown();
	state_child_lost();
}

void
derpd_stop(const char *fmt, ...)
{
	char	 text[1024];
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	derpd_cleanup();
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
	derpd_cleanup();
	log_info("stopped");
	exit(0);
}

/* What the parent still needs once all is open; lives as long as it does. */
static void
derpd_confine(void)
{
	static struct daemon_paths	 rd, wr, ex;
	struct os_confine	 oc = { rd.dp_dir, wr.dp_dir, ex.dp_dir, 0 };
	struct conf_dir		*d;
	char			 path[PATH_MAX];
	size_t			 i;

	TAILQ_FOREACH(d, &conf->c_dirs, d_entry)
		daemon_path(&rd, d->d_path);
	daemon_path_of(&wr, conf->c_state);
	for (i = 0; child_path(i, path, sizeof(path)) == 0; i++)
		daemon_path_of(&ex, path);
	os_confine_parent(&oc);
}

/* Everything that can fail for an operator's mistake. */
static void
derpd_open(void)
{
	char	 why[MSG_TEXT_LEN];

	state_init(conf);
	listen_init();
	if (lsock_open(&conf->c_listen, why, sizeof(why)) == -1)
		fatalx("%s", why);
	lsock_commit();
}

__attribute__((noreturn)) static void
derpd_run(int debug)
{
	if (!debug)
		daemon_begin();
	derpd_open();
	if (event_init() == NULL)
		fatalx("event_init");
	daemon_signals(signal_cb);
	children_init();
	derpd_confine();
	children_start();
	allow_init();
	allow_watch();
	event_dispatch();
	fatalx("event loop ended");
}

static void
derpd_check(int verbose)
{
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
	log_init(1, "derpd");
	log_setverbose(o.do_verbose);
	lex_errors_to_stderr(1);
	if (realpath(o.do_file, conf_file) == NULL)
		(void)strlcpy(conf_file, o.do_file, sizeof(conf_file));
	if ((conf = conf_parse(o.do_check ? o.do_file : conf_file)) == NULL)
		return 1;
	if (o.do_check)
		derpd_check(o.do_verbose);
	if (geteuid() != 0)
		errx(1, "must be started by root");
	if (os_date() < DATE_MIN)
		errx(1, "the clock is wrong (before 2025): keys would expire "
		    "at a wrong time; set the date and start again");
	lex_errors_to_stderr(0);
	derpd_run(o.do_debug);
}
