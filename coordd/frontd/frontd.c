/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * frontd: main, the channels to its siblings, configuration, listeners.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/resource.h>

#include <event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <zstd.h>

#include "frontd.h"
#include "mapframe.h"
#include "os.h"
#include "ossl.h"
#include "proc.h"

#define FRONTD_USER	"_coordfront"
#define FD_RESERVE	32	/* descriptors for what is no connection */
#define CERT_MAX	8

struct listener {
	TAILQ_ENTRY(listener)	 l_entry;
	struct event		 l_ev;
	int			 l_fd;
	int			 l_cert;	/* -1: no TLS */
};
TAILQ_HEAD(listeners, listener);

static struct listeners		 listening =
				    TAILQ_HEAD_INITIALIZER(listening);
static struct listeners		 next_listening =
				    TAILQ_HEAD_INITIALIZER(next_listening);
static SSL_CTX			*certs[CERT_MAX], *next_certs[CERT_MAX];
static struct msg_conf_frontd	 conf, next_conf;
static struct chan		 chan_stored, chan_crypt;
static struct event		 ev_pause;
static uint8_t			 server_key[MSG_KEY_LEN];
static struct msg_jwt_key	 jwt_key;
static uint32_t			 fd_max;
static int			 ncerts, cert_bad;	/* of the next ones */
static int			 have_key, reconf, paused;

static int	 frontd_parent_msg(struct imsg *);
static int	 frontd_channel(enum proc, int, int);
static void	 frontd_startup(void);
static int	 stored_msg(struct chan *, struct imsg *);
static int	 crypt_msg(struct chan *, struct imsg *);
static void	 stored_lost(struct chan *, enum chan_end);
static void	 crypt_lost(struct chan *, enum chan_end);

static const struct proc_self	 self = {
	.ps_proc = PROC_FRONTD,
	.ps_parent = PROC_COORDD,
	.ps_name = "frontd",
	.ps_user = FRONTD_USER,
	.ps_msg = frontd_parent_msg,
	.ps_channel = frontd_channel,
	.ps_startup = frontd_startup
};
static const struct chan_cb	 stored_cb = { stored_msg, stored_lost };
static const struct chan_cb	 crypt_cb = { crypt_msg, crypt_lost };

struct chan *
frontd_stored(void)
{
	return &chan_stored;
}

struct chan *
frontd_crypt(void)
{
	return &chan_crypt;
}

const uint8_t *
frontd_server_key(void)
{
	return have_key ? server_key : NULL;
}

const uint8_t *
frontd_jwt_key(void)
{
	return jwt_key.point[0] == 0 ? NULL : jwt_key.point;
}

const struct msg_conf_frontd *
frontd_conf(void)
{
	return &conf;
}

/* What libraries do at their first use is done before the sandbox closes. */
static void
frontd_warmup(void)
{
	static const char	 text[] = "{\"a\":[1,\"b\"]}";
	static const uint8_t	 key[NOISE_KEY_LEN];
	struct noise_record	*rec;
	json_t			*j;
	uint8_t			*frame;
	uint8_t			 sealed[NOISE_FRAME_MAX];
	size_t			 len;

	ossl_start();
	json_object_seed(arc4random() | 1);
	if ((j = ju_load(text, sizeof(text) - 1)) != NULL)
		json_decref(j);
	if (mapframe_encode(1, text, sizeof(text) - 1, &frame, &len) == 0)
		free(frame);
	if ((rec = noise_record_new(key, 0, 1)) != NULL)
		(void)noise_seal(rec, key, sizeof(key), sealed);
	noise_record_free(rec);
	tlsserver_warmup();
	tlsserver_init(&chan_crypt, conn_signed);
}

/* So many connections can be open at most. */
static uint32_t
frontd_fd_max(void)
{
	struct rlimit	 rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1 ||
	    rl.rlim_cur < FD_RESERVE * 2)
		return FD_RESERVE;
	return rl.rlim_cur > 1 << 20 ? 1 << 20 : rl.rlim_cur - FD_RESERVE;
}

int
main(int argc, char *argv[])
{
	proc_child_init(&self, frontd_warmup, argc, argv);
	fd_max = frontd_fd_max();
	conn_init(os_now());
	proc_child_run();
}

/* --- listeners --- */

