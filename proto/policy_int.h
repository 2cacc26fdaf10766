/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * What policy*.c share among themselves.
 */

#ifndef PROTO_POLICY_INT_H
#define PROTO_POLICY_INT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "policy.h"

/* policy_tree.c: JSON with the place of each value in the text. */

#define PN_NONE		UINT32_MAX

enum pn_type {
	PN_NULL, PN_FALSE, PN_TRUE, PN_NUMBER, PN_STRING, PN_ARRAY, PN_OBJECT
};

struct pnode {
	char		*pn_name;	/* of a member, else NULL */
	char		*pn_str;	/* of a string */
	uint32_t	 pn_off;	/* in the text */
	uint32_t	 pn_end;
	uint32_t	 pn_child;	/* first, PN_NONE: none */
	uint32_t	 pn_next;	/* sibling */
	uint32_t	 pn_nchild;
	uint8_t		 pn_type;
};

struct ptree {
	struct pnode	*pt_node;	/* 0 is the root */
	char		*pt_pool;	/* all strings */
	uint32_t	 pt_n;
	uint32_t	 pt_cap;
	size_t		 pt_used;	/* of the pool */
	size_t		 pt_erroff;
};

/*
 * Parse a text that hujson_standardize() accepted. Returns 0 or -1: out of
 * memory (pt_erroff is SIZE_MAX), or a string at pt_erroff is not UTF-8 or
 * has a NUL in it.
 */
int	 ptree_parse(struct ptree *, const char *, size_t);
void	 ptree_free(struct ptree *);

/* policy_set.c: sets of addresses. */

/* Network order, IPv4 in the first four bytes; both ends included. */
struct arange {
	uint8_t		 ar_lo[16];
	uint8_t		 ar_hi[16];
};

/* [0] IPv4, [1] IPv6. Sorted and disjoint after aset_settle(). */
struct aset {
	struct arange	*as_r[2];
	size_t		 as_n[2];
	size_t		 as_cap[2];
};

void	 aset_free(struct aset *);
int	 aset_add(struct aset *, int, const struct arange *);
int	 aset_add_prefix(struct aset *, const struct policy_prefix *);
int	 aset_add_addr(struct aset *, int, const uint8_t *);
int	 aset_add_set(struct aset *, const struct aset *);
void	 aset_settle(struct aset *);
/* Take a prefix out of a settled set. */
int	 aset_remove(struct aset *, const struct policy_prefix *);
int	 aset_contains(const struct aset *, int, const uint8_t *);
int	 aset_overlaps(const struct aset *, const struct policy_prefix *);
/* Is all of the prefix in the set? */
int	 aset_covers(const struct aset *, const struct policy_prefix *);
int	 aset_empty(const struct aset *);
/* Smallest list of prefixes, v4 first; *v is allocated. */
int	 aset_prefixes(const struct aset *, struct policy_prefix **,
	    size_t *);
/* Append to a JSON array as the protocol writes sources. */
int	 aset_json(const struct aset *, json_t *);
int	 aset_add_internet(struct aset *);
int	 aset_add_tailnet(struct aset *);
void	 prefix_range(const struct policy_prefix *, struct arange *);
int	 prefix_overlaps(const struct policy_prefix *,
	    const struct policy_prefix *);
int	 prefix_is_exit(const struct policy_prefix *);
void	 prefix_mask(struct policy_prefix *);
int	 prefix_cmp(const struct policy_prefix *,
	    const struct policy_prefix *);
/* "10.0.0.0/8"; bare: a single address without its length. */
#define PREFIX_TEXT	64
char	*prefix_text(const struct policy_prefix *, int, char *, size_t);

/* policy.c: the parsed form. */

enum alias_type {
	AL_STAR, AL_PREFIX, AL_USER, AL_GROUP, AL_TAG, AL_AUTO, AL_HOST
};

enum autogroup {
	AG_MEMBER, AG_TAGGED, AG_SELF, AG_INTERNET, AG_DANGER, AG_NONROOT,
	AG_UNKNOWN
};

struct alias {
	const char		*al_text;	/* as written */
	size_t			 al_line;
	struct policy_prefix	 al_prefix;	/* AL_PREFIX */
	enum alias_type		 al_type;
	enum autogroup		 al_auto;	/* AL_AUTO */
};

struct alist {
	struct alias		*al_v;
	size_t			 al_n;
};

struct strlist {
	const char		**sl_v;
	size_t			 sl_n;
};

struct pgroup {
	const char		*pg_name;
	size_t			 pg_line;
	struct strlist		 pg_members;
};

struct phost {
	const char		*ph_name;
	size_t			 ph_line;
	struct policy_prefix	 ph_prefix;
};

