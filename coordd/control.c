/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The administrators' socket: who they are is read from the socket, what
 * they may is read from the table, what they ask is answered by stored.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adm.h"
#include "coordd.h"

#define CLIENTS_MAX	32
#define ASKS_MAX	256

struct client {
	TAILQ_ENTRY(client)	 c_entry;
	struct chan		 c_chan;
	uid_t			 c_uid;
};

/* A question that stored has. */
struct ask {
	TAILQ_ENTRY(ask)	 a_entry;
	struct client		*a_client;	/* NULL: gone */
	uint32_t		 a_id;		/* towards stored */
	uint32_t		 a_client_id;
};

static TAILQ_HEAD(, client)	 clients = TAILQ_HEAD_INITIALIZER(clients);
static TAILQ_HEAD(, ask)	 asks = TAILQ_HEAD_INITIALIZER(asks);
static struct event		 ev_accept;
static char			 path[PATH_MAX];
static size_t			 nclients, nasks;
static uint32_t			 next_id;
static int			 listen_fd = -1;

static int	 client_msg(struct chan *, struct imsg *);
static void	 client_lost(struct chan *, enum chan_end);

static const struct chan_cb	 client_cb = { client_msg, client_lost };

static const struct {
	const char	*object;
	const char	*verb;
	int		 flags;
} verbs[] = {
#define VERB(o, v, f)	{ o, v, f },
	ADM_VERBS(VERB)
#undef VERB
};

