/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The process that faces the network: connections, TLS, HTTP, DERP, STUN.
 */

#ifndef RELAY_H
#define RELAY_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "channel.h"
#include "core.h"
#include "endpoint.h"
#include "log.h"
#include "messages.h"
#include "record.h"
#include "source.h"
#include "tlsclient.h"
#include "tlsserver.h"

#ifndef nitems
#define nitems(a)	(sizeof((a)) / sizeof((a)[0]))
#endif

/* Time that a stranger gets, in seconds; a frame's way out. */
#define T_HEAD		10	/* from accept to the whole request head */
#define T_LOGIN		10	/* from there to the login */
#define T_CRYPT		10	/* for cryptod's answer */
#define T_ADMIT		8	/* for the admission server's, in all */
#define T_LINGER	2	/* to read our last answer */
#define T_WRITE		2	/* for a write to get on */
#define T_WRITE_MESH	30
#define T_KEEPALIVE	60	/* and up to 5 more */

/* Bounds. */
#define MAX_LOGINS	4096	/* at cryptod */
#define MAX_DIALS	64	/* at the parent */
#define MAX_SRC_RAW	256	/* connections of one source without a key */
#define MAX_SRC_ALL	8192	/* connections of one source */
#define HEAD_MAX	8192	/* of an HTTP request */
#define RAW_MAX		16384	/* bytes held of who has not logged in */

enum conn_state {
	CONN_TLS,		/* shaking hands */
	CONN_HEAD,		/* reading the HTTP request */
	CONN_LOGIN,		/* reading ClientInfo */
	CONN_CRYPT,		/* cryptod has it */
	CONN_ADMIT,		/* may it use this relay? */
	CONN_OPEN,
	CONN_LINGER		/* our last answer is on its way */
};

struct source;

struct mesh;
struct held;

struct conn {
	struct client	 c_client;	/* first: the core's part */
	TAILQ_ENTRY(conn) c_raw;	/* who has not logged in */
	TAILQ_ENTRY(conn) c_dirty;	/* has something to write */
	TAILQ_ENTRY(conn) c_dead;	/* to be freed */
	struct event	 c_ev_read;
	struct event	 c_ev_write;
	struct event	 c_ev_timer;
	struct source	*c_source;	/* NULL: we have dialed it */
	struct webstream *c_web;	/* by WebSocket */
	struct mesh	*c_mesh;	/* a relay that we are a client of */
	struct held	*c_held;	/* for who is let in */
	SSL		*c_ssl;		/* TLS, up to the handshake's end */
	struct record	*c_rec;		/* and from there on */
	uint8_t		*c_cipher;	/* the begin of a record */
	uint8_t		*c_part;	/* the begin of a frame */
	uint8_t		*c_out;		/* what the socket did not take */
	uint64_t	 c_skip;	/* bytes of a frame to ignore */
	int64_t		 c_tokens;	/* bytes it may send; below 0: wait */
	int64_t		 c_filled;	/* os_now() when they were counted */
	int64_t		 c_alive;	/* os_now() of the last KEEP_ALIVE */
	uint32_t	 c_cipherlen;
	uint32_t	 c_partlen;
	uint32_t	 c_outlen;
	uint32_t	 c_outoff;
	uint32_t	 c_login;	/* slot of the request to cryptod */
	int		 c_fd;
	uint8_t		 c_state;	/* enum conn_state */
	uint8_t		 c_is_dirty;
	uint8_t		 c_is_dead;
	uint8_t		 c_paused;	/* for its rate */
	uint8_t		 c_listen;	/* LISTEN_* of where it came in */
	uint8_t		 c_key[DERP_KEY_LEN];
};

/* --- relay.c --- */

struct chan *relay_crypt(void);
const struct msg_conf_relay *relay_conf(void);
/* Our public key, or NULL while it is not known. */
const uint8_t *relay_key(void);
/* No descriptor left: stop accepting for a second. */
void	 relay_accept_pause(void);

