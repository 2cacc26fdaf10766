/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * ctrld: the client of the control server.
 */

#ifndef CTRLD_H
#define CTRLD_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <event.h>
#include <stddef.h>
#include <stdint.h>

#include "c2n.h"
#include "capver.h"
#include "channel.h"
#include "dial.h"
#include "log.h"
#include "messages.h"
#include "netmap.h"
#include "noise.h"
#include "os.h"
#include "pure.h"

#define CTRLD_USER	"_shoalctl"

#define MAX_TAGS	256
#define MAX_ROUTES	1024
#define NS_PER_S	1000000000LL

#ifndef nitems
#define nitems(a)	(sizeof((a)) / sizeof((a)[0]))
#endif

/* --- ctrld.c --- */

/* What the parent configured; replaced as a whole. */
struct ctrld_conf {
	struct msg_conf_ctrld	 c_msg;
	struct msg_str64	 c_tags[MAX_TAGS];
	struct msg_prefix	 c_routes[MAX_ROUTES];
	uint32_t		 c_ntags;
	uint32_t		 c_nroutes;
	char			 c_authkey[MSG_AUTHKEY_LEN];
};

struct chan	*ctrld_cryptod(void);
struct chan	*ctrld_netd(void);
struct chan	*ctrld_dnsd(void);
const struct ctrld_conf
		*ctrld_conf(void);
/* Ids of requests to siblings; never 0. */
uint32_t	 ctrld_id(void);
/* Arm a one-shot timer so many milliseconds from now. */
void		 timer_ms(struct event *, uint32_t);

/* --- tls.c --- */

struct ssl_st;
struct tlsclient;

/* What was wrong with the certificate, if anything, in words; 1 or 0. */
int	 tls_complaint(const struct tlsclient *, char *, size_t);
/* Why a handshake failed (as tlsclient_error() takes it), in words. */
void	 tls_error(struct ssl_st *, int, struct tlsclient *, char *, size_t);

/* --- conn.c --- */

struct conn;

/*
 * up: connected, and TLS verified where the URL has it.
 * data: what came; the buffer may be written to.
 * lost: over, with a text why; the conn is gone when it returns.
 * conn_close() may be called from any of them.
 */
struct conn_cb {
	void	(*cc_up)(struct conn *, void *);
	void	(*cc_data)(struct conn *, void *, uint8_t *, size_t);
	void	(*cc_lost)(struct conn *, void *, const char *);
};

/* Out of the ordinary; all zero is ordinary. */
struct conn_opt {
	struct msg_ip	 co_ip;		/* connect there: no look-up */
	const char	*co_ace;	/* tunnel through this host, by TLS */
	uint32_t	 co_limit;	/* ms until up; 0: CONN_TIMEOUT */
	uint32_t	 co_purpose;	/* CONN_*; 0: CONN_CONTROL */
	int		 co_lax;	/* TLS is a carrier, not a proof */
};

/*
 * Look up, connect, shake hands; bounded by CONN_TIMEOUT until up. The
 * addresses of a name are tried side by side, IPv6 first. Answers come
 * from the loop, never from within conn_open(). The options may be NULL.
 */
#define CONN_TIMEOUT	15	/* seconds */
struct conn
	*conn_open(const struct url *, const struct conn_opt *,
	    const struct conn_cb *, void *);
void	 conn_close(struct conn *);
/* End it; cc_lost is called from the loop, with this text. */
void	 conn_abort(struct conn *, const char *);
/* Queue bytes; a queue of more than CONN_QUEUE_MAX ends the conn. */
#define CONN_QUEUE_MAX	(4 * 1024 * 1024)
void	 conn_write(struct conn *, const void *, size_t);

/* Message for conns: 0, or -1 if malformed. */
int	 conn_connected(struct imsg *);

/* --- lookup.c: addresses of a name --- */

struct lookup;

/*
 * Ask dnsd; if that fails, relays of the DERP map; then what was good last.
 * Calls back once, from the loop, with addresses (families by turns, IPv6
 * first), or with none and a text why; the object is gone then.
 */
#define LOOKUP_MAX	RESOLVED_MAX
struct lookup
	*lookup_start(const char *, void (*)(const struct msg_ip *, size_t,
	    const char *, void *), void *);
void	 lookup_cancel(struct lookup *);
/* This address of this name led to a server. */
void	 lookup_good(const char *, const struct msg_ip *);
/* RESOLVED from dnsd: 0, or -1 if malformed. */
int	 lookup_resolved(struct imsg *);
/* dnsd was replaced: ask again for what it owes. */
void	 lookup_dnsd_new(void);