struct ptag {
	const char		*pt_name;
	size_t			 pt_line;
	struct alist		 pt_owners;
	uint8_t			 pt_mark;	/* while looking for cycles */
};

struct papprover {
	struct policy_prefix	 pa_prefix;
	struct alist		 pa_who;
};

/* Ports of a protocol; 0: the default four. */
struct gip {
	uint16_t		 gi_first;
	uint16_t		 gi_last;
	uint8_t			 gi_proto;
};

/* A grant, or one destination of an entry in acls. */
struct grant {
	const struct alist	*gr_srcs;	/* in p_srclists */
	struct alist		 gr_dsts;
	struct gip		*gr_ips;
	size_t			 gr_nips;
	json_t			*gr_app;	/* object or NULL */
	struct alist		 gr_via;
	size_t			 gr_line;
	uint8_t			 gr_acl;
};

struct psshrule {
	struct alist		 ps_srcs;
	struct alist		 ps_dsts;
	struct strlist		 ps_users;
	struct strlist		 ps_env;
	size_t			 ps_line;
	uint8_t			 ps_check;	/* action check, not accept */
	uint8_t			 ps_hasperiod;
};

struct pattr {
	struct alist		 at_targets;
	struct strlist		 at_attrs;
};

struct ptarget {
	struct alias		 tg_alias;
	size_t			 tg_line;
	uint16_t		 tg_port;
};

struct ptest {
	struct alias		 te_src;
	struct ptarget		*te_accept;
	struct ptarget		*te_deny;
	size_t			 te_naccept;
	size_t			 te_ndeny;
	size_t			 te_line;
	uint8_t			 te_proto;
};

struct policy {
	char			*p_file;
	struct ptree		 p_tree;	/* holds all strings */
	struct pgroup		*p_groups;	/* these three sorted */
	struct phost		*p_hosts;
	struct ptag		*p_tags;
	struct papprover	*p_routes;
	struct alist		 p_exit;
	struct alist		**p_srclists;
	struct grant		*p_grants;	/* of grants, then acls */
	struct psshrule		*p_ssh;
	struct pattr		*p_attrs;
	struct ptest		*p_tests;
	size_t			 p_ngroups;
	size_t			 p_nhosts;
	size_t			 p_ntags;
	size_t			 p_nroutes;
	size_t			 p_nsrclists;
	size_t			 p_ngrants;
	size_t			 p_nssh;
	size_t			 p_nattrs;
	size_t			 p_ntests;
	uint8_t			 p_hasacls;
	uint8_t			 p_hasgrants;
	uint8_t			 p_hasssh;
	uint8_t			 p_randomport;
};

const struct pgroup	*policy_group(const struct policy *, const char *);
const struct phost	*policy_host(const struct policy *, const char *);
const struct ptag	*policy_tag(const struct policy *, const char *);

/* policy_parse.c: the text read so far. */
struct pctx {
	struct policy	*c_p;
	char		*c_text;	/* standard JSON */
	size_t		 c_len;
	FILE		*c_msgs;
	size_t		 c_lastoff;	/* c_lastline is the line of it */
	size_t		 c_lastline;
	unsigned int	 c_errors;
};