/* --- conn.c --- */

void	 conn_init(void);
/* Accept from a listening socket of these LISTEN_*. */
void	 conn_accept(int, uint32_t);
/* Bytes of the stream of frames, as conn.c would read them. */
ssize_t	 conn_stream(struct conn *, const uint8_t *, size_t);
/* Is it read now? Not while others have the word. */
int	 conn_reads(const struct conn *);
/* A connection of our own to another relay. */
struct conn *conn_dialed(int, SSL *, struct mesh *);
/* To be closed; conn_sweep does it, when nobody works on it any more. */
void	 conn_kill(struct conn *);
/* In so many ms: it is closed, or if it is open it has its keepalive. */
void	 conn_timer(struct conn *, int64_t);
/* May the client use the relay? 1: it is in. */
void	 conn_admitted(struct conn *, int);
/* Bytes, past what waits for it. */
void	 conn_write(struct conn *, const uint8_t *, size_t);
size_t	 conn_count_all(void);
/* cryptod's answer to a login. */
void	 conn_login_done(uint32_t, const struct msg_derp_login_ok *);
/* cryptod was replaced: what it had is lost. */
void	 conn_crypt_lost(void);
/* A signature came: go on with the handshake. */
void	 conn_signed(struct conn *);
/* Write what waits, free what is dead; after everything that is done. */
void	 conn_sweep(void);

/* --- tls.c --- */

/* What the library does at first use. */
void	 tls_warmup(void);
/* Certificates of a file, PEM: closes it. 0, or -1 (logged). */
int	 tls_file(int, const char *);
/* They are in use from here on; or not. */
void	 tls_commit(void);
void	 tls_abort(void);
/* A certificate that cryptod made. */
int	 tls_cert(uint32_t, const uint8_t *, size_t);
/* A session on that socket, or NULL: there is no certificate yet. */
SSL	*tls_new(int);
/* Shake hands: 1 done, 0 later, -1 failed. */
int	 tls_handshake(struct conn *);
void	 tls_free(struct conn *);
/* Tell it that no more comes. */
void	 tls_close(struct conn *);
/* Around reads: what is here of a record is taken up, and kept. */
void	 tls_begin(struct conn *);
void	 tls_end(struct conn *);
/* What is to be written for these bytes of the stream, and its length. */
const uint8_t *tls_seal(struct conn *, const uint8_t *, size_t *);
/*
 * Bytes read, into a buffer of RECORD_WIRE at least; written, of what was
 * sealed.  0: later, -1: closed or failed.
 */
ssize_t	 tls_read(struct conn *, void *, size_t);
ssize_t	 tls_write(struct conn *, const void *, size_t);

/* --- servers.c: whom the relay is a client of --- */

/* They come one by one; in use, or forgotten, as a whole. */
int	 servers_add(const struct msg_conf_server *);
void	 servers_commit(void);
void	 servers_abort(void);
/* From that number on, the next one of that kind; the number after it. */
const struct msg_conf_server *servers_next(uint32_t, size_t *);

/*
 * Have the server of that number connected: the callback gets the socket, or
 * -1 and errno, and its argument. What to cancel it with, or -1.
 */
int	 dial(size_t, void (*)(int, void *), void *);
void	 dial_cancel(int);
int	 dial_done(uint32_t, const struct msg_connected *, int);

/* What it must prove, for tlsclient_new(). */
void	 servers_prove(const struct msg_conf_server *, struct tlsclient *);

/* --- verify.c: who may use this relay --- */

#define VERIFY_NO	0
#define VERIFY_YES	1
#define VERIFY_LATER	2	/* conn_admitted() is called */

int	 verify_ask(struct conn *);
void	 verify_cancel(struct conn *);
/* The parent's answer to the question of that number. */
void	 verify_answer(uint32_t, int);
/* Forget what was answered. */
void	 verify_forget(void);
/* The keys that are let in, a text; closes it. */
void	 verify_list(int);
/* May a client of that key stay? */
int	 verify_stays(const uint8_t [DERP_KEY_LEN]);