/* --- fetch.c: one HTTP/1.1 request with a small answer --- */

#define FETCH_BODY_MAX	65536

/*
 * GET or HEAD a URL. Calls back once with status and body, or status -1
 * and the body a text why. Returns an object for fetch_cancel(), which is
 * invalid from the call back on; bounded by FETCH_TIMEOUT.
 */
#define FETCH_TIMEOUT	20	/* seconds */
struct fetch;
struct fetch
	*fetch_start(const char *, const struct url *,
	    const struct conn_opt *, void (*)(int, const char *, size_t,
	    void *), void *);
void	 fetch_cancel(struct fetch *);
/* While it calls back: how many ms a busy server asks to wait, or 0. */
uint32_t fetch_retry_ms(const struct fetch *);
/* Likewise: the head of the answer, or NULL; and the host that was asked. */
const struct http_head
	*fetch_head(const struct fetch *);
const char
	*fetch_host(const struct fetch *);
/* Give it a body (malloc, taken over), right after fetch_start(). */
void	 fetch_put(struct fetch *, char *, size_t);

/* --- portal.c: captive portals before the control server --- */

/* The answer when that host was asked: is it a portal's? */
int	 portal_found(const struct http_head *, const char *);
/* The server has been reached, or the network is another one. */
void	 portal_gone(void);
/* The server of that URL is out of reach: ask what a portal would answer. */
void	 portal_ask(const struct url *);

struct session;

/* --- dial.c: races for a session --- */

struct dial;

/*
 * up: here is the session, to be adopted at once. failed: as sc_lost. The
 * dial is gone when either is called. Neither is called from dial_open().
 */
struct dial_cb {
	void	(*dc_up)(struct session *);
	void	(*dc_failed)(const char *, uint32_t);
};
struct dial
	*dial_open(const struct url *, const char *,
	    const uint8_t[MSG_KEY_LEN], const struct dial_cb *);
void	 dial_close(struct dial *);
/* The server's plan for later dials; NULL: none. */
void	 dial_plan_set(const struct dial_plan *);
const struct dial_plan
	*dial_plan_now(void);

/* --- session.c: Noise session and HTTP/2 in it --- */

/*
 * up: requests may be made.
 * lost: over, why; the session is gone when it is called, its rpcs have been
 * told. code: enum msg_error of cryptod where that refused, else MSG_E_CONN.
 */
struct session_cb {
	void	(*sc_up)(struct session *, void *);
	void	(*sc_lost)(void *, const char *, uint32_t);
};

/* A server key of zeros means the one that is pinned for that URL. */
struct session
	*session_open(const struct dial_try *, const char *,
	    const uint8_t[MSG_KEY_LEN], const struct session_cb *, void *);
/* Somebody else's from here on; from within sc_up. */
void	 session_adopt(struct session *, const struct session_cb *, void *);
/* Without callbacks; NULL is fine. rpcs are dropped without a word. */
void	 session_close(struct session *);
/* Write out what HTTP/2 has to say; after starting or cancelling rpcs. */
void	 session_flush(struct session *);
/* An HTTP/2 ping; the session is lost if no answer comes in 15 s. */
void	 session_ping(struct session *);

int	 session_noise_msg1(struct imsg *);
int	 session_noise_keys(struct imsg *);

/* --- rpc.c --- */

struct rpc;

/*
 * head: status came. data: a part of the body. Both may return -1 to drop
 * the rpc without a further word: it is gone then. done: over; error NULL
 * if the stream ended in order; the rpc is gone when done returns.
 * rpc_cancel() calls nothing, and must not be called from head, data, done.
 */
struct rpc_cb {
	int	(*rc_head)(struct rpc *, void *);
	int	(*rc_data)(struct rpc *, void *, const uint8_t *, size_t);
	void	(*rc_done)(struct rpc *, void *, const char *);
};

struct rpc {
	TAILQ_ENTRY(rpc)	 r_entry;
	struct event		 r_ev;
	struct session		*r_sess;
	const struct rpc_cb	*r_cb;
	void			*r_arg;
	uint8_t			*r_body;	/* of the request; wiped */
	size_t			 r_bodylen;
	size_t			 r_bodyoff;
	size_t			 r_got;		/* bytes of the answer */
	int32_t			 r_stream;
	int			 r_status;
	int			 r_retry;	/* Retry-After, or -1 */
};
/* How many ms a busy server asks to wait, or 0. */
uint32_t rpc_retry_ms(const struct rpc *);
TAILQ_HEAD(rpcs, rpc);

