/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What the parts of the parent share, one section for each source file.
 */

#ifndef SHOALD_H
#define SHOALD_H

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
#include "messages.h"
#include "os.h"
#include "proc.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

#define CONF_FILE	"/etc/shoal/shoald.conf"
#define STATE_FILE	"/var/db/shoal/state"
#define CTL_SOCKET	"/var/run/shoald.sock"
#define CTL_GROUP	"shoal"
#define TUN_NAME	"shoal0"
#define TUN_MTU		1280
#define MTU_MIN		1280
#define MTU_MAX		9000
#define UDP_PORT	41641
#define TAGS_MAX	32

/* --- url.c: what `control` names --- */

struct url {
	char		 u_text[MSG_NAME_LEN];	/* scheme://host[:port] */
	char		 u_host[MSG_NAME_LEN];	/* without brackets */
	struct msg_ip	 u_ip;			/* af 0: host is a name */
	uint16_t	 u_port;
	int		 u_tls;
};

/*
 * Take apart "http[s]://host[:port][/]". 0, or -1 and *why (static text).
 */
int	 url_parse(struct url *, const char *, const char **);
/*
 * The same for a proxy, "http://[user[:password]@]host[:port][/]", with %XX
 * in user and password: they are not in u_text, but as "user:password" in
 * the buffer, "" if there are none; a secret.
 */
int	 url_parse_proxy(struct url *, char *, size_t, const char *,
	    const char **);

/* --- config.c: the configuration --- */

/* What the file set: the rest may be changed by shoalctl. */
#define SET_CONTROL	0x00001
#define SET_AUTHKEY	0x00002
#define SET_HOSTNAME	0x00004
#define SET_TAGS	0x00008
#define SET_EPHEMERAL	0x00010
#define SET_ACCEPT_ROUTES 0x00020
#define SET_ACCEPT_DNS	0x00040
#define SET_SHIELDS	0x00080
#define SET_LISTEN	0x00100
#define SET_PORTMAP	0x00200
#define SET_INTERFACE	0x00400
#define SET_STATE	0x00800
#define SET_SOCKET	0x01000
#define SET_CA		0x02000
#define SET_SANDBOX	0x04000
#define SET_OPERATOR	0x08000
#define SET_RELAY	0x10000
#define SET_PROXY	0x20000
#define SET_HARDNAT	0x40000
#define SET_SENDER	0x80000

struct shoal_conf {
	unsigned int	 c_set;
	struct url	 c_control;
	struct url	 c_proxy;		/* u_port 0: none */
	char		 c_proxy_auth[MSG_PROXY_AUTH_LEN]; /* a secret */
	char		 c_authkey[MSG_AUTHKEY_LEN];	/* a secret */
	char		 c_authkey_file[PATH_MAX];
	char		 c_hostname[64];
	char		 c_tag[TAGS_MAX][64];
	size_t		 c_ntags;
	int		 c_ephemeral;
	int		 c_shields;
	uint16_t	 c_port;
	int		 c_portmap;
	int		 c_hardnat;		/* probe through hard NATs */
	int		 c_sender;		/* netd sends by a thread */
	uint16_t	 c_relay_port;
	int		 c_relay;		/* be a peer relay */
	char		 c_ifname[16];
	uint32_t	 c_mtu;
	char		 c_state[PATH_MAX];
	char		 c_socket[PATH_MAX];
	char		 c_group[64];
	char		 c_operator[64];
	char		 c_cafile[PATH_MAX];
	int		 c_landlock;		/* least ABI; 0: not required */
	struct conf_dirs c_dirs;		/* of all files that it names */
};

/* With the defaults. conf_free wipes the auth key. NULL is fine. */
struct shoal_conf *conf_new(void);
void	 conf_free(struct shoal_conf *);

/*
 * Checks of single values: NULL if good, else what is wrong (static).
 */
const char *conf_check_tag(const char *);
const char *conf_check_hostname(const char *);
const char *conf_check_ifname(const char *);

