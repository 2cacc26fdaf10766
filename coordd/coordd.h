/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the parts of coordd's parent share, one section for each source file.
 */

#ifndef COORDD_H
#define COORDD_H

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

#define CONF_FILE	"/etc/shoal/coordd.conf"
#define STATE_FILE	"/var/db/coordd/state"
#define STORE_FILE	"/var/db/coordd/store/coordd.db"
#define CTL_SOCKET	"/var/run/coordd.sock"
#define CTL_GROUP	"shoal"
#define HOOK_USER	"nobody"
#define STORE_USER	"_coordstore"
#define KEY_EXPIRY_DAYS	180
#define EPHEMERAL_S	120
#define KEEPALIVE_S	50
#define MAX_CONNS	32768
#define BACKLOG		1024	/* of each listening socket */

#define CERT_MAX	8
#define DNS_MAX		256
#define FILE_MAX_LEN	(4 * 1024 * 1024)

/* --- config.c: the configuration --- */

#define SET_URL		0x0001
#define SET_STATE	0x0002
#define SET_STORE	0x0004
#define SET_DOMAIN	0x0008
#define SET_ADDRESSES	0x0010
#define SET_POLICY	0x0020
#define SET_APPROVE	0x0040
#define SET_EXPIRY	0x0080
#define SET_DERPMAP	0x0100
#define SET_SOCKET	0x0200
#define SET_NAMESERVERS	0x0400
#define SET_HOOK	0x0800
#define SET_CONNS	0x1000
#define SET_CLIENTS	0x2000

/* A node of the DERP map; those of one region follow each other. */
struct conf_derp {
	TAILQ_ENTRY(conf_derp)	 r_entry;
	uint16_t		 r_id;		/* of its region */
	uint8_t			 r_more;	/* region has one before it */
	uint8_t			 r_nostun;
	uint16_t		 r_port;	/* 0: not said */
	uint16_t		 r_stun;	/* 0: not said */
	char			 r_name[64];
	char			 r_node[64];	/* "": not said */
	char			 r_host[MSG_NAME_LEN];
	char			 r_pin[128];
	char			 r_ip4[64];	/* "": by the name */
	char			 r_ip6[64];
};
TAILQ_HEAD(conf_derps, conf_derp);

/* A certificate for TLS; the key's file is opened for cryptod alone. */
struct conf_cert {
	char			 k_cert[PATH_MAX];
	char			 k_key[PATH_MAX];
	char			*k_text;	/* of the certificate */
	size_t			 k_len;
};

struct coord_conf {
	unsigned int		 c_set;
	char			 c_url[MSG_NAME_LEN];
	struct lsocks		 c_listen;
	struct conf_cert	 c_certs[CERT_MAX];
	size_t			 c_ncerts;
	char			 c_state[PATH_MAX];
	char			 c_store[PATH_MAX];
	char			 c_socket[PATH_MAX];
	char			 c_group[64];
	char			 c_domain[MSG_NAME_LEN];
	struct msg_conf_dns	 c_dns[DNS_MAX];
	size_t			 c_ndns;
	struct msg_prefix	 c_addr4;
	struct msg_prefix	 c_addr6;
	uint8_t			 c_policy;	/* POLICY_* */
	char			 c_policy_file[PATH_MAX];
	char			*c_policy_text;	/* as it was read */
	size_t			 c_policy_len;
	int			 c_approve_manually;
	int64_t			 c_key_expiry;	/* ns, 0: never */
	uint32_t		 c_max_conns;
	char			 c_derpmap[PATH_MAX];
	char			*c_derpmap_text;
	size_t			 c_derpmap_len;
	char			 c_clients[PATH_MAX];	/* key of relays; "" */
	char			 c_hook[PATH_MAX];	/* "": none */
	char			 c_hook_user[64];
	struct conf_derps	 c_derps;
	struct conf_dirs	 c_dirs;	/* of all files that it names */
};

/* With the defaults. NULL is fine for conf_free. */
struct coord_conf *conf_new(void);
void	 conf_free(struct coord_conf *);