/*
 * Start a request; takes over the body (malloc). timeout in seconds, 0:
 * none. NULL if HTTP/2 cannot take one more.
 */
struct rpc
	*rpc_start(struct session *, const char *, const char *, uint8_t *,
	    size_t, unsigned int, const struct rpc_cb *, void *);
void	 rpc_cancel(struct rpc *);
/* Restart the time limit. */
void	 rpc_timeout(struct rpc *, unsigned int);

/* session.c for rpc.c */
struct nghttp2_session
	*session_h2(struct session *);
struct rpcs
	*session_rpcs(struct session *);
const char
	*session_authority(struct session *);
struct nghttp2_session_callbacks;
void	 rpc_h2_callbacks(struct nghttp2_session_callbacks *);
void	 session_pong(struct session *);
void	 rpc_lost(struct session *, const char *);

/* --- control.c: what is to be done next --- */

void	 control_init(void);
/* Something changed: do what can be done now. */
void	 control_step(void);
/*
 * A new configuration is in force. First: its URL is another one, begin
 * anew. Second: its auth key is.
 */
void	 control_conf(int, int);
void	 control_keys(const struct msg_keys *);
void	 control_cryptod_new(void);
void	 control_want(int);
void	 control_login(uint32_t);
void	 control_logout(void);
/* The host moved to another network: connections are of no use. */
void	 control_link_change(void);
/* Something that the server is told of changed. */
void	 control_update(void);
const struct msg_keys
	*control_keys_now(void);
struct session
	*control_session(void);
/* Tell the parent, if it is news. force: in any case. */
void	 control_report(int);
/* netd was replaced: it does not know whether the server hears us. */
void	 control_netd_new(void);
/* The map stream ended, or must: for map.c. */
void	 control_self_changed(void);
/* Is the node meant to have a tunnel now? */
int	 control_running(void);
/* The trouble that was last reported, or "". */
const char
	*control_trouble_now(void);

/* --- poll.c: the map stream and lite updates --- */

/* Both: 0 started, -1 not now. */
int	 poll_start(struct session *, const uint8_t *);
void	 poll_stop(void);
int	 poll_active(void);	/* request under way */
int	 poll_online(void);	/* first message has come */
int	 update_start(struct session *, const uint8_t *);
void	 update_stop(void);
int	 update_active(void);
/*
 * For control.c, from poll.c: it is over. (why, HTTP status, did it live
 * longer than 10 s, seconds of pause that the map asks for, ms that the
 * server asks to wait at least); (why or NULL, such ms).
 */
void	 control_poll_done(const char *, int, int, uint32_t, uint32_t);
void	 control_update_done(const char *, uint32_t);

/* --- hostinfo.c --- */

/* Own endpoints from netd: 0, or -1 if malformed. */
int	 endpoints_msg(struct imsg *);
/* New reference. */
json_t	*ctrld_hostinfo(void);
struct maprequest;
/* Endpoint fields of a request; valid until the next call. */
void	 endpoints_fill(struct maprequest *);

/* --- netinfo.c --- */

/* NETINFO from netd: 0, or -1 if malformed. */
int	 netinfo_msg(struct imsg *);
/* What the server is to be told; NULL: nothing yet. */
const struct netinfo
	*netinfo_now(void);

/* --- map.c: the netmap --- */

void	 map_begin(void);
/* Bytes of the stream: 0, or -1 with a text why. */
int	 map_data(const uint8_t *, size_t, const char **);
int	 map_began(void);		/* first message was taken */
/* What the server says of our version: VERSION_*, and its newest. */
uint32_t map_client_version(char *, size_t);
uint32_t map_sleep(void);		/* seconds that the server asked for */
void	 map_forget(void);		/* logged out */
struct netmap
	*map_now(void);			/* NULL: none */
int64_t	 map_skew(void);		/* server's clock minus ours, ns */
int	 map_adopt(struct netmap *);	/* from the cache */
/* Push all of it to whoever was replaced, or changed its mind. */
void	 map_push_all(void);
/* That sibling was replaced: it gets all that is its business. */
void	 map_channel_new(enum proc);
int	 node_expired(const struct nm_node *);
void	 map_init(void);

/* n_mark of a peer: netd knows it; it has routes outside the tailnet. */
#define MARK_NETD	0x01
#define MARK_ROUTES	0x02

