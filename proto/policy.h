/*
 * Copyright (c) 2026 The shoal developers
 * SPDX-License-Identifier: ISC
 *
 * Policy file: parse, check, and compile to what each node gets.
 */

#ifndef PROTO_POLICY_H
#define PROTO_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define POLICY_MAX_LEN		(1024 * 1024)	/* of the text, bytes */

/*
 * How it goes together: policy_parse() once per text, policy_compile()
 * once per change of users, nodes, tags or routes, then questions about
 * single nodes. All of it is pure: no clock, no files, no globals.
 *
 * Modes without a file are the caller's, with texts of its own:
 * "{\"acls\":[]}" lets nobody talk, "{}" allows everything.
 */

struct policy;			/* a parsed and checked text */
struct policy_state;		/* the same, compiled for a tailnet */

/* An address prefix; IPv4 uses the first four bytes of pp_addr. */
struct policy_prefix {
	uint8_t			 pp_version;	/* 4 or 6 */
	uint8_t			 pp_plen;
	uint8_t			 pp_addr[16];	/* network order */
};

struct policy_user {
	uint64_t		 pu_id;		/* above 0 */
	const char		*pu_name;	/* login name */
	const char		*pu_email;	/* NULL or "": none */
	const char		*pu_provider;	/* "issuer/subject" or NULL */
};

struct policy_node {
	uint64_t		 pn_id;
	uint64_t		 pn_user;	/* 0 when tagged */
	const char *const	*pn_tags;	/* with the "tag:" */
	size_t			 pn_ntags;
	const struct policy_prefix
				*pn_routes;	/* announced and approved */
	size_t			 pn_nroutes;
	uint8_t			 pn_has4;	/* 1: pn_addr4 is set */
	uint8_t			 pn_has6;
	uint8_t			 pn_addr4[4];
	uint8_t			 pn_addr6[16];
};

/*
 * Parse and check a policy.
 * file		name for messages, as in "file:3: group not defined".
 * text, len	HuJSON; need not end in NUL; not changed.
 * msgs		gets NULL, or lines "file:line: what\n" that the caller
 *		frees: all errors when NULL is returned, else warnings.
 *
 * An empty text is an error (a write cut short must not open the
 * tailnet). Without members "acls" and "grants" everything is allowed,
 * with a warning; an empty list there denies. Sections of the policy
 * language that are not built are errors that say so.
 * Returns the policy, to be freed with policy_free(), or NULL.
 * Source: features.md 1.
 */
struct policy
	*policy_parse(const char *, const char *, size_t, char **);
void	 policy_free(struct policy *);

/*
 * Compile for these users and nodes. Copies what it needs of both; the
 * policy must outlive the state. NULL with errno ENOMEM, or with *msgs
 * (caller frees) where a name in the policy fits two users. A node is
 * known below by its index in the array given here.
 * Memory and time go with the sizes of the sets named in the policy, not
 * with pairs of nodes.
 */
struct policy_state
	*policy_compile(const struct policy *, const struct policy_user *,
	    size_t, const struct policy_node *, size_t, char **);
void	 policy_state_free(struct policy_state *);

/*
 * Rules in the JSON form of the protocol (control.md 4.8), as a new
 * reference: for the whole tailnet without what differs by node, and
 * what one node gets. NULL: out of memory. Values inside may be shared
 * between nodes: do not change them.
 */
json_t	*policy_filter(const struct policy_state *);
json_t	*policy_node_filter(const struct policy_state *, size_t);

/*
 * Who sees whom. policy_peers_visible(): 1 if these two nodes are peers
 * of each other (symmetric; 0 for a node and itself, and for a node that
 * has no address).
 * policy_node_peers() sets bit (i % 64) of row[i / 64] for each peer i
 * of a node, all others 0; row has POLICY_ROW(number of nodes) words.
 */
#define POLICY_ROW(n)	(((n) + 63) / 64)

int	 policy_peers_visible(const struct policy_state *, size_t, size_t);
void	 policy_node_peers(const struct policy_state *, size_t,
	    uint64_t *);

/*
 * Shall a route of a router stand in its AllowedIPs as one viewer gets
 * them: the viewer may reach it, or it may reach the viewer or one of
 * the viewer's routes. Arguments: viewer, router, route.
 */
int	 policy_route_visible(const struct policy_state *, size_t, size_t,
	    const struct policy_prefix *);

/*
 * SSH policy of a node, new reference; json_null() where the policy has
 * no ssh section, NULL when out of memory. url: base URL of this server,
 * for rules with check.
 */
json_t	*policy_node_ssh(const struct policy_state *, size_t,
	    const char *);

/* Does it give nodes attributes? */
int	 policy_has_attrs(const struct policy *);
/* Capabilities from nodeAttrs, an object name to null; new reference. */
json_t	*policy_node_caps(const struct policy_state *, size_t);

/*
 * Routes that "via" grants add for or hide from a viewer:
 * {"peer id": {"Include": [prefix] or null, "Exclude": ...}}; an empty
 * object where there are none. New reference.
 */
json_t	*policy_node_via(const struct policy_state *, size_t);

/*
 * Tags. policy_tag_exists(): 1 if the tag (with "tag:") has an entry in
 * tagOwners. policy_tag_allowed(): 1 if this user may give nodes the tag.
 */
int	 policy_tag_exists(const struct policy *, const char *);
int	 policy_tag_allowed(const struct policy_state *, const char *,
	    uint64_t);

/* 1 if autoApprovers approves this route (or exit route) of a node. */
int	 policy_route_auto(const struct policy_state *, size_t,
	    const struct policy_prefix *);

/*
 * Run the tests that the policy contains. Returns 0, or -1 with *msgs
 * (caller frees) a line "file:line: what\n" for each that failed.
 */
int	 policy_test(const struct policy_state *, char **);

/*
 * May src reach dst? Both are addresses of pp_version with full pp_plen;
 * port in host order, proto 0: TCP or UDP.
 * Returns 1 with *line the line of the rule that allows it (0: the
 * policy has no rules and allows all), or 0.
 */
int	 policy_explain(const struct policy_state *,
	    const struct policy_prefix *, const struct policy_prefix *,
	    uint16_t, uint8_t, size_t *);

/*
 * Resolve one selector of the policy language to addresses of nodes, for
 * "explain" and tests: the text of a source ("alice@", "tag:web", an
 * address, ...). Fills at most max prefixes, returns how many there are,
 * or -1: not a selector, or not defined.
 */
int	 policy_resolve(const struct policy_state *, const char *,
	    struct policy_prefix *, size_t);

/* "10.0.0.0/8", "::1" to a prefix (host bits allowed): 0 or -1. */
int	 policy_prefix_parse(const char *, struct policy_prefix *);

#endif /* PROTO_POLICY_H */