static void
listener_cb(int fd, short events, void *arg)
{
	struct listener	*l = arg;

	conn_accept(fd, l->l_cert == -1 ? NULL : certs[l->l_cert]);
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
certs_drop(SSL_CTX **list)
{
	size_t	 i;

	for (i = 0; i < CERT_MAX; i++) {
		SSL_CTX_free(list[i]);
		list[i] = NULL;
	}
}

static void
listener_add(int fd, int cert)
{
	struct listener	*l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		fatal(NULL);
	l->l_fd = fd;
	l->l_cert = cert;
	event_set(&l->l_ev, fd, EV_READ | EV_PERSIST, listener_cb, l);
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

/* No descriptor left: look again in a second instead of spinning. */
void
frontd_accept_pause(void)
{
	struct timeval	 tv = { 1, 0 };
	struct listener	*l;

	if (paused)
		return;
	paused = 1;
	TAILQ_FOREACH(l, &listening, l_entry)
		event_del(&l->l_ev);
	evtimer_set(&ev_pause, pause_cb, NULL);
	evtimer_add(&ev_pause, &tv);
}

/* --- the parent --- */

/* A certificate; what it is for comes with the listeners. */
static int
frontd_cert(struct imsg *imsg)
{
	struct tlschain	 chain;
	char		 name[MSG_NAME_LEN];
	int		 fd;

	if (!reconf || (fd = imsg_get_fd(imsg)) == -1)
		return -1;
	if (ncerts == CERT_MAX ||
	    msg_get_str(imsg, name, sizeof(name)) == -1) {
		close(fd);
		return -1;
	}
	memset(&chain, 0, sizeof(chain));
	if (tlschain_read(&chain, fd, name) == -1 ||
	    (next_certs[ncerts++] = tlsserver_ctx(&chain, NULL, 0)) == NULL)
		cert_bad = 1;
	tlschain_free(&chain);
	return 0;
}

static int
conf_check(const struct msg_conf_frontd *c)
{
	struct listener	*l;

	TAILQ_FOREACH(l, &next_listening, l_entry)
		if (l->l_cert >= ncerts)
			return -1;
	if (cert_bad)
		return -1;
	if (!msg_str_ok(c->url, sizeof(c->url)) || c->max_conns == 0 ||
	    c->keepalive_s == 0 || c->keepalive_s > 100)
		return -1;
	return 0;
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
	certs_drop(certs);
	memcpy(certs, next_certs, sizeof(certs));
	memset(next_certs, 0, sizeof(next_certs));
	conf = next_conf;
	if (conf.max_conns > fd_max)
		conf.max_conns = fd_max;
	listeners_on();
	reconf = 0;
}

static int
frontd_listen(struct imsg *imsg)
{
	struct msg_listen	 m;
	int			 fd;

	if (!reconf || msg_get(imsg, &m, sizeof(m)) == -1 ||
	    (fd = imsg_get_fd(imsg)) == -1)
		return -1;
	if ((m.flags & LISTEN_TLS) == 0)
		listener_add(fd, -1);
	else if (m.cert < CERT_MAX)
		listener_add(fd, m.cert);
	else {
		close(fd);
		return -1;
	}
	return 0;
}

static int
frontd_reconf(struct imsg *imsg)
{
	struct msg_u32	 m;

	switch (imsg_get_type(imsg)) {
	case IMSG_RECONF_START:
		listeners_drop(&next_listening);
		certs_drop(next_certs);
		ncerts = cert_bad = 0;
		memset(&next_conf, 0, sizeof(next_conf));
		reconf = 1;
		return 0;
	case IMSG_RECONF_END:
		if (!reconf)
			return -1;
		memset(&m, 0, sizeof(m));
		if (conf_check(&next_conf) == -1)
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
		certs_drop(next_certs);
		reconf = 0;
		return 0;
	default:
		return -1;
	}
}

static int
frontd_parent_msg(struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_CONF_FRONTD:
		return reconf ? msg_get(imsg, &next_conf,
		    sizeof(next_conf)) : -1;
	case IMSG_CERT_FD:
		return frontd_cert(imsg);
	case IMSG_LISTEN:
		return frontd_listen(imsg);
	case IMSG_LISTEN_RESET:
		listeners_drop(&listening);
		return 0;
	default:
		return frontd_reconf(imsg);
	}
}

static void
frontd_startup(void)
{
	log_debug("ready");
}

/* --- siblings --- */

static int
frontd_channel(enum proc proc, int fd, int fresh)
{
	switch (proc) {
	case PROC_STORED:
		/* A new stored knows nothing of the streams of the old. */
		if (fresh)
			conn_end_streams();
		published_forget();
		chan_open(&chan_stored, fd, PROC_FRONTD, proc, &stored_cb,
		    NULL);
		return 0;
	case PROC_COORDCRYPT:
		chan_open(&chan_crypt, fd, PROC_FRONTD, proc, &crypt_cb,
		    NULL);
		return 0;
	default:
		return -1;
	}
}

static void
stored_lost(struct chan *c, enum chan_end end)
{
	conn_end_streams();
	proc_sibling_lost(c, end);
}

static void
crypt_lost(struct chan *c, enum chan_end end)
{
	conn_noise_reset();
	tlsserver_crypt_lost();
	proc_sibling_lost(c, end);
}

static int
stored_msg(struct chan *c, struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_RPC_ANSWER:
		return rpc_answer(imsg);
	case IMSG_WEB_ANSWER:
		return web_answer(imsg);
	case IMSG_WEB_MAP:
		return published_take(imsg);
	case IMSG_WEB_LINES:
		return web_lines(imsg);
	default:
		return -1;
	}
}

static int
crypt_msg(struct chan *c, struct imsg *imsg)
{
	struct msg_srv_noise_out	 out;
	struct msg_tls_signed		 ms;
	struct msg_key			 key;

	switch (imsg_get_type(imsg)) {
	case IMSG_SRV_KEY:
		if (msg_get(imsg, &key, sizeof(key)) == -1)
			return -1;
		memcpy(server_key, key.key, sizeof(server_key));
		have_key = 1;
		return 0;
	case IMSG_JWT_KEY:
		return msg_get(imsg, &jwt_key, sizeof(jwt_key));
	case IMSG_SRV_NOISE_OUT:
		if (msg_get(imsg, &out, sizeof(out)) == -1)
			return -1;
		conn_noise_done(imsg_get_id(imsg), &out);
		explicit_bzero(&out, sizeof(out));
		return 0;
	case IMSG_TLS_SIGNED:
		if (msg_get(imsg, &ms, sizeof(ms)) == -1)
			return -1;
		tlsserver_signed(imsg_get_id(imsg), &ms);
		return 0;
	default:
		return -1;
	}
}
