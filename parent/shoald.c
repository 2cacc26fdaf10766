/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The parent of a node: start, signals, end.
 */

#include <sys/types.h>

#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "shoald.h"

/* 2025-01-01: certificates and handshakes fail with an older date. */
#define DATE_MIN	(1735689600LL * 1000000000LL)

#define END_TRIES	50		/* of 20 ms */

static struct shoal_conf	*conf;
static struct event		 ev_sighup, ev_sigint, ev_sigterm, ev_sigusr1;
static struct event		 ev_end;
static char			 conf_file[PATH_MAX];
static int			 up;
static int			 ending;
static int			 debug;

__attribute__((noreturn)) static void
usage(void)
{
	fprintf(stderr, "usage: shoald [-dnv] [-D macro=value] [-f file]\n");
	exit(1);
}

struct shoal_conf *
shoald_conf(void)
{
	return conf;
}

void
shoald_set_conf(struct shoal_conf *c)
{
	if (c == conf)
		return;
	conf_free(conf);
	conf = c;
}

const char *
shoald_conf_file(void)
{
	return conf_file;
}

int
shoald_up(void)
{
	return up;
}

/* --- end --- */

/* Everything as it was before; runs on every way out. */
static void
cleanup(void)
{
	if (ending)
		return;
	ending = 1;
	control_close();
	linkmon_close();
	proc_shutdown();
	state_close();
	tunnel_close();
}

void
shoald_stop(const char *fmt, ...)
{
	char	 line[1024];
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	cleanup();
	log_warnx("%s", line);
	exit(1);
}

/* --- signals --- */

#ifdef REGRESS
static void
clock_step(int64_t steady, int64_t date)
{
	proc_clock_step(steady, date);
	proc_note_date();
}

/* "seconds seconds": what the steady clock and the date are ahead. */
static void
clock_file(void)
{
	const char	*path, *err1, *err2;
	char		 buf[64], *second;
	int64_t		 a, b;
	FILE		*fp;

	if ((path = getenv("SHOAL_CLOCK_FILE")) == NULL ||
	    (fp = fopen(path, "re")) == NULL)
		return;
	if (fgets(buf, sizeof(buf), fp) != NULL) {
		buf[strcspn(buf, "\n")] = '\0';
		second = buf + strcspn(buf, " ");
		if (*second != '\0')
			*second++ = '\0';
		a = strtonum(buf, INT32_MIN, INT32_MAX, &err1);
		b = strtonum(second, INT32_MIN, INT32_MAX, &err2);
		if (err1 == NULL && err2 == NULL)
			clock_step(a * 1000000000LL, b * 1000000000LL);
		else
			log_warnx("%s: not two numbers", path);
	}
	fclose(fp);
}
#endif

/* What is being written is let through, for a moment. */
static void
end_cb(int fd, short events, void *arg)
{
	static unsigned int	 tries;
	struct timeval		 tv = { 0, 20000 };

	if ((!state_busy() && !gateway_busy()) || tries++ >= END_TRIES) {
		cleanup();
		exit(0);
	}
	evtimer_set(&ev_end, end_cb, NULL);
	(void)evtimer_add(&ev_end, &tv);
}

static void
signal_cb(int sig, short events, void *arg)
{
	switch (sig) {
	case SIGHUP:
		resolver_check();
		if (up)
			reconf_reload();
		break;
	case SIGUSR1:
#ifdef REGRESS
		clock_file();
#endif
		break;
	default:
		log_info("ending");
		gateway_release();
		state_flush();
		end_cb(-1, 0, NULL);
		break;
	}
}

static void
signals_init(void)
{
	signal_set(&ev_sighup, SIGHUP, signal_cb, NULL);
	signal_set(&ev_sigint, SIGINT, signal_cb, NULL);
	signal_set(&ev_sigterm, SIGTERM, signal_cb, NULL);
	signal_set(&ev_sigusr1, SIGUSR1, signal_cb, NULL);
	if (signal_add(&ev_sighup, NULL) == -1 ||
	    signal_add(&ev_sigint, NULL) == -1 ||
	    signal_add(&ev_sigterm, NULL) == -1 ||
	    signal_add(&ev_sigusr1, NULL) == -1)
		fatal("signal_add");
}

