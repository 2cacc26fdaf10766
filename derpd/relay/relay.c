/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * relay: main, the channels to parent and cryptod, configuration, listeners.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/resource.h>

#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "jsonutil.h"
#include "os.h"
#include "ossl.h"
#include "proc.h"
#include "relay.h"

#define RELAY_USER	"_derprelay"
#define FD_RESERVE	32	/* descriptors for what is no connection */
#define RESTART_WAIT	1000	/* ms: told to clients when we go */
#define RESTART_TRY	60000

struct listener {
	TAILQ_ENTRY(listener)	 l_entry;
	struct event		 l_ev;
	uint32_t		 l_flags;	/* LISTEN_* */
	int			 l_fd;
};
TAILQ_HEAD(listeners, listener);

static struct listeners		 listening =
				    TAILQ_HEAD_INITIALIZER(listening);
static struct listeners		 next_listening =
				    TAILQ_HEAD_INITIALIZER(next_listening);
static struct msg_conf_relay	 conf, next_conf;
static struct chan		 chan_crypt;
static struct event		 ev_pause;
static uint8_t			 server_key[MSG_KEY_LEN];
static uint32_t			 fd_max;
static int			 have_key, reconf, file_bad, paused;

static int	 relay_parent_msg(struct imsg *);
static int	 relay_channel(enum proc, int, int);
static void	 relay_exit(void);
static int	 crypt_msg(struct chan *, struct imsg *);
static void	 crypt_lost(struct chan *, enum chan_end);

static const struct proc_self	 self = {
	.ps_proc = PROC_RELAY,
	.ps_parent = PROC_DERPD,
	.ps_name = "relay",
	.ps_user = RELAY_USER,
	.ps_msg = relay_parent_msg,
	.ps_channel = relay_channel,
	.ps_exit = relay_exit
};
static const struct chan_cb	 crypt_cb = { crypt_msg, crypt_lost };

struct chan *
relay_crypt(void)
{
	return &chan_crypt;
}

const struct msg_conf_relay *
relay_conf(void)
{
	return &conf;
}

const uint8_t *
relay_key(void)
{
	return have_key ? server_key : NULL;
}

/* What libraries do at their first use is done before the sandbox closes. */
static void
relay_warmup(void)
{
	static const char	 text[] = "{\"a\":[1,\"b\"]}";
	json_t			*j;

	ossl_start();
	json_object_seed(arc4random() | 1);
	if ((j = ju_load(text, sizeof(text) - 1)) != NULL)
		json_decref(j);
	tls_warmup();
	tlsclient_warmup();
}

/* So many connections can be open at most. */
static uint32_t
relay_fd_max(void)
{
	struct rlimit	 rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1 ||
	    rl.rlim_cur < FD_RESERVE * 2)
		return FD_RESERVE;
	return rl.rlim_cur > 1 << 20 ? 1 << 20 : rl.rlim_cur - FD_RESERVE;
}

/* Clients hear that they may come back, as far as their sockets take it. */
static void
relay_exit(void)
{
	core_restarting(RESTART_WAIT, RESTART_TRY);
	conn_sweep();
}

int
main(int argc, char *argv[])
{
	proc_child_init(&self, relay_warmup, argc, argv);
	fd_max = relay_fd_max();
	conn_init();
	stun_init();
	proc_child_run();
}

/* --- listeners --- */

static void
listener_cb(int fd, short events, void *arg)
{
	struct listener	*l = arg;

	conn_accept(fd, l->l_flags);
	conn_sweep();
}

static void
listeners_drop(struct listeners *head)
{
	struct listener	*l;

	while ((l = TAILQ_FIRST(head)) != NULL) {
		TAILQ_REMOVE(head, l, l_entry);
		event_del(&l->l_ev);
		close(l->l_fd);
		free(l);
	}
}

static void
listener_add(int fd, uint32_t flags)
{
	struct listener	*l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		fatal(NULL);
	l->l_fd = fd;
	l->l_flags = flags;
	event_set(&l->l_ev, fd, EV_READ | EV_PERSIST, flags & LISTEN_STUN ?
	    stun_cb : listener_cb, l);
	TAILQ_INSERT_TAIL(&next_listening, l, l_entry);
}