/* Give the name away, unless another coordd answers there. */
static void
control_bind(const struct coord_conf *c)
{
	struct sockaddr_un	 sun;
	mode_t			 old;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, c->c_socket, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		fatalx("socket %s: name is too long", c->c_socket);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (listen_fd == -1)
		fatal("socket");
	if (connect(listen_fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		fatalx("socket %s: another coordd answers there",
		    c->c_socket);
	if (unlink(c->c_socket) == -1 && errno != ENOENT)
		fatal("socket %s", c->c_socket);
	old = umask(S_IXUSR | S_IXGRP | S_IRWXO);
	if (bind(listen_fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		fatal("socket %s", c->c_socket);
	(void)umask(old);
	(void)strlcpy(path, c->c_socket, sizeof(path));
}

/* Bound and with its owner; control_start() listens on it in the loop. */
void
control_init(const struct coord_conf *c)
{
	struct group	*gr;

	if ((gr = getgrnam(c->c_group)) == NULL)
		fatalx("socket %s: unknown group %s", c->c_socket,
		    c->c_group);
	control_bind(c);
	if (geteuid() == 0 && chown(path, 0, gr->gr_gid) == -1)
		fatal("socket %s: chown", path);
	if (chmod(path, 0660) == -1)
		fatal("socket %s: chmod", path);
}

static void
client_fail(struct client *cl, uint32_t id, uint32_t code, const char *text)
{
	struct msg_ctl_fail	 m;

	memset(&m, 0, sizeof(m));
	m.code = code;
	(void)strlcpy(m.text, text, sizeof(m.text));
	(void)chan_compose(&cl->c_chan, IMSG_CTL_FAIL, id, -1, &m, sizeof(m));
}

static void
client_free(struct client *cl)
{
	struct ask	*a;

	TAILQ_FOREACH(a, &asks, a_entry)
		if (a->a_client == cl)
			a->a_client = NULL;
	chan_close(&cl->c_chan);
	TAILQ_REMOVE(&clients, cl, c_entry);
	nclients--;
	free(cl);
}

static void
client_lost(struct chan *ch, enum chan_end end)
{
	if (end == CHAN_BROKEN)
		log_warnx("coordctl: bad message, closed");
	client_free(ch->c_arg);
}

static void
accept_cb(int fd, short events, void *arg)
{
	struct client	*cl;
	gid_t		 gid;
	uid_t		 uid;
	int		 s;

	s = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (s == -1)
		return;
	if (nclients >= CLIENTS_MAX || getpeereid(s, &uid, &gid) == -1) {
		close(s);
		return;
	}
	if ((cl = calloc(1, sizeof(*cl))) == NULL)
		fatal(NULL);
	cl->c_uid = uid;
	TAILQ_INSERT_TAIL(&clients, cl, c_entry);
	nclients++;
	chan_open(&cl->c_chan, s, PROC_COORDD, PROC_COORDCTL, &client_cb, cl);
}

void
control_start(void)
{
	if (listen(listen_fd, 16) == -1)
		fatal("socket %s", path);
	event_set(&ev_accept, listen_fd, EV_READ | EV_PERSIST, accept_cb,
	    NULL);
	event_add(&ev_accept, NULL);
}

void
control_close(void)
{
	struct client	*cl;

	if (listen_fd == -1)
		return;
	while ((cl = TAILQ_FIRST(&clients)) != NULL) {
		chan_flush(&cl->c_chan);
		client_free(cl);
	}
	close(listen_fd);
	listen_fd = -1;
	(void)unlink(path);
}

/* n NUL-terminated words fill the data; the first two are given back. */
static int
words_check(const uint8_t *data, size_t len, uint32_t n, const char **object,
    const char **verb)
{
	const uint8_t	*nul, *p = data;
	uint32_t	 i;

	*object = *verb = "";
	for (i = 0; i < n; i++) {
		if ((nul = memchr(p, '\0', len - (p - data))) == NULL)
			return -1;
		if (i == 0)
			*object = (const char *)p;
		else if (i == 1)
			*verb = (const char *)p;
		p = nul + 1;
	}
	return (size_t)(p - data) == len ? 0 : -1;
}

/* The row of the table, or -1. An object without verbs has but one row. */
static int
verb_find(const char *object, const char *verb)
{
	size_t	 i;

	for (i = 0; i < nitems(verbs); i++)
		if (strcmp(verbs[i].object, object) == 0 &&
		    (verbs[i].verb[0] == '\0' ||
		    strcmp(verbs[i].verb, verb) == 0))
			return i;
	return -1;
}

/* The parent's own part of `status`. */
static void
status_row(struct client *cl, uint32_t id)
{
	char	 row[1024];
	int	 n;

	n = snprintf(row, sizeof(row), "{\"version\":\"%s\",\"url\":\"%s\","
	    "\"uptime\":%lld,\"replaced\":%u}", SHOAL_VERSION,
	    coordd_conf()->c_url,
	    (long long)((os_now() - coordd_started()) / 1000000000),
	    children_replaced());
	if (n > 0 && (size_t)n < sizeof(row))
		(void)chan_compose(&cl->c_chan, IMSG_ADM_ROW, id, -1, row,
		    n + 1);
}

static void
ask_stored(struct client *cl, uint32_t id, struct msg_adm_list *m,
    const uint8_t *data, size_t len, int fd)
{
	struct proc_child	*pc;
	struct ask		*a;

	pc = child_get(PROC_STORED);
	m->uid = cl->c_uid;
	if (nasks >= ASKS_MAX || chan_compose2(&pc->pc_chan, IMSG_ADM_REQ,
	    ++next_id, fd, m, sizeof(*m), data, len) == -1) {
		client_fail(cl, id, 1, "the store is not ready, try again");
		return;
	}
	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal(NULL);
	a->a_client = cl;
	a->a_client_id = id;
	a->a_id = next_id;
	TAILQ_INSERT_TAIL(&asks, a, a_entry);
	nasks++;
}

static int
client_request(struct client *cl, struct imsg *imsg)
{
	struct msg_adm_list	 m;
	const char		*object, *verb;
	const uint8_t		*data;
	size_t			 len;
	uint32_t		 id;
	int			 fd, v;

	id = imsg_get_id(imsg);
	len = imsg_get_len(imsg) - sizeof(m);
	if (msg_list(imsg, &m, sizeof(m), &data) == -1 ||
	    m.n > ADM_WORDS_MAX ||
	    words_check(data, len, m.n, &object, &verb) == -1)
		return -1;
	fd = imsg_get_fd(imsg);
	if ((v = verb_find(object, verb)) == -1)
		client_fail(cl, id, 2, "unknown command");
	else if ((verbs[v].flags & ADM_CHANGE) && cl->c_uid != 0 &&
	    cl->c_uid != geteuid())
		client_fail(cl, id, 1, "only root may do that");
	else if ((verbs[v].flags & ADM_FD) && fd == -1)
		client_fail(cl, id, 2, "a file is needed");
	else {
		if (strcmp(object, "status") == 0)
			status_row(cl, id);
		ask_stored(cl, id, &m, data, len, fd);
		return 0;
	}
	if (fd != -1)
		close(fd);
	return 0;
}

static int
client_msg(struct chan *ch, struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_ADM_REQ:
		return client_request(ch->c_arg, imsg);
	default:
		return -1;
	}
}

static void
ask_done(struct ask *a)
{
	TAILQ_REMOVE(&asks, a, a_entry);
	nasks--;
	free(a);
}

static int
answer_pass(struct ask *a, struct imsg *imsg)
{
	struct msg_ctl_fail	 fail;
	struct client		*cl = a->a_client;
	char			 row[MSG_CHUNK_MAX];
	size_t			 len;

	switch (imsg_get_type(imsg)) {
	case IMSG_ADM_ROW:
		len = imsg_get_len(imsg);
		if (len > sizeof(row) ||
		    imsg_get_strbuf(imsg, row, len) == -1)
			return -1;
		if (cl != NULL)
			(void)chan_compose(&cl->c_chan, IMSG_ADM_ROW,
			    a->a_client_id, -1, row, strlen(row) + 1);
		return 0;
	case IMSG_CTL_FAIL:
		if (msg_get(imsg, &fail, sizeof(fail)) == -1 ||
		    !msg_str_ok(fail.text, sizeof(fail.text)))
			return -1;
		if (cl != NULL)
			(void)chan_compose(&cl->c_chan, IMSG_CTL_FAIL,
			    a->a_client_id, -1, &fail, sizeof(fail));
		break;
	default:
		if (cl != NULL)
			(void)chan_compose(&cl->c_chan, IMSG_ADM_END,
			    a->a_client_id, -1, NULL, 0);
		break;
	}
	ask_done(a);
	return 0;
}

int
control_answer(struct imsg *imsg)
{
	struct ask	*a;

	TAILQ_FOREACH(a, &asks, a_entry)
		if (a->a_id == imsg_get_id(imsg))
			return answer_pass(a, imsg);
	return -1;
}

void
control_stored_lost(void)
{
	struct ask	*a;

	while ((a = TAILQ_FIRST(&asks)) != NULL) {
		if (a->a_client != NULL)
			client_fail(a->a_client, a->a_client_id, 1,
			    "the store is being restarted, try again");
		ask_done(a);
	}
}
