/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The process that faces the network: connections, HTTP, Noise, HTTP/2.
 */

#ifndef FRONTD_H
#define FRONTD_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/tree.h>

#include <event.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>

#include "buf.h"
#include "channel.h"
#include "log.h"
#include "messages.h"
#include "noise.h"
#include "source.h"
#include "srvreq.h"
#include "tlsserver.h"
#include "ws.h"

#ifndef nitems
#define nitems(a)	(sizeof((a)) / sizeof((a)[0]))
#endif

/* Time that a stranger gets, in seconds. */
#define T_HEAD		10	/* from accept to the whole request head,
				 * the TLS handshake between them included */
#define T_NOISE		10	/* for coordcrypt's answer */
#define T_ASK		5	/* for stored's to a plain request */
#define T_PREFACE	10	/* from the handshake to HTTP/2 SETTINGS */
#define T_BODY		30	/* from a request's head to its end */
#define T_LINGER	2	/* to read our last answer */
#define T_STALL		60	/* with something to read and no progress */
#define T_IDLE		300	/* without a stream */
#define T_TICK		20	/* how often an open session is looked at */

/* Bounds. */
#define MAX_NOISE	512	/* handshakes in work */
#define MAX_WEB_BODY	4096	/* of a plain request */
#define MAX_STREAMS	128	/* of one session at a time */
#define MAX_HEADERS	16384	/* bytes of one request's header list */
#define MAX_BODIES	(4 * 1024 * 1024)	/* of one session together */
#define MAX_BODIES_ALL	(128 * 1024 * 1024)	/* of all sessions */
#define MAX_OUT		(256 * 1024)	/* sealed, before it is written */
#define MAX_STREAM_OUT	(32 * 1024 * 1024)	/* waiting in one stream */
#define MAX_OUT_ALL	(1024 * 1024 * 1024)	/* in all streams */
#define MAX_FOLLOW_OUT	(64 * 1024 * 1024)	/* waiting for one relay */
#define MAX_RPC_QUEUE	8192	/* messages waiting for stored */
#define MAX_SRC_RAW	64	/* connections of one source without a key */
#define MAX_SRC_ALL	2048	/* connections of one source */
#define RATE_BURST	100	/* requests of one session at once */
#define RATE_PER_S	10	/* and then so many a second */

enum conn_state {
	CONN_TLS,		/* shaking hands */
	CONN_HEAD,		/* reading the HTTP/1.1 request */
	CONN_BODY,		/* reading the body of a plain request */
	CONN_ASK,		/* stored has a question of a plain request */
	CONN_NOISE,		/* coordcrypt has the initiation */
	CONN_OPEN,		/* HTTP/2 inside Noise */
	CONN_FOLLOW,		/* a relay, told who may use it */
	CONN_LINGER		/* answered; waits for the other end */
};

struct source;

struct conn {
	RB_ENTRY(conn)		 c_entry;	/* by c_id */
	TAILQ_ENTRY(conn)	 c_raw;		/* not yet CONN_OPEN */
	struct event		 c_ev_read;
	struct event		 c_ev_write;
	struct event		 c_ev_timer;
	struct buf		 c_wire;	/* WebSocket frames, c_ws */
	struct buf		 c_in;
	struct buf		 c_out;
	struct source		*c_source;
	SSL			*c_ssl;		/* NULL: plain */
	struct noise_record	*c_rx;
	struct noise_record	*c_tx;
	nghttp2_session		*c_h2;
	TAILQ_HEAD(, stream)	 c_streams;
	uint64_t		 c_id;
	int64_t			 c_progress;	/* last write, os_now() */
	int64_t			 c_idle;	/* no stream since */
	int64_t			 c_rate_at;
	int64_t			 c_rate;	/* thousandths of a request */
	size_t			 c_bodies;	/* bytes of unfinished bodies */
	size_t			 c_lingered;
	char			*c_ask_id;	/* CONN_ASK: of a login */
	size_t			 c_bodylen;	/* CONN_BODY: what is to come */
	uint32_t		 c_noise_id;	/* request to coordcrypt */
	enum conn_state		 c_state;
	int			 c_fd;
	uint16_t		 c_version;
	uint8_t			 c_machine[MSG_KEY_LEN];
	uint8_t			 c_settings;	/* the client's SETTINGS came */
	uint8_t			 c_alive;	/* heard from since the ping */
	uint8_t			 c_pinged;
	uint8_t			 c_known;	/* stored has heard of it */
	uint8_t			 c_dead;	/* close when unwound */
	uint8_t			 c_busy;	/* inside nghttp2 */
	uint8_t			 c_ws;		/* inside WebSocket frames */
	uint8_t			 c_headonly;	/* answer a HEAD: no body */
	uint8_t			 c_ask;		/* CONN_ASK: WEB_* */
	char			 c_ws_accept[WS_ACCEPT_LEN];
};

/* A piece of a response body. */
struct piece {
	TAILQ_ENTRY(piece)	 p_entry;
	uint8_t			*p_data;
	size_t			 p_len;
	size_t			 p_off;
};

