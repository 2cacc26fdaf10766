/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What is to be done next: server key, session, registration, map stream.
 * Source: control.md 3.3 and 6.1.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"
#include "login.h"
#include "proc.h"
#include "register.h"

#define LIVED		10	/* seconds: then a session counts as good */
#define EXPIRY_TURN	600000	/* ms: look at the date at least this often */
#define EXPIRY_SOON	(72 * 3600)	/* seconds: warn so long before */
#define KEY_PINNED	3000	/* ms: so long, then the pinned key will do */
#define SOON		500	/* ms: a report of trouble may wait so long */

/* A loop that fails: how often, and when to try again. */
struct retry {
	struct event	 r_ev;
	uint32_t	 r_fails;
};

static struct event		 ev_step;	/* work to do now */
static struct event		 ev_expiry;	/* own key */
static struct retry		 retry_key, retry_sess, retry_poll,
				 retry_update;
static struct session		*sess;
static struct dial		*dial;		/* on the way to one */
static struct fetch		*fetch;
static struct url		 url;
static struct msg_keys		 keys;
static struct msg_ctrl_state	 told;
static int64_t			 sess_since;
static uint8_t			 server_key[MSG_KEY_LEN];
static char			 trouble[MSG_TEXT_LEN];
static char			 logged[MSG_TEXT_LEN];
static int			 have_conf, have_keys, have_server, up, want;
static int			 update_due, warned;
static int			 pin_refused;	/* a person must decide */
static int			 no_pin;	/* cryptod has none */

static void	 control_session_up(struct session *);
static void	 control_session_lost(void *, const char *, uint32_t);
static void	 control_dial_failed(const char *, uint32_t);
static void	 control_step_cb(int, short, void *);

static const struct session_cb	 session_cb = {
	NULL, control_session_lost
};
static const struct dial_cb	 dial_cb = {
	control_session_up, control_dial_failed
};

static void
retry_cb(int fd, short events, void *arg)
{
	control_step();
}

/* Wait before the next try; min: at least so many milliseconds. */
static void
retry_later(struct retry *r, uint32_t min)
{
	uint32_t	 ms;

	ms = backoff_ms(++r->r_fails, arc4random());
	timer_ms(&r->r_ev, ms < min ? min : ms);
}

static void
retry_good(struct retry *r)
{
	r->r_fails = 0;
	(void)evtimer_del(&r->r_ev);
}

static int
retry_waits(struct retry *r)
{
	return evtimer_pending(&r->r_ev, NULL);
}

const struct msg_keys *
control_keys_now(void)
{
	return have_keys ? &keys : NULL;
}

struct session *
control_session(void)
{
	return up ? sess : NULL;
}

/* --- state --- */

static int
self_expired(void)
{
	return map_now() != NULL && node_expired(map_now()->nm_self);
}

int
control_running(void)
{
	return have_conf && want && !login_quiet() && !self_expired();
}

static uint32_t
control_state(void)
{
	static const uint8_t	 zero[MSG_KEY_LEN];

	if (!have_conf || !have_keys)
		return CTRL_NOSTATE;
	if (login_quiet())
		return CTRL_NEEDSLOGIN;
	if (!want)
		return CTRL_STOPPED;
	if (pin_refused || self_expired() || login_url()[0] != '\0' ||
	    login_refused() || (login_failed() && map_now() == NULL))
		return CTRL_NEEDSLOGIN;
	if (map_now() != NULL && !map_now()->nm_self->n_authorized)
		return CTRL_NEEDSAPPROVAL;
	if (map_now() != NULL)
		return CTRL_RUNNING;
	return memcmp(keys.node, zero, sizeof(zero)) == 0 &&
	    login_needs_person() ? CTRL_NEEDSLOGIN : CTRL_STARTING;
}

/* A new home relay is no good while nobody can be told of it. */
static void
control_tell_netd(int online)
{
	struct msg_u32	 m;

	m.v = online != 0;
	(void)chan_compose(ctrld_netd(), IMSG_CTRL_ONLINE, 0, -1, &m,
	    sizeof(m));
}

void
control_netd_new(void)
{
	control_tell_netd(told.online);
}

/*
 * What a person has to change, for waiting changes nothing: REFUSED_* and
 * the reason, or 0. The server may have taken the node and yet have made it
 * of no use.
 */
