/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * shoalctl up, down, login, logout, set: what changes the node.
 */

#include <sys/types.h>

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shoalctl.h"

/* So long a new login may take to begin, after it was asked for. */
#define LEAVE_MS	3000
/* shoald may be about to start: both were asked for at once. */
#define START_MS	3000

struct wait {
	char		 w_url[MSG_TEXT_LEN];	/* shown last */
	char		 w_error[MSG_TEXT_LEN];
	uint32_t	 w_state;
	int		 w_left;		/* was not running meanwhile */
};

static int64_t	 now_ms(void);
static int	 set_pref(const char *, const char *);
static int	 set_prefs(const struct args *);
static const char
		*waits_for(const struct msg_ctl_state *);
static void	 show_wait(struct wait *, struct msg_ctl_state *);
static void	 show_refused(struct msg_ctl_state *, int);
static int	 next_state(struct msg_ctl_state *, int);
static int	 remaining(int64_t, int64_t);
static int	 wait_running(int64_t, int);

static int64_t
now_ms(void)
{
	struct timespec	 ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		err(1, "clock_gettime");
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
set_pref(const char *name, const char *value)
{
	struct msg_pref	 m;

	memset(&m, 0, sizeof(m));
	if (strlcpy(m.name, name, sizeof(m.name)) >= sizeof(m.name) ||
	    strlcpy(m.value, value, sizeof(m.value)) >= sizeof(m.value)) {
		warnx("%s: value is too long", name);
		return 2;
	}
	return conn_ask(IMSG_CTL_SET, &m, sizeof(m), NULL, NULL);
}

static int
set_prefs(const struct args *a)
{
	int	 r = 0;

	if (a->a_hostname != NULL)
		r = set_pref("hostname", a->a_hostname);
	if (r == 0 && a->a_shields != NULL)
		r = set_pref("shields-up", a->a_shields);
	return r;
}

static const char *
waits_for(const struct msg_ctl_state *m)
{
	switch (m->c.state) {
	case CTRL_NEEDSLOGIN:
		return "waiting for the login";
	case CTRL_NEEDSAPPROVAL:
		return "waiting for an administrator to approve this node";
	case CTRL_STARTING:
		return m->c.online ? "waiting for the network map" :
		    "connecting to the control server";
	default:
		return "starting";
	}
}

/* What is new about the state. */
static void
show_wait(struct wait *w, struct msg_ctl_state *m)
{
	clean_text(m->c.url, sizeof(m->c.url));
	clean_text(m->c.error, sizeof(m->c.error));
	if (m->c.url[0] != '\0' && strcmp(m->c.url, w->w_url) != 0)
		fprintf(stderr, "\nTo authenticate, visit:\n\n\t%s\n\n",
		    m->c.url);
	else if (m->c.state != w->w_state && m->c.url[0] == '\0')
		fprintf(stderr, "%s\n", waits_for(m));
	if (m->c.error[0] != '\0' && strcmp(m->c.error, w->w_error) != 0)
		fprintf(stderr, "%s\n", m->c.error);
	(void)strlcpy(w->w_url, m->c.url, sizeof(w->w_url));
	(void)strlcpy(w->w_error, m->c.error, sizeof(w->w_error));
	w->w_state = m->c.state;
}

/* 1: a state; 0: not within that time. */
static int
next_state(struct msg_ctl_state *m, int ms)
{
	struct msg_ctl_fail	 fail;
	struct imsg		 imsg;

	if (conn_next(&imsg, ms) == 0)
		return 0;
	if (imsg_get_type(&imsg) == IMSG_CTL_FAIL) {
		conn_data(&imsg, &fail, sizeof(fail));
		clean_text(fail.text, sizeof(fail.text));
		errx(1, "%s", fail.text);
	}
	if (imsg_get_type(&imsg) != IMSG_CTL_STATE)
		errx(1, "shoald and shoalctl are of different versions");
	conn_data(&imsg, m, sizeof(*m));
	imsg_free(&imsg);
	return 1;
}

static const char *
what_to_do(uint32_t refused)
{
	switch (refused) {
	case REFUSED_AUTHKEY:
		return "give shoald.conf another `auth key', or none to log "
		    "in by a URL, and reload shoald";
	case REFUSED_LOCK:
		return "`shoalctl logout' and log in anew, if it is not a new "
		    "login already; then have an administrator of the "
		    "tailnet sign the key of this node";
	case REFUSED_EXPIRED:
		return "compare the date of this host with the server's, and "
		    "ask who runs it how long its keys last";
	case REFUSED_PIN:
		return "ask who runs the control server whether its key was "
		    "changed";
	default:
		return "ask who runs the control server";
	}
}

/* What to do stands there too: to wait would be in vain. */
static void
show_refused(struct msg_ctl_state *m, int again)
{
	int	 said;

	clean_text(m->c.error, sizeof(m->c.error));
	said = m->c.refused == REFUSED_NODE ||
	    m->c.refused == REFUSED_AUTHKEY;	/* in its own words */
	warnx("%s%s", said ? "the control server refuses: " : "", m->c.error);
	warnx("%s", what_to_do(m->c.refused));
	if (again && m->c.state == CTRL_RUNNING)
		warnx("the node keeps the key that it has");
}

/* Milliseconds until the deadline, for poll(2); 0 is no deadline. */
static int
remaining(int64_t start, int64_t timeout)
{
	int64_t	 left;

	if (timeout == 0)
		return -1;
	left = start + timeout - now_ms();
	return left > 0 ? (int)left : 0;
}

/*
 * Watch until the node runs, or will not without another key or login.
 * again: it may run now, and is about to leave that for a new login.
 */
static int
wait_running(int64_t timeout, int again)
{
	struct msg_ctl_state	 m;
	struct wait		 w;
	int64_t			 start = now_ms();
	int			 ms, waiting;

	memset(&m, 0, sizeof(m));
	memset(&w, 0, sizeof(w));
	w.w_state = UINT32_MAX;
	conn_send(IMSG_CTL_WATCH, NULL, 0);
	for (;;) {
		ms = remaining(start, timeout);
		waiting = again && !w.w_left;
		if (waiting && (ms == -1 || ms > LEAVE_MS))
			ms = remaining(start, LEAVE_MS);
		if (next_state(&m, ms) == 0) {
			if (waiting && remaining(start, timeout) != 0)
				return 0;
			warnx("timed out: %s", waits_for(&m));
			return 1;
		}
		if (m.c.refused) {
			show_refused(&m, again);
			return 1;
		}
		if (m.c.state == CTRL_RUNNING && (!again || w.w_left))
			return 0;
		if (m.c.state == CTRL_RUNNING)
			continue;
		w.w_left = 1;
		if (m.c.state == CTRL_STOPPED && !m.want_running) {
			warnx("somebody else stopped it");
			return 1;
		}
		show_wait(&w, &m);
	}
}

int
cmd_up(const struct args *a)
{
	struct msg_u32	 m;
	int		 r;

	conn_open(socket_path, START_MS);
	if ((r = set_prefs(a)) != 0)
		return r;
	if (a->a_force_reauth) {
		memset(&m, 0, sizeof(m));
		m.v = LOGIN_FORCE_REAUTH;
		r = conn_ask(IMSG_CTL_LOGIN, &m, sizeof(m), NULL, NULL);
	} else
		r = conn_ask(IMSG_CTL_UP, NULL, 0, NULL, NULL);
	return r != 0 ? r : wait_running(a->a_timeout_ms, a->a_force_reauth);
}

int
cmd_login(const struct args *a)
{
	struct msg_u32	 m;
	int		 r;

	memset(&m, 0, sizeof(m));
	m.v = (a->a_force_reauth ? LOGIN_FORCE_REAUTH : 0) |
	    (a->a_new_server_key ? LOGIN_NEW_SERVER_KEY : 0);
	conn_open(socket_path, START_MS);
	if ((r = conn_ask(IMSG_CTL_LOGIN, &m, sizeof(m), NULL, NULL)) != 0)
		return r;
	return wait_running(a->a_timeout_ms, a->a_force_reauth);
}

int
cmd_down(const struct args *a)
{
	conn_open(socket_path, 0);
	return conn_ask(IMSG_CTL_DOWN, NULL, 0, NULL, NULL);
}

int
cmd_logout(const struct args *a)
{
	conn_open(socket_path, 0);
	return conn_ask(IMSG_CTL_LOGOUT, NULL, 0, NULL, NULL);
}

int
cmd_set(const struct args *a)
{
	if (a->a_hostname == NULL && a->a_shields == NULL) {
		warnx("set: nothing to set");
		return 2;
	}
	conn_open(socket_path, 0);
	return set_prefs(a);
}