enum stream_kind {
	STREAM_NONE,		/* refused, or not complete */
	STREAM_RPC,		/* one answer */
	STREAM_MAP		/* framed messages */
};

struct stream {
	TAILQ_ENTRY(stream)	 s_entry;
	TAILQ_HEAD(, piece)	 s_pieces;
	struct event		 s_ev_keep;
	struct conn		*s_conn;
	struct buf		 s_body;	/* of the request */
	struct buf		 s_msg;		/* answer, being put together */
	char			 s_method[16];
	char			 s_path[256];
	int64_t			 s_start;
	int64_t			 s_progress;
	size_t			 s_headers;
	size_t			 s_queued;	/* bytes in s_pieces */
	int32_t			 s_id;
	enum stream_kind	 s_kind;
	uint16_t		 s_status;
	uint16_t		 s_type;	/* RPC_T_* */
	uint8_t			 s_done;	/* request is complete */
	uint8_t			 s_asked;	/* stored has it, no end yet */
	uint8_t			 s_answered;	/* response submitted */
	uint8_t			 s_end;		/* nothing after the pieces */
	uint8_t			 s_deferred;
	uint8_t			 s_poll;	/* a long poll */
	uint8_t			 s_zstd;
	uint8_t			 s_keepalive;
};

/* conn.c: sockets, their states and limits */
void		 conn_init(uint64_t);
void		 conn_accept(int, SSL_CTX *);
void		 conn_signed(void *);
struct conn	*conn_find(uint64_t);
void		 conn_close(struct conn *, const char *);
void		 conn_flush(struct conn *);
void		 conn_answer(struct conn *, int, const char *, const char *,
		    const void *, size_t);
void		 conn_refuse(struct conn *, int, const char *);
void		 conn_timer(struct conn *, int);
/* It is a relay that follows the list: the head of its answer, then lines. */
void		 conn_follow(struct conn *, const char *);
void		 conn_lines(struct conn *, const uint8_t *, size_t);
void		 conn_noise(struct conn *, const uint8_t *);
void		 conn_put_header(struct conn *, uint8_t, size_t);
void		 conn_noise_done(uint32_t, const struct msg_srv_noise_out *);
void		 conn_noise_reset(void);
void		 conn_end_streams(void);
size_t		 conn_count(void);
const char	*conn_name(const struct conn *);

/* h2.c: the HTTP/2 session inside Noise */
int		 h2_open(struct conn *, const struct msg_srv_noise_out *);
void		 h2_close(struct conn *);
int		 h2_input(struct conn *);
int		 h2_fill(struct conn *);
int		 h2_tick(struct conn *);
int		 h2_respond(struct stream *, int, const char *, int);
void		 h2_resume(struct stream *);
void		 h2_reset(struct stream *);
void		 h2_ping(struct conn *);

/* stream.c: one request and its response */
struct stream	*stream_new(struct conn *, int32_t);
struct stream	*stream_find(uint64_t, uint32_t);
void		 stream_free(struct stream *);
int		 stream_body(struct stream *, const uint8_t *, size_t);
void		 stream_complete(struct stream *);
void		 stream_reply(struct stream *, int, const char *);
ssize_t		 stream_read(struct stream *, uint8_t *, size_t, int *);
void		 stream_push(struct stream *, uint8_t *, size_t);
void		 stream_abandon(struct stream *);
int		 stream_tick(struct stream *, int64_t);

/* rpc.c: between streams and stored */
void		 rpc_register(struct stream *);
void		 rpc_map(struct stream *);
/* Any other call; 0: there is none of that name. */
int		 rpc_call(struct stream *);
void		 rpc_close(struct conn *, uint32_t);
int		 rpc_answer(struct imsg *);
void		 rpc_keepalive_cb(int, short, void *);

/* web.c: plain HTTP */
struct http_req;
void		 web_request(struct conn *, struct http_req *);
/* The body that it waited for is there. */
void		 web_body(struct conn *);
/* WEB_ANSWER, WEB_LINES of stored. -1: it breaks the rules. */
int		 web_answer(struct imsg *);
int		 web_lines(struct imsg *);

/* published.c: what everybody may know of the relays */
/* WEB_MAP of stored. -1: it breaks the rules. */
int		 published_take(struct imsg *);
/* stored is another one: what has come of a map is worth nothing. */
void		 published_forget(void);
void		 published_map(struct conn *);
void		 published_names(struct conn *);

/* page.c: pages for people */
void		 page_send(struct conn *, int, const char *, const char *);
void		 page_root(struct conn *);
void		 page_login(struct conn *, const char *,
		    const struct msg_web_answer *);
void		 page_no_login(struct conn *);

/* frontd.c: channels, configuration */
struct chan	*frontd_stored(void);
struct chan	*frontd_crypt(void);
const uint8_t	*frontd_server_key(void);	/* NULL: not known yet */
const uint8_t	*frontd_jwt_key(void);		/* the same; 65 bytes */
const struct msg_conf_frontd *frontd_conf(void);
void		 frontd_accept_pause(void);

#endif /* FRONTD_H */
