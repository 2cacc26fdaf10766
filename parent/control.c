/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The operator's socket: who may ask, what is answered here, what is asked
 * of the children.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shoald.h"

#define CLIENTS_MAX	32
#define CLIENT_QUEUE	16384		/* messages that all have not read */
#define CLIENT_BACKLOG	256		/* so many, and a new question */
#define CLIENT_IDLE	300		/* seconds without a question */
#define ACCEPT_PAUSE	1		/* seconds, when out of descriptors */
#define ASK_MS		10000
#define PING_MS_MAX	60000
#define NETCHECK_MS	15000

struct client {
	TAILQ_ENTRY(client)	 c_entry;
	struct chan		 c_chan;
	struct event		 c_ev;		/* idle, or to be closed */
	uint32_t		 c_number;
	uid_t			 c_uid;
	int			 c_watch;
	uint32_t		 c_watch_id;
	int			 c_closing;
};

static int	client_msg(struct chan *, struct imsg *);
static void	client_lost(struct chan *, enum chan_end);

static const struct chan_cb	 client_cb = { client_msg, client_lost };

static TAILQ_HEAD(, client)	 clients = TAILQ_HEAD_INITIALIZER(clients);
static struct event		 ev_accept, ev_pause;
static struct msg_ctrl_state	 last_state;
static struct {
	uint32_t	 client;
	uint32_t	 id;
} setting;
static char			 path[sizeof(((struct sockaddr_un *)0)->
				    sun_path)];
static unsigned int		 nclients;
static uint32_t			 last_number;
static int			 listen_fd = -1;

/* --- clients --- */

static struct client *
client_find(uint32_t number)
{
	struct client	*c;

	TAILQ_FOREACH(c, &clients, c_entry)
		if (c->c_number == number && !c->c_closing)
			return c;
	return NULL;
}

static void
client_free(struct client *c)
{
	ctlreq_client_gone(c->c_number);
	(void)evtimer_del(&c->c_ev);
	chan_close(&c->c_chan);
	TAILQ_REMOVE(&clients, c, c_entry);
	nclients--;
	free(c);
}

static void
client_lost(struct chan *chan, enum chan_end end)
{
	struct client	*c = chan->c_arg;

	if (end != CHAN_EOF)
		log_debug("control client of uid %u dropped", c->c_uid);
	client_free(c);
}

static void
client_timer_cb(int fd, short events, void *arg)
{
	client_free(arg);
}

static void
client_timer(struct client *c, unsigned int seconds)
{
	struct timeval	 tv = { seconds, 0 };

	(void)evtimer_del(&c->c_ev);
	if (!c->c_watch || c->c_closing)
		(void)evtimer_add(&c->c_ev, &tv);
}

static size_t
queued_all(void)
{
	struct client	*c;
	size_t		 n = 0;

	TAILQ_FOREACH(c, &clients, c_entry)
		n += chan_queued(&c->c_chan);
	return n;
}

/* From the loop: we may be inside its own message. */
static void
client_drop(struct client *c)
{
	log_warnx("control client of uid %u does not read: dropped",
	    c->c_uid);
	c->c_closing = 1;
	client_timer(c, 0);
}

void
client_send(uint32_t number, enum msg_type type, uint32_t id,
    const void *data, size_t len)
{
	struct client	*c;

	if ((c = client_find(number)) == NULL)
		return;
	if (queued_all() >= CLIENT_QUEUE) {
		client_drop(c);
		return;
	}
	(void)chan_compose(&c->c_chan, type, id, -1, data, len);
}

void
client_fail(uint32_t number, uint32_t id, uint32_t code, const char *fmt, ...)
{
	struct msg_ctl_fail	 m;
	va_list			 ap;

	memset(&m, 0, sizeof(m));
	m.code = code;
	va_start(ap, fmt);
	(void)vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	client_send(number, IMSG_CTL_FAIL, id, &m, sizeof(m));
}

/* --- state --- */

static void
state_fill(struct msg_ctl_state *m)
{
	memset(m, 0, sizeof(*m));
	m->c = last_state;
	(void)strlcpy(m->version, SHOAL_VERSION, sizeof(m->version));
	if (shoald_up())
		(void)strlcpy(m->tun, tunnel_dev()->t_name, sizeof(m->tun));
	m->want_running = prefs_want_running();
	m->sandbox = os_sandbox_status();
}

static void
client_send_state(struct client *c, uint32_t id)
{
	struct msg_ctl_state	 m;

	state_fill(&m);
	client_send(c->c_number, IMSG_CTL_STATE, id, &m, sizeof(m));
}

void
control_notify(void)
{
	struct client	*c;

	TAILQ_FOREACH(c, &clients, c_entry)
		if (c->c_watch)
			client_send_state(c, c->c_watch_id);
}

