/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * The store and the brain of the coordination server.
 *
 * All but stored.c and rpc.c is free of imsg, clocks and the event loop: the
 * caller sets the time with brain_clock() before each call and takes what
 * goes out by a struct sink. Out of memory is fatal throughout.
 */

#ifndef STORED_H
#define STORED_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "log.h"
#include "messages.h"
#include "policy.h"
#include "rate.h"

#define STORED_USER		"_coordstore"

#define SEC			1000000000LL	/* ns */
#define MSEC			1000000LL

#define NODE_LABEL_MAX		64		/* NUL included */
#define NODE_MAX_ROUTES		64		/* of one node */
#define NODE_MAX_TAGS		32
#define NODE_MAX_ENDPOINTS	64
#define PENDING_MAX		1024		/* logins that wait */
#define PENDING_PER_MACHINE	4
#define PENDING_LIFE		(15 * 60 * SEC)
#define ONLINE_GRACE		(10 * SEC)	/* control.md 4.15 */
#define RESTART_GRACE		(30 * SEC)	/* the clients' back-off */
#define EPHEMERAL_DEFAULT	120		/* s; control.md 3.5 */
#define TAGGED_USER		2147455555ULL	/* control.md 4.5 */

/* --- buf.c: a growing text ------------------------------------------------ */

struct buf {
	char		*b_text;	/* NUL-terminated if not NULL */
	size_t		 b_len;
	size_t		 b_cap;
};

void	 buf_add(struct buf *, const void *, size_t);
void	 buf_str(struct buf *, const char *);
void	 buf_fmt(struct buf *, const char *, ...)
	    __attribute__((__format__ (printf, 2, 3)));
/* A JSON string with its quotes; NULL is "". */
void	 buf_json(struct buf *, const char *);
/* `"name":` with a comma in front unless the object begins here. */
void	 buf_name(struct buf *, const char *);
void	 buf_time(struct buf *, int64_t);	/* quoted; ns since 1970 */
/* Members: a date, 0 is null; a list of strings. */
void	 buf_date(struct buf *, const char *, int64_t);
void	 buf_strs(struct buf *, const char *, char *const *, size_t);
void	 buf_free(struct buf *);
char	*xstrdup(const char *);			/* NULL stays NULL */
void	*xcalloc(size_t, size_t);
void	*xmemdup(const void *, size_t);		/* NULL for 0 bytes */

/* --- addr.c: addresses ---------------------------------------------------- */

#define ADDR_TEXT		64

void	 addr_print4(const uint8_t [4], char *, size_t);
void	 addr_print6(const uint8_t [16], char *, size_t);
void	 route_print(const struct policy_prefix *, char *, size_t);
/* A member that is the list of them. */
void	 route_list(struct buf *, const char *, const struct policy_prefix *,
	    size_t);
int	 route_cmp(const void *, const void *);	/* for qsort */
int	 route_is_exit(const struct policy_prefix *);
void	 endpoint_print(const struct msg_endpoint *, char *, size_t);
/* "1.2.3.4:5", "[::1]:5": 0 or -1. */
int	 endpoint_parse(const char *, struct msg_endpoint *);

/* --- noderec.c: what is stored of a node ---------------------------------- */

struct noderec {
	uint64_t		 r_id;		/* 0: not stored yet */
	uint64_t		 r_user;	/* 0: tagged, or of nobody */
	uint64_t		 r_authkey;	/* it joined with, or 0 */
	int64_t			 r_created;	/* dates: ns since 1970 */
	int64_t			 r_expiry;	/* 0: never */
	int64_t			 r_last_seen;	/* 0: not known */
	uint8_t			 r_machine[MSG_KEY_LEN];
	uint8_t			 r_key[MSG_KEY_LEN];
	uint8_t			 r_nl[MSG_KEY_LEN];
	uint8_t			 r_disco[MSG_KEY_LEN];
	uint8_t			 r_addr4[4];
	uint8_t			 r_addr6[16];
	uint8_t			 r_masq4[4];
	uint8_t			 r_masq6[16];
	uint8_t			 r_has4;
	uint8_t			 r_has6;
	uint8_t			 r_hasmasq4;
	uint8_t			 r_hasmasq6;
	uint8_t			 r_ephemeral;
	uint8_t			 r_approved;
	uint8_t			 r_wgonly;
	uint8_t			 r_given;	/* an admin named it */
	uint8_t			 r_online;	/* as peers were told */
	uint16_t		 r_cap;
	uint16_t		 r_derp;
	char			 r_label[NODE_LABEL_MAX];
	char			*r_hostname;	/* as the node says, or NULL */
	char			*r_hostinfo;	/* JSON without NetInfo */
	char			*r_netinfo;	/* JSON, or NULL */
	char			**r_tags;	/* sorted, "tag:x" */
	size_t			 r_ntags;
	struct policy_prefix	*r_approved_routes;	/* sorted */
	size_t			 r_napproved;
	struct msg_endpoint	*r_endpoints;
	size_t			 r_nendpoints;
};