/* --- follow.c: the list of clients that coordd tells --- */

/* Its key, from a file: closes it. 0, or -1 (logged). */
int	 follow_file(int);
void	 follow_commit(void);
void	 follow_abort(void);
/* May a client of that key come in? May one that is here stay? */
int	 follow_has(const uint8_t [DERP_KEY_LEN]);
int	 follow_stays(const uint8_t [DERP_KEY_LEN]);

/* --- mesh.c: other relays --- */

/* Connect to those of the configuration, leave the others. */
void	 mesh_commit(void);
/* The TLS handshake is done. Or it has failed. */
void	 mesh_shaken(struct conn *);
void	 mesh_failed(struct conn *);
/* What it says: bytes used, 0: more is needed, -1: close. */
ssize_t	 mesh_input(struct conn *, const uint8_t *, size_t);
/* cryptod's answer. */
void	 mesh_login_done(uint32_t, const struct msg_mesh_login *);
/* That connection is gone. */
void	 mesh_lost(struct mesh *, const struct conn *);

/* --- ws.c: DERP over WebSocket --- */

struct webstream *webstream_new(void);
/* What it says: bytes used, 0: more is needed, -1: close. Writes to them. */
ssize_t	 webstream_input(struct conn *, uint8_t *, size_t);
/* Work on what is here of the stream: 0, or -1: close. */
int	 webstream_go(struct conn *);
/* Bytes of the stream to it. */
void	 webstream_send(struct conn *, const uint8_t *, size_t);

/* --- metrics.c --- */

struct relay_stats {
	uint64_t	 rs_accepts;
	uint64_t	 rs_full;	/* refused for their number */
	uint64_t	 rs_refused;	/* clients not let in */
	uint64_t	 rs_stun4;	/* answered */
	uint64_t	 rs_stun6;
	uint64_t	 rs_stun_bad;
	uint64_t	 rs_stun_rate;
};

struct relay_stats *relay_stats(void);
/* As Prometheus wants them; the length. */
size_t	 metrics_print(char *, size_t);

/* --- http.c: heads of requests, as pure functions --- */

struct http_req {
	char	 hr_method[8];
	char	 hr_path[128];		/* without a query */
	char	 hr_query[256];		/* "": none */
	char	 hr_ws_key[32];		/* of WebSocket */
	char	 hr_upgrade[32];	/* lower case */
	char	 hr_challenge[68];	/* "": none, or not allowed */
	uint8_t	 hr_fast;		/* Derp-Fast-Start */
	uint8_t	 hr_not_ideal;		/* Ideal-Node names another */
	uint8_t	 hr_ws_derp;		/* WebSocket of the derp protocol */
};

/*
 * The head that begins these bytes: its length, 0: more is needed, -1: not
 * one that we take.
 */
ssize_t	 http_parse(const char *, size_t, struct http_req *);
/* The answer to anything but an upgrade: its length. */
size_t	 http_answer(const struct http_req *, char *, size_t);
/* One with a body of that length and type. */
size_t	 http_body(const struct http_req *, const char *, const char *,
	    size_t, char *, size_t);
/* "This is at https://", name, path: go there. */
size_t	 http_redirect(const struct http_req *, const char *, char *, size_t);
/* One value of a query, as it stands there; 0, or -1: it is not there. */
int	 http_query(const struct http_req *, const char *, char *, size_t);

/* --- pages.c: what is answered to those who are no clients --- */

/* The answer to a request on a socket of these LISTEN_*: text, length. */
const char *page_answer(const struct http_req *, uint32_t, size_t *);
/* Names and addresses to tell: they come one by one. */
int	 page_bootstrap(const struct msg_bootstrap *);
void	 page_commit(void);
void	 page_abort(void);

/* --- stun.c --- */

void	 stun_init(void);
/* Answer what waits on that socket. */
void	 stun_cb(int, short, void *);

#endif