/* Read the auth key out of its file. NULL if good, else what is wrong. */
const char *conf_read_authkey(struct shoal_conf *, const char *);

/*
 * What of the new configuration cannot be had without a restart: a word of
 * the grammar, or NULL.
 */
const char *conf_needs_restart(const struct shoal_conf *,
	    const struct shoal_conf *);

/* --- parse.y --- */

/* The whole configuration, or NULL: then all errors have been reported. */
struct shoal_conf *conf_parse(const char *);

/* --- printconf.c --- */

void	 conf_print(const struct shoal_conf *, FILE *);

/* --- prefs.c: what shoalctl may change, kept in the state --- */

/* One line of the state. 0, or -1 if there is no such name or value. */
int	 prefs_load(const char *, const char *);

/*
 * Change one for the operator: checks it against the configuration, tells
 * cryptod. NULL if good, else why not (static text).
 */
const char *prefs_set(const struct shoal_conf *, const char *, const char *);

int	 prefs_want_running(void);
int	 prefs_shields(const struct shoal_conf *);
const char *prefs_hostname(const struct shoal_conf *);

/* --- state.c: state directory, lock, state file, netmap cache --- */

/*
 * Make the directory if it is missing, take the lock. Fatal on error, with
 * what is wrong and what to do.
 */
void	 state_init(const struct shoal_conf *);
/* To a cryptod or ctrld that was started: what there is to read. */
void	 state_send(struct proc_child *);
void	 state_send_cache(struct proc_child *);
/* Messages STATE_* of cryptod, CACHE_* of ctrld. 0, or -1 if bad. */
int	 state_msg(struct proc_child *, struct imsg *);
/* That child is gone: what it was writing is worth nothing. */
void	 state_child_lost(enum proc);
int	 state_loaded(void);
/* All ends: what of the netmap is not on disk yet shall be; state_busy(). */
void	 state_flush(void);
/* Is something on its way to the disk? */
int	 state_busy(void);
/* cryptod was told of a change. */
void	 state_changed(void);
/* CTL_END for this request when all changes are on disk, or CTL_FAIL. */
void	 state_end(uint32_t, uint32_t);
/* Drop what is half written. */
void	 state_close(void);

/* --- tunnel.c: tunnel device and sockets --- */

/* Open device and UDP sockets. 0, or -1 and the line that says why. */
int	 tunnel_open(const struct shoal_conf *, char *, size_t);
/* Take it all down. No-op if it was not opened. */
void	 tunnel_close(void);
const struct os_tun *tunnel_dev(void);
/* Hand over the descriptors. */
void	 tunnel_send_netd(struct proc_child *);
void	 tunnel_send_dnsd(struct proc_child *);
/* netd wants a new socket of this family. 0, or -1 if bad. */
int	 tunnel_rebind(struct proc_child *, uint32_t);
/* The port of netd's IPv4 socket, 0: none. */
uint16_t tunnel_port4(void);
/*
 * Another port, unless the server wants any. 0, or -1 and why. netd gets the
 * sockets.
 */
int	 tunnel_set_port(uint16_t, char *, size_t);
/*
 * netd asks for so many sockets with which it probes through a hard NAT: it
 * gets them, or none if that is not configured or it asks too often. -1: no
 * such number may be asked for.
 */
int	 tunnel_probe_socks(struct proc_child *, uint32_t);
/*
 * netd has found that an IPv6 path carries 1280 bytes only (1), or more (0):
 * the system is told, or not if it asks too often. -1: malformed.
 */
int	 tunnel_narrow(const struct msg_endpoint *, uint32_t);
/* Sockets of the peer relay, or none. -1: why not, in the text. */
int	 tunnel_set_relay(int, uint16_t, char *, size_t);
/* The families of which the device has an address now: open, close DNS. */
void	 tunnel_dns(int, int);
/* Tunnel-wide rules vanished? Put them back. */
void	 tunnel_check_rules(void);