void	 noderec_copy(struct noderec *, const struct noderec *);
void	 noderec_free(struct noderec *);
/* A member that is the list of its addresses, as prefixes. */
void	 noderec_addrs(struct buf *, const char *, const struct noderec *);
/* Tags: sorted, without doubles; copies. */
void	 noderec_set_tags(struct noderec *, char *const *, size_t);
void	 noderec_set_routes(struct noderec *, const struct policy_prefix *,
	    size_t);
/*
 * Take over Hostinfo, JSON text: hostname, NetInfo (kept if this one has
 * none), home DERP region. 0, or -1: not a JSON object.
 */
int	 noderec_set_hostinfo(struct noderec *, const char *, size_t);

/* --- store.c, store_*.c: SQLite ------------------------------------------- */

struct store;
struct user;
struct authkey;
struct node;

#define STORE_VERSION	3

/*
 * Open and migrate. path ":memory:" is for tests. NULL with a line for the
 * operator in err. store_migrate brings it to a version (tests; else the
 * newest): 0 or -1.
 */
struct store
	*store_open(const char *, int, char *, size_t);
void	 store_close(struct store *);
const char
	*store_error(const struct store *);
int	 store_exec(struct store *, const char *);
int64_t	 store_version(struct store *);

/* durable: on disk when commit returns. All 0, or -1 (logged). */
int	 store_begin(struct store *, int);
int	 store_commit(struct store *);
void	 store_rollback(struct store *);

/*
 * A statement by its number, reset and without values; prepared on first
 * use. store_step: 1 a row, 0 done, -1 error (logged; errno EEXIST where a
 * value that must be unique is taken).
 */
enum store_sql {
	SQL_META_GET,
	SQL_META_SET,
	SQL_ATTR_SET,
	SQL_ATTR_DELETE,
	SQL_ATTR_COUNT,
	SQL_ATTR_ALL,
	SQL_AUDIT,
	SQL_NODE_INSERT,
	SQL_NODE_UPDATE,
	SQL_NODE_TOUCH,
	SQL_NODE_DELETE,
	SQL_NODE_ALL,
	SQL_TAG_CLEAR,
	SQL_TAG_ADD,
	SQL_TAG_ALL,
	SQL_ROUTE_CLEAR,
	SQL_ROUTE_ADD,
	SQL_ROUTE_ALL,
	SQL_USER_INSERT,
	SQL_USER_UPDATE,
	SQL_USER_DELETE,
	SQL_USER_ALL,
	SQL_KEY_INSERT,
	SQL_KEY_REVOKE,
	SQL_KEY_USE,
	SQL_KEY_ALL,
	SQL_KEYTAG_ADD,
	SQL_KEYTAG_ALL,
	SQL_MAX
};

struct sqlite3_stmt
	*store_stmt(struct store *, enum store_sql);
int	 store_step(struct store *, struct sqlite3_stmt *);
int64_t	 store_rowid(struct store *);
int	 store_changes(struct store *);

int	 store_meta_get(struct store *, const char *, char **, size_t *);
int	 store_meta_set(struct store *, const char *, const char *, size_t);
/* date, actor, action, target, detail */
int	 store_audit(struct store *, int64_t, const char *, const char *,
	    const char *, const char *);

/* Insert (r_id 0: it is set) or update all; -1 with EEXIST: a key, label
 * or address is taken. */
int	 store_node_put(struct store *, struct noderec *);
/* What changes often: endpoints, disco, Hostinfo, seen, online. */
int	 store_node_touch(struct store *, const struct noderec *);
int	 store_node_delete(struct store *, uint64_t);
int	 store_node_each(struct store *,
	    int (*)(void *, struct noderec *), void *);

int	 store_user_put(struct store *, struct user *);
int	 store_user_delete(struct store *, uint64_t);
int	 store_user_each(struct store *, int (*)(void *, struct user *),
	    void *);

int	 store_authkey_put(struct store *, struct authkey *);
int	 store_authkey_revoke(struct store *, uint64_t, int64_t);
/* Count one use if it may be used now; 1 done, 0 may not, -1 error. */
int	 store_authkey_use(struct store *, uint64_t, int64_t);
int	 store_authkey_each(struct store *,
	    int (*)(void *, struct authkey *), void *);

/* --- brain.c -------------------------------------------------------------- */

/* Where answers go. */
struct sink {
	/*
	 * Bytes of the answer of a stream: HTTP status, RPC_T_*, data,
	 * RPC_F_* flags. The data is copied.
	 */
	void	(*s_answer)(void *, const struct msg_rpc *, unsigned int,
		    unsigned int, const void *, size_t, uint32_t);
	/* May more map messages come, or do too many wait already? */
	int	(*s_ready)(void *);
	/*
	 * Make an ID token of these claims; make this TXT record. call_done
	 * is called with the same number later. 0, or -1: not now.
	 */
	int	(*s_sign)(void *, uint32_t, const char *);
	int	(*s_dns)(void *, uint32_t, const char *, const char *);
	/*
	 * An answer that was promised to an administrator's request: a row,
	 * or no row and why it failed, or neither: that was all.
	 */
	void	(*s_adm)(void *, uint32_t, const char *, const char *);
	/*
	 * Lines for a relay that follows the list of clients: frontd's number
	 * of its connection, bytes. None: that is the end of it.
	 */
	void	(*s_lines)(void *, uint64_t, const char *, size_t);
};

