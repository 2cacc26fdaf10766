/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Registration: logging in and out.
 * Source: control.md 3.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"
#include "login.h"
#include "register.h"

#define REGISTER_LIMIT	60	/* seconds; a followup has none */
#define PING_TURN	60000	/* ms between pings while a person is asked */
#define LOGOUT_EXPIRY	123	/* what the reference sends: long ago */

static int	 reg_head(struct rpc *, void *);
static int	 reg_data(struct rpc *, void *, const uint8_t *, size_t);
static void	 reg_done(struct rpc *, void *, const char *);

static const struct rpc_cb	 reg_cb = { reg_head, reg_data, reg_done };

static struct event	 ev_retry, ev_ping;
static struct rpc	*rpc;
static uint8_t		*answer;
static size_t		 answerlen;
static uint8_t		 asked_key[MSG_KEY_LEN];	/* of the request */
static char		 followup[MSG_TEXT_LEN];
static char		 error[MSG_TEXT_LEN];
static uint32_t		 fails;
static int		 registered;	/* the server took our key */
static int		 regen;		/* a new node key is needed */
static int		 forced;	/* ... though the old one serves */
static int		 expired_once;	/* NodeKeyExpired was answered */
static int		 quiet, ending, failed;
static int		 refused;	/* by the server's own word */
static int		 new_key_asked;	/* cryptod is at it */
static int		 accept_asked;	/* likewise, making it current */

static int
is_zero(const uint8_t *key)
{
	static const uint8_t	 zero[MSG_KEY_LEN];

	return memcmp(key, zero, sizeof(zero)) == 0;
}

int
login_quiet(void)
{
	return quiet;
}

int
login_ending(void)
{
	return ending;
}

int
login_failed(void)
{
	return failed;
}

int
login_refused(void)
{
	return refused && !registered;
}

int
login_denied(void)
{
	return refused;
}

int
login_settled(void)
{
	return registered && !regen && !ending && !accept_asked &&
	    rpc == NULL;
}

int
login_needs_person(void)
{
	return ctrld_conf()->c_authkey[0] == '\0';
}

const char *
login_url(void)
{
	return followup;
}

const char *
login_error(void)
{
	return error;
}

static void
login_retry_cb(int fd, short events, void *arg)
{
	control_step();
}

static void
login_ping_cb(int fd, short events, void *arg)
{
	if (rpc == NULL || followup[0] == '\0' || control_session() == NULL)
		return;
	session_ping(control_session());
	timer_ms(&ev_ping, PING_TURN);
}

void
login_init(void)
{
	evtimer_set(&ev_retry, login_retry_cb, NULL);
	evtimer_set(&ev_ping, login_ping_cb, NULL);
}

static void
login_later(uint32_t min)
{
	uint32_t	 ms;

	ms = backoff_ms(++fails, arc4random());
	timer_ms(&ev_retry, ms < min ? min : ms);
}

static void
rpc_over(void)
{
	rpc = NULL;
	free(answer);
	answer = NULL;
	answerlen = 0;
	(void)evtimer_del(&ev_ping);
}

void
login_drop(void)
{
	rpc_cancel(rpc);
	rpc_over();
}

/* --- events --- */

void
login_session(void)
{
	/* A session is no registration; but what was good stays good. */
	expired_once = 0;
	/* What was said to a person is old by now. */
	if (!failed) {
		refused = 0;
		error[0] = '\0';
	}
}

void
login_keys(void)
{
	new_key_asked = 0;
	if (accept_asked && memcmp(control_keys_now()->node, asked_key,
	    sizeof(asked_key)) == 0) {
		accept_asked = 0;
		registered = 1;
		regen = forced = 0;
	}
}

void
login_wanted(void)
{
	quiet = failed = refused = 0;
	error[0] = '\0';
	fails = 0;
	(void)evtimer_del(&ev_retry);
}

void
login_start(int force)
{
	login_wanted();
	ending = 0;
	if (force) {
		/* If it is refused, the present key goes on to serve. */
		forced = registered && !regen;
		regen = 1;
	}
	registered = 0;
}

void
login_again(void)
{
	registered = 0;
}

