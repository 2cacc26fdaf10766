/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the parts of derpd's parent share, one section for each source file.
 */

#ifndef DERPD_H
#define DERPD_H

#include <sys/types.h>
#include <sys/queue.h>

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "channel.h"
#include "conffile.h"
#include "endpoint.h"
#include "lex.h"
#include "lsock.h"
#include "messages.h"
#include "os.h"
#include "proc.h"
#include "transact.h"

#ifndef nitems
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define CONF_FILE	"/etc/shoal/derpd.conf"
#define STATE_FILE	"/var/db/derpd/key"
#define SHOALD_SOCKET	"/var/run/shoald.sock"
#define MAX_CONNS	60000
#define BURST_MIN	65568	/* a frame of the largest packet */
#define SERVERS_MAX	16	/* that the relay may be connected to */
#define BOOTSTRAP_MAX	64
#define COORDD_PATH	"/derp/clients"	/* behind its URL */
#define RESOLVER_USER	"_derpdns"

/* --- config.c: the configuration --- */

#define SET_HOSTNAME	0x0001
#define SET_STATE	0x0002
#define SET_RATE	0x0004
#define SET_TLS		0x0008
#define SET_VERIFY	0x0010
#define SET_MESHKEY	0x0020
#define SET_CAFILE	0x0040
#define SET_TOTAL	0x0080

struct derp_conf {
	unsigned int		 c_set;
	char			 c_hostname[MSG_NAME_LEN];
	struct lsocks		 c_listen;
	uint32_t		 c_tls;		/* RELAY_TLS_* */
	char			 c_cert[PATH_MAX];
	char			 c_key[PATH_MAX];
	char			*c_cert_text;	/* as it was read */
	size_t			 c_cert_len;
	uint64_t		 c_rate;	/* bytes/s, 0: no limit */
	uint64_t		 c_burst;
	uint64_t		 c_all_rate;	/* of all together */
	uint64_t		 c_all_burst;
	uint32_t		 c_verify;	/* RELAY_VERIFY_* */
	char			 c_allow[PATH_MAX];	/* file of node keys */
	char			 c_shoald[PATH_MAX];	/* its socket */
	char			 c_clients[PATH_MAX];	/* key for coordd */
	char			 c_meshkey[PATH_MAX];
	char			 c_cafile[PATH_MAX];	/* "": the system's */
	struct msg_conf_server	 c_server[SERVERS_MAX];
	size_t			 c_nserver;
	struct msg_bootstrap	 c_boot[BOOTSTRAP_MAX];
	size_t			 c_nboot;
	uint32_t		 c_serial;
	char			 c_state[PATH_MAX];
	struct conf_dirs	 c_dirs;	/* of all files that it names */
};

/* With the defaults. NULL is fine for conf_free. */
struct derp_conf *conf_new(void);
void	 conf_free(struct derp_conf *);

/* Checks of values: NULL if good, else what is wrong (static). */
const char *conf_check_hostname(const char *);
/* Certificate and key, both read or opened once to see that they are there. */
const char *conf_set_cert(struct derp_conf *, const char *, const char *);
/* The admission server. */
const char *conf_set_verify(struct derp_conf *, const char *);
/* coordd, which tells who they are: its URL, the file of the key. */
const char *conf_set_coordd(struct derp_conf *, const char *, const char *);
/* A file that is there: its path is kept in a buffer of PATH_MAX bytes. */
const char *conf_set_file(struct derp_conf *, char *, const char *);
/* A relay of the same mesh: host, port, pin ("": none). */
const char *conf_add_mesh(struct derp_conf *, const char *, int64_t,
	    const char *);
/* A name and its address, for those who have no resolver. */
const char *conf_add_bootstrap(struct derp_conf *, const char *,
	    const char *);
/* "8m": bytes. */
const char *conf_bytes(const char *, uint64_t *);
/* NULL if the whole can be used. */
const char *conf_check(const struct derp_conf *);
/* What cannot be had without a restart: a word of the grammar, or NULL. */
const char *conf_needs_restart(const struct derp_conf *,
	    const struct derp_conf *);

/* --- parse.y --- */

/* The whole configuration, or NULL: then all errors have been reported. */
struct derp_conf *conf_parse(const char *);

/* --- printconf.c --- */

void	 conf_print(const struct derp_conf *, FILE *);

/* --- state.c: the relay's keys, their directory, the lock --- */

/*
 * Make the directory of the state if it is missing, take the lock. Fatal on
 * error, with what is wrong and what to do.
 */
void	 state_init(const struct derp_conf *);
/* To a cryptod that was started: what there is to read. */
void	 state_send(struct proc_child *);
/* STATE_* of cryptod. 0, or -1 if bad. */
int	 state_msg(struct proc_child *, struct imsg *);
/* cryptod is gone: what it was writing is worth nothing. */
void	 state_child_lost(void);
/* A file without a name that holds this, to be read; -1 with errno. */
int	 state_anon(const void *, size_t);

/* --- listen.c: options of listening sockets --- */

void	 listen_init(void);

/* --- reconf.c: configuration to the children, as a transaction --- */

/* Before the children start. */
void	 reconf_init(void);
/* To a child that was started: its part. It answers RECONF_READY. */
void	 reconf_send(struct proc_child *, const struct derp_conf *);
/* SIGHUP. */
void	 reconf_reload(void);

/* --- dial.c: connections for the relay --- */

/* DIAL of the relay. 0, or -1 if bad. */
int	 dial_msg(struct proc_child *, struct imsg *);
/* The relay is gone: what was under way is for nobody. */
void	 dial_child_lost(void);

/* --- resolve.c: addresses of a name, by a process without privileges --- */

#define RESOLVE_MAX	8

/*
 * Look the name up; the callback gets the addresses (none: it failed) and
 * its argument. 0, or -1 with errno: there will be no callback.
 */
struct resolve;
struct resolve *resolve_start(const char *,
	    void (*)(const struct msg_ip *, size_t, void *), void *);
void	 resolve_cancel(struct resolve *);

/* --- allow.c: the file of node keys that are let in --- */

/* Hand it to the relay as it is now; later too, whenever it changes. */
void	 allow_send(struct proc_child *, const struct derp_conf *);
/* Look at it now and then, where one is configured. */
void	 allow_init(void);
void	 allow_watch(void);

/* --- local.c: who shoald on this machine knows --- */

/* ADMIT of the relay. 0, or -1 if bad. */
int	 local_msg(struct imsg *);
/* The relay is gone, or the configuration is another: nobody waits. */
void	 local_drop(void);

/* --- children.c --- */

void	 children_init(void);
void	 children_start(void);
struct proc_child *child_get(enum proc);
/* How many are there, and their executables, for the confinement. */
int	 child_path(size_t, char *, size_t);
/* A child has taken what it was sent at its start. */
int	 child_configured(struct proc_child *);

/* --- derpd.c --- */

struct derp_conf *derpd_conf(void);
void	 derpd_set_conf(struct derp_conf *);
const char *derpd_conf_file(void);
/* Has the suite started? */
int	 derpd_up(void);
void	 derpd_set_up(void);
/* Clean up and exit 1; the line comes last. */
__attribute__((noreturn)) void
	 derpd_stop(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));

#endif /* DERPD_H */