void	 pc_error(struct pctx *, size_t, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
void	 pc_warn(struct pctx *, size_t, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
size_t	 pc_line(struct pctx *, uint32_t);
/* Out of memory: counts as an error too. */
void	*pc_calloc(struct pctx *, size_t, size_t);
struct pnode
	*pc_node(struct pctx *, uint32_t);
int	 pc_want(struct pctx *, uint32_t, enum pn_type, const char *);
int	 pc_strings(struct pctx *, uint32_t, struct strlist *,
	    const char *);
int	 pc_unique(struct pctx *, uint32_t);

/* policy_alias.c */
int	 alias_parse(const char *, struct alias *);
int	 alias_parse_list(struct pctx *, uint32_t, struct alist *,
	    const char *);
void	 alist_free(struct alist *);
/* Cut "selector:ports" in two, in place. NULL or what is wrong. */
const char
	*alias_split_ports(char *, char **);
/* One port or range, "*" for all. NULL or what is wrong. */
const char
	*port_range_parse(const char *, size_t, uint16_t *, uint16_t *);
int	 proto_parse(const char *);
int	 proto_has_ports(int);

/* policy_rules.c: sections acls and grants. */
void	 parse_acls(struct pctx *, uint32_t);
void	 parse_grants(struct pctx *, uint32_t);

/* policy_ssh.c */
void	 parse_ssh(struct pctx *, uint32_t);
void	 check_ssh(struct pctx *);

/* policy_check.c: names and combinations. */
void	 check_alias(struct pctx *, const struct alias *, const char *);
void	 check_policy(struct pctx *);

/* policy_tests.c */
void	 parse_tests(struct pctx *, uint32_t);

/* policy_compile.c: the compiled form. */

struct puser {
	uint64_t		 pu_id;
	char			*pu_name;
	char			*pu_email;
	char			*pu_provider;
};

struct pnodeinfo {
	uint64_t		 pn_id;
	uint64_t		 pn_user;
	char			**pn_tags;
	size_t			 pn_ntags;
	struct policy_prefix	*pn_routes;	/* without exit routes */
	size_t			 pn_nroutes;
	uint8_t			 pn_exit;
	uint8_t			 pn_has[2];
	uint8_t			 pn_addr[2][16];
};

/* An address and whose it is; sorted by address. */
struct paddr {
	uint8_t			 pa_addr[16];
	uint32_t		 pa_node;
};

/* An untagged node and its owner; sorted by owner. */
struct powned {
	uint64_t		 po_user;
	uint32_t		 po_node;
};

/* A set of sources, kept once for all rules that have it. */
struct csrc {
	struct aset		 cs_set;
	json_t			*cs_json;	/* SrcIPs */
	char			*cs_key;	/* the same as text */
	uint64_t		*cs_nodes;	/* who is in it */
	struct csrc		*cs_next;	/* in its bucket */
};

struct cdst {
	struct policy_prefix	 cd_prefix;
	uint16_t		 cd_first;
	uint16_t		 cd_last;
	uint32_t		 cd_line;
	uint8_t			 cd_star;	/* "*", prefix unused */
	uint8_t			 cd_internet;	/* of autogroup:internet */
};

/* Destinations with prefixes of one length; sorted by address. */
struct cgroup {
	size_t			 cg_first;
	size_t			 cg_n;
	uint8_t			 cg_version;	/* 0: those that are "*" */
	uint8_t			 cg_plen;
};

enum crule_kind {
	CR_PORTS, CR_CAPS, CR_SELF, CR_VIA
};

/*
 * A rule. CR_SELF and CR_VIA differ by node: cr_grant says what they are
 * made from.
 */
struct crule {
	const struct csrc	*cr_src;
	const struct grant	*cr_grant;
	struct cdst		*cr_dsts;
	struct cgroup		*cr_groups;
	size_t			 cr_ndsts;
	size_t			 cr_dstcap;
	size_t			 cr_ngroups;
	json_t			*cr_capmap;	/* CR_CAPS */
	uint64_t		*cr_dstnodes;
	enum crule_kind		 cr_kind;
	uint8_t			 cr_proto;	/* 0: default */
};

struct policy_state {
	const struct policy	*s_p;
	struct puser		*s_users;
	struct pnodeinfo	*s_nodes;
	struct paddr		*s_addrs[2];
	struct powned		*s_owned;
	uint64_t		*s_live;	/* who has an address */
	size_t			 s_naddrs[2];
	size_t			 s_nowned;
	size_t			 s_nusers;
	size_t			 s_nnodes;
	struct csrc		**s_srchash;
	const struct alist	*s_lastlist;	/* while compiling */
	const struct csrc	*s_lastsrc;
	struct crule		*s_rules;
	size_t			 s_nrules;
	size_t			 s_rulecap;
	struct aset		 s_internet;
	uint8_t			 s_allowall;
	FILE			*s_msgs;	/* while compiling */
	int			 s_errors;
};

/* Add the addresses a selector stands for; 0 or -1 (no memory). */
int	 resolve_alias(const struct policy_state *, const struct alias *,
	    struct aset *);
int	 resolve_list(const struct policy_state *, const struct alist *,
	    struct aset *);
int	 user_matches(const struct puser *, const char *);
int	 alias_has_node(const struct policy_state *, const struct alias *,
	    size_t);
int	 node_in_set(const struct policy_state *, size_t,
	    const struct aset *);
int	 node_has_tag(const struct pnodeinfo *, const char *);
int	 same_owner(const struct policy_state *, size_t, size_t);
/* The nodes of a person: the first, and how many. */
const struct powned
	*owned_nodes(const struct policy_state *, uint64_t, size_t *);
/* Set the bits of all nodes that are in a set; routes: or whose routes. */
void	 nodes_in_set(const struct policy_state *, const struct aset *, int,
	    uint64_t *);
/* policy_node.c: does a router carry this destination of "via"? */
int	 via_meets(const struct policy_state *, size_t, const struct alias *);
const struct csrc
	*csrc_intern(struct policy_state *, struct aset *, json_t *);

static inline int
bit_get(const uint64_t *row, size_t i)
{
	return row[i / 64] >> (i % 64) & 1;
}

static inline void
bit_set(uint64_t *row, size_t i)
{
	row[i / 64] |= 1ULL << (i % 64);
}

#endif /* PROTO_POLICY_INT_H */