struct split_dns {
	char			 sd_name[MSG_NAME_LEN];
	char			 sd_value[64];
	uint32_t		 sd_kind;	/* CONF_DNS_* */
};

struct sconf {
	char			 c_url[MSG_NAME_LEN];
	char			 c_domain[MSG_NAME_LEN];
	char			 c_db[64];
	struct msg_prefix	 c_addr4;	/* af 0: none */
	struct msg_prefix	 c_addr6;
	int64_t			 c_key_expiry;	/* ns; 0: never */
	int64_t			 c_ephemeral;	/* ns */
	uint8_t			 c_policy;	/* POLICY_* */
	uint8_t			 c_approve;	/* manually */
	uint8_t			 c_dns_update;	/* TXT records can be made */
	uint8_t			 c_has_follow;	/* relays may follow */
	uint8_t			 c_follow[MSG_KEY_LEN];	/* by this key */
	struct split_dns	*c_dns;
	size_t			 c_ndns;
	char			*c_derpmap;	/* JSON object */
	char			*c_derpmap_old;	/* for old clients, or NULL */
};

void	 sconf_free(struct sconf *);

RB_HEAD(nodes_id, node);
RB_HEAD(nodes_key, node);
RB_HEAD(nodes_machine, node);
RB_HEAD(nodes_label, node);
RB_HEAD(nodes_addr4, node);
RB_HEAD(nodes_addr6, node);
RB_HEAD(nodes_expiry, node);
RB_HEAD(users_id, user);
RB_HEAD(users_name, user);
RB_HEAD(authkeys, authkey);
RB_HEAD(viewers, viewer);
TAILQ_HEAD(nodeq, node);
TAILQ_HEAD(viewerq, viewer);
TAILQ_HEAD(pendings, pending);
TAILQ_HEAD(calls, call);
TAILQ_HEAD(pings, ping);
TAILQ_HEAD(followers, follower);
RB_HEAD(followed, followed_key);

struct brain {
	const struct sink	*b_sink;
	void			*b_sinkarg;
	struct store		*b_store;
	struct sconf		 b_conf;
	int64_t			 b_now;		/* os_now(), ns */
	int64_t			 b_date;	/* ns since 1970 */
	int			 b_stepped;	/* the date was set back */

	struct nodes_id		 b_nodes;
	struct nodes_key	 b_bykey;
	struct nodes_machine	 b_bymachine;
	struct nodes_label	 b_bylabel;
	struct nodes_addr4	 b_byaddr4;
	struct nodes_addr6	 b_byaddr6;
	struct nodes_expiry	 b_byexpiry;
	struct users_id		 b_users;
	struct users_name	 b_usernames;
	struct authkeys		 b_authkeys;
	struct pendings		 b_pendings;	/* oldest first */
	struct calls		 b_calls;	/* that wait for others */
	size_t			 b_ncalls;
	struct pings		 b_pings;	/* nodes that have to answer */
	size_t			 b_npings;
	struct followers	 b_followers;	/* relays */
	size_t			 b_nfollowers;
	struct followed		 b_followed;	/* keys that they have */
	int64_t			 b_follow_at;	/* b_now; look again */
	int64_t			 b_follow_beat;	/* b_now; say something */
	uint32_t		 b_call_last;
	struct rate		 b_audit_rate;
	size_t			 b_nnodes;
	size_t			 b_nusers;
	size_t			 b_npending;
	uint64_t		 b_addr_last;	/* index last given */

	/* node.c: slots in the order of Node.ID, holes are NULL */
	struct node		**b_slots;
	size_t			 b_nslots;
	size_t			 b_slotcap;
	size_t			 b_nholes;

	/* policy state */
	struct policy		*b_policy;
	struct policy_state	*b_pstate;
	char			*b_ptext;	/* running policy's text */
	size_t			 b_ptextlen;
	uint64_t		*b_live;	/* bit: may be seen at all */
	uint64_t		*b_row;		/* scratch */
	size_t			 b_words;	/* of these, by slots */
	int			 b_pstale;	/* compile before use */
	int			 b_pall;	/* concerns all viewers */
	int			 b_pself;	/* and what they are told of
						 * themselves */

	/* map */
	struct viewers		 b_viewers;
	struct viewerq		 b_work;	/* have something to send */
	struct nodeq		 b_changed;
	struct nodeq		 b_unsaved;
	struct nodeq		 b_grace;	/* offline soon, in order */
	struct nodeq		 b_gone;	/* ephemeral ones, in order */
	int64_t			 b_flush_at;	/* b_now; 0: nothing waits */
	int64_t			 b_flush_gap;	/* least pause between two */
	int64_t			 b_flushed;	/* when it was last */
	struct log_limit	 b_refused;	/* lines strangers cause */
	uint64_t		 b_mark;
	uint64_t		 b_nsent;	/* map messages */
	uint64_t		 b_nrendered;	/* nodes made into JSON */
};

/*
 * Load all of the store, which is the brain's from here, as is the
 * configuration (the struct is emptied). os_now() and os_date() of this
 * moment. 0, or -1: brain_free() it. Nobody may talk until policy_apply().
 */