static uint32_t
control_refused(const char **why)
{
	const struct nm_node	*self;

	*why = login_error();
	if (login_denied())
		return login_denied();
	*why = trouble;
	if (pin_refused)
		return REFUSED_PIN;
	if (!poll_online() || map_now() == NULL || !login_settled())
		return 0;
	self = map_now()->nm_self;
	if (memcmp(self->n_key, keys.node, sizeof(keys.node)) != 0)
		return 0;		/* a map of the key before */
	if (self_expired()) {
		*why = "the key that the server has let in is expired already";
		return REFUSED_EXPIRED;
	}
	*why = health_text(HEALTH_LOCK);
	return netmap_tka(map_now()) && self->n_keysiglen == 0 ?
	    REFUSED_LOCK : 0;
}

void
control_report(int force)
{
	struct msg_ctrl_state	 m;
	const char		*why;

	memset(&m, 0, sizeof(m));
	m.state = control_state();
	m.online = up && poll_online();
	(void)strlcpy(m.url, login_url(), sizeof(m.url));
	/* What a person can change goes before what came of it. */
	if (!m.online && trouble[0] != '\0')
		(void)strlcpy(m.error, *health_text(HEALTH_PORTAL) != '\0' ?
		    health_text(HEALTH_PORTAL) : trouble, sizeof(m.error));
	m.refused = control_refused(&why);
	m.version = map_client_version(m.latest, sizeof(m.latest));
	if (m.refused)
		(void)strlcpy(m.error, why, sizeof(m.error));
	else if (login_failed() && login_error()[0] != '\0')
		(void)strlcpy(m.error, login_error(), sizeof(m.error));
	if (!force && memcmp(&m, &told, sizeof(m)) == 0)
		return;
	if (m.online != told.online)
		control_tell_netd(m.online);
	told = m;
	(void)chan_compose(proc_parent(), IMSG_CTRL_STATE, 0, -1, &m,
	    sizeof(m));
}

/* One line for each new trouble, not for each try. */
static void
control_trouble(const char *why)
{
	(void)strlcpy(trouble, why, sizeof(trouble));
	if (strcmp(why, logged) != 0) {
		/* health_set() may just have said it. */
		if (strcmp(why, health_text(HEALTH_TLS)) != 0)
			log_warnx("control server %s: %s",
			    ctrld_conf()->c_msg.url, why);
		(void)strlcpy(logged, why, sizeof(logged));
	}
}

const char *
control_trouble_now(void)
{
	return told.error;
}

static void
control_well(void)
{
	if (logged[0] != '\0')
		log_info("control server %s: connected again",
		    ctrld_conf()->c_msg.url);
	trouble[0] = logged[0] = '\0';
}

/* --- the server's key --- */

static void
control_key_cb(int status, const char *body, size_t len, void *arg)
{
	char		 why[MSG_TEXT_LEN];
	uint32_t	 asked;
	int		 portal;

	asked = fetch_retry_ms(fetch);
	portal = portal_found(fetch_head(fetch), url.u_host);
	fetch = NULL;
	if (status == 200 && serverkey_parse(body, len, server_key) == 0) {
		have_server = 1;
		no_pin = 0;
		retry_good(&retry_key);
	} else {
		if (status == -1)
			(void)snprintf(why, sizeof(why), "%s", body);
		else if (status != 200)
			(void)snprintf(why, sizeof(why),
			    "/key: HTTP status %d", status);
		else
			(void)snprintf(why, sizeof(why),
			    "/key: not the answer of a control server");
		control_trouble(why);
		if (!portal)
			portal_ask(&url);
		retry_later(&retry_key, asked);
		/* A key that was pinned once needs no word of TLS. */
		if (!no_pin) {
			memset(server_key, 0, sizeof(server_key));
			have_server = 1;
		}
	}
	control_step();
}

static void
control_key_get(void)
{
	struct conn_opt	 opt;
	struct url	 u;
	size_t		 len;

	/* A path of the server's URL goes before the path of the request. */
	u = url;
	len = strlen(u.u_path);
	while (len > 0 && u.u_path[len - 1] == '/')
		len--;
	if ((size_t)snprintf(u.u_path + len, sizeof(u.u_path) - len,
	    "/key?v=%d", CTRLD_CAPVER) >= sizeof(u.u_path) - len) {
		control_trouble("URL is too long");
		retry_later(&retry_key, BACKOFF_MAX_MS);
		return;
	}
	if (!u.u_tls && !warned) {
		warned = 1;
		log_warnx("control server %s: no TLS: its key is taken as it "
		    "comes the first time, then pinned",
		    ctrld_conf()->c_msg.url);
	}
	memset(&opt, 0, sizeof(opt));
	opt.co_limit = no_pin ? 0 : KEY_PINNED;
	fetch = fetch_start("GET", &u, &opt, control_key_cb, NULL);
}

/* --- the session --- */

static void
control_session_up(struct session *s)
{
	dial = NULL;
	sess = s;
	session_adopt(s, &session_cb, NULL);
	up = 1;
	pin_refused = 0;
	portal_gone();
	sess_since = os_now();
	update_due = 1;
	login_session();
	control_step();
}