/* --- ifconf.c: what ctrld asks for, as from a taken-over child --- */

#define IFCONF_ADDRS	16
#define IFCONF_ROUTES	65536

struct ifconf {
	struct msg_prefix	 ic_addr[IFCONF_ADDRS];
	size_t			 ic_naddrs;
	struct msg_prefix	*ic_route;
	size_t			 ic_nroutes;
	size_t			 ic_size;
};

/* Is this inside 100.64.0.0/10 or fd7a:115c:a1e0::/48? */
int	 ip_is_tailnet(const struct msg_ip *);
/* Is it one of the two service addresses? */
int	 ip_is_service(const struct msg_ip *);

/* 0, or -1 with EINVAL (malformed) or EPERM (policy). */
int	 ifconf_check_addr(const struct msg_prefix *);
int	 ifconf_check_route(const struct msg_prefix *);
/* Check and add. Also -1 with E2BIG, ENOMEM. */
int	 ifconf_add_addr(struct ifconf *, const struct msg_prefix *);
int	 ifconf_add_route(struct ifconf *, const struct msg_prefix *);
/* Sort, drop what stands twice. */
void	 ifconf_sort(struct ifconf *);
void	 ifconf_clear(struct ifconf *);
/* Order for sorting and looking up. */
int	 prefix_cmp(const void *, const void *);

/* --- kroute.c: addresses and routes of the tunnel --- */

/* IFCONF_* of ctrld. 0, or -1 if bad. */
int	 kroute_msg(struct imsg *);
void	 kroute_child_lost(void);

/* --- linkmon.c: the host's addresses --- */

void	 linkmon_init(void);
void	 linkmon_close(void);
void	 linkmon_send(struct proc_child *);

/* Our address towards that gateway on that interface. 0, or -1: none. */
int	 linkmon_own(uint32_t, const struct msg_ip *, struct msg_ip *);

/* --- attrs.c: node attributes, of which ctrld tells --- */

/* SELF_RANDOM_PORT, SELF_NO_UPNP, SELF_ONLY_443. */
uint32_t attrs_get(void);
int	 attrs_msg(struct imsg *);

/* --- gateway.c: the network's gateway, and portmapd --- */

/* Routes, addresses, our port or the configuration changed: look again. */
void	 gateway_update(void);
/* To a portmapd, to a netd that was started. */
void	 gateway_send(struct proc_child *);
void	 gateway_send_netd(struct proc_child *);
/* Its address; af 0: none that is asked for anything. */
const struct msg_ip *gateway_ip(void);
/* PORTMAP of portmapd. 0, or -1 if bad. PORTMAP_PROBE of netd. */
int	 gateway_portmap(struct imsg *);
void	 gateway_probe(void);
/* The end: have the mapping given back. Is that under way? It is done. */
void	 gateway_release(void);
int	 gateway_busy(void);
void	 gateway_released(void);

/* --- broker_policy.c: may that be connected to? --- */

/* 0: yes; else enum msg_error. */
int	 broker_check_control(const struct url *, const struct msg_endpoint *);
int	 broker_check_proxy(const struct url *, const struct msg_endpoint *);
/* By portmapd: the gateway, and nobody else. */
int	 broker_check_gateway(const struct msg_ip *,
	    const struct msg_endpoint *);
int	 broker_check_upstream(const struct msg_ip *, size_t,
	    const struct msg_endpoint *);

/*
 * A relay: (ports of the DERP map, how many, where to). A probe may go to
 * port 80 too.
 */
int	 broker_check_derp(const uint16_t *, size_t, uint32_t,
	    const struct msg_endpoint *);

/* nameserver lines of a resolv.conf(5); how many. */
size_t	 resolver_parse(FILE *, struct msg_ip *, size_t);

/* At most `burst` at once, then one every `ns`. 1: go ahead. */
struct bucket {
	int64_t		 b_full;	/* when it will be full again */
};
int	 bucket_take(struct bucket *, int64_t, unsigned int, int64_t);