int	 brain_init(struct brain *, struct store *, struct sconf *,
	    const struct sink *, void *, int64_t, int64_t);
void	 brain_free(struct brain *);
void	 brain_clock(struct brain *, int64_t, int64_t);
/* New configuration, taken over; tells viewers what changed. */
void	 brain_configure(struct brain *, struct sconf *);
/* Do what is due. brain_next: ns from b_now until then, -1: nothing. */
void	 brain_run(struct brain *);
int64_t	 brain_next(const struct brain *);
void	 brain_answer(struct brain *, const struct msg_rpc *, unsigned int,
	    unsigned int, const char *);
/* All streams are gone (a new frontd). */
void	 brain_drop_rpcs(struct brain *);
/* The stream is gone; stream 0: the whole connection. */
void	 brain_drop_rpc(struct brain *, const struct msg_rpc *);

/* --- user.c --------------------------------------------------------------- */

enum role {
	ROLE_MEMBER,
	ROLE_ADMIN,
	ROLE_OWNER,
	ROLE_MAX
};

struct user {
	RB_ENTRY(user)		 u_byid;
	RB_ENTRY(user)		 u_byname;
	uint64_t		 u_id;
	int64_t			 u_created;
	uint32_t		 u_role;
	size_t			 u_nnodes;
	uint64_t		 u_mark;	/* b_mark: in this list */
	char			*u_name;	/* LoginName */
	char			*u_display;	/* never NULL */
};

RB_PROTOTYPE(users_id, user, u_byid, user_cmp_id)
RB_PROTOTYPE(users_name, user, u_byname, user_cmp_name)

int	 user_load(void *, struct user *);	/* for store_user_each */
struct user
	*user_find(struct brain *, uint64_t);
struct user
	*user_find_name(struct brain *, const char *);
/* 0, or -1 with a line in err. */
int	 user_create(struct brain *, const char *, const char *,
	    struct user **, char *, size_t);
int	 user_rename(struct brain *, struct user *, const char *, char *,
	    size_t);
int	 user_delete(struct brain *, struct user *, char *, size_t);
int	 user_set_role(struct brain *, struct user *, const char *, char *,
	    size_t);
const char
	*user_role(const struct user *);
void	 user_free_all(struct brain *);

/* --- authkey.c ------------------------------------------------------------ */

#define AUTHKEY_ID		12	/* hex digits */
#define AUTHKEY_SECRET		64
#define AUTHKEY_TEXT		128

struct authkey {
	RB_ENTRY(authkey)	 k_entry;
	uint64_t		 k_id;
	uint64_t		 k_user;	/* 0: tagged */
	int64_t			 k_created;
	int64_t			 k_expiry;	/* 0: never */
	int64_t			 k_revoked;	/* 0: not */
	uint64_t		 k_used;
	uint8_t			 k_reusable;
	uint8_t			 k_ephemeral;
	uint8_t			 k_hash[32];
	char			 k_prefix[AUTHKEY_ID + 1];
	char			**k_tags;
	size_t			 k_ntags;
};

RB_PROTOTYPE(authkeys, authkey, k_entry, authkey_cmp)

int	 authkey_load(void *, struct authkey *);
/*
 * Make a key for a user, or with tags. The secret's text goes to the buffer
 * (AUTHKEY_TEXT; the caller wipes it). 0, or -1 with a line in err.
 */
int	 authkey_create(struct brain *, struct authkey *, char *, char *,
	    size_t);
/* By what a client presents; NULL: there is none, or a wrong secret. */
struct authkey
	*authkey_find(struct brain *, const char *);
struct authkey
	*authkey_find_id(struct brain *, const char *);	/* ID or prefix */
/* NULL: may be used now; else the error text for the client. */
const char
	*authkey_refusal(const struct authkey *, int64_t);
int	 authkey_revoke(struct brain *, struct authkey *);
void	 authkey_forget_user(struct brain *, uint64_t);
void	 authkey_free_all(struct brain *);

/* --- node.c --------------------------------------------------------------- */

/* What changed of a node, for those who see it. */
#define CH_FULL		0x01	/* all of it */
#define CH_ENDPOINTS	0x02
#define CH_DISCO	0x04
#define CH_ONLINE	0x08
#define CH_DERP		0x10
#define CH_PATCH	(CH_ENDPOINTS | CH_DISCO | CH_ONLINE | CH_DERP)
#define CH_SELF		0x20	/* for the node itself */
#define CH_POLICY	0x40	/* who it may talk to */

struct node {
	RB_ENTRY(node)		 n_byid;
	RB_ENTRY(node)		 n_bykey;
	RB_ENTRY(node)		 n_bymachine;	/* machine key, then ID */
	RB_ENTRY(node)		 n_bylabel;
	RB_ENTRY(node)		 n_byaddr4;
	RB_ENTRY(node)		 n_byaddr6;
	RB_ENTRY(node)		 n_byexpiry;	/* if it has one to come */
	TAILQ_ENTRY(node)	 n_change;
	TAILQ_ENTRY(node)	 n_unsaved;
	TAILQ_ENTRY(node)	 n_grace;
	TAILQ_ENTRY(node)	 n_gone;
	struct noderec		 n_rec;
	struct viewer		*n_viewer;	/* its poll, or NULL */
	size_t			 n_slot;
	int64_t			 n_left;	/* end of its last poll */
	int64_t			 n_gone_at;	/* offline since, b_now */
	uint8_t			 n_changes;	/* CH_*, in b_changed */
	uint8_t			 n_is_unsaved;
	uint8_t			 n_in_grace;
	uint8_t			 n_in_gone;
	uint8_t			 n_in_expiry;
	uint8_t			 n_expired;	/* as peers were told */
	int64_t			 n_polls_at;	/* begin of the count, b_now */
	unsigned int		 n_polls;