static void
listeners_on(void)
{
	struct listener	*l;

	paused = 0;
	TAILQ_FOREACH(l, &listening, l_entry)
		event_add(&l->l_ev, NULL);
}

static void
pause_cb(int fd, short events, void *arg)
{
	listeners_on();
}

void
relay_accept_pause(void)
{
	struct timeval	 tv = { 1, 0 };
	struct listener	*l;

	if (paused)
		return;
	paused = 1;
	TAILQ_FOREACH(l, &listening, l_entry)
		if ((l->l_flags & LISTEN_STUN) == 0)
			event_del(&l->l_ev);
	evtimer_set(&ev_pause, pause_cb, NULL);
	evtimer_add(&ev_pause, &tv);
}

/* --- the parent --- */

static int
conf_check(const struct msg_conf_relay *c)
{
	return msg_str_ok(c->hostname, sizeof(c->hostname)) &&
	    c->max_conns > 0 && c->tls <= RELAY_TLS_FILE && !file_bad &&
	    c->rate <= INT32_MAX * 1000ULL && c->burst <= INT64_MAX / 2 &&
	    c->all_rate <= INT32_MAX * 1000ULL &&
	    c->all_burst <= INT64_MAX / 2;
}

static void
conf_commit(void)
{
	struct listener	*l;

	listeners_drop(&listening);
	while ((l = TAILQ_FIRST(&next_listening)) != NULL) {
		TAILQ_REMOVE(&next_listening, l, l_entry);
		TAILQ_INSERT_TAIL(&listening, l, l_entry);
	}
	conf = next_conf;
	if (conf.max_conns > fd_max)
		conf.max_conns = fd_max;
	tls_commit();
	servers_commit();
	page_commit();
	verify_forget();
	mesh_commit();
	follow_commit();
	listeners_on();
	core_review(verify_stays);
	reconf = 0;
}

static int
relay_listen(struct imsg *imsg)
{
	struct msg_listen	 m;
	int			 fd;

	if (!reconf || msg_get(imsg, &m, sizeof(m)) == -1 ||
	    (fd = imsg_get_fd(imsg)) == -1)
		return -1;
	listener_add(fd, m.flags);
	return 0;
}

static int
relay_cert(struct imsg *imsg)
{
	char	 name[MSG_NAME_LEN];
	int	 fd;

	if (!reconf || (fd = imsg_get_fd(imsg)) == -1)
		return -1;
	if (msg_get_str(imsg, name, sizeof(name)) == -1) {
		(void)close(fd);
		return -1;
	}
	if (tls_file(fd, name) == -1)
		file_bad = 1;
	return 0;
}

static void
reconf_start(void)
{
	listeners_drop(&next_listening);
	tls_abort();
	servers_abort();
	page_abort();
	follow_abort();
	memset(&next_conf, 0, sizeof(next_conf));
	file_bad = 0;
	reconf = 1;
}

static int
relay_reconf(struct imsg *imsg)
{
	struct msg_u32	 m;

	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_START:
		reconf_start();
		return 0;
	case IMSG_RECONF_END:
		if (!reconf)
			return -1;
		memset(&m, 0, sizeof(m));
		if (!conf_check(&next_conf))
			m.v = MSG_E_BAD;
		return chan_compose(proc_parent(), IMSG_RECONF_READY, 0, -1,
		    &m, sizeof(m));
	case IMSG_RECONF_COMMIT:
		if (!reconf)
			return -1;
		conf_commit();
		return 0;
	case IMSG_RECONF_ABORT:
		listeners_drop(&next_listening);
		tls_abort();
		servers_abort();
		page_abort();
		follow_abort();
		reconf = 0;
		return 0;
	default:
		return -1;
	}
}

static int
relay_file(struct imsg *imsg)
{
	int	 fd;

	if ((fd = imsg_get_fd(imsg)) == -1)
		return -1;
	if (imsg_get_type(imsg) == IMSG_CA_FILE) {
		(void)tlsclient_ca_fd(fd);
		return 0;
	}
	if (imsg_get_type(imsg) == IMSG_CLIENTSKEY_FD) {
		if (follow_file(fd) == -1)
			file_bad = 1;
		return reconf ? 0 : -1;
	}
	verify_list(fd);
	if (!reconf) {
		core_review(verify_stays);
		conn_sweep();
	}
	return 0;
}