static void
control_no_session(const char *why, uint32_t code)
{
	if (code == MSG_E_PIN) {
		pin_refused = 1;
		control_trouble("the server's key is not the one that was "
		    "pinned: if that is meant, `shoalctl login "
		    "--new-server-key'");
	} else if (code != MSG_E_NOKEY)
		control_trouble(why);
	else
		no_pin = 1;
	/* The key may have changed, or have been a wrong one. */
	if (code != MSG_E_CONN && code != MSG_E_TIMEOUT)
		have_server = 0;
	retry_later(&retry_sess, code == MSG_E_PIN ? BACKOFF_MAX_MS : 0);
	control_report(0);
	control_step();
}

static void
control_session_lost(void *arg, const char *why, uint32_t code)
{
	sess = NULL;
	up = 0;
	if (os_now() - sess_since >= LIVED * NS_PER_S)
		retry_good(&retry_sess);
	control_no_session(why, code);
}

static void
control_dial_failed(const char *why, uint32_t code)
{
	dial = NULL;
	control_no_session(why, code);
}

static void
control_disconnect(void)
{
	fetch_cancel(fetch);
	fetch = NULL;
	portal_gone();
	login_drop();
	poll_stop();
	update_stop();
	dial_close(dial);
	dial = NULL;
	session_close(sess);
	sess = NULL;
	up = 0;
}

/* --- the map stream and updates --- */

void
control_poll_done(const char *why, int status, int lived, uint32_t sleep,
    uint32_t asked)
{
	if (lived)
		retry_good(&retry_poll);
	if (sleep > 0) {
		timer_ms(&retry_poll.r_ev, sleep * 1000);
	} else {
		control_trouble(why);
		retry_later(&retry_poll, asked);
	}
	/*
	 * The server does not know the node (any more): ask it what it
	 * wants, which may be a new login.
	 */
	if (status == 401 || status == 403 || status == 404)
		login_again();
	control_report(0);
	control_step();
}

void
control_update_done(const char *why, uint32_t asked)
{
	if (why != NULL) {
		log_debug("update of the control server: %s", why);
		update_due = 1;
		retry_later(&retry_update, asked);
	} else
		retry_good(&retry_update);
	control_step();
}

void
control_update(void)
{
	update_due = 1;
	control_step();
}

/* --- own key's expiry --- */

/* A key that is to last not much longer than that is no surprise. */
static void
control_expiry_warn(const struct nm_node *self, int64_t left)
{
	char	 text[MSG_TEXT_LEN];

	if (left <= 0 || left > EXPIRY_SOON || (self->n_created.jt_set &&
	    self->n_keyexpiry.jt_sec - self->n_created.jt_sec <
	    2 * EXPIRY_SOON)) {
		health_set(HEALTH_EXPIRY, NULL);
		return;
	}
	(void)snprintf(text, sizeof(text), "the key of this node expires in "
	    "%s: `shoalctl login --force-reauth' before that",
	    left > 48 * 3600 ? "three days" : left > 24 * 3600 ?
	    "two days" : "a day or less");
	health_set(HEALTH_EXPIRY, text);
}

static void
control_expiry_arm(void)
{
	const struct nm_node	*self;
	int64_t			 s;

	(void)evtimer_del(&ev_expiry);
	if (map_now() == NULL)
		return;
	self = map_now()->nm_self;
	if (!self->n_keyexpiry.jt_set || self_expired()) {
		health_set(HEALTH_EXPIRY, NULL);
		return;
	}
	s = self->n_keyexpiry.jt_sec - (os_date() + map_skew()) / NS_PER_S;
	control_expiry_warn(self, s);
	timer_ms(&ev_expiry, s < 0 ? 1 : s < EXPIRY_TURN / 1000 ?
	    s * 1000 + 1000 : EXPIRY_TURN);
}

void
control_self_changed(void)
{
	static int	 was_expired;
	int		 expired;

	expired = self_expired();
	if (expired != was_expired) {
		was_expired = expired;
		if (expired) {
			log_warnx("the key of this node has expired: "
			    "log in again");
		} else
			log_info("the key of this node is good again");
		login_expired(expired);
		map_push_all();
	}
	if (poll_online())
		control_well();
	control_expiry_arm();
	control_report(0);
	control_step();
}

static void
control_expiry_cb(int fd, short events, void *arg)
{
	control_self_changed();
}

/* --- what comes from elsewhere --- */