	/* from Hostinfo */
	struct policy_prefix	*n_announced;
	size_t			 n_nannounced;
	char			*n_public;	/* what peers get of it */

	/* map_node.c: JSON up to AllowedIPs, and the rest */
	char			*n_head;
	char			*n_tail;
};

RB_PROTOTYPE(nodes_id, node, n_byid, node_cmp_id)
RB_PROTOTYPE(nodes_key, node, n_bykey, node_cmp_key)
RB_PROTOTYPE(nodes_machine, node, n_bymachine, node_cmp_machine)
RB_PROTOTYPE(nodes_label, node, n_bylabel, node_cmp_label)
RB_PROTOTYPE(nodes_addr4, node, n_byaddr4, node_cmp_addr4)
RB_PROTOTYPE(nodes_addr6, node, n_byaddr6, node_cmp_addr6)
RB_PROTOTYPE(nodes_expiry, node, n_byexpiry, node_cmp_expiry)

int	 node_load(void *, struct noderec *);	/* for store_node_each */
struct node
	*node_find(struct brain *, uint64_t);
struct node
	*node_find_key(struct brain *, const uint8_t [MSG_KEY_LEN]);
struct node
	*node_find_label(struct brain *, const char *);
struct node
	*node_find_addr(struct brain *, const struct policy_prefix *);
/* First node of a machine, then the next; NULL: no more. */
struct node
	*node_first_machine(struct brain *, const uint8_t [MSG_KEY_LEN]);
struct node
	*node_next_machine(struct brain *, struct node *);
/*
 * A stored record becomes a node, or a node's new record (the record is
 * taken over and emptied). node_set tells those whom the difference
 * concerns.
 */
struct node
	*node_add(struct brain *, struct noderec *);
void	 node_set(struct brain *, struct node *, struct noderec *);
/* The same, after writing it durably: 0, or -1 and nothing changed. */
int	 node_put(struct brain *, struct node *, struct noderec *,
	    const char *, const char *);
int	 node_delete(struct brain *, struct node *, const char *,
	    const char *);
void	 node_changed(struct brain *, struct node *, unsigned int);
void	 node_unsaved(struct brain *, struct node *);
int	 node_is_expired(const struct brain *, const struct node *);
/* May the node of this key use a relay of this tailnet? */
int	 node_may_relay(struct brain *, const uint8_t [MSG_KEY_LEN]);
/* Approved routes that the node still announces; a copy, or NULL. */
size_t	 node_routes(const struct node *, struct policy_prefix *, size_t);
void	 node_compact(struct brain *);
void	 node_free_all(struct brain *);
void	 node_save_all(struct brain *);

/* --- hostinfo.c ----------------------------------------------------------- */

/* Fill n_announced and n_public from the record. */
void	 hostinfo_read(struct node *);
const char
	*hostinfo_string(json_t *, const char *);	/* "": none */
/* RequestTags, copied; how many there are, of which max are filled in. */
size_t	 hostinfo_tags(json_t *, char **, size_t);

/* --- alloc.c: addresses for nodes ----------------------------------------- */

/*
 * Give the record what it lacks of the configured families; 0, or -1 with a
 * line in err (the range is full).
 */
int	 alloc_addrs(struct brain *, struct noderec *, char *, size_t);
/* Inside the range, not reserved, and free. */
int	 alloc_free4(struct brain *, const uint8_t [4]);
int	 alloc_free6(struct brain *, const uint8_t [16]);
void	 alloc_learn(struct brain *, const struct noderec *);
void	 alloc_backfill(struct brain *);

/* --- name.c: MagicDNS labels ---------------------------------------------- */

/* Host name to label; features.md 3. "node" if nothing is left. */
void	 name_label(const char *, char [NODE_LABEL_MAX]);
int	 name_valid(const char *);		/* as an admin may give it */
/* The same, or the first free of label-1, label-2...; not counting node. */
void	 name_unique(struct brain *, const struct node *, const char *,
	    char [NODE_LABEL_MAX]);
/* Host name changed: does the label still fit it? */
void	 name_follow(struct brain *, struct node *, struct noderec *);

/* --- register.c, pending.c ------------------------------------------------ */

struct reg_req {
	struct msg_rpc		 q_rpc;
	uint8_t			 q_machine[MSG_KEY_LEN];
	uint8_t			 q_node[MSG_KEY_LEN];
	uint8_t			 q_nl[MSG_KEY_LEN];
	int64_t			 q_expiry;	/* ns; 0: no wish */
	unsigned int		 q_version;
	int			 q_ephemeral;
	const char		*q_authkey;	/* never NULL */
	const char		*q_followup;	/* never NULL */
	const char		*q_hostinfo;	/* JSON or NULL */
	size_t			 q_hostinfolen;
};