void
control_state(const struct msg_ctrl_state *m)
{
	last_state = *m;
	control_notify();
}

/* --- verbs --- */

static int
may_change(const struct client *c)
{
	const char	*name = shoald_conf()->c_operator;
	struct passwd	*pw;

	if (c->c_uid == 0)
		return 1;
	if (name[0] == '\0' || (pw = getpwnam(name)) == NULL)
		return 0;
	return pw->pw_uid == c->c_uid;
}

static void
client_end(const struct client *c, uint32_t id)
{
	client_send(c->c_number, IMSG_CTL_END, id, NULL, 0);
}

static void
client_ask(const struct client *c, uint32_t id, const enum proc *procs,
    size_t n, enum msg_type type, const void *data, size_t len,
    unsigned int ms)
{
	if (ctlreq_ask(c->c_number, id, procs, n, type, data, len, ms) == -1)
		client_fail(c->c_number, id, 1, "too many questions at once");
}

/* What the server said last does not answer what is asked of it now. */
static void
refusal_forget(void)
{
	last_state.refused = 0;
	last_state.error[0] = '\0';
}

static void
verb_running(const struct client *c, uint32_t id, int on)
{
	struct msg_u32	 m = { on };
	const char	*why;

	if (prefs_want_running() != on && (why = prefs_set(shoald_conf(),
	    "want_running", on ? "1" : "0")) != NULL) {
		client_fail(c->c_number, id, 1, "%s", why);
		return;
	}
	if (!on)
		refusal_forget();
	child_send(PROC_CTRLD, IMSG_WANT, &m, sizeof(m));
	gateway_update();
	control_notify();
	state_end(c->c_number, id);
}

static int
verb_login(const struct client *c, struct imsg *imsg)
{
	struct msg_u32	 m;
	uint32_t	 id = imsg_get_id(imsg);

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    (m.v & ~(LOGIN_NEW_SERVER_KEY | LOGIN_FORCE_REAUTH)) != 0)
		return -1;
	if (m.v & LOGIN_NEW_SERVER_KEY)
		child_send(PROC_CRYPTOD, IMSG_PIN_CLEAR, NULL, 0);
	child_send(PROC_CTRLD, IMSG_LOGIN, &m, sizeof(m));
	refusal_forget();
	verb_running(c, id, 1);
	return 0;
}

static void
set_done(const char *why)
{
	if (why == NULL)
		state_end(setting.client, setting.id);
	else
		client_fail(setting.client, setting.id, 1, "%s", why);
}

static int
verb_set(const struct client *c, struct imsg *imsg)
{
	struct msg_pref	 m;
	const char	*why;
	uint32_t	 id = imsg_get_id(imsg);

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.name, sizeof(m.name)) ||
	    !msg_str_ok(m.value, sizeof(m.value)))
		return -1;
	if ((why = reconf_busy()) == NULL)
		why = prefs_set(shoald_conf(), m.name, m.value);
	if (why != NULL) {
		client_fail(c->c_number, id, 1, "%s: %s", m.name, why);
		return 0;
	}
	setting.client = c->c_number;
	setting.id = id;
	reconf_start(shoald_conf(), set_done);
	return 0;
}

static int
verb_whois(const struct client *c, struct imsg *imsg)
{
	static const enum proc	 who[] = { PROC_CTRLD };
	struct msg_resolve	 m;
	uint32_t		 id = imsg_get_id(imsg);

	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    !msg_str_ok(m.name, sizeof(m.name)))
		return -1;
	client_ask(c, id, who, nitems(who), IMSG_CTL_WHOIS, &m, sizeof(m),
	    ASK_MS);
	return 0;
}

static int
verb_ping(const struct client *c, struct imsg *imsg)
{
	static const enum proc	 who[] = { PROC_NETD };
	struct msg_ctl_ping	 m;
	uint32_t		 id = imsg_get_id(imsg);

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	if (m.timeout_ms == 0 || m.timeout_ms > PING_MS_MAX)
		m.timeout_ms = PING_MS_MAX;
	/* netd tells of the time-out itself, more exactly. */
	client_ask(c, id, who, nitems(who), IMSG_CTL_PING, &m, sizeof(m),
	    m.timeout_ms + 2000);
	return 0;
}

static int
verb_netcheck(const struct client *c, struct imsg *imsg)
{
	static const enum proc	 who[] = { PROC_NETD };
	struct msg_ctl_netcheck	 m;
	uint32_t		 id = imsg_get_id(imsg);

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	/* Up to five seconds, maybe after one that is under way. */
	client_ask(c, id, who, nitems(who), IMSG_CTL_NETCHECK, &m, sizeof(m),
	    NETCHECK_MS);
	return 0;
}

