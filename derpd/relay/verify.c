/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Admission: who may use this relay. Asked of a server, whose answers are
 * kept for some seconds, or looked up in a list. What cannot be found out is
 * a no.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <netinet/in.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admit.h"
#include "os.h"
#include "proc.h"
#include "relay.h"

#define T_VERIFY	5		/* seconds, as the real one waits */
#define ASKS_MAX	16		/* calls at once */
#define QUEUE_MAX	1024		/* clients that wait */
#define KNOWN_MAX	8192		/* answers kept */
#define KNOWN_YES	(30 * 1000000000LL)
#define KNOWN_NO	(5 * 1000000000LL)
#define LIST_TEXT_MAX	(96 * 1024 * 1024)

struct ask {
	TAILQ_ENTRY(ask) a_entry;
	struct event	 a_ev;
	struct event	 a_timer;
	struct tlsclient a_tls;
	struct conn	*a_conn;
	SSL		*a_ssl;
	int		 a_fd;		/* -1: not connected */
	int		 a_dial;	/* -1: not under way */
	uint32_t	 a_local;	/* number for the parent; 0: none */
	int		 a_running;
	int		 a_shaken;
	size_t		 a_outlen, a_outoff, a_inlen;
	uint8_t		 a_key[DERP_KEY_LEN];
	uint8_t		 a_addr[16];
	char		 a_out[1024];
	char		 a_in[ADMIT_MAX];
};
TAILQ_HEAD(asks, ask);

/* What was answered about a key at an address. */
struct known {
	RB_ENTRY(known)	 k_tree;
	TAILQ_ENTRY(known) k_entry;	/* oldest first */
	uint8_t		 k_what[DERP_KEY_LEN + 16];
	int64_t		 k_until;
	int		 k_yes;
};

static int	 known_cmp(struct known *, struct known *);
static void	 ask_cb(int, short, void *);

static RB_HEAD(knowns, known)	 knowns = RB_INITIALIZER(&knowns);
RB_PROTOTYPE(knowns, known, k_tree, known_cmp);
RB_GENERATE(knowns, known, k_tree, known_cmp)

static TAILQ_HEAD(, known)	 by_age = TAILQ_HEAD_INITIALIZER(by_age);
static struct asks	 asks = TAILQ_HEAD_INITIALIZER(asks);
static struct admit_list	 list;
static struct log_limit		 limit;
static size_t			 nasks, nrunning, nknown;

/* --- answers kept --- */

static int
known_cmp(struct known *a, struct known *b)
{
	return memcmp(a->k_what, b->k_what, sizeof(a->k_what));
}

static void
known_free(struct known *k)
{
	RB_REMOVE(knowns, &knowns, k);
	TAILQ_REMOVE(&by_age, k, k_entry);
	free(k);
	nknown--;
}

static struct known *
known_find(const uint8_t *key, const uint8_t *addr)
{
	struct known	 want;

	memcpy(want.k_what, key, DERP_KEY_LEN);
	memcpy(want.k_what + DERP_KEY_LEN, addr, 16);
	return RB_FIND(knowns, &knowns, &want);
}

static void
known_add(const uint8_t *key, const uint8_t *addr, int yes)
{
	struct known	*k;

	if ((k = known_find(key, addr)) != NULL)
		known_free(k);
	if (nknown >= KNOWN_MAX)
		known_free(TAILQ_FIRST(&by_age));
	if ((k = calloc(1, sizeof(*k))) == NULL)
		fatal(NULL);
	memcpy(k->k_what, key, DERP_KEY_LEN);
	memcpy(k->k_what + DERP_KEY_LEN, addr, 16);
	k->k_yes = yes;
	k->k_until = os_now() + (yes ? KNOWN_YES : KNOWN_NO);
	RB_INSERT(knowns, &knowns, k);
	TAILQ_INSERT_TAIL(&by_age, k, k_entry);
	nknown++;
}

void
verify_forget(void)
{
	while (nknown > 0)
		known_free(TAILQ_FIRST(&by_age));
}

/* --- a call --- */

static void
ask_free(struct ask *a)
{
	(void)evtimer_del(&a->a_timer);
	dial_cancel(a->a_dial);
	if (a->a_fd != -1) {
		event_del(&a->a_ev);
		tlsserver_free(a->a_ssl);
		close(a->a_fd);
	}
	if (a->a_running)
		nrunning--;
	nasks--;
	TAILQ_REMOVE(&asks, a, a_entry);
	free(a);
}

static void	 asks_run(void);

static void
ask_done(struct ask *a, int yes)
{
	struct conn	*c = a->a_conn;

	ask_free(a);
	conn_admitted(c, yes);
	asks_run();
}