struct pending {
	TAILQ_ENTRY(pending)	 p_entry;
	char			 p_id[33];
	struct reg_req		 p_req;		/* its texts are owned */
	char			*p_hostinfo;
	int64_t			 p_born;	/* b_now */
	int			 p_waits;	/* p_req.q_rpc is open */
};

/* Decide; answers by the sink, now or (a follow-up) later. control.md 3.4 */
void	 register_request(struct brain *, const struct reg_req *);
/*
 * A user vouches for a pending login: the node joins, or its key rotates.
 * NULL with a line in err.
 */
struct node
	*register_approve(struct brain *, struct pending *, struct user *,
	    char *, size_t);
/* Answer of a node that is registered. */
void	 register_answer_node(struct brain *, const struct msg_rpc *,
	    const struct node *);
void	 register_answer_url(struct brain *, const struct msg_rpc *,
	    const struct pending *);

struct pending
	*pending_add(struct brain *, const struct reg_req *);
struct pending
	*pending_get(struct brain *, const struct reg_req *);
struct pending
	*pending_find(struct brain *, const char *);	/* ID or URL */
/* What a person should know of it; nothing if there is none of that ID. */
void	 pending_describe(struct brain *, const char *,
	    struct msg_web_answer *);
void	 pending_wait(struct brain *, struct pending *,
	    const struct msg_rpc *);
void	 pending_free(struct brain *, struct pending *);
void	 pending_run(struct brain *);		/* end the old ones */
void	 pending_drop_rpc(struct brain *, const struct msg_rpc *);

/* --- policy_apply.c ------------------------------------------------------- */

/*
 * Parse a policy (mode POLICY_*, file name for messages, text and length;
 * text for POLICY_FILE and POLICY_STORE), compile it for the present nodes
 * and put it into force. 0 with warnings, or -1 with errors and the old one
 * still in force: lines in *msgs, which the caller frees. tests: also run
 * those that it contains, and refuse it if one fails.
 */
int	 policy_apply(struct brain *, uint8_t, const char *, const char *,
	    size_t, int, char **);
/* The same without putting it into force. */
int	 policy_try(struct brain *, const char *, const char *, size_t, int,
	    char **);
/* Make b_pstate fit the nodes of this moment. */
void	 policy_refresh(struct brain *);
/* A node or user changed in a way that the policy may notice. */
void	 policy_stale(struct brain *);
/* Row of who is a peer of a node, b_words words. */
void	 policy_row(struct brain *, const struct node *, uint64_t *);

/* --- call.c: what else nodes ask ------------------------------------------ */

struct call_req {
	struct msg_rpc		 q_rpc;
	uint8_t			 q_machine[MSG_KEY_LEN];
	uint8_t			 q_node[MSG_KEY_LEN];	/* zero: not said */
	uint32_t		 q_call;	/* RPC_CALL_* */
	const char		*q_json;	/* an object */
	size_t			 q_jsonlen;
};

struct call {
	TAILQ_ENTRY(call)	 c_entry;
	struct msg_rpc		 c_rpc;
	uint32_t		 c_id;
	uint32_t		 c_call;
};

/* Answers by the sink, now or when call_done is called. control.md 5.1 */
void	 call_request(struct brain *, const struct call_req *);
/* What the sink was asked for is there: the token, or NULL: it failed. */
void	 call_done(struct brain *, uint32_t, const char *);
/* The stream is gone; stream 0: the connection; conn 0: all. */
void	 call_drop_rpc(struct brain *, const struct msg_rpc *);
/* Attributes that a node has set: an array of "name=value". */
void	 call_attributes(struct brain *, struct buf *, uint64_t);

/* --- follow.c: relays that are told who may use them ---------------------- */

/*
 * Lines: "+nodekey:..." is let in, "-nodekey:..." is not any more, and "."
 * after all that is to be said now, every ten seconds at least. The first "."
 * ends the whole list.
 */
#define FOLLOWERS_MAX	64

/* May who shows that key follow? */
int	 follow_allowed(const struct brain *, const uint8_t [MSG_KEY_LEN]);
/* A connection of frontd does from here on. */
void	 follow_start(struct brain *, uint64_t);
/* It is gone; 0: all are. */
void	 follow_drop(struct brain *, uint64_t);
/* End them all: the key is another one. */
void	 follow_end(struct brain *);
/* Something may have changed: look in a moment. */
void	 follow_soon(struct brain *);
void	 follow_run(struct brain *);
int64_t	 follow_next(const struct brain *);	/* ns, -1: nothing */

/* --- ping.c: what nodes are asked ----------------------------------------- */

enum ask_kind {
	ASK_NOISE,		/* a sign of life over its session */
	ASK_WEB,		/* the same, by the server's public URL */
	ASK_C2N,		/* an echo of its request handler */
	ASK_REQUEST,		/* what it answers to a request, as text */
	ASK_DISCO,		/* from here on: it pings another */
	ASK_TSMP,
	ASK_ICMP,
	ASK_PEERAPI
};

#define PING_ECHO	"coordd asks for an echo"	/* body of ASK_C2N */

