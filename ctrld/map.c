/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The netmap of this node: from the stream or the cache, to the siblings.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrld.h"
#include "mapframe.h"

#define SLEEP_MAX	300	/* seconds that a server may ask for */
#define EXPIRY_TURN	600000	/* ms: look at the date at least this often */
#define BIG		262144	/* bytes of a message: tidy up after it */
#define SKEW_MIN	(60 * NS_PER_S)
#define TIME_MIN	1673308800	/* 2023-01-10: no server is older */

static struct event	 ev_expiry;
static struct netmap	*cur;		/* NULL: none yet */
static struct netmap	*next;		/* of a poll that has just begun */
static struct mapframe	*frame;
static int64_t		 skew;
static int64_t		 next_expiry;	/* date of the next peer's, or 0 */
static uint32_t		 sleep_s;
static uint32_t		 client_version;	/* VERSION_* */
static char		 client_latest[64];
static int		 began;
static int		 shown;		/* the siblings have the map */

struct netmap *
map_now(void)
{
	return cur;
}

int64_t
map_skew(void)
{
	return skew;
}

int
map_began(void)
{
	return began;
}

uint32_t
map_sleep(void)
{
	return sleep_s;
}

static int64_t
expiry_date(const struct nm_node *n)
{
	if (!n->n_keyexpiry.jt_set)
		return 0;
	if (n->n_keyexpiry.jt_sec > INT64_MAX / NS_PER_S - 1)
		return INT64_MAX;
	/* Before 1970 is as long ago as it needs to be. */
	if (n->n_keyexpiry.jt_sec <= 0)
		return 1;
	return n->n_keyexpiry.jt_sec * NS_PER_S + n->n_keyexpiry.jt_nsec;
}

/* By the server's word, or by its clock. */
int
node_expired(const struct nm_node *n)
{
	int64_t	 when;

	when = expiry_date(n);
	return n->n_expired || (when != 0 && when <= os_date() + skew);
}

/* --- to the siblings --- */

static int
map_allowed(void)
{
	return cur != NULL && control_running() &&
	    cur->nm_self->n_authorized;
}

static void
map_blank(void)
{
	shown = 0;
	push_netd_full(NULL);
	names_full(NULL);
	ifconf_push(NULL, 1);
}

/*
 * A ctrld that has just been replaced knows nothing yet, and must not take
 * from its siblings what the one before gave them.
 */
void
map_push_all(void)
{
	if (cur == NULL && control_running())
		return;
	shown = map_allowed();
	push_netd_full(shown ? cur : NULL);
	names_full(shown ? cur : NULL);
	ifconf_push(shown ? cur : NULL, 1);
}

void
map_channel_new(enum proc proc)
{
	if (cur == NULL || !shown)
		return;
	if (proc == PROC_NETD)
		push_netd_full(cur);
	else if (proc == PROC_DNSD)
		names_full(cur);
}

static void
map_push(const struct nm_delta *d)
{
	if (shown != map_allowed()) {
		map_push_all();
		return;
	}
	if (!shown)
		return;
	push_netd_delta(cur, d);
	names_delta(cur, d);
	ifconf_delta(cur, d);
}

/* --- expiry of peers --- */

static void
expiry_note(const struct nm_node *n)
{
	int64_t	 when;

	when = expiry_date(n);
	if (when == 0 || n->n_expired || when <= os_date() + skew)
		return;
	if (next_expiry == 0 || when < next_expiry)
		next_expiry = when;
}

static void
expiry_arm(void)
{
	int64_t	 ms;

	(void)evtimer_del(&ev_expiry);
	if (next_expiry == 0)
		return;
	ms = (next_expiry - os_date() - skew) / 1000000 + 1;
	if (ms < 1)
		ms = 1;
	timer_ms(&ev_expiry, ms < EXPIRY_TURN ? ms : EXPIRY_TURN);
}

static void
expiry_delta(const struct nm_delta *d)
{
	struct nm_node	*n;
	uint32_t	 i;

	for (i = 0; i < d->nd_nchanged; i++)
		if ((n = netmap_peer(cur, d->nd_changed[i].dc_id)) != NULL)
			expiry_note(n);
	expiry_arm();
}

/* Some peer's time has come: netd must hear of it. */
static void
map_expiry_cb(int fd, short events, void *arg)
{
	struct nm_node	*n;
	int64_t		 from;

	if (cur == NULL || next_expiry == 0)
		return;
	if (next_expiry > os_date() + skew) {
		expiry_arm();
		return;
	}
	from = next_expiry;
	next_expiry = 0;
	RB_FOREACH(n, nm_tree, &cur->nm_peers)
		expiry_note(n);
	expiry_arm();
	if (shown)
		push_netd_expired(cur, from);
}

void
map_init(void)
{
	evtimer_set(&ev_expiry, map_expiry_cb, NULL);
}