static void
ask_failed(struct ask *a, const char *why)
{
	if (log_limit(&limit, os_now(), 5, 60))
		log_warnx("verify clients: the server: %s", why);
	ask_done(a, 0);
}

static void
ask_wait(struct ask *a, short events)
{
	event_del(&a->a_ev);
	event_set(&a->a_ev, a->a_fd, events, ask_cb, a);
	event_add(&a->a_ev, NULL);
}

/* 1: go on; 0: it waits; -1: it has failed, and is gone. */
static int
ask_shake(struct ask *a)
{
	if (a->a_ssl == NULL || a->a_shaken)
		return 1;
	switch (tlsserver_handshake(a->a_ssl)) {
	case TLSSERVER_LATER:
		ask_wait(a, EV_READ);
		return 0;
	case TLSSERVER_WRITE:
		ask_wait(a, EV_WRITE);
		return 0;
	case TLSSERVER_DONE:
		break;
	default:
		ask_failed(a, tlsclient_error(a->a_ssl, -1, &a->a_tls));
		return -1;
	}
	a->a_shaken = 1;
	return 1;
}

static ssize_t
ask_io(struct ask *a, int writing)
{
	ssize_t	 n;
	char	*p;
	size_t	 len;

	p = writing ? a->a_out + a->a_outoff : a->a_in + a->a_inlen;
	len = writing ? a->a_outlen - a->a_outoff :
	    sizeof(a->a_in) - a->a_inlen;
	if (a->a_ssl != NULL)
		return writing ? tlsserver_write(a->a_ssl, p, len) :
		    tlsserver_read(a->a_ssl, p, len);
	n = writing ? write(a->a_fd, p, len) : read(a->a_fd, p, len);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

static void
ask_read(struct ask *a)
{
	ssize_t	 n;
	int	 ret;

	do {
		if ((n = ask_io(a, 0)) > 0)
			a->a_inlen += n;
		if (n == 0) {
			ask_wait(a, EV_READ);
			return;
		}
		ret = admit_response(a->a_in, a->a_inlen, n == -1);
	} while (ret == 0);
	known_add(a->a_key, a->a_addr, ret == 1);
	ask_done(a, ret == 1);
}

static void
ask_go(struct ask *a)
{
	ssize_t	 n;

	if (ask_shake(a) != 1)
		return;
	while (a->a_outoff < a->a_outlen) {
		if ((n = ask_io(a, 1)) == -1) {
			ask_failed(a, "connection lost");
			return;
		}
		if (n == 0) {
			ask_wait(a, EV_WRITE);
			return;
		}
		a->a_outoff += n;
	}
	ask_read(a);
}

static void
ask_cb(int fd, short events, void *arg)
{
	ask_go(arg);
	conn_sweep();
}

static void
ask_timer_cb(int fd, short events, void *arg)
{
	ask_failed(arg, "no answer in time");
	conn_sweep();
}

static void
ask_connected(int fd, void *arg)
{
	const struct msg_conf_server	*m;
	struct ask			*a = arg;
	size_t				 n = 0;

	a->a_dial = -1;
	if (fd == -1) {
		ask_failed(a, strerror(errno));
		return;
	}
	a->a_fd = fd;
	event_set(&a->a_ev, fd, EV_WRITE, ask_cb, a);
	if ((m = servers_next(SERVER_VERIFY, &n)) == NULL) {
		ask_failed(a, "there is none any more");
		return;
	}
	servers_prove(m, &a->a_tls);
	if (m->tls && (a->a_ssl = tlsclient_new(fd, &a->a_tls)) == NULL)
		ask_failed(a, a->a_tls.tc_why);
	else
		ask_go(a);
}

/* By the parent, of shoald. */
static int
ask_local(struct ask *a)
{
	static uint32_t	 last;
	struct msg_key	 m;

	if (++last == 0)
		last = 1;
	a->a_local = last;
	a->a_running = 1;
	nrunning++;
	memset(&m, 0, sizeof(m));
	memcpy(m.key, a->a_key, sizeof(m.key));
	return chan_compose(proc_parent(), IMSG_ADMIT, a->a_local, -1, &m,
	    sizeof(m));
}

void
verify_answer(uint32_t id, int yes)
{
	struct ask	*a;

	TAILQ_FOREACH(a, &asks, a_entry)
		if (a->a_local == id)
			break;
	if (id == 0 || a == NULL)
		return;			/* it did not wait so long */
	known_add(a->a_key, a->a_addr, yes);
	ask_done(a, yes);
}

static int
ask_start(struct ask *a)
{
	const struct msg_conf_server	*m;
	char				 source[INET6_ADDRSTRLEN];
	ssize_t				 len;
	size_t				 n = 0;
	int				 v4;

	if (relay_conf()->verify == RELAY_VERIFY_SHOALD)
		return ask_local(a);
	if ((m = servers_next(SERVER_VERIFY, &n)) == NULL)
		return -1;
	/* IPv4 stands here as mapped. */
	v4 = a->a_addr[10] == 0xff && a->a_addr[11] == 0xff;
	inet_ntop(v4 ? AF_INET : AF_INET6, a->a_addr + (v4 ? 12 : 0), source,
	    sizeof(source));
	if ((len = admit_request(m->host, m->port, m->path, a->a_key, source,
	    a->a_out, sizeof(a->a_out))) == -1)
		return -1;
	a->a_outlen = len;
	a->a_running = 1;
	nrunning++;
	a->a_dial = dial(n - 1, ask_connected, a);
	return a->a_dial == -1 ? -1 : 0;
}

/* Those that wait, as many as may. */
static void
asks_run(void)
{
	struct ask	*a;

	while (nrunning < ASKS_MAX) {
		TAILQ_FOREACH(a, &asks, a_entry)
			if (!a->a_running)
				break;
		if (a == NULL)
			return;
		if (ask_start(a) == -1) {
			ask_failed(a, "cannot be asked");
			return;
		}
	}
}

/* --- the question --- */

static int
ask_new(struct conn *c)
{
	struct timeval	 tv = { T_VERIFY, 0 };
	struct ask	*a;

	if (nasks >= QUEUE_MAX) {
		if (log_limit(&limit, os_now(), 5, 60))
			log_warnx("verify clients: too many wait");
		return VERIFY_NO;
	}
	if ((a = calloc(1, sizeof(*a))) == NULL)
		fatal(NULL);
	a->a_conn = c;
	a->a_fd = a->a_dial = -1;
	memcpy(a->a_key, c->c_key, sizeof(a->a_key));
	memcpy(a->a_addr, c->c_client.cl_addr, sizeof(a->a_addr));
	TAILQ_INSERT_TAIL(&asks, a, a_entry);
	nasks++;
	evtimer_set(&a->a_timer, ask_timer_cb, a);
	(void)evtimer_add(&a->a_timer, &tv);
	if (nrunning < ASKS_MAX && ask_start(a) == -1) {
		ask_free(a);
		return VERIFY_NO;
	}
	return VERIFY_LATER;
}

int
verify_ask(struct conn *c)
{
	struct known	*k;

	switch (relay_conf()->verify) {
	case RELAY_VERIFY_NONE:
		return VERIFY_YES;
	case RELAY_VERIFY_FILE:
		return admit_list_has(&list, c->c_key) ? VERIFY_YES :
		    VERIFY_NO;
	case RELAY_VERIFY_COORDD:
		return follow_has(c->c_key) ? VERIFY_YES : VERIFY_NO;
	default:
		break;
	}
	k = known_find(c->c_key, c->c_client.cl_addr);
	if (k != NULL && os_now() < k->k_until)
		return k->k_yes ? VERIFY_YES : VERIFY_NO;
	return ask_new(c);
}

void
verify_cancel(struct conn *c)
{
	struct ask	*a, *tmp;

	TAILQ_FOREACH_SAFE(a, &asks, a_entry, tmp)
		if (a->a_conn == c)
			ask_free(a);
}

/* --- the list --- */

void
verify_list(int fd)
{
	struct admit_list	 al;
	char			*text = NULL, *p;
	ssize_t			 n = 1;
	size_t			 len = 0, size = 0;
	unsigned int		 line;

	while (n > 0 && len < LIST_TEXT_MAX) {
		if (len == size) {
			size += 65536;
			if ((p = realloc(text, size)) == NULL)
				fatal(NULL);
			text = p;
		}
		if ((n = read(fd, text + len, size - len)) > 0)
			len += n;
	}
	(void)close(fd);
	if (n != 0 || admit_list(&al, text, len, &line) == -1)
		log_warnx("verify clients: line %u of the file is no node "
		    "key: the old list stays", n != 0 ? 0 : line);
	else {
		admit_list_free(&list);
		list = al;
		log_info("verify clients: %zu keys", list.al_n);
	}
	free(text);
}

int
verify_stays(const uint8_t key[DERP_KEY_LEN])
{
	switch (relay_conf()->verify) {
	case RELAY_VERIFY_FILE:
		return admit_list_has(&list, key);
	case RELAY_VERIFY_COORDD:
		return follow_stays(key);
	default:
		return 1;
	}
}