void
control_keys(const struct msg_keys *k)
{
	int	 disco, node;

	disco = have_keys && memcmp(k->disco, keys.disco,
	    sizeof(keys.disco)) != 0;
	node = have_keys && memcmp(k->node, keys.node,
	    sizeof(keys.node)) != 0;
	keys = *k;
	have_keys = 1;
	if (disco)
		update_due = 1;
	/* Stream and updates are of one key. */
	if (node) {
		poll_stop();
		update_stop();
		update_due = 1;
	}
	login_keys();
	cache_use();
	control_report(0);
	control_step();
}

/* A replaced cryptod has forgotten handshakes and, perhaps, a pending key. */
void
control_cryptod_new(void)
{
	dial_close(dial);
	dial = NULL;
	control_step();
}

void
control_conf(int changed, int newkey)
{
	if (newkey)			/* perhaps a better one */
		login_wanted();
	if (url_parse(ctrld_conf()->c_msg.url, &url) == -1) {
		have_conf = 0;
		if (ctrld_conf()->c_msg.url[0] != '\0')
			control_trouble("not a URL of http or https");
		control_disconnect();
		control_report(0);
		return;
	}
	if (changed) {
		control_disconnect();
		have_server = warned = pin_refused = no_pin = 0;
		dial_plan_set(NULL);
		retry_good(&retry_key);
		retry_good(&retry_sess);
		if (have_conf) {
			login_forget();
			map_forget();
		}
	}
	have_conf = 1;
	update_due = 1;
	control_want(ctrld_conf()->c_msg.want_running);
	cache_use();
	if (map_now() != NULL)		/* routes may be wanted or not */
		map_push_all();
	control_step();
}

void
control_want(int on)
{
	if (want == on)
		return;
	want = on;
	if (!on)
		control_disconnect();
	else {
		login_wanted();
		pin_refused = 0;
		retry_good(&retry_sess);
		retry_good(&retry_key);
		retry_good(&retry_poll);
	}
	cache_use();
	map_push_all();
	control_report(0);
	control_step();
}

void
control_login(uint32_t flags)
{
	if (flags & LOGIN_NEW_SERVER_KEY) {
		control_disconnect();
		have_server = 0;
	}
	pin_refused = 0;
	login_start(flags & LOGIN_FORCE_REAUTH);
	retry_good(&retry_key);
	retry_good(&retry_sess);
	trouble[0] = logged[0] = '\0';
	control_report(0);
	control_step();
}

void
control_logout(void)
{
	login_end();
	control_report(0);
	control_step();
}

void
control_link_change(void)
{
	portal_gone();
	if (sess == NULL && dial == NULL && fetch == NULL) {
		retry_good(&retry_key);
		retry_good(&retry_sess);
	} else {
		control_disconnect();
		retry_good(&retry_poll);
	}
	control_step();
}

/* --- the next step --- */

/* A session that can be worked with, or what leads to one. */
static int
control_connect(void)
{
	if (sess != NULL)
		return up;
	if (!have_server) {
		if (fetch == NULL && !retry_waits(&retry_key))
			control_key_get();
		return 0;
	}
	if (dial == NULL && !retry_waits(&retry_sess))
		dial = dial_open(&url, ctrld_conf()->c_msg.url, server_key,
		    &dial_cb);
	return 0;
}

static void
control_work(void)
{
	if (login_step(sess))
		return;			/* nothing else is of use yet */
	if (!poll_active() && !retry_waits(&retry_poll) &&
	    poll_start(sess, keys.node) == -1)
		retry_later(&retry_poll, SOON);
	if (update_due && !update_active() && !retry_waits(&retry_update)) {
		update_due = 0;
		if (update_start(sess, keys.node) == -1) {
			update_due = 1;
			retry_later(&retry_update, SOON);
		}
	}
}

static void
control_step_cb(int fd, short events, void *arg)
{
	if (!have_conf || !have_keys)
		return;
	if ((!want || login_quiet()) && !login_ending()) {
		if (sess != NULL || dial != NULL || fetch != NULL)
			control_disconnect();
		control_report(0);
		return;
	}
	if (control_connect())
		control_work();
	control_report(0);
}

/*
 * The work is done from the loop, never from within a callback of the
 * session that it may close.
 */
void
control_step(void)
{
	timer_ms(&ev_step, 0);
}

void
control_init(void)
{
	evtimer_set(&ev_step, control_step_cb, NULL);
	evtimer_set(&ev_expiry, control_expiry_cb, NULL);
	evtimer_set(&retry_key.r_ev, retry_cb, NULL);
	evtimer_set(&retry_sess.r_ev, retry_cb, NULL);
	evtimer_set(&retry_poll.r_ev, retry_cb, NULL);
	evtimer_set(&retry_update.r_ev, retry_cb, NULL);
	login_init();
}
