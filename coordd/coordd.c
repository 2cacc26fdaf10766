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

#define CONFINE_MAX	64
#define DATE_MIN	1735689600000000000LL	/* 2025-01-01 */

static struct coord_conf	*conf;
static struct event		 ev_sighup, ev_sigint, ev_sigterm;
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
	size_t	 i;

	up = 1;
	for (i = 0; i < conf->c_nlisten; i++)
		log_info("listening on %s port %u%s",
		    ip_print(conf->c_listen[i].af, conf->c_listen[i].addr),
		    conf->c_listen[i].port,
		    conf->c_listen_cert[i] == -1 ? "" : " tls");
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

static void
signals_init(void)
{
	signal_set(&ev_sighup, SIGHUP, signal_cb, NULL);
	signal_set(&ev_sigint, SIGINT, signal_cb, NULL);
	signal_set(&ev_sigterm, SIGTERM, signal_cb, NULL);
	if (signal_add(&ev_sighup, NULL) == -1 ||
	    signal_add(&ev_sigint, NULL) == -1 ||
	    signal_add(&ev_sigterm, NULL) == -1)
		fatal("signal_add");
}

static void
list_add(const char **list, size_t *n, const char *dir)
{
	if (*n < CONFINE_MAX - 1)
		list[(*n)++] = dir;
	list[*n] = NULL;
}

static char *
copy_of(const char *s)
{
	char	*p;

	if ((p = strdup(s)) == NULL)
		fatal(NULL);
	return p;
}

static char *
dir_of(const char *path)
{
	char	 dir[PATH_MAX];

	path_dirname(path, dir, sizeof(dir));
	return copy_of(dir);
}

/* What the parent still needs once all is open; lives as long as it does. */
static void
coordd_confine(void)
{
	static const char	*rd[CONFINE_MAX], *wr[CONFINE_MAX];
	static const char	*ex[CONFINE_MAX];
	struct os_confine	 oc = { rd, wr, ex, OS_CONFINE_STORE };
	struct conf_dir		*d;
	char			 path[PATH_MAX];
	size_t			 i, nrd = 0, nwr = 0, nex = 0;

	TAILQ_FOREACH(d, &conf->c_dirs, d_entry)
		list_add(rd, &nrd, copy_of(d->d_path));
	list_add(wr, &nwr, dir_of(conf->c_state));
	list_add(wr, &nwr, dir_of(conf->c_store));
	list_add(wr, &nwr, dir_of(conf->c_socket));
	for (i = 0; child_path(i, path, sizeof(path)) == 0; i++)
		list_add(ex, &nex, dir_of(path));
	os_confine_parent(&oc);
}

/* Everything that can fail for an operator's mistake. */
static void
coordd_open(void)
{
	char	 why[MSG_TEXT_LEN];

	state_init(conf);
	if (listen_open(conf, why, sizeof(why)) == -1)
		fatalx("%s", why);
	listen_commit();
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
	signals_init();
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
	if (verbose)
		conf_print(conf, stdout);
	else
		fprintf(stderr, "configuration OK\n");
	exit(0);
}

int
main(int argc, char *argv[])
{
	const char	*file = CONF_FILE;
	int		 ch, check = 0, debug = 0, verbose = 0;

	while ((ch = getopt(argc, argv, "dD:f:nv")) != -1) {
		switch (ch) {
		case 'd':
			debug = 1;
			break;
		case 'D':
			if (lex_macro_cmdline(optarg) == -1)
				errx(1, "-D %s: no macro=value", optarg);
			break;
		case 'f':
			file = optarg;
			break;
		case 'n':
			check = 1;
			break;
		case 'v':
			verbose++;
			break;
		default:
			usage();
		}
	}
	if (argc != optind)
		usage();
	log_init(1, "coordd");
	log_setverbose(verbose);
	lex_errors_to_stderr(1);
	if (realpath(file, conf_file) == NULL)
		(void)strlcpy(conf_file, file, sizeof(conf_file));
	if ((conf = conf_parse(check ? file : conf_file)) == NULL)
		return 1;
	if (check)
		coordd_check(verbose);
	if (geteuid() != 0)
		errx(1, "must be started by root");
	if (os_date() < DATE_MIN)
		errx(1, "the clock is wrong (before 2025): keys would expire "
		    "at a wrong time; set the date and start again");
	lex_errors_to_stderr(0);
	coordd_run(debug);
}