/* --- start --- */

void
shoald_keys(void)
{
	char	 why[512];

	if (tunnel_open(conf, why, sizeof(why)) == -1)
		shoald_stop("%s", why);
	up = 1;
	linkmon_init();
}

void
shoald_started(void)
{
	log_info("shoald %s runs, pid %d", SHOAL_VERSION, (int)getpid());
	daemon_done("shoald");
}

static const char *
parent_dir(const char *file, char *buf, size_t len)
{
	path_dirname(file, buf, len);
	return buf;
}

/* Where the parent may read, write and start programs from here on. */
static void
confine(void)
{
	static char		 write_dir[2][PATH_MAX], exec_dir[8][PATH_MAX];
	const char		*readable[64], *writable[3], *exec[9];
	char			 path[PATH_MAX];
	struct os_confine	 oc;
	struct conf_dir		*d;
	size_t			 i, n = 0;

	TAILQ_FOREACH(d, &conf->c_dirs, d_entry)
		if (n < nitems(readable) - 2)
			readable[n++] = d->d_path;
#ifdef REGRESS
	if (getenv("SHOAL_CLOCK_FILE") != NULL)
		readable[n++] = getenv("SHOAL_CLOCK_FILE");
#endif
	readable[n] = NULL;
	writable[0] = parent_dir(conf->c_state, write_dir[0], PATH_MAX);
	writable[1] = parent_dir(conf->c_socket, write_dir[1], PATH_MAX);
	writable[2] = NULL;
	for (i = 0; child_path(i, path, sizeof(path)) == 0; i++)
		exec[i] = parent_dir(path, exec_dir[i], PATH_MAX);
	exec[i] = NULL;

	memset(&oc, 0, sizeof(oc));
	oc.oc_read = readable;
	oc.oc_write = writable;
	oc.oc_exec = exec;
	os_sandbox_require(conf->c_landlock);
	os_confine_parent(&oc);
}

static void
check_host(void)
{
	if (geteuid() != 0)
		errx(1, "must be started by root");
	if (os_date() < DATE_MIN)
		errx(1, "the clock is wrong (before 2025): certificates and "
		    "handshakes would fail; set the date and start again");
}

static void
run(void)
{
	check_host();
	if (!debug)
		daemon_begin();
	if (atexit(cleanup) != 0)
		fatal("atexit");
	if (event_init() == NULL)
		fatalx("event_init");
	state_init(conf);
	children_init();
	signals_init();
	control_init(conf);
	confine();
#ifdef REGRESS
	clock_file();
#endif
	children_start();
	event_dispatch();
	fatalx("event loop ended");
}

/* A reload must find the file from any directory. */
static void
conf_file_set(const char *file)
{
	if (realpath(file, conf_file) == NULL &&
	    strlcpy(conf_file, file, sizeof(conf_file)) >= sizeof(conf_file))
		errx(1, "%s: name is too long", file);
}

int
main(int argc, char *argv[])
{
	const char	*file = CONF_FILE;
	int		 ch, check = 0, verbose = 0;

	while ((ch = getopt(argc, argv, "dD:f:nv")) != -1) {
		switch (ch) {
		case 'd':
			debug = 1;
			break;
		case 'D':
			if (lex_macro_cmdline(optarg) == -1)
				errx(1, "-D %s: not macro=value", optarg);
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
	log_init(1, "shoald");
	log_setverbose(verbose);
	lex_errors_to_stderr(1);
	if ((conf = conf_parse(file)) == NULL)
		return 1;
	if (check) {
		if (verbose)
			conf_print(conf, stdout);
		conf_free(conf);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	lex_errors_to_stderr(0);
	conf_file_set(file);
	run();
	return 0;
}