/* Checks of values: NULL if good, else what is wrong (static). */
const char *conf_check_url(const char *);
const char *conf_check_domain(const char *);
/* "100.64.0.0/10" inside the range of tailnets; sets c_addr4 or c_addr6. */
const char *conf_set_addresses(struct coord_conf *, const char *);
/* Files of a certificate and its key; sets its number. */
const char *conf_add_cert(struct coord_conf *, const char *, const char *,
	    uint32_t *);
/* CONF_DNS_*, name or "", address. */
const char *conf_add_dns(struct coord_conf *, uint32_t, const char *,
	    const char *);
/* The script that makes DNS records, and its user. */
const char *conf_set_hook(struct coord_conf *, const char *, const char *);
/* NULL if the whole can be used. */
const char *conf_check(const struct coord_conf *);
/* What cannot be had without a restart: a word of the grammar, or NULL. */
const char *conf_needs_restart(const struct coord_conf *,
	    const struct coord_conf *);

/* --- parse.y --- */

/* The whole configuration, or NULL: then all errors have been reported. */
struct coord_conf *conf_parse(const char *);

/* --- printconf.c --- */

void	 conf_print(const struct coord_conf *, FILE *);

/* --- derpmap.c: the DERP map as stored wants it --- */

/* The JSON of the regions; the caller frees. NULL: there are none. */
char	*derpmap_text(const struct coord_conf *, size_t *);

/* --- state.c: the server's keys, directories, the lock --- */

/*
 * Make the directories of state and store if they are missing, take the
 * lock. Fatal on error, with what is wrong and what to do.
 */
void	 state_init(const struct coord_conf *);
/* To a cryptod that was started: what there is to read. */
void	 state_send(struct proc_child *);
/* STATE_* of cryptod. 0, or -1 if bad. */
int	 state_msg(struct proc_child *, struct imsg *);
/* cryptod is gone: what it was writing is worth nothing. */
void	 state_child_lost(void);
/* A file without a name that holds this, to be read; -1 with errno. */
int	 state_anon(const void *, size_t);
/* The directory of the store. */
const char *state_store_dir(void);

/* --- reconf.c: configuration to the children, as a transaction --- */

/* Before the children start. */
void	 reconf_init(void);
/* To a child that was started: its part. It answers RECONF_READY. */
void	 reconf_send(struct proc_child *, const struct coord_conf *);
/* SIGHUP. */
void	 reconf_reload(void);

/* --- hook.c: the script that makes DNS records --- */

/* Before the parent confines itself; fatal on error. Then, in the loop. */
void	 hook_init(const struct coord_conf *);
void	 hook_start(void);
void	 hook_close(void);
/* DNS_UPDATE of stored. 0, or -1 if bad. */
int	 hook_update(struct imsg *);

/* --- children.c --- */

void	 children_init(void);
void	 children_start(void);
struct proc_child *child_get(enum proc);
/* How many are there, and their executables, for the confinement. */
int	 child_path(size_t, char *, size_t);
/* The executable of one. 0, or -1 with errno; the path is set all the same. */
int	 child_find(enum proc, char *, size_t);
/* How many times a child was replaced. */
unsigned int	 children_replaced(void);
/* A child could not use what it was sent at its start. */
int	 child_configured(struct proc_child *);

/* --- check.c: what the named files hold --- */

/* Of -n: 0, or -1; what is wrong has been said on stderr. */
int	 check_files(const struct coord_conf *);

/* --- control.c: the administrators' socket --- */

/* Make it; fatal on error. Then, with the event loop there: listen. */
void	 control_init(const struct coord_conf *);
void	 control_start(void);
void	 control_close(void);
/* ADM_ROW, ADM_END, CTL_FAIL of stored. 0, or -1 if bad. */
int	 control_answer(struct imsg *);
/* stored is gone: whoever waits for it hears so. */
void	 control_stored_lost(void);

/* --- coordd.c --- */

struct coord_conf *coordd_conf(void);
void	 coordd_set_conf(struct coord_conf *);
const char *coordd_conf_file(void);
int64_t	 coordd_started(void);
/* Has the suite started? */
int	 coordd_up(void);
void	 coordd_set_up(void);
/* Clean up and exit 1; the line comes last. */
__attribute__((noreturn)) void
	 coordd_stop(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));

#endif /* COORDD_H */