static int
relay_admitted(struct imsg *imsg)
{
	struct msg_u32	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	verify_answer(imsg_get_id(imsg), m.v == 1);
	conn_sweep();
	return 0;
}

static int
relay_dialed(struct imsg *imsg)
{
	struct msg_connected	 m;
	int			 fd, ret;

	fd = imsg_get_fd(imsg);
	if (msg_get(imsg, &m, sizeof(m)) == -1 ||
	    (m.error == MSG_OK) != (fd != -1)) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	ret = dial_done(imsg_get_id(imsg), &m, fd);
	conn_sweep();
	return ret;
}

static int
relay_parent_msg(struct imsg *imsg)
{
	struct msg_conf_server	 server;
	struct msg_bootstrap	 boot;

	switch (imsg_get_type(imsg)) {
	case IMSG_CONF_RELAY:
		return reconf ? msg_get(imsg, &next_conf,
		    sizeof(next_conf)) : -1;
	case IMSG_LISTEN:
		return relay_listen(imsg);
	case IMSG_CERT_FD:
		return relay_cert(imsg);
	case IMSG_CONF_SERVER:
		return reconf && msg_get(imsg, &server, sizeof(server)) !=
		    -1 ? servers_add(&server) : -1;
	case IMSG_CONF_BOOTSTRAP:
		return reconf && msg_get(imsg, &boot, sizeof(boot)) != -1 ?
		    page_bootstrap(&boot) : -1;
	case IMSG_CA_FILE:
	case IMSG_ALLOW_FD:
	case IMSG_CLIENTSKEY_FD:
		return relay_file(imsg);
	case IMSG_ADMITTED:
		return relay_admitted(imsg);
	case IMSG_DIALED:
		return relay_dialed(imsg);
	default:
		return relay_reconf(imsg);
	}
}

/* --- cryptod --- */

static int
relay_channel(enum proc proc, int fd, int fresh)
{
	if (proc != PROC_DERPCRYPT)
		return -1;
	chan_open(&chan_crypt, fd, PROC_RELAY, proc, &crypt_cb, NULL);
	return 0;
}

static void
crypt_lost(struct chan *c, enum chan_end end)
{
	conn_crypt_lost();
	tlsserver_crypt_lost();
	proc_sibling_lost(c, end);
}

static int
crypt_cert(struct imsg *imsg)
{
	struct msg_derp_cert	 m;
	const uint8_t		*der;
	size_t			 len;

	if (msg_list(imsg, &m, sizeof(m), &der) == -1)
		return -1;
	len = imsg_get_len(imsg);	/* what is left of it */
	return tls_cert(m.kind, der, len);
}

static int
crypt_login(struct imsg *imsg)
{
	struct msg_derp_login_ok	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	conn_login_done(imsg_get_id(imsg), &m);
	explicit_bzero(&m, sizeof(m));
	return 0;
}

static int
crypt_mesh(struct imsg *imsg)
{
	struct msg_mesh_login	 m;

	if (msg_get(imsg, &m, sizeof(m)) == -1)
		return -1;
	mesh_login_done(imsg_get_id(imsg), &m);
	conn_sweep();
	return 0;
}

static int
crypt_msg(struct chan *c, struct imsg *imsg)
{
	struct msg_tls_signed	 ms;
	struct msg_key		 key;

	switch (imsg_get_type(imsg)) {
	case IMSG_SRV_KEY:
		if (msg_get(imsg, &key, sizeof(key)) == -1)
			return -1;
		memcpy(server_key, key.key, sizeof(server_key));
		have_key = 1;
		return 0;
	case IMSG_DERP_CERT:
		return crypt_cert(imsg);
	case IMSG_DERP_LOGIN_OK:
		return crypt_login(imsg);
	case IMSG_MESH_LOGIN_OK:
		return crypt_mesh(imsg);
	case IMSG_TLS_SIGNED:
		if (msg_get(imsg, &ms, sizeof(ms)) == -1)
			return -1;
		tlsserver_signed(imsg_get_id(imsg), &ms);
		return 0;
	default:
		return -1;
	}
}