/* --- from the stream --- */

void
map_begin(void)
{
	mapframe_free(frame);
	if ((frame = mapframe_new(1)) == NULL)
		fatal(NULL);
	netmap_free(next);
	next = NULL;
	began = 0;
	sleep_s = 0;
	ping_reset();
}

static void
map_time(const struct ju_time *t)
{
	char	 text[MSG_TEXT_LEN];
	int64_t	 diff;

	if (t->jt_sec < TIME_MIN || t->jt_sec > INT64_MAX / NS_PER_S - 1)
		return;
	diff = t->jt_sec * NS_PER_S + t->jt_nsec - os_date();
	skew = diff > SKEW_MIN || diff < -SKEW_MIN ? diff : 0;
	if (skew == 0) {
		health_set(HEALTH_CLOCK, NULL);
		return;
	}
	(void)snprintf(text, sizeof(text), "the clock of this host is %lld "
	    "minutes %s that of the control server: set it",
	    (long long)llabs(diff / (60 * NS_PER_S)),
	    diff > 0 ? "behind" : "ahead of");
	health_set(HEALTH_CLOCK, text);
}

/* The server recommends another version, and wants it said. */
uint32_t
map_client_version(char *latest, size_t size)
{
	(void)strlcpy(latest, client_latest, size);
	return client_version;
}

static void
map_version(json_t *j)
{
	static const char	*const names[] = {
		"RunningLatest", "LatestVersion", "UrgentSecurityUpdate",
		"Notify", "NotifyText", "NotifyURL"
	};
	const char	*latest, *note, *url;
	char		 text[MSG_TEXT_LEN], vis[MSG_TEXT_LEN];
	json_t		*v[nitems(names)];

	if (ju_fields(j, names, nitems(names), v) == -1)
		return;
	client_version = VERSION_TOLD |
	    (json_is_true(v[0]) ? VERSION_LATEST : 0) |
	    (json_is_true(v[2]) ? VERSION_URGENT : 0) |
	    (json_is_true(v[3]) ? VERSION_NOTIFY : 0);
	text_vis(client_latest, sizeof(client_latest), v[1] == NULL ? "" :
	    json_string_value(v[1]));
	if (json_is_true(v[0]) ||
	    (!json_is_true(v[2]) && !json_is_true(v[3]))) {
		health_set(HEALTH_VERSION, NULL);
		return;
	}
	latest = v[1] == NULL ? "" : json_string_value(v[1]);
	note = v[4] == NULL ? "" : json_string_value(v[4]);
	url = v[5] == NULL ? "" : json_string_value(v[5]);
	(void)snprintf(text, sizeof(text), "%s%s%s%s%s%s",
	    json_is_true(v[2]) ? "a security update is urgent" :
	    "there is a newer version", *latest != '\0' ? ": " : "", latest,
	    *note != '\0' ? ": " : "", note, *url != '\0' ? ", see " : "");
	(void)strlcat(text, url, sizeof(text));
	text_vis(vis, sizeof(vis), text);
	health_set(HEALTH_VERSION, vis);
}

/*
 * Signatures of peers are not looked at: say so where they are wanted. Those
 * of this node are, by the others: say so if there is none.
 */
static void
map_lock(void)
{
	char	 key[JU_KEYTEXT], text[MSG_TEXT_LEN];

	if (cur == NULL || !netmap_tka(cur)) {
		health_set(HEALTH_LOCK, NULL);
		return;
	}
	if (cur->nm_self->n_keysiglen > 0) {
		health_set(HEALTH_LOCK, "the tailnet is locked, and this "
		    "version does not check the signatures of nodes: it "
		    "trusts the control server alone");
		return;
	}
	(void)snprintf(text, sizeof(text), "the tailnet is locked, and this "
	    "node is locked out: others do not speak with it until %s is "
	    "signed", ju_key_text("nodekey:", cur->nm_self->n_key, key,
	    sizeof(key)));
	health_set(HEALTH_LOCK, text);
}

static void
map_url(const char *url)
{
	static char	 last[MSG_TEXT_LEN];
	char		 note[MSG_TEXT_LEN], text[MSG_TEXT_LEN];

	if (strncmp(url, last, sizeof(last) - 1) == 0)
		return;
	(void)strlcpy(last, url, sizeof(last));
	text_vis(text, sizeof(text), last);
	(void)strlcpy(note, "the control server asks to visit ",
	    sizeof(note));
	(void)strlcat(note, text, sizeof(note));
	health_set(HEALTH_VISIT, note);
}

/* How to reach the server from now on; kept with the map. */
static void
map_dial(json_t *j)
{
	struct dial_plan	 p;

	if (dial_plan_parse(j, &p) == -1) {
		log_debug("the control server's dial plan cannot be read");
		return;
	}
	if (memcmp(&p, dial_plan_now(), sizeof(p)) == 0)
		return;
	dial_plan_set(&p);
	cache_changed();
}