/* A line for a person. */
__attribute__((__format__ (printf, 3, 4)))
static void
client_text(const struct client *c, uint32_t id, const char *fmt, ...)
{
	char	 text[MSG_TEXT_LEN];
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	client_send(c->c_number, IMSG_CTL_TEXT, id, text, strlen(text) + 1);
}

static const char *
on_off(uint32_t bit)
{
	return os_sandbox_status() & bit ? "on" : "off";
}

/* "parent", "sandbox": what the parent knows itself. */
static void
debug_parent(const struct client *c, uint32_t id)
{
	static const enum proc	 all[] = {
		PROC_CRYPTOD, PROC_NETD, PROC_CTRLD, PROC_DNSD, PROC_PORTMAPD
	};
	struct proc_child	*pc;
	size_t			 i;

	client_text(c, id, "parent: pid %d, seccomp %s, Landlock %s",
	    (int)getpid(), on_off(OS_SANDBOX_SECCOMP),
	    on_off(OS_SANDBOX_LANDLOCK));
	for (i = 0; i < nitems(all); i++) {
		pc = child_get(all[i]);
		client_text(c, id, "%s: pid %d, started %u times, %s",
		    pc->pc_name, (int)pc->pc_pid, pc->pc_starts,
		    child_running(all[i]) ? "running" : "not running");
	}
	client_end(c, id);
}

/* "netd peers" is "peers" for netd. NULL: not for this child. */
static const char *
debug_topic(const char *s, const char *name)
{
	size_t	 n = strlen(name);

	if (strncmp(s, name, n) != 0 || (s[n] != '\0' && s[n] != ' '))
		return NULL;
	return s[n] == ' ' ? s + n + 1 : s + n;
}

/* A child's name asks that child; else all of them are asked. */
static int
verb_debug(const struct client *c, struct imsg *imsg)
{
	static const enum proc	 all[] = {
		PROC_CRYPTOD, PROC_NETD, PROC_CTRLD, PROC_DNSD, PROC_PORTMAPD
	};
	static const enum proc	 mapper = PROC_PORTMAPD;
	struct msg_str64	 m, ask;
	const char		*topic;
	uint32_t		 id = imsg_get_id(imsg);
	size_t			 i;

	if (msg_get(imsg, &m, sizeof(m)) == -1 || !msg_str_ok(m.s, sizeof(m.s)))
		return -1;
	if (strcmp(m.s, "parent") == 0 || strcmp(m.s, "sandbox") == 0) {
		debug_parent(c, id);
		return 0;
	}
	if (strcmp(m.s, "portmap") == 0) {
		client_ask(c, id, &mapper, 1, IMSG_CTL_DEBUG, &m, sizeof(m),
		    ASK_MS);
		return 0;
	}
	for (i = 0; i < nitems(all); i++) {
		if ((topic = debug_topic(m.s, proc_name(all[i]))) == NULL)
			continue;
		memset(&ask, 0, sizeof(ask));
		(void)strlcpy(ask.s, topic, sizeof(ask.s));
		client_ask(c, id, &all[i], 1, IMSG_CTL_DEBUG, &ask,
		    sizeof(ask), ASK_MS);
		return 0;
	}
	client_ask(c, id, all, nitems(all), IMSG_CTL_DEBUG, &m, sizeof(m),
	    ASK_MS);
	return 0;
}

static int
client_read(struct client *c, struct imsg *imsg)
{
	static const enum proc	 who[] = { PROC_CTRLD, PROC_NETD };
	uint32_t		 id = imsg_get_id(imsg);

	switch (imsg_get_type(imsg)) {
	case IMSG_CTL_STATE:
		if (imsg_get_len(imsg) != 0)
			return -1;
		client_send_state(c, id);
		client_end(c, id);
		return 0;
	case IMSG_CTL_WATCH:
		c->c_watch = 1;
		c->c_watch_id = id;
		client_send_state(c, id);
		return 0;
	case IMSG_CTL_STATUS:
		client_send_state(c, id);
		client_ask(c, id, who, nitems(who), IMSG_CTL_STATUS, NULL, 0,
		    ASK_MS);
		return 0;
	case IMSG_CTL_WHOIS:
		return verb_whois(c, imsg);
	case IMSG_CTL_PING:
		return verb_ping(c, imsg);
	case IMSG_CTL_NETCHECK:
		return verb_netcheck(c, imsg);
	case IMSG_CTL_DEBUG:
		return verb_debug(c, imsg);
	default:
		return -1;
	}
}