/* --- push.c: differences to netd --- */

void	 push_netd_full(struct netmap *);	/* NULL: nothing at all */
void	 push_netd_delta(struct netmap *, const struct nm_delta *);
void	 push_netd_expired(struct netmap *, int64_t);
/* Pure: does netd get this prefix of this peer? */
int	 push_wants_prefix(const struct nm_node *, const struct nm_prefix *,
	    int);
int	 push_wants_peer(const struct nm_node *);
/* Pure: is it within the ranges of tailnet addresses? */
int	 prefix_is_tailnet(const struct nm_prefix *);
void	 prefix_wire(const struct nm_prefix *, struct msg_prefix *);
void	 ip_wire(uint8_t, const uint8_t *, struct msg_ip *);

/* --- pushfilter.c --- */

void	 push_filter(struct chan *, struct netmap *);
/* Does a rule of the filter in force name this capability as source? */
int	 filter_names_cap(const char *);
/* Recompute that set; 1 if it changed. */
int	 filter_caps_update(struct netmap *);

/* --- pushderp.c: the DERP map --- */

/* Inside a change to netd: all of it; NULL: there is none. */
void	 push_derp(struct netmap *);
/* The code of that region into a buffer; "" if there is none. */
void	 derp_code(struct netmap *, uint16_t, char *, size_t);
/* Pure: 0, or -1 for what netd shall not get. Region: its nodes, borrowed. */
int	 pushderp_region(const char *, json_t *, json_t *,
	    struct msg_nm_derp_region *, json_t **);
int	 pushderp_node(json_t *, uint16_t, struct msg_nm_derp_node *);

/* --- names.c: differences to dnsd --- */

void	 names_full(struct netmap *);
void	 names_delta(struct netmap *, const struct nm_delta *);

/* --- ifconf.c: addresses and routes to the parent --- */

void	 ifconf_push(struct netmap *, int);
void	 ifconf_delta(struct netmap *, const struct nm_delta *);

/* --- cache.c --- */

int	 cache_fd(struct imsg *);	/* CACHE_FD: 0, or -1 malformed */
/* CACHE_NEWFD: writes what is unsaved, or says ECANCELED. 0, or -1. */
int	 cache_newfd(struct imsg *);
/* The node key is known: use the cache if it is for this key and server. */
void	 cache_use(void);
void	 cache_changed(void);		/* the map is worth saving */
void	 cache_forget(void);
void	 cache_init(void);

/* --- ping.c --- */

/* What a message asked for besides the map. */
void	 ping_request(json_t *);
/* POST this answer (malloc, taken over): in the session, or beside it. */
void	 ping_post(const struct url *, int, char *, size_t);
/* The new session begins: the URL seen last counts for nothing. */
void	 ping_reset(void);
void	 ping_init(void);

/* --- peerping.c: pings of peers for the server --- */

/*
 * Ping an address by each of the types of the list, and POST what came of
 * it to the URL; noise: in the session.
 */
void	 peerping_start(const struct url *, int, const char *, const char *);
int	 peerping_pong(struct imsg *);	/* PEER_PONG: 0, or -1 malformed */
void	 peerping_init(void);

/* --- c2ndoc.c --- */

/* A document for c2n_answer(): malloc, or NULL. */
char	*c2n_doc(enum c2n_doc);

/* --- health.c --- */

enum health {
	HEALTH_PORTAL,		/* a login is wanted by the network */
	HEALTH_TLS,		/* a certificate that is not the server's */
	HEALTH_LOOKUP,
	HEALTH_EXPIRY,		/* of the own key, soon */
	HEALTH_CLOCK,
	HEALTH_VERSION,		/* the server recommends another */
	HEALTH_LOCK,		/* the tailnet is locked */
	HEALTH_VISIT,		/* the server wants a URL visited */
	HEALTH_MAX
};
#define HEALTH_ROWS	32	/* of the server's, that are shown */

/* Something is wrong, in words (logged if new); NULL: well again. */
void	 health_set(enum health, const char *);
void	 health_forget(void);	/* all that a map brought */
const char
	*health_text(enum health);
/* CTL_HEALTH rows for a CTL_STATUS request. */
void	 health_answer(uint32_t);
/* What was found here, for the server: new reference. */
json_t	*health_json(void);

/* --- answer.c: what operators ask --- */

int	 answer_msg(struct imsg *);	/* 0, or -1 if malformed */

#endif /* CTRLD_H */