/* By the name that administrators use. 0, or -1: there is none. */
int	 ask_kind(const char *, enum ask_kind *);
/*
 * Ask a node, for the administrator's request of that number. The text: an
 * HTTP request in base64 (ASK_C2N, ASK_REQUEST), or the address to ping.
 * NULL, or why not.
 */
const char
	*ping_start(struct brain *, struct node *, uint32_t, enum ask_kind,
	    const char *);
/* A node's answer: machine key, ID and text. -1: nobody asked it that. */
int	 ping_answer(struct brain *, const uint8_t [MSG_KEY_LEN],
	    const char *, size_t);
/* The same from a stranger who knows the ID: ASK_WEB alone. */
int	 ping_web(struct brain *, const char *);
void	 ping_run(struct brain *);
int64_t	 ping_next(const struct brain *);	/* ns, -1: nothing */
void	 ping_end(struct brain *);

/* --- map.c: polls --------------------------------------------------------- */

struct map_req {
	struct msg_rpc		 m_rpc;
	uint8_t			 m_machine[MSG_KEY_LEN];
	uint8_t			 m_node[MSG_KEY_LEN];
	uint8_t			 m_disco[MSG_KEY_LEN];
	unsigned int		 m_version;
	int			 m_stream;
	int			 m_omit_peers;
	int			 m_read_only;
	int			 m_has_endpoints;
	const struct msg_endpoint
				*m_endpoints;
	size_t			 m_nendpoints;
	const char		*m_hostinfo;	/* JSON or NULL */
	size_t			 m_hostinfolen;
};

/* A node that polls more often is told to wait: a whole map is dear. */
#define POLLS_MAX	20
#define POLLS_PERIOD	(10 * SEC)

#define V_FULL		0x01	/* the first message is still to come */
#define V_RESYNC	0x02	/* who is visible, and the filter */
#define V_ROUTES	0x04	/* which routes of whom */
#define V_SELF		0x08
#define V_DNS		0x10
#define V_DERP		0x20
#define V_QUEUED	0x80	/* in b_work */

struct viewer {
	RB_ENTRY(viewer)	 v_entry;
	TAILQ_ENTRY(viewer)	 v_work;
	struct msg_rpc		 v_rpc;
	struct node		*v_node;
	unsigned int		 v_version;	/* of the client */
	uint64_t		*v_sent;	/* peers it was told of */
	size_t			 v_words;
	uint64_t		*v_removed;	/* Node.ID of the deleted */
	size_t			 v_nremoved;
	uint32_t		*v_pend;	/* slot << 8 | CH_* */
	size_t			 v_npend;
	size_t			 v_pendcap;
	uint8_t			 v_filter[16];	/* hash of what it has */
	uint8_t			 v_flags;
};

RB_PROTOTYPE(viewers, viewer, v_entry, viewer_cmp)

void	 map_request(struct brain *, const struct map_req *);
struct viewer
	*viewer_find(struct brain *, const struct msg_rpc *);
/* Forget it; replaced: another poll of the same node takes over. */
void	 viewer_close(struct brain *, struct viewer *, int);
void	 viewer_queue(struct brain *, struct viewer *, unsigned int);
void	 viewer_queue_all(struct brain *, unsigned int);
void	 viewer_grow(struct viewer *, size_t);

/* --- online.c ------------------------------------------------------------- */

void	 online_up(struct brain *, struct node *);
void	 online_left(struct brain *, struct node *);
void	 online_forget(struct brain *, struct node *);
/* Read from the store: it may come back soon, or it is gone. */
void	 online_loaded(struct brain *, struct node *);
void	 online_run(struct brain *);
int64_t	 online_next(const struct brain *);
/* Into the tree of those whose key expires, or out of it. */
void	 expiry_watch(struct brain *, struct node *);

/* --- map_delta.c ---------------------------------------------------------- */

/* Something waits: flush soon. */
void	 map_wake(struct brain *);
/* Spread changes to viewers and send while the sink takes it. */
void	 map_flush(struct brain *);
/* A node goes: viewers that know it are told. */
void	 map_forget(struct brain *, struct node *);

/* --- map_full.c, map_node.c ----------------------------------------------- */

/*
 * The whole map of a node with these peers, for a client of that version;
 * its filter's hash.
 */
void	 map_full(struct brain *, struct buf *, struct node *,
	    unsigned int, const uint64_t *, size_t, uint8_t [16]);
/* The filter's rules, a JSON array as text, and its hash. Caller frees. */
char	*map_filter(struct brain *, struct node *, uint8_t [16]);
/* The member of a message that carries them. */
void	 map_add_filter(struct buf *, unsigned int, const char *);
/* The objects alone; DNS as this node gets it. */
void	 map_dns(struct brain *, struct buf *, const struct node *);
void	 map_derp(struct brain *, struct buf *, unsigned int);
/* Array of profiles: of a node (or NULL) and of the owners of these slots. */
void	 map_profiles(struct brain *, struct buf *, const struct node *,
	    const uint64_t *, size_t);
/* Nodes as JSON: as a viewer gets it; for itself; some fields. */
void	 map_node_peer(struct brain *, struct buf *, struct node *,
	    const struct node *, unsigned int);