/* --- broker.c: outbound connections --- */

/* CONNECT, UPSTREAM, DERP_PORTS. 0, or -1 if bad. */
int	 broker_connect(struct proc_child *, struct imsg *);
int	 broker_derp_ports(struct imsg *);
int	 broker_upstream(struct proc_child *, struct imsg *);
/* Drop what that child waits for. */
void	 broker_child_lost(enum proc);

/* --- resolver.c: the system's resolver and hosts files --- */

#define RESOLVERS_MAX	8

/* Read anew what changed, tell dnsd. */
void	 resolver_check(void);
/* To a dnsd that was started. */
void	 resolver_send(struct proc_child *);
size_t	 resolver_list(const struct msg_ip **);

/* --- reconf.c: configuration to the children, as a transaction --- */

/* To a child that was started: its part. It answers RECONF_READY. */
void	 reconf_send(struct proc_child *, const struct shoal_conf *);
/*
 * To all of them; the new one (which may be the same) is taken over when all
 * can use it. The callback hears how it ended: NULL, or why not.
 */
void	 reconf_start(struct shoal_conf *, void (*)(const char *));
/* Why it cannot begin now (static text), or NULL. */
const char *reconf_busy(void);
/* SIGHUP. */
void	 reconf_reload(void);
/* FORCE_*: ways of the packet path to leave out, REGRESS builds only. */
uint32_t reconf_force_path(void);
/* A child answered; it is gone. */
void	 reconf_ready(struct proc_child *, uint32_t);
void	 reconf_child_lost(void);

/* --- children.c: start, feed and hear the children --- */

void	 children_init(void);
void	 children_start(void);
/* All up, configured, with their descriptors? */
int	 child_running(enum proc);
struct proc_child *child_get(enum proc);
/* Queue a message to a child; lost if it is not up. */
void	 child_send(enum proc, enum msg_type, const void *, size_t);
void	 child_send_fd(enum proc, enum msg_type, int, const void *, size_t);
/* Paths of the executables, for the parent's own confinement. */
int	 child_path(size_t, char *, size_t);

/* --- control.c: the operator's socket --- */

/* Make it. Fatal on error. */
void	 control_init(const struct shoal_conf *);
void	 control_close(void);
/* State changed: tell those who watch. */
void	 control_state(const struct msg_ctrl_state *);
void	 control_notify(void);

struct client;
/* For requests: a message to a client, by its number; gone: nothing. */
void	 client_send(uint32_t, enum msg_type, uint32_t, const void *, size_t);
void	 client_fail(uint32_t, uint32_t, uint32_t, const char *, ...)
	    __attribute__((__format__ (printf, 4, 5)));

/* --- ctlreq.c: questions that the children answer --- */

/*
 * Ask those children for that client: number, id of its request, type, data.
 * Waits at most so many ms. 0, or -1 if too many questions are open.
 */
int	 ctlreq_ask(uint32_t, uint32_t, const enum proc *, size_t,
	    enum msg_type, const void *, size_t, unsigned int);
/* An answer. 0, or -1 if bad. */
int	 ctlreq_answer(struct proc_child *, struct imsg *);
void	 ctlreq_child_lost(enum proc);
void	 ctlreq_client_gone(uint32_t);

/* --- shoald.c --- */

struct shoal_conf *shoald_conf(void);
void	 shoald_set_conf(struct shoal_conf *);
const char *shoald_conf_file(void);
/* Has the suite started? */
int	 shoald_up(void);
/* Clean up and exit 1; the line comes last. */
__attribute__((noreturn)) void
	 shoald_stop(const char *, ...)
	    __attribute__((__format__ (printf, 1, 2)));
/* Keys are there: open the tunnel. All run: say so, become a daemon. */
void	 shoald_keys(void);
void	 shoald_started(void);

#endif /* SHOALD_H */