void
login_expired(int on)
{
	regen = on;
	forced = 0;
	if (on)
		return;
	login_drop();
	followup[0] = '\0';
}

void
login_forget(void)
{
	login_drop();
	registered = regen = failed = refused = accept_asked = ending = 0;
	forced = 0;
	followup[0] = error[0] = '\0';
}

/* All that the login meant is over, whatever the server says to it. */
static void
logout_done(void)
{
	ending = 0;
	login_forget();
	quiet = 1;
	(void)chan_compose(ctrld_cryptod(), IMSG_NODEKEY_FORGET, 0, -1, NULL,
	    0);
	cache_forget();
	map_forget();
	log_info("logged out");
}

void
login_end(void)
{
	const struct msg_keys	*k;

	k = control_keys_now();
	login_drop();
	followup[0] = '\0';
	if (k == NULL || is_zero(k->node)) {
		logout_done();
		return;
	}
	/* One attempt: the keys go even if the server cannot be told. */
	if (control_session() == NULL)
		logout_done();
	else
		ending = 1;
}

/* --- request --- */

/* Which key to register. 0: none yet, cryptod is asked for one. */
static int
login_key(struct register_request *rq)
{
	const struct msg_keys	*k;

	k = control_keys_now();
	if (ending || (!regen && !is_zero(k->node))) {
		memcpy(rq->rq_nodekey, k->node, sizeof(rq->rq_nodekey));
		return 1;
	}
	if (is_zero(k->pending)) {
		if (!new_key_asked && chan_compose(ctrld_cryptod(),
		    IMSG_NODEKEY_NEW, 0, -1, NULL, 0) == 0)
			new_key_asked = 1;
		return 0;
	}
	memcpy(rq->rq_nodekey, k->pending, sizeof(rq->rq_nodekey));
	memcpy(rq->rq_oldkey, k->node, sizeof(rq->rq_oldkey));
	return 1;
}

static void
login_request(struct session *s)
{
	struct register_request	 rq;
	char			*body;

	memset(&rq, 0, sizeof(rq));
	if (!login_key(&rq))
		return;
	memcpy(asked_key, rq.rq_nodekey, sizeof(asked_key));
	memcpy(rq.rq_nlkey, control_keys_now()->nl, sizeof(rq.rq_nlkey));
	rq.rq_version = CTRLD_CAPVER;
	rq.rq_ephemeral = ctrld_conf()->c_msg.ephemeral;
	rq.rq_authkey = ctrld_conf()->c_authkey;
	rq.rq_hostinfo = ctrld_hostinfo();
	if (ending) {
		rq.rq_expiry.jt_sec = LOGOUT_EXPIRY;
		rq.rq_expiry.jt_set = 1;
	} else
		rq.rq_followup = followup;
	if ((body = register_build(&rq)) == NULL)
		fatal(NULL);
	json_decref(rq.rq_hostinfo);
	rpc = rpc_start(s, "POST", "/machine/register", (uint8_t *)body,
	    strlen(body), followup[0] == '\0' || ending ? REGISTER_LIMIT : 0,
	    &reg_cb, NULL);
	if (rpc == NULL)
		login_later(0);
	else if (followup[0] != '\0')
		timer_ms(&ev_ping, PING_TURN);
}

int
login_step(struct session *s)
{
	if (registered && !regen && !ending)
		return 0;
	if (rpc == NULL && !accept_asked && !evtimer_pending(&ev_retry, NULL))
		login_request(s);
	/* A new key is being asked for while the old one still serves. */
	return ending || !registered;
}

/* --- answer --- */

static int
reg_head(struct rpc *r, void *arg)
{
	return 0;
}

static int
reg_data(struct rpc *r, void *arg, const uint8_t *p, size_t len)
{
	uint8_t	*q;

	if (len > REGISTER_MAX_BODY - answerlen) {
		rpc_over();
		(void)strlcpy(error, "registration: answer is too long",
		    sizeof(error));
		failed = 1;
		login_later(1000);
		control_step();
		return -1;
	}
	if ((q = realloc(answer, answerlen + len)) == NULL)
		fatal(NULL);
	memcpy(q + answerlen, p, len);
	answer = q;
	answerlen += len;
	return 0;
}