static void
map_effects(const struct nm_effects *fx)
{
	if (fx->ms_what & NM_SE_TIME)
		map_time(&fx->ms_time);
	if (fx->ms_what & NM_SE_PING)
		ping_request(fx->ms_ping);
	if (fx->ms_what & NM_SE_URL)
		map_url(fx->ms_url);
	if (fx->ms_what & NM_SE_DIAL)
		map_dial(fx->ms_dial);
	if (fx->ms_what & NM_SE_VERSION) {
		map_version(fx->ms_version);
		control_report(0);
	}
	if (fx->ms_what & NM_SE_EXIT)
		log_warnx("the control server asks this node to exit: "
		    "not obeyed");
	if (fx->ms_what & NM_SE_SLEEP)
		sleep_s = fx->ms_sleep < SLEEP_MAX ? fx->ms_sleep + 1 :
		    SLEEP_MAX;
}

/* The first message of a poll is whole: it takes the place of the map. */
static void
map_replace(struct nm_delta *d)
{
	struct netmap	*old;
	struct nm_node	*n;

	old = cur;
	cur = next;
	next = NULL;
	began = 1;
	next_expiry = 0;
	if (old == NULL)
		map_push_all();
	else {
		nm_delta_free(d);
		if (netmap_diff(old, cur, d) == -1)
			fatal(NULL);
		map_push(d);
	}
	netmap_free(old);
	RB_FOREACH(n, nm_tree, &cur->nm_peers)
		expiry_note(n);
	expiry_arm();
}

/* Who is online and was seen when is not worth writing the cache for. */
static int
delta_matters(const struct nm_delta *d)
{
	uint32_t	 i;

	if (d->nd_nremoved > 0 || d->nd_flags & ~NM_CH_PEERS)
		return 1;
	for (i = 0; i < d->nd_nchanged; i++)
		if (d->nd_changed[i].dc_what & ~(NM_PC_ONLINE | NM_PC_OTHER))
			return 1;
	return 0;
}

static int
map_message(const char *text, size_t len, const char **why)
{
	struct nm_delta		 d;
	struct nm_effects	 fx;
	struct ju_time		 now;
	struct netmap		*nm;
	int64_t			 date;
	int			 first, r;

	first = !began;
	if (!began && next == NULL && (next = netmap_new()) == NULL)
		fatal(NULL);
	nm = began ? cur : next;
	date = os_date();
	now.jt_sec = date / NS_PER_S;
	now.jt_nsec = date % NS_PER_S;
	now.jt_set = 1;
	if ((r = netmap_apply(nm, text, len, &now, &d, &fx)) == -1) {
		if (errno == ENOMEM)
			fatal(NULL);
		*why = fx.ms_error;
	} else {
		map_effects(&fx);
		if (!fx.ms_keepalive) {
			if (!began)
				map_replace(&d);
			else {
				map_push(&d);
				expiry_delta(&d);
			}
			if (delta_matters(&d))
				cache_changed();
			map_lock();
			control_self_changed();
		}
	}
	nm_delta_free(&d);
	nm_effects_free(&fx);
	/* The JSON of a map takes some ten times what the map does. */
	if (len > BIG || (first && began))
		os_mem_release();
	return r;
}

int
map_data(const uint8_t *p, size_t len, const char **why)
{
	const char	*bad, *msg;
	size_t		 msglen, used;
	int		 r, some;
	static char	 text[MSG_TEXT_LEN];

	some = 0;
	if (frame == NULL)
		return 0;
	while ((r = mapframe_feed(frame, p, len, &used, &msg,
	    &msglen)) == 1) {
		some = 1;
		if (map_message(msg, msglen, &bad) == -1) {
			(void)snprintf(text, sizeof(text),
			    "bad map response: %s", bad);
			*why = text;
			return -1;
		}
		p += used;
		len -= used;
	}
	if (r == 0)
		return some;
	if (errno == ENOMEM)
		fatal(NULL);
	*why = errno == E2BIG ? "map response is too long" :
	    "map response is no frame";
	return -1;
}

int
map_adopt(struct netmap *nm)
{
	struct nm_node	*n;

	if (cur != NULL)
		return -1;
	cur = nm;
	RB_FOREACH(n, nm_tree, &cur->nm_peers)
		expiry_note(n);
	expiry_arm();
	map_push_all();
	control_self_changed();
	return 0;
}

void
map_forget(void)
{
	netmap_free(cur);
	netmap_free(next);
	cur = next = NULL;
	client_version = 0;
	client_latest[0] = '\0';
	/* What the stream still brings before it is closed is not read. */
	mapframe_free(frame);
	frame = NULL;
	began = 0;
	health_forget();
	next_expiry = 0;
	expiry_arm();
	map_blank();
}
