/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the parts of shoalctl share.
 */

#ifndef SHOALCTL_H
#define SHOALCTL_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "imsg.h"
#include "messages.h"

#ifndef nitems
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define CTL_SOCKET	"/var/run/shoald.sock"
#define ARGS_MAX	16

/* parser.c: words to a request. */

/* What was asked for; a flag that was not given has its default. */
struct args {
	const char	*a_word[ARGS_MAX];	/* what is no flag */
	size_t		 a_nword;
	const char	*a_assert;
	const char	*a_hostname;		/* NULL: leave as it is */
	const char	*a_shields;		/* "true", "false" or NULL */
	const char	*a_format;		/* NULL: text */
	int64_t		 a_timeout_ms;		/* 0: none */
	int64_t		 a_every_ms;		/* 0: once */
	int64_t		 a_count;
	int64_t		 a_size;
	int		 a_json;
	int		 a_verbose;
	int		 a_first;		/* ip -1 */
	int		 a_v4;
	int		 a_v6;
	int		 a_active;
	int		 a_self;
	int		 a_peers;
	int		 a_header;
	int		 a_tsmp;
	int		 a_icmp;
	int		 a_until_direct;
	int		 a_force_reauth;
	int		 a_new_server_key;
	int		 a_daemon;
};

struct command {
	const char	*k_name;
	int		 (*k_run)(const struct args *);
	const char	*k_usage;		/* after the name */
	const char	*k_what;
	const struct flag *k_flags;
	size_t		 k_nflags;
	size_t		 k_min, k_max;		/* words */
};

/*
 * Read the command line after "-s socket". NULL: wrong usage, said on
 * stderr. Flags are written as with tailscale: -name or --name, value after
 * "=" or as the next word, bare for yes.
 */
const struct command
	*parse_command(int, char **, struct args *);
void	 parse_usage(void);

/* "1500ms", "5s", "1m30s", "2h" to milliseconds: 0 or -1. Tests call it. */
int	 parse_duration(const char *, int64_t *);

/* connection.c: to and from shoald. */

/* All of these end the program with a message if shoald can't be had. */
/* Milliseconds to wait for a socket that is not there yet. */
void	 conn_open(const char *, int);
void	 conn_send(enum msg_type, const void *, size_t);
/* The next message: 1, or 0 after so many milliseconds (-1: for ever). */
int	 conn_next(struct imsg *, int);
/* A fixed payload, or the end of the program: different versions. */
void	 conn_data(struct imsg *, void *, size_t);
/*
 * Ask and wait for CTL_END: 0, or the exit status that CTL_FAIL wants, its
 * text being said on stderr. Other answers go to the function.
 */
int	 conn_ask(enum msg_type, const void *, size_t,
	    void (*)(struct imsg *, void *), void *);

/* collect.c: answers of several rows. */

struct peer {
	struct msg_ctl_node	 p_node;
	struct msg_ctl_peerstat	 p_stat;
};

struct status {
	struct msg_ctl_state	 st_state;
	struct msg_ctl_tailnet	 st_tailnet;
	struct peer		*st_peers;	/* the node itself too */
	struct msg_ctl_user	*st_users;
	struct msg_ctl_health	*st_health;
	size_t			 st_npeers;
	size_t			 st_nusers;
	size_t			 st_nhealth;
};

/* 0 or the exit status. Free with status_free(). */
int	 status_get(struct status *);
int	 whois_get(const char *, struct status *);
void	 status_free(struct status *);
const struct peer
	*status_self(const struct status *);
const struct msg_ctl_user
	*status_user(const struct status *, uint64_t);
const char
	*state_name(uint32_t);

/* Texts, in the given buffer, which is returned. */
#define ADDR_LEN	64
char	*ip_text(const struct msg_ip *, char *, size_t);
char	*prefix_text(const struct msg_prefix *, char *, size_t);
char	*endpoint_text(const struct msg_endpoint *, char *, size_t);
/* "web" of "web.tail.example.org." */
char	*short_name(const struct msg_ctl_node *, char *, size_t);

/* Every string that an answer carries is printable from here on. */
void	 clean_text(char *, size_t);
/* The code of a DERP region, "derp-900" if it has none. */
const char *relay_text(const char *, uint16_t, char *, size_t);

/* netcheck.c */

struct netreport {
	struct msg_ctl_netreport  nr_report;
	struct msg_ctl_netregion *nr_regions;	/* by latency */
	struct msg_ctl_netseen	 *nr_seen;
	size_t			  nr_nregions;
	size_t			  nr_nseen;
};

/* NETCHECK_* flags; 0 or the exit status. Free with netreport_free(). */
int	 netreport_get(struct netreport *, uint32_t);
void	 netreport_free(struct netreport *);
/* "12.3ms", as Go prints a duration rounded to 0.1 ms. */
char	*latency_text(int64_t, char *, size_t);
int	 text_netcheck(const struct netreport *, const struct args *);
int	 cmd_netcheck(const struct args *);

/* output.c and output_json.c: how answers are shown. */

struct output {
	int	 (*o_status)(const struct status *, const struct args *);
	int	 (*o_whois)(const struct status *);
	int	 (*o_version)(const char *, const char *);
	int	 (*o_netcheck)(const struct netreport *, const struct args *);
};

extern const struct output	 output_text;
extern const struct output	 output_json;

/* ping.c, up.c */
int	 cmd_ping(const struct args *);
int	 cmd_up(const struct args *);
int	 cmd_down(const struct args *);
int	 cmd_login(const struct args *);
int	 cmd_logout(const struct args *);
int	 cmd_set(const struct args *);

/* query.c */
extern const char	*socket_path;
int	 cmd_status(const struct args *);
int	 cmd_ip(const struct args *);
int	 cmd_whois(const struct args *);
int	 cmd_version(const struct args *);
int	 cmd_debug(const struct args *);

#endif /* SHOALCTL_H */