void	 map_node_self(struct brain *, struct buf *, struct node *,
	    unsigned int);
void	 map_node_patch(struct buf *, const struct node *, unsigned int);
void	 map_node_stale(struct node *);		/* drop what is rendered */

/* --- adm.c, adm_*.c ------------------------------------------------------- */

/* What an administrator asked, and where the answer goes. */
struct adm {
	struct brain		*a_brain;
	const char		*a_obj;
	const char		*a_verb;
	char			**a_args;	/* "key=value" */
	size_t			 a_nargs;
	char			*a_file;	/* text that rode along */
	size_t			 a_filelen;
	char			 a_actor[32];	/* for the audit: "uid 0" */
	uint32_t		 a_id;		/* of what comes later */
	unsigned int		 a_code;	/* of a failure: 1 or 2 */
	char			 a_err[MSG_TEXT_LEN];
	void			(*a_row)(void *, const char *);
	void			*a_arg;
};

/* 0, 1: the sink's s_adm will answer, or -1 with a_code and a_err. */
int	 adm_run(struct adm *);
const char
	*adm_arg(const struct adm *, const char *);	/* first, or NULL */
/* All values of a key: fills at most max, returns how many there are. */
size_t	 adm_args(const struct adm *, const char *, char **, size_t);
int	 adm_flag(const struct adm *, const char *);
int	 adm_fail(struct adm *, unsigned int, const char *, ...)
	    __attribute__((__format__ (printf, 3, 4)));	/* -1 */
void	 adm_row(struct adm *, struct buf *);	/* frees the text */
/* Only these keys may be given; NULL-terminated. */
int	 adm_only(struct adm *, const char *const *);
/* A tag that the policy defines: 0, or -1 with a line. */
int	 tag_check(struct brain *, const char *, char *, size_t);
struct user
	*adm_user(struct adm *);		/* of user=; NULL: failed */

int	 adm_user_list(struct adm *);
int	 adm_user_create(struct adm *);
int	 adm_user_rename(struct adm *);
int	 adm_user_delete(struct adm *);
int	 adm_user_role(struct adm *);
int	 adm_key_list(struct adm *);
int	 adm_key_create(struct adm *);
int	 adm_key_revoke(struct adm *);
int	 adm_node_list(struct adm *);
int	 adm_node_show(struct adm *);
int	 adm_node_approve(struct adm *);
int	 adm_node_rename(struct adm *);
int	 adm_node_tag(struct adm *);
int	 adm_node_expire(struct adm *);
int	 adm_node_delete(struct adm *);
int	 adm_node_routes(struct adm *);
int	 adm_node_wireguard(struct adm *);
int	 adm_node_ping(struct adm *);
int	 adm_node_c2n(struct adm *);
int	 adm_policy_get(struct adm *);
int	 adm_policy_check(struct adm *);
int	 adm_policy_test(struct adm *);
int	 adm_policy_set(struct adm *);
int	 adm_policy_explain(struct adm *);
int	 adm_derp_list(struct adm *);
int	 adm_derp_probe(struct adm *);
int	 adm_status(struct adm *);
/* The keys that "node list" and "node show" share. */
void	 adm_node_row(struct adm *, struct node *, int);
struct node
	*adm_node(struct adm *);		/* of node=; NULL: failed */
struct node
	*adm_node_of(struct adm *, const char *);	/* by any name */

/* To frontd: the DERP map that everybody may read, as it is now. */
void	 rpc_publish(void);

/* --- check.c: `stored -n` ------------------------------------------------- */

/* As this user: "policy" or "derpmap", and the name of what is on stdin. */
__attribute__((noreturn)) void
	 check_run(const char *, const char *, const char *);

/* --- rpc.c: requests of nodes by imsg ------------------------------------- */

extern const struct sink rpc_sink;

void	 rpc_open(int, int);			/* frontd's channel, fresh */

/* --- derpmap.c: the map of relays ----------------------------------------- */

/*
 * Read a DERP map (name for messages, text, length) and lay it over what the
 * configuration has: its regions take the place of those with the same
 * number. 0, or -1 and a line of what is wrong; the caller frees.
 */
int	 derpmap_add(struct sconf *, const char *, const char *, size_t,
	    char **);

/* --- conf.c: configuration by imsg ---------------------------------------- */

struct imsg;

/* CONF_*, RECONF_*, POLICY_FD, DERPMAP_FD of the parent: 0, or -1 if bad. */
int	 conf_msg(struct imsg *);
/* Read a whole file and close it: 0, or -1 with errno (EFBIG: above max). */
int	 file_read(int, size_t, char **, size_t *);

/* --- stored.c ------------------------------------------------------------- */

/* The brain, or NULL before the first configuration. */
struct brain
	*stored_brain(void);
struct brain
	*stored_new_brain(void);
/* The sink's: cryptod's signature, the parent's record. */
int	 stored_sign(void *, uint32_t, const char *);
int	 stored_dns(void *, uint32_t, const char *, const char *);
void	 stored_adm_later(void *, uint32_t, const char *, const char *);
/* Set the brain's clock; rearm its timer. Around each event. */
void	 stored_enter(void);
void	 stored_leave(void);

#endif /* STORED_H */