static void
login_fail(const char *why)
{
	char	 text[MSG_TEXT_LEN];

	text_vis(text, sizeof(text), why);
	if (!failed || strcmp(text, error) != 0)
		log_warnx("registration: %s", text);
	(void)strlcpy(error, text, sizeof(error));
	failed = 1;
	login_later(0);
}

/* The person has to visit a URL; then the server answers the next request. */
static void
login_visit(const char *text)
{
	char	 vis[MSG_TEXT_LEN];

	text_vis(vis, sizeof(vis), text);
	if (strlen(text) >= sizeof(followup) || strcmp(vis, text) != 0) {
		login_fail("login URL is too long, or no URL");
		return;
	}
	/* The same again: the server would answer so as fast as we ask. */
	if (strcmp(text, followup) == 0)
		login_later(1000);
	else {
		log_info("to log in, visit %s", text);
		fails = 0;
	}
	(void)strlcpy(followup, text, sizeof(followup));
	failed = 0;
	error[0] = '\0';
}

static void
login_good(const struct register_response *rr)
{
	struct msg_key	 m;
	char		 name[MSG_NAME_LEN];

	followup[0] = error[0] = '\0';
	failed = expired_once = 0;
	fails = 0;
	if (memcmp(asked_key, control_keys_now()->node,
	    sizeof(asked_key)) == 0) {
		registered = 1;
		return;
	}
	text_vis(name, sizeof(name), rr->rr_login);
	log_info("logged in%s%s", name[0] == '\0' ? "" : " as ", name);
	memset(&m, 0, sizeof(m));
	memcpy(m.key, asked_key, sizeof(m.key));
	accept_asked = 1;
	if (chan_compose(ctrld_cryptod(), IMSG_NODEKEY_ACCEPT, 0, -1, &m,
	    sizeof(m)) == -1) {
		accept_asked = 0;
		login_later(1000);
	}
}

/* Not for us to change by trying again, though we do. */
static void
login_refuse(int kind, const char *why)
{
	refused = kind;
	followup[0] = '\0';		/* the next login has its own */
	login_fail(why);
	if (forced) {
		registered = 1;
		regen = forced = failed = 0;
	}
}

/* In the order of the fields of control.md 3.2. */
static void
login_answer(const struct register_response *rr)
{
	refused = 0;
	if (rr->rr_error[0] != '\0')
		login_refuse(login_needs_person() ? REFUSED_NODE :
		    REFUSED_AUTHKEY, rr->rr_error);
	else if (rr->rr_keysiglen > 0)
		login_refuse(REFUSED_LOCK, "the tailnet is locked, and this "
		    "version cannot sign a new key of a node");
	else if (rr->rr_expired && expired_once)
		login_refuse(REFUSED_EXPIRED, "the server calls a fresh key "
		    "expired");
	else if (rr->rr_expired) {
		expired_once = 1;
		regen = 1;
		registered = 0;
	} else if (rr->rr_authurl[0] != '\0')
		login_visit(rr->rr_authurl);
	else
		login_good(rr);
}

static void
reg_done(struct rpc *r, void *arg, const char *why)
{
	struct register_response	 rr;
	char				 text[MSG_TEXT_LEN];
	uint32_t			 asked;

	if (ending) {
		rpc_over();
		logout_done();
		control_report(0);
		control_step();
		return;
	}
	if (why != NULL) {
		login_later(0);
	} else if (r->r_status != 200) {
		(void)snprintf(text, sizeof(text), "HTTP status %d: %.*s",
		    r->r_status, (int)(answerlen < 200 ? answerlen : 200),
		    answer == NULL ? "" : (char *)answer);
		/* So servers refuse a version that they do not speak. */
		if (r->r_status == 400)
			login_refuse(REFUSED_NODE, text);
		else
			login_fail(text);
		if ((asked = rpc_retry_ms(r)) > 0)
			timer_ms(&ev_retry, asked);
	} else if (register_parse(answer, answerlen, &rr) == -1) {
		login_fail("answer cannot be read");
	} else {
		login_answer(&rr);
		register_response_free(&rr);
	}
	rpc_over();
	control_report(0);
	control_step();
}