static int
client_change(const struct client *c, struct imsg *imsg)
{
	uint32_t	 id = imsg_get_id(imsg);

	if (!may_change(c)) {
		client_fail(c->c_number, id, 1, "only root and the operator "
		    "named in the configuration may do this");
		return 0;
	}
	switch (imsg_get_type(imsg)) {
	case IMSG_CTL_UP:
		verb_running(c, id, 1);
		return 0;
	case IMSG_CTL_DOWN:
		verb_running(c, id, 0);
		return 0;
	case IMSG_CTL_LOGIN:
		return verb_login(c, imsg);
	case IMSG_CTL_LOGOUT:
		child_send(PROC_CTRLD, IMSG_LOGOUT, NULL, 0);
		client_end(c, id);
		return 0;
	default:
		return verb_set(c, imsg);
	}
}

static int
client_msg(struct chan *chan, struct imsg *imsg)
{
	struct client	*c = chan->c_arg;
	int		 ret;

	if (c->c_closing)
		return 0;
	if (chan_queued(&c->c_chan) >= CLIENT_BACKLOG) {
		client_drop(c);
		return 0;
	}
	switch (imsg_get_type(imsg)) {
	case IMSG_CTL_UP:
	case IMSG_CTL_DOWN:
	case IMSG_CTL_LOGIN:
	case IMSG_CTL_LOGOUT:
	case IMSG_CTL_SET:
		ret = client_change(c, imsg);
		break;
	default:
		ret = client_read(c, imsg);
		break;
	}
	if (!c->c_closing)
		client_timer(c, CLIENT_IDLE);
	return ret;
}

/* --- the socket --- */

static void
client_new(int fd)
{
	struct client	*c;
	uid_t		 uid;
	gid_t		 gid;

	if (getpeereid(fd, &uid, &gid) == -1 || nclients >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL)
		shoald_stop("out of memory");
	c->c_number = ++last_number;
	c->c_uid = uid;
	nclients++;
	TAILQ_INSERT_TAIL(&clients, c, c_entry);
	evtimer_set(&c->c_ev, client_timer_cb, c);
	chan_open(&c->c_chan, fd, PROC_PARENT, PROC_CTL, &client_cb, c);
	client_timer(c, CLIENT_IDLE);
}

static void
pause_cb(int fd, short events, void *arg)
{
	(void)event_add(&ev_accept, NULL);
}

static void
accept_cb(int fd, short events, void *arg)
{
	struct timeval	 tv = { ACCEPT_PAUSE, 0 };
	int		 s;

	s = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (s != -1) {
		client_new(s);
		return;
	}
	if (errno == EMFILE || errno == ENFILE) {
		(void)event_del(&ev_accept);
		(void)evtimer_add(&ev_pause, &tv);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		log_warn("control socket: accept");
}

/* One that nobody serves any more is removed. */
static void
socket_clear(const struct sockaddr_un *sun)
{
	struct stat	 st;
	int		 fd;

	if (lstat(path, &st) == -1)
		return;
	if (!S_ISSOCK(st.st_mode))
		fatalx("socket %s exists and is no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		fatal("socket");
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0)
		fatalx("already running: another process serves the socket "
		    "%s", path);
	close(fd);
	if (unlink(path) == -1)
		fatal("socket %s", path);
}

static void
socket_group(const char *name, int by_file)
{
	struct group	*gr;

	if ((gr = getgrnam(name)) == NULL) {
		if (by_file)
			fatalx("socket: there is no group %s", name);
		log_warnx("there is no group %s: the socket is for root alone",
		    name);
		return;
	}
	if (chown(path, (uid_t)-1, gr->gr_gid) == -1 ||
	    chmod(path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) == -1)
		fatal("socket %s", path);
}

void
control_init(const struct shoal_conf *c)
{
	struct sockaddr_un	 sun;
	mode_t			 old;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, c->c_socket, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		fatalx("socket %s: name is too long", c->c_socket);
	(void)strlcpy(path, c->c_socket, sizeof(path));
	socket_clear(&sun);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (listen_fd == -1)
		fatal("socket");
	old = umask(S_IXUSR | S_IRWXG | S_IRWXO);
	if (bind(listen_fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		fatal("socket %s", path);
	(void)umask(old);
	socket_group(c->c_group, (c->c_set & SET_SOCKET) != 0 &&
	    strcmp(c->c_group, CTL_GROUP) != 0);
	if (listen(listen_fd, CLIENTS_MAX) == -1)
		fatal("socket %s", path);
	evtimer_set(&ev_pause, pause_cb, NULL);
	event_set(&ev_accept, listen_fd, EV_READ | EV_PERSIST, accept_cb,
	    NULL);
	(void)event_add(&ev_accept, NULL);
}

void
control_close(void)
{
	struct client	*c;

	if (listen_fd == -1)
		return;
	(void)event_del(&ev_accept);
	(void)evtimer_del(&ev_pause);
	close(listen_fd);
	listen_fd = -1;
	(void)unlink(path);
	while ((c = TAILQ_FIRST(&clients)) != NULL)
		client_free(c);
}
